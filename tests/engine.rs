//! The suite, and random policies and requests, through the engine.

use libcors_config::{Format, Policies, parse};
use libcors_policy::{Lines, Policy};
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
