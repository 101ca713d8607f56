"""Random valid rules whose values, counts and dates are drawn from the data they will be asked of."""

from dates import zone
from generate_figures import FigureMaker
from generate_predicates import GROUPS, PredicateMaker
from generate_sequences import SequenceMaker
from generate_times import TimeMaker
from hostile import UNITS
from model import Snapshot


class RuleMaker(PredicateMaker, TimeMaker, FigureMaker, SequenceMaker):
    """Makes one rule; its zone is chosen first, since dates in order depend on it."""

    def __init__(self, pools, case, as_of):
        self.pools, self.case, self.as_of, self.rng = pools, case, as_of, pools.rng
        self.zone = zone(self.rng.choice(pools.zones))
        self.snapshot = Snapshot(case.data, as_of, case.cohorts)
        self.snapshot.zone = self.zone
        self.wide = [name for name in ("samples", "compare", "rank", "groups", "rows") if self.on(name)]
        self.within = 0  # how many rankings and groups are around

    def on(self, feature):
        return feature in self.pools.features

    def some(self, feature, chance):
        """Whether to use an addition here: only if it is on, and then by chance."""
        return self.on(feature) and self.rng.random() < chance

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
        if self.wide and rng.random() < (0.4, 0.2, 0.0)[self.within]:
            return {
                "samples": self.sample,
                "compare": self.compare,
                "rank": self.rank,
                "groups": self.group,
                "rows": lambda: {"customer_in": self.customer_rows()},
            }[rng.choice(self.wide)]()
        kind = rng.random()
        if kind < 0.5:
            return self.did()
        if kind < 0.72:
            return self.profile()
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

    def profile(self):
        predicate = self.predicate(self.of_profiles())
        if "element" in predicate:
            return {"profile": predicate["element"], "element": True, "where": predicate["where"]}
        return {"profile": predicate.pop("property"), **predicate}

    def did(self):
        rng = self.rng
        options = {}
        if rng.random() < 0.5:
            options["where"] = self.where(self.of_events())
        if rng.random() < 0.5:
            options["time"] = self.time()
        word = rng.choice(("did", "did", "did", "did_not"))
        types = self.types()
        if self.some("nth", 0.5) or rng.random() < 0.2:
            options["occurrence"] = self.occurrence()
            if self.some("nth", 0.5):
                options["among"] = self.where(self.of_events())
            return {word: types, **options}
        per = self.some("periods", 0.6)
        if rng.random() < 0.4:
            options["count"] = self.count()
            while per and only_zero(options["count"]):
                options["count"] = self.count()
        if rng.random() < 0.35:
            options["aggregate"] = self.aggregate({"did": types, **options})
        if per:
            options["per"] = rng.choice(UNITS)
            options["periods"] = self.count()
            if rng.random() < 0.6:
                options["periods"]["streak"] = rng.choice(("longest", "current"))
        return {word: types, **options}

    def occurrence(self):
        rng = self.rng
        if self.some("nth", 0.6):
            return {"nth": rng.choice((1, 2, 2, 3, 4, -1, -2, -2, -3, 1000, -1000))}
        return rng.choice(("first", "last"))

    def inner(self):
        """A condition within one on several customers. They nest, but each level asks the one below for everybody."""
        self.within += 1
        made = self.condition(self.rng.choice((0, 0, 1)))
        self.within -= 1
        return made

    # Conditions on the customer as such, or on several

    def sample(self):
        return {"sample": {"percent": self.percent(), "salt": self.rng.choice(("spring", "é", " ", "a\tb", "x" * 255))}}

    def group(self):
        word = self.rng.choice(("any", "all", "none"))
        return {"group": self.rng.choice(GROUPS), word: self.inner()}

    def customer_rows(self):
        """Rows of a column that may be a customer's id, more often one that is."""
        rows = self.rows()
        columns = self.case.data.tables[rows["table"]].columns
        rows["column"] = self.rng.choice(["who", "who", "who", *(name for name in columns if columns[name] != "jsonb")])
        return rows


def only_zero(count):
    """Whether nothing but 0 satisfies it."""
    ((word, value),) = count.items()
    if word == "between":
        return value[1] == 0
    return (word, value) in (("eq", 0), ("lt", 1), ("lte", 0))
