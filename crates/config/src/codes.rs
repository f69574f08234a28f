//! The codes of all problems, each with what it means and a pair of documents.

use std::fmt::Write;

use crate::diagnostic::Severity;

/// A kind of problem.
#[derive(Debug)]
#[non_exhaustive]
pub struct Code {
    /// The stable code: `E` for an error, `W` for a warning, and four digits.
    pub id: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it means, why it matters, and how to mend it.
    pub explanation: &'static str,
    /// A document that has the problem.
    pub fails: Example,
    /// A document that just has not.
    pub passes: Example,
}

impl Code {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self.id.starts_with('E') {
            true => Severity::Error,
            false => Severity::Warning,
        }
    }
}

/// A complete document.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Example {
    /// This text.
    Text(&'static str),
    /// What is no short text: a description, and the document.
    Made(&'static str, fn() -> Vec<u8>),
    /// What is not about the document but about its file.
    File(&'static str),
}
