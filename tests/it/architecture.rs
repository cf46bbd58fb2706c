//! The rules of ARCHITECTURE.md that a program can check, and the words that two files must share.

mod code;
mod table;

use code::{bare, before_tests, paths};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use table::Table;

/// Files by their path from the project's folder, such as `src/host.rs`.
type Files = BTreeMap<String, String>;

/// What may stand in few files only: the words, and where.
const DOORS: [(&[&str], &[&str]); 5] = [
    (&["written_before"], &["src/secret/mod.rs", "src/outcome/record.rs"]),
    (&["std", "env"], &["src/host.rs"]),
    (&["SystemTime", "now"], &["src/host.rs"]),
    (&["process", "exit"], &["src/host.rs"]),
    (&["thread", "sleep"], &["src/host.rs", "src/probe/"]),
];

/// Files that belong to no module: they name the modules, or call one of them.
const ROOTS: [&str; 2] = ["src/lib.rs", "src/main.rs"];

/// Everything that breaks a rule, each with its file and line.
fn broken(files: &Files, table: &Table) -> Vec<String> {
    let mut found: Vec<String> = files.iter().flat_map(|(name, text)| broken_in(name, text, table)).collect();
    found.extend(rows_without_module(files, table));
    for (what, graph) in [("the table", table.clone()), ("the code", used(files))] {
        found.extend(table::cycle(&graph).map(|way| format!("a cycle in {what}: {}", way.join(" → "))));
    }
    found
}

fn broken_in(name: &str, text: &str, table: &Table) -> Vec<String> {
    let bare = bare(text);
    let (code, hiding) = before_tests(&bare);
    let mut found = vec![];
    if !text.starts_with("//! ") {
        found.push(format!("{name}:1: no `//!` header that says what lives here"));
    }
    found.extend(hiding.map(|line| format!("{name}:{line}: `#[cfg(test)]` before anything but the tests' module")));
    found.extend(closed_doors(name, code));
    for (module, line) in modules_used(name, code) {
        let from = module_of(name);
        if !ROOTS.contains(&name) && from != module && !table.get(from).is_some_and(|used| used.contains(&module)) {
            found.push(format!("{name}:{line}: `{from}` may not use `{module}`"));
        }
    }
    found
}

fn closed_doors<'a>(name: &'a str, code: &'a str) -> impl Iterator<Item = String> + 'a {
    let is_open = |places: &[&str]| places.iter().any(|place| name == *place || (place.ends_with('/') && name.starts_with(place)));
    let closed = DOORS.iter().filter(move |(_, places)| !is_open(places));
    closed.flat_map(move |(words, places)| {
        lines_with(code, words).map(move |line| format!("{name}:{line}: `{}` outside {}", words.join("::"), places.join(" and ")))
    })
}

/// Lines with these words in a row in one path; a single word counts wherever it stands.
fn lines_with<'a>(code: &'a str, words: &'a [&'a str]) -> Box<dyn Iterator<Item = usize> + 'a> {
    if let [word] = words {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let has = move |line: &str| line.split(|c| !is_part(c)).any(|found| found == *word);
        return Box::new(code.lines().enumerate().filter(move |(_, line)| has(line)).map(|(index, _)| index + 1));
    }
    let has = move |path: &code::Path| path.segments.windows(words.len()).any(|window| window == words);
    Box::new(paths(code).into_iter().filter(has).map(|path| path.line))
}

/// `src/step/poll.rs` → `step`, `src/host.rs` → `host`.
fn module_of(name: &str) -> &str {
    let inner = name.strip_prefix("src/").unwrap_or(name);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// The modules that a file uses: by `crate::`, or by so many `super::` that they lead to the root.
fn modules_used(name: &str, code: &str) -> Vec<(String, usize)> {
    let depth = depth_of(name);
    let used = |path: &code::Path| {
        let steps_up = path.segments.iter().take_while(|segment| *segment == "super").count();
        let at = if path.segments[0] == "crate" { 1 } else { steps_up };
        let reaches_root = path.segments[0] == "crate" || steps_up >= depth.max(1);
        reaches_root.then(|| path.segments.get(at).cloned()).flatten()
    };
    paths(code).iter().filter_map(|path| used(path).map(|module| (module, path.line))).collect()
}

/// How many times `super` leads from a file's module to the root.
fn depth_of(name: &str) -> usize {
    let segments = name.trim_end_matches(".rs").split('/').skip(1).filter(|segment| *segment != "mod");
    segments.count()
}

/// The graph that the code really is.
fn used(files: &Files) -> Table {
    let mut graph = Table::new();
    for (name, text) in files.iter().filter(|(name, _)| !ROOTS.contains(&name.as_str())) {
        let bare = bare(text);
        let from = module_of(name);
        let others = modules_used(name, before_tests(&bare).0).into_iter().map(|(module, _)| module);
        graph.entry(from.to_owned()).or_default().extend(others.filter(|module| module != from));
    }
    graph
}

fn rows_without_module(files: &Files, table: &Table) -> Vec<String> {
    let modules: BTreeSet<&str> =
        files.keys().filter(|name| !ROOTS.contains(&name.as_str())).map(|name| module_of(name)).collect();
    let rows: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    let lacking = modules.difference(&rows).map(|module| format!("ARCHITECTURE.md has no row on `{module}`"));
    let empty = rows.difference(&modules).map(|row| format!("ARCHITECTURE.md has a row on `{row}`, which is no module"));
    lacking.chain(empty).collect()
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    std::fs::read_to_string(project().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every Rust file below a folder.
fn rust_files(folder: &str) -> Files {
    let mut files = Files::new();
    let mut folders = vec![project().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(project()).unwrap().display().to_string();
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn the_code_keeps_the_rules_of_the_architecture() {
    let files = rust_files("src");
    assert!(files.contains_key("src/lib.rs") && files.len() > 50, "only {} files were found", files.len());
    let found = broken(&files, &table::read(&document("ARCHITECTURE.md")));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_readme_tells_the_exit_codes_in_the_words_of_the_program() {
    let mut table = String::from("| exit | meaning |\n|---|---|\n");
    for ending in muster::outcome::Ending::ALL {
        let _ = writeln!(table, "| {} | {} |", ending.code(), ending.meaning());
    }
    let readme = document("README.md");
    assert!(readme.contains(&table), "README.md should hold this table, and nothing else of its kind:\n{table}");
    assert_eq!(readme.matches("| exit | meaning |").count(), 1);
}

#[test]
fn places_that_the_documents_name_are_there() {
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "suites/README.md"] {
        let gone: Vec<String> = places(&document(name)).into_iter().filter(|place| !project().join(place).exists()).collect();
        assert!(gone.is_empty(), "{name} names files that are not there: {}", gone.join(", "));
    }
}

#[test]
fn tests_that_keep_a_promise_are_there() {
    let mut code: String = rust_files("src").into_values().collect();
    code.extend(rust_files("tests").into_values());
    let promised = test_names(&document("SECURITY.md"));
    assert!(promised.len() > 10, "SECURITY.md names only {} tests", promised.len());
    let gone: Vec<&String> = promised.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(gone.is_empty(), "SECURITY.md names tests that are not there: {gone:?}");
}

/// Words in backquotes that are paths into the project's own folders.
fn places(document: &str) -> BTreeSet<String> {
    const FOLDERS: [&str; 6] = ["src/", "suites/", "fixtures/", "tests/", "ci/", ".ci/"];
    let is_plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let quoted = document.split('`').skip(1).step_by(2);
    quoted.filter(|word| is_plain(word) && FOLDERS.iter().any(|it| word.starts_with(it))).map(str::to_owned).collect()
}

/// Words in backquotes that are sentences: names of tests.
fn test_names(document: &str) -> BTreeSet<String> {
    let is_name = |word: &str| word.matches('_').count() >= 3 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    document.split('`').skip(1).step_by(2).filter(|word| is_name(word)).map(str::to_owned).collect()
}

#[cfg(test)]
mod checker {
    use super::*;

    const TABLE: &str = "<!-- modules -->\n| `files` `host` | – |\n| `run` | `files` |\n<!-- /modules -->";

    /// A project of three modules that keeps every rule, with some files replaced.
    fn broken_with(changed: &[(&str, &str)]) -> Vec<String> {
        let good = [("src/lib.rs", "//! Root.\npub mod run;"), ("src/files.rs", "//! F."), ("src/host.rs", "//! H.")];
        let mut files: Files = good.iter().chain(changed).map(|(name, text)| ((*name).into(), (*text).into())).collect();
        files.entry("src/run/mod.rs".into()).or_insert_with(|| "//! R.\nuse crate::files;".into());
        broken(&files, &table::read(TABLE))
    }

    #[test]
    fn a_project_that_keeps_the_rules_is_left_alone() {
        assert_eq!(broken_with(&[]), Vec::<String>::new());
    }

    #[test]
    fn each_broken_rule_is_told_at_its_place() {
        for (name, text, expected) in [
            ("src/files.rs", "//! F.\n\nuse crate::{host, files::x};", "src/files.rs:3: `files` may not use `host`"),
            ("src/files.rs", "//! F.\nuse super::host;", "src/files.rs:2: `files` may not use `host`"),
            ("src/run/plan.rs", "//! P.\nfn f() { super::super::host::now() }", "src/run/plan.rs:2: `run` may not use `host`"),
            ("src/host.rs", "use x;", "src/host.rs:1: no `//!` header that says what lives here"),
            ("src/run/a.rs", "//! A.\nstd::env::var(x)", "src/run/a.rs:2: `std::env` outside src/host.rs"),
            ("src/run/a.rs", "//! A.\nuse std::{\n fs, env};", "src/run/a.rs:3: `std::env` outside src/host.rs"),
            ("src/run/a.rs", "//! A.\nSystemTime::now()", "src/run/a.rs:2: `SystemTime::now` outside src/host.rs"),
            ("src/run/a.rs", "//! A.\nuse std::process::{self, exit};", "src/run/a.rs:2: `process::exit` outside src/host.rs"),
            ("src/run/a.rs", "//! A.\nthread::sleep(x)", "src/run/a.rs:2: `thread::sleep` outside src/host.rs and src/probe/"),
            (
                "src/run/a.rs",
                "//! A.\nMasked::written_before(x)",
                "src/run/a.rs:2: `written_before` outside src/secret/mod.rs and src/outcome/record.rs",
            ),
            (
                "src/run/a.rs",
                "//! A.\n#[cfg(test)]\nfn f() {}\nuse crate::host;",
                "src/run/a.rs:2: `#[cfg(test)]` before anything but the tests' module",
            ),
        ] {
            assert_eq!(broken_with(&[(name, text)]), [expected], "{text}");
        }
    }

    #[test]
    fn a_door_may_be_used_where_it_stands_and_spoken_of_elsewhere() {
        let spoken = "//! A.\n/// Like `crate::host` and std::env::var.\nfn f() { g(\"std::process::exit\") }";
        let tested = "//! B.\n#[cfg(test)]\nmod tests { use crate::host; }";
        let files = [("src/host.rs", "//! H.\nstd::env::args()"), ("src/run/a.rs", spoken), ("src/run/b.rs", tested)];
        assert_eq!(broken_with(&files), Vec::<String>::new());
    }

    #[test]
    fn a_module_without_a_row_and_a_row_without_a_module_are_told() {
        assert_eq!(broken_with(&[("src/util.rs", "//! U.")]), ["ARCHITECTURE.md has no row on `util`"]);
        let table = table::read("<!-- modules -->\n| `gone` | – |\n<!-- /modules -->");
        assert_eq!(broken(&Files::new(), &table), ["ARCHITECTURE.md has a row on `gone`, which is no module"]);
    }

    #[test]
    fn a_cycle_in_the_code_is_told_even_if_the_table_allows_each_edge() {
        let files: Files = [("src/a.rs", "//! A.\nuse crate::b;"), ("src/b.rs", "//! B.\nuse crate::a;")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into();
        let table = table::read("<!-- modules -->\n| `a` | `b` |\n| `b` | `a` |\n<!-- /modules -->");
        assert_eq!(broken(&files, &table), ["a cycle in the table: a → b → a", "a cycle in the code: a → b → a"]);
    }

    #[test]
    fn the_names_in_a_document_are_told_from_its_other_words() {
        let text = "`src/host.rs` `cargo test` `src/**/*.rs` `a_secret_is_hidden` `Masked`";
        assert_eq!(places(text), BTreeSet::from(["src/host.rs".to_owned()]));
        assert_eq!(test_names(text), BTreeSet::from(["a_secret_is_hidden".to_owned()]));
    }
}
