"""One audience from the customers of all nodes: a database of its own has the members' profiles and the list, as
docs/CLUSTER.md says, so that whether an address is shared, and the guards, are judged over all of them."""

import sys

from shop import literal, same

sys.path.insert(0, "tests/faults")
import harness  # noqa: E402

MIRROR = """
BEGIN;
CREATE TEMPORARY TABLE found ON COMMIT DROP AS SELECT * FROM reached_members;
INSERT INTO cohort_customer (customer_id, profile) SELECT customer_id, coalesce(profile, '{}') FROM found
    ON CONFLICT (customer_id) DO UPDATE SET profile = excluded.profile WHERE cohort_customer.profile <> excluded.profile;
SELECT cohort_import('reached', ARRAY(SELECT customer_id FROM found));
COMMIT;
"""


def check(coordinator, nodes):
    coordinator.ask("""
        INSERT INTO cohort_customer (customer_id, profile)
            SELECT 's' || i, jsonb_build_object('email', CASE WHEN i IN (1, 2, 3) THEN 'home' ELSE 's' || i END || '@example.com') FROM generate_series(1, 60) i;
        SELECT cohort_track('s' || i, 'reached') FROM generate_series(1, 60) i;
        SELECT cohort_create('reached', '{"did": "reached"}');
        CREATE VIEW shop.reached_members AS
            SELECT m.customer_id, p.profile FROM cohort_run('reached') m LEFT JOIN cohort_customer p USING (customer_id);""")
    spread = coordinator.ask("SELECT count(DISTINCT h.shard) FROM generate_series(1, 3) i, kursaha_cohort_cluster.home('s' || i) h;")
    assert int(spread) > 1, "the customers with one address are on one node"
    fake = harness.Fake(harness.DIRECTORY / "fake")
    server = harness.Server("cl-sync", fake, harness.DIRECTORY)
    try:
        server.ask(f"""
            CREATE EXTENSION postgres_fdw;
            CREATE SERVER coordinator FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host {literal(coordinator.env["PGHOST"])}, dbname 'postgres');
            CREATE USER MAPPING FOR app SERVER coordinator OPTIONS (user 'postgres', password_required 'false');
            CREATE FOREIGN TABLE reached_members (customer_id text, profile jsonb) SERVER coordinator OPTIONS (schema_name 'shop', table_name 'reached_members');
            GRANT SELECT ON reached_members TO app;""")
        server.app(MIRROR)
        config = literal({"ad_account_id": "12", "audience_name": "reached", "base_url": fake.url})
        server.app(f"SELECT cohort_destination_create('fb', 'facebook_ads', {config}, secret => 'file:meta');"
                   "SELECT cohort_sync_create('reached', 'fb', 'daily', '02:30');")
        server.sync("reached", "fb")

        def audience():
            return sorted(row["EMAIL"] for row in fake.audience("reached"))

        everybody = sorted(map(harness.sha, ["home@example.com", *(f"s{n}@example.com" for n in range(4, 61))]))
        same("the audience", audience(), everybody)
        # Who shares an address with somebody on another node leaves; then somebody alone.
        coordinator.ask("DELETE FROM cohort_event WHERE event_type = 'reached' AND customer_id IN ('s1', 's2');")
        server.app(MIRROR)
        server.sync("reached", "fb")
        same("an address that is shared over nodes", audience(), everybody)
        coordinator.ask("DELETE FROM cohort_event WHERE event_type = 'reached' AND customer_id IN ('s3', 's4');")
        server.app(MIRROR)
        server.sync("reached", "fb")
        same("after the last of them", audience(), sorted(set(everybody) - set(map(harness.sha, ["home@example.com", "s4@example.com"]))))
        # A node that is down changes nothing, and what would take most away is held.
        left = audience()
        nodes[0].shut_down()
        server.refused(MIRROR, "connection to server")
        nodes[0].come_back()
        server.sync("reached", "fb")
        same("with a node down", audience(), left)
        coordinator.ask("DELETE FROM cohort_event WHERE event_type = 'reached';")
        server.app(MIRROR)
        server.sync("reached", "fb", state="held")
        same("what is held", audience(), left)
    finally:
        server.stop()
        fake.stop()
    coordinator.ask("DROP VIEW shop.reached_members; SELECT cohort_drop('reached');")
