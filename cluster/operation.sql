-- Index and privileges of all nodes.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION @extschema@.cohort_seal() RETURNS TABLE (events bigint, profiles bigint, removed bigint, segments bigint, took interval)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE @settings@
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT sum(s.events)::bigint, sum(s.profiles)::bigint, sum(s.removed)::bigint, sum(s.segments)::bigint, max(s.took)
        FROM kursaha_cohort_cluster.node_seal(NULL) s;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_seal() IS 'Seals the new rows of every node';

CREATE FUNCTION @extschema@.cohort_reindex() RETURNS TABLE (events bigint, profiles bigint, removed bigint, segments bigint, took interval)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE @settings@
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT sum(s.events)::bigint, sum(s.profiles)::bigint, sum(s.removed)::bigint, sum(s.segments)::bigint, max(s.took)
        FROM kursaha_cohort_cluster.node_reindex(NULL) s;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_reindex() IS 'Rebuilds the bitmap index of every node from its tables';

CREATE FUNCTION @extschema@.cohort_check() RETURNS TABLE (place text, problem text)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE @settings@
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT format('node %s: %s', h.shard, c.place), c.problem
        FROM kursaha_cohort_cluster.node_check(NULL) c LEFT JOIN kursaha_cohort_cluster.shard h ON h.lo = c.lo ORDER BY h.shard, c.place;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_check() IS 'Compares the whole bitmap index of every node with its tables; no row if they agree';

-- A role may call a function of the layer if it may call the one that it stands before.
CREATE FUNCTION @extschema@.cohort_grant(privilege_set text, role text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
DECLARE
    routine regprocedure;
    privilege text;
    kind text;
    server name;
BEGIN
    PERFORM @extschema:kursaha_cohort@.cohort_grant(privilege_set, role);
    PERFORM kursaha_cohort_cluster.node_grant(privilege_set, role, NULL);
    EXECUTE format('GRANT USAGE ON SCHEMA @extschema@, kursaha_cohort_cluster TO %I', role);
    EXECUTE format('GRANT SELECT ON kursaha_cohort_cluster.shard, @extschema@.cohort_cluster_status TO %I', role);
    FOR routine IN
        SELECT l.oid FROM pg_proc l JOIN pg_proc p ON p.proname = l.proname AND p.proargtypes = l.proargtypes
        WHERE l.pronamespace = '@extschema@'::regnamespace AND p.pronamespace = '@extschema:kursaha_cohort@'::regnamespace
          AND has_function_privilege(role, p.oid, 'EXECUTE')
        UNION ALL
        SELECT l.oid FROM pg_proc l
        WHERE l.pronamespace = 'kursaha_cohort_cluster'::regnamespace
          AND (l.proname IN ('home', 'everywhere', 'fingerprint', 'names_in', 'check_rule', 'known', 'is_query', 'named', 'must_be_local', 'bring', 'load',
                              'share', 'shares', 'first_round', 'combine_rank', 'combine_group', 'described', 'rule_of')
               OR l.proname IN ('publish', 'rename', 'withdraw') AND has_function_privilege(role, '@extschema:kursaha_cohort@.cohort_create(text, jsonb, text)', 'EXECUTE')
               OR EXISTS (SELECT FROM kursaha_cohort_cluster.call c WHERE c.sets = 'role' AND l.proname IN ('node_' || c.name, 'send_' || c.name)))
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', routine, role);
    END LOOP;
    FOREACH kind IN ARRAY ARRAY['cohort_event', 'cohort_customer', 'cohort_property', 'cohort_definition'] LOOP
        FOREACH privilege IN ARRAY ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] LOOP
            IF has_table_privilege(role, format('@extschema:kursaha_cohort@.%s', kind), privilege) THEN
                EXECUTE format('GRANT %s ON @extschema@.%s TO %I', privilege, kind, role);
            END IF;
        END LOOP;
    END LOOP;
    FOR server IN SELECT s.srvname FROM pg_foreign_server s WHERE s.srvname ~ '^kursaha_cohort(_\d+)?$' LOOP
        EXECUTE format('GRANT USAGE ON FOREIGN SERVER %I TO %I', server, role);
        IF server <> 'kursaha_cohort' THEN
            PERFORM kursaha_cohort_cluster.map_user(role, server);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_grant(text, text) IS 'Grants a privilege set (monitor, reader, ingest, editor, operator) to a role on the coordinator and on every node, where the role must exist';
