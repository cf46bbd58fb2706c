#!/usr/bin/env python3
"""Kills muster at every point of a run that changes something, and sees whether `muster cleanup` leaves the platform as it was.

    deaths.py PROGRAM [--at-most N] [--seed S] [--within SECONDS] [--part K/N] [--jobs N] [FILTER...]

A point is the n-th call of one of three kinds in a run of one case: `fdatasync` (a record of the journal is written and not
yet durable), `writev` (a request is about to be sent), `recvfrom` (an answer is there and was not read). strace sends
SIGKILL at that very call. Then `muster cleanup` runs, and the whole state of the fakes is compared with what it was
before, but for what operations declare to stay. Without --at-most every point of every chosen case is tried, and it
is an error if the time does not suffice. --part takes every N-th case, from the K-th on. Of a case for several members the
first is taken. A disruptive case sends and reads as long as its probes do, so of those two kinds some points are drawn.
--jobs says how many die at once, each on fakes of its own: cleanup waits for what the dead may still bring about.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import pathlib
import queue
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

CALLS = ("fdatasync", "writev", "recvfrom")
# What operations declare to stay (`leaves:` in operations.yaml): whole tables of codes and of notes, and of other tables what
# was deleted or cancelled.
NOTES = {"signup", "store"}
KEPT_WHEN_GONE = {"customers", "namespaces", "invite", "subscriptions"}
TENANTS_RESIDUE = {"posts", "tags"}
# So many points of a disruptive case are drawn, of each kind but `fdatasync`.
DRAWN = 15
# What the fakes do of their own accord, such as the end of a pod, may take so many seconds after muster has ended.
SETTLES = 10
# What is counted rather than kept.
COUNTED = ("mails", "events", "registry")

Case = collections.namedtuple("Case", "name is_disruptive")
Point = collections.namedtuple("Point", "case call number")
Death = collections.namedtuple("Death", "point trouble is_dead is_restored")


def is_gone(record):
    """Whether the platform keeps this of what was deleted, cancelled, or counted."""
    is_deleted = "deleted" in (record.get("status"), record.get("Status")) or record.get("Deleted")
    return bool(not record or is_deleted or record.get("expires"))


def set_paths(settings):
    """Settings without the maps above paths that are not set any more."""
    if not isinstance(settings, dict):
        return settings
    kept = {name: set_paths(setting) for name, setting in settings.items()}
    return {name: setting for name, setting in kept.items() if setting != {}}


class Bench:
    """Fakes in a process of their own, and muster against them."""

    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.before = None
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
        for table in NOTES:
            micro.pop(table, None)
        for table in KEPT_WHEN_GONE:
            micro[table] = {key: record for key, record in micro.get(table, {}).items() if not is_gone(record)}
        micro["config"] = set_paths(micro.get("config", {}))
        for database, tables in list(state["databases"].items()):
            if database != "micro" and not set(tables) - TENANTS_RESIDUE:
                del state["databases"][database]
        tokens = [key for key in micro.get("auth", {}) if key.startswith("refresh/")]
        for key in tokens:
            del micro["auth"][key]
        return state

    def settled(self, before):
        """The whole state, after it became what it was before or had the time for it."""
        ends = time.monotonic() + SETTLES
        while (state := self.state()) != before and time.monotonic() < ends:
            time.sleep(0.05)
        return state

    def muster(self, command, *further, before=()):
        """Runs muster against the fakes."""
        arguments = [*before, self.program, command, "--target", self.target, "--state-dir", self.folder / "state", *further]
        return subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)

    def run(self, case, before=()):
        """Runs one case."""
        return self.muster("run", "--exact", case, "--allow-disruption", "--report-dir", self.folder / "report", "--seed", "1",
                           before=before)


class Benches:
    """So many benches, each of which does one thing at a time."""

    def __init__(self, program, folder, number):
        folders = [pathlib.Path(folder, str(place)) for place in range(number)]
        for one in folders:
            one.mkdir()
        self.all = []
        try:
            for one in folders:
                self.all.append(Bench(program, one))
        except BaseException:
            self.close()
            raise

    def each(self, work, things):
        """What comes of each of these things on some bench, in their order."""
        idle = queue.SimpleQueue()
        for bench in self.all:
            idle.put(bench)

        def on_a_bench(thing):
            bench = idle.get()
            try:
                return work(bench, thing)
            finally:
                idle.put(bench)

        with concurrent.futures.ThreadPoolExecutor(len(self.all)) as pool:
            return list(pool.map(on_a_bench, things))

    def close(self):
        """Ends their fakes."""
        for bench in self.all:
            bench.fakes.terminate()
            bench.fakes.wait()


def calls(bench, case):
    """How often an undisturbed run of a case makes each call."""
    log = bench.folder / "calls"
    bench.run(case.name, ["strace", "-f", "-o", log, "-e", f"trace={','.join(CALLS)}"])
    return collections.Counter(re.findall(rf"^\d+ +({'|'.join(CALLS)})\(", log.read_text(encoding="utf-8"), re.M))


def points(case, counts, chance):
    """Every point of a case; some of a disruptive one."""
    found = []
    for call in CALLS:
        numbers = range(1, counts[call] + 1)
        if case.is_disruptive and call != "fdatasync":
            numbers = sorted(chance.sample(numbers, min(len(numbers), DRAWN)))
        found += [Point(case.name, call, number) for number in numbers]
    return found


def difference(before, after):
    """The first lines in which two states differ."""
    one, other = (json.dumps(state, indent=1, sort_keys=True).splitlines() for state in (before, after))
    return [line for line in other if line not in set(one)][:6] or [line for line in one if line not in set(other)][:6]


def died(bench, point):
    """What is wrong after a death at a point, None if nothing is; whether it died, and whether something was put back."""
    inject = f"inject={point.call}:signal=KILL:when={point.number}"
    ended = bench.run(point.case, ["strace", "-f", "-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject])
    cleanup = bench.muster("cleanup")
    after = bench.settled(bench.before)
    trouble = None
    if cleanup.returncode != 0:
        trouble = f"cleanup ended in {cleanup.returncode}: {cleanup.stderr.strip()}"
    elif after != bench.before:
        trouble = f"exit {ended.returncode}; left behind: {difference(bench.before, after)}"
    if trouble:
        bench.before = bench.state()
    return Death(point, trouble, ended.returncode in (-9, 137), "is put back" in cleanup.stdout)


def every_case(program, filters):
    """Every case that the filters choose, of those for several members the first; which ones change something is only seen by
    running them."""
    plan = [program, "run", "--dry-run", "--seed", "1", *filters]
    told = subprocess.run(plan, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    found = {}
    for mode, case, member in sorted(re.findall(r"^  ([a-z]+) +[a-z-]+/([a-z0-9-]+)(\[.*\])?$", told, re.M)):
        found.setdefault(case, Case(case + member, mode == "disruptive"))
    return [found[case] for case in sorted(found)]


def all_deaths(benches, cases, chance, asked):
    """How many points these cases have, how many of them were chosen, and what came of a death at each for which there was time."""
    ends = time.monotonic() + asked.within
    counts = benches.each(calls, cases)
    found = [point for case, count in zip(cases, counts) for point in points(case, count, chance)]
    chosen = chance.sample(found, min(len(found), asked.at_most or len(found)))
    for bench in benches.all:
        bench.before = bench.state()
    deaths = benches.each(lambda bench, point: died(bench, point) if time.monotonic() < ends else None, chosen)
    return len(found), len(chosen), [death for death in deaths if death]


def main():
    """Tries the points and tells."""
    reader = argparse.ArgumentParser()
    reader.add_argument("program", type=pathlib.Path)
    reader.add_argument("--at-most", type=int)
    reader.add_argument("--seed", type=int, default=random.randrange(10**6))
    reader.add_argument("--within", type=float, default=1e9)
    reader.add_argument("--part", default="1/1")
    reader.add_argument("--jobs", type=int, default=4)
    reader.add_argument("filters", nargs="*")
    asked = reader.parse_intermixed_args()
    program = asked.program.resolve()
    part, parts = map(int, asked.part.split("/"))
    cases = every_case(program, asked.filters)[part - 1 :: parts]
    chance = random.Random(asked.seed)
    if asked.at_most and not asked.filters:
        cases = chance.sample(cases, min(len(cases), max(4, asked.at_most // 5)))
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Benches(program, folder, asked.jobs)) as benches:
        there, chosen, deaths = all_deaths(benches, cases, chance, asked)
    wrong = [death for death in deaths if death.trouble]
    restored = sum(death.is_restored for death in deaths)
    print(f"{sum(death.is_dead for death in deaths)} deaths at {len(deaths)} of {there} points in {len(cases)} cases, "
          f"seed {asked.seed}: {restored} had something to put back, {len(wrong)} left something")
    for death in wrong:
        print(f"  {death.point.case}: {death.point.call} {death.point.number}: {death.trouble}")
    sys.exit(1 if wrong or not restored or len(deaths) < chosen else 0)


if __name__ == "__main__":
    main()
