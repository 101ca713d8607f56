"""The fine print on intervals, times and dates, as tiny examples checked by hand against the model."""

import unittest

from dates import interval, read_date, zone
from test_model import AS_OF, Base, data_of, instant


class Intervals(Base):
    def test_grammar(self):
        for text, expected in (
            ("30 days", (0, 30, 0)),
            ("1 month 15 days", (1, 15, 0)),
            ("36h", (0, 0, 129_600_000_000)),
            ("1 y 1 mon", (13, 0, 0)),
            ("2 weeks 1 d", (0, 15, 0)),
            ("1 s 5 milliseconds 3 microseconds", (0, 0, 1_005_003)),
            ("0 months 10 days", (0, 10, 0)),
            ("5 secs 2 mins 3 mons", (3, 0, 125_000_000)),
        ):
            self.assertEqual(interval(text), expected)

    def shifted(self, at, text, sign, name):
        return zone(name).shift(instant(at), interval(text), sign)

    def test_months_then_days_then_time(self):
        self.assertEqual(self.shifted("2026-03-31T00:00:00Z", "1 month", -1, "UTC"), instant("2026-02-28T00:00:00Z"))
        self.assertEqual(
            self.shifted("2024-03-31T05:00:00Z", "1 month 1 day", -1, "UTC"), instant("2024-02-28T05:00:00Z")
        )
        self.assertEqual(
            self.shifted("2024-03-10T12:00:00Z", "1 day", -1, "America/New_York"), instant("2024-03-09T13:00:00Z")
        )
        self.assertEqual(
            self.shifted("2024-03-10T12:00:00Z", "24 h", -1, "America/New_York"), instant("2024-03-09T12:00:00Z")
        )

    def test_skipped_and_repeated_times(self):
        # 2024-03-10 02:30 is skipped in New York: at -05:00 it is 07:30Z. 2024-11-03 01:30 comes twice: -05:00 again.
        self.assertEqual(
            self.shifted("2024-03-09T07:30:00Z", "1 day", 1, "America/New_York"), instant("2024-03-10T07:30:00Z")
        )
        self.assertEqual(
            self.shifted("2024-11-02T05:30:00Z", "1 day", 1, "America/New_York"), instant("2024-11-03T06:30:00Z")
        )

    def test_start_of_day(self):
        def start(day, name):
            return read_date(day, zone(name))[0]

        self.assertEqual(start("2017-10-15", "America/Sao_Paulo"), instant("2017-10-15T03:00:00Z"))
        self.assertEqual(start("2017-11-05", "America/Havana"), instant("2017-11-05T04:00:00Z"))
        self.assertEqual(read_date("2017-11-05T00:00:00", zone("America/Havana"))[0], instant("2017-11-05T05:00:00Z"))
        self.assertEqual(start("2011-12-30", "Pacific/Apia"), instant("2011-12-30T10:00:00Z"))
        self.assertEqual(start("1919-03-31", "America/Toronto"), instant("1919-03-31T04:30:00Z"))


class Times(Base):
    def at(self, form, *times, zone_name="UTC", as_of=AS_OF):
        """Which of these times (named a, b, …) have events that count."""
        data = data_of([(chr(97 + place), "e", time) for place, time in enumerate(times)])
        return self.who(f'{{"did": "e", "time": {form}, "timezone": "{zone_name}"}}', data, as_of)

    def test_bounds(self):
        self.assertEqual(
            self.at('{"in_the_last": "1 day"}', "2026-03-14T12:00:00Z", "2026-03-14T12:00:00.000001Z", AS_OF), "bc"
        )
        self.assertEqual(
            self.at('{"more_than_ago": "1 day"}', "2026-03-14T12:00:00Z", "2026-03-14T12:00:00.000001Z"), "a"
        )
        self.assertEqual(
            self.at(
                '{"between_ago": ["2 days", "1 day"]}',
                "2026-03-13T12:00:00Z",
                "2026-03-13T12:00:00.000001Z",
                "2026-03-14T12:00:00Z",
                "2026-03-14T12:00:00.000001Z",
            ),
            "bc",
        )
        self.assertEqual(self.at('{"since": "2026-03-01"}', "2026-02-28T23:59:59.999999Z", "2026-03-01T00:00:00Z"), "b")
        self.assertEqual(
            self.at('{"before": "2026-03-01T00:00:00+01:00"}', "2026-02-28T22:59:59.999999Z", "2026-02-28T23:00:00Z"),
            "a",
        )
        self.assertEqual(
            self.at(
                '{"between": ["2026-03-01", "2026-03-02"]}',
                "2026-02-28T23:59:59Z",
                "2026-03-01T00:00:00Z",
                "2026-03-02T23:59:59.999999Z",
                "2026-03-03T00:00:00Z",
            ),
            "bc",
        )
        self.assertEqual(
            self.at(
                '{"between": ["2026-03-01", "2026-03-02T00:00:00Z"]}',
                "2026-03-02T00:00:00Z",
                "2026-03-02T00:00:00.000001Z",
            ),
            "a",
        )

    def test_calendar(self):
        # 15 March 2026 is a Sunday.
        self.assertEqual(self.at('{"this": "week"}', "2026-03-08T23:59:59Z", "2026-03-09T00:00:00Z"), "b")
        self.assertEqual(
            self.at(
                '{"previous": "week"}',
                "2026-03-01T23:59:59Z",
                "2026-03-02T00:00:00Z",
                "2026-03-08T23:59:59Z",
                "2026-03-09T00:00:00Z",
            ),
            "bc",
        )
        self.assertEqual(
            self.at(
                '{"previous": "quarter"}',
                "2025-09-30T23:59:59Z",
                "2025-10-01T00:00:00Z",
                "2025-12-31T23:59:59Z",
                "2026-01-01T00:00:00Z",
            ),
            "bc",
        )
        self.assertEqual(
            self.at('{"this": "month"}', "2026-02-28T18:29:59Z", "2026-02-28T18:30:00Z", zone_name="Asia/Kolkata"), "b"
        )
        self.assertEqual(
            self.at('{"previous": "year"}', "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "b"
        )


class Dates(Base):
    def test_what_reads_as_a_date(self):
        utc = zone("UTC")
        for text in (
            "2023-02-29",
            "2024-13-01",
            "2024-1-1",
            "2024-01-01 10:00:00",
            "2024-01-01t10:00:00",
            "2024-01-01T10:00:00z",
            "2024-01-01T24:00:00",
            "2024-01-01T23:59:60",
            "2024-01-01T10:00",
            "2024-W01-1",
            " 2024-01-01",
            "2024-01-01\n",
            "0000-01-01",
            "2024-01-01T10:00:00+16:00",
            "2024-01-01T10:00:00+05:60",
            "2024-01-01T10:00:00.",
            "2024-01-01Z",
            "now",
            "\u0662024-01-01",
        ):
            self.assertIsNone(read_date(text, utc), text)
        for text, same in (
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            ("2024-01-01T10:00:00+0530", "2024-01-01T04:30:00Z"),
            ("2024-01-01T10:00:00-15:59", "2024-01-02T01:59:00Z"),
            ("2024-01-01T10:00:00+01", "2024-01-01T09:00:00Z"),
            ("2024-01-01T00:00:00.1234565Z", "2024-01-01T00:00:00.123456Z"),
            ("2024-01-01T00:00:00.1234575Z", "2024-01-01T00:00:00.123458Z"),
            ("2024-01-01T00:00:00.12345650001Z", "2024-01-01T00:00:00.123457Z"),
            ("2024-12-31T23:59:59.9999999Z", "2025-01-01T00:00:00Z"),
        ):
            self.assertEqual(read_date(text, utc)[0], instant(same), text)
        self.no(
            '{"operator": "since", "value": "0001-01-01"}',
            '{"p": 20240101}',
            '{"p": ["2024-01-01"]}',
            '{"p": true}',
            "{}",
        )

    def test_on(self):
        self.yes(
            '{"operator": "on", "value": "2026-03-01"}',
            '{"p": "2026-03-01"}',
            '{"p": "2026-03-01T23:59:59.999999"}',
            '{"p": "2026-02-28T20:00:00-05:00"}',
        )
        self.no(
            '{"operator": "on", "value": "2026-03-01"}',
            '{"p": "2026-03-02T00:00:00"}',
            '{"p": "2026-03-01T23:00:00-05:00"}',
        )
        self.yes('{"operator": "on", "value": "2026-03-01"}', '{"p": "2026-02-28T18:30:00Z"}', timezone="Asia/Kolkata")
        self.yes(
            '{"operator": "on", "value": "2026-03-01T00:00:00Z"}',
            '{"p": "2026-03-01"}',
            '{"p": "2026-03-01T05:30:00+05:30"}',
        )
        self.no('{"operator": "on", "value": "2026-03-01T00:00:00Z"}', '{"p": "2026-03-01T00:00:00.000001Z"}')

    def test_relative(self):
        self.yes(
            '{"operator": "in_the_next", "value": "1 day"}', '{"p": "2026-03-16T12:00:00Z"}', '{"p": "2026-03-16"}'
        )
        self.no(
            '{"operator": "in_the_next", "value": "1 day"}',
            '{"p": "2026-03-15T12:00:00Z"}',
            '{"p": "2026-03-16T12:00:00.000001Z"}',
        )
        self.yes('{"operator": "in_the_last", "value": "1 day"}', '{"p": "2026-03-15"}', '{"p": "2026-03-15T12:00:00"}')
        self.no('{"operator": "in_the_last", "value": "1 day"}', '{"p": "2026-03-14"}', '{"p": "2026-03-14T12:00:00"}')
        self.yes(
            '{"operator": "more_than_ago", "value": "1 day"}', '{"p": "2026-03-14"}', '{"p": "2026-03-14T12:00:00"}'
        )
        self.no('{"operator": "more_than_ago", "value": "1 day"}', '{"p": "soon"}', "{}")

    def test_anniversaries(self):
        self.yes(
            '{"operator": "birthday_in_the_next", "value": "7 days"}',
            '{"p": "1990-03-15"}',
            '{"p": "1990-03-22T23:59:59"}',
            '{"p": "2031-03-20"}',
        )
        self.no(
            '{"operator": "anniversary_in_the_next", "value": "7 days"}', '{"p": "1990-03-14"}', '{"p": "1990-03-23"}'
        )
        self.yes(
            '{"operator": "anniversary_in_the_last", "value": "7 days"}', '{"p": "1990-03-08"}', '{"p": "1990-03-15"}'
        )
        self.no(
            '{"operator": "anniversary_in_the_last", "value": "7 days"}', '{"p": "1990-03-07"}', '{"p": "1990-03-16"}'
        )
        self.yes(
            '{"operator": "anniversary_in_the_next", "value": "30 days"}',
            '{"p": "1990-01-02"}',
            as_of="2026-12-20T00:00:00Z",
        )
        leap = '{"p": "2000-02-29"}'
        self.yes('{"operator": "anniversary_in_the_next", "value": "1 hour"}', leap, as_of="2026-02-28T00:00:00Z")
        self.no('{"operator": "anniversary_in_the_next", "value": "1 hour"}', leap, as_of="2026-02-27T00:00:00Z")
        self.yes('{"operator": "anniversary_in_the_next", "value": "1 day"}', leap, as_of="2026-02-27T00:00:00Z")
        self.no('{"operator": "anniversary_in_the_next", "value": "1 day"}', leap, as_of="2028-02-27T00:00:00Z")
        self.yes('{"operator": "anniversary_in_the_next", "value": "2 days"}', leap, as_of="2028-02-27T00:00:00Z")
        self.no('{"operator": "anniversary_in_the_last", "value": "1 day"}', leap, as_of="2026-03-02T00:00:00Z")


if __name__ == "__main__":
    unittest.main()
