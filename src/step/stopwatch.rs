//! The three clocks of a recovery: when each stopped, by what was seen.
//!
//! Lives here: what goes back on, what has not stayed, what nobody saw. Does not: looking (`watching`, `nodes`), or what that
//! means (`judge::clock`).

use super::disrupt::Clock;
use super::following::Shown;
use crate::judge::clock::{Nodes, Pods};
use std::collections::BTreeSet;
use std::time::Duration;

/// When each clock stopped, counted from the injection, and what is known of those that did not.
#[derive(Default)]
pub(super) struct Clocks {
    pub(super) ready: Option<Duration>,
    /// When the watch first showed that a victim does not stand any more.
    pub(super) noticed: Option<Duration>,
    pub(super) served: Option<Duration>,
    pub(super) registry: Option<Duration>,
    /// What is known of the pods, once something is.
    pub(super) pods: Option<Pods>,
    /// Since when they are back without a break.
    pub(super) back_since: Option<Duration>,
    /// What the registry said last, if it was asked.
    pub(super) nodes: Option<Nodes>,
    /// Whether it is known that it did not list the live nodes before [`Clocks::registry`].
    is_registry_dated: bool,
    /// Up to when the probes are judged: when all that is wanted had stayed, or the deadline.
    pub(super) judged_until: Duration,
    /// Whether every victim stood at the deadline as it did before: nothing has come of the fault.
    pub(super) is_unseen: bool,
}

impl Clocks {
    /// Whether the platform is not known to have recovered.
    pub(super) fn is_late(&self, wanted: &BTreeSet<Clock>) -> bool {
        wanted.iter().any(|clock| match clock {
            Clock::Ready => !self.are_pods_back(),
            Clock::Served => self.served.is_none(),
            Clock::Registry => self.registry.is_none(),
        })
    }

    pub(super) fn are_pods_back(&self) -> bool {
        matches!(self.pods, Some(Pods::Back | Pods::BackUnseen { .. }))
    }

    /// Takes in what a sight of the pods amounts to. If they were back and are not any more, they have not stayed, and the
    /// clock goes on; what nobody saw is no staying.
    pub(super) fn take(&mut self, shown: Shown, at: Duration) {
        match shown {
            Shown::Away => (self.pods, self.ready, self.back_since) = (None, None, None),
            Shown::Blind => self.back_since = None,
            Shown::Back(_) if self.pods.is_some() => _ = self.back_since.get_or_insert(at),
            Shown::Back(pods) | Shown::Anew(pods) => {
                self.ready = (pods == Pods::Back).then_some(at);
                (self.pods, self.back_since) = (Some(pods), Some(at));
            }
        }
    }

    /// What is known of pods that a list at the deadline shows to be back.
    pub(super) fn back_at_last(&self, within: Duration, stable_for: Duration) -> Pods {
        let is_unsettled = |since: Duration| unsettled(since, within, stable_for);
        match (self.ready.and_then(is_unsettled), &self.pods) {
            (Some(lasted), _) => Pods::Unsettled { lasted, wanted: stable_for },
            (None, Some(Pods::Back)) if self.back_since.is_none_or(|since| is_unsettled(since).is_some()) => {
                Pods::BackUnseen { silent_for: None }
            }
            (None, Some(back)) => back.clone(),
            (None, None) => Pods::BackUnseen { silent_for: None },
        }
    }

    /// The same of what the registry lists.
    pub(super) fn take_nodes(&mut self, nodes: Nodes, at: Duration) {
        if self.registry.is_none() {
            self.is_registry_dated = match &self.nodes {
                Some(before) => matches!(before, Nodes::Other { .. }),
                // Before the pods were back it cannot have listed those that live.
                None => self.ready.is_some(),
            };
        }
        self.registry = (nodes == Nodes::Live).then(|| self.registry.unwrap_or(at));
        self.nodes = Some(nodes);
    }

    /// Takes back, at the deadline, that the registry lists the live nodes if it has not for as long as they must stay.
    pub(super) fn settle_nodes(&mut self, within: Duration, stable_for: Duration) {
        let Some(lasted) = self.registry.and_then(|since| unsettled(since, within, stable_for)) else {
            return;
        };
        self.registry = None;
        self.nodes = Some(if self.is_registry_dated {
            Nodes::Unsettled { lasted, wanted: stable_for }
        } else {
            Nodes::Unanswered { why: format!("what it listed before the last {lasted:.1?} was not seen") }
        });
    }
}

/// How long before the deadline something came back, if that is less than the stable time.
fn unsettled(since: Duration, within: Duration, stable_for: Duration) -> Option<Duration> {
    let lasted = within.saturating_sub(since);
    (lasted < stable_for).then_some(lasted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pods_have_stayed_only_for_as_long_as_somebody_saw_them() {
        let back = || Shown::Back(Pods::Back);
        let unsettled = |lasted| Pods::Unsettled { lasted: lasted * SECOND, wanted: 2 * SECOND };
        let unseen = Pods::BackUnseen { silent_for: None };
        let silent = Pods::BackUnseen { silent_for: Some(3 * SECOND) };
        for (told, ready, back_since, expected) in [
            (vec![(1, back()), (5, back())], Some(1), Some(1), Pods::Back),
            (vec![(8, back())], Some(8), Some(8), Pods::Back),
            (vec![(9, back())], Some(9), Some(9), unsettled(1)),
            (vec![(1, back()), (5, Shown::Away)], None, None, unseen.clone()),
            (vec![(1, back()), (5, Shown::Away), (6, back())], Some(6), Some(6), Pods::Back),
            (vec![(1, back()), (5, Shown::Anew(Pods::Back))], Some(5), Some(5), Pods::Back),
            (vec![(1, back()), (5, Shown::Blind)], Some(1), None, unseen.clone()),
            (vec![(1, back()), (5, Shown::Blind), (6, back())], Some(1), Some(6), Pods::Back),
            (vec![(1, back()), (5, Shown::Blind), (9, back())], Some(1), Some(9), unseen),
            (vec![(4, Shown::Back(silent.clone())), (5, back())], None, Some(4), silent),
        ] {
            let mut clocks = Clocks::default();
            for (at, shown) in told.clone() {
                clocks.take(shown, at * SECOND);
            }
            let found = (clocks.ready, clocks.back_since, clocks.back_at_last(10 * SECOND, 2 * SECOND));
            let seconds = |at: Option<u32>| at.map(|at| at * SECOND);
            assert_eq!(found, (seconds(ready), seconds(back_since), expected), "{told:?}");
        }
    }

    #[test]
    fn a_registry_breaks_its_promise_only_if_it_was_seen_not_to_list_the_live_nodes() {
        let other = || Nodes::Other { before: 1, now: 0, kept: 0, victims: 1 };
        let silent = || Nodes::Unanswered { why: "refused".into() };
        let late = |lasted| Nodes::Unsettled { lasted: lasted * SECOND, wanted: 2 * SECOND };
        let unseen = |lasted: &str| Nodes::Unanswered {
            why: format!("what it listed before the last {lasted} was not seen"),
        };
        for (ready, told, expected) in [
            (true, vec![(1, Nodes::Live), (10, Nodes::Live)], Nodes::Live),
            (true, vec![(8, Nodes::Live), (10, Nodes::Live)], Nodes::Live),
            (true, vec![(9, Nodes::Live), (10, Nodes::Live)], late(1)),
            (true, vec![(1, other()), (9, Nodes::Live), (10, Nodes::Live)], late(1)),
            (true, vec![(9, other()), (10, Nodes::Live)], late(0)),
            (true, vec![(1, Nodes::Live), (5, other()), (10, Nodes::Live)], late(0)),
            (true, vec![(1, silent()), (9, Nodes::Live), (10, Nodes::Live)], unseen("1.0s")),
            (true, vec![(1, Nodes::Live), (9, silent()), (10, Nodes::Live)], unseen("0.0ns")),
            (false, vec![(10, Nodes::Live)], unseen("0.0ns")),
            (true, vec![(9, Nodes::Live), (10, other())], other()),
        ] {
            let mut clocks = Clocks { ready: ready.then_some(Duration::ZERO), ..Clocks::default() };
            for (at, nodes) in told.clone() {
                clocks.take_nodes(nodes, at * SECOND);
            }
            clocks.settle_nodes(10 * SECOND, 2 * SECOND);
            assert_eq!(clocks.registry.is_some(), expected == Nodes::Live, "{told:?}");
            assert_eq!(clocks.nodes, Some(expected), "{told:?}");
        }
    }
}
