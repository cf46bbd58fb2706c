//! Every case can fail: each defect of the fakes turns the cases red that `fixtures/defects.yaml` names.
//!
//! A case is red if it *fails*: one that could not be judged noticed nothing. Where that is the right verdict, the row
//! says `inconclusive`. A case that breaks something runs by itself, for an earlier fault would keep it from judging.

use crate::program::{muster, same_names, stderr, stdout, summary};
use muster::fake::Defect;
use muster::suite::{Case, Folder, Suites, load, sources};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

struct Row {
    defect: String,
    /// Ids of cases, each with the outcome that it must have.
    wanted: Vec<(String, &'static str)>,
}

fn table() -> Vec<Row> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/defects.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: BTreeMap<String, Value> = serde_saphyr::from_str(&text).unwrap();
    rows.into_iter()
        .map(|(defect, row)| {
            let ids = |key: &str| row.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            let with = |outcome| move |id: Value| (id.as_str().unwrap().to_owned(), outcome);
            let fail = ids("red").into_iter().map(with("fail"));
            let wanted = fail.chain(ids("inconclusive").into_iter().map(with("inconclusive"))).collect();
            Row { defect, wanted }
        })
        .collect()
}

fn suites() -> Suites {
    load(&sources(&Folder::Embedded).unwrap()).unwrap()
}

fn bare(id: &str) -> &str {
    id.split('[').next().unwrap()
}

#[test]
fn every_defect_is_in_the_table_and_every_case_is_failed_by_one() {
    let rows = table();
    let known: BTreeSet<&str> = Defect::ALL.iter().map(|defect| defect.name()).collect();
    let listed: BTreeSet<&str> = rows.iter().map(|row| row.defect.as_str()).collect();
    same_names(&listed, &known, "the table names each defect of the fakes");
    assert!(rows.iter().all(|row| !row.wanted.is_empty()), "a defect that no case catches");
    let suites = suites();
    let cases: BTreeSet<&str> = on_fakes(&suites).map(|case| case.id.value.as_str()).collect();
    let all = rows.iter().flat_map(|row| &row.wanted);
    let failed: BTreeSet<&str> =
        all.filter(|(_, outcome)| *outcome == "fail").map(|(id, _)| bare(id)).collect();
    same_names(&failed, &cases, "each case is failed by a defect of the table");
}

/// The fakes have no database: cases that ask one are turned red on a real one, by `ci/database/verdicts.py`.
fn on_fakes(suites: &Suites) -> impl Iterator<Item = &Case> {
    suites.cases.iter().filter(|case| case.uses.databases.is_empty())
}

#[test]
fn each_case_that_asks_a_database_is_turned_red_on_a_real_one() {
    let suites = suites();
    let script = include_str!("../../ci/database/verdicts.py");
    let (_, table) = script.split_once("OUR_OWN = {").unwrap();
    let table = table.split_once("\n}").unwrap().0;
    let listed: BTreeSet<&str> = table.split('"').skip(1).step_by(4).collect();
    let asking = suites.cases.iter().filter(|case| !case.uses.databases.is_empty());
    same_names(&listed, &asking.map(|case| case.id.value.as_str()).collect(), "OUR_OWN names each of them");
}

/// The rows as runs: the ids that break something one by one and first, for they take longest; the rest of a row at
/// once.
fn runs() -> Vec<Row> {
    let suites = suites();
    let disrupts =
        |id: &str| suites.cases.iter().any(|case| case.id.value == bare(id) && case.uses.disrupts());
    let (mut alone, mut together) = (vec![], vec![]);
    for Row { defect, wanted } in table() {
        let (breaking, rest): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(id, _)| disrupts(id));
        alone.extend(breaking.into_iter().map(|one| Row { defect: defect.clone(), wanted: vec![one] }));
        together.push(Row { defect, wanted: rest });
    }
    together.retain(|row| !row.wanted.is_empty());
    together.extend(alone);
    together
}

/// Runs the listed cases with the defect on; gives those that ended otherwise.
fn wrong_under(row: &Row) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    // Not in the checkout: replies that differ are pending beside the reports then.
    let output = muster()
        .current_dir(folder.path())
        .args(["run", "--seed", "7", "--defect", &row.defect, "--report-dir"])
        .arg(folder.path())
        .args(row.wanted.iter().map(|(id, _)| id))
        .output()
        .unwrap();
    let path = folder.path().join("summary.json");
    assert!(path.exists(), "{}: {}{}", row.defect, stdout(&output), stderr(&output));
    let summary = summary(folder.path());
    let cases = summary["cases"].as_array().unwrap();
    row.wanted.iter().filter_map(|(id, outcome)| wrong(cases, id, outcome)).collect()
}

/// What is wrong with a case, or with all of its members.
fn wrong(cases: &[Value], id: &str, outcome: &str) -> Option<String> {
    let name = |case: &Value| case["case"].as_str().unwrap().to_owned();
    let mut of_id = cases.iter().filter(|case| name(case) == id || bare(&name(case)) == id);
    let ended = |case: &Value| format!("{} {} {}", name(case), case["outcome"], case["failures"]);
    let all: Vec<String> = of_id.clone().map(ended).collect();
    (!of_id.any(|case| case["outcome"] == outcome)).then(|| format!("wanted {outcome}: {}", all.join("; ")))
}

/// Takes one row after the other until none is left, and tells which case did not end as wanted.
fn try_rows(rows: &Mutex<Vec<Row>>, all_wrong: &Mutex<Vec<String>>) {
    let next = || rows.lock().unwrap().pop();
    while let Some(row) = next() {
        // A run in which this machine was too busy to ask on its beat has decided nothing, and is made again.
        let is_decided = |wrong: &Vec<String>| !wrong.iter().any(|it| it.contains("probe.blind"));
        let wrong = (0..3).map(|_| wrong_under(&row)).find(is_decided).unwrap_or_else(|| wrong_under(&row));
        if !wrong.is_empty() {
            all_wrong.lock().unwrap().push(format!("{}: {}", row.defect, wrong.join("\n")));
        }
    }
}

#[test]
fn each_defect_turns_its_cases_red() {
    let rows = Mutex::new(runs());
    let wrong = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| try_rows(&rows, &wrong));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
