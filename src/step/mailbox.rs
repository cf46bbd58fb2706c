//! What a mailbox of the target shows of a message for an address.
//!
//! Lives here: one look at it, whether it is an operation, a log or mail. Does not: waiting (`receive`), or which of
//! several messages is meant (`judge::message`).

use super::call::shown;
use super::json_path::json_path;
use super::request::Request;
use super::send::Prepared;
use super::stage::Stage;
use super::{Data, Names};
use crate::client::mail::{Letter, Mail, MailError, Seen, Wanted};
use crate::judge::message::{Message, first_group, holds_address, newest, newest_line};
use crate::judge::{Reply, select};
use crate::outcome::{Evidence, Failure};
use crate::source::{At, Place, Whole};
use crate::target::{Decode, LogPlace, LoggingPods, Mailbox, Way};
use base64::prelude::*;
use regex::Regex;
use serde_json::json;
use serde_json_path::JsonPath;
use std::collections::BTreeMap;

/// How often a mailbox is asked at most when it cannot be reached.
const MOST_ATTEMPTS: usize = 3;
/// How many of the newest lines of a pod's log are read.
const TAIL_LINES: u32 = 5_000;

/// What one look has shown.
pub(super) struct Sight {
    /// What was taken from the newest message.
    pub(super) found: Option<String>,
    /// Why this look says nothing of messages, if so.
    pub(super) unread: Option<String>,
    /// What is shown if nothing comes.
    pub(super) evidence: Vec<Evidence>,
}

/// Reads a mailbox for one address.
pub(super) struct Reader<'a> {
    to: String,
    pattern: Regex,
    aside: Stage<'a>,
    way: By<'a>,
}

enum By<'a> {
    Operation { prepared: Box<Prepared>, path: JsonPath, decode: Decode },
    Log { prepared: Box<Prepared>, lines: JsonPath },
    Pods(&'a LoggingPods),
    Mail(Letters<'a>),
}

/// A mailbox of mails, and what was seen of it so far.
struct Letters<'a> {
    mail: &'a Mail,
    seen: Seen,
    found: Option<String>,
    most: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a mailbox; nothing is asked yet.
    pub(super) fn new(
        name: &str,
        mailbox: &'a Mailbox,
        to: &str,
        stage: &Stage<'a>,
    ) -> Result<Self, Vec<Failure>> {
        let doubt = |why: String| vec![stage.doubt("receive.mailbox", &why)];
        let no_pattern = |_| doubt(format!("`{}` is no regular expression", mailbox.pattern.value));
        let pattern = Regex::new(&mailbox.pattern).map_err(no_pattern)?;
        let mut names = Names::new();
        names.insert("to".into(), json!(to));
        let aside = stage.aside(names);
        let path = |path: &Option<At<String>>| {
            json_path(path.as_ref().map_or("", |path| path.value.as_str())).map_err(doubt)
        };
        let way = match mailbox.way() {
            Some(Way::Operation(op)) => By::Operation {
                prepared: prepared(op, mailbox.identity.as_ref(), &BTreeMap::new(), &mailbox.json, &aside)?,
                path: path(&mailbox.path)?,
                decode: mailbox.decode.unwrap_or_default(),
            },
            Some(Way::Log(log, op)) => {
                By::Log { prepared: asked(log, op, &aside)?, lines: path(&log.lines)? }
            }
            Some(Way::Pods(pods)) => By::Pods(pods),
            Some(Way::Mail(_)) | None => {
                let mail = stage.scene.target.mail.get(name);
                let mail = mail.ok_or_else(|| doubt(format!("the mailbox `{name}` cannot be read")))?;
                By::Mail(Letters { mail, seen: Seen::default(), found: None, most: 0 })
            }
        };
        Ok(Self { to: to.to_owned(), pattern, aside, way })
    }

    /// Looks once.
    pub(super) async fn look(&mut self) -> Result<Sight, Vec<Failure>> {
        let Self { to, pattern, aside, way } = self;
        match way {
            By::Operation { prepared, path, decode } => {
                let mut reply = aside.exchange(prepared).await?;
                let seen = message(&reply, path, *decode).and_then(|text| first_group(&text, pattern));
                // What fits in a refusal is no message; an answer without one may hold it elsewhere.
                reply.is_withheld |= seen.is_some() != reply.is_success();
                let found = seen.filter(|_| reply.is_success());
                Ok(Sight { found, unread: unread(&reply), evidence: shown(aside, &prepared.shown(), &reply) })
            }
            By::Log { prepared, lines } => {
                let reply = aside.exchange(prepared).await?;
                let mut sight = of_lines(&logged(&reply, lines), to, pattern, aside);
                sight.unread = unread_log(&reply);
                // The lines themselves may hold codes of others, which no mask knows.
                sight.evidence.push(aside.evidence("request", &prepared.shown()));
                Ok(sight)
            }
            By::Pods(pods) => look_at_pods(pods, to, pattern, aside).await,
            By::Mail(letters) => look_at_mail(letters, to, pattern, aside).await,
        }
    }

    /// What went wrong in attempts that were repeated.
    pub(super) fn retried(self) -> Vec<Failure> {
        self.aside.retried
    }
}

fn asked(log: &LogPlace, op: &At<String>, aside: &Stage<'_>) -> Result<Box<Prepared>, Vec<Failure>> {
    prepared(op, log.identity.as_ref(), &log.with, &log.json, aside)
}

/// The request behind an entry; `$(to)` in it is the address.
fn prepared(
    op: &At<String>,
    identity: Option<&At<String>>,
    with: &BTreeMap<At<String>, Whole>,
    json: &Option<Whole>,
    aside: &Stage<'_>,
) -> Result<Box<Prepared>, Vec<Failure>> {
    let data = |whole: &Whole| {
        Data::new(&whole.0).map_err(|problem| vec![aside.doubt("receive.mailbox", &problem.text)])
    };
    let json = json.as_ref().map(data).transpose()?;
    let with = with.iter().map(|(name, whole)| Ok((name.clone(), data(whole)?)));
    let with = with.collect::<Result<BTreeMap<_, _>, Vec<Failure>>>()?;
    let operator = At { value: "operator".to_owned(), at: Place::default() };
    let request = Request {
        op: Some(op),
        identity: Some(identity.unwrap_or(&operator)),
        json: json.as_ref(),
        with: &with,
        ..Request::nothing()
    };
    request.prepared(aside).map(Box::new)
}

/// Why an answer says nothing of messages: it is neither JSON nor says that something is not found, as some platforms do by 500.
fn unread(reply: &Reply) -> Option<String> {
    const NOT_FOUND: u16 = 404;
    let is_none = reply.status == NOT_FOUND || reply.text().to_lowercase().contains("not found");
    match reply.read_json() {
        Ok(_) if reply.is_success() => None,
        Err(why) if reply.is_success() => Some(format!("wanted JSON, found {why}")),
        _ if is_none => None,
        _ => Some(format!("it answered {}", reply.status)),
    }
}

/// Why an answer says nothing of lines: a log that is not found is none.
fn unread_log(reply: &Reply) -> Option<String> {
    match reply.read_json() {
        _ if !reply.is_success() => Some(format!("the log answered {}", reply.status)),
        Ok(_) => None,
        Err(why) => Some(format!("wanted a log as JSON, found {why}")),
    }
}

/// The message in an answer.
fn message(reply: &Reply, path: &JsonPath, decode: Decode) -> Option<String> {
    let value = select(reply, path)?;
    let text = value.as_str()?;
    match decode {
        Decode::None => Some(text.to_owned()),
        Decode::Base64 => String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok(),
    }
}

/// The log lines in an answer.
fn logged(reply: &Reply, path: &JsonPath) -> Vec<String> {
    let Some(json) = reply.json() else { return vec![] };
    let texts = path.query(&json).all().into_iter().filter_map(|value| value.as_str());
    texts.flat_map(str::lines).map(str::to_owned).collect()
}

fn of_lines(lines: &[String], to: &str, pattern: &Regex, aside: &Stage<'_>) -> Sight {
    let found = newest_line(lines.iter().map(String::as_str), to, pattern);
    let holding = lines.iter().filter(|line| holds_address(line, to)).count();
    let text = format!("{} lines were read; {holding} of them hold {to}", lines.len());
    Sight { found, unread: None, evidence: vec![aside.evidence("log", &text)] }
}

/// The logs of all pods as one, in the order of time.
async fn look_at_pods(
    place: &LoggingPods,
    to: &str,
    pattern: &Regex,
    aside: &Stage<'_>,
) -> Result<Sight, Vec<Failure>> {
    let doubt = |why: String| vec![aside.doubt("mailbox.unreachable", &why)];
    let kube = aside.scene.kube().await.map_err(doubt)?;
    let told = |error: crate::client::kube::KubeError| match error.code() {
        Some(_) => vec![aside.doubt("mailbox.unreadable", &error.to_string())],
        None => doubt(error.to_string()),
    };
    let pods = kube.pods(&place.namespace, &place.selector).await.map_err(told)?;
    let mut all = vec![];
    for pod in &pods {
        all.extend(kube.timed_log(pod, place.container.as_deref(), TAIL_LINES).await.map_err(told)?);
    }
    all.sort_by_key(|(at, _)| *at);
    let lines: Vec<String> = all.into_iter().map(|(_, line)| line).collect();
    let mut sight = of_lines(&lines, to, pattern, aside);
    sight.unread = lines.is_empty().then(|| {
        format!(
            "{} pods in {} fit `{}`, and none has written a line",
            pods.len(),
            place.namespace,
            place.selector
        )
    });
    Ok(sight)
}

/// What the newest mail holds that fits, of those that came since the last look or were seen before.
async fn look_at_mail(
    letters: &mut Letters<'_>,
    to: &str,
    pattern: &Regex,
    aside: &mut Stage<'_>,
) -> Result<Sight, Vec<Failure>> {
    let is_found = |letter: &Letter| read(letter).taken(to, pattern).is_some();
    let wanted = Wanted { address: to, is_found: &is_found };
    let arrived = attempts(letters.mail, &wanted, &mut letters.seen, aside).await?;
    let messages: Vec<Message> = arrived.iter().map(read).collect();
    letters.found = newest(&messages, to, pattern).or(letters.found.take());
    letters.most = letters.most.max(messages.len());
    let text = format!("{} mails were read", letters.most);
    Ok(Sight { found: letters.found.clone(), unread: None, evidence: vec![aside.evidence("mailbox", &text)] })
}

fn read(letter: &Letter) -> Message {
    Message { to: letter.to.clone(), texts: letter.texts.clone() }
}

/// Asks for letters; a mailbox that cannot be reached is asked again at once, as any read is.
async fn attempts(
    mail: &Mail,
    wanted: &Wanted<'_>,
    seen: &mut Seen,
    aside: &mut Stage<'_>,
) -> Result<Vec<Letter>, Vec<Failure>> {
    let within = aside.scene.target.answer_within();
    let mut left = MOST_ATTEMPTS;
    loop {
        left -= 1;
        let error = match mail.letters(wanted, seen, within).await {
            Ok(letters) => return Ok(letters),
            Err(error) => error,
        };
        let failure = aside.doubt(error.kind(), &format!("the mailbox says nothing of messages: {error}"));
        if left == 0 || !matches!(error, MailError::Unreachable(_)) {
            return Err(vec![failure]);
        }
        aside.retried.push(failure);
    }
}
