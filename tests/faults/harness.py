"""What the fault tests share: a private server with the workers, the fake outside world, and questions to both."""

import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Fake:
    """The fake destination, started anew in a directory."""

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

    def audience(self, name):
        """The rows of the audience of a name."""
        found = [audience for audience in self.call("audiences") if audience["name"] == name]
        assert len(found) == 1, f"{len(found)} audiences are called {name}"
        return self.call(f"audience/{found[0]['id']}?members=1")["members"]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Server:
    """A private server with the workers and a database `shop`, whose role `app` owns cohorts and syncs."""

    def __init__(self, name, fake, directory: Path, **settings):
        self.name, self.fake = name, fake
        given = {"shared_preload_libraries": "kursaha_cohort", "kursaha_cohort.retry_base": "200ms",
                 "kursaha_cohort.min_sync_interval": "1s", "kursaha_cohort.request_timeout": "5s", **settings}
        subprocess.run([ROOT / "scripts/pg", "start", name, *(f"{key}={value}" for key, value in given.items())],
                       check=True, stdout=subprocess.DEVNULL)
        text = subprocess.run([ROOT / "scripts/pg", "env", name], check=True, capture_output=True, text=True).stdout
        script = f"{text}\nenv -0"
        pairs = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.split("\0")
        self.env = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        self.env["PATH"] = self.env.get("PG_BIN", "/usr/lib/postgresql/15/bin") + ":" + self.env["PATH"]
        self.secrets = directory / "secrets"
        self.secrets.mkdir(parents=True, exist_ok=True)
        for secret, source in (("meta", "token"), ("hook", "hook-secret"), ("s3", "s3-secret")):
            self.put_secret(secret, (fake.directory / source).read_text())
        authority = self.secrets / "ca.pem"
        shutil.copy(fake.directory / "ca.pem", authority)
        self.own(self.secrets, 0o755)
        self.own(authority, 0o644)
        for key, value in (("secrets_dir", self.secrets), ("ca_file", authority), ("allow_private_networks", "on"),
                           ("allowed_hosts", f"127.0.0.1:{fake.port}")):
            self.ask(f"ALTER SYSTEM SET kursaha_cohort.{key} = '{value}'", database="postgres")
        self.ask("SELECT pg_reload_conf()", database="postgres")
        self.ask("CREATE DATABASE shop", database="postgres")
        self.ask("CREATE EXTENSION kursaha_cohort; CREATE ROLE app LOGIN; "
                 "SELECT cohort_grant('operator', 'app'); GRANT CREATE ON SCHEMA public TO app")

    @staticmethod
    def own(path, mode):
        if os.geteuid() == 0:
            shutil.chown(path, "postgres", "postgres")
        os.chmod(path, mode)

    def put_secret(self, name, content):
        path = self.secrets / name
        path.write_text(content)
        self.own(path, 0o600)

    def run(self, sql, role=None, database="shop"):
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database]
        if role:
            command += ["-c", f"SET ROLE {role}"]
        return subprocess.run([*command, "-c", sql], env=self.env, capture_output=True, text=True)

    def ask(self, sql, role=None, database="shop"):
        done = self.run(sql, role, database)
        if done.returncode:
            raise AssertionError(f"{sql}\n{done.stderr}")
        return done.stdout.strip()

    def app(self, sql):
        return self.ask(sql, role="app")

    def refused(self, sql, *words, role="app"):
        """An error that says all of the words."""
        done = self.run(sql, role)
        missing = [word for word in words if word not in done.stderr]
        assert done.returncode and not missing, f"{sql}: {missing} not in {done.stderr or done.stdout}"

    def until(self, sql, what, seconds=30):
        for _ in range(int(seconds * 10)):
            done = self.run(sql)
            if done.stdout.strip() == "t":
                return
            time.sleep(0.1)
        raise AssertionError(f"in vain: {what}\n{done.stdout}{done.stderr}\n" + self.story())

    def story(self):
        return self.ask("SELECT * FROM cohort_sync_status") + "\n" + self.ask(
            "SELECT run_id, cohort, destination, state, attempts, adds, removes, added, removed, skipped, rejected, error, hint "
            "FROM cohort_sync_run ORDER BY run_id DESC LIMIT 8")

    def sync(self, cohort, destination, state="success", force=False, seconds=60):
        """Asks for a run and waits for its end."""
        before = int(self.ask("SELECT coalesce(max(run_id), 0) FROM cohort_sync_run"))
        self.app(f"SELECT cohort_sync_now('{cohort}', '{destination}', {force})")
        self.ended(cohort, destination, state, before, seconds)

    def ended(self, cohort, destination, state, before, seconds=60):
        pair = f"cohort = '{cohort}' AND destination = '{destination}'"
        self.until(f"SELECT state = '{state}' FROM cohort_sync_run WHERE {pair} AND run_id > {before} "
                   "ORDER BY run_id DESC LIMIT 1", f"a run of {cohort} to {destination} ends as {state}", seconds)

    def stop(self):
        subprocess.run([ROOT / "scripts/pg", "stop", self.name], stdout=subprocess.DEVNULL)
