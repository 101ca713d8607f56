-- Result columns, ids of other types, and what the planner makes of questions.
\set VERBOSITY terse
BEGIN;
INSERT INTO cohort_event (customer_id, event_type, occurred_at)
    SELECT 'plan-' || g, 'plan', '2025-03-01 00:00+00' FROM generate_series(1, 20) g;
SELECT cohort_create('planned', '{"did": "plan"}') > 0 AS saved;
SELECT size FROM cohort_refresh('planned');

-- The column is customer_id, whatever the alias; the older ways to write it work.
SELECT customer_id FROM cohort_run('planned') ORDER BY customer_id LIMIT 1;
SELECT c.customer_id, c FROM cohort_run('planned') c ORDER BY 1 LIMIT 1;
SELECT customer_id FROM cohort_run('planned') AS customer_id ORDER BY customer_id LIMIT 1;
SELECT cohort_run('planned') AS id ORDER BY id LIMIT 1;
SELECT customer_id FROM cohort_evaluate('{"did": "plan"}') ORDER BY customer_id LIMIT 1;
SELECT (SELECT count(*) FROM cohort_run(NULL)) AS "null", (SELECT count(*) FROM cohort_evaluate(NULL)) AS "null";

-- Rows: the size that the last refresh found, of a name that the planner knows.
CREATE FUNCTION planned_rows(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' -> 'Plan Rows';
END
$$;
SELECT planned_rows('SELECT FROM cohort_run(''planned'')') AS run, planned_rows('SELECT FROM cohort_members(''planned'')') AS members,
       planned_rows('SELECT cohort_run(''planned'')') AS in_a_list;
SELECT planned_rows('SELECT FROM cohort_run(''no such cohort'')') >= 1 AS unknown;

-- cohort_contains is the last condition to be asked, and a worker may ask it.
CREATE TABLE shopper (id text PRIMARY KEY, number bigint, code uuid);
INSERT INTO shopper SELECT 'plan-' || g, g, ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid FROM generate_series(1, 40) g;
EXPLAIN (COSTS OFF) SELECT FROM shopper WHERE cohort_contains('planned', id) AND id ~ '^plan' AND number > 7;
SELECT count(*) FROM shopper WHERE cohort_contains('planned', id) AND id ~ '^plan' AND number > 7;
-- Its name up to 15, and from 16 on.
SELECT CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END AS parallel \gset
SET LOCAL :parallel = on;
EXPLAIN (COSTS OFF) SELECT count(*) FROM shopper WHERE cohort_contains('planned', id);
SELECT count(*) FROM shopper WHERE cohort_contains('planned', id);
SELECT cohort_count('planned'), (SELECT count(*) FROM cohort_run('planned')) AS run, (SELECT count(*) FROM cohort_members('planned')) AS members;
SET LOCAL kursaha_cohort.engine = 'sql';
SELECT count(*) FROM shopper WHERE cohort_contains('planned', id);
SET LOCAL kursaha_cohort.engine = 'bitmap';
SET LOCAL :parallel = off;

-- One customer, some customers, and any few of them do not need all members.
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM cohort_run('planned') WHERE customer_id = 'plan-7';
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM cohort_evaluate('{"did": "plan"}', '2025-04-01 00:00+00') c WHERE 'plan-7' = c.customer_id;
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM cohort_run(name => 'planned') WHERE customer_id IN ('plan-7', 'plan-70');
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM cohort_run('planned') LIMIT 2 OFFSET 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT s.number FROM shopper s JOIN cohort_run('planned') c ON c.customer_id = s.id WHERE s.id = 'plan-7';
EXPLAIN (VERBOSE, COSTS OFF) SELECT number, (SELECT count(c.customer_id) FROM cohort_run('planned') c WHERE c.customer_id = s.id) FROM shopper s;
SELECT * FROM cohort_run('planned') WHERE customer_id = 'plan-7';
SELECT * FROM cohort_run('planned', '2025-02-01 00:00+00') WHERE customer_id = 'plan-7';
SELECT * FROM cohort_run('planned') WHERE customer_id = 'plan-70';
SELECT * FROM cohort_run('planned') WHERE customer_id = NULL;
SELECT * FROM cohort_run('planned') WHERE customer_id IN ('plan-7', 'plan-7', 'plan-70', NULL);
SELECT count(*) FROM cohort_run('planned') WHERE customer_id = ANY (ARRAY(SELECT 'plan-' || g FROM generate_series(5, 35) g));
SELECT count(*) FROM (SELECT * FROM cohort_run('planned') LIMIT 2 OFFSET 1) few;
SELECT count(*) FROM (SELECT cohort_run('planned') LIMIT 3) few;
SELECT count(*) FROM (SELECT * FROM cohort_run('planned') LIMIT 0) none;
SELECT count(*) FROM (SELECT * FROM cohort_run('planned') WHERE customer_id > 'plan-5' LIMIT 30) above;
SELECT s.number FROM shopper s JOIN cohort_run('planned') c ON c.customer_id = s.id WHERE s.id = 'plan-7';
SELECT sum(cardinality(ARRAY(SELECT customer_id FROM cohort_run('planned') c WHERE c.customer_id = s.id))) FROM shopper s;
SELECT customer_id FROM (SELECT customer_id FROM cohort_run('planned') UNION ALL SELECT customer_id FROM cohort_evaluate('{"did": "plan"}')) u WHERE customer_id = 'plan-7';
SET LOCAL kursaha_cohort.engine = 'sql';
SELECT * FROM cohort_run('planned') WHERE customer_id = 'plan-7';
SELECT count(*) FROM cohort_run('planned') WHERE customer_id = ANY (ARRAY(SELECT 'plan-' || g FROM generate_series(5, 35) g));
SELECT count(*) FROM (SELECT * FROM cohort_run('planned') LIMIT 2 OFFSET 1) few;
SET LOCAL kursaha_cohort.engine = 'bitmap';
PREPARE one (text) AS SELECT customer_id FROM cohort_run('planned') WHERE customer_id = $1;
SET LOCAL plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE one ('plan-7');
EXECUTE one ('plan-7');
EXECUTE one (NULL);

-- What must not be narrowed: rows that are numbered, an order, a grouping, a condition that does not say "equal".
EXPLAIN (COSTS OFF) SELECT * FROM cohort_run('planned') WITH ORDINALITY WHERE customer_id = 'plan-7';
EXPLAIN (COSTS OFF) SELECT * FROM cohort_run('planned') ORDER BY customer_id LIMIT 2;
EXPLAIN (COSTS OFF) SELECT DISTINCT customer_id FROM cohort_run('planned') LIMIT 2;
EXPLAIN (COSTS OFF) SELECT count(*) FROM cohort_run('planned') LIMIT 2;
EXPLAIN (COSTS OFF) SELECT * FROM cohort_run('planned') WHERE customer_id <> 'plan-7';
EXPLAIN (COSTS OFF) SELECT * FROM cohort_run('planned') WHERE customer_id = 'plan-' || (random() * 9)::int;

-- Who may run cohort_run and nothing else gets the same rows.
CREATE ROLE plan_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA kursaha_cohort, public TO plan_reader;
GRANT USAGE ON SCHEMA kursaha_cohort TO plan_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kursaha_cohort TO plan_reader;
REVOKE EXECUTE ON FUNCTION kursaha_cohort.members_of_cohort FROM plan_reader;
GRANT EXECUTE ON FUNCTION cohort_run(text, timestamptz) TO plan_reader;
SET LOCAL ROLE plan_reader;
EXPLAIN (COSTS OFF) SELECT * FROM cohort_run('planned') WHERE customer_id = 'plan-7';
SELECT * FROM cohort_run('planned') WHERE customer_id = 'plan-7';
EXECUTE one ('plan-8');
RESET ROLE;
EXPLAIN (COSTS OFF) EXECUTE one ('plan-7');

-- Ids that are numbers or uuids; what has no type is text.
SELECT cohort_track(7, 'plan') > 0 AS number, cohort_track('00000000-0000-0000-0000-000000000007'::uuid, 'plan', '{"n": 1}') > 0 AS uuid,
       cohort_track('literal', 'plan') > 0 AS text, cohort_track(customer_id => 8::smallint, event_type => 'plan') > 0 AS named;
SELECT cohort_contains('planned', 7), cohort_contains('planned', 8::bigint), cohort_contains('planned', 9),
       cohort_contains('planned', '00000000-0000-0000-0000-000000000007'::uuid), cohort_contains('planned', 'literal'),
       cohort_contains('planned', NULL), cohort_contains('planned', NULL::uuid), cohort_contains('planned', '7'::varchar),
       cohort_contains('planned', 7, '2025-01-01 00:00+00'), cohort_contains(customer_id => 7, name => 'planned');
PREPARE untyped AS SELECT cohort_contains($1, $2), cohort_contains('planned', customer_id => $3, as_of => $4), cohort_track($5, $6) > 0;
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped';

EXECUTE untyped ('planned', '7', 'literal', now(), '7', 'plan');
ROLLBACK;
BEGIN;
SELECT cohort_create('planned', '{"did": "plan"}') > 0 AS saved;
SELECT cohort_track(7, 'plan', occurred_at => '2025-03-01 00:00+00') > 0 AS tracked;
SELECT cohort_identify(7, '{"a": 1}'), cohort_identify('00000000-0000-0000-0000-000000000007'::uuid, '{"b": 2}'), cohort_identify('7', '{"c": 3}'),
       cohort_identify('{"customerId": 7, "customerData": {"d": 4}}');
SELECT customer_id, profile FROM cohort_customer WHERE customer_id LIKE '%7' ORDER BY customer_id;
SELECT condition, holds FROM cohort_why('planned', 7);
SELECT condition, holds FROM cohort_why('planned', '00000000-0000-0000-0000-000000000007'::uuid);
SELECT condition, holds FROM cohort_why('planned', '7');
SELECT * FROM cohort_forget(7);
SELECT * FROM cohort_forget('00000000-0000-0000-0000-000000000007'::uuid);
SELECT * FROM cohort_forget('7');
SELECT cohort_contains('planned', 7.5);
ROLLBACK;
