//! Secrets that are hidden wherever they stand, and the search for them.
//!
//! Lives here: learning, and looking at a text as it is, with its escapes read, and with its lines joined. Does not: what a
//! secret looks like in an encoding (`encodings`), how escapes are read (`unescaped`) and lines joined (`joined`), nor what
//! stands in the place of a find (the mask).

use super::encodings::{self, Pattern};
use super::joined::Joined;
use super::sieve::Sieve;
use super::unescaped::Unescaped;
use aho_corasick::AhoCorasick;

/// Escapes are read so often: what they mean may be escapes once more.
const READ_ESCAPES: usize = 2;

/// Secrets of one sort.
#[derive(Default)]
pub(super) struct Known {
    waiting: Vec<Pattern>,
    /// Engines of shrinking size: learning one secret rebuilds only the small ones.
    searches: Vec<Search>,
    seen: std::collections::BTreeSet<Box<str>>,
}

impl Known {
    pub(super) fn learn(&mut self, secret: &str) {
        if self.seen.insert(secret.into()) {
            self.waiting.extend(encodings::patterns(secret.as_bytes()));
        }
    }

    /// Every secret in a text, as it stands there or broken into lines; they may overlap.
    pub(super) fn found(&mut self, bytes: &[u8]) -> Vec<(usize, usize)> {
        self.build();
        if self.searches.is_empty() {
            return vec![];
        }
        let mut found = self.found_in(bytes, READ_ESCAPES);
        for joined in Joined::all(bytes) {
            let inside = self.found_in(&joined.bytes, READ_ESCAPES);
            found.extend(inside.into_iter().flat_map(|(from, to)| joined.broken(from, to)));
        }
        found
    }

    /// Whether a text holds a secret, as it stands there or broken into lines.
    pub(super) fn is_in(&mut self, bytes: &[u8]) -> bool {
        self.build();
        let is_in = |bytes: &[u8]| self.holds(bytes, READ_ESCAPES);
        !self.searches.is_empty() && (is_in(bytes) || Joined::all(bytes).any(|joined| is_in(&joined.bytes)))
    }

    /// Builds a search for what was learned since the last time, together with the searches that are not larger.
    fn build(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut patterns = std::mem::take(&mut self.waiting);
        while let Some(smaller) = self.searches.pop_if(|search| search.patterns.len() <= 2 * patterns.len()) {
            patterns.extend(smaller.patterns);
        }
        match Search::of(patterns) {
            Ok(search) => self.searches.push(search),
            // Too many patterns for one search: keep what was learned as searches of one pattern each.
            Err(patterns) => {
                self.searches.extend(patterns.into_iter().filter_map(|one| Search::of(vec![one]).ok()));
            }
        }
    }

    /// Every secret in a text as it is, and with its escapes read so often.
    fn found_in(&self, bytes: &[u8], reads: usize) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = self.hits(bytes).collect();
        if let Some(read) = Unescaped::of(bytes).filter(|_| reads > 0) {
            let inside = self.found_in(&read.bytes, reads - 1);
            found.extend(inside.into_iter().map(|(from, to)| read.stood(from, to)));
        }
        found
    }

    /// Whether a secret is in a text as it is, or with its escapes read so often.
    fn holds(&self, bytes: &[u8], reads: usize) -> bool {
        let read = || Unescaped::of(bytes).filter(|_| reads > 0);
        self.searches.iter().any(|search| search.hits(bytes).next().is_some())
            || read().is_some_and(|read| self.holds(&read.bytes, reads - 1))
    }

    /// Every secret in these bytes, in any order; they may overlap.
    fn hits(&self, bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
        let hits = self.searches.iter().flat_map(move |search| search.hits(bytes));
        hits.map(
            move |(from, to)| {
                if to - from >= encodings::ANCHOR_BYTES { widened(bytes, from, to) } else { (from, to) }
            },
        )
    }
}

/// Some secrets, and the search for all of their patterns.
struct Search {
    patterns: Vec<Pattern>,
    automaton: AhoCorasick,
    sieve: Sieve,
}

impl Search {
    fn of(patterns: Vec<Pattern>) -> Result<Self, Vec<Pattern>> {
        let sieve = Sieve::of(patterns.iter().map(AsRef::as_ref));
        match AhoCorasick::new(&patterns) {
            Ok(automaton) => Ok(Self { patterns, automaton, sieve }),
            Err(_) => Err(patterns),
        }
    }

    /// Every secret in these bytes, as far as it stands there; they may overlap.
    fn hits(&self, bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
        self.sieve.parts(bytes).into_iter().flat_map(move |part| {
            let hits = self.automaton.find_overlapping_iter(&bytes[part.clone()]);
            hits.map(move |hit| {
                let pattern = &self.patterns[hit.pattern().as_usize()];
                pattern.seen(bytes, part.start + hit.start(), part.start + hit.end())
            })
        })
    }
}

/// A hit on a part of a long token hides the whole token around it.
fn widened(bytes: &[u8], mut from: usize, mut to: usize) -> (usize, usize) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_.-%".contains(&byte);
    while from > 0 && is_token(bytes[from - 1]) {
        from -= 1;
    }
    while to < bytes.len() && is_token(bytes[to]) {
        to += 1;
    }
    (from, to)
}
