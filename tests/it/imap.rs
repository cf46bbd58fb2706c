//! Mail over IMAP: `receive` in the built program against a server of these tests' own, which notes what it is asked.
//! Real servers, and TLS, are in `ci/mail`.

use crate::mail::{PASSWORD, Post};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How the server misbehaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    /// Ends each connection after its first search.
    EndsEarly,
    /// Greets, and then says nothing more.
    Silent,
    /// Says each letter twice.
    Doubles,
}

struct Imap {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Imap {
    /// A server with these mails, the oldest first; it serves until the test's process ends.
    fn new(mails: &[(&str, &str)], mood: Mood) -> Self {
        let mails: Vec<(String, String)> =
            mails.iter().map(|(to, mail)| ((*to).to_owned(), format!("To: {to}\r\n{mail}"))).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(vec![]));
        let (noted, mails) = (asked.clone(), Arc::new(mails));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (noted, mails) = (noted.clone(), mails.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &mails, &noted, mood));
            }
        });
        Self { address, asked }
    }

    /// The entry of a target file, with more keys.
    fn entry(&self, more: &str) -> String {
        format!("{{ imap: '{}', tls: none, user: 'me \"x\"', secret: {{ env: MAIL }}{more} }}", self.address)
    }

    /// What was asked that begins like this.
    fn asked(&self, word: &str) -> Vec<String> {
        self.asked.lock().unwrap().iter().filter(|line| line.starts_with(word)).cloned().collect()
    }
}

fn serve(mut stream: TcpStream, mails: &[(String, String)], asked: &Mutex<Vec<String>>, mood: Mood) {
    stream.write_all(b"* OK ready\r\n").unwrap();
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let Ok(line) = line else { return };
        let (tag, command) = line.split_once(' ').unwrap();
        asked.lock().unwrap().push(command.to_owned());
        if mood == Mood::Silent {
            continue;
        }
        let said = answer(command, mails, mood).replace("TAG", tag);
        if stream.write_all(said.as_bytes()).is_err() {
            return;
        }
        if mood == Mood::EndsEarly && command.starts_with("UID SEARCH") {
            return;
        }
    }
}

fn answer(command: &str, mails: &[(String, String)], mood: Mood) -> String {
    let login = format!("LOGIN \"me \\\"x\\\"\" \"{PASSWORD}\"");
    match command {
        "NOOP" => "TAG OK done\r\n".into(),
        "EXAMINE \"INBOX\"" => {
            format!("* {} EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\nTAG OK [READ-ONLY] open\r\n", mails.len())
        }
        _ if command == login => "TAG OK welcome\r\n".into(),
        _ if command.starts_with("LOGIN") => format!("TAG NO [AUTHENTICATIONFAILED] not {PASSWORD}\r\n"),
        _ if command.starts_with("UID SEARCH") => search(command, mails),
        _ if command.starts_with("UID FETCH") && mood == Mood::Doubles => {
            let once = fetch(command, mails);
            format!("{}{once}", once.trim_end_matches("TAG OK done\r\n"))
        }
        _ if command.starts_with("UID FETCH") => fetch(command, mails),
        _ => "TAG NO there is no such folder\r\n".into(),
    }
}

/// As RFC 3501 has it: anywhere in the header, and `n:*` always holds the last mail.
fn search(command: &str, mails: &[(String, String)]) -> String {
    let wanted = command.split("TO \"").nth(1).unwrap().trim_end_matches('"');
    let from =
        command.split("UID ").nth(2).map_or(1, |rest| rest.split(':').next().unwrap().parse().unwrap());
    let numbers = (1..=mails.len())
        .filter(|number| mails[number - 1].0.contains(wanted) && (*number >= from || *number == mails.len()));
    let list: String = numbers.map(|number| format!(" {number}")).collect();
    format!("* SEARCH{list}\r\nTAG OK done\r\n")
}

fn fetch(command: &str, mails: &[(String, String)]) -> String {
    let set = command.split(' ').nth(2).unwrap();
    let mut said = String::new();
    for number in set.split(',').map(|number| number.parse::<usize>().unwrap()) {
        let mail = &mails[number - 1].1;
        write!(said, "* {number} FETCH (UID {number} BODY[]<0> {{{}}}\r\n{mail})\r\n", mail.len()).unwrap();
    }
    said + "TAG OK done\r\n"
}

fn coded(code: &str) -> String {
    format!("Subject: x\r\n\r\nYour code: {code}\r\n")
}

#[test]
fn a_thousand_old_mails_are_not_fetched_and_one_sign_in_is_enough() {
    let (old, new, longer) = (coded("aaaa"), coded("bbbb"), coded("cccc"));
    let mut mails: Vec<(&str, &str)> = vec![("me@a.test", old.as_str()); 1_000];
    mails.extend([("me@a.test", new.as_str()), ("some-me@a.test", longer.as_str())]);
    let post = Post::new();
    post.send(&mails);
    let imap = Imap::new(&mails, Mood::Good);
    post.aim(&imap.entry(""));
    post.passes("me@a.test", "m1001");
    assert_eq!(imap.asked("LOGIN").len(), 1);
    let fetched = imap.asked("UID FETCH");
    assert!(fetched.len() == 1 && fetched[0].matches(',').count() < 20, "{fetched:?}");
    assert!(fetched[0].contains("BODY.PEEK[]<0."), "{fetched:?}");
}

#[test]
fn what_was_seen_is_not_asked_for_again() {
    let post = Post::new();
    let imap = Imap::new(&[("me@a.test", "Subject: x\r\n\r\nno code\r\n")], Mood::Good);
    post.aim(&imap.entry(""));
    let said = post.says("me@a.test", "receive.nothing");
    assert_eq!(said, "no message for me@a.test within 1.0s");
    let searches = imap.asked("UID SEARCH");
    assert_eq!(searches[0], "UID SEARCH TO \"me@a.test\"");
    assert!(searches.len() > 2 && searches[1..].iter().all(|it| it == "UID SEARCH UID 2:* TO \"me@a.test\""));
    assert_eq!(imap.asked("UID FETCH").len(), 1);
    assert_eq!((imap.asked("LOGIN").len(), imap.asked("EXAMINE").len()), (1, 1));
}

#[test]
fn more_letters_than_were_asked_for_are_not_kept() {
    let post = Post::new();
    let code = coded("aaaa");
    let imap = Imap::new(&[("me@a.test", &code)], Mood::Doubles);
    post.aim(&imap.entry(""));
    let said = post.says("me@a.test", "mailbox.unreadable");
    assert!(said.ends_with("UID FETCH was answered with more than was asked for"), "{said}");
}

#[test]
fn a_connection_that_ends_is_opened_again() {
    let post = Post::new();
    let code = coded("aaaa");
    post.send(&[("me@a.test", &code)]);
    let imap = Imap::new(&[("me@a.test", &code)], Mood::EndsEarly);
    post.aim(&imap.entry(""));
    let said = post.says("me@a.test", "mailbox.unreachable");
    assert!(said.starts_with("the mailbox says nothing of messages: it cannot be reached: "), "{said}");
    assert_eq!(imap.asked("LOGIN").len(), 3, "it is tried three times");
    let before = imap.asked("LOGIN").len();
    post.says("nobody@a.test", "receive.nothing");
    assert!(imap.asked("LOGIN").len() > before + 1, "each look has a connection of its own then");
}

#[test]
fn each_refusal_has_its_kind_and_shows_no_password() {
    let post = Post::new();
    let imap = Imap::new(&[], Mood::Good);
    let nothing = "the mailbox says nothing of messages:";
    post.aim(&imap.entry("").replace("me \"x\"", "you"));
    let said = post.says("me@a.test", "mailbox.login");
    assert_eq!(said, format!("{nothing} it refused the sign-in: [AUTHENTICATIONFAILED] not «secret»"));
    assert_eq!(imap.asked("LOGIN").len(), 1, "a refused password is not tried again");
    post.aim(&imap.entry(", folder: Elsewhere"));
    let said = post.says("me@a.test", "mailbox.unreadable");
    assert_eq!(said, format!("{nothing} it cannot be read: EXAMINE was answered: there is no such folder"));
    post.aim(&imap.entry("").replace("tls: none", "tls: implicit"));
    let said = post.says("me@a.test", "mailbox.unreachable");
    assert!(said.starts_with(&format!("{nothing} it cannot be reached: ")), "{said}");
}

#[test]
fn a_server_that_says_nothing_is_told_in_time() {
    let post = Post::new();
    let imap = Imap::new(&[], Mood::Silent);
    post.aim(&imap.entry(""));
    let path = post.folder.path().join("target.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("answer_within: 100ms\n{text}")).unwrap();
    let said = post.says("me@a.test", "mailbox.unreachable");
    assert_eq!(said, "the mailbox says nothing of messages: it cannot be reached: no answer within 100ms");
}
