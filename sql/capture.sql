-- Application tables whose rows become events and profiles: the trigger function and the functions that set captures up
-- and take them down. Event triggers follow in capture_ddl.sql, the view in capture_status.sql.
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
    NEW.update_attnums := (SELECT array_agg(a.attnum ORDER BY d.n)
        FROM unnest(NEW.update_columns) WITH ORDINALITY AS d (name, n)
        LEFT JOIN pg_attribute a ON a.attrelid = NEW.source AND a.attname = d.name AND NOT a.attisdropped);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.number_columns() IS 'Sets the column numbers of a capture from the column names';

-- A restored table has other numbers than the one of the dump.
CREATE FUNCTION kursaha_cohort.renumber_columns(changed oid[]) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE kursaha_cohort.capture c
    SET customer_attnum = n.customer, occurred_at_attnum = n.occurred, data_attnums = n.data, update_attnums = n.updates
    FROM (SELECT c.capture_id,
              (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = c.source AND a.attname = c.customer_column
                  AND NOT a.attisdropped) AS customer,
              (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = c.source AND a.attname = c.occurred_at_column
                  AND NOT a.attisdropped) AS occurred,
              (SELECT array_agg(a.attnum ORDER BY d.n) FROM unnest(c.data_columns) WITH ORDINALITY AS d (name, n)
               LEFT JOIN pg_attribute a ON a.attrelid = c.source AND a.attname = d.name AND NOT a.attisdropped) AS data,
              (SELECT array_agg(a.attnum ORDER BY d.n) FROM unnest(c.update_columns) WITH ORDINALITY AS d (name, n)
               LEFT JOIN pg_attribute a ON a.attrelid = c.source AND a.attname = d.name AND NOT a.attisdropped) AS updates
          FROM kursaha_cohort.capture c WHERE changed IS NULL OR c.source::oid = ANY (changed)) n
    WHERE n.capture_id = c.capture_id
      AND (c.customer_attnum, c.occurred_at_attnum, c.data_attnums, c.update_attnums)
          IS DISTINCT FROM (n.customer, n.occurred, n.data, n.updates);
END
$$;
COMMENT ON FUNCTION kursaha_cohort.renumber_columns(oid[]) IS 'Sets the column numbers of the captures of the given tables, or of all, from the column names';

CREATE TRIGGER number_columns BEFORE INSERT ON kursaha_cohort.capture
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.number_columns();
ALTER TABLE kursaha_cohort.capture ENABLE ALWAYS TRIGGER number_columns;
COMMENT ON TRIGGER number_columns ON kursaha_cohort.capture IS 'Sets the column numbers, also of restored captures';

CREATE FUNCTION kursaha_cohort.captures_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_captures_changed';
COMMENT ON FUNCTION kursaha_cohort.captures_changed() IS 'Invalidates the captures that backends have cached';

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON kursaha_cohort.capture
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.captures_changed();
ALTER TABLE kursaha_cohort.capture ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON kursaha_cohort.capture IS 'Invalidates the captures that backends have cached';
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON kursaha_cohort.capture_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.captures_changed();
ALTER TABLE kursaha_cohort.capture_leaf ENABLE ALWAYS TRIGGER changed;
COMMENT ON TRIGGER changed ON kursaha_cohort.capture_leaf IS 'Invalidates the captures that backends have cached';

-- Runs with the privileges of the role that writes the application's table: casts, domains and triggers of others run as for
-- any trigger. Only the insert into cohort_event is made without a privilege check.
CREATE FUNCTION kursaha_cohort.capture_row() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'kursaha_capture_row';
COMMENT ON FUNCTION kursaha_cohort.capture_row() IS 'Records a changed row of an application table as an event or profile; a row that cannot be recorded is skipped and counted';

CREATE FUNCTION kursaha_cohort.ended_now() RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ended_now_wrapper';
COMMENT ON FUNCTION kursaha_cohort.ended_now() IS 'The transactions that have ended now, as a pg_snapshot in which the current transaction is still running';

CREATE FUNCTION kursaha_cohort.cohort_keep_rows(capture_id bigint, relation oid, own boolean) RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'keep_rows_wrapper';
COMMENT ON FUNCTION kursaha_cohort.cohort_keep_rows(bigint, oid, boolean) IS 'Saves rows for a backfill: the rows that this transaction wrote, or all unrecorded rows; returns the number of rows';

CREATE FUNCTION kursaha_cohort.cohort_backfill_rows(capture_id bigint, at_most bigint) RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'backfill_rows_wrapper';
COMMENT ON FUNCTION kursaha_cohort.cohort_backfill_rows(bigint, bigint) IS 'Records rows older than their capture, up to a number of rows; returns the number of recorded rows';

CREATE FUNCTION kursaha_cohort.capture_leaves(source regclass) RETURNS SETOF oid
    LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY SELECT c.oid FROM pg_class c WHERE c.oid = source AND c.relkind = 'r'
        UNION SELECT t.relid::oid FROM pg_partition_tree(source) t JOIN pg_class c ON c.oid = t.relid
              WHERE t.isleaf AND c.relkind = 'r';
END
$$;
COMMENT ON FUNCTION kursaha_cohort.capture_leaves(regclass) IS 'The tables that contain the rows of a table: the table itself, or its partitions';

-- Called while a lock keeps writers out, after the triggers exist.
CREATE FUNCTION kursaha_cohort.begin_leaves(capture kursaha_cohort.capture) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    leaf oid;
    moment text := kursaha_cohort.ended_now();
BEGIN
    -- What late transactions kept of rows that a backfill had recorded.
    DELETE FROM kursaha_cohort.kept_row k USING kursaha_cohort.capture_leaf l
    WHERE l.capture_id = capture.capture_id AND l.unrecorded = ''
      AND k.capture_id = l.capture_id AND k.relation = l.relation;
    FOR leaf IN SELECT kursaha_cohort.capture_leaves(capture.source)
        EXCEPT SELECT l.relation FROM kursaha_cohort.capture_leaf l
               WHERE l.capture_id = capture.capture_id AND l.ended IS NULL
    LOOP
        INSERT INTO kursaha_cohort.capture_leaf AS l (capture_id, relation, unrecorded)
        VALUES (capture.capture_id, leaf, '/' || moment)
        -- Captured again: the rows written in between are unrecorded. Those of an unfinished batch are known by marks.
        ON CONFLICT (capture_id, relation) DO UPDATE
        SET unrecorded = concat_ws(';', nullif(l.unrecorded, ''), l.ended || '/' || moment), ended = NULL,
            place = 0, file = CASE WHEN l.place > 0 THEN 0 ELSE NULL END;
        -- Rows of this transaction are in no snapshot.
        IF NOT current_setting('track_counts')::boolean
           OR pg_stat_get_xact_tuples_inserted(leaf) + pg_stat_get_xact_tuples_updated(leaf) > 0 THEN
            PERFORM kursaha_cohort.cohort_keep_rows(capture.capture_id, leaf, true);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.begin_leaves(kursaha_cohort.capture) IS 'Records which rows the tables of a capture contained before the triggers were created';

-- Afterwards the order of the partitions is not known. The place -1 distinguishes these rows from recorded ones.
CREATE FUNCTION kursaha_cohort.restored_leaves() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO kursaha_cohort.capture_leaf (capture_id, relation, unrecorded, place)
    SELECT c.capture_id, leaf, '', -1
    FROM kursaha_cohort.capture c JOIN pg_class p ON p.oid = c.source AND p.relkind = 'p', kursaha_cohort.capture_leaves(c.source) leaf
    WHERE c.on_insert AND c.event_type IS NOT NULL
      AND NOT EXISTS (SELECT FROM kursaha_cohort.capture_leaf l WHERE l.capture_id = c.capture_id);
END
$$;
COMMENT ON FUNCTION kursaha_cohort.restored_leaves() IS 'Records the partitions of a restored capture, so that only partitions attached later are backfilled';

CREATE FUNCTION kursaha_cohort.capture_restored() RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF kursaha_cohort.restoring() THEN
        PERFORM kursaha_cohort.restored_leaves();
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.capture_restored() IS 'Calls restored_leaves when a dump is restored';
CREATE TRIGGER capture_restored AFTER INSERT ON kursaha_cohort.capture
    FOR EACH STATEMENT EXECUTE FUNCTION kursaha_cohort.capture_restored();
ALTER TABLE kursaha_cohort.capture ENABLE ALWAYS TRIGGER capture_restored;
COMMENT ON TRIGGER capture_restored ON kursaha_cohort.capture IS 'Records the partitions of restored captures';

CREATE FUNCTION kursaha_cohort.capture_events(
    "on" text, OUT on_insert boolean, OUT on_update boolean, OUT on_delete boolean, OUT update_columns name[]
)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item text;
    named text;
BEGIN
    on_insert := false;
    on_update := false;
    on_delete := false;
    FOR item IN SELECT btrim(m[1]) FROM regexp_matches("on", '((?:"(?:[^"]|"")*"|[^,"])+)(?:,|$)', 'g') m LOOP
        named := NULL;
        IF lower(item) = 'insert' THEN
            on_insert := true;
        ELSIF lower(item) = 'delete' THEN
            on_delete := true;
        ELSIF lower(item) = 'update' THEN
            on_update := true;
        ELSIF item ~* '^update\s+of\s+\S' THEN
            on_update := true;
            update_columns := coalesce(update_columns, '{}');
            named := regexp_replace(item, '^update\s+of\s+', '', 'i');
        ELSIF update_columns IS NOT NULL AND item <> '' THEN
            named := item;
        ELSE
            named := '';
        END IF;
        IF named IS NOT NULL THEN
            BEGIN
                update_columns := update_columns || (SELECT p[1]::name FROM parse_ident(named) p WHERE cardinality(p) = 1);
            EXCEPTION WHEN invalid_parameter_value THEN
                named := '';
            END;
        END IF;
        EXIT WHEN named = '';
    END LOOP;
    IF named = '' OR NOT (on_insert OR on_update OR on_delete) OR array_position(update_columns, NULL) IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid "on": "%s"', coalesce("on", 'NULL')),
            HINT = 'Pass a list of insert, update, update of COLUMN, ... and delete, for example ''insert, update of status''.';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.capture_events(text) IS 'Parses the argument "on" of cohort_capture';

CREATE FUNCTION kursaha_cohort.check_source(source regclass) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = source AND c.relkind IN ('r', 'p')
        AND c.relpersistence <> 't' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                          AND d.refclassid = 'pg_extension'::regclass AND x.extname = 'kursaha_cohort')) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s cannot be captured', source),
            HINT = 'The source must be a table of the application, not a view, foreign table, temporary table, system catalog or table of this extension.';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.check_source(regclass) IS 'Raises an error if a relation cannot be captured';

CREATE FUNCTION kursaha_cohort.check_capture_columns(
    source regclass, customer_column name, occurred_at_column name, data_columns name[], update_columns name[]
) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given name;
    place text;
BEGIN
    FOR place, given IN
        SELECT 'customer_column', customer_column
        UNION ALL SELECT 'occurred_at_column', occurred_at_column WHERE occurred_at_column IS NOT NULL
        UNION ALL SELECT format('data_columns[%s]', d.n), d.name FROM unnest(data_columns) WITH ORDINALITY AS d (name, n)
        UNION ALL SELECT format('"on", update of %s', d.name), d.name FROM unnest(update_columns) AS d (name)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = source AND a.attname = given
                       AND a.attnum > 0 AND NOT a.attisdropped) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('invalid %s: %s has no column "%s"', place, source, given),
                HINT = format('Its columns are: %s.',
                    (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                     WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped));
        END IF;
        IF place = 'occurred_at_column' AND NOT EXISTS (
            WITH RECURSIVE base (type) AS (
                SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = source AND a.attname = given
                UNION SELECT t.typbasetype FROM base JOIN pg_type t ON t.oid = base.type WHERE t.typtype = 'd'
            )
            SELECT FROM base WHERE type IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('invalid occurred_at_column: column "%s" is not a time', given),
                HINT = 'Its type must be timestamptz, timestamp or date; the last two are read in the time zone of the argument timezone.';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.check_capture_columns(regclass, name, name, name[], name[]) IS 'Raises an error if a table does not have the columns of a capture';

-- The triggers of a capture. Their names order them: arrival sees a row that moved between partitions before capture does.
-- The condition stands in triggers of its own, which never fire: in the WHEN clause of one that does, an error of it would
-- fail the application's write. There it is kept in step with the table's columns, and is part of a dump.
CREATE FUNCTION kursaha_cohort.create_capture_triggers(capture kursaha_cohort.capture, when_condition text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moves boolean := (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = capture.source)
        AND capture.event_type IS NOT NULL AND (capture.on_insert OR capture.on_update);
    made record;
    condition text := '';
BEGIN
    IF when_condition IS NOT NULL THEN
        -- The line break keeps a comment from swallowing the bracket.
        condition := format(E'WHEN (false AND (%s\n))', when_condition);
    END IF;
    FOR made IN
        SELECT * FROM (VALUES
            ('cohort_arrival_%s', 'INSERT', '', 'arrival', moves),
            ('cohort_capture_%s', 'INSERT', '', '', capture.on_insert),
            ('cohort_capture_%s_update', 'UPDATE', '', '', capture.on_update),
            ('cohort_capture_%s_delete', 'DELETE', '', '', capture.on_delete),
            ('cohort_when_%s', 'INSERT', condition, 'when', capture.on_insert AND when_condition IS NOT NULL),
            ('cohort_when_%s_update', 'UPDATE', condition, 'when', capture.on_update AND when_condition IS NOT NULL),
            ('cohort_when_%s_delete', 'DELETE', condition, 'when', capture.on_delete AND when_condition IS NOT NULL),
            ('cohort_keep_%s', CASE WHEN capture.on_insert THEN 'UPDATE OR DELETE' ELSE 'DELETE' END, '', 'keep',
             capture.event_type IS NOT NULL AND (capture.on_insert OR moves))
        ) AS t (name, events, condition, role, wanted) WHERE t.wanted
    LOOP
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s FOR EACH ROW %s EXECUTE FUNCTION kursaha_cohort.capture_row(%L%s)',
                       format(made.name, capture.capture_id), made.events, capture.source, made.condition,
                       capture.capture_id::text, CASE made.role WHEN '' THEN '' ELSE ', ' || quote_literal(made.role) END);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', capture.source, format(made.name, capture.capture_id));
        EXECUTE format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION kursaha_cohort',
                       format(made.name, capture.capture_id), capture.source);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.create_capture_triggers(kursaha_cohort.capture, text) IS 'Creates the triggers of a capture on its table';

CREATE FUNCTION kursaha_cohort.check_condition(source regclass, events text, when_condition text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    probe refcursor;
BEGIN
    IF when_condition IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        -- A cursor takes one query only: what passes here and as the trigger's WHEN is one expression. Opening the
        -- cursor reads no row.
        OPEN probe FOR EXECUTE format(E'SELECT FROM %s AS new, %s AS old WHERE (%s\n) LIMIT 0', source, source, when_condition);
        CLOSE probe;
    EXCEPTION WHEN OTHERS THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'invalid when_condition: ' || SQLERRM,
            HINT = 'Pass one SQL condition on NEW, for example NEW.status = ''paid''; qualify your own functions with their schema.';
    END;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.check_condition(regclass, text, text) IS 'Raises an error if a text is not a single SQL condition on the rows of a table';

CREATE FUNCTION kursaha_cohort.begin_capture(
    source regclass, event_type text, customer_column name, occurred_at_column name, data_columns name[],
    when_condition text, "on" text, timezone text, backfill_within interval
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    events record := kursaha_cohort.capture_events(begin_capture."on");
    zone text := coalesce(begin_capture.timezone, current_setting('TimeZone'));
    capture kursaha_cohort.capture;
    known bigint;
BEGIN
    PERFORM kursaha_cohort.check_source(begin_capture.source);
    PERFORM kursaha_cohort.check_capture_columns(begin_capture.source, begin_capture.customer_column,
        begin_capture.occurred_at_column, begin_capture.data_columns, events.update_columns);
    PERFORM kursaha_cohort.check_condition(begin_capture.source, begin_capture."on", begin_capture.when_condition);
    BEGIN
        PERFORM now() AT TIME ZONE zone;
    EXCEPTION WHEN OTHERS THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('invalid timezone "%s"', zone),
            HINT = 'pg_timezone_names lists the zones, for example ''Asia/Kolkata''.';
    END;
    IF EXISTS (SELECT FROM kursaha_cohort.capture c WHERE c.source = begin_capture.source
               AND c.event_type IS NOT DISTINCT FROM begin_capture.event_type) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN begin_capture.event_type IS NULL
                THEN format('%s is captured as profiles already', begin_capture.source)
                ELSE format('%s is captured as "%s" already', begin_capture.source, begin_capture.event_type) END,
            HINT = format('Call %s first to change it.',
                CASE WHEN begin_capture.event_type IS NULL THEN 'cohort_release_profile' ELSE 'cohort_release' END);
    END IF;
    IF begin_capture.data_columns IS NULL THEN
        RAISE NOTICE USING
            MESSAGE = format('all columns of %s become properties, which every role with the set reader can see', begin_capture.source),
            HINT = 'Pass data_columns without passwords, tokens and columns that no rule needs.';
    END IF;

    DELETE FROM kursaha_cohort.released_capture r
    WHERE r.source = begin_capture.source AND r.event_type = begin_capture.event_type RETURNING r.capture_id INTO known;
    INSERT INTO kursaha_cohort.capture (capture_id, source, event_type, customer_column, occurred_at_column, data_columns,
        data_keys, on_insert, on_update, on_delete, update_columns, timezone, backfill_until, source_name)
    VALUES (coalesce(known, nextval('kursaha_cohort.capture_capture_id_seq')), begin_capture.source,
            begin_capture.event_type, begin_capture.customer_column, begin_capture.occurred_at_column,
            begin_capture.data_columns, begin_capture.data_columns::text[], events.on_insert, events.on_update,
            events.on_delete, events.update_columns, zone,
            coalesce(now() + begin_capture.backfill_within, 'infinity'),
            (SELECT format('%I.%I', c.relnamespace::regnamespace::name, c.relname) FROM pg_class c
             WHERE c.oid = begin_capture.source))
    RETURNING * INTO capture;
    BEGIN
        PERFORM kursaha_cohort.create_capture_triggers(capture, begin_capture.when_condition);
    EXCEPTION WHEN invalid_object_definition OR syntax_error OR datatype_mismatch OR feature_not_supported
                OR grouping_error OR windowing_error THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'invalid when_condition: ' || SQLERRM,
            HINT = 'It can use NEW for insert, NEW and OLD for update, OLD for delete, and is used for each command of "on". Capture different events as different event types.';
    END;
    IF events.on_insert AND begin_capture.event_type IS NOT NULL THEN
        PERFORM kursaha_cohort.begin_leaves(capture);
    END IF;
    PERFORM kursaha_cohort.fold_capture_counts();
    RETURN capture.capture_id;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.begin_capture(regclass, text, name, name, name[], text, text, text, interval) IS 'Sets up a capture for cohort_capture and cohort_capture_profile';

CREATE FUNCTION @extschema@.cohort_capture(
    source regclass, event_type text, customer_column name, occurred_at_column name DEFAULT NULL,
    data_columns name[] DEFAULT NULL, when_condition text DEFAULT NULL, "on" text DEFAULT 'insert',
    timezone text DEFAULT NULL, backfill_within interval DEFAULT '7 days'
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF source IS NULL OR event_type IS NULL OR customer_column IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'source, event_type and customer_column must not be NULL',
            HINT = 'For example cohort_capture(''shop.orders'', ''purchase'', ''customer_id'', ''ordered_at'').';
    END IF;
    IF event_type IN ('', '*') OR length(event_type) > 255 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid event_type "%s"', left(event_type, 40)),
            HINT = 'An event type has 1 to 255 characters and is not "*".';
    END IF;
    RETURN kursaha_cohort.begin_capture(source, event_type, customer_column, occurred_at_column, data_columns,
                                        when_condition, "on", timezone, backfill_within);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_capture(regclass, text, name, name, name[], text, text, text, interval) IS 'Starts recording the rows of a table as events: inserted rows, and the other commands in "on" (update, update of COLUMN, delete). Rows that cannot be stored as events are skipped and counted. when_condition is an SQL condition on NEW and OLD; timezone is the zone of times without a zone. Returns the id of the capture';

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
                                             FROM kursaha_cohort.capture c WHERE c.event_type IS NOT NULL) || '.',
                            'There are no captures.');
    END IF;
    RETURN found_one;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.find_capture(regclass, text) IS 'The capture of a table as an event type, or an error that lists the existing captures';

CREATE FUNCTION kursaha_cohort.drop_capture_triggers(capture kursaha_cohort.capture) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['cohort_arrival_%s', 'cohort_capture_%s', 'cohort_capture_%s_update',
                                'cohort_capture_%s_delete', 'cohort_keep_%s', 'cohort_when_%s', 'cohort_when_%s_update',
                                'cohort_when_%s_delete'] LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', format(name, capture.capture_id), capture.source);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.drop_capture_triggers(kursaha_cohort.capture) IS 'Drops the triggers of a capture';

CREATE FUNCTION @extschema@.cohort_release(source regclass, event_type text) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    capture kursaha_cohort.capture := kursaha_cohort.find_capture(source, event_type);
    moment text;
BEGIN
    PERFORM kursaha_cohort.drop_capture_triggers(capture);
    -- The lock of DROP TRIGGER keeps writers out: what is written from here on is in no event.
    moment := kursaha_cohort.ended_now();
    INSERT INTO kursaha_cohort.released_capture (capture_id, source, event_type)
    VALUES (capture.capture_id, capture.source, capture.event_type);
    -- After a restore it is not known which rows were recorded; they are not recorded again.
    IF capture.on_insert THEN
        INSERT INTO kursaha_cohort.capture_leaf (capture_id, relation, unrecorded)
        SELECT capture.capture_id, leaf, '' FROM kursaha_cohort.capture_leaves(capture.source) leaf
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE kursaha_cohort.capture_leaf l SET ended = moment WHERE l.capture_id = capture.capture_id AND l.ended IS NULL;
    DELETE FROM kursaha_cohort.capture c WHERE c.capture_id = capture.capture_id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_release(regclass, text) IS 'Ends a capture; the recorded events stay';

CREATE FUNCTION @extschema@.cohort_backfill(source regclass, event_type text, at_most bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    capture kursaha_cohort.capture := kursaha_cohort.find_capture(source, event_type);
    recorded bigint;
BEGIN
    IF at_most < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('invalid at_most: %s', at_most),
            HINT = 'Pass the number of rows that one call records; NULL records all remaining rows.';
    END IF;
    -- One backfill of a capture at a time. Writers of the table do not wait.
    SELECT c.* INTO STRICT capture FROM kursaha_cohort.capture c WHERE c.capture_id = capture.capture_id FOR UPDATE;
    IF NOT capture.on_insert THEN
        RAISE NOTICE '% is captured as "%" on updates or deletes only: there is nothing to backfill', source, event_type;
        RETURN 0;
    END IF;
    IF NOT EXISTS (SELECT FROM kursaha_cohort.capture_leaf l WHERE l.capture_id = capture.capture_id AND l.place >= 0) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('cannot determine which rows of %s are older than its capture as "%s"', source, event_type),
            DETAIL = 'The capture was restored from a dump, which does not contain the age of rows.',
            HINT = 'Finish backfills before a dump. INSERT the missing events into cohort_event.';
    END IF;
    IF capture.backfill_until <= now() AND EXISTS (SELECT FROM kursaha_cohort.capture_leaf l
            WHERE l.capture_id = capture.capture_id AND l.unrecorded <> '') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('the backfill of %s as "%s" is too late: it was possible until %s', source, event_type,
                             capture.backfill_until),
            DETAIL = 'Previous versions of rows that were changed since then are no longer saved.',
            HINT = 'INSERT the older rows into cohort_event. The argument backfill_within of cohort_capture sets the time limit.';
    END IF;
    recorded := kursaha_cohort.cohort_backfill_rows(capture.capture_id, coalesce(at_most, 9223372036854775807));
    PERFORM kursaha_cohort.fold_capture_counts();
    RETURN recorded;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_backfill(regclass, text, bigint) IS 'Records each row that a table contained before its capture once, as it was then; returns the number of rows. at_most limits the rows of a call: repeat it until it returns 0';

CREATE FUNCTION kursaha_cohort.fold_capture_counts() RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    WITH gone AS (
        DELETE FROM kursaha_cohort.capture_count c
        WHERE c.ctid = ANY (ARRAY(SELECT d.ctid FROM kursaha_cohort.capture_count d FOR UPDATE SKIP LOCKED))
        RETURNING c.*
    )
    INSERT INTO kursaha_cohort.capture_count (capture_id, outcome, state, rows, last_at)
    SELECT g.capture_id, g.outcome, g.state, sum(g.rows), max(g.last_at) FROM gone g GROUP BY 1, 2, 3;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.fold_capture_counts() IS 'Adds up the counters of captures, without waiting for locks';

-- Profiles -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION @extschema@.cohort_capture_profile(
    source regclass, customer_column name, data_columns name[] DEFAULT NULL, when_condition text DEFAULT NULL,
    "on" text DEFAULT 'insert, update', timezone text DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF source IS NULL OR customer_column IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'source and customer_column must not be NULL',
            HINT = 'For example cohort_capture_profile(''shop.users'', ''id'', ''{name,plan,country}'').';
    END IF;
    RETURN kursaha_cohort.begin_capture(source, NULL, customer_column, NULL, data_columns, when_condition, "on", timezone, NULL);
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_capture_profile(regclass, name, name[], text, text, text) IS 'Starts merging inserted and updated rows of a table into the profiles of their customers: a column that is NULL is removed from the profile. With delete in "on", a deleted row removes its properties from the profile, and a profile without properties is deleted. Returns the id of the capture';

CREATE FUNCTION kursaha_cohort.find_profile_capture(source regclass) RETURNS kursaha_cohort.capture
    LANGUAGE plpgsql STABLE PARALLEL SAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    found_one kursaha_cohort.capture;
BEGIN
    SELECT c.* INTO found_one FROM kursaha_cohort.capture c
    WHERE c.source = find_profile_capture.source AND c.event_type IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('%s is not captured as profiles', coalesce(find_profile_capture.source::text, 'NULL')),
            HINT = 'cohort_capture_profile captures a table as profiles; the view cohort_capture_status shows all captures.';
    END IF;
    RETURN found_one;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.find_profile_capture(regclass) IS 'The capture of a table as profiles, or an error';

CREATE FUNCTION @extschema@.cohort_release_profile(source regclass) RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT
    SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    capture kursaha_cohort.capture := kursaha_cohort.find_profile_capture(source);
BEGIN
    PERFORM kursaha_cohort.drop_capture_triggers(capture);
    DELETE FROM kursaha_cohort.capture c WHERE c.capture_id = capture.capture_id;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_release_profile(regclass) IS 'Ends a capture of profiles; the profiles stay';

CREATE FUNCTION @extschema@.cohort_backfill_profile(source regclass) RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE CALLED ON NULL INPUT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    capture kursaha_cohort.capture := kursaha_cohort.find_profile_capture(source);
    merged bigint;
BEGIN
    merged := kursaha_cohort.cohort_backfill_rows(capture.capture_id, 9223372036854775807);
    PERFORM kursaha_cohort.fold_capture_counts();
    RETURN merged;
END
$$;
COMMENT ON FUNCTION @extschema@.cohort_backfill_profile(regclass) IS 'Merges all rows of a table into profiles; returns the number of rows. A second call changes nothing, unless a profile was changed by other means';
