#!/usr/bin/env python3
"""Stops a run by SIGSTOP for a minute at several moments and lets it go on: nothing may be left behind, and nothing may fail.

    stopped.py PROGRAM [--for SECONDS] [--moments N] [FILTER...]

The platform (fakes in a process of their own) goes on meanwhile. A moment is a number of events in the run's record; the
moments are spread evenly over an undisturbed run, which must pass. After each stop the run must end in 0 or 3, no case may
be a Fail, the whole state of the fakes must be what it was but for what operations declare to stay, and `muster cleanup`
must find nothing.
"""

import argparse
import collections
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from deaths import Bench, difference

# A run that takes longer than this after it was let go on hangs.
HANG_S = 300


def begun(bench, filters):
    """A run in the background."""
    arguments = [bench.program, "run", "--target", bench.target, "--state-dir", bench.folder / "state", "--allow-disruption",
                 "--report-dir", bench.folder / "report", "--seed", "1", *filters]
    return subprocess.Popen(arguments, cwd=bench.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def events(bench):
    """How many events the record of the run holds so far."""
    record = bench.folder / "report" / "run.jsonl"
    return record.read_bytes().count(b"\n") if record.exists() else 0


def verdicts(bench):
    """How many cases ended how, the cases that failed, and the kinds of what was not judged."""
    cases = json.loads((bench.folder / "report" / "summary.json").read_text(encoding="utf-8"))["cases"]
    counts = collections.Counter(case["outcome"] for case in cases)
    failed = [f"{case['case']}: {failure['kind']}: {failure['message']}"
              for case in cases if case["outcome"] == "fail" for failure in case["failures"]]
    kinds = collections.Counter(failure["kind"] for case in cases if case["outcome"] == "inconclusive" for failure in case["failures"])
    return counts, failed, kinds


def stopped(bench, moment, seconds, filters):
    """One run that is stopped at a moment. A line on it, and what is wrong."""
    before = bench.state()
    run = begun(bench, filters)
    while events(bench) < moment and run.poll() is None:
        time.sleep(0.005)
    if run.poll() is not None:
        return f"at {moment} events: it was over", ["it could not be stopped any more"]
    run.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    run.send_signal(signal.SIGCONT)
    code = run.wait(HANG_S)
    counts, failed, kinds = verdicts(bench)
    wrong = failed + ([] if code in (0, 3) else [f"it ended in {code}"])
    cleanup = bench.muster("cleanup")
    if cleanup.returncode != 0 or "nothing is left" not in cleanup.stdout:
        wrong.append(f"cleanup ended in {cleanup.returncode}: {cleanup.stdout.strip()} {cleanup.stderr.strip()}")
    if (after := bench.settled(before)) != before:
        wrong.append(f"left behind: {difference(before, after)}")
    told = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    because = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return f"at {moment} events, for {seconds:g} s: exit {code}, {told}{f' ({because})' if because else ''}", wrong


def on_fakes(program, work):
    """What comes of some work on fakes of its own."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(program, folder)
        try:
            return work(bench)
        finally:
            bench.fakes.terminate()
            bench.fakes.wait()


def undisturbed(bench, filters):
    """How many events an undisturbed run has, how it ends, and what failed in it."""
    code = begun(bench, filters).wait(HANG_S)
    # A run that was refused has no summary.
    return events(bench), code, verdicts(bench)[1] if code == 1 else []


def main():
    """Tries the moments and tells."""
    reader = argparse.ArgumentParser()
    reader.add_argument("program", type=pathlib.Path)
    reader.add_argument("--for", type=float, default=60, dest="seconds")
    reader.add_argument("--moments", type=int, default=5)
    reader.add_argument("filters", nargs="*")
    asked = reader.parse_intermixed_args()
    program = asked.program.resolve()
    whole, code, failed = on_fakes(program, lambda bench: undisturbed(bench, asked.filters))
    if code != 0:
        sys.exit("\n  ".join([f"error: the undisturbed run ended in {code}, after {whole} events", *failed]))
    troubles = 0
    for index in range(asked.moments):
        moment = 2 + (whole - 4) * index // asked.moments
        line, wrong = on_fakes(program, lambda bench, at=moment: stopped(bench, at, asked.seconds, asked.filters))
        troubles += bool(wrong)
        print("\n  ".join([line, *wrong]), flush=True)
    print(f"{asked.moments} stops in a run of {whole} events: {troubles} left or failed something")
    sys.exit(1 if troubles else 0)


if __name__ == "__main__":
    main()
