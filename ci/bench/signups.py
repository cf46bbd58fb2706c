#!/usr/bin/env python3
"""Measures muster and Tavern with the same signups: five steps each (ask for a code, read it, verify it, complete, wait for
the customer), against one fake platform in a process of its own. Prints one table: whole processes, medians, ranges."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from measure import RELEASE as RELATIVE
from measure import shown

RELEASE = pathlib.Path(RELATIVE).resolve()

COUNT = 20

CODES = '''import base64, json

def code(response):
    """The code in a record of the mailbox."""
    return {"code": json.loads(base64.b64decode(response.json()["records"][0]["value"]))["token"]}
'''

STEPS = """      - call:
          op: signup.send_code
          json: { email: $(me.email) }
      - receive: { what: signup-code, to: $(me.email), within: 60s, capture: code }
      - call:
          op: signup.verify
          json: { email: $(me.email), token: $(code) }
      - call:
          op: signup.complete
          json: { email: $(me.email), token: $(code), secret: $(me.secret) }
          expect: { status: 200 }
      - poll:
          op: customers.read
          as: operator
          json: { email: $(me.email) }
          until: { body: { $.customer.status: active } }
          every: 500ms
          within: 60s
"""


def muster_suites(folder, root):
    """The repository's operations and flows, and the signups as cases."""
    folder.mkdir()
    for name in ("operations.yaml", "needs.yaml", "flows"):
        subprocess.run(["cp", "-r", root / "suites" / name, folder / name], check=True)
    cases = "".join(f"  - id: signup-{number}\n    why: it is measured\n    identities: {{ me: newcomer }}\n    steps:\n{STEPS}"
                    for number in range(COUNT))
    (folder / "family").mkdir()
    (folder / "family" / "signups.yaml").write_text(f"title: Signups\ncases:\n{cases}")


def tavern_tests(folder, api, token, run):
    """The same signups for Tavern; each run signs other people up."""
    folder.mkdir(exist_ok=True)
    (folder / "codes.py").write_text(CODES)
    routed = {"Micro-Namespace": "micro"}
    operator = {**routed, "Authorization": f"Bearer {token}"}

    def post(name, path, body, headers, response, **more):
        request = {"url": f"{api}{path}", "method": "POST", "json": body, "headers": headers}
        return {"name": name, "request": request, "response": {"status_code": 200, **response}, **more}

    documents = []
    for number in range(COUNT):
        email = f"tavern-{run}-{number}@muster.example.test"
        stages = [
            post("send", "/signup/sendVerificationEmail", {"email": email}, routed, {}),
            post("read", "/store/Store/Read", {"key": email, "options": {"database": "micro", "table": "signup"}}, operator,
                 {"save": {"$ext": {"function": "codes:code"}}}),
            post("verify", "/signup/verify", {"email": email, "token": "{code}"}, routed, {}),
            post("complete", "/signup/completeSignup", {"email": email, "token": "{code}", "secret": "open sesame 77"}, routed, {}),
            post("active", "/customers/Read", {"email": email}, operator,
                 {"json": {"customer": {"status": "active"}}, "strict": False}, max_retries=200, delay_after=0.02),
        ]
        documents.append({"test_name": f"signup {number}", "strict": False, "stages": stages})
    for document in documents:
        for stage in document["stages"]:
            stage["response"].pop("strict", None)
    (folder / "test_signups.tavern.yaml").write_text("\n---\n".join(json.dumps(document) for document in documents))


def operator_token(api, secrets):
    """The operator signed in: a token that lasts."""
    secret = dict(line.split("=", 1) for line in secrets.read_text().splitlines())["MUSTER_OPERATOR"]
    asked = {"id": "muster", "secret": secret, "token_expiry": 3600, "options": {"namespace": "micro"}}
    done = subprocess.run(["curl", "-sS", "-H", "Content-Type: application/json", "-d", json.dumps(asked), f"{api}/auth/Auth/Token"],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["token"]["access_token"]


def timed(command, folder):
    """Seconds and exit code of one run."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - began, done.returncode


def main():
    """Prints the table."""
    peers, repeats = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    root, python = pathlib.Path(__file__).resolve().parents[2], peers / "tavern" / "bin" / "python"
    if not (python.parent / "tavern-ci").exists():
        sys.exit("Tavern         NOT RUN: it could not be installed")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        fake = subprocess.Popen([RELEASE, "fake", "--write", folder / "target.yaml", "--secrets", folder / "secrets"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not (folder / "target.yaml").exists():
                time.sleep(0.01)
            target = (folder / "target.yaml").read_text()
            api = next(line.split(": ", 1)[1] for line in target.splitlines() if line.startswith("api: "))
            muster_suites(folder / "suites", root)
            token = operator_token(api, folder / "secrets")
            own = [RELEASE, "run", "--suites", "suites", "--target", "target.yaml", "--state-dir", "state", "--report-dir", "report"]
            alone = [*own, "--jobs", "1"]
            taken = {"muster": [], "muster, one at a time": [], "Tavern 3.7.1": []}
            for run in range(repeats):
                tavern_tests(folder / "tavern", api, token, run)
                taken["muster"].append(timed(own, folder))
                taken["muster, one at a time"].append(timed(alone, folder))
                taken["Tavern 3.7.1"].append(timed([python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], folder / "tavern"))
        finally:
            fake.terminate()
            fake.wait()
    print(f"{COUNT} signups of five steps, whole process, median of {repeats}; muster also undoes each\n")
    for name, runs in taken.items():
        times, codes = [seconds for seconds, _ in runs], sorted({code for _, code in runs})
        print(f"{name:<22} {shown(times, 's', 1):<28} exit {codes}")


if __name__ == "__main__":
    main()
