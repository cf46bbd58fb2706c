//! gRPC's frames, trailers and statuses.
//!
//! Lives here: bodies that end in trailers, the escapes of messages, the details of an error. Does not: which error
//! (`proxy`).

use crate::fake::platform::protobuf::{delimited, plain_number};
use crate::fake::platform::wire::{micro_json, reason};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hyper::body::{Body, Frame};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Data, then trailers; empty: the end comes with the headers.
#[derive(Debug, Default)]
pub(super) struct Frames(VecDeque<Frame<Bytes>>);

impl Frames {
    /// Messages, each in its frame, and the trailers of success.
    pub(super) fn of(messages: &[Vec<u8>]) -> Self {
        let mut frames: VecDeque<Frame<Bytes>> =
            messages.iter().map(|message| Frame::data(framed(message))).collect();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        trailers.insert("grpc-message", http::HeaderValue::from_static(""));
        frames.push_back(Frame::trailers(trailers));
        Self(frames)
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    /// Without this an error would go out as headers and an empty frame of data.
    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// The messages of a request's body.
pub(super) fn messages(mut body: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while body.len() >= 5 {
        let length = u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize;
        body.advance(5);
        messages.push(body.split_to(length.min(body.len())));
    }
    messages
}

/// A message as the header `grpc-message` carries it.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The gRPC status of a platform error.
pub(super) fn status_of(code: u16) -> u32 {
    match code {
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        408 => 4,
        409 => 6,
        412 => 9,
        500 => 13,
        501 => 12,
        503 => 14,
        _ => 2,
    }
}

/// `grpc-status-details-bin`: a `google.rpc.Status` around an `errors.Error`.
pub(super) fn details(id: &str, code: u16, detail: &str) -> String {
    let mut error = Vec::new();
    delimited(&mut error, 1, id.as_bytes());
    plain_number(&mut error, 2, u64::from(code));
    delimited(&mut error, 3, detail.as_bytes());
    delimited(&mut error, 4, reason(code).as_bytes());
    let mut any = Vec::new();
    delimited(&mut any, 1, b"type.googleapis.com/errors.Error");
    delimited(&mut any, 2, &error);
    let mut status = Vec::new();
    plain_number(&mut status, 1, u64::from(status_of(code)));
    delimited(&mut status, 2, micro_json(id, code, detail).as_bytes());
    delimited(&mut status, 3, &any);
    STANDARD_NO_PAD.encode(status)
}
