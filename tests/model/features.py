"""The additions to the rule language that the generators may use, by name.

FEATURES in the environment chooses: `all`, some names separated by commas, `none`, or names with a plus to add to those
that the extension has. Without it they are those that the extension has.
"""

import os

ALL = (
    "samples",
    "time",
    "periods",
    "nth",
    "calendar",
    "refs",
    "plurals",
    "sequences",
    "compare",
    "element",
    "rank",
    "groups",
    "rows",
)
LANDED = ALL


def chosen(text=None):
    text = os.environ.get("FEATURES", "") if text is None else text
    if text in ("all", "none"):
        return frozenset(ALL if text == "all" else ())
    names = [name.strip() for name in text.split(",") if name.strip()]
    added = [name.removeprefix("+") for name in names]
    unknown = set(added) - set(ALL)
    if unknown:
        raise SystemExit(f"FEATURES: {', '.join(sorted(unknown))}: not one of {', '.join(ALL)}")
    kept = LANDED if all(name.startswith("+") for name in names) else ()
    return frozenset({*kept, *added})
