-- How the index stands, for those who operate it.
SET LOCAL search_path = pg_catalog, pg_temp;

-- A function, for its setting: the planner expects a third of all events, and would compile (jit) what takes a millisecond.
-- Definer's rights: a view calls functions as its reader, who need not be able to read events. Bound to the tables when
-- it is created, so that a role that renames their schema cannot replace them by others.
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
COMMENT ON FUNCTION kursaha_cohort.tail_size() IS 'The number of unsealed events, and the number of those that wait for a running transaction';

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
COMMENT ON FUNCTION kursaha_cohort.holder() IS 'The oldest running transaction with a transaction id, in any database of the server; rows written after its start are sealed after its end';

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
COMMENT ON VIEW @extschema@.cohort_index_status IS 'The bitmap index: its content, the number of unsealed events, and the reason why they are not sealed';
COMMENT ON COLUMN @extschema@.cohort_index_status.segments IS 'Number of segments of events, profiles and customers';
COMMENT ON COLUMN @extschema@.cohort_index_status.events IS 'Number of events in segments, without dead rows';
COMMENT ON COLUMN @extschema@.cohort_index_status.dead IS 'Number of dead rows of event segments; merging removes them';
COMMENT ON COLUMN @extschema@.cohort_index_status.bytes IS 'Size of all segments';
COMMENT ON COLUMN @extschema@.cohort_index_status.tail IS 'Number of unsealed events';
COMMENT ON COLUMN @extschema@.cohort_index_status.removals IS 'Number of unsealed updates and deletes';
COMMENT ON COLUMN @extschema@.cohort_index_status.customers IS 'Number of customers with an ordinal';
COMMENT ON COLUMN @extschema@.cohort_index_status.watermark IS 'Rows written by transactions with a lower id are in segments';
COMMENT ON COLUMN @extschema@.cohort_index_status.sealed_at IS 'Time of the last sealing';
COMMENT ON COLUMN @extschema@.cohort_index_status.last_error IS 'The last error of sealing by a worker in this database; null if there is none';
COMMENT ON COLUMN @extschema@.cohort_index_status.error_since IS 'The time since when';
COMMENT ON COLUMN @extschema@.cohort_index_status.remedy IS 'The remedy';
COMMENT ON COLUMN @extschema@.cohort_index_status.held_back_by IS 'The oldest running transaction, in any database, for whose end events of the tail wait; other roles'' transactions are shown only to members of pg_read_all_stats';

CREATE VIEW @extschema@.cohort_worker_status AS
SELECT a.backend_type AS worker, a.pid, a.datname AS database, a.backend_start AS started_at, a.state, a.query AS activity
FROM pg_stat_activity a
WHERE a.backend_type LIKE 'kursaha\_cohort %';
COMMENT ON VIEW @extschema@.cohort_worker_status IS 'The running background workers; only the launcher runs permanently. No row unless kursaha_cohort is in shared_preload_libraries. Members of pg_read_all_stats see all columns';
COMMENT ON COLUMN @extschema@.cohort_worker_status.worker IS 'Its kind: launcher, sealer, scheduler or sync';
COMMENT ON COLUMN @extschema@.cohort_worker_status.pid IS 'Process id';
COMMENT ON COLUMN @extschema@.cohort_worker_status.database IS 'Its database; NULL for the launcher';
COMMENT ON COLUMN @extschema@.cohort_worker_status.started_at IS 'Start time';
COMMENT ON COLUMN @extschema@.cohort_worker_status.state IS 'Whether it is active';
COMMENT ON COLUMN @extschema@.cohort_worker_status.activity IS 'Its current task';

-- The counters are those of COPY; src/pg/progress.rs says where ours stand.
CREATE VIEW @extschema@.cohort_progress AS
SELECT p.pid, d.datname AS database,
    CASE p.param11 WHEN 1 THEN 'sealing' WHEN 2 THEN 'merging' WHEN 3 THEN 'checking' WHEN 4 THEN 'deleting' WHEN 5 THEN 'backfilling' END AS phase,
    p.param3 AS done, nullif(p.param12, 0) AS total
FROM pg_stat_get_progress_info('COPY') p
LEFT JOIN pg_database d ON d.oid = p.datid
WHERE p.relid = 'kursaha_cohort.segment_page'::regclass AND p.param11 BETWEEN 1 AND 5
  AND d.datname = current_database();
COMMENT ON VIEW @extschema@.cohort_progress IS 'Progress of sealing, merging, checking, deleting of old events and backfilling in this database';
COMMENT ON COLUMN @extschema@.cohort_progress.pid IS 'Process id';
COMMENT ON COLUMN @extschema@.cohort_progress.database IS 'Its database';
COMMENT ON COLUMN @extschema@.cohort_progress.phase IS 'Its task: sealing, merging, checking, deleting expired events, or backfilling captured tables';
COMMENT ON COLUMN @extschema@.cohort_progress.done IS 'Number of processed rows; for deleting, number of scanned pages of cohort_event';
COMMENT ON COLUMN @extschema@.cohort_progress.total IS 'Approximate total number of rows or pages; null if unknown';

-- What there is to name in rules.
CREATE FUNCTION kursaha_cohort.indexed_properties() RETURNS TABLE (event_type text, property text, types text[], events bigint)
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'indexed_properties_wrapper';
COMMENT ON FUNCTION kursaha_cohort.indexed_properties() IS 'The properties of sealed events; no row for roles whose evaluations cannot use the index';

CREATE VIEW @extschema@.cohort_property AS
SELECT p.event_type, p.property, p.types, p.events FROM kursaha_cohort.indexed_properties() p;
COMMENT ON VIEW @extschema@.cohort_property IS 'The properties of sealed events by event type, for example for pick lists. Unsealed events are missing, and deleted events are counted until their segments are merged. Empty for roles that are restricted by row-level security';
COMMENT ON COLUMN @extschema@.cohort_property.event_type IS 'The type of the events';
COMMENT ON COLUMN @extschema@.cohort_property.property IS 'The property; keys of nested objects are joined by dots';
COMMENT ON COLUMN @extschema@.cohort_property.types IS 'The types of its values: boolean, number, string, and array for arrays and empty objects';
COMMENT ON COLUMN @extschema@.cohort_property.events IS 'Number of events with the property';
