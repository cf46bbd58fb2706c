#!/usr/bin/env python3
"""Tells in one line how long the kills of a run took, from its record.

    figures.py REPORT-FOLDER

Wanted: the whole within 1.1 × (the pods' own recoveries + the steady windows) + 0.5 s for each kill, and each of the 24 pods
of core and of the run list among the killed. Ends in 1 if one of the two is not so.
"""

import json
import pathlib
import re
import sys

# Before and after each kill nothing may fail for so long (`stable_for` of the suites, in seconds).
STEADY_S = 1.0
# The 11 pods of core and the 13 of the run list, each with a case of its own.
PODS = 24
POD = re.compile(r"(?:core|service)-pod-comes-back\[(.+)\]")


def events(folder):
    """The events of a run, each as its kind and its content."""
    for line in (pathlib.Path(folder) / "run.jsonl").read_text(encoding="utf-8").splitlines():
        yield next(iter(json.loads(line)["event"].items()))


def main():
    """Prints the line, and what is not as it is wanted."""
    recoveries, took, pods = [], 0.0, set()
    for kind, content in events(sys.argv[1]):
        if kind == "recovered":
            clocks = [content[clock] for clock in ("ready_us", "served_us", "registry_us")]
            recoveries.append(max((clock for clock in clocks if clock is not None), default=0) / 1e6)
            pods.update(POD.findall(content["case"]))
        if kind == "step-ended" and content["step"].startswith("disrupt"):
            took += content["took_us"] / 1e6
    if not recoveries:
        sys.exit("no pod was killed")
    kills, own = len(recoveries), sum(recoveries)
    wanted = 1.1 * (own + 2 * STEADY_S * kills) + 0.5 * kills
    print(f"{kills} kills, {len(pods)} pods of core and run list, in {took:.1f} s (wanted at most {wanted:.1f} s); recoveries {own:.1f} s, "
          f"longest {max(recoveries):.2f} s; the runbook waits 120 s for each: {120 * kills} s")
    if took > wanted or len(pods) != PODS:
        sys.exit(f"wanted {PODS} pods within {wanted:.1f} s")


if __name__ == "__main__":
    main()
