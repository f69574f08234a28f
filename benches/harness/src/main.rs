//! `cargo bench-libcors`: what decisions and requests cost, in instructions and in
//! time.
//!
//! valgrind's callgrind counts the instructions that a process spends in user
//! space. Two runs that differ only in the number of requests differ by the cost
//! of those requests; the same binary gives nearly the same count on any machine,
//! whatever else it does.

mod bounds;
mod chart;
mod engine;
mod envoy;
mod growth;
mod instructions;
mod load;
mod machine;
mod memory;
mod nginx;
mod peers;
mod preflights;
mod python;
mod quiet;
mod results;
mod runners;
mod shops;
mod sizes;
mod statistics;

use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use libcors_tools::{
    fail,
    packages::{self, Need},
    run::{self, Error, Result},
};

#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo bench-libcors",
    about = "What decisions and requests cost"
)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    install_deps: packages::InstallDeps,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Decisions of the engine, and of others
    Engine(engine::Arguments),
    /// Requests through nginx: without CORS, with the module, written by hand
    Nginx(nginx::Arguments),
    /// The Python package and other middlewares
    Python,
    /// Requests through Envoy: without CORS, with its own filter, with the module
    Envoy(envoy::Arguments),
    /// How cost grows with origins and policies
    Growth,
    /// How large the files are that are installed
    Sizes,
    /// Preflights that arrive at the server in a visit, with real browsers
    Preflights,
    /// Memory of nginx workers, and whether reloads leave it as it is
    Memory {
        /// How often to reload
        #[arg(long, default_value_t = 1000)]
        reloads: usize,
    },
    /// Draw docs/performance.svg anew, and say which bounds hold
    Report,
    /// Fail if a decision, or a request through nginx, costs more than it may
    Check,
    /// All of it, which is what is done if nothing is named
    All,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.install_deps.apply("cargo bench-libcors");
    run::exit_code(bench(arguments.what.as_ref().unwrap_or(&What::All)))
}

fn bench(what: &What) -> Result {
    match what {
        What::Engine(arguments) => engine::command(arguments),
        What::Nginx(arguments) => nginx::command(arguments),
        What::Python => python::command(),
        What::Envoy(arguments) => envoy::command(arguments),
        What::Growth => growth::command(),
        What::Sizes => sizes::command(),
        What::Preflights => preflights::command(),
        What::Memory { reloads } => memory::command(*reloads),
        What::Report => report(),
        What::Check => check(),
        What::All => all(),
    }
}

fn report() -> Result {
    chart::draw()?;
    bounds::report()
}

/// What `cargo xtask test` asks for; the last line says how many checks there were.
fn check() -> Result {
    packages::ensure(&quiet::NEEDS)?;
    nginx::check()?;
    let count = 1 + engine::check()?;
    run::say(format_args!("{count} checks passed"));
    Ok(())
}

/// Everything; what fails does not keep the rest from being measured.
fn all() -> Result {
    type Bench = fn() -> Result;
    const BENCHES: [(&str, Bench); 8] = [
        ("engine", || engine::command(&engine::Arguments::default())),
        ("growth", growth::command),
        ("sizes", sizes::command),
        ("nginx", || nginx::command(&nginx::Arguments::default())),
        ("envoy", || envoy::command(&envoy::Arguments::default())),
        ("memory", || memory::command(100)),
        ("python", python::command),
        ("preflights", preflights::command),
    ];
    let mut problems = Vec::new();
    for (name, bench) in BENCHES {
        run::say(format_args!("== {name}"));
        if let Err(error) = bench() {
            run::say(format_args!("FAILED: {error}"));
            problems.push(format!("{name}: {error}"));
        }
    }
    report()?;
    if !problems.is_empty() {
        fail!("{}", problems.join("\n"));
    }
    Ok(())
}

const VALGRIND: Need = Need::Program("valgrind", "valgrind");

/// What callgrind says in its last lines.
fn collected(text: &str) -> Result<u64> {
    text.lines()
        .filter_map(|line| line.split("Collected :").nth(1))
        .find_map(|count| count.trim().parse().ok())
        .ok_or_else(|| Error::new(format!("callgrind counted nothing: {text}")))
}

fn callgrind() -> Command {
    let mut command = run::command("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
