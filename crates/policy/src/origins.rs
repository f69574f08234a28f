//! The set of origins that a policy allows.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use crate::{
    header::Source,
    origin::{MAX_HOST, MAX_LABEL, Origin, are_labels, is_label_byte},
    pattern::{HostPattern, PortPattern, TuplePattern},
    table::{ByteMap, Index, Records, Rolling, equal, fold, hash},
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
    expressions: Box<[(u32, Box<dyn Expression>)]>,
}

impl OriginSet {
    /// A set of exact origins, patterns and expressions, each with its index in
    /// the policy's list. `None` if there are too many of them.
    pub(crate) fn new(
        exact: Records,
        patterns: Vec<(u32, TuplePattern)>,
        expressions: Vec<(u32, Box<dyn Expression>)>,
    ) -> Option<OriginSet> {
        Some(OriginSet {
            exact: ByteMap::new(exact)?,
            wildcards: Wildcards::new(patterns),
            expressions: expressions.into_boxed_slice(),
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
            None => {
                let rule = self.wildcards.find_at_once(bytes)?;
                Some((rule, bytes, Source::Origin))
            }
        }
    }

    /// Whether no pattern can come before this exact entry.
    #[inline(always)]
    fn is_first(&self, rule: u32) -> bool {
        rule <= self.wildcards.lowest
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
        let wildcard = || {
            let mut patterns = self.wildcards.patterns.iter();
            let found = patterns.find(|wildcard| wildcard.rule == rule);
            found.map(|wildcard| wildcard.pattern.as_str())
        };
        let expression = || {
            let mut all = self.expressions.iter();
            all.find(|(at, _)| *at == rule).map(|(_, e)| e.as_str())
        };
        exact.or_else(wildcard).or_else(expression)
    }

    /// Looks an origin up: the lowest plain entry, else the lowest expression.
    pub(crate) fn find(&self, bytes: &[u8]) -> Found<'_> {
        let exact = self.exact.get(bytes);
        let Some(origin) = Origin::parse(bytes) else {
            return Found::Malformed;
        };
        let limit = exact.map_or(u32::MAX, |(rule, _)| rule);
        if let Some(rule) = self.wildcards.find(&origin, limit) {
            return Found::Covered { rule };
        }
        if let Some((rule, own)) = exact {
            return Found::Exact { rule, own };
        }
        for (rule, expression) in &self.expressions {
            if expression.is_match(bytes) {
                return Found::Covered { rule: *rule };
            }
        }
        Found::Valid
    }
}

/// Patterns with a wildcard, found by hash.
///
/// A look-up walks the origin's host once, from the right. At each dot the hash of
/// what follows is at hand, and asks for `*.example.com`; at the leftmost label it
/// asks for each shape of label wildcard (so many bytes before the `*`, so many
/// after); at the end it asks for the whole host. So the cost is bounded by the
/// host's length and the number of shapes, whatever the number of patterns.
///
/// A few patterns are faster looked at one after the other.
#[derive(Debug)]
struct Wildcards {
    /// The lowest rule first.
    patterns: Box<[Wildcard]>,
    /// The first few of them, as long as they have one port.
    texts: Box<[WildcardText]>,
    index: Index,
    /// The distinct lengths of prefix and suffix of label wildcards.
    shapes: Box<[(usize, usize)]>,
    /// The lowest rule among the patterns.
    lowest: u32,
    /// Whether there are patterns of these forms, to spare look-ups.
    any_port: bool,
    one_port: bool,
    subdomains: bool,
}

/// The most patterns that are looked at one after the other.
const FEW: usize = 8;

#[derive(Debug)]
struct Wildcard {
    rule: u32,
    pattern: TuplePattern,
}

/// A pattern of one port with a wildcard, as the text around its `*`.
#[derive(Debug)]
struct WildcardText {
    rule: u32,
    start: Box<[u8]>,
    end: Box<[u8]>,
    /// Whether the `*` stands for whole labels.
    labels: bool,
    /// The most bytes that the `*` may stand for, so that neither its label nor
    /// the host is too long.
    most: usize,
}

impl WildcardText {
    /// `None` if more has to be looked at than what the `*` stands for.
    fn new(wildcard: &Wildcard) -> Option<WildcardText> {
        let pattern = &wildcard.pattern;
        let (start, end) = pattern.as_str().split_once('*')?;
        let (labels, most) = match pattern.host() {
            _ if pattern.port() == PortPattern::Any => return None,
            HostPattern::Exact(_) => return None,
            HostPattern::Subdomains(name) => {
                (true, MAX_HOST.saturating_sub(1 + name.len()))
            }
            HostPattern::InLabel { prefix, suffix, rest } => {
                let label = prefix.len() + suffix.len();
                // A last label might become a number.
                if rest.len() < 2 || label >= MAX_LABEL {
                    return None;
                }
                let host = MAX_HOST.checked_sub(label + rest.len())?;
                (false, host.min(MAX_LABEL - label))
            }
        };
        Some(WildcardText {
            rule: wildcard.rule,
            start: start.as_bytes().into(),
            end: end.as_bytes().into(),
            labels,
            most,
        })
    }

    #[inline]
    fn covers(&self, bytes: &[u8]) -> bool {
        let Some(rest) = strip_end(bytes, &self.end) else {
            return false;
        };
        let Some((start, middle)) = rest.split_at_checked(self.start.len())
        else {
            return false;
        };
        equal(start, &self.start)
            && middle.len() <= self.most
            && match self.labels {
                true => are_labels(middle),
                false => {
                    !middle.is_empty()
                        && middle.iter().all(|&b| is_label_byte(b))
                }
            }
    }
}

/// What a pattern is looked up by.
#[derive(Clone, Copy)]
struct Key<'k> {
    scheme: &'k [u8],
    host: HostKey<'k>,
    port: PortPattern,
    /// The hash of what stands right of the wildcard, or of the whole host.
    right: u64,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum HostKey<'k> {
    Exact(&'k [u8]),
    Subdomains(&'k [u8]),
    InLabel { prefix: &'k [u8], suffix: &'k [u8], rest: &'k [u8] },
}

impl<'k> Key<'k> {
    fn of(pattern: &'k TuplePattern) -> Key<'k> {
        let host = host_key(pattern);
        let mut right = Rolling::START;
        let fixed = match host {
            HostKey::Exact(name) | HostKey::Subdomains(name) => name,
            HostKey::InLabel { rest, .. } => rest,
        };
        for &byte in fixed.iter().rev() {
            right.push(byte);
        }
        Key {
            scheme: pattern.scheme().as_bytes(),
            host,
            port: pattern.port(),
            right: right.finish(),
        }
    }

    fn hash(&self) -> u64 {
        let port = match self.port {
            PortPattern::Default => 0,
            PortPattern::Number(number) => u64::from(number),
            PortPattern::Any => 1 << 16,
        };
        let (form, label) = match self.host {
            HostKey::Exact(_) => (1, 0),
            HostKey::Subdomains(_) => (2, 0),
            HostKey::InLabel { prefix, suffix, .. } => {
                (3, fold(hash(prefix), hash(suffix).rotate_left(32)))
            }
        };
        let left = hash(self.scheme) ^ label ^ form << 20 ^ port;
        fold(left, self.right)
    }
}

fn host_key(pattern: &TuplePattern) -> HostKey<'_> {
    match pattern.host() {
        HostPattern::Exact(host) => HostKey::Exact(host.as_bytes()),
        HostPattern::Subdomains(name) => HostKey::Subdomains(name.as_bytes()),
        HostPattern::InLabel { prefix, suffix, rest } => HostKey::InLabel {
            prefix: prefix.as_bytes(),
            suffix: suffix.as_bytes(),
            rest: rest.as_bytes(),
        },
    }
}

impl Wildcards {
    /// `patterns` come by their rules, the lowest first.
    fn new(patterns: Vec<(u32, TuplePattern)>) -> Wildcards {
        let patterns: Box<[Wildcard]> = patterns
            .into_iter()
            .map(|(rule, pattern)| Wildcard { rule, pattern })
            .collect();
        let mut shapes = Vec::new();
        for wildcard in &*patterns {
            if let HostPattern::InLabel { prefix, suffix, .. } =
                wildcard.pattern.host()
            {
                shapes.push((prefix.len(), suffix.len()));
            }
        }
        shapes.sort_unstable();
        shapes.dedup();
        let texts = patterns.iter().take(FEW).map_while(WildcardText::new);
        let pattern = |number: u32| {
            patterns.get(number as usize).map(|wildcard| &wildcard.pattern)
        };
        let hashes = || {
            let keys = patterns.iter().map(|w| Key::of(&w.pattern).hash());
            keys.zip(0..)
        };
        let any = |test: fn(&TuplePattern) -> bool| {
            patterns.iter().any(|wildcard| test(&wildcard.pattern))
        };
        Wildcards {
            texts: texts.collect(),
            index: Index::new(patterns.len(), hashes, |a, b| {
                pattern(a) == pattern(b)
            }),
            shapes: shapes.into_boxed_slice(),
            lowest: patterns.first().map_or(u32::MAX, |first| first.rule),
            any_port: any(|p| p.port() == PortPattern::Any),
            one_port: any(|p| p.port() != PortPattern::Any),
            subdomains: any(|p| matches!(p.host(), HostPattern::Subdomains(_))),
            patterns,
        }
    }

    /// The lowest rule whose pattern covers the origin, if it is among the first
    /// few: what a pattern says of an origin need not be parsed again.
    #[inline(never)]
    fn find_at_once(&self, bytes: &[u8]) -> Option<u32> {
        self.texts.iter().find(|text| text.covers(bytes)).map(|text| text.rule)
    }

    /// The lowest rule below `limit` whose pattern covers the origin.
    fn find(&self, origin: &Origin<'_>, limit: u32) -> Option<u32> {
        if self.lowest >= limit {
            return None;
        }
        if self.patterns.len() <= FEW {
            let mut lower =
                self.patterns.iter().take_while(|first| first.rule < limit);
            let found = lower.find(|first| covers(&first.pattern, origin));
            return found.map(|first| first.rule);
        }
        let mut search = Search { wildcards: self, origin, best: limit };
        let host = origin.host();
        let mut right = Rolling::START;
        // What stands right of the leftmost label, with its dot.
        let mut rest = (host.len(), right);
        for (at, &byte) in host.iter().enumerate().rev() {
            if byte == b'.' && self.subdomains {
                // Here the hash is of what follows the dot.
                let name = host.get(at + 1..).unwrap_or_default();
                search.ask(HostKey::Subdomains(name), right);
            }
            right.push(byte);
            if byte == b'.' {
                rest = (at, right);
            }
        }
        search.whole(host, right);
        if let Some((label, tail)) = host.split_at_checked(rest.0) {
            for &(before, after) in &self.shapes {
                if let Some(key) = in_label(label, tail, before, after) {
                    search.ask(key, rest.1);
                }
            }
        }
        search.found(limit)
    }
}

/// Whether a pattern covers an origin.
fn covers(pattern: &TuplePattern, origin: &Origin<'_>) -> bool {
    let port = match pattern.port() {
        PortPattern::Any => true,
        PortPattern::Default => origin.port().is_none(),
        PortPattern::Number(number) => origin.port() == Some(number),
    };
    let host = origin.host();
    port && equal(pattern.scheme().as_bytes(), origin.scheme())
        && match pattern.host() {
            HostPattern::Exact(own) => equal(host, own.as_bytes()),
            HostPattern::Subdomains(name) => strip_end(host, name.as_bytes())
                .is_some_and(|rest| rest.ends_with(b".")),
            HostPattern::InLabel { prefix, suffix, rest } => {
                strip_end(host, rest.as_bytes()).is_some_and(|label| {
                    label.len() > prefix.len() + suffix.len()
                        && label.starts_with(prefix.as_bytes())
                        && label.ends_with(suffix.as_bytes())
                        && !label.contains(&b'.')
                })
            }
        }
}

/// What stands before `end`.
#[inline]
fn strip_end<'h>(host: &'h [u8], end: &[u8]) -> Option<&'h [u8]> {
    let at = host.len().checked_sub(end.len())?;
    let (start, own) = host.split_at_checked(at)?;
    equal(own, end).then_some(start)
}

/// The key of label wildcards with this many bytes before and after the `*`.
fn in_label<'k>(
    label: &'k [u8],
    rest: &'k [u8],
    before: usize,
    after: usize,
) -> Option<HostKey<'k>> {
    // The `*` stands for one byte at least.
    let middle = label.len().checked_sub(before + after)?;
    let (prefix, tail) = label.split_at_checked(before)?;
    let (_, suffix) = tail.split_at_checked(middle)?;
    (middle > 0).then_some(HostKey::InLabel { prefix, suffix, rest })
}

/// One look-up: the origin, and the lowest rule that was found so far.
struct Search<'s> {
    wildcards: &'s Wildcards,
    origin: &'s Origin<'s>,
    best: u32,
}

impl<'s> Search<'s> {
    /// Asks for patterns of this host, with the origin's port or any.
    fn ask(&mut self, host: HostKey<'s>, right: Rolling) {
        if self.wildcards.one_port {
            let port = match self.origin.port() {
                None => PortPattern::Default,
                Some(number) => PortPattern::Number(number),
            };
            self.ask_port(host, right, port);
        }
        if self.wildcards.any_port {
            self.ask_port(host, right, PortPattern::Any);
        }
    }

    /// Asks for patterns of just this host, which all have any port.
    fn whole(&mut self, host: &'s [u8], right: Rolling) {
        if self.wildcards.any_port {
            self.ask_port(HostKey::Exact(host), right, PortPattern::Any);
        }
    }

    fn ask_port(
        &mut self,
        host: HostKey<'s>,
        right: Rolling,
        port: PortPattern,
    ) {
        let key = Key {
            scheme: self.origin.scheme(),
            host,
            port,
            right: right.finish(),
        };
        for candidate in self.wildcards.index.candidates(key.hash()) {
            let patterns = &self.wildcards.patterns;
            let Some(wildcard) = patterns.get(candidate as usize) else {
                continue;
            };
            let pattern = &wildcard.pattern;
            if wildcard.rule < self.best
                && pattern.port() == port
                && pattern.scheme().as_bytes() == key.scheme
                && host_key(pattern) == host
            {
                self.best = wildcard.rule;
            }
        }
    }

    fn found(&self, limit: u32) -> Option<u32> {
        (self.best < limit).then_some(self.best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pattern::OriginPattern, policy::Policy};
    use alloc::{format, string::String};

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

    #[test]
    fn a_label_wildcard_never_leaves_its_label() {
        let set =
            set(&["https://pr-*-x.p.example", "https://v*", "https://*w."]);
        assert_eq!(rule(&set, "https://pr-1-x.p.example"), Some(0));
        assert_eq!(rule(&set, "https://pr--x.p.example"), None);
        assert_eq!(rule(&set, "https://pr-a-b-x.p.example"), Some(0));
        assert_eq!(rule(&set, "https://pr-1.2-x.p.example"), None);
        assert_eq!(rule(&set, "https://a.pr-1-x.p.example"), None);
        assert_eq!(rule(&set, "https://v1"), Some(1));
        assert_eq!(rule(&set, "https://v"), None);
        assert_eq!(rule(&set, "https://v1."), None);
        assert_eq!(rule(&set, "https://1w."), Some(2));
    }

    #[test]
    fn many_patterns_are_all_found() {
        let texts: Vec<String> = (0..3000)
            .map(|i| match i % 3 {
                0 => format!("https://*.t{i}.example"),
                1 => format!("https://p{i}-*.example:*"),
                _ => format!("http://h{i}.example:*"),
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let set = set(&texts);
        for i in 0..3000_u32 {
            let origin = match i % 3 {
                0 => format!("https://a.b.t{i}.example"),
                1 => format!("https://p{i}-z.example:7"),
                _ => format!("http://h{i}.example"),
            };
            assert_eq!(rule(&set, &origin), Some(i), "{origin}");
        }
    }
}
