//! Faults: what is broken on purpose, whom it hits, and what must hold before anything is broken.
//!
//! Lives here: the list of faults, one file each; the choice of a victim (`victim`, pure and seeded), the guards
//! (`guard`, pure). Does not: probes and recovery (`step::disrupt`).

mod delete_pod;
mod evict_pod;
pub mod guard;
pub mod rights;
pub mod victim;

use crate::client::kube::{Kube, KubeError, Right, Victim};
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

/// Defines the faults: one line each. The sentence is what `muster explain fault` and the schema say, the key what a
/// suite writes, and the function what is done to the victim.
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
                $($key => $file::RIGHTS,)*
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

            /// Does it to the victim, if that is still the very pod that was chosen. `grace_seconds`: the time that
            /// it is given to end, 0 for none at all, absent for what its manifest says.
            ///
            /// # Errors
            /// As every call to the cluster; after a time-out it may have been done.
            pub async fn inject(
                &self,
                kube: &Kube,
                victim: &Victim,
                grace_seconds: Option<u32>,
            ) -> Result<Injected, KubeError> {
                match self { $(Self::$variant(_) => $file::inject(kube, victim, grace_seconds).await,)* }
            }
        }
    };
}

faults! {
    /// deletes one Ready pod of a member, by name and UID
    "delete_pod" => DeletePod(delete_pod),
    /// evicts one Ready pod of a member, as a drain does, unless a disruption budget forbids it
    "evict_pod" => EvictPod(evict_pod),
}
