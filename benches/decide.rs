//! Wall-clock time of decisions. For comparisons within one run; on a shared
//! machine instruction counts are the ones to trust (`cargo bench-libcors engine`).

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use libcors_benches::workloads;

fn decide(criterion: &mut Criterion) {
    for workload in workloads() {
        let policies = workload.compile();
        let policy = policies.get("bench").expect("the policy").policy();
        let lines = workload.lines();
        let lines = lines.borrow();
        let request = lines.request();
        criterion.bench_function(workload.id(), |bencher| {
            bencher.iter(|| {
                let decision = black_box(policy).decide(black_box(&request));
                // As a server would: look at every header.
                decision.visit_headers(|header| {
                    black_box(header.value());
                });
                decision.reason()
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(200)
        .noise_threshold(0.03);
    targets = decide
}
criterion_main!(benches);
