"""Restrictions of destinations: secrets, hosts, headers."""

import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

from harness import Case


class Destinations(Case):
    name = "destinations"
    settings = {"kursaha_cohort.request_timeout": "60s"}

    @classmethod
    def setUpClass(cls):
        os.environ["RUST_BACKTRACE"] = "1"
        super().setUpClass()
        cls.server.ask("CREATE ROLE mallory LOGIN; SELECT cohort_grant('operator', 'mallory')")

    def hook(self, name, **config):
        url = config.pop("url", f"{self.fake.url}/hook/{name}")
        self.destination(name, "webhook", {"url": url, **config}, "file:hook")

    def failing(self, name, role="app"):
        """What the test of a destination says of the steps that fail."""
        return self.server.ask(f"SELECT string_agg(detail, ' ') FROM cohort_destination_test('{name}') WHERE NOT ok", role)

    # Secrets ------------------------------------------------------------------------------------------------------------

    def test_a_secret_is_its_first_users(self):
        server = self.server
        server.put_secret("first", "a-key-of-the-first")
        server.app(f"SELECT cohort_destination_create('first', 'webhook', '{{\"url\": \"{self.fake.url}/hook/first\"}}', 'file:first')")
        # Another role, another kind, a request with the secret in it.
        server.refused(f"SELECT cohort_destination_create('m1', 'webhook', '{{\"url\": \"{self.fake.url}/hook/m\"}}', 'file:first')",
                       "is not for a destination", "mallory", "app", "cohort_secret_allow('file:first', ARRAY['app', 'mallory']",
                       role="mallory")
        server.refused("SELECT cohort_destination_create('a1', 's3', '{\"endpoint\": \"https://x.example.com\", \"bucket\": \"b\"}', 'file:first')",
                       "kind \"s3\"", "ARRAY['webhook', 's3']")
        server.refused("SELECT cohort_destination_create('a2', 'facebook_ads', '{\"ad_account_id\": \"1\", \"audience_id\": \"2\"}', 'file:first')",
                       "kind \"facebook_ads\"")
        server.refused(f"SELECT cohort_destination_update('first', '{{\"url\": \"{self.fake.url}/hook/first\", "
                       "\"secret_headers\": {\"X-Api-Key\": \"$secret\"}}')", "is not for a destination", f"'127.0.0.1:{self.fake.port}'")
        # A name without a secret is nobody's, whoever names it first.
        server.ask("SELECT cohort_destination_create('squat', 'meta_pixel', '{\"pixel_id\": \"1\", \"event_name\": \"e\"}', 'file:later')", "mallory")
        self.assertIn("does not exist", self.failing("squat", "mallory"))
        server.put_secret("later", "a-later-token")
        server.app("SELECT cohort_destination_create('later', 'meta_pixel', '{\"pixel_id\": \"1\", \"event_name\": \"e\"}', 'file:later')")
        self.assertIn("is not for a destination", self.failing("squat", "mallory"))
        # A role that is gone holds nothing.
        server.ask("CREATE ROLE passing; SELECT cohort_grant('operator', 'passing')")
        server.put_secret("passing", "a-passing-key")
        hook = f"'webhook', '{{\"url\": \"{self.fake.url}/hook/p\"}}', 'file:passing'"
        server.ask(f"SELECT cohort_destination_create('p1', {hook})", "passing")
        server.refused(f"SELECT cohort_destination_create('p2', {hook})", "is not for a destination")
        server.ask("ALTER ROLE passing RENAME TO renamed")
        server.refused(f"SELECT cohort_destination_create('p2', {hook})", "is not for a destination", "renamed")
        server.ask("SELECT cohort_destination_drop('p1'); DROP OWNED BY renamed; DROP ROLE renamed")
        server.app(f"SELECT cohort_destination_create('p2', {hook})")

    def test_a_token_goes_nowhere_that_nobody_named(self):
        """An allowed host of somebody's gets another one's token only where a superuser said so."""
        server = self.server
        server.put_secret("token", "EAAG-another-ones-token")
        config = f"'{{\"pixel_id\": \"1\", \"event_name\": \"e\", \"base_url\": \"{self.fake.url}\"}}'"
        # Its first use binds it to the API's own host.
        server.app("SELECT cohort_destination_create('first use', 'meta_pixel', '{\"pixel_id\": \"1\", \"event_name\": \"e\"}', 'file:token')")
        for role in ("mallory", "app", None):
            server.refused(f"SELECT cohort_destination_create('thief', 'meta_pixel', {config}, 'file:token')",
                           "is not for a destination", role=role)
        # Or to another one, if that is the first.
        server.put_secret("elsewhere", "EAAG-of-elsewhere")
        server.app(f"SELECT cohort_destination_create('elsewhere', 'meta_pixel', {config}, 'file:elsewhere')")
        other = config.replace(str(self.fake.port), "1")
        server.refused(f"SELECT cohort_destination_create('other', 'meta_pixel', {other}, 'file:elsewhere')",
                       "is not for a destination", f"127.0.0.1:{self.fake.port}")
        server.ask("SELECT cohort_secret_allow('file:token', '{app}', '{meta_pixel}', '{other.example.com, 127.0.0.1:1}')")
        server.refused(f"SELECT cohort_destination_create('thief', 'meta_pixel', {config}, 'file:token')", "127.0.0.1:1", "HINT")
        server.ask(f"SELECT cohort_secret_allow('file:token', '{{app}}', '{{meta_pixel}}', '{{127.0.0.1:{self.fake.port}}}')")
        server.refused(f"SELECT cohort_destination_create('thief', 'meta_pixel', {config}, 'file:token')", "is not for", role="mallory")
        server.app(f"SELECT cohort_destination_create('rightful', 'meta_pixel', {config}, 'file:token')")
        server.app("SELECT * FROM cohort_destination_test('rightful')")
        self.assertEqual(len(self.fake.seen("/v25.0/1")), 1)
        # Taken back, it is not sent any more, by tests nor by runs.
        server.ask("SELECT cohort_secret_revoke('file:token')")
        self.assertIn("bound to the roles: none", self.failing("rightful") + server.run("SELECT cohort_destination_update('rightful')", "app").stderr)
        server.app("SELECT cohort_import('robbed', ARRAY['c1'])")
        self.create("robbed", "rightful")
        server.sync("robbed", "rightful", "failed")
        self.assertRegex(server.ask("SELECT state, why, hint FROM cohort_sync_status WHERE cohort = 'robbed'"),
                         r"^needs_attention\|.*is not for a destination.*\|.*cohort_secret_allow")
        self.assertEqual(len(self.fake.seen("/v25.0/1")), 1)
        server.refused("SELECT cohort_secret_allow('file:token', '{app}', '{meta_pixel}')", "permission denied")
        server.refused("SELECT cohort_secret_allow('file:token', '{nobody}', '{meta_pixel}')", "nobody", role=None)
        server.refused("SELECT cohort_secret_allow('file:token', '{app}', '{meta}')", "meta", role=None)
        server.refused("SELECT cohort_secret_allow('file:token', '{app}', '{s3}', '{a:99999}')", "a:99999", role=None)

    def test_a_secret_of_another_form_is_not_sent(self):
        """The first half of an S3 secret stands in every address."""
        server = self.server
        server.put_secret("noform", "EAAG-no-s3-secret")
        server.app(f"SELECT cohort_destination_create('noform', 's3', '{{\"endpoint\": \"{self.fake.url}/s3\", \"bucket\": \"good-one\"}}', 'file:noform')")
        self.assertIn("ACCESS_KEY_ID:SECRET_ACCESS_KEY", self.failing("noform"))
        self.assertEqual([one for one in self.fake.call("log") if "EAAG-no-s3" in str(one)], [])

    def test_a_header_takes_the_secret(self):
        server = self.server
        server.refused("SELECT cohort_destination_create('plain', 'webhook', '{\"url\": \"https://x\", \"headers\": {\"Cookie\": \"a=b\"}}', 'file:hook')",
                       "headers.Cookie", "secret_headers")
        server.ask("SELECT cohort_secret_allow('file:keyed', '{app}', '{webhook}', '{127.0.0.1}')")
        server.put_secret("keyed", "k-e-y-e-d-secret")
        config = {"url": f"{self.fake.url}/hook/keyed", "secret_headers": {"Authorization": "Bearer $secret", "X-Api-Key": "$secret"}}
        self.destination("keyed", "webhook", config, "file:keyed")
        self.failing("keyed")
        seen = self.fake.seen("/hook/keyed")[-1]["headers"]
        seen = {name.lower(): value for name, value in seen.items()}
        self.assertEqual((seen["authorization"], seen["x-api-key"]), ("present", "k-e-y-e-d-secret"))

    # What is said -------------------------------------------------------------------------------------------------------

    def test_what_a_receiver_repeats_is_not_kept(self):
        """Names, numbers, addresses of the request it got: not in reasons, errors, notifications, nor in the log."""
        server = self.server
        server.app("""INSERT INTO cohort_customer (customer_id, profile) VALUES
            ('p1', '{"name": "Waltraud Zimmerfrau", "phone": "+91 98765 43210", "tags": ["Zehnkampf"], "n": {"iban": "DE02120300000000202051"}}')""")
        include = ["name", "phone", "tags", "n.iban"]
        body = {"error": "no such person: WALTRAUD zimmerfrau, 919876543210, +91 (98765) 43210, waltraud@example.org",
                "got": {"customer_id": "p1", "tags": ["zehnkampf"], "iban": "DE02120300000000202051"}, "hint": "use https://help.marketing.my-company-name-is-long.example/a"}
        for name, status, state in (("echo400", 400, "success"), ("echo401", 401, "failed"), ("echo429", 429, None)):
            self.hook(name, include=include)
            server.app(f"SELECT cohort_import('{name}', ARRAY['p1'])")
            self.create(name, name)
            self.fake.script({"match": {"path": f"/hook/{name}"}, "times": 1, "do": {"status": status, "body": body}})
            before = server.last_run()
            server.app(f"SELECT cohort_sync_now('{name}', '{name}')")
            if state:
                server.ended(name, name, state, before)
            else:
                server.until(f"SELECT error IS NOT NULL FROM cohort_sync_run WHERE cohort = '{name}'", "it waits")
        kept = server.ask("SELECT string_agg(concat_ws(' ', r.error, s.why, j.reason), ' ') FROM kursaha_cohort.sync_run r "
                          "JOIN kursaha_cohort.sync s USING (sync_id) JOIN kursaha_cohort.cohort c USING (cohort_id) "
                          "LEFT JOIN kursaha_cohort.sync_rejected j USING (sync_id) WHERE c.name ~ 'echo'")
        for word in ("status 400: error:", "status 401", "no such person", "my-company-name-is-long.example"):
            self.assertIn(word, kept)
        for word in ("waltraud", "zimmerfrau", "9876543210", "43210", "zehnkampf", "de0212", "p1"):
            self.assertNotIn(word, kept.lower())
            if word != "p1":
                self.assertNotIn(word, server.log().lower())
        # A sync that failed says so in the log, once, with what to do.
        lines = [line for line in server.log().splitlines() if 'cohort "echo401" to "echo401" failed' in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("cohort_sync_resume", lines[0])

    def test_an_error_from_below_keeps_its_detail_and_shows_no_backtrace(self):
        server = self.server
        # A policy that fails, below the function that reads the table.
        server.ask("""CREATE FUNCTION public.below(id text) RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'not here' USING DETAIL = 'The facts.', HINT = 'The remedy.'; END $$;
            CREATE POLICY below ON cohort_event FOR SELECT USING (public.below(customer_id));
            ALTER TABLE cohort_event ENABLE ROW LEVEL SECURITY""")
        said = server.run("SELECT cohort_evaluate('{\"did\": \"purchase\"}')", "app").stderr
        server.ask("ALTER TABLE cohort_event DISABLE ROW LEVEL SECURITY; DROP POLICY below ON cohort_event")
        self.assertRegex(said, r"not here\nDETAIL:  The facts\.\nHINT:  The remedy\.")
        for error in (said, server.run("SELECT cohort_count('nosuch')").stderr, server.run("SELECT cohort_evaluate('{}')").stderr, server.log()):
            self.assertNotIn("stack backtrace", error)
            self.assertNotRegex(error, r"(?m)^\s+\d+: |^\s+at .*\.rs:")

    def test_names_of_hosts_and_settings_are_said(self):
        server = self.server
        server.set("allowed_hosts", "*")
        try:
            host = "webhooks.marketing.my-company-name-is-long.invalid"
            self.hook("longhost", url=f"https://{host}/x")
            self.assertIn(host, self.failing("longhost"))
            server.ask("ALTER SYSTEM SET kursaha_cohort.allow_private_networks = off", database="postgres")
            server.ask("SELECT pg_reload_conf()", database="postgres")
            self.hook("inside")
            self.assertIn("kursaha_cohort.allow_private_networks", self.failing("inside"))
            server.set("allow_private_networks", "on")
            server.set("ca_file", "")
            self.assertIn("kursaha_cohort.ca_file", self.failing("inside"))
        finally:
            for key, value in (("allow_private_networks", "on"), ("ca_file", server.secrets / "ca.pem"), ("allowed_hosts", f"127.0.0.1:{self.fake.port}")):
                server.set(key, value)

    def test_a_secret_that_is_not_there_or_not_readable(self):
        server = self.server
        self.destination("absent", "webhook", {"url": f"{self.fake.url}/hook/absent"}, "file:absent")
        self.assertIn("does not exist", self.failing("absent"))
        path = server.secrets / "absent"
        path.write_text("x")
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, 0, 0)
            self.assertIn("cannot be read by the server", self.failing("absent"))
        path.unlink()
        path.symlink_to(server.secrets / "hook")
        self.assertIn("symbolic link", self.failing("absent"))
        path.unlink()

    def test_a_list_of_audiences_that_never_ends(self):
        self.members("endless", 1, 3)
        self.facebook("endless", ad_account_id="666")
        self.create("endless", "endless")
        self.server.sync("endless", "endless", "failed", force=True)
        self.assertRegex(self.server.ask("SELECT state, why, hint FROM cohort_sync_status WHERE cohort = 'endless'"),
                         r"^needs_attention\|500 requests did not find the audience.*audience_id")
        self.assertEqual(len(self.fake.seen("/act_666/customaudiences")), 500)

    def test_a_property_that_nobody_has(self):
        server = self.server
        self.destination("typo", "facebook_ads", {"ad_account_id": "1", "audience_id": "2", "base_url": self.fake.url, "mapping": {"EMAIL": "emial", "CT": "city"}}, "file:meta")
        said = server.run("SELECT * FROM cohort_sync_preview('buyers', 'typo')", "app").stderr
        self.assertIn('NOTICE:  none of the 1200 inspected profiles has the property "emial"', said)
        self.assertIn('Did you mean "email"?', said)
        self.assertNotIn('"city"', said)

    def test_a_cancelled_test_leaves_no_thread(self):
        server = self.server
        self.hook("silent")
        self.fake.script({"match": {"path": "/hook/silent"}, "times": 1, "do": {"hang": True}})
        session = subprocess.Popen(["psql", "-XAtq", "-d", "shop"], env=server.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(session.kill)
        session.stdin.write("SET ROLE app;\nSELECT * FROM cohort_destination_test('silent');\nSELECT 'ready';\n")
        session.stdin.flush()
        asks = "FROM pg_stat_activity WHERE query ~ '^SELECT . FROM cohort_destination_test' AND state = 'active'"
        server.until(f"SELECT count(*) = 1 {asks}", "it asks")
        pid = int(server.ask(f"SELECT pid {asks}"))
        threads = lambda: len(list(Path(f"/proc/{pid}/task").iterdir()))
        while threads() < 2 or not self.fake.seen("/hook/silent"):
            time.sleep(0.02)
        server.ask(f"SELECT pg_cancel_backend({pid})")
        self.assertEqual(session.stdout.readline().strip(), "ready")
        # Long before the request's own end.
        for _ in range(200):
            if threads() == 1:
                break
            time.sleep(0.1)
        self.assertEqual(threads(), 1)
        session.communicate("", timeout=10)

    # Tables -------------------------------------------------------------------------------------------------------------

    def table(self, name, definition, ids):
        """A table, a destination of its name, and a cohort of the ids that is synced to it."""
        self.server.ask(f"CREATE TABLE public.{name} ({definition}); GRANT SELECT, INSERT, DELETE ON public.{name} TO app")
        self.destination(name, "table", {"table": f"public.{name}"})
        self.import_ids(name, ids)
        self.create(name, name)

    def import_ids(self, name, ids):
        listed = ", ".join("'" + one + "'" for one in ids)
        self.server.app(f"SELECT cohort_identify(id, '{{}}') FROM unnest(ARRAY[{listed}]) id")
        self.server.app(f"SELECT cohort_import('{name}', ARRAY[{listed}]::text[])")

    def rows(self, name):
        return self.server.ask(f"SELECT string_agg(customer_id::text, ',' ORDER BY customer_id::text COLLATE \"C\") FROM public.{name}")

    def refused_rows(self, name):
        return self.server.app(f"SELECT string_agg(customer_id || ': ' || reason, E'\\n' ORDER BY customer_id) FROM cohort_sync_rejected WHERE cohort = '{name}'")

    def test_bad_rows_are_set_aside(self):
        """By the column's type, a constraint, a trigger, row security; the others arrive."""
        server = self.server
        ids, cases = ["1", "2", "abc", "4", "99999999999999999999"], []
        for name, definition, refused, why in (
                ("num", "customer_id bigint PRIMARY KEY", ("abc", "99999999999999999999"), "cannot be converted to the column's type"),
                ("int", "customer_id integer", ("abc", "99999999999999999999"), "cannot be converted to the column's type"),
                ("chk", "customer_id text PRIMARY KEY CHECK (customer_id <> 'abc')", ("abc",), "chk_customer_id_check"),
                ("short", "customer_id varchar(3)", ("99999999999999999999",), "cannot be converted to the column's type"),
                ("chars", "customer_id char(3)", ("99999999999999999999",), "cannot be converted to the column's type"),
                ("rls", "customer_id text", ("abc",), "row-level security"),
                ("late", "customer_id text REFERENCES public.known DEFERRABLE INITIALLY DEFERRED", ("abc", "99999999999999999999"), "foreign key"),
                ("own", "customer_id public.small", ("99999999999999999999", "abc"), "small_check"),
                ("enum", "customer_id public.code UNIQUE", ("abc", "99999999999999999999"), "cannot be converted to the column's type"),
                ("codes", "customer_id public.checked_code", ("1", "abc", "99999999999999999999"), "(?:value for domain|cannot be converted)"),
                ("trig", "customer_id text", ("abc",), "a trigger")):
            cases.append((name, refused, why))
            if name == "late":
                server.ask("CREATE TABLE public.known (id text PRIMARY KEY); INSERT INTO public.known VALUES ('1'), ('2'), ('4')")
            if name == "own":
                server.ask("CREATE DOMAIN public.small AS text CHECK (length(VALUE) < 3)")
            if name == "enum":
                server.ask("CREATE TYPE public.code AS ENUM ('4', '2', '1'); CREATE DOMAIN public.checked_code AS public.code CHECK (VALUE <> '1')")
            self.table(name, definition, ids)
            if name == "trig":
                server.ask("""CREATE FUNCTION public.picky() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN IF NEW.customer_id = 'abc' THEN RAISE EXCEPTION 'not %, mary@example.com', NEW.customer_id; END IF; RETURN NEW; END $$;
                    CREATE CONSTRAINT TRIGGER picky AFTER INSERT ON public.trig DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.picky()""")
            if name == "rls":
                server.ask("ALTER TABLE public.rls ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON public.rls USING (true) WITH CHECK (customer_id <> 'abc')")
        self.sync_all(name for name, *_ in cases)
        for name, refused, why in cases:
            with self.subTest(name):
                self.assertEqual(self.rows(name), ",".join(sorted(one for one in ids if one not in refused)))
                said = self.refused_rows(name)
                for one in refused:
                    self.assertRegex(said, f"(?m)^{one}: .*{why}.*SQLSTATE")
                self.assertNotIn("mary", said)
                self.assertRegex(server.ask(f"SELECT state, why, hint FROM cohort_sync_status WHERE cohort = '{name}'"),
                                 rf"^active\|the destination refused {len(refused)} of the members.*cohort_sync_rejected")
            # Whoever leaves is taken away, and nobody is tried again.
            self.import_ids(name, ["2", "abc"])
        self.sync_all(name for name, *_ in cases)
        for name, refused, _ in cases:
            with self.subTest(name):
                self.assertEqual(self.rows(name), "2" if "abc" in refused else "2,abc")
                self.assertEqual(server.ask(f"SELECT adds FROM cohort_sync_run WHERE cohort = '{name}' ORDER BY run_id DESC LIMIT 1"), "0")

    def sync_all(self, names):
        names, before = list(names), self.server.last_run()
        for name in names:
            self.server.app(f"SELECT cohort_sync_now('{name}', '{name}', true)")
        for name in names:
            self.server.ended(name, name, "success", before)

    def test_a_table_that_keeps_its_rows(self):
        server = self.server
        self.table("kept", "customer_id text PRIMARY KEY", ["1", "2", "3"])
        server.sync("kept", "kept")
        server.ask("CREATE TABLE public.child (id text REFERENCES public.kept); INSERT INTO public.child VALUES ('1')")
        self.import_ids("kept", ["3"])
        server.sync("kept", "kept", "partial", force=True)
        self.assertEqual(self.rows("kept"), "1,3")
        server.ask("TRUNCATE public.child")
        server.sync("kept", "kept", force=True)
        self.assertEqual(self.rows("kept"), "3")

    def test_a_table_without_rights(self):
        """Is said by the test in the words of the sync's owner, and by a run that waits for someone."""
        server = self.server
        server.ask("CREATE SCHEMA crm; CREATE TABLE crm.people (customer_id text)")
        server.refused("SELECT cohort_destination_create('bare', 'table', '{\"table\": \"people\"}')", "with its schema", "public.")
        self.destination("people", "table", {"table": "crm.people"})
        grants = "GRANT USAGE ON SCHEMA crm TO app; GRANT SELECT, INSERT, DELETE ON crm.people TO app;"
        self.assertEqual(self.failing("people"), grants)
        # A superuser who asks is not the one who writes.
        self.assertEqual(self.failing("people", None), grants)
        self.import_ids("people", ["1", "2"])
        self.create("people", "people")
        server.sync("people", "people", "failed")
        self.assertRegex(server.ask("SELECT state, why, hint FROM cohort_sync_status WHERE cohort = 'people'"),
                         rf"^needs_attention\|permission denied.*app.*crm.people\|{grants} Then cohort_sync_resume")
        server.ask(grants)
        self.assertEqual(self.failing("people"), "")
        before = server.last_run()
        server.app("SELECT cohort_sync_resume('people', 'people')")
        server.ended("people", "people", "success", before)
        self.assertEqual(server.ask("SELECT count(*) FROM crm.people"), "2")
        # A column that it must have, and the table gone.
        server.ask("ALTER TABLE crm.people ADD COLUMN since date NOT NULL DEFAULT now(); ALTER TABLE crm.people ALTER since DROP DEFAULT")
        self.assertIn("since", self.failing("people"))
        server.ask("DROP TABLE crm.people")
        self.import_ids("people", ["1", "2", "3"])
        server.sync("people", "people", "failed")
        self.assertRegex(server.ask("SELECT state, hint FROM cohort_sync_status WHERE cohort = 'people'"), r"^needs_attention\|Create the table")

    # Hosts --------------------------------------------------------------------------------------------------------------

    def test_a_list_of_hosts_is_looked_at_when_it_is_set(self):
        server = self.server
        for bad in ("127.0.0.1:abc", "localhost:99999", "localhost:", "a,,b", "https://x"):
            server.refused(f"ALTER SYSTEM SET kursaha_cohort.allowed_hosts = '{bad}'", "invalid value", "is not a valid host", "HINT", role=None)
            server.refused(f"SET kursaha_cohort.allowed_hosts = '{bad}'", "invalid value", role=None)
        server.ask("SET kursaha_cohort.allowed_hosts = '[::1]:8443, *.example.com:443'")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
