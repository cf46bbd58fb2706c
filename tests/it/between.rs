//! What happens between muster's look at a cluster and its blow, or stands between the two: nothing is broken then.

use crate::faults::{self, cluster};
use crate::program::{Bench, get, patched};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A door, and what is done with each caller; one that is gone needs no answer.
pub(crate) fn door(serve: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            std::thread::spawn(move || serve(near).ok());
        }
    });
    address
}

/// A way to a server on which each request may be changed, or kept, before it is passed on.
pub(crate) fn way_to(server: &str, change: impl Fn(String) -> String + Send + Sync + 'static) -> SocketAddr {
    let server = server.to_owned();
    door(move |mut near| {
        let asked = change(request(&mut near)?);
        std::io::copy(&mut passed_on(&asked, &server)?, &mut near).map(drop)
    })
}

/// A connection on which a server answers one request, however long that goes on.
pub(crate) fn passed_on(request: &str, server: &str) -> std::io::Result<TcpStream> {
    let mut far = TcpStream::connect(server)?;
    far.write_all(request.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
    Ok(far)
}

/// A request with its body.
pub(crate) fn request(near: &mut TcpStream) -> std::io::Result<String> {
    let mut text = Vec::new();
    loop {
        let told = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = told.split_once("\r\n\r\n") {
            let lines = head.to_lowercase();
            let length = lines.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Ok(told);
            }
        }
        let mut piece = [0; 4096];
        match near.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => text.extend_from_slice(&piece[..length]),
        }
    }
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
        let (cluster, asked) = (cluster.to_owned(), AtomicUsize::new(0));
        Box::new(move |request| {
            let is_of_guards =
                request.starts_with("GET /apis/policy/v1/namespaces/micro/poddisruptionbudgets");
            // The guards are asked before the probes begin, and once more right before the blow.
            if is_of_guards && asked.fetch_add(1, Ordering::Relaxed) == 1 {
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
