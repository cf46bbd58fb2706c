//! What stands around the platform's own pods in its cluster: the way in from outside, certificates, secrets, the
//! backup of the database.
//!
//! Lives here: those objects, as the platform's install script leaves them. Does not: how a cluster keeps and serves
//! them (`cluster`). None of the secrets is one that anything accepts.

use super::cluster::CronJob;
use super::defect::{Defect, Defects};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Certificates live for 90 days, and are renewed 30 days before their end.
const CERTIFICATE_DAYS: i64 = 60;
/// With the defect: renewal has failed for weeks.
const LATE_CERTIFICATE_DAYS: i64 = 3;

/// The objects of a cluster whose wall clock shows `now` at the start.
pub(super) fn objects(defects: &Defects, now: Timestamp) -> Vec<Value> {
    let mut all = vec![ingress("api", &["api.fake.test", "*.fake.test"], "micro-api", 8080)];
    if !defects.has(Defect::ProxyIngressMissing) {
        all.push(ingress("proxy", &["proxy.fake.test"], "micro-proxy", 8081));
    }
    let late = defects.has(Defect::CertificateRunsOut);
    all.push(certificate("api-tls", now, CERTIFICATE_DAYS));
    all.push(certificate("proxy-tls", now, if late { LATE_CERTIFICATE_DAYS } else { CERTIFICATE_DAYS }));
    all.push(secrets(!defects.has(Defect::SecretKeyMissing)));
    if defects.has(Defect::PodStaysPending) {
        all.push(pending_pod());
    }
    all
}

/// The backup of the database, as the platform's manifests have it.
pub(super) fn cron_jobs(defects: &Defects) -> Vec<CronJob> {
    let backup = CronJob {
        namespace: "default".to_owned(),
        name: "cockroach-backup".to_owned(),
        image: "ghcr.io/m3o/cockroach-backup".to_owned(),
        every_hours: 2,
        is_suspended: defects.has(Defect::BackupSuspended),
        fails: defects.has(Defect::BackupFails),
    };
    if defects.has(Defect::BackupMissing) { vec![] } else { vec![backup] }
}

fn ingress(name: &str, hosts: &[&str], service: &str, port: u16) -> Value {
    let backend = json!({ "service": { "name": service, "port": { "number": port } } });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
    let rule = |host: &&str| json!({ "host": host, "http": { "paths": [path] } });
    json!({
        "kind": "Ingress", "apiVersion": "networking.k8s.io/v1",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "ingressClassName": "nginx",
            "rules": hosts.iter().map(rule).collect::<Vec<_>>(),
            "tls": [{ "hosts": hosts, "secretName": format!("{name}-tls") }],
        },
        "status": { "loadBalancer": { "ingress": [{ "ip": "127.0.0.1" }] } },
    })
}

fn certificate(name: &str, now: Timestamp, days: i64) -> Value {
    let ends = now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    json!({
        "kind": "Certificate", "apiVersion": "cert-manager.io/v1",
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "secretName": name },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }], "notAfter": ends.to_string() },
    })
}

fn secrets(is_complete: bool) -> Value {
    let mut keys =
        json!({ "auth_private_key": "bm9uZQ==", "auth_public_key": "bm9uZQ==", "cloudflare": "bm9uZQ==" });
    keys["slack"] = json!(if is_complete { "bm9uZQ==" } else { "" });
    json!({
        "kind": "Secret", "apiVersion": "v1", "type": "Opaque",
        "metadata": { "name": "micro-secrets", "namespace": "default" },
        "data": keys,
    })
}

fn pending_pod() -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": { "name": "left-over", "namespace": "micro" },
        "spec": { "containers": [{ "name": "micro", "image": "micro:none" }] },
        "status": {
            "phase": "Pending",
            "conditions": [{ "type": "Ready", "status": "False" }],
            "containerStatuses": [{ "name": "micro", "state": { "waiting": { "reason": "ImagePullBackOff" } } }],
        },
    })
}
