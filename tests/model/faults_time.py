"""Faults of `time`."""

from faults import Fault, alternatives, fault


@fault("time")
def wrong_form(part, rng, _features):
    wrong, places, schema = rng.choice(
        (
            ({}, [()], True),
            ({"in_the_last": "0 days"}, [("in_the_last",)], True),
            ({"in_the_last": "1 Day"}, [("in_the_last",)], True),
            ({"more_than_ago": "1001 years"}, [("more_than_ago",)], False),
            ({"between_ago": ["1 month", "30 days"]}, [("between_ago",)], False),
            ({"since": "2026-02-29"}, [("since",)], True),
            ({"between": ["2026-01-02", "2025-01-01"]}, [("between",)], False),
            ({"this": "days"}, [("this",)], True),
            ({"this": "day", "since": "2026-01-01"}, [()], True),
            ({"after": "1 day"}, [(), ("after",)], True),
            (5, [()], True),
        )
    )
    return Fault(wrong, places, schema)


@fault("time", feature="time")
def wrong_new_form(part, rng, _features):
    anchor = {"first": "e"}
    wrong, places, schema = rng.choice(
        (
            ({"previous": "0 weeks"}, [("previous",)], True),
            ({"previous": "1001 days"}, [("previous",)], None),
            ({"previous": "days"}, [("previous",)], True),
            ({"previous": "2 mons"}, [("previous",)], True),
            ({"previous": "2 Days"}, [("previous",)], True),
            ({"previous": " 2 days"}, [("previous",)], True),
            ({"previous": "1 day 2 weeks"}, [("previous",)], True),
            ({"this": "2 weeks"}, [("this",)], True),
            ({"weekday": []}, [("weekday",)], True),
            ({"weekday": ["Sat"]}, [("weekday", 0)], True),
            ({"weekday": "Sunday"}, [("weekday",)], True),
            ({"weekday": ["monday", 5]}, [("weekday", 1)], True),
            ({"hours": ["18:00", "18:00"]}, [("hours",)], None),
            ({"hours": ["24:00", "06:00"]}, [("hours", 0)], True),
            ({"hours": ["9:00", "18:00"]}, [("hours", 0)], True),
            ({"hours": ["09:00", "18:60"]}, [("hours", 1)], True),
            ({"hours": ["09:00", "24:01"]}, [("hours", 1)], True),
            ({"hours": ["09:00"]}, [("hours",)], True),
            ({"hours": "09:00"}, [("hours",)], True),
            ({"from": "2026-01-01"}, [("from",)], True),
            ({"from": {}}, [("from",)], True),
            ({"from": {**anchor, "last": "e"}}, [("from",)], True),
            ({"until": {"profile": "a[]"}}, [("until", "profile")], True),
            (
                {"until": {"profile": "a", "where": {"property": "p", "operator": "exists"}}},
                [[("until",), ("until", "where")]],
                True,
            ),
            ({"from": anchor, "until": anchor}, [()], True),
            ({"from": anchor, "within": "soon"}, [("within",)], True),
            ({"from": anchor, "since": "2026-01-01"}, [()], True),
            ({"from": {"first": ""}}, [("from", "first")], True),
            ({"since": "2026-01-01", "within": "1 day"}, [[(), ("within",)]], True),
            ({"within": "1 day"}, [()], True),
            ([], [()], True),
        )
    )
    if part.keys and isinstance(part.keys[-1], int) and wrong == []:
        return None  # a list within a list is something else
    if isinstance(part.value, dict) and not isinstance(part.keys[-1], int) and wrong != [] and rng.random() < 0.3:
        # The same in a list of forms.
        return Fault([wrong], [[(0, *place) for place in alternatives(group)] for group in places], schema)
    return Fault(wrong, places, schema)
