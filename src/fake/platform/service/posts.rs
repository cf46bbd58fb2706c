//! posts: a blog's posts; their tags are kept by tags.
//!
//! Lives here: Posts.*. Does not: counting tags (`tags`).

use super::{call, unknown};
use crate::fake::defect::Defect;
use crate::fake::platform::State;
use crate::fake::platform::wire::{Refusal, Reply, Request, empty, message, texts};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TABLE: &str = "posts";

/// A post, as the store keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Post {
    id: String,
    title: String,
    slug: String,
    content: String,
    created: i64,
    updated: i64,
    tags: Vec<String>,
    metadata: BTreeMap<String, String>,
    image: String,
    /// Later posts have larger ones.
    order: i64,
}

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    match request.endpoint.as_str() {
        "Posts.Save" => save(state, request),
        "Posts.Query" => query(state, request),
        "Posts.Delete" => delete(state, request),
        _ => Err(unknown(request)),
    }
}

/// `Breaking News` → `breaking-news`.
pub(super) fn slug(title: &str) -> String {
    let lower = title.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

fn by_id(state: &State, namespace: &str, id: &str) -> Option<Post> {
    state.records.load(namespace, TABLE, &format!("byId/{id}"))
}

fn all(state: &State, namespace: &str, index: &str) -> Vec<Post> {
    let keys = state.records.keys(namespace, TABLE, index);
    let mut posts: Vec<Post> =
        keys.iter().filter_map(|key| state.records.load(namespace, TABLE, key)).collect();
    posts.sort_by_key(|post| std::cmp::Reverse(post.order));
    posts
}

fn keep(state: &mut State, namespace: &str, post: &Post) {
    state.records.save(namespace, TABLE, &format!("byId/{}", post.id), post);
    state.records.save(namespace, TABLE, &format!("byTime/{}", post.id), post);
}

fn save(state: &mut State, request: &Request) -> Reply {
    let namespace = request.namespace.clone();
    if request.text("id").is_empty() {
        return Err(Refusal::micro("proto.save.input-check", 400, "Id is missing"));
    }
    let old = by_id(state, &namespace, request.text("id"));
    if old.is_some() && state.has(Defect::PostUpdateLost) {
        return empty();
    }
    let post = match &old {
        None => new_post(state, request),
        Some(old) => updated(state, request, old.clone())?,
    };
    keep(state, &namespace, &post);
    if old.is_none() {
        tag(state, request, &post)?;
    }
    empty()
}

fn metadata(request: &Request) -> BTreeMap<String, String> {
    let given = request.message("metadata").into_iter().flatten();
    given.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn new_post(state: &State, request: &Request) -> Post {
    let newest = all(state, &request.namespace, "byTime/").first().map_or(0, |post| post.order);
    Post {
        id: request.text("id").to_owned(),
        title: request.text("title").to_owned(),
        slug: slug(request.text("title")),
        content: request.text("content").to_owned(),
        created: state.clock.now_s(),
        updated: 0,
        tags: texts(&request.body, "tags"),
        metadata: metadata(request),
        image: request.text("image").to_owned(),
        order: newest + 1,
    }
}

fn updated(state: &State, request: &Request, mut post: Post) -> Result<Post, Refusal> {
    let new_slug = slug(request.text("title"));
    let others = all(state, &request.namespace, "byId/");
    if others.iter().any(|other| other.slug == new_slug && other.id != post.id) {
        let detail = "An other post with this slug already exists";
        return Err(Refusal::micro("proto.save.slug-check", 400, detail));
    }
    if !request.text("title").is_empty() {
        request.text("title").clone_into(&mut post.title);
        post.slug = new_slug;
    }
    if !request.text("slug").is_empty() {
        request.text("slug").clone_into(&mut post.slug);
    }
    if !request.text("content").is_empty() {
        request.text("content").clone_into(&mut post.content);
    }
    let tags = texts(&request.body, "tags");
    if !tags.is_empty() {
        post.tags.retain(|tag| tags.contains(tag));
    }
    post.metadata = metadata(request);
    request.text("image").clone_into(&mut post.image);
    post.updated = state.clock.now_s();
    Ok(post)
}

fn tag(state: &mut State, request: &Request, post: &Post) -> Result<(), Refusal> {
    for title in &post.tags {
        let body = json!({ "resourceID": post.id, "type": "post-tag", "title": title });
        let added = call(state, request.caller.clone(), (&request.namespace, "tags"), "Tags.Add", body);
        added.map_err(|refusal| {
            let detail = format!("Failed to save new post: {}", refusal.to_json());
            Refusal::micro("proto.save.post-save", 500, detail)
        })?;
    }
    Ok(())
}

fn query(state: &State, request: &Request) -> Reply {
    let namespace = &request.namespace;
    let (id, slug) = (request.text("id"), request.text("slug"));
    let posts = if !id.is_empty() {
        by_id(state, namespace, id).into_iter().collect()
    } else if !slug.is_empty() {
        all(state, namespace, "byId/").into_iter().filter(|post| post.slug == slug).take(1).collect()
    } else if state.has(Defect::PostsNotListed) {
        all(state, namespace, "byTime/").into_iter().skip(1).collect()
    } else {
        all(state, namespace, "byTime/")
    };
    let posts: Vec<Value> = posts.into_iter().map(|post| json!(post)).collect();
    message(json!({ "posts": posts }))
}

fn delete(state: &mut State, request: &Request) -> Reply {
    let (namespace, id) = (request.namespace.clone(), request.text("id"));
    let stays = state.has(Defect::DeletedPostStays);
    if id.is_empty() {
        let keys = if stays { state.records.keys(&namespace, TABLE, "byId/") } else { Vec::new() };
        for key in keys {
            state.records.remove(&namespace, TABLE, &key);
        }
        return empty();
    }
    if !state.records.remove(&namespace, TABLE, &format!("byId/{id}")) {
        return Err(Refusal::plain("No entry found to delete"));
    }
    if !stays {
        state.records.remove(&namespace, TABLE, &format!("byTime/{id}"));
    }
    empty()
}
