WITH
-- $.or[0]: did purchase, 2 to 5 times, average of price less than 99.5
c1 AS (
  SELECT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'purchase'
    AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
  GROUP BY e.customer_id
  HAVING count(*) BETWEEN 2 AND 5
    AND sum(kursaha_cohort.json_number(e.data -> 'price')) < 99.5::numeric * count(kursaha_cohort.json_number(e.data -> 'price'))
),
-- $.or[1]: did purchase, distinct count of items[].sku at least 3
c2 AS (
  SELECT s.customer_id
  FROM (
    SELECT e.customer_id, v1 -> 'sku' AS value
    FROM public.cohort_event e,
      kursaha_cohort.json_elements(e.data -> 'items') AS v1
    WHERE e.event_type = 'purchase'
      AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
  ) s
  WHERE (jsonb_typeof(s.value) IN ('string', 'boolean') OR kursaha_cohort.json_number(s.value) IS NOT NULL)
  GROUP BY s.customer_id
  HAVING count(DISTINCT s.value) >= 3
),
-- $.or[2]: did purchase, more than 1 time, most frequent brand in ("a", 1)
c3 AS (
  SELECT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'purchase'
    AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
  GROUP BY e.customer_id
  HAVING count(*) > 1
  INTERSECT
  SELECT w.customer_id
  FROM (
    SELECT DISTINCT ON (n.customer_id) n.customer_id, n.value
    FROM (
      SELECT s.customer_id, s.value, count(*) AS times
      FROM (
        SELECT e.customer_id, e.data -> 'brand' AS value
        FROM public.cohort_event e
        WHERE e.event_type = 'purchase'
          AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
      ) s
      WHERE (jsonb_typeof(s.value) IN ('string', 'boolean') OR kursaha_cohort.json_number(s.value) IS NOT NULL)
      GROUP BY s.customer_id, s.value
    ) n
    ORDER BY n.customer_id, n.times DESC,
      CASE jsonb_typeof(n.value)
        WHEN 'number' THEN trim_scale(kursaha_cohort.json_number(n.value))::text
        ELSE n.value #>> '{}'
      END COLLATE "C",
      jsonb_typeof(n.value)
  ) w
  WHERE (w.value = '"a"' OR kursaha_cohort.json_number(w.value) = 1)
),
-- $: any of these
c4 AS (
  SELECT customer_id FROM c1
  UNION
  SELECT customer_id FROM c2
  UNION
  SELECT customer_id FROM c3
)
SELECT customer_id FROM c4
