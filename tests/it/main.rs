//! Tests through the outside: real sockets, real programs.

mod architecture;
mod cluster;
mod contract;
mod fake;
mod kube_client;
mod reports;
