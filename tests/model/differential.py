"""Holds the extension against the model on random data and rules.

Usage: differential.py [--seed S] [--cases N] [--rules N] [--keep-going] [--dry-run] [--committed]

Each case is one data set, loaded in a transaction that is rolled back, with saved cohorts and some 30 rules. Every
rule is answered by cohort_evaluate and by the statement of cohort_sql; some also saved and asked by name, customer by
customer, and explained. The server is the one psql finds through PG*; the extension must be in the search path.
The first disagreement is shrunk and printed, and ends the run with status 1.
"""

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass

from check_zones import utc_text
from generate import make_case
from generate_tables import table_script
from model import members, universe
from psql_session import Failure, Psql, check_error, copy_field, literal
from shrink import describe, shrink
from values import dumps

REQUIRED = ("cohort_evaluate", "cohort_sql")
OPTIONAL = (
    "cohort_create",
    "cohort_import",
    "cohort_run",
    "cohort_count",
    "cohort_contains",
    "cohort_preview",
    "cohort_why",
    "cohort_explain",
)
# Asked of the rule once saved, so that the question that saves it must be asked too.
BY_NAME = ("sql by name", "count", "contains", "why", "explain", "run", "create")


@dataclass
class Question:
    """One way to ask a rule, and the answer expected of it."""

    route: str
    sql: str
    expected: object
    rows: bool = False  # the answer is rows of ids rather than one JSON value


def json_text(text):
    return literal(text) + "::jsonb"


def instant_text(instant):
    return literal(utc_text(instant)) + "::timestamptz"


def array_text(ids):
    return "ARRAY[" + ", ".join(map(literal, ids)) + "]::text[]"


def ids_of(source):
    return f"SELECT coalesce(json_agg(x ORDER BY x COLLATE \"C\"), '[]') FROM {source} AS x;"


# Of a coordinator, whose nodes commit by themselves: what --committed does in place of a rollback.
WIPE = """COMMIT; TRUNCATE cohort_event, cohort_customer;
SELECT count(cohort_drop(name)) FROM (SELECT name FROM cohort_definition ORDER BY cohort_id DESC) d \\g /dev/null"""


def apart(rule):
    """A rule without what compares a customer with others, who may be on another node; FEATURES leaves out the rest."""
    if isinstance(rule, dict):
        return {key: apart(value) for key, value in rule.items() if key != "over"}
    return [apart(part) for part in rule] if isinstance(rule, list) else rule


def load_script(case, committed=False):
    """Begins the transaction and makes the case's tables and saved cohorts."""
    lines = ["" if committed else "BEGIN;", "COPY cohort_event (customer_id, event_type, occurred_at, data) FROM STDIN;"]
    for event in case.data.events:
        fields = (event.customer, event.type, utc_text(event.at), dumps(event.data))
        lines.append("\t".join(map(copy_field, fields)))
    lines += ["\\.", check_error(), "COPY cohort_customer (customer_id, profile) FROM STDIN;"]
    lines += [
        "\t".join(map(copy_field, (customer, dumps(profile)))) for customer, profile in case.data.profiles.items()
    ]
    lines += ["\\.", check_error(), table_script(case.data.tables), "BEGIN;" if committed else ""]
    return "\n".join(lines)


def cohort_queries(case):
    for name, cohort in case.cohorts.items():
        if isinstance(cohort, dict):
            yield f"save {name}", f"SELECT cohort_create({literal(name)}, {json_text(dumps(cohort))});"
        else:
            yield f"save {name}", f"SELECT cohort_import({literal(name)}, {array_text(cohort)});"


def questions(case, number, have, everything):
    """How the rule at this place of the case is asked. A coordinator is not asked for plain SQL."""
    rule, as_of = case.checks[number]
    expected = sorted(members(rule, case.data, as_of, case.cohorts))
    everyone = sorted(universe(case.data, as_of))
    known = sorted(set(case.data.profiles) | {event.customer for event in case.data.events})
    text, at = json_text(dumps(rule)), instant_text(as_of)
    yield Question("evaluate", ids_of(f"cohort_evaluate({text}, {at})"), expected)
    if "cohort_sql" in have:
        yield Question("sql", f"SELECT cohort_sql({text}, {at}) \\gexec", expected, rows=True)
    if not everything:
        return
    if "cohort_preview" in have:
        figures = "json_build_array(size, universe, coalesce(array_length(sample, 1), 0))"
        preview = f"SELECT {figures} FROM cohort_preview({text}, 3, {at});"
        yield Question("preview", preview, [len(expected), len(everyone), min(3, len(expected))])
    if "cohort_create" not in have:
        return
    name = literal(f"check {number}")
    if "cohort_run" in have:
        yield Question(
            "run",
            f"SELECT cohort_create({name}, {text}) \\g /dev/null\n{ids_of(f'cohort_run({name}, {at})')}",
            expected,
        )
    else:
        yield Question("create", f"SELECT cohort_create({name}, {text}) \\g /dev/null\nSELECT 1;", 1)
    if "cohort_sql" in have:
        yield Question("sql by name", f"SELECT cohort_sql({name}, {at}) \\gexec", expected, rows=True)
    if "cohort_count" in have:
        yield Question("count", f"SELECT cohort_count({name}, {at});", len(expected))
    if "cohort_contains" in have:
        asked = f"FROM unnest({array_text(known + ['nobody'])}) AS x"
        yield Question(
            "contains",
            f"SELECT json_agg(cohort_contains({name}, x, {at})) {asked};",
            [customer in expected for customer in known] + [False],
        )
    if "cohort_why" in have:
        asked = f"unnest({array_text(everyone)}) AS x, cohort_why({name}, x, {at}) AS w WHERE w.path = '$' AND w.holds"
        yield Question("why", f"SELECT coalesce(json_agg(x), '[]') FROM {asked};", expected)
    if "cohort_explain" in have:
        yield Question(
            "explain",
            f"SELECT coalesce(json_agg(customers), '[]') FROM cohort_explain({name}, {at}) WHERE path = '$';",
            [len(expected)],
        )


def problem(question, answer):
    """None when the answer is the expected one, else what is wrong with it."""
    if isinstance(answer, Failure):
        return f"error {answer}"
    if question.rows:
        got = sorted(answer)
    else:
        try:
            got = json.loads("\n".join(answer))
        except ValueError:
            return f"unreadable answer {answer!r}"
        # json_agg orders by UTF-8, sorted() by code point: the same, but unsorted answers must not look wrong.
        got = sorted(got) if isinstance(got, list) and all(isinstance(item, str) for item in got) else got
    return None if got == question.expected else f"answered {got!r}"


class Runner:
    def __init__(self, committed=False):
        self.psql = Psql()
        self.committed = committed
        self.end = WIPE if committed else "ROLLBACK;"
        names = ", ".join(map(literal, REQUIRED + OPTIONAL))
        answer = self.psql.ask(
            "",
            [
                (
                    "have",
                    f"SELECT DISTINCT proname FROM pg_proc WHERE proname IN ({names}) AND pg_function_is_visible(oid);",
                )
            ],
        )
        self.have = set(answer["have"])
        if committed and self.psql.ask("", [("old", "SELECT count(*) FROM cohort_event;")])["old"] != ["0"]:
            raise SystemExit("--committed removes all events, and there are some")
        missing = [name for name in REQUIRED if name not in self.have]
        if missing:
            raise SystemExit(f"not in the search path: {', '.join(missing)}; is the extension created?")
        if committed:
            self.have.discard("cohort_sql")

    def run(self, case, everything, keep=None):
        """Asks every question of a case; yields (place of the rule, question, problem or None)."""
        asked = []
        for number in range(len(case.checks)):
            for question in questions(case, number, self.have, everything(number)):
                if keep is None or keep == question.route or (question.route in ("run", "create") and keep in BY_NAME):
                    asked.append((number, question))
        saves = list(cohort_queries(case))
        labelled = [(f"q {place}", question.sql) for place, (_, question) in enumerate(asked)]
        answers = self.psql.ask(load_script(case, self.committed), saves + labelled, self.end)
        for label in ["before", *(label for label, _ in saves)]:
            if isinstance(answers[label], Failure):
                yield 0, Question(label, "", None), f"error {answers[label]}"
        for place, (number, question) in enumerate(asked):
            yield number, question, problem(question, answers[f"q {place}"])

    def default_as_of(self, case):
        """Without an `as_of` a rule is asked at the transaction's now()."""
        rule = case.checks[0][0]
        queries = list(cohort_queries(case))
        queries.append(("now", "SELECT (extract(epoch FROM now()) * 1000000)::bigint;"))
        queries.append(("ids", ids_of(f"cohort_evaluate({json_text(dumps(rule))})")))
        answers = self.psql.ask(load_script(case, self.committed), queries, self.end)
        now = int(answers["now"][0])
        question = Question("default as_of", "", sorted(members(rule, case.data, now, case.cohorts)))
        return question, problem(question, answers["ids"])


BY_NAME = ("sql by name", "count", "contains", "why", "explain", "run", "create")


def report(runner, case, number, question, wrong, seed):
    print(f"\nseed {seed}, rule {number}, by {question.route}: {wrong}\nexpected {question.expected!r}")

    def disagreement(smaller):
        try:
            for _, asked, again in runner.run(
                smaller, lambda _: question.route not in ("evaluate", "sql"), question.route
            ):
                if again and asked.route == question.route and again.split()[0] == wrong.split()[0]:
                    return f"expected {asked.expected!r}, {again}"
        except (KeyError, ValueError, IndexError, TypeError, AttributeError):
            return None  # shrunk until it was no rule any more
        return None

    smallest, difference = shrink(case, number, disagreement)
    print(f"\nSmallest case found ({difference or 'not reproduced when asked alone'}):\n{describe(smallest)}")


def dry_run(args):
    """Without a server: the model and the generator alone, and how often rules tell customers apart."""
    tally = Counter()
    for seed in range(args.seed, args.seed + args.cases):
        case = make_case(seed, args.rules)
        for rule, as_of in case.checks:
            found = members(rule, case.data, as_of, case.cohorts)
            tally["nobody" if not found else "everybody" if found == universe(case.data, as_of) else "some"] += 1
    print(dict(tally))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="seed of the first case; the next ones follow")
    parser.add_argument("--cases", type=int, default=40, help="how many data sets")
    parser.add_argument("--rules", type=int, default=30, help="how many rules for each")
    parser.add_argument(
        "--keep-going", action="store_true", help="count disagreements, name each in a line, shrink none"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="make cases and evaluate the model only, without a server"
    )
    parser.add_argument(
        "--committed", action="store_true", help="commit each case and remove it afterwards, as on a coordinator"
    )
    args = parser.parse_args()
    if args.dry_run:
        return dry_run(args)
    runner = Runner(args.committed)
    absent = [name for name in OPTIONAL if name not in runner.have]
    if absent:
        print(f"not asked, since not there: {', '.join(absent)}")
    started, passed, failed, asked = time.monotonic(), 0, 0, Counter()
    for seed in range(args.seed, args.seed + args.cases):
        case = make_case(seed, args.rules)
        if not {"cohort_create", "cohort_import"} <= runner.have:
            case.checks = [check for check in case.checks if '"cohort"' not in dumps(check[0])]
            case.cohorts = {}
        if args.committed:
            case.checks = [(apart(rule), at) for rule, at in case.checks]
            case.cohorts = {name: apart(cohort) for name, cohort in case.cohorts.items()}
        bad = set()
        for number, question, wrong in runner.run(case, lambda number: number % 4 == 0):
            asked[question.route] += 1
            if wrong:
                bad.add(number)
                if args.keep_going:
                    print(f"seed {seed}, rule {number}, by {question.route}: {wrong[:300]}")
                    print(f"    expected {question.expected!r:.200}; rule {dumps(case.checks[number][0])[:600]}")
                else:
                    report(runner, case, number, question, wrong, seed)
                    print(f"{passed + number} passed, 1 failed")
                    return 1
        question, wrong = runner.default_as_of(case)
        asked[question.route] += 1
        if wrong:
            print(f"seed {seed}, rule 0, without as_of: {wrong}")
            print(f"    expected {question.expected!r}; rule {dumps(case.checks[0][0])}")
            bad.add(0)
        failed += len(bad)
        passed += len(case.checks) - len(bad)
        if (seed - args.seed) % 10 == 9:
            print(
                f"{seed - args.seed + 1} data sets, {passed + failed} rules, {time.monotonic() - started:.0f} s",
                flush=True,
            )
    runner.psql.close()
    print(
        f"asked: {', '.join(f'{route} {count}' for route, count in asked.items())}; {time.monotonic() - started:.0f} s"
    )
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
