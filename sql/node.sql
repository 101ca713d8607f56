-- Functions of a node of a cluster: the range of its customers, and whether it has the definitions that an evaluation
-- expects. docs/CLUSTER.md describes the extension kursaha_cohort_cluster, which calls these functions.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE kursaha_cohort.owned (
    lo integer PRIMARY KEY,
    hi integer NOT NULL,
    CHECK (lo <= hi)
);
COMMENT ON TABLE kursaha_cohort.owned IS 'Which customers this database holds: those whose hashtext(customer_id) is in a range. No row: all. Rows of others are refused (src/pg/owned.rs)';
COMMENT ON COLUMN kursaha_cohort.owned.lo IS 'The first hash of the range';
COMMENT ON COLUMN kursaha_cohort.owned.hi IS 'The last one';

CREATE FUNCTION kursaha_cohort.owned_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_owned_changed';
COMMENT ON FUNCTION kursaha_cohort.owned_changed() IS 'Tells every session that the ranges have changed';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON kursaha_cohort.owned
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.owned_changed();
ALTER TABLE kursaha_cohort.owned ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON kursaha_cohort.owned IS 'Tells every session';
CREATE TRIGGER truncated AFTER TRUNCATE ON kursaha_cohort.owned
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.owned_changed();
ALTER TABLE kursaha_cohort.owned ENABLE ALWAYS TRIGGER truncated;
COMMENT ON TRIGGER truncated ON kursaha_cohort.owned IS 'Tells every session';

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
COMMENT ON FUNCTION kursaha_cohort.cohort_own(integer, integer) IS 'Says which customers this database holds: a range of hashtext(customer_id), or all of them';

CREATE FUNCTION kursaha_cohort.cohort_not_owned() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM kursaha_cohort.owned) THEN
        (SELECT count(*) FROM (SELECT DISTINCT e.customer_id FROM @extschema@.cohort_event e UNION
                               SELECT c.customer_id FROM @extschema@.cohort_customer c) held
         WHERE NOT EXISTS (SELECT FROM kursaha_cohort.owned o WHERE hashtext(held.customer_id) BETWEEN o.lo AND o.hi))
        ELSE 0 END;
$$;
COMMENT ON FUNCTION kursaha_cohort.cohort_not_owned() IS 'How many customers have rows here that another database holds';

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
        SELECT r.referenced_id FROM reached JOIN kursaha_cohort.reference r USING (cohort_id)
    )
    SELECT encode(sha256(convert_to(coalesce(string_agg(format('%L %L', c.name, coalesce(c.rule::text, l.content::text)),
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
                  current_setting('server_encoding')),
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
