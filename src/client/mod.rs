//! The wire: how muster speaks to a target.
//!
//! Lives here: HTTP (`http`), gRPC with JSON (`grpc`), Kubernetes (`kube`), PostgreSQL (`postgres`), mail (`mail`) and buckets
//! (`bucket`), each thin over a proven library and without retries of its own, and what can go wrong on the way. Does
//! not: which addresses
//! exist (`target`), or what an answer means (`judge`).

pub mod bucket;
mod connections;
mod grpc;
mod http;
pub mod kube;
pub mod mail;
mod networks;
mod plain;
pub mod postgres;
mod reach;

pub use connections::{Connection, Unusable, origin, wrong_with_origin};
pub use grpc::{Grpc, only_message};
pub use http::{Answer, BODY_LIMIT_BYTES, Http, Request, SendError};
pub use networks::{Network, Networks, NoNetwork};
pub use reach::{Reached, Unreached, reach};
