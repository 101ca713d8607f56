"""Kills a server of its own at random moments while rows are written, sealed and merged.

Usage: crash.py [--kills N] [--seed S]

After each kill -9 of the postmaster and all its children the server starts again; then cohort_check must be clean and the
index must answer like plain SQL, with the invariant of concurrency.py.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from concurrency import LEVELS, MIXED, ODD, Failed, Psql, pair

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "crash"


def server(*command):
    return subprocess.run(["scripts/pg", *command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def processes(postmaster):
    """The postmaster and its children."""
    found = [postmaster]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # ended meanwhile
        if int(fields[1]) == postmaster:
            found.append(int(stat.parent.name))
    return found


def kill(directory):
    postmaster = int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])
    pids = processes(postmaster)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    # Until they are reaped, the server takes a dead postmaster for a living one.
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > until:
            raise SystemExit("killed processes are still there")
        time.sleep(0.02)


def work(number, stop):
    """Writes, or seals, until the server is gone."""
    rng = random.Random(f"{number} {time.monotonic()}")
    try:
        session = Psql()
        session("SET kursaha_cohort.seal_batch = 50; SET kursaha_cohort.segment_rows = 2000;")
        while not stop.is_set():
            try:
                if number == 0:
                    session("SELECT * FROM cohort_reindex();" if rng.random() < 0.05 else "SELECT * FROM cohort_seal();")
                else:
                    session(f"BEGIN ISOLATION LEVEL {rng.choice(LEVELS)};")
                    for _ in range(rng.randrange(1, 8)):
                        session(pair(rng))
                    session("COMMIT;")
            except Failed:
                session("ROLLBACK;")
    except (SystemExit, BrokenPipeError, OSError):
        pass  # the server was killed, as it should be


def check():
    session = Psql()
    found = session("SELECT place, problem FROM cohort_check();")
    if found:
        raise SystemExit(f"cohort_check after a kill: {found}")
    for rule in (ODD, MIXED):
        answers = []
        for engine in ("bitmap", "sql"):
            ask = f"SELECT json_agg(x ORDER BY x) FROM cohort_evaluate('{rule}', '2100-01-01') AS x;"
            answers.append(session(f"SET kursaha_cohort.engine = {engine}; {ask}"))
        if answers[0] != answers[1] or (rule == ODD and answers[0] != [""]):
            raise SystemExit(f"after a kill: by the index {answers[0]}, by plain SQL {answers[1]}")
    return session("SELECT events, segments, tail FROM cohort_index_status;")[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    settings = ["shared_preload_libraries=kursaha_cohort", "kursaha_cohort.seal_interval=100ms"]
    server("start", NAME, "full_page_writes=on", "wal_level=replica", *settings)
    try:
        for line in server("env", NAME).splitlines():
            name, value = line.removeprefix("export ").split("=", 1)
            os.environ[name] = value
        directory = Path(server("where", NAME).strip())
        Psql()("CREATE EXTENSION kursaha_cohort;")
        for number in range(args.kills):
            stop = threading.Event()
            threads = [threading.Thread(target=work, args=(worker, stop)) for worker in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.2 + rng.random() * 1.5)
            kill(directory)
            stop.set()
            for thread in threads:
                thread.join()
            server("restart", NAME)
            status = check()
            if number % 10 == 9 or number + 1 == args.kills:
                print(f"{number + 1} kills; events|segments|tail: {status}", flush=True)
    finally:
        server("stop", NAME)


if __name__ == "__main__":
    sys.exit(main())
