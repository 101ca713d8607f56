-- Stored memberships: each node stores its own customers', as of one instant of the coordinator's clock.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION @extschema@.cohort_refresh(name text, as_of timestamptz)
    RETURNS TABLE (size bigint, entered bigint, exited bigint, took interval)
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_refresh.name) THEN
        RETURN QUERY SELECT r.size, r.entered, r.exited, r.took FROM @extschema:kursaha_cohort@.cohort_refresh(cohort_refresh.name, cohort_refresh.as_of) r;
        RETURN;
    END IF;
    RETURN QUERY SELECT sum(r.size)::bigint, sum(r.entered)::bigint, sum(r.exited)::bigint, max(r.took)
        FROM kursaha_cohort_cluster.node_refresh(cohort_refresh.name, coalesce(cohort_refresh.as_of, now()),
                                                 kursaha_cohort_cluster.known(cohort_refresh.name)) r
        HAVING count(*) > 0;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_refresh(text, timestamptz) IS 'Evaluates a saved cohort on every node at one instant, not before its last refresh, and stores the members and the changes';

CREATE FUNCTION @extschema@.cohort_refresh(name text) RETURNS TABLE (size bigint, entered bigint, exited bigint, took interval)
    LANGUAGE sql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT * FROM @extschema@.cohort_refresh($1, NULL);
$$;
COMMENT ON FUNCTION @extschema@.cohort_refresh(text) IS 'Evaluates a saved cohort now on every node, and stores the members and the changes';

CREATE FUNCTION @extschema@.cohort_members(name text) RETURNS TABLE (customer_id text, entered_at timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    names text[];
    instants timestamptz[];
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_members.name) THEN
        RETURN QUERY SELECT m.customer_id, m.entered_at FROM @extschema:kursaha_cohort@.cohort_members(cohort_members.name) m;
        RETURN;
    END IF;
    names := kursaha_cohort_cluster.known(cohort_members.name);
    IF names IS NULL THEN
        RETURN;
    END IF;
    -- A refresh that did not reach every node would give members of two instants.
    instants := ARRAY(SELECT DISTINCT s.refreshed_at FROM kursaha_cohort_cluster.node_sizes(names) s WHERE s.cohort = cohort_members.name);
    IF cardinality(instants) > 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('the last refresh of cohort "%s" did not reach every node', cohort_members.name),
            HINT = 'SELECT * FROM cohort_refresh(…) refreshes it on every node.';
    END IF;
    RETURN QUERY SELECT m.customer_id, m.entered_at FROM kursaha_cohort_cluster.node_members(cohort_members.name, instants[1], names) m;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_members(text) IS 'The members that the last cohort_refresh stored on all nodes, and since when';

CREATE FUNCTION @extschema@.cohort_history(name text)
    RETURNS TABLE (refreshed_at timestamptz, size bigint, entered bigint, exited bigint, took interval, version integer)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
DECLARE
    nodes CONSTANT bigint := (SELECT count(*) FROM kursaha_cohort_cluster.shard);
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_history.name) THEN
        RETURN QUERY SELECT h.refreshed_at, h.size, h.entered, h.exited, h.took, h.version FROM @extschema:kursaha_cohort@.cohort_history(cohort_history.name) h;
        RETURN;
    END IF;
    RETURN QUERY
        WITH by_node AS (
            -- A refresh that was repeated as of the same instant found the same members, and nobody who entered.
            SELECT h.refreshed_at, h.lo, (array_agg(h.size ORDER BY h.place))[1] AS size, sum(h.entered) AS entered, sum(h.exited) AS exited,
                   max(h.took) AS took, (array_agg(h.version ORDER BY h.place))[1] AS version
            FROM ROWS FROM (kursaha_cohort_cluster.node_history(cohort_history.name, kursaha_cohort_cluster.known(cohort_history.name)))
                 WITH ORDINALITY h (lo, refreshed_at, size, entered, exited, took, version, place)
            GROUP BY h.refreshed_at, h.lo
        )
        SELECT n.refreshed_at, sum(n.size)::bigint, sum(n.entered)::bigint, sum(n.exited)::bigint, max(n.took),
               CASE WHEN min(n.version) = max(n.version) THEN min(n.version) END
        FROM by_node n GROUP BY n.refreshed_at HAVING count(*) = nodes ORDER BY n.refreshed_at DESC;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_history(text) IS 'The refreshes of a cohort that reached every node, newest first; version is NULL if the nodes have different numbers';

CREATE FUNCTION @extschema@.cohort_changes(name text, since timestamptz DEFAULT '-infinity')
    RETURNS TABLE (customer_id text, change text, changed_at timestamptz)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE CALLED ON NULL INPUT @settings@
AS $$
#variable_conflict use_column
BEGIN
    IF kursaha_cohort_cluster.is_query(cohort_changes.name) THEN
        RETURN QUERY SELECT c.customer_id, c.change, c.changed_at FROM @extschema:kursaha_cohort@.cohort_changes(cohort_changes.name, cohort_changes.since) c;
        RETURN;
    END IF;
    RETURN QUERY SELECT c.customer_id, c.change, c.changed_at
        FROM kursaha_cohort_cluster.node_changes(cohort_changes.name, cohort_changes.since, kursaha_cohort_cluster.known(cohort_changes.name)) c
        ORDER BY c.changed_at, c.customer_id COLLATE "C";
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_changes(text, timestamptz) IS 'The customers who entered and exited at the refreshes of a cohort after an instant, on all nodes, oldest first';
