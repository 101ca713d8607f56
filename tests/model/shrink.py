"""Reduces a failing case: removes every part without which it still fails."""

from dataclasses import replace

from check_zones import utc_text
from generate import Case
from model import Event
from values import dumps

TRIES = 1500


def shrink(case, number, disagreement):
    """The smallest case found, with one rule, and its disagreement; `disagreement(case)` is a text or None."""
    best = Case(case.data, case.cohorts, [case.checks[number]])
    difference = disagreement(best)
    tries = 0
    progress = difference is not None
    while progress and tries < TRIES:
        progress = False
        for smaller in smaller_cases(best):
            tries += 1
            found = disagreement(smaller)
            if found:
                best, difference, progress = smaller, found, True
                break
            if tries >= TRIES:
                break
    return best, difference


def smaller_cases(case):
    """Everything one step smaller, the biggest steps first."""
    rule, as_of = case.checks[0]
    data = case.data
    ids = sorted({event.customer for event in data.events} | set(data.profiles))
    for size in (len(ids) // 2, len(ids) // 4, 1):
        for start in range(0, len(ids) if size else 0, size or 1):
            gone = set(ids[start : start + size])
            events = [event for event in data.events if event.customer not in gone]
            profiles = {customer: profile for customer, profile in data.profiles.items() if customer not in gone}
            yield Case(replace(data, events=events, profiles=profiles), without_ids(case.cohorts, gone), case.checks)
    for name in case.cohorts:
        yield Case(data, {other: rule for other, rule in case.cohorts.items() if other != name}, case.checks)
    for smaller in smaller_values(rule):
        if isinstance(smaller, dict):
            yield Case(data, case.cohorts, [(smaller, as_of)])
    for name, cohort in case.cohorts.items():
        for smaller in smaller_values(cohort):
            if smaller and isinstance(smaller, type(cohort)):
                yield Case(data, {**case.cohorts, name: smaller}, case.checks)
    for place in range(len(data.events)):
        fewer = data.events[:place] + data.events[place + 1 :]
        yield Case(replace(data, events=fewer), case.cohorts, case.checks)
    for customer in data.profiles:
        profiles = {other: profile for other, profile in data.profiles.items() if other != customer}
        yield Case(replace(data, profiles=profiles), case.cohorts, case.checks)
    for place, event in enumerate(data.events):
        for smaller in smaller_values(event.data):
            changed = Event(event.id, event.customer, event.type, event.at, smaller)
            yield Case(
                replace(data, events=[*data.events[:place], changed, *data.events[place + 1 :]]),
                case.cohorts,
                case.checks,
            )
    for customer, profile in data.profiles.items():
        for smaller in smaller_values(profile):
            yield Case(replace(data, profiles={**data.profiles, customer: smaller}), case.cohorts, case.checks)


def without_ids(cohorts, gone):
    return {
        name: cohort if isinstance(cohort, dict) else [one for one in cohort if one not in gone] or ["nobody"]
        for name, cohort in cohorts.items()
    }


def smaller_values(value):
    """A JSON value with one part taken away, or replaced by what it holds."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            if len(value) > 1:
                yield value[:place] + value[place + 1 :]
            for smaller in smaller_values(item):
                yield [*value[:place], smaller, *value[place + 1 :]]
    elif isinstance(value, dict):
        for word in ("and", "or"):
            yield from (part for part in value.get(word, []) if isinstance(part, dict))
        yield from (value[word] for word in ("not", "of", "any", "all", "none") if isinstance(value.get(word), dict))
        for key, item in value.items():
            rest = {other: inner for other, inner in value.items() if other != key}
            yield rest
            for smaller in smaller_values(item):
                yield {**rest, key: smaller}


def describe(case):
    rule, as_of = case.checks[0]
    lines = [f"rule   {dumps(rule)}", f"as_of  {utc_text(as_of)}"]
    lines += [f"cohort {name}: {dumps(cohort)}" for name, cohort in case.cohorts.items()]
    lines += [f"profile {customer!r}: {dumps(profile)}" for customer, profile in case.data.profiles.items()]
    lines += [f"table {name}: {dumps(table.rows)}" for name, table in case.data.tables.items()]
    lines += [f"event {e.id} {e.customer!r} {e.type!r} {utc_text(e.at)} {dumps(e.data)}" for e in case.data.events]
    return "\n".join(lines)
