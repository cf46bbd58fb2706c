//! Commands inside the containers of the fake cluster, over a WebSocket as `kubectl exec` opens it.
//!
//! Lives here: the WebSocket, and the one command that these containers have: `kill`. Does not: what a crash does to a
//! pod (`pods`).

use super::Shared;
use super::kind::Kind;
use super::object::{name_of, namespace_of};
use super::refusal::{self, Refusal};
use super::request::{Route, decoded, route};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

/// The channel on which the end of a command is told.
const ERROR_CHANNEL: u8 = 3;
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// Whether a request opens a WebSocket to run a command.
pub(super) fn is_asked(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    let is_exec = matches!(
        route(request.uri().path()),
        Route::Object { kind: Kind::Pod, part: Some(part), .. } if part == "exec"
    );
    is_exec && upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// The headers of the answer that opens the WebSocket; the command runs once it is open.
pub(super) fn open(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
) -> Result<(StatusCode, HeaderMap), Refusal> {
    let Route::Object { namespace, name, .. } = route(request.uri().path()) else {
        return Err(Refusal::no_such_resource());
    };
    let pod = shared.state().store.get(Kind::Pod, &namespace, &name);
    let pod = pod.ok_or_else(|| Refusal::not_found(Kind::Pod, &name))?;
    let headers = answer_headers(request.headers())?;
    let command = command(request.uri().query().unwrap_or_default());
    let upgrade = hyper::upgrade::on(&mut request);
    let shared = shared.clone();
    tokio::spawn(async move {
        // Who goes away before the command could run has run nothing.
        if let Ok(connection) = upgrade.await {
            let end = run(&shared, &pod, &command);
            tell(TokioIo::new(connection), &end).await;
        }
    });
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers))
}

fn answer_headers(asked: &HeaderMap) -> Result<HeaderMap, Refusal> {
    let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let offered = text(header::SEC_WEBSOCKET_PROTOCOL);
    let spoken = PROTOCOLS.into_iter().find(|spoken| offered.split(',').any(|one| one.trim() == *spoken));
    let spoken = spoken.ok_or_else(|| Refusal::bad_request("no channel protocol that is known here"))?;
    let accept = derive_accept_key(text(header::SEC_WEBSOCKET_KEY).as_bytes());
    let accept = HeaderValue::try_from(accept).map_err(|_| Refusal::bad_request("no WebSocket key"))?;
    Ok([
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(spoken)),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ]
    .into_iter()
    .collect())
}

fn command(query: &str) -> Vec<String> {
    let words = query.split('&').filter_map(|pair| pair.strip_prefix("command="));
    words.map(decoded).collect()
}

/// What a command does to the first process of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It ends at once.
    Crash,
    /// It ends, and cleans up before.
    End,
    /// Nothing: the kernel keeps such a signal from the first process of a namespace.
    Nothing,
    /// There is no such command, or no such process.
    Unknown,
}

fn effect(command: &[String]) -> Effect {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    match words[..] {
        ["kill" | "/bin/kill", "1"] => Effect::End,
        ["kill" | "/bin/kill", signal, "1"] => match signal.trim_start_matches('-') {
            "QUIT" | "3" | "ABRT" | "6" => Effect::Crash,
            "TERM" | "15" | "INT" | "2" => Effect::End,
            _ => Effect::Nothing,
        },
        _ => Effect::Unknown,
    }
}

fn run(shared: &Arc<Shared>, pod: &Value, command: &[String]) -> Value {
    let effect = effect(command);
    if effect == Effect::Unknown {
        let text = format!("exec: \"{}\": executable file not found in $PATH", command.join(" "));
        return json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 500,
            "reason": "InternalError", "message": text,
        });
    }
    if matches!(effect, Effect::Crash | Effect::End) {
        let is_graceful = effect == Effect::End;
        shared.change(|state| state.crash_pod(namespace_of(pod), name_of(pod), is_graceful));
    }
    refusal::success()
}

async fn tell(connection: TokioIo<hyper::upgrade::Upgraded>, end: &Value) {
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, None).await;
    let told = [&[ERROR_CHANNEL][..], end.to_string().as_bytes()].concat();
    // A caller that has gone needs no end, and no goodbye.
    let _ = socket.send(Message::Binary(told.into())).await;
    let _ = socket.close(None).await;
    while let Some(Ok(_)) = socket.next().await {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_dies_of_some_signals_only() {
        for (command, expected) in [
            ("kill -QUIT 1", Effect::Crash),
            ("kill -3 1", Effect::Crash),
            ("/bin/kill -TERM 1", Effect::End),
            ("kill 1", Effect::End),
            ("kill -KILL 1", Effect::Nothing),
            ("kill -9 1", Effect::Nothing),
            ("kill -QUIT 7", Effect::Unknown),
            ("sh -c true", Effect::Unknown),
            ("", Effect::Unknown),
        ] {
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            assert_eq!(effect(&words), expected, "{command}");
        }
    }

    #[test]
    fn a_command_is_read_from_its_query() {
        assert_eq!(command("?&command=kill&command=-QUIT&command=1&stderr=true"), ["kill", "-QUIT", "1"]);
        assert_eq!(command("command=a+b&command=c%26d"), ["a b", "c&d"]);
    }
}
