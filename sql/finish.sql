-- The end of the install script, when every function exists: comments, then privileges.
SET LOCAL search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.cohort_run(text, timestamptz) IS 'The customer ids of a saved cohort''s members at an instant (default now()), in no particular order';
COMMENT ON FUNCTION @extschema@.cohort_count(text, timestamptz) IS 'How many members a saved cohort has at an instant';
COMMENT ON FUNCTION @extschema@.cohort_contains(text, text, timestamptz) IS 'Whether one customer is in a saved cohort at an instant; reads that customer''s rows only';
COMMENT ON FUNCTION @extschema@.cohort_of(text, timestamptz) IS 'The names of the saved cohorts that one customer is in at an instant, in byte order; reads that customer''s rows once, however many cohorts there are';
COMMENT ON FUNCTION @extschema@.cohort_evaluate(jsonb, timestamptz) IS 'The customer ids that an unsaved rule selects at an instant';
COMMENT ON FUNCTION @extschema@.cohort_preview(jsonb, integer, timestamptz) IS 'What an unsaved rule would select: how many, of how many, and the first few ids in byte order';
COMMENT ON FUNCTION @extschema@.cohort_overlap(text[], timestamptz) IS 'For every combination of some cohorts, how many customers are in all of them, and how many of those in none of the others';
COMMENT ON FUNCTION @extschema@.cohort_explain(text, timestamptz) IS 'One line for each condition of a saved cohort: exact counts, time taken, and how it was answered';
COMMENT ON FUNCTION @extschema@.cohort_explain(jsonb, timestamptz) IS 'One line for each condition of a rule: exact counts, time taken, and how it was answered';
COMMENT ON FUNCTION @extschema@.cohort_why(text, text, timestamptz) IS 'For each condition of a cohort, whether one customer satisfies it, and by which events or values';
COMMENT ON FUNCTION @extschema@.cohort_sql(text, timestamptz) IS 'Plain SQL that gives the members of a saved cohort, to be run with search_path = pg_catalog, pg_temp where others may create in your path';
COMMENT ON FUNCTION @extschema@.cohort_sql(jsonb, timestamptz) IS 'Plain SQL that gives the members of a rule, to be run with search_path = pg_catalog, pg_temp where others may create in your path';
COMMENT ON FUNCTION @extschema@.cohort_validate(jsonb) IS 'Every problem of a rule: place, problem and remedy; no row for a valid one';
COMMENT ON FUNCTION @extschema@.cohort_rule_schema() IS 'The JSON Schema (draft 2020-12) of rules, with this server''s time zones';
COMMENT ON FUNCTION @extschema@.cohort_sample_place(text, text) IS 'Where a customer stands in the samples of a salt: from 0 to 100, exactly, by SHA-256 of salt and id';
COMMENT ON FUNCTION @extschema@.cohort_groups(text, text, timestamptz) IS 'The groups that a property of profiles names, with how many of their customers are members of a saved cohort; groups without members are left out';
COMMENT ON FUNCTION @extschema@.cohort_groups(jsonb, text, timestamptz) IS 'The groups that a property of profiles names, with how many of their customers a rule selects; groups without any are left out';
COMMENT ON FUNCTION @extschema@.cohort_create(text, jsonb, text) IS 'Saves a rule under a name and gives the cohort''s id';
COMMENT ON FUNCTION @extschema@.cohort_update(text, jsonb) IS 'Gives a saved cohort a new rule; the old one stays as a version';
COMMENT ON FUNCTION @extschema@.cohort_rename(text, text) IS 'Renames a cohort and rewrites the rules that name it';
COMMENT ON FUNCTION @extschema@.cohort_drop(text) IS 'Removes a cohort with its versions, refreshes and memberships, unless another cohort names it or it is synced';
COMMENT ON FUNCTION @extschema@.cohort_import(text, text[]) IS 'Saves a fixed list of customer ids under a name, or sets the ids of one anew';
COMMENT ON FUNCTION @extschema@.cohort_export(text) IS 'The definitions of cohorts and syncs, as a document that cohort_apply takes: all, or one cohort with its syncs and the cohorts that it names';
COMMENT ON FUNCTION @extschema@.cohort_apply(jsonb, boolean, boolean) IS 'Creates and updates what a document says; prune drops what the caller owns and the document lacks, dry_run changes nothing. Says what was done, and how many members each cohort gains and loses';
COMMENT ON FUNCTION @extschema@.cohort_refresh(text) IS 'Evaluates a saved cohort now and stores who is in, who entered and who exited';
COMMENT ON FUNCTION @extschema@.cohort_members(text) IS 'The members that the last cohort_refresh stored, and since when';
COMMENT ON FUNCTION @extschema@.cohort_history(text) IS 'The refreshes of a cohort, newest first';
COMMENT ON FUNCTION @extschema@.cohort_changes(text, timestamptz) IS 'Who entered and who exited at the refreshes of a cohort after an instant, oldest first';
COMMENT ON FUNCTION @extschema@.cohort_seal() IS 'Folds what is new into the bitmap index, as far as the transactions that wrote it have ended, and merges segments';
COMMENT ON FUNCTION @extschema@.cohort_reindex() IS 'Makes the bitmap index anew from the tables';
COMMENT ON FUNCTION @extschema@.cohort_check() IS 'Compares the whole bitmap index with the tables; no row when they agree';
COMMENT ON FUNCTION @extschema@.cohort_retain(interval, text) IS 'Keeps events of a type, or of every type without a policy of its own, for an interval after they occurred; NULL ends the policy. The worker deletes older ones, with the rights of the role that set it';
COMMENT ON FUNCTION @extschema@.cohort_retain_now(bigint) IS 'Deletes events that are older than they are kept, up to about a number, with the caller''s rights; returns how many, 0 when none is left';
COMMENT ON FUNCTION @extschema@.cohort_destination_create(text, text, jsonb, text) IS 'Makes a destination (facebook_ads, meta_pixel, webhook, s3, table) and gives its id; the secret is a reference, file:NAME or env:KURSAHA_SECRET_NAME';
COMMENT ON FUNCTION @extschema@.cohort_destination_update(text, jsonb, text) IS 'Changes a destination; what is NULL stays. Its syncs that waited for that go on';
COMMENT ON FUNCTION @extschema@.cohort_destination_drop(text) IS 'Removes a destination that no sync uses; what it keeps stays there';
COMMENT ON FUNCTION @extschema@.cohort_destination_test(text) IS 'Tries whether a destination works: its secret, its address, and what it says to a harmless request';
COMMENT ON FUNCTION @extschema@.cohort_secret_allow(text, text[], text[], text[]) IS 'Says which roles'' destinations, of which kinds and at which hosts, may use a secret, in place of what was said before; hosts NULL: the API hosts of the kinds, and any host that gets a signature only';
COMMENT ON FUNCTION @extschema@.cohort_secret_revoke(text) IS 'Lets no destination use a secret until cohort_secret_allow says which';
COMMENT ON FUNCTION @extschema@.cohort_sync_create(text, text, text, text, text) IS 'Keeps a cohort at a destination, on a schedule, and gives the sync''s id; its first run is at the first due time';
COMMENT ON FUNCTION @extschema@.cohort_sync_update(text, text, text, text, text) IS 'Changes when a sync runs; with a frequency, at is as given, without one what is NULL stays';
COMMENT ON FUNCTION @extschema@.cohort_sync_pause(text, text) IS 'Keeps a sync from running; a run under way stops after its batch';
COMMENT ON FUNCTION @extschema@.cohort_sync_resume(text, text) IS 'Lets a sync run again after a pause, or after it stopped by itself';
COMMENT ON FUNCTION @extschema@.cohort_sync_drop(text, text) IS 'Ends a sync; what the destination has stays there';
COMMENT ON FUNCTION @extschema@.cohort_sync_now(text, text, boolean) IS 'Asks for a run out of turn; force lets it pass the guards. Says what will happen';
COMMENT ON PROCEDURE @extschema@.cohort_sync_execute(text, text, boolean, bigint, text, bigint, bigint, bigint, text) IS 'Runs a sync and waits for its end; starts the worker itself where the server''s workers do not. Cannot run inside a transaction block';
COMMENT ON FUNCTION @extschema@.cohort_sync_resync(text, text) IS 'Asks for a run that sends every member again';
COMMENT ON FUNCTION @extschema@.cohort_sync_preview(text, text) IS 'What a run would do now: adds, removes, unchanged, skipped by reason, and why it would be held; sends nothing';
COMMENT ON FUNCTION @extschema@.cohort_sync_arm() IS 'Lets every sync run on this server and database: after a restore, when no other server feeds the same destinations';
COMMENT ON FUNCTION @extschema@.cohort_grant(text, text) IS 'Grants a privilege set (monitor, reader, ingest, editor, operator) to a role';
COMMENT ON FUNCTION @extschema@.cohort_set_owner(text, text) IS 'Hands a cohort over to another role';
COMMENT ON FUNCTION @extschema@.cohort_destination_set_owner(text, text) IS 'Hands a destination over to another role';
COMMENT ON FUNCTION @extschema@.cohort_sync_set_owner(text, text, text) IS 'Hands a sync over to another role, as which its runs connect from the next on';

-- Who may do what. Nothing is granted to PUBLIC; cohort_grant gives sets. Every set reads the internal tables, if at all,
-- and only functions write them: those check who calls. Row-level security would do it too, but would keep pg_dump from
-- them.

-- pg_dump reads every table as the role that runs it. The owner of a database could dump it before CREATE EXTENSION, and
-- can after. It may take the extension's data away altogether, and give it to nobody through this.
-- Upgrades repeat this. What an earlier version made has its privileges by now, or what became of them.
DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_class c
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
        WHERE e.extname = 'kursaha_cohort' AND c.relkind IN ('r', 'S')
          AND NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0)
    LOOP
        EXECUTE format('GRANT SELECT ON TABLE %s TO pg_database_owner', relation);
    END LOOP;
    -- What is granted while the extension is made or upgraded is in no dump, with all that the object has been granted before.
    IF NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_namespace'::regclass AND i.objoid = 'kursaha_cohort'::regnamespace) THEN
        GRANT USAGE ON SCHEMA kursaha_cohort TO pg_database_owner;
    END IF;
    IF NOT has_schema_privilege('pg_database_owner', '@extschema@'::regnamespace, 'USAGE') THEN
        GRANT USAGE ON SCHEMA @extschema@ TO pg_database_owner;
    END IF;
END
$$;

-- Functions come with EXECUTE for PUBLIC; take it from every one of the extension's.
-- Upgrades repeat this.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
        WHERE e.extname = 'kursaha_cohort'
          AND NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid)
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', routine);
    END LOOP;
END
$$;
