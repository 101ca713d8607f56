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
-- $: did view, at most 2 times, the previous quarter (c1 holds everyone else)
c1 AS (
  SELECT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'view'
    AND e.occurred_at <= now()
    AND e.occurred_at >= (SELECT kursaha_cohort.day_start((date_trunc('quarter', kursaha_cohort.local_day(now(), 'UTC')::timestamp) - interval '3 months')::date, 'UTC'))
    AND e.occurred_at < (SELECT kursaha_cohort.day_start(date_trunc('quarter', kursaha_cohort.local_day(now(), 'UTC')::timestamp)::date, 'UTC'))
  GROUP BY e.customer_id
  HAVING count(*) > 2
)
SELECT customer_id FROM universe
EXCEPT
SELECT customer_id FROM c1
