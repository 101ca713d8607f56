-- ALTER SCHEMA … RENAME of the schema that CREATE EXTENSION chose. Views hold their tables by OID, and compiled functions
-- look the name up; in the text of other functions the name is replaced.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.table_written() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT '@extschema@.cohort_event' $$;
COMMENT ON FUNCTION kursaha_cohort.table_written() IS 'The qualified name of cohort_event in the bodies of functions';

CREATE FUNCTION kursaha_cohort.schema_renamed() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    place oid;
    called name;
    written text;
    objects text;
    definition text;
BEGIN
    IF to_regnamespace('kursaha_cohort') IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'the schema kursaha_cohort cannot be renamed',
            DETAIL = 'The extension kursaha_cohort looks up its internal objects by this name.',
            HINT = 'The schema of the public objects may be renamed.';
    END IF;
    SELECT n.oid, n.nspname INTO place, called FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'kursaha_cohort';
    written := regexp_replace(kursaha_cohort.table_written(), '\.cohort_event$', '');
    IF quote_ident(called) = written THEN
        RETURN;
    END IF;
    -- As CREATE EXTENSION does.
    IF called ~ '["$''\\]' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_name',
            MESSAGE = format('the schema of the extension kursaha_cohort cannot be renamed to %I', called),
            HINT = 'Choose a name without quotes, dollar signs and backslashes.';
    END IF;
    SELECT string_agg(o.name, '|') INTO objects FROM (
        SELECT c.relname FROM pg_class c WHERE c.relname LIKE 'cohort\_%' AND c.relnamespace = place
        UNION SELECT p.proname FROM pg_proc p WHERE p.proname LIKE 'cohort\_%' AND p.pronamespace = place) AS o (name)
    WHERE o.name ~ '^[a-z_]+$';
    FOR definition IN
        SELECT pg_get_functiondef(p.oid) FROM pg_proc p
        JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
        JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'kursaha_cohort'
        JOIN pg_language l ON l.oid = p.prolang
        WHERE l.lanname IN ('plpgsql', 'sql') AND p.prosqlbody IS NULL AND strpos(p.prosrc, written || '.cohort_') > 0
    LOOP
        EXECUTE regexp_replace(definition,
            format('(^|[^[:alnum:]_$."])%s\.(%s)\M', regexp_replace(written, '([^[:alnum:]_])', '\\\1', 'g'), objects),
            format('\1%I.\2', called), 'g');
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.schema_renamed() IS 'Updates the bodies of functions after the extension''s schema was renamed';

CREATE EVENT TRIGGER cohort_table_schema ON ddl_command_end WHEN TAG IN ('ALTER SCHEMA')
    EXECUTE FUNCTION kursaha_cohort.schema_renamed();
ALTER EVENT TRIGGER cohort_table_schema ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_table_schema IS 'Updates functions after the extension''s schema was renamed';
