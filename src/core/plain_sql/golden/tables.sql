WITH
-- everyone: customers with a profile or an event
universe AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  UNION
  SELECT e.customer_id
  FROM public.cohort_event e
  WHERE e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
),
-- $.or[0]: customer in Customer of crm."Key Account" where since in_the_last 1 year and discount.rate gt row.rate
c1 AS (
  SELECT u.customer_id
  FROM universe u
  WHERE u.customer_id IN (
    SELECT kursaha_cohort.row_text(r."Customer") COLLATE "C"
    FROM "crm"."Key Account" r
    WHERE (
      kursaha_cohort.json_instant(kursaha_cohort.row_json(r."since"), 'UTC') > kursaha_cohort.time_subtract(timestamptz '2026-11-01 00:00:00+00', interval '1 year', 'UTC')
      AND kursaha_cohort.json_instant(kursaha_cohort.row_json(r."since"), 'UTC') <= timestamptz '2026-11-01 00:00:00+00'
    )
      AND CASE jsonb_typeof(kursaha_cohort.row_json(r."rate"))
        WHEN 'string' THEN kursaha_cohort.json_text(kursaha_cohort.row_json(r."discount") -> 'rate') > kursaha_cohort.json_text(kursaha_cohort.row_json(r."rate")) COLLATE "C"
        WHEN 'number' THEN kursaha_cohort.json_number(kursaha_cohort.row_json(r."discount") -> 'rate') > kursaha_cohort.json_number(kursaha_cohort.row_json(r."rate"))
      END
  )
),
-- $.or[1]: did purchase where an element of items where (sku in id of shop.product)
c2 AS (
  SELECT DISTINCT e.customer_id
  FROM public.cohort_event e
  WHERE e.event_type = 'purchase'
    AND e.occurred_at <= timestamptz '2026-11-01 00:00:00+00'
    AND EXISTS (
      SELECT 1
      FROM kursaha_cohort.json_elements(e.data -> 'items') AS v1
      WHERE (
        v1 <> 'null'
        AND EXISTS (
          SELECT 1
          FROM unnest(ARRAY[
            CASE WHEN jsonb_typeof(v1 -> 'sku') IN ('string', 'boolean') THEN v1 -> 'sku' END,
            to_jsonb(kursaha_cohort.json_number(v1 -> 'sku'))
          ]) AS v2
          WHERE v2 IN (
            SELECT kursaha_cohort.row_json(r."id")
            FROM "shop"."product" r
          )
        )
      )
    )
),
-- $.or[2]: profile city not_in name of shop.city where an element of tags where (. eq "metro") ignoring case (c3 holds everyone else)
c3 AS (
  SELECT p.customer_id
  FROM public.cohort_customer p
  WHERE EXISTS (
    SELECT 1
    FROM unnest(ARRAY[
      CASE WHEN jsonb_typeof(p.profile -> 'city') IN ('string', 'boolean') THEN coalesce(to_jsonb(kursaha_cohort.simple_lower(kursaha_cohort.json_text(p.profile -> 'city'))), p.profile -> 'city') END,
      to_jsonb(kursaha_cohort.json_number(p.profile -> 'city'))
    ]) AS v1
    WHERE v1 IN (
      SELECT coalesce(to_jsonb(kursaha_cohort.simple_lower(kursaha_cohort.json_text(kursaha_cohort.row_json(r."name")))), kursaha_cohort.row_json(r."name"))
      FROM "shop"."city" r
      WHERE EXISTS (
        SELECT 1
        FROM kursaha_cohort.json_elements(kursaha_cohort.row_json(r."tags")) AS v1
        WHERE (v1 <> 'null' AND v1 = '"metro"')
      )
    )
  )
),
-- $: any of these (c4 holds everyone else)
c4 AS (
  SELECT customer_id FROM c3
  EXCEPT
  SELECT customer_id FROM c1
  EXCEPT
  SELECT customer_id FROM c2
)
SELECT customer_id FROM universe
EXCEPT
SELECT customer_id FROM c4
