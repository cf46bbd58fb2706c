//! The built-in fakes: the platform, the cluster and a mail server, over real sockets, on the other side of the wire.
//!
//! Lives here: everything that answers as the target would. Does not: anything that judges an answer; this room uses
//! no other module of the crate, so that a mistake cannot be made on both sides at once.

mod alone;
mod bucket;
mod clock;
pub mod cluster;
mod clustered;
mod defect;
mod door;
mod infrastructure;
mod local;
pub mod mail;
mod platform;
pub mod pod;
mod post;
mod start;
mod target;

pub use alone::{Alone, serve_alone};
pub use defect::Defect;
pub use start::{Addresses, Fake, Options, Profile, StartError, start};
