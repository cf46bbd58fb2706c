//! What stands at a JSON path.
//!
//! Lives here: asking a path, but for filters that would take one number for another. Does not: which texts are paths
//! (`step::json_path`), or what the values must be (`check`).

use super::decimal::is_lost;
use crate::source::outside_quotes;
use serde_json::{Number, Value};
use serde_json_path::JsonPath;

/// Doubles keep every whole number below this (2^53), and filters compare doubles.
const FIRST_UNSURE: f64 = 9_007_199_254_740_992.0;

/// The values at a path.
///
/// # Errors
/// If a filter of the path compares numbers, and one of 2^53 or more (or of -2^53 or less) stands anywhere in the JSON: the filter
/// cannot tell such numbers from their neighbours.
pub fn found<'j>(path: &JsonPath, json: &'j Value) -> Result<Vec<&'j Value>, String> {
    if compares_numbers(&path.to_string()) && holds_unsure(json) {
        return Err("its filter compares numbers, and one beyond 2^53 stands there, which a filter cannot tell from its \
                    neighbours"
            .into());
    }
    Ok(path.query(json).all())
}

/// Whether any comparison of a path's filters has neither a text nor `true`, `false` or `null` on one of its sides.
fn compares_numbers(path: &str) -> bool {
    if !path.contains('?') {
        return false;
    }
    let bare = outside_quotes(path);
    let operators = bare.match_indices(['=', '!', '<', '>']);
    operators.into_iter().any(|(at, sign)| {
        let rest = bare[at + sign.len()..].trim_start_matches('=');
        let is_comparison =
            matches!(sign, "<" | ">") || bare[at..].starts_with("==") || bare[at..].starts_with("!=");
        is_comparison
            && !ends_in_no_number(bare[..at].trim_end())
            && !begins_with_no_number(rest.trim_start())
    })
}

/// Words of JSON that are no numbers.
const WORDS: [&str; 3] = ["true", "false", "null"];

/// Whether what stands before a comparison ends in a text, of which nothing is left outside of quotes, or in a word.
fn ends_in_no_number(before: &str) -> bool {
    let begins_behind = |before: &str| before.trim_end().ends_with(['?', '(', '&', '|', '!', ',']);
    // A word that something stands before is a name.
    begins_behind(before) || WORDS.iter().any(|word| before.strip_suffix(word).is_some_and(begins_behind))
}

/// Whether what stands behind a comparison begins with one.
fn begins_with_no_number(behind: &str) -> bool {
    behind.is_empty()
        || behind.starts_with([']', ')', '&', '|', ','])
        || WORDS.iter().any(|word| behind.starts_with(word))
}

fn holds_unsure(json: &Value) -> bool {
    match json {
        Value::Number(number) => is_unsure(number),
        Value::String(text) => is_lost(text),
        Value::Array(list) => list.iter().any(holds_unsure),
        Value::Object(map) => map.values().any(holds_unsure),
        Value::Null | Value::Bool(_) => false,
    }
}

fn is_unsure(number: &Number) -> bool {
    number.as_f64().is_none_or(|number| number.abs() >= FIRST_UNSURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn which_filters_compare_numbers() {
        for (path, does) in [
            ("$.a", false),
            ("$['a?<1']", false),
            ("$.a[?@.id]", false),
            ("$.a[?!@.id]", false),
            ("$.a[?@.id == 'x']", false),
            ("$.a[?'x'!=@['id']]", false),
            ("$.a[?@.id == \"a < 5\" && @.up == true]", false),
            ("$.a[?@.id != null || false == @.up]", false),
            ("$.a[?(false==@.up)]", false),
            ("$.a[?@.id == 5]", true),
            ("$.a[?@.null == 5]", true),
            ("$.a[?@.is_true >= 5 || @.nottrue < 5]", true),
            ("$.a[?5 != @.id]", true),
            ("$.a[?@.id<5]", true),
            ("$.a[?@.id >= -5.5]", true),
            ("$.a[?@.id == @.other]", true),
            ("$.a[?@.name == 'x' && @.id <= 5]", true),
        ] {
            assert_eq!(compares_numbers(path), does, "{path}");
            let parsed = JsonPath::parse(path).unwrap();
            assert_eq!(compares_numbers(&parsed.to_string()), does, "{parsed}");
        }
    }

    #[test]
    fn a_filter_that_may_take_one_number_for_another_finds_nothing() {
        let asked =
            |path: &str, json: &Value| found(&JsonPath::parse(path).unwrap(), json).map(|all| all.len());
        for unsure in [
            json!(9_007_199_254_740_992_u64),
            json!(-9_007_199_254_740_993_i64),
            json!(1e30),
            json!(u64::MAX),
        ] {
            let json = json!({ "a": [{ "id": 1 }, { "id": unsure }] });
            assert!(asked("$.a[?@.id > 0]", &json).is_err(), "{json}");
            assert_eq!(asked("$.a[?@.id]", &json), Ok(2), "{json}");
            assert_eq!(asked("$.a[?@.id == 'x']", &json), Ok(0), "{json}");
        }
        let json = json!({ "a": [{ "id": 9_007_199_254_740_991_u64 }, { "id": 0.1 }] });
        assert_eq!(asked("$.a[?@.id == 9007199254740991]", &json), Ok(1));
        assert_eq!(asked("$.a[?@.id < 1]", &json), Ok(1));
    }
}
