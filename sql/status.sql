-- How the index stands, for those who operate it.
SET LOCAL search_path = pg_catalog, pg_temp;

-- A function, for its setting: the planner expects a third of all events, and would compile (jit) what takes a millisecond.
-- Definer's rights: a view calls functions as its reader, who need not be able to read events. Bound to the tables when
-- it is made: whoever renames the schema of the tables must not put others in their place.
CREATE FUNCTION kursaha_cohort.tail_size(OUT events bigint, OUT waiting bigint)
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
    -- By type, so that the index on types and stamps finds the tail.
    SELECT coalesce(sum(of_type.events), 0)::bigint, coalesce(sum(of_type.waiting), 0)::bigint
    FROM @extschema@.cohort_event_type t, LATERAL (
        SELECT count(*) AS events, count(*) FILTER (WHERE e.stamp >= pg_snapshot_xmin(pg_current_snapshot())) AS waiting
        FROM @extschema@.cohort_event e
        WHERE e.event_type = t.event_type AND e.stamp >= (SELECT s.watermark FROM kursaha_cohort.index_state s)
    ) of_type;
END;
COMMENT ON FUNCTION kursaha_cohort.tail_size() IS 'How many events are not sealed, and how many of them wait for a transaction to end';

CREATE FUNCTION kursaha_cohort.holder(OUT holder text, OUT since timestamptz)
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
AS $$
    -- Sealing goes up to the oldest transaction that runs, in whichever database: none but this one is in its way.
    WITH oldest AS (
        SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::numeric % 4294967296)::text AS xid
    )
    SELECT format('transaction %s of process %s in database "%s" (%s, since %s)',
            a.backend_xid, a.pid, a.datname, a.state, a.xact_start), a.xact_start
    FROM oldest JOIN pg_stat_activity a ON a.backend_xid::text = oldest.xid
    WHERE a.pid <> pg_backend_pid()
    UNION ALL
    SELECT format('prepared transaction "%s" in database "%s" (since %s)', p.gid, p.database, p.prepared), p.prepared
    FROM oldest JOIN pg_prepared_xacts p ON p.transaction::text = oldest.xid
    LIMIT 1
$$;
COMMENT ON FUNCTION kursaha_cohort.holder() IS 'The oldest transaction that runs and writes, in any database of the server: what is written after its beginning is sealed after its end';

CREATE VIEW @extschema@.cohort_index_status AS
WITH state AS (
    SELECT watermark, customers, sealed_at FROM kursaha_cohort.index_state
), segments AS (
    SELECT count(*) AS segments,
        coalesce(sum(rows) FILTER (WHERE kind = 'events'), 0)::bigint AS rows,
        coalesce(sum(dead) FILTER (WHERE kind = 'events'), 0)::bigint AS dead,
        coalesce(sum(bytes), 0)::bigint AS bytes
    FROM kursaha_cohort.segment
), tail AS (
    SELECT events, waiting FROM kursaha_cohort.tail_size()
)
SELECT segments.segments, segments.rows - segments.dead AS events, segments.dead, segments.bytes,
    tail.events AS tail,
    (SELECT coalesce(sum(r.entries), 0) FROM kursaha_cohort.event_removed r)::bigint + (SELECT count(*) FROM kursaha_cohort.customer_removed) AS removals,
    state.customers, state.watermark, state.sealed_at,
    CASE WHEN tail.waiting > 0 THEN (SELECT h.holder FROM kursaha_cohort.holder() h) END AS held_back_by,
    coalesce(error.message, problem.what) AS last_error, coalesce(error.since, problem.since) AS error_since,
    coalesce(error.remedy, problem.remedy) AS remedy
FROM state, segments, tail
LEFT JOIN kursaha_cohort.worker_error error ON error.worker = 'sealer'
-- Without preloading someone else seals.
LEFT JOIN kursaha_cohort.worker_problem() problem ON kursaha_cohort.is_preloaded();
COMMENT ON VIEW @extschema@.cohort_index_status IS 'The bitmap index: what it holds, how many events are not sealed, and what keeps them from it';
COMMENT ON COLUMN @extschema@.cohort_index_status.segments IS 'Segments of events, profiles and customers';
COMMENT ON COLUMN @extschema@.cohort_index_status.events IS 'Events in segments, without those that are gone';
COMMENT ON COLUMN @extschema@.cohort_index_status.dead IS 'Events in segments that are gone; merging drops them';
COMMENT ON COLUMN @extschema@.cohort_index_status.bytes IS 'Size of all segments';
COMMENT ON COLUMN @extschema@.cohort_index_status.tail IS 'Events that are not sealed: rules read them one by one';
COMMENT ON COLUMN @extschema@.cohort_index_status.removals IS 'Updates and deletes that are not sealed';
COMMENT ON COLUMN @extschema@.cohort_index_status.customers IS 'Customers with an ordinal';
COMMENT ON COLUMN @extschema@.cohort_index_status.watermark IS 'Rows written by transactions below are in segments';
COMMENT ON COLUMN @extschema@.cohort_index_status.sealed_at IS 'When it was last sealed';
COMMENT ON COLUMN @extschema@.cohort_index_status.last_error IS 'What keeps the workers from sealing here; null while nothing does';
COMMENT ON COLUMN @extschema@.cohort_index_status.error_since IS 'Since when';
COMMENT ON COLUMN @extschema@.cohort_index_status.remedy IS 'What to do about it';
COMMENT ON COLUMN @extschema@.cohort_index_status.held_back_by IS 'The oldest transaction that runs and writes, in any database, where events of the tail wait for its end; who may not read pg_stat_activity sees none of others';

CREATE VIEW @extschema@.cohort_worker_status AS
SELECT a.backend_type AS worker, a.pid, a.datname AS database, a.backend_start AS started_at, a.state, a.query AS activity
FROM pg_stat_activity a
WHERE a.backend_type LIKE 'kursaha\_cohort %';
COMMENT ON VIEW @extschema@.cohort_worker_status IS 'The background workers that run now: all but the launcher come and go; no row unless kursaha_cohort is among shared_preload_libraries. Members of pg_read_all_stats see all of it';
COMMENT ON COLUMN @extschema@.cohort_worker_status.worker IS 'What it does: launcher, sealer, scheduler or sync';
COMMENT ON COLUMN @extschema@.cohort_worker_status.pid IS 'Its process';
COMMENT ON COLUMN @extschema@.cohort_worker_status.database IS 'Its database; none for the launcher';
COMMENT ON COLUMN @extschema@.cohort_worker_status.started_at IS 'When it started';
COMMENT ON COLUMN @extschema@.cohort_worker_status.state IS 'Whether it is at work';
COMMENT ON COLUMN @extschema@.cohort_worker_status.activity IS 'What it does';

-- The counters are those of COPY; src/pg/progress.rs says where ours stand.
CREATE VIEW @extschema@.cohort_progress AS
SELECT p.pid, d.datname AS database,
    CASE p.param11 WHEN 1 THEN 'sealing' WHEN 2 THEN 'merging' WHEN 3 THEN 'checking' WHEN 4 THEN 'deleting' WHEN 5 THEN 'backfilling' END AS phase,
    p.param3 AS done, nullif(p.param12, 0) AS total
FROM pg_stat_get_progress_info('COPY') p
LEFT JOIN pg_database d ON d.oid = p.datid
WHERE p.relid = 'kursaha_cohort.segment_page'::regclass AND p.param11 BETWEEN 1 AND 5
  AND d.datname = current_database();
COMMENT ON VIEW @extschema@.cohort_progress IS 'Sealing, merging, checking, deleting of old events and backfilling that run now, here';
COMMENT ON COLUMN @extschema@.cohort_progress.pid IS 'The process at work';
COMMENT ON COLUMN @extschema@.cohort_progress.database IS 'Its database';
COMMENT ON COLUMN @extschema@.cohort_progress.phase IS 'What it does: sealing, merging, checking, deleting events that are older than they are kept, or backfilling captured tables';
COMMENT ON COLUMN @extschema@.cohort_progress.done IS 'Rows done; of deleting, pages of cohort_event gone through';
COMMENT ON COLUMN @extschema@.cohort_progress.total IS 'Rows, or pages, in all, about; null when that is not known';

-- What there is to name in rules.
CREATE FUNCTION kursaha_cohort.indexed_properties() RETURNS TABLE (event_type text, property text, types text[], events bigint)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'indexed_properties_wrapper';
COMMENT ON FUNCTION kursaha_cohort.indexed_properties() IS 'The properties of sealed events; none for whom the index may not answer';

CREATE VIEW @extschema@.cohort_property AS
SELECT p.event_type, p.property, p.types, p.events FROM kursaha_cohort.indexed_properties() p;
COMMENT ON VIEW @extschema@.cohort_property IS 'The properties of sealed events, by event type, for pick lists: as segments hold them, so that events of the last seconds may be missing, and what was deleted since is counted until it is merged. Empty for whom row-level security restricts';
COMMENT ON COLUMN @extschema@.cohort_property.event_type IS 'The type of the events';
COMMENT ON COLUMN @extschema@.cohort_property.property IS 'The property; keys of nested objects are joined by dots';
COMMENT ON COLUMN @extschema@.cohort_property.types IS 'The types of its values: boolean, number, string, and array for arrays and empty objects';
COMMENT ON COLUMN @extschema@.cohort_property.events IS 'How many events have it';
