"""A run that compares what changed does what one that compares all members would do, whatever happened before it.

CHANGES_SEED and CHANGES_STEPS in the environment repeat a history, or make it longer.
"""

import json
import os
import random
import time
import unittest

from harness import Case, sha

STEPS = int(os.environ.get("CHANGES_STEPS", "45"))


class Changes(Case):
    name = "changes"

    def preview(self, name, sql=""):
        """What a run would do, and whether it would compare all members."""
        return self.server.ask(f"BEGIN; {sql}; SELECT adds, removes, unchanged, skipped, held FROM cohort_sync_preview('{name}', '{name}'); "
                               "ROLLBACK").strip()

    def agrees(self, name, what):
        """The preview by what is kept equals the one without it. An erasure requests a run, which must not end between the two."""
        self.rests()
        by_changes = self.preview(name)
        whole = self.preview(name, f"DELETE FROM kursaha_cohort.sync_told WHERE sync_id = {self.sync_id(name)}")
        self.assertEqual(by_changes, whole, f"{name}: {what}")

    def rests(self):
        self.server.until("SELECT bool_and(run_id IS NULL AND requested IS NULL) FROM kursaha_cohort.sync", "every run ends")

    def sync_id(self, name):
        return self.server.ask("SELECT s.sync_id FROM kursaha_cohort.sync s JOIN kursaha_cohort.cohort c USING (cohort_id) "
                               f"JOIN kursaha_cohort.destination d USING (destination_id) WHERE c.name = '{name}' AND d.name = '{name}'")

    def compared(self):
        return self.server.ask("SELECT compared FROM cohort_sync_run ORDER BY run_id DESC LIMIT 1")

    def ledger(self, name):
        return self.server.ask("SELECT coalesce(string_agg(customer_id, ' ' ORDER BY customer_id COLLATE \"C\"), '') FROM kursaha_cohort.sync_member "
                               f"WHERE sync_id = {self.sync_id(name)} AND NOT leaving")

    def reachable(self, name):
        """The members with an address, which the ledger must have after a run."""
        return self.server.ask("SELECT coalesce(string_agg(m.customer_id, ' ' ORDER BY m.customer_id COLLATE \"C\"), '') "
                               f"FROM cohort_run('{name}') m (customer_id) JOIN cohort_customer c USING (customer_id) "
                               "WHERE c.profile ->> 'email' IS NOT NULL")

    def expected(self, cohort):
        """Only of the members with an address."""
        text = self.server.ask(f"SELECT coalesce(json_agg(DISTINCT c.profile ->> 'email'), '[]') FROM cohort_run('{cohort}') m (customer_id) "
                               "JOIN cohort_customer c USING (customer_id) WHERE c.profile ->> 'email' IS NOT NULL")
        return sorted(sha(email) for email in json.loads(text))

    def right(self, name, what):
        # As sets: a row of the audience whose address a member shares stays beside that of the member.
        self.assertEqual(set(self.emails(name)) ^ set(self.expected(name)), set(), f"{name}: {what}")
        self.assertEqual(set(self.ledger(name).split()) ^ set(self.reachable(name).split()), set(), f"{name}: {what}")
        delivered, rows = self.server.ask(
            "SELECT delivered, (SELECT count(*) FROM kursaha_cohort.sync_member m WHERE m.sync_id = s.sync_id AND NOT m.leaving) "
            f"FROM kursaha_cohort.sync s WHERE s.sync_id = {self.sync_id(name)}").split("|")
        self.assertEqual(delivered, rows, f"{name}: {what}")
        self.agrees(name, f"after a run: {what}")

    def start(self, name, rule='{"did": "purchase"}'):
        self.facebook(name, batch_rows=300)
        self.server.app(f"SELECT cohort_create('{name}', '{rule}')")
        self.create(name, name)
        self.server.ask("SELECT cohort_seal()")
        self.server.sync(name, name)

    def test_what_is_compared(self):
        server = self.server
        self.start("plain")
        self.assertRegex(self.compared(), "^all members: ")
        server.sync("plain", "plain")
        self.assertEqual(self.compared(), "changes")
        self.assertEqual(server.ask("SELECT size, adds, removes FROM cohort_sync_run ORDER BY run_id DESC LIMIT 1").split("|")[1:], ["0", "0"])
        # A transaction that was under way while the last run compared.
        writer = server.begin("UPDATE cohort_customer SET profile = profile || '{\"email\": \"late@example.com\"}' WHERE customer_id = 'c7'")
        server.ask("INSERT INTO cohort_customer (customer_id, profile) VALUES ('x', '{}') ON CONFLICT DO NOTHING")
        server.sync("plain", "plain")
        writer("COMMIT")
        server.sync("plain", "plain")
        self.assertEqual(self.compared(), "changes")
        self.assertTrue(sha("late@example.com") in self.emails("plain"))
        self.right("plain", "a transaction across a run")
        # A property that is not in the mapping, and one that is.
        server.app("UPDATE cohort_customer SET profile = profile || '{\"pet\": \"cat\"}' WHERE customer_id IN ('c8', 'c9')")
        before = len(self.fake.call("log"))
        server.sync("plain", "plain")
        self.assertEqual(len(self.fake.call("log")), before)
        self.right("plain", "a property that is not sent")
        # A profile that is deleted, before and after the removal is sealed.
        for customer, seal in (("c10", False), ("c11", True)):
            server.app(f"DELETE FROM cohort_customer WHERE customer_id = '{customer}'")
            if seal:
                server.ask("SELECT cohort_seal()")
            server.sync("plain", "plain")
            self.assertFalse(sha(f"{customer}@example.com") in self.emails("plain"))
            self.right("plain", f"a deleted profile, sealed: {seal}")
        # One that its transaction wrote before it deleted it.
        server.app("BEGIN; UPDATE cohort_customer SET profile = '{}' WHERE customer_id = 'c12'; "
                   "DELETE FROM cohort_customer WHERE customer_id = 'c12'; COMMIT")
        server.sync("plain", "plain")
        self.assertFalse(sha("c12@example.com") in self.emails("plain"))
        self.right("plain", "a profile that was written and deleted")

    def test_when_all_are_compared(self):
        server = self.server
        self.start("whole")
        for what, why in (
            ("SELECT cohort_reindex()", "assigned ordinals again"),
            ("SELECT cohort_sync_resync('whole', 'whole')", "sent again"),
            ("SELECT cohort_destination_update('whole', config => config || '{\"mapping\": {\"CT\": null}}') "
             "FROM cohort_destination WHERE name = 'whole'", "mapping"),
            ("SELECT cohort_forget('c20')", "erased|assigned ordinals again|not known"),
            ("UPDATE kursaha_cohort.sync_told SET settled = settled || '\\x00' WHERE sync_id = (SELECT max(sync_id) FROM kursaha_cohort.sync_told)",
             "damaged"),
            ("UPDATE kursaha_cohort.sync_told SET home = '1/1'", "assigned ordinals again"),
            ("DELETE FROM kursaha_cohort.sync_told", "not known"),
        ):
            server.sync("whole", "whole")
            server.sync("whole", "whole")
            self.assertEqual(self.compared(), "changes", what)
            before = server.last_run()
            if "cohort_forget(" in what:
                server.ask(what)
                server.ended("whole", "whole", "success", before)
                self.assertRegex(server.ask(f"SELECT compared FROM cohort_sync_run WHERE run_id = (SELECT min(run_id) FROM cohort_sync_run WHERE cohort = 'whole' AND run_id > {before})"),
                                 f"^all members: .*({why})", what)
            else:
                server.ask(what)
                server.sync("whole", "whole")
                self.assertRegex(self.compared(), f"^all members: .*({why})", what)
            self.right("whole", what)

    def test_a_rule_with_rows_of_a_table(self):
        """The run reads the table with the privileges of the sync's owner, and follows its rows."""
        server = self.server
        server.ask("CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO app; CREATE TABLE shop.brand (id text PRIMARY KEY, kind text); "
                   "INSERT INTO shop.brand VALUES ('b1', 'own'), ('b2', 'other'); GRANT SELECT ON shop.brand TO app; "
                   "INSERT INTO cohort_customer (customer_id, profile) SELECT 'r' || i, jsonb_build_object('email', 'r' || i || '@example.com') "
                   "FROM generate_series(1, 20) i; "
                   "INSERT INTO cohort_event (customer_id, event_type, data) SELECT 'r' || i, 'order', jsonb_build_object('brand', 'b' || i % 2 + 1) "
                   "FROM generate_series(1, 20) i")
        self.start("rows", json.dumps({"did": "order", "where": {"property": "brand", "operator": "in", "rows": {
            "table": "shop.brand", "column": "id", "where": {"property": "kind", "operator": "eq", "value": "own"}}}}))
        self.assertEqual(len(self.emails("rows")), 10)
        self.right("rows", "the first run")
        server.ask("UPDATE shop.brand SET kind = CASE kind WHEN 'own' THEN 'other' ELSE 'own' END")
        server.sync("rows", "rows")
        self.assertEqual(self.compared(), "changes")
        self.assertEqual(len(self.emails("rows")), 10)
        self.right("rows", "other rows match")
        # Without the privilege the run sends nothing, and says what is missing.
        server.ask("REVOKE SELECT ON shop.brand FROM app")
        before = self.emails("rows")
        server.sync("rows", "rows", "failed")
        self.assertEqual(self.emails("rows"), before)
        self.assertRegex(server.ask("SELECT state, why FROM cohort_sync_status WHERE cohort = 'rows'"), r"^needs_attention\|.*brand")
        server.ask("GRANT SELECT ON shop.brand TO app; INSERT INTO shop.brand VALUES ('b3', 'own')")
        self.resumes("rows")

    def test_z_history(self):
        seed = int(os.environ.get("CHANGES_SEED", "1"))
        print(f"seed {seed}, {STEPS} steps")
        dice = random.Random(seed)
        server = self.server
        self.start("random", '{"and": [{"did": "purchase"}, {"not": {"did": "refund"}}]}')
        by_changes = runs = 0
        for step in range(STEPS):
            done = []
            for _ in range(dice.randint(0, 4)):
                done.append(self.happens(dice))
            what = f"seed {seed}, step {step}: {done}"
            self.agrees("random", what)
            before = server.last_run()
            trouble = dice.choice(("", "", "", "status", "rows", "kill"))
            if trouble == "status":
                self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"status": 500}})
            server.app("SELECT cohort_sync_now('random', 'random', true)")
            if trouble == "kill":
                pids = server.ask("SELECT string_agg(pid::text, ' ') FROM cohort_worker_status WHERE worker = 'kursaha_cohort sync'")
                time.sleep(dice.random() * 0.3)
                pids = server.ask("SELECT string_agg(pid::text, ' ') FROM cohort_worker_status WHERE worker = 'kursaha_cohort sync'") or pids
                for pid in pids.split():
                    server.ask(f"SELECT pg_terminate_backend({pid})")
            server.ended("random", "random", "success", before)
            self.fake.calm()
            self.rests()
            self.right("random", f"{what}, {trouble}")
            runs += 1
            by_changes += self.compared() == "changes"
        print(f"{runs} runs, {by_changes} of them by changes")
        self.assertGreater(by_changes, runs // 5)

    def happens(self, dice):
        """Something that a run must notice, or must not."""
        some = [f"c{dice.randint(1, 2000)}" for _ in range(dice.choice((1, 1, 5, 60)))]
        ids = ", ".join(f"'{customer}'" for customer in some)
        among = f"WHERE customer_id IN ({ids})"
        events = "INSERT INTO cohort_event (customer_id, event_type) SELECT unnest(ARRAY[{}]), '{}'"
        name, sql = dice.choice((
            ("enter", events.format(ids, "purchase")),
            ("leave", events.format(ids, "refund")),
            ("return", f"DELETE FROM cohort_event {among} AND event_type = 'refund'"),
            ("unbuy", f"DELETE FROM cohort_event {among} AND event_type = 'purchase'"),
            ("email", f"UPDATE cohort_customer SET profile = profile || jsonb_build_object('email', customer_id || 'v{dice.randint(1, 9)}@example.com') {among}"),
            ("pet", f"UPDATE cohort_customer SET profile = profile || '{{\"pet\": {dice.randint(1, 9)}}}' {among}"),
            ("shared", f"UPDATE cohort_customer SET profile = profile || '{{\"email\": \"home@example.com\"}}' {among}"),
            ("nothing to send", f"UPDATE cohort_customer SET profile = profile - 'email' {among}"),
            ("no profile", f"DELETE FROM cohort_customer {among}"),
            ("profile again", "INSERT INTO cohort_customer (customer_id, profile) SELECT c, jsonb_build_object('email', c || '@example.com') "
                              f"FROM unnest(ARRAY[{ids}]) c ON CONFLICT DO NOTHING"),
            ("newcomer", "INSERT INTO cohort_customer (customer_id, profile) VALUES ('n{0}', '{{\"email\": \"n{0}@example.com\"}}') ON CONFLICT DO NOTHING; "
                         "INSERT INTO cohort_event (customer_id, event_type) VALUES ('n{0}', 'purchase')".format(dice.randint(1, 30))),
            ("newcomer leaves", "INSERT INTO cohort_event (customer_id, event_type) SELECT customer_id, 'refund' FROM cohort_customer WHERE customer_id LIKE 'n%'"),
            ("rolled back", f"BEGIN; UPDATE cohort_customer SET profile = '{{}}' {among}; ROLLBACK"),
            ("seal", "SELECT cohort_seal()"),
            ("seal", "SELECT cohort_seal()"),
            ("reindex", "SELECT cohort_reindex()"),
            ("forget", f"SELECT cohort_forget('{some[0]}')"),
            ("resync", "SELECT cohort_sync_resync('random', 'random')"),
            ("mapping", f"SELECT cohort_destination_update('random', config => config || '{{\"mapping\": {{\"CT\": {dice.choice(('null', chr(34) + 'city' + chr(34)))}}}}}') "
                        "FROM cohort_destination WHERE name = 'random'"),
            ("damage", "UPDATE kursaha_cohort.sync_told SET checksum = checksum + 1"),
            ("lose", "DELETE FROM kursaha_cohort.sync_told"),
        ))
        self.server.ask(sql)
        return f"{name} {some[0]}" + (f" and {len(some) - 1} more" if len(some) > 1 else "")


if __name__ == "__main__":
    unittest.main()
