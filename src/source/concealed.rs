//! What a drawn line shows of what may be secret: neither name and password in an address (`http://name:password@host`), nor a
//! plain value behind a key such as `password`.

use super::Place;
use std::borrow::Cow;

/// What stands for them.
const INSTEAD: &str = "…";

/// The text without them, and a place in it that is where it was.
pub(super) fn concealed(text: &str, mut at: Place) -> (Cow<'_, str>, Place) {
    let (mut out, mut shown) = (String::new(), 0);
    let (offset, end) = (at.offset, at.offset + at.len);
    let mut spans: Vec<_> = words(text).filter_map(|(start, word)| user_info(start, word)).collect();
    spans.extend(lines(text).flat_map(|(start, line)| secrets(start, line)));
    spans.sort_unstable();
    for (from, to) in spans {
        if from < shown {
            continue;
        }
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

/// Keys of what is secret, in parts of words.
const SECRET_KEYS: [&str; 4] = ["secret", "passw", "token", "credential"];

/// Each line, with the bytes before it.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let at = start;
        start += line.len();
        (at, line)
    })
}

/// From where to where plain values stand behind keys of what is secret. One in a map behind such a key is behind it too.
fn secrets(start: usize, line: &str) -> Vec<(usize, usize)> {
    let mut found = vec![];
    let (mut at, mut is_secret) = (0, false);
    while let Some(colon) = line[at..].find(": ") {
        let key = line[at..at + colon].rsplit([' ', '{', ',']).next().unwrap_or_default().to_lowercase();
        let value = at + colon + 2;
        let is_inside = is_secret && !matches!(key.as_str(), "env" | "file" | "key");
        is_secret = is_inside || SECRET_KEYS.iter().any(|part| key.contains(part));
        let rest = line[value..].trim_start();
        let is_plain = !rest.starts_with(['{', '[', '$', '&', '*', '|', '>', '#'])
            && !["true", "false"].iter().any(|word| rest.starts_with(word));
        at = value;
        if is_secret && is_plain {
            let len = plain_len(&line[value..]);
            found.push((start + value, start + value + len));
            at = value + len;
            is_secret = false;
        }
    }
    found
}

/// How long a plain value is with which a text begins.
fn plain_len(text: &str) -> usize {
    let quoted = text.chars().next().filter(|first| matches!(first, '"' | '\''));
    let end = quoted.and_then(|quote| Some(text[1..].find(quote)? + 2));
    let end = end.or_else(|| text.find([',', '}', '\n'])).unwrap_or(text.len());
    text[..end].trim_end().len()
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

    #[test]
    fn plain_values_of_what_seems_secret_are_left_out() {
        for (text, shown) in [
            ("password: S3cr3t # note\n", "password: …\n"),
            (
                "a: { id: x, secret: { value: S3cr3t }, life: run }",
                "a: { id: x, secret: { value: … }, life: run }",
            ),
            ("apiToken: \"S3c, r3t\", b: 1", "apiToken: …, b: 1"),
            ("{ path: $.token, secret: true }", "{ path: $.token, secret: true }"),
            ("secret: { env: NAME }", "secret: { env: NAME }"),
            ("secret: { file: secrets, key: NAME }", "secret: { file: secrets, key: NAME }"),
            ("secret: [token]\ntoken: $(code)\n", "secret: [token]\ntoken: $(code)\n"),
            ("inputs: { id: text, secret: secret }", "inputs: { id: text, secret: … }"),
        ] {
            assert_eq!(concealed(text, Place::default()).0, shown);
        }
    }
}
