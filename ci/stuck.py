#!/usr/bin/env python3
"""Holds the thread on which a run turns, and only that one, in the middle of a run: the watchdog must end the process.

    stuck.py PROGRAM [FILTER...]

ptrace holds the thread, so no code of muster knows of it, and its other threads go on. After two minutes the run must end in 5
and say so; then `muster cleanup` must put everything back. Tells `NOT RUN: reason` where ptrace is not allowed.
"""

import ctypes
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from deaths import Bench, difference

SEIZE, INTERRUPT = 0x4206, 0x4207
# The run is held when its record holds so many events.
EVENTS = 200
# Two minutes, and much more.
HANG_S = 300
SAID = "muster itself has not moved for two minutes"


def begun(bench, filters):
    """A run in the background."""
    arguments = [bench.program, "run", "--target", bench.target, "--state-dir", bench.folder / "state",
                 "--report-dir", bench.folder / "report", "--seed", "1", *filters]
    with open(bench.folder / "told", "wb") as told:
        return subprocess.Popen(arguments, cwd=bench.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=told)


def events(bench):
    """How many events the record of the run holds so far."""
    record = bench.folder / "report" / "run.jsonl"
    return record.read_bytes().count(b"\n") if record.exists() else 0


def held(process):
    """Holds the first thread of a process; whether that was allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return libc.ptrace(SEIZE, process.pid, None, None) == 0 and libc.ptrace(INTERRUPT, process.pid, None, None) == 0


def ended(process):
    """The exit code of a process that is held, or nothing if it does not end."""
    ends = time.monotonic() + HANG_S
    while time.monotonic() < ends:
        found, status = os.waitpid(process.pid, os.WNOHANG)
        # That it is held is told to whoever holds it, too.
        if found and not os.WIFSTOPPED(status):
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode
        time.sleep(0.1)
    process.kill()
    return None


def wrongs(bench, before, code):
    """What is not as it should be after the end."""
    told = (bench.folder / "told").read_text(encoding="utf-8", errors="replace")
    if code != 5:
        yield f"wanted exit 5, found {code}"
    if SAID not in told:
        yield f"it did not say so: {told[-300:]}"
    if bench.state() == before:
        yield "nothing stood when it was held: cleanup had nothing to do"
    cleanup = bench.muster("cleanup")
    if cleanup.returncode != 0:
        yield f"cleanup ended in {cleanup.returncode}: {cleanup.stdout.strip()} {cleanup.stderr.strip()}"
    if (after := bench.settled(before)) != before:
        yield f"left behind: {difference(before, after)}"


def tried(bench, filters):
    """One run that is held; what is wrong."""
    before = bench.state()
    run = begun(bench, filters)
    while events(bench) < EVENTS and run.poll() is None:
        time.sleep(0.005)
    if run.poll() is not None:
        return ["it was over before it could be held"]
    if not held(run):
        run.terminate()
        run.wait()
        print("NOT RUN: ptrace may not hold a thread here")
        return []
    began = time.monotonic()
    code = ended(run)
    print(f"held after {events(bench)} events, ended after {time.monotonic() - began:.0f} s: exit {code}")
    return list(wrongs(bench, before, code))


def main():
    """Tries once and tells."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(sys.argv[1]).resolve(), folder)
        try:
            wrong = tried(bench, sys.argv[2:])
        finally:
            bench.fakes.terminate()
            bench.fakes.wait()
    print("\n".join(wrong) or "put back by cleanup")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
