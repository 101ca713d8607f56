"""Predicates: what a rule asks of one document, be it an event's data, a profile, an element or a row.

A scope holds what `ref` may name beside the document itself: "profile", "event", "element", "row" and the names of
the steps of a sequence, each with its document.
"""

from operators import ALIASES, DATE_OPERATORS, NEGATIONS, compares, test
from tables import text_of
from values import equals, found_at
from windows import date_operator


class Predicates:
    """The part of a snapshot that answers predicates; it has `as_of`, `zone` and `tables`."""

    def where(self, predicates, document, scope):
        """Whether all of one predicate or a list of them hold."""
        if isinstance(predicates, dict):
            predicates = [predicates]
        return all(self.predicate(predicate, document, scope) for predicate in predicates)

    def predicate(self, predicate, document, scope):
        if "and" in predicate:
            return all(self.predicate(part, document, scope) for part in predicate["and"])
        if "or" in predicate:
            return any(self.predicate(part, document, scope) for part in predicate["or"])
        if "not" in predicate:
            return not self.predicate(predicate["not"], document, scope)
        if "element" in predicate:
            return self.element(predicate["element"], predicate["where"], document, scope)
        operator = predicate["operator"]
        fold = predicate.get("ignore_case", False)
        if operator == "icontains":
            operator, fold = "contains", True
        operator = ALIASES.get(operator, operator)
        positive = NEGATIONS.get(operator, operator)
        found = found_at(document, predicate["property"])
        if "ref" in predicate:
            others = referred(predicate["ref"], scope)
            holds = any(self.compares(positive, value, other, fold) for value in found for other in others)
        elif "rows" in predicate:
            listed = self.rows(predicate["rows"])
            holds = any(equals(value, one, fold) for value in found for _, one in listed)
        else:
            holds = any(self.test(positive, value, predicate.get("value"), fold) for value in found)
        return holds == (positive == operator)

    def element(self, path, where, document, scope):
        """Whether one element of the array, or of one of the arrays, satisfies all."""
        arrays = [value for value in found_at(document, path) if isinstance(value, list)]
        elements = [element for array in arrays for element in array if element is not None]
        return any(self.where(where, element, {**scope, "element": element}) for element in elements)

    def test(self, operator, found, value, fold):
        """A positive operator on one present value."""
        if operator in DATE_OPERATORS:
            return date_operator(operator, value, found, self.as_of, self.zone)
        return test(operator, found, value, fold)

    def compares(self, operator, found, other, fold):
        """A positive operator between two present values."""
        if operator in DATE_OPERATORS:
            return date_operator(operator, other, found, self.as_of, self.zone)
        return compares(operator, found, other, fold)

    def rows(self, rows):
        """The pairs (SQL type, value as to_jsonb gives it) of a table's column over the rows that satisfy `where`."""
        table, column = self.tables[rows["table"]], rows["column"]
        chosen = [row for row in table.rows if self.where(rows.get("where", []), row, {"row": row})]
        return [(table.columns[column], row[column]) for row in chosen if row[column] is not None]

    def customer_in(self, rows, customer):
        return customer in {text_of(sql_type, value) for sql_type, value in self.rows(rows)}


def referred(ref, scope):
    """The present values that `ref` names: a name, then a path; `"element"` alone is the element itself."""
    if isinstance(ref, list):
        name, path = ref[0], ref[1:]
    else:
        name, _, path = ref.partition(".")
    return found_at(scope[name], path or ".")
