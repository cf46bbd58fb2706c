//! A secret of its own in each channel by which muster is given secrets, in one run that also disrupts: none is written.
//!
//! Everybody who is shown one shows it again: the database and the mail server in their refusals, the cluster in an object.

use super::{files, found_in, written};
use crate::program::{Bench, code, stderr, stdout, summary};
use muster::client::kube::{Kube, Place};
use muster::fake::{self, Addresses, Options, Profile};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// The channels, each with its secret; the last is given to nobody, and stands for what muster cannot know.
const ENVIRONMENT: &str = "Env7!Zk-92_xVwTt5rBn";
const FILE: &str = "File-Q4&mXw8'zLr0pKd2";
const TOKEN: &str = "kubeTOKENx93VwLq28Rt";
const DATABASE: &str = "Db/pass+W0rd=77xYzQm";
const MAILBOX: &str = "Imap<secret>42$Kfj7h";
const BUCKET: &str = "bucketKEY/9s8d7f6g5h4";
const UNKNOWN: &str = "nobodyKNOWSthisONE99";

/// A client's certificate and its key, which opens nothing.
const CERTIFICATE: &str = include_str!("../../../fixtures/certificates/client.pem");
const KEY: &str = include_str!("../../../fixtures/certificates/client.key");

/// What is secret of it, in one line: where it is shown its lines may be of another length.
fn key() -> String {
    KEY.lines().filter(|line| !line.starts_with("-----")).collect()
}

fn planted() -> Vec<String> {
    let texts = [ENVIRONMENT, FILE, TOKEN, DATABASE, MAILBOX, BUCKET].map(str::to_owned);
    texts.into_iter().chain([key()]).collect()
}

/// Fakes whose operator has the secret of the environment.
fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let secrets_file = folder.path().join("secrets");
    let fakes = fake::start(Options {
        seed: 7,
        pace: 0.05,
        defects: vec!["secret-in-error".into()],
        profile: Profile::Runbook,
        now: muster::host::now(),
        secrets_file: secrets_file.clone(),
        operator_secret: Some(ENVIRONMENT.into()),
        addresses: Addresses::default(),
    })
    .unwrap();
    std::fs::write(&secrets_file, format!("{}\nMUSTER_FILE={FILE}\n", fakes.secrets.trim_end())).unwrap();
    std::fs::write(folder.path().join("target.yaml"), &fakes.target).unwrap();
    Bench { folder, fakes: Some(fakes) }
}

/// A server that greets, and answers everything that it is sent with the same; its address.
fn saying(greeting: &'static str, answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            stream.write_all(greeting.as_bytes()).ok();
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) && stream.write_all(&answer).is_ok() {}
        }
    });
    address
}

/// A PostgreSQL that refuses, and says which password it was given.
fn database() -> String {
    let fields = format!("SFATAL\0C28P01\0Mthe password {DATABASE} is wrong\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    saying("", [b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat())
}

/// A mail server that does the same.
fn mailbox() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            stream.write_all(b"* OK ready\r\n").ok();
            for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
                let tag = line.split(' ').next().unwrap_or_default();
                write!(stream, "{tag} NO [AUTHENTICATIONFAILED] {MAILBOX} is wrong\r\n").ok();
            }
        }
    });
    address
}

/// A bucket that does the same.
fn bucket() -> String {
    let body =
        format!("<Error><Code>SignatureDoesNotMatch</Code><Message>{BUCKET} is wrong</Message></Error>");
    saying("", format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// The target file with a secret in every channel.
fn plant(bench: &Bench) {
    let server = format!("http://{}", bench.fakes.as_ref().unwrap().addresses.kubernetes);
    std::fs::write(bench.path("client.pem"), CERTIFICATE).unwrap();
    std::fs::write(bench.path("client.key"), KEY).unwrap();
    let config = format!(
        "{{ kind: Config, apiVersion: v1, clusters: [{{ name: c, cluster: {{ server: '{server}' }} }}], \
         contexts: [{{ name: c, context: {{ cluster: c, user: u }} }}], \
         users: [{{ name: u, user: {{ token: {TOKEN}, client-certificate: client.pem, client-key: client.key }} }}] }}"
    );
    std::fs::write(bench.path("kubeconfig"), config).unwrap();
    let entries = format!(
        "databases:\n  main: {{ postgres: \"{}\", database: d, user: u, tls: off, secret: {{ env: PLANTED_DATABASE }} }}\n\
         buckets:\n  shown: {{ s3: \"http://{}\", bucket: b, access_key: k, secret: {{ env: PLANTED_BUCKET }} }}\n",
        database(),
        bucket()
    );
    let mail = format!(
        "  letters: {{ mail: {{ imap: '{}', tls: none, user: u, secret: {{ env: PLANTED_MAIL }} }}, pattern: '(x)' }}\n",
        mailbox()
    );
    bench.rewrite_target(|text| {
        let path = bench.path("secrets").display().to_string();
        text.replace(
            &format!("secret: {{ file: \"{path}\", key: MUSTER_OPERATOR }}"),
            "secret: { env: MUSTER_OPERATOR }",
        )
        .replace(&format!("server: \"{server}\""), "config: kubeconfig, context: c")
        .replace(
            "  newcomer: {}\n",
            &format!(
                "  newcomer: {{}}\n  known: {{ id: k, secret: {{ file: {path}, key: MUSTER_FILE }} }}\n"
            ),
        )
        .replace("lacks: [invite-only, database]", "lacks: [invite-only]")
        .replace("buckets:\n", &entries)
        .replace("mailbox:\n", &format!("mailbox:\n{mail}"))
    });
    let target = std::fs::read_to_string(bench.path("target.yaml")).unwrap();
    for given in [
        "env: MUSTER_OPERATOR",
        "MUSTER_FILE",
        "config: kubeconfig",
        "PLANTED_DATABASE",
        "PLANTED_MAIL",
        "PLANTED_BUCKET",
    ] {
        assert!(target.contains(given), "{given}: {target}");
    }
}

/// The cluster shows all of them.
fn show(bench: &Bench) {
    let place = Place::Url(format!("http://{}", bench.fakes.as_ref().unwrap().addresses.kubernetes));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kube = runtime.block_on(Kube::connect(&place, Duration::from_secs(20))).unwrap();
    let text = format!("{} {UNKNOWN}", planted().join(" "));
    runtime.block_on(kube.annotate("default", "shown", Some(&text))).unwrap();
}

const CASES: &str = "title: Channels
cases:
  - id: the-cluster-shows-them
    why: what a cluster shows stands in reports
    steps:
      - call: { kube: /api/v1/namespaces/default, expect: { body: { $.metadata.annotations.shown: nothing } } }
  - id: the-database-shows-one
    why: so does what a database says
    steps: [{ sql: { on: main, query: select 1, within: 2s, expect: { rows: { at_least: 1 } } } }]
  - id: the-mailbox-shows-one
    why: so does what a mail server says
    steps: [{ receive: { what: letters, to: me@example.test, within: 20s, capture: letter } }]
  - id: the-bucket-shows-one
    why: so does what a bucket says
    steps: [{ objects: { in: shown, expect: { body: { $.count: 1 } } } }]
  - id: what-is-stored
    why: so does what is kept as a snapshot
    steps: [{ snapshot: { name: signup, op: config.get, as: operator, json: { namespace: micro, path: micro.signup.no_payment } } }]
  - id: a-pod-is-killed
    why: so does what is told of a disruption
    for_each: { pod: [{ name: alert, service: alert, group: services }] }
    steps:
      - disrupt:
          fault: { delete_pod: $(pod) }
          probes: { own: { op: debug.health, with: { service: alert }, as: operator } }
          recovered: { when: [ready, served], stable_for: 1s, within: 120s }
";

/// What must come of the cases for each secret to have been used, and shown.
const OUTCOMES: [&str; 6] = [
    "a-pod-is-killed[alert]: pass",
    "the-bucket-shows-one: inconclusive",
    "the-cluster-shows-them: fail",
    "the-database-shows-one: inconclusive",
    "the-mailbox-shows-one: inconclusive",
    "what-is-stored: pass",
];

fn outcomes(bench: &Bench) -> Vec<String> {
    let cases = summary(&bench.path("reports"))["cases"].as_array().unwrap().clone();
    let word = |case: &serde_json::Value, key: &str| case[key].as_str().unwrap().to_owned();
    let mut told: Vec<String> =
        cases.iter().map(|case| format!("{}: {}", word(case, "case"), word(case, "outcome"))).collect();
    told.sort();
    told
}

#[test]
fn a_secret_in_any_channel_is_written_nowhere() {
    let bench = bench();
    plant(&bench);
    show(&bench);
    std::fs::write(bench.suites_without_cases().join("channels.yaml"), CASES).unwrap();
    let mut command = bench.muster(&[
        "run",
        "--suites",
        "suites",
        "--allow-disruption",
        "--update-snapshots",
        "--snapshots",
        "kept",
    ]);
    let given = [
        ("MUSTER_OPERATOR", ENVIRONMENT),
        ("PLANTED_DATABASE", DATABASE),
        ("PLANTED_MAIL", MAILBOX),
        ("PLANTED_BUCKET", BUCKET),
    ];
    let output = command.envs(given).env("RUST_BACKTRACE", "full").output().unwrap();
    let told = stdout(&output) + &stderr(&output);
    assert_eq!(code(&output), 1, "{told}");
    assert_eq!(outcomes(&bench), OUTCOMES, "{told}");
    assert!(!files(&bench.path("kept")).is_empty(), "no snapshot was kept");
    let mut texts = written(&bench, &["reports", "state", "kept"]);
    texts.push(("standard output".into(), stdout(&output).into_bytes()));
    texts.push(("standard error".into(), stderr(&output).into_bytes()));
    assert_eq!(found_in(&planted(), &texts), Vec::<String>::new(), "{told}");
    assert!(
        !found_in(&[UNKNOWN.to_owned()], &texts).is_empty(),
        "nothing was shown that could have been found"
    );
}

/// What a process is told that shall panic with a secret in its hands.
const PANICS: &str = "MUSTER_TEST_PANICS";

#[test]
fn a_panic_says_where_and_not_with_what() {
    if std::env::var_os(PANICS).is_some() {
        muster::host::quiet_panics();
        panic!("the text of a panic may hold {UNKNOWN}");
    }
    let name = "planted::channels::a_panic_says_where_and_not_with_what";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(PANICS, "1").env("RUST_BACKTRACE", "full");
    let output = command.output().unwrap();
    assert_eq!(code(&output), 101, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("muster panicked at tests/it/planted/channels.rs:"),
        "{}",
        stderr(&output)
    );
    let texts = [("standard output".to_owned(), output.stdout), ("standard error".to_owned(), output.stderr)];
    assert_eq!(found_in(&[UNKNOWN.to_owned()], &texts), Vec::<String>::new());
}
