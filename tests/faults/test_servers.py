"""Syncs and changes of the server: its clock, workers, version, role and shutdown."""

import os
import pwd
import shutil
import signal
import subprocess
import time
import unittest

from harness import DIRECTORY, Case, World

HOUR = 3600


class Clock(Case):
    """Syncs and a clock that is set a day forward, then 8 hours back."""

    name = "clock"

    @classmethod
    def setUpClass(cls):
        cls.world = World(DIRECTORY / "world")
        cls.preload = cls.world.library
        super().setUpClass()

    def runs(self, name):
        return int(self.server.ask(f"SELECT count(*) FROM cohort_sync_run WHERE cohort = '{name}'"))

    def set_clock(self, seconds):
        self.world.put("clock", str(seconds))
        now = float(self.server.ask("SELECT extract(epoch FROM clock_timestamp())"))
        self.assertAlmostEqual(now - time.time(), seconds, delta=60)

    def test_forward_and_back(self):
        server = self.server
        for name, frequency in (("daily", "'daily'"), ("monthly", "'monthly', '28 03:00'"), ("quick", "'every 1 second'")):
            self.facebook(name)
            self.members(name, 1, 50)
            server.app(f"SELECT cohort_sync_create('{name}', '{name}', {frequency})")
        server.until("SELECT count(*) >= 2 FROM cohort_sync_run WHERE cohort = 'quick' AND state = 'success'", "the quick one runs")
        self.assertEqual(self.runs("daily"), 0)
        # A day forward: what is due runs once.
        self.set_clock(24 * HOUR + 60)
        server.until("SELECT count(*) = 1 FROM cohort_sync_run WHERE cohort = 'daily' AND state = 'success'", "the daily one runs once")
        self.assertEqual(self.emails("daily"), self.expected("daily"))
        count = self.runs("quick")
        server.until(f"SELECT count(*) > {count + 1} FROM cohort_sync_run WHERE cohort = 'quick' AND state = 'success'", "the quick one goes on")
        # Eight hours back, while a run waits: nothing runs for a time that was claimed, and the waiting one does not wait hours.
        self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"status": 429, "headers": {"Retry-After": "5"}, "body": {}}})
        self.members("daily", 10, 60)
        before = server.last_run()
        server.app("SELECT cohort_sync_pause('quick', 'quick')")
        server.app("SELECT cohort_sync_now('daily', 'daily')")
        server.until("SELECT state = 'waiting' FROM cohort_sync_status WHERE cohort = 'daily'", "a run waits")
        self.set_clock(16 * HOUR)
        self.ends_well("daily", before)
        counts = [self.runs(name) for name in ("daily", "monthly", "quick")]
        time.sleep(3)
        self.assertEqual([self.runs(name) for name in ("daily", "monthly", "quick")], counts)
        # A worker that is killed under the wrong clock is missed all the same.
        self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"apply": "before", "delay": 4}})
        self.members("daily", 20, 70)
        before = server.last_run()
        server.app("SELECT cohort_sync_now('daily', 'daily')")
        pid = server.worker()
        self.set_clock(8 * HOUR)
        server.kill(pid)
        server.up()
        server.ended("daily", "daily", "success", before)
        self.converges("daily")
        # An update counts from now on, whatever the clock once was.
        server.app("SELECT cohort_sync_resume('quick', 'quick'); SELECT cohort_sync_update('quick', 'quick', 'every 1 second')")
        count = self.runs("quick")
        server.until(f"SELECT count(*) > {count + 1} FROM cohort_sync_run WHERE cohort = 'quick' AND state = 'success'", "the quick one goes on")
        self.world.put("clock", None)


class FewWorkers(Case):
    """No background worker is free: the launcher, the scheduler, and a sealer that waits in another database."""

    name = "few"
    settings = {"max_worker_processes": "3", "max_logical_replication_workers": "0", "max_parallel_workers": "0"}

    def test_queued_and_says_why(self):
        server = self.server
        self.facebook("few")
        self.members("few", 1, 50)
        self.create("few", "few")
        self.converges("few")
        server.ask("CREATE DATABASE second", database="postgres")
        server.ask("CREATE EXTENSION kursaha_cohort", database="second")
        blocker = subprocess.Popen(["psql", "-Xq", "-d", "second", "-c", "BEGIN; LOCK TABLE kursaha_cohort.index_state; SELECT pg_sleep(600)"],
                                   env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server.until("SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'second' AND query LIKE 'BEGIN; LOCK%' AND wait_event = 'PgSleep'", "a lock is held")
            server.ask("INSERT INTO cohort_event (customer_id, event_type) VALUES ('c', 'view')", database="second")
            server.until("SELECT count(*) = 1 FROM cohort_worker_status WHERE worker = 'kursaha_cohort sealer' AND database = 'second'", "its sealer waits")
            self.members("few", 10, 60)
            before = server.last_run()
            server.app("SELECT cohort_sync_now('few', 'few')")
            # It is not queued yet where the database's own worker has no place either.
            server.until("SELECT state IN ('queued', 'active') AND why ~ 'no background worker is free' AND hint ~ 'max_worker_processes' "
                         "FROM cohort_sync_status WHERE cohort = 'few'", "it waits and says why")
        finally:
            server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%' AND pid <> pg_backend_pid()")
            blocker.wait(10)
        self.ends_well("few", before)


class Server(Case):
    name = "server"
    settings = {"kursaha_cohort.request_timeout": "60s", "wal_level": "replica"}

    def begin(self, name, delay=15):
        """A run of a new sync whose first batch is on its way."""
        self.facebook(name, batch_rows=40)
        self.members(name, 1, 100)
        self.create(name, name)
        self.converges(name)
        self.fake.script({"match": {"path": "/users"}, "times": 1, "do": {"apply": "before", "delay": delay}})
        self.members(name, 30, 129)
        return self.under_way(name)

    def test_alter_extension_update(self):
        """A new version arrives while a batch is on its way."""
        extension = next(self.server.where.glob("pg/**/extension/kursaha_cohort.control")).parent
        version = self.server.ask("SELECT extversion FROM pg_extension WHERE extname = 'kursaha_cohort'")
        script = extension / f"kursaha_cohort--{version}--{version}.next.sql"
        script.write_text("ALTER TABLE kursaha_cohort.sync ADD note text;\n"
                          "CREATE FUNCTION kursaha_cohort.is_new() RETURNS boolean LANGUAGE sql RETURN true;\n")
        script.chmod(0o644)
        before = self.begin("update", delay=3)
        self.server.ask(f"ALTER EXTENSION kursaha_cohort UPDATE TO '{version}.next'")
        self.assertEqual(self.server.ask("SELECT kursaha_cohort.is_new()"), "t")
        self.ends_well("update", before)
        self.members("update", 50, 149)
        self.converges("update")

    def test_fast_shutdown_and_restart(self):
        """A hung request does not hold the server up, and the run goes on afterwards."""
        before = self.begin("shutdown")
        began = time.time()
        self.server.kill(self.server.postmaster(), signal.SIGINT)
        while (self.server.where / "data/postmaster.pid").exists():
            self.assertLess(time.time() - began, 5, "a fast shutdown takes too long")
            time.sleep(0.05)
        self.server.restart()
        self.ends_well("shutdown", before)
        self.assertEqual(self.server.ask("SELECT sum(crashes) FROM kursaha_cohort.sync"), "0")

    def test_z_standby_and_promotion(self):
        """A standby runs nothing; when it is promoted in the middle of a run, it takes the run over."""
        server, standby = self.server, self.server.where / "standby"
        socket, programs = standby / "socket", server.env["PG_BIN"]
        as_server = ["runuser", "-u", pwd.getpwuid(server.where.stat().st_uid).pw_name, "--"] if os.geteuid() == 0 else []

        def run(*command):
            subprocess.run([*as_server, *command], check=True, env=server.env, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        run(f"{programs}/pg_basebackup", "-h", str(server.where), "-U", "postgres", "-D", str(standby), "-R", "-X", "stream", "-c", "fast")
        socket.mkdir(0o700)
        shutil.chown(socket, server.where.stat().st_uid, server.where.stat().st_gid)
        with (standby / "postgresql.conf").open("a") as settings:
            settings.write(f"unix_socket_directories = '{socket}'\nhot_standby_feedback = on\n")
        program = (server.where / "postgres").readlink()
        control = (f"{programs}/pg_ctl", "-D", str(standby), "-p", str(program), "-l", str(standby / "log"), "-w")
        # pg_ctl's own output would stay open in the server: run() closes it.
        run(*control, "start")
        primary = server.env["PGHOST"]
        try:
            before = self.begin("failover")
            server.env["PGHOST"] = str(socket)
            server.until(f"SELECT first_sent_at IS NOT NULL FROM cohort_sync_run WHERE run_id > {before}", "the standby follows")
            time.sleep(2.5)
            self.assertEqual(server.ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'kursaha_cohort%'"), "0")
            self.assertEqual(server.ask("SELECT why ~ 'no worker runs' OR state = 'running' FROM cohort_sync_status WHERE cohort = 'failover'"), "t")
            server.refused("SELECT cohort_sync_now('failover', 'failover')", "read-only transaction")
            # The primary is lost.
            server.kill(server.postmaster())
            run(*control, "promote")
            self.ends_well("failover", before)
            self.members("failover", 60, 160)
            self.converges("failover")
        finally:
            run(*control, "-m", "immediate", "stop")
            server.env["PGHOST"] = primary
            server.restart()


if __name__ == "__main__":
    unittest.main(verbosity=2)
