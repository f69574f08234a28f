//! In the place of regular expressions, where they are not built in: there is none.

use std::{ops::Range, sync::Arc};

use libcors_policy::{Expression, ExpressionSet};

use crate::codes::{self, Id};

/// The code of all that is wrong with an expression.
pub(crate) static CODE: &Id = &codes::REGEX_ABSENT;

#[derive(Debug)]
pub(crate) enum Compiled {}

#[derive(Debug)]
pub(crate) enum Unbounded {}

#[derive(Debug, Default)]
pub(crate) struct Budget;

#[derive(Debug)]
pub(crate) struct RegexError {
    pub(crate) message: String,
    pub(crate) range: Option<Range<usize>>,
    pub(crate) hint: Option<String>,
}

/// There are no expressions to be joined.
pub(crate) fn union(_: &[Arc<Compiled>]) -> Option<Compiled> {
    None
}

impl ExpressionSet for Compiled {
    fn find(&self, _: &[u8]) -> Option<usize> {
        match *self {}
    }
}

pub(crate) fn compile(_: &str, _: &mut Budget) -> Result<Compiled, RegexError> {
    Err(RegexError {
        message: "this library was built without regular expressions"
            .to_owned(),
        range: None,
        hint: Some(
            "write the origins out, or use a library built with the feature \
             `regex`"
                .to_owned(),
        ),
    })
}

impl Compiled {
    pub(crate) fn unbounded(&self) -> Option<&Unbounded> {
        match *self {}
    }

    pub(crate) fn insecure(&self) -> Option<&str> {
        match *self {}
    }

    pub(crate) fn empty(&self) -> Option<&str> {
        match *self {}
    }
}

impl Unbounded {
    pub(crate) fn origin(&self) -> &str {
        match *self {}
    }

    pub(crate) fn why(&self) -> &str {
        match *self {}
    }
}

impl Expression for Compiled {
    fn is_match(&self, _: &[u8]) -> bool {
        match *self {}
    }

    fn as_str(&self) -> &str {
        match *self {}
    }
}
