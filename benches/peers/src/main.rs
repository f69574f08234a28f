//! Other libraries in Rust, and libcors in the same place, as a runner of
//! `cargo bench-libcors engine`.

mod actix;
mod cors_core;
mod layer;
mod origins;
mod tower;

use std::process::ExitCode;

use libcors_benches::runner;

fn main() -> ExitCode {
    runner::main(&[
        ("tower-none", tower::none),
        ("tower-libcors", tower::libcors),
        ("tower-http", tower::tower_http),
        ("actix-none", actix::none),
        ("actix-cors", actix::actix_cors),
        ("cors-core", cors_core::cors_core),
    ])
}
