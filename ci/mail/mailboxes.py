#!/usr/bin/env python3
"""Runs a suite of `receive` steps on a mail server of another make, and says whether each code was the right one.

mailboxes.py MUSTER FOLDER maildev|dovecot PROGRAM
"""

import http.server
import json
import os
import subprocess
import sys
import threading
import time

from letters import LATE, all_letters
from servers import PASSWORD, Dovecot, Maildev

SECRETS = {"MAIL_PASSWORD": PASSWORD, "WRONG_PASSWORD": "not-this-password"}


class Oracle(http.server.BaseHTTPRequestHandler):
    """Knows which code belongs to whom: 200 for `/ADDRESS/CODE` if it does, else 404."""

    right = {}

    def do_GET(self):
        _, address, code = (self.path + "//").split("/")[:3]
        self.send_response(200 if self.right.get(address) == code else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def suite(addresses):
    cases = ""
    for address in addresses:
        name = address.split("@")[0]
        cases += f"""
  - id: {name}-is-read
    why: a code that was mailed can be received
    tags: [smoke]
    steps:
      - receive: {{ what: code, to: {address}, within: 20s, capture: code }}
      - call: {{ get: /{address}/$(code) }}
"""
    return f"title: Mail\ncases:{cases}"


class Bench:
    def __init__(self, muster, folder):
        self.muster, self.folder = muster, folder
        self.oracle = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Oracle)
        threading.Thread(target=self.oracle.serve_forever, daemon=True).start()

    def write(self, mail, addresses):
        os.makedirs(f"{self.folder}/suites/mail", exist_ok=True)
        with open(f"{self.folder}/suites/operations.yaml", "w", encoding="utf-8") as file:
            file.write("{}\n")
        with open(f"{self.folder}/suites/mail/mail.yaml", "w", encoding="utf-8") as file:
            file.write(suite(addresses))
        with open(f"{self.folder}/target.yaml", "w", encoding="utf-8") as file:
            file.write(f"name: mail\napi: http://127.0.0.1:{self.oracle.server_port}\npace: 0.5\nmailbox:\n")
            file.write(f"  code:\n    mail: {mail}\n    pattern: 'code: (?:<b>)?([a-z]{{4}})\\b'\n")

    def call(self, command):
        arguments = [command, "--target", "target.yaml", "--suites", "suites", "--state-dir", "state"]
        arguments += ["--report-dir", "reports"] if command == "run" else []
        done = subprocess.run([self.muster, *arguments], cwd=self.folder, env={**os.environ, **SECRETS, "NO_COLOR": "1"},
                              capture_output=True, text=True, timeout=300)
        told = done.stdout + done.stderr
        assert not any(secret in told for secret in SECRETS.values()), "a password was shown"
        return done.returncode, told

    def run(self, mail, addresses):
        """The outcome of each case, or the kind of its first failure."""
        self.write(mail, addresses)
        code, told = self.call("run")
        with open(f"{self.folder}/reports/summary.json", encoding="utf-8") as file:
            cases = json.load(file)["cases"]
        seen = {}
        for case in cases:
            failures = case.get("failures") or [{}]
            seen[case["case"]] = failures[0].get("kind", case["outcome"])
        return code, seen, told


def way_is_right(bench, server, name, mail, expected):
    """Every code is the right one, one of them mailed while it is waited for, and nobody's is none."""
    late = threading.Timer(3, server.deliver, [[LATE]])
    late.start()
    started = time.monotonic()
    addresses = [*expected, "nobody@a.test"]
    code, seen, told = bench.run(mail, addresses)
    late.join()
    wanted = {f"mail/{address.split('@')[0]}-is-read": "pass" for address in expected}
    wanted["mail/nobody-is-read"] = "receive.nothing"
    seen = {key if "/" in key else f"mail/{key}": value for key, value in seen.items()}
    doctor = bench.call("doctor")[1]
    is_right = code == 1 and seen == wanted and "ok      mailbox code" in doctor
    took = time.monotonic() - started
    print(f"{name:<32} {'right' if is_right else 'WRONG'}: {len(expected)} codes and one that never came, {took:.1f} s")
    if not is_right:
        print(told, seen, doctor, sep="\n")
    return is_right


def trouble_is_told(bench, name, kind, mail):
    code, seen, told = bench.run(mail, ["plain@a.test"])
    is_right = code == 3 and list(seen.values()) == [kind.split()[0]]
    said = next((line for line in told.splitlines() if "mailbox says nothing" in line), told)
    print(f"{name + ' ' + kind:<48} {'told' if is_right else 'WRONG'}: {said.split('messages: ')[-1][:100]}")
    if not is_right:
        print(told, seen, sep="\n")
    return is_right


def main():
    muster, folder, make, program = sys.argv[1:]
    folder = f"{folder}/{make}"
    os.mkdir(folder)
    server = {"maildev": Maildev, "dovecot": Dovecot}[make](program, folder)
    bench = Bench(muster, folder)
    try:
        letters = all_letters()
        server.deliver(letters)
        expected = {to: code for to, code, _ in letters if code} | {LATE[0]: LATE[1]}
        Oracle.right = expected
        right = [way_is_right(bench, server, f"{make} {way}", mail, expected) for way, mail in server.ways.items()]
        right += [trouble_is_told(bench, make, kind, mail) for kind, mail in server.troubles.items()]
        unseen = server.unseen()
        if unseen is not None:
            right.append(unseen == len(letters) + len(server.ways))
            print(f"{make} unseen{'':<18} {'right' if right[-1] else 'WRONG'}: {unseen} mails, none of them marked as seen")
    finally:
        server.stop()
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
