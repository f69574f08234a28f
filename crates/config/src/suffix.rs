//! Public suffixes: names under which anyone can get a name.

use libcors_policy::{HostPattern, TuplePattern};

/// The rules of the public suffix list, private section included, in the form of
/// sorted hashes of eight bytes each. The crate `psl`, which ships the list,
/// compiles it to code that is eight times as large; a test keeps the two in step.
#[cfg(feature = "public-suffixes")]
static RULES: &[u8] = include_bytes!("suffixes.bin");
#[cfg(not(feature = "public-suffixes"))]
static RULES: &[u8] = b"";

/// What a pattern's wildcard is right under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SuffixKind<'p> {
    /// A name that has an owner; or there is no wildcard.
    Owned,
    /// A public suffix; empty if the wildcard stands in a top-level domain itself.
    Public(&'p str),
    /// A name that may be a public suffix, if the list were there to tell.
    Unknown(&'p str),
}

/// What the wildcard of a pattern is right under.
///
/// The scheme does not matter: wherever a pattern has a wildcard its host is a
/// name.
pub(crate) fn under(pattern: &TuplePattern) -> SuffixKind<'_> {
    let name = match pattern.host() {
        HostPattern::Exact(_) | HostPattern::Any => return SuffixKind::Owned,
        HostPattern::Subdomains(name) => name,
        HostPattern::InLabel { rest, .. } => {
            rest.strip_prefix('.').unwrap_or(rest)
        }
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    match is_public(name) {
        true => SuffixKind::Public(name),
        false if cfg!(feature = "public-suffixes") => SuffixKind::Owned,
        false if is_reserved(name) => SuffixKind::Owned,
        false => SuffixKind::Unknown(name),
    }
}

/// The names under which nobody can register another (RFC 2606, RFC 6761, RFC
/// 6762, RFC 8375, and the private-use name of ICANN), `lan` by common use.
const RESERVED: [&str; 8] = [
    "localhost",
    "test",
    "local",
    "lan",
    "internal",
    "home.arpa",
    "invalid",
    "example",
];

/// Whether this is a reserved name, or one under it.
fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| {
        name.strip_suffix(reserved)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn is_public(name: &str) -> bool {
    if is_reserved(name) {
        return false;
    }
    // Where a rule of the list has a wildcard, every name right under this one is
    // a public suffix, which is worse.
    name.is_empty() || is_suffix(name) || is_suffix(&format!("a.{name}"))
}

/// Whether this is a public suffix; a name without a dot that is not on the list
/// counts as one.
fn is_suffix(name: &str) -> bool {
    let Some((_, parent)) = name.split_once('.') else { return true };
    has_rule("", name) || has_rule("*.", parent) && !has_rule("!", name)
}

pub(crate) fn has_rule(sign: &str, name: &str) -> bool {
    has(RULES, sign, name)
}

/// Whether a table of hashes has this name with this sign before it.
pub(crate) fn has(table: &[u8], sign: &str, name: &str) -> bool {
    let (hashes, _) = table.as_chunks::<8>();
    let hash = hash(sign.bytes().chain(name.bytes()));
    hashes.binary_search_by(|h| u64::from_be_bytes(*h).cmp(&hash)).is_ok()
}

/// FNV-1a, with a last step that spreads the bits.
pub(crate) fn hash(rule: impl Iterator<Item = u8>) -> u64 {
    let hash = rule.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use std::{
        env, fs,
        path::{Path, PathBuf},
    };

    use libcors_policy::OriginPattern;
    use psl::Psl;

    use super::*;

    /// Where the crate `psl` lies: the compiler has left a note beside this test,
    /// which names the sources of the crate.
    fn home_of_psl() -> PathBuf {
        let test = env::current_exe().unwrap();
        let mut notes: Vec<PathBuf> = fs::read_dir(test.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with("psl-") && name.ends_with(".d")
            })
            .collect();
        notes.sort_by_key(|path| {
            fs::metadata(path).unwrap().modified().unwrap()
        });
        let note = fs::read_to_string(notes.last().unwrap()).unwrap();
        let source = note
            .split_whitespace()
            .find_map(|word| word.strip_suffix("src/list.rs"));
        PathBuf::from(source.unwrap())
    }

    /// The rules that the crate `psl` ships, in ASCII.
    fn rules() -> Vec<String> {
        let path = home_of_psl().join("data/rules.txt");
        let text = fs::read_to_string(path);
        text.unwrap()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("//"))
            .map(|line| {
                let start = line.rfind(['*', '!']).map_or(0, |at| at + 1);
                let start = match line[start..].starts_with('.') {
                    true => start + 1,
                    false => start,
                };
                let (sign, name) = line.split_at(start);
                assert!(matches!(sign, "" | "*." | "!"), "{line}");
                format!("{sign}{}", idna::domain_to_ascii(name).unwrap())
            })
            .collect()
    }

    /// Run with `UPDATE_SUFFIXES=1` after an update of the crate `psl`.
    #[cfg(feature = "public-suffixes")]
    #[test]
    fn the_rules_are_those_of_the_crate() {
        let rules = rules();
        assert!(rules.len() > 9000);
        let mut hashes: Vec<u64> =
            rules.iter().map(|rule| hash(rule.bytes())).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), rules.len());
        let table: Vec<u8> =
            hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        if env::var_os("UPDATE_SUFFIXES").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"));
            fs::write(path.join("src/suffixes.bin"), &table).unwrap();
        }
        assert!(
            table == RULES,
            "src/suffixes.bin is out of date; run the test with \
             UPDATE_SUFFIXES=1, and then again"
        );
    }

    #[cfg(feature = "public-suffixes")]
    #[test]
    fn agrees_with_the_crate() {
        for rule in rules() {
            let name = rule.trim_start_matches(['*', '!', '.']);
            for front in ["", "a.", "b.a."] {
                let name = format!("{front}{name}");
                let suffix = psl::List.suffix(name.as_bytes()).unwrap();
                let expected = suffix.as_bytes() == name.as_bytes();
                if is_suffix(&name) && !expected {
                    // The crate forgets a wildcard where a longer rule starts
                    // with the same label.
                    let (_, parent) = name.split_once('.').unwrap();
                    assert!(has_rule("*.", parent), "{name}");
                } else {
                    assert_eq!(is_suffix(&name), expected, "{name}");
                }
            }
        }
    }

    fn of(text: &str) -> Option<String> {
        match OriginPattern::parse(text) {
            Ok(OriginPattern::Tuple(tuple)) => match under(&tuple) {
                SuffixKind::Owned => None,
                SuffixKind::Public(name) => Some(name.to_owned()),
                SuffixKind::Unknown(name) => Some(format!("{name}?")),
            },
            other => panic!("{text}: {other:?}"),
        }
    }

    #[cfg(not(feature = "public-suffixes"))]
    #[test]
    fn without_the_list_only_the_plainest_is_known() {
        for (text, name) in [
            ("https://*.com", "com"),
            ("https://*.intranet.", "intranet"),
            ("https://pr-*", ""),
            ("https://*.github.io", "github.io?"),
            ("https://pr-*.example.com:*", "example.com?"),
        ] {
            assert_eq!(of(text).as_deref(), Some(name), "{text}");
        }
        for text in
            ["https://a.b", "http://*.localhost", "http://*.a.localhost"]
        {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[cfg(feature = "public-suffixes")]
    #[test]
    fn finds_wildcards_under_public_suffixes() {
        for (text, suffix) in [
            ("https://*.com", "com"),
            ("https://*.com.:*", "com"),
            ("http://*.co.uk", "co.uk"),
            ("https://*.github.io", "github.io"),
            ("https://x-*.vercel.app", "vercel.app"),
            ("https://*example.com", "com"),
            ("https://*.arpa", "arpa"),
            ("https://*.mylocal", "mylocal"),
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
            "http://*.local:*",
            "https://*.test",
            "https://*.lan.",
            "https://x-*.internal",
            "https://*.home.arpa",
            "https://*.a.home.arpa",
            "app://*",
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
