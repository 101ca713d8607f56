"""Samples, figures that are compared, rankings and groups, by hand-checked examples."""

import hashlib
import unittest
from fractions import Fraction

from model import in_percent, members, sample_number
from test_model import AS_OF, Base, data_of, instant
from values import loads


class Samples(Base):
    everyone = data_of([], {str(number): "{}" for number in range(400)})

    def sample(self, first, second, salt="spring"):
        rule = f'{{"sample": {{"percent": [{first}, {second}], "salt": "{salt}"}}}}'
        return members(loads(rule), self.everyone, instant(AS_OF))

    def test_the_place_is_computed_in_one_line(self):
        self.assertEqual(sample_number("c1", "é"), int(hashlib.sha256("é\0c1".encode()).hexdigest()[:16], 16))

    def test_ranges_adjoin_widen_and_are_even(self):
        tenth, fifth = self.sample(0, 10), self.sample(0, 20)
        self.assertLess(tenth, fifth)
        self.assertFalse(self.sample(10, 20) & tenth)
        self.assertEqual(self.sample(10, 20) | tenth, fifth)
        self.assertEqual(len(self.sample(0, 100)), 400)
        self.assertTrue(20 < len(tenth) < 65)
        self.assertNotEqual(self.sample(0, 10, "autumn"), tenth)

    def test_bounds_are_exact(self):
        place = Fraction(sample_number("7", "spring") * 100, 2**64)
        self.assertTrue(in_percent(place / 100, [place, place + 1]))
        self.assertFalse(in_percent(place / 100, [place - 1, place]))


class Compared(Base):
    def holds_of(self, condition, *events, profile=None):
        data = data_of([("x", *event) for event in events], {"x": profile or "{}"})
        return self.who(condition, data) == "x"

    spend = """{"did": "buy", "time": {"%s": "quarter"}, "aggregate": {"fn": "sum", "property": "p"}}"""
    less = f'{{"compare": {spend % "this"}, "operator": "%s", "to": {spend % "previous"}, "factor": %s}}'

    def test_a_sum_against_half_of_another(self):
        before = ("buy", "2025-11-01T00:00:00Z", '{"p": 100.10}')
        for now, factor, operator, expected in (
            ("50.04", 0.5, "lt", True),
            ("50.05", 0.5, "lt", False),
            ("50.05", 0.5, "eq", True),
            ("50.05", 0.5, "neq", False),
            ("50.06", 0.5, ">", True),
            ("-100.10", -1, "is", True),
        ):
            event = ("buy", "2026-02-01T00:00:00Z", f'{{"p": {now}}}')
            self.assertEqual(self.holds_of(self.less % (operator, factor), before, event), expected, (now, operator))

    def test_no_value_is_0_for_counts_and_sums(self):
        self.assertTrue(self.holds_of(self.less % ("eq", 1)))
        self.assertTrue(self.holds_of(self.less % ("lt", 1), ("buy", "2025-11-01T00:00:00Z", '{"p": 1}')))
        self.assertTrue(self.holds_of(self.less % ("eq", 1), ("buy", "2025-11-01T00:00:00Z", '{"p": "x"}')))
        counts = '{"compare": {"did": "a"}, "operator": "gte", "to": {"did": "b"}}'
        self.assertTrue(self.holds_of(counts))
        self.assertFalse(self.holds_of(counts, ("b", "2026-01-01T00:00:00Z")))
        self.assertTrue(self.holds_of(counts, ("b", "2026-01-01T00:00:00Z"), ("a", "2026-01-01T00:00:00Z")))
        values = '{"did": "a", "aggregate": {"fn": "count_distinct", "property": "p"}}'
        distinct = f'{{"compare": {values}, "operator": "eq", "to": 0}}'
        self.assertTrue(self.holds_of(distinct))
        self.assertTrue(self.holds_of(distinct, ("a", "2026-01-01T00:00:00Z", '{"p": [1]}')))
        self.assertFalse(self.holds_of(distinct, ("a", "2026-01-01T00:00:00Z", '{"p": false}')))

    def test_no_value_compares_with_nothing(self):
        for fn in ("avg", "min", "max"):
            figure = f'{{"did": "a", "aggregate": {{"fn": "{fn}", "property": "p"}}}}'
            for operator in ("neq", "eq", "gte", "lte"):
                rule = f'{{"compare": {figure}, "operator": "{operator}", "to": 0}}'
                self.assertFalse(self.holds_of(rule, ("a", "2026-01-01T00:00:00Z", '{"p": "x"}')), rule)
        for profile in ("{}", '{"n": "x"}', '{"n": true}', '{"n": null}'):
            rule = '{"compare": {"profile": "n"}, "operator": "neq", "to": 0}'
            self.assertFalse(self.holds_of(rule, profile=profile), profile)

    def test_a_profile_property_against_a_figure(self):
        rule = '{"compare": {"did": "a"}, "operator": "gt", "to": {"profile": "limit"}}'
        events = [("a", "2026-01-01T00:00:00Z")] * 3
        self.assertTrue(self.holds_of(rule, *events, profile='{"limit": 2}'))
        self.assertTrue(self.holds_of(rule, *events, profile='{"limit": "2.9"}'))
        self.assertFalse(self.holds_of(rule, *events, profile='{"limit": 3}'))
        self.assertTrue(self.holds_of('{"compare": 5, "operator": "lt", "to": {"profile": "n"}}', profile='{"n": 6}'))

    def test_averages_are_not_rounded(self):
        average = '{"did": "%s", "aggregate": {"fn": "avg", "property": "p"}}'
        thirds = [("a", "2026-01-01T00:00:00Z", f'{{"p": {p}}}') for p in (1, 0, 0)]
        sixths = [("b", "2026-01-01T00:00:00Z", f'{{"p": {p}}}') for p in (1, 0, 0, 0, 0, 0)]
        rule = f'{{"compare": {average % "a"}, "operator": "eq", "to": {average % "b"}, "factor": 2}}'
        self.assertTrue(self.holds_of(rule, *thirds, *sixths))
        self.assertFalse(self.holds_of(rule.replace("2}", "2.0000000000000000000000000001}"), *thirds, *sixths))

    def test_over_the_events_of_the_group(self):
        rule = """{"compare": {"did": "a", "aggregate": {"fn": "sum", "property": "p"}},
            "operator": "gte", "to": 5, "over": "firm"}"""
        data = data_of(
            [
                ("a", "a", "2026-01-01T00:00:00Z", '{"p": 2}'),
                ("b", "a", "2026-01-01T00:00:00Z", '{"p": 3}'),
                ("c", "a", "2026-01-01T00:00:00Z", '{"p": 4}'),
                ("d", "a", "2026-01-01T00:00:00Z", '{"p": 9}'),
                ("f", "a", "2026-01-01T00:00:00Z", '{"p": 9}'),
            ],
            {"a": '{"firm": 1}', "b": '{"firm": 1.0}', "c": '{"firm": "1"}', "d": '{"firm": [1]}', "e": '{"firm": 1}'},
        )
        self.assertEqual(self.who(rule, data), "abe")
        none = rule.replace('"gte", "to": 5', '"lt", "to": 5')
        self.assertEqual(self.who(none, data), "c")

    def test_over_asks_each_event_with_its_own_customer(self):
        rule = """{"compare": {"did": "a", "where": {"property": "p", "operator": "eq", "ref": "profile.p"},
            "time": {"from": {"first": "s"}}}, "operator": "gte", "to": 2, "over": "firm"}"""
        data = data_of(
            [
                ("a", "s", "2026-01-01T00:00:00Z"),
                ("a", "a", "2026-01-02T00:00:00Z", '{"p": 1}'),
                ("b", "s", "2026-02-01T00:00:00Z"),
                ("b", "a", "2026-02-02T00:00:00Z", '{"p": 2}'),
                ("b", "a", "2026-01-02T00:00:00Z", '{"p": 2}'),
            ],
            {"a": '{"firm": "x", "p": 1}', "b": '{"firm": "x", "p": 2}'},
        )
        self.assertEqual(self.who(rule, data), "ab")
        self.assertEqual(self.who(rule.replace('"to": 2', '"to": 3'), data), "")


class Ranked(Base):
    data = data_of(
        [
            *[("a", "e", "2026-01-01T00:00:00Z", '{"p": 5}')] * 2,
            *[("b", "e", "2026-01-01T00:00:00Z", '{"p": 1}')] * 3,
            *[("c", "e", "2026-01-01T00:00:00Z", '{"p": "x"}')] * 2,
            ("d", "e", "2026-01-01T00:00:00Z", '{"p": "2"}'),
            ("e", "f", "2026-01-01T00:00:00Z", '{"p": 100}'),
        ],
        {
            "a": '{"city": "x", "n": 1}',
            "b": '{"city": "x", "n": "7"}',
            "c": '{"city": "y"}',
            "d": '{"city": ["x"]}',
            "g": "{}",
        },
    )

    def rank(self, options, figure='{"did": "e"}'):
        return self.who(f'{{"rank": {figure}, {options}}}', self.data)

    def test_top_and_ties_by_id(self):
        for top, expected in ((1, "b"), (2, "ab"), (3, "abc"), (4, "abcd"), (1000000000, "abcd")):
            self.assertEqual(self.rank(f'"order": "most", "top": {top}'), expected, top)
        for top, expected in ((1, "d"), (2, "ad"), (3, "acd")):
            self.assertEqual(self.rank(f'"order": "least", "top": {top}'), expected, top)

    def test_who_has_a_figure(self):
        total = '{"did": "e", "aggregate": {"fn": "sum", "property": "p"}}'
        self.assertEqual(self.rank('"order": "most", "top": 9', total), "abd")
        self.assertEqual(self.rank('"order": "least", "top": 2', total), "bd")
        distinct = '{"did": "e", "aggregate": {"fn": "count_distinct", "property": "p"}}'
        self.assertEqual(self.rank('"order": "most", "top": 9', distinct), "abcd")
        self.assertEqual(self.rank('"order": "most", "top": 9', '{"profile": "n"}'), "ab")
        self.assertEqual(self.rank('"order": "most", "top": 1', '{"profile": "n"}'), "b")
        self.assertEqual(self.rank('"order": "most", "top": 9', '{"did": "e", "time": {"this": "day"}}'), "")

    def test_percent(self):
        # b 3, then a 2, c 2, d 1: places 0, 25, 50 and 75.
        for percent, expected in (
            ("[0, 20]", "b"),
            ("[0, 25]", "b"),
            ("[0, 26]", "ab"),
            ("[25, 75]", "ac"),
            ("[75, 100]", "d"),
            ("[76, 100]", ""),
        ):
            self.assertEqual(self.rank(f'"order": "most", "percent": {percent}'), expected, percent)

    def test_by_a_property(self):
        self.assertEqual(self.rank('"order": "most", "top": 1, "by": "city"'), "bc")
        self.assertEqual(self.rank('"order": "least", "top": 9, "by": "city"'), "abc")
        self.assertEqual(self.rank('"order": "least", "percent": [50, 100], "by": "city"'), "b")

    def test_of_some(self):
        some = '"of": {"profile": "city", "operator": "exists"}'
        self.assertEqual(self.rank(f'"order": "least", "top": 1, {some}'), "d")
        never = '"of": {"did_not": "f"}'
        self.assertEqual(self.rank(f'"order": "most", "top": 9, {never}', '{"did": "*"}'), "abcd")

    def test_it_nests(self):
        inner = '{"rank": {"did": "e"}, "order": "most", "top": 2}'
        outer = f'{{"rank": {{"profile": "n"}}, "order": "least", "top": 1, "of": {inner}}}'
        self.assertEqual(self.who(outer, self.data), "a")
        self.assertEqual(self.who(f'{{"not": {inner}}}', self.data), "cdeg")


class Groups(Base):
    data = data_of(
        [("a", "e", "2026-01-01T00:00:00Z"), ("c", "e", "2026-01-01T00:00:00Z"), ("d", "e", "2026-01-01T00:00:00Z")],
        {
            "a": '{"firm": 1}',
            "b": '{"firm": 1.00}',
            "c": '{"firm": "1"}',
            "d": '{"firm": null}',
            "e": '{"firm": true}',
            "f": '{"firm": {"a": 1}}',
        },
    )

    def test_any_all_none(self):
        for word, expected in (("any", "abc"), ("all", "c"), ("none", "e")):
            self.assertEqual(self.who(f'{{"group": "firm", "{word}": {{"did": "e"}}}}', self.data), expected, word)

    def test_of_the_universe_only(self):
        data = data_of([("a", "e", "2026-01-01T00:00:00Z"), ("z", "e", "2027-01-01T00:00:00Z")], {"a": '{"f": 1}'})
        self.assertEqual(self.who('{"group": "f", "all": {"did": "e"}}', data), "a")

    def test_it_nests(self):
        rule = '{"group": "firm", "any": {"not": {"group": "firm", "all": {"did": "e"}}}}'
        self.assertEqual(self.who(rule, self.data), "abe")
        rule = '{"and": [{"group": "firm", "any": {"did": "e"}}, {"did_not": "e"}]}'
        self.assertEqual(self.who(rule, self.data), "b")


if __name__ == "__main__":
    unittest.main()
