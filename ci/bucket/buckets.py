#!/usr/bin/env python3
"""Fills a bucket on a server of another make, lists it with steps of kind `objects`, and says whether each verdict was the
right one.

buckets.py MUSTER FOLDER versitygw|moto PROGRAM
"""

import datetime
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import boto3
from botocore.config import Config

KEY, SECRET = "MUSTERREADER", "a-secret-of-a-bucket"
ODD = "dumps odd/ä +&=%.tar.gz"
# More than one page holds.
MANY = 1_205


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def started(kind, program, folder):
    port = free_port()
    command = {
        "versitygw": [program, "--port", f"127.0.0.1:{port}", "--access", KEY, "--secret", SECRET, "--quiet", "posix",
                      f"{folder}/kept"],
        "moto": [program, "--host", "127.0.0.1", "--port", str(port)],
    }[kind]
    os.makedirs(f"{folder}/kept")
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return server, f"http://127.0.0.1:{port}"
        time.sleep(0.05)
    server.kill()
    raise SystemExit(f"{kind} does not answer")


def filled(address):
    """A bucket with many dumps, the newest put last, an odd one among them."""
    style = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    s3 = boto3.client("s3", endpoint_url=address, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                      region_name="us-east-1", config=style)
    s3.create_bucket(Bucket="backups")
    s3.create_bucket(Bucket="empty")
    for number in range(MANY - 1):
        s3.put_object(Bucket="backups", Key=f"dumps-{number:06}.tar.gz", Body=b"x" * (number % 7 + 1))
    s3.put_object(Bucket="backups", Key=ODD, Body=b"odd")
    # Moments have a resolution of one second here.
    time.sleep(1.1)
    s3.put_object(Bucket="backups", Key="dumps-000000.tar.gz", Body=b"newest")


def case(name, body, prefix="dumps-", bucket="backups"):
    return f"""
  - id: {name}
    why: what lies in a bucket can be judged
    tags: [smoke]
    steps:
      - objects:
          in: {bucket}
          prefix: '{prefix}'
          expect: {{ body: {body} }}
"""


SUITE = {
    "all-are-listed": (case("all-are-listed", f"{{ $: {{ length: {MANY - 1} }} }}"), "pass"),
    "the-newest-is-first": (
        case("the-newest-is-first", "{ '$[0].key': dumps-000000.tar.gz, '$[0].size': 6, "
             "'$[0].modified': { not_before: \"$(now|minus('10m'))\" } }"), "pass"),
    "an-odd-key-is-found": (case("an-odd-key-is-found", f"{{ '$[*].key': '{ODD}', '$[0].size': 3 }}", "dumps odd/ä +&"), "pass"),
    "an-old-one-is-told": (
        case("an-old-one-is-told", "{ '$[0].modified': { not_before: \"$(now|plus('1h'))\" } }"), "expect.body"),
    "an-empty-bucket-has-no-newest": (
        case("an-empty-bucket-has-no-newest", "{ '$[0].key': { matches: dumps } }", bucket="empty"), "expect.body"),
    "an-empty-bucket-is-empty": (case("an-empty-bucket-is-empty", "{ $: { length: 0 } }", bucket="empty"), "pass"),
    "no-such-bucket-is-told": (case("no-such-bucket-is-told", "{ $: { length: 0 } }", bucket="absent"), "bucket.refused"),
}


class Bench:
    def __init__(self, muster, folder, address):
        self.muster, self.folder, self.address = muster, pathlib.Path(folder), address

    def write(self, cases, secret):
        (self.folder / "suites" / "bucket").mkdir(parents=True, exist_ok=True)
        (self.folder / "suites" / "operations.yaml").write_text("{}\n")
        (self.folder / "suites" / "bucket" / "bucket.yaml").write_text("title: Buckets\ncases:\n" + "".join(cases))
        key = f", access_key: {KEY}, secret: {{ env: BUCKET_SECRET }}" if secret else ""
        places = "".join(f"  {name}: {{ s3: '{self.address}', bucket: {name}{key} }}\n" for name in ("backups", "empty", "absent"))
        (self.folder / "target.yaml").write_text(
            f"name: bucket\napi: {self.address}\nanswer_within: 5s\nbuckets:\n{places}")

    def run(self, cases, secret=SECRET):
        """The exit code, and the outcome of each case or the kind of its first failure."""
        self.write(cases, secret)
        arguments = ["run", "--target", "target.yaml", "--suites", "suites", "--state-dir", "state", "--report-dir", "reports"]
        done = subprocess.run([self.muster, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=300,
                              env={**os.environ, "BUCKET_SECRET": secret or "", "NO_COLOR": "1"})
        told = json.loads((self.folder / "reports" / "summary.json").read_text())["cases"]
        written = done.stdout + done.stderr + "".join(
            path.read_text() for path in (self.folder / "reports").iterdir() if path.is_file())
        assert not secret or secret == SECRET or secret not in written, "the secret was shown"
        return done.returncode, {one["case"]: (one["failures"] or [{"kind": one["outcome"]}])[0]["kind"] for one in told}


def compared(what, seen, expected):
    if seen != expected:
        print(f"  {what}: wanted {expected}, saw {seen}")
    return seen == expected


def main():
    muster, folder, kind, program = sys.argv[1:]
    folder = f"{folder}/{kind}"
    os.makedirs(folder)
    server, address = started(kind, program, folder)
    try:
        began = datetime.datetime.now()
        filled(address)
        bench = Bench(muster, folder, address)
        cases, wanted = [one for one, _ in SUITE.values()], {name: kind for name, (_, kind) in SUITE.items()}
        right = [compared("verdicts", bench.run(cases), (1, wanted))]
        good = [SUITE["all-are-listed"][0]]
        if kind == "versitygw":
            right.append(compared("wrong secret", bench.run(good, "not-this-one"), (3, {"all-are-listed": "bucket.refused"})))
        server.send_signal(signal.SIGSTOP)
        right.append(compared("stopped", bench.run(good), (3, {"all-are-listed": "bucket.unreachable"})))
        server.send_signal(signal.SIGCONT)
        right.append(compared("continued", bench.run(good), (0, {"all-are-listed": "pass"})))
        server.kill()
        server.wait()
        right.append(compared("gone", bench.run(good), (3, {"all-are-listed": "bucket.unreachable"})))
        seconds = (datetime.datetime.now() - began).total_seconds()
        print(f"{kind:<10} {sum(right)} of {len(right)} runs as they should be, {len(SUITE)} cases, {MANY} objects ({seconds:.0f} s)")
    finally:
        server.kill()
        server.wait()
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
