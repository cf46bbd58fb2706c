//! Label selectors: what objects are asked for by, and what an answer is held against.
//!
//! Lives here: the two spellings, that of a request (`a=b,c!=d,e in (x,y),f notin (z),g,!h`) and that of a manifest, and which
//! labels they select. Does not: asking (`pods`), or what an answer that goes beyond it means.

use ::kube::core::{Expression, Selector, SelectorExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::{BTreeMap, BTreeSet};

/// Labels, by key.
type Labels = BTreeMap<String, String>;

/// Whether a selector as it stands in a request selects these labels. An empty one selects all.
pub fn selects(selector: &str, labels: &Labels) -> bool {
    terms(selector).into_iter().map(str::trim).filter(|it| !it.is_empty()).all(|it| term(it).matches(labels))
}

/// Whether a selector of a manifest selects these labels. An empty one selects all; of one with an operator that is not known,
/// nobody can say.
pub(super) fn is_selected(selector: &LabelSelector, labels: &Labels) -> Option<bool> {
    Selector::try_from(selector.clone()).ok().map(|selector| selector.matches(labels))
}

/// The parts between commas that stand in no parentheses.
fn terms(selector: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let is_end = |sign: char| {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        sign == ',' && depth == 0
    };
    selector.split(is_end).collect()
}

fn term(text: &str) -> Expression {
    let own = |text: &str| text.trim().to_owned();
    if let Some((key, values)) = text.split_once(" notin ") {
        return Expression::NotIn(own(key), values_of(values));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return Expression::In(own(key), values_of(values));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Expression::NotEqual(own(key), own(value));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Expression::Equal(own(key), own(value));
    }
    match text.strip_prefix('!') {
        Some(key) => Expression::DoesNotExist(own(key)),
        None => Expression::Exists(own(text)),
    }
}

/// `(x, y)`
fn values_of(text: &str) -> BTreeSet<String> {
    let inner = text.trim().trim_start_matches('(').trim_end_matches(')');
    inner.split(',').map(|value| value.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels() -> Labels {
        [("app", "shop"), ("tier", "front")].map(|(key, value)| (key.into(), value.into())).into()
    }

    #[test]
    fn each_form_of_a_selector_is_understood() {
        for (selector, expected) in [
            ("", true),
            (" app = shop , tier==front ", true),
            ("app", true),
            ("!owner,app!=cart,owner!=x", true),
            ("app in (cart, shop),tier notin (back),owner notin (x,y)", true),
            ("app=cart", false),
            ("app=shop,tier=back", false),
            ("owner", false),
            ("!app", false),
            ("app!=shop", false),
            ("owner in (x),app", false),
            ("app notin (cart,shop)", false),
        ] {
            assert_eq!(selects(selector, &labels()), expected, "{selector}");
        }
    }

    #[test]
    fn a_selector_of_a_manifest_is_understood_unless_its_operator_is_new() {
        let wanted = |operator: &str| {
            json!({ "matchLabels": { "app": "shop" }, "matchExpressions": [
            { "key": "tier", "operator": operator, "values": ["front"] },
        ] })
        };
        for (selector, expected) in [
            (json!({}), Some(true)),
            (json!({ "matchLabels": { "app": "cart" } }), Some(false)),
            (wanted("In"), Some(true)),
            (wanted("NotIn"), Some(false)),
            (wanted("Resembles"), None),
        ] {
            let read = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(is_selected(&read, &labels()), expected, "{selector}");
        }
    }
}
