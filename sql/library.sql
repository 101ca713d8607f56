-- The library must not be older than this script: what it does not have would be missed one after the other.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.library_version() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'library_version_wrapper';
COMMENT ON FUNCTION kursaha_cohort.library_version() IS 'The version of the library that this session has loaded';

-- Upgrades skip this.
DO $$
BEGIN
    IF string_to_array(substring(kursaha_cohort.library_version(), '^[0-9.]+'), '.')::integer[] < string_to_array('@CARGO_VERSION@', '.')::integer[] THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('this session has version %s of the kursaha_cohort library loaded, but the extension needs @CARGO_VERSION@', kursaha_cohort.library_version()),
            HINT = 'Restart the server if the library is in shared_preload_libraries, else open a new session. Then CREATE EXTENSION kursaha_cohort again.';
    END IF;
END
$$;
