/*!
This crate provides the CORS policy engine: what a policy is, and what it
answers to a request.

A [`Policy`] is compiled once, by a [`PolicyBuilder`], and never changes. A
decision about a [`Request`] allocates nothing, takes no lock, cannot panic, and
borrows its bytes from the policy and the request. Any number of threads may
use one policy at the same time.

# Example

This example shows how to compile a policy and to decide a request:

```
use libcors_policy::{Kind, OriginPattern, Outcome, Policy, Request};

let policy = Policy::builder()
    .allow_origin(OriginPattern::parse("https://app.example.com").unwrap())
    .allow_credentials(true)
    .build()
    .unwrap();

let mut request = Request::new(b"GET");
request.origin = &[b"https://app.example.com"];

let decision = policy.decide(&request);
assert_eq!(decision.kind(), Kind::Actual);
assert_eq!(decision.outcome(), Outcome::Allow);
let headers: Vec<(&str, &[u8])> =
    decision.headers().map(|h| (h.name().as_str(), h.value())).collect();
assert_eq!(headers, [
    ("Access-Control-Allow-Origin", b"https://app.example.com".as_slice()),
    ("Access-Control-Allow-Credentials", b"true".as_slice()),
]);
assert!(decision.vary().origin());
```

# What is implemented

The server's side of the CORS protocol of the WHATWG Fetch standard ("CORS
protocol", "CORS check", "CORS-preflight fetch"), `Timing-Allow-Origin` of
Resource Timing, and the merging of `Vary` of RFC 9110, section 12.5.5.

Which policies are dangerous (every site with credentials, `null`, plain http) is
not judged here: a policy built through this crate may be as open as its author
says. The crate `libcors-config`, which compiles policy files, refuses what is
dangerous and not flagged.
*/

#![no_std]

extern crate alloc;

mod answers;
mod builder;
mod bytes;
mod decision;
mod explain;
mod field;
mod header;
mod network;
mod origin;
mod origins;
mod pattern;
mod policy;
mod reason;
mod request;
mod settings;
mod table;
mod text;
mod tokens;
mod vary;
mod wildcards;

pub use crate::{
    answers::{Answer, Decided},
    builder::{BuildError, MAX_TIMING_LIST, PolicyBuilder},
    bytes::is_token,
    decision::{Decision, DecisionHeader, Headers, Kind, Outcome},
    explain::{Credentials, Explanation, Step, StepKind},
    field::{Comparison, RequestField, length_bits},
    header::{HeaderName, Source},
    network::{Network, NetworkError, NetworkScheme},
    origin::{MAX_ORIGIN_LEN, Origin},
    origins::{Expression, ExpressionSet},
    pattern::{
        ExactOrigin, HostPattern, INSECURE_SCHEMES, OriginPattern,
        PatternError, PatternErrorKind, PortPattern, TuplePattern,
    },
    policy::names_websocket,
    policy::{
        MAX_ECHO_LINES, MAX_REQUEST_HEADERS_ELEMENTS,
        MAX_REQUEST_HEADERS_EMPTY, MAX_REQUEST_HEADERS_LEN,
        MAX_REQUEST_HEADERS_SPACE, Policy, Quick, TemplateHeader,
    },
    reason::Reason,
    request::{Ask, Lines, Request},
    settings::{Disallowed, Mode, Preflight, Timing, Upstream},
    text::Text,
    vary::{MAX_VARY_NAMES, Vary, merge_vary},
};
