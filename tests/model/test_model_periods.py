"""Periods and streaks, the additions to `time`, and calendar windows of dates, by hand-checked examples."""

import unittest

from dates import zone
from test_model import AS_OF, Base, data_of
from windows import adjoin

# 2026-03-15, the day of AS_OF, is a Sunday.


class Periods(Base):
    def does(self, rule, *times, as_of=AS_OF, timezone="UTC"):
        """Whether x, with an event `e` at each of these times, matches `did e` with these options."""
        events = [("x", "e", *(time if isinstance(time, tuple) else (time,))) for time in times]
        rule = f'{{"did": "e", {rule}, "timezone": "{timezone}"}}'
        return self.who(rule, data_of(events, {"x": "{}"}), as_of) == "x"

    def test_periods_that_hold_are_counted(self):
        days = ["2026-03-10T00:00:00Z", "2026-03-10T23:59:59.999999Z", "2026-03-12T00:00:00Z"]
        self.assertTrue(self.does('"per": "day", "periods": {"eq": 2}', *days))
        self.assertTrue(self.does('"per": "month", "periods": {"eq": 1}', *days))
        self.assertTrue(self.does('"per": "week", "periods": {"eq": 1}', *days))
        self.assertTrue(self.does('"per": "day", "periods": {"between": [2, 3]}', *days))
        for unit, others in (
            ("week", ("2026-03-08T23:59:59Z", "2026-03-09T00:00:00Z")),
            ("quarter", ("2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z")),
            ("year", ("2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z")),
        ):
            self.assertTrue(self.does(f'"per": "{unit}", "periods": {{"eq": 2}}', *others), unit)
        self.assertTrue(
            self.does('"per": "quarter", "periods": {"eq": 1}', "2026-01-01T00:00:00Z", "2026-03-15T00:00:00Z")
        )

    def test_units_are_those_of_the_rules_zone(self):
        days = ["2026-03-10T18:29:59Z", "2026-03-10T18:30:00Z"]
        self.assertTrue(self.does('"per": "day", "periods": {"eq": 1}', *days))
        self.assertTrue(self.does('"per": "day", "periods": {"eq": 2}', *days, timezone="Asia/Kolkata"))

    def test_count_and_aggregate_ask_each_period_alone(self):
        days = [
            ("2026-03-10T01:00:00Z", '{"p": 3}'),
            ("2026-03-10T02:00:00Z", '{"p": 4}'),
            ("2026-03-11T01:00:00Z", '{"p": 6}'),
        ]
        self.assertTrue(self.does('"per": "day", "count": {"gte": 2}, "periods": {"eq": 1}', *days))
        self.assertTrue(self.does('"per": "day", "count": {"lte": 2}, "periods": {"eq": 2}', *days))
        total = '"per": "day", "aggregate": {"fn": "sum", "property": "p", "gte": 7}, "periods"'
        self.assertTrue(self.does(total + ': {"eq": 1}', *days))
        both = '"per": "day", "count": {"lt": 2}, "aggregate": {"fn": "sum", "property": "p", "gte": 6}, "periods"'
        self.assertTrue(self.does(both + ': {"eq": 1}', *days))
        frequent = '"per": "day", "aggregate": {"fn": "most_frequent", "property": "p", "eq": 6}, "periods": {"eq": 1}'
        self.assertTrue(self.does(frequent, *days))

    def test_where_and_time_come_first(self):
        days = [
            ("2026-03-10T01:00:00Z", '{"p": 1}'),
            ("2026-03-11T01:00:00Z", '{"p": 2}'),
            ("2026-03-12T01:00:00Z", '{"p": 1}'),
        ]
        where = '"where": {"property": "p", "operator": "eq", "value": 1}'
        self.assertTrue(self.does(f'{where}, "per": "day", "periods": {{"eq": 2}}', *days))
        self.assertTrue(
            self.does(f'{where}, "time": {{"since": "2026-03-11"}}, "per": "day", "periods": {{"eq": 1}}', *days)
        )

    def test_streaks(self):
        days = [f"2026-03-{day:02}T12:00:00Z" for day in (1, 2, 3, 5, 14)]
        self.assertTrue(self.does('"per": "day", "periods": {"eq": 3, "streak": "longest"}', *days))
        # The day of as_of, the 15th, does not hold yet: the run that ends the day before is the current one.
        self.assertTrue(self.does('"per": "day", "periods": {"eq": 1, "streak": "current"}', *days))
        today = "2026-03-15T00:00:00Z"
        self.assertTrue(self.does('"per": "day", "periods": {"eq": 2, "streak": "current"}', *days, today))
        self.assertTrue(self.does('"per": "day", "periods": {"eq": 0, "streak": "current"}', *days[:-1]))
        # The weeks from 23 February, 2 March and 9 March.
        self.assertTrue(self.does('"per": "week", "periods": {"eq": 3, "streak": "longest"}', *days))
        self.assertTrue(self.does('"per": "week", "periods": {"eq": 3, "streak": "current"}', *days))
        self.assertTrue(
            self.does(
                '"per": "month", "periods": {"eq": 3, "streak": "current"}',
                *days,
                "2026-02-10T00:00:00Z",
                "2026-01-31T23:00:00Z",
            )
        )

    def test_a_period_that_fails_breaks_the_run(self):
        days = ["2026-03-01T01:00:00Z", "2026-03-01T02:00:00Z", "2026-03-02T01:00:00Z", "2026-03-03T01:00:00Z"]
        days.append("2026-03-03T02:00:00Z")
        self.assertTrue(
            self.does('"per": "day", "count": {"gte": 2}, "periods": {"eq": 1, "streak": "longest"}', *days)
        )

    def test_a_skipped_day_lies_between_nothing(self):
        # Samoa had no 30 December 2011.
        days = ["2011-12-29T12:00:00Z", "2011-12-30T12:00:00Z"]  # the 29th and the 31st there
        longest = '"per": "day", "periods": {"eq": 2, "streak": "longest"}'
        self.assertTrue(self.does(longest, *days, timezone="Pacific/Apia"))
        current = '"per": "day", "periods": {"eq": 1, "streak": "current"}'
        self.assertTrue(self.does(current, days[0], as_of="2011-12-30T13:00:00Z", timezone="Pacific/Apia"))
        apia, day = zone("Pacific/Apia"), 15337  # 2011-12-29
        self.assertEqual([adjoin("day", day, day + after, apia) for after in (0, 1, 2, 3)], [False, True, True, False])

    def test_where_0_satisfies_all_without_events_match(self):
        data = data_of([("a", "e", "2026-03-15T00:00:00Z"), ("b", "f", "2026-03-15T00:00:00Z")], {"c": "{}"})
        self.assertEqual(self.who('{"did": "e", "per": "day", "periods": {"lte": 2}}', data), "abc")
        self.assertEqual(self.who('{"did": "e", "per": "day", "periods": {"eq": 0}}', data), "bc")
        self.assertEqual(self.who('{"did": "e", "per": "day", "periods": {"lt": 1, "streak": "longest"}}', data), "bc")
        self.assertEqual(self.who('{"did_not": "e", "per": "day", "periods": {"gte": 1}}', data), "bc")


class MoreTime(Base):
    def at(self, form, *times, zone_name="UTC", as_of=AS_OF, profiles=None):
        """Which of these times (named a, b, …) have events that count."""
        data = data_of([(chr(97 + place), "e", time) for place, time in enumerate(times)], profiles)
        return self.who(f'{{"did": "e", "time": {form}, "timezone": "{zone_name}"}}', data, as_of)

    def test_previous_takes_a_number(self):
        times = ["2026-02-15T23:59:59Z", "2026-02-16T00:00:00Z", "2026-03-08T23:59:59Z", "2026-03-09T00:00:00Z"]
        for form in ("3 weeks", "3week", "3  weeks", "003 weeks"):
            self.assertEqual(self.at(f'{{"previous": "{form}"}}', *times), "bc", form)
        times = ["2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"]
        self.assertEqual(self.at('{"previous": "4 quarters"}', *times), "bc")
        self.assertEqual(self.at('{"previous": "1 year"}', *times), "bc")
        self.assertEqual(self.at('{"previous": "12 months"}', "2025-02-28T00:00:00Z", "2025-03-01T00:00:00Z"), "b")
        self.assertEqual(self.at('{"previous": "1 day"}', "2026-03-13T23:59:59Z", "2026-03-14T00:00:00Z", AS_OF), "b")

    def test_weekday(self):
        week = [f"2026-03-{day:02}T12:00:00Z" for day in range(9, 16)]  # Monday to Sunday
        self.assertEqual(self.at('{"weekday": ["saturday", "sunday"]}', *week), "fg")
        self.assertEqual(self.at('{"weekday": "monday"}', *week), "a")
        self.assertEqual(
            self.at('{"weekday": "tuesday"}', "2026-03-09T18:29:59Z", "2026-03-09T18:30:00Z", zone_name="Asia/Kolkata"),
            "b",
        )

    def test_hours(self):
        times = [
            "2026-03-01T17:59:59.999999Z",
            "2026-03-01T18:00:00Z",
            "2026-03-01T23:59:59.999999Z",
            "2026-03-02T00:00:00Z",
        ]
        self.assertEqual(self.at('{"hours": ["18:00", "24:00"]}', *times), "bc")
        self.assertEqual(self.at('{"hours": ["18:00", "00:00"]}', *times), "bc")
        self.assertEqual(self.at('{"hours": ["23:59", "18:00"]}', *times), "acd")
        self.assertEqual(self.at('{"hours": ["00:00", "24:00"]}', *times), "abcd")
        self.assertEqual(
            self.at(
                '{"hours": ["09:30", "09:31"]}',
                "2026-03-01T04:00:00Z",
                "2026-03-01T04:01:00Z",
                zone_name="Asia/Kolkata",
            ),
            "a",
        )
        # Both 01:30 of the night on which the hour comes twice.
        twice = ["2024-11-03T05:30:00Z", "2024-11-03T06:30:00Z", "2024-11-03T07:00:00Z"]
        self.assertEqual(self.at('{"hours": ["01:00", "02:00"]}', *twice, zone_name="America/New_York"), "ab")

    def test_a_list_of_forms_holds_together(self):
        week = [f"2026-03-{day:02}T12:00:00Z" for day in range(9, 16)]
        self.assertEqual(self.at('[{"weekday": ["monday", "friday"]}, {"since": "2026-03-10"}]', *week), "e")
        self.assertEqual(self.at('[{"weekday": "monday"}]', *week), "a")


class Anchors(Base):
    def taken(self, rule, *events, profile=None, timezone="UTC", as_of=AS_OF):
        data = data_of([("x", *event) for event in events], {"x": profile} if profile else None)
        return self.who(f'{{{rule}, "timezone": "{timezone}"}}', data, as_of) == "x"

    def test_from_an_event(self):
        rule = '"did": "buy", "time": {"from": {"first": "signup"}, "within": "7 days"}'
        signup = ("signup", "2026-01-01T00:00:00Z")
        self.assertTrue(self.taken(rule, signup, ("buy", "2026-01-08T00:00:00Z")))
        self.assertFalse(self.taken(rule, signup, ("buy", "2026-01-08T00:00:00.000001Z")))
        self.assertTrue(self.taken(rule, signup, ("buy", "2026-01-01T00:00:00Z")))
        self.assertFalse(self.taken(rule, signup, ("buy", "2025-12-31T23:59:59Z")))
        self.assertFalse(self.taken(rule, ("buy", "2026-01-02T00:00:00Z")))
        later = ("signup", "2026-02-01T00:00:00Z")
        self.assertFalse(self.taken(rule, signup, later, ("buy", "2026-02-02T00:00:00Z")))
        last = rule.replace("first", "last")
        self.assertTrue(self.taken(last, signup, later, ("buy", "2026-02-02T00:00:00Z")))
        unbounded = '"did": "buy", "time": {"from": {"first": "signup"}}'
        self.assertTrue(self.taken(unbounded, signup, ("buy", AS_OF)))

    def test_until_an_event(self):
        rule = '"did": "buy", "time": {"until": {"last": ["a", "b"]}, "within": "1 month"}'
        ends = [("a", "2026-01-01T00:00:00Z"), ("b", "2026-03-01T00:00:00Z")]
        self.assertTrue(self.taken(rule, *ends, ("buy", "2026-03-01T00:00:00Z")))
        self.assertTrue(self.taken(rule, *ends, ("buy", "2026-02-01T00:00:00Z")))
        self.assertFalse(self.taken(rule, *ends, ("buy", "2026-01-31T23:59:59Z")))
        self.assertFalse(self.taken(rule, *ends, ("buy", "2026-03-01T00:00:00.000001Z")))
        self.assertTrue(
            self.taken('"did": "buy", "time": {"until": {"first": "a"}}', *ends, ("buy", "1999-01-01T00:00:00Z"))
        )

    def test_the_anchor_itself_counts(self):
        event = ("e", "2026-01-01T00:00:00Z")
        for form in ('"from": {"first": "e"}', '"until": {"last": "e"}'):
            self.assertTrue(self.taken(f'"did": "e", "time": {{{form}, "within": "1 microsecond"}}', event))

    def test_up_to_as_of_and_where(self):
        rule = """"did": "buy", "time": {"from": {"last": "plan", "where":
            {"property": "to", "operator": "eq", "ref": "profile.plan"}}}"""
        events = [("plan", "2026-01-01T00:00:00Z", '{"to": "pro"}'), ("plan", "2026-02-01T00:00:00Z", '{"to": "free"}')]
        events += [("plan", "2026-04-01T00:00:00Z", '{"to": "pro"}'), ("buy", "2026-01-15T00:00:00Z")]
        self.assertTrue(self.taken(rule, *events, profile='{"plan": "pro"}'))
        self.assertFalse(self.taken(rule, *events, profile='{"plan": "free"}'))
        self.assertFalse(self.taken(rule, *events))
        self.assertFalse(self.taken(rule, *events, profile='{"plan": "pro"}', as_of="2026-06-01T00:00:00Z"))
        same = rule.replace("profile.plan", "event.to")
        self.assertFalse(self.taken(same, *events))
        self.assertTrue(self.taken(same, *events, ("buy", "2026-02-15T00:00:00Z")))

    def test_a_date_of_the_profile(self):
        start = '"did": "e", "time": {"from": {"profile": "d"}, "within": "1 day"}'
        day, time = '{"d": "2026-01-10"}', '{"d": "2026-01-10T10:00:00Z"}'
        self.assertTrue(self.taken(start, ("e", "2026-01-10T00:00:00Z"), profile=day))
        self.assertTrue(self.taken(start, ("e", "2026-01-11T00:00:00Z"), profile=day))
        self.assertFalse(self.taken(start, ("e", "2026-01-11T00:00:00.000001Z"), profile=day))
        self.assertFalse(self.taken(start, ("e", "2026-01-10T09:00:00Z"), profile=time))
        end = start.replace("from", "until")
        # The last instant of the day, and a day before it.
        self.assertTrue(self.taken(end, ("e", "2026-01-10T23:59:59.999999Z"), profile=day))
        self.assertFalse(self.taken(end, ("e", "2026-01-11T00:00:00Z"), profile=day))
        self.assertTrue(self.taken(end, ("e", "2026-01-09T23:59:59.999999Z"), profile=day))
        self.assertFalse(self.taken(end, ("e", "2026-01-09T23:59:59.999998Z"), profile=day))
        self.assertFalse(self.taken(end, ("e", "2026-01-10T10:00:00.000001Z"), profile=time))
        self.assertTrue(self.taken(start, ("e", "2026-01-09T18:30:00Z"), profile=day, timezone="Asia/Kolkata"))
        for profile in ('{"d": "soon"}', '{"d": null}', '{"d": ["2026-01-10"]}', "{}", None):
            self.assertFalse(self.taken(start, ("e", "2026-01-10T10:00:00Z"), profile=profile), profile)

    def test_no_anchor_no_event(self):
        data = data_of([("x", "e", "2026-01-01T00:00:00Z")])
        self.assertEqual(self.who('{"did": "e", "time": {"from": {"first": "no"}}, "count": {"eq": 0}}', data), "x")

    def test_days_are_those_of_the_zone(self):
        # From noon of 9 March to noon of the 10th, when New York's day had 23 hours.
        rule = '"did": "buy", "time": {"from": {"first": "a"}, "within": "1 day"}'
        events = [("a", "2024-03-09T17:00:00Z"), ("buy", "2024-03-10T16:00:00.000001Z")]
        self.assertTrue(self.taken(rule, *events))
        self.assertFalse(self.taken(rule, *events, timezone="America/New_York"))

    def test_beside_figures_and_steps(self):
        rule = """"did": "buy", "time": {"from": {"first": "a"}, "within": "7 days"},
            "aggregate": {"fn": "sum", "property": "p", "gte": 100}"""
        events = [("a", "2026-01-01T00:00:00Z"), ("buy", "2026-01-02T00:00:00Z", '{"p": 60}')]
        self.assertTrue(self.taken(rule, *events, ("buy", "2026-01-03T00:00:00Z", '{"p": 40}')))
        self.assertFalse(self.taken(rule, *events, ("buy", "2026-01-09T00:00:00Z", '{"p": 40}')))


class CalendarWindows(Base):
    def test_this_previous_next(self):
        this = '{"operator": "this", "value": "month"}'
        self.yes(this, '{"p": "2026-03-01"}', '{"p": "2026-03-31"}', '{"p": "2026-03-31T23:59:59.999999Z"}')
        self.no(this, '{"p": "2026-02-28"}', '{"p": "2026-04-01"}', '{"p": "2025-03-15"}', '{"p": "soon"}', "{}")
        before = '{"operator": "previous", "value": "month"}'
        self.yes(before, '{"p": "2026-02-01"}', '{"p": "2026-02-28T23:59:59Z"}')
        self.no(before, '{"p": "2026-03-01"}', '{"p": "2026-01-31"}')
        after = '{"operator": "next", "value": "3 months"}'
        self.yes(after, '{"p": "2026-04-01"}', '{"p": "2026-06-30"}')
        self.no(after, '{"p": "2026-03-31"}', '{"p": "2026-07-01"}')
        self.yes('{"operator": "next", "value": "week"}', '{"p": "2026-03-16"}', '{"p": "2026-03-22"}')
        self.no('{"operator": "next", "value": "week"}', '{"p": "2026-03-15"}', '{"p": "2026-03-23"}')
        self.yes('{"operator": "next", "value": "1 day"}', '{"p": "2026-03-16"}')
        self.yes('{"operator": "previous", "value": "2 quarters"}', '{"p": "2025-07-01"}', '{"p": "2025-12-31"}')
        self.no('{"operator": "previous", "value": "2 quarters"}', '{"p": "2025-06-30"}', '{"p": "2026-01-01"}')
        self.yes('{"operator": "this", "value": "year"}', '{"p": "2026-01-01"}', '{"p": "2026-12-31"}')

    def test_in_the_rules_zone(self):
        day = '{"operator": "this", "value": "day"}'
        self.yes(day, '{"p": "2026-03-14T18:30:00Z"}', '{"p": "2026-03-15"}', timezone="Asia/Kolkata")
        self.no(day, '{"p": "2026-03-15T18:30:00Z"}', timezone="Asia/Kolkata")
        self.no(day, '{"p": "2026-03-14T18:30:00Z"}')

    def test_anniversary_this(self):
        week = '{"operator": "anniversary_this", "value": "week"}'  # 9 to 15 March 2026
        self.yes(week, '{"p": "1990-03-09"}', '{"p": "2031-03-15"}')
        self.no(week, '{"p": "1990-03-08"}', '{"p": "1990-03-16"}', '{"p": "x"}')
        month = '{"operator": "anniversary_this", "value": "month"}'
        self.yes(month, '{"p": "1990-03-01"}', '{"p": "1990-03-31T23:00:00Z"}')
        self.no(month, '{"p": "1990-02-28"}', '{"p": "1990-04-01"}')
        self.yes('{"operator": "anniversary_this", "value": "day"}', '{"p": "1990-03-15"}')
        leap = '{"p": "2000-02-29"}'
        self.yes('{"operator": "anniversary_this", "value": "day"}', leap, as_of="2026-02-28T10:00:00Z")
        self.no('{"operator": "anniversary_this", "value": "day"}', leap, as_of="2026-03-01T10:00:00Z")
        self.no('{"operator": "anniversary_this", "value": "day"}', leap, as_of="2028-02-28T10:00:00Z")
        # The week of the 30th of December goes over the year's end.
        self.yes(week, '{"p": "1990-12-30"}', '{"p": "1990-01-02"}', as_of="2024-12-31T10:00:00Z")


if __name__ == "__main__":
    unittest.main()
