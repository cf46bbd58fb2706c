//! Looking over steps before anything runs: what every kind says about itself.
//!
//! Lives here: the names in scope, what a case uses and changes, and the problems found. Does not: files (`suite`).

use super::{Book, Data, Operation, Template};
use crate::source::{At, Problem, did_you_mean};
use crate::target::WritePermit;
use std::collections::{BTreeMap, BTreeSet};

/// What steps use and change, found while they are looked over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// Operations, those of flows included.
    pub operations: BTreeSet<String>,
    /// What must be permitted to write.
    pub write: WritePermit,
    /// The faults that it injects, by key.
    pub faults: BTreeSet<&'static str>,
    /// What it reads of Kubernetes: paths of the API, `$(…)` where a value stands.
    pub kube_paths: BTreeSet<String>,
    /// The mailboxes that it reads.
    pub mailboxes: BTreeSet<String>,
    /// The databases that it asks, as the target file names them.
    pub databases: BTreeSet<String>,
    /// The buckets that it lists, as the target file names them.
    pub buckets: BTreeSet<String>,
    /// Those of them that it changes.
    pub databases_changed: BTreeSet<String>,
    /// Whether the clock of a fake is moved, or the case must be alone for another reason.
    pub is_alone: bool,
}

impl Uses {
    /// Whether something is broken on purpose.
    pub fn disrupts(&self) -> bool {
        !self.faults.is_empty()
    }

    fn take(&mut self, other: Uses) {
        self.operations.extend(other.operations);
        self.write = self.write.max(other.write);
        self.faults.extend(other.faults);
        self.kube_paths.extend(other.kube_paths);
        self.mailboxes.extend(other.mailboxes);
        self.databases.extend(other.databases);
        self.buckets.extend(other.buckets);
        self.databases_changed.extend(other.databases_changed);
        self.is_alone |= other.is_alone;
    }
}

/// Looks over the steps of one case or flow.
pub struct Look<'a> {
    /// Operations and flows.
    pub book: &'a Book,
    /// The identities of the case: name to kind.
    pub identities: BTreeMap<String, String>,
    /// What was found to be used so far.
    pub uses: Uses,
    /// What was found to be wrong so far.
    pub problems: Vec<Problem>,
    names: BTreeSet<String>,
    depth: usize,
}

/// Identities that every case has.
pub const STANDING_IDENTITIES: [&str; 2] = ["operator", "anonymous"];
/// Names that every template can use.
pub(crate) const STANDING_NAMES: [&str; 4] = ["run", "case", "target", "now"];
/// What is known of every identity.
const FIELDS: [&str; 6] = ["id", "name", "email", "secret", "namespace", "token"];

impl<'a> Look<'a> {
    /// A look with some names known.
    pub fn new(book: &'a Book, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut known: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        known.extend(STANDING_NAMES.map(String::from));
        Self {
            book,
            identities: BTreeMap::new(),
            uses: Uses::default(),
            problems: vec![],
            names: known,
            depth: 0,
        }
    }

    /// Notes a problem.
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Makes a name known from here on.
    pub fn declare(&mut self, name: &At<String>) {
        if self.identities.contains_key(&name.value) {
            self.problem(Problem::new(name.at, format!("`{}` is an identity of this case", name.value)));
        }
        let is_word = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !is_word {
            self.problem(
                Problem::new(name.at, format!("`{}` cannot be used in an expression", name.value))
                    .hint("a name has letters, digits and `_`"),
            );
        }
        self.names.insert(name.value.clone());
    }

    /// Adds an identity of the case.
    pub fn declare_identity(&mut self, name: &At<String>, kind: &str) {
        self.declare(name);
        self.identities.insert(name.value.clone(), kind.into());
    }

    /// A look at something nested in which only these names are known. Its problems and uses come back when dropped
    /// by [`Look::within`]'s guard.
    pub fn within<'l, const N: usize>(&'l mut self, names: [&str; N]) -> Within<'l, 'a> {
        let kept = std::mem::replace(&mut self.names, names.map(String::from).into_iter().collect());
        Within { look: self, kept }
    }

    /// Looks over a template.
    pub fn template(&mut self, template: &Template) {
        for used in template.uses() {
            let mut parts = used.split('.');
            let name = parts.next().unwrap_or_default();
            let field = parts.next();
            if !self.names.contains(name) && !STANDING_IDENTITIES.contains(&name) {
                let hint = did_you_mean(name, self.names.iter().map(String::as_str));
                self.problem(
                    Problem::new(template.at, format!("nothing is called `{name}` here")).maybe_hint(hint),
                );
            }
            self.field(template, name, field);
        }
    }

    fn field(&mut self, template: &Template, identity: &str, field: Option<&str>) {
        let Some(field) = field.filter(|_| self.identities.contains_key(identity)) else { return };
        if !FIELDS.contains(&field) {
            self.problem(
                Problem::new(template.at, format!("an identity has no `{field}`"))
                    .hint(format!("it has {}", FIELDS.join(", "))),
            );
        }
    }

    /// Looks over data.
    pub fn data(&mut self, data: &Data) {
        for template in data.templates() {
            self.template(template);
        }
    }

    /// Looks over a JSON path.
    pub fn json_path(&mut self, path: &At<String>) {
        // It would find nothing, and `absent` would hold.
        if path.value.contains("$(") {
            let text = format!("`{}` holds an expression, and a JSON path is taken as it stands", path.value);
            self.problem(Problem::new(path.at, text).hint("write the expression in the condition"));
        }
        if let Err(why) = super::json_path::json_path(path) {
            self.problem(Problem::new(path.at, why));
        }
    }

    /// The operation of a name.
    pub fn operation(&mut self, name: &At<String>) -> Option<&'a Operation> {
        let found = self.book.operations.get(&name.value);
        if self.book.lacks_operation(name) {
            let hint = did_you_mean(name, self.book.operations.keys().map(String::as_str));
            self.problem(
                Problem::new(name.at, format!("there is no operation `{}`", name.value)).maybe_hint(hint),
            );
        }
        found
    }

    /// An operation that is called: it is used, and so is what puts it back.
    pub fn calls(&mut self, name: &At<String>) {
        let Some(operation) = self.operation(name) else { return };
        self.uses.operations.insert(name.value.clone());
        if operation.is_write() {
            let permit = if operation.key.is_some() { WritePermit::Shared } else { WritePermit::Own };
            self.uses.write = self.uses.write.max(permit);
        }
    }

    /// An operation that must only read.
    pub fn reading_operation(&mut self, name: &At<String>) {
        self.calls(name);
        if self.book.operations.get(&name.value).is_some_and(Operation::is_write) {
            self.problem(
                Problem::new(
                    name.at,
                    format!("`{}` writes: it cannot be called again and again", name.value),
                )
                .hint("use an operation with `effect: read`"),
            );
        }
    }

    /// An identity that calls.
    pub fn identity(&mut self, name: &At<String>) {
        let is_standing = STANDING_IDENTITIES.contains(&name.value.as_str());
        if !is_standing && !self.identities.contains_key(&name.value) {
            let known = self.identities.keys().map(String::as_str).chain(STANDING_IDENTITIES);
            let hint = did_you_mean(name, known)
                .unwrap_or_else(|| "declare it under the case's `identities:`".into());
            self.problem(
                Problem::new(name.at, format!("there is no identity `{}` here", name.value)).hint(hint),
            );
        }
    }

    /// A flow that is run with inputs.
    pub fn flow(&mut self, name: &At<String>, with: &BTreeMap<At<String>, Data>) {
        with.values().for_each(|data| self.data(data));
        if self.book.lacks_flow(name) {
            let hint = did_you_mean(name, self.book.flows.keys().map(String::as_str));
            self.problem(
                Problem::new(name.at, format!("there is no flow `{}`", name.value)).maybe_hint(hint),
            );
        }
        let Some(flow) = self.book.flows.get(&name.value) else { return };
        for given in with.keys().filter(|given| !flow.syntax.inputs.contains_key(given)) {
            let hint = did_you_mean(given, flow.syntax.inputs.keys().map(|it| it.value.as_str()));
            let text = format!("the flow `{}` has no input `{}`", name.value, given.value);
            self.problem(Problem::new(given.at, text).maybe_hint(hint));
        }
        for wanted in flow.syntax.inputs.keys().filter(|wanted| !with.contains_key(wanted)) {
            let text = format!("the flow `{}` needs the input `{}`", name.value, wanted.value);
            self.problem(Problem::new(name.at, text));
        }
        self.uses_of_flow(&name.value);
    }

    /// A flow that puts something back, which no flow does that only reads.
    pub fn changing_flow(&mut self, name: &At<String>) {
        let Some(flow) = self.book.flows.get(&name.value) else { return };
        let mut inner = Look::new(self.book, flow.syntax.inputs.keys().map(|it| it.value.clone()));
        flow.steps.iter().for_each(|step| step.look(&mut inner));
        if inner.uses.write == WritePermit::default() && inner.uses.databases_changed.is_empty() {
            let text = format!("the flow `{}` changes nothing, so it puts nothing back", name.value);
            self.problem(Problem::new(name.at, text).hint("call an operation with `effect: write` in it"));
        }
    }

    /// What a flow uses counts as used here.
    pub fn uses_of_flow(&mut self, name: &str) {
        const DEEPEST: usize = 8;
        let Some(flow) = self.book.flows.get(name) else { return };
        if self.depth >= DEEPEST {
            let at = flow.syntax.flow.at;
            self.problem(Problem::new(
                at,
                format!("the flow `{name}` runs itself, or more than {DEEPEST} deep"),
            ));
            return;
        }
        let mut inner = Look::new(self.book, flow.syntax.inputs.keys().map(|it| it.value.clone()));
        inner.depth = self.depth + 1;
        flow.steps.iter().for_each(|step| step.look(&mut inner));
        let deep = inner.problems.into_iter().filter(|it| it.text.contains("runs itself"));
        self.problems.extend(deep);
        self.uses.take(inner.uses);
    }
}

/// A look in which fewer names are known, until it is dropped.
pub struct Within<'l, 'a> {
    look: &'l mut Look<'a>,
    kept: BTreeSet<String>,
}

impl<'a> std::ops::Deref for Within<'_, 'a> {
    type Target = Look<'a>;

    fn deref(&self) -> &Look<'a> {
        self.look
    }
}

impl std::ops::DerefMut for Within<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.look
    }
}

impl Drop for Within<'_, '_> {
    fn drop(&mut self) {
        self.look.names = std::mem::take(&mut self.kept);
    }
}
