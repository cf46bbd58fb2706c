//! What a reply must be.

use super::decimal::blurred;
use super::found::found;
use super::{Check, NoJson, read_json};
use crate::secret::Mask;
use serde_json::Value;
use serde_json_path::JsonPath;
use std::time::Duration;

/// How a request travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The HTTP API.
    Http,
    /// The gRPC proxy, with JSON messages.
    Rpc,
}

/// A whole answer, whichever way it came. Its bytes are judged once and never stored.
#[derive(Debug, Clone)]
pub struct Reply {
    /// How it came.
    pub transport: Transport,
    /// The HTTP status; over gRPC 200 for a success, else the code of the platform's error, else that of the gRPC
    /// status as the platform maps it.
    pub status: u16,
    /// The gRPC status, over gRPC.
    pub grpc_status: Option<u32>,
    /// Header names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// The body; over gRPC the first message, or the text of the error.
    pub body: Vec<u8>,
    /// What a caller sees besides, such as a reason phrase and trailers.
    pub aside: Vec<u8>,
    /// Whether it may hold a secret elsewhere than at the place where one was sought: its body is judged, and not shown.
    pub is_withheld: bool,
    /// For a redirect to an address that the target file does not name: scheme, host and port of that address.
    pub elsewhere: Option<String>,
    /// How long it took, from sending to the last byte.
    pub took: Duration,
}

/// What is said instead of what may hold a secret elsewhere than where it was sought.
pub const NOT_SHOWN: &str = "not shown: they may hold a secret, which does not stand where it should";

impl Reply {
    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as text to be shown.
    pub fn shown_text(&self) -> String {
        if !self.is_withheld {
            return self.text();
        }
        format!("({} bytes, {NOT_SHOWN})", self.body.len())
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<Value> {
        self.read_json().ok()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read_json(&self) -> Result<Value, NoJson> {
        read_json(&self.body)
    }

    /// The status, and where it would lead.
    fn found(&self) -> String {
        match &self.elsewhere {
            None => self.status.to_string(),
            Some(origin) => format!(
                "{}, a redirect to {origin}, which the target file does not name: it was not followed",
                self.status
            ),
        }
    }

    /// Whether it says that the request was carried out, and this is the whole answer: nobody asks for a part (206).
    pub fn is_success(&self) -> bool {
        const PARTIAL: u16 = 206;
        (200..300).contains(&self.status) && self.status != PARTIAL
    }

    /// Everything that a caller can see, for the search for canaries: headers, body, and what comes besides.
    pub fn visible(&self) -> Vec<u8> {
        let mut all: Vec<u8> = vec![];
        for (name, value) in &self.headers {
            all.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
        all.extend_from_slice(&self.body);
        all.push(b'\n');
        all.extend_from_slice(&self.aside);
        all
    }
}

/// What a reply must be. Nothing named means: a success.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// One of these HTTP statuses.
    pub status: Option<Vec<u16>>,
    /// Conditions on headers, names in lower case.
    pub headers: Vec<(String, Vec<Check>)>,
    /// Conditions on the values at JSON paths (RFC 9535).
    pub body: Vec<(JsonPath, Vec<Check>)>,
    /// Conditions on the body as text.
    pub text: Vec<Check>,
    /// At most this long, inclusive.
    pub latency: Option<Duration>,
    /// A refusal, in one of the platform's forms.
    pub refused: Option<super::Refusals>,
}

/// One expectation that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The failure's kind, such as `expect.status`.
    pub kind: &'static str,
    /// What was wanted and what was found. Not masked yet.
    pub message: String,
}

impl Expectation {
    /// Whether instants of the reply are compared with others.
    pub fn compares_instants(&self) -> bool {
        compares_instants(&self.body)
    }

    /// Every expectation that the reply breaks.
    pub fn broken_by(&self, reply: &Reply, mask: &Mask) -> Vec<Mismatch> {
        let mut broken = vec![];
        broken.extend(self.wrong_status(reply));
        broken
            .extend(self.headers.iter().flat_map(|(name, checks)| wrong_header(name, checks, (reply, mask))));
        broken.extend(self.wrong_body(reply, mask));
        broken.extend(self.wrong_text(reply, mask));
        broken.extend(too_slow(self.latency, reply.took));
        broken
    }

    fn wrong_status(&self, reply: &Reply) -> Option<Mismatch> {
        let found = reply.found();
        let broken = |wanted: String| {
            Some(Mismatch {
                kind: "expect.status",
                message: format!("status: wanted {wanted}, found {found}"),
            })
        };
        if let Some(refusals) = &self.refused {
            return (!refusals.recognise(reply)).then(|| Mismatch {
                kind: "expect.refused",
                message: format!("wanted a refusal, found status {found} in no known form of one"),
            });
        }
        match &self.status {
            None if reply.is_success() => None,
            None => broken("a success".into()),
            Some(wanted) if wanted.contains(&reply.status) => None,
            Some(wanted) => broken(wanted.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")),
        }
    }

    fn wrong_body(&self, reply: &Reply, mask: &Mask) -> Vec<Mismatch> {
        if self.body.is_empty() {
            return vec![];
        }
        match reply.read_json() {
            Ok(json) => wrong_values(&self.body, &blurred(json, &reply.body), mask),
            Err(why) => {
                vec![Mismatch { kind: "expect.body", message: format!("body: wanted JSON, found {why}") }]
            }
        }
    }

    fn wrong_text(&self, reply: &Reply, mask: &Mask) -> Vec<Mismatch> {
        if self.text.is_empty() {
            return vec![];
        }
        let text = Value::from(reply.text());
        let shown = Value::from(reply.shown_text());
        let wrong = self.text.iter().filter(|check| !check.is_met_by(&[&text]));
        let wrong = wrong.map(|check| check.difference(&[&shown], mask));
        wrong.map(|wrong| Mismatch { kind: "expect.text", message: format!("body: {wrong}") }).collect()
    }
}

/// Every condition that the values at its path do not meet.
pub(super) fn wrong_values(body: &[(JsonPath, Vec<Check>)], json: &Value, mask: &Mask) -> Vec<Mismatch> {
    let wrong_at = |(path, checks): &(JsonPath, Vec<Check>)| {
        let wrong: Vec<String> = match found(path, json) {
            Ok(found) => checks.iter().filter_map(|check| check.wrong_with(&found, mask)).collect(),
            Err(why) => vec![why],
        };
        wrong.into_iter().map(|wrong| format!("{path}: {wrong}")).collect::<Vec<_>>()
    };
    body.iter().flat_map(wrong_at).map(|message| Mismatch { kind: "expect.body", message }).collect()
}

/// Whether a condition on values compares instants.
pub(super) fn compares_instants(body: &[(JsonPath, Vec<Check>)]) -> bool {
    let checks = body.iter().flat_map(|(_, checks)| checks);
    checks.into_iter().any(|check| matches!(check, Check::NotBefore(_) | Check::NotAfter(_)))
}

/// What is wrong with a time beyond a limit.
pub(super) fn too_slow(latency: Option<Duration>, took: Duration) -> Option<Mismatch> {
    let most = latency.filter(|most| took > *most)?;
    Some(Mismatch {
        kind: "expect.latency",
        message: format!("latency: wanted at most {most:?}, found {took:?}"),
    })
}

fn wrong_header(name: &str, checks: &[Check], (reply, mask): (&Reply, &Mask)) -> Vec<Mismatch> {
    let found: Vec<Value> = reply
        .headers
        .iter()
        .filter(|(key, _)| key == name)
        .map(|(_, value)| Value::from(value.as_str()))
        .collect();
    let found: Vec<&Value> = found.iter().collect();
    checks
        .iter()
        .filter_map(|check| check.wrong_with(&found, mask))
        .map(|wrong| Mismatch { kind: "expect.header", message: format!("header {name}: {wrong}") })
        .collect()
}

/// The first value at a path of a reply; none if [`found`] cannot say.
pub fn select(reply: &Reply, path: &JsonPath) -> Option<Value> {
    found(path, &reply.json()?).ok()?.first().copied().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Form, Refusals};
    use serde_json::json;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            transport: Transport::Http,
            status,
            grpc_status: None,
            headers: vec![("content-type".into(), "application/json".into())],
            aside: vec![],
            is_withheld: false,
            body: body.into(),
            elsewhere: None,
            took: Duration::from_millis(5),
        }
    }

    fn messages(expectation: &Expectation, reply: &Reply) -> Vec<String> {
        expectation
            .broken_by(reply, &Mask::new())
            .into_iter()
            .map(|it| format!("{}: {}", it.kind, it.message))
            .collect()
    }

    #[test]
    fn nothing_named_means_a_success() {
        assert!(messages(&Expectation::default(), &reply(204, "")).is_empty());
        assert_eq!(
            messages(&Expectation::default(), &reply(500, "")),
            ["expect.status: status: wanted a success, found 500"]
        );
    }

    #[test]
    fn every_broken_expectation_is_told() {
        let expectation = Expectation {
            status: Some(vec![200, 201]),
            headers: vec![("x-absent".into(), vec![Check::Absent(false)])],
            body: vec![(JsonPath::parse("$.a").unwrap(), vec![Check::Equals(json!(2))])],
            text: vec![Check::Matches(regex::Regex::new("zzz").unwrap())],
            latency: Some(Duration::from_millis(1)),
            refused: None,
        };
        assert_eq!(
            messages(&expectation, &reply(404, "{\"a\":1}")),
            [
                "expect.status: status: wanted 200 or 201, found 404",
                "expect.header: header x-absent: wanted something, found nothing",
                "expect.body: $.a: wanted 2, found 1",
                "expect.text: body: wanted text that matches `zzz`, found \"{\\\"a\\\":1}\"",
                "expect.latency: latency: wanted at most 1ms, found 5ms",
            ]
        );
    }

    #[test]
    fn a_body_that_is_no_json_breaks_every_path() {
        let expectation = Expectation {
            body: vec![(JsonPath::parse("$.a").unwrap(), vec![Check::Absent(true)])],
            ..Expectation::default()
        };
        assert_eq!(
            messages(&expectation, &reply(200, "<html>")),
            ["expect.body: body: wanted JSON, found none"]
        );
    }

    #[test]
    fn a_server_error_is_no_refusal() {
        let forms = vec![Form { status: Some(401), ..Form::default() }];
        let expectation = Expectation { refused: Some(Refusals(forms)), ..Expectation::default() };
        assert!(messages(&expectation, &reply(401, "no")).is_empty());
        assert_eq!(
            messages(&expectation, &reply(500, "oops")),
            ["expect.refused: wanted a refusal, found status 500 in no known form of one"]
        );
    }
}
