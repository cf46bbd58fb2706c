//! TLS to a database: whom it must be signed by, which name it must bear, and who we are.
//!
//! Lives here: certificates and keys that were read already, and the handshake. Does not: files (`target`), or what a
//! failed handshake means (`error`).

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// What TLS to a database needs: texts in PEM.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'p> {
    /// The certificates that may sign the server's.
    pub ca: &'p [u8],
    /// Our own certificate, with those that signed it, and its key.
    pub own: Option<(&'p [u8], &'p [u8])>,
    /// The name that the server's certificate must bear; its host if absent.
    pub name: Option<&'p str>,
}

/// TLS that is ready for a handshake.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// When our own certificate ends, in seconds since the Unix epoch.
    pub(super) own_ends_s: Option<i64>,
}

impl Tls {
    /// TLS as it is wanted.
    ///
    /// # Errors
    /// What is wrong with a certificate, a key or the name.
    pub(super) fn new(trust: &Trust<'_>, host: &str) -> Result<Self, String> {
        let name = trust.name.unwrap_or(host);
        let server =
            ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` is no name of a server"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots(trust.ca)?);
        let Some((certificate, key)) = trust.own else {
            return Ok(Self {
                config: Arc::new(builder.with_no_client_auth()),
                name: server,
                own_ends_s: None,
            });
        };
        let chain = certificates(certificate, "certificate")?;
        let own_ends_s = crate::client::reach::ends_s(&chain[0]);
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|_| "`key` holds no private key in PEM".to_owned())?;
        let config = builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("`certificate` and `key` do not fit: {error}"))?;
        Ok(Self { config: Arc::new(config), name: server, own_ends_s })
    }

    /// The next handshake, and what it will have shown.
    pub(super) fn handshake(&self) -> (Handshake, Arc<Shown>) {
        let shown = Arc::new(Shown { began: AtomicBool::new(false), ends_s: AtomicI64::new(NEVER) });
        (Handshake { tls: self.clone(), shown: Arc::clone(&shown) }, shown)
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(certificates(pem, "ca")?);
    if taken == 0 { Err("`ca` holds no certificate that can sign".into()) } else { Ok(roots) }
}

fn certificates(pem: &[u8], key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|it| !it.is_empty()).ok_or_else(|| format!("`{key}` holds no certificate in PEM"))
}

const NEVER: i64 = i64::MIN;

/// What a handshake has shown so far.
#[derive(Debug)]
pub(super) struct Shown {
    began: AtomicBool,
    ends_s: AtomicI64,
}

impl Shown {
    /// Whether the server agreed to speak TLS at all.
    pub(super) fn began(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }

    /// When the server's certificate ends, in seconds since the Unix epoch, once the handshake is done.
    pub(super) fn ends_s(&self) -> Option<i64> {
        Some(self.ends_s.load(Ordering::Relaxed)).filter(|it| *it != NEVER)
    }
}

/// One handshake to come.
pub(super) struct Handshake {
    tls: Tls,
    shown: Arc<Shown>,
}

impl TlsConnect<TcpStream> for Handshake {
    type Stream = Encrypted;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        self.shown.began.store(true, Ordering::Relaxed);
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(self.tls.config);
            let stream = connector.connect(self.tls.name, stream).await?;
            let first = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            if let Some(ends_s) = first.and_then(|der| crate::client::reach::ends_s(der)) {
                self.shown.ends_s.store(ends_s, Ordering::Relaxed);
            }
            Ok(Encrypted(stream))
        })
    }
}

/// A connection under TLS.
pub(super) struct Encrypted(tokio_rustls::client::TlsStream<TcpStream>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        from: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, from)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
