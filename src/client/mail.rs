//! Mail: the letters for an address that a mailbox holds.
//!
//! Lives here: what a letter is, and why there is none. Over HTTP (`http`) and IMAP (`imap`) in a file each. Does not:
//! which letter is meant (`judge::message`).

mod http;
mod imap;

use super::connections::{Unusable, against_certificate};
use crate::secret::Secret;
use std::time::Duration;

pub use imap::{Protection, Server};

/// A mail as it was read: to whom it is, and its texts decoded: the subject, the plain text, the text of the HTML, and
/// the HTML itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// The addresses of its header `To`.
    pub to: Vec<String>,
    /// Its texts.
    pub texts: Vec<String>,
}

/// Why letters cannot be told. No text of it holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// No connection, or it broke, or there was no answer in time.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// TLS failed because of the certificate.
    #[error("its certificate is not accepted: {0}")]
    Certificate(String),
    /// The user or the password was refused.
    #[error("it refused the sign-in: {0}")]
    Login(String),
    /// It answered something else than letters.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The address cannot be searched for.
    #[error("it cannot be asked for this address: {0}")]
    Address(&'static str),
}

impl MailError {
    /// The failure's kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "mailbox.unreachable",
            Self::Certificate(_) => "mailbox.certificate",
            Self::Login(_) => "mailbox.login",
            Self::Unreadable(_) => "mailbox.unreadable",
            Self::Address(_) => "mailbox.address",
        }
    }
}

/// What a reader of a mailbox has seen so far: only what came later is fetched again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    validity: Option<u32>,
    highest: u32,
}

/// For whom letters are looked for, and how one knows the letter that makes older ones needless.
pub struct Wanted<'a> {
    /// The address.
    pub address: &'a str,
    /// Whether this letter is what is looked for.
    pub is_found: &'a (dyn Fn(&Letter) -> bool + Sync),
}

/// A mailbox; nothing is sent before it is looked into.
pub struct Mail(Way);

enum Way {
    Http(http::Api),
    Imap(imap::Folder),
}

impl Mail {
    /// The mails that an HTTP API like that of maildev lists at `URL/email`.
    ///
    /// # Errors
    /// If the address is none, or TLS cannot be set up.
    pub fn over_http(url: &str, sign_in: Option<(&str, &Secret)>) -> Result<Self, Unusable> {
        Ok(Self(Way::Http(http::Api::new(url, sign_in)?)))
    }

    /// The mails of a folder on an IMAP server.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn over_imap(server: Server, password: &Secret) -> Result<Self, Unusable> {
        Ok(Self(Way::Imap(imap::Folder::new(server, password)?)))
    }

    /// The letters for an address, oldest first: all, or those that came since `seen`; those older than the newest one
    /// that is found may be left out. One try, which may take `within`. Cancel safe.
    ///
    /// # Errors
    /// Why they cannot be told.
    pub async fn letters(
        &self,
        wanted: &Wanted<'_>,
        seen: &mut Seen,
        within: Duration,
    ) -> Result<Vec<Letter>, MailError> {
        match &self.0 {
            Way::Http(api) => api.letters(wanted.address, within).await,
            Way::Imap(folder) => folder.letters(wanted, seen, within).await,
        }
    }

    /// Whether it can be read at all.
    ///
    /// # Errors
    /// Why not.
    pub async fn look(&self, within: Duration) -> Result<(), MailError> {
        let wanted = Wanted { address: "nobody@muster.example.test", is_found: &|_| true };
        self.letters(&wanted, &mut Seen::default(), within).await.map(drop)
    }
}

fn unreachable(why: String) -> MailError {
    match against_certificate(&why) {
        Some(said) => MailError::Certificate(said.to_owned()),
        None => MailError::Unreachable(why),
    }
}
