WITH
-- $: did purchase where (items[].sku in ("A", "b", true, 3, 1.5) ignoring case or items[].tags contains_all ("x", 5) or not (note contains "ÉT" ignoring case)) and […
c1 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'purchase'
    AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
    AND (
      EXISTS (
        SELECT 1
        FROM kursaha_cohort.json_elements(e.data -> 'items') AS v1
        WHERE (
          v1 -> 'sku' = 'true'
          OR kursaha_cohort.simple_lower(kursaha_cohort.json_text(v1 -> 'sku')) COLLATE "C" IN ('a', 'b')
          OR kursaha_cohort.json_number(v1 -> 'sku') IN (3, 1.5)
        )
      )
      OR EXISTS (
        SELECT 1
        FROM kursaha_cohort.json_elements(e.data -> 'items') AS v1
        WHERE (
          v1 -> 'tags' @> '["x"]'
          AND ARRAY(SELECT kursaha_cohort.json_number(v2) FROM kursaha_cohort.json_elements(v1 -> 'tags') AS v2) @> ARRAY[5]::numeric[]
        )
      )
      OR (
        strpos(kursaha_cohort.simple_lower(kursaha_cohort.json_text(e.data -> 'note')), 'ét') > 0
        OR EXISTS (
          SELECT 1
          FROM kursaha_cohort.json_elements(e.data -> 'note') AS v1
          WHERE kursaha_cohort.simple_lower(kursaha_cohort.json_text(v1)) COLLATE "C" = 'ét'
        )
      ) IS NOT TRUE
    )
    AND (kursaha_cohort.json_text(e.data -> 'a.b' -> 'c') COLLATE "C" BETWEEN 'm' AND 'p') IS NOT TRUE
    AND right(kursaha_cohort.json_text(e.data -> 'mail'), 12) COLLATE "C" = '@example.com'
    AND kursaha_cohort.regex_match(kursaha_cohort.json_text(e.data -> 'mail'), E'^\\w+\\.', true)
    AND NOT EXISTS (SELECT 1 FROM kursaha_cohort.json_elements(e.data -> 'tags') AS v1 WHERE v1 IN ('"x"', '"y"'))
)
SELECT customer_id FROM c1
