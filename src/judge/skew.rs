//! Whether the platform's clock goes with ours: where it does not, instants cannot be compared.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

/// Clocks that differ by no more than this go together, inclusive.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);

/// How far a clock is ahead of ours, by the header `Date` (RFC 9110 §6.6.1) of what it just answered; `None` if that is no date.
pub fn ahead(date: &str, now: Timestamp) -> Option<SignedDuration> {
    let theirs = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(date).ok()?;
    Some(theirs.duration_since(now))
}

/// Why instants cannot be compared, if a clock is so far ahead of ours.
pub fn apart(ahead: SignedDuration) -> Option<String> {
    let (apart, way) = (ahead.abs(), if ahead.is_negative() { "behind" } else { "ahead of" });
    (apart > TOLERANCE).then(|| {
        format!(
            "the platform's clock is {:.0?} {way} ours, and instants are compared\nhint: set this machine's clock, or the \
             platform's",
            apart.unsigned_abs()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_by_the_date_of_an_answer() {
        let now: Timestamp = "2026-11-26T03:00:00.9Z".parse().unwrap();
        let told = |date| {
            ahead(date, now).map(|ahead| apart(ahead).map(|text| text.lines().next().unwrap().to_owned()))
        };
        assert_eq!(told("Thu, 26 Nov 2026 03:00:00 GMT"), Some(None));
        assert_eq!(told("Thu, 26 Nov 2026 03:00:30 GMT"), Some(None));
        assert_eq!(
            told("Thu, 26 Nov 2026 03:01:00 GMT").flatten().unwrap(),
            "the platform's clock is 59s ahead of ours, and instants are compared"
        );
        assert_eq!(
            told("Thu, 26 Nov 2026 02:00:00 GMT").flatten().unwrap(),
            "the platform's clock is 3601s behind ours, and instants are compared"
        );
        assert_eq!(told("yesterday"), None);
    }
}
