"""Rules with random changes: mostly invalid, at unknown paths."""

from decimal import Decimal

SCALARS = (
    None,
    True,
    False,
    Decimal(0),
    Decimal(-1),
    Decimal("1.5"),
    Decimal(2),
    "",
    "day",
    "7 days",
    "2026-01-01",
    "first",
    "*",
)
EMPTY = ([], {})


def mutated(rule, others, rng):
    """The rule with one to three changes; parts of the other rules may come in."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rule = changed(rule, others, rng)
    return rule


def places(value, keys=()):
    yield keys
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*keys, key))


def at(value, keys):
    for key in keys:
        value = value[key]
    return value


def changed(rule, others, rng):
    keys = rng.choice(list(places(rule)))
    return applied(rule, keys, lambda value: change(value, rule, others, rng))


def applied(value, keys, function):
    if not keys:
        return function(value)
    key, rest = keys[0], keys[1:]
    if isinstance(value, list):
        return [applied(item, rest, function) if place == key else item for place, item in enumerate(value)]
    return {name: applied(item, rest, function) if name == key else item for name, item in value.items()}


def change(value, rule, others, rng):
    kind = rng.random()
    if isinstance(value, dict) and value and kind < 0.6:
        key = rng.choice(list(value))
        rest = {name: item for name, item in value.items() if name != key}
        if kind < 0.2:
            return rest
        other = rng.choice(others)
        names = [keys[-1] for keys in places(other) if keys and isinstance(keys[-1], str)] or ["did"]
        if kind < 0.4:
            return {**rest, rng.choice(names): value[key]}
        return {**value, rng.choice(names): part(rule, others, rng)}
    if isinstance(value, list) and value and kind < 0.5:
        place = rng.randrange(len(value))
        return rng.choice(
            (value[:place] + value[place + 1 :], [*value, value[place]], [*value, part(rule, others, rng)])
        )
    if kind < 0.75:
        return part(rule, others, rng)
    return rng.choice((*SCALARS, *EMPTY, [value], value))


def part(rule, others, rng):
    """What stands somewhere in this rule or in another one."""
    source = rng.choice((rule, *rng.sample(others, min(2, len(others)))))
    return at(source, rng.choice(list(places(source))))
