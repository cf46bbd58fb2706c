#!/usr/bin/env python3
"""Compares what a reader found in junit.xml with what muster says of the run in summary.json.

    compared.py SUMMARY.json FOUND      ends in 1, and tells each difference

A reader prints its sums, then one line for each case that did not pass: word, name, and message after a tab. The message
must be that of one of the case's failures, with U+FFFD for what XML cannot hold, on one line, of 200 characters at most.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import read_junit

WORDS = {"fail": "failure", "inconclusive": "error", "not run": "error", "skip": "skipped", "known": "skipped"}


def one_line(text):
    """A message as every reader should show it; a break inside `]]>` is nothing that can be seen."""
    is_allowed = lambda c: c >= " " and c != "\x7f" and not "\ufffe" <= c <= "\uffff"  # noqa: E731
    kept = "".join(c if is_allowed(c) else "\ufffd" for c in " ".join(text.split()))
    return " ".join(kept.replace("\u200b", "").split())[:190]


def expected(summary):
    """The sums, and for each case that did not pass the messages that may be shown; none where any may."""
    counts = read_junit.expected(summary)
    sums = " ".join(f"{name}={count}" for name, count in counts.items())
    cases = {} if read_junit.is_told(summary) else {"error the run": set()}
    for case in summary["cases"]:
        word = WORDS.get(case["outcome"])
        messages = {one_line(failure["message"]) for failure in case["failures"]} if word in ("failure", "error") else set()
        if case["outcome"] == "not run" and summary["stopped_by"]:
            messages = {one_line(f"not run to its end: the run was stopped early: {summary['stopped_by']}")}
        if word:
            cases[f"{word} {case['case']}"] = messages
    return sums, cases


def main():
    """Tells every difference."""
    with open(sys.argv[1], encoding="utf-8") as opened:
        sums, cases = expected(json.load(opened))
    with open(sys.argv[2], encoding="utf-8") as opened:
        found_sums, *lines = opened.read().rstrip("\n").split("\n")
    found = {name: one_line(message) for name, _, message in (line.partition("\t") for line in lines if line)}
    wrong = [] if found_sums == sums else [f"wanted {sums}, found {found_sums}"]
    wrong += [f"not found: {name}" for name in cases if name not in found]
    wrong += [f"made up: {name}" for name in found if name not in cases]
    for name in sorted(set(cases) & set(found)):
        if cases[name] and found[name] not in cases[name] or not found[name]:
            wrong.append(f"{name}: found {found[name]!r}, wanted one of {sorted(cases[name])}")
    print("\n".join(wrong) or f"{sums}, and {len(cases)} messages")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
