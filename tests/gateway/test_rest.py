"""REST: every route by hand, lists, versions, streams; then random valid and invalid requests from openapi.json."""

import csv
import io
import json
import os
import random
import threading
import unittest

from harness import GatewayCase, event, segment

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
REQUESTS = int(os.environ.get("REQUESTS", 800))


class Rest(GatewayCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        signals = [event(f"c{i}", data={"price": i}, occurredAt="2026-01-02T03:04:05Z") for i in range(250)] + \
            [{"customerId": f"c{i}", "eventType": "cart"} for i in range(50)] + [{"customerId": 'odd,"id"', "eventType": "cart"}]
        cls.call("POST", "/v1/events", {"signals": signals}, key=cls.keys["operator"])
        cls.call("PUT", "/v1/customers/c1", {"profile": {"city": "pune"}}, key=cls.keys["operator"])

    def ask(self, method, path, body=None, status=200, **more):
        return self.good(self.call(method, path, body, key=self.keys["operator"], **more), status)

    def test_a_cohort_from_beginning_to_end(self):
        name = "näme / with % and ?"
        place = f"/v1/cohorts/{segment(name)}"
        made = self.call("POST", "/v1/cohorts", {"name": name, "rule": {"did": "cart"}, "description": "d"}, key=self.keys["operator"])
        self.assertEqual(made.headers["Location"], place)
        cohort = self.good(made, 201)
        self.assertEqual((cohort["name"], cohort["kind"], cohort["rule"], cohort["version"], cohort["editable"]), (name, "rule", {"did": "cart"}, 1, True))
        self.refused(self.call("POST", "/v1/cohorts", {"name": name, "rule": {"did": "cart"}}, key=self.keys["operator"]), 409)
        self.assertEqual(self.ask("GET", f"{place}/count"), {"count": 51})
        self.assertEqual(self.ask("GET", f"{place}/count?as_of=2025-01-01T00:00:00Z"), {"count": 0})
        self.assertIs(self.ask("GET", f"{place}/members/c1"), True)
        self.assertIs(self.ask("GET", f"{place}/members/c200"), False)
        self.assertTrue(self.ask("GET", f"{place}/why/c1")["holds"])
        self.assertEqual(self.ask("GET", f"{place}/explain")["items"][0]["customers"], 51)
        self.assertIn("SELECT", self.ask("GET", f"{place}/sql")["sql"])
        self.assertEqual(self.ask("POST", f"{place}/refresh")["size"], 51)
        self.assertEqual(len(self.ask("GET", f"{place}/history")["items"]), 1)
        self.assertEqual(len(self.ask("GET", f"{place}/changes?limit=20")["items"]), 20)
        listed = self.ask("GET", "/v1/cohorts?now=true&search=WITH")["items"]
        self.assertEqual([(entry["size"], entry["size_now"], entry["history"][0]["size"]) for entry in listed], [(51, 51, 51)])
        first = made.headers["ETag"]
        changed = self.call("PUT", place, {"rule": {"did": "view"}}, key=self.keys["operator"], headers={"If-Match": first})
        self.good(changed)
        self.assertNotEqual(changed.headers["ETag"], first)
        self.refused(self.call("PUT", place, {"rule": {"did": "cart"}}, key=self.keys["operator"], headers={"If-Match": first}), 412)
        self.refused(self.call("DELETE", place, key=self.keys["operator"], headers={"If-Match": first}), 412)
        self.assertEqual([entry["version"] for entry in self.ask("GET", f"{place}/versions")["items"]], [2, 1])
        self.ask("PUT", place, {"rule": {"did": "view", "where": {"property": "price", "operator": "gt", "value": 9}}}, headers={"If-Match": changed.headers["ETag"]})
        self.ask("POST", f"{place}/refresh")
        seen = self.ask("GET", "/v1/customers/c1/changes?limit=1")
        self.assertEqual([(entry["cohort"], entry["change"]) for entry in seen["items"]], [(name, "exited")])
        seen = self.ask("GET", f"/v1/customers/c1/changes?limit=50&after={segment(seen['next'])}")
        self.assertIn((name, "entered"), [(entry["cohort"], entry["change"]) for entry in seen["items"]])
        self.assertEqual(self.ask("GET", "/v1/customers/nobody/changes"), {"items": [], "next": None})
        changed = self.call("GET", place, key=self.keys["operator"])
        renamed = self.ask("PATCH", place, {"name": "plain"}, headers={"If-Match": changed.headers["ETag"]})
        self.assertEqual(renamed["name"], "plain")
        self.refused(self.call("GET", place, key=self.keys["operator"]), 404)
        self.ask("DELETE", "/v1/cohorts/plain", status=204)
        self.refused(self.call("DELETE", "/v1/cohorts/plain", key=self.keys["operator"]), 404)

    def test_put_makes_and_keeps(self):
        self.ask("PUT", "/v1/cohorts/put", {"rule": {"did": "cart"}}, status=201, headers={"If-None-Match": "*"})
        self.refused(self.call("PUT", "/v1/cohorts/put", {"rule": {"did": "view"}}, key=self.keys["operator"], headers={"If-None-Match": "*"}), 412)
        self.ask("PUT", "/v1/cohorts/list", {"customer_ids": ["c1", "c2", "unknown"]}, status=201)
        self.assertEqual(self.ask("GET", "/v1/cohorts/list/count"), {"count": 2})
        self.refused(self.call("POST", "/v1/cohorts", {"name": "list", "customer_ids": ["z"]}, key=self.keys["operator"]), 409)
        self.refused(self.call("PUT", "/v1/cohorts/list", {"rule": {"did": "view"}}, key=self.keys["operator"]), 409)

    def test_of_two_changes_of_one_version_one_is_refused(self):
        made = self.call("POST", "/v1/cohorts", {"name": "contended", "rule": {"did": "cart"}}, key=self.keys["operator"])
        etag, statuses = made.headers["ETag"], []

        def change(number):
            rule = {"did": "view", "count": {"gte": number + 1}}
            statuses.append(self.call("PUT", "/v1/cohorts/contended", {"rule": rule}, key=self.keys["operator"], headers={"If-Match": etag}).status)
        threads = [threading.Thread(target=change, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [200] + [412] * 5)
        self.assertEqual(self.ask("GET", "/v1/cohorts/contended")["version"], 2)

    def test_members_are_streamed(self):
        self.ask("PUT", "/v1/cohorts/streamed", {"rule": {"did": "cart"}}, status=201)
        lines = self.call("GET", "/v1/cohorts/streamed/members", key=self.keys["reader"], headers={"Accept": "application/x-ndjson"})
        members = {json.loads(line)["customer_id"] for line in lines.body.splitlines()}
        self.assertEqual(members, {f"c{i}" for i in range(50)} | {'odd,"id"'})
        table = self.call("GET", "/v1/cohorts/streamed/members?profile=true", key=self.keys["reader"], headers={"Accept": "text/csv"})
        rows = list(csv.reader(io.StringIO(table.body.decode(), newline="")))
        self.assertEqual(rows[0], ["customer_id", "profile"])
        self.assertEqual({row[0] for row in rows[1:]}, members)
        self.assertIn(["c1", '{"city": "pune"}'], rows)
        found, after = [], ""
        while after is not None:
            page = self.ask("GET", f"/v1/cohorts/streamed/members?limit=20&after={segment(after)}" if after else "/v1/cohorts/streamed/members?limit=20",
                            headers={"Accept": "application/json"})
            found += [member["customer_id"] for member in page["items"]]
            after = page["next"]
        self.assertEqual(found, sorted(members))
        found = self.ask("GET", "/v1/cohorts/streamed/members?search=pune", headers={"Accept": "application/json"})["items"]
        self.assertEqual([member["customer_id"] for member in found], ["c1"])
        self.refused(self.call("GET", "/v1/cohorts/none/members", key=self.keys["reader"]), 404)
        self.refused(self.call("GET", "/v1/cohorts/streamed/members", key=self.keys["reader"], headers={"Accept": "image/png"}), 406)

    def test_preview(self):
        rule = {"and": [{"did": "view"}, {"did": "cart"}, {"not": {"profile": "city", "operator": "eq", "value": "pune"}}]}
        seen = self.ask("POST", "/v1/preview", {"rule": rule, "sample": 3})
        self.assertEqual((seen["valid"], seen["size"], len(seen["sample"]), seen["rule"]), (True, 49, 3, rule))
        sizes = {line["path"]: (line["customers"], line["leaves"]) for line in seen["conditions"]}
        self.assertEqual((sizes["$"], sizes["$.and[0]"], sizes["$.and[1]"], sizes["$.and[2]"][1]), ((49, None), (250, None), (51, 50), 49))
        self.assertIn(" and ", seen["words"])
        wrong = self.ask("POST", "/v1/preview", {"rule": {"and": [{"dd": "view"}, {"did": "view", "count": {"gt": "x"}}]}})
        self.assertEqual((wrong["valid"], wrong["size"], wrong["conditions"]), (False, None, []))
        self.assertTrue(any(problem["path"] == "$.and[0].dd" for problem in wrong["problems"]))
        refused = self.refused(self.call("POST", "/v1/cohorts", {"name": "wrong", "rule": {"and": [{"dd": "view"}]}}, key=self.keys["operator"]), 400)
        self.assertEqual(refused["sqlstate"], "22023")
        self.assertEqual({problem["path"] for problem in refused["problems"]}, {"$.and[0]", "$.and[0].dd"})

    def test_properties_have_examples(self):
        self.ask("POST", "/v1/events", {"signals": [{"customerId": "p1", "eventType": "order", "data": {"brand": brand, "total": 10, "ship": {"city": "pune"}, "email": "a@example.org",
                 "items": [{"sku": 1}]}} for brand in ("kalpa", "kalpa", "tamra")]})
        self.ask("PUT", "/v1/customers/p1", {"profile": {"plan": "gold", "firstName": "Asha"}}, status=204)
        of_type = {entry["property"]: entry for entry in self.ask("GET", "/v1/properties?event_type=order")["items"]}
        # Events that are not in the index yet have properties, too.
        self.assertEqual(set(of_type), {"brand", "total", "ship.city", "email", "items"})
        self.assertEqual([of_type[name]["examples"] for name in ("brand", "total", "ship.city", "email", "items")], [["kalpa", "tamra"], [10], ["pune"], [], []])
        self.assertEqual([of_type[name]["types"] for name in ("brand", "total", "items")], [["string"], ["number"], ["array"]])
        self.ask("POST", "/v1/operation/seal")
        both = self.ask("GET", "/v1/properties")["items"]
        brand = [entry for entry in both if (entry["event_type"], entry["property"]) == ("order", "brand")]
        self.assertEqual([(entry["events"], entry["examples"]) for entry in brand], [(3, ["kalpa", "tamra"])])
        profile = {entry["property"]: entry["examples"] for entry in both if entry["event_type"] is None}
        self.assertEqual((profile["plan"], profile["firstName"]), (["gold"], []))
        # Whoever may not read customers sees none of their values.
        self.refused(self.call("GET", "/v1/properties", key=self.keys["writer"]), 403)

    def test_as_of_is_in_the_address(self):
        rule = {"did": "view"}
        self.ask("PUT", "/v1/cohorts/then", {"rule": rule}, status=201)
        for at, size in (("2025-06-01T00:00:00Z", 0), ("2026-06-01T00:00:00%2B05:30", 250)):
            self.assertEqual(self.ask("POST", f"/v1/preview?as_of={at}", {"rule": rule})["size"], size)
            self.assertEqual(self.ask("GET", f"/v1/cohorts/then/explain?as_of={at}")["items"][0]["customers"], size)
            self.assertEqual(self.ask("POST", f"/v1/cohorts/then/refresh?as_of={at}")["size"], size)
            self.assertIs(self.ask("GET", f"/v1/cohorts/then/members/c3?as_of={at}"), size > 0)
            self.assertIs(self.ask("GET", f"/v1/cohorts/then/why/c3?as_of={at}")["holds"], size > 0)
            self.assertEqual("then" in self.ask("GET", f"/v1/customers/c3/cohorts?as_of={at}")["items"], size > 0)
            self.assertEqual(self.call("GET", f"/v1/cohorts/then/members?as_of={at}", key=self.keys["reader"]).body.count(b"\n"), size)
            self.assertEqual(sum(part["customers"] for part in self.ask("GET", f"/v1/overlap?name=then&as_of={at}")["items"]), size)
        self.assertEqual(self.ask("POST", "/v1/preview", {"rule": rule, "as_of": "2025-06-01T00:00:00Z"})["size"], 0)
        self.refused(self.call("POST", "/v1/preview?as_of=2025-06-01T00:00:00Z", {"rule": rule, "as_of": "2025-06-01T00:00:00Z"}, key=self.keys["reader"]), 400)
        self.refused(self.call("GET", "/v1/cohorts/then/count?as_of=soon", key=self.keys["reader"]), 400)

    def test_who_has_a_version_is_not_sent_it_again(self):
        made = self.call("POST", "/v1/cohorts", {"name": "versioned", "rule": {"did": "cart"}}, key=self.keys["operator"])

        def ask(etag):
            return self.call("GET", "/v1/cohorts/versioned", key=self.keys["reader"], headers={"If-None-Match": etag})
        same = ask(made.headers["ETag"])
        self.assertEqual((same.status, same.body, same.headers["ETag"]), (304, b"", made.headers["ETag"]))
        self.assertEqual(ask(f'"0", W/{made.headers["ETag"]}').status, 304)
        self.good(ask('"0"'))
        self.ask("PUT", "/v1/cohorts/versioned", {"rule": {"did": "view"}})
        self.good(ask(made.headers["ETag"]))

    def test_one_event_and_a_list(self):
        one = {"customerId": "one", "eventType": "single"}
        self.assertEqual(self.ask("POST", "/v1/events", one), {"stored": 1, "duplicates": 0})
        self.assertEqual(self.ask("POST", "/v1/events", [one, one]), {"stored": 2, "duplicates": 0})
        self.refused(self.call("POST", "/v1/events", [one] * 10_001, key=self.keys["operator"]), 413)

    def test_priorities_and_suppressions(self):
        for name, rule in (("top", {"did": "cart"}), ("rest", {"did": "view"})):
            self.ask("PUT", f"/v1/cohorts/{name}", {"rule": rule}, status=201)
        made = self.call("POST", "/v1/priorities", {"name": "order / one", "cohorts": ["top", "rest"]}, key=self.keys["editor"])
        self.refused(made, 403)
        made = self.call("POST", "/v1/priorities", {"name": "order / one", "cohorts": ["top", "rest"]}, key=self.keys["operator"])
        place = "/v1/priorities/order%20%2F%20one"
        self.assertEqual((self.good(made, 201)["cohorts"], made.headers["Location"]), (["top", "rest"], place))
        self.refused(self.call("POST", "/v1/priorities", {"name": "order / one", "cohorts": []}, key=self.keys["operator"]), 409)
        self.assertEqual(self.ask("GET", f"{place}/waterfall")["items"], [{"cohort": "top", "customers": 51}, {"cohort": "rest", "customers": 200}])
        self.assertEqual(self.ask("PUT", place, {"cohorts": ["rest", "top"]})["cohorts"], ["rest", "top"])
        self.assertEqual(self.ask("GET", f"{place}/waterfall")["items"], [{"cohort": "rest", "customers": 250}, {"cohort": "top", "customers": 1}])
        self.assertEqual(self.ask("GET", f"{place}/waterfall?as_of=2025-01-01T00:00:00Z")["items"], [{"cohort": "rest", "customers": 0}, {"cohort": "top", "customers": 0}])
        self.assertEqual([entry["name"] for entry in self.ask("GET", "/v1/priorities")["items"]], ["order / one"])
        self.refused(self.call("PUT", place, {"cohorts": ["nobody"]}, key=self.keys["operator"]), 404)
        seen = self.call("GET", place, key=self.keys["operator"])
        self.assertEqual(self.call("GET", place, key=self.keys["operator"], headers={"If-None-Match": seen.headers["ETag"]}).status, 304)
        statuses = []

        def change(cohorts):
            statuses.append(self.call("PUT", place, {"cohorts": cohorts}, key=self.keys["operator"], headers={"If-Match": seen.headers["ETag"]}).status)
        threads = [threading.Thread(target=change, args=(cohorts,)) for cohorts in (["top"], ["rest"], ["top", "rest"], ["rest", "top"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [200, 412, 412, 412])
        self.refused(self.call("DELETE", place, key=self.keys["operator"], headers={"If-Match": seen.headers["ETag"]}), 412)
        seen = self.call("GET", place, key=self.keys["operator"])
        self.ask("DELETE", place, status=204, headers={"If-Match": seen.headers["ETag"]})
        self.refused(self.call("GET", place, key=self.keys["operator"]), 404)
        self.refused(self.call("GET", f"{place}/waterfall", key=self.keys["operator"]), 404)
        self.ask("POST", "/v1/suppressions", {"cohort": "top"}, status=204)
        self.assertEqual([(entry["cohort"], entry["destination"], entry["set_by"]) for entry in self.ask("GET", "/v1/suppressions")["items"]], [("top", None, "operator")])
        self.ask("DELETE", "/v1/suppressions?cohort=top", status=204)
        self.assertEqual(self.ask("GET", "/v1/suppressions")["items"], [])
        self.refused(self.call("POST", "/v1/suppressions", {"cohort": "nobody"}, key=self.keys["operator"]), 404)

    def test_figures_and_groups(self):
        figure = {"did": "view", "aggregate": {"fn": "sum", "property": "price"}}
        found, after = {}, None
        while True:
            page = self.ask("POST", "/v1/figures", {"figure": figure, "rule": {"did": "cart"}, "limit": 20} | ({"after": after} if after else {}))
            self.assertLessEqual(len(page["items"]), 20)
            found |= {item["customer_id"]: item["value"] for item in page["items"]}
            after = page["next"]
            if after is None:
                break
        self.assertEqual(found, {f"c{i}": i for i in range(50)})
        self.ask("PUT", "/v1/cohorts/figured", {"rule": {"did": "cart"}}, status=201)
        self.assertEqual(len(self.ask("POST", "/v1/figures", {"figure": figure, "cohort": "figured"})["items"]), 50)
        self.assertEqual(len(self.ask("POST", "/v1/figures", {"figure": figure, "limit": 1000})["items"]), 250)
        self.assertEqual(self.ask("POST", "/v1/figures", {"figure": figure, "as_of": "2025-01-01T00:00:00Z"})["items"], [])
        self.refused(self.call("POST", "/v1/figures", {"figure": figure, "cohort": "a", "rule": {"did": "cart"}}, key=self.keys["reader"]), 400)
        self.refused(self.call("POST", "/v1/figures", {"figure": {"did": 1}}, key=self.keys["reader"]), 400)
        for customer, city in (("g1", "agra"), ("g2", "agra"), ("g3", "kota")):
            self.ask("PUT", f"/v1/customers/{customer}", {"profile": {"region": city}}, status=204)
        self.ask("POST", "/v1/events", {"signals": [{"customerId": customer, "eventType": "grouped"} for customer in ("g1", "g2", "g3")]})
        groups = self.ask("POST", "/v1/groups", {"property": "region", "rule": {"did": "grouped"}})["items"]
        self.assertEqual(groups, [{"value": "agra", "customers": 2}, {"value": "kota", "customers": 1}])
        self.ask("PUT", "/v1/cohorts/grouped", {"rule": {"did": "grouped"}}, status=201)
        self.assertEqual(self.ask("POST", "/v1/groups", {"property": "region", "cohort": "grouped"})["items"], groups)
        self.refused(self.call("POST", "/v1/groups", {"property": "region"}, key=self.keys["reader"]), 400)

    def test_captures_retention_and_secrets(self):
        self.server.sql("CREATE TABLE orders (customer text, total int); ALTER TABLE orders OWNER TO operator; INSERT INTO orders VALUES ('old', 1)")
        capture = {"source": "public.orders", "event_type": "captured", "customer_column": "customer"}
        self.refused(self.call("POST", "/v1/captures", capture, key=self.keys["editor"]), 403)
        made = self.ask("POST", "/v1/captures", capture, status=201)
        self.assertEqual((made["event_type"], made["on"], made["state"]), ("captured", "insert", "recording"))
        self.server.sql("INSERT INTO orders VALUES ('new', 2)")
        self.assertEqual(self.ask("GET", "/v1/captures")["items"][0]["recorded"], 1)
        self.assertEqual(self.ask("POST", "/v1/captures/backfill", {"source": "public.orders", "event_type": "captured"}), {"rows": 1})
        self.ask("POST", "/v1/captures", {"source": "public.orders", "customer_column": "customer", "data_columns": ["total"]}, status=201)
        self.refused(self.call("POST", "/v1/captures", capture | {"event_type": None, "occurred_at_column": "x"}, key=self.keys["operator"]), 400)
        self.ask("DELETE", "/v1/captures?source=public.orders&event_type=captured", status=204)
        self.ask("DELETE", "/v1/captures?source=public.orders", status=204)
        self.refused(self.call("DELETE", "/v1/captures?source=public.nowhere", key=self.keys["operator"]), 404, message="public.nowhere")
        self.assertEqual(self.ask("GET", "/v1/captures")["items"], [])
        self.refused(self.call("PUT", "/v1/retention", {"keep": "100 years", "event_type": "cart"}, key=self.keys["editor"]), 403)
        policy = self.ask("PUT", "/v1/retention", {"keep": "100 years", "event_type": "cart"})
        self.assertEqual((policy["event_type"], policy["keep"], policy["owner"]), ("cart", "P100Y", "operator"))
        self.ask("PUT", "/v1/retention", {"keep": "200 years"})
        self.assertEqual([entry["event_type"] for entry in self.ask("GET", "/v1/retention")["items"]], [None, "cart"])
        self.ask("DELETE", "/v1/retention", status=204)
        self.ask("DELETE", "/v1/retention?event_type=cart", status=204)
        self.assertEqual(self.ask("GET", "/v1/retention")["items"], [])
        binding = {"secret": "file:bound", "roles": ["operator"], "kinds": ["webhook"], "hosts": ["hooks.example.com"]}
        self.refused(self.call("PUT", "/v1/secrets", binding, key=self.keys["operator"]), 403)
        self.assertEqual(self.call("GET", "/v1/secrets", key=self.keys["operator"]).status, 405)

    def test_reach_of_a_preview(self):
        self.server.sql("SELECT cohort_secret_allow('file:meta', '{operator}', '{facebook_ads}', '{graph.facebook.com}')")
        for body in ({"name": "reach fb", "kind": "facebook_ads", "config": {"ad_account_id": "1", "audience_name": "a"}, "secret": "file:meta"},
                     {"name": "reach table", "kind": "table", "config": {"table": "public.reached"}}):
            self.server.sql("CREATE TABLE IF NOT EXISTS reached (customer_id text PRIMARY KEY); GRANT ALL ON reached TO operator")
            self.ask("POST", "/v1/destinations", body, status=201)
        for number in range(3):
            self.ask("PUT", f"/v1/customers/c{number + 10}", {"profile": {"email": f"c{number}@example.org"}}, status=204)
        seen = self.ask("POST", "/v1/preview", {"rule": {"timezone": "Asia/Kolkata", "did": "cart"}, "reach": True})["reach"]
        seen = {entry["destination"]: (entry["kind"], entry["customers"], entry["properties"]) for entry in seen}
        self.assertEqual(seen["reach fb"], ("facebook_ads", 3, ["email", "phone", "phoneNumber"]))
        self.assertEqual(seen["reach table"], ("table", 51, None))
        self.assertIsNone(self.ask("POST", "/v1/preview", {"rule": {"did": "cart"}})["reach"])
        for name in ("reach fb", "reach table"):
            self.ask("DELETE", f"/v1/destinations/{segment(name)}", status=204)

    def test_destinations_and_syncs(self):
        self.server.sql("CREATE TABLE IF NOT EXISTS audience (customer_id text PRIMARY KEY, entered_at timestamptz); GRANT ALL ON audience TO operator")
        self.ask("PUT", "/v1/cohorts/synced", {"rule": {"did": "cart"}}, status=201)
        body = {"name": "aud", "kind": "table", "config": {"table": "public.audience"}}
        made = self.call("POST", "/v1/destinations", body, key=self.keys["operator"])
        self.good(made, 201)
        self.assertTrue(self.ask("POST", "/v1/destinations/aud/test")["ok"])
        self.refused(self.call("PUT", "/v1/destinations/aud", {"config": {"table": "public.audience"}}, key=self.keys["operator"], headers={"If-Match": '"0"'}), 412)
        self.good(self.call("PUT", "/v1/destinations/aud", {"config": {"table": "public.audience"}}, key=self.keys["operator"], headers={"If-Match": made.headers["ETag"]}))
        place = "/v1/syncs/synced/aud"
        self.assertEqual(self.ask("POST", f"{place}/preview")["adds"], 51)
        self.assertEqual(self.ask("POST", "/v1/syncs", {"cohort": "synced", "destination": "aud", "frequency": "weekly", "at": "monday 09:00"}, status=201)["frequency"], "weekly")
        self.refused(self.call("POST", "/v1/syncs", {"cohort": "synced", "destination": "aud"}, key=self.keys["operator"]), 409)
        self.refused(self.call("DELETE", "/v1/cohorts/synced", key=self.keys["operator"]), 409)
        first = self.call("GET", place, key=self.keys["operator"]).headers["ETag"]
        self.assertEqual(self.ask("PUT", place, {"frequency": "hourly"}, headers={"If-Match": first})["frequency"], "hourly")
        for method, body in (("PUT", {"frequency": "daily"}), ("PATCH", {"owner": "operator"}), ("DELETE", None)):
            self.refused(self.call(method, place, body, key=self.keys["operator"], headers={"If-Match": first}), 412)
        self.assertEqual(self.ask("GET", place)["frequency"], "hourly")
        self.refused(self.call("PUT", "/v1/syncs/synced/nowhere", {"frequency": "daily"}, key=self.keys["operator"], headers={"If-Match": first}), 404)
        self.assertEqual(self.ask("POST", f"{place}/pause")["state"], "paused")
        self.assertEqual(self.ask("POST", f"{place}/resume")["state"], "active")
        self.assertIn("message", self.ask("POST", f"{place}/now", headers={"Content-Type": "application/json"}))
        for _ in range(100):
            runs = self.ask("GET", "/v1/sync-runs?cohort=synced")["items"]
            if runs and runs[0]["state"] == "success":
                break
            threading.Event().wait(0.2)
        self.assertEqual((runs[0]["state"], runs[0]["added"]), ("success", 51))
        self.assertEqual(self.ask("GET", f"{place}/rejected")["items"], [])
        self.ask("POST", f"{place}/now", {"force": True})
        second = self.call("GET", place, key=self.keys["operator"]).headers["ETag"]
        self.ask("POST", f"{place}/pause")
        self.ask("DELETE", place, status=204, headers={"If-Match": second})
        self.ask("DELETE", "/v1/destinations/aud", status=204)

    def test_data(self):
        page = self.ask("GET", "/v1/events?event_type=cart&limit=30")
        rest = self.ask("GET", f"/v1/events?event_type=cart&limit=30&after={segment(page['next'])}")
        self.assertEqual((len(page["items"]), len(rest["items"]), rest["next"]), (30, 21, None))
        types = {entry["event_type"]: entry for entry in self.ask("GET", "/v1/event-types?days=2")["items"]}
        self.assertEqual((types["cart"]["events"], types["cart"]["customers"], types["cart"]["days"][-1]["events"]), (51, 51, 51))
        self.assertEqual((types["view"]["events"], [day["events"] for day in types["view"]["days"]]), (250, [0, 0]))
        self.ask("PUT", "/v1/event-types/cart", {"description": "Put into the cart"}, status=204)
        self.ask("PUT", "/v1/customers/c2", {"profile": {"city": "delhi", "plan": None}}, status=204)
        one = self.ask("GET", "/v1/customers/c2?limit=1")
        self.assertEqual((one["profile"], len(one["events"])), ({"city": "delhi"}, 1))
        self.assertEqual(len(self.ask("GET", f"/v1/customers/c2?limit=1&after={segment(one['next'])}")["events"]), 1)
        self.assertIsNone(self.ask("GET", "/v1/customers/c40")["profile"])
        self.assertEqual([c["customer_id"] for c in self.ask("GET", "/v1/customers?search=c1")["items"]], ["c1"])
        self.ask("PUT", "/v1/cohorts/viewers", {"rule": {"did": "view"}}, status=201)
        self.assertIn("viewers", self.ask("GET", "/v1/customers/c2/cohorts")["items"])
        self.ask("POST", "/v1/events", {"signals": [event("gone")]})
        self.assertEqual(self.ask("DELETE", "/v1/customers/gone"), {"events": 1, "profiles": 0, "syncs": 0})
        self.assertEqual(self.ask("GET", "/v1/overlap?name=viewers")["items"][0]["customers"], 250)
        self.assertGreater(self.ask("POST", "/v1/operation/seal")["events"], -1)
        self.assertEqual(set(self.ask("GET", "/v1/operation")), {"version", "index", "workers", "progress", "problems", "retention", "captures"})
        self.assertIn("$defs", self.ask("GET", "/v1/rule-schema"))


class Described(GatewayCase):
    """Random requests by openapi.json: no 500, no status that it does not have, and answers in its shapes."""

    def setUp(self):
        self.random = random.Random(SEED)
        self.api = self.good(self.call("GET", "/v1/openapi.json"))
        self.server.sql("""CREATE TABLE kept (customer_id text PRIMARY KEY); GRANT ALL ON kept TO operator;
            SELECT cohort_track_batch('{"signals": [{"customerId": "a", "eventType": "view", "data": {"price": 1}}, {"customerId": "b", "eventType": "cart"}]}');
            SET ROLE operator; SELECT cohort_create('cohort', '{"did": "view"}'); SELECT cohort_destination_create('place', 'table', '{"table": "public.kept"}');
            SELECT cohort_sync_create('cohort', 'place', 'monthly'); SELECT cohort_refresh('cohort')""")

    def text(self):
        return self.random.choice(["cohort", "place", "a", "b", "view", "", "x" * 300, "né / %?#&=", "\u0000", "'; DROP TABLE x; --", "2026-01-01T00:00:00Z", "infinity", "-1",
                                   "{}", "[\"infinity\", 1]", "1e99", "hourly", "true", "operator", "webhook", "😀", "\ud83d", "0", "9" * 30, "None", "*"])

    def anything(self, depth=0):
        kinds = [lambda: self.text().replace("\ud83d", "s"), lambda: self.random.choice([0, -1, 1, 1.5, 1e300, 10**40]), lambda: None, lambda: True]
        if depth < 3:
            kinds += [lambda: [self.anything(depth + 1) for _ in range(self.random.randrange(3))],
                      lambda: {self.random.choice(["signals", "did", "and", "rule", "name", "customerId", "eventType", "config", "x", ""]): self.anything(depth + 1)
                               for _ in range(self.random.randrange(3))},
                      lambda: self.random.choice([{"did": "view"}, {"signals": [event("fuzz")]}, {"and": [{"did": "view"}, {"cohort": "cohort"}]}])]
        return self.random.choice(kinds)()

    def resolve(self, schema):
        while "$ref" in schema:
            schema = self.api["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def like(self, schema):
        """A body that mostly is as a schema says."""
        schema = self.resolve(schema)
        if self.random.random() < 0.1 or not schema:
            return self.anything()
        if "oneOf" in schema or "anyOf" in schema:
            return self.like(self.random.choice(schema.get("oneOf") or schema["anyOf"]))
        kind = schema.get("type")
        kind = self.random.choice(kind) if isinstance(kind, list) else kind
        if kind == "object" and "properties" in schema:
            required = schema.get("required", [])
            return {name: self.like(part) for name, part in schema["properties"].items() if name in required or self.random.random() < 0.5}
        return {"object": lambda: self.random.choice([{"did": "view"}, {"table": "public.kept"}, {}]),
                "array": lambda: [self.like(schema["items"]) for _ in range(self.random.randrange(3))],
                "string": lambda: self.text().replace("\ud83d", "s"), "integer": lambda: self.random.choice([0, 1, 10, -1, 2**31, 2**63]),
                "boolean": lambda: self.random.random() < 0.5, "null": lambda: None}.get(kind, self.anything)()

    def matches(self, value, schema, place):
        schema = self.resolve(schema)
        if "oneOf" in schema or "anyOf" in schema:
            failures = []
            for part in schema.get("oneOf") or schema["anyOf"]:
                try:
                    return self.matches(value, part, place)
                except AssertionError as failure:
                    failures.append(str(failure))
            raise AssertionError(failures)
        kinds = schema.get("type")
        if kinds is None:
            return None
        kinds = kinds if isinstance(kinds, list) else [kinds]
        kind = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}[type(value)]
        self.assertTrue(kind in kinds or kind == "integer" and "number" in kinds, f"{place}: {value!r} is {kind}, not {kinds}")
        if kind == "object":
            properties = schema.get("properties", {})
            self.assertLessEqual(set(schema.get("required", [])), set(value), place)
            if properties:
                self.assertLessEqual(set(value), set(properties), place)
            for name, part in value.items():
                self.matches(part, properties.get(name, {}), f"{place}.{name}")
        if kind == "array":
            for part in value:
                self.matches(part, schema.get("items", {}), f"{place}[]")
        return None

    def test_whatever_the_description_allows(self):
        operations = [(method, path, operation) for path, methods in self.api["paths"].items() for method, operation in methods.items()]
        self.assertGreater(len(operations), 50)
        seen, by_status = set(), {}
        print(f"SEED={SEED}")
        for number in range(REQUESTS):
            method, path, operation = operations[number % len(operations)]
            if method == "post" and path == "/v1/session":
                continue
            query = []
            for parameter in operation.get("parameters", []):
                # Names that are there, more often than not.
                known = {"name": "cohort", "cohort": "cohort", "destination": "place", "id": "a"}.get(parameter["name"])
                text = known if known and self.random.random() < 0.6 else self.text()
                if parameter["in"] == "path":
                    path = path.replace("{%s}" % parameter["name"], segment(text.encode("utf-8", "surrogatepass")) or "%20")
                elif self.random.random() < 0.4:
                    query.append(f"{parameter['name']}={segment(text.encode('utf-8', 'surrogatepass'))}")
            body, headers = None, {}
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                body = json.dumps(self.like(content.get("schema", {}))).encode()
                headers["Content-Type"] = "application/json"
            if self.random.random() < 0.1:
                headers["If-Match"] = self.random.choice(['"x"', "*", "x", '"'])
            if self.random.random() < 0.2:
                headers["Accept"] = self.random.choice(["application/json", "text/csv", "*/*", "image/png"])
            key = self.keys["operator"] if self.random.random() < 0.9 else self.random.choice([self.keys["reader"], None])
            answer = self.call(method.upper(), path + ("?" + "&".join(query) if query else ""), body, key=key, headers=headers)
            told = f"SEED={SEED} {method} {path} {query} {body} {headers}: {answer.status} {answer.body[:500]}"
            documented = operation["responses"].get(str(answer.status), operation["responses"].get(f"{answer.status // 100}XX"))
            self.assertIsNotNone(documented, told)
            self.assertNotIn(answer.status, (500, 501) if "export" not in path and "apply" not in path else (500,), told)
            kind = answer.headers.get_content_type()
            content = documented.get("content", {})
            if content:
                self.assertIn(kind, content, told)
                if kind == "application/json":
                    self.matches(answer.json, content[kind].get("schema", {}), told)
            by_status[answer.status] = by_status.get(answer.status, 0) + 1
            if answer.status < 300:
                seen.add((method, operation["operationId"], operation["tags"][0]))
            # What a request dropped is there again for the next.
            if method in ("delete", "patch") and answer.status < 300:
                self.server.sql("""SET ROLE operator; DO $$ BEGIN
                    BEGIN PERFORM cohort_create('cohort', '{"did": "view"}'); EXCEPTION WHEN OTHERS THEN END;
                    BEGIN PERFORM cohort_destination_create('place', 'table', '{"table": "public.kept"}'); EXCEPTION WHEN OTHERS THEN END;
                    BEGIN PERFORM cohort_sync_create('cohort', 'place', 'monthly'); EXCEPTION WHEN OTHERS THEN END; END $$""")
        print("answers:", dict(sorted(by_status.items())))
        self.assertGreater(len(seen), 30, "most operations were never done")


if __name__ == "__main__":
    unittest.main(verbosity=1)
