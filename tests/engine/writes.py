"""Random changes of events and profiles, as SQL text that means the same whenever it is run again."""

from dataclasses import dataclass, field

from check_zones import utc_text
from model import Event
from psql_session import copy_field, literal
from question import array, jsonb
from values import dumps

# What a change may meet besides success: a snapshot too old, a deadlock, a transaction that failed before.
ALWAYS = ("40001", "40P01", "25P02")
# Those that wait for rows or tables that another session's open transaction holds. Inserting never waits.
WAITS = (*ALWAYS, "55P03")
# An id that is taken.
TAKEN = (*WAITS, "23505")

COLUMNS = "customer_id, event_type, occurred_at, data"


@dataclass
class Change:
    """One statement: head, rows and tail, so that rows can be taken away when it is made smaller."""

    kind: str
    head: str
    rows: list = field(default_factory=list)
    between: str = ", "
    tail: str = ""
    expects: tuple = WAITS
    replicated: bool = False  # made as logical replication makes it: only triggers that are ENABLE ALWAYS fire

    @property
    def reads_on(self):
        """Whether psql sends what follows the statement as its data."""
        return self.tail.endswith("\\.")

    def text(self):
        return self.head + self.between.join(self.rows) + self.tail

    def statements(self):
        """Labelled SQL."""
        text = self.text()
        found = [("change", text if text.endswith(("\\.", "\\g /dev/null")) else text + ";")]
        if self.replicated:
            role = "session_replication_role"
            found = [("role", f"SET {role} = replica;"), *found, ("origin", f"RESET {role};")]
        return found


class Writer:
    """Draws changes from the data of a case."""

    def __init__(self, pools, case):
        self.rng, self.pools = pools.rng, pools
        self.events = case.data.events or [Event(0, "c1", pools.types[0], pools.instant(), {})]
        self.profiles = list(case.data.profiles.values()) or [{}]
        self.customers = sorted({event.customer for event in self.events} | set(case.data.profiles))
        # Few customers have most of the events, so that counts, sums and sequences have something to bite on.
        self.busy = self.rng.sample(self.customers, min(3, len(self.customers)))
        self.types = sorted({event.type for event in self.events})

    def customer(self):
        return self.rng.choice(self.busy if self.rng.random() < 0.5 else self.customers)

    def document(self):
        rng = self.rng
        if rng.random() < 0.3:
            document = self.pools.document()
        else:
            document = rng.choice(self.events).data
        if isinstance(document, dict) and rng.random() < 0.06:
            # Beyond what is indexed, beyond a page, and one too varied to be compressed below it.
            text = rng.choice(("long ", "é", "")) * rng.choice((150, 3000))
            text += "".join(chr(rng.randrange(0x4E00, 0x9FA0)) for _ in range(rng.choice((0, 400, 4000))))
            document = {**document, "name": text}
        return document

    def event(self):
        rng = self.rng
        if rng.random() < 0.4:
            return rng.choice(self.events)
        at = rng.choice(self.events).at if rng.random() < 0.4 else self.pools.instant()
        return Event(0, self.customer(), rng.choice(self.types), at, self.document())

    def event_row(self):
        event = self.event()
        at = "now()" if self.rng.random() < 0.1 else literal(utc_text(event.at))
        return f"({literal(event.customer)}, {literal(event.type)}, {at}, {jsonb(event.data)})"

    # Events ----------------------------------------------------------------------------------------------------------

    def insert(self):
        rows = [self.event_row() for _ in range(self.rng.choice((1, 1, 2, 3, 12)))]
        return Change("insert", f"INSERT INTO cohort_event ({COLUMNS}) VALUES ", rows, expects=ALWAYS)

    def copy(self):
        rows = []
        for _ in range(self.rng.choice((5, 20, 60))):
            event = self.event()
            fields = (event.customer, event.type, utc_text(event.at), dumps(event.data))
            rows.append("\t".join(map(copy_field, fields)))
        return Change("copy", f"COPY cohort_event ({COLUMNS}) FROM STDIN;\n", rows, "\n", "\n\\.", ALWAYS)

    def bulk(self):
        """Enough of one type that its columns have several blocks."""
        rng = self.rng
        people = rng.sample(self.customers, min(len(self.customers), rng.choice((4, 12))))
        document = self.document()
        document = document if isinstance(document, dict) else {}
        start, step = literal(utc_text(self.pools.instant())), rng.choice(("1 hour", "1 day", "0", "-90 minutes"))
        values = (
            f"jsonb_build_object('price', g * {rng.choice((1, '0.25', '100.10', -3))}, 'qty', g % {rng.choice((2, 17, 300))}, "
            f"'name', ({array(rng.sample(self.pools.strings, 5))})[1 + g % 5], 'city', 'city ' || g % 40, "
            f"'when', '2024-01-01'::date + g % 500)"
        )
        return Change(
            "bulk",
            f"INSERT INTO cohort_event ({COLUMNS}) SELECT ({array(people)})[1 + g * {rng.choice((1, 7))} % {len(people)}], "
            f"{literal(rng.choice(self.types))}, {start}::timestamptz + g * interval '{step}', "
            f"{jsonb(document)} || {values} FROM generate_series(1, {rng.choice((130, 300, 600))}) g",
            expects=ALWAYS,
        )

    def stamped(self):
        """Stamps that the application writes itself count for nothing."""
        rows = [self.event_row()[:-1] + f", '{self.rng.choice((0, 1, 3, 2**60))}')" for _ in range(2)]
        return Change("stamped", f"INSERT INTO cohort_event ({COLUMNS}, stamp) VALUES ", rows, expects=ALWAYS)

    def track(self):
        event = self.event()
        data = event.data if isinstance(event.data, dict) else {}
        fields = f"{literal(event.customer)}, {literal(event.type)}, {jsonb(data)}, {literal(utc_text(event.at))}"
        return Change("track", f"SELECT cohort_track({fields}) \\g /dev/null", expects=ALWAYS)

    def caught(self):
        """Rows of a subtransaction that is rolled back between rows that stay."""
        first, second, third = (self.event_row() for _ in range(3))
        into = f"INSERT INTO cohort_event ({COLUMNS}) VALUES "
        body = (
            f"BEGIN {into}{first}; BEGIN {into}{second}; {self.update().text()}; RAISE 'no'; "
            f"EXCEPTION WHEN raise_exception THEN NULL; END; {into}{third}; END"
        )
        return Change("caught", f"DO {literal(body)}")

    def some_events(self):
        rng = self.rng
        return rng.choice(
            (
                f"event_id % 7 = {rng.randrange(7)}",
                f"event_id % 40 = {rng.randrange(40)}",
                f"customer_id = {literal(self.customer())}",
                f"event_type = {literal(rng.choice(self.types))} AND event_id % 3 = 0",
                "event_id = (SELECT max(event_id) FROM cohort_event)",
                f"event_id IN (SELECT event_id FROM cohort_event ORDER BY event_id LIMIT {rng.randrange(1, 9)})",
                f"event_id IN (SELECT event_id FROM cohort_event ORDER BY md5(event_id::text) LIMIT {rng.randrange(1, 9)})",
                "true" if rng.random() < 0.15 else "event_id % 11 < 2",
            )
        )

    def update(self):
        rng = self.rng
        change = rng.choice(
            (
                lambda: f"data = {jsonb(self.document())}",
                lambda: f"data = {jsonb(self.document())}",
                lambda: f"event_type = {literal(rng.choice(self.types))}",
                lambda: f"customer_id = {literal(self.customer())}",
                lambda: f"occurred_at = {literal(utc_text(self.pools.instant()))}",
                lambda: "occurred_at = occurred_at + interval '1 microsecond'",
                lambda: "stamp = '5'",
                lambda: "data = data",
            )
        )()
        return Change("update", f"UPDATE cohort_event SET {change} WHERE {self.some_events()}")

    def update_id(self):
        change = self.rng.choice(("-event_id", "event_id + 100000"))
        return Change(
            "update id", f"UPDATE cohort_event SET event_id = {change} WHERE {self.some_events()}", expects=TAKEN
        )

    def delete(self):
        return Change("delete", f"DELETE FROM cohort_event WHERE {self.some_events()}")

    def replace(self):
        """An event that is deleted and comes again under its id, at once."""
        order = self.rng.choice(("event_id", "event_id DESC", "md5(event_id::text)"))
        event = self.event()
        return Change(
            "replace",
            f"WITH gone AS (DELETE FROM cohort_event WHERE event_id IN (SELECT event_id FROM cohort_event ORDER BY {order} LIMIT 2) "
            f"RETURNING *) INSERT INTO cohort_event (event_id, {COLUMNS}) SELECT event_id, customer_id, "
            f"{self.rng.choice(('event_type', literal(event.type)))}, occurred_at, {jsonb(event.data)} FROM gone",
            expects=TAKEN,
        )

    def again(self):
        """An event under an id that an event may have had that is gone by now."""
        event = self.event_row()[1:-1]
        return Change(
            "again",
            f"INSERT INTO cohort_event (event_id, {COLUMNS}) "
            f"SELECT (SELECT coalesce(min(event_id), 1) - 1 FROM cohort_event), {event}",
            expects=TAKEN,
        )

    def upsert(self):
        event = self.event_row()[1:-1]
        return Change(
            "upsert",
            f"INSERT INTO cohort_event (event_id, {COLUMNS}) SELECT max(event_id), {event} FROM cohort_event "
            "HAVING count(*) > 0 ON CONFLICT (event_id) DO UPDATE SET data = excluded.data, event_type = excluded.event_type",
        )

    def merge(self):
        rng = self.rng
        return Change(
            "merge",
            f"MERGE INTO cohort_event e USING (SELECT event_id FROM cohort_event WHERE {self.some_events()} "
            "UNION ALL SELECT -1) s ON e.event_id = s.event_id "
            f"WHEN MATCHED AND e.event_id % 2 = 0 THEN UPDATE SET data = {jsonb(self.document())} "
            "WHEN MATCHED AND e.event_id % 3 = 0 THEN DELETE "
            f"WHEN NOT MATCHED THEN INSERT (customer_id, event_type) VALUES ({literal(self.customer())}, {literal(rng.choice(self.types))})",
            expects=TAKEN,
        )

    def truncate(self):
        tables = self.rng.choice(("cohort_event", "cohort_customer", "cohort_event, cohort_customer"))
        return Change("truncate", f"TRUNCATE {tables}")

    # Profiles --------------------------------------------------------------------------------------------------------

    def profile(self):
        customer, other = literal(self.customer()), literal(self.customer())
        document = jsonb(self.rng.choice((self.document(), self.rng.choice(self.profiles), {})))
        into = f"INSERT INTO cohort_customer (customer_id, profile) VALUES ({customer}, {document})"
        text = self.rng.choice(
            (
                f"{into} ON CONFLICT (customer_id) DO UPDATE SET profile = excluded.profile",
                f"{into} ON CONFLICT DO NOTHING",
                f"SELECT cohort_identify({customer}, {document}) \\g /dev/null",
                f"UPDATE cohort_customer SET profile = {document} WHERE customer_id = {customer}",
                "UPDATE cohort_customer SET updated_at = now()",
                f"DELETE FROM cohort_customer WHERE customer_id = {customer}",
                f"DELETE FROM cohort_customer WHERE customer_id <> {customer} AND md5(customer_id) < '4'",
                f"UPDATE cohort_customer SET customer_id = {other} WHERE customer_id = {customer}",
                f"WITH gone AS (DELETE FROM cohort_customer WHERE customer_id = {customer} RETURNING *) "
                f"INSERT INTO cohort_customer (customer_id, profile) SELECT customer_id, {document} FROM gone",
            )
        )
        # cohort_identify refuses what is no object; a table of its own takes it.
        return Change("profile", text, expects=(*TAKEN, "22023"))

    def profiles_copied(self):
        rows = []
        for customer in sorted({self.customer() for _ in range(6)}):
            rows.append(f"({literal(customer)}, {jsonb(self.document())})")
        return Change(
            "profiles",
            "INSERT INTO cohort_customer (customer_id, profile) VALUES ",
            rows,
            tail=" ON CONFLICT (customer_id) DO UPDATE SET profile = excluded.profile",
        )

    def forget(self):
        return Change("forget", f"SELECT cohort_forget({literal(self.customer())}) \\g /dev/null")

    def change(self):
        kinds = [self.insert] * 8 + [self.copy] * 5 + [self.bulk, self.stamped, self.track, self.caught]
        kinds += [self.update] * 8 + [self.update_id, self.replace, self.again, self.upsert, self.merge]
        kinds += [self.delete] * 4 + [self.profile] * 7 + [self.profiles_copied] * 2 + [self.forget]
        change = self.rng.choice(kinds)()
        change.replicated = self.rng.random() < 0.05
        return change

    def plain_change(self):
        """One that can stand in a WITH or be run by EXECUTE: it has no psql command, and gives back its rows."""
        return self.rng.choice([self.insert] * 3 + [self.update] * 2 + [self.delete])()
