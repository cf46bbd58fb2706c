//! Requests as recorded, over real sockets: HTTP/1 by hand so that nothing is tidied up, gRPC by hyper.

use super::recording::{Asked, Step, bytes, filled};
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use muster::fake::Addresses;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything may take; a hang is a failure.
const HANG: Duration = Duration::from_secs(30);
/// How long a call that never ends is waited for before it is cancelled.
const CANCEL_AFTER: Duration = Duration::from_millis(300);

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(super) trailers_only: bool,
    pub(super) grpc_status: Option<u32>,
    pub(super) grpc_message: Option<String>,
}

/// The doors of one fake.
pub(super) struct Wire {
    addresses: Addresses,
    runtime: tokio::runtime::Runtime,
}

impl Wire {
    pub(super) fn to(addresses: &Addresses) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { addresses: *addresses, runtime }
    }

    pub(super) fn ask(&self, step: &Step, bound: &BTreeMap<String, String>) -> Answer {
        if step.transport == "http" {
            http(self.addresses.api, &step.request, bound).unwrap_or_default()
        } else {
            let limit = if step.request.cancel_after_s.is_some() { CANCEL_AFTER } else { HANG };
            let call = grpc(self.addresses.proxy, &step.request, bound);
            let answer = self.runtime.block_on(async { tokio::time::timeout(limit, call).await });
            answer.ok().flatten().unwrap_or_default()
        }
    }

    pub(super) fn advance_ms(&self, by_ms: u64) {
        let body = format!("{{\"advance\":\"{by_ms}ms\"}}");
        let head = format!("POST /clock HTTP/1.1\r\nHost: admin\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = exchange(self.addresses.admin, format!("{head}{body}").as_bytes(), false).unwrap();
        assert_eq!(answer.status, Some(200), "the clock can be moved");
    }
}

fn http(to: SocketAddr, asked: &Asked, bound: &BTreeMap<String, String>) -> Option<Answer> {
    let mut request = format!("{} {} HTTP/1.1\r\n", asked.method, filled(&asked.path, bound)).into_bytes();
    if !asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.extend(format!("Host: {to}\r\n").bytes());
    }
    for (name, value) in &asked.headers {
        request.extend(format!("{name}: {}\r\n", filled(value, bound)).bytes());
    }
    let body = asked.body.as_ref().map(|body| bytes(body, bound));
    if let Some(body) = &body {
        request.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    request.extend(b"\r\n");
    request.extend(body.unwrap_or_default());
    exchange(to, &request, asked.method == "HEAD")
}

/// Sends bytes and reads one answer; none if the connection is refused or dropped.
pub(crate) fn exchange(to: SocketAddr, request: &[u8], is_head: bool) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(HANG)).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.write_all(request).ok()?;
    let mut received = Vec::new();
    let mut piece = [0_u8; 16 * 1024];
    loop {
        if let Some(answer) = whole(&received, is_head) {
            return Some(answer);
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => received.extend_from_slice(&piece[..count]),
        }
    }
}

fn whole(received: &[u8], is_head: bool) -> Option<Answer> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.parse().ok()).filter(|_| !is_head).unwrap_or(0);
    let body = received.get(end + 4..end + 4 + length)?.to_vec();
    Some(Answer { status: Some(status), headers, messages: vec![body], ..Answer::default() })
}

async fn grpc(to: SocketAddr, asked: &Asked, bound: &BTreeMap<String, String>) -> Option<Answer> {
    let stream = tokio::net::TcpStream::connect(to).await.ok()?;
    let (mut line, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let reply = line.send_request(grpc_request(to, asked, bound)).await.ok()?;
    let (head, body) = reply.into_parts();
    let collected = body.collect().await.ok()?;
    let trailers = collected.trailers().cloned();
    let trailers_only = head.headers.contains_key("grpc-status");
    let ending = trailers.unwrap_or_else(|| head.headers.clone());
    let text =
        |name: &str| ending.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Some(Answer {
        status: Some(head.status.as_u16()),
        headers: Vec::new(),
        messages: unframed(collected.to_bytes()),
        trailers_only,
        grpc_status: text("grpc-status").and_then(|status| status.parse().ok()),
        grpc_message: text("grpc-message")
            .map(|message| percent_encoding::percent_decode_str(&message).decode_utf8_lossy().into_owned()),
    })
}

fn grpc_request(
    to: SocketAddr,
    asked: &Asked,
    bound: &BTreeMap<String, String>,
) -> http::Request<Full<Bytes>> {
    let mut request =
        http::Request::post(format!("http://{to}{}", filled(&asked.path, bound))).header("te", "trailers");
    for (name, value) in &asked.headers {
        let value = http::HeaderValue::from_bytes(filled(value, bound).as_bytes()).unwrap();
        request = request.header(name, value);
    }
    let one: Vec<_> = asked.body.iter().collect();
    let messages: Vec<_> = asked.messages.as_ref().map_or(one, |messages| messages.iter().collect());
    let mut body = BytesMut::new();
    for message in messages {
        let message = bytes(message, bound);
        body.put_u8(0);
        body.put_u32(u32::try_from(message.len()).unwrap());
        body.put_slice(&message);
    }
    request.body(Full::new(body.freeze())).unwrap()
}

fn unframed(mut body: Bytes) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while body.len() >= 5 {
        let length = u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize;
        let _ = body.split_to(5);
        messages.push(body.split_to(length.min(body.len())).to_vec());
    }
    messages
}
