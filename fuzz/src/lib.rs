//! What the fuzz targets share.

use std::sync::LazyLock;

use libcors_config::{Format, Policies, parse};
use libcors_testkit::naive;

/// The policies that requests are put to.
pub const POLICIES: &str = include_str!("../policies.toml");

/// [`POLICIES`], compiled by the engine and read by the naive one, in the same
/// order.
pub static FIXED: LazyLock<(Policies, Vec<naive::Policy>)> =
    LazyLock::new(|| {
        let outcome = parse(POLICIES.as_bytes(), "fixed", Format::Toml);
        let policies = outcome
            .policies
            .unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics));
        let table: toml::Table = POLICIES.parse().unwrap();
        let naive = policies
            .iter()
            .map(|policy| {
                let table = naive::effective(&table, policy.name()).unwrap();
                naive::Policy::parse(&table).unwrap()
            })
            .collect();
        (policies, naive)
    });

/// Whether these are bytes that no header of a response may hold.
pub fn breaks_lines(value: &[u8]) -> bool {
    value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0'))
}
