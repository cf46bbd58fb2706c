//! What happens between muster's look at a cluster and its blow, or stands between the two: nothing is broken then.

use crate::faults::{self, cluster};
use crate::program::{Bench, get, patched};
use crate::relapse::request;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A way to a server on which each request may be changed, or kept, before it is passed on.
pub(crate) fn way_to(server: &str, change: impl Fn(String) -> String + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (server, change) = (server.to_owned(), Arc::new(change));
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let (server, change) = (server.clone(), change.clone());
            // A client that is gone needs no answer.
            std::thread::spawn(move || passed_on(near, &server, &*change).ok());
        }
    });
    address
}

/// One request and its answer, however long that goes on.
fn passed_on(mut near: TcpStream, server: &str, change: &dyn Fn(String) -> String) -> std::io::Result<u64> {
    let request = change(request(&mut near)?);
    let mut far = TcpStream::connect(server)?;
    far.write_all(request.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
    std::io::copy(&mut far, &mut near)
}

/// What a run says that deletes a pod on such a way, and whether the platform is as it was.
fn told(change: impl Fn(&str) -> Box<dyn Fn(String) -> String + Send + Sync>) -> (i32, String, bool) {
    let bench = Bench::new();
    let real = cluster(&bench);
    let way = way_to(&real, change(&real));
    bench.rewrite_target(|text| text.replace(&real, &way.to_string()));
    let before = pods(&real);
    let (code, told, _) = faults::told(&bench, "          fault: { delete_pod: $(pod) }\n");
    (code, told, before == pods(&real))
}

/// The UIDs of all pods.
fn pods(cluster: &str) -> BTreeSet<String> {
    let list: serde_json::Value = serde_json::from_str(&get(cluster, "/api/v1/pods")).unwrap();
    let uid = |pod: &serde_json::Value| pod["metadata"]["uid"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(uid).collect()
}

#[test]
fn a_way_that_changes_nothing_keeps_nothing_from_being_broken() {
    let (code, told, is_as_before) = told(|_| Box::new(|request| request));
    assert_eq!(code, 0, "{told}");
    assert!(!is_as_before, "no pod was deleted: {told}");
}

#[test]
fn whoever_freezes_disruption_while_the_guards_ask_is_heard() {
    let (code, told, is_as_before) = told(|cluster| {
        let cluster = cluster.to_owned();
        Box::new(move |request| {
            if request.starts_with("GET /apis/policy/v1/namespaces/micro/poddisruptionbudgets") {
                let frozen = r#"{"metadata":{"annotations":{"muster/freeze":"true"}}}"#;
                patched(&cluster, "/api/v1/namespaces/micro", frozen);
            }
            request
        })
    });
    assert_eq!(code, 3, "{told}");
    assert!(
        told.contains("disruption is frozen by the annotation muster/freeze of namespace micro"),
        "{told}"
    );
    assert!(is_as_before, "something was changed: {told}");
}

#[test]
fn nothing_is_broken_where_what_was_asked_for_gets_lost_on_the_way() {
    let (code, told, is_as_before) =
        told(|_| Box::new(|request| request.replacen("labelSelector=", "ignored=", 1)));
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("list pods in micro: cannot read the answer: pod micro/"), "{told}");
    assert!(told.contains("is not among those that were asked for"), "{told}");
    assert!(is_as_before, "something was changed: {told}");
}

#[test]
fn nothing_is_broken_where_another_deployment_is_told_than_was_asked_for() {
    let (code, told, is_as_before) = told(|_| {
        Box::new(|request| {
            request.replacen("/deployments/alert-latest ", "/deployments/customers-latest ", 1)
        })
    });
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("it is of `customers-latest` in `micro`, which is another"), "{told}");
    assert!(is_as_before, "something was changed: {told}");
}
