"""The servers of a cluster test: a coordinator, its nodes, and the server that has all data."""

import json
import os
import subprocess

COORDINATOR = os.environ["CO"]
NODES = os.environ["NODES"].split()


def environment(name):
    """The variables by which psql finds a private server."""
    text = subprocess.run(["scripts/pg", "env", name], check=True, capture_output=True, text=True).stdout
    pairs = (line.removeprefix("export ").split("=", 1) for line in text.splitlines() if line.startswith("export "))
    return {key: value.strip("'") for key, value in pairs}


class Refused(Exception):
    """An error of the server: its SQLSTATE and message."""

    def __init__(self, text):
        super().__init__(text)
        self.state = text.split("ERROR:", 1)[-1].strip().split(":", 1)[0] if "ERROR:" in text else ""


class Server:
    def __init__(self, name=None, database=None, role=None):
        """A private server by its name; without one the test's own."""
        self.name = name
        self.env = {**os.environ, **(environment(name) if name else {})}
        if database:
            self.env["PGDATABASE"] = database
        if role:
            self.env["PGUSER"] = role

    def command(self):
        return ["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-F", "|"]

    def ask(self, sql):
        """Runs a script, as one that no session's settings make different; gives its output."""
        settings = "SET client_min_messages = warning; SET datestyle = 'SQL, DMY'; SET timezone = 'Pacific/Chatham';\n"
        done = subprocess.run(self.command(), input=settings + sql, env=self.env, capture_output=True, text=True)
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout.rstrip("\n")

    def rows(self, sql):
        return self.ask(sql).splitlines()

    def refused(self, state, sql):
        """Runs a script that must fail with a SQLSTATE; gives the message."""
        try:
            answer = self.ask(sql)
        except Refused as error:
            if error.state != state:
                raise AssertionError(f"expected {state}, got {error}") from error
            return str(error)
        raise AssertionError(f"expected {state} of {sql}, got {answer!r}")

    def address(self, database="postgres"):
        return {"host": self.env["PGHOST"], "dbname": database}

    def shut_down(self):
        """Stops a private server, whose data stays."""
        command = [os.path.join(os.environ["PG_BIN"], "pg_ctl"), "-D", f"{self.env['PGHOST']}/data", "-m", "fast", "-w", "stop"]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def come_back(self):
        pg("restart", self.name)

    def make(self):
        """The extension in the server's database."""
        self.ask("CREATE EXTENSION kursaha_cohort;")
        return self


def pg(*arguments):
    subprocess.run(["scripts/pg", *arguments], check=True, stdout=subprocess.DEVNULL)


def same(what, got, expected):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, expected {expected!r}")


def literal(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return "'" + text.replace("'", "''") + "'"


def layer(coordinator, schema="shop"):
    """The layer in a database of the coordinator."""
    coordinator.ask(
        f"CREATE SCHEMA {schema}; CREATE EXTENSION kursaha_cohort_cluster SCHEMA {schema};"
        f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = {schema}, public', current_database()); END $$;"
    )
