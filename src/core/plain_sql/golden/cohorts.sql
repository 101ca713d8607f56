WITH
-- $.and[0]: did cart, at least 2 times, in the last 7 days
c1 AS (
  SELECT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'cart'
    AND e.occurred_at <= now()
    AND e.occurred_at > (SELECT kursaha_cohort.time_subtract(now(), interval '7 days', 'UTC'))
  GROUP BY e.customer_id
  HAVING count(*) >= 2
),
-- $.and[1]: did not purchase, in the last 7 days (c2 holds everyone else)
c2 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'purchase'
    AND e.occurred_at <= now()
    AND e.occurred_at > (SELECT kursaha_cohort.time_subtract(now(), interval '7 days', 'UTC'))
),
-- $.and[2].or[0]: profile city in ("pune", "mumbai")
c3 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE p.profile -> 'city' IN ('"pune"', '"mumbai"')
),
-- "vip" $: did purchase, this month, sum of price at least 10000
c4 AS (
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
  SELECT customer_id FROM c4
),
-- $.and[2]: any of these
c5 AS (
  SELECT customer_id FROM c3
  UNION
  SELECT customer_id FROM cohort_1
),
-- $: all of these
c6 AS (
  SELECT customer_id FROM c1
  INTERSECT
  SELECT customer_id FROM c5
  EXCEPT
  SELECT customer_id FROM c2
)
SELECT customer_id FROM c6
