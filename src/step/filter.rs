//! What an expression of a template may use: the filters, and the limits.
//!
//! Lives here: the environment in which expressions are evaluated. Does not: reading and rendering templates
//! (`template`), or which names they know (`stage`).

use base64::prelude::*;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

/// No filter, test or function but ours; undefined names are errors; errors show no values.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(false);
    environment.set_fuel(Some(10_000));
    environment.set_recursion_limit(40);
    for (name, filter) in FILTERS {
        environment.add_filter(*name, move |value: minijinja::Value| filtered(name, *filter, &value));
    }
    environment.add_filter(
        "default",
        |value: minijinja::Value, other: minijinja::Value| {
            if value.is_undefined() || value.is_none() { other } else { value }
        },
    );
    environment.add_filter("plus", |at: minijinja::Value, by: String| moved(&at, &by, true));
    environment.add_filter("minus", |at: minijinja::Value, by: String| moved(&at, &by, false));
    environment
}

/// `now|plus('14d')`, `now|minus('2h')`: an instant that is so much later or earlier. A day has 24 hours.
fn moved(value: &minijinja::Value, by: &str, is_later: bool) -> Result<String, minijinja::Error> {
    let wrong = |why: String| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, why);
    let text = value.as_str().unwrap_or_default();
    let at: jiff::Timestamp =
        text.parse().map_err(|_| wrong("`plus` and `minus` take an instant, such as `now`".into()))?;
    let by = crate::source::span(by).map_err(wrong)?;
    let moved = if is_later { at.checked_add(by) } else { at.checked_sub(by) };
    moved.map(|at| at.to_string()).map_err(|error| wrong(error.to_string()))
}

type TextFilter = fn(&str) -> String;

/// The filters for text, by name.
const FILTERS: &[(&str, TextFilter)] = &[
    ("base64", |text| BASE64_STANDARD.encode(text)),
    ("lower", str::to_lowercase),
    ("upper", str::to_uppercase),
    ("trim", |text| text.trim().to_owned()),
    ("percent", |text| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    }),
    ("json", |text| Value::from(text).to_string()),
];

/// The names of all filters.
#[cfg(test)]
pub(crate) fn filter_names() -> impl Iterator<Item = &'static str> {
    FILTERS.iter().map(|(name, _)| *name).chain(["default", "plus", "minus"])
}

fn filtered(name: &str, filter: TextFilter, value: &minijinja::Value) -> Result<String, minijinja::Error> {
    let text = value.as_str().ok_or_else(|| {
        let why = format!("`{name}` takes a text, not a value of kind {}", value.kind());
        minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, why)
    })?;
    Ok(filter(text))
}
