"""Faults that make a part of a valid rule invalid, and the places where problems must then be reported.

A fault is a function of a part and a random generator that gives the part's new value and what is expected of it, or
None where it does not apply. The page says: the place is the value at fault, the unknown key itself, or, where
something is missing or excluded, the object.
"""

from dataclasses import dataclass

UNKNOWN, EVERY = "frobnicate", object()


@dataclass
class Fault:
    value: object
    places: list  # places relative to the part, as tuples of keys; a list among them: any of these
    schema: object = True  # whether a JSON Schema can see it; None if either may be
    hint: str = ""  # what some hint must contain
    also: tuple = ()  # places where a problem is allowed


def alternatives(places):
    return places if isinstance(places, list) else [places]


def without(value, *keys):
    return {key: item for key, item in value.items() if key not in keys}


def misspelt(rng, word):
    """The word with two letters swapped, or one left out."""
    for _ in range(20):
        place = rng.randrange(len(word) - 1)
        swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        found = rng.choice((swapped, word[: place + 1] + word[place] + word[place + 1 :]))
        if found != word:
            return found
    return word + word[-1]


OPTIONS = {
    "did": ("where", "count", "time", "aggregate", "occurrence"),
    "did_not": ("where", "count", "time", "aggregate", "occurrence"),
    "step": ("where",),
    "absence": ("where",),
    "sequence": ("within",),
    "predicate": (),
    "profile": (),
}
NEW_OPTIONS = {
    "periods": {"did": ("per", "periods"), "did_not": ("per", "periods")},
    "nth": {"did": ("among",)},
    "sequences": {"step": ("within", "after", "times", "occurrence"), "absence": ("within",)},
    "compare": {"compare": ("factor", "over"), "figure": ("where", "time", "aggregate")},
    "rank": {"rank": ("percent", "of", "top")},
    "time": {"anchor": ("where",)},
    "rows": {"rows": ("where",)},
}


def options(kind, features):
    new = [NEW_OPTIONS[feature].get(kind, ()) for feature in NEW_OPTIONS if feature in features]
    return [*OPTIONS.get(kind, ()), *(option for options in new for option in options)]


def fault_of(part, rng, features):
    """A fault of this part, or None."""
    known = [fault for kinds, feature, fault in FAULTS if applies(part, kinds) and (not feature or feature in features)]
    rng.shuffle(known)
    for fault in known:
        made = fault(part, rng, features)
        if made:
            return made
    return None


def applies(part, kinds):
    return kinds is EVERY or part.kind in kinds


FAULTS = []


def fault(*kinds, feature=None):
    def register(function):
        FAULTS.append((kinds or EVERY, feature, function))
        return function

    return register


@fault()
def unknown_key(part, _rng, _features):
    return Fault({**part.value, UNKNOWN: 1}, [(UNKNOWN,)])


@fault()
def key_that_needs_quotes(part, _rng, _features):
    return Fault({**part.value, "a b": 1}, [("a b",)])


@fault()
def misspelt_option(part, rng, features):
    absent = [option for option in options(part.kind, features) if option not in part.value]
    if not absent or part.kind in ("anchor", "figure") and "profile" in part.value:
        return None
    option = rng.choice(absent)
    if option == "times":
        return None  # what is meant for it may be as near to "time"
    wrong = misspelt(rng, option)
    return Fault({**part.value, wrong: 1}, [(wrong,)], hint=f'"{option}"')


@fault()
def null_for_an_optional_key(part, rng, features):
    present = [option for option in options(part.kind, features) if option in part.value]
    if not present or part.kind in ("rank",):
        return None
    option = rng.choice(present)
    also = [()] if option in ("occurrence", "per", "periods") else []
    return Fault({**part.value, option: None}, [(option,)], also=tuple(also))


@fault("not", "and", "or", "cohort", "sequence", "sample", "customer_in")
def two_words(part, _rng, _features):
    return Fault({**part.value, "cohort" if part.kind != "cohort" else "did": "m_0"}, [()])


@fault("and", "or")
def empty_list(part, _rng, _features):
    return Fault({**part.value, part.kind: []}, [(part.kind,)])


@fault("not")
def list_for_one(part, _rng, _features):
    return Fault({**part.value, "not": [part.value["not"]]}, [("not",)])


@fault("cohort")
def no_text(part, _rng, _features):
    return Fault({**part.value, "cohort": 5}, [("cohort",)])
