-- What rules say of samples, times, periods, occurrences, elements and groups, as a person meets it.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
TRUNCATE cohort_event, cohort_customer;
INSERT INTO cohort_customer (customer_id, profile) VALUES
    ('ana', '{"company": "acme", "trial": {"ends": "2026-01-10"}}'),
    ('ben', '{"company": "acme"}'),
    ('cleo', '{"company": 7}'),
    ('dan', '{"company": 7.0, "dob": "1990-02-28"}'),
    ('eve', '{}');
INSERT INTO cohort_event (customer_id, event_type, occurred_at, data) VALUES
    ('ana', 'signup', '2026-01-01T09:00Z', '{}'),
    ('ana', 'login', '2026-01-05T09:00Z', '{"channel": "web"}'),
    ('ana', 'login', '2026-01-06T23:30Z', '{"channel": "app"}'),
    ('ana', 'login', '2026-01-07T08:00Z', '{"channel": "web"}'),
    ('ben', 'signup', '2026-01-03T09:00Z', '{}'),
    ('ben', 'login', '2026-01-04T10:00Z', '{"channel": "app"}'),
    ('ben', 'order', '2026-01-05T10:00Z', '{"items": [{"sku": "kettle", "quantity": 1}, {"sku": "cup", "quantity": 6}]}'),
    ('cleo', 'order', '2026-01-05T10:00Z', '{"items": [{"sku": "kettle", "quantity": 2}]}');
\set at '''2026-01-08T12:00Z'''

-- samples: the place is what anyone can compute
SELECT cohort_sample_place(customer_id, 'spring') * 18446744073709551616
         = 100 * (('x' || substr(hash, 1, 8))::bit(32)::bigint * 4294967296::numeric + ('x' || substr(hash, 9, 8))::bit(32)::bigint) AS exact
FROM cohort_customer, encode(sha256('spring\000'::bytea || customer_id::bytea), 'hex') AS hash;
SELECT cohort_sample_place('ana', '');
SELECT cohort_sample_place(NULL, 'spring') IS NULL AS null_in_null_out;
SELECT count(*) FROM cohort_evaluate('{"sample": {"percent": [0, 100], "salt": "spring"}}', :at);
SELECT (SELECT count(*) FROM cohort_evaluate('{"sample": {"percent": [0, 37.5], "salt": "spring"}}', :at))
     + (SELECT count(*) FROM cohort_evaluate('{"not": {"sample": {"percent": [0, 37.5], "salt": "spring"}}}', :at)) AS everyone;

-- windows of each customer's own, weekdays, hours, periods
SELECT cohort_evaluate('{"did": "login", "time": {"from": {"first": "signup"}, "within": "1 day 1 hour"}}', :at);
SELECT cohort_evaluate('{"did": "login", "time": {"until": {"profile": "trial.ends"}, "within": "4 days"}, "count": {"gte": 2}}', :at);
SELECT cohort_evaluate('{"did": "login", "time": [{"weekday": "sunday"}, {"hours": ["08:00", "12:00"]}]}', :at);
SELECT cohort_evaluate('{"did": "login", "per": "day", "periods": {"gte": 3, "streak": "current"}}', :at);
SELECT cohort_evaluate('{"did": "login", "per": "day", "periods": {"lte": 1}}', :at) ORDER BY 1;

-- the n-th among some, one element, dates of the calendar
SELECT cohort_evaluate('{"did": "login", "among": {"property": "channel", "operator": "eq", "value": "web"}, "occurrence": {"nth": 2}}', :at);
SELECT cohort_evaluate('{"did": "order", "where": {"element": "items", "where": [{"property": "sku", "operator": "eq", "value": "kettle"},
                                                     {"property": "quantity", "operator": "gte", "value": 2}]}}', :at);
SELECT cohort_evaluate('{"profile": "trial.ends", "operator": "next", "value": "2 days"}', :at);
SELECT cohort_evaluate('{"profile": "dob", "operator": "anniversary_this", "value": "month"}', '2026-02-01Z');

-- groups
SELECT cohort_evaluate('{"group": "company", "all": {"did": "login"}}', :at) ORDER BY 1;
SELECT cohort_evaluate('{"group": "company", "none": {"did": "login"}}', :at) ORDER BY 1;
SELECT * FROM cohort_groups('{"did": "order"}'::jsonb, 'company', :at) ORDER BY 1;
SELECT * FROM cohort_groups('{"did": "order"}', 'company', :at) ORDER BY 1;
SELECT * FROM cohort_groups('{"did": "order"}'::jsonb, 'company[]', :at);

-- one customer is asked as all are; cohort_why has what decides
SELECT cohort_create('acme logins', '{"and": [{"group": "company", "any": {"did": "login", "per": "day", "periods": {"gte": 2}}},
                                              {"did": "login", "time": {"from": {"first": "signup"}}}]}') IS NOT NULL AS created;
SELECT customer_id, cohort_contains('acme logins', customer_id, :at) FROM cohort_customer ORDER BY 1;
SELECT path, condition, holds, evidence FROM cohort_why('acme logins', 'ben', :at);
SELECT condition, customers, events, how FROM cohort_explain('acme logins', :at);
SELECT condition, holds FROM cohort_why('{"sample": {"percent": [0, 100], "salt": "spring"}}', 'eve', :at);
SELECT cohort_sql('{"group": "company", "any": {"did": "login", "time": {"until": {"last": "order"}, "within": "1 day"}}}', :at);
SELECT cohort_drop('acme logins');

-- what people will write
SELECT * FROM cohort_validate('{"and": [{"did": "e", "time": {"from": "2026-01-01"}}, {"did": "e", "occurrence": 2},
    {"did": "e", "per": "days", "periods": {"gte": 1}}, {"did": "e", "time": {"weekday": ["Sat"]}}]}');
