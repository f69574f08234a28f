//! Patterns with a wildcard, found by hash.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    origin::{
        MAX_HOST, MAX_LABEL, Origin, are_labels, is_http, is_label_byte,
        is_name, is_opaque_byte,
    },
    pattern::{HostPattern, PortPattern, TuplePattern},
    table::{Index, Rolling, equal, fold, hash},
};

/// Patterns with a wildcard.
///
/// A look-up walks the origin's host once, from the right. At each dot the hash of
/// what follows is at hand, and asks for `*.example.com`; at the leftmost label it
/// asks for each shape of label wildcard (so many bytes before the `*`, so many
/// after); at the end it asks for the whole host. So the cost is bounded by the
/// host's length and the number of shapes, whatever the number of patterns.
///
/// A few patterns are faster looked at one after the other.
#[derive(Debug)]
pub(crate) struct Wildcards {
    /// The lowest rule first.
    patterns: Box<[Wildcard]>,
    /// The first few of them, as long as they have one port.
    texts: Box<[WildcardText]>,
    index: Index,
    /// The distinct lengths of prefix and suffix of label wildcards.
    shapes: Box<[(usize, usize)]>,
    /// The lowest rule among the patterns.
    pub(crate) lowest: u32,
    /// Whether there are patterns of these forms, to spare look-ups.
    any_port: bool,
    one_port: bool,
    subdomains: bool,
    any_host: bool,
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
    middle: Middle,
    /// The most bytes that the `*` may stand for, so that neither its label nor
    /// the host is too long.
    most: usize,
}

/// What a `*` matches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Middle {
    /// Whole labels.
    Labels,
    /// A part of one label.
    PartOfLabel,
    /// An opaque host.
    OpaqueHost,
}

impl Middle {
    fn matches(self, bytes: &[u8]) -> bool {
        match self {
            Middle::Labels => are_labels(bytes),
            Middle::PartOfLabel => {
                !bytes.is_empty() && bytes.iter().all(|&b| is_label_byte(b))
            }
            Middle::OpaqueHost => {
                !bytes.is_empty() && bytes.iter().all(|&b| is_opaque_byte(b))
            }
        }
    }
}

impl WildcardText {
    /// `None` if more has to be looked at than what the `*` stands for.
    fn new(wildcard: &Wildcard) -> Option<WildcardText> {
        let pattern = &wildcard.pattern;
        let (start, end) = pattern.as_str().split_once('*')?;
        let (middle, most) = match pattern.host() {
            _ if pattern.port() == PortPattern::Any => return None,
            HostPattern::Exact(_) => return None,
            HostPattern::Any => (Middle::OpaqueHost, MAX_HOST),
            HostPattern::Subdomains(name) => {
                (Middle::Labels, MAX_HOST.saturating_sub(1 + name.len()))
            }
            HostPattern::InLabel { prefix, suffix, rest } => {
                let label = prefix.len() + suffix.len();
                // A last label might become a number.
                if rest.len() < 2 || label >= MAX_LABEL {
                    return None;
                }
                let host = MAX_HOST.checked_sub(label + rest.len())?;
                (Middle::PartOfLabel, host.min(MAX_LABEL - label))
            }
        };
        Some(WildcardText {
            rule: wildcard.rule,
            start: start.as_bytes().into(),
            end: end.as_bytes().into(),
            middle,
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
            && self.middle.matches(middle)
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
    Any,
    Subdomains(&'k [u8]),
    InLabel { prefix: &'k [u8], suffix: &'k [u8], rest: &'k [u8] },
}

impl<'k> Key<'k> {
    fn of(pattern: &'k TuplePattern) -> Key<'k> {
        let host = host_key(pattern);
        let mut right = Rolling::START;
        let fixed = match host {
            HostKey::Exact(name) | HostKey::Subdomains(name) => name,
            HostKey::Any => b"",
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
            HostKey::Any => (4, 0),
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
        HostPattern::Any => HostKey::Any,
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
    pub(crate) fn new(patterns: Vec<(u32, TuplePattern)>) -> Wildcards {
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
            any_host: any(|p| p.host() == HostPattern::Any),
            patterns,
        }
    }

    /// The pattern at `rule`, as it was written.
    pub(crate) fn text(&self, rule: u32) -> Option<&str> {
        let mut patterns = self.patterns.iter();
        let found = patterns.find(|wildcard| wildcard.rule == rule);
        found.map(|wildcard| wildcard.pattern.as_str())
    }

    /// The lowest rule whose pattern covers the origin, if it is among the first
    /// few: what a pattern says of an origin need not be parsed again.
    #[inline(never)]
    pub(crate) fn find_at_once(&self, bytes: &[u8]) -> Option<u32> {
        self.texts.iter().find(|text| text.covers(bytes)).map(|text| text.rule)
    }

    /// The lowest rule below `limit` whose pattern covers the origin.
    pub(crate) fn find(&self, origin: &Origin<'_>, limit: u32) -> Option<u32> {
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
        if self.any_host && !is_http(origin.scheme()) {
            search.any_host();
        }
        let labels = has_labels(origin);
        let mut right = Rolling::START;
        // What stands right of the leftmost label, with its dot.
        let mut rest = (host.len(), right);
        for (at, &byte) in host.iter().enumerate().rev() {
            if byte == b'.' && self.subdomains && labels {
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
        if let Some((label, tail)) = host.split_at_checked(rest.0)
            && labels
        {
            for &(before, after) in &self.shapes {
                if let Some(key) = in_label(label, tail, before, after) {
                    search.ask(key, rest.1);
                }
            }
        }
        search.found(limit)
    }
}

/// Whether an origin's host is made of labels. That of an app's own scheme need
/// not be, and a wildcard that stands for labels matches nothing else.
fn has_labels(origin: &Origin<'_>) -> bool {
    is_http(origin.scheme()) || is_name(origin.host())
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
            HostPattern::Any => true,
            _ if !has_labels(origin) => false,
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

    /// Asks for the pattern of all hosts of the scheme, which has no port.
    fn any_host(&mut self) {
        if self.origin.port().is_none() {
            let port = PortPattern::Default;
            self.ask_port(HostKey::Any, Rolling::START, port);
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
    use crate::{pattern::OriginPattern, policy::Policy, request::Request};
    use alloc::{format, string::String, vec::Vec};

    fn policy(patterns: &[&str]) -> Policy {
        let mut builder = Policy::builder();
        for text in patterns {
            let pattern = OriginPattern::parse(text).unwrap();
            builder = builder.allow_origin(pattern);
        }
        builder.build().unwrap()
    }

    fn rule(policy: &Policy, origin: &str) -> Option<u32> {
        let lines: &[&[u8]] = &[origin.as_bytes()];
        let mut request = Request::new(b"GET");
        request.origin = lines;
        policy.decide(&request).rule()
    }

    #[test]
    fn a_label_wildcard_never_leaves_its_label() {
        let set =
            policy(&["https://pr-*-x.p.example", "https://v*", "https://*w."]);
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
        let set = policy(&texts);
        for i in 0..3000_u32 {
            let origin = match i % 3 {
                0 => format!("https://a.b.t{i}.example"),
                1 => format!("https://p{i}-z.example:7"),
                _ => format!("http://h{i}.example"),
            };
            assert_eq!(rule(&set, &origin), Some(i), "{origin}");
        }
    }

    #[test]
    fn a_wildcard_for_labels_matches_no_opaque_host() {
        // Few patterns are compared one by one, many are looked up by hash.
        let others: Vec<String> =
            (0..20).map(|i| format!("https://*.t{i}.example:*")).collect();
        for count in [0, 20] {
            let mut patterns = [
                "app://*.a.b",
                "app://x-*.c.d:*",
                "chrome-extension://*",
                "app://*.e",
            ]
            .to_vec();
            patterns.extend(others[..count].iter().map(String::as_str));
            let policy = policy(&patterns);
            for (origin, expected) in [
                ("app://x.a.b", Some(0)),
                ("app://x.y.a.b", Some(0)),
                ("app://.a.b", None),
                ("app://x..a.b", None),
                ("app://x.a.b:1", None),
                ("app://x-1.c.d:9", Some(1)),
                ("app://x-1.c.d", Some(1)),
                ("app://x-.c.d", None),
                ("chrome-extension://abc", Some(2)),
                ("chrome-extension://.", Some(2)),
                ("chrome-extension://abc:1", None),
                ("chrome-extensio://abc", None),
                ("app://z.e", Some(3)),
                ("app://z..e", None),
                ("https://abc", None),
            ] {
                assert_eq!(rule(&policy, origin), expected, "{origin}");
            }
        }
    }
}
