//! The Kubernetes client: few calls, each with a time limit and an error that says what kind of failure it was.
//!
//! Lives here: the connection, the errors, and calls on namespaces; pods, watches, leases and single objects have a
//! file each. Does not: what is a victim or when a pod has recovered. The `kube` crate's own retries are off: a
//! refused eviction (429) would be repeated for minutes.
//!
//! Every call may be dropped while it is awaited; a call that changes something may then have been carried out or
//! not, just as after [`KubeError::TimedOut`].

mod credentials;
mod exec;
mod lease;
mod objects;
mod pods;
mod review;
mod rollout;
mod selector;
mod strict;
mod unseen;
mod watch;

pub use credentials::{Credentials, forms};
pub use exec::Execution;
pub use lease::{Claim, Hold};
pub use objects::Told;
pub use pods::{BudgetFact, Deletion, Eviction, Owner, PodFact, Victim};
pub use review::Right;
pub use rollout::{DeploymentFact, Meant, RESTARTED_AT, Redeployment, is_image};
pub use selector::selects;
pub use watch::{PodWatch, Seen, Sight};

use super::http::{BODY_LIMIT_BYTES, SendError};
use crate::secret::Mask;
use ::kube::api::{Api, Patch, PatchParams};
use ::kube::client::{AuthError, ClientBuilder};
use ::kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use ::kube::core::ObjectList;
use ::kube::{Client, Config, Error};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Where a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An API server that asks for no credentials, such as the built-in fake.
    Url(String),
    /// A context of a kubeconfig file; always named, for the current context is whatever was used last.
    File {
        /// The kubeconfig file.
        kubeconfig: PathBuf,
        /// The context in it.
        context: String,
    },
    /// The cluster that this process runs in, by its service account.
    InCluster,
}

/// Why a call brought no answer that can be used. `what` is the call, as a phrase: `list pods in micro`.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The place or its credentials cannot be used; nothing was sent.
    #[error("cannot use the cluster's configuration: {why}")]
    Unusable {
        /// The reason.
        why: String,
    },
    /// No connection, or it broke.
    #[error("{what}: no connection: {why}")]
    Unreachable {
        /// The call.
        what: String,
        /// The reason.
        why: String,
    },
    /// No answer within the limit of a call. A change that was asked for may have been made.
    #[error("{what}: no answer within {} ms", limit.as_millis())]
    TimedOut {
        /// The call.
        what: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The API refused.
    #[error("{what}: refused with {code} {reason}: {message}")]
    Refused {
        /// The call.
        what: String,
        /// The HTTP status.
        code: u16,
        /// Kubernetes' word for it, such as `Forbidden`.
        reason: String,
        /// The server's sentence.
        message: String,
    },
    /// A redirect. It is not followed.
    #[error("{what}: answered with status {status}, which leads elsewhere")]
    Led {
        /// The call.
        what: String,
        /// The HTTP status.
        status: u16,
        /// Where it leads, if it says so.
        location: Option<String>,
    },
    /// An answer of more than 16 MiB, of which no more was read.
    #[error("{what}: the answer is longer than {BODY_LIMIT_BYTES} bytes, and the rest of it was not read")]
    TooLarge {
        /// The call.
        what: String,
    },
    /// An answer that is not what the API promises.
    #[error("{what}: cannot read the answer: {why}")]
    Unreadable {
        /// The call.
        what: String,
        /// The reason.
        why: String,
    },
}

impl KubeError {
    /// The HTTP status, if the API answered with a refusal.
    pub fn code(&self) -> Option<u16> {
        match self {
            KubeError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    fn masked(mut self, mask: &Mask) -> Self {
        let texts = match &mut self {
            KubeError::Unusable { why }
            | KubeError::Unreachable { why, .. }
            | KubeError::Unreadable { why, .. } => {
                vec![why]
            }
            KubeError::Refused { reason, message, .. } => vec![reason, message],
            KubeError::Led { location, .. } => location.iter_mut().collect(),
            KubeError::TimedOut { .. } | KubeError::TooLarge { .. } => vec![],
        };
        texts.into_iter().for_each(|text| *text = mask.mask(text).as_str().to_owned());
        self
    }

    fn of(what: &str, error: Error) -> KubeError {
        let what = what.to_owned();
        match error {
            Error::Api(status) => {
                KubeError::Refused { what, code: status.code, reason: status.reason, message: status.message }
            }
            Error::Service(error) => KubeError::of_service(what, error.as_ref()),
            Error::HyperError(error) => KubeError::Unreachable { what, why: chain(&error) },
            Error::ReadEvents(error) => KubeError::Unreachable { what, why: chain(&error) },
            Error::Auth(error) => KubeError::Unusable { why: uncredited(&error) },
            other => KubeError::Unreadable { what, why: chain(&other) },
        }
    }

    /// What went wrong below the API: with the connection, or with an answer that was not let through.
    fn of_service(what: String, error: &(dyn std::error::Error + 'static)) -> KubeError {
        if let Some(strict::Led { status, location }) = error.downcast_ref() {
            return KubeError::Led { what, status: *status, location: location.clone() };
        }
        match error.downcast_ref::<SendError>() {
            Some(SendError::Malformed(why)) => KubeError::Unreadable { what, why: why.clone() },
            Some(other) => KubeError::Unreadable { what, why: other.to_string() },
            None if error.is::<http_body_util::LengthLimitError>() => KubeError::TooLarge { what },
            None => KubeError::Unreachable { what, why: chain(error) },
        }
    }
}

/// Why a cluster gave no answer, in the words of every transport.
impl From<KubeError> for SendError {
    fn from(error: KubeError) -> Self {
        match error {
            KubeError::TooLarge { .. } => SendError::TooLarge,
            KubeError::TimedOut { limit, .. } => SendError::TimedOut(limit),
            KubeError::Unreadable { why, .. } => SendError::Malformed(why),
            other => SendError::Broken(other.to_string()),
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// What muster knows of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFact {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whether it is being deleted, and all that is in it.
    pub is_leaving: bool,
}

/// A connection to one cluster. Clones share it.
#[derive(Clone)]
pub struct Kube {
    client: Client,
    call_within: Duration,
    credentials: Arc<Credentials>,
}

impl Kube {
    /// Prepares a connection; each call through it must be answered within `call_within`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`KubeError::Unusable`]: no such file or context, an address that is none, no service account.
    pub async fn connect(place: &Place, call_within: Duration) -> Result<Kube, KubeError> {
        let mut config = config(place).await?;
        config.default_retry = false;
        config.connect_timeout = Some(call_within);
        let credentials =
            Credentials::of(&config).map_err(|error| KubeError::Unusable { why: chain(&error) })?;
        let builder = ClientBuilder::try_from(config).map_err(|error| match error {
            Error::Auth(error) => KubeError::Unusable { why: uncredited(&error) },
            other => KubeError::Unusable { why: chain(&other) },
        })?;
        let client = builder.with_layer(&tower::util::AndThenLayer::new(strict::strictly)).build();
        Ok(Kube { client, call_within, credentials: Arc::new(credentials) })
    }

    /// What it shows to the cluster.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The UID of the namespace `kube-system`, by which a cluster is known.
    ///
    /// # Errors
    /// As every call: see [`KubeError`].
    pub async fn cluster_uid(&self) -> Result<String, KubeError> {
        let uid = self.read_namespace("kube-system").await?.uid.unwrap_or_default();
        if !uid.is_empty() && uid.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '-') {
            return Ok(uid);
        }
        let why = "the UID of `kube-system` is none: it is empty, or has signs that no UID has".into();
        Err(KubeError::Unreadable { what: "read namespace kube-system".into(), why })
    }

    /// What is known of a namespace.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; a namespace that is not there is refused with 404.
    pub async fn namespace(&self, name: &str) -> Result<NamespaceFact, KubeError> {
        let metadata = self.read_namespace(name).await?;
        Ok(NamespaceFact {
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            is_leaving: metadata.deletion_timestamp.is_some(),
        })
    }

    /// Sets an annotation of a namespace, or removes it.
    ///
    /// # Errors
    /// As every call: see [`KubeError`].
    pub async fn annotate(&self, namespace: &str, key: &str, value: Option<&str>) -> Result<(), KubeError> {
        let what = format!("annotate namespace {namespace} with {key}");
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { key: value } } }));
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        self.call(&what, namespaces.patch(namespace, &PatchParams::default(), &patch)).await.map(drop)
    }

    async fn read_namespace(&self, name: &str) -> Result<ObjectMeta, KubeError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let what = format!("read namespace {name}");
        let found = self.call(&what, namespaces.get(name)).await?.metadata;
        is_asked_for(&what, &found, None, name).map(|()| found)
    }

    /// What went wrong in a call, without what was shown to the cluster: a server may say it back.
    fn told(&self, what: &str, error: Error) -> KubeError {
        KubeError::of(what, error).masked(&self.mask())
    }

    /// What was shown to the cluster.
    fn mask(&self) -> Mask {
        let mask = Mask::new();
        self.credentials.secrets.iter().for_each(|secret| mask.learn(secret.reveal()));
        mask
    }

    /// Awaits a list, which was asked for as a whole.
    async fn listed<K: Clone>(
        &self,
        what: &str,
        call: impl Future<Output = ::kube::Result<ObjectList<K>>>,
    ) -> Result<ObjectList<K>, KubeError> {
        let list = self.call(what, call).await?;
        if is_whole(&list.metadata) {
            return Ok(list);
        }
        let why = "it is a part of a list of which the whole was asked for".into();
        Err(KubeError::Unreadable { what: what.to_owned(), why })
    }

    /// Awaits a call, no longer than the limit.
    async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = ::kube::Result<T>>,
    ) -> Result<T, KubeError> {
        match timeout(self.call_within, call).await {
            Ok(answer) => answer.map_err(|error| self.told(what, error)),
            Err(_) => Err(KubeError::TimedOut { what: what.to_owned(), limit: self.call_within }),
        }
    }
}

/// That an object is the one that was asked for.
///
/// # Errors
/// [`KubeError::Unreadable`]: it has another name, or is in another namespace.
fn is_asked_for(
    what: &str,
    found: &ObjectMeta,
    namespace: Option<&str>,
    name: &str,
) -> Result<(), KubeError> {
    if found.name.as_deref() == Some(name) && found.namespace.as_deref() == namespace {
        return Ok(());
    }
    let told = |text: &Option<String>| text.clone().unwrap_or_default();
    let why = format!("it is of `{}` in `{}`, which is another", told(&found.name), told(&found.namespace));
    Err(KubeError::Unreadable { what: what.to_owned(), why })
}

/// Whether a list is not said to go on, nor that something of it remains.
fn is_whole(list: &ListMeta) -> bool {
    list.continue_.as_ref().is_none_or(String::is_empty)
        && list.remaining_item_count.is_none_or(|count| count == 0)
}

/// Why a kubeconfig cannot be read. What says where it is malformed shows the lines around, and a token may stand there.
fn unread(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "the kubeconfig is malformed; `kubectl config view` says where".into(),
        _ => chain(error),
    }
}

/// Why credentials cannot be had. What a plugin has written may be one, and what it was started with.
fn uncredited(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            format!("the plugin that gives credentials ended with {}", out.status)
        }
        AuthError::AuthExecParse(_) => "a plugin gave no credential that could be read".into(),
        other => chain(other),
    }
}

/// A configuration that goes through this proxy or none: one of the environment leads to an address that nobody has named.
fn through(mut config: Config, proxy: Option<http::Uri>) -> Config {
    config.proxy_url = proxy;
    config
}

/// The proxy that a kubeconfig names for the cluster of a context.
fn named_proxy(file: &Kubeconfig, context: &str) -> Option<http::Uri> {
    let named = file.contexts.iter().find(|one| one.name == context)?.context.as_ref()?;
    let cluster = file.clusters.iter().find(|one| one.name == named.cluster)?.cluster.as_ref()?;
    cluster.proxy_url.as_ref()?.parse().ok()
}

async fn config(place: &Place) -> Result<Config, KubeError> {
    let unusable = |why: String| KubeError::Unusable { why };
    match place {
        Place::Url(url) => {
            url.parse().map(Config::new).map_err(|error| unusable(format!("{url} is no address: {error}")))
        }
        Place::InCluster => {
            let config = Config::incluster().map_err(|error| unusable(chain(&error)))?;
            Ok(through(config, None))
        }
        Place::File { kubeconfig, context } => {
            let file = Kubeconfig::read_from(kubeconfig).map_err(|error| unusable(unread(&error)))?;
            let options =
                KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
            let proxy = named_proxy(&file, context);
            let config = Config::from_custom_kubeconfig(file, &options).await;
            config.map(|config| through(config, proxy)).map_err(|error| unusable(chain(&error)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_list_is_not_taken_for_the_whole() {
        let list =
            |goes_on: Option<&str>| ListMeta { continue_: goes_on.map(str::to_owned), ..ListMeta::default() };
        assert!(is_whole(&list(None)) && is_whole(&list(Some(""))));
        assert!(!is_whole(&list(Some("next"))));
        let remains = |count| ListMeta { remaining_item_count: Some(count), ..ListMeta::default() };
        assert!(is_whole(&remains(0)) && !is_whole(&remains(1)));
    }
}
