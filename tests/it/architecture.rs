//! The rules of `ARCHITECTURE.md` that a compiler does not keep: which room may use which, what every file says of
//! itself, and which doors stand alone.
//!
//! The checker is pure: text in, problems out. Its own tests show that each rule can be broken.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use crate::program::same_names;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each room may use.
type Table = BTreeMap<String, BTreeSet<String>>;

/// Names that say nothing of what a file holds.
const DRAWERS: [&str; 13] = [
    "util", "utils", "helper", "helpers", "common", "types", "errors", "misc", "manager", "handler", "info",
    "data", "process",
];

/// Words that only some files may write, and which.
const DOORS: [(&str, &[&str]); 5] = [
    ("std::env", &["src/host.rs"]),
    ("SystemTime::now", &["src/host.rs"]),
    ("process::exit", &["src/host.rs"]),
    ("tokio_postgres", &["src/client/postgres"]),
    ("written_before", &["src/secret/", "src/outcome/record.rs"]),
];

#[test]
fn the_sources_keep_to_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = table(&std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap()).unwrap();
    let files = sources(&root.join("src"));
    assert!(files.len() > 50, "only {} files were found", files.len());
    let mut problems: Vec<String> = cycle(&table).into_iter().collect();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        problems.extend(problems_of(&table, &file.strip_prefix(root).unwrap().to_string_lossy(), &text));
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_table_names_every_room_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = table(&std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap()).unwrap();
    let files = sources(&root.join("src"));
    let rooms: BTreeSet<String> =
        files.iter().filter_map(|file| room(&file.strip_prefix(root).unwrap().to_string_lossy())).collect();
    let told: BTreeSet<String> = table.into_keys().collect();
    same_names(&told, &rooms, "the table names each folder of src");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The rows between the two marks of `ARCHITECTURE.md`.
fn table(text: &str) -> Result<Table, String> {
    let (_, rest) = text.split_once("<!-- modules -->").ok_or("`<!-- modules -->` is missing")?;
    let (rows, _) =
        rest.split_once("<!-- end of modules -->").ok_or("`<!-- end of modules -->` is missing")?;
    let mut table = Table::new();
    for row in rows.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, rooms, uses, _] = cells[..] else { return Err(format!("not two cells: {row}")) };
        let may = allowed(uses, &table);
        for room in quoted(rooms) {
            table.insert(room, may.clone());
        }
    }
    let everything: BTreeSet<String> = table.keys().cloned().collect();
    for (room, may) in &mut table {
        if may.remove("everything") {
            *may = everything.iter().filter(|other| *other != room).cloned().collect();
        }
    }
    Ok(table)
}

fn allowed(uses: &str, above: &Table) -> BTreeSet<String> {
    if uses == "everything" {
        return ["everything".to_owned()].into();
    }
    let named: BTreeSet<String> = quoted(uses).collect();
    match uses.starts_with("all of the above but") {
        true => above.keys().filter(|room| !named.contains(*room)).cloned().collect(),
        false => named,
    }
}

fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The room of a file; none for the crate's root and the binary.
fn room(path: &str) -> Option<String> {
    let inside = path.strip_prefix("src/")?;
    match inside.split_once('/') {
        Some((folder, _)) => Some(folder.to_owned()),
        None => {
            Some(inside.trim_end_matches(".rs").to_owned()).filter(|name| name != "lib" && name != "main")
        }
    }
}

/// A way from a room back to itself, if the table has one.
fn cycle(table: &Table) -> Option<String> {
    let mut left = table.clone();
    while let Some(room) = left.iter().find(|(_, may)| may.is_empty()).map(|(room, _)| room.clone()) {
        left.remove(&room);
        for may in left.values_mut() {
            may.remove(&room);
        }
    }
    (!left.is_empty()).then(|| {
        format!("ARCHITECTURE.md: a cycle among {}", left.into_keys().collect::<Vec<_>>().join(", "))
    })
}

fn problems_of(table: &Table, path: &str, text: &str) -> Vec<String> {
    let mut problems = vec![];
    if !text.starts_with("//!") {
        problems.push(format!("{path}:1: no `//!` header says what lives here"));
    }
    let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
    if DRAWERS.contains(&&*stem) {
        problems.push(format!("{path}:1: `{stem}` says nothing of what the file holds"));
    }
    let code = without_tests(&without_comments(text));
    if let Some(room) = room(path) {
        problems.extend(
            wrong_edges(table, &room, &code).into_iter().map(|(line, what)| format!("{path}:{line}: {what}")),
        );
    }
    for (word, homes) in DOORS {
        for at in positions(&code, word).filter(|_| !homes.iter().any(|home| path.starts_with(home))) {
            problems.push(format!("{path}:{}: `{word}` belongs to {}", line_of(&code, at), homes.join(", ")));
        }
    }
    problems.extend(climbs(path, &code));
    problems
}

fn wrong_edges(table: &Table, room: &str, code: &str) -> Vec<(usize, String)> {
    let Some(may) = table.get(room) else { return vec![(1, format!("`{room}` is not in the table"))] };
    let is_wrong = |used: &String| used != room && !may.contains(used);
    uses(code)
        .into_iter()
        .filter(|(_, used)| is_wrong(used))
        .map(|(line, used)| (line, format!("`{room}` may not use `{used}`")))
        .collect()
}

/// Every name right below `crate`, with its line: `crate::name`, and each of `crate::{a, b::{c, d}}`.
fn uses(code: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    for at in positions(code, "crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(names_of(group).into_iter().map(|name| (line_of(code, at), name))),
            None => found.push((line_of(code, at), word(rest).to_owned())),
        }
    }
    found
}

/// The first name of each member of a group, up to its closing brace.
fn names_of(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut is_first) = (0_usize, vec![], true);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            _ if depth == 0 && is_first && is_of_word(letter) => {
                names.push(word(&group[at..]).to_owned());
                is_first = false;
            }
            _ => {}
        }
    }
    names
}

/// Paths that climb to the crate's root by `super`, where no table sees them.
fn climbs(path: &str, code: &str) -> Vec<String> {
    let depth = path.matches('/').count() - usize::from(path.ends_with("/mod.rs"));
    let chain = "super::".repeat(depth);
    let told =
        |at| format!("{path}:{}: reaches another room through `{chain}`, write `crate::`", line_of(code, at));
    if room(path).is_some() { positions(code, &chain).map(told).collect() } else { vec![] }
}

fn positions<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_whole = |at: &usize| !code[..*at].chars().next_back().is_some_and(is_of_word);
    code.match_indices(word).map(|(at, _)| at).filter(is_whole)
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word(text: &str) -> &str {
    text.split(|letter| !is_of_word(letter)).next().unwrap_or_default()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The code alone: comments, texts and letters are blanks, line breaks stay.
fn without_comments(text: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while !rest.is_empty() {
        let skipped = not_code(rest);
        let taken = if skipped == 0 { rest.chars().next().map_or(1, char::len_utf8) } else { skipped };
        let (piece, after) = rest.split_at(taken);
        match skipped {
            0 => kept.push_str(piece),
            _ => kept.extend(piece.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' })),
        }
        let is_name = skipped == 0 && piece.chars().all(is_of_word);
        let name = if is_name { word(after).len() } else { 0 };
        kept.push_str(&after[..name]);
        rest = &after[name..];
    }
    kept
}

/// How many bytes at the start are a comment, a text or a letter.
fn not_code(rest: &str) -> usize {
    let end = |found: Option<usize>, mark: &str| found.map_or(rest.len(), |at| at + mark.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return end(rest.find("*/"), "*/");
    }
    let raw = rest.trim_start_matches('b');
    if let Some(hashes) = raw.strip_prefix('r').map(|it| it.len() - it.trim_start_matches('#').len()) {
        let open = rest.len() - raw.len() + 1 + hashes;
        if rest[open..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            return end(rest[open + 1..].find(&close).map(|at| at + open + 1), &close);
        }
    }
    match rest.as_bytes() {
        [b'"', ..] => text_end(rest, '"'),
        [b'\'', b'\\', ..] => text_end(rest, '\''),
        [b'\'', ..] if rest.chars().nth(2) == Some('\'') => {
            rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at)
        }
        _ => 0,
    }
}

/// Where a quoted text ends, escapes respected.
fn text_end(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The code without what is built for tests only.
fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    while let Some(at) = kept.find("#[cfg(test)]") {
        let end = item_end(&kept[at..]) + at;
        let blank: String =
            kept[at..end].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect();
        kept.replace_range(at..end, &blank);
    }
    kept
}

/// Where an item ends: at its semicolon, or with the brace that closes it.
fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices() {
        match letter {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len()
}

const SMALL: &str = "\
<!-- modules -->
| module | may use |
|---|---|
| `host` `files` | – |
| `judge` | `files` |
| `run` | all of the above but `host` |
| `cli` | everything |
<!-- end of modules -->";

fn told(path: &str, text: &str) -> Vec<String> {
    problems_of(&table(SMALL).unwrap(), path, text)
}

#[test]
fn the_table_is_read_as_it_is_meant() {
    let table = table(SMALL).unwrap();
    let may = |room: &str| table[room].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(may("host"), Vec::<&str>::new());
    assert_eq!(may("run"), ["files", "judge"]);
    assert_eq!(may("cli"), ["files", "host", "judge", "run"]);
    assert_eq!(cycle(&table), None);
}

#[test]
fn an_edge_that_is_not_in_the_table_is_told_with_its_place() {
    let text = "//! A.\n\nuse crate::files;\nuse crate::{files::Lock, host};\nfn a() { crate::run::go() }\n";
    assert_eq!(
        told("src/judge/a.rs", text),
        ["src/judge/a.rs:4: `judge` may not use `host`", "src/judge/a.rs:5: `judge` may not use `run`"]
    );
    assert_eq!(told("src/cli/a.rs", text), Vec::<String>::new());
    assert_eq!(told("src/new.rs", "//! A.\n"), ["src/new.rs:1: `new` is not in the table"]);
}

#[test]
fn what_is_said_in_comments_texts_and_tests_is_no_edge() {
    let text = "//! See crate::run.\n/* crate::run */ const A: &str = \"crate::run \\\" crate::run\";\n\
                const B: &str = r#\"\"crate::run\"#;\nconst C: char = '\"';\nfn d<'a>(it: &'a str) {}\n\
                #[cfg(test)]\nmod tests {\n    use crate::run;\n}\n#[cfg(test)]\nuse crate::run;\n";
    assert_eq!(told("src/judge/a.rs", text), Vec::<String>::new());
    let after = format!("{text}use crate::run;\n");
    assert_eq!(told("src/judge/a.rs", &after), ["src/judge/a.rs:12: `judge` may not use `run`"]);
}

#[test]
fn a_climb_by_super_is_told() {
    let text = "//! A.\nuse super::super::run::Go;\n";
    let expected = "src/judge/a.rs:2: reaches another room through `super::super::`, write `crate::`";
    assert_eq!(told("src/judge/a.rs", text), [expected]);
    assert_eq!(told("src/judge/a.rs", "//! A.\nuse super::Go;\n"), Vec::<String>::new());
    assert_eq!(told("src/judge/mod.rs", "//! A.\nuse super::run;\n").len(), 1);
}

#[test]
fn a_cycle_is_told() {
    let table = table(
        "<!-- modules -->\n| `a` | `b` |\n| `b` | `c` |\n| `c` | `a` |\n| `d` | – |\n<!-- end of modules -->",
    );
    assert_eq!(cycle(&table.unwrap()).unwrap(), "ARCHITECTURE.md: a cycle among a, b, c");
}

#[test]
fn a_file_without_header_and_a_drawer_are_told() {
    assert_eq!(
        told("src/files.rs", "use std::fs;\n"),
        ["src/files.rs:1: no `//!` header says what lives here"]
    );
    let expected = "src/judge/helpers.rs:1: `helpers` says nothing of what the file holds";
    assert_eq!(told("src/judge/helpers.rs", "//! A.\n"), [expected]);
}

#[test]
fn a_word_of_a_door_elsewhere_is_told() {
    let text = "//! A.\nfn a() { std::env::var(\"A\"); }\nfn b() { std::time::SystemTime::now(); }\n\
                fn c() { std::process::exit(1) }\nfn d() { Masked::written_before(e) }\n";
    let lines: Vec<String> = told("src/judge/a.rs", text).iter().map(|it| it[..17].to_owned()).collect();
    assert_eq!(lines, ["src/judge/a.rs:2:", "src/judge/a.rs:3:", "src/judge/a.rs:4:", "src/judge/a.rs:5:"]);
    let at_home = told("src/host.rs", text);
    assert_eq!(at_home, ["src/host.rs:5: `written_before` belongs to src/secret/, src/outcome/record.rs"]);
}
