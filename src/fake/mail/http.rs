//! The HTTP door of the mail server: `GET /email` (`?to.address=`), `/email/ID`, `/healthz`; `DELETE /email/all`, `/email/ID`.
//!
//! Lives here: routes and status codes, as maildev has them. Does not: what a mail looks like (`shelf`).

use super::shelf::Shelf;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves every connection until this future is dropped; its connections end with it.
pub(super) async fn serve(listener: TcpListener, shelf: Arc<Shelf>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shelf = shelf.clone();
                let service = hyper::service::service_fn(move |request| {
                    let shelf = shelf.clone();
                    async move { Ok::<_, Infallible>(answer(&shelf, &request)) }
                });
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A broken connection concerns its client, who sees it.
                connections.spawn(async move { served.await.ok() });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn answer(shelf: &Shelf, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_end_matches('/');
    let id = path.strip_prefix("/email/");
    match (request.method(), path, id) {
        (&Method::GET, "/email", _) => {
            let query = request.uri().query().unwrap_or_default();
            let to = query.split('&').find_map(|pair| pair.strip_prefix("to.address="));
            json_reply(StatusCode::OK, &shelf.all(to.map(decoded).as_deref()))
        }
        (&Method::GET, "/healthz", _) => json_reply(StatusCode::OK, &json!(true)),
        (&Method::GET, _, Some(id)) => match shelf.one(id) {
            Some(mail) => json_reply(StatusCode::OK, &mail),
            None => nothing(),
        },
        (&Method::DELETE, _, Some(id)) if shelf.remove(id) => json_reply(StatusCode::OK, &json!(true)),
        _ => nothing(),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn nothing() -> Response<Full<Bytes>> {
    json_reply(StatusCode::NOT_FOUND, &json!({ "error": "nothing is here" }))
}

fn json_reply(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(value.to_string())));
    *reply.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json; charset=utf-8");
    reply.headers_mut().insert(header::CONTENT_TYPE, json);
    reply
}
