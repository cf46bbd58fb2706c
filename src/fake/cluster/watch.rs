//! Watches: one JSON object a line, from a version on, until their time is over.
//!
//! Lives here: which change becomes which event, bookmarks, the end. Does not: the history itself (`store`).

use super::kind::Kind;
use super::refusal::Refusal;
use super::request::Ask;
use super::selector::Selector;
use super::store::Change;
use super::{Shared, table};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// An open watch.
pub(super) struct Watch {
    shared: Arc<Shared>,
    news: watch::Receiver<u64>,
    kind: Kind,
    namespace: Option<String>,
    selector: Selector,
    as_table: bool,
    /// The newest version that this watch was told of.
    seen: u64,
    lines: VecDeque<Bytes>,
    ends_at: Instant,
    bookmark_every: Option<Duration>,
    is_over: bool,
}

enum Wake {
    News,
    Bookmark,
    End,
}

impl Watch {
    /// Opens a watch as a request asks for it. Without a version (or with version 0) it begins with all that is there.
    pub(super) fn open(
        shared: &Arc<Shared>,
        ask: &Ask,
        kind: Kind,
        namespace: Option<String>,
    ) -> Result<Watch, Refusal> {
        let mut watch = Watch {
            shared: shared.clone(),
            news: shared.news.subscribe(),
            kind,
            namespace,
            selector: ask.selector()?,
            as_table: ask.wants_table,
            seen: ask.number("resourceVersion").unwrap_or_default(),
            lines: VecDeque::new(),
            ends_at: Instant::now() + ask.watch_limit(),
            bookmark_every: ask.says("allowWatchBookmarks").then(|| shared.bookmark_every()),
            is_over: false,
        };
        if shared.is_mute() {
            return Ok(watch);
        }
        if watch.seen == 0 || ask.says("sendInitialEvents") {
            watch.tell_all(ask.says("sendInitialEvents"));
        }
        watch.tell_news();
        Ok(watch)
    }

    /// The frames of the answer's body.
    pub(super) fn frames(self) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
        stream::unfold(self, |mut watch| async move {
            let line = watch.next_line().await?;
            Some((Ok(Frame::data(line)), watch))
        })
    }

    async fn next_line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.is_over {
                return None;
            }
            match self.wake().await {
                Wake::End => return None,
                _ if self.shared.is_mute() => {}
                Wake::News => self.tell_news(),
                Wake::Bookmark => self.bookmark(json!({})),
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        if self.shared.is_mute() {
            // Nothing is said, not even the end; the beat only looks whether the defect is over.
            sleep(self.shared.bookmark_every()).await;
            return Wake::News;
        }
        let beat = self.bookmark_every;
        let bookmark = async {
            match beat {
                Some(beat) => sleep(beat).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.news.changed() => if changed.is_ok() { Wake::News } else { Wake::End },
            () = sleep_until(self.ends_at) => Wake::End,
            () = bookmark => Wake::Bookmark,
        }
    }

    fn tell_all(&mut self, with_end_mark: bool) {
        let (objects, version) = self.shared.list(self.kind, self.namespace.as_deref());
        for object in objects.iter().filter(|object| self.selector.selects(object)) {
            let line = self.line("ADDED", object);
            self.lines.push_back(line);
        }
        self.seen = version;
        if with_end_mark {
            self.bookmark(json!({ "k8s.io/initial-events-end": "true" }));
        }
    }

    fn tell_news(&mut self) {
        let (changes, version) = match self.shared.since(self.seen) {
            Ok(news) => news,
            Err(refusal) => return self.give_up(&refusal),
        };
        for change in &changes {
            if let Some((event, object)) = self.event(change) {
                let line = self.line(event, object);
                self.lines.push_back(line);
            }
        }
        self.seen = version;
    }

    /// What a change means to this watch: an object that ceases to be selected is gone, one that begins is new.
    fn event<'a>(&self, change: &'a Change) -> Option<(&'static str, &'a Value)> {
        let is_mine = change.kind == self.kind
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == change.namespace);
        let was_selected = change.before.as_ref().is_some_and(|before| self.selector.selects(before));
        let is_selected = !change.is_deletion && self.selector.selects(&change.object);
        match (is_mine, was_selected, is_selected) {
            (false, ..) | (_, false, false) => None,
            (_, false, true) => Some(("ADDED", &change.object)),
            (_, true, true) => Some(("MODIFIED", &change.object)),
            (_, true, false) => Some(("DELETED", &change.object)),
        }
    }

    fn bookmark(&mut self, annotations: Value) {
        let metadata = json!({ "resourceVersion": self.seen.to_string(), "annotations": annotations });
        let object = json!({
            "kind": self.kind.resource().kind, "apiVersion": self.kind.api_version(), "metadata": metadata,
        });
        let object = if self.as_table { self.table_of_none() } else { object };
        self.lines.push_back(line("BOOKMARK", &object));
    }

    fn table_of_none(&self) -> Value {
        table::table(self.kind, &[], &self.seen.to_string(), self.shared.timestamp())
    }

    /// A version that is no longer known ends the watch with an event, as in the real API.
    fn give_up(&mut self, refusal: &Refusal) {
        self.lines.push_back(line("ERROR", &refusal.to_status()));
        self.is_over = true;
    }

    fn line(&self, event: &str, object: &Value) -> Bytes {
        if self.as_table {
            let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            line(event, &table::table(self.kind, &[object], version, self.shared.timestamp()))
        } else {
            line(event, object)
        }
    }
}

fn line(event: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({ "type": event, "object": object })))
}
