//! Following the pods of a member through a disruption: which stand as they were, and since when enough others do.
//!
//! Lives here: what one sight after the other of a watch amounts to. Does not: the watch itself (`client::kube`), or the
//! other clocks (`watching`).

use crate::client::kube::{PodFact, Seen, Sight, Victim};
use crate::judge::clock::Pods;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A watch that broke and shows a list again within this time has missed nothing that matters for a date.
const REOPENED_WITHIN: Duration = Duration::from_secs(1);

/// What a sight amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Fewer pods than before are Ready, or a victim stands as it was.
    Away,
    /// Nobody sees how they are.
    Blind,
    /// As many as before are Ready. If they were at the last look they are the same, none of them started anew.
    Back(Pods),
    /// As many as before are Ready, and since the last look one was replaced or started anew.
    Anew(Pods),
}

/// Follows what a watch says of pods. A watch that said nothing for too long, or broke and was not opened again at once,
/// shows in the list after it that pods are Ready, but not since when: that is told apart from one that was alive.
pub(super) struct Follower {
    victims: Vec<Victim>,
    before: usize,
    pods: BTreeMap<String, PodFact>,
    /// Whether it was told which pods there are.
    has_begun: bool,
    blind_since: Option<Instant>,
    /// Those that were Ready, if they were enough, and how often each had been started anew.
    back: Option<BTreeMap<String, u32>>,
}

impl Follower {
    pub(super) fn new(victims: &[Victim], before: usize) -> Self {
        Self {
            victims: victims.to_vec(),
            before,
            pods: BTreeMap::new(),
            has_begun: false,
            blind_since: None,
            back: None,
        }
    }

    /// Whether a victim was seen not to stand any more.
    pub(super) fn has_lost_a_victim(&self) -> bool {
        self.has_begun && self.victims.iter().any(|victim| !stands(self.pods.values(), victim))
    }

    /// Takes in one sight.
    pub(super) fn take(&mut self, seen: Seen) -> Shown {
        let mut blind_since = None;
        match seen.sight {
            Sight::Listed(all) => {
                self.pods = all.into_iter().map(|pod| (pod.uid.clone(), pod)).collect();
                self.has_begun = true;
                blind_since = self.blind_since.take();
            }
            Sight::Changed(pod) => drop(self.pods.insert(pod.uid.clone(), pod)),
            Sight::Gone(pod) => drop(self.pods.remove(&pod.uid)),
            Sight::Alive => {}
            Sight::Silent { since } => return self.blinded(since),
            // What it had shown up to here came in order.
            Sight::Broken { .. } => return self.blinded(seen.at),
        }
        self.looked(blind_since.map(|since| seen.at.saturating_duration_since(since)))
    }

    fn blinded(&mut self, since: Instant) -> Shown {
        self.blind_since.get_or_insert(since);
        Shown::Blind
    }

    /// What the pods amount to, after so long a time in which nobody saw them.
    fn looked(&mut self, blind_for: Option<Duration>) -> Shown {
        if !are_back(self.pods.values(), &self.victims, self.before) {
            self.back = None;
            return Shown::Away;
        }
        let present = self.pods.values().filter(|pod| pod.is_present());
        let now: BTreeMap<String, u32> = present.map(|pod| (pod.uid.clone(), pod.restarts)).collect();
        let are_kept = |before: BTreeMap<String, u32>| {
            before.iter().all(|(uid, restarts)| now.get(uid) == Some(restarts))
        };
        let is_anew = !self.back.take().is_none_or(are_kept);
        self.back = Some(now);
        let pods = match blind_for.filter(|time| *time > REOPENED_WITHIN) {
            None => Pods::Back,
            silent_for => Pods::BackUnseen { silent_for },
        };
        if is_anew { Shown::Anew(pods) } else { Shown::Back(pods) }
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
    use crate::client::kube::KubeError;

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
        Victim { namespace: "default".into(), name: "store-old".into(), uid: "old".into(), restarts: Some(0) }
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
    fn a_victim_whose_container_was_started_anew_still_stands_where_only_another_pod_can_take_its_place() {
        let restarted = PodFact { restarts: 1, ..pod("old", true) };
        let deleted = Victim { restarts: None, ..victim() };
        assert!(!are_back([&restarted], std::slice::from_ref(&deleted), 1));
        assert!(stands([&restarted], &deleted) && !stands([&restarted], &victim()));
    }

    /// What the last of these sights amounts to, each so many milliseconds after the start.
    fn told(start: Instant, sights: Vec<(u64, Sight)>) -> Shown {
        let mut follower = Follower::new(&[victim()], 1);
        let take = |(at, sight)| follower.take(Seen { at: start + Duration::from_millis(at), sight });
        sights.into_iter().map(take).last().unwrap()
    }

    fn listed(pods: &[&PodFact]) -> Sight {
        Sight::Listed(pods.iter().map(|pod| (*pod).clone()).collect())
    }

    fn broken() -> Sight {
        let why = KubeError::Unusable { why: "cut".into() };
        Sight::Broken { since: None, why }
    }

    #[test]
    fn what_a_watch_shows_amounts_to() {
        let (old, young, new) = (pod("old", true), pod("new", false), pod("new", true));
        let changed = |pod: &PodFact| Sight::Changed(pod.clone());
        let back = Shown::Back(Pods::Back);
        for (sights, expected) in [
            (vec![listed(&[&old])], Shown::Away),
            (vec![listed(&[&old]), changed(&new)], Shown::Away),
            (vec![listed(&[&old]), changed(&new), Sight::Gone(old.clone())], back.clone()),
            (vec![listed(&[&old]), Sight::Gone(old.clone()), Sight::Alive], Shown::Away),
            (vec![listed(&[&new]), Sight::Alive], back.clone()),
            (vec![listed(&[&new]), changed(&young)], Shown::Away),
            (vec![listed(&[&new]), changed(&young), changed(&new)], back.clone()),
            (
                vec![listed(&[&new]), changed(&PodFact { restarts: 1, ..new.clone() })],
                Shown::Anew(Pods::Back),
            ),
            (vec![listed(&[&new]), listed(&[&pod("newer", true)])], Shown::Anew(Pods::Back)),
            (vec![listed(&[&new]), listed(&[&new, &pod("newer", true)])], back.clone()),
            (vec![listed(&[&new]), broken()], Shown::Blind),
            (vec![listed(&[&new]), Sight::Silent { since: Instant::now() }], Shown::Blind),
        ] {
            let all = format!("{sights:?}");
            let at_once = sights.into_iter().map(|sight| (0, sight)).collect();
            assert_eq!(told(Instant::now(), at_once), expected, "{all}");
        }
    }

    #[test]
    fn a_watch_that_was_blind_for_long_does_not_show_since_when() {
        let start = Instant::now();
        let silent = || Sight::Silent { since: start };
        let (young, new) = (pod("new", false), pod("new", true));
        let unseen = |ms| Shown::Back(Pods::BackUnseen { silent_for: Some(Duration::from_millis(ms)) });
        let again = PodFact { restarts: 3, ..new.clone() };
        for (sights, expected) in [
            (vec![(0, broken()), (900, broken()), (1_000, listed(&[&new]))], Shown::Back(Pods::Back)),
            (vec![(0, broken()), (900, broken()), (1_001, listed(&[&new]))], unseen(1_001)),
            (
                vec![(0, broken()), (2_000, listed(&[&young])), (2_100, Sight::Changed(new.clone()))],
                Shown::Back(Pods::Back),
            ),
            (vec![(0, broken()), (2_000, listed(&[])), (2_100, listed(&[&new]))], Shown::Back(Pods::Back)),
            // One that was silent had seen nothing since its last sign of life.
            (vec![(2_999, silent()), (3_000, listed(&[&new]))], unseen(3_000)),
            (
                vec![(2_999, silent()), (3_000, listed(&[&young])), (3_100, Sight::Changed(new.clone()))],
                Shown::Back(Pods::Back),
            ),
            (
                vec![(2_999, silent()), (3_000, listed(&[])), (3_100, listed(&[&new]))],
                Shown::Back(Pods::Back),
            ),
            (
                vec![(0, listed(&[&new])), (100, broken()), (2_100, listed(&[&again]))],
                Shown::Anew(Pods::BackUnseen { silent_for: Some(Duration::from_secs(2)) }),
            ),
        ] {
            let all = format!("{sights:?}");
            assert_eq!(told(start, sights), expected, "{all}");
        }
    }
}
