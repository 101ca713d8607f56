-- All that people have stored, as they see it.
SELECT 'events', count(*), md5(string_agg(concat_ws('|', event_id, customer_id, event_type, occurred_at, data), E'\n' ORDER BY event_id)) FROM cohort_event;
SELECT 'profiles', count(*), md5(string_agg(concat_ws('|', customer_id, profile, created_at, updated_at), E'\n' ORDER BY customer_id COLLATE "C")) FROM cohort_customer;
SELECT 'cohort', * FROM cohort_definition ORDER BY cohort_id;
SELECT 'version', * FROM cohort_definition_version ORDER BY name COLLATE "C", version;
SELECT 'members', name, count(*), md5(string_agg(customer_id || entered_at, ',' ORDER BY customer_id COLLATE "C"))
FROM unnest('{buyers,friends}'::text[]) name, cohort_members(name) GROUP BY name ORDER BY name;
SELECT 'changes', count(*), md5(string_agg(concat_ws('|', customer_id, change, changed_at), ',' ORDER BY changed_at, change, customer_id COLLATE "C")) FROM cohort_changes('buyers');
SELECT 'history', * FROM cohort_history('buyers');
SELECT 'list', count(*), md5(string_agg(id, ',' ORDER BY id COLLATE "C")) FROM cohort_run('friends') id;
SELECT 'capture', source, event_type, "on" FROM cohort_capture_status ORDER BY source::text;
SELECT 'key', * FROM kursaha_cohort.event_key ORDER BY event_key;
SELECT 'type', * FROM cohort_event_type ORDER BY event_type COLLATE "C";
SELECT 'destination', name, kind, config FROM cohort_destination;
SELECT 'sync', cohort, destination, delivered FROM cohort_sync_status;
SELECT 'told', count(*), md5(string_agg(customer_id, ',' ORDER BY customer_id COLLATE "C")) FROM told;
SELECT 'run', run_id, state, adds, removes, added FROM cohort_sync_run ORDER BY run_id;
SELECT 'granted', count(*) FROM pg_proc WHERE proname LIKE 'cohort_%' AND has_function_privilege('app', oid, 'execute');
