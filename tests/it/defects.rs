//! Every case can fail: each defect of the fakes turns the cases red that `fixtures/defects.yaml` names.

use crate::program::{muster, stderr, stdout, summary};
use muster::fake::Defect;
use muster::suite::{Folder, load, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

struct Row {
    defect: String,
    red: Vec<String>,
}

fn table() -> Vec<Row> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/defects.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: BTreeMap<String, serde_json::Value> = serde_saphyr::from_str(&text).unwrap();
    rows.into_iter()
        .map(|(defect, row)| {
            let red =
                row["red"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
            Row { defect, red }
        })
        .collect()
}

#[test]
fn every_defect_is_in_the_table_and_every_case_is_failed_by_one() {
    let rows = table();
    let known: BTreeSet<&str> = Defect::ALL.iter().map(|defect| defect.name()).collect();
    let listed: BTreeSet<&str> = rows.iter().map(|row| row.defect.as_str()).collect();
    assert_eq!(listed, known, "the table and the fakes name the same defects");
    assert!(rows.iter().all(|row| !row.red.is_empty()), "a defect that no case catches");
    let suites = load(&sources(&Folder::Embedded).unwrap()).unwrap();
    let cases: BTreeSet<&str> = suites.cases.iter().map(|case| case.id.value.as_str()).collect();
    let bare = |id: &str| id.split('[').next().unwrap().to_owned();
    let failed: BTreeSet<String> = rows.iter().flat_map(|row| row.red.iter().map(|id| bare(id))).collect();
    let failed: BTreeSet<&str> = failed.iter().map(String::as_str).collect();
    assert_eq!(failed, cases, "each case is failed by some defect, and each id in the table is a case");
}

/// Runs the listed cases with the defect on; gives those that stayed green.
fn green_under(row: &Row) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = muster()
        .args(["run", "--seed", "7", "--defect", &row.defect, "--report-dir"])
        .arg(folder.path())
        .args(&row.red)
        .output()
        .unwrap();
    let path = folder.path().join("summary.json");
    assert!(path.exists(), "{}: {}{}", row.defect, stdout(&output), stderr(&output));
    let summary = summary(folder.path());
    let is_red = |id: &String| {
        let of_id = |case: &&serde_json::Value| {
            let name = case["case"].as_str().unwrap();
            name == id || name.split('[').next() == Some(id)
        };
        summary["cases"]
            .as_array()
            .unwrap()
            .iter()
            .filter(of_id)
            .any(|case| case["outcome"] != "pass" && case["outcome"] != "skip")
    };
    row.red.iter().filter(|id| !is_red(id)).cloned().collect()
}

/// Takes one row after the other until none is left, and tells what stayed green.
fn try_rows(rows: &Mutex<Vec<Row>>, wrong: &Mutex<Vec<String>>) {
    let next = || rows.lock().unwrap().pop();
    while let Some(row) = next() {
        let green = green_under(&row);
        if !green.is_empty() {
            wrong.lock().unwrap().push(format!("{} leaves green: {}", row.defect, green.join(", ")));
        }
    }
}

#[test]
fn each_defect_turns_its_cases_red() {
    let rows = Mutex::new(table());
    let wrong = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| try_rows(&rows, &wrong));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
