//! The built-in fakes: the platform and the cluster, over real sockets, on the other side of the wire.
//!
//! Lives here: everything that answers as the target would. Does not: anything that judges an answer; this room uses
//! no other module of the crate, so that a mistake cannot be made on both sides at once.

pub mod cluster;
pub mod pod;
