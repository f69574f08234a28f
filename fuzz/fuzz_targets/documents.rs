//! Documents: no panic, diagnostics that are sound, and policies that say of
//! themselves what they do.
//!
//! The first byte chooses the format; the rest is the document.

#![no_main]

use std::collections::BTreeMap;

use libcors_config::{
    Diagnostic, Diagnostics, Format, MAX_DIAGNOSTICS, OriginEntry, Outcome,
    PolicySpec, Related, parse,
};
use libcors_fuzz::breaks_lines;
use libcors_policy::{MAX_ECHO_LINES, Policy, Request};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let format = match choice % 3 {
        0 => Format::Toml,
        1 => Format::Json,
        _ => Format::Auto,
    };
    let outcome = parse(text, "fuzz\n.toml", format);
    assert!(!outcome.unreadable);
    check_diagnostics(&outcome.diagnostics, text);
    let Outcome { policies, diagnostics, .. } = &outcome;
    assert_eq!(policies.is_none(), diagnostics.has_errors());
    let Some(policies) = policies else { return };

    assert!(!policies.is_empty());
    for (at, named) in policies.iter().enumerate() {
        let found = policies.get(named.name()).expect("found by its name");
        assert!(std::ptr::eq(found, named), "a name that stands twice");
        assert!(std::ptr::eq(policies.nth(at).unwrap(), named));
        ask(named.policy(), named.spec());
    }
    // Words take longer than decisions, so those of one policy must do.
    let first = policies.nth(0).expect("a policy");
    let words =
        Policy::explain(Some(first.policy()), &Request::new(b"GET"), None);
    let words = words.to_string();
    assert!(!words.chars().any(|c| c.is_control() && c != '\n'), "{words:?}");

    let specs: BTreeMap<&str, &PolicySpec> =
        policies.iter().map(|p| (p.name(), p.spec())).collect();
    check_again(&specs);
});

/// The place of a problem: within the text, between characters, and on the line and
/// column that it says.
fn check_place(text: &[u8], place: (usize, usize), shown: (u32, u32)) {
    let (offset, len) = place;
    let (line, column) = shown;
    let end = offset.checked_add(len).expect("an end");
    assert!(end <= text.len(), "{place:?} is not within the text");
    assert!(line >= 1 && column >= 1);
    if let Ok(text) = std::str::from_utf8(text) {
        assert!(
            text.get(offset..end).is_some(),
            "{place:?} splits a character"
        );
    }
    let start = match text.starts_with(b"\xef\xbb\xbf") {
        true => offset.min(3),
        false => 0,
    };
    let before = &text[start..offset];
    let lines = before.iter().filter(|&&byte| byte == b'\n').count();
    let last = before.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    let columns = last.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    assert_eq!((line as usize, column as usize), (lines + 1, columns + 1));
}

fn check_words(words: &str) {
    assert!(!words.chars().any(char::is_control), "{words:?}");
}

fn check_diagnostics(diagnostics: &Diagnostics, text: &[u8]) {
    assert!(diagnostics.len() <= 2 * (MAX_DIAGNOSTICS + 1));
    let mut last = 0;
    for diagnostic in diagnostics {
        let Diagnostic {
            code,
            source,
            line,
            column,
            offset,
            len,
            key_path,
            message,
            hint,
            related,
            ..
        } = diagnostic;
        assert!(last <= *offset, "not in the order of the document");
        last = *offset;
        assert_eq!(code.len(), 5);
        check_place(text, (*offset, *len), (*line, *column));
        for words in [source, key_path, message] {
            check_words(words);
        }
        assert!(!message.is_empty());
        if let Some(hint) = hint {
            assert!(!hint.is_empty());
            check_words(hint);
        }
        check_words(&diagnostic.to_string());
        for note in related {
            let Related {
                source,
                line,
                column,
                offset,
                len,
                key_path,
                message,
                ..
            } = note;
            check_place(text, (*offset, *len), (*line, *column));
            for words in [source, key_path, message] {
                check_words(words);
            }
        }
    }
}

/// Puts a few requests to a policy.
fn ask(policy: &Policy, spec: &PolicySpec) {
    let mut origins = vec![
        "https://app.example.com".to_owned(),
        "null".to_owned(),
        "https://a.b\r\nX: y".to_owned(),
        String::new(),
    ];
    for entry in spec.allow_origins.iter().take(8) {
        if let OriginEntry::Plain(text) = entry {
            let text = text.strip_suffix(":*").unwrap_or(text);
            origins.push(text.replace('*', "a"));
        }
    }
    let list: Vec<&[u8]> = spec
        .allow_headers
        .iter()
        .take(MAX_ECHO_LINES)
        .map(|name| name.as_bytes())
        .collect();
    let method = spec.allow_methods.first().map_or("PUT", String::as_str);
    let request_method = [method.as_bytes()];
    for origin in &origins {
        let origin = [origin.as_bytes()];
        for preflight in [false, true] {
            let mut request = Request::new(b"OPTIONS");
            request.origin = &origin;
            if preflight {
                request.request_method = &request_method;
                request.request_headers = &list;
                request.request_private_network = &[b"true"];
            }
            let decision = policy.decide(&request);
            let mut count = 0;
            for header in decision.headers() {
                assert!(!breaks_lines(header.value()));
                assert!(!header.value().is_empty());
                count += 1;
            }
            assert!(count <= 16);
            assert!(policy.variant(decision.variant()).is_some());
        }
    }
}

#[derive(Serialize)]
struct Document<'s> {
    policy: &'s BTreeMap<&'s str, &'s PolicySpec>,
}

/// What the policies say, written down, says the same.
fn check_again(specs: &BTreeMap<&str, &PolicySpec>) {
    let text = toml::to_string(&Document { policy: specs }).unwrap();
    let outcome = parse(text.as_bytes(), "again", Format::Toml);
    let errors: Vec<_> = outcome.diagnostics.errors().collect();
    assert!(errors.is_empty(), "{text}\n{errors:#?}");
    let policies = outcome.policies.expect("policies without an error");
    assert_eq!(policies.len(), specs.len());
    for (name, spec) in specs {
        let again = policies.get(name).expect("the same name").spec();
        assert_eq!(again, *spec, "{text}");
    }
}
