WITH
-- $: did purchase where brand eq "something" and price gt 1000
c1 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'purchase'
    AND e.occurred_at <= now()
    AND e.data -> 'brand' = '"something"'
    AND kursaha_cohort.json_number(e.data -> 'price') > 1000
)
SELECT customer_id FROM c1
