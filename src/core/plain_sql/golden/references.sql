WITH
-- $: view as v then no hide where id eq v.id then cart as c where items[].id eq v.id ignoring case then purchase where cart eq c.cart.id
c1_1 AS MATERIALIZED (
  SELECT e.customer_id, e.occurred_at, e.event_id, e.data -> 'id' AS b1
  FROM public.cohort_event e
  WHERE e.event_type = 'view'
    AND e.occurred_at <= now()
),
c1_2 AS MATERIALIZED (
  SELECT DISTINCT e.customer_id, e.occurred_at, e.event_id, e.data -> 'cart' AS b2
  FROM c1_1 s
  JOIN public.cohort_event e ON e.customer_id = s.customer_id
    AND (e.occurred_at, e.event_id) > (s.occurred_at, s.event_id)
  WHERE e.event_type = 'cart'
    AND e.occurred_at <= now()
    AND EXISTS (
      SELECT 1
      FROM kursaha_cohort.json_elements(e.data -> 'items') AS v1
      WHERE CASE jsonb_typeof(s.b1)
        WHEN 'string' THEN kursaha_cohort.simple_lower(kursaha_cohort.json_text(v1 -> 'id')) COLLATE "C" = kursaha_cohort.simple_lower(kursaha_cohort.json_text(s.b1)) COLLATE "C"
        WHEN 'number' THEN kursaha_cohort.json_number(v1 -> 'id') = kursaha_cohort.json_number(s.b1)
        WHEN 'boolean' THEN v1 -> 'id' = s.b1
      END
    )
    AND NOT EXISTS (
      SELECT 1
      FROM public.cohort_event n
      WHERE n.customer_id = s.customer_id
        AND n.occurred_at <= now()
        AND (n.occurred_at, n.event_id) > (s.occurred_at, s.event_id)
        AND (n.occurred_at, n.event_id) < (e.occurred_at, e.event_id)
        AND n.event_type = 'hide'
        AND coalesce(to_jsonb(kursaha_cohort.json_number(n.data -> 'id')), n.data -> 'id') = coalesce(to_jsonb(kursaha_cohort.json_number(s.b1)), s.b1)
        AND CASE jsonb_typeof(s.b1)
          WHEN 'string' THEN n.data -> 'id' = s.b1
          WHEN 'number' THEN kursaha_cohort.json_number(n.data -> 'id') = kursaha_cohort.json_number(s.b1)
          WHEN 'boolean' THEN n.data -> 'id' = s.b1
        END
    )
),
c1_3 AS MATERIALIZED (
  SELECT DISTINCT e.customer_id, e.occurred_at, e.event_id
  FROM c1_2 s
  JOIN public.cohort_event e ON e.customer_id = s.customer_id
    AND (e.occurred_at, e.event_id) > (s.occurred_at, s.event_id)
  WHERE e.event_type = 'purchase'
    AND e.occurred_at <= now()
    AND coalesce(to_jsonb(kursaha_cohort.json_number(e.data -> 'cart')), e.data -> 'cart') = coalesce(to_jsonb(kursaha_cohort.json_number(s.b2 -> 'id')), s.b2 -> 'id')
    AND CASE jsonb_typeof(s.b2 -> 'id')
      WHEN 'string' THEN e.data -> 'cart' = s.b2 -> 'id'
      WHEN 'number' THEN kursaha_cohort.json_number(e.data -> 'cart') = kursaha_cohort.json_number(s.b2 -> 'id')
      WHEN 'boolean' THEN e.data -> 'cart' = s.b2 -> 'id'
    END
),
c1 AS (
  SELECT DISTINCT s.customer_id
  FROM c1_3 s
)
SELECT customer_id FROM c1
