"""A node's database moves to another server while somebody writes: no write is refused, and none lost."""

import json
import subprocess
import threading

from shop import Refused, Server, literal, pg, same


class Writer(threading.Thread):
    """Tracks an event for one customer after the other until it is told to stop."""

    def __init__(self, coordinator, first):
        super().__init__(daemon=True)
        self.coordinator = coordinator
        self.first, self.second = first, chr(ord(first) + 1)
        self.stopped = threading.Event()
        self.tracked = 0
        self.refused = []

    def run(self):
        while not self.stopped.is_set():
            batch = "\n".join(
                f"SELECT cohort_track('{self.first}{n}', 'moving'); INSERT INTO cohort_event (customer_id, event_type) VALUES ('{self.second}{n}', 'moving');"
                for n in range(self.tracked, self.tracked + 20)
            )
            try:
                self.coordinator.ask(batch)
            except Refused as error:
                self.refused.append(str(error))
                return
            self.tracked += 20


def run(coordinator, *arguments):
    return subprocess.run(["cluster/move", *arguments], env=coordinator.env, capture_output=True, text=True)


def run_while_written(coordinator, first, *arguments):
    """A run that succeeds while somebody writes; the writer, who goes on for another second."""
    writer = Writer(coordinator, first)
    writer.start()
    done = run(coordinator, *arguments)
    assert done.returncode == 0, done
    print(f"           {done.stdout.splitlines()[-1]}", flush=True)
    writer.stopped.wait(1)
    writer.stopped.set()
    writer.join()
    return writer


def split(coordinator, nodes):
    """The upper half of a node's customers becomes a node's own, in another database, while somebody writes."""
    new = Server("cl-new")
    new.ask("CREATE DATABASE upper;")
    address = json.dumps(new.address("upper"))
    history = "SELECT size, entered, exited FROM cohort_history('bought');"
    asked = "SELECT cohort_count('bought'), cohort_count('then'), cohort_count('vip'), (SELECT count(*) FROM cohort_members('bought'));"
    before = [coordinator.ask(sql) for sql in (history, asked)]
    dry = run(coordinator, "--dry-run", "--split", "0", address)
    assert dry.returncode == 0 and "halve node 0; nothing was changed" in dry.stdout, dry
    same("nodes after a dry run", coordinator.ask("SELECT count(*) FROM cohort_cluster_status;"), "3")
    writer = run_while_written(coordinator, "p", "--split", "0", address)
    same("writes refused in a split", writer.refused, [])
    rows = "SELECT count(*), count(DISTINCT customer_id) FROM cohort_event WHERE event_type = 'moving' AND customer_id ~ '^[pq]';"
    same("events written in a split", coordinator.ask(rows), f"{2 * writer.tracked}|{2 * writer.tracked}")
    same("the ranges", coordinator.ask("SELECT node, lo, hi FROM cohort_cluster_status WHERE node IN (0, 3);"),
         "0|-2147483648|-1431655766\n3|-1431655765|-715827884")
    same("history and answers", [coordinator.ask(sql) for sql in (history, asked)], before)
    upper = Server("cl-new", database="upper")
    for server in (nodes[0], upper):
        held = "SELECT count(*) FROM cohort_event WHERE event_type = 'moving' AND customer_id ~ '^[pq]'"
        assert int(server.ask(f"{held};")) > 0, "a half is empty"
    same("the index of both halves", coordinator.ask("SELECT * FROM cohort_check();"), "")
    same("the cluster after a split", coordinator.ask("SELECT * FROM cohort_cluster_check(true);"), "")
    asking = Server(coordinator.name, role="asking")
    same("a reader's rights after a split", asking.ask("SELECT cohort_count('bought') > 0, (SELECT count(*) > 0 FROM cohort_customer);"), "t|t")
    coordinator.refused("22023", f"SELECT cohort_cluster_split(0, 5, {literal(address)});")


def check(coordinator, nodes):
    pg("start", "cl-new", "wal_level=logical")
    new = Server("cl-new")
    address = json.dumps(new.address())
    assert "lacks the roles asking, editing, sending" in run(coordinator, "2", address).stderr
    new.ask("CREATE ROLE asking LOGIN; CREATE ROLE editing LOGIN; CREATE ROLE sending LOGIN;")
    assert "no empty database" in run(coordinator, "2", json.dumps(nodes[1].address())).stderr
    assert "no node 7" in run(coordinator, "7", address).stderr
    dry = run(coordinator, "--dry-run", "2", address)
    assert dry.returncode == 0 and "nothing was changed" in dry.stdout, dry
    same("a dry run", new.ask("SELECT count(*) FROM pg_extension WHERE extname = 'kursaha_cohort';"), "0")

    # A definition, a membership and a key that go along.
    coordinator.ask("SELECT * FROM cohort_refresh('bought'); SELECT cohort_track('b1', 'once', event_key => 'moved');")
    members = coordinator.ask("SELECT count(*) FROM cohort_members('bought');")
    writer = run_while_written(coordinator, "m", "2", address)
    same("writes refused", writer.refused, [])
    assert writer.tracked > 40, "the writer hardly wrote"
    rows = "SELECT count(*), count(DISTINCT customer_id) FROM cohort_event WHERE event_type = 'moving';"
    same("events that were written", coordinator.ask(rows), f"{2 * writer.tracked}|{2 * writer.tracked}")
    same("asked", coordinator.ask("SELECT size FROM cohort_preview('{\"did\": \"moving\"}', 0);"), str(2 * writer.tracked))
    assert int(new.ask("SELECT count(*) FROM cohort_event WHERE event_type = 'moving';")) > 0, "nothing is there"
    same("the old place", nodes[2].ask("SHOW default_transaction_read_only;"), "on")
    same("the cluster", coordinator.ask("SELECT * FROM cohort_cluster_check(true);"), "")
    same("its index", coordinator.ask("SELECT * FROM cohort_check();"), "")
    same("memberships", coordinator.ask("SELECT count(*) FROM cohort_members('bought');"), members)
    asking = Server(coordinator.name, role="asking")
    same("a reader's rights", asking.ask("SELECT cohort_count('bought') > 0;"), "t")
    split(coordinator, nodes)
    same("new events", coordinator.ask("SELECT count(cohort_track('z' || i, 'new')) FROM generate_series(1, 9) i;"), "9")
    assert literal(new.env["PGHOST"])[1:-1] in coordinator.ask("SELECT address FROM cohort_cluster_status WHERE node = 2;")
