"""Holds the model's zone arithmetic against a server's own: `timestamptz ± interval`, wall times and days.

Usage: check_zones.py [--seed S] [--cases N] [--all-zones]; the server is the one psql finds through PG*.
"""

import argparse
import random
import subprocess
import sys
from zoneinfo import available_timezones

from dates import DAY, SECOND, civil, interval, zone

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/London",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Havana",
    "America/St_Johns",
    "America/Toronto",
    "Asia/Kathmandu",
    "Europe/Dublin",
    "Pacific/Kwajalein",
    "Antarctica/Troll",
    "Africa/Monrovia",
    "Europe/Moscow",
    "Asia/Gaza",
    "CET",
    "EET",
]
INTERVALS = [
    "1 day",
    "30 days",
    "1 month",
    "3 months",
    "1 year",
    "36 hours",
    "1 month 15 days",
    "2 weeks",
    "13 months 1 day",
    "1 year 1 month 1 week 1 day 1 hour 1 minute 1 second 1 millisecond 1 microsecond",
    "90 minutes",
    "1000 years",
    "40 years",
    "6 months",
    "1 day 30 minutes",
    "29 days 12 hours",
]


def utc_text(instant):
    """An instant as SQL reads it, whatever the session's zone."""
    day, micros = divmod(instant, DAY)
    return f"{wall_text(day * DAY + micros)}+00"


def wall_text(wall):
    day, micros = divmod(wall, DAY)
    second, micros = divmod(micros, SECOND)
    year, month, of_month = civil(day)
    return f"{year:04}-{month:02}-{of_month:02} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{micros:06}"


def changes(z, rng, count):
    """Instants at which the zone's offset changes, found by halving between random instants."""
    found = []
    for _ in range(count * 4):
        low = rng.randrange(-3_000_000_000, 4_000_000_000)
        high = low + rng.choice((86_400 * 40, 86_400 * 200, 86_400 * 2000))
        if z.offset(low) == z.offset(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if z.offset(middle) == z.offset(low) else (low, middle)
        found.append(high)
    return found[:count] or [0]


def cases_of(z, rng, count):
    """Triples (SQL expression giving microseconds, what the model says, description).

    The expressions take the session's zone: to `AT TIME ZONE` the name CET is an abbreviation without summer time,
    not the zone.
    """
    near = changes(z, rng, 12)
    for _ in range(count):
        if rng.random() < 0.3:
            instant = rng.randrange(-4_000_000_000, 6_000_000_000) * SECOND + rng.randrange(SECOND)
        else:
            instant = rng.choice(near) * SECOND + rng.choice((0, -1, 1, rng.randrange(-2 * DAY, 2 * DAY)))
        kind = rng.randrange(3)
        if kind == 0:
            text, sign = rng.choice(INTERVALS), rng.choice((-1, 1))
            if rng.random() < 0.5:  # land near a change, not only start there
                instant = z.shift(instant, interval(text), -sign)
            expected = z.shift(instant, interval(text), sign)
            yield micros(f"'{utc_text(instant)}'::timestamptz {'+-'[sign < 0]} interval '{text}'"), expected, text
        elif kind == 1:
            wall = z.wall(instant) + rng.choice((0, 0, rng.randrange(-DAY, DAY)))
            yield micros(f"'{wall_text(wall)}'::timestamp::timestamptz"), z.read(wall), "wall"
        else:
            expression = f"('{utc_text(instant)}'::timestamptz::date - date '1970-01-01')"
            yield expression, z.day(instant), "day"


def micros(expression):
    return f"(extract(epoch from {expression}) * 1000000)::bigint"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=2000, help="how many for each zone")
    parser.add_argument("--all-zones", action="store_true")
    args = parser.parse_args()
    names = sorted(available_timezones() - {"Factory", "localtime"}) if args.all_zones else ZONES
    passed = failed = 0
    for name in names:
        z = zone(name)
        cases = list(cases_of(z, random.Random(f"{args.seed} {name}"), args.cases))
        script = [f"SET timezone = '{name}';"]
        for start in range(0, len(cases), 500):
            script.append("SELECT unnest(ARRAY[" + ",\n".join(c[0] for c in cases[start : start + 500]) + "]);")
        run = subprocess.run(
            ["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"],
            input="\n".join(script),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            sys.exit(f"{name}: {run.stderr}")
        for (expression, expected, what), answer in zip(cases, run.stdout.split(), strict=True):
            if int(answer) == expected:
                passed += 1
            else:
                failed += 1
                if failed <= 20:
                    print(f"{name} {what}: {expression}: server {answer}, model {expected}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
