//! Which cases are run, in which order: pure, and the same for the same seed.

use super::Selection;
use crate::outcome::{KnownFailure, PlannedCase};
use crate::source::At;
use crate::step::selector_of;
use crate::suite::{Case, Members, Suites};
use crate::target::{TargetFile, WritePermit};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Which cases are run, in which order.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The cases, lane by lane; those that are given the same stand together.
    pub cases: Vec<Planned<'a>>,
    /// Disruptive cases that were left out because disruption is not allowed.
    pub disruptive_left_out: usize,
    /// The known failures for this target.
    pub known_failures: Vec<KnownFailure>,
}

/// One case of a plan.
#[derive(Debug)]
pub struct Planned<'a> {
    /// The case.
    pub case: &'a Case,
    /// Its full name.
    pub name: String,
    /// The variable and the value of its member.
    pub member: Option<(String, Value)>,
    /// Beside what it may run.
    pub lane: Lane,
    /// Why it is not run, if it is not.
    pub unrun: Option<Unrun>,
}

/// Beside what a case may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Beside others.
    Shared,
    /// Beside those that are given the same.
    Given,
    /// Alone.
    Alone,
    /// Alone and last: it breaks something.
    Disruptive,
}

/// Why a case of the plan is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrun {
    /// The target declares that it has not what the case needs: a Skip.
    Declared(String),
    /// The target says nothing of what the case needs: Inconclusive.
    Undeclared(String),
}

/// Plans a run.
pub fn plan<'a>(
    suites: &'a Suites,
    target: &TargetFile,
    selection: &Selection,
    seed: u64,
    may_disrupt: bool,
) -> Plan<'a> {
    let all = suites.cases.iter().flat_map(|case| members(case, target));
    let is_chosen = |planned: &Planned<'_>| match planned.unrun {
        Some(_) => all_names(planned.case, target).iter().any(|name| selection.chooses(planned.case, name)),
        None => selection.chooses(planned.case, &planned.name),
    };
    let mut cases: Vec<Planned<'a>> = all.filter(is_chosen).collect();
    let before = cases.len();
    cases.retain(|planned| may_disrupt || planned.lane != Lane::Disruptive || planned.unrun.is_some());
    let disruptive_left_out = before - cases.len();
    cases.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    cases.sort_by_key(|planned| (planned.lane, planned.given()));
    let disruptive = cases.split_off(cases.partition_point(|planned| planned.lane < Lane::Disruptive));
    cases.extend(spread(disruptive, broken));
    let known_failures = suites
        .known_failures
        .iter()
        .filter(|(name, _)| *name == target.name.value)
        .map(|(_, known)| known.clone())
        .collect();
    Plan { cases, disruptive_left_out, known_failures }
}

/// Breaks every member once before any is broken again: what a fault leaves, such as a node that the registry believes in,
/// is gone by the time that the same member is broken next, and is not waited for.
fn spread<T>(cases: Vec<T>, member: impl Fn(&T) -> String) -> Vec<T> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut rounds: Vec<(usize, T)> = vec![];
    for case in cases {
        let round = times.entry(member(&case)).or_default();
        *round += 1;
        rounds.push((*round, case));
    }
    rounds.sort_by_key(|(round, _)| *round);
    rounds.into_iter().map(|(_, case)| case).collect()
}

/// What a case breaks.
fn broken(planned: &Planned<'_>) -> String {
    planned.member.as_ref().map(|(_, value)| value["name"].to_string()).unwrap_or_default()
}

/// A case, once or once per member.
fn members<'a>(case: &'a Case, target: &TargetFile) -> Vec<Planned<'a>> {
    let unrun = unrun(case, target);
    let one = |member: Option<(String, Value)>| Planned {
        name: case.name_of(member.as_ref().map(|(_, value)| value)),
        case,
        member,
        lane: lane(case),
        unrun: unrun.clone(),
    };
    match &case.for_each {
        Some((variable, members)) if unrun.is_none() => values(members, target)
            .into_iter()
            .map(|value| one(Some((variable.value.clone(), value))))
            .collect(),
        _ => vec![one(None)],
    }
}

/// Every name by which a case can be asked for. One that is not run stands in the plan once, whatever its members are.
pub(super) fn all_names(case: &Case, target: &TargetFile) -> Vec<String> {
    let mut names: Vec<String> = members(case, target).into_iter().map(|planned| planned.name).collect();
    if let Some((_, members)) = case.for_each.as_ref().filter(|_| names == [case.id.value.as_str()]) {
        names.extend(values(members, target).iter().map(|value| case.name_of(Some(value))));
    }
    names
}

fn values(members: &Members, target: &TargetFile) -> Vec<Value> {
    match members {
        Members::List(list) => list.clone(),
        Members::Group(group) => {
            let Some(found) = target.groups.get(group) else { return vec![] };
            let value = |name: &At<String>| {
                json!({
                    "name": name.value, "service": name.value, "group": group.value, "namespace": found.namespace,
                    "selector": selector_of(found, name).ok(), "image": found.image,
                })
            };
            found.members.iter().map(value).collect()
        }
    }
}

fn lane(case: &Case) -> Lane {
    if case.uses.disrupts() {
        Lane::Disruptive
    } else if case.is_alone || case.uses.is_alone {
        Lane::Alone
    } else if case.given.is_some() {
        Lane::Given
    } else {
        Lane::Shared
    }
}

fn unrun(case: &Case, target: &TargetFile) -> Option<Unrun> {
    let is_in = |list: &[crate::source::At<String>], need: &str| list.iter().any(|one| one.value == need);
    if let Some(lacked) = case.needs.iter().find(|need| is_in(&target.lacks, need)) {
        return Some(Unrun::Declared(format!("the target lacks `{}`", lacked.value)));
    }
    if let Some(need) = case.needs.iter().find(|need| !is_in(&target.provides, need)) {
        return Some(Unrun::Undeclared(format!("the target file says nothing of the need `{}`", need.value)));
    }
    withheld(case, target).map(Unrun::Declared)
}

/// A permit that the case needs and the target withholds.
fn withheld(case: &Case, target: &TargetFile) -> Option<String> {
    let mints = case.identities.iter().any(|(_, identity)| {
        target.identities.get(&identity.kind).is_some_and(|kind| kind.minted_by.is_some())
    });
    let wanted = case.uses.write.max(if mints { WritePermit::Own } else { WritePermit::None });
    if target.permits.write < wanted {
        return Some(format!("the target does not permit `write: {}`", format!("{wanted:?}").to_lowercase()));
    }
    let (_, Members::Group(group)) = case.for_each.as_ref().filter(|_| case.uses.disrupts())? else {
        return None;
    };
    let is_permitted = target.permits.disrupt.iter().any(|one| one.value == group.value);
    (!is_permitted).then(|| format!("the target does not permit to disrupt `{}`", group.value))
}

impl<'a> Planned<'a> {
    /// The flow that is run once before it and all others that name it.
    pub fn given(&self) -> Option<&'a str> {
        self.case.given.as_ref().map(|given| given.value.as_str())
    }

    /// What the event log says of it.
    pub fn described(&self) -> PlannedCase {
        PlannedCase {
            case: self.name.clone(),
            family: self.case.family.clone(),
            suite: self.case.suite.clone(),
            file: self.case.source.name.to_string(),
            line: self.case.place().line,
            why: self.case.why.value.clone(),
            tags: self.case.tags.iter().map(|tag| tag.value.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_broken_once_before_any_is_broken_again() {
        let cases = vec!["router 1", "router 2", "store 1", "auth 1", "store 2", "router 3"];
        let member = |case: &&str| case.split(' ').next().unwrap_or_default().to_owned();
        let order = spread(cases, member);
        assert_eq!(order, ["router 1", "store 1", "auth 1", "router 2", "store 2", "router 3"]);
    }
}
