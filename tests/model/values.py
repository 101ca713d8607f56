"""JSON values as the rule language compares them: exact numbers, property paths, simple lower-casing."""

import json
import re
import sys
from decimal import Decimal
from fractions import Fraction

sys.set_int_max_str_digits(0)  # a number of a rule may have 5,000 digits, Python stops at 4,300


def loads(text):
    """JSON with every number an exact Decimal."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def dumps(value):
    """JSON that writes a Decimal as it is, so that 100.10 stays 100.10."""
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(dumps(item) for item in value) + "]"
    return "{" + ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {dumps(item)}" for key, item in value.items()) + "}"


NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
EXPONENT_LIMIT = 5000


def is_number(value):
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def numeric(value):
    """The numeric value of a JSON number or of a string that is wholly one; None when there is none."""
    if is_number(value):
        return Fraction(value)
    match = NUMBER.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    whole, fraction, exponent = match[2], match[3] or "", int(match[4] or 0)
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Fraction(0)
    if abs(len(digits) - 1 - len(fraction) + exponent) > EXPONENT_LIMIT:
        return None
    magnitude = int(digits) * Fraction(10) ** (exponent - len(fraction))
    return -magnitude if match[1] else magnitude


def shortest_decimal(number):
    """A number written plainly, with no digit that could be left out."""
    value = Decimal(number)
    if value == 0:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def simple_lower(text):
    """Unicode's simple lower-case mapping of each code point; İ is the only one whose full mapping differs."""
    return "".join("i" if char == "İ" else char.lower() for char in text)


def equals(found, value, ignore_case=False):
    """`eq`: the value's JSON type decides how; arrays and objects (of a `ref`) equal nothing."""
    if isinstance(value, bool):
        return isinstance(found, bool) and found == value
    if is_number(value):
        number = numeric(found)
        return number is not None and number == Fraction(value)
    if isinstance(value, str):
        if not isinstance(found, str):
            return False
        return simple_lower(found) == simple_lower(value) if ignore_case else found == value
    return False


def order(found, value):
    """-1, 0 or 1 as the found value is below, equal to or above a number or string; None when not comparable."""
    if is_number(value):
        left, right = numeric(found), Fraction(value)
        if left is None:
            return None
    else:
        if not isinstance(found, str):
            return None
        left, right = found.encode(), value.encode()
    return (left > right) - (left < right)


def path_steps(path):
    """A property path as (key, how many [] follow); `"."` is the value itself, within `element`."""
    if path == ".":
        return []
    if isinstance(path, list):
        return [(key, 0) for key in path]
    steps = []
    for part in path.split("."):
        key = part
        while key.endswith("[]"):
            key = key[:-2]
        if not key:
            raise ValueError(f"empty key in {path!r}")
        steps.append((key, (len(part) - len(key)) // 2))
    return steps


def found_at(data, path):
    """Every value at a path: none or one, or one for each element where the path goes through []."""
    values = [data]
    for key, brackets in path_steps(path):
        values = [value[key] for value in values if isinstance(value, dict) and key in value]
        for _ in range(brackets):
            values = [element for value in values if isinstance(value, list) for element in value]
    return [value for value in values if value is not None]
