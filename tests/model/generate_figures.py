"""Random aggregates, figures, comparisons and rankings, with thresholds at the true figures of some customer."""

from decimal import Decimal
from fractions import Fraction

from figures import identity, most_frequent
from generate_predicates import DOCUMENT, GROUPS, NAMES, exact, writable
from values import found_at, numeric

COMPARISONS = ("gt", "gte", "lt", "lte", "eq", "neq")
FIGURES = ("sum", "avg", "min", "max", "count_distinct")


class FigureMaker:
    """The part of a rule maker that makes figures and what is compared with them."""

    def count(self):
        rng = self.rng
        if rng.random() < 0.2:
            low = rng.randrange(4)
            return {"between": [low, low + rng.randrange(3)]}
        return {rng.choice(COMPARISONS): rng.choice((0, 0, 1, 1, 2, 2, 3, 4, 5, Decimal("2.0"), Decimal("1E+1")))}

    def aggregate(self, condition):
        """One whose threshold is at or beside the true figure of some customer."""
        rng = self.rng
        fn = rng.choice((*FIGURES, "most_frequent"))
        path, values = self.aggregated(fn, condition)
        scalars = [value for value in values if writable(value)]
        made = {"fn": fn, "property": path}
        if fn == "most_frequent":
            likely = [most_frequent(scalars)] if scalars and rng.random() < 0.6 else []
            chosen = likely + rng.sample(scalars, min(len(scalars), 2)) + [self.pools.scalar()]
            chosen = [self.recased(value) for value in chosen[: rng.randint(1, 2)]]
            return {**made, **({"eq": chosen[0]} if rng.random() < 0.6 else {"in": chosen})}
        if fn == "count_distinct":
            number = Decimal(max(0, len({identity(value) for value in scalars}) + rng.choice((0, 0, 0, 1, -1))))
        else:
            numbers = [number for number in map(numeric, values) if number is not None] or [Fraction(1)]
            true = {"sum": sum(numbers), "avg": sum(numbers) / len(numbers), "min": min(numbers), "max": max(numbers)}
            number = self.beside(true[fn])
        if rng.random() < 0.2:
            return {**made, "between": [number, exact(Fraction(number) + rng.randrange(3))]}
        return {**made, rng.choice(COMPARISONS): number}

    def beside(self, true):
        """The number, or one close by."""
        number = exact(true)
        if number is None:
            number = exact(Fraction(round(true * 1000), 1000))
        if abs(number) < Decimal("1E+30") and self.rng.random() < 0.3:
            number = exact(Fraction(number) + Fraction(self.rng.choice((1, -1)), 10 ** self.rng.choice((0, 2, 9))))
        return number

    def aggregated(self, fn, condition):
        """A path to aggregate, and what someone's events have there."""
        rng = self.rng
        plain = fn in ("count_distinct", "most_frequent")
        for _ in range(4):
            path = rng.choice(DOCUMENT.all if plain else DOCUMENT.number * 3 + DOCUMENT.text + DOCUMENT.odd)
            values = self.values_of_someone(condition, path)
            if any(map(writable, values)):
                break
        return path, values

    def values_of_someone(self, condition, path):
        customers = [customer for customer, events in sorted(self.snapshot.events.items()) if events]
        self.rng.shuffle(customers)
        for customer in customers[:6]:
            events = [
                event
                for event in self.snapshot.events[customer]
                if self.snapshot.did({**condition, "did": "*"}, customer) and self.snapshot.passes(event, condition)
            ]
            values = [value for event in events for value in found_at(event.data, path)]
            if values:
                return values
        return []

    def figure(self):
        """Of events, of the profile."""
        rng = self.rng
        if rng.random() < 0.15:
            return {"profile": rng.choice(("price", "qty", "cart.total", "list.0", "missing", ["price"]))}
        return self.events_figure()

    def events_figure(self):
        rng = self.rng
        made = {"did": self.types()}
        if rng.random() < 0.35:
            made["where"] = self.where(self.of_events())
        if rng.random() < 0.4:
            made["time"] = self.time()
        if rng.random() < 0.6:
            fn = rng.choice(FIGURES)
            made["aggregate"] = {"fn": fn, "property": self.aggregated(fn, made)[0]}
        return made

    def compare(self):
        """Two figures, or one and a number, with the factor that makes some customer's equal."""
        rng = self.rng
        over = rng.random() < 0.35
        make = self.events_figure if over else self.figure
        left, right = make(), make()
        made = {"compare": left, "operator": self.comparison(), "to": right}
        if over:
            made["over"] = rng.choice(GROUPS)
        customer = rng.choice(sorted(self.snapshot.universe)) if self.snapshot.universe else None
        figures = [self.snapshot.figure(side, [customer]) for side in (left, right)] if customer else [None, None]
        if rng.random() < 0.3:
            made["to"] = Decimal(0) if figures[0] is None else self.beside(figures[0])
            if rng.random() < 0.2:
                made["compare"], made["to"] = made["to"], left
        elif rng.random() < 0.6:
            ratio = exact(figures[0] / figures[1]) if figures[1] and figures[0] is not None else None
            made["factor"] = (
                ratio if ratio is not None else rng.choice([Decimal(n) for n in ("0.5", "2", "1.0", "0", "-1")])
            )
        return made

    def comparison(self):
        operator = self.rng.choice(COMPARISONS)
        return self.rng.choice(NAMES[operator]) if self.rng.random() < 0.3 else operator

    def rank(self):
        rng = self.rng
        made = {"rank": self.figure(), "order": rng.choice(("most", "least"))}
        if rng.random() < 0.6:
            made["top"] = rng.choice((1, 1, 2, 3, 5, 8, 1000, 10**9))
        else:
            made["percent"] = self.percent()
        if rng.random() < 0.45:
            made["by"] = rng.choice(GROUPS)
        if rng.random() < 0.4:
            made["of"] = self.inner()
        return made

    def percent(self):
        """Two bounds, often one that a small ranking or a customer's place lies on."""
        rng = self.rng
        bounds = [Decimal(text) for text in ("0", "10", "20", "25", "33.3", "50", "50.0", "66.7", "75", "80", "100")]
        bounds += [exact(Fraction(100 * place, size)) for place, size in ((1, 8), (3, 8), (1, 16), (1, 5), (3, 5))]
        while True:
            low, high = sorted(rng.sample(bounds, 2))
            if low < high:
                return [low, high]
