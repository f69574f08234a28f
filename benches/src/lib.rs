//! Benchmarks of decisions.
