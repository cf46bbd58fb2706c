//! Faults through the built program: what each does to the fake cluster, and what is told of it.

use crate::program::{Bench, code, get, patched, stderr, stdout, summary};
use std::process::{Child, Stdio};

/// One case that breaks a pod in some way, with the operations of the repository.
fn suite(bench: &Bench, fault: &str, stable_for: &str) {
    let to = bench.suites_without_cases();
    let case = format!(
        "title: A fault\ncases:\n  - id: a-fault\n    why: what it does is shown\n    for_each: {{ pod: [{{ name: alert, \
         service: alert, group: services }}] }}\n    steps:\n      - disrupt:\n{fault}          probes: {{ own: {{ op: \
         debug.health, with: {{ service: alert }}, as: operator }} }}\n          recovered: {{ when: [ready, served, \
         registry], stable_for: {stable_for}, within: 120s }}\n"
    );
    std::fs::write(to.join("fault.yaml"), case).unwrap();
}

const RUN: [&str; 5] = ["run", "--suites", "suites", "--allow-disruption", "a-fault"];

/// What a run of such a case says. One in which this machine was too busy to ask on its beat has decided nothing, and is
/// asked again.
pub(crate) fn told(bench: &Bench, fault: &str) -> (i32, String, serde_json::Value) {
    suite(bench, fault, "1s");
    let once = || {
        let output = bench.muster(&RUN).output().unwrap();
        (code(&output), stdout(&output), summary(&bench.path("reports")))
    };
    let is_decided = |told: &(i32, String, serde_json::Value)| !told.1.contains("probe.blind");
    (0..4).map(|_| once()).find(is_decided).unwrap_or_else(once)
}

#[test]
fn a_pod_without_grace_leaves_a_ghost_that_keeps_the_verdict_until_its_time_to_live() {
    let bench = Bench::new();
    let fault = "          fault: { delete_pod: $(pod) }\n          grace: 0s\n";
    let (code, told, summary) = told(&bench, fault);
    assert_eq!(code, 0, "{told}");
    let recovery = &summary["cases"][0]["recoveries"][0];
    let us = |clock: &str| recovery[clock].as_u64().unwrap();
    // A ghost is listed for 60 to 90 s, at this pace for 3 to 4.5 s.
    assert!(us("registry_us") >= 2_900_000 && us("ready_us") < us("registry_us"), "{recovery}");
    assert_eq!(recovery["fault"], "delete_pod");
}

#[test]
fn an_eviction_ends_a_pod_as_it_should() {
    let bench = Bench::new();
    let (code, told, summary) = told(&bench, "          fault: { evict_pod: $(pod) }\n");
    assert_eq!(code, 0, "{told}");
    assert_eq!(summary["cases"][0]["recoveries"][0]["fault"], "evict_pod");
}

#[test]
fn an_eviction_that_the_cluster_refuses_is_an_answer_and_nothing_is_done() {
    let refusals = [
        (
            "eviction-refused",
            "fault.missed",
            "refused: Cannot evict pod as it would violate the pod's disruption budget.",
        ),
        ("eviction-denied", "kubernetes.error", "pods/eviction is forbidden"),
    ];
    for (defect, kind, expected) in refusals {
        let bench = Bench::with_defects(&[defect]);
        let pods = || get(&cluster(&bench), "/api/v1/namespaces/micro/pods").matches("\"uid\"").count();
        let before = pods();
        let (code, told, summary) = told(&bench, "          fault: { evict_pod: $(pod) }\n");
        assert_eq!(code, 3, "{told}");
        assert_eq!(summary["cases"][0]["failures"][0]["kind"], kind, "{told}");
        assert!(told.contains(expected), "{told}");
        assert_eq!(pods(), before);
    }
}

#[test]
fn a_crashed_container_is_started_anew_in_its_pod() {
    let bench = Bench::new();
    let (code, told, summary) = told(&bench, "          fault: { crash_pod: $(pod) }\n");
    assert_eq!(code, 0, "{told}");
    let recovery = &summary["cases"][0]["recoveries"][0];
    assert_eq!(recovery["fault"], "crash_pod");
    assert!(recovery["outages"][0]["failed"].as_u64() > Some(0), "a crash is noticed: {recovery}");
    let pod = recovery["victim"].as_str().unwrap();
    let pod = get(&cluster(&bench), &format!("/api/v1/namespaces/micro/pods/{pod}"));
    assert!(pod.contains("\"restartCount\":1"), "the very pod, started anew: {pod}");
}

#[test]
fn a_crash_that_the_container_does_not_know_how_to_do_is_no_crash() {
    let bench = Bench::new();
    bench.rewrite_target(|text| text.replace("  services:\n", "  services:\n    crash_with: [reboot]\n"));
    let (code, told, _) = told(&bench, "          fault: { crash_pod: $(pod) }\n");
    assert_eq!(code, 3, "{told}");
    assert!(
        told.contains("fault.missed") && told.contains("\"reboot\": executable file not found"),
        "{told}"
    );
}

#[test]
fn a_restart_of_all_pods_one_after_the_other_loses_no_request() {
    let bench = Bench::new();
    let (code, told, summary) = told(&bench, "          fault: { rollout_restart: $(pod) }\n");
    assert_eq!(code, 0, "{told}");
    let recovery = &summary["cases"][0]["recoveries"][0];
    assert_eq!(
        (&recovery["fault"], &recovery["victim"]),
        (&"rollout_restart".into(), &"alert-latest".into())
    );
    let left = "deployment micro/alert-latest kubectl.kubernetes.io/restartedAt";
    let residue = summary["residue"].as_array().unwrap();
    assert!(residue.iter().any(|left_behind| left_behind["at"] == left), "{residue:?}");
    assert_eq!(recovery["outages"][0]["failed"], 0);
}

#[test]
fn another_image_is_rolled_out_and_the_old_one_put_back() {
    let bench = Bench::new();
    let before = bench.state();
    let (code, told, summary) = told(&bench, ROLLOUT);
    assert_eq!(code, 0, "{told}");
    assert_eq!(summary["cases"][0]["recoveries"][0]["fault"], "set_image");
    assert!(before == bench.state(), "the image is not what it was");
}

#[test]
fn an_image_is_not_changed_where_nothing_shared_may_be() {
    let bench = Bench::new();
    bench.rewrite_target(|text| text.replace("write: shared", "write: own"));
    let (code, told, _) = told(&bench, ROLLOUT);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("does not permit `write: shared`"), "{told}");
}

const ROLLOUT: &str = "          fault: { set_image: $(pod) }\n          image: micro:next\n";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/micro/deployments/alert-latest";

/// Where the bench's cluster is: host and port.
pub(crate) fn cluster(bench: &Bench) -> String {
    let target = std::fs::read_to_string(bench.path("target.yaml")).unwrap();
    target.split("server: \"http://").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn image(bench: &Bench) -> String {
    bench.state()["cluster"]["deployments"]["micro/alert-latest"]["images"][0].as_str().unwrap().to_owned()
}

/// A run that rolls `micro:next` out, and has done so by the time this returns.
fn rolling_out(bench: &Bench) -> Child {
    // At this pace the platform has to be steady for 5 s: long enough for something to happen.
    suite(bench, ROLLOUT, "100s");
    let mut run = bench.muster(&RUN).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while image(bench) != "micro:next" {
        if run.try_wait().unwrap().is_some() {
            panic!(
                "the run ended before the image was another: {}",
                stdout(&run.wait_with_output().unwrap())
            );
        }
    }
    run
}

/// Somebody else upgrades the Deployment.
fn upgrade(bench: &Bench) {
    let container = r#"{"name":"micro","image":"micro:theirs"}"#;
    let patch = format!(r#"{{"spec":{{"template":{{"spec":{{"containers":[{container}]}}}}}}}}"#);
    let told = patched(&cluster(bench), DEPLOYMENT, &patch);
    assert!(told.contains("micro:theirs"), "{told}");
}

#[test]
fn an_image_that_somebody_else_has_set_meanwhile_is_left_alone_and_told() {
    let bench = Bench::new();
    let run = rolling_out(&bench);
    upgrade(&bench);
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    let expected =
        "somebody else was at deployment alert-latest in the middle: gave micro the image `micro:theirs`";
    assert!(stdout(&output).contains(expected), "{}", stdout(&output));
    assert_eq!(image(&bench), "micro:theirs");
}

#[test]
fn cleanup_leaves_an_image_alone_that_somebody_else_has_set_meanwhile() {
    let bench = Bench::new();
    let mut run = rolling_out(&bench);
    run.kill().unwrap();
    run.wait().unwrap();
    upgrade(&bench);
    let cleanup = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!((code(&cleanup), image(&bench).as_str()), (0, "micro:theirs"), "{}", stderr(&cleanup));
}

#[test]
fn a_run_killed_in_the_middle_of_a_rollout_leaves_the_old_image_after_cleanup() {
    let bench = Bench::new();
    let before = bench.state();
    let mut run = rolling_out(&bench);
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(image(&bench), "micro:next", "nothing was there to be put back");
    let cleanup = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleanup), 0, "{}", stderr(&cleanup));
    assert!(before == bench.state(), "cleanup left something");
}

/// A patch of the Deployment's `spec`, by somebody else.
fn patched_spec(bench: &Bench, spec: &str) {
    let told = patched(&cluster(bench), DEPLOYMENT, &format!(r#"{{"spec":{spec}}}"#));
    assert!(told.contains("\"kind\":\"Deployment\""), "{told}");
}

/// A patch of the Deployment's container.
fn patched_container(bench: &Bench, rest: &str) {
    let container = format!(r#"{{"name":"micro",{rest}}}"#);
    patched_spec(bench, &format!(r#"{{"template":{{"spec":{{"containers":[{container}]}}}}}}"#));
}

#[test]
fn an_image_whose_deployment_somebody_else_has_changed_otherwise_is_told_and_not_mixed_with_the_old_one() {
    let bench = Bench::new();
    let before = image(&bench);
    let mut run = rolling_out(&bench);
    run.kill().unwrap();
    run.wait().unwrap();
    patched_container(&bench, r#""env":[{"name":"RELEASE","value":"2"}]"#);
    let cleanup = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!((code(&cleanup), image(&bench).as_str()), (5, "micro:next"), "{}", stderr(&cleanup));
    let hint = format!("`kubectl -n micro set image deployment/alert-latest micro={before}` gives it back");
    assert!(stderr(&cleanup).contains(&hint), "{}", stderr(&cleanup));
    patched_container(&bench, &format!(r#""image":"{before}""#));
    let again = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&again), 0, "{}", stderr(&again));
}

#[test]
fn what_somebody_else_does_to_the_deployment_in_the_middle_blames_nobody() {
    for (change, expected) in [
        (r#"{"replicas":2}"#, "wants 2 pods instead of 1"),
        (r#"{"template":{"metadata":{"annotations":{"theirs":"1"}}}}"#, "changed its template"),
    ] {
        let bench = Bench::new();
        let run = rolling_out(&bench);
        patched_spec(&bench, change);
        let output = run.wait_with_output().unwrap();
        let told = stdout(&output);
        assert!(told.contains("fault.overtaken") && told.contains(expected), "{expected}: {told}");
        assert!(told.contains("0 of 1 passed") && !told.contains("recovery."), "{told}");
    }
}

#[test]
fn a_rollout_that_would_change_nothing_is_not_begun() {
    let bench = Bench::new();
    let now = image(&bench);
    let (code, said, _) = told(&bench, &ROLLOUT.replace("micro:next", &now));
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("fault.guarded") && said.contains(&format!("it runs the image {now} already")),
        "{said}"
    );
    patched_spec(&bench, r#"{"paused":true}"#);
    let before = bench.state();
    let (code, said, _) = told(&bench, "          fault: { rollout_restart: $(pod) }\n");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("its Deployment is paused"), "{said}");
    assert!(before == bench.state(), "something was changed");
}

#[test]
fn a_fault_of_which_nothing_comes_is_no_fault_whatever_is_waited_for() {
    let bench = Bench::new();
    bench.rewrite_target(|text| {
        text.replace("  services:\n", "  services:\n    crash_with: [kill, -CONT, \"1\"]\n")
    });
    for when in ["served", "ready, served, registry"] {
        suite(&bench, "          fault: { crash_pod: $(pod) }\n", "1s");
        let path = bench.path("suites/fault.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("[ready, served, registry]", &format!("[{when}]"))).unwrap();
        let output = bench.muster(&RUN).output().unwrap();
        let told = stdout(&output);
        assert_eq!(code(&output), 3, "{when}: {told}");
        assert!(told.contains("fault.unseen") && told.contains("nothing has come of it"), "{when}: {told}");
    }
}

#[test]
fn nothing_more_is_broken_once_nothing_has_come_of_a_fault() {
    let bench = Bench::new();
    bench.rewrite_target(|text| {
        text.replace("  services:\n", "  services:\n    crash_with: [kill, -CONT, \"1\"]\n")
    });
    suite(&bench, "          fault: { crash_pod: $(pod) }\n", "1s");
    let path = bench.path("suites/fault.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, case) = text.split_once("  - id: a-fault").unwrap();
    std::fs::write(&path, format!("{before}  - id: a-fault{case}  - id: b-fault{case}")).unwrap();
    let output = bench.muster(&["run", "--suites", "suites", "--allow-disruption"]).output().unwrap();
    let told = stdout(&output);
    assert_eq!(code(&output), 3, "{told}");
    assert!(
        told.contains("nothing was broken: the platform has not recovered from crash_pod alert-"),
        "{told}"
    );
}

#[test]
fn nothing_is_broken_while_what_keeps_a_pod_has_not_all_its_pods() {
    let bench = Bench::with_defects(&["pod-never-ready"]);
    patched_spec(&bench, r#"{"replicas":2}"#);
    let (code, first, _) = told(&bench, "          fault: { delete_pod: $(pod) }\n");
    assert_eq!(code, 1, "{first}");
    let before = bench.state();
    let faults = ["delete_pod: $(pod) }", "set_image: $(pod) }\n          image: micro:next"];
    for fault in faults {
        let (code, told, _) = told(&bench, &format!("          fault: {{ {fault}\n"));
        assert_eq!(code, 3, "{fault}: {told}");
        assert!(
            told.contains("nothing was broken: `alert` was not settled before: pod alert-"),
            "{fault}: {told}"
        );
    }
    assert!(before == bench.state(), "something was changed");
}

#[test]
fn a_pod_outside_the_selector_of_its_group_is_not_touched_whatever_its_member_is_called() {
    let bench = Bench::new();
    bench
        .rewrite_target(|text| text.replace("    selector: micro=service\n", "    selector: micro=theirs\n"));
    let before = bench.state();
    let (code, told, _) = told(&bench, "          fault: { delete_pod: $(pod) }\n");
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("no pod of `alert` is Ready: it has no pod"), "{told}");
    assert!(before == bench.state(), "something was changed");
}

#[test]
fn cleanup_changes_no_image_in_another_cluster_than_the_one_that_is_meant() {
    let bench = Bench::new();
    let before = bench.state();
    let mut run = rolling_out(&bench);
    run.kill().unwrap();
    run.wait().unwrap();
    bench.rewrite_target(|text| text.replace("cluster_uid: ", "cluster_uid: 0"));
    let cleanup = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!((code(&cleanup), image(&bench).as_str()), (5, "micro:next"), "{}", stderr(&cleanup));
    let told = stderr(&cleanup);
    assert!(told.contains("where its kubernetes was ") && told.contains("it is left as it is"), "{told}");
    bench.rewrite_target(|text| text.replace("cluster_uid: 0", "cluster_uid: "));
    let cleanup = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!(code(&cleanup), 0, "{}", stderr(&cleanup));
    assert!(before == bench.state(), "cleanup left something");
}

#[test]
fn another_cluster_than_the_one_that_is_meant_is_not_even_read() {
    let bench = Bench::new();
    let suites = bench.suites_without_cases();
    let case = "title: Cluster\ncases:\n  - id: reads-pods\n    why: a cluster is asked\n    steps:\n      - call: { kube: /api/v1/namespaces/default/pods }\n";
    std::fs::write(suites.join("reads.yaml"), case).unwrap();
    let read = || bench.muster(&["run", "reads-pods", "--suites", "suites"]).output().unwrap();
    assert_eq!(code(&read()), 0, "{}", stdout(&read()));
    bench.rewrite_target(|text| text.replace("cluster_uid: ", "cluster_uid: 0"));
    let output = read();
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    assert!(stdout(&output).contains("this is another cluster"), "{}", stdout(&output));
    bench.rewrite_target(without_pin);
    assert_eq!(code(&read()), 0, "what is not pinned is asked as before");
}

fn without_pin(text: &str) -> String {
    let (start, rest) = text.split_once(", cluster_uid: ").unwrap();
    format!("{start}{}", &rest[rest.find(' ').unwrap()..])
}

#[test]
fn a_deployment_that_somebody_else_has_made_anew_is_not_changed_by_an_undo() {
    let bench = Bench::new();
    let mut run = rolling_out(&bench);
    run.kill().unwrap();
    run.wait().unwrap();
    let journal = std::fs::read_dir(bench.path("state/built-in/runs")).unwrap().next().unwrap().unwrap();
    let path = journal.path().join("journal");
    let text = std::fs::read_to_string(&path).unwrap();
    let uid = text.split("\"uid\":\"").nth(1).unwrap().split('"').next().unwrap();
    let other: String = text.lines().map(|line| with_checksum(&line.replace(uid, "another"))).collect();
    std::fs::write(&path, other).unwrap();
    let cleanup = bench.muster(&["cleanup"]).output().unwrap();
    assert_eq!((code(&cleanup), image(&bench).as_str()), (0, "micro:next"), "{}", stderr(&cleanup));
}

/// A line of a journal with the checksum of what it says.
fn with_checksum(line: &str) -> String {
    let (_, json) = line.split_once(' ').unwrap();
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
}

#[test]
fn a_probe_that_is_served_something_else_than_it_expects_is_not_served() {
    let bench = Bench::new();
    suite(&bench, "          fault: { delete_pod: $(pod) }\n", "1s");
    let path = bench.path("suites/fault.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (served, other) = ("as: operator }", "as: operator, expect: { body: { $.never: here } } }");
    std::fs::write(path, text.replace(served, other)).unwrap();
    let output = bench.muster(&RUN).output().unwrap();
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    assert_eq!(summary(&bench.path("reports"))["cases"][0]["failures"][0]["kind"], "steady.before");
}
