-- Syncs run on the coordinator, which sees all members of a cohort: whether somebody who leaves shares an address with somebody
-- who stays, and whether a run would remove too many. They take query cohorts: the query asks the nodes, for profiles too. A rule
-- would be evaluated over the coordinator's own tables, which are empty.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort_cluster.must_be_local(names text[], kinds text[]) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bad text;
BEGIN
    SELECT d.name INTO bad FROM @extschema:kursaha_cohort@.cohort_definition d
    WHERE d.name = ANY (names) AND d.kind <> ALL (kinds) ORDER BY d.name COLLATE "C" LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('cohort "%s" is not a query, and only queries are synced over several nodes', bad),
            HINT = format('SELECT cohort_create_query(%L, %L); and sync that.', bad || ' everywhere',
                          format('SELECT m.customer_id, p.profile FROM @extschema@.cohort_run(%L) m LEFT JOIN @extschema@.cohort_customer p USING (customer_id)', bad));
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort_cluster.must_be_local(text[], text[]) IS 'Raises an error for cohorts that the coordinator cannot evaluate alone';

CREATE FUNCTION @extschema@.cohort_sync_create(cohort text, destination text, frequency text DEFAULT 'daily', at text DEFAULT NULL,
                                               timezone text DEFAULT 'UTC', priority text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.must_be_local(ARRAY[cohort], ARRAY['query']);
    RETURN @extschema:kursaha_cohort@.cohort_sync_create(cohort, destination, frequency, at, timezone, priority);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_sync_create(text, text, text, text, text, text) IS 'Creates a sync of a query cohort to a destination with a schedule, on the coordinator';

CREATE FUNCTION @extschema@.cohort_suppress(name text, destination text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.must_be_local(ARRAY[name], ARRAY['query', 'list']);
    PERFORM @extschema:kursaha_cohort@.cohort_suppress(name, destination);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_suppress(text, text) IS 'Excludes the members of a query cohort or the ids of a fixed list from all syncs, or from the syncs to one destination';

CREATE FUNCTION @extschema@.cohort_priority_create(list_name text, cohorts text[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.must_be_local(cohorts, ARRAY['query', 'list']);
    RETURN @extschema:kursaha_cohort@.cohort_priority_create(list_name, cohorts);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_priority_create(text, text[]) IS 'Creates a priority list of query cohorts and fixed lists, the first with the highest priority';

CREATE FUNCTION @extschema@.cohort_priority_update(list_name text, cohorts text[]) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
BEGIN
    PERFORM kursaha_cohort_cluster.must_be_local(cohorts, ARRAY['query', 'list']);
    RETURN @extschema:kursaha_cohort@.cohort_priority_update(list_name, cohorts);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_priority_update(text, text[]) IS 'Replaces the cohorts of a priority list';
