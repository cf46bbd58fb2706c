//! Patches: JSON merge patch (RFC 7396), and as much of the strategic merge patch as `kubectl` sends to deployments.
//!
//! Lives here: how a patch changes a JSON value. Does not: which objects may be patched (`door`).

use serde_json::{Map, Value};

/// How lists are patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A list replaces the list.
    Merge,
    /// Elements with a `name` are merged with the element of that name, as containers are.
    Strategic,
}

/// Changes `target` as `patch` says; a null removes its key.
pub(super) fn apply(target: &mut Value, patch: &Value, style: Style) {
    match patch {
        Value::Object(changes) => merge_object(target, changes, style),
        Value::Array(changes) if style == Style::Strategic && are_named(changes) => {
            merge_named(target, changes)
        }
        other => *target = other.clone(),
    }
}

fn merge_object(target: &mut Value, changes: &Map<String, Value>, style: Style) {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, change) in changes.iter().filter(|(key, _)| !key.starts_with('$')) {
        if change.is_null() {
            target.shift_remove(key);
        } else {
            apply(target.entry(key.clone()).or_insert(Value::Null), change, style);
        }
    }
}

fn are_named(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(|element| element["name"].is_string())
}

fn merge_named(target: &mut Value, changes: &[Value]) {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Value::Array(elements) = target else { return };
    for change in changes {
        match elements.iter_mut().find(|element| element["name"] == change["name"]) {
            Some(element) => apply(element, change, Style::Strategic),
            None => elements.push(change.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_adds_changes_and_removes_keys() {
        let mut target = json!({ "labels": { "a": "1", "b": "2" }, "list": [1, 2] });
        apply(
            &mut target,
            &json!({ "labels": { "a": null, "b": "3", "c": "4" }, "list": [3] }),
            Style::Merge,
        );
        assert_eq!(target, json!({ "labels": { "b": "3", "c": "4" }, "list": [3] }));
    }

    #[test]
    fn a_strategic_patch_finds_containers_by_name() {
        let mut target = json!([{ "name": "micro", "image": "old", "args": ["store"] }]);
        apply(&mut target, &json!([{ "name": "micro", "image": "new" }]), Style::Strategic);
        assert_eq!(target, json!([{ "name": "micro", "image": "new", "args": ["store"] }]));
    }
}
