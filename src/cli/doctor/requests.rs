//! What is asked of the platform itself, as a small suite made from the target file and run like any other: each
//! identity is signed in or made (and put back), the mailbox and the registry are read.

use super::Finding;
use crate::cli::Refusal;
use crate::cli::args::{DoctorArguments, RunArguments, SelectionArguments, SuitesArguments};
use crate::cli::run::{Performed, perform};
use crate::files;
use crate::outcome::{CaseOutcome, Verdict};
use crate::run::ASKED_NOTHING;
use crate::source::{Node, Source, What, Whole};
use crate::target::{TargetFile, Way, WritePermit};
use serde_json::{Map, Value, json};
use std::path::Path;

/// A flow that does nothing: an identity is made before the first step of its case.
const NOTHING: &str = "flow: nothing\nwhy: its case is about what comes before its first step\nsteps: []\n";

/// A finding for each question.
pub(super) fn examined(
    arguments: &DoctorArguments,
    file: &TargetFile,
    sources: &[Source],
) -> Result<Vec<Finding>, Refusal> {
    let folder = tempfile::Builder::new().prefix("muster-doctor-").tempdir()?;
    let cases = cases(file);
    if cases.is_empty() {
        return Ok(vec![]);
    }
    written(&folder.path().join("suites"), sources, &cases)?;
    match perform(&run_arguments(arguments, folder.path()), false)? {
        Performed::Run(outcome) => {
            let mut findings: Vec<Finding> = outcome.cases.iter().map(finding).collect();
            findings.sort_by(|a, b| a.what.cmp(&b.what));
            Ok(findings)
        }
        Performed::Shown | Performed::NothingSelected => Ok(vec![]),
    }
}

fn finding(case: &CaseOutcome) -> Finding {
    let what = case.planned.case.replace('-', " ");
    // That nothing was asked is what is wanted where an identity only had to be made.
    let is_made = case.failures.iter().any(|failure| failure.kind == ASKED_NOTHING);
    if case.verdict == Some(Verdict::Pass) || is_made {
        return Finding::good(what, case.planned.why.clone());
    }
    let why =
        case.failures.first().map_or_else(|| "not asked".to_owned(), |failure| failure.message.to_string());
    let advice = match case.planned.tags.first().map(String::as_str) {
        Some("identity") => {
            "look at this identity in the target file, at its secret, and at the flow that makes it"
        }
        _ => "look at this entry of the target file, and at what the operator may read",
    };
    Finding::bad(what, why, advice)
}

/// The operations, flows and needs as they are, and the questions beside them.
fn written(folder: &Path, sources: &[Source], cases: &[Value]) -> Result<(), Refusal> {
    let is_ground = |source: &&Source| {
        let file = source.name.rsplit('/').next().unwrap_or_default();
        matches!(file, "operations.yaml" | "needs.yaml") || source.name.contains("/flows/")
    };
    for source in sources.iter().filter(is_ground) {
        let inside = source.name.split_once('/').map_or(&*source.name, |(_, rest)| rest);
        files::write_whole(&folder.join(inside), source.text.as_bytes())?;
    }
    let suite = json!({ "title": "Examination", "cases": cases });
    files::write_whole(&folder.join("flows/nothing.yaml"), NOTHING.as_bytes())?;
    files::write_whole(&folder.join("doctor/examination.yaml"), suite.to_string().as_bytes())?;
    Ok(())
}

fn run_arguments(arguments: &DoctorArguments, folder: &Path) -> RunArguments {
    RunArguments {
        suites: SuitesArguments { suites: Some(folder.join("suites")) },
        selection: SelectionArguments {
            target: Some(arguments.target.clone()),
            ..SelectionArguments::default()
        },
        jobs: 1,
        timeout: None,
        fail_fast: false,
        wait_for_target: None,
        dry_run: false,
        reports: vec![],
        report_dir: folder.join("report"),
        state_dir: arguments.state_dir.clone(),
        snapshots: folder.join("snapshots"),
        update_snapshots: false,
        pace: 1.0,
    }
}

/// The questions: those that ask for nothing but reading come first.
fn cases(file: &TargetFile) -> Vec<Value> {
    let mut cases = vec![];
    if let Some(registry) = &file.registry {
        let json = registry
            .json
            .as_ref()
            .map_or(Value::Null, |whole| plain(&whole.0, "$(service)", &a_member(file)));
        cases.push(question(
            "registry",
            "the operator can read which nodes are listed",
            &registry.op.value,
            json,
            &[200],
        ));
    }
    for (name, mailbox) in &file.mailbox {
        let nobody = format!("nobody@{}", file.mail_domain);
        let filled = |whole: &Whole| plain(&whole.0, "$(to)", &nobody);
        let (op, json, with) = match mailbox.way() {
            Some(Way::Operation(op)) => (op, &mailbox.json, Map::new()),
            Some(Way::Log(log, op)) => {
                let with = log.with.iter().map(|(name, whole)| (name.value.clone(), filled(whole)));
                (op, &log.json, with.collect())
            }
            // Asked elsewhere: see `mailboxes`.
            Some(Way::Pods(_) | Way::Mail(_)) | None => continue,
        };
        // That nobody has mail may be an error to this platform, but no refusal; a log must be readable.
        let is_log = mailbox.log.is_some();
        let statuses: &[u16] = if is_log { &[200] } else { &[200, 404, 500] };
        let json = json.as_ref().map_or(Value::Null, filled);
        let id = format!("mailbox-{}", name.value);
        let mut question = question(&id, "the operator can look for messages", &op.value, json, statuses);
        if !with.is_empty() {
            question["steps"][0]["call"]["with"] = Value::Object(with);
        }
        cases.push(question);
    }
    let is_made =
        |name: &str| file.identities.iter().any(|(key, kind)| key.value == name && kind.minted_by.is_some());
    for (name, kind) in &file.identities {
        let makes = kind.minted_by.is_some();
        if name.value != "operator" && (!makes || file.permits.write != WritePermit::None) {
            cases.push(identity(&name.value, is_made("tenant")));
        }
    }
    cases
}

fn question(id: &str, why: &str, op: &str, json: Value, status: &[u16]) -> Value {
    let mut call = json!({ "op": op, "as": "operator", "expect": { "status": status } });
    if !json.is_null() {
        call["json"] = json;
    }
    json!({ "id": id, "why": why, "steps": [{ "call": call }] })
}

/// An identity that is made for another one is made for a tenant.
fn identity(name: &str, has_tenant: bool) -> Value {
    let is_for_another = name.ends_with("-of") && has_tenant;
    let identities = if is_for_another {
        json!({ "tenant": "tenant", "me": format!("{name}(tenant)") })
    } else {
        json!({ "me": name })
    };
    json!({
        "id": format!("identity-{name}"), "why": "it can be had", "tags": ["identity"], "identities": identities,
        "steps": [{ "flow": { "use": "nothing" } }],
    })
}

fn a_member(file: &TargetFile) -> String {
    let first = file.groups.values().flat_map(|group| &group.members).next();
    first.map(|member| member.value.clone()).unwrap_or_default()
}

/// A value of the target file with its one name filled in.
fn plain(node: &Node, name: &str, value: &str) -> Value {
    match &node.what {
        What::Null => Value::Null,
        What::Bool(it) => (*it).into(),
        What::Int(it) => (*it).into(),
        What::Float(it) => (*it).into(),
        What::Text(text) => text.replace(name, value).into(),
        What::List(list) => list.iter().map(|item| plain(item, name, value)).collect(),
        What::Map(map) => map
            .iter()
            .map(|(key, item)| (key.text.clone(), plain(item, name, value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}
