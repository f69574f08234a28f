//! Regular expressions of origins: compiled, and analysed for what they admit.

use std::sync::Arc;

use libcors_policy::Expression;

/// An expression that can be run, and what the analysis found out about it.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Decides on whole origins.
    pub(crate) expression: Box<dyn Expression>,
    /// An origin that the expression admits and that anyone could register, unless
    /// its schemes are finite and its hosts lie under registrable domains that
    /// stand written out in it.
    pub(crate) unbounded: Option<String>,
    /// An origin that the expression admits and that is neither secure nor local.
    pub(crate) insecure: Option<String>,
}

/// Why an expression is refused.
#[derive(Debug)]
pub(crate) struct RegexError {
    /// What is wrong, in a plain sentence.
    pub(crate) message: String,
    /// The bytes of the expression that are wrong, if it is not all of it.
    pub(crate) range: Option<std::ops::Range<usize>>,
    /// How to mend it.
    pub(crate) hint: Option<String>,
}

/// Compiles an expression and analyses it.
pub(crate) fn compile(pattern: &str) -> Result<Compiled, RegexError> {
    let _ = pattern;
    Err(RegexError {
        message: "regular expressions are not available yet".to_owned(),
        range: None,
        hint: None,
    })
}

/// A compiled expression that several policies run.
#[derive(Clone, Debug)]
pub(crate) struct Shared(pub(crate) Arc<Compiled>);

impl Expression for Shared {
    fn is_match(&self, origin: &[u8]) -> bool {
        self.0.expression.is_match(origin)
    }

    fn as_str(&self) -> &str {
        self.0.expression.as_str()
    }
}
