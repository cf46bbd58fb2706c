//! `muster doctor` against the fakes: what is good, what is not, and what to do about it.

use crate::program::{Bench, code, operator_secret, stderr, stdout};

fn told(bench: &Bench) -> (i32, String) {
    let output = bench.muster(&["doctor"]).output().unwrap();
    (code(&output), stdout(&output))
}

#[test]
fn a_good_target_is_ready_and_is_left_as_it_was() {
    let bench = Bench::new();
    let before = bench.state();
    let (code, told) = told(&bench);
    assert_eq!(code, 0, "{told}");
    assert!(told.lines().rev().skip(1).all(|line| line.starts_with("ok ")), "{told}");
    assert!(told.ends_with("built-in is ready: muster run --target target.yaml\n"), "{told}");
    for what in
        ["api", "clock", "proxy", "cluster", "group core", "rights in default", "identity tenant", "mailbox"]
    {
        assert!(told.contains(&format!("ok      {what}")), "{what}: {told}");
    }
    assert_eq!(bench.state(), before, "the identities that were made are gone again");
}

#[test]
fn a_wrong_secret_is_found_where_it_is_used() {
    let bench = Bench::new();
    let secrets = std::fs::read_to_string(bench.path("secrets")).unwrap();
    std::fs::write(bench.path("secrets"), secrets.replace(&operator_secret(&secrets), "not-this-one"))
        .unwrap();
    let (code, told) = told(&bench);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("NOT OK  registry "), "{told}");
    assert!(told.contains("→ look at this entry of the target file"), "{told}");
    assert!(!told.contains("not-this-one"), "{told}");
}

#[test]
fn another_cluster_a_group_without_pods_and_a_dead_address_are_told() {
    let bench = Bench::new();
    bench
        .rewrite_target(|text| text.replace("selector: micro=service", "selector: micro in (nothing, none)"));
    let (code, first) = told(&bench);
    assert_eq!(code, 3);
    assert!(
        first.contains("NOT OK  group services             13 of 13 members have no Ready pod: alert, "),
        "{first}"
    );
    assert!(
        first.contains("→ is `pod_of` right? kubectl -n micro get pods -l 'micro in (nothing, none)'"),
        "{first}"
    );
    assert!(first.ends_with("1 thing of built-in is not as it should be\n"), "{first}");
    let uid = first.split("meant (").nth(1).unwrap().split(')').next().unwrap().to_owned();
    bench.rewrite_target(|text| {
        text.replace(&uid, "another").replace("admin: http://127.0.0.1:", "admin: http://127.0.0.9:")
    });
    let (code, second) = told(&bench);
    assert_eq!(code, 3);
    assert!(
        second.contains(&format!(
            "NOT OK  cluster                    the target file means another, and this one is {uid}\n"
        )),
        "{second}"
    );
    assert!(second.contains("NOT OK  admin ") && second.contains("no connection to port "), "{second}");
    assert!(
        second.contains("NOT OK  identities, mailbox        not asked: something above is in the way\n"),
        "{second}"
    );
}

#[test]
fn a_right_and_a_label_that_lack_are_told_with_what_to_do() {
    let denied = Bench::with_defects(&["eviction-denied"]);
    let (code, rights) = told(&denied);
    assert_eq!(code, 3, "{rights}");
    let wanted = "NOT OK  rights in default          not allowed: create pods/eviction\n                                   → muster \
                  rbac --target FILE prints the least Roles that are needed\n";
    assert!(rights.contains(wanted), "{rights}");

    let unlabelled = Bench::with_defects(&["namespace-label-missing"]);
    let (code, labels) = told(&unlabelled);
    assert_eq!(code, 3, "{labels}");
    assert!(
        labels
            .contains("NOT OK  group core                 the namespace default has no label owner=micro\n"),
        "{labels}"
    );
    assert!(
        labels.contains("→ if the platform owns it: kubectl label namespace default owner=micro\n"),
        "{labels}"
    );
}

#[test]
fn a_folder_in_which_no_state_can_be_kept_is_told() {
    let bench = Bench::new();
    std::fs::write(bench.path("state"), "a file stands here").unwrap();
    let (code, told) = told(&bench);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("NOT OK  state folder "), "{told}");
}

#[test]
fn a_target_file_from_a_cluster_and_two_answers_is_ready() {
    let bench = Bench::new();
    let addresses = bench.fakes.as_ref().unwrap().addresses;
    let mut command = crate::program::muster();
    command.current_dir(bench.folder.path()).args(["init", "--name", "mine"]);
    command.args([
        "--api",
        &format!("http://{}", addresses.api),
        "--proxy",
        &format!("http://{}", addresses.proxy),
    ]);
    command.args(["--server", &format!("http://{}", addresses.kubernetes), "--write", "mine.yaml"]);
    let output = command.output().unwrap();
    let told = stdout(&output);
    assert_eq!(code(&output), 0, "{told}{}", stderr(&output));
    assert!(
        told.contains(
            "found 11 micro=runtime in namespace default\nfound 13 micro=service in namespace micro\n"
        ),
        "{told}"
    );
    assert!(told.ends_with("next: MUSTER_OPERATOR=… muster doctor --target mine.yaml\n"), "{told}");
    let again = command.output().unwrap();
    assert_eq!(code(&again), 2);
    assert_eq!(
        stderr(&again),
        "error: mine.yaml is there already, and stays as it is\nhint: name another with --write\n"
    );
    let secret = operator_secret(&std::fs::read_to_string(bench.path("secrets")).unwrap());
    let mut doctor = crate::program::muster();
    doctor.current_dir(bench.folder.path()).args(["doctor", "--target", "mine.yaml", "--state-dir", "state"]);
    let output = doctor.env("MUSTER_OPERATOR", secret).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stdout(&output));
}

#[test]
fn suites_to_begin_with_are_written_for_a_platform_of_another_make() {
    let bench = Bench::new();
    let addresses = bench.fakes.as_ref().unwrap().addresses;
    let (api, kubernetes) = (format!("http://{}", addresses.api), format!("http://{}", addresses.kubernetes));
    let mut command = crate::program::muster();
    command.current_dir(bench.folder.path()).args(["init", "--name", "shop", "--api", &api]);
    command.args(["--server", &kubernetes, "--write", "shop.yaml", "--starter", "begun"]);
    let output = command.output().unwrap();
    let told = stdout(&output);
    assert_eq!(code(&output), 0, "{told}{}", stderr(&output));
    assert!(
        told.ends_with(
            "wrote shop.yaml\nwrote begun/operations.yaml\nwrote begun/smoke/platform.yaml\nwrote begun/chaos/pods.yaml\n\
             next: muster doctor --suites begun --target shop.yaml\n"
        ),
        "{told}"
    );
    let mut check = crate::program::muster();
    check.current_dir(bench.folder.path()).args(["check", "--suites", "begun", "--target", "shop.yaml"]);
    let output = check.output().unwrap();
    assert_eq!(stdout(&output), "3 cases, 1 operations, 0 flows: no problem\n", "{}", stderr(&output));
}

#[test]
fn without_a_terminal_what_has_no_usual_answer_must_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let output = crate::program::muster().current_dir(folder.path()).arg("init").output().unwrap();
    assert_eq!(code(&output), 2);
    assert_eq!(
        stderr(&output),
        "error: `--api` is not given: the HTTP API of the platform, such as https://api.example.test\nhint: muster init --api …\n"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_address_is_written_into_no_target_file() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = "wanted something like https://api.example.test";
    for (flags, told) in [
        (["--api", "nonsense", "--proxy", ""], format!("`--api`: `nonsense` is no address: {wanted}")),
        (
            ["--api", "http://api.example.test", "--proxy", "a b"],
            format!("`--proxy`: `https://a b` is no address: {wanted}"),
        ),
        (
            ["--api", "http://api.example.test/v1", "--proxy", ""],
            "`--api`: wanted scheme, host and port alone: what stands behind them would be dropped".into(),
        ),
    ] {
        let mut init = crate::program::muster();
        init.current_dir(folder.path()).args(["init", "--operator", "muster", "--name", "mine"]).args(flags);
        let output = init.output().unwrap();
        assert_eq!((code(&output), stderr(&output)), (2, format!("error: {told}\n")));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_name_needs_a_letter_and_an_operator_may_be_called_anything() {
    let folder = tempfile::tempdir().unwrap();
    let init = |name: &str| {
        let mut init = crate::program::muster();
        init.current_dir(folder.path()).args(["init", "--api", "http://api.example.test", "--proxy", ""]);
        init.args(["--name", name, "--operator", "ops: \"a\" # 1", "--write", "mine.yaml"]).output().unwrap()
    };
    let output = init("-");
    let told = "error: `--name`: wanted letters or digits, found `-`\n";
    assert_eq!((code(&output), stderr(&output)), (2, told.to_owned()));
    let output = init("mine");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let written = std::fs::read_to_string(folder.path().join("mine.yaml")).unwrap();
    let read: serde_json::Value = serde_saphyr::from_str(&written).unwrap();
    assert_eq!(read["identities"]["operator"]["id"], "ops: \"a\" # 1");
}

#[test]
fn the_least_roles_are_those_of_the_chosen_cases() {
    let bench = Bench::new();
    let rbac = |arguments: &[&str]| {
        let mut command = crate::program::muster();
        command.current_dir(bench.folder.path()).args(["rbac", "--target", "target.yaml"]).args(arguments);
        let output = command.output().unwrap();
        (code(&output), stdout(&output), stderr(&output))
    };
    let (_, core, _) = rbac(&["core-pod-comes-back", "--bind-to", "ci/muster"]);
    assert_eq!(core.matches("\nkind: ").count(), 4, "one ClusterRole, one Role, and what binds them: {core}");
    assert!(core.contains("namespace: \"default\"") && !core.contains("namespace: \"micro\""), "{core}");
    let (_, reads, _) = rbac(&["nodes-are-ready"]);
    assert!(reads.contains("resourceNames: [\"kube-system\"]"), "the pinned cluster is looked at: {reads}");
    bench.rewrite_target(|text| text.replace("cluster_uid: ", "freeze_file: /"));
    let (_, unpinned, _) = rbac(&["nodes-are-ready"]);
    assert!(!unpinned.contains("kube-system"), "{unpinned}");
    let (_, none, _) = rbac(&["store-is-healthy"]);
    assert_eq!(none, "# none of the chosen cases asks anything of the cluster\n");
    let (code, _, told) = rbac(&["--bind-to", "muster"]);
    assert_eq!(
        (code, told.as_str()),
        (2, "error: `--bind-to muster`: wanted NAMESPACE/NAME of a service account\n")
    );
}
