#!/usr/bin/env python3
"""Prints random valid rules, one a line, for programs that read rules: print_rules.py [SEEDS [RULES]]."""

import sys

from generate import make_case
from values import dumps

if __name__ == "__main__":
    seeds, rules = (int(text) for text in (sys.argv[1:] + ["20", "20"][len(sys.argv) - 1 :]))
    for seed in range(seeds):
        for rule, _ in make_case(f"printed {seed}", rules).checks:
            print(dumps(rule))
