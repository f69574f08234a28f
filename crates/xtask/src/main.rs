//! `cargo xtask`: the tasks of this workspace.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use libcors_tools::{packages, run};
use xtask::{abi, demo, envoy, header, install, library, nginx, python, test};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "The tasks of this workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    install_deps: packages::InstallDeps,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build target/release/libcors.so and libcors.a
    Build(library::Arguments),
    /// Write include/cors.h
    Header(header::Arguments),
    /// Check the C ABI: header, symbols, layouts, and the C tests
    Abi(abi::Arguments),
    /// Test everything
    Test(test::Arguments),
    /// Show real requests through a server, and what a browser does with the answers
    Demo(demo::Arguments),
    /// Build the nginx module
    Nginx(nginx::Arguments),
    /// Build the Envoy module
    Envoy(envoy::Arguments),
    /// Build the Python package, and test it
    Python(python::Arguments),
    /// Install the library, for `make install`
    Install(install::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.install_deps.apply("cargo xtask");
    run::exit_code(match &arguments.command {
        Command::Build(arguments) => library::command(arguments),
        Command::Header(arguments) => header::command(arguments),
        Command::Abi(arguments) => abi::command(arguments),
        Command::Test(arguments) => test::command(arguments),
        Command::Demo(arguments) => demo::command(arguments),
        Command::Nginx(arguments) => nginx::command(arguments),
        Command::Envoy(arguments) => envoy::command(arguments),
        Command::Python(arguments) => python::command(arguments),
        Command::Install(arguments) => install::command(arguments),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_takes_install_deps() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for name in command.get_subcommands().map(clap::Command::get_name) {
            let parsed =
                Arguments::try_parse_from(["xtask", name, "--install-deps"]);
            assert!(parsed.is_ok(), "{name}: {parsed:?}");
        }
    }
}
