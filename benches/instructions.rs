//! Runs one workload so many times, for callgrind: the difference of two runs is
//! the cost of a decision. `cargo xtask bench decide` does that.

use std::{env, hint::black_box};

use libcors_benches::{Workload, workloads};

#[inline(never)]
fn run(workload: &Workload, times: u64) {
    let lines = workload.lines();
    let request = workload.request(&lines);
    for _ in 0..times {
        let policy = black_box(&workload.policy);
        let decision = policy.decide(black_box(&request));
        for header in decision.headers() {
            black_box(header.value());
        }
        black_box(decision.reason());
    }
}

fn main() {
    let mut arguments = env::args().skip(1);
    let Some(name) = arguments.next() else {
        for workload in workloads() {
            println!("{}", workload.name);
        }
        return;
    };
    let times = arguments.next().and_then(|times| times.parse().ok());
    for workload in workloads() {
        if workload.name == name {
            run(&workload, times.unwrap_or(1));
        }
    }
}
