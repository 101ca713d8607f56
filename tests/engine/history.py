"""Random histories: after every step random rules must give the same members by the index and by plain SQL.

Usage: history.py [--triples N] [--seed S] [--forever] [--replay FILE]

A history begins with an empty database and a random data set (tests/model makes it, hostile on purpose) that comes in
step by step: inserts, COPY, updates, deletes, TRUNCATE, profiles, sealing with tiny segments, reindexing, transactions
that are rolled back, kept open or prepared. Session a does most of it; b has transactions of its own that stay open
meanwhile; c has snapshots and cursors that get older. A triple is one rule, asked both ways in one snapshot, in one state
of the data, after one history. The server is the one psql finds through PG*; it needs max_prepared_transactions, and the
database is the test's own: the extension in it is dropped and created again.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "model"))

from check_zones import utc_text  # noqa: E402
from generate import Case, Pools, make_cohorts, make_data  # noqa: E402
from generate_rules import RuleMaker  # noqa: E402
from generate_tables import table_script  # noqa: E402
from model import Data, Event  # noqa: E402
from psql_session import Failure, Lost, literal  # noqa: E402
from question import Question, array, jsonb  # noqa: E402
from replay import SESSIONS, Server, Step, Wrong, replay, script, shrink  # noqa: E402
from values import is_number, loads  # noqa: E402
from writes import ALWAYS, WAITS, Change, Writer  # noqa: E402

RULES = 24
DATA = """SELECT json_build_object('events', (SELECT json_agg(json_build_array(event_id, customer_id, event_type,
    (extract(epoch FROM occurred_at) * 1000000)::bigint, data) ORDER BY event_id)
    FROM (SELECT * FROM cohort_event ORDER BY md5(event_id::text) LIMIT 300) e),
    'profiles', (SELECT json_object_agg(customer_id, profile) FROM cohort_customer));"""
# Not there, when a shorter history has left out what made it, or a transaction failed before.
MISSING = (*ALWAYS, "42704", "3B001", "25P01")


class History:
    def __init__(self, seed, server, tally):
        self.rng = random.Random(f"history {seed}")
        self.server, self.tally = server, tally
        self.steps = []
        self.group = 0
        self.open = dict.fromkeys(SESSIONS, False)
        self.cursors = {name: {} for name in SESSIONS}
        self.prepared = []
        self.made = 0
        self.pools = Pools(self.rng)
        self.case = Case(make_data(self.pools))
        make_cohorts(self.pools, self.case)
        self.writer = Writer(self.pools, self.case)
        self.rules = [self.new_rule() for _ in range(RULES)]

    # Taking steps ----------------------------------------------------------------------------------------------------

    def take(self, session, what):
        step = Step(session, what, self.group)
        self.steps.append(step)
        return self.server.run(step)

    def do(self, session, kind, text, expects=MISSING):
        self.take(session, Change(kind, text, expects=expects))

    def change(self, session, change):
        self.tally[change.kind] += 1
        self.take(session, change)

    def ends(self, session):
        self.open[session] = False
        self.cursors[session] = {}

    def roll_back(self, session):
        if self.open[session]:
            self.do(session, "end", "ROLLBACK")
            self.ends(session)

    def seal(self, session):
        name = "cohort_reindex" if self.rng.random() < 0.06 else "cohort_seal"
        text = f"SELECT json_build_array(events, profiles, removed, segments) FROM {name}()"
        answers, _, _ = self.take(session, Change(name, text, expects=WAITS))
        if isinstance(answers["change"], Failure):
            self.tally[f"{name} refused"] += 1
            return
        events, profiles, removed, segments = json.loads(answers["change"][0])
        self.tally[name] += 1
        self.tally["sealed rows"] += events + profiles
        self.tally["sealed removals"] += removed
        self.tally["most segments"] = max(self.tally["most segments"], segments)

    def settings(self, session):
        rng = self.rng
        return (
            f"SET kursaha_cohort.seal_batch = {rng.choice((1, 7, 30, 1000))};\n"
            f"SET kursaha_cohort.segment_rows = {rng.choice((1, 20, 100, 1000, 5000))};\n"
            f"SET kursaha_cohort.segment_size = '{rng.choice(('64kB', '100kB', '1GB'))}';\n"
            f"SET kursaha_cohort.max_indexed_paths = {rng.choice((1, 2, 4, 256, 256))};\n"
            f"SET kursaha_cohort.eval_memory = '{rng.choice(('64kB', '256MB'))}';\n"
            "SET lock_timeout = '100ms';\nSET statement_timeout = '8s';\n"
            # on: psql lays a savepoint before each statement, and an error leaves the transaction usable.
            f"\\set ON_ERROR_ROLLBACK {rng.choice(('on', 'off'))}\nSELECT 1 \\g /dev/null"
        )

    # Rules and questions ---------------------------------------------------------------------------------------------

    def new_rule(self):
        rule = RuleMaker(self.pools, self.case, self.rng.choice(self.pools.as_ofs)).rule()
        self.true_counts(rule)
        return rule

    def true_counts(self, part):
        """Half of the counts become such as some customer really has, which may be far beyond the model's small ones."""
        if isinstance(part, list):
            for item in part:
                self.true_counts(item)
        if not isinstance(part, dict):
            return
        for key, value in part.items():
            if key == "count" and self.rng.random() < 0.5 and any(map(is_number, value.values())):
                types = part.get("did", part.get("did_not"))
                types = types if isinstance(types, list) else [types]
                counts = Counter(e.customer for e in self.case.data.events if "*" in types or e.type in types)
                real = self.rng.choice(sorted(counts.values()) or [0]) + self.rng.choice((0, 0, 0, 1, -1))
                # Beside `per` a count that nothing but 0 satisfies is an error.
                part["count"] = {next(iter(value)): max(2 if "per" in part else 0, real)}
            elif key not in ("where", "value"):
                self.true_counts(value)

    def look_at_data(self):
        """Rules that come are about what is there now."""
        answer = self.server.sessions["a"].ask("", [("data", DATA)])["data"]
        if isinstance(answer, Failure):
            return
        found = loads(answer[0])
        events = [Event(int(key), who, what, int(at), data) for key, who, what, at, data in found["events"] or []]
        self.case.data = Data(events, found["profiles"] or {}, self.case.data.tables)

    def as_of(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.15:
            return "NULL"
        if kind < 0.2:
            return rng.choice(("now() + interval '10 years'", "now() - interval '1 day'", "timestamptz '2100-01-01 00:00Z'"))
        return literal(utc_text(rng.choice(self.pools.as_ofs) if kind < 0.7 else self.pools.instant()))

    def question(self, session):
        rng = self.rng
        names = sorted(self.case.cohorts)
        kind = rng.choices(
            ("evaluate", "preview", "explain", "run", "count", "contains", "overlap"), (70, 8, 7, 4, 3, 5, 3)
        )[0]
        forms, weights = ("two", "one", "with", "after"), (60, 30, 4, 4)
        as_of = self.as_of()
        form = rng.choices(forms, weights)[0]
        if form == "two" and "2100" not in as_of and not as_of.startswith("'"):
            form = "one"  # now() is the same for both only within one statement
        change = self.writer.plain_change() if form in ("with", "after") else None
        if kind == "overlap":
            chosen = tuple(rng.sample(names, rng.randint(1, min(3, len(names)))))
            return Question(kind, names=chosen, as_of=as_of, form=form, change=change)
        if kind in ("run", "count", "contains"):
            ids = tuple(rng.sample(self.writer.customers, min(8, len(self.writer.customers)))) + ("nobody",)
            return Question(kind, names=(rng.choice(names),), ids=ids, as_of=as_of, form=form, change=change)
        return Question(kind, rule=rng.choice(self.rules), as_of=as_of, form=form, change=change)

    def ask(self, session, count):
        for _ in range(count):
            self.put(session, self.question(session))

    def put(self, session, question):
        answers, answered, answer = self.take(session, question)
        if not answered:
            failures = [str(found)[:5] for found in answers.values() if isinstance(found, Failure)]
            self.tally["unanswered " + " ".join(failures[:1])] += 1
            # In a transaction that has failed nothing more is answered.
            if any(found in ("25P02", "40001") for found in failures):
                self.roll_back(session)
            return None
        self.tally["triples"] += 1
        self.tally[f"by {question.kind}, {question.form}"] += 1
        if question.kind == "evaluate":
            nobody = json.loads(answer) == []
            self.tally["nobody" if nobody else "somebody"] += 1
            if question.rule in self.rules and self.rng.random() < (0.6 if nobody else 0.1):
                self.rules[self.rules.index(question.rule)] = self.new_rule()
        return answer

    def declare(self, session):
        """A cursor is asked now, and answers later as of now."""
        self.made += 1
        question = replace(self.question(session), form="declare", cursor=f"cursor_{self.made}")
        answer = self.put(session, question)
        if answer is not None:
            self.cursors[session][question.cursor] = (question, answer)

    def fetch(self, session):
        name, (question, expected) = self.cursors[session].popitem()
        answer = self.put(session, replace(question, form="fetch"))
        if answer is not None and answer != expected:
            raise Wrong(f"the cursor {name} answers {answer}, when it was declared the answer was {expected}")

    def check(self, session):
        self.tally["cohort_check"] += 1
        self.take(session, Question("check"))

    # The history -----------------------------------------------------------------------------------------------------

    def begin(self, session, levels=("READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")):
        self.do(session, "begin", f"BEGIN ISOLATION LEVEL {self.rng.choice(levels)}")
        self.open[session] = True

    def truncate(self):
        """Older snapshots than a TRUNCATE are none of PostgreSQL's promises, so there are none."""
        for session in ("b", "c"):
            self.roll_back(session)
        inside = self.rng.random() < 0.3
        if inside:
            self.begin("a")
        self.change("a", self.writer.truncate())
        self.ask("a", 1)
        if inside:
            self.change("a", self.writer.insert())
            self.ask("a", 1)
            self.do("a", "end", self.rng.choice(("COMMIT", "ROLLBACK")))
            self.ends("a")

    def transaction(self, session):
        """A transaction that asks about what it wrote itself."""
        rng = self.rng
        self.begin(session)
        for _ in range(rng.randrange(1, 4)):
            self.change(session, self.writer.change())
            if rng.random() < 0.4:
                self.do(session, "savepoint", "SAVEPOINT s")
                self.change(session, self.writer.change())
                self.ask(session, 1)
                if rng.random() < 0.2:
                    self.seal(session)
                    self.ask(session, 1)
                if self.open[session]:
                    self.do(session, "savepoint", rng.choice(("ROLLBACK TO s", "ROLLBACK TO s", "RELEASE s")))
            if rng.random() < 0.2:
                self.seal(session)
            self.ask(session, 2)
            if not self.open[session]:
                return
        end = rng.choice(("COMMIT", "COMMIT", "ROLLBACK", "PREPARE"))
        if end == "PREPARE" and len(self.prepared) < 2:
            self.made += 1
            self.prepared.append(f"history {self.made}")
            self.tally["prepared"] += 1
            self.do(session, "prepare", f"PREPARE TRANSACTION '{self.prepared[-1]}'")
        else:
            self.do(session, "end", end.replace("PREPARE", "COMMIT"))
        self.ends(session)
        self.ask(session, 1)

    def finish_prepared(self):
        if self.prepared:
            name = self.prepared.pop(self.rng.randrange(len(self.prepared)))
            self.do("a", "prepared", f"{self.rng.choice(('COMMIT', 'COMMIT', 'ROLLBACK'))} PREPARED '{name}'")
            self.ask("a", 1)

    def other_session(self):
        """The second session's transaction stays open over what the others do."""
        rng = self.rng
        if not self.open["b"]:
            self.begin("b")
            self.change("b", self.writer.change())
        elif rng.random() < 0.4:
            self.change("b", self.writer.change())
        elif rng.random() < 0.2:
            self.seal("b")
        elif rng.random() < 0.2:
            self.declare("b")
        elif self.cursors["b"]:
            self.fetch("b")
        else:
            self.do("b", "end", rng.choice(("COMMIT", "COMMIT", "ROLLBACK")))
            self.ends("b")
        self.ask("b", 1)

    def old_snapshot(self):
        """A snapshot that gets older while others seal and merge."""
        rng = self.rng
        if not self.open["c"]:
            self.begin("c", ("REPEATABLE READ READ ONLY", "SERIALIZABLE READ ONLY", "READ COMMITTED", "REPEATABLE READ"))
            self.declare("c")
        elif rng.random() < 0.3:
            self.do("c", "end", "COMMIT")
            self.ends("c")
        elif self.cursors["c"] and rng.random() < 0.6:
            self.fetch("c")
        else:
            self.declare("c")
        self.ask("c", 1)

    def start(self):
        for session in SESSIONS:
            self.do(session, "settings", self.settings(session))
        if self.case.data.tables:
            self.do("a", "tables", table_script(self.case.data.tables))
        for name, cohort in self.case.cohorts.items():
            saved = f"create({literal(name)}, {jsonb(cohort)})"
            if isinstance(cohort, list):
                saved = f"import({literal(name)}, {array(cohort)})"
            self.do("a", "cohort", f"SELECT cohort_{saved} \\g /dev/null")
        for _ in range(self.rng.randrange(4)):
            self.change("a", self.writer.copy())

    def step(self):
        rng = self.rng
        self.group += 1
        kind = rng.random()
        if kind < 0.32:
            if not self.open["a"]:
                self.change("a", self.writer.change())
        elif kind < 0.57:
            self.seal("a")
        elif kind < 0.67:
            self.transaction("a")
        elif kind < 0.71:
            self.finish_prepared()
        elif kind < 0.83:
            self.other_session()
        elif kind < 0.94:
            self.old_snapshot()
        elif kind < 0.95:
            self.do("a", "settings", self.settings("a"))
        elif kind < 0.96:
            self.put("a", Question("refresh", names=(rng.choice(sorted(self.case.cohorts)),)))
        elif kind < 0.97 and not self.prepared:
            self.truncate()
        elif kind < 0.985:
            self.look_at_data()
        self.group += 1
        self.ask("a", 2)
        if self.open["c"]:
            self.ask("c", 1)
        if rng.random() < 0.06:
            self.check(rng.choice(SESSIONS))

    def run(self, triples):
        self.server.fresh()
        until = self.tally["triples"] + triples
        self.start()
        while self.tally["triples"] < until:
            self.step()
        self.group += 1
        while self.prepared:
            self.finish_prepared()
        for session in SESSIONS:
            self.roll_back(session)
        for _ in range(2):
            self.ask("a", 3)
            self.check("a")
            self.seal("a")


def report(seed, history, wrong):
    last = history.steps.pop()
    print(f"\nseed {seed}, step {len(history.steps)}, session {last.session}: {wrong.what}", flush=True)
    for _, text in last.statements():
        print(text)
    history.server.close()
    found = shrink(history.steps, last, lambda what: print(what, flush=True))
    if found:
        print(f"\nThe shortest history found: {found[2]}\nFor history.py --replay FILE:\n\n{script(*found[:2])}")
    else:
        path = Path(tempfile.gettempdir()) / f"history-{seed}.sql"
        path.write_text(script(history.steps, last), encoding="utf-8")
        print(f"\nIt does not go wrong on a new database. The whole history, for history.py --replay: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=3000, help="how many to compare")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first history; the next ones follow")
    parser.add_argument("--forever", action="store_true", help="go on until something is wrong")
    parser.add_argument("--replay", metavar="FILE", help="run a history that a failure printed")
    args = parser.parse_args()
    if args.replay:
        return replay(args.replay)
    server, tally, started, seed = Server(), Counter(), time.monotonic(), args.seed
    told = started
    while args.forever or tally["triples"] < args.triples:
        history = History(seed, server, tally)
        try:
            history.run(history.rng.choice((40, 80, 80, 200)))
        except (Wrong, Lost) as wrong:
            report(seed, history, wrong if isinstance(wrong, Wrong) else Wrong(str(wrong)))
            return 1
        except KeyboardInterrupt:
            break
        seed += 1
        if time.monotonic() - told > 30:
            told = time.monotonic()
            print(f"{seed - args.seed} histories, {tally['triples']} triples, {told - started:.0f} s", flush=True)
    print(", ".join(f"{name} {count}" for name, count in sorted(tally.items())))
    print(
        f"{seed - args.seed} histories, {tally['triples']} triples of rule, data and history compared, 0 differ; "
        f"{time.monotonic() - started:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
