//! A server that misbehaves by hand, a way for each path. It shares no code with the clients under test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How it answers: what was asked stays in the stream if `is_read` is not set, so that closing it resets the connection.
struct Way {
    is_read: bool,
    answer: fn(&mut TcpStream) -> std::io::Result<()>,
}

/// Where it listens, and how many requests it has seen.
pub(super) struct Hostile {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Hostile {
    /// Listens for as long as the tests run.
    pub(super) fn listening() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (opened, seen) = (connections.clone(), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                opened.fetch_add(1, Ordering::Relaxed);
                let seen = seen.clone();
                std::thread::spawn(move || while serve(&stream, &seen) {});
            }
        });
        Self { address, connections, requests }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Answers one request. Whether there may be another: a client that hangs up is no trouble.
fn serve(mut stream: &TcpStream, seen: &AtomicUsize) -> bool {
    let mut head = [0; 2048];
    let Ok(length @ 1..) = stream.peek(&mut head) else { return false };
    seen.fetch_add(1, Ordering::Relaxed);
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let way = way(head.split(' ').nth(1).unwrap_or_default());
    if way.is_read {
        stream.read_exact(&mut vec![0; length]).ok();
    }
    let mut stream = stream.try_clone().unwrap();
    let went_well = (way.answer)(&mut stream).is_ok();
    went_well && head.starts_with("GET /keeps/")
}

fn read(answer: fn(&mut TcpStream) -> std::io::Result<()>) -> Way {
    Way { is_read: true, answer }
}

/// How a path is answered.
fn way(path: &str) -> Way {
    cut(path)
        .or_else(|| read_otherwise(path))
        .or_else(|| strange(path))
        .unwrap_or_else(|| whole_but_wrong(path))
}

/// Answers that do not come whole.
fn cut(path: &str) -> Option<Way> {
    Some(match path {
        "/resets-at-once" => Way { is_read: false, answer: |_| Ok(()) },
        "/resets-in-the-middle" => Way {
            is_read: false,
            answer: |it| it.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
        },
        "/never-answers" => read(|_| held()),
        "/slow-head" => {
            read(|it| drip(it, b"HTTP/1.1 200 OK\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
        }
        "/slow-body" => read(|it| {
            it.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")?;
            drip(it, &[b' '; 900])
        }),
        "/endless-body" => read(|it| {
            it.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            poured(it, usize::MAX)
        }),
        "/endless-chunks" => read(|it| {
            it.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                write!(it, "1000\r\n{:4096}\r\n", "")?;
            }
        }),
        "/hundred-mib" => read(|it| {
            it.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")?;
            poured(it, 100 << 20)
        }),
        "/too-short" => {
            read(|it| it.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"status\":\"ok\"}"))
        }
        "/too-long" => {
            read(|it| it.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"status\":\"ok\"}"))
        }
        "/two-lengths" => read(|it| {
            it.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}",
            )
        }),
        "/bad-chunks" => {
            read(|it| it.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"))
        }
        _ => return None,
    })
}

/// Right answers whose head says of the body what others may read otherwise.
fn read_otherwise(path: &str) -> Option<Way> {
    const CHUNKS: &str = "f\r\n{\"status\":\"ok\"}\r\n0\r\n\r\n";
    fn chunked(stream: &mut TcpStream, headers: &str) -> std::io::Result<()> {
        write!(stream, "HTTP/1.1 200 OK\r\n{headers}\r\n{CHUNKS}")
    }
    const OK: &[u8] = b"{\"status\":\"ok\"}";
    Some(match path {
        "/length-and-chunks" => {
            read(|it| chunked(it, "Content-Length: 15\r\nTransfer-Encoding: chunked\r\n"))
        }
        "/chunks-and-length" => {
            read(|it| chunked(it, "Transfer-Encoding: chunked\r\nContent-Length: 30\r\n"))
        }
        "/packed-chunks" => read(|it| chunked(it, "Transfer-Encoding: gzip, chunked\r\n")),
        "/packed-to-the-end" => read(|it| {
            it.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n")?;
            it.write_all(OK)
        }),
        "/said-gzip" => read(|it| whole(it, "Content-Encoding: gzip\r\n", OK)),
        "/said-br" => read(|it| whole(it, "Content-Encoding: br\r\n", OK)),
        "/said-deflate" => read(|it| whole(it, "Content-Encoding: deflate\r\n", OK)),
        "/said-twice" => {
            read(|it| whole(it, "Content-Encoding: identity\r\nContent-Encoding: x-own\r\n", OK))
        }
        "/said-identity" => read(|it| whole(it, "Content-Encoding: identity\r\n", OK)),
        "/chunked" => read(|it| chunked(it, "Transfer-Encoding: chunked\r\n")),
        _ => return None,
    })
}

/// Answers that are hardly any.
fn strange(path: &str) -> Option<Way> {
    Some(match path {
        "/many-headers" => read(|it| whole(it, &"X-Many: 1\r\n".repeat(5_000), b"{\"status\":\"ok\"}")),
        "/endless-header" => read(|it| {
            it.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ")?;
            poured(it, usize::MAX)
        }),
        "/no-http" => read(|it| it.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")),
        "/http-one-point-zero" => read(|it| it.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"status\":\"ok\"}")),
        "/loop" => {
            read(|it| it.write_all(b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"))
        }
        "/leads-elsewhere" => read(|it| {
            it.write_all(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.2:9/x\r\nContent-Length: 0\r\n\r\n")
        }),
        "/refuses-as-if-missing" => read(|it| {
            let body = r#"{"kind":"Status","status":"ok","code":404}"#;
            write!(it, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        }),
        _ => return None,
    })
}

/// Whole answers with a body that is wrong, or right.
fn whole_but_wrong(path: &str) -> Way {
    match path {
        "/gzip-bomb" => read(|it| whole(it, "Content-Encoding: gzip\r\n", &bomb())),
        "/gzip-untold" => read(|it| whole(it, "", &bomb())),
        "/no-utf-8" => read(|it| whole(it, "", b"{\"status\":\"ok\",\"name\":\"\xff\xfe\"}")),
        "/deep" => read(|it| whole(it, "", deep().as_bytes())),
        "/twice" => read(|it| whole(it, "", b"{\"status\":\"gone\",\"status\":\"ok\"}")),
        "/huge-number" => read(|it| whole(it, "", b"{\"status\":\"ok\",\"count\":1e999}")),
        "/near-number" => read(|it| whole(it, "", b"{\"status\":\"ok\",\"count\":9007199254740992}")),
        "/million-values" => read(|it| whole(it, "", format!("[{}0]", "0,".repeat(2_000_000)).as_bytes())),
        // One answer too many: it would be taken for the answer to the next request on this connection.
        // Both in one piece, so that the second is there before anything else is asked.
        "/keeps/surplus" => read(|it| {
            let answer =
                |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            it.write_all(format!("{}{}", answer("{}"), answer("{\"status\":\"ok\"}")).as_bytes())
        }),
        "/keeps/gone" => read(|it| whole(it, "", b"{\"status\":\"gone\"}")),
        _ => read(|it| whole(it, "", b"{\"status\":\"ok\"}")),
    }
}

/// A whole answer.
fn whole(stream: &mut TcpStream, headers: &str, body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)
}

/// So many bytes, or fewer if the client has had enough.
fn poured(stream: &mut TcpStream, bytes: usize) -> std::io::Result<()> {
    let block = [b'x'; 64 << 10];
    (0..bytes.div_ceil(block.len())).try_for_each(|_| stream.write_all(&block))
}

/// One byte after the other, each on its own.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    bytes.iter().try_for_each(|byte| {
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(&[*byte])
    })
}

/// Nothing at all, for longer than any client waits.
fn held() -> std::io::Result<()> {
    std::thread::sleep(Duration::from_secs(120));
    Ok(())
}

fn deep() -> String {
    "[".repeat(100_000) + &"]".repeat(100_000)
}

/// What gzip makes of 100 MiB of zeros, by hand (RFC 1951 §3.2.6, fixed codes): a zero, then again and again the 258 bytes
/// before. Checksum and length at its end are left out: nobody gets there.
fn bomb() -> Vec<u8> {
    let (head, zero, again, end) = ("110", "00110000", "1100010100000", "0000000");
    let bits = [head, zero].into_iter().chain(std::iter::repeat_n(again, (100 << 20) / 258)).chain([end]);
    let bits: Vec<u8> = bits.flat_map(str::bytes).map(|bit| bit - b'0').collect();
    let packed = bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | bit));
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].into_iter().chain(packed).collect()
}
