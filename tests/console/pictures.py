"""make screenshots: a picture of every page for docs/CONSOLE.md, on the tests' shop."""

import subprocess
import sys
import tempfile
from pathlib import Path

from world import ROOT, World


def main():
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/console"
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run([ROOT / "scripts/console"], check=True)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        world = World("console-pictures", Path(name) / "world")
        try:
            server = world.server
            server.ask((ROOT / "tests/console/pictures.sql").read_text().replace("@fake@", world.fake.url))
            for cohort in ("Left the cart this week", "Held"):
                server.ask(f"SELECT cohort_sync_now('{cohort}', 'Facebook main')", role="crm_team")
                server.until(f"SELECT bool_or(state = 'success') FROM cohort_sync_run WHERE cohort = '{cohort}'", "the first run", 60)
            server.ask("SELECT cohort_import('Held', ARRAY(SELECT customer_id FROM cohort_customer ORDER BY customer_id LIMIT 300))", role="crm_team")
            server.ask("SELECT cohort_sync_now('Held', 'Facebook main')", role="crm_team")
            server.until("SELECT state = 'held' FROM cohort_sync_status WHERE cohort = 'Held'", "the run is held", 60)
            failed = world.browse("pictures.mjs", PICTURES=str(target))
        finally:
            world.stop()
    sys.exit(failed)


if __name__ == "__main__":
    main()
