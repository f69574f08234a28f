//! What `cargo xtask` does, a module for each command.
//!
//! The programs that need something built (the demo, the bench harness, the
//! soak) use these modules as well.

pub mod abi;
mod ctests;
pub mod demo;
pub mod envoy;
pub mod header;
pub mod install;
mod installed;
pub mod library;
mod matrix;
pub mod nginx;
mod panics;
pub mod python;
pub mod test;
mod totals;

use libcors_tools::{fail, packages, run, venv};
