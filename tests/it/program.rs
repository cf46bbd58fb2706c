//! The built program against fakes in this process: what tests of the command line share.

use muster::fake::{self, Addresses, Fake, Options, Profile};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Fakes with their target file, in a folder of their own.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) fakes: Option<Fake>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_defects(&[])
    }

    /// With fakes that misbehave.
    pub(crate) fn with_defects(defects: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets_file = folder.path().join("secrets");
        let fakes = fake::start(Options {
            seed: 7,
            pace: 0.05,
            defects: defects.iter().map(|name| (*name).to_owned()).collect(),
            profile: Profile::Runbook,
            now: muster::host::now(),
            secrets_file: secrets_file.clone(),
            operator_secret: None,
            addresses: Addresses::default(),
        })
        .unwrap();
        std::fs::write(&secrets_file, &fakes.secrets).unwrap();
        std::fs::write(folder.path().join("target.yaml"), &fakes.target).unwrap();
        Self { folder, fakes: Some(fakes) }
    }

    /// With the fakes in a process of their own, which can be stopped as a whole.
    pub(crate) fn beside_fakes() -> (Self, Outside) {
        let bench = Self { folder: tempfile::tempdir().unwrap(), fakes: None };
        let mut fakes = muster();
        fakes.current_dir(bench.folder.path()).args(["fake", "--write", "target.yaml", "--seed", "7"]);
        let mut fakes = fakes.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let told = fakes.stderr.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(told), &mut said).unwrap();
        assert_eq!(said, "serving; press Ctrl-C to stop\n");
        (bench, Outside(fakes))
    }

    /// The suites of the repository without their cases, in the folder `suites`.
    pub(crate) fn suites_without_cases(&self) -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites");
        let to = self.path("suites");
        std::fs::create_dir_all(to.join("flows")).unwrap();
        for name in ["operations.yaml", "needs.yaml"] {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
        for entry in std::fs::read_dir(from.join("flows")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, to.join("flows").join(path.file_name().unwrap())).unwrap();
        }
        to
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The target file with something replaced.
    pub(crate) fn rewrite_target(&self, change: impl Fn(&str) -> String) {
        let path = self.path("target.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = change(&text);
        assert_ne!(text, changed, "the target file holds nothing to change");
        std::fs::write(path, changed).unwrap();
    }

    /// `muster COMMAND … --target …` with state and reports in the folder.
    pub(crate) fn muster(&self, arguments: &[&str]) -> Command {
        let mut command = muster();
        command.current_dir(self.folder.path()).arg(arguments[0]);
        command.args(["--target", "target.yaml", "--state-dir", "state"]).args(&arguments[1..]);
        if arguments[0] == "run" && !arguments.contains(&"--report-dir") {
            command.args(["--report-dir", "reports"]);
        }
        command
    }

    /// The whole state of the fakes but for what operations declare as residue: codes, notes of tables that were used, and
    /// what is kept of whom was deleted or cancelled.
    pub(crate) fn state(&self) -> Value {
        let target = std::fs::read_to_string(self.path("target.yaml")).unwrap();
        let address = target.lines().find_map(|line| line.strip_prefix("admin: http://")).unwrap();
        let mut state: Value = serde_json::from_str(&get(address, "/state")).unwrap();
        let micro = state.pointer_mut("/databases/micro").and_then(Value::as_object_mut).unwrap();
        ["signup", "store"].iter().for_each(|notes| drop(micro.remove(*notes)));
        for table in ["customers", "namespaces", "invite", "subscriptions"] {
            let records = micro.entry(table).or_insert_with(|| serde_json::json!({}));
            records.as_object_mut().unwrap().retain(|_, record| !is_gone(record));
        }
        // Declared: a namespace whose settings were all deleted keeps an empty record of them.
        let config = micro.get_mut("config").and_then(Value::as_object_mut).unwrap();
        config.retain(|_, settings| *settings != serde_json::json!({}));
        let all = state.as_object_mut().unwrap();
        ["mails", "events", "registry", "pods"].iter().for_each(|part| drop(all.remove(*part)));
        state
    }
}

/// Whether the platform keeps this of what was deleted, cancelled, or counted.
fn is_gone(record: &Value) -> bool {
    let is_deleted = ["status", "Status"].iter().any(|status| record[*status] == "deleted");
    let is_cancelled = record["expires"].as_i64().is_some_and(|at| at > 0);
    is_deleted || is_cancelled || record["Deleted"] == true || *record == serde_json::json!({})
}

/// A process that ends with its test, however that ends.
pub(crate) struct Outside(pub(crate) std::process::Child);

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The built program, in an environment of its own.
pub(crate) fn muster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
    command.env_remove("MUSTER_OPERATOR").env("NO_COLOR", "1").env("CI", "1");
    command
}

/// The operator's secret in the text of a secrets file.
pub(crate) fn operator_secret(secrets: &str) -> String {
    secrets.lines().find_map(|line| line.strip_prefix("MUSTER_OPERATOR=")).unwrap().to_owned()
}

/// A GET by hand: this side shares no code with the clients under test.
pub(crate) fn get(address: &str, path: &str) -> String {
    exchanged(address, &format!("GET {path} HTTP/1.1\r\n"), "")
}

/// A strategic PATCH by hand.
pub(crate) fn patched(address: &str, path: &str, patch: &str) -> String {
    let kind = "Content-Type: application/strategic-merge-patch+json";
    let head = format!("PATCH {path} HTTP/1.1\r\n{kind}\r\nContent-Length: {}\r\n", patch.len());
    exchanged(address, &head, patch)
}

fn exchanged(address: &str, head: &str, body: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "{head}Host: {address}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// The summary of a run.
pub(crate) fn summary(folder: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("summary.json")).unwrap()).unwrap()
}

/// Fails with the names that stand in one of two sets only.
pub(crate) fn same_names<T: Ord + std::fmt::Debug>(
    one: &std::collections::BTreeSet<T>,
    other: &std::collections::BTreeSet<T>,
    wanted: &str,
) {
    let lacking: Vec<&T> = other.difference(one).collect();
    let beyond: Vec<&T> = one.difference(other).collect();
    assert!(lacking.is_empty() && beyond.is_empty(), "{wanted}; lacking {lacking:?}, and unknown {beyond:?}");
}
