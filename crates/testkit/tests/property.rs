//! The yardstick: a browser lets a script through exactly when the policy permits it.

use std::net::IpAddr;

use libcors_testkit::browser::{
    self, Credentials, Dialect, Response, Rules, Script, is_safelisted_method,
    normalize_method,
};
use libcors_testkit::naive::{self, Answer, Request};
use libcors_testkit::{check, strategy};
use proptest::prelude::*;
use proptest::test_runner::Config;
use toml::{Table, Value};

fn list<'a>(policy: &'a Table, key: &str) -> Vec<&'a str> {
    let array = policy.get(key).and_then(Value::as_array);
    let items = array.into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

fn is(policy: &Table, key: &str, value: impl Into<Value>) -> bool {
    policy.get(key) == Some(&value.into())
}

/// Whether an entry covers an origin known to be valid, by trying every length that each asterisk
/// could stand for.
fn covers(entry: &[u8], origin: &[u8]) -> bool {
    let inside = |bytes: &[u8], dots: bool| {
        let good = |b: &u8| {
            b.is_ascii_alphanumeric()
                || b"-_".contains(b)
                || (dots && *b == b'.')
        };
        !bytes.is_empty() && bytes.iter().all(good)
    };
    if entry == b"/*" {
        return origin
            .strip_prefix(b"/")
            .is_some_and(|host| inside(host, true));
    }
    // Behind a slash and in front of a dot an asterisk is the whole label, and stands for several.
    let (dots, skipped, rest) = match entry {
        [] => return origin.is_empty(),
        b":*" => {
            return origin.is_empty()
                || (origin[0] == b':' && origin.len() > 1);
        }
        [b'/', b'*', rest @ ..]
            if rest.starts_with(b".") && origin.starts_with(b"/") =>
        {
            (true, 1, rest)
        }
        [b'*', rest @ ..] => (false, 0, rest),
        [byte, rest @ ..] => {
            return origin.first() == Some(byte) && covers(rest, &origin[1..]);
        }
    };
    let origin = &origin[skipped..];
    (1..=origin.len())
        .any(|n| inside(&origin[..n], dots) && covers(rest, &origin[n..]))
}

/// Whether the host of an origin consists of labels, as that of a wildcard does.
fn has_labels(origin: &str) -> bool {
    let host = origin.split("://").nth(1).unwrap_or("");
    let host = host.split(':').next().unwrap_or("");
    let host = host.strip_suffix('.').unwrap_or(host);
    host.split('.').all(|label| (1..=63).contains(&label.len()))
}

fn in_network(entry: &Table, origin: &str) -> bool {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap();
    let (base, length) = text("network").split_once('/').unwrap();
    let Some(rest) = origin.strip_prefix(&format!("{}://", text("scheme")))
    else {
        return false;
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (rest, ""),
    };
    let port_fits = match entry.get("port") {
        None => port.is_empty(),
        Some(Value::Integer(number)) => port == number.to_string(),
        Some(_) => true,
    };
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    let (width, base) = number(base.parse().unwrap());
    let Ok(address) = host.trim_matches(['[', ']']).parse() else {
        return false;
    };
    let (its_width, address) = number(address);
    let free: u32 = width - length.parse::<u32>().unwrap();
    let same = (address ^ base).checked_shr(free).unwrap_or(0) == 0;
    port_fits && width == its_width && same
}

fn permits_origin(policy: &Table, origin: &str) -> bool {
    let entries = policy["allow_origins"].as_array().unwrap();
    if entries == &[Value::from("*")] {
        let anonymous = !is(policy, "allow_credentials", true);
        let flag = list(policy, "dangerously_allow").contains(&"null_origin");
        return anonymous || origin != "null" || flag;
    }
    entries.iter().any(|entry| match entry {
        Value::Table(network) => in_network(network, origin),
        entry => {
            let entry = entry.as_str().unwrap();
            let host = entry.strip_suffix(":*").unwrap_or(entry);
            let labels = host.contains('*') && !host.ends_with("/*");
            covers(entry.as_bytes(), origin.as_bytes())
                && (!labels || has_labels(origin))
        }
    })
}

/// Whether a page may see the timings of a response that it asked for without CORS, as an image.
/// Such a request has no `Origin`, so the answer has to name every page that may.
fn permits_timing_without_origin(policy: &Table, origin: &str) -> bool {
    if is(policy, "timing_allow_origin", "*") {
        return true;
    }
    let mut entries = list(policy, "allow_origins");
    let all = policy["allow_origins"].as_array().unwrap().len();
    if entries == ["*"] {
        return is(policy, "timing_allow_origin", true)
            && !is(policy, "allow_credentials", true);
    }
    let exact = entries.len() == all
        && entries.iter().all(|e| *e != "null" && !e.contains('*'));
    entries.sort();
    entries.dedup();
    let length: usize = entries.iter().map(|e| e.len() + 2).sum();
    is(policy, "timing_allow_origin", true)
        && exact
        && length.saturating_sub(2) <= 1024
        && entries.contains(&origin)
}

fn permits(policy: &Table, script: &Script) -> bool {
    let origin = std::str::from_utf8(&script.origin).unwrap();
    let method = String::from_utf8(normalize_method(&script.method)).unwrap();
    let methods = list(policy, "allow_methods");
    let headers = list(policy, "allow_headers");
    let method_permitted =
        ["GET", "HEAD", "POST", "*"].iter().any(|m| *m == method && *m != "*")
            || methods == ["*"]
            || methods.contains(&method.as_str());
    let header_permitted = script.headers.iter().all(|header| {
        let name = String::from_utf8(header.name.to_ascii_lowercase()).unwrap();
        let listed = headers.iter().any(|h| h.to_ascii_lowercase() == name);
        let safe = ["accept", "content-type"].contains(&name.as_str())
            && !header.unusual_value;
        let any = headers.contains(&"*") && name != "authorization";
        safe || listed || any
    });
    !is(policy, "mode", "report")
        && permits_origin(policy, origin)
        && method_permitted
        && header_permitted
        && (script.credentials == Credentials::Omit
            || is(policy, "allow_credentials", true))
}

/// The script against a server that runs the naive engine in front of an application that answers
/// 200 to everything and knows no CORS.
fn let_through(
    policy: &Table,
    script: &Script,
    dialect: Dialect,
    rules: Rules,
) -> bool {
    let serve = |method: &[u8], lines: &[(Vec<u8>, Vec<u8>)]| -> Response {
        let request = Request::new(method, lines);
        check::response(&naive::answer(Some(policy), &request).unwrap())
    };
    let fetch = script.fetch().unwrap();
    if let Some(preflight) = script.preflight(dialect) {
        let response = serve(&preflight.method, &preflight.lines);
        if browser::preflight_check(&fetch, &response, rules).is_err() {
            return false;
        }
    }
    let lines = [(b"Origin".to_vec(), fetch.origin.clone())];
    let response = serve(&fetch.method, &lines);
    browser::cors_check(&fetch.origin, fetch.credentials, &response).is_ok()
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn a_browser_lets_through_what_the_policy_permits(
        (policy, mut script) in strategy::policy_and_script()
    ) {
        // By the letter of the standard, a preflight forced for a method that needs one anyway is
        // passed by silence.
        script.forced &= is_safelisted_method(&normalize_method(&script.method));
        let expected = permits(&policy, &script);
        for dialect in [Dialect::Chromium, Dialect::Firefox] {
            for rules in [Rules::FETCH, Rules::SHIPPED] {
                let found = let_through(&policy, &script, dialect, rules);
                prop_assert_eq!(found, expected, "{:?} {:?} {:?}", script, dialect, rules);
            }
        }
    }

    #[test]
    fn answers_are_sound((policy, request) in strategy::policy_and_request()) {
        let answer: Answer = naive::answer(Some(&policy), &request).unwrap();
        let count = |name: &str| answer.headers.iter().filter(|(n, _)| n == name).count();
        let acao = answer.headers.iter().find(|(n, _)| n == "Access-Control-Allow-Origin");
        prop_assert!(count("Access-Control-Allow-Origin") <= 1);
        prop_assert!(count("Access-Control-Allow-Headers") <= 8);
        for (name, value) in &answer.headers {
            prop_assert!(!value.is_empty(), "{} is empty", name);
            prop_assert!(
                value.iter().all(|b| (b' '..0x7f).contains(b) || *b == b'\t'),
                "{} holds a control byte", name
            );
        }
        let constant = is(&policy, "constant_origin", true);
        if let Some((_, value)) = acao {
            let own = constant.then(|| list(&policy, "allow_origins")[0].as_bytes());
            prop_assert!(
                value == b"*" || request.origin == [value.clone()] || own == Some(value)
            );
            let credentials = count("Access-Control-Allow-Credentials") == 1;
            prop_assert!(value != b"*" || !credentials);
        }
        if !answer.enforced {
            prop_assert!(answer.headers.is_empty() && answer.vary.is_empty());
            prop_assert!(answer.remove.is_empty() && answer.status.is_none());
        }
    }

    #[test]
    fn a_browser_shows_timings_where_the_policy_permits_it(
        (policy, script) in strategy::policy_and_script()
    ) {
        let shows = |lines: &[(&str, &[u8])]| {
            let request = Request::new(b"GET", lines);
            let answer = naive::answer(Some(&policy), &request).unwrap();
            browser::timing_check(&script.origin, &check::response(&answer))
        };
        let origin = std::str::from_utf8(&script.origin).unwrap();
        let enforced = !is(&policy, "mode", "report");
        let by_list = enforced && permits_timing_without_origin(&policy, origin);
        prop_assert_eq!(shows(&[]), by_list);
        let asked_for = enforced && is(&policy, "timing_allow_origin", true);
        prop_assert_eq!(
            shows(&[("Origin", &script.origin)]),
            by_list || (asked_for && permits_origin(&policy, origin))
        );
    }

    #[test]
    fn an_answer_differs_by_origin_only_where_vary_says_so(
        ((policy, request), other) in strategy::policy_and_request().prop_flat_map(|pair| {
            let other = strategy::origin(&pair.0);
            (Just(pair), prop::option::of(other))
        })
    ) {
        let other = Request { origin: other.into_iter().collect(), ..request.clone() };
        let [one, two] = [&request, &other].map(|request| {
            naive::answer(Some(&policy), request).unwrap()
        });
        // No cache keeps the answer to a preflight, and a refusal needs no header to be one.
        let cached = one.kind != "preflight" && two.kind != "preflight";
        if cached && one.enforced && !one.vary.contains(&"Origin") {
            prop_assert_eq!(&one.headers, &two.headers);
            prop_assert_eq!(&one.vary, &two.vary);
        }
    }

    #[test]
    fn documents_hold_the_policy(policy in strategy::policy()) {
        let document: Table = toml::from_str(&strategy::document(&policy)).unwrap();
        prop_assert_eq!(naive::effective(&document, "p"), Some(policy));
    }
}

/// Were the strategies to miss what they are for, the properties would hold of nothing.
#[test]
fn the_strategies_reach_everything() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use std::collections::BTreeMap;

    let mut runner = TestRunner::deterministic();
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut scripts = [0, 0];
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..4000 {
        let tree =
            strategy::policy_and_request().new_tree(&mut runner).unwrap();
        let (policy, request) = tree.current();
        let answer = naive::answer(Some(&policy), &request).unwrap();
        *reasons.entry((answer.kind, answer.reason)).or_default() += 1;
        let value = |name: &str| {
            let mut lines = answer.headers.iter();
            lines.find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
        };
        let entry = answer.rule.map(|rule| {
            policy["allow_origins"].as_array().unwrap()[rule as usize].clone()
        });
        let text = entry.as_ref().and_then(Value::as_str).unwrap_or("");
        let constant = is(&policy, "constant_origin", true)
            && value("Access-Control-Allow-Origin").is_some();
        let timing = value("Timing-Allow-Origin").unwrap_or_default();
        let session = request.protocol.as_deref() == Some(b"webtransport");
        for (name, met) in [
            ("a network", entry.as_ref().is_some_and(Value::is_table)),
            ("any host of an app", text.ends_with("://*")),
            ("a wildcard of an app", text.starts_with("app://*.")),
            ("a host without labels", text == "app://."),
            ("constant, no origin", constant && answer.kind == "none"),
            ("constant, denied", constant && answer.outcome == "deny"),
            (
                "constant, same origin",
                constant && answer.reason == "same_origin",
            ),
            ("a list of timing", timing.contains(&b',')),
            ("a long list of timing", timing.len() > 1000),
            (
                "timing for all, denied",
                timing == b"*" && answer.outcome == "deny",
            ),
            (
                "null of its own origin",
                answer.reason == "same_origin"
                    && request.origin == [b"null"]
                    && policy.contains_key("self_origins"),
            ),
            ("WebTransport", answer.kind == "websocket" && session),
        ] {
            *seen.entry(name).or_default() += usize::from(met);
        }
        let tree = strategy::policy_and_script().new_tree(&mut runner).unwrap();
        let (policy, script) = tree.current();
        scripts[usize::from(permits(&policy, &script))] += 1;
    }
    for reached in [
        ("none", "not_cors"),
        ("actual", "allowed"),
        ("actual", "origin_malformed"),
        ("actual", "origin_not_allowed"),
        ("actual", "null_origin_not_allowed"),
        ("actual", "same_origin"),
        ("websocket", "allowed"),
        ("websocket", "origin_not_allowed"),
        ("preflight", "allowed"),
        ("preflight", "same_origin"),
        ("preflight", "origin_malformed"),
        ("preflight", "origin_not_allowed"),
        ("preflight", "null_origin_not_allowed"),
        ("preflight", "method_malformed"),
        ("preflight", "method_not_allowed"),
        ("preflight", "headers_malformed"),
        ("preflight", "header_not_allowed"),
        ("preflight", "headers_too_large"),
    ] {
        let count = reasons.get(&reached).copied().unwrap_or(0);
        assert!(count >= 5, "{reached:?} only {count} times in {reasons:?}");
    }
    for (name, count) in &seen {
        assert!(*count >= 5, "{name} only {count} times in {seen:?}");
    }
    assert!(scripts[0] > 400 && scripts[1] > 150, "{scripts:?}");
}
