//! `cargo xtask`: what is built, generated and checked in this workspace.
//!
//! A command is a file: add it to [`Command`] and to [`main`].

mod abi;
mod bench;
mod ctests;
mod demo;
mod envoy;
mod header;
mod install;
mod library;
mod matrix;
mod nginx;
mod packages;
mod python;
mod run;
mod soak;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "What is done in this workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build target/release/libcors.so and libcors.a
    Build(library::Arguments),
    /// Write include/cors.h
    Header(header::Arguments),
    /// Check the C ABI: header, symbols, layouts, and the C tests
    Abi(abi::Arguments),
    /// Measure decisions, requests through nginx, and more
    Bench(bench::Arguments),
    /// Test everything
    Test(test::Arguments),
    /// Show real requests through nginx, and what a browser makes of the answers
    Demo(demo::Arguments),
    /// Build the nginx module
    Nginx(nginx::Arguments),
    /// Build the Envoy module
    Envoy(envoy::Arguments),
    /// Build the Python package, and test it
    Python(python::Arguments),
    /// Send millions of hostile requests to a server
    Soak(soak::Arguments),
    /// Install the library, for `make install`
    Install(install::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Build(arguments) => library::command(&arguments),
        Command::Header(arguments) => header::command(&arguments),
        Command::Abi(arguments) => abi::command(&arguments),
        Command::Bench(arguments) => bench::command(&arguments),
        Command::Test(arguments) => test::command(&arguments),
        Command::Demo(arguments) => demo::command(&arguments),
        Command::Nginx(arguments) => nginx::command(&arguments),
        Command::Envoy(arguments) => envoy::command(&arguments),
        Command::Python(arguments) => python::command(&arguments),
        Command::Soak(arguments) => soak::command(&arguments),
        Command::Install(arguments) => install::command(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
