//! The admin door: what a test may see and move of the fake.
//!
//! Lives here: `GET /state`, `/target`, `/defects`; `POST /clock`, `/defects`. Does not: anything that the real
//! platform has.

use super::{NoAnswer, Shared, serve};
use crate::fake::cluster::Cluster;
use crate::fake::defect::{Defect, Defects};
use crate::fake::platform::shown;
use crate::fake::pod::Order;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;

type Out = Response<Full<Bytes>>;

/// What the admin door shows.
pub(crate) struct Backstage {
    /// The platform.
    pub(crate) shared: Arc<Shared>,
    /// The cluster, if there is one.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// The target file's text.
    pub(crate) target: String,
}

impl Backstage {
    fn picture(&self) -> Value {
        let mut picture = self.shared.with(|state| shown::picture(state));
        if let (Some(cluster), Some(members)) = (&self.cluster, picture.as_object_mut()) {
            members.insert("cluster".to_owned(), cluster.dump());
        }
        picture
    }
}

/// Serves the admin door until its task is dropped.
pub(crate) async fn run(listener: TcpListener, backstage: Backstage) {
    let backstage = Arc::new(backstage);
    serve(listener, move |request| answer(backstage.clone(), request)).await;
}

async fn answer(backstage: Arc<Backstage>, request: Request<Incoming>) -> Result<Out, NoAnswer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(match (&head.method, head.uri.path()) {
        (&Method::GET, "/state") => json_reply(&backstage.picture()),
        (&Method::GET, "/target") => reply(StatusCode::OK, backstage.target.clone()),
        (&Method::GET, "/defects") => json_reply(&list(&backstage.shared)),
        (&Method::POST, "/defects") => set_defects(&backstage.shared, &body),
        (&Method::POST, "/clock") => move_clock(&backstage.shared, &body),
        _ => reply(StatusCode::NOT_FOUND, "GET /state /target /defects, POST /clock /defects\n".to_owned()),
    })
}

fn reply(status: StatusCode, body: String) -> Out {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply
}

fn json_reply(value: &Value) -> Out {
    reply(StatusCode::OK, format!("{value:#}\n"))
}

fn list(shared: &Shared) -> Value {
    let on = shared.with(|state| state.defects.clone());
    let line = |defect: &Defect| {
        json!({
            "name": defect.name(), "does": defect.description(), "real": defect.is_real(), "on": on.has(*defect),
        })
    };
    Value::Array(Defect::ALL.iter().map(line).collect())
}

fn set_defects(shared: &Shared, body: &Value) -> Out {
    let names = body.get("on").and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<String> = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match Defects::named(&names) {
        Ok(defects) => {
            shared.with(|state| {
                state.orders.push(Order::Misbehave(defects.clone()));
                state.defects = defects;
            });
            json_reply(&list(shared))
        }
        Err(unknown) => reply(StatusCode::BAD_REQUEST, format!("no defect is called `{unknown}`\n")),
    }
}

/// `{"advance": "40s"}`.
fn move_clock(shared: &Shared, body: &Value) -> Out {
    let given = body.get("advance").and_then(Value::as_str).unwrap_or_default();
    let span: Result<jiff::SignedDuration, _> = given.parse();
    match span {
        Ok(span) => {
            let by_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
            let now = shared.with(|state| {
                state.clock.advance_ms(by_ms);
                state.tick();
                state.clock.now_text()
            });
            json_reply(&json!({ "now": now }))
        }
        Err(error) => reply(StatusCode::BAD_REQUEST, format!("`advance` is no length of time: {error}\n")),
    }
}
