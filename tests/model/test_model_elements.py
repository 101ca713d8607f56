"""One property against another, the same element of an array, and rows of tables, by hand-checked examples."""

import unittest

from tables import Table
from test_model import Base, data_of
from values import loads


class Refs(Base):
    def compared(self, operator, document, ref='"event.q"', profile=None, more="", timezone="UTC"):
        """Whether `p` of an event's data compares so with what `ref` names."""
        where = f'{{"property": "p", "operator": "{operator}", "ref": {ref}{more}}}'
        data = data_of([("x", "e", "2026-01-01T00:00:00Z", document)], {"x": profile} if profile else None)
        return self.who(f'{{"did": "e", "where": {where}, "timezone": "{timezone}"}}', data) == "x"

    def test_another_property_of_the_event(self):
        for operator, document, expected in (
            ("eq", '{"p": 1, "q": 1.0}', True),
            ("eq", '{"p": "1", "q": 1}', True),
            ("eq", '{"p": 1, "q": "1"}', False),
            ("gt", '{"p": 2, "q": 1}', True),
            ("gt", '{"p": "10", "q": 9}', True),
            ("gt", '{"p": "10", "q": "9"}', False),
            ("gte", '{"p": "b", "q": "a"}', True),
            ("lt", '{"p": "Z", "q": "a"}', True),
            ("lte", '{"p": 1, "q": "a"}', False),
            ("eq", '{"p": true, "q": true}', True),
            ("gte", '{"p": true, "q": true}', False),
            ("lte", '{"p": false, "q": true}', False),
        ):
            self.assertEqual(self.compared(operator, document), expected, (operator, document))

    def test_nothing_compares_with_missing_null_arrays_and_objects(self):
        for value in ("null", "[1]", '{"a": 1}'):
            document = f'{{"p": {value}, "q": {value}}}'
            for operator in ("eq", "gte", "lte", "on"):
                self.assertFalse(self.compared(operator, document), (operator, document))
            self.assertTrue(self.compared("neq", document), document)
        self.assertFalse(self.compared("eq", "{}"))
        self.assertTrue(self.compared("neq", "{}"))
        self.assertTrue(self.compared("neq", '{"p": 1}'))
        self.assertTrue(self.compared("neq", '{"q": 1}'))

    def test_aliases_and_case(self):
        self.assertTrue(self.compared(">=", '{"p": 1, "q": 1}'))
        self.assertTrue(self.compared("is_not", '{"p": 1, "q": 2}'))
        self.assertTrue(self.compared("eq", '{"p": "É", "q": "é"}', more=', "ignore_case": true'))
        self.assertFalse(self.compared("neq", '{"p": "É", "q": "é"}', more=', "ignore_case": true'))
        self.assertFalse(self.compared("eq", '{"p": "É", "q": "é"}'))

    def test_dates_on_both_sides(self):
        for operator, p, q, expected in (
            ("before", "2026-01-01", "2026-01-01T00:00:00.000001Z", True),
            ("since", "2026-01-01T00:00:00Z", "2026-01-01", True),
            ("on", "2026-01-01T23:00:00Z", "2026-01-01", True),
            ("on", "2026-01-01", "2026-01-01T23:00:00Z", False),
            ("on", "2026-01-01", "2026-01-01T00:00:00Z", True),
            ("before", "soon", "2026-01-01", False),
            ("before", "2026-01-01", "soon", False),
        ):
            self.assertEqual(self.compared(operator, f'{{"p": "{p}", "q": "{q}"}}'), expected, (operator, p, q))
        self.assertFalse(self.compared("before", '{"p": "2026-01-01", "q": 5}'))
        utc = '{"p": "2025-12-31T18:30:00Z", "q": "2026-01-01"}'
        self.assertFalse(self.compared("on", utc))
        self.assertTrue(self.compared("on", utc, timezone="Asia/Kolkata"))

    def test_through_brackets_any_element_of_either_side(self):
        ref = '"event.q[].r"'
        where = '{"property": "p[]", "operator": "%s", "ref": "event.q[].r"}'
        for document, operator, expected in (
            ('{"p": [1, 2], "q": [{"r": 3}, {"r": 2}]}', "eq", True),
            ('{"p": [1, 2], "q": [{"r": 3}, {"r": 2}]}', "neq", False),
            ('{"p": [1, 2], "q": [{"r": 3}]}', "gt", False),
            ('{"p": [1, 4], "q": [{"r": 3}]}', "gt", True),
        ):
            rule = f'{{"did": "e", "where": {where % operator}}}'
            data = data_of([("x", "e", "2026-01-01T00:00:00Z", document)])
            self.assertEqual(self.who(rule, data) == "x", expected, (document, operator))
        self.assertFalse(self.compared("eq", '{"p": [1], "q": [{"r": 1}]}', ref))

    def test_the_profile_as_it_is_now(self):
        self.assertTrue(self.compared("eq", '{"p": "x"}', '"profile.a.b"', '{"a": {"b": "x"}}'))
        self.assertFalse(self.compared("eq", '{"p": "x"}', '"profile.a"', None))
        self.assertTrue(self.compared("neq", '{"p": "x"}', '"profile.a"', None))
        data = data_of([], {"a": '{"p": 2, "q": 1}', "b": '{"p": 1, "q": 2}', "c": "{}"})
        self.assertEqual(self.who('{"profile": "p", "operator": "gt", "ref": "profile.q"}', data), "a")
        self.assertEqual(self.who('{"profile": "p", "operator": "neq", "ref": "profile.p"}', data), "c")

    def test_a_list_is_a_path(self):
        self.assertTrue(self.compared("eq", '{"p": 1, "a.b": {"c[]": 1}}', '["event", "a.b", "c[]"]'))
        self.assertFalse(self.compared("eq", '{"p": 1, "a": {"b": {"c[]": 1}}}', '["event", "a.b", "c[]"]'))
        self.assertTrue(self.compared("eq", '{"p": 1}', '["profile", "a.b"]', '{"a.b": 1}'))

    def test_steps(self):
        rule = """{"sequence": [{"did": "a", "as": "c"}, {"did": "b", "where":
            {"property": "price", "operator": "lt", "ref": ["c", "price"]}}]}"""
        cheaper = [
            ("x", "a", "2026-01-01T00:00:00Z", '{"price": 2}'),
            ("x", "b", "2026-01-02T00:00:00Z", '{"price": 1}'),
        ]
        self.assertEqual(self.who(rule, data_of(cheaper)), "x")
        self.assertEqual(self.who(rule.replace('["c", "price"]', '"c.price"'), data_of(cheaper)), "x")
        self.assertEqual(self.who(rule.replace('["c", "price"]', '"event.price"'), data_of(cheaper)), "")
        self.assertEqual(self.who(rule.replace('"lt"', '"gte"'), data_of(cheaper)), "")


class Elements(Base):
    def holds_of(self, where, document, profile=False):
        """Whether the predicate (or, as a condition, the profile) holds."""
        if profile:
            return self.who(where, data_of([], {"x": document})) == "x"
        data = data_of([("x", "e", "2026-01-01T00:00:00Z", document)])
        return self.who(f'{{"did": "e", "where": {where}}}', data) == "x"

    kettles = """{"element": "items", "where": [{"property": "sku", "operator": "eq", "value": "kettle"},
        {"property": "quantity", "operator": "gte", "value": 2}]}"""

    def test_one_element_satisfies_all(self):
        for items, expected in (
            ('[{"sku": "kettle", "quantity": 2}]', True),
            ('[{"sku": "kettle", "quantity": 1}, {"sku": "pan", "quantity": 2}]', False),
            ('[1, null, {"sku": "kettle", "quantity": "2"}]', True),
            ('{"sku": "kettle", "quantity": 2}', False),
            ("[]", False),
            ("null", False),
            ('[[{"sku": "kettle", "quantity": 2}]]', False),
        ):
            self.assertEqual(self.holds_of(self.kettles, f'{{"items": {items}}}'), expected, items)
        self.assertFalse(self.holds_of(self.kettles, "{}"))

    def test_negations_are_of_one_element(self):
        other = '{"element": "i", "where": {"property": "s", "operator": "neq", "value": 1}}'
        self.assertTrue(self.holds_of(other, '{"i": [{"s": 1}, {"s": 2}]}'))
        self.assertTrue(self.holds_of(other, '{"i": [{"s": 1}, {}]}'))
        self.assertTrue(self.holds_of(other, '{"i": [{"s": 1}, "text"]}'))
        self.assertFalse(self.holds_of(other, '{"i": [{"s": 1}, null]}'))
        self.assertFalse(self.holds_of(f'{{"not": {other}}}', '{"i": [{"s": 2}]}'))
        self.assertTrue(self.holds_of(f'{{"not": {other}}}', "{}"))

    def test_the_element_itself(self):
        big = '{"element": "i", "where": {"property": ".", "operator": "gt", "value": 5}}'
        self.assertTrue(self.holds_of(big, '{"i": [1, "6"]}'))
        self.assertFalse(self.holds_of(big, '{"i": [1, [6], {"a": 6}]}'))
        self.assertTrue(
            self.holds_of('{"element": "i", "where": {"property": ".", "operator": "exists"}}', '{"i": [[]]}')
        )
        self.assertFalse(
            self.holds_of('{"element": "i", "where": {"property": ".", "operator": "not_exists"}}', '{"i": [null]}')
        )
        within = '{"element": "i", "where": {"property": ".", "operator": "contains", "value": "a"}}'
        self.assertTrue(self.holds_of(within, '{"i": [["b"], ["a"]]}'))
        inner = (
            """{"element": "i", "where": {"element": ".", "where": {"property": ".", "operator": "eq", "value": 3}}}"""
        )
        self.assertTrue(self.holds_of(inner, '{"i": [[1], [2, 3]]}'))
        self.assertFalse(self.holds_of(inner, '{"i": [3]}'))

    def test_it_nests_and_stands_in_and_or_not(self):
        nested = """{"element": "orders", "where": [{"property": "paid", "operator": "eq", "value": true},
            {"or": [{"element": "lines", "where": {"property": "n", "operator": "gt", "ref": "element.m"}},
                    {"property": "vip", "operator": "exists"}]}]}"""
        self.assertTrue(self.holds_of(nested, '{"orders": [{"paid": true, "lines": [{"n": 2, "m": 1}]}]}'))
        self.assertFalse(self.holds_of(nested, '{"orders": [{"paid": true, "m": 1, "lines": [{"n": 2}]}]}'))
        self.assertFalse(
            self.holds_of(nested, '{"orders": [{"paid": true, "lines": []}, {"lines": [{"n": 2, "m": 1}]}]}')
        )
        self.assertTrue(self.holds_of(nested, '{"orders": [{"paid": true, "vip": 1}]}'))

    def test_through_brackets_any_of_the_arrays(self):
        rule = """{"element": "carts[].items", "where": [{"property": "a", "operator": "eq", "value": 1},
            {"property": "b", "operator": "eq", "value": 1}]}"""
        self.assertTrue(self.holds_of(rule, '{"carts": [{"items": [{"a": 1}]}, {"items": [{"a": 1, "b": 1}]}]}'))
        self.assertFalse(self.holds_of(rule, '{"carts": [{"items": [{"a": 1}]}, {"items": [{"b": 1}]}]}'))

    def test_refs_name_the_innermost_element_the_event_and_the_profile(self):
        itself = '{"property": "wanted", "operator": "eq", "ref": "element"}'
        data = """{"wanted": 2, "i": [{"wanted": 1}, {"wanted": 2}]}"""
        self.assertFalse(self.holds_of(f'{{"element": "i", "where": {itself}}}', data))
        own = '{"element": "i", "where": {"property": "wanted", "operator": "eq", "ref": "event.wanted"}}'
        self.assertTrue(self.holds_of(own, data))
        self.assertFalse(self.holds_of(own, '{"wanted": 3, "i": [{"wanted": 1}]}'))
        alone = '{"element": "i", "where": {"property": ".", "operator": "eq", "ref": "element"}}'
        self.assertTrue(self.holds_of(alone, '{"i": [3]}'))
        self.assertFalse(self.holds_of(alone, '{"i": [[3], {}]}'))

    def test_in_profile_conditions(self):
        rule = """{"profile": "cars", "element": true, "where": [{"property": "make", "operator": "eq", "value": "a"},
            {"property": "year", "operator": "lt", "ref": "profile.year"}]}"""
        self.assertTrue(self.holds_of(rule, '{"year": 2000, "cars": [{"make": "a", "year": 1999}]}', profile=True))
        self.assertFalse(
            self.holds_of(rule, '{"year": 2000, "cars": [{"make": "a", "year": 2001}, {"year": 1}]}', profile=True)
        )


class Rows(Base):
    product = Table(
        {
            "id": "text",
            "price": "numeric",
            "Odd Name": "boolean",
            "more": "jsonb",
            "seen": "timestamptz",
            "n": "bigint",
        },
        loads(
            """[{"id": "k", "price": 10.50, "Odd Name": true, "more": {"a": 1}, "n": 1,
             "seen": "2026-01-01T00:00:00+00:00"},
            {"id": "p", "price": 1, "Odd Name": false, "more": [1], "seen": null, "n": 2},
            {"id": null, "price": null, "Odd Name": true, "more": null, "seen": null, "n": null}]"""
        ),
    )

    def asked(self, predicate, document):
        data = data_of([("x", "e", "2026-01-01T00:00:00Z", document)], {"x": document})
        data.tables["shop.product"] = self.product
        by_event = self.who(f'{{"did": "e", "where": {{"property": "p", {predicate}}}}}', data)
        self.assertEqual(self.who(f'{{"profile": "p", {predicate}}}', data), by_event)
        return by_event == "x"

    def test_in_the_values_of_a_column(self):
        ids = '"operator": "in", "rows": {"table": "shop.product", "column": "id"}'
        self.assertTrue(self.asked(ids, '{"p": "k"}'))
        self.assertFalse(self.asked(ids, '{"p": "K"}'))
        self.assertFalse(self.asked(ids, '{"p": null}'))
        self.assertTrue(self.asked(ids.replace('"in"', '"not_in"'), "{}"))
        self.assertFalse(self.asked(ids.replace('"in"', '"none_of"'), '{"p": "p"}'))
        numbers = ids.replace('"id"', '"price"')
        self.assertTrue(self.asked(numbers, '{"p": "10.5"}'))
        self.assertFalse(self.asked(numbers, '{"p": "k"}'))
        more = ids.replace('"id"', '"more"')
        self.assertFalse(self.asked(more, '{"p": [1]}'))
        self.assertFalse(self.asked(more, '{"p": {"a": 1}}'))

    def test_where_chooses_the_rows(self):
        rows = '"operator": "in", "rows": {"table": "shop.product", "column": "id", "where": %s}'
        odd = '{"property": ["Odd Name"], "operator": "eq", "value": true}'
        self.assertTrue(self.asked(rows % odd, '{"p": "k"}'))
        self.assertFalse(self.asked(rows % odd, '{"p": "p"}'))
        inside = '{"property": "more.a", "operator": "eq", "value": 1}'
        self.assertTrue(self.asked(rows % inside, '{"p": "k"}'))
        both = f'[{odd}, {{"property": "price", "operator": "lt", "value": 10}}]'
        self.assertFalse(self.asked(rows % both, '{"p": "k"}'))
        same = '{"property": "price", "operator": "lt", "ref": "row.n"}'
        self.assertTrue(self.asked(rows % same, '{"p": "p"}'))
        self.assertFalse(self.asked(rows % same, '{"p": "k"}'))
        element = '{"element": "more", "where": {"property": ".", "operator": "eq", "ref": "row.price"}}'
        self.assertTrue(self.asked(rows % element, '{"p": "p"}'))
        self.assertTrue(
            self.asked(rows % '{"property": "seen", "operator": "in_the_last", "value": "1 year"}', '{"p": "k"}')
        )

    def test_customer_in(self):
        data = data_of(
            [], {"1": "{}", "10.5": "{}", "10.50": "{}", "true": "{}", "k": "{}", "2026-01-01 00:00:00+00": "{}"}
        )
        data.tables["t"] = self.product
        for column, expected in (
            ("id", ["k"]),
            ("n", ["1"]),
            ("Odd Name", ["true"]),
            ("seen", ["2026-01-01 00:00:00+00"]),
            ("price", ["1", "10.50"]),
        ):
            rule = {"customer_in": {"table": "t", "column": column}}
            self.assertEqual(self.who(rule, data), "".join(expected), column)
        self.assertEqual(self.who({"customer_in": {"table": "t", "column": "id"}}, data, "1999-01-01T00:00:00Z"), "k")


if __name__ == "__main__":
    unittest.main()
