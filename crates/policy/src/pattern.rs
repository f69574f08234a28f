//! What `allow_origins` may list, apart from expressions.

use alloc::{borrow::Cow, boxed::Box};
use core::{fmt, ops::Range};

use crate::origin::{
    MAX_HOST, MAX_LABEL, Origin, default_port, is_host, is_http, is_ipv4,
    is_ipv6, is_numeric, is_opaque_byte, is_scheme, parse_port, split_port,
};

/// An entry of a policy's list of allowed origins.
///
/// | written | covers |
/// | --- | --- |
/// | `https://app.example.com` | that origin |
/// | `https://*.example.com` | one or more labels in front, never the apex |
/// | `https://pr-*.example.com` | one or more bytes of the leftmost label |
/// | `http://localhost:*` | any port, the default one too |
/// | `chrome-extension://*` | any host of an app's own scheme, without a port |
/// | `*` | any origin |
/// | `null` | the opaque origin |
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OriginPattern {
    /// `*`: any origin.
    Any,
    /// `null`: the opaque origin, of which there are many.
    Null,
    /// Scheme, host and port, of which host and port may have a wildcard.
    Tuple(TuplePattern),
}

/// Scheme, host and port of an [`OriginPattern`].
#[derive(Clone, Eq, PartialEq)]
pub struct TuplePattern {
    text: Box<str>,
    scheme: u16,
    host: Range<u16>,
    /// Where the `*` of the host stands.
    star: Option<u16>,
    port: PortPattern,
}

/// The hosts that a pattern covers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HostPattern<'p> {
    /// This host.
    Exact(&'p str),
    /// Every host of the scheme, which is an app's own.
    Any,
    /// Every host that ends in a dot and this name.
    Subdomains(&'p str),
    /// Every host whose leftmost label starts and ends like this, with at least
    /// one byte between, and goes on with `rest`.
    InLabel {
        /// What stands before the `*`.
        prefix: &'p str,
        /// What stands between the `*` and the end of the label.
        suffix: &'p str,
        /// The dot after the label, and all that follows; or empty.
        rest: &'p str,
    },
}

/// The ports that a pattern covers.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PortPattern {
    /// The default port of the scheme, which an origin does not write.
    #[default]
    Default,
    /// This port.
    Number(u16),
    /// Any port, the default one too.
    Any,
}

/// An [`OriginPattern`] of one origin, written out: as long as there is nothing
/// to find out about it, its text will do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExactOrigin<'t>(Cow<'t, str>);

impl<'t> ExactOrigin<'t> {
    /// Parses an entry; `None` if it is none, or covers more than one origin.
    pub fn parse(text: &'t str) -> Option<ExactOrigin<'t>> {
        let origin = Origin::parse(text.as_bytes())?;
        let listed = refused_scheme(origin.scheme()).is_none();
        listed.then_some(ExactOrigin(Cow::Borrowed(text)))
    }

    /// The same, with a text of its own.
    pub fn into_owned(self) -> ExactOrigin<'static> {
        ExactOrigin(Cow::Owned(self.0.into_owned()))
    }

    /// The entry as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a scheme that origins may have, but none that is worth
/// listing.
fn refused_scheme(scheme: &[u8]) -> Option<PatternErrorKind> {
    match scheme {
        b"file" => Some(PatternErrorKind::FileScheme),
        b"ws" | b"wss" => Some(PatternErrorKind::WebSocketScheme),
        _ => None,
    }
}

impl OriginPattern {
    /// Parses an entry, accepting a host or origin only as a browser serializes
    /// it: no origin is ever covered that is not written so.
    pub fn parse(text: &str) -> Result<OriginPattern, PatternError> {
        match text {
            "*" => Ok(OriginPattern::Any),
            "null" => Ok(OriginPattern::Null),
            _ => TuplePattern::parse(text).map(OriginPattern::Tuple),
        }
    }

    /// The entry as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            OriginPattern::Any => "*",
            OriginPattern::Null => "null",
            OriginPattern::Tuple(tuple) => tuple.as_str(),
        }
    }
}

/// The schemes whose pages can be altered on their way.
pub const INSECURE_SCHEMES: [&str; 2] = ["http", "ftp"];

fn is_loopback(host: &str) -> bool {
    host == "[::1]"
        || host
            .parse::<core::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

impl TuplePattern {
    /// Whether pages of these origins can be altered on their way: neither https,
    /// nor on the user's own machine, nor an app's own scheme.
    pub fn is_insecure(&self) -> bool {
        if !INSECURE_SCHEMES.contains(&self.scheme()) {
            return false;
        }
        let name = match self.host() {
            HostPattern::Exact(host) if is_loopback(host) => return false,
            HostPattern::Exact(host) => host,
            HostPattern::Any => return true,
            HostPattern::Subdomains(name) => name,
            HostPattern::InLabel { rest, .. } => {
                rest.strip_prefix('.').unwrap_or_default()
            }
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        !(name == "localhost" || name.ends_with(".localhost"))
    }

    fn parse(text: &str) -> Result<TuplePattern, PatternError> {
        use PatternErrorKind as Kind;

        let fail =
            |kind, range: Range<usize>| Err(PatternError { kind, range });
        let all = 0..text.len();
        if text.is_empty() {
            return fail(Kind::Empty, all);
        }
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if let Some((at, c)) = text.char_indices().find(|&(_, c)| odd(c)) {
            let kind = match c.is_whitespace() {
                true => Kind::WhiteSpace,
                false => Kind::Character,
            };
            return fail(kind, at..at + c.len_utf8());
        }
        if text.eq_ignore_ascii_case("null") {
            return fail(Kind::NullCase, all);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return fail(Kind::MissingScheme, all);
        };
        let scheme_range = 0..scheme.len();
        if let Some(at) = scheme.find('*') {
            return fail(Kind::WildcardScheme, at..at + 1);
        }
        if !is_scheme(scheme.as_bytes()) {
            let lower = scheme.to_ascii_lowercase();
            let kind = match is_scheme(lower.as_bytes()) {
                true => Kind::UpperCaseScheme,
                false => Kind::Scheme,
            };
            return fail(kind, scheme_range);
        }
        if let Some(kind) = refused_scheme(scheme.as_bytes()) {
            return fail(kind, scheme_range);
        }

        let start = scheme.len() + 3;
        if let Some(at) = rest.find(['/', '?', '#', '\\']) {
            let kind = match rest.get(at..) {
                Some("/") => Kind::TrailingSlash,
                Some(tail) if tail.starts_with('?') => Kind::Query,
                Some(tail) if tail.starts_with('#') => Kind::Fragment,
                _ => Kind::Path,
            };
            // A user comes before a path, and is the worse mistake.
            if !rest.get(..at).is_some_and(|front| front.contains('@')) {
                return fail(kind, start + at..text.len());
            }
        }
        if let Some(at) = rest.find('@') {
            return fail(Kind::UserInfo, start..start + at + 1);
        }

        let (host, port) = split_port(rest.as_bytes());
        let host_end = start + host.len();
        let host_range = start..host_end;
        let Some(host) = rest.get(..host.len()) else {
            return fail(Kind::Character, all);
        };
        let star = match check_host(host, is_http(scheme.as_bytes())) {
            Ok(star) => star,
            Err((kind, range)) => {
                return fail(kind, start + range.start..start + range.end);
            }
        };
        let port = match port {
            None => PortPattern::Default,
            Some(b"*") => PortPattern::Any,
            Some(digits) => {
                let range = host_end..text.len();
                let Some(number) = parse_port(digits) else {
                    return fail(Kind::Port, range);
                };
                if default_port(scheme.as_bytes()) == Some(number) {
                    return fail(Kind::DefaultPort, range);
                }
                PortPattern::Number(number)
            }
        };
        if host == "*" && port != PortPattern::Default {
            return fail(Kind::WildcardHostPort, host_end..text.len());
        }
        // All parts are shorter than the longest origin, and so than 65,536.
        Ok(TuplePattern {
            text: text.into(),
            scheme: scheme.len() as u16,
            host: host_range.start as u16..host_range.end as u16,
            star: star.map(|at| (start + at) as u16),
            port,
        })
    }

    /// The entry as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme, without the colon.
    pub fn scheme(&self) -> &str {
        self.slice(0, self.scheme)
    }

    /// The host as it was written, with its `*`.
    pub fn host_str(&self) -> &str {
        self.slice(self.host.start, self.host.end)
    }

    /// The hosts that are covered.
    pub fn host(&self) -> HostPattern<'_> {
        let host = self.host_str();
        let Some(star) = self.star else {
            return HostPattern::Exact(host);
        };
        if host == "*" {
            return HostPattern::Any;
        }
        if let Some(name) = host.strip_prefix("*.") {
            return HostPattern::Subdomains(name);
        }
        let label = match host.find('.') {
            Some(dot) => self.host.start + dot as u16,
            None => self.host.end,
        };
        HostPattern::InLabel {
            prefix: self.slice(self.host.start, star),
            suffix: self.slice(star + 1, label),
            rest: self.slice(label, self.host.end),
        }
    }

    /// The ports that are covered.
    pub fn port(&self) -> PortPattern {
        self.port
    }

    /// The port as it was written, with its colon; empty for the default port.
    pub fn port_str(&self) -> &str {
        self.text.get(self.host.end.into()..).unwrap_or_default()
    }

    /// Whether exactly one origin is covered.
    pub fn is_exact(&self) -> bool {
        self.star.is_none() && self.port != PortPattern::Any
    }

    fn slice(&self, start: u16, end: u16) -> &str {
        self.text.get(start.into()..end.into()).unwrap_or_default()
    }
}

impl fmt::Debug for TuplePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Checks a host that may have a wildcard; yields the place of its `*`.
fn check_host(
    host: &str,
    http: bool,
) -> Result<Option<usize>, (PatternErrorKind, Range<usize>)> {
    use PatternErrorKind as Kind;

    let all = 0..host.len();
    if host.is_empty() {
        return Err((Kind::MissingHost, all));
    }
    if !host.is_ascii() {
        return Err((Kind::UnicodeHost, all));
    }
    if http && host.starts_with('[') {
        if host.contains('*') {
            return Err((Kind::WildcardAddress, all));
        }
        if !is_ipv6(host.as_bytes()) {
            return Err((Kind::Ipv6, all));
        }
        return Ok(None);
    }
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err((Kind::UpperCaseHost, all));
    }
    if host == "*." || http && host == "*" {
        return Err((Kind::WildcardHost, all));
    }
    let byte_at = |at: usize| at..at + 1;
    let good = |b: u8| is_opaque_byte(b) || b == b'*';
    if let Some(at) = host.bytes().position(|b| !good(b)) {
        return Err((Kind::Character, byte_at(at)));
    }

    let star = host.find('*');
    if let Some(at) = star {
        if host.rfind('*') != Some(at) {
            return Err((Kind::SeveralWildcards, all));
        }
        if host.find('.').is_some_and(|dot| dot < at) {
            return Err((Kind::WildcardPlace, byte_at(at)));
        }
    }
    // A wildcard stands for one byte at least.
    if host.len() > MAX_HOST {
        return Err((Kind::HostLength, all));
    }
    if !http && (star.is_none() || host == "*") {
        return Ok(star);
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let mut start = 0;
    for label in name.split('.') {
        let range = start..start + label.len();
        if label.is_empty() {
            return Err((Kind::EmptyLabel, range));
        }
        if label.len() > MAX_LABEL {
            return Err((Kind::LabelLength, range));
        }
        start = range.end + 1;
    }

    let last = name.rsplit('.').next().unwrap_or(name);
    if http && is_numeric(last.as_bytes()) {
        if star.is_some() {
            return Err((Kind::WildcardAddress, all));
        }
        if !is_ipv4(host.as_bytes()) {
            return Err((Kind::Ipv4, all));
        }
    }
    match star {
        // What a wildcard stands in front of is itself a host.
        Some(_) => Ok(star),
        None if is_host(host.as_bytes(), http) => Ok(None),
        None => Err((Kind::Character, all)),
    }
}

/// Why a text is no [`OriginPattern`], and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PatternError {
    kind: PatternErrorKind,
    range: Range<usize>,
}

impl PatternError {
    /// What is wrong.
    pub fn kind(&self) -> PatternErrorKind {
        self.kind
    }

    /// The bytes of the text that are wrong.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}

impl core::error::Error for PatternError {}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())
    }
}

/// What is wrong with a text that should be an [`OriginPattern`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// Occurs when there is no text.
    Empty,
    /// Occurs when white space stands anywhere in an origin.
    WhiteSpace,
    /// Occurs when a character stands in an origin that never does.
    Character,
    /// Occurs when `null` is not in lower case.
    NullCase,
    /// Occurs when there is no `://`.
    MissingScheme,
    /// Occurs when a wildcard stands in the scheme.
    WildcardScheme,
    /// Occurs when the scheme is not in lower case.
    UpperCaseScheme,
    /// Occurs when the scheme is no scheme, or longer than 64 bytes.
    Scheme,
    /// Occurs when the scheme is `file`, whose pages have the origin `null`.
    FileScheme,
    /// Occurs when the scheme is `ws` or `wss`: a page that opens a WebSocket has
    /// an http or https origin.
    WebSocketScheme,
    /// Occurs when a user name or password stands before the host.
    UserInfo,
    /// Occurs when a lone slash follows the origin.
    TrailingSlash,
    /// Occurs when a path follows the origin.
    Path,
    /// Occurs when a query follows the origin.
    Query,
    /// Occurs when a fragment follows the origin.
    Fragment,
    /// Occurs when there is no host.
    MissingHost,
    /// Occurs when the host is not in lower case.
    UpperCaseHost,
    /// Occurs when the host is not ASCII; browsers send its Punycode form.
    UnicodeHost,
    /// Occurs when the host is longer than 253 bytes.
    HostLength,
    /// Occurs when two dots, or a dot at the start, leave a label empty.
    EmptyLabel,
    /// Occurs when a label is longer than 63 bytes.
    LabelLength,
    /// Occurs when the last label is numeric, so that the host is an IPv4
    /// address, and it is not four numbers as browsers write them.
    Ipv4,
    /// Occurs when an IPv6 address is not written as browsers write it.
    Ipv6,
    /// Occurs when the whole host is a wildcard, under http or https.
    WildcardHost,
    /// Occurs when a port follows a wildcard that is the whole host.
    WildcardHostPort,
    /// Occurs when a host has more than one wildcard.
    SeveralWildcards,
    /// Occurs when a wildcard stands right of the leftmost label.
    WildcardPlace,
    /// Occurs when a wildcard stands in an address.
    WildcardAddress,
    /// Occurs when the port is no number from 1 to 65535 without leading zeros.
    Port,
    /// Occurs when the port is the scheme's default, which browsers leave out.
    DefaultPort,
}

impl PatternErrorKind {
    /// What is wrong, in a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            PatternErrorKind::Empty => "an origin may not be empty",
            PatternErrorKind::WhiteSpace => "white space in an origin",
            PatternErrorKind::Character => "a character that no origin holds",
            PatternErrorKind::NullCase => "`null` is written in lower case",
            PatternErrorKind::MissingScheme => {
                "an origin starts with a scheme and `://`"
            }
            PatternErrorKind::WildcardScheme => "a scheme may have no wildcard",
            PatternErrorKind::UpperCaseScheme => {
                "browsers send the scheme in lower case"
            }
            PatternErrorKind::Scheme => "this is no scheme",
            PatternErrorKind::FileScheme => {
                "pages of `file:` have the origin `null`"
            }
            PatternErrorKind::WebSocketScheme => {
                "a page that opens a WebSocket has an http or https origin"
            }
            PatternErrorKind::UserInfo => "an origin has no user",
            PatternErrorKind::TrailingSlash => {
                "an origin has no slash at its end"
            }
            PatternErrorKind::Path => "an origin has no path",
            PatternErrorKind::Query => "an origin has no query",
            PatternErrorKind::Fragment => "an origin has no fragment",
            PatternErrorKind::MissingHost => "an origin has a host",
            PatternErrorKind::UpperCaseHost => {
                "browsers send the host in lower case"
            }
            PatternErrorKind::UnicodeHost => {
                "browsers send the host in its Punycode form"
            }
            PatternErrorKind::HostLength => "a host has at most 253 bytes",
            PatternErrorKind::EmptyLabel => "a label of the host is empty",
            PatternErrorKind::LabelLength => {
                "a label of a host has at most 63 bytes"
            }
            PatternErrorKind::Ipv4 => {
                "a host that ends in a number is an IPv4 address of four \
                 numbers from 0 to 255"
            }
            PatternErrorKind::Ipv6 => {
                "this is no IPv6 address as browsers write it"
            }
            PatternErrorKind::WildcardHost => {
                "a wildcard may not be the whole host"
            }
            PatternErrorKind::WildcardHostPort => {
                "an entry for all hosts of a scheme has no port"
            }
            PatternErrorKind::SeveralWildcards => {
                "a host has at most one wildcard"
            }
            PatternErrorKind::WildcardPlace => {
                "a wildcard stands in the leftmost label only"
            }
            PatternErrorKind::WildcardAddress => {
                "an address may have no wildcard"
            }
            PatternErrorKind::Port => {
                "a port is a number from 1 to 65535 without leading zeros"
            }
            PatternErrorKind::DefaultPort => {
                "browsers leave out the default port"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn tuple(text: &str) -> TuplePattern {
        match OriginPattern::parse(text) {
            Ok(OriginPattern::Tuple(tuple)) => tuple,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn local_origins_and_apps_are_secure() {
        let insecure = |text: &str| match OriginPattern::parse(text) {
            Ok(OriginPattern::Tuple(tuple)) => tuple.is_insecure(),
            other => panic!("{text}: {other:?}"),
        };
        for text in [
            "https://a.example",
            "http://localhost",
            "http://localhost.:*",
            "http://a.localhost:3000",
            "http://*.localhost",
            "http://*.a.localhost.",
            "http://a-*.localhost",
            "http://127.0.0.1",
            "http://127.255.0.9:8080",
            "http://[::1]:*",
            "capacitor://localhost",
            "app://a.example",
        ] {
            assert!(!insecure(text), "{text}");
        }
        for text in [
            "http://a.example",
            "http://notlocalhost",
            "http://localhost.example",
            "http://local*",
            "http://*.example.com:*",
            "http://10.0.0.1",
            "http://128.0.0.1",
            "http://[::ffff:7f00:1]",
            "ftp://a.example",
        ] {
            assert!(insecure(text), "{text}");
        }
    }

    #[test]
    fn takes_patterns_apart() {
        assert_eq!(OriginPattern::parse("*"), Ok(OriginPattern::Any));
        assert_eq!(OriginPattern::parse("null"), Ok(OriginPattern::Null));
        let p = tuple("https://app.example.com:8443");
        assert_eq!(p.scheme(), "https");
        assert_eq!(p.host(), HostPattern::Exact("app.example.com"));
        assert_eq!(p.port(), PortPattern::Number(8443));
        let p = tuple("https://*.example.com:*");
        assert_eq!(p.host(), HostPattern::Subdomains("example.com"));
        assert_eq!(p.port(), PortPattern::Any);
        let p = tuple("https://pr-*-x.preview.example.com");
        assert_eq!(
            p.host(),
            HostPattern::InLabel {
                prefix: "pr-",
                suffix: "-x",
                rest: ".preview.example.com"
            }
        );
        assert_eq!(p.port(), PortPattern::Default);
        let p = tuple("http://[::1]:*");
        assert_eq!(p.host(), HostPattern::Exact("[::1]"));
        assert!(!p.is_exact());
        assert_eq!(tuple("chrome-extension://*").host(), HostPattern::Any);
        assert_eq!(tuple("app://.").host(), HostPattern::Exact("."));
        assert!(tuple("app://..:80").is_exact());
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        use PatternErrorKind::*;
        for (text, kind, wrong) in [
            ("", Empty, ""),
            ("https://a b", WhiteSpace, " "),
            ("https://a\u{7f}", Character, "\u{7f}"),
            ("Null", NullCase, "Null"),
            ("example.com", MissingScheme, "example.com"),
            ("https:example.com", MissingScheme, "https:example.com"),
            ("*://a.b", WildcardScheme, "*"),
            ("HTTPS://a.b", UpperCaseScheme, "HTTPS"),
            ("9p://a.b", Scheme, "9p"),
            ("file://", FileScheme, "file"),
            ("wss://a.b", WebSocketScheme, "wss"),
            ("https://user@a.b", UserInfo, "user@"),
            ("https://user@a.b/", UserInfo, "user@"),
            ("https://a.b/", TrailingSlash, "/"),
            ("https://a.b/*", Path, "/*"),
            ("https://a.b\\", Path, "\\"),
            ("https://a.b?x", Query, "?x"),
            ("https://a.b#", Fragment, "#"),
            ("https://", MissingHost, ""),
            ("https://:80", MissingHost, ""),
            ("https://A.b", UpperCaseHost, "A.b"),
            ("https://b\u{fc}.de", UnicodeHost, "b\u{fc}.de"),
            ("https://a..b", EmptyLabel, ""),
            ("https://.b", EmptyLabel, ""),
            ("https://a,b", Character, ","),
            ("https://1.2.3", Ipv4, "1.2.3"),
            ("https://01.2.3.4", Ipv4, "01.2.3.4"),
            ("https://[::0]", Ipv6, "[::0]"),
            ("https://[::1", Ipv6, "[::1"),
            ("https://*", WildcardHost, "*"),
            ("https://*:*", WildcardHost, "*"),
            ("https://*.", WildcardHost, "*."),
            ("app://*.", WildcardHost, "*."),
            ("app://*:*", WildcardHostPort, ":*"),
            ("app://*:80", WildcardHostPort, ":80"),
            ("app://[::1]", Character, "["),
            ("app://*..a", EmptyLabel, ""),
            ("https://*.*.b", SeveralWildcards, "*.*.b"),
            ("https://a.*.b", WildcardPlace, "*"),
            ("https://a.*", WildcardPlace, "*"),
            ("https://*.1.2.3", WildcardAddress, "*.1.2.3"),
            ("https://1*.2.3.4", WildcardAddress, "1*.2.3.4"),
            ("https://[*::1]", WildcardAddress, "[*::1]"),
            ("https://a.b:", Port, ":"),
            ("https://a.b:0", Port, ":0"),
            ("https://a.b:8*", Port, ":8*"),
            ("https://a.b:65536", Port, ":65536"),
            ("https://a.b:443", DefaultPort, ":443"),
            ("http://*.b:80", DefaultPort, ":80"),
        ] {
            let error = OriginPattern::parse(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}");
            assert_eq!(&text[error.range()], wrong, "{text}");
        }
        let label = "a".repeat(64);
        let error = OriginPattern::parse(&format!("https://{label}.b"));
        assert_eq!(error.unwrap_err().kind(), LabelLength);
        let host = "a.".repeat(127);
        let error = OriginPattern::parse(&format!("https://{host}"));
        assert_eq!(error.unwrap_err().kind(), HostLength);
    }

    #[test]
    fn exact_origins_are_the_patterns_that_cover_one() {
        let good = [
            "https://app.example.com",
            "http://a-b.c_d.example.:8443",
            "http://127.0.0.1:81",
            "http://[2001:db8::1]:8080",
            "wss://a.b",
            "file://a.b",
            "app+x.y-z://a.b:80",
            "app://.",
            "null",
            "*",
        ];
        let mut exact = 0;
        for text in good {
            for at in 0..text.len() {
                for byte in 0..=0x7f_u8 {
                    let (start, end) = (&text[..at], &text[at + 1..]);
                    let c = char::from(byte);
                    for changed in [
                        format!("{start}{c}{end}"),
                        format!("{start}{c}{}", &text[at..]),
                        format!("{start}{end}"),
                    ] {
                        let one = match OriginPattern::parse(&changed) {
                            Ok(OriginPattern::Tuple(tuple)) => tuple.is_exact(),
                            _ => false,
                        };
                        let origin = ExactOrigin::parse(&changed);
                        assert_eq!(origin.is_some(), one, "{changed:?}");
                        exact += usize::from(one);
                    }
                }
            }
        }
        assert!(exact > 1000);
    }
}
