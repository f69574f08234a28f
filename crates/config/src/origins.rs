//! Entries of `allow_origins` and `self_origins`.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use foldhash::{HashMap, HashMapExt};
use libcors_policy::{
    ExactOrigin, Network, NetworkError, NetworkScheme, OriginPattern,
    PatternErrorKind, PortPattern, TuplePattern,
};

use crate::{
    codes::{self, Id},
    coverage,
    diagnostic::Report,
    idn, names,
    reader::{Item, Reader, find_keyword},
    regex::{self, Compiled},
    source::quote,
    suggest::{suggest_entries, suggest_origin},
    tree::{Kind, Table, Value},
};

/// An entry of `allow_origins`.
#[derive(Clone, Debug)]
pub(crate) enum Origin<'t> {
    /// An origin written out. It stays in the document, as there may be a million.
    Exact(ExactOrigin<'t>),
    /// `*`, `null`, or a pattern with a wildcard.
    Pattern(OriginPattern),
    Network {
        network: Network,
        text: String,
    },
    Expression {
        text: String,
        compiled: Arc<Compiled>,
    },
}

/// An entry that is a string.
pub(crate) fn plain<'t>(
    reader: &mut Reader<'_, 't>,
    index: usize,
    value: &Value<'_>,
    text: &Cow<'t, str>,
) -> Option<Origin<'t>> {
    let exact = match text {
        Cow::Borrowed(text) => ExactOrigin::parse(text),
        Cow::Owned(text) => {
            ExactOrigin::parse(text).map(ExactOrigin::into_owned)
        }
    };
    match exact {
        Some(exact) if !may_be_punycode(text) => Some(Origin::Exact(exact)),
        _ => {
            let pattern = parse(reader, index, value, text)?;
            Some(exact.map_or(Origin::Pattern(pattern), Origin::Exact))
        }
    }
}

fn parse(
    reader: &mut Reader<'_, '_>,
    index: usize,
    value: &Value<'_>,
    text: &str,
) -> Option<OriginPattern> {
    let error = match OriginPattern::parse(text) {
        Ok(pattern) => {
            return punycode(reader, index, value, &pattern).then_some(pattern);
        }
        Err(error) => error,
    };
    let span = reader.part(value, text, error.range());
    let path = reader.at(Some(index));
    reader.sink.add(code(error.kind()), span, || {
        let message = match error.kind() {
            PatternErrorKind::Empty => error.to_string(),
            _ => format!("invalid origin {}: {error}", quote(text)),
        };
        Report::new(path, message).hint(hint(text, error.kind()))
    });
    None
}

fn code(kind: PatternErrorKind) -> &'static Id {
    match kind {
        PatternErrorKind::Empty => &codes::ORIGIN_EMPTY,
        PatternErrorKind::WhiteSpace => &codes::ORIGIN_SPACE,
        PatternErrorKind::MissingScheme | PatternErrorKind::Scheme => {
            &codes::ORIGIN_SCHEME
        }
        PatternErrorKind::NullCase
        | PatternErrorKind::UpperCaseScheme
        | PatternErrorKind::UpperCaseHost => &codes::ORIGIN_CASE,
        PatternErrorKind::FileScheme => &codes::ORIGIN_FILE,
        PatternErrorKind::WebSocketScheme => &codes::ORIGIN_WEBSOCKET,
        PatternErrorKind::UserInfo => &codes::ORIGIN_USER,
        PatternErrorKind::TrailingSlash
        | PatternErrorKind::Path
        | PatternErrorKind::Query
        | PatternErrorKind::Fragment => &codes::ORIGIN_PATH,
        PatternErrorKind::MissingHost
        | PatternErrorKind::HostLength
        | PatternErrorKind::EmptyLabel
        | PatternErrorKind::LabelLength => &codes::ORIGIN_HOST,
        PatternErrorKind::UnicodeHost => &codes::ORIGIN_UNICODE,
        PatternErrorKind::Ipv4 | PatternErrorKind::Ipv6 => {
            &codes::ORIGIN_ADDRESS
        }
        PatternErrorKind::WildcardScheme
        | PatternErrorKind::WildcardHost
        | PatternErrorKind::WildcardHostPort
        | PatternErrorKind::SeveralWildcards
        | PatternErrorKind::WildcardPlace
        | PatternErrorKind::WildcardAddress => &codes::ORIGIN_WILDCARD,
        PatternErrorKind::Port => &codes::ORIGIN_PORT,
        PatternErrorKind::DefaultPort => &codes::ORIGIN_DEFAULT_PORT,
        // The engine may come to tell more of them apart.
        _ => &codes::ORIGIN_CHARACTER,
    }
}

fn hint(text: &str, kind: PatternErrorKind) -> Option<String> {
    if kind == PatternErrorKind::Empty {
        return Some("remove it; an empty list allows no origin".to_owned());
    }
    if kind == PatternErrorKind::FileScheme {
        let hint = "serve the page by http, and write \
                    \"http://localhost:8080\"";
        return Some(hint.to_owned());
    }
    if looks_like_expression(text) {
        let hint = "a regular expression is written as { regex = '…' }";
        return Some(hint.to_owned());
    }
    if let Some(entries) = suggest_entries(text) {
        return Some(format!("write {}", entries.join(", ")));
    }
    if let Some(entry) = suggest_network_entry(text) {
        return Some(format!("write {entry}"));
    }
    match kind {
        PatternErrorKind::WildcardHost => {
            Some("write the hosts out, or \"*\" for any origin at all".into())
        }
        PatternErrorKind::WildcardPlace
        | PatternErrorKind::SeveralWildcards => Some(
            "move the wildcard to the left of the host, as in \
             \"https://*.example.com\""
                .to_owned(),
        ),
        PatternErrorKind::WildcardHostPort => {
            text.rsplit_once(':').map(|(host, _)| format!("write \"{host}\""))
        }
        PatternErrorKind::Port => {
            let (host, ports) = text.rsplit_once(':')?;
            let range = ports.split_once('-')?;
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            (digits(range.0) && digits(range.1)).then(|| {
                format!(
                    "write one entry for each port, or \"{host}:*\" for any \
                     port"
                )
            })
        }
        _ => None,
    }
}

/// The network that a wildcard in an address stands for, as an entry.
fn suggest_network_entry(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme: NetworkScheme = find_keyword(scheme)?;
    let (host, port) = match rest.split_once(':') {
        Some((host, "*")) => (host, PortPattern::Any),
        Some((host, port)) => (host, PortPattern::Number(port.parse().ok()?)),
        None => (rest, PortPattern::Default),
    };
    let range = Network::parse_range(&network_of_wildcard(host)?).ok()?;
    Some(Network::new(range, scheme, port).ok()?.to_string())
}

/// Whether this was meant as a regular expression, and not as a wildcard.
fn looks_like_expression(text: &str) -> bool {
    let any = |(at, sign): (usize, &str)| {
        let (before, after) = (text.get(..at), text.get(at + sign.len()..));
        before.is_some_and(|text| text.ends_with('/'))
            || !after.is_none_or(|t| t.is_empty() || t.starts_with(['.', ':']))
    };
    text.starts_with('^')
        || text.ends_with('$')
        || text.match_indices(".*").any(any)
        || [".+", "\\.", "\\/", "(", "[a-z", "[^"]
            .iter()
            .any(|sign| text.contains(sign))
}

fn may_be_punycode(text: &str) -> bool {
    text.contains("xn--")
}

/// Whether all labels that are Punycode are valid; reports one that is not.
fn punycode(
    reader: &mut Reader<'_, '_>,
    index: usize,
    value: &Value<'_>,
    pattern: &OriginPattern,
) -> bool {
    let OriginPattern::Tuple(tuple) = pattern else { return true };
    let host = tuple.host_str();
    if !may_be_punycode(host) {
        return true;
    }
    let mut start = tuple.scheme().len() + 3;
    for label in host.split('.') {
        if label.starts_with("xn--")
            // What a wildcard stands for is not known.
            && !label.contains('*')
            && !idn::is_punycode(label)
        {
            let range = start..start + label.len();
            let span = reader.part(value, tuple.as_str(), range);
            let path = reader.at(Some(index));
            reader.sink.add(&codes::ORIGIN_PUNYCODE, span, || {
                let message = format!(
                    "{} is invalid Punycode, so no page has the origin {}",
                    quote(label),
                    quote(tuple.as_str())
                );
                let hint = "write the name in Unicode, and the hint will be \
                            its Punycode form";
                Report::new(path, message).hint(Some(hint))
            });
            return false;
        }
        start += label.len() + 1;
    }
    true
}

/// An entry that is a table: an expression or a network.
pub(crate) fn table(
    reader: &mut Reader<'_, '_>,
    index: usize,
    value: &Value<'_>,
    table: &Table<'_>,
) -> Option<Origin<'static>> {
    const KEYS: [&str; 4] = ["regex", "network", "scheme", "port"];
    let path = reader.at(Some(index));
    let mut known: [Option<&Value<'_>>; KEYS.len()] = [None; _];
    for entry in &table.entries {
        let at = KEYS.iter().position(|key| *key == entry.key);
        if let Some(slot) = at.and_then(|at| known.get_mut(at)) {
            slot.get_or_insert(&entry.value);
            continue;
        }
        reader.sink.add(&codes::UNKNOWN_KEY, entry.key_span, || {
            let message = format!(
                "unknown key {} in an entry of {}",
                quote(&entry.key),
                quote("allow_origins")
            );
            let hint = match names::nearest(&entry.key, &KEYS) {
                Some(key) => format!("write {key}"),
                None => FORMS.to_owned(),
            };
            Report::new(path.clone(), message).hint(Some(hint))
        });
    }
    match known {
        [Some(expression), None, None, None] => {
            self::expression(reader, path, expression)
        }
        [None, Some(range), scheme, port] => {
            let entry = NetworkEntry { range, scheme, port };
            entry.read(reader, path, value)
        }
        [None, None, None, None] if !table.entries.is_empty() => None,
        _ => {
            reader.sink.add(&codes::TYPE, value.span, || {
                let message = "an entry that is a table is either an \
                               expression or a network";
                Report::new(path, message).hint(Some(FORMS))
            });
            None
        }
    }
}

/// The forms of an entry that is a table.
const FORMS: &str = "write { regex = '…' } or { network = \"10.0.0.0/8\", \
                     scheme = \"http\", port = \"*\" }";

fn expression(
    reader: &mut Reader<'_, '_>,
    path: String,
    expression: &Value<'_>,
) -> Option<Origin<'static>> {
    let Kind::String(text) = &expression.kind else {
        entry_type(reader, &path, "regex", "a string", expression);
        return None;
    };
    match regex::compile(text, &mut reader.sink.regexes) {
        Ok(compiled) => {
            if let Some(why) = compiled.empty() {
                reader.sink.add(&codes::REGEX_EMPTY, expression.span, || {
                    Report::new(format!("{path}.regex"), why)
                });
            }
            let compiled = Arc::new(compiled);
            Some(Origin::Expression { text: text.to_string(), compiled })
        }
        Err(error) => {
            let span = match error.range {
                Some(range) => reader.part(expression, text, range),
                None => expression.span,
            };
            reader.sink.add(regex::CODE, span, || {
                Report::new(format!("{path}.regex"), error.message)
                    .hint(error.hint)
            });
            None
        }
    }
}

/// Reports that a key of an entry has a value of another type.
fn entry_type(
    reader: &mut Reader<'_, '_>,
    path: &str,
    key: &str,
    expected: &str,
    value: &Value<'_>,
) {
    if matches!(value.kind, Kind::Broken) {
        return;
    }
    reader.sink.add(&codes::TYPE, value.span, || {
        let found = value.kind.name();
        let message = format!("`{key}` takes {expected}, not {found}");
        Report::new(format!("{path}.{key}"), message)
    });
}

/// The values of a network's keys.
struct NetworkEntry<'e, 'v> {
    range: &'e Value<'v>,
    scheme: Option<&'e Value<'v>>,
    port: Option<&'e Value<'v>>,
}

impl NetworkEntry<'_, '_> {
    fn read(
        &self,
        reader: &mut Reader<'_, '_>,
        path: String,
        value: &Value<'_>,
    ) -> Option<Origin<'static>> {
        let range = self.range(reader, &path);
        let scheme = self.scheme(reader, &path, value);
        let port = self.port(reader, &path, scheme);
        let network = Network::new(range?, scheme?, port?).ok()?;
        Some(Origin::Network { network, text: network.to_string() })
    }

    fn range(
        &self,
        reader: &mut Reader<'_, '_>,
        path: &str,
    ) -> Option<(IpAddr, u8)> {
        let Kind::String(text) = &self.range.kind else {
            entry_type(reader, path, "network", "a string", self.range);
            return None;
        };
        let scheme = NetworkScheme::Http;
        let range = Network::parse_range(text).and_then(|range| {
            Network::new(range, scheme, PortPattern::Any).map(|_| range)
        });
        let error = match range {
            Ok(range) => return Some(range),
            Err(error) => error,
        };
        reader.sink.add(&codes::NETWORK, self.range.span, || {
            let what = quote(text);
            let (message, hint) = match error {
                NetworkError::HostBits(address) => {
                    let prefix = text.rsplit('/').next().unwrap_or_default();
                    (
                        format!(
                            "invalid network {what}: bits behind the prefix \
                             are set"
                        ),
                        format!(
                            "write \"{address}/{prefix}\", or \
                             \"{}\" for this address alone",
                            single(text)
                        ),
                    )
                }
                NetworkError::Prefix => (
                    format!(
                        "invalid network {what}: a prefix has at most 32 bits \
                         (IPv4) or 128 bits (IPv6)"
                    ),
                    format!(
                        "write \"{}\" for this address alone",
                        single(text)
                    ),
                ),
                _ => (
                    format!(
                        "invalid network {what}, expected an IP address and \
                         the length of its prefix"
                    ),
                    suggest_network(text),
                ),
            };
            Report::new(format!("{path}.network"), message).hint(Some(hint))
        });
        None
    }

    fn scheme(
        &self,
        reader: &mut Reader<'_, '_>,
        path: &str,
        entry: &Value<'_>,
    ) -> Option<NetworkScheme> {
        let Some(scheme) = self.scheme else {
            reader.sink.add(&codes::NETWORK, entry.span, || {
                let message = "missing key `scheme` in a network";
                let hint = "add scheme = \"https\" or scheme = \"http\"";
                Report::new(path.to_owned(), message).hint(Some(hint))
            });
            return None;
        };
        let Kind::String(text) = &scheme.kind else {
            let expected = "\"http\" or \"https\"";
            entry_type(reader, path, "scheme", expected, scheme);
            return None;
        };
        let known = find_keyword(text);
        if known.is_none() {
            reader.sink.add(&codes::KEYWORD, scheme.span, || {
                let message = format!(
                    "unknown value {} for `scheme`, expected \"http\" or \
                     \"https\"",
                    quote(text)
                );
                let lower = text.to_ascii_lowercase();
                let lower = lower.trim_end_matches([':', '/']);
                let hint = find_keyword::<NetworkScheme>(lower)
                    .map(|_| format!("write \"{lower}\""));
                Report::new(format!("{path}.scheme"), message).hint(hint)
            });
        }
        known
    }

    fn port(
        &self,
        reader: &mut Reader<'_, '_>,
        path: &str,
        scheme: Option<NetworkScheme>,
    ) -> Option<PortPattern> {
        let Some(port) = self.port else { return Some(PortPattern::Default) };
        let path = format!("{path}.port");
        let number = match &port.kind {
            Kind::String(text) if text == "*" => return Some(PortPattern::Any),
            Kind::Integer(number) => *number,
            Kind::String(text) => match text.parse() {
                Ok(number @ 1..=65535) => {
                    reader.sink.add(&codes::TYPE, port.span, || {
                        let message =
                            "`port` takes an integer or \"*\", not a string";
                        let hint = format!("write {number}");
                        Report::new(path, message).hint(Some(hint))
                    });
                    return None;
                }
                _ => None,
            },
            Kind::Broken => return None,
            _ => None,
        };
        let valid = number.and_then(|n| u16::try_from(n).ok());
        let Some(number) = valid.filter(|number| *number != 0) else {
            reader.sink.add(&codes::ORIGIN_PORT, port.span, || {
                let message =
                    "invalid port, expected a number from 1 to 65535 or \"*\"";
                let hint = "write \"*\" for any port";
                Report::new(path, message).hint(Some(hint))
            });
            return None;
        };
        if scheme.is_some_and(|scheme| scheme.default_port() == number) {
            reader.sink.add(&codes::ORIGIN_DEFAULT_PORT, port.span, || {
                let message = format!("browsers leave out the port {number}");
                let hint = "remove port: without it the default port is meant";
                Report::new(path, message).hint(Some(hint))
            });
            return None;
        }
        Some(PortPattern::Number(number))
    }
}

/// The network of one address.
fn single(text: &str) -> String {
    let address = text.split('/').next().unwrap_or_default();
    match address.parse() {
        Ok(IpAddr::V4(v4)) => format!("{v4}/32"),
        Ok(IpAddr::V6(v6)) => format!("{v6}/128"),
        Err(_) => "10.0.0.1/32".to_owned(),
    }
}

/// What to write in place of a text that is not a network.
fn suggest_network(text: &str) -> String {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return format!("write \"{}\"", single(bare));
    }
    match network_of_wildcard(text) {
        Some(network) => format!("write \"{network}\""),
        None => "write it in CIDR notation, such as \"192.168.0.0/16\"".into(),
    }
}

/// The network that a pattern such as `192.168.*` or `10.1.*.*` stands for.
fn network_of_wildcard(host: &str) -> Option<String> {
    let numbers = host.trim_end_matches(['*', '.']);
    let mut octets = Vec::new();
    for octet in numbers.split('.') {
        octets.push(octet.parse::<u8>().ok()?.to_string());
    }
    let wild = octets.len() < 4 && host.len() > numbers.len();
    let prefix = 8 * octets.len();
    octets.resize(4, "0".to_owned());
    wild.then(|| format!("{}/{prefix}", octets.join(".")))
}

/// An entry of `self_origins`.
pub(crate) fn own(
    reader: &mut Reader<'_, '_>,
    index: usize,
    value: &Value<'_>,
    text: &str,
) -> Option<String> {
    let pattern = parse(reader, index, value, text)?;
    if let OriginPattern::Tuple(tuple) = &pattern
        && tuple.is_exact()
    {
        return Some(text.to_owned());
    }
    let path = reader.at(Some(index));
    reader.sink.add(&codes::SELF_ORIGIN, value.span, || {
        let message = format!(
            "{} is not one origin, and `self_origins` lists each written out",
            quote(text)
        );
        let hint = "write each origin of the site, such as \
                    \"https://www.example.com\"";
        Report::new(path, message).hint(Some(hint))
    });
    None
}

/// Judges `allow_origins` as a whole; `values` are all entries, also those
/// that are wrong by themselves.
pub(crate) fn check_all(
    items: &[Item<Origin<'_>>],
    values: &[Value<'_>],
    reader: &mut Reader<'_, '_>,
) {
    let star = items
        .iter()
        .find(|item| matches!(item.value, Origin::Pattern(OriginPattern::Any)));
    if let Some(star) = star
        && let Some((at, other)) =
            values.iter().enumerate().find(|(at, _)| *at != star.index)
    {
        let path = reader.at(Some(star.index));
        let other_path = reader.at(Some(at));
        reader.sink.add(&codes::ORIGIN_ANY_BESIDE, star.span, || {
            let message = "`*` allows any origin and must be the only entry";
            Report::new(path, message)
                .hint(Some("remove either `*` or the other entries"))
                .related(other.span, other_path, "another entry")
        });
        return;
    }
    for found in coverage::find(items) {
        let (Some(item), Some(by)) =
            (items.get(found.item), items.get(found.by))
        else {
            continue;
        };
        let path = reader.at(Some(item.index));
        let by_path = reader.at(Some(by.index));
        let code = match found.equal {
            true => &codes::ORIGIN_DUPLICATE,
            false => &codes::ORIGIN_COVERED,
        };
        reader.sink.add(code, item.span, || {
            let this = quote(item.value.as_str());
            let (message, note) = match found.equal {
                true => {
                    (format!("duplicate origin {this}"), "first listed here")
                }
                false => (
                    format!(
                        "{} already matches {this}",
                        quote(by.value.as_str())
                    ),
                    "the wider entry",
                ),
            };
            Report::new(path, message)
                .hint(Some("remove it"))
                .related(by.span, by_path, note)
        });
    }
}

/// Judges `self_origins` as a whole.
pub(crate) fn check_own(items: &[Item<String>], reader: &mut Reader<'_, '_>) {
    let mut seen = HashMap::new();
    for item in items {
        let first = *seen.entry(item.value.as_str()).or_insert(item);
        if first.index == item.index {
            continue;
        }
        let path = reader.at(Some(item.index));
        let first_path = reader.at(Some(first.index));
        reader.sink.add(&codes::ORIGIN_DUPLICATE, item.span, || {
            let message = format!("duplicate origin {}", quote(&item.value));
            Report::new(path, message).hint(Some("remove it")).related(
                first.span,
                first_path,
                "first listed here",
            )
        });
    }
}

impl Origin<'_> {
    /// The entry as it was written.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Origin::Exact(origin) => origin.as_str(),
            Origin::Pattern(pattern) => pattern.as_str(),
            Origin::Network { text, .. } => text,
            Origin::Expression { text, .. } => text,
        }
    }

    /// Scheme, host and port, if it has some.
    pub(crate) fn tuple(&self) -> Option<Cow<'_, TuplePattern>> {
        match self {
            Origin::Exact(origin) => {
                match OriginPattern::parse(origin.as_str()) {
                    Ok(OriginPattern::Tuple(tuple)) => Some(Cow::Owned(tuple)),
                    _ => None,
                }
            }
            Origin::Pattern(OriginPattern::Tuple(tuple)) => {
                Some(Cow::Borrowed(tuple))
            }
            _ => None,
        }
    }

    /// The pattern with a wildcard that it is.
    pub(crate) fn wildcard(&self) -> Option<&TuplePattern> {
        match self {
            Origin::Pattern(OriginPattern::Tuple(tuple)) => Some(tuple),
            _ => None,
        }
    }

    pub(crate) fn has_scheme(&self, scheme: &str) -> bool {
        let text = match self {
            Origin::Exact(origin) => origin.as_str(),
            Origin::Pattern(pattern) => pattern.as_str(),
            Origin::Network { .. } | Origin::Expression { .. } => return false,
        };
        text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://"))
    }
}

/// A secure form of an origin that is not: the same with https.
pub(crate) fn secure_form(tuple: &TuplePattern) -> Option<String> {
    let rest = tuple.as_str().strip_prefix("http://")?;
    suggest_origin(&format!("https://{rest}")).or_else(|| {
        let text = format!("https://{rest}");
        OriginPattern::parse(&text).is_ok().then_some(text)
    })
}
