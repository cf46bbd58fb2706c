//! `plant`: a canary in one identity's data, a mark that no other may see.

use super::call::{leaked, shown};
use super::look::Look;
use super::request::with_request;
use super::stage::{Canary, Stage};
use crate::judge::Expectation;
use crate::outcome::Failure;
use crate::scan::Mark;
use crate::source::{At, Place, Problem};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value};

with_request! {
    /// A canary, planted by one write.
    pub struct Plant {
        /// The canary's name: `$(canary.name)` from here on.
        canary: At<String>,
    }
}

impl Plant {
    pub(crate) fn label(&self) -> String {
        format!("plant {}", self.canary.value)
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        look.declare(&self.canary);
        look.declare(&At { value: "canary".into(), at: self.canary.at });
        self.request().look(look, at);
        if self.request().identity.is_none() {
            look.problem(Problem::new(at, "a canary is planted by someone").hint("add `as:`"));
        }
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let canary = mark(stage, &self.canary);
        let canaries = stage.names.entry("canary").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(canaries) = canaries {
            canaries.insert(self.canary.value.clone(), Value::from(canary.as_str()));
        }
        let prepared = self.request().prepared(stage)?;
        let (planter, token) = (prepared.identity.clone(), prepared.token().map(str::to_owned));
        stage.canaries.borrow_mut().push(Canary { mark: Mark::of(&canary), planter, token });
        let reply = stage.exchange(&prepared).await?;
        if let Some(failure) = leaked(stage, &prepared, &reply, &"", None) {
            return Err(vec![failure]);
        }
        let broken = Expectation::default().broken_by(&reply, stage.scene.mask);
        if broken.is_empty() {
            return Ok(());
        }
        let evidence = shown(stage, &prepared.shown(), &reply);
        Err(stage.failures(broken, evidence))
    }
}

/// A text that stands nowhere else: drawn from the run's seed, the run and the case.
fn mark(stage: &Stage<'_>, name: &str) -> String {
    let place = format!("{}/{}/{name}", stage.scene.run, stage.case);
    let seed = stage.scene.seed ^ u64::from(crc32fast::hash(place.as_bytes()));
    let drawn: u64 = ChaCha8Rng::seed_from_u64(seed).random();
    format!("canary-{name}-{drawn:016x}")
}
