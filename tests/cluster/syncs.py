"""One audience from the customers of all nodes: a sync of a query cohort on the coordinator, so that whether an address is shared,
and the guards, are judged over all of them."""

import sys

from shop import Server, same

sys.path.insert(0, "tests/faults")
import harness  # noqa: E402

QUERY = "SELECT m.customer_id, p.profile FROM shop.cohort_run('reached', $1) m LEFT JOIN shop.cohort_customer p USING (customer_id)"


class Coordinator(harness.Server):
    """The coordinator as a server with workers, which is there already."""

    def __init__(self, coordinator, fake):
        self.name, self.fake, self.database = coordinator.name, fake, "postgres"
        self.env = coordinator.env
        self.furnish(harness.DIRECTORY)
        self.allow()


def check(coordinator, nodes):
    fake = harness.Fake(harness.DIRECTORY / "fake")
    try:
        for server in (coordinator, *nodes[:2], Server("cl-new")):  # node 2 has moved
            server.ask("CREATE ROLE app LOGIN;")
        coordinator.ask("SELECT cohort_grant('operator', 'app');")
        audience(coordinator, nodes, Coordinator(coordinator, fake))
    finally:
        fake.stop()


def audience(coordinator, nodes, server):
    coordinator.ask("""
        INSERT INTO cohort_customer (customer_id, profile)
            SELECT 's' || i, jsonb_build_object('email', CASE WHEN i IN (1, 2, 3) THEN 'home' ELSE 's' || i END || '@example.com') FROM generate_series(1, 60) i;
        SELECT cohort_track('s' || i, 'reached') FROM generate_series(1, 60) i;
        SELECT cohort_create('reached', '{"did": "reached"}');""")
    spread = coordinator.ask("SELECT count(DISTINCT h.shard) FROM generate_series(1, 3) i, kursaha_cohort_cluster.home('s' || i) h;")
    assert int(spread) > 1, "the customers with one address are on one node"
    config = f"{{\"ad_account_id\": \"12\", \"audience_name\": \"reached\", \"base_url\": \"{server.fake.url}\"}}"
    server.app(f"SELECT cohort_destination_create('fb', 'facebook_ads', '{config}', secret => 'file:meta')")
    server.refused("SELECT cohort_sync_create('reached', 'fb', 'daily', '02:30')", "is not a query", "cohort_create_query")
    server.refused("SELECT cohort_suppress('reached', 'fb')", "is not a query")
    server.app(f"SELECT cohort_create_query('reached everywhere', $${QUERY}$$)")
    server.app("SELECT cohort_sync_create('reached everywhere', 'fb', 'daily', '02:30')")
    queries(coordinator, server)

    def sync(state="success"):
        server.sync("reached everywhere", "fb", state)

    def emails():
        return sorted(row["EMAIL"] for row in server.fake.audience("reached"))

    sync()
    everybody = sorted(map(harness.sha, ["home@example.com", *(f"s{n}@example.com" for n in range(4, 61))]))
    same("the audience", emails(), everybody)
    # Who shares an address with somebody on another node leaves; then somebody alone.
    coordinator.ask("DELETE FROM cohort_event WHERE event_type = 'reached' AND customer_id IN ('s1', 's2');")
    sync()
    same("an address that is shared over nodes", emails(), everybody)
    coordinator.ask("DELETE FROM cohort_event WHERE event_type = 'reached' AND customer_id IN ('s3', 's4');")
    sync()
    left = sorted(set(everybody) - set(map(harness.sha, ["home@example.com", "s4@example.com"])))
    same("after the last of them", emails(), left)
    # A fixed list is suppressed, though the coordinator holds nobody.
    coordinator.ask("SELECT cohort_import('calm', '{s5}'); SELECT cohort_suppress('calm', 'fb');")
    server.until("SELECT suppressed = 1 FROM cohort_sync_status WHERE destination = 'fb'", "the run counts who is suppressed")
    same("with a list suppressed", emails(), sorted(set(left) - {harness.sha("s5@example.com")}))
    coordinator.ask("SELECT cohort_unsuppress('calm', 'fb'); SELECT cohort_drop('calm');")
    sync()
    # A node that is down changes nothing, and what would take most away is held.
    nodes[0].shut_down()
    server.app("SELECT cohort_sync_now('reached everywhere', 'fb')")
    server.until("SELECT bool_or(r.error LIKE '%connect%') FROM cohort_sync_run r", "the run says that it cannot connect")
    same("with a node down", emails(), left)
    nodes[0].come_back()
    server.until("SELECT run_id IS NULL FROM kursaha_cohort.sync", "that run has ended")
    sync()
    same("when it is back", emails(), left)
    coordinator.ask("DELETE FROM cohort_event WHERE event_type = 'reached';")
    sync("held")
    same("what is held", emails(), left)
    server.app("SELECT cohort_sync_drop('reached everywhere', 'fb'); SELECT cohort_drop('reached everywhere')")
    coordinator.ask("SELECT cohort_drop('reached');")


def queries(coordinator, server):
    """What takes a query cohort on the coordinator, and what does not."""
    everywhere = "SELECT cohort_count('reached everywhere'), cohort_contains('reached everywhere', 's9'), cohort_contains('reached everywhere', 'c3')"
    same("a query over all nodes", coordinator.ask(f"{everywhere};"), "60|t|f")
    same("the same by its owner", server.app(everywhere), "60|t|f")
    same("its members", coordinator.ask("SELECT count(*), count(DISTINCT m) FROM cohort_run('reached everywhere') m;"), "60|60")
    same("as of an earlier time", coordinator.ask("SELECT cohort_count('reached everywhere', '2020-01-01 00:00+00');"), "0")
    same("an overlap", coordinator.ask("SELECT * FROM cohort_overlap('{reached,reached everywhere}');"),
         "{reached}|60|0\n{reached everywhere}|60|0\n{reached,reached everywhere}|60|60".replace("{reached everywhere}", '{"reached everywhere"}')
         .replace("{reached,reached everywhere}", '{reached,"reached everywhere"}'))
    same("a refresh", server.app("SELECT size, entered FROM cohort_refresh('reached everywhere')"), "60|60")
    same("its history", coordinator.ask("SELECT size FROM cohort_history('reached everywhere');"), "60")
    same("stored members", coordinator.ask("SELECT count(*) FROM cohort_members('reached everywhere');"), "60")
    same("the list", coordinator.ask("SELECT kind, size FROM cohort_definition WHERE name = 'reached everywhere';"), "query|60")
    same("a customer's cohorts", coordinator.ask("SELECT cohort FROM cohort_of('s9');"), "reached")
    same("nothing is wrong", coordinator.ask("SELECT * FROM cohort_cluster_check(true);"), "")
    coordinator.refused("22023", "SELECT cohort_evaluate('{\"cohort\": \"reached everywhere\"}');")
    coordinator.refused("22023", "SELECT cohort_create('x', '{\"cohort\": \"reached everywhere\"}');")
    same("renamed", coordinator.ask("SELECT cohort_rename('reached everywhere', 'all') > 0; SELECT cohort_count('all');"), "t\n60")
    same("and back", server.app("SELECT cohort_rename('all', 'reached everywhere') > 0"), "t")
