"""Faults of predicates, of `ref`, `element` and `rows`."""

from faults import Fault, fault, without


def path_key(part):
    return "profile" if "profile" in part.value else "property"


@fault("predicate")
def wrong_path(part, rng, _features):
    wrong = rng.choice(("a..b", "", "a.", "[]", "a[0]", [], 5, None, *([] if "element" in part.around else ["."])))
    return Fault({**part.value, path_key(part): wrong}, [(path_key(part),)])


def plain(part, **rest):
    """The part's path with another test."""
    return {path_key(part): part.value[path_key(part)], **rest}


@fault("predicate")
def wrong_test(part, rng, _features):
    wrong, places, schema = rng.choice(
        (
            (plain(part), [()], True),
            (plain(part, operator="gtt", value=1), [("operator",)], True),
            (plain(part, operator=5, value=1), [("operator",)], True),
            (plain(part, operator="eq"), [()], True),
            (plain(part, operator="eq", value=[1]), [("value",)], True),
            (plain(part, operator="eq", value=None), [("value",)], True),
            (plain(part, operator="gt", value=True), [("value",)], True),
            (plain(part, operator="gt", value=1, ignore_case=True), [()], True),
            (plain(part, operator="between", value=[2, 1]), [("value",)], False),
            (plain(part, operator="between", value=[1, "2"]), [("value",)], True),
            (plain(part, operator="in", value=[]), [("value",)], True),
            (plain(part, operator="in", value=[1, None]), [("value", 1)], True),
            (plain(part, operator="exists", value=1), [()], True),
            (plain(part, operator="regex", value="("), [("value",)], False),
            (plain(part, operator="since", value="soon"), [("value",)], True),
            (plain(part, operator="in_the_last", value="5"), [("value",)], True),
            (plain(part, operator="contains", value=5), [("value",)], True),
            (plain(part, operator="icontains", value="a", ignore_case=False), [[(), ("ignore_case",)]], True),
            (plain(part, operator="eq", value=1, ignore_case="yes"), [("ignore_case",)], True),
        )
    )
    return Fault(wrong, places, schema)


@fault("predicate", feature="calendar")
def wrong_window(part, rng, _features):
    operator, value, places = rng.choice(
        (
            ("this", "months", [("value",)]),
            ("this", "2 months", [("value",)]),
            ("this", 1, [("value",)]),
            ("previous", "0 days", [("value",)]),
            ("next", "months", [("value",)]),
            ("next", "1 mon", [("value",)]),
            ("anniversary_this", "year", [("value",)]),
            ("anniversary_this", "quarter", [("value",)]),
            ("anniversary_this", "2 days", [("value",)]),
        )
    )
    return Fault(plain(part, operator=operator, value=value), places)


@fault("predicate", feature="refs")
def wrong_reference(part, rng, _features):
    some = next(name for name in ("row", "profile") if name in part.around or name == "profile")
    known = "row.n" if some == "row" else "profile.p"  # a row has the columns of its table only
    unknown = "Event.p" if "event" in part.around else "event.p"
    wrong, places, schema = rng.choice(
        (
            (plain(part, operator="eq", ref=f"{some}."), [("ref",)], True),
            (plain(part, operator="eq", ref=some), [("ref",)], True),
            (plain(part, operator="eq", ref=[some]), [("ref",)], None),
            (plain(part, operator="eq", ref=[]), [("ref",)], True),
            (plain(part, operator="eq", ref=5), [("ref",)], True),
            (plain(part, operator="eq", ref=None), [("ref",)], True),
            (plain(part, operator="eq", ref=[some, 5]), [("ref", 1)], True),
            (plain(part, operator="eq", ref=f"{some}.a..b"), [("ref",)], True),
            (plain(part, operator="eq", ref="nobody.p"), [("ref",)], None),
            (plain(part, operator="eq", ref=unknown), [("ref",)], None),
            (plain(part, operator="eq", ref=known, value=1), [()], True),
            (plain(part, operator="in", ref=known), [()], True),
            (plain(part, operator="contains", ref=known), [()], True),
            (plain(part, operator="in_the_last", ref=known), [()], True),
            (plain(part, operator="gt", ref=known, ignore_case=True), [()], True),
            (plain(part, operator="on", ref=known, ignore_case=False), [()], True),
            *([] if "element" in part.around else [(plain(part, operator="eq", ref="element.p"), [("ref",)], None)]),
            *([] if "row" in part.around else [(plain(part, operator="eq", ref="row.p"), [("ref",)], None)]),
            *([(plain(part, operator="eq", ref="profile.p"), [("ref",)], None)] if "row" in part.around else []),
        )
    )
    return Fault(wrong, places, schema)


@fault("predicate", feature="rows")
def wrong_rows(part, rng, _features):
    rows = {"table": "shop.product", "column": "id"}
    if "row" in part.around:
        return Fault(plain(part, operator="in", rows=rows), [[("rows",), ()]])
    wrong, places, schema = rng.choice(
        (
            (plain(part, operator="eq", rows=rows), [()], True),
            (plain(part, operator="contains_any", rows=rows), [()], True),
            (plain(part, operator="in", rows=rows, value=[1]), [()], True),
            (plain(part, operator="in", rows=5), [("rows",)], True),
            (plain(part, operator="in", rows=None), [("rows",)], True),
        )
    )
    return Fault(wrong, places, schema)


@fault("predicates")
def no_predicates(part, _rng, _features):
    (word,) = {"and", "or", "not"} & set(part.value)
    return Fault({word: [] if word != "not" else 5}, [(word,)])


@fault("element", feature="element")
def wrong_element(part, rng, _features):
    other = {"property": "n" if "row" in part.around else "p", "operator": "exists"}
    wrong, places = rng.choice(
        (
            (without(part.value, "where"), [()]),
            ({**part.value, "where": []}, [("where",)]),
            ({**part.value, "where": None}, [("where",)]),
            ({**part.value, "element": "a..b"}, [("element",)]),
            ({**part.value, "element": 5}, [("element",)]),
            ({**part.value, "element": True}, [("element",)]),
            ({**part.value, "element": []}, [("element",)]),
            ({**part.value, "not": other}, [()]),
            *([] if "element" in part.around else [({**part.value, "element": "."}, [("element",)])]),
        )
    )
    return Fault(wrong, places)


@fault("profile", feature="element")
def wrong_profile_element(part, rng, _features):
    if "element" not in part.value:
        return None
    wrong, places = rng.choice(
        (
            (without(part.value, "where"), [()]),
            ({**part.value, "element": False}, [("element",)]),
            ({**part.value, "element": "items"}, [("element",)]),
            ({**part.value, "element": None}, [("element",)]),
            ({**part.value, "profile": "."}, [("profile",)]),
        )
    )
    return Fault(wrong, places)
