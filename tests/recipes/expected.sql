-- The members of each recipe of docs/RECIPES.md, in plain SQL written from its sentence alone. `e` are the events up to
-- the instant asked about, `p` the profiles, `everyone` their customers; :at is that instant, the time zone UTC.

-- ### New customers: first purchase this month
SELECT customer_id FROM e WHERE event_type = 'purchase' GROUP BY customer_id HAVING min(occurred_at) >= '2026-03-01'

-- ### One-time buyers: a single purchase, more than 60 days ago
SELECT customer_id FROM e WHERE event_type = 'purchase' GROUP BY customer_id
HAVING count(*) = 1 AND max(occurred_at) <= :at - interval '60 days'

-- ### Regulars: three purchases or more within the last year
SELECT customer_id FROM e WHERE event_type = 'purchase' AND occurred_at > :at - interval '1 year'
GROUP BY customer_id HAVING count(*) >= 3

-- ### Lapsed: bought once, but nothing for 90 days
SELECT customer_id FROM e WHERE event_type = 'purchase' GROUP BY customer_id
HAVING max(occurred_at) <= :at - interval '90 days'

-- ### Won back: buys again after a pause of three months
SELECT customer_id FROM e WHERE event_type = 'purchase' GROUP BY customer_id
HAVING max(occurred_at) > :at - interval '30 days' AND min(occurred_at) <= :at - interval '120 days'
   AND count(*) FILTER (WHERE occurred_at > :at - interval '120 days' AND occurred_at <= :at - interval '30 days') = 0

-- ### Dormant: known, but not a sign of life for 60 days
SELECT customer_id FROM everyone
EXCEPT SELECT customer_id FROM e WHERE occurred_at > :at - interval '60 days'

-- ### Customers for a year: the day on which they joined comes round within the next 7 days
SELECT customer_id FROM p WHERE to_char((profile ->> 'joined')::date, 'MM-DD') BETWEEN '03-15' AND '03-22'

-- ### Big spenders: 1,000 or more within the last year
SELECT customer_id FROM e WHERE event_type = 'purchase' AND occurred_at > :at - interval '1 year'
GROUP BY customer_id HAVING sum((data ->> 'price')::numeric) >= 1000

-- ### Large baskets: an average purchase above 120, over two purchases or more
SELECT customer_id FROM e WHERE event_type = 'purchase' GROUP BY customer_id
HAVING count(*) >= 2 AND sum((data ->> 'price')::numeric) > 120 * count(*)

-- ### Champions: recent, frequent and valuable
SELECT customer_id FROM e WHERE event_type = 'purchase' AND occurred_at > :at - interval '1 year' GROUP BY customer_id
HAVING max(occurred_at) > :at - interval '30 days' AND count(*) >= 4 AND sum((data ->> 'price')::numeric) >= 500

-- ### Bought the machine, never the beans
SELECT customer_id FROM e WHERE event_type = 'purchase' GROUP BY customer_id
HAVING bool_or(data ->> 'category' = 'coffee machines') AND NOT bool_or(data ->> 'category' = 'coffee beans')

-- ### All-rounders: three categories or more
SELECT customer_id FROM e WHERE event_type = 'purchase' GROUP BY customer_id
HAVING count(DISTINCT data ->> 'category') >= 3

-- ### Book lovers: nothing is bought more often than books
-- Books come first among the categories, so a tie is theirs.
SELECT customer_id FROM (SELECT customer_id, data ->> 'category' AS category, count(*) AS bought FROM e
    WHERE event_type = 'purchase' GROUP BY 1, 2) AS c
GROUP BY customer_id HAVING max(bought) = max(bought) FILTER (WHERE category = 'books')

-- ### Discount hunters: three purchases with a coupon, none without
SELECT customer_id FROM e WHERE event_type = 'purchase' GROUP BY customer_id
HAVING count(*) >= 3 AND count(*) = count(data ->> 'coupon')

-- ### The last purchase was a large one, above 200
SELECT customer_id FROM (SELECT DISTINCT ON (customer_id) customer_id, data FROM e WHERE event_type = 'purchase'
    ORDER BY customer_id, occurred_at DESC, event_id DESC) AS last
WHERE (data ->> 'price')::numeric > 200

-- ### Bought a kettle, in whatever purchase
SELECT customer_id FROM e, jsonb_array_elements(data -> 'items') AS item
WHERE event_type = 'purchase' AND item ->> 'sku' = 'kettle'

-- ### Cart abandoners of the last week, product by product
SELECT cart.customer_id FROM e AS cart
WHERE cart.event_type = 'cart' AND cart.occurred_at > :at - interval '7 days'
  AND NOT EXISTS (SELECT FROM e AS bought WHERE bought.customer_id = cart.customer_id
    AND bought.event_type = 'purchase' AND bought.data ->> 'product' = cart.data ->> 'product'
    AND (bought.occurred_at, bought.event_id) > (cart.occurred_at, cart.event_id)
    AND bought.occurred_at <= cart.occurred_at + interval '1 day')

-- ### Window shoppers: five visits within two weeks, no purchase
SELECT customer_id FROM e WHERE occurred_at > :at - interval '14 days' GROUP BY customer_id
HAVING count(*) FILTER (WHERE event_type = 'visit') >= 5 AND NOT bool_or(event_type = 'purchase')

-- ### Installed the app, never signed up
SELECT customer_id FROM e WHERE event_type = 'install'
EXCEPT SELECT customer_id FROM e WHERE event_type = 'signup'

-- ### Quick starters: bought within a week of signing up
SELECT s.customer_id FROM e AS s JOIN e AS b USING (customer_id)
WHERE s.event_type = 'signup' AND b.event_type = 'purchase'
  AND (b.occurred_at, b.event_id) > (s.occurred_at, s.event_id) AND b.occurred_at <= s.occurred_at + interval '7 days'

-- ### Signed up this quarter and has not bought yet
SELECT customer_id FROM e WHERE event_type = 'signup' AND occurred_at >= '2026-01-01'
EXCEPT SELECT customer_id FROM e WHERE event_type = 'purchase'

-- ### Trial ends within three days, nothing subscribed
SELECT customer_id FROM e WHERE event_type = 'trial' AND occurred_at > :at - interval '14 days'
    AND occurred_at <= :at - interval '11 days'
EXCEPT SELECT customer_id FROM e WHERE event_type = 'subscribe'

-- ### Came back: subscribed again after cancelling
SELECT c.customer_id FROM e AS c JOIN e AS s USING (customer_id)
WHERE c.event_type = 'cancel' AND s.event_type = 'subscribe' AND s.occurred_at > c.occurred_at

-- ### Cancelled for the price and has not come back
SELECT c.customer_id FROM e AS c WHERE c.event_type = 'cancel' AND c.data ->> 'reason' = 'price'
  AND NOT EXISTS (SELECT FROM e AS s WHERE s.customer_id = c.customer_id AND s.event_type = 'subscribe'
    AND s.occurred_at > c.occurred_at)

-- ### May be written to: has agreed, and has not unsubscribed
SELECT customer_id FROM p WHERE (profile ->> 'consent')::boolean
EXCEPT SELECT customer_id FROM e WHERE event_type = 'unsubscribe'

-- ### Does not open mails: four sent within a month, none opened
SELECT customer_id FROM e WHERE occurred_at > :at - interval '30 days' GROUP BY customer_id
HAVING count(*) FILTER (WHERE event_type = 'mail_sent') >= 4 AND NOT bool_or(event_type = 'mail_opened')

-- ### Birthday within the next 7 days, and may be written to
SELECT customer_id FROM p WHERE to_char((profile ->> 'birthday')::date, 'MM-DD') BETWEEN '03-15' AND '03-22'
    AND (profile ->> 'consent')::boolean

-- ### Two cities, last seen in the app
SELECT customer_id FROM (SELECT DISTINCT ON (customer_id) customer_id, data ->> 'platform' AS platform FROM e
    WHERE event_type = 'login' ORDER BY customer_id, occurred_at DESC, event_id DESC) AS last JOIN p USING (customer_id)
WHERE platform IN ('android', 'ios') AND profile ->> 'city' IN ('pune', 'mumbai')

-- ### Unhappy: two stars or fewer, or two complaints, within 30 days
SELECT customer_id FROM e WHERE occurred_at > :at - interval '30 days' GROUP BY customer_id
HAVING bool_or(event_type = 'review' AND (data ->> 'stars')::int <= 2)
    OR count(*) FILTER (WHERE event_type = 'support' AND data ->> 'topic' IN ('refund', 'complaint')) >= 2

-- ### Good customers who are not unhappy, for a request to review
SELECT customer_id FROM e WHERE event_type = 'purchase' AND occurred_at > :at - interval '90 days'
GROUP BY customer_id HAVING count(*) >= 2
EXCEPT SELECT customer_id FROM e WHERE event_type = 'review'
    OR event_type = 'support' AND occurred_at > :at - interval '30 days'

-- ### A control group of a tenth for the spring campaign
-- 2^64 / 10 is 1999999999999999.99… in hexadecimal digits.
SELECT customer_id FROM everyone
WHERE substr(sha256(convert_to('spring', 'UTF8') || '\x00' || convert_to(customer_id, 'UTF8')), 1, 8)
    <= '\x1999999999999999'

-- ### First week: 200 or more within 7 days of signing up
SELECT customer_id FROM e JOIN (SELECT customer_id, min(occurred_at) AS start FROM e WHERE event_type = 'signup'
    GROUP BY customer_id) AS s USING (customer_id)
WHERE event_type = 'purchase' AND occurred_at BETWEEN start AND start + interval '7 days'
GROUP BY customer_id HAVING sum((data ->> 'price')::numeric) >= 200

-- ### Weekend people: five visits or logins at weekends or after six
SELECT customer_id FROM e WHERE event_type IN ('visit', 'login') GROUP BY customer_id
HAVING count(*) FILTER (WHERE extract(isodow FROM occurred_at) >= 6) >= 5
    OR count(*) FILTER (WHERE extract(hour FROM occurred_at) >= 18) >= 5

-- ### A habit: came in three weeks or more in a row, until now
SELECT customer_id FROM everyone AS c
WHERE (SELECT count(DISTINCT date_trunc('week', occurred_at)) FROM e WHERE e.customer_id = c.customer_id
        AND event_type IN ('visit', 'login') AND occurred_at >= '2026-02-23') = 3
    OR (SELECT count(DISTINCT date_trunc('week', occurred_at)) FROM e WHERE e.customer_id = c.customer_id
        AND event_type IN ('visit', 'login') AND occurred_at >= '2026-02-16' AND occurred_at < '2026-03-09') = 3

-- ### First web purchase of more than 100
SELECT customer_id FROM (SELECT DISTINCT ON (customer_id) customer_id, data FROM e
    WHERE event_type = 'purchase' AND data ->> 'channel' = 'web' ORDER BY customer_id, occurred_at, event_id) AS first
WHERE (data ->> 'price')::numeric > 100

-- ### The contract ends next month
SELECT customer_id FROM p WHERE profile ->> 'contract_ends' LIKE '2026-04-%'

-- ### Two kettles or more in one purchase
SELECT customer_id FROM e, jsonb_array_elements(data -> 'items') AS item
WHERE event_type = 'purchase' AND item ->> 'sku' = 'kettle' AND (item ->> 'quantity')::int >= 2

-- ### Companies of which nobody has logged in for 30 days
SELECT customer_id FROM p WHERE profile ? 'company' AND profile ->> 'company' NOT IN (
    SELECT profile ->> 'company' FROM e JOIN p USING (customer_id) WHERE event_type = 'login' AND profile ? 'company'
    AND occurred_at > :at - interval '30 days')

-- ### Spending falls: this quarter less than half of the quarter before
SELECT customer_id FROM e WHERE event_type = 'purchase' AND occurred_at >= '2025-10-01' GROUP BY customer_id
HAVING coalesce(sum((data ->> 'price')::numeric) FILTER (WHERE occurred_at >= '2026-01-01'), 0)
    < 0.5 * coalesce(sum((data ->> 'price')::numeric) FILTER (WHERE occurred_at < '2026-01-01'), 0)

-- ### Bought a product that is no longer sold
SELECT e.customer_id FROM e JOIN shop.product s ON s.id = e.data ->> 'product' WHERE e.event_type = 'purchase' AND s.discontinued

-- ### Accounts of one manager who have bought nothing this quarter
SELECT customer_id FROM crm.account WHERE manager = 'Ana' AND customer_id IN (TABLE everyone)
EXCEPT SELECT customer_id FROM e WHERE event_type = 'purchase' AND occurred_at >= date_trunc('quarter', :at)

-- ### Buyers of the last 60 days, except accounts in dispute
SELECT customer_id FROM e WHERE event_type = 'purchase' AND occurred_at > :at - interval '60 days'
EXCEPT SELECT customer_id FROM crm.account WHERE in_dispute
