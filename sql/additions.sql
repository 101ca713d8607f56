-- What users add to cohort_event and cohort_customer, kept for dumps. pg_dump writes the rows of an extension's table with
-- all columns, but nothing that was added to it. So additions are made a second time on objects of the schema kursaha_cohort
-- that are no members of the extension, and which pg_dump writes: the composite type event_columns has the columns, which
-- must be there before the rows come; the empty table event_additions has defaults, checks, foreign keys, indexes and
-- triggers. When a restore makes these objects, their parts are made on the table itself.
-- Only the extension's owner and superusers can create objects in this schema, so a restore runs no DDL of other roles.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.restoring() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT current_setting('check_function_bodies') = 'off'
        AND (current_setting('row_security') = 'off'
             OR current_setting('client_min_messages') = 'warning' AND current_setting('statement_timeout') = '0'
                AND current_setting('lock_timeout') = '0')
$$;
COMMENT ON FUNCTION kursaha_cohort.restoring() IS 'Whether a script of pg_dump, or pg_restore, set up the session; also with --enable-row-security';

CREATE FUNCTION kursaha_cohort.goes_with_extension(class oid, object oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'goes_with_extension_wrapper';
COMMENT ON FUNCTION kursaha_cohort.goes_with_extension(oid, oid) IS 'Makes DROP EXTENSION drop an object that is not a member of the extension';

CREATE FUNCTION kursaha_cohort.goes_with(class oid, object oid, other_class oid, other oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'goes_with_wrapper';
COMMENT ON FUNCTION kursaha_cohort.goes_with(oid, oid, oid, oid) IS 'Makes an object depend on another one automatically, so that it is dropped together with it';

-- A serial column goes with its sequence, on which the default of the kept column depends.
CREATE FUNCTION kursaha_cohort.let_sequences_go(kept oid) RETURNS void
    LANGUAGE sql STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT kursaha_cohort.goes_with(d.classid, d.objid, d.refclassid, d.refobjid)
    FROM pg_depend d JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    JOIN pg_class s ON d.refclassid = 'pg_class'::regclass AND s.oid = d.refobjid AND s.relkind = 'S'
    WHERE f.adrelid = kept AND d.deptype = 'n' AND NOT EXISTS (SELECT FROM pg_depend o
        WHERE (o.classid, o.objid, o.refclassid, o.refobjid, o.deptype) = (d.classid, d.objid, d.refclassid, d.refobjid, 'a'))
$$;
COMMENT ON FUNCTION kursaha_cohort.let_sequences_go(oid) IS 'Removes the dependency of a column that is recorded for dumps on a sequence, so that the sequence can be dropped';

-- A different name, so that a search for an index or a trigger by its name finds one object. If there is no room for a
-- different name, the name is the same, which is allowed in another schema and on another table.
CREATE FUNCTION kursaha_cohort.kept_name(given name, is_kept boolean) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN NOT is_kept THEN regexp_replace(given::text, '^kept_', '')
                WHEN octet_length(given::text) <= 58 THEN 'kept_' || given ELSE given::text END
$$;
COMMENT ON FUNCTION kursaha_cohort.kept_name(name, boolean) IS 'The name of an index, constraint or trigger on the table that records additions, or on the original table';

-- How rows are stored, and how numbers of an identity column go on.
CREATE FUNCTION kursaha_cohort.copy_storage(own kursaha_cohort.own_relation, source oid, target oid) RETURNS void
    LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
    options text;
BEGIN
    FOR part IN
        SELECT a.attname, CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END AS storage,
               a.attstorage <> b.attstorage AS is_stored_otherwise, coalesce(a.attstattarget, -1) AS statistics,
               coalesce(a.attstattarget, -1) NOT IN (-1, coalesce(b.attstattarget, -1)) AS has_other_statistics
        FROM pg_attribute a JOIN pg_attribute b ON b.attrelid = target AND b.attname = a.attname AND NOT b.attisdropped
        WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
    LOOP
        IF part.is_stored_otherwise THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', target::regclass, part.attname, part.storage);
        END IF;
        IF part.has_other_statistics THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', target::regclass, part.attname, part.statistics);
        END IF;
    END LOOP;
    SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ') INTO options
    FROM pg_class s, pg_class t, pg_options_to_table(s.reloptions) o
    WHERE s.oid = source AND t.oid = target AND s.reloptions IS DISTINCT FROM t.reloptions;
    IF options IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', target::regclass, options);
    END IF;
    -- While a dump is restored: sequences of columns are not part of it.
    IF target = own.relation AND kursaha_cohort.restoring() THEN
        FOR part IN
            SELECT a.attname, pg_get_serial_sequence(target::regclass::text, a.attname) AS numbers FROM pg_attribute a
            WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity <> ''
              AND format('%I', a.attname) <> ALL (ARRAY(SELECT split_part(c, ' ', 2) FROM unnest(own.columns) AS c))
        LOOP
            EXECUTE format('SELECT setval(%L, max(%I)) FROM %s HAVING max(%I) > 0', part.numbers, part.attname, target::regclass, part.attname);
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.copy_storage(kursaha_cohort.own_relation, oid, oid) IS 'Copies column storage, statistics targets and storage parameters from one relation to another, and advances the sequences of added identity columns past their values';

CREATE FUNCTION kursaha_cohort.copy_comments(own kursaha_cohort.own_relation, source oid, target oid) RETURNS void
    LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made CONSTANT name[] := ARRAY(SELECT split_part(c, ' ', 2) FROM unnest(own.columns) AS c)::name[];
    keeps CONSTANT boolean := source = own.relation;
    part record;
BEGIN
    FOR part IN
        SELECT format('COLUMN %s.%I', target::regclass, b.attname) AS object, col_description(source, a.attnum) AS said, col_description(target, b.attnum) AS said_there
        FROM pg_attribute a JOIN pg_attribute b ON b.attrelid = target AND b.attname = a.attname AND NOT b.attisdropped
        WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (made)
        UNION ALL
        SELECT format('CONSTRAINT %I ON %s', t.conname, target::regclass), obj_description(c.oid, 'pg_constraint'), obj_description(t.oid, 'pg_constraint')
        FROM pg_constraint c JOIN pg_constraint t ON t.conrelid = target AND t.conname = kursaha_cohort.kept_name(c.conname, keeps)
        WHERE c.conrelid = source AND c.conname <> ALL (own.parts)
        UNION ALL
        SELECT format('INDEX %s', t.oid::regclass), obj_description(c.oid, 'pg_class'), obj_description(t.oid, 'pg_class')
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_index j ON j.indrelid = target JOIN pg_class t ON t.oid = j.indexrelid AND t.relname = kursaha_cohort.kept_name(c.relname, keeps)
        WHERE i.indrelid = source AND c.relname <> ALL (own.parts)
        UNION ALL
        SELECT format('TRIGGER %I ON %s', o.tgname, target::regclass), obj_description(t.oid, 'pg_trigger'), obj_description(o.oid, 'pg_trigger')
        FROM pg_trigger t JOIN pg_trigger o ON o.tgrelid = target AND o.tgname = kursaha_cohort.kept_name(t.tgname, keeps)
        JOIN pg_proc p ON p.oid = t.tgfoid AND p.pronamespace <> 'kursaha_cohort'::regnamespace
        WHERE t.tgrelid = source AND NOT t.tgisinternal
    LOOP
        IF part.said IS DISTINCT FROM part.said_there AND part.said IS NOT NULL THEN
            EXECUTE format('COMMENT ON %s IS %L', part.object, part.said);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.copy_comments(kursaha_cohort.own_relation, oid, oid) IS 'Copies the comments on added columns, indexes, constraints and triggers from one relation to another';

CREATE FUNCTION kursaha_cohort.copy_additions(own kursaha_cohort.own_relation, source oid, target oid) RETURNS void
    LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made CONSTANT name[] := ARRAY(SELECT split_part(c, ' ', 2) FROM unnest(own.columns) AS c)::name[];
    keeps CONSTANT boolean := source = own.relation;
    definition text;
    part record;
BEGIN
    FOR part IN
        SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS value, a.attgenerated = 's' AS generated,
               a.attnotnull AND NOT b.attnotnull AS not_null, CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS identity,
               b.attidentity AS identity_there, b.attname IS NULL AS is_new, pg_get_expr(e.adbin, e.adrelid) AS value_there,
               (SELECT format('COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
                WHERE l.oid = a.attcollation AND l.collname <> 'default') AS collation
        FROM pg_attribute a
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_attribute b ON b.attrelid = target AND b.attname = a.attname AND NOT b.attisdropped
        LEFT JOIN pg_attrdef e ON e.adrelid = b.attrelid AND e.adnum = b.attnum
        WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (made)
        ORDER BY a.attnum
    LOOP
        IF part.is_new THEN
            -- A default would be evaluated for rows that are there.
            EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s %s %s', target::regclass, part.attname, part.type, part.collation,
                           CASE WHEN part.generated THEN format('GENERATED ALWAYS AS (%s) STORED', part.value) END);
        END IF;
        IF NOT part.generated AND part.value IS DISTINCT FROM part.value_there AND part.value IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', target::regclass, part.attname, part.value);
        END IF;
        IF part.not_null THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', target::regclass, part.attname);
        END IF;
        IF part.identity IS NOT NULL AND coalesce(part.identity_there, '') = '' THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED %s AS IDENTITY', target::regclass, part.attname, part.identity);
        END IF;
    END LOOP;

    FOR part IN
        SELECT kursaha_cohort.kept_name(c.conname, keeps) AS conname, pg_get_constraintdef(c.oid) AS definition FROM pg_constraint c
        WHERE c.conrelid = source AND c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.conparentid = 0 AND c.conname <> ALL (own.parts)
          AND NOT EXISTS (SELECT FROM pg_constraint t WHERE t.conrelid = target AND t.conname = kursaha_cohort.kept_name(c.conname, keeps))
        ORDER BY c.contype <> 'c', c.oid
    LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', target::regclass, part.conname, part.definition);
    END LOOP;

    FOR part IN
        SELECT kursaha_cohort.kept_name(c.relname, keeps) AS relname, pg_get_indexdef(c.oid) AS definition,
               format('CREATE %s %I ON %I.%I USING ', CASE WHEN i.indisunique THEN 'UNIQUE INDEX' ELSE 'INDEX' END, c.relname, n.nspname, s.relname) AS beginning
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class s ON s.oid = source JOIN pg_namespace n ON n.oid = s.relnamespace
        WHERE i.indrelid = source AND c.relname <> ALL (own.parts || ARRAY['event_kept', 'customer_kept']::name[]) AND i.indisvalid
          AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
          AND NOT EXISTS (SELECT FROM pg_index t JOIN pg_class r ON r.oid = t.indexrelid WHERE t.indrelid = target AND r.relname = kursaha_cohort.kept_name(c.relname, keeps))
        ORDER BY c.oid
    LOOP
        IF starts_with(part.definition, part.beginning) THEN
            EXECUTE format('CREATE %s %I ON %s USING %s',
                CASE WHEN part.beginning LIKE 'CREATE UNIQUE%' THEN 'UNIQUE INDEX' ELSE 'INDEX' END, part.relname, target::regclass,
                substr(part.definition, length(part.beginning) + 1));
        END IF;
    END LOOP;

    FOR part IN
        SELECT kursaha_cohort.kept_name(t.tgname, keeps) AS tgname, pg_get_triggerdef(t.oid) AS definition, t.tgenabled,
               format(' ON %I.%I ', n.nspname, s.relname) AS place, CASE WHEN t.tgconstraint = 0 THEN 'TRIGGER' ELSE 'CONSTRAINT TRIGGER' END AS kind,
               length(format('CREATE %s %I ', CASE WHEN t.tgconstraint = 0 THEN 'TRIGGER' ELSE 'CONSTRAINT TRIGGER' END, t.tgname)) AS name_end
        FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class s ON s.oid = source JOIN pg_namespace n ON n.oid = s.relnamespace
        WHERE t.tgrelid = source AND NOT t.tgisinternal AND p.pronamespace <> 'kursaha_cohort'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_trigger o WHERE o.tgrelid = target AND o.tgname = kursaha_cohort.kept_name(t.tgname, keeps))
        ORDER BY t.oid
    LOOP
        -- Behind the name, which may hold anything.
        definition := substr(part.definition, part.name_end + 1);
        EXECUTE format('CREATE %s %I ', part.kind, part.tgname) || left(definition, strpos(definition, part.place))
            || format('ON %s ', target::regclass) || substr(definition, strpos(definition, part.place) + length(part.place));
    END LOOP;

    FOR part IN
        SELECT o.tgname, t.tgenabled FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        JOIN pg_trigger o ON o.tgrelid = target AND o.tgname = kursaha_cohort.kept_name(t.tgname, keeps) AND o.tgenabled <> t.tgenabled
        WHERE t.tgrelid = source AND NOT t.tgisinternal AND p.pronamespace <> 'kursaha_cohort'::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %s %s TRIGGER %I', target::regclass,
                       CASE part.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, part.tgname);
    END LOOP;
    PERFORM kursaha_cohort.copy_storage(own, source, target);
    PERFORM kursaha_cohort.copy_comments(own, source, target);
END
$$;
COMMENT ON FUNCTION kursaha_cohort.copy_additions(kursaha_cohort.own_relation, oid, oid) IS 'Copies the additions of users from one relation to another: columns, defaults, constraints, indexes, triggers, storage and comments';

-- The table and the type that keep the additions to a table, made again from what the table has now. A restore makes them
-- itself, in sessions that are known by two settings of every script of pg_dump.
CREATE FUNCTION kursaha_cohort.keep_additions(own kursaha_cohort.own_relation) RETURNS void
    LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    kind CONSTANT text := substr(own.name, length('cohort_') + 1);
    made CONSTANT name[] := ARRAY(SELECT split_part(c, ' ', 2) FROM unnest(own.columns) AS c)::name[];
    columns text;
    added boolean;
BEGIN
    IF kursaha_cohort.restoring() THEN
        RETURN;
    END IF;
    SELECT string_agg(format('%I %s %s', a.attname, format_type(a.atttypid, a.atttypmod),
                             (SELECT format('COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
                              WHERE l.oid = a.attcollation AND l.collname <> 'default')), ', ' ORDER BY a.attnum)
               FILTER (WHERE a.attgenerated = '')
    INTO columns FROM pg_attribute a
    WHERE a.attrelid = own.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (made);
    added := EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = own.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (made))
        OR EXISTS (SELECT FROM pg_class c WHERE c.oid = own.relation AND c.reloptions IS NOT NULL)
        OR EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                   WHERE a.attrelid = own.relation AND a.attnum > 0 AND NOT a.attisdropped AND (a.attstorage <> t.typstorage OR coalesce(a.attstattarget, -1) <> -1))
        OR EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = own.relation AND c.contype IN ('c', 'f', 'p', 'u', 'x') AND c.conname <> ALL (own.parts))
        OR EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = own.relation AND c.relname <> ALL (own.parts))
        OR EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                   WHERE t.tgrelid = own.relation AND NOT t.tgisinternal AND p.pronamespace <> 'kursaha_cohort'::regnamespace);
    IF NOT added AND to_regclass(format('kursaha_cohort.%I', kind || '_additions')) IS NULL THEN
        RETURN;
    END IF;
    -- Expressions of whoever owns the table would run with the rights of the extension's owner.
    IF added AND (SELECT c.relowner FROM pg_class c WHERE c.oid = own.relation) <> (SELECT e.extowner FROM pg_extension e WHERE e.extname = 'kursaha_cohort') THEN
        RAISE WARNING USING MESSAGE = format('additions to %s are not included in dumps', own.name),
            DETAIL = 'The table does not belong to the owner of the extension.',
            HINT = format('Create the additions manually between CREATE EXTENSION and loading the rows, or: ALTER TABLE %s OWNER TO %s;', own.relation::regclass,
                          (SELECT e.extowner::regrole FROM pg_extension e WHERE e.extname = 'kursaha_cohort'));
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('DROP TABLE IF EXISTS kursaha_cohort.%I', kind || '_additions');
        EXECUTE format('DROP TYPE IF EXISTS kursaha_cohort.%I', kind || '_columns');
        IF columns IS NOT NULL THEN
            EXECUTE format('CREATE TYPE kursaha_cohort.%I AS (%s)', kind || '_columns', columns);
            EXECUTE format('COMMENT ON TYPE kursaha_cohort.%I IS %L', kind || '_columns', format('The columns that were added to %s, for dumps', own.name));
            PERFORM kursaha_cohort.goes_with_extension('pg_type'::regclass, format('kursaha_cohort.%I', kind || '_columns')::regtype);
        END IF;
        IF added THEN
            EXECUTE format('CREATE TABLE kursaha_cohort.%I (LIKE %s INCLUDING GENERATED INCLUDING STORAGE)', kind || '_additions', own.relation::regclass);
            EXECUTE format('COMMENT ON TABLE kursaha_cohort.%I IS %L', kind || '_additions', format('What was added to %s, for dumps; has no rows', own.name));
            PERFORM kursaha_cohort.goes_with_extension('pg_class'::regclass, format('kursaha_cohort.%I', kind || '_additions')::regclass);
            -- pg_dump writes it after the rows. When a restore makes it, defaults and checks are made as well.
            EXECUTE format('CREATE INDEX %I ON kursaha_cohort.%I (customer_id)', kind || '_kept', kind || '_additions');
            PERFORM kursaha_cohort.copy_additions(own, own.relation, format('kursaha_cohort.%I', kind || '_additions')::regclass);
            PERFORM kursaha_cohort.let_sequences_go(format('kursaha_cohort.%I', kind || '_additions')::regclass);
        END IF;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING USING ERRCODE = SQLSTATE, MESSAGE = format('additions to %s are not included in dumps: %s', own.name, SQLERRM),
            HINT = 'Create the additions manually between CREATE EXTENSION and loading the rows.';
    END;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.keep_additions(kursaha_cohort.own_relation) IS 'Records the additions of users to cohort_event or cohort_customer for dumps';

CREATE FUNCTION kursaha_cohort.additions_made() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own kursaha_cohort.own_relation;
    made record;
BEGIN
    -- A restore made a part of what keeps the additions; anywhere else the table is what counts.
    FOR made IN
        SELECT c.oid AS kept, c.relkind, c.reltype, o.relation FROM (
            SELECT DISTINCT coalesce(t.tgrelid, i.indrelid, y.typrelid, k.conrelid, d.objid) AS relation
            FROM pg_event_trigger_ddl_commands() d
            LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
            LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
            LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
            LEFT JOIN pg_type y ON d.classid = 'pg_type'::regclass AND y.oid = d.objid
            WHERE d.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass) AND NOT d.in_extension) touched
        JOIN pg_class c ON c.oid = touched.relation AND c.relnamespace = 'kursaha_cohort'::regnamespace
        JOIN kursaha_cohort.own_relation o ON o.name IN ('cohort_event', 'cohort_customer')
            AND c.relname IN (substr(o.name, 8) || '_additions', substr(o.name, 8) || '_columns')
        WHERE kursaha_cohort.restoring()
    LOOP
        PERFORM CASE made.relkind WHEN 'c' THEN kursaha_cohort.goes_with_extension('pg_type'::regclass, made.reltype)
                                  ELSE kursaha_cohort.goes_with_extension('pg_class'::regclass, made.kept) END;
        SELECT o.* INTO own FROM kursaha_cohort.own_relation o WHERE o.relation = made.relation;
        PERFORM kursaha_cohort.copy_additions(own, made.kept, own.relation);
        PERFORM kursaha_cohort.let_sequences_go(made.kept);
    END LOOP;
    -- A user added something, or dropped it.
    FOR own IN
        SELECT o.* FROM kursaha_cohort.own_relation o
        WHERE o.name IN ('cohort_event', 'cohort_customer') AND (o.relation IN (
            SELECT coalesce(t.tgrelid, i.indrelid, k.conrelid, d.objid)
            FROM pg_event_trigger_ddl_commands() d
            LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
            LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
            LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
            WHERE d.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass, 'pg_constraint'::regclass) AND NOT d.in_extension)
          OR (tg_tag IN ('DROP TRIGGER', 'DROP INDEX') AND to_regclass('kursaha_cohort.' || substr(o.name, 8) || '_additions') IS NOT NULL))
    LOOP
        PERFORM kursaha_cohort.keep_additions(own);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.additions_made() IS 'Records additions to cohort_event and cohort_customer for dumps, and creates them when a dump is restored';

-- pg_restore --clean drops what a dump holds: the kept parts before what they need, such as a type or a table that is referred
-- to. Then the parts of the table itself must not stand in the way.
CREATE FUNCTION kursaha_cohort.additions_dropped() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
BEGIN
    IF NOT kursaha_cohort.restoring()
        OR NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'kursaha_cohort') THEN
        RETURN;
    END IF;
    FOR part IN
        SELECT CASE
            WHEN d.object_type = 'table constraint' THEN format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', o.relation::regclass, kursaha_cohort.kept_name(d.address_names[3]::name, false))
            WHEN d.object_type = 'trigger' THEN format('DROP TRIGGER IF EXISTS %I ON %s', kursaha_cohort.kept_name(d.address_names[3]::name, false), o.relation::regclass)
            WHEN d.object_type = 'index' THEN (SELECT format('DROP INDEX %s', x.oid::regclass) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                WHERE i.indrelid = o.relation AND x.relname = kursaha_cohort.kept_name(d.address_names[2]::name, false) AND x.relname <> ALL (o.parts))
            -- Functions go next, then types.
            WHEN d.object_type = 'table' THEN (SELECT format('ALTER TABLE %s %s', o.relation::regclass, string_agg(p.command, ', '))
                FROM (SELECT format('DROP CONSTRAINT %I', c.conname) FROM pg_constraint c
                      WHERE c.conrelid = o.relation AND c.conname <> ALL (o.parts) AND c.contype IN ('c', 'f', 'p', 'u', 'x')
                      UNION ALL SELECT format('ALTER COLUMN %I DROP DEFAULT', a.attname) FROM pg_attribute a
                      WHERE a.attrelid = o.relation AND a.atthasdef AND a.attgenerated = ''
                        AND format('%I', a.attname) <> ALL (ARRAY(SELECT split_part(c, ' ', 2) FROM unnest(o.columns) AS c))) p (command))
            ELSE (SELECT format('ALTER TABLE %s %s', o.relation::regclass, string_agg(format('DROP COLUMN %I', a.attname), ', ' ORDER BY a.attnum DESC))
                  FROM pg_attribute a WHERE a.attrelid = o.relation AND a.attnum > 0 AND NOT a.attisdropped
                    AND format('%I', a.attname) <> ALL (ARRAY(SELECT split_part(c, ' ', 2) FROM unnest(o.columns) AS c)))
            END AS command
        FROM pg_event_trigger_dropped_objects() d
        JOIN kursaha_cohort.own_relation o ON o.name IN ('cohort_event', 'cohort_customer')
            AND CASE d.object_type
                WHEN 'index' THEN d.address_names[1] = 'kursaha_cohort'
                WHEN 'type' THEN d.address_names[1] = 'kursaha_cohort.' || substr(o.name, 8) || '_columns'
                ELSE d.address_names[1] = 'kursaha_cohort' AND d.address_names[2] = substr(o.name, 8) || '_additions' END
        WHERE d.original AND d.object_type IN ('table constraint', 'trigger', 'index', 'table', 'type')
    LOOP
        IF part.command IS NOT NULL THEN
            BEGIN
                EXECUTE part.command;
            EXCEPTION WHEN dependent_objects_still_exist THEN
                NULL; -- a view, which goes by itself
            END;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.additions_dropped() IS 'Drops additions to cohort_event and cohort_customer when pg_restore drops the objects that record them';

CREATE EVENT TRIGGER cohort_table_cleaned ON sql_drop
    EXECUTE FUNCTION kursaha_cohort.additions_dropped();
ALTER EVENT TRIGGER cohort_table_cleaned ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_table_cleaned IS 'Allows pg_restore --clean to drop objects that additions to the extension''s tables depend on';

-- Fires after cohort_table_altered, by its name.
CREATE EVENT TRIGGER cohort_table_extended ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'CREATE TRIGGER', 'ALTER TRIGGER', 'DROP TRIGGER', 'CREATE INDEX', 'ALTER INDEX', 'DROP INDEX', 'CREATE TYPE', 'COMMENT')
    EXECUTE FUNCTION kursaha_cohort.additions_made();
ALTER EVENT TRIGGER cohort_table_extended ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_table_extended IS 'Records additions to the extension''s tables for dumps';

-- Every relation is there.
-- Upgrades repeat this.
SELECT kursaha_cohort.note_relations();
