-- cohort_retain, cohort_retain_now and cohort_retention
\set SHOW_CONTEXT never
SET timezone = 'UTC';
TRUNCATE cohort_event, cohort_customer;
INSERT INTO cohort_event (customer_id, event_type, occurred_at)
SELECT 'c' || n % 50, (ARRAY['view', 'cart', 'purchase'])[1 + n % 3], now() - n * interval '1 hour' + interval '1 minute'
FROM generate_series(1, 3000) n;
SELECT events FROM cohort_seal();

-- What is refused
SELECT cohort_retain('-1 day');
SELECT cohort_retain('0');
SELECT cohort_retain('2000 years');
SELECT cohort_retain('1 day', '*');
SELECT cohort_retain('1 day', '');
SELECT cohort_retain(NULL, 'view');
SELECT cohort_retain_now(0);
SELECT cohort_retain_now();

-- A type, and every other one; in batches, from where the last one ended
SELECT cohort_retain('60 days', 'view');
SELECT cohort_retain('30 days');
SELECT event_type, keep, keeps_from = now() - keep AS from_then, deleted, under_way FROM cohort_retention ORDER BY event_type;
SELECT cohort_retain_now(100) >= 100 AS deleted;
SELECT sum(deleted) >= 100 AS deleted FROM cohort_retention;
SELECT cohort_retain_now() > 0 AS deleted;
SELECT cohort_retain_now();
SELECT event_type, count(*), min(occurred_at) >= now() - CASE event_type WHEN 'view' THEN interval '60 days' ELSE '30 days' END AS kept
FROM cohort_event GROUP BY event_type ORDER BY event_type;
SELECT sum(deleted) AS deleted, bool_or(under_way) AS under_way, count(passed_at) AS passed FROM cohort_retention;

-- Nothing waits for a sealing: the segments know what is gone
SELECT removals, tail, events FROM cohort_index_status;
SELECT place, problem FROM cohort_check();
SELECT count(*) FROM cohort_evaluate('{"did": "*", "count": {"gte": 15}}');
SET kursaha_cohort.engine = 'sql';
SELECT count(*) FROM cohort_evaluate('{"did": "*", "count": {"gte": 15}}');
RESET kursaha_cohort.engine;

-- An old event that comes later is there, until it is deleted, sealed or not
INSERT INTO cohort_event (customer_id, event_type, occurred_at) VALUES ('late', 'cart', now() - interval '90 days'), ('late', 'view', now() - interval '50 days');
SELECT count(*) FROM cohort_evaluate('{"did": "cart", "time": {"more_than_ago": "60 days"}}');
SELECT events FROM cohort_seal();
BEGIN;
SELECT cohort_retain_now();
SELECT count(*) FROM cohort_evaluate('{"did": "*", "time": {"more_than_ago": "40 days"}}') c WHERE c = 'late';
ROLLBACK;
SELECT customer_id FROM cohort_evaluate('{"did": "cart", "time": {"more_than_ago": "60 days"}}') AS customer_id;

-- A stricter isolation level leaves the index to the next sealing
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM cohort_event WHERE customer_id = 'late';
SELECT cohort_retain_now();
SELECT count(*) FROM cohort_evaluate('{"did": "cart", "time": {"more_than_ago": "60 days"}}');
COMMIT;
SELECT removals FROM cohort_index_status;
SELECT removed FROM cohort_seal();
SELECT place, problem FROM cohort_check();

-- What a trigger keeps is kept
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.customer_id <> 'kept' THEN OLD END; END $$;
CREATE TRIGGER keep BEFORE DELETE ON cohort_event FOR EACH ROW EXECUTE FUNCTION keep();
INSERT INTO cohort_event (customer_id, event_type, occurred_at)
SELECT unnest(ARRAY['kept', 'gone']), 'cart', now() - interval '90 days';
SELECT events FROM cohort_seal();
SELECT cohort_retain_now();
SELECT customer_id FROM cohort_evaluate('{"did": "cart", "time": {"more_than_ago": "60 days"}}') AS customer_id;
SELECT place, problem FROM cohort_check();
DROP TRIGGER keep ON cohort_event;
DROP FUNCTION keep();

-- Rights: operators set policies, whose carrying out has their rights
CREATE ROLE janitor;
SET ROLE janitor;
SELECT cohort_retain('1 day');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cohort_retain(interval, text) TO janitor;
GRANT USAGE ON SCHEMA kursaha_cohort TO janitor;
SET ROLE janitor;
SELECT cohort_retain('1 day');
RESET ROLE;
REVOKE ALL ON FUNCTION cohort_retain(interval, text) FROM janitor;
SELECT cohort_grant('operator', 'janitor');
SET ROLE janitor;
SELECT cohort_retain('25 days', 'purchase');
SELECT owner = 'janitor' AS mine FROM cohort_retention WHERE event_type = 'purchase';
SELECT cohort_retain_now() > 0 AS deleted;
SELECT cohort_retain(NULL, 'purchase');
RESET ROLE;
SELECT cohort_retain(NULL);
SELECT cohort_retain(NULL, 'view');
SELECT count(*) FROM cohort_retention;
DROP OWNED BY janitor;
DROP ROLE janitor;
TRUNCATE cohort_event;
SELECT FROM cohort_seal();
