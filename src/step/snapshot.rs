//! `snapshot`: a masked, redacted reply compared with its stored `.snap`.

use super::Data;
use super::call::{leaked, shown};
use super::look::Look;
use super::request::with_request;
use super::stage::Stage;
use crate::judge::{Reply, as_written};
use crate::outcome::Failure;
use crate::source::{At, Place};
use std::collections::BTreeMap;

with_request! {
    /// A reply that must stay as it was.
    pub struct Snapshot {
        /// The snapshot's name within its case.
        name: At<String>,
        /// JSON paths to what differs each time, and what stands there instead.
        #[serde(default)]
        redact: BTreeMap<At<String>, Data>,
    }
}

impl Snapshot {
    pub(crate) fn label(&self) -> String {
        format!("snapshot {}", self.name.value)
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        self.request().look(look, at);
        for (path, data) in &self.redact {
            look.json_path(path);
            look.data(data);
        }
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let prepared = self.request().prepared(stage)?;
        let reply = stage.exchange(&prepared).await?;
        if let Some(failure) = leaked(stage, &prepared, &reply, &"", None) {
            return Err(vec![failure]);
        }
        if reply.is_withheld {
            let text = "the answer is no JSON, and may hold a secret: it is not stored, and so not compared";
            return Err(vec![stage.doubt("snapshot.withheld", text)]);
        }
        let text = self.text(&reply, stage)?;
        let name = format!("{}.{}", stage.case, self.name.value);
        let stored = stage.scene.snapshots.stored(&name);
        if stored.as_deref() == Some(text.as_str()) {
            stage.scene.snapshots.agree(&name);
            return Ok(());
        }
        let kept = stage.scene.snapshots.keep(&name, &stage.file, &text);
        let kept = kept.map_err(|why| vec![stage.doubt("snapshot.disk", &why)])?;
        let Some(pending) = kept else { return Ok(()) };
        let broken = match &stored {
            None => format!(
                "there is no stored snapshot; the new one stands in {pending} (accept it with --update-snapshots)"
            ),
            Some(_) => format!("the reply is not what is stored; the new one stands in {pending}"),
        };
        let mut failure = match &stored {
            None => stage.doubt("snapshot.new", &broken),
            Some(_) => stage.fail("snapshot.differs", &broken),
        };
        let difference = similar::TextDiff::from_lines(stored.as_deref().unwrap_or_default(), &text);
        failure.evidence = shown(stage, &prepared.shown(), &reply);
        failure.evidence.push(stage.evidence("difference", &difference.unified_diff().to_string()));
        Err(vec![failure])
    }

    /// Status and body with what differs each time replaced, keys sorted, secrets masked.
    fn text(&self, reply: &Reply, stage: &Stage<'_>) -> Result<String, Vec<Failure>> {
        let Some(mut json) = reply.json() else {
            let text = stage.scene.mask.mask(&format!("status: {}\n{}", reply.status, exact(&reply.body)));
            return Ok(text.as_str().trim_end_matches('\n').to_owned());
        };
        for (path, data) in &self.redact {
            let instead = stage.rendered(data)?;
            let places: Vec<String> = stage
                .json_path(path)?
                .query_located(&json)
                .locations()
                .map(|place| place.to_json_pointer())
                .collect();
            for place in places {
                if let Some(value) = json.pointer_mut(&place) {
                    *value = instead.clone();
                }
            }
        }
        let mut json = as_written(json, &reply.body);
        json.sort_all_objects();
        let body = serde_json::to_string_pretty(&json).unwrap_or_default();
        Ok(stage.scene.mask.mask(&format!("status: {}\n{body}", reply.status)).to_string())
    }
}

/// A body that is no JSON, so that others read otherwise: a stored text ends in no line breaks, and has no bytes but UTF-8.
fn exact(body: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return format!("bytes: {}", body.escape_ascii()) };
    match text.len() - text.trim_end_matches('\n').len() {
        0 => text.to_owned(),
        breaks => format!("{}\n(and {breaks} line breaks)", text.trim_end_matches('\n')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_json_are_compared_to_the_byte() {
        for (body, text) in [
            (&b"ab"[..], "ab"),
            (b"ab\n\n", "ab\n(and 2 line breaks)"),
            (b"", ""),
            (b"\xff\xfeab", r"bytes: \xff\xfeab"),
            (b"\xc0\xc1ab\n", r"bytes: \xc0\xc1ab\n"),
        ] {
            assert_eq!(exact(body), text);
        }
    }
}
