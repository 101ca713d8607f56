"""Zones, intervals and dates as the rule language defines them.

An instant is a whole number of microseconds since 1970-01-01T00:00:00Z. A wall time is what a clock shows,
counted the same way as if the clock showed UTC. A day is a number of days since 1970-01-01. Whole numbers keep
every comparison exact and have no first or last year.
"""

import re
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND = 1_000_000
DAY = 86_400 * SECOND
UTC_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
CYCLE = 146_097 * 86_400  # the calendar and every zone's standing rule repeat after 400 years


def day_number(year, month, day):
    """Days since 1970-01-01 of a date of the Gregorian calendar, years before 1 included."""
    shifted = year - (month <= 2)
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def civil(number):
    """The (year, month, day) of a day number."""
    era, day_of_era = divmod(number + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return era * 400 + year_of_era + (month <= 2), month, day


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_length(year, month):
    return (31, 29 if is_leap(year) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


class Zone:
    """A time zone: the offset at each instant, and from it the way back from wall times."""

    def __init__(self, name):
        self.name = name
        self.info = ZoneInfo(name)

    @lru_cache(maxsize=None)
    def offset(self, second):
        """Seconds east of UTC at a whole second since the epoch."""
        while second > 250_000_000_000:
            second -= CYCLE
        second = max(second, -62_000_000_000)
        return int((UTC_EPOCH + timedelta(seconds=second)).astimezone(self.info).utcoffset().total_seconds())

    def wall(self, instant):
        return instant + self.offset(instant // SECOND) * SECOND

    def day(self, instant):
        """The calendar day on which the instant falls."""
        return self.wall(instant) // DAY

    @lru_cache(maxsize=None)
    def offsets_near(self, wall_second):
        return frozenset(self.offset(wall_second + hour * 3600) for hour in range(-36, 37))

    def instants(self, wall):
        """Every instant at which clocks show this wall time: none, one or two of them."""
        second = wall // SECOND
        return sorted(
            wall - offset * SECOND for offset in self.offsets_near(second) if self.offset(second - offset) == offset
        )

    def read(self, wall):
        """A skipped wall time has the offset before the change, one that comes twice the offset after it."""
        instants = self.instants(wall)
        if instants:
            return instants[-1]
        second = wall // SECOND
        before = self.offset(second - max(self.offsets_near(second)))
        return wall - before * SECOND

    def start_of_day(self, day):
        """The first instant: the earlier of two midnights, the end of the gap when there is none."""
        midnight = day * DAY
        instants = self.instants(midnight)
        if instants:
            return instants[0]
        second = midnight // SECOND
        low = second - max(self.offsets_near(second))
        high = second - min(self.offsets_near(second))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.offset(middle) == self.offset(low) else (low, middle)
        return high * SECOND

    def shift(self, instant, interval, sign):
        """timestamptz plus or minus interval: months, then days, then the time part."""
        months, days, micros = interval
        if months:
            wall = self.wall(instant)
            year, month, day = civil(wall // DAY)
            year, month = divmod(year * 12 + month - 1 + sign * months, 12)
            month += 1
            instant = self.read(day_number(year, month, min(day, month_length(year, month))) * DAY + wall % DAY)
        if days:
            instant = self.read(self.wall(instant) + sign * days * DAY)
        return instant + sign * micros


@lru_cache(maxsize=None)
def zone(name):
    return Zone(name)


UNITS = {
    "microsecond": (0, 0, 1),
    "millisecond": (0, 0, 1000),
    "second": (0, 0, SECOND),
    "s": (0, 0, SECOND),
    "sec": (0, 0, SECOND),
    "minute": (0, 0, 60 * SECOND),
    "m": (0, 0, 60 * SECOND),
    "min": (0, 0, 60 * SECOND),
    "hour": (0, 0, 3600 * SECOND),
    "h": (0, 0, 3600 * SECOND),
    "day": (0, 1, 0),
    "d": (0, 1, 0),
    "week": (0, 7, 0),
    "w": (0, 7, 0),
    "month": (1, 0, 0),
    "mon": (1, 0, 0),
    "year": (12, 0, 0),
    "y": (12, 0, 0),
}
for _name in (
    "microsecond",
    "millisecond",
    "second",
    "sec",
    "minute",
    "min",
    "hour",
    "day",
    "week",
    "month",
    "mon",
    "year",
):
    UNITS[_name + "s"] = UNITS[_name]

INTERVAL = re.compile(r"[0-9]+ *[a-z]+( +[0-9]+ *[a-z]+)*")


def interval(text):
    """Months, days and microseconds of an interval's text."""
    if not INTERVAL.fullmatch(text):
        raise ValueError(f"not an interval: {text!r}")
    total = [0, 0, 0]
    for number, unit in re.findall(r"([0-9]+) *([a-z]+)", text):
        for place, size in enumerate(UNITS[unit]):
            total[place] += int(number) * size
    return tuple(total)


def rough_length(parts):
    """Length for comparing intervals with each other: a month counts as 30 days."""
    return (parts[0] * 30 + parts[1]) * DAY + parts[2]


DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


def read_date(text, zone_of_rule):
    """The pair (instant, day): day is the number of a date-only text's day, else None. None when it is no date."""
    match = DATE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    year, month, day = (int(match[i]) for i in (1, 2, 3))
    if year < 1 or not 1 <= month <= 12 or not 1 <= day <= month_length(year, month):
        return None
    number = day_number(year, month, day)
    if match[4] is None:
        return zone_of_rule.start_of_day(number), number
    hour, minute, second = (int(match[i]) for i in (4, 5, 6))
    if hour > 23 or minute > 59 or second > 59:
        return None
    digits = match[7] or "0"
    micros = round(Fraction(int(digits), 10 ** len(digits)) * SECOND)  # of a Fraction: halves to even
    wall = number * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + micros
    if match[8] is None:
        return zone_of_rule.read(wall), None
    if match[8] == "Z":
        return wall, None
    east_hours, east_minutes = int(match[8][1:3]), int(match[8][-2:]) if len(match[8]) > 3 else 0
    if east_hours > 15 or east_minutes > 59:
        return None
    east = (east_hours * 60 + east_minutes) * 60 * SECOND
    return (wall - east if match[8][0] == "+" else wall + east), None


def is_anniversary(number, day):
    """Whether a property's day falls on this day of some year; 29 February is the 28th in common years."""
    _, month, of_month = civil(number)
    year, _, _ = civil(day)
    if (month, of_month) == (2, 29) and not is_leap(year):
        of_month = 28
    return day == day_number(year, month, of_month)


def start_of_period(unit, day):
    """The first day of the calendar period around a day; weeks start on Monday."""
    year, month, _ = civil(day)
    if unit == "day":
        return day
    if unit == "week":
        return day - (day + 3) % 7  # day 0 was a Thursday
    if unit == "month":
        return day_number(year, month, 1)
    if unit == "quarter":
        return day_number(year, month - (month - 1) % 3, 1)
    if unit == "year":
        return day_number(year, 1, 1)
    raise ValueError(unit)


def last_covered(text, z):
    """The last instant of a range's upper end; a date covers its whole day."""
    instant, day = read_date(text, z)
    return instant if day is None else z.start_of_day(day + 1) - 1
