//! The dialogue of SMTP (RFC 5321) as a pure machine: a line in, a reply out.
//!
//! Lives here: commands, their order, and reply codes. Does not: sockets (`smtp`), or what a mail says (`shelf`).

/// A mail is taken up to this many bytes.
pub(super) const SIZE_LIMIT_BYTES: usize = 10 << 20;
/// A command is read up to this many bytes, with its line break.
pub(super) const LINE_LIMIT_BYTES: usize = 2_048;
/// How many recipients one mail may have.
const MOST_RECIPIENTS: usize = 100;

/// Who sends to whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The sender; empty for a report of non-delivery.
    pub(super) from: String,
    /// The recipients.
    pub(super) to: Vec<String>,
}

/// What comes after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another command.
    Command,
    /// The mail itself.
    Mail,
    /// Nothing: the connection is closed.
    End,
}

/// One connection's dialogue.
#[derive(Debug, Default)]
pub(super) struct Talk {
    is_greeted: bool,
    envelope: Option<Envelope>,
}

type Answer = (String, Next);

fn go_on(reply: &str) -> Answer {
    (reply.to_owned(), Next::Command)
}

impl Talk {
    /// Answers a command, without its line break.
    pub(super) fn command(&mut self, line: &str) -> Answer {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => self.greet(verb, rest.trim()),
            "MAIL" => self.sender(rest),
            "RCPT" => self.recipient(rest),
            "DATA" => self.mail(rest),
            "RSET" => {
                self.envelope = None;
                go_on("250 2.0.0 forgotten")
            }
            "NOOP" => go_on("250 2.0.0 nothing was done"),
            "VRFY" => go_on("252 2.1.5 send it, and see"),
            "HELP" => go_on("214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY QUIT"),
            "QUIT" => ("221 2.0.0 goodbye".to_owned(), Next::End),
            "AUTH" | "STARTTLS" | "EXPN" | "ETRN" | "BDAT" => go_on("502 5.5.1 not offered here"),
            _ => go_on("500 5.5.2 no such command"),
        }
    }

    /// Takes the envelope of a mail that has arrived whole.
    pub(super) fn take_envelope(&mut self) -> Envelope {
        self.envelope.take().unwrap_or_default()
    }

    fn greet(&mut self, verb: &str, domain: &str) -> Answer {
        if domain.is_empty() {
            return go_on("501 5.5.4 wanted a domain");
        }
        self.is_greeted = true;
        self.envelope = None;
        if verb.eq_ignore_ascii_case("HELO") {
            return go_on("250 fake.muster");
        }
        go_on(&format!(
            "250-fake.muster\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE {SIZE_LIMIT_BYTES}"
        ))
    }

    fn sender(&mut self, rest: &str) -> Answer {
        if !self.is_greeted || self.envelope.is_some() {
            return go_on("503 5.5.1 bad sequence of commands");
        }
        let Some((from, parameters)) = path("FROM:", rest) else {
            return go_on("501 5.5.4 wanted MAIL FROM:<address>");
        };
        for parameter in parameters.split_ascii_whitespace() {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (key.to_ascii_uppercase().as_str(), value.parse::<usize>()) {
                ("SIZE", Ok(size)) if size > SIZE_LIMIT_BYTES => {
                    return go_on("552 5.3.4 the mail is too large");
                }
                ("SIZE", Ok(_)) | ("BODY", _) => {}
                ("SIZE", Err(_)) => return go_on("501 5.5.4 wanted SIZE=number"),
                _ => return go_on("555 5.5.4 unknown parameter"),
            }
        }
        self.envelope = Some(Envelope { from: from.to_owned(), to: vec![] });
        go_on("250 2.1.0 sender taken")
    }

    fn recipient(&mut self, rest: &str) -> Answer {
        let Some(envelope) = &mut self.envelope else { return go_on("503 5.5.1 bad sequence of commands") };
        match path("TO:", rest) {
            Some((to, "")) if to.contains('@') => {
                if envelope.to.len() >= MOST_RECIPIENTS {
                    return go_on("452 4.5.3 too many recipients");
                }
                envelope.to.push(to.to_owned());
                go_on("250 2.1.5 recipient taken")
            }
            Some(("", "")) => go_on("501 5.1.3 wanted RCPT TO:<address>"),
            Some((_, "")) => go_on("553 5.1.3 that is no address"),
            Some(_) => go_on("555 5.5.4 unknown parameter"),
            None => go_on("501 5.5.4 wanted RCPT TO:<address>"),
        }
    }

    fn mail(&self, rest: &str) -> Answer {
        match &self.envelope {
            _ if !rest.trim().is_empty() => go_on("501 5.5.4 DATA takes nothing"),
            None => go_on("503 5.5.1 bad sequence of commands"),
            Some(envelope) if envelope.to.is_empty() => go_on("554 5.5.1 no valid recipients"),
            Some(_) => ("354 end with <CR><LF>.<CR><LF>".to_owned(), Next::Mail),
        }
    }
}

/// `FROM:<me@a.test> SIZE=10`: the address, and what follows it.
fn path<'a>(word: &str, rest: &'a str) -> Option<(&'a str, &'a str)> {
    let head = rest.trim_start().get(..word.len())?;
    let after = rest.trim_start().get(word.len()..)?.trim_start();
    let (address, parameters) = after.strip_prefix('<')?.split_once('>')?;
    head.eq_ignore_ascii_case(word).then_some((address, parameters.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reply codes to lines, one after the other.
    fn codes(lines: &[&str]) -> Vec<String> {
        let mut talk = Talk::default();
        lines.iter().map(|line| talk.command(line).0[..3].to_owned()).collect()
    }

    #[test]
    fn a_mail_is_handed_over_in_order() {
        let mut talk = Talk::default();
        let lines = [
            "EHLO me",
            "mail from:<a@b.test> SIZE=10 BODY=8BITMIME",
            "RCPT TO:<c@d.test>",
            "rcpt to: <e@d.test>",
        ];
        assert!(lines.iter().all(|line| talk.command(line).0.starts_with("250")));
        assert_eq!(talk.command("DATA").1, Next::Mail);
        let to = vec!["c@d.test".to_owned(), "e@d.test".to_owned()];
        assert_eq!(talk.take_envelope(), Envelope { from: "a@b.test".into(), to });
        assert_eq!(talk.command("DATA").0.get(..3), Some("503"), "one mail, one envelope");
        assert_eq!(talk.command("QUIT").1, Next::End);
    }

    #[test]
    fn what_is_out_of_order_or_malformed_has_its_code() {
        let greeted = |line| codes(&["HELO me", line])[1].clone();
        for (line, code) in [
            ("EHLO", "501"),
            ("MAIL FROM:a@b.test", "501"),
            ("MAIL FROM:<a@b.test> SIZE=99999999", "552"),
            ("MAIL FROM:<a@b.test> SIZE=x", "501"),
            ("MAIL FROM:<a@b.test> X=1", "555"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<a@b.test>", "503"),
            ("DATA", "503"),
            ("NOOP", "250"),
            ("RSET", "250"),
            ("VRFY me", "252"),
            ("STARTTLS", "502"),
            ("HELLO", "500"),
            ("", "500"),
            ("MAIL FROMÄ<a@b.test>", "501"),
        ] {
            assert_eq!(greeted(line), code, "{line}");
        }
        assert_eq!(codes(&["MAIL FROM:<a@b.test>"]), ["503"]);
        assert_eq!(codes(&["HELO me", "MAIL FROM:<>", "MAIL FROM:<>"])[2], "503");
        assert_eq!(codes(&["HELO me", "MAIL FROM:<>", "DATA"])[2], "554");
        assert_eq!(codes(&["HELO me", "MAIL FROM:<>", "RCPT TO:<me>"])[2], "553");
        assert_eq!(codes(&["HELO me", "MAIL FROM:<>", "RCPT TO:<>"])[2], "501");
        assert_eq!(codes(&["HELO me", "MAIL FROM:<>", "RSET", "RCPT TO:<a@b.test>"])[3], "503");
    }

    #[test]
    fn recipients_are_limited() {
        let mut talk = Talk::default();
        ["HELO me", "MAIL FROM:<>"].iter().for_each(|line| drop(talk.command(line)));
        let taken = (0..150)
            .filter(|number| talk.command(&format!("RCPT TO:<a{number}@b.test>")).0.starts_with("250"));
        assert_eq!(taken.count(), MOST_RECIPIENTS);
        assert!(talk.command("RCPT TO:<b@b.test>").0.starts_with("452"));
    }
}
