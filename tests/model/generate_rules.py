"""Random valid rules whose values, counts and dates are drawn from the data they will be asked of."""

from decimal import Decimal
from fractions import Fraction

from dates import interval, last_covered, read_date, rough_length, zone
from figures import identity, most_frequent
from model import Snapshot
from operators import ALIASES
from values import dumps, found_at, is_number, numeric

NUMBER_PATHS = ["price", "qty", "cart.total", "cart.items[].qty", "m[][]", "list.0", ["price"], ["list", "0"]]
TEXT_PATHS = ["name", "city", "cart.items[].sku", "tags[]", ["a.b", "c"], ["cart", "a.b", "c"], "cart.items[].tags[]"]
DATE_PATHS = ["when", "dob", "cart.dates[]"]
ARRAY_PATHS = ["tags", "m", "m[]", "cart.items[].tags", "cart.dates", "list"]
ODD_PATHS = [
    "missing",
    "cart",
    "cart.items",
    "cart.items[]",
    "cart.items.sku",
    "tags.0",
    ["items[]"],
    ["tags", "0"],
    [""],
    "flag",
    "name.x",
    "name[]",
    "any",
    "any[]",
    "any.a",
    "any[].a",
    "m[][][]",
    "list[]",
    "a.b.c",
    ["cart", "items[]", "sku"],
    "items[]",
]
ALL_PATHS = NUMBER_PATHS + TEXT_PATHS + DATE_PATHS + ARRAY_PATHS + ODD_PATHS

NAMES = {}
for _alias, _name in ALIASES.items():
    NAMES.setdefault(_name, []).append(_alias)

FOLDING = {
    "eq",
    "neq",
    "in",
    "not_in",
    "contains",
    "not_contains",
    "starts_with",
    "not_starts_with",
    "ends_with",
    "not_ends_with",
    "regex",
    "not_regex",
}
COMPARISONS = ("gt", "gte", "lt", "lte", "eq", "neq")


def exact(fraction):
    """A Decimal equal to the fraction, or None when it has no end."""
    rest = fraction.denominator
    twos = fives = 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return None
    places = max(twos, fives)
    digits = fraction.numerator * 2 ** (places - twos) * 5 ** (places - fives)
    return Decimal((digits < 0, tuple(map(int, str(abs(digits)))), -places))


class RuleMaker:
    """Makes one rule; its zone is chosen first, since dates in order depend on it."""

    def __init__(self, pools, case, as_of):
        self.pools, self.case, self.as_of, self.rng = pools, case, as_of, pools.rng
        self.zone = zone(self.rng.choice(pools.zones))
        self.snapshot = Snapshot(case.data, as_of, case.cohorts)
        self.snapshot.zone = self.zone

    def rule(self):
        rule = self.condition(self.rng.choice((0, 0, 0, 0, 1, 1, 2, 3)))
        if self.rng.random() < 0.1:
            rule = {"version": 1, **rule}
        if self.zone.name != "UTC" or self.rng.random() < 0.1:
            rule["timezone"] = self.zone.name
        return rule

    def condition(self, depth):
        rng = self.rng
        if depth:
            word = rng.choice(("and", "or", "not", "and"))
            if word == "not":
                return {"not": self.condition(depth - 1)}
            return {word: [self.condition(depth - 1) for _ in range(rng.choice((1, 2, 2, 3)))]}
        kind = rng.random()
        if kind < 0.5:
            return self.did()
        if kind < 0.72:
            predicate = self.predicate(list(self.case.data.profiles.values()))
            return {"profile": predicate.pop("property"), **predicate}
        if kind < 0.82 and self.case.cohorts:
            return {"cohort": rng.choice(list(self.case.cohorts))}
        return self.sequence()

    def types(self):
        rng, pool = self.rng, self.pools.types
        kind = rng.random()
        if kind < 0.25:
            return "*"
        if kind < 0.65:
            return rng.choice(pool)
        return (
            rng.sample(pool + ["never used", "*"], rng.randint(1, 3))
            if kind < 0.8
            else rng.sample(pool, rng.randint(1, 2))
        )

    def documents(self):
        return [event.data for event in self.case.data.events]

    def did(self):
        rng = self.rng
        options = {}
        if rng.random() < 0.5:
            options["where"] = self.where()
        if rng.random() < 0.5:
            options["time"] = self.time()
        word = rng.choice(("did", "did", "did", "did_not"))
        types = self.types()
        if rng.random() < 0.2:
            options["occurrence"] = rng.choice(("first", "last"))
            return {word: types, **options}
        if rng.random() < 0.4:
            options["count"] = self.count()
        if rng.random() < 0.35:
            options["aggregate"] = self.aggregate({"did": types, **options})
        return {word: types, **options}

    def where(self):
        rng = self.rng
        made = [
            self.predicate_tree(self.documents(), rng.choice((0, 0, 0, 1, 2))) for _ in range(rng.choice((1, 1, 2)))
        ]
        return made if len(made) > 1 or rng.random() < 0.5 else made[0]

    def predicate_tree(self, documents, depth, steps=()):
        rng = self.rng
        if depth == 0:
            return self.predicate(documents, steps)
        word = rng.choice(("and", "or", "not"))
        if word == "not":
            return {"not": self.predicate_tree(documents, depth - 1, steps)}
        return {word: [self.predicate_tree(documents, depth - 1, steps) for _ in range(rng.choice((1, 2, 3)))]}

    def count(self):
        rng = self.rng
        if rng.random() < 0.2:
            low = rng.randrange(4)
            return {"between": [low, low + rng.randrange(3)]}
        return {rng.choice(COMPARISONS): rng.choice((0, 0, 1, 1, 2, 2, 3, 4, 5, Decimal("2.0"), Decimal("1E+1")))}

    # Times

    def time(self):
        rng, pools = self.rng, self.pools
        form = rng.choice(
            ("in_the_last", "more_than_ago", "between_ago", "since", "before", "between", "this", "previous")
        )
        if form in ("this", "previous"):
            return {form: rng.choice(("day", "week", "month", "quarter", "year"))}
        if form in ("in_the_last", "more_than_ago"):
            return {form: rng.choice(pools.intervals)}
        if form == "between_ago":
            ordered = sorted(pools.intervals, key=lambda text: rough_length(interval(text)))
            near, far = sorted(rng.sample(range(len(ordered)), 2))
            if rough_length(interval(ordered[near])) < rough_length(interval(ordered[far])):
                return {form: [ordered[far], ordered[near]]}
            return {"in_the_last": ordered[far]}
        if form == "between":
            ends = sorted((self.date() for _ in range(2)), key=lambda text: read_date(text, self.zone)[0])
            # The earlier end of a skipped day lies after the last instant it covers.
            if read_date(ends[0], self.zone)[0] <= last_covered(ends[1], self.zone):
                return {form: ends}
            return {"since": ends[0]}
        return {form: self.date()}

    def date(self):
        while True:
            text = self.rng.choice(self.pools.dates)
            if read_date(text, self.zone):
                return text

    # Predicates

    def predicate(self, documents, steps=()):
        rng = self.rng
        if steps and rng.random() < 0.6:
            path = rng.choice((NUMBER_PATHS + TEXT_PATHS) * 2 + ALL_PATHS)
            other = path if rng.random() < 0.6 else rng.choice(ALL_PATHS)
            while isinstance(other, list):
                other = rng.choice(TEXT_PATHS + NUMBER_PATHS)
            made = {"property": path, "operator": self.spelling("eq"), "ref": f"{rng.choice(steps)}.{other}"}
            return self.maybe_fold(made, "eq")
        family = rng.choice(
            (self.scalar_operator, self.number_operator, self.text_operator, self.list_operator, self.date_operator)
        )
        path, operator, value = family(documents)
        made = {"property": path, "operator": self.spelling(operator)}
        if value is not None:
            made["value"] = value
        return self.maybe_fold(made, operator)

    def spelling(self, operator):
        names = NAMES.get(operator)
        return self.rng.choice(names) if names and self.rng.random() < 0.4 else operator

    def maybe_fold(self, predicate, operator):
        if operator in FOLDING and self.rng.random() < 0.35:
            if operator == "contains" and self.rng.random() < 0.5:
                predicate["operator"] = "icontains"
            if predicate["operator"] != "icontains" or self.rng.random() < 0.3:
                predicate["ignore_case"] = True
        elif operator in FOLDING and self.rng.random() < 0.05:
            predicate["ignore_case"] = False
        return predicate

    def drawn(self, documents, path, wanted):
        """A value of the wanted kind that some document has at the path, else one from the pools."""
        values = [value for document in documents for value in found_at(document, path) if wanted(value)]
        if values and self.rng.random() < 0.8:
            return self.rng.choice(values)
        while True:
            value = self.pools.scalar()
            if wanted(value):
                return value

    def scalar_operator(self, documents):
        rng = self.rng
        path = rng.choice(ALL_PATHS)
        operator = rng.choice(("eq", "neq", "in", "not_in", "exists", "not_exists"))
        if operator in ("exists", "not_exists"):
            return path, operator, None
        values = [self.recased(self.drawn(documents, path, writable)) for _ in range(rng.randint(1, 4))]
        return path, operator, values[0] if operator in ("eq", "neq") else values

    def recased(self, value):
        """Now and then another case or another type of the same text, to meet the rules on both."""
        rng = self.rng
        if isinstance(value, str) and rng.random() < 0.3:
            value = rng.choice((value.upper(), value.lower(), value.swapcase()))
        elif rng.random() < 0.15:
            number = numeric(value)
            if number is not None and exact(number) is not None:
                return rng.choice((exact(number), dumps(exact(number))))
        return value

    def number_operator(self, documents):
        rng = self.rng
        path = rng.choice(NUMBER_PATHS * 3 + TEXT_PATHS + ODD_PATHS)
        wanted = (lambda value: isinstance(value, str)) if rng.random() < 0.25 else is_number
        operator = rng.choice(("gt", "gte", "lt", "lte", "between", "not_between"))
        ends = [self.drawn(documents, path, wanted) for _ in range(2)]
        if operator not in ("between", "not_between"):
            return path, operator, ends[0]
        return path, operator, sorted(ends, key=Fraction if is_number(ends[0]) else str.encode)

    def text_operator(self, documents):
        rng = self.rng
        path = rng.choice(TEXT_PATHS * 3 + ARRAY_PATHS + ALL_PATHS)
        operator = rng.choice(("contains", "starts_with", "ends_with", "regex", "contains"))
        text = self.recased(self.drawn(documents, path, lambda value: isinstance(value, str)))
        text = text if isinstance(text, str) else dumps(text)
        if operator == "regex":
            text = self.pattern(text)
        elif rng.random() < 0.6:
            cut = rng.randrange(len(text) + 1)
            text = {"starts_with": text[:cut], "ends_with": text[cut:]}.get(operator, text[cut // 2 : cut + 1])
        return path, rng.choice((operator, operator, "not_" + operator)), text

    def pattern(self, text):
        """A pattern about the text, from the syntax that every library reads alike."""
        rng = self.rng
        escaped = ["\\" + char if char in "\\.+*?()|[]{}^$" else char for char in text]
        for position in range(len(escaped)):
            if rng.random() < 0.2:
                escaped[position] = rng.choice((".", "[a-z]", "[0-9]+", "[A-Z]?", ".*", "(?:a|b|u)", "[^x]"))
        cut = rng.randrange(len(escaped) + 1)
        body = "".join(escaped[:cut] if rng.random() < 0.5 else escaped[cut:])
        return rng.choice(("", "", "^")) + body + rng.choice(("", "", "$"))

    def list_operator(self, documents):
        rng = self.rng
        path = rng.choice(ARRAY_PATHS * 3 + ALL_PATHS)
        operator = rng.choice(("contains_any", "contains_all", "contains_none", "contains"))
        arrays = [value for document in documents for value in found_at(document, path) if isinstance(value, list)]
        elements = [value for value in (rng.choice(arrays) if arrays else []) if writable(value)]
        if operator == "contains":
            texts = [value for value in elements if isinstance(value, str)]
            return path, rng.choice(("contains", "not_contains")), rng.choice(texts) if texts else self.pools.string()
        chosen = rng.sample(elements, rng.randint(0, len(elements)))
        chosen += [self.pools.scalar() for _ in range(rng.randrange(2))]
        return path, operator, [self.recased(value) for value in chosen] or [self.pools.scalar()]

    def date_operator(self, _documents):
        rng = self.rng
        path = rng.choice(DATE_PATHS * 8 + ODD_PATHS)
        operator = rng.choice(
            (
                "before",
                "since",
                "on",
                "on",
                "in_the_last",
                "in_the_next",
                "more_than_ago",
                "anniversary_in_the_next",
                "anniversary_in_the_last",
            )
        )
        return (
            path,
            operator,
            self.date() if operator in ("before", "since", "on") else rng.choice(self.pools.intervals),
        )

    # Aggregates

    def aggregate(self, condition):
        """One whose threshold is at or beside the true figure of some customer."""
        rng = self.rng
        fn = rng.choice(("sum", "avg", "min", "max", "count_distinct", "most_frequent"))
        plain = fn in ("count_distinct", "most_frequent")
        for _ in range(4):
            path = rng.choice(ALL_PATHS if plain else NUMBER_PATHS * 3 + TEXT_PATHS + ODD_PATHS)
            values = self.values_of_someone(condition, path)
            scalars = [value for value in values if writable(value)]
            numbers = [number for number in map(numeric, values) if number is not None] or [Fraction(1)]
            if scalars:
                break
        made = {"fn": fn, "property": path}
        if fn == "most_frequent":
            likely = [most_frequent(scalars)] if scalars and rng.random() < 0.6 else []
            chosen = likely + rng.sample(scalars, min(len(scalars), 2)) + [self.pools.scalar()]
            chosen = [self.recased(value) for value in chosen[: rng.randint(1, 2)]]
            return {**made, **({"eq": chosen[0]} if rng.random() < 0.6 else {"in": chosen})}
        if fn == "count_distinct":
            figure = Decimal(max(0, len({identity(value) for value in scalars}) + rng.choice((0, 0, 0, 1, -1))))
        else:
            figures = {
                "sum": sum(numbers),
                "avg": sum(numbers) / len(numbers),
                "min": min(numbers),
                "max": max(numbers),
            }
            true = figures[fn]
            figure = exact(true)
            if figure is None:
                figure = exact(Fraction(round(true * 1000), 1000))
            if abs(figure) < Decimal("1E+30") and rng.random() < 0.3:
                figure = exact(Fraction(figure) + Fraction(rng.choice((1, -1)), 10 ** rng.choice((0, 2, 9))))
        if rng.random() < 0.2:
            return {**made, "between": [figure, exact(Fraction(figure) + rng.randrange(3))]}
        return {**made, rng.choice(COMPARISONS): figure}

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

    # Sequences

    def sequence(self):
        rng = self.rng
        steps, names = [], []
        for number in range(rng.choice((1, 2, 2, 2, 3, 3, 4))):
            step = {"did": self.types()}
            if rng.random() < 0.45:
                step["where"] = self.step_where(names)
            if number == 0 and rng.random() < 0.35:
                step["time"] = self.time()
            if rng.random() < 0.6:
                step["as"] = rng.choice(("c", "é", "step one", "did", "C", "7")) + ("" if number == 0 else str(number))
                names.append(step["as"])
            steps.append(step)
            for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
                absent = {"did_not": self.types()}
                if rng.random() < 0.7:
                    absent["where"] = self.step_where(names)
                steps.append(absent)
        made = {"sequence": steps}
        if rng.random() < 0.6:
            made["within"] = rng.choice(self.pools.intervals)
        return made

    def step_where(self, names):
        made = [
            self.predicate_tree(self.documents(), self.rng.choice((0, 0, 0, 1)), names)
            for _ in range(self.rng.choice((1, 1, 2)))
        ]
        return made if len(made) > 1 or self.rng.random() < 0.5 else made[0]


def writable(value):
    """Whether a rule may have this as a value."""
    return isinstance(value, (bool, str)) or is_number(value)
