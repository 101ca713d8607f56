"""Access: keys, sessions, forged requests. The database decides."""

import http.client
import json
import socket
import time
import unittest

from harness import GatewayCase, event, private

RULE = {"did": "view"}


class Access(GatewayCase):
    def sign_in(self, role, password=None, **headers):
        return self.call("POST", "/v1/session", {"role": role, "password": password or self.server.passwords[role]}, headers=headers)

    def session(self, role):
        answer = self.sign_in(role)
        self.good(answer)
        cookie = answer.headers["Set-Cookie"]
        return private(cookie.split(";")[0].split("=", 1)[1]), answer.json["csrf"], cookie

    def with_session(self, method, path, body=None, cookie=None, csrf=None):
        headers = {"Cookie": f"cohort={cookie}"} | ({"X-CSRF-Token": csrf} if csrf else {})
        return self.call(method, path, body, headers=headers)

    def test_no_key(self):
        for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic a2V5"}, {"Authorization": "Bearer kck_" + "a" * 43},
                        {"Authorization": "Bearer ' OR 1=1 --"}, {"Authorization": "Bearer kck_" + "x" * 60000}):
            answer = self.call("GET", "/v1/cohorts", headers=headers)
            self.assertIn(answer.status, (401, 431), headers)
        self.refused(self.call("GET", "/v1/cohorts"), 401)

    def test_keys_end(self):
        key = self.server.key("reader", "short", expires_at="now() + interval '2 seconds'")
        self.good(self.call("GET", "/v1/cohorts", key=key))
        time.sleep(2.2)
        self.refused(self.call("GET", "/v1/cohorts", key=key), 401)
        key = self.server.key("reader", "revoked")
        self.good(self.call("GET", "/v1/cohorts", key=key))
        self.server.sql("SELECT cohort_api_key_revoke('revoked')")
        self.refused(self.call("GET", "/v1/cohorts", key=key), 401)

    def test_roles_change(self):
        self.server.sql("CREATE ROLE passing LOGIN; SELECT cohort_grant('reader', 'passing'); GRANT passing TO cohort_gateway")
        key = self.server.key("passing", "passing")
        self.good(self.call("GET", "/v1/cohorts", key=key))
        self.server.sql('ALTER ROLE passing RENAME TO "pass""ing; DROP"')
        self.good(self.call("GET", "/v1/cohorts", key=key))
        self.server.sql('REVOKE "pass""ing; DROP" FROM cohort_gateway')
        self.refused(self.call("GET", "/v1/cohorts", key=key), 403, message="is not a member")
        self.server.sql('GRANT "pass""ing; DROP" TO cohort_gateway; ALTER ROLE "pass""ing; DROP" SUPERUSER')
        self.refused(self.call("GET", "/v1/cohorts", key=key), 401)
        self.server.sql('ALTER ROLE "pass""ing; DROP" NOSUPERUSER; DROP OWNED BY "pass""ing; DROP"; DROP ROLE "pass""ing; DROP"; CREATE ROLE passing')
        self.refused(self.call("GET", "/v1/cohorts", key=key), 401)
        self.assertEqual(self.server.sql("SELECT usable FROM cohort_api_key WHERE label = 'passing'"), "f")

    def test_privileges_decide(self):
        writer, reader, editor = self.keys["writer"], self.keys["reader"], self.keys["editor"]
        self.good(self.call("POST", "/v1/events", {"signals": [event("priv")]}, key=writer))
        self.refused(self.call("POST", "/v1/events", {"signals": [event("priv")]}, key=reader), 403)
        self.refused(self.call("GET", "/v1/cohorts", key=writer), 403)
        self.refused(self.call("POST", "/v1/cohorts", {"name": "no", "rule": RULE}, key=reader), 403)
        self.good(self.call("POST", "/v1/cohorts", {"name": "editors own", "rule": RULE}, key=editor), 201)
        self.server.sql("CREATE ROLE editor2 LOGIN; SELECT cohort_grant('editor', 'editor2'); GRANT editor2 TO cohort_gateway")
        other = self.server.key("editor2")
        self.refused(self.call("DELETE", "/v1/cohorts/editors%20own", key=other), 403)
        self.assertEqual(self.good(self.call("GET", "/v1/cohorts/editors%20own", key=other))["editable"], False)
        self.refused(self.call("DELETE", "/v1/customers/priv", key=editor), 403)
        self.refused(self.call("GET", "/v1/api-keys", key=reader), 403)
        self.refused(self.call("POST", "/v1/api-keys", {"label": "up", "role": "postgres"}, key=self.keys["operator"]), 403)
        self.refused(self.call("POST", "/v1/api-keys", {"label": "up", "role": "editor"}, key=self.keys["operator"]), 403)
        made = self.good(self.call("POST", "/v1/api-keys", {"label": "mine", "role": "operator"}, key=self.keys["operator"]), 201)
        self.good(self.call("GET", "/v1/operation", key=private(made["key"])))
        self.assertEqual(self.call("DELETE", "/v1/api-keys/mine", key=self.keys["operator"]).status, 204)

    def test_row_level_security(self):
        self.server.sql("""CREATE ROLE tenant LOGIN; SELECT cohort_grant('reader', 'tenant'); GRANT tenant TO cohort_gateway;
            INSERT INTO cohort_event (customer_id, event_type) VALUES ('t1-a', 'rls'), ('t2-a', 'rls');
            ALTER TABLE cohort_event ENABLE ROW LEVEL SECURITY;
            CREATE POLICY all_of_it ON cohort_event TO writer, reader, editor, operator USING (true) WITH CHECK (true);
            CREATE POLICY own ON cohort_event TO tenant USING (customer_id LIKE 't1-%')""")
        try:
            key = self.server.key("tenant")
            seen = self.good(self.call("GET", "/v1/events?event_type=rls", key=key))["items"]
            self.assertEqual([entry["customer_id"] for entry in seen], ["t1-a"])
            preview = self.good(self.call("POST", "/v1/preview", {"rule": {"did": "rls"}}, key=key))
            self.assertEqual((preview["size"], [member["customer_id"] for member in preview["sample"]]), (1, ["t1-a"]))
            self.refused(self.call("GET", "/v1/customers/t2-a", key=key), 404)
            self.server.sql("""INSERT INTO cohort_event (customer_id, event_type, data) VALUES ('t1-a', 'rls', '{"mine": 1}'), ('t2-a', 'rls', '{"theirs": 2}')""")
            self.assertEqual([entry["property"] for entry in self.good(self.call("GET", "/v1/properties", key=key))["items"]], ["mine"])
            # Where the rows that a role may see are slow to find, there are no examples, instead of no answer.
            self.server.sql("ALTER POLICY own ON cohort_event USING (pg_sleep(1) IS NOT NULL)")
            self.assertEqual(self.good(self.call("GET", "/v1/properties?event_type=rls", key=key))["items"], [])
            self.assertEqual(self.good(self.call("POST", "/v1/preview", {"rule": {"did": "rls"}}, key=self.keys["reader"]))["size"], 2)
        finally:
            self.server.sql("ALTER TABLE cohort_event DISABLE ROW LEVEL SECURITY; DROP POLICY own ON cohort_event; DROP POLICY all_of_it ON cohort_event")

    def test_the_gateways_own_role_can_do_nothing(self):
        for statement in ("SELECT count(*) FROM cohort_event", "SELECT * FROM kursaha_cohort.api_key", "SELECT * FROM cohort_api_key",
                          "SELECT cohort_count('x')", "SELECT cohort_api_key_create('x', 'cohort_gateway')"):
            found = self.server.sql(f"""DO $$ BEGIN SET LOCAL ROLE cohort_gateway; EXECUTE $q${statement}$q$; RAISE 'allowed';
                EXCEPTION WHEN insufficient_privilege THEN NULL; END $$""")
            self.assertEqual(found, "", statement)

    def test_a_session(self):
        cookie, csrf, header = self.session("editor")
        self.assertIn("HttpOnly", header)
        self.assertIn("SameSite=Strict", header)
        seen = self.good(self.with_session("GET", "/v1/session", cookie=cookie))
        self.assertEqual((seen["role"], seen["csrf"], seen["may"]), ("editor", csrf, {"read": True, "ingest": False, "edit": True, "operate": False}))
        body = {"name": "by session", "rule": RULE}
        self.refused(self.with_session("POST", "/v1/cohorts", body, cookie=cookie), 403, message="X-CSRF-Token")
        self.refused(self.with_session("POST", "/v1/cohorts", body, cookie=cookie, csrf="0" * len(csrf)), 403)
        self.good(self.with_session("POST", "/v1/cohorts", body, cookie=cookie, csrf=csrf), 201)
        forged = ("A" if cookie[0] != "A" else "B") + cookie[1:]
        self.refused(self.with_session("GET", "/v1/cohorts", cookie=forged), 401)
        self.assertEqual(self.with_session("DELETE", "/v1/session", cookie=cookie, csrf=csrf).status, 204)
        self.refused(self.with_session("GET", "/v1/session", cookie=cookie), 401)

    def test_a_session_ends_with_its_role(self):
        self.server.sql("CREATE ROLE leaving LOGIN PASSWORD 'leaving-secret'; SELECT cohort_grant('reader', 'leaving'); GRANT leaving TO cohort_gateway")
        self.server.passwords["leaving"] = private("leaving-secret")
        cookie, _, _ = self.session("leaving")
        self.good(self.with_session("GET", "/v1/cohorts", cookie=cookie))
        self.server.sql("ALTER ROLE leaving NOLOGIN")
        self.refused(self.with_session("GET", "/v1/cohorts", cookie=cookie), 401)

    def test_who_does_not_get_in(self):
        self.refused(self.sign_in("reader", "wrong"), 401)
        self.refused(self.sign_in("nobody", "wrong"), 401)
        self.refused(self.sign_in("root2", "super-secret"), 403)
        self.refused(self.sign_in("stranger", "stranger-secret"), 403)
        # pg_hba.conf asks this one for no password: whoever came first would be it.
        self.refused(self.sign_in("trusting", "anything"), 503, message="does not require")
        self.refused(self.sign_in("postgres", "anything"), 503)
        # A page of another site can send such a body without asking, but not as JSON.
        form = self.call("POST", "/v1/session", json.dumps({"role": "reader", "password": "x"}), headers={"Content-Type": "text/plain"})
        self.refused(form, 415)

    def test_too_many_failures(self):
        statuses = [self.sign_in("writer", f"guess {number}").status for number in range(6)]
        self.assertEqual(statuses, [401] * 5 + [429])
        answer = self.sign_in("writer")
        self.assertEqual(answer.status, 429)
        self.assertGreater(int(answer.headers["Retry-After"]), 60)

    def test_a_header_that_names_a_role_is_nothing_by_default(self):
        for header in ("X-Remote-User", "X-Forwarded-User", "Remote-User"):
            self.refused(self.call("GET", "/v1/cohorts", headers={header: "operator"}), 401)

    def raw(self, text):
        with socket.create_connection(("127.0.0.1", self.gateway.port), timeout=20) as connection:
            connection.sendall(text)
            answer = b""
            while True:
                try:
                    piece = connection.recv(65536)
                except (socket.timeout, ConnectionResetError):
                    break
                answer += piece
                if not piece:
                    break
        return answer

    def test_smuggled_requests(self):
        key = self.keys["reader"]
        hidden = b"GET /v1/cohorts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        head = f"POST /v1/validate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n".encode()
        for lengths in (b"Content-Length: 4\r\nContent-Length: 40\r\n", b"Transfer-Encoding: chunked, identity\r\n", b"Content-Length: +4\r\n",
                        b"Transfer-Encoding: xchunked\r\n"):
            answer = self.raw(head + lengths + b"\r\n" + b"0\r\n\r\n" + hidden)
            self.assertLessEqual(answer.count(b"HTTP/1.1 "), 1, lengths)
            self.assertNotIn(b"200 OK", answer, lengths)

    def test_headers_and_paths(self):
        self.assertIn(b" 431 ", self.raw(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n").split(b"\r\n")[0] + b" ")
        for path in ("/v1/cohorts/%ff", "/v1/cohorts/%00", "/v1/cohorts/..%2f..%2fetc%2fpasswd", "/v1/cohorts/%2e%2e", "/v1//cohorts", "/v1/cohorts/%"):
            answer = self.call("GET", path, key=self.keys["reader"])
            self.assertIn(answer.status, (400, 404), path)
        self.assertNotEqual(self.call("GET", "/../../etc/passwd").status, 200)


if __name__ == "__main__":
    unittest.main(verbosity=1)
