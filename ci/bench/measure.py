#!/usr/bin/env python3
"""Measures the programs in target/debug and target/release, and prints one table. Times are wall-clock medians of
whole processes, with the smallest and the largest beside them."""

import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

DEBUG, RELEASE = (pathlib.Path("target") / profile / "muster" for profile in ("debug", "release"))
FLOOR = pathlib.Path("target/release/examples/floor")
MASKING = pathlib.Path("target/release/examples/masking")


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


ONE_REQUEST = """      - call:
          get: /health
          expect: { body: { $.status: ok } }
"""
NO_REQUEST = """      - flow: { use: nothing }
"""


def suites(folder, count, step):
    """A folder of suites with `count` cases of one step each, a hundred to a file."""
    (folder / "flows").mkdir(parents=True)
    (folder / "operations.yaml").write_text("bench.nothing:\n  http: GET /\n  effect: read\n")
    (folder / "flows" / "nothing.yaml").write_text("flow: nothing\nwhy: it costs what a case costs\nsteps: []\n")
    for first in range(0, count, 100):
        cases = "".join(
            f"  - id: case-{number}\n    why: it is one of many\n    steps:\n{step}"
            for number in range(first, min(first + 100, count))
        )
        (folder / f"suite-{first}.yaml").write_text(f"title: Many cases\ncases:\n{cases}")


def many_cases(address, count, step, repeats):
    """How long the release program takes for many cases, in seconds, several times; and its last exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        suites(folder / "suites", count, step)
        (folder / "target.yaml").write_text(f"name: floor\napi: {address}\n")
        command = [RELEASE, "run", "--suites", folder / "suites", "--target", folder / "target.yaml", "--jobs", "16"]
        command += ["--state-dir", folder / "state", "--report-dir", folder / "report", "--seed", "1"]
        return seconds(command, repeats)


def beside_the_floor(repeats):
    """Rows on many small cases, beside a bare client with the same requests to the same server."""
    server = subprocess.Popen([FLOOR, "server"], stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        rows, per_case = [], {}
        for count in (1_000, 10_000):
            taken, code = many_cases(address, count, ONE_REQUEST, repeats)
            bare, _ = seconds([FLOOR, "client", f"{address}/health", str(count), "16"], repeats)
            per_case[count] = statistics.median(taken) / count
            rows.append((f"{count:,} one-request cases", "", shown(taken, "s", 1), code))
            rows.append((f"{count:,} bare requests", "", shown(bare, "s", 1), 0))
        growth = per_case[10_000] / per_case[1_000]
        rows.append(("time per case, 10,000 to 1,000", "≤ 1.3×", f"{growth:.2f}×", 0))
        taken, code = many_cases(address, 10_000, NO_REQUEST, repeats)
        rows.append(("a case with no request, of 10,000", "≤ 50 µs", shown(taken, "µs", 1e6 / 10_000), code))
        return rows
    finally:
        server.terminate()


def poured(listener):
    """Answers every connection with a body that has no end."""
    def pour(connection):
        try:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            connection.close()
    while True:
        threading.Thread(target=pour, args=(listener.accept()[0],), daemon=True).start()


def most_memory(count):
    """The most memory of a run of cases, all at once, each of which asks for a body that has no end; in MiB, and its exit code."""
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as name:
        threading.Thread(target=poured, args=(listener,), daemon=True).start()
        folder = pathlib.Path(name)
        suites(folder / "suites", count, "      - call: { get: / }\n")
        (folder / "target.yaml").write_text(f"name: endless\napi: http://127.0.0.1:{listener.getsockname()[1]}\n")
        command = [RELEASE, "run", "--suites", folder / "suites", "--target", folder / "target.yaml", "--jobs", "16"]
        command += ["--state-dir", folder / "state", "--report-dir", folder / "report"]
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(run.pid, 0)
        return used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)


def endless_bodies():
    """Rows on the memory of runs against bodies that have no end: exit code 3 is right."""
    rows = []
    for count, wanted in ((1, "≤ 64 MiB"), (16, "–")):
        mib, code = most_memory(count)
        rows.append((f"most memory, {count} endless bodies", wanted, f"{mib:.0f} MiB", code))
    return rows


def by_hand(*arguments):
    """What an example prints: names and numbers."""
    told = subprocess.run([MASKING, *arguments], check=True, capture_output=True, text=True).stdout
    return dict(line.split("\t") for line in told.splitlines())


def masking():
    """Rows on hiding secrets, by one core, and on writing changes down."""
    told = by_hand("texts")
    wanted = {"hiding in log lines, bytes a second": "≥ 300", "hiding in base64 noise, bytes a second": "≥ 100"}
    rows = [(name.replace("bytes a second", "1,000 secrets"), wanted[name], f"{float(told[name]) / 1e6:.0f} MB/s", 0) for name in wanted]
    with tempfile.TemporaryDirectory(dir="target") as folder:
        rows += [(name.removesuffix(", us"), "–", f"{float(number):.0f} µs", 0) for name, number in by_hand("journal", folder).items()]
    return rows


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
        *masking(),
        *endless_bodies(),
        *beside_the_floor(repeats),
    ]
    print(f"{os.cpu_count()} cores, each time the median of {repeats} runs ({repeats * 4} for --version)\n")
    print(f"| {'what':<38} | {'wanted':<8} | {'measured':<32} | exit |")
    print(f"|{'-' * 40}|{'-' * 10}|{'-' * 34}|------|")
    for what, wanted, measured, code in rows:
        print(f"| {what:<38} | {wanted:<8} | {measured:<32} | {code:<4} |")


if __name__ == "__main__":
    main()
