-- The end of the install script, when every function exists: comments, then privileges.
SET LOCAL search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.cohort_run(text, timestamptz) IS 'Returns the customer ids of the members of a saved cohort at an instant (default now()), in no particular order';
COMMENT ON FUNCTION @extschema@.cohort_count(text, timestamptz) IS 'Returns the number of members of a saved cohort at an instant';
COMMENT ON FUNCTION @extschema@.cohort_contains(text, text, timestamptz) IS 'Returns whether a customer is a member of a saved cohort at an instant; reads only the rows of that customer';
COMMENT ON FUNCTION @extschema@.cohort_of(text, timestamptz) IS 'Returns the names of the saved cohorts of which a customer is a member at an instant, in byte order; reads the rows of that customer once for all cohorts';
COMMENT ON FUNCTION @extschema@.cohort_evaluate(jsonb, timestamptz) IS 'Returns the customer ids that a rule selects at an instant, without saving the rule';
COMMENT ON FUNCTION @extschema@.cohort_preview(jsonb, integer, timestamptz) IS 'Evaluates a rule without saving it: the number of members, the number of all customers, and the first ids in byte order';
COMMENT ON FUNCTION @extschema@.cohort_overlap(text[], timestamptz) IS 'Counts, for each combination of the given cohorts, the customers who are in all of them, and how many of these are in none of the other given cohorts';
COMMENT ON FUNCTION @extschema@.cohort_waterfall(text[], timestamptz) IS 'Returns each customer who is a member of any of the given cohorts, with the first of these cohorts, at one snapshot';
COMMENT ON FUNCTION @extschema@.cohort_explain(text, timestamptz) IS 'Returns a row for each condition of a saved cohort: exact counts, the time, and how it was evaluated';
COMMENT ON FUNCTION @extschema@.cohort_explain(jsonb, timestamptz) IS 'Returns a row for each condition of a rule: exact counts, the time, and how it was evaluated';
COMMENT ON FUNCTION @extschema@.cohort_why(text, text, timestamptz) IS 'Returns for each condition of a cohort whether a customer satisfies it, and the events or values that decide it';
COMMENT ON FUNCTION @extschema@.cohort_sql(text, timestamptz) IS 'Returns plain SQL that selects the members of a saved cohort. Run it with search_path = pg_catalog, pg_temp if other roles can create objects in your search path';
COMMENT ON FUNCTION @extschema@.cohort_sql(jsonb, timestamptz) IS 'Returns plain SQL that selects the members of a rule. If other roles may create objects in a schema of your search_path, run it with search_path = pg_catalog, pg_temp';
COMMENT ON FUNCTION @extschema@.cohort_validate(jsonb) IS 'Returns each problem of a rule with path and hint; no row if the rule is valid';
COMMENT ON FUNCTION @extschema@.cohort_rule_schema() IS 'Returns the JSON Schema (draft 2020-12) of rules, with the time zones of this server';
COMMENT ON FUNCTION @extschema@.cohort_sample_place(text, text) IS 'Returns the exact position of a customer in the samples of a salt, from 0 to 100, computed with SHA-256 from salt and customer id';
COMMENT ON FUNCTION @extschema@.cohort_groups(text, text, timestamptz) IS 'Returns the groups, which are the values of a property of profiles, with the number of their customers who are members of a saved cohort; groups without members are omitted';
COMMENT ON FUNCTION @extschema@.cohort_groups(jsonb, text, timestamptz) IS 'Returns the groups, which are the values of a property of profiles, with the number of their customers whom a rule selects; groups without such customers are omitted';
COMMENT ON FUNCTION @extschema@.cohort_property(text) IS 'Returns the properties that occur in events of a type, or in all events and in profiles, with the number of rows and of different values, and the most frequent values; no row for roles whose evaluations cannot use the index';
COMMENT ON FUNCTION @extschema@.cohort_figures(jsonb, text, timestamptz) IS 'Returns a figure of every customer for whom it has a value, or of the members of a saved cohort';
COMMENT ON FUNCTION @extschema@.cohort_figures(jsonb, jsonb, timestamptz) IS 'Returns a figure of every customer whom a rule selects and for whom it has a value';
COMMENT ON FUNCTION @extschema@.cohort_create(text, jsonb, text) IS 'Saves a rule under a name and returns the id of the cohort';
COMMENT ON FUNCTION @extschema@.cohort_update(text, jsonb) IS 'Replaces the rule of a saved cohort; the old rule is kept as a version';
COMMENT ON FUNCTION @extschema@.cohort_create_query(text, text, text) IS 'Saves a query that returns customer_id, and profile if wanted, as a cohort, and returns the id of the cohort. The query runs with the rights of the owner of the cohort';
COMMENT ON FUNCTION @extschema@.cohort_update_query(text, text) IS 'Replaces the query of a query cohort; the old query is kept as a version';
COMMENT ON FUNCTION @extschema@.cohort_rename(text, text) IS 'Renames a cohort and updates the rules that refer to it';
COMMENT ON FUNCTION @extschema@.cohort_drop(text) IS 'Drops a cohort with its versions, refreshes and memberships; raises an error if another cohort refers to it or a sync uses it';
COMMENT ON FUNCTION @extschema@.cohort_import(text, text[]) IS 'Saves a fixed list of customer ids under a name, or replaces the ids of an existing list';
COMMENT ON FUNCTION @extschema@.cohort_export(text) IS 'Returns the definitions of cohorts, priority lists, suppressions and syncs as a document for cohort_apply: all, or one cohort with its list, suppressions and syncs and the cohorts to which these refer';
COMMENT ON FUNCTION @extschema@.cohort_apply(jsonb, boolean, boolean) IS 'Creates and updates the cohorts, priority lists, suppressions and syncs of a document. prune drops those of the caller that are not in the document; dry_run changes nothing. Returns the actions, and the number of members that each cohort gains and loses';
COMMENT ON FUNCTION @extschema@.cohort_refresh(text) IS 'Evaluates a saved cohort now, and stores its members and the customers who entered and exited';
COMMENT ON FUNCTION @extschema@.cohort_refresh(text, timestamptz) IS 'Evaluates a saved cohort at an instant, which is not before its last refresh, and stores its members and the customers who entered and exited';
COMMENT ON FUNCTION @extschema@.cohort_members(text) IS 'Returns the members that the last cohort_refresh stored, and when each entered';
COMMENT ON FUNCTION @extschema@.cohort_history(text) IS 'Returns the refreshes of a cohort, newest first';
COMMENT ON FUNCTION @extschema@.cohort_changes(text, timestamptz) IS 'Returns the customers who entered or exited at the refreshes of a cohort after an instant, oldest first';
COMMENT ON FUNCTION @extschema@.cohort_seal() IS 'Seals new rows of ended transactions into the bitmap index, and merges segments';
COMMENT ON FUNCTION @extschema@.cohort_reindex() IS 'Rebuilds the bitmap index from the tables';
COMMENT ON FUNCTION @extschema@.cohort_check() IS 'Compares the whole bitmap index with the tables; returns no row if they agree';
COMMENT ON FUNCTION @extschema@.cohort_retain(interval, text) IS 'Sets the retention policy of an event type, or of all types without their own policy: events are kept for an interval after they occurred. NULL removes the policy. The worker deletes older events with the rights of the role that set the policy';
COMMENT ON FUNCTION @extschema@.cohort_retain_now(bigint) IS 'Deletes expired events, up to about the given number, with the caller''s rights; returns the number of deleted events, 0 if none is left';
COMMENT ON FUNCTION @extschema@.cohort_destination_create(text, text, jsonb, text) IS 'Creates a destination (facebook_ads, meta_pixel, webhook, s3, table) and returns its id; the secret is a reference, file:NAME or env:KURSAHA_SECRET_NAME';
COMMENT ON FUNCTION @extschema@.cohort_destination_update(text, jsonb, text) IS 'Changes a destination; an argument that is NULL keeps its value. Syncs that needed attention because of the destination continue';
COMMENT ON FUNCTION @extschema@.cohort_destination_drop(text) IS 'Drops a destination that no sync uses; its data stays at the destination';
COMMENT ON FUNCTION @extschema@.cohort_destination_test(text) IS 'Tests a destination: its secret, its address, and its response to a request without side effects';
COMMENT ON FUNCTION @extschema@.cohort_secret_allow(text, text[], text[], text[]) IS 'Binds a secret to roles, kinds and hosts: only their destinations may use it. Replaces the previous binding. hosts NULL: the API hosts of the kinds, and any host to which only a signature is sent';
COMMENT ON FUNCTION @extschema@.cohort_secret_revoke(text) IS 'Withdraws a secret from all destinations until cohort_secret_allow binds it';
COMMENT ON FUNCTION @extschema@.cohort_suppress(text, text) IS 'Excludes the members of a cohort from all syncs, or from the syncs to one destination, and removes them there';
COMMENT ON FUNCTION @extschema@.cohort_unsuppress(text, text) IS 'Ends cohort_suppress: syncs send the members of the cohort again from their next runs on';
COMMENT ON FUNCTION @extschema@.cohort_priority_create(text, text[]) IS 'Creates a priority list of cohorts, the first with the highest priority, and returns its id';
COMMENT ON FUNCTION @extschema@.cohort_priority_update(text, text[]) IS 'Replaces the cohorts of a priority list';
COMMENT ON FUNCTION @extschema@.cohort_priority_drop(text) IS 'Drops a priority list that no sync follows';
COMMENT ON FUNCTION @extschema@.cohort_sync_create(text, text, text, text, text, text) IS 'Creates a sync of a cohort to a destination with a schedule, and returns its id; the first run starts at the first due time';
COMMENT ON FUNCTION @extschema@.cohort_sync_update(text, text, text, text, text, text) IS 'Changes the schedule of a sync, and the priority list that it follows (an empty name: none). With a frequency, at is set as given; without one, an argument that is NULL keeps its value';
COMMENT ON FUNCTION @extschema@.cohort_sync_pause(text, text) IS 'Pauses a sync; a current run stops after its batch';
COMMENT ON FUNCTION @extschema@.cohort_sync_resume(text, text) IS 'Resumes a sync after a pause, or after it was stopped automatically';
COMMENT ON FUNCTION @extschema@.cohort_sync_drop(text, text) IS 'Drops a sync; the members at the destination stay there';
COMMENT ON FUNCTION @extschema@.cohort_sync_now(text, text, boolean) IS 'Requests a run at once; force disables the limits on removals. Returns a description of the effect';
COMMENT ON PROCEDURE @extschema@.cohort_sync_execute(text, text, boolean, bigint, text, bigint, bigint, bigint, text) IS 'Runs a sync and waits for its end; starts a worker for the run if the server''s workers do not run syncs. Cannot run inside a transaction block';
COMMENT ON FUNCTION @extschema@.cohort_sync_resync(text, text) IS 'Requests a run that sends every member again';
COMMENT ON FUNCTION @extschema@.cohort_sync_preview(text, text) IS 'Returns what a run would do now: adds, removes, unchanged, skipped by reason, and the reason for which it would be held; sends nothing';
COMMENT ON FUNCTION @extschema@.cohort_sync_arm() IS 'Arms all syncs on this server and database; use it after a restore, when no other server sends to the same destinations';
COMMENT ON FUNCTION @extschema@.cohort_grant(text, text) IS 'Grants a privilege set (gateway, monitor, reader, ingest, editor, operator) to a role';
COMMENT ON FUNCTION @extschema@.cohort_api_key_create(text, text, timestamptz) IS 'Creates an API key with which programs connect to the gateway as a role that the caller may act as, and returns it once; never for a superuser';
COMMENT ON FUNCTION @extschema@.cohort_api_key_revoke(text) IS 'Revokes an API key that the caller created, or of a role that the caller may act as';
COMMENT ON FUNCTION @extschema@.cohort_set_owner(text, text) IS 'Changes the owner of a cohort';
COMMENT ON FUNCTION @extschema@.cohort_destination_set_owner(text, text) IS 'Changes the owner of a destination';
COMMENT ON FUNCTION @extschema@.cohort_sync_set_owner(text, text, text) IS 'Changes the owner of a sync; from the next run on, its runs connect as the new owner';

-- Who may do what. Nothing is granted to PUBLIC; cohort_grant gives sets. Every set reads the internal tables, if at all,
-- and only functions write them: those check who calls. Row-level security would do it too, but would keep pg_dump from
-- them.

-- pg_dump reads every table as the role that runs it. The owner of a database could dump it before CREATE EXTENSION, and
-- can do so afterwards. This role may drop the extension anyway; the grant has no grant option.
-- Upgrades repeat this. Objects of an earlier version already have their privileges, possibly changed by users.
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
