//! Secrets so short that they stand in half of every text.
//!
//! Lives here: hiding them where they stand alone, as words do. Does not: their encodings, which would be found anywhere.

use std::collections::BTreeSet;

/// A single sign is hidden nowhere.
const SHORTEST_WORD_BYTES: usize = 2;

/// Short secrets.
#[derive(Default)]
pub(super) struct Words {
    known: BTreeSet<Box<str>>,
}

impl Words {
    pub(super) fn learn(&mut self, secret: &str) {
        if secret.len() >= SHORTEST_WORD_BYTES {
            self.known.insert(secret.into());
        }
    }

    pub(super) fn knows(&self, text: &str) -> bool {
        self.known.contains(text)
    }

    /// Where they stand in a text with neither letter nor digit beside them.
    pub(super) fn found<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
        let places = self.known.iter().flat_map(move |word| text.match_indices(&**word));
        places.map(|(from, word)| (from, from + word.len())).filter(move |(from, to)| {
            let is_apart = |letter: Option<char>| !letter.is_some_and(char::is_alphanumeric);
            is_apart(text[..*from].chars().next_back()) && is_apart(text[*to..].chars().next())
        })
    }
}
