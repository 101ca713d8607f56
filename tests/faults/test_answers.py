"""Responses of Meta, end to end: errors that need a user show the remedy, other errors are retried, and the audience converges."""

import json
import unittest

from harness import Case, sha


def error(code, subcode=None, status=400, message="no", **more):
    found = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "x", **more}
    if subcode:
        found["error_subcode"] = subcode
    return {"status": status, "body": {"error": found}}


class Answers(Case):
    name = "answers"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.turn = 0

    def start(self, name, **more):
        self.facebook(name, **more)
        self.members(name, 1, 150)
        self.create(name, name)
        self.converges(name)

    def change(self, name, step=5):
        """Some come, some go."""
        self.turn += step
        self.members(name, self.turn + 1, self.turn + 150)

    def last(self, name, columns):
        return self.server.ask(f"SELECT {columns} FROM cohort_sync_run WHERE cohort = '{name}' ORDER BY run_id DESC LIMIT 1")

    def test_someone_must_act(self):
        """Permission, terms, flagged, gone, dead version: one request, the remedy is named, and after it all is well."""
        self.start("stopped")
        for what, answer, words in (
            ("session expired", error(190, 463), "token"),
            ("no session", error(102), "token"),
            ("login needed", error(104), "token"),
            ("application without permission", error(10), "access"),
            ("a permission is missing", error(200), "access"),
            ("another permission is missing", error(294), "access"),
            ("not its own object", error(100, 33), "access"),
            ("no role in the account", error(200, 1870050), "access"),
            ("terms", error(200, 1870034), "https://"),
            ("terms of a business", error(200, 1870090), "https://"),
            ("other terms", error(2655), "https://"),
            ("flagged", error(100, 1713230), ""),
            ("a dead version", error(2635), "API version"),
        ):
            with self.subTest(what):
                self.fake.script({"match": {"path": "/users"}, "times": 1, "do": answer})
                self.change("stopped")
                requests = len(self.fake.seen("/users"))
                self.server.sync("stopped", "stopped", "failed")
                state, hint = self.server.ask("SELECT state, hint FROM cohort_sync_status WHERE cohort = 'stopped'").split("|")
                self.assertEqual(state, "needs_attention")
                self.assertIn(words.lower(), hint.lower())
                self.assertGreater(len(hint), 20)
                # Nobody asks again before someone acted: one to the account or audience may have come before.
                self.assertEqual(len(self.fake.seen("/users")), requests + 1)
                self.resumes("stopped")

    def test_someone_may_wait(self):
        self.start("throttled")
        usage = {"X-Business-Use-Case-Usage": json.dumps({"12": [{"type": "custom_audience", "estimated_time_to_regain_access": 0}]})}
        for what, answer in (
            ("application limit", error(4)),
            ("user limit", error(17)),
            ("page limit", error(32)),
            ("custom limit", error(613)),
            ("audience limit", error(80003)),
            ("with the time of the header", {**error(80003), "headers": usage}),
            ("service unavailable", error(2, status=503)),
            ("is_transient", error(1, is_transient=True)),
        ):
            with self.subTest(what):
                self.fake.script({"match": {"path": "/users"}, "times": 2, "do": answer})
                self.change("throttled")
                self.converges("throttled")
                self.assertEqual(self.server.ask("SELECT failures FROM cohort_sync_status WHERE cohort = 'throttled'"), "0")
        with self.subTest("an hour at the most"):
            self.fake.script({"match": {"path": "/users"}, "times": 1,
                              "do": {"status": 429, "headers": {"Retry-After": "1000000000"}, "body": {}}})
            self.change("throttled")
            before = self.server.last_run()
            self.server.app("SELECT cohort_sync_now('throttled', 'throttled')")
            self.server.until("SELECT state = 'waiting' FROM cohort_sync_status WHERE cohort = 'throttled'", "it waits")
            self.assertEqual(self.last("throttled", "resume_at BETWEEN now() + interval '58 minutes' AND now() + interval '61 minutes'"), "t")
            self.server.ask("UPDATE kursaha_cohort.sync_run SET resume_at = now() WHERE state = 'waiting'")
            self.ends_well("throttled", before)

    def test_smaller_batches(self):
        self.start("large")
        for what, answer in (("413", {"status": 413, "body": "<html>too large</html>"}),
                             ("in words", error(1, message="Please reduce the amount of data you're asking for"))):
            with self.subTest(what):
                self.fake.script({"match": {"path": "/users", "method": "POST"}, "times": 2, "do": answer})
                self.change("large", 60)
                self.converges("large", force=True)
                rows = [entry["rows"] for entry in self.fake.seen("/users") if entry["action"] == "add"]
                self.assertLess(min(rows[-3:]), 60)

    def test_a_burst_of_errors(self):
        self.start("burst", batch_rows=40)
        for times in (1, 3):
            self.fake.script({"match": {"path": "/users"}, "times": times, "do": {"status": 500, "body": "<html>oops</html>"}})
            self.change("burst")
            self.converges("burst")
        # One run gives up after some attempts; the next one goes on.
        self.fake.script({"match": {"path": "/users"}, "times": 5, "do": {"status": 502, "body": "bad gateway"}})
        self.change("burst")
        self.server.sync("burst", "burst", "failed")
        self.assertEqual(self.server.ask("SELECT state, failures FROM cohort_sync_status WHERE cohort = 'burst'"), "active|1")
        self.converges("burst")

    def test_removal_is_refused(self):
        """Adds stand, removals stay pending and are made up for."""
        self.start("small")
        self.fake.script({"match": {"path": "/users", "method": "DELETE"}, "times": 1, "do": error(200, 1870047)})
        self.change("small")
        self.server.sync("small", "small", "partial")
        gone = {sha(f"c{i}@example.com") for i in range(1, 6)}
        self.assertEqual(self.emails("small"), sorted(set(self.expected("small")) | gone))
        self.assertEqual(self.server.ask("SELECT delivered, leaving FROM cohort_sync_status WHERE cohort = 'small'"), "150|5")
        # Who comes back meanwhile stays.
        self.members("small", 5, 155)
        self.converges("small")
        self.assertEqual(self.server.ask("SELECT delivered, leaving FROM cohort_sync_status WHERE cohort = 'small'"), "151|0")

    def test_removals_answered_without_json(self):
        self.start("mute")
        self.fake.script({"match": {"path": "/users", "method": "DELETE"}, "times": 1,
                          "do": {"apply": "before", "status": 200, "body": "<html>done</html>"}})
        self.change("mute")
        self.converges("mute")

    def test_identifiers(self):
        """Missing, malformed, alike and shared ones."""
        self.facebook("people")
        self.server.app("""
            INSERT INTO cohort_event (customer_id, event_type) VALUES ('nobody-knows', 'view');
            INSERT INTO cohort_customer (customer_id, profile) VALUES
                ('no-profile', '{}'), ('no-mail', '{"city": "Pune"}'), ('bad-mail', '{"email": "nobody"}'),
                ('bad-but-phone', '{"email": "a@b@c", "phone": "+1 (555) 987-6543"}'), ('number', '{"email": 7}'),
                ('short', '{"phone": "12"}'), ('twin-1', '{"email": " Twin@Example.com "}'), ('twin-2', '{"email": "twin@example.com"}'),
                ('hashed', '{"email": "F1904CF1A9D73A55FA5DE0AC823C4403DED71AFD4C3248D00BDCD0866552BB79"}');
            SELECT cohort_import('people', ARRAY['no-profile', 'no-mail', 'bad-mail', 'bad-but-phone', 'number', 'short', 'twin-1',
                'twin-2', 'hashed', 'nobody-knows'])""")
        self.create("people", "people")
        self.server.sync("people", "people")
        self.assertEqual(self.last("people", "skipped"), '{"missing_identifier": 6}')
        rows = self.fake.audience("people")
        self.assertEqual(sorted(row.get("EMAIL", "") for row in rows),
                         sorted(["", sha("twin@example.com"), "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"]))
        self.assertIn("1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e", [row.get("PHONE") for row in rows])
        # One twin goes: the other one stays. A profile that loses its address is taken back; one that gets one is sent.
        self.server.app("""
            SELECT cohort_import('people', ARRAY['no-mail', 'bad-but-phone', 'twin-2', 'hashed']);
            UPDATE cohort_customer SET profile = '{"email": "late@example.com"}' WHERE customer_id = 'no-mail';
            UPDATE cohort_customer SET profile = '{}' WHERE customer_id = 'bad-but-phone'""")
        self.server.sync("people", "people")
        self.assertEqual(sorted(row.get("EMAIL", "") for row in self.fake.audience("people")),
                         sorted([sha("late@example.com"), sha("twin@example.com"), "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"]))

    def test_another_audience_mid_run(self):
        """A destination that is pointed elsewhere while a batch is on its way: all go to the new place."""
        self.start("moving", batch_rows=30)
        self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"delay": 2, "apply": "before"}})
        self.members("moving", 101, 250)
        before = self.under_way("moving")
        self.server.app(f"""SELECT cohort_destination_update('moving',
            '{{"ad_account_id": "12", "audience_name": "elsewhere", "base_url": "{self.fake.url}", "batch_rows": 30}}')""")
        self.server.ended("moving", "moving", "success", before)
        self.assertEqual(self.emails("elsewhere"), self.expected("moving"))
        # And everyone is sent once more on request.
        self.fake.call("bad_rows", {"audience": self.fake.audience_id("elsewhere"), "values": [sha("c120@example.com")], "code": 100, "subcode": 1})
        before = self.server.last_run()
        self.server.app("SELECT cohort_sync_resync('moving', 'moving')")
        self.server.ended("moving", "moving", "success", before)
        self.assertEqual(self.emails("elsewhere"), sorted(set(self.expected("moving")) - {sha("c120@example.com")}))
        self.assertEqual(self.last("moving", "added, rejected"), "149|1")

    def test_paused_mid_run(self):
        """The run waits for the batch that is on its way, and ends; the next one makes up for it."""
        self.start("paused", batch_rows=30)
        self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"delay": 2, "apply": "before"}})
        self.members("paused", 101, 250)
        before = self.under_way("paused")
        self.server.app("SELECT cohort_sync_pause('paused', 'paused')")
        self.server.ended("paused", "paused", "cancelled", before)
        self.assertEqual(self.fake.seen("/users")[-1]["status"], 200)
        self.resumes("paused")

    def test_another_cohort_mid_run(self):
        """A run goes by the cohort as it was when it began; the next one by what it is then."""
        self.facebook("redefined", batch_rows=50)
        self.server.app("SELECT cohort_create('redefined', '{\"did\": \"purchase\"}')")
        self.create("redefined", "redefined")
        self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"delay": 2, "apply": "before"}})
        before = self.under_way("redefined")
        was = self.expected("redefined")
        self.server.app("SELECT cohort_update('redefined', '{\"and\": [{\"did\": \"purchase\"}, {\"profile\": \"email\", \"operator\": \"starts_with\", \"value\": \"c1\"}]}')")
        self.server.ended("redefined", "redefined", "success", before)
        self.assertEqual(self.emails("redefined"), was)
        self.converges("redefined")
        self.assertLess(len(self.emails("redefined")), len(was))


if __name__ == "__main__":
    unittest.main(verbosity=2)
