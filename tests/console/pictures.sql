-- What the pictures show: cohorts with a history, a destination, a sync that ran, and one that is held.
SET ROLE crm_team;
SELECT cohort_create('Kitchen buyers gone quiet', '{"timezone": "Asia/Kolkata", "and": [
    {"did": "purchase", "where": [{"property": "brand", "operator": "in", "value": ["Kalpa", "Tamra"]}, {"property": "price", "operator": "gt", "value": 300}], "count": {"gte": 2}, "time": {"in_the_last": "90 days"}},
    {"or": [{"profile": "city", "operator": "in", "value": ["Pune", "Nashik", "Kolhapur"]},
            {"sequence": [{"did": "view", "as": "v"}, {"did": "cart", "where": {"property": "productId", "operator": "eq", "ref": "v.productId"}}], "within": "3 days"}]},
    {"not": {"did": "purchase", "time": {"in_the_last": "30 days"}}}]}');
SELECT cohort_update('Kitchen buyers gone quiet', rule || '{"timezone": "Asia/Kolkata"}'::jsonb #- '{and,2}' || jsonb_build_object('and', (rule -> 'and') - 2 || '[{"not": {"did": "purchase", "time": {"in_the_last": "1 week"}}}]'::jsonb))
FROM cohort_definition WHERE name = 'Kitchen buyers gone quiet';
SELECT cohort_create('Left the cart this week', '{"and": [{"did": "cart", "time": {"in_the_last": "7 days"}}, {"did_not": "purchase", "time": {"in_the_last": "7 days"}}]}');
SELECT cohort_create('Signed up, never bought', '{"and": [{"did": "signup", "time": {"more_than_ago": "14 days"}}, {"did_not": "purchase"}]}');
SELECT cohort_create('Spends half of last month', '{"compare": {"did": "purchase", "time": {"this": "month"}, "aggregate": {"fn": "sum", "property": "price"}}, "operator": "lt", "to": {"did": "purchase", "time": {"previous": "month"}, "aggregate": {"fn": "sum", "property": "price"}}, "factor": 0.5}');
SELECT cohort_create('Hold-out 10 % (spring)', '{"sample": {"percent": [0, 10], "salt": "spring"}}');
SELECT cohort_create('Birthday in the next 7 days', '{"profile": "dob", "operator": "birthday_in_the_next", "value": "7 days"}');
SELECT cohort_create('سلة مشتريات متروكة هذا الأسبوع', '{"did": "cart", "time": {"in_the_last": "7 days"}}');
SELECT cohort_import('Held', ARRAY(SELECT customer_id FROM cohort_customer ORDER BY customer_id LIMIT 2400));
SELECT cohort_destination_create('Facebook main', 'facebook_ads', '{"ad_account_id": "12", "audience_name": "Quiet kitchen", "base_url": "@fake@"}', secret => 'file:meta');
SELECT cohort_sync_create('Left the cart this week', 'Facebook main', 'daily', '02:30', 'Asia/Kolkata');
SELECT cohort_sync_create('Held', 'Facebook main', 'daily', '02:30', 'Asia/Kolkata');
SELECT cohort_refresh(name) FROM cohort_definition;
RESET ROLE;
UPDATE kursaha_cohort.refresh SET refreshed_at = now() - interval '61 days';
-- A history: what refreshes of the last 60 days would have kept.
INSERT INTO kursaha_cohort.refresh (cohort_id, version, refreshed_at, size, entered, exited, took)
SELECT c.cohort_id, 1, now() - day * interval '1 day', greatest(1, c.size + (day * c.size / 150.0 * sin(c.cohort_id) + c.size / 30.0 * sin(day * 1.7 + c.cohort_id))::int), 3 + (day * 7 + c.cohort_id) % 11, 2 + (day * 5 + c.cohort_id) % 9, interval '4 ms'
FROM kursaha_cohort.cohort c CROSS JOIN generate_series(1, 60) day ORDER BY day DESC;
SELECT cohort_refresh(name) FROM cohort_definition;
