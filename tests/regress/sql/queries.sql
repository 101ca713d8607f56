-- Query cohorts: cohort_create_query, cohort_update_query, and what takes them
\set SHOW_CONTEXT never
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();
CREATE ROLE q_owner;
CREATE ROLE q_other;
CREATE ROLE q_reader;
CREATE ROLE q_super SUPERUSER;
SELECT cohort_grant('editor', 'q_owner'), cohort_grant('editor', 'q_other'), cohort_grant('reader', 'q_reader'), cohort_grant('operator', 'q_super');
CREATE SCHEMA crm;
CREATE TABLE crm.lead (id text, kind varchar(20), name text, added timestamptz DEFAULT now(), n integer);
GRANT USAGE ON SCHEMA crm TO q_owner;
GRANT SELECT ON crm.lead TO q_owner;
INSERT INTO crm.lead (id, kind, name, added, n) VALUES
    ('ana', 'hot', 'Ana', '2026-01-01', 1), ('ben', 'hot', 'Ben', '2026-02-01', 2), ('ben', 'hot', 'Benedict', '2026-02-01', 2),
    ('cyd', 'cold', 'Cyd', '2026-03-01', 3), (NULL, 'hot', 'nobody', '2026-01-01', 4), ('', 'hot', 'empty', '2026-01-01', 5),
    ('None', 'hot', 'none', '2026-01-01', 6), (repeat('x', 256), 'hot', 'long', '2026-01-01', 7);
SELECT cohort_import('staff', '{ana,cyd}') > 0 AS saved;

-- A superuser has no query cohorts
SELECT cohort_create_query('hot', 'SELECT id AS customer_id FROM crm.lead');
SET ROLE q_owner;
SELECT cohort_create_query('hot', $$SELECT id AS customer_id FROM crm.lead WHERE kind = 'hot' -- {PARAMREF$$, 'who is hot') > 0 AS saved;
SELECT cohort_create_query('hot', 'SELECT 1');
SELECT name, kind, description, rule, version, owner, query FROM cohort_definition WHERE name = 'hot';

-- Its members: each once; what is no id of a customer is left out
SELECT * FROM cohort_run('hot') ORDER BY 1;
SELECT cohort_count('hot'), cohort_contains('hot', 'ben'), cohort_contains('hot', 'cyd'), cohort_contains('hot', 'None');
SELECT name FROM cohort_run('hot') JOIN crm.lead ON id = customer_id ORDER BY name;
SELECT * FROM cohort_run('hot') LIMIT 1;
SELECT condition, path, customers, events, how FROM cohort_explain('hot');
SELECT * FROM cohort_why('hot', 'ben');
SELECT regexp_replace(cohort_sql('hot'), '\s+', ' ', 'g');
SELECT * FROM cohort_overlap('{hot}');
SELECT * FROM cohort_waterfall('{hot}') ORDER BY 1;
-- It sees what the transaction has written
RESET ROLE;
BEGIN;
INSERT INTO crm.lead (id, kind) VALUES ('dee', 'hot');
SELECT cohort_count('hot');
ROLLBACK;
SELECT cohort_count('hot');

-- Refreshes
SET ROLE q_owner;
SELECT size, entered, exited FROM cohort_refresh('hot');
RESET ROLE;
UPDATE crm.lead SET kind = 'hot' WHERE id = 'cyd';
DELETE FROM crm.lead WHERE id = 'ana';
SET ROLE q_owner;
SELECT size, entered, exited FROM cohort_refresh('hot');
SELECT customer_id FROM cohort_members('hot') ORDER BY 1;
SELECT customer_id, change FROM cohort_changes('hot') ORDER BY changed_at, customer_id;
SELECT size, version FROM cohort_history('hot');

-- Only now, unless the query takes the instant
SELECT cohort_count('hot', now());
SELECT cohort_count('hot', '2026-01-15');
SELECT * FROM cohort_refresh('hot', '2031-01-15');
SELECT cohort_create_query('added', 'SELECT id AS customer_id FROM crm.lead WHERE added <= $1;') > 0 AS saved;
SELECT cohort_count('added', '2026-01-15'), cohort_count('added', '2026-02-15'), cohort_contains('added', 'cyd', '2026-02-15');
SELECT query FROM cohort_definition WHERE name = 'added';
SELECT size FROM cohort_refresh('added', '2026-02-15');

-- What is no query of a cohort
SELECT cohort_create_query('bad', $$SELECT id AS customer_id FROM crm.lead WHERE name = '{PARAM :paramkind 0' AND id = ANY (SELECT id FROM crm.lead)$$) > 0 AS saved;
SELECT cohort_count('bad', '2026-01-15');
SELECT cohort_drop('bad');
SELECT cohort_create_query('bad', 'SELECT 1; SELECT 2');
SELECT cohort_create_query('bad', '');
SELECT cohort_create_query('bad', 'DELETE FROM crm.lead');
SELECT cohort_create_query('bad', 'WITH gone AS (DELETE FROM crm.lead RETURNING id) SELECT id AS customer_id FROM gone');
SELECT cohort_create_query('bad', 'SELECT id AS customer_id INTO crm.copy FROM crm.lead');
SELECT cohort_create_query('bad', 'SELECT id AS customer_id FROM crm.lead FOR UPDATE');
SELECT cohort_create_query('bad', 'SELECT n AS customer_id FROM crm.lead');
SELECT cohort_create_query('bad', 'SELECT id FROM crm.lead');
SELECT cohort_create_query('bad', 'SELECT id AS customer_id, id AS customer_id FROM crm.lead');
SELECT cohort_create_query('bad', 'SELECT id AS customer_id, name AS profile FROM crm.lead');
SELECT cohort_create_query('bad', 'SELECT FROM crm.lead');
SELECT cohort_create_query('bad', 'SELECT to_jsonb(l) AS profile FROM crm.lead l');
SELECT cohort_create_query('bad', 'SELECT id AS customer_id FROM lead');
SELECT cohort_create_query('bad', 'SELECT id AS customer_id FROM crm.lead WHERE n > $2');
SELECT cohort_create_query('bad', 'SELECT FORM');
SELECT cohort_create_query('bad', 'SELECT 1) AS q, (SELECT 2');
CREATE TEMP TABLE mine (customer_id text);
SELECT cohort_create_query('bad', 'SELECT customer_id FROM mine');
DROP TABLE mine;
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS $$SELECT 'x'::text$$;
SELECT cohort_create_query('bad', 'SELECT pg_temp.f() AS customer_id');
DROP FUNCTION pg_temp.f();
SELECT cohort_create_query('{bad', 'SELECT id AS customer_id FROM crm.lead');
SELECT name FROM cohort_definition WHERE name LIKE '%bad%';

-- Rules cannot name it, nor be mixed up with it
SELECT cohort_create('both', '{"and": [{"cohort": "staff"}, {"cohort": "hot"}]}');
SELECT * FROM cohort_validate('{"and": [{"cohort": "staff"}, {"cohort": "hot"}]}');
SELECT cohort_update('hot', '{"did": "x"}');
SELECT cohort_import('hot', '{ana}');
SELECT cohort_update_query('staff', 'SELECT 1');
SELECT * FROM cohort_groups('hot', 'city');
SELECT cohort FROM cohort_of('ben');

-- Versions
SELECT cohort_update_query('hot', $$SELECT id AS customer_id, jsonb_build_object('name', name) AS profile FROM crm.lead WHERE kind = 'hot'$$) > 0 AS saved;
SELECT cohort_update_query('hot', 'SELECT 1 AS one');
SELECT name, version, rule, list_size, query FROM cohort_definition_version WHERE name = 'hot' ORDER BY version;
SELECT * FROM cohort_run('hot') ORDER BY 1;

-- The rights of the owner, whoever asks
SET ROLE q_reader;
SELECT count(*) FROM crm.lead;
SELECT cohort_count('hot');
SELECT cohort_update_query('hot', 'SELECT id AS customer_id FROM crm.lead');
RESET ROLE;
REVOKE SELECT ON crm.lead FROM q_owner;
SELECT cohort_count('hot');
SET ROLE q_owner;
SELECT cohort_update_query('hot', 'SELECT id AS customer_id FROM crm.lead');
RESET ROLE;
GRANT SELECT ON crm.lead TO q_owner;
-- What it calls cannot act for the one who asks
CREATE FUNCTION crm.become() RETURNS text LANGUAGE plpgsql AS $$BEGIN RESET ROLE; RETURN current_user; END$$;
CREATE FUNCTION crm.who() RETURNS text LANGUAGE sql AS $$SELECT current_user::text$$;
SET ROLE q_owner;
SELECT cohort_create_query('who', 'SELECT crm.who() AS customer_id') > 0 AS saved, cohort_create_query('become', 'SELECT crm.become() AS customer_id') > 0 AS saved;
RESET ROLE;
SELECT * FROM cohort_run('who');
SELECT * FROM cohort_run('become');
-- Whom the caller may not see is left out
SELECT FROM cohort_identify('ben', '{"city": "pune"}');
ALTER TABLE cohort_customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY pune ON cohort_customer FOR SELECT TO q_reader USING (profile ->> 'city' = 'pune');
SET ROLE q_reader;
SELECT * FROM cohort_run('hot');
SELECT cohort_count('hot'), cohort_contains('hot', 'ben'), cohort_contains('hot', 'cyd');
RESET ROLE;
DROP POLICY pune ON cohort_customer;
ALTER TABLE cohort_customer DISABLE ROW LEVEL SECURITY;

-- Owners
SET ROLE q_owner;
SELECT cohort_set_owner('hot', 'q_other');
SET ROLE q_super;
SELECT cohort_set_owner('hot', 'q_super');
RESET ROLE;
GRANT q_other TO q_owner;
SET ROLE q_owner;
SELECT cohort_set_owner('hot', 'q_other');
RESET ROLE;
SELECT cohort_count('hot');
SELECT cohort_set_owner('hot', 'q_owner');
SELECT cohort_count('hot');
-- An operator gives a query to roles that it may act as only
CREATE ROLE q_operator;
SELECT cohort_grant('operator', 'q_operator');
SET ROLE q_operator;
SELECT cohort_set_owner('hot', 'q_other');
RESET ROLE;
ALTER ROLE q_owner SUPERUSER;
SELECT cohort_count('hot');
ALTER ROLE q_owner NOSUPERUSER;

-- Documents
SET ROLE q_owner;
SELECT jsonb_pretty(cohort_export('hot'));
SELECT * FROM cohort_apply(cohort_export('hot'));
SELECT * FROM cohort_apply('{"cohorts": [{"name": "hot", "query": "SELECT id AS customer_id FROM crm.lead WHERE n > 2"}, {"name": "new", "query": "SELECT ''ana''::text AS customer_id"}]}');
SELECT name, kind, version, query FROM cohort_definition WHERE name IN ('hot', 'new') ORDER BY name;
SELECT * FROM cohort_apply('{"cohorts": [{"name": "new", "rule": {"did": "x"}}]}');
SELECT * FROM cohort_apply('{"cohorts": [{"name": "newer", "query": "SELECT 1"}]}');
SELECT * FROM cohort_apply('{"cohorts": [{"name": "newer", "query": "SELECT 1", "rule": {"did": "x"}}]}');
SELECT * FROM cohort_apply('{"cohorts": [{"name": "newer", "query": 1}]}');

-- Renaming and dropping
SELECT cohort_rename('hot', 'warm') > 0 AS renamed;
SELECT cohort_count('warm');
SELECT cohort_drop('warm'), cohort_drop('who'), cohort_drop('become'), cohort_drop('added'), cohort_drop('new');
RESET ROLE;
SELECT count(*) FROM kursaha_cohort.cohort_query;
-- A role that is gone
CREATE ROLE q_gone;
SELECT cohort_grant('editor', 'q_gone');
SET ROLE q_gone;
SELECT cohort_create_query('left', $$SELECT 'ana'::text AS customer_id$$) > 0 AS saved;
RESET ROLE;
DROP OWNED BY q_gone;
DROP ROLE q_gone;
SELECT cohort_count('left');
SELECT cohort_set_owner('left', 'q_owner');
SELECT cohort_count('left');
SELECT cohort_drop('left'), cohort_drop('staff');
DROP SCHEMA crm CASCADE;
DROP OWNED BY q_owner, q_other, q_reader, q_super, q_operator;
DROP ROLE q_owner, q_other, q_reader, q_super, q_operator;
