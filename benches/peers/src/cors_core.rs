//! cors-core, which like libcors gives a list of headers.

use std::{hint::black_box, sync::Arc, time::Duration};

use cors_core::{AllowHeaders, AllowOrigin, Cors, CorsDecision};
use libcors_benches::{
    Workload,
    runner::{Response, Subject},
};

use crate::origins::Origins;

struct Core {
    cors: Cors,
    method: Vec<u8>,
    origin: Option<Vec<u8>>,
    request_method: Option<Vec<u8>>,
    request_headers: Option<Vec<u8>>,
}

impl Core {
    #[inline(never)]
    fn decide(&self) -> CorsDecision {
        self.cors.evaluate(
            &self.method,
            self.origin.as_deref(),
            self.request_method.as_deref(),
            self.request_headers.as_deref(),
            false,
        )
    }
}

impl Subject for Core {
    fn response(&mut self) -> Response {
        let decision = self.decide();
        let headers = decision.headers().into_iter().flatten();
        let headers = headers.map(|(name, value)| {
            (String::from_utf8_lossy(name).into_owned(), value.to_vec())
        });
        Response {
            status: if decision.is_preflight() { 204 } else { 200 },
            headers: headers.collect(),
        }
    }

    fn run(&mut self, times: u64) {
        for _ in 0..times {
            black_box(black_box(&*self).decide());
        }
    }
}

pub fn cors_core(workload: &Workload) -> Option<Box<dyn Subject>> {
    let origins = match Origins::of(workload) {
        Origins::List(origins) => AllowOrigin::exact(origins),
        Origins::Predicate(covers) => AllowOrigin::Predicate(Arc::new(covers)),
    };
    let headers = workload.list("allow_headers");
    let headers = match headers.contains(&"*") {
        true => AllowHeaders::Mirror,
        false => AllowHeaders::list(headers),
    };
    let cors = Cors::builder()
        .allow_origin(origins)
        .allow_methods(workload.methods())
        .allow_headers(headers)
        .allow_credentials(workload.credentials())
        .max_age(Duration::from_secs(workload.max_age()))
        .build()
        .ok()?;
    let header = |name| workload.header(name).map(<[u8]>::to_vec);
    Some(Box::new(Core {
        cors,
        method: workload.case.method.clone(),
        origin: header("origin"),
        request_method: header("access-control-request-method"),
        request_headers: header("access-control-request-headers"),
    }))
}
