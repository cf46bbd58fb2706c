//! Buckets that speak the API of S3: what lies in them.
//!
//! Lives here: one question, `ListObjectsV2`, signed as AWS asks for (Signature Version 4, in the query), whose pages become one
//! list. Does not: reading or writing objects, which buckets there are (`target`), or what objects must be (`judge`).

use super::connections::{Connection, Unusable, address};
use super::{Answer, Http, Request, SendError};
use crate::secret::Secret;
use jiff::Timestamp;
use rusty_s3::actions::{ListObjectsV2, ListObjectsV2Response};
use rusty_s3::{Credentials, S3Action, UrlStyle};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// No more pages are read, of up to 1,000 objects each.
pub const PAGES_MOST: usize = 10;
/// A signed question holds for so long.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// A bucket that can be asked.
pub struct Bucket {
    http: Http,
    place: rusty_s3::Bucket,
    key: Option<(String, Secret)>,
}

/// What lies in a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// A list of maps `{ key, size, modified }`, newest first: `size` in bytes, `modified` as RFC 3339. What is as new is in
    /// the order of its keys.
    pub json: Value,
    /// How long it took, from the first question to the last page.
    pub took: Duration,
}

/// Why nothing is known of what lies in a bucket.
#[derive(Debug, thiserror::Error)]
pub enum NoListing {
    /// Nobody answers, or it can answer nobody now (status 500 and above).
    #[error("the bucket cannot be reached: {0}\nhint: see that `s3` in the target file is its address")]
    Unreachable(String),
    /// It does not let us see, or there is no such bucket.
    #[error(
        "the bucket refuses: {0}\nhint: look at `bucket`, `region`, `access_key` and `secret` in the target file, and at the clocks"
    )]
    Refused(String),
    /// An answer that is no list of objects.
    #[error("the bucket's answer cannot be read: {0}")]
    Unreadable(String),
    /// More than can be judged.
    #[error("the bucket holds more than {} such objects\nhint: name a longer `prefix`", PAGES_MOST * 1_000)]
    TooMany,
}

impl NoListing {
    /// The stable name of what went wrong.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "bucket.unreachable",
            Self::Refused(_) => "bucket.refused",
            Self::Unreadable(_) => "bucket.unreadable",
            Self::TooMany => "bucket.too-many",
        }
    }
}

impl Bucket {
    /// The bucket `name` of whoever serves S3 at the URL `endpoint`; nothing is sent yet. Its name stands in the path of every
    /// request, and never in a host's name: only the one address is spoken to. Without a key nothing is signed.
    ///
    /// # Errors
    /// If the address is no `http` or `https` URL, or TLS cannot be set up.
    pub fn new(
        endpoint: &str,
        name: &str,
        region: &str,
        key: Option<(&str, &Secret)>,
    ) -> Result<Self, Unusable> {
        let place =
            rusty_s3::Bucket::new(address(endpoint)?, UrlStyle::Path, name.to_owned(), region.to_owned());
        Ok(Self {
            http: Http::new(endpoint)?,
            place: place.map_err(|_| Unusable::Address(endpoint.into()))?,
            key: key.map(|(id, secret)| (id.to_owned(), Secret::new(secret.reveal()))),
        })
    }

    /// Every object whose key begins with `prefix`, asked for at the moment `now`; each page may take `within`. Cancel safe: it
    /// only reads.
    ///
    /// # Errors
    /// Why nothing is known.
    pub async fn list(&self, prefix: &str, now: Timestamp, within: Duration) -> Result<Listing, NoListing> {
        let started = Instant::now();
        let (mut objects, mut next) = (vec![], None);
        for _ in 0..PAGES_MOST {
            let page = self.page(prefix, next.as_deref(), now, within).await?;
            objects.extend(read(&page, prefix)?);
            next = page.next_continuation_token;
            if next.is_none() {
                once_each(&objects)?;
                return Ok(Listing { json: newest_first(objects), took: started.elapsed() });
            }
        }
        Err(NoListing::TooMany)
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        now: Timestamp,
        within: Duration,
    ) -> Result<ListObjectsV2Response, NoListing> {
        let key = self.key.as_ref().map(|(id, secret)| Credentials::new(id, secret.reveal()));
        let mut question = ListObjectsV2::new(&self.place, key.as_ref());
        question.with_prefix(prefix);
        if let Some(after) = after {
            question.with_continuation_token(after);
        }
        let url = question.sign_with_time(SIGNED_FOR, &now);
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let request = Request { method: "GET".into(), path, ..Request::default() };
        let answer = self.http.send(&request, Connection::Reused, within).await.map_err(unanswered)?;
        let text = String::from_utf8_lossy(&answer.body);
        match answer.status {
            200 => {}
            500.. => return Err(NoListing::Unreachable(said(&answer, &text))),
            _ => return Err(NoListing::Refused(said(&answer, &text))),
        }
        ListObjectsV2::parse_response(&in_one_namespace(&text))
            .map_err(|error| NoListing::Unreadable(error.to_string()))
    }
}

/// Servers of other makes name another XML namespace, such as one that AWS had before; the parser knows one.
fn in_one_namespace(text: &str) -> Cow<'_, str> {
    const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
    let parts = || {
        let (before, rest) = text.split_once("xmlns=\"")?;
        Some((before, rest.split_once('"')?.1))
    };
    parts().map_or(Cow::Borrowed(text), |(before, after)| {
        Cow::Owned(format!("{before}xmlns=\"{NAMESPACE}\"{after}"))
    })
}

fn unanswered(error: SendError) -> NoListing {
    match error {
        SendError::TooLarge | SendError::Malformed(_) | SendError::Unsendable(_) => {
            NoListing::Unreadable(error.to_string())
        }
        _ => NoListing::Unreachable(error.to_string()),
    }
}

/// `403 SignatureDoesNotMatch: …`: the status, and what the XML of an error says.
fn said(answer: &Answer, text: &str) -> String {
    let within = |tag: &str| Some(text.split_once(&format!("<{tag}>"))?.1.split_once("</")?.0.trim());
    let of = |code: &str| match within("Message") {
        Some(message) => format!(" {code}: {message}"),
        None => format!(" {code}"),
    };
    format!("it answered {}{}", answer.status, within("Code").map(of).unwrap_or_default())
}

/// An object, and when it was made.
type Dated = (Timestamp, Value);

fn read(page: &ListObjectsV2Response, prefix: &str) -> Result<Vec<Dated>, NoListing> {
    let one = |object: &rusty_s3::actions::list_objects_v2::ListObjectsContent| {
        if !object.key.starts_with(prefix) {
            let text = format!("`{}` was listed, and does not begin with `{prefix}`", object.key);
            return Err(NoListing::Unreadable(text));
        }
        let moment = object.last_modified.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        let (moment, size) = moment
            .zip(object.size)
            .ok_or_else(|| NoListing::Unreadable(format!("`{}` has no time or no size", object.key)))?;
        Ok((moment, json!({ "key": object.key, "size": size, "modified": moment.to_string() })))
    };
    page.contents.iter().map(one).collect()
}

/// Refuses a listing that holds an object twice, as one that repeats its pages does.
fn once_each(objects: &[Dated]) -> Result<(), NoListing> {
    let mut seen = BTreeSet::new();
    let twice = objects.iter().map(|(_, object)| &object["key"]).find(|key| !seen.insert(key.to_string()));
    twice.map_or(Ok(()), |key| Err(NoListing::Unreadable(format!("{key} was listed twice"))))
}

/// The sort is stable, and a bucket lists by key.
fn newest_first(mut objects: Vec<Dated>) -> Value {
    objects.sort_by_key(|(moment, _)| std::cmp::Reverse(*moment));
    objects.into_iter().map(|(_, object)| object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wiremock::matchers::{path, query_param, query_param_is_missing};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    const WITHIN: Duration = Duration::from_secs(20);

    fn object(key: &str, modified: &str, size: u64) -> String {
        format!(
            "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>x</ETag><Size>{size}</Size></Contents>"
        )
    }

    fn page(objects: &[String], next: Option<&str>) -> ResponseTemplate {
        let token = next.map(|it| format!("<NextContinuationToken>{it}</NextContinuationToken>"));
        ResponseTemplate::new(200).set_body_string(format!(
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://doc.s3.amazonaws.com/2006-03-01\"><Name>dumps</Name>\
             <EncodingType>url</EncodingType><IsTruncated>{}</IsTruncated>{}{}</ListBucketResult>",
            next.is_some(),
            objects.concat(),
            token.unwrap_or_default()
        ))
    }

    async fn listed(server: &MockServer, name: &str) -> Result<Listing, NoListing> {
        let bucket = Bucket::new(&server.uri(), name, "eu-test-1", None).unwrap();
        bucket.list("d-", Timestamp::UNIX_EPOCH, WITHIN).await
    }

    #[tokio::test]
    async fn pages_become_one_list_newest_first() {
        let server = MockServer::start().await;
        let first =
            [object("d-%2B1", "2026-01-02T03:04:05.000Z", 7), object("d-2", "2026-01-04T03:04:05Z", 0)];
        let all =
            Mock::given(path("/dumps/")).and(query_param("prefix", "d-")).and(query_param("list-type", "2"));
        all.and(query_param_is_missing("continuation-token"))
            .respond_with(page(&first, Some("a+b/c")))
            .mount(&server)
            .await;
        Mock::given(path("/dumps/"))
            .and(query_param("continuation-token", "a+b/c"))
            .respond_with(page(&[object("d-3", "2026-01-03T03:04:05Z", 9)], None))
            .mount(&server)
            .await;
        let listing = listed(&server, "dumps").await.unwrap();
        assert_eq!(
            listing.json,
            json!([
                { "key": "d-2", "size": 0, "modified": "2026-01-04T03:04:05Z" },
                { "key": "d-3", "size": 9, "modified": "2026-01-03T03:04:05Z" },
                { "key": "d-+1", "size": 7, "modified": "2026-01-02T03:04:05Z" },
            ])
        );
    }

    #[tokio::test]
    async fn each_way_to_fail_has_its_kind() {
        let server = MockServer::start().await;
        let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>";
        for (name, reply) in [
            ("denied", ResponseTemplate::new(403).set_body_string(denied)),
            ("bare", ResponseTemplate::new(503)),
            ("html", ResponseTemplate::new(200).set_body_string("<html></html>")),
            ("undated", page(&[object("d-1", "yesterday", 1)], None)),
            ("endless", page(&[], Some("more"))),
        ] {
            Mock::given(path(format!("/{name}/"))).respond_with(reply).mount(&server).await;
        }
        for (name, kind, text) in [
            ("denied", "bucket.refused", "the bucket refuses: it answered 403 AccessDenied: Access Denied."),
            ("bare", "bucket.unreachable", "the bucket cannot be reached: it answered 503"),
            ("html", "bucket.unreadable", "the bucket's answer cannot be read: "),
            (
                "undated",
                "bucket.unreadable",
                "the bucket's answer cannot be read: `d-1` has no time or no size",
            ),
            ("endless", "bucket.too-many", "the bucket holds more than 10000 such objects"),
        ] {
            let error = listed(&server, name).await.unwrap_err();
            let first = error.to_string().lines().next().unwrap().to_owned();
            assert!(error.kind() == kind && first.starts_with(text), "{name}: {} {first}", error.kind());
        }
        let nobody = Bucket::new("http://127.0.0.1:9", "dumps", "eu-test-1", None).unwrap();
        let error = nobody.list("", Timestamp::UNIX_EPOCH, WITHIN).await.unwrap_err();
        assert_eq!(error.kind(), "bucket.unreachable");
    }
}
