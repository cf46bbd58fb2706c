//! tags: which things carry which tag, and how many.
//!
//! Lives here: Tags.*. Does not: what is tagged (`posts`).

use super::posts::slug;
use super::unknown;
use crate::fake::defect::Defect;
use crate::fake::platform::State;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message, number};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const TABLE: &str = "tags";

/// A tag, as the store keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tag {
    #[serde(rename = "type")]
    kind: String,
    slug: String,
    title: String,
    description: String,
    count: i64,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Tags.Add" => add(state, request),
        "Tags.Remove" => remove(state, request),
        "Tags.List" => list(state, request),
        "Tags.Update" => update(state, request),
        _ => Err(unknown(request)),
    }
}

fn tag(state: &State, namespace: &str, slug: &str) -> Option<Tag> {
    state.records.load(namespace, TABLE, &format!("tag/{slug}"))
}

fn keep(state: &mut State, namespace: &str, tag: &Tag) {
    state.records.save(namespace, TABLE, &format!("tag/{}", tag.slug), tag);
}

/// The thing and the tag's slug of a request.
fn pair(request: &Request, id: &str) -> Result<(String, String), Refusal> {
    let (resource, kind) = (request.text("resourceID"), request.text("type"));
    if resource.is_empty() || kind.is_empty() {
        return Err(Refusal::micro(id, 400, "resource id and type is required"));
    }
    Ok((resource.to_owned(), slug(request.text("title"))))
}

fn add(state: &mut State, request: &Request) -> Reply {
    let namespace = request.namespace.clone();
    let (resource, slug) = pair(request, "tags.increasecount.input-check")?;
    let known = tag(state, &namespace, &slug);
    let mut tag = known.unwrap_or_else(|| Tag {
        kind: request.text("type").to_owned(),
        slug: slug.clone(),
        title: request.text("title").to_owned(),
        ..Tag::default()
    });
    let link = format!("link/{slug}/{resource}");
    if state.records.get(&namespace, TABLE, &link).is_some() {
        let count = tag.count;
        let detail = format!("Tag count for tag {slug} is unchanged, was: {count}, now: {count}");
        return Err(Refusal::plain(detail));
    }
    state.records.save(&namespace, TABLE, &link, &json!({}));
    tag.count += if state.has(Defect::TagsCountWrong) { 2 } else { 1 };
    keep(state, &namespace, &tag);
    empty()
}

fn remove(state: &mut State, request: &Request) -> Reply {
    let namespace = request.namespace.clone();
    let (resource, slug) = pair(request, "tags.decreaseecount.input-check")?;
    if state.has(Defect::TagsRemoveIgnored) {
        return empty();
    }
    let was_there = state.records.remove(&namespace, TABLE, &format!("link/{slug}/{resource}"));
    if let Some(mut tag) = tag(state, &namespace, &slug).filter(|_| was_there) {
        tag.count -= 1;
        keep(state, &namespace, &tag);
    }
    empty()
}

fn list(state: &State, request: &Request) -> Reply {
    let (resource, kind) = (request.text("resourceID"), request.text("type"));
    if resource.is_empty() && kind.is_empty() {
        return Err(Refusal::micro("tags.list.input-check", 400, "resource id or type is required"));
    }
    let keys = state.records.keys(&request.namespace, TABLE, "tag/");
    let all = keys.iter().filter_map(|key| state.records.load::<Tag>(&request.namespace, TABLE, key));
    let fits = |tag: &Tag| {
        let link = format!("link/{}/{resource}", tag.slug);
        let linked = || state.records.get(&request.namespace, TABLE, &link).is_some();
        if resource.is_empty() { tag.kind == kind } else { linked() }
    };
    let (least, most) = (number(&request.body, "minCount"), number(&request.body, "maxCount"));
    let counted = |tag: &Tag| tag.count >= least && (most == 0 || tag.count <= most);
    let tags: Vec<Value> = all.filter(|tag| fits(tag) && counted(tag)).map(without_description).collect();
    message(json!({ "tags": tags }))
}

fn without_description(tag: Tag) -> Value {
    json!({ "type": tag.kind, "slug": tag.slug, "title": tag.title, "count": tag.count })
}

fn update(state: &mut State, request: &Request) -> Reply {
    let invalid = |detail: &str| Refusal::micro("tags.update.input-check", 400, detail);
    if request.text("title").is_empty() || request.text("type").is_empty() {
        return Err(invalid("title and type is required"));
    }
    let found = tag(state, &request.namespace, &slug(request.text("title")));
    if found.is_none() && state.has(Defect::TagUpdateUnchecked) {
        return empty();
    }
    let mut tag = found.ok_or_else(|| invalid("Tag not found"))?;
    request.text("description").clone_into(&mut tag.description);
    keep(state, &request.namespace, &tag);
    empty()
}
