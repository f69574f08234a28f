//! What the tests beside this file share: requests and decisions of the engine in
//! the suite's own terms.
//!
//! `suite/` holds the cases, as data. The other files put them through one host
//! each.

pub mod front;
pub mod nginx;
pub mod responses;

use libcors_policy::{Decision, HeaderName, Lines, Request};
use libcors_testkit::naive::{self, Answer};

/// The lines of a field, as the suite has them.
#[derive(Clone, Copy, Debug)]
pub struct SuiteLines<'r>(&'r [Vec<u8>]);

impl<'r> Lines<'r> for SuiteLines<'r> {
    fn count(self) -> usize {
        self.0.len()
    }

    fn line(self, index: usize) -> &'r [u8] {
        self.0.get(index).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A request of the suite, as the engine sees it.
pub fn request(request: &naive::Request) -> Request<'_, SuiteLines<'_>> {
    Request {
        method: &request.method,
        origin: SuiteLines(&request.origin),
        request_method: SuiteLines(&request.request_method),
        request_headers: SuiteLines(&request.request_headers),
        request_private_network: SuiteLines(&request.request_private_network),
        upgrade: SuiteLines(&request.upgrade),
        protocol: request.protocol.as_deref().unwrap_or_default(),
        scheme: request.scheme.as_deref().unwrap_or_default(),
        host: request.host.as_deref().unwrap_or_default(),
        sec_fetch_site: request.sec_fetch_site.as_deref().unwrap_or_default(),
    }
}

/// A decision, in the suite's terms.
pub fn answer<'a, L: Lines<'a>>(decision: &Decision<'a, L>) -> Answer {
    let owned = HeaderName::ALL
        .into_iter()
        .filter(|header| decision.owns_header(*header));
    Answer {
        kind: decision.kind().as_str(),
        outcome: decision.outcome().as_str(),
        reason: decision.reason().as_str(),
        rule: decision.rule(),
        status: decision.status(),
        enforced: decision.enforced(),
        headers: decision
            .headers()
            .map(|header| {
                (header.name().as_str().to_owned(), header.value().to_vec())
            })
            .collect(),
        vary: decision.vary().names().collect(),
        remove: owned.map(HeaderName::as_lower_str).collect(),
    }
}
