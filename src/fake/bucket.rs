//! The bucket into which the backup of the database is uploaded, behind the API of S3.
//!
//! Lives here: which dumps lie in it, and `ListObjectsV2` over HTTP. Does not: who may ask (`signature`), the job that dumps
//! (`infrastructure`), or what is in a dump: nobody can read one.

mod signature;

use super::defect::{Defect, Defects};
use super::door::serve;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use signature::Key;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The bucket's name.
pub(crate) const NAME: &str = "cockroach-backups";
/// The id of the one key that may list it.
pub(crate) const ACCESS_KEY: &str = "MUSTERBACKUPS";
/// It is dumped so often,
const EVERY_S: i64 = 2 * 3_600;
/// a dump stands in the bucket so much later,
const UPLOAD_TAKES_S: i64 = 35;
/// and is gone after two days.
const KEPT: i64 = 24;
/// How much a dump is, about.
const DUMP_BYTES: i64 = 48_211;

/// What the bucket's door needs.
pub(crate) struct Bucket {
    /// The secret of the one key.
    pub(crate) secret: String,
    /// The time, in seconds since the Unix epoch, and the defects that are on.
    pub(crate) now: Box<dyn Fn() -> (i64, Defects) + Send + Sync>,
}

/// Serves the bucket until its task is dropped.
pub(crate) async fn run(listener: TcpListener, bucket: Bucket) {
    let bucket = Arc::new(bucket);
    serve(listener, move |request| {
        let bucket = bucket.clone();
        async move { Ok::<_, Infallible>(answer(&bucket, &request)) }
    })
    .await;
}

fn answer(bucket: &Bucket, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let key = Key { id: ACCESS_KEY, secret: &bucket.secret };
    let signed = key.signs(request.method().as_str(), path, query, host.unwrap_or_default());
    match (signed, path.trim_matches('/') == NAME, request.method()) {
        (Err(code), ..) => error(403, code),
        (_, false, _) => error(404, "NoSuchBucket"),
        (_, _, &Method::GET) => {
            let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
            let (now_s, defects) = (bucket.now)();
            reply(200, listing(&dumps(now_s, &defects), &percent_decode_str(prefix).decode_utf8_lossy()))
        }
        _ => error(405, "MethodNotAllowed"),
    }
}

fn reply(status: u16, xml: String) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(xml)));
    *reply.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    reply.headers_mut().insert("content-type", http::HeaderValue::from_static("application/xml"));
    reply
}

fn error(status: u16, code: &str) -> Response<Full<Bytes>> {
    reply(status, format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code></Error>"))
}

/// One dump.
#[derive(Debug, PartialEq, Eq)]
struct Dump {
    /// When it was begun, in seconds since the Unix epoch.
    begun_s: i64,
    bytes: i64,
}

/// The dumps that lie in the bucket, oldest first.
fn dumps(now_s: i64, defects: &Defects) -> Vec<Dump> {
    let newest = (now_s - UPLOAD_TAKES_S).div_euclid(EVERY_S);
    // A day ago they began to fail.
    let newest = if defects.has(Defect::BackupNotUploaded) { newest - KEPT / 2 } else { newest };
    let bytes = |turn: i64| if defects.has(Defect::BackupIsEmpty) { 0 } else { DUMP_BYTES + turn % 97 };
    let turns = newest - KEPT + 1..=newest;
    turns.map(|turn| Dump { begun_s: turn * EVERY_S, bytes: bytes(turn) }).collect()
}

fn listing(dumps: &[Dump], prefix: &str) -> String {
    let named = dumps.iter().map(|dump| (format!("dumps-{}.tar.gz", dump.begun_s), dump));
    let objects: String = named
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(key, dump)| {
            let key = utf8_percent_encode(&key, NON_ALPHANUMERIC);
            let moment = Timestamp::from_second(dump.begun_s + UPLOAD_TAKES_S).unwrap_or_default();
            format!(
                "<Contents><Key>{key}</Key><LastModified>{moment}</LastModified><Size>{}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                dump.bytes
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{NAME}</Name><MaxKeys>1000</MaxKeys>\
         <EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{objects}</ListBucketResult>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_days_of_dumps_lie_in_the_bucket() {
        let none = Defects::default();
        let all = dumps(100 * EVERY_S + UPLOAD_TAKES_S, &none);
        assert_eq!(all.len(), 24);
        assert_eq!(all.last().map(|dump| dump.begun_s), Some(100 * EVERY_S));
        assert!(all.iter().all(|dump| dump.bytes >= DUMP_BYTES));
        let before = dumps(100 * EVERY_S + UPLOAD_TAKES_S - 1, &none);
        assert_eq!(before.last().map(|dump| dump.begun_s), Some(99 * EVERY_S));
    }
}
