//! A change and its undo, as data. Neither holds a secret.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that an operation is about to change, or has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its number within the journal, from 1.
    pub number: u64,
    /// The case that makes it.
    pub case: String,
    /// The operation.
    pub operation: String,
    /// How it is put back; `None` where the operation only leaves declared residue.
    pub undo: Option<Undo>,
    /// The key of the shared thing it changes, if it is shared.
    pub key: Option<String>,
}

/// A flow that puts a change back, with its inputs as they were rendered before the change was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The flow's name.
    pub flow: String,
    /// Its inputs.
    pub with: Map<String, Value>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(undo) = &self.undo {
            write!(f, " (put back by {} {})", undo.flow, Value::Object(undo.with.clone()))?;
        }
        Ok(())
    }
}
