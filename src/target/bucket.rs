//! The buckets of a target file.
//!
//! Lives here: what is written under `buckets`, what may be wrong with it, and the way to one. Does not: what is asked of a
//! bucket (`step`).

use super::file::SecretPlace;
use crate::client::Unusable;
use crate::client::bucket::Bucket;
use crate::secret::Secret;
use crate::source::{At, Problem};
use serde::Deserialize;

/// A bucket that speaks the API of S3, and is only ever listed.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct BucketPlace {
    /// The address of whoever serves it, such as `https://s3.eu-west-1.example.test`. The bucket's name goes into the path.
    pub s3: At<String>,
    /// The bucket's name there.
    pub bucket: String,
    /// Its region, which is part of every signature; `us-east-1` if absent.
    #[serde(default = "default_region")]
    pub region: String,
    /// Who asks: the id of a key that may list and no more. Absent with `secret`: nobody, and nothing is signed.
    pub access_key: Option<At<String>>,
    /// Where the key's secret is.
    pub secret: Option<SecretPlace>,
}

fn default_region() -> String {
    "us-east-1".into()
}

impl BucketPlace {
    /// What is wrong with it as it is written.
    pub(super) fn problems(&self, name: &At<String>) -> Vec<Problem> {
        let mut found: Vec<Problem> = self.secret.iter().filter_map(|place| place.problem(name.at)).collect();
        if self.access_key.is_some() != self.secret.is_some() {
            found.push(Problem::new(name.at, "`access_key` and `secret` stand together"));
        }
        if self.bucket.is_empty() || self.bucket.contains('/') {
            let text = format!("wanted the name of a bucket, found `{}`", self.bucket);
            found.push(Problem::new(name.at, text));
        }
        found
    }

    /// The way to it; nothing is sent yet.
    pub(super) fn connect(&self, secret: Option<&Secret>) -> Result<Bucket, Unusable> {
        let key = self.access_key.as_ref().map(|key| key.value.as_str()).zip(secret);
        Bucket::new(&self.s3, &self.bucket, &self.region, key)
    }
}
