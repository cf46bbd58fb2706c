//! The cluster: whether it is the one that is meant, what its namespaces and pods are, and what may be done there.

use super::{Finding, quoted};
use crate::cli::rbac::Needed;
use crate::client::kube::{Kube, KubeError, PodFact, selects};
use crate::secret::Mask;
use crate::step::labels_of;
use crate::target::{Group, KubernetesPlace, Target};

/// Findings on the cluster that the target file names, if it names one.
pub(super) async fn examined(target: &Target, needed: &Needed, mask: &Mask) -> Vec<Finding> {
    let Some(place) = target.kubernetes() else { return vec![] };
    let kube = match place.connect(target.answer_within()).await {
        Ok(kube) => kube,
        Err(why) => return vec![Finding::bad("cluster", why, "look at `kubernetes` in the target file")],
    };
    if let Err(why) = place.teach(&kube, mask) {
        return vec![Finding::bad("cluster", why, "look at the kubeconfig")];
    }
    let identity = identity(&kube, place).await;
    let mut findings = vec![identity];
    if findings[0].advice.is_none() {
        for (name, group) in &target.file.groups {
            findings.extend(of_group(&kube, place.owner(), name, group).await);
        }
        findings.extend(of_rights(&kube, needed).await);
    }
    findings
}

async fn identity(kube: &Kube, place: &KubernetesPlace) -> Finding {
    match (kube.cluster_uid().await, place.pinned()) {
        (Err(error), _) => Finding::bad(
            "cluster",
            error.to_string(),
            "look at `kubernetes`, and at the rights of its account",
        ),
        (Ok(found), Some(pinned)) if found == pinned => {
            Finding::good("cluster", format!("it is the one that is meant ({found})"))
        }
        (Ok(found), Some(pinned)) => Finding::bad(
            "cluster",
            format!("the target file means {pinned}, and this one is {found}"),
            "choose the right context; change `cluster_uid` only if the cluster was made anew",
        ),
        (Ok(found), None) => Finding::bad(
            "cluster",
            "the target file does not say which cluster it means, so nothing would be broken",
            format!("if it is this one, add `cluster_uid: {found}` below `kubernetes`"),
        ),
    }
}

/// A group: its namespace's label, and a Ready pod for each member.
async fn of_group(kube: &Kube, (key, value): (&str, &str), name: &str, group: &Group) -> Vec<Finding> {
    let what = format!("group {name}");
    let doubt = |error: KubeError| {
        vec![Finding::bad(&what, error.to_string(), "look at the group's `namespace`, and at the rights")]
    };
    let labels = match kube.namespace(&group.namespace).await {
        Ok(namespace) => namespace.labels,
        Err(error) => return doubt(error),
    };
    let pods = match kube.pods(&group.namespace, &group.selector).await {
        Ok(pods) => pods,
        Err(error) => return doubt(error),
    };
    if labels.get(key).map(String::as_str) != Some(value) {
        let seen = format!("the namespace {} has no label {key}={value}", group.namespace);
        let advice =
            format!("if the platform owns it: kubectl label namespace {} {key}={value}", group.namespace);
        return vec![Finding::bad(&what, seen, advice)];
    }
    vec![of_members(&what, group, &pods)]
}

fn of_members(what: &str, group: &Group, pods: &[PodFact]) -> Finding {
    let lacking: Vec<&str> = group
        .members
        .iter()
        .map(|member| member.value.as_str())
        .filter(|member| !pods.iter().any(|pod| pod.is_ready && is_of(pod, group, member)))
        .collect();
    let all = group.members.len();
    match lacking.as_slice() {
        [] => Finding::good(what, format!("each of its {all} members has a Ready pod")),
        lacking => Finding::bad(
            what,
            format!("{} of {all} members have no Ready pod: {}", lacking.len(), lacking.join(", ")),
            format!(
                "is `pod_of` right? kubectl -n {} get pods -l {}",
                group.namespace,
                quoted(&group.selector)
            ),
        ),
    }
}

/// Whether `pod_of`, such as `name=micro-$(member)`, selects the pod.
fn is_of(pod: &PodFact, group: &Group, member: &str) -> bool {
    labels_of(group, member).is_ok_and(|selector| selects(&selector, &pod.labels))
}

/// Every right that the cases of the suites take, here or in the whole cluster.
async fn of_rights(kube: &Kube, needed: &Needed) -> Vec<Finding> {
    let mut findings = vec![];
    for (namespace, rights) in needed {
        let place = if namespace.is_empty() { "the whole cluster" } else { namespace };
        let mut lacking = vec![];
        for right in rights {
            match kube.may(right, Some(namespace.as_str()).filter(|it| !it.is_empty())).await {
                Ok(true) => {}
                Ok(false) => lacking.push(right.to_string()),
                Err(error) => lacking.push(format!("{right} ({error})")),
            }
        }
        let what = format!("rights in {place}");
        findings.push(match lacking.is_empty() {
            true => Finding::good(what, "everything that cases ask is allowed"),
            false => Finding::bad(
                what,
                format!("not allowed: {}", lacking.join(", ")),
                "muster rbac --target FILE prints the least Roles that are needed",
            ),
        });
    }
    findings
}
