//! `cors explain`: what a browser lets a page do, and why.
//!
//! All sentences are those of the engine. What is told here is only which requests
//! a browser sends for what the page wants to do (Fetch standard, "main fetch",
//! "CORS-safelisted method", "CORS-safelisted request-header").

use std::{borrow::Cow, io::Write, process::ExitCode};

use libcors_config::is_forbidden_request_header;
use libcors_policy::{
    Credentials, Decision, Explanation, OriginPattern, Policy, Reason, Request,
    is_token,
};
use serde::Serialize;

use crate::{
    Status,
    answer::Answer,
    args::{CredentialsMode, ExplainArgs, ExplainFormat},
    check::pretty,
    document::Chosen,
    failure::Failure,
    terminal::{BOLD, ERROR, GOOD, Terminal},
};

pub(crate) fn run(args: &ExplainArgs, terminal: Terminal) -> Status {
    let page = Page::new(args)?;
    let chosen = Chosen::load(&args.policy, terminal)?;
    let policy = chosen.policy()?;

    let actual = page.actual();
    // A browser asks nobody before it sends a request to the page's own origin.
    let own = policy.is_some_and(|policy| {
        policy.decide(&actual.request()).reason() == Reason::SameOrigin
    });
    let list = page.unsafe_headers.join(",");
    let preflight =
        (page.preflight && !own).then(|| page.preflight(list.as_bytes()));
    let told: Vec<Told<'_>> = preflight
        .iter()
        .chain([&actual])
        .scan(false, |failed, wire| {
            let told = (!*failed).then(|| page.tell(policy, wire));
            *failed |= told.as_ref().is_some_and(Told::blocked);
            told
        })
        .collect();
    let not_sent = told.len() < 1 + usize::from(preflight.is_some());
    let blocked = told.iter().any(Told::blocked);

    let mut out = terminal.stdout();
    match args.format {
        ExplainFormat::Human => {
            let mut titles = 1..;
            let mut title = |text: &str| {
                let number = titles.next().unwrap_or_default();
                format!("{BOLD}{number}. {text}{BOLD:#}")
            };
            for told in &told {
                writeln!(out, "{}", title(&told.title))?;
                writeln!(out, "{}", told.explanation)?;
            }
            if not_sent {
                let text = page.title() + ": not sent, as the preflight failed";
                writeln!(out, "{}\n", title(&text))?;
            }
            for name in &page.dropped {
                writeln!(
                    out,
                    "note: a page may not set {name}; the browser drops it\n"
                )?;
            }
            match blocked {
                true => writeln!(out, "{ERROR}blocked{ERROR:#}")?,
                false => writeln!(out, "{GOOD}not blocked{GOOD:#}")?,
            }
        }
        ExplainFormat::Json => {
            let report = Report {
                blocked,
                dropped_headers: &page.dropped,
                requests: told.iter().map(Told::report).collect(),
            };
            writeln!(out, "{}", pretty(&report)?)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::from(u8::from(args.exit_code && blocked)))
}

/// Whether a page can have this origin. To explain what no browser sends would
/// lead astray who copied the address of the page.
fn check_origin(origin: &str) -> Result<(), Failure> {
    let wrong = match OriginPattern::parse(origin) {
        Ok(OriginPattern::Null) => return Ok(()),
        Ok(OriginPattern::Tuple(tuple)) if tuple.is_exact() => return Ok(()),
        Ok(_) => "a page has one origin, without a wildcard".to_owned(),
        Err(error) => error.to_string(),
    };
    let mended = libcors_config::suggest_origin(origin);
    let mended = mended.filter(|origin| !origin.contains('*'));
    Err(Failure::Message(format!(
        "--origin: \"{}\" is no origin that a browser sends: {wrong}; write \
         \"{}\"",
        origin.escape_debug(),
        mended.as_deref().unwrap_or("https://app.example.com"),
    )))
}

/// What a page wants to do.
struct Page<'a> {
    args: &'a ExplainArgs,
    method: String,
    /// The headers that are to be asked for, as a browser lists them.
    unsafe_headers: Vec<String>,
    /// The headers that a page may not set.
    dropped: Vec<String>,
    /// Whether a browser asks before it sends the request.
    preflight: bool,
}

impl<'a> Page<'a> {
    fn new(args: &'a ExplainArgs) -> Result<Page<'a>, Failure> {
        check_origin(&args.origin)?;
        let method = normalized(&args.method);
        if !is_token(method.as_bytes()) {
            return Err(Failure::Message(format!(
                "--method: \"{}\" is no method; write one such as PUT",
                method.escape_debug()
            )));
        }
        if is_in(&["connect", "trace", "track"], &method.to_ascii_lowercase()) {
            return Err(Failure::Message(format!(
                "--method: browsers let no page send {method}; try another \
                 method"
            )));
        }
        let mut unsafe_headers = Vec::new();
        let mut dropped = Vec::new();
        for header in &args.header {
            let (name, value) = match header.split_once(':') {
                Some((name, value)) => (name, Some(value.trim())),
                None => (header.as_str(), None),
            };
            let name = name.trim();
            if !is_token(name.as_bytes()) {
                return Err(Failure::Message(format!(
                    "--header: \"{}\" is no header name; write `Name` or \
                     `Name: value`",
                    name.escape_debug()
                )));
            }
            let lower = name.to_ascii_lowercase();
            if is_forbidden_request_header(&lower) {
                dropped.push(name.to_owned());
            } else if !is_safelisted(&lower, value) {
                unsafe_headers.push(lower);
            }
        }
        unsafe_headers.sort();
        unsafe_headers.dedup();
        let simple = is_in(&["GET", "HEAD", "POST"], &method);
        let asks = !simple || !unsafe_headers.is_empty();
        let preflight = asks && !args.websocket;
        Ok(Page { args, method, unsafe_headers, dropped, preflight })
    }

    fn title(&self) -> String {
        match self.args.websocket {
            true => "the WebSocket".to_owned(),
            false => format!("the {} request", self.method),
        }
    }

    fn preflight<'p>(&'p self, list: &'p [u8]) -> Wire<'p> {
        let asks = !self.unsafe_headers.is_empty();
        Wire {
            page: self,
            method: b"OPTIONS",
            title: "the preflight".to_owned(),
            origin: [self.args.origin.as_bytes()],
            request_method: vec![self.method.as_bytes()],
            request_headers: asks.then_some(list).into_iter().collect(),
            upgrade: Vec::new(),
        }
    }

    fn actual(&self) -> Wire<'_> {
        let upgrade = self.args.websocket.then_some(b"websocket".as_slice());
        Wire {
            page: self,
            method: self.method.as_bytes(),
            title: self.title(),
            origin: [self.args.origin.as_bytes()],
            request_method: Vec::new(),
            request_headers: Vec::new(),
            upgrade: upgrade.into_iter().collect(),
        }
    }

    fn tell<'w>(
        &self,
        policy: Option<&'w Policy>,
        wire: &'w Wire<'w>,
    ) -> Told<'w> {
        let credentials = self.args.credentials.map(|mode| match mode {
            CredentialsMode::Include => Credentials::Include,
            CredentialsMode::Omit => Credentials::Omit,
        });
        let request = wire.request();
        let decision = match policy {
            Some(policy) => policy.decide(&request),
            None => Policy::decide_without_policy(&request),
        };
        Told {
            title: wire.title.clone(),
            method: wire.method,
            rule: decision.rule().and_then(|rule| policy?.rule_text(rule)),
            decision,
            explanation: Policy::explain(policy, &request, credentials),
        }
    }
}

/// A request of a page, as it reaches the server.
struct Wire<'p> {
    page: &'p Page<'p>,
    method: &'p [u8],
    title: String,
    origin: [&'p [u8]; 1],
    request_method: Vec<&'p [u8]>,
    request_headers: Vec<&'p [u8]>,
    upgrade: Vec<&'p [u8]>,
}

impl Wire<'_> {
    fn request(&self) -> Request<'_> {
        let args = self.page.args;
        Request {
            origin: &self.origin,
            request_method: &self.request_method,
            request_headers: &self.request_headers,
            upgrade: &self.upgrade,
            scheme: args.scheme.as_bytes(),
            host: args.host.as_bytes(),
            sec_fetch_site: args.sec_fetch_site.as_bytes(),
            ..Request::new(self.method)
        }
    }
}

/// A request of a page, explained.
struct Told<'w> {
    title: String,
    method: &'w [u8],
    rule: Option<&'w str>,
    decision: Decision<'w>,
    explanation: Explanation,
}

impl Told<'_> {
    fn blocked(&self) -> bool {
        self.explanation.blocked()
    }

    fn report(&self) -> RequestReport<'_> {
        let explanation = &self.explanation;
        RequestReport {
            method: String::from_utf8_lossy(self.method),
            answer: Answer::new(self.decision),
            rule_text: self.rule,
            steps: explanation
                .steps()
                .iter()
                .map(|step| StepReport {
                    step: step.kind().as_str(),
                    passed: step.passed(),
                    text: step.text(),
                })
                .collect(),
            text: explanation.answer(),
            blocked: explanation.blocked(),
            chromium: explanation.chromium(),
            firefox: explanation.firefox(),
            advice: explanation.advice(),
        }
    }
}

#[derive(Serialize)]
struct Report<'t> {
    blocked: bool,
    dropped_headers: &'t [String],
    requests: Vec<RequestReport<'t>>,
}

#[derive(Serialize)]
struct RequestReport<'t> {
    method: Cow<'t, str>,
    #[serde(flatten)]
    answer: Answer<'t, &'t [&'t [u8]]>,
    rule_text: Option<&'t str>,
    steps: Vec<StepReport<'t>>,
    #[serde(rename = "answer")]
    text: &'t [String],
    blocked: bool,
    chromium: Option<&'t str>,
    firefox: Option<&'t str>,
    advice: Option<&'t str>,
}

#[derive(Serialize)]
struct StepReport<'t> {
    step: &'static str,
    passed: Option<bool>,
    text: &'t str,
}

/// The method as a browser sends it (Fetch standard, "normalize a method").
fn normalized(method: &str) -> String {
    let upper = method.to_ascii_uppercase();
    let known = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
    match is_in(&known, &upper) {
        true => upper,
        false => method.to_owned(),
    }
}

fn is_in(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

/// Whether a browser sends this header without asking (Fetch standard,
/// "CORS-safelisted request-header"). Where the value is not known, an ordinary
/// one is meant; that of Content-Type is mostly `application/json`.
fn is_safelisted(lower: &str, value: Option<&str>) -> bool {
    if value.is_some_and(|value| value.len() > 128) {
        return false;
    }
    // "CORS-unsafe request-header byte"
    let unsafe_byte =
        |b: u8| b < b' ' && b != b'\t' || b"\"():<>?@[\\]{}\x7f".contains(&b);
    let plain = |value: &str| !value.bytes().any(unsafe_byte);
    match (lower, value) {
        ("accept", value) => value.is_none_or(plain),
        ("accept-language" | "content-language", value) => {
            value.is_none_or(|value| {
                value.bytes().all(|b| {
                    b.is_ascii_alphanumeric() || b" *,-.;=".contains(&b)
                })
            })
        }
        ("content-type", Some(value)) => {
            let essence = value.split(';').next().unwrap_or_default();
            let essence = essence.trim().to_ascii_lowercase();
            let simple = [
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "text/plain",
            ];
            plain(value) && is_in(&simple, &essence)
        }
        ("range", None) => true,
        ("range", Some(value)) => is_simple_range(value),
        _ => false,
    }
}

/// `bytes=0-` and `bytes=0-9`, and nothing else.
fn is_simple_range(value: &str) -> bool {
    let Some((first, last)) =
        value.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return false;
    };
    let number = |text: &str| text.parse::<u64>().ok();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match (number(first), number(last)) {
        _ if !digits(first) || !digits(last) => false,
        (Some(first), Some(last)) => first <= last,
        (Some(_), None) => last.is_empty(),
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_a_browser_sends_without_asking() {
        for (name, value) in [
            ("accept", None),
            ("accept", Some("text/html;q=0.9, */*")),
            ("accept-language", Some("de")),
            ("content-language", None),
            ("content-type", Some("text/plain; charset=utf-8")),
            ("content-type", Some("multipart/form-data; boundary=x")),
            (
                "content-type",
                Some("application/x-www-form-urlencoded;charset=UTF-8"),
            ),
            ("range", None),
            ("range", Some("bytes=0-9")),
            ("range", Some("bytes=5-")),
        ] {
            assert!(is_safelisted(name, value), "{name}: {value:?}");
        }
        let long = "x".repeat(129);
        for (name, value) in [
            ("x-a", None),
            ("authorization", None),
            ("if-none-match", None),
            ("accept", Some(long.as_str())),
            ("accept-language", Some("{")),
            ("content-type", None),
            ("content-type", Some("")),
            ("content-type", Some("application/json")),
            ("content-type", Some("text/plain; charset=\"a\"")),
            ("range", Some("bytes=-9")),
            ("range", Some("bytes=9-1")),
            ("range", Some("bytes=+1-2")),
        ] {
            assert!(!is_safelisted(name, value), "{name}: {value:?}");
        }
    }

    #[test]
    fn knows_what_a_page_may_not_set() {
        for name in ["cookie", "origin", "via", "sec-fetch-site", "proxy-x"] {
            assert!(is_forbidden_request_header(name), "{name}");
        }
        assert!(!is_forbidden_request_header("authorization"));
        assert_eq!(normalized("put"), "PUT");
        assert_eq!(normalized("patch"), "patch");
    }
}
