//! `muster rbac`: the least that the chosen cases may do in the target's cluster, as Kubernetes writes it.
//!
//! Lives here: from cases to rights, and rights as manifests. Does not: which rights a fault takes (`fault::rights`), or
//! whether they are had (`doctor`).

use super::args::RbacArguments;
use super::{Ended, Refusal, open};
use crate::client::kube::Right;
use crate::fault::rights;
use crate::host;
use crate::outcome::Ending;
use crate::run::{self, Planned, Selection};
use crate::suite::{self, Suites};
use crate::target::{TargetFile, Way, WritePermit};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Rights by namespace; those of the whole cluster under the empty name.
pub(super) type Needed = BTreeMap<String, BTreeSet<Right>>;

/// Prints a ClusterRole and a Role for each namespace, and what binds them if that is asked for.
pub(super) fn rbac(arguments: &RbacArguments) -> Ended {
    let opened = open::target_file(&arguments.target)?;
    let suites = open::suites(&arguments.suites)?;
    suite::lint_target(&suites, &opened.file, &opened.source).or(())?;
    let selection = Selection { filters: arguments.filters.clone(), ..Selection::default() };
    if let Some(told) = open::unmatched(&suites, Some(&opened.file), &selection) {
        host::tell(&told);
        return Ok(Ending::NothingSelected);
    }
    let needed = needed(&suites, &opened.file, &selection);
    if needed.is_empty() {
        host::print("# none of the chosen cases asks anything of the cluster\n");
        return Ok(Ending::Passed);
    }
    let account = arguments.bind_to.as_deref().map(account).transpose()?;
    let name = format!("muster-{}", opened.file.name.value);
    for manifest in manifests(&name, &needed, account.as_ref()) {
        host::print(&format!("---\n{}\n", yaml(&manifest, 0)));
    }
    Ok(Ending::Passed)
}

fn account(text: &str) -> Result<(String, String), Refusal> {
    let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) = parts.ok_or_else(|| {
        Refusal::new(format!("`--bind-to {text}`: wanted NAMESPACE/NAME of a service account"))
    })?;
    Ok((namespace.to_owned(), name.to_owned()))
}

/// What the chosen cases need that the target lets run: for their faults in the namespaces of their victims, and for what
/// they read.
pub(super) fn needed(suites: &Suites, file: &TargetFile, selection: &Selection) -> Needed {
    let plan = run::plan(suites, file, selection, 0, true);
    let mut needed = Needed::new();
    for planned in plan.cases.iter().filter(|planned| planned.unrun.is_none()) {
        let uses = &planned.case.uses;
        if let Some(namespace) = victims_namespace(planned, file) {
            let faults = rights::for_faults(uses.faults.iter().copied());
            needed.entry(namespace).or_default().extend(faults);
            needed.entry(String::new()).or_default().extend(rights::CLUSTER.iter().cloned());
        }
        if let Some(namespace) = file.lease_namespace().filter(|_| uses.write == WritePermit::Shared) {
            needed.entry(namespace.to_owned()).or_default().extend(rights::LEASE.iter().cloned());
        }
        for (namespace, rights) in uses.mailboxes.iter().filter_map(|name| of_mailbox(name, file)) {
            needed.entry(namespace).or_default().extend(rights);
        }
        let paths = uses.kube_paths.iter().map(|path| with_member(path, planned.member.as_ref()));
        for (namespace, right) in paths.filter_map(|path| of_path(&path)) {
            needed.entry(namespace).or_default().insert(right);
        }
    }
    if !needed.is_empty() && file.kubernetes.as_ref().is_some_and(|place| place.cluster_uid.is_some()) {
        look_at_the_pinned_one(needed.entry(String::new()).or_default());
    }
    needed
}

/// A cluster that is pinned is asked which one it is before it is asked anything else.
fn look_at_the_pinned_one(rights: &mut BTreeSet<Right>) {
    if !rights.is_superset(&rights::CLUSTER.iter().cloned().collect()) {
        rights.insert(Right { name: Some("kube-system".into()), ..rights::right("", "namespaces", "get") });
    }
}

fn victims_namespace(planned: &Planned<'_>, file: &TargetFile) -> Option<String> {
    let (_, member) = planned.member.as_ref().filter(|_| planned.case.uses.disrupts())?;
    let group = member.get("group")?.as_str()?;
    let (_, group) = file.groups.iter().find(|(name, _)| name.value == group)?;
    Some(group.namespace.clone())
}

/// A path with what is known of it before the run: the values of the case's member. Other expressions become `*`.
fn with_member(path: &str, member: Option<&(String, Value)>) -> String {
    let mut known = path.to_owned();
    if let Some((variable, value)) = member {
        let fields = value.as_object().into_iter().flatten();
        let fields = fields.map(|(field, value)| (format!("$({variable}.{field})"), value));
        for (name, value) in fields.chain([(format!("$({variable})"), value)]) {
            known = known.replace(&name, value.as_str().unwrap_or("*"));
        }
    }
    let (start, rest) = known.split_once("$(").unwrap_or((&known, ""));
    let later =
        rest.split("$(").filter_map(|part| part.rsplit_once(')').map(|(_, after)| format!("*{after}")));
    format!("{start}{}", later.collect::<String>())
}

/// What reading the logs of a mailbox's pods takes, and where.
fn of_mailbox(name: &str, file: &TargetFile) -> Option<(String, [Right; 2])> {
    let (_, mailbox) = file.mailbox.iter().find(|(key, _)| key.value == name)?;
    let Some(Way::Pods(pods)) = mailbox.way() else { return None };
    let rights = [rights::right("", "pods", "list"), rights::right("", "pods/log", "get")];
    Some((pods.namespace.clone(), rights))
}

/// `/apis/apps/v1/namespaces/NAMESPACE/deployments[/NAME]`: the namespace (none if it is known only later) and the right.
fn of_path(path: &str) -> Option<(String, Right)> {
    let parts: Vec<&str> = path.split('?').next()?.split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (namespace, resource, name) = match rest {
        ["namespaces", namespace, resource, name @ ..] => (*namespace, *resource, name.first()),
        [resource, name @ ..] => ("*", *resource, name.first()),
        [] => return None,
    };
    let right = Right {
        group: group.to_owned().into(),
        resource: resource.to_owned().into(),
        verb: if name.is_some() { "get" } else { "list" },
        name: name.filter(|name| !name.contains('*')).map(|name| (*name).to_owned()),
    };
    Some((if namespace.contains('*') { String::new() } else { namespace.to_owned() }, right))
}

/// Rights of one group and resource in one rule; those for one object by its name in another.
fn rules(rights: &BTreeSet<Right>) -> Vec<Value> {
    let mut rules: BTreeMap<(&str, &str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for right in rights {
        let key = (&*right.group, &*right.resource, right.name.as_deref());
        rules.entry(key).or_default().push(right.verb);
    }
    rules.into_iter().map(rule).collect()
}

fn rule(((group, resource, name), verbs): ((&str, &str, Option<&str>), Vec<&str>)) -> Value {
    let mut rule = json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
    if let Some(name) = name {
        rule["resourceNames"] = json!([name]);
    }
    rule
}

fn manifests(name: &str, needed: &Needed, account: Option<&(String, String)>) -> Vec<Value> {
    let mut manifests = vec![];
    for (namespace, rights) in needed {
        let prefix = if namespace.is_empty() { "Cluster" } else { "" };
        let mut metadata = json!({ "name": name });
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.as_str().into();
        }
        let version = "rbac.authorization.k8s.io/v1";
        manifests.push(json!({ "apiVersion": version, "kind": format!("{prefix}Role"), "metadata": metadata, "rules": rules(rights) }));
        if let Some((owner, account)) = account {
            manifests.push(json!({
                "apiVersion": version, "kind": format!("{prefix}RoleBinding"), "metadata": metadata,
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": format!("{prefix}Role"), "name": name },
                "subjects": [{ "kind": "ServiceAccount", "namespace": owner, "name": account }],
            }));
        }
    }
    manifests
}

/// A manifest in the block style of YAML; lists of texts stay on their line. Every text is quoted as in JSON.
fn yaml(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let is_plain = |value: &Value| {
        !value.is_object() && value.as_array().is_none_or(|list| !list.iter().any(Value::is_object))
    };
    let line = |(key, value): (&String, &Value)| match is_plain(value) {
        true => format!("{indent}{key}: {value}"),
        false => format!("{indent}{key}:\n{}", yaml(value, depth + 1)),
    };
    match value {
        Value::Object(map) => map.iter().map(line).collect::<Vec<_>>().join("\n"),
        Value::Array(list) => {
            let item = |item: &Value| {
                let text = yaml(item, depth + 1);
                format!("{indent}- {}", text.trim_start())
            };
            list.iter().map(item).collect::<Vec<_>>().join("\n")
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_is_read_and_where() {
        let told = |path: &str| {
            of_path(path).map(|(namespace, right)| format!("{namespace}: {right} of {}", right.group))
        };
        for (path, expected) in [
            ("/api/v1/namespaces/*", Some(": get namespaces of ")),
            ("/api/v1/namespaces/shop/secrets/keys", Some("shop: get secrets keys of ")),
            ("/api/v1/nodes", Some(": list nodes of ")),
            ("/apis/apps/v1/namespaces/default/deployments", Some("default: list deployments of apps")),
            ("/apis/apps/v1/namespaces/*/deployments/posts?x=1", Some(": get deployments posts of apps")),
            ("/version", None),
        ] {
            assert_eq!(told(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_is_known_as_far_as_the_member_says() {
        let group = ("pod".to_owned(), json!({ "name": "store", "namespace": "shop" }));
        let list = ("namespace".to_owned(), json!("micro"));
        for (path, member, expected) in [
            ("/n/$(pod.namespace)/d?l=$(pod.x)", Some(&group), "/n/shop/d?l=*"),
            ("/n/$(namespace)/p", Some(&list), "/n/micro/p"),
            ("/n/$(a)/p/$(b.c)/q", None, "/n/*/p/*/q"),
            ("/n/p", None, "/n/p"),
        ] {
            assert_eq!(with_member(path, member), expected, "{path}");
        }
    }

    #[test]
    fn roles_hold_one_rule_for_each_resource() {
        let needed = [("default".to_owned(), rights::for_faults(["delete_pod"]))].into();
        let text: Vec<String> = manifests("muster-x", &needed, None).iter().map(|one| yaml(one, 0)).collect();
        assert_eq!(
            text,
            [r#"apiVersion: "rbac.authorization.k8s.io/v1"
kind: "Role"
metadata:
  name: "muster-x"
  namespace: "default"
rules:
  - apiGroups: [""]
    resources: ["pods"]
    verbs: ["delete","list","watch"]
  - apiGroups: ["apps"]
    resources: ["deployments"]
    verbs: ["get"]
  - apiGroups: ["coordination.k8s.io"]
    resources: ["leases"]
    verbs: ["create","delete","get","update"]
  - apiGroups: ["policy"]
    resources: ["poddisruptionbudgets"]
    verbs: ["list"]"#]
        );
    }
}
