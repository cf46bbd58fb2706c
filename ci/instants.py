#!/usr/bin/env python3
"""Ends muster at random instants, in every way in which a run can be ended, and sees whether the platform is as it was and the
exit code is the right one.

    instants.py PROGRAM [--count N] [--seed S] [--within SECONDS] [FILTER...]

A trial runs one to four cases that may change something, beside each other, and ends them after a random time: by SIGKILL
(then `muster cleanup` runs), SIGTERM, SIGINT, SIGHUP, or by `--timeout`. Then the whole state of the fakes is compared with
what it was before, but for what operations declare to stay. Two trials run at once, each with fakes of its own.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

from deaths import Bench, difference, every_case

# How a run is ended, and what it may say then: it was ended so, or it was over before.
WAYS = {
    "SIGKILL": {-9, 0},
    "SIGTERM": {143, -15, 0},
    "SIGINT": {130, -2, 0},
    "SIGHUP": {129, -1, 0},
    "--timeout": {3, 0},
}
# Fakes keep what they were sent: they are replaced now and then.
TRIALS_PER_FAKE = 100
# Longer than any trial takes undisturbed.
HANG = 120

Trial = collections.namedtuple("Trial", "number way cases after")
Told = collections.namedtuple("Told", "trial trouble code was_ended")


def trials(cases, count, seed):
    """What is tried, the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        way = list(WAYS)[number % len(WAYS)]
        chosen = chance.sample(cases, min(len(cases), chance.randint(1, 4)))
        yield Trial(number, way, chosen, chance.triangular(0.01, 0.5, 0.05))


def ended(bench, trial):
    """Runs the cases of a trial, ends them, and gives the exit code and what was said."""
    with tempfile.TemporaryFile() as said:
        code = waited_for(bench, trial, said)
        said.seek(0)
        return code, said.read().decode("utf-8", "replace")


def waited_for(bench, trial, said):
    """Runs the cases of a trial, ends them, and gives the exit code."""
    command = [bench.program, "run", "--exact", *trial.cases, "--target", bench.target, "--state-dir", bench.folder / "state",
               "--report-dir", bench.folder / "report", "--allow-disruption", "--seed", str(trial.number)]
    if trial.way == "--timeout":
        command += ["--timeout", f"{int(trial.after * 1000)}ms"]
    run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        if trial.way != "--timeout":
            try:
                return run.wait(trial.after)
            except subprocess.TimeoutExpired:
                run.send_signal(getattr(signal, trial.way))
        return run.wait(HANG)
    finally:
        run.kill()
        run.wait()


def tried(bench, trial, before):
    """What is wrong after a trial, None if nothing is."""
    code, said = ended(bench, trial)
    # A run in which all is skipped has decided nothing.
    right = WAYS[trial.way] | ({3} if re.search(r"^\d+ skipped \(", said, re.M) else set())
    trouble = None if code in right else f"exit code {code}: {said}"
    if code < 0:
        cleanup = bench.muster("cleanup")
        if cleanup.returncode != 0:
            trouble = f"cleanup ended in {cleanup.returncode}: {cleanup.stderr.strip()}"
    after = bench.settled(before)
    if after != before:
        trouble = f"exit {code}; left behind: {difference(before, after)}"
    return Told(trial, trouble, code, code != 0)


def several(program, some, deadline):
    """Carries trials out on fakes of their own."""
    told = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(program, folder)
        try:
            before = bench.state()
            for trial in some:
                if time.monotonic() > deadline:
                    break
                told.append(tried(bench, trial, before))
                if told[-1].trouble:
                    before = bench.state()
        finally:
            bench.fakes.terminate()
            bench.fakes.wait()
    return told


def main():
    """Tries and tells."""
    reader = argparse.ArgumentParser()
    reader.add_argument("program", type=pathlib.Path)
    reader.add_argument("--count", type=int, default=1_000)
    reader.add_argument("--seed", type=int, default=random.randrange(10**6))
    reader.add_argument("--within", type=float, default=1e9)
    reader.add_argument("filters", nargs="*")
    asked = reader.parse_intermixed_args()
    # Started in the background, this would be deaf to SIGINT, and what it starts too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    program, deadline = asked.program.resolve(), time.monotonic() + asked.within
    cases = [case.name for case in every_case(program, asked.filters)]
    all_of_them = list(trials(cases, asked.count, asked.seed))
    parts = [all_of_them[at : at + TRIALS_PER_FAKE] for at in range(0, len(all_of_them), TRIALS_PER_FAKE)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        told = [one for part in pool.map(lambda part: several(program, part, deadline), parts) for one in part]
    wrong = [one for one in told if one.trouble]
    counts = collections.Counter(one.trial.way for one in told if one.was_ended)
    ways = ", ".join(f"{counts[way]} by {way}" for way in WAYS)
    print(f"{len(told)} of {asked.count} instants, seed {asked.seed}: {ways}, the others over before; {len(wrong)} wrong")
    for one in wrong:
        print(f"  {one.trial.number}: {one.trial.way} after {one.trial.after:.3f} s in {' '.join(one.trial.cases)}: {one.trouble}")
    sys.exit(1 if wrong or len(told) < asked.count or len(counts) < len(WAYS) else 0)


if __name__ == "__main__":
    main()
