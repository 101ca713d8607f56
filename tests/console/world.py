"""The environment of the console's tests and pictures: a private server with a shop's data, the fake Facebook, and the gateway."""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/faults"))
from harness import Fake, Server  # noqa: E402

PASSWORDS = {"crm_team": "kettle-and-lamp", "growth": "towel-and-mat"}


class World:
    def __init__(self, name, directory: Path, customers=3000, **settings):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        self.directory = directory
        self.fake = Fake(directory / "fake")
        self.gateway = None
        self.server = Server(name, self.fake, directory, **settings)
        try:
            self.people()
            self.server.ask((ROOT / "tests/console/shop.sql").read_text().replace(":customers", str(customers)))
            self.server.ask("SELECT cohort_seal()")
            self.start_gateway(name)
        except BaseException:
            self.stop()
            raise

    def people(self):
        """Roles who sign in with a password, and the gateway's own, which has no right but to act as them."""
        server = self.server
        for role, password in PASSWORDS.items():
            server.ask(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'; GRANT CREATE ON SCHEMA public TO {role};"
                       f"SELECT cohort_grant('editor', '{role}'), cohort_grant('ingest', '{role}')")
        server.ask("SELECT cohort_grant('operator', 'crm_team')")
        server.ask(f"SELECT cohort_secret_allow('file:meta', '{{app, {', '.join(PASSWORDS)}}}', '{{facebook_ads, meta_pixel}}', '{{127.0.0.1}}')")
        server.ask("CREATE ROLE cohort_gateway LOGIN NOINHERIT PASSWORD 'door'; GRANT crm_team, growth TO cohort_gateway;"
                   "SELECT cohort_grant('gateway', 'cohort_gateway')")
        rules = server.where / "data/pg_hba.conf"
        asked = "".join(f"local all {role} scram-sha-256\n" for role in [*PASSWORDS, "cohort_gateway"])
        rules.write_text(asked + rules.read_text())
        server.ask("SELECT pg_reload_conf()")

    def start_gateway(self, name, port=None):
        program = ROOT / "target" / os.environ.get("BUILD_PROFILE", "release") / "cohort-gateway"
        program = Path(os.environ.get("GATEWAY", program))
        self.port = port or free_port()
        env = {**os.environ, "COHORT_GATEWAY_DATABASE_PASSWORD": "door", "COHORT_GATEWAY_SESSION_KEY": "a key of the console's tests, long enough"}
        where = f"host={self.server.env['PGHOST']} port={self.server.env['PGPORT']} dbname=shop user=cohort_gateway"
        self.log = open(self.directory / "gateway.log", "a")  # noqa: SIM115: as long as the process
        self.gateway = subprocess.Popen([program, "--database", where, "--listen", f"127.0.0.1:{self.port}", "--console", ROOT / "gateway/console/dist"],
                                        env=env, stdout=self.log, stderr=self.log)
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(100):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            if self.gateway.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the gateway does not start\n{(self.directory / 'gateway.log').read_text()[-3000:]}")

    def stop_gateway(self):
        if self.gateway and self.gateway.poll() is None:
            self.gateway.send_signal(signal.SIGTERM)
            self.gateway.wait(20)
        self.gateway = None

    def browse(self, script, **env):
        """Runs a program of gateway/console/test/browser; its output is the caller's."""
        return subprocess.run(["node", ROOT / "gateway/console/test/browser" / script], env={
            **os.environ, "CONSOLE_URL": self.url, "CONSOLE_PASSWORDS": ",".join(f"{role}={word}" for role, word in PASSWORDS.items()),
            "CONSOLE_DIRECTORY": str(self.directory), "FAKE_URL": self.fake.url, **env}).returncode

    def stop(self):
        self.stop_gateway()
        self.server.stop()
        self.fake.stop()


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    # world.py DIRECTORY: starts it, says where, and waits for the end of its input.
    world = World("console", Path(sys.argv[1]))
    try:
        print(world.url, world.fake.url, flush=True)
        sys.stdin.read()
    finally:
        world.stop()
