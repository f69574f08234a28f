//! The yardstick: a browser lets a script through exactly when the policy permits it.

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

fn permits_origin(policy: &Table, origin: &str) -> bool {
    let entries = list(policy, "allow_origins");
    if entries == ["*"] {
        let anonymous = !is(policy, "allow_credentials", true);
        let flag = list(policy, "dangerously_allow").contains(&"null_origin");
        return anonymous || origin != "null" || flag;
    }
    entries.iter().any(|entry| covers(entry.as_bytes(), origin.as_bytes()))
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
        if let Some((_, value)) = acao {
            prop_assert!(value == b"*" || request.origin == [value.clone()]);
            let credentials = count("Access-Control-Allow-Credentials") == 1;
            prop_assert!(value != b"*" || !credentials);
        }
        if !answer.enforced {
            prop_assert!(answer.headers.is_empty() && answer.vary.is_empty());
            prop_assert!(answer.remove.is_empty() && answer.status.is_none());
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
    for _ in 0..4000 {
        let tree =
            strategy::policy_and_request().new_tree(&mut runner).unwrap();
        let (policy, request) = tree.current();
        let answer = naive::answer(Some(&policy), &request).unwrap();
        *reasons.entry((answer.kind, answer.reason)).or_default() += 1;
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
    assert!(scripts[0] > 400 && scripts[1] > 150, "{scripts:?}");
}
