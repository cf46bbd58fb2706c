//! Sending what was prepared: announcing changes first, retrying reads, learning secrets from replies.
//!
//! Lives here: the one way in which steps reach the target. Does not: judging the reply.

use super::expect::learn_at;
use super::leased::noted;
use super::operation::LookUp;
use super::request::Request;
use super::stage::Stage;
use super::{Names, Operation};
use crate::client::{self, Answer, Connection, Grpc, Http, SendError};
use crate::judge::{self, Reply, Transport};
use crate::ledger::{Change, Undo, stands_for_many};
use crate::outcome::{Event, Failure};
use crate::source::At;
use crate::target::WritePermit;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// How often a read is sent at most when no whole answer comes.
const MOST_ATTEMPTS: usize = 3;

/// Of where a target would lead, so many characters are told.
const MOST_OF_AN_ORIGIN: usize = 120;

/// A request, rendered: it can be sent again and again, from any thread.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) transport: Transport,
    pub(crate) is_kube: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) operation: Option<String>,
    pub(crate) identity: String,
    /// What undo templates see as `request`.
    pub(crate) request: Value,
    /// Paths to what is secret in its answer, beside those that the operation names.
    pub(crate) secret: Vec<String>,
    /// Whether what its answer shows counts even where it is not whole: a second answer must not stand for it.
    pub(crate) is_asked_once: bool,
}

impl Prepared {
    /// Sends it as it is.
    pub(crate) async fn send(
        &self,
        http: &Http,
        rpc: Option<&Grpc>,
        connection: Connection,
        within: Duration,
    ) -> Result<Reply, SendError> {
        let answer = match self.transport {
            Transport::Http => http.send(&self.as_http(), connection, within).await?,
            Transport::Rpc => {
                let rpc = rpc.ok_or_else(|| SendError::Unsendable("the target names no `proxy`".into()))?;
                rpc.call(&self.path, &self.headers, &self.body, connection, within).await?
            }
        };
        Ok(reply(self.transport, answer))
    }

    /// The token that it shows.
    pub(crate) fn token(&self) -> Option<&str> {
        let shown = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        shown.and_then(|(_, value)| value.strip_prefix("Bearer "))
    }

    fn as_http(&self) -> client::Request {
        client::Request {
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }

    /// The request as text, not masked.
    pub(crate) fn shown(&self) -> String {
        let way = match (self.is_kube, self.transport) {
            (true, _) => "Kubernetes",
            (false, Transport::Http) => "HTTP",
            (false, Transport::Rpc) => "gRPC",
        };
        let mut text = format!("{way} {} {} as {}\n", self.method, self.path, self.identity);
        for (name, value) in
            self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"))
        {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text + &String::from_utf8_lossy(&self.body)
    }
}

fn reply(transport: Transport, answer: Answer) -> Reply {
    Reply {
        transport,
        status: answer.status,
        grpc_status: answer.grpc_status,
        headers: answer.headers,
        aside: answer.aside,
        is_withheld: false,
        body: answer.body.into(),
        elsewhere: None,
        took: answer.took,
    }
}

impl Stage<'_> {
    /// Sends a request: a change is announced before, a read is repeated when no whole answer comes.
    pub(crate) async fn exchange(&mut self, prepared: &Prepared) -> Result<Reply, Vec<Failure>> {
        let operation = prepared.operation.as_ref().and_then(|name| self.scene.book.operations.get(name));
        let is_write = operation.is_some_and(Operation::is_write);
        let number = match operation {
            Some(operation) if is_write => self.announce(operation, prepared).await?,
            _ => None,
        };
        if let Some(operation) = operation {
            self.declare_residue(operation);
        }
        let sent = if is_write { self.once(prepared).await } else { self.attempts(prepared).await };
        let mut reply = match sent {
            Ok(reply) => reply,
            Err(error) => {
                self.note_unsent(number, &error)?;
                return Err(vec![self.unanswered(prepared, &error, is_write)]);
            }
        };
        self.note_redirect(&mut reply);
        self.note_clock(&reply);
        if let Some(number) = number {
            self.note_answer(number, &reply)?;
        }
        self.statuses.push(reply.status);
        self.learn_secrets(operation, prepared, &mut reply);
        Ok(reply)
    }

    /// What the target saw nothing of changed nothing: there is nothing to put back, unless the same change was sent before.
    fn note_unsent(&self, number: Option<u64>, error: &SendError) -> Result<(), Vec<Failure>> {
        let journal = self.scene.journal;
        match number {
            Some(number) if error.is_before_sending() && !journal.is_repeated(number) => {
                noted(journal.undone(number), self)
            }
            _ => Ok(()),
        }
    }

    /// A conflict says that what was to be made was there before. Unless this case made it, or its undo names this run, it is
    /// somebody's, and undoing would take it from them.
    fn note_answer(&self, number: u64, reply: &Reply) -> Result<(), Vec<Failure>> {
        const CONFLICT: u16 = 409;
        let journal = self.scene.journal;
        let names_run = |undo: &Undo| undo.to_string().contains(self.scene.run);
        // Whoever looked at a shared thing before knows what to give back.
        let is_safe = |change: &Change| change.key.is_some() || change.undo.as_ref().is_some_and(names_run);
        let is_named = |change: &Change| change.number == number && is_safe(change);
        let is_ours = || journal.is_repeated(number) || journal.open_all().iter().any(is_named);
        let written = match reply.status {
            CONFLICT if !is_ours() => journal.undone(number),
            // Whoever stands in between gave up, or it was taken on to be done later.
            202 | 408 | 499 | 502..=599 => Ok(()),
            _ => journal.done(number),
        };
        noted(written, self)
    }

    /// Whether the first answer counts, be it whole or not.
    fn counts_once(&self, prepared: &Prepared) -> bool {
        prepared.is_asked_once || self.may_be_shown(prepared)
    }

    async fn once(&self, prepared: &Prepared) -> Result<Reply, SendError> {
        let target = self.scene.target;
        if prepared.is_kube {
            return self.ask_kubernetes(prepared).await;
        }
        // An idle connection that is just being closed would cost the one answer that counts.
        let connection = if self.counts_once(prepared) { Connection::New } else { Connection::Reused };
        prepared.send(&target.http, target.rpc.as_ref(), connection, target.answer_within()).await
    }

    async fn attempts(&mut self, prepared: &Prepared) -> Result<Reply, SendError> {
        let (target, started) = (self.scene.target, Instant::now());
        let mut sent = self.once(prepared).await;
        for _ in 1..MOST_ATTEMPTS {
            let Err(error) = &sent else { break };
            let is_spent = self.counts_once(prepared) && !error.is_before_sending();
            if !error.is_worth_repeating() || prepared.is_kube || is_spent {
                break;
            }
            let failure = self.unanswered(prepared, error, false);
            self.retried.push(failure);
            sent = prepared
                .send(&target.http, target.rpc.as_ref(), Connection::New, target.answer_within())
                .await;
            // Whoever asked has waited since the first attempt.
            sent = sent.map(|reply| Reply { took: started.elapsed(), ..reply });
        }
        sent
    }

    async fn ask_kubernetes(&self, prepared: &Prepared) -> Result<Reply, SendError> {
        let started = Instant::now();
        let kube = self.scene.kube().await.map_err(SendError::Refused)?;
        let told = kube.get_path(&prepared.path).await?;
        Ok(Reply {
            transport: Transport::Http,
            status: told.status,
            grpc_status: None,
            headers: told.location.map(|to| ("location".to_owned(), to)).into_iter().collect(),
            aside: vec![],
            is_withheld: false,
            body: told.body.into_bytes(),
            elsewhere: None,
            took: started.elapsed(),
        })
    }

    fn unanswered(&self, prepared: &Prepared, error: &SendError, is_write: bool) -> Failure {
        let what =
            prepared.operation.clone().unwrap_or_else(|| format!("{} {}", prepared.method, prepared.path));
        let rest = if is_write && !error.is_before_sending() {
            "; whether it was carried out is not known, so it is undone"
        } else {
            ""
        };
        if let SendError::Elsewhere(address) = error {
            self.led_elsewhere(&address.to_string(), "an answer of DNS");
        }
        let mut failure = self.doubt(error.kind(), &format!("{what}: {error}{rest}"));
        failure.evidence.push(self.evidence("request", &prepared.shown()));
        failure
    }

    /// A redirect is an answer. One that leads to an address which the target file does not name is told.
    fn note_redirect(&self, reply: &mut Reply) {
        let base = &self.scene.target.file.api.value;
        let is_redirect = (300..400).contains(&reply.status);
        let location = reply.headers.iter().find(|(name, _)| name == "location").filter(|_| is_redirect);
        let Some((_, location)) = location else { return };
        let origin = client::origin(base, location).unwrap_or_else(|| "an address that is none".into());
        if self.scene.target.file.names_origin(&origin) {
            return;
        }
        // An origin is of small letters, and long ones are cut: half of a secret in it would not be known as one.
        let is_seemly = origin.len() <= MOST_OF_AN_ORIGIN && !self.scene.mask.finds_in(location.as_bytes());
        let origin = if is_seemly { origin } else { "an address that is not shown".to_owned() };
        self.led_elsewhere(&origin, &format!("a redirect, status {}", reply.status));
        reply.elsewhere = Some(origin);
    }

    fn led_elsewhere(&self, to: &str, why: &str) {
        (self.scene.events)(Event::LedElsewhere {
            case: self.case.clone(),
            to: self.scene.mask.mask(to),
            why: self.scene.mask.mask(why),
        });
    }

    /// Values at secret paths are secrets from now on, before anything of the reply is shown. Where one is missing, it may stand
    /// elsewhere: under another name, say.
    fn learn_secrets(&self, operation: Option<&Operation>, prepared: &Prepared, reply: &mut Reply) {
        let declared = operation.into_iter().flat_map(|it| &it.secret).map(|path| &path.value);
        let mut paths = declared.chain(&prepared.secret).peekable();
        if paths.peek().is_none() {
            return;
        }
        let json = reply.json();
        // All are learned, also behind one that is missing.
        let missing = paths.filter(|path| !learn_at(path, json.as_ref(), self)).count();
        reply.is_withheld = missing > 0 && reply.is_success();
    }

    /// Makes a change durable, with its undo, before it is sent. While undoing, nothing is announced.
    async fn announce(
        &mut self,
        operation: &Operation,
        prepared: &Prepared,
    ) -> Result<Option<u64>, Vec<Failure>> {
        if self.is_undoing {
            return Ok(None);
        }
        self.permitted(operation)?;
        let by = match &operation.part_of {
            Some(parent) => self.scene.book.operations.get(&parent.value).and_then(|it| it.undo.as_ref()),
            None => operation.undo.as_ref(),
        };
        let Some(by) = by else {
            // Nothing is to be written down; without a journal nothing is changed all the same.
            let stands = self.scene.journal.stands();
            return stands.map(|()| None).map_err(|error| self.unannounced(&error));
        };
        let mut names = self.undo_names(prepared);
        let key = operation.key.as_ref().map(|key| key.render_text(&names)).transpose();
        let key = key.map_err(|error| vec![self.doubt("step.template", &error.to_string())])?;
        if let Some(key) = &key {
            self.without_secret(&by.flow.value, &Value::from(key.as_str()))?;
            self.hold(key).await?;
        }
        let before = Box::pin(self.look_before(operation, &names)).await?;
        names.insert("before".into(), Value::Object(before));
        let with = super::expect::render_map(&by.with, &names)
            .map_err(|error| vec![self.doubt("step.template", &error.to_string())])?;
        self.take_inputs(&by.flow.value, &with)?;
        self.without_secret(&by.flow.value, &Value::Object(with.clone()))?;
        self.can_undo()?;
        let undo = Undo::Flow { flow: by.flow.value.clone(), with };
        let operation = prepared.operation.as_deref().unwrap_or_default();
        self.will_change(operation, undo, key).map(Some)
    }

    /// Holds what a request would change alone, if it would change something shared and may.
    pub(super) async fn hold_for(&self, prepared: &Prepared) -> Result<(), Vec<Failure>> {
        let operation = prepared.operation.as_ref().and_then(|name| self.scene.book.operations.get(name));
        let key = operation.filter(|it| self.permitted(it).is_ok()).and_then(|it| it.key.as_ref());
        let key = key.map(|key| key.render_text(&self.undo_names(prepared))).transpose();
        match key.map_err(|error| vec![self.doubt("step.template", &error.to_string())])? {
            Some(key) => self.hold(&key).await,
            None => Ok(()),
        }
    }

    /// Makes it durable that something is about to be changed, and how that is put back. Its number in the journal.
    pub(super) fn will_change(
        &self,
        operation: &str,
        undo: Undo,
        key: Option<String>,
    ) -> Result<u64, Vec<Failure>> {
        let (case, operation) = (self.case.clone(), operation.to_owned());
        let change = Change { number: 0, case, operation, undo: Some(undo), key };
        let written = self.scene.journal.changing(change);
        written.map_err(|error| self.unannounced(&error))
    }

    fn unannounced(&self, error: &dyn std::fmt::Display) -> Vec<Failure> {
        vec![self.doubt("ledger.disk", &format!("nothing was changed: {error}"))]
    }

    fn permitted(&self, operation: &Operation) -> Result<(), Vec<Failure>> {
        self.may_write(if operation.key.is_some() { WritePermit::Shared } else { WritePermit::Own })
    }

    /// Whether the target permits to change so much.
    pub(super) fn may_write(&self, wanted: WritePermit) -> Result<(), Vec<Failure>> {
        if self.scene.target.file.permits.write >= wanted {
            return Ok(());
        }
        let text = format!("the target does not permit `write: {}`", format!("{wanted:?}").to_lowercase());
        Err(vec![self.doubt("permit.write", &text)])
    }

    fn declare_residue(&self, operation: &Operation) {
        operation.leaves.iter().for_each(|residue| self.residue(&residue.at, &residue.why));
    }

    /// Tells once in a case what stays, as declared.
    pub(super) fn residue(&self, at: &str, why: &str) {
        if self.scene.residue_seen.borrow_mut().insert((self.case.clone(), at.to_owned())) {
            (self.scene.events)(Event::Residue {
                case: self.case.clone(),
                at: self.scene.mask.mask(at),
                why: self.scene.mask.mask(why),
            });
        }
    }

    fn undo_names(&self, prepared: &Prepared) -> Names {
        let mut names = Names::new();
        names.insert("request".into(), prepared.request.clone());
        names.insert("run".into(), json!({ "id": self.scene.run }));
        let mut caller = self.identity_fields(&prepared.identity).cloned().unwrap_or_default();
        caller.retain(|field, _| matches!(field.as_str(), "id" | "name" | "email" | "namespace"));
        names.insert("caller".into(), Value::Object(caller));
        names
    }

    /// What stands there now, so that it can come back: null where nothing does.
    async fn look_before(
        &mut self,
        operation: &Operation,
        names: &Names,
    ) -> Result<Map<String, Value>, Vec<Failure>> {
        let mut all = Map::new();
        for (name, look_up) in &operation.before {
            let mut inner = self.aside(names.clone());
            let operator = At { value: "operator".to_owned(), at: name.at };
            let request = Request {
                op: Some(&look_up.op),
                identity: Some(&operator),
                json: look_up.json.as_ref(),
                ..Request::nothing()
            };
            let prepared = request.prepared(&inner)?;
            let reply = inner.exchange(&prepared).await?;
            let is_absent = match &look_up.absent {
                Some(absent) => absent.rendered(&inner)?.broken_by(&reply, self.scene.mask).is_empty(),
                None => false,
            };
            if !is_absent && !reply.is_success() {
                let text = format!(
                    "`{}` before the change answered {}: nothing was sent",
                    look_up.op.value, reply.status
                );
                return Err(vec![self.doubt("ledger.before", &text)]);
            }
            let json = if is_absent { Value::Null } else { self.before_as_json(&look_up.op.value, &reply)? };
            let found = match is_absent {
                true => look_up.capture.keys().map(|capture| (capture.value.clone(), Value::Null)).collect(),
                false => self.before_in((&json, &reply), look_up)?,
            };
            all.insert(name.value.clone(), Value::Object(found));
        }
        Ok(all)
    }

    /// What is taken from what stands there now. What is not found would come back as nothing, whatever stood there.
    fn before_in(
        &self,
        (json, reply): (&Value, &Reply),
        look_up: &LookUp,
    ) -> Result<Map<String, Value>, Vec<Failure>> {
        let mut found = Map::new();
        for (capture, from) in &look_up.capture {
            let value = from.value_in(json).ok_or_else(|| {
                let (operation, path) = (&look_up.op.value, from.path());
                let text = format!("`{operation}` before the change: nothing stands at {path}, or null, and `absent` does not say \
                                    what nothing looks like: nothing was sent");
                vec![self.doubt("ledger.before", &text)]
            })?;
            if let Some(number) = unkept(&value, &reply.body) {
                let text = format!(
                    "`{}` before the change: the number {number} could not be given back as it is: nothing was sent",
                    look_up.op.value
                );
                return Err(vec![self.doubt("ledger.before", &text)]);
            }
            found.insert(capture.value.clone(), value);
        }
        Ok(found)
    }

    /// What stands there now. What cannot be read would come back as nothing at all.
    fn before_as_json(&self, operation: &str, reply: &Reply) -> Result<Value, Vec<Failure>> {
        reply.read_json().map_err(|why| {
            let text = format!("`{operation}` before the change: wanted JSON, found {why}: nothing was sent");
            vec![self.doubt("ledger.before", &text)]
        })
    }

    /// What puts a change back does it as `operator`: while that one is not let in, nothing is changed.
    fn can_undo(&self) -> Result<(), Vec<Failure>> {
        // What signs `operator` in may change something itself.
        match &*self.scene.operator.borrow() {
            Some(Err(_)) if !stands_for_many(&self.case) => Err(vec![self.no_operator()]),
            _ => Ok(()),
        }
    }

    /// Whether a value, or one in it, is a short secret as a whole.
    fn is_word(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.scene.mask.is_word(text),
            Value::Number(number) => self.scene.mask.is_word(&number.to_string()),
            Value::Array(list) => list.iter().any(|one| self.is_word(one)),
            Value::Object(map) => map.values().any(|one| self.is_word(one)),
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// The journal holds no secret.
    pub(super) fn without_secret(&self, flow: &str, with: &Value) -> Result<(), Vec<Failure>> {
        let text = with.to_string();
        if !self.scene.mask.finds_in(text.as_bytes()) && !self.is_word(with) {
            return Ok(());
        }
        let text = format!("the undo `{}` would hold a secret: nothing was sent", flow);
        Err(vec![self.doubt("ledger.secret", &text)])
    }
}

/// A number in a value that would not be given back as it is written in a text.
fn unkept<'t>(value: &Value, text: &'t [u8]) -> Option<&'t str> {
    match value {
        Value::Number(number) => judge::unkept(number, text),
        Value::Array(list) => list.iter().find_map(|one| unkept(one, text)),
        Value::Object(map) => map.values().find_map(|one| unkept(one, text)),
        _ => None,
    }
}
