"""The last part of make demo: a saved cohort is kept at a fake Facebook audience, on a schedule of seconds."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/faults"))
from harness import Fake, Server  # noqa: E402


def show(server, title, sql):
    print(f"\n{title}")
    subprocess.run(["psql", "-Xq", "-d", "shop", "-P", "footer=off", "-P", "linestyle=unicode", "-P", "border=1", "-c", sql],
                   env=server.env, check=True)


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        fake = Fake(directory / "fake")
        server = Server("demo-sync", fake, directory)
        try:
            server.app(f"""
                INSERT INTO cohort_customer (customer_id, profile)
                SELECT 'c' || i, jsonb_build_object('email', 'c' || i || '@example.com') FROM generate_series(1, 300) i;
                INSERT INTO cohort_event (customer_id, event_type) SELECT 'c' || i, 'purchase' FROM generate_series(1, 200) i;
                SELECT cohort_create('buyers', '{{"did": "purchase"}}');
                SELECT cohort_destination_create('facebook', 'facebook_ads',
                    '{{"ad_account_id": "12", "audience_name": "Buyers", "base_url": "{fake.url}"}}', secret => 'file:meta')
            """)
            show(server, "Does the destination work?", "SELECT * FROM cohort_destination_test('facebook')")
            server.app("SELECT cohort_sync_create('buyers', 'facebook', 'every 2 seconds')")
            server.until("SELECT delivered = 200 FROM cohort_sync_status", "the first run")
            print(f"Facebook's audience now has {len(fake.audience('Buyers'))} members.")
            print("\nTwo customers buy for the first time, and someone's purchase is taken back ...")
            server.app("INSERT INTO cohort_event (customer_id, event_type) VALUES ('c201', 'purchase'), ('c202', 'purchase')")
            server.app("DELETE FROM cohort_event WHERE customer_id = 'c7'")
            server.until("SELECT delivered = 201 FROM cohort_sync_status", "the audience follows")
            time.sleep(0.3)
            print(f"Facebook's audience now has {len(fake.audience('Buyers'))} members.")
            show(server, "What the runs did:", "SELECT state, cause, size, added, removed, ended_at - queued_at AS took "
                 "FROM cohort_sync_run WHERE added + removed > 0 ORDER BY run_id")
            show(server, "How the sync is:", "SELECT cohort, destination, state, frequency, last_state, delivered, why FROM cohort_sync_status")
        finally:
            server.stop()
            fake.stop()


if __name__ == "__main__":
    main()
