-- The examples of docs/REFERENCE.md, run in this order by scripts/reference: each begins with the name of its function.

-- cohort_track
SELECT cohort_track('asha', 'purchase', '{"productId": "kettle", "price": 1200}');
SELECT cohort_track('asha', 'cart', '{"price": 900}', '2025-03-01 09:00+00', event_key => 'cart-17');

-- cohort_track_batch
SELECT * FROM cohort_track_batch('{"signals": [
    {"customerId": "bela", "eventType": "cart", "data": {"price": 900}, "occurredAt": "2025-03-02T10:00:00Z", "eventKey": "cart-18"}]}');

-- cohort_identify
SELECT cohort_identify('asha', '{"city": "pune", "plan": null}');
SELECT cohort_identify('{"customerId": "bela", "customerData": {"city": "mumbai"}}');

-- cohort_capture
CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total numeric, card_number text, ordered_at timestamptz);
-- data_columns keeps the card's number out of the events.
SELECT cohort_capture('orders', 'order', customer_column => 'customer', occurred_at_column => 'ordered_at',
                      data_columns => '{id, total}', when_condition => 'NEW.total > 0');

-- cohort_backfill
SELECT cohort_backfill('orders', 'order');

-- cohort_capture_profile
CREATE TABLE users (id text PRIMARY KEY, plan text);
SELECT cohort_capture_profile('users', 'id', data_columns => '{plan}');

-- cohort_backfill_profile
SELECT cohort_backfill_profile('users');

-- cohort_release_profile
SELECT cohort_release_profile('users');

-- cohort_release
SELECT cohort_release('orders', 'order');

-- cohort_grant
CREATE ROLE marketing_team LOGIN;
SELECT cohort_grant('operator', 'marketing_team');
CREATE ROLE marketing_lead LOGIN;
SELECT cohort_grant('operator', 'marketing_lead');
GRANT marketing_lead TO marketing_team;
GRANT CREATE ON SCHEMA public TO marketing_team;
SET ROLE marketing_team; -- what follows belongs to this role

-- cohort_create
SELECT cohort_create('left the cart', '{"and": [{"did": "cart"}, {"did_not": "purchase"}]}', 'Reminder by mail');

-- cohort_update
SELECT cohort_update('left the cart', '{"and": [{"did": "cart", "time": {"in_the_last": "7 days"}}, {"did_not": "purchase"}]}');

-- cohort_rename
SELECT cohort_rename('left the cart', 'abandoned carts');

-- cohort_create_query
SELECT cohort_create_query('in pune', 'SELECT c.customer_id, c.profile FROM public.cohort_customer c WHERE c.profile ->> ''city'' = ''pune''');

-- cohort_update_query
SELECT cohort_update_query('in pune', 'SELECT c.customer_id FROM public.cohort_customer c WHERE lower(c.profile ->> ''city'') = ''pune''');

-- cohort_import
SELECT cohort_import('vip', ARRAY['asha', 'bela']);

-- cohort_run
SELECT customer_id FROM cohort_run('abandoned carts');
SELECT p.customer_id, p.profile FROM cohort_run('vip') c JOIN cohort_customer p USING (customer_id);

-- cohort_evaluate
SELECT customer_id FROM cohort_evaluate('{"did": "purchase", "count": {"gte": 2}}', as_of => '2025-04-01 00:00+00');

-- cohort_count
SELECT cohort_count('abandoned carts', as_of => '2025-03-03 00:00+00');

-- cohort_contains
SELECT cohort_contains('vip', 'asha');
SELECT cohort_contains('vip', 42);

-- cohort_of
SELECT * FROM cohort_of('asha');

-- cohort_preview
SELECT * FROM cohort_preview('{"did": "purchase"}', sample => 3);

-- cohort_validate
SELECT * FROM cohort_validate('{"did": "cart", "where": {"property": "price", "operator": "gtt", "value": 1000}}');

-- cohort_rule_schema
SELECT cohort_rule_schema() -> '$defs' IS NOT NULL;

-- cohort_explain
SELECT condition, path, customers, how FROM cohort_explain('abandoned carts');

-- cohort_why
SELECT * FROM cohort_why('abandoned carts', 'bela');

-- cohort_sql
SELECT cohort_sql('{"did": "purchase"}'::jsonb);

-- cohort_sample_place
SELECT cohort_sample_place('asha', 'spring');

-- cohort_groups
SELECT * FROM cohort_groups('{"did": "purchase"}'::jsonb, 'city');

-- cohort_overlap
SELECT * FROM cohort_overlap(ARRAY['abandoned carts', 'vip']);

-- cohort_export
SELECT cohort_export('vip');

-- cohort_apply
SELECT * FROM cohort_apply('{"cohorts": [{"name": "vip", "customer_ids": ["asha", "chitra"]}]}', dry_run => true);

-- cohort_waterfall
SELECT * FROM cohort_waterfall(ARRAY['vip', 'abandoned carts']);

-- cohort_property
SELECT * FROM cohort_property('cart');

-- cohort_figures
SELECT * FROM cohort_figures('{"did": "cart", "aggregate": {"fn": "sum", "property": "price"}}', 'vip');

-- cohort_priority_create
SELECT cohort_priority_create('spring', ARRAY['vip', 'abandoned carts']);

-- cohort_priority_update
SELECT cohort_priority_update('spring', ARRAY['abandoned carts', 'vip']);
SELECT list_name, cohorts, syncs FROM cohort_priority;

-- cohort_priority_drop
SELECT cohort_priority_drop('spring');

-- cohort_suppress
SELECT cohort_suppress('vip');
SELECT cohort, destination FROM cohort_suppression;

-- cohort_unsuppress
SELECT cohort_unsuppress('vip');

-- cohort_refresh
SELECT size, entered, exited FROM cohort_refresh('abandoned carts');

-- cohort_members
SELECT customer_id, entered_at FROM cohort_members('abandoned carts');

-- cohort_history
SELECT refreshed_at, size, entered, exited FROM cohort_history('abandoned carts');

-- cohort_changes
SELECT customer_id, change, changed_at FROM cohort_changes('abandoned carts', since => now() - interval '1 day');

-- cohort_api_key_create
SELECT cohort_api_key_create('shop backend', 'marketing_team', expires_at => now() + interval '1 year');

-- cohort_api_key_revoke
SELECT cohort_api_key_revoke('shop backend');

-- cohort_version
SELECT * FROM cohort_version();

-- cohort_seal
SELECT events, profiles, segments FROM cohort_seal();

-- cohort_check
SELECT * FROM cohort_check();

-- cohort_retain
SELECT cohort_retain('13 months', 'view');
SELECT cohort_retain('3 years');        -- every other type
SELECT cohort_retain(NULL, 'view');     -- views for 3 years, too

-- cohort_retain_now
SELECT cohort_retain_now();

-- cohort_reindex
SELECT events, segments FROM cohort_reindex();

-- cohort_destination_create
CREATE TABLE crm_members (customer_id text PRIMARY KEY, entered_at timestamptz);
SELECT cohort_destination_create('crm', 'table', '{"table": "public.crm_members"}');

-- cohort_destination_update
SELECT cohort_destination_update('crm', config => '{"table": "public.crm_members"}');

-- cohort_destination_test
SELECT * FROM cohort_destination_test('crm');

-- cohort_sync_create
SELECT cohort_sync_create('vip', 'crm', 'daily', at => '06:30', timezone => 'Asia/Kolkata');

-- cohort_sync_update
SELECT cohort_sync_update('vip', 'crm', 'weekly', at => 'Monday 09:00');

-- cohort_sync_preview
SELECT * FROM cohort_sync_preview('vip', 'crm');

-- cohort_sync_now
SELECT cohort_sync_now('vip', 'crm');

-- cohort_sync_execute
CALL cohort_sync_execute('vip', 'crm');

-- cohort_sync_resync
SELECT cohort_sync_resync('vip', 'crm');

-- cohort_sync_pause
SELECT cohort_sync_pause('vip', 'crm');

-- cohort_sync_resume
SELECT cohort_sync_resume('vip', 'crm');

-- cohort_sync_arm
SELECT cohort_sync_arm();

-- cohort_sync_set_owner
SELECT cohort_sync_set_owner('vip', 'crm', 'marketing_lead');

-- cohort_destination_set_owner
SELECT cohort_destination_set_owner('crm', 'marketing_lead');

-- cohort_set_owner
SELECT cohort_set_owner('vip', 'marketing_lead');

-- cohort_sync_drop
SELECT cohort_sync_drop('vip', 'crm');

-- cohort_destination_drop
SELECT cohort_destination_drop('crm');

-- cohort_drop
SELECT cohort_drop('abandoned carts');

-- cohort_forget
SELECT * FROM cohort_forget('bela');

-- cohort_secret_allow
RESET ROLE; -- a superuser says it
-- The token in this file goes to Meta's API only, for destinations that these roles own.
SELECT cohort_secret_allow('file:fb-main', '{marketing_team}', '{facebook_ads, meta_pixel}');
SELECT cohort_secret_allow('env:KURSAHA_SECRET_CRM', '{marketing_team}', '{webhook}', '{hooks.example.com}');

-- cohort_secret_revoke
SELECT cohort_secret_revoke('env:KURSAHA_SECRET_CRM');
