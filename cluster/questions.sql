-- Questions: each node answers for its own customers at one instant, and the answers are put together.
SET LOCAL search_path = pg_catalog, pg_temp;

-- A node may have a cohort of that name, of a call that failed half-way: the coordinator says which cohorts there are.
CREATE FUNCTION kursaha_cohort_cluster.known(name text) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF name IS NULL THEN
        RETURN NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM @extschema:kursaha_cohort@.cohort_definition d WHERE d.name = known.name) THEN
        PERFORM FROM @extschema:kursaha_cohort@.cohort_history(name); -- which says so, and what is like it
    END IF;
    RETURN ARRAY[name];
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.known(text) IS 'The name of a cohort, as an argument of node_ functions; an error if the coordinator has no cohort of that name';

CREATE FUNCTION kursaha_cohort_cluster.is_query(name text) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM @extschema:kursaha_cohort@.cohort_definition d WHERE d.name = is_query.name AND d.kind = 'query');
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.is_query(text) IS 'Whether a cohort is a query cohort. These exist only on the coordinator, where their query reads the nodes';

CREATE FUNCTION kursaha_cohort_cluster.named(rule jsonb) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    query text;
BEGIN
    PERFORM kursaha_cohort_cluster.check_rule(rule);
    SELECT n INTO query FROM unnest(kursaha_cohort_cluster.names_in(rule)) n WHERE kursaha_cohort_cluster.is_query(n) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid cohort rule: cohort "%s" is a query, which a rule cannot name', query),
            HINT = 'cohort_import saves the members of a query as a fixed list, which a rule can name.';
    END IF;
    RETURN nullif(kursaha_cohort_cluster.names_in(rule), '{}');
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.named(jsonb) IS 'The cohorts to which a rule refers, as an argument of node_ functions; an error if a node cannot evaluate the rule';

-- A node has a set in place of rank and group. The coordinator describes the rule as it is, without the conditions inside of these,
-- which were evaluated in the first round.
CREATE FUNCTION kursaha_cohort_cluster.described(rule jsonb) RETURNS TABLE (path text, condition text, crosses boolean)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH part AS MATERIALIZED (
            SELECT e.path, e.condition, jsonb_path_exists(rule, format('%s ? (exists (@.rank) || exists (@.group))', e.path)::jsonpath) AS crosses
            FROM @extschema:kursaha_cohort@.cohort_explain(rule) e
        )
        SELECT p.path, p.condition, p.crosses FROM part p
        WHERE NOT EXISTS (SELECT FROM part q WHERE q.crosses AND q.path <> p.path AND starts_with(p.path, q.path));
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.described(jsonb) IS 'The conditions of a rule that are not inside of rank or group';

CREATE FUNCTION kursaha_cohort_cluster.rule_of(name text) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT d.rule FROM @extschema:kursaha_cohort@.cohort_definition d
            WHERE d.name = rule_of.name AND d.rule::text ~ '"(rank|group)"');
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.rule_of(text) IS 'The rule of a saved cohort with rank or group; NULL of others';

CREATE FUNCTION @extschema@.cohort_count(name text, as_of timestamptz DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_count.name) THEN
        RETURN @extschema:kursaha_cohort@.cohort_count(name, as_of);
    END IF;
    RETURN (SELECT sum(c.n) FROM kursaha_cohort_cluster.node_count(name, coalesce(as_of, now()), kursaha_cohort_cluster.known(name)) c);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_count(text, timestamptz) IS 'The number of members of a saved cohort at an instant, on all nodes';

CREATE FUNCTION @extschema@.cohort_run(name text, as_of timestamptz DEFAULT NULL) RETURNS TABLE (customer_id text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_run.name) THEN
        RETURN QUERY SELECT r.customer_id FROM @extschema:kursaha_cohort@.cohort_run(cohort_run.name, cohort_run.as_of) r;
        RETURN;
    END IF;
    RETURN QUERY SELECT r.customer_id
        FROM kursaha_cohort_cluster.node_run(cohort_run.name, coalesce(cohort_run.as_of, now()), kursaha_cohort_cluster.known(cohort_run.name)) r;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_run(text, timestamptz) IS 'The customer ids of a saved cohort''s members at an instant, of all nodes, in no particular order';

CREATE FUNCTION @extschema@.cohort_evaluate(rule jsonb, as_of timestamptz DEFAULT NULL) RETURNS TABLE (customer_id text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT r.customer_id
        FROM kursaha_cohort_cluster.node_evaluate(rule, coalesce(as_of, now()), kursaha_cohort_cluster.named(rule)) r;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_evaluate(jsonb, timestamptz) IS 'The customer ids that an unsaved rule selects at an instant, of all nodes';

-- Two of its columns and arguments have one name, which PL/pgSQL does not allow. What it calls is made by cohort_cluster_init.
SET LOCAL check_function_bodies = off;
CREATE FUNCTION @extschema@.cohort_preview(rule jsonb, sample integer DEFAULT 10, as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (size bigint, universe bigint, sample text[])
    LANGUAGE sql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
    -- The first of all are among the first of each.
    WITH answer AS MATERIALIZED (
        SELECT p.size, p.universe, p.sample
        FROM kursaha_cohort_cluster.node_preview($1, $2, coalesce($3, now()), kursaha_cohort_cluster.named($1)) p
    )
    SELECT sum(a.size)::bigint, sum(a.universe)::bigint,
           ARRAY(SELECT id FROM answer, unnest(answer.sample) id ORDER BY id COLLATE "C" LIMIT $2)
    FROM answer a HAVING count(*) > 0;
$$;
SET LOCAL check_function_bodies = on;
COMMENT ON FUNCTION @extschema@.cohort_preview(jsonb, integer, timestamptz) IS 'The result of an unsaved rule on all nodes: its size, the size of the universe, and the first ids in byte order';

CREATE FUNCTION @extschema@.cohort_overlap(names text[], as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (cohorts text[], customers bigint, only_these bigint)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    PERFORM kursaha_cohort_cluster.known(n) FROM unnest(names) n;
    IF EXISTS (SELECT FROM unnest(names) n WHERE kursaha_cohort_cluster.is_query(n)) THEN
        -- Members of a query are known to the coordinator alone.
        RETURN QUERY
            WITH held AS MATERIALIZED (
                SELECT m.customer_id, sum(1 << (n.place - 1)::integer)::integer AS bits
                FROM unnest(names) WITH ORDINALITY n (name, place), @extschema@.cohort_run(n.name, cohort_overlap.as_of) m
                GROUP BY m.customer_id
            ), exact AS MATERIALIZED (SELECT h.bits, count(*) AS customers FROM held h GROUP BY h.bits)
            SELECT ARRAY(SELECT n.name FROM unnest(names) WITH ORDINALITY n (name, place) WHERE mask >> (n.place - 1)::integer & 1 = 1 ORDER BY n.place),
                   coalesce((SELECT sum(e.customers) FROM exact e WHERE e.bits & mask = mask), 0)::bigint,
                   coalesce((SELECT e.customers FROM exact e WHERE e.bits = mask), 0)
            FROM generate_series(1, (1 << cardinality(names)) - 1) mask ORDER BY mask;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT o.cohorts, sum(o.customers)::bigint, sum(o.only_these)::bigint
        FROM ROWS FROM (kursaha_cohort_cluster.node_overlap(names, coalesce(as_of, now()), nullif(names, '{}'))) WITH ORDINALITY
             o (cohorts, customers, only_these, place)
        GROUP BY o.cohorts ORDER BY min(o.place);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_overlap(text[], timestamptz) IS 'For each combination of the given cohorts, the number of customers of all nodes who are in all of them, and how many of these are in none of the other given cohorts';

CREATE FUNCTION @extschema@.cohort_explain(name text, as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (condition text, path text, customers bigint, events bigint, took interval, how text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    own CONSTANT jsonb := kursaha_cohort_cluster.rule_of(cohort_explain.name);
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_explain.name) THEN
        RETURN QUERY SELECT e.* FROM @extschema:kursaha_cohort@.cohort_explain(cohort_explain.name, cohort_explain.as_of) e;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT coalesce(min(d.condition), min(e.condition)), e.path, sum(e.customers)::bigint, sum(e.events)::bigint, max(e.took), string_agg(DISTINCT e.how, '; ')
        FROM ROWS FROM (kursaha_cohort_cluster.node_explain(cohort_explain.name, coalesce(cohort_explain.as_of, now()),
                                                            kursaha_cohort_cluster.known(cohort_explain.name))) WITH ORDINALITY
             e (condition, path, customers, events, took, how, place)
        LEFT JOIN kursaha_cohort_cluster.described(own) d USING (path)
        WHERE own IS NULL OR d.path IS NOT NULL
        GROUP BY e.path ORDER BY min(e.place);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_explain(text, timestamptz) IS 'One row for each condition of a saved cohort: exact counts of all nodes, the time of the slowest node, and how it was evaluated';

CREATE FUNCTION @extschema@.cohort_explain(rule jsonb, as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (condition text, path text, customers bigint, events bigint, took interval, how text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    own CONSTANT jsonb := CASE WHEN rule::text ~ '"(rank|group)"' THEN rule END;
BEGIN
    RETURN QUERY
        SELECT coalesce(min(d.condition), min(e.condition)), e.path, sum(e.customers)::bigint, sum(e.events)::bigint, max(e.took), string_agg(DISTINCT e.how, '; ')
        FROM ROWS FROM (kursaha_cohort_cluster.node_explain_rule(rule, coalesce(as_of, now()), kursaha_cohort_cluster.named(rule))) WITH ORDINALITY
             e (condition, path, customers, events, took, how, place)
        LEFT JOIN kursaha_cohort_cluster.described(own) d USING (path)
        WHERE own IS NULL OR d.path IS NOT NULL
        GROUP BY e.path ORDER BY min(e.place);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_explain(jsonb, timestamptz) IS 'One row for each condition of a rule: exact counts of all nodes, the time of the slowest node, and how it was evaluated';

CREATE FUNCTION @extschema@.cohort_contains(name text, customer_id text, as_of timestamptz DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_contains.name) THEN
        RETURN @extschema:kursaha_cohort@.cohort_contains(name, customer_id, as_of);
    END IF;
    RETURN (SELECT c.holds FROM kursaha_cohort_cluster.node_contains(
        name, customer_id, coalesce(as_of, now()), kursaha_cohort_cluster.known(name), customer_id) c);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_contains(text, text, timestamptz) IS 'Whether one customer is in a saved cohort at an instant; calls only the node of that customer';

CREATE FUNCTION @extschema@.cohort_why(name text, customer_id text, as_of timestamptz DEFAULT NULL)
    RETURNS TABLE (path text, condition text, holds boolean, evidence jsonb)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    own CONSTANT jsonb := kursaha_cohort_cluster.rule_of(cohort_why.name);
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_why.name) THEN
        RETURN QUERY SELECT w.* FROM @extschema:kursaha_cohort@.cohort_why(cohort_why.name, cohort_why.customer_id, cohort_why.as_of) w;
        RETURN;
    END IF;
    RETURN QUERY SELECT w.path, coalesce(d.condition, w.condition), w.holds, CASE WHEN d.crosses THEN NULL ELSE w.evidence END
        FROM ROWS FROM (kursaha_cohort_cluster.node_why(
            cohort_why.name, cohort_why.customer_id, coalesce(cohort_why.as_of, now()), kursaha_cohort_cluster.known(cohort_why.name),
            cohort_why.customer_id)) WITH ORDINALITY w (path, condition, holds, evidence, place)
        LEFT JOIN kursaha_cohort_cluster.described(own) d USING (path)
        WHERE own IS NULL OR d.path IS NOT NULL ORDER BY w.place;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_why(text, text, timestamptz) IS 'For each condition of a cohort, whether one customer satisfies it, and the events or values that decide it; calls only the node of that customer';

CREATE FUNCTION @extschema@.cohort_of(customer_id text, as_of timestamptz DEFAULT NULL) RETURNS TABLE (cohort text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    -- A node may have others, of a call that failed half-way.
    names CONSTANT text[] := ARRAY(SELECT d.name FROM @extschema:kursaha_cohort@.cohort_definition d WHERE d.kind <> 'query');
BEGIN
    RETURN QUERY SELECT o.cohort FROM kursaha_cohort_cluster.node_of(
        cohort_of.customer_id, coalesce(cohort_of.as_of, now()), nullif(names, '{}'), cohort_of.customer_id) o
        WHERE o.cohort = ANY (names) ORDER BY o.cohort COLLATE "C";
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_of(text, timestamptz) IS 'Returns the names of the saved cohorts of which a customer is a member at an instant; calls only the node of that customer';
