//! Every code has a document that has the problem and one that just has not, and
//! the list of codes in the documentation is the one of the code.

use std::{collections::BTreeSet, fs, path::Path};

use libcors_config::{
    Format, Outcome, Severity,
    codes::{self, Example},
    load, parse,
};

fn run(example: Example) -> Outcome {
    match example {
        Example::Text(text) | Example::Without(_, text) => {
            parse(text.as_bytes(), "t", Format::Auto)
        }
        Example::Made(_, make) => parse(&make(), "t", Format::Auto),
        Example::File(what) => {
            let file = match what.contains("not exist") {
                true => "no-such-file.toml",
                false => "Cargo.toml",
            };
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            load(&path, None, Format::Auto)
        }
        _ => panic!("an example of a new form"),
    }
}

/// The feature that finds a problem.
fn needed(id: &str) -> Option<&'static str> {
    match id {
        "E0212" => Some("idna"),
        "E0504" => Some("public-suffixes"),
        "E0219" | "E0505" | "W0204" => Some("regex"),
        _ => None,
    }
}

/// Whether what is tested has this feature.
fn is_built(feature: &str) -> bool {
    match feature {
        "idna" => cfg!(feature = "idna"),
        "public-suffixes" => cfg!(feature = "public-suffixes"),
        "regex" => cfg!(feature = "regex"),
        _ => panic!("a new feature"),
    }
}

#[test]
fn every_example_does_what_it_says() {
    for code in codes::all() {
        let fails = run(code.fails).diagnostics;
        let found = fails.iter().find(|d| d.code == code.id);
        let expected = match code.fails {
            Example::Without(feature, _) => !is_built(feature),
            _ => needed(code.id).is_none_or(is_built),
        };
        if !expected {
            assert_eq!(found, None, "{}", code.id);
            continue;
        }
        let Some(found) = found else {
            panic!("{}: {fails:#?}", code.id);
        };
        assert_eq!(found.severity, code.severity());
        // A document shows what it is meant to show, and little else.
        let codes: BTreeSet<&str> = fails.iter().map(|d| d.code).collect();
        assert!(codes.len() <= 2, "{}: {fails:#?}", code.id);

        let passes = run(code.passes).diagnostics;
        let found = passes.iter().find(|d| d.code == code.id);
        assert_eq!(found, None, "{}", code.id);
        if code.severity() == Severity::Warning {
            assert!(!fails.has_errors(), "{}: {fails:#?}", code.id);
            assert!(!passes.has_errors(), "{}: {passes:#?}", code.id);
        }
    }
}

#[test]
fn codes_are_in_order_and_unique() {
    let ids: Vec<&str> = codes::all().iter().map(|code| code.id).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(ids, sorted);
    for id in ids {
        assert_eq!(codes::find(id).map(|code| code.id), Some(id));
    }
    assert!(codes::find("E9999").is_none());
}

/// Run with `UPDATE_DOCS=1` to write the page.
#[test]
fn the_documentation_is_up_to_date() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, codes::markdown()).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == codes::markdown(),
        "docs/diagnostics.md is out of date; run the test with UPDATE_DOCS=1"
    );
}
