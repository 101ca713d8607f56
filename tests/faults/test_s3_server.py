"""Syncs to an S3 server that others wrote: s3s-fs, which checks every signature and keeps objects as files. S3S is its program."""

import json
import os
import socket
import ssl
import subprocess
import time
import unittest

from harness import DIRECTORY, Case, Gate

ACCESS, SECRET = "test-access", "a-secret-key-of-the-test"


class Front(Gate):
    """TLS before a server that speaks none."""

    def __init__(self, port, fake):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(fake.directory / "server.pem", fake.directory / "server.key")
        super().__init__(port)

    def _relay(self, near):
        try:
            # Not the same object in two threads at once while one direction waits: TLS needs a lock of its own.
            with self.context.wrap_socket(near, server_side=True) as secure:
                self._one_by_one(secure)
        except OSError:
            near.close()

    def _one_by_one(self, secure):
        """Whole requests to a new connection each, and the answer back: no two directions at once."""
        stream = secure.makefile("rb")
        while line := stream.readline():
            head, length = [line], 0
            while (line := stream.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
                if not line.lower().startswith(b"connection:"):
                    head.append(line)
            with socket.create_connection(("127.0.0.1", self.target)) as far:
                far.sendall(b"".join([*head, b"Connection: close\r\n\r\n", stream.read(length)]))
                while data := far.recv(65_536):
                    secure.sendall(data)
            return


class S3Server(Case):
    name = "s3server"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = DIRECTORY / "s3"
        (cls.root / "cohorts").mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        cls.store = subprocess.Popen([os.environ["S3S"], "--host", "127.0.0.1", "--port", str(port), "--access-key", ACCESS,
                                      "--secret-key", SECRET, str(cls.root)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        cls.front = Front(port, cls.fake)
        cls.server.set("allowed_hosts", f"127.0.0.1:{cls.front.port}")
        cls.server.put_secret("store", f"{ACCESS}:{SECRET}")

    @classmethod
    def tearDownClass(cls):
        cls.front.close()
        cls.store.terminate()
        cls.store.wait(10)
        super().tearDownClass()

    def objects(self, run):
        found = [path for path in (self.root / "cohorts").rglob(f"run-{run:012}/*") if path.is_file() and not path.name.startswith(".")]
        return {path.name: path.read_text() for path in found}

    def test_objects_follow_the_cohort(self):
        for form in ("ndjson", "csv"):
            with self.subTest(form):
                name = f"people in {form}"
                config = {"endpoint": f"https://127.0.0.1:{self.front.port}", "bucket": "cohorts", "prefix": f"daily/{form}", "region": "us-east-1",
                          "format": form, "include": ["city", "email"], "batch_rows": 40}
                self.destination(name, "s3", config, "file:store")
                self.assertEqual(self.server.app(f"SELECT bool_and(ok) FROM cohort_destination_test('{name}')"), "t")
                self.members(name, 1, 100)
                self.create(name, name)
                for first, last, deltas in ((1, 100, 3), (20, 129, 2)):
                    self.members(name, first, last)
                    self.server.sync(name, name)
                    objects = self.objects(self.server.last_run())
                    self.assertIn("_SUCCESS", objects)
                    lines = [line for key, body in objects.items() if key.startswith("snapshot-")
                             for line in body.splitlines() if not line.startswith("customer_id")]
                    held = {json.loads(line)["customer_id"] if form == "ndjson" else line.split(",")[0] for line in lines}
                    self.assertEqual(held, {f"c{i}" for i in range(first, last + 1)})
                    self.assertTrue(all("@example.com" in line for line in lines))
                    self.assertEqual(len([key for key in objects if key.startswith("delta-")]), deltas)
                    manifest = json.loads(objects["_SUCCESS"])
                    self.assertEqual(manifest["parts"]["members"], last - first + 1)

    def test_a_wrong_key_is_found_out(self):
        self.server.put_secret("wrong", f"{ACCESS}:not-the-key")
        config = {"endpoint": f"https://127.0.0.1:{self.front.port}", "bucket": "cohorts", "region": "us-east-1", "format": "csv"}
        self.destination("wrong", "s3", config, "file:wrong")
        tested = self.server.app("SELECT bool_and(ok) FROM cohort_destination_test('wrong')")
        self.assertEqual(tested, "f")
        self.members("wrong", 1, 10)
        self.create("wrong", "wrong")
        self.server.sync("wrong", "wrong", "failed")
        self.assertEqual(self.server.ask("SELECT state FROM cohort_sync_status WHERE cohort = 'wrong'"), "needs_attention")
        # The right one helps.
        self.server.put_secret("wrong", f"{ACCESS}:{SECRET}")
        before = self.server.last_run()
        self.server.app("SELECT cohort_sync_resume('wrong', 'wrong')")
        self.server.ended("wrong", "wrong", "success", before)
        self.assertIn("_SUCCESS", self.objects(self.server.last_run()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
