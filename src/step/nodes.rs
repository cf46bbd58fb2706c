//! The nodes of a service that the registry lists, before a disruption and after it.
//!
//! Lives here: asking for them, and comparing. Does not: since when they are the live ones (`watching`), or what that means
//! (`judge::clock`).

use super::request::Request;
use super::stage::Stage;
use super::stopwatch::Clocks;
use super::watching::{PROBE_WITHIN, Watching};
use super::{Data, Names};
use crate::client::Connection;
use crate::judge::clock::Nodes;
use crate::judge::{Reply, found};
use crate::outcome::Failure;
use crate::source::{At, Place};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

impl Watching {
    /// The third clock: as many nodes as before, and one of those before is gone.
    pub(super) async fn look_at_registry(
        &self,
        clocks: &mut Clocks,
        injected_at: Instant,
        stage: &mut Stage<'_>,
    ) {
        let nodes = match self.nodes(stage).await {
            Ok(now) => compared(&self.registered, &now, self.victims.len(), self.traits.restarts_in_place),
            Err(why) => Nodes::Unanswered { why },
        };
        clocks.take_nodes(nodes, injected_at.elapsed());
    }

    /// The nodes before anything is broken.
    pub(super) async fn look_before(&mut self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        const ATTEMPTS: usize = 3;
        let mut nodes = self.nodes(stage).await;
        for _ in 1..ATTEMPTS {
            if nodes.is_err() {
                nodes = self.nodes(stage).await;
            }
        }
        let nodes = nodes.map_err(|why| {
            let text = format!("which nodes the registry lists before is not known: {why}");
            vec![stage.doubt("registry.unanswered", &text)]
        })?;
        if nodes.is_empty() {
            let text =
                format!("the registry lists no node of {} before: it would show no change", self.service);
            return Err(vec![stage.doubt("registry.unanswered", &text)]);
        }
        self.registered = nodes;
        Ok(())
    }

    /// The registered nodes of the service, as the target file says how to ask for them; a service that is not found has
    /// none.
    async fn nodes(&self, stage: &mut Stage<'_>) -> Result<BTreeSet<String>, String> {
        let registry =
            stage.scene.target.file.registry.as_ref().ok_or("the target file names no `registry`")?;
        let json = registry.json.as_ref().map(|whole| Data::new(&whole.0)).transpose();
        let json = json.map_err(|problem| problem.text)?;
        let mut names = Names::new();
        names.insert("service".into(), Value::from(self.service.as_str()));
        let aside = stage.aside(names);
        let operator = At { value: "operator".to_owned(), at: Place::default() };
        let request = Request {
            op: Some(&registry.op),
            identity: Some(registry.identity.as_ref().unwrap_or(&operator)),
            json: json.as_ref(),
            ..Request::nothing()
        };
        let prepared = request.prepared(&aside).map_err(|failures| said(&failures))?;
        let target = stage.scene.target;
        let sent = prepared.send(&target.http, target.rpc.as_ref(), Connection::New, PROBE_WITHIN).await;
        listed(&sent.map_err(|error| error.to_string())?, &registry.nodes)
    }
}

/// Whether the registry lists as many nodes as before, of which the victims' are gone (or back, where a victim keeps its
/// address).
fn compared(
    before: &BTreeSet<String>,
    now: &BTreeSet<String>,
    victims: usize,
    restarts_in_place: bool,
) -> Nodes {
    let kept = before.intersection(now).count();
    let are_gone = kept == before.len().saturating_sub(victims);
    let are_back = restarts_in_place && kept == before.len();
    if now.len() == before.len() && (are_gone || are_back) {
        Nodes::Live
    } else {
        Nodes::Other { before: before.len(), now: now.len(), kept, victims }
    }
}

/// The nodes in a reply of the registry.
fn listed(reply: &Reply, nodes: &str) -> Result<BTreeSet<String>, String> {
    const NOT_FOUND: u16 = 404;
    if reply.status == NOT_FOUND {
        return Ok(BTreeSet::new());
    }
    if !reply.is_success() {
        return Err(format!("the registry answered status {}", reply.status));
    }
    let json = reply.json();
    let json = json.ok_or_else(|| format!("the registry answered status {}, and no JSON", reply.status))?;
    let path = super::json_path::json_path(nodes)?;
    Ok(found(&path, &json)?.into_iter().map(Value::to_string).collect())
}

fn said(failures: &[Failure]) -> String {
    failures.iter().map(|failure| failure.message.to_string()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Transport;
    use std::time::Duration;

    fn set(nodes: &[&str]) -> BTreeSet<String> {
        nodes.iter().map(|node| (*node).to_owned()).collect()
    }

    #[test]
    fn the_registry_lists_live_nodes_if_those_of_the_victims_are_replaced() {
        let other = |before, now, kept, victims| Nodes::Other { before, now, kept, victims };
        for (before, now, victims, in_place, expected) in [
            (vec!["a"], vec!["b"], 1, false, Nodes::Live),
            (vec!["a", "b"], vec!["b", "c"], 1, false, Nodes::Live),
            (vec!["a", "b"], vec!["b", "c"], 2, false, other(2, 2, 1, 2)),
            (vec!["a", "b"], vec!["c", "d"], 2, false, Nodes::Live),
            (vec!["a"], vec!["a"], 1, false, other(1, 1, 1, 1)),
            (vec!["a"], vec!["a"], 1, true, Nodes::Live),
            (vec!["a"], vec!["a", "b"], 1, true, other(1, 2, 1, 1)),
            (vec!["a"], vec!["a", "b"], 1, false, other(1, 2, 1, 1)),
            (vec!["a"], vec![], 1, true, other(1, 0, 0, 1)),
            (vec!["a", "b"], vec!["c", "d"], 1, false, other(2, 2, 0, 1)),
        ] {
            let found = compared(&set(&before), &set(&now), victims, in_place);
            assert_eq!(found, expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn what_is_not_found_has_no_nodes_and_what_is_no_answer_is_not_taken_for_one() {
        for (status, body, expected) in [
            (200, r#"{"nodes":["a"]}"#, Ok(set(&["\"a\""]))),
            (200, "{}", Ok(set(&[]))),
            (404, "not found", Ok(set(&[]))),
            (401, "{}", Err("the registry answered status 401".to_owned())),
            (500, "", Err("the registry answered status 500".to_owned())),
            (200, "<html>", Err("the registry answered status 200, and no JSON".to_owned())),
        ] {
            let reply = Reply {
                transport: Transport::Http,
                status,
                grpc_status: None,
                headers: vec![],
                elsewhere: None,
                aside: vec![],
                is_withheld: false,
                body: body.into(),
                took: Duration::ZERO,
            };
            assert_eq!(listed(&reply, "$.nodes[*]"), expected, "{status} {body}");
        }
    }
}
