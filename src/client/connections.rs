//! Connections to one address: a pool of spare ones, and new ones for who asks.
//!
//! Lives here: how clients are built so that nothing happens behind our back (no redirect, no proxy, nothing sent
//! twice), and the URLs of that one address. Does not: what is sent over them (`http`, `grpc`).

use super::{Networks, SendError};

/// Which connection carries a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// One of the pool, if there is one.
    Reused,
    /// A new one, closed after the answer.
    New,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is no URL.
    #[error("`{0}` is no address: wanted something like https://api.example.test")]
    Address(String),
    /// It is more than scheme, host and port: requests have paths of their own.
    #[error("wanted scheme, host and port alone: what stands behind them would be dropped")]
    Path,
    /// The TLS set-up failed.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// What is spoken over connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: at once over plain TCP, agreed on over TLS.
    Http2,
}

impl Protocol {
    /// How many spare connections a pool keeps: over HTTP/2 one carries many requests.
    fn spare(self) -> usize {
        match self {
            Self::Http1 => 32,
            Self::Http2 => 4,
        }
    }
}

/// Connections to one address.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    base: reqwest::Url,
    protocol: Protocol,
    networks: Networks,
    reused: reqwest::Client,
    new: reqwest::Client,
}

impl Connections {
    /// Connections to an `http` or `https` URL whose path is ignored; none is opened yet.
    /// A name that resolves to an address outside of the networks is not connected to.
    pub(super) fn to(base: &str, protocol: Protocol, networks: &Networks) -> Result<Self, Unusable> {
        Self::open(address(base)?, protocol, networks.clone())
    }

    /// Other connections to the same address.
    pub(super) fn anew(&self) -> Result<Self, Unusable> {
        Self::open(self.base.clone(), self.protocol, self.networks.clone())
    }

    fn open(base: reqwest::Url, protocol: Protocol, networks: Networks) -> Result<Self, Unusable> {
        let with = |idle| build(&base, idle, protocol, &networks);
        let (reused, new) = (with(protocol.spare())?, with(0)?);
        Ok(Self { base, protocol, networks, reused, new })
    }

    /// The client that uses such a connection.
    pub(super) fn client(&self, connection: Connection) -> &reqwest::Client {
        match connection {
            Connection::Reused => &self.reused,
            Connection::New => &self.new,
        }
    }

    /// The URL of a path.
    pub(super) fn url(&self, path: &str) -> Result<reqwest::Url, SendError> {
        joined(&self.base, path)
    }
}

pub(super) fn address(base: &str) -> Result<reqwest::Url, Unusable> {
    let url = reqwest::Url::parse(base).map_err(|_| Unusable::Address(base.into()))?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_web { Ok(url) } else { Err(Unusable::Address(base.into())) }
}

/// What is wrong with an address to which the paths of requests are added: it must be one of HTTP, and have no path of its own.
pub fn wrong_with_origin(text: &str) -> Option<Unusable> {
    let has_more = |url: reqwest::Url| url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    match address(text) {
        Ok(url) => has_more(url).then_some(Unusable::Path),
        Err(why) => Some(why),
    }
}

/// Scheme, host and port that an address leads to, seen from a base: an absolute address may stand there as well as one
/// relative to it. `None` if it is none.
pub fn origin(base: &str, address: &str) -> Option<String> {
    let origin = reqwest::Url::parse(base).ok()?.join(address).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// What TLS says against a certificate, if a failure is about one.
pub(super) fn against_certificate(why: &str) -> Option<&str> {
    why.rsplit_once("invalid peer certificate: ").map(|(_, said)| said)
}

/// A client that opens at most `idle` spare connections. Over plain HTTP no certificates are loaded (10 ms saved).
pub(super) fn build(
    base: &reqwest::Url,
    idle: usize,
    protocol: Protocol,
    networks: &Networks,
) -> Result<reqwest::Client, Unusable> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .retry(reqwest::retry::never())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(idle)
        .tls_info(true)
        .tcp_nodelay(true);
    if !networks.are_any() {
        builder = builder.dns_resolver(networks.clone());
    }
    if base.scheme() == "http" {
        builder = builder.tls_certs_only([]);
        builder =
            if protocol == Protocol::Http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
    }
    builder.build().map_err(|error| Unusable::Tls(error.without_url().to_string()))
}

/// The URL of a path at the base: the same address, and the very path that was asked for.
fn joined(base: &reqwest::Url, path: &str) -> Result<reqwest::Url, SendError> {
    let unsendable = |why: String| SendError::Unsendable(why);
    if !path.starts_with('/') {
        return Err(unsendable("its path does not begin with `/`".into()));
    }
    let origin = base.origin().ascii_serialization();
    let url = reqwest::Url::parse(&format!("{origin}{path}"))
        .map_err(|_| unsendable("its path is malformed".into()))?;
    let sent = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    if url.origin() != base.origin() || sent != path {
        return Err(unsendable(format!("its path would be rewritten to `{sent}` (percent-encode it)")));
    }
    Ok(url)
}
