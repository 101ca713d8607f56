-- The demo's first part: cohorts of a real shop. scripts/demo runs it, with cdnow.csv as standard input and the psql
-- variables head, dim and plain (terminal codes, empty where there is no terminal).

\echo
\echo :head'1. The data':plain
\echo '   Every order of 23,570 customers of CDNOW, a CD shop, from January 1997 to June 1998.'
\echo '   They come in bodies as an events API takes them, 5,000 events each:'
\echo
\echo '  ' :dim'SELECT cohort_track_batch(''{"signals": [{"customerId": "00001", "eventType": "purchase",':plain
\echo '  ' :dim'    "data": {"price": 11.77, "quantity": 1}, "occurredAt": "1997-01-01T00:00:00Z"}, …]}'');':plain
\echo

CREATE EXTENSION kursaha_cohort;

CREATE TEMP TABLE line (
    number bigint GENERATED ALWAYS AS IDENTITY, customer_id text, event_type text, occurred_at timestamptz, data jsonb
);
\copy line (customer_id, event_type, occurred_at, data) FROM pstdin WITH (FORMAT csv, HEADER)

WITH body (payload) AS MATERIALIZED (
    SELECT jsonb_build_object('signals', jsonb_agg(
               jsonb_build_object('customerId', customer_id, 'eventType', event_type, 'data', data,
                                  'occurredAt', occurred_at) ORDER BY number))
    FROM line GROUP BY (number - 1) / 5000
)
SELECT count(*) AS bodies, sum(stored) AS "events stored" FROM body, cohort_track_batch(payload);
ANALYZE cohort_event;

SELECT count(DISTINCT customer_id) AS customers, count(*) AS orders, min(occurred_at)::date AS "from",
       max(occurred_at)::date AS "to", sum((data ->> 'price')::numeric) AS "spent, $",
       sum((data ->> 'quantity')::int) AS "CDs"
FROM cohort_event;

\echo :head'2. Cohorts worth saving':plain
\echo '   A cohort is a name and a rule. What a top customer has spent is asked of the data first:'
\echo

SELECT percentile_disc(0.75) WITHIN GROUP (ORDER BY spent) AS top_quarter
FROM (SELECT sum((data ->> 'price')::numeric) AS spent FROM cohort_event GROUP BY customer_id) customer
\gset
\echo '   One customer in four spent' :top_quarter 'dollars or more.'
\echo

-- The rules as text, so that they can be shown as they are written here.
CREATE TEMP TABLE wish (number int GENERATED ALWAYS AS IDENTITY, name text, who text, rule text);
INSERT INTO wish (name, who, rule) VALUES
('top quarter', 'the quarter that spent most',
 '{"did": "purchase", "aggregate": {"fn": "sum", "property": "price", "gte": ' || :'top_quarter' || '}}'),
('lapsed big spenders', 'spent 200 dollars or more, nothing in the last 6 months',
 '{"and": [{"did": "purchase", "aggregate": {"fn": "sum", "property": "price", "gte": 200}},
         {"did_not": "purchase", "time": {"in_the_last": "6 months"}}]}'),
('back within 30 days', 'a second order at most 30 days after another',
 '{"sequence": [{"did": "purchase"}, {"did": "purchase"}], "within": "30 days"}'),
('one order only', 'came once, never again',
 '{"did": "purchase", "count": {"eq": 1}}'),
('monthly regulars', 'an order in each of the last three months',
 '{"and": [{"did": "purchase", "time": {"in_the_last": "30 days"}},
         {"did": "purchase", "time": {"between_ago": ["60 days", "30 days"]}},
         {"did": "purchase", "time": {"between_ago": ["90 days", "60 days"]}}]}'),
('January starters', 'first order in January 1997',
 '{"did": "purchase", "occurrence": "first", "time": {"between": ["1997-01-01", "1997-01-31"]}}'),
('box buyers', 'ten CDs or more in one order',
 '{"did": "purchase", "where": {"property": "quantity", "operator": "gte", "value": 10}}'),
('win back first', 'top quarter and lapsed, but no box buyers',
 '{"and": [{"cohort": "top quarter"}, {"cohort": "lapsed big spenders"},
         {"not": {"cohort": "box buyers"}}]}');

SELECT cohort_create(name, rule::jsonb, who) AS id FROM (SELECT * FROM wish ORDER BY number) w
\g /dev/null

SELECT d.name AS "saved cohort", d.description FROM cohort_definition d JOIN wish USING (name) ORDER BY number;

\echo '   Three of the rules:'
\echo
\t on
\pset format unaligned
SELECT E'   \u2022 ' || name || ': ' || who || :'dim' || E'\n     ' || replace(rule, E'\n', E'\n     ') || :'plain' || E'\n'
FROM wish WHERE name IN ('lapsed big spenders', 'back within 30 days', 'win back first') ORDER BY number;
\pset format aligned
\t off

\echo :head'3. How many are they on 1 July 1998?':plain
\echo '   Each rule is answered now, from the events as they are; as_of turns the clock back.'
\echo

WITH answer AS MATERIALIZED (
    SELECT number, name, cohort_count(name, as_of => :'as_of') AS customers,
           ARRAY(SELECT id FROM cohort_run(name, as_of => :'as_of') AS id ORDER BY id COLLATE "C" LIMIT 3) AS sample
    FROM wish
), universe AS (SELECT count(DISTINCT customer_id) AS customers FROM cohort_event)
SELECT a.name AS cohort, a.customers,
       to_char(100.0 * a.customers / u.customers, '990.0') || ' %' AS share,
       repeat(U&'\2588', (20.0 * a.customers / max(a.customers) OVER ())::int)
           || CASE WHEN (20.0 * a.customers / max(a.customers) OVER ())::int = 0 THEN U&'\258F' ELSE '' END AS " ",
       array_to_string(a.sample, ' ') || CASE WHEN a.customers > 3 THEN U&' \2026' ELSE '' END AS "for example"
FROM answer a, universe u ORDER BY a.number;

\echo :head'4. Who should get a letter?':plain
\echo '   cohort_run returns customer ids: join them with anything.'
\echo

SELECT member AS customer, count(*) AS orders, sum((e.data ->> 'price')::numeric) AS "spent, $",
       max(e.occurred_at)::date AS "last order"
FROM cohort_run('win back first', as_of => :'as_of') AS member
JOIN cohort_event e ON e.customer_id = member
GROUP BY member ORDER BY 3 DESC, 1 LIMIT 5;

\echo :head'5. Why so few? cohort_explain counts every condition':plain
\echo

SELECT condition, path, customers, events, round(extract(epoch FROM took) * 1000) || ' ms' AS took, how
FROM cohort_explain('lapsed big spenders', as_of => :'as_of');

\echo :head'6. Which cohorts share their customers?':plain
\echo '   A dot marks a cohort; the number counts the customers who are in exactly the marked ones.'
\echo

WITH part AS MATERIALIZED (
    SELECT o.* FROM cohort_overlap(ARRAY['top quarter', 'back within 30 days', 'January starters']) o
)
SELECT CASE WHEN 'top quarter' = ANY (cohorts) THEN U&'\25CF' ELSE U&'\00B7' END AS "top quarter",
       CASE WHEN 'back within 30 days' = ANY (cohorts) THEN U&'\25CF' ELSE U&'\00B7' END AS "back within 30 days",
       CASE WHEN 'January starters' = ANY (cohorts) THEN U&'\25CF' ELSE U&'\00B7' END AS "January starters",
       only_these AS customers,
       repeat(U&'\2588', (30.0 * only_these / max(only_these) OVER ())::int) AS " "
FROM part ORDER BY cardinality(cohorts), only_these DESC;

\echo :head'7. Part of your transaction':plain
\echo '   Customer 00001 has ordered once. She orders again, and is no longer in "one order only"'
\echo '   before anything is committed; after ROLLBACK nothing has happened.'
\echo

BEGIN;
SELECT cohort_contains('one order only', '00001') AS "in it, before";
SELECT cohort_track('00001', 'purchase', '{"price": 14.50, "quantity": 1}') IS NOT NULL AS "she orders";
SELECT cohort_contains('one order only', '00001') AS "in it, in this transaction";
ROLLBACK;
SELECT cohort_contains('one order only', '00001') AS "in it, after ROLLBACK";
