//! A length of time as a suite writes it: a number with its unit.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;
use std::time::Duration;

/// A length of time, written such as `500ms` or `2m 30s`. A number without a unit is refused, and so is a negative one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Reads a length of time. A day has 24 hours; months and years are refused, for they have no length.
///
/// # Errors
/// What was wanted and what was found.
pub fn span(text: &str) -> Result<Duration, String> {
    let wanted = "a time with its unit, such as `500ms` or `2m 30s`";
    let parsed: Result<jiff::Span, _> = text.parse();
    match parsed.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())) {
        Ok(time) if !time.is_negative() => Ok(time.unsigned_abs()),
        _ => Err(format!("wanted {wanted}, found `{text}`")),
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time with its unit, such as `500ms` or `2m 30s`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                span(text).map(Span).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl schemars::JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "a time with its unit, such as `500ms` or `2m 30s`" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("2m 30s"), Ok(Duration::from_secs(150)));
        assert_eq!(span("1d 2h"), Ok(Duration::from_secs(26 * 3600)));
        for wrong in ["500", "-1s", "soon", "", "1mo"] {
            let wanted = format!("wanted a time with its unit, such as `500ms` or `2m 30s`, found `{wrong}`");
            assert_eq!(span(wrong), Err(wanted));
        }
    }
}
