//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Check CORS policy documents, show what they allow, and decide and explain
/// requests by them.
#[derive(Debug, Parser)]
#[command(
    name = "cors",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit status: 0 if all is well, 1 if a document or a line of \
                  input has errors, 2 if something could not be read or the \
                  command line is wrong."
)]
pub(crate) struct Cli {
    /// When to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// In files and pipes, too.
    Always,
    /// Not at all.
    Never,
}

impl Color {
    pub(crate) fn for_clap(self) -> clap::ColorChoice {
        match self {
            Color::Auto => clap::ColorChoice::Auto,
            Color::Always => clap::ColorChoice::Always,
            Color::Never => clap::ColorChoice::Never,
        }
    }
}

/// What `--color` says, for messages about the command line itself.
pub(crate) fn early_color(args: impl Iterator<Item = OsString>) -> Color {
    let mut found = Color::Auto;
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        let value = match arg.to_str() {
            Some("--") => break,
            Some("--color") => args.peek().and_then(|next| next.to_str()),
            Some(arg) => arg.strip_prefix("--color="),
            None => None,
        };
        let value = value.and_then(|value| Color::from_str(value, false).ok());
        found = value.unwrap_or(found);
    }
    found
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find the problems of policy documents.
    ///
    /// All problems are found at once. The exit status is 0 if there is no error,
    /// 1 if there is one, and 2 if a file could not be read.
    Check(CheckArgs),
    /// Print a document with all defaults filled in, and what each rule covers.
    ///
    /// What is printed is a document that means the same.
    Show(ShowArgs),
    /// Print a JSON Schema of policy documents, for editors.
    Schema,
    /// Decide requests: a JSON object a line in, a JSON object a line out.
    ///
    /// Reads requests from standard input, such as {"method": "GET", "headers":
    /// [["Origin", "https://a.example"]]}, and writes a decision for each at once
    /// and in order. Characters from U+0080 to U+00FF stand for single bytes. A
    /// malformed line gives {"error": {"line": N, "message": "..."}} in its place,
    /// and the exit status then is 1.
    Decide(DecideArgs),
    /// Explain step by step what a browser lets a page do, and why.
    ///
    /// Explains the preflight, if a browser sends one for this method and these
    /// headers, and then the request itself.
    Explain(ExplainArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them.
    Man(ManArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The documents, TOML or JSON; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// What to call standard input.
    #[arg(long, value_name = "NAME", default_value = "<stdin>")]
    pub(crate) stdin_name: String,

    /// How to print the problems.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: CheckFormat,

    /// Exit with 1 if there are warnings.
    #[arg(long)]
    pub(crate) deny_warnings: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people.
    Human,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The document, TOML or JSON; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Print this policy alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<String>,

    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "toml")]
    pub(crate) format: ShowFormat,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ShowFormat {
    /// TOML, with comments.
    Toml,
    /// JSON.
    Json,
}

/// The policy that requests are decided by.
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// The document, TOML or JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,

    /// The policy's name.
    #[arg(long, value_name = "NAME", required_unless_present = "no_policy")]
    pub(crate) policy: Option<String>,

    /// Do what a server does where its configuration names a policy that does not
    /// exist: close.
    #[arg(long, conflicts_with = "policy")]
    pub(crate) no_policy: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DecideArgs {
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,

    /// The origin of the page, such as `https://app.example.com`.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: String,

    /// The method of the page's request.
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub(crate) method: String,

    /// A header that the page sets, `Name` or `Name: value`; may be repeated.
    #[arg(long, value_name = "HEADER")]
    pub(crate) header: Vec<String>,

    /// The credentials mode of the page's request.
    #[arg(long, value_name = "MODE")]
    pub(crate) credentials: Option<CredentialsMode>,

    /// The scheme that the request comes by, to tell the site's own origin.
    #[arg(long, value_name = "SCHEME", default_value = "")]
    pub(crate) scheme: String,

    /// The host that the request is sent to, to tell the site's own origin.
    #[arg(long, value_name = "HOST", default_value = "")]
    pub(crate) host: String,

    /// What Sec-Fetch-Site says, to tell the site's own origin.
    #[arg(long, value_name = "SITE", default_value = "")]
    pub(crate) sec_fetch_site: String,

    /// The page opens a WebSocket.
    #[arg(long, conflicts_with_all = ["method", "header"])]
    pub(crate) websocket: bool,

    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: ExplainFormat,

    /// Exit with 1 if the browser blocks the page.
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CredentialsMode {
    /// Cookies and other credentials go with the request.
    Include,
    /// They do not.
    Omit,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people.
    Human,
    /// One JSON object.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write the pages of all subcommands into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn color_is_known_before_the_command_line_is() {
        let color = |args: &[&str]| {
            early_color(args.iter().copied().map(OsString::from)).for_clap()
        };
        assert_eq!(color(&["cors", "--colour"]), clap::ColorChoice::Auto);
        assert_eq!(
            color(&["cors", "--color", "never", "--bad"]),
            clap::ColorChoice::Never
        );
        assert_eq!(
            color(&["cors", "--color=always", "--", "--color=never"]),
            clap::ColorChoice::Always
        );
    }
}
