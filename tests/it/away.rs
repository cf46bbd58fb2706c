//! A cluster whose API is away for a moment: what failed is not remembered, and is tried again by whoever asks next.

use crate::program::{Bench, code, stdout};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

const CASES: &str = "title: Cluster
cases:
  - id: reads-pods
    why: a cluster is asked
    steps:
      - call: { kube: /api/v1/namespaces/default/pods, expect: { status: 200 } }
  - id: reads-pods-of-others
    why: a cluster is asked once more
    steps:
      - call: { kube: /api/v1/namespaces/micro/pods, expect: { status: 200 } }
";

/// A way to an address on which the first connection is closed at once.
fn first_away(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for one in listener.incoming().skip(1) {
            let (near, far) = (one.unwrap(), TcpStream::connect(to).unwrap());
            carried(near.try_clone().unwrap(), far.try_clone().unwrap());
            carried(far, near);
        }
    });
    address
}

fn carried(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(std::net::Shutdown::Write).ok();
    });
}

#[test]
fn an_api_that_is_away_for_a_moment_is_asked_again() {
    let bench = Bench::new();
    let real = bench.fakes.as_ref().unwrap().addresses.kubernetes;
    let way = first_away(real);
    bench.rewrite_target(|text| {
        text.replace(&format!("server: \"http://{real}"), &format!("server: \"http://{way}"))
    });
    std::fs::write(bench.suites_without_cases().join("reads.yaml"), CASES).unwrap();
    let output = bench.muster(&["run", "--suites", "suites", "--jobs", "1"]).output().unwrap();
    let told = stdout(&output);
    assert_eq!(code(&output), 3, "{told}");
    assert!(told.contains("read namespace kube-system: no connection"), "{told}");
    assert!(told.contains("1 passed, 1 inconclusive"), "{told}");
}
