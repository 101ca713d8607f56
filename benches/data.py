"""The data of the benchmark: events of one year, in the order in which they happen, as a CSV file.

Usage: data.py FILE EVENTS

One customer for every eleven events (1.8 million of 20 million); how active each is follows a skewed distribution. Five
types (view 62 %, click 20 %, cart 11 %, purchase 5 %, signup 2 %) and five properties. Everything follows from the seed.
The columns: customer_id, event_type, occurred_at, price, brand, productId, category, quantity.
"""

import sys

import duckdb

SEED = 0.25
TYPES = "CASE WHEN t < 0.62 THEN 'view' WHEN t < 0.82 THEN 'click' WHEN t < 0.93 THEN 'cart' WHEN t < 0.98 THEN 'purchase' ELSE 'signup' END"


def generate(path, events):
    customers = max(10, events // 11)
    # One thread: with more, which random number goes to which row would change from run to run.
    base = duckdb.connect(config={"threads": 1})
    base.execute(f"SELECT setseed({SEED})")
    base.execute(
        f"""
        COPY (
            SELECT 'cust-' || lpad(cast(floor(power(c, 1.6) * {customers}) AS bigint)::varchar, 8, '0') AS customer_id,
                   {TYPES} AS event_type,
                   strftime(TIMESTAMP '2025-11-01' + to_microseconds(
                       cast((i + u) * (365 * 86400000000.0 / {events}) AS bigint)), '%Y-%m-%d %H:%M:%S.%f') || '+00' AS occurred_at,
                   round(power(p, 3) * 2000, 2)::decimal(8, 2) AS price,
                   'brand' || cast(floor(power(b, 2) * 200) AS integer) AS brand,
                   'p' || cast(floor(power(r, 2) * 50000) AS integer) AS "productId",
                   'category' || cast(floor(g * 20) AS integer) AS category,
                   1 + cast(floor(q * q * 5) AS integer) AS quantity
            FROM (SELECT i, random() AS c, random() AS t, random() AS u, random() AS p, random() AS b, random() AS r,
                         random() AS g, random() AS q
                  FROM range({events}) AS x (i))
        ) TO '{path}' (FORMAT csv, HEADER true)
        """
    )


if __name__ == "__main__":
    generate(sys.argv[1], int(sys.argv[2]))
