"""Processes that end during a run: at chosen moments, and at random ones (the environment variable KILLS sets their number)."""

import os
import random
import subprocess
import sys
import time
import unittest

from harness import Case, Gate, sha


class Crashes(Case):
    name = "crashes"
    settings = {"kursaha_cohort.request_timeout": "30s"}

    @classmethod
    def tearDownClass(cls):
        cls.gate.close()
        super().tearDownClass()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gate = Gate(cls.fake.port)
        cls.server.set("allowed_hosts", f"127.0.0.1:{cls.fake.port}, 127.0.0.1:{cls.gate.port}")
        cls.turn = 0

    def setUp(self):
        """An audience behind the gate, with everyone in it."""
        type(self).turn += 1
        self.audience = f"crash{self.turn}"
        self.facebook(self.audience, base_url=f"https://127.0.0.1:{self.gate.port}", batch_rows=40)
        self.members(self.audience, 1, 100)
        self.create(self.audience, self.audience)
        self.converges(self.audience)

    def tearDown(self):
        self.gate.open = True

    def ask_for_change(self, first, last):
        self.members(self.audience, first, last)
        self.before = self.server.last_run()
        self.server.app(f"SELECT cohort_sync_now('{self.audience}', '{self.audience}')")

    def send_change(self, first, last):
        """The same, until a batch is recorded as on its way."""
        self.members(self.audience, first, last)
        self.before = self.under_way(self.audience)

    def reached(self, count):
        """Waits until a number of requests with rows have reached the fake."""
        for _ in range(300):
            if self.requests() >= count:
                return
            time.sleep(0.05)
        self.fail("no request came")

    def requests(self):
        return len(self.fake.seen("/users"))

    def recovers(self):
        """The run ends well after all, and nothing of it is in the way of the next."""
        self.server.up()
        self.ends_well(self.audience, self.before)
        self.converges(self.audience)

    def test_between_intent_and_send(self):
        """The batch is recorded and does not reach anyone; its members then leave the cohort, or stay."""
        for what in ("they stay", "they leave"):
            with self.subTest(what):
                self.gate.open = False
                self.send_change(30, 129)
                count = self.requests()
                if what == "they leave":
                    self.members(self.audience, 30, 110)
                self.server.kill(self.server.worker())
                self.server.up()
                self.assertEqual(self.requests(), count)
                self.gate.open = True
                self.recovers()
                self.members(self.audience, 1, 100)
                self.converges(self.audience)

    def test_between_answer_and_acknowledgement(self):
        """The destination has the batch and nobody knows; its members then leave the cohort, or stay."""
        for what in ("they stay", "they leave"):
            with self.subTest(what):
                count = self.requests()
                self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"apply": "before", "delay": 20}})
                self.ask_for_change(30, 129)
                self.reached(count + 1)
                if what == "they leave":
                    self.members(self.audience, 30, 110)
                self.server.kill(self.server.worker())
                self.recovers()
                self.members(self.audience, 1, 100)
                self.converges(self.audience)

    def test_suppressed_while_a_batch_is_under_way(self):
        """The batch carries members who are suppressed before its answer comes, and its worker is killed."""
        server = self.server
        count = self.requests()
        self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"apply": "before", "delay": 20}})
        self.ask_for_change(30, 129)
        self.reached(count + 1)
        # The crash must not take them away.
        server.ask("SET synchronous_commit = on; SELECT cohort_import('quiet', ARRAY(SELECT 'c' || i FROM generate_series(101, 110) i))")
        server.ask(f"SET synchronous_commit = on; SELECT cohort_suppress('quiet', '{self.audience}')")
        server.kill(server.worker())
        server.up()
        quiet = {sha(f"c{i}@example.com") for i in range(101, 111)}
        server.until(f"SELECT s.state = 'active' AND s.last_state = 'success' AND s.suppressed = 10 FROM cohort_sync_status s WHERE destination = '{self.audience}'",
                     "the run after the killed one leaves them out")
        self.assertEqual(set(self.emails(self.audience)), set(self.expected(self.audience)) - quiet)
        server.ask(f"SELECT cohort_unsuppress('quiet', '{self.audience}')")
        self.members(self.audience, 1, 100)
        self.converges(self.audience)

    def test_while_removing(self):
        count = self.requests()
        self.fake.script({"match": {"path": "/users", "method": "DELETE"}, "times": 1, "do": {"apply": "before", "delay": 20}})
        self.ask_for_change(1, 60)
        self.reached(count + 1)
        # Some of those who are being removed come back.
        self.members(self.audience, 1, 80)
        self.server.kill(self.server.worker())
        self.recovers()

    def test_scheduler_and_launcher_are_terminated(self):
        """The run goes on without them, and they come back."""
        for which in ("scheduler", "launcher"):
            with self.subTest(which):
                self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"delay": 10, "apply": "before"}})
                self.send_change(*((20, 119) if which == "scheduler" else (1, 100)))
                worker, pid = self.server.worker(), self.server.worker(which)
                self.server.ask(f"SELECT pg_terminate_backend({pid})")
                self.server.until(f"SELECT count(*) = 1 FROM cohort_worker_status WHERE worker = 'kursaha_cohort {which}' AND pid <> {pid}",
                                  f"another {which} comes")
                self.assertEqual(self.server.worker(), worker)
                self.recovers()

    def test_a_run_is_cancelled(self):
        self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"delay": 5, "apply": "before"}})
        self.send_change(20, 119)
        self.server.ask(f"SELECT pg_cancel_backend({self.server.worker()})")
        self.server.ended(self.audience, self.audience, "cancelled", self.before)
        self.converges(self.audience)

    def test_a_run_is_cancelled_while_it_evaluates(self):
        """Before the first request, too."""
        blocker = subprocess.Popen(["psql", "-Xq", "-d", "shop", "-c", "BEGIN; LOCK TABLE kursaha_cohort.sync_member; SELECT pg_sleep(60)"],
                                   env=self.server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.server.until("SELECT count(*) > 0 FROM pg_locks WHERE relation = 'kursaha_cohort.sync_member'::regclass AND mode = 'AccessExclusiveLock' AND granted", "a lock is held")
            self.ask_for_change(20, 119)
            pid = self.server.worker()
            self.server.until(f"SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = {pid}", "the worker waits for it")
            self.server.ask(f"SELECT pg_cancel_backend({pid})")
            time.sleep(0.3)
        finally:
            self.server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK TABLE%' AND pid <> pg_backend_pid()")
            blocker.wait(10)
        self.server.ended(self.audience, self.audience, "cancelled", self.before)
        self.converges(self.audience)

    def test_workers_are_killed_until_the_sync_is_left_alone(self):
        """Three crashes in a row: quarantined, with a remedy that works."""
        self.fake.script({"match": {"path": "/users"}, "times": 3, "do": {"delay": 20}})
        self.ask_for_change(20, 119)
        for crash in range(3):
            pid, count = self.server.worker(seconds=60), self.requests()
            self.reached(count or 1)
            time.sleep(0.5)
            self.server.kill(pid)
            self.server.up()
        self.server.until(f"SELECT state = 'quarantined' FROM cohort_sync_status WHERE cohort = '{self.audience}'", "it is left alone", 60)
        self.assertEqual(self.server.ask(f"SELECT last_state FROM cohort_sync_status WHERE cohort = '{self.audience}'"), "crashed")
        self.fake.calm()
        self.before = self.server.last_run()
        self.server.app(f"SELECT cohort_sync_resume('{self.audience}', '{self.audience}')")
        self.recovers()

    def test_at_random(self):
        """The worker, or the whole server, is killed at random moments of runs with several batches."""
        kills, chance = int(os.environ.get("KILLS", "10")), random.Random(os.environ.get("SEED", "1"))
        began = time.time()
        for kill in range(kills):
            first = chance.randrange(1, 300)
            self.ask_for_change(first, first + chance.randrange(60, 200))
            # Every answer takes a moment, so that moments differ.
            self.fake.calm()
            fault = chance.choice([{"apply": "before"}, {"apply": "before"}, {"apply": "before", "reset": True}, {"status": 500}])
            self.fake.script({"match": {"path": "/users"}, "times": chance.randrange(8), "do": {**fault, "delay": chance.random() / 4}})
            self.server.until(f"SELECT run_id > {self.before} FROM kursaha_cohort.sync_run ORDER BY run_id DESC LIMIT 1", "a run begins")
            time.sleep(chance.random())
            if chance.random() < 0.25:
                self.server.kill(self.server.postmaster())
                time.sleep(0.5)
                self.server.restart()
            else:
                pid = self.server.run("SELECT pid FROM cohort_worker_status WHERE worker = 'kursaha_cohort sync'").stdout.strip()
                if pid:
                    self.server.kill(int(pid))
            self.server.up()
            if self.server.ask(f"SELECT state FROM cohort_sync_status WHERE cohort = '{self.audience}'") in ("quarantined", "needs_attention"):
                self.server.app(f"SELECT cohort_sync_resume('{self.audience}', '{self.audience}')")
            if sys.stderr.isatty() or kill % 10 == 9:
                print(f"  {kill + 1} of {kills} kills, {time.time() - began:.0f} s", flush=True)
        self.fake.calm()
        self.server.until(f"SELECT state = 'active' FROM cohort_sync_status WHERE cohort = '{self.audience}'", "the last run ends", 120)
        self.converges(self.audience, force=True)
        self.assertEqual(self.server.ask("SELECT count(*) FROM cohort_check()"), "0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
