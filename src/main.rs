//! The binary: everything is in the library.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(muster::cli::main())
}
