//! The gRPC proxy.
//!
//! Lives here: from a gRPC request to a call of a service, and back. Does not: frames (`frames`), the way to the pod
//! (`forward`).

use super::frames::{self, Frames};
use super::{NoAnswer, Shared, forward};
use crate::fake::defect::Defect;
use crate::fake::platform::serve::{self, Codec, Forwarded, Served};
use crate::fake::platform::wire::{Answer, Refusal};
use crate::fake::platform::{MICRO, State, encode, protobuf, rules};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;

/// Deadlines shorter than this are over before the real proxy has done anything.
const NO_TIME: Duration = Duration::from_millis(5);

type Out = Response<Frames>;

/// Why there is no success, and who says so.
enum Failure {
    /// gRPC itself, with a bare text.
    Status(u32, String),
    /// The proxy, with an error as text and no details.
    Proxy(u32, Refusal),
    /// The service.
    Service(Refusal),
}

/// Answers one request.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Out, NoAnswer> {
    let (head, body) = request.into_parts();
    let kind = content_type(&head);
    if !kind.starts_with("application/grpc") {
        return Err(NoAnswer);
    }
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let outcome = within(&head, call(&shared, &head, &body)).await;
    Ok(match outcome {
        Ok((codec, served)) => success(&kind, codec, &served),
        Err(failure) => refusal(&kind, &failure),
    })
}

fn content_type(head: &Parts) -> String {
    let kind = head.headers.get(http::header::CONTENT_TYPE);
    kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned()).unwrap_or_default()
}

fn text(head: &Parts, name: &str) -> Option<String> {
    let value = head.headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned()).filter(|text| !text.is_empty())
}

/// `5S`, `100m`, `7u` …
fn grpc_timeout(head: &Parts) -> Option<Duration> {
    let given = text(head, "grpc-timeout")?;
    let (number, unit) = given.split_at_checked(given.len() - 1)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        _ => Duration::from_nanos(number),
    })
}

/// Carries the call out within the caller's deadline: gRPC's own, or the metadata `timeout` in nanoseconds.
async fn within(
    head: &Parts,
    call: impl Future<Output = Result<(Codec, Served), Failure>>,
) -> Result<(Codec, Served), Failure> {
    let own = text(head, "timeout").and_then(|given| given.parse().ok()).map(Duration::from_nanos);
    let late = "context deadline exceeded";
    let (limit, failure) = match (grpc_timeout(head), own) {
        (Some(limit), _) => (limit, Failure::Status(4, late.to_owned())),
        (None, Some(limit)) => (limit, Failure::Proxy(13, Refusal::micro("go.micro.client", 408, late))),
        (None, None) => return call.await,
    };
    if limit < NO_TIME {
        return Err(failure);
    }
    tokio::time::timeout(limit, call).await.unwrap_or(Err(failure))
}

async fn call(shared: &Shared, head: &Parts, body: &Bytes) -> Result<(Codec, Served), Failure> {
    let (service, endpoint) = method(head.uri.path())?;
    let codec = codec(&content_type(head))?;
    let authorization = text(head, "authorization");
    let namespace = shared
        .with(|state| admit(state, head, authorization.as_deref(), &service, &endpoint))
        .map_err(|refusal| Failure::Proxy(13, refusal))?;
    let messages = frames::messages(body.clone()).iter().map(|message| encoded(codec, message)).collect();
    let call = Forwarded { service, endpoint, namespace, authorization, over_http: false, codec, messages };
    let served = forward::forward(shared, &call).await.map_err(|refusal| Failure::Proxy(13, refusal))?;
    match served.reply {
        Err(refusal) => Err(Failure::Service(refusal)),
        Ok(Answer::Endless) => std::future::pending().await,
        Ok(_) => Ok((codec, served)),
    }
}

fn encoded(codec: Codec, message: &[u8]) -> String {
    match codec {
        Codec::Json => String::from_utf8_lossy(message).into_owned(),
        Codec::Protobuf => STANDARD.encode(message),
    }
}

/// Service and endpoint of `/service.Handler/Method`.
fn method(path: &str) -> Result<(String, String), Failure> {
    let malformed =
        |status| Failure::Status(status, format!("malformed method name: {}", serde_json::Value::from(path)));
    let inner = path.strip_prefix('/').unwrap_or(path);
    let parts: Vec<&str> = inner.split('/').collect();
    let (handler, method) = match parts.as_slice() {
        [_] => return Err(malformed(8)),
        [handler, method] if !handler.is_empty() && !method.is_empty() => (*handler, *method),
        _ => return Err(malformed(3)),
    };
    let (service, handler) = handler.rsplit_once('.').unwrap_or(("", handler));
    if service.is_empty() {
        let refusal = Refusal::micro("go.micro.proxy", 400, "service name is blank");
        return Err(Failure::Proxy(13, refusal));
    }
    Ok((service.to_owned(), format!("{handler}.{method}")))
}

fn codec(kind: &str) -> Result<Codec, Failure> {
    match kind {
        "application/grpc" | "application/grpc+proto" => Ok(Codec::Protobuf),
        "application/grpc+json" => Ok(Codec::Json),
        "application/grpc+bytes" => Err(Failure::Status(
            13,
            "grpc: failed to unmarshal the received message invalid message".to_owned(),
        )),
        other => {
            let refusal = Refusal::micro("proxy", 500, format!("Unsupported Content-Type: {other}"));
            Err(Failure::Proxy(2, refusal))
        }
    }
}

/// The proxy's rule check; a foreign account counts here. The answer is the namespace of the call.
fn admit(
    state: &mut State,
    head: &Parts,
    authorization: Option<&str>,
    service: &str,
    endpoint: &str,
) -> Result<String, Refusal> {
    let token = match authorization {
        None => None,
        Some(header) => Some(header.strip_prefix("Bearer ").ok_or_else(|| serve::bad_scheme(service))?),
    };
    let account = token.and_then(|token| state.account(token));
    let named = text(head, "micro-namespace");
    let namespace = named.or_else(|| account.as_ref().map(|account| account.iss.clone()));
    let namespace = namespace.unwrap_or_else(|| MICRO.to_owned());
    let is_debug = endpoint.starts_with("Debug.") && state.has(Defect::DebugOpenToAnonymous);
    if is_debug || state.has(Defect::RpcIgnoresRules) {
        return Ok(namespace);
    }
    let rules = serve::rules_of(state, "proxy", &namespace).map_err(|refusal| {
        Refusal::micro("proxy", 500, format!("Error authorizing request: {}", refusal.to_json()))
    })?;
    if rules::allow(&rules, account.as_ref(), service, endpoint) {
        return Ok(namespace);
    }
    Err(serve::not_allowed(account.as_ref(), service, endpoint))
}

fn success(kind: &str, codec: Codec, served: &Served) -> Out {
    let values = match &served.reply {
        Ok(Answer::Message(value)) => vec![value.clone()],
        Ok(Answer::Stream(values)) => values.clone(),
        _ => Vec::new(),
    };
    let written = |value: &serde_json::Value| match codec {
        Codec::Json => encode::go_text(&encode::to_json(&served.output, value)).into_bytes(),
        Codec::Protobuf => protobuf::write(&served.output, value),
    };
    let messages: Vec<Vec<u8>> = values.iter().map(written).collect();
    reply(kind, Frames::of(&messages))
}

fn reply(kind: &str, frames: Frames) -> Out {
    let mut reply = Response::new(frames);
    if let Ok(kind) = HeaderValue::from_str(kind) {
        reply.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    }
    reply
}

/// An error is headers only.
fn refusal(kind: &str, failure: &Failure) -> Out {
    let (status, message, details) = match failure {
        Failure::Status(status, message) => (*status, message.clone(), None),
        Failure::Proxy(status, refusal) => (*status, refusal.to_json(), None),
        Failure::Service(Refusal::Plain { status, text }) => (*status, text.clone(), None),
        Failure::Service(Refusal::Micro { id, code, detail }) => {
            let json = Refusal::micro(id, *code, detail).to_json();
            (frames::status_of(*code), json, Some(frames::details(id, *code, detail)))
        }
    };
    let mut reply = reply(kind, Frames::default());
    let headers = reply.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(status));
    if let Ok(message) = HeaderValue::from_str(&frames::escaped(&message)) {
        headers.insert("grpc-message", message);
    }
    if let Some(details) = details.and_then(|details| HeaderValue::from_str(&details).ok()) {
        headers.insert("grpc-status-details-bin", details);
    }
    reply
}
