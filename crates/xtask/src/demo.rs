//! `cargo xtask demo`: runs the demo, a program of its own in `crates/demo`.

use std::{ffi::OsString, os::unix::process::CommandExt as _};

use crate::{
    packages,
    run::{self, Context as _, Result},
};

/// The arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// Arguments of the demo; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs `cargo xtask demo`.
pub fn command(arguments: &Arguments) -> Result {
    let mut demo = run::program("libcors-demo");
    packages::pass_on(&mut demo);
    // In place of this process, so that Ctrl-C and the exit code are the demo's.
    Err(demo.args(&arguments.arguments).exec()).context("the demo")
}
