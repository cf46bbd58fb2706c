"""A restore drill on a real PostgreSQL: dump, write on, drop, restore; suites/drill/loss.yaml judges what was lost.

The writer notes each row that the database confirmed in a second database, the witness, which is not dropped. Three rounds:
the writer goes on after the dump (rows must be lost), it rests (none may be), and a row is taken out of the restored middle (a
hole must be noticed). What muster says is compared with what the two databases say when they are asked without it.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from server import Server, run

BIN, MUSTER, WORK = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
HERE = Path(__file__).resolve().parent
PASSWORD = "correct-horse-battery"
HBA = "host platform,witness reader 127.0.0.1/32 scram-sha-256\n"


class Session:
    """One psql that goes on: a statement in, a line out."""

    def __init__(self, server, database):
        self.process = subprocess.Popen(
            [str(BIN / "psql"), "-h", str(server.folder), "-p", str(server.port), "-U", "admin", "-d", database, "-qAtX"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, statement):
        self.process.stdin.write(statement + ";\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"error: no answer to `{statement}`")
        return line

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def write(server, seconds):
    """Writes a row every 20 ms; the witness notes each that was confirmed."""
    records, witness = Session(server, "platform"), Session(server, "witness")
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        row = records.ask("insert into records default values returning id, written").split("|")
        witness.ask(f"insert into written values ({row[0]}, '{row[1]}') returning id")
        time.sleep(0.02)
    records.end()
    witness.end()


def dump(server):
    run(BIN / "pg_dump", "-h", server.folder, "-p", server.port, "-U", "admin", "-Fc", "-f", WORK / "platform.dump", "platform")


def drop_and_restore(server):
    server.sql("delete from moments; insert into moments values ('dropped', clock_timestamp())", "witness")
    server.sql("drop database platform with (force)")
    server.sql("create database platform")
    run(BIN / "pg_restore", "-h", server.folder, "-p", server.port, "-U", "admin", "-d", "platform", WORK / "platform.dump")


def judged(name):
    """Each case's outcome and the last thing that it showed."""
    folder = WORK / name
    folder.mkdir()
    done = subprocess.run([MUSTER, "run", "--suites", HERE / "suites", "--target", WORK / "target.yaml", "--report-dir", folder, "--state-dir",
                           folder / "state"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if not (folder / "run.jsonl").exists():
        raise SystemExit(f"error: muster ended in {done.returncode}\n{done.stdout}{done.stderr}")
    events = [json.loads(line)["event"] for line in (folder / "run.jsonl").read_text().splitlines()]
    ended = [event["case-ended"] for event in events if "case-ended" in event]
    return {case["case"].split("/")[-1]: (case["verdict"], case["failures"]) for case in ended}


def measured(failures):
    """The row that muster shows as evidence."""
    rows = next(evidence["text"] for evidence in failures[0]["evidence"] if evidence["label"] == "rows")
    return json.loads(rows.split("\n", 1)[1])[0]


def without_muster(server):
    """The same figures, from the two databases alone."""
    written, newest = server.sql("select count(*), max(id) from written", "witness").split("|")
    dropped = server.sql("select at from moments where what = 'dropped'", "witness")
    left, last = server.sql("select count(*), max(id) from records", "platform").split("|")
    window = server.sql(f"select round(extract(epoch from '{dropped}'::timestamptz - max(written)), 3) from records", "platform")
    return {"lost": int(written) - int(left), "of": int(written), "ids": f"{int(last) + 1}-{newest}", "window_s": window}


def compare(name, found, wanted):
    outcomes = {case: outcome for case, (outcome, _) in found.items()}
    print(f"{name}: {', '.join(f'{case} {outcome}' for case, outcome in sorted(outcomes.items()))}")
    if outcomes != wanted:
        print(f"  wanted {wanted}")
        for case, (_, failures) in found.items():
            print("".join(f"  {case}: {failure['kind']}: {failure['message']}\n" for failure in failures), end="")
    return outcomes != wanted


def rounds(server):
    holes, hour, nothing = "a-restore-has-no-holes", "the-loss-stays-within-an-hour", "nothing-is-lost"
    write(server, 1)
    dump(server)
    write(server, 1.5)
    drop_and_restore(server)
    found = judged("writing-goes-on")
    wrong = compare("writing goes on after the dump", found, {holes: "pass", hour: "pass", nothing: "fail"})
    if found[nothing][0] == "fail":
        loss, plain = measured(found[nothing][1]), without_muster(server)
        print(f"  lost {loss['lost']} of {loss['of']} rows ({loss['ids']}); loss window {loss['window_s']} s, from the newest row that "
              f"survived to the drop")
        if loss != plain:
            wrong = True
            print(f"  the databases say otherwise: {plain}")
    begin_anew(server)
    write(server, 0.5)
    dump(server)
    drop_and_restore(server)
    wrong |= compare("the writer rests from the dump to the drop", judged("resting"), {holes: "pass", hour: "pass", nothing: "pass"})
    server.sql("delete from records where id = 5", "platform")
    wrong |= compare("a row is missing in the middle", judged("a-hole"), {holes: "fail", hour: "pass", nothing: "fail"})
    return wrong


def begin_anew(server):
    """An empty table, and a witness who has seen nothing."""
    server.sql("truncate records restart identity", "platform")
    server.sql("truncate written", "witness")


def prepare(server):
    server.sql(f"create role reader login password '{PASSWORD}'")
    for database in ("platform", "witness"):
        server.sql(f"create database {database}")
    server.sql("create table records (id serial primary key, written timestamptz not null default clock_timestamp()); grant select on records to reader", "platform")
    server.sql("create table written (id int primary key, written timestamptz not null); create table moments (what text, at timestamptz); "
               "grant select on written, moments to reader", "witness")
    (WORK / "password").write_text(PASSWORD)
    database = {"postgres": f"127.0.0.1:{server.port}", "user": "reader", "secret": {"file": str(WORK / "password")}, "tls": "off"}
    # The API is named because a target must have one; nothing is asked of it.
    target = {"name": "drill", "api": "http://127.0.0.1:9", "provides": ["database"],
              "databases": {"main": {**database, "database": "platform"}, "witness": {**database, "database": "witness"}}}
    (WORK / "target.yaml").write_text(json.dumps(target))


def main():
    WORK.mkdir(parents=True)
    server = Server(BIN, WORK / "server", HBA).start()
    try:
        prepare(server)
        wrong = rounds(server)
    finally:
        server.stop()
    sys.exit(1 if wrong else 0)


main()
