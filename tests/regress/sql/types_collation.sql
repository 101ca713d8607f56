-- A collation that takes different texts for equal, which only ICU has: types_collation_1.out is that of a server without.
\set VERBOSITY terse
BEGIN;
INSERT INTO cohort_event (customer_id, event_type) SELECT 'plan-' || g, 'plan' FROM generate_series(1, 20) g;
SELECT cohort_create('planned', '{"did": "plan"}') > 0 AS saved;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
EXPLAIN (COSTS OFF) SELECT * FROM cohort_run('planned') WHERE customer_id = 'PLAN-7' COLLATE any_case;
SELECT * FROM cohort_run('planned') WHERE customer_id = 'PLAN-7' COLLATE any_case;
ROLLBACK;
