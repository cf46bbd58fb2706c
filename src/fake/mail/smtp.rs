//! The SMTP door: connections, lines and the bytes of mails.
//!
//! Lives here: reading lines within limits, and taking the dots out that guard them. Does not: what is answered (`talk`).

use super::shelf::Shelf;
use super::talk::{LINE_LIMIT_BYTES, Next, SIZE_LIMIT_BYTES, Talk};
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How long a client may be silent (RFC 5321 §4.5.3.2.7).
const SILENCE: Duration = Duration::from_secs(300);
/// The longest line of a mail that is read in one piece; a longer one comes in several.
const PIECE_LIMIT_BYTES: u64 = 64 << 10;

/// Serves every connection until this future is dropped; its connections end with it.
pub(super) async fn serve(listener: TcpListener, shelf: Arc<Shelf>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let shelf = shelf.clone();
                    // A connection that breaks is the client's business.
                    connections.spawn(async move { talk(stream, &shelf).await.ok() });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn talk(stream: TcpStream, shelf: &Shelf) -> Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut talk = Talk::default();
    let mut reply = "220 fake.muster ESMTP".to_owned();
    loop {
        write.write_all(format!("{reply}\r\n").as_bytes()).await?;
        let Ok(line) = tokio::time::timeout(SILENCE, line(&mut read)).await else {
            return write.write_all(b"421 4.4.2 too long a silence\r\n").await;
        };
        let next;
        (reply, next) = match line? {
            Line::Whole(line) => talk.command(&line),
            Line::TooLong => ("500 5.5.2 the line is too long".to_owned(), Next::Command),
            Line::End => return Ok(()),
        };
        match next {
            Next::Command => {}
            Next::End => return write.write_all(format!("{reply}\r\n").as_bytes()).await,
            Next::Mail => {
                write.write_all(format!("{reply}\r\n").as_bytes()).await?;
                let mail = tokio::time::timeout(SILENCE, mail(&mut read)).await.map_err(|_| silent())??;
                let envelope = talk.take_envelope();
                reply = match mail {
                    Some(mail) => format!("250 2.0.0 kept as {}", shelf.put(&envelope, &mail)),
                    None => "552 5.3.4 the mail is too large".to_owned(),
                };
            }
        }
    }
}

fn silent() -> Error {
    Error::new(ErrorKind::TimedOut, "too long a silence")
}

/// A command, as it came.
enum Line {
    Whole(String),
    TooLong,
    End,
}

async fn line(read: &mut (impl AsyncBufRead + Unpin)) -> Result<Line> {
    let mut bytes = vec![];
    read.take(LINE_LIMIT_BYTES as u64).read_until(b'\n', &mut bytes).await?;
    if bytes.last() == Some(&b'\n') {
        let text = String::from_utf8_lossy(&bytes);
        return Ok(Line::Whole(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if bytes.len() < LINE_LIMIT_BYTES {
        return Ok(Line::End);
    }
    while bytes.last() != Some(&b'\n') {
        bytes.clear();
        if read.take(PIECE_LIMIT_BYTES).read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(Line::End);
        }
    }
    Ok(Line::TooLong)
}

/// The bytes of a mail up to the line with one dot, without the dots that were added to others; nothing if it is too
/// large. Only `<CR><LF>.<CR><LF>` ends it: a bare line feed is part of the mail, so that none is smuggled in.
async fn mail(read: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>> {
    let (mut mail, mut is_too_large, mut begins_line) = (vec![], false, true);
    loop {
        let mut piece = vec![];
        if read.take(PIECE_LIMIT_BYTES).read_until(b'\n', &mut piece).await? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the mail was cut"));
        }
        if begins_line && piece == b".\r\n" {
            return Ok((!is_too_large).then_some(mail));
        }
        let guarded = usize::from(begins_line && piece.first() == Some(&b'.'));
        begins_line = piece.ends_with(b"\r\n");
        is_too_large |= mail.len() + piece.len() > SIZE_LIMIT_BYTES;
        if !is_too_large {
            mail.extend_from_slice(&piece[guarded..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn taken(sent: &[u8]) -> Result<Option<Vec<u8>>> {
        mail(&mut BufReader::new(sent)).await
    }

    #[tokio::test]
    async fn dots_are_taken_out_and_only_a_whole_ending_ends() {
        let sent = b"a\r\n..b\r\n.c\r\n\n.\nd\n.\r\ne.\r\n.\r\nQUIT\r\n";
        let mail = taken(sent).await.unwrap().unwrap();
        assert_eq!(String::from_utf8(mail).unwrap(), "a\r\n.b\r\nc\r\n\n.\nd\n.\r\ne.\r\n");
        assert_eq!(taken(b".\r\n").await.unwrap().unwrap(), b"");
        assert!(taken(b"a\r\n.\n").await.is_err(), "a mail that is cut is none");
    }

    #[tokio::test]
    async fn a_mail_that_is_too_large_is_read_to_its_end_and_not_kept() {
        let mut sent = vec![b'x'; SIZE_LIMIT_BYTES + 1];
        sent.extend_from_slice(b"\r\n.\r\nNOOP\r\n");
        let mut read = BufReader::new(&sent[..]);
        assert_eq!(mail(&mut read).await.unwrap(), None);
        assert!(matches!(line(&mut read).await.unwrap(), Line::Whole(text) if text == "NOOP"));
    }

    #[tokio::test]
    async fn a_command_that_is_too_long_is_skipped() {
        let sent = format!("{}\r\nNOOP\r\n", "x".repeat(200_000));
        let mut read = BufReader::new(sent.as_bytes());
        assert!(matches!(line(&mut read).await.unwrap(), Line::TooLong));
        assert!(matches!(line(&mut read).await.unwrap(), Line::Whole(text) if text == "NOOP"));
        assert!(matches!(line(&mut read).await.unwrap(), Line::End));
    }
}
