//! `benches/results`: what was measured, for people and for the picture.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::machine;
use libcors_tools::run::{self, Context as _, Result};

const FOLDER: &str = "benches/results";

fn path(name: &str) -> PathBuf {
    run::root().join(FOLDER).join(format!("{name}.json"))
}

/// Writes results, with the date and the machine.
pub(super) fn write(name: &str, mut results: Value) -> Result {
    results["date"] = machine::today()?.into();
    results["machine"] = machine::facts()?;
    let path = path(name);
    fs::create_dir_all(run::root().join(FOLDER)).context(FOLDER)?;
    let text = serde_json::to_string_pretty(&results).context(name)?;
    fs::write(&path, text + "\n").context(path.display())?;
    run::say(format_args!("wrote {FOLDER}/{name}.json"));
    Ok(())
}

/// Reads results; `None` if there are none.
pub(super) fn read(name: &str) -> Result<Option<Value>> {
    let path = path(name);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).context(path.display())?;
    serde_json::from_str(&text).map(Some).context(path.display())
}
