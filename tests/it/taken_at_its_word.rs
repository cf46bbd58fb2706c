//! What a platform says too late, or says wrongly: nothing of it passes, and nothing secret of it is shown.

use crate::own_platform::{Answer, Own, held, kinds, obedient, ok};
use crate::program::{code, stderr, stdout};
use serde_json::json;
use std::time::Duration;

#[test]
fn what_is_there_only_after_the_deadline_is_not_there_in_time() {
    let own = Own::answering(|_, _| {
        std::thread::sleep(Duration::from_millis(1_500));
        ok(&json!({ "value": 1 }))
    });
    let poll = "      - poll: { get: /slow, until: { body: { $.value: 1 } }, within: 500ms }";
    own.cases(&[("late", "", poll)]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (1, vec![("fail", "poll.unmet")]));
    assert!(
        ended[0].2.starts_with("met only after 1.") && ended[0].2.ends_with("and not within 500.0ms"),
        "{}",
        ended[0].2
    );
}

#[test]
fn null_is_no_value_to_go_on_with() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /null" => ok(&json!({ "id": null })),
        _ => obedient(asked, state),
    });
    let captured = |how: &str| {
        format!(
            "      - call: {{ get: /null, capture: {{ id: {how} }} }}\n      - call: {{ get: '/items/$(id)', expect: {{ status: 404 }} }}"
        )
    };
    own.cases(&[("a-null", "", &captured("$.id")), ("b-instead", "", &captured("{ path: $.id, or: none }"))]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (1, vec![("fail", "expect.capture"), ("pass", "")]));
    assert_eq!(ended[0].2, "capture `id`: nothing stands at $.id, or null");
}

#[test]
fn whoever_signs_in_to_nothing_asks_as_nobody() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "POST /token" if asked.body["id"] != "boss" => ok(&json!({ "token": null })),
        "GET /items/one" if asked.token.is_empty() => Answer("403 Forbidden", "", "{}".into()),
        _ => obedient(asked, state),
    });
    own.set("one", json!("for those who have signed in"));
    let denied = "      - call: { get: /items/one, as: me, expect: { refused: true } }";
    own.cases(&[
        ("guest", "    identities: { me: guest }\n", denied),
        ("clerk", "    identities: { me: staff }\n", denied),
    ]);
    let (exit, ended) = own.run();
    assert_eq!(
        (exit, kinds(&ended)),
        (3, vec![("inconclusive", "identity.unserved"), ("inconclusive", "identity.nothing")])
    );
    assert_eq!(ended[1].2, "the flow `new-guest` gave no `token`");
}

#[test]
fn an_account_that_is_not_let_in_is_no_failure_and_without_an_operator_nothing_is_changed() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "POST /token" => Answer("401 Unauthorized", "", "{}".into()),
        _ => obedient(asked, state),
    });
    own.cases(&[
        ("clerk", "    identities: { me: staff }\n", "      - call: { get: /items/one, as: me }"),
        ("makes", "", "      - call: { op: item.make, with: { id: one }, json: { value: 1 } }"),
    ]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (3, vec![("inconclusive", "identity.rejected"); 2]));
    assert!(ended[0].2.contains("the account `clerk` of the target file was not let in"), "{}", ended[0].2);
    assert!(ended[1].2.starts_with("`operator` cannot be used: "), "{}", ended[1].2);
    assert_eq!(own.asked("POST /items/one"), 0, "what could not be undone was done");
}

#[test]
fn an_account_is_known_by_its_kind_whatever_a_case_calls_it() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /whoami" => ok(&json!({ "token": asked.token })),
        _ => obedient(asked, state),
    });
    let steps = "      - call: { get: /whoami, as: helper, expect: { body: { $.token: { matches: '^token-of-clerk$' } } } }";
    own.cases(&[("clerk", "    identities: { helper: staff }\n", steps)]);
    assert_eq!(own.run().0, 0);
}

#[test]
fn a_failure_that_is_known_does_not_stop_a_run() {
    let own = Own::answering(obedient);
    own.set("one", json!(1));
    own.cases(&[
        ("a-known", "", "      - call: { get: /items/none }"),
        ("b-other", "", "      - call: { get: /items/one }"),
    ]);
    let known = "- { case: a-known, target: own, step: call GET /items/none, failure: expect.status, because: it is known, ticket: T-1, until: \
                 2999-12-31 }\n";
    own.write("suites/known-failures.yaml", known);
    let output = own.muster(&["run", "--seed", "1", "--jobs", "1", "--fail-fast"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("1 passed, 1 known"), "{}", stdout(&output));
}

#[test]
fn a_canary_is_seen_wherever_an_answer_can_show_it() {
    let own = Own::answering(|asked, state| {
        let canary = held(state)
            .items
            .get("diary")
            .and_then(|value| Some(value.as_str()?.to_owned()))
            .unwrap_or_default();
        match (asked.what.as_str(), asked.token.as_str()) {
            ("GET /capitals", _) => Answer("403 Forbidden", "", canary.to_uppercase()),
            ("GET /trailer", _) => {
                let chunked = format!("2\r\n{{}}\r\n0\r\nx-note: {canary}\r\n\r\n");
                Answer("403 Forbidden", "Transfer-Encoding: chunked\r\nTrailer: x-note\r\n", chunked)
            }
            ("GET /wide", _) => {
                Answer("403 Forbidden", "", canary.chars().flat_map(|letter| ['\0', letter]).collect())
            }
            ("GET /cut", token) if token.is_empty() && !held(state).items.contains_key("was-cut") => {
                held(state).items.insert("was-cut".into(), json!(true));
                Answer("200 OK", "Content-Length: 5000\r\n", canary)
            }
            ("GET /quiet" | "GET /cut", "") => Answer("403 Forbidden", "", "{}".into()),
            _ => obedient(asked, state),
        }
    });
    let plant = "      - plant: { canary: diary, as: me, op: item.make, with: { id: diary }, json: { value: $(canary.diary) } }\n";
    let asks = |path: &str| format!("{plant}      - call: {{ get: /{path}, expect: {{ refused: true }} }}");
    let cut = format!(
        "{plant}      - access: {{ owner: me, calls: {{ read: {{ get: /cut }} }}, deny: [anonymous] }}"
    );
    let me = "    identities: { me: guest }\n";
    own.cases(&[
        ("a-capitals", me, &asks("capitals")),
        ("b-trailer", me, &asks("trailer")),
        ("c-wide", me, &asks("wide")),
        ("d-quiet", me, &asks("quiet")),
        ("e-cut", me, &cut),
    ]);
    let (exit, ended) = own.run();
    let leak = ("fail", "leak.canary");
    assert_eq!((exit, &kinds(&ended)[..4]), (1, &[leak, leak, leak, ("pass", "")][..]));
    assert_eq!(kinds(&ended)[4].0, "inconclusive", "half an answer was asked for again: {:?}", ended[4]);
}

#[test]
fn a_secret_of_an_answer_is_hidden_also_when_the_answer_is_wrong() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /pair" => {
            ok(&json!({ "token": "t0ken-in-an-answer", "pin": 482_913, "short": "4821", "id": 1 }))
        }
        "GET /two" => Answer("200 OK", "", "{\"token\":\"t0ken-in-an-answer\"} {}".into()),
        _ => obedient(asked, state),
    });
    let secret = |path: &str| format!("{{ path: $.{path}, secret: true }}");
    let captures = format!("token: {}, pin: {}, short: {}", secret("token"), secret("pin"), secret("short"));
    let wrong = format!(
        "      - call: {{ get: /pair, expect: {{ body: {{ $.id: 2 }} }}, capture: {{ {captures} }} }}"
    );
    let two = format!("      - call: {{ get: /two, capture: {{ token: {} }} }}", secret("token"));
    own.cases(&[("pair", "", &wrong), ("two", "", &two)]);
    let output = own.muster(&["run", "--seed", "1"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    for secret in ["t0ken-in-an-answer", "482913", "\\\"4821\\\"", "\"4821\""] {
        assert!(!own.is_written(secret, &output), "{secret} is written: {}", stdout(&output));
    }
    assert!(own.is_written("bytes, not shown: they may hold a secret", &output), "{}", stdout(&output));
}

#[test]
fn a_secret_that_stands_elsewhere_than_where_it_was_sought_is_not_shown() {
    const SECRET: &str = "t0ken-under-another-name";
    let shapes = [
        ("renamed", json!({ "accessToken": SECRET })),
        ("beside-null", json!({ "token": null, "accessToken": SECRET })),
        ("beside-nothing", json!({ "token": "", "accessToken": SECRET })),
        ("wrapped", json!({ "data": { "token": SECRET } })),
        ("listed", json!([{ "token": SECRET }])),
    ];
    for (name, shape) in &shapes {
        let answer = shape.clone();
        let captured = Own::answering(move |asked, state| match asked.what.as_str() {
            "GET /pair" => ok(&answer),
            _ => obedient(asked, state),
        });
        let captures = "capture: { token: { path: $.token, secret: true } }";
        captured.cases(&[(
            name,
            "",
            &format!("      - call: {{ get: /pair, expect: {{ body: {{ $.id: 1 }} }}, {captures} }}"),
        )]);
        let answer = shape.clone();
        let signed_in = Own::answering(move |asked, state| match asked.what.as_str() {
            "POST /token" => ok(&answer),
            _ => obedient(asked, state),
        });
        signed_in.cases(&[(name, "", "      - call: { op: item.read, as: operator, with: { id: one } }")]);
        for (own, wanted) in [(captured, 1), (signed_in, 3)] {
            let output = own.muster(&["run", "--seed", "1"]);
            assert_eq!(code(&output), wanted, "{name}: {}{}", stdout(&output), stderr(&output));
            assert!(!own.is_written(SECRET, &output), "{name}: it is written: {}", stdout(&output));
            let is_said = own.is_written("bytes, not shown: they may hold a secret", &output);
            assert!(is_said || *name == "beside-nothing", "{name}: {}", stdout(&output));
        }
    }
}

#[test]
fn a_code_that_stands_elsewhere_in_a_mailbox_is_not_shown() {
    const CODE: &str = "c0de-under-another-name";
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /items/one" => ok(&json!({ "kode": CODE })),
        _ => obedient(asked, state),
    });
    own.target("mailbox: { code: { op: item.value, path: $.code, pattern: '(.+)' } }\n");
    let receive = "      - receive: { what: code, to: me@a.test, within: 50ms, capture: code }";
    own.cases(&[("waits", "", receive)]);
    let output = own.muster(&["run", "--seed", "1"]);
    assert_eq!(code(&output), 1, "{}{}", stdout(&output), stderr(&output));
    assert!(
        own.is_written("bytes, not shown", &output) && !own.is_written(CODE, &output),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_code_in_a_refusal_is_no_message_and_not_shown() {
    const CODE: &str = "c0de-of-a-refusal";
    for (status, ending, kind) in
        [("404 Not Found", 1, "receive.nothing"), ("502 Bad Gateway", 3, "mailbox.unreadable")]
    {
        let own = Own::answering(move |asked, state| match asked.what.as_str() {
            "GET /items/one" => Answer(status, "", json!({ "code": CODE }).to_string()),
            _ => obedient(asked, state),
        });
        own.target("mailbox: { code: { op: item.value, path: $.code, pattern: '(.+)' } }\n");
        let receive = "      - receive: { what: code, to: me@a.test, within: 50ms, capture: code }";
        own.cases(&[("waits", "", receive)]);
        let output = own.muster(&["run", "--seed", "1"]);
        assert_eq!(code(&output), ending, "{status}: {}{}", stdout(&output), stderr(&output));
        assert!(own.is_written(kind, &output) && !own.is_written(CODE, &output), "{}", stdout(&output));
    }
}

#[test]
fn reports_of_an_earlier_run_are_not_taken_for_those_of_this_one() {
    let own = Own::answering(obedient);
    own.set("one", json!(1));
    own.cases(&[("reads", "", "      - call: { get: /items/one }")]);
    assert_eq!(own.run().0, 0);
    assert!(own.path("reports/junit.xml").exists());
    own.cases(&[("reads", "", "      - call: { get: /items/none }")]);
    assert_eq!(code(&own.muster(&["run", "--report", "summary"])), 1);
    assert!(!own.path("reports/junit.xml").exists() && own.path("reports/summary.json").exists());
    for (refused, ending) in [("nonesuch", 4), ("--report=nonesuch", 2), ("--timeout=soon", 2)] {
        own.cases(&[("reads", "", "      - call: { get: /items/one }")]);
        assert_eq!(own.run().0, 0);
        assert_eq!(code(&own.muster(&["run", refused])), ending, "{refused}");
        let stays = own.path("reports/junit.xml").exists();
        assert_eq!(
            stays,
            refused.starts_with("--"),
            "{refused}: what no command line asks for touches nothing"
        );
    }
}

#[test]
fn whoever_says_a_canary_knows_it_and_a_flow_or_a_snapshot_shows_it_like_a_call() {
    let own = Own::answering(|asked, state| match asked.what.split_once('?') {
        Some(("GET /echo", said)) => ok(&json!({ "said": said, "found": [] })),
        _ => obedient(asked, state),
    });
    let flow = "flow: looks\nwhy: it looks\ninputs: { id: text }\nsteps: [{ call: { op: item.read, with: { id: $(id) } } }]\n";
    own.write("suites/flows/looks.yaml", flow);
    let plant = "      - plant: { canary: diary, as: me, op: item.make, with: { id: diary }, json: { value: $(canary.diary) } }\n";
    let me = "    identities: { me: guest }\n";
    let then = |step: &str| format!("{plant}      - {step}");
    own.cases(&[
        (
            "a-echo",
            me,
            &then("call: { get: '/echo?said=$(canary.diary)', expect: { body: { $.found: [] } } }"),
        ),
        (
            "b-shared",
            me,
            &then("call: { get: /items/diary, expect: { body: { $.value: $(canary.diary) } } }"),
        ),
        ("c-flow", me, &then("flow: { use: looks, with: { id: diary } }")),
        ("d-snapshot", me, &then("snapshot: { name: reply, get: /items/diary }")),
        ("e-call", me, &then("call: { get: /items/diary }")),
    ]);
    let (exit, ended) = own.run();
    let (pass, leak) = (("pass", ""), ("fail", "leak.canary"));
    assert_eq!((exit, kinds(&ended)), (1, vec![pass, pass, leak, leak, leak]));
}

#[test]
fn a_text_that_ends_with_its_line_is_the_snapshot_that_it_was() {
    let own = Own::answering(|_, _| Answer("200 OK", "", "ready\n".into()));
    own.cases(&[("plain", "", "      - snapshot: { name: reply, get: /ready }")]);
    let taken = own.muster(&["run", "--snapshots", "kept", "--update-snapshots"]);
    assert_eq!(code(&taken), 0, "{}{}", stdout(&taken), stderr(&taken));
    let again = own.muster(&["run", "--snapshots", "kept"]);
    assert_eq!(code(&again), 0, "{}{}", stdout(&again), stderr(&again));
}

#[test]
fn a_code_that_was_shown_before_it_was_known_is_masked_in_every_report() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /wrong" => Answer("401 Unauthorized", "", "wrong code, wanted 482913 and pin 4821".into()),
        "GET /codes" => ok(&json!({ "code": "482913", "pin": 4821 })),
        _ => obedient(asked, state),
    });
    let secret = |path: &str| format!("{{ path: $.{path}, secret: true }}");
    let captured = format!(
        "      - call: {{ get: /codes, capture: {{ code: {}, pin: {} }} }}",
        secret("code"),
        secret("pin")
    );
    own.cases(&[("a-shows", "", "      - call: { get: /wrong }"), ("b-learns", "", &captured)]);
    let output = own.muster(&["run", "--seed", "1", "--jobs", "1"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    for file in ["junit.xml", "console.txt", "run.jsonl", "summary.json"] {
        let text = std::fs::read_to_string(own.path("reports").join(file)).unwrap();
        assert!(!text.contains("482913") && !text.contains("pin 4821"), "{file}: {text}");
    }
}

#[test]
fn a_secret_input_of_a_flow_is_hidden_and_stands_in_no_undo() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /passwords" => ok(&json!({ "first": "captured-Pa55word", "pin": "4821" })),
        "GET /shows" => Answer("200 OK", "", "{\"shown\":\"captured-Pa55word\"}".into()),
        _ => obedient(asked, state),
    });
    let flow = "flow: shows\nwhy: it shows\ninputs: { password: secret }\nsteps: [{ call: { get: /shows, expect: { body: { $.no: 1 } } } }]\n";
    own.write("suites/flows/shows.yaml", flow);
    let captured = "      - call: { get: /passwords, capture: { password: $.first, pin: { path: $.pin, secret: true } } }\n";
    let shows = format!("{captured}      - flow: {{ use: shows, with: {{ password: $(password) }} }}");
    let makes =
        format!("{captured}      - call: {{ op: item.make, with: {{ id: $(pin) }}, json: {{ value: 1 }} }}");
    own.cases(&[("a-shows", "", &shows), ("b-makes", "", &makes)]);
    let output = own.muster(&["run", "--seed", "1", "--jobs", "1"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(!own.is_written("captured-Pa55word", &output), "{}", stdout(&output));
    assert!(
        own.is_written("ledger.secret", &output) && own.asked("POST /items/4821") == 0,
        "{}",
        stdout(&output)
    );
}

#[test]
fn who_plants_may_read_with_a_token_taken_anew() {
    let own = Own::answering(obedient);
    let plant = "      - plant: { canary: diary, as: me, op: item.make, with: { id: diary }, json: { value: $(canary.diary) } }\n";
    let reads = |token: &str| format!("{plant}      - call: {{ get: /items/diary, token: {token} }}");
    let me = "    identities: { me: guest }\n";
    own.cases(&[("a-own", me, &reads("$(me.token)")), ("b-other", me, &reads("of-somebody"))]);
    let (exit, ended) = own.run();
    assert_eq!((exit, kinds(&ended)), (1, vec![("pass", ""), ("fail", "leak.canary")]));
}

#[test]
fn a_proxy_of_the_environment_is_not_asked() {
    let own = Own::answering(obedient);
    own.set("one", json!(1));
    own.cases(&[("reads", "", "      - call: { get: /items/one }")]);
    let mut command = own.command(&["run", "--seed", "1"]);
    let output = command
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stdout(&output));
}

#[test]
fn a_report_of_another_tool_stays() {
    let own = Own::answering(obedient);
    own.set("one", json!(1));
    own.cases(&[("reads", "", "      - call: { get: /items/one }")]);
    own.write("reports/junit.xml", "<testsuites name='of-others'/>");
    assert_eq!(code(&own.muster(&["run", "--report", "console"])), 0);
    assert!(own.path("reports/junit.xml").exists());
}

#[test]
fn a_token_is_a_secret_of_its_flow_by_its_role() {
    let own = Own::answering(|asked, state| match asked.what.as_str() {
        "GET /shows" => Answer("500 Oops", "", "it was t0ken-of-its-r0le".into()),
        "GET /plain" => ok(&json!({ "token": "t0ken-of-its-r0le" })),
        _ => obedient(asked, state),
    });
    let flow = "flow: new-guest\nwhy: a guest comes\ninputs: { name: text }\nsteps:\n  - call: { get: /plain, capture: { taken: $.token } \
                }\n  - call: { get: /shows }\noutputs: { token: $(taken) }\n";
    own.write("suites/flows/new-guest.yaml", flow);
    own.cases(&[("guest", "    identities: { me: guest }\n", "      - call: { get: /items/one, as: me }")]);
    let output = own.muster(&["run"]);
    assert!(
        !own.is_written("t0ken-of-its-r0le", &output) && own.is_written("it was", &output),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_flow_that_is_given_the_planters_token_reads_as_the_planter() {
    let own = Own::answering(obedient);
    let flow = "flow: looks\nwhy: it looks\ninputs: { token: secret }\nsteps: [{ call: { get: /items/diary, token: $(token) } }]\n";
    own.write("suites/flows/looks.yaml", flow);
    let steps = "      - plant: { canary: diary, as: me, op: item.make, with: { id: diary }, json: { value: $(canary.diary) } }\n      - flow: { \
                 use: looks, with: { token: $(me.token) } }";
    own.cases(&[("reads", "    identities: { me: guest }\n", steps)]);
    assert_eq!(own.run().0, 0);
}
