//! Decisions in words, for whoever must find out why a browser blocks a request.
//!
//! Everything here is told from the decision itself. Nothing is decided anew.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use crate::{
    bytes::members,
    decision::{Decision, Kind, Outcome},
    header::HeaderName,
    origin::Origin,
    pattern::OriginPattern,
    policy::{AnyOrigin, Policy},
    reason::Reason,
    request::{Ask, Lines, Request},
};

/// The credentials mode of a page's request (Fetch standard, "credentials
/// mode"). It cannot be read off the request itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Credentials {
    /// Neither cookies nor certificates go with the request.
    Omit,
    /// They do.
    Include,
}

/// What a step is about, in the browser's order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StepKind {
    /// What kind of request it is.
    Request,
    /// The origin, against `Access-Control-Allow-Origin`.
    Origin,
    /// The credentials, against `Access-Control-Allow-Credentials`.
    Credentials,
    /// The method, against `Access-Control-Allow-Methods`.
    Method,
    /// The headers, against `Access-Control-Allow-Headers`.
    Headers,
}

impl StepKind {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            StepKind::Request => "request",
            StepKind::Origin => "origin",
            StepKind::Credentials => "credentials",
            StepKind::Method => "method",
            StepKind::Headers => "headers",
        }
    }
}

/// One step of an explanation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    kind: StepKind,
    passed: Option<bool>,
    text: String,
}

impl Step {
    /// What the step is about.
    pub fn kind(&self) -> StepKind {
        self.kind
    }

    /// Whether it was passed; `None` if there was nothing to pass.
    pub fn passed(&self) -> Option<bool> {
        self.passed
    }

    /// One sentence about it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A decision in words.
///
/// It prints as several lines of plain text. No text of it holds a control
/// character other than the line's end, whatever the request held.
#[derive(Clone, Debug)]
pub struct Explanation {
    steps: Vec<Step>,
    answer: Vec<String>,
    blocked: bool,
    chromium: Option<String>,
    firefox: Option<String>,
    advice: Option<String>,
}

impl Explanation {
    /// The steps, in the browser's order. After an origin or credentials that
    /// failed there are none; method and headers are both told.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the server does, a line each: its status, then the headers it sets.
    pub fn answer(&self) -> &[String] {
        &self.answer
    }

    /// Whether a browser keeps the response from the page.
    pub fn blocked(&self) -> bool {
        self.blocked
    }

    /// What Chromium's console says, if the browser blocks.
    pub fn chromium(&self) -> Option<&str> {
        self.chromium.as_deref()
    }

    /// What Firefox's console says, if the browser blocks.
    pub fn firefox(&self) -> Option<&str> {
        self.firefox.as_deref()
    }

    /// What to change, if the request is to be allowed.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let mark = match step.passed {
                Some(true) => "passed",
                Some(false) => "FAILED",
                None => "",
            };
            writeln!(f, "{:<12}{mark:<8}{}", step.kind.as_str(), step.text)?;
        }
        for (i, line) in self.answer.iter().enumerate() {
            let label = if i == 0 { "answer" } else { "" };
            writeln!(f, "{label:<20}{line}")?;
        }
        for (label, line) in [
            ("Chromium says", &self.chromium),
            ("Firefox says", &self.firefox),
            ("to allow it", &self.advice),
        ] {
            if let Some(line) = line {
                writeln!(f, "{label:<20}{line}")?;
            }
        }
        Ok(())
    }
}

impl Policy {
    /// Explains what [`Policy::decide`] answers.
    ///
    /// `credentials` is the mode of the page's request; `None` says that it is
    /// not known. Without a policy, explains what
    /// [`Policy::decide_without_policy`] answers.
    pub fn explain<'a, R: Ask<'a>>(
        policy: Option<&'a Policy>,
        request: R,
        credentials: Option<Credentials>,
    ) -> Explanation {
        let decision = match policy {
            Some(policy) => policy.decide(request),
            None => Policy::decide_without_policy(request),
        };
        let mut teller = Teller {
            policy,
            request,
            credentials,
            decision,
            story: Explanation {
                steps: Vec::new(),
                answer: Vec::new(),
                blocked: false,
                chromium: None,
                firefox: None,
                advice: None,
            },
        };
        teller.tell();
        teller.story
    }

    /// The entry of the policy's list of origins at `rule`, as it was written.
    pub fn rule_text(&self, rule: u32) -> Option<&str> {
        match self.any_origin {
            AnyOrigin::Star | AnyOrigin::Reflected { .. } => {
                (rule == 0).then_some("*")
            }
            AnyOrigin::Listed { null } if null == Some(rule) => Some("null"),
            AnyOrigin::Listed { .. } => self.origins.text(rule),
        }
    }
}

/// Text from a request, cut and escaped so that it can be shown.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        match self.0.split_at_checked(LONGEST) {
            Some((front, [_, ..])) => write!(f, "{}...", front.escape_ascii()),
            _ => write!(f, "{}", self.0.escape_ascii()),
        }
    }
}

struct Teller<'a, R: Ask<'a>> {
    policy: Option<&'a Policy>,
    request: R,
    credentials: Option<Credentials>,
    decision: Decision<'a, R::Lines>,
    story: Explanation,
}

impl<'a, R: Ask<'a>> Teller<'a, R> {
    fn tell(&mut self) {
        self.tell_request();
        self.tell_answer();
        let Some(policy) = self.policy else {
            return self.tell_no_policy();
        };
        if self.decision.kind() == Kind::None {
            return;
        }
        let origin_passed = self.tell_origin(policy);
        if self.decision.reason() == Reason::SameOrigin {
            return;
        }
        let passed = origin_passed && self.tell_credentials(policy);
        if passed && self.decision.kind() == Kind::Preflight {
            self.tell_method(policy);
            self.tell_headers(policy);
        }
    }

    fn step(&mut self, kind: StepKind, passed: Option<bool>, text: String) {
        self.story.steps.push(Step { kind, passed, text });
    }

    fn origin(&self) -> &'a [u8] {
        self.request.origin().line(0)
    }

    fn tell_request(&mut self) {
        let method = Shown(self.request.method());
        let text = match self.decision.kind() {
            Kind::None => {
                format!(
                    "{method} without Origin: nothing to decide; a browser \
                     lets the page use the response as far as it may without \
                     CORS"
                )
            }
            Kind::Actual => format!("{method} with an Origin"),
            Kind::Preflight => {
                let mut text = format!(
                    "preflight: may {} be sent",
                    Shown(self.request.request_method().line(0))
                );
                let list = self.request.request_headers();
                for i in 0..list.count().min(4) {
                    let lead = if i == 0 { " with" } else { "," };
                    text += &format!("{lead} {}", Shown(list.line(i)));
                }
                text + "?"
            }
            Kind::WebSocket => "a WebSocket is asked for; browsers do not \
                apply CORS to it, so that only the server can refuse"
                .to_owned(),
        };
        self.step(StepKind::Request, None, text);
    }

    fn tell_answer(&mut self) {
        let decision = &self.decision;
        let mut answer = Vec::new();
        answer.push(match decision.status() {
            _ if !decision.enforced => "report mode: the response is left as \
                it is; without it, this is what would be found"
                .to_owned(),
            Some(status) => format!("{status}, without asking the application"),
            None => "the application's".to_owned(),
        });
        for header in decision.headers() {
            let name = header.name().as_str();
            answer.push(format!("{name}: {}", header.value().escape_ascii()));
        }
        let vary: Vec<&str> = decision.vary().names().collect();
        if !vary.is_empty() {
            answer.push(format!("Vary: {}", vary.join(", ")));
        }
        self.story.answer = answer;
    }

    fn tell_no_policy(&mut self) {
        let text = "there is no policy of the name that the server chose, so \
            all CORS headers are removed";
        let passed = match self.decision.kind() {
            Kind::None => None,
            _ => Some(false),
        };
        self.step(StepKind::Origin, passed, text.to_owned());
        if passed.is_some() {
            self.block_missing_origin();
            self.story.advice = Some(
                "make the server choose a policy that the file has".to_owned(),
            );
        }
    }

    /// Whether the origin is allowed.
    fn tell_origin(&mut self, policy: &Policy) -> bool {
        let origin = Shown(self.origin());
        let (passed, text) = match self.decision.reason() {
            Reason::SameOrigin => (
                None,
                format!(
                    "{origin} is not listed, but it is the server's own \
                     origin: nothing to allow"
                ),
            ),
            Reason::OriginMalformed if self.request.origin().count() > 1 => (
                Some(false),
                format!(
                    "there are {} Origin lines; a browser sends one",
                    self.request.origin().count()
                ),
            ),
            Reason::OriginMalformed => (
                Some(false),
                format!("\"{origin}\" is no origin that a browser sends"),
            ),
            Reason::NullOriginNotAllowed => (
                Some(false),
                "the origin is null (a sandboxed frame, a file, a redirect \
                 across origins), which allow_origins does not list"
                    .to_owned(),
            ),
            Reason::OriginNotAllowed => (
                Some(false),
                format!("no entry of allow_origins covers {origin}"),
            ),
            // A later step may fail, but this one passed.
            _ => (Some(true), self.covered(policy)),
        };
        self.step(StepKind::Origin, passed, text);
        if passed == Some(false) {
            self.block_missing_origin();
            self.story.advice = self.advise_origin(policy);
        }
        passed == Some(true)
    }

    fn covered(&self, policy: &Policy) -> String {
        let origin = Shown(self.origin());
        match self.decision.rule() {
            Some(rule) => format!(
                "{origin} is covered by allow_origins[{rule}], \"{}\"",
                policy.rule_text(rule).unwrap_or_default().escape_debug()
            ),
            None => format!("{origin} is allowed"),
        }
    }

    fn advise_origin(&self, policy: &Policy) -> Option<String> {
        let origin = self.origin();
        match self.decision.reason() {
            Reason::NullOriginNotAllowed => Some(
                "serve the page from an origin of its own; or list \"null\" \
                 in allow_origins, with \"null_origin\" in dangerously_allow: \
                 any site can then act as that page"
                    .to_owned(),
            ),
            Reason::OriginNotAllowed => {
                let near = self.near_miss(policy, origin);
                let mut add =
                    format!("add \"{}\" to allow_origins", Shown(origin));
                let insecure = match str::from_utf8(origin)
                    .map(OriginPattern::parse)
                {
                    Ok(Ok(OriginPattern::Tuple(tuple))) => tuple.is_insecure(),
                    _ => false,
                };
                if policy.allows_credentials() && insecure {
                    add += ", with \"insecure_origins\" in \
                            dangerously_allow, as the policy allows \
                            credentials";
                }
                Some(match near {
                    Some(near) => format!("{near}; or {add}"),
                    None => add,
                })
            }
            _ => Some(
                "find out which program sent it: a browser did not".to_owned(),
            ),
        }
    }

    /// An origin that the policy does allow, and that differs in one part only.
    fn near_miss(&self, policy: &Policy, bytes: &[u8]) -> Option<String> {
        let origin = Origin::parse(bytes)?;
        let host = str::from_utf8(origin.host()).ok()?;
        let port = match origin.port() {
            Some(port) => format!(":{port}"),
            None => String::new(),
        };
        let (scheme, other) = match origin.scheme() {
            b"https" => ("https", "http"),
            b"http" => ("http", "https"),
            _ => return None,
        };
        let candidates = [
            (format!("{other}://{host}{port}"), "scheme"),
            (format!("{scheme}://{host}"), "port"),
            (format!("{other}://{host}"), "scheme and port"),
        ];
        let allowed = |text: &str| {
            let lines: &[&[u8]] = &[text.as_bytes()];
            let mut request = Request::new(b"GET");
            request.origin = lines;
            policy.decide(&request).outcome() == Outcome::Allow
        };
        let (near, part) = candidates
            .into_iter()
            .find(|(near, _)| near.as_bytes() != bytes && allowed(near))?;
        Some(format!(
            "serve the page from {near}, which is allowed and differs in its \
             {part}"
        ))
    }

    /// Whether credentials are no obstacle.
    fn tell_credentials(&mut self, policy: &Policy) -> bool {
        let allowed = policy.allows_credentials();
        let (passed, text) = match (self.credentials, allowed) {
            (Some(Credentials::Include), true) => {
                (Some(true), "the policy allows credentials")
            }
            (Some(Credentials::Include), false) => (
                Some(false),
                "the page sends credentials, and the policy does not allow \
                 them",
            ),
            (Some(Credentials::Omit), _) => {
                (None, "the page sends no credentials")
            }
            (None, true) => (None, "the policy allows them"),
            (None, false) => (
                None,
                "the policy does not allow them: a page that asks for them \
                 (credentials: \"include\") is blocked",
            ),
        };
        self.step(StepKind::Credentials, passed, text.to_owned());
        if passed != Some(false) {
            return true;
        }
        let star = policy.any_origin == AnyOrigin::Star;
        let (chromium, firefox) = if star {
            (
                "The value of the 'Access-Control-Allow-Origin' header in the \
                 response must not be the wildcard '*' when the request's \
                 credentials mode is 'include'.",
                "Credential is not supported if the CORS header \
                 ‘Access-Control-Allow-Origin’ is ‘*’",
            )
        } else {
            (
                "The value of the 'Access-Control-Allow-Credentials' header \
                 in the response is '' which must be 'true' when the \
                 request's credentials mode is 'include'.",
                "expected ‘true’ in CORS header \
                 ‘Access-Control-Allow-Credentials’",
            )
        };
        self.block(&self.in_preflight(chromium), firefox);
        self.story.advice = Some(
            match star {
                true => {
                    "list the origins one by one, and set allow_credentials = \
                     true; or let the page send none"
                }
                false => {
                    "set allow_credentials = true; or let the page send none"
                }
            }
            .to_owned(),
        );
        false
    }

    fn tell_method(&mut self, policy: &Policy) {
        let method = self.request.request_method().line(0);
        let shown = Shown(method);
        let (passed, text) = match self.decision.reason() {
            Reason::MethodMalformed => {
                (false, format!("\"{shown}\" is no method"))
            }
            Reason::MethodNotAllowed => {
                (false, format!("allow_methods does not list {shown}"))
            }
            _ if matches!(method, b"GET" | b"HEAD" | b"POST") => {
                (true, format!("{shown} is always allowed"))
            }
            _ => (true, format!("allow_methods covers {shown}")),
        };
        self.step(StepKind::Method, Some(passed), text);
        if passed {
            return;
        }
        self.block_method();
        let upper = method.to_ascii_uppercase();
        self.story.advice = Some(
            if self.decision.reason() == Reason::MethodMalformed {
                "find out which program sent it: a browser did not".to_owned()
            } else if upper != method {
                let write = format!(
                    "write {} in the page's script: methods compare by case, and \
                 browsers send this one as it is written",
                    Shown(&upper)
                );
                match policy.methods.listed.contains(&upper) {
                    true => write,
                    false => format!(
                        "{write}; and add \"{}\" to allow_methods",
                        Shown(&upper)
                    ),
                }
            } else {
                format!("add \"{shown}\" to allow_methods")
            },
        );
    }

    fn tell_headers(&mut self, policy: &Policy) {
        let failed_before = self.story.blocked;
        let list = self.request.request_headers();
        let lines = || (0..list.count()).map(|i| list.line(i));
        let reason = self.decision.reason();
        let unlisted: Vec<&[u8]> = match reason {
            Reason::HeadersMalformed | Reason::HeadersTooLarge => Vec::new(),
            _ => lines()
                .flat_map(members)
                .filter(|name| !policy.allows_header(name))
                .collect(),
        };
        let names = |names: &[&[u8]]| {
            let names: Vec<String> =
                names.iter().map(|name| Shown(name).to_string()).collect();
            names.join(", ")
        };
        let (passed, text) = match reason {
            Reason::HeadersMalformed => (
                Some(false),
                "Access-Control-Request-Headers is no list of header names"
                    .to_owned(),
            ),
            Reason::HeadersTooLarge => (
                Some(false),
                "Access-Control-Request-Headers is larger than any browser's"
                    .to_owned(),
            ),
            _ if !unlisted.is_empty() => (
                Some(false),
                format!("allow_headers does not list {}", names(&unlisted)),
            ),
            _ if lines().flat_map(members).next().is_none() => {
                (None, "none are asked for".to_owned())
            }
            _ => (Some(true), "allow_headers covers all of them".to_owned()),
        };
        self.step(StepKind::Headers, passed, text);
        if passed != Some(false) || failed_before {
            return;
        }
        // Without lists a browser stops at the method, if it needs one.
        let given =
            |name| self.decision.headers().any(|header| header.name() == name);
        let safelisted = matches!(
            self.request.request_method().line(0),
            b"GET" | b"HEAD" | b"POST"
        );
        let methods_withheld = !given(HeaderName::AllowMethods)
            && !given(HeaderName::AllowHeaders);
        if methods_withheld && !safelisted {
            self.block_method();
        } else {
            let first = if given(HeaderName::AllowHeaders) {
                unlisted.first().copied()
            } else {
                lines().flat_map(members).next()
            };
            let name = Shown(first.unwrap_or_default());
            self.block(
                &format!(
                    "Request header field {name} is not allowed by \
                     Access-Control-Allow-Headers in preflight response."
                ),
                &format!(
                    "header ‘{name}’ is not allowed according to header \
                     ‘Access-Control-Allow-Headers’ from CORS preflight \
                     response"
                ),
            );
        }
        self.story.advice = Some(match unlisted.is_empty() {
            true => {
                "find out which program sent it: a browser did not".to_owned()
            }
            false => format!(
                "add {} to allow_headers",
                unlisted
                    .iter()
                    .map(|name| format!("\"{}\"", Shown(name)))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        });
    }

    fn block_missing_origin(&mut self) {
        if self.decision.kind() == Kind::WebSocket {
            // The page sees that its socket failed, and nothing about CORS.
            self.story.blocked = self.decision.status().is_some();
            return;
        }
        self.block(
            &self.in_preflight(
                "No 'Access-Control-Allow-Origin' header is present on the \
                 requested resource.",
            ),
            "CORS header ‘Access-Control-Allow-Origin’ missing",
        );
    }

    fn block_method(&mut self) {
        let method = Shown(self.request.request_method().line(0));
        self.block(
            &format!(
                "Method {method} is not allowed by \
                 Access-Control-Allow-Methods in preflight response."
            ),
            "Did not find method in CORS header \
             ‘Access-Control-Allow-Methods’",
        );
    }

    fn in_preflight(&self, text: &str) -> String {
        match self.decision.kind() {
            Kind::Preflight => format!(
                "Response to preflight request doesn't pass access control \
                 check: {text}"
            ),
            _ => text.to_owned(),
        }
    }

    fn block(&mut self, chromium: &str, firefox: &str) {
        // What report mode leaves to the application nobody knows here.
        if !self.decision.enforced {
            return;
        }
        let origin = Shown(self.origin());
        self.story.blocked = true;
        self.story.chromium = Some(format!(
            "Access to fetch at '<URL>' from origin '{origin}' has been \
             blocked by CORS policy: {chromium}"
        ));
        self.story.firefox = Some(format!(
            "Cross-Origin Request Blocked: The Same Origin Policy disallows \
             reading the remote resource at <URL>. (Reason: {firefox})."
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OriginPattern;

    fn policy() -> Policy {
        Policy::builder()
            .allow_origin(
                OriginPattern::parse("https://app.example.com").unwrap(),
            )
            .allow_method("PATCH")
            .allow_header("X-A")
            .build()
            .unwrap()
    }

    fn preflight<'a>(
        origin: &'a [&'a [u8]],
        method: &'a [&'a [u8]],
        headers: &'a [&'a [u8]],
    ) -> Request<'a> {
        Request {
            origin,
            request_method: method,
            request_headers: headers,
            ..Request::new(b"OPTIONS")
        }
    }

    #[test]
    fn names_what_is_to_be_changed() {
        let policy = policy();
        let app: &[&[u8]] = &[b"https://app.example.com"];
        let explain = |request: &Request<'_>, credentials| {
            Policy::explain(Some(&policy), request, credentials)
        };

        let good = preflight(app, &[b"PATCH"], &[b"x-a"]);
        let told = explain(&good, Some(Credentials::Omit));
        assert!(!told.blocked());
        assert_eq!(told.advice(), None);
        assert_eq!(told.steps().len(), 5);

        let told = explain(&good, Some(Credentials::Include));
        assert!(told.blocked());
        assert!(told.advice().unwrap().contains("allow_credentials = true"));

        let told = explain(&preflight(app, &[b"PUT"], &[]), None);
        assert_eq!(told.advice(), Some("add \"PUT\" to allow_methods"));
        assert!(told.chromium().unwrap().ends_with(
            "Method PUT is not allowed by Access-Control-Allow-Methods in \
             preflight response."
        ));

        let told = explain(&preflight(app, &[b"patch"], &[]), None);
        assert!(told.advice().unwrap().starts_with("write PATCH"));

        let told = explain(&preflight(app, &[b"GET"], &[b"x-a,x-b"]), None);
        assert_eq!(told.advice(), Some("add \"x-b\" to allow_headers"));

        let http: &[&[u8]] = &[b"http://app.example.com"];
        let told = explain(&preflight(http, &[b"GET"], &[]), None);
        assert!(told.advice().unwrap().contains("differs in its scheme"));
    }

    #[test]
    fn shows_no_control_character() {
        let policy = policy();
        let bad: &[&[u8]] = &[b"https://a\r\n\x1b[31m\0\xff"];
        for method in [b"OPTIONS".as_slice(), b"GET"] {
            let request =
                Request { method, ..preflight(bad, &[b"\x07"], &[b"\x1b"]) };
            for policy in [Some(&policy), None] {
                let text = Policy::explain(policy, &request, None).to_string();
                assert!(
                    !text.chars().any(|c| c.is_control() && c != '\n'),
                    "{text:?}"
                );
            }
        }
    }
}
