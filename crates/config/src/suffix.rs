//! Public suffixes: names under which anyone can get a name.

use libcors_policy::{HostPattern, TuplePattern};
use psl::Psl;

/// The public suffix that a pattern's wildcard stands right under. Empty if the
/// wildcard stands in a top-level domain itself.
///
/// The scheme does not matter: wherever a pattern has a wildcard its host is a
/// name.
pub(crate) fn exposed(pattern: &TuplePattern) -> Option<&str> {
    let name = match pattern.host() {
        HostPattern::Exact(_) => return None,
        HostPattern::Subdomains(name) => name,
        HostPattern::InLabel { rest, .. } => {
            rest.strip_prefix('.').unwrap_or(rest)
        }
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    is_public(name).then_some(name)
}

fn is_public(name: &str) -> bool {
    if name == "localhost" {
        return false;
    }
    // Where a rule of the list has a wildcard, every name right under this one is
    // a public suffix, which is worse.
    name.is_empty() || is_suffix(name) || is_suffix(&format!("a.{name}"))
}

/// Whether this is a public suffix; a name without a dot that is not on the list
/// counts as one.
fn is_suffix(name: &str) -> bool {
    psl::List
        .suffix(name.as_bytes())
        .is_some_and(|suffix| suffix.as_bytes() == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use libcors_policy::OriginPattern;

    fn of(text: &str) -> Option<String> {
        match OriginPattern::parse(text) {
            Ok(OriginPattern::Tuple(tuple)) => {
                exposed(&tuple).map(str::to_owned)
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn finds_wildcards_under_public_suffixes() {
        for (text, suffix) in [
            ("https://*.com", "com"),
            ("https://*.com.:*", "com"),
            ("http://*.co.uk", "co.uk"),
            ("https://*.github.io", "github.io"),
            ("https://x-*.vercel.app", "vercel.app"),
            ("https://*example.com", "com"),
            ("https://pr-*", ""),
            ("https://*w.", ""),
            ("https://*.intranet", "intranet"),
            ("https://*.kawasaki.jp", "kawasaki.jp"),
            ("https://*.a.kawasaki.jp", "a.kawasaki.jp"),
            ("https://*.xn--p1ai", "xn--p1ai"),
            ("app://*.com", "com"),
        ] {
            assert_eq!(of(text).as_deref(), Some(suffix), "{text}");
        }
        for text in [
            "https://example.com",
            "http://localhost:*",
            "http://*.localhost",
            "http://*.localhost.",
            "http://x-*.localhost:*",
            "https://*.example.com",
            "https://*.me.github.io",
            "https://*.city.kawasaki.jp",
            "https://pr-*.team.vercel.app",
            "https://*.corp.intranet",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
