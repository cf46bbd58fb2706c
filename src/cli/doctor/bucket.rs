//! The buckets: whether they can be listed.

use super::Finding;
use crate::client::bucket::{Bucket, Listing};
use crate::host;
use crate::target::Target;
use std::time::Duration;

/// The longest wait for a page.
const WITHIN: Duration = Duration::from_secs(10);

/// A finding on each bucket that the target file names.
pub(super) async fn examined(target: &Target) -> Vec<Finding> {
    let mut findings = vec![];
    for (name, bucket) in &target.buckets {
        findings.push(of_bucket(&format!("bucket {name}"), bucket).await);
    }
    findings
}

async fn of_bucket(what: &str, bucket: &Bucket) -> Finding {
    match bucket.list("", host::now(), WITHIN).await {
        Ok(listing) => Finding::good(what, told(&listing)),
        Err(why) => Finding::of_error(what, &why, "look at this bucket in the target file"),
    }
}

/// `24 objects, the newest dumps-1.tar.gz of 2026-01-02T03:04:05Z`.
fn told(listing: &Listing) -> String {
    let many = listing.json.as_array().map_or(0, Vec::len);
    let newest = &listing.json[0];
    match (newest["key"].as_str(), newest["modified"].as_str()) {
        (Some(key), Some(modified)) => format!("{many} objects, the newest {key} of {modified}"),
        _ => "it can be listed, and is empty".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_newest_object_is_named() {
        let of = |json| told(&Listing { json, took: Duration::ZERO });
        assert_eq!(of(json!([])), "it can be listed, and is empty");
        let object = json!({ "key": "a", "size": 1, "modified": "2026-01-02T03:04:05Z" });
        assert_eq!(of(json!([object, object])), "2 objects, the newest a of 2026-01-02T03:04:05Z");
    }
}
