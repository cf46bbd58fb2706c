//! One connection to an IMAP server: opened, protected, signed in, its folder opened for reading.
//!
//! Lives here: TLS, the commands, and what their errors mean. Does not: what is done with letters.

use super::{Protection, Server};
use crate::client::connections::Unusable;
use crate::client::mail::{MailError, unreachable};
use crate::secret::Secret;
use async_imap::error::Error;
use async_imap::{Client, Session};
use futures_util::TryStreamExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A mail is fetched up to this many bytes: codes stand before attachments.
const LETTER_LIMIT_BYTES: usize = 1 << 20;

/// Anything that IMAP can be spoken over.
trait Line: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Line for T {}

type AnyLine = Box<dyn Line>;

/// How TLS is spoken to a server, if it is.
pub(super) struct Security(Option<(TlsConnector, ServerName<'static>)>);

impl Security {
    /// What the server's place asks for.
    pub(super) fn of(server: &Server) -> Result<Self, Unusable> {
        if server.protection == Protection::Clear {
            return Ok(Self(None));
        }
        let unusable = |why: String| Unusable::Tls(why);
        let host = server.address.rsplit_once(':').map_or(&*server.address, |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| Unusable::Address(server.address.clone()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| unusable(error.to_string()))?;
        let builder = match &server.trusted {
            Some(pem) => builder.with_root_certificates(roots(pem)?),
            None => builder.with_platform_verifier().map_err(|error| unusable(error.to_string()))?,
        };
        Ok(Self(Some((TlsConnector::from(Arc::new(builder.with_no_client_auth())), name))))
    }

    async fn over(&self, line: AnyLine) -> Result<AnyLine, MailError> {
        let Some((connector, name)) = &self.0 else { return Ok(line) };
        let spoken = connector.connect(name.clone(), line).await;
        Ok(Box::new(spoken.map_err(|error| unreachable(error.to_string()))?))
    }
}

fn roots(pem: &str) -> Result<RootCertStore, Unusable> {
    let unusable = |why: String| Unusable::Tls(format!("the certificates to trust: {why}"));
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let found = found.map_err(|error| unusable(error.to_string()))?;
        roots.add(found).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("there are none in the file".into())) } else { Ok(roots) }
}

/// A connection whose folder is open.
pub(super) struct Open {
    session: Session<AnyLine>,
    /// Numbers of letters mean the same as long as this does not change.
    pub(super) validity: u32,
}

/// Opens a connection, signs in, and opens the folder for reading.
pub(super) async fn open(server: &Server, password: &Secret, security: &Security) -> Result<Open, MailError> {
    let client = greeted(server, security).await?;
    let login = client.login(&server.user, password.reveal()).await;
    let mut session = login.map_err(|(error, _)| match error {
        Error::No(why) => MailError::Login(sentence(&why).to_owned()),
        other => failed("LOGIN", other),
    })?;
    let opened = session.examine(&server.folder).await.map_err(|error| failed("EXAMINE", error))?;
    Ok(Open { session, validity: opened.uid_validity.unwrap_or_default() })
}

/// A protected connection on which the server has said that it is one.
async fn greeted(server: &Server, security: &Security) -> Result<Client<AnyLine>, MailError> {
    let refused = |error: io::Error| MailError::Unreachable(error.to_string());
    let stream = TcpStream::connect(&server.address).await.map_err(refused)?;
    stream.set_nodelay(true).map_err(refused)?;
    let line: AnyLine = Box::new(stream);
    let starts_plain = server.protection == Protection::StartTls;
    let line = if starts_plain { line } else { security.over(line).await? };
    let mut client = Client::new(line);
    let greeting = client.read_response().await.map_err(refused)?;
    if greeting.is_none() {
        return Err(MailError::Unreachable("the connection ended without a greeting".into()));
    }
    if starts_plain {
        let started = client.run_command_and_check_ok("STARTTLS", None).await;
        started.map_err(|error| failed("STARTTLS", error))?;
        client = Client::new(security.over(client.into_inner()).await?);
    }
    Ok(client)
}

impl Open {
    /// The numbers of the letters that fit a query and are above one, in their order.
    pub(super) async fn search(&mut self, query: &str, above: u32) -> Result<Vec<u32>, MailError> {
        self.session.noop().await.map_err(|error| failed("NOOP", error))?;
        // What the server tells unasked is not needed, and would fill the channel that it is kept in.
        while self.session.unsolicited_responses.try_recv().is_ok() {}
        let query = match above.checked_add(1) {
            Some(next) if above > 0 => format!("UID {next}:* {query}"),
            _ => query.to_owned(),
        };
        let found = self.session.uid_search(query).await.map_err(|error| failed("UID SEARCH", error))?;
        // `next:*` holds the last letter even if its number is below.
        let mut found: Vec<u32> = found.into_iter().filter(|number| *number > above).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Letters by their numbers; one that is gone by now is left out.
    pub(super) async fn fetch(&mut self, numbers: &[u32]) -> Result<Vec<(u32, Vec<u8>)>, MailError> {
        let set: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let what = format!("(UID BODY.PEEK[]<0.{LETTER_LIMIT_BYTES}>)");
        let wrong = |error| failed("UID FETCH", error);
        let mut fetched = self.session.uid_fetch(set.join(","), what).await.map_err(wrong)?;
        let (mut letters, mut left) = (vec![], numbers.len() * LETTER_LIMIT_BYTES);
        while let Some(one) = fetched.try_next().await.map_err(wrong)? {
            let (Some(number), Some(body)) = (one.uid, one.body()) else { continue };
            left =
                left.checked_sub(body.len()).filter(|_| letters.len() < numbers.len()).ok_or_else(|| {
                    MailError::Unreadable("UID FETCH was answered with more than was asked for".into())
                })?;
            letters.push((number, body.to_vec()));
        }
        Ok(letters)
    }
}

/// What an error of a command means.
fn failed(command: &str, error: Error) -> MailError {
    match error {
        Error::Io(error) => unreachable(error.to_string()),
        Error::ConnectionLost => MailError::Unreachable("the connection ended".into()),
        Error::No(why) | Error::Bad(why) => {
            MailError::Unreadable(format!("{command} was answered: {}", sentence(&why)))
        }
        other => MailError::Unreadable(format!("{command}: {other}")),
    }
}

/// What the server itself said, of a text such as `code: None, info: Some("no such user")`.
fn sentence(text: &str) -> &str {
    let said = text.rsplit_once("Some(\"").and_then(|(_, rest)| rest.split_once("\")"));
    said.map_or(text, |(said, _)| said)
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn of_a_refusal_the_words_of_the_server_are_kept() {
        assert_eq!(sentence("code: Some(Alert), info: Some(\"[X] no such user\")"), "[X] no such user");
        assert_eq!(sentence("no info"), "no info");
    }
}
