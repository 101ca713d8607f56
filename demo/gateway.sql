-- A small shop for the console: three thousand customers, events of two months, cohorts, a destination and a sync.
CREATE EXTENSION IF NOT EXISTS kursaha_cohort;

INSERT INTO cohort_customer (customer_id, profile, created_at)
SELECT 'c' || i, jsonb_build_object('email', 'c' || i || '@example.com', 'firstName', (ARRAY['Asha', 'Bela', 'Chandra', 'Devi', 'Elif'])[1 + i % 5],
    'city', (ARRAY['Pune', 'Mumbai', 'Delhi', 'Chennai'])[1 + i % 4], 'phone', '+91 98' || lpad((i * 7919 % 100000000)::text, 8, '0')),
    now() - (i % 60) * interval '1 day'
FROM generate_series(1, 3000) i;

INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT 'c' || 1 + (i * 7 % 3100), t.event_type, now() - (i * 37 % 86400) * interval '1 minute',
    jsonb_build_object('productId', 'p' || i % 40, 'brand', (ARRAY['something', 'other', 'plain'])[1 + i % 3], 'price', 100 + i * 13 % 2400)
FROM generate_series(1, 20000) i
CROSS JOIN LATERAL (SELECT (ARRAY['view', 'view', 'view', 'view', 'cart', 'cart', 'purchase', 'signup'])[1 + i % 8]) t (event_type);

SELECT cohort_create('abandoned carts', '{"and": [{"did": "cart", "time": {"in_the_last": "14 days"}}, {"did_not": "purchase", "time": {"in_the_last": "14 days"}}]}',
    'Something in the cart, and nothing bought since');
SELECT cohort_create('big spenders', '{"did": "purchase", "aggregate": {"fn": "sum", "property": "price", "gte": 4000}}');
SELECT cohort_create('of Pune or Mumbai', '{"profile": "city", "operator": "in", "value": ["Pune", "Mumbai"]}');
SELECT cohort_refresh(name) FROM cohort_definition;
CREATE TABLE crm_members (customer_id text PRIMARY KEY, entered_at timestamptz);
SELECT cohort_destination_create('crm', 'table', '{"table": "public.crm_members"}');
