"""The parts of a valid rule, each with its kind and its path."""

from dataclasses import dataclass, replace

from model import CONDITIONS

PREDICATE_LISTS = ("where", "among")


@dataclass(frozen=True)
class Part:
    kind: str  # condition words, "predicate", "element", "time", "anchor", "count", "periods", "aggregate", "figure", …
    keys: tuple  # from the top of the rule
    value: object
    around: tuple = ()  # what a predicate stands in: profile, event, element, row; "step" in a sequence


def parts_of(rule):
    return list(condition(rule, ()))


def condition(value, keys):
    (word,) = [word for word in CONDITIONS if word in value]
    yield Part(word, keys, value)
    if word in ("and", "or"):
        for place, part in enumerate(value[word]):
            yield from condition(part, (*keys, word, place))
    elif word == "not":
        yield from condition(value[word], (*keys, word))
    elif word in ("did", "did_not"):
        yield from did(value, keys, ("event", "profile"))
    elif word == "profile":
        yield from tested(value, keys, ("profile",))
    elif word == "sequence":
        last = max(place for place, step in enumerate(value[word]) if "did" in step)
        first = min(place for place, step in enumerate(value[word]) if "did" in step)
        for place, step in enumerate(value[word]):
            at = "leading" if place < first else "last" if place > last else "first" if place == first else "between"
            yield Part("step" if "did" in step else "absence", (*keys, word, place), step, (at,))
            yield from did(step, (*keys, word, place), ("event", "profile", "step"))
    elif word == "compare":
        for side in ("compare", "to"):
            yield from figure(value[side], (*keys, side), "over" in value)
    elif word == "rank":
        yield from figure(value[word], (*keys, word), False)
        if "of" in value:
            yield from condition(value["of"], (*keys, "of"))
    elif word == "customer_in":
        yield from rows(value[word], (*keys, word))
    elif word == "sample":
        yield Part("share", (*keys, word), value[word])
    elif word == "group":
        (quantifier,) = {"any", "all", "none"} & set(value)
        yield from condition(value[quantifier], (*keys, quantifier))


def did(value, keys, around):
    """What `did`, a step and a figure have in common."""
    for key in PREDICATE_LISTS:
        if key in value:
            names = around if key == "where" else ("event", "profile")
            yield from predicates(value[key], (*keys, key), names)
    if "time" in value:
        forms = value["time"] if isinstance(value["time"], list) else [value["time"]]
        for place, form in enumerate(forms):
            at = (*keys, "time", place) if isinstance(value["time"], list) else (*keys, "time")
            yield Part("time", at, form)
            for key in ("from", "until"):
                if key in form:
                    yield Part("anchor", (*at, key), form[key])
                    if "where" in form[key]:
                        yield from predicates(form[key]["where"], (*at, key, "where"), ("event", "profile"))
    for key in ("count", "periods", "aggregate"):
        if key in value:
            yield Part(key, (*keys, key), value[key])
    if isinstance(value.get("occurrence"), dict):
        yield Part("nth", (*keys, "occurrence"), value["occurrence"])


def figure(value, keys, over):
    if isinstance(value, dict):
        yield Part("figure", keys, value, ("over",) if over else ())
        for part in did(value, keys, ("event", "profile")):
            yield replace(part, kind="figures aggregate") if part.kind == "aggregate" else part


def predicates(value, keys, around):
    if isinstance(value, list):
        for place, one in enumerate(value):
            yield from predicate(one, (*keys, place), around)
    else:
        yield from predicate(value, keys, around)


def predicate(value, keys, around):
    for word in ("and", "or"):
        if word in value:
            yield Part("predicates", keys, value, around)
            yield from predicates(value[word], (*keys, word), around)
            return
    if "not" in value:
        yield Part("predicates", keys, value, around)
        yield from predicate(value["not"], (*keys, "not"), around)
    elif "element" in value:
        yield Part("element", keys, value, around)
        yield from predicates(value["where"], (*keys, "where"), (*around, "element"))
    else:
        yield Part("predicate", keys, value, around)
        if "rows" in value:
            yield from rows(value["rows"], (*keys, "rows"))


def tested(value, keys, around):
    """A profile condition is a predicate too."""
    if "element" in value:
        yield from predicates(value["where"], (*keys, "where"), (*around, "element"))
    else:
        yield Part("predicate", keys, value, around)
        if "rows" in value:
            yield from rows(value["rows"], (*keys, "rows"))


def rows(value, keys):
    yield Part("rows", keys, value)
    if "where" in value:
        yield from predicates(value["where"], (*keys, "where"), ("row",))


def replaced(rule, keys, value):
    """The rule with another value at this place."""
    if not keys:
        return value
    key, *rest = keys
    if isinstance(rule, list):
        return [replaced(item, rest, value) if place == key else item for place, item in enumerate(rule)]
    return {name: replaced(item, rest, value) if name == key else item for name, item in rule.items()}
