//! Which of several messages is the one that was waited for, and what is taken from it.
//!
//! Lives here: the choice among mails and among log lines. Does not: where they come from (`client`).

use regex::Regex;

/// A message that has arrived: to whom, and the texts in which what is wanted may stand, in the order in which they are
/// searched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The addresses that it is for.
    pub to: Vec<String>,
    /// Its texts.
    pub texts: Vec<String>,
}

impl Message {
    /// What the first group of the pattern takes from the first text that fits, if it is for exactly this address.
    pub fn taken(&self, to: &str, pattern: &Regex) -> Option<String> {
        if !self.to.iter().any(|one| is_same_address(one, to)) {
            return None;
        }
        self.texts.iter().find_map(|text| first_group(text, pattern))
    }
}

/// What the newest message for an address holds that fits; messages come oldest first.
pub fn newest(messages: &[Message], to: &str, pattern: &Regex) -> Option<String> {
    messages.iter().rev().find_map(|message| message.taken(to, pattern))
}

/// What the newest line that holds an address and fits is taken from; lines come oldest first.
pub fn newest_line<'a>(
    lines: impl DoubleEndedIterator<Item = &'a str>,
    to: &str,
    pattern: &Regex,
) -> Option<String> {
    lines.rev().filter(|line| holds_address(line, to)).find_map(|line| first_group(line, pattern))
}

/// Whether two addresses are the same: the part before the `@` to the letter, the domain in any case.
pub fn is_same_address(one: &str, other: &str) -> bool {
    match (one.trim().rsplit_once('@'), other.trim().rsplit_once('@')) {
        (Some((name, domain)), Some((other_name, other_domain))) => {
            name == other_name && domain.eq_ignore_ascii_case(other_domain)
        }
        _ => false,
    }
}

/// Whether a line holds an address, and not a longer one of which it is a part.
pub fn holds_address(line: &str, address: &str) -> bool {
    !address.is_empty()
        && line.match_indices(address).any(|(start, found)| {
            let (before, after) = (&line[..start], &line[start + found.len()..]);
            !before.ends_with(belongs_to_address) && !goes_on(after)
        })
}

fn belongs_to_address(letter: char) -> bool {
    letter.is_alphanumeric() || "._%+-".contains(letter)
}

/// Whether a domain goes on: `.test` does, a full stop at the end of a sentence does not.
fn goes_on(after: &str) -> bool {
    let mut letters = after.chars();
    match letters.next() {
        Some('.') => letters.next().is_some_and(char::is_alphanumeric),
        Some(letter) => letter.is_alphanumeric() || "-_@".contains(letter),
        None => false,
    }
}

/// What the first group of a pattern takes from a text.
pub fn first_group(text: &str, pattern: &Regex) -> Option<String> {
    Some(pattern.captures(text)?.get(1)?.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "me+1@a.test";

    fn code() -> Regex {
        Regex::new("code: ([A-Za-z]{4})\\b").unwrap()
    }

    fn mail(to: &[&str], texts: &[&str]) -> Message {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Message { to: owned(to), texts: owned(texts) }
    }

    #[test]
    fn the_newest_mail_to_exactly_the_address_wins() {
        let (old, new) = (mail(&[ME], &["code: oldd"]), mail(&[ME], &["Hello", "code: neww"]));
        let table: [(&str, Vec<Message>, Option<&str>); 10] = [
            ("none", vec![], None),
            ("one", vec![old.clone()], Some("oldd")),
            ("two", vec![old.clone(), new.clone()], Some("neww")),
            ("two, in the order of arrival", vec![new.clone(), old.clone()], Some("oldd")),
            ("a newer one without a code", vec![old.clone(), mail(&[ME], &["welcome"])], Some("oldd")),
            ("to another", vec![mail(&["you@a.test"], &["code: yours"])], None),
            (
                "to a longer address",
                vec![mail(&["some+me+1@a.test", "me+1@a.test.b"], &["code: long"])],
                None,
            ),
            ("to several", vec![mail(&["you@a.test", "me+1@A.TEST"], &["code: both"])], Some("both")),
            ("in another case", vec![mail(&["ME+1@a.test"], &["code: case"])], None),
            ("the first text that fits", vec![mail(&[ME], &["code: frst", "code: scnd"])], Some("frst")),
        ];
        for (what, mails, expected) in table {
            assert_eq!(newest(&mails, ME, &code()).as_deref(), expected, "{what}");
        }
    }

    #[test]
    fn the_newest_line_that_holds_the_address_wins() {
        let table: [(&[&str], Option<&str>); 7] = [
            (&[], None),
            (&["code: abcd"], None),
            (&["code: abcd for me+1@a.test."], Some("abcd")),
            (&["code: abcd for me+1@a.test", "code: efgh for me+1@a.test, sent"], Some("efgh")),
            (&["code: abcd for me+1@a.test", "code: efgh for you@a.test"], Some("abcd")),
            (&["code: abcd for me+1@a.test", "mail to me+1@a.test"], Some("abcd")),
            (
                &[
                    "code: abcd for some-me+1@a.test",
                    "code: efgh for me+1@a.test.b",
                    "code: ijkl me+1@a.test-b",
                ],
                None,
            ),
        ];
        for (lines, expected) in table {
            assert_eq!(newest_line(lines.iter().copied(), ME, &code()).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_nobodys() {
        assert!(!is_same_address("", "") && !is_same_address("me", "me"));
        assert!(!holds_address("anything", ""));
        assert!(holds_address("{\"email\":\"me+1@a.test\",\"x\":1}", ME));
    }
}
