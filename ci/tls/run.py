#!/usr/bin/env python3
"""What `muster doctor` and `muster run` say of an API behind TLS: a good certificate, and every kind of bad one.

    ci/tls/run.py [MUSTER]      default: a debug build

Needs openssl. Servers listen on loopback only, are this script's own threads, and end with it. A difference ends in 1.
"""

import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading

TARGET = """name: behind-tls
api: https://{host}:{port}
via: http
provides: []
lacks: []
permits: {{ write: none, disrupt: [] }}
identities: {{}}
"""

SUITE = """title: It answers
cases:
  - id: it-answers
    why: that is all that is asked here
    steps: [{ call: { get: / } }]
"""

# What a run says where `doctor` says that a certificate is not accepted; nothing is sent to such a server.
REFUSED = "no connection could be made: invalid peer certificate: "

# name: host in the target file, name in the certificate, days it lasts, who signs, what is said of it.
TRIALS = {
    "good": ("localhost", "localhost", 60, "known", "answers; its certificate is good for"),
    "ends soon": ("localhost", "localhost", 3, "known", "the certificate of https://localhost:{port} ends in"),
    "expired": ("localhost", "localhost", -1, "known", "its certificate is not accepted: Expired"),
    "wrong name": ("localhost", "elsewhere.test", 60, "known", "its certificate is not accepted: certificate not valid for name"),
    "unknown authority": ("localhost", "localhost", 60, "unknown", "its certificate is not accepted: UnknownIssuer"),
    "self-signed": ("localhost", "localhost", 60, None, "its certificate is not accepted: BadSignature"),
}


def openssl(*arguments):
    """Runs openssl; what it says is shown only if it fails."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: openssl {arguments[0]}: {done.stderr}")


def authority(folder, name):
    """An authority of one's own: its key and certificate."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")


def certificate(folder, name, host, days, signer):
    """A certificate with its key in one file. One that has expired began before it ended."""
    key, request, made, names = (folder / f"{name}.{end}" for end in ("key", "csr", "pem", "names"))
    names.write_text(f"subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host}", "-keyout", key, "-out", request)
    by = ["-signkey", key] if signer is None else ["-CA", folder / f"{signer}.pem", "-CAkey", folder / f"{signer}.key", "-CAcreateserial"]
    openssl("x509", "-req", "-in", request, *by, "-days", days, "-extfile", names, "-out", made)
    made.write_text(made.read_text() + key.read_text())
    return made


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self):  # noqa: N802 (the library's name)
        self.server.answered += 1
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        """Says nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server whose clients may hang up in the middle."""

    answered = 0

    def handle_error(self, *_):
        """That a client does not like the certificate is what is tried."""


def served(made):
    """A server behind TLS on a free port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made)
    server = Server(("127.0.0.1", 0), Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def ran(muster, folder, host, port, command, *arguments):
    """Runs a command of muster against such an API."""
    target = folder / "target.yaml"
    target.write_text(TARGET.format(host=host, port=port))
    (folder / "suites").mkdir(exist_ok=True)
    (folder / "suites" / "answers.yaml").write_text(SUITE)
    environment = {**os.environ, "SSL_CERT_FILE": str(folder / "known.pem"), "NO_COLOR": "1"}
    given = [muster, command, "--target", target, "--suites", folder / "suites", "--state-dir", folder / "state", *arguments]
    return subprocess.run(given, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def examined(muster, folder, host, port):
    """The line of `doctor` on the API, and its exit code."""
    done = ran(muster, folder, host, port, "doctor")
    lines = [line for line in done.stdout.splitlines() if " api " in line]
    return (lines or [done.stdout + done.stderr])[0], done.returncode


def judged(muster, folder, host, server, expected):
    """What a run says of the one case, and whether that is right: a bad certificate is Inconclusive, and gets no request."""
    answered = server.answered
    done = ran(muster, folder, host, server.server_port, "run", "--report-dir", folder / "reports")
    case = json.loads((folder / "reports" / "summary.json").read_text(encoding="utf-8"))["cases"][0]
    failure = (case["failures"] or [{"kind": "", "message": ""}])[0]
    line = f"{case['outcome']} {failure['kind']} {failure['message']}".strip()
    _, refused, why = expected.partition("its certificate is not accepted: ")
    if not refused:
        return line, done.returncode == 0 and line == "pass"
    is_right = done.returncode == 3 and line.startswith("inconclusive transport.refused") and REFUSED + why in line
    return line, is_right and server.answered == answered


def main():
    """Tries them all."""
    if shutil.which("openssl") is None:
        sys.exit("NOT RUN: there is no openssl")
    root = pathlib.Path(__file__).resolve().parents[2]
    if len(sys.argv) < 2:
        subprocess.run(["cargo", "build", "--quiet"], cwd=root, check=True)
    muster = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else root / "target/debug/muster").resolve()
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        authority(folder, "known")
        authority(folder, "unknown")
        for name, (host, subject, days, signer, expected) in TRIALS.items():
            server = served(certificate(folder, name.replace(" ", "-"), subject, days, signer))
            line, code = examined(muster, folder, host, server.server_port)
            outcome, is_judged_right = judged(muster, folder, host, server, expected)
            server.shutdown()
            is_right = expected.format(port=server.server_port) in line and line.startswith("ok " if name == "good" else "NOT OK ")
            is_right &= (code == 0) == (name == "good")
            failed += not (is_right and is_judged_right)
            print(f"{name:<18} {'right' if is_right else f'WRONG (exit code {code})'}: {line}", flush=True)
            print(f"{'':<18} {'right' if is_judged_right else 'WRONG'}: run: {outcome}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
