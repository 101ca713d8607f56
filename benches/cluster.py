"""What a coordinator costs: the same data and questions on one server, and over nodes that are databases of another server.

    python3 benches/cluster.py [NODES ...]    3 and 9 nodes when none are given

Times are those of the client, in one session, warm: the least and the median. The ratio to one server is what holds on a
machine with other work; coordinator and nodes share its cores.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVENTS, CUSTOMERS = 200_000, 20_000
DATA = f"""
INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT 'c' || i * 7919 % {CUSTOMERS}, (ARRAY['view', 'cart', 'purchase'])[1 + i * 31 % 3], timestamptz '2025-01-01 00:00Z' + i % 300 * interval '1 day',
       jsonb_build_object('price', i % 1000, 'product', 'p' || i % 500, 'channel', 'web') FROM generate_series(1, {EVENTS}) i;
SELECT * FROM cohort_seal();
SELECT cohort_create('bought', '{{"did": "purchase"}}');
SELECT cohort_create('often', '{{"and": [{{"did": "purchase", "count": {{"gte": 3}}}}, {{"did": "view", "where": {{"property": "price", "operator": "gt", "value": 900}}}}]}}');
"""
QUESTIONS = {
    "cohort_count, one condition": "SELECT cohort_count('bought');",
    "cohort_count, two conditions": "SELECT cohort_count('often');",
    "cohort_contains": "SELECT cohort_contains('often', 'c77');",
    "cohort_track": "SELECT cohort_track('c77', 'extra');",
    "ids of cohort_run": "SELECT count(*) FROM cohort_run('bought');",
    "a batch of 1,000": "SELECT * FROM cohort_track_batch((SELECT jsonb_build_object('signals', jsonb_agg(jsonb_build_object("
    "'customerId', 'c' || i, 'eventType', 'batch'))) FROM generate_series(1, 1000) i));",
    "a fan-out alone": None,
}


def pg(*arguments):
    return subprocess.run([ROOT / "scripts/pg", *arguments], check=True, capture_output=True, text=True).stdout


def ask(server, sql, database="postgres"):
    command = [ROOT / "scripts/pg", "psql", server, "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", database]
    return subprocess.run(command, input="SET client_min_messages = error;" + sql, check=True, capture_output=True, text=True).stdout


def measure(server, database, rounds=41):
    """Milliseconds of each question: the least and the median of `rounds` rounds, in one session."""
    found = {}
    for what, sql in QUESTIONS.items():
        if sql is None:
            if database == "alone":
                continue
            sql = "SELECT count(*) FROM kursaha_cohort_cluster.node_compare(NULL);"
        output = ask(server, "\\timing on\n" + sql * rounds, database)
        times = [float(line.split()[1]) for line in output.splitlines() if line.startswith("Time:")]
        found[what] = (min(times[1:]), statistics.median(times[1:]))
    return found


def main():
    sizes = [int(text) for text in sys.argv[1:]] or [3, 9]
    try:
        pg("start", "b-nodes", "max_connections=200")
        pg("start", "b-co")
        ask("b-co", "CREATE DATABASE alone;")
        began = time.monotonic()
        ask("b-co", "CREATE EXTENSION kursaha_cohort;" + DATA, "alone")
        loaded = time.monotonic() - began
        results = {"one server": {"loading": (loaded,)} | measure("b-co", "alone")}
        host = pg("where", "b-nodes").strip()
        for size in sizes:
            for node in range(size):
                ask("b-nodes", f"CREATE DATABASE n{size}_{node};")
                ask("b-nodes", "CREATE EXTENSION kursaha_cohort;", f"n{size}_{node}")
            name = f"co{size}"
            ask("b-co", f"CREATE DATABASE {name};")
            ask("b-co", f"CREATE EXTENSION kursaha_cohort; CREATE SCHEMA shop; CREATE EXTENSION kursaha_cohort_cluster SCHEMA shop;"
                f"ALTER DATABASE {name} SET search_path = shop, public;", name)
            nodes = json.dumps([{"host": host, "dbname": f"n{size}_{node}"} for node in range(size)])
            ask("b-co", f"SELECT * FROM cohort_cluster_init('plproxy', '{nodes}');", name)
            began = time.monotonic()
            ask("b-co", DATA, name)
            loaded = time.monotonic() - began
            results[f"{size} nodes"] = {"loading": (loaded,)} | measure("b-co", name)
    finally:
        pg("stop", "b-co")
        pg("stop", "b-nodes")
    columns = list(results)
    print(f"| least / median, ms; {EVENTS:,} events, {CUSTOMERS:,} customers | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for what in [*QUESTIONS]:
        cells = ("{:.2f} / {:.2f}".format(*results[column][what]) if what in results[column] else "" for column in columns)
        print(f"| {what} | " + " | ".join(cells) + " |")
    loads = ", ".join(f"{column} {found['loading'][0]:.1f}" for column, found in results.items())
    print(f"Loading by INSERT and sealing, s: {loads}")


if __name__ == "__main__":
    main()
