//! What a policy answers to a request.

use core::fmt;

use crate::{
    answers::Answer,
    bytes::{members, trim},
    header::{HeaderName, Source},
    policy::TemplateHeader,
    reason::Reason,
    request::Lines,
    settings::Upstream,
    text::without_nul,
    vary::Vary,
};

/// What a request is, as far as CORS is concerned.
///
/// The numbers are part of the C ABI and never change.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// It has no `Origin`.
    None = 0,
    /// It has an `Origin`, and is none of the others. That does not make it
    /// cross-origin.
    Actual = 1,
    /// It is a CORS-preflight request (Fetch standard, "CORS-preflight fetch").
    Preflight = 2,
    /// It asks for a WebSocket, which browsers do not apply CORS to.
    WebSocket = 3,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Kind; 4] =
        [Kind::None, Kind::Actual, Kind::Preflight, Kind::WebSocket];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        without_nul(self.as_str_with_nul())
    }

    /// The stable name, followed by a NUL.
    pub fn as_str_with_nul(self) -> &'static str {
        match self {
            Kind::None => "none\0",
            Kind::Actual => "actual\0",
            Kind::Preflight => "preflight\0",
            Kind::WebSocket => "websocket\0",
        }
    }
}

/// What was decided.
///
/// The numbers are part of the C ABI and never change.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Outcome {
    /// Nothing was asked: there is no `Origin`, or it is the server's own.
    None = 0,
    /// The policy allows it.
    Allow = 1,
    /// The policy does not allow it.
    Deny = 2,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Outcome; 3] =
        [Outcome::None, Outcome::Allow, Outcome::Deny];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        without_nul(self.as_str_with_nul())
    }

    /// The stable name, followed by a NUL.
    pub fn as_str_with_nul(self) -> &'static str {
        match self {
            Outcome::None => "none\0",
            Outcome::Allow => "allow\0",
            Outcome::Deny => "deny\0",
        }
    }
}

/// The response headers that are removed before those of a decision are set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owned(pub(crate) u16);

impl Owned {
    pub(crate) const NOTHING: Owned = Owned(0);

    /// The names of the CORS protocol, which every policy owns.
    pub(crate) const CORS: Owned = Owned(0b1111_1110);

    pub(crate) fn with(self, header: HeaderName) -> Owned {
        Owned(self.0 | header.bit())
    }
}

/// The answer of a policy to a request, with all that it takes to carry it out.
///
/// Its strings borrow from the policy and, where a header says so, from the
/// request.
#[derive(Clone, Copy)]
pub struct Decision<'a, L = &'a [&'a [u8]]> {
    pub(crate) answer: Answer,
    pub(crate) rule: Option<u32>,
    /// The allowed origin, and whose bytes they are.
    pub(crate) origin: &'a [u8],
    pub(crate) origin_source: Source,
    pub(crate) enforced: bool,
    pub(crate) upstream: Upstream,
    pub(crate) template: &'a [TemplateHeader],
    /// These are read only by templates that echo them.
    pub(crate) method: &'a [u8],
    pub(crate) list: Option<L>,
}

impl<'a, L: Lines<'a>> Decision<'a, L> {
    /// What does not differ from one request to the next.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// What the request is.
    pub fn kind(&self) -> Kind {
        self.answer.kind
    }

    /// What was decided.
    pub fn outcome(&self) -> Outcome {
        self.answer.outcome
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.answer.reason
    }

    /// The entry of the policy's list of origins that covers the origin: the
    /// lowest plain one, else the lowest expression. It stays when a later step
    /// denies.
    pub fn rule(&self) -> Option<u32> {
        self.rule
    }

    /// The status to answer with at once, without a body; `None` if the
    /// application answers.
    pub fn status(&self) -> Option<u16> {
        self.answer.status
    }

    /// The same decision, but answered with 403.
    #[must_use]
    pub fn rejected(self) -> Self {
        let status = Some(403);
        Decision { answer: Answer { status, ..self.answer }, ..self }
    }

    /// Whether the decision is to be carried out; it is not in report mode.
    pub fn enforced(&self) -> bool {
        self.enforced
    }

    /// How the application's own CORS headers are handled.
    pub fn upstream(&self) -> Upstream {
        self.upstream
    }

    /// The number of the header list, for [`Policy::variant`].
    ///
    /// [`Policy::variant`]: crate::Policy::variant
    pub fn variant(&self) -> usize {
        self.answer.variant.into()
    }

    /// The value of headers of [`Source::Origin`], and whose bytes it is.
    #[inline]
    pub fn origin(&self) -> (&'a [u8], Source) {
        (self.origin, self.origin_source)
    }

    /// The names to merge into the response's `Vary`.
    pub fn vary(&self) -> Vary {
        self.answer.vary
    }

    /// Whether the response header of this name, in any case, is to be removed
    /// before those of the decision are set.
    pub fn owns(&self, name: &[u8]) -> bool {
        HeaderName::from_bytes(name)
            .is_some_and(|header| self.owns_header(header))
    }

    /// Whether this response header is to be removed before those of the decision
    /// are set.
    pub fn owns_header(&self, header: HeaderName) -> bool {
        self.answer.owned.0 & header.bit() != 0
    }

    /// The names of all headers that are to be removed, as bits: `1 << number`.
    pub fn owned_bits(&self) -> u16 {
        self.answer.owned.0
    }

    /// Hands every header to set to `visit`, in their order. This is what
    /// [`Decision::headers`] iterates over, and somewhat faster.
    #[inline]
    pub fn visit_headers(&self, mut visit: impl FnMut(DecisionHeader<'a>)) {
        for header in self.template {
            match self.single(header) {
                Some(single) => visit(single),
                None => self.visit_echo(header.name, &mut visit),
            }
        }
    }

    /// What a header of a template becomes; `None` if it stands for the lines of a
    /// list.
    #[inline(always)]
    fn single(&self, header: &'a TemplateHeader) -> Option<DecisionHeader<'a>> {
        let name = header.name;
        let (value, source) = match header.source {
            Source::Fixed => (header.value.as_bytes(), Source::Fixed),
            Source::Origin => self.origin(),
            Source::Method => (self.method, Source::Method),
            Source::HeaderList => return None,
        };
        Some(DecisionHeader { name, value, source })
    }

    /// The line of an echoed list at or after `start` that names anything, and
    /// the place after it.
    fn echo(
        &self,
        name: HeaderName,
        start: usize,
    ) -> Option<(DecisionHeader<'a>, usize)> {
        let list = self.list?;
        let (at, line) = (start..list.count())
            .map(|i| (i, list.line(i)))
            .find(|(_, line)| has_members(line))?;
        let (value, source) = (trim(line), Source::HeaderList);
        Some((DecisionHeader { name, value, source }, at + 1))
    }

    /// One header for each line of a list that names anything.
    #[cold]
    fn visit_echo(
        &self,
        name: HeaderName,
        visit: &mut impl FnMut(DecisionHeader<'a>),
    ) {
        let mut start = 0;
        while let Some((header, next)) = self.echo(name, start) {
            visit(header);
            start = next;
        }
    }

    /// The headers to set, in their order.
    pub fn headers(&self) -> Headers<'a, L> {
        Headers {
            decision: *self,
            template: self.template.iter(),
            next_line: None,
        }
    }
}

impl<'a, L: Lines<'a>> fmt::Debug for Decision<'a, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("answer", &self.answer)
            .field("rule", &self.rule)
            .field("enforced", &self.enforced)
            .finish_non_exhaustive()
    }
}

/// A header of a decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecisionHeader<'a> {
    name: HeaderName,
    value: &'a [u8],
    source: Source,
}

impl<'a> DecisionHeader<'a> {
    /// The name.
    pub fn name(&self) -> HeaderName {
        self.name
    }

    /// The value; it holds no CR, LF or NUL.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Whose bytes the value is.
    ///
    /// The origin of an exact entry is the policy's own copy, so that it is
    /// [`Source::Fixed`] here while [`Policy::variant`] has [`Source::Origin`].
    ///
    /// [`Policy::variant`]: crate::Policy::variant
    pub fn source(&self) -> Source {
        self.source
    }
}

/// The headers of a decision, in the order in which they are set.
#[derive(Clone)]
pub struct Headers<'a, L = &'a [&'a [u8]]> {
    decision: Decision<'a, L>,
    template: core::slice::Iter<'a, TemplateHeader>,
    /// The header that echoes a list, and the line to go on with.
    next_line: Option<(HeaderName, usize)>,
}

/// Whether a line of a list names anything.
pub(crate) fn has_members(line: &[u8]) -> bool {
    members(line).next().is_some()
}

impl<'a, L: Lines<'a>> Iterator for Headers<'a, L> {
    type Item = DecisionHeader<'a>;

    fn next(&mut self) -> Option<DecisionHeader<'a>> {
        loop {
            if let Some((name, start)) = self.next_line.take()
                && let Some((header, next)) = self.decision.echo(name, start)
            {
                self.next_line = Some((name, next));
                return Some(header);
            }
            let header = self.template.next()?;
            match self.decision.single(header) {
                Some(single) => return Some(single),
                None => self.next_line = Some((header.name, 0)),
            }
        }
    }
}

impl<L> fmt::Debug for Headers<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").finish_non_exhaustive()
    }
}
