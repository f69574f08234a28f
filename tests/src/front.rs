//! Asking the front of a server under test, and what the policies of these tests
//! give.

use libcors_testkit::{
    http::{self, Client, Reply},
    suite::Line,
};

/// An origin that the policies allow.
pub const APP: &str = "https://app.example.com";
/// Another.
pub const OTHER: &str = "https://other.example.com";
/// One that they do not.
pub const EVIL: &str = "https://evil.example";

/// The policies of these tests.
pub const POLICIES: &str = r#"
[policy.api]
allow_origins = ["https://app.example.com", "https://other.example.com"]
allow_methods = ["PUT"]
allow_headers = ["X-A"]
allow_credentials = true
max_age = 600

[policy.open]
allow_origins = ["*"]

[policy.wild]
allow_origins = ["https://*.example.com"]

[policy.status]
allow_origins = ["https://app.example.com"]
preflight_status = 200

[policy.strict]
allow_origins = ["https://app.example.com"]
disallowed = "reject"
self_origins = ["https://www.example.com"]

[policy.report]
allow_origins = ["https://app.example.com"]
mode = "report"

[policy.forward]
allow_origins = ["https://app.example.com"]
allow_methods = ["PUT"]
allow_headers = ["X-A"]
preflight = "forward"

[policy.sockets]
allow_origins = ["https://app.example.com"]
websocket = "reject"
self_origins = ["https://api.example.com"]
"#;

/// The key of the tests, by which tokens of `https://login.example.com` are
/// signed.
pub const JWKS: &str = r#"{"keys": [{"kty": "oct", "alg": "HS256", "kid": "a",
    "k": "YSBrZXkgb2YgdGhlIHRlc3RzIGFsb25lLCAzMiBieXRlcw"}]}"#;

/// `Authorization` with such a token.
pub const TOKEN: &str = "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImEifQ.\
    eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tIiwic3ViIjoic29tZWJvZHkifQ.\
    q81YolhXYFr2WiGm2xHBhiADoJNuczV4l4nHCkXTJHU";

/// The port that a server listens on.
#[derive(Clone, Copy, Debug)]
pub struct Front {
    /// Its number.
    pub port: u16,
}

impl Front {
    /// Asks for a path with these header lines.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        lines: &[(&str, &str)],
    ) -> Reply {
        let lines: Vec<Line> = lines
            .iter()
            .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
            .collect();
        let request = http::request_bytes(method.as_bytes(), path, &lines);
        Client::connect(self.port).unwrap().ask(&request).unwrap()
    }

    /// Asks as a page of an origin does.
    pub fn get(&self, path: &str, origin: &str) -> Reply {
        self.ask("GET", path, &[("Origin", origin)])
    }

    /// Asks whether a page of an origin may `PUT` with a header of its own.
    pub fn preflight(&self, path: &str, origin: &str) -> Reply {
        self.ask(
            "OPTIONS",
            path,
            &[
                ("Origin", origin),
                ("Access-Control-Request-Method", "PUT"),
                ("Access-Control-Request-Headers", "x-a"),
            ],
        )
    }
}

/// Nothing but the headers that `api` gives an allowed actual request.
#[track_caller]
pub fn assert_allowed(reply: &Reply, status: u16, origin: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), origin);
    assert_eq!(reply.value("access-control-allow-credentials"), "true");
    assert_eq!(reply.values("access-control-allow-methods").len(), 0);
    assert!(reply.value("vary").contains("Origin"), "{reply:?}");
}

/// No CORS header at all, and a `Vary` for caches.
#[track_caller]
pub fn assert_denied(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert_eq!(cors_lines(reply), 0, "{reply:?}");
    assert!(reply.value("vary").contains("Origin"), "{reply:?}");
}

/// The number of header lines that are CORS's.
pub fn cors_lines(reply: &Reply) -> usize {
    let prefix = b"access-control-";
    let is_cors = |name: &[u8]| name.to_ascii_lowercase().starts_with(prefix);
    reply.lines.iter().filter(|(name, _)| is_cors(name)).count()
}

/// All that `api` says to an allowed preflight.
#[track_caller]
pub fn assert_preflight(reply: &Reply) {
    assert_eq!(reply.status, 204, "{reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
    assert_eq!(reply.value("access-control-allow-credentials"), "true");
    assert_eq!(reply.value("access-control-allow-methods"), "PUT");
    assert_eq!(reply.value("access-control-allow-headers"), "x-a");
    assert_eq!(reply.value("access-control-max-age"), "600");
    assert_eq!(reply.value("vary"), "Origin");
    assert_eq!(reply.values("content-length").len(), 0);
    assert!(reply.body.is_empty());
}
