//! Requests to fixed policies: the engine against the naive one, and what holds of
//! every answer.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libcors_fuzz::{FIXED, breaks_lines};
use libcors_policy::{
    HeaderName, Kind, Outcome, Policy, Source, Vary, merge_vary,
};
use libcors_testkit::naive;
use libfuzzer_sys::fuzz_target;

/// What lines are made of, so that the fuzzer need not find it out.
const WORDS: [&str; 56] = [
    "https://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.",
    "https://www.example.com",
    "https://a.b.example.com",
    "https://pr-1-x.example.org",
    "https://pr-1-x.example.org:81",
    "https://a-p.example.com",
    "https://api.example.com",
    "http://localhost",
    "http://localhost:3000",
    "http://[::1]:3000",
    "capacitor://localhost",
    "https://evil.example",
    "https://",
    "http://",
    ".example.com",
    "null",
    "*",
    ":443",
    ":80",
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "patch",
    "PATCH",
    "QUERY",
    "OPTIONS",
    "authorization",
    "Authorization",
    "content-type",
    "x-foo",
    "x-bar",
    "x-other",
    ",",
    " ",
    "\t",
    "    ",
    ",,,,,,,,,,,,,,,,",
    "true",
    "websocket",
    "WebSocket/13",
    "h2c",
    "same-origin",
    "cross-site",
    "http",
    "https",
    "HTTPS",
    "app.example.com",
    "Origin",
    "origin, Accept-Encoding",
    "\r\n",
    "\0",
    "\u{7f}",
];

/// Bytes of one line: words and what the fuzzer makes up, some of it repeated.
#[derive(Debug)]
struct Line(Vec<u8>);

impl<'a> Arbitrary<'a> for Line {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Line> {
        let mut line = Vec::new();
        for _ in 0..u.int_in_range(0..=5)? {
            match u.int_in_range(0..=15)? {
                0 | 1 => {
                    let len = u.int_in_range(0..=12)?;
                    line.extend_from_slice(u.bytes(len)?);
                }
                2 => {
                    let word = u.choose(&WORDS)?.as_bytes();
                    let count = u.int_in_range(0..=600)?;
                    line.extend_from_slice(&word.repeat(count));
                }
                _ => line.extend_from_slice(u.choose(&WORDS)?.as_bytes()),
            }
        }
        Ok(Line(line))
    }
}

/// The lines of one field: mostly one.
fn lines(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<Vec<u8>>> {
    let count = match u.int_in_range(0..=7)? {
        0 => 0,
        1 => u.int_in_range(0..=most)?,
        _ => 1,
    };
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for _ in 0..count {
        let line = Line::arbitrary(u)?;
        lines.push(line.0);
    }
    // Many lines alike, without many bytes of input.
    let line = lines.first().cloned().unwrap_or_default();
    if count > 1 && line.len() < 100 && u.ratio(1, 4)? {
        let again = u.int_in_range(0..=140)?;
        lines.extend(std::iter::repeat_n(line, again));
    }
    Ok(lines)
}

fn optional(u: &mut Unstructured<'_>) -> Result<Option<Vec<u8>>> {
    Ok(match u.ratio(1, 2)? {
        true => Some(Line::arbitrary(u)?.0),
        false => None,
    })
}

/// `:protocol` has one value (RFC 8441); the naive engine takes it for a list.
fn one(mut value: Vec<u8>) -> Vec<u8> {
    value.retain(|byte| !b", \t".contains(byte));
    value
}

#[derive(Debug)]
struct Input {
    policy: u8,
    request: naive::Request,
    /// The `Vary` lines of the application.
    vary: Vec<Vec<u8>>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Input> {
        let policy = u.arbitrary()?;
        let method = match u.ratio(2, 3)? {
            true => b"OPTIONS".to_vec(),
            false => Line::arbitrary(u)?.0,
        };
        let request = naive::Request {
            method,
            origin: lines(u, 3)?,
            request_method: lines(u, 3)?,
            request_headers: lines(u, 12)?,
            request_private_network: lines(u, 2)?,
            upgrade: lines(u, 3)?,
            protocol: optional(u)?.map(one),
            scheme: optional(u)?,
            host: optional(u)?,
            sec_fetch_site: optional(u)?,
        };
        Ok(Input { policy, request, vary: lines(u, 4)? })
    }
}

fuzz_target!(|input: Input| {
    let (policies, naive) = &*FIXED;
    // One number more than there are policies stands for none.
    let number = usize::from(input.policy) % (policies.len() + 1);
    let policy = policies.nth(number).map(|named| named.policy());
    let request = libcors_tests::request(&input.request);
    let decision = match policy {
        Some(policy) => policy.decide(&request),
        None => Policy::decide_without_policy(&request),
    };
    let expected = naive::decide(naive.get(number), &input.request);
    assert_eq!(libcors_tests::answer(&decision), expected);

    let headers: Vec<_> = decision.headers().collect();
    let mut visited = Vec::new();
    decision.visit_headers(|header| visited.push(header));
    assert_eq!(headers, visited);
    assert!(headers.len() <= 16);
    let all = |name: HeaderName| {
        headers.iter().filter(move |header| header.name() == name)
    };
    for header in &headers {
        let value = header.value();
        assert!(!breaks_lines(value));
        assert!(!value.iter().any(|&b| b.is_ascii_control() && b != b'\t'));
        assert!(value.is_ascii());
        assert!(!value.is_empty());
        assert!(decision.owns(header.name().as_str().as_bytes()));
        if header.name() != HeaderName::AllowHeaders {
            assert_eq!(all(header.name()).count(), 1);
        }
    }
    let credentials = all(HeaderName::AllowCredentials).count() == 1;
    let origin = all(HeaderName::AllowOrigin).next();
    if let Some(origin) = origin {
        let star = origin.value() == b"*";
        assert!(!(star && credentials));
        assert!(star || input.request.origin == [origin.value()]);
        assert!(star || decision.vary().origin());
    } else {
        assert!(headers.is_empty() || decision.kind() == Kind::Preflight);
    }
    if credentials {
        assert!(policy.is_some_and(Policy::allows_credentials));
        // What is echoed may be `*`, which then is the name of a method or header.
        for name in [
            HeaderName::AllowOrigin,
            HeaderName::ExposeHeaders,
            HeaderName::TimingAllowOrigin,
        ] {
            assert!(all(name).all(|header| header.value() != b"*"));
        }
    }
    if decision.kind() != Kind::Preflight && decision.outcome() == Outcome::Deny
    {
        assert!(headers.is_empty());
    }
    if !decision.enforced() {
        assert!(headers.is_empty() && decision.status().is_none());
        assert!(decision.vary().is_empty() && decision.owned_bits() == 0);
    }
    if let Some(policy) = policy {
        let template = policy.variant(decision.variant()).expect("a variant");
        let mut headers = headers.iter().peekable();
        for entry in template {
            let header = headers.next().expect("a header of the list");
            assert_eq!(header.name(), entry.name());
            if entry.source() == Source::Fixed {
                assert_eq!(header.value(), entry.value());
            }
            while entry.source() == Source::HeaderList
                && headers.next_if(|next| next.name() == entry.name()).is_some()
            {
            }
        }
        assert!(headers.next().is_none());
    }

    for vary in [decision.vary(), Vary::from_bits(input.policy)] {
        check_vary(&input.vary, vary);
    }
    // Words take long, so a part of the inputs must do.
    if input.policy >= 0xf0 {
        let words = Policy::explain(policy, &request, None).to_string();
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!words.chars().any(odd), "{words:?}");
    }
});

fn check_vary(lines: &[Vec<u8>], vary: Vary) {
    let mut merged = Vec::new();
    let existing = lines.iter().map(Vec::as_slice);
    merge_vary(existing.clone(), vary, |piece| merged.extend_from_slice(piece));
    assert!(!merged.iter().any(u8::is_ascii_control));
    let members: Vec<&[u8]> = match merged.is_empty() {
        true => Vec::new(),
        false => merged.split(|&b| b == b',').map(<[u8]>::trim_ascii).collect(),
    };
    assert!(members.iter().all(|member| !member.is_empty()));
    for (at, member) in members.iter().enumerate() {
        let twice =
            members[..at].iter().any(|m| m.eq_ignore_ascii_case(member));
        assert!(!twice, "a name that stands twice");
    }
    if !members.contains(&b"*".as_slice()) {
        for name in vary.names() {
            let name = name.as_bytes();
            assert!(members.iter().any(|m| m.eq_ignore_ascii_case(name)));
        }
    }
    // Merged again, it stays.
    let again = vary.merge([merged.as_slice()].into_iter());
    assert_eq!(again, merged);
    // No more than an adapter makes room for.
    let most: usize = lines.iter().map(|line| line.len() + 2).sum();
    assert!(merged.len() < most + 72 + 1);
}
