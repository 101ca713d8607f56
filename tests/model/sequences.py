"""Sequences: steps tried one after the other, every event for every step."""

from dates import interval


class Sequences:
    """The part of a snapshot that answers sequences; it has `events` by customer, `zone`, `passes` and `taken`."""

    def sequence(self, condition, customer):
        steps = [copy for step in condition["sequence"] for copy in copies(step)]
        return self.assign(steps, condition.get("within"), self.events[customer], [], {})

    def assign(self, steps, within, events, chosen, bound):
        """Tries every event for the next `did` step; `chosen` are the positions of the events of the steps before."""
        after = chosen[-1] + 1 if chosen else 0
        absent = []
        while steps and "did_not" in steps[0]:
            absent.append(steps[0])
            steps = steps[1:]
        if not steps:
            previous = events[chosen[-1]]
            return not any(
                self.step_matches("did_not", step, event, events, bound)
                for step in absent
                for event in events[after:]
                if all(event.at <= self.away(previous, text, 1) for text in (step.get("within"), within) if text)
            )
        step = steps[0]
        for position in range(after, len(events)):
            event = events[position]
            if chosen and not self.in_reach(event, step, within, events[chosen[0]], events[chosen[-1]]):
                continue
            if not self.step_matches("did", step, event, events, bound):
                continue
            between = events[after:position]
            if any(
                self.step_matches("did_not", no, other, events, bound)
                for no in absent
                for other in between
                # Only a leading absence has a `within`: from then on, up to the first step's event.
                if "within" not in no or other.at >= self.away(event, no["within"], -1)
            ):
                continue
            named = {**bound, step["as"]: event.data} if "as" in step else bound
            if self.assign(steps[1:], within, events, [*chosen, position], named):
                return True
        return False

    def in_reach(self, event, step, within, first, previous):
        """Whether an event lies within the sequence's bound from the first, and the step's from the one before."""
        if within and event.at > self.away(first, within, 1):
            return False
        if "within" in step and event.at > self.away(previous, step["within"], 1):
            return False
        return "after" not in step or event.at >= self.away(previous, step["after"], 1)

    def step_matches(self, word, step, event, events, bound):
        if "occurrence" in step:
            taken = self.taken(step, step[word], events)
            return taken is event and self.passes(event, step, bound)
        return self.is_type(event, step[word]) and self.passes(event, step, bound)

    def away(self, event, text, sign):
        return self.zone.shift(event.at, interval(text), sign)


def copies(step):
    """A step that stands several times in a row: `within` and `after` are the first one's."""
    if "times" not in step:
        return [step]
    first = {key: value for key, value in step.items() if key != "times"}
    rest = {key: value for key, value in first.items() if key not in ("within", "after")}
    return [first] + [rest] * (int(step["times"]) - 1)
