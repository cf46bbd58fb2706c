//! Text whose escapes are read: any letter of a secret may be written as one, by whoever likes.
//!
//! Lives here: `%61`, `\u0061`, `\u{61}`, `\x61`, `&#97;` and `&#x61;` in either case, also with the backslashes and ampersands
//! (`&amp;#97;`) of texts that are quoted more than once; and signs that nobody sees, which whoever writes a report may leave out. Does
//! not: escapes with names such as `\n` and `&lt;` (`encodings`), the search in what comes of it.

use std::ops::Range;

/// What escapes begin with.
const SIGNS: [u8; 3] = [b'%', b'\\', b'&'];

/// Signs of UTF-8 that nobody sees: the second set of control characters, soft hyphen, breaks of lines and paragraphs, fillers, tags, joiners, marks and spaces without width, selectors of a variation.
const UNSEEN: [std::ops::RangeInclusive<char>; 13] = [
    '\u{80}'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{e0000}'..='\u{e01ef}',
];
/// What they begin with in UTF-8.
const UNSEEN_LEADS: [u8; 7] = [0xC2, 0xCD, 0xE1, 0xE2, 0xE3, 0xEF, 0xF3];

/// What an escape begins with, or a sign that nobody sees: a zero, as UTF-16 has it beside each letter of ASCII, or one that XML does
/// not allow. Ends of lines and tabs are seen.
fn is_ascii_sign(byte: u8) -> bool {
    SIGNS.iter().fold(is_unseen(byte), |is_any, sign| is_any | (byte == *sign))
}

/// The same, or what may begin a sign that nobody sees.
fn is_sign(byte: u8) -> bool {
    UNSEEN_LEADS.iter().fold(is_ascii_sign(byte), |is_any, lead| is_any | (byte == *lead))
}

fn is_unseen(byte: u8) -> bool {
    byte.is_ascii_control() & (byte != b'\n') & (byte != b'\r') & (byte != b'\t')
}

/// Where the first sign stands. Most texts have few: so whole blocks are looked through without a branch in between, which a
/// processor does for many bytes at once.
fn first_sign(text: &[u8], is_sign: impl Fn(u8) -> bool) -> Option<usize> {
    const BLOCK: usize = 64;
    let has_sign = |block: &&[u8]| block.iter().fold(false, |has, byte| has | is_sign(*byte));
    let blocks = text.chunks(BLOCK).take_while(|block| !has_sign(block)).count();
    let from = (blocks * BLOCK).min(text.len());
    Some(from + text[from..].iter().position(|byte| is_sign(*byte))?)
}

/// A text after its escapes were read, and where each of them stood.
pub(super) struct Unescaped {
    /// What was meant.
    pub(super) bytes: Vec<u8>,
    escapes: Vec<Escape>,
}

/// What was written for a letter, or for a byte of one.
struct Escape {
    /// Where what it means stands now.
    means: Range<usize>,
    /// Where it stood in the text.
    stood: Range<usize>,
}

impl Unescaped {
    /// A text with its escapes read; `None` if it has none.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        // Most texts are ASCII, in which fewer signs are sought.
        if text.is_ascii() { Self::read(text, is_ascii_sign) } else { Self::read(text, is_sign) }
    }

    fn read(text: &[u8], is_sign: impl Fn(u8) -> bool + Copy) -> Option<Self> {
        // Most texts have none of these signs, which is quickly seen, and need no copy.
        let mut at = first_sign(text, is_sign)?;
        let mut read = Self { bytes: Vec::with_capacity(text.len()), escapes: vec![] };
        let mut taken = 0;
        while let Some(sign) = first_sign(&text[at..], is_sign) {
            at += sign;
            let (len, meant) = escape(&text[at..]);
            if let Some(meant) = meant {
                read.bytes.extend_from_slice(&text[taken..at]);
                read.push(at..at + len, &meant);
                taken = at + len;
            }
            at += len;
        }
        read.bytes.extend_from_slice(&text[taken..]);
        (!read.escapes.is_empty()).then_some(read)
    }

    fn push(&mut self, stood: Range<usize>, meant: &[u8]) {
        let from = self.bytes.len();
        // Unseen signs in a row are one: a text may hold millions of them.
        let is_same = |last: &&mut Escape| last.means == (from..from) && last.stood.end == stood.start;
        if let Some(last) = self.escapes.last_mut().filter(|last| meant.is_empty() && is_same(last)) {
            last.stood.end = stood.end;
            return;
        }
        self.bytes.extend_from_slice(meant);
        self.escapes.push(Escape { means: from..self.bytes.len(), stood });
    }

    /// Where a part that is not empty stood in the text; an escape stood there whole.
    pub(super) fn stood(&self, from: usize, to: usize) -> (usize, usize) {
        (self.byte_stood(from).start, self.byte_stood(to - 1).end)
    }

    fn byte_stood(&self, at: usize) -> Range<usize> {
        let before = self.escapes.partition_point(|escape| escape.means.start <= at);
        match before.checked_sub(1).map(|last| &self.escapes[last]) {
            None => at..at + 1,
            Some(escape) if at < escape.means.end => escape.stood.clone(),
            Some(escape) => {
                let stood = escape.stood.end + (at - escape.means.end);
                stood..stood + 1
            }
        }
    }
}

/// What a text begins with, one of the signs: its length, and what it means if it is an escape. An unseen sign means nothing.
fn escape(text: &[u8]) -> (usize, Option<Vec<u8>>) {
    if is_unseen(text[0]) {
        return (colours(text).unwrap_or(1), Some(vec![]));
    }
    if !text[0].is_ascii() {
        let len = colours(text).or_else(|| unseen(text));
        return len.map_or((1, None), |len| (len, Some(vec![])));
    }
    let signs = text.iter().take_while(|byte| **byte == b'\\').count().max(1);
    let signs = signs + ampersands(&text[signs..]).filter(|_| text[0] == b'&').unwrap_or(0);
    let (sign, rest) = (text[0], &text[signs..]);
    let read = match (sign, rest) {
        (b'%', _) => byte(rest),
        (b'&', _) if unseen_name(rest).is_some() => unseen_name(rest),
        (b'\\', [b'a' | b'b' | b'f' | b'v', ..]) => Some((1, vec![])),
        (b'\\', [b'e', ..]) => Some((1, vec![0x1B])),
        (b'&', [b'#', b'x' | b'X', digits @ ..]) => {
            referred(digits, 16).map(|(len, letter)| (len + 2, letter))
        }
        (b'&', [b'#', digits @ ..]) => referred(digits, 10).map(|(len, letter)| (len + 1, letter)),
        (b'\\', [b'x', digits @ ..]) => byte(digits).map(|(len, byte)| (len + 1, byte)),
        (b'\\', [b'u', b'{', digits @ ..]) => braced(digits).map(|(len, letter)| (len + 2, letter)),
        (b'\\', [b'u', digits @ ..]) => units(digits, signs).map(|(len, letter)| (len + 1, letter)),
        _ => None,
    };
    // The break of a line that is written by its number stands between two parts of what is meant.
    let shown = |meant: Vec<u8>| if matches!(meant[..], [b'\n' | b'\r']) { vec![] } else { meant };
    read.map_or((signs, None), |(len, meant)| (signs + len, Some(shown(meant))))
}

/// How long the sequence is that a text begins with and that colours what stands behind it on a terminal, moves it, or links it
/// (ECMA-48: CSI with seven or eight bits, OSC up to its end).
fn colours(text: &[u8]) -> Option<usize> {
    const MOST_OF_A_LINK: usize = 4_096;
    if let Some(rest) = text.strip_prefix(b"\x1b]") {
        let ends = |at: &usize| rest[*at] == 7 || rest[*at..].starts_with(b"\x1b\\");
        let end = (0..rest.len().min(MOST_OF_A_LINK)).find(ends)?;
        return Some(2 + end + if rest[end] == 7 { 1 } else { 2 });
    }
    let rest = text.strip_prefix(b"\x1b[").or_else(|| text.strip_prefix("\u{9b}".as_bytes()))?;
    let last = rest.iter().position(|byte| !(0x20..0x40).contains(byte))?;
    (0x40..0x7F).contains(&rest[last]).then_some(last + 3)
}

/// Names of HTML for signs that nobody sees.
const UNSEEN_NAMES: [&[u8]; 5] = [b"shy;", b"ZeroWidthSpace;", b"zwj;", b"zwnj;", b"NoBreak;"];

fn unseen_name(text: &[u8]) -> Option<Read> {
    UNSEEN_NAMES.iter().find(|name| text.starts_with(name)).map(|name| (name.len(), vec![]))
}

/// How long the sign of UTF-8 is that a text begins with, if nobody sees it.
fn unseen(text: &[u8]) -> Option<usize> {
    let letter =
        (2..=4).filter_map(|len| text.get(..len)).find_map(|it| str::from_utf8(it).ok())?.chars().next()?;
    UNSEEN.iter().any(|signs| signs.contains(&letter)).then(|| letter.len_utf8())
}

/// How long the names are of ampersands that were escaped again, if there are any.
fn ampersands(text: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"amp;";
    let names = text.chunks(NAME.len()).take_while(|name| *name == NAME).count();
    (names > 0 && text[names * NAME.len()..].starts_with(b"#")).then_some(names * NAME.len())
}

/// What was read: how much of a text it takes, and what it means.
type Read = (usize, Vec<u8>);

/// Two hexadecimal digits.
fn byte(text: &[u8]) -> Option<Read> {
    Some((2, vec![u8::try_from(number(text.get(..2)?, 16)?).ok()?]))
}

/// A reference of HTML and XML. It ends with `;`, and browsers do without.
fn referred(digits: &[u8], base: u32) -> Option<Read> {
    const MOST_DIGITS: usize = 10;
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(base);
    let len = digits.iter().take(MOST_DIGITS).take_while(is_digit).count();
    let meant = letter(number(&digits[..len], base)?)?;
    Some((len + usize::from(digits.get(len) == Some(&b';')), meant))
}

/// The number of a letter, up to the brace.
fn braced(text: &[u8]) -> Option<Read> {
    const MOST_DIGITS: usize = 10;
    let digits = text.iter().take(MOST_DIGITS + 1).position(|byte| *byte == b'}')?;
    Some((digits + 1, letter(number(&text[..digits], 16)?)?))
}

/// Four hexadecimal digits, and the other half of a letter that takes two of such escapes, with as many backslashes.
fn units(text: &[u8], signs: usize) -> Option<Read> {
    let first = number(text.get(..4)?, 16)?;
    let second = || {
        let rest = text[4..].strip_prefix(&vec![b'\\'; signs][..])?.strip_prefix(b"u")?;
        number(rest.get(..4)?, 16).filter(|unit| (0xDC00..0xE000).contains(unit))
    };
    match first {
        0xD800..0xDC00 => {
            let number = 0x10000 + ((first - 0xD800) << 10) + (second()? - 0xDC00);
            Some((4 + signs + 5, letter(number)?))
        }
        _ => Some((4, letter(first)?)),
    }
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    let is_number = digits.iter().all(|digit| char::from(*digit).is_digit(base));
    u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_number)?, base).ok()
}

fn letter(number: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        Unescaped::of(text.as_bytes())
            .map_or("nothing".into(), |it| String::from_utf8_lossy(&it.bytes).into_owned())
    }

    #[test]
    fn each_escape_of_a_letter_is_read() {
        for text in [
            "-%61-",
            r"-\u0061-",
            r"-\\u0061-",
            r"-\\\\u0061-",
            r"-\u{61}-",
            r"-\x61-",
            r"-\\x61-",
            "-&#97;-",
        ] {
            assert_eq!(read(text), "-a-", "{text}");
        }
        for text in ["-&#x61;-", "-&#X61;-", "-&#0097;-"] {
            assert_eq!(read(text), "-a-", "{text}");
        }
        for text in ["-&amp;#97;-", "-&amp;amp;#x61;-", "-&#97-", "-&#x61-"] {
            assert_eq!(read(text), "-a-", "{text}");
        }
        assert_eq!(read("%6a%6A\\u006A\\u006a&#x6a;&#x6A;"), "jjjjjj");
        assert_eq!(read(r"\u00e9 %C3%A9 \xc3\xa9 &#233;"), "é é é é");
        assert_eq!(read(r"\ud83d\ude00 \\ud83d\\ude00 \u{1f600} &#128512;"), "😀 😀 😀 😀");
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [
            "",
            "plain",
            "100% & more",
            r"C:\users\x",
            "%zz %6",
            r"\u00 \u12g4 \ud83d \u{}",
            "&#; &#x; &lt; &amp; &amp;# &amp;lt;#",
            "ä – — … 中文 ﬁ",
        ] {
            assert_eq!(read(text), "nothing", "{text}");
        }
        assert_eq!(read(r"100% \n \ud83d\u0061 &#1114112; %+1%61"), r"100% \n \ud83da &#1114112; %+1a");
    }

    #[test]
    fn what_was_escaped_is_found_where_it_stood() {
        let text = r"one h%75\u006e&#116;er two";
        let it = Unescaped::of(text.as_bytes()).unwrap();
        assert_eq!(it.bytes, b"one hunter two");
        let stood = |from, to| {
            let (from, to) = it.stood(from, to);
            &text[from..to]
        };
        assert_eq!(stood(4, 10), r"h%75\u006e&#116;er");
        assert_eq!((stood(0, 3), stood(5, 6), stood(7, 8), stood(11, 14)), ("one", "%75", "&#116;", "two"));
    }

    #[test]
    fn what_nobody_sees_is_left_out() {
        for text in [
            "hu\u{200b}nt",
            "hu\u{ad}nt",
            "\u{feff}h\u{2060}u\u{200d}n\u{fe0f}t\u{202e}",
            "h\u{34f}u\u{180e}nt",
            "hu\x1b[0m\x1b[01;31mnt\x1b[K",
            "h\0u\0n\0t\0",
            "hu\u{9b}31mnt\u{85}",
            "hu\u{2028}n\u{3164}t\u{e0041}",
            "hu&#13;&#10;nt",
            "hu%0D%0Ant",
            "hu\x1b]8;;http://a.test\x07nt\x1b]8;;\x1b\\",
            r"h\bu\fn\vt",
            "hu&shy;n&ZeroWidthSpace;t",
        ] {
            assert_eq!(read(text), "hunt", "{text:?}");
        }
        assert_eq!(read("hu\x1b[1"), "hu[1", "a sequence that does not end is a sign and text");
    }

    #[test]
    fn a_sign_is_found_in_whichever_block_it_stands() {
        for plain in (0..200).map(|letters| "-".repeat(letters)) {
            assert_eq!(read(&format!("{plain}%61{plain}\0{plain}")), format!("{plain}a{plain}{plain}"));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_every_byte_has_its_place(text in r"[%\\&#xu{};0-9a-fA-Fé\x1b\[mp\u{200b}–]{0,60}") {
            // Signs that nobody sees mean nothing, and have no byte.
            let text = text + ".";
            if let Some(it) = Unescaped::of(text.as_bytes()) {
                let mut last = 0;
                for at in 0..it.bytes.len() {
                    let (from, to) = it.stood(at, at + 1);
                    prop_assert!(last <= to && from < to && to <= text.len());
                    last = to;
                }
                prop_assert_eq!(last, text.len());
            }
        }
    }
}
