//! What an entry of `allow_origins` covers, in words and by example.
//!
//! Examples are made up here, and each was put to the engine: none stands on the
//! wrong side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libcors_config::{Flag, Format, NamedPolicy, OriginEntry, PolicySpec};
use libcors_policy::{
    HostPattern, Network, NetworkScheme, Origin, OriginPattern, Outcome,
    Policy, PortPattern, Request, TuplePattern,
};
use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

/// The most examples of one kind.
const MOST: usize = 3;

/// What an entry covers.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Cover {
    pub(crate) words: String,
    /// Origins that the entry covers.
    pub(crate) covered: Vec<String>,
    /// Origins that one might think it covers.
    pub(crate) others: Vec<String>,
}

impl Cover {
    /// What this entry of the policy covers by itself.
    pub(crate) fn of(entry: &OriginEntry, named: &NamedPolicy) -> Cover {
        match entry {
            OriginEntry::Regex { regex } => of_regex(regex),
            OriginEntry::Network { network, scheme, port } => {
                of_network(network, *scheme, *port)
            }
            OriginEntry::Plain(text) => match OriginPattern::parse(text) {
                Ok(OriginPattern::Any) => of_any(named),
                Ok(OriginPattern::Null) => of_null(),
                Ok(OriginPattern::Tuple(tuple)) => of_tuple(&tuple),
                // The document was checked, so this is not reached.
                Err(_) => Cover::default(),
            },
        }
    }

    fn sort(
        words: String,
        policy: Option<&Policy>,
        inside: Vec<String>,
        outside: Vec<String>,
    ) -> Cover {
        let Some(policy) = policy else {
            return Cover { words, ..Cover::default() };
        };
        let pick = |examples: Vec<String>, wanted: bool| {
            let mut picked: Vec<String> = Vec::new();
            for example in examples {
                let known = picked.contains(&example);
                let valid = example == "null"
                    || Origin::parse(example.as_bytes()).is_some();
                if valid && !known && allows(policy, &example) == wanted {
                    picked.push(example);
                }
            }
            picked.truncate(MOST);
            picked
        };
        Cover {
            words,
            covered: pick(inside, true),
            others: pick(outside, false),
        }
    }
}

fn allows(policy: &Policy, origin: &str) -> bool {
    let lines: &[&[u8]] = &[origin.as_bytes()];
    let request = Request { origin: lines, ..Request::new(b"GET") };
    policy.decide(&request).outcome() == Outcome::Allow
}

/// A policy that has this entry alone.
fn alone(pattern: OriginPattern) -> Option<Policy> {
    Policy::builder().allow_origin(pattern).build().ok()
}

fn of_any(named: &NamedPolicy) -> Cover {
    let words = match named.spec().allow_credentials {
        true => {
            "any origin, with credentials: every site may act as the \
                 signed-in user"
        }
        false => "any origin; the answer is `*` for all of them",
    };
    let inside = vec!["https://anyone.example".to_owned(), "null".to_owned()];
    let outside = vec!["null".to_owned()];
    Cover::sort(words.to_owned(), Some(named.policy()), inside, outside)
}

fn of_null() -> Cover {
    let words = "pages without an origin of their own: sandboxed frames, \
                 data: and file: pages, redirects across origins";
    let outside = vec!["https://app.example".to_owned()];
    let policy = alone(OriginPattern::Null);
    Cover::sort(words.to_owned(), policy.as_ref(), Vec::new(), outside)
}

fn of_tuple(tuple: &TuplePattern) -> Cover {
    let scheme = tuple.scheme();
    let secure = match scheme {
        "https" => "http",
        _ => "https",
    };
    let (words, hosts, mut strangers) = hosts(tuple.host());
    let (port, ports, other) = match tuple.port() {
        PortPattern::Any => (", on any port", vec!["", ":8443"], None),
        PortPattern::Default => ("", vec![""], Some(":8443".to_owned())),
        PortPattern::Number(_) => ("", vec![], Some(String::new())),
    };
    let written = match tuple.port() {
        PortPattern::Number(number) => format!(":{number}"),
        _ => String::new(),
    };
    let make = |scheme: &str, host: &str, port: &str| {
        format!("{scheme}://{host}{port}")
    };
    let mut inside = Vec::new();
    for host in &hosts {
        match ports.is_empty() {
            true => inside.push(make(scheme, host, &written)),
            false => {
                inside.extend(ports.iter().map(|p| make(scheme, host, p)));
            }
        }
    }
    let first = hosts.first().cloned().unwrap_or_default();
    let only = tuple.is_exact();
    strangers.push(format!("{first}.evil.example"));
    let mut outside: Vec<String> =
        strangers.iter().map(|host| make(scheme, host, &written)).collect();
    let mut near = vec![make(secure, &first, &written)];
    near.extend(other.map(|other| make(scheme, &first, &other)));
    // There is not room for all: those first that one might expect.
    match only {
        true => outside.splice(..0, near).for_each(drop),
        false => outside.extend(near),
    }
    let words = match only {
        true => "this origin alone".to_owned(),
        false => format!("{scheme}, {words}{port}"),
    };
    let policy = alone(OriginPattern::Tuple(tuple.clone()));
    let mut cover = Cover::sort(words, policy.as_ref(), inside, outside);
    if only {
        // It would repeat the entry.
        cover.covered.clear();
    }
    cover
}

fn of_network(range: &str, scheme: NetworkScheme, port: PortPattern) -> Cover {
    let network = Network::parse_range(range)
        .and_then(|range| Network::new(range, scheme, port));
    // The file was checked, so this is not reached.
    let Ok(network) = network else { return Cover::default() };
    let (first, prefix) = network.range();
    let (last, before, after) = match first {
        IpAddr::V4(v4) => {
            let first = u32::from(v4);
            let last = first | u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let neighbour =
                |n: Option<u32>| n.map(|n| Ipv4Addr::from(n).into());
            (
                Ipv4Addr::from(last).into(),
                neighbour(first.checked_sub(1)),
                neighbour(last.checked_add(1)),
            )
        }
        IpAddr::V6(v6) => {
            let first = u128::from(v6);
            let last =
                first | u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let neighbour =
                |n: Option<u128>| n.map(|n| Ipv6Addr::from(n).into());
            (
                Ipv6Addr::from(last).into(),
                neighbour(first.checked_sub(1)),
                neighbour(last.checked_add(1)),
            )
        }
    };
    let (written, about) = match port {
        PortPattern::Default => (String::new(), String::new()),
        PortPattern::Number(port) => {
            (format!(":{port}"), format!(", on port {port}"))
        }
        PortPattern::Any => (":8080".to_owned(), ", on any port".to_owned()),
    };
    let origin = |scheme: NetworkScheme, address: IpAddr, port: &str| {
        let host = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        format!("{}://{host}{port}", scheme.as_str())
    };
    let other = match scheme {
        NetworkScheme::Http => NetworkScheme::Https,
        NetworkScheme::Https => NetworkScheme::Http,
    };
    let inside =
        vec![origin(scheme, first, &written), origin(scheme, last, &written)];
    let mut outside: Vec<String> = [before, after]
        .into_iter()
        .flatten()
        .map(|address| origin(scheme, address, &written))
        .collect();
    outside.push(origin(other, first, &written));
    outside.push(origin(scheme, first, ":8081"));
    let words =
        format!("{}, addresses {first} to {last}{about}", scheme.as_str());
    let policy = Policy::builder().allow_network(network).build().ok();
    Cover::sort(words, policy.as_ref(), inside, outside)
}

/// The hosts in words, some of them, and some that are none of them.
fn hosts(host: HostPattern<'_>) -> (String, Vec<String>, Vec<String>) {
    match host {
        HostPattern::Exact(host) => (
            format!("the host {host}"),
            vec![host.to_owned()],
            vec![format!("www.{host}")],
        ),
        HostPattern::Any => (
            "all hosts".to_owned(),
            vec!["a".to_owned(), "abc123".to_owned()],
            Vec::new(),
        ),
        HostPattern::Subdomains(name) => (
            format!("all hosts under {name}, at any depth, not {name} itself"),
            vec![format!("a.{name}"), format!("b.a.{name}")],
            vec![name.to_owned(), format!("evil{name}")],
        ),
        HostPattern::InLabel { prefix, suffix, rest } => (
            format!(
                "hosts {prefix}*{suffix}{rest}, where * is one or more of a-z \
                 0-9 - _"
            ),
            ["a", "a-1"]
                .map(|star| format!("{prefix}{star}{suffix}{rest}"))
                .to_vec(),
            vec![
                format!("{prefix}{suffix}{rest}"),
                format!("{prefix}a.b{suffix}{rest}"),
                format!("a.{prefix}a{suffix}{rest}"),
            ],
        ),
    }
}

fn of_regex(regex: &str) -> Cover {
    let words = "whole origins that the expression matches".to_owned();
    let policies = single(regex);
    let policy = policies.as_ref().and_then(|p| p.nth(0)).map(|p| p.policy());
    let Some(hir) = parse(regex) else {
        return Cover { words, ..Cover::default() };
    };
    let inside: Vec<String> = (0..8)
        .map(|variant| {
            let mut text = String::new();
            sample(&hir, variant, &mut text);
            text
        })
        .collect();
    let mut outside = Vec::new();
    let is_covered =
        |text: &&String| policy.is_some_and(|policy| allows(policy, text));
    if let Some((scheme, rest)) =
        inside.iter().find(is_covered).and_then(|text| text.split_once("://"))
    {
        let other = if scheme == "https" { "http" } else { "https" };
        let (host, port) = rest.split_once(':').unwrap_or((rest, ""));
        let colon = if port.is_empty() { "" } else { ":" };
        outside = vec![
            format!("{scheme}://evil{rest}"),
            format!("{scheme}://{host}.evil.example{colon}{port}"),
            format!("{other}://{rest}"),
            format!("{scheme}://{host}:8443"),
        ];
    }
    Cover::sort(words, policy, inside, outside)
}

/// The expression's structure. Origins are ASCII, and so are the examples.
fn parse(regex: &str) -> Option<Hir> {
    let mut builder = ParserBuilder::new();
    builder.unicode(false).utf8(false).build().parse(regex).ok()
}

/// The policies of a document that has this expression alone.
fn single(regex: &str) -> Option<libcors_config::Policies> {
    let mut spec = PolicySpec::default();
    let regex = regex.to_owned();
    spec.allow_origins = vec![OriginEntry::Regex { regex }];
    spec.dangerously_allow = vec![Flag::UnboundedRegex];
    let spec = serde_json::to_value(spec).ok()?;
    let text = serde_json::json!({ "policy": { "one": spec } }).to_string();
    libcors_config::parse(text.as_bytes(), "", Format::Json).policies
}

/// Appends a text that the expression matches, if no look-around forbids it.
fn sample(hir: &Hir, variant: usize, text: &mut String) {
    // Longer than any origin.
    if text.len() > 400 {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => {
            *text += &String::from_utf8_lossy(&literal.0);
        }
        HirKind::Class(class) => {
            let wanted = match variant % 2 {
                0 => "amz059",
                _ => "b1yca0",
            };
            let mut chars = wanted.chars();
            let has = |c: &char| match class {
                Class::Unicode(class) => {
                    class.iter().any(|r| (r.start()..=r.end()).contains(c))
                }
                Class::Bytes(class) => class.iter().any(|r| {
                    u8::try_from(*c)
                        .is_ok_and(|b| (r.start()..=r.end()).contains(&b))
                }),
            };
            let first = || match class {
                Class::Unicode(class) => class.iter().next().map(|r| r.start()),
                Class::Bytes(class) => {
                    class.iter().next().map(|r| char::from(r.start()))
                }
            };
            text.extend(chars.find(has).or_else(first));
        }
        HirKind::Repetition(repetition) => {
            let least = repetition.min.max(u32::from(variant < 4));
            let more = least + u32::from(variant % 4 == 1) * 2;
            let count = repetition.max.map_or(more, |max| more.min(max));
            for _ in 0..count.min(400) {
                sample(&repetition.sub, variant, text);
            }
        }
        HirKind::Capture(capture) => sample(&capture.sub, variant, text),
        HirKind::Concat(parts) => {
            for part in parts {
                sample(part, variant, text);
            }
        }
        HirKind::Alternation(parts) => {
            if let Some(part) = parts.get(variant % parts.len().max(1)) {
                sample(part, variant, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(regex: &str) -> Vec<String> {
        let hir = parse(regex).unwrap();
        let sample = |variant| {
            let mut text = String::new();
            sample(&hir, variant, &mut text);
            text
        };
        (0..4).map(sample).collect()
    }

    #[test]
    fn samples_follow_the_expression() {
        assert_eq!(
            samples(r"https://(pr|rel)-[0-9]+\.x\.org(:\d{4})?"),
            [
                "https://pr-0.x.org:0000",
                "https://rel-111.x.org:1111",
                "https://pr-0.x.org:0000",
                "https://rel-1.x.org:1111",
            ]
        );
        // Longer than an origin is long enough.
        let long = samples("(((a{100}){100}){100}){100}");
        assert!(long.iter().all(|text| text.len() < 1000));
    }

    #[test]
    fn no_example_stands_on_the_wrong_side() {
        for (entry, covered, others) in [
            (
                "https://a.example",
                "",
                "http://a.example https://a.example:8443 \
                 https://www.a.example",
            ),
            ("http://[::1]:81", "", "https://[::1]:81 http://[::1]"),
            (
                "https://*.a.example:8443",
                "https://a.a.example:8443 https://b.a.a.example:8443",
                "https://a.example:8443 https://evila.example:8443 \
                 https://a.a.example.evil.example:8443",
            ),
            (
                "app://x-*",
                "app://x-a app://x-a-1",
                "app://x- app://x-a.b app://a.x-a",
            ),
        ] {
            let Ok(OriginPattern::Tuple(tuple)) = OriginPattern::parse(entry)
            else {
                panic!("{entry}");
            };
            let cover = of_tuple(&tuple);
            assert_eq!(cover.covered.join(" "), covered, "{entry}");
            assert_eq!(cover.others.join(" "), others, "{entry}");
        }
    }
}
