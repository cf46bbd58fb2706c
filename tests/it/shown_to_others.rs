//! What nobody else may see or change: where muster looks for it, and what proves nothing.

use crate::own_platform::{Answer, Own, held, kinds, obedient, ok};
use serde_json::json;

const BOTH: &str = "    identities: { me: guest, you: guest }\n";

/// Somebody plants.
fn plants(who: &str) -> String {
    format!(
        "      - plant: {{ canary: diary, as: {who}, op: item.make, with: {{ id: diary }}, json: {{ value: $(canary.diary) }} }}\n"
    )
}

#[test]
fn what_is_planted_is_looked_for_in_every_answer_of_a_matrix_and_of_another_plant() {
    let own = Own::answering(|asked, state| match (asked.what.as_str(), asked.token.as_str()) {
        ("GET /items/diary" | "POST /items/refused", "") => Answer("403 Forbidden", "", "{}".into()),
        ("GET /mine", token) if token.ends_with("token-of-me") => {
            ok(&json!({ "mine": held(state).items["diary"] }))
        }
        ("GET /mine", "") => Answer("403 Forbidden", "", "{}".into()),
        ("GET /mine", _) => ok(&json!({})),
        ("POST /items/other", _) => ok(&json!({ "there": held(state).items["diary"] })),
        _ => obedient(asked, state),
    });
    let matrix = |owner: &str, path: &str, allow: &str| {
        format!(
            "      - access: {{ owner: {owner}, calls: {{ read: {{ get: {path} }} }}, allow: [{allow}], deny: [anonymous] }}"
        )
    };
    let watched = "      - access: { owner: me, calls: { make: { op: item.make, with: { id: refused }, json: {} } }, allow: \
                   [you], deny: [anonymous], watch: { get: /items/diary, expect: { status: 200 } } }";
    let another = "      - plant: { canary: other, as: me, op: item.make, with: { id: other }, json: { value: $(canary.other) } }";
    let you_plant = plants("you");
    own.cases(&[
        ("a-shared", BOTH, &format!("{you_plant}{}", matrix("you", "/items/diary", "me"))),
        ("b-owner", BOTH, &format!("{you_plant}{}", matrix("me", "/items/diary", "you"))),
        ("c-watch", BOTH, &format!("{you_plant}{watched}")),
        ("d-plant", BOTH, &format!("{you_plant}{another}")),
        (
            "e-allowed",
            "    identities: { me: guest, you: guest, them: guest }\n",
            &format!("{you_plant}{}", matrix("them", "/mine", "you, me")),
        ),
    ]);
    let (exit, ended) = own.run();
    let leak = ("fail", "leak.canary");
    assert_eq!((exit, kinds(&ended)), (1, vec![("pass", ""), leak, leak, leak, leak]), "{ended:?}");
}

#[test]
fn a_watch_that_does_not_show_what_it_must_proves_nothing() {
    let own = Own::answering(|asked, state| match (asked.what.as_str(), asked.token.as_str()) {
        ("POST /items/refused", _) => Answer("403 Forbidden", "", "{}".into()),
        ("GET /empty", _) => ok(&json!({})),
        _ => obedient(asked, state),
    });
    own.set("one", json!(1));
    let watched = |path: &str| {
        format!(
            "      - access: {{ owner: me, calls: {{ make: {{ op: item.make, with: {{ id: refused }}, json: {{}} }} }}, deny: \
             [anonymous], watch: {{ get: {path}, expect: {{ body: {{ $.value: 1 }} }} }} }}"
        )
    };
    let me = "    identities: { me: guest }\n";
    own.cases(&[("a-shows", me, &watched("/items/one")), ("b-empty", me, &watched("/empty"))]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (3, vec![("pass", ""), ("inconclusive", "access.unwatched")]));
    let why = "make: the read that shows whether anything changed did not work around it (before: granted, without what it must \
               show, after: granted, without what it must show)";
    assert_eq!(ended[1].2, why);
}

#[test]
fn nobody_is_given_the_token_of_somebody_else() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "POST /token" => ok(&json!({ "token": "one-for-all" })),
        _ => obedient(asked, state),
    });
    own.set("one", json!(1));
    let reads = "      - call: { get: /items/one, as: me }";
    own.cases(&[("a-both", BOTH, reads), ("b-operators", "    identities: { me: guest }\n", reads)]);
    let (exit, ended) = own.run();
    let shared = ("fail", "identity.shared");
    assert_eq!((exit, kinds(&ended)), (1, vec![shared, shared]), "{ended:?}");
    assert_eq!(ended[1].2, "me was given the token of boss");
}
