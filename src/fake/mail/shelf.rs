//! The mails that are kept, as the API of maildev shows them.
//!
//! Lives here: from the bytes of a mail to its JSON. Does not: sockets.

use super::talk::Envelope;
use crate::fake::clock::Clock;
use mail_parser::{Address, Message, MessageParser, PartType};
use serde_json::{Map, Value, json};
use std::sync::{Mutex, PoisonError};

/// How many of the newest mails are kept.
const LIMIT: usize = 10_000;

/// All mails, oldest first.
#[derive(Debug)]
pub(super) struct Shelf {
    clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    taken: u64,
    mails: Vec<Value>,
}

impl Shelf {
    /// An empty one.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a mail, and gives its id.
    pub(super) fn put(&self, envelope: &Envelope, bytes: &[u8]) -> String {
        self.with(|kept| {
            kept.taken += 1;
            let id = format!("m{}", kept.taken);
            kept.mails.push(shown(&id, &self.clock.now_text(), envelope, bytes));
            let surplus = kept.mails.len().saturating_sub(LIMIT);
            kept.mails.drain(..surplus);
            id
        })
    }

    /// All of them, or those to an address.
    pub(super) fn all(&self, to: Option<&str>) -> Value {
        let is_to = |mail: &&Value| {
            let people = mail["to"].as_array().into_iter().flatten();
            to.is_none_or(|to| people.into_iter().any(|one| one["address"] == to))
        };
        self.with(|kept| kept.mails.iter().filter(is_to).cloned().collect())
    }

    /// The one with this id.
    pub(super) fn one(&self, id: &str) -> Option<Value> {
        self.with(|kept| kept.mails.iter().find(|mail| mail["id"] == id).cloned())
    }

    /// Takes the one with this id away, or all of them; whether there was one.
    pub(super) fn remove(&self, id: &str) -> bool {
        self.with(|kept| {
            let before = kept.mails.len();
            kept.mails.retain(|mail| id != "all" && mail["id"] != id);
            id == "all" || kept.mails.len() < before
        })
    }
}

fn shown(id: &str, time: &str, envelope: &Envelope, bytes: &[u8]) -> Value {
    let mail = MessageParser::default().parse(bytes).unwrap_or_default();
    let date = mail.date().map_or_else(|| time.to_owned(), mail_parser::DateTime::to_rfc3339);
    let mut value = json!({
        "id": id, "time": time, "date": date, "read": false, "size": bytes.len(),
        "subject": mail.subject(), "from": people(mail.from()), "to": people(mail.to()),
        "headers": headers(&mail),
        "envelope": {
            "from": { "address": envelope.from },
            "to": envelope.to.iter().map(|to| json!({ "address": to })).collect::<Vec<_>>(),
        },
    });
    let (text, html) = (joined(&mail, false), joined(&mail, true));
    for (key, text) in [("text", text), ("html", html)] {
        if !text.is_empty() {
            value[key] = text.into();
        }
    }
    if let Some(cc) = mail.cc() {
        value["cc"] = people(Some(cc));
    }
    value
}

fn people(addresses: Option<&Address<'_>>) -> Value {
    let all = addresses.into_iter().flat_map(Address::iter);
    all.map(|one| json!({ "address": one.address(), "name": one.name().unwrap_or_default() })).collect()
}

fn headers(mail: &Message<'_>) -> Map<String, Value> {
    let all = mail.headers_raw();
    all.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into())).collect()
}

/// The bodies of one kind.
fn joined(mail: &Message<'_>, is_html: bool) -> String {
    let parts = mail.text_bodies().chain(mail.html_bodies());
    let mut found: Vec<&str> = parts
        .filter_map(|part| match &part.body {
            PartType::Text(text) if !is_html => Some(text.as_ref()),
            PartType::Html(html) if is_html => Some(html.as_ref()),
            _ => None,
        })
        .collect();
    found.dedup();
    found.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_are_shown_in_their_order_and_taken_away() {
        let shelf = Shelf::new(Clock::new(jiff::Timestamp::UNIX_EPOCH));
        let envelope = Envelope { from: "a@b.test".into(), to: vec!["c@d.test".into()] };
        let html = "To: C <c@d.test>\r\nSubject: =?utf-8?b?SGk=?=\r\nDate: Wed, 25 Nov 2026 08:04:25 +0100\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>1=3D1</p>";
        assert_eq!(shelf.put(&envelope, html.as_bytes()), "m1");
        assert_eq!(shelf.put(&envelope, b"Subject: two\r\n\r\nplain"), "m2");
        let all = shelf.all(None);
        assert_eq!(shelf.all(Some("c@d.test")), json!([all[0]]));
        assert_eq!(all[0]["to"], json!([{ "address": "c@d.test", "name": "C" }]));
        assert_eq!(
            (&all[0]["subject"], &all[0]["html"], &all[0]["text"]),
            (&"Hi".into(), &"<p>1=1</p>".into(), &Value::Null)
        );
        assert_eq!(all[0]["date"], "2026-11-25T08:04:25+01:00");
        assert_eq!((&all[1]["text"], &all[1]["to"]), (&"plain".into(), &json!([])));
        assert_eq!(all[1]["envelope"]["to"], json!([{ "address": "c@d.test" }]));
        assert_eq!(shelf.one("m2").unwrap()["subject"], "two");
        assert!(shelf.remove("m1") && !shelf.remove("m1") && shelf.one("m1").is_none());
        assert!(shelf.remove("all"));
        assert_eq!(shelf.all(None), json!([]));
    }
}
