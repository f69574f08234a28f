//! What is asked in the demo, and what should come of it.

use std::io;

use libcors_policy::{Decision, Explanation, Policy, Request};
use libcors_testkit::{
    browser::{
        self, Blocked, Credentials, Dialect, Response, Rules, Script,
        ScriptHeader,
    },
    http::{self, Reply},
    suite::Line,
};

use super::ServerName;

/// A row of the demo: what a page wants, and what should come of it.
pub(super) struct Scene {
    pub title: &'static str,
    /// The origin of the page; none where no CORS is involved.
    pub origin: Option<&'static str>,
    pub method: &'static str,
    pub path: &'static str,
    /// Headers that the page sets.
    pub headers: &'static [&'static str],
    /// Whether the preflight is sent, or the request itself.
    pub preflight: bool,
    /// Whether the application is asked, and not the server.
    pub bare: bool,
    /// The status of the server where it does not ask the application.
    pub own_status: Option<u16>,
    pub status: u16,
    pub verdict: Verdict,
    /// The reason of the decision.
    pub reason: &'static str,
}

/// What a browser does with an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Nothing is checked without CORS.
    NoCheck,
    /// The page reads the response.
    Reads,
    /// After a preflight, the request is sent.
    Sends,
    /// Neither.
    Blocked(Blocked),
}

const PLAIN: Scene = Scene {
    title: "",
    origin: Some("https://app.example.com"),
    method: "GET",
    path: "/items",
    headers: &[],
    preflight: false,
    bare: false,
    own_status: None,
    status: 200,
    verdict: Verdict::Reads,
    reason: "allowed",
};

const PREFLIGHT: Scene = Scene {
    method: "PUT",
    path: "/items/7",
    headers: &["Content-Type"],
    preflight: true,
    status: 204,
    verdict: Verdict::Sends,
    ..PLAIN
};

/// All rows.
pub(super) fn scenes(server: ServerName) -> Vec<Scene> {
    // What each server says where nothing is, and where the application is down.
    let (password, nothing, down) = match server {
        ServerName::Nginx => (
            "A preflight where nginx asks for a password (auth_basic)",
            "A file that nginx does not find",
            502,
        ),
        ServerName::Envoy => (
            "A preflight where Envoy asks for a password (basic_auth)",
            "A path that Envoy has no route for",
            503,
        ),
    };
    vec![
        Scene {
            title: "The application alone, without libcors",
            bare: true,
            verdict: Verdict::Blocked(Blocked::AllowOriginMultiple),
            reason: "",
            ..PLAIN
        },
        Scene { title: "A page of an allowed origin", ..PLAIN },
        Scene {
            title: "A page of another allowed origin, for the same response",
            origin: Some("https://admin.example.com"),
            ..PLAIN
        },
        Scene {
            title: "A page of any other site",
            origin: Some("https://evil.example"),
            verdict: Verdict::Blocked(Blocked::AllowOriginMissing),
            reason: "origin_not_allowed",
            ..PLAIN
        },
        Scene {
            title: "The right host, the wrong scheme",
            origin: Some("http://app.example.com"),
            verdict: Verdict::Blocked(Blocked::AllowOriginMissing),
            reason: "origin_not_allowed",
            ..PLAIN
        },
        Scene {
            title: "The preflight of a PUT with application/json",
            ..PREFLIGHT
        },
        Scene {
            title: "The preflight of a PUT with a header that is not listed",
            headers: &["X-Debug"],
            verdict: Verdict::Blocked(Blocked::Header),
            reason: "header_not_allowed",
            ..PREFLIGHT
        },
        Scene {
            title: "The preflight of a page of any other site",
            origin: Some("https://evil.example"),
            verdict: Verdict::Blocked(Blocked::AllowOriginMissing),
            reason: "origin_not_allowed",
            ..PREFLIGHT
        },
        Scene { title: password, path: "/account", ..PREFLIGHT },
        Scene {
            title: "A request without the password: the page learns that it is 401",
            path: "/account",
            own_status: Some(401),
            status: 401,
            ..PLAIN
        },
        Scene {
            title: nothing,
            path: "/files/none.css",
            own_status: Some(404),
            status: 404,
            ..PLAIN
        },
        Scene {
            title: "An application that is down",
            path: "/down",
            own_status: Some(down),
            status: down,
            ..PLAIN
        },
        Scene {
            title: "No Origin: a link, an image, a page of the same site, curl",
            origin: None,
            verdict: Verdict::NoCheck,
            reason: "not_cors",
            ..PLAIN
        },
    ]
}

impl Scene {
    fn script(&self, origin: &str) -> Script {
        Script {
            origin: origin.into(),
            method: self.method.into(),
            headers: self
                .headers
                .iter()
                .map(|&name| ScriptHeader {
                    name: name.into(),
                    unusual_value: true,
                })
                .collect(),
            credentials: Credentials::Include,
            forced: false,
        }
    }

    /// The method and the header lines of the request that a browser sends.
    pub fn wire(&self) -> (Vec<u8>, Vec<Line>) {
        let line = |name: &str, value: &str| {
            (name.as_bytes().to_vec(), value.as_bytes().to_vec())
        };
        let Some(origin) = self.origin else {
            return (self.method.into(), vec![]);
        };
        if self.preflight
            && let Some(sent) = self.script(origin).preflight(Dialect::Chromium)
        {
            return (sent.method, sent.lines);
        }
        (self.method.into(), vec![line("Origin", origin)])
    }

    /// Asks a server.
    pub fn ask(&self, port: u16) -> io::Result<Reply> {
        let (method, mut lines) = self.wire();
        lines.push((b"Host".to_vec(), b"api.example.com".to_vec()));
        let bytes = http::request_bytes(&method, self.path, &lines);
        http::exchange(port, &bytes)
    }

    /// Hands the request, as the engine wants it, to `use_request`.
    fn with_request<T>(
        &self,
        use_request: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let (method, lines) = self.wire();
        let values = |name: &str| -> Vec<&[u8]> {
            lines
                .iter()
                .filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
                .map(|(_, value)| value.as_slice())
                .collect()
        };
        let origin = values("origin");
        let request_method = values("access-control-request-method");
        let request_headers = values("access-control-request-headers");
        use_request(&Request {
            origin: &origin,
            request_method: &request_method,
            request_headers: &request_headers,
            scheme: b"http",
            host: b"api.example.com",
            ..Request::new(&method)
        })
    }

    /// What a server makes of a response by the decision of the engine.
    pub fn decide(&self, policy: &Policy, response: Reply) -> Reply {
        self.with_request(|request| {
            carry_out(&policy.decide(request), response)
        })
    }

    /// Why it was decided so, in words.
    pub fn explain(&self, policy: &Policy) -> Explanation {
        let credentials = Some(libcors_policy::Credentials::Include);
        self.with_request(|request| {
            Policy::explain(Some(policy), request, credentials)
        })
    }

    /// What a browser does with an answer.
    pub fn judge(&self, reply: &Reply) -> Verdict {
        let Some(origin) = self.origin else {
            return Verdict::NoCheck;
        };
        let response =
            Response { status: reply.status, headers: reply.lines.clone() };
        let fetch = match self.script(origin).fetch() {
            Ok(fetch) => fetch,
            Err(blocked) => return Verdict::Blocked(blocked),
        };
        let (checked, passed) = if self.preflight {
            let rules = Rules::SHIPPED;
            let checked = browser::preflight_check(&fetch, &response, rules);
            (checked, Verdict::Sends)
        } else {
            let credentials = fetch.credentials;
            let checked =
                browser::cors_check(&fetch.origin, credentials, &response);
            (checked, Verdict::Reads)
        };
        match checked {
            Ok(()) => passed,
            Err(blocked) => Verdict::Blocked(blocked),
        }
    }
}

/// As docs/abi.md tells an adapter to do.
fn carry_out(decision: &Decision<'_>, mut response: Reply) -> Reply {
    if let Some(status) = decision.status() {
        response = Reply { status, lines: vec![], body: vec![] };
    }
    let is_vary = |name: &[u8]| name.eq_ignore_ascii_case(b"vary");
    let vary = decision.vary().merge(
        response
            .lines
            .iter()
            .filter(|(name, _)| is_vary(name))
            .map(|(_, value)| value.as_slice()),
    );
    response.lines.retain(|(name, _)| !decision.owns(name) && !is_vary(name));
    for header in decision.headers() {
        let name = header.name().as_str().as_bytes().to_vec();
        response.lines.push((name, header.value().to_vec()));
    }
    if !vary.is_empty() {
        response.lines.push((b"Vary".to_vec(), vary));
    }
    response
}
