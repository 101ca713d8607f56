"""Which instants a form of `time` covers, which dates a date operator covers, and calendar periods in general."""

import re

from dates import DAY, SECOND, civil, day_number, interval, is_anniversary, last_covered, read_date, start_of_period

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
UNITS_WORDS = re.compile(r"(?:([0-9]+) *)?(day|week|month|quarter|year)s?")


def units(text):
    """The number and the unit of `"4 weeks"` or `"week"`."""
    number, unit = UNITS_WORDS.fullmatch(text).groups()
    return int(number or 1), unit


def period_away(unit, start, number):
    """The first day of the period `number` periods after (before, if negative) the one that starts on this day."""
    if unit == "day":
        return start + number
    if unit == "week":
        return start + 7 * number
    year, month, day = civil(start)
    months = year * 12 + month - 1 + number * {"month": 1, "quarter": 3, "year": 12}[unit]
    return day_number(months // 12, months % 12 + 1, day)


def adjoin(unit, earlier, later, z):
    """Whether no instant lies between two periods, given by their first days: a skipped day is none."""
    return earlier < later and z.start_of_day(period_away(unit, earlier, 1)) == z.start_of_day(later)


def runs(unit, periods, z):
    """The runs of adjoining periods, as lists of their first days."""
    made = []
    for period in sorted(periods):
        if made and adjoin(unit, made[-1][-1], period, z):
            made[-1].append(period)
        else:
            made.append([period])
    return made


def calendar_window(name, text, as_of, z):
    """The first instant of a calendar window and the first after it."""
    number, unit = units(text)
    current = start_of_period(unit, z.day(as_of))
    first, last = {"this": (0, 1), "previous": (-number, 0), "next": (1, 1 + number)}[name]
    return tuple(z.start_of_day(period_away(unit, current, away)) for away in (first, last))


def time_of_day(text):
    return (int(text[:2]) * 60 + int(text[3:])) * 60 * SECOND


def in_time(form, t, as_of, z):
    """Whether an event at t passes one form of `time`; those that start from an anchor are elsewhere."""
    ((name, value),) = form.items()
    if name == "in_the_last":
        return z.shift(as_of, interval(value), -1) < t <= as_of
    if name == "more_than_ago":
        return t <= z.shift(as_of, interval(value), -1)
    if name == "between_ago":
        return z.shift(as_of, interval(value[0]), -1) < t <= z.shift(as_of, interval(value[1]), -1)
    if name == "since":
        return t >= read_date(value, z)[0]
    if name == "before":
        return t < read_date(value, z)[0]
    if name == "between":
        return read_date(value[0], z)[0] <= t <= last_covered(value[1], z)
    if name == "this":
        return t >= calendar_window(name, value, as_of, z)[0]
    if name == "previous":
        first, after = calendar_window(name, value, as_of, z)
        return first <= t < after
    if name == "weekday":
        return WEEKDAYS[(z.day(t) + 3) % 7] in ([value] if isinstance(value, str) else value)  # day 0 was a Thursday
    if name == "hours":
        start, end = map(time_of_day, value)
        local = z.wall(t) % DAY
        return start <= local < end if start < end else local >= start or local < end
    raise ValueError(name)


def date_operator(operator, value, found, as_of, z):
    """The operators that read a property as a date."""
    reading = read_date(found, z)
    if reading is None:
        return False
    p = reading[0]
    if operator in ("before", "since", "on"):
        other = read_date(value, z)
        if other is None:
            return False  # of a `ref`
        instant, day = other
        if operator == "before":
            return p < instant
        if operator == "since":
            return p >= instant
        return p == instant if day is None else z.day(p) == day
    if operator in ("this", "previous", "next"):
        first, after = calendar_window(operator, value, as_of, z)
        return first <= p < after
    if operator == "anniversary_this":
        current = start_of_period(value, z.day(as_of))
        return any(is_anniversary(z.day(p), day) for day in range(current, period_away(value, current, 1)))
    parts = interval(value)
    if operator == "in_the_last":
        return z.shift(as_of, parts, -1) < p <= as_of
    if operator == "more_than_ago":
        return p <= z.shift(as_of, parts, -1)
    if operator == "in_the_next":
        return as_of < p <= z.shift(as_of, parts, 1)
    if operator == "anniversary_in_the_next":
        first, last = z.day(as_of), z.day(z.shift(as_of, parts, 1))
    elif operator == "anniversary_in_the_last":
        first, last = z.day(z.shift(as_of, parts, -1)), z.day(as_of)
    else:
        raise ValueError(operator)
    # Every date comes round within 366 days, so no more of a long range needs walking.
    return any(is_anniversary(z.day(p), day) for day in range(first, min(last, first + 366) + 1))
