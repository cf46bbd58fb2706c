#!/usr/bin/env python3
"""Tells what a reader of junit.xml should find, from the run's summary.json: the sums, then each failure and error with
its kind and the first line of its message."""

import json
import sys


def main():
    """Prints the lines."""
    with open(sys.argv[1], encoding="utf-8") as opened:
        summary = json.load(opened)
    totals = summary["totals"]
    errors = totals["inconclusive"] + totals["not_run"]
    print(f"tests={totals['planned']} failures={totals['failed']} errors={errors} "
          f"skipped={totals['skipped'] + totals['known']}")
    words = {"fail": "failure", "inconclusive": "error", "not run": "error", "skip": "skipped", "known": "skipped"}
    lines = [f"{words[case['outcome']]} {case['case']}" for case in summary["cases"] if case["outcome"] in words]
    print("\n".join(sorted(lines)))


if __name__ == "__main__":
    main()
