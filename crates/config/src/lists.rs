//! Methods, request headers and response headers.

use foldhash::{HashMap, HashMapExt};
use libcors_policy::is_token;

use crate::{
    codes::{self, Id},
    diagnostic::{Report, Sink},
    reader::{Item, Reader},
    source::{Span, excerpt, quote},
};

/// What a list names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Name {
    Method,
    RequestHeader,
    ResponseHeader,
}

impl Name {
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Name::Method => "methods",
            Name::RequestHeader | Name::ResponseHeader => "header names",
        }
    }
}

/// The methods that browsers write in upper case, and a page in any.
const NORMALIZED: [&str; 6] =
    ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];

/// The methods of the IANA registry (RFC 9110, section 16.1.1) that browsers send
/// as a page spells them.
const REGISTERED: [&str; 32] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PATCH",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// The forbidden request-headers of the Fetch standard, apart from those that
/// start with `proxy-` or `sec-`.
const FORBIDDEN: [&str; 22] = [
    "accept-charset",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Whether a page may not set this request header (Fetch standard, "forbidden
/// request-header"), whose name is in lower case.
pub fn is_forbidden_request_header(lower: &str) -> bool {
    FORBIDDEN.contains(&lower)
        || lower.starts_with("proxy-")
        || lower.starts_with("sec-")
}

/// What a server says to allow something.
const GRANTS: [&str; 8] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "timing-allow-origin",
];

/// What stands in requests, or in answers to preflights, and so in no response
/// that a page gets to see.
const UNSEEN: [&str; 10] = [
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-private-network",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "cookie",
    "host",
    "origin",
];

/// The response headers that a page may always read.
const SAFELISTED: [&str; 7] = [
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
];

/// Judges one name, and yields it in its usual form unless it is wrong.
pub(crate) fn check(
    name: Name,
    text: &str,
    span: Span,
    path: impl Fn() -> String,
    sink: &mut Sink,
) -> Option<String> {
    let mut report = |code: &'static Id,
                      message: &dyn Fn() -> String,
                      hint: &dyn Fn() -> Option<String>| {
        sink.add(code, span, || Report::new(path(), message()).hint(hint()));
    };
    if !is_token(text.as_bytes()) {
        let (code, what) = match name {
            Name::Method => (&codes::METHOD, "method"),
            _ => (&codes::HEADER, "header name"),
        };
        let message = || format!("invalid {what} {}", quote(text));
        report(code, &message, &|| split_names(text));
        return None;
    }
    if text == "*" {
        return Some(text.to_owned());
    }
    if text.contains('*') {
        let message = || {
            format!(
                "{} matches nothing else than itself: browsers know `*` only \
                 as a name of its own",
                quote(text)
            )
        };
        report(&codes::NAME_WILDCARD, &message, &|| {
            Some(format!("write out the {}, or \"*\" for any", name.plural()))
        });
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let word = lower.as_str();
    let listed = quote(text);
    match name {
        Name::Method => {
            let upper = text.to_ascii_uppercase();
            if matches!(word, "connect" | "trace" | "track") {
                let message = || format!("pages cannot send {listed}");
                report(&codes::METHOD_FORBIDDEN, &message, &|| {
                    Some("remove it".to_owned())
                });
                return None;
            }
            let normalized = NORMALIZED.contains(&upper.as_str());
            if normalized && upper != text {
                let message =
                    || format!("browsers send {listed} as {}", quote(&upper));
                report(&codes::METHOD_CASE, &message, &|| {
                    Some(format!("write \"{upper}\""))
                });
                return None;
            }
            if matches!(text, "GET" | "HEAD" | "POST") {
                let message = || format!("{text} is always allowed");
                report(&codes::METHOD_NEEDLESS, &message, &|| {
                    Some("remove it".to_owned())
                });
            } else if matches!(upper.as_str(), "ANY" | "ALL") {
                let message = || {
                    format!("{listed} allows only a method of this very name")
                };
                report(&codes::METHOD_NAME, &message, &|| {
                    Some("write \"*\" to allow any method".to_owned())
                });
            } else if upper != text && REGISTERED.contains(&upper.as_str()) {
                let message = || {
                    format!(
                        "{listed} does not allow {upper}: methods are \
                         case-sensitive"
                    )
                };
                report(&codes::METHOD_NAME, &message, &|| {
                    Some(format!("write \"{upper}\""))
                });
            }
            return Some(text.to_owned());
        }
        Name::RequestHeader => {
            if is_forbidden_request_header(word) {
                let message = || format!("pages cannot set {listed}");
                report(&codes::HEADER_FORBIDDEN, &message, &|| {
                    Some(match word {
                        "cookie" => "remove it, and set allow_credentials = \
                                     true if cookies are needed"
                            .to_owned(),
                        _ => "remove it".to_owned(),
                    })
                });
                return None;
            }
            if GRANTS.contains(&word) {
                let message = || format!("{listed} is a response header");
                report(&codes::HEADER_RESPONSE, &message, &|| {
                    Some("remove it".to_owned())
                });
                return None;
            }
        }
        Name::ResponseHeader => {
            if matches!(word, "set-cookie" | "set-cookie2") {
                let message = || format!("pages cannot read {listed}");
                report(&codes::EXPOSE_FORBIDDEN, &message, &|| {
                    Some("remove it".to_owned())
                });
                return None;
            }
            if UNSEEN.contains(&word) {
                let message = || {
                    format!("{listed} is never in a response that a page sees")
                };
                report(&codes::EXPOSE_REQUEST, &message, &|| {
                    Some("remove it".to_owned())
                });
                return None;
            }
            if SAFELISTED.contains(&word) {
                let message = || format!("pages can always read {listed}");
                report(&codes::EXPOSE_NEEDLESS, &message, &|| {
                    Some("remove it".to_owned())
                });
            }
        }
    }
    Some(lower)
}

/// Several names in one string, or one with white space around.
fn split_names(text: &str) -> Option<String> {
    let parts: Vec<&str> = text
        .split(|c: char| c == ',' || c == ';' || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .take(20)
        .collect();
    let good = parts.iter().all(|part| is_token(part.as_bytes()));
    if parts.is_empty() || !good {
        return None;
    }
    let parts: Vec<String> =
        parts.iter().map(|part| format!("\"{}\"", excerpt(part))).collect();
    Some(format!("write {}", parts.join(", ")))
}

/// Judges a list as a whole.
pub(crate) fn check_all(
    name: Name,
    items: &[Item<String>],
    reader: &mut Reader<'_, '_>,
) {
    let mut seen: HashMap<&str, &Item<String>> = HashMap::new();
    for item in items {
        match seen.get(item.value.as_str()) {
            Some(first) => {
                duplicate(reader, item.index, item.span, first, &item.value);
            }
            None => {
                seen.insert(&item.value, item);
            }
        }
    }
    let Some(star) = seen.get("*") else { return };
    let other = items.iter().find(|item| {
        let beside =
            name == Name::RequestHeader && item.value == "authorization";
        item.value != "*" && !beside
    });
    if let Some(other) = other {
        let path = reader.at(Some(star.index));
        let other_path = reader.at(Some(other.index));
        reader.sink.add(&codes::ANY_BESIDE, star.span, || {
            let message = match name {
                Name::RequestHeader => {
                    "`*` may be listed only alone or with \"Authorization\""
                }
                _ => "`*` must be the only entry",
            };
            Report::new(path, message)
                .hint(Some("remove either `*` or the other entries"))
                .related(other.span, other_path, "another entry")
        });
    }
}

/// Reports a name that is already in its list.
pub(crate) fn duplicate<T>(
    reader: &mut Reader<'_, '_>,
    index: usize,
    span: Span,
    first: &Item<T>,
    name: &str,
) {
    let path = reader.at(Some(index));
    let first_path = reader.at(Some(first.index));
    reader.sink.add(&codes::NAME_DUPLICATE, span, || {
        let message = format!("duplicate entry {}", quote(name));
        Report::new(path, message).hint(Some("remove it")).related(
            first.span,
            first_path,
            "first listed here",
        )
    });
}
