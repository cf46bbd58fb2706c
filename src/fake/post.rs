//! The fake platform's mails, sent by SMTP to a server of one's choice.
//!
//! Lives here: what such a mail looks like, and the few commands that send it. Does not: taking mails (`mail`).

use super::platform::Mail;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const BOUNDARY: &str = "=_fake.muster";
/// How often a mail is tried, and how long one try may take.
const MOST_TRIES: u32 = 3;
const TRY_WITHIN: Duration = Duration::from_secs(10);

/// Sends each mail in its order, until nobody gives any. One that cannot be sent is lost, as mails are.
pub(crate) async fn run(to: SocketAddr, mut mails: mpsc::UnboundedReceiver<Mail>) {
    while let Some(mail) = mails.recv().await {
        for _ in 0..MOST_TRIES {
            if matches!(tokio::time::timeout(TRY_WITHIN, send(to, &mail)).await, Ok(Ok(()))) {
                break;
            }
        }
    }
}

async fn send(server: SocketAddr, mail: &Mail) -> Result<()> {
    if mail.to.contains(|letter: char| letter.is_control() || "<> ".contains(letter)) {
        return Err(Error::other("that is no address"));
    }
    let (read, mut write) = TcpStream::connect(server).await?.into_split();
    let mut read = BufReader::new(read);
    expect(&mut read, '2').await?;
    let to = &mail.to;
    let commands = [
        ("EHLO fake.muster".to_owned(), '2'),
        ("MAIL FROM:<support@m3o.com>".to_owned(), '2'),
        (format!("RCPT TO:<{to}>"), '2'),
        ("DATA".to_owned(), '3'),
        // No line of it begins with a dot.
        (format!("{}\r\n.", text(mail)), '2'),
        ("QUIT".to_owned(), '2'),
    ];
    for (command, wanted) in commands {
        write.write_all(format!("{command}\r\n").as_bytes()).await?;
        expect(&mut read, wanted).await?;
    }
    Ok(())
}

/// Reads a reply of one line or more, which must begin with a digit.
async fn expect(read: &mut (impl AsyncBufRead + Unpin), wanted: char) -> Result<()> {
    loop {
        let mut line = String::new();
        read.read_line(&mut line).await?;
        if !line.starts_with(wanted) {
            return Err(Error::other("refused"));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

/// The mail: what was filled in, a line each, as plain text and as HTML, both in base64.
fn text(mail: &Mail) -> String {
    let data: Value = serde_json::from_str(&mail.data).unwrap_or_default();
    let lines = data.as_object().into_iter().flatten().map(|(key, value)| match value {
        Value::String(text) => format!("{key}: {text}"),
        other => format!("{key}: {other}"),
    });
    let lines: Vec<String> = lines.collect();
    let part = |kind: &str, body: String| {
        let head = format!("Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64");
        format!("--{BOUNDARY}\r\n{head}\r\n\r\n{}\r\n", folded(&STANDARD.encode(body)))
    };
    let html: String = lines.iter().map(|line| format!("<p>{}</p>\n", line.replace('<', "&lt;"))).collect();
    format!(
        "From: Micro Team <support@m3o.com>\r\nTo: {}\r\nSubject: {}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=\"{BOUNDARY}\"\r\n\r\n{}{}--{BOUNDARY}--",
        mail.to,
        mail.template.replace(['\r', '\n'], " "),
        part("plain", lines.join("\n")),
        part("html", html),
    )
}

/// In lines of 76 characters.
fn folded(text: &str) -> String {
    let lines: Vec<_> = text.as_bytes().chunks(76).map(String::from_utf8_lossy).collect();
    lines.join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::MessageParser;

    #[test]
    fn a_mail_can_be_read_again() {
        let data = r#"{"token":"abcdEFGH","namespaces":["a-b-c"]}"#;
        let mail = Mail { to: "me@a.test".into(), template: "d-code".into(), data: data.into() };
        let text = text(&mail);
        assert!(!text.contains("\r\n."), "{text}");
        let read = MessageParser::default().parse(text.as_bytes()).unwrap();
        assert_eq!(read.subject(), Some("d-code"));
        assert_eq!(read.body_text(0).unwrap(), "token: abcdEFGH\nnamespaces: [\"a-b-c\"]");
        assert_eq!(read.body_html(0).unwrap(), "<p>token: abcdEFGH</p>\n<p>namespaces: [\"a-b-c\"]</p>\n");
    }
}
