//! The C ABI of libcors: what `include/cors.h` declares.
//!
//! The header is generated from this crate and is the manual. So the comments on
//! exported items here speak to C programmers; what Rust needs to know stands in
//! plain comments. Every function converts its arguments, calls one method of the
//! core, and converts the result; every pointer is converted in `ffi.rs`.

#![allow(non_camel_case_types)]
// The header says what callers promise, once and for all functions.
#![allow(clippy::missing_safety_doc)]

mod decision;
mod diagnostics;
mod edits;
mod explain;
mod ffi;
mod image;
mod policies;
mod request;
mod status;
mod types;
mod version;

pub use crate::{
    decision::*, diagnostics::*, edits::*, explain::*, policies::*, request::*,
    status::*, types::*, version::*,
};
