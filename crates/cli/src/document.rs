//! Documents, read from files or from standard input.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use libcors_config::{Format, MAX_LEN, NamedPolicy, Outcome, Policies};

use crate::{args::PolicyArgs, failure::Failure, problems, terminal::Terminal};

/// A document with its text, which excerpts are taken from.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
    pub(crate) outcome: Outcome,
}

impl Document {
    /// Reads and checks a document; `-` is standard input.
    pub(crate) fn read(
        path: &Path,
        stdin_name: &str,
    ) -> Result<Document, Failure> {
        if path == Path::new("-") {
            let text = read(io::stdin().lock()).map_err(|error| {
                Failure::Message(format!(
                    "standard input cannot be read: {error}"
                ))
            })?;
            let outcome =
                libcors_config::parse(&text, stdin_name, Format::Auto);
            return Ok(Document { name: stdin_name.to_owned(), text, outcome });
        }
        let name = path.to_string_lossy().into_owned();
        Ok(match File::open(path).and_then(read) {
            Ok(text) => {
                let outcome = libcors_config::parse(&text, &name, Format::Auto);
                Document { name, text, outcome }
            }
            // Fails in the same way, and says so as a diagnostic.
            Err(_) => {
                let outcome = libcors_config::load(path, None, Format::Auto);
                Document { name, text: Vec::new(), outcome }
            }
        })
    }

    /// The policies; or else the problems are printed.
    pub(crate) fn into_policies(
        self,
        terminal: Terminal,
    ) -> Result<Policies, Failure> {
        if self.outcome.policies.is_none() {
            let text = problems::render(&self) + &problems::summary(&[&self]);
            // There is nobody left to tell if this fails.
            drop(terminal.stderr().write_all(text.as_bytes()));
        }
        let status = if self.outcome.unreadable { 2 } else { 1 };
        self.outcome.policies.ok_or(Failure::Said(status))
    }
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    // One byte more than is allowed, so that it is seen to be too much.
    let mut text = Vec::new();
    from.take(MAX_LEN as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// The policy of this name; `file` is where it should be.
pub(crate) fn find<'p>(
    policies: &'p Policies,
    name: &str,
    file: &Path,
) -> Result<&'p NamedPolicy, Failure> {
    policies.get(name).ok_or_else(|| {
        const MOST: usize = 20;
        let mut names: Vec<String> = policies
            .iter()
            .take(MOST)
            .map(|policy| format!("`{}`", policy.name()))
            .collect();
        if policies.len() > MOST {
            names.push(format!("{} more", policies.len() - MOST));
        }
        Failure::Message(format!(
            "{} has no policy `{}`; it has {}",
            file.display(),
            name.escape_debug(),
            names.join(", ")
        ))
    })
}

/// The policies of the document that the arguments name, and the one among them.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    policies: Policies,
    args: &'a PolicyArgs,
}

impl<'a> Chosen<'a> {
    pub(crate) fn load(
        args: &'a PolicyArgs,
        terminal: Terminal,
    ) -> Result<Chosen<'a>, Failure> {
        let document = Document::read(&args.config, "<stdin>")?;
        Ok(Chosen { policies: document.into_policies(terminal)?, args })
    }

    /// The policy; none with `--no-policy`.
    pub(crate) fn policy(
        &self,
    ) -> Result<Option<&libcors_policy::Policy>, Failure> {
        let Some(name) = &self.args.policy else { return Ok(None) };
        find(&self.policies, name, &self.args.config)
            .map(|named| Some(named.policy()))
    }
}
