"""Operators of predicates: their names, and the result of each for one present value."""

import re

from values import equals, is_number, order, simple_lower

ALIASES = {
    "=": "eq",
    "==": "eq",
    "equals": "eq",
    "is": "eq",
    "!=": "neq",
    "<>": "neq",
    "ne": "neq",
    "not_equals": "neq",
    "is_not": "neq",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "greater_than": "gt",
    "greater_than_or_equal": "gte",
    "less_than": "lt",
    "less_than_or_equal": "lte",
    "any_of": "in",
    "none_of": "not_in",
    "matches": "regex",
    "is_set": "exists",
    "is_not_set": "not_exists",
    "birthday_in_the_next": "anniversary_in_the_next",
}

NEGATIONS = {
    "neq": "eq",
    "not_between": "between",
    "not_in": "in",
    "not_contains": "contains",
    "not_starts_with": "starts_with",
    "not_ends_with": "ends_with",
    "not_regex": "regex",
    "not_exists": "exists",
    "contains_none": "contains_any",
}

DATE_OPERATORS = {
    "before",
    "since",
    "on",
    "in_the_last",
    "in_the_next",
    "more_than_ago",
    "anniversary_in_the_next",
    "anniversary_in_the_last",
    "this",
    "previous",
    "next",
    "anniversary_this",
}


def test(operator, found, value, fold):
    """The positive operators that look at a value by itself."""

    def letters(text):
        return simple_lower(text) if fold else text

    if operator == "exists":
        return True
    if operator == "eq":
        return equals(found, value, fold)
    if operator == "in":
        return any(equals(found, one, fold) for one in value)
    if operator in ("gt", "gte", "lt", "lte"):
        sign = order(found, value)
        return sign is not None and {"gt": sign > 0, "gte": sign >= 0, "lt": sign < 0, "lte": sign <= 0}[operator]
    if operator == "between":
        low, high = (order(found, end) for end in value)
        return low is not None and low >= 0 and high <= 0
    if operator == "contains":
        if isinstance(found, list):
            return any(equals(element, value, fold) for element in found)
        return isinstance(found, str) and letters(value) in letters(found)
    if operator in ("contains_any", "contains_all"):
        if not isinstance(found, list):
            return False
        has = [any(equals(element, one) for element in found) for one in value]
        return any(has) if operator == "contains_any" else all(has)
    if operator not in ("starts_with", "ends_with", "regex"):
        raise ValueError(operator)
    if not isinstance(found, str):
        return False
    if operator == "starts_with":
        return letters(found).startswith(letters(value))
    if operator == "ends_with":
        return letters(found).endswith(letters(value))
    return matches(value, found, fold)


def matches(pattern, text, fold):
    """`regex`, for patterns that mean the same to this library but for two differences, which are undone here.

    `$` must not match before a last newline, and without a locale's rules the Turkish İ and ı have no other case.
    """
    if pattern.endswith("$") and not pattern.endswith(r"\$"):
        pattern = pattern[:-1] + r"\Z"
    if fold:
        pattern, text = (part.replace("İ", "\ue000").replace("ı", "\ue001") for part in (pattern, text))
    return re.search(pattern, text, re.IGNORECASE if fold else 0) is not None


def compares(operator, found, other, fold=False):
    """An operator between two properties: the other value's type decides as a written value's would."""
    if operator == "eq":
        return equals(found, other, fold)
    if not (is_number(other) or isinstance(other, str)):
        return False
    return test(operator, found, other, fold)
