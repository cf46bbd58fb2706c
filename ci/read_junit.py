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


def is_told(summary):
    """Whether the verdicts of the cases say by themselves how the run ended."""
    totals = summary["totals"]
    undecided = totals["inconclusive"] + totals["not_run"]
    return {"passed": True, "failed": totals["failed"] > 0, "undecided": undecided > 0}.get(summary["ending"], False)


def expected(summary):
    """The same counts, from summary.json: an ending that no case tells is a case of its own."""
    totals, own = summary["totals"], 0 if is_told(summary) else 1
    return {
        "tests": totals["planned"] + own,
        "failures": totals["failed"],
        "errors": totals["inconclusive"] + totals["not_run"] + own,
        "skipped": totals["skipped"] + totals["known"],
    }


def ending(root, summary):
    """Every suite that does not name the ending and the exit code of summary.json."""
    for suite in root.iter("testsuite"):
        named = {it.get("name"): it.get("value") for it in suite.iter("property")}
        found, wanted = (named.get("ending"), named.get("exit-code")), (summary["ending"], str(summary["exit_code"]))
        if found != wanted:
            yield f"testsuite {suite.get('name')}: wanted ending and exit code {wanted}, found {found}"


def differences(root, summary):
    """Every count that is not what another says it is, and every case with more than one outcome."""
    totals = summary["totals"]
    yield from ending(root, summary)
    everything = list(root.iter("testcase"))
    yield from compared("testsuites", stated(root), counted(everything))
    yield from compared("summary.json", expected(summary), counted(everything))
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
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    found = list(differences(root, summary))
    print("\n".join(found) or f"{summary['totals']['planned']} cases, every count agrees")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
