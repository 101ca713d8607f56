"""The eight questions: as rules, and as SQL of the peers.

The peers' tables have an integer customer, the type as an enumeration and typed columns, sorted by type, customer and
time: what suits them best. `{days:N}` stands for the instant N days before AS_OF.
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
}


def peer_sql(template, instant):
    """The SQL with its instants, written by `instant(days before AS_OF)`."""
    sql = template.replace("{as_of}", instant(0))
    for days in (7, 30, 90, 180):
        sql = sql.replace("{days:%d}" % days, instant(days))
    return sql
