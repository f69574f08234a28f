//! The answers that a policy can give, all of them known when it is compiled.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    decision::{Kind, Outcome, Owned},
    header::Source,
    reason::Reason,
    settings::Disallowed,
    vary::Vary,
};

/// An answer, but for what differs from one request to the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// What the request is.
    pub kind: Kind,
    /// What was decided.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The status to answer with at once; `None` if the application answers.
    pub status: Option<u16>,
    /// The names to merge into the response's `Vary`.
    pub vary: Vary,
    /// The number of the header list.
    pub variant: u8,
    pub(crate) owned: Owned,
}

impl Answer {
    /// The headers to remove from the response, as bits: `1 << number`.
    pub fn owned_bits(&self) -> u16 {
        self.owned.0
    }

    /// Gives nothing, not even a reason.
    pub(crate) const CLOSED: Answer = Answer {
        kind: Kind::None,
        outcome: Outcome::Deny,
        reason: Reason::NoPolicy,
        status: None,
        vary: Vary::ORIGIN,
        variant: 0,
        owned: Owned::CORS,
    };
}

/// Which of its answers a policy gives to a request, and what differs from one
/// request to the next.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Decided<'a> {
    /// The number of the answer among [`Policy::answers`].
    ///
    /// [`Policy::answers`]: crate::Policy::answers
    pub answer: u8,
    /// The entry of the policy's list of origins that covers the origin, or
    /// [`Decided::NO_RULE`].
    pub rule: u32,
    /// The allowed origin, else empty.
    pub origin: &'a [u8],
    /// Whose bytes it is.
    pub origin_source: Source,
}

impl Decided<'_> {
    /// No entry covers the origin.
    pub const NO_RULE: u32 = u32::MAX;
}

/// Which parts of a preflight's header list are there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PreflightParts {
    pub(crate) private_network: bool,
    pub(crate) methods: bool,
    pub(crate) headers: bool,
}

impl PreflightParts {
    pub(crate) const COUNT: usize = 8;

    pub(crate) fn all() -> impl Iterator<Item = PreflightParts> {
        (0..PreflightParts::COUNT).map(|bits| PreflightParts {
            private_network: bits & 1 != 0,
            methods: bits & 2 != 0,
            headers: bits & 4 != 0,
        })
    }

    #[inline]
    pub(crate) fn number(self) -> usize {
        usize::from(self.private_network)
            | usize::from(self.methods) << 1
            | usize::from(self.headers) << 2
    }
}

/// What the answers of a policy are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The status of a preflight that is denied, and of one that is not.
    pub(crate) preflight_denied: Option<u16>,
    pub(crate) preflight_passed: Option<u16>,
    pub(crate) disallowed: Disallowed,
    pub(crate) websocket: Disallowed,
    pub(crate) vary: Vary,
    pub(crate) vary_preflight: Vary,
    /// The headers to remove: from responses to requests without an `Origin`, and
    /// from all others.
    pub(crate) owned_none: Owned,
    pub(crate) owned: Owned,
    /// The header lists of requests without an `Origin`, and of those that are no
    /// preflight and allowed, or not.
    pub(crate) none: u8,
    pub(crate) allowed: u8,
    pub(crate) denied: u8,
    /// The header list of a preflight from an origin that is not allowed.
    pub(crate) preflight_origin: u8,
    /// Those of a preflight from one that is; `None` where no request gets that
    /// list.
    pub(crate) preflight: [Option<u8>; PreflightParts::COUNT],
}

/// The reasons to answer as the origin alone demands it.
const OF_ORIGIN: [Reason; 5] = [
    Reason::Allowed,
    Reason::SameOrigin,
    Reason::OriginMalformed,
    Reason::OriginNotAllowed,
    Reason::NullOriginNotAllowed,
];

/// The reasons to answer a preflight whose origin is allowed.
const OF_PREFLIGHT: [Reason; 6] = [
    Reason::Allowed,
    Reason::MethodMalformed,
    Reason::MethodNotAllowed,
    Reason::HeadersMalformed,
    Reason::HeaderNotAllowed,
    Reason::HeadersTooLarge,
];

const REASONS: usize = Reason::ALL.len() + 1;

/// All answers of a policy, and where they stand.
#[derive(Debug)]
pub(crate) struct Answers {
    /// The first is for what cannot be.
    all: Box<[Answer]>,
    no_origin: u8,
    preflight: u8,
    of_origin: [u8; Kind::ALL.len() * REASONS],
    of_preflight: [u8; REASONS * PreflightParts::COUNT],
}

impl Answers {
    pub(crate) fn new(rules: &Rules) -> Answers {
        let mut all = vec![Answer::CLOSED];
        let no_origin = Answer {
            kind: Kind::None,
            outcome: Outcome::None,
            reason: Reason::NotCors,
            status: None,
            vary: rules.vary,
            variant: rules.none,
            owned: rules.owned_none,
        };
        let no_origin = number(&mut all, no_origin);
        let mut of_origin = [0; _];
        for kind in [Kind::Actual, Kind::Preflight, Kind::WebSocket] {
            for reason in OF_ORIGIN {
                let answer = rules.of_origin(kind, reason);
                // Preflights that are allowed have more to ask.
                let reached =
                    kind != Kind::Preflight || reason != Reason::Allowed;
                if let Some(slot) = of_origin.get_mut(at_origin(kind, reason))
                    && reached
                {
                    *slot = number(&mut all, answer);
                }
            }
        }
        let mut of_preflight = [0; _];
        for reason in OF_PREFLIGHT {
            for parts in PreflightParts::all() {
                let variant = rules.preflight.get(parts.number());
                if let Some(&Some(variant)) = variant
                    && let Some(slot) =
                        of_preflight.get_mut(at_preflight(reason, parts))
                {
                    let answer = rules.of_preflight(reason, variant);
                    *slot = number(&mut all, answer);
                }
            }
        }
        let parts = PreflightParts {
            private_network: false,
            methods: true,
            headers: true,
        };
        let preflight = of_preflight.get(at_preflight(Reason::Allowed, parts));
        Answers {
            all: all.into_boxed_slice(),
            no_origin,
            preflight: preflight.copied().unwrap_or_default(),
            of_origin,
            of_preflight,
        }
    }

    /// All of them, by their numbers.
    pub(crate) fn all(&self) -> &[Answer] {
        &self.all
    }

    #[inline]
    pub(crate) fn no_origin(&self) -> u8 {
        self.no_origin
    }

    /// The answer to a preflight that is allowed all it asks for, and does not ask
    /// for private-network access.
    #[inline]
    pub(crate) fn preflight(&self) -> u8 {
        self.preflight
    }

    /// The answer that the origin alone demands.
    #[inline]
    pub(crate) fn of_origin(&self, kind: Kind, reason: Reason) -> u8 {
        let at = at_origin(kind, reason);
        self.of_origin.get(at).copied().unwrap_or_default()
    }

    /// The answer to a preflight whose origin is allowed.
    #[inline]
    pub(crate) fn of_preflight(
        &self,
        reason: Reason,
        parts: PreflightParts,
    ) -> u8 {
        let at = at_preflight(reason, parts);
        self.of_preflight.get(at).copied().unwrap_or_default()
    }
}

#[inline]
fn at_origin(kind: Kind, reason: Reason) -> usize {
    kind as usize * REASONS + reason as usize
}

#[inline]
fn at_preflight(reason: Reason, parts: PreflightParts) -> usize {
    reason as usize * PreflightParts::COUNT + parts.number()
}

/// The number of this answer, which is added if it is new. There are at most 64.
fn number(all: &mut Vec<Answer>, answer: Answer) -> u8 {
    let known = all.iter().position(|other| *other == answer);
    let number = known.unwrap_or_else(|| {
        all.push(answer);
        all.len() - 1
    });
    number as u8
}

impl Rules {
    /// Those of a policy that changes no response.
    pub(crate) const REPORT: Rules = Rules {
        preflight_denied: None,
        preflight_passed: None,
        disallowed: Disallowed::Pass,
        websocket: Disallowed::Pass,
        vary: Vary::NONE,
        vary_preflight: Vary::NONE,
        owned_none: Owned::NOTHING,
        owned: Owned::NOTHING,
        none: 0,
        allowed: 0,
        denied: 0,
        preflight_origin: 0,
        preflight: [Some(0); _],
    };

    fn of_origin(&self, kind: Kind, reason: Reason) -> Answer {
        let outcome = reason.outcome(kind).unwrap_or(Outcome::Deny);
        let reject = self.disallowed == Disallowed::Reject
            || kind == Kind::WebSocket && self.websocket == Disallowed::Reject;
        Answer {
            kind,
            outcome,
            reason,
            status: match kind {
                Kind::Preflight => self.preflight_status(outcome),
                _ => (reject && outcome == Outcome::Deny).then_some(403),
            },
            vary: self.vary,
            variant: match (kind, outcome) {
                (Kind::Preflight, _) => self.preflight_origin,
                (_, Outcome::Allow) => self.allowed,
                _ => self.denied,
            },
            owned: self.owned,
        }
    }

    fn of_preflight(&self, reason: Reason, variant: u8) -> Answer {
        let kind = Kind::Preflight;
        let outcome = reason.outcome(kind).unwrap_or(Outcome::Deny);
        Answer {
            kind,
            outcome,
            reason,
            status: self.preflight_status(outcome),
            vary: self.vary_preflight,
            variant,
            owned: self.owned,
        }
    }

    fn preflight_status(&self, outcome: Outcome) -> Option<u16> {
        match outcome {
            Outcome::Deny => self.preflight_denied,
            _ => self.preflight_passed,
        }
    }
}
