//! The mailboxes of a target file: how a message for an address is received.
//!
//! Lives here: the three forms of an entry (an operation, a log, mail) and what can be wrong with one. Does not: reading
//! messages (`step`, `client::mail`).

use super::file::{SecretPlace, TargetFile};
use crate::source::{At, Problem, Whole};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a message is received: from the answer of an operation, from a log, or from mail. Exactly one of `op`, `log` and
/// `mail`; it is asked again and again until it shows a message for the address.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Mailbox {
    /// An operation that shows the message.
    pub op: Option<At<String>>,
    /// With `op`: its body; `$(to)` is the address.
    pub json: Option<Whole>,
    /// With `op`: who asks; `operator` if absent.
    #[serde(rename = "as")]
    pub identity: Option<At<String>>,
    /// With `op`: JSON path to the message.
    pub path: Option<At<String>>,
    /// With `op`: how the message is encoded.
    pub decode: Option<Decode>,
    /// A log; its newest line that holds the address and fits the pattern is the message.
    pub log: Option<LogPlace>,
    /// Mail; the newest one to exactly the address that fits the pattern is the message.
    pub mail: Option<MailPlace>,
    /// What is taken from the message: the first group of this regular expression.
    pub pattern: At<String>,
}

/// How a message is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// As it is.
    #[default]
    None,
    /// Standard base64.
    Base64,
}

/// Where a log is: an operation that answers with its lines, or pods.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct LogPlace {
    /// An operation that answers with log lines.
    pub op: Option<At<String>>,
    /// With `op`: values for `{name}` in the operation's address; `$(to)` is the address.
    #[serde(default)]
    pub with: BTreeMap<At<String>, Whole>,
    /// With `op`: its body; `$(to)` is the address.
    pub json: Option<Whole>,
    /// With `op`: who asks; `operator` if absent.
    #[serde(rename = "as")]
    pub identity: Option<At<String>>,
    /// With `op`: JSON path to the lines, oldest first.
    pub lines: Option<At<String>>,
    /// Pods, whose newest lines are read from the cluster.
    pub pods: Option<LoggingPods>,
}

/// Pods whose logs are read.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct LoggingPods {
    /// Their Kubernetes namespace.
    pub namespace: String,
    /// The label selector of the pods.
    pub selector: String,
    /// The container; needed if a pod has more than one.
    pub container: Option<String>,
}

/// Where mail is: the HTTP API of `maildev` (or of `muster fake mail`), or a folder of an IMAP server.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct MailPlace {
    /// The URL below which `GET /email` lists the mails, oldest first.
    pub http: Option<At<String>>,
    /// The `host:port` of an IMAP server. The folder is only read; no mail is marked as seen.
    pub imap: Option<At<String>>,
    /// With `imap`: `implicit` (the default), `starttls`, or `none`, which sends the password in clear.
    pub tls: Option<Tls>,
    /// With `imap`: a PEM file of the certificates to trust, instead of those of this machine.
    pub ca: Option<At<String>>,
    /// Who signs in; over `http` nobody if absent.
    pub user: Option<At<String>>,
    /// Where the password is.
    pub secret: Option<SecretPlace>,
    /// With `imap`: the folder; `INBOX` if absent.
    pub folder: Option<At<String>>,
}

/// How a connection to an IMAP server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// TLS from the first byte, usual at port 993.
    #[default]
    Implicit,
    /// TLS after the command STARTTLS, usual at port 143.
    Starttls,
    /// Not at all.
    None,
}

/// The one way by which a mailbox is read.
#[derive(Debug, Clone, Copy)]
pub enum Way<'a> {
    /// An operation shows the message.
    Operation(&'a At<String>),
    /// An operation answers with log lines.
    Log(&'a LogPlace, &'a At<String>),
    /// Pods write them.
    Pods(&'a LoggingPods),
    /// Mail.
    Mail(&'a MailPlace),
}

impl Mailbox {
    /// The way, in a file that was found to be right.
    pub fn way(&self) -> Option<Way<'_>> {
        match (&self.op, &self.log, &self.mail) {
            (Some(op), None, None) => Some(Way::Operation(op)),
            (None, Some(log), None) => match (&log.op, &log.pods) {
                (Some(op), None) => Some(Way::Log(log, op)),
                (None, Some(pods)) => Some(Way::Pods(pods)),
                _ => None,
            },
            (None, None, Some(mail)) => Some(Way::Mail(mail)),
            _ => None,
        }
    }

    /// The operation that it asks, if it asks one, and its JSON path.
    pub fn asks(&self) -> Option<(&At<String>, Option<&At<String>>)> {
        match self.way()? {
            Way::Operation(op) => Some((op, self.path.as_ref())),
            Way::Log(log, op) => Some((op, log.lines.as_ref())),
            Way::Pods(_) | Way::Mail(_) => None,
        }
    }
}

/// What is wrong with an entry.
pub(super) fn wrong(name: &At<String>, mailbox: &Mailbox, file: &TargetFile) -> Vec<Problem> {
    let mut found = vec![];
    let given =
        [("op", mailbox.op.is_some()), ("log", mailbox.log.is_some()), ("mail", mailbox.mail.is_some())];
    found.extend(not_one(name, &format!("mailbox `{}`", name.value), &given));
    let is_op = mailbox.op.is_some();
    let of_op = [
        ("json", mailbox.json.is_some()),
        ("as", mailbox.identity.is_some()),
        ("path", mailbox.path.is_some()),
        ("decode", mailbox.decode.is_some()),
    ];
    found.extend(strange(name, "op", is_op, &of_op));
    if is_op && mailbox.path.is_none() {
        found.push(lacking(name, "path", "the message"));
    }
    found.extend(mailbox.log.iter().flat_map(|log| wrong_log(name, log, file)));
    found.extend(mailbox.mail.iter().flat_map(|mail| wrong_mail(name, mail)));
    found.extend(wrong_pattern(&mailbox.pattern));
    found
}

/// Exactly one of some keys must be given.
fn not_one(name: &At<String>, whose: &str, keys: &[(&str, bool)]) -> Option<Problem> {
    let list = |keys: Vec<&str>, word: &str| {
        let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        quoted.join(word)
    };
    let given: Vec<&str> = keys.iter().filter(|(_, is_given)| *is_given).map(|(key, _)| *key).collect();
    let found = match given.len() {
        1 => return None,
        0 => "none".to_owned(),
        _ => list(given, " and "),
    };
    let wanted = list(keys.iter().map(|(key, _)| *key).collect(), ", ");
    Some(Problem::new(name.at, format!("the {whose} wants one of {wanted}, found {found}")))
}

/// Keys that mean nothing without another one.
fn strange(name: &At<String>, owner: &str, is_owned: bool, keys: &[(&str, bool)]) -> Vec<Problem> {
    let given = keys.iter().filter(|(_, is_given)| *is_given && !is_owned);
    given.map(|(key, _)| Problem::new(name.at, format!("`{key}` is for a mailbox with `{owner}`"))).collect()
}

fn lacking(name: &At<String>, key: &str, what: &str) -> Problem {
    Problem::new(name.at, format!("the mailbox `{}` has no `{key}`", name.value))
        .hint(format!("add `{key}:`, a JSON path to {what}, such as `$.records[*].message`"))
}

fn wrong_log(name: &At<String>, log: &LogPlace, file: &TargetFile) -> Vec<Problem> {
    let mut found = vec![];
    let given = [("op", log.op.is_some()), ("pods", log.pods.is_some())];
    found.extend(not_one(name, &format!("log of mailbox `{}`", name.value), &given));
    let of_op = [
        ("with", !log.with.is_empty()),
        ("json", log.json.is_some()),
        ("as", log.identity.is_some()),
        ("lines", log.lines.is_some()),
    ];
    found.extend(strange(name, "log: { op: … }", log.op.is_some(), &of_op));
    if log.op.is_some() && log.lines.is_none() {
        found.push(lacking(name, "lines", "the lines"));
    }
    if log.pods.is_some() && file.kubernetes.is_none() {
        let text = format!("the mailbox `{}` reads pods, and the target has no `kubernetes`", name.value);
        found.push(Problem::new(name.at, text));
    }
    found
}

fn wrong_mail(name: &At<String>, mail: &MailPlace) -> Vec<Problem> {
    let mut found = vec![];
    let given = [("http", mail.http.is_some()), ("imap", mail.imap.is_some())];
    found.extend(not_one(name, &format!("mail of mailbox `{}`", name.value), &given));
    let of_imap = [("tls", mail.tls.is_some()), ("ca", mail.ca.is_some()), ("folder", mail.folder.is_some())];
    found.extend(strange(name, "mail: { imap: … }", mail.imap.is_some(), &of_imap));
    found.extend(mail.http.iter().filter_map(wrong_url));
    found.extend(mail.imap.iter().filter_map(wrong_host));
    let (user, secret) = (mail.user.is_some(), mail.secret.is_some());
    if user != secret || (mail.imap.is_some() && !user) {
        let text = format!("the mailbox `{}` wants both `user` and `secret`", name.value);
        found.push(
            Problem::new(name.at, text)
                .hint("add `user: NAME` and `secret: { env: NAME }` or `secret: { file: PATH }`"),
        );
    }
    found.extend(mail.secret.iter().filter_map(|place| place.problem(name.at)));
    found
}

fn wrong_url(url: &At<String>) -> Option<Problem> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_url = !authority.is_empty() && !rest.contains(['?', '#']);
    let text = format!("wanted a URL such as http://127.0.0.1:1080, found `{}`", url.value);
    (!is_url).then(|| Problem::new(url.at, text))
}

fn wrong_host(host: &At<String>) -> Option<Problem> {
    let is_right = host.rsplit_once(':').is_some_and(|(name, port)| {
        !name.is_empty() && !name.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let text = format!("wanted `host:port`, such as mail.example.test:993, found `{}`", host.value);
    (!is_right).then(|| Problem::new(host.at, text))
}

fn wrong_pattern(pattern: &At<String>) -> Option<Problem> {
    let wrong = match regex::Regex::new(pattern) {
        Err(_) => format!("`{}` is no regular expression", pattern.value),
        Ok(regex) if regex.captures_len() < 2 => {
            format!("`{}` has no group: nothing can be taken", pattern.value)
        }
        Ok(_) => return None,
    };
    Some(Problem::new(pattern.at, wrong).hint("put what is to be taken in parentheses"))
}
