//! `muster init`: a first target file from a few answers, and from what a cluster shows of itself; for a platform that is not
//! Micro's, suites to begin with.
//!
//! Lives here: the questions, and filling in what is written. Does not: what a cluster shows (`shown`, `others`), trying whether the
//! answers are right (`doctor`).

mod others;
mod shown;

use super::args::InitArguments;
use super::{Ended, Refusal, open};
use crate::client::kube::Place;
use crate::outcome::Ending;
use crate::source::Source;
use crate::target::as_url;
use crate::{client, files, host, target};
use shown::{Group, Shown, text_of_yaml};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// Writes a target file, and suites to begin with if they are asked for; what is there already stays as it is.
pub(super) fn init(arguments: &InitArguments) -> Ended {
    refuse_what_is_there("--write", &arguments.write)?;
    arguments.starter.iter().try_for_each(|folder| refuse_what_is_there("--starter", folder))?;
    let answers = answers(arguments)?;
    let shown = match &answers.cluster {
        Some(cluster) => {
            let runtime = open::runtime()?;
            Some(runtime.block_on(shown::look(&cluster.place))?)
        }
        None => None,
    };
    let is_other = arguments.starter.is_some() || shown.as_ref().is_some_and(|shown| !shown.is_micro);
    let filling = Filling { answers: &answers, shown: shown.as_ref(), arguments };
    let text = if is_other { filling.other() } else { filling.micro() };
    let file = arguments.write.display().to_string();
    target::read_target(&Source::new(file.clone(), text.as_str()))?;
    files::write_whole(&arguments.write, text.as_bytes())?;
    host::print(&format!("{}wrote {file}\n", seen(shown.as_ref())));
    if let Some(folder) = &arguments.starter {
        begin(folder, shown.as_ref().map_or(&[], |shown| &shown.groups))?;
    }
    host::print(&next(arguments, is_other));
    Ok(Ending::Passed)
}

fn refuse_what_is_there(flag: &str, path: &Path) -> Result<(), Refusal> {
    if !files::exists(path) {
        return Ok(());
    }
    let there = path.display();
    Err(Refusal::new(format!("{there} is there already, and stays as it is\nhint: name another with {flag}")))
}

/// What to do next.
fn next(arguments: &InitArguments, is_other: bool) -> String {
    let file = arguments.write.display();
    match (&arguments.starter, is_other) {
        (Some(folder), _) => {
            format!("next: muster doctor --suites {} --target {file}\n", folder.display())
        }
        (None, true) => "this is none of Micro's platforms, so its suites are yours to write\n\
             next: the same once more with --write OTHER-FILE --starter suites, for suites to begin with\n"
            .to_owned(),
        (None, false) => format!("next: {}=… muster doctor --target {file}\n", arguments.secret_variable),
    }
}

/// Writes suites to begin with: the platform answers, and each pod of each group comes back.
fn begin(folder: &Path, groups: &[Group]) -> Result<(), Refusal> {
    let pods: String = groups
        .iter()
        .map(|group| {
            let member = format!("pod: {} }}", text_of_yaml(&group.name));
            let text = include_str!("init/starter/pod.yaml").replace("pod: {group} }", &member);
            text.replace("{group}", &group.name)
        })
        .collect();
    let pods = format!("{}{pods}", include_str!("init/starter/pods.yaml"));
    let mut all = vec![
        ("operations.yaml", include_str!("init/starter/operations.yaml")),
        ("smoke/platform.yaml", include_str!("init/starter/smoke.yaml")),
    ];
    if !groups.is_empty() {
        all.push(("chaos/pods.yaml", pods.as_str()));
    }
    for (name, text) in all {
        files::write_whole(&folder.join(name), text.as_bytes())?;
        host::print(&format!("wrote {}\n", folder.join(name).display()));
    }
    Ok(())
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
    is_address("--api", &api)?;
    if !proxy.is_empty() {
        is_address("--proxy", &as_url(&proxy))?;
    }
    let operator = answer(
        arguments.operator.as_ref(),
        "--operator",
        "the id of the account that may clean up",
        Some("muster"),
    )?;
    let cluster = cluster(arguments)?;
    let name = answer(arguments.name.as_ref(), "--name", "a name for the target", Some(&word(host)))?;
    if word(&name).is_empty() {
        return Err(Refusal::new(format!("`--name`: wanted letters or digits, found `{name}`")));
    }
    Ok(Answers { name: word(&name), api, proxy, operator, cluster })
}

/// Whether an answer can be an address of HTTP; else what is wrong with the flag.
fn is_address(flag: &str, text: &str) -> Result<(), Refusal> {
    let wrong = client::wrong_with_origin(text);
    wrong.map_or(Ok(()), |why| Err(Refusal::new(format!("`{flag}`: {why}"))))
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

/// What a target file is filled with.
struct Filling<'a> {
    answers: &'a Answers,
    shown: Option<&'a Shown>,
    arguments: &'a InitArguments,
}

/// Needs of Micro's suites that nobody is asked for.
const LACKED: &str = "clock, registry-ttl, live-switches, invite-only, payments, expected-images, ingress, certificates, \
                      secrets, backup, backup-bucket, database";

/// A text as YAML takes for one, whatever it holds: as JSON writes it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Filling<'_> {
    /// The target file of one of Micro's platforms.
    fn micro(&self) -> String {
        let (provides, lacks) = match self.shown {
            Some(_) => ("mailbox, free-tier, kubernetes", LACKED.to_owned()),
            None => ("mailbox, free-tier", format!("kubernetes, {LACKED}")),
        };
        self.filled(include_str!("init/micro.yaml"), "")
            .replace("{provides}", provides)
            .replace("{lacks}", &lacks)
            .replace("{operator}", &quoted(&self.answers.operator))
            .replace("{operator_namespace}", "micro")
            .replace("{secret_variable}", &self.arguments.secret_variable)
    }

    /// The target file of any other platform.
    fn other(&self) -> String {
        let groups = || self.shown.into_iter().flat_map(|shown| &shown.groups);
        let namespaces: BTreeSet<&str> = groups().map(|group| group.namespace.as_str()).collect();
        let owner = (!namespaces.is_empty()).then(|| {
            let label = format!("owner={}", self.answers.name);
            let namespaces = Vec::from_iter(namespaces).join(" ");
            let how = format!("kubectl label namespace {namespaces} {label}");
            format!("\n  owner: {label:<29} # nothing is broken where this label is not: {how}")
        });
        let names: Vec<&str> = groups().map(|group| group.name.as_str()).collect();
        let permitted =
            if names.is_empty() { String::new() } else { format!(", such as [{}]", names.join(", ")) };
        let suites = self.arguments.starter.as_ref().map_or("SUITES".into(), |it| it.display().to_string());
        self.filled(include_str!("init/other.yaml"), &owner.unwrap_or_default())
            .replace("{suites}", &suites)
            .replace("{permitted}", &permitted)
    }

    /// What both have.
    fn filled(&self, template: &str, owner: &str) -> String {
        let proxy = match self.answers.proxy.as_str() {
            "" => "# proxy: proxy.example.test:443       # the gRPC proxy: host:port means TLS; or http://… and https://…".to_owned(),
            proxy => format!("proxy: {proxy}\nvia: http                              # which way operations go unless a step says otherwise"),
        };
        let kubernetes = match (&self.answers.cluster, self.shown) {
            (Some(cluster), Some(shown)) => format!(
                "\nkubernetes:                            # the cluster behind it\n{}  cluster_uid: {}   # nothing is broken in any other cluster{owner}",
                cluster.lines, shown.uid
            ),
            _ => "\n# kubernetes:                          # without it no pod is looked at, and none is killed"
                .to_owned(),
        };
        template
            .replace("{name}", &self.answers.name)
            .replace("{api}", &self.answers.api)
            .replace("{proxy}", &proxy)
            .replace("{kubernetes}", &kubernetes)
            .replace("{file}", &self.arguments.write.display().to_string())
            .replace("{groups}", &groups(self.shown))
    }
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
    let found: String = shown.groups.iter().map(Group::told).collect();
    let none = "found no Deployments that a label names\n".to_owned();
    let found = if found.is_empty() { none } else { found };
    format!("cluster {}\n{found}{}", shown.uid, shown.left_out.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        init: InitArguments,
    }

    #[test]
    fn what_is_written_can_be_read_with_and_without_a_cluster() {
        let arguments = Line::parse_from(["init"]).init;
        let group = |namespace| Group::by_label(namespace, "app", ["a".to_owned()].into()).unwrap();
        let shown = |groups| Shown { uid: "u-1".into(), is_micro: false, groups, left_out: vec![] };
        let (none, two) = (shown(vec![]), shown(vec![group("shop"), group("stock")]));
        let answers = |cluster| Answers {
            name: "staging".into(),
            api: "https://api.example.test".into(),
            proxy: String::new(),
            operator: "muster".into(),
            cluster,
        };
        let cluster = || Cluster { place: Place::InCluster, lines: "  context: c\n  config: /k\n".into() };
        for (answers, shown) in [
            (answers(None), None),
            (answers(Some(cluster())), Some(&none)),
            (answers(Some(cluster())), Some(&two)),
        ] {
            let filling = Filling { answers: &answers, shown, arguments: &arguments };
            for text in [filling.micro(), filling.other()] {
                let read = target::read_target(&Source::new("t.yaml", text.as_str()));
                assert!(read.is_ok(), "{text}");
                assert!(!text.contains("{n") && !text.contains("{p"), "{text}");
                assert!(text.contains("disrupt: []"), "nothing may be broken at first");
            }
            let how = "is not: kubectl label namespace shop stock owner=staging\n";
            assert_eq!(filling.other().contains(how), shown == Some(&two), "{}", filling.other());
        }
    }

    #[test]
    fn a_name_is_a_word() {
        assert_eq!(word("API.Example.test:8080"), "api-example-test-8080");
    }
}
