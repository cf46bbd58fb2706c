//! `receive`: a message for an address, through the target's mailbox.

use super::Template;
use super::look::Look;
use super::mailbox::Reader;
use super::stage::Stage;
use crate::outcome::Failure;
use crate::source::{At, Place, Span};
use crate::target::Mailbox;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

const EVERY: Duration = Duration::from_millis(200);
const SHORTEST_BEAT: Duration = Duration::from_millis(2);

/// A message for an address.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Receive {
    /// Which message: an entry of the target's `mailbox`.
    what: At<String>,
    /// The address.
    to: Template,
    /// The deadline, inclusive: by then the message is read. Scaled by the target's pace.
    within: Span,
    /// The name of what is taken from the message. It is a secret unless `plain` says otherwise.
    capture: At<String>,
    /// A value that the message must differ from: an older one.
    other_than: Option<Template>,
    /// Whether what is taken is no secret.
    #[serde(default)]
    plain: bool,
}

impl Receive {
    pub(crate) fn label(&self) -> String {
        format!("receive {}", self.what.value)
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, _: Place) {
        look.template(&self.to);
        self.other_than.iter().for_each(|it| look.template(it));
        look.declare(&self.capture);
        look.uses.mailboxes.insert(self.what.value.clone());
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let target = stage.scene.target;
        let name = &self.what.value;
        let mailbox = target.file.mailbox.get(&self.what);
        let mailbox = mailbox.ok_or_else(|| {
            vec![stage.doubt("receive.mailbox", &format!("the target's mailbox has no entry `{name}`"))]
        })?;
        let to = stage.rendered_text(&self.to)?;
        let older = self.other_than.as_ref().map(|it| stage.rendered_text(it)).transpose()?;
        let found = self.await_message(mailbox, &to, older.as_deref(), stage).await?;
        if !self.plain {
            // A suite may send a code in other letters to see that it is refused: those give it away too.
            let forms = [found.clone(), found.to_lowercase(), found.to_uppercase()];
            forms.iter().for_each(|form| stage.scene.mask.learn(form));
        }
        stage.names.insert(self.capture.value.clone(), Value::from(found));
        Ok(())
    }

    async fn await_message(
        &self,
        mailbox: &Mailbox,
        to: &str,
        older: Option<&str>,
        stage: &mut Stage<'_>,
    ) -> Result<String, Vec<Failure>> {
        let mut reader = Reader::new(&self.what, mailbox, to, stage)?;
        let found = self.until_found(&mut reader, to, older, stage).await;
        stage.retried.append(&mut reader.retried());
        found
    }

    async fn until_found(
        &self,
        reader: &mut Reader<'_>,
        to: &str,
        older: Option<&str>,
        stage: &Stage<'_>,
    ) -> Result<String, Vec<Failure>> {
        let (started, within) = (Instant::now(), stage.scene.target.paced(self.within.0));
        let every = stage.scene.target.paced(EVERY).max(SHORTEST_BEAT);
        loop {
            let sight = reader.look().await?;
            let took = started.elapsed();
            if let Some(found) = sight.found.as_ref().filter(|found| Some(found.as_str()) != older) {
                return if took <= within {
                    Ok(found.clone())
                } else {
                    Err(vec![late(to, took, within, stage)])
                };
            }
            if started.elapsed() + every > within {
                let mut failure = match &sight.unread {
                    Some(why) => stage.doubt("mailbox.unreadable", why),
                    None => {
                        stage.fail("receive.nothing", &format!("no message for {to} within {within:.1?}"))
                    }
                };
                failure.evidence = sight.evidence;
                return Err(vec![failure]);
            }
            tokio::time::sleep(every).await;
        }
    }
}

fn late(to: &str, took: Duration, within: Duration, stage: &Stage<'_>) -> Failure {
    let text = format!("a message for {to} was read only after {took:.1?}, and not within {within:.1?}");
    stage.fail("receive.nothing", &text)
}
