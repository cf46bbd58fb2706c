//! `pause`: the one declared exception to *until true*. It moves the clock of a fake, and its case runs alone.

use super::look::Look;
use super::stage::Stage;
use crate::client::{Connection, Request};
use crate::outcome::Failure;
use crate::source::{At, Place, Problem, Span};
use serde::Deserialize;
use serde_json::json;

/// Lets time pass on a target whose clock can be moved.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Pause {
    /// How long. Not scaled: lives that a caller can see are not.
    #[serde(rename = "for")]
    time: Span,
    /// Why nothing can be watched instead.
    why: At<String>,
}

impl Pause {
    pub(crate) fn label(&self) -> String {
        format!("pause {:?}", self.time.0)
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, _: Place) {
        if self.why.trim().is_empty() {
            look.problem(Problem::new(self.why.at, "a pause says why nothing can be watched instead"));
        }
        look.uses.is_alone = true;
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let target = stage.scene.target;
        let Some(admin) = &target.admin else {
            tokio::time::sleep(self.time.0).await;
            return Ok(());
        };
        let request = Request {
            method: "POST".into(),
            path: "/clock".into(),
            headers: vec![("Content-Type".into(), "application/json".into())],
            body: json!({ "advance": format!("{}ms", self.time.0.as_millis()) }).to_string().into_bytes(),
        };
        let answer = admin.send(&request, Connection::New, target.answer_within()).await;
        match answer {
            Ok(answer) if answer.status == 200 => {
                target.was_moved(self.time.0);
                Ok(())
            }
            Ok(answer) => Err(vec![
                stage.doubt("pause.clock", &format!("the target's clock answered status {}", answer.status)),
            ]),
            Err(error) => Err(vec![stage.doubt("pause.clock", &format!("the target's clock: {error}"))]),
        }
    }
}
