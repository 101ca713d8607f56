"""Faults of the conditions on one customer or on several customers."""

from decimal import Decimal

from faults import Fault, fault, without


@fault("share", feature="samples")
def wrong_sample(part, rng, _features):
    wrong, places, schema = rng.choice(
        (
            ({**part.value, "percent": [10, 10]}, [("percent",)], False),
            ({**part.value, "percent": [20, 10]}, [("percent",)], False),
            ({**part.value, "percent": [10]}, [("percent",)], True),
            ({**part.value, "percent": 10}, [("percent",)], True),
            ({**part.value, "percent": [-1, 10]}, [("percent", 0)], True),
            ({**part.value, "percent": [0, Decimal("100.1")]}, [("percent", 1)], True),
            ({**part.value, "percent": [0, "10"]}, [("percent", 1)], True),
            ({**part.value, "percent": None}, [("percent",)], True),
            ({**part.value, "salt": ""}, [("salt",)], True),
            ({**part.value, "salt": "x" * 256}, [("salt",)], True),
            ({**part.value, "salt": 5}, [("salt",)], True),
            (without(part.value, "salt"), [()], True),
            (without(part.value, "percent"), [()], True),
            ({}, [()], True),
            (5, [()], True),
        )
    )
    return Fault(wrong, places, schema)


@fault("compare", feature="compare")
def wrong_compare(part, rng, _features):
    own = any(isinstance(part.value[side], dict) and "profile" in part.value[side] for side in ("compare", "to"))
    wrong, places = rng.choice(
        (
            ({**part.value, "compare": 1, "to": 2}, [()]),
            ({**part.value, "operator": "in"}, [("operator",)]),
            ({**part.value, "operator": "between"}, [("operator",)]),
            ({**part.value, "operator": "gtt"}, [("operator",)]),
            (without(part.value, "operator"), [()]),
            (without(part.value, "to"), [()]),
            ({**part.value, "to": None}, [("to",)]),
            ({**part.value, "to": "5"}, [("to",)]),
            ({**part.value, "factor": "2"}, [("factor",)]),
            ({**part.value, "factor": None}, [("factor",)]),
            ({**part.value, "compare": {"cohort": "m_0"}}, [[("compare",)], [("compare", "cohort")]]),
            ({**part.value, "value": 1}, [("value",)]),
            *([] if own else [({**part.value, "over": "a[]"}, [("over",)])]),
        )
    )
    return Fault(wrong, places, None if wrong.get("to") == 2 else True)


@fault("compare", feature="compare")
def over_a_profile(part, _rng, _features):
    figures = [
        side for side in ("compare", "to") if isinstance(part.value[side], dict) and "profile" in part.value[side]
    ]
    if not figures or "over" in part.value or len(figures) == 2:
        return None
    return Fault({**part.value, "over": "team"}, [[(), ("over",), (figures[0],), (figures[0], "profile")]], None)


@fault("figure")
def wrong_figure(part, rng, _features):
    if "did" not in part.value:
        return Fault({"profile": "a[]"}, [("profile",)], None)
    wrong, places = rng.choice(
        (
            ({**part.value, "count": {"gte": 1}}, [("count",)]),
            ({**part.value, "occurrence": "first"}, [("occurrence",)]),
            ({**part.value, "per": "day"}, [("per",)]),
            ({**part.value, "aggregate": {"fn": "sum", "property": "p", "gte": 1}}, [("aggregate", "gte")]),
            ({**part.value, "aggregate": {"fn": "most_frequent", "property": "p"}}, [("aggregate", "fn")]),
            ({**part.value, "aggregate": {"fn": "sum"}}, [("aggregate",)]),
            ({**part.value, "aggregate": {}}, [("aggregate",)]),
            ({**part.value, "aggregate": "sum"}, [("aggregate",)]),
            ({**part.value, "profile": "p"}, [()]),
        )
    )
    return Fault(wrong, places)


@fault("rank", feature="rank")
def wrong_rank(part, rng, _features):
    cut = {"percent": [0, 10]} if "top" in part.value else {"top": 5}
    none = without(part.value, "top", "percent")
    wrong, places, schema = rng.choice(
        (
            ({**part.value, **cut}, [()], True),
            (none, [()], True),
            (without(part.value, "order"), [()], True),
            ({**part.value, "order": "desc"}, [("order",)], True),
            ({**part.value, "order": "mst"}, [("order",)], True),
            ({**none, "top": 0}, [("top",)], True),
            ({**none, "top": 10**9 + 1}, [("top",)], True),
            ({**none, "top": Decimal("1.5")}, [("top",)], True),
            ({**none, "top": "10%"}, [("top",)], True),
            ({**none, "percent": [50, 20]}, [("percent",)], False),
            ({**none, "percent": [0, 101]}, [("percent", 1)], True),
            ({**part.value, "rank": 5}, [("rank",)], True),
            ({**part.value, "rank": {}}, [("rank",)], True),
            ({**part.value, "by": "a[]"}, [("by",)], True),
            ({**part.value, "by": "a..b"}, [("by",)], True),
            ({**part.value, "by": None}, [("by",)], True),
            ({**part.value, "of": []}, [("of",)], True),
            ({**part.value, "of": {}}, [("of",)], True),
        )
    )
    return Fault(wrong, places, schema, hint='"most"' if wrong.get("order") == "mst" else "")


@fault("group", feature="groups")
def wrong_group(part, rng, _features):
    (word,) = {"any", "all", "none"} & set(part.value)
    other = "all" if word != "all" else "any"
    wrong, places = rng.choice(
        (
            (without(part.value, word), [()]),
            ({**part.value, other: part.value[word]}, [()]),
            ({**part.value, "group": "a[]"}, [("group",)]),
            ({**part.value, "group": "a[].b"}, [("group",)]),
            ({**part.value, "group": 5}, [("group",)]),
            ({**part.value, "group": None}, [("group",)]),
            ({**part.value, word: [part.value[word]]}, [(word,)]),
            ({**part.value, word: None}, [(word,)]),
        )
    )
    return Fault(wrong, places)


@fault("rows", feature="rows")
def wrong_table(part, rng, _features):
    wrong, places, schema = rng.choice(
        (
            (without(part.value, "table"), [()], True),
            (without(part.value, "column"), [()], True),
            ({**part.value, "table": 5}, [("table",)], True),
            ({"table": "shop.nothing", "column": "id"}, [("table",)], None),
            ({"table": "product", "column": "id"}, [("table",)], None),
            ({"table": "shop.product;", "column": "id"}, [("table",)], None),
            ({"table": "Shop.Nothing", "column": "id"}, [("table",)], None),
            ({"table": "shop.product", "column": "nothing"}, [("column",)], False),
            ({"table": "shop.product", "column": '"id"'}, [("column",)], False),
            ({"table": "shop.product", "column": "odd name"}, [("column",)], False),
            ({"table": "shop.product", "column": "ctid"}, [("column",)], None),
            ({"table": "shop.product", "column": "id", "where": []}, [("where",)], True),
            (
                {"table": "shop.product", "column": "id", "where": {"property": "nothing", "operator": "exists"}},
                [("where", "property")],
                False,
            ),
            (5, [()], True),
        )
    )
    return Fault(wrong, places, schema)


@fault("customer_in", feature="rows")
def a_column_that_is_no_id(part, _rng, _features):
    rows = {"table": "shop.product", "column": "more"}
    return Fault({**part.value, "customer_in": rows}, [("customer_in", "column")], False)
