"""Mail servers of other makes, each in a folder of its own, on free ports of this machine."""

import imaplib
import os
import pwd
import smtplib
import socket
import ssl
import subprocess
import time

USER, PASSWORD = "somebody@a.test", "correct-horse-battery"


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def wait_for(port, process):
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the server ended early with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nobody listens at port {port}")


class Maildev:
    """npm's maildev, whose HTTP API asks for a password."""

    def __init__(self, program, folder):
        self.smtp, self.http = free_ports(2)
        command = [program, "--smtp", str(self.smtp), "--web", str(self.http), "--ip", "127.0.0.1", "--web-ip",
                   "127.0.0.1", "--web-user", USER, "--web-pass", PASSWORD, "--mail-directory", f"{folder}/mails", "--silent"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(f"{folder}/maildev.log", "w"))
        wait_for(self.smtp, self.process)
        wait_for(self.http, self.process)
        sign_in = f"user: {USER}, secret: {{ env: MAIL_PASSWORD }}"
        self.ways = {"http": f'{{ http: "http://127.0.0.1:{self.http}", {sign_in} }}'}
        wrong = f"user: {USER}, secret: {{ env: WRONG_PASSWORD }}"
        self.troubles = {
            "mailbox.login": f'{{ http: "http://127.0.0.1:{self.http}", {wrong} }}',
            "mailbox.unreadable": f'{{ http: "http://127.0.0.1:{self.http}/elsewhere", {sign_in} }}',
            "mailbox.unreachable": f'{{ http: "http://127.0.0.1:{free_ports(1)[0]}", {sign_in} }}',
        }

    def deliver(self, letters):
        with smtplib.SMTP("127.0.0.1", self.smtp) as smtp:
            for to, _, letter in letters:
                smtp.sendmail("support@a.test", [to], letter)

    def unseen(self):
        return None

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Dovecot:
    """Debian's dovecot, with a certificate of an authority that nobody knows."""

    def __init__(self, program, folder):
        self.folder, (self.plain, self.tls) = folder, free_ports(2)
        self.certificates()
        with open(f"{folder}/users", "w", encoding="utf-8") as users:
            users.write(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        owner = pwd.getpwnam("mail") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        os.mkdir(f"{folder}/maildir")
        os.chown(f"{folder}/maildir", owner.pw_uid, owner.pw_gid)
        with open(f"{folder}/dovecot.conf", "w", encoding="utf-8") as file:
            file.write(self.settings(owner))
        self.process = subprocess.Popen([program, "-F", "-c", f"{folder}/dovecot.conf"], stderr=open(f"{folder}/out", "w"))
        wait_for(self.plain, self.process)
        self.describe()

    def describe(self):
        sign_in = f"user: {USER}, secret: {{ env: MAIL_PASSWORD }}"
        ca = f"ca: {self.folder}/authority.pem"
        tls, plain = f"imap: 'localhost:{self.tls}'", f"imap: 'localhost:{self.plain}'"
        self.ways = {
            "implicit": f"{{ {tls}, {ca}, {sign_in} }}",
            "starttls": f"{{ {plain}, tls: starttls, {ca}, {sign_in} }}",
            "none": f"{{ {plain}, tls: none, {sign_in} }}",
        }
        self.troubles = {
            "mailbox.certificate": f"{{ {tls}, {sign_in} }}",
            "mailbox.certificate of another host": f"{{ imap: '127.0.0.1:{self.tls}', {ca}, {sign_in} }}",
            "mailbox.certificate after starttls": f"{{ {plain}, tls: starttls, {sign_in} }}",
            "mailbox.login": f"{{ {tls}, {ca}, user: {USER}, secret: {{ env: WRONG_PASSWORD }} }}",
            "mailbox.unreadable": f"{{ {tls}, {ca}, {sign_in}, folder: Elsewhere }}",
            "mailbox.unreachable": f"{{ imap: 'localhost:{free_ports(1)[0]}', {ca}, {sign_in} }}",
            "mailbox.unreachable by TLS": f"{{ {plain}, {ca}, {sign_in} }}",
        }

    def certificates(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

        key = ["-newkey", "rsa:2048", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "authority.key", "-out", "authority.pem", "-days", "2", "-subj", "/CN=nobody")
        openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
        with open(f"{self.folder}/names", "w", encoding="utf-8") as names:
            names.write("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
                "-days", "2", "-extfile", "names", "-out", "server.pem")

    def settings(self, owner):
        unprivileged = ""
        if os.getuid() != 0:
            name = owner.pw_name
            unprivileged = f"default_internal_user = {name}\ndefault_login_user = {name}\nservice anvil {{\n chroot =\n}}\n"
        chroot = "" if os.getuid() == 0 else " chroot =\n"
        return f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{self.folder}/server.pem
ssl_key = <{self.folder}/server.key
disable_plaintext_auth = no
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = username_format=%u {self.folder}/users
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={self.folder}/maildir
}}
mail_location = maildir:{self.folder}/maildir
{unprivileged}service imap-login {{
{chroot}  inet_listener imap {{
    port = {self.plain}
  }}
  inet_listener imaps {{
    port = {self.tls}
    ssl = yes
  }}
}}
"""

    def imap(self):
        context = ssl.create_default_context(cafile=f"{self.folder}/authority.pem")
        imap = imaplib.IMAP4_SSL("localhost", self.tls, ssl_context=context)
        imap.login(USER, PASSWORD)
        return imap

    def deliver(self, letters):
        imap = self.imap()
        for _, _, letter in letters:
            answer, told = imap.append("INBOX", None, None, letter)
            assert answer == "OK", told
        imap.logout()

    def unseen(self):
        """How many mails are not marked as seen."""
        imap = self.imap()
        told = imap.status("INBOX", "(UNSEEN)")[1][0].decode()
        imap.logout()
        return int(told.split("UNSEEN ")[1].rstrip(")"))

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
