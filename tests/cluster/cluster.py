"""kursaha_cohort_cluster on PL/Proxy, in the order of docs/CLUSTER.md: the same answers as of one server, what holds and
what does not, and every guard."""

import os
import subprocess
import sys
import time

import citus
import guards
import move
import promises
import syncs
from shop import COORDINATOR, NODES, Server, layer, literal, same

AT = "'2025-06-15 00:00+00'"
# Ten rules: one event, counts, prices, recency, profiles, what was not done, periods, a list, a reference, a sequence.
RULES = {
    "bought": {"did": "purchase"},
    "often": {"did": "purchase", "count": {"gte": 4}},
    "dear": {"did": "purchase", "where": {"property": "price", "operator": "gt", "value": 700}},
    "spent": {"did": "purchase", "aggregate": {"fn": "sum", "property": "price", "gte": 2000}},
    "lately": {"did": "view", "time": {"in_the_last": "30 days"}},
    "city": {"profile": "city", "operator": "eq", "value": "pune"},
    "left": {"and": [{"did": "cart"}, {"did_not": "purchase"}]},
    "vip": ["c3", "c5", "c8", "nobody", "c377"],
    "both": {"and": [{"cohort": "vip"}, {"cohort": "bought"}]},
    "then": {"or": [{"cohort": "both"}, {"and": [{"cohort": "left"}, {"not": {"cohort": "city"}}]}]},
}
# What compares customers of several nodes, with many ties: a share of a ranking by city, averages, groups, one in the other, references.
CROSSING = {
    "top": {"rank": {"did": "purchase"}, "order": "most", "top": 25},
    "share": {"rank": {"did": "view"}, "order": "least", "percent": [10, 45.5], "by": "city", "of": {"did": "cart"}},
    "mean": {"timezone": "Asia/Kolkata", "rank": {"did": "cart", "aggregate": {"fn": "avg", "property": "price"}}, "order": "most", "percent": [0, 33]},
    "shy": {"and": [{"did": "view"}, {"not": {"rank": {"profile": "born"}, "order": "least", "top": 40}}]},
    "house": {"group": "house", "all": {"did": "view"}},
    "quiet": {"group": "house", "none": {"cohort": "top"}},
    "nested": {"rank": {"did": "view"}, "order": "most", "top": 9, "of": {"group": "house", "any": {"rank": {"did": "cart"}, "order": "most", "top": 15}}},
    "named": {"or": [{"cohort": "quiet"}, {"and": [{"cohort": "vip"}, {"not": {"cohort": "share"}}]}]},
}
PAID = {"did": "purchase", "aggregate": {"fn": "sum", "property": "price"}}
DATA = """
COPY cohort_event (customer_id, event_type, occurred_at, data) FROM STDIN;
{events}
\\.
COPY cohort_customer (customer_id, profile) FROM STDIN;
{customers}
\\.
"""


def data():
    """Some thousand events of a few hundred customers, the same each time."""
    events, customers = [], []
    for n in range(4000):
        customer, kind = f"c{n * 7919 % 401}", ("view", "cart", "purchase", "view")[n * 31 % 11 % 4]
        at = f"2025-{1 + n * 13 % 5:02}-{1 + n * 17 % 28:02} {n * 7 % 24:02}:{n % 60:02}:00+00"
        events.append(f'{customer}\t{kind}\t{at}\t{{"price": {n * 104729 % 1000}}}')
    for n in range(0, 430, 2):
        customers.append(f'c{n}\t{{"city": "{("pune", "mumbai", "delhi")[n % 3]}", "born": {n % 7}, "house": {n % 61}}}')
    return DATA.format(events="\n".join(events), customers="\n".join(customers))


def save(server):
    for name, rule in {**RULES, **CROSSING}.items():
        if isinstance(rule, list):
            ids = ", ".join(map(literal, rule))
            server.ask(f"SELECT cohort_import({literal(name)}, ARRAY[{ids}]);")
        else:
            server.ask(f"SELECT cohort_create({literal(name)}, {literal(rule)}::jsonb, 'of ' || {literal(name)});")


QUESTIONS = {
    "run": "SELECT cohort_run({name}, {at}) ORDER BY 1",
    "count": "SELECT cohort_count({name}, {at})",
    "explain": "SELECT condition, path, customers, events FROM cohort_explain({name}, {at})",
    "contains": "SELECT string_agg(cohort_contains({name}, 'c' || i, {at})::text, ',' ORDER BY i) FROM generate_series(0, 40) i",
    "why": "SELECT path, condition, holds FROM cohort_why({name}, 'c3', {at})",
    "sizes": "SELECT size, entered, exited FROM cohort_refresh({name}, {at})",
    "members": "SELECT customer_id, entered_at FROM cohort_members({name}) ORDER BY 1",
    "history": "SELECT refreshed_at, size, entered, exited, version FROM cohort_history({name})",
    "changes": "SELECT customer_id, change, changed_at FROM cohort_changes({name})",
}
OF_RULES = {
    "evaluate": "SELECT cohort_evaluate({rule}::jsonb, {at}) ORDER BY 1",
    "preview": "SELECT size, universe, sample FROM cohort_preview({rule}::jsonb, 5, {at})",
    "explain": "SELECT condition, path, customers, events FROM cohort_explain({rule}::jsonb, {at})",
}


def compare(coordinator, alone):
    """Whatever one server answers, byte for byte."""
    asked = {}
    for name, rule in RULES.items():
        for what, sql in QUESTIONS.items():
            asked[f"{what} of {name}"] = sql.format(name=literal(name), at=AT)
        if isinstance(rule, dict):
            for what, sql in OF_RULES.items():
                asked[f"{what} of {name}, unsaved"] = sql.format(rule=literal(rule), at=AT)
    for name, rule in CROSSING.items():
        for what in ("run", "count", "contains", "sizes", "members", "changes"):
            asked[f"{what} of {name}"] = QUESTIONS[what].format(name=literal(name), at=AT).replace("(0, 40)", "(0, 9)")
        for what in ("evaluate", "preview"):
            asked[f"{what} of {name}, unsaved"] = OF_RULES[what].format(rule=literal(rule), at=AT)
        asked[f"whole of {name}, explained"] = f"SELECT condition, customers FROM cohort_explain({literal(name)}, {AT}) WHERE path = '$'"
        asked[f"whole of {name}, why"] = f"SELECT condition, holds FROM cohort_why({literal(name)}, 'c3', {AT}) WHERE path = '$'"
    asked |= {
        "overlap of those": f"SELECT * FROM cohort_overlap(ARRAY['top', 'house', 'share', 'named'], {AT})",
        "waterfall of those": f"SELECT * FROM cohort_waterfall(ARRAY['nested', 'mean', 'quiet'], {AT}) ORDER BY 1",
        "figures of a ranking": f"SELECT * FROM cohort_figures({literal(PAID)}, 'top', {AT}) ORDER BY 1",
        "groups of a ranking": f"SELECT * FROM cohort_groups({literal(CROSSING['share'])}::jsonb, 'city', {AT}) ORDER BY 1",
        "overlap": f"SELECT * FROM cohort_overlap(ARRAY['bought', 'city', 'vip'], {AT})",
        "waterfall": f"SELECT * FROM cohort_waterfall(ARRAY['vip', 'city', 'bought'], {AT}) ORDER BY 1",
        "groups": f"SELECT * FROM cohort_groups('bought', 'city', {AT}) ORDER BY 1",
        "groups of a rule": f"SELECT * FROM cohort_groups('{{\"cohort\": \"then\"}}'::jsonb, 'city', {AT}) ORDER BY 1",
        "figures": f"SELECT * FROM cohort_figures({literal(PAID)}, as_of => {AT}) ORDER BY 1",
        "figures of a cohort": f"SELECT * FROM cohort_figures({literal(PAID)}, 'city', {AT}) ORDER BY 1",
        "figures of a rule": f"SELECT * FROM cohort_figures({literal(PAID)}, '{{\"cohort\": \"vip\"}}'::jsonb, {AT}) ORDER BY 1",
        "figures of an untyped rule": f"SELECT * FROM cohort_figures({literal(PAID)}, '{{\"cohort\": \"vip\"}}', {AT}) ORDER BY 1",
        "cohorts of a customer": f"SELECT * FROM cohort_of('c3', {AT})",
        "definitions": "SELECT name, kind, description, rule, owner, size FROM cohort_definition ORDER BY name",
        "sealing": "SELECT events > 0 FROM cohort_seal()",
        "properties": "SELECT event_type, property, types, events FROM cohort_property ORDER BY 1, 2",
        "events": "SELECT customer_id, event_type, occurred_at, data FROM cohort_event ORDER BY 1, 2, 3, 4::text",
        "profiles": "SELECT customer_id, profile FROM cohort_customer ORDER BY 1",
        "before and now": "SELECT cohort_count('dear', '2025-03-01 00:00+00'), (SELECT count(*) FROM cohort_run('dear'))",
        "the check of the index": "SELECT * FROM cohort_check()",
    }
    script = "\n".join(f"\\echo @@ {what}\n{sql};" for what, sql in asked.items())
    expected, got = (dict(part.split("\n", 1) for part in f"{server.ask(script)}\n".split("@@ ")[1:]) for server in (alone, coordinator))
    for what in asked:
        same(what, got[what], expected[what])
    found = sum(int(expected[f"count of {name}"]) for name in RULES)
    assert found > 500, f"the ten rules find {found} members only"
    few = [name for name in CROSSING if not 5 <= int(expected[f"count of {name}"]) < 400]
    same("rules of rankings and groups that find nobody or everybody", few, [])


def apply(coordinator, nodes):
    """A document of definitions, on every node."""
    names = "SELECT string_agg(name, ',' ORDER BY name COLLATE \"C\") FROM cohort_definition WHERE name LIKE 'applied%';"
    document = {"cohorts": [{"name": "applied a", "rule": {"cohort": "applied b"}}, {"name": "applied b", "rule": {"did": "cart"}},
                            {"name": "applied q", "query": "SELECT 'c3'::text AS customer_id"}]}
    save_as = "SET ROLE applying; SELECT name, action, gained, lost FROM cohort_apply({}{});"
    for server in (coordinator, *nodes):
        server.ask("CREATE ROLE applying LOGIN;")
    coordinator.ask("SELECT cohort_grant('editor', 'applying');")
    done = "applied b|create||\napplied a|create||\napplied q|create|1|0"
    same("a rehearsal", sorted(coordinator.rows(save_as.format(literal(document), ", dry_run => true"))), sorted(done.split("\n")))
    same("after it", coordinator.ask(names), "")
    same("applied", sorted(coordinator.rows(save_as.format(literal(document), ""))), sorted(done.split("\n")))
    same("on a node", [node.ask(names) for node in nodes], ["applied a,applied b"] * len(nodes))
    same("asked", coordinator.ask("SELECT cohort_count('applied a') = cohort_count('applied b'), cohort_count('applied q');"), "t|1")
    same("nothing is wrong", coordinator.ask("SELECT * FROM cohort_cluster_check();"), "")
    coordinator.refused("0A000", "SELECT * FROM cohort_apply('{\"cohorts\": [{\"name\": \"applied r\", \"rule\": {\"compare\": {\"did\": \"view\"}, \"operator\": \"gt\", \"to\": 5, \"over\": \"city\"}}]}');")
    done = "applied a|drop||\napplied b|drop||\napplied q|drop|0|1"
    same("dropped", coordinator.ask(save_as.format("'{\"cohorts\": []}'", ", prune => true")), done)
    same("on a node, then", [node.ask(names) for node in nodes], [""] * len(nodes))
    for server in (coordinator, *nodes):
        server.ask("DROP OWNED BY applying; DROP ROLE applying;")


def differential(coordinator):
    """The extension's own test of random rules, asked of the coordinator."""
    sys.path.insert(0, "tests/model")
    import features

    apart = sorted(set(features.LANDED) - {"rows"})
    subprocess.run(
        [sys.executable, "differential.py", "--committed", "--seed", "101", "--cases", os.environ.get("CLUSTER_CASES", "3")],
        cwd="tests/model",
        env={**coordinator.env, "FEATURES": ",".join(apart)},
        check=True,
    )


def main():
    began = time.monotonic()

    def step(text):
        print(f"{time.monotonic() - began:4.0f} s  {text}", flush=True)

    alone, coordinator = Server(), Server(COORDINATOR).make()
    nodes = [Server(name).make() for name in NODES]
    layer(coordinator)
    addresses = [node.address() for node in nodes]
    made = coordinator.rows(f"SELECT * FROM cohort_cluster_init('plproxy', {literal(addresses)});")
    same("the nodes", made, ["0|-2147483648|-715827884", "1|-715827883|715827881", "2|715827882|2147483647"])
    same("the hash of ids", coordinator.ask("SELECT hashtext('asha'), hashtext('ß');"), "-1353369455|-1541111980")
    same("a new cluster", coordinator.ask("SELECT * FROM cohort_cluster_check(true);"), "")
    step("made; random rules")
    differential(coordinator)
    step("ten rules against one server")
    for server in (alone, coordinator):
        server.ask(data())
        save(server)
    compare(coordinator, alone)
    apply(coordinator, nodes)
    step("what holds")
    promises.check(coordinator, nodes)
    step("guards")
    guards.check(coordinator, nodes)
    step("a move with a writer")
    move.check(coordinator, nodes)
    step("one audience")
    syncs.check(coordinator, nodes)
    step("Citus's SQL")
    citus.check(coordinator)
    same("the cluster in the end", coordinator.ask("SELECT * FROM cohort_cluster_check(true);"), "")
    step("done")


if __name__ == "__main__":
    main()
