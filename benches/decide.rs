//! Wall-clock time of decisions. For comparisons within one run; on a shared
//! machine instruction counts are the ones to trust (`instructions.rs`).

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use libcors_benches::workloads;

fn decide(criterion: &mut Criterion) {
    for workload in workloads() {
        let lines = workload.lines();
        let request = workload.request(&lines);
        criterion.bench_function(workload.name, |bencher| {
            bencher.iter(|| {
                let policy = black_box(&workload.policy);
                let decision = policy.decide(black_box(&request));
                // As a server would: look at every header.
                for header in decision.headers() {
                    black_box(header.value());
                }
                decision.reason()
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50);
    targets = decide
}
criterion_main!(benches);
