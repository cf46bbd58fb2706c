//! Tests through the outside: real sockets, real programs.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on fails")]

mod architecture;
mod away;
mod buckets;
mod cli;
mod clocks;
mod cluster;
mod contract;
mod cron_jobs;
mod damaged;
mod databases;
mod defects;
mod doctor;
mod documents;
mod fake;
mod faults;
mod given;
mod hostile;
mod identities;
mod imap;
mod interrupt;
mod invalid_suites;
mod kube_client;
mod kubeconfig;
mod kubectl;
mod lent;
mod lost;
mod mail;
mod mailbox;
mod planted;
mod pods;
mod program;
mod reports;
mod suites_page;
mod two_runs;
mod unwritable;
