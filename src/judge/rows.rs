//! What a list must be that is no reply of the platform: the rows of a database, the objects in a bucket.

use super::Check;
use super::reply::{Mismatch, compares_instants, too_slow, wrong_values};
use crate::secret::Mask;
use serde_json::Value;
use serde_json_path::JsonPath;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What rows must be. Nothing named means: any.
#[derive(Debug, Clone, Default)]
pub struct RowsExpectation {
    /// How many, both ends inclusive.
    pub rows: Option<RangeInclusive<u64>>,
    /// Conditions on the values at JSON paths (RFC 9535) of the list of rows.
    pub body: Vec<(JsonPath, Vec<Check>)>,
    /// At most this long, inclusive.
    pub latency: Option<Duration>,
}

impl RowsExpectation {
    /// Whether instants of the rows are compared with others.
    pub fn compares_instants(&self) -> bool {
        compares_instants(&self.body)
    }

    /// Every expectation that a list of rows breaks, which came after `took`.
    pub fn broken_by(&self, rows: &Value, took: Duration, mask: &Mask) -> Vec<Mismatch> {
        let mut broken: Vec<Mismatch> = self.wrong_count(rows).into_iter().collect();
        broken.extend(wrong_values(&self.body, rows, mask));
        broken.extend(too_slow(self.latency, took));
        broken
    }

    fn wrong_count(&self, rows: &Value) -> Option<Mismatch> {
        let wanted = self.rows.as_ref()?;
        let found = rows.as_array().map_or(0, Vec::len) as u64;
        let wanted = match (wanted.contains(&found), *wanted.start(), *wanted.end()) {
            (true, ..) => return None,
            (false, least, most) if least == most => least.to_string(),
            (false, least, u64::MAX) => format!("at least {least}"),
            (false, least, most) => format!("{least} to {most}"),
        };
        Some(Mismatch { kind: "expect.rows", message: format!("rows: wanted {wanted}, found {found}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(expectation: &RowsExpectation, rows: &Value) -> Vec<String> {
        let broken = expectation.broken_by(rows, Duration::from_millis(5), &Mask::new());
        broken.into_iter().map(|it| format!("{}: {}", it.kind, it.message)).collect()
    }

    #[test]
    fn rows_are_counted_with_both_ends_inclusive() {
        let of =
            |rows: RangeInclusive<u64>| RowsExpectation { rows: Some(rows), ..RowsExpectation::default() };
        let two = json!([{ "a": 1 }, { "a": 2 }]);
        assert!(told(&of(2..=2), &two).is_empty() && told(&of(1..=2), &two).is_empty());
        assert_eq!(told(&of(0..=0), &two), ["expect.rows: rows: wanted 0, found 2"]);
        assert_eq!(told(&of(3..=u64::MAX), &two), ["expect.rows: rows: wanted at least 3, found 2"]);
        assert_eq!(told(&of(0..=1), &two), ["expect.rows: rows: wanted 0 to 1, found 2"]);
    }

    #[test]
    fn every_broken_expectation_of_rows_is_told() {
        let expectation = RowsExpectation {
            rows: Some(1..=1),
            body: vec![(JsonPath::parse("$[*].a").unwrap(), vec![Check::Equals(json!(2))])],
            latency: Some(Duration::from_millis(1)),
        };
        assert_eq!(
            told(&expectation, &json!([])),
            [
                "expect.rows: rows: wanted 1, found 0",
                "expect.body: $[*].a: wanted 2, found nothing",
                "expect.latency: latency: wanted at most 1ms, found 5ms",
            ]
        );
    }
}
