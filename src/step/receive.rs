//! `receive`: a message for an address, through the target's mailbox.

use super::call::shown;
use super::expect::json_path;
use super::look::Look;
use super::request::Request;
use super::stage::Stage;
use super::{Data, Names, Template};
use crate::judge::{Reply, select};
use crate::outcome::Failure;
use crate::source::{At, Place, Span};
use crate::target::{Decode, Mailbox};
use base64::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
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
    /// The deadline. Scaled by the target's pace.
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
            stage.scene.mask.learn(&found);
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
        let reader = Reader::of(mailbox).map_err(|why| vec![stage.doubt("receive.mailbox", &why)])?;
        let mut names = Names::new();
        names.insert("to".into(), json!(to));
        let mut aside = stage.aside(names);
        let operator = At { value: "operator".to_owned(), at: Place::default() };
        let request = Request {
            op: Some(&mailbox.op),
            identity: Some(mailbox.identity.as_ref().unwrap_or(&operator)),
            json: reader.json.as_ref(),
            ..Request::nothing()
        };
        let prepared = request.prepared(&aside)?;
        let (started, within) = (Instant::now(), stage.scene.target.paced(self.within.0));
        let every = stage.scene.target.paced(EVERY).max(SHORTEST_BEAT);
        loop {
            let reply = aside.exchange(&prepared).await?;
            if let Some(found) = reader.take(&reply).filter(|found| Some(found.as_str()) != older) {
                return Ok(found);
            }
            if started.elapsed() + every > within {
                let mut failure =
                    stage.fail("receive.nothing", &format!("no message for {to} within {within:.1?}"));
                failure.evidence = shown(stage, &prepared.shown(), &reply);
                return Err(vec![failure]);
            }
            tokio::time::sleep(every).await;
        }
    }
}

/// How a message is taken from a reply.
struct Reader {
    json: Option<Data>,
    path: serde_json_path::JsonPath,
    decode: Decode,
    pattern: regex::Regex,
}

impl Reader {
    fn of(mailbox: &Mailbox) -> Result<Self, String> {
        let json =
            mailbox.json.as_ref().map(|whole| Data::new(&whole.0)).transpose().map_err(|it| it.text)?;
        let pattern = regex::Regex::new(&mailbox.pattern)
            .map_err(|_| format!("`{}` is no regular expression", mailbox.pattern.value))?;
        Ok(Self { json, path: json_path(&mailbox.path)?, decode: mailbox.decode, pattern })
    }

    fn take(&self, reply: &Reply) -> Option<String> {
        let value = select(reply, &self.path)?;
        let text = value.as_str()?;
        let message = match self.decode {
            Decode::None => text.to_owned(),
            Decode::Base64 => String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?,
        };
        Some(self.pattern.captures(&message)?.get(1)?.as_str().to_owned())
    }
}
