#!/usr/bin/env python3
"""Kills muster at every point of a run that changes something, and sees whether `muster cleanup` leaves the platform as it was.

    deaths.py PROGRAM [--at-most N] [--seed S] [--within SECONDS] [--part K/N] [FILTER...]

A point is the n-th call of one of three kinds in a run of one case: `fdatasync` (a record of the journal is written and not
yet durable), `writev` (a request is about to be sent), `recvfrom` (an answer is there and was not read). strace sends
SIGKILL at that very call. Then `muster cleanup` runs, and the whole state of the fakes is compared with what it was
before, but for what operations declare to stay. Without --at-most every point of every chosen case is tried, and it
is an error if the time does not suffice. --part takes every N-th case, from the K-th on.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

CALLS = ("fdatasync", "writev", "recvfrom")
# What operations declare to stay (`leaves:` in operations.yaml), and what is counted rather than kept.
RESIDUE = {"customers", "namespaces", "signup", "store", "invite", "config", "subscriptions"}
TENANTS_RESIDUE = {"posts", "tags"}
COUNTED = ("mails", "events", "registry", "pods")

Point = collections.namedtuple("Point", "case call number")


class Bench:
    """Fakes in a process of their own, and muster against them."""

    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.target = self.folder / "target.yaml"
        self.fakes = subprocess.Popen(
            [program, "fake", "--write", self.target, "--secrets", self.folder / "secrets", "--seed", "1"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.fakes.stderr.readline()
        self.admin = re.search(r"^admin: (\S+)$", self.target.read_text(encoding="utf-8"), re.M).group(1)

    def state(self):
        """The whole state but for declared residue."""
        with urllib.request.urlopen(f"{self.admin}/state") as reply:
            state = json.load(reply)
        for part in COUNTED:
            state.pop(part, None)
        micro = state["databases"]["micro"]
        for table in RESIDUE:
            micro.pop(table, None)
        for database, tables in list(state["databases"].items()):
            if database != "micro" and not set(tables) - TENANTS_RESIDUE:
                del state["databases"][database]
        tokens = [key for key in micro.get("auth", {}) if key.startswith("refresh/")]
        for key in tokens:
            del micro["auth"][key]
        return state

    def muster(self, command, *further, before=()):
        """Runs muster against the fakes."""
        arguments = [*before, self.program, command, "--target", self.target, "--state-dir", self.folder / "state", *further]
        return subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)

    def run(self, case, before=()):
        """Runs one case."""
        return self.muster("run", "--exact", case, "--report-dir", self.folder / "report", "--seed", "1", before=before)


def points(bench, cases):
    """Every point of these cases: how often each call is made in an undisturbed run."""
    log = bench.folder / "calls"
    found = []
    for case in cases:
        bench.run(case, ["strace", "-f", "-o", log, "-e", f"trace={','.join(CALLS)}"])
        counts = collections.Counter(re.findall(rf"^\d+ +({'|'.join(CALLS)})\(", log.read_text(encoding="utf-8"), re.M))
        found += [Point(case, call, number + 1) for call in CALLS for number in range(counts[call])]
    return found


def difference(before, after):
    """The first lines in which two states differ."""
    one, other = (json.dumps(state, indent=1, sort_keys=True).splitlines() for state in (before, after))
    return [line for line in other if line not in set(one)][:6] or [line for line in one if line not in set(other)][:6]


def died(bench, point, before):
    """What is wrong after a death at a point, None if nothing is; whether it died, and whether something was put back."""
    inject = f"inject={point.call}:signal=KILL:when={point.number}"
    ended = bench.run(point.case, ["strace", "-f", "-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject])
    cleanup = bench.muster("cleanup")
    after = bench.state()
    trouble = None
    if cleanup.returncode != 0:
        trouble = f"cleanup ended in {cleanup.returncode}: {cleanup.stderr.strip()}"
    elif after != before:
        trouble = f"exit {ended.returncode}; left behind: {difference(before, after)}"
    return trouble, ended.returncode in (-9, 137), "is put back" in cleanup.stdout


def writing_cases(program, filters):
    """The ids of cases that change something: those whose journal would not stay empty are not told by `list`, so all
    that are not disruptive, `alone` ones included."""
    told = subprocess.run([program, "list", *filters], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    lines = [line for line in told.splitlines() if line and not line.startswith(" ") and "/" in line]
    return [re.split(r"[\s\[(]", line.split("/", 1)[1])[0] for line in lines if "disruptive" not in line and "[" not in line]


def main():
    """Tries the points and tells."""
    reader = argparse.ArgumentParser()
    reader.add_argument("program", type=pathlib.Path)
    reader.add_argument("--at-most", type=int)
    reader.add_argument("--seed", type=int, default=random.randrange(10**6))
    reader.add_argument("--within", type=float, default=1e9)
    reader.add_argument("--part", default="1/1")
    reader.add_argument("filters", nargs="*")
    asked = reader.parse_args()
    program = asked.program.resolve()
    part, parts = map(int, asked.part.split("/"))
    cases = writing_cases(program, asked.filters)[part - 1 :: parts]
    chance = random.Random(asked.seed)
    if asked.at_most and not asked.filters:
        cases = chance.sample(cases, min(len(cases), max(4, asked.at_most // 5)))
    wrong, tried, dead, restored, began = [], 0, 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(program, folder)
        try:
            all_points = points(bench, cases)
            chosen = chance.sample(all_points, min(len(all_points), asked.at_most or len(all_points)))
            before = bench.state()
            for point in chosen:
                if time.monotonic() - began > asked.within:
                    break
                tried += 1
                trouble, is_dead, is_restored = died(bench, point, before)
                dead, restored = dead + is_dead, restored + is_restored
                if trouble:
                    wrong.append((point, trouble))
                    before = bench.state()
        finally:
            bench.fakes.terminate()
            bench.fakes.wait()
    print(f"{dead} deaths at {tried} of {len(all_points)} points in {len(cases)} cases, seed {asked.seed}: "
          f"{restored} had something to put back, {len(wrong)} left something")
    for point, trouble in wrong:
        print(f"  {point.case}: {point.call} {point.number}: {trouble}")
    sys.exit(1 if wrong or not restored or tried < len(chosen) else 0)


if __name__ == "__main__":
    main()
