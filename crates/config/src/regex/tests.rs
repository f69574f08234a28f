use std::collections::{BTreeSet, HashSet};

use libcors_policy::Origin;
use proptest::{prelude::*, sample::select};
use regex_syntax::{
    ParserBuilder,
    hir::{Hir, HirKind, Look},
};

use super::{
    automaton::{Dfa, is_origin_byte},
    grammar::{Place, Rules},
    names, *,
};

/// Compiles an expression as the only one of a document.
fn alone(pattern: &str) -> Result<Compiled, RegexError> {
    compile(pattern, &mut Budget::default())
}

/// What `compile` says about an expression, in one line.
fn verdict(pattern: &str) -> String {
    match alone(pattern) {
        Err(error) => format!("error: {}", error.message),
        Ok(Compiled { empty: Some(empty), .. }) => format!("empty: {empty}"),
        Ok(Compiled { unbounded: None, .. }) => "bounded".to_owned(),
        Ok(compiled @ Compiled { unbounded: Some(_), .. }) => {
            let origin = compiled.unbounded().map(Unbounded::origin).unwrap();
            assert!(Origin::parse(origin.as_bytes()).is_some(), "{pattern}");
            assert!(compiled.is_match(origin.as_bytes()), "{pattern}");
            origin.to_owned()
        }
    }
}

#[test]
fn tells_what_is_bounded() {
    for (pattern, expected) in [
        // What is got wrong most often.
        (r"https://.*example\.com", "https://evilexample.com"),
        (r"https://api.example.com", "https://apixexample.com"),
        (r"https://example\.com.*", "https://example.com.evil.net"),
        (r".*://app\.example\.com", "evil://app.example.com"),
        (r"https?://.*", "https://evil.net"),
        // Plain.
        (r"https://example\.com", "bounded"),
        (r"^https://(.*\.)?example\.com$", "bounded"),
        (r"\Ahttps://(.*\.)?example\.com\z", "bounded"),
        (r"^https://a\.com$|^https://b\.com$", "bounded"),
        (r"^https://a\.com|https://b\.com$", "bounded"),
        (r"^(https?:\/\/(.+\.)?example\.com(:\d{1,5})?)$", "bounded"),
        (r"https://[^.]+\.example\.com", "bounded"),
        (r"https://(a|b)\.example\.(com|net)(:\d+)?", "bounded"),
        (r"https://(foo|bar)\.example\.(com|org)", "bounded"),
        (r"https://(www\.)?example\.com", "bounded"),
        (r"https://example[.]com", "bounded"),
        (r"https://example\x2ecom", "bounded"),
        (r"(?i)https://Example\.COM", "bounded"),
        (r"(?x) https:// (app | api) \.example\.com # ours", "bounded"),
        (r"https://pr-\d+\.preview\.example\.com", "bounded"),
        (r"https://.*-team\.me\.github\.io", "bounded"),
        (r"https://[a-z0-9-]+--site\.me\.netlify\.app", "bounded"),
        (r"https://(a|b)\.com", "bounded"),
        (r"https://app(1|2)\.com", "bounded"),
        (r"https://(example|exam-ple)\.com:(80|8080)", "bounded"),
        (r"https://w{3}\.example\.com", "bounded"),
        // Public suffixes.
        (r"https://example\.co\.uk", "bounded"),
        (r"https://.*\.example\.co\.uk", "bounded"),
        (r"https://.*\.co\.uk", "https://evil.co.uk"),
        (r"https://.*\.github\.io", "https://evil.github.io"),
        (r"https://me\.github\.io", "bounded"),
        (r"https://github\.io", "bounded"),
        (r"https://[a-z]+\.vercel\.app", "https://evil.vercel.app"),
        (r"https://.*--x\.netlify\.app", "https://evil--x.netlify.app"),
        (r"https://.*\.com", "https://evil.com"),
        (r"https://.*\.ck", "https://evil.net.ck"),
        (r"https://.*\.www\.ck", "bounded"),
        (r"https://.*\.city\.kawasaki\.jp", "bounded"),
        (r"https://.*\.kawasaki\.jp", "https://evil.net.kawasaki.jp"),
        (r"https://.*\.windows\.net", "https://evil.blob.core.windows.net"),
        (r"https://[a-z]+\.windows\.net", "https://evil.windows.net"),
        (r"https://(www|api)\.windows\.net", "bounded"),
        (r"https://windows\.net", "bounded"),
        (r"https://.*\.me\.blob\.core\.windows\.net", "bounded"),
        (r"https://.*\.corp\.internal", "bounded"),
        (r"https://.*\.internal", "https://evil.internal"),
        // Dots, anchors, and other slips.
        (r"https://www.example.com", "https://wwwxexample.com"),
        (r"https://example.com", "https://examplexcom"),
        (r"https://.*.example\.com", "https://evilxexample.com"),
        (r"https://.*\.example.com", "https://evil.examplexcom"),
        (r"https://.*\.?example\.com", "https://evilexample.com"),
        (r"https://[a-z.]*example\.com", "https://evilexample.com"),
        (r"https://app-.*\.com", "https://app-evil.com"),
        (r"https://app.*\.example\.com", "bounded"),
        (r"https://(app|.*)example\.com", "https://evilexample.com"),
        (r"https://example\.com(\..*)?", "https://example.com.evil.net"),
        (r"https://example\.[a-z]+", "https://example.evil"),
        (r"https://example\.(com|net|.*)", "https://example.evil.net"),
        (r"https://[a-z]{3}\.com", "https://evi.com"),
        (r"https://[ab]\.com", "https://a.com"),
        (r"https://exampl[ef]\.com", "https://example.com"),
        (r"https://w{3}\.com", "https://www.com"),
        (r"https://(example\.)+com", "https://example.com"),
        (r"https://[^/]+", "https://evil.net"),
        (r"https://\S+", "https://evil.net"),
        (r".*", "https://evil.net"),
        (r".+\.example\.com", "evil://evil.example.com"),
        (r".*example\.com", "https://evilexample.com"),
        (
            r"(.*a){50}",
            "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        // Trailing dots.
        (r"https://example\.com\.?", "bounded"),
        (r"https://example\.com\.", "bounded"),
        (r"https://example\.com.?", "https://example.comx"),
        // Ports.
        (r"https://example\.com:\d+", "bounded"),
        (r"https://example\.com:?.*", "https://example.com.evil.net"),
        (r"https://example\.com(:[0-9]{2,5})?", "bounded"),
        (
            r"https://example\.com:443",
            "empty: no origin matches: browsers leave out the default port",
        ),
        (
            r"http://localhost:80",
            "empty: no origin matches: browsers leave out the default port",
        ),
        (
            r"http://localhost:0\d*",
            "empty: no origin matches: a port is a number from 1 to 65535 without leading zeros",
        ),
        (r"app://localhost:443", "bounded"),
        // Addresses and local names.
        (r"http://127\.0\.0\.1(:\d+)?", "bounded"),
        (r"http://192\.168\.\d+\.\d+", "http://192.168.1.1"),
        (r"http://127\.0\.0\.\d", "http://127.0.0.1"),
        (r"http://10\.(0|1)\.0\.1", "bounded"),
        (r"http://localhost(:\d+)?", "bounded"),
        (r"http://.*\.localhost", "bounded"),
        (r"http://.+localhost", "http://evillocalhost"),
        (r"http://intranet", "bounded"),
        (r"https://\[::1\](:\d+)?", "bounded"),
        (r"https://\[2001:db8::(1|2)\]", "bounded"),
        (r"https://\[.*\]", "https://[::]"),
        (r"https://\[fe80:[0-9a-f:]*\]", "https://[fe80::8080]"),
        (
            r"https://\[0::1\]",
            "empty: no origin matches: this is no IPv6 address as browsers write it",
        ),
        (
            r"https://1\.2\.3\.\d{4}",
            "empty: no origin matches: a host that ends in a number is an IPv4 address of four numbers from 0 to 255",
        ),
        // Schemes.
        (r"capacitor://localhost", "bounded"),
        (r"(https|capacitor|ionic)://localhost", "bounded"),
        (
            r"chrome-extension://[a-p]{32}",
            "chrome-extension://eeileeileeileeileeileeileeileeil",
        ),
        (r"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "bounded"),
        (r"app://.*\.example\.com", "app://evil.example.com"),
        (r"[a-z]+://app\.example\.com", "evil://app.example.com"),
        (r"[a-c]://localhost", "bounded"),
        (r"[a-z]{2}://localhost", "ev://localhost"),
        (r"https?.*://example\.com", "httpsevil://example.com"),
        // Nothing.
        ("", "empty: no origin matches"),
        ("|", "empty: no origin matches"),
        ("()", "empty: no origin matches"),
        ("^$", "empty: no origin matches"),
        ("null", "empty: no origin matches"),
        (r"[a&&b]", "empty: no origin matches"),
        (
            r"example\.com",
            "empty: no origin matches: an origin starts with a scheme and `://`",
        ),
        (
            r"https://Example\.com",
            "empty: no origin matches: browsers send the host in lower case",
        ),
        (
            r"https://example\.com/",
            "empty: no origin matches: an origin has no slash at its end",
        ),
        (
            r"https://example\.com/.*",
            "empty: no origin matches: an origin has no path",
        ),
        (
            r"https://[a-z]{70}\.com",
            "empty: no origin matches: a label of a host has at most 63 bytes",
        ),
        (r"[0-9]+://a", "empty: no origin matches: this is no scheme"),
        // Lengths that count.
        (r"https://[a-z]{64}\.com|https://example\.com", "bounded"),
        (r"https://([a-z]{63}\.){4}com|https://example\.com", "bounded"),
        (r"[a-z]{65}://a|https://example\.com", "bounded"),
        (r"[a-z]{9}://[a-z]{254}|https://example\.com", "bounded"),
        (r"app://\.", "bounded"),
        (r"app://[.]+", "app://."),
    ] {
        assert_eq!(verdict(pattern), expected, "{pattern}");
    }
}

#[test]
fn writes_out_so_many_domains_and_no_more() {
    let all = |count: u32| {
        let names: Vec<String> =
            (0..count).map(|i| format!("{i:x}").replace('0', "y")).collect();
        verdict(&format!(r"https://({})\.com", names.join("|")))
    };
    assert_eq!(all(999), "bounded");
    let pairs =
        |count| verdict(&format!(r"https://{}\.com", "(a|b)".repeat(count)));
    assert_eq!(pairs(9), "bounded");
    assert!(pairs(10).starts_with("https://"));
    assert!(pairs(60).starts_with("https://"));
    let schemes: Vec<String> = (0..65).map(|i| format!("a{i}")).collect();
    let schemes = |count| {
        verdict(&format!("({})://localhost", schemes[..count].join("|")))
    };
    assert_eq!(schemes(64), "bounded");
    assert!(schemes(65).ends_with("://localhost"));
}

#[test]
fn says_why_a_witness_is_wrong() {
    for (pattern, why) in [
        (r"https://.*example\.com", "which anyone could register"),
        (
            r"https://.*\.internal",
            "whose host does not stand written out in it",
        ),
        (r".*://example\.com", "whose scheme it leaves open"),
        (
            r"https://[a-z]+\.windows\.net",
            "and names below `windows.net` are given to anyone who asks",
        ),
    ] {
        let unbounded = alone(pattern).unwrap().unbounded.unwrap();
        assert_eq!(unbounded.why, why, "{pattern}");
    }
}

#[test]
fn finds_insecure_origins() {
    for (pattern, expected) in [
        (r"https?://example\.com", Some("http://example.com")),
        (r"http://.*", Some("http://evil.net")),
        (r"http://10\.0\.0\.1", Some("http://10.0.0.1")),
        (r"http://7\.0\.0\.1", Some("http://7.0.0.1")),
        (r"http://12\d\.0\.0\.1", Some("http://121.0.0.1")),
        (r"http://localhost.*", Some("http://localhost.evil.net")),
        (r"http://\[::(1|2)\]", Some("http://[::2]")),
        (r"(ftp|https)://a\.example", Some("ftp://a.example")),
        (r"[a-z]+://a\.b", Some("http://a.b")),
        (r"https://example\.com", None),
        (r"http://localhost(:\d+)?", None),
        (r"http://(.*\.)?localhost\.?", None),
        (r"http://127\.\d+\.\d+\.\d+", None),
        (r"http://\[::1\]", None),
        (r"(capacitor|https)://localhost", None),
        (r"http://A", None),
    ] {
        let compiled = alone(pattern).unwrap();
        assert_eq!(compiled.insecure.as_deref(), expected, "{pattern}");
    }
}

#[test]
fn refuses_with_a_reason_and_a_place() {
    for (pattern, message, wrong) in [
        (r"https://(?!a).*", "look-around", "(?!"),
        (r"https://(?<=a).*", "look-around", "(?<="),
        (r"https://(a)\1", "backreferences", r"\1"),
        (r"https://(a", "this group is not closed", "("),
        (r"https://a)", "this parenthesis closes no group", ")"),
        (r"https://[a", "this class of characters is not closed", "["),
        (r"https://[^", "this class of characters is not closed", "[^"),
        (r"*.example.com", "nothing stands here that could be repeated", "*"),
        (r"https://a\y", "this escape has no meaning", r"\y"),
        (r"https://a\", "a backslash ends the expression", r"\"),
        (r"https://a$\.com", "an anchor of the end", "$"),
        (r"https://^a\.com", "an anchor of the start", "^"),
        (r"(^a)+", "an anchor of the start", "^"),
        (r"a^$", "an anchor of the start", "^"),
        (r"https://\ba\.com", "assertions of word", r"\b"),
        (r"https://\b{start}a", "assertions of word", r"\b{start}"),
        (r"https://b\u{fc}cher\.de", "this is no", ""),
        ("https://b\u{fc}cher\\.de", "an origin is ASCII", "\u{fc}"),
        (r"https://\p{L}+\.de", "an origin is ASCII", r"\p{L}"),
        (r"https://a{2,1}", "this is no regular expression", "{2,1}"),
        (r"https://[z-a]", "this is no regular expression", "z-a"),
        (r"(?z)a", "this is no regular expression", "z"),
    ] {
        let Err(error) = alone(pattern) else {
            // Escapes of characters above ASCII are for the translator.
            assert!(wrong.is_empty(), "{pattern}");
            continue;
        };
        assert!(error.message.contains(message), "{pattern}: {error:?}");
        if !wrong.is_empty() {
            assert_eq!(&pattern[error.range.unwrap()], wrong, "{pattern}");
        }
    }
}

#[test]
fn refuses_what_is_too_large() {
    for pattern in [
        "(a{1000}){1000}".to_owned(),
        "[ab]*a[ab]{20}".to_owned(),
        "a{4294967295}".to_owned(),
        "(.{0,250}){3}".to_owned(),
        "((((a?){9}){9}){9}){9}".to_owned(),
        ".*a".repeat(1000),
        r"\w+".repeat(1300),
        "a".repeat(1_000_000),
        format!("{}a{}", "(".repeat(2000), ")".repeat(2000)),
        "(".repeat(4000),
        "[".repeat(4000),
    ] {
        let start = std::time::Instant::now();
        assert!(alone(&pattern).is_err());
        assert!(start.elapsed().as_secs() < 10);
    }
}

#[test]
fn a_document_may_not_cost_too_much() {
    let mut budget = Budget::default();
    for _ in 0..1000 {
        let usual = r"^https://(.*\.)?example\.com(:\d+)?$";
        assert!(compile(usual, &mut budget).is_ok());
    }
    let mut budget = Budget::default();
    let mut count = 0;
    while budget.left > 0 {
        assert!(compile("[ab]*a[ab]{20}", &mut budget).is_err());
        count += 1;
    }
    assert_eq!(count, 8);
    assert!(compile(r"https://a\.b", &mut budget).is_err());
}

#[test]
fn accepts_anchors_only_where_they_change_nothing() {
    for (with, without) in [
        (r"^https://a\.b$", r"https://a\.b"),
        (r"(?i)^https://a\.b$", r"https://a\.b"),
        (r"(^https://a\.b$|^https://c\.d$)", r"https://(a\.b|c\.d)"),
        (r"^https://a\.b($|:\d+)", r"https://a\.b(:\d+)?"),
        (r"^https://a\.b(:\d+$)?", r"https://a\.b(:\d+)?"),
        (r"(^|https://)a\.b", r"(https://)?a\.b"),
        (r"^^\Ahttps://a\.b\z$$", r"https://a\.b"),
        (r"(?m)^https://a\.b$", r"https://a\.b"),
    ] {
        let (with, without) = (alone(with).unwrap(), alone(without).unwrap());
        for origin in [
            "",
            "https://a.b",
            "https://a.b:8080",
            "https://c.d",
            "xhttps://a.b",
            "https://a.bx",
            "a.b",
            "\nhttps://a.b",
            "https://a.b\n",
        ] {
            assert_eq!(
                with.is_match(origin.as_bytes()),
                without.is_match(origin.as_bytes()),
                "{with:?} {origin}"
            );
        }
    }
}

#[test]
fn keeps_the_text() {
    let compiled = alone(r"^https://a\.b$").unwrap();
    assert_eq!(compiled.as_str(), r"^https://a\.b$");
    assert!(format!("{compiled:?}").len() < 200);
}

#[test]
fn names_follow_the_list() {
    for (host, name) in [
        ("example.com", "example.com"),
        ("a.b.example.com.", "example.com"),
        ("a.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("me.github.io", "me.github.io"),
        ("x.me.github.io", "me.github.io"),
        ("a.b.c.kawasaki.jp", "b.c.kawasaki.jp"),
        ("a.city.kawasaki.jp", "city.kawasaki.jp"),
        ("x.www.windows.net", "windows.net"),
        ("x.me.blob.core.windows.net", "me.blob.core.windows.net"),
        ("a.b.intranet", "b.intranet"),
        ("intranet", "intranet"),
        ("a.localhost", "localhost"),
        ("1.2.3.4", "1.2.3.4"),
        ("[::1]", "[::1]"),
    ] {
        let found = names::name(host.as_bytes(), true);
        assert_eq!(str::from_utf8(found), Ok(name), "{host}");
        assert_eq!(names::name(host.as_bytes(), false), host.as_bytes());
    }
}

/// All ends of matches of `hir` that start at `from`: slow, and plain to see.
fn naive(hir: &Hir, text: &[u8], from: usize) -> BTreeSet<usize> {
    let one = |is: bool| is.then_some(from + 1).into_iter().collect();
    match hir.kind() {
        HirKind::Empty => BTreeSet::from([from]),
        HirKind::Literal(literal) => {
            let is = text[from..].starts_with(&literal.0);
            is.then_some(from + literal.0.len()).into_iter().collect()
        }
        HirKind::Class(regex_syntax::hir::Class::Bytes(set)) => {
            one(text.get(from).is_some_and(|byte| {
                set.iter().any(|r| (r.start()..=r.end()).contains(byte))
            }))
        }
        HirKind::Class(regex_syntax::hir::Class::Unicode(set)) => {
            one(text.get(from).is_some_and(|&byte| {
                let c = char::from(byte);
                set.iter().any(|r| (r.start()..=r.end()).contains(&c))
            }))
        }
        HirKind::Look(Look::Start) => {
            (from == 0).then_some(from).into_iter().collect()
        }
        HirKind::Look(Look::End) => {
            (from == text.len()).then_some(from).into_iter().collect()
        }
        HirKind::Look(look) => panic!("{look:?}"),
        HirKind::Repetition(repetition) => {
            let mut ends = BTreeSet::new();
            let mut at = BTreeSet::from([from]);
            let mut seen = HashSet::new();
            for count in 0.. {
                if count >= repetition.min {
                    ends.extend(&at);
                }
                let last = repetition.max == Some(count);
                let state = (count.min(repetition.min), at.clone());
                if at.is_empty() || last || !seen.insert(state) {
                    break;
                }
                let step = |&at: &usize| naive(&repetition.sub, text, at);
                at = at.iter().flat_map(step).collect();
            }
            ends
        }
        HirKind::Capture(capture) => naive(&capture.sub, text, from),
        HirKind::Concat(parts) => {
            parts.iter().fold(BTreeSet::from([from]), |at, part| {
                at.iter().flat_map(|&at| naive(part, text, at)).collect()
            })
        }
        HirKind::Alternation(parts) => {
            parts.iter().flat_map(|part| naive(part, text, from)).collect()
        }
    }
}

fn naively_matches(pattern: &str, text: &str) -> bool {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
    let hir = parser.parse(pattern).unwrap();
    naive(&hir, text.as_bytes(), 0).contains(&text.len())
}

/// Parts of expressions, and what they spell. A hole stands for what does not
/// stand for itself alone: `_` if it may have a dot, `!` if not.
const PARTS: &[(&str, &[&str])] = &[
    (r"example", &["example"]),
    (r"app", &["app"]),
    (r"a", &["a"]),
    (r"com", &["com"]),
    (r"co", &["co"]),
    (r"uk", &["uk"]),
    (r"github\.io", &["github.io"]),
    (r"windows\.net", &["windows.net"]),
    (r"blob\.core", &["blob.core"]),
    (r"kawasaki\.jp", &["kawasaki.jp"]),
    (r"localhost", &["localhost"]),
    (r"127\.0\.0", &["127.0.0"]),
    (r"1", &["1"]),
    (r"-", &["-"]),
    (r"\.", &["."]),
    (r"\.", &["."]),
    (r"\.", &["."]),
    (r"\.", &["."]),
    (r"[.]", &["."]),
    (r".", &["."]),
    (r"\.?", &[".", ""]),
    (r".?", &["_", ""]),
    (r".*", &["_", ""]),
    (r".+", &["_"]),
    (r"[^.]+", &["!"]),
    (r"[^.]*", &["!", ""]),
    (r"\w+", &["!"]),
    (r"\d+", &["!"]),
    (r"[a-z.]*", &["_", ""]),
    (r"[ab]", &["!"]),
    (r"[ab]?", &["!", ""]),
    (r"[.-]", &["_"]),
    (r"(a|b)", &["a", "b"]),
    (r"(a|b|)", &["a", "b", ""]),
    (r"(com|net|co\.uk)", &["com", "net", "co.uk"]),
    (r"(\.com|)", &[".com", ""]),
    (r"(example\.)?", &["example.", ""]),
    (r"(.*\.)?", &["_.", ""]),
    (r"(.+\.)*", &["_", ""]),
    (r"(\w+\.)+", &["_"]),
    (r"(app|.*)", &["app", "_", ""]),
    (r"(a\.|b\.){2}", &["_"]),
    (r"p{2}", &["!"]),
    (r"(?i:COM)", &["com"]),
    (r"(x|\.)", &["x", "."]),
    (r"(example\.com|app\.co\.uk)", &["example.com", "app.co.uk"]),
    (r"(example\.com|[a-z]+)", &["example.com", "!"]),
];

const SCHEMES: &[(&str, &[&str])] = &[
    (r"https://", &["https://"]),
    (r"https://", &["https://"]),
    (r"https://", &["https://"]),
    (r"https?://", &["https://", "http://"]),
    (r"http://", &["http://"]),
    (r"(https|app)://", &["https://", "app://"]),
    (r"app://", &["app://"]),
    (r".*://", &["_://"]),
    (r"[a-z]+:[/]{2}", &["_://"]),
    (r".*", &["_", ""]),
];

const ENDS: &[(&str, &[&str])] = &[
    (r"", &[""]),
    (r"", &[""]),
    (r"", &[""]),
    (r"(:\d+)?", &["", ":_"]),
    (r":8080", &[":8080"]),
    (r":.*", &[":_"]),
    (r".*", &["_", ""]),
    (r"\.?", &[".", ""]),
    (r"$", &[""]),
    (r"[0-9:]*", &["_", ""]),
];

type Written = (String, BTreeSet<String>);

fn expression() -> impl Strategy<Value = Written> {
    let host = prop::collection::vec(select(PARTS), 1..8);
    let one = (select(SCHEMES), host, select(ENDS)).prop_map(
        |(scheme, host, end)| {
            let parts = [&[scheme][..], &host, &[end]].concat();
            let pattern = parts.iter().map(|part| part.0).collect();
            let mut spelled = BTreeSet::from([String::new()]);
            for (_, ways) in parts {
                spelled = spelled
                    .iter()
                    .flat_map(|text| {
                        ways.iter().map(move |way| format!("{text}{way}"))
                    })
                    .take(3000)
                    .collect();
            }
            (pattern, spelled)
        },
    );
    (one, expression_branch()).prop_map(|(one, two)| match two {
        None => one,
        Some((pattern, spelled)) => {
            (format!("{}|{pattern}", one.0), &one.1 | &spelled)
        }
    })
}

/// A second branch, now and then.
fn expression_branch() -> impl Strategy<Value = Option<Written>> {
    let branches = [
        (r"https://example\.com", "https://example.com"),
        (r"https://app\.example\.com$", "https://app.example.com"),
        (r"https://.*\.com\.example\.co\.uk", "https://_.com.example.co.uk"),
        (r"http://localhost(:\d+)?", "http://localhost:_"),
        (r"https://a\.com|https://b\.com", "https://a.com https://b.com"),
    ];
    let branch = select(branches.to_vec()).prop_map(|(pattern, spelled)| {
        (pattern.to_owned(), BTreeSet::from([spelled.to_owned()]))
    });
    prop::option::weighted(0.2, branch)
}

/// Whether the name of an origin stands written out, as far as texts tell. Where
/// `whole` is not set, it may be a part of another one.
fn is_written(origin: &str, spelled: &BTreeSet<String>, whole: bool) -> bool {
    let origin = Origin::parse(origin.as_bytes()).unwrap();
    let web = matches!(origin.scheme(), b"http" | b"https");
    let name = str::from_utf8(names::name(origin.host(), web)).unwrap();
    // Holes look like bytes of names, and must not count as such.
    !name.contains('_')
        && spelled.iter().any(|text| {
            text.match_indices(name).any(|(at, _)| {
                let (front, back) = (&text[..at], &text[at + name.len()..]);
                let front = front.chars().next_back();
                let back = back.strip_prefix('.').unwrap_or(back);
                let back = back.chars().next();
                let bounded = front.is_none_or(|c| "./_".contains(c))
                    && back.is_none_or(|c| ":_ ".contains(c));
                !whole || bounded
            })
        })
}

/// Texts that the automaton accepts, found by walking at random.
fn walks(dfa: &Dfa, seed: u64) -> Vec<String> {
    let mut seed = seed | 1;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % below
    };
    let bytes: Vec<u8> = (0..0x80).filter(|&b| is_origin_byte(b)).collect();
    let mut found = Vec::new();
    for _ in 0..60 {
        let mut text = String::new();
        let mut state = dfa.start();
        let prefix = ["", "https://", "http://", "app://"][random(4)];
        if let Some(next) = dfa.walk(state, prefix.bytes()) {
            state = next;
            text.push_str(prefix);
        }
        for _ in 0..60 {
            if dfa.is_end(state) {
                found.push(text.clone());
            }
            let words = [
                "example.com",
                "evil",
                ".com",
                "com",
                "net",
                "co.uk",
                "localhost",
                "github.io",
                "127.0.0.1",
                ".windows.net",
                ".blob.core",
                "a.",
                ":80",
                "kawasaki.jp",
                "a",
                ".",
                "1",
            ];
            let word = words[random(words.len())];
            let next = match random(3) {
                0 => dfa
                    .walk(state, word.bytes())
                    .map(|next| (next, word.to_owned())),
                _ => None,
            };
            let next = next.or_else(|| {
                let start = random(bytes.len());
                let all = bytes[start..].iter().chain(&bytes[..start]);
                all.filter(|&&b| text.contains("://") || b != b'/')
                    .chain(b"/")
                    .find_map(|&b| {
                        let next = dfa.step(state, b)?;
                        Some((next, char::from(b).to_string()))
                    })
            });
            let Some((next, more)) = next else { break };
            state = next;
            text.push_str(&more);
        }
    }
    found
}

/// A text with a byte put in, taken out or changed.
fn mutated(text: &str, at: usize, byte: u8) -> Vec<String> {
    let at = at % (text.len() + 1);
    let (front, back) = text.split_at(at);
    let byte = char::from(byte);
    let mut all = vec![format!("{front}{byte}{back}")];
    if let Some(rest) = back.get(1..) {
        all.push(format!("{front}{byte}{rest}"));
        all.push(format!("{front}{rest}"));
    }
    all
}

fn cases() -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_unbounded_is_called_bounded(
        (pattern, spelled) in expression(),
        seed: u64,
        at: usize,
        byte in select(b"ax.-:/1evil0_".to_vec()),
    ) {
        let compiled = alone(&pattern);
        prop_assume!(compiled.is_ok());
        let compiled = compiled.unwrap();
        let dfa = Dfa::new(&syntax::parse(&pattern).unwrap(), false).unwrap();

        let mut texts = walks(&dfa, seed);
        let near: Vec<String> =
            texts.iter().flat_map(|text| mutated(text, at, byte)).collect();
        texts.extend(near);
        texts.retain(|text| Origin::parse(text.as_bytes()).is_some());
        texts.sort_unstable();
        texts.dedup();
        for text in texts.iter().step_by(1 + texts.len() / 100) {
            prop_assert_eq!(
                compiled.is_match(text.as_bytes()),
                naively_matches(&pattern, text),
                "{} {}", pattern, text
            );
        }
        texts.retain(|text| compiled.is_match(text.as_bytes()));

        let Compiled { unbounded, insecure, empty, .. } = &compiled;
        prop_assert!(empty.is_none() || texts.is_empty(), "{}", pattern);
        if let Some(origin) = insecure {
            prop_assert!(naively_matches(&pattern, origin));
            prop_assert!(origin.starts_with("http:") || origin.starts_with("ftp:"));
            prop_assert!(Origin::parse(origin.as_bytes()).is_some());
        }
        match unbounded {
            Some(Unbounded { origin, why }) => {
                prop_assert!(naively_matches(&pattern, origin));
                prop_assert!(Origin::parse(origin.as_bytes()).is_some());
                let host = why.starts_with("which") || why.contains("host");
                prop_assert!(
                    !host || !is_written(origin, &spelled, true),
                    "{} {}", pattern, origin
                );
            }
            None => {
                for text in &texts {
                    prop_assert!(is_written(text, &spelled, false), "{} {}", pattern, text);
                    prop_assert!(
                        insecure.is_some()
                            || !text.starts_with("http://")
                            || text.contains("localhost")
                            || text.contains("//127."),
                        "{} {}", pattern, text
                    );
                }
            }
        }
    }

    #[test]
    fn the_grammar_is_that_of_the_engine(host in host()) {
        for web in [true, false] {
            let rules = Rules { web, exact: true };
            let mut bytes = host.bytes().rev();
            let place = bytes.try_fold(Place::Start, |at, b| rules.step(at, b));
            let found = place.is_some_and(|place| rules.is_end(place))
                && host.len() <= 253;
            let scheme = if web { "https" } else { "app" };
            let origin = format!("{scheme}://{host}");
            let valid = Origin::parse(origin.as_bytes())
                .is_some_and(|origin| origin.port().is_none());
            prop_assert_eq!(found, valid, "{}", origin);
            let loopback = host
                .parse::<std::net::Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback());
            if web && valid {
                prop_assert_eq!(place.unwrap().is_loopback(), loopback);
            }
        }
    }

    #[test]
    fn ports_are_those_of_the_engine(port in "[0-9]{1,6}|(80|443|6553[0-9])") {
        for scheme in ["http", "https", "app"] {
            let origin = format!("{scheme}://localhost:{port}");
            let compiled = alone(&origin).unwrap();
            let valid = Origin::parse(origin.as_bytes()).is_some();
            prop_assert_eq!(compiled.empty.is_none(), valid, "{}", origin);
        }
    }
}

/// Hosts, and what is nearly one.
fn host() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("0".to_owned()),
        1 => Just("00".to_owned()),
        3 => "[0-9a-f]{1,5}",
        2 => Just(String::new()),
    ];
    let ipv6 = prop::collection::vec(piece, 1..10)
        .prop_map(|pieces| format!("[{}]", pieces.join(":")));
    let bits = prop::collection::vec(select(vec![0, 0, 1, 0xab0_u16]), 8);
    let canonical = bits.prop_map(|bits| {
        let bits: [u16; 8] = bits.try_into().unwrap();
        format!("[{}]", std::net::Ipv6Addr::from(bits))
    });
    let label = prop_oneof![
        "[a-z0-9_-]{1,4}",
        "0x[0-9a-f]{0,3}",
        "[0-9]{1,4}",
        Just("127".to_owned()),
        Just("a".repeat(63)),
        Just("1".repeat(64)),
        Just(String::new()),
    ];
    let name =
        prop::collection::vec(label, 1..7).prop_map(|labels| labels.join("."));
    let octets = prop::collection::vec("[0-2]?[0-9]{1,2}|127|0|255", 3..6)
        .prop_map(|octets| octets.join("."));
    prop_oneof![ipv6, canonical, name, octets, "[a-f0-9x.:\\[\\]-]{0,8}"]
}
