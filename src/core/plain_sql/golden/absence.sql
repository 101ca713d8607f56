WITH
-- $.and[0]: did install
c1 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'install'
    AND e.occurred_at <= now()
),
-- $.and[1]: did not signup or subscribe (c2 holds everyone else)
c2 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type IN ('signup', 'subscribe')
    AND e.occurred_at <= now()
),
-- $: all of these
c3 AS (
  SELECT customer_id FROM c1
  EXCEPT
  SELECT customer_id FROM c2
)
SELECT customer_id FROM c3
