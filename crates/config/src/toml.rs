//! From TOML to a tree.
//!
//! The crate `toml_parser` reads the text and goes on after an error; here its
//! events become tables, by TOML's rules of what may be defined where.

use std::{borrow::Cow, cell::RefCell};

use toml_parser::{
    ErrorSink, Expected, ParseError, Source,
    decoder::{Encoding, ScalarKind},
    lexer::{Token, TokenKind},
    parser::{EventReceiver, ValidateWhitespace, parse_document},
};

use crate::{
    codes,
    diagnostic::{Report, Sink},
    json::duplicate_key,
    source::{Span, quote},
    tree::{Entry, Form, Kind, MAX_DEPTH, Table, Value},
};

/// The most tokens of a document: what bounds the memory that it takes.
const MAX_TOKENS: usize = 32_000_000;

/// After so many errors of syntax a document is read no further.
const MAX_ERRORS: usize = 10_000;

/// Parses a document, perhaps with a byte-order mark.
pub(crate) fn parse<'t>(text: &'t str, sink: &mut Sink) -> Value<'t> {
    let source = Source::new(text);
    let span = Span::new(0, text.len());
    let sink = RefCell::new(sink);
    let mut errors = Errors { sink: &sink, count: 0 };
    let mut builder = Builder::new(source, &sink);
    let mut receiver = ValidateWhitespace::new(&mut builder, source);
    let mut tokens = Vec::new();
    let mut shape = Shape::default();
    for token in source.lex() {
        tokens.push(token);
        let next = shape.add(token, &mut sink.borrow_mut());
        match next {
            Next::Inside => {}
            Next::Statement => {
                parse_document(&tokens, &mut receiver, &mut errors);
                tokens.clear();
                if errors.count > MAX_ERRORS {
                    break;
                }
            }
            Next::Refused => return Value { span, kind: Kind::Broken },
        }
    }
    parse_document(&tokens, &mut receiver, &mut errors);
    builder.settle();
    Value { span, kind: Kind::Table(builder.root) }
}

/// What a token makes of a document.
enum Next {
    /// A statement is not complete.
    Inside,
    /// A statement is complete. One is parsed at a time, so that only the longest
    /// one takes memory.
    Statement,
    /// The document is refused, and that was reported.
    Refused,
}

/// How a document is nested, as far as its tokens tell: what is too deep is found
/// out before it takes memory.
#[derive(Default)]
struct Shape {
    tokens: usize,
    depth: usize,
    /// How many dots join the words of the key that is being read.
    dots: usize,
    /// Whether the statement is a header, which nests nothing if it is unclosed.
    header: bool,
    /// Whether something stands on the line.
    begun: bool,
}

impl Shape {
    fn add(&mut self, token: Token, sink: &mut Sink) -> Next {
        self.tokens += 1;
        let begun = self.begun;
        self.begun |= token.kind() != TokenKind::Whitespace;
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                self.header |= !begun && self.depth == 0;
                self.depth += 1;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                self.depth = self.depth.saturating_sub(1);
            }
            TokenKind::Dot => self.dots += 1,
            TokenKind::Comma | TokenKind::Equals => self.dots = 0,
            TokenKind::Newline => {
                self.dots = 0;
                self.begun = false;
                if std::mem::take(&mut self.header) {
                    self.depth = 0;
                }
                if self.depth == 0 {
                    return Next::Statement;
                }
            }
            _ => {}
        }
        if self.depth.max(self.dots) > MAX_DEPTH {
            too_deep(span_of(token.span()), sink);
            return Next::Refused;
        }
        if self.tokens > MAX_TOKENS {
            sink.add(&codes::TOO_LARGE, span_of(token.span()), || {
                let message = format!(
                    "the document has more than {MAX_TOKENS} words and signs"
                );
                Report::new(String::new(), message)
            });
            return Next::Refused;
        }
        Next::Inside
    }
}

fn too_deep(span: Span, sink: &mut Sink) {
    sink.add(&codes::DEPTH, span, || {
        let message =
            format!("the document is nested deeper than {MAX_DEPTH} levels");
        Report::new(String::new(), message)
    });
}

fn span_of(span: toml_parser::Span) -> Span {
    Span::new(span.start(), span.end())
}

/// Takes syntax errors.
struct Errors<'r, 's> {
    sink: &'r RefCell<&'s mut Sink>,
    count: usize,
}

impl ErrorSink for Errors<'_, '_> {
    fn report_error(&mut self, error: ParseError) {
        self.count += 1;
        let unexpected = error.unexpected().or(error.context());
        let span = span_of(unexpected.unwrap_or_default());
        self.sink.borrow_mut().add(&codes::TOML, span, || {
            let mut message = error.description().to_owned();
            for (i, expected) in
                error.expected().unwrap_or_default().iter().enumerate()
            {
                let between = if i == 0 { "; expected " } else { " or " };
                message.push_str(between);
                match expected {
                    Expected::Literal("\n") => message.push_str("a new line"),
                    Expected::Literal(text) => message.push_str(&quote(text)),
                    Expected::Description(text) => message.push_str(text),
                    _ => message.push_str("something else"),
                }
            }
            Report::new(String::new(), message)
        });
    }
}

/// A key as it stands in a path.
type Key<'t> = (Cow<'t, str>, Span);

/// A step from a table to one in it: the entry, and the element if the entry is
/// an array of tables.
type Step = (usize, Option<usize>);

/// What is open.
enum Frame<'t> {
    Array { open: Span, values: Vec<Value<'t>> },
    Table { open: Span, table: Table<'t>, path: Vec<Key<'t>> },
}

struct Builder<'t, 'r, 's> {
    source: Source<'t>,
    sink: &'r RefCell<&'s mut Sink>,
    root: Table<'t>,
    /// The way to the table that keys are added to, unless its header was wrong.
    current: Option<Vec<Step>>,
    /// The header that is being read, and whether it is one of an array.
    header: Option<bool>,
    /// The key that is being read, outside of values.
    path: Vec<Key<'t>>,
    /// The values that are open, the innermost last.
    open: Vec<Frame<'t>>,
}

impl<'t, 'r, 's> Builder<'t, 'r, 's> {
    fn new(source: Source<'t>, sink: &'r RefCell<&'s mut Sink>) -> Self {
        Builder {
            source,
            sink,
            root: Table::new(Form::Header),
            current: Some(Vec::new()),
            header: None,
            path: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Ends what was not ended: a header without its bracket, a key without a
    /// value.
    fn settle(&mut self) {
        if !self.open.is_empty() {
            return;
        }
        let path = std::mem::take(&mut self.path);
        if let Some(array) = self.header.take() {
            self.start_table(path, array);
        }
    }

    fn start_table(&mut self, mut path: Vec<Key<'t>>, array: bool) {
        // What cannot be placed is read all the same, for the sake of its
        // errors of syntax.
        self.current = None;
        let Some(last) = path.pop().filter(|key| !is_missing(key)) else {
            return;
        };
        let root = &mut self.root;
        let Some(mut steps) =
            descend(root, &path, Form::Implicit, &mut self.sink.borrow_mut())
        else {
            return;
        };
        let Some(parent) = table_at(root, &steps) else { return };
        let (key, key_span) = last;
        let sink = &mut self.sink.borrow_mut();
        let found = parent.find(&key);
        let step = match found.and_then(|at| parent.entries.get_mut(at)) {
            Some(Entry { key_span: first, value, .. }) => {
                match (&mut value.kind, array) {
                    (Kind::Table(table), false)
                        if table.form == Form::Implicit =>
                    {
                        table.form = Form::Header;
                        *first = key_span;
                        value.span = key_span;
                        found.map(|at| (at, None))
                    }
                    (Kind::Array(tables), true)
                        if tables.last().is_some_and(is_element) =>
                    {
                        tables.push(element(key_span));
                        found.map(|at| (at, Some(tables.len() - 1)))
                    }
                    _ => {
                        duplicate_key(&key, key_span, *first, sink);
                        None
                    }
                }
            }
            None => None,
        };
        let step = step.unwrap_or_else(|| {
            let element = element(key_span);
            let (value, at) = match array {
                true => {
                    let kind = Kind::Array(vec![element]);
                    (Value { span: key_span, kind }, Some(0))
                }
                false => (element, None),
            };
            (parent.push(Entry { key, key_span, value }), at)
        });
        steps.push(step);
        self.current = Some(steps);
    }

    /// Puts a complete value where it belongs.
    fn put(&mut self, value: Value<'t>) {
        let sink = &mut self.sink.borrow_mut();
        match self.open.last_mut() {
            Some(Frame::Array { values, .. }) => values.push(value),
            Some(Frame::Table { table, path, .. }) => {
                let path = std::mem::take(path);
                insert(table, path, value, sink);
            }
            None => {
                let path = std::mem::take(&mut self.path);
                if let Some(steps) = &self.current
                    && let Some(table) = table_at(&mut self.root, steps)
                {
                    insert(table, path, value, sink);
                }
            }
        }
    }

    /// Opens a value, unless it is nested too deeply.
    fn open(&mut self, frame: Frame<'t>) -> bool {
        let allowed = self.open.len() < MAX_DEPTH;
        if !allowed {
            let (Frame::Array { open, .. } | Frame::Table { open, .. }) = frame;
            too_deep(open, &mut self.sink.borrow_mut());
        }
        self.open.push(frame);
        allowed
    }

    fn close(&mut self, end: Span) {
        let value = match self.open.pop() {
            Some(Frame::Array { open, values }) => {
                Value { span: open.to(end), kind: Kind::Array(values) }
            }
            Some(Frame::Table { open, table, .. }) => {
                Value { span: open.to(end), kind: Kind::Table(table) }
            }
            None => return,
        };
        self.put(value);
    }

    fn raw(
        &self,
        span: toml_parser::Span,
        encoding: Option<Encoding>,
    ) -> toml_parser::Raw<'t> {
        let text = self.source.input().get(span.start()..span.end());
        let text = text.unwrap_or_default();
        toml_parser::Raw::new_unchecked(text, encoding, span)
    }
}

impl EventReceiver for Builder<'_, '_, '_> {
    fn std_table_open(&mut self, _: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.settle();
        self.header = Some(false);
    }

    fn std_table_close(&mut self, _: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.settle();
    }

    fn array_table_open(
        &mut self,
        _: toml_parser::Span,
        _: &mut dyn ErrorSink,
    ) {
        self.settle();
        self.header = Some(true);
    }

    fn array_table_close(
        &mut self,
        _: toml_parser::Span,
        _: &mut dyn ErrorSink,
    ) {
        self.settle();
    }

    fn inline_table_open(
        &mut self,
        span: toml_parser::Span,
        _: &mut dyn ErrorSink,
    ) -> bool {
        let open = span_of(span);
        let (table, path) = (Table::default(), Vec::new());
        self.open(Frame::Table { open, table, path })
    }

    fn inline_table_close(
        &mut self,
        span: toml_parser::Span,
        _: &mut dyn ErrorSink,
    ) {
        self.close(span_of(span));
    }

    fn array_open(
        &mut self,
        span: toml_parser::Span,
        _: &mut dyn ErrorSink,
    ) -> bool {
        self.open(Frame::Array { open: span_of(span), values: Vec::new() })
    }

    fn array_close(&mut self, span: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.close(span_of(span));
    }

    fn simple_key(
        &mut self,
        span: toml_parser::Span,
        encoding: Option<Encoding>,
        errors: &mut dyn ErrorSink,
    ) {
        let mut key = Cow::Borrowed("");
        self.raw(span, encoding).decode_key(&mut key, errors);
        let path = match self.open.last_mut() {
            Some(Frame::Table { path, .. }) => path,
            Some(Frame::Array { .. }) => return,
            None => &mut self.path,
        };
        match path.len().cmp(&MAX_DEPTH) {
            std::cmp::Ordering::Less => path.push((key, span_of(span))),
            std::cmp::Ordering::Equal => {
                path.push((Cow::Borrowed(""), span_of(span)));
                too_deep(span_of(span), &mut self.sink.borrow_mut());
            }
            std::cmp::Ordering::Greater => {}
        }
    }

    fn scalar(
        &mut self,
        span: toml_parser::Span,
        encoding: Option<Encoding>,
        errors: &mut dyn ErrorSink,
    ) {
        let mut failed = false;
        let mut text = Cow::Borrowed("");
        let kind = self.raw(span, encoding).decode_scalar(
            &mut text,
            &mut |error: ParseError| {
                failed = true;
                errors.report_error(error);
            },
        );
        let kind = match kind {
            _ if failed => Kind::Broken,
            ScalarKind::String => Kind::String(text),
            ScalarKind::Boolean(value) => Kind::Boolean(value),
            ScalarKind::DateTime => Kind::Datetime,
            ScalarKind::Float => Kind::Float,
            ScalarKind::Integer(radix) => {
                Kind::Integer(i64::from_str_radix(&text, radix.value()).ok())
            }
        };
        self.put(Value { span: span_of(span), kind });
    }

    fn value_sep(&mut self, _: toml_parser::Span, _: &mut dyn ErrorSink) {
        if let Some(Frame::Table { path, .. }) = self.open.last_mut() {
            path.clear();
        }
    }

    fn newline(&mut self, _: toml_parser::Span, _: &mut dyn ErrorSink) {
        self.settle();
    }
}

fn element<'t>(span: Span) -> Value<'t> {
    let table = Table::new(Form::Header);
    Value { span, kind: Kind::Table(table) }
}

/// Whether this is a table of an array of tables, to which others may be added.
fn is_element(value: &Value<'_>) -> bool {
    matches!(&value.kind, Kind::Table(table) if table.form == Form::Header)
}

/// The table at the end of this way.
fn table_at<'a, 't>(
    mut table: &'a mut Table<'t>,
    steps: &[Step],
) -> Option<&'a mut Table<'t>> {
    for &(entry, element) in steps {
        let value = &mut table.entries.get_mut(entry)?.value;
        let value = match (&mut value.kind, element) {
            (Kind::Array(values), Some(at)) => &mut values.get_mut(at)?.kind,
            (kind, _) => kind,
        };
        table = match value {
            Kind::Table(table) => table,
            _ => return None,
        };
    }
    Some(table)
}

/// Whether there is no key, which the parser has reported. (`""` is a key.)
fn is_missing((_, span): &Key<'_>) -> bool {
    span.len() == 0
}

/// The way from a table along these keys; tables that are missing are made in
/// this form. Reports what is no table that keys may be added to.
fn descend<'t>(
    root: &mut Table<'t>,
    path: &[Key<'t>],
    form: Form,
    sink: &mut Sink,
) -> Option<Vec<Step>> {
    let mut steps = Vec::with_capacity(path.len() + 1);
    for key @ (name, key_span) in path {
        if is_missing(key) {
            return None;
        }
        let key = name;
        let table = table_at(root, &steps)?;
        let Some(at) = table.find(key) else {
            let inner = Table::new(form);
            let value = Value { span: *key_span, kind: Kind::Table(inner) };
            let (key, key_span) = (key.clone(), *key_span);
            steps.push((table.push(Entry { key, key_span, value }), None));
            continue;
        };
        let entry = table.entries.get_mut(at)?;
        if let Kind::Table(inner) = &mut entry.value.kind
            && (inner.form, form) == (Form::Implicit, Form::Dotted)
        {
            inner.form = Form::Dotted;
        }
        let (step, inner) = match &entry.value.kind {
            Kind::Array(values) if form == Form::Implicit => {
                let last = values.last().map(|value| &value.kind);
                (Some(values.len().saturating_sub(1)), last)
            }
            kind => (None, Some(kind)),
        };
        let open = match inner {
            Some(Kind::Table(table)) => !matches!(
                (table.form, form),
                (Form::Inline, _) | (Form::Header, Form::Dotted)
            ),
            _ => false,
        };
        if !open {
            // An entry that could not be read was reported already.
            if !matches!(inner, Some(Kind::Broken)) {
                closed(key, *key_span, entry, sink);
            }
            return None;
        }
        steps.push((at, step));
    }
    Some(steps)
}

fn closed(key: &str, span: Span, entry: &Entry<'_>, sink: &mut Sink) {
    sink.add(&codes::DUPLICATE_KEY, span, || {
        let message = format!(
            "nothing can be added to {}, which is {} defined elsewhere",
            quote(key),
            entry.value.kind.name()
        );
        let first = entry.key_span;
        Report::new(String::new(), message).related(
            first,
            String::new(),
            "it is defined here",
        )
    });
}

/// Inserts a value at a key, which may be dotted.
fn insert<'t>(
    table: &mut Table<'t>,
    mut path: Vec<Key<'t>>,
    value: Value<'t>,
    sink: &mut Sink,
) {
    let Some((key, key_span)) = path.pop() else { return };
    // No key, or one that is nested too deeply: reported where it was read. An
    // empty key in quotes is none that a document can have, so it may go, too.
    if key_span.len() == 0 {
        return;
    }
    let Some(steps) = descend(table, &path, Form::Dotted, sink) else { return };
    let Some(parent) = table_at(table, &steps) else { return };
    let first = parent.find(&key).and_then(|at| parent.entries.get(at));
    if let Some(first) = first.map(|entry| entry.key_span) {
        duplicate_key(&key, key_span, first, sink);
    }
    parent.push(Entry { key, key_span, value });
}
