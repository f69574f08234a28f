//! What was measured on, when, and how quiet it was.

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::statistics::Samples;
use libcors_tools::run::{self, Result};

/// The day, for results.
pub(super) fn today() -> Result<String> {
    let text = run::read(run::command("date").args(["-u", "+%F"]))?;
    Ok(text.trim().to_owned())
}

/// What results depend on. No name of a host or a user, and no path.
pub(super) fn facts() -> Result<Value> {
    let processor = value_of("/proc/cpuinfo", "model name");
    let system = value_of("/etc/os-release", "PRETTY_NAME");
    let cores = std::thread::available_parallelism();
    let rustc = run::read(run::command("rustc").arg("--version"))?;
    Ok(json!({
        "processor": processor,
        "cores": cores.map_or(0, usize::from),
        "system": system.trim_matches('"'),
        "rustc": rustc.split_whitespace().nth(1).unwrap_or_default(),
    }))
}

/// The value behind a name in a file of lines `name : value` or `name=value`.
fn value_of(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.trim_start();
        rest.strip_prefix([':', '='])
    });
    value.unwrap_or("unknown").trim().to_owned()
}

/// How much the machine was disturbed while something else was measured: the
/// same work is done over and over, which should always take the same time.
#[derive(Debug, Default)]
pub(super) struct Noise {
    samples: Samples,
    turns: u64,
}

impl Noise {
    /// Does the work once more: about 60 microseconds.
    pub(super) fn sample(&mut self) {
        if self.turns == 0 {
            self.turns = 1000;
            while work(self.turns) < Duration::from_micros(60) {
                self.turns *= 2;
            }
        }
        self.samples.push(work(self.turns).as_secs_f64() * 1e9);
    }

    /// Does the work so many times.
    pub(super) fn samples(&mut self, times: usize) {
        (0..times).for_each(|_| self.sample());
    }

    /// How much slower the slowest tenth was than the fastest, in percent.
    pub(super) fn spread(&self) -> f64 {
        let slow = self.samples.percentile(90.0);
        let fast = self.samples.percentile(10.0);
        (slow / fast - 1.0) * 100.0
    }

    /// Prints and returns it.
    pub(super) fn report(&self) -> Value {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        let load: f64 = load.parse().unwrap_or_default();
        let cores = std::thread::available_parallelism();
        let crowded = load > cores.map_or(1, usize::from) as f64;
        let spread = self.spread();
        let verdict = match spread {
            ..10.0 if !crowded => "quiet",
            ..40.0 => {
                "disturbed: trust ratios, and differences of 20 % or more"
            }
            _ => "busy: trust no time above, only instructions",
        };
        run::say(format_args!(
            "the machine: a constant loop took {spread:.0} % longer in its \
             slowest tenth than in its fastest; load average {load}; {verdict}"
        ));
        json!({
            "spread_percent": spread.round(),
            "load_average": load,
        })
    }
}

fn work(turns: u64) -> Duration {
    let start = Instant::now();
    let mut value = black_box(1u64);
    for turn in 0..turns {
        value = value.wrapping_mul(6_364_136_223_846_793_005) ^ turn;
    }
    black_box(value);
    start.elapsed()
}
