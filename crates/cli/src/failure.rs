//! Why a subcommand cannot go on.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::terminal::{ERROR, Terminal};

/// The exit status where something could not be read, found or understood.
const FAILED: u8 = 2;

#[derive(Debug)]
pub(crate) enum Failure {
    /// All was said; this is the exit status.
    Said(u8),
    /// This is to be said.
    Message(String),
    /// The output could not be written.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn report(self, terminal: Terminal) -> ExitCode {
        let message = match self {
            Failure::Said(status) => return ExitCode::from(status),
            // Whoever reads has seen enough.
            Failure::Output(error)
                if error.kind() == io::ErrorKind::BrokenPipe =>
            {
                return ExitCode::SUCCESS;
            }
            Failure::Output(error) => {
                format!("the output cannot be written: {error}")
            }
            Failure::Message(message) => message,
        };
        // There is nobody left to tell if this fails.
        drop(writeln!(terminal.stderr(), "{ERROR}error{ERROR:#}: {message}"));
        ExitCode::from(FAILED)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}
