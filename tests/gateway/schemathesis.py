#!/usr/bin/env python3
"""make fuzz-gateway: schemathesis (from PyPI) drives a gateway by its openapi.json, once with names that are there and once
with any: no 500, no status or body that the description does not have. SEED and EXAMPLES (per operation) in the environment."""

import os
import subprocess
import sys
from pathlib import Path

import harness

VERSION = "4.32.5"
TOOLS = Path(os.environ.get("CARGO_TARGET_DIR", harness.ROOT / "target"), "tools/schemathesis")
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance",
          "unsupported_method", "allow_header_conformance")
# Path parameters by what the path begins with.
KNOWN = {"/v1/cohorts/": {"name": "cohort", "id": "a"}, "/v1/customers/": {"id": "a"}, "/v1/destinations/": {"name": "place"},
         "/v1/syncs/": {"cohort": "cohort", "destination": "place"}, "/v1/priorities/": {"name": "order"}}


def program():
    """The installed program, as new as VERSION."""
    path = TOOLS / VERSION / "bin/schemathesis"
    if not path.exists():
        subprocess.run([sys.executable, "-m", "venv", TOOLS / VERSION], check=True)
        subprocess.run([TOOLS / VERSION / "bin/pip", "install", "-q", f"schemathesis=={VERSION}"], check=True)
    return path


def config(with_names):
    lines = []
    for path, parameters in KNOWN.items() if with_names else ():
        lines += ["[[operations]]", f'include-path-regex = "^{path}"',
                  "parameters = { " + ", ".join(f'"path.{name}" = "{value}"' for name, value in parameters.items()) + " }", ""]
    path = harness.DIRECTORY / "schemathesis.toml"
    path.write_text("\n".join(lines))
    return path


def main():
    tool = program()
    server = harness.Server()
    failed = False
    try:
        gateway = harness.Gateway(server)
        server.sql("""CREATE TABLE kept (customer_id text PRIMARY KEY, entered_at timestamptz); GRANT ALL ON kept TO operator;
            SELECT cohort_track_batch('{"signals": [{"customerId": "a", "eventType": "view", "data": {"price": 1}}, {"customerId": "b", "eventType": "cart"}]}');
            SET ROLE operator; SELECT cohort_create('cohort', '{"did": "view"}'); SELECT cohort_destination_create('place', 'table', '{"table": "public.kept"}');
            SELECT cohort_sync_create('cohort', 'place', 'monthly'); SELECT cohort_refresh('cohort'); SELECT cohort_priority_create('order', '{cohort}')""")
        key = server.key("operator")
        for with_names in (True, False):
            arguments = ["run", f"http://127.0.0.1:{gateway.port}/openapi.json", "-H", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS),
                         "--phases", "coverage,fuzzing", "-n", os.environ.get("EXAMPLES", "20"), "--continue-on-failure", "--warnings", "off",
                         # A sign-in that fails takes a second, and five of them fifteen minutes.
                         "--exclude-path", "/v1/session"]
            if with_names:
                # The things whose names are known stay.
                arguments += ["--exclude-method", "DELETE", "--exclude-method", "PATCH"]
            if seed := os.environ.get("SEED"):
                arguments += ["--seed", seed]
            failed |= subprocess.run([tool, "--config-file", config(with_names), *arguments], check=False, cwd=harness.DIRECTORY).returncode != 0
        gateway.stop()
    finally:
        server.stop()
    sys.exit(failed)


if __name__ == "__main__":
    main()
