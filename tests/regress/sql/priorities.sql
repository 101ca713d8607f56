-- cohort_suppress, priority lists, cohort_waterfall, cohort_figures
\set SHOW_CONTEXT never
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();
SET kursaha_cohort.allow_superuser_syncs = on;
INSERT INTO cohort_event (customer_id, event_type, data)
SELECT 'c' || i, 'purchase', jsonb_build_object('price', i) FROM generate_series(1, 10) i;
SELECT count(*) FROM (VALUES ('vip', 8), ('good', 5), ('all', 1)) v (name, least),
    LATERAL cohort_create(name, jsonb_build_object('did', 'purchase', 'where', jsonb_build_object('property', 'price', 'operator', 'gte', 'value', least)));
SELECT cohort_import('stop', '{c1,c9,zz}') > 0 AS saved;

-- The first cohort of each customer
SELECT cohort, count(*), min(customer_id COLLATE "C") FROM cohort_waterfall('{vip,good,all}') GROUP BY cohort ORDER BY cohort COLLATE "C";
SELECT cohort, count(*) FROM cohort_waterfall('{all,vip}') GROUP BY cohort;
SELECT * FROM cohort_waterfall('{stop,vip}') ORDER BY customer_id COLLATE "C";
SET kursaha_cohort.engine = 'sql';
SELECT * FROM cohort_waterfall('{stop,vip}') ORDER BY customer_id COLLATE "C";
RESET kursaha_cohort.engine;
SELECT count(*) FROM cohort_waterfall('{stop,vip}', '2020-01-01');
SELECT * FROM cohort_waterfall('{vip,vip}');
SELECT * FROM cohort_waterfall('{vip,vipp}');
SELECT * FROM cohort_waterfall('{}');
SELECT * FROM cohort_waterfall('{vip,NULL}');
SELECT count(*) FROM cohort_waterfall(NULL);

-- Lists
SELECT cohort_priority_create('spring', '{vip,good,all}') > 0 AS made;
SELECT list_name, cohorts, owner, syncs FROM cohort_priority;
SELECT cohort_priority_create('spring', '{vip}');
SELECT cohort_priority_create('other', '{vip}');
SELECT cohort_priority_create('other', '{stop,stop}');
SELECT cohort_priority_create('other', '{}');
SELECT cohort_priority_create('other', '{vipp}');
SELECT cohort_priority_create('', '{stop}');
SELECT cohort_priority_update('sprig', '{vip}');
SELECT cohort_rename('good', 'fine') > 0 AS renamed;
SELECT cohorts FROM cohort_priority;

CREATE TABLE audience (customer_id text PRIMARY KEY);
CREATE TABLE mail (customer_id text PRIMARY KEY);
SELECT cohort_destination_create('tab', 'table', '{"table": "public.audience"}') > 0 AS made;
SELECT cohort_destination_create('mail', 'table', '{"table": "public.mail"}') > 0 AS made;
SELECT cohort_sync_create('all', 'tab', priority => 'sprin');
SELECT cohort_sync_create('stop', 'tab', priority => 'spring');
SELECT cohort_sync_create('all', 'tab', priority => 'spring') > 0 AS made;
SELECT cohort_sync_create('fine', 'tab') > 0 AS made;
SELECT cohort, priority, suppressed FROM cohort_sync_status ORDER BY cohort COLLATE "C";
SELECT adds, skipped FROM cohort_sync_preview('all', 'tab');
SELECT adds, skipped FROM cohort_sync_preview('fine', 'tab');
SELECT cohort_sync_update('fine', 'tab', priority => 'spring') > 0 AS updated;
SELECT adds, skipped FROM cohort_sync_preview('fine', 'tab');
SELECT cohort_priority_update('spring', '{fine,vip}');
SELECT cohort_priority_update('spring', '{all,vip,fine}') > 0 AS updated;
SELECT adds, skipped FROM cohort_sync_preview('fine', 'tab');
SELECT cohort_priority_drop('spring');
-- A dropped cohort leaves its list
SELECT cohort_drop('vip') IS NOT NULL AS dropped;
SELECT cohorts, syncs FROM cohort_priority;
SELECT cohort_priority_update('spring', '{fine,all}') > 0 AS updated;

-- Suppressed at one destination, at all
SELECT cohort_suppress('stop', 'tab');
SELECT cohort_suppress('stop', 'tab');
SELECT cohort, destination, set_by FROM cohort_suppression;
SELECT adds, skipped FROM cohort_sync_preview('fine', 'tab');
SELECT adds, skipped FROM cohort_sync_preview('all', 'tab');
SELECT adds, skipped FROM cohort_sync_preview('all', 'mail');
SELECT cohort_suppress('stop');
SELECT adds, skipped FROM cohort_sync_preview('all', 'mail');
SELECT cohort, destination FROM cohort_suppression ORDER BY destination;
SELECT cohort_drop('stop');
DELETE FROM kursaha_cohort.cohort WHERE name = 'stop';
SELECT cohort_suppress('stp');
SELECT cohort_suppress('stop', 'mal');
SELECT cohort_unsuppress('fine');
SELECT cohort_unsuppress('stop', 'mail');

-- As a document
SELECT jsonb_pretty(cohort_export() - 'cohorts');
SELECT * FROM cohort_apply(cohort_export());
SELECT c ->> 'name' AS name FROM jsonb_array_elements(cohort_export('all') -> 'cohorts') c;
SELECT * FROM cohort_apply('{"priorities": [{"name": "summer", "cohorts": ["stop", "all"]}, {"name": "spring", "cohorts": ["fine"]}],
    "suppressions": [{"cohort": "fine"}], "syncs": [
    {"cohort": "all", "destination": "tab", "frequency": "daily", "priority": "summer"},
    {"cohort": "fine", "destination": "tab", "frequency": "daily"}]}', prune => true);
SELECT cohort_export() - 'cohorts' AS rest;
SELECT * FROM cohort_apply('{"priorities": []}', true, true);
SELECT * FROM cohort_apply('{"priorities": [{"name": "summer", "cohorts": ["stop"]}]}');
SELECT * FROM cohort_apply('{"priorities": [], "suppressions": [], "syncs": []}', prune => true);

-- The rights
CREATE ROLE pri_reader;
CREATE ROLE pri_editor;
CREATE ROLE pri_operator;
SELECT cohort_grant('reader', 'pri_reader'), cohort_grant('editor', 'pri_editor'), cohort_grant('operator', 'pri_operator');
SET ROLE pri_reader;
SELECT count(*) FROM cohort_priority, cohort_suppression;
SELECT cohort_priority_create('mine', '{all}');
RESET ROLE;
SET ROLE pri_editor;
SELECT cohort_create('own', '{"did": "purchase"}') > 0 AS saved;
SELECT cohort_priority_create('mine', '{own,all}');
SELECT cohort_priority_create('mine', '{own}') > 0 AS made;
SELECT cohort_suppress('own');
SELECT * FROM cohort_apply('{"suppressions": [{"cohort": "own"}]}');
RESET ROLE;
SET ROLE pri_operator;
SELECT cohort_priority_update('mine', '{own,all}') > 0 AS updated;
SELECT cohort_suppress('own');
SELECT cohort_unsuppress('own');
RESET ROLE;
SELECT cohort_priority_drop('mine');
-- A destination takes its suppressions along
SELECT cohort_suppress('stop', 'mail');
SELECT cohort_destination_drop('mail') IS NOT NULL AS dropped;
SELECT count(*) FROM cohort_suppression;

-- Figures
SELECT * FROM cohort_figures('{"did": "purchase", "aggregate": {"fn": "sum", "property": "price"}}') ORDER BY value DESC LIMIT 3;
INSERT INTO cohort_event (customer_id, event_type, data) VALUES ('c1', 'purchase', '{"price": 2}'), ('c1', 'purchase', '{"price": 2.5}'), ('d', 'purchase', '{"price": "x"}'), ('d', 'view', '{}');
SELECT FROM cohort_identify('c2', '{"age": "41.50", "city": "pune"}');
SELECT * FROM cohort_figures('{"did": "purchase"}', 'own') ORDER BY customer_id COLLATE "C" LIMIT 2;
SELECT * FROM cohort_figures('{"did": "purchase", "aggregate": {"fn": "avg", "property": "price"}}', '{"did": "purchase", "count": {"gte": 3}}'::jsonb);
SELECT * FROM cohort_figures('{"did": "purchase", "aggregate": {"fn": "avg", "property": "price"}}', '{"did": "purchase", "count": {"gte": 3}}');
SELECT * FROM cohort_figures('{"profile": "age"}');
SELECT customer_id FROM cohort_figures('{"did": "*", "aggregate": {"fn": "min", "property": "price"}}') WHERE customer_id = 'd';
SELECT value FROM cohort_figures('{"did": "*", "aggregate": {"fn": "count_distinct", "property": "price"}}') WHERE customer_id = 'd';
SELECT count(*) FROM cohort_figures('{"did": "purchase"}', as_of => '2020-01-01');
SELECT count(*) FROM cohort_figures('{"did": "purchase", "time": {"this": "month"}}', '{"timezone": "Asia/Kolkata", "did": "purchase"}'::jsonb);
SELECT * FROM cohort_figures('7');
SELECT * FROM cohort_figures('{"did": "purchase", "agregate": {"fn": "sum", "property": "price"}}');
SELECT * FROM cohort_figures('{"did": "purchase"}', 'nobody');
SELECT count(*) FROM cohort_figures(NULL);
-- The ranked are those with a figure
SELECT count(*) FILTER (WHERE f.customer_id IS NULL OR r.customer_id IS NULL) AS wrong FROM cohort_figures('{"did": "*", "aggregate": {"fn": "sum", "property": "price"}}') f
FULL JOIN cohort_evaluate('{"rank": {"did": "*", "aggregate": {"fn": "sum", "property": "price"}}, "order": "most", "top": 1000}') r USING (customer_id);

SELECT count(*) AS dropped FROM (SELECT cohort_drop(name) FROM cohort_definition) d;
SELECT cohort_destination_drop('tab') IS NOT NULL AS dropped;
DROP TABLE audience, mail;
RESET kursaha_cohort.allow_superuser_syncs;
DROP OWNED BY pri_reader, pri_editor, pri_operator;
DROP ROLE pri_reader, pri_editor, pri_operator;
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();
