"""Random forms of `time`, about the instants on which the case's data lie."""

from dates import DAY, SECOND, interval, last_covered, read_date, rough_length
from hostile import UNITS
from windows import WEEKDAYS

MINUTE = 60 * SECOND


class TimeMaker:
    """The part of a rule maker that makes `time`, dates and intervals."""

    def time(self):
        if self.some("time", 0.25):
            return [self.form() for _ in range(self.rng.choice((1, 2, 2, 3)))]
        return self.form()

    def form(self):
        rng, pools = self.rng, self.pools
        if self.some("time", 0.6):
            return rng.choice((self.anchored, self.anchored, self.anchored, self.weekday, self.hours, self.units_ago))()
        form = rng.choice(
            ("in_the_last", "more_than_ago", "between_ago", "since", "before", "between", "this", "previous")
        )
        if form in ("this", "previous"):
            return {form: rng.choice(UNITS)}
        if form in ("in_the_last", "more_than_ago"):
            return {form: rng.choice(pools.intervals)}
        if form == "between_ago":
            shorter, longer = self.two_intervals()
            return {form: [longer, shorter]} if shorter else {"in_the_last": longer}
        if form == "between":
            ends = sorted((self.date() for _ in range(2)), key=lambda text: read_date(text, self.zone)[0])
            # The earlier end of a skipped day lies after the last instant it covers.
            if read_date(ends[0], self.zone)[0] <= last_covered(ends[1], self.zone):
                return {form: ends}
            return {"since": ends[0]}
        return {form: self.date()}

    def two_intervals(self):
        """A shorter and a longer one; None for the shorter if they are equally long."""
        ordered = sorted(self.rng.sample(self.pools.intervals, 2), key=lambda text: rough_length(interval(text)))
        if rough_length(interval(ordered[0])) < rough_length(interval(ordered[1])):
            return ordered
        return None, ordered[1]

    def units_ago(self):
        return {"previous": self.units()}

    def units(self):
        """`"4 weeks"` and the like; without a number the singular."""
        rng = self.rng
        unit = rng.choice(UNITS)
        if rng.random() < 0.3:
            return unit
        number = rng.choice((1, 1, 2, 2, 3, 4, 5, 7, 12, 30, 1000))
        return f"{number}{rng.choice((' ', ' ', '', '  '))}{unit}{rng.choice(('s', 's', ''))}"

    def weekday(self):
        days = self.rng.sample(WEEKDAYS, self.rng.choice((1, 1, 2, 3, 5)))
        return {"weekday": days[0] if len(days) == 1 and self.rng.random() < 0.5 else days}

    def hours(self):
        """Bounds at or beside the minute of some event."""
        rng = self.rng
        ends = []
        for _ in range(2):
            kind = rng.random()
            if kind < 0.7 and self.case.data.events:
                minute = self.zone.wall(rng.choice(self.case.data.events).at) % DAY // MINUTE + rng.choice(
                    (0, 0, 1, -1)
                )
            else:
                minute = rng.choice((0, 0, 60, 120, 720, 1080, 1439))
            ends.append(minute % 1440)
        start, end = ends
        if start == end:
            end = (end + 1) % 1440
        if end == 0 and rng.random() < 0.5:
            end = 1440
        return {"hours": [f"{start // 60:02}:{start % 60:02}", f"{end // 60:02}:{end % 60:02}"]}

    def anchored(self):
        rng = self.rng
        if rng.random() < 0.3:
            anchor = {"profile": rng.choice(("when", "dob", "when", "dob", "missing", "any", ["when"]))}
        else:
            anchor = {rng.choice(("first", "last")): self.types()}
            if rng.random() < 0.4:
                anchor["where"] = self.where(self.of_events())
        made = {rng.choice(("from", "until")): anchor}
        if rng.random() < 0.75:
            made["within"] = rng.choice(self.pools.intervals)
        return made

    def date(self):
        while True:
            text = self.rng.choice(self.pools.dates)
            if read_date(text, self.zone):
                return text
