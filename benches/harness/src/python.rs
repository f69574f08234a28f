//! `cargo bench-libcors python`: the Python package beside other middlewares.
//!
//! `benches/python/run.py` measures; this runs it where the package is installed,
//! and keeps the results.

use serde_json::{Value, json};

use super::{machine::Noise, results};
use libcors_tools::{
    fail,
    run::{self, Context as _, Result},
};

/// Runs `cargo bench-libcors python`.
pub(super) fn command() -> Result {
    // `cargo xtask python` makes it, with the package in it.
    let python = run::target().join("python/venv/main/bin/python");
    if !python.exists() {
        fail!("the package is not built: run `cargo xtask python` first");
    }
    let mut noise = Noise::default();
    noise.samples(500);
    let text = run::read(
        run::command(&python)
            .arg("-B")
            .arg(run::root().join("benches/python/run.py"))
            .env_remove("PYTHONPATH"),
    )?;
    noise.samples(500);
    let rows = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).context(line))
        .collect::<Result<Vec<Value>>>()?;
    if rows.is_empty() {
        fail!("benches/python/run.py printed nothing");
    }
    run::say(
        "nanoseconds per request, median; more than without CORS; and how \
         many times as much as libcors",
    );
    for row in &rows {
        let text = |key: &str| match &row[key] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            number => number.to_string(),
        };
        run::say(format_args!(
            "{:<24}{:<24}{:>12}{:>12}{:>10}",
            text("workload"),
            text("contender"),
            text("ns"),
            text("added_ns"),
            text("ratio"),
        ));
    }
    let noise = noise.report();
    results::write("python", json!({ "noise": noise, "times": rows }))
}
