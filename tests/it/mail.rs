//! Mail from one end to the other: by SMTP into `muster fake mail`, and out of it by `receive` in the built program.

use crate::program::{Outside, code, get, muster, stderr, stdout, summary};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

pub(crate) const PASSWORD: &str = "hunter22";

/// A mail server in a process of its own, and a folder with a target whose mailbox it is.
pub(crate) struct Post {
    _server: Outside,
    smtp: String,
    http: String,
    printed: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Post {
    pub(crate) fn new() -> Self {
        let mut server = muster();
        server.args(["fake", "mail"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = Outside(server.spawn().unwrap());
        let mut said = String::new();
        BufReader::new(server.0.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "serving; press Ctrl-C to stop\n");
        let mut lines = BufReader::new(server.0.stdout.as_mut().unwrap()).lines();
        let printed: String = (0..5).map(|_| lines.next().unwrap().unwrap() + "\n").collect();
        let address =
            |from: &str, to: char| printed.split(from).nth(1).unwrap().split(to).next().unwrap().to_owned();
        let (smtp, http) = (address("# SMTP at ", ','), address("HTTP at http://", '\n'));
        let folder = tempfile::tempdir().unwrap();
        let post = Self { _server: server, smtp, http, printed, folder };
        post.aim(&format!("{{ http: \"http://{}\" }}", post.http));
        post
    }

    /// A target file whose mailbox is this.
    pub(crate) fn aim(&self, mail: &str) {
        let mut text = "name: post\napi: http://API\npace: 0.05\nmailbox:\n".replace("API", &self.http);
        write!(text, "  code:\n    mail: {mail}\n    pattern: 'code: ([a-z]{{4}})\\b'\n").unwrap();
        std::fs::write(self.folder.path().join("target.yaml"), text).unwrap();
    }

    /// Sends mails over one connection, all commands at once; the replies.
    pub(crate) fn send(&self, mails: &[(&str, &str)]) -> String {
        let mut said = "EHLO me\r\n".to_owned();
        for (to, mail) in mails {
            let guarded = mail.replace("\r\n.", "\r\n..");
            write!(said, "MAIL FROM:<p@a.test>\r\nRCPT TO:<{to}>\r\nDATA\r\nTo: {to}\r\n{guarded}\r\n.\r\n")
                .unwrap();
        }
        let mut stream = TcpStream::connect(&self.smtp).unwrap();
        let mut replies = String::new();
        let mut reading = stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| reading.read_to_string(&mut replies).unwrap());
            stream.write_all((said + "QUIT\r\n").as_bytes()).unwrap();
        });
        replies
    }

    /// Receives a code, which must stand in the mail with this id, within so many seconds at a pace of 0.05.
    fn receive(&self, to: &str, id: &str, within_s: u32) -> (i32, Value, String) {
        let suites = self.folder.path().join("suites");
        std::fs::create_dir_all(suites.join("mail")).unwrap();
        std::fs::write(suites.join("operations.yaml"), "{}\n").unwrap();
        let suite = format!(
            r"
title: Mail
cases:
  - id: a-code-comes
    why: a code that was mailed can be received
    tags: [smoke]
    steps:
      - receive: {{ what: code, to: {to}, within: {within_s}s, capture: code }}
      - call: {{ get: /email/{id}, expect: {{ text: {{ matches: $(code) }} }} }}
"
        );
        std::fs::write(suites.join("mail/mail.yaml"), suite).unwrap();
        let mut run = muster();
        run.current_dir(self.folder.path()).args(["run", "--target", "target.yaml", "--suites", "suites"]);
        run.args(["--state-dir", "state", "--report-dir", "reports"]).env("MAIL", PASSWORD);
        let output = run.output().unwrap();
        let told = stdout(&output) + &stderr(&output);
        (code(&output), summary(&self.folder.path().join("reports"))["cases"][0].clone(), told)
    }

    pub(crate) fn passes(&self, to: &str, id: &str) {
        let (code, case, told) = self.receive(to, id, 600);
        assert_eq!((code, &case["outcome"]), (0, &"pass".into()), "{to}: {told}");
    }

    /// What kind of failure it is, and what is said.
    pub(crate) fn says(&self, to: &str, kind: &str) -> String {
        let (code, case, told) = self.receive(to, "m1", 20);
        let failure = &case["failures"][0];
        assert_eq!(failure["kind"], kind, "{told}");
        assert_eq!(code, if kind == "receive.nothing" { 1 } else { 3 }, "{told}");
        assert!(!told.contains(PASSWORD), "{told}");
        failure["message"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_code_is_read_from_whatever_carries_it() {
    let post = Post::new();
    let carried = [
        ("plain@a.test", "Subject: x\r\n\r\nYour code: aaaa"),
        ("base@a.test", "Content-Transfer-Encoding: base64\r\n\r\nWW91ciBjb2RlOiBiYmJiCg=="),
        ("quoted@a.test", "Content-Transfer-Encoding: quoted-printable\r\n\r\nYour co=\r\nde=3A cc=\r\ncc"),
        ("html@a.test", "Content-Type: text/html\r\n\r\n<p>Your code: <b>dddd</b></p>"),
        (
            "parts@a.test",
            "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\nHello\r\n--x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+Y29kZTogZWVlZTwvYj4=\r\n--x--",
        ),
        ("subject@a.test", "Subject: =?utf-8?q?Your_code:_ffff?=\r\n\r\nHello"),
        ("dots@a.test", "Subject: x\r\n\r\n.\r\n..\r\n.code: gggg"),
    ];
    let replies = post.send(&carried);
    assert_eq!(replies.matches("250 2.0.0 kept as m").count(), carried.len(), "{replies}");
    for (number, (to, _)) in carried.iter().enumerate() {
        post.passes(to, &format!("m{}", number + 1));
    }
}

#[test]
fn the_newest_of_a_thousand_wins_and_only_for_exactly_the_address() {
    let post = Post::new();
    let mail = |code: &str| format!("Subject: x\r\n\r\nYour code: {code}");
    let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).unwrap());
    let old: Vec<(String, String)> = (0..1_000)
        .map(|at| {
            let code: String = [letter(at / 676), letter(at / 26), letter(at), 'x'].iter().collect();
            (if at % 2 == 0 { "me@a.test".into() } else { format!("other{at}@a.test") }, mail(&code))
        })
        .collect();
    let old: Vec<(&str, &str)> = old.iter().map(|(to, mail)| (to.as_str(), mail.as_str())).collect();
    post.send(&old);
    // By the header Date it would be the oldest.
    let newest = format!("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n{}", mail("yyyy"));
    let longer = mail("zzzz");
    post.send(&[("me@a.test", &newest), ("some-me@a.test", &longer), ("me@a.test.b", &longer)]);
    post.passes("me@a.test", "m1001");
    let said = post.says("nobody@a.test", "receive.nothing");
    assert_eq!(said, "no message for nobody@a.test within 1.0s");
    post.send(&[("me@a.test", "Subject: x\r\n\r\nno code in here")]);
    post.passes("me@a.test", "m1001");
}

#[test]
fn mails_are_shown_and_taken_away_as_maildev_does() {
    let post = Post::new();
    let expected = format!(
        "# SMTP at {}, HTTP at http://{}\nmailbox:\n  signup-code:\n    mail: {{ http: \"http://{}\" }}\n    pattern: 'token: ([A-Za-z]{{8}})\\b'\n",
        post.smtp, post.http, post.http
    );
    assert_eq!(post.printed, expected);
    post.send(&[("me@a.test", "Subject: one\r\n\r\nHello")]);
    let list: Value = serde_json::from_str(&get(&post.http, "/email")).unwrap();
    assert_eq!(list[0]["to"][0]["address"], "me@a.test");
    assert_eq!((&list[0]["subject"], &list[0]["text"]), (&"one".into(), &"Hello\r\n".into()));
    let mut stream = TcpStream::connect(&post.http).unwrap();
    write!(stream, "DELETE /email/all HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("true"), "{said}");
    assert_eq!(get(&post.http, "/email"), "[]");
}

#[test]
fn a_mailbox_that_says_nothing_of_messages_is_never_a_failure() {
    let post = Post::new();
    post.aim("{ http: \"http://127.0.0.1:9\" }");
    let said = post.says("me@a.test", "mailbox.unreachable");
    assert!(said.starts_with("the mailbox says nothing of messages: it cannot be reached: "), "{said}");
    post.aim(&format!("{{ http: \"http://{}/elsewhere\" }}", post.http));
    let said = post.says("me@a.test", "mailbox.unreadable");
    assert_eq!(said, "the mailbox says nothing of messages: it cannot be read: `GET /email` answered 404");
}

/// The fake platform sends its codes by SMTP, and the suites of the repository read them as mail.
#[test]
fn signup_runs_from_end_to_end_by_mail() {
    let post = Post::new();
    let at = |name: &str| post.folder.path().join(name);
    let mut fakes = muster();
    fakes.current_dir(post.folder.path()).args(["fake", "--write", "fake.yaml", "--mail-to", &post.smtp]);
    let mut fakes = Outside(fakes.stderr(Stdio::piped()).spawn().unwrap());
    let mut said = String::new();
    BufReader::new(fakes.0.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "serving; press Ctrl-C to stop\n");
    let target = std::fs::read_to_string(at("fake.yaml")).unwrap();
    let (before, rest) = target.split_once("mailbox:\n").unwrap();
    let (_, groups) = rest.split_once("groups:\n").unwrap();
    let entry = post.printed.split_once('\n').unwrap().1;
    std::fs::write(at("target.yaml"), format!("{before}{entry}groups:\n{groups}")).unwrap();
    let mut run = muster();
    run.current_dir(post.folder.path()).args([
        "run",
        "--target",
        "target.yaml",
        "signup-flow",
        "--seed",
        "7",
    ]);
    run.args(["--state-dir", "state", "--report-dir", "reports"]);
    let output = run.output().unwrap();
    let told = stdout(&output) + &stderr(&output);
    let summary = summary(&at("reports"));
    let cases = summary["cases"].as_array().unwrap();
    let red: Vec<&Value> = cases.iter().filter(|case| case["outcome"] == "fail").collect();
    assert_eq!((code(&output), red.len()), (0, 0), "{told}");
    assert!(cases.iter().filter(|case| case["outcome"] == "pass").count() > 20, "{told}");
    let mails: Value = serde_json::from_str(&get(&post.http, "/email")).unwrap();
    let of_codes = mails
        .as_array()
        .unwrap()
        .iter()
        .filter(|mail| mail["text"].as_str().is_some_and(|it| it.starts_with("token: ")));
    assert!(of_codes.count() > 10, "{mails:#}");
}

/// A list beyond the limit of one answer is asked for one address.
#[test]
fn large_mails_do_not_matter() {
    let post = Post::new();
    let large = format!("Subject: x\r\n\r\n{}", "code: zzzz is not for you\r\n".repeat(20_000));
    let mut mails = vec![("other@a.test", large.as_str()); 40];
    mails.push(("me+1@a.test", "Subject: x\r\n\r\nYour code: mine"));
    post.send(&mails);
    post.passes("me+1@a.test", "m41");
    let said = post.says("nobody@a.test", "receive.nothing");
    assert_eq!(said, "no message for nobody@a.test within 1.0s");
}

#[test]
fn doctor_reads_mailboxes_and_a_password_that_is_not_there_is_told() {
    let post = Post::new();
    post.receive("me@a.test", "m1", 20);
    let doctor = || {
        let mut doctor = muster();
        doctor.current_dir(post.folder.path()).args([
            "doctor",
            "--target",
            "target.yaml",
            "--suites",
            "suites",
        ]);
        doctor.args(["--state-dir", "state"]);
        let output = doctor.output().unwrap();
        (code(&output), stdout(&output) + &stderr(&output))
    };
    let (_, told) = doctor();
    assert!(told.contains("ok      mailbox code               mails can be read\n"), "{told}");
    post.aim(&format!("{{ http: \"http://{}/elsewhere\" }}", post.http));
    let (code, told) = doctor();
    assert_eq!(code, 3);
    assert!(
        told.contains("NOT OK  mailbox code               it cannot be read: `GET /email` answered 404\n"),
        "{told}"
    );
    post.aim("{ imap: '127.0.0.1:9', user: me, secret: { env: MAIL_NOWHERE } }");
    let (code, told) = doctor();
    assert_eq!(code, 2);
    let wanted =
        "the environment variable MAIL_NOWHERE, which holds the secret of `mailbox code`, is not set";
    assert!(told.contains(wanted), "{told}");
}
