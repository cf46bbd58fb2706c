//! What messages and methods the platform's services have: the reader of `schema.txt`.
//!
//! Lives here: the table and its look-ups. Does not: turning bytes into messages (`decode`, `protobuf`) or back
//! (`encode`), nor what a method does (`service`).

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The type of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// A boolean.
    Bool,
    /// Bytes; base64 in JSON.
    Bytes,
    /// A whole number that JSON shows as a number (`int32`).
    Small,
    /// A whole number that JSON shows as text (`int64`, `uint64`).
    Large {
        /// Whether negative numbers are allowed.
        signed: bool,
    },
    /// A map of text to text.
    Map,
    /// Another message, by name.
    Message(String),
    /// An enumeration, by name.
    Choice(String),
}

/// One field of a message.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Its name as the protocol buffer writes it.
    pub(crate) name: String,
    /// Its number in the binary encoding.
    pub(crate) number: u32,
    /// The type of one value.
    pub(crate) kind: Kind,
    /// Whether there are many.
    pub(crate) repeated: bool,
}

impl Field {
    /// Whether a request may call this field `name`: by its own name or by the lowerCamel form of it.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.name == name || lower_camel(&self.name) == name
    }
}

/// One method of a service.
#[derive(Debug, Clone)]
pub(crate) struct Method {
    /// `Handler.Method`.
    pub(crate) endpoint: String,
    /// The request's message.
    pub(crate) input: String,
    /// The reply's message.
    pub(crate) output: String,
    /// Whether it is a stream.
    pub(crate) stream: bool,
}

/// Every message, enumeration and method.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    messages: BTreeMap<String, Vec<Field>>,
    choices: BTreeMap<String, Vec<String>>,
    services: BTreeMap<String, Vec<Method>>,
}

const DEBUG: [(&str, &str); 4] = [
    ("Debug.Health", "debug.Health"),
    ("Debug.Stats", "debug.Stats"),
    ("Debug.Log", "debug.Log"),
    ("Debug.Trace", "debug.Trace"),
];

/// The one schema, read on first use.
pub(crate) fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| read(include_str!("schema.txt")))
}

impl Schema {
    /// The fields of a message; none for an unknown one.
    pub(crate) fn fields(&self, message: &str) -> &[Field] {
        self.messages.get(message).map_or(&[], Vec::as_slice)
    }

    /// The values of an enumeration, in the order of their numbers.
    pub(crate) fn values(&self, choice: &str) -> &[String] {
        self.choices.get(choice).map_or(&[], Vec::as_slice)
    }

    /// The methods of a service besides Debug, in alphabetical order.
    pub(crate) fn methods(&self, service: &str) -> &[Method] {
        self.services.get(service).map_or(&[], Vec::as_slice)
    }

    /// One method, Debug included.
    pub(crate) fn method(&self, service: &str, endpoint: &str) -> Option<Method> {
        if let Some((name, stem)) = DEBUG.iter().find(|(name, _)| *name == endpoint) {
            return Some(Method {
                endpoint: (*name).to_owned(),
                input: format!("{stem}Request"),
                output: format!("{stem}Response"),
                stream: false,
            });
        }
        self.methods(service).iter().find(|method| method.endpoint == endpoint).cloned()
    }

    /// Whether the service has a handler of this name.
    pub(crate) fn has_handler(&self, service: &str, handler: &str) -> bool {
        let of = |endpoint: &str| endpoint.split('.').next() == Some(handler);
        handler == "Debug" || self.methods(service).iter().any(|method| of(&method.endpoint))
    }
}

/// `token_expiry` → `tokenExpiry`.
fn lower_camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut up = false;
    for letter in name.chars() {
        match letter {
            '_' => up = true,
            other if up => {
                camel.extend(other.to_uppercase());
                up = false;
            }
            other => camel.push(other),
        }
    }
    camel
}

fn read(text: &str) -> Schema {
    let mut schema = Schema::default();
    let mut open = String::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_field = line.starts_with(' ');
        match words.as_slice() {
            [name, kind, number @ ..] if is_field => {
                let kind = field_kind(kind, &schema);
                let fields = schema.messages.entry(open.clone()).or_default();
                fields.push(field(name, kind, number, fields.len()));
            }
            ["enum", name, values @ ..] => {
                schema.choices.insert((*name).to_owned(), values.iter().map(|v| (*v).to_owned()).collect());
            }
            ["message", name] => {
                open = (*name).to_owned();
                schema.messages.insert(open.clone(), Vec::new());
            }
            ["rpc", service, endpoint, input, output, rest @ ..] => {
                let method = Method {
                    endpoint: (*endpoint).to_owned(),
                    input: (*input).to_owned(),
                    output: (*output).to_owned(),
                    stream: rest.contains(&"stream"),
                };
                schema.services.entry((*service).to_owned()).or_default().push(method);
            }
            _ => {}
        }
    }
    for methods in schema.services.values_mut() {
        methods.sort_by(|one, other| one.endpoint.cmp(&other.endpoint));
    }
    schema
}

fn field(name: &str, (kind, repeated): (Kind, bool), number: &[&str], before: usize) -> Field {
    let given = number.get(1).and_then(|text| text.parse().ok());
    let number = given.unwrap_or(u32::try_from(before).unwrap_or(0) + 1);
    Field { name: name.to_owned(), number, kind, repeated }
}

fn field_kind(word: &str, schema: &Schema) -> (Kind, bool) {
    let (word, repeated) = word.strip_prefix("[]").map_or((word, false), |inner| (inner, true));
    let kind = match word {
        "string" => Kind::Text,
        "bool" => Kind::Bool,
        "bytes" => Kind::Bytes,
        "int32" => Kind::Small,
        "int64" => Kind::Large { signed: true },
        "uint64" => Kind::Large { signed: false },
        "map" => Kind::Map,
        other if schema.choices.contains_key(other) => Kind::Choice(other.to_owned()),
        other => Kind::Message(other.to_owned()),
    };
    (kind, repeated)
}
