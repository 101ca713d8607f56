"""Figures of a customer's events: counts, sums and the like, exact, and what is compared with them."""

from fractions import Fraction

from values import equals, found_at, is_number, numeric, shortest_decimal

# Where no matching event has a value, these are 0 in `compare`; the others have none.
COUNTING = (None, "sum", "count_distinct")


def compare(number, comparison):
    """An exact number against the one comparison of `count` or `aggregate`."""
    ((word, value),) = comparison.items()
    if word == "between":
        return Fraction(value[0]) <= number <= Fraction(value[1])
    value = Fraction(value)
    return {
        "gt": number > value,
        "gte": number >= value,
        "lt": number < value,
        "lte": number <= value,
        "eq": number == value,
        "neq": number != value,
    }[word]


def aggregate(options, matching):
    """Whether an aggregate over the matching events passes its comparison; without a value it never does."""
    comparison = {key: value for key, value in options.items() if key not in ("fn", "property")}
    if options["fn"] == "most_frequent":
        scalars = [value for value in values_of(matching, options["property"]) if is_scalar(value)]
        if not scalars:
            return False
        winner = most_frequent(scalars)
        ((word, value),) = comparison.items()
        return any(equals(winner, one) for one in ([value] if word == "eq" else value))
    number = figure(options, matching)
    return number is not None and compare(number, comparison)


def figure(options, matching):
    """The exact number that these events give: how many they are without options; None where there is no value."""
    if options is None:
        return Fraction(len(matching)) or None
    values, fn = values_of(matching, options["property"]), options["fn"]
    if fn == "count_distinct":
        return Fraction(len({identity(value) for value in values if is_scalar(value)})) or None
    numbers = [number for number in map(numeric, values) if number is not None]
    if not numbers:
        return None
    return {"sum": sum(numbers), "avg": sum(numbers) / len(numbers), "min": min(numbers), "max": max(numbers)}[fn]


def values_of(events, path):
    """Every value at a path of every event: each element counts where the path goes through []."""
    return [value for event in events for value in found_at(event.data, path)]


def is_scalar(value):
    return not isinstance(value, (list, dict))


def identity(value):
    """What makes two scalars one value: numbers by value, otherwise type and text."""
    return (1, Fraction(value)) if is_number(value) else (0 if isinstance(value, bool) else 2, value)


def most_frequent(scalars):
    """Most often; then the smallest text in byte order; then boolean before number before string."""
    identities = [identity(value) for value in scalars]

    def rank(value):
        kind = identity(value)[0]
        text = (str(value).lower(), shortest_decimal(value) if kind == 1 else "", value)[kind]
        return -identities.count(identity(value)), text.encode(), kind

    return min(scalars, key=rank)
