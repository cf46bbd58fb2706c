//! What a platform does late, twice, or after all: nothing of it stays, and nothing of somebody else's goes.

use crate::own_platform::{Answer, Asked, Own, State, held, kinds, later, obedient, ok};
use crate::program::{code, stderr, stdout};
use serde_json::json;
use std::time::Duration;

#[test]
fn an_old_value_that_is_not_found_is_not_taken_for_none() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /items/one" => ok(&json!({ "error": "backend busy" })),
        _ => obedient(asked, state),
    });
    own.set("one", json!("of the owner"));
    own.cases(&[(
        "sets",
        "",
        "      - call: { op: item.set, as: operator, with: { id: one }, json: { value: mine } }",
    )]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (3, vec![("inconclusive", "ledger.before")]));
    assert_eq!((own.item("one"), own.asked("PUT /items/one")), (Some(json!("of the owner")), 0));
}

#[test]
fn a_refused_write_that_is_carried_out_later_is_seen_and_put_back() {
    let own = Own::answering(|asked, state| {
        if asked.what == "POST /items/evil" {
            let state = state.clone();
            later(250, move || drop(held(&state).items.insert("evil".into(), json!(1))));
            return Answer("403 Forbidden", "", "{}".into());
        }
        match asked.what.as_str() {
            "GET /items/evil" => ok(&json!({ "value": held(state).items.get("evil") })),
            _ => obedient(asked, state),
        }
    });
    let steps = "      - access:\n          owner: me\n          calls: { make: { op: item.make, with: { id: evil } } }\n          deny: \
                 [anonymous]\n          watch: { op: item.read, with: { id: evil }, expect: { status: 200 } }";
    own.cases(&[("denied", "    identities: { me: guest }\n", steps)]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (1, vec![("fail", "leak.changed")]));
    assert_eq!(own.item("evil"), None, "it stays");
}

#[test]
fn a_write_without_an_answer_that_is_carried_out_later_is_put_back_once_more() {
    let own = Own::answering(carried_out_when_nobody_waits);
    own.target("answer_within: 100ms\n");
    own.cases(&[("late", "", "      - call: { op: item.make, with: { id: late }, json: { value: 1 } }")]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (3, vec![("inconclusive", "transport.timed-out")]));
    assert_eq!(own.item("late"), None, "it stays");
    assert!(own.asked("DELETE /items/late") >= 2, "it was put back before it was there, and not again");
}

#[test]
fn a_write_that_does_not_settle_is_put_back_once_more_too_if_nobody_answered_it() {
    let own = Own::answering(carried_out_when_nobody_waits);
    own.target("answer_within: 100ms\npace: 0.2\n");
    own.write("suites/operations.yaml", &crate::own_platform::OPERATIONS.replace("  settles: 2s\n", ""));
    own.cases(&[("late", "", "      - call: { op: item.make, with: { id: late }, json: { value: 1 } }")]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (3, vec![("inconclusive", "transport.timed-out")]));
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(own.item("late"), None, "it stays");
}

#[test]
fn a_write_that_is_carried_out_in_the_middle_of_its_undo_is_put_back_all_the_same() {
    let own = Own::answering(|asked, state| {
        if asked.what == "POST /items/late" {
            std::thread::sleep(Duration::from_secs(1));
        }
        let answer = obedient_but_late(asked, state);
        let mut held = held(state);
        // Right after it was looked for.
        if asked.what == "DELETE /items/late"
            && held.asked.iter().filter(|what| **what == asked.what).count() == 1
        {
            held.items.insert("late".into(), json!(1));
        }
        answer
    });
    own.target("answer_within: 100ms\npace: 0.05\n");
    let gone = "flow: take-away\nwhy: it goes\ninputs: { id: text }\nsteps:\n  - call: { op: item.delete, as: operator, with: { id: \
                $(id) }, expect: { status: [200, 404] } }\n  - poll: { op: item.read, with: { id: $(id) }, until: { status: 404 }, \
                every: 500ms, within: 20s }\n";
    own.write("suites/flows/take-away.yaml", gone);
    own.cases(&[("late", "", "      - call: { op: item.make, with: { id: late }, json: { value: 1 } }")]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (3, vec![("inconclusive", "transport.timed-out")]));
    assert_eq!(own.item("late"), None, "it stays");
}

#[test]
fn what_was_never_sent_needs_no_undo() {
    let own = Own::answering(obedient);
    let never =
        "      - call: { op: item.make, with: { id: one }, json: { value: 1 }, headers: { x: \"a\\nb\" } }";
    let again = "      - call: { op: item.make, with: { id: two }, json: { value: 1 } }\n      - call: { op: item.make, with: { id: \
                 two }, json: { value: 1 }, headers: { x: \"a\\nb\" } }";
    own.cases(&[("never", "", never), ("again", "", again)]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (3, vec![("inconclusive", "transport.unsendable"); 2]));
    assert_eq!((own.asked("POST /items/one"), own.asked("DELETE /items/one")), (0, 0));
    assert_eq!((own.item("two"), own.asked("POST /items/two")), (None, 1));
}

/// This write is carried out 400 ms later, and answered when nobody waits any more.
fn carried_out_when_nobody_waits(asked: &Asked, state: &State) -> Answer {
    if asked.what == "POST /items/late" {
        let state = state.clone();
        later(400, move || drop(held(&state).items.insert("late".into(), json!(1))));
        std::thread::sleep(Duration::from_secs(1));
    }
    obedient_but_late(asked, state)
}

/// The first of these writes has its effect elsewhere.
fn obedient_but_late(asked: &Asked, state: &State) -> Answer {
    if asked.what == "POST /items/late" { ok(&json!({})) } else { obedient(asked, state) }
}

#[test]
fn what_was_there_before_is_nobodys_to_undo() {
    let own = Own::answering(obedient);
    own.set("precious", json!("of the owner"));
    let made = "      - call: { op: item.make, with: { id: precious }, json: { value: 1 }, expect: { status: 409 } }";
    let twice = "      - call: { op: item.make, with: { id: mine }, json: { value: 1 } }\n      - call: { op: item.make, with: { id: \
                 mine }, json: { value: 2 }, expect: { status: 409 } }";
    own.cases(&[("precious", "", made), ("twice", "", twice)]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (0, vec![("pass", ""); 2]));
    assert_eq!((own.item("precious"), own.item("mine")), (Some(json!("of the owner")), None));
}

#[test]
fn a_conflict_over_what_only_this_run_can_have_made_is_undone() {
    let own = Own::answering(|asked, state| {
        let answer = obedient(asked, state);
        // A gateway that sends a write twice, and tells the second answer.
        if asked.what.starts_with("POST /items/") { Answer("409 Conflict", "", "{}".into()) } else { answer }
    });
    let make = "{ op: item.make, with: { id: '$(run.id)-g' }, json: { value: 1 }, expect: { status: 409 } }";
    own.cases(&[("makes", "", &format!("      - call: {make}"))]);
    assert_eq!(own.run().0, 0);
    let held = held(&own.state);
    assert!(held.items.is_empty(), "{:?}", held.items);
}

#[test]
fn a_change_below_one_that_is_left_is_left_too_and_both_come_back_in_their_order() {
    let own = Own::answering(|asked, state| {
        let is_undo_in_vain = asked.what == "PUT /items/one" && asked.body["value"] == "first" && {
            let held = held(state);
            let puts = held.asked.iter().filter(|what| **what == "PUT /items/one").count();
            puts >= 2 && !held.items.contains_key("mended")
        };
        if is_undo_in_vain {
            return Answer("503 Service Unavailable", "", "{}".into());
        }
        obedient(asked, state)
    });
    own.set("one", json!("original"));
    let set = |value: &str| {
        format!(
            "      - call: {{ op: item.set, as: operator, with: {{ id: one }}, json: {{ value: {value} }} }}\n"
        )
    };
    own.cases(&[("twice", "", &(set("first") + &set("second")))]);
    let (exit, _) = own.run();
    assert_eq!((exit, own.item("one")), (5, Some(json!("second"))));
    own.set("mended", json!(true));
    let cleaned = own.muster(&["cleanup"]);
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
    assert_eq!(own.item("one"), Some(json!("original")));
}

#[test]
fn the_same_platform_written_otherwise_is_the_same_one() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "DELETE /items/one" if !held(state).items.contains_key("up") => {
            Answer("503 Service Unavailable", "", "{}".into())
        }
        _ => obedient(asked, state),
    });
    own.cases(&[("makes", "", "      - call: { op: item.make, with: { id: one }, json: { value: 1 } }")]);
    assert_eq!(own.run().0, 5);
    own.set("up", json!(true));
    let text = std::fs::read_to_string(own.path("target.yaml")).unwrap();
    own.write(
        "target.yaml",
        &text.replace(&format!("http://{}", own.address), &format!("HTTP://{}/", own.address)),
    );
    let cleaned = own.muster(&["cleanup"]);
    assert_eq!(code(&cleaned), 0, "{}{}", stdout(&cleaned), stderr(&cleaned));
    assert_eq!(own.item("one"), None);
}

/// A platform on which nothing can be given back or taken away until it is mended.
fn stubborn(asked: &Asked, state: &State) -> Answer {
    let is_mended = held(state).items.contains_key("mended");
    let is_given_back = asked.what.starts_with("DELETE") || asked.body["value"] == "original";
    if is_given_back && !is_mended {
        Answer("503 Service Unavailable", "", "{}".into())
    } else {
        obedient(asked, state)
    }
}

#[test]
fn what_an_earlier_run_has_left_is_not_changed_again_and_later_runs_are_put_back_first() {
    let own = Own::answering(stubborn);
    own.target("pace: 0.01\n");
    own.set("one", json!("original"));
    let set = "      - call: { op: item.set, as: operator, with: { id: one }, json: { value: first } }";
    let make = "      - call: { op: item.make, with: { id: two }, json: { value: 2 } }";
    own.cases(&[("sets", "", set)]);
    assert_eq!((own.run().0, own.item("one")), (5, Some(json!("first"))));
    // Runs are put in order by the second in which they began.
    std::thread::sleep(Duration::from_millis(1_100));
    own.cases(&[("makes", "", make), ("sets", "", &set.replace("first", "second"))]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (5, vec![("pass", ""), ("inconclusive", "shared.leftover")]));
    assert_eq!(own.item("one"), Some(json!("first")), "what stands there is nobody's old value");
    let mut runs: Vec<_> =
        std::fs::read_dir(own.path("state/own/runs")).unwrap().map(|run| run.unwrap().file_name()).collect();
    runs.sort();
    own.set("mended", json!(true));
    let cleaned = own.muster(&["cleanup"]);
    assert_eq!(code(&cleaned), 0, "{}", stderr(&cleaned));
    let told = |run: usize| stdout(&cleaned).find(runs[run].to_str().unwrap()).unwrap();
    assert!(told(1) < told(0), "{}", stdout(&cleaned));
    assert_eq!((own.item("one"), own.item("two")), (Some(json!("original")), None));
}

#[test]
fn a_write_that_a_gateway_gave_up_or_took_on_is_put_back_once_more() {
    for status in ["504 Gateway Timeout", "202 Accepted", "524 A Timeout Occurred", "499 Closed"] {
        let own = Own::answering(move |asked, state| {
            if asked.what == "POST /items/late" {
                let state = state.clone();
                later(400, move || drop(held(&state).items.insert("late".into(), json!(1))));
                return Answer(status, "", "{}".into());
            }
            obedient(asked, state)
        });
        own.cases(&[("late", "", "      - call: { op: item.make, with: { id: late }, json: { value: 1 } }")]);
        own.run();
        assert_eq!(own.item("late"), None, "{status}: it stays");
    }
}

#[test]
fn a_run_on_another_cluster_or_database_is_left_as_it_is() {
    let own = Own::answering(stubborn);
    let places = |uid: &str| {
        format!("pace: 0.01\nkubernetes: {{ server: 'http://127.0.0.1:9', cluster_uid: {uid} }}\n")
    };
    own.target(&places("of-then"));
    own.cases(&[("makes", "", "      - call: { op: item.make, with: { id: one }, json: { value: 1 } }")]);
    assert_eq!(own.run().0, 5);
    own.set("mended", json!(true));
    own.target(&places("of-now"));
    let output = own.muster(&["cleanup"]);
    assert_eq!((code(&output), own.item("one")), (5, Some(json!(1))));
    assert!(
        stderr(&output).contains("where its kubernetes was of-then, and now it is of-now"),
        "{}",
        stderr(&output)
    );
    own.target("pace: 0.01\n");
    let output = own.muster(&["cleanup"]);
    assert_eq!((code(&output), own.item("one")), (5, Some(json!(1))));
    let unnamed = "where its kubernetes was of-then, and now the target file names none";
    assert!(stderr(&output).contains(unnamed), "{}", stderr(&output));
    own.target(&places("of-then"));
    assert_eq!((code(&own.muster(&["cleanup"])), own.item("one")), (0, None));
}

#[test]
fn a_run_by_way_of_another_proxy_is_left_as_it_is() {
    let own = Own::answering(stubborn);
    own.target("pace: 0.01\nproxy: http://127.0.0.1:8\n");
    own.cases(&[("makes", "", "      - call: { op: item.make, with: { id: one }, json: { value: 1 } }")]);
    assert_eq!(own.run().0, 5);
    own.set("mended", json!(true));
    own.target("pace: 0.01\nproxy: http://127.0.0.1:9\n");
    let output = own.muster(&["cleanup"]);
    assert_eq!((code(&output), own.item("one")), (5, Some(json!(1))));
    let moved = "where its proxy was http://127.0.0.1:8, and now it is http://127.0.0.1:9";
    assert!(stderr(&output).contains(moved), "{}", stderr(&output));
    own.target("pace: 0.01\nproxy: 'http://127.0.0.1:8/'\n");
    assert_eq!((code(&own.muster(&["cleanup"])), own.item("one")), (0, None));
}

#[test]
fn what_is_broken_for_a_moment_is_put_back_all_the_same() {
    let own = Own::answering(|asked, state| {
        let mut held = held(state);
        let tried = held.asked.iter().filter(|what| **what == "(in vain)").count();
        let is_in_vain = asked.what == "DELETE /items/one" && tried < 3;
        if is_in_vain {
            held.asked.push("(in vain)".into());
            return Answer("503 Service Unavailable", "", "{}".into());
        }
        drop(held);
        obedient(asked, state)
    });
    own.target("pace: 0.1\n");
    own.cases(&[("makes", "", "      - call: { op: item.make, with: { id: one }, json: { value: 1 } }")]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended), own.item("one")), (0, vec![("pass", "")], None));
    assert_eq!(own.asked("(in vain)"), 3);
}

#[test]
fn a_case_does_not_wait_for_a_key_that_what_it_is_given_holds() {
    let own = Own::answering(obedient);
    own.set("one", json!("original"));
    let set = "{ op: item.set, as: operator, with: { id: one }, json: { value: given } }";
    own.write("suites/flows/sets.yaml", &format!("flow: sets\nwhy: it is set\nsteps: [{{ call: {set} }}]\n"));
    own.cases(&[("sets-too", "    given: sets\n", &format!("      - call: {set}"))]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (3, vec![("inconclusive", "shared.deadlock")]));
    assert_eq!(own.item("one"), Some(json!("original")));
}

#[test]
fn a_number_that_could_not_be_given_back_as_it_is_keeps_a_change_from_being_sent() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /items/one" => Answer("200 OK", "", "{\"value\":36893488147419103232}".into()),
        _ => obedient(asked, state),
    });
    let set = "{ op: item.set, as: operator, with: { id: one }, json: { value: mine } }";
    own.cases(&[("sets", "", &format!("      - call: {set}"))]);
    let (exit, ended) = own.run();
    assert_eq!(
        (exit, kinds(&ended), own.asked("PUT /items/one")),
        (3, vec![("inconclusive", "ledger.before")], 0)
    );
}

#[test]
fn a_shared_thing_that_was_changed_in_spite_of_a_conflict_is_put_back() {
    let own = Own::answering(|asked, state| {
        let answer = obedient(asked, state);
        let is_first = asked.what == "PUT /items/one" && asked.body["value"] == "mine";
        if is_first { Answer("409 Conflict", "", "{}".into()) } else { answer }
    });
    own.set("one", json!("original"));
    let set =
        "{ op: item.set, as: operator, with: { id: one }, json: { value: mine }, expect: { status: 409 } }";
    own.cases(&[("sets", "", &format!("      - call: {set}"))]);
    assert_eq!((own.run().0, own.item("one")), (0, Some(json!("original"))));
}

#[test]
fn an_undo_whose_inputs_are_no_texts_or_hold_a_secret_keeps_a_change_from_being_sent() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /items/one" => ok(&json!({ "value": "0ld-pa55word" })),
        _ => obedient(asked, state),
    });
    let operations = std::fs::read_to_string(own.path("suites/operations.yaml")).unwrap();
    let secret = "item.guarded:\n  http: 'PUT /items/{id}'\n  open_to: [operator]\n  effect: write\n  key: guarded\n  before:\n    old: { op: \
                  item.value, capture: { value: $.value } }\n  undo: { flow: guard, with: { id: one, password: $(before.old.value) } }\n";
    own.write("suites/operations.yaml", &(operations + secret));
    let guard = "flow: guard\nwhy: the old password\ninputs: { id: text, password: secret }\nsteps:\n  - call: { op: item.set, as: operator, with: \
                 { id: $(id) }, json: { value: $(password) } }\n";
    own.write("suites/flows/guard.yaml", guard);
    let undo = "flow: take-away\nwhy: it goes\ninputs: { id: text }\nsteps:\n  - call: { op: item.delete, as: operator, with: { id: $(id) } }\n";
    own.write("suites/flows/take-away.yaml", undo);
    let listed = "      - call: { op: item.make, with: { id: [1] }, json: { value: 1 } }";
    let guarded =
        "      - call: { op: item.guarded, as: operator, with: { id: one }, json: { value: mine } }";
    own.cases(&[("a-list", "", listed), ("b-secret", "", guarded)]);
    let output = own.muster(&["run", "--seed", "1", "--jobs", "1"]);
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    let asked = held(&own.state).asked.clone();
    assert!(
        !asked.iter().any(|what| what.starts_with("POST /items") || what.starts_with("PUT")),
        "{asked:?}"
    );
    for kind in ["step.flow", "ledger.secret"] {
        assert!(own.is_written(kind, &output), "{kind}: {}", stdout(&output));
    }
    assert!(!own.is_written("0ld-pa55word", &output), "{}", stdout(&output));
}
