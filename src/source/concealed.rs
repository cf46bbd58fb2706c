//! What a drawn line shows of an address with a name or a password in it (`http://name:password@host`): not these.

use super::Place;
use std::borrow::Cow;

/// What stands for them.
const INSTEAD: &str = "…";

/// The text without them, and a place in it that is where it was.
pub(super) fn concealed(text: &str, mut at: Place) -> (Cow<'_, str>, Place) {
    let (mut out, mut shown) = (String::new(), 0);
    let (offset, end) = (at.offset, at.offset + at.len);
    for (from, to) in words(text).filter_map(|(start, word)| user_info(start, word)) {
        out.push_str(&text[shown..from]);
        out.push_str(INSTEAD);
        shown = to;
        let moved = |place: usize, now: usize| match place {
            place if place >= to => now + INSTEAD.len() - (to - from),
            place if place > from => now - (place - from),
            _ => now,
        };
        let now_ends = moved(end, at.offset + at.len);
        at.offset = moved(offset, at.offset);
        at.len = now_ends.saturating_sub(at.offset);
    }
    if shown == 0 {
        return (Cow::Borrowed(text), at);
    }
    out.push_str(&text[shown..]);
    (Cow::Owned(out), at)
}

/// Each word, with the bytes before it.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive(char::is_whitespace).map(move |word| {
        let at = start;
        start += word.len();
        (at, word)
    })
}

/// From where to where a name and a password stand in a word, if they seem to.
fn user_info(start: usize, word: &str) -> Option<(usize, usize)> {
    let end = word.rfind('@')?;
    let from = word[..end].find("://")? + "://".len();
    (from < end).then_some((start + from, start + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_password_are_left_out_and_places_stay_where_they_were() {
        let text = "a: {x: \"http://bob:p@ss@host/\", y: 1}\nb: ftp://t@h\nc: d@e http://f";
        let shown = "a: {x: \"http://…@host/\", y: 1}\nb: ftp://…@h\nc: d@e http://f";
        for what in ["x", "y: 1", "b: ", "\"http://bob:p@ss@host/\"", "c: d@e"] {
            let at = Place { offset: text.find(what).unwrap(), len: what.len(), ..Place::default() };
            let (concealed, at) = concealed(text, at);
            assert_eq!(concealed, shown);
            let there = &concealed[at.offset..at.offset + at.len];
            assert_eq!(there, what.replace("bob:p@ss", "…"));
        }
        let inside = Place { offset: text.find("bob").unwrap() + 2, len: 3, ..Place::default() };
        assert!(concealed(text, inside).0.is_char_boundary(concealed(text, inside).1.offset));
    }
}
