//! Every case of the suites as one test, on the built-in fakes: `cargo test --test suites`.
#![expect(clippy::disallowed_methods, reason = "a test binary has no other door for its arguments")]

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::process::ExitCode::from(muster::cli::libtest(&arguments))
}
