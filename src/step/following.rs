//! Following the pods of a member through a disruption: which stand as they were, and since when enough others do.
//!
//! Lives here: what one sight after the other of a watch amounts to. Does not: the watch itself (`client::kube`), or the
//! other clocks (`watching`).

use crate::client::kube::{PodFact, Seen, Sight, Victim};
use crate::judge::clock::Pods;
use std::collections::BTreeMap;
use std::time::Instant;

/// Follows what a watch says of pods. A watch that said nothing for too long shows in the list after it that pods are
/// Ready, but not since when: that is told apart from a watch that was alive all the time.
pub(super) struct Follower {
    victims: Vec<Victim>,
    before: usize,
    pods: BTreeMap<String, PodFact>,
    /// Whether it was told which pods there are.
    has_begun: bool,
    silent_since: Option<Instant>,
}

impl Follower {
    pub(super) fn new(victims: &[Victim], before: usize) -> Self {
        Self {
            victims: victims.to_vec(),
            before,
            pods: BTreeMap::new(),
            has_begun: false,
            silent_since: None,
        }
    }

    /// Whether a victim was seen not to stand any more.
    pub(super) fn has_lost_a_victim(&self) -> bool {
        self.has_begun && self.victims.iter().any(|victim| !stands(self.pods.values(), victim))
    }

    /// Takes in one sight, and says whether as many pods as before are Ready with it.
    pub(super) fn take(&mut self, seen: Seen) -> Option<Pods> {
        let mut silent_since = None;
        match seen.sight {
            Sight::Listed(all) => {
                self.pods = all.into_iter().map(|pod| (pod.uid.clone(), pod)).collect();
                self.has_begun = true;
                silent_since = self.silent_since.take();
            }
            Sight::Changed(pod) => drop(self.pods.insert(pod.uid.clone(), pod)),
            Sight::Gone(pod) => drop(self.pods.remove(&pod.uid)),
            Sight::Silent { since } => self.silent_since = Some(since),
            // A watch that broke is opened again at once: the list that follows dates what it shows well enough.
            Sight::Alive | Sight::Broken { .. } => {}
        }
        let is_back = are_back(self.pods.values(), &self.victims, self.before);
        is_back.then(|| match silent_since {
            None => Pods::Back,
            Some(since) => Pods::BackUnseen { silent_for: Some(seen.at.saturating_duration_since(since)) },
        })
    }
}

/// How many pods are Ready and stay, but for the victims as they were.
pub(super) fn renewed<'p>(pods: impl IntoIterator<Item = &'p PodFact>, victims: &[Victim]) -> usize {
    let is_victim = |pod: &PodFact| victims.iter().any(|victim| victim.is(pod));
    pods.into_iter().filter(|pod| pod.is_present() && !is_victim(pod)).count()
}

/// Whether as many pods as before are Ready, and no victim stands as it was.
pub(super) fn are_back<'p>(
    pods: impl IntoIterator<Item = &'p PodFact> + Clone,
    victims: &[Victim],
    before: usize,
) -> bool {
    let is_one_left = victims.iter().any(|victim| stands(pods.clone(), victim));
    !is_one_left && renewed(pods, victims) >= before
}

/// Whether a victim is Ready and stays, as it was.
pub(super) fn stands<'p>(pods: impl IntoIterator<Item = &'p PodFact>, victim: &Victim) -> bool {
    pods.into_iter().any(|pod| pod.is_present() && victim.is(pod))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pod(uid: &str, is_ready: bool) -> PodFact {
        PodFact {
            name: format!("store-{uid}"),
            uid: uid.into(),
            namespace: "default".into(),
            labels: BTreeMap::new(),
            is_ready,
            phase: "Running".into(),
            deletion_requested: false,
            created_at: String::new(),
            node: None,
            owner: None,
            image: None,
            restarts: 0,
        }
    }

    fn victim() -> Victim {
        Victim { namespace: "default".into(), name: "store-old".into(), uid: "old".into(), restarts: 0 }
    }

    #[test]
    fn pods_are_back_when_no_victim_stands_as_it_was() {
        let (old, new) = (pod("old", true), pod("new", true));
        let restarted = PodFact { restarts: 1, ..old.clone() };
        let leaving = PodFact { deletion_requested: true, ..old.clone() };
        for (pods, expected) in [
            (vec![&old], false),
            (vec![&old, &new], false),
            (vec![&leaving, &new], true),
            (vec![&new], true),
            (vec![&restarted], true),
            (vec![&leaving], false),
        ] {
            assert_eq!(are_back(pods.clone(), &[victim()], 1), expected, "{pods:?}");
        }
    }

    #[test]
    fn a_silent_watch_is_told_apart_from_one_that_saw_it() {
        let start = Instant::now();
        let listed = |pods: &[&PodFact]| Sight::Listed(pods.iter().map(|pod| (*pod).clone()).collect());
        let silent = || Sight::Silent { since: start };
        let unseen = Some(Pods::BackUnseen { silent_for: Some(Duration::from_secs(3)) });
        let (old, young, new) = (pod("old", true), pod("new", false), pod("new", true));
        for (sights, expected) in [
            (vec![listed(&[&old])], None),
            (vec![listed(&[&old]), Sight::Changed(new.clone())], None),
            (vec![listed(&[&old]), Sight::Changed(new.clone()), Sight::Gone(old.clone())], Some(Pods::Back)),
            (vec![listed(&[&old]), Sight::Gone(old.clone()), Sight::Alive], None),
            (vec![listed(&[&old]), silent()], None),
            (vec![silent(), listed(&[&new])], unseen),
            (vec![silent(), listed(&[&young]), Sight::Changed(new.clone())], Some(Pods::Back)),
            (vec![silent(), listed(&[]), listed(&[&new])], Some(Pods::Back)),
        ] {
            let mut follower = Follower::new(&[victim()], 1);
            let at = start + Duration::from_secs(3);
            let told = sights.into_iter().map(|sight| follower.take(Seen { at, sight })).last().flatten();
            assert_eq!(told, expected);
        }
    }
}
