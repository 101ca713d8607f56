-- Notices for event types and properties that nobody has, and cohort_property
\set SHOW_CONTEXT never
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();

-- Of empty tables nothing is wrong
SELECT * FROM cohort_validate('{"did": "purchsae", "where": [{"property": "prise", "operator": "gt", "value": 1}]}');

INSERT INTO cohort_event (customer_id, event_type, data) VALUES
    ('ada', 'purchase', '{"price": 12, "brand": "kettle & co", "tags": ["a"], "cart": {"id": "x", "full": true}}'),
    ('bob', 'purchase', '{"price": "12.50", "note": null}'),
    ('bob', 'refund', '{"reason": "broken"}');
SELECT cohort_identify('ada', '{"city": "pune"}');

-- Sealed or not
SELECT * FROM cohort_validate('{"did": "purchase", "where": [{"property": "prise", "operator": "gt", "value": 1}]}');
SELECT events FROM cohort_seal();
SELECT * FROM cohort_validate('{"did_not": "purchsae"}');
SELECT * FROM cohort_preview('{"did_not": "purchsae"}');
SELECT cohort_create('typo', '{"did": "refnud"}') > 0 AS saved;
SELECT cohort_update('typo', '{"and": [{"did": "refund", "where": [{"property": "price", "operator": "exists"}]}, {"profile": "ctiy", "operator": "eq", "value": "pune"}]}') > 0 AS saved;
SELECT * FROM cohort_validate('{"did": "purchase", "where": [{"property": "occurred_at", "operator": "exists"}]}');
SELECT * FROM cohort_validate('{"did": "*", "where": [{"property": "weather", "operator": "exists"}]}');
SELECT * FROM cohort_validate('{"did": "xylophone"}');
SELECT * FROM cohort_validate('{"sequence": [{"did": "purchase", "as": "p"}, {"did": "refund", "where": [{"property": "reson", "operator": "eq", "ref": "p.brand"}]}]}');

-- Nothing to say: what is there, in the tail only, below another key, of a type that Kursaha sends; where plain SQL is used instead
SELECT * FROM cohort_validate('{"and": [{"did": "purchase", "where": [{"property": "cart.id", "operator": "eq", "value": "x"}]}, {"did": ["refund", "signup"]}, {"profile": "city", "operator": "exists"}]}');
INSERT INTO cohort_event (customer_id, event_type, data) VALUES ('ada', 'purchase', '{"fresh": 1}');
SELECT * FROM cohort_validate('{"did": "purchase", "where": [{"property": "fresh", "operator": "exists"}]}');
SET kursaha_cohort.engine = 'sql';
SELECT * FROM cohort_validate('{"did": "purchsae"}');
RESET kursaha_cohort.engine;
-- Problems come alone
SELECT * FROM cohort_validate('{"did": "purchsae", "count": 3}');

-- For pick lists
SELECT * FROM cohort_property ORDER BY event_type, property;
SELECT * FROM cohort_property();
-- Changed and deleted rows, whether they are sealed or not; equal numbers; keys that a path with dots cannot name
SELECT cohort_identify('ada', '{"city": "goa", "vip": true}');
SELECT cohort_identify('cy', '{"city": "goa", "a.b": {"c": 1}}');
DELETE FROM cohort_event WHERE customer_id = 'ada' AND data ? 'cart';
INSERT INTO cohort_event (customer_id, event_type, data) VALUES ('cy', 'refund', '{"amount": 1.0}'), ('cy', 'refund', '{"amount": 1, "reason": "broken"}');
SELECT * FROM cohort_property();
SELECT FROM cohort_seal();
SELECT * FROM cohort_property();
SELECT path, events, distinct_values, examples FROM cohort_property('refund');
SELECT count(*) FROM cohort_property('nothing');
CREATE ROLE picker;
SELECT cohort_grant('reader', 'picker');
SET ROLE picker;
SELECT count(*), (SELECT count(*) FROM cohort_property()) FROM cohort_property;
RESET ROLE;
ALTER TABLE cohort_event ENABLE ROW LEVEL SECURITY;
SET ROLE picker;
SELECT count(*), (SELECT count(*) FROM cohort_property()) FROM cohort_property;
SELECT * FROM cohort_validate('{"did": "purchsae"}');
RESET ROLE;
ALTER TABLE cohort_event DISABLE ROW LEVEL SECURITY;
DROP OWNED BY picker;
DROP ROLE picker;
SELECT cohort_drop('typo') IS NOT NULL AS dropped;
TRUNCATE cohort_event, cohort_customer;
SELECT FROM cohort_seal();
