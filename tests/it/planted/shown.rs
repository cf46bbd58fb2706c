//! A platform that answers with a secret in every encoding, in a text and in JSON: none of them is written.

use super::encodings::{ENCODINGS, Searcher};
use super::{code, files, stderr};
use crate::program::muster;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

const SECRET: &str = "q7!Zk-92_xV/w+Tt&\"'<b>";
/// What SECURITY.md says is not known: an encoding of an encoding, and what only this side thinks of.
const NOT_KNOWN: [&str; 4] = ["backwards", "hex with blanks", "list of bytes", "base64 twice"];

/// Answers `/text/NUMBER` and `/json/NUMBER` with the secret in that encoding; its address.
fn showing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut told = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = told.next().unwrap_or_default();
            while told.next().is_some_and(|line| !line.is_empty()) {}
            let path: Vec<&str> = first.split(['/', ' ']).collect();
            let shown = ENCODINGS[path[3].parse::<usize>().unwrap()].1(SECRET);
            let body =
                if path[2] == "json" { serde_json::json!({ "said": shown }).to_string() } else { shown };
            // A client that hangs up is no trouble.
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .ok();
        }
    });
    format!("http://{address}")
}

/// Two cases for each encoding that is known; all of them fail, and show what they found.
fn cases() -> String {
    let known = ENCODINGS.iter().enumerate().filter(|(_, (name, _))| !NOT_KNOWN.contains(name));
    let each = known.map(|(number, _)| {
        let case = |kind: &str, expects: &str| {
            let step = format!("{{ call: {{ get: /{kind}/{number}, expect: {{ {expects} }} }} }}");
            format!("  - id: {kind}-{number}\n    why: what is found is shown\n    steps: [{step}]\n")
        };
        case("text", "text: never") + &case("json", "body: { $.said: never }")
    });
    format!("title: Shown\ncases:\n{}", each.collect::<String>())
}

#[test]
fn a_secret_that_a_platform_shows_in_any_encoding_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("secret", SECRET);
    let identities = "identities: { operator: { id: me, secret: { file: secret } } }";
    let permits = "permits: { write: none, disrupt: [] }";
    write("target.yaml", &format!("name: shows\napi: {}\n{permits}\n{identities}\n", showing()));
    std::fs::create_dir(folder.path().join("suites")).unwrap();
    write("suites/shown.yaml", &cases());
    let mut command = muster();
    command.current_dir(folder.path()).args(["run", "--target", "target.yaml", "--suites", "suites"]);
    let output = command.args(["--state-dir", "state", "--report-dir", "reports"]).output().unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let searcher = Searcher::of(&[SECRET.to_owned()]);
    let told = [output.stdout, output.stderr];
    let written = files(&folder.path().join("reports")).into_iter().map(|path| std::fs::read(path).unwrap());
    let hits: Vec<String> = written.chain(told).flat_map(|bytes| searcher.hits(&bytes)).collect();
    assert!(hits.is_empty(), "{hits:#?}");
    let summary = crate::program::summary(&folder.path().join("reports"));
    let mut cut = 0;
    for case in summary["cases"].as_array().unwrap() {
        let message = case["failures"][0]["message"].as_str().unwrap();
        // The longest are cut before they are hidden: of one word no more is shown than its beginning.
        cut += usize::from(message.contains("… ("));
        assert!(message.contains("«secret»") || message.contains("… ("), "{case}");
    }
    assert!(cut < 6, "{cut} were cut, and show nothing");
}
