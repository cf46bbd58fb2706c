//! The HTTP API gateway.
//!
//! Lives here: from a request to a call of a service, and back. Does not: paths (`path`), bodies (`body`), the way to
//! the pod (`forward`).

use super::body::{self, Body};
use super::path::{self, Target};
use super::{NoAnswer, Shared, forward};
use crate::fake::defect::Defect;
use crate::fake::platform::serve::{self, Forwarded, Served};
use crate::fake::platform::token::Claims;
use crate::fake::platform::wire::{Answer, Refusal, micro_json};
use crate::fake::platform::{MICRO, State, encode, rules};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;

/// How long the gateway waits for a service.
const CALL_LIMIT: Duration = Duration::from_secs(5);

type Out = Response<Full<Bytes>>;

/// Where a request goes, and for whom.
struct Route {
    target: Target,
    /// The namespace whose rules count and whose services are looked up.
    namespace: String,
    /// What is passed on as the namespace; several headers run together.
    passed_on: String,
    authorization: Option<String>,
    account: Option<Claims>,
}

/// Answers one request.
pub(super) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Out, NoAnswer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let date = shared.with(|state| date(state));
    let mut reply = respond(&shared, &head, &body).await?;
    if let Ok(date) = http::HeaderValue::from_str(&date) {
        reply.headers_mut().insert(header::DATE, date);
    }
    if head.method == Method::HEAD {
        *reply.body_mut() = Full::new(Bytes::new());
    }
    Ok(reply)
}

/// `Wed, 25 Nov 2026 08:04:25 GMT`.
fn date(state: &State) -> String {
    let now = jiff::Timestamp::from_second(state.clock.now_s()).unwrap_or_default();
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn respond(shared: &Shared, head: &Parts, body: &[u8]) -> Result<Out, NoAnswer> {
    if head.uri.path() == "*" {
        return Ok(bare(StatusCode::OK));
    }
    let decoded = path::decoded(head.uri.path());
    let clean = path::cleaned(&decoded);
    if clean != decoded {
        return Ok(moved(head, &clean));
    }
    let reply = if head.method == Method::OPTIONS {
        let is_refused = shared.with(|state| state.has(Defect::PreflightRefused));
        bare(if is_refused { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::OK })
    } else {
        serve(shared, head, body, &clean).await?
    };
    Ok(with_cors(head, reply))
}

fn bare(status: StatusCode) -> Out {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

fn plain(status: StatusCode, headers: &[(&str, &str)], body: String) -> Out {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    for (name, value) in headers {
        let name = header::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, header::HeaderValue::from_str(value)) {
            reply.headers_mut().append(name, value);
        }
    }
    reply
}

fn moved(head: &Parts, clean: &str) -> Out {
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let place = format!("{clean}{query}");
    let status = StatusCode::MOVED_PERMANENTLY;
    if head.method != Method::GET && head.method != Method::HEAD {
        return plain(status, &[("location", &place)], String::new());
    }
    let page = format!("<a href=\"{place}\">Moved Permanently</a>.\n\n");
    plain(status, &[("content-type", "text/html; charset=utf-8"), ("location", &place)], page)
}

fn with_cors(head: &Parts, mut reply: Out) -> Out {
    let origin = head.headers.get(header::ORIGIN).cloned();
    let headers = reply.headers_mut();
    headers.insert("access-control-allow-credentials", header::HeaderValue::from_static("true"));
    headers.insert(
        "access-control-allow-headers",
        header::HeaderValue::from_static(
            "Accept, Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, Micro-Namespace",
        ),
    );
    headers.insert(
        "access-control-allow-methods",
        header::HeaderValue::from_static("POST, PATCH, GET, OPTIONS, PUT, DELETE"),
    );
    let origin = origin.unwrap_or_else(|| header::HeaderValue::from_static("*"));
    headers.insert("access-control-allow-origin", origin);
    reply
}

async fn serve(shared: &Shared, head: &Parts, body: &[u8], clean: &str) -> Result<Out, NoAnswer> {
    let route = shared.with(|state| route(state, head, clean));
    if let Some(refused) = shared.with(|state| refused(state, &route)) {
        return Ok(refused);
    }
    match clean {
        "/" => return Ok(version()),
        "/favicon.ico" => return Ok(bare(StatusCode::OK)),
        _ => {}
    }
    if let Some(lost) = shared.with(|state| lost(state, &route)) {
        return Ok(lost);
    }
    let message = match body::read(head, body) {
        Ok(Body::Message(codec, text)) => (codec, text),
        Ok(Body::HangUp) => return Err(NoAnswer),
        Err(refusal) => return Ok(error(shared, &refusal)),
    };
    let call = Forwarded {
        service: route.target.service.clone(),
        endpoint: route.target.endpoint.clone(),
        namespace: route.passed_on.clone(),
        authorization: route.authorization.clone(),
        over_http: true,
        codec: message.0,
        messages: vec![message.1],
    };
    match twice(shared, &call).await {
        Ok(served) => Ok(success(shared, head, call.codec, &served).await),
        Err(refusal) => Ok(error(shared, &refusal)),
    }
}

fn version() -> Out {
    let body = r#"{"version": "v3.0.1"}"#.to_owned();
    plain(StatusCode::OK, &[("content-type", "text/plain; charset=utf-8")], body)
}

fn header_text(head: &Parts, name: &str) -> Option<String> {
    let value = head.headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn route(state: &mut State, head: &Parts, clean: &str) -> Route {
    let named: Vec<String> = head
        .headers
        .get_all("micro-namespace")
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let authorization = header_text(head, "authorization").or_else(|| cookie_token(head));
    let token = authorization.as_deref().and_then(|header| header.strip_prefix("Bearer "));
    let account = token.and_then(|token| state.account(token));
    let first = named.first().filter(|first| !first.is_empty()).cloned();
    let namespace = first
        .or_else(|| account.as_ref().map(|account| account.iss.clone()))
        .or_else(|| subdomain(head))
        .unwrap_or_else(|| MICRO.to_owned());
    let passed_on = if named.len() > 1 { named.join(",") } else { namespace.clone() };
    let account = account.filter(|account| account.iss == namespace);
    Route { target: path::target(clean), namespace, passed_on, authorization, account }
}

fn cookie_token(head: &Parts) -> Option<String> {
    let cookies = header_text(head, "cookie")?;
    let token = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("micro-token="))?;
    Some(format!("Bearer {token}"))
}

/// `foo.m3o.app` is namespace foo, `staging.foo.m3o.app` is `foo-staging`.
fn subdomain(head: &Parts) -> Option<String> {
    let host = header_text(head, "host")?;
    let parts: Vec<&str> = host.split(':').next()?.strip_suffix(".m3o.app")?.split('.').collect();
    match parts.as_slice() {
        ["api"] => None,
        parts => Some(parts.iter().rev().copied().collect::<Vec<_>>().join("-")),
    }
}

/// What the rules of the namespace have against the call.
fn refused(state: &mut State, route: &Route) -> Option<Out> {
    let Target { service, endpoint } = &route.target;
    let is_debug = endpoint.starts_with("Debug.") && state.has(Defect::DebugOpenToAnonymous);
    if is_debug || state.has(Defect::GatewayRulesIgnored) {
        return None;
    }
    let text = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")];
    let (status, body) = match serve::rules_of(state, "api", &route.namespace) {
        Ok(rules) if rules::allow(&rules, route.account.as_ref(), service, endpoint) => return None,
        Ok(_) if route.account.is_some() => (StatusCode::FORBIDDEN, "Forbidden request\n".to_owned()),
        Ok(_) => (StatusCode::UNAUTHORIZED, "unauthorized request\n".to_owned()),
        Err(refusal) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{}\n", refusal.to_json())),
    };
    let besides = if state.has(Defect::RefusalBringsData) {
        "{\"usage\":[{\"namespace\":\"oyster-raven\"}]}"
    } else {
        ""
    };
    Some(plain(status, &text, body + besides))
}

/// What is said of a service that nobody knows, or of a name that cannot be called.
fn lost(state: &mut State, route: &Route) -> Option<Out> {
    let Target { service, endpoint } = &route.target;
    state.tick();
    if !state.nodes.is_known(&route.namespace, service) {
        if state.has(Defect::UnknownServiceAnswers) {
            return Some(plain(StatusCode::OK, &[("content-type", "application/json")], "{}".to_owned()));
        }
        let body = micro_json("", 500, "service not found");
        return Some(json_error(state, StatusCode::INTERNAL_SERVER_ERROR, "application/json", body));
    }
    let refusal = if endpoint.contains('\0') {
        Refusal::plain("stream terminated by RST_STREAM with error code: PROTOCOL_ERROR")
    } else if endpoint.split('.').count() != 2 {
        Refusal::plain(format!("malformed method name: {}", serde_json::Value::from(endpoint.as_str())))
    } else if state.has(Defect::TenantHeaderMisroutes) && route.namespace != MICRO && route.account.is_none()
    {
        serve::route_not_found(service)
    } else {
        return None;
    };
    Some(error_of(state, &refusal))
}

fn error(shared: &Shared, refusal: &Refusal) -> Out {
    shared.with(|state| error_of(state, refusal))
}

fn error_of(state: &State, refusal: &Refusal) -> Out {
    let (id, code, detail) = refusal.as_micro();
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_error(state, status, "text/plain; charset=utf-8", micro_json(&id, code, &detail))
}

fn json_error(state: &State, status: StatusCode, kind: &str, body: String) -> Out {
    let body = if state.has(Defect::GatewayErrorLowercaseKeys) { lower_keys(&body) } else { body };
    plain(status, &[("content-type", kind)], body)
}

fn lower_keys(body: &str) -> String {
    ["Id", "Code", "Detail", "Status"].iter().fold(body.to_owned(), |text, key| {
        text.replacen(&format!("\"{key}\":"), &format!("\"{}\":", key.to_lowercase()), 1)
    })
}

/// One try, and one more after a 500 or a 408: a call may be carried out twice.
async fn twice(shared: &Shared, call: &Forwarded) -> Result<Served, Refusal> {
    match once(shared, call).await {
        Err(refusal) if matches!(refusal.as_micro().1, 500 | 408) => once(shared, call).await,
        first => first,
    }
}

async fn once(shared: &Shared, call: &Forwarded) -> Result<Served, Refusal> {
    let served = forward::forward(shared, call).await?;
    match served.reply {
        Err(refusal) => Err(refusal),
        Ok(Answer::Stream(ref messages)) if messages.len() > 1 => {
            Err(Refusal::plain("grpc: client streaming protocol violation: get <nil>, want <EOF>"))
        }
        Ok(_) => Ok(served),
    }
}

async fn success(shared: &Shared, head: &Parts, codec: serve::Codec, served: &Served) -> Out {
    let value = match &served.reply {
        Ok(Answer::Message(value)) => value.clone(),
        Ok(Answer::Stream(messages)) if !messages.is_empty() => messages[0].clone(),
        _ => {
            tokio::time::sleep(CALL_LIMIT).await;
            return error(shared, &Refusal::micro("go.micro.client", 408, "context deadline exceeded"));
        }
    };
    let body = match codec {
        serve::Codec::Json => {
            Bytes::from(encode::go_text(&with_renamed(encode::to_json(&served.output, &value), &value)))
        }
        serve::Codec::Protobuf => Bytes::from(crate::fake::platform::protobuf::write(&served.output, &value)),
    };
    let mut reply = Response::new(Full::new(body));
    let kind = head.headers.get(header::CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or_else(|| header::HeaderValue::from_static(""));
    reply.headers_mut().insert(header::CONTENT_TYPE, kind);
    reply
}

/// With the token that a defect tells under a name which no message has.
fn with_renamed(mut shown: serde_json::Value, told: &serde_json::Value) -> serde_json::Value {
    if let Some(token) = told.pointer("/token/jwt") {
        shown["token"]["jwt"] = token.clone();
    }
    shown
}
