-- Removals that are not sealed: the index answers as plain SQL does, in every snapshot, and asks the log once
\set SHOW_CONTEXT never
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();

CREATE FUNCTION pg_temp.differ() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rule jsonb;
    by_index text;
    by_sql text;
BEGIN
    FOREACH rule IN ARRAY ARRAY['{"did": "view"}', '{"did_not": "view"}', '{"did": "cart", "count": {"gte": 2}}',
                                '{"did": "*", "where": [{"property": "n", "operator": "gt", "value": 100}]}']::jsonb[]
    LOOP
        SET LOCAL kursaha_cohort.engine = 'bitmap';
        SELECT string_agg(c, ',' ORDER BY c COLLATE "C") INTO by_index FROM cohort_evaluate(rule, '2026-02-01Z') c;
        SET LOCAL kursaha_cohort.engine = 'sql';
        SELECT string_agg(c, ',' ORDER BY c COLLATE "C") INTO by_sql FROM cohort_evaluate(rule, '2026-02-01Z') c;
        IF by_index IS DISTINCT FROM by_sql THEN
            RETURN format('%s: %s by the index, %s by plain SQL', rule, left(by_index, 60), left(by_sql, 60));
        END IF;
    END LOOP;
    RETURN 'the same';
END
$$;
INSERT INTO cohort_event (event_id, customer_id, event_type, occurred_at, data)
SELECT n, 'c' || n % 300, (ARRAY['view', 'cart'])[1 + n % 2], '2026-01-01Z'::timestamptz + n * interval '1 minute',
       jsonb_build_object('n', n % 1000)
FROM generate_series(1, 6000) n;
SELECT events, removed FROM cohort_seal();
SELECT pg_temp.differ();

-- A few, and more than are looked up one by one
DELETE FROM cohort_event WHERE event_id <= 10;
SELECT pg_temp.differ();
DELETE FROM cohort_event WHERE event_id <= 1500;
SELECT event_type, sum(entries), count(*) < 10 AS in_few_rows FROM kursaha_cohort.event_removed GROUP BY event_type ORDER BY event_type;
SELECT pg_temp.differ();
UPDATE cohort_event SET customer_id = 'x' || customer_id WHERE event_id BETWEEN 1501 AND 2600;
SELECT pg_temp.differ();
SELECT pg_temp.differ();

-- Savepoints: what is rolled back is there again
BEGIN;
SAVEPOINT s;
DELETE FROM cohort_event WHERE event_type = 'view';
SELECT pg_temp.differ();
ROLLBACK TO s;
SELECT pg_temp.differ();
DELETE FROM cohort_event WHERE event_id BETWEEN 3000 AND 3700;
SELECT pg_temp.differ();
COMMIT;
SELECT pg_temp.differ();

-- An older snapshot than the last removal, in the same session
BEGIN;
DECLARE before CURSOR FOR SELECT cohort_count FROM generate_series(1, 3), LATERAL (
    SELECT count(*) AS cohort_count FROM cohort_evaluate('{"did": "view", "count": {"gte": 1}}', '2026-02-01Z')) counted;
FETCH 1 FROM before;
DELETE FROM cohort_event WHERE event_type = 'view' AND event_id < 5000;
SELECT pg_temp.differ();
FETCH 1 FROM before;
SELECT pg_temp.differ();
ROLLBACK;

-- As logical replication and restores write: row by row, and twice does no harm
SET session_replication_role = replica;
DELETE FROM cohort_event WHERE event_id BETWEEN 4000 AND 4020;
RESET session_replication_role;
SELECT pg_temp.differ();

-- Ids that come twice, where the primary key is gone: a superuser can switch off what keeps it
BEGIN;
ALTER EVENT TRIGGER cohort_table_altered DISABLE;
ALTER TABLE cohort_event DROP CONSTRAINT cohort_event_pkey;
ALTER EVENT TRIGGER cohort_table_altered ENABLE ALWAYS;
INSERT INTO cohort_event (event_id, customer_id, event_type, occurred_at, data)
SELECT n, 'twin' || n % 7, 'view', '2026-01-03Z', '{"n": 5}' FROM generate_series(5001, 5998) n;
COMMIT;
SELECT removed > 0 AS removed FROM cohort_seal();
SELECT place, problem FROM cohort_check();
SELECT FROM cohort_reindex();
DELETE FROM cohort_event WHERE customer_id LIKE 'twin%' OR event_id BETWEEN 5500 AND 5510;
SELECT pg_temp.differ();
SELECT removed > 0 AS removed FROM cohort_seal();
SELECT place, problem FROM cohort_check();
ALTER TABLE cohort_event ADD CONSTRAINT cohort_event_pkey PRIMARY KEY (event_id);

-- Who may delete events need not be able to write the log
CREATE ROLE cleaner;
GRANT SELECT, DELETE, UPDATE ON cohort_event TO cleaner;
SET ROLE cleaner;
DELETE FROM cohort_event WHERE event_id = 5600;
UPDATE cohort_event SET data = '{"n": 999}' WHERE event_id BETWEEN 5700 AND 5703;
RESET ROLE;
SELECT pg_temp.differ();
SELECT removals, tail FROM cohort_index_status;
SELECT removed FROM cohort_seal();
SELECT removals, tail FROM cohort_index_status;
SELECT pg_temp.differ();
REVOKE ALL ON cohort_event FROM cleaner;
DROP ROLE cleaner;

-- A profile that its transaction changed before it deleted it, or gave another id
INSERT INTO cohort_customer (customer_id, profile) SELECT 'p' || n, '{"plan": "gold"}' FROM generate_series(1, 6) n;
SELECT profiles FROM cohort_seal();
BEGIN;
UPDATE cohort_customer SET profile = '{"plan": "lead"}' WHERE customer_id IN ('p1', 'p2', 'p3');
DELETE FROM cohort_customer WHERE customer_id = 'p1';
UPDATE cohort_customer SET customer_id = 'q2' WHERE customer_id = 'p2';
DELETE FROM cohort_customer WHERE customer_id = 'p3';
INSERT INTO cohort_customer (customer_id, profile) VALUES ('p3', '{"plan": "gold"}');
COMMIT;
SELECT cohort_evaluate('{"profile": "plan", "operator": "eq", "value": "gold"}') AS gold ORDER BY gold;
SELECT FROM cohort_seal();
SELECT cohort_evaluate('{"profile": "plan", "operator": "eq", "value": "gold"}') AS gold ORDER BY gold;
SELECT place, problem FROM cohort_check();
DELETE FROM cohort_customer;
TRUNCATE cohort_event;
SELECT FROM cohort_seal();
