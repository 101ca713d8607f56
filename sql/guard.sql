-- Functions write the internal tables with the rights of the extension's owner. Whoever has been granted TRIGGER on them,
-- as by GRANT ALL ON ALL TABLES IN SCHEMA kursaha_cohort, must not have code of theirs run by that.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.refuse_triggers() RETURNS event_trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    refused text;
BEGIN
    -- A superuser has nothing to gain by it.
    IF (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RETURN;
    END IF;
    SELECT c.relname INTO refused
    FROM pg_event_trigger_ddl_commands() d
    JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
    JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_depend m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid AND m.deptype = 'e'
    JOIN pg_extension e ON m.refclassid = 'pg_extension'::regclass AND m.refobjid = e.oid
    WHERE NOT d.in_extension AND n.nspname = 'kursaha_cohort' AND e.extname = 'kursaha_cohort'
      AND c.relname NOT IN ('cohort_event', 'cohort_customer');
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('triggers on the internal table kursaha_cohort.%I are not allowed', refused),
            HINT = 'Create the trigger on cohort_event or cohort_customer.';
    END IF;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.refuse_triggers() IS 'Raises an error if a role that is not a superuser creates a trigger on an internal table';

CREATE EVENT TRIGGER cohort_guard ON ddl_command_end WHEN TAG IN ('CREATE TRIGGER')
    EXECUTE FUNCTION kursaha_cohort.refuse_triggers();
ALTER EVENT TRIGGER cohort_guard ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_guard IS 'Prevents triggers on internal tables, which are written with the rights of the extension''s owner';
