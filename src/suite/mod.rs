//! Files into cases, or every problem at once.
//!
//! Lives here: where suites come from (`discover`), their files as trees (`trees`), what their files say (`parse`), what is wrong with them (`lint`),
//! and the JSON Schema of it all (`schema`). Does not: what a step kind says (`step`), or which cases are run (`run`).

mod discover;
mod lint;
mod parse;
mod schema;
mod trees;

pub use discover::{Folder, sources};
pub use lint::lint_target;
pub use parse::{Case, IdentityUse, Members, Suites, is_book, load, load_book};
pub use schema::schema;
