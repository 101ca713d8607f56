-- cohort_track, cohort_track_batch, cohort_identify, cohort_forget
\set SHOW_CONTEXT never
TRUNCATE cohort_event, cohort_customer;

-- One event
SELECT cohort_track('ada', 'purchase', '{"amount": 12}', '2026-01-02 03:04:05+00') > 0 AS stored;
SELECT cohort_track('ada', 'view', NULL, NULL) > 0 AS stored;
SELECT customer_id, event_type, data, occurred_at = now() AS just_now,
       CASE event_type WHEN 'purchase' THEN occurred_at = '2026-01-02 03:04:05+00' END AS as_given
FROM cohort_event ORDER BY event_id;
SELECT cohort_track(NULL, 'view');
SELECT cohort_track('ada', NULL);
SELECT cohort_track('None', 'view');
SELECT cohort_track('ada', 'view', '[]');
SELECT cohort_track('ada', 'view', event_key => '');
SELECT cohort_track('ada', 'view', event_key => repeat('k', 256));

-- A key: a repeat stores nothing, a failed call leaves no key, an old key counts no more and is removed
TRUNCATE cohort_event;
SELECT cohort_track('None', 'view', event_key => 'k1');
SELECT cohort_track('ada', 'view', event_key => 'k1') AS first \gset
SELECT cohort_track('bob', 'cart', event_key => 'k1') = :first AS same_id;
SELECT customer_id, event_id = :first AS first FROM cohort_event;
UPDATE kursaha_cohort.event_key SET first_seen = now() - interval '6 days 23 hours';
SELECT cohort_track('bob', 'cart', event_key => 'k1') = :first AS same_id;
UPDATE kursaha_cohort.event_key SET first_seen = now() - interval '7 days 1 hour';
SELECT cohort_track('bob', 'cart', event_key => 'k1') = :first AS same_id;
UPDATE kursaha_cohort.event_key SET first_seen = now() - interval '7 days 1 hour';
SELECT cohort_track('bob', 'cart', event_key => 'k2') = :first AS same_id;
SELECT kursaha_cohort.prune_event_keys(512) AS pruned;
SELECT event_key FROM kursaha_cohort.event_key;
SELECT count(*) FROM cohort_event;

-- The cost of a key does not grow with the keys: none of them is read but by an index, also where the table was empty
-- when the session planned; and calls with keys remove old ones as they go, except at a stricter isolation level
TRUNCATE cohort_event;
BEGIN;
SELECT cohort_track('ada', 'view', event_key => 'first') > 0 AS stored;
INSERT INTO kursaha_cohort.event_key SELECT 'old' || n, -n, now() - interval '8 days' FROM generate_series(1, 3000) n;
SELECT seq_scan AS scans FROM pg_stat_xact_all_tables WHERE relid = 'kursaha_cohort.event_key'::regclass \gset
SELECT count(cohort_track('ada', 'view', event_key => 'key' || n)) FROM generate_series(1, 1000) n;
SELECT seq_scan - :scans AS scans FROM pg_stat_xact_all_tables WHERE relid = 'kursaha_cohort.event_key'::regclass;
SELECT count(*) BETWEEN 900 AND 1500 AS old_keys_left FROM kursaha_cohort.event_key WHERE event_key LIKE 'old%';
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT kursaha_cohort.prune_event_keys(512) AS pruned;
COMMIT;
TRUNCATE cohort_event;

-- Savepoints: a key that was rolled back is free
BEGIN;
SAVEPOINT s;
SELECT cohort_track('ada', 'view', event_key => 'undone') > 0 AS stored;
ROLLBACK TO s;
SELECT cohort_track('ada', 'cart', event_key => 'undone') > 0 AS stored;
COMMIT;
SELECT event_type FROM cohort_event;

-- What clients send in place of an id
SELECT cohort_track('None', 'view');
SELECT * FROM cohort_track_batch('{"signals": [{"customerId": "None", "eventType": "view"}, {"customerId": "None", "eventType": "view"}]}');
SELECT cohort_identify('{"customerId": "None"}');
INSERT INTO cohort_customer (customer_id) VALUES ('None');

-- A batch, under all names of its fields; ids follow the payload
TRUNCATE cohort_event;
SELECT * FROM cohort_track_batch('{"requestIdentifier": "r", "signals": [
    {"customerId": "ada", "eventType": "view", "data": {"sku": "a"}, "occurredAt": "2026-03-01T10:00:00Z"},
    {"emitterId": 17, "stepNodeId": "cart", "timestamp": "2026-03-01T10:00:00+05:30", "eventflowIdentifier": "f"},
    {"customerId": "bob", "eventType": "view", "data": null, "occurred_at": "2026-03-02", "eventKey": "b1"},
    {"customerId": "eve", "eventType": "view", "event_key": "b1"},
    {"customerId": null, "emitterId": "cyd", "eventType": "view", "occurredAt": "2026-03-01T10:00:00.123456-0800"}]}');
SELECT customer_id, event_type, data, occurred_at AT TIME ZONE 'UTC' AS occurred_at FROM cohort_event ORDER BY event_id;
SELECT * FROM cohort_track_batch('{"signals": [
    {"customerId": "bob", "eventType": "view", "eventKey": "b1"},
    {"customerId": "bob", "eventType": "view", "eventKey": "b2"}]}');
SELECT cohort_track('bob', 'view', event_key => 'b2') = (SELECT max(event_id) FROM cohort_event) AS same_id;
SELECT * FROM cohort_track_batch('{"signals": []}');
SELECT count(*) FROM cohort_event;

-- All or nothing, each bad entry named
SELECT * FROM cohort_track_batch('{"signals": [
    {"customerId": "ok", "eventType": "view"},
    {"eventType": "view"},
    7,
    {"customerId": "", "eventType": "*", "data": []},
    {"customerId": ["x"], "eventType": 5, "eventKey": ""},
    {"customerId": "None", "eventType": "view", "occurredAt": "yesterday"},
    {"emitterId": true, "eventType": "view", "occurredAt": "2026-02-30"},
    {"customerId": "x", "eventType": "view", "timestamp": "2026-02-03T10:00:00"},
    {"customerId": "x", "eventType": "view", "timestamp": 1700000000},
    {"customerId": "x", "eventType": "view", "occurredAt": "2026-02-03T10:00:00+99:00"},
    null, [], "x", {"customerId": "é", "eventType": "view", "data": "{}", "timestamp": {"a": 1}, "event_key": false}]}');
SELECT cohort_track_batch(jsonb_build_object('signals', jsonb_build_array(jsonb_build_object(
    'customerId', repeat('é', 255), 'eventType', repeat('é', 256), 'eventKey', 1e300))));
-- All kinds of values arrive as they were
SELECT * FROM cohort_track_batch('{"signals": [{"customerId": 12.50, "eventType": "kinds", "eventKey": 7, "data":
    {"a": null, "b": [1, {"c": []}], "d": {"e": {}, "f": -0.000001}, "": "ü\\u0041\\n", "long key with blanks": true, "n": 123456789012345678901234567890}}]}');
SELECT customer_id, data FROM cohort_event WHERE event_type = 'kinds';
DELETE FROM cohort_event WHERE event_type = 'kinds';
SELECT count(*) FROM cohort_event WHERE customer_id = 'ok';
SELECT * FROM cohort_track_batch('[]');
SELECT * FROM cohort_track_batch(NULL);
SELECT * FROM cohort_track_batch('{}');
SELECT * FROM cohort_track_batch('{"signals": {}}');
SELECT * FROM cohort_track_batch((SELECT jsonb_build_object('signals', jsonb_agg(1)) FROM generate_series(1, 100001)));
SELECT * FROM cohort_track_batch((SELECT jsonb_build_object('signals',
    jsonb_agg(jsonb_build_object('customerId', 'c' || n, 'eventType', 'view', 'eventKey', 'k' || n % 600)))
    FROM generate_series(1, 1000) n));

-- Profiles
SELECT cohort_identify('ada', '{"city": "Pune", "tags": {"a": 1, "b": null}, "gone": null}');
SELECT cohort_identify('ada', '{"age": 36, "tags": {"a": 2}}');
SELECT cohort_identify('{"customerId": "ada", "customerData": {"city": null, "vip": true}}');
SELECT cohort_identify('{"customerId": 17}');
SELECT customer_id, profile FROM cohort_customer ORDER BY customer_id COLLATE "C";
SELECT cohort_identify('ada', '[1]');
SELECT cohort_identify('ada', NULL);
SELECT cohort_identify(NULL, '{}');
SELECT cohort_identify('{"customerData": {}}');
SELECT cohort_identify('{"customerId": "ada", "customerData": []}');
SELECT cohort_identify('{"customerId": "ada", "profile": {"city": "Goa"}}');

-- Erasure
SELECT cohort_track('ada', 'view', event_key => 'ada1') > 0 AS stored;
SELECT * FROM cohort_forget('ada');
SELECT * FROM cohort_forget('ada');
SELECT count(*) FROM cohort_event WHERE customer_id = 'ada';
SELECT count(*) FROM cohort_customer WHERE customer_id = 'ada';
SELECT count(*) FROM kursaha_cohort.event_key WHERE event_key = 'ada1';
SELECT * FROM cohort_forget(NULL);
TRUNCATE cohort_event, cohort_customer;

-- A trigger that keeps rows out hands them on: they count as stored.
CREATE FUNCTION handed_on() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER handed_on BEFORE INSERT ON cohort_event FOR EACH ROW EXECUTE FUNCTION handed_on();
SELECT * FROM cohort_track_batch('{"signals": [{"customerId": "eve", "eventType": "view"}]}');
SELECT * FROM cohort_track_batch('{"signals": [{"customerId": "eve", "eventType": "view", "eventKey": "e1"}, {"customerId": "eve", "eventType": "view", "eventKey": "e1"}]}');
SELECT count(*) FROM cohort_event WHERE customer_id = 'eve';
DROP TRIGGER handed_on ON cohort_event;
DROP FUNCTION handed_on;

-- A database that holds some of the customers refuses the others.
SELECT hashtext('eve'), hashtext('ada');
SELECT kursaha_cohort.cohort_own(hashtext('eve'), hashtext('eve'));
SELECT cohort_track('eve', 'view') > 0 AS stored;
SELECT cohort_track('ada', 'view');
SELECT cohort_identify('ada', '{}');
SELECT kursaha_cohort.cohort_not_owned();
SELECT kursaha_cohort.expect(ARRAY[hashtext('eve')], ARRAY[hashtext('eve')], NULL, NULL);
SELECT kursaha_cohort.expect('{1}', '{2}', NULL, NULL);
SELECT kursaha_cohort.cohort_own(2, 1);
SELECT kursaha_cohort.cohort_own(NULL, NULL);
SELECT cohort_track('ada', 'view') > 0 AS stored;
SELECT kursaha_cohort.expect('{1}', '{2}', NULL, NULL);
TRUNCATE cohort_event, cohort_customer;
-- A request that names itself by a UUID, and its repeats; the names of the id; what the event flow was.
SELECT * FROM cohort_track_batch('{"requestIdentifier": "6f1b1c9e-0000-4000-8000-00000000000A", "signals": [
    {"userId": "flow", "emitterId": null, "stepNodeId": "step", "eventflowIdentifier": "f-1", "data": {"a": 1}},
    {"emitterId": "flow", "userId": "nobody", "eventType": "step", "eventflowIdentifier": 7},
    {"customerId": "flow", "eventType": "step", "eventflowIdentifier": "f-2", "data": {"eventflowIdentifier": "own"}}]}');
SELECT * FROM cohort_track_batch('{"requestIdentifier": "6F1B1C9E-0000-4000-8000-00000000000a", "signals": [{"customerId": "flow", "eventType": "other"}]}');
SELECT event_type, data FROM cohort_event WHERE customer_id = 'flow' ORDER BY event_id;
UPDATE kursaha_cohort.request SET first_seen = first_seen - interval '8 days';
SELECT * FROM cohort_track_batch('{"requestIdentifier": "6f1b1c9e-0000-4000-8000-00000000000b", "signals": []}');
SELECT request_id, stored, duplicates FROM kursaha_cohort.request;
SELECT * FROM cohort_track_batch('{"requestIdentifier": "6f1b1c9e-0000-4000-8000-00000000000a", "signals": [{"customerId": "flow", "eventType": "other"}]}');
-- One that fails is not remembered, and what is no UUID is no name.
SELECT * FROM cohort_track_batch('{"requestIdentifier": "6f1b1c9e-0000-4000-8000-00000000000c", "signals": [{"customerId": "flow"}]}');
SELECT count(*) FROM kursaha_cohort.request WHERE request_id::text LIKE '%c';
SELECT r.* FROM generate_series(1, 2), cohort_track_batch('{"requestIdentifier": "r-1", "signals": [{"customerId": "flow", "eventType": "twice"}]}') r;

-- Customer data as event.
SET kursaha_cohort.profile_from_events = on;
SELECT * FROM cohort_track_batch('{"signals": [
    {"customerId": "told", "eventType": "x", "data": {"email": "old@example.com", "city": "", "state": null, "zip": 411001, "price": 3, "gender": ["f"]}, "eventKey": "told-1"},
    {"customerId": "told", "eventType": "x", "data": {"email": "new@example.com"}},
    {"customerId": "untold", "eventType": "x", "data": {"price": 3}}]}');
SELECT * FROM cohort_track_batch('{"signals": [{"customerId": "told", "eventType": "x", "data": {"email": "old@example.com"}, "eventKey": "told-1"}]}');
SELECT cohort_track('told', 'x', '{"phone_number": "1", "firstName": ""}') IS NOT NULL;
SELECT customer_id, profile FROM cohort_customer WHERE customer_id IN ('told', 'untold');
RESET kursaha_cohort.profile_from_events;
SELECT cohort_track('told', 'x', '{"city": "pune"}') IS NOT NULL;
SELECT profile ? 'city' AS has_city FROM cohort_customer WHERE customer_id = 'told';

-- Customers as a list; "" is not given.
SELECT cohort_identify('[{"customerId": "l2", "customerData": {"a": 1, "b": 2}}, {"customerId": 11}, {"customerId": "l2", "customerData": {"a": "", "b": null, "c": "x"}}]'::jsonb);
SELECT customer_id, profile FROM cohort_customer WHERE customer_id IN ('l2', '11') ORDER BY 1;
SELECT cohort_identify('[{"customerId": "l3"}, 7, {"customerData": {}}, {"customerId": "l3", "email": "x"}, {"customerId": "l3", "customerData": []}]'::jsonb);
SELECT cohort_identify('[]'::jsonb);
TRUNCATE cohort_event, cohort_customer, kursaha_cohort.request;
