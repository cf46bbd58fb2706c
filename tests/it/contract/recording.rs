//! Recordings and known differences, as they lie in `fixtures`.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Deserialize)]
pub(super) struct Recording {
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) transport: String,
    #[serde(default)]
    pub(super) wait_ms: u64,
    pub(super) poll: Option<Poll>,
    pub(super) request: Asked,
    pub(super) response: Told,
    #[serde(default)]
    pub(super) bind: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) bound: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) volatile: Vec<String>,
    #[serde(default)]
    pub(super) optional: Vec<String>,
    #[serde(default)]
    pub(super) unordered: Vec<String>,
    pub(super) messages_prefix: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Poll {
    pub(super) every_ms: u64,
    pub(super) max_ms: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    pub(super) messages: Option<Vec<Value>>,
    pub(super) cancel_after_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) status: Option<u16>,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    pub(super) messages: Option<Vec<Value>>,
    #[serde(default)]
    pub(super) trailers_only: bool,
    pub(super) grpc_status: Option<u32>,
    pub(super) grpc_message: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Difference {
    pub(super) file: String,
    pub(super) step: usize,
    pub(super) reason: String,
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

impl Recording {
    pub(super) fn read(file: &str) -> Self {
        let path = fixtures().join("captures").join(format!("{file}.json"));
        serde_json::from_reader(std::io::BufReader::new(std::fs::File::open(path).unwrap())).unwrap()
    }
}

impl Difference {
    pub(super) fn of_file(file: &str) -> Vec<Self> {
        let path = fixtures().join("contract-differences.yaml");
        let text = std::io::read_to_string(std::fs::File::open(path).unwrap()).unwrap();
        let all: Vec<Self> = serde_saphyr::from_str(&text).unwrap();
        all.into_iter().filter(|one| one.file == file).collect()
    }
}

/// The bytes of a body or message of a recording, with bound values filled in.
pub(super) fn bytes(value: &Value, bound: &BTreeMap<String, String>) -> Vec<u8> {
    use base64::Engine as _;
    match value {
        Value::String(text) => filled(text, bound).into_bytes(),
        Value::Object(members) if members.contains_key("parts") => {
            members["parts"].as_array().unwrap().iter().flat_map(|part| piece(part, bound)).collect()
        }
        Value::Object(members) => {
            let encoded = members.get("base64").and_then(Value::as_str).unwrap_or_default();
            base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()
        }
        _ => Vec::new(),
    }
}

/// A part of a long body: a text, or one that is repeated.
fn piece(part: &Value, bound: &BTreeMap<String, String>) -> Vec<u8> {
    match (part["repeat"].as_str(), part["times"].as_u64()) {
        (Some(text), Some(times)) => text.repeat(usize::try_from(times).unwrap()).into_bytes(),
        _ => filled(part.as_str().unwrap(), bound).into_bytes(),
    }
}

/// The text with every `${name}` filled in.
pub(super) fn filled(text: &str, bound: &BTreeMap<String, String>) -> String {
    bound.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}
