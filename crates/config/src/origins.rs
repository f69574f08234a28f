//! Entries of `allow_origins` and `self_origins`.

use std::{borrow::Cow, sync::Arc};

use foldhash::{HashMap, HashMapExt};
use libcors_policy::{
    ExactOrigin, OriginPattern, PatternErrorKind as Wrong, TuplePattern,
};

use crate::{
    codes::{self, Id},
    coverage,
    diagnostic::Report,
    idn, keys,
    layer::{Item, Reader},
    mend::{mend, mend_entries},
    regex::{self, Compiled},
    source::quote,
    tree::{Kind, Table, Value},
};

/// An entry of `allow_origins`.
#[derive(Clone, Debug)]
pub(crate) enum Origin<'t> {
    /// An origin written out. It stays in the document, as there may be a million.
    Exact(ExactOrigin<'t>),
    /// `*`, `null`, or a pattern with a wildcard.
    Pattern(OriginPattern),
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
            Wrong::Empty => error.to_string(),
            Wrong::WhiteSpace => {
                format!("{} is no origin: it holds white space", quote(text))
            }
            _ => format!("{} is no origin: {error}", quote(text)),
        };
        Report::new(path, message).hint(hint(text, error.kind()))
    });
    None
}

fn code(kind: Wrong) -> &'static Id {
    match kind {
        Wrong::Empty => &codes::ORIGIN_EMPTY,
        Wrong::WhiteSpace => &codes::ORIGIN_SPACE,
        Wrong::MissingScheme | Wrong::Scheme => &codes::ORIGIN_SCHEME,
        Wrong::NullCase | Wrong::UpperCaseScheme | Wrong::UpperCaseHost => {
            &codes::ORIGIN_CASE
        }
        Wrong::FileScheme => &codes::ORIGIN_FILE,
        Wrong::WebSocketScheme => &codes::ORIGIN_WEBSOCKET,
        Wrong::UserInfo => &codes::ORIGIN_USER,
        Wrong::TrailingSlash | Wrong::Path | Wrong::Query | Wrong::Fragment => {
            &codes::ORIGIN_PATH
        }
        Wrong::MissingHost
        | Wrong::HostLength
        | Wrong::EmptyLabel
        | Wrong::LabelLength => &codes::ORIGIN_HOST,
        Wrong::UnicodeHost => &codes::ORIGIN_UNICODE,
        Wrong::Ipv4 | Wrong::Ipv6 => &codes::ORIGIN_ADDRESS,
        Wrong::WildcardScheme
        | Wrong::WildcardHost
        | Wrong::SeveralWildcards
        | Wrong::WildcardPlace
        | Wrong::WildcardAddress => &codes::ORIGIN_WILDCARD,
        Wrong::Port => &codes::ORIGIN_PORT,
        Wrong::DefaultPort => &codes::ORIGIN_DEFAULT_PORT,
        // The engine may come to tell more of them apart.
        _ => &codes::ORIGIN_CHARACTER,
    }
}

fn hint(text: &str, kind: Wrong) -> Option<String> {
    if kind == Wrong::Empty {
        return Some("remove it; an empty list allows no origin".to_owned());
    }
    if kind == Wrong::FileScheme {
        let hint = "serve the page by http, and write \
                    \"http://localhost:8080\"";
        return Some(hint.to_owned());
    }
    if looks_like_expression(text) {
        let hint = "a regular expression is written as { regex = '…' }";
        return Some(hint.to_owned());
    }
    if let Some(entries) = mend_entries(text) {
        return Some(format!("write {}", entries.join(", ")));
    }
    match kind {
        Wrong::WildcardHost => {
            Some("write the hosts out, or \"*\" for any origin at all".into())
        }
        Wrong::WildcardPlace | Wrong::SeveralWildcards => Some(
            "a wildcard stands at the left of a host, as in \
             \"https://*.example.com\""
                .to_owned(),
        ),
        _ => None,
    }
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

/// An entry that is a table: `{ regex = '…' }`.
pub(crate) fn expression(
    reader: &mut Reader<'_, '_>,
    index: usize,
    value: &Value<'_>,
    table: &Table<'_>,
) -> Option<Origin<'static>> {
    let path = reader.at(Some(index));
    let mut expression = None;
    for entry in &table.entries {
        if entry.key == "regex" {
            expression.get_or_insert(&entry.value);
            continue;
        }
        reader.sink.add(&codes::UNKNOWN_KEY, entry.key_span, || {
            let message = format!(
                "{} is no key of an entry, which has only `regex`",
                quote(&entry.key)
            );
            let meant = keys::nearest(&entry.key, &["regex"]);
            Report::new(path.clone(), message)
                .hint(meant.map(|meant| format!("write {meant}")))
        });
    }
    let Some(expression) = expression else {
        if table.entries.is_empty() {
            reader.sink.add(&codes::TYPE, value.span, || {
                let message = "an entry is a string or `{ regex = '…' }`";
                Report::new(path, message)
            });
        }
        return None;
    };
    let Kind::String(text) = &expression.kind else {
        if !matches!(expression.kind, Kind::Broken) {
            reader.sink.add(&codes::TYPE, expression.span, || {
                let found = expression.kind.name();
                let message = format!("`regex` takes a string, not {found}");
                Report::new(format!("{path}.regex"), message)
            });
        }
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
            let message = "`*` allows any origin, and stands alone";
            Report::new(path, message)
                .hint(Some("remove either `*` or the other entries"))
                .related(other.span, other_path, "this stands beside it")
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
                true => (
                    format!("{this} stands here a second time"),
                    "it stands here first",
                ),
                false => (
                    format!(
                        "{this} is covered by {}",
                        quote(by.value.as_str())
                    ),
                    "this covers it",
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
            let message =
                format!("{} stands here a second time", quote(&item.value));
            Report::new(path, message).hint(Some("remove it")).related(
                first.span,
                first_path,
                "it stands here first",
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
            Origin::Expression { .. } => return false,
        };
        text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://"))
    }
}

/// A secure form of an origin that is not: the same with https.
pub(crate) fn secure_form(tuple: &TuplePattern) -> Option<String> {
    let rest = tuple.as_str().strip_prefix("http://")?;
    mend(&format!("https://{rest}")).or_else(|| {
        let text = format!("https://{rest}");
        OriginPattern::parse(&text).is_ok().then_some(text)
    })
}
