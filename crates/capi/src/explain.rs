//! Words for people.

use core::ffi::c_char;

use libcors_policy::{HeaderName, Kind, Outcome, Policy, Reason};

use crate::{
    ffi::{self, Buffer, guard},
    policies::policy_of,
    types::{cors_policy, cors_request},
};

/// cors_kind_str returns the stable name of a CORS_KIND_..., such as
/// "preflight".
///
/// The string is static. Unknown numbers give "unknown".
#[unsafe(no_mangle)]
pub extern "C" fn cors_kind_str(kind: u32) -> *const c_char {
    let known = Kind::ALL.into_iter().find(|known| *known as u32 == kind);
    name(known.map(Kind::as_str_with_nul))
}

/// cors_outcome_str returns the stable name of a CORS_OUTCOME_..., such as
/// "deny".
///
/// The string is static. Unknown numbers give "unknown".
#[unsafe(no_mangle)]
pub extern "C" fn cors_outcome_str(outcome: u32) -> *const c_char {
    let known = Outcome::ALL.into_iter().find(|known| *known as u32 == outcome);
    name(known.map(Outcome::as_str_with_nul))
}

/// cors_reason_str returns the stable name of a CORS_REASON_..., such as
/// "origin_not_allowed". It fits a field of a log, or a label of a metric.
///
/// The string is static. Unknown numbers give "unknown".
#[unsafe(no_mangle)]
pub extern "C" fn cors_reason_str(reason: u32) -> *const c_char {
    name(reason_of(reason).map(Reason::as_str_with_nul))
}

/// cors_header_str returns the name of a CORS_HEADER_... in lower case, such as
/// "access-control-allow-origin".
///
/// The string is static. Unknown numbers give "unknown".
#[unsafe(no_mangle)]
pub extern "C" fn cors_header_str(header: u32) -> *const c_char {
    let known =
        HeaderName::ALL.into_iter().find(|known| *known as u32 == header);
    name(known.map(HeaderName::as_lower_str_with_nul))
}

fn reason_of(reason: u32) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|known| *known as u32 == reason)
}

/// What cors_reason_outcome() returns where there is no such decision.
pub const CORS_OUTCOME_NEVER: u32 = 0xffff_ffff;

/// cors_reason_outcome returns the CORS_OUTCOME_... of decisions about requests of
/// a CORS_KIND_... that have a CORS_REASON_..., or CORS_OUTCOME_NEVER if there are
/// none.
///
/// Servers that count decisions can so prepare a counter for each, below CORS_KINDS
/// and CORS_REASONS.
#[unsafe(no_mangle)]
pub extern "C" fn cors_reason_outcome(kind: u32, reason: u32) -> u32 {
    let kind = Kind::ALL.into_iter().find(|known| *known as u32 == kind);
    let outcome = kind.and_then(|kind| reason_of(reason)?.outcome(kind));
    outcome.map_or(CORS_OUTCOME_NEVER, |outcome| outcome as u32)
}

fn name(with_nul: Option<&'static str>) -> *const c_char {
    with_nul.unwrap_or("unknown\0").as_ptr().cast()
}

/// cors_explain tells in words what cors_decide() answers: the steps in the
/// browser's order, the headers, what the browser's console will say, and what to
/// change in the policy if the request is to be allowed.
///
/// Like snprintf(), the call writes up to size bytes, the last of them a NUL, and
/// returns the length of the whole text without the NUL. The text is UTF-8, has
/// lines that end in "\n", and holds no other control character. It is 0 if the
/// request cannot be read. buffer may be NULL if size is 0. A NULL policy is that
/// of a name which does not exist.
///
/// The call allocates, and is not meant for every request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_explain(
    policy: *const cors_policy,
    request: *const cors_request,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let explain = || {
        // SAFETY: the header asks for a policy that is alive, a request of the
        // size that it says, and `size` bytes at `buffer`.
        let (policy, request, mut buffer) = unsafe {
            let buffer = Buffer::new(buffer, size);
            (policy_of(policy), ffi::request(request), buffer)
        };
        if let Ok(request) = request {
            let policy = policy.map(|own| &own.policy);
            let text = Policy::explain(policy, request, None).to_string();
            buffer.push(text.as_bytes());
        }
        buffer.finish()
    };
    guard(|| 0, explain)
}
