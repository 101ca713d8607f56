-- What a database holds in which 0.1.0 was at work: something in every table of the extension.
CREATE ROLE up_reader; CREATE ROLE up_monitor; CREATE ROLE up_ingest; CREATE ROLE up_editor; CREATE ROLE up_operator LOGIN; CREATE ROLE up_other;
SELECT cohort_grant(n, 'up_' || n) FROM unnest('{reader,monitor,ingest,editor,operator}'::text[]) n;
-- By hand, past the sets.
GRANT EXECUTE ON FUNCTION cohort_track(text, text, jsonb, timestamptz, text) TO up_other;
GRANT EXECUTE ON FUNCTION cohort_rule_schema() TO PUBLIC;

CREATE TABLE orders (id int PRIMARY KEY, customer text, price numeric, at timestamptz);
INSERT INTO orders SELECT i, 'c' || i % 7, i, '2026-01-01'::timestamptz + i * interval '1 hour' FROM generate_series(1, 20) i;
SELECT cohort_capture('orders', 'order', 'customer', 'at', '{price}');
SELECT cohort_backfill('orders', 'order', 10);
INSERT INTO orders VALUES (21, 'c3', 500, '2026-02-01'), (22, NULL, 1, '2026-02-01');
CREATE TABLE users (login text PRIMARY KEY, city text);
SELECT cohort_capture_profile('users', 'login');
INSERT INTO users SELECT 'c' || i, CASE i % 2 WHEN 0 THEN 'pune' ELSE 'thane' END FROM generate_series(0, 9) i;
CREATE TABLE visits (who text);
SELECT cohort_capture('visits', 'visit', 'who');
INSERT INTO visits VALUES ('c1');
SELECT cohort_release('visits', 'visit');

-- Sealed, in several segments, merged and not.
SELECT count(cohort_track('c' || i % 50, (ARRAY['view', 'cart', 'buy'])[1 + i % 3], jsonb_build_object('price', i % 40, 'sku', 's' || i % 11, 'deep', jsonb_build_object('on', i % 2 = 0)),
                          '2026-03-01'::timestamptz + i * interval '17 minutes', 'key' || i)) FROM generate_series(1, 600) i;
SELECT * FROM cohort_seal();
SELECT count(cohort_track('c' || 40 + i % 30, 'view', '{"price": 1.25, "sku": "new"}', '2026-05-01'::timestamptz + i * interval '1 hour')) FROM generate_series(1, 200) i;
SELECT cohort_identify('c' || i, jsonb_build_object('city', 'mumbai', 'age', i, 'tags', jsonb_build_array('a', i))) FROM generate_series(20, 45) i;
SELECT * FROM cohort_seal();
-- Rows of segments that are gone, and a forgotten person.
UPDATE cohort_event SET data = data || '{"late": true}' WHERE event_type = 'cart' AND customer_id IN ('c1', 'c2', 'c3');
DELETE FROM cohort_event WHERE event_type = 'view' AND customer_id = 'c5';
DELETE FROM cohort_customer WHERE customer_id = 'c21';
SELECT * FROM cohort_seal();
DELETE FROM cohort_event WHERE event_type = 'view' AND customer_id = 'c6';
SELECT * FROM cohort_forget('c9');

SELECT cohort_create('buyers', '{"did": "buy"}', 'who bought');
SELECT cohort_create('late', '{"and": [{"cohort": "buyers"}, {"did_not": "cart", "time": {"since": "2026-03-05T00:00:00Z"}}]}');
SELECT cohort_update('buyers', '{"did": "buy", "where": {"property": "price", "operator": "gte", "value": 10}}');
SELECT cohort_import('list', ARRAY(SELECT 'c' || i FROM generate_series(0, 60, 3) i));
SELECT cohort_create('both', '{"or": [{"cohort": "late"}, {"cohort": "list"}]}');
SELECT * FROM cohort_refresh('buyers');
SELECT cohort_track('c4', 'buy', '{"price": 39}'), cohort_track('stranger', 'buy', '{"price": 39}');
SELECT * FROM cohort_refresh('buyers');
SELECT * FROM cohort_refresh('both');
SELECT cohort_set_owner('late', 'up_editor');
UPDATE cohort_event_type SET description = 'told by us' WHERE event_type = 'view';
SELECT cohort_retain('100 years', 'view');
SELECT cohort_seal();
-- The tail: rows, removals and a forgotten person that nobody has sealed.
SELECT cohort_track('c7', 'view', '{"price": 3}'), cohort_track('tail', 'buy', '{"price": 12}');
DELETE FROM cohort_event WHERE event_type = 'buy' AND customer_id = 'c10';
SELECT * FROM cohort_forget('c11');

-- A sync that has delivered: the destination has these members.
CREATE TABLE told (customer_id text PRIMARY KEY);
ALTER TABLE told OWNER TO up_operator;
SELECT cohort_set_owner('buyers', 'up_operator');
SET ROLE up_operator;
SELECT cohort_destination_create('crm', 'table', '{"table": "public.told"}');
SELECT cohort_sync_create('buyers', 'crm', 'every 1 hour');
RESET ROLE;
SELECT cohort_secret_allow('file:crm', '{up_operator}', '{webhook}', '{crm.example.com}');

-- What users added to the two tables.
ALTER TABLE cohort_event ADD source text DEFAULT 'web';
CREATE INDEX events_of_source ON cohort_event (source);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.source := coalesce(NEW.source, 'noted'); RETURN NEW; END $$;
CREATE TRIGGER zz_note BEFORE INSERT ON cohort_event FOR EACH ROW EXECUTE FUNCTION note();
CREATE VIEW report AS SELECT d.name, d.rule, s.segments FROM cohort_definition d, cohort_index_status s;
