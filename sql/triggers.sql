-- The row triggers of the event and customer tables. All are ENABLE ALWAYS: rows that arrive by logical replication
-- or restore pass through them too.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.stamp_event() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_stamp_event';
COMMENT ON FUNCTION kursaha_cohort.stamp_event() IS 'Checks a row of cohort_event and stamps it with the writing transaction''s id';

CREATE FUNCTION kursaha_cohort.stamp_customer() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_stamp_customer';
COMMENT ON FUNCTION kursaha_cohort.stamp_customer() IS 'Checks a row of cohort_customer, stamps it with the writing transaction''s id and keeps updated_at';

CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON @extschema@.cohort_event
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.stamp_event();
ALTER TABLE @extschema@.cohort_event ENABLE ALWAYS TRIGGER stamp;
COMMENT ON TRIGGER stamp ON @extschema@.cohort_event IS 'Checks and stamps every row';

CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON @extschema@.cohort_customer
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.stamp_customer();
ALTER TABLE @extschema@.cohort_customer ENABLE ALWAYS TRIGGER stamp;
COMMENT ON TRIGGER stamp ON @extschema@.cohort_customer IS 'Checks and stamps every row';

CREATE FUNCTION kursaha_cohort.log_removed_events() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_log_removed_rows';
COMMENT ON FUNCTION kursaha_cohort.log_removed_events() IS 'Writes the event rows that a statement removed to the removal log';

CREATE FUNCTION kursaha_cohort.log_removed_event() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_log_removed_row';
COMMENT ON FUNCTION kursaha_cohort.log_removed_event() IS 'Writes the event row that logical replication updated or deleted to the removal log';

CREATE TRIGGER log_updated AFTER UPDATE ON @extschema@.cohort_event REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.log_removed_events();
ALTER TABLE @extschema@.cohort_event ENABLE ALWAYS TRIGGER log_updated;
COMMENT ON TRIGGER log_updated ON @extschema@.cohort_event IS 'Writes the rows that an UPDATE removes to the removal log';

CREATE TRIGGER log_deleted AFTER DELETE ON @extschema@.cohort_event REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.log_removed_events();
ALTER TABLE @extschema@.cohort_event ENABLE ALWAYS TRIGGER log_deleted;
COMMENT ON TRIGGER log_deleted ON @extschema@.cohort_event IS 'Writes the rows that a DELETE removes to the removal log';

-- Logical replication fires no statement triggers. The condition is no function of the extension: it is evaluated with
-- the privileges of the writing role.
CREATE TRIGGER log_removed AFTER UPDATE OR DELETE ON @extschema@.cohort_event
    FOR EACH ROW WHEN (current_setting('session_replication_role') = 'replica')
    EXECUTE FUNCTION kursaha_cohort.log_removed_event();
ALTER TABLE @extschema@.cohort_event ENABLE ALWAYS TRIGGER log_removed;
COMMENT ON TRIGGER log_removed ON @extschema@.cohort_event IS 'Writes each row that logical replication removes to the removal log';

-- Definer's rights: who may delete a profile need not be able to write the log.
-- A row that this very transaction wrote gets an entry, too: it may have taken the place of one that is sealed.
CREATE FUNCTION kursaha_cohort.log_removed_customer() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.customer_id <> NEW.customer_id THEN
        INSERT INTO kursaha_cohort.customer_removed (customer_id) VALUES (OLD.customer_id);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.log_removed_customer() IS 'Writes the profile row that a DELETE, or an UPDATE of the id, removed to the removal log';

CREATE TRIGGER log_removed AFTER UPDATE OR DELETE ON @extschema@.cohort_customer
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.log_removed_customer();
ALTER TABLE @extschema@.cohort_customer ENABLE ALWAYS TRIGGER log_removed;
COMMENT ON TRIGGER log_removed ON @extschema@.cohort_customer IS 'Writes every removed profile to the removal log';

CREATE FUNCTION kursaha_cohort.drop_segments(kind text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'drop_segments_wrapper';
COMMENT ON FUNCTION kursaha_cohort.drop_segments(text) IS 'Deletes all segments of a kind, events or profiles, from the index, with their entries in the removal log';

CREATE FUNCTION kursaha_cohort.empty_index() RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'empty_index_wrapper';
COMMENT ON FUNCTION kursaha_cohort.empty_index() IS 'Empties the index: all rows are then in the tail';

-- After TRUNCATE no event is left that a key could repeat.
CREATE FUNCTION kursaha_cohort.events_truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kursaha_cohort.drop_segments('events');
    DELETE FROM kursaha_cohort.event_key;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.events_truncated() IS 'Deletes segments, the removal log and event keys when cohort_event is truncated';

CREATE TRIGGER truncated AFTER TRUNCATE ON @extschema@.cohort_event
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.events_truncated();
ALTER TABLE @extschema@.cohort_event ENABLE ALWAYS TRIGGER truncated;
COMMENT ON TRIGGER truncated ON @extschema@.cohort_event IS 'Deletes segments, the removal log and event keys';

CREATE FUNCTION kursaha_cohort.customers_truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM kursaha_cohort.drop_segments('profiles');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.customers_truncated() IS 'Deletes segments and the removal log of profiles when cohort_customer is truncated';

CREATE TRIGGER truncated AFTER TRUNCATE ON @extschema@.cohort_customer
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.customers_truncated();
ALTER TABLE @extschema@.cohort_customer ENABLE ALWAYS TRIGGER truncated;
COMMENT ON TRIGGER truncated ON @extschema@.cohort_customer IS 'Deletes segments and the removal log of profiles';

-- The index begins whole.
UPDATE kursaha_cohort.index_state SET sum = kursaha_cohort.index_sum();
