-- Retention: how long events are kept. src/pg/retain.rs carries the policies out.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Settings, so that only the pages from the first to the last are read, whatever the planner expects of them.
CREATE FUNCTION kursaha_cohort.delete_old_events(
    event_type text, others text[], before timestamptz, first_page bigint, after_page bigint
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE STRICT SET search_path = pg_catalog, pg_temp
    SET enable_indexscan = off SET enable_bitmapscan = off SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    deleted bigint;
BEGIN
    IF delete_old_events.event_type = '*' THEN
        DELETE FROM @extschema@.cohort_event e
        WHERE e.ctid >= format('(%s,0)', first_page)::tid AND e.ctid < format('(%s,0)', after_page)::tid
          AND e.occurred_at < before AND e.event_type <> ALL (others);
    ELSE
        DELETE FROM @extschema@.cohort_event e
        WHERE e.ctid >= format('(%s,0)', first_page)::tid AND e.ctid < format('(%s,0)', after_page)::tid
          AND e.occurred_at < before AND e.event_type = delete_old_events.event_type;
    END IF;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.delete_old_events(text, text[], timestamptz, bigint, bigint) IS 'Deletes the events of a type, or with * of all types except the given ones, that occurred before a time and are in a range of pages; returns the number of deleted events';

CREATE TRIGGER note AFTER INSERT OR UPDATE OF keep ON kursaha_cohort.retention
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.note_rows();
COMMENT ON TRIGGER note ON kursaha_cohort.retention IS 'Notifies the workers that a policy was set';

CREATE VIEW @extschema@.cohort_retention AS
SELECT nullif(r.event_type, '*') AS event_type, r.keep, r.owner::text AS owner, now() - r.keep AS keeps_from, r.deleted,
    r.next_page > 0 AS under_way, r.passed_at, r.last_error, r.failed_at
FROM kursaha_cohort.retention r;
COMMENT ON VIEW @extschema@.cohort_retention IS 'The retention policies of events';
COMMENT ON COLUMN @extschema@.cohort_retention.event_type IS 'The event type; null: all types without their own policy';
COMMENT ON COLUMN @extschema@.cohort_retention.keep IS 'How long events are kept after they occurred';
COMMENT ON COLUMN @extschema@.cohort_retention.owner IS 'The role that set the policy; the worker deletes with its rights';
COMMENT ON COLUMN @extschema@.cohort_retention.keeps_from IS 'Events before this time are deleted';
COMMENT ON COLUMN @extschema@.cohort_retention.deleted IS 'Number of deleted events';
COMMENT ON COLUMN @extschema@.cohort_retention.under_way IS 'Whether a pass through the table is in progress';
COMMENT ON COLUMN @extschema@.cohort_retention.passed_at IS 'End of the last pass';
COMMENT ON COLUMN @extschema@.cohort_retention.last_error IS 'Error of the last batch, until a batch succeeds; the policy is retried after an hour';
COMMENT ON COLUMN @extschema@.cohort_retention.failed_at IS 'Time of the error';
