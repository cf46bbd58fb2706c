//! Which pod is taken: pure, and drawn from the run's seed.

use crate::client::kube::{PodFact, Victim};
use rand::SeedableRng;
use rand::prelude::IndexedRandom;
use rand::rngs::ChaCha8Rng;

/// One of the pods that are Ready and stay, drawn by seed and case: the same ones give the same victim.
pub fn choose(pods: &[PodFact], seed: u64, case: &str) -> Option<Victim> {
    let mut present: Vec<&PodFact> = pods.iter().filter(|pod| pod.is_present()).collect();
    present.sort_by(|a, b| a.name.cmp(&b.name));
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ u64::from(crc32fast::hash(case.as_bytes())));
    present.choose(&mut random).map(|pod| Victim {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    })
}
