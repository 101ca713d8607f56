-- What nobody has sealed when the old server stops.
DELETE FROM cohort_event WHERE event_id % 41 = 0;
UPDATE cohort_event SET data = data || '{"price": 59}' WHERE event_id % 43 = 0;
SELECT cohort_forget('c77');
SET kursaha_cohort.segment_rows = 2;
SELECT FROM cohort_seal();
RESET kursaha_cohort.segment_rows;
INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT 'c' || i, 'late', '2025-05-01', jsonb_build_object('price', i) FROM generate_series(1, 500) i;
DELETE FROM cohort_event WHERE event_id % 47 = 0;
UPDATE cohort_customer SET profile = profile || '{"city": "pune"}' WHERE customer_id LIKE 'c10%';
DELETE FROM cohort_customer WHERE customer_id LIKE 'c11%';
SELECT cohort_forget('c78');
SELECT cohort_refresh('buyers');
