"""The fine print of the rule language, sentence by sentence, as tiny examples checked by hand against the model."""

import unittest

from dates import read_date, zone
from model import Data, Event, members
from values import loads, numeric, shortest_decimal, simple_lower

AS_OF = "2026-03-15T12:00:00Z"


def instant(text):
    return read_date(text, zone("UTC"))[0]


def data_of(events=(), profiles=None):
    """Events as (customer, type, time[, data]), ids by position; data and profiles as JSON text."""
    made = [
        Event(number, event[0], event[1], instant(event[2]), loads(event[3]) if len(event) > 3 else {})
        for number, event in enumerate(events, 1)
    ]
    return Data(made, {customer: loads(text) for customer, text in (profiles or {}).items()})


class Base(unittest.TestCase):
    def who(self, rule, data, as_of=AS_OF, cohorts=None):
        rule = loads(rule) if isinstance(rule, str) else rule
        cohorts = {name: loads(body) if isinstance(body, str) else body for name, body in (cohorts or {}).items()}
        return "".join(sorted(members(rule, data, instant(as_of), cohorts)))

    def holds(self, predicate, document, as_of=AS_OF, timezone="UTC"):
        """Whether a predicate, written without its property `p`, holds of an event with this data."""
        where = {"property": "p", **loads(predicate)}
        rule = {"did": "*", "where": where, "timezone": timezone}
        return self.who(rule, data_of([("x", "e", "2000-01-01T00:00:00Z", document)]), as_of) == "x"

    def yes(self, predicate, *documents, **options):
        for document in documents:
            self.assertTrue(self.holds(predicate, document, **options), f"{predicate} of {document}")

    def no(self, predicate, *documents, **options):
        for document in documents:
            self.assertFalse(self.holds(predicate, document, **options), f"{predicate} of {document}")


class Universe(Base):
    data = data_of(
        [
            ("a", "buy", "2026-03-15T12:00:00Z"),
            ("b", "buy", "2026-03-15T12:00:01Z"),
            ("c", "buy", "2026-03-16T00:00:00Z"),
        ],
        {"c": "{}", "d": "{}"},
    )

    def test_customers_of_the_future_do_not_exist(self):
        self.assertEqual(self.who('{"did_not": "never"}', self.data), "acd")
        self.assertEqual(self.who('{"did": "buy"}', self.data), "a")
        self.assertEqual(self.who('{"did_not": "never"}', self.data, "2026-03-15T12:00:01Z"), "abcd")

    def test_absence_is_measured_against_the_universe(self):
        for rule in (
            '{"did_not": "buy"}',
            '{"did": "buy", "count": {"eq": 0}}',
            '{"not": {"did": "buy"}}',
            '{"did": "buy", "count": {"lt": 1}}',
        ):
            self.assertEqual(self.who(rule, self.data), "cd", rule)
        self.assertEqual(self.who('{"did": "buy", "count": {"lte": 2}}', self.data), "acd")

    def test_members_of_a_fixed_list_count_only_in_the_universe(self):
        self.assertEqual(self.who('{"cohort": "l"}', self.data, cohorts={"l": ["a", "b", "d", "z"]}), "ad")
        self.assertEqual(self.who('{"not": {"cohort": "l"}}', self.data, cohorts={"l": ["a", "b"]}), "cd")

    def test_a_referenced_cohort_keeps_its_own_zone(self):
        data = data_of([("a", "buy", "2026-03-14T20:00:00Z")])
        india = '{"did": "buy", "time": {"this": "day"}, "timezone": "Asia/Kolkata"}'
        self.assertEqual(self.who(india, data), "a")
        self.assertEqual(self.who('{"did": "buy", "time": {"this": "day"}}', data), "")
        self.assertEqual(self.who('{"cohort": "i", "timezone": "UTC"}', data, cohorts={"i": india}), "a")
        mixed = '{"and": [{"cohort": "i"}, {"did": "buy", "time": {"previous": "day"}}]}'
        self.assertEqual(self.who(mixed, data, cohorts={"i": india}), "a")


class Shape(Base):
    def test_event_types_are_exact_and_star_is_any(self):
        data = data_of(
            [
                ("a", "buy", "2026-01-01T00:00:00Z"),
                ("b", "Buy", "2026-01-01T00:00:00Z"),
                ("c", "b*", "2026-01-01T00:00:00Z"),
            ]
        )
        self.assertEqual(self.who('{"did": "buy"}', data), "a")
        self.assertEqual(self.who('{"did": "b*"}', data), "c")
        self.assertEqual(self.who('{"did": ["x", "*"]}', data), "abc")
        self.assertEqual(self.who('{"did": ["buy", "Buy"]}', data), "ab")

    def test_icontains_is_contains_with_ignore_case(self):
        self.yes('{"operator": "icontains", "value": "É"}', '{"p": "né"}')


class Properties(Base):
    def test_paths(self):
        exists = '{"operator": "exists"}'
        for path, document, expected in (
            ("a.b", '{"a": {"b": 1}}', True),
            ("a.b", '{"a.b": 1}', False),
            (["a.b"], '{"a.b": 1}', True),
            ("m[][]", '{"m": [[1]]}', True),
            ("m[][]", '{"m": [1]}', False),
            ("m[]", '{"m": [[1]]}', True),
            ("m[]", '{"m": []}', False),
            ("m[]", '{"m": 1}', False),
            ("list.0", '{"list": [1]}', False),
            ("list.0", '{"list": {"0": 1}}', True),
            (["list", "0"], '{"list": [1]}', False),
            (["m[]"], '{"m": [1]}', False),
            (["m[]"], '{"m[]": 1}', True),
            ("i[].s", '{"i": [{"t": 1}, {"s": 2}]}', True),
            ("i.s", '{"i": [{"s": 2}]}', False),
            ("p", '{"p": null}', False),
            ("p[]", '{"p": [null]}', False),
            ("p", "[]", False),
            ("p", "5", False),
            ("p", "null", False),
            ("p", '{"p": ""}', True),
            ("p", '{"p": {}}', True),
            ("p", '{"p": false}', True),
        ):
            where = {"property": path, **loads(exists)}
            got = self.who({"did": "*", "where": where}, data_of([("x", "e", "2026-01-01T00:00:00Z", document)]))
            self.assertEqual(got == "x", expected, f"{path} of {document}")

    def test_negatives_are_exact_negations_also_through_brackets(self):
        through = {"did": "*", "where": {"property": "p[]", "operator": "neq", "value": "a"}}
        for document, expected in (
            ('{"p": ["a", "b"]}', ""),
            ('{"p": ["b"]}', "x"),
            ("{}", "x"),
            ('{"p": []}', "x"),
            ('{"p": "a"}', "x"),
        ):
            self.assertEqual(
                self.who(through, data_of([("x", "e", "2026-01-01T00:00:00Z", document)])), expected, document
            )
        self.yes('{"operator": "neq", "value": 1}', "{}", '{"p": null}', '{"p": "x"}', '{"p": true}', '{"p": 2}')
        self.no('{"operator": "neq", "value": 1}', '{"p": 1.0}', '{"p": "1e0"}')
        self.yes('{"operator": "not_between", "value": [1, 2]}', "{}", '{"p": "x"}', '{"p": 3}')
        self.yes(
            '{"operator": "not_contains", "value": "a"}', "{}", '{"p": 1}', '{"p": ["b", ["a"]]}', '{"p": {"a": 1}}'
        )

    def test_types_decide(self):
        self.yes(
            '{"operator": "eq", "value": 1}', '{"p": 1}', '{"p": 1.0}', '{"p": "1"}', '{"p": "1.0"}', '{"p": "10e-1"}'
        )
        self.no(
            '{"operator": "eq", "value": 1}',
            '{"p": true}',
            '{"p": [1]}',
            '{"p": " 1"}',
            '{"p": "01"}',
            '{"p": "+1"}',
            '{"p": "1."}',
            "{}",
        )
        self.yes('{"operator": "eq", "value": "1"}', '{"p": "1"}')
        self.no('{"operator": "eq", "value": "1"}', '{"p": 1}', '{"p": "1.0"}')
        self.yes('{"operator": "eq", "value": true}', '{"p": true}')
        self.no('{"operator": "eq", "value": true}', '{"p": "true"}', '{"p": 1}', '{"p": false}')
        self.no('{"operator": "gt", "value": "a"}', '{"p": 9}')
        self.no('{"operator": "lt", "value": 5}', '{"p": "x"}', '{"p": "NaN"}', '{"p": "-Infinity"}')
        self.yes('{"operator": "in", "value": ["a", 1, false]}', '{"p": "a"}', '{"p": "1.0"}', '{"p": false}')
        self.no('{"operator": "in", "value": ["a", 1]}', '{"p": "A"}', '{"p": true}', '{"p": ["a"]}')

    def test_byte_order(self):
        self.yes('{"operator": "gt", "value": "\\ue9ff"}', '{"p": "😀"}')
        self.yes('{"operator": "lt", "value": "a"}', '{"p": "Z"}', '{"p": ""}')
        self.yes('{"operator": "between", "value": ["a", "b"]}', '{"p": "a"}', '{"p": "az"}', '{"p": "b"}')
        self.no('{"operator": "between", "value": ["a", "b"]}', '{"p": "ba"}', '{"p": 1}')

    def test_contains(self):
        self.yes('{"operator": "contains", "value": "a"}', '{"p": "bab"}', '{"p": ["b", "a"]}')
        self.no('{"operator": "contains", "value": "a"}', '{"p": ["ab"]}', '{"p": {"a": 1}}', '{"p": 1}')
        self.yes('{"operator": "contains", "value": ""}', '{"p": ""}', '{"p": "x"}', '{"p": [""]}')
        self.no('{"operator": "contains", "value": ""}', '{"p": ["x"]}', "{}", '{"p": 1}')
        self.no('{"operator": "contains", "value": "1"}', '{"p": 10}', '{"p": [1]}')
        self.yes('{"operator": "contains", "value": "A", "ignore_case": true}', '{"p": ["a"]}', '{"p": "bab"}')

    def test_list_operators(self):
        self.yes('{"operator": "contains_any", "value": ["a", 1]}', '{"p": ["x", "a"]}', '{"p": ["1.0"]}')
        self.no(
            '{"operator": "contains_any", "value": ["a", 1]}',
            '{"p": "a"}',
            '{"p": []}',
            "{}",
            '{"p": [["a"]]}',
            '{"p": [true]}',
        )
        self.yes('{"operator": "contains_all", "value": ["a", 1]}', '{"p": ["1", "a", "b"]}')
        self.no('{"operator": "contains_all", "value": ["a", 1]}', '{"p": ["a"]}')
        self.yes('{"operator": "contains_none", "value": ["a"]}', '{"p": "a"}', "{}", '{"p": ["b"]}')
        self.no('{"operator": "contains_none", "value": ["a"]}', '{"p": ["a"]}')

    def test_simple_lower_case(self):
        self.assertEqual(simple_lower("İΣẞÉ𐐀\u212aſ"), "iσßé𐐨kſ")
        self.yes('{"operator": "eq", "value": "ΣΑΣ", "ignore_case": true}', '{"p": "σασ"}')
        self.no('{"operator": "eq", "value": "ΣΑΣ", "ignore_case": true}', '{"p": "σας"}')
        self.yes('{"operator": "starts_with", "value": "İs", "ignore_case": true}', '{"p": "istanbul"}')
        self.no('{"operator": "eq", "value": "STRASSE", "ignore_case": true}', '{"p": "straße"}')
        self.yes('{"operator": "in", "value": ["A", 1], "ignore_case": true}', '{"p": "a"}', '{"p": 1}')
        self.no('{"operator": "not_in", "value": ["A"], "ignore_case": true}', '{"p": "a"}')

    def test_patterns(self):
        self.yes('{"operator": "regex", "value": "b.d$"}', '{"p": "abcd"}')
        self.no('{"operator": "regex", "value": "b.d$"}', '{"p": "abcd\\n"}', '{"p": ["abcd"]}')
        self.yes('{"operator": "not_regex", "value": "^b"}', '{"p": "ab"}', "{}", '{"p": 5}')
        self.yes('{"operator": "matches", "value": "é", "ignore_case": true}', '{"p": "É"}')
        self.no('{"operator": "regex", "value": "i", "ignore_case": true}', '{"p": "İ"}', '{"p": "ı"}')


class Numbers(Base):
    def test_exact(self):
        self.no('{"operator": "eq", "value": 9007199254740992}', '{"p": 9007199254740993}', '{"p": "9007199254740993"}')
        ten = data_of([("x", "e", "2026-01-01T00:00:00Z", '{"p": 100.10}')] * 10)
        self.assertEqual(self.who('{"did": "e", "aggregate": {"fn": "sum", "property": "p", "gte": 1001}}', ten), "x")
        self.assertEqual(self.who('{"did": "e", "aggregate": {"fn": "sum", "property": "p", "gt": 1001}}', ten), "")

    def test_numeric_strings(self):
        for text in (
            "01",
            " 1",
            "1 ",
            "+1",
            "1.",
            ".5",
            "1e",
            "NaN",
            "Infinity",
            "0x1",
            "1_0",
            "",
            "-",
            "1\n",
            "\u0661",
        ):
            self.assertIsNone(numeric(text), text)
        for text, value in (("-0", 0), ("1E+2", 100), ("10.00e-1", 1)):
            self.assertEqual(numeric(text), value)
        self.assertIsNotNone(numeric("1e5000"))
        self.assertIsNotNone(numeric("0.01e-4998"))
        for text in ("1e5001", "10e5000", "0.1e-5000", "1e-5001", "1e99999999999999999999"):
            self.assertIsNone(numeric(text), text)


class Aggregates(Base):
    def figure(self, options, *documents):
        data = data_of([("x", "e", "2026-01-01T00:00:00Z", document) for document in documents])
        return self.who(f'{{"did": "e", "aggregate": {{{options}}}}}', data) == "x"

    def test_every_element_is_a_value(self):
        self.assertTrue(
            self.figure(
                '"fn": "sum", "property": "p[].q", "eq": 6',
                '{"p": [{"q": 1}, {"q": "2"}, {"q": "x"}]}',
                '{"p": [{"q": 3}]}',
            )
        )
        self.assertTrue(self.figure('"fn": "avg", "property": "p[]", "eq": 2', '{"p": [1, 2]}', '{"p": [3]}'))

    def test_average_is_not_rounded(self):
        third = ('{"p": 1}', '{"p": 0}', '{"p": 0}')
        self.assertTrue(self.figure('"fn": "avg", "property": "p", "gt": 0.33333333333333333333333333333333', *third))
        self.assertFalse(self.figure('"fn": "avg", "property": "p", "gte": 0.33333333333333333333333333333334', *third))

    def test_no_value_means_no_match_for_every_comparison(self):
        for options in (
            '"fn": "sum", "property": "p", "lte": 5',
            '"fn": "count_distinct", "property": "p", "eq": 0',
            '"fn": "count_distinct", "property": "p", "neq": 7',
            '"fn": "min", "property": "p", "neq": 7',
        ):
            self.assertFalse(self.figure(options), options)
            self.assertFalse(self.figure(options, "{}", '{"p": null}', '{"p": {}}', '{"p": []}'), options)

    def test_count_distinct(self):
        documents = (
            '{"p": 1}',
            '{"p": 1.0}',
            '{"p": "1"}',
            '{"p": true}',
            '{"p": "true"}',
            '{"p": null}',
            '{"p": [1]}',
            '{"p": "A"}',
            '{"p": "a"}',
        )
        self.assertTrue(self.figure('"fn": "count_distinct", "property": "p", "eq": 6', *documents))

    def test_most_frequent(self):
        self.assertTrue(
            self.figure('"fn": "most_frequent", "property": "p", "eq": "b"', '{"p": "b"}', '{"p": "a"}', '{"p": "b"}')
        )
        self.assertTrue(self.figure('"fn": "most_frequent", "property": "p", "eq": "Z"', '{"p": "a"}', '{"p": "Z"}'))
        self.assertTrue(self.figure('"fn": "most_frequent", "property": "p", "eq": 10', '{"p": 9}', '{"p": 1.0E+1}'))
        # The text comes before the type: "10" is smaller than 9.
        self.assertTrue(self.figure('"fn": "most_frequent", "property": "p", "eq": "10"', '{"p": "10"}', '{"p": 9}'))
        # Equal texts: the boolean before the string, the number before the string.
        self.assertFalse(
            self.figure('"fn": "most_frequent", "property": "p", "eq": "true"', '{"p": "true"}', '{"p": true}')
        )
        self.assertTrue(
            self.figure('"fn": "most_frequent", "property": "p", "eq": true', '{"p": "true"}', '{"p": true}')
        )
        self.assertFalse(self.figure('"fn": "most_frequent", "property": "p", "eq": "1"', '{"p": "1"}', '{"p": 1}'))
        # The winner is compared as `eq` compares: the string "1" equals the number 1.
        self.assertTrue(self.figure('"fn": "most_frequent", "property": "p", "in": [5, 1]', '{"p": "1"}'))
        self.assertEqual(
            [shortest_decimal(loads(text)) for text in ("100.10", "1E+2", "-0.0", "1E-7", "10")],
            ["100.1", "100", "0", "0.0000001", "10"],
        )

    def test_combines_with_count(self):
        data = data_of([("x", "e", "2026-01-01T00:00:00Z", '{"p": 5}')])
        rule = '{"did": "e", "count": {"gte": %d}, "aggregate": {"fn": "sum", "property": "p", "gte": 5}}'
        self.assertEqual((self.who(rule % 1, data), self.who(rule % 2, data)), ("x", ""))


class Occurrence(Base):
    data = data_of(
        [
            ("a", "e", "2026-01-02T00:00:00Z", '{"p": 1}'),
            ("a", "e", "2026-01-01T00:00:00Z", '{"p": 2}'),
            ("a", "e", "2026-01-02T00:00:00Z", '{"p": 3}'),
            ("b", "f", "2026-01-01T00:00:00Z"),
            ("a", "e", "2026-04-01T00:00:00Z", '{"p": 4}'),
        ]
    )

    def test_one_event_is_taken_then_asked(self):
        for which, value, expected in (("first", 2, "a"), ("last", 3, "a"), ("last", 1, ""), ("last", 4, "")):
            rule = {"did": "e", "occurrence": which, "where": {"property": "p", "operator": "eq", "value": value}}
            self.assertEqual(self.who(rule, self.data), expected, (which, value))
        late = {"did": "e", "occurrence": "first", "time": {"since": "2026-01-02"}}
        self.assertEqual(self.who(late, self.data), "")
        self.assertEqual(
            self.who({**{"did_not": "e"}, "occurrence": "first", "time": {"since": "2026-01-02"}}, self.data), "ab"
        )


class Sequences(Base):
    def run_of(self, rule, *events, as_of=AS_OF):
        return self.who(rule, data_of([("x", *event) for event in events]), as_of) == "x"

    def test_distinct_events_in_order(self):
        twice = '{"sequence": [{"did": "a"}, {"did": "a"}]}'
        self.assertFalse(self.run_of(twice, ("a", "2026-01-01T00:00:00Z")))
        self.assertTrue(self.run_of(twice, ("a", "2026-01-01T00:00:00Z"), ("a", "2026-01-01T00:00:00Z")))
        then = '{"sequence": [{"did": "a"}, {"did": "b"}]}'
        self.assertTrue(self.run_of(then, ("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-01T00:00:00Z")))
        self.assertFalse(self.run_of(then, ("b", "2026-01-01T00:00:00Z"), ("a", "2026-01-01T00:00:00Z")))

    def test_within_counts_from_the_first_its_end_included(self):
        rule = '{"sequence": [{"did": "a"}, {"did": "b"}, {"did": "c"}], "within": "2 days"}'
        self.assertTrue(
            self.run_of(
                rule, ("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-02T00:00:00Z"), ("c", "2026-01-03T00:00:00Z")
            )
        )
        self.assertFalse(
            self.run_of(
                rule, ("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-02T00:00:00Z"), ("c", "2026-01-03T00:00:00.000001Z")
            )
        )

    def test_absence_between_looks_strictly_between(self):
        rule = '{"sequence": [{"did": "a"}, {"did_not": "*"}, {"did": "b"}]}'
        self.assertTrue(self.run_of(rule, ("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-02T00:00:00Z")))
        self.assertFalse(
            self.run_of(
                rule, ("a", "2026-01-01T00:00:00Z"), ("z", "2026-01-01T00:00:00Z"), ("b", "2026-01-02T00:00:00Z")
            )
        )
        self.assertTrue(
            self.run_of(
                rule, ("z", "2026-01-01T00:00:00Z"), ("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-02T00:00:00Z")
            )
        )
        # Another assignment may satisfy: the second a has nothing between it and b.
        self.assertTrue(
            self.run_of(
                rule, ("a", "2026-01-01T00:00:00Z"), ("a", "2026-01-02T00:00:00Z"), ("b", "2026-01-03T00:00:00Z")
            )
        )

    def test_last_absence(self):
        rule = '{"sequence": [{"did": "a"}, {"did_not": "b"}], "within": "1 day"}'
        self.assertFalse(self.run_of(rule, ("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-02T00:00:00Z")))
        self.assertTrue(self.run_of(rule, ("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-02T00:00:00.000001Z")))
        self.assertTrue(self.run_of(rule, ("b", "2026-01-01T00:00:00Z"), ("a", "2026-01-01T00:00:00Z")))
        self.assertTrue(self.run_of(rule, ("a", "2026-03-15T00:00:00Z"), ("b", "2026-03-15T13:00:00Z")))
        forever = '{"sequence": [{"did": "a"}, {"did_not": "b"}, {"did_not": "c"}]}'
        self.assertFalse(self.run_of(forever, ("a", "2026-01-01T00:00:00Z"), ("c", AS_OF)))

    def test_last_absence_is_counted_from_the_step_before(self):
        rule = '{"sequence": [{"did": "a"}, {"did": "b"}, {"did_not": "c"}], "within": "1 day"}'
        events = [("a", "2026-01-01T00:00:00Z"), ("b", "2026-01-01T20:00:00Z")]
        self.assertFalse(self.run_of(rule, *events, ("c", "2026-01-02T20:00:00Z")))
        self.assertTrue(self.run_of(rule, *events, ("c", "2026-01-02T20:00:00.000001Z")))

    def test_only_the_first_step_has_a_time(self):
        rule = '{"sequence": [{"did": "a", "time": {"before": "2026-01-02"}}, {"did": "b"}]}'
        self.assertTrue(self.run_of(rule, ("a", "2026-01-01T00:00:00Z"), ("b", "2026-02-01T00:00:00Z")))
        self.assertFalse(self.run_of(rule, ("a", "2026-01-03T00:00:00Z"), ("b", "2026-02-01T00:00:00Z")))

    def reference(self, bound, own, path="p", other="p", fold="false"):
        rule = f"""{{"sequence": [{{"did": "a", "as": "c"}}, {{"did": "b", "where":
            {{"property": "{path}", "operator": "eq", "ref": "c.{other}", "ignore_case": {fold}}}}}]}}"""
        return self.run_of(rule, ("a", "2026-01-01T00:00:00Z", bound), ("b", "2026-01-02T00:00:00Z", own))

    def test_references(self):
        self.assertTrue(self.reference('{"p": 1}', '{"p": "1.0"}'))
        self.assertFalse(self.reference('{"p": "1"}', '{"p": 1}'))
        for same in ("{}", '{"p": null}', '{"p": [1]}', '{"p": {"a": 1}}'):
            self.assertFalse(self.reference(same, same), same)
        self.assertTrue(self.reference('{"p": [1, 2]}', '{"p": [3, 2]}', "p[]", "p[]"))
        self.assertTrue(self.reference('{"q": {"r": "x"}}', '{"p": "x"}', other="q.r"))
        self.assertTrue(self.reference('{"p": "É"}', '{"p": "é"}', fold="true"))
        self.assertFalse(self.reference('{"p": "É"}', '{"p": "é"}'))

    def test_any_assignment_will_do(self):
        rule = """{"sequence": [{"did": "cart", "as": "c"}, {"did_not": "buy", "where":
            [{"property": "p", "operator": "eq", "ref": "c.p"}]}], "within": "1 day"}"""
        carts = [("cart", "2026-01-01T00:00:00Z", '{"p": 1}'), ("cart", "2026-01-01T01:00:00Z", '{"p": 2}')]
        self.assertTrue(self.run_of(rule, *carts, ("buy", "2026-01-01T02:00:00Z", '{"p": 1}')))
        self.assertFalse(
            self.run_of(
                rule, *carts, ("buy", "2026-01-01T02:00:00Z", '{"p": 1}'), ("buy", "2026-01-01T03:00:00Z", '{"p": 2}')
            )
        )


if __name__ == "__main__":
    unittest.main()
