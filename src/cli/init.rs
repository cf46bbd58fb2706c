//! `muster init`: a first target file from a few answers, and from what a cluster shows of itself.
//!
//! Lives here: the questions, and filling in `init.yaml`. Does not: trying whether the answers are right (`doctor`).

use super::args::InitArguments;
use super::{Ended, Refusal};
use crate::client::kube::{Kube, Place};
use crate::fault::guard;
use crate::outcome::Ending;
use crate::source::Source;
use crate::{files, host, target};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

const CALL_WITHIN: Duration = Duration::from_secs(30);
/// The label of pods by which the platform tells its own from its users'.
const KIND_LABEL: &str = "micro";

/// What was answered.
struct Answers {
    name: String,
    api: String,
    proxy: String,
    operator: String,
    cluster: Option<Cluster>,
}

/// The cluster that was named.
struct Cluster {
    place: Place,
    /// The lines below `kubernetes:` that say where it is.
    lines: String,
}

/// What a cluster shows of itself.
struct Shown {
    uid: String,
    groups: Vec<Group>,
}

/// Pods of one namespace and one kind.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    namespace: String,
    kind: String,
    members: BTreeSet<String>,
}

/// Writes a target file; one that is there already stays as it is.
pub(super) fn init(arguments: &InitArguments) -> Ended {
    if files::exists(&arguments.write) {
        let there = arguments.write.display();
        return Err(Refusal::new(format!(
            "{there} is there already, and stays as it is\nhint: name another with --write"
        )));
    }
    let answers = answers(arguments)?;
    let shown = match &answers.cluster {
        Some(cluster) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Some(runtime.block_on(look(&cluster.place))?)
        }
        None => None,
    };
    let file = arguments.write.display().to_string();
    let text = filled(&answers, shown.as_ref(), &file, &arguments.secret_variable);
    target::read_target(&Source::new(file.clone(), text.as_str()))?;
    files::write_whole(&arguments.write, text.as_bytes())?;
    host::print(&format!(
        "{}wrote {file}\nnext: {}=… muster doctor --target {file}\n",
        seen(shown.as_ref()),
        arguments.secret_variable
    ));
    Ok(Ending::Passed)
}

fn answers(arguments: &InitArguments) -> Result<Answers, Refusal> {
    let api = answer(
        arguments.api.as_ref(),
        "--api",
        "the HTTP API of the platform, such as https://api.example.test",
        None,
    )?;
    let host = api.split("://").last().unwrap_or_default().split([':', '/']).next().unwrap_or_default();
    let proxy = answer(
        arguments.proxy.as_ref(),
        "--proxy",
        "its gRPC proxy, such as proxy.example.test:443; empty for none",
        Some(""),
    )?;
    let operator = answer(
        arguments.operator.as_ref(),
        "--operator",
        "the id of the account that may clean up",
        Some("muster"),
    )?;
    let cluster = cluster(arguments)?;
    let name = answer(arguments.name.as_ref(), "--name", "a name for the target", Some(&word(host)))?;
    Ok(Answers { name: word(&name), api, proxy, operator, cluster })
}

/// A given answer, or what a person at a terminal types, or the usual one.
fn answer(
    given: Option<&String>,
    flag: &str,
    question: &str,
    usual: Option<&str>,
) -> Result<String, Refusal> {
    if let Some(given) = given {
        return Ok(given.clone());
    }
    let shown =
        usual.filter(|usual| !usual.is_empty()).map(|usual| format!(" [{usual}]")).unwrap_or_default();
    let typed = host::ask(&format!("{question}{shown}: ")).filter(|typed| !typed.is_empty());
    typed
        .or_else(|| usual.map(str::to_owned))
        .ok_or_else(|| Refusal::new(format!("`{flag}` is not given: {question}\nhint: muster init {flag} …")))
}

/// Lower-case letters, digits and `-`: it names a folder.
fn word(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    text.trim_matches('-').to_owned()
}

fn cluster(arguments: &InitArguments) -> Result<Option<Cluster>, Refusal> {
    if let Some(server) = &arguments.server {
        return Ok(Some(Cluster {
            place: Place::Url(server.clone()),
            lines: format!("  server: {server}\n"),
        }));
    }
    let question = "the context of your kubeconfig for its cluster; empty for none";
    let context = answer(arguments.context.as_ref(), "--context", question, Some(""))?;
    if context.is_empty() {
        return Ok(None);
    }
    let kubeconfig = kubeconfig(arguments)?;
    let lines = format!("  context: {context}\n  config: {}\n", kubeconfig.display());
    Ok(Some(Cluster { place: Place::File { kubeconfig, context }, lines }))
}

/// The file that was named, or the one that `kubectl` would use.
fn kubeconfig(arguments: &InitArguments) -> Result<PathBuf, Refusal> {
    let usual = || host::variable("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    let named = || host::variable("KUBECONFIG").map(PathBuf::from);
    let found = arguments.kubeconfig.clone().or_else(named).or_else(usual);
    found.ok_or_else(|| Refusal::new("no kubeconfig is named\nhint: muster init --kubeconfig FILE"))
}

/// Asks the cluster who it is, and for the pods of the namespaces that the platform owns. Nothing is changed.
async fn look(place: &Place) -> Result<Shown, Refusal> {
    let kube = Kube::connect(place, CALL_WITHIN).await?;
    let uid = kube.cluster_uid().await?;
    let (key, value) = guard::OWNER_LABEL;
    let owned = kube.list_objects("v1", "Namespace", None, &format!("{key}={value}")).await?;
    let mut groups = vec![];
    for namespace in owned.iter().filter_map(|object| object["metadata"]["name"].as_str()) {
        let pods = kube.list_objects("v1", "Pod", Some(namespace), KIND_LABEL).await?;
        groups.extend(grouped(namespace, &pods));
    }
    Ok(Shown { uid, groups })
}

/// Pods by their kind; a member is what their label `name` says.
fn grouped(namespace: &str, pods: &[Value]) -> Vec<Group> {
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pod in pods {
        let labels = &pod["metadata"]["labels"];
        if let (Some(kind), Some(name)) = (labels[KIND_LABEL].as_str(), labels["name"].as_str()) {
            kinds.entry(kind.to_owned()).or_default().insert(name.to_owned());
        }
    }
    kinds
        .into_iter()
        .map(|(kind, members)| Group { namespace: namespace.to_owned(), kind, members })
        .collect()
}

impl Group {
    fn is_of_services(&self) -> bool {
        self.kind == "service"
    }

    /// The group as YAML; the core's pods are named `micro-STORE` where its service is `store`.
    fn text(&self) -> String {
        let prefix = if self.members.iter().all(|name| name.starts_with("micro-")) { "micro-" } else { "" };
        let members: Vec<&str> = self.members.iter().map(|name| name.trim_start_matches(prefix)).collect();
        format!(
            "  {}:\n    namespace: {}\n    selector: {KIND_LABEL}={}\n    pod_of: name={prefix}$(member)\n    members: [{}]\n",
            if self.is_of_services() { "services" } else { "core" },
            self.namespace,
            self.kind,
            members.join(", ")
        )
    }
}

fn filled(answers: &Answers, shown: Option<&Shown>, file: &str, secret_variable: &str) -> String {
    let proxy = match answers.proxy.as_str() {
        "" => "# proxy: proxy.example.test:443       # the gRPC proxy: host:port means TLS; or http://… and https://…".to_owned(),
        proxy => format!("proxy: {proxy}\nvia: http                              # which way operations go unless a step says otherwise"),
    };
    let kubernetes = match (&answers.cluster, shown) {
        (Some(cluster), Some(shown)) => format!(
            "\nkubernetes:                            # the cluster behind it\n{}  cluster_uid: {}   # nothing is broken in any other cluster",
            cluster.lines, shown.uid
        ),
        _ => "\n# kubernetes:                          # without it no pod is looked at, and none is killed"
            .to_owned(),
    };
    let (provides, lacks) = match shown {
        Some(_) => (
            "mailbox, free-tier, kubernetes",
            "clock, registry-ttl, live-switches, invite-only, payments, expected-images, ingress, certificates, secrets, backup, backup-bucket, database",
        ),
        None => (
            "mailbox, free-tier",
            "kubernetes, clock, registry-ttl, live-switches, invite-only, payments, expected-images, ingress, certificates, secrets, backup, backup-bucket, database",
        ),
    };
    include_str!("init.yaml")
        .replace("{name}", &answers.name)
        .replace("{api}", &answers.api)
        .replace("{proxy}", &proxy)
        .replace("{kubernetes}", &kubernetes)
        .replace("{provides}", provides)
        .replace("{lacks}", lacks)
        .replace("{operator}", &answers.operator)
        .replace("{operator_namespace}", "micro")
        .replace("{secret_variable}", secret_variable)
        .replace("{file}", file)
        .replace("{groups}", &groups(shown))
}

fn groups(shown: Option<&Shown>) -> String {
    let found: String = shown.into_iter().flat_map(|shown| &shown.groups).map(Group::text).collect();
    match found.as_str() {
        "" => "# groups:                              # pods by name: `muster explain target` shows how\n"
            .to_owned(),
        found => {
            format!("groups:                                # pods, by the name that suites use\n{found}")
        }
    }
}

/// What the cluster showed, as lines for the person who asked.
fn seen(shown: Option<&Shown>) -> String {
    let Some(shown) = shown else { return String::new() };
    let (key, value) = guard::OWNER_LABEL;
    let found: String = shown
        .groups
        .iter()
        .map(|group| {
            format!(
                "found {} {}={} in namespace {}\n",
                group.members.len(),
                KIND_LABEL,
                group.kind,
                group.namespace
            )
        })
        .collect();
    let none = format!("no pods with the label {KIND_LABEL} in a namespace with the label {key}={value}\n");
    format!("cluster {}\n{}", shown.uid, if found.is_empty() { none } else { found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(kind: &str, name: &str) -> Value {
        json!({ "metadata": { "labels": { "micro": kind, "name": name } } })
    }

    #[test]
    fn pods_are_grouped_by_what_they_are() {
        let pods =
            [pod("runtime", "micro-store"), pod("runtime", "micro-api"), pod("service", "posts"), json!({})];
        let groups = grouped("micro", &pods);
        assert_eq!(groups.len(), 2);
        assert_eq!(
            groups[0].text(),
            "  core:\n    namespace: micro\n    selector: micro=runtime\n    pod_of: name=micro-$(member)\n    members: [api, store]\n"
        );
        assert!(groups[1].text().contains("pod_of: name=$(member)\n    members: [posts]\n"));
    }

    #[test]
    fn what_is_written_can_be_read_with_and_without_a_cluster() {
        let shown = Shown { uid: "u-1".into(), groups: grouped("default", &[pod("server", "micro-store")]) };
        let answers = |cluster| Answers {
            name: "staging".into(),
            api: "https://api.example.test".into(),
            proxy: String::new(),
            operator: "muster".into(),
            cluster,
        };
        let cluster = Cluster { place: Place::InCluster, lines: "  context: c\n  config: /k\n".into() };
        for text in [
            filled(&answers(None), None, "t.yaml", "MUSTER_OPERATOR"),
            filled(&answers(Some(cluster)), Some(&shown), "t.yaml", "MUSTER_OPERATOR"),
        ] {
            let read = target::read_target(&Source::new("t.yaml", text.as_str()));
            assert!(read.is_ok(), "{text}");
            assert!(
                !text.contains("{name}") && text.contains("disrupt: []"),
                "nothing may be broken at first"
            );
        }
    }

    #[test]
    fn a_name_is_a_word() {
        assert_eq!(word("API.Example.test:8080"), "api-example-test-8080");
    }
}
