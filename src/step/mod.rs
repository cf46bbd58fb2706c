//! One thing a case does.
//!
//! Lives here: operations, flows and templates, and the step kinds, one file each. Does not: the order of cases, or
//! how a change is undone (`run`).

mod template;

pub use template::{Data, Names, Template, TemplateError};
