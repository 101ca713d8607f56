"""Code shared by the gateway's tests: a private server whose roles have passwords, the program, and a client."""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent.parent
DIRECTORY = Path(os.environ.get("TEST_TMP") or tempfile.mkdtemp())
PROGRAM = os.environ.get("GATEWAY_PROGRAM") or subprocess.run([ROOT / "scripts/gateway", "path"], capture_output=True, text=True, check=True,
                         env=os.environ | {"BUILD_PROFILE": "quick"}).stdout.strip()

# Secrets, and what names a person: none of these may stand in the gateway's log.
PRIVATE = set()


def private(text):
    PRIVATE.add(text)
    return text


class Answer:
    """What came back."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """A private server with the extension, and roles that sign in with passwords."""

    # Test programs run side by side.
    name = f"gateway-{Path(sys.argv[0]).stem.removeprefix('test_')}"[:16]

    def __init__(self):
        self.run("start", self.name, "shared_preload_libraries=kursaha_cohort", "kursaha_cohort.min_sync_interval=1",
                 "password_encryption=scram-sha-256")
        self.directory = self.run("where", self.name).strip()
        self.passwords = {role: private("pw-" + secrets.token_hex(12)) for role in ("writer", "reader", "editor", "operator", "cohort_gateway")}
        self.sql("CREATE EXTENSION kursaha_cohort")
        for role, password in self.passwords.items():
            self.sql(f"CREATE ROLE {role} LOGIN NOINHERIT PASSWORD '{password}'")
        self.sql("""SELECT cohort_grant('ingest', 'writer'), cohort_grant('reader', 'reader'), cohort_grant('editor', 'editor'),
                           cohort_grant('operator', 'operator'), cohort_grant('gateway', 'cohort_gateway');
                    GRANT writer, reader, editor, operator TO cohort_gateway;
                    CREATE ROLE root2 LOGIN SUPERUSER PASSWORD 'super-secret'; CREATE ROLE stranger LOGIN PASSWORD 'stranger-secret';
                    CREATE ROLE trusting LOGIN; SELECT cohort_grant('reader', 'trusting'); GRANT trusting TO cohort_gateway""")
        hba = Path(self.directory, "data/pg_hba.conf")
        hba.write_text("local all postgres,trusting trust\nlocal all all scram-sha-256\n")
        self.sql("SELECT pg_reload_conf()")

    def run(self, *arguments):
        run = subprocess.run([ROOT / "scripts/pg", *arguments], capture_output=True, text=True, check=False)
        if run.returncode:
            raise AssertionError(run.stderr)
        return run.stdout

    def sql(self, text):
        """The rows of the last statement, as the superuser."""
        return self.run("psql", self.name, "-XqAtv", "ON_ERROR_STOP=1", "-c", text).strip()

    def key(self, role, label=None, **more):
        extra = f", expires_at => {more['expires_at']}" if more else ""
        return private(self.sql(f"SELECT cohort_api_key_create('{label or secrets.token_hex(6)}', '{role}'{extra})"))

    def stop(self):
        self.run("stop", self.name)

    def kill(self):
        """Ends the server as a power cut would, and starts it again."""
        postmaster = int(Path(self.directory, "data/postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        # Its backends end when they notice; as long as one lives no server starts on their memory.
        for attempt in range(60):
            time.sleep(0.25)
            try:
                self.run("restart", self.name)
                return
            except AssertionError:
                if attempt == 59:
                    raise


class Gateway:
    """The program, on a port of its own."""

    def __init__(self, server, *arguments, context=None, **environment):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.server, self.arguments, self.environment = server, arguments, environment
        # With one the gateway speaks TLS.
        self.context = context
        self.log = DIRECTORY / f"gateway-{self.port}.log"
        self.start()

    def start(self):
        config = DIRECTORY / f"gateway-{self.port}.toml"
        config.write_text(f'database = "host={self.server.directory} port=5432 dbname=postgres user=cohort_gateway"\n'
                          f'database_password = "{self.server.passwords["cohort_gateway"]}"\nconnections = 8\n')
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "--config", config, "--listen", f"127.0.0.1:{self.port}", *self.arguments],
                                            stderr=log, env=os.environ | self.environment)
        for _ in range(200):
            try:
                if self.call("GET", "/readyz").status in (200, 503):
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended: {self.log.read_text()}")
            time.sleep(0.05)
        raise AssertionError("the gateway does not answer")

    def call(self, method, path, body=None, key=None, headers=None, timeout=60, encode=True):
        connection = (http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context) if self.context
                      else http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout))
        sent = dict(headers or {})
        if key:
            sent["Authorization"] = f"Bearer {key}"
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        try:
            connection.request(method, path, body=body, headers=sent)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the gateway did not end") from None


class GatewayCase(unittest.TestCase):
    """Tests with one server and one gateway."""

    arguments = ()
    context = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)
        cls.gateway = Gateway(cls.server, *cls.arguments, context=cls.context)
        cls.addClassCleanup(lambda: cls.gateway.process.poll() is None and cls.gateway.stop())
        cls.call = cls.gateway.call
        cls.keys = {role: cls.server.key(role) for role in ("writer", "reader", "editor", "operator")}

    def refused(self, answer, status, *, message=None):
        """An error as REST words it."""
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(set(answer.json), {"status", "title", "sqlstate", "message", "detail", "hint", "problems"}, answer.body)
        if message:
            self.assertIn(message, answer.json["message"])
        return answer.json

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer.body)
        return answer.json if answer.body else None

    @classmethod
    def tearDownClass(cls):
        log = cls.gateway.log.read_text()
        found = [secret for secret in PRIVATE if secret in log]
        assert not found, f"{len(found)} private texts stand in the gateway's log"


def segment(name):
    return quote(name, safe="")


def event(customer, **more):
    return {"customerId": customer, "eventType": "view", **more}
