"""Random tables beside the events, and the SQL that makes them."""

from decimal import Decimal

from psql_session import copy_field
from tables import Table
from values import dumps

COLUMNS = {
    "id": "text",
    "who": "text",
    "price": "numeric",
    "n": "bigint",
    "flag": "boolean",
    "day": "date",
    "seen": "timestamptz",
    "more": "jsonb",
    "Odd Name": "text",
}
NAMES = ("shop.product", 'shop."Odd Table"', "shop.view_of_product", "shop.empty")
MAKE = """DROP SCHEMA IF EXISTS shop CASCADE;
CREATE SCHEMA shop;
CREATE TABLE shop.product ({columns});
CREATE TABLE shop."Odd Table" ({columns}) PARTITION BY LIST (flag);
CREATE TABLE shop.part_1 PARTITION OF shop."Odd Table" FOR VALUES IN (true);
CREATE TABLE shop.part_2 PARTITION OF shop."Odd Table" DEFAULT;
CREATE TABLE shop.empty ({columns});
CREATE VIEW shop.view_of_product AS SELECT * FROM shop.product WHERE flag;"""


def make_tables(pools, customers):
    rng = pools.rng
    product, odd = Table(COLUMNS), Table(COLUMNS)
    for table in (product, odd):
        for _ in range(rng.randrange(1, 12)):
            table.rows.append(row(pools, customers))
    view = Table(COLUMNS, [row for row in product.rows if row["flag"]])
    return dict(zip(NAMES, (product, odd, view, Table(COLUMNS)), strict=True))


def row(pools, customers):
    rng = pools.rng
    made = {
        "id": pools.string(),
        "who": rng.choice((*customers, "nobody", pools.string())) if customers else "nobody",
        "price": pools.number(),
        "n": Decimal(rng.choice((0, 1, 2, 10, 9007199254740993, -1))),
        "flag": rng.choice((True, False)),
        "day": rng.choice(("2024-02-29", "2024-03-10", "2024-03-31", "2024-10-27", "2026-01-01", "0001-01-01")),
        "seen": rng.choice(("2024-03-10T07:00:00+00:00", "2011-12-30T10:00:00+00:00", "2024-03-31T01:00:00.5+00:00")),
        "more": pools.anything() if rng.random() < 0.5 else (pools.cart()["items"] or {"sku": pools.string()}),
        "Odd Name": pools.string(),
    }
    return {column: None if rng.random() < 0.1 else value for column, value in made.items()}


def table_script(tables):
    """SQL that makes the tables, for psql."""
    if not tables:
        return ""
    columns = ", ".join(f'"{name}" {sql_type}' for name, sql_type in COLUMNS.items())
    lines = [MAKE.format(columns=columns)]
    for name in NAMES[:2]:
        lines.append(f"COPY {name} FROM STDIN;")
        for one in tables[name].rows:
            lines.append("\t".join(field(value, COLUMNS[column]) for column, value in one.items()))
        lines.append("\\.")
    return "\n".join(lines)


def field(value, sql_type):
    if value is None:
        return "\\N"
    return copy_field(value if isinstance(value, str) and sql_type != "jsonb" else dumps(value))
