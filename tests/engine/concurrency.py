"""Writers, a sealer and readers at once, with an invariant that one lost or doubled event breaks.

Usage: concurrency.py [--seconds N] [--standby HOST]

Every transaction writes a customer's events in pairs: inserts two, deletes two, moves two to another customer, changes
two; some are rolled back, some are rolled back to a savepoint in between. So nobody ever has an odd number of events, in
any snapshot of any isolation level, nor within a writer's own transaction: the rule that counts odd numbers must stay
empty. Readers also hold the index against plain SQL in one snapshot. With --standby the readers ask that server.
"""

import argparse
import json
import random
import subprocess
import sys
import threading
import time

CUSTOMERS = 40
MOST = 401
ODD = json.dumps(
    {"or": [{"did": "*", "count": {"eq": number}} for number in range(1, MOST, 2)]}
)
# A rule of many kinds of conditions, for the comparison with plain SQL.
MIXED = json.dumps(
    {
        "or": [
            {"did": "view", "count": {"gte": 6}, "where": {"property": "price", "operator": "gt", "value": 50}},
            {"did": "cart", "aggregate": {"fn": "sum", "property": "price", "gt": 300}},
            {"and": [{"did_not": "cart"}, {"profile": "city", "operator": "eq", "value": "pune"}]},
            {"sequence": [{"did": "view", "as": "v"}, {"did": "cart", "where": {"property": "price", "operator": "eq", "ref": "v.price"}}]},
        ]
    }
)
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
RETRIED = ("40001", "40P01", "23505")


class Psql:
    """One session. Answers are lists of lines; an error is raised with its SQLSTATE first."""

    def __init__(self, host=None):
        command = ["psql", "-qXAt", "-v", "VERBOSITY=sqlstate"] + (["-h", host] if host else [])
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __call__(self, sql):
        self.process.stdin.write(sql + "\n\\echo @@\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) != "@@\n":
            if not line:
                raise SystemExit("psql ended: did the server survive?")
            lines.append(line.rstrip("\n"))
        errors = [line for line in lines if line.startswith(("ERROR:", "FATAL:"))]
        if errors:
            raise Failed(errors[0].split(":", 1)[1].strip())
        return lines


class Failed(Exception):
    pass


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {}
        self.problems = []

    def add(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def wrong(self, what):
        with self.lock:
            self.problems.append(what)


def pair(rng):
    """One statement that keeps every customer's number of events even.

    The rows are chosen once, as an array: the server evaluates a subquery again for a row that was changed meanwhile.
    """
    who, other = (f"c{rng.randrange(CUSTOMERS)}" for _ in range(2))
    event = rng.choice(("view", "cart", "buy"))
    two = f"(ARRAY(SELECT event_id FROM cohort_event WHERE customer_id = '{who}' ORDER BY {rng.choice(('event_id', 'event_id DESC', 'random()'))} LIMIT 2 FOR UPDATE))"
    data = json.dumps({"price": rng.randrange(1, 100), "brand": f"b{rng.randrange(5)}"})
    kind = rng.random()
    if kind < 0.5:
        return f"INSERT INTO cohort_event (customer_id, event_type, data) SELECT '{who}', '{event}', '{data}' FROM generate_series(1, 2);"
    if kind < 0.65:
        return f"DELETE FROM cohort_event WHERE event_id = ANY {two};"
    if kind < 0.8:
        return f"UPDATE cohort_event SET customer_id = '{other}' WHERE event_id = ANY {two};"
    if kind < 0.95:
        return f"UPDATE cohort_event SET event_type = '{event}', data = '{data}' WHERE event_id = ANY {two};"
    return (
        f"INSERT INTO cohort_customer (customer_id, profile) VALUES ('{who}', '{{\"city\": \"pune\"}}') "
        "ON CONFLICT (customer_id) DO UPDATE SET profile = jsonb_build_object('city', md5(random()::text));"
    )


def writer(number, until, tally):
    rng, session = random.Random(number), Psql()
    while time.monotonic() < until and not tally.problems:
        try:
            session(f"BEGIN ISOLATION LEVEL {rng.choice(LEVELS)};")
            for _ in range(rng.randrange(1, 4)):
                session(pair(rng))
                if rng.random() < 0.3:
                    session(f"SAVEPOINT s; {pair(rng)}")
                    session(rng.choice(("ROLLBACK TO s;", "RELEASE s;")))
                if rng.random() < 0.2:
                    check_odd(session, tally, "within a writer's transaction")
            session("COMMIT;" if rng.random() < 0.8 else "ROLLBACK;")
            tally.add("writes")
        except Failed as failure:
            session("ROLLBACK;")
            if not str(failure).startswith(RETRIED):
                tally.wrong(f"writer: {failure}")
            tally.add("retries")


def check_odd(session, tally, where):
    found = session(f"SELECT count(*) FROM cohort_evaluate('{ODD}', '2100-01-01');")
    if found != ["0"]:
        tally.wrong(f"{where}: {found} customers have an odd number of events")
    tally.add("odd asked")


def sealer(until, tally):
    rng, session = random.Random("sealer"), Psql()
    session("SET kursaha_cohort.seal_batch = 50; SET kursaha_cohort.segment_rows = 400;")
    while time.monotonic() < until and not tally.problems:
        try:
            kind = "cohort_reindex" if rng.random() < 0.02 else "cohort_seal"
            session(f"SELECT * FROM {kind}();")
            tally.add(kind)
            if rng.random() < 0.05:
                found = session("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT place, problem FROM cohort_check(); COMMIT;")
                if found:
                    tally.wrong(f"cohort_check: {found}")
                tally.add("cohort_check")
            time.sleep(rng.random() * 0.05)
        except Failed as failure:
            session("ROLLBACK;")
            if not str(failure).startswith(RETRIED):
                tally.wrong(f"sealer: {failure}")


def reader(number, until, tally, host):
    rng, session = random.Random(f"reader {number}"), Psql(host)
    levels = LEVELS[:2] if host else LEVELS
    while time.monotonic() < until and not tally.problems:
        level = rng.choice(levels)
        try:
            session(f"BEGIN ISOLATION LEVEL {level} READ ONLY;")
            check_odd(session, tally, f"{level}{' on the standby' if host else ''}")
            if level != "READ COMMITTED":
                answers = []
                for engine in ("bitmap", "sql"):
                    ask = f"SELECT json_agg(x ORDER BY x) FROM cohort_evaluate('{MIXED}', '2100-01-01') AS x;"
                    answers.append(session(f"SET LOCAL kursaha_cohort.engine = {engine}; {ask}"))
                if answers[0] != answers[1]:
                    tally.wrong(f"{level}: by the index {answers[0]}, by plain SQL {answers[1]}")
                tally.add("compared")
            session("COMMIT;")
        except Failed as failure:
            session("ROLLBACK;")
            if not str(failure).startswith(RETRIED):
                tally.wrong(f"reader: {failure}")
            tally.add("retries")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--standby", help="the socket directory of a streaming standby, which the readers ask")
    args = parser.parse_args()
    tally, until = Tally(), time.monotonic() + args.seconds
    threads = [threading.Thread(target=writer, args=(number, until, tally)) for number in range(3)]
    threads.append(threading.Thread(target=sealer, args=(until, tally)))
    threads += [threading.Thread(target=reader, args=(number, until, tally, args.standby)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(tally.counts))
    session = Psql()
    check_odd(session, tally, "at the end")
    for line in session("SELECT place, problem FROM cohort_check();"):
        tally.wrong(f"cohort_check at the end: {line}")
    if tally.problems:
        sys.exit("\n".join(map(str, tally.problems[:5])))
    if min(tally.counts.get(what, 0) for what in ("writes", "odd asked", "compared", "cohort_seal")) < 10:
        sys.exit("too little was done to show anything")


if __name__ == "__main__":
    main()
