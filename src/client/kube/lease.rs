//! Leases: how two harnesses keep out of each other's way.
//!
//! Lives here: taking, keeping and giving back one `Lease` by compare-and-set on its version. Does not: when one is
//! needed. Whether another's lease has run out is judged by our own monotonic clock, as Kubernetes' own leader election
//! does: it must not have changed for its whole duration while we looked. Only one whose last renewal lies further back
//! than clocks can differ is known at once to be a dead holder's.

use super::{Kube, KubeError};
use ::kube::api::{Api, DeleteParams, PostParams, Preconditions};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use std::time::{Duration, Instant};

/// By how much the clocks of two machines may differ before their owners should worry about other things.
const CLOCKS_DIFFER_AT_MOST: Duration = Duration::from_secs(600);

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// This claim does.
    Mine,
    /// Another does, or did and has not been seen to let it run out.
    Other {
        /// Its name, as it wrote it.
        holder: String,
        /// When it took the lease, by its own clock: to be shown.
        since: Option<Timestamp>,
    },
}

/// One harness's wish for a lease. Nothing is given back on drop: see [`Claim::release`].
pub struct Claim {
    kube: Kube,
    namespace: String,
    name: String,
    holder: String,
    lasts: Duration,
    /// The version of another's lease, and since when we have seen it unchanged.
    observed: Option<(String, Instant)>,
}

impl Kube {
    /// Prepares to hold a lease as `holder`; unless renewed it runs out after `lasts` (whole seconds, at least one).
    /// Nothing is sent yet.
    pub fn claim(&self, namespace: &str, name: &str, holder: &str, lasts: Duration) -> Claim {
        Claim {
            kube: self.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            holder: holder.to_owned(),
            lasts: Duration::from_secs(lasts.as_secs().max(1)),
            observed: None,
        }
    }
}

impl Claim {
    /// Takes the lease if it is free, ours already, or has run out under our eyes; asked again and again, it takes
    /// over a dead holder's lease after that lease's duration. One that has run out more than ten minutes ago by `now`, the
    /// wall clock, is taken over at once.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]. After one, the lease may have been taken: ask again.
    pub async fn acquire(&mut self, now: Timestamp) -> Result<Hold, KubeError> {
        let Some(found) = self.read().await? else { return self.create(now).await };
        if self.is_mine(&found) || self.has_run_out(&found) || self.is_ancient(&found, now) {
            return self.overwrite(found, now).await;
        }
        Ok(other(&found))
    }

    /// Takes the lease if nobody holds it. One that another holds is never taken over, however old it is.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]. After one, the lease may have been taken: ask again.
    pub async fn acquire_if_free(&mut self, now: Timestamp) -> Result<Hold, KubeError> {
        match self.read().await? {
            None => self.create(now).await,
            Some(found) if self.is_mine(&found) || holder(&found).is_empty() => {
                self.overwrite(found, now).await
            }
            Some(found) => Ok(other(&found)),
        }
    }

    /// Prolongs the lease if it is still ours; one that was lost is not taken back. `now` is only shown.
    ///
    /// # Errors
    /// As every call: see [`KubeError`].
    pub async fn renew(&mut self, now: Timestamp) -> Result<Hold, KubeError> {
        match self.read().await? {
            Some(found) if self.is_mine(&found) => self.overwrite(found, now).await,
            Some(found) => Ok(other(&found)),
            None => Ok(nobody()),
        }
    }

    /// Gives the lease back by deleting it, if it is ours; one that is not is left alone.
    ///
    /// # Errors
    /// As every call: see [`KubeError`].
    pub async fn release(&mut self) -> Result<(), KubeError> {
        let Some(found) = self.read().await?.filter(|found| self.is_mine(found)) else { return Ok(()) };
        let unchanged =
            Preconditions { uid: found.metadata.uid, resource_version: found.metadata.resource_version };
        let parameters = DeleteParams { preconditions: Some(unchanged), ..DeleteParams::default() };
        let leases = self.leases();
        match self.kube.call(&self.what("release"), leases.delete(&self.name, &parameters)).await {
            Ok(_) | Err(KubeError::Refused { code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read(&self) -> Result<Option<Lease>, KubeError> {
        let leases = self.leases();
        self.kube.call(&self.what("read"), leases.get_opt(&self.name)).await
    }

    async fn create(&mut self, now: Timestamp) -> Result<Hold, KubeError> {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let lease = Lease { metadata, spec: Some(self.spec(None, now)) };
        let leases = self.leases();
        let made = self.kube.call(&self.what("create"), leases.create(&PostParams::default(), &lease)).await;
        self.settle(made).await
    }

    async fn overwrite(&mut self, mut found: Lease, now: Timestamp) -> Result<Hold, KubeError> {
        found.spec = Some(self.spec(found.spec.take(), now));
        let leases = self.leases();
        let parameters = PostParams::default();
        let kept = self.kube.call(&self.what("take"), leases.replace(&self.name, &parameters, &found)).await;
        self.settle(kept).await
    }

    /// A write that came second says who was first.
    async fn settle(&mut self, written: Result<Lease, KubeError>) -> Result<Hold, KubeError> {
        match written {
            Ok(_) => {
                self.observed = None;
                Ok(Hold::Mine)
            }
            Err(KubeError::Refused { code: 409, .. }) => {
                let first = self.read().await?;
                Ok(first.as_ref().map_or_else(nobody, other))
            }
            Err(error) => Err(error),
        }
    }

    fn spec(&self, old: Option<LeaseSpec>, now: Timestamp) -> LeaseSpec {
        let mut spec = old.unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(&self.holder) {
            spec.acquire_time = Some(MicroTime(now));
            spec.lease_transitions = spec.lease_transitions.map(|count| count.saturating_add(1)).or(Some(0));
        }
        spec.holder_identity = Some(self.holder.clone());
        spec.lease_duration_seconds = Some(i32::try_from(self.lasts.as_secs()).unwrap_or(i32::MAX));
        spec.renew_time = Some(MicroTime(now));
        spec
    }

    fn is_mine(&self, lease: &Lease) -> bool {
        holder(lease) == self.holder
    }

    /// Whether nobody holds it, or it stayed the same for its whole duration while we looked.
    fn has_run_out(&mut self, lease: &Lease) -> bool {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let (seen, since) = self.observed.take().unwrap_or_else(|| (version.clone(), Instant::now()));
        let since = if seen == version { since } else { Instant::now() };
        self.observed = Some((version, since));
        holder(lease).is_empty() || since.elapsed() >= self.duration_of(lease)
    }

    /// Whether its last renewal lies so far back that no difference of clocks can account for it.
    fn is_ancient(&self, lease: &Lease, now: Timestamp) -> bool {
        let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
        renewed.is_some_and(|renewed| {
            let age = Duration::try_from(now.duration_since(renewed.0)).unwrap_or_default();
            age > self.duration_of(lease) + CLOCKS_DIFFER_AT_MOST
        })
    }

    fn duration_of(&self, lease: &Lease) -> Duration {
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(self.lasts, Duration::from_secs)
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.kube.client.clone(), &self.namespace)
    }

    fn what(&self, verb: &str) -> String {
        format!("{verb} lease {}/{}", self.namespace, self.name)
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}

fn other(lease: &Lease) -> Hold {
    let since = lease.spec.as_ref().and_then(|spec| spec.acquire_time.as_ref()).map(|time| time.0);
    Hold::Other { holder: holder(lease).to_owned(), since }
}

fn nobody() -> Hold {
    Hold::Other { holder: String::new(), since: None }
}
