"""Every kind of destination follows its cohort; problems are reported and do no harm."""

import json
import subprocess
import sys
import unittest

from harness import Case, sha


class Syncs(Case):
    name = "sync"

    def test_facebook_follows(self):
        server = self.server
        self.facebook("fb", batch_rows=500)
        tested = server.app("SELECT bool_and(ok) FROM cohort_destination_test('fb')")
        self.assertEqual(tested, "t")
        preview = server.app("SELECT adds, removes, unchanged, skipped FROM cohort_sync_preview('buyers', 'fb')")
        self.assertEqual(preview, "1200|0|0|{}")
        self.create("buyers", "fb")
        server.refused("SELECT cohort_sync_create('buyers', 'fb', 'daily')", "already", "cohort_sync_update", "cohort_sync_drop")
        server.sync("buyers", "fb")
        self.assertEqual(self.emails("fb"), self.expected("buyers"))
        # Someone comes, someone goes, someone's address changes.
        server.app("INSERT INTO cohort_event (customer_id, event_type) VALUES ('c1500', 'purchase')")
        server.app("DELETE FROM cohort_event WHERE customer_id = 'c3'")
        server.app("UPDATE cohort_customer SET profile = '{\"email\": \"new@example.com\"}' WHERE customer_id = 'c5'")
        server.sync("buyers", "fb")
        self.assertEqual(self.emails("fb"), self.expected("buyers"))
        self.assertIn(sha("new@example.com"), self.emails("fb"))
        # Nothing changed: nothing is sent.
        requests = len(self.fake.call("log"))
        server.sync("buyers", "fb")
        self.assertEqual(len(self.fake.call("log")), requests)
        self.assertEqual(server.app("SELECT adds, removes, unchanged FROM cohort_sync_preview('buyers', 'fb')"), "0|0|1200")
        self.assertEqual(server.ask("SELECT delivered FROM cohort_sync_status WHERE destination = 'fb'"), "1200")
        server.refused("SELECT cohort_drop('buyers')", "synced to \"fb\"", "cohort_sync_drop")
        # Forgetting a person takes them away there, too.
        server.app("INSERT INTO cohort_event (customer_id, event_type) VALUES ('c1600', 'purchase')")
        server.sync("buyers", "fb")
        self.assertEqual(server.app("SELECT syncs >= 1 FROM cohort_forget('c1600')"), "t")
        server.until("SELECT NOT EXISTS (SELECT FROM kursaha_cohort.sync_member WHERE customer_id = 'c1600' AND sync_id = "
                     "(SELECT sync_id FROM kursaha_cohort.sync JOIN kursaha_cohort.destination d USING (destination_id) WHERE d.name = 'fb'))",
                     "the forgotten are removed")
        self.assertNotIn(sha("c1600@example.com"), self.emails("fb"))

    def test_shared_identifiers_stay(self):
        server = self.server
        self.facebook("family")
        server.app("""INSERT INTO cohort_customer (customer_id, profile) VALUES
            ('ana', '{"email": "home@example.com"}'), ('ben', '{"email": "home@example.com"}');
            SELECT cohort_import('family', ARRAY['ana', 'ben'])""")
        self.create("family", "family")
        server.sync("family", "family")
        server.app("SELECT cohort_import('family', ARRAY['ben'])")
        server.sync("family", "family")
        self.assertEqual(self.emails("family"), [sha("home@example.com")])

    def test_guards_hold(self):
        server = self.server
        self.facebook("guarded")
        self.members("guarded", 1, 1900)
        self.create("guarded", "guarded")
        server.sync("guarded", "guarded")
        self.members("guarded", 1, 500)
        server.sync("guarded", "guarded", "held")
        self.assertGreater(len(self.emails("guarded")), 1800)
        server.refused("SELECT cohort_sync_now('guarded', 'guarded')", "held", "force")
        self.converges("guarded", force=True)
        # An empty cohort is held, however small the one before was.
        self.members("guarded", 1, 20)
        server.sync("guarded", "guarded")
        server.app("SELECT cohort_import('guarded', '{}')")
        self.assertIn("cohort is empty", server.app("SELECT held FROM cohort_sync_preview('guarded', 'guarded')"))
        server.sync("guarded", "guarded", "held")
        self.assertEqual(len(self.emails("guarded")), 20)
        server.sync("guarded", "guarded", force=True)
        self.assertEqual(self.emails("guarded"), [])

    def test_suppressed_are_left_out_and_removed(self):
        server = self.server
        self.destination("calm", "webhook", {"url": f"{self.fake.url}/hook/calm"}, "file:hook")
        present = lambda: set(self.fake.call("hook/calm")["members"])
        server.app("SELECT cohort_import('loud', ARRAY['c30', 'c31', 'c32', 'c33']); SELECT cohort_import('quiet', ARRAY['c31', 'c99'])")
        self.create("loud", "calm")
        server.sync("loud", "calm")
        self.assertEqual(present(), {"c30", "c31", "c32", "c33"})
        # It is asked for a run at once.
        server.ask("SELECT cohort_suppress('quiet', 'calm')")
        server.until("SELECT suppressed = 1 FROM cohort_sync_status WHERE destination = 'calm'", "the run counts who is suppressed")
        self.assertEqual(present(), {"c30", "c32", "c33"})
        self.assertEqual(server.ask("SELECT r.skipped FROM cohort_sync_run r WHERE destination = 'calm' ORDER BY run_id DESC LIMIT 1"),
                         '{"suppressed": 1}')
        # Whoever is suppressed later goes with the next run, and comes back when that ends.
        server.app("SELECT cohort_import('quiet', ARRAY['c30', 'c31'])")
        self.assertEqual(server.app("SELECT adds, removes, unchanged, skipped FROM cohort_sync_preview('loud', 'calm')"),
                         '0|1|2|{"suppressed": 2}')
        server.sync("loud", "calm")
        self.assertEqual(present(), {"c32", "c33"})
        server.ask("SELECT cohort_unsuppress('quiet', 'calm')")
        server.sync("loud", "calm")
        self.assertEqual(present(), {"c30", "c31", "c32", "c33"})
        self.assertEqual(server.ask("SELECT suppressed FROM cohort_sync_status WHERE destination = 'calm'"), "0")

    def test_queries(self):
        """A query cohort sends the profiles of its query; suppression and priority lists apply to its ids."""
        server = self.server
        server.app("""CREATE TABLE public.lead (id text PRIMARY KEY, email text);
            INSERT INTO public.lead SELECT 'l' || i, 'l' || i || '@example.com' FROM generate_series(1, 40) i""")
        query = "SELECT l.id AS customer_id, jsonb_build_object('email', l.email) AS profile FROM public.lead l"
        server.app(f"SELECT cohort_create_query('leads', $${query}$$)")
        self.facebook("leads", batch_rows=7)
        self.assertEqual(server.app("SELECT adds, removes, unchanged, skipped FROM cohort_sync_preview('leads', 'leads')"), "40|0|0|{}")
        self.create("leads", "leads")
        server.sync("leads", "leads")
        wanted = {sha(f"l{i}@example.com") for i in range(1, 41)}
        self.assertEqual(set(self.emails("leads")), wanted)
        # Nothing changed: nothing is sent.
        requests = len(self.fake.call("log"))
        server.sync("leads", "leads")
        self.assertEqual(len(self.fake.call("log")), requests)
        # Somebody comes, somebody goes, and an address changes.
        server.app("INSERT INTO public.lead VALUES ('l41', 'l41@example.com'); DELETE FROM public.lead WHERE id = 'l1'; "
                   "UPDATE public.lead SET email = 'new@example.com' WHERE id = 'l2'")
        self.assertEqual(server.app("SELECT adds, removes, unchanged, skipped FROM cohort_sync_preview('leads', 'leads')"), "2|1|38|{}")
        server.sync("leads", "leads")
        wanted = wanted - {sha("l1@example.com"), sha("l2@example.com")} | {sha("l41@example.com"), sha("new@example.com")}
        self.assertEqual(set(self.emails("leads")), wanted)
        # Ids of a list are left out though nobody of them is a customer here; so are those of another query.
        server.app("SELECT cohort_import('no leads', '{l3}'), cohort_create_query('nor these', $$SELECT 'l4'::text AS customer_id$$)")
        server.ask("SELECT cohort_suppress('no leads', 'leads'), cohort_suppress('nor these', 'leads')")
        server.until("SELECT suppressed = 2 FROM cohort_sync_status WHERE destination = 'leads'", "the run counts who is suppressed")
        self.assertEqual(set(self.emails("leads")), wanted - {sha("l3@example.com"), sha("l4@example.com")})
        server.ask("SELECT cohort_unsuppress('no leads', 'leads'), cohort_unsuppress('nor these', 'leads')")
        # A list of priorities: those of the first cohort are not sent for the second.
        self.destination("leads-2", "webhook", {"url": f"{self.fake.url}/hook/leads-2"}, "file:hook")
        server.app("SELECT cohort_create_query('old leads', $$SELECT l.id AS customer_id FROM public.lead l WHERE l.id < 'l2'$$); "
                   "SELECT cohort_priority_create('leads', ARRAY['old leads', 'leads']); "
                   "SELECT cohort_sync_create('leads', 'leads-2', 'daily', priority => 'leads')")
        server.sync("leads", "leads-2")
        everyone, old = set(server.app("SELECT id FROM public.lead").split()), set(server.app("SELECT cohort_run('old leads')").split())
        self.assertTrue(old)
        self.assertEqual(set(self.fake.call("hook/leads-2")["members"]), everyone - old)
        # A query that fails changes nothing.
        server.app("ALTER TABLE public.lead RENAME TO leads_moved")
        server.sync("leads", "leads-2", "failed")
        self.assertEqual(set(self.fake.call("hook/leads-2")["members"]), everyone - old)
        server.app("ALTER TABLE public.leads_moved RENAME TO lead")
        # With one that returns no profiles, those of customers here are sent: nobody has one.
        server.app("SELECT cohort_update_query('leads', $$SELECT l.id AS customer_id FROM public.lead l$$)")
        self.assertEqual(server.app("SELECT adds, removes, skipped FROM cohort_sync_preview('leads', 'leads')").split("|")[2], '{"missing_identifier": 40}')

    def test_priorities(self):
        server = self.server
        for place in ("first", "second"):
            self.destination(place, "webhook", {"url": f"{self.fake.url}/hook/{place}"}, "file:hook")
        present = lambda place: set(self.fake.call(f"hook/{place}")["members"])
        server.app("SELECT cohort_import('top', ARRAY['c40', 'c41']); SELECT cohort_import('low', ARRAY['c41', 'c42'])")
        server.app("SELECT cohort_priority_create('list', ARRAY['top', 'low'])")
        for cohort, place in (("top", "first"), ("low", "second")):
            server.app(f"SELECT cohort_sync_create('{cohort}', '{place}', 'daily', priority => 'list')")
            server.sync(cohort, place)
        self.assertEqual((present("first"), present("second")), ({"c40", "c41"}, {"c42"}))
        # Who leaves the higher cohort comes into the lower one, and the other way round.
        server.app("SELECT cohort_import('top', ARRAY['c40', 'c42', 'c43'])")
        server.sync("top", "first")
        server.sync("low", "second")
        self.assertEqual((present("first"), present("second")), ({"c40", "c42", "c43"}, {"c41"}))
        server.app("SELECT cohort_priority_update('list', ARRAY['low', 'top'])")
        server.sync("top", "first")
        server.sync("low", "second")
        self.assertEqual((present("first"), present("second")), ({"c40", "c43"}, {"c41", "c42"}))

    def test_webhook(self):
        server = self.server
        self.destination("hook", "webhook", {"url": f"{self.fake.url}/hook/h1", "include": ["city"]}, "file:hook")
        self.assertEqual(server.app("SELECT bool_and(ok) FROM cohort_destination_test('hook')"), "t")
        server.app("SELECT cohort_import('few', ARRAY['c10', 'c11'])")
        self.create("few", "hook")
        server.sync("few", "hook")
        self.assertEqual(self.fake.call("hook/h1")["members"], {"c10": {"city": "Pune"}, "c11": {"city": "Pune"}})
        server.app("SELECT cohort_import('few', ARRAY['c11', 'c12'])")
        server.app("UPDATE cohort_customer SET profile = profile || '{\"city\": \"Goa\"}' WHERE customer_id = 'c11'")
        server.sync("few", "hook")
        held = self.fake.call("hook/h1")
        self.assertEqual(held["members"], {"c11": {"city": "Goa"}, "c12": {"city": "Pune"}})
        self.assertEqual(held["bad_signatures"], 0)

    def test_s3(self):
        server = self.server
        config = {"endpoint": f"{self.fake.url}/s3", "bucket": "good-one", "prefix": "x", "region": "us-east-1", "format": "ndjson"}
        self.destination("store", "s3", config, "file:s3")
        server.app("SELECT cohort_import('stored', ARRAY['c20', 'c21'])")
        self.create("stored", "store")
        server.sync("stored", "store")
        objects = self.fake.call("bucket/good-one?body=1")
        snapshot = [held["body"] for key, held in objects.items() if "snapshot-" in key]
        self.assertEqual([json.loads(line)["customer_id"] for line in snapshot[0].splitlines()], ["c20", "c21"])
        self.assertEqual(len([key for key in objects if key.endswith("_SUCCESS")]), 1)

    def test_pixel(self):
        server = self.server
        self.destination("pixel", "meta_pixel", {"pixel_id": "77", "event_name": "Lead", "base_url": self.fake.url}, "file:meta")
        server.app("SELECT cohort_import('prospects', ARRAY['c30', 'c31'])")
        self.create("prospects", "pixel")
        server.sync("prospects", "pixel")
        server.app("SELECT cohort_import('prospects', ARRAY['c31', 'c32'])")
        server.sync("prospects", "pixel")
        seen = self.fake.call("events/77")
        self.assertEqual(sorted(event["user_data"]["em"][0] for event in seen["events"]),
                         sorted(sha(f"c{i}@example.com") for i in (30, 31, 32)))

    def test_table(self):
        server = self.server
        server.app("CREATE TABLE public.audience (customer_id text PRIMARY KEY)")
        self.destination("tab", "table", {"table": "public.audience"})
        self.assertEqual(server.app("SELECT bool_and(ok) FROM cohort_destination_test('tab')"), "t")
        server.app("SELECT cohort_import('tabled', ARRAY['c40', 'c41'])")
        self.create("tabled", "tab")
        server.sync("tabled", "tab")
        server.app("SELECT cohort_import('tabled', ARRAY['c41', 'c42'])")
        server.sync("tabled", "tab")
        self.assertEqual(server.ask("SELECT string_agg(customer_id, ',' ORDER BY 1) FROM audience"), "c41,c42")

    def test_listeners_are_told(self):
        """Of each run's end and each change of state."""
        server = self.server
        self.facebook("heard")
        self.members("heard", 1, 30)
        listener = subprocess.Popen(["psql", "-XAtq", "-d", "shop"], env=server.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(listener.kill)
        listener.stdin.write("LISTEN cohort_sync;\n")
        listener.stdin.flush()
        server.until("SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'LISTEN cohort_sync;' AND state = 'idle'", "someone listens")
        self.create("heard", "heard")
        server.sync("heard", "heard")
        server.app("SELECT cohort_sync_pause('heard', 'heard'); SELECT cohort_sync_resume('heard', 'heard')")
        server.app("SELECT cohort_import('heard', '{}')")
        server.sync("heard", "heard", "held")
        # psql prints what it heard after each command. A listener is signalled after the commit that others see already.
        heard = ""
        for _ in range(100):
            listener.stdin.write("SELECT 'end' FROM pg_sleep(0.1);\n")
            listener.stdin.flush()
            heard += "".join(iter(listener.stdout.readline, "end\n"))
            if '"held"' in heard:
                break
        listener.communicate("", timeout=30)
        sync = int(server.ask("SELECT sync_id FROM cohort_sync_status WHERE cohort = 'heard'"))
        told = [json.loads(line[line.index("{"):line.rindex("}") + 1]) for line in heard.splitlines() if "payload" in line]
        told = [one for one in told if one["sync_id"] == sync]
        # Anybody may listen: ids and states, and no more.
        self.assertEqual({key for one in told for key in one}, {"sync_id", "state", "run_id", "run_state"})
        runs = ",".join(str(one["run_id"]) for one in told if one["run_state"])
        self.assertEqual([one["run_state"] for one in told if one["run_state"]], ["success", "held"])
        self.assertEqual(server.ask(f"SELECT string_agg(added || ' ' || removed, ',' ORDER BY run_id) FROM cohort_sync_run WHERE run_id IN ({runs})"), "30 0,0 0")
        states = [one["state"] for one in told]
        self.assertEqual([state for state, before in zip(states, [None, *states]) if state != before], ["active", "paused", "active", "held"])
        self.assertIn("cohort is empty", server.ask("SELECT why FROM cohort_sync_status WHERE cohort = 'heard'"))

    def test_schedule(self):
        server = self.server
        self.facebook("timed")
        server.app("SELECT cohort_import('timed', ARRAY['c50'])")
        server.app("SELECT cohort_sync_create('timed', 'timed', 'every 1 second')")
        server.until("SELECT count(*) >= 2 FROM cohort_sync_run WHERE cohort = 'timed' AND state = 'success' AND cause = 'schedule'",
                     "it runs on its schedule")
        server.app("SELECT cohort_import('timed', ARRAY['c50', 'c51'])")
        server.until("SELECT delivered = 2 FROM cohort_sync_status WHERE cohort = 'timed'", "it follows")
        server.app("SELECT cohort_sync_pause('timed', 'timed')")
        self.assertEqual(self.emails("timed"), self.expected("timed"))
        server.app("SELECT cohort_sync_update('timed', 'timed', frequency => 'every 6 hours')")
        self.assertEqual(server.ask("SELECT frequency, state FROM cohort_sync_status WHERE cohort = 'timed'"), "every 6 hours|paused")
        server.refused("SELECT cohort_sync_create('timed', 'fb2', '0 0 30 2 *')", "fb2")
        server.refused("SELECT cohort_sync_update('timed', 'timed', '0 0 30 2 *')", "never fires")

    def test_faults_converge(self):
        """After each fault and what follows by itself, the audience equals the cohort."""
        server, fake = self.server, self.fake
        self.facebook("faulty", batch_rows=100)
        self.members("faulty", 1, 250)
        self.create("faulty", "faulty")
        self.converges("faulty")
        users = {"path": "/users"}
        faults = {
            "429 with seconds": {"status": 429, "headers": {"Retry-After": "1"}, "body": {}},
            "429 with a date": {"status": 429, "headers": {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, "body": {}},
            "429 with garbage": {"status": 429, "headers": {"Retry-After": "soon"}, "body": {}},
            "500": {"status": 500, "body": "<html>oops</html>"},
            "half a body": {"cut": 10},
            "HTML": {"status": 200, "body": "<html>hello</html>"},
            "a wrong length": {"length": 50},
            "an error inside 200": {"status": 200, "body": {"error": {"code": 2, "message": "try later", "is_transient": True}}},
            "a reset": {"reset": True},
            "a lost answer": {"apply": "before", "status": 500, "body": "<html>lost</html>"},
            "a silent server": {"hang": True},
        }
        for turn, (what, fault) in enumerate(faults.items()):
            with self.subTest(what):
                fake.script({"match": users, "times": 1, "do": fault})
                first = turn * 20 + 1
                self.members("faulty", first, first + 250)
                self.converges("faulty")
        with self.subTest("bad rows are found and quarantined"):
            victims = [sha(f"c{i}@example.com") for i in (901, 950, 999)]
            audience = fake.audience_id("faulty")
            fake.call("bad_rows", {"audience": audience, "values": victims, "code": 100, "subcode": 1})
            self.members("faulty", 200, 1000)
            server.sync("faulty", "faulty")
            self.assertEqual(self.emails("faulty"), sorted(set(self.expected("faulty")) - set(victims)))
            self.assertEqual(server.app("SELECT count(*) FROM cohort_sync_rejected WHERE cohort = 'faulty'"), "3")
            fake.call("bad_rows", {"audience": audience, "values": []})
            # They are not sent again before someone asks for it.
            server.sync("faulty", "faulty")
            self.assertEqual(self.emails("faulty"), sorted(set(self.expected("faulty")) - set(victims)))
            before = server.last_run()
            server.app("SELECT cohort_sync_resync('faulty', 'faulty')")
            self.ends_well("faulty", before)
            self.assertEqual(server.app("SELECT count(*) FROM cohort_sync_rejected WHERE cohort = 'faulty'"), "0")
        with self.subTest("an expired token needs attention, and a new one helps"):
            server.put_secret("meta", "not-the-token")
            self.members("faulty", 200, 890)
            server.sync("faulty", "faulty", "failed")
            server.until("SELECT state = 'needs_attention' FROM cohort_sync_status WHERE cohort = 'faulty'", "it needs attention")
            server.refused("SELECT cohort_sync_now('faulty', 'faulty')", "needs_attention", "cohort_sync_resume")
            server.put_secret("meta", (fake.directory / "token").read_text())
            self.resumes("faulty")
        with self.subTest("a worker that is terminated mid-request goes on"):
            fake.script({"match": users, "times": 1, "do": {"delay": 3, "apply": "before"}})
            self.members("faulty", 300, 1100)
            before = server.last_run()
            server.app("SELECT cohort_sync_now('faulty', 'faulty')")
            server.ask(f"SELECT pg_sleep(0.5), pg_terminate_backend({server.worker()})")
            self.ends_well("faulty", before)
        with self.subTest("the postmaster's crash leaves nobody behind"):
            fake.script({"match": users, "times": 1, "do": {"delay": 3, "apply": "before"}})
            self.members("faulty", 350, 1150)
            before = server.last_run()
            server.app("SELECT cohort_sync_now('faulty', 'faulty')")
            server.kill(server.worker())
            self.ends_well("faulty", before)

    def test_who_may_what(self):
        server = self.server
        self.facebook("mine")
        server.ask("CREATE ROLE other LOGIN; SELECT cohort_grant('editor', 'other')")
        server.refused("SELECT cohort_destination_drop('mine')", "permission denied", role="other")
        server.refused("SELECT cohort_sync_create('buyers', 'mine', 'daily')", "must be owner", role="other")
        server.refused("SELECT cohort_sync_create('buyers', 'mine', 'daily')", "superuser", "SET ROLE", role=None)
        server.refused("SELECT cohort_destination_create('x', 'webhook', '{\"url\": \"https://x\"}', secret => 's3cret')",
                       "neither file:NAME nor env:", "HINT")
        server.refused("SELECT cohort_destination_create('x', 'webhook', '{\"url\": \"https://x\"}')", "needs a secret")
        server.refused("SELECT cohort_sync_now('buyers', 'mine')", "not synced", "cohort_sync_create")
        server.refused("UPDATE kursaha_cohort.sync SET owner = 'postgres'", "permission denied")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
