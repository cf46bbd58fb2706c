//! Text whose lines are put together again: a secret may be broken by them, in a wrapped base64 or in a log.
//!
//! Lives here: leaving out line breaks, also those that a quoted text writes as letters, what indents a line, and the beginning
//! that it shares with the line before (as that of a log: time, level, name). Does not: the search in what comes of it.

use std::ops::Range;

/// Text without its line breaks, and where each piece of it stood.
pub(super) struct Joined {
    /// The pieces, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Where each piece begins: here, and in the text.
    begins: Vec<(usize, usize)>,
}

impl Joined {
    /// The lines of a text put together: those that are lines, once more with those that a quoted text writes as `\n`, and
    /// once more without the signs that say at the end of a line that it goes on.
    pub(super) fn all(text: &[u8]) -> impl Iterator<Item = Self> {
        let (lines, quoted) = (lines(text), quoted_lines(text));
        let continued = quoted.as_ref().or(lines.as_ref()).and_then(|lines| continued(text, lines));
        [lines, quoted, continued].into_iter().flatten().map(|lines| Self::of(text, &lines))
    }

    fn of(text: &[u8], lines: &[Range<usize>]) -> Self {
        let mut joined = Self { bytes: Vec::with_capacity(text.len()), begins: vec![] };
        let mut before: &[u8] = &[];
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let kept = &text[line.clone()];
            let left_out = left_out(before, kept);
            joined.begins.push((joined.bytes.len(), line.start + left_out));
            joined.bytes.extend_from_slice(&kept[left_out..]);
            before = unquoted(kept);
        }
        joined
    }

    /// Where a part of the joined bytes stood in the text, piece by piece, if it was broken; else nothing.
    pub(super) fn broken(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let first = self.begins.partition_point(|(begin, _)| *begin <= from) - 1;
        let ends = self.begins[first + 1..].iter().map(|(begin, _)| *begin).chain([self.bytes.len()]);
        let pieces = self.begins[first..].iter().zip(ends).take_while(|((begin, _), _)| *begin < to);
        let stood = |(&(begin, stood_at), end): (&(usize, usize), usize)| {
            (stood_at + from.max(begin) - begin, stood_at + to.min(end) - begin)
        };
        let found: Vec<(usize, usize)> = pieces.map(stood).filter(|(from, to)| from < to).collect();
        if found.len() > 1 { found } else { vec![] }
    }
}

/// Where the lines of a text stand; `None` if there is but one.
fn lines(text: &[u8]) -> Option<Vec<Range<usize>>> {
    if !text.contains(&b'\n') {
        return None;
    }
    let mut from = 0;
    let line = |end: usize| {
        let kept = text[from..end].strip_suffix(b"\r").unwrap_or(&text[from..end]);
        let line = from..from + kept.len();
        from = end + 1;
        line
    };
    Some(memchr::memchr_iter(b'\n', text).chain([text.len()]).map(line).collect())
}

/// The same, if the text has breaks that are written `\n` or `\r`, or, quoted once more, `\\n`; `None` if it has none.
fn quoted_lines(text: &[u8]) -> Option<Vec<Range<usize>>> {
    if !text.contains(&b'\\') || !text.windows(2).any(|pair| matches!(pair, b"\\n" | b"\\r")) {
        return None;
    }
    let (mut found, mut from) = (vec![], 0);
    for at in 0..text.len() {
        let len = match text[at] {
            b'\n' | b'\r' => 0,
            b'n' | b'r' => quoted_by(&text[from..at]),
            _ => continue,
        };
        if len > 0 || matches!(text[at], b'\n' | b'\r') {
            found.push(from..at - len);
            from = at + 1;
        }
    }
    found.push(from..text.len());
    Some(found)
}

/// The same lines without `=` (as in mails: quoted-printable) and backslashes (as in YAML) at their ends; `None` if none has any.
fn continued(text: &[u8], lines: &[Range<usize>]) -> Option<Vec<Range<usize>>> {
    let goes_on = |byte: &u8| matches!(byte, b'=' | b'\\');
    let without = |line: &Range<usize>| {
        let signs = text[line.clone()].iter().rev().take_while(|byte| goes_on(byte)).count();
        line.start..line.end - signs
    };
    let any = lines.iter().any(|line| text[line.clone()].last().is_some_and(goes_on));
    any.then(|| lines.iter().map(without).collect())
}

/// How many backslashes make a letter of the one behind this text: of an odd number one, for the others stand for themselves.
fn quoted_by(before: &[u8]) -> usize {
    match before.iter().rev().take_while(|byte| **byte == b'\\').count() {
        0 => 0,
        odd if odd % 2 == 1 => 1,
        _ => 2,
    }
}

/// What a line holds behind a quote that opens in it: there the first line of a quoted text begins.
fn unquoted(line: &[u8]) -> &[u8] {
    memchr::memrchr(b'"', line).map_or(line, |quote| &line[quote + 1..])
}

/// How much of a line is left out: the beginning that it shares with the line before, digits taken for alike, up to the last
/// blank in it; and what indents it.
fn left_out(before: &[u8], line: &[u8]) -> usize {
    let is_alike =
        |(one, other): (&u8, &u8)| one == other || (one.is_ascii_digit() && other.is_ascii_digit());
    let shared = before.iter().zip(line).take_while(|pair| is_alike(*pair)).count();
    let mut left_out = line[..shared].iter().rposition(|byte| is_blank(*byte)).map_or(0, |last| last + 1);
    while let Some(len) = blank(&line[left_out..]) {
        left_out += len;
    }
    left_out
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// How long the blank is that a text begins with, also one that is written `\t`.
fn blank(text: &[u8]) -> Option<usize> {
    match text {
        [first, ..] if is_blank(*first) => Some(1),
        [b'\\', b't', ..] => Some(2),
        [b'\\', b'\\', b't', ..] => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> String {
        let last = Joined::all(text.as_bytes()).last();
        last.map_or("one line".into(), |it| String::from_utf8(it.bytes).unwrap())
    }

    #[test]
    fn breaks_and_what_lines_begin_with_are_left_out() {
        assert_eq!(joined("one"), "one line");
        assert_eq!(joined("hunt\ner22"), "hunter22");
        assert_eq!(joined("hunt\r\n  \ter22\n"), "hunter22");
        let log = "2026-11-26T09:08:07Z INFO signup: tokenhunt\n2026-11-26T09:08:11Z INFO signup: er22";
        assert_eq!(joined(log), "2026-11-26T09:08:07Z INFO signup: tokenhunter22");
        assert_eq!(joined("web_1 | hunt\nweb_2 | er22"), "web_1 | hunter22");
        // Without a blank nothing is a beginning that lines share.
        assert_eq!(joined("aGVsbG8x\naGVsbG8y"), "aGVsbG8xaGVsbG8y");
    }

    #[test]
    fn signs_that_a_line_goes_on_are_left_out() {
        assert_eq!(joined("hunt=\r\ner22"), "hunter22");
        assert_eq!(joined("password: >\n  hunt\\\n  er22"), "password: >hunter22");
        assert_eq!(joined(r#""hunt\\\n  er22""#), r#""hunter22""#);
        assert_eq!(joined(r#""hunt=\r\ner22""#), r#""hunter22""#);
    }

    #[test]
    fn what_was_broken_is_found_where_it_stood() {
        let text = "a | hunt\na | er\na | 22";
        let it = Joined::all(text.as_bytes()).next().unwrap();
        let at = String::from_utf8(it.bytes.clone()).unwrap().find("hunter22").unwrap();
        let pieces: Vec<&str> = it.broken(at, at + 8).into_iter().map(|(from, to)| &text[from..to]).collect();
        assert_eq!(pieces, ["hunt", "er", "22"]);
        assert_eq!(it.broken(at, at + 4), [], "what stands in one line was not broken");
    }

    #[test]
    fn breaks_that_a_quoted_text_writes_as_letters_are_breaks() {
        assert_eq!(joined(r#""hunt\ner22""#), r#""hunter22""#);
        assert_eq!(joined(r#"found "hunt\r\n  \ter22""#), r#"found "hunter22""#);
        assert_eq!(joined(r#""{\"a\":\"hunt\\r\\n\\ter22\"}""#), r#""{\"a\":\"hunter22\"}""#);
        let both = |text: &str| {
            Joined::all(text.as_bytes()).map(|it| String::from_utf8(it.bytes).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(both(r"hunt\\\ner22"), [r"hunt\\er22", "hunter22"], "a backslash before the break");
        assert_eq!(joined("hunt\\ner\n22"), "hunter22", "breaks of both kinds");
        assert_eq!(
            joined(r#"found "09:01 api | hunt\n09:02 api | er22""#),
            r#"found "09:01 api | hunter22""#
        );
        assert_eq!(joined(r"no break: \t \u0041"), "one line");
    }
}
