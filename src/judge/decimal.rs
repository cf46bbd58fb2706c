//! Numbers whose digits a double does not keep.
//!
//! Lives here: which numbers of a text those are. Does not: what is made of that (`reply`, `step::send`).

use serde_json::{Number, Value};

/// The numbers of JSON, as they are written there.
fn written(text: &[u8]) -> impl Iterator<Item = &str> {
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            match rest {
                [] => return None,
                [b'"', inside @ ..] => rest = &inside[text_len(inside)..],
                [first, ..] if first.is_ascii_digit() || *first == b'-' => {
                    let len = rest.iter().take_while(|byte| is_of_number(byte)).count();
                    let (number, after) = rest.split_at(len);
                    rest = after;
                    return std::str::from_utf8(number).ok();
                }
                [_, after @ ..] => rest = after,
            }
        }
    })
}

/// How long the rest of a text in quotes is, its end included.
fn text_len(inside: &[u8]) -> usize {
    let mut at = 0;
    while at < inside.len() {
        match inside[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    inside.len()
}

/// The digits of a number without zeros at either end, and the power of ten of the last one.
fn decimal(number: &str) -> (String, i64) {
    let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{}{part}", whole.trim_start_matches('-')).trim_start_matches('0').to_owned();
    let digits = all.trim_end_matches('0').to_owned();
    let power: i64 = power.trim_start_matches('+').parse().unwrap_or(i64::MAX / 2);
    let last = power - part.len() as i64 + (all.len() - digits.len()) as i64;
    if digits.is_empty() { (digits, 0) } else { (digits, last) }
}

/// A number of a text that is not kept as it is written there, among those that became this one.
pub fn unkept<'t>(number: &Number, text: &'t [u8]) -> Option<&'t str> {
    if !number.is_f64() {
        return None;
    }
    let kept = decimal(&number.to_string());
    let became = |written: &&str| written.parse().ok() == number.as_f64();
    written(text).filter(became).find(|written| decimal(written) != kept)
}

/// What stands behind a number in the text that takes its place.
const LOST: &str = ", whose last digits are lost";

/// Whether a text stands in the place of a number of more than 64 bits.
pub(super) fn is_lost(text: &str) -> bool {
    text.ends_with(LOST)
}

/// JSON in which each number that is not kept as it is written in its text is a text that says how it is.
pub fn as_written(json: Value, text: &[u8]) -> Value {
    let lost: Vec<&str> = written(text).filter(|number| is_unkept(number)).collect();
    let instead = |number: &Number| {
        let became = |written: &&&str| written.parse().ok() == number.as_f64();
        let all: Vec<&str> = lost.iter().filter(became).copied().collect();
        (!all.is_empty()).then(|| format!("the number {}", all.join(" or ")))
    };
    if lost.is_empty() { json } else { with_texts(json, &instead) }
}

fn is_unkept(written: &str) -> bool {
    let number = serde_json::from_str::<Number>(written).ok();
    number.is_some_and(|number| number.is_f64() && decimal(&number.to_string()) != decimal(written))
}

/// JSON whose numbers of more than 64 bits are texts where they stand whole in its text: they equal no number.
pub(super) fn blurred(json: Value, text: &[u8]) -> Value {
    let fits = |number: &str| number.parse::<u64>().is_ok() || number.parse::<i64>().is_ok();
    let is_whole = |number: &&str| !number.contains(['.', 'e', 'E']) && !fits(number);
    let whole: Vec<f64> = written(text).filter(is_whole).filter_map(|number| number.parse().ok()).collect();
    let instead = |number: &Number| {
        let is_lost = number.as_f64().is_some_and(|it| whole.contains(&it));
        is_lost.then(|| format!("{number}{LOST}"))
    };
    if whole.is_empty() { json } else { with_texts(json, &instead) }
}

/// JSON with texts in the place of some of its doubles.
fn with_texts(json: Value, instead: &impl Fn(&Number) -> Option<String>) -> Value {
    match json {
        Value::Number(number) if number.is_f64() => {
            instead(&number).map_or(Value::Number(number), Value::from)
        }
        Value::Array(list) => list.into_iter().map(|one| with_texts(one, instead)).collect(),
        Value::Object(map) => map.into_iter().map(|(key, one)| (key, with_texts(one, instead))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_that_would_be_written_otherwise_is_found() {
        for (text, lost) in [
            (r#"{"a":3.141592653589793238}"#, true),
            (r#"{"a":36893488147419103232}"#, true),
            (r#"{"a":123456789012345678.12}"#, true),
            (r#"{"a":1e3,"b":1.0E10,"c":-0.0,"d":1E-5,"e":2.50,"f":9007199254740993}"#, false),
            (r#"{"a":"3.141592653589793238","b\"1":1.5}"#, false),
        ] {
            let json: Value = serde_json::from_str(text).unwrap();
            let numbers = json.as_object().unwrap().values().filter_map(Value::as_number);
            assert_eq!(
                numbers.filter_map(|number| unkept(number, text.as_bytes())).count() > 0,
                lost,
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_that_are_not_kept_are_shown_as_they_are_written() {
        let read = |text: &str| as_written(serde_json::from_str(text).unwrap(), text.as_bytes());
        assert_eq!(read("[1e3, 18446744073709551615, -1.5]"), json!([1e3, u64::MAX, -1.5]));
        for lost in ["18446744073709551617", "-9999999999999999999999", "3.141592653589793238"] {
            let shown = format!("the number {lost}");
            assert_eq!(read(&format!(r#"[{{"n":{lost}}},2.5]"#)), json!([{ "n": shown }, 2.5]));
        }
    }

    #[test]
    fn whole_numbers_beyond_64_bits_are_no_numbers_to_compare_with() {
        let read = |text: &str| blurred(serde_json::from_str(text).unwrap(), text.as_bytes());
        assert_eq!(
            read("[1e300, 8.41e21, 18446744073709551615, -1.5]"),
            json!([1e300, 8.41e21, u64::MAX, -1.5])
        );
        assert_eq!(
            read("[36893488147419103232]"),
            json!(["3.6893488147419103e+19, whose last digits are lost"])
        );
    }
}
