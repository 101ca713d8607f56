-- From 0.1.0 to 0.2.0.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
BEGIN
    IF pg_catalog.string_to_array(pg_catalog.substring(kursaha_cohort.library_version(), '^[0-9.]+'), '.')::integer[]
        OPERATOR(pg_catalog.<) pg_catalog.string_to_array('@CARGO_VERSION@', '.')::integer[]
    THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = pg_catalog.format('this session has version %s of the kursaha_cohort library loaded, but the upgrade needs @CARGO_VERSION@',
                                        kursaha_cohort.library_version()),
            HINT = 'Restart the server if the library is in shared_preload_libraries, else open a new session. Then ALTER EXTENSION kursaha_cohort UPDATE again.';
    END IF;
END
$$;

-- By hand: what alters tables, indexes, triggers and types, and what drops. docs/RELEASING.md says what comes by itself.

-- It hears of sequences, too.
DROP EVENT TRIGGER cohort_table_altered;
CREATE EVENT TRIGGER cohort_table_altered ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER TRIGGER', 'CREATE TRIGGER', 'DROP TRIGGER', 'ALTER SEQUENCE')
    EXECUTE FUNCTION kursaha_cohort.table_altered();
ALTER EVENT TRIGGER cohort_table_altered ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_table_altered IS 'Keeps the extension''s tables and their triggers as it needs them';

-- It hears of comments, too.
DROP EVENT TRIGGER cohort_table_extended;
CREATE EVENT TRIGGER cohort_table_extended ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'CREATE TRIGGER', 'ALTER TRIGGER', 'DROP TRIGGER', 'CREATE INDEX', 'ALTER INDEX', 'DROP INDEX', 'CREATE TYPE', 'COMMENT')
    EXECUTE FUNCTION kursaha_cohort.additions_made();
ALTER EVENT TRIGGER cohort_table_extended ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_table_extended IS 'Keeps additions to the extension''s tables for dumps';

-- A sync may follow a priority list. Roles that hold a privilege set get the new functions with it.
ALTER TABLE kursaha_cohort.sync ADD priority_id bigint;
DROP FUNCTION @extschema@.cohort_sync_create(text, text, text, text, text);
DROP FUNCTION @extschema@.cohort_sync_update(text, text, text, text, text);

-- Runs of syncs compare what changed.
ALTER TABLE kursaha_cohort.sync ADD forgets bigint NOT NULL DEFAULT 0;
ALTER TABLE kursaha_cohort.sync_run ADD compared text;
ALTER TABLE kursaha_cohort.index_state ADD profile_removals bigint NOT NULL DEFAULT 0;

-- @changes@
