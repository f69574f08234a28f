//! The command `cors`: checks policy documents, shows what they allow, and decides
//! and explains requests by them.
//!
//! Nothing is decided here. Documents are judged by `libcors-config`, requests by
//! `libcors-policy`, and what is said about either is their text.

mod answer;
mod args;
mod check;
mod completions;
mod cover;
mod decide;
mod document;
mod explain;
mod failure;
mod man;
mod problems;
mod sarif;
mod schema;
mod show;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::{
    args::{Cli, Command},
    failure::Failure,
    terminal::Terminal,
};

fn main() -> ExitCode {
    // Help and usage errors are printed before the option is parsed.
    let color = args::early_color(std::env::args_os());
    let matches = Cli::command().color(color.for_clap()).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let terminal = Terminal::new(cli.color);
    let result = match cli.command {
        Command::Check(args) => check::run(&args, terminal),
        Command::Show(args) => show::run(&args, terminal),
        Command::Schema => schema::run(),
        Command::Decide(args) => decide::run(&args, terminal),
        Command::Explain(args) => explain::run(&args, terminal),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(terminal),
    }
}

/// What a subcommand yields: its exit status, or why it could not go on.
type Status = Result<ExitCode, Failure>;
