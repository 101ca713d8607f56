-- Event triggers that keep captures in step with what happens to their tables. They never make the command of somebody
-- else fail: what goes wrong is a warning.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.before_alter() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_before_alter';
COMMENT ON FUNCTION kursaha_cohort.before_alter() IS 'Saves rows that a backfill has not recorded yet, before ALTER TABLE rewrites them';

CREATE EVENT TRIGGER cohort_capture_rewrite ON ddl_command_start WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION kursaha_cohort.before_alter();
ALTER EVENT TRIGGER cohort_capture_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_capture_rewrite IS 'Saves rows that a backfill has not recorded yet, before ALTER TABLE rewrites them';

-- What became of the columns that a capture numbered.
CREATE FUNCTION kursaha_cohort.follow_columns(changed oid[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH now_named AS (
        SELECT c.capture_id,
            -- A column that is gone may have been made again under its name.
            coalesce(customer.attname, c.customer_column) AS customer_column,
            coalesce(occurred.attname, c.occurred_at_column) AS occurred_at_column,
            d.names AS data_columns, d.keys AS data_keys, u.names AS update_columns
        FROM kursaha_cohort.capture c
        LEFT JOIN pg_attribute customer ON customer.attrelid = c.source AND customer.attnum = c.customer_attnum
            AND NOT customer.attisdropped
        LEFT JOIN pg_attribute occurred ON occurred.attrelid = c.source AND occurred.attnum = c.occurred_at_attnum
            AND NOT occurred.attisdropped
        LEFT JOIN LATERAL (
            SELECT coalesce(array_agg(a.attname ORDER BY k.n), '{}') AS names,
                   coalesce(array_agg(k.key ORDER BY k.n), '{}') AS keys
            FROM unnest(c.data_attnums, c.data_keys) WITH ORDINALITY AS k (attnum, key, n)
            JOIN pg_attribute a ON a.attrelid = c.source AND a.attnum = k.attnum AND NOT a.attisdropped
        ) d ON c.data_columns IS NOT NULL
        LEFT JOIN LATERAL (
            SELECT coalesce(array_agg(a.attname ORDER BY k.n), '{}') AS names
            FROM unnest(c.update_attnums) WITH ORDINALITY AS k (attnum, n)
            JOIN pg_attribute a ON a.attrelid = c.source AND a.attnum = k.attnum AND NOT a.attisdropped
        ) u ON c.update_columns IS NOT NULL
        WHERE c.source::oid = ANY (changed)
    )
    UPDATE kursaha_cohort.capture c
    SET customer_column = n.customer_column, occurred_at_column = n.occurred_at_column, data_columns = n.data_columns,
        data_keys = n.data_keys, update_columns = n.update_columns
    FROM now_named n
    WHERE n.capture_id = c.capture_id
      AND (c.customer_column, c.occurred_at_column, c.data_columns, c.update_columns)
          IS DISTINCT FROM (n.customer_column, n.occurred_at_column, n.data_columns, n.update_columns);
    -- A column that was made again has another number.
    PERFORM kursaha_cohort.renumber_columns(changed);
END
$$;
COMMENT ON FUNCTION kursaha_cohort.follow_columns(oid[]) IS 'Updates captures after columns of their tables are renamed or dropped';

-- Whoever owns the table may enable its triggers in the ordinary way, as pg_restore --disable-triggers does.
CREATE FUNCTION kursaha_cohort.keep_capture_triggers(changed oid[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT t.tgrelid::regclass AS source, t.tgname FROM pg_trigger t
        WHERE t.tgrelid = ANY (changed) AND t.tgenabled IN ('O', 'R')
          AND t.tgfoid = 'kursaha_cohort.capture_row()'::regprocedure AND t.tgname ~ '^cohort_(arrival|capture|keep|when)_\d'
    LOOP
        EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER %I', made.source, made.tgname);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.keep_capture_triggers(oid[]) IS 'Sets capture triggers to ENABLE ALWAYS again after a user enabled them';

CREATE FUNCTION kursaha_cohort.follow_partitions(capture kursaha_cohort.capture, made oid[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE kursaha_cohort.capture_leaf l SET ended = kursaha_cohort.ended_now()
    WHERE l.capture_id = capture.capture_id AND l.ended IS NULL
      AND l.relation NOT IN (SELECT kursaha_cohort.capture_leaves(capture.source));
    -- A partition that was created as one has no row that a trigger did not see.
    INSERT INTO kursaha_cohort.capture_leaf (capture_id, relation, unrecorded)
    SELECT capture.capture_id, leaf, '' FROM kursaha_cohort.capture_leaves(capture.source) leaf WHERE leaf = ANY (made)
    ON CONFLICT DO NOTHING;
    IF EXISTS (SELECT kursaha_cohort.capture_leaves(capture.source)
               EXCEPT SELECT l.relation FROM kursaha_cohort.capture_leaf l
                      WHERE l.capture_id = capture.capture_id AND l.ended IS NULL) THEN
        PERFORM kursaha_cohort.begin_leaves(capture);
        UPDATE kursaha_cohort.capture c SET backfill_until = greatest(c.backfill_until, now() + interval '7 days')
        WHERE c.capture_id = capture.capture_id;
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.follow_partitions(kursaha_cohort.capture, oid[]) IS 'Records the rows of attached partitions, and when partitions were detached';

CREATE FUNCTION kursaha_cohort.follow_tables() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed oid[];
    capture kursaha_cohort.capture;
BEGIN
    -- A change of a parent reaches its children, one of a partition its parents.
    WITH RECURSIVE altered AS (
        SELECT DISTINCT o.objid AS oid FROM pg_event_trigger_ddl_commands() o WHERE o.classid = 'pg_class'::regclass
    ), below (oid) AS (
        SELECT oid FROM altered UNION SELECT i.inhrelid FROM below JOIN pg_inherits i ON i.inhparent = below.oid
    ), above (oid) AS (
        SELECT oid FROM altered UNION SELECT i.inhparent FROM above JOIN pg_inherits i ON i.inhrelid = above.oid
    )
    SELECT array_agg(oid) INTO changed FROM (SELECT oid FROM below UNION SELECT oid FROM above) o;
    -- A restore of data alone may load a captured table before the list of captures.
    PERFORM kursaha_cohort.keep_capture_triggers(changed);
    -- While that list's own triggers are disabled, it holds the numbers of another database.
    IF NOT EXISTS (SELECT FROM kursaha_cohort.capture c WHERE c.source::oid = ANY (changed))
       OR NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = 'kursaha_cohort.capture'::regclass
                      AND t.tgname = 'number_columns' AND t.tgenabled <> 'D') THEN
        RETURN;
    END IF;
    PERFORM kursaha_cohort.follow_columns(changed);
    FOR capture IN SELECT c.* FROM kursaha_cohort.capture c JOIN pg_class p ON p.oid = c.source AND p.relkind = 'p'
                   WHERE c.source::oid = ANY (changed) AND c.on_insert AND c.event_type IS NOT NULL LOOP
        PERFORM kursaha_cohort.follow_partitions(capture, CASE TG_TAG WHEN 'CREATE TABLE' THEN changed END);
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING USING ERRCODE = SQLSTATE,
        MESSAGE = 'could not update the captures of a changed table: ' || SQLERRM,
        HINT = 'The view cohort_capture_status shows which columns they read; call cohort_release and cohort_capture to create one again.';
END
$$;
COMMENT ON FUNCTION kursaha_cohort.follow_tables() IS 'Updates captures after columns are renamed or dropped, and partitions attached or detached';

CREATE EVENT TRIGGER cohort_capture_ddl ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE')
    EXECUTE FUNCTION kursaha_cohort.follow_tables();
ALTER EVENT TRIGGER cohort_capture_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_capture_ddl IS 'Updates captures after columns are renamed or dropped, and partitions attached or detached';

CREATE FUNCTION kursaha_cohort.forget_dropped_sources() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lost record;
BEGIN
    -- Outside the block below, which begins a subtransaction: after commands like ALTER DOMAIN … DROP CONSTRAINT the server
    -- refuses to begin one.
    IF NOT EXISTS (SELECT FROM pg_event_trigger_dropped_objects() o WHERE o.classid = 'pg_class'::regclass) THEN
        RETURN;
    END IF;
    BEGIN
        -- A capture of a table that is no more could not be restored from a dump.
        DELETE FROM kursaha_cohort.capture c USING pg_event_trigger_dropped_objects() o
        WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND o.objid = c.source;
        WITH gone AS (
            DELETE FROM kursaha_cohort.released_capture r USING pg_event_trigger_dropped_objects() o
            WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND o.objid = r.source RETURNING r.capture_id
        ), leaves AS (
            DELETE FROM kursaha_cohort.capture_leaf l USING gone WHERE l.capture_id = gone.capture_id
        ), counts AS (
            DELETE FROM kursaha_cohort.capture_count c USING gone WHERE c.capture_id = gone.capture_id
        )
        DELETE FROM kursaha_cohort.kept_row k USING gone WHERE k.capture_id = gone.capture_id;
        FOR lost IN
            SELECT c.source, c.event_type, a.name, a.needed FROM pg_event_trigger_dropped_objects() o
            JOIN kursaha_cohort.capture c ON c.source = o.objid
            JOIN LATERAL (VALUES (c.customer_column, true), (c.occurred_at_column, true)) AS a (name, needed)
                ON a.name = o.address_names[3]
            WHERE o.classid = 'pg_class'::regclass AND o.objsubid > 0
        LOOP
            RAISE WARNING USING
                MESSAGE = format('%s no longer has the column "%s", which its capture as %s needs: its rows are no longer recorded',
                                 lost.source, lost.name, coalesce('"' || lost.event_type || '"', 'profiles')),
                HINT = 'Add a column of that name, or call cohort_release, then cohort_capture with the columns it has now.';
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING USING ERRCODE = SQLSTATE,
            MESSAGE = 'could not remove the captures of dropped objects: ' || SQLERRM,
            HINT = 'DELETE the rows of kursaha_cohort.capture whose source does not exist.';
    END;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.forget_dropped_sources() IS 'Ends the captures of dropped tables, and warns about dropped columns of captures';

CREATE EVENT TRIGGER cohort_capture_drop ON sql_drop EXECUTE FUNCTION kursaha_cohort.forget_dropped_sources();
ALTER EVENT TRIGGER cohort_capture_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_capture_drop IS 'Ends the captures of dropped tables, and warns about dropped columns of captures';
