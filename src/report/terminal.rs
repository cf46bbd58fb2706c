//! Text that a platform sent, made harmless to a terminal.
//!
//! A reply may hold control sequences that move the cursor, change the title or turn text around. What is shown names
//! them instead.

/// A line longer than this many characters is cut.
const LINE_CHARACTERS: usize = 400;

/// Lines as they are, each cut to a length that can be read, everything that steers a terminal written out.
pub fn harmless(text: &str) -> String {
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// The same on one line.
pub(super) fn harmless_line(text: &str) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn cut(line: &str) -> String {
    let mut shown: String = line.chars().take(LINE_CHARACTERS).map(written_out).collect();
    let more = line.chars().count().saturating_sub(LINE_CHARACTERS);
    if more > 0 {
        shown.push_str(&format!(" … {more} characters more"));
    }
    shown
}

fn written_out(letter: char) -> String {
    match letter {
        '\t' => "    ".into(),
        _ if letter.is_control() || turns_text(letter) => letter.escape_unicode().to_string(),
        _ => letter.into(),
    }
}

/// Marks that change the direction in which text is read (Unicode annex 9).
fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        assert_eq!(harmless("a\u{1b}[31mb\u{0}\u{9b}c\n\td"), "a\\u{1b}[31mb\\u{0}\\u{9b}c\n    d");
        assert_eq!(harmless_line("a\u{202e}b\r\nc 𝒟 ü"), "a\\u{202e}b c 𝒟 ü");
    }

    #[test]
    fn a_long_line_is_cut_and_says_by_how_much() {
        let shown = harmless(&format!("{}\nshort", "x".repeat(100 * 1024)));
        assert_eq!(shown, format!("{} … 102000 characters more\nshort", "x".repeat(400)));
    }
}
