//! Recordings and known differences, as they lie in `fixtures`.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Deserialize)]
pub struct Recording {
    pub steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub struct Step {
    pub name: String,
    pub transport: String,
    #[serde(default)]
    pub wait_ms: u64,
    pub poll: Option<Poll>,
    pub request: Asked,
    pub response: Told,
    #[serde(default)]
    pub bind: BTreeMap<String, String>,
    #[serde(default)]
    pub bound: BTreeMap<String, String>,
    #[serde(default)]
    pub volatile: Vec<String>,
    #[serde(default)]
    pub optional: Vec<String>,
    #[serde(default)]
    pub unordered: Vec<String>,
    pub messages_prefix: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub struct Poll {
    pub every_ms: u64,
    pub max_ms: u64,
}

#[derive(Debug, Deserialize)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    pub messages: Option<Vec<Value>>,
    pub cancel_after_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub struct Told {
    pub status: Option<u16>,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
    pub messages: Option<Vec<Value>>,
    #[serde(default)]
    pub trailers_only: bool,
    pub grpc_status: Option<u32>,
    pub grpc_message: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Difference {
    pub file: String,
    pub step: usize,
    pub reason: String,
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

impl Recording {
    pub fn read(file: &str) -> Self {
        let path = fixtures().join("captures").join(format!("{file}.json"));
        serde_json::from_reader(std::io::BufReader::new(std::fs::File::open(path).unwrap())).unwrap()
    }
}

impl Difference {
    pub fn of_file(file: &str) -> Vec<Self> {
        let path = fixtures().join("contract-differences.yaml");
        let text = std::io::read_to_string(std::fs::File::open(path).unwrap()).unwrap();
        let all: Vec<Self> = serde_saphyr::from_str(&text).unwrap();
        all.into_iter().filter(|one| one.file == file).collect()
    }
}

/// The bytes of a body or message of a recording, with bound values filled in.
pub fn bytes(value: &Value, bound: &BTreeMap<String, String>) -> Vec<u8> {
    use base64::Engine as _;
    match value {
        Value::String(text) => filled(text, bound).into_bytes(),
        Value::Object(members) => {
            let encoded = members.get("base64").and_then(Value::as_str).unwrap_or_default();
            base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()
        }
        _ => Vec::new(),
    }
}

/// The text with every `${name}` filled in.
pub fn filled(text: &str, bound: &BTreeMap<String, String>) -> String {
    bound.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}
