//! The suite against the naive engine, and against the model of the browser.

use std::collections::BTreeSet;

use libcors_testkit::naive::{self, Answer, OWNED_TIMING};
use libcors_testkit::suite::{Case, File, SUITE};
use libcors_testkit::{check, suite};

fn naive(file: &File, case: &Case) -> Answer {
    let policy = case.policy.as_ref().map(|name| &file.policies[name]);
    naive::answer(policy, &case.request).unwrap_or_else(|problem| {
        panic!("{}.toml, policy {:?}: {problem}", file.name, case.policy);
    })
}

fn all(problems: Vec<String>) {
    let count = problems.len();
    assert!(count == 0, "{count} problems:\n{}", problems.join("\n"));
}

#[test]
fn every_case_against_the_naive_engine() {
    let problems = SUITE.cases().filter_map(|(file, case)| {
        check::verify(case, &naive(file, case)).err()
    });
    all(problems.collect());
}

#[test]
fn every_case_against_the_browser() {
    let mut problems = Vec::new();
    for (_, case) in
        SUITE.cases().filter(|(_, case)| case.answer.kind != "none")
    {
        let found = check::browser_verdict(case, &case.answer);
        if found != case.browser {
            problems.push(format!(
                "{}.toml: case {:?}: expected {:?}, the browser lets through {found:?}",
                case.file, case.name, case.browser
            ));
        }
    }
    all(problems);
}

#[test]
fn an_answer_lets_through_what_it_allows() {
    let mut problems = Vec::new();
    for (_, case) in SUITE.cases() {
        let denied = case.answer.outcome == "deny" || !case.answer.enforced;
        let none = case.answer.kind == "none";
        if (denied || none) && !case.browser.is_empty() {
            problems.push(format!("{}: denied, and let through", case.name));
        }
        let sent = case.request.origin.len() == 1;
        if case.answer.outcome == "allow"
            && !denied
            && sent
            && case.browser.is_empty()
        {
            problems
                .push(format!("{}: allowed, and not let through", case.name));
        }
    }
    all(problems);
}

#[test]
fn what_holds_for_every_answer() {
    let mut problems = Vec::new();
    for (file, case) in SUITE.cases() {
        let answer = &case.answer;
        let policy = case.policy.as_ref().map(|name| &file.policies[name]);
        let constant = policy.is_some_and(|policy| {
            policy.get("constant_origin") == Some(&true.into())
        });
        let values = |name: &str| -> Vec<&[u8]> {
            let lines = answer.headers.iter().filter(|(n, _)| n == name);
            lines.map(|(_, value)| value.as_slice()).collect()
        };
        let acao = values("Access-Control-Allow-Origin");
        let any = acao == [b"*"];
        let timing = !values("Timing-Allow-Origin").is_empty();
        let credentials =
            !values("Access-Control-Allow-Credentials").is_empty();
        let once = answer
            .headers
            .iter()
            .filter(|(name, _)| name != "Access-Control-Allow-Headers")
            .all(|(name, _)| values(name).len() == 1);
        let clean = answer.headers.iter().all(|(_, value)| {
            !value.iter().any(|byte| *byte < b' ' || *byte >= 0x7f)
        });
        for (holds, what) in [
            (once, "a header has two lines"),
            (clean, "a value holds control bytes"),
            (!(any && credentials), "an asterisk with credentials"),
            (
                any || constant
                    || !answer.enforced
                    || answer.vary.contains(&"Origin"),
                "no Vary: Origin",
            ),
            (
                !(any || constant) || !answer.vary.contains(&"Origin"),
                "a needless Vary",
            ),
            (
                !constant || !answer.enforced || acao.len() == 1,
                "no ACAO that is always the same",
            ),
            (
                !timing || answer.kind != "preflight",
                "TAO on an answer to a preflight",
            ),
            (
                !timing || answer.remove.contains(&OWNED_TIMING),
                "TAO beside the application's own",
            ),
            (
                answer.outcome == "allow"
                    || constant
                    || answer.kind != "actual"
                    || acao.is_empty(),
                "ACAO on a denied request",
            ),
            (
                answer.outcome != "deny"
                    || answer.kind == "preflight"
                    || answer.rule.is_none(),
                "a rule without a match",
            ),
        ] {
            if !holds {
                problems.push(format!("{}: {what}", case.name));
            }
        }
    }
    all(problems);
}

#[test]
fn enough_cases_of_everything() {
    let cases: Vec<&Case> = SUITE.cases().map(|(_, case)| case).collect();
    assert!(cases.len() >= 250, "only {} cases", cases.len());
    for reason in suite::REASONS {
        assert!(
            cases.iter().any(|case| case.answer.reason == reason),
            "{reason}"
        );
    }
    let said: BTreeSet<&str> = cases
        .iter()
        .filter_map(|case| case.why.as_deref())
        .map(|why| why.split([':', '.']).next().unwrap_or(why))
        .collect();
    for number in (1..=22).chain(24..=27) {
        let id = format!("S{number}");
        assert!(said.contains(id.as_str()), "no case is about {id}");
    }
}

#[test]
fn every_file_says_what_it_is_about() {
    for file in &SUITE.files {
        let path = suite::folder().join(format!("{}.toml", file.name));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.starts_with("# "), "{}.toml", file.name);
    }
}
