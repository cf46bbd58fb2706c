//! Whether an address can be reached at all, and what its server shows of itself: its certificate and its clock.
//!
//! Lives here: one look at an address, for whoever examines a target. Does not: what to make of it (`cli::doctor`).

use super::connections::{Protocol, Unusable, address, against_certificate, build};
use super::networks::Networks;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// What one look at an address has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The addresses that its name stands for.
    pub addresses: Vec<IpAddr>,
    /// When its certificate ends, in seconds since the Unix epoch; `None` without TLS.
    pub certificate_ends_s: Option<i64>,
    /// What its clock showed, in seconds since the Unix epoch; `None` if it said no date.
    pub clock_s: Option<i64>,
}

/// Why an address was not reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// It is no address.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// Its name stands for nothing.
    #[error("the name `{host}` cannot be resolved: {why}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver says.
        why: String,
    },
    /// Its name leads to where it must not.
    #[error("the name `{host}` resolves to {address}, which `resolves_to` does not name")]
    Elsewhere {
        /// The name.
        host: String,
        /// The first such address.
        address: IpAddr,
    },
    /// Nobody answers there.
    #[error("no connection to port {port}: {why}")]
    Connection {
        /// The port.
        port: u16,
        /// What the system says.
        why: String,
    },
    /// TLS failed because of the certificate.
    #[error("its certificate is not accepted: {0}")]
    Certificate(String),
    /// There is no whole answer: TLS failed, or the server broke off.
    #[error("no answer: {0}")]
    Answer(String),
}

fn unanswered(why: String) -> Unreached {
    match against_certificate(&why) {
        Some(said) => Unreached::Certificate(said.to_owned()),
        None => Unreached::Answer(why),
    }
}

/// Looks at an `http` or `https` URL whose path is ignored: one GET of `/`, whatever the answer. A server that speaks
/// HTTP/2 alone, such as one for gRPC, need only accept the connection, over TLS if the URL says so. A name that resolves to
/// an address outside of the networks is not connected to. Cancel safe.
///
/// # Errors
/// At the first thing that fails, in the order name, connection, answer; each may take `within`.
pub async fn reach(
    base: &str,
    speaks_http2: bool,
    networks: &Networks,
    within: Duration,
) -> Result<Reached, Unreached> {
    let url = address(base)?;
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let host = host.trim_matches(['[', ']']);
    let addresses = resolved(host, port, within).await?;
    is_inside(host, &addresses, networks)?;
    connected(&addresses, port, within).await?;
    let mut reached = Reached { addresses, certificate_ends_s: None, clock_s: None };
    if speaks_http2 && url.scheme() == "http" {
        return Ok(reached);
    }
    let protocol = if speaks_http2 { Protocol::Http2 } else { Protocol::Http1 };
    let client = build(&url, 0, protocol, networks)?;
    let answer = timeout(within, client.get(url.join("/").unwrap_or(url)).send()).await;
    match answer.map_err(|_| Unreached::Answer(format!("none within {within:?}")))? {
        Ok(response) => {
            let tls = response.extensions().get::<reqwest::tls::TlsInfo>();
            reached.certificate_ends_s = tls.and_then(|info| info.peer_certificate()).and_then(ends_s);
            reached.clock_s = response.headers().get("date").and_then(|date| seconds(date.to_str().ok()?));
            Ok(reached)
        }
        // A gRPC server need not answer a GET; that TLS was agreed on is what counts.
        Err(error) if speaks_http2 && !error.is_connect() => Ok(reached),
        Err(error) => Err(unanswered(causes(&error.without_url()))),
    }
}

async fn resolved(host: &str, port: u16, within: Duration) -> Result<Vec<IpAddr>, Unreached> {
    let unnamed = |why: String| Unreached::Name { host: host.to_owned(), why };
    let found = timeout(within, lookup_host((host, port))).await;
    let found = found.map_err(|_| unnamed(format!("no answer within {within:?}")))?;
    Ok(found.map_err(|error| unnamed(error.to_string()))?.map(|address| address.ip()).collect())
}

/// An address that stands in the target file itself is named by it.
fn is_inside(host: &str, addresses: &[IpAddr], networks: &Networks) -> Result<(), Unreached> {
    match networks.outside(addresses.iter().copied()) {
        Some(address) if host.parse::<IpAddr>().is_err() => {
            Err(Unreached::Elsewhere { host: host.to_owned(), address })
        }
        _ => Ok(()),
    }
}

async fn connected(addresses: &[IpAddr], port: u16, within: Duration) -> Result<(), Unreached> {
    let refused = |why: String| Unreached::Connection { port, why };
    let places: Vec<SocketAddr> = addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
    let opened = timeout(within, TcpStream::connect(&places[..])).await;
    let opened = opened.map_err(|_| refused(format!("none within {within:?}")))?;
    opened.map(drop).map_err(|error| refused(error.to_string()))
}

/// An error with its causes: TLS says why only at the bottom.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// When a certificate (DER) ends, in seconds since the Unix epoch.
pub(super) fn ends_s(der: &[u8]) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// `Wed, 25 Nov 2026 08:04:25 GMT` (RFC 9110 §5.6.7) in seconds since the Unix epoch.
fn seconds(date: &str) -> Option<i64> {
    Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const WITHIN: Duration = Duration::from_secs(20);

    async fn server(reply: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = [0; 1024];
                if stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
                    stream.write_all(reply.as_bytes()).await.ok();
                }
            }
        });
        base
    }

    #[tokio::test]
    async fn a_server_shows_its_clock_whatever_it_answers() {
        let base = server(
            "HTTP/1.1 404 Not Found\r\nDate: Wed, 25 Nov 2026 08:04:25 GMT\r\nContent-Length: 0\r\n\r\n",
        );
        let reached = reach(&base.await, false, &Networks::default(), WITHIN).await.unwrap();
        assert_eq!(reached.clock_s, Some(1_795_593_865));
        assert_eq!((reached.certificate_ends_s, reached.addresses.len()), (None, 1));
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_is_not_connected_to() {
        let base = server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        let network: crate::client::Network = "10.0.0.0/8".parse().unwrap();
        let networks = Networks::from_iter([network]);
        assert!(reach(&base, false, &networks, WITHIN).await.is_ok(), "the file itself names this address");
        let named = base.replace("127.0.0.1", "localhost");
        let error = reach(&named, false, &networks, WITHIN).await.unwrap_err();
        assert!(matches!(error, Unreached::Elsewhere { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_cannot_be_reached_says_at_what_it_failed() {
        let told = |it: Result<Reached, Unreached>| it.unwrap_err().to_string();
        assert!(
            told(reach("http://127.0.0.1:9", false, &Networks::default(), WITHIN).await)
                .starts_with("no connection to port 9: ")
        );
        let name = told(reach("http://no-such-name.invalid", false, &Networks::default(), WITHIN).await);
        assert!(name.starts_with("the name `no-such-name.invalid` cannot be resolved: "), "{name}");
        let base = server("").await;
        let broken = told(reach(&base, false, &Networks::default(), WITHIN).await);
        assert!(broken.starts_with("no answer: "), "{broken}");
        let plain = server("no TLS here").await.replace("http:", "https:");
        let untrusted = told(reach(&plain, false, &Networks::default(), WITHIN).await);
        assert!(untrusted.starts_with("no answer: "), "{untrusted}");
    }
}
