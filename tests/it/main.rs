//! Tests through the outside: real sockets, real programs.

mod cluster;
