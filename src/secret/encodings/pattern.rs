//! What is searched for, and what is hidden when it is found.
//!
//! Lives here: [`Pattern`], and the patterns of secrets that were cut. Does not: encodings.

use std::collections::BTreeSet;
use std::ops::Range;

/// Only secrets of this many bytes are known when they are cut: what is left of shorter ones stands in other words.
const SHORTEST_CUT_BYTES: usize = 16;
/// So often a text must go over from small letters to capitals or digits, or back, to be taken for one that chance has drawn.
const LEAST_CHANGES: usize = 3;

/// A form of a secret, and the part of it that betrays it.
pub(crate) struct Pattern {
    form: Vec<u8>,
    part: Range<usize>,
}

impl Pattern {
    /// A form that betrays the secret by the whole of it.
    pub(super) fn whole(form: Vec<u8>) -> Self {
        Self { part: 0..form.len(), form }
    }

    /// The first and the last three quarters of a secret, as it is and as JSON quotes it, if they are so long and look so that
    /// nothing else is likely to begin or end alike.
    pub(super) fn cut(secret: &[u8]) -> Vec<Self> {
        if secret.len() < SHORTEST_CUT_BYTES {
            return vec![];
        }
        let json = super::text::json(&String::from_utf8_lossy(secret)).into_bytes();
        let forms = BTreeSet::from([secret.to_vec(), json]);
        let cut = forms.iter().flat_map(|form| {
            let kept = (form.len() * 3).div_ceil(4);
            [0..kept, form.len() - kept..form.len()].map(|part| Self { form: form.clone(), part })
        });
        cut.filter(|it| is_drawn(it.as_ref())).collect()
    }

    /// What to hide for a hit at this place: as much of the form as stands there.
    pub(crate) fn seen(&self, bytes: &[u8], from: usize, to: usize) -> (usize, usize) {
        let before = bytes[..from].iter().rev().zip(self.form[..self.part.start].iter().rev());
        let behind = bytes[to..].iter().zip(&self.form[self.part.end..]);
        let alike = |(one, other): &(&u8, &u8)| one == other;
        (from - before.take_while(alike).count(), to + behind.take_while(alike).count())
    }
}

/// What is searched for.
impl AsRef<[u8]> for Pattern {
    fn as_ref(&self) -> &[u8] {
        &self.form[self.part.clone()]
    }
}

/// Whether a text looks as if chance had drawn it, and not like a name or words that may stand for something else.
fn is_drawn(text: &[u8]) -> bool {
    let class = |byte: &u8| match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let classes: Vec<u8> = text.iter().filter_map(class).collect();
    classes.windows(2).filter(|pair| pair[0] != pair[1]).count() >= LEAST_CHANGES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(secret: &str) -> Vec<String> {
        let all = Pattern::cut(secret.as_bytes());
        all.iter().map(|it| String::from_utf8(it.as_ref().to_vec()).unwrap()).collect()
    }

    #[test]
    fn the_first_and_the_last_three_quarters_of_a_drawn_secret_betray_it() {
        assert_eq!(cut("q7Zk92xVw8Tt5rBn"), ["q7Zk92xVw8Tt", "92xVw8Tt5rBn"]);
        assert_eq!(cut("q7Zk92xVw8Tt5rBn1"), ["q7Zk92xVw8Tt5", "92xVw8Tt5rBn1"]);
        assert_eq!(cut("q7Zk92xVw8Tt5rB"), [""; 0], "too short");
    }

    #[test]
    fn a_name_or_words_are_not_known_by_a_part() {
        for words in ["operator-of-staging-2", "correct horse battery staple", "customer-0001-of-micro"] {
            assert_eq!(cut(words), [""; 0]);
        }
    }

    #[test]
    fn what_stands_beyond_the_part_is_seen_as_far_as_it_is_the_secret() {
        let pattern = |number: usize| Pattern::cut(b"q7Zk92xVw8Tt5rBn").swap_remove(number);
        assert_eq!(pattern(0).seen(b"-q7Zk92xVw8Tt5r...", 1, 13), (1, 15));
        assert_eq!(pattern(0).seen(b"-q7Zk92xVw8Tt5rBnn", 1, 13), (1, 17));
        assert_eq!(pattern(1).seen(b"...Zk92xVw8Tt5rBn-", 5, 17), (3, 17));
    }
}
