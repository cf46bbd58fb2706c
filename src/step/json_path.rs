//! A JSON path as suites may write it.
//!
//! Lives here: which texts are one. Does not: what is looked for with it (`expect`, `judge::reply`).

use crate::source::outside_quotes;
use serde_json_path::JsonPath;

/// Whether a path may lead to any number of values, none among them. A name in which such a sign stands counts as one too.
pub(super) fn names_many(path: &str) -> bool {
    path.contains(['*', '?', ':', ',']) || path.contains("..")
}

/// So deep may brackets stand in brackets: the library reads filters in filters twice each, so that thirteen take seconds, and
/// calls itself for each round one, so that thousands end the process.
const NESTED_AT_MOST: usize = 4;

/// Compiles a JSON path. Brackets, square and round ones, stand in brackets at most four deep.
///
/// # Errors
/// If it is none, as RFC 9535 has it, or is too deep.
pub fn json_path(text: &str) -> Result<JsonPath, String> {
    // The library panics at a text that ends within such an escape.
    let is_open = text.rsplit_once("\\u").is_some_and(|(_, rest)| !rest.contains(['\'', '"']));
    if is_open {
        return Err(format!("`{text}` is no JSON path: a text with `\\u` is never closed"));
    }
    if depth(&outside_quotes(text)) > NESTED_AT_MOST {
        return Err(format!(
            "`{text}` is too deep: brackets stand in brackets at most {NESTED_AT_MOST} deep"
        ));
    }
    JsonPath::parse(text).map_err(|error| format!("`{text}` is no JSON path: {error}"))
}

/// How many brackets are open at once, at most.
fn depth(path: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for sign in path.chars() {
        match sign {
            '[' | '(' => open += 1,
            ']' | ')' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_ends_within_an_escape_is_refused() {
        for text in [r"$.s[?@['@.k\u52", r"$['\uD834", r"$['\uD834\u", r"$['\u"] {
            let why = format!("`{text}` is no JSON path: a text with `\\u` is never closed");
            assert_eq!(json_path(text).unwrap_err(), why);
        }
        for text in [r"$['\u52']", r"$['\uD834']", r"$['\uD834\']"] {
            assert!(json_path(text).is_err(), "{text}");
        }
        assert!(json_path(r"$['\u0041']").is_ok());
    }

    #[test]
    fn a_path_with_filters_in_filters_in_filters_is_refused() {
        assert!(json_path("$[?@.a[?@.b[?@.c[?@.d == '[[[[']]]]").is_ok());
        assert!(json_path("$['a']['b']['c']['d']['e']").is_ok());
        let text = format!("$.a{}{}", "[?@.k".repeat(13), "]".repeat(13));
        let why = format!("`{text}` is too deep: brackets stand in brackets at most 4 deep");
        assert_eq!(json_path(&text).unwrap_err(), why);
    }

    #[test]
    fn a_path_of_thousands_of_brackets_ends_nothing() {
        let [round, calls, nots] = ["(", "length(", "!"].map(|it| format!("$[?{}", it.repeat(20_000)));
        assert!(json_path(&round).unwrap_err().ends_with("at most 4 deep"));
        assert!(json_path(&calls).unwrap_err().ends_with("at most 4 deep"));
        assert!(json_path(&nots).is_err());
        assert!(json_path("$[?(@.a == 1 && (@.b == 2 || length(@.c) > 3))]").is_ok());
    }
}
