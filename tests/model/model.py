"""A slow and plain evaluator of the whole rule language, written from its contract alone.

It answers one question, `members(rule, data, as_of, cohorts)`, customer by customer and event by event, without an
index or any other cleverness, so that a reader can check each function against the sentence it follows. Rules are
taken to be valid: an unknown word raises ValueError, other faults of a rule are not looked for.
"""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction

from dates import interval, last_covered, read_date, start_of_period, zone
from figures import COUNTING, aggregate, compare, figure, identity, is_scalar
from operators import ALIASES
from predicates import Predicates
from sequences import Sequences
from values import found_at, numeric
from windows import adjoin, in_time, runs


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
    tables: dict = field(default_factory=dict)  # name -> tables.Table


CONDITIONS = (
    "and",
    "or",
    "not",
    "did",
    "did_not",
    "profile",
    "cohort",
    "sequence",
    "sample",
    "compare",
    "rank",
    "customer_in",
    "group",
)
OPTIONS = {"did", "where", "count", "time", "aggregate", "occurrence", "among", "per", "periods"}


def members(rule, data, as_of, cohorts=None):
    """The customer ids that belong to the rule at `as_of`; `cohorts` maps names to rules or to lists of ids."""
    return Snapshot(data, as_of, cohorts or {}).members(rule)


def universe(data, as_of):
    """Everyone with a profile row or an event that exists by `as_of`."""
    return set(data.profiles) | {event.customer for event in data.events if event.at <= as_of}


class Snapshot(Predicates, Sequences):
    """The data as one evaluation sees them."""

    def __init__(self, data, as_of, cohorts):
        self.as_of = as_of
        self.cohorts = cohorts
        self.profiles = data.profiles
        self.tables = data.tables
        self.universe = universe(data, as_of)
        self.events = {customer: [] for customer in self.universe}
        for event in sorted(data.events, key=lambda event: (event.at, event.id)):
            if event.at <= as_of:
                self.events[event.customer].append(event)
        self.zone = None
        self.known = {}

    def members(self, rule):
        condition = {key: value for key, value in rule.items() if key not in ("version", "timezone")}
        outer, self.zone = self.zone, zone(rule.get("timezone", "UTC"))
        try:
            return self.satisfying(condition)
        finally:
            self.zone = outer

    def satisfying(self, condition):
        return {customer for customer in self.universe if self.holds(condition, customer)}

    def once(self, part, compute):
        """What a part of a rule says of all customers, worked out once; kept with it, so that its id stays its own."""
        key = id(part), self.zone
        if key not in self.known:
            self.known[key] = part, compute()
        return self.known[key][1]

    def cohort_members(self, name):
        cohort = self.cohorts[name]
        if isinstance(cohort, dict):
            return self.once(cohort, lambda: self.members(cohort))
        return set(cohort) & self.universe

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
            return self.profile(condition, customer)
        if word == "cohort":
            return customer in self.cohort_members(body)
        if word == "sequence":
            return self.sequence(condition, customer)
        if word == "sample":
            return in_percent(Fraction(sample_number(customer, body["salt"]), 2**64), body["percent"])
        if word == "compare":
            return self.comparison(condition, customer)
        if word == "rank":
            return customer in self.once(condition, lambda: self.ranked(condition))
        if word == "customer_in":
            return self.customer_in(body, customer)
        return self.group(condition, customer)

    def profile(self, condition, customer):
        profile = self.profiles.get(customer)
        predicate = {key: value for key, value in condition.items() if key != "profile"}
        if "element" in condition:
            predicate["element"] = condition["profile"]
        else:
            predicate["property"] = condition["profile"]
        return self.predicate(predicate, profile, {"profile": profile})

    # Events

    def did(self, condition, customer):
        unknown = set(condition) - OPTIONS
        if unknown:
            raise ValueError(unknown)
        if "occurrence" in condition:
            taken = self.taken(condition, condition["did"], self.events[customer])
            return taken is not None and self.passes(taken, condition)
        matching = self.matching(condition, customer)
        if "per" in condition:
            return compare(Fraction(self.periods(condition, matching)), comparison_of(condition["periods"]))
        return self.enough(matching, condition)

    def matching(self, condition, customer):
        events = self.events[customer]
        return [event for event in events if self.is_type(event, condition["did"]) and self.passes(event, condition)]

    def enough(self, matching, condition):
        if not compare(Fraction(len(matching)), condition.get("count", {"gte": 1})):
            return False
        return "aggregate" not in condition or aggregate(condition["aggregate"], matching)

    def taken(self, options, types, events):
        """The one event that `occurrence` takes of a customer's events, None if there are too few."""
        candidates = [
            event
            for event in events
            if self.is_type(event, types) and self.where(options.get("among", []), event.data, self.scope(event))
        ]
        occurrence = options["occurrence"]
        place = {"first": 1, "last": -1}[occurrence] if isinstance(occurrence, str) else int(occurrence["nth"])
        if abs(place) > len(candidates):
            return None
        return candidates[place - 1 if place > 0 else place]

    def is_type(self, event, types):
        types = [types] if isinstance(types, str) else types
        return "*" in types or event.type in types

    def scope(self, event):
        return {"profile": self.profiles.get(event.customer), "event": event.data}

    def passes(self, event, options, bound=None):
        """`time` and `where` of one event; `bound` are the documents of a sequence's named steps."""
        forms = options.get("time", [])
        if not all(self.in_time(form, event) for form in (forms if isinstance(forms, list) else [forms])):
            return False
        return self.where(options.get("where", []), event.data, {**self.scope(event), **(bound or {})})

    def in_time(self, form, event):
        within = interval(form["within"]) if "within" in form else None
        if "from" in form:
            start = self.anchor(form["from"], event.customer, upper=False)
            return (
                start is not None
                and start <= event.at
                and (not within or event.at <= self.zone.shift(start, within, 1))
            )
        if "until" in form:
            end = self.anchor(form["until"], event.customer, upper=True)
            return end is not None and event.at <= end and (not within or event.at >= self.zone.shift(end, within, -1))
        return in_time(form, event.at, self.as_of, self.zone)

    def anchor(self, anchor, customer, upper):
        """The instant that a window starts or ends at, None if the customer has none."""
        if "profile" in anchor:
            for value in found_at(self.profiles.get(customer), anchor["profile"]):
                reading = read_date(value, self.zone)
                if reading:
                    return last_covered(value, self.zone) if upper else reading[0]
            return None
        (word,) = {"first", "last"} & set(anchor)
        events = [
            event
            for event in self.events[customer]
            if self.is_type(event, anchor[word]) and self.where(anchor.get("where", []), event.data, self.scope(event))
        ]
        return (events[0] if word == "first" else events[-1]).at if events else None

    def periods(self, condition, matching):
        """How many periods hold, or how many of them in a row."""
        unit, z = condition["per"], self.zone
        by_period = {}
        for event in matching:
            by_period.setdefault(start_of_period(unit, z.day(event.at)), []).append(event)
        holding = [period for period, events in by_period.items() if self.enough(events, condition)]
        streak = condition["periods"].get("streak")
        if streak is None:
            return len(holding)
        found = runs(unit, holding, z)
        if streak == "longest":
            return max(map(len, found), default=0)
        current = start_of_period(unit, z.day(self.as_of))
        return max((len(run) for run in found if run[-1] == current or adjoin(unit, run[-1], current, z)), default=0)

    # Several customers

    def figure(self, figure_of, customers):
        """A figure of these customers' events together, of one's profile, or a number; None without a value."""
        if not isinstance(figure_of, dict):
            return Fraction(figure_of)
        if "profile" in figure_of:
            (customer,) = customers
            numbers = map(numeric, found_at(self.profiles.get(customer), figure_of["profile"]))
            return next((number for number in numbers if number is not None), None)
        matching = [event for customer in customers for event in self.matching(figure_of, customer)]
        return figure(figure_of.get("aggregate"), matching)

    def comparison(self, condition, customer):
        if "over" not in condition:
            return self.compare_for(condition, [customer])
        groups = self.once(condition, lambda: self.groups(condition["over"]))
        together = [group for group in groups.values() if customer in group]
        return any(self.compare_for(condition, group) for group in together)

    def compare_for(self, condition, customers):
        sides = []
        for side in (condition["compare"], condition["to"]):
            value = self.figure(side, customers)
            counting = isinstance(side, dict) and "did" in side and side.get("aggregate", {}).get("fn") in COUNTING
            sides.append(Fraction(0) if value is None and counting else value)
        if None in sides:
            return False
        operator = ALIASES.get(condition["operator"], condition["operator"])
        return compare(sides[0], {operator: Fraction(condition.get("factor", 1)) * sides[1]})

    def groups(self, path):
        """The universe by the scalar value of a profile property; customers without one are in no group."""
        made = {}
        for customer in sorted(self.universe):
            for value in found_at(self.profiles.get(customer), path):
                if is_scalar(value):
                    made.setdefault(identity(value), []).append(customer)
        return made

    def group(self, condition, customer):
        (word,) = {"any", "all", "none"} & set(condition)
        groups, inside = self.once(
            condition, lambda: (self.groups(condition["group"]), self.satisfying(condition[word]))
        )
        together = [group for group in groups.values() if customer in group]
        quantifier = {"any": any, "all": all, "none": lambda found: not any(found)}[word]
        return any(quantifier([one in inside for one in group]) for group in together)

    def ranked(self, condition):
        """Who is cut out of the rankings, each of which has one value of `by`."""
        chosen = self.satisfying(condition["of"]) if "of" in condition else self.universe
        figures = {customer: self.figure(condition["rank"], [customer]) for customer in chosen}
        rankings = self.groups(condition["by"]).values() if "by" in condition else [self.universe]
        sign = {"most": -1, "least": 1}[condition["order"]]
        cut = set()
        for ranking in rankings:
            entrants = [customer for customer in ranking if figures.get(customer) is not None]
            entrants.sort(key=lambda customer: (sign * figures[customer], customer.encode()))
            for place, customer in enumerate(entrants):
                if "top" in condition:
                    inside = place < condition["top"]
                else:
                    inside = in_percent(Fraction(place, len(entrants)), condition["percent"])
                if inside:
                    cut.add(customer)
        return cut


def comparison_of(options):
    return {key: value for key, value in options.items() if key != "streak"}


def in_percent(share, percent):
    return Fraction(percent[0]) <= share * 100 < Fraction(percent[1])


def sample_number(customer, salt):
    """The first eight bytes of SHA-256 over the salt, a zero byte and the id."""
    digest = hashlib.sha256(salt.encode() + b"\0" + customer.encode()).digest()
    return int.from_bytes(digest[:8], "big")
