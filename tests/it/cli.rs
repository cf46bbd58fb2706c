//! The command line: exit codes, messages, and what is known before anything is sent.

use crate::program::{Bench, code, muster, operator_secret, stderr, stdout, summary};

#[test]
fn a_case_is_chosen_by_what_is_shown_of_it() {
    let listed = |arguments: &[&str]| {
        let output = muster().arg("list").args(arguments).output().unwrap();
        let lines: Vec<String> =
            stdout(&output).lines().filter(|line| !line.starts_with(' ')).map(str::to_owned).collect();
        (code(&output), lines.last().cloned().unwrap_or_default())
    };
    for (arguments, told) in [
        (&["store-is-healthy"][..], "1 cases"),
        (&["service-call/store-is-healthy"], "1 cases"),
        (&["--exact", "service-call/store-is-healthy"], "1 cases"),
        (&["--exact", "service-call/store-is-health"], ""),
        (&["chaos/store-is-healthy"], ""),
    ] {
        let wanted = if told.is_empty() { 4 } else { 0 };
        assert_eq!(listed(arguments), (wanted, told.to_owned()), "{arguments:?}");
    }
}

#[test]
fn a_pace_at_which_nothing_would_ever_happen_is_refused() {
    for command in ["run", "fake"] {
        let folder = tempfile::tempdir().unwrap();
        let mut muster = muster();
        muster.current_dir(folder.path()).env("XDG_STATE_HOME", folder.path());
        let output = muster.args([command, "--pace", "0"]).output().unwrap();
        let told = "error: wanted a pace above 0 and up to 1, found 0\n";
        assert_eq!((code(&output), stderr(&output)), (2, told.to_owned()), "{command}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = muster().arg("--help").output().unwrap();
    assert_eq!(code(&help), 0);
    assert!(stdout(&help).contains("Does this release pass muster?"));
    let version = muster().arg("--version").output().unwrap();
    assert_eq!(stdout(&version), format!("muster {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_ends_in_2_and_says_what_to_do() {
    for (arguments, expected) in [
        (vec!["run", "--sed", "1"], "a similar argument exists: '--seed'"),
        (vec!["rnu"], "unrecognized subcommand 'rnu'"),
        (vec!["run", "--jobs", "0"], "0 is not in 1..=1024"),
        (
            vec!["run", "--timeout", "10"],
            "wanted a time with its unit, such as `500ms` or `2m 30s`, found `10`",
        ),
        (
            vec!["run", "--report", "pdf"],
            "there is no report `pdf`\nhint: reports are junit, outline, console, jsonl, summary",
        ),
        (vec!["run", "--target", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (vec!["run", "--suites", "nowhere"], "cannot list nowhere"),
        (vec!["run", "--defect", "no-such-defect"], "no-such-defect"),
        (vec!["explain", "step", "cal"], "there is no step kind `cal`\nhint: did you mean `call`?"),
        (
            vec!["explain", "fault", "flood"],
            "there is no fault `flood`\nhint: crash_pod, delete_pod, evict_pod, rollout_restart, set_image",
        ),
        (vec!["help", "exit-code"], "there is no topic `exit-code`"),
        (vec!["schema", "suit"], "there is no schema `suit`"),
    ] {
        let output = muster().args(&arguments).output().unwrap();
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn nothing_selected_ends_in_4() {
    let bench = Bench::new();
    let output = bench.muster(&["run", "no-such-case"]).output().unwrap();
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("no case was selected"), "{}", stderr(&output));
    let output = bench.muster(&["run", "smoke"]).output().unwrap();
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("hint: `smoke` is a tag: --tag smoke"), "{}", stderr(&output));
}

#[test]
fn what_matches_no_case_is_named_and_nothing_is_run_for_the_rest() {
    let bench = Bench::new();
    let expected = "error: no case was selected: none matches `sotre-is-healthy`, nor `smoke`, nor `--tag smke`\n\
                    hint: `sotre-is-healthy`: did you mean `store-is-healthy`?\n\
                    hint: `smoke`: `smoke` is a tag: --tag smoke\nhint: `--tag smke`: did you mean `smoke`?\n";
    let asked = ["run", "health", "sotre-is-healthy", "smoke", "--tag", "smke", "--tag", "gate"];
    let output = bench.muster(&asked).output().unwrap();
    assert_eq!((code(&output), stderr(&output).as_str()), (4, expected), "{}", stdout(&output));
    assert!(!bench.path("reports").exists(), "nothing was run");
    let listed = muster().args([&["list"], &asked[1..]].concat()).output().unwrap();
    assert_eq!((code(&listed), stderr(&listed).as_str(), stdout(&listed).as_str()), (4, expected, ""));
    let mut rights = muster();
    rights.current_dir(bench.path("")).args(["rbac", "--target", "target.yaml", "no-case", "chaos"]);
    let rights = rights.output().unwrap();
    assert_eq!((code(&rights), stdout(&rights).as_str()), (4, ""), "{}", stderr(&rights));
    assert!(stderr(&rights).contains("none matches `no-case`\nhint: `muster list`"), "{}", stderr(&rights));
    let exact = ["run", "--dry-run", "--exact", "store-is-healthy", "store-is"];
    let output = bench.muster(&exact).output().unwrap();
    assert_eq!(code(&output), 4, "a part is no whole id: {}", stdout(&output));
}

#[test]
fn why_cases_were_skipped_is_told_once_each_with_their_number() {
    let bench = Bench::new();
    bench.rewrite_target(|text| text.replace("disrupt: [core, services]", "disrupt: []"));
    let asked = ["run", "core-pod", "service-pod", "store-is-healthy", "--allow-disruption"];
    let output = bench.muster(&asked).output().unwrap();
    let (core, services) =
        ("the target does not permit to disrupt `core`", "the target does not permit to disrupt `services`");
    let expected = format!("skipped: 1 × {core}\nskipped: 1 × {services}\nreports: reports\n");
    assert!(code(&output) == 0 && stdout(&output).ends_with(&expected), "{}", stdout(&output));
}

#[test]
fn what_is_left_out_or_not_permitted_is_there() {
    let bench = Bench::new();
    let dry = |asked: &[&str]| {
        let output = bench
            .muster(&[&["run", "--dry-run", "--exact", "store-is-healthy"], asked].concat())
            .output()
            .unwrap();
        (code(&output), stdout(&output))
    };
    let (code, told) = dry(&["core-pod-comes-back[store]"]);
    assert!(
        code == 0 && told.contains("1 cases") && told.contains("1 disruptive cases are left out"),
        "{told}"
    );
    bench.rewrite_target(|text| text.replace("disrupt: [core, services]", "disrupt: [services]"));
    let (code, told) = dry(&["core-pod-comes-back[store]", "--allow-disruption"]);
    assert!(code == 0 && told.contains("does not permit to disrupt `core`"), "{told}");
}

#[test]
fn disruption_is_left_out_unless_it_is_allowed() {
    let bench = Bench::new();
    let output = bench.muster(&["run", "chaos"]).output().unwrap();
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("--allow-disruption"), "{}", stderr(&output));
}

#[test]
fn a_dry_run_prints_the_plan_and_sends_nothing() {
    let bench = Bench::new();
    let before = bench.state();
    let output = bench.muster(&["run", "--dry-run", "--allow-disruption", "--seed", "5"]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("disruptive  chaos/core-pod-comes-back[store]"), "{}", stdout(&output));
    assert_eq!(bench.state(), before);
    let again = bench.muster(&["run", "--dry-run", "--allow-disruption", "--seed", "5"]).output().unwrap();
    assert_eq!(stdout(&again), stdout(&output), "the same seed gives the same plan");
}

#[test]
fn a_missing_secret_variable_is_named() {
    let bench = Bench::new();
    let file = bench.path("secrets").display().to_string();
    bench.rewrite_target(|text| {
        text.replace(&format!("{{ file: \"{file}\", key: MUSTER_OPERATOR }}"), "{ env: MUSTER_OPERATOR }")
    });
    let output = bench.muster(&["run", "store-is-healthy"]).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains(
            "the environment variable MUSTER_OPERATOR, which holds the secret of `operator`, is not set"
        ),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_unwritable_report_folder_is_known_before_anything_is_sent() {
    let bench = Bench::new();
    std::fs::write(bench.path("reports"), "a file, not a folder").unwrap();
    let before = bench.state();
    let output = bench.muster(&["run", "signup"]).output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("reports"), "{}", stderr(&output));
    assert_eq!(bench.state(), before);
}

#[test]
fn a_target_that_refuses_is_inconclusive() {
    let mut bench = Bench::new();
    bench.fakes.take().unwrap().stop();
    let output = bench.muster(&["run", "store-is-healthy"]).output().unwrap();
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("no connection could be made"), "{}", stdout(&output));
}

/// A listener that treats every connection the same way, for as long as the test runs.
fn listening(treat: fn(std::net::TcpStream)) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().flatten().for_each(treat));
    address
}

fn with_api(bench: &Bench, address: &str) {
    let api = bench.fakes.as_ref().unwrap().addresses.api.to_string();
    bench.rewrite_target(|text| text.replace(&api, address) + "answer_within: 200ms\n");
}

#[test]
fn a_target_that_hangs_resets_or_answers_half_is_inconclusive() {
    use std::io::{Read, Write};
    let hangs: fn(std::net::TcpStream) = |stream| std::mem::forget(stream);
    let resets: fn(std::net::TcpStream) = drop;
    let half: fn(std::net::TcpStream) = |mut stream| {
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":");
    };
    for (treat, expected) in
        [(hangs, "transport.timed-out"), (resets, "transport.broken"), (half, "transport.cut")]
    {
        let bench = Bench::new();
        with_api(&bench, &listening(treat));
        let output = bench.muster(&["run", "store-is-healthy"]).output().unwrap();
        assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
        let record = std::fs::read_to_string(bench.path("reports/run.jsonl")).unwrap();
        assert!(record.contains(expected), "{expected}: {record}");
    }
}

#[test]
fn reports_are_rendered_again_from_the_record() {
    let bench = Bench::new();
    let output = bench.muster(&["run", "store-is-healthy", "--seed", "3"]).output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    for kind in muster::report::KINDS {
        let again =
            muster().args(["report", kind.name, "--from"]).arg(bench.path("reports")).output().unwrap();
        let written = std::fs::read_to_string(bench.path("reports").join(kind.file)).unwrap();
        assert_eq!(stdout(&again), written, "{}", kind.name);
    }
    assert_eq!(summary(&bench.path("reports"))["ending"], "passed");
}

#[test]
fn the_same_seed_gives_the_same_outline() {
    let outlines: Vec<String> = (0..2)
        .map(|_| {
            let bench = Bench::new();
            let arguments = ["run", "store-is-healthy", "signup-gives-a-namespace", "--seed", "11"];
            let output = bench.muster(&arguments).output().unwrap();
            assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
            std::fs::read_to_string(bench.path("reports/outline.snap")).unwrap()
        })
        .collect();
    assert_eq!(outlines[0], outlines[1]);
}

#[test]
fn no_secret_stands_in_what_is_written() {
    let bench = Bench::new();
    let secret = operator_secret(&std::fs::read_to_string(bench.path("secrets")).unwrap());
    let output = bench.muster(&["run", "signup", "store-keeps"]).output().unwrap();
    let mut written = vec![output.stdout.clone(), output.stderr.clone()];
    for entry in std::fs::read_dir(bench.path("reports")).unwrap() {
        written.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(written.len() >= 6, "{} texts", written.len());
    for bytes in written {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains(&secret) && !text.contains("eyJhbGciOi"), "{text}");
    }
}

#[test]
fn a_file_with_secrets_that_lies_where_reports_go_is_left_alone() {
    let bench = Bench::new();
    let secrets = std::fs::read_to_string(bench.path("secrets")).unwrap();
    let output = bench.muster(&["run", "store-is-healthy", "--report-dir", "."]).output().unwrap();
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert_eq!(std::fs::read_to_string(bench.path("secrets")).unwrap(), secrets);
    assert!(bench.path("junit.xml").exists() && bench.path("run.jsonl").exists());
}

#[test]
fn each_guard_of_disruption_stops_a_run_that_tries() {
    type Change = fn(&str) -> String;
    let changes: [(Change, &str); 3] = [
        (
            |text| text.replace("disrupt: [core, services]", "disrupt: [services]"),
            "does not permit to disrupt `core`",
        ),
        (|text| text.replace("cluster_uid: ", "cluster_uid: 0"), "this is another cluster"),
        (|text| text.replace("namespace: default", "namespace: kube-system"), "no pod of `store` is Ready"),
    ];
    for (change, expected) in changes {
        let bench = Bench::new();
        bench.rewrite_target(change);
        let arguments =
            ["run", "core-pod-comes-back[store]", "core-pod-comes-back", "--allow-disruption", "--fail-fast"];
        let before = bench.state();
        let output = bench.muster(&arguments).output().unwrap();
        assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
        let all = std::fs::read_to_string(bench.path("reports/summary.json")).unwrap();
        assert!(all.contains(expected), "{expected}: {all}");
        assert_eq!(bench.state(), before);
    }
}

#[test]
fn the_explained_target_names_every_key_and_fits_the_suites() {
    let told = muster().args(["explain", "target"]).output().unwrap();
    let text = stdout(&told);
    let source = muster::source::Source::new("explained.yaml", text.as_str());
    let file = muster::target::read_target(&source).unwrap();
    let suites =
        muster::suite::load(&muster::suite::sources(&muster::suite::Folder::Embedded).unwrap()).unwrap();
    muster::suite::lint_target(&suites, &file, &source).or(()).unwrap();
    let schema = muster::suite::schema("target").unwrap();
    let definitions = schema["$defs"].as_object().unwrap().values();
    let keys = std::iter::once(&schema).chain(definitions).filter_map(|it| it["properties"].as_object());
    for key in keys.flat_map(|properties| properties.keys()) {
        assert!(text.contains(&format!("{key}:")), "the key `{key}` is not explained");
    }
}

#[test]
fn the_kept_schemas_are_those_of_the_program() {
    for kind in ["suite", "flow", "operations", "target", "known-failures"] {
        let told = muster().args(["schema", kind]).output().unwrap();
        let path = format!("{}/fixtures/schemas/{kind}.json", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("MUSTER_UPDATE").is_some() {
            muster::files::write_whole(path.as_ref(), &told.stdout).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(stdout(&told), kept, "{path} is stale: MUSTER_UPDATE=1 cargo test kept_schemas");
    }
}

#[test]
fn a_frozen_namespace_and_another_harness_stop_every_kill() {
    use muster::client::kube::{Hold, Kube, Place};
    let bench = Bench::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = bench.fakes.as_ref().unwrap().addresses.kubernetes;
    let place = Place::Url(format!("http://{address}"));
    let kube = runtime.block_on(Kube::connect(&place, std::time::Duration::from_secs(20))).unwrap();
    let killed = |report: &str, expected: &str| {
        let arguments =
            ["run", "core-pod-comes-back[store]", "--exact", "--allow-disruption", "--report-dir", report];
        let output = bench.muster(&arguments).output().unwrap();
        assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
        let told = std::fs::read_to_string(bench.path(report).join("summary.json")).unwrap();
        assert!(told.contains(expected), "{expected}: {told}");
    };
    let names = || {
        let pods = runtime.block_on(kube.pods("default", "micro=runtime")).unwrap();
        pods.into_iter().map(|pod| pod.name).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    for value in ["true", "True", ""] {
        runtime.block_on(kube.annotate("default", "muster/freeze", Some(value))).unwrap();
        killed("frozen", "disruption is frozen by the annotation muster/freeze of namespace default");
    }
    runtime.block_on(kube.annotate("default", "muster/freeze", Some("false"))).unwrap();
    let stop = bench.path("stop").display().to_string();
    std::os::unix::fs::symlink("nowhere", &stop).unwrap();
    let named = format!("freeze_file: \"{stop}\", cluster_uid: ");
    bench.rewrite_target(|text| text.replace("cluster_uid: ", &named));
    killed("frozen", &format!("disruption is frozen by the file {stop}"));
    std::fs::remove_file(bench.path("stop")).unwrap();

    let mut other = kube.claim("default", "muster-disruption", "another", std::time::Duration::from_secs(60));
    assert_eq!(runtime.block_on(other.acquire(muster::host::now())).unwrap(), Hold::Mine);
    killed("held", "`another` is disrupting this cluster");
    assert_eq!(names(), before, "no pod was touched");
}

#[test]
fn two_fakes_do_not_share_a_file_of_secrets() {
    let (bench, _fakes) = Bench::beside_fakes();
    let mut second = muster();
    let output = second.current_dir(bench.path("")).arg("fake").output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.contains("another `muster fake` keeps its secrets in "), "{told}");
    assert!(told.contains("hint: --secrets OTHER-FILE"), "{told}");
}
