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
SELECT count(*) FROM kursaha_cohort.captured;
SELECT cohort_backfill('shop.orders', 'refund');

-- Renamed and dropped columns
TRUNCATE cohort_event;
ALTER TABLE shop.orders RENAME amount TO total;
ALTER TABLE shop.orders RENAME buyer TO customer;
ALTER TABLE shop.orders DROP note;
ALTER TABLE shop.orders DROP customer;
ALTER TABLE shop.orders DROP at;
INSERT INTO shop.orders VALUES (8, 'eve', '2016-01-04 00:00+00', 20);
SELECT * FROM shop.seen;
SELECT customer_column, occurred_at_column, data_columns, data_keys FROM kursaha_cohort.capture;
SELECT cohort_release('shop.orders', 'purchase');
INSERT INTO shop.orders VALUES (9, 'eve', '2016-01-04 00:00+00', 20);
SELECT count(*) FROM cohort_event;

-- Without a primary key equal rows are counted; all columns by default
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
UPDATE kursaha_cohort.capture SET backfill_until = now() - interval '1 second' WHERE event_type = 'late';
SELECT cohort_backfill('shop.visits', 'late');

-- A trigger made by hand cannot feed another table's capture
CREATE TABLE shop.forged (who text);
SELECT format('CREATE TRIGGER forged AFTER INSERT ON shop.forged FOR EACH ROW EXECUTE FUNCTION kursaha_cohort.capture_row(%L)',
              capture_id) AS forge FROM kursaha_cohort.capture WHERE event_type = 'visit' \gset
:forge;
INSERT INTO shop.forged VALUES ('eve');

DROP SCHEMA shop CASCADE;
SELECT count(*) FROM kursaha_cohort.capture;
TRUNCATE cohort_event, cohort_customer;
