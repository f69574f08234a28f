//! Strings, requests, headers and decisions.

use core::ffi::c_char;

use libcors_policy::{Kind, Reason};

/// A compiled document: any number of named policies.
///
/// It is immutable and reference counted. Any number of threads may use one at
/// the same time.
#[derive(Debug)]
pub struct cors_policies {
    _private: [u8; 0],
}

/// One policy of a document.
///
/// It belongs to its cors_policies, and is valid as long as that is.
#[derive(Debug)]
pub struct cors_policy {
    _private: [u8; 0],
}

/// What was found wrong in a document: errors and warnings.
///
/// It belongs to the caller. One thread at a time may use it.
#[derive(Debug)]
pub struct cors_diagnostics {
    _private: [u8; 0],
}

/// A string of bytes. It need not end with a NUL.
///
/// { NULL, 0 } is the empty string. A length beyond PTRDIFF_MAX is an error.
/// Strings that the library hands out hold no CR, LF or NUL, and those that it
/// owns are followed by a NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_str {
    /// The first byte; NULL only if the string is empty.
    pub data: *const c_char,
    /// The number of bytes.
    pub len: usize,
}

/// A line of a message's header section: a name and a value, or a pseudo-header.
///
/// A server whose headers lie in an array of two strings each may pass that array.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_field {
    /// The name, in any case.
    pub name: cors_str,
    /// The value, as it was received.
    pub value: cors_str,
}

/// The lines of one field of a request, as they were received.
///
/// A field that is absent has no lines. That is not the same as one empty line.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_lines {
    /// The values, in order, without the field's name; NULL only if there is
    /// none.
    pub lines: *const cors_str,
    /// The number of lines.
    pub count: usize,
}

/// A request, as far as CORS is concerned.
///
/// The caller owns it and all its strings, and hands over what was received: it
/// joins, splits, trims and judges nothing. Set it to zero, then fill in size and
/// what the request has:
///
///     cors_request request;
///
///     memset(&request, 0, sizeof(request));
///     request.size = sizeof(request);
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_request {
    /// sizeof(cors_request).
    pub size: usize,
    /// The method; methods are case-sensitive.
    pub method: cors_str,
    /// Origin.
    pub origin: cors_lines,
    /// Access-Control-Request-Method.
    pub request_method: cors_lines,
    /// Access-Control-Request-Headers.
    pub request_headers: cors_lines,
    /// Access-Control-Request-Private-Network.
    pub request_private_network: cors_lines,
    /// Upgrade.
    pub upgrade: cors_lines,
    /// The pseudo-header :protocol of HTTP/2 and HTTP/3 (RFC 8441), or empty.
    pub protocol: cors_str,
    /// "http" or "https", or empty if it is not known. This and the next two
    /// serve only to tell a same-origin request from a cross-origin one.
    pub scheme: cors_str,
    /// Host, or the pseudo-header :authority, or empty.
    pub host: cors_str,
    /// Sec-Fetch-Site, or empty.
    pub sec_fetch_site: cors_str,
}

/// A request without Origin: CORS has nothing to say about it.
pub const CORS_KIND_NONE: u32 = 0;
/// A request with Origin that is none of the others. It need not be
/// cross-origin.
pub const CORS_KIND_ACTUAL: u32 = 1;
/// A CORS-preflight request (Fetch standard, "CORS-preflight fetch").
pub const CORS_KIND_PREFLIGHT: u32 = 2;
/// A request for a WebSocket. Browsers do not apply CORS to it; only the server
/// can refuse it.
pub const CORS_KIND_WEBSOCKET: u32 = 3;

/// Nothing was asked: no Origin, or the server's own.
pub const CORS_OUTCOME_NONE: u32 = 0;
/// The policy allows it.
pub const CORS_OUTCOME_ALLOW: u32 = 1;
/// The policy does not allow it.
pub const CORS_OUTCOME_DENY: u32 = 2;

/// Origin, method and headers are allowed.
pub const CORS_REASON_ALLOWED: u32 = 1;
/// There is no Origin.
pub const CORS_REASON_NOT_CORS: u32 = 2;
/// The origin is not listed, and is the server's own.
pub const CORS_REASON_SAME_ORIGIN: u32 = 3;
/// Origin is no serialized origin, or there are several.
pub const CORS_REASON_ORIGIN_MALFORMED: u32 = 4;
/// No entry of the policy covers the origin.
pub const CORS_REASON_ORIGIN_NOT_ALLOWED: u32 = 5;
/// The origin is null, and the policy does not list it.
pub const CORS_REASON_NULL_ORIGIN_NOT_ALLOWED: u32 = 6;
/// Access-Control-Request-Method is no token, or there are several.
pub const CORS_REASON_METHOD_MALFORMED: u32 = 7;
/// The policy does not list the method.
pub const CORS_REASON_METHOD_NOT_ALLOWED: u32 = 8;
/// Access-Control-Request-Headers is no list of tokens.
pub const CORS_REASON_HEADERS_MALFORMED: u32 = 9;
/// The policy does not list a header.
pub const CORS_REASON_HEADER_NOT_ALLOWED: u32 = 10;
/// Access-Control-Request-Headers is larger than any browser's.
pub const CORS_REASON_HEADERS_TOO_LARGE: u32 = 11;
/// No policy was given, or the call failed.
pub const CORS_REASON_NO_POLICY: u32 = 12;

// Each reason of the engine has its constant, in the same order.
const _: () = {
    const REASONS: [u32; 12] = [
        CORS_REASON_ALLOWED,
        CORS_REASON_NOT_CORS,
        CORS_REASON_SAME_ORIGIN,
        CORS_REASON_ORIGIN_MALFORMED,
        CORS_REASON_ORIGIN_NOT_ALLOWED,
        CORS_REASON_NULL_ORIGIN_NOT_ALLOWED,
        CORS_REASON_METHOD_MALFORMED,
        CORS_REASON_METHOD_NOT_ALLOWED,
        CORS_REASON_HEADERS_MALFORMED,
        CORS_REASON_HEADER_NOT_ALLOWED,
        CORS_REASON_HEADERS_TOO_LARGE,
        CORS_REASON_NO_POLICY,
    ];
    assert!(REASONS.len() == Reason::ALL.len());
    assert!(CORS_REASONS == REASONS.len() + 1);
    assert!(CORS_KINDS == Kind::ALL.len());
    let mut at = 0;
    while at < REASONS.len() {
        assert!(REASONS[at] == Reason::ALL[at] as u32);
        at += 1;
    }
};

/// The number of kinds: those of decisions are below it. A later version may have
/// more.
pub const CORS_KINDS: usize = 4;
/// One more than the largest reason: those of decisions are below it, and from 1. A
/// later version may have more.
pub const CORS_REASONS: usize = 13;

/// The value of cors_decision.rule where no entry of the list matched.
pub const CORS_RULE_NONE: u32 = 0xffff_ffff;

/// Origin, as a bit of cors_decision.vary.
pub const CORS_VARY_ORIGIN: u32 = 1;
/// Access-Control-Request-Method.
pub const CORS_VARY_REQUEST_METHOD: u32 = 2;
/// Access-Control-Request-Headers.
pub const CORS_VARY_REQUEST_HEADERS: u32 = 4;

/// The application's own CORS headers go, and those of the decision are set.
pub const CORS_UPSTREAM_REPLACE: u32 = 0;
/// Where the application's response has an Access-Control-Allow-Origin, change
/// nothing but Vary; otherwise as CORS_UPSTREAM_REPLACE.
pub const CORS_UPSTREAM_KEEP: u32 = 1;

/// Access-Control-Allow-Origin, as cors_header.id.
pub const CORS_HEADER_ALLOW_ORIGIN: u32 = 1;
/// Access-Control-Allow-Credentials.
pub const CORS_HEADER_ALLOW_CREDENTIALS: u32 = 2;
/// Access-Control-Allow-Methods.
pub const CORS_HEADER_ALLOW_METHODS: u32 = 3;
/// Access-Control-Allow-Headers.
pub const CORS_HEADER_ALLOW_HEADERS: u32 = 4;
/// Access-Control-Expose-Headers.
pub const CORS_HEADER_EXPOSE_HEADERS: u32 = 5;
/// Access-Control-Max-Age.
pub const CORS_HEADER_MAX_AGE: u32 = 6;
/// Access-Control-Allow-Private-Network.
pub const CORS_HEADER_ALLOW_PRIVATE_NETWORK: u32 = 7;
/// Timing-Allow-Origin.
pub const CORS_HEADER_TIMING_ALLOW_ORIGIN: u32 = 8;

/// The policy owns the value: it lives as long as the policy.
pub const CORS_SOURCE_FIXED: u32 = 1;
/// The value is the request's Origin: it lives as long as the request.
pub const CORS_SOURCE_ORIGIN: u32 = 2;
/// The value is the request's Access-Control-Request-Method.
pub const CORS_SOURCE_METHOD: u32 = 3;
/// The value is a line of the request's Access-Control-Request-Headers.
pub const CORS_SOURCE_HEADER_LIST: u32 = 4;

/// A response header to set. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_header {
    /// CORS_HEADER_...
    pub id: u32,
    /// CORS_SOURCE_...: where the value comes from, and so how long it lives.
    pub source: u32,
    /// The name as the standards spell it. Static, followed by a NUL.
    pub name: cors_str,
    /// The name in lower case, as HTTP/2 and HTTP/3 send it. Static, followed
    /// by a NUL.
    pub lower_name: cors_str,
    /// The value.
    pub value: cors_str,
}

/// The number of headers that a decision has room for. It never changes.
pub const CORS_HEADERS_MAX: usize = 16;

/// The answer to a request.
///
/// The caller owns it, on its stack if it likes, and need set nothing but size.
/// There is nothing to free. The strings borrow from the policy, and from the
/// request where a header's source says so: they are valid while both are. See
/// cors_decision_detach() for hosts whose requests die first. A host that keeps
/// decisions may cut a copy off behind the last header that is set.
///
/// Carry it out like this, on every response, errors too, unless enforced is 0:
///
/// 1. If status is not 0, answer the request with it, without a body (and with
///    Content-Length: 0 unless it is 204), and let nothing else answer: neither
///    authentication nor the application.
/// 2. Remove the response headers for which cors_header_owned() says so; but if
///    upstream is CORS_UPSTREAM_KEEP and the application's response has an
///    Access-Control-Allow-Origin, go to step 4.
/// 3. Add headers[0] to headers[header_count - 1].
/// 4. If vary is not 0, replace the Vary lines by the value that
///    cors_vary_merge() makes of them (or by vary_value, if there are none).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_decision {
    /// sizeof(cors_decision), set by the caller.
    pub size: usize,
    /// CORS_KIND_... Treat an unknown one as CORS_KIND_ACTUAL.
    pub kind: u32,
    /// CORS_OUTCOME_...
    pub outcome: u32,
    /// CORS_REASON_... Do not depend on it: later versions may know more.
    pub reason: u32,
    /// The entry of allow_origins that covers the origin, counted from 0, or
    /// CORS_RULE_NONE.
    pub rule: u32,
    /// The status to answer with, or 0 if the application answers.
    pub status: u32,
    /// 1, or 0 in report mode: then change nothing.
    pub enforced: u32,
    /// The number of the header list, for cors_variant_headers().
    pub variant: u32,
    /// CORS_VARY_... bits: the names to merge into Vary. Vary is not among the
    /// headers, so that no host overwrites what else is there.
    pub vary: u32,
    /// CORS_UPSTREAM_...
    pub upstream: u32,
    /// The headers to remove, as bits: 1 << CORS_HEADER_...
    pub owned: u32,
    /// The number of headers to set.
    pub header_count: u32,
    /// 0 in this version.
    pub reserved: [u32; 9],
    /// The names of vary as a value, for a response that has no Vary. Static,
    /// followed by a NUL.
    pub vary_value: cors_str,
    /// The headers to set, in order. Those beyond header_count have no meaning.
    pub headers: [cors_header; CORS_HEADERS_MAX],
}
