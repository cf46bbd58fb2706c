//! A platform whose clock does not go with ours: instants are not compared then, and everything else is judged.

use crate::program::{code, muster, summary};
use serde_json::Value;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

const CASES: &str = "title: Clocks
cases:
  - id: an-instant-is-compared
    why: what is fresh is told by a clock
    steps:
      - call: { get: /state, expect: { body: { $.at: { not_before: '2020-01-01T00:00:00Z' } } } }
  - id: an-instant-is-waited-for
    why: what is fresh is told by a clock
    steps:
      - poll: { get: /state, until: { body: { $.at: { not_after: '2020-01-01T00:00:00Z' } } }, within: 200ms }
  - id: instants-of-objects-are-compared
    why: what is fresh is told by a clock
    steps:
      - call: { get: /state }
      - objects: { in: dumps, expect: { body: { '$[0].modified': { not_before: '2020-01-01T00:00:00Z' } } } }
  - id: nothing-is-compared
    why: what is no instant needs no clock
    steps:
      - call: { get: /state, expect: { body: { $.at: '2026-01-01T00:00:00Z' } } }
";

const LISTING: &str = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Contents><Key>a</Key>\
    <LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>";
const TARGET: &str = "name: clocks\napi: ADDRESS\nbuckets: { dumps: { s3: 'ADDRESS', bucket: dumps } }\n";

/// The exit code, and the outcome of each case with the kind and the text of its failure.
async fn judged(date: &str) -> (i32, Vec<String>) {
    let server = MockServer::start().await;
    let reply = ResponseTemplate::new(200).set_body_string(r#"{"at":"2026-01-01T00:00:00Z"}"#);
    Mock::given(path("/state")).respond_with(reply.insert_header("date", date)).mount(&server).await;
    Mock::given(path("/dumps/"))
        .respond_with(ResponseTemplate::new(200).set_body_string(LISTING))
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("suites/clocks")).unwrap();
    std::fs::write(at("suites/operations.yaml"), "{}\n").unwrap();
    std::fs::write(at("suites/clocks/cases.yaml"), CASES).unwrap();
    std::fs::write(at("target.yaml"), TARGET.replace("ADDRESS", &server.uri())).unwrap();
    let mut run = muster();
    run.current_dir(folder.path()).args(["run", "--suites", "suites", "--target", "target.yaml"]);
    run.args(["--state-dir", "state", "--report-dir", "reports"]);
    let output = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let told = |case: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (failure, outcome) = (&case["failures"][0], text(&case["outcome"]));
        let message = text(&failure["message"]).lines().next().unwrap_or_default().to_owned();
        [text(&case["case"]), outcome, text(&failure["kind"]), message].join("|")
    };
    let mut all: Vec<String> =
        summary(&folder.path().join("reports"))["cases"].as_array().unwrap().iter().map(told).collect();
    all.sort();
    (code(&output), all)
}

#[tokio::test]
async fn instants_are_compared_only_while_the_clocks_go_together() {
    let (code, told) = judged("Sat, 01 Jan 2000 00:00:00 GMT").await;
    assert_eq!(code, 3, "{told:?}");
    assert!(
        told[0].starts_with("an-instant-is-compared|inconclusive|clock.skew|the platform's clock is "),
        "{told:?}"
    );
    assert!(told[0].ends_with(" behind ours, and instants are compared"), "{told:?}");
    assert!(told[1].starts_with("an-instant-is-waited-for|inconclusive|clock.skew|"), "{told:?}");
    assert!(told[2].starts_with("instants-of-objects-are-compared|inconclusive|clock.skew|"), "{told:?}");
    assert_eq!(told[3], "nothing-is-compared|pass||");
    let now = jiff::fmt::rfc2822::DateTimePrinter::new();
    let now = now.timestamp_to_rfc9110_string(&jiff::Timestamp::now()).unwrap();
    let (code, told) = judged(&now).await;
    assert_eq!(code, 1, "{told:?}");
    assert_eq!(told[0], "an-instant-is-compared|pass||");
    assert!(told[1].starts_with("an-instant-is-waited-for|fail|poll.unmet|"), "{told:?}");
    assert_eq!(told[2], "instants-of-objects-are-compared|pass||");
}
