"""What syncs cost: delivery to the fake API, memory, the way from due to sent, a shutdown, and many idle syncs.

    python3 benches/sync.py [MEMBERS]

Starts its own server and fake destination; 500,000 members unless told otherwise.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/faults"))
from harness import Fake, Memory, ROOT, Server  # noqa: E402


def ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def preview(server):
    """Seconds of processor time that the comparison takes in a session that compared before."""
    session = subprocess.Popen(["psql", "-XAtq", "-d", server.database], env=server.env, text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)

    def ask(sql):
        session.stdin.write(f"{sql};\n")
        session.stdin.flush()
        return session.stdout.readline().strip()

    pid = ask("SELECT pg_backend_pid()")
    ask("SELECT adds FROM cohort_sync_preview('all', 'fb')")
    before = ticks(pid)
    ask("SELECT adds FROM cohort_sync_preview('all', 'fb')")
    used = (ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
    session.communicate()
    return used


def main():
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    fake = Fake(directory / "fake")
    server = Server("syncbench", fake, directory)
    try:
        server.app(f"""
            INSERT INTO cohort_customer (customer_id, profile)
            SELECT 'c' || i, jsonb_build_object('email', 'c' || i || '@example.com', 'phone', '1555' || lpad(i::text, 7, '0'))
            FROM generate_series(1, {members}) i;
            INSERT INTO cohort_event (customer_id, event_type) SELECT 'c' || i, 'purchase' FROM generate_series(1, {members}) i;
            SELECT cohort_create('all', '{{"did": "purchase"}}');
            SELECT cohort_destination_create('fb', 'facebook_ads',
                '{{"ad_account_id": "12", "audience_name": "all", "base_url": "{fake.url}"}}', secret => 'file:meta');
            SELECT cohort_sync_create('all', 'fb', 'daily');
        """)
        server.ask("SELECT cohort_seal()")
        server.ask("VACUUM ANALYZE")
        with Memory(server) as memory:
            server.sync("all", "fb", seconds=1800, every=1)
        took, send = server.ask(
            "SELECT extract(epoch FROM ended_at - started_at), extract(epoch FROM ended_at - first_sent_at) "
            "FROM cohort_sync_run ORDER BY run_id DESC LIMIT 1").split("|")
        print(f"first sync of {members} members: {float(took):.1f} s, {members / float(send):,.0f} members a second")
        print(f"memory of the worker: {memory.above():.0f} MiB above its first {memory.first / 1024:.0f} MiB")
        changes = """INSERT INTO cohort_customer (customer_id, profile)
            SELECT 'new' || i, jsonb_build_object('email', 'new' || i || '@example.com') FROM generate_series(1, 1000) i;
            INSERT INTO cohort_event (customer_id, event_type) SELECT 'new' || i, 'purchase' FROM generate_series(1, 1000) i"""
        whole = "DELETE FROM kursaha_cohort.sync_told"
        addresses = """UPDATE cohort_customer SET profile = jsonb_build_object('email', 'changed' || customer_id || '@example.com')
            WHERE customer_id IN (SELECT 'c' || i FROM generate_series(1, 1000) i)"""
        for what, before in (("nothing to do", ""), ("nothing to do, all members compared", whole), ("1,000 new members", changes),
                             ("1,000 new members, all members compared", f"{changes.replace('new', 'newer')}; {whole}"),
                             ("1,000 changed addresses", addresses)):
            if before:
                server.ask(before)
            used = preview(server)
            server.sync("all", "fb", seconds=600, every=1)
            took, adds, compared = server.ask("SELECT extract(epoch FROM ended_at - started_at), adds, compared "
                                              "FROM cohort_sync_run ORDER BY run_id DESC LIMIT 1").split("|")
            print(f"a run with {what}: {float(took):.2f} s; processor time of its comparison: {used:.2f} s ({adds} to send, compared: {compared})")
        # From due to the first byte: a small cohort on a schedule of seconds.
        server.app("SELECT cohort_import('few', ARRAY['c1']); SELECT cohort_destination_create('hook', 'webhook', "
                   f"'{{\"url\": \"{fake.url}/hook/h\"}}', secret => 'file:hook'); "
                   "SELECT cohort_sync_create('few', 'hook', 'every 2 seconds')")
        delays = []
        for turn in range(7):
            due = float(server.ask("SELECT extract(epoch FROM due_at) FROM kursaha_cohort.sync ORDER BY sync_id DESC LIMIT 1"))
            server.app(f"SELECT cohort_import('few', ARRAY['c{turn + 2}', 'c1'])")
            time.sleep(max(0, due - time.time()) + 1.5)
            sent = [entry["at"] for entry in fake.call("log") if entry["path"] == "/hook/h" and entry["at"] >= due]
            delays += [sent[0] - due] if sent else []
        delays.sort()
        print(f"from due to the first byte: {delays[len(delays) // 2] * 1000:.0f} ms (median of {len(delays)})")
        server.app("SELECT cohort_sync_pause('few', 'hook')")
        # Many syncs that have nothing to do.
        server.app(f"SELECT count(cohort_destination_create('d' || i, 'webhook', '{{\"url\": \"{fake.url}/hook/i\"}}', "
                   "secret => 'file:hook')) FROM generate_series(1, 1000) i; "
                   "SELECT count(cohort_sync_create('few', 'd' || i, 'daily')) FROM generate_series(1, 1000) i")
        pid = server.ask("SELECT pid FROM cohort_worker_status WHERE worker = 'kursaha_cohort scheduler'")
        before = ticks(pid)
        time.sleep(20)
        used = (ticks(pid) - before) / os.sysconf("SC_CLK_TCK") * 3
        print(f"1,000 idle syncs: {used:.2f} s of processor time a minute")
        # A fast shutdown while a request hangs.
        fake.script({"match": {"path": "/hook/h"}, "times": 1, "do": {"hang": True}})
        server.app("SELECT cohort_import('few', ARRAY['c99']); SELECT cohort_sync_resume('few', 'hook'); "
                   "SELECT cohort_sync_now('few', 'hook')")
        server.until("SELECT count(*) = 1 FROM cohort_worker_status WHERE worker = 'kursaha_cohort sync'", "a worker runs")
        time.sleep(0.5)
        began = time.time()
        server.stop()
        print(f"a fast shutdown during a hung request: {time.time() - began:.2f} s")
    finally:
        subprocess.run([ROOT / "scripts/pg", "stop", "syncbench"], stdout=subprocess.DEVNULL)
        fake.stop()


if __name__ == "__main__":
    main()
