//! From JSON (RFC 8259, and nothing beyond it) to a tree.
//!
//! The parser goes on after an error, so that one slip does not hide the others.

use std::borrow::Cow;

use crate::{
    codes,
    diagnostic::{Report, Sink},
    source::{Span, quote},
    tree::{Entry, Kind, MAX_DEPTH, Table, Value},
};

/// Parses a document. The offset of `text` in the file is `base`.
pub(crate) fn parse<'t>(
    text: &'t str,
    base: usize,
    sink: &mut Sink,
) -> Value<'t> {
    let mut parser =
        Parser { text, base, at: 0, depth: 0, stopped: false, sink };
    parser.skip_space();
    let value = parser.value();
    parser.skip_space();
    if let Some(c) = parser.peek() {
        let span = parser.span(parser.at, parser.at + c.len_utf8());
        parser.error(span, "nothing may follow the document's object", None);
    }
    value
}

/// The policy file in a text that is one JSON string and nothing else, which in
/// TOML would be a key without a value.
pub(crate) fn unquote(text: &[u8]) -> Option<String> {
    let text = str::from_utf8(text).ok()?.trim();
    if text.len() < 2 || !text.starts_with('"') || !text.ends_with('"') {
        return None;
    }
    let mut sink = Sink::default();
    match parse(text, 0, &mut sink).kind {
        Kind::String(text) if !sink.has_errors() => Some(text.into_owned()),
        _ => None,
    }
}

struct Parser<'t, 's> {
    text: &'t str,
    base: usize,
    at: usize,
    depth: usize,
    /// The rest of the document is not looked at.
    stopped: bool,
    sink: &'s mut Sink,
}

impl<'t> Parser<'t, '_> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.base + start, self.base + end)
    }

    fn error(&mut self, span: Span, message: &str, hint: Option<&str>) {
        if self.stopped {
            return;
        }
        self.sink.add(&codes::JSON, span, || {
            Report::new(String::new(), message).hint(hint)
        });
    }

    /// White space; and comments, which are reported.
    fn skip_space(&mut self) {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'#') => self.skip_comment("\n"),
                Some(b'/') if self.rest().starts_with("//") => {
                    self.skip_comment("\n");
                }
                Some(b'/') if self.rest().starts_with("/*") => {
                    self.skip_comment("*/");
                }
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self, end: &str) {
        let start = self.at;
        let rest = self.rest();
        self.at += match rest.find(end) {
            Some(at) if end == "\n" => at,
            Some(at) => at + end.len(),
            None => rest.len(),
        };
        let hint = "remove the comment, or write the document in TOML";
        let span = self.span(start, self.at);
        self.error(span, "JSON has no comments", Some(hint));
    }

    fn value(&mut self) -> Value<'t> {
        let start = self.at;
        let kind = match self.peek() {
            Some('{') => self.nested(Parser::object),
            Some('[') => self.nested(Parser::array),
            Some('"') => Kind::String(self.string()),
            Some('-' | '0'..='9') => self.number(),
            Some('t') if self.word("true") => Kind::Boolean(true),
            Some('f') if self.word("false") => Kind::Boolean(false),
            Some('n') if self.word("null") => Kind::Null,
            _ => self.no_value(),
        };
        Value { span: self.span(start, self.at), kind }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.rest().strip_prefix(word).is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        });
        if found {
            self.at += word.len();
        }
        found
    }

    /// Reports what stands in the place of a value, and passes over it.
    fn no_value(&mut self) -> Kind<'t> {
        let start = self.at;
        match self.peek() {
            None => {
                let span = self.span(start, start);
                self.error(
                    span,
                    "the document ends where a value should be",
                    None,
                );
            }
            Some(c @ (',' | ':' | ']' | '}')) => {
                let span = self.span(start, start + 1);
                let message = format!("`{c}` stands where a value should be");
                self.error(span, &message, None);
            }
            Some(quote @ '\'') => {
                self.at += 1;
                let rest = self.rest();
                let end = rest.find([quote, '\n']).unwrap_or(rest.len());
                self.at += end;
                self.eat(b'\'');
                let span = self.span(start, self.at);
                let message = "a JSON string stands in double quotes";
                self.error(span, message, None);
            }
            Some(_) => {
                let rest = self.rest();
                let end = rest
                    .find([',', ':', ']', '}', '[', '{', '"', '\n', '\r', ' '])
                    .unwrap_or(rest.len());
                let end = match end {
                    0 => rest.chars().next().map_or(0, char::len_utf8),
                    end => end,
                };
                self.at += end;
                let word = quote(rest.get(..end).unwrap_or_default());
                let span = self.span(start, self.at);
                let message = format!("{word} is no JSON value");
                self.error(span, &message, None);
            }
        }
        Kind::Broken
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Kind<'t>) -> Kind<'t> {
        if self.depth >= MAX_DEPTH {
            let span = self.span(self.at, self.at + 1);
            self.sink.add(&codes::DEPTH, span, || {
                Report::new(
                    String::new(),
                    format!("the document is nested deeper than {MAX_DEPTH}"),
                )
            });
            self.at = self.text.len();
            self.stopped = true;
            return Kind::Broken;
        }
        self.depth += 1;
        self.at += 1;
        let kind = inner(self);
        self.depth -= 1;
        kind
    }

    fn array(&mut self) -> Kind<'t> {
        let open = self.at - 1;
        let mut values = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Kind::Array(values);
        }
        loop {
            let before = self.at;
            values.push(self.value());
            if !self.next_member(b']', open, before) {
                return Kind::Array(values);
            }
        }
    }

    fn object(&mut self) -> Kind<'t> {
        let open = self.at - 1;
        let mut table = Table::default();
        self.skip_space();
        if self.eat(b'}') {
            return Kind::Table(table);
        }
        loop {
            let before = self.at;
            self.member(&mut table);
            if !self.next_member(b'}', open, before) {
                return Kind::Table(table);
            }
        }
    }

    fn member(&mut self, table: &mut Table<'t>) {
        let start = self.at;
        let key = match self.byte() {
            Some(b'"') => Some(self.string()),
            _ => {
                let rest = self.rest();
                let end = rest
                    .find(|c: char| {
                        matches!(c, ',' | ':' | ']' | '}' | '[' | '{' | '"')
                            || c.is_whitespace()
                    })
                    .unwrap_or(rest.len());
                self.at += end;
                let span = self.span(start, self.at);
                let word = rest.get(..end).unwrap_or_default();
                let hint = (!word.is_empty())
                    .then(|| format!("write \"{}\"", word.trim_matches('\'')));
                let message = "a key stands here, in double quotes";
                self.error(span, message, hint.as_deref());
                None
            }
        };
        let key_span = self.span(start, self.at);
        self.skip_space();
        if !self.eat(b':') {
            if key.is_some() {
                let span = self.span(self.at, self.at);
                self.error(span, "a key is followed by `:` and a value", None);
            }
            if matches!(self.byte(), Some(b',' | b']' | b'}') | None) {
                return;
            }
        }
        self.skip_space();
        let value = self.value();
        let Some(key) = key else { return };
        let first = table.find(&key).and_then(|at| table.entries.get(at));
        if let Some(first) = first.map(|entry| entry.key_span) {
            duplicate_key(&key, key_span, first, self.sink);
        }
        table.push(Entry { key, key_span, value });
    }

    /// What stands between two members of a list or an object; whether another
    /// one follows.
    fn next_member(&mut self, close: u8, open: usize, before: usize) -> bool {
        self.skip_space();
        if self.eat(close) {
            return false;
        }
        if self.byte() == Some(b',') {
            let comma = self.span(self.at, self.at + 1);
            self.at += 1;
            self.skip_space();
            if self.eat(close) {
                let message = "no comma may follow the last member";
                self.error(comma, message, Some("remove the comma"));
                return false;
            }
            return self.byte().is_some() || self.unclosed(open);
        }
        match self.byte() {
            None => self.unclosed(open),
            Some(b @ (b']' | b'}' | b':')) => {
                let span = self.span(self.at, self.at + 1);
                let message = format!(
                    "`{}` stands where `,` or `{}` should be",
                    char::from(b),
                    char::from(close)
                );
                self.error(span, &message, None);
                self.at += 1;
                self.skip_space();
                // A bracket of the wrong kind closes, too.
                if b != b':' || self.eat(close) {
                    return false;
                }
                self.eat(b',');
                self.skip_space();
                self.byte().is_some() || self.unclosed(open)
            }
            Some(_) => {
                // Where the last member was no progress there was an error.
                if self.at > before {
                    let span = self.span(self.at, self.at);
                    self.error(span, "a comma is missing", Some("add `,`"));
                } else {
                    self.at += self.peek().map_or(0, char::len_utf8);
                }
                true
            }
        }
    }

    fn unclosed(&mut self, open: usize) -> bool {
        let span = self.span(open, open + 1);
        let bracket = self.text.get(open..open + 1).unwrap_or_default();
        self.error(span, &format!("this `{bracket}` is never closed"), None);
        false
    }

    fn number(&mut self) -> Kind<'t> {
        let start = self.at;
        let rest = self.rest();
        let end = rest
            .find(|c: char| {
                !(c.is_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
            })
            .unwrap_or(rest.len());
        self.at += end;
        let text = rest.get(..end).unwrap_or_default();
        match number_kind(text) {
            Some(kind) => kind,
            None => {
                let span = self.span(start, self.at);
                let message = format!("{} is no JSON number", quote(text));
                self.error(span, &message, None);
                Kind::Broken
            }
        }
    }

    fn string(&mut self) -> Cow<'t, str> {
        let open = self.at;
        self.at += 1;
        let mut start = self.at;
        let mut decoded: Option<String> = None;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let stop = |b: &u8| matches!(b, b'"' | b'\\' | 0..b' ');
            let run = rest.iter().position(stop).unwrap_or(rest.len());
            self.at += run;
            let piece = self.text.get(start..self.at).unwrap_or_default();
            match self.byte() {
                Some(b'\\') => {
                    let whole = decoded.get_or_insert_default();
                    whole.push_str(piece);
                    let c = self.escape();
                    decoded.get_or_insert_default().push(c);
                    start = self.at;
                }
                Some(b'\n' | b'\r') | None => {
                    let span = self.span(open, self.at);
                    let message = "this string is not closed on its line";
                    self.error(span, message, Some("add `\"`"));
                    return finish(decoded, piece);
                }
                Some(b'"') => {
                    self.at += 1;
                    return finish(decoded, piece);
                }
                Some(byte) => {
                    let span = self.span(self.at, self.at + 1);
                    let message = format!(
                        "a control character (U+{byte:04X}) stands in a string"
                    );
                    let hint = format!("write \\u{byte:04x}, or remove it");
                    self.error(span, &message, Some(&hint));
                    self.at += 1;
                }
            }
        }
    }

    /// The character of an escape sequence.
    fn escape(&mut self) -> char {
        let start = self.at;
        self.at += 1;
        let found = match self.byte() {
            Some(b'"') => Some('"'),
            Some(b'\\') => Some('\\'),
            Some(b'/') => Some('/'),
            Some(b'b') => Some('\u{8}'),
            Some(b'f') => Some('\u{c}'),
            Some(b'n') => Some('\n'),
            Some(b'r') => Some('\r'),
            Some(b't') => Some('\t'),
            Some(b'u') => {
                self.at += 1;
                if let Some(c) = self.unicode_escape() {
                    return c;
                }
                None
            }
            _ => None,
        };
        if let Some(c) = found {
            self.at += 1;
            return c;
        }
        // The backslash, and one character that JSON does not escape.
        if let Some(c) = self.peek().filter(|c| !c.is_control() && *c != '"')
            && self.at == start + 1
        {
            self.at += c.len_utf8();
        }
        let span = self.span(start, self.at);
        let text = self.text.get(start..self.at).unwrap_or_default();
        let message = format!("{} is no JSON escape sequence", quote(text));
        self.error(span, &message, Some("write `\\\\` for a backslash"));
        char::REPLACEMENT_CHARACTER
    }

    fn unicode_escape(&mut self) -> Option<char> {
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high);
        }
        if !self.rest().starts_with("\\u") {
            return None;
        }
        self.at += 2;
        let low = self.hex()?;
        let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

fn finish<'t>(decoded: Option<String>, piece: &'t str) -> Cow<'t, str> {
    match decoded {
        None => Cow::Borrowed(piece),
        Some(mut whole) => {
            whole.push_str(piece);
            Cow::Owned(whole)
        }
    }
}

/// `-`, digits without a leading zero, and perhaps a fraction and an exponent.
fn number_kind<'t>(text: &str) -> Option<Kind<'t>> {
    let digits = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    let good = digits(unsigned)
        && (unsigned == "0" || !unsigned.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    match (fraction, exponent) {
        _ if !good => None,
        (None, None) => Some(Kind::Integer(whole.parse().ok())),
        _ => Some(Kind::Float),
    }
}

/// Reports a key that is already there.
pub(crate) fn duplicate_key(
    key: &str,
    span: Span,
    first: Span,
    sink: &mut Sink,
) {
    sink.add(&codes::DUPLICATE_KEY, span, || {
        let message = format!("{} stands here a second time", quote(key));
        Report::new(String::new(), message)
            .hint(Some("keep one of the two"))
            .related(first, String::new(), "it stands here first")
    });
}
