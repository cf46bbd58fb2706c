//! Text whose lines are put together again: a secret may be broken by them, in a wrapped base64 or in a log.
//!
//! Lives here: leaving out line breaks, also those that a quoted text writes as letters, what indents a line, the beginning that it
//! shares with the line before (as that of a log: time, level, name), and the signs that quote it by itself (as those of a list). Does
//! not: the search in what comes of it.

use std::ops::Range;

/// Text without its line breaks, and where each piece of it stood.
pub(super) struct Joined {
    /// The pieces, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Where each piece begins: here, and in the text.
    begins: Vec<(usize, usize)>,
}

impl Joined {
    /// The lines of a text put together: those that are lines, once more with those that a quoted text writes as `\n`, once more
    /// without the signs that say at the end of a line that it goes on; and, where that makes a difference, once more without
    /// the signs around what each line says.
    pub(super) fn all(text: &[u8]) -> impl Iterator<Item = Self> {
        let (lines, quoted) = (lines(text), quoted_lines(text));
        let continued = quoted.as_ref().or(lines.as_ref()).and_then(|lines| continued(text, lines));
        let mut begun = [lines, quoted, continued];
        begun.iter_mut().flatten().for_each(|lines| look_back(text, lines));
        let bare = begun.iter().flatten().next_back().and_then(|lines| Self::bare(text, lines));
        let whole = begun.into_iter().flatten().map(|lines| Self::of(text, &lines, Cut::Blank));
        whole.chain(bare)
    }

    /// The lines without the signs around what each says, if there are any.
    fn bare(text: &[u8], lines: &[Line]) -> Option<Self> {
        let differs = |line: &Line| line.said(text, Cut::Sign) != line.said(text, Cut::Blank);
        lines.iter().any(differs).then(|| Self::of(text, lines, Cut::Sign))
    }

    fn of(text: &[u8], lines: &[Line], cut: Cut) -> Self {
        let mut joined =
            Self { bytes: Vec::with_capacity(text.len()), begins: Vec::with_capacity(lines.len()) };
        for said in lines.iter().map(|line| line.said(text, cut)) {
            joined.begins.push((joined.bytes.len(), said.start));
            joined.bytes.extend_from_slice(&text[said]);
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
fn lines(text: &[u8]) -> Option<Vec<Line>> {
    if !text.contains(&b'\n') {
        return None;
    }
    let mut from = 0;
    let line = |end: usize| {
        let kept = text[from..end].strip_suffix(b"\r").unwrap_or(&text[from..end]);
        let line = Line::new(from..from + kept.len());
        from = end + 1;
        line
    };
    Some(memchr::memchr_iter(b'\n', text).chain([text.len()]).map(line).collect())
}

/// The same, if the text has breaks that are written `\n` or `\r`, or, quoted once more, `\\n`; `None` if it has none.
fn quoted_lines(text: &[u8]) -> Option<Vec<Line>> {
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
            found.push(Line::new(from..at - len));
            from = at + 1;
        }
    }
    found.push(Line::new(from..text.len()));
    Some(found)
}

/// The same lines without `=` (as in mails: quoted-printable) and backslashes (as in YAML) at their ends; `None` if none has any.
fn continued(text: &[u8], lines: &[Line]) -> Option<Vec<Line>> {
    let goes_on = |byte: &u8| matches!(byte, b'=' | b'\\');
    let without = |line: &Line| {
        let signs = text[line.stands.clone()].iter().rev().take_while(|byte| goes_on(byte)).count();
        Line::new(line.stands.start..line.stands.end - signs)
    };
    let any = lines.iter().any(|line| text[line.stands.clone()].last().is_some_and(goes_on));
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
fn unquoted(line: &[u8]) -> Option<&[u8]> {
    memchr::memrchr(b'"', line).map(|quote| &line[quote + 1..])
}

/// A line.
struct Line {
    stands: Range<usize>,
    /// How much of its beginning is that of the line before.
    shared: usize,
}

/// Sees how much each line has of the one before. Those that say nothing are left out.
fn look_back(text: &[u8], lines: &mut Vec<Line>) {
    lines.retain(|line| !line.stands.is_empty());
    for at in 1..lines.len() {
        let [before, line] = [at - 1, at].map(|at| &text[lines[at].stands.clone()]);
        let first = if at == 1 { shared_with_first(before, line) } else { 0 };
        let quoted = unquoted(before).map_or(0, |quoted| shared(quoted, line));
        lines[at].shared = first.max(quoted).max(shared(before, line));
    }
}

impl Line {
    fn new(stands: Range<usize>) -> Self {
        Self { stands, shared: 0 }
    }

    /// Where what it says stands: not the beginning that it shares with the line before, up to the cut, nor what indents it, nor,
    /// where signs are cut, the quotes, brackets and commas that close it.
    fn said(&self, text: &[u8], cut: Cut) -> Range<usize> {
        let line = &text[self.stands.clone()];
        let shared = &line[..self.shared];
        let mut from = shared.iter().rposition(|byte| cut.is_behind(*byte)).map_or(0, |last| last + 1);
        while let Some(len) = blank(&line[from..]) {
            from += len;
        }
        let closed = line[from..].iter().rev().take_while(|byte| cut.closes(**byte)).count();
        self.stands.start + from..self.stands.end - closed
    }
}

/// Where the beginning ends that lines share.
#[derive(Clone, Copy)]
enum Cut {
    /// Behind its last blank.
    Blank,
    /// Behind the last sign that is no letter, digit or one of those that base64 has.
    Sign,
}

impl Cut {
    fn is_behind(self, byte: u8) -> bool {
        match self {
            Self::Blank => is_blank(byte),
            Self::Sign => byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"+/-_".contains(&byte),
        }
    }

    fn closes(self, byte: u8) -> bool {
        matches!(self, Self::Sign) && b"\"'`)]}>,;".contains(&byte)
    }
}

/// The most words that may stand in the first line before what the second begins like.
const MOST_WORDS_BEFORE: usize = 64;

/// How long the beginning of the second line is that stands anywhere in the first, from a word on: an error has words of its own
/// before the log that it shows.
fn shared_with_first(first: &[u8], second: &[u8]) -> usize {
    let words = (1..first.len()).filter(|at| is_blank(first[at - 1])).take(MOST_WORDS_BEFORE);
    words.map(|at| shared(&first[at..], second)).max().unwrap_or_default()
}

/// How long the beginning is that two texts share, digits taken for alike.
fn shared(one: &[u8], other: &[u8]) -> usize {
    let is_alike =
        |(one, other): (&u8, &u8)| one == other || (one.is_ascii_digit() && other.is_ascii_digit());
    one.iter().zip(other).take_while(|pair| is_alike(*pair)).count()
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

    fn all(text: &str) -> Vec<String> {
        Joined::all(text.as_bytes()).map(|it| String::from_utf8(it.bytes).unwrap()).collect()
    }

    fn is_joined(text: &str, wanted: &str) {
        let all = all(text);
        assert!(all.iter().any(|it| it == wanted), "{text:?}: {all:#?}");
    }

    #[test]
    fn breaks_and_what_lines_begin_with_are_left_out() {
        assert_eq!(all("one"), [""; 0]);
        is_joined("hunt\ner22", "hunter22");
        is_joined("hunt\r\n  \ter22\n", "hunter22");
        let log = "2026-11-26T09:08:07Z INFO signup: tokenhunt\n2026-11-26T09:08:11Z INFO signup: er22";
        is_joined(log, "2026-11-26T09:08:07Z INFO signup: tokenhunter22");
        is_joined("web_1 | hunt\nweb_2 | er22", "web_1 | hunter22");
        is_joined("cannot read 09:01 api hunt\n09:02 api er22", "cannot read 09:01 api hunter22");
        // Without a blank nothing is a beginning that lines share.
        is_joined("aGVsbG8x\naGVsbG8y", "aGVsbG8xaGVsbG8y");
    }

    #[test]
    fn signs_around_what_each_line_says_are_left_out() {
        is_joined("INFO:root:hunt\nINFO:root:er22", "INFO:root:hunter22");
        is_joined(
            "time=\"09:01\" level=info msg=hunt\ntime=\"09:02\" level=info msg=er22",
            "time=\"09:01\" level=info msg=hunter22",
        );
        let json = r#"{"at":1,"msg":"hunt"}
{"at":2,"msg":"er"}
{"at":3,"msg":"22"}"#;
        is_joined(json, r#"{"at":1,"msg":"hunter22"#);
        is_joined("[\n  'hunt',\n  'er22',\n]", "['hunter22");
        assert_eq!(all("ab:cd:\nab:ef"), ["ab:cd:ab:ef", "ab:cd:ef"], "both, for either may be meant");
    }

    #[test]
    fn signs_that_a_line_goes_on_are_left_out() {
        is_joined("hunt=\r\ner22", "hunter22");
        is_joined("password: >\n  hunt\\\n  er22", "password: >hunter22");
        is_joined(r#""hunt\\\n  er22""#, r#""hunter22""#);
        is_joined(r#""hunt=\r\ner22""#, r#""hunter22""#);
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
        is_joined(r#""hunt\ner22""#, r#""hunter22""#);
        is_joined(r#"found "hunt\r\n  \ter22""#, r#"found "hunter22""#);
        is_joined(r#""{\"a\":\"hunt\\r\\n\\ter22\"}""#, r#""{\"a\":\"hunter22\"}""#);
        assert_eq!(all(r"hunt\\\ner22"), [r"hunt\\er22", "hunter22"], "a backslash before the break");
        is_joined("hunt\\ner\n22", "hunter22");
        is_joined(r#"found "09:01 api | hunt\n09:02 api | er22""#, r#"found "09:01 api | hunter22""#);
        assert_eq!(all(r"no break: \t \u0041"), [""; 0]);
    }
}
