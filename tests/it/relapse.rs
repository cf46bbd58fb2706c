//! A service that fails again while its recovery is being confirmed: a registry that answers late must not hide it.

use crate::between::{door, passed_on, request};
use crate::faults;
use crate::program::Bench;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

/// Longer than what is wanted of a recovery, at the pace of the bench.
const SLOW: Duration = Duration::from_millis(400);

/// What the registry has listed so far, and whether the service has begun to fail.
#[derive(Default)]
struct Seen {
    listed: Vec<String>,
    fails: bool,
}

impl Seen {
    /// Whether the registry lists for the second time in a row as many nodes as at first, and others: the first of these
    /// showed that the platform has recovered, and this one is to confirm it.
    fn confirms(&mut self, listed: &str) -> bool {
        let count = |text: &str| text.matches("\"address\"").count();
        let is_other =
            self.listed.first().is_some_and(|first| first != listed && count(first) == count(listed));
        let is_second = self.listed.last().is_some_and(|last| last == listed);
        self.listed.push(listed.to_owned());
        is_other && is_second
    }
}

/// A way to the platform on which the probed service refuses everything from the moment at which the registry is asked to
/// confirm a recovery, and the registry takes its time.
fn failing_when_it_is_confirmed(to: SocketAddr) -> SocketAddr {
    let seen = Mutex::new(Seen::default());
    door(move |near| answered(near, to, &seen))
}

/// One request and its answer, after which the connection is closed.
fn answered(mut near: TcpStream, to: SocketAddr, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let request = request(&mut near)?;
    let first_line = request.lines().next().unwrap_or_default();
    if first_line.contains("/Debug/") && seen.lock().unwrap().fails {
        return near.write_all(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let mut answer = String::new();
    passed_on(&request, &to.to_string())?.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
    if first_line.contains("/registry/") && seen.lock().unwrap().confirms(body) {
        seen.lock().unwrap().fails = true;
        std::thread::sleep(SLOW);
    }
    near.write_all(answer.as_bytes())
}

#[test]
fn what_fails_while_its_recovery_is_confirmed_has_not_recovered() {
    let bench = Bench::new();
    let real = bench.fakes.as_ref().unwrap().addresses.api;
    let way = failing_when_it_is_confirmed(real);
    bench.rewrite_target(|text| text.replace(&real.to_string(), &way.to_string()));
    let (code, told, summary) = faults::told(&bench, "          fault: { delete_pod: $(pod) }\n");
    assert_eq!(code, 1, "{told}");
    let failure = &summary["cases"][0]["failures"][0];
    assert_eq!(failure["kind"], "recovery.served", "{told}");
    assert!(told.contains("probe own was not served again within 6.0s"), "{told}");
}
