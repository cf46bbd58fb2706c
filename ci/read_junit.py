#!/usr/bin/env python3
"""Reads the junit.xml of a report folder with a parser that is not muster's, counts its elements, and compares the
counts with the counts that the file states and with the totals of summary.json. Ends in 1 on any difference."""

import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

OUTCOMES = ("failure", "error", "skipped")


def counted(cases):
    """How many cases there are, and how many hold each kind of element."""
    counts = {"tests": len(cases)}
    for outcome, stated in zip(OUTCOMES, ("failures", "errors", "skipped")):
        counts[stated] = sum(case.find(outcome) is not None for case in cases)
    return counts


def stated(element):
    """The counts that an element states of itself."""
    return {name: int(element.get(name, "-1")) for name in ("tests", "failures", "errors", "skipped")}


def expected(totals):
    """The same counts, from summary.json."""
    return {
        "tests": totals["planned"],
        "failures": totals["failed"],
        "errors": totals["inconclusive"] + totals["not_run"],
        "skipped": totals["skipped"] + totals["known"],
    }


def differences(root, totals):
    """Every count that is not what another says it is, and every case with more than one outcome."""
    everything = list(root.iter("testcase"))
    yield from compared("testsuites", stated(root), counted(everything))
    yield from compared("summary.json", expected(totals), counted(everything))
    for suite in root.iter("testsuite"):
        yield from compared(f"testsuite {suite.get('name')}", stated(suite), counted(suite.findall("testcase")))
    for case in everything:
        found = [child.tag for child in case if child.tag in OUTCOMES]
        if len(found) > 1:
            yield f"testcase {case.get('name')}: wanted at most one outcome, found {', '.join(found)}"
    flaky = sum(case.find("flakyFailure") is not None for case in everything)
    if flaky != totals["flaky"]:
        yield f"flaky cases: summary.json says {totals['flaky']}, counted {flaky}"


def compared(place, said, found):
    """One line for each count in which the two differ."""
    for name, count in found.items():
        if said[name] != count:
            yield f"{place}: says {said[name]} {name}, counted {count}"


def main():
    """Reads both files and tells."""
    folder = pathlib.Path(sys.argv[1])
    root = ElementTree.parse(folder / "junit.xml").getroot()
    totals = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["totals"]
    found = list(differences(root, totals))
    print("\n".join(found) or f"{totals['planned']} cases, every count agrees")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
