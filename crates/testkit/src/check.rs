//! Comparing answers with cases, and asking the model of the browser about them.

use std::fmt::Write;

use crate::browser::{self, Blocked, Credentials, Fetch, Response, Rules};
use crate::naive::Answer;
use crate::suite::Case;

/// Compares an answer with what the case says; the error names the case and what differs.
pub fn verify(case: &Case, answer: &Answer) -> Result<(), String> {
    let expected = &case.answer;
    let mut differences = String::new();
    let mut field = |name: &str, expected: String, found: String| {
        if expected != found {
            let _ = write!(
                differences,
                "\n  {name}\n    expected {expected}\n    found    {found}"
            );
        }
    };
    field("kind", expected.kind.to_owned(), answer.kind.to_owned());
    field("outcome", expected.outcome.to_owned(), answer.outcome.to_owned());
    field("reason", expected.reason.to_owned(), answer.reason.to_owned());
    field("rule", number(expected.rule), number(answer.rule));
    field("status", number(expected.status), number(answer.status));
    field(
        "enforced",
        expected.enforced.to_string(),
        answer.enforced.to_string(),
    );
    field("headers", lines(expected), lines(answer));
    field("vary", expected.vary.join(", "), answer.vary.join(", "));
    field("remove", expected.remove.join(", "), answer.remove.join(", "));
    if differences.is_empty() {
        return Ok(());
    }
    let policy = case.policy.as_deref().unwrap_or("(none)");
    Err(format!(
        "{}.toml: case {:?}, policy {policy}:{differences}",
        case.file, case.name
    ))
}

fn number<N: ToString>(value: Option<N>) -> String {
    value.map_or_else(|| "none".to_owned(), |n| n.to_string())
}

fn lines(answer: &Answer) -> String {
    let mut text = String::new();
    for (name, value) in &answer.headers {
        let value = value.escape_ascii().to_string();
        let _ = write!(text, "\n      {name}: {value}");
    }
    if text.is_empty() {
        text.push_str("none");
    }
    text
}

/// The answer as a browser sees it; where the application answers, it says 200 and sets no header.
pub fn response(answer: &Answer) -> Response {
    Response::new(answer.status.unwrap_or(200), &answer.headers)
}

/// The credentials modes in which a browser that had sent the case's request would go on after
/// this answer: give the page its response, or follow a preflight with the request itself.
///
/// A WebSocket is looked at as the fetch that its request might as well be. Nothing is let
/// through where the request is none that a browser sends: two `Origin` lines, a method that is no
/// token.
pub fn browser_verdict(case: &Case, answer: &Answer) -> Vec<&'static str> {
    Credentials::ALL
        .into_iter()
        .filter(|credentials| passes(case, answer, *credentials).is_ok())
        .map(Credentials::name)
        .collect()
}

fn passes(
    case: &Case,
    answer: &Answer,
    credentials: Credentials,
) -> Result<(), Blocked> {
    let request = &case.request;
    let [origin] = request.origin.as_slice() else {
        return Err(Blocked::NotSent);
    };
    let response = response(answer);
    if answer.kind != "preflight" {
        return browser::cors_check(origin, credentials, &response);
    }
    let [method] = request.request_method.as_slice() else {
        return Err(Blocked::NotSent);
    };
    // A proxy may have split the one line, put spaces in, or left empty elements behind.
    let unsafe_headers = request
        .request_headers
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(|element| element.trim_ascii().to_vec())
        .filter(|name| !name.is_empty())
        .collect();
    let fetch = Fetch {
        origin: origin.clone(),
        method: method.clone(),
        unsafe_headers,
        credentials,
        forced: false,
    };
    browser::preflight_check(&fetch, &response, Rules::FETCH)
}
