"""A slow and plain evaluator of the whole rule language, written from its contract alone.

It answers one question, `members(rule, data, as_of, cohorts)`, customer by customer and event by event, without an
index or any other cleverness, so that a reader can check each function against the sentence it follows. Rules are
taken to be valid: an unknown word raises ValueError, other faults of a rule are not looked for.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction

from dates import date_operator, in_time, interval, zone
from values import equals, found_at, is_number, numeric, order, shortest_decimal, simple_lower


@dataclass(frozen=True)
class Event:
    id: int
    customer: str
    type: str
    at: int
    data: object


@dataclass
class Data:
    events: list = field(default_factory=list)
    profiles: dict = field(default_factory=dict)


ALIASES = {
    "=": "eq",
    "==": "eq",
    "equals": "eq",
    "is": "eq",
    "!=": "neq",
    "<>": "neq",
    "ne": "neq",
    "not_equals": "neq",
    "is_not": "neq",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "greater_than": "gt",
    "greater_than_or_equal": "gte",
    "less_than": "lt",
    "less_than_or_equal": "lte",
    "any_of": "in",
    "none_of": "not_in",
    "matches": "regex",
    "is_set": "exists",
    "is_not_set": "not_exists",
    "birthday_in_the_next": "anniversary_in_the_next",
}

NEGATIONS = {
    "neq": "eq",
    "not_between": "between",
    "not_in": "in",
    "not_contains": "contains",
    "not_starts_with": "starts_with",
    "not_ends_with": "ends_with",
    "not_regex": "regex",
    "not_exists": "exists",
    "contains_none": "contains_any",
}

DATE_OPERATORS = {
    "before",
    "since",
    "on",
    "in_the_last",
    "in_the_next",
    "more_than_ago",
    "anniversary_in_the_next",
    "anniversary_in_the_last",
}

CONDITIONS = ("and", "or", "not", "did", "did_not", "profile", "cohort", "sequence")


def members(rule, data, as_of, cohorts=None):
    """The customer ids that belong to the rule at `as_of`; `cohorts` maps names to rules or to lists of ids."""
    return Snapshot(data, as_of, cohorts or {}).members(rule)


def universe(data, as_of):
    """Everyone with a profile row or an event that exists by `as_of`."""
    return set(data.profiles) | {event.customer for event in data.events if event.at <= as_of}


class Snapshot:
    """The data as one evaluation sees them."""

    def __init__(self, data, as_of, cohorts):
        self.as_of = as_of
        self.cohorts = cohorts
        self.profiles = data.profiles
        self.universe = universe(data, as_of)
        self.events = {customer: [] for customer in self.universe}
        for event in sorted(data.events, key=lambda event: (event.at, event.id)):
            if event.at <= as_of:
                self.events[event.customer].append(event)
        self.zone = None

    def members(self, rule):
        condition = {key: value for key, value in rule.items() if key not in ("version", "timezone")}
        outer, self.zone = self.zone, zone(rule.get("timezone", "UTC"))
        try:
            return {customer for customer in self.universe if self.holds(condition, customer)}
        finally:
            self.zone = outer

    def cohort_members(self, name):
        cohort = self.cohorts[name]
        return self.members(cohort) if isinstance(cohort, dict) else set(cohort) & self.universe

    def holds(self, condition, customer):
        (word,) = [word for word in CONDITIONS if word in condition]
        body = condition[word]
        if word == "and":
            return all(self.holds(part, customer) for part in body)
        if word == "or":
            return any(self.holds(part, customer) for part in body)
        if word == "not":
            return not self.holds(body, customer)
        if word == "did":
            return self.did(condition, customer)
        if word == "did_not":
            options = {key: value for key, value in condition.items() if key != "did_not"}
            return not self.did({"did": body, **options}, customer)
        if word == "profile":
            predicate = {"property": body, **{key: value for key, value in condition.items() if key != "profile"}}
            return self.predicate(predicate, self.profiles.get(customer), {})
        if word == "cohort":
            return customer in self.cohort_members(body)
        return self.sequence(condition, customer)

    # Events

    def did(self, condition, customer):
        unknown = set(condition) - {"did", "where", "count", "time", "aggregate", "occurrence"}
        if unknown:
            raise ValueError(unknown)
        of_type = [event for event in self.events[customer] if is_type(event, condition["did"])]
        if "occurrence" in condition:
            one = {"first": of_type[:1], "last": of_type[-1:]}[condition["occurrence"]]
            return any(self.passes(event, condition) for event in one)
        matching = [event for event in of_type if self.passes(event, condition)]
        if not compare(Fraction(len(matching)), condition.get("count", {"gte": 1})):
            return False
        return "aggregate" not in condition or aggregate(condition["aggregate"], matching)

    def passes(self, event, options, bound=None):
        if "time" in options and not in_time(options["time"], event.at, self.as_of, self.zone):
            return False
        return self.where(options.get("where", []), event.data, bound or {})

    def where(self, predicates, data, bound):
        if isinstance(predicates, dict):
            predicates = [predicates]
        return all(self.predicate(predicate, data, bound) for predicate in predicates)

    def predicate(self, predicate, data, bound):
        if "and" in predicate:
            return all(self.predicate(part, data, bound) for part in predicate["and"])
        if "or" in predicate:
            return any(self.predicate(part, data, bound) for part in predicate["or"])
        if "not" in predicate:
            return not self.predicate(predicate["not"], data, bound)
        operator = predicate["operator"]
        fold = predicate.get("ignore_case", False)
        if operator == "icontains":
            operator, fold = "contains", True
        operator = ALIASES.get(operator, operator)
        positive = NEGATIONS.get(operator, operator)
        found = found_at(data, predicate["property"])
        if "ref" in predicate:
            step, path = predicate["ref"].split(".", 1)
            holds = any(equals(value, other, fold) for value in found for other in found_at(bound[step].data, path))
        else:
            holds = any(self.test(positive, value, predicate.get("value"), fold) for value in found)
        return holds == (positive == operator)

    def test(self, operator, found, value, fold):
        """A positive operator on one present value."""
        if operator in DATE_OPERATORS:
            return date_operator(operator, value, found, self.as_of, self.zone)
        return test(operator, found, value, fold)

    # Sequences

    def sequence(self, condition, customer):
        return self.assign(condition["sequence"], condition.get("within"), self.events[customer], [], {})

    def assign(self, steps, within, events, chosen, bound):
        """Tries every event for the next `did` step; `chosen` are the positions of the events of the steps before."""
        after = chosen[-1] + 1 if chosen else 0
        absent = []
        while steps and "did_not" in steps[0]:
            absent.append(steps[0])
            steps = steps[1:]
        if not steps:
            return not any(
                self.step_matches("did_not", step, event, bound)
                for step in absent
                for event in events[after:]
                if self.before_deadline(event, events[chosen[-1]], within)
            )
        step = steps[0]
        for position in range(after, len(events)):
            event = events[position]
            if within and chosen and event.at > self.zone.shift(events[chosen[0]].at, interval(within), 1):
                continue
            if not self.step_matches("did", step, event, bound):
                continue
            between = events[after:position]
            if any(self.step_matches("did_not", no, other, bound) for no in absent for other in between):
                continue
            named = {**bound, step["as"]: event} if "as" in step else bound
            if self.assign(steps[1:], within, events, [*chosen, position], named):
                return True
        return False

    def step_matches(self, word, step, event, bound):
        return is_type(event, step[word]) and self.passes(event, step, bound)

    def before_deadline(self, event, last, within):
        return not within or event.at <= self.zone.shift(last.at, interval(within), 1)


def is_type(event, types):
    types = [types] if isinstance(types, str) else types
    return "*" in types or event.type in types


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
    comparison = {key: value for key, value in options.items() if key not in ("fn", "property")}
    values = [value for event in matching for value in found_at(event.data, options["property"])]
    fn = options["fn"]
    if fn in ("count_distinct", "most_frequent"):
        scalars = [value for value in values if not isinstance(value, (list, dict))]
        if not scalars:
            return False
        if fn == "count_distinct":
            return compare(Fraction(len({identity(value) for value in scalars})), comparison)
        winner = most_frequent(scalars)
        ((word, value),) = comparison.items()
        return any(equals(winner, one) for one in ([value] if word == "eq" else value))
    numbers = [number for number in map(numeric, values) if number is not None]
    if not numbers:
        return False
    figure = {"sum": sum(numbers), "avg": sum(numbers) / len(numbers), "min": min(numbers), "max": max(numbers)}[fn]
    return compare(figure, comparison)


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


def test(operator, found, value, fold):
    """The positive operators that look at a value by itself."""

    def letters(text):
        return simple_lower(text) if fold else text

    if operator == "exists":
        return True
    if operator == "eq":
        return equals(found, value, fold)
    if operator == "in":
        return any(equals(found, one, fold) for one in value)
    if operator in ("gt", "gte", "lt", "lte"):
        sign = order(found, value)
        return sign is not None and {"gt": sign > 0, "gte": sign >= 0, "lt": sign < 0, "lte": sign <= 0}[operator]
    if operator == "between":
        low, high = (order(found, end) for end in value)
        return low is not None and low >= 0 and high <= 0
    if operator == "contains":
        if isinstance(found, list):
            return any(equals(element, value, fold) for element in found)
        return isinstance(found, str) and letters(value) in letters(found)
    if operator in ("contains_any", "contains_all"):
        if not isinstance(found, list):
            return False
        has = [any(equals(element, one) for element in found) for one in value]
        return any(has) if operator == "contains_any" else all(has)
    if operator not in ("starts_with", "ends_with", "regex"):
        raise ValueError(operator)
    if not isinstance(found, str):
        return False
    if operator == "starts_with":
        return letters(found).startswith(letters(value))
    if operator == "ends_with":
        return letters(found).endswith(letters(value))
    return matches(value, found, fold)


def matches(pattern, text, fold):
    """`regex`, for patterns that mean the same to this library but for two differences, which are undone here.

    `$` must not match before a last newline, and without a locale's rules the Turkish İ and ı have no other case.
    """
    if pattern.endswith("$") and not pattern.endswith(r"\$"):
        pattern = pattern[:-1] + r"\Z"
    if fold:
        pattern, text = (part.replace("İ", "\ue000").replace("ı", "\ue001") for part in (pattern, text))
    return re.search(pattern, text, re.IGNORECASE if fold else 0) is not None
