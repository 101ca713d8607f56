"""Moves a server of its own through the round of transaction ids: over the middle, over the end, to another epoch.

At each place rows are written, changed, removed, sealed and merged, inside savepoints too, and what the index says is
compared with plain SQL. `pg_resetwal` moves the server; what lies behind is frozen first, as its own page asks.
"""

import os
import pwd
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "xids"
# Pages of pg_xact: 32,768 transactions a page, 32 pages a file.
OF_FILE = 1 << 20

RULES = [
    '{"did": "view"}',
    '{"did_not": "cart"}',
    '{"did": "*", "aggregate": {"fn": "sum", "property": "price", "gt": 60}}',
    '{"profile": "level", "operator": "gte", "value": 5}',
    '{"sequence": [{"did": "view"}, {"did": "buy"}]}',
]

REFUSED = """
BEGIN
    PERFORM cohort_evaluate('{"did": "view"}');
    RAISE EXCEPTION 'answered by an index from the future';
EXCEPTION WHEN index_corrupted THEN NULL;
END"""

WORK = """
INSERT INTO cohort_event (customer_id, event_type, data)
SELECT 'c' || i % 97, (ARRAY['view', 'cart', 'buy'])[1 + i % 3], jsonb_build_object('price', i % 50, 'at', '{at}')
FROM generate_series(1, 600) i;
INSERT INTO cohort_customer (customer_id, profile) SELECT 'c' || i, jsonb_build_object('level', i % 10)
FROM generate_series(1, 90) i ON CONFLICT (customer_id) DO UPDATE SET profile = excluded.profile;
SELECT cohort_seal();
BEGIN;
UPDATE cohort_event SET data = data || '{{"price": 3}}' WHERE event_id % 7 = 0;
SAVEPOINT s;
DELETE FROM cohort_event WHERE event_id % 11 = 0;
ROLLBACK TO s;
DELETE FROM cohort_event WHERE event_id % 13 = 0;
COMMIT;
DELETE FROM cohort_customer WHERE customer_id = 'c3';
SELECT cohort_seal();
BEGIN;
SAVEPOINT s;
SELECT cohort_reindex();
ROLLBACK TO s;
SELECT cohort_track('late', 'view');
COMMIT;
SELECT cohort_seal();
"""


def scripts(*command):
    return subprocess.run(["scripts/pg", *command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def ask(sql):
    result = subprocess.run(
        ["scripts/pg", "psql", NAME, "-XAtq", "-v", "ON_ERROR_STOP=1"], cwd=ROOT, input=sql, capture_output=True, text=True
    )
    if result.returncode:
        raise SystemExit(result.stderr)
    return result.stdout.strip()


@cache
def programs():
    """The directory of the server's programs. It runs when this is asked first."""
    lines = scripts("env", NAME).splitlines()
    return next(line.partition("PG_BIN=")[2] for line in lines if "PG_BIN=" in line)


def owned(data, program, *arguments):
    """Runs a program of the server's as the owner of its data."""
    owner = pwd.getpwuid(data.stat().st_uid).pw_name
    as_owner = ["runuser", "-u", owner, "--"] if os.geteuid() == 0 else []
    subprocess.run([*as_owner, f"{programs()}/{program}", *arguments], cwd="/", check=True, stdout=subprocess.DEVNULL)


def move(data, *, xid, epoch=None):
    """Goes on with a transaction id, and an epoch."""
    for database in ask("SELECT datname FROM pg_database").split():
        subprocess.run(["scripts/pg", "psql", NAME, "-Xqc", "VACUUM FREEZE", database], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    ask("CHECKPOINT")
    owned(data, "pg_ctl", "-D", str(data), "-m", "fast", "-w", "stop")
    file = data / "pg_xact" / f"{xid // OF_FILE:04X}"
    if not file.exists():
        file.write_bytes(bytes(OF_FILE // 4))
        os.chown(file, data.stat().st_uid, data.stat().st_gid)
        file.chmod(0o600)
    owned(data, "pg_resetwal", "-D", str(data), "-x", str(xid), *(["-e", str(epoch)] if epoch is not None else []))
    scripts("restart", NAME)


def answers(engine):
    asked = "\n".join(
        f"SELECT string_agg(x, ' ' ORDER BY x COLLATE \"C\") FROM cohort_evaluate($${rule}$$) x;" for rule in RULES
    )
    return ask(f"SET kursaha_cohort.engine = {engine}; {asked}")


def compare(where):
    index, plain = answers("bitmap"), answers("sql")
    if index != plain:
        raise SystemExit(f"{where}: the index says\n{index}\nplain SQL\n{plain}")
    problems = ask("SELECT * FROM cohort_check()")
    if problems:
        raise SystemExit(f"{where}: {problems}")
    how = ask(f"SELECT string_agg(DISTINCT how, '; ') FROM cohort_explain('{RULES[0]}')")
    if not how.startswith("index:"):
        raise SystemExit(f"{where}: asked in another way: {how}")


def work(where):
    ask(WORK.format(at=where))
    state = ask("SELECT tail, watermark::text::numeric > 0 FROM cohort_index_status")
    if state != "0|t":
        raise SystemExit(f"{where}: not all is sealed: {state}")
    compare(where)
    ask("SELECT cohort_track('unsealed', 'view'); DELETE FROM cohort_event WHERE event_id % 17 = 0")
    compare(f"{where}, with a tail")


def main():
    scripts("start", NAME)
    try:
        data = Path(scripts("where", NAME).strip()) / "data"
        ask("ALTER DATABASE template0 ALLOW_CONNECTIONS true")
        ask("CREATE EXTENSION kursaha_cohort")
        work("at the beginning")
        move(data, xid=2_000_000_000)
        work("below the middle")
        move(data, xid=2_147_483_640)
        work("over the middle")
        ask("SELECT cohort_reindex()")
        compare("in the upper half, made from nothing")
        move(data, xid=4_000_000_000)
        work("in the upper half")
        move(data, xid=4_294_967_200)
        work("before the end")
        ask("DO $$BEGIN FOR i IN 1..200 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$")
        epoch = int(ask("SELECT pg_current_xact_id()")) >> 32
        if epoch != 1:
            raise SystemExit(f"the round did not end: epoch {epoch}")
        work("behind the end")
        # Within half a round of what was frozen last, as the server asks.
        move(data, xid=1_500_000_000, epoch=5)
        move(data, xid=3_000_000_000)
        work("in epoch 5")
        ask("SELECT cohort_reindex()")
        compare("in epoch 5, made from nothing")
        # Nobody ought to, but what is written next would be taken for sealed.
        move(data, xid=2_999_000_000)
        ask(f"DO $${REFUSED}$$")
        ask("SELECT cohort_reindex()")
        compare("further back")
    finally:
        scripts("stop", NAME)


main()
