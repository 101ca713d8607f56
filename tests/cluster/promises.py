"""The table of guarantees in docs/CLUSTER.md, line by line."""

import subprocess

from shop import Server, literal, same


def customer_of(coordinator, node):
    """A customer whom a node holds."""
    return coordinator.ask(
        f"SELECT min('x' || i) FROM generate_series(1, 100) i, kursaha_cohort_cluster.home('x' || i) h WHERE h.shard = {node};"
    )


def transactions(coordinator, nodes):
    # A call is committed when it returns.
    coordinator.ask("BEGIN; SELECT cohort_track('rolled', 'kept'); ROLLBACK;")
    same("an event tracked in a transaction that ended in ROLLBACK", coordinator.ask("SELECT cohort_preview('{\"did\": \"kept\"}');"), "(1,416,{rolled})")
    # Rows of INSERT and COPY are not, nor those of captured tables.
    coordinator.ask("BEGIN; INSERT INTO cohort_event (customer_id, event_type) SELECT 'r' || i, 'gone' FROM generate_series(1, 9) i; ROLLBACK;")
    coordinator.ask("CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total numeric);"
                    "SELECT cohort_capture('orders', 'order', 'customer', data_columns => '{total}');"
                    "BEGIN; INSERT INTO orders VALUES (1, 'r1', 5); ROLLBACK;")
    same("rows of rolled back statements", coordinator.ask("SELECT count(*) FROM cohort_event WHERE event_type IN ('gone', 'order');"), "0")
    coordinator.ask("INSERT INTO orders SELECT i, 'buyer' || i, i FROM generate_series(1, 20) i; INSERT INTO orders VALUES (21, NULL, 5);")
    same("captured rows", coordinator.ask("SELECT count(*), sum((data ->> 'total')::int) FROM cohort_event WHERE event_type = 'order';"), "20|210")
    same("captured rows, asked", coordinator.ask("SELECT cohort_preview('{\"did\": \"order\"}', 0);").split(",")[0], "(20")
    same("what the coordinator keeps", coordinator.ask("SELECT count(*) FROM public.cohort_event;"), "0")
    coordinator.refused("0A000", "SELECT cohort_capture_profile('orders', 'customer');")


def batches(coordinator, nodes):
    entries = [{"customerId": f"b{n}", "eventType": "batch", "eventKey": f"k{n}"} for n in range(30)]
    batch = lambda part: f"SELECT * FROM cohort_track_batch({literal({'signals': part})});"
    same("a batch", coordinator.ask(batch(entries)), "30|0")
    same("half of it again", coordinator.ask(batch(entries[:15])), "0|15")
    same("over all nodes", len([n for n in nodes if n.ask("SELECT count(*) FROM cohort_event WHERE event_type = 'batch';") != "0"]), 3)
    bad = [*entries[:3], {"customerId": "None", "eventType": "worse"}, {"customerId": "b1", "eventType": "worse"}]
    assert "signals[3]" in coordinator.refused("22023", batch(bad)), "the bad entry is not named"
    same("a bad batch", coordinator.ask("SELECT count(*) FROM cohort_event WHERE event_type = 'worse';"), "0")
    # The coordinator's own function hands rows on, and counts what it handed on.
    same("rows handed on", coordinator.ask("SELECT * FROM public." + batch([{"customerId": "d1", "eventType": "door"}])[14:]), "1|0")
    same("a key is stored once a customer", coordinator.ask(
        "SELECT cohort_track('b1', 'once', event_key => 'same') = cohort_track('b1', 'once', event_key => 'same');"), "t")
    coordinator.ask("SELECT cohort_track(42, 'number'), cohort_track('0b5e4ad2-3f2e-4d7c-9f3a-8f6f1d1c0a11'::uuid, 'number');"
                    "SELECT cohort_identify(42, '{\"a\": 1}'); SELECT cohort_identify('{\"customerId\": \"42\", \"customerData\": {\"b\": 2}}');")
    same("ids that are numbers", coordinator.ask("SELECT profile FROM cohort_customer WHERE customer_id = '42';"), '{"a": 1, "b": 2}')
    coordinator.ask("SELECT cohort_create('numbers', '{\"did\": \"number\"}');")
    same("asked by number", coordinator.ask("SELECT cohort_contains('numbers', 42), (SELECT holds FROM cohort_why('numbers', 42));"), "t|t")
    same("forgotten by number", coordinator.ask("SELECT * FROM cohort_forget(42);"), "1|1|0")
    same("afterwards", coordinator.ask("SELECT cohort_contains('numbers', 42);"), "f")
    coordinator.ask("SELECT cohort_drop('numbers');")


def a_node_down(coordinator, nodes):
    customers = [customer_of(coordinator, node) for node in range(3)]
    for customer in customers:
        coordinator.ask(f"SELECT cohort_track('{customer}', 'up');")
    coordinator.ask("SELECT cohort_create('up', '{\"did\": \"up\"}'); SELECT * FROM cohort_refresh('up');")
    nodes[1].shut_down()
    coordinator.refused("XX000", "SELECT cohort_count('up');")
    coordinator.refused("XX000", f"SELECT cohort_track('{customers[1]}', 'up');")
    same("other customers", coordinator.ask(f"SELECT cohort_contains('up', '{customers[0]}'), cohort_track('{customers[2]}', 'up') > 0;"), "t|t")
    same("the status", coordinator.ask("SELECT string_agg(reachable::text, ',' ORDER BY node) FROM cohort_cluster_status;"), "true,false,true")
    same("the check", coordinator.ask("SELECT node, problem FROM cohort_cluster_check();"), "1|the node does not respond")
    coordinator.refused("XX000", "SELECT cohort_create('halfway', '{\"did\": \"up\"}');")
    nodes[1].come_back()
    # A definition that one node refuses is not there, and what it left on others is found.
    nodes[1].ask("ALTER TABLE kursaha_cohort.cohort ADD CONSTRAINT no CHECK (name <> 'halfway');")
    coordinator.refused("23514", "SELECT cohort_create('halfway', '{\"did\": \"up\"}');")
    nodes[1].ask("ALTER TABLE kursaha_cohort.cohort DROP CONSTRAINT no;")
    coordinator.refused("42704", "SELECT cohort_count('halfway');")
    # The error of one node can cancel the statement on another one before it commits there.
    for node in (nodes[0], nodes[2]):
        if node.ask("SELECT count(*) FROM cohort_definition WHERE name = 'halfway';") == "0":
            node.ask("SELECT cohort_create('halfway', '{\"did\": \"up\"}');")
    found = coordinator.rows("SELECT node, detail FROM cohort_cluster_check();")
    same("what it left", found, ["0|halfway: not on the coordinator", "2|halfway: not on the coordinator"])
    coordinator.ask("SELECT cohort_create('halfway', '{\"did\": \"view\"}'); SELECT cohort_drop('halfway');")
    same("after another attempt", coordinator.ask("SELECT * FROM cohort_cluster_check();"), "")
    same("all there again", coordinator.ask("SELECT cohort_count('up');"), "3")
    # A refresh that reached some nodes is no refresh of all.
    nodes[0].ask("SELECT * FROM cohort_refresh('up');")
    assert "did not reach every node" in coordinator.refused("55000", "SELECT * FROM cohort_members('up');")
    same("its history", coordinator.ask("SELECT count(*) FROM cohort_history('up');"), "1")
    coordinator.ask("SELECT * FROM cohort_refresh('up');")
    same("its members", coordinator.ask("SELECT count(*) FROM cohort_members('up');"), "3")
    coordinator.ask("SELECT cohort_drop('up');")


def privileges(coordinator, nodes):
    for server in (coordinator, *nodes):
        server.ask("CREATE ROLE asking LOGIN; CREATE ROLE editing LOGIN; CREATE ROLE sending LOGIN;")
    coordinator.ask("SELECT cohort_grant('reader', 'asking'); SELECT cohort_grant('editor', 'editing'); SELECT cohort_grant('ingest', 'sending');")
    asking, editing, sending = (Server(coordinator.name, role=role) for role in ("asking", "editing", "sending"))
    everybody = coordinator.ask("SELECT cohort_count('bought');")
    same("a reader's question", asking.ask("SELECT cohort_count('bought');"), everybody)
    asking.refused("42501", "SELECT cohort_create('mine', '{\"did\": \"view\"}');")
    asking.refused("42501", "SELECT cohort_track('c1', 'view');")
    asking.refused("42501", "SELECT kursaha_cohort_cluster.send_drop('bought', NULL, NULL, '{0,1,2}', '{}', '{}');")
    same("what an editor makes", editing.ask("SELECT cohort_create('mine', '{\"did\": \"view\"}') > 0;"), "t")
    same("its owner, everywhere", {n.ask("SELECT owner FROM cohort_definition WHERE name = 'mine';") for n in nodes}, {"editing"})
    same("its refresh", editing.ask("SELECT size > 0 FROM cohort_refresh('mine');"), "t")
    editing.ask("SELECT cohort_rename('mine', 'yours'); SELECT cohort_update('yours', '{\"did\": \"cart\"}');")
    editing.refused("42501", "SELECT cohort_drop('bought');")
    same("another's cohort is still there", coordinator.ask("SELECT cohort_count('bought');"), everybody)
    same("a sender's event", sending.ask("SELECT cohort_track('sent', 'view') > 0;"), "t")
    sending.ask("INSERT INTO cohort_event (customer_id, event_type) VALUES ('sent', 'view'), ('sent2', 'view');")
    sending.refused("42501", "SELECT cohort_count('bought');")
    # A question is the asking role's on the nodes: row policies hold there.
    nodes[0].ask("ALTER TABLE cohort_event ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON cohort_event TO asking USING (false);")
    assert int(asking.ask("SELECT cohort_count('bought');")) < int(everybody), "a row policy of a node was passed"
    nodes[0].ask("DROP POLICY own ON cohort_event; ALTER TABLE cohort_event DISABLE ROW LEVEL SECURITY;")
    editing.ask("SELECT cohort_drop('yours');")


def names(coordinator):
    """Every public function of kursaha_cohort has one of its arguments before it, or is right as it is."""
    left = coordinator.ask("""
        SELECT f.oid::regprocedure FROM pg_proc f WHERE f.pronamespace = 'public'::regnamespace AND f.proname LIKE 'cohort\\_%'
        AND NOT kursaha_cohort_cluster.is_local(f.proname) AND pg_function_is_visible(f.oid) AND f.prokind = 'f';""")
    same("functions that would ask the coordinator's own tables", left, "")
    public = coordinator.ask("""
        SELECT f.oid::regprocedure FROM pg_proc f WHERE f.pronamespace IN ('shop'::regnamespace, 'kursaha_cohort_cluster'::regnamespace)
        AND (f.proacl IS NULL OR f.proacl::text ~ '[{,]=') AND f.proname ~ '^(cohort|send|node)_';""")
    same("functions that everyone may call", public, "")
    silent = coordinator.ask("""
        SELECT f.oid::regprocedure FROM pg_proc f WHERE f.pronamespace IN ('shop'::regnamespace, 'kursaha_cohort_cluster'::regnamespace)
        AND obj_description(f.oid, 'pg_proc') IS NULL AND f.proname ~ '^(cohort|send|node)_';""")
    same("functions without a comment", silent, "")
    over = '{"compare": {"did": "view"}, "operator": "gt", "to": 5, "over": "city"}'
    coordinator.refused("0A000", f"SELECT cohort_groups('{over}'::jsonb, 'city');")
    coordinator.refused("0A000", f"SELECT cohort_create('g', '{over}');")
    coordinator.refused("0A000", "SELECT cohort_sync_create('bought', 'nowhere');")


def restored(coordinator, nodes):
    """A dump of the coordinator makes a second one."""
    coordinator.ask("CREATE DATABASE second;")
    dump = subprocess.run(["pg_dump"], env=coordinator.env, check=True, capture_output=True, text=True).stdout
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"], input=dump,
                   env={**coordinator.env, "PGDATABASE": "second"}, check=True, text=True)
    second = Server(coordinator.name, database="second")
    second.ask("ALTER DATABASE second SET search_path = shop, public;")
    same("a second coordinator", second.ask("SELECT cohort_count('then', '2025-06-15 00:00+00');"),
         coordinator.ask("SELECT cohort_count('then', '2025-06-15 00:00+00');"))
    same("its check", second.ask("SELECT * FROM cohort_cluster_check();"), "")
    second.ask("SELECT * FROM cohort_cluster_init('plproxy');")
    coordinator.ask("DROP DATABASE second WITH (FORCE);")


def check(coordinator, nodes):
    names(coordinator)
    transactions(coordinator, nodes)
    batches(coordinator, nodes)
    privileges(coordinator, nodes)
    a_node_down(coordinator, nodes)
    restored(coordinator, nodes)
