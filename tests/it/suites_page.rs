//! `suites/README.md` tells the truth: every case stands there, every case that stands there exists, and so for tags.

use crate::program::same_names;
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
    same_names(&named, &exist, "the page names each case");
    for case in &suites.cases {
        assert!(page.contains(&case.why.value), "the promise of {} is another now", case.id.value);
    }
}

#[test]
fn every_case_has_tags_and_the_page_explains_each() {
    let suites = load(&sources(&Folder::Embedded).unwrap()).unwrap();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/suites/README.md")).unwrap();
    for case in &suites.cases {
        let tags: BTreeSet<&str> = case.tags.iter().map(|tag| tag.value.as_str()).collect();
        let is_placed = ["smoke", "gate", "nightly"].iter().any(|tag| tags.contains(tag));
        assert!(is_placed, "{} is neither smoke, gate nor nightly", case.id.value);
        for tag in &tags {
            assert!(page.contains(&format!("\n| {tag} | ")), "the page does not explain the tag {tag}");
        }
        assert_eq!(case.uses.disrupts(), tags.contains("disruptive"), "{}", case.id.value);
    }
}
