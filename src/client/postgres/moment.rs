//! Moments of a database as text: what RFC 3339 says of them, at the microsecond that the server keeps.
//!
//! Lives here: numbers that count from the first day of 2000. Does not: the wall clock, of which nothing is asked.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Span, Timestamp};
use serde_json::Value;

type Wrong = Box<dyn std::error::Error + Sync + Send>;

/// The first moment of 2000 UTC, in seconds since the Unix epoch.
const FIRST_S: i64 = 946_684_800;

/// A moment on the time line, from microseconds: `2026-11-25T08:04:25.5Z`.
pub(super) fn timestamptz(since_us: i64) -> Result<Value, Wrong> {
    if let Some(endless) = endless(since_us, i64::MIN, i64::MAX) {
        return Ok(endless);
    }
    let first = Timestamp::from_second(FIRST_S)?;
    Ok(Value::from(first.checked_add(SignedDuration::from_micros(since_us))?.to_string()))
}

/// A moment without a place, from microseconds: `2026-11-25T08:04:25.5`.
pub(super) fn timestamp(since_us: i64) -> Result<Value, Wrong> {
    if let Some(endless) = endless(since_us, i64::MIN, i64::MAX) {
        return Ok(endless);
    }
    let first = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
    Ok(Value::from(first.checked_add(SignedDuration::from_micros(since_us))?.to_string()))
}

/// A day, from days: `2026-11-25`.
pub(super) fn date(since_days: i32) -> Result<Value, Wrong> {
    if let Some(endless) = endless(since_days.into(), i32::MIN.into(), i32::MAX.into()) {
        return Ok(endless);
    }
    let first = Date::constant(2000, 1, 1);
    Ok(Value::from(first.checked_add(Span::new().try_days(since_days)?)?.to_string()))
}

/// A time of day, from microseconds: `08:04:25.5`. The end of a day is `24:00:00`.
pub(super) fn time(since_us: i64) -> Result<Value, Wrong> {
    const DAY_US: i64 = 86_400_000_000;
    if since_us == DAY_US {
        return Ok("24:00:00".into());
    }
    Ok(Value::from(Time::midnight().checked_add(SignedDuration::from_micros(since_us))?.to_string()))
}

/// The ends of time are the least and the greatest number.
fn endless(number: i64, least: i64, greatest: i64) -> Option<Value> {
    match number {
        it if it == greatest => Some("infinity".into()),
        it if it == least => Some("-infinity".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_count_from_the_first_day_of_2000() {
        assert_eq!(timestamptz(0).unwrap(), "2000-01-01T00:00:00Z");
        assert_eq!(timestamptz(-1).unwrap(), "1999-12-31T23:59:59.999999Z");
        assert_eq!(timestamp(86_400_500_000).unwrap(), "2000-01-02T00:00:00.5");
        assert_eq!((date(-1).unwrap(), date(366).unwrap()), ("1999-12-31".into(), "2001-01-01".into()));
        assert_eq!(
            (time(1).unwrap(), time(86_400_000_000).unwrap()),
            ("00:00:00.000001".into(), "24:00:00".into())
        );
    }

    #[test]
    fn the_ends_of_time_have_names_and_what_lies_beyond_our_years_is_an_error() {
        assert_eq!(timestamptz(i64::MAX).unwrap(), "infinity");
        assert_eq!(timestamp(i64::MIN).unwrap(), "-infinity");
        assert_eq!(date(i32::MAX).unwrap(), "infinity");
        assert!(timestamptz(i64::MAX - 1).is_err() && date(i32::MAX - 1).is_err() && time(-1).is_err());
    }
}
