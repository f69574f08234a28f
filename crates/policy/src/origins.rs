//! The set of origins that a policy allows.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use crate::{
    header::Source,
    network::{Network, Networks},
    origin::Origin,
    pattern::TuplePattern,
    table::{ByteMap, Records},
    wildcards::Wildcards,
};

/// An expression that decides on whole origins.
///
/// It is asked about valid tuple origins only, never about `null`, and only if no
/// plain entry of the list matched. It must neither allocate nor lock, and its time
/// must be linear in the origin's length.
pub trait Expression: fmt::Debug + Send + Sync {
    /// Whether the expression matches the whole of `origin`.
    fn is_match(&self, origin: &[u8]) -> bool;

    /// The expression as it was written.
    fn as_str(&self) -> &str;
}

/// All expressions of a policy at once, for a policy that has many.
///
/// It is asked as an [`Expression`] is, and must be as cheap.
pub trait ExpressionSet: fmt::Debug + Send + Sync {
    /// The place of the first expression that matches the whole of `origin`, in the
    /// order in which the expressions were added.
    fn find(&self, origin: &[u8]) -> Option<usize>;
}

/// An expression that several policies run.
impl<E: Expression + ?Sized> Expression for Arc<E> {
    fn is_match(&self, origin: &[u8]) -> bool {
        (**self).is_match(origin)
    }

    fn as_str(&self) -> &str {
        (**self).as_str()
    }
}

/// What a look-up found.
pub(crate) enum Found<'p> {
    /// The entry at `rule` is this very origin, of which `own` is the policy's
    /// copy.
    Exact { rule: u32, own: &'p [u8] },
    /// The entry at `rule` covers the origin.
    Covered { rule: u32 },
    /// The origin is valid, and no entry covers it.
    Valid,
    /// This is no origin.
    Malformed,
}

/// The origins of a list that are neither `*` nor `null`.
#[derive(Debug)]
pub(crate) struct OriginSet {
    exact: ByteMap,
    wildcards: Wildcards,
    networks: Networks,
    /// The lowest rule among those of wildcards and networks.
    lowest: u32,
    expressions: Box<[(u32, Box<dyn Expression>)]>,
    /// The same expressions, where there is a faster way than one by one.
    set: Option<Box<dyn ExpressionSet>>,
}

impl OriginSet {
    /// A set of exact origins, patterns, networks and expressions, each with its
    /// index in the policy's list. `None` if there are too many of them.
    pub(crate) fn new(
        exact: Records,
        patterns: Vec<(u32, TuplePattern)>,
        networks: &[(u32, Network)],
        expressions: Vec<(u32, Box<dyn Expression>)>,
        set: Option<Box<dyn ExpressionSet>>,
    ) -> Option<OriginSet> {
        let wildcards = Wildcards::new(patterns);
        let networks = Networks::new(networks)?;
        Some(OriginSet {
            exact: ByteMap::new(exact)?,
            lowest: wildcards.lowest.min(networks.lowest),
            wildcards,
            networks,
            expressions: expressions.into_boxed_slice(),
            set,
        })
    }

    /// What is found of the origins that most requests come from: of those that are
    /// an entry, and those that one of a few patterns covers. That is the rule, the
    /// origin, and whose bytes it is.
    #[inline(always)]
    pub(crate) fn find_usual<'a>(
        &'a self,
        bytes: &'a [u8],
    ) -> Option<(u32, &'a [u8], Source)> {
        match self.exact.get(bytes) {
            // An entry is valid, so whatever equals it need not be parsed.
            Some((rule, own)) => {
                self.is_first(rule).then_some((rule, own, Source::Fixed))
            }
            // Their hosts are names, so that no network contains them.
            None => {
                let rule = self.wildcards.find_at_once(bytes)?;
                Some((rule, bytes, Source::Origin))
            }
        }
    }

    /// Whether no other plain entry can come before this exact one.
    #[inline(always)]
    fn is_first(&self, rule: u32) -> bool {
        rule <= self.lowest
    }

    /// [`OriginSet::find_usual`] where that takes a handful of instructions, and is an
    /// entry.
    #[inline(always)]
    pub(crate) fn find_at_once(&self, bytes: &[u8]) -> Option<(u32, &[u8])> {
        self.exact.get_at_once(bytes).filter(|(rule, _)| self.is_first(*rule))
    }

    /// Whether there is but one exact origin.
    #[inline(always)]
    pub(crate) fn has_one(&self) -> bool {
        self.exact.has_one()
    }

    /// The entry at `rule`, as it was written.
    pub(crate) fn text(&self, rule: u32) -> Option<&str> {
        let exact =
            self.exact.key_of(rule).and_then(|key| str::from_utf8(key).ok());
        let expression = || {
            let mut all = self.expressions.iter();
            all.find(|(at, _)| *at == rule).map(|(_, e)| e.as_str())
        };
        exact
            .or_else(|| self.wildcards.text(rule))
            .or_else(|| self.networks.text(rule))
            .or_else(expression)
    }

    /// Looks an origin up: the lowest plain entry, else the lowest expression.
    pub(crate) fn find(&self, bytes: &[u8]) -> Found<'_> {
        let exact = self.exact.get(bytes);
        let Some(origin) = Origin::parse(bytes) else {
            return Found::Malformed;
        };
        let limit = exact.map_or(u32::MAX, |(rule, _)| rule);
        let wildcard = self.wildcards.find(&origin, limit);
        let limit = wildcard.unwrap_or(limit);
        let network = self.networks.find(&origin, limit);
        if let Some(rule) = network.or(wildcard) {
            return Found::Covered { rule };
        }
        if let Some((rule, own)) = exact {
            return Found::Exact { rule, own };
        }
        let mut expressions = self.expressions.iter();
        let found = match &self.set {
            Some(set) => {
                set.find(bytes).and_then(|at| self.expressions.get(at))
            }
            None => expressions.find(|(_, e)| e.is_match(bytes)),
        };
        match found {
            Some((rule, _)) => Found::Covered { rule: *rule },
            None => Found::Valid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pattern::OriginPattern, policy::Policy};

    fn set(patterns: &[&str]) -> OriginSet {
        let mut builder = Policy::builder();
        for text in patterns {
            let pattern = OriginPattern::parse(text).unwrap();
            builder = builder.allow_origin(pattern);
        }
        builder.build().unwrap().origins
    }

    fn rule(set: &OriginSet, origin: &str) -> Option<u32> {
        match set.find(origin.as_bytes()) {
            Found::Exact { rule, .. } | Found::Covered { rule } => Some(rule),
            Found::Valid | Found::Malformed => None,
        }
    }

    #[test]
    fn the_lowest_entry_is_the_rule() {
        let set = set(&[
            "https://a.example.com",
            "https://*.example.com",
            "https://b.example.com",
            "https://b*.example.com",
            "https://*.c.example.com:*",
            "http://[::1]:*",
            "https://*.example.com:8443",
        ]);
        assert_eq!(rule(&set, "https://a.example.com"), Some(0));
        assert_eq!(rule(&set, "https://b.example.com"), Some(1));
        assert_eq!(rule(&set, "https://x.y.example.com"), Some(1));
        assert_eq!(rule(&set, "https://x.c.example.com:1"), Some(4));
        assert_eq!(rule(&set, "https://x.c.example.com:8443"), Some(4));
        assert_eq!(rule(&set, "https://x.d.example.com:8443"), Some(6));
        assert_eq!(rule(&set, "https://example.com"), None);
        assert_eq!(rule(&set, "http://a.example.com"), None);
        assert_eq!(rule(&set, "http://[::1]"), Some(5));
        assert_eq!(rule(&set, "http://[::1]:9"), Some(5));
        assert_eq!(rule(&set, "http://[::2]:9"), None);
    }
}
