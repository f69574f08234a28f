//! What `cargo xtask`, the demo, the bench harness and the soak share: running
//! other programs ([`run`]), and finding or installing what they need
//! ([`packages`], [`venv`]).

pub mod packages;
pub mod run;
pub mod venv;
