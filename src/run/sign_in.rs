//! How identities come to be: signed in, or minted by a flow.

use crate::outcome::{Failure, Verdict};
use crate::source::{At, Place, span};
use crate::step::{Data, GIVEN_BY, Names, Scene, Stage};
use crate::suite::IdentityUse;
use crate::target::{IdentityKind, Life, Target};
use base64::prelude::*;
use hmac::{Hmac, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// The case under which identities that live as long as the run are minted.
pub(super) const RUN_CASE: &str = "(run)";

type Fields = Map<String, Value>;
/// An identity that is made once, by whoever asks first.
type Made = Rc<OnceCell<Result<Fields, Vec<Failure>>>>;

/// How the identities of a run are made: with secrets derived from a key, so that a later process can derive them too.
pub struct Accounts {
    key: Vec<u8>,
    shared: RefCell<BTreeMap<String, Made>>,
    /// Whose each token is.
    owners: RefCell<BTreeMap<String, String>>,
}

impl Accounts {
    /// With the key of the state folder.
    pub fn new(key: &[u8]) -> Self {
        Self { key: key.to_vec(), shared: RefCell::default(), owners: RefCell::default() }
    }

    /// The secret of an identity of a run.
    fn secret(&self, run: &str, case: &str, name: &str) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        mac.update(format!("{run}\n{case}\n{name}").as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..24])
    }

    /// Makes an identity of a case, and adds it to its stage.
    ///
    /// # Errors
    /// What kept it from being made.
    pub(super) async fn add(
        &self,
        stage: &mut Stage<'_>,
        name: &At<String>,
        identity: &IdentityUse,
    ) -> Result<(), Vec<Failure>> {
        stage.enter_identity(&name.value, &identity.kind.value, name.at);
        let target = stage.scene.target;
        let kind = target.file.identities.get(&identity.kind).ok_or_else(|| {
            vec![
                stage
                    .doubt("identity.kind", &format!("the target has no identity `{}`", identity.kind.value)),
            ]
        })?;
        let fields = match kind.life {
            Life::Run => self.shared(stage, &identity.kind.value, kind).await?,
            Life::Case => {
                let names = (name.value.as_str(), identity.kind.value.as_str());
                self.made(stage, names, kind, identity.of.as_deref()).await?
            }
        };
        stage.add_identity(&name.value, fields);
        Ok(())
    }

    /// Signs an identity of a case in anew, if its token does not live for `enough` any more and its kind says how.
    ///
    /// # Errors
    /// What kept it from being signed in.
    pub(super) async fn renew(
        &self,
        stage: &mut Stage<'_>,
        name: &At<String>,
        identity: &IdentityUse,
        enough: Duration,
    ) -> Result<(), Vec<Failure>> {
        let target = stage.scene.target;
        let kind = target.file.identities.get(&identity.kind).filter(|kind| kind.signed_in_by.is_some());
        let worn = stage.identities.get(&name.value).filter(|fields| is_worn(target, fields, enough));
        let (Some(kind), Some(fields)) = (kind, worn.cloned()) else { return Ok(()) };
        stage.enter_identity(&name.value, &identity.kind.value, name.at);
        let fields = signed_in_by_flow(stage, fields, kind).await?;
        self.is_its_own(stage, &fields)?;
        if kind.life == Life::Run {
            let made = Rc::new(OnceCell::new_with(Some(Ok(fields.clone()))));
            self.shared.borrow_mut().insert(identity.kind.value.clone(), made);
        }
        stage.add_identity(&name.value, fields);
        Ok(())
    }

    async fn shared(
        &self,
        stage: &Stage<'_>,
        name: &str,
        kind: &IdentityKind,
    ) -> Result<Fields, Vec<Failure>> {
        let cell = self.shared.borrow_mut().entry(name.to_owned()).or_default().clone();
        let make = || async {
            let mut own = Stage::new(stage.scene, RUN_CASE, &stage.file);
            own.enter_identity(name, name, Place::default());
            self.made(&mut own, (name, name), kind, None).await
        };
        cell.get_or_init(make).await.clone()
    }

    /// An identity as a case calls it, of a kind that the target file names.
    async fn made(
        &self,
        stage: &mut Stage<'_>,
        (name, kind_name): (&str, &str),
        kind: &IdentityKind,
        of: Option<&str>,
    ) -> Result<Fields, Vec<Failure>> {
        if let Some(id) = &kind.id {
            let fields = signed_in(stage, kind_name, id, kind).await?;
            return self.is_its_own(stage, &fields).map(|()| fields);
        }
        let mut fields = self.fresh(stage, name);
        stage.scene.mask.learn(fields.get("secret").and_then(Value::as_str).unwrap_or_default());
        let Some(flow) = &kind.minted_by else { return Ok(fields) };
        let inputs = inputs(stage, &fields, flow, kind, of)?;
        let begun = stage.scene.target.passed();
        let outputs = given_by(&flow.value, inputs, stage).await?;
        fields.extend(outputs);
        note_end(&mut fields, begun, stage)?;
        self.is_its_own(stage, &fields)?;
        Ok(fields)
    }

    /// Whether nobody else of the run was given the same token. Two who share one see what the other sees, and no canary
    /// would tell.
    fn is_its_own(&self, stage: &Stage<'_>, fields: &Fields) -> Result<(), Vec<Failure>> {
        let text = |fields: &Fields, name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let named = |fields: &Fields| text(fields, "id").or_else(|| text(fields, "name"));
        let (Some(token), Some(who)) = (text(fields, "token"), named(fields)) else { return Ok(()) };
        let operator = stage.identity_fields("operator");
        let operators = operator.filter(|it| text(it, "token").as_ref() == Some(&token)).and_then(named);
        let first = || self.owners.borrow_mut().entry(token).or_insert_with(|| who.clone()).clone();
        let whose = operators.unwrap_or_else(first);
        if whose == who {
            return Ok(());
        }
        Err(vec![stage.fail("identity.shared", &format!("{who} was given the token of {whose}"))])
    }

    /// An address and a secret of this run's own.
    fn fresh(&self, stage: &Stage<'_>, name: &str) -> Fields {
        let scene = stage.scene;
        let place = crc32fast::hash(format!("{}/{name}", stage.case).as_bytes());
        let domain = &scene.target.file.mail_domain;
        let email = format!("muster-{}-{place:08x}@{domain}", scene.run);
        let mut fields = Fields::new();
        fields.insert("name".into(), json!(name));
        fields.insert("email".into(), json!(email));
        fields.insert("secret".into(), json!(self.secret(scene.run, &stage.case, name)));
        fields
    }
}

/// The inputs that the flow declares, from the fresh fields and from the target file's `with`.
fn inputs(
    stage: &Stage<'_>,
    fields: &Fields,
    flow: &At<String>,
    kind: &IdentityKind,
    of: Option<&str>,
) -> Result<Fields, Vec<Failure>> {
    let mut all = fields.clone();
    if let Some(with) = &kind.with {
        let mut names: Names = Names::new();
        names.insert("me".into(), Value::Object(fields.clone()));
        names.insert("run".into(), json!({ "id": stage.scene.run }));
        if let Some(of) = of.and_then(|of| stage.identities.get(of)) {
            names.insert("of".into(), Value::Object(of.clone()));
        }
        let data = Data::new(&with.0).map_err(|problem| vec![stage.doubt("identity.with", &problem.text)])?;
        let rendered =
            data.render(&names).map_err(|error| vec![stage.doubt("identity.with", &error.to_string())])?;
        all.extend(rendered.as_object().cloned().unwrap_or_default());
    }
    let declared = stage.scene.book.flows.get(&flow.value).map(|flow| &flow.syntax.inputs);
    all.retain(|name, _| declared.is_some_and(|inputs| inputs.keys().any(|input| input.value == *name)));
    Ok(all)
}

/// An account that exists, of a kind that the target file names. Where it cannot sign in, the target file may be wrong as well as
/// the platform: nothing that it would have done can be judged.
async fn signed_in(
    stage: &mut Stage<'_>,
    name: &str,
    id: &str,
    kind: &IdentityKind,
) -> Result<Fields, Vec<Failure>> {
    let secret = stage.scene.target.secrets.of(name).map(|secret| secret.reveal().to_owned());
    let secret =
        secret.ok_or_else(|| vec![stage.doubt("identity.secret", &format!("`{name}` has no secret"))])?;
    stage.scene.mask.learn(&secret);
    let mut fields = Fields::new();
    fields.insert("id".into(), json!(id));
    fields.insert("name".into(), json!(id));
    fields.insert("secret".into(), json!(secret));
    fields.insert("namespace".into(), json!(kind.namespace.as_deref().unwrap_or_default()));
    let signed_in = signed_in_by_flow(stage, fields, kind).await;
    signed_in.map_err(|failures| failures.into_iter().map(|failure| rejected(id, failure, stage)).collect())
}

/// The kind of what keeps an account out for good: its secret is wrong, or it is not there.
const REJECTED: &str = "identity.rejected";

/// A broken expectation of a sign-in says that the account was not let in, and no more.
fn rejected(id: &str, failure: Failure, stage: &Stage<'_>) -> Failure {
    if failure.verdict != Verdict::Fail {
        return failure;
    }
    let text = format!("the account `{id}` of the target file was not let in: {}", failure.message);
    let is_refused = |status: &u16| (400..500).contains(status) && !matches!(status, 408 | 425 | 429);
    let is_refused = stage.statuses.last().is_some_and(is_refused);
    let doubt = stage.doubt(if is_refused { REJECTED } else { "identity.unserved" }, &text);
    Failure { step: failure.step, spot: failure.spot, evidence: failure.evidence, ..doubt }
}

/// The fields with a new token, if the kind names a flow that signs in.
async fn signed_in_by_flow(
    stage: &mut Stage<'_>,
    mut fields: Fields,
    kind: &IdentityKind,
) -> Result<Fields, Vec<Failure>> {
    let Some(flow) = &kind.signed_in_by else { return Ok(fields) };
    let declared = stage.scene.book.flows.get(&flow.value).map(|flow| &flow.syntax.inputs);
    let mut with = fields.clone();
    with.retain(|name, _| declared.is_some_and(|inputs| inputs.keys().any(|input| input.value == *name)));
    let begun = stage.scene.target.passed();
    let outputs = given_by(&flow.value, with, stage).await?;
    fields.extend(outputs);
    note_end(&mut fields, begun, stage)?;
    Ok(fields)
}

/// What a flow gives an identity.
async fn given_by(flow: &str, with: Fields, stage: &mut Stage<'_>) -> Result<Fields, Vec<Failure>> {
    let mut outputs = stage.run_flow(flow, with).await?;
    outputs.insert(GIVEN_BY.into(), json!(flow));
    Ok(outputs)
}

/// The life of a token, as the flow that brings it says: a time such as `4h`.
const LIVES: &str = "lives";
/// The end of a token, in milliseconds of the time that has passed for the target. No template sees it.
const ENDS_AT_MS: &str = "(ends_at_ms)";

/// Notes when a token ends that was asked for at `begun`, if the flow says how long it lives.
fn note_end(fields: &mut Fields, begun: Duration, stage: &Stage<'_>) -> Result<(), Vec<Failure>> {
    let Some(lives) = fields.get(LIVES) else { return Ok(()) };
    let life = span(lives.as_str().unwrap_or_default());
    let life = life.map_err(|why| vec![stage.doubt("identity.lives", &format!("`{LIVES}`: {why}"))])?;
    fields.insert(ENDS_AT_MS.into(), json!(millis(begun + life)));
    Ok(())
}

/// Whether a token lives less than `enough` from now on; half of its life is always enough. One whose end nobody knows
/// is not worn.
fn is_worn(target: &Target, fields: &Fields, enough: Duration) -> bool {
    let ends_at = fields.get(ENDS_AT_MS).and_then(Value::as_u64);
    let life = fields.get(LIVES).and_then(Value::as_str).and_then(|lives| span(lives).ok());
    let enough = life.map_or(enough, |life| enough.min(life / 2));
    ends_at.is_some_and(|ends_at| ends_at < millis(target.passed() + enough))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Signs `operator` in anew, if its token does not live for `enough` any more.
pub(super) async fn renew_operator(scene: &Scene<'_>, enough: Duration) {
    let is_worn = match &*scene.operator.borrow() {
        Some(Ok(fields)) => is_worn(scene.target, fields, enough),
        _ => false,
    };
    if is_worn {
        sign_in_operator(scene).await;
    }
}

/// Whether `operator` was kept out for good. Asking again and again may lock an account.
pub(super) fn is_rejected(scene: &Scene<'_>) -> bool {
    matches!(&*scene.operator.borrow(), Some(Err(why)) if &*why.kind == REJECTED)
}

/// Signs `operator` in if it is not, unless it was kept out for good.
pub(super) async fn retry_operator(scene: &Scene<'_>) {
    let is_in = matches!(&*scene.operator.borrow(), Some(Ok(_)));
    if !is_in && !is_rejected(scene) {
        sign_in_operator(scene).await;
    }
}

/// Signs `operator` in, for every case of the run.
pub async fn sign_in_operator(scene: &Scene<'_>) {
    let Some(kind) = scene.target.file.identities.get(&at("operator")) else { return };
    let mut stage = Stage::new(scene, RUN_CASE, scene.target.name());
    stage.enter_identity("operator", "operator", Place::default());
    let id = kind.id.clone().unwrap_or_default();
    let done = signed_in(&mut stage, "operator", &id, kind).await;
    if let Ok(fields) = &done {
        ["secret", "token"]
            .iter()
            .filter_map(|field| fields.get(*field)?.as_str())
            .for_each(|it| scene.mask.learn(it));
    }
    *scene.operator.borrow_mut() = Some(done.map_err(|failures| {
        failures
            .into_iter()
            .next()
            .unwrap_or_else(|| stage.doubt("identity.operator", "it could not be signed in"))
    }));
}

fn at(name: &str) -> At<String> {
    At { value: name.to_owned(), at: Place::default() }
}
