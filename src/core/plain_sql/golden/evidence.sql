SELECT
  EXISTS (
    WITH
    -- $.and[0]: did purchase, sum of price at least 100
    c1 AS (
      SELECT e.customer_id
      FROM public.cohort_event e
      WHERE e.customer_id = $1
        AND e.event_type = 'purchase'
        AND e.occurred_at <= now()
      GROUP BY e.customer_id
      HAVING sum(kursaha_cohort.json_number(e.data -> 'price')) >= 100
    )
    SELECT customer_id FROM c1
  ) AS holds,
  jsonb_build_object(
    'count', (
      SELECT count(*)
      FROM public.cohort_event e
      WHERE e.customer_id = $1
        AND e.event_type = 'purchase'
        AND e.occurred_at <= now()
    ),
    'event_ids', (
      SELECT coalesce(jsonb_agg(f.event_id ORDER BY f.occurred_at, f.event_id), '[]')
      FROM (
        SELECT e.event_id, e.occurred_at
        FROM public.cohort_event e
        WHERE e.customer_id = $1
          AND e.event_type = 'purchase'
          AND e.occurred_at <= now()
        ORDER BY e.occurred_at, e.event_id
        LIMIT 10
      ) f
    ),
    'aggregate', (
      SELECT to_jsonb(sum(kursaha_cohort.json_number(e.data -> 'price')))
      FROM public.cohort_event e
      WHERE e.customer_id = $1
        AND e.event_type = 'purchase'
        AND e.occurred_at <= now()
    )
  ) AS evidence;

SELECT
  EXISTS (
    WITH
    -- $.and[1]: profile items[].sku eq "a"
    c1 AS (
      SELECT p.customer_id
      FROM public.cohort_customer p
      WHERE p.customer_id = $1
        AND EXISTS (SELECT 1 FROM kursaha_cohort.json_elements(p.profile -> 'items') AS v1 WHERE v1 -> 'sku' = '"a"')
    )
    SELECT customer_id FROM c1
  ) AS holds,
  jsonb_build_object(
    'value', (
      SELECT jsonb_agg(v1 -> 'sku')
      FROM public.cohort_customer p,
        kursaha_cohort.json_elements(p.profile -> 'items') AS v1
      WHERE p.customer_id = $1
    )
  ) AS evidence;

SELECT
  EXISTS (
    WITH
    -- $.and[2]: a then b within 1 day
    c1_1 AS MATERIALIZED (
      SELECT e.customer_id,
        e.occurred_at,
        e.event_id,
        kursaha_cohort.time_add(e.occurred_at, interval '1 day', 'UTC') AS deadline
      FROM public.cohort_event e
      WHERE e.customer_id = $1
        AND e.event_type = 'a'
        AND e.occurred_at <= now()
    ),
    c1_2 AS MATERIALIZED (
      -- role 1: an event that may be next, 2: one that must not lie between, 3: a state after the step before
      SELECT m.customer_id, m.occurred_at, m.event_id
      FROM (
        SELECT r.*,
          max(r.deadline) OVER (PARTITION BY r.customer_id ORDER BY r.occurred_at, r.event_id, r.role) AS reached
        FROM (
          SELECT s.customer_id, s.occurred_at, s.event_id, 3 AS role, s.deadline
          FROM c1_1 s
          UNION ALL
          SELECT e.customer_id, e.occurred_at, e.event_id, 1, NULL
          FROM public.cohort_event e
          WHERE e.customer_id = $1
            AND e.event_type = 'b'
            AND e.occurred_at <= now()
        ) r
      ) m
      WHERE m.role = 1
        AND m.occurred_at <= m.reached
    ),
    c1 AS (
      SELECT DISTINCT s.customer_id
      FROM c1_2 s
    )
    SELECT customer_id FROM c1
  ) AS holds,
  jsonb_build_object(
    'event_ids', (
      WITH
      t_1 AS MATERIALIZED (
        SELECT e.customer_id,
          e.occurred_at,
          e.event_id,
          kursaha_cohort.time_add(e.occurred_at, interval '1 day', 'UTC') AS deadline,
          jsonb_build_array(e.event_id) AS event_ids
        FROM public.cohort_event e
        WHERE e.customer_id = $1
          AND e.event_type = 'a'
          AND e.occurred_at <= now()
      ),
      t_2 AS MATERIALIZED (
        SELECT DISTINCT ON (e.customer_id, e.occurred_at, e.event_id) e.customer_id,
          e.occurred_at,
          e.event_id,
          s.deadline,
          s.event_ids || to_jsonb(e.event_id) AS event_ids
        FROM t_1 s
        JOIN public.cohort_event e ON e.customer_id = s.customer_id
          AND (e.occurred_at, e.event_id) > (s.occurred_at, s.event_id)
        WHERE e.customer_id = $1
          AND e.event_type = 'b'
          AND e.occurred_at <= now()
          AND e.occurred_at <= s.deadline
        ORDER BY e.customer_id, e.occurred_at, e.event_id, s.deadline DESC
      )
      SELECT s.event_ids
      FROM t_2 s
      ORDER BY s.occurred_at, s.event_id
      LIMIT 1
    )
  ) AS evidence
