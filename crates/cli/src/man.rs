//! `cors man`: manual pages, made from the command line.

use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
};

use clap::CommandFactory;
use clap_mangen::Man;

use crate::{
    Status,
    args::{Cli, ManArgs},
    failure::Failure,
};

pub(crate) fn run(args: &ManArgs) -> Status {
    match &args.dir {
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page)?;
            io::stdout().write_all(&page)?;
        }
        Some(dir) => fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
            .map_err(|error| {
                let dir = dir.display();
                Failure::Message(format!(
                    "the pages cannot be written to {dir}: {error}"
                ))
            })?,
    }
    Ok(ExitCode::SUCCESS)
}
