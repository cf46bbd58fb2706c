//! A target that misbehaves: whatever it sends is judged, and nothing of it hangs, fells or fools a run.
//!
//! What did not come whole is Inconclusive, what came and is wrong is a Fail, and only what is right passes.

mod http2;
mod server;

use crate::program::{Outside, code, muster, stderr, stdout, summary};
use serde_json::Value;
use server::Hostile;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

/// Ten times what the slowest of these runs takes.
const HANG_GUARD: Duration = Duration::from_secs(120);

/// A target in a folder of its own, and suites for it.
struct Trial {
    folder: tempfile::TempDir,
}

impl Trial {
    /// Cases `id: steps` against a target file with these lines.
    fn of(target: &str, cases: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("suites")).unwrap();
        let harmless = "permits: { write: none, disrupt: [] }\nidentities: {}";
        let rest = if target.contains("permits:") { "" } else { harmless };
        let target = format!("name: hostile\n{target}\n{rest}\n");
        std::fs::write(folder.path().join("target.yaml"), target).unwrap();
        let cases: String = cases
            .iter()
            .map(|(id, steps)| {
                format!("  - id: {id}\n    why: whatever comes is judged\n    steps: [{steps}]\n")
            })
            .collect();
        std::fs::write(folder.path().join("suites/hostile.yaml"), format!("title: Hostile\ncases:\n{cases}"))
            .unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs every case; one that hangs is ended, and fails the test. The most memory that it held, in KiB.
    fn run(&self) -> (Output, u64) {
        let mut command = muster();
        command.current_dir(self.path()).args(["run", "--target", "target.yaml", "--suites", "suites"]);
        command.args(["--state-dir", "state", "--report-dir", "reports"]);
        let said = |name: &str| Stdio::from(std::fs::File::create(self.path().join(name)).unwrap());
        let mut child = Outside(command.stdout(said("out")).stderr(said("err")).spawn().unwrap());
        let (began, mut most_kib) = (Instant::now(), 0);
        let status = loop {
            match child.0.try_wait().unwrap() {
                Some(status) => break status,
                None => most_kib = most_kib.max(peak_kib(child.0.id())),
            }
            assert!(began.elapsed() < HANG_GUARD, "it hangs");
            std::thread::sleep(Duration::from_millis(5));
        };
        let read = |name: &str| std::fs::read(self.path().join(name)).unwrap();
        (Output { status, stdout: read("out"), stderr: read("err") }, most_kib)
    }

    fn summary(&self) -> Value {
        summary(&self.path().join("reports"))
    }
}

/// The most memory that a process has held so far; 0 once it is gone.
fn peak_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// How a case ended: its verdict, and kind and message of its first failure.
fn ended(summary: &Value, case: &str) -> (String, String, String) {
    let cases = summary["cases"].as_array().unwrap();
    let found = cases.iter().find(|it| it["case"] == case).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let failure = &found["failures"][0];
    (text(&found["outcome"]), text(&failure["kind"]), text(&failure["message"]))
}

/// A way to misbehave, and what is said of it: case and path, verdict, kind, a part of the message.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Each way alone in a case that wants the status `ok`; how the run ended.
fn judged(target: &str, rows: &[Row]) -> Output {
    judged_by("get", target, rows)
}

/// The same, asked by `get` or by `kube`.
fn judged_by(verb: &str, target: &str, rows: &[Row]) -> Output {
    let wants =
        |path: &str| format!("{{ call: {{ {verb}: /{path}, expect: {{ body: {{ $.status: ok }} }} }} }}");
    let steps: Vec<String> = rows.iter().map(|(path, ..)| wants(path)).collect();
    let cases: Vec<(&str, &str)> =
        rows.iter().zip(&steps).map(|(row, steps)| (row.0, steps.as_str())).collect();
    let trial = Trial::of(target, &cases);
    let (output, _) = trial.run();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    let summary = trial.summary();
    for (path, verdict, kind, message) in rows {
        let found = ended(&summary, path);
        assert_eq!((found.0.as_str(), found.1.as_str()), (*verdict, *kind), "{path}: {}", found.2);
        assert!(found.2.contains(message), "{path}: {}", found.2);
    }
    output
}

fn api(hostile: &Hostile) -> String {
    format!("api: http://{}", hostile.address)
}

#[test]
fn what_does_not_come_whole_is_inconclusive() {
    let hostile = Hostile::listening();
    let output = judged(
        &format!("{}\nanswer_within: 300ms", api(&hostile)),
        &[
            ("never-answers", "inconclusive", "transport.timed-out", "no whole answer within 300ms"),
            ("slow-head", "inconclusive", "transport.timed-out", "no whole answer within 300ms"),
            ("slow-body", "inconclusive", "transport.timed-out", "no whole answer within 300ms"),
        ],
    );
    assert_eq!(code(&output), 3, "{}", stdout(&output));
}

#[test]
fn what_is_cut_or_no_answer_is_inconclusive_and_says_what_was_cut() {
    let hostile = Hostile::listening();
    let output = judged(
        &api(&hostile),
        &[
            ("resets-at-once", "inconclusive", "transport.broken", "the connection ended without an answer"),
            ("resets-in-the-middle", "inconclusive", "transport.cut", "the answer was cut"),
            ("too-short", "inconclusive", "transport.cut", "the answer was cut"),
            ("bad-chunks", "inconclusive", "transport.cut", "the answer was cut"),
            ("two-lengths", "inconclusive", "transport.malformed", "the answer cannot be read"),
            ("many-headers", "inconclusive", "transport.malformed", "the answer cannot be read"),
            ("endless-header", "inconclusive", "transport.malformed", "the answer cannot be read"),
            ("no-http", "inconclusive", "transport.malformed", "the answer cannot be read"),
            ("endless-body", "inconclusive", "transport.too-large", "and the rest of it was not read"),
            ("endless-chunks", "inconclusive", "transport.too-large", "longer than 16777216 bytes"),
            ("hundred-mib", "inconclusive", "transport.too-large", "longer than 16777216 bytes"),
        ],
    );
    assert_eq!(code(&output), 3, "{}", stdout(&output));
}

#[test]
fn what_others_may_read_otherwise_is_inconclusive_and_says_why() {
    let hostile = Hostile::listening();
    let twice = "both `Content-Length` and `Transfer-Encoding` say its length";
    let unreadable = |path, why| (path, "inconclusive", "transport.malformed", why);
    let output = judged(
        &api(&hostile),
        &[
            unreadable("length-and-chunks", twice),
            unreadable("chunks-and-length", twice),
            unreadable("packed-chunks", "wanted no transfer encoding but `chunked`, found `gzip, chunked`"),
            unreadable("packed-to-the-end", "wanted no transfer encoding but `chunked`, found `gzip`"),
            unreadable("said-gzip", "wanted a body that is not encoded, found `Content-Encoding: gzip`"),
            unreadable("said-br", "found `Content-Encoding: br`"),
            unreadable("said-deflate", "found `Content-Encoding: deflate`"),
            unreadable("said-twice", "found `Content-Encoding: identity, x-own`"),
            unreadable("gzip-bomb", "wanted a body that is not encoded, found `Content-Encoding: gzip`"),
            ("said-identity", "pass", "", ""),
            ("chunked", "pass", "", ""),
        ],
    );
    assert_eq!(code(&output), 3, "{}", stdout(&output));
}

#[test]
fn what_comes_whole_and_is_wrong_is_a_failure_and_only_what_is_right_passes() {
    let hostile = Hostile::listening();
    let output = judged(
        &api(&hostile),
        &[
            ("gzip-untold", "fail", "expect.body", "wanted JSON, found bytes compressed by gzip"),
            ("too-long", "fail", "expect.body", "wanted JSON, found none"),
            ("no-utf-8", "fail", "expect.body", "wanted JSON, found bytes that are no UTF-8, at byte 23"),
            ("deep", "fail", "expect.body", "wanted JSON, found values nested deeper than 127"),
            ("twice", "fail", "expect.body", "wanted JSON, found the key `status` twice in one map"),
            ("huge-number", "fail", "expect.body", "wanted JSON, found a number out of range"),
            ("million-values", "fail", "expect.body", "wanted JSON, found more than 1000000 values"),
            ("http-one-point-zero", "pass", "", ""),
            ("well", "pass", "", ""),
        ],
    );
    assert_eq!(code(&output), 1, "{}", stdout(&output));
}

#[test]
fn a_cluster_that_misbehaves_is_judged_like_any_target() {
    let hostile = Hostile::listening();
    let output = judged_by(
        "kube",
        &format!("{}\nkubernetes: {{ server: \"http://{}\" }}", api(&hostile), hostile.address),
        &[
            ("leads-elsewhere", "fail", "expect.status", "found 307, a redirect to http://127.0.0.2:9"),
            ("refuses-as-if-missing", "fail", "expect.status", "wanted a success, found 500"),
            ("two-lengths", "inconclusive", "transport.broken", "invalid content-length"),
            (
                "length-and-chunks",
                "inconclusive",
                "transport.malformed",
                "both `Content-Length` and `Transfer-Encoding`",
            ),
            ("said-gzip", "inconclusive", "transport.malformed", "found `Content-Encoding: gzip`"),
            ("endless-body", "inconclusive", "transport.too-large", "longer than 16777216 bytes"),
            ("too-short", "inconclusive", "transport.broken", "end of file before message length reached"),
            ("well", "pass", "", ""),
        ],
    );
    assert_eq!(code(&output), 1, "{}", stdout(&output));
}

#[test]
fn an_answer_too_many_is_not_taken_for_the_next_one() {
    let hostile = Hostile::listening();
    let steps = "{ call: { get: /keeps/surplus } }, \
                 { call: { get: /keeps/gone, expect: { body: { $.status: ok } } } }";
    let trial = Trial::of(&api(&hostile), &[("surplus", steps)]);
    let (output, _) = trial.run();
    let (verdict, kind, message) = ended(&trial.summary(), "surplus");
    // A connection that turns out to be unusable as the second request is written is another honest end.
    let is_its_own = kind == "expect.body" && message.contains("found \"gone\"");
    assert!(is_its_own || verdict == "inconclusive", "{verdict} {kind} {message}{}", stdout(&output));
}

#[test]
fn a_number_of_many_digits_is_compared_to_the_last_one() {
    let hostile = Hostile::listening();
    let wants = |count: &str| {
        format!("{{ call: {{ get: /near-number, expect: {{ body: {{ $.count: {count} }} }} }} }}")
    };
    let (near, same) = (wants("9007199254740993"), wants("9007199254740992"));
    let trial = Trial::of(&api(&hostile), &[("near", &near), ("same", &same)]);
    trial.run();
    assert_eq!(ended(&trial.summary(), "near").0, "fail");
    assert_eq!(ended(&trial.summary(), "same").0, "pass");
}

#[test]
fn a_garbled_answer_gives_no_capture_its_default() {
    let hostile = Hostile::listening();
    let steps = "{ call: { get: /twice, capture: { found: { path: $.count, or: 0 } } } }";
    let trial = Trial::of(&api(&hostile), &[("garbled", steps)]);
    trial.run();
    let (verdict, kind, message) = ended(&trial.summary(), "garbled");
    assert_eq!((verdict.as_str(), kind.as_str()), ("fail", "expect.capture"), "{message}");
}

#[test]
fn an_endless_body_is_held_under_64_mib() {
    let hostile = Hostile::listening();
    let trial = Trial::of(&api(&hostile), &[("endless", "{ call: { get: /endless-body } }")]);
    let (output, most_kib) = trial.run();
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    assert!(most_kib > 0 && most_kib < 64 << 10, "it held {most_kib} KiB");
    assert_eq!(hostile.requests(), 1, "what is too large is not asked for again");
}

/// Operations of a platform whose old values cannot be read.
const OPERATIONS: &str = "thing.read:
  http: GET /twice
  open_to: [anyone]
  effect: read
thing.write:
  http: POST /well
  open_to: [anyone]
  effect: write
  key: thing
  before: { old: { op: thing.read, capture: { status: $.status } } }
  undo: { flow: put-back, with: { old: $(before.old.status) } }
";

#[test]
fn a_change_whose_old_value_cannot_be_read_is_not_sent() {
    let hostile = Hostile::listening();
    let target = format!(
        "{}\npermits: {{ write: shared }}\nidentities: {{ operator: {{ id: me, secret: {{ file: secret }} }} }}",
        api(&hostile)
    );
    let trial = Trial::of(&target, &[("changes", "{ call: { op: thing.write } }")]);
    let write = |name: &str, text: &str| std::fs::write(trial.path().join(name), text).unwrap();
    write("secret", "of-nobody-at-all");
    write("suites/operations.yaml", OPERATIONS);
    std::fs::create_dir(trial.path().join("suites/flows")).unwrap();
    let put_back =
        "flow: put-back\nwhy: the old value\ninputs: { old: any }\nsteps: [{ call: { op: thing.write } }]\n";
    write("suites/flows/put-back.yaml", put_back);
    let (output, _) = trial.run();
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    let (_, kind, message) = ended(&trial.summary(), "changes");
    assert_eq!(kind, "ledger.before", "{message}");
    assert!(message.contains("found the key `status` twice in one map: nothing was sent"), "{message}");
    assert_eq!(hostile.requests(), 1, "the look-up, and no change");
}

#[test]
fn redirects_are_not_followed_and_those_that_lead_elsewhere_are_counted_and_told() {
    let hostile = Hostile::listening();
    let expects = "{ call: { get: /leads-elsewhere, expect: { status: 307 } } }";
    let cases = [
        ("loops", "{ call: { get: /loop } }"),
        ("led", "{ call: { get: /leads-elsewhere } }"),
        ("led-as-expected", expects),
    ];
    let trial = Trial::of(&api(&hostile), &cases);
    let (output, _) = trial.run();
    assert_eq!(code(&output), 1, "{}", stdout(&output));
    let summary = trial.summary();
    assert_eq!(ended(&summary, "loops").2, "status: wanted a success, found 302");
    let told = "status: wanted a success, found 307, a redirect to http://127.0.0.2:9, which the target file does not \
                name: it was not followed";
    assert_eq!(ended(&summary, "led").2, told);
    assert_eq!(ended(&summary, "led-as-expected").0, "pass");
    let led = summary["led_elsewhere"].as_array().unwrap();
    let to: Vec<&str> = led.iter().map(|it| it["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["http://127.0.0.2:9"; 2], "what was expected is told too: {led:?}");
    let line = "led to http://127.0.0.2:9, which the target file does not name, and not followed: 2 × a redirect, status 307";
    assert!(stdout(&output).contains(line), "{}", stdout(&output));
    assert_eq!(hostile.requests(), 3, "each was asked for once");
}

#[test]
fn a_name_that_resolves_to_what_the_target_file_does_not_name_is_not_connected_to() {
    let hostile = Hostile::listening();
    let target = |networks: &str| {
        format!("api: http://localhost:{}\nresolves_to: [{networks}]", hostile.address.port())
    };
    let cases = [("asks", "{ call: { get: /well } }")];
    let outside = Trial::of(&target("10.0.0.0/8, 192.0.2.7"), &cases);
    let (output, _) = outside.run();
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    let summary = outside.summary();
    let (_, kind, message) = ended(&summary, "asks");
    assert_eq!(kind, "transport.elsewhere", "{message}");
    assert!(message.contains("which `resolves_to` of the target file does not name"), "{message}");
    assert_eq!(summary["led_elsewhere"].as_array().unwrap().len(), 1);
    assert!(stdout(&output).contains("and not followed: 1 × an answer of DNS"), "{}", stdout(&output));
    assert_eq!(hostile.connections(), 0, "it was not even connected to");

    let inside = Trial::of(&target("127.0.0.0/8, \"::1\""), &cases);
    let (output, _) = inside.run();
    assert_eq!(code(&output), 0, "{}", stdout(&output));
}
