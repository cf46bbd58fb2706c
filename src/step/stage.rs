//! Where steps act: what a run lends to every step, and what a case has gathered so far.
//!
//! Lives here: names and identities of a case, failures with the step they belong to, rendering in the case's names,
//! running flows. Does not: sending (`send`), or the order of cases (`run`).

use super::flow::InputType;
use super::json_path::json_path;
use super::send::Prepared;
use super::{Book, Data, Names, Step, Template};
use crate::client::kube::Kube;
use crate::judge::clock::Ruling;
use crate::judge::{Mismatch, Reply};
use crate::ledger::{Journal, Keys};
use crate::outcome::{Event, Evidence, Failure, Spot, Verdict};
use crate::scan::Mark;
use crate::secret::Mask;
use crate::source::{At, Place};
use crate::target::Target;
use serde_json::{Map, Value, json};
use serde_json_path::JsonPath;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::rc::Rc;

/// Evidence is cut to this many characters, after masking.
const EVIDENCE_CHARACTERS: usize = 4_000;

/// Where stored snapshots are.
pub trait Snapshots {
    /// The stored text, if there is one.
    fn stored(&self, name: &str) -> Option<String>;
    /// The stored text still holds: what was kept as pending before is pending no more.
    fn agree(&self, name: &str);
    /// Keeps a new text beside the stored one, or in its place if updating was asked for. Says where, if it was kept
    /// as pending.
    ///
    /// # Errors
    /// If it cannot be written.
    fn keep(&self, name: &str, source: &str, text: &str) -> Result<Option<String>, String>;
}

/// What a run lends to every step.
pub struct Scene<'a> {
    /// The platform under test.
    pub target: &'a Target,
    /// Operations, flows, refusals.
    pub book: &'a Book,
    /// Every secret of the run.
    pub mask: &'a Mask,
    /// The journal of the run.
    pub journal: &'a Journal,
    /// The keys of shared things.
    pub keys: &'a Keys,
    /// Takes every event.
    pub events: &'a dyn Fn(Event),
    /// Stored snapshots.
    pub snapshots: &'a dyn Snapshots,
    /// The run's id.
    pub run: &'a str,
    /// The run's seed.
    pub seed: u64,
    /// Whether something may be broken on purpose.
    pub may_disrupt: bool,
    /// The standing identity `operator`: signed in, or why not. `None` before the run has tried.
    pub operator: RefCell<Option<Result<Map<String, Value>, Failure>>>,
    /// The connection to the cluster, made when it is first used; what failed is tried again.
    pub kubernetes: tokio::sync::OnceCell<Kube>,
    /// Keys of shared things of which an earlier run's changes are left: they are not changed again.
    pub left: BTreeSet<String>,
    /// Residue that has been told.
    pub residue_seen: RefCell<BTreeSet<(String, String)>>,
    /// The name of the pod that muster itself runs in, if it does.
    pub own_pod: Option<String>,
    /// A fault from which the platform has not recovered.
    pub unrecovered: RefCell<Option<String>>,
    /// The wall clock, for times that are shown.
    pub now: &'a dyn Fn() -> jiff::Timestamp,
}

impl Scene<'_> {
    /// The connection to the cluster, which is the one that the target file means. What is shown to it is a secret
    /// before anything is sent.
    ///
    /// # Errors
    /// Why there is none, or that this is another cluster.
    pub(crate) async fn kube(&self) -> Result<&Kube, String> {
        let place = self.target.kubernetes().ok_or("the target file names no `kubernetes`")?;
        let connect = || async {
            let kube = place.connect(self.target.answer_within()).await?;
            place.teach(&kube, self.mask)?;
            place.compare(&kube).await?;
            Ok::<_, String>(kube)
        };
        let kube = self.kubernetes.get_or_try_init(connect).await?;
        // A renewed token is learned. Where its file cannot be read any more, nothing new was read from it either, and what
        // is to be put back must not wait for it.
        place.teach(kube, self.mask).ok();
        Ok(kube)
    }
}

/// The flow that gave an identity what it has. No template sees it.
pub const GIVEN_BY: &str = "(given_by)";

/// A mark that was planted.
pub(crate) struct Canary {
    /// The mark.
    pub(crate) mark: Mark,
    /// Who planted it.
    pub(crate) planter: String,
    /// The token that they showed.
    pub(crate) token: Option<String>,
}

impl Canary {
    /// Whether who asks may see it: who planted it, also by their token alone, and `operator`.
    fn is_open_to(&self, who: &str, token: Option<&str>) -> bool {
        who == "operator" || who == self.planter || token.is_some() && token == self.token.as_deref()
    }
}

/// What a case has gathered so far, and where it stands.
pub struct Stage<'a> {
    /// What the run lends.
    pub scene: &'a Scene<'a>,
    /// The case's full name.
    pub case: String,
    /// The file of the case or flow.
    pub file: String,
    /// Every name that templates can use.
    pub names: Names,
    /// The identities of the case: name to fields.
    pub identities: BTreeMap<String, Map<String, Value>>,
    /// Canaries that were planted.
    pub(crate) canaries: Rc<RefCell<Vec<Canary>>>,
    /// What went wrong in attempts that were repeated.
    pub retried: Vec<Failure>,
    /// HTTP statuses seen.
    pub statuses: Vec<u16>,
    /// Names of what the flow that runs here gives away as secret.
    pub(crate) secret_names: BTreeSet<String>,
    /// Whether this is an undo: nothing is announced.
    pub is_undoing: bool,
    /// How many steps have asked the target something, those of flows included.
    asked: Rc<Cell<usize>>,
    label: String,
    spot: Option<Spot>,
}

impl<'a> Stage<'a> {
    /// A stage on which nothing has happened.
    pub fn new(scene: &'a Scene<'a>, case: &str, file: &str) -> Self {
        let mut names = Names::new();
        names.insert("run".into(), json!({ "id": scene.run, "seed": scene.seed }));
        names.insert("case".into(), json!({ "id": case }));
        names.insert("target".into(), json!({ "name": scene.target.name() }));
        names.insert("now".into(), Value::from((scene.now)().to_string()));
        let mut stage = Self {
            scene,
            case: case.into(),
            file: file.into(),
            names,
            identities: BTreeMap::new(),
            canaries: Rc::default(),
            retried: vec![],
            statuses: vec![],
            secret_names: BTreeSet::new(),
            is_undoing: false,
            asked: Rc::default(),
            label: String::new(),
            spot: None,
        };
        stage.names.insert("anonymous".into(), json!({ "name": "anonymous" }));
        stage.take_operator();
        stage
    }

    /// Takes over what the run knows of `operator`, if it is signed in.
    pub fn take_operator(&mut self) {
        if let Some(Ok(operator)) = &*self.scene.operator.borrow() {
            self.names.insert("operator".into(), Value::Object(operator.clone()));
        }
    }

    /// A stage for a flow or a look-up: same case, other names.
    pub(crate) fn aside(&self, names: Names) -> Stage<'a> {
        let mut aside = Stage::new(self.scene, &self.case, &self.file);
        aside.names.extend(names);
        aside.is_undoing = self.is_undoing;
        aside.asked = self.asked.clone();
        aside.canaries = self.canaries.clone();
        aside.label.clone_from(&self.label);
        aside.spot.clone_from(&self.spot);
        aside
    }

    /// A step has asked the target something.
    pub(crate) fn note_asked(&self) {
        self.asked.set(self.asked.get() + 1);
    }

    /// How many steps have asked the target something since this was called last.
    pub fn take_asked(&self) -> usize {
        self.asked.take()
    }

    /// Adds an identity; its secret and token are secrets from now on.
    pub fn add_identity(&mut self, name: &str, fields: Map<String, Value>) {
        ["secret", "token"].iter().filter_map(|field| fields.get(*field)).for_each(|value| self.learn(value));
        self.names.insert(name.into(), Value::Object(fields.clone()));
        self.identities.insert(name.into(), fields);
    }

    /// What is known of an identity.
    pub(crate) fn identity_fields(&self, name: &str) -> Option<&Map<String, Value>> {
        self.identities.get(name).or_else(|| self.names.get(name)?.as_object())
    }

    /// The token that an identity sends; none for `anonymous` and for who has not signed in yet. Whoever signed in to nothing would
    /// ask as nobody, and be refused as nobody is.
    pub(crate) fn token(&self, identity: Option<&At<String>>) -> Result<Option<String>, Vec<Failure>> {
        let Some(name) = identity else { return Ok(None) };
        if name.value == "operator" && !self.names.contains_key("operator") {
            return Err(vec![self.no_operator()]);
        }
        let fields = self.identity_fields(&name.value);
        let token = fields.and_then(|fields| fields.get("token")?.as_str()).filter(|token| !token.is_empty());
        let flow = fields.and_then(|fields| fields.get(GIVEN_BY)?.as_str());
        match (token, flow) {
            (None, Some(flow)) => {
                Err(vec![self.doubt("identity.nothing", &format!("the flow `{flow}` gave no `token`"))])
            }
            (token, _) => Ok(token.map(str::to_owned)),
        }
    }

    /// Why `operator` cannot be used: whatever went wrong when it was signed in.
    pub(super) fn no_operator(&self) -> Failure {
        match &*self.scene.operator.borrow() {
            Some(Err(why)) => Failure {
                evidence: why.evidence.clone(),
                ..self.doubt(&why.kind, &format!("`operator` cannot be used: {}", why.message))
            },
            Some(Ok(_)) => self.doubt("identity.operator", "`operator` was let in only after this had begun"),
            None => self.doubt("identity.operator", "`operator` cannot be used: the target file names none"),
        }
    }

    /// Steps from here on are known by this label and place.
    pub(crate) fn enter(&mut self, label: &str, at: Place) {
        self.label = label.into();
        self.names.insert("now".into(), Value::from((self.scene.now)().to_string()));
        self.spot = Some(Spot { file: self.file.clone(), line: at.line });
    }

    /// What follows belongs to the making of an identity.
    pub fn enter_identity(&mut self, name: &str, kind: &str, at: Place) {
        self.enter(&format!("identity {name} ({kind})"), at);
    }

    /// What follows belongs to the flow that a case and others are given.
    pub fn enter_given(&mut self, flow: &At<String>) {
        self.enter(&format!("given {}", flow.value), flow.at);
    }

    /// What follows belongs to the case as a whole.
    pub fn enter_case(&mut self, at: Place) {
        self.enter("case", at);
    }

    /// A number, or a text wherever it stands in a value, that is a secret from now on. Numbers within others say too little.
    pub(crate) fn learn(&self, value: &Value) {
        match value {
            Value::Number(number) => self.scene.mask.learn(&number.to_string()),
            other => self.learn_texts(other),
        }
    }

    fn learn_texts(&self, value: &Value) {
        match value {
            Value::String(text) => self.scene.mask.learn(text),
            Value::Array(list) => list.iter().for_each(|one| self.learn_texts(one)),
            Value::Object(map) => map.values().for_each(|one| self.learn_texts(one)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether an answer shows what somebody has planted.
    pub(crate) fn shows_canary(&self, reply: &Reply) -> bool {
        self.canaries.borrow().iter().any(|canary| canary.mark.is_in(&reply.visible()))
    }

    /// Whether somebody has planted what whoever asks this must not see.
    pub(crate) fn may_be_shown(&self, asked: &Prepared) -> bool {
        self.canaries.borrow().iter().any(|canary| !self.is_open(canary, asked))
    }

    fn is_open(&self, canary: &Canary, asked: &Prepared) -> bool {
        let operators = self.identity_fields("operator").and_then(|fields| fields.get("token")?.as_str());
        let is_operators = operators.is_some() && asked.token() == operators;
        is_operators || canary.is_open_to(&asked.identity, asked.token())
    }

    /// That an answer shows to somebody else what was planted. Who asks for a canary, or wants it in the answer, knows it;
    /// what `shared_by` has planted may be seen too.
    pub(crate) fn leaked(
        &self,
        asked: &Prepared,
        reply: &Reply,
        wanted: &dyn Debug,
        shared_by: Option<&str>,
    ) -> Option<Failure> {
        if !self.may_be_shown(asked) {
            return None;
        }
        let said = format!("{}{wanted:?}", asked.shown());
        let canaries = self.canaries.borrow();
        let mut unknown = canaries
            .iter()
            .filter(|canary| !self.is_open(canary, asked) && Some(&*canary.planter) != shared_by)
            .filter(|canary| !canary.mark.is_in(said.as_bytes()));
        let shown = unknown.any(|canary| canary.mark.is_in(&reply.visible()));
        shown.then(|| self.fail("leak.canary", &format!("{} was shown the canary", asked.identity)))
    }

    /// A failure of the current step: the platform broke a promise.
    pub fn fail(&self, kind: &str, message: &str) -> Failure {
        self.failure(Verdict::Fail, kind, message)
    }

    /// A failure of the current step that keeps it from being judged.
    pub fn doubt(&self, kind: &str, message: &str) -> Failure {
        self.failure(Verdict::Inconclusive, kind, message)
    }

    fn failure(&self, verdict: Verdict, kind: &str, message: &str) -> Failure {
        Failure {
            verdict,
            kind: kind.into(),
            step: self.label.clone(),
            message: self.scene.mask.mask(message),
            spot: self.spot.clone(),
            evidence: vec![],
        }
    }

    /// A failure from what a judge ruled.
    pub(crate) fn ruled(&self, ruling: &Ruling) -> Failure {
        self.failure(ruling.verdict, ruling.mismatch.kind, &ruling.mismatch.message)
    }

    /// Failures from what a judge found; the evidence goes with the first.
    pub(crate) fn failures(&self, found: Vec<Mismatch>, evidence: Vec<Evidence>) -> Vec<Failure> {
        let mut failures: Vec<Failure> =
            found.into_iter().map(|mismatch| self.fail(mismatch.kind, &mismatch.message)).collect();
        if let Some(first) = failures.first_mut() {
            first.evidence = evidence;
        }
        failures
    }

    /// Something shown in support, masked and then cut.
    pub(crate) fn evidence(&self, label: &str, text: &str) -> Evidence {
        let masked = self.scene.mask.mask(text);
        let text = match masked.as_str().char_indices().nth(EVIDENCE_CHARACTERS) {
            Some((end, _)) => {
                let rest = masked.as_str().len() - end;
                self.scene.mask.mask(&format!("{}… ({rest} bytes more)", &masked.as_str()[..end]))
            }
            None => masked,
        };
        Evidence { label: label.into(), text }
    }

    /// A template's value.
    pub(crate) fn rendered(&self, data: &Data) -> Result<Value, Vec<Failure>> {
        data.render(&self.names).map_err(|error| vec![self.doubt("step.template", &error.to_string())])
    }

    /// A template's text.
    pub(crate) fn rendered_text(&self, template: &Template) -> Result<String, Vec<Failure>> {
        template
            .render_text(&self.names)
            .map_err(|error| vec![self.doubt("step.template", &error.to_string())])
    }

    /// The values of a map.
    pub(crate) fn rendered_map(
        &self,
        map: &BTreeMap<At<String>, Data>,
    ) -> Result<Map<String, Value>, Vec<Failure>> {
        super::expect::render_map(map, &self.names)
            .map_err(|error| vec![self.doubt("step.template", &error.to_string())])
    }

    /// A value that becomes something else once it is rendered.
    pub(crate) fn parsed<T>(
        &self,
        data: &Data,
        parse: fn(&Value) -> Result<T, String>,
    ) -> Result<T, Vec<Failure>> {
        parse(&self.rendered(data)?).map_err(|why| vec![self.doubt("step.expectation", &why)])
    }

    /// A JSON path; those of suites were looked over at load.
    pub(crate) fn json_path(&self, text: &str) -> Result<JsonPath, Vec<Failure>> {
        json_path(text).map_err(|why| vec![self.doubt("step.json-path", &why)])
    }

    /// Runs steps one after the other, until one does not pass.
    pub(crate) async fn run_steps(&mut self, steps: &[Step]) -> Result<(), Vec<Failure>> {
        for step in steps {
            if step.is_wanted(self)? {
                step.run(self).await?;
            }
        }
        Ok(())
    }

    /// Runs a flow with its inputs, and gives its outputs.
    ///
    /// # Errors
    /// What went wrong in it, under the label of the step that runs it.
    pub async fn run_flow(
        &mut self,
        name: &str,
        with: Map<String, Value>,
    ) -> Result<Map<String, Value>, Vec<Failure>> {
        let book = self.scene.book;
        let flow = book
            .flows
            .get(name)
            .ok_or_else(|| vec![self.doubt("step.flow", &format!("there is no flow `{name}`"))])?;
        self.take_inputs(name, &with)?;
        let mut aside = self.aside(with);
        aside.file = flow.source.name.to_string();
        aside.secret_names = flow.syntax.secret_names();
        let ran = aside.run_steps(&flow.steps).await;
        self.retried.append(&mut aside.retried);
        self.statuses.append(&mut aside.statuses);
        ran.map_err(|failures| self.within_flow(name, failures))?;
        let mut outputs = Map::new();
        for (output, data) in &flow.syntax.outputs {
            let value = aside.rendered(data)?;
            if flow.syntax.secret.iter().any(|secret| secret.value == output.value) {
                self.learn(&value);
            }
            outputs.insert(output.value.clone(), value);
        }
        Ok(outputs)
    }

    /// Sees that the inputs of a flow are of their types; secret ones are secrets from now on.
    ///
    /// # Errors
    /// If a text is none. Whoever undoes has asked before.
    pub(crate) fn take_inputs(&self, name: &str, with: &Map<String, Value>) -> Result<(), Vec<Failure>> {
        let flow = self.scene.book.flows.get(name);
        let inputs = flow.into_iter().flat_map(|flow| &flow.syntax.inputs);
        for (input, kind) in inputs {
            let Some(value) = with.get(&input.value) else { continue };
            if *kind == InputType::Secret {
                self.learn(value);
            }
            let is_text = !(value.is_array() || value.is_object() || value.is_null());
            if *kind != InputType::Any && !is_text && !self.is_undoing {
                let text =
                    format!("the input `{}` of flow `{name}` wants a text, found another value", input.value);
                return Err(vec![self.doubt("step.flow", &text)]);
            }
        }
        Ok(())
    }

    /// A failure within a flow belongs to the step that runs the flow; where it happened stands in its message.
    fn within_flow(&self, name: &str, failures: Vec<Failure>) -> Vec<Failure> {
        failures
            .into_iter()
            .map(|failure| {
                let message = format!("in flow {name}, step `{}`: {}", failure.step, failure.message);
                Failure {
                    step: self.label.clone(),
                    message: self.scene.mask.mask(&message),
                    spot: failure.spot.or_else(|| self.spot.clone()),
                    ..failure
                }
            })
            .collect()
    }
}
