WITH
-- $.and[0]: profile born anniversary_in_the_next 7 days
c1 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE kursaha_cohort.anniversary_between(
    kursaha_cohort.json_day(p.profile -> 'born', 'Asia/Kolkata'),
    (SELECT kursaha_cohort.local_day($1, 'Asia/Kolkata')),
    (SELECT kursaha_cohort.local_day(kursaha_cohort.time_add($1, interval '7 days', 'Asia/Kolkata'), 'Asia/Kolkata'))
  )
),
-- $.and[1]: profile joined since 2026-03-01T10:00:00
c2 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE kursaha_cohort.json_instant(p.profile -> 'joined', 'Asia/Kolkata') >= kursaha_cohort.json_instant('"2026-03-01T10:00:00"', 'Asia/Kolkata')
),
-- $.and[2]: profile joined before 2026-03-01T10:00:00.25+05:30
c3 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE kursaha_cohort.json_instant(p.profile -> 'joined', 'Asia/Kolkata') < timestamptz '2026-03-01 04:30:00.250000+00'
),
-- $.and[3]: profile left not_exists (c4 holds everyone else)
c4 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE p.profile -> 'left' <> 'null'
),
-- $.and[4]: profile renews in_the_next 1 month 36 hours
c5 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE (
    kursaha_cohort.json_instant(p.profile -> 'renews', 'Asia/Kolkata') > $1
    AND kursaha_cohort.json_instant(p.profile -> 'renews', 'Asia/Kolkata') <= (SELECT kursaha_cohort.time_add($1, interval '1 month 36 hours', 'Asia/Kolkata'))
  )
),
-- $.and[5]: profile paid on 2026-03-01
c6 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE kursaha_cohort.json_day(p.profile -> 'paid', 'Asia/Kolkata') = date '2026-03-01'
),
-- $: all of these
c7 AS (
  SELECT customer_id FROM c1
  INTERSECT
  SELECT customer_id FROM c2
  INTERSECT
  SELECT customer_id FROM c3
  INTERSECT
  SELECT customer_id FROM c5
  INTERSECT
  SELECT customer_id FROM c6
  EXCEPT
  SELECT customer_id FROM c4
)
SELECT customer_id FROM c7
