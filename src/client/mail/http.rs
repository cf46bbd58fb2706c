//! Mails over HTTP, as the API of maildev lists them.
//!
//! Lives here: `GET /email`, and what its JSON says. Does not: deleting or sending.

use super::{Letter, MailError, unreachable};
use crate::client::connections::{Connection, Unusable, address};
use crate::client::{Answer, Http, Request, SendError};
use crate::secret::Secret;
use base64::prelude::*;
use mail_parser::decoders::html::html_to_text;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An API that lists mails.
pub(super) struct Api {
    http: Http,
    path: String,
    authorization: Option<Secret>,
    /// Whether the whole list was too long: then it is asked for one address, as maildev lets one.
    is_long: AtomicBool,
}

impl Api {
    /// The API below a URL.
    pub(super) fn new(url: &str, sign_in: Option<(&str, &Secret)>) -> Result<Self, Unusable> {
        let path = format!("{}/email", address(url)?.path().trim_end_matches('/'));
        let basic = |(user, password): (&str, &Secret)| {
            let pair = BASE64_STANDARD.encode(format!("{user}:{}", password.reveal()));
            Secret::new(format!("Basic {pair}"))
        };
        Ok(Self {
            http: Http::new(url)?,
            path,
            authorization: sign_in.map(basic),
            is_long: AtomicBool::new(false),
        })
    }

    /// All mails, or those to an address and to some others, oldest first.
    pub(super) async fn letters(&self, address: &str, within: Duration) -> Result<Vec<Letter>, MailError> {
        if !self.is_long.load(Ordering::Relaxed) {
            match self.listed(self.path.clone(), within).await {
                Err(SendError::TooLarge) => self.is_long.store(true, Ordering::Relaxed),
                answer => return read(&answer.map_err(unanswered)?),
            }
        }
        // The server compares to the letter, and so cannot find a domain that is written in another case.
        let address = percent_encoding::utf8_percent_encode(address, percent_encoding::NON_ALPHANUMERIC);
        let answer = self.listed(format!("{}?to.address={address}", self.path), within).await;
        read(&answer.map_err(unanswered)?)
    }

    async fn listed(&self, path: String, within: Duration) -> Result<Answer, SendError> {
        let headers = self.authorization.iter();
        let request = Request {
            method: "GET".into(),
            path,
            headers: headers.map(|it| ("authorization".to_owned(), it.reveal().to_owned())).collect(),
            body: vec![],
        };
        self.http.send(&request, Connection::Reused, within).await
    }
}

fn unanswered(error: SendError) -> MailError {
    match error {
        SendError::Refused(why) => unreachable(why),
        SendError::TooLarge | SendError::Malformed(_) | SendError::Unsendable(_) => {
            MailError::Unreadable(error.to_string())
        }
        _ => MailError::Unreachable(error.to_string()),
    }
}

fn read(answer: &Answer) -> Result<Vec<Letter>, MailError> {
    match answer.status {
        200 => {}
        401 | 403 => return Err(MailError::Login(format!("it answered {}", answer.status))),
        other => return Err(MailError::Unreadable(format!("`GET /email` answered {other}"))),
    }
    let list: Result<Vec<Value>, _> = serde_json::from_slice(&answer.body);
    let list = list.map_err(|_| MailError::Unreadable("`GET /email` answered no JSON list".into()))?;
    Ok(list.iter().map(letter).collect())
}

/// One mail: `{"to": [{"address": …}], "subject": …, "text": …, "html": …}`; what is absent is absent.
fn letter(mail: &Value) -> Letter {
    let to = mail["to"].as_array().into_iter().flatten();
    let text = |key: &str| mail[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let html = text("html");
    let shown = html.as_deref().map(html_to_text);
    Letter {
        to: to.filter_map(|one| one["address"].as_str()).map(str::to_owned).collect(),
        texts: [text("subject"), text("text"), shown, html].into_iter().flatten().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wiremock::matchers::{header, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    const WITHIN: Duration = Duration::from_secs(20);

    async fn told(url: &str, sign_in: Option<(&str, &Secret)>) -> Result<Vec<Letter>, MailError> {
        Api::new(url, sign_in).unwrap().letters("a@b.test", WITHIN).await
    }

    #[tokio::test]
    async fn mails_are_read_below_any_path_and_as_a_user() {
        let server = MockServer::start().await;
        let mails = r#"[{"to":[{"address":"a@b.test","name":""}],"subject":"Hi","text":"","html":"<p>1&amp;2</p>"},{}]"#;
        Mock::given(path("/inbox/email"))
            .and(header("authorization", "Basic bWU6aHVudGVyMjI="))
            .respond_with(ResponseTemplate::new(200).set_body_string(mails))
            .mount(&server)
            .await;
        let url = format!("{}/inbox/", server.uri());
        let letters = told(&url, Some(("me", &Secret::new("hunter22")))).await.unwrap();
        assert_eq!(letters[0].to, ["a@b.test"]);
        assert_eq!(letters[0].texts[0], "Hi");
        assert_eq!(letters[0].texts[1].trim(), "1&2");
        assert_eq!(letters[0].texts[2], "<p>1&amp;2</p>");
        assert_eq!(letters[1], Letter::default());
    }

    #[tokio::test]
    async fn each_way_to_fail_has_its_kind() {
        let server = MockServer::start().await;
        for (at, status, body) in [
            ("/a/email", 401, ""),
            ("/b/email", 404, ""),
            ("/c/email", 200, "{}"),
            ("/d/email", 200, "<html>"),
        ] {
            let reply = ResponseTemplate::new(status).set_body_string(body);
            Mock::given(path(at)).respond_with(reply).mount(&server).await;
        }
        for (at, kind, text) in [
            ("a", "mailbox.login", "it refused the sign-in: it answered 401"),
            ("b", "mailbox.unreadable", "it cannot be read: `GET /email` answered 404"),
            ("c", "mailbox.unreadable", "it cannot be read: `GET /email` answered no JSON list"),
            ("d", "mailbox.unreadable", "it cannot be read: `GET /email` answered no JSON list"),
        ] {
            let error = told(&format!("{}/{at}", server.uri()), None).await.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        }
        let error = told("http://127.0.0.1:9", None).await.unwrap_err();
        assert_eq!(error.kind(), "mailbox.unreachable");
    }
}
