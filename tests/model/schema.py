"""A JSON Schema validator for the keywords that the schema of rules uses; any other keyword is an error."""

import re
from functools import lru_cache

from values import is_number

ANNOTATIONS = {"$schema", "$id", "$comment", "$defs", "title", "description", "default", "examples"}


class Validator:
    def __init__(self, schema):
        self.root = schema
        self.ordered = {}  # by the id of a part of the schema, which stays as long as the schema

    def accepts(self, value):
        return self.valid(self.root, value)

    def valid(self, schema, value):
        if isinstance(schema, bool):
            return schema
        # Cheap keywords first: they rule out most forms of a oneOf before anything below is looked at.
        keywords = self.ordered.get(id(schema))
        if keywords is None:
            keywords = sorted(set(schema) - ANNOTATIONS, key=lambda keyword: keyword in RECURSIVE)
            self.ordered[id(schema)] = keywords
        for keyword in keywords:
            check = CHECKS.get(keyword)
            if check is None:
                raise ValueError(f"the schema has the keyword {keyword!r}, which this validator does not know")
            if not check(self, schema, value):
                return False
        return True

    def resolve(self, reference):
        found = self.root
        for key in reference.removeprefix("#").split("/")[1:]:
            found = found[key]
        return found


def is_integer(value):
    return is_number(value) and value == int(value)


TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": is_number,
    "integer": is_integer,
}


def check_type(_, schema, value):
    types = schema["type"]
    return any(TYPES[name](value) for name in ([types] if isinstance(types, str) else types))


def same(left, right):
    """JSON equality: true is not 1, 1.0 is."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


@lru_cache(maxsize=None)
def pattern(text):
    # `$` must not match before a last newline.
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", text))


def check_properties(validator, schema, value):
    properties = schema["properties"]
    return all(validator.valid(properties[key], item) for key, item in value.items() if key in properties)


def check_additional(validator, schema, value):
    known = schema.get("properties", {})
    others = [item for key, item in value.items() if key not in known]
    return all(validator.valid(schema["additionalProperties"], item) for item in others)


def check_items(validator, schema, value):
    return all(validator.valid(schema["items"], item) for item in value[len(schema.get("prefixItems", [])) :])


def check_prefix(validator, schema, value):
    return all(validator.valid(first, item) for first, item in zip(schema["prefixItems"], value, strict=False))


def check_if(validator, schema, value):
    branch = "then" if validator.valid(schema["if"], value) else "else"
    return validator.valid(schema.get(branch, True), value)


def check_dependent(validator, schema, value):
    return all(validator.valid(one, value) for key, one in schema["dependentSchemas"].items() if key in value)


def only(kind, check):
    """A keyword that says something of one type only."""
    return lambda validator, schema, value: not kind(value) or check(validator, schema, value)


def matching(validator, schemas, value):
    return (True for one in schemas if validator.valid(one, value))


an_object, an_array, a_string = TYPES["object"], TYPES["array"], TYPES["string"]
CHECKS = {
    "type": check_type,
    "enum": lambda _, schema, value: any(same(value, one) for one in schema["enum"]),
    "const": lambda _, schema, value: same(value, schema["const"]),
    "$ref": lambda validator, schema, value: validator.valid(validator.resolve(schema["$ref"]), value),
    "oneOf": lambda validator, schema, value: sum(matching(validator, schema["oneOf"], value)) == 1,
    "anyOf": lambda validator, schema, value: any(matching(validator, schema["anyOf"], value)),
    "allOf": lambda validator, schema, value: all(validator.valid(one, value) for one in schema["allOf"]),
    "not": lambda validator, schema, value: not validator.valid(schema["not"], value),
    "if": check_if,
    "then": lambda *_: True,
    "else": lambda *_: True,
    "required": only(an_object, lambda _, schema, value: all(key in value for key in schema["required"])),
    "properties": only(an_object, check_properties),
    "additionalProperties": only(an_object, check_additional),
    "minProperties": only(an_object, lambda _, schema, value: len(value) >= schema["minProperties"]),
    "maxProperties": only(an_object, lambda _, schema, value: len(value) <= schema["maxProperties"]),
    "dependentRequired": only(
        an_object,
        lambda _, schema, value: all(
            other in value for key, others in schema["dependentRequired"].items() if key in value for other in others
        ),
    ),
    "dependentSchemas": only(an_object, check_dependent),
    "items": only(an_array, check_items),
    "prefixItems": only(an_array, check_prefix),
    "contains": only(
        an_array, lambda validator, schema, value: any(validator.valid(schema["contains"], item) for item in value)
    ),
    "minItems": only(an_array, lambda _, schema, value: len(value) >= schema["minItems"]),
    "maxItems": only(an_array, lambda _, schema, value: len(value) <= schema["maxItems"]),
    "minLength": only(a_string, lambda _, schema, value: len(value) >= schema["minLength"]),
    "maxLength": only(a_string, lambda _, schema, value: len(value) <= schema["maxLength"]),
    "pattern": only(a_string, lambda _, schema, value: pattern(schema["pattern"]).search(value) is not None),
    "minimum": only(is_number, lambda _, schema, value: value >= schema["minimum"]),
    "maximum": only(is_number, lambda _, schema, value: value <= schema["maximum"]),
    "exclusiveMinimum": only(is_number, lambda _, schema, value: value > schema["exclusiveMinimum"]),
    "exclusiveMaximum": only(is_number, lambda _, schema, value: value < schema["exclusiveMaximum"]),
    "multipleOf": only(is_number, lambda _, schema, value: value % schema["multipleOf"] == 0),
}
RECURSIVE = {"$ref", "oneOf", "anyOf", "allOf", "not", "if", "properties", "items", "prefixItems", "contains"}
RECURSIVE |= {"dependentSchemas"}
