//! A mail server that keeps what it is given: SMTP in, HTTP out, in the form of the API of maildev.
//!
//! Lives here: starting and stopping it. Does not: the dialogue (`talk`), its sockets (`smtp`), what is kept and how it is
//! shown (`shelf`, `http`).

mod http;
mod shelf;
mod smtp;
mod talk;

use super::clock::Clock;
use shelf::Shelf;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a mail server shall be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it takes mails; port 0 stands for any free one.
    pub smtp: SocketAddr,
    /// Where it shows them.
    pub http: SocketAddr,
    /// What its clock shows at the start.
    pub now: jiff::Timestamp,
}

/// A running mail server; dropping it closes its doors.
#[derive(Debug)]
pub struct MailServer {
    /// Where it takes mails.
    pub smtp: SocketAddr,
    /// Where it shows them.
    pub http: SocketAddr,
    doors: [JoinHandle<()>; 2],
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.doors.iter().for_each(JoinHandle::abort);
    }
}

/// Starts a mail server inside the running tokio runtime.
///
/// # Errors
/// If one of the addresses cannot be listened on.
pub async fn start(options: &Options) -> std::io::Result<MailServer> {
    let (smtp, http) = (TcpListener::bind(options.smtp).await?, TcpListener::bind(options.http).await?);
    let addresses = (smtp.local_addr()?, http.local_addr()?);
    let shelf = Arc::new(Shelf::new(Clock::new(options.now)));
    let doors = [tokio::spawn(smtp::serve(smtp, shelf.clone())), tokio::spawn(http::serve(http, shelf))];
    Ok(MailServer { smtp: addresses.0, http: addresses.1, doors })
}

/// The entry of a target file that reads this server's mails, for the mails that the fake platform sends.
pub fn entry(http: SocketAddr) -> String {
    format!(
        "mailbox:\n  signup-code:\n    mail: {{ http: \"http://{http}\" }}\n    pattern: 'token: ([A-Za-z]{{8}})\\b'\n"
    )
}
