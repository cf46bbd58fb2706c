//! Text whose lines are put together again: a secret may be broken by them, in a wrapped base64 or in a log.
//!
//! Lives here: leaving out line breaks, what indents a line, and the beginning that it shares with the line before (as that of
//! a log: time, level, name). Does not: the search in what comes of it.

/// Text without its line breaks, and where each piece of it stood.
pub(super) struct Joined {
    /// The pieces, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Where each piece begins: here, and in the text.
    begins: Vec<(usize, usize)>,
}

impl Joined {
    /// The lines of a text put together; `None` if there is but one.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        if !text.contains(&b'\n') {
            return None;
        }
        let mut joined = Self { bytes: Vec::with_capacity(text.len()), begins: vec![] };
        let (mut at, mut before): (usize, &[u8]) = (0, &[]);
        for line in text.split(|byte| *byte == b'\n') {
            let kept = line.strip_suffix(b"\r").unwrap_or(line);
            let left_out = left_out(before, kept);
            joined.begins.push((joined.bytes.len(), at + left_out));
            joined.bytes.extend_from_slice(&kept[left_out..]);
            at += line.len() + 1;
            before = kept;
        }
        Some(joined)
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

/// How much of a line is left out: the beginning that it shares with the line before, digits taken for alike, up to the last
/// blank in it; and what indents it.
fn left_out(before: &[u8], line: &[u8]) -> usize {
    let is_alike =
        |(one, other): (&u8, &u8)| one == other || (one.is_ascii_digit() && other.is_ascii_digit());
    let shared = before.iter().zip(line).take_while(|pair| is_alike(*pair)).count();
    let shared = line[..shared].iter().rposition(|byte| is_blank(*byte)).map_or(0, |last| last + 1);
    shared + line[shared..].iter().take_while(|byte| is_blank(**byte)).count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> String {
        Joined::of(text.as_bytes()).map_or("one line".into(), |it| String::from_utf8(it.bytes).unwrap())
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
    fn what_was_broken_is_found_where_it_stood() {
        let text = "a | hunt\na | er\na | 22";
        let it = Joined::of(text.as_bytes()).unwrap();
        let at = String::from_utf8(it.bytes.clone()).unwrap().find("hunter22").unwrap();
        let pieces: Vec<&str> = it.broken(at, at + 8).into_iter().map(|(from, to)| &text[from..to]).collect();
        assert_eq!(pieces, ["hunt", "er", "22"]);
        assert_eq!(it.broken(at, at + 4), [], "what stands in one line was not broken");
    }
}
