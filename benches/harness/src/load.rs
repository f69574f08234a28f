//! Throughput, and how long requests wait at a constant rate.

use serde_json::{Value, json};

use super::{machine::Noise, runners, statistics::Samples};
use libcors_tools::{
    fail,
    run::{self, Result},
};

/// A server that is asked, and the request.
pub(super) struct Target<'t> {
    pub(super) name: &'t str,
    pub(super) port: u16,
    pub(super) request: Vec<u8>,
}

const ROUNDS: usize = 5;

/// Asks all of them in turn; returns rows for the results.
pub(super) fn measure(targets: &[Target<'_>], rate: u64) -> Result<Value> {
    let program = runners::example("load")?;
    let mut noise = Noise::default();
    let mut samples = vec![<[Samples; 4]>::default(); targets.len()];
    for _ in 0..ROUNDS {
        for (target, samples) in targets.iter().zip(&mut samples) {
            for (rate, seconds) in [(0, 1), (rate, 2)] {
                noise.sample();
                let text = program.feed(
                    &[target.port.into(), 16, rate, seconds],
                    &target.request,
                )?;
                let numbers: Vec<f64> = text
                    .split(' ')
                    .filter_map(|n| n.trim().parse().ok())
                    .collect();
                let [throughput, p50, p99, p999] = numbers[..] else {
                    fail!("the load generator said {text:?}");
                };
                if rate == 0 {
                    samples[0].push(throughput);
                } else {
                    samples[1].push(p50);
                    samples[2].push(p99);
                    samples[3].push(p999);
                }
            }
        }
    }
    run::say(format_args!(
        "\nan allowed GET over 16 connections, median of {ROUNDS}: requests a \
         second; and at {rate} a second, microseconds from when it was due"
    ));
    run::say(format_args!(
        "{:<28}{:>12}{:>10}{:>10}{:>10}",
        "", "requests/s", "p50", "p99", "p99.9"
    ));
    let mut rows = Vec::new();
    for (target, samples) in targets.iter().zip(&samples) {
        let [throughput, p50, p99, p999] =
            [0, 1, 2, 3].map(|which: usize| samples[which].median());
        let name = target.name;
        run::say(format_args!(
            "{name:<28}{throughput:>12.0}{p50:>10.0}{p99:>10.0}{p999:>10.0}"
        ));
        rows.push(json!({
            "contender": name,
            "requests_per_second": throughput,
            "p50_us": p50,
            "p99_us": p99,
            "p999_us": p999,
        }));
    }
    Ok(json!({ "noise": noise.report(), "rate": rate, "load": rows }))
}
