//! Tests through the outside: real sockets, real programs.

mod cluster;
mod kube_client;
