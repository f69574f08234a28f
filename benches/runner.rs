//! The engine in Rust, as a runner of `cargo bench-libcors`.

use std::{hint::black_box, process::ExitCode};

use libcors_benches::{
    Lines, Workload,
    runner::{self, Response, Subject},
};
use libcors_config::Policies;
use libcors_policy::{Policy, Request};

struct Engine {
    policies: Policies,
    lines: Lines,
}

impl Engine {
    fn make(workload: &Workload) -> Option<Box<dyn Subject>> {
        let policies = workload.compile();
        Some(Box::new(Engine { policies, lines: workload.lines() }))
    }

    fn policy(&self) -> &Policy {
        self.policies.get("bench").expect("the policy").policy()
    }
}

impl Subject for Engine {
    fn response(&mut self) -> Response {
        let lines = self.lines.borrow();
        let request = lines.request();
        let decision = self.policy().decide(&request);
        let mut headers: Vec<(String, Vec<u8>)> = decision
            .headers()
            .map(|h| (h.name().as_str().to_owned(), h.value().to_vec()))
            .collect();
        let vary: Vec<&str> = decision.vary().names().collect();
        if !vary.is_empty() {
            headers.push(("Vary".into(), vary.join(", ").into()));
        }
        Response { status: decision.status().unwrap_or(200), headers }
    }

    fn run(&mut self, times: u64) {
        let lines = self.lines.borrow();
        let request = lines.request();
        let policy = self.policy();
        for _ in 0..times {
            decide(black_box(policy), black_box(&request));
        }
    }
}

/// A decision, carried out as a server does: it looks at every header.
#[inline(never)]
fn decide(policy: &Policy, request: &Request<'_>) {
    let decision = policy.decide(request);
    decision.visit_headers(|header| {
        black_box((header.name(), header.value()));
    });
    black_box((decision.status(), decision.vary()));
}

fn main() -> ExitCode {
    runner::main(&[("rust", Engine::make)])
}
