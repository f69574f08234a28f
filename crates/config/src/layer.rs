//! What one table says: a policy's own, or the defaults.
//!
//! Here each value is judged for itself. What only several together make wrong is
//! judged in `effective`, once the defaults are filled in.

use crate::{
    codes,
    diagnostic::{Report, Sink},
    keys::{self, KEYS, nearest},
    lists::{self, Name},
    mend::mend_entries,
    origins::{self, Origin},
    source::{Span, quote},
    spec::{Disallowed, Flag, Mode, Preflight, UpstreamHeaders, Words},
    tree::{Entry, Kind, Table, Value},
};

/// The value of a key.
#[derive(Clone, Debug)]
pub(crate) struct Field<T> {
    pub(crate) key: Span,
    pub(crate) span: Span,
    pub(crate) value: T,
    /// Whether all of it could be used. If not, that was reported.
    pub(crate) whole: bool,
}

/// An element of a list, with its place in the document and in the list.
#[derive(Clone, Debug)]
pub(crate) struct Item<T> {
    pub(crate) span: Span,
    pub(crate) index: usize,
    pub(crate) value: T,
}

pub(crate) type List<T> = Option<Field<Vec<Item<T>>>>;

/// What a table says.
#[derive(Debug, Default)]
pub(crate) struct Layer<'t> {
    /// The path of the table, such as `policy.api`.
    pub(crate) path: String,
    /// The name in the table's header.
    pub(crate) span: Span,
    pub(crate) origins: List<Origin<'t>>,
    pub(crate) methods: List<String>,
    pub(crate) headers: List<String>,
    pub(crate) exposed: List<String>,
    pub(crate) credentials: Option<Field<bool>>,
    pub(crate) max_age: Option<Field<Option<u32>>>,
    pub(crate) private_network: Option<Field<bool>>,
    pub(crate) timing: Option<Field<bool>>,
    pub(crate) preflight: Option<Field<Option<Preflight>>>,
    pub(crate) preflight_status: Option<Field<Option<u16>>>,
    pub(crate) disallowed: Option<Field<Option<Disallowed>>>,
    pub(crate) websocket: Option<Field<Option<Disallowed>>>,
    pub(crate) self_origins: List<String>,
    pub(crate) upstream: Option<Field<Option<UpstreamHeaders>>>,
    pub(crate) mode: Option<Field<Option<Mode>>>,
    pub(crate) flags: List<Flag>,
}

/// Which table it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    Policy,
    Defaults,
}

impl<'t> Layer<'t> {
    /// Reads a table, and reports all that is wrong with its keys and values.
    pub(crate) fn read(
        table: &Table<'t>,
        span: Span,
        path: String,
        scope: Scope,
        text: &str,
        sink: &mut Sink,
    ) -> Layer<'t> {
        let mut layer = Layer { path, span, ..Layer::default() };
        for entry in &table.entries {
            layer.read_entry(entry, scope, text, sink);
        }
        layer
    }

    fn read_entry(
        &mut self,
        entry: &Entry<'t>,
        scope: Scope,
        text: &str,
        sink: &mut Sink,
    ) {
        let mut reader = Reader { path: &self.path, entry, text, sink };
        let key = &*entry.key;
        if scope == Scope::Defaults
            && matches!(key, "mode" | "dangerously_allow")
        {
            return reader.not_in_defaults();
        }
        match key {
            "allow_origins" => keep(&mut self.origins, reader.origins()),
            "allow_methods" => {
                keep(&mut self.methods, reader.names(Name::Method));
            }
            "allow_headers" => {
                keep(&mut self.headers, reader.names(Name::RequestHeader));
            }
            "expose_headers" => {
                keep(&mut self.exposed, reader.names(Name::ResponseHeader));
            }
            "allow_credentials" => {
                keep(&mut self.credentials, reader.boolean());
            }
            "max_age" => keep(&mut self.max_age, reader.max_age()),
            "allow_private_network" => {
                keep(&mut self.private_network, reader.boolean());
            }
            "timing_allow_origin" => keep(&mut self.timing, reader.boolean()),
            "preflight" => keep(&mut self.preflight, reader.word()),
            "preflight_status" => {
                keep(&mut self.preflight_status, reader.status());
            }
            "disallowed" => keep(&mut self.disallowed, reader.word()),
            "websocket" => keep(&mut self.websocket, reader.word()),
            "self_origins" => {
                keep(&mut self.self_origins, reader.self_origins());
            }
            "upstream_headers" => keep(&mut self.upstream, reader.word()),
            "mode" => keep(&mut self.mode, reader.word()),
            "dangerously_allow" => keep(&mut self.flags, reader.flags()),
            _ => reader.unknown_key(),
        }
    }

    /// The path of a key, or of an element of its list.
    pub(crate) fn at(&self, key: &str, index: Option<usize>) -> String {
        path_of(&self.path, key, index)
    }
}

/// Of equal keys, which were reported, the first counts.
fn keep<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

pub(crate) fn path_of(table: &str, key: &str, index: Option<usize>) -> String {
    match index {
        None => format!("{table}.{key}"),
        Some(index) => format!("{table}.{key}[{index}]"),
    }
}

/// Reads the value of one key.
pub(crate) struct Reader<'r, 't> {
    path: &'r str,
    entry: &'r Entry<'t>,
    text: &'r str,
    pub(crate) sink: &'r mut Sink,
}

impl<'r, 't> Reader<'r, 't> {
    /// The path of the value, or of an element of it.
    pub(crate) fn at(&self, index: Option<usize>) -> String {
        path_of(self.path, &self.entry.key, index)
    }

    fn field<T>(&self, value: T, whole: bool) -> Field<T> {
        let Entry { key_span, value: Value { span, .. }, .. } = *self.entry;
        Field { key: key_span, span, value, whole }
    }

    /// Reports that a value is of another type than this.
    fn wrong_type(
        &mut self,
        value: &Value<'_>,
        index: Option<usize>,
        expected: &str,
        hint: Option<String>,
    ) {
        if matches!(value.kind, Kind::Broken) {
            return;
        }
        let path = self.at(index);
        let found = value.kind.name();
        let what = match index {
            None => quote(&self.entry.key),
            Some(_) => format!("an entry of {}", quote(&self.entry.key)),
        };
        self.sink.add(&codes::TYPE, value.span, || {
            let message = format!("{what} takes {expected}, not {found}");
            Report::new(path, message).hint(hint)
        });
    }

    fn boolean(&mut self) -> Field<bool> {
        let value = &self.entry.value;
        if let Kind::Boolean(yes) = value.kind {
            return self.field(yes, true);
        }
        let hint = match &value.kind {
            Kind::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some("write true".to_owned()),
                "false" | "no" | "off" | "0" => Some("write false".to_owned()),
                _ => None,
            },
            Kind::Integer(Some(1)) => Some("write true".to_owned()),
            Kind::Integer(Some(0)) => Some("write false".to_owned()),
            _ => None,
        };
        self.wrong_type(value, None, "true or false", hint);
        self.field(false, false)
    }

    /// One of the words of an enumeration.
    fn word<T: Words>(&mut self) -> Field<Option<T>> {
        let value = &self.entry.value;
        let Kind::String(text) = &value.kind else {
            let expected = format!("{} as a string", words::<T>("or"));
            self.wrong_type(value, None, &expected, None);
            return self.field(None, false);
        };
        if let Some((_, found)) = T::ALL.iter().find(|(word, _)| word == text) {
            return self.field(Some(*found), true);
        }
        let path = self.at(None);
        self.sink.add(&codes::WORD, value.span, || {
            let message = format!(
                "{} is no value of {}, which takes {}",
                quote(text),
                quote(&self.entry.key),
                words::<T>("or")
            );
            Report::new(path, message).hint(meant_word::<T>(text))
        });
        self.field(None, false)
    }

    fn status(&mut self) -> Field<Option<u16>> {
        let value = &self.entry.value;
        let Kind::Integer(number) = value.kind else {
            let expected = "an integer from 200 to 299";
            self.wrong_type(value, None, expected, None);
            return self.field(None, false);
        };
        let status = number.filter(|n| (200..=299).contains(n));
        if let Some(status) = status.and_then(|n| u16::try_from(n).ok()) {
            return self.field(Some(status), true);
        }
        let path = self.at(None);
        self.sink.add(&codes::STATUS, value.span, || {
            let message = "a preflight is answered with a status from 200 to \
                           299: browsers take any other for a refusal";
            Report::new(path, message).hint(Some("write 204"))
        });
        self.field(None, false)
    }

    fn max_age(&mut self) -> Field<Option<u32>> {
        let value = &self.entry.value;
        let seconds = match &value.kind {
            Kind::Integer(number) => *number,
            Kind::String(text) => match duration(text) {
                Some(seconds) => seconds,
                None => {
                    self.no_duration(text, value.span);
                    return self.field(None, false);
                }
            },
            _ => {
                let expected =
                    "an integer of seconds or a duration such as \"10m\"";
                self.wrong_type(value, None, expected, None);
                return self.field(None, false);
            }
        };
        const DAY: i64 = 86_400;
        let good = seconds.filter(|s| (0..=DAY).contains(s));
        let Some(good) = good.and_then(|s| u32::try_from(s).ok()) else {
            let negative = seconds.is_some_and(|s| s < 0);
            let path = self.at(None);
            self.sink.add(&codes::MAX_AGE_RANGE, value.span, || {
                let message =
                    "`max_age` is at least 0 and at most 86400 seconds, a day";
                let hint = match negative {
                    true => "write 0 to switch the cache off",
                    false => "write 7200, the most that Chromium keeps",
                };
                Report::new(path, message).hint(Some(hint))
            });
            return self.field(None, false);
        };
        if good > 7200 {
            let path = self.at(None);
            self.sink.add(&codes::MAX_AGE_CAPPED, value.span, || {
                let message = "Chromium keeps a preflight's answer for at most \
                               7200 seconds, and Safari for 600";
                Report::new(path, message).hint(Some("write 7200"))
            });
        }
        self.field(Some(good), true)
    }

    fn no_duration(&mut self, text: &str, span: Span) {
        let path = self.at(None);
        self.sink.add(&codes::MAX_AGE_TEXT, span, || {
            let message = format!(
                "{} is no duration: digits and one of s, m, h and d, such as \
                 \"10m\"",
                quote(text)
            );
            Report::new(path, message).hint(mend_duration(text))
        });
    }

    /// The elements of a list; whether all of the value could be used.
    fn elements(&mut self, of: &str) -> (&'r [Value<'t>], bool) {
        let value = &self.entry.value;
        match &value.kind {
            Kind::Array(values) => (values, true),
            kind => {
                let hint = match kind {
                    Kind::String(text) => list_form(text, of == "origins"),
                    _ => None,
                };
                let expected = format!("a list of {of}");
                self.wrong_type(value, None, &expected, hint);
                (&[], false)
            }
        }
    }

    fn names(&mut self, name: Name) -> Field<Vec<Item<String>>> {
        let (values, mut whole) = self.elements(name.plural());
        let mut items = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let Kind::String(text) = &value.kind else {
                self.wrong_type(value, Some(index), "a string", None);
                whole = false;
                continue;
            };
            let path = || path_of(self.path, &self.entry.key, Some(index));
            match lists::check(name, text, value.span, path, self.sink) {
                Some(value_text) => items.push(Item {
                    span: value.span,
                    index,
                    value: value_text,
                }),
                None => whole = false,
            }
        }
        lists::check_all(name, &items, self);
        self.field(items, whole)
    }

    fn flags(&mut self) -> Field<Vec<Item<Flag>>> {
        let (values, mut whole) = self.elements("flags");
        let mut items: Vec<Item<Flag>> = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let span = value.span;
            let Kind::String(text) = &value.kind else {
                self.wrong_type(value, Some(index), "a string", None);
                whole = false;
                continue;
            };
            let known = Flag::ALL.iter().find(|(word, _)| word == text);
            let Some((_, flag)) = known else {
                whole = false;
                let path = self.at(Some(index));
                self.sink.add(&codes::FLAG, span, || {
                    let message = format!(
                        "{} is no danger flag; the flags are {}",
                        quote(text),
                        words::<Flag>("and")
                    );
                    Report::new(path, message).hint(meant_word::<Flag>(text))
                });
                continue;
            };
            match items.iter().find(|item| item.value == *flag) {
                Some(first) => {
                    lists::duplicate(self, index, span, first, flag.as_str());
                }
                None => items.push(Item { span, index, value: *flag }),
            }
        }
        self.field(items, whole)
    }

    fn origins(&mut self) -> Field<Vec<Item<Origin<'t>>>> {
        let (values, mut whole) = self.elements("origins");
        let mut items = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let origin = match &value.kind {
                Kind::String(text) => origins::plain(self, index, value, text),
                Kind::Table(table) => {
                    origins::expression(self, index, value, table)
                }
                _ => {
                    let expected = "a string or `{ regex = '…' }`";
                    self.wrong_type(value, Some(index), expected, None);
                    None
                }
            };
            match origin {
                Some(origin) => {
                    items.push(Item { span: value.span, index, value: origin });
                }
                None => whole = false,
            }
        }
        origins::check_all(&items, values, self);
        self.field(items, whole)
    }

    fn self_origins(&mut self) -> Field<Vec<Item<String>>> {
        let (values, mut whole) = self.elements("origins");
        let mut items = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let span = value.span;
            let origin = match &value.kind {
                Kind::String(text) => origins::own(self, index, value, text),
                _ => {
                    self.wrong_type(value, Some(index), "a string", None);
                    None
                }
            };
            match origin {
                Some(value) => items.push(Item { span, index, value }),
                None => whole = false,
            }
        }
        origins::check_own(&items, self);
        self.field(items, whole)
    }

    /// Where a part of a string stands in the document: the bytes `range` of
    /// `text`, which is the string `value`. All of the string if it is written
    /// with escapes.
    pub(crate) fn part(
        &self,
        value: &Value<'_>,
        text: &str,
        range: std::ops::Range<usize>,
    ) -> Span {
        let Span { start, .. } = value.span;
        let written = self.text.get(value.span.bytes()).unwrap_or_default();
        for quotes in [1, 3] {
            let end = written.len().saturating_sub(quotes);
            if written.get(quotes..end) == Some(text) && !range.is_empty() {
                let start = start as usize + quotes;
                return Span::new(start + range.start, start + range.end);
            }
        }
        value.span
    }

    fn not_in_defaults(&mut self) {
        let path = self.at(None);
        let key = quote(&self.entry.key);
        self.sink.add(&codes::NOT_IN_DEFAULTS, self.entry.key_span, || {
            let message = format!("{key} may not stand in `[defaults]`");
            let hint = format!("write {key} in each policy that needs it");
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn unknown_key(&mut self) {
        let Entry { key, key_span, .. } = self.entry;
        let path = path_of(self.path, &crate::source::excerpt(key), None);
        self.sink.add(&codes::UNKNOWN_KEY, *key_span, || {
            let message = format!("{} is no key of a policy", quote(key));
            let hint = match keys::meant_key(key) {
                Some(meant) => format!("write {meant}"),
                None => format!("the keys are {}", KEYS.join(", ")),
            };
            Report::new(path, message).hint(Some(hint))
        });
    }
}

/// The words of an enumeration, for a message.
fn words<T: Words>(and: &str) -> String {
    let words: Vec<String> =
        T::ALL.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {and} {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A string that should have been a list, as one.
fn list_form(text: &str, origins: bool) -> Option<String> {
    if text.len() > 400 {
        return None;
    }
    if let Some(entries) = mend_entries(text).filter(|_| origins) {
        return Some(format!("write [{}]", entries.join(", ")));
    }
    let parts: Vec<String> = text
        .split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| format!("\"{part}\""))
        .collect();
    Some(format!("write [{}]", parts.join(", ")))
}

fn meant_word<T: Words>(text: &str) -> Option<String> {
    let words: Vec<&str> = T::ALL.iter().map(|(word, _)| *word).collect();
    nearest(text, &words).map(|word| format!("write \"{word}\""))
}

/// The seconds of a duration; `Some(None)` if they are too many to count.
fn duration(text: &str) -> Option<Option<i64>> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: Option<i64> = digits.parse().ok();
    Some(number.and_then(|number| number.checked_mul(seconds)))
}

/// `10 minutes` is `"10m"`.
fn mend_duration(text: &str) -> Option<String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let unit = unit.trim().to_ascii_lowercase();
    let unit = match unit.as_str() {
        "" => return Some(format!("write {digits}")),
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    Some(format!("write \"{digits}{unit}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_digits_and_a_unit() {
        assert_eq!(duration("90s"), Some(Some(90)));
        assert_eq!(duration("10m"), Some(Some(600)));
        assert_eq!(duration("2h"), Some(Some(7200)));
        assert_eq!(duration("1d"), Some(Some(86_400)));
        assert_eq!(duration("99999999999999999999s"), Some(None));
        assert_eq!(duration("9223372036854775807d"), Some(None));
        for text in ["", "s", "10", "-1s", "1.5h", "1w", "1 h", "1\u{fc}"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(mend_duration("10 minutes").unwrap(), "write \"10m\"");
        assert_eq!(mend_duration("600").unwrap(), "write 600");
        assert_eq!(mend_duration("soon"), None);
    }
}
