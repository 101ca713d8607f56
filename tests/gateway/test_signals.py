"""Kursaha's API as used by its SDKs."""

import gzip
import json
import threading
import unittest
import uuid

from harness import GatewayCase, event, private


class Signals(GatewayCase):
    def post(self, body, **more):
        return self.call("POST", "/api/event-flows/signal", body, key=self.keys["writer"], **more)

    def wrong(self, answer, status):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(set(answer.json), {"status", "type", "title", "message", "fieldErrors"}, answer.body)
        return answer.json

    def stored(self, customer):
        return int(self.server.sql(f"SELECT count(*) FROM cohort_event WHERE customer_id = '{customer}'"))

    def test_ping(self):
        self.assertEqual(self.good(self.call("GET", "/api/sdk/ping", key=self.keys["writer"])), {"response": "pong"})
        self.wrong(self.call("GET", "/api/sdk/ping"), 401)
        self.wrong(self.call("GET", "/api/sdk/ping", key="kck_" + "0" * 43), 401)

    def test_a_repeat_of_a_body_stores_nothing_and_gets_the_first_answer(self):
        body = {"requestIdentifier": str(uuid.uuid4()), "signals": [event("sdk", data={"price": 200.0})] * 499}
        first = self.good(self.post(body))
        self.assertEqual(first, {"stored": 499, "duplicates": 0})
        for _ in range(3):
            self.assertEqual(self.good(self.post(body)), first)
        self.assertEqual(self.stored("sdk"), 499)

    def test_repeats_at_the_same_time(self):
        body = {"requestIdentifier": str(uuid.uuid4()), "signals": [event("race")] * 300}
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.post(body))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([self.good(answer) for answer in answers], [{"stored": 300, "duplicates": 0}] * 6)
        self.assertEqual(self.stored("race"), 300)

    def test_a_bare_signal_a_list_and_the_other_names(self):
        self.assertEqual(self.good(self.post(event("bare"))), {"stored": 1, "duplicates": 0})
        self.assertEqual(self.good(self.post([event("bare"), {"userId": "bare", "eventType": "cart"}])), {"stored": 2, "duplicates": 0})
        self.good(self.post({"emitterId": "flow", "userId": "other", "stepNodeId": "step-1", "eventflowIdentifier": "flow-7", "data": {"a": 1}}))
        row = self.server.sql("SELECT event_type, data FROM cohort_event WHERE customer_id = 'flow'")
        self.assertEqual(row, 'step-1|{"a": 1, "eventflowIdentifier": "flow-7"}')
        self.good(self.post({"customerId": "flow2", "eventType": "x", "eventflowIdentifier": "flow-8"}))
        self.assertEqual(self.server.sql("SELECT data FROM cohort_event WHERE customer_id = 'flow2'"), '{"eventflowIdentifier": "flow-8"}')
        self.assertEqual(self.stored("bare"), 3)

    def test_numbers_stay_as_they_are_written(self):
        self.post('{"customerId": "exact", "eventType": "buy", "data": {"price": 200.0, "id": 9007199254740993}}', headers={"Content-Type": "application/json"})
        self.assertEqual(self.server.sql("SELECT data FROM cohort_event WHERE customer_id = 'exact'"), '{"id": 9007199254740993, "price": 200.0}')

    def test_every_bad_entry_is_named_and_nothing_is_stored(self):
        body = {"requestIdentifier": str(uuid.uuid4()), "signals": [event("bad"), {"eventType": "view"}, event("bad", data=[]), event("bad", occurredAt="soon")]}
        fields = {entry["field"] for entry in self.wrong(self.post(body), 400)["fieldErrors"]}
        self.assertEqual(fields, {"signals[1].customerId", "signals[2].data", "signals[3].occurredAt"})
        self.assertEqual(self.stored("bad"), 0)
        # What failed was not remembered: the same request, corrected, is stored.
        body["signals"] = [event("bad")]
        self.assertEqual(self.good(self.post(body)), {"stored": 1, "duplicates": 0})

    def test_malformed_bodies(self):
        for body in ("", "{", "7", "null", "[", '{"signals": 7}', '{"signals": [{}]}', '{"customerId": "a\\u0000b", "eventType": "x"}', "[" * 5000, b"\xff"):
            with self.subTest(body=body[:20]):
                self.wrong(self.post(body, headers={"Content-Type": "application/json"}), 400)
        self.wrong(self.post("x=1", headers={"Content-Type": "application/x-www-form-urlencoded"}), 415)
        self.wrong(self.post("{}"), 415)

    def test_gzip(self):
        packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        self.good(self.post(gzip.compress(json.dumps([event("packed")]).encode()), headers=packed))
        self.assertEqual(self.stored("packed"), 1)
        whole = gzip.compress(json.dumps([event("packed")] * 100).encode())
        self.wrong(self.post(whole[:-20], headers=packed), 400)
        self.wrong(self.post(b"not gzip at all", headers=packed), 400)
        # Half a gigabyte of blanks in half a megabyte.
        self.wrong(self.post(gzip.compress(b" " * (100 << 20), 9), headers=packed), 413)
        self.wrong(self.post(b"x", headers={"Content-Type": "application/json", "Content-Encoding": "br"}), 415)
        self.assertEqual(self.stored("packed"), 1)

    def test_limits(self):
        self.good(self.post([event("many")] * 10_000))
        self.wrong(self.post([event("many")] * 10_001), 413)
        self.wrong(self.post(" " * (5 << 20) + json.dumps(event("many")), headers={"Content-Type": "application/json"}), 413)
        self.assertEqual(self.stored("many"), 10_000)

    def test_customers(self):
        def customers(method, body):
            return self.call(method, "/api/customers", body, key=self.keys["writer"])
        address = private("bela@example.org")
        self.good(customers("POST", {"customerId": "bela", "customerData": {"email": address, "city": "pune"}}))
        self.good(customers("PATCH", [{"customerId": "bela", "customerData": {"city": "", "plan": "gold", "email": None}}, {"customerId": 7, "customerData": {}}]))
        self.assertEqual(self.server.sql("SELECT profile FROM cohort_customer WHERE customer_id = 'bela'"), '{"city": "pune", "plan": "gold"}')
        self.assertEqual(self.server.sql("SELECT profile FROM cohort_customer WHERE customer_id = '7'"), "{}")
        errors = self.wrong(customers("POST", [{"customerId": "x"}, {"customerData": {}}, {"customerId": "y", "customerData": 1}]), 400)
        self.assertEqual([entry["field"] for entry in errors["fieldErrors"]], ["[1].customerId", "[2].customerData"])
        self.assertEqual(self.server.sql("SELECT count(*) FROM cohort_customer WHERE customer_id IN ('x', 'y')"), "0")
        self.wrong(self.call("DELETE", "/api/customers", key=self.keys["writer"]), 405)
        self.wrong(self.call("GET", "/api/nothing", key=self.keys["writer"]), 404)

    def test_profile_from_events_is_a_setting_of_the_role(self):
        self.server.sql("CREATE ROLE profiling LOGIN; SELECT cohort_grant('ingest', 'profiling'); GRANT profiling TO cohort_gateway; "
                        "ALTER ROLE profiling SET kursaha_cohort.profile_from_events = on")
        data = {"email": "p@example.org", "city": "", "price": 3, "phoneNumber": 99}
        self.good(self.call("POST", "/api/event-flows/signal", [event("profiled", data=data)], key=self.server.key("profiling")))
        self.good(self.post([event("unprofiled", data=data)]))
        rows = self.server.sql("SELECT customer_id, profile FROM cohort_customer WHERE customer_id LIKE '%profiled'")
        self.assertEqual(rows, 'profiled|{"email": "p@example.org", "phoneNumber": 99}')


if __name__ == "__main__":
    unittest.main(verbosity=1)
