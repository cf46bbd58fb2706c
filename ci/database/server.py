"""A PostgreSQL of one's own: made in a folder, run as `nobody` on 127.0.0.1, ended by its process id. And certificates."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ADMIN = "admin"


def run(*command, as_nobody=False, **more):
    """Runs a program, and gives what it printed; what it says otherwise is shown only if it fails."""
    if as_nobody:
        command = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *map(str, command))
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(map(str, command))} ended in {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Certificates:
    """Authorities, and what they sign."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)

    def path(self, name):
        return self.folder / name

    def authority(self, name):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.pem"))

    def signed(self, name, authority, subject, alternative=None, expired=False):
        """A certificate of a subject; an expired one ended in 2021."""
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", self.path(f"{name}.key"),
            "-out", self.path(f"{name}.csr"))
        extensions = self.path(f"{name}.ext")
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "basicConstraints=CA:FALSE\n")
        index, serial = self.path(f"{name}.index"), self.path(f"{name}.serial")
        index.write_text("")
        serial.write_text("01\n")
        config = self.path(f"{name}.cnf")
        config.write_text(f"[ca]\ndefault_ca=one\n[one]\ndatabase={index}\nserial={serial}\nnew_certs_dir={self.folder}\n"
                          "default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n")
        days = ["-startdate", "20210101000000Z", "-enddate", "20210201000000Z"] if expired else ["-days", "30"]
        run("openssl", "ca", "-batch", "-notext", "-config", config, "-cert", self.path(f"{authority}.pem"), "-keyfile",
            self.path(f"{authority}.key"), "-in", self.path(f"{name}.csr"), "-extfile", extensions, "-out",
            self.path(f"{name}.pem"), *days)


class Server:
    """One server with one cluster of databases."""

    def __init__(self, bin_folder, folder, hba, settings=()):
        self.bin, self.folder, self.port = Path(bin_folder), Path(folder), free_port()
        self.process = None
        self.folder.mkdir(parents=True, exist_ok=True)
        run("chown", "nobody:nogroup", self.folder)
        run(self.bin / "initdb", "-D", self.folder / "data", "-U", ADMIN, "--auth=trust", "-E", "UTF8", "--locale=C", as_nobody=True)
        (self.folder / "data/pg_hba.conf").write_text(f"local all {ADMIN} trust\n{hba}")
        with open(self.folder / "data/postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n"
                       "timezone = 'UTC'\nfsync = off\n" + "".join(f"{line}\n" for line in settings))

    def start(self):
        log = open(self.folder / "log", "a", encoding="utf-8")
        self.process = subprocess.Popen(
            ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(self.bin / "postgres"), "-D",
             str(self.folder / "data")], stdout=log, stderr=log, cwd=self.folder)
        return self.wait()

    def wait(self):
        """Waits until it takes people in."""
        for _ in range(300):
            done = subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port), "-U", ADMIN, "-d", "postgres"])
            if done.returncode == 0:
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(f"error: the server did not start\n{(self.folder / 'log').read_text()}")

    def sql(self, text, database="postgres"):
        """What a statement prints, asked as the owner of everything."""
        return run(self.bin / "psql", "-h", self.folder, "-p", self.port, "-U", ADMIN, "-d", database, "-qAtX",
                   "-v", "ON_ERROR_STOP=1", "-c", text).strip()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def stop(self):
        """Ends it by its process id; a fast shutdown."""
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGINT)
            self.process.wait(60)
