//! What `cargo xtask` does, a module for each command, and what the commands
//! share: running programs ([`run`]) and finding what is missing ([`packages`]).
//!
//! The programs that need something built (the demo, the bench harness, the
//! soak) use these modules as well.

pub mod abi;
mod ctests;
pub mod demo;
pub mod envoy;
pub mod header;
pub mod install;
pub mod library;
mod matrix;
pub mod nginx;
pub mod packages;
pub mod python;
pub mod run;
pub mod test;
