"""What a longer history costs: the same questions over 2, 20 and 200 million events, at one rate, ever further back.

Usage: growth.py SIZE ...
The Postgres is the one psql finds; its events are made there, from the last year backwards, two sessions at a time. Prints
a table; the last columns compare each question with the time it took at the size before.
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from data import TYPES
from engine import RUNS, say
from peers import Psql
from queries import AS_OF, QUERIES

# Twenty million events a year, of as many customers as the benchmark has.
A_YEAR, CUSTOMERS, BATCH = 20_000_000, 1_818_181, 500_000
ASKED = ["Q1", "Q4", "Q3", "Q6", "Q8"]

EVENTS = """
SELECT setseed({seed});
INSERT INTO cohort_event (customer_id, event_type, occurred_at, data)
SELECT 'cust-' || lpad((power(c, 1.6) * {customers})::bigint::text, 8, '0'),
       {types},
       timestamptz '{as_of}' - make_interval(secs => ({back} - i - u) * (365 * 86400.0 / {a_year})),
       jsonb_build_object('price', round((power(p, 3) * 2000)::numeric, 2), 'brand', 'brand' || (power(b, 2) * 200)::integer,
                          'productId', 'p' || (power(r, 2) * 50000)::integer, 'category', 'category' || (g * 20)::integer,
                          'quantity', 1 + (q * q * 5)::integer)
FROM (SELECT i, random() c, random() t, random() u, random() p, random() b, random() r, random() g, random() q
      FROM generate_series(0, {batch} - 1) i) x
"""


class Loader(threading.local):
    """A connection for each thread."""

    def __init__(self):
        self.psql = Psql()


def load(loader, total, first, last):
    """Events `first` to `last`, counted back from the end."""
    done = 0

    def one(back):
        nonlocal done
        batch = min(BATCH, back - first)
        loader.psql(EVENTS.format(types=TYPES, seed=back % 999_983 / 1_000_000, customers=CUSTOMERS, as_of=AS_OF, back=back, a_year=A_YEAR, batch=batch))
        done += batch
        if done % (10 * BATCH) == 0:
            say(f"{done:,} of {total:,} events")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(last, first, -BATCH)))


def main():
    sizes = sorted(int(size) for size in sys.argv[1:])
    psql, loader = Psql(), Loader()
    psql("CREATE EXTENSION IF NOT EXISTS kursaha_cohort")
    for name in ASKED:
        psql(f"SELECT cohort_create('{name}', '{json.dumps(QUERIES[name][1])}')")
    rows, before = [], 0
    for size in sizes:
        say(f"{size:,} events")
        load(loader, size - before, before, size)
        before = size
        began = time.perf_counter()
        psql("SELECT * FROM cohort_seal()")
        took = time.perf_counter() - began
        psql("VACUUM ANALYZE kursaha_cohort.segment_page")
        segments, stored = psql("SELECT count(*) || ' ' || sum(bytes) FROM kursaha_cohort.segment").split()
        row = {"events": size, "segments": int(segments), "bytes": int(stored) / size, "sealed in": took}
        for name in ASKED:
            ask = f"SELECT cohort_count('{name}', '{AS_OF}')"
            row[name] = psql.measure(ask, max(RUNS, 15))[0]
        rows.append(row)
        print(row, flush=True)
    report(rows)


def report(rows):
    for name in ASKED:
        print(f"{name}: {QUERIES[name][0]}")
    print(f"\n{'events':>12} {'segments':>9} {'bytes each':>11}" + "".join(f"{name + ' ms':>10}" for name in ASKED)
          + "".join(f"{name + ' times':>10}" for name in ASKED))
    before = None
    for row in rows:
        line = f"{row['events']:12,} {row['segments']:9} {row['bytes']:11.1f}" + "".join(f"{row[name]:10.2f}" for name in ASKED)
        if before:
            line += "".join(f"{row[name] / before[name]:10.2f}" for name in ASKED)
        print(line)
        before = row


if __name__ == "__main__":
    main()
