-- What DDL on the extension's tables does. The extension's code goes by the names, columns and triggers that it made;
-- DDL that would take one of them away is refused when it is done. DDL after which rows may change without the
-- triggers takes all rows out of the index: they are the tail, and questions stay exact.
-- The event triggers are ENABLE ALWAYS: they fire in sessions whose session_replication_role is replica, too.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE kursaha_cohort.own_relation (
    relation oid PRIMARY KEY,
    name name NOT NULL,
    is_public boolean NOT NULL,
    columns text[] NOT NULL,
    triggers jsonb NOT NULL,
    parts name[] NOT NULL
);
COMMENT ON TABLE kursaha_cohort.own_relation IS 'The extension''s tables and views as it made them, by which DDL on them is known';
COMMENT ON COLUMN kursaha_cohort.own_relation.relation IS 'The table or view';
COMMENT ON COLUMN kursaha_cohort.own_relation.name IS 'Its name, which it keeps';
COMMENT ON COLUMN kursaha_cohort.own_relation.is_public IS 'Whether it is in the schema that CREATE EXTENSION chose, and not in kursaha_cohort';
COMMENT ON COLUMN kursaha_cohort.own_relation.columns IS 'Its columns: number, name and type';
COMMENT ON COLUMN kursaha_cohort.own_relation.triggers IS 'Its triggers'' functions, and in which sessions each fires: A, O or R, as in pg_trigger.tgenabled';
COMMENT ON COLUMN kursaha_cohort.own_relation.parts IS 'Its indexes and constraints';

CREATE FUNCTION kursaha_cohort.columns_of(relation oid) RETURNS text[]
    LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(format('%s %I %s', a.attnum, a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum), '{}')
    FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION kursaha_cohort.columns_of(oid) IS 'The columns of a relation: number, name and type';

CREATE FUNCTION kursaha_cohort.check_own_relation(own kursaha_cohort.own_relation) RETURNS void
    LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    seen record;
    lost text;
BEGIN
    SELECT c.relname, c.relpersistence, c.relnamespace::regnamespace AS place,
           CASE WHEN own.is_public THEN e.extnamespace::regnamespace ELSE 'kursaha_cohort'::regnamespace END AS home
    INTO seen FROM pg_class c JOIN pg_extension e ON e.extname = 'kursaha_cohort' WHERE c.oid = own.relation;
    IF seen.relname <> own.name OR seen.place <> seen.home THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('%s of the extension kursaha_cohort keeps its name and schema', own.name),
            HINT = format('Make a view under the other name: CREATE VIEW … AS SELECT * FROM %s.%I;', seen.home, own.name);
    END IF;
    SELECT c.name INTO lost FROM unnest(own.columns) AS c (name)
    WHERE c.name <> ALL (kursaha_cohort.columns_of(own.relation)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('a column that the extension kursaha_cohort needs cannot be renamed, dropped or given another type: %s of %s',
                             regexp_replace(lost, '^\d+ ', ''), own.name),
            HINT = 'Add a column of your own, or a generated one; or make a view that shows the column in another way.';
    END IF;
    IF own.is_public AND EXISTS (
        SELECT FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation
        WHERE a.attrelid = own.relation AND a.attname IN ('customer_id', 'event_type') AND NOT l.collisdeterministic)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('the ids and event types of %s need a deterministic collation', own.name),
            DETAIL = 'By another one different ids are equal, and two customers would be one.',
            HINT = 'Store ids in one form, for example lower case.';
    END IF;
    IF NOT own.is_public AND seen.relpersistence <> 'p' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('kursaha_cohort.%I cannot be unlogged', own.name),
            DETAIL = 'A crash would empty it, and the other tables of the extension would not know.',
            HINT = 'The index can be made again: SELECT cohort_reindex();';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.check_own_relation(kursaha_cohort.own_relation) IS 'Refuses DDL that took a name, a column or the durability from one of the extension''s relations';

-- ENABLE TRIGGER leaves a trigger that fires in every session as one that does not in replicas': it is set again.
CREATE FUNCTION kursaha_cohort.keep_triggers(own kursaha_cohort.own_relation) RETURNS void
    LANGUAGE plpgsql STRICT SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
    seen record;
    behind text;
    changed boolean := false;
BEGIN
    SELECT k.function INTO missing FROM jsonb_object_keys(own.triggers) AS k (function)
    WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                      WHERE t.tgrelid = own.relation AND p.pronamespace = 'kursaha_cohort'::regnamespace AND p.proname = k.function)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('cannot drop the trigger of %s that calls kursaha_cohort.%s()', own.name, missing),
            DETAIL = 'The extension kursaha_cohort needs it.',
            HINT = format('To load rows without triggers: ALTER TABLE %s DISABLE TRIGGER ALL; and ENABLE TRIGGER ALL afterwards.', own.relation::regclass);
    END IF;
    FOR seen IN
        SELECT t.tgname, t.tgenabled, own.triggers ->> p.proname AS wanted
        FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = own.relation AND p.pronamespace = 'kursaha_cohort'::regnamespace
          AND t.tgenabled::text IS DISTINCT FROM own.triggers ->> p.proname AND own.triggers ? p.proname
    LOOP
        changed := true;
        IF seen.tgenabled <> 'D' THEN
            EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', own.relation::regclass,
                           CASE seen.wanted WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, seen.tgname);
        END IF;
    END LOOP;
    IF own.name NOT IN ('cohort_event', 'cohort_customer') THEN
        RETURN;
    END IF;

    -- Rows that are written meanwhile may have any stamp, and rows may go without an entry in the log. While there is no
    -- watermark the row is updated all the same: a sealing under a snapshot from before is refused.
    IF changed OR EXISTS (SELECT FROM kursaha_cohort.index_state WHERE watermark = '0') THEN
        PERFORM kursaha_cohort.empty_index();
    END IF;

    -- The trigger that checks and stamps a row is the last to see it.
    SELECT max(t.tgname::text COLLATE "C") INTO behind FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgrelid = own.relation AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0 AND p.pronamespace <> 'kursaha_cohort'::regnamespace;
    FOR seen IN
        SELECT t.tgname::text AS tgname, CASE WHEN behind < 'zz_stamp' COLLATE "C" THEN 'zz_stamp' ELSE behind || '_stamp' END AS after
        FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgrelid = own.relation AND t.tgtype & 3 = 3 AND p.pronamespace = 'kursaha_cohort'::regnamespace
          AND t.tgname::text < behind COLLATE "C"
    LOOP
        IF octet_length(seen.after) > 63 THEN
            RAISE EXCEPTION USING ERRCODE = 'name_too_long',
                MESSAGE = format('the name of the trigger "%s" on %s is too long', behind, own.name),
                DETAIL = 'The extension''s own trigger, which checks rows, has to come after it in the order of names.',
                HINT = 'Give it a name of at most 57 bytes.';
        END IF;
        EXECUTE format('ALTER TRIGGER %I ON %s RENAME TO %I', seen.tgname, own.relation::regclass, seen.after);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.keep_triggers(kursaha_cohort.own_relation) IS 'Keeps the extension''s triggers as it made them after DDL, and takes all rows out of the index where they do not follow changes';

CREATE FUNCTION kursaha_cohort.table_altered() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own kursaha_cohort.own_relation;
BEGIN
    FOR own IN
        SELECT o.* FROM kursaha_cohort.own_relation o
        WHERE o.relation IN (
            SELECT coalesce(t.tgrelid, i.indrelid, d.objid)
            FROM pg_event_trigger_ddl_commands() d
            LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
            LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
            WHERE d.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass) AND NOT d.in_extension)
           OR (tg_tag = 'DROP TRIGGER' AND o.triggers <> '{}')
    LOOP
        PERFORM kursaha_cohort.check_own_relation(own);
        PERFORM kursaha_cohort.keep_triggers(own);
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.table_altered() IS 'Refuses DDL that the extension''s tables do not survive, and keeps their triggers';

CREATE EVENT TRIGGER cohort_table_altered ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER TRIGGER', 'CREATE TRIGGER', 'DROP TRIGGER')
    EXECUTE FUNCTION kursaha_cohort.table_altered();
ALTER EVENT TRIGGER cohort_table_altered ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_table_altered IS 'Keeps the extension''s tables and their triggers as it needs them';

-- ALTER TABLE that computes a column anew, or makes the table unlogged, changes what was sealed without any row trigger.
CREATE FUNCTION kursaha_cohort.table_rewritten() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    persistence CONSTANT integer := 1;
    columns_anew CONSTANT integer := 4;
    own kursaha_cohort.own_relation;
BEGIN
    SELECT o.* INTO own FROM kursaha_cohort.own_relation o WHERE o.relation = pg_event_trigger_table_rewrite_oid();
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Before the work is done.
    PERFORM kursaha_cohort.check_own_relation(own);
    IF own.name IN ('cohort_event', 'cohort_customer')
        AND pg_event_trigger_table_rewrite_reason() & (persistence | columns_anew) <> 0
    THEN
        PERFORM kursaha_cohort.empty_index();
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.table_rewritten() IS 'Takes all rows out of the index when ALTER TABLE computes a column of cohort_event or cohort_customer anew, or makes them unlogged or logged';

CREATE EVENT TRIGGER cohort_table_rewritten ON table_rewrite
    EXECUTE FUNCTION kursaha_cohort.table_rewritten();
ALTER EVENT TRIGGER cohort_table_rewritten ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_table_rewritten IS 'Takes rows out of the index whose columns are computed anew';

CREATE TRIGGER not_replicated BEFORE INSERT OR UPDATE OR DELETE ON kursaha_cohort.own_relation
    FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.not_replicated();
ALTER TABLE kursaha_cohort.own_relation ENABLE REPLICA TRIGGER not_replicated;
COMMENT ON TRIGGER not_replicated ON kursaha_cohort.own_relation IS 'Each server has relations of its own';

-- A publication of all tables takes updates and deletes only of tables whose rows it can name.
-- Upgrades repeat this.
DO $$
DECLARE
    nameless regclass;
BEGIN
    FOR nameless IN
        SELECT c.oid FROM pg_extension e
        JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
        JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'r'
        WHERE e.extname = 'kursaha_cohort' AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
    LOOP
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', nameless);
    END LOOP;
END
$$;

-- Last: every table and view is there. Upgrades do this again, and leave out what users added to the two tables by then: the
-- upgrade script itself adds a new column or index of these two.
CREATE FUNCTION kursaha_cohort.note_relations() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    DELETE FROM kursaha_cohort.own_relation WHERE name NOT IN ('cohort_event', 'cohort_customer');
    INSERT INTO kursaha_cohort.own_relation (relation, name, is_public, columns, triggers, parts)
    SELECT c.oid, c.relname, c.relnamespace = e.extnamespace AND c.relname LIKE 'cohort\_%', kursaha_cohort.columns_of(c.oid),
        coalesce((SELECT jsonb_object_agg(p.proname, t.tgenabled::text) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                  WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND p.pronamespace = 'kursaha_cohort'::regnamespace), '{}'),
        ARRAY(SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid
              UNION SELECT k.conname FROM pg_constraint k WHERE k.conrelid = c.oid)
    FROM pg_extension e
    JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'
    JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'v')
    WHERE e.extname = 'kursaha_cohort'
    ON CONFLICT (relation) DO UPDATE SET triggers = EXCLUDED.triggers;
END;
COMMENT ON FUNCTION kursaha_cohort.note_relations() IS 'Notes the extension''s tables and views as they are';
