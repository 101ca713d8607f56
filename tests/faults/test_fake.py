"""The fake's own behaviour, from outside: python3 -m unittest tests/faults/test_fake.py"""

import hashlib
import hmac
import http.client
import json
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
from pathlib import Path
from urllib.parse import quote

FAKE = Path(__file__).with_name("fake.py")
V = "/v25.0"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


class FakeCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="fake-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.process = subprocess.Popen([sys.executable, FAKE, cls.dir], stderr=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop)
        end = time.monotonic() + 10
        while not (cls.dir / "port").exists():
            if time.monotonic() > end or cls.process.poll() is not None:
                raise AssertionError(f"the fake did not start in {cls.dir}")
            time.sleep(0.02)
        cls.port = int((cls.dir / "port").read_text())
        cls.tls = ssl.create_default_context(cafile=cls.dir / "ca.pem")
        cls.token = (cls.dir / "token").read_text()

    @classmethod
    def stop(cls):
        cls.process.send_signal(signal.SIGTERM)
        _, errors = cls.process.communicate(timeout=5)
        assert cls.process.returncode == 0, cls.process.returncode
        assert not (cls.dir / "port").exists()
        assert not errors, errors

    def setUp(self):
        self.kept = self.connect()
        self.control("POST", "reset")

    def connect(self, timeout=5, host="127.0.0.1"):
        connection = http.client.HTTPSConnection(host, self.port, timeout=timeout, context=self.tls)
        self.addCleanup(connection.close)
        return connection

    def send(self, method, path, body=b"", headers={}, connection=None):
        """(status, body bytes, headers) on a connection that stays open."""
        connection = connection or self.kept
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers

    def control(self, method, path, value=None):
        status, body, _ = self.send(method, f"/_control/{path}", json.dumps(value))
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def script(self, path, times=1, match={}, **do):
        self.control("POST", "script", [{"match": {"path": path} | match, "times": times, "do": do}])

    def api(self, method, path, value=None, token=None, connection=None):
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        status, body, _ = self.send(method, path, b"" if value is None else json.dumps(value), headers, connection)
        return status, json.loads(body)

    def audience(self, name="buyers", account="1234"):
        body = {"name": name, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
        status, answer = self.api("POST", f"{V}/act_{account}/customaudiences", body)
        self.assertEqual(status, 200, answer)
        return answer["id"]

    session_id = 0

    def users(self, method, audience, schema, data, connection=None, **session):
        FakeCase.session_id += 1
        given = {"session_id": self.session_id, "batch_seq": 1, "last_batch_flag": True}
        given |= {"estimated_num_total": len(data)} | session
        body = {"session": given, "payload": {"schema": schema, "data": data}}
        return self.api(method, f"{V}/{audience}/users", body, connection=connection)

    def refused(self, answer, code, subcode=None, status=400):
        self.assertEqual(answer[0], status, answer)
        self.assertEqual(answer[1]["error"]["code"], code, answer)
        self.assertEqual(answer[1]["error"].get("error_subcode"), subcode, answer)

    def members(self, audience):
        return self.control("GET", f"audience/{audience}?members=1")["members"]

    def rows(self, audience):
        return self.control("GET", f"audience/{audience}")["rows"]


class Server(FakeCase):
    def test_tls(self):
        self.assertEqual(self.send("GET", "/_control/log", connection=self.connect(host="localhost"))[0], 200)
        with self.assertRaises(ssl.SSLCertVerificationError):
            other = ssl.create_default_context()
            http.client.HTTPSConnection("127.0.0.1", self.port, context=other, timeout=5).request("GET", "/")
        self.assertEqual((self.dir / "pid").read_text(), str(self.process.pid))
        self.assertRegex(self.token, r"^fake-token-[0-9a-f]{24}$")

    def test_silent_client_blocks_nobody(self):
        with socket.create_connection(("127.0.0.1", self.port)):
            begin = time.monotonic()
            self.assertEqual(self.send("GET", "/_control/log", connection=self.connect())[0], 200)
            self.assertLess(time.monotonic() - begin, 1)

    def test_log(self):
        audience = self.audience()
        self.users("DELETE", audience, ["EXTERN_ID"], [["a"], ["b"]])
        entry = self.control("GET", "log")[-1]
        self.assertEqual((entry["n"], entry["method"], entry["path"]), (2, "DELETE", f"{V}/{audience}/users"))
        self.assertEqual((entry["rows"], entry["action"], entry["status"], entry["key"]), (2, "remove", 200, None))
        self.assertEqual(entry["headers"]["authorization"], "present")
        self.assertNotIn(self.token, json.dumps(entry))
        self.assertLess(abs(entry["at"] - time.time()), 5)

    def test_open_at_once(self):
        audience = self.audience()
        for _ in range(50):
            # A new connection each: one after the other must never look like two at once.
            self.users("POST", audience, ["EXTERN_ID"], [["a"]], self.connect())
        self.assertEqual({entry["open_at_once"] for entry in self.control("GET", "log")}, {1})
        self.script("/users", times=2, delay=0.4)
        both = [threading.Thread(target=self.users, args=("POST", audience, ["EXTERN_ID"], [[name]], self.connect()))
                for name in "bc"]  # fmt: skip
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        self.assertEqual([entry["open_at_once"] for entry in self.control("GET", "log")[-2:]], [2, 2])

    def test_size(self):
        """5,000 rows of six hashes are 2 MB, and one request; sent again, they are the same rows."""
        audience, keys = self.audience(), ["EXTERN_ID", "EMAIL", "PHONE", "FN", "LN", "CT", "COUNTRY"]
        data = [[str(n), *(sha(f"{key}{n}") for key in keys[1:])] for n in range(5000)]
        for _ in range(2):
            self.assertEqual(self.users("POST", audience, keys, data)[0], 200)
        self.assertEqual(self.rows(audience), 5000)


class Graph(FakeCase):
    def test_token(self):
        self.refused(self.api("GET", f"{V}/act_1234", token="wrong"), 190)
        self.assertEqual(json.loads(self.send("GET", f"{V}/act_1234")[1])["error"]["code"], 190)
        answer = self.api("GET", f"{V}/act_1234?access_token=x")
        self.refused(answer, 1)
        self.assertEqual(answer[1]["error"]["message"], "token in URL")
        (self.dir / "token").write_text("another")
        try:
            self.refused(self.api("GET", f"{V}/act_1234"), 190)
            self.assertEqual(self.api("GET", f"{V}/act_1234", token="another")[0], 200)
        finally:
            (self.dir / "token").write_text(self.token)

    def test_account_and_creation(self):
        self.assertEqual(self.api("GET", f"{V}/act_1234?fields=name")[1]["account_status"], 1)
        self.refused(self.api("GET", f"{V}/act_9234"), 100, 33)
        self.refused(self.api("POST", f"{V}/act_9234/customaudiences", {"name": "a"}), 100, 33)
        self.refused(self.api("POST", f"{V}/act_1234/customaudiences", {"name": "a", "subtype": "CUSTOM"}), 100)
        self.refused(self.api("GET", f"{V}/23999"), 100, 33)
        self.refused(self.users("POST", "23999", ["EXTERN_ID"], [["a"]]), 100, 33)
        audience = self.audience()
        found = self.api("GET", f"{V}/{audience}?fields=name,operation_status")[1]
        normal = {"code": 200, "description": "Normal"}
        self.assertEqual(found, {"id": audience, "name": "buyers", "operation_status": normal})
        self.assertIn("delivery_status", self.api("GET", f"{V}/{audience}")[1])
        expected = [{"id": audience, "name": "buyers", "ad_account_id": "1234", "rows": 0}]
        self.assertEqual(self.control("GET", "audiences"), expected)

    def test_pages(self):
        created = [self.audience(f"a{n}") for n in range(30)]
        self.audience("elsewhere", "55")
        first = self.api("GET", f"{V}/act_1234/customaudiences?fields=id,name")[1]
        self.assertEqual(len(first["data"]), 25)
        self.assertIn("next", first["paging"])
        self.assertNotIn(self.token, first["paging"]["next"])
        after = quote(first["paging"]["cursors"]["after"], safe="")
        rest = self.api("GET", f"{V}/act_1234/customaudiences?fields=id,name&after={after}")[1]
        self.assertNotIn("next", rest["paging"])
        self.assertEqual([entry["id"] for entry in first["data"] + rest["data"]], created)

    def test_sets_and_matching(self):
        audience = self.audience()
        schema = ["EXTERN_ID", "EMAIL", "PHONE", "FN", "MADID"]
        one = ["1", sha("a"), "", sha("ann"), "m1"]
        data = [one, one, ["2", sha("b"), sha("p"), "", ""], ["3", sha("b"), "", "", ""], ["", "", sha("q"), "", ""]]
        status, answer = self.users("POST", audience, schema, data)
        self.assertEqual((answer["num_received"], answer["num_invalid_entries"]), (5, 0))
        self.assertEqual(self.rows(audience), 4)
        # The same row by another order of the keys is the same row.
        self.users("POST", audience, ["EMAIL", "PHONE", "EXTERN_ID"], [[sha("b"), "", "3"]])
        expected = [
            {"EMAIL": sha("a"), "EXTERN_ID": "1", "FN": sha("ann"), "MADID": "m1"},
            {"EMAIL": sha("b"), "EXTERN_ID": "2", "PHONE": sha("p")},
            {"EMAIL": sha("b"), "EXTERN_ID": "3"},
            {"PHONE": sha("q")},
        ]
        order = lambda rows: sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))
        self.assertEqual(self.members(audience), order(expected))
        texts = [json.dumps(row, sort_keys=True, separators=(",", ":")) for row in expected]
        digest = hashlib.sha256(b"".join(sorted(hashlib.sha256(text.encode()).digest() for text in texts)))
        found = self.control("GET", f"audience/{audience}?digest=1")
        self.assertEqual(found, {"rows": 4, "digest": digest.hexdigest()})
        # A field that identifies nobody removes nobody; a shared one removes all that have it.
        self.users("DELETE", audience, ["FN"], [[sha("ann")]])
        self.users("DELETE", audience, ["EXTERN_ID", "EMAIL"], [["b", sha("1")]])
        self.assertEqual(self.rows(audience), 4)
        self.users("DELETE", audience, ["EXTERN_ID", "EMAIL"], [["nobody", sha("b")]])
        self.assertEqual(self.members(audience), order([expected[0], expected[3]]))
        self.users("DELETE", audience, ["MADID", "PHONE"], [["m1", ""], ["", sha("q")]])
        self.assertEqual(self.members(audience), [])
        self.users("POST", audience, schema, data)
        self.assertEqual(self.rows(audience), 4)
        self.assertEqual(self.control("GET", f"audience/{audience}")["requests"], 7)

    def test_sessions(self):
        audience, schema = self.audience(), ["EXTERN_ID"]
        send = lambda name, **session: self.users("POST", audience, schema, [[name]], **session)
        many = {"session_id": 10**12, "last_batch_flag": False, "estimated_num_total": 3}
        self.refused(send("a", **many | {"batch_seq": 2}), 100)
        self.assertEqual(send("a", **many)[0], 200)
        self.refused(send("b", **many), 100)
        self.assertEqual(send("b", **many | {"batch_seq": 2})[0], 200)
        self.assertEqual(send("c", **many | {"batch_seq": 3, "last_batch_flag": True})[0], 200)
        self.refused(send("d", **many | {"batch_seq": 4}), 100, 1870145)
        for wrong in (0, -1, 1 << 63, "1", 1.5, True, None):
            self.refused(send("d", session_id=wrong), 100)
        self.refused(send("d", estimated_num_total=0), 100)
        self.assertEqual(self.control("GET", f"audience/{audience}")["sessions"], 1)
        self.assertEqual(self.rows(audience), 3)

    def test_limits(self):
        audience = self.audience()
        for schema, data in (
            (["EXTERN_ID"], []),
            (["EXTERN_ID"], [["x"]] * 10_001),
            (["extern_id"], [["x"]]),
            (["EXTERNAL"], [["x"]]),
            (["EXTERN_ID"], [["x"], ["x", "y"]]),
            (["EXTERN_ID"], [[1]]),
        ):
            self.refused(self.users("POST", audience, schema, data), 100)
        bearer = {"Authorization": f"Bearer {self.token}"}
        for kind, body in (("application/json", "{"), ("text/plain", "{}"), ("application/json", "[]")):
            status, _, _ = self.send("POST", f"{V}/{audience}/users", body, bearer | {"Content-Type": kind})
            self.assertEqual(status, 400)
        self.assertEqual(self.users("POST", audience, ["EXTERN_ID"], [[str(n)] for n in range(10_000)])[0], 200)
        self.assertEqual(self.rows(audience), 10_000)

    def test_invalid_entries(self):
        audience = self.audience()
        data = [["1", sha("a")], ["2", "plain@example.com"], ["3", sha("")], ["4", sha("b").upper()], ["5", ""]]
        answer = self.users("POST", audience, ["EXTERN_ID", "EMAIL"], data)[1]
        self.assertEqual((answer["num_received"], answer["num_invalid_entries"]), (5, 3))
        self.assertEqual(len(answer["invalid_entry_samples"]), 2)
        self.assertEqual(sorted(row["EXTERN_ID"] for row in self.members(audience)), ["1", "5"])

    def test_bad_rows(self):
        audience = self.audience()
        self.control("POST", "bad_rows", {"audience": audience, "values": ["3"], "code": 100})
        self.refused(self.users("POST", audience, ["EXTERN_ID"], [["1"], ["3"]]), 100)
        self.assertEqual(self.users("POST", audience, ["EXTERN_ID"], [["1"], ["2"]])[0], 200)
        self.assertEqual(self.users("DELETE", audience, ["EXTERN_ID"], [["3"], ["2"]])[0], 200)
        self.control("POST", "bad_rows", {"audience": audience, "values": ["4"], "code": 105, "subcode": 7})
        self.refused(self.users("POST", audience, ["EXTERN_ID"], [["4"]]), 105, 7)
        self.assertEqual(self.rows(audience), 1)
        self.script("/users", refuse_rows=["9"])
        self.refused(self.users("POST", audience, ["EXTERN_ID"], [["9"]]), 100)
        self.assertEqual(self.users("POST", audience, ["EXTERN_ID"], [["9"]])[0], 200)

    def test_events(self):
        event = {"event_name": "Lapsed", "event_time": int(time.time()), "event_id": "e1", "action_source": "website"}
        event |= {"user_data": {"em": [sha("a")]}}
        send = lambda *events: self.api("POST", f"{V}/7001/events", {"data": events})
        self.assertEqual(send(event)[1]["events_received"], 1)
        send(event, event | {"event_name": "Other"})
        seen = self.control("GET", "events/7001")
        self.assertEqual([entry["event_name"] for entry in seen["events"]], ["Lapsed", "Other"])
        self.assertEqual(seen["duplicates"], 1)
        good = event | {"event_id": "e2"}
        for wrong in (
            {"event_time": int(time.time()) - 7 * 86_400 - 10},
            {"event_time": int(time.time()) + 100},
            {"event_id": None},
            {"user_data": {"who": "x"}},
        ):
            answer = send(good, good | wrong)
            self.assertEqual((answer[0], answer[1]["error"]["code"]), (400, 100))
        self.assertEqual(send(*[good] * 1001)[0], 400)
        self.assertEqual(len(self.control("GET", "events/7001")["events"]), 2)
        self.assertEqual(self.api("GET", f"{V}/7001?fields=id,name")[1]["id"], "7001")


class Faults(FakeCase):
    def setUp(self):
        super().setUp()
        self.made = self.audience()

    def add(self, name="a", connection=None):
        return self.users("POST", self.made, ["EXTERN_ID"], [[name]], connection)

    def test_status_without_and_with_effect(self):
        error = {"error": {"code": 2, "message": "later"}}
        self.script("/users", status=500, body=error)
        self.assertEqual(self.add(), (500, error))
        self.assertEqual(self.rows(self.made), 0)
        self.script("/users", status=500, body=error, apply="before", headers={"Retry-After": "7"})
        self.assertEqual(self.add(), (500, error))
        self.assertEqual(self.rows(self.made), 1)
        self.assertEqual(self.control("GET", "log")[-1]["status"], 500)
        self.script("/users", body="<html>down</html>", status=503)
        bearer = {"Authorization": f"Bearer {self.token}"}
        status, body, headers = self.send("POST", f"{V}/{self.made}/users", "{}", bearer)
        self.assertEqual((status, body, headers.get_content_type()), (503, b"<html>down</html>", "text/html"))

    def test_matching_of_steps(self):
        self.script("/users", times=2, match={"action": "remove"}, status=500, body={})
        self.script("/users", match={"method": "POST"}, status=501, body={}, headers={"Retry-After": "9"})
        remove = lambda: self.users("DELETE", self.made, ["EXTERN_ID"], [["a"]])[0]
        self.assertEqual([remove(), self.add()[0], remove(), remove(), self.add()[0]], [500, 501, 500, 200, 200])
        wrong = json.dumps([{"match": {"path": "x"}, "do": {"stauts": 1}}])
        self.assertEqual(self.send("POST", "/_control/script", wrong)[0], 400)
        self.script("/users", headers={"X-Business-Use-Case-Usage": "{}"})
        self.assertEqual(self.add()[0], 200)

    def test_delay(self):
        self.script("/users", delay=0.4)
        begin = time.monotonic()
        self.assertEqual(self.add()[0], 200)
        self.assertGreaterEqual(time.monotonic() - begin, 0.4)

    def test_drip(self):
        self.script("/users", drip=0.001)
        begin = time.monotonic()
        self.assertEqual(self.add()[0], 200)
        self.assertGreater(time.monotonic() - begin, 0.2)

    def test_cut(self):
        self.script("/users", cut=5)
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.add(connection=self.connect())
        self.assertEqual(len(caught.exception.partial), 5)
        self.assertEqual(self.rows(self.made), 1)

    def test_length(self):
        self.script("/users", length=4)
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.add(connection=self.connect())
        self.assertEqual(caught.exception.expected, 4)
        self.script("/users", length=-4)
        with self.assertRaises(json.JSONDecodeError):
            self.add(connection=self.connect())

    def test_reset(self):
        self.script("/users", reset=True)
        self.script("/users", reset=True, apply="none")
        for name in ("a", "b"):
            with self.assertRaises(ConnectionError):
                self.add(name, self.connect())
        self.assertEqual(self.members(self.made), [{"EXTERN_ID": "a"}])
        self.assertIsNone(self.control("GET", "log")[-1]["status"])

    def test_hang(self):
        self.script("/users", hang=True, apply="none")
        other = self.connect(timeout=0.4)
        with self.assertRaises(TimeoutError):
            self.add(connection=other)
        self.assertEqual(self.rows(self.made), 0)
        other.close()
        # The fake sees the close, and a new try does not count as a second one at the same time.
        time.sleep(0.1)
        self.assertEqual(self.add()[0], 200)
        self.assertEqual(self.control("GET", "log")[-1]["open_at_once"], 1)


class Webhook(FakeCase):
    def deliver(self, value, key="k1", at=None, secret=None):
        body, at = json.dumps(value).encode(), int(time.time()) if at is None else at
        secret = secret or (self.dir / "hook-secret").read_text()
        signature = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
        headers = {"X-Cohort-Signature": f"t={at},v1={signature}", "Idempotency-Key": key}
        return self.send("POST", "/hook/crm", body, headers | {"Content-Type": "application/json"})[0]

    def test_deliveries(self):
        add = {"action": "add", "members": [{"customer_id": "1", "properties": {"x": 1}}, {"customer_id": "2"}]}
        self.assertEqual(self.deliver(add), 200)
        self.assertEqual(self.deliver(add), 200)
        self.assertEqual(self.deliver({"action": "remove", "members": [{"customer_id": "1"}]}), 409)
        self.assertEqual(self.deliver({"action": "remove", "members": [{"customer_id": "2"}]}, "k2"), 200)
        self.assertEqual(self.deliver(add, "k3", secret="wrong"), 401)
        self.assertEqual(self.deliver(add, "k3", at=int(time.time()) - 400), 401)
        self.assertEqual(self.deliver({"action": "other", "members": []}, "k4"), 400)
        expected = {"members": {"1": {"x": 1}}, "deliveries": 2, "repeats": 2, "bad_signatures": 2}
        self.assertEqual(self.control("GET", "hook/crm"), expected)
        entry = self.control("GET", "log")[0]
        self.assertEqual((entry["action"], entry["rows"], entry["key"]), ("add", 2, "k1"))
        self.assertEqual(entry["headers"]["x-cohort-signature"], "present")

    def test_too_large(self):
        self.assertEqual(self.deliver({"action": "add", "members": [], "pad": "x" * (10 << 20)}), 413)


class Store(FakeCase):
    def sign(self, method, path, query="", body=b"", secret=None, presign=False, expires=60, unsigned=False):
        """AWS Signature V4 from its description; `query` is given canonical. (target, headers)"""
        access, good = (self.dir / "s3-secret").read_text().split(":")
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope, host = f"{now[:8]}/ap-south-1/s3/aws4_request", f"127.0.0.1:{self.port}"
        hashed = "UNSIGNED-PAYLOAD" if presign or unsigned else hashlib.sha256(body).hexdigest()
        headers = {"host": host} if presign else {"host": host, "x-amz-content-sha256": hashed, "x-amz-date": now}
        names = ";".join(sorted(headers))
        if presign:
            credential = quote(f"{access}/{scope}", safe="")
            query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={now}"
            query += f"&X-Amz-Expires={expires}&X-Amz-SignedHeaders={names}"
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{hashed}"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("AWS4" + (secret or good)).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        if presign:
            return f"{path}?{query}&X-Amz-Signature={signature}", {}
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return path + ("?" + query if query else ""), headers

    def s3(self, method, path, query="", body=b"", **how):
        target, headers = self.sign(method, path, query, body, **how)
        return self.send(method, target, body, headers)

    def test_objects(self):
        path = "/s3/good-1/cohorts/a%20b%2Bc.csv"
        status, _, headers = self.s3("PUT", path, body=b"id\n1\n")
        self.assertEqual((status, headers["ETag"]), (200, '"%s"' % hashlib.md5(b"id\n1\n").hexdigest()))
        self.assertEqual(self.s3("GET", path)[:2], (200, b"id\n1\n"))
        status, body, headers = self.s3("HEAD", path)
        self.assertEqual((status, body, headers["Content-Length"]), (200, b"", "5"))
        self.s3("PUT", "/s3/good-1/other", body=b"x", unsigned=True)
        status, body, _ = self.s3("GET", "/s3/good-1", "list-type=2&prefix=cohorts%2F")
        self.assertEqual(status, 200)
        self.assertIn(b"<KeyCount>1</KeyCount>", body)
        self.assertIn(b"<Key>cohorts/a b+c.csv</Key>", body)
        self.assertEqual(self.s3("HEAD", "/s3/good-1")[0], 200)
        self.assertEqual(self.s3("DELETE", "/s3/good-1/other")[0], 204)
        self.assertEqual(self.s3("GET", "/s3/good-1/other")[0], 404)
        found = {"size": 5, "sha256": hashlib.sha256(b"id\n1\n").hexdigest(), "body": "id\n1\n"}
        self.assertEqual(self.control("GET", "bucket/good-1?body=1"), {"cohorts/a b+c.csv": found})
        status, body, _ = self.s3("PUT", "/s3/missing/x", body=b"x")
        self.assertEqual(status, 404)
        self.assertIn(b"NoSuchBucket", body)

    def test_signatures(self):
        path = "/s3/good-1/x"
        status, body, headers = self.s3("PUT", path, body=b"x", secret="wrong")
        self.assertEqual((status, headers["Content-Type"]), (403, "application/xml"))
        self.assertIn(b"<Code>SignatureDoesNotMatch</Code>", body)
        target, headers = self.sign("PUT", path, body=b"x")
        self.assertEqual(self.send("PUT", target, b"y", headers)[0], 400)
        self.assertEqual(self.send("PUT", target + "z", b"x", headers)[0], 403)
        self.assertEqual(self.send("PUT", target, b"x", headers | {"x-amz-acl": "public-read"})[0], 403)
        self.assertEqual(self.send("PUT", path, b"x")[0], 403)
        self.assertEqual(self.control("GET", "bucket/good-1"), {})
        self.assertEqual(self.s3("PUT", path, body=b"x", presign=True)[0], 200)
        self.assertEqual(self.s3("GET", path, presign=True)[:2], (200, b"x"))
        self.assertEqual(self.s3("GET", path, presign=True, secret="wrong")[0], 403)
        self.assertEqual(self.s3("GET", path, presign=True, expires=0)[0], 403)
        logged = json.dumps(self.control("GET", "log"))
        self.assertNotIn("Signature=", logged)


if __name__ == "__main__":
    unittest.main()
