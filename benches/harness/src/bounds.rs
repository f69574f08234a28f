//! What must hold, beside what was measured last.

use serde_json::Value;

use super::results;
use libcors_tools::run::{self, Result};
use xtask::library;

/// Says of each bound whether it holds, from `benches/results`.
pub(super) fn report() -> Result {
    let engine = results::read("engine")?.unwrap_or_default();
    let growth = results::read("growth")?.unwrap_or_default();
    let instructions = |contender: &str, workload: &str| {
        row(&engine["instructions"], contender, workload, "instructions")
    };
    let time = |contender: &str, workload: &str| {
        row(&engine["times"], contender, workload, "ns")
    };
    let origins = |count: u64, key: &str| {
        let rows = growth["origins"].as_array()?;
        rows.iter().find(|row| row["origins"] == count)?[key].as_f64()
    };
    let sizes = results::read("sizes")?.unwrap_or_default();
    let size = |features: &str| {
        let rows = sizes["files"].as_array()?;
        let is_it = |row: &&Value| {
            row["file"] == "libcors.so" && row["features"] == features
        };
        rows.iter().find(is_it)?["bytes"].as_f64()
    };

    run::say("\nwhat must hold, of what was measured last:");
    say("W1 through the C ABI: ns", time("c-shared", "w1"), 10.0);
    let empty = instructions("c-shared/loop", "w1");
    let floor = instructions("c-shared/floor", "w1");
    let net = |count: Option<f64>| Some(count? - empty?);
    say(
        "W1 through the C ABI: times the floor's instructions",
        ratio(net(instructions("c-shared", "w1")), net(floor)),
        2.5,
    );
    // What is compared has other sinks; docs/performance.md says what that means.
    let peers = ["cors-core", "tower-http", "actix-cors"];
    for workload in ["w1", "w5", "w6"] {
        let times = peers.iter().filter_map(|peer| time(peer, workload));
        let fastest = times.reduce(f64::min);
        say(
            &format!(
                "{workload}: 12 times ours, as a share of the fastest peer"
            ),
            ratio(time("c-shared", workload).map(|ns| 12.0 * ns), fastest),
            1.0,
        );
    }
    for workload in ["w3", "w5", "w6"] {
        let what = format!("{} through the C ABI: ns", workload.to_uppercase());
        say(&what, time("c-shared", workload), 25.0);
    }
    for workload in ["w7-commas", "w7-spaces", "w7-names", "w7-origin"] {
        say(
            &format!("{workload}: times the instructions of W5"),
            ratio(
                instructions("c-shared", workload),
                instructions("c-shared", "w5"),
            ),
            1.0,
        );
    }
    say("w7-scanned: ns", time("c-shared", "w7-scanned"), 4000.0);
    say(
        "1,000,000 origins: ms to compile",
        origins(1_000_000, "compile_ms"),
        1000.0,
    );
    say(
        "1,000,000 origins: bytes beside the text of each",
        origins(1_000_000, "bytes_over_text"),
        100.0,
    );
    say(
        "1,000,000 origins: times the decision with 1",
        ratio(origins(1_000_000, "same_ns"), origins(1, "same_ns")),
        3.0,
    );
    let most = library::LARGEST as f64;
    say("libcors.so: bytes", size("all features"), most);
    say("libcors.so without features: bytes", size("no features"), 600_000.0);
    Ok(())
}

fn row(
    rows: &Value,
    contender: &str,
    workload: &str,
    key: &str,
) -> Option<f64> {
    let is_it = |row: &&Value| {
        row["contender"] == contender && row["workload"] == workload
    };
    rows.as_array()?.iter().find(is_it)?[key].as_f64()
}

fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? / b?)
}

fn say(what: &str, found: Option<f64>, most: f64) {
    let verdict = match found {
        Some(found) if found <= most => "holds",
        Some(_) => "DOES NOT HOLD",
        None => "not measured",
    };
    let number = |n: Option<f64>| match n {
        Some(n) if n >= 100.0 => format!("{n:.0}"),
        Some(n) => format!("{n:.1}"),
        None => "-".into(),
    };
    run::say(format_args!(
        "{what:<56}{:>10} of {:>8}  {verdict}",
        number(found),
        number(Some(most))
    ));
}
