//! One thing a case does.
//!
//! Lives here: operations, flows and templates, and the step kinds, one file each. Does not: the order of cases, or
//! how a change is undone (`run`).

mod access;
mod book;
mod call;
mod chosen;
mod clocks;
mod disrupt;
mod expect;
mod filter;
mod flow;
mod following;
mod guarding;
mod json_path;
mod laps;
mod leased;
mod look;
mod mailbox;
mod member;
mod nodes;
mod objects;
mod operation;
mod pause;
mod plant;
mod poll;
mod probing;
mod receive;
mod redeploying;
mod request;
mod send;
mod snapshot;
mod sql;
mod stage;
mod standing;
mod steady;
mod stopwatch;
mod template;
mod watching;
mod writing;

pub use crate::judge::Refusals;
pub use book::{Book, Unread};
#[cfg(test)]
pub(crate) use expect::CONDITIONS;
pub use expect::{CaptureFrom, Captures, Expect};
#[cfg(test)]
pub(crate) use filter::filter_names;
pub use flow::{Flow, FlowSyntax, InputType};
pub use json_path::json_path;
#[cfg(test)]
pub(crate) use look::STANDING_NAMES;
pub use look::{Look, STANDING_IDENTITIES, Uses, Within};
pub use member::{labels_of, selector_of};
pub use operation::{Effect, FormSyntax, LookUp, Operation, Residue, UndoBy};
pub use stage::{GIVEN_BY, Scene, Snapshots, Stage};
pub use template::{Data, Names, Template, TemplateError};

use crate::outcome::{Event, Failure, StepEnd, Verdict};
use crate::source::{Key, Node, Place, Problem, Problems, What, did_you_mean, read};
use serde_json::Value;

/// Defines the step kinds: one line each.
macro_rules! kinds {
    ($($(#[$about:meta])* $key:literal => $variant:ident($kind:ty),)*) => {
        /// What a step does.
        #[derive(Debug, Clone)]
        pub enum Kind {
            $($(#[$about])* $variant(Box<$kind>),)*
        }

        impl Kind {
            /// The keys of all kinds.
            pub const KEYS: &'static [&'static str] = &[$($key),*];

            fn read(key: &str, node: &Node, problems: &Problems) -> Option<Self> {
                match key {
                    $($key => read(node, problems).map(|kind| Self::$variant(Box::new(kind))),)*
                    _ => None,
                }
            }

            fn label(&self) -> String {
                match self { $(Self::$variant(kind) => kind.label(),)* }
            }

            fn look(&self, look: &mut Look<'_>, at: Place) {
                match self { $(Self::$variant(kind) => kind.look(look, at),)* }
            }

            /// In a box: what the largest kind keeps while it waits would be moved with every case otherwise.
            async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
                match self { $(Self::$variant(kind) => Box::pin(kind.run(stage)).await,)* }
            }
        }

        /// The JSON Schema of each kind, by key.
        pub fn kind_schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($key, generator.subschema_for::<$kind>()),)*]
        }
    };
}

kinds! {
    /// One request.
    "call" => Call(call::Call),
    /// A read repeated until true.
    "poll" => Poll(poll::Poll),
    /// A message.
    "receive" => Receive(receive::Receive),
    /// A flow.
    "flow" => Flow(flow::UseFlow),
    /// A canary.
    "plant" => Plant(plant::Plant),
    /// A matrix of who may call what.
    "access" => Access(access::Access),
    /// A fault under probes.
    "disrupt" => Disrupt(disrupt::Disrupt),
    /// A question to a database.
    "sql" => Sql(sql::Sql),
    /// What lies in a bucket.
    "objects" => Objects(objects::Objects),
    /// A stored reply.
    "snapshot" => Snapshot(snapshot::Snapshot),
    /// Time that passes.
    "pause" => Pause(pause::Pause),
}

impl Kind {
    /// Whether something was asked and judged once it has run: a flow has done what its steps have, and a pause nothing.
    fn asks(&self) -> bool {
        !matches!(self, Self::Flow(_) | Self::Pause(_))
    }
}

/// One thing a case does.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Within a flow: whether it is done at all.
    pub when: Option<Template>,
    /// What it does.
    pub kind: Kind,
    /// Where it stands.
    pub at: Place,
}

impl Step {
    /// Reads a step: a map with exactly one kind key, and optionally `name` (and `when`, within a flow).
    pub fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let What::Map(map) = &node.what else {
            problems
                .borrow_mut()
                .push(Problem::new(node.at, format!("wanted a step, found {}", node.described())));
            return None;
        };
        let entry = |key: &str| map.iter().find(|(found, _)| found.text == key);
        let name = entry("name").and_then(|(_, node)| read::<String>(node, problems));
        let when = entry("when").and_then(|(_, node)| read::<Template>(node, problems));
        let (key, body) = kind_entry(map, node.at, problems)?;
        let kind = Kind::read(&key.text, body, problems)?;
        Some(Self { name, when, kind, at: key.at })
    }

    /// How it is called in reports: its name, or its kind and subject.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.kind.label())
    }

    /// Looks over what is written.
    pub fn look(&self, look: &mut Look<'_>) {
        if let Some(when) = &self.when {
            look.template(when);
        }
        self.kind.look(look, self.at);
    }

    pub(crate) fn is_wanted(&self, stage: &mut Stage<'_>) -> Result<bool, Vec<Failure>> {
        let Some(when) = &self.when else { return Ok(true) };
        stage.enter(&self.label(), self.at);
        let value = when
            .render(&stage.names)
            .map_err(|error| vec![stage.doubt("step.template", &error.to_string())])?;
        match value {
            Value::Bool(is_wanted) => Ok(is_wanted),
            other => {
                Err(vec![stage.doubt("step.when", &format!("`when` wants true or false, found {other}"))])
            }
        }
    }

    /// Does it, without telling anyone.
    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        stage.enter(&self.label(), self.at);
        self.kind.run(stage).await?;
        if self.kind.asks() {
            stage.note_asked();
        }
        Ok(())
    }

    /// Does it as a step of a case, and tells how it ended.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn perform(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        const MOST_STATUSES: usize = 16;
        let started = tokio::time::Instant::now();
        stage.statuses.clear();
        let done = self.run(stage).await;
        let verdict = match &done {
            Ok(()) => Verdict::Pass,
            Err(failures) => Verdict::of(failures.iter().map(|failure| failure.verdict)),
        };
        stage.statuses.truncate(MOST_STATUSES);
        (stage.scene.events)(Event::StepEnded(StepEnd {
            case: stage.case.clone(),
            step: self.label(),
            verdict,
            took_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            statuses: std::mem::take(&mut stage.statuses),
        }));
        done
    }
}

/// The one entry that says what a step does.
fn kind_entry<'n>(map: &'n [(Key, Node)], at: Place, problems: &Problems) -> Option<&'n (Key, Node)> {
    let tell = |problem: Problem| {
        problems.borrow_mut().push(problem);
        None
    };
    let kinds: Vec<&(Key, Node)> =
        map.iter().filter(|(key, _)| key.text != "name" && key.text != "when").collect();
    let known = Kind::KEYS.join(", ");
    match kinds.as_slice() {
        [] => tell(Problem::new(at, "a step without a kind").hint(format!("kinds are {known}"))),
        [one] if Kind::KEYS.contains(&one.0.text.as_str()) => Some(one),
        [one] => tell(
            Problem::new(one.0.at, format!("unknown step kind `{}`", one.0.text)).hint(
                did_you_mean(&one.0.text, Kind::KEYS.iter().copied())
                    .unwrap_or_else(|| format!("kinds are {known}")),
            ),
        ),
        [_, second, ..] => tell(
            Problem::new(
                second.0.at,
                format!("a step has one kind, and `{}` is a second key", second.0.text),
            )
            .hint("begin a new step with `- `, or indent this key under the kind"),
        ),
    }
}
