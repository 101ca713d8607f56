-- The background workers: how they are notified of work, and the problems that they report.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE kursaha_cohort.worker_error (
    worker text PRIMARY KEY CHECK (worker IN ('sealer', 'scheduler')),
    message text NOT NULL,
    remedy text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    times bigint NOT NULL DEFAULT 1
);
COMMENT ON TABLE kursaha_cohort.worker_error IS 'Errors of workers: one row for each worker until it succeeds. The view cohort_problem shows them';
COMMENT ON COLUMN kursaha_cohort.worker_error.worker IS 'sealer or scheduler';
COMMENT ON COLUMN kursaha_cohort.worker_error.message IS 'The last error';
COMMENT ON COLUMN kursaha_cohort.worker_error.remedy IS 'The remedy';
COMMENT ON COLUMN kursaha_cohort.worker_error.since IS 'Time of the first occurrence of the error';
COMMENT ON COLUMN kursaha_cohort.worker_error.last_at IS 'Time of the last occurrence';
COMMENT ON COLUMN kursaha_cohort.worker_error.times IS 'Number of occurrences';

CREATE FUNCTION kursaha_cohort.note_rows() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_note_rows';
COMMENT ON FUNCTION kursaha_cohort.note_rows() IS 'Notifies the workers at commit that there are rows to seal';

CREATE FUNCTION kursaha_cohort.note_asked() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_note_asked';
COMMENT ON FUNCTION kursaha_cohort.note_asked() IS 'Notifies the workers at commit that a sync changed';

-- The triggers that write rows and the removal log of events notify the workers. These triggers do so for the other logs.
DO $$
DECLARE
    log text;
BEGIN
    FOREACH log IN ARRAY ARRAY['customer_removed', 'forgotten'] LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER note AFTER INSERT ON kursaha_cohort.%I
            FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.note_rows()', log);
        EXECUTE pg_catalog.format('ALTER TABLE kursaha_cohort.%I ENABLE ALWAYS TRIGGER note', log);
        EXECUTE pg_catalog.format('COMMENT ON TRIGGER note ON kursaha_cohort.%I IS %L', log, 'Tells the workers that there is something to seal');
    END LOOP;
END
$$;

CREATE FUNCTION kursaha_cohort.is_preloaded() RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_preloaded_wrapper';
COMMENT ON FUNCTION kursaha_cohort.is_preloaded() IS 'Returns whether the library is in shared_preload_libraries, so that workers run';

CREATE FUNCTION kursaha_cohort.sync_enabled() RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'sync_enabled_wrapper';
COMMENT ON FUNCTION kursaha_cohort.sync_enabled() IS 'The setting kursaha_cohort.sync_enabled: whether syncs run';

CREATE FUNCTION kursaha_cohort.unsealed_since() RETURNS timestamptz
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'unsealed_since_wrapper';
COMMENT ON FUNCTION kursaha_cohort.unsealed_since() IS 'Commit time of the oldest event that no worker has sealed; null if none is known';

CREATE FUNCTION kursaha_cohort.worker_problem() RETURNS TABLE (what text, since timestamptz, remedy text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'worker_problem_wrapper';
COMMENT ON FUNCTION kursaha_cohort.worker_problem() IS 'The reason why no background worker serves this database, or why none works; no row if there is no problem';
