"""The validator and the places with which rules are judged."""

import unittest

from judged import place_text
from parts import parts_of, replaced
from schema import Validator
from values import loads


class Schemas(unittest.TestCase):
    def accepts(self, schema, value):
        return Validator(loads(schema)).accepts(loads(value))

    def test_keywords(self):
        for schema, yes, no in (
            ('{"type": "integer"}', "1.0", "1.5"),
            ('{"type": ["number", "string"]}', "1", "true"),
            ('{"enum": ["a", 1]}', "1.0", "true"),
            ('{"const": 1}', "1.0", '"1"'),
            ('{"type": "object", "required": ["a"]}', '{"a": null}', "{}"),
            (
                '{"properties": {"a": {"type": "string"}}, "additionalProperties": false}',
                '{"a": "x"}',
                '{"a": "x", "b": 1}',
            ),
            ('{"minProperties": 1, "maxProperties": 1}', '{"a": 1}', '{"a": 1, "b": 1}'),
            ('{"oneOf": [{"type": "number"}, {"minimum": 5}]}', "1", "6"),
            ('{"anyOf": [{"minimum": 9}, {"maximum": 1}]}', "1", "5"),
            ('{"allOf": [{"minimum": 1}, {"maximum": 3}]}', "2", "4"),
            ('{"not": {"type": "null"}}', "1", "null"),
            ('{"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"minimum": 0}}', '"a"', '""'),
            ('{"prefixItems": [{"const": 1}], "items": {"const": 2}}', "[1, 2, 2]", "[1, 1]"),
            ('{"minItems": 1, "maxItems": 2}', "[1]", "[1, 2, 3]"),
            ('{"contains": {"const": 1}}', "[0, 1]", "[0]"),
            ('{"pattern": "^a$"}', '"a"', '"a\\n"'),
            ('{"minLength": 2, "maxLength": 3}', '"ab"', '"abcd"'),
            ('{"exclusiveMinimum": 0, "exclusiveMaximum": 2}', "1", "2"),
            ('{"dependentRequired": {"a": ["b"]}}', '{"a": 1, "b": 1}', '{"a": 1}'),
            ('{"dependentSchemas": {"a": {"required": ["b"]}}}', "{}", '{"a": 1}'),
            ('{"$ref": "#/$defs/x", "$defs": {"x": {"type": "null"}}}', "null", "0"),
        ):
            self.assertTrue(self.accepts(schema, yes), (schema, yes))
            self.assertFalse(self.accepts(schema, no), (schema, no))

    def test_an_unknown_keyword_is_an_error(self):
        with self.assertRaises(ValueError):
            self.accepts('{"propertyNames": {"pattern": "^a"}}', "{}")


class Places(unittest.TestCase):
    def test_text(self):
        self.assertEqual(place_text(("and", 0, "a b", "count", ">=")), '$.and[0]["a b"].count[">="]')

    def test_parts_stand_where_they_are_said_to(self):
        rule = loads("""{"and": [{"did": "e", "where": [{"not": {"property": "p", "operator": "exists"}}],
            "time": [{"from": {"first": "e", "where": {"element": "i",
                "where": {"property": ".", "operator": "exists"}}}}],
            "count": {"gte": 1}}, {"sequence": [{"did_not": "z"}, {"did": "a"}, {"did_not": "b"}]},
            {"rank": {"did": "e"}, "order": "most", "top": 1, "of": {"cohort": "c"}}]}""")
        found = parts_of(rule)
        for part in found:
            value = rule
            for key in part.keys:
                value = value[key]
            self.assertIs(value, part.value)
            self.assertEqual(replaced(rule, part.keys, part.value), rule)
        kinds = [part.kind for part in found]
        for kind in (
            "and",
            "did",
            "predicates",
            "time",
            "anchor",
            "element",
            "count",
            "absence",
            "step",
            "figure",
            "cohort",
        ):
            self.assertIn(kind, kinds)
        self.assertEqual([part.around for part in found if part.kind == "absence"], [("leading",), ("last",)])


if __name__ == "__main__":
    unittest.main()
