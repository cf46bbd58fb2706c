#!/usr/bin/env python3
"""Measures the programs in target/debug and target/release, and prints one table. Times are wall-clock medians of
whole processes, with the smallest and the largest beside them."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

DEBUG, RELEASE = (pathlib.Path("target") / profile / "muster" for profile in ("debug", "release"))


def seconds(command, repeats):
    """How long a command takes, each of several times, in seconds; and its last exit code."""
    taken, code = [], 0
    for _ in range(repeats):
        began = time.perf_counter()
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        taken.append(time.perf_counter() - began)
    return taken, code


def whole_run(program, repeats):
    """A row on `muster run` with every case, disruptive ones included, on the built-in fakes."""
    with tempfile.TemporaryDirectory() as folder:
        taken, code = seconds([program, "run", "--seed", "1", "--report-dir", folder], repeats)
    return shown(taken, "s", 1), code


def version(program, repeats):
    """A row on the start of the program."""
    taken, code = seconds([program, "--version"], repeats * 4)
    return shown(taken, "ms", 1000), code


def shown(taken, unit, factor):
    """A median with its range."""
    low, middle, high = (value * factor for value in (min(taken), statistics.median(taken), max(taken)))
    return f"{middle:.2f} {unit} ({low:.2f} to {high:.2f})"


def main():
    """Prints the table."""
    repeats = int(sys.argv[1])
    rows = [
        ("muster run on the fakes, debug", "≤ 12 s", *whole_run(DEBUG, repeats)),
        ("muster run on the fakes, release", "≤ 8 s", *whole_run(RELEASE, repeats)),
        ("muster --version, release", "< 10 ms", *version(RELEASE, repeats)),
        ("size of the release program", "≤ 25 MB", f"{RELEASE.stat().st_size / 1e6:.1f} MB", 0),
    ]
    print(f"{os.cpu_count()} cores, each time the median of {repeats} runs ({repeats * 4} for --version)\n")
    print(f"| {'what':<34} | {'wanted':<8} | {'measured':<32} | exit |")
    print(f"|{'-' * 36}|{'-' * 10}|{'-' * 34}|------|")
    for what, wanted, measured, code in rows:
        print(f"| {what:<34} | {wanted:<8} | {measured:<32} | {code:<4} |")


if __name__ == "__main__":
    main()
