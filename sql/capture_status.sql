-- What captures do, and what keeps them from it.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE VIEW @extschema@.cohort_capture_status WITH (security_barrier) AS
WITH counted AS (
    SELECT c.capture_id,
        coalesce(sum(c.rows) FILTER (WHERE c.outcome = 'recorded'), 0)::bigint AS recorded,
        coalesce(sum(c.rows) FILTER (WHERE c.outcome = 'backfilled'), 0)::bigint AS backfilled,
        coalesce(sum(c.rows) FILTER (WHERE c.outcome NOT IN ('recorded', 'backfilled')), 0)::bigint AS skipped,
        max(c.last_at) FILTER (WHERE c.outcome NOT IN ('recorded', 'backfilled')) AS last_skipped_at,
        -- A row without a customer is no mistake, and the events of others come in another way.
        max(c.last_at) FILTER (WHERE c.outcome NOT IN ('recorded', 'backfilled', 'no customer', 'loaded by a dump',
                                                       'event comes by subscription')) AS last_lost_at
    FROM kursaha_cohort.capture_count c GROUP BY c.capture_id
), reasons AS (
    SELECT r.capture_id, jsonb_object_agg(r.reason, r.rows) AS skipped_rows
    FROM (SELECT c.capture_id, c.outcome || coalesce(' (SQLSTATE ' || c.state || ')', '') AS reason,
                 sum(c.rows)::bigint AS rows
          FROM kursaha_cohort.capture_count c WHERE c.outcome NOT IN ('recorded', 'backfilled') GROUP BY 1, 2) r
    GROUP BY r.capture_id
), leaves AS (
    SELECT l.capture_id, CASE WHEN bool_and(l.place < 0) THEN NULL ELSE bool_or(l.unrecorded <> '') END AS open,
        sum(CASE WHEN l.unrecorded = '' THEN 0
                 ELSE greatest(pg_relation_size(l.relation::regclass) / current_setting('block_size')::bigint - (l.place >> 16), 0)
            END)::bigint AS blocks_left
    FROM kursaha_cohort.capture_leaf l JOIN pg_class p ON p.oid = l.relation
    WHERE l.ended IS NULL GROUP BY l.capture_id
), triggers AS (
    SELECT c.capture_id, bool_or(t.tgenabled = 'D') AS disabled, count(t.oid) AS made
    FROM kursaha_cohort.capture c
    LEFT JOIN pg_trigger t ON t.tgrelid = c.source
        AND t.tgname ~ ('^cohort_(arrival|capture|keep)_' || c.capture_id || '(_update|_delete)?$')
    GROUP BY c.capture_id
), columns AS (
    SELECT c.capture_id,
        (SELECT string_agg(quote_ident(n.name), ', ') FROM unnest(ARRAY[c.customer_column, c.occurred_at_column]) AS n (name)
         WHERE n.name IS NOT NULL AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.source
             AND a.attname = n.name AND NOT a.attisdropped)) AS needed,
        (SELECT string_agg(quote_ident(n.name), ', ') FROM unnest(c.data_columns) AS n (name)
         WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.source
             AND a.attname = n.name AND NOT a.attisdropped)) AS data
    FROM kursaha_cohort.capture c
)
SELECT c.source, c.event_type,
    concat_ws(', ', CASE WHEN c.on_insert THEN 'insert' END,
        CASE WHEN c.on_update THEN 'update' || coalesce(' of ' || (SELECT string_agg(quote_ident(u.name), ', ')
                                                                  FROM unnest(c.update_columns) AS u (name)), '') END,
        CASE WHEN c.on_delete THEN 'delete' END) AS "on",
    c.customer_column, c.occurred_at_column, c.data_columns, c.timezone,
    CASE WHEN p.problem IS NULL THEN 'recording' WHEN p.stops THEN 'broken' ELSE 'recording, with a problem' END AS state,
    p.problem, p.hint,
    coalesce(n.recorded, 0) AS recorded, coalesce(n.skipped, 0) AS skipped, coalesce(r.skipped_rows, '{}') AS skipped_rows,
    n.last_skipped_at,
    CASE WHEN NOT c.on_insert OR c.event_type IS NULL THEN NULL
         WHEN l.open IS NULL THEN 'unknown'
         WHEN NOT l.open THEN 'done'
         WHEN c.backfill_until <= now() THEN 'too late'
         ELSE 'possible' END AS backfill,
    coalesce(n.backfilled, 0) AS backfilled,
    CASE WHEN l.open THEN l.blocks_left ELSE 0 END AS backfill_blocks_left,
    CASE WHEN l.open THEN c.backfill_until END AS backfill_until
FROM kursaha_cohort.capture c
LEFT JOIN counted n USING (capture_id)
LEFT JOIN reasons r USING (capture_id)
LEFT JOIN leaves l USING (capture_id)
JOIN triggers t USING (capture_id)
JOIN columns k USING (capture_id)
LEFT JOIN LATERAL (
    SELECT v.problem, v.hint, v.stops FROM (VALUES
        (1, NOT EXISTS (SELECT FROM pg_class s WHERE s.oid = c.source), true,
         'the table is gone', 'DELETE the rows of kursaha_cohort.capture whose source does not exist.'),
        (2, k.needed IS NOT NULL, true, 'a required column of the table is missing: ' || k.needed,
         'Add a column of that name, or call cohort_release, then cohort_capture with the columns it has now.'),
        (3, t.made = 0, true, 'the table has no trigger of the capture',
         'Call cohort_release, then cohort_capture.'),
        (4, t.disabled, true, 'a trigger of the capture is disabled',
         format('ALTER TABLE %s ENABLE ALWAYS TRIGGER its triggers named cohort_*_%s*.', c.source, c.capture_id)),
        (5, to_regclass(c.source_name) <> c.source, true,
         format('the table is named %s now, and another one has its name %s', c.source, c.source_name),
         'Capture the new table; cohort_release ends the capture of the old one.'),
        (6, EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.source)
            AND EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = '@extschema@.cohort_event'::regclass), false,
         'the table and cohort_event are both filled by a subscription: replicated rows are not recorded',
         'This is intended if the publisher captures the table. Otherwise remove cohort_event from the subscription.'),
        (7, k.data IS NOT NULL, false, 'columns of data_columns are missing: ' || k.data,
         'New events do not contain their properties. cohort_release and cohort_capture set other columns.'),
        (8, n.last_lost_at > now() - interval '1 day', false, 'rows were skipped in the last day',
         'The column skipped_rows shows the reasons.')
    ) AS v (n, holds, stops, problem, hint) WHERE v.holds ORDER BY v.n LIMIT 1
) p ON true;
COMMENT ON VIEW @extschema@.cohort_capture_status IS 'The captured tables: recorded and skipped rows, problems with their remedies, and the progress of the backfill';
COMMENT ON COLUMN @extschema@.cohort_capture_status.source IS 'The application table';
COMMENT ON COLUMN @extschema@.cohort_capture_status.event_type IS 'The event type of its rows; NULL: the rows are stored as profiles';
COMMENT ON COLUMN @extschema@.cohort_capture_status."on" IS 'The commands that are recorded';
COMMENT ON COLUMN @extschema@.cohort_capture_status.customer_column IS 'The column that holds the customer id';
COMMENT ON COLUMN @extschema@.cohort_capture_status.occurred_at_column IS 'The column that holds the time; NULL: the time of the write';
COMMENT ON COLUMN @extschema@.cohort_capture_status.data_columns IS 'The columns that become properties; NULL: all';
COMMENT ON COLUMN @extschema@.cohort_capture_status.timezone IS 'The time zone of times without a zone';
COMMENT ON COLUMN @extschema@.cohort_capture_status.state IS 'recording; recording, with a problem; or broken';
COMMENT ON COLUMN @extschema@.cohort_capture_status.problem IS 'The problem; NULL: none';
COMMENT ON COLUMN @extschema@.cohort_capture_status.hint IS 'The remedy';
COMMENT ON COLUMN @extschema@.cohort_capture_status.recorded IS 'Number of rows recorded by the triggers';
COMMENT ON COLUMN @extschema@.cohort_capture_status.skipped IS 'Number of rows that could not be recorded';
COMMENT ON COLUMN @extschema@.cohort_capture_status.skipped_rows IS 'The number of skipped rows by reason, without values of rows';
COMMENT ON COLUMN @extschema@.cohort_capture_status.last_skipped_at IS 'The time when a row was last skipped';
COMMENT ON COLUMN @extschema@.cohort_capture_status.backfill IS 'State of the backfill of rows older than the capture: possible, done, too late, or unknown after a restore';
COMMENT ON COLUMN @extschema@.cohort_capture_status.backfilled IS 'Number of rows recorded by cohort_backfill';
COMMENT ON COLUMN @extschema@.cohort_capture_status.backfill_blocks_left IS 'Blocks of the table that a backfill has not read yet';
COMMENT ON COLUMN @extschema@.cohort_capture_status.backfill_until IS 'The time until which cohort_backfill can record them';
