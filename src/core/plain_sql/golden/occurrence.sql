WITH
-- $: did any event (the last one) where plan exists, from 2026-01-01 to 2026-01-31
c1 AS (
  SELECT DISTINCT e.customer_id
  FROM (
    SELECT DISTINCT ON (e.customer_id) e.customer_id, e.occurred_at, e.event_id, e.data
    FROM public.cohort_event e
    WHERE e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
    ORDER BY e.customer_id, e.occurred_at DESC, e.event_id DESC
  ) e
  WHERE e.occurred_at >= kursaha_cohort.day_start(date '2026-01-01', 'Asia/Kolkata')
    AND e.occurred_at < kursaha_cohort.day_start(date '2026-01-31' + 1, 'Asia/Kolkata')
    AND e.data -> 'plan' <> 'null'
)
SELECT customer_id FROM c1
