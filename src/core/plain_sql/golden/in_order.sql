WITH
-- $: view then no logout then cart or wish where price gte 10 then purchase then no refund then no any event where kind eq "complaint" within 1 month
c1_1 AS MATERIALIZED (
  SELECT e.customer_id,
    e.occurred_at,
    e.event_id,
    kursaha_cohort.time_add(e.occurred_at, interval '1 month', 'UTC') AS deadline
  FROM public.cohort_event e
  WHERE e.event_type = 'view'
    AND e.occurred_at <= now()
),
c1_2 AS MATERIALIZED (
  -- role 1: an event that may be next, 2: one that must not lie between, 3: a state after the step before
  SELECT m.customer_id, m.occurred_at, m.event_id, m.reached AS deadline
  FROM (
    SELECT r.*,
      max(r.deadline) OVER (PARTITION BY r.customer_id, r.stretch ORDER BY r.occurred_at, r.event_id, r.role) AS reached
    FROM (
      SELECT r.*,
        count(*) FILTER (WHERE r.role = 2) OVER (PARTITION BY r.customer_id ORDER BY r.occurred_at, r.event_id, r.role) AS stretch
      FROM (
        SELECT s.customer_id, s.occurred_at, s.event_id, 3 AS role, s.deadline
        FROM c1_1 s
        UNION ALL
        SELECT e.customer_id, e.occurred_at, e.event_id, 1, NULL
        FROM public.cohort_event e
        WHERE e.event_type IN ('cart', 'wish')
          AND e.occurred_at <= now()
          AND kursaha_cohort.json_number(e.data -> 'price') >= 10
        UNION ALL
        SELECT n.customer_id, n.occurred_at, n.event_id, 2, NULL
        FROM public.cohort_event n
        WHERE n.event_type = 'logout'
          AND n.occurred_at <= now()
      ) r
    ) r
  ) m
  WHERE m.role = 1
    AND m.occurred_at <= m.reached
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
      WHERE e.event_type = 'purchase'
        AND e.occurred_at <= now()
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
      AND n.occurred_at <= now()
      AND (n.occurred_at, n.event_id) > (s.occurred_at, s.event_id)
      AND n.occurred_at <= s.until
      AND (n.event_type = 'refund' OR n.data -> 'kind' = '"complaint"')
  )
)
SELECT customer_id FROM c1
