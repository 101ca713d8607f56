WITH
-- $.or[0].of.not: did refund
c1 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'refund'
    AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
),
-- $.or[0]: the first 1000 of the customers of its condition by the smallest avg of price of purchase, among all with the same city
c2 AS (
  SELECT r.customer_id
  FROM (
    SELECT f.key AS customer_id,
      trim_scale(f.total / nullif(f.number, 0)) AS figure,
      g.value,
      row_number() OVER (PARTITION BY g.value ORDER BY f.sorted, f.key COLLATE "C") AS place,
      count(*) OVER (PARTITION BY g.value) AS customers
    FROM (
      SELECT f.key, f.total, f.number,
        div(f.total * ('1e' || max(scale(f.total)) OVER () + 40)::numeric, f.number) AS sorted
      FROM (
        SELECT e.customer_id AS key, sum(kursaha_cohort.json_number(e.data -> 'price')) AS total, count(kursaha_cohort.json_number(e.data -> 'price')) AS number
        FROM public.cohort_event e
        WHERE e.event_type = 'purchase'
          AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
        GROUP BY e.customer_id
      ) f
      WHERE f.total IS NOT NULL
    ) f
    JOIN (
      SELECT s.customer_id, s.value
      FROM (
        SELECT p.customer_id, p.profile -> 'city' AS value
        FROM public.cohort_customer p
      ) s
      WHERE (jsonb_typeof(s.value) IN ('string', 'boolean') OR kursaha_cohort.json_number(s.value) IS NOT NULL)
    ) g ON g.customer_id = f.key
    WHERE f.key NOT IN (SELECT customer_id FROM c1)
  ) r
  WHERE r.place <= 1000
),
-- $.or[1]: 0 to 2.5 % by the largest profile points
c3 AS (
  SELECT r.customer_id
  FROM (
    SELECT f.key AS customer_id,
      f.total AS figure,
      row_number() OVER (ORDER BY f.total DESC, f.key COLLATE "C") AS place,
      count(*) OVER () AS customers
    FROM (
      SELECT f.key, f.total
      FROM (
        SELECT p.customer_id AS key, kursaha_cohort.json_number(p.profile -> 'points') AS total
        FROM public.cohort_customer p
      ) f
      WHERE f.total IS NOT NULL
    ) f
  ) r
  WHERE (r.place - 1) * 100 >= 0 * r.customers
    AND (r.place - 1) * 100 < 2.5 * r.customers
),
-- $: any of these
c4 AS (
  SELECT customer_id FROM c2
  UNION
  SELECT customer_id FROM c3
)
SELECT customer_id FROM c4
