-- cohort_export, cohort_apply, cohort_of
\set SHOW_CONTEXT never
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();
INSERT INTO cohort_event (customer_id, event_type, data)
SELECT 'c' || i, 'purchase', jsonb_build_object('price', i) FROM generate_series(1, 10) i;
SELECT FROM cohort_identify('c1', '{"city": "pune"}');

-- Each stands behind those that it names
SELECT cohort_create('z base', '{"did": "purchase"}', 'who bought') > 0 AS saved;
SELECT cohort_create('a big', '{"and": [{"cohort": "z base"}, {"did": "purchase", "where": {"property": "price", "operator": ">", "value": 5.0}}]}') > 0 AS saved;
SELECT cohort_import('m staff', '{c3,c1,zz}') > 0 AS saved;
SELECT jsonb_pretty(cohort_export());
SELECT cohort_export('m staff');
SELECT c ->> 'name' AS name FROM jsonb_array_elements(cohort_export('a big') -> 'cohorts') c;
SELECT cohort_export('a bag');

-- What is equal as jsonb is the same, and gets no new version
SELECT * FROM cohort_apply(cohort_export());
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a big", "rule": {"and": [{"cohort": "z base"}, {"did": "purchase", "where": {"property": "price", "operator": "gt", "value": 5}}]}}]}');
SELECT name, version FROM cohort_definition ORDER BY name COLLATE "C";

-- Exactly who is gained and lost, also through others; a rehearsal changes nothing
SELECT * FROM cohort_apply('{"cohorts": [{"name": "z base", "rule": {"did": "purchase", "where": {"property": "price", "operator": "gte", "value": 8}}}]}', dry_run => true);
SELECT * FROM cohort_apply('{"cohorts": [{"name": "new", "rule": {"cohort": "newer"}}, {"name": "newer", "rule": {"not": {"cohort": "m staff"}}}, {"name": "m staff", "customer_ids": ["c1", "c2", "c9"], "description": "us"}]}', true);
SELECT name, version FROM cohort_definition ORDER BY name COLLATE "C";
SELECT * FROM cohort_apply('{"cohorts": [{"name": "new", "rule": {"cohort": "newer"}}, {"name": "newer", "rule": {"not": {"cohort": "m staff"}}}, {"name": "m staff", "customer_ids": ["c1", "c2", "c9"], "description": "us"}]}');
SELECT name, kind, version, description FROM cohort_definition ORDER BY name COLLATE "C";
SELECT name, version, list_size FROM cohort_definition_version ORDER BY name COLLATE "C", version;
-- Only the description, or nothing of a list's ids
SELECT * FROM cohort_apply('{"cohorts": [{"name": "m staff", "customer_ids": null}, {"name": "l", "customer_ids": null}]}');
SELECT name, version, description FROM cohort_definition WHERE kind = 'list' ORDER BY name COLLATE "C";
SELECT cohort_count('m staff');

-- Swapped references are no cycle
SELECT * FROM cohort_apply('{"cohorts": [{"name": "newer", "rule": {"cohort": "new"}}, {"name": "new", "rule": {"did": "purchase"}}]}');

-- prune drops what the document lacks, of the kinds that it mentions
SELECT * FROM cohort_apply('{"syncs": []}', prune => true);
SELECT * FROM cohort_apply('{"cohorts": [{"name": "z base", "rule": {"did": "purchase"}, "description": "who bought"}, {"name": "a big", "rule": {"cohort": "z base"}}]}', prune => true);
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a big", "rule": {"cohort": "z base"}}]}', prune => true);
SELECT name FROM cohort_definition ORDER BY name COLLATE "C";

-- Every problem in one pass
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a", "rule": {"did": 3}}, {"nam": "a"}, {"name": "x", "customer_ids": [1]}], "sync": []}');
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a", "rule": {"cohort": "b"}}, {"name": "b", "rule": {"cohort": "a"}}]}');
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a", "rule": {"cohort": "z bass"}}]}', true);
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a big", "customer_ids": []}]}', true);
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a", "customer_ids": ["None"]}]}');
SELECT * FROM cohort_apply('{"syncs": [{"cohort": "a big", "destination": "nowhere", "frequency": "daily"}]}');
SELECT * FROM cohort_apply('7');
SELECT * FROM cohort_apply(NULL);
SELECT name FROM cohort_definition ORDER BY name COLLATE "C";

-- Syncs
SET kursaha_cohort.allow_superuser_syncs = on;
CREATE TABLE audience (customer_id text PRIMARY KEY);
SELECT cohort_destination_create('tab', 'table', '{"table": "public.audience"}') > 0 AS made;
SELECT * FROM cohort_apply('{"syncs": [{"cohort": "a big", "destination": "tab", "frequency": "daily", "at": "02:30"}]}', true);
SELECT * FROM cohort_apply('{"syncs": [{"cohort": "a big", "destination": "tab", "frequency": "daily", "at": "02:30"}]}');
SELECT cohort_export('a big') -> 'syncs' AS syncs;
SELECT * FROM cohort_apply(cohort_export('a big'));
SELECT * FROM cohort_apply('{"syncs": [{"cohort": "a big", "destination": "tab", "frequency": "hourly"}]}');
SELECT frequency, at, timezone FROM cohort_sync_status;
SELECT * FROM cohort_apply('{"cohorts": []}', prune => true);
SELECT * FROM cohort_apply('{"syncs": [{"cohort": "a big", "destination": "tab", "frequency": "hourl"}]}');
SELECT * FROM cohort_apply('{"cohorts": [], "syncs": []}', true, true);
SELECT * FROM cohort_apply('{"syncs": []}', prune => true);

-- The rights are the caller's
CREATE ROLE def_reader;
CREATE ROLE def_editor LOGIN;
SELECT cohort_grant('reader', 'def_reader');
SELECT cohort_grant('editor', 'def_editor');
SET ROLE def_reader;
SELECT jsonb_array_length(cohort_export() -> 'cohorts') AS cohorts;
SELECT * FROM cohort_apply('{}');
RESET ROLE;
SET ROLE def_editor;
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a big", "rule": {"cohort": "z base"}}, {"name": "mine", "rule": {"cohort": "a big"}}]}', prune => true);
SELECT * FROM cohort_apply('{"cohorts": [{"name": "a big", "rule": {"did": "x"}}]}');
SELECT * FROM cohort_apply('{"cohorts": []}', prune => true);
RESET ROLE;
-- Who sees not all of a list exports none of it
ALTER TABLE cohort_customer ENABLE ROW LEVEL SECURITY;
SELECT cohort_import('m staff', '{c1}') > 0 AS saved;
SET ROLE def_reader;
SELECT cohort_export('m staff') -> 'cohorts' AS cohorts;
RESET ROLE;
ALTER TABLE cohort_customer DISABLE ROW LEVEL SECURITY;
SELECT cohort_export('m staff') -> 'cohorts' AS cohorts;
-- A long list is exported without ids
SELECT cohort_import('long', ARRAY(SELECT 'n' || i FROM generate_series(1, 10001) i)) > 0 AS saved;
SELECT cohort_export('long') -> 'cohorts' AS cohorts;
SELECT * FROM cohort_apply(cohort_export('long'));

-- Which cohorts hold a customer: by the index, by plain SQL, as of an instant
SELECT cohort_create('pune', '{"profile": "city", "operator": "eq", "value": "pune"}') > 0 AS saved;
SELECT cohort_create('house', '{"group": "city", "any": {"did": "purchase"}}') > 0 AS saved;
SELECT array_agg(cohort) FROM cohort_of('c1');
SELECT array_agg(cohort) FROM cohort_of('c9');
SELECT array_agg(cohort) FROM cohort_of('nobody');
SELECT array_agg(cohort) FROM cohort_of('c1', '2020-01-01');
SELECT count(*) FROM cohort_of(NULL);
SET kursaha_cohort.engine = 'sql';
SELECT array_agg(cohort) FROM cohort_of('c1');
RESET kursaha_cohort.engine;
SELECT events FROM cohort_seal();
SELECT array_agg(cohort) FROM cohort_of('c1');
-- No other engine and no number of cohorts changes the answer
SELECT count(*) FROM (SELECT cohort_create('many ' || i, jsonb_build_object('did', 'purchase', 'where', jsonb_build_object('property', 'price', 'operator', 'lte', 'value', i))) FROM generate_series(1, 100) i) m;
SELECT count(*) FROM cohort_of('c7');
SELECT id, count(*) FILTER (WHERE cohort_contains(name, id) IS DISTINCT FROM (name IN (SELECT cohort FROM cohort_of(id)))) AS wrong
FROM unnest('{c1,c7,c10,nobody}'::text[]) id, cohort_definition GROUP BY id ORDER BY id COLLATE "C";
SET ROLE def_reader;
SELECT count(*) FROM cohort_of('c7');
RESET ROLE;
SELECT count(*) AS dropped FROM (SELECT cohort_drop(name) FROM cohort_definition WHERE name ~ '^(many|house|pune|m staff|long|l$|a big)') d;
SELECT cohort_drop('z base') IS NOT NULL AS dropped;
SELECT cohort_destination_drop('tab') IS NOT NULL AS dropped;
DROP TABLE audience;
RESET kursaha_cohort.allow_superuser_syncs;
DROP OWNED BY def_reader, def_editor;
DROP ROLE def_reader, def_editor;
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();
