"""Every verdict and kind of the step `sql`, by the real muster against a real server. See run.sh."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from server import ADMIN, Certificates, Server

BIN, MUSTER, WORK = sys.argv[1], sys.argv[2], Path(sys.argv[3])
SUITES = Path(__file__).resolve().parents[2] / "suites"
PASSWORD = "correct-horse-battery"
DATABASE = "platform"
# What md5 makes of `x`: captured as a secret by one case.
SECRET = "9dd4e461268c8034f5c8564e155c67a6"
# What md5 makes of `y`: a secret that stands in another column than the one from which it is captured.
ELSEWHERE = "415290769594460e2e485922904f345d"

HBA = """
hostnossl all plain 127.0.0.1/32 scram-sha-256
hostssl all certified 127.0.0.1/32 cert
hostssl all reader,owner,wrong,writer 127.0.0.1/32 scram-sha-256
"""

SETUP = f"""
create role reader login password '{PASSWORD}';
create role plain login password '{PASSWORD}';
create role owner login password '{PASSWORD}' superuser;
create role wrong login password 'another-{PASSWORD}';
create role writer login password '{PASSWORD}';
create role certified login;
create table accounts (id int primary key, namespace text not null, note jsonb);
insert into accounts values (1, 'foo-bar', '{{"a": [1, 2]}}'), (2, 'foo-bar', null), (3, 'other', null);
create table hidden (id int);
create sequence counter;
create type colour as enum ('red', 'green');
create domain short as varchar(3);
create function writes() returns int language sql as 'insert into accounts values (99, ''x'', null) returning id';
grant update on accounts to writer;
grant select on accounts to reader, plain, certified;
"""

# What is asked for one row of every type, and the JSON that it must be.
TYPES = [
    ("true", True), ("false", False), ("1::int2", 1), ("'-2147483648'::int4", -2147483648),
    ("9007199254740993::int8", 9007199254740993), ("26::oid", 26), ("0.1::float4", 0.1), ("1e300::float8", 1e300),
    ("'NaN'::float8", "NaN"), ("'-Infinity'::float4", "-Infinity"), ("12345678901234567890.0100::numeric", "12345678901234567890.0100"),
    ("-0.00012::numeric", "-0.00012"), ("10000::numeric", "10000"), ("'NaN'::numeric", "NaN"), ("'größer'::text", "größer"),
    ("'ab'::char(4)", "ab  "), ("'abc'::varchar", "abc"), ("'n'::name", "n"), ("'red'::colour", "red"), ("'abc'::short", "abc"),
    ("'{\"b\": [1, null]}'::json", {"b": [1, None]}), ("'[true]'::jsonb", [True]),
    ("'2026-11-25 08:04:25.5+02'::timestamptz", "2026-11-25T06:04:25.5Z"), ("'1999-12-31 23:59:59'::timestamp", "1999-12-31T23:59:59"),
    ("'infinity'::timestamptz", "infinity"), ("'2026-02-28'::date", "2026-02-28"), ("'08:04:25.000001'::time", "08:04:25.000001"),
    ("'123e4567-e89b-12d3-a456-426614174000'::uuid", "123e4567-e89b-12d3-a456-426614174000"), ("'\\x00ff'::bytea", "AP8="),
    ("null", None), ("array[1, null, 3]", [1, None, 3]), ("array['a,b', '\"']", ["a,b", '"']), ("array[]::int[]", []),
    ("array['red']::colour[]", ["red"]),
]

# Values that are bound: the query, the values, and what comes back.
VALUES = [
    ("select $1::int as v", [7], 7), ("select $1::text as v", ["'; drop table accounts; --"], "'; drop table accounts; --"),
    ("select $1::bool as v", [True], True), ("select $1::int is null as v", [None], True), ("select $1::jsonb as v", [{"a": ["x"]}], {"a": ["x"]}),
    ("select $1::text[] as v", [["a\"b", None, "c\\"]], ["a\"b", None, "c\\"]), ("select $1::bytea as v", ["AP8="], "AP8="),
    ("select count(*) as v from accounts where namespace = $1", ["foo-bar"], 2), ("select $1::numeric + $2 as v", ["0.1", 0.2], "0.3"),
    ("select $1::timestamptz as v", ["2026-11-25T06:04:25Z"], "2026-11-25T06:04:25Z"),
]

# What would change something, asked by a user who may do everything.
WRITES = [
    "insert into accounts values (4, 'x', null)", "update accounts set namespace = 'x'", "delete from accounts", "truncate accounts",
    "insert into accounts values (5, 'x', null) returning id", "with gone as (delete from accounts returning id) select * from gone",
    "create table more (id int)", "drop table accounts", "select nextval('counter')", "select writes()", "set transaction read write",
    "select set_config('transaction_read_only', 'off', true)", "do $$ begin delete from accounts; end $$", "select * from accounts for update",
    "vacuum accounts", "do $$ begin set transaction read write; delete from accounts; end $$",
]


# The cases of muster's own suites that ask a database, and what turns each red.
OUR_OWN = {
    "accounts-and-rules-stand-in-the-database": "delete from auth where key like 'rules/micro/%'",
}

# The platform's table of accounts and rules, as its store keeps it.
AUTH = """
create table auth (key text primary key, value bytea, metadata jsonb, expiry timestamptz);
grant select on auth to reader;
insert into auth select 'account/micro/' || n from generate_series(1, 3) n;
insert into auth select 'rules/micro/' || n from unnest(array['alert', 'status', 'auth', 'signup', 'onlyloggedin']) n;
"""


# What `muster doctor` says of the databases.
DOCTOR = [
    ("ok      database main", "reader may read platform, over TLS"), ("ok      database plain", "plain may read platform, without TLS"),
    ("ok      database certified", "certified may read platform, over TLS"), ("NOT OK  database owner", "owner may do everything in platform"),
    ("NOT OK  database writer", "writer may change 1 tables of platform"), ("NOT OK  database wrong-password", "password authentication failed"),
    ("NOT OK  database untrusted", "is not signed by `ca` of the target file"), ("NOT OK  database nobody-there", "cannot be reached"),
    ("NOT OK  database expired-own", "ours for it ends in -"), ("NOT OK  database expired-own", "does not take our certificate"),
]


class Cases:
    """The cases of one suite, and what must become of each."""

    def __init__(self):
        self.cases, self.wanted = [], {}

    def add(self, name, step, verdict="pass", kind=None, *words):
        self.cases.append({"id": name, "why": "a promise of the step kind sql", "tags": ["nightly"], "steps": [{"sql": step}]})
        self.wanted[name] = (verdict, kind, words)


def normal():
    """Everything that a server which is well can be asked."""
    cases = Cases()
    for number, (expression, value) in enumerate(TYPES):
        cases.add(f"type-{number}", {"on": "main", "query": f"select {expression} as v", "expect": {"rows": 1, "body": {"$[0].v": {"equals": value}}}})
    for number, (query, values, value) in enumerate(VALUES):
        cases.add(f"values-{number}", {"on": "main", "query": query, "values": values, "expect": {"rows": 1, "body": {"$[0].v": {"equals": value}}}})
    for number, query in enumerate(WRITES):
        cases.add(f"write-{number}", {"on": "owner", "query": query}, "inconclusive", "sql.read-only", "SQLSTATE 25")
    cases.add("two-statements", {"on": "owner", "query": "select 1; delete from accounts"}, "inconclusive", "sql.statement", "cannot insert multiple commands")
    cases.add("commit-and-write", {"on": "owner", "query": "commit; delete from accounts"}, "inconclusive", "sql.statement", "cannot insert multiple commands")
    cases.add("commit-alone", {"on": "owner", "query": "commit"}, "inconclusive", "sql.statement", "wanted a query that has columns")
    cases.add("no-such-column", {"on": "main", "query": "select nothing from accounts"}, "inconclusive", "sql.statement", 'column "nothing" does not exist', "at character 8 of the query", "SQLSTATE 42703")
    cases.add("no-such-table", {"on": "main", "query": "select 1 from nowhere"}, "inconclusive", "sql.statement", 'relation "nowhere" does not exist', "SQLSTATE 42P01")
    cases.add("bad-syntax", {"on": "main", "query": "selec 1"}, "inconclusive", "sql.statement", "syntax error", "at character 1")
    cases.add("not-for-this-user", {"on": "main", "query": "select * from hidden"}, "inconclusive", "sql.denied", "permission denied for table hidden")
    cases.add("value-of-another-type", {"on": "main", "query": "select $1::int as v", "values": ["seven"]}, "inconclusive", "sql.values", "invalid input syntax for type integer")
    cases.add("too-few-values", {"on": "main", "query": "select $1::int + $2::int as v", "values": [1]}, "inconclusive", "sql.values", "it wants 2, and 1 are given")
    cases.add("list-for-a-number", {"on": "main", "query": "select $1::int as v", "values": [[1]]}, "inconclusive", "sql.values", "a list cannot become int4")
    cases.add("unknown-type", {"on": "main", "query": "select '1 day'::interval as v"}, "inconclusive", "sql.column", "`v` has the type interval, which is not read", "write v::text")
    cases.add("two-dimensions", {"on": "main", "query": "select array[[1], [2]] as v"}, "inconclusive", "sql.column", "a value of the column `v` cannot be shown")
    cases.add("one-name-twice", {"on": "main", "query": "select 1 as v, 2 as v"}, "inconclusive", "sql.column", "two columns are called `v`")
    cases.add("endless", {"on": "main", "query": "select repeat('x', 1000000) as v from generate_series(1, 1000)"}, "inconclusive", "sql.too-many", "the rows are more than")
    cases.add("too-slow", {"on": "main", "query": "select pg_sleep(60)", "within": "300ms"}, "inconclusive", "sql.timeout", "canceling statement due to statement timeout")
    cases.add("in-time", {"on": "main", "query": "select pg_sleep(0) as v", "within": "30s", "expect": {"rows": 1, "body": {"$[0].v": {"type": "null"}}}})
    cases.add("too-few-rows", {"on": "main", "query": "select * from accounts", "expect": {"rows": {"at_least": 4}}}, "fail", "expect.rows", "rows: wanted at least 4, found 3")
    cases.add("another-value", {"on": "main", "query": "select namespace from accounts where id = 1", "expect": {"body": {"$[0].namespace": "other"}}}, "fail", "expect.body", '$[0].namespace: wanted "other", found "foo-bar"')
    cases.add("captured-secret", {"on": "main", "query": "select md5('x') as v", "expect": {"body": {"$[0].v": "other"}}, "capture": {"v": {"path": "$[0].v", "secret": True}}}, "fail", "expect.body", "found \"«secret»\"")
    cases.add("secret-elsewhere", {"on": "main", "query": "select md5('y') as w", "capture": {"v": {"path": "$[0].v", "secret": True}}}, "fail", "expect.capture", "nothing stands at $[0].v")
    cases.add("nothing-to-capture", {"on": "main", "query": "select id from accounts where id = 99", "capture": {"id": "$[0].id"}}, "fail", "expect.capture", "nothing stands at $[0].id")
    cases.add("never-true", {"on": "main", "query": "select count(*) as n from accounts", "until": {"body": {"$[0].n": 4}}, "every": "50ms", "within": "400ms"}, "fail", "sql.unmet", "$[0].n: wanted 4, found 3")
    cases.add("at-once-true", {"on": "main", "query": "select count(*) as n from accounts", "until": {"body": {"$[0].n": 3}}, "within": "60s"})
    cases.add("by-certificate", {"on": "certified", "query": "select current_user::text as v", "expect": {"body": {"$[0].v": "certified"}}})
    cases.add("without-tls", {"on": "plain", "query": "select count(*) as v from accounts", "expect": {"body": {"$[0].v": 3}}})
    cases.add("without-certificate", {"on": "no-certificate", "query": "select 1 as v"}, "inconclusive", "sql.login", "connection requires a valid client certificate")
    cases.add("expired-own-certificate", {"on": "expired-own", "query": "select 1 as v"}, "inconclusive", "sql.certificate", "does not take our certificate", "CertificateExpired")
    cases.add("own-certificate-of-another", {"on": "untrusted-own", "query": "select 1 as v"}, "inconclusive", "sql.certificate", "does not take our certificate", "UnknownCA")
    cases.add("wrong-password", {"on": "wrong-password", "query": "select 1 as v"}, "inconclusive", "sql.login", "password authentication failed")
    cases.add("no-password", {"on": "no-password", "query": "select 1 as v"}, "inconclusive", "sql.login", "password missing")
    cases.add("no-such-database", {"on": "no-database", "query": "select 1 as v"}, "inconclusive", "sql.login", 'database "nowhere" does not exist')
    cases.add("tls-left-out", {"on": "tls-left-out", "query": "select 1 as v"}, "inconclusive", "sql.login", "no pg_hba.conf entry")
    cases.add("untrusted", {"on": "untrusted", "query": "select 1 as v"}, "inconclusive", "sql.certificate", "is not signed by `ca` of the target file")
    cases.add("wrong-name", {"on": "wrong-name", "query": "select 1 as v"}, "inconclusive", "sql.certificate", "bears another name")
    cases.add("nobody-there", {"on": "nobody-there", "query": "select 1 as v"}, "inconclusive", "sql.unreachable", "127.0.0.1:1: Connection refused")
    cases.add("no-such-name", {"on": "no-such-name", "query": "select 1 as v"}, "inconclusive", "sql.unreachable", "no-such-name.invalid:5432")
    return cases


def one(database, query, within, verdict, kind, *words):
    cases = Cases()
    cases.add("one", {"on": database, "query": query, "within": within}, verdict, kind, *words)
    return cases


class Bench:
    """A server, the target file that leads to it, and runs of muster."""

    def __init__(self):
        WORK.mkdir(parents=True)
        self.certificates = self.made_certificates()
        settings = ["ssl = on", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'", f"ssl_ca_file = '{WORK}/ca.crt'"]
        (WORK / "ca.crt").write_bytes(self.certificates.path("authority.pem").read_bytes())
        self.server = Server(BIN, WORK / "server", HBA, settings)
        self.serve("good")
        self.target()

    def made_certificates(self):
        made = Certificates(WORK / "certificates")
        made.authority("authority")
        made.authority("stranger")
        made.signed("good", "authority", "db.example.test", "DNS:db.example.test,IP:127.0.0.1")
        made.signed("expired", "authority", "db.example.test", "DNS:db.example.test,IP:127.0.0.1", expired=True)
        made.signed("own", "authority", "certified")
        made.signed("own-expired", "authority", "certified", expired=True)
        made.signed("own-stranger", "stranger", "certified")
        return made

    def serve(self, name):
        """The server shows this certificate from its next connection on."""
        for ending, shown in (("pem", "server.crt"), ("key", "server.key")):
            path = self.server.folder / "data" / shown
            path.write_bytes(self.certificates.path(f"{name}.{ending}").read_bytes())
            path.chmod(0o600)
            subprocess.run(["chown", "nobody:nogroup", str(path)], check=True)

    def serve_from_now(self, name):
        self.serve(name)
        self.server.signal(signal.SIGHUP)
        wanted = self.certificates.path(f"{name}.pem").read_text().strip()
        for _ in range(200):
            shown = subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{self.server.port}"],
                                   stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
            if wanted in shown:
                return
            time.sleep(0.1)
        raise SystemExit(f"error: the server does not show the certificate {name}")

    def target(self, **more):
        here, path = f"127.0.0.1:{self.server.port}", self.certificates.path
        (WORK / "password").write_text(PASSWORD)
        secret, ca = {"file": str(WORK / "password")}, str(path("authority.pem"))

        def own(name):
            return {"ca": ca, "certificate": str(path(f"{name}.pem")), "key": str(path(f"{name}.key"))}

        def database(user, tls, at=here, name=DATABASE, secret=secret):
            entry = {"postgres": at, "database": name, "user": user, "tls": tls}
            return {**entry, "secret": secret} if secret else entry

        trust = {"ca": ca}
        databases = {
            "main": database("reader", trust), "owner": database("owner", {"ca": ca, "name": "db.example.test"}),
            "writer": database("writer", trust), "plain": database("plain", "off"), "certified": database("certified", own("own"), secret=None),
            "no-certificate": database("certified", trust), "expired-own": database("certified", own("own-expired"), secret=None),
            "untrusted-own": database("certified", own("own-stranger"), secret=None), "wrong-password": database("wrong", trust),
            "no-password": database("reader", trust, secret=None), "no-database": database("reader", trust, name="nowhere"),
            "tls-left-out": database("reader", "off"), "untrusted": database("reader", {"ca": str(path("stranger.pem"))}),
            "wrong-name": database("reader", {"ca": ca, "name": "other.example.test"}),
            "nobody-there": database("reader", trust, at="127.0.0.1:1"), "no-such-name": database("reader", trust, at="no-such-name.invalid:5432"),
        }
        # The API is named because a target must have one; nothing is asked of it.
        self.names = {"name": "database", "api": "http://127.0.0.1:9", "databases": databases, **more}
        (WORK / "target.yaml").write_text(json.dumps(self.names))

    def started(self, cases, name):
        folder = WORK / name
        (folder / "suites/database").mkdir(parents=True)
        (folder / "suites/needs.yaml").write_text("database: there is one\n")
        (folder / "suites/database/sql.yaml").write_text(json.dumps({"title": "The step kind sql", "cases": cases.cases}))
        return subprocess.Popen(
            [MUSTER, "run", "--suites", folder / "suites", "--target", WORK / "target.yaml", "--report-dir", folder / "report",
             "--state-dir", folder / "state"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def judged(self, running, cases, name):
        """Compares what muster found with what is wanted. The number of differences."""
        told, _ = running.communicate(timeout=120)
        summary = WORK / name / "report/summary.json"
        if not summary.exists():
            print(f"{name}: there is no summary\n{told}")
            return 1
        text = summary.read_text()
        found = {case["case"]: case for case in json.loads(text)["cases"]}
        differences = [line for case, wanted in cases.wanted.items() if (line := difference(case, wanted, found.get(case)))]
        written = told + text + (WORK / name / "report/run.jsonl").read_text()
        for secret in (PASSWORD, SECRET, ELSEWHERE):
            if secret in written:
                differences.append(f"{secret} stands in what was written")
        print(f"{name}: {len(cases.wanted) - len(differences)} of {len(cases.wanted)} cases as they must be")
        print("".join(f"  {line}\n" for line in differences), end="")
        return len(differences)

    def run(self, cases, name):
        return self.judged(self.started(cases, name), cases, name)

    def own_suites(self):
        """A folder with those of muster's own suites that ask a database."""
        folder = WORK / "own"
        (folder / "suites/platform-setup").mkdir(parents=True, exist_ok=True)
        for name in ("needs.yaml", "platform-setup/database.yaml"):
            (folder / "suites" / name).write_text((SUITES / name).read_text())
        return folder

    def own(self, case):
        """The outcome of a case of muster's own suites."""
        folder = self.own_suites()
        (folder / "target.yaml").write_text(json.dumps({**self.names, "provides": ["database"]}))
        subprocess.run([MUSTER, "run", case, "--suites", "suites", "--target", "target.yaml", "--report-dir", "report", "--state-dir", "state"], cwd=folder,
                       stdin=subprocess.DEVNULL, capture_output=True, check=False)
        [only] = json.loads((folder / "report/summary.json").read_text())["cases"]
        return only["outcome"]

    def own_cases(self):
        """Each passes, and is turned red by what it is there to notice. The number of those that do otherwise."""
        self.server.sql(AUTH, DATABASE)
        wrong = 0
        for case, breaks in OUR_OWN.items():
            before = self.own(case)
            self.server.sql(breaks, DATABASE)
            after = self.own(case)
            print(f"{case}: {before}, and after `{breaks}` {after}")
            wrong += (before, after) != ("pass", "fail")
        return wrong

    def doctor(self):
        """What `muster doctor` says of each database. The number of lines that are not as they must be."""
        done = subprocess.run([MUSTER, "doctor", "--target", WORK / "target.yaml", "--suites", self.own_suites() / "suites",
                               "--state-dir", WORK / "doctor"], capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        if not lines:
            print(done.stderr)
        lacking = [row for row in DOCTOR if not any(line.startswith(row[0] + " ") and row[1] in line for line in lines)]
        print(f"doctor: {len(DOCTOR) - len(lacking)} of {len(DOCTOR)} lines as they must be, exit code {done.returncode}")
        print("".join(f"  lacking {row}\n" for row in lacking) + (done.stdout if lacking else ""), end="")
        return len(lacking) + (done.returncode != 3)

    def contents(self):
        return self.server.sql("select string_agg(a::text, ';' order by id) from accounts a", DATABASE) + self.server.sql(
            "select last_value, is_called from counter", DATABASE) + self.server.sql("select string_agg(relname, ',' order by relname) from pg_class where relnamespace = 'public'::regnamespace", DATABASE)


def difference(case, wanted, found):
    """What is not as it must be, if anything."""
    verdict, kind, words = wanted
    if found is None:
        return f"{case}: not in the summary"
    failure = (found["failures"] or [{"kind": None, "message": ""}])[0]
    lacking = [word for word in words if word not in failure["message"]]
    if (found["outcome"], failure["kind"]) == (verdict, kind) and not lacking:
        return None
    return f"{case}: wanted {verdict} {kind} {words}, found {found['outcome']} {failure['kind']}: {failure['message']}"


def in_the_middle(bench, name, breaks, kind, *words):
    """Something happens to the session while its query runs; `breaks` is told its process."""
    cases = one("main", "select pg_sleep(120)", "4s", "inconclusive", kind, *words)
    running = bench.started(cases, name)
    for _ in range(300):
        process = bench.server.sql("select pid from pg_stat_activity where query = 'select pg_sleep(120)' and state = 'active'")
        if process:
            breaks(int(process))
            break
        time.sleep(0.02)
    return bench.judged(running, cases, name)


def troubles(bench):
    """A session that is ended, one that freezes, and a server that goes down at once and comes back."""
    server = bench.server
    frozen = []
    different = in_the_middle(bench, "ended", lambda process: server.sql(f"select pg_terminate_backend({process})"), "sql.lost",
                              "terminating connection due to administrator command")
    different += in_the_middle(bench, "frozen", lambda process: (frozen.append(process), os.kill(process, signal.SIGSTOP)), "sql.timeout",
                               "said nothing within 4s")
    os.kill(frozen[0], signal.SIGCONT)
    different += in_the_middle(bench, "killed", lambda process: os.kill(process, signal.SIGKILL), "sql.lost", "the server closed it")
    server.wait()
    different += in_the_middle(bench, "at-once", lambda process: server.signal(signal.SIGQUIT), "sql.lost", "the server closed it")
    server.process.wait(60)
    server.start()
    return different


def main():
    bench = Bench()
    server = bench.server.start()
    try:
        server.sql(f"create database {DATABASE} owner {ADMIN}")
        server.sql(SETUP, DATABASE)
        before = bench.contents()
        differences = bench.run(normal(), "a-good-server")
        if bench.contents() != before:
            differences += 1
            print(f"the database changed:\n{before}\n{bench.contents()}")
        else:
            print("the database is as it was")
        differences += bench.doctor()
        differences += bench.own_cases()
        bench.serve_from_now("expired")
        differences += bench.run(one("main", "select 1 as v", "20s", "inconclusive", "sql.certificate", "has expired"), "expired-certificate")
        bench.serve_from_now("good")
        differences += troubles(bench)
        bench.target(answer_within="2s")
        server.signal(signal.SIGSTOP)
        differences += bench.run(one("main", "select 1 as v", "1s", "inconclusive", "sql.unreachable", "says nothing within 2s"), "stopped-server")
        server.signal(signal.SIGCONT)
        bench.target()
        server.stop()
        differences += bench.run(one("main", "select 1 as v", "20s", "inconclusive", "sql.unreachable", "Connection refused"), "no-server")
    finally:
        server.stop()
    sys.exit(1 if differences else 0)


main()
