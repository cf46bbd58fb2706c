//! Every case of the suites as one test, on the built-in fakes: `cargo test --test suites`.

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::process::ExitCode::from(muster::cli::libtest(&arguments))
}
