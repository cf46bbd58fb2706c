//! Flows: steps shared by name, with typed inputs and outputs; and the step kind `flow`, which runs one.

use super::look::Look;
use super::stage::Stage;
use super::{Data, Step};
use crate::outcome::Failure;
use crate::source::{At, Place, Problem, Source, Whole};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A flow, as its file says it.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct FlowSyntax {
    /// Its name, which is that of its file too.
    pub flow: At<String>,
    /// What it is for.
    pub why: At<String>,
    /// What it takes, by name.
    #[serde(default)]
    pub inputs: BTreeMap<At<String>, InputType>,
    /// What it does.
    pub steps: Vec<Whole>,
    /// What it gives, by name.
    #[serde(default)]
    pub outputs: BTreeMap<At<String>, Data>,
    /// Which outputs are secret.
    #[serde(default)]
    pub secret: Vec<At<String>>,
}

impl FlowSyntax {
    /// The names that its secret outputs are made of; what is called `token` or `secret` is one by its role.
    pub(crate) fn secret_names(&self) -> BTreeSet<String> {
        let is_secret = |name: &str| {
            matches!(name, "token" | "secret") || self.secret.iter().any(|secret| secret.value == name)
        };
        let secret = self.outputs.iter().filter(|(name, _)| is_secret(&name.value)).map(|(_, data)| data);
        let uses = secret.flat_map(Data::templates).flat_map(|template| template.uses());
        uses.map(|used| used.split('.').next().unwrap_or_default().to_owned()).collect()
    }
}

/// What an input of a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    /// A text.
    Text,
    /// A text that must never be shown, nor stand in an undo.
    Secret,
    /// A value of any shape, null included.
    Any,
}

/// A flow with its steps read.
#[derive(Debug, Clone)]
pub struct Flow {
    /// What its file says.
    pub syntax: FlowSyntax,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Its file.
    pub source: Source,
}

/// `flow: { use: NAME, with: … }`: runs a flow.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct UseFlow {
    /// The flow.
    #[serde(rename = "use")]
    pub name: At<String>,
    /// Its inputs.
    #[serde(default)]
    pub with: BTreeMap<At<String>, Data>,
    /// Names for its outputs: `mine: output`.
    #[serde(default)]
    pub capture: BTreeMap<At<String>, At<String>>,
}

impl UseFlow {
    pub(crate) fn label(&self) -> String {
        format!("flow {}", self.name.value)
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, _: Place) {
        look.flow(&self.name, &self.with);
        for (name, output) in &self.capture {
            let is_known = look
                .book
                .flows
                .get(&self.name.value)
                .is_none_or(|flow| flow.syntax.outputs.contains_key(output));
            if !is_known {
                let text = format!("the flow `{}` has no output `{}`", self.name.value, output.value);
                look.problem(Problem::new(output.at, text));
            }
            look.declare(name);
        }
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let with = stage.rendered_map(&self.with)?;
        let outputs = stage.run_flow(&self.name.value, with).await?;
        for (name, output) in &self.capture {
            let value = outputs.get(&output.value).cloned().unwrap_or_default();
            stage.names.insert(name.value.clone(), value);
        }
        Ok(())
    }
}
