-- Rows of tables in rules: answers, errors when saved and when evaluated, privileges, settings
\set SHOW_CONTEXT never
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();
CREATE SCHEMA shop;
CREATE TABLE shop.product (id text, price numeric, category text, tags jsonb, "Odd Name" boolean);
INSERT INTO shop.product VALUES ('p1', 10, 'kettle', '["new", {"a": 1}]', true), ('p2', 20.50, 'kettle', NULL, false),
    ('p3', 30, 'pan', '["old"]', NULL), (NULL, 40, NULL, '[]', true);
CREATE TABLE shop.account (customer text, since timestamptz, born date, numbers integer[], doc jsonb);
INSERT INTO shop.account VALUES ('ana', '2026-01-01 10:00+00', '2000-02-03', '{1}', '{"a": 1}'), ('nobody', NULL, NULL, NULL, NULL),
    (NULL, '2026-01-02', NULL, NULL, NULL);
INSERT INTO cohort_event (customer_id, event_type, occurred_at, data) VALUES
    ('ana', 'purchase', '2026-01-01', '{"sku": "p1", "n": 10, "items": [{"sku": "p3"}]}'),
    ('ben', 'purchase', '2026-01-01', '{"sku": "P2", "n": "20.5", "at": "2026-01-01T10:00:00+00:00"}'),
    ('cem', 'purchase', '2026-01-01', '{"sku": ["p1"], "n": null}');
INSERT INTO cohort_customer (customer_id, profile) VALUES ('2000-02-03', '{}'), ('dan', '{"sku": "p2"}'), ('2026-01-01 10:00:00+00', '{}');

-- The same by the index and by plain SQL, whatever the session's settings are
CREATE TEMPORARY TABLE asked (place serial, rule jsonb);
INSERT INTO asked (rule) VALUES
    ('{"did": "purchase", "where": {"property": "sku", "operator": "in", "rows": {"table": "shop.product", "column": "id"}}}'),
    ('{"did": "purchase", "where": {"property": "sku", "operator": "in", "ignore_case": true, "rows": {"table": "shop.product", "column": "id"}}}'),
    ('{"did": "purchase", "where": {"property": "sku", "operator": "not_in", "rows": {"table": "Shop.Product", "column": "id"}}}'),
    ('{"did": "purchase", "where": {"property": "n", "operator": "in", "rows": {"table": "shop.product", "column": "price"}}}'),
    ('{"did": "purchase", "where": {"property": "at", "operator": "in", "rows": {"table": "shop.account", "column": "since"}}}'),
    ('{"did": "purchase", "where": {"element": "items", "where": {"property": "sku", "operator": "in", "rows": {"table": "shop.product", "column": "id",
        "where": {"property": "category", "operator": "eq", "value": "pan"}}}}}'),
    ('{"profile": "sku", "operator": "in", "rows": {"table": "shop.product", "column": "id", "where": [{"property": "Odd Name", "operator": "eq", "value": false},
        {"property": "price", "operator": "gte", "ref": "row.price"}]}}'),
    ('{"did": "purchase", "where": {"property": "sku", "operator": "in", "rows": {"table": "shop.product", "column": "id",
        "where": {"element": "tags", "where": {"property": ".", "operator": "eq", "value": "new"}}}}}'),
    ('{"customer_in": {"table": "shop.account", "column": "customer"}}'),
    ('{"customer_in": {"table": "shop.account", "column": "born"}}'),
    ('{"not": {"customer_in": {"table": "shop.account", "column": "since", "where": {"property": "since", "operator": "since", "value": "2026-01-01"}}}}'),
    ('{"and": [{"did": "*"}, {"not": {"customer_in": {"table": "shop.account", "column": "customer", "where": {"property": "doc.a", "operator": "eq", "value": 1}}}}]}');
CREATE FUNCTION answers() RETURNS TABLE (place integer, members text) LANGUAGE sql AS $$
    SELECT a.place, (SELECT string_agg(customer_id, ' ' ORDER BY customer_id COLLATE "C") FROM cohort_evaluate(a.rule, '2026-02-01Z')) FROM asked a ORDER BY 1 $$;
SELECT * FROM answers();
CREATE TEMPORARY TABLE before AS SELECT * FROM answers();
SET timezone = 'Asia/Kolkata';
SET datestyle = 'german';
SET kursaha_cohort.engine = 'sql';
SELECT * FROM answers() EXCEPT SELECT * FROM before;
RESET kursaha_cohort.engine;
SELECT * FROM answers() EXCEPT SELECT * FROM before;
SET kursaha_cohort.eval_memory = 64;
SELECT * FROM answers() EXCEPT SELECT * FROM before;
RESET kursaha_cohort.eval_memory;
SELECT FROM cohort_seal();
SELECT * FROM answers() EXCEPT SELECT * FROM before;
RESET timezone;
RESET datestyle;
SET timezone = 'UTC';

-- Shown
SELECT cohort_create('kettles', '{"did": "purchase", "where": {"property": "sku", "operator": "any_of",
    "rows": {"table": "shop.product", "column": "id", "where": {"property": "category", "operator": "eq", "value": "kettle"}}}}') > 0 AS saved;
SELECT cohort_create('accounts', '{"and": [{"customer_in": {"table": "shop.account", "column": "customer"}}, {"cohort": "kettles"}]}') > 0 AS saved;
SELECT rule FROM cohort_definition WHERE name = 'accounts';
SELECT condition, path, customers, events, how FROM cohort_explain('accounts', '2026-02-01Z');
SELECT path, condition, holds, evidence - 'event_ids' AS evidence FROM cohort_why('accounts', 'ana', '2026-02-01Z');
SELECT cohort_sql('accounts', '2026-02-01Z');
SELECT cohort_contains('accounts', 'ana', '2026-02-01Z'), cohort_contains('accounts', 'ben', '2026-02-01Z');
SELECT cohort FROM cohort_of('ana', '2026-02-01Z') WHERE cohort IN ('accounts', 'kettles');
SELECT * FROM cohort_overlap('{accounts,kettles}', '2026-02-01Z');
SELECT * FROM cohort_groups('{"customer_in": {"table": "shop.account", "column": "customer"}}'::jsonb, 'sku');
SELECT * FROM cohort_figures('{"did": "purchase", "where": {"property": "sku", "operator": "in", "rows": {"table": "shop.product", "column": "id"}}}', 'accounts', '2026-02-01Z');
SELECT size, entered, exited FROM cohort_refresh('accounts');
INSERT INTO shop.account (customer) SELECT 'x' || i FROM generate_series(1, 20000) i;
SELECT how FROM cohort_explain('{"customer_in": {"table": "shop.account", "column": "customer"}}'::jsonb);
SET kursaha_cohort.eval_memory = 64;
SELECT how FROM cohort_explain('{"customer_in": {"table": "shop.account", "column": "customer"}}'::jsonb);
RESET kursaha_cohort.eval_memory;

-- What is wrong when a rule is given
CREATE TEMPORARY TABLE passing (customer text);
CREATE SEQUENCE shop.numbers;
SELECT * FROM cohort_validate('{"or": [
    {"customer_in": {"table": "shop.acount", "column": "customer"}}, {"customer_in": {"table": "shopp.account", "column": "customer"}},
    {"customer_in": {"table": "account", "column": "customer"}}, {"customer_in": {"table": "shop.account", "column": "custmer"}},
    {"customer_in": {"table": "shop.account", "column": "ctid"}}, {"customer_in": {"table": "shop.account", "column": "numbers"}},
    {"customer_in": {"table": "shop.account", "column": "doc"}}, {"customer_in": {"table": "pg_temp.passing", "column": "customer"}},
    {"customer_in": {"table": "shop.numbers", "column": "last_value"}}, {"customer_in": {"table": "shop.\"Account\"", "column": "customer"}},
    {"customer_in": {"table": "shop.account", "column": "customer", "where": {"property": "sinse", "operator": "eq", "ref": "row.brn"}}},
    {"did": "x", "where": {"property": "p", "operator": "eq", "rows": {"table": "shop.product", "column": "count"}}},
    {"did": "x", "time": {"from": {"first": "y", "where": {"property": "p", "operator": "in", "rows": {"table": "shop.product", "column": "idd"}}}}}]}');
SELECT format('{"customer_in": {"table": "%s.passing", "column": "customer"}}', nspname)::jsonb AS temporary FROM pg_namespace WHERE oid = pg_my_temp_schema() \gset
SELECT problem FROM cohort_validate(:'temporary');
SELECT cohort_create('wrong', '{"customer_in": {"table": "shop.account", "column": "custmer"}}');
SELECT cohort_preview('{"profile": "p", "operator": "in", "rows": {"table": "shop.acount", "column": "x"}}');
SELECT cohort_figures('{"did": "x", "where": {"property": "p", "operator": "in", "rows": {"table": "shop.product", "column": "x"}}}');
SELECT cohort_apply('{"cohorts": [{"name": "a", "rule": {"customer_in": {"table": "shop.nothing", "column": "x"}}}]}');
SELECT cohort_create('own', '{"customer_in": {"table": "shop.account", "column": "customer",
    "where": {"property": "customer", "operator": "in", "rows": {"table": "shop.account", "column": "customer"}}}}');

-- What is wrong when a saved cohort is evaluated: never an empty answer
ALTER TABLE shop.account RENAME COLUMN customer TO count;
SELECT cohort_count('accounts');
SET kursaha_cohort.engine = 'sql';
SELECT cohort_count('accounts');
RESET kursaha_cohort.engine;
SELECT cohort_update('accounts', '{"customer_in": {"table": "shop.account", "column": "count"}}') > 0 AS saved;
ALTER TABLE shop.account RENAME COLUMN count TO customer;
SELECT cohort_count('accounts');
SELECT cohort_contains('accounts', 'ana');
ALTER TABLE shop.account RENAME COLUMN customer TO count;
ALTER TABLE shop.account ALTER COLUMN count TYPE jsonb USING to_jsonb(count);
SELECT cohort_count('accounts');
ALTER TABLE shop.account RENAME TO accounts;
SELECT cohort_count('accounts');
SELECT cohort_of('ana') LIMIT 1;
ALTER TABLE shop.accounts RENAME TO account;
ALTER TABLE shop.account ALTER COLUMN count TYPE text USING count #>> '{}';
SELECT cohort_count('accounts', '2026-02-01Z');

-- Privileges: those of the caller, row-level security included
CREATE ROLE rows_reader;
SELECT FROM cohort_grant('reader', 'rows_reader');
GRANT EXECUTE ON FUNCTION answers() TO rows_reader;
SET ROLE rows_reader;
SELECT cohort_count('accounts');
SELECT cohort_evaluate('{"customer_in": {"table": "shop.account", "column": "count"}}');
RESET ROLE;
GRANT USAGE ON SCHEMA shop TO rows_reader;
SET ROLE rows_reader;
SELECT cohort_count('accounts');
SELECT cohort_evaluate('{"customer_in": {"table": "shop.account", "column": "count"}}');
RESET ROLE;
GRANT SELECT (count) ON shop.account TO rows_reader;
SET ROLE rows_reader;
SELECT cohort_count('accounts', '2026-02-01Z');
SELECT problem FROM cohort_validate('{"customer_in": {"table": "shop.account", "column": "born", "where": {"property": "count", "operator": "exists"}}}');
RESET ROLE;
ALTER TABLE shop.account ENABLE ROW LEVEL SECURITY;
SET ROLE rows_reader;
SELECT cohort_count('accounts', '2026-02-01Z');
RESET ROLE;
CREATE POLICY theirs ON shop.account USING (count <> 'ana');
GRANT SELECT ON shop.account TO rows_reader;
INSERT INTO shop.account (count) VALUES ('ben');
SELECT cohort_count('accounts', '2026-02-01Z');
SET ROLE rows_reader;
SELECT cohort_run('accounts', '2026-02-01Z');
RESET ROLE;
SELECT cohort_drop('accounts'), cohort_drop('kettles');
DROP OWNED BY rows_reader;
DROP ROLE rows_reader;
DROP FUNCTION answers();
DROP SCHEMA shop CASCADE;
TRUNCATE cohort_event, cohort_customer;
