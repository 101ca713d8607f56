"""Faults between a sync and its destination: no connection, no name, another address, endless responses."""

import socket
import time
import unittest

from harness import DIRECTORY, Case, World

PUBLIC = "93.184.216.34"


class Network(Case):
    name = "network"
    settings = {"kursaha_cohort.connect_timeout": "1s", "kursaha_cohort.request_timeout": "3s"}

    @classmethod
    def setUpClass(cls):
        cls.world = World(DIRECTORY / "world")
        cls.preload = cls.world.library
        super().setUpClass()
        cls.server.set("allowed_hosts", "127.0.0.1, localhost, *.test")

    def hook(self, name, url):
        self.destination(name, "webhook", {"url": url}, "file:hook")
        self.server.app(f"SELECT cohort_import('{name}', ARRAY['c1', 'c2'])")
        self.create(name, name)

    def held(self, name):
        return sorted(self.fake.call(f"hook/{name}")["members"])

    def waits(self, name, *words):
        """Asks for a run, which comes to wait, and says why."""
        before = self.server.last_run()
        self.server.app(f"SELECT cohort_sync_now('{name}', '{name}')")
        self.server.until(f"SELECT attempts > 0 FROM cohort_sync_run WHERE cohort = '{name}' AND run_id > {before}", "it is tried")
        error = self.server.ask(f"SELECT error FROM cohort_sync_run WHERE cohort = '{name}' ORDER BY run_id DESC LIMIT 1")
        for word in words:
            self.assertIn(word, error)
        return before

    def move(self, name):
        """Sets the destination's address to that of the fake: the run goes on there."""
        self.server.app(f"SELECT cohort_destination_update('{name}', '{{\"url\": \"{self.fake.url}/hook/{name}\"}}')")

    def test_nobody_takes_the_connection(self):
        # A listener whose queue is full: the handshake is never answered.
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = []
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(full.getsockname())
                waiting.append(client)
            self.hook("full", f"https://127.0.0.1:{full.getsockname()[1]}/hook/full")
            before = self.waits("full", "did not respond in time")
            for client in waiting:
                client.close()
        self.move("full")
        self.server.ended("full", "full", "success", before)
        self.assertEqual(self.held("full"), ["c1", "c2"])

    def test_nobody_is_there(self):
        with socket.socket() as gone:
            gone.bind(("127.0.0.1", 0))
            port = gone.getsockname()[1]
        self.hook("closed", f"https://127.0.0.1:{port}/hook/closed")
        before = self.waits("closed", "connection")
        self.move("closed")
        self.server.ended("closed", "closed", "success", before)
        self.assertEqual(self.held("closed"), ["c1", "c2"])

    def test_one_byte_a_second(self):
        self.hook("slow", f"{self.fake.url}/hook/slow")
        self.fake.script({"match": {"path": "/hook/slow"}, "times": 1, "do": {"drip": 1}})
        before = self.waits("slow", "in time")
        self.server.ended("slow", "slow", "success", before)
        self.assertEqual(self.held("slow"), ["c1", "c2"])

    def test_an_answer_without_end(self):
        self.hook("long", f"{self.fake.url}/hook/long")
        self.fake.script({"match": {"path": "/hook/long"}, "times": 1, "do": {"status": 200, "body": "x" * (2 << 20)}})
        before = self.waits("long", "longer than 1 MiB")
        self.server.ended("long", "long", "success", before)
        self.assertEqual(self.held("long"), ["c1", "c2"])

    def test_no_name(self):
        self.world.put("names", None)
        self.hook("unnamed", f"https://localhost.test:{self.fake.port}/hook/unnamed")
        before = self.waits("unnamed", "localhost.test", "not known")
        self.move("unnamed")
        self.server.ended("unnamed", "unnamed", "success", before)
        self.assertEqual(self.held("unnamed"), ["c1", "c2"])

    def test_a_name_that_changes_its_mind(self):
        """First a public address, then loopback: the first question's answer is used, and the second one's refused."""
        self.server.set("allow_private_networks", "off")
        try:
            self.world.put("names", f"rebind.test {PUBLIC} 127.0.0.1\n")
            self.hook("rebind", f"https://rebind.test:{self.fake.port}/hook/rebind")
            self.server.sync("rebind", "rebind", "failed")
            state = self.server.ask("SELECT state, why FROM cohort_sync_status WHERE cohort = 'rebind'")
            self.assertRegex(state, r"^needs_attention\|.*loopback: 127\.0\.0\.1")
            self.assertEqual(self.world.lines("asked").count("rebind.test"), 2)
            # Exactly the address that was checked.
            self.assertEqual(set(self.world.lines("reached")), {PUBLIC})
            self.assertEqual([entry for entry in self.fake.call("log") if "rebind" in entry["path"]], [])
            # The address itself, and names for it, are refused as well.
            for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"):
                self.server.set("allowed_hosts", f"{host.strip('[]')}, *")
                self.server.app(f"SELECT cohort_destination_create('plain', 'webhook', "
                                f"'{{\"url\": \"https://{host}:{self.fake.port}/hook/rebind\"}}', secret => 'file:hook')")
                found = self.server.app("SELECT bool_or(NOT ok AND detail ~ 'not a public one') FROM cohort_destination_test('plain')")
                self.assertEqual(found, "t", host)
                self.server.app("SELECT cohort_destination_drop('plain')")
            self.assertEqual([entry for entry in self.fake.call("log") if "rebind" in entry["path"]], [])
        finally:
            self.server.set("allow_private_networks", "on")
            self.server.set("allowed_hosts", "127.0.0.1, localhost, *.test")
            time.sleep(0.2)

    def test_redirects_are_not_followed(self):
        self.hook("moved", f"{self.fake.url}/hook/moved")
        self.fake.script({"match": {"path": "/hook/moved"}, "times": 1,
                          "do": {"status": 302, "headers": {"Location": f"{self.fake.url}/hook/elsewhere"}, "body": ""}})
        self.server.sync("moved", "moved", "failed")
        self.assertEqual([entry for entry in self.fake.call("log") if "elsewhere" in entry["path"]], [])
        self.server.app("SELECT cohort_sync_resume('moved', 'moved')")
        self.server.until("SELECT last_state = 'success' FROM cohort_sync_status WHERE cohort = 'moved'", "it goes on")


if __name__ == "__main__":
    unittest.main(verbosity=2)
