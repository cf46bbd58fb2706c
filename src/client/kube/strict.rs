//! What each answer of a cluster must be like before anything is read of it.
//!
//! Lives here: its length, its status, and where it leads. The `kube` crate takes for an answer whatever is no error, reads it
//! without a limit, and takes the status of an error from the body. Does not: what an answer means.

use super::super::http::BODY_LIMIT_BYTES;
use super::super::plain::{has_one_length, is_not_encoded};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A redirect, which is not followed.
#[derive(Debug, thiserror::Error)]
#[error("answered with status {status}, which leads elsewhere and is not followed")]
pub(super) struct Led {
    pub(super) status: u16,
    pub(super) location: Option<String>,
}

/// The answer, of which no more than [`BODY_LIMIT_BYTES`] can be read; the body of an error names the status that it came with.
///
/// # Errors
/// If others may read it otherwise, if it leads elsewhere, or if it is an error that is longer than that.
pub(super) async fn strictly<B>(answer: Response<B>) -> Result<Response<Body>, BoxError>
where
    B: hyper::body::Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
{
    let (mut head, body) = answer.into_parts();
    has_one_length(&head.headers)?;
    is_not_encoded(&head.headers, b"unread")?;
    if head.status.is_redirection() {
        let location =
            head.headers.get(LOCATION).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        return Err(Led { status: head.status.as_u16(), location }.into());
    }
    let body = Limited::new(body, BODY_LIMIT_BYTES);
    if !head.status.is_client_error() && !head.status.is_server_error() {
        return Ok(Response::from_parts(head, body.boxed_unsync()));
    }
    let told = with_status(body.collect().await?.to_bytes(), head.status);
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(head, Full::new(told).map_err(|never| match never {}).boxed_unsync()))
}

/// A refusal in the words of Kubernetes, with the status that it came with; anything else as it is.
fn with_status(told: Bytes, status: StatusCode) -> Bytes {
    let Ok(serde_json::Value::Object(mut refusal)) = serde_json::from_slice(&told) else { return told };
    refusal.insert("code".into(), status.as_u16().into());
    serde_json::to_vec(&refusal).map_or(told, Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let body = Full::new(Bytes::from(body.to_owned())).map_err(|never| match never {}).boxed_unsync();
        answer.body(body).unwrap()
    }

    async fn read(answer: Response<Body>) -> Result<(u16, Bytes), String> {
        let answer = strictly(answer).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, bytes))
    }

    #[tokio::test]
    async fn the_status_of_an_error_is_the_one_that_it_came_with() {
        let text = r#"{"code":404,"kind":"Status"}"#;
        let told = read(answer(500, &[], text)).await.unwrap();
        assert_eq!(told, (500, Bytes::from(text.replace("404", "500"))));
        assert_eq!(read(answer(502, &[], "<html>")).await, Ok((502, "<html>".into())));
        assert_eq!(read(answer(200, &[], text)).await, Ok((200, text.into())));
    }

    #[tokio::test]
    async fn what_leads_elsewhere_is_encoded_or_has_two_lengths_is_no_answer() {
        for (status, header, why) in [
            (307, ("location", "http://b.test/"), "answered with status 307"),
            (200, ("content-encoding", "br"), "found `Content-Encoding: br`"),
            (200, ("transfer-encoding", "gzip, chunked"), "found `gzip, chunked`"),
        ] {
            let told = read(answer(status, &[header], "{}")).await.unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[tokio::test]
    async fn no_more_than_the_limit_is_read() {
        let (most, more) = ("x".repeat(BODY_LIMIT_BYTES), "x".repeat(BODY_LIMIT_BYTES + 1));
        for status in [200, 500] {
            assert_eq!(read(answer(status, &[], &most)).await.unwrap().1.len(), BODY_LIMIT_BYTES);
            assert_eq!(read(answer(status, &[], &more)).await.unwrap_err(), "length limit exceeded");
        }
    }
}
