//! The life of a pod in the fake cluster: it is created, starts, becomes Ready, writes its log, and ends.
//!
//! Lives here: each of these as a plain function on the state, which leaves behind what is *due* later. Does not: how
//! many pods there should be (`controller`), waiting (`mod`), HTTP (`door`).

use super::controller::{NODES, Place, State, uid};
use super::kind::Kind;
use super::object::{self, Birth, is_leaving, name_of, namespace_of, text};
use super::refusal::Refusal;
use crate::fake::pod::{Pod, PodChange};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a pod stays Ready that is Ready for a moment.
const A_MOMENT: Duration = Duration::from_millis(20);
/// How many of the newest log lines of a pod are kept.
const LOG_LIMIT_LINES: usize = 1_000;

/// Something that happens to a pod later, unless it is gone by then.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) when: When,
    pub(super) act: Act,
    /// The pod's namespace and name.
    pub(super) place: Place,
    /// A pod of the same name and another UID is not meant.
    pub(super) uid: String,
}

/// When a [`Due`] is due.
#[derive(Debug)]
pub(super) enum When {
    After(Duration),
    /// Once the platform says that the pod accepts connections; never if it drops the question.
    Answered(oneshot::Receiver<()>),
}

/// What happens to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Start,
    BecomeReady,
    BecomeUnready,
    Remove,
    /// Not of a pod: what runs by the clock.
    RunJobs,
}

/// What a deletion asks for.
#[derive(Debug, Default)]
pub(super) struct Deletion {
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) grace_seconds: Option<u64>,
}

impl State {
    /// Carries out what has become due.
    pub(super) fn carry_out(&mut self, act: Act, (namespace, name): &Place, uid: &str) {
        let pod = self.store.get(Kind::Pod, namespace, name).filter(|pod| text(pod, "/metadata/uid") == uid);
        match (act, pod) {
            (Act::RunJobs, _) => self.run_cron_jobs(),
            (Act::Start, Some(pod)) if !is_leaving(&pod) => self.start(&pod),
            (Act::BecomeReady, Some(pod)) if !is_leaving(&pod) => self.become_ready(&pod),
            (Act::BecomeUnready, Some(pod)) if !is_leaving(&pod) => {
                drop(self.store.put(Kind::Pod, object::unready(&pod, &self.now())));
            }
            (Act::Remove, Some(_)) => drop(self.store.remove(Kind::Pod, namespace, name)),
            _ => {}
        }
    }

    fn start(&mut self, pod: &Value) {
        let pod = self.store.put(Kind::Pod, object::running(pod, &self.now()));
        let fact = self.container_of(&pod);
        let uid = text(&pod, "/metadata/uid");
        let (ready, answered) = oneshot::channel();
        self.containers.insert(uid.to_owned(), fact.clone());
        self.log(uid, &format!("Starting [service] {}", fact.service));
        let is_first = self.is_first(&pod);
        let has = |services: &[String]| !is_first && services.contains(&fact.service);
        if has(&self.settings.defects.ready_too_early) {
            self.due_after(Duration::ZERO, Act::BecomeReady, &pod);
        } else if !has(&self.settings.defects.never_ready) {
            self.later(When::Answered(answered), Act::BecomeReady, &pod);
        }
        // A platform that is no longer there has nothing to answer; the pod just never becomes Ready.
        self.changes.send(PodChange::Started { pod: fact, ready }).ok();
    }

    /// The container of a pod; each start of it has a UID of its own, as each has a node of its own.
    fn container_of(&self, pod: &Value) -> Pod {
        let uid = text(pod, "/metadata/uid");
        let restarts = object::number(pod, "/status/containerStatuses/0/restartCount");
        Pod {
            namespace: namespace_of(pod).to_owned(),
            name: name_of(pod).to_owned(),
            uid: if restarts == 0 { uid.to_owned() } else { format!("{uid}.{restarts}") },
            service: self.service_of(pod).to_owned(),
        }
    }

    fn service_of(&self, pod: &Value) -> &str {
        let deployment = object::deployment_of(pod).unwrap_or_default().to_owned();
        self.services.get(&(namespace_of(pod).to_owned(), deployment)).map_or("", String::as_str)
    }

    fn become_ready(&mut self, pod: &Value) {
        self.log(text(pod, "/metadata/uid"), "Server [grpc] Listening on [::]:8080");
        let ready = self.store.put(Kind::Pod, object::ready(pod, &self.now()));
        let is_for_a_moment =
            self.settings.defects.ready_for_a_moment.iter().any(|it| it == self.service_of(pod));
        if is_for_a_moment && !self.is_first(pod) {
            self.due_after(A_MOMENT, Act::BecomeUnready, &ready);
        }
    }

    /// The pod that is to go, if it is the very one that is meant.
    fn meant_pod(&self, namespace: &str, name: &str, asked: &Deletion) -> Result<Arc<Value>, Refusal> {
        let pod =
            self.store.get(Kind::Pod, namespace, name).ok_or_else(|| Refusal::not_found(Kind::Pod, name))?;
        check_preconditions(Kind::Pod, &pod, asked)?;
        Ok(pod)
    }

    /// Deletes a pod as asked: its container ends at once, its object goes after its time.
    pub(super) fn delete_pod(
        &mut self,
        namespace: &str,
        name: &str,
        asked: &Deletion,
    ) -> Result<Arc<Value>, Refusal> {
        let pod = self.meant_pod(namespace, name, asked)?;
        let grace = asked.grace_seconds.unwrap_or(object::DEFAULT_GRACE_SECONDS);
        self.end_container(&pod, grace > 0);
        if grace == 0 {
            let leaving = object::leaving(&pod, &self.now(), 0);
            self.store.remove(Kind::Pod, namespace, name);
            return Ok(Arc::new(leaving));
        }
        if is_leaving(&pod) {
            return Ok(pod);
        }
        let leaving = self.store.put(Kind::Pod, object::leaving(&pod, &self.now(), grace));
        let wait = self.end_time(&leaving, grace);
        self.due_after(wait, Act::Remove, &leaving);
        Ok(leaving)
    }

    fn end_container(&mut self, pod: &Value, graceful: bool) {
        let uid = text(pod, "/metadata/uid");
        if let Some(pod) = self.containers.remove(uid) {
            self.logs.remove(uid);
            self.changes.send(PodChange::Ended { pod, graceful }).ok();
        }
    }

    /// The first process of a pod's container ends; the kubelet starts the container anew after a while. Nothing happens
    /// to a pod whose container does not run, or that is leaving.
    pub(super) fn crash_pod(&mut self, namespace: &str, name: &str, graceful: bool) {
        let Some(pod) = self.store.get(Kind::Pod, namespace, name).filter(|pod| !is_leaving(pod)) else {
            return;
        };
        if !self.containers.contains_key(text(&pod, "/metadata/uid")) {
            return;
        }
        self.end_container(&pod, graceful);
        let crashed = self.store.put(Kind::Pod, object::crashed(&pod, &self.now()));
        let restarts = object::number(&crashed, "/status/containerStatuses/0/restartCount");
        let mut draw = self.draw(&["restart", text(&crashed, "/metadata/uid"), &restarts.to_string()]);
        let service = self.service_of(&crashed).to_owned();
        let wait = self.start_time(&mut draw, &service);
        self.due_after(wait, Act::Start, &crashed);
    }

    /// The node that was drawn, or the first that is not cordoned.
    fn schedulable(&self, drawn: String) -> String {
        let is_cordoned = |node: &Value| node["spec"]["unschedulable"] == true;
        if !self.store.get(Kind::Node, "", &drawn).is_some_and(|node| is_cordoned(&node)) {
            return drawn;
        }
        let nodes = self.store.list(Kind::Node, None);
        let open = nodes.iter().find(|node| !is_cordoned(node));
        open.map_or(drawn, |node| name_of(node).to_owned())
    }

    /// Evicts a pod unless a budget forbids it. A pod that is not Ready may go as long as its budget holds without it.
    pub(super) fn evict_pod(
        &mut self,
        namespace: &str,
        name: &str,
        asked: &Deletion,
    ) -> Result<Arc<Value>, Refusal> {
        let pod = self.meant_pod(namespace, name, asked)?;
        if self.settings.defects.denies_evictions {
            return Err(Refusal::forbidden("create", "pods/eviction", namespace));
        }
        if self.settings.defects.refuses_evictions {
            return Err(Refusal::budget("unseen", 1, 1));
        }
        if text(&pod, "/status/phase") != "Pending" && !is_leaving(&pod) {
            self.ask_budgets(&pod)?;
        }
        self.delete_pod(namespace, name, asked)
    }

    fn ask_budgets(&self, pod: &Value) -> Result<(), Refusal> {
        let pods = self.store.list(Kind::Pod, Some(namespace_of(pod)));
        let pods: Vec<&Value> = pods.iter().map(AsRef::as_ref).collect();
        let leaves_healthy = u64::from(object::is_ready(pod));
        for budget in self.store.list(Kind::Budget, Some(namespace_of(pod))) {
            let status = object::budget_status(&budget, &pods);
            let (healthy, needed) =
                (object::number(&status, "/currentHealthy"), object::number(&status, "/desiredHealthy"));
            if object::covers(&budget, pod) && healthy < needed + leaves_healthy {
                return Err(Refusal::budget(name_of(&budget), needed, healthy));
            }
        }
        Ok(())
    }

    pub(super) fn create_pod(&mut self, deployment: &Value) {
        let place = (namespace_of(deployment).to_owned(), name_of(deployment).to_owned());
        let born = self.born.get(&place).copied().unwrap_or_default();
        let is_replacement = born >= object::number(deployment, "/spec/replicas");
        let service = self.services.get(&place).cloned().unwrap_or_default();
        if is_replacement && self.settings.defects.never_replaced.contains(&service) {
            return;
        }
        self.born.insert(place.clone(), born + 1);
        let mut draw = self.draw(&["pod", &place.0, &place.1, &born.to_string()]);
        let mut drawn = birth(&mut draw, &self.now());
        drawn.node = self.schedulable(drawn.node);
        let pod = object::pod(deployment, &drawn.as_birth());
        let pod = self.store.put(Kind::Pod, mark_ordinal(pod, born, self.is_opening));
        let wait = if self.is_opening { Duration::ZERO } else { self.start_time(&mut draw, &service) };
        self.due_after(wait, Act::Start, &pod);
    }

    fn is_first(&self, pod: &Value) -> bool {
        text(pod, "/metadata/annotations/fake.muster~1born") == "first"
            && object::number(pod, "/status/containerStatuses/0/restartCount") == 0
    }

    fn start_time(&self, draw: &mut ChaCha8Rng, service: &str) -> Duration {
        let drawn = within(draw, self.settings.start_seconds);
        let slow = self.settings.defects.slow_start_seconds.iter().find(|(slow, _)| slow == service);
        self.paced(slow.map_or(drawn, |(_, seconds)| *seconds))
    }

    fn end_time(&self, pod: &Value, grace_seconds: u64) -> Duration {
        let mut draw = self.draw(&["end", text(pod, "/metadata/uid")]);
        #[expect(clippy::cast_precision_loss, reason = "a grace period is a small number of seconds")]
        let most = grace_seconds as f64;
        self.paced(within(&mut draw, self.settings.end_seconds).min(most))
    }

    fn paced(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds * self.settings.pace).unwrap_or_default()
    }

    fn due_after(&mut self, wait: Duration, act: Act, pod: &Value) {
        self.later(When::After(wait), act, pod);
    }

    fn later(&mut self, when: When, act: Act, pod: &Value) {
        let place = (namespace_of(pod).to_owned(), name_of(pod).to_owned());
        self.due.push(Due { when, act, place, uid: text(pod, "/metadata/uid").to_owned() });
    }

    /// Adds a line to a pod's log.
    pub(super) fn log(&mut self, uid: &str, line: &str) {
        let line = format!("{}  {line}", self.now());
        let lines = self.logs.entry(uid.to_owned()).or_default();
        lines.push(line);
        let surplus = lines.len().saturating_sub(LOG_LIMIT_LINES);
        lines.drain(..surplus);
    }

    /// The newest lines of a pod's log, each with its line break.
    pub(super) fn log_of(&self, uid: &str, tail: Option<usize>) -> String {
        let lines = self.logs.get(uid).map_or(&[][..], Vec::as_slice);
        let from = tail.map_or(0, |tail| lines.len().saturating_sub(tail));
        lines[from..].iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Refuses a deletion that means another object, or another version of it.
pub(super) fn check_preconditions(kind: Kind, object: &Value, asked: &Deletion) -> Result<(), Refusal> {
    let checks = [
        ("UID", &asked.uid, text(object, "/metadata/uid")),
        ("ResourceVersion", &asked.resource_version, text(object, "/metadata/resourceVersion")),
    ];
    for (field, wanted, found) in checks {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            return Err(Refusal::precondition(kind, name_of(object), field, wanted, found));
        }
    }
    Ok(())
}

struct Drawn {
    suffix: String,
    uid: String,
    node: String,
    ip: String,
    at: String,
}

impl Drawn {
    fn as_birth(&self) -> Birth<'_> {
        Birth { suffix: &self.suffix, uid: &self.uid, node: &self.node, ip: &self.ip, at: &self.at }
    }
}

fn birth(draw: &mut ChaCha8Rng, at: &str) -> Drawn {
    Drawn {
        suffix: (0..5).map(|_| object::letter(draw.random())).collect(),
        uid: uid(draw),
        node: format!("node-{}", draw.random_range(1..=NODES)),
        ip: format!("10.64.{}.{}", draw.random_range(0..=255), draw.random_range(1..=254)),
        at: at.to_owned(),
    }
}

fn mark_ordinal(mut pod: Value, ordinal: u64, is_first: bool) -> Value {
    if pod["metadata"]["annotations"].is_null() {
        pod["metadata"]["annotations"] = json!({});
    }
    let born = if is_first { "first".to_owned() } else { ordinal.to_string() };
    pod["metadata"]["annotations"]["fake.muster/born"] = json!(born);
    pod
}

fn within(draw: &mut ChaCha8Rng, (least, most): (f64, f64)) -> f64 {
    if least < most { draw.random_range(least..=most) } else { least }
}
