WITH
-- $: no login, within 30 days then login (number 2 of those where web exists) then cart, 2 times, at least 1 hour, within 2 days later then no refund, within 7 days …
c1_1 AS MATERIALIZED (
  SELECT e.customer_id,
    e.occurred_at,
    e.event_id,
    kursaha_cohort.time_add(e.occurred_at, interval '1 month', 'UTC') AS deadline
  FROM (
    SELECT e.customer_id, e.occurred_at, e.event_id, e.data,
      row_number() OVER (PARTITION BY e.customer_id ORDER BY e.occurred_at, e.event_id) AS place
    FROM public.cohort_event e
    WHERE e.event_type = 'login'
      AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
      AND e.data -> 'web' <> 'null'
  ) e
  WHERE e.place = 2
    AND NOT EXISTS (
      SELECT 1
      FROM public.cohort_event n
      WHERE n.customer_id = e.customer_id
        AND n.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
        AND (n.occurred_at, n.event_id) < (e.occurred_at, e.event_id)
        AND n.event_type = 'login'
        AND n.occurred_at >= kursaha_cohort.time_subtract(e.occurred_at, interval '30 days', 'UTC')
    )
),
c1_2 AS MATERIALIZED (
  SELECT e.customer_id, e.occurred_at, e.event_id, max(s.deadline) AS deadline
  FROM c1_1 s
  JOIN public.cohort_event e ON e.customer_id = s.customer_id
    AND (e.occurred_at, e.event_id) > (s.occurred_at, s.event_id)
  WHERE e.event_type = 'cart'
    AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
    AND e.occurred_at <= s.deadline
    AND e.occurred_at >= kursaha_cohort.time_add(s.occurred_at, interval '1 hour', 'UTC')
    AND e.occurred_at <= kursaha_cohort.time_add(s.occurred_at, interval '2 days', 'UTC')
  GROUP BY e.customer_id, e.occurred_at, e.event_id
),
c1_3 AS MATERIALIZED (
  -- role 1: an event that may be next, 2: one that must not lie between, 3: a state after the step before
  SELECT m.customer_id,
    m.occurred_at,
    m.event_id,
    kursaha_cohort.time_add(m.occurred_at, interval '1 month', 'UTC') AS until
  FROM (
    SELECT r.*,
      max(r.deadline) OVER (PARTITION BY r.customer_id ORDER BY r.occurred_at, r.event_id, r.role) AS reached
    FROM (
      SELECT s.customer_id, s.occurred_at, s.event_id, 3 AS role, s.deadline
      FROM c1_2 s
      UNION ALL
      SELECT e.customer_id, e.occurred_at, e.event_id, 1, NULL
      FROM public.cohort_event e
      WHERE e.event_type = 'cart'
        AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
    ) r
  ) m
  WHERE m.role = 1
    AND m.occurred_at <= m.reached
),
c1 AS (
  SELECT DISTINCT s.customer_id
  FROM c1_3 s
  WHERE NOT EXISTS (
    SELECT 1
    FROM public.cohort_event n
    WHERE n.customer_id = s.customer_id
      AND n.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
      AND (n.occurred_at, n.event_id) > (s.occurred_at, s.event_id)
      AND n.occurred_at <= s.until
      AND n.event_type = 'refund'
      AND n.occurred_at <= kursaha_cohort.time_add(s.occurred_at, interval '7 days', 'UTC')
  )
)
SELECT customer_id FROM c1
