"""Compares two outputs of snapshot.sql: that of an upgraded extension with that of a fresh one of the same version.

    compare.py UPGRADED FRESH

Names every object that differs, and what of it; exit status 1 if any does.
"""

import difflib
import re
import sys

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def unescape(field):
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), field)


def read(path):
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            thing, facet, value = map(unescape, line.rstrip("\n").split("\t"))
            found.setdefault(thing, {}).setdefault(facet, []).append(value)
    return found


def main():
    upgraded, fresh = map(read, sys.argv[1:])
    if len(fresh) < 300:
        sys.exit(f"the fresh extension has {len(fresh)} objects and parts only: the comparison compares nothing")
    problems = [f"missing after the upgrade: {thing}" for thing in sorted(fresh.keys() - upgraded.keys())]
    problems += [f"left by the upgrade, not in a fresh one: {thing}" for thing in sorted(upgraded.keys() - fresh.keys())]
    for thing in sorted(fresh.keys() & upgraded.keys()):
        for facet in sorted(fresh[thing].keys() | upgraded[thing].keys()):
            old, new = ("\n".join(where[thing].get(facet, ["(none)"])) for where in (upgraded, fresh))
            if old != new:
                difference = difflib.unified_diff(old.split("\n"), new.split("\n"), "upgraded", "fresh", lineterm="", n=1)
                problems.append("\n    ".join([f"differs: {thing}: {facet}", *difference]))
    if problems:
        print("\n".join(problems))
        sys.exit("The upgrade script does not make what the install script makes. Functions, views, comments and new objects come by "
                 "themselves; alter tables, indexes and triggers, and drop what is gone, in sql/upgrade/, above the line -- @changes@.")
    print(f"{len(fresh)} objects and parts are the same")


main()
