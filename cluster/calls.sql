-- What the layer asks of nodes, once for both engines: cohort_cluster_init makes two functions of each row. send_NAME is
-- in the engine's words (plproxy.sql, citus.sql); node_NAME calls it with the ranges and the fingerprint that a node must
-- have, and where a node has another definition brings it there and asks once more.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE kursaha_cohort_cluster.call (
    name text PRIMARY KEY,
    route text NOT NULL CHECK (route IN ('all', 'one', 'split', 'bare')),
    writes boolean NOT NULL,
    sets text NOT NULL,
    arguments text[] NOT NULL,
    columns text NOT NULL,
    call text NOT NULL,
    instant integer,
    rule integer
);
COMMENT ON TABLE kursaha_cohort_cluster.call IS 'The calls to nodes';
COMMENT ON COLUMN kursaha_cohort_cluster.call.name IS 'The name, without node_ or send_';
COMMENT ON COLUMN kursaha_cohort_cluster.call.route IS 'all: every node; one: the node of a customer; split: each node with its element of the first argument; bare: every node, without a check of its range';
COMMENT ON COLUMN kursaha_cohort_cluster.call.writes IS 'Whether it changes data';
COMMENT ON COLUMN kursaha_cohort_cluster.call.sets IS 'role: every role with a privilege set may call it, and the nodes check its privileges; owner: only functions of the extension call it';
COMMENT ON COLUMN kursaha_cohort_cluster.call.arguments IS 'The types of its arguments';
COMMENT ON COLUMN kursaha_cohort_cluster.call.columns IS 'Names and types of its result';
COMMENT ON COLUMN kursaha_cohort_cluster.call.call IS 'The call on a node, or a query in parentheses, with $1 and so on; {s} is the schema of kursaha_cohort';

COMMENT ON COLUMN kursaha_cohort_cluster.call.instant IS 'The place of the argument as of which it evaluates cohorts or a rule; NULL if it evaluates none';
COMMENT ON COLUMN kursaha_cohort_cluster.call.rule IS 'The place of the argument that is a rule';

INSERT INTO kursaha_cohort_cluster.call VALUES
    -- data in
    ('track', 'one', true, 'role', '{text, text, jsonb, timestamptz, text}', 'event_id bigint', '{s}.cohort_track($1, $2, $3, $4, $5)'),
    ('track_batch', 'split', true, 'role', '{jsonb[]}', 'stored bigint, duplicates bigint', '{s}.cohort_track_batch(($1)[1])'),
    ('identify', 'one', true, 'role', '{text, jsonb}', 'done text', '{s}.cohort_identify($1, $2)'),
    ('identify_payload', 'one', true, 'role', '{jsonb}', 'done text', '{s}.cohort_identify($1)'),
    ('forget', 'all', true, 'role', '{text}', 'events bigint, profiles bigint, syncs bigint', '{s}.cohort_forget($1)'),
    ('retain', 'all', true, 'role', '{interval, text}', 'done text', '{s}.cohort_retain($1, $2)'),
    ('retain_now', 'all', true, 'role', '{bigint}', 'deleted bigint', '{s}.cohort_retain_now($1)'),
    -- questions
    ('count', 'all', false, 'role', '{text, timestamptz}', 'n bigint', '{s}.cohort_count($1, $2)'),
    ('run', 'all', false, 'role', '{text, timestamptz}', 'customer_id text', '{s}.cohort_run($1, $2)'),
    ('evaluate', 'all', false, 'role', '{jsonb, timestamptz}', 'customer_id text', '{s}.cohort_evaluate($1, $2)'),
    ('preview', 'all', false, 'role', '{jsonb, integer, timestamptz}', 'size bigint, universe bigint, sample text[]', '{s}.cohort_preview($1, $2, $3)'),
    ('overlap', 'all', false, 'role', '{text[], timestamptz}', 'cohorts text[], customers bigint, only_these bigint', '{s}.cohort_overlap($1, $2)'),
    ('explain', 'all', false, 'role', '{text, timestamptz}', 'condition text, path text, customers bigint, events bigint, took interval, how text', '{s}.cohort_explain($1, $2)'),
    ('explain_rule', 'all', false, 'role', '{jsonb, timestamptz}', 'condition text, path text, customers bigint, events bigint, took interval, how text', '{s}.cohort_explain($1, $2)'),
    ('waterfall', 'all', false, 'role', '{text[], timestamptz}', 'customer_id text, cohort text', '{s}.cohort_waterfall($1, $2)'),
    ('groups', 'all', false, 'role', '{text, text, timestamptz}', 'customer_group jsonb, members bigint', '{s}.cohort_groups($1, $2, $3)'),
    ('groups_rule', 'all', false, 'role', '{jsonb, text, timestamptz}', 'customer_group jsonb, members bigint', '{s}.cohort_groups($1, $2, $3)'),
    ('figures', 'all', false, 'role', '{jsonb, text, timestamptz}', 'customer_id text, value numeric', '{s}.cohort_figures($1, $2, $3)'),
    ('figures_rule', 'all', false, 'role', '{jsonb, jsonb, timestamptz}', 'customer_id text, value numeric', '{s}.cohort_figures($1, $2, $3)'),
    ('contains', 'one', false, 'role', '{text, text, timestamptz}', 'holds boolean', '{s}.cohort_contains($1, $2, $3)'),
    ('of', 'one', false, 'role', '{text, timestamptz}', 'cohort text', '{s}.cohort_of($1, $2)'),
    ('why', 'one', false, 'role', '{text, text, timestamptz}', 'path text, condition text, holds boolean, evidence jsonb', '{s}.cohort_why($1, $2, $3)'),
    -- memberships
    ('refresh', 'all', true, 'role', '{text, timestamptz}', 'size bigint, entered bigint, exited bigint, took interval', '{s}.cohort_refresh($1, $2)'),
    ('members', 'all', false, 'role', '{text, timestamptz}', 'customer_id text, entered_at timestamptz', 'kursaha_cohort.members_of($1, $2)'),
    ('history', 'all', false, 'role', '{text}', 'lo integer, refreshed_at timestamptz, size bigint, entered bigint, exited bigint, took interval, version integer', '(SELECT kursaha_cohort.owned_from(), h.refreshed_at, h.size, h.entered, h.exited, h.took, h.version FROM {s}.cohort_history($1) h)'),
    ('changes', 'all', false, 'role', '{text, timestamptz}', 'customer_id text, change text, changed_at timestamptz', '{s}.cohort_changes($1, $2)'),
    ('sizes', 'all', false, 'role', '{}', 'cohort text, size bigint, refreshed_at timestamptz', '(SELECT d.name, d.size, d.refreshed_at FROM {s}.cohort_definition d)'),
    -- definitions
    ('define', 'all', true, 'owner', '{text, jsonb, text[], uuid, text, text}', 'done text', 'kursaha_cohort.cohort_node_define($1, $2, $3, $4, $5, $6)'),
    ('compare', 'all', false, 'owner', '{}', 'same boolean', '(SELECT true)'),
    ('rename', 'all', true, 'owner', '{text, text}', 'done text', 'kursaha_cohort.cohort_node_rename($1, $2)'),
    ('drop', 'all', true, 'owner', '{text}', 'done text', 'kursaha_cohort.cohort_node_drop($1)'),
    ('grant', 'all', true, 'owner', '{text, text}', 'done text', '{s}.cohort_grant($1, $2)'),
    ('state', 'bare', false, 'owner', '{}', 'version text, server integer, schema text, lo integer, hi integer, clock timestamptz, settings text, hash integer, definitions jsonb, roles text[]', 'kursaha_cohort.cohort_node_state()'),
    ('own', 'bare', true, 'owner', '{}', 'done text', 'kursaha_cohort.cohort_own(($4)[1], ($5)[1])'),
    ('not_owned', 'bare', false, 'owner', '{}', 'customers bigint', 'kursaha_cohort.cohort_not_owned()'),
    ('load', 'bare', false, 'owner', '{}', 'events bigint, tail bigint, customers bigint, bytes bigint, problems bigint', '(SELECT i.events, i.tail, i.customers, i.bytes, (SELECT count(*) FROM {s}.cohort_problem) FROM {s}.cohort_index_status i)'),
    -- operation
    ('seal', 'all', true, 'role', '{}', 'events bigint, profiles bigint, removed bigint, segments bigint, took interval', '{s}.cohort_seal()'),
    ('reindex', 'all', true, 'role', '{}', 'events bigint, profiles bigint, removed bigint, segments bigint, took interval', '{s}.cohort_reindex()'),
    ('check', 'all', false, 'role', '{}', 'lo integer, place text, problem text', '(SELECT kursaha_cohort.owned_from(), c.place, c.problem FROM {s}.cohort_check() c)'),
    ('property', 'all', false, 'role', '{}', 'event_type text, property text, types text[], events bigint', '(SELECT p.event_type, p.property, p.types, p.events FROM {s}.cohort_property p)'),
    ('event_type', 'all', false, 'role', '{}', 'event_type text', '(SELECT t.event_type FROM {s}.cohort_event_type t)'),
    -- the first round of rank and group
    ('entrants', 'all', false, 'role', '{jsonb, timestamptz}', 'lo integer, customer_id text, total numeric, number numeric, value jsonb',
     '(SELECT kursaha_cohort.owned_from(), e.customer_id, e.total, e.number, e.value FROM kursaha_cohort.entrants($1, $2) e)'),
    ('group_numbers', 'all', false, 'role', '{jsonb, timestamptz}', 'lo integer, value jsonb, customers bigint, satisfied bigint, one text',
     '(SELECT kursaha_cohort.owned_from(), g.value, g.customers, g.satisfied, g.one FROM kursaha_cohort.group_numbers($1, $2) g)');

UPDATE kursaha_cohort_cluster.call c
SET instant = array_position(c.arguments, 'timestamptz'),
    rule = CASE WHEN c.name IN ('evaluate', 'preview', 'explain_rule', 'groups_rule', 'entrants', 'group_numbers') THEN 1 WHEN c.name = 'figures_rule' THEN 2 END
WHERE c.name IN ('count', 'run', 'evaluate', 'preview', 'overlap', 'explain', 'explain_rule', 'waterfall', 'groups', 'groups_rule', 'figures',
                 'figures_rule', 'contains', 'of', 'why', 'refresh', 'entrants', 'group_numbers');

-- The two functions of a call. Internal arguments follow those of the call: what is expected of the node, and which nodes.
CREATE FUNCTION kursaha_cohort_cluster.make_call(engine text, call kursaha_cohort_cluster.call) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place CONSTANT integer := cardinality(call.arguments);
    -- What it evaluates may look at customers of other nodes: their sets go along.
    sets CONSTANT text := CASE WHEN call.instant IS NULL THEN ''
        ELSE format(', kursaha_cohort_cluster.%s(sets, nodes.%s)', CASE call.route WHEN 'one' THEN 'share' ELSE 'shares' END,
                    CASE call.route WHEN 'one' THEN 'lo' ELSE 'los' END) END;
    given CONSTANT text := (SELECT string_agg(format('a_%s %s', n, t), ', ' ORDER BY n) FROM unnest(call.arguments) WITH ORDINALITY a (t, n));
    passed CONSTANT text := (SELECT string_agg(CASE n WHEN call.rule THEN format('(kursaha_cohort.crossing_rule($%s)).rule', n) ELSE '$' || n END,
                                               ', ' ORDER BY n) FROM generate_series(1, place) n);
    separate CONSTANT text := CASE WHEN place > 0 THEN ', ' ELSE '' END;
    volatility CONSTANT text := CASE WHEN call.writes THEN 'VOLATILE' ELSE 'STABLE' END;
    settings CONSTANT text := $set$@settings@$set$;
BEGIN
    IF engine = 'plproxy' THEN
        PERFORM kursaha_cohort_cluster.make_plproxy(call, given, separate);
    ELSE
        PERFORM kursaha_cohort_cluster.make_citus(call, given, separate, volatility);
    END IF;
    IF call.route IN ('split', 'bare') OR call.name IN ('entrants', 'group_numbers') THEN
        RETURN;
    END IF;
    EXECUTE format($make$
        CREATE OR REPLACE FUNCTION kursaha_cohort_cluster.node_%1$s(%2$s%3$s named text[]%4$s) RETURNS TABLE (%5$s)
            LANGUAGE plpgsql %6$s PARALLEL UNSAFE CALLED ON NULL INPUT %7$s
        AS $body$
        #variable_conflict use_column
        DECLARE
            nodes record;
            wanted text := kursaha_cohort_cluster.fingerprint(named);
            again boolean := false;
            sets jsonb;
        BEGIN
            SELECT * INTO nodes FROM %8$s;
            LOOP
                BEGIN
                    %12$s
                    RETURN QUERY SELECT s.* FROM kursaha_cohort_cluster.send_%1$s(%9$s%3$s named, wanted, %10$s%13$s) s;
                    RETURN;
                EXCEPTION WHEN serialization_failure OR undefined_object OR invalid_parameter_value THEN
                    -- Of a node with another definition, or without one. What else it may be, a second answer says again.
                    IF again OR named IS NULL OR %11$L = 'citus' OR current_setting('transaction_read_only') = 'on' THEN
                        RAISE;
                    END IF;
                    again := true;
                    wanted := kursaha_cohort_cluster.bring(named);
                END;
            END LOOP;
        END
        $body$
        $make$, call.name, given, separate, CASE WHEN call.route = 'one' THEN ', customer text' ELSE '' END, call.columns,
        volatility, settings,
        CASE WHEN call.route = 'one' THEN 'kursaha_cohort_cluster.home(customer)' ELSE 'kursaha_cohort_cluster.everywhere()' END,
        passed, CASE WHEN call.route = 'one' THEN 'nodes.shard, nodes.lo, nodes.hi' ELSE 'nodes.shards, nodes.los, nodes.his' END,
        engine,
        CASE WHEN call.instant IS NOT NULL THEN format('sets := kursaha_cohort_cluster.first_round(named, %s, $%s);',
            CASE WHEN call.rule IS NULL THEN 'NULL' ELSE format('ARRAY[$%s]', call.rule) END, call.instant) ELSE '' END,
        sets);
    EXECUTE format('COMMENT ON FUNCTION kursaha_cohort_cluster.node_%s IS %L', call.name,
                   format('Calls %s on %s', call.name, CASE call.route WHEN 'one' THEN 'a customer''s node' ELSE 'every node' END));
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.make_call(text, kursaha_cohort_cluster.call) IS 'Creates the functions of a call for an engine';
