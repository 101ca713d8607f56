-- Damages the index at random, one place at a time, and asks: an answer is the right one or the error XX002. Everything is
-- undone each time, so that cohort_check() must be clean at the end.
CREATE EXTENSION IF NOT EXISTS kursaha_cohort;
INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT 'c' || (i * 7919) % 2999, (ARRAY['view','cart','purchase'])[1 + i % 3], timestamptz '2026-01-01' + i * interval '1 s',
       jsonb_build_object('price', (i * 37) % 100, 'sku', 's' || (i * 13) % 50, 't', 'text ' || i) FROM generate_series(1, 15000) i;
INSERT INTO cohort_customer (customer_id, profile)
SELECT 'c' || i, jsonb_build_object('level', i % 10, 'name', 'name ' || i) FROM generate_series(1, 2500) i;
SELECT FROM cohort_seal();
INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT 'd' || i % 700, 'view', timestamptz '2026-02-01' + i * interval '1 s', jsonb_build_object('price', i % 9) FROM generate_series(1, 4000) i;
DELETE FROM cohort_event WHERE event_id % 10 = 0;
DELETE FROM cohort_customer WHERE customer_id LIKE '%77';
SELECT FROM cohort_seal();
INSERT INTO cohort_event (customer_id, event_type) SELECT 'c' || i, 'cart' FROM generate_series(1, 50) i;

CREATE TABLE rule (number int PRIMARY KEY, rule jsonb, truth text);
INSERT INTO rule (number, rule) VALUES
    (0, '{"did": "*", "aggregate": {"fn": "sum", "property": "price", "gt": 400}}'),
    (1, '{"did": "view", "where": {"property": "sku", "operator": "eq", "value": "s7"}}'),
    (2, '{"did_not": "cart"}'),
    (3, '{"sequence": [{"did": "view"}, {"did": "cart"}, {"did": "purchase"}], "within": "2 days"}'),
    (4, '{"profile": "level", "operator": "gte", "value": 5}'),
    (5, '{"and": [{"did": "*", "time": {"since": "2026-01-31"}}, {"did_not": "purchase"}]}'),
    (6, '{"did": "*", "aggregate": {"fn": "count_distinct", "property": "t", "gte": 4}}'),
    (7, '{"did": "cart", "count": {"gte": 2}, "where": {"property": "t", "operator": "contains", "value": "99"}}'),
    (8, '{"or": [{"profile": "name", "operator": "ends_with", "value": "7"}, {"did": "view", "occurrence": "last", "where": {"property": "price", "operator": "lt", "value": 3}}]}');
SET kursaha_cohort.engine = sql;
UPDATE rule SET truth = (SELECT md5(string_agg(x, ' ' ORDER BY x)) FROM cohort_evaluate(rule) x);
SET kursaha_cohort.engine = bitmap;

-- Does one damage, of a kind; says what.
CREATE FUNCTION damage(sort int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    p record; q record; place int;
BEGIN
    SELECT segment_id, page, bytes INTO p FROM kursaha_cohort.segment_page ORDER BY random() LIMIT 1;
    SELECT segment_id, page, bytes INTO q FROM kursaha_cohort.segment_page
        WHERE (segment_id, page) <> (p.segment_id, p.page) ORDER BY random() LIMIT 1;
    place := floor(random() * length(p.bytes));
    CASE sort
    WHEN 0 THEN
        UPDATE kursaha_cohort.segment_page SET bytes = decode(repeat('00', length(bytes)), 'hex') WHERE (segment_id, page) = (p.segment_id, p.page);
    WHEN 1 THEN
        UPDATE kursaha_cohort.segment_page SET bytes = set_bit(bytes, place::bigint * 8 + 3, 1 - get_bit(bytes, place::bigint * 8 + 3)) WHERE (segment_id, page) = (p.segment_id, p.page);
    WHEN 2 THEN
        UPDATE kursaha_cohort.segment_page SET bytes = overlay(bytes PLACING decode(md5(random()::text), 'hex') FROM least(place, length(bytes) - 16) + 1) WHERE (segment_id, page) = (p.segment_id, p.page);
    WHEN 3 THEN
        UPDATE kursaha_cohort.segment_page s SET bytes = CASE WHEN (s.segment_id, s.page) = (p.segment_id, p.page) THEN q.bytes ELSE p.bytes END
        WHERE (s.segment_id, s.page) IN ((p.segment_id, p.page), (q.segment_id, q.page));
    WHEN 4 THEN
        UPDATE kursaha_cohort.segment_page SET bytes = q.bytes WHERE (segment_id, page) = (p.segment_id, p.page);
    WHEN 5 THEN
        DELETE FROM kursaha_cohort.segment_page WHERE (segment_id, page) = (q.segment_id, q.page);
        UPDATE kursaha_cohort.segment_page SET segment_id = q.segment_id, page = q.page WHERE (segment_id, page) = (p.segment_id, p.page);
    WHEN 6 THEN
        UPDATE kursaha_cohort.segment_page SET bytes = substr(bytes, 1, place) WHERE (segment_id, page) = (p.segment_id, p.page);
    WHEN 7 THEN
        DELETE FROM kursaha_cohort.segment_page WHERE (segment_id, page) = (p.segment_id, p.page);
    WHEN 8 THEN
        -- In the middle of the data, with a second half that is as it was.
        UPDATE kursaha_cohort.segment_page SET bytes = decode(repeat('00', length(bytes) / 2), 'hex') || substr(bytes, length(bytes) / 2 + 1) WHERE (segment_id, page) = (p.segment_id, p.page);
    WHEN 9 THEN
        UPDATE kursaha_cohort.segment_dead SET rows = set_bit(rows, (length(rows) - 5) * 8, 1 - get_bit(rows, (length(rows) - 5) * 8));
    WHEN 10 THEN
        DELETE FROM kursaha_cohort.segment_dead WHERE event_type = (SELECT max(event_type) FROM kursaha_cohort.segment_dead);
    WHEN 11 THEN
        UPDATE kursaha_cohort.segment_dead d SET rows = (SELECT o.rows FROM kursaha_cohort.segment_dead o WHERE o.event_type <> d.event_type LIMIT 1);
    WHEN 12 THEN
        UPDATE kursaha_cohort.segment SET dead = 0;
    WHEN 13 THEN
        DELETE FROM kursaha_cohort.segment WHERE segment_id = p.segment_id;
    WHEN 14 THEN
        UPDATE kursaha_cohort.segment SET last_at = first_at WHERE kind = 'events';
    WHEN 15 THEN
        UPDATE kursaha_cohort.segment SET position = -position, kind = CASE kind WHEN 'profiles' THEN 'events' ELSE kind END;
    WHEN 16 THEN
        UPDATE kursaha_cohort.segment SET stamp_to = stamp_from;
    WHEN 17 THEN
        UPDATE kursaha_cohort.index_state SET customers = customers + (CASE WHEN random() < 0.5 THEN 100 ELSE -100 END);
    WHEN 18 THEN
        UPDATE kursaha_cohort.index_state SET watermark = CASE WHEN random() < 0.5 THEN '0' ELSE pg_current_xact_id() END;
    WHEN 19 THEN
        UPDATE kursaha_cohort.index_state SET hash_key = set_byte(hash_key, 3, 255 - get_byte(hash_key, 3));
    WHEN 20 THEN
        UPDATE kursaha_cohort.index_state SET removed = NOT removed;
    WHEN 21 THEN
        DELETE FROM kursaha_cohort.index_state;
    WHEN 22 THEN
        INSERT INTO kursaha_cohort.segment_page SELECT -1, page, bytes FROM kursaha_cohort.segment_page WHERE segment_id = p.segment_id;
        UPDATE kursaha_cohort.segment SET segment_id = -1 WHERE segment_id = p.segment_id;
    END CASE;
    RETURN format('sort %s of segment %s page %s at %s', sort, p.segment_id, p.page, place);
END $$;

SELECT setseed(0.14);
DO $$
DECLARE
    asked record; what text; got text; wrong int := 0; raised int := 0; right_ int := 0;
BEGIN
    FOR i IN 1..600 LOOP
        SELECT * INTO asked FROM rule WHERE number = i % 9;
        BEGIN
            what := damage(CASE WHEN i <= 300 THEN i % 9 ELSE i % 23 END);
            SELECT md5(string_agg(x, ' ' ORDER BY x)) INTO got FROM cohort_evaluate(asked.rule) x;
            IF got IS NOT DISTINCT FROM asked.truth THEN
                right_ := right_ + 1;
            ELSE
                wrong := wrong + 1;
                RAISE WARNING '%: rule % has a wrong answer', what, asked.number;
            END IF;
            RAISE EXCEPTION 'undo' USING ERRCODE = 'P0999';
        EXCEPTION WHEN SQLSTATE 'P0999' THEN NULL; WHEN index_corrupted THEN raised := raised + 1;
        END;
    END LOOP;
    RAISE NOTICE '% wrong, % raised, % right', wrong, raised, right_;
    IF wrong > 0 OR raised < 200 OR right_ < 50 THEN
        RAISE EXCEPTION '% wrong answers, % errors, % right answers', wrong, raised, right_;
    END IF;
END $$;
SELECT * FROM cohort_check();
