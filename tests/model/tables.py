"""Tables beside the events, as section 11 of the rule language reads them."""

from dataclasses import dataclass, field


@dataclass
class Table:
    columns: dict  # name -> SQL type
    rows: list = field(default_factory=list)  # name -> value as to_jsonb gives it, None for NULL


def text_of(sql_type, value):
    """`value::text` of a column's value, under `TimeZone` UTC and `DateStyle` ISO."""
    if sql_type == "boolean":
        return "true" if value else "false"
    if sql_type == "timestamptz":
        return value.replace("T", " ").replace("+00:00", "+00")
    if sql_type in ("bigint", "numeric"):
        return format(value, "f")
    if sql_type in ("text", "date"):
        return value
    raise ValueError(sql_type)
