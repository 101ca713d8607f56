-- cohort_capture, cohort_release, cohort_backfill
\set SHOW_CONTEXT never
TRUNCATE cohort_event, cohort_customer;
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, buyer text, at timestamptz, amount numeric, note text, extra jsonb);
INSERT INTO shop.orders VALUES
    (1, 'ada', '2016-01-01 00:00+00', 5, NULL, '{"a": null}'), (2, NULL, NULL, 9, NULL, NULL),
    (3, 'bob', '2016-01-02 00:00+00', 50, 'gift', NULL);
CREATE VIEW shop.seen AS
    SELECT customer_id, event_type, data, CASE WHEN occurred_at < '2016-06-01' THEN occurred_at AT TIME ZONE 'UTC' END AS at
    FROM cohort_event ORDER BY event_id;

-- What is refused
SELECT cohort_capture('shop.orders', 'purchase', 'byer');
SELECT cohort_capture('shop.orders', 'purchase', 'buyer', 'amount');
SELECT cohort_capture('shop.orders', 'purchase', 'buyer', 'at', '{amount,price}');
SELECT cohort_capture('shop.orders', '*', 'buyer');
SELECT cohort_capture('shop.seen', 'purchase', 'customer_id');
SELECT cohort_capture('pg_class', 'purchase', 'relname');
SELECT cohort_capture('cohort_event', 'purchase', 'customer_id');
SELECT cohort_capture('shop.orders', 'purchase', 'buyer', when_condition => 'NEW.amount > 1); DROP TABLE shop.orders; --');
SELECT cohort_capture('shop.orders', 'purchase', 'buyer', when_condition => 'true) --');
SELECT cohort_capture('shop.orders', 'purchase', 'buyer', when_condition => 'NEW.price > 1');
SELECT cohort_release('shop.orders', 'purchase');
SELECT count(*) FROM kursaha_cohort.capture;

-- A capture, and the rows that were there before
SELECT cohort_capture('shop.orders', 'purchase', 'buyer', 'at', '{amount,note,extra}', 'NEW.amount >= 5 -- not small') > 0 AS made;
SELECT cohort_capture('shop.orders', 'purchase', 'buyer');
INSERT INTO shop.orders VALUES
    (4, 'cyd', '2016-01-03 00:00+00', 7, NULL, '{"b": null}'), (5, 'cyd', NULL, 1, NULL, NULL), (6, NULL, NULL, 8, NULL, NULL),
    (7, 'dan', NULL, 8, NULL, NULL);
SELECT * FROM shop.seen;
SELECT cohort_backfill('shop.orders', 'purchase');
SELECT * FROM shop.seen;
SELECT cohort_backfill('shop.orders', 'purchase');
SELECT backfill, backfilled, recorded, skipped_rows FROM cohort_capture_status;
SELECT cohort_backfill('shop.orders', 'refund');

-- Renamed and dropped columns
TRUNCATE cohort_event;
ALTER TABLE shop.orders RENAME amount TO total;
ALTER TABLE shop.orders RENAME buyer TO customer;
ALTER TABLE shop.orders DROP note;
INSERT INTO shop.orders VALUES (8, 'eve', '2016-01-04 00:00+00', 20);
SELECT * FROM shop.seen;
ALTER TABLE shop.orders DROP customer;
INSERT INTO shop.orders (id, total) VALUES (9, 20);
SELECT state, problem, hint, skipped_rows FROM cohort_capture_status;
ALTER TABLE shop.orders ADD customer text;
INSERT INTO shop.orders (id, total, customer, at) VALUES (10, 30, 'fay', '2016-01-05 00:00+00');
SELECT state, problem FROM cohort_capture_status;
SELECT * FROM shop.seen;
SELECT customer_column, occurred_at_column, data_columns, data_keys FROM kursaha_cohort.capture;
SELECT cohort_release('shop.orders', 'purchase');
INSERT INTO shop.orders (id, total, customer) VALUES (11, 40, 'gil');
SELECT count(*) FROM cohort_event;
-- Captured again, no row is recorded twice
SELECT cohort_capture('shop.orders', 'purchase', 'customer', 'at', '{total}') > 0 AS made;
SELECT cohort_backfill('shop.orders', 'purchase');
SELECT * FROM shop.seen;

-- Without a primary key; all columns by default
TRUNCATE cohort_event;
CREATE TABLE shop.clicks (who int, url text);
INSERT INTO shop.clicks VALUES (1, 'a'), (1, 'a'), (2, 'b');
SELECT cohort_capture('shop.clicks', 'click', 'who') > 0 AS made;
INSERT INTO shop.clicks VALUES (1, 'a'), (3, NULL);
SELECT cohort_backfill('shop.clicks', 'click');
SELECT customer_id, data, count(*) FROM cohort_event GROUP BY 1, 2 ORDER BY 1, 2;
DROP TABLE shop.clicks;
SELECT count(*) FROM kursaha_cohort.capture;

-- Empty at first; too late; partitions
TRUNCATE cohort_event;
CREATE TABLE shop.visits (id int, who text, day date) PARTITION BY RANGE (id);
CREATE TABLE shop.visits_1 PARTITION OF shop.visits FOR VALUES FROM (0) TO (10);
SELECT cohort_capture('shop.visits', 'visit', 'who', data_columns => '{id}') > 0 AS made;
CREATE TABLE shop.visits_2 (day date, id int NOT NULL, who text);
ALTER TABLE shop.visits ATTACH PARTITION shop.visits_2 FOR VALUES FROM (10) TO (20);
INSERT INTO shop.visits VALUES (1, 'ada'), (11, 'bob');
SELECT * FROM shop.seen;
SELECT cohort_backfill('shop.visits', 'visit');
SELECT cohort_capture('shop.visits', 'late', 'who') > 0 AS made;
UPDATE kursaha_cohort.capture SET backfill_until = '2020-01-01' WHERE event_type = 'late';
SELECT cohort_backfill('shop.visits', 'late');

-- A trigger made by hand cannot feed another table's capture
CREATE TABLE shop.forged (who text);
SELECT format('CREATE TRIGGER forged AFTER INSERT ON shop.forged FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.capture_row(%L)',
              capture_id) AS forge FROM kursaha_cohort.capture WHERE event_type = 'visit' \gset
:forge;
INSERT INTO shop.forged VALUES ('eve');
SELECT count(*) FROM cohort_event WHERE customer_id = 'eve';
CREATE TRIGGER forged_before BEFORE INSERT ON shop.forged FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.capture_row(1);
INSERT INTO shop.forged VALUES ('eve');


-- Updates, deletes, and rows that move between partitions
TRUNCATE cohort_event;
CREATE TABLE shop.sales (id int, who text, status text, amount int, at timestamptz) PARTITION BY LIST (status);
CREATE TABLE shop.sales_open PARTITION OF shop.sales FOR VALUES IN ('new', 'paid');
CREATE TABLE shop.sales_done (status text, who text, id int, amount int, at timestamptz);
ALTER TABLE shop.sales ATTACH PARTITION shop.sales_done DEFAULT;
SELECT cohort_capture('shop.sales', 'bad', 'who', "on" => 'truncate');
SELECT cohort_capture('shop.sales', 'bad', 'who', "on" => 'insert, update of colour');
SELECT cohort_capture('shop.sales', 'bad', 'who', data_columns => '{}', when_condition => 'OLD.amount > 1');
SELECT cohort_capture('shop.sales', 'bad', 'who', timezone => 'Mars/Olympus');
SELECT count(*) FROM kursaha_cohort.capture WHERE event_type = 'bad';
SELECT cohort_capture('shop.sales', 'sale', 'who', 'at', '{status}', "on" => 'insert, update of status, amount') > 0 AS made;
SELECT cohort_capture('shop.sales', 'paid', 'who', 'at', '{id}', 'OLD.status <> ''paid'' AND NEW.status = ''paid''', 'update') > 0 AS made;
SELECT cohort_capture('shop.sales', 'done', 'who', 'at', '{id}', 'NEW.status = ''done''', 'update') > 0 AS made;
SELECT cohort_capture('shop.sales', 'gone', 'who', 'at', '{id}', "on" => 'delete') > 0 AS made;
INSERT INTO shop.sales VALUES (1, 'ada', 'new', 1, '2016-01-01 00:00+00'), (2, 'bob', 'new', 1, '2016-01-01 00:00+00');
UPDATE shop.sales SET status = status;
UPDATE shop.sales SET status = 'paid' WHERE id = 1;
UPDATE shop.sales SET status = 'done', at = '2016-02-02 00:00+00' WHERE id = 1;
DELETE FROM shop.sales WHERE id = 1;
SELECT * FROM shop.seen;
SELECT event_type, "on" FROM cohort_capture_status WHERE source = 'shop.sales'::regclass ORDER BY 1;

-- Rows that cannot be events are skipped and counted; a time without a zone is read in the capture's
TRUNCATE cohort_event;
CREATE TABLE shop.odd (who text, at timestamp, doc json);
SELECT cohort_capture('shop.odd', 'odd', 'who', 'at', timezone => 'Asia/Kolkata', data_columns => '{doc}') > 0 AS made;
INSERT INTO shop.odd VALUES ('', now(), NULL), ('None', now(), NULL), (NULL, now(), NULL), (repeat('x', 256), now(), NULL),
    ('ada', 'infinity', NULL), ('bob', now(), '{"t": "\u0000"}'), ('cyd', '2016-01-01 05:30', '[1, null, "a"]'),
    (repeat('x', 255), '2016-01-01 05:30', '"x"');
SELECT left(customer_id, 3) AS customer_id, event_type, data, at FROM shop.seen;
SELECT recorded, skipped, skipped_rows FROM cohort_capture_status WHERE event_type = 'odd';
-- What users added to cohort_event: a default, a trigger, a check
TRUNCATE cohort_event;
ALTER TABLE cohort_event ADD region text DEFAULT 'eu', ADD CONSTRAINT adults CHECK (customer_id <> 'kid');
CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE NOTICE 'event of % in %', NEW.customer_id, NEW.region; RETURN NULL; END$$;
CREATE TRIGGER note AFTER INSERT ON cohort_event FOR EACH ROW EXECUTE FUNCTION shop.note();
INSERT INTO shop.odd VALUES ('ada', '2016-01-01 05:30'), ('kid', '2016-01-01 05:30');
SELECT customer_id, region FROM cohort_event;
SELECT skipped_rows FROM cohort_capture_status WHERE event_type = 'odd';
DROP TRIGGER note ON cohort_event;
ALTER TABLE cohort_event DROP region, DROP CONSTRAINT adults;
-- The sequence is behind: the next free id is drawn
INSERT INTO cohort_event (event_id, customer_id, event_type)
SELECT last_value + n, 'x' || n, 'x' FROM cohort_event_event_id_seq, generate_series(1, 2) n;
INSERT INTO shop.odd VALUES ('eve', '2016-01-01 05:30');
SELECT customer_id FROM cohort_event ORDER BY event_id;

-- Profiles
CREATE TABLE shop.users (id int PRIMARY KEY, name text, plan text, secret text);
INSERT INTO shop.users VALUES (1, 'Ada', 'free', 'x'), (2, 'Bob', NULL, 'y');
SELECT cohort_capture_profile('shop.users', 'id', '{name,plan}', "on" => 'insert, update, delete') > 0 AS made;
SELECT cohort_identify('3', '{"vip": true}');
INSERT INTO shop.users VALUES (3, 'Cyd', 'pro', 'z'), (4, 'Dan', 'pro', 'z');
UPDATE shop.users SET plan = NULL WHERE id = 3;
DELETE FROM shop.users WHERE id = 4;
SELECT cohort_backfill_profile('shop.users');
SELECT customer_id, profile FROM cohort_customer ORDER BY 1;
DELETE FROM shop.users WHERE id = 3;
UPDATE shop.users SET id = 5 WHERE id = 1;
SELECT customer_id, profile FROM cohort_customer ORDER BY 1;
SELECT event_type, "on", recorded FROM cohort_capture_status WHERE source = 'shop.users'::regclass;
SELECT cohort_release_profile('shop.users');
SELECT cohort_release_profile('shop.users');

DROP SCHEMA shop CASCADE;
SELECT count(*) FROM kursaha_cohort.capture;
TRUNCATE cohort_event, cohort_customer;
