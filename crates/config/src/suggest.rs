//! What was probably meant by a text that is no origin.

use std::net::{Ipv4Addr, Ipv6Addr};

use libcors_policy::OriginPattern;

use crate::idn;

/// Whatever is longer was not meant to be an origin.
const MAX_TEXT: usize = 1024;

/// The most entries that a text is split into.
const MAX_ENTRIES: usize = 8;

/// The entries to write in place of a text that is no origin, in quotes.
pub(crate) fn suggest_entries(text: &str) -> Option<Vec<String>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let quoted = |origin: String| format!("\"{origin}\"");
    if let Some(origin) = suggest_origin(text) {
        return Some(vec![quoted(origin)]);
    }
    let parts: Vec<&str> = text
        .split(|c: char| matches!(c, ',' | ';' | '|') || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .collect();
    // White space alone may as well be a slip within one origin.
    let several = text.contains([',', ';', '|'])
        || parts.iter().all(|part| part.contains("://"));
    if several && (2..=MAX_ENTRIES).contains(&parts.len()) {
        let entries = parts.into_iter().map(suggest_or_keep);
        return entries.map(|entry| entry.map(quoted)).collect();
    }
    let joined: String = text.split_whitespace().collect();
    match joined == text {
        true => None,
        false => Some(vec![quoted(suggest_or_keep(&joined)?)]),
    }
}

fn suggest_or_keep(text: &str) -> Option<String> {
    match OriginPattern::parse(text) {
        Ok(_) => Some(text.to_owned()),
        Err(_) => suggest_origin(text),
    }
}

/// The origin, or pattern of origins, that was probably meant by a text that is
/// none, such as a URL; always one that parses.
pub fn suggest_origin(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let trimmed = text.trim_matches(|c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`')
    });
    let suggested = match trimmed.to_ascii_lowercase().as_str() {
        "null" => "null".to_owned(),
        "*" | "*://*" | "*://*:*" | "any" | "all" => "*".to_owned(),
        // Words of other tools, which stand for no host.
        "self" | "none" | "origin" => return None,
        _ => suggest_tuple(trimmed)?,
    };
    let good = suggested != text && OriginPattern::parse(&suggested).is_ok();
    good.then_some(suggested)
}

fn suggest_tuple(text: &str) -> Option<String> {
    let (scheme, rest) = split_scheme(text);
    let scheme = scheme.map(|scheme| scheme.to_ascii_lowercase());
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host_port = match authority.rsplit_once('@') {
        Some((_, host_port)) => host_port,
        None => authority,
    };
    let (host, port) = split_port(host_port);
    let host = suggest_host(host)?;
    let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    let scheme = match scheme.as_deref() {
        // A page on its author's machine seldom has a certificate.
        None | Some("*") if local => "http",
        None | Some("*" | "wss") => "https",
        Some("ws") => "http",
        Some("file") => return None,
        Some(scheme) => scheme,
    };
    let port = suggest_port(scheme, port)?;
    Some(format!("{scheme}://{host}{port}"))
}

/// The scheme, if there is one, and what follows it.
fn split_scheme(text: &str) -> (Option<&str>, &str) {
    if let Some((scheme, rest)) = text.split_once("://") {
        return (Some(scheme), rest.trim_start_matches('/'));
    }
    // `https:host` and `https:/host`; but in `localhost:80` there is no scheme.
    if let Some((scheme, rest)) = text.split_once(':') {
        let lower = scheme.to_ascii_lowercase();
        if matches!(lower.as_str(), "http" | "https" | "ws" | "wss") {
            return (Some(scheme), rest.trim_start_matches('/'));
        }
    }
    // `https//host`.
    if let Some((scheme, rest)) = text.split_once("//")
        && matches!(scheme, "http" | "https")
    {
        return (Some(scheme), rest.trim_start_matches('/'));
    }
    (None, text.trim_start_matches('/'))
}

fn split_port(text: &str) -> (&str, &str) {
    match text.rsplit_once(':') {
        Some((host, port))
            if !port.contains(']')
                // An IPv6 address without its brackets has no port.
                && (host.ends_with(']') || !host.contains(':')) =>
        {
            (host, port)
        }
        _ => (text, ""),
    }
}

/// The port with its colon, or nothing if it is the default.
fn suggest_port(scheme: &str, port: &str) -> Option<String> {
    match port {
        "" => return Some(String::new()),
        "*" => return Some(":*".to_owned()),
        _ => {}
    }
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u16 = port.trim_start_matches('0').parse().ok()?;
    match (scheme, number) {
        ("http", 80) | ("https", 443) => Some(String::new()),
        _ => Some(format!(":{number}")),
    }
}

fn suggest_host(host: &str) -> Option<String> {
    let bare = host.strip_prefix('[').unwrap_or(host);
    let bare = bare.strip_suffix(']').unwrap_or(bare);
    if bare.contains(':') {
        let (address, _zone) = bare.split_once('%').unwrap_or((bare, ""));
        return address.parse().ok().map(ipv6);
    }
    // `.example.com` and `**.example.com` are other tools' `*.example.com`.
    let lower = host.to_lowercase();
    let (wild, rest) = if let Some(rest) = lower.strip_prefix("**.") {
        ("*.", rest)
    } else if let Some(rest) = lower.strip_prefix('.') {
        ("*.", rest)
    } else if let Some((label, rest)) = lower.split_once('.')
        && label.contains('*')
    {
        let rest = ascii(rest)?;
        return Some(format!("{label}.{rest}"));
    } else {
        ("", lower.as_str())
    };
    if rest.contains('*') {
        return None;
    }
    let rest = ascii(rest)?;
    Some(format!("{wild}{rest}"))
}

/// The host as browsers write it.
fn ascii(host: &str) -> Option<String> {
    let ascii = idn::to_ascii(host)?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    let last = name.rsplit('.').next().unwrap_or(name);
    match ipv4_number(last) {
        Some(_) => ipv4(name).map(|address| address.to_string()),
        None => Some(ascii),
    }
}

/// An address in any of the forms that the WHATWG URL standard reads: fewer than
/// four numbers, hexadecimal or octal ones.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    let numbers: Option<Vec<u64>> = name.split('.').map(ipv4_number).collect();
    let numbers = numbers?;
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 || first.iter().any(|n| *n > 255) {
        return None;
    }
    let free = 8 * (4 - first.len() as u32);
    if *last >= 1 << free {
        return None;
    }
    let mut address = 0;
    for number in first {
        address = address << 8 | number;
    }
    let address = address << free | last;
    u32::try_from(address).ok().map(Ipv4Addr::from)
}

fn ipv4_number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    if digits.is_empty() && radix == 16 {
        return Some(0);
    }
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// An address as browsers write it, which is always in hexadecimal.
fn ipv6(address: Ipv6Addr) -> String {
    let text = address.to_string();
    if !text.contains('.') {
        return format!("[{text}]");
    }
    let [.., high, low] = address.segments();
    match text.rsplit_once(':') {
        Some((front, _)) => format!("[{front}:{high:x}:{low:x}]"),
        None => format!("[{text}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_people_mean() {
        for (text, meant) in [
            ("https://App.Example.com/", "https://app.example.com"),
            (" https://a.example\n", "https://a.example"),
            ("HTTPS://A.EXAMPLE", "https://a.example"),
            ("https://a.example/path?q#f", "https://a.example"),
            ("https://a.example\\x", "https://a.example"),
            ("https://me:pw@a.example", "https://a.example"),
            ("https://a.example:443", "https://a.example"),
            ("https://a.example:0443", "https://a.example"),
            ("http://a.example:80/", "http://a.example"),
            ("https://a.example:", "https://a.example"),
            ("https://a.example:08443", "https://a.example:8443"),
            ("wss://a.example", "https://a.example"),
            ("ws://a.example:8080/x", "http://a.example:8080"),
            ("a.example", "https://a.example"),
            ("//a.example", "https://a.example"),
            ("https:a.example", "https://a.example"),
            ("https:/a.example", "https://a.example"),
            ("a.example:8443", "https://a.example:8443"),
            ("localhost:3000", "http://localhost:3000"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("*.example.com", "https://*.example.com"),
            (".example.com", "https://*.example.com"),
            ("https://**.Example.com", "https://*.example.com"),
            ("*://*.example.com", "https://*.example.com"),
            ("https://PR-*.Example.com", "https://pr-*.example.com"),
            (
                "https://*.b\u{fc}cher.example",
                "https://*.xn--bcher-kva.example",
            ),
            ("https://B\u{dc}cher.example", "https://xn--bcher-kva.example"),
            ("https://\u{ff41}.example", "https://a.example"),
            ("http://0x7f.1", "http://127.0.0.1"),
            ("http://127.0.0.01", "http://127.0.0.1"),
            ("http://1.2.3.4.", "http://1.2.3.4"),
            ("http://[0:0::1]:80", "http://[::1]"),
            ("http://::1", "http://[::1]"),
            ("http://[::1", "http://[::1]"),
            ("http://[::FFFF:1.2.3.4]", "http://[::ffff:102:304]"),
            ("http://[fe80::1%eth0]", "http://[fe80::1]"),
            ("\"https://a.example\"", "https://a.example"),
            ("NULL", "null"),
            (" * ", "*"),
            ("*://*", "*"),
        ] {
            assert_eq!(
                suggest_origin(text).as_deref(),
                Some(meant),
                "{text:?}"
            );
        }
    }

    #[test]
    fn suggests_nothing_that_is_wrong() {
        for text in [
            "",
            "https://",
            "https://*",
            "https://a.*.example",
            "https://*.*.example",
            "https://a..example",
            "https://a.example:99999",
            "https://a.example:x",
            "https://1.2.3.256",
            "https://a%2eexample",
            "file:///tmp/x.html",
            "https://xn--bcher-kv.example",
            "https://a.example",
            &"a".repeat(2000),
        ] {
            assert_eq!(suggest_origin(text), None, "{text:?}");
        }
    }

    #[test]
    fn splits_lists() {
        let entries = suggest_entries("https://a.example, B.example/").unwrap();
        assert_eq!(entries, ["\"https://a.example\"", "\"https://b.example\""]);
        assert_eq!(suggest_entries("https://a.example, ???"), None);
        let entries = suggest_entries("https://exa mple.com").unwrap();
        assert_eq!(entries, ["\"https://example.com\""]);
    }
}
