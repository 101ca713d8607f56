"""Administration while syncs run."""

import subprocess
import sys
import time
import unittest

from harness import DIRECTORY, Fake, Server


class Operations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fake = Fake(DIRECTORY / "fake")
        cls.server = Server("operations", cls.fake, DIRECTORY)
        cls.prepare("shop")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.fake.stop()

    @classmethod
    def prepare(cls, database):
        cls.server.ask(f"""
            INSERT INTO cohort_event (customer_id, event_type) SELECT 'c' || i, 'view' FROM generate_series(1, 50) i;
            SET ROLE app;
            SELECT cohort_import('few', ARRAY['c1', 'c2']);
            SELECT cohort_destination_create('hook', 'webhook', '{{"url": "{cls.fake.url}/hook/{database}"}}', secret => 'file:hook');
            SELECT cohort_sync_create('few', 'hook', 'daily')""", database=database)

    def held(self, name="shop"):
        return sorted(self.fake.call(f"hook/{name}")["members"])

    def hang(self, name="shop"):
        self.fake.script({"match": {"path": f"/hook/{name}"}, "times": 1, "do": {"hang": True}})

    def test_many_ask_at_once(self):
        asking = [subprocess.Popen(["psql", "-Xq", "-d", "shop", "-c", "SET ROLE app", "-c", "SELECT cohort_sync_now('few', 'hook')"],
                                   env=self.server.env, stdout=subprocess.DEVNULL) for _ in range(50)]
        self.assertEqual([process.wait(60) for process in asking], [0] * 50)
        self.server.until("SELECT count(*) > 0 AND bool_and(state = 'success') FROM cohort_sync_run", "all runs end")
        self.server.until("SELECT NOT EXISTS (SELECT FROM kursaha_cohort.sync WHERE requested IS NOT NULL OR run_id IS NOT NULL)", "none is left")
        self.assertEqual(self.held(), self.server.ask("SELECT cohort_run('few') ORDER BY 1").split())
        log = self.fake.call("log")
        self.assertLessEqual(max(entry["open_at_once"] for entry in log if "/hook/" in entry["path"]), 1)

    def test_a_dump_arrives_disarmed(self):
        server = self.server
        dump = subprocess.run(["pg_dump", "-d", "shop"], env=server.env, capture_output=True, text=True, check=True).stdout
        server.ask("CREATE DATABASE copy", database="postgres")
        done = subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", "copy"], env=server.env, input=dump,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(server.ask("SELECT state FROM cohort_sync_status", database="copy"), "disarmed")
        self.assertIn("disarmed", server.ask("SET ROLE app; SELECT cohort_sync_now('few', 'hook')", database="copy"))
        time.sleep(2)
        self.assertEqual(server.ask("SELECT count(*) FROM cohort_sync_run WHERE ended_at > now() - interval '2 s'", database="copy"), "0")
        self.assertEqual(server.ask("SELECT cohort_sync_arm()", database="copy"), "1")
        self.assertEqual(server.ask("SELECT state FROM cohort_sync_status", database="copy") == "disarmed", False)
        server.ask("DROP DATABASE copy WITH (FORCE)", database="postgres")

    def test_a_database_is_dropped_while_another_one_sends(self):
        server = self.server
        server.ask("CREATE DATABASE other", database="postgres")
        self.hang()
        server.app("SELECT cohort_import('few', ARRAY['c1', 'c2', 'c3'])")
        before = server.last_run()
        server.app("SELECT cohort_sync_now('few', 'hook')")
        server.worker()
        time.sleep(0.5)
        began = time.time()
        server.ask("DROP DATABASE other", database="postgres")
        self.assertLess(time.time() - began, 3)
        server.ended("few", "hook", "success", before)
        self.assertEqual(self.held(), ["c1", "c2", "c3"])

    def test_the_database_or_the_extension_is_dropped_mid_send(self):
        server = self.server
        for what in ("DROP EXTENSION kursaha_cohort", "DROP DATABASE gone WITH (FORCE)"):
            with self.subTest(what):
                server.ask("DROP DATABASE IF EXISTS gone WITH (FORCE)", database="postgres")
                server.ask("CREATE DATABASE gone", database="postgres")
                server.ask("CREATE EXTENSION kursaha_cohort; SELECT cohort_grant('operator', 'app')", database="gone")
                self.prepare("gone")
                self.hang("gone")
                server.ask("SET ROLE app; SELECT cohort_sync_now('few', 'hook')", database="gone")
                for _ in range(300):
                    if server.ask("SELECT count(*) FROM cohort_worker_status WHERE worker = 'kursaha_cohort sync'") == "1":
                        break
                    time.sleep(0.1)
                else:
                    self.fail("no worker came")
                time.sleep(0.5)
                server.ask(what, database="postgres" if "DATABASE" in what else "gone")
                server.until("SELECT count(*) = 0 FROM cohort_worker_status WHERE worker = 'kursaha_cohort sync'", "the worker ends")
        self.assertEqual(server.ask("SELECT 1"), "1")

    def test_the_owner_is_dropped(self):
        server = self.server
        server.ask("CREATE ROLE brief LOGIN; SELECT cohort_grant('editor', 'brief')")
        server.ask("SET ROLE brief; SELECT cohort_import('his', ARRAY['c9']); SELECT cohort_sync_create('his', 'hook', 'daily');"
                   "SELECT cohort_sync_now('his', 'hook')")
        server.until("SELECT bool_and(state = 'success') FROM cohort_sync_run WHERE cohort = 'his'", "his run ends")
        server.ask("DROP OWNED BY brief; DROP ROLE brief; UPDATE kursaha_cohort.sync SET requested = 'now' WHERE owner::text ~ 'brief'")
        server.until("SELECT state = 'needs_attention' AND why ~ 'brief' FROM cohort_sync_status WHERE cohort = 'his'", "it says why")

    def test_no_worker_is_free(self):
        server = self.server
        server.ask("ALTER SYSTEM SET kursaha_cohort.max_sync_workers = 1", database="postgres")
        server.ask("SELECT pg_reload_conf()")
        server.app(f"SELECT cohort_destination_create('second', 'webhook', '{{\"url\": \"{self.fake.url}/hook/second\"}}', secret => 'file:hook');"
                   "SELECT cohort_import('two', ARRAY['c4']); SELECT cohort_sync_create('two', 'second', 'daily')")
        self.hang()
        server.app("SELECT cohort_import('few', ARRAY['c1', 'c5'])")
        server.app("SELECT cohort_sync_now('few', 'hook')")
        server.until("SELECT state = 'running' FROM cohort_sync_status WHERE cohort = 'few'", "one runs")
        server.app("SELECT cohort_sync_now('two', 'second')")
        server.until("SELECT state = 'queued' FROM cohort_sync_status WHERE cohort = 'two'", "the other one waits")
        server.until("SELECT last_state = 'success' FROM cohort_sync_status WHERE cohort = 'two'", "and runs then")
        server.until("SELECT state = 'active' AND last_state = 'success' FROM cohort_sync_status WHERE cohort = 'few'", "as does the first")
        self.assertEqual((self.held(), self.held("second")), (["c1", "c5"], ["c4"]))

    def test_z_a_read_only_database(self):
        server = self.server
        server.ask("ALTER DATABASE shop SET default_transaction_read_only = on", database="postgres")
        server.until("SELECT count(*) = 0 FROM cohort_worker_status WHERE worker = 'kursaha_cohort scheduler'", "the scheduler leaves")
        runs = server.ask("SELECT count(*) FROM cohort_sync_run")
        server.ask("BEGIN READ WRITE; UPDATE kursaha_cohort.sync SET requested = 'now'; COMMIT")
        server.until("SELECT count(*) > 0 FROM cohort_problem WHERE what ~ 'are read-only'", "the problem is shown")
        time.sleep(1.5)
        self.assertEqual(server.ask("SELECT count(*) FROM cohort_sync_run"), runs)
        server.ask("ALTER DATABASE shop RESET default_transaction_read_only", database="postgres")
        server.until(f"SELECT count(*) > {runs} FROM cohort_sync_run", "it goes on")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
