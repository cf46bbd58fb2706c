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
        let (lines, quoted, outer) = (lines(text), quoted_lines(text, 2), quoted_lines(text, 1));
        let outer = outer.filter(|outer| quoted.as_ref().is_some_and(|quoted| outer.len() < quoted.len()));
        let continued = quoted.as_ref().or(lines.as_ref()).and_then(|lines| continued(text, lines));
        [lines, quoted, outer, continued].into_iter().flatten().flat_map(|lines| {
            let looked = looked_back(text, lines);
            let bare = looked
                .iter()
                .any(|line| line.bare != line.said)
                .then(|| Self::of(text, &looked, |line| &line.bare));
            [Some(Self::of(text, &looked, |line| &line.said)), bare].into_iter().flatten()
        })
    }

    fn of(text: &[u8], lines: &[Line], part: fn(&Line) -> &Range<usize>) -> Self {
        let mut joined =
            Self { bytes: Vec::with_capacity(text.len()), begins: Vec::with_capacity(lines.len()) };
        for part in lines.iter().map(part) {
            joined.begins.push((joined.bytes.len(), part.start));
            joined.bytes.extend_from_slice(&text[part.clone()]);
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

/// The same, if the text has breaks that are written `\n` or `\r`, or, quoted once more, `\\n`, with so many backslashes at most;
/// `None` if it has none.
fn quoted_lines(text: &[u8], most: usize) -> Option<Vec<Range<usize>>> {
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
        if (1..=most).contains(&len) || matches!(text[at], b'\n' | b'\r') {
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
fn unquoted(line: &[u8]) -> Option<&[u8]> {
    memchr::memrchr(b'"', line).map(|quote| &line[quote + 1..])
}

/// A line that says something.
struct Line {
    /// Where that stands: behind the beginning that it shares with the line before, up to a blank, and behind what indents it.
    said: Range<usize>,
    /// The same up to any sign; and before the quotes, brackets and commas that close it, and what is alike behind them in the
    /// line before or after.
    bare: Range<usize>,
}

/// What each line says that says anything.
fn looked_back(text: &[u8], lines: Vec<Range<usize>>) -> Vec<Line> {
    let mut looked: Vec<Line> = vec![];
    let (mut before, mut alike_before): (&[u8], usize) = (&[], 0);
    let mut lines = lines.into_iter().filter(|line| !line.is_empty()).peekable();
    while let Some(stands) = lines.next() {
        let line = &text[stands.clone()];
        let quoted = unquoted(before).map_or(0, |quoted| shared(quoted, line));
        let likewise = quoted.max(shared(before, line));
        let from_a_word = if likewise < ALIKE_BYTES { shared_from_a_word(before, line) } else { 0 };
        let begins = &line[..likewise.max(from_a_word)];
        let alike = lines.peek().map_or(0, |next| alike_at_end(line, &text[next.clone()]));
        let ends = alike.max(alike_before);
        let said = begun(line, begins, is_blank);
        let bare = opened(line, begun(line, begins, is_sign));
        let bare = bare..closed(line, ends).max(bare);
        looked.push(Line {
            said: stands.start + said..stands.end,
            bare: stands.start + bare.start..stands.start + bare.end,
        });
        (before, alike_before) = (line, alike);
    }
    looked
}

/// Where what a line says begins: behind the last such sign in the beginning that it shares, and what indents it.
fn begun(line: &[u8], shared: &[u8], is_cut: fn(u8) -> bool) -> usize {
    let mut begun = shared.iter().rposition(|byte| is_cut(*byte)).map_or(0, |last| last + 1);
    while let Some(len) = blank(&line[begun..]) {
        begun += len;
    }
    begun
}

/// Where what a line says begins from there on behind what opens it, be that quoted itself.
fn opened(line: &[u8], from: usize) -> usize {
    let is_opening = |byte: &&u8| b"\"'`([{<".contains(byte) || is_blank(**byte);
    let opened = line[from..].iter().take_while(is_opening).count();
    match &line[from + opened..] {
        [b'\\', b'"' | b'\'', ..] => from + opened + 2,
        _ => from + opened,
    }
}

/// A sign that is none of those that base64 has, or that escapes of letters are made of.
fn is_sign(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"+/-_\\%&#;".contains(&byte)
}

/// Where what a line says is closed, if so much of its end is alike in another line.
fn closed(line: &[u8], alike: usize) -> usize {
    let from = line.len() - alike;
    let closes = |at: &usize| is_closing(line[*at]) || is_quoted_closing(&line[*at..]);
    let end = (from..line.len()).find(closes).unwrap_or(line.len());
    let quotes = line[..end].iter().rev().take_while(|byte| is_closing(**byte)).count();
    let is_quoted = quotes > 0 && line[..end - quotes].ends_with(b"\\");
    end - quotes - usize::from(is_quoted)
}

fn is_closing(byte: u8) -> bool {
    b"\"'`)]}>,".contains(&byte)
}

/// Whether a text begins with a quote, or the end of a line, that is quoted itself.
fn is_quoted_closing(text: &[u8]) -> bool {
    matches!(text, [b'\\', b'"' | b'\'' | b'n' | b'r' | b'\\', ..])
}

/// How long the end is that two lines share, digits taken for alike; nothing if they do not end in a sign that closes.
fn alike_at_end(one: &[u8], other: &[u8]) -> usize {
    if !one.last().is_some_and(|last| is_closing(*last)) {
        return 0;
    }
    one.iter().rev().zip(other.iter().rev()).take_while(|pair| is_alike(*pair)).count()
}

/// Lines that share so much begin alike; those that share less may do so from a later word on.
const ALIKE_BYTES: usize = 8;
/// The most words with the same first letter that may stand in a line before what the next begins like.
const MOST_WORDS_BEFORE: usize = 64;

/// How long the beginning of a line is that stands anywhere in the one before, from a word on: an error has words of its own before
/// the log that it shows.
fn shared_from_a_word(before: &[u8], line: &[u8]) -> usize {
    let is_word = |at: &usize| *at > 0 && !before[at - 1].is_ascii_alphanumeric();
    let longest = |alike: &mut dyn Iterator<Item = usize>| {
        let words = alike.filter(is_word).take(MOST_WORDS_BEFORE);
        words.map(|at| shared(&before[at..], line)).max().unwrap_or_default()
    };
    match line.first() {
        Some(b'0'..=b'9') => longest(&mut (0..before.len()).filter(|at| before[*at].is_ascii_digit())),
        Some(first) => longest(&mut memchr::memchr_iter(*first, before)),
        None => 0,
    }
}

/// How long the beginning is that two texts share, digits taken for alike.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|pair| is_alike(*pair)).count()
}

fn is_alike((one, other): (&u8, &u8)) -> bool {
    one == other || (one.is_ascii_digit() && other.is_ascii_digit())
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
        assert!(all.iter().any(|it| it.contains(wanted)), "{text:?}: {all:#?}");
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
        is_joined(json, "hunter22");
        is_joined("[\n  'hunt',\n  'er22',\n]", "hunter22");
        is_joined(r#"{"out": "{\"msg\": \"hunt\"}\n{\"msg\": \"er22\"}\n"}"#, "hunter22");
        is_joined(r#"{"out": "[\n  \"hunt\",\n  \"er22\"\n]"}"#, "hunter22");
        let docker = r#"{"log":"hunt\n","stream":"stdout","time":"09:01"}
{"log":"er22\n","stream":"stdout","time":"09:02"}"#;
        is_joined(docker, "hunter22");
        is_joined(
            r#"status 500
{"out": "{\"msg\": \"hunt\"}\n{\"msg\": \"er\"}\n{\"msg\": \"22\"}"}"#,
            "hunter22",
        );
        is_joined("status 500\n['hunt',\n 'er',\n '22']", "hunter22");
        is_joined(
            r#"{"out": "{\"log\": \"hunt\\n\", \"at\": 1}\n{\"log\": \"er22\\n\", \"at\": 2}\n"}"#,
            "hunter22",
        );
        is_joined("[INFO:root:hunt\nINFO:root:er22", "INFO:root:hunter22");
        is_joined("INFO:root:&#104;&#117;\nINFO:root:&#110;&#116;", "INFO:root:&#104;&#117;&#110;&#116;");
        is_joined(
            r"msg=\u0068\u0075
msg=\u006e\u0074",
            r"msg=\u0068\u0075\u006e\u0074",
        );
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
