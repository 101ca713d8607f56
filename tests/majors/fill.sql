-- What the old server has, sealed by its workers.
CREATE EXTENSION kursaha_cohort;
CREATE ROLE app LOGIN;
SELECT cohort_grant('operator', 'app');
CREATE TABLE told (customer_id text);
GRANT ALL ON told TO app;

INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT 'c' || i * 7919 % 1500, (ARRAY['view', 'cart', 'view', 'buy', 'late'])[1 + (i + i / 1500) % CASE WHEN i % 1500 < 500 THEN 3 ELSE 5 END],
       '2025-01-01 00:00+00'::timestamptz + i % 200 * interval '17 hours',
       jsonb_build_object('price', i % 60, 'sku', 's' || i % 37, 'note', repeat('long ' || i, i % 40))
FROM generate_series(1, 20000) i;
INSERT INTO cohort_customer (customer_id, profile)
SELECT 'c' || i, jsonb_build_object('city', (ARRAY['pune', 'oslo', 'agra'])[1 + i % 3], 'points', i) FROM generate_series(1, 1200) i;
SELECT cohort_track_batch('{"signals": [{"customerId": "c1", "eventType": "gift", "eventKey": "once", "occurredAt": "2025-02-01T00:00:00Z"}]}');

CREATE TABLE orders (id int PRIMARY KEY, customer text, price numeric, ordered_at timestamptz);
CREATE TABLE users (id text PRIMARY KEY, city text, secret text);
INSERT INTO orders VALUES (1, 'c3', 75, '2025-02-03');
SELECT cohort_capture('orders', 'order', 'customer', occurred_at_column => 'ordered_at', data_columns => '{id,price}');
SELECT cohort_capture_profile('users', 'id', data_columns => '{city}');
INSERT INTO orders SELECT i, 'c' || i, 80 + i, '2025-02-04' FROM generate_series(2, 30) i;
INSERT INTO users SELECT 'c' || i, 'delhi', 'x' FROM generate_series(1300, 1320) i;
SELECT cohort_backfill('orders', 'order');

SET ROLE app;
SELECT cohort_create('buyers', '{"did": "order"}', 'who ordered');
SELECT cohort_create('shoppers', '{"and": [{"cohort": "buyers"}, {"did": "*", "where": {"property": "price", "operator": "gt", "value": 30}}]}');
SELECT cohort_import('friends', ARRAY(SELECT 'c' || i FROM generate_series(1, 900, 3) i));
SELECT cohort_update('shoppers', '{"or": [{"cohort": "buyers"}, {"did": "buy", "where": {"property": "price", "operator": "gt", "value": 55}}]}');
SELECT cohort_refresh('buyers');
SELECT cohort_refresh('friends');
SELECT cohort_destination_create('told', 'table', '{"table": "public.told"}');
SELECT cohort_sync_create('friends', 'told', 'every 1 hour');
SELECT cohort_sync_now('friends', 'told');
RESET ROLE;
