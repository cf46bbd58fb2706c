"""Steps `sql` that write, by the real muster against a real server: what is committed, what is refused, and what puts it
back, also after deaths. See run.sh."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from server import ADMIN, Server

BIN, MUSTER, WORK = sys.argv[1], sys.argv[2], Path(sys.argv[3])
PASSWORD, DATABASE = "correct-horse-battery", "platform"
SETUP = f"""
create role writer login password '{PASSWORD}';
create table accounts (id int primary key, namespace text not null);
insert into accounts values (1, 'foo-bar'), (2, 'other');
create table parents (id int primary key);
create table children (id int primary key, parent int references parents deferrable initially deferred);
create table hidden (id int);
create table kept (id int primary key);
grant select, insert, update, delete on accounts, parents, children to writer;
grant select, insert on kept to writer;
"""


def write(query, values, undo, undo_values, **more):
    """A step that writes."""
    return {"sql": {"on": "main", "query": query, "values": values, "write": True, "undo": {"query": undo, "values": undo_values}, **more}}


def insert(number, **more):
    """A step that adds an account, and the only way back."""
    return write("insert into accounts values ($1, $2) returning id", [number, "$(run.id)"], "delete from accounts where id = $1", [number],
                 expect={"rows": 1, "body": {"$[0].id": number}}, **more)


def ask(query, value, **more):
    """A step that reads one value."""
    return {"sql": {"on": "main", "query": query, "expect": {"rows": 1, "body": {"$[0].v": value}}, **more}}


def changing(query):
    """A step that changes something other than accounts, or fails: its undo does nothing."""
    return write(query, [], "delete from accounts where id = $1", [99])


GOOD = {
    "written-and-put-back": [
        insert(10), ask("select count(*) as v from accounts where id = 10", 1),
        {"sql": {"on": "main", "query": "select namespace from accounts where id = 1", "capture": {"old": "$[0].namespace"}}},
        write("update accounts set namespace = $1 where id = 1", ["new"], "update accounts set namespace = $1 where id = 1", ["$(old)"]),
        ask("select namespace as v from accounts where id = 1", "new"),
    ],
    # Were these two beside each other, one of them would find the other's row.
    "one-by-one": [insert(20), ask("select pg_sleep(0.2)::text as v", "")],
    "the-other-one": [insert(20), ask("select pg_sleep(0.2)::text as v", "")],
}
# What does not succeed: the steps, the verdict, its kind, and what is said.
BAD = {
    "not-said": ([{"sql": {"on": "main", "query": "insert into accounts values (30, 'x')"}}], "inconclusive", "sql.read-only", "SQLSTATE 25006"),
    "not-said-after-writing": ([insert(31), {"sql": {"on": "main", "query": "delete from accounts"}}], "inconclusive", "sql.read-only", "SQLSTATE 25006"),
    "there-already": ([changing("insert into accounts values (1, 'x')")], "inconclusive", "sql.refused", "SQLSTATE 23505"),
    "at-the-commit": ([changing("insert into children values (1, 1)")], "inconclusive", "sql.refused", "SQLSTATE 23503"),
    "not-for-this-user": ([changing("insert into hidden values (1)")], "inconclusive", "sql.denied", "permission denied for table hidden"),
    "two-statements": ([changing("delete from accounts; commit")], "inconclusive", "sql.statement", "cannot insert multiple commands"),
    "no-transaction": ([changing("vacuum accounts")], "inconclusive", "sql.refused", "cannot run inside a transaction block"),
    "ended": ([changing("insert into parents select 1 where pg_terminate_backend(pg_backend_pid())")], "inconclusive", "sql.lost", "whether it was carried out is not known"),
    "too-slow": ([{"sql": {**changing("insert into parents select 1 from pg_sleep(60)")["sql"], "within": "300ms"}}], "inconclusive", "sql.timeout", "whether it was carried out is not known"),
    "of-a-secret": ([{"sql": {"on": "main", "query": "select md5('x') as v", "capture": {"hash": {"path": "$[0].v", "secret": True}}}},
                     write("insert into accounts values (32, $1)", ["$(hash)"], "delete from accounts where namespace = $1", ["$(hash)"])],
                    "inconclusive", "ledger.secret", "nothing was sent"),
    "another-row": ([{"sql": {**insert(33)["sql"], "expect": {"rows": 2}}}], "fail", "expect.rows", "wanted 2, found 1"),
}


class Bench:
    """A server, and runs of muster, each in a folder of its own with a state that they share."""

    def __init__(self):
        WORK.mkdir(parents=True)
        self.server = Server(BIN, WORK / "server", "hostnossl all writer 127.0.0.1/32 scram-sha-256\n").start()
        self.server.sql(f"create database {DATABASE} owner {ADMIN}")
        self.server.sql(SETUP, DATABASE)
        (WORK / "password").write_text(PASSWORD)
        self.target()
        self.before = self.contents()

    def target(self, write="shared"):
        """The target file. The API is named because a target must have one; nothing is asked of it."""
        main = {"postgres": f"127.0.0.1:{self.server.port}", "database": DATABASE, "user": "writer", "secret": {"file": str(WORK / "password")}, "tls": "off"}
        text = {"name": "database", "api": "http://127.0.0.1:9", "permits": {"write": write}, "databases": {"main": main}}
        (WORK / "target.yaml").write_text(json.dumps(text))

    def started(self, steps, before=()):
        folder = WORK / "run"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "suites/database").mkdir(parents=True)
        (folder / "suites/needs.yaml").write_text("database: there is one\n")
        cases = [{"id": case, "why": "a promise of steps that write", "tags": ["nightly"], "steps": of_case} for case, of_case in steps.items()]
        (folder / "suites/database/sql.yaml").write_text(json.dumps({"title": "Steps that write", "cases": cases}))
        return subprocess.Popen(
            [*before, MUSTER, "run", "--suites", folder / "suites", "--target", WORK / "target.yaml", "--report-dir", folder / "report",
             "--state-dir", WORK / "state"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, steps):
        """What a run of these cases printed, its exit code, and what became of each case."""
        running = self.started(steps)
        told, _ = running.communicate(timeout=120)
        cases = json.loads((WORK / "run/report/summary.json").read_text())["cases"]
        return told, running.returncode, {case["case"]: case for case in cases}

    def cleanup(self):
        done = subprocess.run([MUSTER, "cleanup", "--target", WORK / "target.yaml", "--state-dir", WORK / "state"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def contents(self):
        return self.server.sql("; ".join(f"select '{table}', string_agg(t::text, ';' order by id) from {table} t" for table in
                                         ("accounts", "parents", "children", "hidden", "kept")), DATABASE)

    def until(self, query, wanted):
        """Waits until the owner of everything reads this."""
        for _ in range(1000):
            if self.server.sql(query, DATABASE) == wanted:
                return
            time.sleep(0.02)
        raise SystemExit(f"error: never {wanted!r}: {query}")


def told(what, problems):
    """Tells what came of a part. The number of problems."""
    print(f"{what}: {'as it must be' if not problems else problems}")
    return len(problems)


def good(bench):
    said, code, cases = bench.run(GOOD)
    wrong = [f"{case}: {found['outcome']} {found['failures']}" for case, found in cases.items() if found["outcome"] != "pass"]
    wrong += [said] if code != 0 or len(cases) != len(GOOD) else []
    return told(f"{len(GOOD)} cases that write, and what they read meanwhile", wrong + unlike(bench))


def unlike(bench):
    now = bench.contents()
    return [] if now == bench.before else [f"the database was {bench.before} and is {now}"]


def bad(bench):
    said, _, cases = bench.run({case: row[0] for case, row in BAD.items()})
    wrong = []
    for case, (_, verdict, kind, word) in BAD.items():
        failure = (cases[case]["failures"] or [{"kind": None, "message": ""}])[0]
        if (cases[case]["outcome"], failure["kind"]) != (verdict, kind) or word not in failure["message"]:
            wrong.append(f"{case}: wanted {verdict} {kind} {word}, found {cases[case]['outcome']} {failure}")
    wrong += ["a secret was written down"] if "9dd4e461268c8034f5c8564e155c67a6" in said + journals() else []
    return told(f"{len(BAD)} cases that must not succeed", wrong + unlike(bench))


def journals():
    return "".join(path.read_text(errors="replace") for path in (WORK / "state").rglob("*") if path.is_file())


def without_permit(bench):
    bench.target(write="own")
    _, _, cases = bench.run({"written": [insert(10)]})
    bench.target()
    [only] = cases.values()
    wrong = [] if only["outcome"] == "skip" and "does not permit `write: shared`" in json.dumps(only) else [str(only)]
    return told("a target that does not permit to write", wrong + unlike(bench))


def doctor(bench):
    bench.run({"written": [insert(10)]})
    done = subprocess.run([MUSTER, "doctor", "--target", WORK / "target.yaml", "--suites", WORK / "run/suites", "--state-dir", WORK / "doctor"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wanted = "writer may change 4 tables of platform, without TLS, as suites do"
    return told("doctor, where suites write", [] if re.search(f"^ok +database main +{wanted}$", done.stdout, re.M) else [done.stdout])


def left_over(bench):
    """What cannot be put back is told, until it can be."""
    step = write("insert into kept values ($1)", [1], "delete from kept where id = $1", [1])
    said, code, _ = bench.run({"kept": [step]})
    wrong = [] if code == 5 and "permission denied for table kept" in said else [f"exit code {code}: {said}"]
    code, said = bench.cleanup()
    wrong += [] if code == 5 and "`delete from kept where id = $1` with [1] on main" in said else [f"cleanup: {code}: {said}"]
    bench.server.sql("grant delete on kept to writer", DATABASE)
    code, said = bench.cleanup()
    wrong += [] if code == 0 and "everything is put back" in said else [f"cleanup that may: {code}: {said}"]
    bench.server.sql("revoke delete on kept from writer", DATABASE)
    return told("a change that cannot be put back, and then can", wrong + unlike(bench))


def killed_after_it(bench):
    """A death between the statement and its undo, a second cleanup after the first, and a row that is gone already."""
    running = bench.started({"killed": [insert(40), insert(41), ask("select pg_sleep(60)::text as v", "", within="90s")]})
    bench.until("select count(*) from accounts where id in (40, 41)", "2")
    bench.until("select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and usename = 'writer' and state = 'active'", "1")
    running.kill()
    running.wait()
    wrong = ["nothing was left to put back"] if bench.contents() == bench.before else []
    bench.server.sql("delete from accounts where id = 41", DATABASE)
    code, said = bench.cleanup()
    wrong += [] if code == 0 and "everything is put back" in said else [f"cleanup: {code}: {said}"]
    code, said = bench.cleanup()
    wrong += [] if code == 0 and "nothing is left" in said else [f"second cleanup: {code}: {said}"]
    return told("a death between the statement and its undo", wrong + unlike(bench))


def killed_in_the_middle(bench):
    """A statement that outlives the process that sent it: its undo waits for its end."""
    step = write("insert into accounts select 50, 'x' from pg_sleep(2)", [], "delete from accounts where id = $1", [50])
    running = bench.started({"killed": [step]})
    active = "select count(*) from pg_stat_activity where query like '%pg_sleep(2)%' and usename = 'writer' and state = 'active'"
    bench.until(active, "1")
    running.kill()
    running.wait()
    wrong = ["the statement had ended before cleanup began"] if bench.server.sql(active, DATABASE) != "1" else []
    code, said = bench.cleanup()
    wrong += [] if code == 0 and "everything is put back" in said else [f"cleanup: {code}: {said}"]
    wrong += ["the statement is still under way"] if bench.server.sql(active, DATABASE) != "0" else []
    return told("a death while the statement is under way", wrong + unlike(bench))


def deaths(bench):
    """A death at every record, request and answer of a run that writes two rows."""
    if shutil.which("strace") is None or subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode:
        print("a death at every point: NOT RUN: strace is not there, or may not look at processes")
        return 0
    tried, restored, wrong = 0, 0, []
    for call in ("fdatasync", "sendto", "recvfrom"):
        for number in range(1, 200):
            inject = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
            running = bench.started({"two-rows": [insert(60), insert(61)]}, inject)
            running.communicate(timeout=120)
            if running.returncode not in (-signal.SIGKILL, 128 + signal.SIGKILL):
                break
            tried, (code, said) = tried + 1, bench.cleanup()
            restored += "everything is put back" in said
            wrong += [f"{call} {number}: {code}: {said}"] if code else []
            wrong += [f"{call} {number}: {line}" for line in unlike(bench)]
    wrong += [] if restored else ["no death had anything to put back"]
    return told(f"a death at each of {tried} points, {restored} of them with something to put back", wrong)


def main():
    bench = Bench()
    try:
        parts = (good, bad, without_permit, doctor, left_over, killed_after_it, killed_in_the_middle, deaths)
        differences = sum(part(bench) for part in parts)
    finally:
        bench.server.stop()
    sys.exit(1 if differences else 0)


main()
