//! The values of a document, whichever format it is written in.

use std::borrow::Cow;

use foldhash::HashMap;

use crate::source::Span;

/// Arrays and tables may be nested this deep.
pub(crate) const MAX_DEPTH: usize = 80;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Value<'t> {
    pub(crate) span: Span,
    pub(crate) kind: Kind<'t>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind<'t> {
    String(Cow<'t, str>),
    /// `None` if it does not fit into 64 bits.
    Integer(Option<i64>),
    Float,
    Boolean(bool),
    Datetime,
    Null,
    Array(Vec<Value<'t>>),
    Table(Table<'t>),
    /// What is no value, and was reported.
    Broken,
}

impl Kind<'_> {
    /// What it is, for a message.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Kind::String(_) => "a string",
            Kind::Integer(_) => "an integer",
            Kind::Float => "a number with a fraction or an exponent",
            Kind::Boolean(_) => "a boolean",
            Kind::Datetime => "a date or time",
            Kind::Null => "null",
            Kind::Array(_) => "a list",
            Kind::Table(_) => "a table",
            Kind::Broken => "no value",
        }
    }
}

/// Keys and values, in the order of the document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table<'t> {
    /// Of equal keys, which were reported, the first counts.
    pub(crate) entries: Vec<Entry<'t>>,
    /// The first entry of each key, once they are many. A list of values has
    /// room for a table in each, so a table is small.
    index: Option<Box<HashMap<Cow<'t, str>, usize>>>,
    pub(crate) form: Form,
}

/// How a table came to be, which in TOML decides what may be added to it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Form {
    /// Between braces: it is complete.
    #[default]
    Inline,
    /// Under a header of its own.
    Header,
    /// Through the header of a table in it.
    Implicit,
    /// Through a dotted key.
    Dotted,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) key_span: Span,
    pub(crate) value: Value<'t>,
}

/// Up to so many keys a search costs no more than an index.
const FEW: usize = 8;

impl<'t> Table<'t> {
    pub(crate) fn new(form: Form) -> Table<'t> {
        Table { form, ..Table::default() }
    }

    /// Where the entry of this key is.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        match self.entries.len() > FEW {
            true => self.index.as_ref()?.get(key).copied(),
            false => self.entries.iter().position(|entry| entry.key == key),
        }
    }

    /// Adds an entry, and yields where it is.
    pub(crate) fn push(&mut self, entry: Entry<'t>) -> usize {
        let at = self.entries.len();
        self.entries.push(entry);
        if at >= FEW {
            let index = self.index.get_or_insert_default();
            let first = if at == FEW { 0 } else { at };
            for (at, entry) in self.entries.iter().enumerate().skip(first) {
                index.entry(entry.key.clone()).or_insert(at);
            }
        }
        at
    }
}
