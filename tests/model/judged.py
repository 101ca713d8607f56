"""Holds parser and JSON Schema to what the page says of valid and invalid rules.

Usage: judged.py [--seed S] [--cases N] [--rules N] [--keep-going]

Each rule is a random valid one, which cohort_validate and cohort_rule_schema() must both accept, and copies of it with
one or several faults. Every fault has a place; cohort_validate must name exactly these places, all in one pass, each
with a hint, and the schema must refuse the rule if it can see one of the faults. As many rules are changed at random:
parser and schema must judge them alike. The server is the one psql finds through PG*.
"""

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import faults_customers  # noqa: F401
import faults_events  # noqa: F401
import faults_predicates  # noqa: F401
import faults_time  # noqa: F401
from differential import cohort_queries, json_text, load_script
from faults import alternatives, fault_of
from generate import make_case
from mutate import mutated
from parts import parts_of, replaced
from psql_session import Failure, Psql
from schema import Validator
from values import dumps, loads


@dataclass
class Judged:
    rule: object
    groups: list  # of places, one of each of which must be named
    allowed: set
    hints: list
    schema: object  # whether the schema must accept it; None if either may be
    unknown: bool = False  # whether the faults are anywhere


def place_text(keys):
    text = "$"
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        elif key.isascii() and key.replace("_", "a").isalnum() and not key[0].isdigit():
            text += f".{key}"
        else:
            text += f"[{json.dumps(key, ensure_ascii=False)}]"
    return text


def spoilt(rule, rng, features):
    """The rule with a fault in one to three of its parts that do not contain each other, or None."""
    parts = parts_of({key: value for key, value in rule.items() if key not in ("version", "timezone")})
    rng.shuffle(parts)
    chosen, judged = [], Judged(rule, [], set(), [], True)
    seen = []
    for part in parts:
        if len(chosen) == judged_size(rng, parts):
            break
        if any(part.keys[: len(other)] == other or other[: len(part.keys)] == part.keys for other in chosen):
            continue
        fault = fault_of(part, rng, features)
        if fault is None:
            continue
        chosen.append(part.keys)
        judged.rule = replaced(judged.rule, part.keys, top_keys(rule, part, fault.value))
        for places in fault.places:
            judged.groups.append({place_text((*part.keys, *place)) for place in alternatives(places)})
        judged.allowed |= {place_text((*part.keys, *place)) for place in fault.also}
        judged.hints += [fault.hint] if fault.hint else []
        seen.append(fault.schema)
    if not chosen:
        return None
    judged.schema = False if True in seen else None if None in seen else True
    return judged


def judged_size(rng, parts):
    return rng.choice((1, 1, 2, 3)) if len(parts) > 1 else 1


def top_keys(rule, part, value):
    """At the top, what is no part of the condition stays."""
    if part.keys or not isinstance(value, dict):
        return value
    return {**value, **{key: rule[key] for key in ("version", "timezone") if key in rule}}


def beyond():
    """Parts of the problems that a schema cannot find, from the tests that hold the schema to the parser in Rust."""
    source = (Path(__file__).parents[2] / "src/core/tests/common/schema.rs").read_text(encoding="utf-8")
    listed = re.search(r"const BEYOND: .*?= \[(.*?)^\];", source, re.DOTALL | re.MULTILINE)[1]
    return [json.loads(text) for text in re.findall(r'^\s*("(?:[^"\\]|\\.)*"),', listed, re.MULTILINE)] + [
        "does not exist"
    ]


BEYOND = beyond()


def wrong_with(judged, problems, accepts):
    """What is wrong with the verdicts, or None."""
    if judged.unknown:
        if not problems or not accepts:
            return None if bool(problems) != accepts else "the schema refuses what the parser accepts"
        seen = [problem for _, problem, _ in problems if not any(text in problem for text in BEYOND)]
        return f"the schema accepts it, in spite of {seen}" if seen else None
    places = {path for path, _, _ in problems}
    missing = [sorted(group) for group in judged.groups if not group & places]
    if missing:
        return f"no problem at {missing}"
    more = places - judged.allowed - {place for group in judged.groups for place in group}
    if more:
        return f"a problem at {sorted(more)}"
    without_hint = [path for path, _, hint in problems if not hint]
    if without_hint:
        return f"no hint at {without_hint}"
    unsaid = [text for text in judged.hints if not any(text in (hint or "") for _, _, hint in problems)]
    if unsaid:
        return f"no hint contains {unsaid}"
    if judged.schema is not None and accepts != judged.schema:
        return "the schema accepts it" if accepts else "the schema refuses it"
    return None


def rules_of(case, rng, features, copies):
    """Valid rules, and copies with faults."""
    for rule, _ in case.checks:
        yield Judged(rule, [], set(), [], True)
        for _ in range(copies):
            judged = spoilt(rule, rng, features)
            if judged:
                yield judged
            yield Judged(mutated(rule, [other for other, _ in case.checks], rng), [], set(), [], None, unknown=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="seed of the first case; the next ones follow")
    parser.add_argument("--cases", type=int, default=20, help="how many data sets the rules are about")
    parser.add_argument("--rules", type=int, default=20, help="how many valid rules for each")
    parser.add_argument("--copies", type=int, default=6, help="how many invalid copies of each")
    parser.add_argument("--keep-going", action="store_true", help="name each disagreement in a line")
    args = parser.parse_args()
    psql = Psql()
    schema = Validator(loads("\n".join(psql.ask("", [("schema", "SELECT cohort_rule_schema();")])["schema"])))
    tally, failed, started = Counter(), 0, time.monotonic()
    for seed in range(args.seed, args.seed + args.cases):
        rng = random.Random(f"judged {seed}")
        case = make_case(seed, args.rules)
        asked = list(rules_of(case, rng, case.features, args.copies))
        queries = [
            (
                f"q {place}",
                "SELECT coalesce(json_agg(json_build_array(path, problem, hint)), '[]') "
                f"FROM cohort_validate({json_text(dumps(judged.rule))});",
            )
            for place, judged in enumerate(asked)
        ]
        answers = psql.ask(load_script(case), [*cohort_queries(case), *queries], "ROLLBACK;")
        for place, judged in enumerate(asked):
            answer = answers[f"q {place}"]
            if isinstance(answer, Failure):
                wrong, problems = f"error {answer}", []
            else:
                problems = json.loads("\n".join(answer))
                wrong = wrong_with(judged, problems, schema.accepts(loads(dumps(judged.rule))))
            tally["changed" if judged.unknown else "invalid" if judged.groups else "valid"] += 1
            if wrong:
                failed += 1
                print(f"seed {seed}: {wrong}\n    {dumps(judged.rule)}\n    {dumps(problems)}", flush=True)
                if not args.keep_going:
                    return 1
    psql.close()
    counted = ", ".join(f"{tally[kind]} {kind}" for kind in ("valid", "invalid", "changed"))
    print(f"rules: {counted}; {time.monotonic() - started:.0f} s")
    print(f"{sum(tally.values()) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
