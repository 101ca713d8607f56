-- Application tables whose rows become events: the trigger function, the functions that set captures up and take them
-- down, and the event triggers that keep captures in step with the tables' columns.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.number_columns() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.customer_attnum := (SELECT a.attnum FROM pg_attribute a
        WHERE a.attrelid = NEW.source AND a.attname = NEW.customer_column AND NOT a.attisdropped);
    NEW.occurred_at_attnum := (SELECT a.attnum FROM pg_attribute a
        WHERE a.attrelid = NEW.source AND a.attname = NEW.occurred_at_column AND NOT a.attisdropped);
    NEW.data_attnums := (SELECT array_agg(a.attnum ORDER BY d.n)
        FROM unnest(NEW.data_columns) WITH ORDINALITY AS d (name, n)
        LEFT JOIN pg_attribute a ON a.attrelid = NEW.source AND a.attname = d.name AND NOT a.attisdropped);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.number_columns() IS 'Finds the numbers of a capture''s columns by their names';

CREATE TRIGGER number_columns BEFORE INSERT ON kursaha_cohort.capture
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.number_columns();
ALTER TABLE kursaha_cohort.capture ENABLE ALWAYS TRIGGER number_columns;
COMMENT ON TRIGGER number_columns ON kursaha_cohort.capture IS 'Finds the numbers of the columns, also of restored captures';

-- to_jsonb calls a cast to json that a user made for a type of theirs, here with the definer's rights.
CREATE FUNCTION kursaha_cohort.unsafe_type(source regclass) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_roles r ON r.oid = p.proowner
                   WHERE c.casttarget = 'json'::regtype AND NOT r.rolsuper) THEN
        RETURN NULL;
    END IF;
    RETURN (
        WITH RECURSIVE used (type) AS (
            SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
            UNION
            SELECT next.type
            FROM used JOIN pg_type t ON t.oid = used.type,
                 LATERAL (SELECT t.typbasetype WHERE t.typtype = 'd'
                          UNION ALL SELECT t.typelem WHERE t.typelem <> 0
                          UNION ALL SELECT a.atttypid FROM pg_attribute a
                                    WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0
                                      AND NOT a.attisdropped) AS next (type)
        )
        SELECT format_type(used.type, NULL) FROM used
        JOIN pg_cast c ON c.castsource = used.type AND c.casttarget = 'json'::regtype
        JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_roles r ON r.oid = p.proowner
        WHERE NOT r.rolsuper LIMIT 1);
END
$$;
COMMENT ON FUNCTION kursaha_cohort.unsafe_type(regclass) IS 'A type in a table''s columns whose cast to json belongs to an ordinary role; NULL when there is none';

CREATE FUNCTION kursaha_cohort.source_row(capture kursaha_cohort.capture, "row" jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- The key's values in the key's order, without names: a rename in between changes nothing.
    RETURN coalesce(
        (SELECT jsonb_agg("row" -> a.attname ORDER BY k.n)
         FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY AS k (attnum, n), pg_attribute a
         WHERE c.conrelid = capture.source AND c.contype = 'p' AND a.attrelid = c.conrelid AND a.attnum = k.attnum),
        "row");
END
$$;
COMMENT ON FUNCTION kursaha_cohort.source_row(kursaha_cohort.capture, jsonb) IS 'What identifies a row of a captured table: the values of its primary key, or the whole row';

CREATE FUNCTION kursaha_cohort.captured_data(capture kursaha_cohort.capture, "row" jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- NULL columns are left out; a null inside a json column stays. A json column that is null itself counts as NULL.
    IF capture.data_columns IS NULL THEN
        RETURN "row" - ARRAY(SELECT e.key FROM jsonb_each("row") e WHERE e.value = 'null');
    END IF;
    RETURN coalesce((SELECT jsonb_object_agg(d.key, "row" -> d.name::text)
                     FROM unnest(capture.data_columns, capture.data_keys) AS d (name, key)
                     WHERE "row" ->> d.name::text IS NOT NULL), '{}');
END
$$;
COMMENT ON FUNCTION kursaha_cohort.captured_data(kursaha_cohort.capture, jsonb) IS 'The data of the event that a row becomes';

-- Definer's rights: who may insert into the application's table need not be able to write events.
CREATE FUNCTION kursaha_cohort.capture_row() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    capture kursaha_cohort.capture;
    "row" jsonb;
    unsafe text;
    id bigint;
BEGIN
    SELECT c.* INTO capture FROM kursaha_cohort.capture c WHERE c.capture_id = TG_ARGV[0]::bigint;
    -- Whoever may put triggers on any table could otherwise feed another table's capture.
    IF NOT FOUND OR TG_OP <> 'INSERT' OR TG_LEVEL <> 'ROW' OR TG_WHEN <> 'AFTER'
       OR (TG_RELID <> capture.source
           AND NOT EXISTS (SELECT FROM pg_partition_ancestors(TG_RELID) a WHERE a.relid = capture.source)) THEN
        RAISE EXCEPTION USING ERRCODE = 'trigger_protocol_violated',
            MESSAGE = format('the trigger %I on %s belongs to no capture of that table', TG_NAME, TG_RELID::regclass),
            HINT = 'DROP the trigger; cohort_capture makes its own.';
    END IF;
    unsafe := kursaha_cohort.unsafe_type(TG_RELID);
    IF unsafe IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('rows of %s cannot be captured: the type %s has a cast to json', TG_RELID::regclass, unsafe),
            HINT = 'A superuser must own the function of that cast, or the cast be dropped.';
    END IF;
    "row" := to_jsonb(NEW);
    IF NOT "row" ? capture.customer_column::text
       OR (capture.occurred_at_column IS NOT NULL AND NOT "row" ? capture.occurred_at_column::text) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_column',
            MESSAGE = format('%s has lost a column that its capture as "%s" needs', TG_RELID::regclass, capture.event_type),
            HINT = 'Call cohort_release, then cohort_capture with the columns it has now.';
    END IF;
    -- An event needs somebody; a row of nobody, an anonymous order say, is the application's good right.
    IF "row" ->> capture.customer_column::text IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO @extschema@.cohort_event (customer_id, event_type, occurred_at, data)
    VALUES ("row" ->> capture.customer_column::text, capture.event_type,
            coalesce(("row" ->> capture.occurred_at_column::text)::timestamptz, now()),
            kursaha_cohort.captured_data(capture, "row"))
    RETURNING event_id INTO id;
    IF capture.backfill_until > now() THEN
        INSERT INTO kursaha_cohort.captured (capture_id, event_id, source_row)
        VALUES (capture.capture_id, id, kursaha_cohort.source_row(capture, "row"));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.capture_row() IS 'Records a new row of an application table as an event; a row whose customer column is NULL is skipped';

CREATE FUNCTION @extschema@.cohort_capture(
    source regclass, event_type text, customer_column name, occurred_at_column name DEFAULT NULL,
    data_columns name[] DEFAULT NULL, when_condition text DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    given name;
    place text;
    kind "char";
    id bigint;
    filled boolean;
    probe refcursor;
BEGIN
    IF cohort_capture.source IS NULL OR cohort_capture.event_type IS NULL OR cohort_capture.customer_column IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'source, event_type and customer_column must not be NULL',
            HINT = 'For example cohort_capture(''shop.orders'', ''purchase'', ''customer_id'', ''ordered_at'').';
    END IF;
    IF cohort_capture.event_type IN ('', '*') OR length(cohort_capture.event_type) > 255 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid event_type "%s"', left(cohort_capture.event_type, 40)),
            HINT = 'An event type has 1 to 255 characters and is not "*".';
    END IF;
    SELECT c.relkind INTO kind FROM pg_class c WHERE c.oid = cohort_capture.source
        AND c.relpersistence <> 't' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                          AND d.refclassid = 'pg_extension'::regclass AND x.extname = 'kursaha_cohort');
    IF kind IS NULL OR kind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s cannot be captured', cohort_capture.source),
            HINT = 'A source is a table of the application: no view, foreign table, temporary table, system catalog or table of this extension.';
    END IF;
    IF EXISTS (SELECT FROM kursaha_cohort.capture c
               WHERE c.source = cohort_capture.source AND c.event_type = cohort_capture.event_type) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s is captured as "%s" already', cohort_capture.source, cohort_capture.event_type),
            HINT = 'Call cohort_release first to change it.';
    END IF;
    FOR place, given IN
        SELECT 'customer_column', cohort_capture.customer_column
        UNION ALL SELECT 'occurred_at_column', cohort_capture.occurred_at_column
                  WHERE cohort_capture.occurred_at_column IS NOT NULL
        UNION ALL SELECT format('data_columns[%s]', d.n), d.name
                  FROM unnest(cohort_capture.data_columns) WITH ORDINALITY AS d (name, n)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = cohort_capture.source AND a.attname = given
                       AND a.attnum > 0 AND NOT a.attisdropped) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('invalid %s: %s has no column "%s"', place, cohort_capture.source, given),
                HINT = format('Its columns are: %s.',
                    (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                     WHERE a.attrelid = cohort_capture.source AND a.attnum > 0 AND NOT a.attisdropped));
        END IF;
        IF place = 'occurred_at_column' AND NOT EXISTS (
            SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = cohort_capture.source AND a.attname = given
              AND coalesce(nullif(t.typbasetype, 0), t.oid) IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('invalid occurred_at_column: "%s" is not a time', given),
                HINT = 'Its type is timestamptz, or timestamp or date, which are read in the inserting session''s time zone.';
        END IF;
    END LOOP;
    IF cohort_capture.when_condition IS NOT NULL THEN
        BEGIN
            -- A cursor takes one query only, and the line break keeps a comment from swallowing the bracket: what passes
            -- here and as the trigger's WHEN is one expression. Opening the cursor reads no row.
            OPEN probe FOR EXECUTE format(E'SELECT FROM %s AS new WHERE (%s\n) LIMIT 0',
                                          cohort_capture.source, cohort_capture.when_condition);
            CLOSE probe;
        EXCEPTION WHEN OTHERS THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = 'invalid when_condition: ' || SQLERRM,
                HINT = 'It is one SQL condition on NEW, for example NEW.status = ''paid''; functions of your own need their schema.';
        END;
    END IF;

    -- Captures whose backfill was never called keep their list of rows no longer than it could have been. A release
    -- with an old snapshot may have left rows, too.
    DELETE FROM kursaha_cohort.captured d
    WHERE NOT EXISTS (SELECT FROM kursaha_cohort.capture c
                      WHERE c.capture_id = d.capture_id AND c.backfill_until >= now());

    INSERT INTO kursaha_cohort.capture (source, event_type, customer_column, occurred_at_column, data_columns, data_keys)
    VALUES (cohort_capture.source, cohort_capture.event_type, cohort_capture.customer_column,
            cohort_capture.occurred_at_column, cohort_capture.data_columns, cohort_capture.data_columns::text[])
    RETURNING capture_id INTO id;
    EXECUTE format(E'CREATE TRIGGER cohort_capture_%s AFTER INSERT ON %s FOR EACH ROW %s EXECUTE FUNCTION kursaha_cohort.capture_row(%L)',
                   id, cohort_capture.source,
                   CASE WHEN cohort_capture.when_condition IS NULL THEN ''
                        ELSE format(E'WHEN (%s\n)', cohort_capture.when_condition) END,
                   id::text);
    EXECUTE format('ALTER TRIGGER cohort_capture_%s ON %s DEPENDS ON EXTENSION kursaha_cohort', id, cohort_capture.source);
    -- After the trigger, whose lock keeps writers out: no row can slip in between.
    EXECUTE format('SELECT EXISTS (SELECT FROM %s %s)', CASE kind WHEN 'r' THEN 'ONLY' ELSE '' END, cohort_capture.source)
        INTO filled;
    IF filled THEN
        UPDATE kursaha_cohort.capture c SET backfill_until = now() + interval '7 days' WHERE c.capture_id = id;
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_capture(regclass, text, name, name, name[], text) IS 'Records every row inserted into a table as an event from now on; rows whose customer column is NULL are skipped. when_condition is SQL on NEW. Returns the capture''s id';

CREATE FUNCTION kursaha_cohort.find_capture(source regclass, event_type text) RETURNS kursaha_cohort.capture
    LANGUAGE plpgsql STABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    found_one kursaha_cohort.capture;
BEGIN
    SELECT c.* INTO found_one FROM kursaha_cohort.capture c
    WHERE c.source = find_capture.source AND c.event_type = find_capture.event_type;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s is not captured as "%s"', coalesce(find_capture.source::text, 'NULL'),
                             coalesce(find_capture.event_type, 'NULL')),
            HINT = coalesce('Captures: ' || (SELECT string_agg(format('%s as "%s"', c.source, c.event_type), ', '
                                                               ORDER BY c.source::text, c.event_type)
                                             FROM kursaha_cohort.capture c) || '.', 'There are no captures.');
    END IF;
    RETURN found_one;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.find_capture(regclass, text) IS 'The capture of a table as an event type, or an error that lists those there are';

CREATE FUNCTION @extschema@.cohort_release(source regclass, event_type text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    capture kursaha_cohort.capture := kursaha_cohort.find_capture(source, event_type);
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS cohort_capture_%s ON %s', capture.capture_id, capture.source);
    DELETE FROM kursaha_cohort.capture c WHERE c.capture_id = capture.capture_id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_release(regclass, text) IS 'Ends a capture; the events recorded stay';

CREATE FUNCTION @extschema@.cohort_backfill(source regclass, event_type text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    capture kursaha_cohort.capture := kursaha_cohort.find_capture(source, event_type);
    condition text;
    recorded bigint;
BEGIN
    -- Waits for the transactions that are inserting; what they captured is seen by the next statement.
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', capture.source);
    SELECT c.* INTO STRICT capture FROM kursaha_cohort.capture c WHERE c.capture_id = capture.capture_id FOR UPDATE;
    IF capture.backfill_until IS NULL THEN
        IF capture.backfilled THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('%s was backfilled as "%s" already', capture.source, capture.event_type),
                HINT = 'New rows are recorded by the capture itself.';
        END IF;
        UPDATE kursaha_cohort.capture c SET backfilled = true WHERE c.capture_id = capture.capture_id;
        RETURN 0;
    END IF;
    IF capture.backfill_until <= now() THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the backfill of %s as "%s" came too late: it was possible for 7 days', capture.source, capture.event_type),
            DETAIL = 'The list of rows captured since then, without which rows would be recorded twice, is kept no longer.',
            HINT = 'INSERT the older rows into cohort_event.';
    END IF;
    condition := (SELECT substring(pg_get_triggerdef(t.oid) FROM ' WHEN \((.*)\) EXECUTE FUNCTION ') FROM pg_trigger t
                  WHERE t.tgrelid = capture.source AND t.tgname = 'cohort_capture_' || capture.capture_id);
    -- Without a primary key equal rows are told apart by counting: n captured ones stand for n of them.
    EXECUTE format($query$
        WITH there AS (
            SELECT r.row, r.key, row_number() OVER (PARTITION BY r.key) AS n
            FROM (SELECT s.row, kursaha_cohort.source_row($1, s.row) AS key
                  FROM (SELECT to_jsonb(new) AS row FROM %s %s AS new WHERE %s) s
                  WHERE s.row ->> $2 IS NOT NULL) r
        ), known AS (
            SELECT d.source_row AS key, row_number() OVER (PARTITION BY d.source_row) AS n
            FROM kursaha_cohort.captured d WHERE d.capture_id = $3
        )
        INSERT INTO @extschema@.cohort_event (customer_id, event_type, occurred_at, data)
        SELECT t.row ->> $2, $4, coalesce((t.row ->> $5)::timestamptz, now()), kursaha_cohort.captured_data($1, t.row)
        FROM there t LEFT JOIN known k ON k.key = t.key AND k.n = t.n
        WHERE k.key IS NULL
        $query$, CASE WHEN (SELECT p.relkind = 'r' FROM pg_class p WHERE p.oid = capture.source) THEN 'ONLY' ELSE '' END,
        capture.source, coalesce(condition, 'true'))
    USING capture, capture.customer_column::text, capture.capture_id, capture.event_type, capture.occurred_at_column::text;
    GET DIAGNOSTICS recorded = ROW_COUNT;
    DELETE FROM kursaha_cohort.captured d WHERE d.capture_id = capture.capture_id;
    UPDATE kursaha_cohort.capture c SET backfill_until = NULL, backfilled = true WHERE c.capture_id = capture.capture_id;
    RETURN recorded;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_backfill(regclass, text) IS 'Records the rows that a captured table held before, once, within 7 days of cohort_capture; returns their number';

-- Columns and tables that change under a capture ------------------------------------------------------------------------

CREATE FUNCTION kursaha_cohort.follow_columns() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    capture kursaha_cohort.capture;
    customer name;
    occurred name;
BEGIN
    -- All captures, not only those of the altered table: a change of a parent reaches its children unannounced.
    FOR capture IN SELECT c.* FROM kursaha_cohort.capture c WHERE EXISTS (SELECT FROM pg_class p WHERE p.oid = c.source)
    LOOP
        customer := (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = capture.source
                     AND a.attnum = capture.customer_attnum AND NOT a.attisdropped);
        occurred := (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = capture.source
                     AND a.attnum = capture.occurred_at_attnum AND NOT a.attisdropped);
        IF customer IS NULL OR (occurred IS NULL AND capture.occurred_at_attnum IS NOT NULL) THEN
            RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
                MESSAGE = format('cannot drop the column "%s" of %s: its capture as "%s" needs it',
                    CASE WHEN customer IS NULL THEN capture.customer_column ELSE capture.occurred_at_column END,
                    capture.source, capture.event_type),
                HINT = format('SELECT cohort_release(%L, %L) first.', capture.source, capture.event_type);
        END IF;
        UPDATE kursaha_cohort.capture c
        SET customer_column = customer, occurred_at_column = occurred, data_columns = d.names, data_keys = d.keys,
            data_attnums = d.attnums
        FROM (SELECT coalesce(array_agg(a.attname ORDER BY k.n), '{}') AS names,
                     coalesce(array_agg(k.key ORDER BY k.n), '{}') AS keys,
                     coalesce(array_agg(a.attnum ORDER BY k.n), '{}') AS attnums
              FROM unnest(capture.data_attnums, capture.data_keys) WITH ORDINALITY AS k (attnum, key, n)
              JOIN pg_attribute a ON a.attrelid = capture.source AND a.attnum = k.attnum AND NOT a.attisdropped) d
        WHERE c.capture_id = capture.capture_id AND c.data_columns IS NOT NULL
          AND (c.customer_column, c.occurred_at_column, c.data_columns)
              IS DISTINCT FROM (customer, occurred, d.names);
        UPDATE kursaha_cohort.capture c SET customer_column = customer, occurred_at_column = occurred
        WHERE c.capture_id = capture.capture_id AND c.data_columns IS NULL
          AND (c.customer_column, c.occurred_at_column) IS DISTINCT FROM (customer, occurred);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.follow_columns() IS 'Keeps captures in step with renamed and dropped columns';

CREATE EVENT TRIGGER cohort_capture_ddl ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION kursaha_cohort.follow_columns();
COMMENT ON EVENT TRIGGER cohort_capture_ddl IS 'Keeps captures in step with renamed and dropped columns';

CREATE FUNCTION kursaha_cohort.forget_dropped_sources() RETURNS event_trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- A capture of a table that is no more could not be restored from a dump.
    DELETE FROM kursaha_cohort.capture c USING pg_event_trigger_dropped_objects() o
    WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND o.objid = c.source;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.forget_dropped_sources() IS 'Ends the captures of dropped tables';

CREATE EVENT TRIGGER cohort_capture_drop ON sql_drop EXECUTE FUNCTION kursaha_cohort.forget_dropped_sources();
COMMENT ON EVENT TRIGGER cohort_capture_drop IS 'Ends the captures of dropped tables';
