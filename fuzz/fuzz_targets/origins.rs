//! Origins and entries of `allow_origins`: the engine's parsers against the naive
//! ones, and what an entry covers.
//!
//! An input is an entry, a line break, and an origin; without a line break it is
//! both.

#![no_main]

use libcors_policy::{
    HostPattern, MAX_ORIGIN_LEN, Origin, OriginPattern, Outcome, Policy,
    PortPattern, Request,
};
use libcors_testkit::naive;
use libfuzzer_sys::fuzz_target;
use toml::{Table, Value};

fuzz_target!(|data: &[u8]| {
    let (entry, origin) = match data.iter().position(|&b| b == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, data),
    };
    for bytes in [entry, origin] {
        check_origin(bytes);
    }
    if let Ok(entry) = std::str::from_utf8(entry) {
        check_entry(entry, origin);
    }
});

fn check_origin(bytes: &[u8]) {
    let parsed = Origin::parse(bytes);
    let naive = naive::split_origin(bytes);
    let Some(origin) = parsed else {
        assert!(naive.is_none(), "only the naive parser takes it: {naive:?}");
        return;
    };
    assert!(bytes.len() <= MAX_ORIGIN_LEN);
    assert!(bytes.is_ascii());
    assert!(bytes.iter().all(u8::is_ascii_graphic));

    let mut again = [origin.scheme(), b"://", origin.host()].concat();
    if let Some(port) = origin.port() {
        again.extend_from_slice(format!(":{port}").as_bytes());
    }
    assert_eq!(again, bytes);

    let (scheme, host, port) = naive.expect("only the engine takes it");
    assert_eq!(scheme.as_bytes(), origin.scheme());
    assert_eq!(host.as_bytes(), origin.host());
    assert_eq!(port, origin.port().map(|port| port.to_string()));
}

fn check_entry(text: &str, origin: &[u8]) {
    let pattern = match OriginPattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            let range = error.range();
            assert!(range.start <= range.end);
            assert!(text.get(range).is_some(), "a range within the text");
            assert!(!error.kind().as_str().is_empty());
            return;
        }
    };
    assert_eq!(pattern.as_str(), text);
    assert!(text.is_ascii());

    let exact = match &pattern {
        OriginPattern::Tuple(tuple) => {
            assert_eq!(
                tuple.is_exact(),
                matches!(tuple.host(), HostPattern::Exact(_))
                    && tuple.port() != PortPattern::Any
            );
            assert!(text.len() <= MAX_ORIGIN_LEN);
            assert_eq!(
                Origin::parse(text.as_bytes()).is_some(),
                tuple.is_exact()
            );
            tuple.is_exact()
        }
        OriginPattern::Any | OriginPattern::Null => false,
    };
    let policy = Policy::builder().allow_origin(pattern).build().unwrap();

    let mut table = Table::new();
    let entries = Value::Array(vec![Value::from(text)]);
    table.insert("allow_origins".to_owned(), entries);
    let naive = match naive::Policy::parse(&table) {
        Ok(naive) => naive,
        // The naive engine tries an entry with an `a` in the place of its asterisk,
        // which makes a number of `https://0x*`.
        Err(_) if text.contains("://0x") && text.contains('*') => return,
        Err(error) => panic!("only the engine takes the entry: {error}"),
    };

    let ask = |origin: &[u8]| {
        let lines = [origin];
        let mut request = Request::new(b"GET");
        request.origin = &lines;
        let decision = policy.decide(&request);
        let allowed = decision.outcome() == Outcome::Allow;

        let asked = naive::Request {
            method: b"GET".to_vec(),
            origin: vec![origin.to_vec()],
            ..naive::Request::default()
        };
        let expected = naive::decide(Some(&naive), &asked);
        assert_eq!(
            libcors_tests::answer(&decision),
            expected,
            "{text} and {:?}",
            origin.escape_ascii().to_string()
        );
        if exact {
            assert_eq!(allowed, origin == text.as_bytes(), "covers another");
        }
        allowed
    };
    ask(origin);
    if exact {
        assert!(ask(text.as_bytes()), "covers its own text");
    }
    // What differs in one place only, where the rest of the input says.
    let mut near = text.as_bytes().to_vec();
    let place = origin.len() % (near.len() + 1);
    let byte = origin.first().copied().unwrap_or(b'.');
    if let Some(old) = near.get_mut(place) {
        let kept = std::mem::replace(old, byte);
        ask(&near);
        near[place] = kept;
    }
    near.insert(place, byte);
    ask(&near);
    near.remove(place);
    if place < near.len() {
        near.remove(place);
        ask(&near);
    }
    // The asterisk filled in.
    if text.contains('*') {
        for front in ["a", "a.b", "-", "1", "", "[::1]"] {
            for port in ["", ":1", ":443", ":80"] {
                let filled = match text.strip_suffix(":*") {
                    Some(rest) => rest.replace('*', front) + port,
                    None => text.replace('*', front),
                };
                ask(filled.as_bytes());
            }
        }
    }
}
