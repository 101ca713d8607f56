"""Writes the figures of a run as a page and as a picture.

Usage: report.py DIRECTORY PAGE.md PICTURE.svg
The directory has results.json of engine.py and, once writing was measured too, ingest.json.
"""

import contextlib
import io
import json
import math
import sys
from importlib.metadata import version
from pathlib import Path

from engine import report

COLOURS = {"kursaha_cohort": "#0b6e4f", "DuckDB": "#e0a526", "ClickHouse": "#c8553d", "plain SQL": "#7a8ca3"}
WIDTH, LEFT, ROW, BAR = 860, 250, 74, 14


def picture(results):
    """Bars on a logarithmic scale, one group a question."""
    queries = results["queries"]
    low, high = 0.2, max(row[name] for row in queries.values() for name in COLOURS) * 1.3
    scale = (WIDTH - LEFT - 90) / (math.log10(high) - math.log10(low))
    place = lambda value: LEFT + (math.log10(max(value, low)) - math.log10(low)) * scale
    height = 70 + ROW * len(queries)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{results["events"]:,} events: milliseconds per query '
        "(logarithmic; shorter is better)</text>",
    ]
    for number, (name, colour) in enumerate(COLOURS.items()):
        x = 12 + number * 150
        parts.append(f'<rect x="{x}" y="34" width="12" height="12" fill="{colour}"/><text x="{x + 17}" y="45">{name}</text>')
    power = 0
    while 10**power < high:
        x = place(10**power)
        parts.append(f'<line x1="{x:.1f}" y1="56" x2="{x:.1f}" y2="{height - 8}" stroke="#ddd"/>')
        parts.append(f'<text x="{x + 3:.1f}" y="{height - 10}" fill="#999" font-size="10">{10**power:,} ms</text>')
        power += 1
    for number, (name, row) in enumerate(queries.items()):
        top = 62 + number * ROW
        parts.append(f'<text x="12" y="{top + 20}" font-weight="bold">{name}</text>')
        words, line, lines = row["words"].replace("<", "&lt;").replace(">=", "≥").replace(">", "&gt;").split(), "", []
        for word in words:
            if len(line) + len(word) > 34:
                lines.append(line)
                line = ""
            line = f"{line} {word}".strip()
        for place_, text in enumerate([*lines, line]):
            parts.append(f'<text x="40" y="{top + 20 + place_ * 14}" font-size="11" fill="#444">{text}</text>')
        for bar, (peer, colour) in enumerate(COLOURS.items()):
            y, end = top + bar * (BAR + 2), place(row[peer])
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{max(end - LEFT, 1):.1f}" height="{BAR}" fill="{colour}"/>')
            parts.append(f'<text x="{end + 4:.1f}" y="{y + 11}" font-size="10" fill="#333">{row[peer]:,.1f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main():
    directory = Path(sys.argv[1])
    results = json.loads((directory / "results.json").read_text())
    ingest = directory / "ingest.json"
    results.update(json.loads(ingest.read_text()) if ingest.exists() else {})
    table = io.StringIO()
    with contextlib.redirect_stdout(table):
        report(results)
    duckdb, chdb = version("duckdb"), version("chdb")
    page = f"""# The benchmark

`make bench` generates the events from a fixed seed, loads them into the extension and the other databases, checks that all return the same
counts, and measures the times. The table below is one run on a shared machine with two cores; the ratios are more stable than the times.

* DuckDB {duckdb} and ClickHouse (chdb {chdb}) use both cores, each in a separate process that is stopped while another one is measured.
* In DuckDB and ClickHouse the customer is an integer, event types are enumerated, properties are typed columns, and rows are sorted by
  type, customer and time. Plain SQL uses such a table with two covering indexes.
* The extension uses one backend of PostgreSQL with 5 GB of shared buffers; its library is preloaded.
* Every query runs once before it is measured. Fast queries run up to a hundred times, slow ones fewer than seven times.
* *new* is the first evaluation of a backend, *tail* the time with unsealed events, *MB* the growth of the backend's memory so far.

```
{table.getvalue().strip()}
```

![bar chart of the same times](benchmark.svg)
"""
    # The text below the table is written by hand: keep it.
    target = Path(sys.argv[2])
    _, found, words = (target.read_text() if target.exists() else "").partition("\n## ")
    target.write_text(page + found + words)
    Path(sys.argv[3]).write_text(picture(results))


if __name__ == "__main__":
    main()
