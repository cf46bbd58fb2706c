//! Tests through the outside: real sockets, real programs.

mod cluster;
mod contract;
mod fake;
mod kube_client;
