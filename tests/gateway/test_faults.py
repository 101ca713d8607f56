"""What goes wrong: programs that are killed under load, clients that are slow, idle or never read. KILLS and IDLE say how
many; make faults has more of them."""

import json
import os
import random
import resource
import socket
import threading
import time
import unittest
import uuid
from pathlib import Path

from harness import Gateway, GatewayCase, event

KILLS = int(os.environ.get("KILLS", 3))
IDLE = int(os.environ.get("IDLE", 400))


class Faults(GatewayCase):
    def test_every_200_is_stored_once_whatever_is_killed(self):
        """Clients as the SDKs: a body is repeated until it was answered with 200."""
        over, confirmed, problems = threading.Event(), [], []

        def client(number):
            while not over.is_set():
                request = str(uuid.uuid4())
                body = {"requestIdentifier": request, "signals": [event(f"kill-{request}", data={"n": n}) for n in range(20)]}
                # What was not answered when the test ends is not confirmed.
                while not over.is_set():
                    try:
                        answer = self.call("POST", "/api/event-flows/signal", body, key=self.keys["writer"], timeout=30)
                    except OSError:
                        time.sleep(0.05)
                        continue
                    if answer.status == 200:
                        if answer.json != {"stored": 20, "duplicates": 0}:
                            problems.append(answer.json)
                        confirmed.append(request)
                        break
                    if answer.status not in (401, 503, 504):
                        problems.append((answer.status, answer.body))
                        break
                    time.sleep(0.05)

        clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
        for thread in clients:
            thread.start()
        try:
            for number in range(KILLS):
                time.sleep(random.uniform(0.3, 1))
                if number % 2:
                    self.server.kill()
                else:
                    self.gateway.kill()
                    self.gateway.start()
            time.sleep(0.5)
        finally:
            over.set()
            for thread in clients:
                thread.join()
        self.assertEqual(problems, [])
        self.assertGreater(len(confirmed), KILLS)
        counted = dict(line.split("|") for line in self.server.sql(
            "SELECT substr(customer_id, 6), count(*) FROM cohort_event WHERE customer_id LIKE 'kill-%' GROUP BY 1").splitlines())
        wrong = {request: counted.get(request) for request in confirmed if counted.get(request) != "20"}
        self.assertEqual(wrong, {})

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.gateway.port), timeout=60)
        self.addCleanup(connection.close)
        return connection

    def test_slow_and_idle_clients_hold_nobody_up(self):
        head = (f"POST /api/event-flows/signal HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.keys['writer']}\r\n"
                "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n[").encode()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        idle = [self.connect() for _ in range(IDLE)]
        slow = [self.connect() for _ in range(30)]
        for connection in slow:
            connection.sendall(head)
        for connection in idle[: IDLE // 3]:
            connection.sendall(b"GET / HTTP")
        print(f"{IDLE} idle connections, gateway's memory {self.memory()} MiB", flush=True)
        # More of them wait for their bodies than there are connections to the database.
        for _ in range(5):
            self.good(self.call("POST", "/api/event-flows/signal", [event("quick")], key=self.keys["writer"], timeout=30))
            for connection in slow:
                connection.sendall(b" ")
        # They are not kept: who asks nothing, or half of it, is left.
        for connection in idle:
            connection.settimeout(60)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass

    def memory(self):
        for line in Path(f"/proc/{self.gateway.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024
        return 0

    def test_who_reads_nothing_of_a_list_loses_it(self):
        self.server.sql("INSERT INTO cohort_event (customer_id, event_type) SELECT 'lazy-' || repeat('x', 200) || i, 'lazy' FROM generate_series(1, 100000) i; "
                        "SET ROLE operator; SELECT cohort_create('lazy', '{\"did\": \"lazy\"}')")
        impatient = Gateway(self.server, "--read-timeout", "1")
        try:
            lazy = socket.socket()
            self.addCleanup(lazy.close)
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.settimeout(30)
            lazy.connect(("127.0.0.1", impatient.port))
            lazy.sendall(f"GET /v1/cohorts/lazy/members HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.keys['reader']}\r\n\r\n".encode())
            for _ in range(200):
                if b"cohort_gateway_streams_abandoned_total 1" in impatient.call("GET", "/metrics").body:
                    break
                time.sleep(0.1)
            else:
                self.fail("the list is kept for a client that does not read")
            # Its connection to the database is free, and what comes late to the client has no end.
            self.good(impatient.call("GET", "/v1/cohorts/lazy/count", key=self.keys["reader"]))
            text = b""
            try:
                while piece := lazy.recv(1 << 20):
                    text += piece
            except ConnectionResetError:
                pass
            self.assertLess(text.count(b"customer_id"), 100000)
            self.assertFalse(text.endswith(b"0\r\n\r\n"), "a list that broke off ends as a whole one does")
        finally:
            impatient.stop()

    def test_clients_that_never_read_give_their_connection_back(self):
        self.server.sql("INSERT INTO cohort_event (customer_id, event_type) SELECT 'unread-' || repeat('x', 200) || i, 'unread' FROM generate_series(1, 50000) i; "
                        "SET ROLE operator; SELECT cohort_create('unread', '{\"did\": \"unread\"}')")
        head = f"GET /v1/cohorts/unread/members HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.keys['reader']}\r\n\r\n".encode()
        lazy = [self.connect() for _ in range(4)]
        for connection in lazy:
            connection.sendall(head)
        busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cohort-gateway' AND state <> 'idle'"
        for _ in range(100):
            if self.server.sql(busy) == "4":
                break
            time.sleep(0.1)
        # Half of the connections: the fifth stream is refused, and everything else is served.
        self.refused(self.call("GET", "/v1/cohorts/unread/members", key=self.keys["reader"]), 503, message="streamed")
        self.good(self.call("GET", "/v1/cohorts/unread/count", key=self.keys["reader"]))
        for connection in lazy:
            connection.close()
        for _ in range(300):
            if self.server.sql(busy) == "0":
                break
            time.sleep(0.1)
        self.assertEqual(self.server.sql(busy), "0")
        stream = self.call("GET", "/v1/cohorts/unread/members", key=self.keys["reader"])
        self.assertEqual(stream.body.count(b"\n"), 50000)

    def test_a_server_that_is_away(self):
        self.assertEqual(self.call("GET", "/readyz").status, 200)
        self.server.run("psql", self.server.name, "-Xqc", "ALTER ROLE cohort_gateway NOLOGIN")
        try:
            self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cohort_gateway'")
            answer = self.call("GET", "/v1/cohorts", key=self.keys["reader"])
            self.refused(answer, 503)
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            self.assertEqual(self.call("GET", "/readyz").status, 503)
            self.assertEqual(self.call("GET", "/healthz").status, 200)
        finally:
            self.server.run("psql", self.server.name, "-Xqc", "ALTER ROLE cohort_gateway LOGIN")
        self.good(self.call("GET", "/v1/cohorts", key=self.keys["reader"]))

    def test_figures(self):
        self.good(self.call("GET", "/v1/cohorts", key=self.keys["reader"]))
        text = self.call("GET", "/metrics").body.decode()
        self.assertIn('cohort_gateway_requests_total{method="GET",route="/v1/cohorts",status="200"}', text)
        self.assertIn("cohort_gateway_connections ", text)
        lines = [json.loads(line) for line in self.gateway.log.read_text().splitlines()]
        self.assertTrue(any(line.get("route") == "/v1/cohorts" for line in lines))


if __name__ == "__main__":
    unittest.main(verbosity=1)
