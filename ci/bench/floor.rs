//! What muster is measured beside: a server that is not the bottleneck, and a bare client without any checks.
//!
//! ```text
//! floor server                       prints its address, then answers every request with {"status":"ok"}
//! floor client URL COUNT AT_ONCE     sends COUNT requests, AT_ONCE at a time
//! ```

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::Full;
use std::convert::Infallible;
use std::io::Write;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    #[expect(clippy::disallowed_methods, reason = "an example has no other door for its arguments")]
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["server"] => runtime.block_on(server()),
        ["client", url, count, at_once] => runtime.block_on(client(url, count.parse()?, at_once.parse()?)),
        _ => Err("usage: floor server | floor client URL COUNT AT_ONCE".into()),
    }
}

async fn server() -> Result<(), Failed> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = hyper::service::service_fn(|_| async {
            Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from_static(b"{\"status\":\"ok\"}"))))
        });
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(hyper_util::rt::TokioIo::new(stream), answer));
    }
}

async fn client(url: &str, count: usize, at_once: usize) -> Result<(), Failed> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let one = |_| async { client.get(url).send().await?.bytes().await };
    let mut answers = futures_util::stream::iter(0..count).map(one).buffer_unordered(at_once);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(())
}
