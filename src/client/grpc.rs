//! gRPC with JSON messages (`application/grpc+json`) to one address, over HTTP/2: how the platform's proxy is spoken to.

use super::connections::{Connections, Protocol};
use super::http::{header_list, innermost, lines, sending, within_limit};
use super::plain::is_not_encoded;
use super::{Answer, Connection, Networks, SendError, Unusable};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use std::time::{Duration, Instant};

/// A client of one gRPC address.
#[derive(Debug, Clone)]
pub struct Grpc {
    connections: Connections,
}

impl Grpc {
    /// A client of `base`: `http` speaks HTTP/2 at once, `https` agrees on it by ALPN.
    ///
    /// # Errors
    /// If the address is no such URL, or TLS cannot be set up.
    pub fn new(base: &str) -> Result<Self, Unusable> {
        Self::in_networks(base, &Networks::default())
    }

    /// The same, for a base whose name must resolve to addresses in these networks.
    ///
    /// # Errors
    /// If the address is no such URL, or TLS cannot be set up.
    pub fn in_networks(base: &str, networks: &Networks) -> Result<Self, Unusable> {
        Ok(Self { connections: Connections::to(base, Protocol::Http2, networks)? })
    }

    /// A client of the same address with connections of its own.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn anew(&self) -> Result<Self, Unusable> {
        Ok(Self { connections: self.connections.anew()? })
    }

    /// Calls one unary method, `/service.Handler/Method`, with one JSON message. The status of the answer is the HTTP
    /// status that belongs to its gRPC status, or the code of the platform's own error where its text is one.
    /// Cancel safe: a dropped call resets its stream; the target may have seen the request.
    ///
    /// # Errors
    /// If there is no whole answer within the time, or one without a gRPC status.
    pub async fn call(
        &self,
        method: &str,
        headers: &[(String, String)],
        json: &[u8],
        connection: Connection,
        within: Duration,
    ) -> Result<Answer, SendError> {
        let client = self.connections.client(connection);
        let url = self.connections.url(method)?;
        let mut builder = client
            .post(url)
            .header("content-type", "application/grpc+json")
            .header("te", "trailers")
            .body(framed(json));
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let exchange = async {
            let started = Instant::now();
            let response = builder.send().await.map_err(|error| sending(&error, within))?;
            answer(response, started).await
        };
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(SendError::TimedOut(within)))
    }
}

/// One uncompressed message: a zero byte, its length, its bytes.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

async fn answer(response: reqwest::Response, started: Instant) -> Result<Answer, SendError> {
    let (head, mut body) = ::http::Response::<reqwest::Body>::from(response).into_parts();
    let (mut bytes, mut trailers, mut aside) = (BytesMut::new(), None, vec![]);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| SendError::Cut(innermost(&error)))?;
        match frame.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        within_limit(&body, bytes.len())?;
    }
    is_not_encoded(&head.headers, &bytes)?;
    is_grpc(&head)?;
    aside.extend(trailers.iter().flat_map(lines));
    aside.extend_from_slice(&bytes);
    // An answer without messages and trailers comes as "trailers only": its status stands among the headers.
    let last = if trailers.is_none() && bytes.is_empty() { Some(&head.headers) } else { trailers.as_ref() };
    let value = |name: &str| last.and_then(|headers| headers.get(name)).map(::http::HeaderValue::as_bytes);
    let grpc_status = one_status([Some(&head.headers), trailers.as_ref()], last)?;
    let text = value("grpc-message").map(percent_encoding::percent_decode).map(Iterator::collect::<Vec<u8>>);
    let body = if grpc_status == 0 { only_message(bytes)? } else { text.unwrap_or_default().into() };
    Ok(Answer {
        status: http_status(grpc_status, &body),
        grpc_status: Some(grpc_status),
        headers: header_list(&head.headers),
        aside,
        body,
        took: started.elapsed(),
    })
}

/// Refuses what clients of gRPC take for another error: whoever answers is no service then.
fn is_grpc(head: &::http::response::Parts) -> Result<(), SendError> {
    let kind = head.headers.get("content-type").map_or(&b""[..], ::http::HeaderValue::as_bytes);
    let is_kind = |rest: &[u8]| rest.is_empty() || matches!(rest[0], b'+' | b';' | b' ');
    if head.status.as_u16() == 200 && kind.strip_prefix(b"application/grpc").is_some_and(is_kind) {
        return Ok(());
    }
    Err(SendError::Broken(format!("HTTP status {}, and no answer of gRPC", head.status.as_u16())))
}

/// The status of an answer, which stands at its end and says one thing alone.
fn one_status(
    all: [Option<&::http::HeaderMap>; 2],
    last: Option<&::http::HeaderMap>,
) -> Result<u32, SendError> {
    let statuses = |headers: &::http::HeaderMap| -> Vec<Vec<u8>> {
        headers.get_all("grpc-status").iter().map(|status| status.as_bytes().to_vec()).collect()
    };
    let said: Vec<Vec<u8>> = all.into_iter().flatten().flat_map(statuses).collect();
    if said.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(SendError::Malformed("it has two gRPC statuses".into()));
    }
    let none = || SendError::Broken("it ends without a gRPC status".into());
    let status = last.and_then(|last| last.get("grpc-status")).ok_or_else(none)?;
    let digits =
        std::str::from_utf8(status.as_bytes()).ok().filter(|text| text.bytes().all(|it| it.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| SendError::Malformed("its gRPC status is no number".into()))
}

/// The one message of the body of a gRPC answer.
///
/// # Errors
/// If there is none, or more than one, if its head or its end is missing, or if it is compressed: nothing was asked for that would
/// be.
pub fn only_message(mut bytes: BytesMut) -> Result<Bytes, SendError> {
    if bytes.is_empty() {
        return Err(SendError::Malformed("a success without a message".into()));
    }
    if bytes.len() < 5 {
        return Err(SendError::Cut("a message without its head".into()));
    }
    if bytes.get_u8() != 0 {
        return Err(SendError::Broken("a compressed message, which nobody asked for".into()));
    }
    let length = bytes.get_u32() as usize;
    if bytes.len() < length {
        return Err(SendError::Cut("a message without its end".into()));
    }
    let message = bytes.split_to(length).freeze();
    if bytes.is_empty() { Ok(message) } else { Err(SendError::Malformed("more than one message".into())) }
}

/// The status of the answer as HTTP would say it: the platform's proxy answers its own refusals with status 13 and
/// the real code in the JSON text, and services with the gRPC status that belongs to their code.
fn http_status(grpc_status: u32, body: &[u8]) -> u16 {
    let told = || serde_json::from_slice::<serde_json::Value>(body).ok()?.get("Code")?.as_u64();
    match (grpc_status, told().and_then(|code| u16::try_from(code).ok())) {
        (0, _) => 200,
        (_, Some(code)) if code >= 400 => code,
        (1 | 4, _) => 408,
        (3, _) => 400,
        (5, _) => 404,
        (6, _) => 409,
        (7, _) => 403,
        (12, _) => 501,
        (14, _) => 503,
        (16, _) => 401,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    type Script = fn() -> (Vec<(&'static str, &'static str)>, Vec<Frame<Bytes>>);

    /// A server that answers every call with the frames of a script.
    async fn serving(script: Script) -> Grpc {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper::service::service_fn(
                    move |request: ::http::Request<hyper::body::Incoming>| async move {
                        assert_eq!(request.uri().path(), "/store.Store/Read");
                        let (headers, frames) = script();
                        let has_type = headers.iter().any(|(name, _)| *name == "content-type");
                        let usual = (!has_type).then_some(("content-type", "application/grpc+json"));
                        let headers = usual.into_iter().chain(headers);
                        let mut response = ::http::Response::builder();
                        response = headers
                            .into_iter()
                            .fold(response, |response, (name, value)| response.header(name, value));
                        let frames = frames.into_iter().map(Ok::<_, std::convert::Infallible>);
                        response.body(StreamBody::new(futures_util::stream::iter(frames)))
                    },
                );
                tokio::spawn(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Grpc::new(&format!("http://{address}")).unwrap()
    }

    fn trailers(status: &'static str, message: &'static str) -> Frame<Bytes> {
        let mut trailers = ::http::HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        trailers.insert("grpc-message", message.parse().unwrap());
        Frame::trailers(trailers)
    }

    async fn called(client: &Grpc) -> Result<Answer, SendError> {
        client.call("/store.Store/Read", &[], b"{}", Connection::New, Duration::from_secs(20)).await
    }

    #[tokio::test]
    async fn a_success_gives_its_only_message() {
        let client = serving(|| (vec![], vec![Frame::data(framed(b"{\"a\":1}")), trailers("0", "")])).await;
        let answer = called(&client).await.unwrap();
        assert_eq!((answer.status, answer.grpc_status, &answer.body[..]), (200, Some(0), &b"{\"a\":1}"[..]));
    }

    #[tokio::test]
    async fn a_refusal_of_the_proxy_has_the_code_of_its_text() {
        let client = serving(|| (vec![], vec![trailers("13", "{\"Id\":\"store\",\"Code\":401}")])).await;
        let answer = called(&client).await.unwrap();
        assert_eq!((answer.status, answer.grpc_status), (401, Some(13)));
    }

    #[tokio::test]
    async fn an_error_may_come_with_the_headers_alone() {
        let client = serving(|| (vec![("grpc-status", "7"), ("grpc-message", "no%20way")], vec![])).await;
        let answer = called(&client).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (403, &b"no way"[..]));
    }

    #[tokio::test]
    async fn an_answer_without_a_status_is_no_answer() {
        let client = serving(|| (vec![], vec![Frame::data(framed(b"{}"))])).await;
        assert_eq!(called(&client).await.unwrap_err().kind(), "transport.broken");
    }

    #[tokio::test]
    async fn an_encoded_body_cannot_be_read() {
        let client = serving(move || {
            (vec![("content-encoding", "gzip")], vec![Frame::data(framed(b"{}")), trailers("0", "")])
        })
        .await;
        assert_eq!(called(&client).await.unwrap_err().kind(), "transport.malformed");
    }

    #[test]
    fn only_grpc_and_its_encodings_are_answers_of_grpc() {
        for (status, kind, is_one) in [
            (200, "application/grpc", true),
            (200, "application/grpc+json", true),
            (200, "application/grpc;charset=utf-8", true),
            (200, "application/grpc ; charset=utf-8", true),
            (200, "application/grpc-web", false),
            (200, "application/grpc-web+json", false),
            (200, "application/grpcfoo", false),
            (200, "application/json", false),
            (200, "", false),
            (204, "application/grpc", false),
            (503, "application/grpc", false),
        ] {
            let answer = ::http::Response::builder().status(status).header("content-type", kind);
            let (head, ()) = answer.body(()).unwrap().into_parts();
            assert_eq!(is_grpc(&head).is_ok(), is_one, "{status} {kind}");
        }
    }

    #[tokio::test]
    async fn half_a_message_is_cut() {
        let client =
            serving(|| (vec![], vec![Frame::data(framed(b"{}").slice(0..6)), trailers("0", "")])).await;
        assert_eq!(called(&client).await.unwrap_err().kind(), "transport.cut");
    }

    #[tokio::test]
    async fn what_clients_of_grpc_take_for_an_error_is_no_success() {
        let scripts: [(Script, &str); 7] = [
            (
                || (vec![("grpc-status", "0")], vec![Frame::data(framed(b"{}")), trailers("13", "")]),
                "transport.malformed",
            ),
            (|| (vec![], vec![trailers("0", "")]), "transport.malformed"),
            (|| (vec![("grpc-status", "0")], vec![]), "transport.malformed"),
            (
                || (vec![], vec![Frame::data(framed(b"{}")), Frame::data(framed(b"{}")), trailers("0", "")]),
                "transport.malformed",
            ),
            (
                || {
                    (
                        vec![],
                        vec![
                            Frame::data(framed(b"{}")),
                            Frame::data(Bytes::from_static(b"abc")),
                            trailers("0", ""),
                        ],
                    )
                },
                "transport.malformed",
            ),
            (|| (vec![], vec![Frame::data(framed(b"{}")), trailers("+0", "")]), "transport.malformed"),
            (
                || (vec![("content-type", "text/html")], vec![Frame::data(framed(b"{}")), trailers("0", "")]),
                "transport.broken",
            ),
        ];
        for (number, (script, kind)) in scripts.into_iter().enumerate() {
            let answer = called(&serving(script).await).await;
            assert_eq!(answer.unwrap_err().kind(), kind, "{number}");
        }
        let fine = serving(|| (vec![], vec![Frame::data(framed(b"{}")), trailers("0", "")])).await;
        assert!(called(&fine).await.is_ok());
    }
}
