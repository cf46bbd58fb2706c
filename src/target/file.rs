//! The target file.

use super::addresses;
use super::bucket::BucketPlace;
use super::connect::as_url;
use super::database::Database;
use super::mailbox::{self, Mailbox};
use crate::client::{self, Network, Networks, Unusable};
use crate::source::{At, Invalid, Place, Problem, Problems, Source, Span, Whole, did_you_mean, read, tree};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A target file: where a platform is, which identities exist there, and what may be done to it.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct TargetFile {
    /// The target's name: it names its state folder and stands in every report.
    pub name: At<String>,
    /// The HTTP API, such as `https://api.example.test`.
    pub api: At<String>,
    /// The gRPC proxy, as a URL or `host:port` (then with TLS).
    pub proxy: Option<At<String>>,
    /// Which way operations are called unless a step says otherwise.
    #[serde(default)]
    pub via: Via,
    /// The header that says in which namespace a request is routed.
    #[serde(default = "default_namespace_header")]
    pub namespace_header: String,
    /// The Kubernetes cluster behind it.
    pub kubernetes: Option<KubernetesPlace>,
    /// The admin address of a fake: moves its clock.
    pub admin: Option<At<String>>,
    /// Where live nodes are listed: the third recovery clock.
    pub registry: Option<Registry>,
    /// The networks, such as `10.20.0.0/16`, in which the names of `api`, `proxy` and `admin` must lie: an answer of DNS that
    /// leads elsewhere is refused. Any if absent.
    #[serde(default)]
    pub resolves_to: Vec<At<String>>,
    /// Needs that this target meets.
    #[serde(default)]
    pub provides: Vec<At<String>>,
    /// Needs that this target does not meet; cases with one of them are skipped.
    #[serde(default)]
    pub lacks: Vec<At<String>>,
    /// What may be done to it.
    #[serde(default)]
    pub permits: Permits,
    /// Who can call.
    #[serde(default)]
    pub identities: BTreeMap<At<String>, IdentityKind>,
    /// Messages that can be received, by name.
    #[serde(default)]
    pub mailbox: BTreeMap<At<String>, Mailbox>,
    /// Databases that are asked directly, by name.
    #[serde(default)]
    pub databases: BTreeMap<At<String>, Database>,
    /// Buckets that are listed, by name.
    #[serde(default)]
    pub buckets: BTreeMap<At<String>, BucketPlace>,
    /// Groups of pods, by name.
    #[serde(default)]
    pub groups: BTreeMap<At<String>, Group>,
    /// Multiplies every deadline and beat of the suites; more than 0.
    #[serde(default = "one")]
    pub pace: At<f64>,
    /// The beat of probes.
    pub beat: Option<Span>,
    /// The longest wait for one answer; 30 s if absent. Not scaled by `pace`.
    pub answer_within: Option<Span>,
    /// The domain of the mail addresses that muster makes up.
    #[serde(default = "default_mail_domain")]
    pub mail_domain: String,
}

fn default_namespace_header() -> String {
    "Micro-Namespace".into()
}

fn default_mail_domain() -> String {
    "muster.example.test".into()
}

fn one() -> At<f64> {
    At { value: 1.0, at: Default::default() }
}

/// Which way an operation is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By the HTTP API.
    #[default]
    Http,
    /// By the gRPC proxy.
    Rpc,
}

/// Where the Kubernetes cluster is: a context of a kubeconfig, the pod muster runs in, or the address of a fake.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct KubernetesPlace {
    /// A context of the kubeconfig; the current one if neither this nor `server` is given.
    pub context: Option<String>,
    /// The kubeconfig file; the usual places if absent.
    pub config: Option<String>,
    /// The address of an API without sign-in, for fakes.
    pub server: Option<At<String>>,
    /// The UID of the namespace `kube-system`: pins the cluster, so that a context that points elsewhere is noticed.
    pub cluster_uid: Option<At<String>>,
    /// A file whose presence freezes all disruption, as the annotation `muster/freeze` of a namespace does there; its path from
    /// `/` on.
    pub freeze_file: Option<At<String>>,
    /// The label of the namespaces in which something may be broken, as `key=value`.
    #[serde(default = "default_owner")]
    pub owner: At<String>,
}

fn default_owner() -> At<String> {
    At { value: "owner=micro".into(), at: Place::default() }
}

impl KubernetesPlace {
    /// The key and the value of the label of namespaces in which something may be broken.
    pub fn owner(&self) -> (&str, &str) {
        self.owner.value.split_once('=').unwrap_or_default()
    }

    /// The UID of the cluster that is meant.
    pub fn pinned(&self) -> Option<&str> {
        self.cluster_uid.as_ref().map(|uid| uid.value.as_str())
    }

    fn problems(&self) -> Vec<Problem> {
        let is_label = |(key, value): (&str, &str)| !key.is_empty() && !value.is_empty();
        let text = || format!("wanted a label such as `owner=micro`, found `{}`", self.owner.value);
        let mut found = vec![];
        if !is_label(self.owner()) {
            found.push(Problem::new(self.owner.at, text()));
        }
        if let Some(uid) = self.cluster_uid.as_ref().filter(|uid| uid.value.is_empty()) {
            found.push(Problem::new(
                uid.at,
                "wanted the UID of a cluster, found an empty text, which pins none",
            ));
        }
        let is_elsewhere = |file: &&At<String>| !Path::new(&file.value).is_absolute();
        if let Some(file) = self.freeze_file.as_ref().filter(is_elsewhere) {
            let text = format!("wanted a path from `/` on, found `{}`", file.value);
            let hint = "it freezes every run, wherever that was started, and no shell reads it";
            found.push(Problem::new(file.at, text).hint(hint));
        }
        found
    }
}

/// The operation that lists registered nodes.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Registry {
    /// The operation.
    pub op: At<String>,
    /// Its body; `$(service)` is the victim's service.
    pub json: Option<Whole>,
    /// Who asks; `operator` if absent.
    #[serde(rename = "as")]
    pub identity: Option<At<String>>,
    /// JSON path to the ids or addresses of the nodes.
    pub nodes: At<String>,
}

/// What may be done to a target. Nothing named is permitted.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
pub struct Permits {
    /// What may be written.
    #[serde(default)]
    pub write: WritePermit,
    /// Groups whose pods may be broken.
    #[serde(default)]
    pub disrupt: Vec<At<String>>,
}

/// What may be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WritePermit {
    /// Nothing.
    #[default]
    None,
    /// Things of this run's own making.
    Own,
    /// Shared things too, put back afterwards.
    Shared,
}

/// A kind of identity.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
pub struct IdentityKind {
    /// The id of an account that exists.
    pub id: Option<String>,
    /// The namespace of that account; the platform's own if absent.
    pub namespace: Option<String>,
    /// Where its secret is.
    pub secret: Option<SecretPlace>,
    /// The flow that signs it in, and signs it in anew when its token is near its end: inputs `id`, `email`, `secret`,
    /// `namespace`; outputs `token`, and `lives`, the life of the token.
    pub signed_in_by: Option<At<String>>,
    /// The flow that makes it.
    pub minted_by: Option<At<String>>,
    /// Further inputs of that flow; `$(of.…)` is the identity in the parentheses of a suite's `kind-of(name)`.
    pub with: Option<Whole>,
    /// How long it lives.
    #[serde(default)]
    pub life: Life,
}

/// How long a minted identity lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// For one case.
    #[default]
    Case,
    /// For the run: shared among its cases, which must only read.
    Run,
}

/// Where a secret is: never in the target file itself.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct SecretPlace {
    /// The name of an environment variable.
    pub env: Option<At<String>>,
    /// A file; with `key`, the rest of its line `key=…`, else all of it but the last line break.
    pub file: Option<At<String>>,
    /// Which line of the file.
    pub key: Option<String>,
}

impl SecretPlace {
    /// What is wrong with it, told at the place of whoever has it.
    pub(super) fn problem(&self, at: Place) -> Option<Problem> {
        let is_one = self.env.is_some() != self.file.is_some();
        (!is_one).then(|| Problem::new(at, "wanted either `env` or `file` for its secret"))
    }
}

/// A group of pods.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Group {
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// The label selector of all its pods.
    pub selector: String,
    /// The label selector of one member's pods; `$(member)` is its name.
    pub pod_of: At<String>,
    /// Its members: the services of the platform that these pods serve.
    pub members: Vec<At<String>>,
    /// What `crash_pod` runs in a pod to end its first process; `[kill, -QUIT, "1"]` if absent, which ends a Go program
    /// at once.
    #[serde(default = "quit")]
    pub crash_with: Vec<String>,
    /// The container that `crash_pod` and `set_image` mean; needed by the latter where a pod has more than one.
    pub container: Option<String>,
    /// The image that its Deployments are expected to run.
    pub image: Option<String>,
    /// The image that `set_image` rolls out.
    pub next_image: Option<String>,
}

fn quit() -> Vec<String> {
    ["kill", "-QUIT", "1"].map(String::from).to_vec()
}

impl TargetFile {
    /// The networks in which its names must lie; what is none was told when it was read.
    pub fn networks(&self) -> Networks {
        self.resolves_to.iter().filter_map(|text| text.value.parse::<Network>().ok()).collect()
    }

    /// The namespace of its cluster in which runs keep their leases on shared things: the first by the alphabet of those
    /// that its groups are in. None if it names no cluster, or no group.
    pub fn lease_namespace(&self) -> Option<&str> {
        self.kubernetes.as_ref()?;
        self.groups.values().map(|group| group.namespace.as_str()).min()
    }

    /// What a run may change beside the platform's `api`, or change by way of: proxy, cluster and databases, by name.
    pub fn places(&self) -> BTreeMap<String, String> {
        let proxy = self.proxy.as_ref().and_then(|at| client::origin(&as_url(at), ""));
        let proxy = proxy.map(|origin| ("proxy".to_owned(), origin));
        let cluster = self.kubernetes.as_ref().and_then(|place| Some(place.pinned()?.to_owned()));
        let cluster = cluster.map(|uid| ("kubernetes".to_owned(), uid));
        let databases = self.databases.iter().map(|(name, it)| {
            (format!("database {}", name.value), format!("{}/{}", it.postgres.value, it.database))
        });
        [proxy, cluster].into_iter().flatten().chain(databases).collect()
    }

    /// Whether an origin (scheme, host and port) is that of an address which this file names.
    pub fn names_origin(&self, origin: &str) -> bool {
        let proxy = self.proxy.as_ref().map(|at| as_url(at));
        let server = self.kubernetes.as_ref().and_then(|place| place.server.as_ref());
        let mail = self.mailbox.values().filter_map(|mailbox| mailbox.mail.as_ref()?.http.as_ref());
        let named = [Some(&self.api), self.admin.as_ref(), server].into_iter().flatten().chain(mail);
        let mut named = named.map(|at| at.value.as_str()).chain(proxy.as_deref());
        named.any(|address| client::origin(address, "").as_deref() == Some(origin))
    }
}

/// Reads a target file.
///
/// # Errors
/// Every problem, with its place.
pub fn read_target(source: &Source) -> Result<TargetFile, Invalid> {
    let node = tree(&source.text).map_err(|problem| Invalid::one(source, problem))?;
    let problems = Problems::default();
    let file: Option<TargetFile> = read(&node, &problems);
    if let Some(file) = &file {
        let leaking = addresses::with_user_info(file);
        // What else is wrong with such an address would be told with it.
        let found = if leaking.is_empty() { look_over(file) } else { leaking };
        problems.borrow_mut().extend(found);
    }
    let mut invalid = Invalid::none();
    invalid.add(source, problems.into_inner());
    invalid.or(file)?.ok_or_else(|| Invalid::one(source, Problem::default()))
}

/// Slower than this nobody waits for; times that are scaled by more cannot be reckoned with.
const MOST_PACE: f64 = 1_000.0;

fn look_over(file: &TargetFile) -> Vec<Problem> {
    let mut found = vec![];
    let is_name = |text: &str| !text.starts_with('.') && is_word(text);
    if ["key", "secrets"].contains(&file.name.as_str()) {
        let text = format!("a target cannot be called `{}`: a file of the state folder is", file.name.value);
        found.push(Problem::new(file.name.at, text));
    }
    if !is_name(&file.name) {
        found.push(Problem::new(
            file.name.at,
            format!(
                "wanted a name of letters, digits, `-`, `_` and `.`, which is not first, found `{}`",
                file.name.value
            ),
        ));
    }
    if !(file.pace.value > 0.0 && file.pace.value <= MOST_PACE) {
        let text = format!("wanted a pace above 0 and up to {MOST_PACE}, found `{}`", file.pace.value);
        found.push(Problem::new(file.pace.at, text));
    }
    found.extend(too_short(file));
    found.extend(wrong_addresses(file));
    found.extend(file.kubernetes.iter().flat_map(KubernetesPlace::problems));
    found.extend(file.resolves_to.iter().filter_map(no_network));
    found.extend(contradictions(file));
    found.extend(unknown_groups(file));
    found.extend(file.identities.iter().flat_map(|(name, kind)| wrong_identity(name, kind)));
    found.extend(file.mailbox.iter().flat_map(|(name, mailbox)| mailbox::wrong(name, mailbox, file)));
    found.extend(file.databases.iter().flat_map(|(name, database)| database.problems(name)));
    found.extend(file.buckets.iter().flat_map(|(name, bucket)| bucket.problems(name)));
    found.extend(file.groups.iter().flat_map(|(name, group)| wrong_group(name, group)));
    found
}

/// Whether a text is of letters, digits, `-`, `_` and `.` alone.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// A group of which nothing could be broken, or something else than is meant.
fn wrong_group(name: &At<String>, group: &Group) -> Vec<Problem> {
    let mut found = vec![];
    if group.members.is_empty() {
        found.push(Problem::new(name.at, format!("the group `{}` has no members", name.value)));
    }
    let others = group.members.iter().filter(|member| !is_word(member));
    found.extend(others.map(|member| {
        let text = format!("wanted a member of letters, digits, `-`, `_` and `.`, found `{}`", member.value);
        Problem::new(member.at, text).hint("its name stands in `pod_of`, a label selector")
    }));
    if group.selector.trim().is_empty() {
        let text = format!("wanted a label selector of all pods of the group `{}`, found none", name.value);
        found.push(Problem::new(name.at, text).hint("such as `selector: micro`: an empty one selects all"));
    }
    let pod_of = &group.pod_of;
    if pod_of.trim().is_empty() || (group.members.len() > 1 && !pod_of.contains("$(member)")) {
        let text = format!("wanted a label selector of one member's pods, found `{}`", pod_of.value);
        found.push(
            Problem::new(pod_of.at, text).hint("such as `name=$(member)`: without it any member is meant"),
        );
    }
    found
}

/// Times that are none: a beat of nothing would be a flood.
fn too_short(file: &TargetFile) -> Vec<Problem> {
    const SHORTEST_BEAT: Duration = Duration::from_millis(1);
    let mut found = vec![];
    if file.beat.is_some_and(|beat| beat.0 < SHORTEST_BEAT) {
        found.push(Problem::new(Place::default(), "wanted a `beat` of 1ms or more"));
    }
    if file.answer_within.is_some_and(|within| within.0.is_zero()) {
        found.push(Problem::new(Place::default(), "wanted an `answer_within` above 0"));
    }
    found
}

/// What stands for an address and is none, or has a path, which nothing would ask for.
fn wrong_addresses(file: &TargetFile) -> Vec<Problem> {
    let of_http = [Some(&file.api), file.admin.as_ref()].into_iter().flatten();
    let of_http = of_http.map(|address| (address.at, address.value.clone()));
    let all = of_http.chain(file.proxy.as_ref().map(|address| (address.at, as_url(address))));
    let wrong = |(at, address): (Place, String)| {
        let why = client::wrong_with_origin(&address)?;
        let problem = Problem::new(at, why.to_string());
        Some(match why {
            Unusable::Path => problem.hint("write it into the operations' own paths"),
            _ => problem,
        })
    };
    all.filter_map(wrong).collect()
}

fn no_network(text: &At<String>) -> Option<Problem> {
    let wrong = text.value.parse::<Network>().err()?;
    Some(Problem::new(text.at, wrong.to_string()))
}

fn contradictions(file: &TargetFile) -> Vec<Problem> {
    let both = |need: &&At<String>| file.provides.iter().any(|one| one.value == need.value);
    file.lacks
        .iter()
        .filter(both)
        .map(|need| Problem::new(need.at, format!("`{}` is both provided and lacked", need.value)))
        .collect()
}

fn unknown_groups(file: &TargetFile) -> Vec<Problem> {
    let names = || file.groups.keys().map(|name| name.value.as_str());
    file.permits
        .disrupt
        .iter()
        .filter(|group| !names().any(|name| name == group.value))
        .map(|group| {
            Problem::new(group.at, format!("there is no group `{}`", group.value))
                .maybe_hint(did_you_mean(&group.value, names()))
        })
        .collect()
}

fn wrong_identity(name: &At<String>, kind: &IdentityKind) -> Vec<Problem> {
    let mut found = vec![];
    if kind.id.is_some() && kind.secret.is_none() {
        found.push(
            Problem::new(name.at, format!("the account of `{}` has no secret", name.value))
                .hint("add `secret: { env: NAME }` or `secret: { file: PATH }`"),
        );
    }
    if kind.id.is_some() && kind.minted_by.is_some() {
        found.push(Problem::new(name.at, format!("`{}` has both `id` and `minted_by`", name.value)));
    }
    found.extend(kind.secret.iter().filter_map(|place| place.problem(name.at)));
    found
}
