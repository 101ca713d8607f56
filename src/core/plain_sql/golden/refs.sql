WITH
-- $.or[0]: did order where paid lt event.total and city neq ["profile", "a.b"] ignoring case and an element of items where (due on element.sent)
c1 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'order'
    AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
    AND CASE jsonb_typeof(e.data -> 'total')
      WHEN 'string' THEN kursaha_cohort.json_text(e.data -> 'paid') < kursaha_cohort.json_text(e.data -> 'total') COLLATE "C"
      WHEN 'number' THEN kursaha_cohort.json_number(e.data -> 'paid') < kursaha_cohort.json_number(e.data -> 'total')
    END
    AND (CASE jsonb_typeof((SELECT p.profile FROM public.cohort_customer p WHERE p.customer_id = e.customer_id) -> 'a.b')
      WHEN 'string' THEN kursaha_cohort.simple_lower(kursaha_cohort.json_text(e.data -> 'city')) COLLATE "C" = kursaha_cohort.simple_lower(kursaha_cohort.json_text((SELECT p.profile FROM public.cohort_customer p WHERE p.customer_id = e.customer_id) -> 'a.b')) COLLATE "C"
      WHEN 'number' THEN kursaha_cohort.json_number(e.data -> 'city') = kursaha_cohort.json_number((SELECT p.profile FROM public.cohort_customer p WHERE p.customer_id = e.customer_id) -> 'a.b')
      WHEN 'boolean' THEN e.data -> 'city' = (SELECT p.profile FROM public.cohort_customer p WHERE p.customer_id = e.customer_id) -> 'a.b'
    END) IS NOT TRUE
    AND EXISTS (
      SELECT 1
      FROM kursaha_cohort.json_elements(e.data -> 'items') AS v1
      WHERE (
        v1 <> 'null'
        AND CASE length(kursaha_cohort.json_text(v1 -> 'sent'))
          WHEN 10 THEN kursaha_cohort.json_day(v1 -> 'due', 'UTC') = kursaha_cohort.json_day(v1 -> 'sent', 'UTC')
          ELSE kursaha_cohort.json_instant(v1 -> 'due', 'UTC') = kursaha_cohort.json_instant(v1 -> 'sent', 'UTC')
        END
      )
    )
),
-- $.or[1]: profile joined since profile.invited
c2 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE kursaha_cohort.json_instant(p.profile -> 'joined', 'UTC') >= kursaha_cohort.json_instant(p.profile -> 'invited', 'UTC')
),
-- $: any of these
c3 AS (
  SELECT customer_id FROM c1
  UNION
  SELECT customer_id FROM c2
)
SELECT customer_id FROM c3
