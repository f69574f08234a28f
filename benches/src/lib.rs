//! What all benches share: the workloads, and how a program runs them.
//!
//! The workloads are in `workloads.toml`, with the answers that are expected.
//! `cargo bench-libcors` gives them to programs called runners, one for each
//! language; [`runner`] says how.

mod workload;

pub mod runner;

pub use crate::workload::{
    BorrowedLines, Lines, Workload, expression, find, request_text, shop,
    workloads,
};
