"""The sixteen questions: as rules, and as SQL of the peers.

The peers' table e has an integer customer, the type as an enumeration and typed columns, sorted by type, customer and time: what
suits them best. Their table c has the customers with an id and a city, their table o the orders with their items, sorted by customer.
`{days:N}` stands for the instant N days before AS_OF, `{N days}` for a length of time, `{week}` for the number of a row's week, `{item}` for the condition that one item of an order is of a product and dear, `{place}` for a customer's place in the sample "spring"
as 16 hexadecimal digits.
"""

AS_OF = "2026-11-01 00:00:00+00"


def did(event, days=None, **more):
    condition = {"did": event, **more}
    if days:
        condition["time"] = {"in_the_last": f"{days} days"}
    return condition


def where(prop, operator, value):
    return {"property": prop, "operator": operator, "value": value}


# name: (what it asks, rule, SQL of the peers)
QUERIES = {
    "Q1": (
        "purchase in the last 30 days",
        did("purchase", 30),
        "SELECT count(DISTINCT customer) FROM e WHERE type = 'purchase' AND happened > {days:30} AND happened <= {as_of}",
    ),
    "Q2": (
        "view at least 10 times in 90 days",
        did("view", 90, count={"gte": 10}),
        "SELECT count(*) FROM (SELECT customer FROM e WHERE type = 'view' AND happened > {days:90} AND happened <= {as_of} "
        "GROUP BY customer HAVING count(*) >= 10) x",
    ),
    "Q3": (
        "purchase where brand = x and price > 1000, ever",
        did("purchase", where=[where("brand", "eq", "brand7"), where("price", "gt", 1000)]),
        "SELECT count(DISTINCT customer) FROM e WHERE type = 'purchase' AND brand = 'brand7' AND price > 1000 "
        "AND happened <= {as_of}",
    ),
    "Q4": (
        "cart in 7 days and no purchase in 7 days",
        {"and": [did("cart", 7), {"did_not": "purchase", "time": {"in_the_last": "7 days"}}]},
        "SELECT count(*) FROM (SELECT DISTINCT customer FROM e WHERE type = 'cart' AND happened > {days:7} AND happened <= {as_of} "
        "EXCEPT SELECT customer FROM e WHERE type = 'purchase' AND happened > {days:7} AND happened <= {as_of}) x",
    ),
    "Q5": (
        "view where price > 500 at least 3 times in 180 days",
        did("view", 180, where=where("price", "gt", 500), count={"gte": 3}),
        "SELECT count(*) FROM (SELECT customer FROM e WHERE type = 'view' AND happened > {days:180} AND happened <= {as_of} "
        "AND price > 500 GROUP BY customer HAVING count(*) >= 3) x",
    ),
    "Q6": (
        "sum(price) of purchases over 2,000, ever",
        did("purchase", aggregate={"fn": "sum", "property": "price", "gt": 2000}),
        "SELECT count(*) FROM (SELECT customer FROM e WHERE type = 'purchase' AND happened <= {as_of} "
        "GROUP BY customer HAVING sum(price) > 2000) x",
    ),
    "Q7": (
        "view >= 5 and (cart of 2 brands, or cart over 300 twice) and no purchase, 90 days",
        {
            "and": [
                did("view", 90, count={"gte": 5}),
                {
                    "or": [
                        did("cart", 90, aggregate={"fn": "count_distinct", "property": "brand", "gte": 2}),
                        did("cart", 90, where=where("price", "gt", 300), count={"gte": 2}),
                    ]
                },
                {"did_not": "purchase", "time": {"in_the_last": "90 days"}},
            ]
        },
        "SELECT count(*) FROM ("
        "SELECT customer FROM e WHERE type = 'view' AND happened > {days:90} AND happened <= {as_of} GROUP BY customer HAVING count(*) >= 5 "
        "INTERSECT "
        "SELECT customer FROM (SELECT customer, count(DISTINCT brand) AS brands, sum(CASE WHEN price > 300 THEN 1 ELSE 0 END) AS dear "
        "FROM e WHERE type = 'cart' AND happened > {days:90} AND happened <= {as_of} GROUP BY customer) c WHERE brands >= 2 OR dear >= 2 "
        "EXCEPT SELECT customer FROM e WHERE type = 'purchase' AND happened > {days:90} AND happened <= {as_of}) x",
    ),
    "Q8": (
        "everyone who never purchased",
        {"did_not": "purchase"},
        "SELECT (SELECT count(DISTINCT customer) FROM e WHERE happened <= {as_of}) "
        "- (SELECT count(DISTINCT customer) FROM e WHERE type = 'purchase' AND happened <= {as_of})",
    ),
    "Q9": (
        "view in 6 weeks in a row, ever",
        did("view", per="week", periods={"gte": 6, "streak": "longest"}),
        "SELECT count(DISTINCT customer) FROM (SELECT customer, run FROM (SELECT customer, week - row_number() OVER (PARTITION BY customer "
        "ORDER BY week) AS run FROM (SELECT DISTINCT customer, {week} AS week FROM e WHERE type = 'view' AND happened <= {as_of}) w) r "
        "GROUP BY customer, run HAVING count(*) >= 6) x",
    ),
    "Q10": (
        "purchases over 300 within 90 days of the first signup",
        {
            "did": "purchase",
            "time": {"from": {"first": "signup"}, "within": "90 days"},
            "aggregate": {"fn": "sum", "property": "price", "gt": 300},
        },
        "SELECT count(*) FROM (SELECT p.customer FROM (SELECT customer, min(happened) AS since FROM e WHERE type = 'signup' "
        "AND happened <= {as_of} GROUP BY customer) s JOIN (SELECT customer, happened, price FROM e WHERE type = 'purchase' "
        "AND happened <= {as_of}) p ON p.customer = s.customer WHERE p.happened >= s.since AND p.happened <= s.since + INTERVAL {90 days} "
        "GROUP BY p.customer HAVING sum(p.price) > 300) x",
    ),
    "Q11": (
        "spent this quarter less than half of the quarter before",
        {
            "compare": did("purchase", aggregate={"fn": "sum", "property": "price"}) | {"time": {"this": "quarter"}},
            "operator": "lt",
            "to": did("purchase", aggregate={"fn": "sum", "property": "price"}) | {"time": {"previous": "quarter"}},
            "factor": 0.5,
        },
        "SELECT count(*) FROM (SELECT customer FROM e WHERE type = 'purchase' AND happened >= {days:123} AND happened <= {as_of} "
        "GROUP BY customer HAVING 2 * sum(CASE WHEN happened >= {days:31} THEN price ELSE 0 END) "
        "< sum(CASE WHEN happened < {days:31} THEN price ELSE 0 END)) x",
    ),
    "Q12": (
        "the 1,000 who spent most in 180 days, of each city",
        {"rank": did("purchase", 180, aggregate={"fn": "sum", "property": "price"}), "order": "most", "top": 1000, "by": "city"},
        "SELECT count(*) FROM (SELECT s.customer, row_number() OVER (PARTITION BY c.city ORDER BY s.spent DESC, s.customer) AS place "
        "FROM (SELECT customer, sum(price) AS spent FROM e WHERE type = 'purchase' AND happened > {days:180} AND happened <= {as_of} "
        "GROUP BY customer) s JOIN c ON c.customer = s.customer) r WHERE place <= 1000",
    ),
    "Q13": (
        "the second purchase of a category cost more than 100",
        {
            "did": "purchase",
            "among": where("category", "eq", "category3"),
            "occurrence": {"nth": 2},
            "where": where("price", "gt", 100),
        },
        "SELECT count(*) FROM (SELECT price, row_number() OVER (PARTITION BY customer ORDER BY happened) AS place FROM e "
        "WHERE type = 'purchase' AND category = 'category3' AND happened <= {as_of}) n WHERE place = 2 AND price > 100",
    ),
    "Q14": (
        "no cart for 7 days, then view, then purchase within a day",
        {"sequence": [{"did_not": "cart", "within": "7 days"}, {"did": "view"}, {"did": "purchase", "within": "1 day"}]},
        "SELECT count(DISTINCT customer) FROM (SELECT customer, type, happened, "
        "max(CASE WHEN type = 'cart' THEN happened END) OVER (PARTITION BY customer ORDER BY happened "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS carted, "
        "min(CASE WHEN type = 'purchase' THEN happened END) OVER (PARTITION BY customer ORDER BY happened "
        "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS bought "
        "FROM e WHERE type IN ('view', 'cart', 'purchase') AND happened <= {as_of}) s WHERE type = 'view' "
        "AND (carted IS NULL OR carted < happened - INTERVAL {7 days}) AND bought <= happened + INTERVAL {1 days}",
    ),
    "Q15": (
        "ordered two or more of a product over 500 in one item",
        did(
            "order",
            where={
                "element": "items",
                "where": [where("productId", "eq", "p77"), where("price", "gt", 500), where("quantity", "gte", 2)],
            },
        ),
        "SELECT count(DISTINCT customer) FROM o WHERE {item} AND happened <= {as_of}",
    ),
    "Q16": (
        "a tenth, by salt, of those with a purchase in 180 days",
        {"and": [did("purchase", 180), {"sample": {"percent": [0, 10], "salt": "spring"}}]},
        "SELECT count(*) FROM (SELECT DISTINCT customer FROM e WHERE type = 'purchase' AND happened > {days:180} AND happened <= {as_of}) p "
        "JOIN c ON c.customer = p.customer WHERE {place} < '199999999999999a'",
    ),
}


def peer_sql(template, instant, words):
    """The SQL with its instants, written by `instant(days before AS_OF)`, and with a peer's own words for the rest."""
    sql = template.replace("{as_of}", instant(0))
    for days in (7, 30, 31, 90, 123, 180):
        sql = sql.replace("{days:%d}" % days, instant(days))
    for name, word in words.items():
        sql = sql.replace("{%s}" % name, word)
    return sql
