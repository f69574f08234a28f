//! The workloads that all benchmarks share: policies, and requests to them.

use libcors_policy::{OriginPattern, Policy, Request};

/// A policy and a request that is put to it over and over.
#[derive(Debug)]
pub struct Workload {
    /// What is measured.
    pub name: &'static str,
    /// The policy.
    pub policy: Policy,
    /// The method.
    pub method: &'static [u8],
    /// `Origin`.
    pub origin: Vec<u8>,
    /// `Access-Control-Request-Method`, for preflights.
    pub request_method: Option<&'static [u8]>,
    /// `Access-Control-Request-Headers`, for preflights.
    pub request_headers: Option<Vec<u8>>,
}

/// The lines of a workload's request, to borrow a [`Request`] from.
#[derive(Debug)]
pub struct Lines<'w> {
    origin: [&'w [u8]; 1],
    request_method: Vec<&'w [u8]>,
    request_headers: Vec<&'w [u8]>,
}

impl Workload {
    /// The lines of the request.
    pub fn lines(&self) -> Lines<'_> {
        Lines {
            origin: [&self.origin],
            request_method: self.request_method.into_iter().collect(),
            request_headers: self
                .request_headers
                .as_deref()
                .into_iter()
                .collect(),
        }
    }

    /// The request.
    pub fn request<'w>(&'w self, lines: &'w Lines<'w>) -> Request<'w> {
        Request {
            origin: &lines.origin,
            request_method: &lines.request_method,
            request_headers: &lines.request_headers,
            ..Request::new(self.method)
        }
    }
}

/// The origin at `index` of a list whose entries have much in common, which is
/// hard on look-ups.
pub fn shop(index: usize) -> String {
    format!("https://shop-{index:05}.example.org")
}

fn policy(origins: &[String], any_header: bool) -> Policy {
    let mut builder = Policy::builder().max_age(Some(600));
    for origin in origins {
        let pattern = OriginPattern::parse(origin);
        builder = builder.allow_origin(pattern.expect("a valid origin"));
    }
    for method in ["PUT", "DELETE"] {
        builder = builder.allow_method(method);
    }
    builder = if any_header {
        builder.allow_header("*").allow_credentials(true)
    } else {
        ["Content-Type", "Authorization", "X-Request-Id"]
            .into_iter()
            .fold(builder, |builder, name| builder.allow_header(name))
    };
    builder.build().expect("a valid policy")
}

fn shops(count: usize) -> Vec<String> {
    (0..count).map(shop).collect()
}

/// All workloads.
pub fn workloads() -> Vec<Workload> {
    let actual = |name, count: usize, origin: &str| Workload {
        name,
        policy: policy(&shops(count), false),
        method: b"GET",
        origin: origin.into(),
        request_method: None,
        request_headers: None,
    };
    let preflight =
        |name, origins: &[String], origin: &str, list: Vec<u8>| Workload {
            name,
            policy: policy(origins, false),
            method: b"OPTIONS",
            origin: origin.into(),
            request_method: Some(b"PUT"),
            request_headers: Some(list),
        };
    let list = b"authorization,content-type,x-request-id".to_vec();
    let wildcard = ["https://*.example.com".to_owned()];
    let one = shops(1);
    let mut any_header = preflight("any-header", &one, &shop(0), list.clone());
    any_header.policy = policy(&one, true);
    vec![
        actual("actual-1", 1, &shop(0)),
        actual("actual-100", 100, &shop(50)),
        actual("actual-10000", 10_000, &shop(5_000)),
        actual("denied-1", 1, &shop(1)),
        actual("denied-10000", 10_000, &shop(10_000)),
        preflight("preflight", &one, &shop(0), list.clone()),
        preflight(
            "preflight-wildcard",
            &wildcard,
            "https://app.example.com",
            list,
        ),
        preflight("hostile-commas", &one, &shop(0), b", ".repeat(4096)),
        preflight(
            "hostile-origin",
            &wildcard,
            &format!("https://{}.example.com", "a".repeat(8192)),
            Vec::new(),
        ),
        preflight(
            "hostile-names",
            &one,
            &shop(0),
            b"authorization,".repeat(585),
        ),
        any_header,
    ]
}
