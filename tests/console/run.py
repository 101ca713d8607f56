"""The console in a browser, from a signal posted with a key to the fake Facebook's audience holding the members."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from world import ROOT, World

sys.path.insert(0, str(ROOT / "tests/faults"))
from harness import sha  # noqa: E402


def main():
    parent = Path(os.environ.get("TEST_TMP") or tempfile.mkdtemp())
    # The server's user reads secrets in it.
    parent.chmod(0o755)
    directory = parent / "console"
    subprocess.run([ROOT / "scripts/console"], check=True)
    world = World("console", directory)
    try:
        failed = world.browse("e2e.mjs")
        log = (directory / "gateway.log").read_text()
        for secret in ("kettle-and-lamp", "@example.com", "kck_"):
            assert secret not in log, f"the gateway's log has {secret}"
        assert '"status":500' not in log, "a request was answered with 500:\n" + "\n".join(line for line in log.splitlines() if '"ERROR"' in line or '"status":500' in line)[:3000]
        if not os.environ.get("ONLY"):
            delivered = json.loads((directory / "delivered").read_text())
            emails = [row["EMAIL"] for row in world.fake.audience(delivered["audience"])]
            expected = [sha(f"c_mission_{i}@example.com") for i in (1, 2, 3)]
            assert sorted(emails) == sorted(expected), f"the audience holds {len(emails)} members, not the three of the cohort"
            print("the audience holds the members")
    finally:
        world.stop()
    sys.exit(failed)


if __name__ == "__main__":
    main()
