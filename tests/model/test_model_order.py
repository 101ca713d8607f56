"""The n-th of some kind and the additions to sequences, by hand-checked examples."""

import unittest

from test_model import AS_OF, Base, data_of


class Nth(Base):
    data = data_of(
        [
            ("a", "buy", "2026-01-03T00:00:00Z", '{"p": 3, "channel": "web"}'),
            ("a", "buy", "2026-01-01T00:00:00Z", '{"p": 1, "channel": "shop"}'),
            ("a", "buy", "2026-01-02T00:00:00Z", '{"p": 2, "channel": "web"}'),
            ("b", "buy", "2026-01-01T00:00:00Z", '{"p": 9, "channel": "web"}'),
            ("a", "buy", "2026-04-01T00:00:00Z", '{"p": 4, "channel": "web"}'),
        ],
        {"b": '{"channel": "shop"}', "c": "{}"},
    )

    def taken(self, occurrence, value, more=""):
        where = f'"where": {{"property": "p", "operator": "eq", "value": {value}}}'
        return self.who(f'{{"did": "buy", "occurrence": {occurrence}, {where}{more}}}', self.data)

    def test_from_the_first_and_from_the_last(self):
        for occurrence, value, expected in (
            ('{"nth": 1}', 1, "a"),
            ('{"nth": 1}', 9, "b"),
            ('{"nth": 2}', 2, "a"),
            ('{"nth": 2}', 9, ""),
            ('{"nth": -1}', 3, "a"),
            ('{"nth": -3}', 1, "a"),
            ('{"nth": -4}', 1, ""),
            ('{"nth": 4}', 4, ""),  # after as_of
            ('{"nth": 2.0}', 2, "a"),
        ):
            self.assertEqual(self.taken(occurrence, value), expected, (occurrence, value))

    def test_fewer_candidates_do_not_match(self):
        self.assertEqual(self.who('{"did": "buy", "occurrence": {"nth": 2}}', self.data), "a")
        self.assertEqual(self.who('{"did_not": "buy", "occurrence": {"nth": 2}}', self.data), "bc")

    def test_among_chooses_before_one_is_taken(self):
        web = ', "among": {"property": "channel", "operator": "eq", "value": "web"}'
        self.assertEqual(self.taken('"first"', 2, web), "a")
        self.assertEqual(self.taken('"first"', 1, web), "")
        self.assertEqual(self.taken('{"nth": 2}', 3, web), "a")
        late = '{"did": "buy", "occurrence": "first", "time": {"since": "2026-01-02"}%s}'
        self.assertEqual(self.who(late % web, self.data), "a")
        self.assertEqual(self.who(late % "", self.data), "")

    def test_among_may_name_the_profile_and_the_event(self):
        own = ', "among": [{"property": "channel", "operator": "neq", "ref": "profile.channel"}]'
        self.assertEqual(self.taken('"first"', 9, own), "b")
        same = ', "among": {"property": "channel", "operator": "eq", "ref": "event.channel"}'
        self.assertEqual(self.taken('"last"', 3, same), "a")


class Steps(Base):
    def run_of(self, rule, *events, as_of=AS_OF, timezone="UTC", profile=None):
        rule = f'{{{rule}, "timezone": "{timezone}"}}'
        return self.who(rule, data_of([("x", *event) for event in events], profile and {"x": profile}), as_of) == "x"

    def test_every_did_step_takes_time(self):
        rule = '"sequence": [{"did": "a"}, {"did": "b", "time": {"since": "2026-02-01"}}]'
        a = ("a", "2026-01-01T00:00:00Z")
        self.assertFalse(self.run_of(rule, a, ("b", "2026-01-02T00:00:00Z")))
        self.assertTrue(self.run_of(rule, a, ("b", "2026-02-01T00:00:00Z")))

    def test_occurrence_binds_the_event_it_takes_of_all(self):
        rule = '"sequence": [{"did": "a"}, {"did": "b", "occurrence": "first"}]'
        a = ("a", "2026-01-02T00:00:00Z")
        self.assertTrue(self.run_of(rule, a, ("b", "2026-01-03T00:00:00Z")))
        self.assertFalse(self.run_of(rule, ("b", "2026-01-01T00:00:00Z"), a, ("b", "2026-01-03T00:00:00Z")))
        among = rule.replace('"first"', '"first", "among": {"property": "p", "operator": "exists"}')
        self.assertTrue(self.run_of(among, ("b", "2026-01-01T00:00:00Z"), a, ("b", "2026-01-03T00:00:00Z", '{"p": 1}')))
        last = '"sequence": [{"did": "b", "occurrence": {"nth": -1}}, {"did": "a"}]'
        self.assertTrue(self.run_of(last, ("b", "2026-01-01T00:00:00Z"), a))
        self.assertFalse(self.run_of(last, ("b", "2026-01-01T00:00:00Z"), a, ("b", "2026-01-03T00:00:00Z")))
        self.assertTrue(self.run_of(last, ("b", "2026-01-01T00:00:00Z"), a, ("b", "2026-04-03T00:00:00Z")))

    def test_within_and_after_count_from_the_step_before(self):
        rule = '"sequence": [{"did": "a"}, {"did": "b", "after": "1 day", "within": "2 days"}]'
        a = ("a", "2026-01-01T00:00:00Z")
        for at, expected in (
            ("2026-01-01T23:59:59.999999Z", False),
            ("2026-01-02T00:00:00Z", True),
            ("2026-01-03T00:00:00Z", True),
            ("2026-01-03T00:00:00.000001Z", False),
        ):
            self.assertEqual(self.run_of(rule, a, ("b", at)), expected, at)
        three = '"sequence": [{"did": "a"}, {"did": "b", "within": "1 day"}, {"did": "c", "within": "1 day"}]'
        self.assertTrue(self.run_of(three, a, ("b", "2026-01-02T00:00:00Z"), ("c", "2026-01-03T00:00:00Z")))
        self.assertFalse(self.run_of(three, a, ("b", "2026-01-02T00:00:00Z"), ("c", "2026-01-03T00:00:01Z")))
        # The earliest b is not the one to take.
        self.assertTrue(
            self.run_of(
                three.replace('"b", "within": "1 day"', '"b"'),
                a,
                ("b", "2026-01-02T00:00:00Z"),
                ("b", "2026-01-03T00:00:00Z"),
                ("c", "2026-01-04T00:00:00Z"),
            )
        )

    def test_step_bounds_are_of_the_rules_zone(self):
        rule = '"sequence": [{"did": "a"}, {"did": "b", "within": "1 day"}]'
        events = [("a", "2024-03-09T17:00:00Z"), ("b", "2024-03-10T16:00:01Z")]
        self.assertTrue(self.run_of(rule, *events))
        self.assertFalse(self.run_of(rule, *events, timezone="America/New_York"))

    def test_again_after_a_pause(self):
        rule = """"sequence": [{"did": "login"}, {"did_not": "login"},
            {"did": "login", "after": "30 days", "time": {"in_the_last": "7 days"}}]"""
        self.assertTrue(self.run_of(rule, ("login", "2026-01-01T00:00:00Z"), ("login", "2026-03-14T00:00:00Z")))
        middle = ("login", "2026-02-20T00:00:00Z")
        self.assertFalse(
            self.run_of(rule, ("login", "2026-01-01T00:00:00Z"), middle, ("login", "2026-03-14T00:00:00Z"))
        )

    def test_times(self):
        rule = '"sequence": [{"did": "a"}, {"did": "b", "times": 3, "within": "1 day"}, {"did": "c"}]'
        a, c = ("a", "2026-01-01T00:00:00Z"), ("c", "2026-03-01T00:00:00Z")
        bs = [("b", f"2026-{month:02}-02T00:00:00Z") for month in (1, 2, 2)]
        self.assertTrue(self.run_of(rule, a, *bs, c))
        self.assertFalse(self.run_of(rule, a, *bs[:2], c))
        # `within` binds the first of them only, and binds it.
        self.assertFalse(self.run_of(rule, ("a", "2025-12-31T00:00:00Z"), *bs, c))
        where = '"sequence": [{"did": "b", "times": 2, "where": {"property": "p", "operator": "eq", "value": 1}}]'
        self.assertTrue(self.run_of(where, *[(*b, '{"p": 1}') for b in bs[:2]]))
        self.assertFalse(self.run_of(where, (*bs[0], '{"p": 1}'), (*bs[1], '{"p": 2}')))
        # A did_not before them looks before the first of them only.
        gap = '"sequence": [{"did": "a"}, {"did_not": "z"}, {"did": "b", "times": 2}]'
        self.assertTrue(self.run_of(gap, a, bs[0], ("z", "2026-01-15T00:00:00Z"), bs[1]))
        self.assertFalse(self.run_of(gap, a, ("z", "2026-01-01T12:00:00Z"), bs[0], bs[1]))


class Absences(Base):
    run_of = Steps.run_of

    def test_leading(self):
        rule = '"sequence": [{"did_not": "z"}, {"did": "a"}]'
        a = ("a", "2026-01-10T00:00:00Z")
        self.assertTrue(self.run_of(rule, a))
        self.assertFalse(self.run_of(rule, ("z", "2020-01-01T00:00:00Z"), a))
        self.assertTrue(self.run_of(rule, a, ("z", "2026-01-10T00:00:00Z")))  # equal times: the later id
        self.assertFalse(self.run_of(rule, ("z", "2026-01-10T00:00:00Z"), a))

    def test_leading_within(self):
        rule = '"sequence": [{"did_not": "*", "within": "1 month"}, {"did": "a"}]'
        a = ("a", "2026-03-10T00:00:00Z")
        self.assertTrue(self.run_of(rule, ("z", "2026-02-09T23:59:59Z"), a))
        self.assertFalse(self.run_of(rule, ("z", "2026-02-10T00:00:00Z"), a))
        # Another assignment will do: the first a has none before it.
        self.assertTrue(self.run_of(rule, a, ("a", "2026-03-11T00:00:00Z")))
        two = '"sequence": [{"did_not": "y", "within": "1 day"}, {"did_not": "z"}, {"did": "a"}]'
        self.assertTrue(self.run_of(two, ("y", "2026-03-08T00:00:00Z"), a))
        self.assertFalse(self.run_of(two, ("y", "2026-03-09T00:00:00Z"), a))
        self.assertFalse(self.run_of(two, ("z", "2026-03-08T00:00:00Z"), a))

    def test_first_ever_in_a_month(self):
        rule = '"sequence": [{"did_not": "a"}, {"did": "a", "time": {"this": "month"}}]'
        self.assertTrue(self.run_of(rule, ("a", "2026-03-10T00:00:00Z"), ("a", "2026-03-11T00:00:00Z")))
        self.assertFalse(self.run_of(rule, ("a", "2026-02-10T00:00:00Z"), ("a", "2026-03-11T00:00:00Z")))

    def test_last_within(self):
        rule = '"sequence": [{"did": "a"}, {"did_not": "b", "within": "2 days"}], "within": "5 days"'
        a = ("a", "2026-01-01T00:00:00Z")
        self.assertFalse(self.run_of(rule, a, ("b", "2026-01-03T00:00:00Z")))
        self.assertTrue(self.run_of(rule, a, ("b", "2026-01-03T00:00:00.000001Z")))
        longer = rule.replace("2 days", "9 days")
        self.assertFalse(self.run_of(longer, a, ("b", "2026-01-06T00:00:00Z")))
        self.assertTrue(self.run_of(longer, a, ("b", "2026-01-07T00:00:00Z")))
        alone = '"sequence": [{"did": "a"}, {"did_not": "b", "within": "2 days"}, {"did_not": "c"}]'
        self.assertTrue(self.run_of(alone, a, ("b", "2026-01-07T00:00:00Z")))
        self.assertFalse(self.run_of(alone, a, ("c", "2026-01-07T00:00:00Z")))
        late = ("a", "2026-03-15T00:00:00Z")
        self.assertTrue(self.run_of(alone, late, ("b", "2026-03-15T13:00:00Z")))  # after as_of


if __name__ == "__main__":
    unittest.main()
