"""The program: its settings, TLS, proxies, signals, and definitions as files."""

import json
import os
import signal
import socket
import ssl
import subprocess
import time
import unittest
import warnings

from harness import DIRECTORY, PROGRAM, Gateway, GatewayCase, private


def certificate(place, name):
    """A certificate of its own for 127.0.0.1; gives its serial number."""
    place.mkdir(exist_ok=True)
    serial = int(time.time() * 1000)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-set_serial", str(serial), "-keyout", place / "key.pem", "-out", place / "cert.pem"],
                   check=True, capture_output=True)
    return serial


def until(done, what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return
        time.sleep(0.05)
    raise AssertionError(what)


class Tls(GatewayCase):
    @classmethod
    def setUpClass(cls):
        cls.place = DIRECTORY / "tls"
        cls.first = certificate(cls.place, "first")
        cls.context = ssl.create_default_context()
        cls.context.check_hostname, cls.context.verify_mode = False, ssl.CERT_NONE
        cls.arguments = ("--tls-certificate", cls.place / "cert.pem", "--tls-key", cls.place / "key.pem")
        super().setUpClass()

    def handshake(self, **settings):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(settings.pop("alpn", ["http/1.1"]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for name, value in settings.items():
                setattr(context, name, value)
        with socket.create_connection(("127.0.0.1", self.gateway.port), timeout=20) as plain, context.wrap_socket(plain) as connection:
            served = ssl.DER_cert_to_PEM_cert(connection.getpeercert(True))
            out = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=served, capture_output=True, text=True, check=True).stdout
            return int(out.split("=")[1], 16), connection.version(), connection.selected_alpn_protocol()

    def test_versions_and_protocols(self):
        self.good(self.call("GET", "/v1/cohorts", key=self.keys["reader"]))
        self.assertEqual(self.handshake()[1:], ("TLSv1.3", "http/1.1"))
        self.assertEqual(self.handshake(alpn=["h2", "http/1.1"])[2], "h2")
        self.assertEqual(self.handshake(maximum_version=ssl.TLSVersion.TLSv1_2)[1], "TLSv1.2")
        with self.assertRaises((ssl.SSLError, ConnectionError, ValueError)):
            self.handshake(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
        # Plain HTTP at the same port is no HTTP.
        with socket.create_connection(("127.0.0.1", self.gateway.port), timeout=20) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertNotIn(b"200", plain.recv(1000))

    def test_cookies_are_secure(self):
        answer = self.call("POST", "/v1/session", {"role": "reader", "password": self.server.passwords["reader"]})
        self.good(answer)
        self.assertRegex(answer.headers["Set-Cookie"], "^__Host-cohort=")
        for word in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn(word, answer.headers["Set-Cookie"])

    def test_the_certificate_is_read_again(self):
        before = self.handshake()[0]
        second = certificate(self.place, "second")
        self.assertEqual(self.handshake()[0], before)
        self.gateway.process.send_signal(signal.SIGHUP)
        until(lambda: self.handshake()[0] == second, "the new certificate is not served")
        # A broken one: the one before stays, the log says so, and the program runs on.
        (self.place / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
        self.gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "the previous one stays" in self.gateway.log.read_text(), "the log does not say that the certificate is broken")
        self.assertEqual(self.handshake()[0], second)
        third = certificate(self.place, "third")
        self.gateway.process.send_signal(signal.SIGHUP)
        until(lambda: self.handshake()[0] == third, "the repaired certificate is not served")


class BehindAProxy(GatewayCase):
    arguments = ("--trusted-header", "X-Remote-User", "--proxies", "127.0.0.1,10.9.9.9", "--behind-https")

    def ask(self, method, path, body=None, **headers):
        return self.call(method, path, body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def test_the_header_names_the_role(self):
        seen = self.good(self.ask("GET", "/v1/session", X_Remote_User="editor"))
        self.assertEqual((seen["role"], seen["may"]["edit"]), ("editor", True))
        self.good(self.ask("GET", "/v1/cohorts", X_Remote_User="reader"))
        body = {"name": "by a proxy", "rule": {"did": "view"}}
        self.refused(self.ask("POST", "/v1/cohorts", body, X_Remote_User="editor"), 403, message="X-CSRF-Token")
        self.refused(self.ask("POST", "/v1/cohorts", body, X_Remote_User="reader", X_CSRF_Token=seen["csrf"]), 403)
        self.good(self.ask("POST", "/v1/cohorts", body, X_Remote_User="editor", X_CSRF_Token=seen["csrf"]), 201)
        token = self.good(self.ask("GET", "/v1/session", X_Remote_User="reader"))["csrf"]
        self.refused(self.ask("POST", "/v1/cohorts", body | {"name": "other"}, X_Remote_User="reader", X_CSRF_Token=token), 403)

    def test_whom_it_may_not_name(self):
        for role, status in (("postgres", 401), ("root2", 401), ("nobody", 401), ("", 401), ("stranger", 403), ("cohort_gateway", 403)):
            answer = self.ask("GET", "/v1/cohorts", X_Remote_User=role)
            self.assertEqual(answer.status, status, (role, answer.body))
        self.refused(self.ask("GET", "/v1/cohorts"), 401)

    def test_two_of_them_are_none(self):
        head = b"GET /v1/cohorts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Remote-User: reader\r\nX-Remote-User: operator\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.gateway.port), timeout=20) as connection:
            connection.sendall(head)
            self.assertIn(b" 401 ", connection.recv(100).split(b"\r\n")[0] + b" ")

    def test_a_key_counts_before_it(self):
        answer = self.call("GET", "/v1/operation", key=self.keys["writer"], headers={"X-Remote-User": "operator"})
        self.assertIsNone(self.good(answer)["index"])

    def test_addresses_behind_it_wait_each_for_itself(self):
        def fail(forwarded):
            return self.ask("POST", "/v1/session", {"role": "writer", "password": "wrong"}, X_Forwarded_For=forwarded).status
        self.assertEqual([fail("198.51.100.7") for _ in range(6)], [401] * 5 + [429])
        self.assertEqual(fail("198.51.100.8"), 401)
        # What stands before the address that the proxy saw was written by whoever asked.
        self.assertEqual(fail("203.0.113.1, 198.51.100.7"), 429)
        self.assertEqual(fail("198.51.100.7, 10.9.9.9"), 429)
        self.assertEqual(fail("203.0.113.1, 198.51.100.7, 127.0.0.1"), 429)

    def test_cookies_are_secure(self):
        answer = self.ask("POST", "/v1/session", {"role": "reader", "password": self.server.passwords["reader"]})
        self.good(answer)
        self.assertIn("Secure", answer.headers["Set-Cookie"])


class NotAProxy(GatewayCase):
    arguments = ("--trusted-header", "X-Remote-User", "--proxies", "10.9.9.9")

    def test_the_header_is_believed_of_listed_addresses_only(self):
        self.refused(self.call("GET", "/v1/cohorts", headers={"X-Remote-User": "operator"}), 401)

    def test_a_hangup_without_a_certificate_ends_nothing(self):
        self.gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "no certificate" in self.gateway.log.read_text(), "nothing in the log")
        self.good(self.call("GET", "/v1/cohorts", key=self.keys["reader"]))


class Command(GatewayCase):
    def program(self, *arguments, **environment):
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False,
                              env={name: value for name, value in os.environ.items() if not name.startswith("COHORT_GATEWAY")} | environment)

    def definitions(self, command, directory, *more, role="operator"):
        where = f"host={self.server.directory} port=5432 dbname=postgres user={role}"
        return self.program("--database", where, command, directory, *more, COHORT_GATEWAY_DATABASE_PASSWORD=self.server.passwords[role])

    def refuses(self, *arguments, says, **environment):
        done = self.program(*arguments, **environment)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(says, done.stderr)

    def test_what_is_refused(self):
        self.refuses("--listen", "0.0.0.0:0", says="--insecure")
        self.refuses("--listen", "[::]:0", says="--insecure")
        self.refuses("--database", "host=x password=geheim", says="--database contains a password")
        self.refuses("--database", "postgresql://a:geheim@x/db", says="--database contains a password")
        self.refuses("--tls-key", "x.pem", says="--tls-certificate")
        self.refuses("--trusted-header", "X", says="--proxies")
        self.refuses("--connections", "0", says="--connections")
        self.refuses("--database-password", "x", says="unexpected argument")
        self.refuses("--session-key", "x", says="unexpected argument")
        self.refuses(says="fewer than 32", COHORT_GATEWAY_SESSION_KEY="short")
        self.refuses("--tls-certificate", "/nowhere", "--tls-key", "/nowhere", says="the certificate or its key")
        file = DIRECTORY / "wrong.toml"
        file.write_text("listn = '127.0.0.1:0'\n")
        self.refuses("--config", file, says='unknown setting "listn"')

    def test_a_flag_counts_before_the_environment_before_the_file(self):
        file = DIRECTORY / "settings.toml"
        file.write_text("listen = '192.0.2.1:1'\nsession_hours = 5\ninsecure = false\n")
        self.refuses("--config", file, says="192.0.2.1:1 is not a loopback address")
        self.refuses("--config", file, COHORT_GATEWAY_LISTEN="192.0.2.2:1", says="192.0.2.2:1 is not a loopback address")
        self.refuses("--config", file, "--listen", "192.0.2.3:1", COHORT_GATEWAY_LISTEN="192.0.2.2:1", says="192.0.2.3:1 is not a loopback address")
        self.refuses("--config", file, "--listen=192.0.2.4:1", says="192.0.2.4:1 is not a loopback address")

    def test_sessions_outlive_the_program_where_it_has_a_key(self):
        other = Gateway(self.server, COHORT_GATEWAY_SESSION_KEY=private("a session key that is long enough to be one"))
        try:
            answer = other.call("POST", "/v1/session", {"role": "reader", "password": self.server.passwords["reader"]})
            cookie = private(answer.headers["Set-Cookie"].split(";")[0].split("=", 1)[1])
            other.stop()
            other.start()
            self.good(other.call("GET", "/v1/session", headers={"Cookie": f"cohort={cookie}"}))
            # The gateway beside it has a key of its own.
            self.refused(self.call("GET", "/v1/session", headers={"Cookie": f"cohort={cookie}"}), 401)
        finally:
            other.stop()

    def test_export_plan_apply(self):
        names = ("buyers", "a/b: ü", "x" * 200)
        self.server.sql("SELECT cohort_track_batch('{\"signals\": [{\"customerId\": \"a\", \"eventType\": \"buy\"}, {\"customerId\": \"b\", \"eventType\": \"buy\"}]}')")
        for name in names:
            self.good(self.call("POST", "/v1/cohorts", {"name": name, "rule": {"did": "buy"}}, key=self.keys["operator"]), 201)
        self.good(self.call("POST", "/v1/cohorts", {"name": "others", "rule": {"not": {"cohort": "buyers"}}}, key=self.keys["operator"]), 201)
        self.good(self.call("POST", "/v1/priorities", {"name": "first", "cohorts": ["buyers", "others"]}, key=self.keys["operator"]), 201)
        place = DIRECTORY / "definitions"
        done = self.definitions("export", place)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        files = sorted(place.glob("cohorts/*.json"))
        self.assertEqual(len(files), 4)
        self.assertEqual({json.loads(file.read_text())["name"] for file in files}, {*names, "others"})
        self.assertEqual(json.loads((place / "priorities.json").read_text())[0]["cohorts"], ["buyers", "others"])
        before = {file: file.read_text() for file in place.rglob("*.json")}
        done = self.definitions("plan", place)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({line.split()[0] for line in done.stdout.splitlines()}, {"unchanged"})

        # A change is planned with its figures, does nothing yet, and is applied.
        file = place / "cohorts/buyers.json"
        changed = json.loads(file.read_text())
        changed["rule"] = {"did": "buy", "count": {"gte": 2}}
        file.write_text(json.dumps(changed))
        (place / "cohorts/new.json").write_text(json.dumps({"name": "new", "rule": {"did": "buy"}}))
        planned = self.definitions("plan", place).stdout.splitlines()
        self.assertTrue(any(line.split("\t")[1:] == ["buyers", "+0", "-2"] for line in planned), planned)
        self.assertEqual(self.good(self.call("GET", "/v1/cohorts/buyers", key=self.keys["reader"]))["rule"], {"did": "buy"})
        self.refused(self.call("GET", "/v1/cohorts/new", key=self.keys["reader"]), 404)
        applied = self.definitions("apply", place)
        self.assertEqual(applied.stdout.splitlines(), planned, applied.stderr)
        self.assertEqual(self.good(self.call("GET", "/v1/cohorts/buyers/count", key=self.keys["reader"])), {"count": 0})
        self.assertEqual(self.good(self.call("GET", "/v1/cohorts/new", key=self.keys["reader"]))["owner"], "operator")

        # What no file names is dropped if that is asked for, and only then.
        (place / "cohorts/new.json").unlink()
        self.assertNotIn("new", [line.split("\t")[1] for line in self.definitions("plan", place).stdout.splitlines()])
        pruned = self.definitions("apply", place, "--prune")
        self.assertIn("new", [line.split("\t")[1] for line in pruned.stdout.splitlines()], pruned)
        self.refused(self.call("GET", "/v1/cohorts/new", key=self.keys["reader"]), 404)
        # An export removes the files of what is not there any more; what the others say is as at first.
        (place / "cohorts/left over.json").write_text("{}")
        file.write_text(before[file])
        self.assertEqual(self.definitions("apply", place, "--prune").returncode, 1)
        self.definitions("export", place)
        (place / "cohorts/buyers.json").write_text(before[file])
        self.assertEqual(self.definitions("apply", place).returncode, 0)
        self.definitions("export", place)
        self.assertEqual({file: file.read_text() for file in place.rglob("*.json")}, before)

    def test_commands_say_what_is_wrong(self):
        empty = DIRECTORY / "empty"
        empty.mkdir()
        self.assertIn("has no definitions", self.definitions("plan", empty).stderr)
        self.assertIn("No such file", self.definitions("plan", DIRECTORY / "nowhere").stderr)
        (empty / "cohorts.json").write_text('[{"name": "wrong", "rule": {"dd": "view"}}]')
        done = self.definitions("apply", empty)
        self.assertEqual(done.returncode, 1)
        self.assertIn('Did you mean "did"?', done.stderr)
        (empty / "cohorts.json").write_text("[")
        self.assertIn("cohorts.json", self.definitions("plan", empty).stderr)
        denied = self.definitions("export", DIRECTORY / "denied", role="writer")
        self.assertEqual(denied.returncode, 1)
        self.assertIn("permission denied", denied.stderr)

    def test_the_description_is_that_of_the_server(self):
        self.assertEqual(json.loads(self.program("openapi").stdout), self.good(self.call("GET", "/v1/openapi.json")))
        self.assertEqual(self.call("GET", "/openapi.json").headers.get_content_type(), "application/json")


if __name__ == "__main__":
    unittest.main(verbosity=1)
