//! Problems of a document, as a compiler shows them.

use std::ops::Range;

use annotate_snippets::{
    AnnotationKind, Group, Level, Renderer, Snippet, Title,
};
use libcors_config::{Diagnostic, Severity};

use crate::document::Document;

/// All problems of a document, with colours, which a stream may strip.
pub(crate) fn render(document: &Document) -> String {
    let renderer = Renderer::styled();
    let mut text = String::new();
    for diagnostic in &document.outcome.diagnostics {
        let places = places(document, diagnostic);
        let groups: Vec<Group<'_>> = places.iter().map(Place::group).collect();
        text += &with_columns(renderer.render(&groups), &places);
        text += "\n\n";
    }
    text
}

/// The place of a problem, and those related to it.
fn places<'d>(
    document: &Document,
    diagnostic: &'d Diagnostic,
) -> Vec<Place<'d>> {
    // A file that could not be read has no lines.
    let known = !document.outcome.unreadable;
    let excerpt =
        |offset, len| known.then(|| Excerpt::new(&document.text, offset, len));
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str());
    let mut places = vec![Place {
        title: title.id(diagnostic.code),
        source: &diagnostic.source,
        line: diagnostic.line,
        column: diagnostic.column,
        excerpt: excerpt(diagnostic.offset, diagnostic.len),
        hint: diagnostic.hint.as_deref(),
    }];
    places.extend(diagnostic.related.iter().map(|related| Place {
        title: Level::NOTE.secondary_title(related.message.as_str()),
        source: &related.source,
        line: related.line,
        column: related.column,
        excerpt: excerpt(related.offset, related.len),
        hint: None,
    }));
    places
}

struct Place<'d> {
    title: Title<'d>,
    source: &'d str,
    line: u32,
    column: u32,
    excerpt: Option<Excerpt>,
    hint: Option<&'d str>,
}

impl<'d> Place<'d> {
    fn group(&self) -> Group<'d> {
        let mut group = Group::with_title(self.title.clone());
        if let Some(excerpt) = &self.excerpt {
            let span = excerpt.span.clone();
            group = group.element(
                Snippet::source(excerpt.text.clone())
                    .path(self.source)
                    .line_start(self.line as usize)
                    .annotation(AnnotationKind::Primary.span(span)),
            );
        }
        match self.hint {
            Some(hint) => group.element(Level::HELP.message(hint)),
            None => group,
        }
    }
}

/// Puts the columns of the document where those of excerpts are.
fn with_columns(text: String, places: &[Place<'_>]) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text.as_str();
    for Place { source, line, column, excerpt, .. } in places {
        let Some(excerpt) = excerpt else { continue };
        let shown = format!("{source}:{line}:{}", excerpt.column());
        if let Some((before, after)) = rest.split_once(&shown) {
            done += &format!("{before}{source}:{line}:{column}");
            rest = after;
        }
    }
    done + rest
}

/// A line of a document, or a part of it if it is long.
#[derive(Debug, Eq, PartialEq)]
struct Excerpt {
    text: String,
    span: Range<usize>,
}

impl Excerpt {
    /// The longest line that is shown whole, in bytes.
    const WHOLE: usize = 120;
    /// How much of a longer one is shown.
    const BEFORE: usize = 40;
    const LONGEST_SPAN: usize = 60;
    const AFTER: usize = 30;

    fn new(text: &[u8], offset: usize, len: usize) -> Excerpt {
        let bom = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let offset = offset.clamp(bom, text.len());
        let newline = |byte: &u8| *byte == b'\n';
        // A line may be huge, and so may be the number of its problems.
        let reach = Self::WHOLE + 1;
        let low = offset.saturating_sub(reach).max(bom);
        let high = offset.saturating_add(reach).min(text.len());
        let mut start = match text[low..offset].iter().rposition(newline) {
            Some(at) => low + at + 1,
            None => low,
        };
        let mut end = match text[offset..high].iter().position(newline) {
            Some(at) => offset + at,
            None => high,
        };
        let mut span_end = offset.saturating_add(len).min(end);
        let (mut head, mut tail) = ("", "");
        if end - start > Self::WHOLE {
            if offset - start > Self::BEFORE {
                start = boundary(text, offset - Self::BEFORE, offset);
                head = "…";
            }
            if span_end - offset > Self::LONGEST_SPAN {
                span_end = boundary(text, offset + Self::LONGEST_SPAN, end);
            }
            if end - span_end > Self::AFTER {
                end = boundary(text, span_end + Self::AFTER, end);
                tail = "…";
            }
        } else if text[..end].ends_with(b"\r") && span_end < end {
            end -= 1;
        }
        let mut shown = head.to_owned();
        shown += &String::from_utf8_lossy(&text[start..offset]);
        let span_start = shown.len();
        shown += &String::from_utf8_lossy(&text[offset..span_end]);
        let span = span_start..shown.len();
        shown += &String::from_utf8_lossy(&text[span_end..end]);
        shown += tail;
        Excerpt { text: shown, span }
    }

    /// The column of the span in the excerpt, from 1.
    fn column(&self) -> usize {
        self.text[..self.span.start].chars().count() + 1
    }
}

/// The first start of a character at or after `at`.
fn boundary(text: &[u8], at: usize, limit: usize) -> usize {
    let mut at = at;
    while at < limit && text[at] & 0xc0 == 0x80 {
        at += 1;
    }
    at
}

/// How many errors and warnings there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
}

impl Counts {
    pub(crate) fn of(documents: &[&Document]) -> Counts {
        let mut counts = Counts::default();
        for document in documents {
            let diagnostics = &document.outcome.diagnostics;
            counts.errors += diagnostics.errors().count();
            counts.warnings += diagnostics.warnings().count();
        }
        counts
    }
}

/// The closing line.
pub(crate) fn summary(documents: &[&Document]) -> String {
    let Counts { errors, warnings } = Counts::of(documents);
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(count(errors, "error"));
    }
    if warnings > 0 {
        parts.push(count(warnings, "warning"));
    }
    if parts.is_empty() {
        parts.push("no problems".to_owned());
    }
    let place = match documents {
        [one] => one.name.escape_debug().to_string(),
        all => format!("{} files", all.len()),
    };
    format!("{} in {place}\n", parts.join(", "))
}

fn count(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &[u8], offset: usize, len: usize) -> (String, String) {
        let Excerpt { text, span } = Excerpt::new(text, offset, len);
        let marked = text[span].to_owned();
        (text, marked)
    }

    #[test]
    fn shows_the_line() {
        let is = |text: &[u8], offset, len, line: &str, marked: &str| {
            let expected = (line.to_owned(), marked.to_owned());
            assert_eq!(excerpt(text, offset, len), expected);
        };
        is(b"a\nbcd\ne", 3, 1, "bcd", "c");
        is(b"a\r\nbcd\r\ne", 4, 1, "bcd", "c");
        is(b"a\nbcd", 5, 0, "bcd", "");
        is(b"a\n", 2, 0, "", "");
        is(b"abc\ndef", 1, 5, "abc", "bc");
        is(b"\xef\xbb\xbfab", 3, 1, "ab", "a");
        is(b"\xef\xbb\xbfab", 0, 0, "ab", "");
        is(b"a\xffb", 1, 1, "a\u{fffd}b", "\u{fffd}");
        is(b"abc", 100, 100, "abc", "");
        is(b"", 0, 0, "", "");
    }

    #[test]
    fn shortens_long_lines() {
        let line = "\u{fc}".repeat(1_000_000);
        let (text, marked) = excerpt(line.as_bytes(), 1_000_000, 2);
        assert_eq!(marked, "\u{fc}");
        assert!(text.starts_with('…') && text.ends_with('…'));
        assert!(text.len() < 200);
        let (text, marked) = excerpt(line.as_bytes(), 0, 1_000_000);
        assert!(!text.starts_with('…') && text.len() < 200);
        assert!(marked.len() >= Excerpt::LONGEST_SPAN);
    }
}
