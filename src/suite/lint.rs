//! What is wrong with suites that can be read: names that do not exist, promises without a reason, changes without an
//! undo.

use super::parse::{Case, Members, Suites};
use crate::source::{At, Invalid, Problem, Source, did_you_mean};
use crate::step::{Book, Look, STANDING_IDENTITIES, Uses};
use crate::target::TargetFile;
use std::collections::{BTreeMap, BTreeSet};

/// Looks over everything, and fills in what each case uses.
pub(super) fn look_over(suites: &mut Suites, sources: &[Source], invalid: &mut Invalid) {
    look_over_book(&suites.book, sources, invalid);
    unique_ids(&suites.cases, invalid);
    for case in &mut suites.cases {
        let (uses, problems) = look_at(case, &suites.book, &suites.needs);
        case.uses = uses;
        invalid.add(&case.source, problems);
    }
    if let Some(source) = sources.iter().find(|source| source.name.ends_with("known-failures.yaml")) {
        unknown_cases(suites, source, invalid);
    }
}

/// Looks over operations and flows.
pub(super) fn look_over_book(book: &Book, sources: &[Source], invalid: &mut Invalid) {
    if let Some(source) = sources.iter().find(|source| source.name.ends_with("operations.yaml")) {
        invalid.add(source, operation_problems(book, source));
    }
    for flow in book.flows.values() {
        let mut look = Look::new(book, flow.syntax.inputs.keys().map(|it| it.value.clone()));
        blank(&flow.syntax.why, &mut look);
        flow.steps.iter().for_each(|step| step.look(&mut look));
        flow.syntax.outputs.values().for_each(|data| look.data(data));
        for secret in flow.syntax.secret.iter().filter(|secret| !flow.syntax.outputs.contains_key(secret)) {
            look.problem(Problem::new(secret.at, format!("there is no output `{}`", secret.value)));
        }
        look.uses_of_flow(&flow.syntax.flow.value);
        invalid.add(&flow.source, look.problems);
    }
}

fn operation_problems(book: &Book, source: &Source) -> Vec<Problem> {
    let mut look = Look::new(book, Vec::<String>::new());
    for (name, operation) in &book.operations {
        operation.look(&At { value: name.clone(), at: place_of(name, source) }, &mut look);
    }
    look.problems
}

/// Where an operation's key stands: at the start of its line.
fn place_of(name: &str, source: &Source) -> crate::source::Place {
    let mut offset = 0;
    for (index, line) in source.text.split_inclusive('\n').enumerate() {
        if line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':')) {
            return crate::source::Place { line: index as u64 + 1, column: 1, offset, len: name.len() };
        }
        offset += line.len();
    }
    crate::source::Place::default()
}

fn unique_ids(cases: &[Case], invalid: &mut Invalid) {
    let mut seen: BTreeMap<&str, &Case> = BTreeMap::new();
    for case in cases {
        match seen.get(case.id.value.as_str()) {
            Some(first) => {
                let text = format!(
                    "the id `{}` is taken by {}:{}",
                    case.id.value, first.source.name, first.id.at.line
                );
                invalid.add(&case.source, [Problem::new(case.id.at, text)]);
            }
            None => drop(seen.insert(&case.id.value, case)),
        }
    }
}

fn look_at(case: &Case, book: &Book, needs: &BTreeMap<String, String>) -> (Uses, Vec<Problem>) {
    let mut look = Look::new(book, Vec::<String>::new());
    let is_kebab = case
        .id
        .split('-')
        .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    if !is_kebab {
        look.problem(Problem::new(
            case.id.at,
            format!("wanted lower-case words joined by `-`, found `{}`", case.id.value),
        ));
    }
    blank(&case.why, &mut look);
    if case.limit.is_zero() {
        look.problem(Problem::new(case.id.at, "`limit` wants a time above 0"));
    }
    if !case.has_steps {
        look.problem(Problem::new(case.id.at, "a case without steps proves nothing"));
    }
    for need in case.needs.iter().filter(|need| !needs.contains_key(&need.value)) {
        let hint = did_you_mean(need, needs.keys().map(String::as_str))
            .unwrap_or_else(|| "explain it with a sentence in needs.yaml".into());
        look.problem(Problem::new(need.at, format!("the need `{}` is not explained", need.value)).hint(hint));
    }
    if let Some((variable, _)) = &case.for_each {
        look.declare(variable);
    }
    look_identities(case, &mut look);
    for step in &case.steps {
        step.look(&mut look);
        if let Some(when) = &step.when {
            let hint = "a case does the same each time; what depends on something stands in a flow";
            look.problem(Problem::new(when.at, "`when` stands in the steps of flows only").hint(hint));
        }
    }
    look_given(case, &mut look);
    (look.uses, look.problems)
}

/// What is given to a case is given to others at the same time: none of them may want the platform to itself.
fn look_given(case: &Case, look: &mut Look<'_>) {
    let Some(given) = &case.given else { return };
    look.flow(given, &BTreeMap::new());
    if case.is_alone || look.uses.is_alone || look.uses.disrupts() {
        let text =
            "a case with `given` runs beside those that are given the same, and this one must run alone";
        look.problem(
            Problem::new(given.at, text).hint("take `given` away, and begin the case with a `flow` step"),
        );
    }
}

fn look_identities(case: &Case, look: &mut Look<'_>) {
    for (name, identity) in &case.identities {
        if STANDING_IDENTITIES.contains(&name.value.as_str()) {
            look.problem(Problem::new(name.at, format!("`{}` is there in every case", name.value)));
        }
        if let Some(of) = identity.of.as_ref().filter(|of| !look.identities.contains_key(*of)) {
            look.problem(
                Problem::new(identity.kind.at, format!("there is no identity `{of}` above this one"))
                    .maybe_hint(did_you_mean(of, look.identities.keys().map(String::as_str))),
            );
        }
        look.declare_identity(name, &identity.kind.value);
    }
}

fn blank(why: &At<String>, look: &mut Look<'_>) {
    if why.trim().is_empty() {
        look.problem(
            Problem::new(why.at, "`why` is empty").hint("say what would be lost if this did not hold"),
        );
    }
}

fn unknown_cases(suites: &Suites, source: &Source, invalid: &mut Invalid) {
    for (_, known) in &suites.known_failures {
        let id = known.case.split('[').next().unwrap_or_default();
        if !suites.cases.iter().any(|case| case.id.value == id) {
            let hint = did_you_mean(id, suites.cases.iter().map(|case| case.id.value.as_str()));
            let problem = Problem { text: format!("there is no case `{id}`"), hint, at: None };
            invalid.add(source, [problem]);
        }
    }
}

/// What is wrong between suites and a target: flows, operations, groups, databases and buckets that the one names and
/// the other lacks.
pub fn lint_target(suites: &Suites, file: &TargetFile, source: &Source) -> Invalid {
    let mut look = Look::new(&suites.book, Vec::<String>::new());
    for kind in file.identities.values() {
        for flow in kind.minted_by.iter().chain(&kind.signed_in_by) {
            known_flow(flow, &mut look);
        }
    }
    for mailbox in file.mailbox.values() {
        let Some((op, path)) = mailbox.asks() else { continue };
        look.reading_operation(op);
        path.into_iter().for_each(|path| look.json_path(path));
    }
    if let Some(registry) = &file.registry {
        look.reading_operation(&registry.op);
        look.json_path(&registry.nodes);
    }
    for need in file.provides.iter().chain(&file.lacks).filter(|need| !suites.needs.contains_key(&need.value))
    {
        let hint = did_you_mean(need, suites.needs.keys().map(String::as_str));
        look.problem(
            Problem::new(need.at, format!("no suite knows the need `{}`", need.value)).maybe_hint(hint),
        );
    }
    let mut invalid = Invalid::none();
    invalid.add(source, look.problems);
    for case in &suites.cases {
        invalid.add(&case.source, wrong_for(case, file));
    }
    invalid
}

fn known_flow(flow: &At<String>, look: &mut Look<'_>) {
    if look.book.lacks_flow(flow) {
        let hint = did_you_mean(flow, look.book.flows.keys().map(String::as_str));
        look.problem(Problem::new(flow.at, format!("there is no flow `{}`", flow.value)).maybe_hint(hint));
    }
}

/// Only cases whose needs the target meets are looked at: the others are skipped anyway.
fn wrong_for(case: &Case, file: &TargetFile) -> Vec<Problem> {
    let provides = |need: &At<String>| file.provides.iter().any(|one| one.value == need.value);
    if !case.needs.iter().all(provides) {
        return vec![];
    }
    let mut found = vec![];
    if let Some((_, Members::Group(group))) = &case.for_each
        && !file.groups.contains_key(group)
    {
        let hint = did_you_mean(group, file.groups.keys().map(|it| it.value.as_str()));
        let text = format!("the target `{}` has no group `{}`", file.name.value, group.value);
        found.push(Problem::new(group.at, text).maybe_hint(hint));
    }
    for (_, identity) in case.identities.iter().filter(|(_, it)| !file.identities.contains_key(&it.kind)) {
        let hint = did_you_mean(&identity.kind, file.identities.keys().map(|it| it.value.as_str()));
        let text = format!("the target `{}` has no identity `{}`", file.name.value, identity.kind.value);
        found.push(Problem::new(identity.kind.at, text).maybe_hint(hint));
    }
    let databases = file.databases.keys().map(|it| it.value.as_str()).collect();
    found.extend(unknown_places("database", &case.uses.databases, &databases, case, file));
    let buckets = file.buckets.keys().map(|it| it.value.as_str()).collect();
    found.extend(unknown_places("bucket", &case.uses.buckets, &buckets, case, file));
    found
}

/// Databases or buckets that a case uses and the target file does not name.
fn unknown_places(
    what: &str,
    used: &BTreeSet<String>,
    known: &BTreeSet<&str>,
    case: &Case,
    file: &TargetFile,
) -> Vec<Problem> {
    let unknown = used.iter().filter(|name| !known.contains(name.as_str()));
    let told = |name: &String| {
        let text = format!("the target `{}` has no {what} `{name}`", file.name.value);
        Problem::new(case.id.at, text).maybe_hint(did_you_mean(name, known.iter().copied()))
    };
    unknown.map(told).collect()
}
