//! `objects`: what lies in a bucket, its expectations, what to capture.

use super::Template;
use super::expect::{self, Captures};
use super::look::Look;
use super::stage::Stage;
use crate::client::bucket::Listing;
use crate::judge::RowsExpectation;
use crate::outcome::{Evidence, Failure};
use crate::source::{At, Place, Problem, Span};
use serde::Deserialize;

/// What lies in a bucket, its expectations, what to capture. It only lists.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Objects {
    /// The bucket, as the target file names it.
    #[serde(rename = "in")]
    bucket: At<String>,
    /// How the keys begin; any if absent. They become a list of maps `{ key, size, modified }`, newest first: `size` in
    /// bytes, `modified` an instant (RFC 3339). More than 10,000 are not judged.
    prefix: Option<Template>,
    /// What the list must be.
    expect: ExpectObjects,
    /// What is taken from the list: name to JSON path, such as `$[0].key`.
    #[serde(default)]
    capture: Captures,
}

/// What a list of objects must be.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
struct ExpectObjects {
    /// JSON paths (RFC 9535) to conditions, as in `call`. The newest object is `$[0]`; `$: { length: 3 }` counts them.
    #[serde(default)]
    body: expect::Body,
    /// The longest time from the question to the last page, inclusive. Scaled by the target's pace.
    latency: Option<Span>,
}

impl Objects {
    pub(crate) fn label(&self) -> String {
        format!("objects in {}", self.bucket.value)
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        look.uses.buckets.insert(self.bucket.value.clone());
        if let Some(prefix) = &self.prefix {
            look.template(prefix);
        }
        if self.expect.body.is_empty() && self.expect.latency.is_none() {
            look.problem(
                Problem::new(at, "an expectation that no objects can fail").hint("name what must hold"),
            );
        }
        expect::look_body(&self.expect.body, look);
        expect::look_captures(&self.capture, look);
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let latency = self.expect.latency.map(|most| stage.scene.target.paced(most.0));
        let body = expect::rendered_body(&self.expect.body, stage)?;
        let wanted = RowsExpectation { rows: None, body, latency };
        let listing = self.listed(stage).await?;
        stage.clocks_go_together(wanted.compares_instants())?;
        let broken = wanted.broken_by(&listing.json, listing.took, stage.scene.mask);
        if !broken.is_empty() {
            return Err(stage.failures(broken, vec![shown(stage, &listing)]));
        }
        expect::capture_or_show(&self.capture, Ok(&listing.json), stage, |stage| vec![shown(stage, &listing)])
    }

    /// Asks once. What is captured as a secret is one before anything of the list can be shown.
    async fn listed(&self, stage: &Stage<'_>) -> Result<Listing, Vec<Failure>> {
        let target = stage.scene.target;
        let bucket = target.buckets.get(&self.bucket.value).ok_or_else(|| {
            let text = format!("the target file names no bucket `{}`", self.bucket.value);
            vec![stage.doubt("bucket.unknown", &text)]
        })?;
        let prefix = self.prefix.as_ref().map(|prefix| stage.rendered_text(prefix)).transpose()?;
        let prefix = prefix.unwrap_or_default();
        let asked = bucket.list(&prefix, (stage.scene.now)(), target.answer_within()).await;
        let listing = asked.map_err(|why| vec![stage.doubt(why.kind(), &why.to_string())])?;
        expect::learn_secrets(&self.capture, &listing.json, stage);
        Ok(listing)
    }
}

fn shown(stage: &Stage<'_>, listing: &Listing) -> Evidence {
    let many = listing.json.as_array().map_or(0, Vec::len);
    stage.evidence("objects", &format!("{many} objects after {:.1?}\n{}", listing.took, listing.json))
}
