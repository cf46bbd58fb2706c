//! What a suite expects of a reply, as it is written: `status`, `headers`, `body`, `text`, `latency`, `refused`.
//!
//! Lives here: the syntax of expectations and of captures, and how they become what `judge` takes. Does not: judging.

use super::json_path::{json_path, names_many};
use super::look::Look;
use super::stage::Stage;
use super::{Data, Names};
use crate::judge::{Check, Expectation, JsonType, NoJson, Refusals, found, instant};
use crate::outcome::{Evidence, Failure};
use crate::source::{At, Place, Problem, Span};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_json_path::JsonPath;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a reply must be. Without `status` and `refused` it must be a success.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
pub struct Expect {
    /// The HTTP status, or a list of them. Over gRPC, the code of the platform's error, 200 for a success.
    pub status: Option<Data>,
    /// Header names to conditions.
    #[serde(default)]
    pub headers: BTreeMap<At<String>, Data>,
    /// JSON paths (RFC 9535) to conditions: a value, or `equals`, `matches`, `one_of`, `absent`, `length`, `type`,
    /// `not_before`, `not_after`.
    #[serde(default)]
    pub body: Body,
    /// A condition on the body as text.
    pub text: Option<Data>,
    /// The longest time to the last byte, inclusive. Scaled by the target's pace.
    pub latency: Option<Span>,
    /// The reply must be a refusal, in one of the forms that operations.yaml lists.
    pub refused: Option<bool>,
}

impl Expect {
    /// Looks over what is written.
    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        let is_empty = self.status.is_none()
            && self.headers.is_empty()
            && self.body.is_empty()
            && self.text.is_none()
            && self.latency.is_none()
            && self.refused.is_none();
        if is_empty {
            look.problem(
                Problem::new(at, "an expectation that no reply can fail").hint("name what must hold"),
            );
        }
        if let Some(status) = &self.status {
            look.data(status);
            constant(status, statuses, look);
        }
        look_body(&self.body, look);
        for data in self.headers.values() {
            look.data(data);
            constant(data, checks_of_text, look);
        }
        if let Some(text) = &self.text {
            look.data(text);
            constant(text, checks_of_body, look);
        }
        if self.refused == Some(false) || (self.refused.is_some() && self.status.is_some()) {
            look.problem(Problem::new(at, "`refused` is `true` or absent, and stands without `status`"));
        }
    }

    /// The expectation with its templates rendered.
    ///
    /// # Errors
    /// If a template has no value, or a condition is none.
    pub(crate) fn rendered(&self, stage: &Stage<'_>) -> Result<Expectation, Vec<Failure>> {
        let status = self.status.as_ref().map(|it| stage.parsed(it, statuses)).transpose()?;
        let headers = self
            .headers
            .iter()
            .map(|(name, data)| Ok((name.value.to_lowercase(), stage.parsed(data, checks_of_text)?)))
            .collect::<Result<_, Vec<Failure>>>()?;
        let body = rendered_body(&self.body, stage)?;
        let text =
            self.text.as_ref().map(|it| stage.parsed(it, checks_of_body)).transpose()?.unwrap_or_default();
        let refused: Option<Refusals> = self.refused.map(|_| stage.scene.book.refusals.clone());
        let latency = self.latency.map(|most| stage.scene.target.paced(most.0));
        Ok(Expectation { status, headers, body, text, latency, refused })
    }
}

/// JSON paths to conditions, as they are written.
pub(crate) type Body = BTreeMap<At<String>, Data>;

/// Looks over conditions at JSON paths.
pub(crate) fn look_body(body: &Body, look: &mut Look<'_>) {
    for (path, data) in body {
        look.json_path(path);
        look.data(data);
        constant(data, checks, look);
    }
}

/// Conditions at JSON paths, with their templates rendered.
pub(crate) fn rendered_body(
    body: &Body,
    stage: &Stage<'_>,
) -> Result<Vec<(JsonPath, Vec<Check>)>, Vec<Failure>> {
    body.iter().map(|(path, data)| Ok((stage.json_path(path)?, stage.parsed(data, checks)?))).collect()
}

/// Tells at load what would be wrong with a condition that holds no expression.
pub(crate) fn constant<T>(data: &Data, parse: fn(&Value) -> Result<T, String>, look: &mut Look<'_>) {
    if let Some(Err(why)) = data.constant().map(|value| parse(&value)) {
        look.problem(Problem::new(data.at, why));
    }
}

/// Conditions on what is a text whatever it says.
fn checks_of_text(value: &Value) -> Result<Vec<Check>, String> {
    let checks = checks(value)?;
    match checks.iter().any(|check| matches!(check, Check::Type(_))) {
        true => Err("`type` says nothing of a text: it is always a string".into()),
        false => Ok(checks),
    }
}

/// Conditions on the text of a body, which every reply has.
fn checks_of_body(value: &Value) -> Result<Vec<Check>, String> {
    let checks = checks_of_text(value)?;
    match checks.iter().any(|check| matches!(check, Check::Absent(_))) {
        true => Err("`absent` says nothing of the text of a body: it is always there".into()),
        false => Ok(checks),
    }
}

/// A success, the usual refusals, and an error of the server.
const EVERY_KIND_OF_STATUS: [u16; 6] = [200, 400, 401, 403, 404, 500];

fn statuses(value: &Value) -> Result<Vec<u16>, String> {
    let one = |value: &Value| {
        value
            .as_u64()
            .and_then(|it| u16::try_from(it).ok())
            .filter(|it| (100..600).contains(it))
            .ok_or_else(|| format!("wanted a status from 100 to 599, found {value}"))
    };
    let statuses: Vec<u16> = match value {
        Value::Array(list) if !list.is_empty() => list.iter().map(one).collect::<Result<_, _>>()?,
        value => vec![one(value)?],
    };
    match EVERY_KIND_OF_STATUS.iter().all(|it| statuses.contains(it)) {
        true => {
            Err("a success, every usual refusal and an error of the server all meet it: it can never fail"
                .into())
        }
        false => Ok(statuses),
    }
}

/// The names of the conditions.
pub(crate) const CONDITIONS: [&str; 8] =
    ["equals", "matches", "one_of", "absent", "length", "type", "not_before", "not_after"];

/// A map whose keys are all names of conditions is a list of conditions; anything else must be equal.
pub(crate) fn checks(value: &Value) -> Result<Vec<Check>, String> {
    match value {
        Value::Object(map) if !map.is_empty() && map.keys().any(|key| CONDITIONS.contains(&key.as_str())) => {
            if map.len() > 1 && map.get("absent") == Some(&Value::Bool(true)) {
                return Err("`absent: true` stands alone: what is absent meets no other condition".into());
            }
            map.iter().map(|(name, value)| check(name, value)).collect()
        }
        value => Ok(vec![Check::Equals(value.clone())]),
    }
}

fn check(name: &str, value: &Value) -> Result<Check, String> {
    match name {
        "equals" => Ok(Check::Equals(value.clone())),
        "matches" => pattern(value),
        "one_of" => match value {
            Value::Array(list) if !list.is_empty() => Ok(Check::OneOf(list.clone())),
            _ => Err(format!("`one_of` wants a list that is not empty, found {value}")),
        },
        "absent" => {
            value.as_bool().map(Check::Absent).ok_or(format!("`absent` wants true or false, found {value}"))
        }
        "length" => range("length", value).map(Check::Length),
        "not_before" => instant_of(name, value).map(Check::NotBefore),
        "not_after" => instant_of(name, value).map(Check::NotAfter),
        "type" => serde_json::from_value::<JsonType>(value.clone()).map(Check::Type).map_err(|_| {
            format!("`type` wants string, number, boolean, array, object or null, found {value}")
        }),
        other => Err(format!(
            "`{other}` is no condition (wanted {}; to compare with a map, use `equals`)",
            CONDITIONS.join(", ")
        )),
    }
}

fn instant_of(name: &str, value: &Value) -> Result<Timestamp, String> {
    let wanted = "an instant as in RFC 3339 or seconds since 1970";
    instant(value)
        .ok_or_else(|| format!("`{name}` wants {wanted}, such as $(now|minus('2h')), found {value}"))
}

fn pattern(value: &Value) -> Result<Check, String> {
    let text = value.as_str().ok_or(format!("`matches` wants a regular expression, found {value}"))?;
    telling(text).map(Check::Matches)
}

/// A regular expression that tells texts apart.
///
/// # Errors
/// If it is none, or fits every text.
pub(crate) fn telling(text: &str) -> Result<regex::Regex, String> {
    let regex = regex::Regex::new(text).map_err(|_| format!("`{text}` is no regular expression"))?;
    if regex.is_match("") && regex.is_match("\u{1}any text at all\u{1}") {
        return Err(format!("`{text}` matches every text: it can never fail"));
    }
    // A letter, a digit, a blank, a line, a control, a letter that is no ASCII, and what JSON and HTML begin with.
    if ["a", "0", " ", "\n", "\u{1}", "é", "{", "<"].iter().all(|one| regex.is_match(one)) {
        return Err(format!(
            "`{text}` matches every text but an empty one: write `length: {{ at_least: 1 }}`"
        ));
    }
    Ok(regex)
}

/// A number, or a range of them that not every number is in.
pub(crate) fn range(key: &str, value: &Value) -> Result<RangeInclusive<u64>, String> {
    let wrong = || format!("`{key}` wants a number, or `at_least` and `at_most`, found {value}");
    match value {
        Value::Number(number) => number.as_u64().map(|it| it..=it).ok_or_else(wrong),
        Value::Object(map)
            if map.keys().all(|key| key == "at_least" || key == "at_most") && !map.is_empty() =>
        {
            let bound = |name: &str, otherwise: u64| map.get(name).map_or(Some(otherwise), Value::as_u64);
            let (least, most) = bound("at_least", 0).zip(bound("at_most", u64::MAX)).ok_or_else(wrong)?;
            if least > most || (least == 0 && most == u64::MAX) { Err(wrong()) } else { Ok(least..=most) }
        }
        _ => Err(wrong()),
    }
}

/// What is taken from a reply, by name.
pub type Captures = BTreeMap<At<String>, CaptureFrom>;

/// Where a value is taken from.
#[derive(Debug, Clone)]
pub struct CaptureFrom {
    path: At<String>,
    /// The value if there is none at the path, or null; without it the step fails.
    or: Option<Value>,
    is_secret: bool,
}

impl CaptureFrom {
    /// The value at its path, or the one for when nothing stands there. Null is nothing. None where [`found`] cannot say.
    pub(crate) fn value_in(&self, json: &Value) -> Option<Value> {
        self.found_by(&json_path(&self.path).ok()?, json).ok()?
    }

    fn found_by(&self, path: &JsonPath, json: &Value) -> Result<Option<Value>, String> {
        let first = found(path, json)?.first().copied().cloned();
        Ok(first.filter(|found| !found.is_null()).or_else(|| self.or.clone()))
    }

    /// Looks over where it is sought.
    pub(crate) fn look(&self, look: &mut Look<'_>) {
        look.json_path(&self.path);
    }

    /// Where it is sought.
    pub(crate) fn path(&self) -> &str {
        &self.path.value
    }
}

/// The value of `or`, which may be null: that the key is there is what matters.
fn otherwise(node: &crate::source::Node) -> Result<Option<Value>, String> {
    let crate::source::What::Map(map) = &node.what else { return Ok(None) };
    let Some((_, value)) = map.iter().find(|(key, _)| key.text == "or") else { return Ok(None) };
    let value = Data::new(value).map_err(|problem| problem.text)?;
    value.constant().map(Some).ok_or_else(|| "`or` wants a plain value".to_owned())
}

#[derive(Deserialize)]
struct LongForm {
    path: At<String>,
    #[serde(rename = "or")]
    _or: Option<crate::source::Whole>,
    #[serde(default)]
    secret: bool,
}

impl<'de> Deserialize<'de> for CaptureFrom {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let node = crate::source::Whole::deserialize(deserializer)?.0;
        if let crate::source::What::Text(text) = &node.what {
            let path = At { value: text.clone(), at: node.at };
            return Ok(Self { path, or: None, is_secret: false });
        }
        let problems = crate::source::Problems::default();
        let long: Option<LongForm> = crate::source::read(&node, &problems);
        if let Some(problem) = problems.into_inner().into_iter().next() {
            return Err(D::Error::custom(problem.text));
        }
        let long = long.ok_or_else(|| D::Error::custom("wanted a JSON path"))?;
        let or = otherwise(&node).map_err(D::Error::custom)?;
        Ok(Self { path: long.path, or, is_secret: long.secret })
    }
}

impl schemars::JsonSchema for CaptureFrom {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CaptureFrom".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "a JSON path, or a path with a value for when nothing stands there",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "path": { "type": "string" }, "or": true, "secret": { "type": "boolean" } },
                    "required": ["path"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// Looks over captures and makes their names known.
pub(crate) fn look_captures(captures: &Captures, look: &mut Look<'_>) {
    for (name, from) in captures {
        look.json_path(&from.path);
        look.declare(name);
    }
}

/// The same, and what it was sought in is shown if one fails.
///
/// # Errors
/// As for [`capture`].
pub(crate) fn capture_or_show(
    captures: &Captures,
    json: Result<&Value, &NoJson>,
    stage: &mut Stage<'_>,
    shown: impl Fn(&Stage<'_>) -> Vec<Evidence>,
) -> Result<(), Vec<Failure>> {
    capture(captures, json, stage).map_err(|mut failures| {
        failures.iter_mut().for_each(|failure| failure.evidence = shown(stage));
        failures
    })
}

/// Takes every capture from a reply.
///
/// # Errors
/// If the reply is no JSON, for then `or` would say what nobody has answered, or if nothing, or null, stands at a path without `or`.
pub(crate) fn capture(
    captures: &Captures,
    json: Result<&Value, &NoJson>,
    stage: &mut Stage<'_>,
) -> Result<(), Vec<Failure>> {
    for (name, from) in captures {
        let path = stage.json_path(&from.path)?;
        let json = json.map_err(|why| {
            let text = format!("capture `{}`: wanted JSON, found {why}", name.value);
            vec![stage.fail("expect.capture", &text)]
        })?;
        let found = from.found_by(&path, json).map_err(|why| {
            let text = format!("capture `{}`: {}: {why}", name.value, from.path.value);
            vec![stage.fail("expect.capture", &text)]
        })?;
        let Some(value) = found else {
            let text = format!("capture `{}`: nothing stands at {}, or null", name.value, from.path.value);
            return Err(vec![stage.fail("expect.capture", &text)]);
        };
        if is_secret(name, from, stage) {
            stage.learn(&value);
        }
        stage.names.insert(name.value.clone(), value);
    }
    Ok(())
}

/// Whether a capture is a secret: it says so, or a flow gives it away as one.
fn is_secret(name: &At<String>, from: &CaptureFrom, stage: &Stage<'_>) -> bool {
    from.is_secret || stage.secret_names.contains(&name.value)
}

/// The paths of what is captured as a secret.
pub(crate) fn secret_paths(captures: &Captures, stage: &Stage<'_>) -> Vec<String> {
    let secret = captures.iter().filter(|(name, from)| is_secret(name, from, stage));
    secret.map(|(_, from)| from.path.value.clone()).collect()
}

/// Makes every value that is captured as a secret one.
pub(crate) fn learn_secrets(captures: &Captures, json: &Value, stage: &Stage<'_>) {
    let secret = captures.iter().filter(|(name, from)| is_secret(name, from, stage));
    secret.filter_map(|(_, from)| from.value_in(json)).for_each(|value| stage.learn(&value));
}

/// Whether what is captured as a secret is missing, so that it may stand elsewhere.
pub(crate) fn lacks_a_secret(captures: &Captures, json: &Value, stage: &Stage<'_>) -> bool {
    let mut secret = captures.iter().filter(|(name, from)| is_secret(name, from, stage));
    secret.any(|(_, from)| from.value_in(json).is_none_or(|value| says_nothing(&value)))
}

/// Whether there was something to learn as a secret at a path, or need not be: a list may be empty.
pub(crate) fn learn_at(path: &str, json: Option<&Value>, stage: &Stage<'_>) -> bool {
    let (Some(json), Ok(compiled)) = (json, json_path(path)) else { return false };
    let found = compiled.query(json).all();
    found.iter().for_each(|value| stage.learn(value));
    found.into_iter().any(|value| !says_nothing(value)) || names_many(path)
}

/// Whether a value is none that could be a secret.
fn says_nothing(value: &Value) -> bool {
    value.is_null() || value == ""
}

/// A map of names to data, rendered.
pub(crate) fn render_map(
    map: &BTreeMap<At<String>, Data>,
    names: &Names,
) -> Result<Map<String, Value>, super::TemplateError> {
    map.iter().map(|(name, data)| Ok((name.value.clone(), data.render(names)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_map_of_conditions_is_told_from_a_map_to_compare_with() {
        assert!(matches!(checks(&json!({"status": "active"})).unwrap()[..], [Check::Equals(_)]));
        assert!(matches!(checks(&json!({"length": 3, "type": "array"})).unwrap()[..], [_, _]));
        assert_eq!(
            checks(&json!({"length": 3, "id": 1})).unwrap_err(),
            "`id` is no condition (wanted equals, matches, one_of, absent, length, type, not_before, not_after; to compare with a map, use \
             `equals`)"
        );
    }

    #[test]
    fn a_condition_that_cannot_fail_is_none() {
        assert_eq!(
            checks(&json!({"matches": ".*"})).unwrap_err(),
            "`.*` matches every text: it can never fail"
        );
        assert!(checks(&json!({"length": {"at_least": 0}})).is_err());
        assert!(checks(&json!({"one_of": []})).is_err());
    }

    #[test]
    fn an_instant_is_compared_as_an_instant() {
        let fresh = checks(&json!({ "not_before": "2026-11-25T08:00:00Z" })).unwrap();
        let wrong = |found: &str| fresh[0].wrong_with(&[&json!(found)], &crate::secret::Mask::new());
        assert_eq!(wrong("2026-11-25T08:00:00Z"), None);
        assert_eq!(wrong("2026-11-25T09:30:00+01:30"), None);
        assert_eq!(
            wrong("2026-11-25T07:59:59Z").unwrap(),
            "wanted an instant not before 2026-11-25T08:00:00Z, found \"2026-11-25T07:59:59Z\""
        );
        assert!(
            wrong("yesterday").is_some() && fresh[0].wrong_with(&[], &crate::secret::Mask::new()).is_some()
        );
        assert_eq!(
            checks(&json!({ "not_before": "2h" })).unwrap_err(),
            "`not_before` wants an instant as in RFC 3339 or seconds since 1970, such as $(now|minus('2h')), found \"2h\""
        );
    }

    #[test]
    fn statuses_are_statuses() {
        assert_eq!(statuses(&json!([200, 404])).unwrap(), [200, 404]);
        assert_eq!(statuses(&json!([200, 400, 401, 403, 404])).unwrap().len(), 5);
        for every in [json!([500, 404, 403, 401, 400, 200]), json!((100..600).collect::<Vec<u16>>())] {
            assert!(statuses(&every).unwrap_err().ends_with("it can never fail"), "{every}");
        }
        assert_eq!(statuses(&json!("200")).unwrap_err(), "wanted a status from 100 to 599, found \"200\"");
    }
}
