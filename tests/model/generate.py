"""Random small data sets, hostile on purpose, and the cases (data, saved cohorts, rules) made with them.

Everything follows from the seed. Times of events, dates in the data and dates in the rules come from one pool of
instants that lie on or beside the bounds the rules will ask about, so that an off-by-one anywhere shows.
"""

import random
from dataclasses import dataclass, field
from decimal import Decimal

from dates import DAY, SECOND, civil, interval, read_date, start_of_period, zone
from features import chosen
from generate_rules import RuleMaker
from generate_tables import make_tables
from hostile import (
    ALMOST_NUMBERS,
    ANCHORS,
    BAD_DATES,
    CUSTOMERS,
    FRACTIONS,
    INTERVALS,
    NUMBERS,
    NUMERIC_STRINGS,
    PLURALS,
    STRINGS,
    TYPES,
    UNITS,
)
from model import Data, Event, members, universe
from windows import period_away

HOUR = 3600 * SECOND


@dataclass
class Case:
    """One data set, its saved cohorts in the order to create them, and the rules to compare."""

    data: Data
    cohorts: dict = field(default_factory=dict)
    checks: list = field(default_factory=list)  # (rule, as_of)
    features: frozenset = frozenset()  # of the additions that the rules use


def instant_of(text):
    return read_date(text, zone("UTC"))[0]


class Pools:
    """What the data and the rules of one case are drawn from."""

    def __init__(self, rng, features=None):
        self.rng = rng
        self.features = chosen() if features is None else features
        self.zone = zone(rng.choice(list(ANCHORS)))
        anchor = instant_of(rng.choice(ANCHORS[self.zone.name]))
        if rng.random() < 0.15:
            anchor = rng.randrange(0, 70 * 365) * DAY + rng.randrange(DAY)
        self.zones = [self.zone.name, self.zone.name, self.zone.name, "UTC", rng.choice(list(ANCHORS))]
        self.intervals = rng.sample(INTERVALS, 6)
        if "plurals" in self.features:
            self.intervals += rng.sample(PLURALS, 3)
        self.as_ofs = [self.near(anchor)]
        for _ in range(2):
            # Arithmetic from here lands on the anchor, often in the hour that is skipped or comes twice.
            self.as_ofs.append(
                self.zone.shift(self.near(anchor), interval(rng.choice(self.intervals)), rng.choice((1, 1, -1)))
            )
        self.instants = self.bounds(anchor)
        self.types = rng.sample(TYPES, rng.randint(2, 4))
        self.numbers = [Decimal(text) for text in rng.sample(NUMBERS, 6)]
        self.numeric = rng.sample(NUMERIC_STRINGS, 4) + rng.sample(ALMOST_NUMBERS, 3)
        self.strings = rng.sample(STRINGS, 9) + rng.choice(
            (["ß", "ẞ", "ss"], ["İ", "i", "I"], ["Σ", "σ", "ς"], ["Ab", "aB"])
        )
        # What puts customers in groups: few values, two of them one and the same, two that only look so.
        self.teams = [Decimal(1), Decimal("1.0"), "1", rng.choice(self.strings), rng.choice((True, None, [], {}))]
        self.dates = [self.date() for _ in range(12)] + rng.sample(BAD_DATES, 3)

    def near(self, instant):
        rng = self.rng
        return instant + rng.choice(
            (0, -1, 1, -HOUR, HOUR // 2, HOUR, -HOUR // 2, 90 * 60 * SECOND, rng.randrange(-DAY, DAY))
        )

    def bounds(self, anchor):
        """Instants on which some form of `time` or some date turns."""
        found = {anchor}
        for as_of in self.as_ofs:
            found.add(as_of)
            for z in (self.zone, zone("UTC")):
                for text in self.intervals:
                    found.add(z.shift(as_of, interval(text), -1))
                    found.add(z.shift(as_of, interval(text), 1))
                today = z.day(as_of)
                for unit in UNITS:
                    start = start_of_period(unit, today)
                    found |= {z.start_of_day(day) for day in (start, start_of_period(unit, start - 1), today + 1)}
        return sorted(found)

    def instant(self):
        rng = self.rng
        jitter = rng.choice(
            (0, 0, 0, 0, 1, -1, SECOND, HOUR, -HOUR, 20 * 60 * SECOND, rng.randrange(-40 * DAY, 40 * DAY))
        )
        return rng.choice(self.instants) + jitter

    def beside(self, instant):
        """An instant that a bound counted from another event falls on, or just misses."""
        shifted = self.zone.shift(instant, interval(self.rng.choice(self.intervals)), self.rng.choice((1, -1)))
        return shifted + self.rng.choice((0, 0, 0, 1, -1))

    def regular(self, as_of):
        """Instants in most of the last calendar periods of one unit, often on their bounds."""
        rng = self.rng
        unit = rng.choice(UNITS)
        current = start_of_period(unit, self.zone.day(as_of))
        times = []
        for ago in range(rng.choice((0, 0, 1, 2)), rng.randint(2, 7)):
            if rng.random() < 0.8:
                start, end = (self.zone.start_of_day(period_away(unit, current, -number)) for number in (ago, ago - 1))
                times += rng.choices((start, end - 1, (start + end) // 2, min(as_of, end - 1)), k=rng.choice((1, 1, 2)))
        return times

    def date(self):
        """A valid date text, often exactly one of the bounds."""
        rng = self.rng
        if rng.random() < 0.05:
            # In zones to the west the first is a day of the year before 1, in zones to the east the last one of year 10000.
            return rng.choice(("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:30", "9999-12-31T23:59:59.999999Z"))
        instant = self.instant()
        kind = rng.randrange(6)
        if kind <= 1:
            year, month, day = civil(self.zone.day(instant))
            if rng.random() < 0.15:
                month, day, year = 2, 29, rng.choice((1988, 2000, 2024))
            elif rng.random() < 0.3:
                year = rng.choice((year - 1, year + 1, 1990, 1, 9999))
                day = min(day, 28)
            return f"{year:04}-{month:02}-{day:02}"
        if kind == 2:
            return clock_text(self.zone.wall(instant)) + rng.choice(FRACTIONS[:3] + [".25"])
        if kind == 3:
            return clock_text(instant) + rng.choice(("Z", "+00", "-00:00", "+0000"))
        sign, hours, minutes = rng.choice("+-"), rng.choice((0, 1, 5, 8, 14, 15)), rng.choice((0, 30, 45, 59))
        if kind == 5:
            return clock_text(instant // SECOND * SECOND) + rng.choice(FRACTIONS) + rng.choice(("", "Z"))
        east = (hours * 60 + minutes) * 60 * SECOND * (1 if sign == "+" else -1)
        form = rng.choice(("{}{:02}:{:02}", "{}{:02}{:02}")).format(sign, hours, minutes)
        return clock_text(instant + east) + form

    def number(self):
        return self.rng.choice(self.numbers)

    def numberish(self):
        return self.rng.choice((self.number(), self.number(), self.rng.choice(self.numeric), self.number(), True, None))

    def string(self):
        return self.rng.choice(self.strings)

    def scalar(self):
        rng = self.rng
        return rng.choice(
            (self.number(), self.string(), self.string(), rng.choice(self.numeric), rng.choice((True, False)))
        )

    def anything(self, depth=2):
        rng = self.rng
        if depth == 0 or rng.random() < 0.7:
            return rng.choice((self.scalar(), self.scalar(), None, rng.choice(self.dates)))
        if rng.random() < 0.6:
            return [self.anything(depth - 1) for _ in range(rng.randrange(4))]
        return {rng.choice(("a", "0", "c", "total")): self.anything(depth - 1) for _ in range(rng.randrange(3))}

    def scalars(self):
        return [self.rng.choice((self.scalar(), self.string(), self.number())) for _ in range(self.rng.randrange(4))]

    def cart(self):
        rng = self.rng
        items = [
            {
                key: make()
                for key, make in (("sku", self.string), ("qty", self.numberish), ("tags", self.scalars))
                if rng.random() < 0.8
            }
            for _ in range(rng.randrange(4))
        ]
        if rng.random() < 0.2:
            items.insert(rng.randrange(len(items) + 1), rng.choice((None, self.scalar(), self.scalars(), [[1]])))
        return {
            "total": self.numberish(),
            "items": rng.choice((items, items, items, {"sku": self.string()}, None)),
            "a.b": {"c": self.scalar()},
            "dates": [rng.choice(self.dates) for _ in range(rng.randrange(3))],
        }

    def document(self):
        """The data of an event, or a profile."""
        rng = self.rng
        if rng.random() < 0.03:
            return rng.choice(([], [{"price": Decimal(1)}], "text", Decimal(5), True, None))
        makers = {
            "price": self.numberish,
            "qty": self.number,
            "name": self.string,
            "city": self.string,
            "team": lambda: rng.choice(self.teams),
            "flag": lambda: rng.choice((True, False, "true", None, Decimal(1))),
            "when": lambda: rng.choice(self.dates),
            "dob": lambda: rng.choice(self.dates),
            "tags": lambda: rng.choice((self.scalars(), self.scalars(), self.anything())),
            "cart": self.cart,
            "m": lambda: [self.scalars() for _ in range(rng.randrange(3))] + rng.choice(([], [self.scalar()])),
            "list": lambda: rng.choice(([self.scalar()], {"0": self.scalar()})),
            "a.b": lambda: {"c": self.scalar()},
            "items[]": self.scalar,
            "": self.scalar,
            "any": self.anything,
        }
        document = {key: make() for key, make in makers.items() if rng.random() < 0.5}
        if rng.random() < 0.05:
            document["cart"] = self.anything()
        return document


def clock_text(wall):
    day, micros = divmod(wall, DAY)
    second, micros = divmod(micros, SECOND)
    year, month, of_month = civil(day)
    text = f"{year:04}-{month:02}-{of_month:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return text + (f".{micros:06}" if micros else "")


def make_data(pools):
    rng = pools.rng
    data = Data()
    latest = max(pools.as_ofs)
    for customer in rng.sample(CUSTOMERS, rng.randint(8, 25)):
        kind = rng.random()
        if kind < 0.75:
            data.profiles[customer] = pools.document() if rng.random() < 0.9 else {}
        if kind < 0.12:
            continue
        future_only = rng.random() < 0.08
        times = []
        for _ in range(rng.randrange(13)):
            at = latest + rng.choice((1, SECOND, 40 * DAY)) if future_only else pools.instant()
            if data.events and rng.random() < 0.25:
                at = rng.choice(data.events).at  # equal times, whoever's
                at = max(at, latest + 1) if future_only else at
            elif times and rng.random() < 0.3:
                at = pools.beside(rng.choice(times))
            times.append(at)
        if not future_only and rng.random() < 0.4:
            times = [*times[:6], *pools.regular(rng.choice(pools.as_ofs))]
        data.events += [Event(0, customer, rng.choice(pools.types), at, pools.document()) for at in times]
    rng.shuffle(data.events)
    data.events = [Event(number, e.customer, e.type, e.at, e.data) for number, e in enumerate(data.events, 1)]
    if "rows" in pools.features:
        data.tables = make_tables(pools, sorted({event.customer for event in data.events} | set(data.profiles)))
    return data


def make_cohorts(pools, case):
    """Saved cohorts over the data of a case, each naming only those before it."""
    rng = pools.rng
    ids = sorted({event.customer for event in case.data.events} | set(case.data.profiles))
    strangers = [name for name in CUSTOMERS if name not in ids] + ["nobody"]
    for number in range(rng.randint(2, 5)):
        name = f"m_{number}"
        if rng.random() < 0.35:
            case.cohorts[name] = rng.sample(ids, rng.randint(1, len(ids))) + rng.sample(strangers, 1)
        else:
            case.cohorts[name] = RuleMaker(pools, case, rng.choice(pools.as_ofs)).rule()


def make_case(seed, rules=30):
    rng = random.Random(f"cohort {seed}")
    pools = Pools(rng)
    case = Case(make_data(pools), features=pools.features)
    make_cohorts(pools, case)
    while len(case.checks) < rules:
        as_of = rng.choice(pools.as_ofs + [pools.instant()])
        rule = RuleMaker(pools, case, as_of).rule()
        # A rule that tells nobody from nobody finds little: most of those are thrown back.
        found = members(rule, case.data, as_of, case.cohorts)
        if 0 < len(found) < len(universe(case.data, as_of)) or rng.random() < 0.3:
            case.checks.append((rule, as_of))
    return case
