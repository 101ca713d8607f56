"""Faults that would be silent, and the check that detects each."""

from promises import customer_of
from shop import Server, layer, literal, same


def addresses(coordinator, order):
    """Lets PL/Proxy find the nodes in another order than the map has."""
    numbers = ", ".join(f"SET p{place} %L" for place in range(len(order)))
    values = ", ".join(f"(SELECT kursaha_cohort_cluster.connection(address) FROM kursaha_cohort_cluster.shard WHERE shard = {n})" for n in order)
    coordinator.ask(f"DO $$ BEGIN EXECUTE format('ALTER SERVER kursaha_cohort OPTIONS ({numbers})', {values}); END $$;")


def definitions(coordinator, nodes):
    expected = coordinator.ask("SELECT cohort_count('then', '2025-06-15 00:00+00');")
    for sql in (
        "SELECT cohort_update('left', '{\"did\": \"view\"}');",
        "SELECT cohort_import('vip', ARRAY['c1']);",
        "SELECT cohort_drop('then');",
        "DO $$ BEGIN PERFORM cohort_drop(n) FROM unnest(ARRAY['then', 'both', 'left']) n; END $$;",
    ):
        nodes[1].ask(sql)
        assert coordinator.rows("SELECT node FROM cohort_cluster_check();"), f"the check does not see {sql}"
        same(f"a count after {sql} on a node", coordinator.ask("SELECT cohort_count('then', '2025-06-15 00:00+00');"), expected)
        same("the definitions afterwards", coordinator.ask("SELECT * FROM cohort_cluster_check();"), "")
    # An unsaved rule that names one, and a role that may define nothing.
    nodes[2].ask("SELECT cohort_update('left', '{\"did\": \"view\"}');")
    question = "SELECT count(*) FROM cohort_evaluate('{\"cohort\": \"left\"}', '2025-06-15 00:00+00');"
    same("an unsaved rule", coordinator.ask(f"SET ROLE asking; {question}"), coordinator.ask("SELECT cohort_count('left', '2025-06-15 00:00+00');"))
    nodes[2].ask("SELECT cohort_update('left', '{\"did\": \"view\"}');")
    coordinator.refused("40001", f"SET default_transaction_read_only = on; {question}")
    same("asked again", coordinator.ask(question), coordinator.ask("SELECT cohort_count('left', '2025-06-15 00:00+00');"))
    # A definition that is not committed yet belongs to the transaction that makes it.
    same("in one transaction", coordinator.ask(
        "BEGIN; SELECT cohort_update('left', '{\"did\": \"purchase\"}') > 0; SELECT cohort_count('left') = cohort_count('bought'); ROLLBACK;"), "t\nt")
    same("after ROLLBACK", coordinator.ask(question), coordinator.ask("SELECT cohort_count('left', '2025-06-15 00:00+00');"))


def read_only(coordinator, nodes):
    """A node that takes no writes, as one whose move was killed."""
    nodes[1].ask("ALTER DATABASE postgres SET default_transaction_read_only = on;")
    found = coordinator.rows("SELECT node, problem, remedy LIKE '%RESET default_transaction_read_only%' FROM cohort_cluster_check();")
    same("the check of a read-only node", found, ["1|the node is read-only|t"])
    nodes[1].ask("SET default_transaction_read_only = off; ALTER DATABASE postgres RESET default_transaction_read_only;")
    same("the check afterwards", coordinator.ask("SELECT * FROM cohort_cluster_check();"), "")


def places(coordinator, nodes):
    mine, other = (customer_of(coordinator, node) for node in (0, 1))
    # Straight into the wrong node, in every way.
    for sql in (
        f"SELECT cohort_track('{other}', 'view');",
        f"SELECT cohort_identify('{other}', '{{}}');",
        f"INSERT INTO cohort_event (customer_id, event_type) VALUES ('{other}', 'view');",
        f"UPDATE cohort_event SET customer_id = '{other}' WHERE event_id = (SELECT min(event_id) FROM cohort_event);",
    ):
        nodes[0].refused("23514", sql)
    nodes[0].ask("CREATE TABLE own (id text); SELECT cohort_capture('own', 'own', 'id');")
    nodes[0].ask(f"INSERT INTO own VALUES ('{mine}'), ('{other}');")
    same("a captured row of another node's customer", nodes[0].ask("SELECT recorded, skipped FROM cohort_capture_status;"), "1|1")
    nodes[0].ask("SELECT cohort_release('own', 'own'); DROP TABLE own; DELETE FROM cohort_event WHERE event_type = 'own';")
    nodes[0].ask(f"SELECT cohort_track('{mine}', 'view');")

    # Two nodes exchanged, one of them twice.
    for order, wrong in (((1, 0, 2), 2), ((0, 0, 2), 1)):
        addresses(coordinator, order)
        coordinator.refused("55000", "SELECT cohort_count('bought');")
        coordinator.refused("55000", f"SELECT cohort_contains('bought', '{other}');")
        coordinator.refused("55000", f"SELECT cohort_track('{other}', 'view');")
        coordinator.refused("55000", "SELECT cohort_preview('{\"did\": \"view\"}');")
        found = coordinator.ask("SELECT count(*) FILTER (WHERE problem ~ 'in the map'), count(DISTINCT node) FROM cohort_cluster_check();")
        same("what the check says", found, f"{2 * wrong}|{wrong}")
    coordinator.ask("SELECT * FROM cohort_cluster_init('plproxy');")
    same("put right", coordinator.ask("SELECT * FROM cohort_cluster_check(true);"), "")

    # A node that lost its range takes everybody's rows: no question is answered with them.
    nodes[0].ask("DELETE FROM kursaha_cohort.owned;")
    nodes[0].ask(f"SELECT cohort_track('{other}', 'lost');")
    coordinator.refused("55000", "SELECT cohort_count('bought');")
    nodes[0].ask("SELECT kursaha_cohort.cohort_own(-2147483648, -715827884);")
    same("the check", coordinator.ask("SELECT node, detail FROM cohort_cluster_check(true);"), "0|1 customers")
    nodes[0].ask("DELETE FROM cohort_event WHERE event_type = 'lost';")

    # The doors.
    coordinator.ask("ALTER TABLE public.cohort_event DISABLE TRIGGER door;")
    same("without the door", coordinator.ask("SELECT problem FROM cohort_cluster_check();"), "the coordinator keeps rows of cohort_event instead of sending them to the nodes")
    coordinator.ask("INSERT INTO public.cohort_event (customer_id, event_type) VALUES ('kept', 'view');")
    same("with a row kept", coordinator.ask("SELECT count(*) FROM cohort_cluster_check();"), "2")
    coordinator.ask("DELETE FROM public.cohort_event; ALTER TABLE public.cohort_event ENABLE ALWAYS TRIGGER door;")


def beginnings(coordinator, nodes):
    twice = [nodes[0].address(), nodes[0].address()]
    coordinator.refused("55000", f"SELECT cohort_cluster_init('plproxy', {literal(twice)});")
    coordinator.ask("CREATE DATABASE other;")
    other = Server(coordinator.name, database="other").make()
    other.refused("42P15", "CREATE EXTENSION kursaha_cohort_cluster SCHEMA public;")
    layer(other)
    other.refused("55000", f"SELECT cohort_cluster_init('plproxy', {literal(twice)});")
    other.refused("22023", "SELECT cohort_cluster_init('plproxy', '[{\"host\": \"x\", \"password\": \"y\"}]');")
    other.refused("22023", "SELECT cohort_cluster_init('mysql');")
    other.ask("DROP EXTENSION kursaha_cohort_cluster;")
    coordinator.ask("DROP DATABASE other WITH (FORCE);")


def check(coordinator, nodes):
    definitions(coordinator, nodes)
    read_only(coordinator, nodes)
    places(coordinator, nodes)
    beginnings(coordinator, nodes)
    same("nothing left", coordinator.ask("SELECT * FROM cohort_cluster_check(true);"), "")
