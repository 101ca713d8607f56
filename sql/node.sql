-- Functions of a node of a cluster: the range of its customers, and whether it has the definitions that an evaluation
-- expects. docs/CLUSTER.md describes the extension kursaha_cohort_cluster, which calls these functions.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE kursaha_cohort.owned (
    lo integer PRIMARY KEY,
    hi integer NOT NULL,
    CHECK (lo <= hi)
);
COMMENT ON TABLE kursaha_cohort.owned IS 'Ranges of hashtext(customer_id): this database stores only the customers in these ranges and refuses rows of others (src/pg/owned.rs). No row: it stores all customers';
COMMENT ON COLUMN kursaha_cohort.owned.lo IS 'The first hash of the range';
COMMENT ON COLUMN kursaha_cohort.owned.hi IS 'The last one';

CREATE FUNCTION kursaha_cohort.owned_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_owned_changed';
COMMENT ON FUNCTION kursaha_cohort.owned_changed() IS 'Notifies every session that the ranges have changed';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON kursaha_cohort.owned
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.owned_changed();
ALTER TABLE kursaha_cohort.owned ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON kursaha_cohort.owned IS 'Notifies every session';
CREATE TRIGGER truncated AFTER TRUNCATE ON kursaha_cohort.owned
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.owned_changed();
ALTER TABLE kursaha_cohort.owned ENABLE ALWAYS TRIGGER truncated;
COMMENT ON TRIGGER truncated ON kursaha_cohort.owned IS 'Notifies every session';

-- The names of internal functions that no privilege set gives begin with cohort_.
CREATE FUNCTION kursaha_cohort.cohort_own(lo integer, hi integer) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (lo IS NULL) <> (hi IS NULL) OR lo > hi THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s to %s is not a range', coalesce(lo::text, 'NULL'), coalesce(hi::text, 'NULL')),
            HINT = 'Both ends are inclusive; NULL to NULL includes every customer.';
    END IF;
    -- A writer that was let in by the ranges of before ends first.
    LOCK TABLE @extschema@.cohort_event, @extschema@.cohort_customer IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM kursaha_cohort.owned;
    IF lo IS NOT NULL THEN
        INSERT INTO kursaha_cohort.owned (lo, hi) VALUES (cohort_own.lo, cohort_own.hi);
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.cohort_own(integer, integer) IS 'Sets the customers that this database stores: a range of hashtext(customer_id), or all customers';

CREATE FUNCTION kursaha_cohort.cohort_not_owned() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM kursaha_cohort.owned) THEN
        (SELECT count(*) FROM (SELECT DISTINCT e.customer_id FROM @extschema@.cohort_event e UNION
                               SELECT c.customer_id FROM @extschema@.cohort_customer c) held
         WHERE NOT EXISTS (SELECT FROM kursaha_cohort.owned o WHERE hashtext(held.customer_id) BETWEEN o.lo AND o.hi))
        ELSE 0 END;
$$;
COMMENT ON FUNCTION kursaha_cohort.cohort_not_owned() IS 'Number of customers with rows in this database that belong to another database';

-- Conditions on customers of several nodes ----------------------------------------------------------------------------------

-- A rule as a node has it. Whether a customer satisfies rank or group depends on customers of other nodes, so that a node
-- has a condition on a set in place of it, which the coordinator sends with each question. The set is named by its content.
CREATE FUNCTION kursaha_cohort.crossing_place(condition jsonb, zone text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'crossing ' || encode(sha256(convert_to(zone || ' ' || condition::text, 'UTF8')), 'hex');
$$;
COMMENT ON FUNCTION kursaha_cohort.crossing_place(jsonb, text) IS 'The name of the set of a condition on customers of several nodes';

CREATE FUNCTION kursaha_cohort.crossing_set(place text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object('customer_in', jsonb_build_object('table', 'kursaha_cohort.crossing', 'column', 'customer_id',
        'where', jsonb_build_object('property', 'place', 'operator', 'eq', 'value', place)));
$$;
COMMENT ON FUNCTION kursaha_cohort.crossing_set(text) IS 'The condition on a set that the coordinator sends';

-- The conditions of a part of a rule that look at several customers, inner before outer, and the part as a node has it.
CREATE FUNCTION kursaha_cohort.crossing_of(part jsonb, zone text, INOUT crossings jsonb, OUT rule jsonb)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    inner_part record;
    done record;
    place text;
BEGIN
    IF jsonb_typeof(part) = 'array' THEN
        rule := '[]';
        FOR inner_part IN SELECT e.value FROM jsonb_array_elements(part) WITH ORDINALITY e (value, n) ORDER BY e.n LOOP
            done := kursaha_cohort.crossing_of(inner_part.value, zone, crossings);
            crossings := done.crossings;
            rule := rule || jsonb_build_array(done.rule);
        END LOOP;
        RETURN;
    ELSIF jsonb_typeof(part) IS DISTINCT FROM 'object' THEN
        rule := part;
        RETURN;
    ELSIF part #>> '{any,customer_in,table}' = 'kursaha_cohort.crossing' THEN
        rule := part; -- as a node has it
        RETURN;
    END IF;
    rule := '{}';
    FOR inner_part IN SELECT e.key, e.value FROM jsonb_each(part) e ORDER BY e.key COLLATE "C" LOOP
        done := kursaha_cohort.crossing_of(inner_part.value, zone, crossings);
        crossings := done.crossings;
        rule := rule || jsonb_build_object(inner_part.key, done.rule);
    END LOOP;
    IF NOT rule ?| ARRAY['rank', 'group'] THEN
        RETURN;
    END IF;
    place := kursaha_cohort.crossing_place(rule - ARRAY['timezone', 'version'], zone);
    crossings := crossings || jsonb_build_array(jsonb_build_object('place', place, 'rule', rule - 'version' || jsonb_build_object('timezone', zone)));
    IF rule ? 'rank' THEN
        -- What else the outermost object of a rule has.
        rule := kursaha_cohort.crossing_set(place)
            || (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(rule) e WHERE e.key IN ('timezone', 'version'));
    ELSE
        -- Of each group that holds, the set has one customer.
        rule := rule - ARRAY['any', 'all', 'none'] || jsonb_build_object('any', kursaha_cohort.crossing_set(place));
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.crossing_of(jsonb, text, jsonb) IS 'A part of a rule as a node has it, and its conditions on customers of several nodes, inner before outer';

CREATE FUNCTION kursaha_cohort.crossing_rule(INOUT rule jsonb, OUT crossings jsonb)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    crossings := '[]';
    IF rule::text ~ '"(rank|group)"' THEN
        SELECT c.rule, c.crossings INTO rule, crossings FROM kursaha_cohort.crossing_of(rule, coalesce(rule ->> 'timezone', 'UTC'), '[]') c;
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.crossing_rule(jsonb) IS 'A rule as a node has it, and its conditions on customers of several nodes, inner before outer';

-- Definer's rights: who asks for a cohort need not read its rule.
CREATE FUNCTION kursaha_cohort.crossings(names text[], rules jsonb[]) RETURNS TABLE (place text, rule jsonb)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        WITH RECURSIVE reached (cohort_id, depth) AS (
            SELECT c.cohort_id, 0 FROM kursaha_cohort.cohort c WHERE c.name = ANY (names)
            UNION
            SELECT r.referenced_id, reached.depth + 1 FROM reached JOIN kursaha_cohort.reference r USING (cohort_id)
        ), asked (rule, depth) AS (
            SELECT c.rule, max(d.depth) FROM reached d JOIN kursaha_cohort.cohort c USING (cohort_id)
            WHERE c.rule::text ~ '"(rank|group)"' GROUP BY c.cohort_id, c.rule
            UNION ALL
            SELECT u.rule, -1 FROM unnest(rules) u (rule)
        ), found AS (
            SELECT f.one ->> 'place' AS place, f.one -> 'rule' AS rule, a.depth, f.n
            FROM asked a, kursaha_cohort.crossing_rule(a.rule) c, jsonb_array_elements(c.crossings) WITH ORDINALITY f (one, n)
        )
        -- What a cohort refers to before itself, and inner before outer.
        SELECT f.place, (array_agg(f.rule))[1] FROM found f GROUP BY f.place ORDER BY max(f.depth) DESC, min(f.n);
END
$$;
COMMENT ON FUNCTION kursaha_cohort.crossings(text[], jsonb[]) IS 'The conditions on customers of several nodes of the given cohorts and rules, and of all cohorts to which they refer, in the order in which they can be evaluated';

CREATE FUNCTION kursaha_cohort.reached_names(names text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (WITH RECURSIVE reached AS (
        SELECT c.cohort_id FROM kursaha_cohort.cohort c WHERE c.name = ANY (names)
        UNION
        SELECT r.referenced_id FROM reached JOIN kursaha_cohort.reference r USING (cohort_id)
    )
    SELECT array_agg(c.name ORDER BY c.name COLLATE "C") FROM reached JOIN kursaha_cohort.cohort c USING (cohort_id));
END
$$;
COMMENT ON FUNCTION kursaha_cohort.reached_names(text[]) IS 'Some cohorts and all to which they refer, directly and through others';

CREATE FUNCTION kursaha_cohort.crossing_sets() RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF coalesce(current_setting('kursaha_cohort_cluster.crossing', true), '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'a rule with "rank" or "group" cannot be evaluated on one node',
            DETAIL = 'It compares a customer with others, who may be on other nodes.',
            HINT = 'Call the function on the coordinator.';
    END IF;
    RETURN current_setting('kursaha_cohort_cluster.crossing')::jsonb;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.crossing_sets() IS 'The sets that the coordinator sent with the current call';

CREATE VIEW kursaha_cohort.crossing AS
SELECT s.place, i.customer_id
FROM jsonb_each(kursaha_cohort.crossing_sets()) s (place, ids), LATERAL jsonb_array_elements_text(s.ids) i (customer_id);
COMMENT ON VIEW kursaha_cohort.crossing IS 'The sets that the coordinator sent with the current call, to which rules of a node refer in place of rank and group';
COMMENT ON COLUMN kursaha_cohort.crossing.place IS 'The name of the set';
COMMENT ON COLUMN kursaha_cohort.crossing.customer_id IS 'A customer of this node';

-- STABLE, so that it runs before the call to which it belongs. It sets what ends with the transaction.
CREATE FUNCTION kursaha_cohort.bind(sets text[]) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('kursaha_cohort_cluster.crossing',
                       (SELECT coalesce(jsonb_object_agg(e.place, e.ids), '{}')::text FROM (
                            SELECT p.key AS place, coalesce(jsonb_agg(i.id) FILTER (WHERE i.id IS NOT NULL), '[]') AS ids
                            FROM unnest(sets) s (one) CROSS JOIN LATERAL jsonb_each(s.one::jsonb) p
                            LEFT JOIN LATERAL jsonb_array_elements(p.value) i (id) ON true GROUP BY p.key) e), true);
    RETURN true;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.bind(text[]) IS 'Sets the sets of the current call';

CREATE FUNCTION kursaha_cohort.entrants(rule jsonb, as_of timestamptz)
    RETURNS TABLE (customer_id text, total numeric, number numeric, value jsonb)
    LANGUAGE c STABLE PARALLEL RESTRICTED CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'entrants_wrapper';
COMMENT ON FUNCTION kursaha_cohort.entrants(jsonb, timestamptz) IS 'The customers of this database who can be in a ranking, with their figures';

CREATE FUNCTION kursaha_cohort.group_numbers(rule jsonb, as_of timestamptz)
    RETURNS TABLE (value jsonb, customers bigint, satisfied bigint, one text)
    LANGUAGE c STABLE PARALLEL RESTRICTED CALLED ON NULL INPUT AS 'MODULE_PATHNAME', 'group_numbers_wrapper';
COMMENT ON FUNCTION kursaha_cohort.group_numbers(jsonb, timestamptz) IS 'The groups of this database, with the number of customers, the number of those who satisfy the condition, and one customer';

-- Definitions ------------------------------------------------------------------------------------------------------------

-- Definer's rights: the fingerprint says nothing but whether two databases have the same.
CREATE FUNCTION kursaha_cohort.fingerprint(names text[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- PL/pgSQL keeps the plan, and each question asks for it.
    RETURN (WITH RECURSIVE reached AS (
        SELECT c.cohort_id FROM kursaha_cohort.cohort c WHERE c.name = ANY (names)
        UNION
        -- What only rank and group refer to, a node's rule does not.
        SELECT r.referenced_id FROM reached JOIN kursaha_cohort.reference r USING (cohort_id)
        JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.cohort o ON o.cohort_id = r.referenced_id
        WHERE c.rule::text !~ '"(rank|group)"'
           OR jsonb_path_exists((kursaha_cohort.crossing_rule(c.rule)).rule, 'strict $.**.cohort ? (@ == $name)',
                                jsonb_build_object('name', o.name), true)
    )
    SELECT encode(sha256(convert_to(coalesce(string_agg(format('%L %L', c.name, coalesce(CASE WHEN c.rule IS NOT NULL THEN (kursaha_cohort.crossing_rule(c.rule)).rule::text END, l.content::text)),
                                                        E'\n' ORDER BY c.name COLLATE "C"), ''), 'UTF8')), 'hex')
    FROM reached JOIN kursaha_cohort.cohort c USING (cohort_id)
    LEFT JOIN kursaha_cohort.list_chunk l ON l.cohort_id = c.cohort_id AND l.from_id = '' AND c.rule IS NULL);
END
$$;
COMMENT ON FUNCTION kursaha_cohort.fingerprint(text[]) IS 'A hash of the definitions of some cohorts and of all that these name, directly and through others: equal in two databases where the definitions are';

-- Arrays, because PL/Proxy gives a database that it knows under two numbers what is meant for both at once.
CREATE FUNCTION kursaha_cohort.expect(los integer[], his integer[], names text[], fingerprint text) RETURNS boolean
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED CALLED ON NULL INPUT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT array_agg(o.lo) <> los OR array_agg(o.hi) <> his FROM kursaha_cohort.owned o) IS DISTINCT FROM false THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the customers %s do not belong to this node',
                             (SELECT string_agg(format('from %s to %s', e.lo, e.hi), ', ') FROM unnest(los, his) e (lo, hi))),
            DETAIL = (SELECT coalesce('It has the customers ' || string_agg(format('from %s to %s', o.lo, o.hi), ', ' ORDER BY o.lo) || '.',
                                      'It does not belong to a cluster.') FROM kursaha_cohort.owned o),
            HINT = 'cohort_cluster_check() on the coordinator checks its map of nodes.';
    END IF;
    IF names IS NOT NULL AND kursaha_cohort.fingerprint(names) IS DISTINCT FROM expect.fingerprint THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = format('this node has another definition of %s, or of a cohort to which it refers', array_to_string(names, ', ')),
            HINT = 'Repeat the call; the coordinator sends its definitions to the node.';
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.expect(integer[], integer[], text[], text) IS 'True where this database holds just one range of customers and has definitions of a fingerprint; otherwise an error';

CREATE FUNCTION kursaha_cohort.cohort_node_define(
    name text, rule jsonb, customer_ids text[], content uuid, description text, owner text
) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found kursaha_cohort.cohort;
BEGIN
    SELECT c.* INTO found FROM kursaha_cohort.cohort c WHERE c.name = cohort_node_define.name;
    IF found.cohort_id IS NOT NULL AND (found.rule IS NULL) <> (cohort_node_define.rule IS NULL) THEN
        PERFORM @extschema@.cohort_drop(found.name);
        found := NULL;
    END IF;
    IF cohort_node_define.rule IS NULL THEN
        PERFORM @extschema@.cohort_import(cohort_node_define.name, customer_ids);
    ELSIF found.cohort_id IS NULL THEN
        PERFORM @extschema@.cohort_create(cohort_node_define.name, cohort_node_define.rule);
    ELSIF found.rule IS DISTINCT FROM cohort_node_define.rule THEN
        PERFORM @extschema@.cohort_update(cohort_node_define.name, cohort_node_define.rule);
    END IF;
    UPDATE kursaha_cohort.cohort c SET description = cohort_node_define.description
    WHERE c.name = cohort_node_define.name AND c.description IS DISTINCT FROM cohort_node_define.description;
    SELECT c.* INTO STRICT found FROM kursaha_cohort.cohort c WHERE c.name = cohort_node_define.name;
    IF found.rule IS NULL THEN
        -- The list is known by the same mark as on the coordinator, and its bitmap with it.
        UPDATE kursaha_cohort.list_index i SET content = cohort_node_define.content
        FROM kursaha_cohort.list_chunk l
        WHERE i.cohort_id = found.cohort_id AND l.cohort_id = found.cohort_id AND l.from_id = '' AND i.content = l.content;
        UPDATE kursaha_cohort.list_chunk l SET content = cohort_node_define.content
        WHERE l.cohort_id = found.cohort_id AND l.from_id = '';
    END IF;
    IF found.owner::text <> cohort_node_define.owner THEN
        PERFORM @extschema@.cohort_set_owner(found.name, cohort_node_define.owner);
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.cohort_node_define(text, jsonb, text[], uuid, text, text) IS 'Makes a cohort what the coordinator has under its name: a rule, or a fixed list';

CREATE FUNCTION kursaha_cohort.cohort_node_rename(name text, new_name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM kursaha_cohort.cohort c WHERE c.name = cohort_node_rename.name)
        AND NOT EXISTS (SELECT FROM kursaha_cohort.cohort c WHERE c.name = cohort_node_rename.new_name)
    THEN
        PERFORM @extschema@.cohort_rename(cohort_node_rename.name, new_name);
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.cohort_node_rename(text, text) IS 'Renames a cohort, unless that was done';

CREATE FUNCTION kursaha_cohort.cohort_node_drop(name text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM kursaha_cohort.cohort c WHERE c.name = cohort_node_drop.name) THEN
        PERFORM @extschema@.cohort_drop(cohort_node_drop.name);
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.cohort_node_drop(text) IS 'Drops a cohort, unless that was done';

-- Memberships ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION kursaha_cohort.members_of(name text, refreshed_at timestamptz) RETURNS TABLE (customer_id text, entered_at timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM @extschema@.cohort_definition d
                   WHERE d.name = members_of.name AND d.refreshed_at IS NOT DISTINCT FROM members_of.refreshed_at) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cohort "%s" was refreshed on this node as of another time', members_of.name),
            HINT = 'SELECT * FROM cohort_refresh(…) on the coordinator refreshes it on every node.';
    END IF;
    RETURN QUERY SELECT m.customer_id, m.entered_at FROM @extschema@.cohort_members(members_of.name) m;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.members_of(text, timestamptz) IS 'The members that the cohort_refresh of an instant stored';

CREATE FUNCTION kursaha_cohort.owned_from() RETURNS integer
    LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(o.lo) FROM kursaha_cohort.owned o;
$$;
COMMENT ON FUNCTION kursaha_cohort.owned_from() IS 'Where the range of this database''s customers begins, by which the coordinator knows the node';

-- What a node answers about itself.
CREATE FUNCTION kursaha_cohort.cohort_node_state(
    OUT version text, OUT server integer, OUT schema text, OUT lo integer, OUT hi integer, OUT clock timestamptz,
    OUT settings text, OUT hash integer, OUT definitions jsonb, OUT roles text[]
)
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
AS $$
    SELECT v.extension, current_setting('server_version_num')::integer, '@extschema@', o.lo, o.hi, clock_timestamp(),
           format('%s, %s, %s, %s', current_setting('datestyle'), current_setting('timezone'), current_setting('intervalstyle'),
                  current_setting('server_encoding'))
               || CASE current_setting('transaction_read_only') WHEN 'on' THEN ', read-only' ELSE '' END,
           hashtext('kursaha_cohort'),
           (SELECT coalesce(jsonb_object_agg(c.name, kursaha_cohort.fingerprint(ARRAY[c.name])), '{}') FROM kursaha_cohort.cohort c
            -- A query cohort is its database's own.
            WHERE NOT EXISTS (SELECT FROM kursaha_cohort.cohort_query q WHERE q.cohort_id = c.cohort_id)),
           ARRAY(SELECT r.rolname::text FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY r.rolname)
    FROM @extschema@.cohort_version() v
    LEFT JOIN (SELECT min(w.lo) AS lo, max(w.hi) AS hi FROM kursaha_cohort.owned w) o ON true;
$$;
COMMENT ON FUNCTION kursaha_cohort.cohort_node_state() IS 'What cohort_cluster_check compares: version, range, clock, settings, definitions and roles';

-- Upgrades repeat this.
DO $$
BEGIN
    PERFORM pg_catalog.pg_extension_config_dump('kursaha_cohort.owned', '');
END
$$;
