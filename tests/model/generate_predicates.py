"""Random predicates about documents, with values that some of the documents have."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from hostile import UNITS
from operators import ALIASES
from values import dumps, found_at, is_number, numeric


@dataclass(frozen=True)
class Paths:
    """Where documents of one kind have what."""

    number: list
    text: list
    date: list
    array: list
    odd: list

    @property
    def all(self):
        return self.number + self.text + self.date + self.array + self.odd


DOCUMENT = Paths(
    number=["price", "qty", "cart.total", "cart.items[].qty", "m[][]", "list.0", ["price"], ["list", "0"]],
    text=["name", "city", "cart.items[].sku", "tags[]", ["a.b", "c"], ["cart", "a.b", "c"], "cart.items[].tags[]"],
    date=["when", "dob", "cart.dates[]"],
    array=["tags", "m", "m[]", "cart.items[].tags", "cart.dates", "list"],
    odd=[
        "missing",
        "team",
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
    ],
)
ELEMENT = Paths(
    number=["qty", "qty", "."],
    text=["sku", "sku", ".", "tags[]"],
    date=["."],
    array=["tags", "."],
    odd=["missing", "sku.x", ["sku"], ["."], "tags", "0", "a", ["a.b"], "qty[]"],
)
ROW = Paths(
    number=["price", "n", "more.qty"],
    text=["id", "who", "Odd Name", ["Odd Name"], "more.sku", "more.tags[]"],
    date=["day"],
    array=["more.tags", "more"],
    odd=["flag", "more", "more.a", "id.x", ["more", "a.b"]],
)
ARRAYS = ["cart.items", "cart.items", "tags", "m", "m[]", "cart.items[].tags", "any", "list", ["cart", "items"], "name"]
# Properties that put a customer in a group.
GROUPS = ["team", "team", "team", "city", "flag", "list.0", ["a.b", "c"], "missing", "any", "price"]


@dataclass(frozen=True)
class Context:
    """What a predicate asks about, and which names `ref` may begin with."""

    documents: list
    paths: Paths = DOCUMENT
    names: tuple = ()  # profile, event, element, row
    steps: tuple = ()  # earlier steps of the sequence
    depth: int = 0  # elements within elements
    others: dict = field(default_factory=dict)  # paths of the documents that names stand for, where they differ


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
DATE_WORDS = ("before", "since", "on", "on", "in_the_last", "in_the_next", "more_than_ago")
ANNIVERSARIES = ("anniversary_in_the_next", "anniversary_in_the_last")


class PredicateMaker:
    """The part of a rule maker that makes predicates."""

    def where(self, context):
        rng = self.rng
        made = [self.predicate_tree(context, rng.choice((0, 0, 0, 1, 2))) for _ in range(rng.choice((1, 1, 2)))]
        return made if len(made) > 1 or rng.random() < 0.5 else made[0]

    def predicate_tree(self, context, depth):
        rng = self.rng
        if depth == 0:
            return self.predicate(context)
        word = rng.choice(("and", "or", "not"))
        if word == "not":
            return {"not": self.predicate_tree(context, depth - 1)}
        return {word: [self.predicate_tree(context, depth - 1) for _ in range(rng.choice((1, 2, 3)))]}

    def of_events(self, steps=()):
        return Context([event.data for event in self.case.data.events], names=("event", "profile"), steps=tuple(steps))

    def of_profiles(self):
        return Context(list(self.case.data.profiles.values()), names=("profile",))

    def predicate(self, context):
        rng = self.rng
        if context.depth < 3 and self.some("element", 0.5 if context.depth == 0 else 0.25):
            return self.element(context)
        if context.steps and rng.random() < 0.6 or self.some("refs", 0.4):
            return self.reference(context)
        if "row" not in context.names and self.some("rows", 0.3):
            path = rng.choice(context.paths.text * 2 + context.paths.number + context.paths.all)
            operator = rng.choice(("in", "not_in"))
            made = {"property": path, "operator": self.spelling(operator), "rows": self.rows()}
            return self.maybe_fold(made, operator)
        family = rng.choice(
            (self.scalar_operator, self.number_operator, self.text_operator, self.list_operator, self.date_operator)
        )
        path, operator, value = family(context)
        made = {"property": path, "operator": self.spelling(operator)}
        if value is not None:
            made["value"] = value
        return self.maybe_fold(made, operator)

    def element(self, context):
        rng = self.rng
        if context.depth == 0:
            path = rng.choice(("more", "more.tags", "more.tags") if context.paths is ROW else ARRAYS)
        else:
            path = rng.choice(("tags", ".", "."))
        arrays = [v for document in context.documents for v in found_at(document, path) if isinstance(v, list)]
        elements = [element for array in arrays for element in array if element is not None]
        names = tuple({*context.names, "element"})
        steps = context.steps if self.on("refs") else ()
        inner = replace(context, documents=elements, paths=ELEMENT, names=names, steps=steps, depth=context.depth + 1)
        return {"element": path, "where": self.where(inner)}

    def reference(self, context):
        """One property against another, often the same path of the other document."""
        rng = self.rng
        steps, names = context.steps, sorted(context.names) if self.on("refs") else []
        name = rng.choice([*steps, *names])
        path = rng.choice((context.paths.number + context.paths.text) * 2 + context.paths.all)
        if not self.on("refs"):
            return self.maybe_fold(
                {"property": path, "operator": self.spelling("eq"), "ref": self.ref(name, path)}, "eq"
            )
        operator = rng.choice(("eq", "eq", "neq", "gt", "gte", "lt", "lte", "before", "since", "on"))
        if operator in ("before", "since", "on") and rng.random() < 0.8:
            path = rng.choice(context.paths.date)
        made = {"property": path, "operator": self.spelling(operator), "ref": self.ref(name, path)}
        return self.maybe_fold(made, operator) if operator in ("eq", "neq") else made

    def ref(self, name, path):
        rng = self.rng
        paths = {"element": ELEMENT, "row": ROW}.get(name, DOCUMENT)
        if name == "element" and rng.random() < 0.3:
            return rng.choice(("element", ["element"]))
        other = path if rng.random() < 0.4 and path != "." and paths is DOCUMENT else rng.choice(paths.all)
        kind = rng.random()
        if kind < 0.3:
            other = rng.choice(paths.number)
        elif kind < 0.4:
            other = rng.choice(paths.date)
        while other == "." or isinstance(other, list) and not self.on("refs"):
            other = rng.choice([path for path in paths.text + paths.number if path != "."])
        if isinstance(other, list):
            return [name, *other]
        return f"{name}.{other}"

    def rows(self):
        """A column of one of the case's tables."""
        rng = self.rng
        name = rng.choice(sorted(self.case.data.tables))
        table = self.case.data.tables[name]
        made = {"table": name, "column": rng.choice(sorted(table.columns))}
        if rng.random() < 0.6:
            made["where"] = self.where(Context(table.rows, paths=ROW, names=("row",)))
        return made

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

    def drawn(self, context, path, wanted):
        """A value of the wanted kind that some document has at the path, else one from the pools."""
        values = [value for document in context.documents for value in found_at(document, path) if wanted(value)]
        if values and self.rng.random() < 0.8:
            return self.rng.choice(values)
        while True:
            value = self.pools.scalar()
            if wanted(value):
                return value

    def scalar_operator(self, context):
        rng = self.rng
        path = rng.choice(context.paths.all)
        operator = rng.choice(("eq", "neq", "in", "not_in", "exists", "not_exists"))
        if operator in ("exists", "not_exists"):
            return path, operator, None
        values = [self.recased(self.drawn(context, path, writable)) for _ in range(rng.randint(1, 4))]
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

    def number_operator(self, context):
        rng = self.rng
        path = rng.choice(context.paths.number * 3 + context.paths.text + context.paths.odd)
        wanted = (lambda value: isinstance(value, str)) if rng.random() < 0.25 else is_number
        operator = rng.choice(("gt", "gte", "lt", "lte", "between", "not_between"))
        ends = [self.drawn(context, path, wanted) for _ in range(2)]
        if operator not in ("between", "not_between"):
            return path, operator, ends[0]
        return path, operator, sorted(ends, key=Fraction if is_number(ends[0]) else str.encode)

    def text_operator(self, context):
        rng = self.rng
        path = rng.choice(context.paths.text * 3 + context.paths.array + context.paths.all)
        operator = rng.choice(("contains", "starts_with", "ends_with", "regex", "contains"))
        text = self.recased(self.drawn(context, path, lambda value: isinstance(value, str)))
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

    def list_operator(self, context):
        rng = self.rng
        path = rng.choice(context.paths.array * 3 + context.paths.all)
        operator = rng.choice(("contains_any", "contains_all", "contains_none", "contains"))
        arrays = [v for document in context.documents for v in found_at(document, path) if isinstance(v, list)]
        elements = [value for value in (rng.choice(arrays) if arrays else []) if writable(value)]
        if operator == "contains":
            texts = [value for value in elements if isinstance(value, str)]
            return path, rng.choice(("contains", "not_contains")), rng.choice(texts) if texts else self.pools.string()
        chosen = rng.sample(elements, rng.randint(0, len(elements)))
        chosen += [self.pools.scalar() for _ in range(rng.randrange(2))]
        return path, operator, [self.recased(value) for value in chosen] or [self.pools.scalar()]

    def date_operator(self, context):
        rng = self.rng
        path = rng.choice(context.paths.date * 8 + context.paths.odd)
        if self.some("calendar", 0.6):
            operator = rng.choice(("this", "previous", "next", "anniversary_this"))
            if operator == "anniversary_this":
                return path, operator, rng.choice(("day", "week", "month"))
            return path, operator, rng.choice(UNITS) if operator == "this" else self.units()
        operator = rng.choice(DATE_WORDS + ANNIVERSARIES)
        fixed = operator in ("before", "since", "on")
        return path, operator, self.date() if fixed else rng.choice(self.pools.intervals)


def writable(value):
    """Whether a rule may have this as a value."""
    return isinstance(value, (bool, str)) or is_number(value)


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
