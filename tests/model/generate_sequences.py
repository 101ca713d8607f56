"""Random sequences."""

from decimal import Decimal


class SequenceMaker:
    """The part of a rule maker that makes sequences."""

    def sequence(self):
        rng = self.rng
        steps, names = [], []
        while self.some("sequences", 0.25):
            steps.append(self.absence(names, within=0.6))
        for number in range(rng.choice((1, 2, 2, 2, 3, 3, 4))):
            steps.append(self.step(number, names))
            for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
                steps.append(self.absence(names))
        for step in reversed(steps):
            if "did" in step:
                break
            if self.some("sequences", 0.6):
                step["within"] = rng.choice(self.pools.intervals)
        made = {"sequence": steps}
        if rng.random() < 0.6:
            made["within"] = rng.choice(self.pools.intervals)
        return made

    def step(self, number, names):
        rng = self.rng
        step = {"did": self.types()}
        if rng.random() < 0.45:
            step["where"] = self.step_where(names)
        if number == 0 and rng.random() < 0.35 or self.some("sequences", 0.25):
            step["time"] = self.time()
        if self.some("sequences", 0.2):
            step["occurrence"] = self.occurrence()
            if self.on("nth") and rng.random() < 0.5:
                step["among"] = self.where(self.of_events())
        elif self.some("sequences", 0.2):
            step["times"] = rng.choice((2, 2, 2, 3, 4, Decimal("2.0")))
        if number > 0 and self.some("sequences", 0.5):
            shorter, longer = self.two_intervals()
            kind = rng.random()
            if kind < 0.65:
                step["within"] = longer
            if kind > 0.45:
                step["after"] = (shorter or longer) if "within" in step else rng.choice((shorter or longer, longer))
        if "times" not in step and rng.random() < 0.6:
            step["as"] = rng.choice(("c", "é", "step one", "did", "C", "7")) + ("" if number == 0 else str(number))
            names.append(step["as"])
        return step

    def absence(self, names, within=0.0):
        rng = self.rng
        absent = {"did_not": self.types()}
        if rng.random() < 0.7:
            absent["where"] = self.step_where(names)
        if rng.random() < within:
            absent["within"] = rng.choice(self.pools.intervals)
        return absent

    def step_where(self, names):
        context = self.of_events(names)
        made = [self.predicate_tree(context, self.rng.choice((0, 0, 0, 1))) for _ in range(self.rng.choice((1, 1, 2)))]
        return made if len(made) > 1 or self.rng.random() < 0.5 else made[0]
