//! Problems of a document, as they are collected and as they are handed out.

use std::fmt;

use foldhash::{HashMap, HashSet};

use crate::{
    codes::{self, Id},
    regex,
    source::{Span, escape, positions},
};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The document is refused.
    Error,
    /// The document is loaded, and says something that its author may not mean.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A problem of a document.
///
/// No text of it holds a control character; what the document holds of these is
/// shown escaped, and long texts are shortened.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code, such as `E0210`; see [`crate::codes`].
    pub code: &'static str,
    /// The name of the source, as the caller gave it.
    pub source: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in Unicode scalar values, from 1. A byte-order mark has none.
    pub column: u32,
    /// The first byte that is meant, from 0; a byte-order mark counts.
    pub offset: usize,
    /// How many bytes are meant; 0 if something is missing there.
    pub len: usize,
    /// What is meant, such as `policy.api.allow_origins[2]`; empty if it is the
    /// document.
    pub key_path: String,
    /// What is wrong, in a plain sentence.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// Other places that have a part in it.
    pub related: Vec<Related>,
}

impl fmt::Display for Diagnostic {
    /// One line: source, line, column, severity, code and message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { source, line, column, severity, code, .. } = self;
        let message = &self.message;
        write!(f, "{source}:{line}:{column}: {severity}[{code}]: {message}")?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Another place that has a part in a problem, such as a key of `[defaults]`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Related {
    /// The name of the source, as the caller gave it.
    pub source: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in Unicode scalar values, from 1.
    pub column: u32,
    /// The first byte that is meant, from 0.
    pub offset: usize,
    /// How many bytes are meant.
    pub len: usize,
    /// What is meant, such as `defaults.allow_credentials`.
    pub key_path: String,
    /// Its part in the problem.
    pub message: String,
}

/// The problems of a document, in the order of their places.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The one at this index.
    pub fn get(&self, index: usize) -> Option<&Diagnostic> {
        self.list.get(index)
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().filter(|d| d.severity == Severity::Error)
    }

    /// The warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().filter(|d| d.severity == Severity::Warning)
    }
}

impl<'d> IntoIterator for &'d Diagnostics {
    type Item = &'d Diagnostic;
    type IntoIter = std::slice::Iter<'d, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The most errors, and the most warnings, that are handed out.
pub const MAX_DIAGNOSTICS: usize = 1000;

/// The most places that one problem relates to.
const MAX_RELATED: usize = 8;

/// What is said about a problem, apart from its code and place.
#[derive(Debug)]
pub(crate) struct Report {
    path: String,
    message: String,
    hint: Option<String>,
    related: Vec<Note>,
}

#[derive(Debug, Eq, PartialEq)]
struct Note {
    span: Span,
    path: String,
    message: String,
}

impl Report {
    pub(crate) fn new(path: String, message: impl Into<String>) -> Report {
        let message = message.into();
        Report { path, message, hint: None, related: Vec::new() }
    }

    pub(crate) fn hint(mut self, hint: Option<impl Into<String>>) -> Report {
        self.hint = hint.map(Into::into);
        self
    }

    pub(crate) fn related(
        mut self,
        span: Span,
        path: String,
        message: impl Into<String>,
    ) -> Report {
        self.related.push(Note { span, path, message: message.into() });
        self
    }
}

/// The problems by their places; errors first, then as they were found.
fn in_order(
    listed: Vec<(&'static Id, Span, Report)>,
) -> Vec<(&'static Id, Span, Report)> {
    let key = |(at, (code, span, _)): (usize, &(&'static Id, Span, Report))| {
        let warning = u64::from(code.severity() == Severity::Warning);
        (u64::from(span.start) << 1 | warning, at)
    };
    let mut order: Vec<(u64, usize)> =
        listed.iter().enumerate().map(key).collect();
    order.sort_unstable();
    let mut listed: Vec<_> = listed.into_iter().map(Some).collect();
    let taken = order.iter().filter_map(|&(_, at)| listed.get_mut(at)?.take());
    taken.collect()
}

/// Collects the problems of a document.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    errors: Tally,
    warnings: Tally,
    /// What the expressions of the document may still cost.
    pub(crate) regexes: regex::Budget,
}

/// The problems of one severity.
#[derive(Debug, Default)]
struct Tally {
    listed: Vec<(&'static Id, Span, Report)>,
    /// Where the listed one of a code and place is, if it may come again.
    known: HashMap<(&'static str, u32), usize>,
    /// Those that may come again, and are no longer listed.
    passed: HashSet<(&'static str, u32)>,
    more: usize,
}

impl Sink {
    /// Adds a problem. What is said about it is only made up if there is room.
    pub(crate) fn add(
        &mut self,
        code: &'static Id,
        span: Span,
        report: impl FnOnce() -> Report,
    ) {
        if self.has_room(code) {
            self.list(code, span, report());
        }
    }

    /// Whether one more problem is listed; if not, it is counted. Like what
    /// follows, it is a call from a hundred places, which had better be small.
    #[inline(never)]
    fn has_room(&mut self, code: &'static Id) -> bool {
        let tally = self.tally(code);
        let room = tally.listed.len() < MAX_DIAGNOSTICS;
        tally.more += usize::from(!room);
        room
    }

    #[inline(never)]
    fn list(&mut self, code: &'static Id, span: Span, report: Report) {
        self.tally(code).listed.push((code, span, report));
    }

    /// Adds a problem that several policies may have in common, since it stands in
    /// the defaults. It is listed once, and relates to each of them.
    pub(crate) fn add_shared(
        &mut self,
        code: &'static Id,
        span: Span,
        report: impl FnOnce() -> Report,
    ) {
        let tally = self.tally(code);
        let key = (code.0, span.start);
        if let Some(&at) = tally.known.get(&key) {
            if let Some((_, _, known)) = tally.listed.get_mut(at)
                && known.related.len() < MAX_RELATED
            {
                for note in report().related {
                    if !known.related.contains(&note) {
                        known.related.push(note);
                    }
                }
                known.related.truncate(MAX_RELATED);
            }
        } else if tally.listed.len() < MAX_DIAGNOSTICS {
            tally.known.insert(key, tally.listed.len());
            tally.listed.push((code, span, report()));
        } else if tally.passed.insert(key) {
            tally.more += 1;
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.listed.is_empty()
    }

    fn tally(&mut self, code: &'static Id) -> &mut Tally {
        match code.severity() {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        }
    }

    /// The problems in the order of their places, with what was counted only at
    /// the end.
    pub(crate) fn finish(self, source: &str, text: &[u8]) -> Diagnostics {
        let source = escape(source);
        let listed = [self.errors.listed, self.warnings.listed];
        let mut listed = in_order(listed.into_iter().flatten().collect());
        let end = Span::new(text.len(), text.len());
        for (more, code) in [
            (self.errors.more, &codes::MORE_ERRORS),
            (self.warnings.more, &codes::MORE_WARNINGS),
        ] {
            if more > 0 {
                let message = format!(
                    "{more} more {}{} after the first {MAX_DIAGNOSTICS}",
                    code.severity(),
                    if more == 1 { " comes" } else { "s come" }
                );
                listed.push((code, end, Report::new(String::new(), message)));
            }
        }

        let mut offsets: Vec<u32> = listed
            .iter()
            .flat_map(|(_, span, report)| {
                let notes = report.related.iter();
                notes.map(|note| note.span.start).chain([span.start])
            })
            .collect();
        offsets.sort_unstable();
        offsets.dedup();
        let found = positions(text, &offsets);
        let position = |span: Span| {
            let at = offsets.binary_search(&span.start).unwrap_or_default();
            found.get(at).copied().unwrap_or_default()
        };
        let related = |note: Note| {
            let at = position(note.span);
            Related {
                source: source.clone(),
                line: at.line,
                column: at.column,
                offset: note.span.start as usize,
                len: note.span.len(),
                key_path: escape(&note.path),
                message: escape(&note.message),
            }
        };
        let diagnostic = |(code, span, report): (&Id, Span, Report)| {
            let at = position(span);
            Diagnostic {
                severity: code.severity(),
                code: code.0,
                source: source.clone(),
                line: at.line,
                column: at.column,
                offset: span.start as usize,
                len: span.len(),
                key_path: escape(&report.path),
                message: escape(&report.message),
                hint: report.hint.as_deref().map(escape),
                related: report.related.into_iter().map(related).collect(),
            }
        };
        Diagnostics { list: listed.into_iter().map(diagnostic).collect() }
    }
}
