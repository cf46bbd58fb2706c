//! `muster schema`.

use super::args::SchemaArguments;
use super::{Ended, Refusal};
use crate::outcome::Ending;
use crate::{host, suite};

/// Prints a JSON Schema.
pub(super) fn schema(arguments: &SchemaArguments) -> Ended {
    let schema = suite::schema(&arguments.kind).ok_or_else(|| {
        Refusal::new(format!(
            "there is no schema `{}`\nhint: schemas are suite, flow, operations, target, known-failures",
            arguments.kind
        ))
    })?;
    host::print(&format!("{}\n", serde_json::to_string_pretty(&schema)?));
    Ok(Ending::Passed)
}
