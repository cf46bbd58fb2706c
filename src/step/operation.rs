//! What a platform can be asked: one entry of `operations.yaml`.
//!
//! Lives here: what an operation does, who may call it, and how it is put back. Does not: calling it (`send`).

use super::expect::Captures;
use super::look::Look;
use super::{Data, Expect};
use crate::judge::{Form, Transport};
use crate::source::{At, Problem, Span, Whole};
use crate::target::Via;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Something the platform can be asked.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Operation {
    /// Method and path over HTTP, such as `POST /signup/verify`; `{name}` is filled from a step's `with`.
    pub http: Option<At<String>>,
    /// Service, handler and method over gRPC, such as `signup.Signup.Verify`.
    pub rpc: Option<At<String>>,
    /// The namespace a request is routed to; the caller's own if absent.
    #[serde(rename = "in")]
    pub namespace: Option<String>,
    /// Which identity kinds may call it.
    #[serde(default)]
    pub open_to: Vec<At<String>>,
    /// Whether it changes anything.
    pub effect: Effect,
    /// How a change is put back.
    pub undo: Option<UndoBy>,
    /// The operation whose undo puts this one's change back too.
    pub part_of: Option<At<String>>,
    /// What stays, as declared.
    #[serde(default)]
    pub leaves: Vec<Residue>,
    /// The key of the shared thing that it changes: held alone until it is put back.
    pub key: Option<super::Template>,
    /// What is looked up before a change, so that it can be put back.
    #[serde(default)]
    pub before: BTreeMap<At<String>, LookUp>,
    /// How long its effect, and its undo, may take to be seen.
    pub settles: Option<Span>,
    /// JSON paths to values of a reply that must never be shown.
    #[serde(default)]
    pub secret: Vec<At<String>>,
    /// What it does, for readers.
    pub about: Option<String>,
}

/// Whether an operation changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It only reads.
    Read,
    /// It changes something.
    Write,
}

/// A flow that puts a change back.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct UndoBy {
    /// The flow.
    pub flow: At<String>,
    /// Its inputs, from `request`, `caller` and `before` alone.
    #[serde(default)]
    pub with: BTreeMap<At<String>, Data>,
}

/// Something that stays.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Residue {
    /// Where.
    pub at: String,
    /// Why.
    pub why: String,
}

/// A look-up before a change. As `operator`.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct LookUp {
    /// The operation, which must only read.
    pub op: At<String>,
    /// Its body.
    pub json: Option<Data>,
    /// What is taken from the reply.
    pub capture: Captures,
    /// The reply that means that there is nothing: then every capture is null.
    pub absent: Option<Expect>,
}

/// One form of refusal, as written under `refused:`.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct FormSyntax {
    /// How it comes.
    pub via: Option<Via>,
    /// The status.
    pub status: Option<u16>,
    /// The gRPC status.
    pub grpc_status: Option<u32>,
    /// A regular expression found in its body.
    pub text: Option<At<String>>,
}

impl FormSyntax {
    /// The form.
    ///
    /// # Errors
    /// If it names nothing, or its text is no regular expression.
    pub fn form(&self, whole: &Whole) -> Result<Form, Problem> {
        let text = self.text.as_ref().map(|text| {
            regex::Regex::new(text)
                .map_err(|_| Problem::new(text.at, format!("`{}` is no regular expression", text.value)))
        });
        if self.status.is_none() && self.grpc_status.is_none() && self.text.is_none() {
            return Err(Problem::new(whole.0.at, "a form of refusal that every reply has")
                .hint("name `status`, `grpc_status` or `text`"));
        }
        if let Some(text) = self.text.as_ref().filter(|text| text.is_empty()) {
            return Err(Problem::new(text.at, "a text that every reply holds"));
        }
        let via = self.via.map(transport);
        Ok(Form { via, status: self.status, grpc_status: self.grpc_status, text: text.transpose()? })
    }
}

/// The transport of a way to call.
pub(crate) fn transport(via: Via) -> Transport {
    match via {
        Via::Http => Transport::Http,
        Via::Rpc => Transport::Rpc,
    }
}

impl Operation {
    /// Whether it changes anything.
    pub fn is_write(&self) -> bool {
        self.effect == Effect::Write
    }

    /// Looks over what is written. The flows and the other operations are known to `look`.
    pub(crate) fn look(&self, name: &At<String>, look: &mut Look<'_>) {
        if self.http.is_none() && self.rpc.is_none() {
            look.problem(Problem::new(name.at, format!("`{}` has neither `http` nor `rpc`", name.value)));
        }
        self.look_addresses(look);
        self.look_undo(name, look);
        for path in &self.secret {
            look.json_path(path);
        }
    }

    fn look_addresses(&self, look: &mut Look<'_>) {
        if let Some(http) = self.http.as_ref().filter(|it| method_and_path(it).is_none()) {
            let text = format!("wanted a method and a path such as `POST /a/b`, found `{}`", http.value);
            look.problem(Problem::new(http.at, text));
        }
        if let Some(rpc) = self.rpc.as_ref().filter(|it| grpc_path(it).is_none()) {
            let text = format!("wanted `service.Handler.Method`, found `{}`", rpc.value);
            look.problem(Problem::new(rpc.at, text));
        }
    }

    fn look_undo(&self, name: &At<String>, look: &mut Look<'_>) {
        let ways = [self.undo.is_some(), self.part_of.is_some(), !self.leaves.is_empty()];
        if self.is_write() && !ways.contains(&true) {
            look.problem(
                Problem::new(
                    name.at,
                    format!("`{}` writes, and says neither `undo`, `part_of` nor `leaves`", name.value),
                )
                .hint("say how its change is put back, or what it leaves"),
            );
        }
        if !self.is_write() && (self.undo.is_some() || self.part_of.is_some()) {
            look.problem(Problem::new(name.at, format!("`{}` reads, and needs no undo", name.value)));
        }
        if self.key.is_some() && self.undo.is_some() && self.before.is_empty() {
            look.problem(
                Problem::new(
                    name.at,
                    format!("`{}` changes something shared without looking it up before", name.value),
                )
                .hint("add `before:`, so that the old value comes back"),
            );
        }
        let mut inner = look.within(["request", "caller", "before", "run"]);
        self.key.iter().for_each(|key| inner.template(key));
        if let Some(undo) = &self.undo {
            inner.flow(&undo.flow, &undo.with);
            inner.changing_flow(&undo.flow);
        }
        for look_up in self.before.values() {
            inner.reading_operation(&look_up.op);
            look_up.json.iter().for_each(|data| inner.data(data));
            look_up.capture.values().for_each(|from| from.look(&mut inner));
            look_up.absent.iter().for_each(|absent| absent.look(&mut inner, name.at));
        }
        if let Some(parent) = &self.part_of
            && inner.operation(parent).is_some_and(|it| it.undo.is_none())
        {
            inner.problem(Problem::new(parent.at, format!("`{}` has no undo", parent.value)));
        }
    }
}

/// `POST /a/b` as its two parts.
pub(crate) fn method_and_path(http: &str) -> Option<(&str, &str)> {
    let (method, path) = http.split_once(' ')?;
    let is_method = matches!(method, "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS");
    (is_method && path.starts_with('/')).then_some((method, path))
}

/// `service.Handler.Method` as the path of a gRPC call.
pub(crate) fn grpc_path(rpc: &str) -> Option<String> {
    let mut parts = rpc.rsplitn(3, '.');
    let (method, handler, service) = (parts.next()?, parts.next()?, parts.next()?);
    (!service.is_empty() && !handler.is_empty() && !method.is_empty())
        .then(|| format!("/{service}.{handler}/{method}"))
}
