WITH
-- everyone: customers with a profile or an event
universe AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  UNION
  SELECT e.customer_id
  FROM public.cohort_event e
  WHERE e.occurred_at <= now()
),
-- $.or[0]: did not signup (c1 holds everyone else)
c1 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'signup'
    AND e.occurred_at <= now()
),
-- $.or[1].not: profile city neq "pune" (c2 holds everyone else)
c2 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE p.profile -> 'city' = '"pune"'
),
-- "vip" $: did purchase, this month, sum of price at least 10000
c3 AS (
  SELECT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'purchase'
    AND e.occurred_at <= now()
    AND e.occurred_at >= (SELECT kursaha_cohort.day_start(date_trunc('month', kursaha_cohort.local_day(now(), 'Asia/Kolkata')::timestamp)::date, 'Asia/Kolkata'))
  GROUP BY e.customer_id
  HAVING sum(kursaha_cohort.json_number(e.data -> 'price')) >= 10000
),
-- cohort "vip"
cohort_1 AS MATERIALIZED (
  SELECT customer_id FROM c3
),
-- cohort "not vip" (cohort_2 holds everyone else)
cohort_2 AS MATERIALIZED (
  SELECT customer_id FROM cohort_1
),
-- cohort "staff"
cohort_3 AS MATERIALIZED (
  SELECT l.customer_id
  FROM kursaha_cohort.readable_list_member l
  WHERE l.cohort_id = 7
    AND EXISTS (SELECT 1 FROM public.cohort_customer p WHERE p.customer_id = l.customer_id)
  UNION
  SELECT l.customer_id
  FROM kursaha_cohort.readable_list_member l
  WHERE l.cohort_id = 7
    AND EXISTS (
      SELECT 1
      FROM public.cohort_event e
      WHERE e.customer_id = l.customer_id
        AND e.occurred_at <= now()
    )
),
-- $: any of these (c4 holds everyone else)
c4 AS (
  SELECT customer_id FROM c1
  EXCEPT
  SELECT customer_id FROM c2
  EXCEPT
  SELECT customer_id FROM cohort_2
  EXCEPT
  SELECT customer_id FROM cohort_3
)
SELECT customer_id FROM universe
EXCEPT
SELECT customer_id FROM c4
