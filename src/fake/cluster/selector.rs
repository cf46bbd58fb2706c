//! Label and field selectors: `a=b,c!=d,e in (x,y),f notin (z),g,!h` and `metadata.name=x`.
//!
//! Lives here: their syntax and what they match. Does not: where they are applied.

use super::refusal::Refusal;
use serde_json::Value;

/// What an object must look like to be listed, watched or counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Term>,
    fields: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Has(String),
    HasNot(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

const FIELDS: [&str; 4] = ["metadata.name", "metadata.namespace", "status.phase", "spec.nodeName"];

impl Selector {
    /// Reads both selectors of a request; an empty text selects everything.
    pub(super) fn parse(labels: &str, fields: &str) -> Result<Selector, Refusal> {
        let selector = Selector { labels: terms(labels)?, fields: terms(fields)? };
        let unknown = selector.fields.iter().map(Term::key).find(|key| !FIELDS.contains(key));
        match unknown {
            Some(key) => Err(Refusal::bad_request(format!("field label not supported: {key}"))),
            None => Ok(selector),
        }
    }

    /// The labels of a `matchLabels`, all of which must be there.
    pub(super) fn of_labels(labels: &Value) -> Selector {
        let term = |(key, value): (&String, &Value)| {
            Term::In(key.clone(), vec![value.as_str().unwrap_or_default().to_owned()])
        };
        Selector { labels: labels.as_object().into_iter().flatten().map(term).collect(), fields: Vec::new() }
    }

    /// Whether an object is selected.
    pub(super) fn selects(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str();
        let field =
            |key: &str| object.pointer(&format!("/{}", key.replace('.', "/"))).and_then(Value::as_str);
        self.labels.iter().all(|term| term.holds(label(term.key())))
            && self.fields.iter().all(|term| term.holds(Some(field(term.key()).unwrap_or_default())))
    }
}

impl Term {
    fn key(&self) -> &str {
        match self {
            Term::Has(key) | Term::HasNot(key) | Term::In(key, _) | Term::NotIn(key, _) => key,
        }
    }

    fn holds(&self, value: Option<&str>) -> bool {
        let is_among = |values: &[String]| value.is_some_and(|value| values.iter().any(|v| v == value));
        match self {
            Term::Has(_) => value.is_some(),
            Term::HasNot(_) => value.is_none(),
            Term::In(_, values) => is_among(values),
            Term::NotIn(_, values) => !is_among(values),
        }
    }
}

fn terms(text: &str) -> Result<Vec<Term>, Refusal> {
    split_outside_parentheses(text).into_iter().map(str::trim).filter(|t| !t.is_empty()).map(term).collect()
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .collect()
}

fn term(text: &str) -> Result<Term, Refusal> {
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((key, values)) = text.split_once(" notin ") {
        return Ok(Term::NotIn(key.trim().to_owned(), list(values)?));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return Ok(Term::In(key.trim().to_owned(), list(values)?));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Term::NotIn(key.trim().to_owned(), one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Term::In(key.trim().to_owned(), one(value)));
    }
    Ok(match text.strip_prefix('!') {
        Some(key) => Term::HasNot(key.trim().to_owned()),
        None => Term::Has(text.to_owned()),
    })
}

fn list(text: &str) -> Result<Vec<String>, Refusal> {
    let inner = text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    inner.map(|inner| inner.split(',').map(|value| value.trim().to_owned()).collect()).ok_or_else(|| {
        Refusal::bad_request(format!("unable to parse requirement: found '{text}', expected: '('"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects(labels: &str, fields: &str) -> bool {
        let pod =
            json!({ "metadata": { "name": "a-1", "labels": { "micro": "runtime", "name": "micro-store" } } });
        Selector::parse(labels, fields).unwrap().selects(&pod)
    }

    #[test]
    fn every_form_of_a_label_selector_is_understood() {
        for yes in [
            "",
            "micro",
            "micro=runtime",
            "micro==runtime,name",
            "micro!=service",
            "name in (a, micro-store)",
        ] {
            assert!(selects(yes, ""), "{yes}");
        }
        for yes in ["!owner", "name notin (a,b),micro in (runtime)", "owner!=x"] {
            assert!(selects(yes, ""), "{yes}");
        }
        for no in ["owner", "micro=service", "name notin (micro-store)", "!micro", "micro=runtime,owner=x"] {
            assert!(!selects(no, ""), "{no}");
        }
    }

    #[test]
    fn a_field_selector_knows_names_and_refuses_what_it_does_not_know() {
        assert!(selects("", "metadata.name=a-1"));
        assert!(!selects("", "metadata.name!=a-1"));
        assert_eq!(Selector::parse("", "spec.colour=red").unwrap_err().code, 400);
        assert_eq!(Selector::parse("a in b", "").unwrap_err().code, 400);
    }
}
