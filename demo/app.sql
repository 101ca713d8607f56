-- The demo's second part: a shop's app, in a database of its own. scripts/demo runs it with the psql variables head, dim
-- and plain (terminal codes, empty where there is no terminal).

\echo
\echo :head'8. An app: view, cart and purchase, each with a product':plain
\echo '   The body of an events API as it is:'
\echo
\echo '  ' :dim'{"signals": [':plain
\echo '  ' :dim'  {"customerId": "ana", "eventType": "view",':plain
\echo '  ' :dim'   "data": {"productId": "p1", "brand": "something", "price": 1299}},':plain
\echo '  ' :dim'  {"customerId": "ana", "eventType": "cart",':plain
\echo '  ' :dim'   "data": {"productId": "p1", "brand": "something", "price": 1299}},':plain
\echo '  ' :dim'  {"customerId": "ana", "eventType": "purchase",':plain
\echo '  ' :dim'   "data": {"productId": "p1", "brand": "something", "price": 1299}}, …]}':plain
\echo

CREATE EXTENSION kursaha_cohort;

SELECT * FROM cohort_track_batch('{"signals": [
    {"customerId": "ana", "eventType": "install", "data": {"platform": "android"}},
    {"customerId": "ana", "eventType": "signup"},
    {"customerId": "ana", "eventType": "view", "data": {"productId": "p1", "brand": "something", "price": 1299}},
    {"customerId": "ana", "eventType": "cart", "data": {"productId": "p1", "brand": "something", "price": 1299}},
    {"customerId": "ana", "eventType": "purchase", "data": {"productId": "p1", "brand": "something", "price": 1299}},
    {"customerId": "ben", "eventType": "install", "data": {"platform": "ios"}},
    {"customerId": "ben", "eventType": "signup"},
    {"customerId": "ben", "eventType": "view", "data": {"productId": "p1", "brand": "something", "price": 1299}},
    {"customerId": "ben", "eventType": "cart", "data": {"productId": "p1", "brand": "something", "price": 1299}},
    {"customerId": "chi", "eventType": "install", "data": {"platform": "android"}},
    {"customerId": "chi", "eventType": "view", "data": {"productId": "p2", "brand": "something", "price": 900}},
    {"customerId": "dev", "eventType": "signup"},
    {"customerId": "dev", "eventType": "purchase", "data": {"productId": "p2", "brand": "something", "price": 900}},
    {"customerId": "eva", "eventType": "signup"},
    {"customerId": "eva", "eventType": "purchase", "data": {"productId": "p3", "brand": "other", "price": 2500}},
    {"customerId": "fay", "eventType": "install", "data": {"platform": "android"}},
    {"customerId": "gus", "eventType": "signup"},
    {"customerId": "gus", "eventType": "purchase", "data": {"productId": "p4", "brand": "something", "price": "1000.01"}}
]}');

\echo :head'9. Try a rule before you save it':plain
\echo '   Who bought brand "something" for more than 1000?'
\echo
\echo '  ' :dim'{"did": "purchase", "where": [{"property": "brand", "operator": "eq", "value": "something"},':plain
\echo '  ' :dim'                              {"property": "price", "operator": "gt", "value": 1000}]}':plain
\echo

SELECT * FROM cohort_preview('{"did": "purchase", "where": [{"property": "brand", "operator": "eq", "value": "something"},
                                                            {"property": "price", "operator": "gt", "value": 1000}]}');

\echo '   Who installed, but never signed up?'
\echo
\echo '  ' :dim'{"and": [{"did": "install"}, {"did_not": ["signup", "subscribe"]}]}':plain
\echo

SELECT * FROM cohort_preview('{"and": [{"did": "install"}, {"did_not": ["signup", "subscribe"]}]}');

\echo '   Who left a product in the cart, and did not buy that very product?'
\echo
\echo '  ' :dim'{"sequence": [{"did": "cart", "as": "c"},':plain
\echo '  ' :dim'              {"did_not": "purchase",':plain
\echo '  ' :dim'               "where": {"property": "productId", "operator": "eq", "ref": "c.productId"}}],':plain
\echo '  ' :dim' "within": "1 day"}':plain
\echo

SELECT * FROM cohort_preview('{"sequence": [{"did": "cart", "as": "c"},
    {"did_not": "purchase", "where": {"property": "productId", "operator": "eq", "ref": "c.productId"}}],
    "within": "1 day"}');

\echo :head'10. A mistake is named, with its place and its remedy':plain
\echo

\set ON_ERROR_STOP off
SELECT * FROM cohort_preview('{"did": "purchase", "where": {"property": "price", "operator": "gtt", "value": 1000}}');
\set ON_ERROR_STOP on
