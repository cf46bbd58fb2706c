//! Faults: what is broken on purpose, whom it hits, and what must hold before anything is broken.
//!
//! Lives here: the list of faults, one file each; the choice of victims (`victim`, pure and seeded), the guards
//! (`guard`, pure). Does not: probes and recovery (`step::disrupt`).

mod crash_pod;
mod delete_pod;
mod evict_pod;
pub mod guard;
pub mod rights;
mod rollout_restart;
mod set_image;
pub mod victim;

use crate::client::kube::{Kube, KubeError, Meant, Redeployment, Right, Victim};
use serde::Deserialize;
use std::time::Instant;

/// What came of an injection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injected {
    /// It happened, at this instant at the earliest.
    At(Instant),
    /// Nothing was done: the pod was gone, or was another one.
    Missed(String),
}

/// Whom a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One pod of the member: its service is expected to be away for a while.
    OnePod,
    /// All pods of the member, one after the other, as its Deployment sees to: nobody should notice.
    Member,
}

/// What a fault is like, told in its file.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Whom it hits.
    pub reach: Reach,
    /// What it takes besides what every disruption does.
    pub rights: &'static [Right],
    /// Whether a step may say how long the victim is given to end.
    pub takes_grace: bool,
    /// Whether a pod comes back as itself, with its container started anew.
    pub restarts_in_place: bool,
    /// Whether it changes what does not come back by itself: the image.
    pub changes_image: bool,
    /// What it leaves, as declared: where, and why it stays.
    pub leaves: Option<(&'static str, &'static str)>,
}

impl Traits {
    /// Those of a fault that takes one pod away, as a deletion does: shown at once, within a grace.
    const REMOVAL: Self = Self {
        reach: Reach::OnePod,
        rights: &[],
        takes_grace: true,
        restarts_in_place: false,
        changes_image: false,
        leaves: None,
    };

    /// Those of a fault that makes a Deployment replace its pods.
    const ROLLOUT: Self = Self { reach: Reach::Member, takes_grace: false, ..Self::REMOVAL };
}

/// What is struck, and how.
#[derive(Debug, Clone, Copy)]
pub struct Blow<'a> {
    /// The pods, at least one.
    pub victims: &'a [Victim],
    /// The Deployment that keeps them, if one does.
    pub deployment: Option<Meant<'a>>,
    /// The time that a victim is given to end, in seconds; 0 for none at all, absent for what its manifest says.
    pub grace_seconds: Option<u32>,
    /// What is run in the victim to end its first process.
    pub crash_with: &'a [String],
    /// The container that is meant, if one is named.
    pub container: Option<&'a str>,
    /// The image that is rolled out.
    pub image: Option<&'a str>,
    /// The present time, RFC 3339, for marks that people read.
    pub now: &'a str,
}

impl Blow<'_> {
    /// The first victim.
    fn victim(&self) -> Result<&Victim, KubeError> {
        self.victims.first().ok_or_else(|| KubeError::Unusable { why: "no pod was chosen".into() })
    }

    /// The Deployment.
    fn deployment(&self) -> Result<Meant<'_>, String> {
        let victim = self.victims.first().ok_or("no pod was chosen")?;
        self.deployment.ok_or_else(|| format!("pod {} is kept by no Deployment", victim.name))
    }
}

/// What came of a redeployment that was begun at this instant at the earliest.
fn redeployed(done: Redeployment, at: Instant) -> Injected {
    match done {
        Redeployment::Begun => Injected::At(at),
        Redeployment::Conflict(why) => Injected::Missed(why),
    }
}

/// Defines the faults: one line each. The sentence is what `muster explain fault` and the schema say, the key what a
/// suite writes, and the file what is done to whom.
macro_rules! faults {
    ($(#[doc = $about:literal] $key:literal => $variant:ident($file:ident),)*) => {
        /// What is broken: one key, the fault; its value, the member of a pod group that it hits.
        #[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
        #[schemars(rename = "Fault")]
        pub enum Fault<M> {
            $(#[doc = $about] #[serde(rename = $key)] $variant(M),)*
        }

        /// The faults, by key, each with its sentence.
        pub const FAULTS: &[(&str, &str)] = &[$(($key, $about.trim_ascii()),)*];

        /// What a fault takes besides what every disruption does, by its key.
        pub fn rights_of(fault: &str) -> &'static [Right] {
            match fault {
                $($key => $file::TRAITS.rights,)*
                _ => &[],
            }
        }

        impl<M> Fault<M> {
            /// Its key.
            pub fn key(&self) -> &'static str {
                match self { $(Self::$variant(_) => $key,)* }
            }

            /// Whom it hits, as it is written.
            pub fn member(&self) -> &M {
                match self { $(Self::$variant(member) => member,)* }
            }

            /// What it is like.
            pub fn traits(&self) -> Traits {
                match self { $(Self::$variant(_) => $file::TRAITS,)* }
            }

            /// Does it to the victims, if they are still the very pods that were chosen.
            ///
            /// # Errors
            /// As every call to the cluster; after a time-out it may have been done.
            pub async fn inject(&self, kube: &Kube, blow: &Blow<'_>) -> Result<Injected, KubeError> {
                match self { $(Self::$variant(_) => $file::inject(kube, blow).await,)* }
            }
        }
    };
}

faults! {
    /// ends the first process of one Ready pod of a member from inside, as a crash does
    "crash_pod" => CrashPod(crash_pod),
    /// deletes one Ready pod of a member, by name and UID
    "delete_pod" => DeletePod(delete_pod),
    /// evicts one Ready pod of a member, as a drain does, unless a disruption budget forbids it
    "evict_pod" => EvictPod(evict_pod),
    /// replaces all pods of a member one after the other, as a deployment does: no request may be lost
    "rollout_restart" => RolloutRestart(rollout_restart),
    /// rolls another image out to all pods of a member, without losing a request, and puts the old one back
    "set_image" => SetImage(set_image),
}
