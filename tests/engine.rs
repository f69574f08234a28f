//! The suite, and random policies and requests, through the engine.

use libcors_config::{Format, Policies, parse};
use libcors_policy::{Lines, Policy, Reason, Request};
use libcors_testkit::{
    check, naive, strategy,
    suite::{File, SUITE},
};
use libcors_tests::{answer, request};
use proptest::{prelude::*, test_runner::Config};

fn policies(file: &File) -> Policies {
    let outcome = parse(file.document.as_bytes(), &file.name, Format::Toml);
    outcome
        .policies
        .unwrap_or_else(|| panic!("{}: {:#?}", file.name, outcome.diagnostics))
}

#[test]
fn every_case_of_the_suite() {
    let mut failures = Vec::new();
    let mut cases = 0;
    for file in &SUITE.files {
        let policies = policies(file);
        for case in &file.cases {
            cases += 1;
            let asked = request(&case.request);
            let decision = match &case.policy {
                Some(name) => {
                    policies.get(name).unwrap().policy().decide(&asked)
                }
                None => Policy::decide_without_policy(&asked),
            };
            failures.extend(check::verify(case, &answer(&decision)).err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases >= 250, "only {cases} cases");
}

/// A decision's header list is the one that its variant promises.
fn assert_variant<'a, L: Lines<'a>>(
    policy: &'a Policy,
    decision: &libcors_policy::Decision<'a, L>,
) {
    use libcors_policy::Source;

    let template = policy.variant(decision.variant()).unwrap();
    let mut headers = decision.headers().peekable();
    for entry in template {
        let header = headers.next().unwrap();
        assert_eq!(header.name(), entry.name());
        if entry.source() == Source::Fixed {
            assert_eq!(header.value(), entry.value());
        }
        // One entry stands for all lines that are echoed.
        while entry.source() == Source::HeaderList
            && headers.peek().is_some_and(|next| next.name() == entry.name())
        {
            headers.next();
        }
    }
    assert!(headers.next().is_none());
}

#[test]
fn the_engine_agrees_with_the_naive_one() {
    let config = Config { cases: 20_000, ..Config::default() };
    proptest!(config, |((policy, asked) in strategy::policy_and_request())| {
        let document = strategy::document(&policy);
        let outcome = parse(document.as_bytes(), "random", Format::Toml);
        let Some(policies) = outcome.policies else {
            panic!("{document}\n{:#?}", outcome.diagnostics);
        };
        let compiled = policies.nth(0).unwrap().policy();
        let asked_engine = request(&asked);
        let decision = compiled.decide(&asked_engine);
        assert_variant(compiled, &decision);
        let expected = naive::answer(Some(&policy), &asked).unwrap();
        prop_assert_eq!(answer(&decision), expected, "{}", document);
    });
}

/// More lines than any host could carry, so that the suite has none.
#[test]
fn all_lines_of_a_list_count() {
    let document = "[policy.p]\nallow_origins = ['https://a.example']";
    let policies = parse(document.as_bytes(), "test", Format::Toml).policies;
    let policies = policies.unwrap();
    let policy = policies.get("p").unwrap().policy();
    let reason = |first: &[u8], others: usize, len: usize| {
        let long = vec![b'a'; len];
        let mut lines = vec![first];
        lines.resize(1 + others, &long);
        let mut request = Request::new(b"OPTIONS");
        request.origin = &[b"https://a.example"];
        request.request_method = &[b"GET"];
        request.request_headers = &lines;
        policy.decide(&request).reason()
    };
    assert_eq!(reason(b"a b", 130, 63), Reason::HeadersTooLarge);
    assert_eq!(reason(b"a b", 129, 63), Reason::HeadersMalformed);
    assert_eq!(reason(b"a b", 5000, 0), Reason::HeadersMalformed);
    assert_eq!(reason(b"a", 127, 1), Reason::HeaderNotAllowed);
    assert_eq!(reason(b"a", 128, 1), Reason::HeadersTooLarge);
}

/// The naive engine knows no expressions, so that the suite has none.
#[test]
fn expressions_come_after_all_plain_entries() {
    let document = r#"
        [policy.p]
        allow_origins = [
            { regex = 'https://(a|b)\.example\.com(:\d+)?' },
            "https://a.example.com",
            { regex = 'https://b\.example\.com' },
            "https://*.c.example.com",
        ]
    "#;
    let policies = parse(document.as_bytes(), "test", Format::Toml).policies;
    let policies = policies.unwrap();
    let policy = policies.get("p").unwrap().policy();
    for (origin, rule) in [
        ("https://a.example.com", Some(1)),
        ("https://b.example.com", Some(0)),
        ("https://b.example.com:8443", Some(0)),
        ("https://x.c.example.com", Some(3)),
        // The whole origin matches, and nothing that is no origin.
        ("https://b.example.com.evil.example", None),
        ("https://xb.example.com", None),
        ("https://b.example.com:443", None),
        ("https://b.example.com:", None),
        ("null", None),
    ] {
        let lines: &[&[u8]] = &[origin.as_bytes()];
        let mut request = Request::new(b"GET");
        request.origin = lines;
        let decision = policy.decide(&request);
        assert_eq!(decision.rule(), rule, "{origin}");
        let value = decision.headers().next().map(|header| header.value());
        assert_eq!(value, rule.map(|_| origin.as_bytes()), "{origin}");
    }
}
