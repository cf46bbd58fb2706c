//! HTTP/1.1 to one address, and nowhere else: no redirect is followed, no proxy is used, nothing is sent twice.

use super::connections::{Connection, Connections, Protocol, Unusable};
use super::networks::{Networks, Outside};
use super::plain::{has_one_length, is_not_encoded};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Replies are read, and held in memory, up to this many bytes; a longer one is [`SendError::TooLarge`], and what is beyond
/// is not read.
pub const BODY_LIMIT_BYTES: usize = 16 << 20;

/// A request to the one address of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// Path and query, beginning with one `/`.
    pub path: String,
    /// Header names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status; over gRPC see [`Answer::grpc_status`].
    pub status: u16,
    /// The gRPC status, if the answer has one.
    pub grpc_status: Option<u32>,
    /// Header names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// What a caller sees besides: the reason phrase, and trailers; over gRPC also what stands behind the first message.
    pub aside: Vec<u8>,
    /// The body; over gRPC the first message of a success, or the text of the error.
    pub body: Bytes,
    /// From sending to the last byte.
    pub took: Duration,
}

/// Why there is no whole answer. No text of it holds the address or the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection could be made: nothing was sent.
    #[error("no connection could be made: {0}")]
    Refused(String),
    /// The time was up before the answer was whole.
    #[error("no whole answer within {0:?}")]
    TimedOut(Duration),
    /// The connection ended before an answer began.
    #[error("the connection ended without an answer: {0}")]
    Broken(String),
    /// The connection ended in the middle of the answer.
    #[error("the answer was cut: {0}")]
    Cut(String),
    /// What came is no answer of the protocol, or has a head beyond all measure.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The answer is longer than [`BODY_LIMIT_BYTES`].
    #[error("the answer is longer than {BODY_LIMIT_BYTES} bytes, and the rest of it was not read")]
    TooLarge,
    /// The target's name leads to an address that its file does not name: nothing was sent.
    #[error(
        "its name resolves to {0}, which `resolves_to` of the target file does not name: no connection was made"
    )]
    Elsewhere(IpAddr),
    /// The request cannot be sent as it is: nothing was sent.
    #[error("the request cannot be sent as it is: {0}")]
    Unsendable(String),
}

impl SendError {
    /// The failure's kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused(_) => "transport.refused",
            Self::TimedOut(_) => "transport.timed-out",
            Self::Broken(_) => "transport.broken",
            Self::Cut(_) => "transport.cut",
            Self::Malformed(_) => "transport.malformed",
            Self::TooLarge => "transport.too-large",
            Self::Elsewhere(_) => "transport.elsewhere",
            Self::Unsendable(_) => "transport.unsendable",
        }
    }

    /// Whether it may be otherwise when the request is sent again.
    pub fn is_worth_repeating(&self) -> bool {
        !matches!(self, Self::Unsendable(_) | Self::TooLarge | Self::Elsewhere(_))
    }

    /// Whether it is sure that the target saw nothing of the request.
    pub fn is_before_sending(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unsendable(_) | Self::Elsewhere(_))
    }
}

/// A client of one HTTP address.
#[derive(Debug, Clone)]
pub struct Http {
    connections: Connections,
}

impl Http {
    /// A client of `base`, an `http` or `https` URL whose path is ignored.
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
        Ok(Self { connections: Connections::to(base, Protocol::Http1, networks)? })
    }

    /// A client of the same address with connections of its own.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn anew(&self) -> Result<Self, Unusable> {
        Ok(Self { connections: self.connections.anew()? })
    }

    /// Sends one request. Cancel safe: a dropped call closes its connection; the target may have seen the request.
    ///
    /// # Errors
    /// If there is no whole answer within the time.
    pub async fn send(
        &self,
        request: &Request,
        connection: Connection,
        within: Duration,
    ) -> Result<Answer, SendError> {
        let client = self.connections.client(connection);
        let built = self.built(client, request)?;
        let exchange = async {
            let started = Instant::now();
            let response = client.execute(built).await.map_err(|error| sending(&error, within))?;
            answer(response, started).await
        };
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(SendError::TimedOut(within)))
    }

    fn built(&self, client: &reqwest::Client, request: &Request) -> Result<reqwest::Request, SendError> {
        let unsendable = |why: &str| SendError::Unsendable(why.to_owned());
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| unsendable("its method is no word"))?;
        let url = self.connections.url(&request.path)?;
        let mut builder = client.request(method, url).body(request.body.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        builder.build().map_err(|_| unsendable("a header is malformed"))
    }
}

pub(super) fn sending(error: &reqwest::Error, within: Duration) -> SendError {
    let why = innermost(error);
    if let Some(Outside(address)) = causes(error).find_map(|error| error.downcast_ref()) {
        SendError::Elsewhere(*address)
    } else if error.is_timeout() {
        SendError::TimedOut(within)
    } else if error.is_connect() {
        SendError::Refused(why)
    } else if is_malformed(error) {
        SendError::Malformed(why)
    } else {
        SendError::Broken(why)
    }
}

/// Whether what came could not be parsed.
fn is_malformed(error: Cause<'_>) -> bool {
    causes(error).filter_map(|error| error.downcast_ref::<hyper::Error>()).any(hyper::Error::is_parse)
}

type Cause<'a> = &'a (dyn std::error::Error + 'static);

/// An error, and whatever brought it about.
fn causes(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The innermost cause: the outer ones name the address.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

async fn answer(response: reqwest::Response, started: Instant) -> Result<Answer, SendError> {
    let (head, mut body) = ::http::Response::<reqwest::Body>::from(response).into_parts();
    let (mut bytes, mut aside) = (BytesMut::new(), reason(&head));
    has_one_length(&head.headers)?;
    within_limit(&body, 0)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| SendError::Cut(innermost(&error)))?;
        match frame.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => aside.extend(frame.into_trailers().iter().flat_map(lines)),
        }
        within_limit(&body, bytes.len())?;
    }
    is_not_encoded(&head.headers, &bytes)?;
    Ok(Answer {
        status: head.status.as_u16(),
        grpc_status: None,
        headers: header_list(&head.headers),
        aside,
        body: bytes.freeze(),
        took: started.elapsed(),
    })
}

/// The reason phrase behind a status, if it is not the usual one.
fn reason(head: &::http::response::Parts) -> Vec<u8> {
    let phrase = head.extensions.get::<hyper::ext::ReasonPhrase>();
    phrase.map_or_else(Vec::new, |phrase| [phrase.as_bytes(), b"\n"].concat())
}

/// Headers or trailers as they are sent.
pub(super) fn lines(headers: &::http::HeaderMap) -> Vec<u8> {
    let line = |(name, value): (&::http::HeaderName, &::http::HeaderValue)| {
        [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat()
    };
    headers.iter().flat_map(line).collect()
}

/// Whether what has come and what is announced to come are within the limit.
pub(super) fn within_limit(body: &reqwest::Body, read: usize) -> Result<(), SendError> {
    let announced = hyper::body::Body::size_hint(body).lower();
    let is_within = read as u64 + announced <= BODY_LIMIT_BYTES as u64;
    if is_within { Ok(()) } else { Err(SendError::TooLarge) }
}

pub(super) fn header_list(headers: &::http::HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wiremock::matchers::{body_string, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    const LONG: Duration = Duration::from_secs(20);

    fn get(path: &str) -> Request {
        Request { method: "GET".into(), path: path.into(), ..Request::default() }
    }

    #[tokio::test]
    async fn an_answer_comes_whole() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/a/b"))
            .and(header("x-one", "1"))
            .and(body_string("{}"))
            .respond_with(ResponseTemplate::new(418).insert_header("X-Two", "2").set_body_string("tea"))
            .mount(&server)
            .await;
        let request = Request {
            method: "POST".into(),
            path: "/a/b?c=d".into(),
            headers: vec![("x-one".into(), "1".into())],
            body: b"{}".to_vec(),
        };
        let client = Http::new(&server.uri()).unwrap();
        let answer = client.send(&request, Connection::New, LONG).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (418, &b"tea"[..]));
        assert!(answer.headers.contains(&("x-two".into(), "2".into())));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let server = MockServer::start().await;
        let elsewhere = ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/");
        Mock::given(path("/a")).respond_with(elsewhere).mount(&server).await;
        let answer =
            Http::new(&server.uri()).unwrap().send(&get("/a"), Connection::Reused, LONG).await.unwrap();
        assert_eq!(answer.status, 302);
    }

    #[tokio::test]
    async fn a_path_cannot_lead_to_another_address() {
        let client = Http::new("http://127.0.0.1:9").unwrap();
        for path in ["@evil.test/", "http://evil.test/", "//x/../..", "/a/../b", ""] {
            let error = client.send(&get(path), Connection::New, LONG).await.unwrap_err();
            assert!(matches!(error, SendError::Unsendable(_)), "{path}: {error}");
        }
    }

    #[tokio::test]
    async fn each_way_to_fail_has_its_name() {
        let client = Http::new("http://127.0.0.1:9").unwrap();
        let error = client.send(&get("/"), Connection::New, LONG).await.unwrap_err();
        assert!(
            matches!(error, SendError::Refused(_)) && !error.to_string().contains("127.0.0.1"),
            "{error}"
        );

        let server = MockServer::start().await;
        let slow = ResponseTemplate::new(200).set_delay(LONG);
        Mock::given(path("/slow")).respond_with(slow).mount(&server).await;
        let client = Http::new(&server.uri()).unwrap();
        let error = client.send(&get("/slow"), Connection::New, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.kind(), "transport.timed-out");
        assert!(!error.is_before_sending());
    }

    #[tokio::test]
    async fn half_an_answer_is_cut() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let half = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
        };
        let client = Http::new(&format!("http://{address}")).unwrap();
        let request = get("/");
        let (answer, ()) = tokio::join!(client.send(&request, Connection::New, LONG), half);
        assert_eq!(answer.unwrap_err().kind(), "transport.cut");
    }

    #[test]
    fn an_address_must_be_one() {
        let error = Http::new("api.example.test").unwrap_err().to_string();
        assert_eq!(error, "`api.example.test` is no address: wanted something like https://api.example.test");
    }
}
