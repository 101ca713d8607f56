-- The errors and answers of rules and saved cohorts, as a person meets them.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
INSERT INTO cohort_event (customer_id, event_type, occurred_at, data) VALUES
    ('ana', 'install',  '2026-01-01T00:00Z', '{}'),
    ('ana', 'cart',     '2026-01-02T00:00Z', '{"productId": "p1"}'),
    ('ana', 'purchase', '2026-01-02T12:00Z', '{"productId": "p1", "brand": "something", "price": 1000.01}'),
    ('ben', 'install',  '2026-01-01T00:00Z', '{}'),
    ('ben', 'signup',   '2026-01-05T00:00Z', '{}'),
    ('ben', 'cart',     '2026-01-06T00:00Z', '{"productId": "p2"}'),
    ('ben', 'purchase', '2026-01-09T00:00Z', '{"productId": "p9", "brand": "something", "price": "1000"}'),
    ('cleo', 'view',    '2030-01-01T00:00Z', '{}');
INSERT INTO cohort_customer (customer_id, profile) VALUES ('dan', '{"city": "pune", "dob": "1990-03-01"}');

-- the examples of the language
SELECT cohort_evaluate('{"did": "purchase", "where": [{"property": "brand", "operator": "eq", "value": "something"},
                                                      {"property": "price", "operator": "gt", "value": 1000}]}', '2026-02-01Z');
SELECT cohort_evaluate('{"and": [{"did": "install"}, {"did_not": ["signup", "subscribe"]}]}', '2026-02-01Z');
SELECT cohort_evaluate('{"sequence": [{"did": "cart", "as": "c"},
    {"did_not": "purchase", "where": [{"property": "productId", "operator": "eq", "ref": "c.productId"}]}],
    "within": "1 day"}', '2026-02-01Z');

-- absence is measured against the universe, in which cleo is not yet
SELECT cohort_evaluate('{"did_not": "purchase"}', '2026-02-01Z') ORDER BY 1;
SELECT * FROM cohort_preview('{"profile": "city", "operator": "neq", "value": "pune"}', as_of => '2026-02-01Z');

-- every problem in one pass, with place and remedy
SELECT * FROM cohort_validate('{"and": [{"did": "", "where": {"property": "p", "operator": "gtt", "value": 1}},
                                        {"did": "x", "count": {"gte": 1.5}, "tiem": null}], "timezone": "Asia/Kolkatta"}');
SELECT cohort_evaluate('{"and": [{"did": "x", "where": {"property": "p", "operator": "after", "value": "2026-01-01"}}, {"did": 5}]}');
SELECT cohort_create('', '{"did": "x"}');
SELECT cohort_create('{x', '{"did": "x"}');
SELECT cohort_evaluate('{"cohort": "nobody"}');
SELECT cohort_evaluate('null');
SELECT cohort_evaluate(NULL), cohort_run(NULL), cohort_count(NULL);
SELECT cohort_evaluate('{"did": "x"}', 'infinity');

-- saved cohorts
SELECT cohort_create('buyers', '{"did": "purchase", "where": {"property": "price", "operator": "is_set"}}') IS NOT NULL AS saved;
SELECT cohort_create('buyers', '{"did": "purchase"}');
SELECT cohort_create('one time', '{"and": [{"cohort": "buyers"}, {"did": "purchase", "count": {"eq": 1}}]}') IS NOT NULL AS saved;
SELECT cohort_drop('buyers');
SELECT cohort_update('buyers', '{"not": {"cohort": "one time"}}');
SELECT cohort_rename('buyers', 'payers') IS NOT NULL AS renamed;
SELECT name, version, rule FROM cohort_definition_version ORDER BY name COLLATE "C", version;
SELECT condition, path, customers, events, how FROM cohort_explain('one time', '2026-02-01Z');
SELECT path, condition, holds, evidence - 'event_ids' AS evidence FROM cohort_why('one time', 'ben', '2026-02-01Z');
SELECT cohort_sql('one time', '2026-02-01Z');
SELECT path, holds FROM cohort_why('one time', 'nobody', '2026-02-01Z');
SELECT * FROM cohort_validate('{"sequence": [{"did": "a"}, {"did": "b"}], "after": "180 days", "since": "2026-01-01", "timezone": "IST"}');
SELECT * FROM cohort_overlap('{payers,NULL}');
SELECT * FROM cohort_overlap('{payers,one time}', '2026-02-01Z');
SELECT size, entered, exited FROM cohort_refresh('one time');
DELETE FROM cohort_event WHERE customer_id = 'ana';
SELECT size, entered, exited FROM cohort_refresh('one time');
SELECT size, entered, exited, version FROM cohort_history('one time');
SELECT customer_id, change FROM cohort_changes('one time') ORDER BY changed_at, change, customer_id COLLATE "C";
SELECT customer_id FROM cohort_members('one time');
-- As of an instant, which is not before the last refresh.
SELECT size, entered, exited FROM cohort_refresh('one time', '2100-01-01 00:00+00');
SELECT size FROM cohort_refresh('one time', '2025-01-01 00:00+00');
SELECT cohort_import('friends', '{dan,dan,stranger}') IS NOT NULL AS saved;
SELECT cohort_run('friends');
SELECT cohort_contains('friends', 'dan'), cohort_contains('friends', 'stranger');
SELECT cohort_update('friends', '{"did": "x"}');
SELECT cohort_import('payers', '{dan}');
SELECT cohort_grant('king', 'nobody');

-- at most 32 cohorts, one through another
SELECT count(cohort_create('c' || n, CASE n WHEN 0 THEN '{"did": "x"}' ELSE format('{"cohort": "c%s"}', n - 1) END::jsonb))
FROM generate_series(0, 32) n;
SELECT cohort_create('c33', '{"cohort": "c32"}');
-- what names the first of such a chain, only to ask, is answered
SELECT cohort_count('c32'), cohort_contains('c32', 'ana');
SELECT count(*) FROM cohort_overlap('{c31,c32}');
SELECT count(*) FROM cohort_waterfall('{c32}');
SELECT count(*) FROM cohort_evaluate('{"not": {"cohort": "c32"}}');
SET kursaha_cohort.engine = 'sql';
SELECT count(*) FROM cohort_overlap('{c31,c32}');
RESET kursaha_cohort.engine;
SELECT cohort_update('c0', '{"cohort": "friends"}');

-- nothing is left for the next test
DO $$
DECLARE c text;
BEGIN
    FOR c IN SELECT name FROM cohort_definition ORDER BY cohort_id DESC LOOP PERFORM cohort_drop(c); END LOOP;
END $$;
TRUNCATE cohort_event, cohort_customer;
