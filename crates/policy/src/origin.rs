//! Serialized origins: what a browser writes into `Origin`.

use core::net::Ipv6Addr;

/// The length of the longest possible origin: a scheme of 64 bytes, `://`, a host
/// of 253, a colon and a port of five digits.
pub const MAX_ORIGIN_LEN: usize = MAX_SCHEME + 3 + MAX_HOST + 1 + 5;

pub(crate) const MAX_SCHEME: usize = 64;
pub(crate) const MAX_HOST: usize = 253;
pub(crate) const MAX_LABEL: usize = 63;

/// A tuple origin in its one serialized form (HTML standard, "serialization of
/// an origin"): scheme, host, and port unless it is the scheme's default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin<'a> {
    scheme: &'a [u8],
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// Parses an origin, accepting only what a browser could send: lower case,
    /// no default port, no path, canonical addresses. `null` is no tuple origin.
    ///
    /// A value longer than [`MAX_ORIGIN_LEN`] is refused by its length alone.
    pub fn parse(bytes: &'a [u8]) -> Option<Origin<'a>> {
        if bytes.len() > MAX_ORIGIN_LEN {
            return None;
        }
        // Most origins are of these schemes, and have a name and no port.
        let http = bytes.strip_prefix(b"https://");
        if let Some(host) = http.or_else(|| bytes.strip_prefix(b"http://"))
            && is_plain_name(host)
        {
            let scheme = bytes.get(..bytes.len() - host.len() - 3)?;
            return Some(Origin { scheme, host, port: None });
        }
        let (scheme, rest) = split_scheme(bytes)?;
        let (host, port) = split_port(rest);
        let port = match port {
            None => None,
            Some(digits) => Some(parse_port(digits)?),
        };
        if !is_scheme(scheme)
            || port.is_some() && port == default_port(scheme)
            || !is_host(host, is_http(scheme))
        {
            return None;
        }
        Some(Origin { scheme, host, port })
    }

    /// The scheme, without the colon.
    pub fn scheme(&self) -> &'a [u8] {
        self.scheme
    }

    /// The host; an IPv6 address in its brackets.
    pub fn host(&self) -> &'a [u8] {
        self.host
    }

    /// The port, or `None` for the default one of the scheme.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

/// The default port of the schemes that a web page's origin has one for.
pub(crate) fn default_port(scheme: &[u8]) -> Option<u16> {
    match scheme {
        b"http" => Some(80),
        b"https" => Some(443),
        _ => None,
    }
}

pub(crate) fn is_http(scheme: &[u8]) -> bool {
    matches!(scheme, b"http" | b"https")
}

/// Splits `scheme://rest`; the first colon ends the scheme.
pub(crate) fn split_scheme(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = bytes.iter().position(|&b| b == b':')?;
    let (scheme, rest) = bytes.split_at_checked(colon)?;
    Some((scheme, rest.strip_prefix(b"://")?))
}

/// Splits `host[:port]`; colons inside brackets belong to an IPv6 address.
pub(crate) fn split_port(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    let start = match rest.first() {
        // An open bracket without its mate swallows the rest.
        Some(b'[') => {
            rest.iter().position(|&b| b == b']').unwrap_or(rest.len())
        }
        _ => 0,
    };
    let colon = rest.iter().skip(start).position(|&b| b == b':');
    match colon.and_then(|at| rest.split_at_checked(start + at)) {
        Some((host, [_, digits @ ..])) => (host, Some(digits)),
        _ => (rest, None),
    }
}

/// A port as it is serialized: 1 to 65535, no leading zero.
pub(crate) fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.first() == Some(&b'0') {
        return None;
    }
    parse_number(digits, 5)
}

/// A decimal number of at most `longest` digits.
fn parse_number<N: TryFrom<u32>>(digits: &[u8], longest: usize) -> Option<N> {
    if digits.is_empty() || digits.len() > longest {
        return None;
    }
    let mut number = 0_u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(digit - b'0');
    }
    N::try_from(number).ok()
}

pub(crate) fn is_scheme(scheme: &[u8]) -> bool {
    let Some(first) = scheme.first() else {
        return false;
    };
    scheme.len() <= MAX_SCHEME
        && first.is_ascii_lowercase()
        && scheme.iter().all(
            |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'),
        )
}

/// Whether this is surely a host that is a name: [`is_host`] has the last word on
/// all others.
#[inline]
fn is_plain_name(host: &[u8]) -> bool {
    // A digit may start a number.
    host.len() <= MAX_HOST
        && last_label(host).is_some_and(|at| {
            host.get(at).is_some_and(|first| !first.is_ascii_digit())
        })
}

/// Whether these are labels with dots between them.
#[inline]
pub(crate) fn are_labels(bytes: &[u8]) -> bool {
    last_label(bytes).is_some()
}

/// Where the last label starts, if these are labels with dots between them.
#[inline]
fn last_label(bytes: &[u8]) -> Option<usize> {
    let mut label = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match NAME_BYTE.get(usize::from(byte)) {
            Some(1) => {}
            Some(2) if at != label && at - label <= MAX_LABEL => label = at + 1,
            _ => return None,
        }
    }
    let len = bytes.len() - label;
    (len != 0 && len <= MAX_LABEL).then_some(label)
}

/// 1 for each byte of a label, 2 for the dot between them, 0 for all others.
static NAME_BYTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        if is_label_byte(i as u8) {
            table[i] = 1;
        }
        i += 1;
    }
    table[b'.' as usize] = 2;
    table
};

/// Whether this is a byte of a label. URLs know no upper case here, and hosts
/// with underscores exist.
#[inline]
pub(crate) const fn is_label_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
}

/// Whether this is a byte of an opaque host, which is not made of labels.
#[inline]
pub(crate) const fn is_opaque_byte(byte: u8) -> bool {
    is_label_byte(byte) || byte == b'.'
}

/// Whether these are labels with dots between them, and perhaps one at the end.
pub(crate) fn is_name(host: &[u8]) -> bool {
    are_labels(host.strip_suffix(b".").unwrap_or(host))
}

/// Whether this is a host: a name or an address under http and https, and an
/// opaque host under any other scheme.
pub(crate) fn is_host(host: &[u8], http: bool) -> bool {
    if host.len() > MAX_HOST || host.is_empty() {
        return false;
    }
    if !http {
        return host.iter().all(|&byte| is_opaque_byte(byte));
    }
    if host.first() == Some(&b'[') {
        return is_ipv6(host);
    }
    let name = host.strip_suffix(b".").unwrap_or(host);
    let mut len = 0;
    for &byte in name {
        if is_label_byte(byte) {
            len += 1;
        } else if byte == b'.' && 0 < len && len <= MAX_LABEL {
            len = 0;
        } else {
            return false;
        }
    }
    if len == 0 || len > MAX_LABEL {
        return false;
    }
    let Some(last) = name.get(name.len() - len..) else {
        return false;
    };
    !is_numeric(last) || is_ipv4(host)
}

/// Whether a last label makes the host an IPv4 address (URL standard, "ends in a
/// number checker").
pub(crate) fn is_numeric(label: &[u8]) -> bool {
    match label.strip_prefix(b"0x") {
        Some(digits) => digits.iter().all(u8::is_ascii_hexdigit),
        None => !label.is_empty() && label.iter().all(u8::is_ascii_digit),
    }
}

/// Whether this is an IPv4 address as the URL standard serializes it.
pub(crate) fn is_ipv4(host: &[u8]) -> bool {
    let octet = |digits: &[u8]| {
        (digits == b"0" || digits.first() != Some(&b'0'))
            && parse_number::<u8>(digits, 3).is_some()
    };
    let mut octets = host.split(|&b| b == b'.');
    octets.by_ref().take(4).filter(|digits| octet(digits)).count() == 4
        && octets.next().is_none()
}

/// Whether this is an IPv6 address in brackets, as the URL standard serializes
/// it.
pub(crate) fn is_ipv6(host: &[u8]) -> bool {
    let text = host
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .and_then(|text| core::str::from_utf8(text).ok());
    let Some(text) = text else {
        return false;
    };
    let Ok(address) = text.parse::<Ipv6Addr>() else {
        return false;
    };
    let mut rest = text.bytes();
    let mut same = true;
    write_ipv6(&address, |byte| same &= rest.next() == Some(byte));
    same && rest.next().is_none()
}

/// Writes an address as the URL standard's IPv6 serializer does: lower case, the
/// first longest run of two or more zero pieces compressed, and never with a
/// dotted-quad tail, which is where it differs from RFC 5952.
pub(crate) fn write_ipv6(address: &Ipv6Addr, mut push: impl FnMut(u8)) {
    let pieces = address.segments();
    let (mut start, mut longest) = (0, 0);
    let (mut run_start, mut run) = (0, 0);
    for (i, &piece) in pieces.iter().enumerate() {
        if piece != 0 {
            run = 0;
            continue;
        }
        if run == 0 {
            run_start = i;
        }
        run += 1;
        if run > longest {
            (start, longest) = (run_start, run);
        }
    }
    if longest < 2 {
        (start, longest) = (pieces.len(), 0);
    }
    let end = start + longest;
    for (i, &piece) in pieces.iter().enumerate() {
        if i == start {
            push(b':');
            if i == 0 {
                push(b':');
            }
        }
        if i >= start && i < end {
            continue;
        }
        for shift in [12, 8, 4, 0] {
            if shift == 0 || piece >> shift != 0 {
                let digit = (piece >> shift & 0xf) as u8;
                push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
            }
        }
        if i + 1 < pieces.len() {
            push(b':');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String, vec::Vec};

    fn valid(text: &str) -> bool {
        Origin::parse(text.as_bytes()).is_some()
    }

    #[test]
    fn accepts_what_browsers_send() {
        for text in [
            "https://example.com",
            "http://localhost:3000",
            "https://a.b-c.d_e.example.com:8443",
            "https://example.com.",
            "https://xn--bcher-kva.example",
            "http://127.0.0.1",
            "http://[::1]:8080",
            "https://[2001:db8::1]",
            "https://[2001:db8:0:1:1:1:1:1]",
            "https://[::ffff:102:304]",
            "https://[1::]",
            "https://[1:0:0:2::3]",
            "https://[0:1::]",
            "capacitor://localhost",
            "chrome-extension://abcdefghijklmnop",
            "app+x-1.0://a",
            "foo://1.2.3.999",
            "app://.",
            "app://..a-._:80",
            "vscode-webview://0f00-a",
            "http://1.2.3.4:65535",
        ] {
            assert!(valid(text), "{text}");
        }
    }

    #[test]
    fn refuses_all_else() {
        for text in [
            "",
            "null",
            "https",
            "https:",
            "https:/",
            "https://",
            "://example.com",
            "1https://example.com",
            "HTTPS://example.com",
            "https://Example.com",
            "https://example.com/",
            "https://example.com?",
            "https://example.com#",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:080",
            "https://example.com:65536",
            "https://example.com:8a",
            "https://example.com:443",
            "http://example.com:80",
            "https://exa mple.com",
            "https://.example.com",
            "https://a..example.com",
            "https://example.com..",
            "https://.",
            "https://b\u{fc}cher.example",
            "https://1.2.3",
            "https://1.2.3.4.5",
            "https://1.2.3.04",
            "https://1.2.3.256",
            "https://1.2.3.4.",
            "https://example.0x1f",
            "https://example.0x",
            "https://example.1",
            "https://[::1",
            "https://::1",
            "https://[::1]x",
            "https://[0::1]",
            "https://[::0:1]",
            "https://[::01]",
            "https://[2001:DB8::1]",
            "https://[::1.2.3.4]",
            "https://[::ffff:1.2.3.4]",
            "https://[fe80::1%eth0]",
            "https://[2001:db8::1:1:1:1:1]",
            "https://[1::2:0:0:0:3]",
            "https://[www.example.com]",
            "https://a,https://b",
            "app://",
            "app://[::1]",
            "app://A",
            "app://a/",
            "app://a%20b",
            "app://.:",
        ] {
            assert!(!valid(text), "{text}");
        }
        let label = "a".repeat(63);
        assert!(valid(&format!("https://{label}.example")));
        assert!(!valid(&format!("https://{label}a.example")));
        let host: String = [label.as_str(); 4].join(".");
        assert!(valid(&format!("https://{}", &host[..253])));
        assert!(!valid(&format!("https://{}", &host[..254])));
        assert!(valid(&format!("app://{}", ".".repeat(253))));
        assert!(!valid(&format!("app://{}", ".".repeat(254))));
        let scheme = "a".repeat(64);
        let longest = format!("{scheme}://{}:65535", &host[..253]);
        assert_eq!(longest.len(), MAX_ORIGIN_LEN);
        assert!(valid(&longest));
        assert!(!valid(&format!("a{longest}")));
        let bytes: Vec<u8> = (0..=255).collect();
        for byte in bytes {
            let origin = [b"https://a", &[byte][..], b"b.example"].concat();
            let expected = matches!(byte, b'.' | b'-' | b'_')
                || byte.is_ascii_lowercase()
                || byte.is_ascii_digit();
            assert_eq!(Origin::parse(&origin).is_some(), expected, "{byte}");
        }
    }
}
