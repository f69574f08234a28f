//! Reading the tables of a policy file, and the values of their keys.
//!
//! Each value is checked for itself here. What is wrong only with several values
//! together is found in `checks`, once the defaults are filled in.

use libcors_policy::Timing;

use crate::{
    codes,
    diagnostic::{Report, Sink},
    lists::{self, Name},
    names::{self, nearest},
    origins::{self, Origin},
    settings::{Flag, KEYS, Keyword, PolicyTable, scope},
    source::{Span, quote},
    suggest::suggest_entries,
    tree::{Entry, Kind, Table, Value},
};

/// The value of a key.
#[derive(Clone, Debug)]
pub(crate) struct Field<T> {
    pub(crate) key: Span,
    pub(crate) span: Span,
    pub(crate) value: T,
    /// Whether all of it could be used. If not, that was reported.
    pub(crate) is_complete: bool,
}

/// An element of a list, with its place in the file and in the list.
#[derive(Clone, Debug)]
pub(crate) struct Item<T> {
    pub(crate) span: Span,
    pub(crate) index: usize,
    pub(crate) value: T,
}

/// Where a key may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    /// In policies and in the defaults.
    Everywhere,
    /// In policies alone.
    Policy,
}

/// Which table is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TableKind {
    Policy,
    Defaults,
}

impl<'t> PolicyTable<'t> {
    /// Reads a table, and reports the errors of its keys and values.
    pub(crate) fn read(
        table: &Table<'t>,
        span: Span,
        path: String,
        kind: TableKind,
        text: &str,
        sink: &mut Sink,
    ) -> PolicyTable<'t> {
        let mut read = PolicyTable { span, ..PolicyTable::default() };
        for entry in &table.entries {
            let mut reader = Reader { path: &path, entry, text, sink };
            if kind == TableKind::Defaults && scope(&entry.key) == Scope::Policy
            {
                reader.not_in_defaults();
            } else if !read.read_known(entry, &mut reader) {
                reader.unknown_key();
            }
        }
        read.path = path;
        read
    }

    /// The path of a key, or of an element of its list.
    pub(crate) fn at(&self, key: &str, index: Option<usize>) -> String {
        path_of(&self.path, key, index)
    }
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

    fn field<T>(&self, value: T, is_complete: bool) -> Field<T> {
        let Entry { key_span, value: Value { span, .. }, .. } = *self.entry;
        Field { key: key_span, span, value, is_complete }
    }

    /// A value that could not be used.
    fn invalid<T>(&self) -> Field<Option<T>> {
        self.field(None, false)
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

    pub(crate) fn boolean(&mut self) -> Field<Option<bool>> {
        let value = &self.entry.value;
        if let Kind::Boolean(yes) = value.kind {
            return self.field(Some(yes), true);
        }
        self.not_boolean("true or false");
        self.invalid()
    }

    /// `true`, `false`, or `"*"`.
    pub(crate) fn timing(&mut self) -> Field<Option<Timing>> {
        let timing = match &self.entry.value.kind {
            Kind::Boolean(false) => Timing::Off,
            Kind::Boolean(true) => Timing::AllowedOrigins,
            Kind::String(text) if text == "*" => Timing::Any,
            _ => {
                self.not_boolean("true, false or \"*\"");
                return self.invalid();
            }
        };
        self.field(Some(timing), true)
    }

    fn not_boolean(&mut self, expected: &str) {
        let value = &self.entry.value;
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
        self.wrong_type(value, None, expected, hint);
    }

    /// One of a few words.
    pub(crate) fn keyword<K: Keyword>(&mut self) -> Field<Option<K>> {
        let value = &self.entry.value;
        let Kind::String(text) = &value.kind else {
            let expected = keywords::<K>("or");
            self.wrong_type(value, None, &expected, None);
            return self.invalid();
        };
        if let Some(found) = find_keyword(text) {
            return self.field(Some(found), true);
        }
        let path = self.at(None);
        self.sink.add(&codes::KEYWORD, value.span, || {
            let message = format!(
                "unknown value {} for {}, expected {}",
                quote(text),
                quote(&self.entry.key),
                keywords::<K>("or")
            );
            Report::new(path, message).hint(suggest_keyword::<K>(text))
        });
        self.invalid()
    }

    pub(crate) fn status(&mut self) -> Field<Option<u16>> {
        let value = &self.entry.value;
        let Kind::Integer(number) = value.kind else {
            let expected = "an integer from 200 to 299";
            self.wrong_type(value, None, expected, None);
            return self.invalid();
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
        self.invalid()
    }

    pub(crate) fn max_age(&mut self) -> Field<Option<u32>> {
        let value = &self.entry.value;
        let seconds = match &value.kind {
            Kind::Integer(number) => *number,
            Kind::String(text) => match duration(text) {
                Some(seconds) => seconds,
                None => {
                    self.invalid_duration(text, value.span);
                    return self.invalid();
                }
            },
            _ => {
                let expected =
                    "an integer of seconds or a duration such as \"10m\"";
                self.wrong_type(value, None, expected, None);
                return self.invalid();
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
            return self.invalid();
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

    fn invalid_duration(&mut self, text: &str, span: Span) {
        let path = self.at(None);
        self.sink.add(&codes::MAX_AGE_TEXT, span, || {
            let message = format!(
                "invalid duration {}, expected a number and a unit (s, m, h, \
                 d), such as \"10m\"",
                quote(text)
            );
            Report::new(path, message).hint(suggest_duration(text))
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

    pub(crate) fn methods(&mut self) -> Field<Vec<Item<String>>> {
        self.names(Name::Method)
    }

    pub(crate) fn request_headers(&mut self) -> Field<Vec<Item<String>>> {
        self.names(Name::RequestHeader)
    }

    pub(crate) fn response_headers(&mut self) -> Field<Vec<Item<String>>> {
        self.names(Name::ResponseHeader)
    }

    fn names(&mut self, name: Name) -> Field<Vec<Item<String>>> {
        let (values, mut is_complete) = self.elements(name.plural());
        let mut items = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let Kind::String(text) = &value.kind else {
                self.wrong_type(value, Some(index), "a string", None);
                is_complete = false;
                continue;
            };
            let path = || path_of(self.path, &self.entry.key, Some(index));
            match lists::check(name, text, value.span, path, self.sink) {
                Some(value_text) => items.push(Item {
                    span: value.span,
                    index,
                    value: value_text,
                }),
                None => is_complete = false,
            }
        }
        lists::check_all(name, &items, self);
        self.field(items, is_complete)
    }

    pub(crate) fn flags(&mut self) -> Field<Vec<Item<Flag>>> {
        let (values, mut is_complete) = self.elements("flags");
        let mut items: Vec<Item<Flag>> = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let span = value.span;
            let Kind::String(text) = &value.kind else {
                self.wrong_type(value, Some(index), "a string", None);
                is_complete = false;
                continue;
            };
            let Some(flag) = find_keyword::<Flag>(text) else {
                is_complete = false;
                let path = self.at(Some(index));
                self.sink.add(&codes::FLAG, span, || {
                    let message = format!(
                        "unknown danger flag {}, expected {}",
                        quote(text),
                        keywords::<Flag>("or")
                    );
                    let hint = suggest_keyword::<Flag>(text);
                    Report::new(path, message).hint(hint)
                });
                continue;
            };
            match items.iter().find(|item| item.value == flag) {
                Some(first) => {
                    lists::duplicate(self, index, span, first, flag.as_str());
                }
                None => items.push(Item { span, index, value: flag }),
            }
        }
        self.field(items, is_complete)
    }

    pub(crate) fn origins(&mut self) -> Field<Vec<Item<Origin<'t>>>> {
        let (values, mut is_complete) = self.elements("origins");
        let mut items = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let origin = match &value.kind {
                Kind::String(text) => origins::plain(self, index, value, text),
                Kind::Table(table) => origins::table(self, index, value, table),
                _ => {
                    let expected = "a string or a table";
                    self.wrong_type(value, Some(index), expected, None);
                    None
                }
            };
            match origin {
                Some(origin) => {
                    items.push(Item { span: value.span, index, value: origin });
                }
                None => is_complete = false,
            }
        }
        origins::check_all(&items, values, self);
        self.field(items, is_complete)
    }

    pub(crate) fn self_origins(&mut self) -> Field<Vec<Item<String>>> {
        let (values, mut is_complete) = self.elements("origins");
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
                None => is_complete = false,
            }
        }
        origins::check_own(&items, self);
        self.field(items, is_complete)
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
            let message = format!("{key} is not allowed in `[defaults]`");
            let hint = format!("write {key} in each policy that needs it");
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn unknown_key(&mut self) {
        let Entry { key, key_span, .. } = self.entry;
        let path = path_of(self.path, &crate::source::excerpt(key), None);
        self.sink.add(&codes::UNKNOWN_KEY, *key_span, || {
            let message = format!("unknown key {}", quote(key));
            let hint = match names::suggest_key(key) {
                Some(meant) => format!("write {meant}"),
                None => format!("the keys are {}", KEYS.join(", ")),
            };
            Report::new(path, message).hint(Some(hint))
        });
    }
}

/// The value that this word stands for.
pub(crate) fn find_keyword<K: Keyword>(text: &str) -> Option<K> {
    let found = K::ALL.iter().find(|(_, word, _)| *word == text);
    found.map(|(value, _, _)| *value)
}

/// The words of a setting, for a message.
fn keywords<K: Keyword>(and: &str) -> String {
    let words: Vec<String> =
        K::ALL.iter().map(|(_, word, _)| format!("\"{word}\"")).collect();
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
    if let Some(entries) = suggest_entries(text).filter(|_| origins) {
        return Some(format!("write [{}]", entries.join(", ")));
    }
    let parts: Vec<String> = text
        .split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| format!("\"{part}\""))
        .collect();
    Some(format!("write [{}]", parts.join(", ")))
}

fn suggest_keyword<K: Keyword>(text: &str) -> Option<String> {
    let words: Vec<&str> = K::ALL.iter().map(|(_, word, _)| *word).collect();
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
fn suggest_duration(text: &str) -> Option<String> {
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
        assert_eq!(suggest_duration("10 minutes").unwrap(), "write \"10m\"");
        assert_eq!(suggest_duration("600").unwrap(), "write 600");
        assert_eq!(suggest_duration("soon"), None);
    }
}
