//! Words for people.

use core::ffi::c_char;

use libcors_policy::{Kind, Outcome, Reason};

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
    let known = Reason::ALL.into_iter().find(|known| *known as u32 == reason);
    name(known.map(Reason::as_str_with_nul))
}

fn name(with_nul: Option<&'static str>) -> *const c_char {
    with_nul.unwrap_or("unknown\0").as_ptr().cast()
}
