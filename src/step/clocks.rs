//! The platform's clock, as its answers tell it, and whether instants may be compared with ours.
//!
//! Lives here: noting it, and asking before a comparison. Does not: how far apart is too far (`judge::skew`).

use super::stage::Stage;
use crate::judge::{Reply, skew};
use crate::outcome::Failure;

impl Stage<'_> {
    /// What time it is there, as the answer says.
    pub(super) fn note_clock(&self, reply: &Reply) {
        let date = reply.headers.iter().find(|(name, _)| name == "date");
        let ahead = date.and_then(|(_, date)| skew::ahead(date, (self.scene.now)()));
        ahead.into_iter().for_each(|ahead| self.scene.target.was_heard(ahead));
    }

    /// Instants are compared only while the platform's clock goes with ours.
    pub(crate) fn clocks_go_together(&self, compares_instants: bool) -> Result<(), Vec<Failure>> {
        // A clock that suites move goes its own way.
        let is_ours = self.scene.target.admin.is_none() && compares_instants;
        let ahead = self.scene.target.ahead().filter(|_| is_ours);
        let apart = ahead.and_then(skew::apart);
        apart.map_or(Ok(()), |why| Err(vec![self.doubt("clock.skew", &why)]))
    }
}
