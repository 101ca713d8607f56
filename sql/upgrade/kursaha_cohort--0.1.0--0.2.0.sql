-- From 0.1.0 to 0.2.0.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
BEGIN
    IF pg_catalog.string_to_array(pg_catalog.substring(kursaha_cohort.library_version(), '^[0-9.]+'), '.')::integer[]
        OPERATOR(pg_catalog.<) pg_catalog.string_to_array('@CARGO_VERSION@', '.')::integer[]
    THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = pg_catalog.format('this session has the library of kursaha_cohort %s loaded, the upgrade needs @CARGO_VERSION@',
                                        kursaha_cohort.library_version()),
            HINT = 'Restart the server if the library is in shared_preload_libraries, else open a new session. Then ALTER EXTENSION kursaha_cohort UPDATE again.';
    END IF;
END
$$;

-- By hand: what alters tables, indexes, triggers and types, and what drops. docs/RELEASING.md says what comes by itself.

-- @changes@
