//! `cors completions`: a script for a shell, made from the command line.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::CommandFactory;

use crate::{
    Status,
    args::{Cli, CompletionsArgs},
};

pub(crate) fn run(args: &CompletionsArgs) -> Status {
    let mut script = Vec::new();
    let command = &mut Cli::command();
    clap_complete::generate(args.shell, command, "cors", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
