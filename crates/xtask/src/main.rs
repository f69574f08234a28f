//! `cargo xtask`: builds.
mod header;
mod run;
fn main() -> std::process::ExitCode {
    match header::header(std::env::args().any(|a| a == "--check")) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => { eprintln!("{e}"); std::process::ExitCode::FAILURE }
    }
}
