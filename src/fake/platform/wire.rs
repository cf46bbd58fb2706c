//! What a service is asked and what it answers, before any encoding.
//!
//! Lives here: requests, answers, refusals and the reading of request fields. Does not: JSON or protobuf (`decode`,
//! `encode`, `protobuf`), HTTP or gRPC (`door`).

use super::token::Claims;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The members of a message, by their protocol buffer names.
pub(crate) type Message = Map<String, Value>;

/// A call that has reached a service.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The service's name.
    pub(crate) service: String,
    /// `Handler.Method`.
    pub(crate) endpoint: String,
    /// The namespace in which the called service runs.
    pub(crate) namespace: String,
    /// Who calls, if the token is valid.
    pub(crate) caller: Option<Claims>,
    /// Whether the call came over HTTP and not over gRPC.
    pub(crate) over_http: bool,
    /// The decoded request.
    pub(crate) body: Message,
}

impl Request {
    /// A text field; empty if absent.
    pub(crate) fn text(&self, field: &str) -> &str {
        text(&self.body, field)
    }

    /// A field inside a message field; empty if absent.
    pub(crate) fn inner(&self, message: &str, field: &str) -> &str {
        self.body.get(message).and_then(|value| value.get(field)).and_then(Value::as_str).unwrap_or_default()
    }

    /// A message field, if it was given.
    pub(crate) fn message(&self, field: &str) -> Option<&Message> {
        self.body.get(field).and_then(Value::as_object)
    }

    /// `Id` of an error of this very method.
    pub(crate) fn error_id(&self) -> String {
        format!("{}.{}", self.service, self.endpoint)
    }
}

/// A text member of a message; empty if absent.
pub(crate) fn text<'a>(message: &'a Message, field: &str) -> &'a str {
    message.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A number of a message; zero if absent.
pub(crate) fn number(message: &Message, field: &str) -> i64 {
    message.get(field).and_then(Value::as_i64).unwrap_or_default()
}

/// A boolean of a message; false if absent.
pub(crate) fn flag(message: &Message, field: &str) -> bool {
    message.get(field).and_then(Value::as_bool).unwrap_or_default()
}

/// The texts of a repeated field.
pub(crate) fn texts(message: &Message, field: &str) -> Vec<String> {
    let list = message.get(field).and_then(Value::as_array);
    list.map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
}

/// What a service says when it does as asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// One message.
    Message(Value),
    /// A stream of messages that ends.
    Stream(Vec<Value>),
    /// A stream that never says anything and never ends.
    Endless,
}

/// What a service says when it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Refusal {
    /// An error of the platform's own kind.
    Micro {
        /// Who says so.
        id: String,
        /// The HTTP status.
        code: u16,
        /// What is wrong.
        detail: String,
    },
    /// A bare gRPC status, such as a plain Go error.
    Plain {
        /// The gRPC status code.
        status: u32,
        /// Its message.
        text: String,
    },
}

/// What a call comes to.
pub(crate) type Reply = Result<Answer, Refusal>;

impl Refusal {
    /// A platform error.
    pub(crate) fn micro(id: impl Into<String>, code: u16, detail: impl Into<String>) -> Self {
        Self::Micro { id: id.into(), code, detail: detail.into() }
    }

    /// A plain Go error: gRPC status Unknown.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::Plain { status: 2, text: text.into() }
    }

    /// A refusal by gRPC itself.
    pub(crate) fn status(status: u32, text: impl Into<String>) -> Self {
        Self::Plain { status, text: text.into() }
    }

    /// What the gateway's client makes of it: every refusal becomes a platform error.
    pub(crate) fn as_micro(&self) -> (String, u16, String) {
        match self {
            Self::Micro { id, code, detail } => (id.clone(), *code, detail.clone()),
            Self::Plain { text, .. } => ("go.micro.client".to_owned(), 500, text.clone()),
        }
    }

    /// The error as the platform writes it in JSON.
    pub(crate) fn to_json(&self) -> String {
        let (id, code, detail) = self.as_micro();
        micro_json(&id, code, &detail)
    }
}

/// `{"Id":…,"Code":…,"Detail":…,"Status":…}` as Go writes it.
pub(crate) fn micro_json(id: &str, code: u16, detail: &str) -> String {
    let error = serde_json::json!({
        "Id": id, "Code": code, "Detail": detail, "Status": reason(code),
    });
    super::encode::go_text(&error)
}

/// Go's reason phrase of a status.
pub(crate) fn reason(code: u16) -> &'static str {
    http::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// One message as the whole answer.
pub(crate) fn message(value: Value) -> Reply {
    Ok(Answer::Message(value))
}

/// An empty message.
pub(crate) fn empty() -> Reply {
    message(Value::Object(Map::new()))
}
