#!/usr/bin/env python3
"""What HTTP costs: signals of 499 by several connections, and a stream of members, through the gateway and by SQL alone.

    BUILD_PROFILE=release scripts/gateway build && python3 benches/gateway/load.py

SECONDS_EACH (10), CONNECTIONS (8), MEMBERS (1000000). Clients, gateway and server share the machine. The program that is
measured is that of BUILD_PROFILE (release).
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
os.environ.setdefault("BUILD_PROFILE", "release")
sys.path.insert(0, str(ROOT / "tests/gateway"))
import harness  # noqa: E402

SECONDS = float(os.environ.get("SECONDS_EACH", 10))
CONNECTIONS = int(os.environ.get("CONNECTIONS", 8))
MEMBERS = int(os.environ.get("MEMBERS", 1_000_000))
BATCH = 499
harness.PROGRAM = subprocess.run([ROOT / "scripts/gateway", "path"], capture_output=True, text=True, check=True).stdout.strip()


def signals(number):
    return json.dumps([{"customerId": f"c{(number * BATCH + n) % 100000}", "eventType": ("view", "cart", "purchase")[n % 3],
                        "data": {"productId": f"p{n % 40}", "brand": "something", "price": 100.0 + n}} for n in range(BATCH)])


def memory(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return 0


def by_http(gateway, key, bodies):
    took, stop = [], time.monotonic() + SECONDS

    def client(number):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        while time.monotonic() < stop:
            number += CONNECTIONS
            body = '{"requestIdentifier": "%s", "signals": %s}' % (uuid.uuid4(), bodies[number % len(bodies)])
            begun = time.monotonic()
            connection.request("POST", "/api/event-flows/signal", body, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise AssertionError(answer.read())
            answer.read()
            took.append(time.monotonic() - begun)

    run(client)
    return took


def run(client):
    threads = [threading.Thread(target=client, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_sql(server, bodies):
    """The same calls by pgbench, without HTTP."""
    script = harness.DIRECTORY / "batch.sql"
    body = bodies[0].replace("'", "''")
    script.write_text(f"SELECT * FROM cohort_track_batch(jsonb_build_object('requestIdentifier', gen_random_uuid(), 'signals', '{body}'::jsonb));\n")
    bench = Path(os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin"), "pgbench")
    out = subprocess.run([bench, "-n", "-h", server.directory, "-U", "postgres", "-c", str(CONNECTIONS), "-j", "2", "-T", str(int(SECONDS)),
                          "-f", script, "postgres"], capture_output=True, text=True, check=True).stdout
    return next(float(line.split("=")[1].split()[0]) for line in out.splitlines() if line.startswith("tps")) * BATCH


def main():
    server = harness.Server()
    try:
        gateway = harness.Gateway(server, "--log", "warn")
        bodies = [signals(number) for number in range(64)]
        took = sorted(by_http(gateway, server.key("writer"), bodies))
        rate = len(took) * BATCH / SECONDS
        print(f"signals of {BATCH} by {CONNECTIONS} connections: {rate:,.0f} events/s, p50 {took[len(took) // 2] * 1000:.0f} ms, "
              f"p99 {took[int(len(took) * 0.99)] * 1000:.0f} ms, gateway's memory {memory(gateway.process.pid)} MiB")
        print(f"the same by SQL: {by_sql(server, bodies):,.0f} events/s")

        server.sql(f"INSERT INTO cohort_event (customer_id, event_type) SELECT 'm' || i, 'member' FROM generate_series(1, {MEMBERS}) i; "
                   "SELECT cohort_seal(); SELECT cohort_create('members', '{\"did\": \"member\"}')")
        for accept in ("application/x-ndjson", "text/csv"):
            connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
            begun = time.monotonic()
            connection.request("GET", "/v1/cohorts/members/members", headers={"Authorization": f"Bearer {server.key('reader')}", "Accept": accept})
            answer, lines = connection.getresponse(), 0
            while piece := answer.read(1 << 20):
                lines += piece.count(b"\n")
            seconds = time.monotonic() - begun
            print(f"{accept}: {lines:,} lines, {lines / seconds:,.0f} a second, gateway's memory {memory(gateway.process.pid)} MiB")
        begun = time.monotonic()
        subprocess.run([ROOT / "scripts/pg", "psql", server.name, "-XqAt", "-c", "SELECT customer_id FROM cohort_run('members')"],
                       stdout=subprocess.DEVNULL, check=True)
        print(f"the same by psql: {MEMBERS / (time.monotonic() - begun):,.0f} members/s")
        gateway.stop()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
