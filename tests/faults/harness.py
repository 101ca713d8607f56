"""Code shared by the fault tests: a private server with workers, the simulated receivers, and queries to both."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DIRECTORY = Path(os.environ.get("TEST_TMP") or tempfile.mkdtemp())


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Fake:
    """The fake destination, started in a directory."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen([sys.executable, str(HERE / "fake.py"), str(directory)])
        for _ in range(200):
            if (directory / "port").exists():
                break
            time.sleep(0.05)
        self.port = int((directory / "port").read_text())
        self.context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
        self.url = f"https://127.0.0.1:{self.port}"

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_control/{path}", data=data, method="POST" if data else "GET")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, context=self.context, timeout=120) as answer:
            return json.loads(answer.read() or b"null")

    def script(self, *steps):
        self.call("script", list(steps))

    def calm(self):
        """No fault that was ordered and did not come yet will come."""
        self.call("calm", {})

    def audience(self, name):
        """The rows of the audience of a name."""
        return self.call(f"audience/{self.audience_id(name)}?members=1")["members"]

    def audience_id(self, name):
        found = [audience["id"] for audience in self.call("audiences") if audience["name"] == name]
        assert len(found) == 1, f"{len(found)} audiences are called {name}"
        return found[0]

    def seen(self, path):
        """The requests whose path has this part."""
        return [entry for entry in self.call("log") if path in entry["path"]]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Server:
    """A private server with the workers and a database `shop`, whose role `app` owns cohorts and syncs."""

    def __init__(self, name, fake, directory: Path, preload="", **settings):
        self.name, self.fake, self.database = name, fake, "shop"
        given = {"shared_preload_libraries": "kursaha_cohort", "kursaha_cohort.retry_base": "200ms",
                 "kursaha_cohort.min_sync_interval": "1s", "kursaha_cohort.request_timeout": "5s", **settings}
        subprocess.run([ROOT / "scripts/pg", "start", name, *(f"{key}={value}" for key, value in given.items())],
                       check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PG_PRELOAD": preload})
        self.where = Path(subprocess.run([ROOT / "scripts/pg", "where", name], check=True, capture_output=True, text=True).stdout.strip())
        text = subprocess.run([ROOT / "scripts/pg", "env", name], check=True, capture_output=True, text=True).stdout
        script = f"{text}\nenv -0"
        pairs = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.split("\0")
        self.env = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        self.env["PATH"] = self.env["PG_BIN"] + ":" + self.env["PATH"]
        self.furnish(directory)
        self.ask("CREATE DATABASE shop", database="postgres")
        self.ask("CREATE EXTENSION kursaha_cohort; CREATE ROLE app LOGIN; "
                 "SELECT cohort_grant('operator', 'app'); GRANT CREATE ON SCHEMA public TO app")
        self.allow()

    def furnish(self, directory: Path):
        """Secrets, and the settings by which syncs reach the fake."""
        self.secrets = directory / "secrets"
        self.secrets.mkdir(parents=True, exist_ok=True)
        for secret, source in (("meta", "token"), ("hook", "hook-secret"), ("s3", "s3-secret")):
            self.put_secret(secret, (self.fake.directory / source).read_text())
        authority = self.secrets / "ca.pem"
        shutil.copy(self.fake.directory / "ca.pem", authority)
        self.own(self.secrets, 0o755)
        self.own(authority, 0o644)
        for key, value in (("secrets_dir", self.secrets), ("ca_file", authority), ("allow_private_networks", "on"),
                           ("allowed_hosts", f"127.0.0.1:{self.fake.port}")):
            self.set(key, value)

    def allow(self):
        self.ask(f"SELECT cohort_secret_allow('file:meta', '{{app}}', '{{facebook_ads, meta_pixel}}', '{{127.0.0.1}}')")

    @staticmethod
    def own(path, mode):
        if os.geteuid() == 0:
            shutil.chown(path, "postgres", "postgres")
        os.chmod(path, mode)

    def put_secret(self, name, content):
        path = self.secrets / name
        path.write_text(content)
        self.own(path, 0o600)

    def run(self, sql, role=None, database=None):
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database or self.database]
        if role:
            command += ["-c", f"SET ROLE {role}"]
        return subprocess.run([*command, "-c", sql], env=self.env, capture_output=True, text=True)

    def ask(self, sql, role=None, database=None):
        done = self.run(sql, role, database)
        if done.returncode:
            raise AssertionError(f"{sql}\n{done.stderr}")
        return done.stdout.strip()

    def begin(self, sql):
        """Begins a transaction and runs statements in it; returns a function that runs the last one, which ends it."""
        session = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.database], env=self.env, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        session.stdin.write(f"BEGIN; {sql}; SELECT 'begun';\n")
        session.stdin.flush()
        answer = session.stdout.readline().strip()
        assert answer == "begun", answer

        def end(last):
            answer, _ = session.communicate(f"{last};\n", timeout=60)
            assert session.returncode == 0, answer
        return end

    def set(self, key, value):
        """A setting of the extension, for the whole server."""
        self.ask(f"ALTER SYSTEM SET kursaha_cohort.{key} = '{value}'", database="postgres")
        self.ask("SELECT pg_reload_conf()", database="postgres")

    def app(self, sql):
        return self.ask(sql, role="app")

    def refused(self, sql, *words, role="app"):
        """An error that says all of the words."""
        done = self.run(sql, role)
        missing = [word for word in words if word not in done.stderr]
        assert done.returncode and not missing, f"{sql}: {missing} not in {done.stderr or done.stdout}"

    def until(self, sql, what, seconds=30, every=0.1):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done = self.run(sql)
            if done.stdout.strip() == "t":
                return
            time.sleep(every)
        raise AssertionError(f"in vain: {what}\n{done.stdout}{done.stderr}\n" + self.story())

    def story(self):
        return self.ask("SELECT * FROM cohort_sync_status") + "\n" + self.ask(
            "SELECT run_id, cohort, destination, state, attempts, adds, removes, added, removed, skipped, rejected, error, hint "
            "FROM cohort_sync_run ORDER BY run_id DESC LIMIT 8")

    def sync(self, cohort, destination, state="success", force=False, seconds=60, every=0.1):
        """Requests a run and waits for its end, polling at an interval in seconds."""
        before = self.last_run()
        self.app(f"SELECT cohort_sync_now('{cohort}', '{destination}', {force})")
        self.ended(cohort, destination, state, before, seconds, every)

    def ended(self, cohort, destination, state, before, seconds=60, every=0.1):
        pair = f"cohort = '{cohort}' AND destination = '{destination}'"
        self.until(f"SELECT state = '{state}' FROM cohort_sync_run WHERE {pair} AND run_id > {before} "
                   "ORDER BY run_id DESC LIMIT 1", f"a run of {cohort} to {destination} ends as {state}", seconds, every)

    def last_run(self):
        return int(self.ask("SELECT coalesce(max(run_id), 0) FROM kursaha_cohort.sync_run"))

    def worker(self, what="sync", seconds=30):
        """The process of the one worker of its kind, once it is there."""
        of_kind = f"FROM cohort_worker_status WHERE worker = 'kursaha_cohort {what}'"
        self.until(f"SELECT count(*) = 1 {of_kind}", f"a worker for {what} runs", seconds)
        return int(self.ask(f"SELECT pid {of_kind}") or 0)

    def kill(self, pid, number=signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def postmaster(self):
        """The server's first process."""
        return int((self.where / "data/postmaster.pid").read_text().split()[0])

    def restart(self):
        """Starts the server again once its last process has gone."""
        for _ in range(100):
            done = subprocess.run([ROOT / "scripts/pg", "restart", self.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if done.returncode == 0:
                return
            time.sleep(0.2)
        raise AssertionError(f"the server \"{self.name}\" does not start again")

    def up(self, seconds=60):
        """Waits until the server answers again."""
        for _ in range(seconds * 10):
            if self.run("SELECT 1").returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"the server \"{self.name}\" does not come back\n{self.log()[-3000:]}")

    def log(self):
        return (self.where / "log").read_text(errors="replace")

    def leaks(self):
        """Secrets and addresses of customers in the server's log, or in the tables that say how syncs are."""
        kept = "".join(self.ask(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM kursaha_cohort.{table} t")
                       for table in ("destination", "sync", "sync_run", "sync_batch", "sync_rejected", "sync_member"))
        secrets = [(self.fake.directory / name).read_text().strip().split(":")[-1] for name in ("token", "hook-secret", "s3-secret")]
        return [f"{where}: {word[:6]}…" for where, text in (("the log", self.log()), ("the tables", kept))
                for word in (*secrets, "@example.com") if word in text]

    def stop(self):
        subprocess.run([ROOT / "scripts/pg", "stop", self.name], stdout=subprocess.DEVNULL)


class Case(unittest.TestCase):
    """Tests on one server and one fake: customers c1 to c2000 with an address each, the first 1,200 of them buyers."""

    name = ""
    preload = ""
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.fake = Fake(DIRECTORY / "fake")
        cls.server = Server(cls.name, cls.fake, DIRECTORY, cls.preload, **cls.settings)
        cls.server.app("""
            SELECT cohort_create('buyers', '{"did": "purchase"}');
            INSERT INTO cohort_customer (customer_id, profile)
            SELECT 'c' || i, jsonb_build_object('email', 'c' || i || '@example.com', 'city', 'Pune') FROM generate_series(1, 2000) i;
            INSERT INTO cohort_event (customer_id, event_type) SELECT 'c' || i, 'purchase' FROM generate_series(1, 1200) i;
        """)

    @classmethod
    def tearDownClass(cls):
        try:
            found = cls.server.leaks()
            assert not found, found
            busy = [entry for entry in cls.fake.call("log") if entry["open_at_once"] > 1]
            assert not busy, f"more than one request at once: {busy[0]}"
        finally:
            cls.server.stop()
            cls.fake.stop()

    def destination(self, name, kind, config, secret=None):
        given = json.dumps(config).replace("'", "''")
        reference = f", secret => '{secret}'" if secret else ""
        self.server.app(f"SELECT cohort_destination_create('{name}', '{kind}', '{given}'{reference})")

    def facebook(self, name, **more):
        config = {"ad_account_id": "12", "audience_name": name, "base_url": self.fake.url, **more}
        self.destination(name, "facebook_ads", config, "file:meta")

    def create(self, cohort, destination):
        self.server.app(f"SELECT cohort_sync_create('{cohort}', '{destination}', 'daily', '02:30', 'Asia/Kolkata')")

    def members(self, cohort, first, last):
        """Makes a cohort the customers of these numbers."""
        self.server.app(f"SELECT cohort_import('{cohort}', ARRAY(SELECT 'c' || i FROM generate_series({first}, {last}) i))")

    def emails(self, name):
        return sorted(row["EMAIL"] for row in self.fake.audience(name))

    def expected(self, cohort):
        """The digests of the members' addresses: each once, as in the audience."""
        text = self.server.ask(
            f"SELECT coalesce(json_agg(DISTINCT c.profile ->> 'email'), '[]') FROM cohort_run('{cohort}') m (customer_id) "
            "JOIN cohort_customer c USING (customer_id)")
        return sorted(sha(email) for email in json.loads(text))

    def converges(self, name, **how):
        """A clean run of the cohort and destination of a name makes them equal."""
        self.server.sync(name, name, **how)
        self.assertEqual(self.emails(name), self.expected(name))

    def under_way(self, name):
        """Begins a run of the cohort and destination of a name; returns the run before, once a batch is on its way."""
        before = self.server.last_run()
        self.server.app(f"SELECT cohort_sync_now('{name}', '{name}')")
        self.server.until(f"SELECT first_sent_at IS NOT NULL FROM cohort_sync_run WHERE run_id > {before}", "a batch is on its way")
        return before

    def ends_well(self, name, before):
        """A run after another one ends, and cohort and audience are equal."""
        self.server.ended(name, name, "success", before)
        self.assertEqual(self.emails(name), self.expected(name))

    def resumes(self, name):
        """Someone acted: the sync goes on, and ends well."""
        before = self.server.last_run()
        self.server.app(f"SELECT cohort_sync_resume('{name}', '{name}')")
        self.ends_well(name, before)


class Memory:
    """Follows the private memory of a server's sync workers: resident pages less those shared with the server."""

    def __init__(self, server):
        self.server = server
        self.first, self.most, self.done = None, 0, False

    def __enter__(self):
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()

    def _follow(self):
        query = "SELECT pid FROM cohort_worker_status WHERE worker = 'kursaha_cohort sync'"
        while not self.done:
            time.sleep(0.05)
            for pid in self.server.run(query).stdout.split():
                # The file is read as long as there is one: a question to the server would cost what is measured.
                with contextlib.suppress(OSError, KeyError):
                    while not self.done:
                        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                        now = int(fields["RssAnon"].split()[0])
                        self.first = min(self.first or now, now)
                        self.most = max(self.most, now)
                        time.sleep(0.02)

    def above(self):
        """MiB of the largest over the smallest that was seen, which is a worker that just started."""
        return (self.most - self.first) / 1024


class World:
    """A server's clock and names, which the test sets: world.c says how."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o777)
        self.library = str(directory / "world.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", f'-DWORLD="{directory}"', "-o", self.library, str(HERE / "world.c"), "-ldl"],
                       check=True)

    def put(self, name, content):
        """Writes one of the world's files at once, or removes it."""
        if content is None:
            (self.directory / name).unlink(missing_ok=True)
            return
        new = self.directory / f"{name}.new"
        new.write_text(content)
        new.chmod(0o666)
        new.replace(self.directory / name)

    def lines(self, name):
        path = self.directory / name
        return path.read_text().split() if path.exists() else []


class Gate:
    """A relay before the fake that can hold requests back."""

    def __init__(self, port):
        self.target = port
        self.open = True
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near):
        with near, socket.create_connection(("127.0.0.1", self.target)) as far:
            back = threading.Thread(target=self._carry, args=(far, near, lambda: True), daemon=True)
            back.start()
            self._carry(near, far, lambda: self.open)
            back.join()

    def _carry(self, source, sink, may_pass):
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                while not may_pass():
                    time.sleep(0.02)
                sink.sendall(data)
        # Shut down and not closed: the other direction may still be at work.
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
