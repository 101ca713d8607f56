WITH
-- $: cart as c, in the last 7 days then no purchase where productId eq c.productId within 1 day
c1_1 AS MATERIALIZED (
  SELECT e.customer_id,
    e.occurred_at,
    e.event_id,
    e.data -> 'productId' AS b1,
    kursaha_cohort.time_add(e.occurred_at, interval '1 day', 'UTC') AS until
  FROM public.cohort_event e
  WHERE e.event_type = 'cart'
    AND e.occurred_at <= now()
    AND e.occurred_at > (SELECT kursaha_cohort.time_subtract(now(), interval '7 days', 'UTC'))
),
c1 AS (
  SELECT DISTINCT s.customer_id
  FROM c1_1 s
  WHERE NOT EXISTS (
    SELECT 1
    FROM public.cohort_event n
    WHERE n.customer_id = s.customer_id
      AND n.occurred_at <= now()
      AND (n.occurred_at, n.event_id) > (s.occurred_at, s.event_id)
      AND n.occurred_at <= s.until
      AND n.event_type = 'purchase'
      AND coalesce(to_jsonb(kursaha_cohort.json_number(n.data -> 'productId')), n.data -> 'productId') = coalesce(to_jsonb(kursaha_cohort.json_number(s.b1)), s.b1)
      AND CASE jsonb_typeof(s.b1)
        WHEN 'string' THEN n.data -> 'productId' = s.b1
        WHEN 'number' THEN kursaha_cohort.json_number(n.data -> 'productId') = kursaha_cohort.json_number(s.b1)
        WHEN 'boolean' THEN n.data -> 'productId' = s.b1
      END
  )
)
SELECT customer_id FROM c1
