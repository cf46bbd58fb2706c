//! The keys that every kind of step which asks something shares, and how they become a request.
//!
//! Lives here: the macro that adds those keys to a kind, their look, and their rendering. Does not: sending (`send`).

use super::look::Look;
use super::operation::{grpc_path, method_and_path, transport};
use super::send::Prepared;
use super::stage::Stage;
use super::{Data, Effect, Operation, Template};
use crate::judge::Transport;
use crate::outcome::Failure;
use crate::source::{At, Place, Problem};
use crate::target::Via;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Defines a step kind with the keys of a request and some of its own.
macro_rules! with_request {
    ($(#[$about:meta])* $seen:vis struct $name:ident { $($(#[$field_about:meta])* $visible:vis $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, serde::Deserialize, schemars::JsonSchema)]
        $seen struct $name {
            /// The operation, as operations.yaml names it.
            op: Option<$crate::source::At<String>>,
            /// A raw GET: a path that begins with `/`.
            get: Option<$crate::step::Template>,
            /// A raw POST; with `effect: read`.
            post: Option<$crate::step::Template>,
            /// A raw PUT; with `effect: read`.
            put: Option<$crate::step::Template>,
            /// A raw PATCH; with `effect: read`.
            patch: Option<$crate::step::Template>,
            /// A raw DELETE; with `effect: read`.
            delete: Option<$crate::step::Template>,
            /// A raw OPTIONS.
            options: Option<$crate::step::Template>,
            /// A raw gRPC method, `service.Handler.Method`; with `effect: read`.
            rpc: Option<$crate::step::Template>,
            /// A GET of a Kubernetes path, such as `/api/v1/namespaces/default`.
            kube: Option<$crate::step::Template>,
            /// Who asks: an identity of the case, `operator`, or `anonymous` (the default).
            #[serde(rename = "as")]
            identity: Option<$crate::source::At<String>>,
            /// A token to send instead of the identity's own.
            token: Option<$crate::step::Template>,
            /// The namespace the request is routed to, instead of the operation's own.
            #[serde(rename = "in")]
            namespace: Option<$crate::step::Template>,
            /// Which way: `http` or `rpc`; the target's default if absent.
            via: Option<$crate::target::Via>,
            /// Values for `{name}` in the operation's address.
            #[serde(default)]
            with: std::collections::BTreeMap<$crate::source::At<String>, $crate::step::Data>,
            /// The JSON body.
            json: Option<$crate::step::Data>,
            /// A raw body.
            body: Option<$crate::step::Template>,
            /// Query parameters.
            #[serde(default)]
            query: std::collections::BTreeMap<$crate::source::At<String>, $crate::step::Data>,
            /// Headers.
            #[serde(default)]
            headers: std::collections::BTreeMap<$crate::source::At<String>, $crate::step::Template>,
            /// `read` promises that a raw request changes nothing.
            effect: Option<$crate::step::Effect>,
            $($(#[$field_about])* $visible $field: $type,)*
        }

        impl $name {
            /// The keys of the request.
            pub(crate) fn request(&self) -> $crate::step::request::Request<'_> {
                $crate::step::request::Request {
                    op: self.op.as_ref(),
                    raw: [
                        ("GET", &self.get),
                        ("POST", &self.post),
                        ("PUT", &self.put),
                        ("PATCH", &self.patch),
                        ("DELETE", &self.delete),
                        ("OPTIONS", &self.options),
                        ("rpc", &self.rpc),
                        ("kube", &self.kube),
                    ]
                    .into_iter()
                    .filter_map(|(method, path)| Some((method, path.as_ref()?)))
                    .collect(),
                    identity: self.identity.as_ref(),
                    token: self.token.as_ref(),
                    namespace: self.namespace.as_ref(),
                    via: self.via,
                    with: &self.with,
                    json: self.json.as_ref(),
                    body: self.body.as_ref(),
                    query: &self.query,
                    headers: &self.headers,
                    effect: self.effect,
                }
            }
        }
    };
}
pub(crate) use with_request;

/// The keys of a request, borrowed from the step that has them.
#[derive(Debug, Clone)]
pub(crate) struct Request<'s> {
    pub(crate) op: Option<&'s At<String>>,
    /// Raw requests: method (or `rpc`, `kube`) and address. At most one, and none beside `op`: the look sees to it.
    pub(crate) raw: Vec<(&'static str, &'s Template)>,
    pub(crate) identity: Option<&'s At<String>>,
    pub(crate) token: Option<&'s Template>,
    pub(crate) namespace: Option<&'s Template>,
    pub(crate) via: Option<Via>,
    pub(crate) with: &'s BTreeMap<At<String>, Data>,
    pub(crate) json: Option<&'s Data>,
    pub(crate) body: Option<&'s Template>,
    pub(crate) query: &'s BTreeMap<At<String>, Data>,
    pub(crate) headers: &'s BTreeMap<At<String>, Template>,
    pub(crate) effect: Option<Effect>,
}

static NO_DATA: BTreeMap<At<String>, Data> = BTreeMap::new();
static NO_TEXTS: BTreeMap<At<String>, Template> = BTreeMap::new();

impl<'s> Request<'s> {
    /// A request that asks nothing yet.
    pub(crate) fn nothing() -> Self {
        Self {
            op: None,
            raw: vec![],
            identity: None,
            token: None,
            namespace: None,
            via: None,
            with: &NO_DATA,
            json: None,
            body: None,
            query: &NO_DATA,
            headers: &NO_TEXTS,
            effect: None,
        }
    }

    /// What it asks, for labels.
    pub(crate) fn subject(&self) -> String {
        match (self.op, self.raw.first()) {
            (Some(op), _) => op.value.clone(),
            (None, Some((method, path))) => format!("{method} {}", path.constant().unwrap_or("…")),
            (None, None) => "nothing".into(),
        }
    }

    /// Looks over what is written.
    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        match (self.op, self.raw.as_slice()) {
            (None, []) => look.problem(
                Problem::new(at, "nothing is asked")
                    .hint("add `op:`, a raw request such as `get: /path`, `rpc:` or `kube:`"),
            ),
            (Some(_), [_, ..]) | (None, [_, _, ..]) => {
                look.problem(
                    Problem::new(at, "more than one thing is asked").hint("one step asks one thing"),
                );
            }
            (Some(op), []) => self.look_operation(op, look),
            (None, [(method, path)]) => self.look_raw(method, path, look),
        }
        if let Some(identity) = self.identity {
            look.identity(identity);
        }
        if self.json.is_some() && self.body.is_some() {
            look.problem(Problem::new(at, "both `json` and `body`"));
        }
        [self.token, self.namespace, self.body].into_iter().flatten().for_each(|it| look.template(it));
        self.headers.values().for_each(|it| look.template(it));
        self.json
            .into_iter()
            .chain(self.with.values())
            .chain(self.query.values())
            .for_each(|it| look.data(it));
    }

    fn look_operation(&self, name: &At<String>, look: &mut Look<'_>) {
        look.calls(name);
        if let Some(effect) = self.effect {
            let text = format!("`effect` is what operations.yaml says of `{}`, not {effect:?}", name.value);
            look.problem(Problem::new(name.at, text.to_lowercase()));
        }
        let Some(operation) = look.book.operations.get(&name.value) else { return };
        let (has, lacks) = match self.via {
            Some(Via::Http) => (operation.http.is_some(), "http"),
            Some(Via::Rpc) => (operation.rpc.is_some(), "rpc"),
            None => (true, ""),
        };
        if !has {
            look.problem(Problem::new(name.at, format!("`{}` cannot be called via {lacks}", name.value)));
        }
        let addresses = [&operation.http, &operation.rpc].into_iter().flatten().map(|it| it.value.as_str());
        let wanted: Vec<&str> = addresses.flat_map(placeholders).collect();
        for missing in wanted.iter().filter(|it| !self.with.keys().any(|key| key.value == **it)) {
            look.problem(
                Problem::new(name.at, format!("`{}` needs a value for `{{{missing}}}`", name.value))
                    .hint(format!("add `with: {{ {missing}: … }}`")),
            );
        }
        for extra in self.with.keys().filter(|key| !wanted.contains(&key.value.as_str())) {
            look.problem(Problem::new(extra.at, format!("`{}` has no `{{{}}}`", name.value, extra.value)));
        }
    }

    fn look_raw(&self, method: &str, path: &Template, look: &mut Look<'_>) {
        look.template(path);
        if method == "kube" {
            look.uses.kube_paths.insert(path.written());
        }
        let is_reading = matches!(method, "GET" | "OPTIONS" | "kube") || self.effect == Some(Effect::Read);
        if !is_reading {
            look.problem(Problem::new(path.at, "a raw request that may change something").hint(
                "use an operation, so that it can be put back; or say `effect: read` if it changes nothing",
            ));
        }
        let is_path = path.constant().is_none_or(|it| it.starts_with('/') || method == "rpc");
        if !is_path {
            look.problem(Problem::new(path.at, "wanted a path that begins with `/`"));
        }
        if method == "rpc" && path.constant().is_some_and(|it| grpc_path(it).is_none()) {
            look.problem(Problem::new(path.at, "wanted `service.Handler.Method`"));
        }
    }

    /// The request as it will be sent.
    ///
    /// # Errors
    /// If a template has no value, or the identity cannot sign in.
    pub(crate) fn prepared(&self, stage: &Stage<'_>) -> Result<Prepared, Vec<Failure>> {
        let operation = self.op.and_then(|name| stage.scene.book.operations.get(&name.value));
        let with = stage.rendered_map(self.with)?;
        let json = self.json.map(|data| stage.rendered(data)).transpose()?;
        let (way, method, mut path) = self.address(operation, &with, stage)?;
        let is_get = way == Transport::Http && matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
        let mut query = stage.rendered_map(self.query)?;
        if let (true, Some(Value::Object(members))) = (is_get, &json) {
            query.extend(members.clone());
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query_text(&query));
        }
        let body = match (self.body, &json) {
            (Some(text), _) => stage.rendered_text(text)?.into_bytes(),
            (None, _) if is_get => vec![],
            (None, Some(json)) => json.to_string().into_bytes(),
            (None, None) => b"{}".to_vec(),
        };
        let mut request = json.unwrap_or_else(|| Value::Object(Map::new()));
        if let Value::Object(members) = &mut request {
            members.entry("with").or_insert_with(|| Value::Object(with));
        }
        Ok(Prepared {
            transport: way,
            is_kube: self.raw.first().is_some_and(|(method, _)| *method == "kube"),
            method,
            path,
            headers: self.all_headers(operation, way, is_get, stage)?,
            body,
            operation: self.op.map(|name| name.value.clone()),
            identity: self.identity.map_or_else(|| "anonymous".to_owned(), |it| it.value.clone()),
            request,
            secret: vec![],
            is_asked_once: false,
        })
    }

    /// Transport, method and path.
    fn address(
        &self,
        operation: Option<&Operation>,
        with: &Map<String, Value>,
        stage: &Stage<'_>,
    ) -> Result<(Transport, String, String), Vec<Failure>> {
        if let Some((method, path)) = self.raw.first() {
            let path = stage.rendered_text(path)?;
            return Ok(match *method {
                "rpc" => (Transport::Rpc, "POST".into(), grpc_path(&path).unwrap_or(path)),
                "kube" => (Transport::Http, "GET".into(), path),
                method => (Transport::Http, method.into(), path),
            });
        }
        let operation =
            operation.ok_or_else(|| vec![stage.doubt("step.operation", "the operation is not known")])?;
        let wanted = self.via.unwrap_or_else(|| stage.scene.target.via());
        match (wanted, &operation.http, &operation.rpc) {
            (Via::Http, Some(http), _) | (Via::Rpc, Some(http), None) => {
                let (method, path) = method_and_path(http).unwrap_or(("GET", "/"));
                let encode = |text: &str| percent_encoding::utf8_percent_encode(text, SEGMENT).to_string();
                Ok((Transport::Http, method.into(), filled(path, with, encode)))
            }
            (_, _, Some(rpc)) => {
                let name = filled(rpc, with, str::to_owned);
                Ok((transport(Via::Rpc), "POST".into(), grpc_path(&name).unwrap_or_default()))
            }
            (_, None, None) => Err(vec![stage.doubt("step.operation", "the operation has no address")]),
        }
    }

    fn all_headers(
        &self,
        operation: Option<&Operation>,
        way: Transport,
        is_get: bool,
        stage: &Stage<'_>,
    ) -> Result<Vec<(String, String)>, Vec<Failure>> {
        let mut headers = vec![];
        let token = match self.token {
            Some(template) => Some(stage.rendered_text(template)?),
            None => stage.token(self.identity)?,
        };
        if let Some(token) = token {
            headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        let namespace = match self.namespace {
            Some(template) => Some(stage.rendered_text(template)?),
            None => operation.and_then(|operation| operation.namespace.clone()),
        };
        if let Some(namespace) = namespace.filter(|it| !it.is_empty()) {
            headers.push((stage.scene.target.file.namespace_header.clone(), namespace));
        }
        for (name, value) in self.headers {
            headers.push((name.value.clone(), stage.rendered_text(value)?));
        }
        let has_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if way == Transport::Http && !is_get && !has_type && self.body.is_none() {
            headers.push(("Content-Type".into(), "application/json".into()));
        }
        Ok(headers)
    }
}

/// Everything that has a meaning in a path segment is encoded.
const SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@');

/// The `{name}`s of an address.
fn placeholders(address: &str) -> Vec<&str> {
    address.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
}

fn filled(address: &str, with: &Map<String, Value>, encode: impl Fn(&str) -> String) -> String {
    with.iter().fold(address.to_owned(), |address, (name, value)| {
        address.replace(&format!("{{{name}}}"), &encode(&plain(value)))
    })
}

fn query_text(query: &Map<String, Value>) -> String {
    let encode = |text: &str| percent_encoding::utf8_percent_encode(text, SEGMENT).to_string();
    query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(&plain(value))))
        .collect::<Vec<_>>()
        .join("&")
}

/// A value without quotes, as it stands in a path or a query.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
