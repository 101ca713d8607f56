"""The peers on the same data: DuckDB and ClickHouse (chdb), each in a process of its own, and plain SQL in the same
Postgres as the extension."""

import atexit
import ctypes
import multiprocessing
import os
import re
import signal
import statistics
import subprocess
import time

from queries import peer_sql


class DuckDB:
    name = "DuckDB"

    def __init__(self, csv, path):
        import duckdb

        self.base = duckdb.connect(str(path), config={"threads": 2})
        if not self.base.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'e'").fetchone():
            self.base.execute(
                f"""
                CREATE TYPE kind AS ENUM ('view', 'click', 'cart', 'purchase', 'signup');
                CREATE TABLE e AS
                SELECT cast(substr(customer_id, 6) AS integer) AS customer, cast(event_type AS kind) AS type,
                       cast(occurred_at AS timestamptz) AS happened, cast(price AS decimal(8, 2)) AS price, brand,
                       "productId", category, cast(quantity AS tinyint) AS quantity
                FROM read_csv('{csv}', header = true, all_varchar = true) ORDER BY type, customer, happened
                """
            )
            self.base.execute(
                """
                CREATE TABLE c AS SELECT customer, format('cust-{:08d}', customer) AS id, 'city' || customer * 7919 % 50 AS city
                FROM (SELECT DISTINCT customer FROM e) ORDER BY customer;
                CREATE TABLE o AS
                SELECT customer, happened + INTERVAL 1 SECOND AS happened,
                       [{'product': "productId", 'price': price, 'quantity': quantity},
                        {'product': 'p' || customer % 100, 'price': 1000 - price, 'quantity': cast(1 + customer % 3 AS tinyint)}] AS items
                FROM e WHERE type = 'purchase' ORDER BY customer
                """
            )
        self.base.execute("SET TimeZone = 'UTC'")

    WORDS = {
        "7 days": "7 DAY",
        "1 days": "1 DAY",
        "90 days": "90 DAY",
        "week": "cast(floor((epoch(happened) + 259200) / 604800) AS bigint)",
        "item": "len([i FOR i IN items IF i.product = 'p77' AND i.price > 500 AND i.quantity >= 2]) > 0",
        "place": "substr(sha256('spring'::blob || '\\x00'::blob || encode(c.id)), 1, 16)",
    }

    def sql(self, template):
        return peer_sql(template, lambda days: f"(TIMESTAMPTZ '2026-11-01 00:00:00+00' - INTERVAL {days} DAY)", self.WORDS)

    def ask(self, template):
        return self.base.execute(self.sql(template)).fetchone()[0]


class ClickHouse:
    name = "ClickHouse"

    def __init__(self, csv, path):
        from chdb import session

        self.session = session.Session(str(path))
        if self.query("EXISTS TABLE bench.e") != "1":
            self.query("CREATE DATABASE IF NOT EXISTS bench")
            self.query("DROP TABLE IF EXISTS bench.e")
            self.query(
                "CREATE TABLE bench.e (customer UInt32, type LowCardinality(String), happened DateTime64(6, 'UTC'), "
                "price Decimal(8, 2), brand LowCardinality(String), productId LowCardinality(String), "
                "category LowCardinality(String), quantity UInt8) ENGINE = MergeTree ORDER BY (type, customer, happened)"
            )
            self.query(
                "INSERT INTO bench.e SELECT toUInt32(substring(customer_id, 6)), event_type, "
                "parseDateTime64BestEffort(occurred_at, 6, 'UTC'), price, brand, productId, category, quantity "
                f"FROM file('{csv}', CSVWithNames, 'customer_id String, event_type String, occurred_at String, "
                "price Decimal(8, 2), brand String, productId String, category String, quantity UInt8')"
            )
            self.query(
                "CREATE TABLE bench.c (customer UInt32, id String, city LowCardinality(String)) ENGINE = MergeTree ORDER BY customer "
                "AS SELECT DISTINCT customer, concat('cust-', leftPad(toString(customer), 8, '0')) AS id, "
                "concat('city', toString(customer * 7919 % 50)) AS city FROM bench.e"
            )
            self.query(
                "CREATE TABLE bench.o (customer UInt32, happened DateTime64(6, 'UTC'), products Array(LowCardinality(String)), "
                "prices Array(Decimal(8, 2)), quantities Array(UInt8)) ENGINE = MergeTree ORDER BY customer "
                "AS SELECT customer, happened + INTERVAL 1 SECOND AS happened, [productId, concat('p', toString(customer % 100))] AS products, "
                "[price, toDecimal64(1000, 2) - price] AS prices, [quantity, 1 + customer % 3] AS quantities FROM bench.e WHERE type = 'purchase'"
            )
            for table in "eco":
                self.query(f"OPTIMIZE TABLE bench.{table} FINAL")

    WORDS = {
        "7 days": "7 DAY",
        "1 days": "1 DAY",
        "90 days": "90 DAY",
        "week": "toInt64(intDiv(toUnixTimestamp(happened) + 259200, 604800))",
        "item": "arrayExists((p, r, q) -> p = 'p77' AND r > 500 AND q >= 2, products, prices, quantities)",
        "place": "lower(substring(hex(SHA256(concat('spring', char(0), c.id))), 1, 16))",
    }

    def query(self, sql):
        return str(self.session.query(sql, "TabSeparated")).strip()

    def ask(self, template):
        sql = peer_sql(
            template, lambda days: f"(toDateTime64('2026-11-01 00:00:00', 6, 'UTC') - INTERVAL {days} DAY)", self.WORDS
        )
        sql = re.sub(r"\b(FROM|JOIN) ([eco]) ", r"\1 bench.\2 ", sql).replace("bench.c ON", "bench.c AS c ON")
        sql = sql.replace("EXCEPT SELECT", "EXCEPT DISTINCT SELECT").replace("INTERSECT SELECT", "INTERSECT DISTINCT SELECT")
        return int(self.query(sql + " SETTINGS max_threads = 2"))


class PlainSQL:
    name = "plain SQL"

    def __init__(self, psql):
        self.psql = psql
        if psql("SELECT to_regclass('e') IS NOT NULL") != "t":
            psql(
                """
                CREATE TYPE kind AS ENUM ('view', 'click', 'cart', 'purchase', 'signup');
                CREATE TABLE e AS
                SELECT cast(substr(customer_id, 6) AS integer) AS customer, event_type::kind AS type, occurred_at AS happened,
                       price, brand, "productId", category, quantity
                FROM plain ORDER BY 2, 1, 3;
                CREATE INDEX ON e (type, customer, happened) INCLUDE (price, brand);
                CREATE INDEX ON e (type, happened) INCLUDE (customer, price, brand);
                CREATE TABLE c AS SELECT customer, 'cust-' || lpad(customer::text, 8, '0') AS id, 'city' || customer::bigint * 7919 % 50 AS city
                FROM (SELECT DISTINCT customer FROM e) x;
                CREATE UNIQUE INDEX ON c (customer) INCLUDE (city, id);
                CREATE TABLE o AS SELECT cast(substr(customer_id, 6) AS integer) AS customer, occurred_at AS happened, data -> 'items' AS items
                FROM cohort_event WHERE event_type = 'order';
                VACUUM ANALYZE e, c, o;
                """
            )

    WORDS = {
        "7 days": "'7 days'",
        "1 days": "'1 day'",
        "90 days": "'90 days'",
        "week": "floor((extract(epoch FROM happened) + 259200) / 604800)::bigint",
        "item": """items @? '$[*] ? (@.productId == "p77" && @.price > 500 && @.quantity >= 2)'""",
        "place": r"substr(encode(sha256('spring\000'::bytea || c.id::bytea), 'hex'), 1, 16)",
    }

    def sql(self, template):
        return peer_sql(template, lambda days: f"(timestamptz '2026-11-01 00:00:00+00' - interval '{days} days')", self.WORDS)

    def measure(self, template, runs):
        return self.psql.measure(self.sql(template), runs)


class Apart:
    """A peer in a process that stands still while another one is measured: a server's background threads would take
    the time of whoever is asked next."""

    def __init__(self, kind, *arguments):
        self.name = kind.name
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=serve, args=(theirs, kind, arguments), daemon=True)
        self.process.start()
        atexit.register(self.process.kill)
        theirs.close()
        self.pipe.recv()
        os.kill(self.process.pid, signal.SIGSTOP)

    def measure(self, template, runs):
        os.kill(self.process.pid, signal.SIGCONT)
        self.pipe.send((template, runs))
        found = self.pipe.recv()
        os.kill(self.process.pid, signal.SIGSTOP)
        return found


def serve(pipe, kind, arguments):
    # A process that stands still hears of nothing: it is to end with the one that asks.
    kill_with_parent = 1
    ctypes.CDLL(None).prctl(kill_with_parent, signal.SIGKILL)
    peer = kind(*arguments)
    pipe.send("ready")
    while True:
        template, runs = pipe.recv()
        pipe.send(timed(lambda template=template: clocked(lambda: peer.ask(template)), runs))


def clocked(ask):
    """An answer and the milliseconds that it took."""
    began = time.perf_counter()
    answer = ask()
    return answer, (time.perf_counter() - began) * 1000


def timed(ask, runs):
    """The median time in milliseconds, the answer, and how often it was asked for; `ask` gives an answer and its time.

    The first time does not count. Slow questions are asked fewer times, down to twice in 20 seconds; quick ones more
    often, up to a hundred times in half a second: a moment's noise weighs most with them.
    """
    times, spent = [], 0.0
    ask()
    while len(times) < 2 or (spent < 20_000 if len(times) < runs else spent < 500 and len(times) < 100):
        answer, took = ask()
        times.append(took)
        spent += took
    return statistics.median(times), answer, len(times)


class Psql:
    """One backend. Statements are timed by psql, as `\\timing` shows it: from sending one to having all of its answer."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["psql", "-qXAt", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.process.stdin.write("\\timing on\n")

    def __call__(self, sql):
        self.process.stdin.write(f"{sql.rstrip().rstrip(';')};\n\\echo @@\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) != "@@\n":
            if not line:
                raise SystemExit(f"psql ended at: {sql[:200]}")
            if line.startswith("Time: "):
                self.took = float(line.split()[1])
            else:
                lines.append(line.rstrip("\n"))
        return "\n".join(lines)

    def clocked(self, sql):
        """The answer and the milliseconds that it took."""
        return self(sql), self.took

    def measure(self, sql, runs):
        return timed(lambda: self.clocked(sql), runs)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
