//! A gRPC proxy that misbehaves, frame by frame (RFC 9113), and what is said of it.

use super::{HANG_GUARD, Trial, ended};
use crate::program::{code, stderr, stdout};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200`, as HPACK has it.
const STATUS_200: &[u8] = &[0x88];

/// What it does once a request has come.
type Treat = fn(&mut TcpStream) -> std::io::Result<()>;

/// A frame of one stream, or of the connection (0).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

/// GOAWAY: no stream was worked on, and why.
fn going_away(why: u8) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, why])
}

/// Listens for as long as the tests run; the address.
fn listening(treat: Treat) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A client that hangs up is no trouble.
                greet(&mut stream).and_then(|()| treat(&mut stream)).ok();
            });
        }
    });
    format!("http://{address}")
}

/// Says its settings, and waits for the client's preface, its settings and its request.
fn greet(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    stream.read_exact(&mut [0; 24])?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize])?;
        if head[3] == HEADERS {
            return Ok(());
        }
    }
}

/// Reads what the client has to say until it hangs up, so that closing does not reset the connection.
fn heard(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(HANG_GUARD))?;
    std::io::copy(stream, &mut std::io::sink()).map(drop)
}

fn again_and_again(stream: &mut TcpStream, frame: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(frame)?;
    }
}

/// A call of such a proxy: kind and message of its failure, which must not be one of the platform's promises.
fn called(treat: Treat) -> (String, String) {
    let target = format!("api: http://127.0.0.1:9\nproxy: {}\nanswer_within: 2s", listening(treat));
    let trial =
        Trial::of(&target, &[("calls", "{ call: { rpc: store.Store.Read, effect: read, json: {} } }")]);
    let (output, most_kib) = trial.run();
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    assert!(most_kib < 64 << 10, "it held {most_kib} KiB");
    let (verdict, kind, message) = ended(&trial.summary(), "calls");
    assert_eq!(verdict, "inconclusive", "{kind}: {message}");
    (kind, message)
}

fn is_told(treat: Treat, kind: &str, part: &str) {
    let (found, message) = called(treat);
    assert!(found == kind && message.contains(part), "{found}: {message}");
}

#[test]
fn a_proxy_that_closes_early_is_inconclusive() {
    is_told(|_| Ok(()), "transport.broken", "the connection ended without an answer");
}

#[test]
fn a_proxy_that_goes_away_is_inconclusive_whatever_it_gives_as_a_reason() {
    for treat in
        [(|it: &mut TcpStream| it.write_all(&going_away(0)).and_then(|()| heard(it))) as Treat, |it| {
            it.write_all(&going_away(0xb)).and_then(|()| heard(it))
        }]
    {
        is_told(treat, "transport.broken", "the connection ended without an answer");
    }
}

#[test]
fn a_proxy_that_resets_the_stream_is_inconclusive() {
    let resets: Treat = |it| it.write_all(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 2])).and_then(|()| heard(it));
    is_told(resets, "transport.broken", "the connection ended without an answer");
}

#[test]
fn a_proxy_that_says_nothing_is_inconclusive() {
    is_told(heard, "transport.timed-out", "no whole answer within 2s");
}

#[test]
fn a_proxy_that_answers_without_a_grpc_status_is_inconclusive() {
    let bare: Treat =
        |it| it.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, STATUS_200)).and_then(|()| heard(it));
    is_told(bare, "transport.broken", "HTTP status 200, and no answer of gRPC");
}

#[test]
fn a_proxy_that_pours_out_data_is_inconclusive_and_held_under_64_mib() {
    let pours: Treat = |it| {
        it.write_all(&frame(HEADERS, END_HEADERS, 1, STATUS_200))?;
        again_and_again(it, &frame(DATA, 0, 1, &[0; 16_000]))
    };
    is_told(pours, "transport.cut", "the answer was cut");
}

#[test]
fn a_proxy_whose_headers_have_no_end_is_inconclusive_and_held_under_64_mib() {
    let floods: Treat = |it| {
        it.write_all(&frame(HEADERS, 0, 1, STATUS_200))?;
        again_and_again(it, &frame(CONTINUATION, 0, 1, &[0x88; 8_000]))
    };
    is_told(floods, "transport.broken", "the connection ended without an answer");
}

#[test]
fn a_proxy_that_speaks_http_1_is_inconclusive() {
    let old: Treat =
        |it| it.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").and_then(|()| heard(it));
    is_told(old, "transport.broken", "the connection ended without an answer");
}
