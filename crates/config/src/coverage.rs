//! Entries of `allow_origins` that others make superfluous.

use std::collections::hash_map::Entry;

use foldhash::{HashMap, HashMapExt};
use libcors_policy::{
    HostPattern, Network, Policy, PortPattern, Request, TuplePattern,
};

use crate::{origins::Origin, reader::Item};

/// An entry that does nothing, by its place among those that were asked about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Covered {
    pub(crate) item: usize,
    /// The entry that makes it superfluous.
    pub(crate) by: usize,
    /// Whether they are equal.
    pub(crate) equal: bool,
}

/// Beyond so many look-ups a list is too unusual to be searched to its end.
const MAX_LOOKUPS: usize = 30_000_000;

/// The entries that others cover, each once, the first of equal ones left out.
///
/// No entry is compared with every other: the engine itself is asked which
/// pattern covers an origin, and a pattern is looked for by what could cover it.
pub(crate) fn find(items: &[Item<Origin<'_>>]) -> Vec<Covered> {
    let mut found = Vec::new();
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(items.len());
    let mut expressions: HashMap<&str, usize> = HashMap::new();
    let mut unique = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let seen = match &item.value {
            Origin::Expression { text, .. } => expressions.entry(text),
            plain => first.entry(plain.as_str()),
        };
        match seen {
            Entry::Vacant(slot) => {
                slot.insert(at);
                unique.push(at);
            }
            Entry::Occupied(slot) => {
                found.push(Covered { item: at, by: *slot.get(), equal: true });
            }
        }
    }

    let wildcard =
        |at: usize| items.get(at).and_then(|item| item.value.wildcard());
    let (wild, exact): (Vec<usize>, Vec<usize>) =
        unique.into_iter().partition(|&at| wildcard(at).is_some());
    let patterns = Patterns::new(wild.iter().filter_map(|&at| {
        let pattern = wildcard(at)?;
        Some((at, pattern))
    }));
    let lookups = items.len().saturating_mul(patterns.shapes.len().max(1));
    if lookups > MAX_LOOKUPS {
        return found;
    }
    for &at in &wild {
        if let Some(by) = wildcard(at).and_then(|p| patterns.covering(p)) {
            found.push(Covered { item: at, by, equal: false });
        }
    }
    covered_networks(items, &exact, &mut found);
    covered_origins(items, &exact, &wild, &mut found);
    found.sort_unstable_by_key(|covered| covered.item);
    found
}

/// Finds the networks that others contain.
fn covered_networks(
    items: &[Item<Origin<'_>>],
    others: &[usize],
    found: &mut Vec<Covered>,
) {
    let network = |at: usize| match items.get(at).map(|item| &item.value) {
        Some(Origin::Network { network, .. }) => Some(*network),
        _ => None,
    };
    let networks: HashMap<Network, usize> =
        others.iter().filter_map(|&at| Some((network(at)?, at))).collect();
    let mut prefixes: Vec<u8> =
        networks.keys().map(|network| network.range().1).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    for (own, &at) in &networks {
        let wider = prefixes.iter().flat_map(|&prefix| {
            let wider = own.widen(prefix);
            let any = wider.map(|wider| wider.with_port(PortPattern::Any));
            [wider, any]
        });
        let by = wider
            .flatten()
            .filter(|wider| wider != own)
            .find_map(|wider| networks.get(&wider));
        if let Some(&by) = by {
            found.push(Covered { item: at, by, equal: false });
        }
    }
}

/// Finds the exact origins that a pattern or an expression covers.
fn covered_origins(
    items: &[Item<Origin<'_>>],
    exact: &[usize],
    wild: &[usize],
    found: &mut Vec<Covered>,
) {
    let mut builder = Policy::builder();
    let mut rules = Vec::new();
    for &at in wild {
        if let Some(Origin::Pattern(pattern)) = items.get(at).map(|i| &i.value)
        {
            builder = builder.allow_origin(pattern.clone());
            rules.push(at);
        }
    }
    for &at in exact {
        builder = match items.get(at).map(|i| &i.value) {
            Some(Origin::Network { network, .. }) => {
                builder.allow_network(*network)
            }
            Some(Origin::Expression { compiled, .. }) => {
                builder.allow_expression(Box::new(compiled.clone()))
            }
            _ => continue,
        };
        rules.push(at);
    }
    if rules.is_empty() {
        return;
    }
    let Ok(policy) = builder.build() else { return };
    for &at in exact {
        let Some(Origin::Exact(origin)) = items.get(at).map(|i| &i.value)
        else {
            continue;
        };
        let lines = [origin.as_str().as_bytes()];
        let mut request = Request::new(b"GET");
        request.origin = &lines;
        let rule = policy.decide(&request).rule();
        if let Some(&by) = rule.and_then(|rule| rules.get(rule as usize)) {
            found.push(Covered { item: at, by, equal: false });
        }
    }
}

/// The hosts that a pattern covers, to be looked up by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum HostKey<'p> {
    Exact(&'p str),
    Any,
    Subdomains(&'p str),
    InLabel(&'p str, &'p str, &'p str),
}

/// The ports that a pattern covers; `None` is the default port.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum PortKey {
    One(Option<u16>),
    Any,
}

type Key<'p> = (&'p str, HostKey<'p>, PortKey);

/// Patterns with a wildcard.
struct Patterns<'p> {
    index: HashMap<Key<'p>, usize>,
    /// The distinct lengths of what stands before and after a `*` in a label.
    shapes: Vec<(usize, usize)>,
}

impl<'p> Patterns<'p> {
    fn new(
        patterns: impl Iterator<Item = (usize, &'p TuplePattern)>,
    ) -> Patterns<'p> {
        let mut index = HashMap::new();
        let mut shapes = Vec::new();
        for (at, pattern) in patterns {
            if let HostPattern::InLabel { prefix, suffix, .. } = pattern.host()
            {
                shapes.push((prefix.len(), suffix.len()));
                if shapes.len() > 10_000 {
                    shapes.sort_unstable();
                    shapes.dedup();
                }
            }
            index.insert(key(pattern), at);
        }
        shapes.sort_unstable();
        shapes.dedup();
        Patterns { index, shapes }
    }

    /// A pattern that covers all of this one, and is not this one.
    fn covering(&self, pattern: &TuplePattern) -> Option<usize> {
        let (scheme, host, port) = key(pattern);
        let ask = |asked: HostKey<'_>| {
            let any = match (asked == host, port) {
                // That would be the pattern itself.
                (true, PortKey::Any) => None,
                _ => self.index.get(&(scheme, asked, PortKey::Any)),
            };
            let same = match asked == host {
                true => None,
                false => self.index.get(&(scheme, asked, port)),
            };
            any.or(same).copied()
        };
        if host != HostKey::Any
            && let Some(by) = ask(HostKey::Any)
        {
            return Some(by);
        }
        match host {
            HostKey::Any => None,
            HostKey::Exact(name) => {
                let found = ask(host).or_else(|| ask_parents(name, &ask));
                found.or_else(|| {
                    let (label, rest) = split_label(name);
                    self.ask_shapes(label, rest, &ask)
                })
            }
            HostKey::Subdomains(name) => {
                ask(host).or_else(|| ask_parents(name, &ask))
            }
            HostKey::InLabel(prefix, suffix, rest) => {
                let found = ask(host).or_else(|| match rest.get(1..) {
                    Some(name) if !name.is_empty() => {
                        ask(HostKey::Subdomains(name))
                            .or_else(|| ask_parents(name, &ask))
                    }
                    _ => None,
                });
                found.or_else(|| self.ask_label(prefix, suffix, rest, &ask))
            }
        }
    }

    /// Asks for label wildcards that cover a whole label.
    fn ask_shapes(
        &self,
        label: &str,
        rest: &str,
        ask: &impl Fn(HostKey<'_>) -> Option<usize>,
    ) -> Option<usize> {
        self.shapes.iter().find_map(|&(before, after)| {
            // The wildcard stands for one byte at least.
            if before + after >= label.len() {
                return None;
            }
            let prefix = label.get(..before)?;
            let suffix = label.get(label.len() - after..)?;
            ask(HostKey::InLabel(prefix, suffix, rest))
        })
    }

    /// Asks for label wildcards that are wider than this one.
    fn ask_label(
        &self,
        prefix: &str,
        suffix: &str,
        rest: &str,
        ask: &impl Fn(HostKey<'_>) -> Option<usize>,
    ) -> Option<usize> {
        self.shapes.iter().find_map(|&(before, after)| {
            let prefix = prefix.get(..before)?;
            let suffix = suffix.get(suffix.len().checked_sub(after)?..)?;
            ask(HostKey::InLabel(prefix, suffix, rest))
        })
    }
}

/// Asks for the subdomains of every name that this one stands under.
fn ask_parents(
    name: &str,
    ask: &impl Fn(HostKey<'_>) -> Option<usize>,
) -> Option<usize> {
    name.match_indices('.').find_map(|(dot, _)| {
        let parent = name.get(dot + 1..)?;
        ask(HostKey::Subdomains(parent))
    })
}

/// The leftmost label, and the rest with its dot.
fn split_label(host: &str) -> (&str, &str) {
    host.split_at(host.find('.').unwrap_or(host.len()))
}

fn key(pattern: &TuplePattern) -> Key<'_> {
    let host = match pattern.host() {
        HostPattern::Exact(host) => HostKey::Exact(host),
        HostPattern::Any => HostKey::Any,
        HostPattern::Subdomains(name) => HostKey::Subdomains(name),
        HostPattern::InLabel { prefix, suffix, rest } => {
            HostKey::InLabel(prefix, suffix, rest)
        }
    };
    let port = match pattern.port() {
        PortPattern::Default => PortKey::One(None),
        PortPattern::Number(number) => PortKey::One(Some(number)),
        PortPattern::Any => PortKey::Any,
    };
    (pattern.scheme(), host, port)
}

#[cfg(test)]
mod tests {
    use libcors_policy::{ExactOrigin, OriginPattern};

    use super::*;
    use crate::source::Span;

    fn items<'t>(texts: &[&'t str]) -> Vec<Item<Origin<'t>>> {
        let item = |(index, text): (usize, &&'t str)| {
            let value = match ExactOrigin::parse(text) {
                Some(origin) => Origin::Exact(origin),
                None => Origin::Pattern(OriginPattern::parse(text).unwrap()),
            };
            Item { span: Span::START, index, value }
        };
        texts.iter().enumerate().map(item).collect()
    }

    #[test]
    fn finds_what_is_covered_and_nothing_else() {
        let texts = [
            "https://*.example.com",
            "https://a.example.com",
            "https://*.a.example.com",
            "https://pr-*.example.com",
            "https://example.com",
            "http://a.example.com",
            "https://*.example.com:8443",
            "https://a.example.com:8443",
            "https://*.other.net:*",
            "https://*.other.net",
            "https://x.other.net:*",
            "https://pr-*-x.third.org",
            "https://pr-a*-x.third.org",
            "https://pr-a-x.third.org:*",
            "https://pr-ab-x.third.org",
            "https://a.example.com",
            "http://localhost:*",
            "http://localhost:3000",
            "null",
        ];
        let found: Vec<(usize, usize, bool)> = find(&items(&texts))
            .iter()
            .map(|c| (c.item, c.by, c.equal))
            .collect();
        assert_eq!(
            found,
            [
                (1, 0, false),
                (2, 0, false),
                (3, 0, false),
                (7, 6, false),
                (9, 8, false),
                (10, 8, false),
                (12, 11, false),
                (14, 11, false),
                (15, 1, true),
                (17, 16, false),
            ]
        );
    }

    #[test]
    fn agrees_with_the_engine() {
        let texts: Vec<String> = (0..400)
            .map(|i| {
                let label = ["a", "*.a", "b*", "*.b.a", "*b", "ab*ab"][i % 6];
                let name = ["x.org", "a.x.org", "b.a.x.org"][i / 6 % 3];
                let port = ["", ":*", ":81"][i / 18 % 3];
                format!("https://{label}.{name}{port}")
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let items = items(&texts);
        for covered in find(&items) {
            // A host that only the covered entry's shape can have.
            let sample = texts[covered.item]
                .replacen(":*", ":82", 1)
                .replacen('*', "zz", 1);
            let by = OriginPattern::parse(texts[covered.by]).unwrap();
            let policy = Policy::builder().allow_origin(by).build().unwrap();
            let lines = [sample.as_bytes()];
            let mut request = Request::new(b"GET");
            request.origin = &lines;
            assert_eq!(policy.decide(&request).rule(), Some(0), "{sample}");
        }
    }
}
