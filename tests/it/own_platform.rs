//! A platform of somebody's own, which answers as it likes, and suites for it: what of it muster takes at its word.

use crate::program::{code, muster, stderr, stdout, summary};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

/// A request as the platform sees it.
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) what: String,
    pub(crate) token: String,
    pub(crate) body: Value,
}

/// An answer: status line, further headers, body.
pub(crate) struct Answer(pub(crate) &'static str, pub(crate) &'static str, pub(crate) String);

pub(crate) fn ok(body: &Value) -> Answer {
    Answer("200 OK", "", body.to_string())
}

/// What the platform holds, and what it was asked.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) items: BTreeMap<String, Value>,
    pub(crate) asked: Vec<String>,
}

pub(crate) type State = Arc<Mutex<Held>>;

/// A platform, and a folder with a target file and suites for it.
pub(crate) struct Own {
    pub(crate) address: String,
    pub(crate) state: State,
    folder: tempfile::TempDir,
}

impl Own {
    /// Serves whatever `answer` says.
    pub(crate) fn answering(answer: impl Fn(&Asked, &State) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap().to_string(), State::default());
        let (answer, shared) = (Arc::new(answer), state.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, shared) = (answer.clone(), shared.clone());
                std::thread::spawn(move || served(stream, |asked| answer(asked, &shared)));
            }
        });
        let own = Self { address, state, folder: tempfile::tempdir().unwrap() };
        own.write("secret", "of-the-operator-alone");
        own.target("");
        own
    }

    /// The target file, with further lines.
    pub(crate) fn target(&self, further: &str) {
        let text = format!(
            "name: own\napi: http://{}\npermits: {{ write: shared }}\n{further}identities:\n  operator: {{ id: boss, secret: {{ \
             file: secret }}, signed_in_by: sign-in }}\n  guest: {{ minted_by: new-guest }}\n  staff: {{ id: clerk, secret: {{ \
             file: secret }}, signed_in_by: sign-in }}\n",
            self.address
        );
        self.write("target.yaml", &text);
        let sign_in = "flow: sign-in\nwhy: an account signs in\ninputs: { id: text, secret: secret }\nsteps:\n  - call: { op: \
                       auth.token, json: { id: $(id) }, capture: { token: $.token } }\noutputs: { token: $(token) }\nsecret: \
                       [token]\n";
        self.write("suites/flows/sign-in.yaml", sign_in);
        let guest = "flow: new-guest\nwhy: a guest comes\ninputs: { name: text }\nsteps:\n  - call: { op: auth.token, json: { id: \
                     $(name) }, capture: { token: { path: $.token, or: null } } }\noutputs: { token: $(token) }\n";
        self.write("suites/flows/new-guest.yaml", guest);
        let undo = "flow: put-back\nwhy: the old value\ninputs: { id: text, old: any }\nsteps:\n  - call: { op: item.set, as: \
                    operator, with: { id: $(id) }, json: { value: $(old) } }\n";
        self.write("suites/flows/put-back.yaml", undo);
        let gone = "flow: take-away\nwhy: it goes\ninputs: { id: text }\nsteps:\n  - call: { op: item.delete, as: operator, with: { \
                    id: $(id) }, expect: { status: [200, 404] } }\n";
        self.write("suites/flows/take-away.yaml", gone);
        self.write("suites/operations.yaml", OPERATIONS);
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Cases: id, what is said of them besides, and steps.
    pub(crate) fn cases(&self, cases: &[(&str, &str, &str)]) {
        let one = |(id, besides, steps): &(&str, &str, &str)| {
            format!("  - id: {id}\n    why: it is judged\n{besides}    steps:\n{steps}\n")
        };
        let text: String = cases.iter().map(one).collect();
        self.write("suites/own/cases.yaml", &format!("title: Own\ncases:\n{text}"));
    }

    pub(crate) fn muster(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = muster();
        command.current_dir(self.folder.path()).arg(arguments[0]).args(["--target", "target.yaml"]);
        command.args(["--state-dir", "state"]).args(&arguments[1..]);
        if arguments[0] == "run" {
            command.args(["--suites", "suites", "--report-dir", "reports"]);
        }
        command
    }

    /// Runs every case: the exit code, and verdict, kind and message of the first failure of each case.
    pub(crate) fn run(&self) -> (i32, Vec<(String, String, String)>) {
        let output = self.muster(&["run", "--seed", "1", "--jobs", "1"]);
        let told = summary(&self.path("reports"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut cases: Vec<_> = told["cases"].as_array().unwrap().iter().collect();
        cases.sort_by_key(|case| text(&case["case"]));
        let ended = cases.iter().map(|case| {
            let first = &case["failures"][0];
            (text(&case["outcome"]), text(&first["kind"]), text(&first["message"]))
        });
        (code(&output), ended.collect())
    }

    pub(crate) fn item(&self, id: &str) -> Option<Value> {
        self.state.lock().unwrap().items.get(id).cloned()
    }

    pub(crate) fn set(&self, id: &str, value: Value) {
        self.state.lock().unwrap().items.insert(id.into(), value);
    }

    pub(crate) fn asked(&self, what: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|asked| *asked == what).count()
    }

    /// Whether any file in the folder, what was said included, holds a text.
    pub(crate) fn is_written(&self, text: &str, output: &Output) -> bool {
        let said = [stdout(output), stderr(output)].concat();
        said.contains(text) || holds(&self.path("reports"), text) || holds(&self.path("state"), text)
    }
}

/// Whether a file below a folder holds a text.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap).any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            holds(&path, text)
        } else {
            String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(text)
        }
    })
}

/// What an item is made, changed and deleted by. Making one says who may have been there; changing one looks before.
pub(crate) const OPERATIONS: &str = "refused: [{ status: 403 }]
auth.token: { http: POST /token, open_to: [anyone], effect: read, secret: [$.token] }
item.read: { http: 'GET /items/{id}', open_to: [anyone], effect: read }
item.make:
  http: POST /items/{id}
  open_to: [anyone]
  effect: write
  settles: 2s
  undo: { flow: take-away, with: { id: $(request.with.id) } }
item.set:
  http: PUT /items/{id}
  open_to: [operator]
  effect: write
  key: item:$(request.with.id)
  before:
    old: { op: item.value, capture: { value: $.value } }
  undo: { flow: put-back, with: { id: $(request.with.id), old: $(before.old.value) } }
item.value: { http: GET /items/one, open_to: [anyone], effect: read }
item.delete:
  http: DELETE /items/{id}
  open_to: [operator]
  effect: write
  part_of: item.make
";

/// Reads one request and answers it.
fn served(stream: TcpStream, answer: impl Fn(&Asked) -> Answer) {
    let mut reader = BufReader::new(&stream);
    let Some(asked) = asked(&mut reader) else { return };
    let Answer(status, headers, body) = answer(&asked);
    let length = if headers.contains("chunked") || headers.contains("Length") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    (&stream)
        .write_all(
            format!("HTTP/1.1 {status}\r\n{headers}{length}Connection: close\r\n\r\n{body}").as_bytes(),
        )
        .ok();
}

fn asked(reader: &mut impl BufRead) -> Option<Asked> {
    let mut lines = vec![];
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let found = lines.iter().find(|line| line.to_lowercase().starts_with(name));
        found.map(|line| line[name.len()..].trim().to_owned()).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length:").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let what = lines[0].rsplit_once(' ')?.0.to_owned();
    let token = header("authorization:").trim_start_matches("Bearer ").to_owned();
    Some(Asked { what, token, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// A platform that does as it is told.
pub(crate) fn obedient(asked: &Asked, state: &State) -> Answer {
    let mut held = state.lock().unwrap();
    held.asked.push(asked.what.clone());
    let (method, path) = asked.what.split_once(' ').unwrap();
    let id = path.rsplit('/').next().unwrap().to_owned();
    match (method, path) {
        (_, "/token") => {
            ok(&json!({ "token": format!("token-of-{}", asked.body["id"].as_str().unwrap_or("nobody")) }))
        }
        ("POST", _) if held.items.contains_key(&id) => Answer("409 Conflict", "", "{}".into()),
        ("POST" | "PUT", _) => {
            held.items.insert(id, asked.body["value"].clone());
            ok(&json!({}))
        }
        ("DELETE", _) => match held.items.remove(&id) {
            Some(_) => ok(&json!({})),
            None => Answer("404 Not Found", "", "{}".into()),
        },
        _ => match held.items.get(&id) {
            Some(value) => ok(&json!({ "value": value })),
            None => Answer("404 Not Found", "", "{}".into()),
        },
    }
}

pub(crate) fn kinds(ended: &[(String, String, String)]) -> Vec<(&str, &str)> {
    ended.iter().map(|(verdict, kind, _)| (verdict.as_str(), kind.as_str())).collect()
}

pub(crate) fn later(within: u64, then: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(within));
        then();
    });
}

pub(crate) fn held(state: &State) -> std::sync::MutexGuard<'_, Held> {
    state.lock().unwrap()
}
