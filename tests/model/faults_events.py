"""Faults of `did`, of its options and of the steps of sequences."""

from decimal import Decimal

from faults import Fault, fault, without


@fault("did", "did_not", "step", "absence", "figure")
def event_types(part, rng, _features):
    word = next((word for word in ("did", "did_not") if word in part.value), None)
    if not word:
        return None
    wrong, place = rng.choice((("", ()), ([], ()), (5, ()), (["e", ""], (1,)), (["e", 5], (1,)), (None, ())))
    return Fault({**part.value, word: wrong}, [(word, *place)])


@fault("did", "did_not")
def occurrence_stands_alone(part, _rng, _features):
    if "occurrence" in part.value or "per" in part.value or not {"count", "aggregate"} & set(part.value):
        return None
    return Fault({**part.value, "occurrence": "first"}, [()])


@fault("did", "did_not")
def wrong_occurrence(part, rng, _features):
    if not isinstance(part.value.get("occurrence"), str):
        return None
    return Fault({**part.value, "occurrence": rng.choice(("second", "First", 2, ["first"], True))}, [("occurrence",)])


@fault("count", "periods")
def wrong_comparison(part, rng, _features):
    streak = {key: item for key, item in part.value.items() if key == "streak"}
    wrong, places, schema = rng.choice(
        (
            ({}, [()], True),
            ({"gte": 1, "lt": 5}, [()], True),
            ({"gte": -1}, [("gte",)], True),
            ({"gte": Decimal("1.5")}, [("gte",)], True),
            ({"eq": "1"}, [("eq",)], True),
            ({"between": [5, 2]}, [("between",)], False),
            ({"between": [1]}, [("between",)], True),
            ({">=": 1}, [(), (">=",)], True),
            ({"in": [1]}, [(), ("in",)], True),
        )
    )
    return Fault({**wrong, **streak}, places, schema)


@fault("aggregate")
def wrong_aggregate(part, rng, _features):
    made = {key: part.value[key] for key in ("fn", "property")}
    plain = made["fn"] == "most_frequent"
    wrong, places = rng.choice(
        (
            (made, [()]),
            ({**without(made, "property"), "eq": 1}, [()]),
            ({**made, "eq": None}, [("eq",)]),
            ({**made, "property": "a..b", "eq": 1}, [("property",)]),
            ({**made, ">=": 1}, [(), (">=",)]),
            ({**made, "fn": "median", "eq": 1}, [("fn",)]),
            ({**made, "gt" if plain else "in": 1}, [(), ("gt" if plain else "in",)]),
        )
    )
    return Fault(wrong, places)


@fault("did", "did_not", feature="periods")
def per_and_periods(part, rng, _features):
    if "per" in part.value:
        key = rng.choice(("per", "periods"))
        return Fault(without(part.value, key), [()])
    if "occurrence" in part.value:
        return Fault({**part.value, "per": "day", "periods": {"gte": 1}}, [()])
    return Fault({**part.value, **rng.choice(({"per": "day"}, {"periods": {"gte": 1}}))}, [()])


@fault("did", "did_not", feature="periods")
def a_count_of_0_beside_per(part, rng, _features):
    if "per" not in part.value:
        return None
    word, value = rng.choice((("eq", 0), ("lt", 1), ("lte", 0), ("between", [0, 0]), ("lt", Decimal("1.0"))))
    place = [("count",), ("count", word), ()]
    return Fault({**part.value, "count": {word: value}}, [place], None)


@fault("did", "did_not", feature="periods")
def wrong_unit(part, rng, _features):
    if "per" not in part.value:
        return None
    wrong = rng.choice(("days", "Day", "hour", 1, "", "2 days"))
    return Fault({**part.value, "per": wrong}, [("per",)], hint='"day"' if wrong == "days" else "")


@fault("periods", feature="periods")
def wrong_streak(part, rng, _features):
    wrong = rng.choice(("longst", "Longest", 1, True, None, ""))
    return Fault({**part.value, "streak": wrong}, [("streak",)], hint='"longest"' if wrong == "longst" else "")


@fault("periods", feature="periods")
def streak_alone(_part, _rng, _features):
    return Fault({"streak": "current"}, [()])


@fault("did", "did_not", feature="nth")
def among_alone(part, _rng, _features):
    if "occurrence" in part.value or "among" in part.value:
        return None
    return Fault({**part.value, "among": {"property": "p", "operator": "exists"}}, [()])


@fault("nth", feature="nth")
def wrong_place(part, rng, _features):
    wrong, places = rng.choice(
        (
            ({"nth": 0}, [("nth",)]),
            ({"nth": 1001}, [("nth",)]),
            ({"nth": -1001}, [("nth",)]),
            ({"nth": Decimal("1.5")}, [("nth",)]),
            ({"nth": "2"}, [("nth",)]),
            ({"nth": None}, [("nth",)]),
            ({"nth": 2, "x": 1}, [("x",)]),
            ({}, [()]),
        )
    )
    return Fault(wrong, places)


@fault("sequence")
def no_steps(part, _rng, _features):
    return Fault({**part.value, "sequence": []}, [("sequence",)])


@fault("sequence")
def wrong_within(part, _rng, _features):
    return Fault({**part.value, "within": "soon"}, [("within",)])


@fault("step")
def wrong_name(part, rng, features):
    if "times" in part.value:
        return None
    names = ("x.y", "", 5, None) + (("profile", "event", "element", "row") if "refs" in features else ())
    name = rng.choice(names)
    if "as" in part.value and isinstance(name, str):
        return None  # others may name it
    return Fault({**part.value, "as": name}, [("as",)]) if "as" not in part.value else None


@fault("sequence", feature="sequences")
def only_absences(part, _rng, _features):
    return Fault({"sequence": [{"did_not": "e"}]}, [[("sequence",), ("sequence", 0), ()]], None)


@fault("step", feature="sequences")
def wrong_step(part, rng, _features):
    value = without(part.value, "within", "after", "times", "as", "occurrence", "among")
    if "as" in part.value:
        return None  # others may name it
    first = "first" in part.around
    makers = [
        ({**value, "times": 1}, [("times",)], True),
        ({**value, "times": 101}, [("times",)], True),
        ({**value, "times": Decimal("2.5")}, [("times",)], True),
        ({**value, "times": "3"}, [("times",)], True),
        ({**value, "times": 2, "as": "name"}, [()], True),
        ({**value, "times": 2, "occurrence": "first"}, [()], True),
        ({**value, "among": {"property": "p", "operator": "exists"}}, [()], True),
        ({**value, "count": {"gte": 1}}, [("count",)], True),
        ({**value, "occurrence": "second"}, [("occurrence",)], True),
    ]
    if first:
        makers += [({**value, key: "1 day"}, [[(key,), ()]], None) for key in ("within", "after")]
    else:
        makers += [
            ({**value, "within": "5 days", "after": "6 days"}, [[("after",), ("within",), ()]], False),
            ({**value, "within": "29 days", "after": "1 month"}, [[("after",), ("within",), ()]], False),
            ({**value, "within": "soon"}, [("within",)], True),
            ({**value, "after": "1 fortnight"}, [("after",)], True),
            ({**value, "after": 5}, [("after",)], True),
        ]
    wrong, places, schema = rng.choice(makers)
    return Fault(wrong, places, schema)


@fault("absence", feature="sequences")
def wrong_absence(part, rng, _features):
    makers = [
        ({**part.value, "time": {"this": "day"}}, [("time",)], True),
        ({**part.value, "as": "name"}, [("as",)], True),
        ({**part.value, "after": "1 day"}, [("after",)], True),
        ({**part.value, "times": 2}, [("times",)], True),
    ]
    if "between" in part.around:
        makers += [({**part.value, "within": "1 day"}, [[("within",), ()]], None)] * 4
    else:
        makers += [({**part.value, "within": "1 dy"}, [("within",)], True)] * 2
    wrong, places, schema = rng.choice(makers)
    return Fault(wrong, places, schema)
