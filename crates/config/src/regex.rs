/*!
Regular expressions of origins: compiled, and analysed for what they admit.

An expression is matched against the whole of a valid origin. It is compiled to an
automaton of at most 1 MiB, which is walked once from left to right: nothing is
allocated or locked, and no input makes it slower than linear.

# Syntax

That of the crate `regex`, without Unicode and without assertions. An origin is
lower-case ASCII, so `(?i)` changes nothing, and `\d` is `[0-9]`. Anchors are
accepted where they change nothing, at the ends of the expression or of all its
branches, since people write them: `^https://a\.example$`.

# What is bounded

An expression is bounded if

- it admits at most 64 schemes beside http and https, and
- every valid origin that it admits has a host that lies under one of at most
  1,000 names, each of which stands written out in it.

The *name* of an http or https host is its registrable domain by the list of
public suffixes, its private section included; the whole host if that is no longer
than its public suffix, or is an address; `localhost` for all that is below it. A
dot at the end does not count. With other schemes it is the whole host.

A name is *written out* if a way through the expression spells it with characters
that stand for themselves alone, none of them in a part that may repeat more than
once. So `example\.(com|org)` writes out two names, `(www\.)?example\.com`,
`example[.]com` and `(?i)example\.com` one; `exampl[ef]\.com`, `w{3}\.com` and
`.*\.com` none. An unescaped dot that stands for a dot does not hide a name
(`api.example.com` writes out `example.com`), but what else it lets in does not
stand written out, such as `apixexample.com`.

Where the list of public suffixes has names further down (`blob.core.windows.net`),
no name holds all that is below it, and `.*\.windows\.net` is unbounded. Which
names these are is not known here, so `[a-z]+\.windows\.net` is unbounded as well;
hosts that are spelled out are not.

# How it is decided

On automata, not on the text. The expression is turned into an automaton that reads
from the right, and knows two forms of each byte: as it is, and marked as written
out. Walks over marked bytes yield the names that stand written out; a search over
plain bytes, guided by a grammar of valid origins, then looks for an origin under
any other name. It visits every state that a valid origin leads to, so what it does
not find does not exist. If a limit is reached first, the expression is refused.
*/

use std::{cell::Cell, fmt, ops::Range};

use libcors_policy::Expression;
use regex_syntax::hir::Hir;

use crate::codes::{self, Id};

pub(crate) use self::union::union;
use self::{
    analysis::{Analysis, Subject},
    automaton::{Dfa, Table, marked},
};

mod analysis;
mod automaton;
mod cover;
mod example;
mod grammar;
mod names;
mod schemes;
mod search;
mod syntax;
#[cfg(test)]
mod tests;
mod union;

/// The code of all that is wrong with an expression.
pub(crate) static CODE: &Id = &codes::REGEX;

/// An expression that can be run, and what the analysis found out about it.
#[derive(Debug)]
pub(crate) struct Compiled {
    matcher: Matcher,
    unbounded: Option<Unbounded>,
    insecure: Option<String>,
    empty: Option<String>,
}

impl Compiled {
    /// An origin that the expression admits and that anyone could register, unless
    /// its schemes are finite and its hosts lie under registrable domains that
    /// stand written out in it.
    pub(crate) fn unbounded(&self) -> Option<&Unbounded> {
        self.unbounded.as_ref()
    }

    /// An origin that the expression admits and that is neither secure nor local.
    pub(crate) fn insecure(&self) -> Option<&str> {
        self.insecure.as_deref()
    }

    /// Why no valid origin matches, if none does.
    pub(crate) fn empty(&self) -> Option<&str> {
        self.empty.as_deref()
    }
}

impl Expression for Compiled {
    fn is_match(&self, origin: &[u8]) -> bool {
        self.matcher.table.is_match(origin)
    }

    fn as_str(&self) -> &str {
        &self.matcher.text
    }
}

/// An origin that shows that an expression admits too much.
#[derive(Debug)]
pub(crate) struct Unbounded {
    origin: String,
    why: String,
}

impl Unbounded {
    /// The origin, which is valid, and which the expression admits.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// What is wrong with it, to follow its name in a sentence: "which anyone
    /// could register".
    pub(crate) fn why(&self) -> &str {
        &self.why
    }
}

/// Why an expression is refused.
#[derive(Debug)]
pub(crate) struct RegexError {
    /// What is wrong, in a plain sentence.
    pub(crate) message: String,
    /// The bytes of the expression that are wrong, if it is not all of it.
    pub(crate) range: Option<Range<usize>>,
    /// How to mend it.
    pub(crate) hint: Option<String>,
}

/// What the expressions of one document may cost, taken together. A document of a
/// thousand usual ones is within it, and a hostile one takes a second or two.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
}

/// Counted in bytes: those of the automata, and a share for each state visited.
const BUDGET: usize = 1 << 25;

/// What an expression costs at least.
const LEAST: usize = 1 << 12;

const BYTE: usize = 1 << 6;

const STATE: usize = 1 << 6;

/// What an expression costs that comes to nothing, since its automaton gets too
/// large or its analysis takes too long.
const FAILURE: usize = BUDGET / 8;

impl Budget {
    fn spend(&mut self, cost: usize) {
        self.left = self.left.saturating_sub(cost);
    }
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { left: BUDGET }
    }
}

/// Compiles an expression, as one of several of a document, and analyses it.
pub(crate) fn compile(
    pattern: &str,
    budget: &mut Budget,
) -> Result<Compiled, RegexError> {
    if budget.left == 0 {
        return Err(RegexError {
            message: "the expressions of this document are too complex, \
                      taken together"
                .to_owned(),
            range: None,
            hint: Some("write plain entries where they will do".to_owned()),
        });
    }
    budget.spend(LEAST + pattern.len().min(syntax::MAX_LEN) * BYTE);
    let hir = syntax::parse(pattern)?;
    match analysed(pattern, &hir) {
        Ok((compiled, cost)) => {
            budget.spend(cost);
            Ok(compiled)
        }
        Err(too_complex) => {
            budget.spend(FAILURE);
            Err(too_complex.into())
        }
    }
}

fn analysed(pattern: &str, hir: &Hir) -> Result<(Compiled, usize), TooComplex> {
    let forward = Dfa::new(hir, false).ok_or(TooComplex)?;
    let reverse = Dfa::new(&marked(hir, true), true).ok_or(TooComplex)?;
    let subject = Subject {
        pattern,
        hir,
        forward: &forward,
        reverse: &reverse,
        work: Cell::new(0),
    };
    let Analysis { unbounded, insecure, empty } = subject.analyse()?;
    let cost = forward.memory_usage()
        + reverse.memory_usage()
        + subject.work.get() * STATE;
    let table = Table::new(&forward);
    let matcher = Matcher { text: pattern.into(), table };
    Ok((Compiled { matcher, unbounded, insecure, empty }, cost))
}

/// Occurs when an expression needs too large an automaton, or when the analysis
/// would take too long.
#[derive(Debug)]
struct TooComplex;

impl From<TooComplex> for RegexError {
    fn from(_: TooComplex) -> RegexError {
        RegexError {
            message: "the expression is too complex".to_owned(),
            range: None,
            hint: Some(
                "shorten what repeats, or write several expressions".to_owned(),
            ),
        }
    }
}

/// An expression that runs.
struct Matcher {
    text: Box<str>,
    table: Table,
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Matcher").field(&self.text).finish()
    }
}
