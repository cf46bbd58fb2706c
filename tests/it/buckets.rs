//! Buckets: what the built-in one is asked, and what is said of one that does not let us see. Servers of other makes are asked
//! by `ci/bucket/run.sh`.

use crate::program::{Bench, code, stderr, stdout, summary};
use serde_json::Value;

type Change<'c> = &'c dyn Fn(&str) -> String;

const ID: &str = "the-newest-dump-is-in-the-bucket";

/// The outcome of the one case on a bench.
fn outcome(bench: &Bench) -> (i32, Value) {
    let output = bench.muster(&["run", "--exact", ID]).output().unwrap();
    assert!(matches!(code(&output), 0 | 1 | 3), "{}{}", stdout(&output), stderr(&output));
    (code(&output), summary(&bench.path("reports"))["cases"][0].clone())
}

#[test]
fn the_newest_dump_is_seen_by_who_has_the_key() {
    assert_eq!(outcome(&Bench::new()).0, 0);
}

#[test]
fn a_bucket_that_does_not_let_us_see_is_no_verdict_on_its_dumps() {
    let wrong_key = |text: &str| text.replace("access_key: MUSTERBACKUPS", "access_key: SOMEBODY");
    let wrong_secret = |text: &str| text.replace("key: MUSTER_BACKUPS", "key: MUSTER_OPERATOR");
    let wrong_name = |text: &str| text.replace("bucket: cockroach-backups", "bucket: elsewhere");
    let nobody = |text: &str| {
        let (before, rest) = text.split_once("{ s3: \"").unwrap();
        format!("{before}{{ s3: \"http://127.0.0.1:9\"{}", rest.split_once('"').unwrap().1)
    };
    let ways: [(Change<'_>, &str, &str); 4] = [
        (&wrong_key, "bucket.refused", "the bucket refuses: it answered 403 InvalidAccessKeyId"),
        (&wrong_secret, "bucket.refused", "the bucket refuses: it answered 403 SignatureDoesNotMatch"),
        (&wrong_name, "bucket.refused", "the bucket refuses: it answered 404 NoSuchBucket"),
        (&nobody, "bucket.unreachable", "the bucket cannot be reached: no connection could be made: "),
    ];
    for (change, kind, text) in ways {
        let bench = Bench::new();
        bench.rewrite_target(|target| change(target));
        let (code, case) = outcome(&bench);
        assert_eq!((code, &case["outcome"]), (3, &Value::from("inconclusive")), "{case}");
        let failure = &case["failures"][0];
        assert_eq!(failure["kind"], kind, "{case}");
        assert!(failure["message"].as_str().unwrap().starts_with(text), "{case}");
    }
}

#[test]
fn doctor_lists_the_bucket() {
    let bench = Bench::new();
    let told = stdout(&bench.muster(&["doctor"]).output().unwrap());
    assert!(told.contains("ok      bucket backups             24 objects, the newest dumps-"), "{told}");
}
