//! Text with places: a file that was read, where something stands in it, and how a problem with it is shown.
//!
//! Lives here: places, problems and their drawing, the YAML tree with places (`tree`), and the reader that turns that
//! tree into typed values while it collects every problem (`reader`). Does not: what a suite or a target may say.

mod at;
mod concealed;
mod quotes;
mod reader;
mod time;
mod tree;
mod words;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt;
use std::sync::Arc;

pub use at::{At, Whole};
pub use quotes::outside_quotes;
pub use reader::{Problems, read};
pub use time::{Span, span};
pub use tree::{Key, Node, What, tree};

/// A file that was read: its name as the reader of a message knows it, and its text.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path as given, relative where it was given so.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl Source {
    /// A source of the given name and text.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// Where something stands in a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1; 0 if it is not to be shown.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Bytes before it.
    pub offset: usize,
    /// Its length in bytes; 0 for a block map or list.
    pub len: usize,
}

/// One problem with a text: what was wanted and what was found, where, and what to do.
#[derive(Debug, Clone, Default)]
pub struct Problem {
    /// Where, if it has a place.
    pub at: Option<Place>,
    /// What was wanted and what was found: a lowercase fragment without a period.
    pub text: String,
    /// What to do about it, if something can be done.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(at: Place, text: impl Into<String>) -> Self {
        Self { at: Some(at), text: text.into(), hint: None }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem with a hint, if there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = self.hint.or(hint);
        self
    }
}

/// Every problem that was found, each with its source: why a suite or a target file cannot be used.
#[derive(Debug, Clone, Default)]
pub struct Invalid {
    found: Vec<(Source, Problem)>,
}

impl Invalid {
    /// Nothing found so far.
    pub fn none() -> Self {
        Self::default()
    }

    /// One problem with one source.
    pub fn one(source: &Source, problem: Problem) -> Self {
        Self { found: vec![(source.clone(), problem)] }
    }

    /// Adds problems of one source.
    pub fn add(&mut self, source: &Source, problems: impl IntoIterator<Item = Problem>) {
        self.found.extend(problems.into_iter().map(|problem| (source.clone(), problem)));
    }

    /// Adds everything that another reading found.
    pub fn extend(&mut self, other: Invalid) {
        self.found.extend(other.found);
    }

    /// How many problems there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// `Ok(value)` if nothing was found.
    ///
    /// # Errors
    /// All problems, in the order of files and places, each told once.
    pub fn or<T>(mut self, value: T) -> Result<T, Invalid> {
        let place = |problem: &Problem| problem.at.map_or(0, |at| at.offset);
        self.found.sort_by(|(a, p), (b, q)| a.name.cmp(&b.name).then(place(p).cmp(&place(q))));
        self.found.dedup_by(|(a, p), (b, q)| a.name == b.name && place(p) == place(q) && p.text == q.text);
        if self.found.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (source, problem)) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            f.write_str(&draw(source, problem))?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Draws one problem as `error: …`, the place, the line with carets, and the hint. Of a place without a line only the
/// source is named.
pub fn draw(source: &Source, problem: &Problem) -> String {
    let title = Level::ERROR.primary_title(problem.text.as_str());
    let (text, at) = concealed::concealed(&source.text, problem.at.unwrap_or_default());
    let mut group = match problem.at {
        Some(Place { line: 1.., .. }) => title.element(
            Snippet::source(text.as_ref())
                .path(source.name.as_ref())
                .annotation(AnnotationKind::Primary.span(carets(&text, at))),
        ),
        _ => title.element(annotate_snippets::Origin::path(source.name.as_ref())),
    };
    if let Some(hint) = &problem.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    Renderer::plain().render(&[group])
}

/// The bytes to underline: cut at the end of the line, and at least one of them where the line has one.
fn carets(text: &str, at: Place) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(at.offset.min(text.len()));
    let line_end = text[start..].find('\n').map_or(text.len(), |end| start + end);
    let end = text.ceil_char_boundary((start + at.len.max(1)).min(line_end));
    start..end.max(start)
}

/// The nearest of some known names, if one is near enough to be what was meant.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) =
        known.into_iter().map(|name| (strsim::damerau_levenshtein(found, name), name)).min()?;
    (distance < name.len() && distance <= 1 + name.len() / 4).then_some(name)
}

/// `did you mean …?`, if a known name is near.
pub fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(found, known).map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_file_line_carets_and_hint() {
        let source = Source::new("suites/a.yaml", "title: x\ncases:\n  - idd: y\n");
        let problem = Problem::new(Place { line: 3, column: 5, offset: 20, len: 3 }, "unknown key `idd`")
            .hint("did you mean `id`?");
        let expected = "error: unknown key `idd`\n --> suites/a.yaml:3:5\n  |\n3 |   - idd: y\n  |     ^^^\n  |\n  \
                        = hint: did you mean `id`?";
        assert_eq!(draw(&source, &problem), expected);
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(nearest("jsn", ["op", "json"]), Some("json"));
        assert_eq!(nearest("elephant", ["op", "json"]), None);
    }

    #[test]
    fn a_caret_stays_within_its_line() {
        assert_eq!(carets("ab\ncd", Place { line: 1, column: 2, offset: 1, len: 4 }), 1..2);
        assert_eq!(carets("ab", Place { line: 1, column: 3, offset: 2, len: 0 }), 2..2);
    }
}
