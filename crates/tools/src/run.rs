//! Running other programs, with errors that say what to do.

use std::{
    env,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output, Stdio},
};

/// Why a command of xtask failed, for people.
#[derive(Debug)]
pub struct Error(String);

/// What commands of xtask return.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// The exit code of a program; prints the error, if there is one.
pub fn exit_code(result: Result) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Error {
    /// An error from its message: what failed, and what to do.
    pub fn new(message: impl Into<String>) -> Error {
        Error(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Fails with a message that is made like that of `format!`.
#[macro_export]
macro_rules! fail {
    ($($arg:tt)*) => {
        return Err($crate::run::Error::new(format!($($arg)*)))
    };
}

/// Adds to an error what was being done.
pub trait Context<T> {
    /// `what` names the thing that failed, such as a file.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error(format!("{what}: {error}")))
    }
}

/// The root of the workspace.
pub fn root() -> PathBuf {
    // Cargo sets the variable for what it runs; the other serves a binary that
    // was copied out of the target folder. Each program of ours is two folders
    // below the root.
    let crate_dir = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    crate_dir.ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        // Cargo takes it as relative to where it is started: the root.
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A command, run from the root of the workspace.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    let mut command =
        command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo told xtask about xtask does not concern what is built, and
    // would make it build again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST")
            || text.starts_with("CARGO_BIN")
        {
            command.env_remove(name);
        }
    }
    command
}

/// Another program of this workspace.
pub fn program(package: &str) -> Command {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", package, "--"]);
    command
}

/// The command as one would type it.
fn describe(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&quote(&argument.to_string_lossy()));
    }
    text
}

/// An argument as one would type it.
pub fn quote(argument: &str) -> String {
    match argument.is_empty() || argument.contains([' ', '$', '\'', '"', '*']) {
        true => format!("'{argument}'"),
        false => argument.to_owned(),
    }
}

fn not_started(command: &Command, error: &std::io::Error) -> Error {
    Error(format!("cannot run `{}`: {error}", describe(command)))
}

/// Runs a command and shows what it prints.
pub fn run(command: &mut Command) -> Result {
    let status =
        command.status().map_err(|error| not_started(command, &error))?;
    if !status.success() {
        fail!("`{}` failed: {status}", describe(command));
    }
    Ok(())
}

/// Runs a command whose output is only of interest if it fails; returns its
/// standard output.
pub fn read(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        fail!(
            "`{}` failed: {}\n{text}{errors}",
            describe(command),
            output.status
        );
    }
    Ok(text)
}

/// Runs a command and returns all of it, success or not.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_started(command, &error))
}

/// Where a program is that can be run by its name, or by its path.
pub fn find(program: impl AsRef<Path>) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Servers live where the PATH of ordinary users does not look.
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(&program))
        .find(|path| path.is_file())
}

/// Whether a program can be run by its name, or by its path.
pub fn exists(program: impl AsRef<Path>) -> bool {
    find(program).is_some()
}

/// Says what is being done.
pub fn say(what: impl fmt::Display) {
    println!("{what}");
}
