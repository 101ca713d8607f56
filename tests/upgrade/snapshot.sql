-- Every object of the extension with all that a script can set, as rows of object, property and value. Nothing that differs
-- from database to database: no OID, no order of creation.
SET search_path = pg_catalog, pg_temp;
CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE d.deptype = 'e' AND e.extname = 'kursaha_cohort';
CREATE TEMPORARY VIEW relation AS
SELECT c.*, c.oid::regclass::text AS called FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid;
-- Privileges in an order of their own: GRANT appends, and the order says nothing.
CREATE FUNCTION pg_temp.privileges(acl aclitem[]) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN acl IS NULL THEN 'default' ELSE coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(acl) a), 'none') END $$;

COPY (
    SELECT object, property, replace(value, E'\r', '') FROM (
        SELECT pg_describe_object(m.classid, m.objid, 0) AS object, 'member' AS property, 'yes' AS value FROM member m
        UNION ALL SELECT pg_describe_object(m.classid, m.objid, 0), 'comment', obj_description(m.objid, m.classid::regclass::name) FROM member m
        UNION ALL SELECT pg_describe_object(i.classoid, i.objoid, i.objsubid), 'privileges that no dump holds', i.privtype::text || ' ' || pg_temp.privileges(i.initprivs)
            FROM member m JOIN pg_init_privs i ON i.classoid = m.classid AND i.objoid = m.objid

        UNION ALL SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0), f.property, f.value
            FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
            CROSS JOIN LATERAL (VALUES ('definition', pg_get_functiondef(p.oid)), ('owner', p.proowner::regrole::text),
                ('privileges', pg_temp.privileges(p.proacl)), ('cost and rows', p.procost || ' ' || p.prorows),
                ('planner support', p.prosupport::text)) f (property, value)

        UNION ALL SELECT pg_describe_object('pg_class'::regclass, r.oid, 0), f.property, f.value
            FROM relation r CROSS JOIN LATERAL (VALUES ('kind', r.relkind::text), ('owner', r.relowner::regrole::text),
                ('privileges', pg_temp.privileges(r.relacl)), ('options', r.reloptions::text), ('persistence', r.relpersistence::text),
                ('replica identity', r.relreplident::text), ('row-level security', r.relrowsecurity || ' ' || r.relforcerowsecurity),
                ('access method', (SELECT a.amname::text FROM pg_am a WHERE a.oid = r.relam)),
                ('options of its TOAST table', (SELECT t.reloptions::text FROM pg_class t WHERE t.oid = r.reltoastrelid)),
                ('schema', r.relnamespace::regnamespace::text),
                ('query', CASE WHEN r.relkind = 'v' THEN pg_get_viewdef(r.oid) END)) f (property, value)
        UNION ALL SELECT format('column %s of %s', a.attname, r.called), f.property, f.value
            FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND r.relkind IN ('r', 'v')
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            CROSS JOIN LATERAL (VALUES ('number, which the library goes by', a.attnum::text), ('type', format_type(a.atttypid, a.atttypmod)),
                ('collation', a.attcollation::regcollation::text), ('not null', a.attnotnull::text), ('default', pg_get_expr(d.adbin, d.adrelid)),
                ('storage', a.attstorage::text), ('compression', a.attcompression::text), ('identity', a.attidentity::text),
                ('generated', a.attgenerated::text), ('statistics', nullif(coalesce(a.attstattarget, -1), -1)::text), ('options', nullif(ARRAY(SELECT o FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg_attver=%')::text, '{}')),
                ('privileges', pg_temp.privileges(a.attacl)), ('comment', col_description(r.oid, a.attnum))) f (property, value)
        UNION ALL SELECT format('sequence %s', r.called), 'parameters', format('%s %s %s %s %s %s %s', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
            FROM relation r JOIN pg_sequence s ON s.seqrelid = r.oid
        UNION ALL SELECT format('index %s', i.indexrelid::regclass), f.property, f.value
            FROM relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class c ON c.oid = i.indexrelid
            CROSS JOIN LATERAL (VALUES ('definition', pg_get_indexdef(i.indexrelid)), ('valid', i.indisvalid || ' ' || i.indisready),
                ('replica identity', i.indisreplident::text), ('options', c.reloptions::text), ('comment', obj_description(i.indexrelid, 'pg_class'))) f (property, value)
        UNION ALL SELECT format('constraint %s of %s', k.conname, r.called), f.property, f.value
            FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid
            CROSS JOIN LATERAL (VALUES ('definition', pg_get_constraintdef(k.oid)), ('validated', k.convalidated::text),
                ('comment', obj_description(k.oid, 'pg_constraint'))) f (property, value)
        UNION ALL SELECT format('trigger %s on %s', t.tgname, r.called), f.property, f.value
            FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
            CROSS JOIN LATERAL (VALUES ('definition', pg_get_triggerdef(t.oid)), ('sessions in which it fires', t.tgenabled::text),
                ('comment', obj_description(t.oid, 'pg_trigger'))) f (property, value)
        UNION ALL SELECT format('policy %s on %s', p.polname, r.called), 'definition',
                format('%s %s %s %s %s', p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
            FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
        UNION ALL SELECT format('rule %s on %s', w.rulename, r.called), 'definition', pg_get_ruledef(w.oid)
            FROM relation r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.rulename <> '_RETURN'
        UNION ALL SELECT format('statistics %s', s.oid::text), 'definition', pg_get_statisticsobjdef(s.oid) FROM relation r JOIN pg_statistic_ext s ON s.stxrelid = r.oid

        UNION ALL SELECT format('event trigger %s', e.evtname), f.property, f.value
            FROM member m JOIN pg_event_trigger e ON m.classid = 'pg_event_trigger'::regclass AND e.oid = m.objid
            CROSS JOIN LATERAL (VALUES ('event', e.evtevent::text), ('function', e.evtfoid::regprocedure::text), ('sessions in which it fires', e.evtenabled::text),
                ('tags', (SELECT string_agg(tag, ', ' ORDER BY tag) FROM unnest(e.evttags) tag)), ('owner', e.evtowner::regrole::text)) f (property, value)
        UNION ALL SELECT pg_describe_object('pg_type'::regclass, t.oid, 0), 'definition', format('%s %s %s %s %s %s %s %s owner %s, privileges %s', t.typtype, t.typlen, t.typbyval,
                t.typalign, t.typstorage, t.typinput, t.typoutput, pg_get_expr(t.typdefaultbin, 0), t.typowner::regrole, pg_temp.privileges(t.typacl))
            FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
        UNION ALL SELECT format('schema %s', n.nspname), f.property, f.value
            FROM member m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
            CROSS JOIN LATERAL (VALUES ('owner', n.nspowner::regrole::text), ('privileges', pg_temp.privileges(n.nspacl))) f (property, value)
        UNION ALL SELECT 'extension', f.property, f.value FROM pg_extension e
            CROSS JOIN LATERAL (VALUES ('version', e.extversion), ('owner', e.extowner::regrole::text), ('schema', e.extnamespace::regnamespace::text),
                ('relocatable', e.extrelocatable::text)) f (property, value) WHERE e.extname = 'kursaha_cohort'
        UNION ALL SELECT c.place::text, 'rows that dumps hold', CASE c.condition WHEN '' THEN 'all' ELSE c.condition END
            FROM pg_extension e, unnest(e.extconfig::regclass[], e.extcondition) c (place, condition) WHERE e.extname = 'kursaha_cohort'

        -- What the scripts write into tables.
        UNION ALL SELECT format('what DDL goes by, of %s', o.name), f.property, f.value FROM kursaha_cohort.own_relation o
            CROSS JOIN LATERAL (VALUES ('columns', o.columns::text), ('triggers', o.triggers::text), ('public', o.is_public::text),
                ('parts', (SELECT string_agg(part, ' ' ORDER BY part) FROM unnest(o.parts) part))) f (property, value)
        UNION ALL SELECT 'rows of kursaha_cohort.index_state', 'count', (SELECT count(*)::text FROM kursaha_cohort.index_state)
        UNION ALL SELECT 'rows of kursaha_cohort.definition_lock', 'count', (SELECT count(*)::text FROM kursaha_cohort.definition_lock)
    ) all_of_it (object, property, value)
    WHERE value IS NOT NULL
    ORDER BY object COLLATE "C", property COLLATE "C", value COLLATE "C"
) TO STDOUT;
