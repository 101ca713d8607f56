"""A first sync of very many members (MEMBERS in the environment, 5 million if not set), stopped twice and resumed: nobody
is lost or sent for nothing, and the worker's memory stays small."""

import hashlib
import os
import time
import unittest

from harness import Case, Memory, sha

MOST_MIB = 64


class Size(Case):
    name = "size"
    settings = {"max_wal_size": "8GB", "kursaha_cohort.request_timeout": "60s"}

    def progress(self):
        return int(self.server.run("SELECT coalesce(max(added), 0) FROM kursaha_cohort.sync_run").stdout.strip() or 0)

    def reach(self, members):
        while self.progress() < members:
            time.sleep(0.2)

    def test_stopped_and_resumed(self):
        server, members = self.server, int(os.environ.get("MEMBERS", "5000000"))
        began = time.time()

        def say(what):
            print(f"  {time.time() - began:4.0f} s  {what}", flush=True)

        for first in range(1, members + 1, 500_000):
            last = min(first + 499_999, members)
            server.app(f"INSERT INTO cohort_customer (customer_id, profile) SELECT 'm' || i, jsonb_build_object('email', 'm' || i || '@example.com') "
                       f"FROM generate_series({first}, {last}) i; "
                       f"INSERT INTO cohort_event (customer_id, event_type) SELECT 'm' || i, 'visit' FROM generate_series({first}, {last}) i")
        server.ask("SELECT cohort_seal()")
        say(f"{members} customers are there")
        self.facebook("everyone")
        server.app("SELECT cohort_create('everyone', '{\"did\": \"visit\"}')")
        self.create("everyone", "everyone")
        before = server.last_run()
        with Memory(server) as memory:
            server.app("SELECT cohort_sync_now('everyone', 'everyone')")
            self.reach(members * 3 // 10)
            server.ask("SELECT pg_terminate_backend(pid) FROM cohort_worker_status WHERE worker = 'kursaha_cohort sync'")
            say("terminated at three tenths")
            self.reach(members // 2)
            server.kill(server.worker())
            server.up()
            say("killed at half")
            server.ended("everyone", "everyone", "success", before, seconds=1800)
        say(f"delivered; the worker took {memory.above():.0f} MiB more than at first")
        rows = (hashlib.sha256(b'{"EMAIL":"%s"}' % sha(f"m{i}@example.com").encode()).digest() for i in range(1, members + 1))
        audience = [audience["id"] for audience in self.fake.call("audiences") if audience["name"] == "everyone"][0]
        seen = self.fake.call(f"audience/{audience}?digest=1")
        self.assertEqual(seen["rows"], members)
        requests = self.fake.call(f"audience/{audience}")["requests"]
        self.assertEqual(seen["digest"], hashlib.sha256(b"".join(sorted(rows))).hexdigest())
        # What was acknowledged was not sent again: a batch more for each time that it was stopped.
        added, batches = server.ask("SELECT added, batches FROM cohort_sync_run WHERE cohort = 'everyone'").split("|")
        self.assertLessEqual(int(added), members)
        self.assertLessEqual(requests, -(-members // 5_000) + 4)
        self.assertLess(memory.above(), MOST_MIB)
        say(f"{added} acknowledged in {batches} batches, {requests} requests; the audience is that of the cohort")


if __name__ == "__main__":
    unittest.main(verbosity=2)
