"""Rules over the CDNOW purchases, each worked out a second time in a few plain lines and compared by size and digest.

Usage: cdnow.py FILE [--expected-only]

FILE is CDNOW_master.txt (69,659 purchases by 23,570 customers, 1997-01-01 to 1998-06-30; it comes with the Python
package lifetimes 0.11.3): customer, yyyymmdd, number of CDs, dollars. Nothing here uses the model: what is expected
comes from the text file alone. The server is the one psql finds through PG*; all is rolled back.
"""

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from datetime import date, timedelta
from typing import NamedTuple

from psql_session import Failure, Psql, literal

BUY = {"did": "purchase"}


class Purchase(NamedTuple):
    day: date
    quantity: int
    cents: int
    price: str  # as the file has it, so that the JSON number is the same text


def read(path):
    """The purchases of each customer by day, those of one day in the order of the file; and the file's own order."""
    customers, rows = {}, []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            customer, day, quantity, price = line.split()
            if not day.isdigit():
                continue  # the heading
            dollars, cents = price.split(".")
            assert len(cents) == 2, line
            bought = Purchase(
                date(int(day[:4]), int(day[4:6]), int(day[6:])), int(quantity), int(dollars + cents), price
            )
            customers.setdefault(customer, []).append(bought)
            rows.append((customer, bought))
    for purchases in customers.values():
        purchases.sort(key=lambda bought: bought.day)  # a stable sort: one day's purchases keep their order
    return customers, rows


CHECKS = []


def check(title, as_of, rule):
    """Registers a plain answer (a test of one customer's purchases up to `as_of`) beside the rule."""

    def register(belongs):
        CHECKS.append((title, date.fromisoformat(as_of), rule, belongs))
        return belongs

    return register


@check("one-time buyers", "1998-06-30", {**BUY, "count": {"eq": 1}})
def _(purchases, _as_of):
    return len(purchases) == 1


@check("spent 500 or more in all", "1998-06-30", {**BUY, "aggregate": {"fn": "sum", "property": "price", "gte": 500}})
def _(purchases, _as_of):
    return bool(purchases) and sum(bought.cents for bought in purchases) >= 50_000


@check("bought again within 30 days", "1998-06-30", {"sequence": [BUY, BUY], "within": "30 days"})
def _(purchases, _as_of):
    # Two purchases of one day are two events, so they count: zero days apart.
    return any((after.day - before.day).days <= 30 for before, after in zip(purchases, purchases[1:]))


@check(
    "spent 300 or more but nothing in the last 180 days",
    "1998-06-30",
    {
        "and": [
            {**BUY, "aggregate": {"fn": "sum", "property": "price", "gte": 300}},
            {"did_not": "purchase", "time": {"in_the_last": "180 days"}},
        ]
    },
)
def _(purchases, as_of):
    return (
        bool(purchases)
        and sum(bought.cents for bought in purchases) >= 30_000
        and purchases[-1].day <= as_of - timedelta(180)
    )


@check(
    "three or more in the last 90 days", "1998-03-31", {**BUY, "count": {"gte": 3}, "time": {"in_the_last": "90 days"}}
)
def _(purchases, as_of):
    return sum(bought.day > as_of - timedelta(90) for bought in purchases) >= 3


@check(
    "first bought in January 1997",
    "1998-06-30",
    {**BUY, "occurrence": "first", "time": {"between": ["1997-01-01", "1997-01-31"]}},
)
def _(purchases, _as_of):
    return purchases[0].day.strftime("%Y-%m") == "1997-01"


@check(
    "last purchase above 50",
    "1998-06-30",
    {**BUY, "occurrence": "last", "where": {"property": "price", "operator": "gt", "value": 50}},
)
def _(purchases, _as_of):
    return purchases[-1].cents > 5_000


@check(
    "four or more at 40 on average",
    "1998-06-30",
    {**BUY, "count": {"gte": 4}, "aggregate": {"fn": "avg", "property": "price", "gte": 40}},
)
def _(purchases, _as_of):
    return len(purchases) >= 4 and sum(bought.cents for bought in purchases) >= 4_000 * len(purchases)


def usual_quantity(purchases):
    counted = Counter(str(bought.quantity) for bought in purchases)
    most = max(counted.values())
    return min(text for text, times in counted.items() if times == most)


@check(
    "mostly buys one at a time",
    "1997-12-31",
    {**BUY, "aggregate": {"fn": "most_frequent", "property": "quantity", "eq": 1}},
)
def _(purchases, _as_of):
    return usual_quantity(purchases) == "1"


@check(
    "mostly buys ten or twelve at a time",
    "1998-06-30",
    {**BUY, "aggregate": {"fn": "most_frequent", "property": "quantity", "in": [10, 12]}},
)
def _(purchases, _as_of):
    # Of equally frequent ones the smallest text: 10 and 12 come before 2.
    return usual_quantity(purchases) in ("10", "12")


@check(
    "bought in the first quarters of 1997 and 1998",
    "1998-06-30",
    {
        "and": [
            {**BUY, "time": {"between": ["1997-01-01", "1997-03-31"]}},
            {**BUY, "time": {"between": ["1998-01-01", "1998-03-31"]}},
        ]
    },
)
def _(purchases, _as_of):
    return {(1997, 1), (1998, 1)} <= {(bought.day.year, (bought.day.month + 2) // 3) for bought in purchases}


@check(
    "five or more at once, and the purchase right after was a single",
    "1998-06-30",
    {
        "sequence": [
            {**BUY, "where": {"property": "quantity", "operator": "gte", "value": 5}},
            {"did_not": "purchase"},
            {**BUY, "where": [{"property": "quantity", "operator": "eq", "value": 1}]},
        ]
    },
)
def _(purchases, _as_of):
    return any(before.quantity >= 5 and after.quantity == 1 for before, after in zip(purchases, purchases[1:]))


@check(
    "nothing in the month before, as it was at the end of September 1997",
    "1997-09-30",
    {"did_not": "purchase", "time": {"previous": "month"}, "timezone": "UTC"},
)
def _(purchases, _as_of):
    return not any((bought.day.year, bought.day.month) == (1997, 8) for bought in purchases)


def digest(ids):
    return len(ids), hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def expected_ids(customers, as_of, belongs):
    ids = []
    for customer, purchases in customers.items():
        seen = [bought for bought in purchases if bought.day <= as_of]
        if seen and belongs(seen, as_of):
            ids.append(customer)
    return ids


def load_script(rows):
    lines = ["BEGIN;", "COPY cohort_event (customer_id, event_type, occurred_at, data) FROM STDIN;"]
    for customer, bought in rows:
        data = f'{{"quantity": {bought.quantity}, "price": {bought.price}}}'
        lines.append(f"{customer}\tpurchase\t{bought.day} 00:00:00+00\t{data}")
    return "\n".join([*lines, "\\."])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="CDNOW_master.txt")
    parser.add_argument("--expected-only", action="store_true", help="print the plain answers, ask no server")
    args = parser.parse_args()
    customers, rows = read(args.file)
    print(f"{len(rows)} purchases by {len(customers)} customers")
    expected = [digest(expected_ids(customers, as_of, belongs)) for _, as_of, _, belongs in CHECKS]
    if args.expected_only:
        for (title, as_of, _, _), (size, sha) in zip(CHECKS, expected):
            print(f"{size:6} {sha} {title}, as of {as_of}")
        return 0
    queries = []
    for number, (_, as_of, rule, _) in enumerate(CHECKS):
        arguments = f"{literal(json.dumps(rule))}::jsonb, '{as_of} 00:00:00+00'::timestamptz"
        queries.append((f"evaluate {number}", f"SELECT x FROM cohort_evaluate({arguments}) AS x;"))
        queries.append((f"sql {number}", f"SELECT cohort_sql({arguments}) \\gexec"))
    psql = Psql()
    started = time.monotonic()
    psql.send(load_script(rows), queries, "ROLLBACK;")
    answers = psql.receive(timeout=600)
    psql.close()
    if isinstance(answers["before"], Failure):
        raise SystemExit(f"loading: {answers['before']}")
    passed = failed = 0
    for number, (title, as_of, _, _) in enumerate(CHECKS):
        for route in ("evaluate", "sql"):
            answer = answers[f"{route} {number}"]
            got = answer if isinstance(answer, Failure) else digest(answer)
            if got == expected[number]:
                passed += 1
                continue
            failed += 1
            print(f"{title}, as of {as_of}, by {route}: expected {expected[number]}, got {got}")
    print(f"{time.monotonic() - started:.0f} s with loading")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
