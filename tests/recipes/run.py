"""Runs each rule of docs/RECIPES.md and compares its members with those of expected.sql, in every state of the index.

Usage: run.py [--figures]; the server is the one psql finds through PG*, its database empty. With --figures only the
number of members of each recipe is printed.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "model"))

from psql_session import Failure, Psql, literal  # noqa: E402
from shop import AS_OF, Shop  # noqa: E402

RECIPE = re.compile(r"^### (.+?)\n.*?^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPECTED = re.compile(r"^-- ### (.+?)\n(.*?)(?=^-- ### |\Z)", re.DOTALL | re.MULTILINE)
AT = f"timestamptz {literal(AS_OF.isoformat())}"
VIEWS = f"""CREATE VIEW e AS SELECT * FROM cohort_event WHERE occurred_at <= {AT};
CREATE VIEW p AS SELECT * FROM cohort_customer;
CREATE VIEW everyone AS SELECT customer_id FROM p UNION SELECT customer_id FROM e;
SET timezone = 'UTC';"""
# Tables of the shop's own, which rules read.
TABLES = """CREATE SCHEMA shop;
CREATE TABLE shop.product (id text, discontinued boolean, price numeric);
INSERT INTO shop.product SELECT c || '-' || n, c = 'toys' AND n < 3 OR c = 'garden' AND n = 4, 10 * n
FROM unnest(ARRAY['books', 'machines', 'beans', 'toys', 'garden']) c, generate_series(1, 4) n;
CREATE SCHEMA crm;
CREATE TABLE crm.account (customer_id text, manager text, in_dispute boolean);
INSERT INTO crm.account SELECT 'c' || n, CASE WHEN n % 3 = 0 THEN 'Ana' ELSE 'Ben' END, n % 7 = 0 FROM generate_series(1, 420, 2) n;
"""
# How the data lie: not sealed, half of them sealed, all sealed; and plain SQL.
STATES = (
    ("unsealed", ""),
    ("half sealed", "SET kursaha_cohort.seal_batch = 1000; SELECT cohort_seal() \\g /dev/null"),
    ("sealed", "RESET kursaha_cohort.seal_batch; SELECT cohort_reindex() \\g /dev/null"),
    ("plain SQL", "SET kursaha_cohort.engine = sql;"),
)


def aggregated(query):
    return f"SELECT coalesce(json_agg(DISTINCT x), '[]') FROM ({query}) AS q (x);"


def main():
    page = (HERE.parent.parent / "docs" / "RECIPES.md").read_text(encoding="utf-8")
    recipes = RECIPE.findall(page)
    expected = {title: sql.replace(":at", AT) for title, sql in EXPECTED.findall((HERE / "expected.sql").read_text())}
    titles = [title for title, _ in recipes]
    if titles != re.findall(r"^### (.+)$", page, re.MULTILINE) or len(recipes) != page.count("```json"):
        sys.exit("docs/RECIPES.md: not every heading has exactly one rule")
    if sorted(titles) != sorted(expected):
        sys.exit(f"without a counterpart: {sorted(set(titles) ^ set(expected))}")
    psql = Psql()
    asked = [(f"sql {title}", aggregated(expected[title])) for title in titles]
    asked.append(("everyone", "SELECT count(*) FROM everyone;"))
    answers = psql.ask(f"CREATE EXTENSION kursaha_cohort;\n{Shop().script()}\n{TABLES}{VIEWS}", asked)
    wrong, figures = [], {}
    everyone = int(answers["everyone"][0])
    for title in titles:
        answer = answers[f"sql {title}"]
        if isinstance(answer, Failure):
            sys.exit(f"{title}: {answer}")
        figures[title] = json.loads("".join(answer))
        if not 0 < len(figures[title]) < everyone:
            wrong.append(f"{title}: {len(figures[title])} of {everyone} tell nothing")
    for state, change in STATES:
        rules = [
            (title, aggregated(f"SELECT cohort_evaluate({literal(rule)}::jsonb, {AT})")) for title, rule in recipes
        ]
        for title, answer in psql.ask(change, rules).items():
            if title not in figures:
                continue
            if isinstance(answer, Failure):
                wrong.append(f"{title}, {state}: {answer}")
            elif json.loads("".join(answer)) != figures[title]:
                wrong.append(f"{title}, {state}: {''.join(answer)[:300]}\n    by hand: {json.dumps(figures[title])[:300]}")
    if "--figures" in sys.argv[1:]:
        print("\n".join(f"{len(found):4} {title}" for title, found in figures.items()))
    print("\n".join(wrong) or f"{len(recipes)} recipes, each as by hand in {len(STATES)} states, of {everyone} customers")
    sys.exit(1 if wrong else 0)


main()
