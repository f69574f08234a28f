//! What the tests of libcors share: a model of the browser, a slow engine that is obviously
//! right, the loader of the suite in `tests/suite`, and strategies for property tests.
//!
//! Nothing here knows the engine. [`naive`] and [`browser`] are second and third opinions, and
//! an opinion that shared code with the thing judged would be worth nothing.

#![forbid(unsafe_code)]

pub mod browser;
pub mod check;
pub mod envoy;
pub mod http;
#[cfg(feature = "http2")]
pub mod http2;
pub mod naive;
pub mod nginx;
pub mod process;
#[cfg(feature = "strategy")]
pub mod strategy;
pub mod suite;
