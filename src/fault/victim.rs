//! Which pods are taken: pure, and drawn from the run's seed.

use super::{Reach, Traits};
use crate::client::kube::{PodFact, Victim};
use rand::SeedableRng;
use rand::prelude::IndexedRandom;
use rand::rngs::ChaCha8Rng;

/// Of the pods that are Ready and stay: all, or one drawn by seed and case (the same ones give the same victim). None
/// if there is none.
pub fn choose(pods: &[PodFact], traits: &Traits, seed: u64, case: &str) -> Vec<Victim> {
    let mut present: Vec<&PodFact> = pods.iter().filter(|pod| pod.is_present()).collect();
    present.sort_by(|a, b| a.name.cmp(&b.name));
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ u64::from(crc32fast::hash(case.as_bytes())));
    let victim = |pod: &PodFact| victim(pod, traits.restarts_in_place);
    match traits.reach {
        Reach::Member => present.into_iter().map(victim).collect(),
        Reach::OnePod => present.choose(&mut random).map(|pod| victim(pod)).into_iter().collect(),
    }
}

fn victim(pod: &PodFact, restarts_in_place: bool) -> Victim {
    Victim {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        restarts: restarts_in_place.then_some(pod.restarts),
    }
}
