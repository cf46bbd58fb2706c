//! The door of the fake cluster: requests in, answers out, over HTTP/1.1.
//!
//! Lives here: connections, routes, status codes. Does not: reading a request (`request`), what happens in the
//! cluster (`controller`), changes of single objects (`object_door`).

use super::exec;
use super::kind::{self, Kind};
use super::object_door;
use super::refusal::Refusal;
use super::request::{Ask, Route};
use super::watch::Watch;
use super::{Shared, table};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A larger body is refused, as the real API server does at its own, larger limit.
const BODY_LIMIT_BYTES: usize = 1 << 20;

/// What a request comes to.
pub(super) enum Answer {
    /// A JSON body with its status.
    Json(u16, Value),
    /// Plain text.
    Text(String),
    /// An open watch.
    Stream(Box<Watch>),
}

/// Serves every connection until this future is dropped; its connections end with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve_connection(stream, shared.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(respond(&shared, request).await) }
    });
    // A connection that breaks is the caller's business.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await.ok();
}

async fn respond(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    if exec::is_asked(&request) {
        return match exec::open(shared, request) {
            Ok((status, headers)) => opened(status, headers),
            Err(refusal) => json_response(refusal.code, &refusal.to_status()),
        };
    }
    let answer = match read(request).await {
        Ok(ask) => answer(shared, &ask),
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok(Answer::Json(code, value)) => json_response(code, &value),
        Ok(Answer::Text(text)) => response(200, "text/plain", whole(text)),
        Ok(Answer::Stream(watch)) => {
            let body = StreamBody::new(watch.frames()).boxed_unsync();
            response(200, "application/json", body)
        }
        Err(refusal) => json_response(refusal.code, &refusal.to_status()),
    }
}

async fn read(request: Request<Incoming>) -> Result<Ask, Refusal> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT_BYTES).collect().await;
    let body = body.map_err(|error| Refusal::bad_request(format!("unreadable body: {error}")))?.to_bytes();
    Ask::read(parts.method, &parts.uri, &parts.headers, &body)
}

fn opened(status: http::StatusCode, headers: http::HeaderMap) -> Response<Body> {
    let mut response = Response::new(whole(String::new()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn json_response(code: u16, value: &Value) -> Response<Body> {
    response(code, "application/json", whole(value.to_string()))
}

fn whole(text: String) -> Body {
    Full::new(Bytes::from(text)).boxed_unsync()
}

fn response(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn answer(shared: &Arc<Shared>, ask: &Ask) -> Result<Answer, Refusal> {
    if ask.is_dry_run() {
        return Err(Refusal::bad_request("this cluster does nothing as a dry run"));
    }
    let found = |value: Option<Value>| {
        value.map(|value| Answer::Json(200, value)).ok_or_else(Refusal::no_such_resource)
    };
    match &ask.route {
        Route::Version => found(Some(version())),
        Route::Health => Ok(Answer::Text("ok".to_owned())),
        Route::CoreVersions => {
            found(Some(json!({ "kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"] })))
        }
        Route::Groups => found(Some(kind::groups())),
        Route::Group(name) => found(kind::resources(name).map(|_| kind::group(name))),
        Route::Resources(group) => found(kind::resources(group)),
        Route::AccessReview if ask.method == Method::POST => Ok(Answer::Json(201, reviewed(shared, ask))),
        Route::Collection { kind, namespace } => collection(shared, ask, *kind, namespace.as_deref()),
        Route::Object { kind, namespace, name, part } => {
            let place = object_door::Place { kind: *kind, namespace, name };
            object_door::answer(shared, ask, place, part.as_deref())
        }
        Route::AccessReview => Err(Refusal::method_not_allowed()),
        Route::Nowhere => Err(Refusal::no_such_resource()),
    }
}

fn collection(
    shared: &Arc<Shared>,
    ask: &Ask,
    kind: Kind,
    namespace: Option<&str>,
) -> Result<Answer, Refusal> {
    match ask.method {
        Method::GET if ask.says("watch") => {
            let watch = Watch::open(shared, ask, kind, namespace.map(str::to_owned))?;
            Ok(Answer::Stream(Box::new(watch)))
        }
        Method::GET => list(shared, ask, kind, namespace),
        Method::POST => object_door::create(shared, ask, kind, namespace.unwrap_or_default()),
        _ => Err(Refusal::method_not_allowed()),
    }
}

fn list(shared: &Shared, ask: &Ask, kind: Kind, namespace: Option<&str>) -> Result<Answer, Refusal> {
    let selector = ask.selector()?;
    let (objects, version) = shared.list(kind, namespace);
    let objects: Vec<&Value> =
        objects.iter().map(AsRef::as_ref).filter(|object| selector.selects(object)).collect();
    let version = version.to_string();
    let list = if ask.wants_table {
        table::table(kind, &objects, &version, shared.timestamp())
    } else {
        json!({
            "kind": format!("{}List", kind.resource().kind), "apiVersion": kind.api_version(),
            "metadata": { "resourceVersion": version }, "items": objects,
        })
    };
    Ok(Answer::Json(200, list))
}

/// A version that today's kubectl and kube accept.
fn version() -> Value {
    json!({
        "major": "1", "minor": "32", "gitVersion": "v1.32.0", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2024-12-11T17:59:15Z", "goVersion": "go1.23.3", "compiler": "gc", "platform": "linux/amd64",
    })
}

/// Everyone may do everything here, but evict pods if that is denied.
fn reviewed(shared: &Shared, ask: &Ask) -> Value {
    let asked = &ask.body["spec"]["resourceAttributes"];
    let is_eviction = asked["resource"] == "pods" && asked["subresource"] == "eviction";
    let is_allowed = !(is_eviction && shared.state().settings.defects.denies_evictions);
    json!({
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
        "spec": {}, "status": { "allowed": is_allowed, "reason": "this cluster is a fake" },
    })
}
