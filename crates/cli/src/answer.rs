//! Decisions as JSON.

use std::borrow::Cow;

use libcors_policy::{Decision, HeaderName, Lines};
use serde::{Serialize, Serializer};

/// A decision, in the order in which its parts are written.
#[derive(Serialize)]
#[serde(bound = "L: Lines<'a>")]
pub(crate) struct Answer<'a, L> {
    kind: &'static str,
    outcome: &'static str,
    reason: &'static str,
    rule: Option<u32>,
    status: Option<u16>,
    headers: Headers<'a, L>,
    remove: Remove<'a, L>,
}

impl<'a, L: Lines<'a>> Answer<'a, L> {
    pub(crate) fn new(decision: Decision<'a, L>) -> Answer<'a, L> {
        Answer {
            kind: decision.kind().as_str(),
            outcome: decision.outcome().as_str(),
            reason: decision.reason().as_str(),
            rule: decision.rule(),
            status: decision.status(),
            headers: Headers(decision),
            remove: Remove(decision),
        }
    }
}

/// The headers to set; `Vary` with the decision's own names is the last.
struct Headers<'a, L>(Decision<'a, L>);

impl<'a, L: Lines<'a>> Serialize for Headers<'a, L> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let set = self
            .0
            .headers()
            .map(|header| (header.name().as_str(), text(header.value())));
        let names: Vec<&str> = self.0.vary().names().collect();
        let vary = match names.is_empty() {
            true => None,
            false => Some(("Vary", Cow::Owned(names.join(", ")))),
        };
        to.collect_seq(set.chain(vary))
    }
}

struct Remove<'a, L>(Decision<'a, L>);

impl<'a, L: Lines<'a>> Serialize for Remove<'a, L> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let owned = |header: &HeaderName| self.0.owns_header(*header);
        let names = HeaderName::ALL.into_iter().filter(owned);
        to.collect_seq(names.map(HeaderName::as_lower_str))
    }
}

/// Bytes as text: each that is not ASCII becomes the character of its number.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}
