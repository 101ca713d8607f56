"""Random histories: after every step random rules must give the same members by the index and by plain SQL.

Usage: history.py [--triples N] [--seed S] [--forever]

A case is a random data set (tests/model makes it, hostile on purpose) that comes in step by step: inserts, COPY, updates,
deletes, TRUNCATE, profiles, sealing with tiny segments, reindexing, transactions that are rolled back, kept open or
prepared, and a second and a third session with a transaction of its own. A triple is one rule asked in one state of the
data after one history. The server is the one psql finds through PG*; it needs max_prepared_transactions.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "model"))

from check_zones import utc_text  # noqa: E402
from generate import make_case  # noqa: E402
from psql_session import Failure, Psql, copy_field, literal  # noqa: E402
from values import dumps  # noqa: E402

CLEAN = """
ROLLBACK;
SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts WHERE database = current_database() \\gexec
DELETE FROM kursaha_cohort.reference;
DELETE FROM kursaha_cohort.cohort;
TRUNCATE cohort_event, cohort_customer;
"""
# Asked for by the history, and no failure: a snapshot too old, a row that is locked, a transaction that is aborted.
EXPECTED = ("40001", "55P03", "25P02")


def jsonb(value):
    return literal(dumps(value)) + "::jsonb"


class History:
    def __init__(self, seed, tally):
        self.rng = random.Random(seed)
        self.tally = tally
        self.case = make_case(seed, 30)
        self.more = make_case(seed + 1_000_000, 1)
        self.events = self.case.data.events + self.more.data.events
        self.documents = [event.data for event in self.events] + list(self.case.data.profiles.values())
        self.customers = sorted({event.customer for event in self.events} | set(self.case.data.profiles))
        self.types = sorted({event.type for event in self.events})
        self.as_ofs = [as_of for _, as_of in self.case.checks]
        self.log = []
        self.prepared = 0
        self.in_transaction = False
        # TRUNCATE is not for snapshots that are older, in PostgreSQL itself: they see neither the rows nor, in plain
        # SQL, that they were there.
        self.truncated = False

    # What a step may write -------------------------------------------------------------------------------------------

    def insert(self):
        events = self.rng.choices(self.events, k=self.rng.choice((1, 1, 3, 12)))
        rows = ", ".join(
            f"({literal(e.customer)}, {literal(e.type)}, {literal(utc_text(e.at))}, {jsonb(e.data)})" for e in events
        )
        return f"INSERT INTO cohort_event (customer_id, event_type, occurred_at, data) VALUES {rows};"

    def copy(self):
        lines = ["COPY cohort_event (customer_id, event_type, occurred_at, data) FROM STDIN;"]
        for event in self.rng.choices(self.events, k=self.rng.choice((5, 40))):
            fields = (event.customer, event.type, utc_text(event.at), dumps(event.data))
            lines.append("\t".join(map(copy_field, fields)))
        return "\n".join([*lines, "\\."])

    def some_events(self):
        return self.rng.choice(
            (
                f"event_id % 7 = {self.rng.randrange(7)}",
                f"customer_id = {literal(self.rng.choice(self.customers))}",
                f"event_type = {literal(self.rng.choice(self.types))} AND event_id % 3 = 0",
                "event_id = (SELECT max(event_id) FROM cohort_event)",
                f"event_id IN (SELECT event_id FROM cohort_event ORDER BY event_id LIMIT {self.rng.randrange(1, 9)})",
            )
        )

    def update(self):
        change = self.rng.choice(
            (
                lambda: f"data = {jsonb(self.rng.choice(self.documents))}",
                lambda: f"event_type = {literal(self.rng.choice(self.types))}",
                lambda: f"customer_id = {literal(self.rng.choice(self.customers))}",
                lambda: f"occurred_at = {literal(utc_text(self.rng.choice(self.events).at))}",
                lambda: "data = data",
            )
        )()
        return f"UPDATE cohort_event SET {change} WHERE {self.some_events()};"

    def delete(self):
        return f"DELETE FROM cohort_event WHERE {self.some_events()};"

    def replace(self):
        """An event that is deleted and comes again under its id."""
        return (
            "WITH gone AS (DELETE FROM cohort_event WHERE event_id = (SELECT min(event_id) FROM cohort_event) RETURNING *) "
            "SELECT event_id AS again, customer_id AS who, event_type AS what FROM gone \\gset\n"
            "\\if :{?again}\n"
            "INSERT INTO cohort_event (event_id, customer_id, event_type) VALUES (:again, :'who', :'what');\n\\endif\n"
            "\\unset again"
        )

    def profile(self):
        customer, document = literal(self.rng.choice(self.customers)), jsonb(self.rng.choice(self.documents))
        other = literal(self.rng.choice(self.customers))
        return self.rng.choice(
            (
                f"INSERT INTO cohort_customer (customer_id, profile) VALUES ({customer}, {document}) "
                "ON CONFLICT (customer_id) DO UPDATE SET profile = excluded.profile;",
                f"INSERT INTO cohort_customer (customer_id, profile) VALUES ({customer}, {document}) ON CONFLICT DO NOTHING;",
                f"UPDATE cohort_customer SET profile = {document} WHERE customer_id = {customer};",
                f"DELETE FROM cohort_customer WHERE customer_id = {customer};",
                f"UPDATE cohort_customer SET customer_id = {other} WHERE customer_id = {customer} "
                f"AND NOT EXISTS (SELECT FROM cohort_customer WHERE customer_id = {other});",
                f"DELETE FROM cohort_customer WHERE customer_id = {customer};\n"
                f"INSERT INTO cohort_customer (customer_id, profile) VALUES ({customer}, {document});",
            )
        )

    def forget(self):
        return f"SELECT cohort_forget({literal(self.rng.choice(self.customers))}) \\g /dev/null"

    def truncate(self):
        self.truncated = True
        return self.rng.choice(("TRUNCATE cohort_event;", "TRUNCATE cohort_customer;", "TRUNCATE cohort_event, cohort_customer;"))

    def write(self):
        kinds = [self.insert] * 4 + [self.copy] * 3 + [self.update] * 4 + [self.delete] * 2 + [self.replace]
        kinds += [self.profile] * 4 + [self.forget]
        # Not where it would lock everyone out until a prepared transaction ends.
        if self.rng.random() < 0.04 and not self.in_transaction:
            kinds = [self.truncate]
        kind = self.rng.choice(kinds)
        self.tally[kind.__name__] += 1
        return kind()

    def seal(self):
        kind = "cohort_reindex" if self.rng.random() < 0.08 else "cohort_seal"
        self.tally[kind] += 1
        return f"SELECT {kind}() \\g /dev/null"

    # Questions -------------------------------------------------------------------------------------------------------

    def questions(self, count):
        """Pairs of queries that must answer alike: one by the index, one by plain SQL."""
        found = []
        for _ in range(count):
            rule, as_of = self.rng.choice(self.case.checks)
            if self.rng.random() < 0.3:
                as_of = self.rng.choice(self.as_ofs)
            at = literal(utc_text(as_of)) + "::timestamptz"
            text = jsonb(rule)
            ids = "coalesce(json_agg(x ORDER BY x COLLATE \"C\"), '[]')"
            kind = self.rng.random()
            if kind < 0.75:
                query = f"SELECT {ids} FROM cohort_evaluate({text}, {at}) AS x;"
            elif kind < 0.83:
                query = f"SELECT row_to_json(p) FROM cohort_preview({text}, 3, {at}) p;"
            elif kind < 0.9:
                query = f"SELECT json_agg(json_build_array(path, customers, events)) FROM cohort_explain({text}, {at});"
            elif self.case.cohorts and kind < 0.93:
                names = self.rng.sample(sorted(self.case.cohorts), min(3, len(self.case.cohorts)))
                names = "ARRAY[" + ", ".join(map(literal, names)) + "]"
                query = f"SELECT json_agg(o ORDER BY o.cohorts) FROM cohort_overlap({names}, {at}) o;"
            elif self.case.cohorts:
                name = literal(self.rng.choice(sorted(self.case.cohorts)))
                people = "ARRAY[" + ", ".join(map(literal, [*self.customers[:15], "nobody"])) + "]"
                query = (
                    f"SELECT json_build_array(cohort_count({name}, {at}), "
                    f"(SELECT json_agg(cohort_contains({name}, x, {at})) FROM unnest({people}) AS x));"
                )
            else:
                query = f"SELECT {ids} FROM cohort_evaluate({text}, {at}) AS x;"
            found.append(query)
        return found

    def ask(self, session, count):
        queries = self.questions(count)
        labelled = []
        for place, query in enumerate(queries):
            labelled.append((f"index {place}", f"SET kursaha_cohort.engine = bitmap;\n{query}"))
            labelled.append((f"sql {place}", f"SET kursaha_cohort.engine = sql;\n{query}"))
        answers = session.ask("", labelled, "SET kursaha_cohort.engine = bitmap;")
        for place, query in enumerate(queries):
            index, sql = answers[f"index {place}"], answers[f"sql {place}"]
            failed = isinstance(index, Failure) or isinstance(sql, Failure)
            if failed and str(index).startswith(EXPECTED) and (str(sql)[:5] == str(index)[:5] or index.startswith(("55P03", "40001"))):
                continue  # the index looks at both tables, plain SQL may need one, and that one is not locked
            self.tally["triples"] += 1
            if failed or index != sql:
                self.report(f"by the index: {index!r}\nby plain SQL: {sql!r}\n{query}")
        return answers

    def do(self, name, session, script):
        self.log.append(f"-- {name}\n{script}")
        answers = session.ask(script, [], "")
        problem = answers["before"]
        if isinstance(problem, Failure) and not problem.startswith(EXPECTED):
            self.report(f"{name}: {problem}")

    def report(self, what):
        path = Path("history-failure.sql")
        path.write_text("\n".join(self.log) + "\n", encoding="utf-8")
        raise SystemExit(f"{what}\nThe history up to here is in {path.resolve()}")

    def check(self, session):
        self.tally["check"] += 1
        answers = session.ask("", [("check", "SELECT place || ': ' || problem FROM cohort_check();")])
        found = answers["check"]
        if found and not (isinstance(found, Failure) and found.startswith(EXPECTED)):
            self.report(f"cohort_check: {answers['check']!r}")

    # The history -----------------------------------------------------------------------------------------------------

    def settings(self):
        rng = self.rng
        return (
            f"SET kursaha_cohort.seal_batch = {rng.choice((1, 7, 30, 1000))};\n"
            f"SET kursaha_cohort.segment_rows = {rng.choice((20, 100, 5000))};\n"
            f"SET kursaha_cohort.max_indexed_paths = {rng.choice((1, 2, 4, 256))};\n"
            "SET lock_timeout = '100ms';"
        )

    def begin(self):
        return f"BEGIN ISOLATION LEVEL {self.rng.choice(('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'))};"

    def transaction(self, a):
        """A transaction that asks about what it wrote itself."""
        rng = self.rng
        self.do("a", a, self.begin())
        end = rng.choice(("COMMIT;", "COMMIT;", "ROLLBACK;", "PREPARE"))
        self.in_transaction = end == "PREPARE"
        for _ in range(rng.randrange(1, 4)):
            self.do("a", a, self.write())
            if rng.random() < 0.4:
                self.do("a", a, f"SAVEPOINT s;\n{self.write()}")
                self.ask(a, 1)
                self.do("a", a, rng.choice(("ROLLBACK TO s;", "RELEASE s;")))
            if rng.random() < 0.25:
                self.do("a", a, self.seal())
            self.ask(a, 2)
        self.in_transaction = False
        if end == "PREPARE":
            self.prepared += 1
            end = f"PREPARE TRANSACTION 'history {self.prepared}';"
            self.tally["prepare"] += 1
        self.do("a", a, end)
        self.ask(a, 1)

    def finish_prepared(self, a):
        if self.prepared:
            word = self.rng.choice(("COMMIT", "ROLLBACK"))
            self.do("a", a, f"{word} PREPARED 'history {self.prepared}';")
            self.prepared -= 1
            self.ask(a, 1)

    def run(self, a, b, c, triples):
        rng, tally = self.rng, self.tally
        for name, session in (("a", a), ("b", b), ("c", c)):
            self.do(name, session, "ROLLBACK;\n" + self.settings())
        self.do("a", a, CLEAN)
        saves = []
        for name, cohort in self.case.cohorts.items():
            if isinstance(cohort, dict):
                saves.append(f"SELECT cohort_create({literal(name)}, {jsonb(cohort)}) \\g /dev/null")
            else:
                ids = "ARRAY[" + ", ".join(map(literal, cohort)) + "]::text[]"
                saves.append(f"SELECT cohort_import({literal(name)}, {ids}) \\g /dev/null")
        self.do("a", a, "\n".join(saves))
        self.do("a", a, "\n".join(self.copy() for _ in range(3)))
        until = tally["triples"] + triples
        other, old = False, False
        while tally["triples"] < until:
            step = rng.random()
            if step < 0.35:
                self.do("a", a, self.write())
            elif step < 0.6:
                self.do("a", a, self.seal())
            elif step < 0.72:
                self.transaction(a)
            elif step < 0.76:
                self.finish_prepared(a)
            elif step < 0.9:
                # The second session's transaction stays open over what the others do.
                tally["second session"] += 1
                self.in_transaction = True
                if not other:
                    self.do("b", b, f"{self.begin()}\n{self.write()}")
                else:
                    self.do("b", b, rng.choice((self.write(), "COMMIT;", "COMMIT;", "ROLLBACK;")))
                self.in_transaction = False
                answers = b.ask("", [("open", "SELECT pg_current_xact_id_if_assigned() IS NOT NULL AND now() <> statement_timestamp();")])
                other = answers["open"] == ["t"]
                self.ask(b, 1)
                if isinstance(answers["open"], Failure):
                    self.do("b", b, "ROLLBACK;")
                    other = False
            else:
                # A snapshot that gets older while others seal and merge.
                tally["old snapshot"] += 1
                if not old:
                    self.do("c", c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
                    self.truncated = False
                    self.ask(c, 1)
                    old = True
                elif rng.random() < 0.5:
                    self.do("c", c, "COMMIT;")
                    old = False
            if old and not self.truncated:
                self.ask(c, 1)
            self.ask(a, 2)
            if rng.random() < 0.06:
                self.check(a)
        for name, session in (("b", b), ("c", c)):
            self.do(name, session, "ROLLBACK;")
        while self.prepared:
            self.finish_prepared(a)
        self.ask(a, 3)
        self.check(a)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=60, help="triples of one case")
    parser.add_argument("--forever", action="store_true", help="go on until something is wrong")
    args = parser.parse_args()
    sessions = [Psql() for _ in range(3)]
    tally, started, seed = Counter(), time.monotonic(), args.seed
    try:
        while args.forever or tally["triples"] < args.triples:
            history = History(seed, tally)
            try:
                history.run(*sessions, args.each)
            except SystemExit as failure:
                raise SystemExit(f"seed {seed}: {failure}") from None
            seed += 1
            if (seed - args.seed) % 10 == 0:
                print(f"{seed - args.seed} histories, {tally['triples']} triples, {time.monotonic() - started:.0f} s", flush=True)
    except KeyboardInterrupt:
        pass
    print(json.dumps(dict(sorted(tally.items()))))
    print(f"{tally['triples']} triples of rule, data and history agree; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
