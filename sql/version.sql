-- The version of the library beside that of the objects, and what follows an upgrade.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE FUNCTION kursaha_cohort.segment_format() RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'segment_format_wrapper';
COMMENT ON FUNCTION kursaha_cohort.segment_format() IS 'The version of the format in which the library writes segments';

CREATE FUNCTION @extschema@.cohort_version(OUT library text, OUT extension text, OUT segment_format integer)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT kursaha_cohort.library_version(), e.extversion, kursaha_cohort.segment_format()
    FROM pg_extension e WHERE e.extname = 'kursaha_cohort';
END;
COMMENT ON FUNCTION @extschema@.cohort_version() IS 'The version of the library that this session has loaded, the version of the extension''s objects in this database, and the format in which the library writes segments';

-- By OID: a definer's text that names the schema of the public objects could be led to another one.
CREATE FUNCTION kursaha_cohort.cohort_grant_again(privilege_set text, role text) RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT @extschema@.cohort_grant(privilege_set, role);
END;
COMMENT ON FUNCTION kursaha_cohort.cohort_grant_again(text, text) IS 'Grants a privilege set again to a role that has it, to include the privileges of a new version';

-- A privilege set holds objects of the new version, too: a role that has one gets them. Not by the upgrade script: what is
-- granted there is taken for a part of the extension, and no dump holds it.
CREATE FUNCTION kursaha_cohort.upgraded() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    holder record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() d JOIN pg_extension e ON d.classid = 'pg_extension'::regclass AND d.objid = e.oid
                   WHERE e.extname = 'kursaha_cohort')
    THEN
        RETURN;
    END IF;
    -- Every set has the helpers of plain SQL, which nobody grants by hand; the function beside them says which set it is.
    FOR holder IN
        SELECT s.name AS privilege_set, r.rolname FROM (
            SELECT a.grantee, array_agg(p.proname::text) AS functions
            FROM pg_extension e
            JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
            JOIN pg_proc p ON p.oid = d.objid
            CROSS JOIN LATERAL aclexplode(p.proacl) a
            WHERE e.extname = 'kursaha_cohort' AND a.privilege_type = 'EXECUTE' AND a.grantee NOT IN (0, p.proowner)
            GROUP BY a.grantee) g
        JOIN pg_roles r ON r.oid = g.grantee
        JOIN (VALUES (0, 'gateway', 'cohort_api_key_role'), (1, 'monitor', 'json_text'), (2, 'reader', 'members_of_cohort'), (3, 'ingest', 'cohort_track'),
                     (4, 'editor', 'cohort_create'), (5, 'operator', 'cohort_operate')) s (place, name, function) ON s.function = ANY (g.functions)
        WHERE 'json_text' = ANY (g.functions)
          AND (s.name <> 'monitor' OR has_table_privilege(r.oid, (SELECT v.oid FROM pg_class v JOIN pg_depend d ON d.classid = 'pg_class'::regclass
              AND d.objid = v.oid AND d.deptype = 'e' WHERE v.relname = 'cohort_worker_status'), 'SELECT'))
        ORDER BY r.rolname, s.place
    LOOP
        BEGIN
            PERFORM kursaha_cohort.cohort_grant_again(holder.privilege_set, holder.rolname);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING USING ERRCODE = SQLSTATE,
                MESSAGE = format('the role %I does not have the new objects of the set %s: %s', holder.rolname, holder.privilege_set, SQLERRM),
                HINT = format('SELECT cohort_grant(%L, %L);', holder.privilege_set, holder.rolname);
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION kursaha_cohort.upgraded() IS 'Extends the privileges of roles with a privilege set after an upgrade';

CREATE EVENT TRIGGER cohort_upgraded ON ddl_command_end WHEN TAG IN ('ALTER EXTENSION')
    EXECUTE FUNCTION kursaha_cohort.upgraded();
ALTER EVENT TRIGGER cohort_upgraded ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER cohort_upgraded IS 'Completes the privileges of roles after an upgrade of the extension';
