-- What is wrong, and what to do about it. One view for each thing that can be: the view cohort_problem is all of them.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE VIEW kursaha_cohort.problem_of_workers AS
SELECT w.what, w.since, NULL::text AS detail, w.remedy
FROM kursaha_cohort.worker_problem() w
-- Where the library is not preloaded that is a choice, unless syncs wait for it.
WHERE kursaha_cohort.is_preloaded()
   OR EXISTS (SELECT FROM kursaha_cohort.sync s WHERE s.state = 'active' AND s.home = kursaha_cohort.home());
COMMENT ON VIEW kursaha_cohort.problem_of_workers IS 'Reasons why no background worker serves this database';
COMMENT ON COLUMN kursaha_cohort.problem_of_workers.what IS 'The problem';
COMMENT ON COLUMN kursaha_cohort.problem_of_workers.since IS 'The time since when';
COMMENT ON COLUMN kursaha_cohort.problem_of_workers.detail IS 'Details';
COMMENT ON COLUMN kursaha_cohort.problem_of_workers.remedy IS 'The remedy';

CREATE VIEW kursaha_cohort.problem_of_errors AS
SELECT pg_catalog.format('the %s fails: %s', e.worker, e.message) AS what, e.since,
    pg_catalog.format('%s times, the last at %s', e.times, e.last_at) AS detail, e.remedy
FROM kursaha_cohort.worker_error e;
COMMENT ON VIEW kursaha_cohort.problem_of_errors IS 'Errors of background workers';
COMMENT ON COLUMN kursaha_cohort.problem_of_errors.what IS 'The problem';
COMMENT ON COLUMN kursaha_cohort.problem_of_errors.since IS 'The time since when';
COMMENT ON COLUMN kursaha_cohort.problem_of_errors.detail IS 'Details';
COMMENT ON COLUMN kursaha_cohort.problem_of_errors.remedy IS 'The remedy';

CREATE VIEW kursaha_cohort.problem_of_tail AS
SELECT pg_catalog.format('%s events are not sealed', t.events) AS what, w.since,
    CASE WHEN h.holder IS NOT NULL THEN pg_catalog.format('they wait for %s', h.holder) END AS detail,
    CASE WHEN h.holder IS NOT NULL THEN 'End that transaction: COMMIT or ROLLBACK in its session, or pg_terminate_backend(its process); for a prepared one ROLLBACK PREPARED.'
         WHEN kursaha_cohort.is_preloaded() THEN 'See the other rows of cohort_problem and the server''s log; SELECT cohort_seal() seals in this session and reports the error.'
         ELSE 'Run SELECT cohort_seal() from cron, or add kursaha_cohort to shared_preload_libraries.' END AS remedy
FROM kursaha_cohort.index_state i, kursaha_cohort.tail_size() t
LEFT JOIN LATERAL (SELECT o.holder, o.since FROM kursaha_cohort.holder() o WHERE t.waiting > 0) h ON true
CROSS JOIN LATERAL (SELECT CASE WHEN kursaha_cohort.is_preloaded() THEN kursaha_cohort.unsealed_since()
                                ELSE i.sealed_at END AS since) w
-- A sealing that takes its time is no problem yet.
WHERE t.events > 0 AND CASE WHEN kursaha_cohort.is_preloaded()
    THEN w.since < pg_catalog.clock_timestamp() - interval '1 minute' - 3 * pg_catalog.current_setting('kursaha_cohort.seal_interval')::interval
    ELSE t.events > 2 * pg_catalog.current_setting('kursaha_cohort.seal_rows')::bigint
        AND coalesce(w.since < pg_catalog.clock_timestamp() - interval '10 minutes', true) END;
COMMENT ON VIEW kursaha_cohort.problem_of_tail IS 'Events that are overdue for sealing';
COMMENT ON COLUMN kursaha_cohort.problem_of_tail.what IS 'The problem';
COMMENT ON COLUMN kursaha_cohort.problem_of_tail.since IS 'The time since when';
COMMENT ON COLUMN kursaha_cohort.problem_of_tail.detail IS 'Details';
COMMENT ON COLUMN kursaha_cohort.problem_of_tail.remedy IS 'The remedy';

CREATE VIEW kursaha_cohort.problem_of_syncs AS
SELECT pg_catalog.format('the sync of "%s" to "%s" %s', c.name, d.name,
        CASE WHEN s.home <> kursaha_cohort.home() THEN 'is disarmed'
             WHEN s.state = 'needs_attention' THEN 'needs attention'
             WHEN s.state = 'held' THEN 'is held'
             WHEN s.state = 'quarantined' THEN 'is quarantined'
             WHEN r.run_id IS NOT NULL THEN 'waits'
             ELSE 'failed' END) AS what,
    CASE WHEN r.run_id IS NOT NULL THEN r.queued_at ELSE l.ended_at END AS since,
    coalesce(CASE WHEN s.home <> kursaha_cohort.home() THEN 'it was created on another server or database, which may still run it' END,
        r.error, s.why, l.error) AS detail,
    coalesce(CASE WHEN s.home <> kursaha_cohort.home() THEN 'If the other one no longer runs syncs: SELECT cohort_sync_arm();' END,
        r.hint, s.hint, l.hint, 'See cohort_sync_run.') AS remedy
FROM kursaha_cohort.sync s JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.destination d USING (destination_id)
-- A run that waits for a minute or more because something went wrong.
LEFT JOIN kursaha_cohort.sync_run r ON r.run_id = s.run_id AND r.error IS NOT NULL AND r.state IN ('queued', 'waiting')
    AND r.queued_at < pg_catalog.clock_timestamp() - interval '1 minute'
LEFT JOIN LATERAL (SELECT l.* FROM kursaha_cohort.sync_run l WHERE l.sync_id = s.sync_id AND l.ended_at IS NOT NULL
                   ORDER BY l.run_id DESC LIMIT 1) l ON true
WHERE s.state <> 'paused'
  AND (s.home <> kursaha_cohort.home() OR s.state <> 'active' OR s.failures > 0 OR r.run_id IS NOT NULL);
COMMENT ON VIEW kursaha_cohort.problem_of_syncs IS 'Syncs that do not run: held, failed, in need of attention, or disarmed';
COMMENT ON COLUMN kursaha_cohort.problem_of_syncs.what IS 'The problem';
COMMENT ON COLUMN kursaha_cohort.problem_of_syncs.since IS 'The time since when';
COMMENT ON COLUMN kursaha_cohort.problem_of_syncs.detail IS 'Details';
COMMENT ON COLUMN kursaha_cohort.problem_of_syncs.remedy IS 'The remedy';

CREATE VIEW kursaha_cohort.problem_of_version AS
SELECT pg_catalog.format('the library is of version %s, the extension of version %s', v.library, e.extversion) AS what,
    NULL::timestamptz AS since, NULL::text AS detail,
    'ALTER EXTENSION kursaha_cohort UPDATE; if the library is older, restart the server.' AS remedy
FROM pg_catalog.pg_extension e, kursaha_cohort.library_version() v (library)
WHERE e.extname = 'kursaha_cohort' AND e.extversion <> v.library;
COMMENT ON VIEW kursaha_cohort.problem_of_version IS 'Different versions of library and extension';
COMMENT ON COLUMN kursaha_cohort.problem_of_version.what IS 'The problem';
COMMENT ON COLUMN kursaha_cohort.problem_of_version.since IS 'The time since when';
COMMENT ON COLUMN kursaha_cohort.problem_of_version.detail IS 'Details';
COMMENT ON COLUMN kursaha_cohort.problem_of_version.remedy IS 'The remedy';

CREATE VIEW kursaha_cohort.problem_of_index AS
SELECT pg_catalog.format('the index is not used, plain SQL is used instead: %s', p.problem) AS what, NULL::timestamptz AS since,
    'Until then nothing is sealed. Results stay exact; evaluations are slower.' AS detail, p.remedy
FROM kursaha_cohort.index_problem() p;
COMMENT ON VIEW kursaha_cohort.problem_of_index IS 'DDL on cohort_event or cohort_customer because of which the index cannot be used';
COMMENT ON COLUMN kursaha_cohort.problem_of_index.what IS 'The problem';
COMMENT ON COLUMN kursaha_cohort.problem_of_index.since IS 'The time since when';
COMMENT ON COLUMN kursaha_cohort.problem_of_index.detail IS 'Details';
COMMENT ON COLUMN kursaha_cohort.problem_of_index.remedy IS 'The remedy';

CREATE VIEW kursaha_cohort.problem_of_captures AS
SELECT pg_catalog.format('the capture of %s as %s is %s', c.source, coalesce(quote_literal(c.event_type), 'profiles'), c.state) AS what,
    c.last_skipped_at AS since, c.problem AS detail, c.hint AS remedy
FROM @extschema@.cohort_capture_status c WHERE c.problem IS NOT NULL;
COMMENT ON VIEW kursaha_cohort.problem_of_captures IS 'Captures that record no rows, or skip rows';
COMMENT ON COLUMN kursaha_cohort.problem_of_captures.what IS 'The problem';
COMMENT ON COLUMN kursaha_cohort.problem_of_captures.since IS 'The time when a row was last skipped';
COMMENT ON COLUMN kursaha_cohort.problem_of_captures.detail IS 'Details';
COMMENT ON COLUMN kursaha_cohort.problem_of_captures.remedy IS 'The remedy';

CREATE TABLE kursaha_cohort.problem_told (
    problem text PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE kursaha_cohort.problem_told IS 'Current problems that have been written to the server log';
COMMENT ON COLUMN kursaha_cohort.problem_told.problem IS 'The problem, as in cohort_problem';
COMMENT ON COLUMN kursaha_cohort.problem_told.since IS 'Time of the warning';

-- To add a problem: a view of these four columns above, and a line here.
CREATE VIEW @extschema@.cohort_problem AS
SELECT p.what, p.since, p.detail, p.remedy FROM kursaha_cohort.problem_of_workers p
UNION ALL SELECT p.what, p.since, p.detail, p.remedy FROM kursaha_cohort.problem_of_errors p
UNION ALL SELECT p.what, p.since, p.detail, p.remedy FROM kursaha_cohort.problem_of_tail p
UNION ALL SELECT p.what, p.since, p.detail, p.remedy FROM kursaha_cohort.problem_of_syncs p
UNION ALL SELECT p.what, p.since, p.detail, p.remedy FROM kursaha_cohort.problem_of_index p
UNION ALL SELECT p.what, p.since, p.detail, p.remedy FROM kursaha_cohort.problem_of_captures p
UNION ALL SELECT p.what, p.since, p.detail, p.remedy FROM kursaha_cohort.problem_of_version p;
COMMENT ON VIEW @extschema@.cohort_problem IS 'The problems in this database, with start and remedy; no row if there is none';
COMMENT ON COLUMN @extschema@.cohort_problem.what IS 'The problem';
COMMENT ON COLUMN @extschema@.cohort_problem.since IS 'The time since when the problem exists, if known';
COMMENT ON COLUMN @extschema@.cohort_problem.detail IS 'Details';
COMMENT ON COLUMN @extschema@.cohort_problem.remedy IS 'The remedy';
