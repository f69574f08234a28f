//! The policies of the common suite load.

use std::{fs, path::Path};

use libcors_config::{Format, parse};

#[test]
fn the_suite_loads() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/suite");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        // A file of the suite holds cases beside its document.
        let text = fs::read_to_string(&path).unwrap();
        let mut table: toml::Table = text.parse().unwrap();
        table.remove("case");
        if !table.contains_key("policy") {
            continue;
        }
        let text = toml::to_string(&table).unwrap();
        let outcome = parse(text.as_bytes(), "suite", Format::Toml);
        let found = outcome.diagnostics;
        assert!(!found.has_errors(), "{}: {found:#?}", path.display());
        files += 1;
    }
    assert!(files > 0);
}
