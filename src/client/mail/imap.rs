//! Mails in a folder of an IMAP server (RFC 3501), read without marking them as seen.
//!
//! Lives here: signing in, searching by the header `To`, fetching what is new, and decoding it. One connection serves
//! all readers of a folder, one after the other. Does not: IDLE; the folder is asked again.

mod session;

use super::{Letter, MailError, Seen, Wanted};
use crate::client::connections::Unusable;
use crate::secret::Secret;
use mail_parser::decoders::html::html_to_text;
use mail_parser::{Message, MessageParser, PartType};
use session::{Open, Security};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How many letters are fetched at once, newest first.
const BATCH: usize = 16;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// TLS from the first byte.
    Implicit,
    /// TLS after STARTTLS.
    StartTls,
    /// None.
    Clear,
}

/// Where a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The server's `host:port`; the certificate must be for this host.
    pub address: String,
    /// How the connection is protected.
    pub protection: Protection,
    /// Certificates to trust, as PEM; those of this machine if absent.
    pub trusted: Option<String>,
    /// Who signs in.
    pub user: String,
    /// The folder.
    pub folder: String,
}

/// A folder, with the connection that was opened last.
pub(super) struct Folder {
    server: Server,
    password: Secret,
    security: Security,
    /// Taken out while it is used: a reader that is dropped in the middle of an answer leaves no connection behind.
    open: Mutex<Option<Open>>,
}

impl Folder {
    /// A folder; nothing is sent yet.
    pub(super) fn new(server: Server, password: &Secret) -> Result<Self, Unusable> {
        let security = Security::of(&server)?;
        Ok(Self { server, password: Secret::new(password.reveal()), security, open: Mutex::new(None) })
    }

    /// The letters for an address, oldest first.
    pub(super) async fn letters(
        &self,
        wanted: &Wanted<'_>,
        seen: &mut Seen,
        within: Duration,
    ) -> Result<Vec<Letter>, MailError> {
        let query = query_for(wanted.address)?;
        let mut kept = self.open.lock().await;
        let used = kept.take();
        let look = async {
            let mut open = match used {
                Some(open) => open,
                None => session::open(&self.server, &self.password, &self.security).await?,
            };
            let letters = look(&mut open, &query, wanted, seen).await?;
            Ok((open, letters))
        };
        let late = || MailError::Unreachable(format!("no answer within {within:?}"));
        let (open, letters) = timeout(within, look).await.map_err(|_| late())??;
        *kept = Some(open);
        Ok(letters)
    }
}

/// The search for mails to an address: the server finds it anywhere in the header.
fn query_for(address: &str) -> Result<String, MailError> {
    if !address.is_ascii() {
        return Err(MailError::Address("it holds letters beyond ASCII"));
    }
    if address.is_empty() || address.contains(|letter: char| letter.is_control()) {
        return Err(MailError::Address("it is empty, or holds control characters"));
    }
    Ok(format!("TO \"{}\"", address.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Searches for what came since `seen`, and fetches from the newest back to the first that is found.
async fn look(
    open: &mut Open,
    query: &str,
    wanted: &Wanted<'_>,
    seen: &mut Seen,
) -> Result<Vec<Letter>, MailError> {
    if seen.validity != Some(open.validity) {
        *seen = Seen { validity: Some(open.validity), highest: 0 };
    }
    let numbers = open.search(query, seen.highest).await?;
    let mut letters = vec![];
    for batch in numbers.rchunks(BATCH) {
        let mut fetched = open.fetch(batch).await?;
        fetched.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let fetched: Vec<Letter> = fetched.iter().map(|(_, bytes)| letter(bytes)).collect();
        let is_done = fetched.iter().any(|letter| (wanted.is_found)(letter));
        letters.extend(fetched);
        if is_done {
            break;
        }
    }
    letters.reverse();
    seen.highest = numbers.last().copied().unwrap_or(seen.highest);
    Ok(letters)
}

/// A mail as it stands on the server, decoded.
fn letter(bytes: &[u8]) -> Letter {
    let Some(mail) = MessageParser::default().parse(bytes) else { return Letter::default() };
    let to = mail.all_to().flat_map(|addresses| addresses.iter());
    let to = to.filter_map(|one| one.address()).map(str::to_owned).collect();
    Letter { to, texts: texts(&mail) }
}

/// The subject, the plain text, the text of the HTML, and the HTML.
fn texts(mail: &Message<'_>) -> Vec<String> {
    let plain = mail.text_bodies().filter_map(|part| match &part.body {
        PartType::Text(text) => Some(text.to_string()),
        _ => None,
    });
    let html = mail.html_bodies().filter_map(|part| match &part.body {
        PartType::Html(html) => Some([html_to_text(html), html.to_string()]),
        _ => None,
    });
    mail.subject().map(str::to_owned).into_iter().chain(plain).chain(html.flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_quoted_or_refused() {
        assert_eq!(query_for("a+b@c.test").as_deref(), Ok("TO \"a+b@c.test\""));
        assert_eq!(query_for("\"a\\b\"@c.test").as_deref(), Ok("TO \"\\\"a\\\\b\\\"@c.test\""));
        for wrong in ["", "a@b\r\nA1 LOGOUT", "ä@b.test"] {
            assert_eq!(query_for(wrong).unwrap_err().kind(), "mailbox.address", "{wrong:?}");
        }
    }

    #[test]
    fn a_mail_is_decoded_whatever_carries_it() {
        let table: [(&str, &str); 5] = [
            ("Content-Type: text/plain\r\n\r\nYour code: abcd\r\n", "code: abcd"),
            ("Content-Transfer-Encoding: base64\r\n\r\nWW91ciBjb2RlOiBhYmNk\r\n", "code: abcd"),
            ("Content-Transfer-Encoding: quoted-printable\r\n\r\nYour co=\r\nde=3A abcd\r\n", "code: abcd"),
            ("Content-Type: text/html\r\n\r\n<p>Your <b>code:</b> abcd</p>\r\n", "code: abcd"),
            (
                "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\nHello\r\n--x\r\nContent-Type: text/html\r\n\r\n<a href=\"/in?code=abcd\">in</a>\r\n--x--\r\n",
                "?code=abcd",
            ),
        ];
        for (rest, expected) in table {
            let mail =
                format!("To: You <you@a.test>, \"Me\" <me@a.test>\r\nSubject: =?utf-8?q?H=C3=A4?=\r\n{rest}");
            let letter = letter(mail.as_bytes());
            assert_eq!(letter.to, ["you@a.test", "me@a.test"]);
            assert_eq!(letter.texts[0], "Hä");
            assert!(letter.texts.iter().any(|text| text.contains(expected)), "{:?}", letter.texts);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_mail_stops_the_reader(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            letter(&bytes);
        }

        #[test]
        fn no_structure_stops_the_reader(lines in proptest::collection::vec(
            "(To: |Subject: =\\?utf-8\\?[bq]\\?|Content-Type: multipart/mixed; boundary=x|Content-Type: (text/html|message/rfc822)|\
             Content-Transfer-Encoding: (base64|quoted-printable)|--x(--)?|)[ -~]{0,12}", 0..20)) {
            letter(lines.join("\r\n").as_bytes());
        }
    }

    #[test]
    fn what_is_no_mail_is_to_nobody() {
        assert_eq!(letter(b""), Letter::default());
        assert!(letter(&[0xff; 40]).to.is_empty());
    }
}
