-- A shop's customers and events, the same in every run but for their times, which count back from now.
SELECT setseed(0.42);

CREATE SCHEMA shop;
CREATE TABLE shop.vip (customer_id text PRIMARY KEY, tier text NOT NULL);

CREATE TEMP TABLE person AS
SELECT i, 'c_' || lpad((1000000 + i * 37 % 99991)::text, 7, '0') AS id, random() AS eager, random() AS a, random() AS b, random() AS c, random() AS d
FROM generate_series(1, :customers) i;

INSERT INTO cohort_customer (customer_id, profile)
SELECT id, jsonb_strip_nulls(jsonb_build_object(
    'firstName', (ARRAY['Meher', 'Tanvi', 'Ishir', 'Zoya', 'Kavin', 'Lekha', 'Arva', 'Nihal', 'Sona', 'Dhruvi', 'Rhea', 'Asha', 'Vihan', 'Noor'])[1 + floor(a * 13.99)::int],
    'email', CASE WHEN b < 0.9 THEN id || '@example.com' END,
    'phone', CASE WHEN c < 0.8 THEN '+9198' || lpad((d * 99999999)::bigint::text, 8, '0') END,
    'city', (ARRAY['Pune', 'Nashik', 'Kolhapur', 'Mumbai', 'Surat', 'Nagpur'])[1 + floor(b * 5.99)::int],
    'dob', to_char(current_date - ((18 + c * 50) * 365)::int, 'YYYY-MM-DD'),
    'plan', (ARRAY['free', 'silver', 'gold'])[1 + floor(d * d * 2.99)::int],
    'score', round((a * 100)::numeric, 1),
    'household', 'h' || (i % (:customers / 2)),
    'tags', CASE WHEN a < 0.3 THEN '["kitchen", "gifts"]'::jsonb ELSE '["bath"]'::jsonb END))
FROM person WHERE d < 0.97;

INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT id, 'signup', now() - (90 + a * 200) * interval '1 day', '{"channel": "web"}' FROM person;

INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT p.id, e.type, now() - interval '1 minute' - (e.at * 90) * interval '1 day',
    jsonb_build_object('productId', (ARRAY['kettle-k3', 'lamp-brass-02', 'towel-set-6', 'lamp-cane-01', 'mat-jute', 'bowl-4'])[1 + floor(e.x * 5.99)::int],
        'category', (ARRAY['kitchen', 'lamps', 'bath'])[1 + floor(e.x * 2.99)::int])
    || CASE WHEN e.type IN ('cart', 'purchase') THEN jsonb_build_object(
        'brand', (ARRAY['Kalpa', 'Tamra', 'Neelam', 'Odhni'])[1 + floor(e.y * 3.99)::int], 'price', round((e.y * e.x * 4000 + 99)::numeric, 0)) ELSE '{}' END
    || CASE WHEN e.type = 'purchase' THEN jsonb_build_object('items', jsonb_build_array(jsonb_build_object('sku', 'KK3', 'quantity', 1 + (e.x * 3)::int)), 'channel', (ARRAY['web', 'app'])[1 + floor(e.at * 1.99)::int]) ELSE '{}' END
FROM person p
CROSS JOIN LATERAL (
    SELECT (ARRAY['view', 'view', 'view', 'open', 'open', 'cart', 'purchase'])[1 + floor(random() * 6.99)::int] AS type, random() ^ 1.3 AS at, random() AS x, random() AS y
    FROM generate_series(1, 1 + (p.eager * p.eager * 20)::int)) e
ORDER BY e.at DESC;

INSERT INTO shop.vip SELECT id, CASE WHEN a < 0.5 THEN 'gold' ELSE 'silver' END FROM person WHERE eager > 0.95;
GRANT USAGE ON SCHEMA shop TO crm_team, growth;
GRANT SELECT ON shop.vip TO crm_team, growth;
ANALYZE cohort_event, cohort_customer;
