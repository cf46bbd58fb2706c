//! `suites/README.md` tells the truth: every case stands there, and every case that stands there exists.

use muster::suite::{Folder, load, sources};
use std::collections::BTreeSet;

#[test]
fn the_page_of_the_suites_names_exactly_the_cases_that_exist() {
    let suites = load(&sources(&Folder::Embedded).unwrap()).unwrap();
    let exist: BTreeSet<String> = suites.cases.iter().map(|case| case.id.value.clone()).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/suites/README.md")).unwrap();
    let is_case =
        |word: &&str| word.contains('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let families: BTreeSet<String> = suites.cases.iter().map(|case| case.family.clone()).collect();
    let quoted = page.split('`').skip(1).step_by(2).filter(is_case).map(str::to_owned);
    let named: BTreeSet<String> = quoted.filter(|word| !families.contains(word)).collect();
    assert_eq!(named, exist);
    for case in &suites.cases {
        assert!(page.contains(&case.why.value), "the promise of {} is another now", case.id.value);
    }
}
