//! The `Table` form of lists, which `kubectl get` prints.
//!
//! Lives here: columns and cells, as the real printers write them. Does not: which objects are shown.

use super::kind::Kind;
use super::object::{self, is_leaving, name_of, number, text};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Columns that are shown always, and those that only `-o wide` shows.
struct Columns {
    always: &'static [&'static str],
    wide: &'static [&'static str],
}

/// The table of some objects of one kind, as of `now`; `version` is that of the list.
pub(super) fn table(kind: Kind, objects: &[&Value], version: &str, now: Timestamp) -> Value {
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1",
        "metadata": { "resourceVersion": version },
        "columnDefinitions": definitions(&columns(kind)),
        "rows": objects.iter().map(|object| row(kind, object, now)).collect::<Vec<_>>(),
    })
}

fn columns(kind: Kind) -> Columns {
    match kind {
        Kind::Namespace => Columns { always: &["Name", "Status", "Age"], wide: &[] },
        Kind::Pod => Columns {
            always: &["Name", "Ready", "Status", "Restarts", "Age"],
            wide: &["IP", "Node", "Nominated Node", "Readiness Gates"],
        },
        Kind::Deployment => Columns {
            always: &["Name", "Ready", "Up-to-date", "Available", "Age"],
            wide: &["Containers", "Images", "Selector"],
        },
        Kind::Budget => Columns {
            always: &["Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age"],
            wide: &[],
        },
        Kind::CronJob => Columns {
            always: &["Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age"],
            wide: &[],
        },
        Kind::Lease => Columns { always: &["Name", "Holder", "Age"], wide: &[] },
        Kind::Node => Columns { always: &["Name", "Status", "Roles", "Age", "Version"], wide: &[] },
        Kind::Secret => Columns { always: &["Name", "Type", "Data", "Age"], wide: &[] },
        Kind::Ingress => {
            Columns { always: &["Name", "Class", "Hosts", "Address", "Ports", "Age"], wide: &[] }
        }
        Kind::Certificate => Columns { always: &["Name", "Ready", "Secret", "Age"], wide: &[] },
    }
}

fn definitions(columns: &Columns) -> Vec<Value> {
    let always = columns.always.iter().map(|name| (name, 0));
    let wide = columns.wide.iter().map(|name| (name, 1));
    always.chain(wide).map(|(name, priority)| definition(name, priority)).collect()
}

fn definition(name: &str, priority: u8) -> Value {
    let format = if name == "Name" { "name" } else { "" };
    json!({ "name": name, "type": "string", "format": format, "description": name, "priority": priority })
}

fn row(kind: Kind, object: &Value, now: Timestamp) -> Value {
    json!({
        "cells": cells(kind, object, now),
        "object": {
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
        },
    })
}

fn cells(kind: Kind, object: &Value, now: Timestamp) -> Value {
    let name = name_of(object);
    let age = age(object, now);
    match kind {
        Kind::Namespace => json!([name, object["status"]["phase"], age]),
        Kind::Pod => pod_cells(object, &age),
        Kind::Deployment => deployment_cells(object, &age),
        Kind::Budget => {
            json!([name, object["spec"]["minAvailable"], "N/A", object["status"]["disruptionsAllowed"], age])
        }
        Kind::CronJob => {
            let (spec, last) = (&object["spec"], since(text(object, "/status/lastScheduleTime"), now));
            let suspended = if spec["suspend"] == true { "True" } else { "False" };
            json!([name, spec["schedule"], "<none>", suspended, 0, last, age])
        }
        Kind::Lease => json!([name, object["spec"]["holderIdentity"], age]),
        Kind::Node => node_cells(object, &age),
        Kind::Secret => {
            json!([name, object["type"], object["data"].as_object().map_or(0, serde_json::Map::len), age])
        }
        Kind::Ingress => ingress_cells(object, &age),
        Kind::Certificate => {
            let ready = if object::is_ready(object) { "True" } else { "False" };
            json!([name, ready, object["spec"]["secretName"], age])
        }
    }
}

fn node_cells(node: &Value, age: &str) -> Value {
    let ready = if object::is_ready(node) { "Ready" } else { "NotReady" };
    let cordoned = if node["spec"]["unschedulable"] == true { ",SchedulingDisabled" } else { "" };
    let version = &node["status"]["nodeInfo"]["kubeletVersion"];
    json!([name_of(node), format!("{ready}{cordoned}"), "<none>", age, version])
}

fn ingress_cells(ingress: &Value, age: &str) -> Value {
    let texts = |list: &str, field: &str| -> String {
        let items = ingress.pointer(list).and_then(Value::as_array).into_iter().flatten();
        items.map(|item| text(item, field)).collect::<Vec<_>>().join(",")
    };
    let ports = if ingress["spec"]["tls"].is_array() { "80, 443" } else { "80" };
    let class = text(ingress, "/spec/ingressClassName");
    let (hosts, address) = (texts("/spec/rules", "/host"), texts("/status/loadBalancer/ingress", "/ip"));
    json!([name_of(ingress), class, hosts, address, ports, age])
}

fn pod_cells(pod: &Value, age: &str) -> Value {
    let ready = if object::is_ready(pod) { "1/1" } else { "0/1" };
    let (ip, node) = (text(pod, "/status/podIP"), text(pod, "/spec/nodeName"));
    json!([name_of(pod), ready, pod_status(pod), 0, age, ip, node, "<none>", "<none>"])
}

fn pod_status(pod: &Value) -> &str {
    let waiting = text(pod, "/status/containerStatuses/0/state/waiting/reason");
    if is_leaving(pod) {
        "Terminating"
    } else if waiting.is_empty() {
        text(pod, "/status/phase")
    } else {
        waiting
    }
}

fn deployment_cells(deployment: &Value, age: &str) -> Value {
    let ready =
        format!("{}/{}", number(deployment, "/status/readyReplicas"), number(deployment, "/spec/replicas"));
    let container = "/spec/template/spec/containers/0";
    json!([
        name_of(deployment),
        ready,
        number(deployment, "/status/updatedReplicas"),
        number(deployment, "/status/availableReplicas"),
        age,
        text(deployment, &format!("{container}/name")),
        text(deployment, &format!("{container}/image")),
        selector(deployment),
    ])
}

fn selector(deployment: &Value) -> String {
    let labels = deployment["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    labels
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(",")
}

/// As `kubectl` shows ages: seconds below two minutes, then minutes, hours, days.
fn age(object: &Value, now: Timestamp) -> String {
    since(text(object, "/metadata/creationTimestamp"), now)
}

fn since(moment: &str, now: Timestamp) -> String {
    let Ok(created) = moment.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    match now.as_second().saturating_sub(created.as_second()).max(0) {
        seconds if seconds < 120 => format!("{seconds}s"),
        seconds if seconds < 3 * 3_600 => format!("{}m", seconds / 60),
        seconds if seconds < 48 * 3_600 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
