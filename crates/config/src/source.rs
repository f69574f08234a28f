//! Places in a document, and its text as it may be shown.

use std::fmt::Write;

/// The bytes of a document from `start` up to `end`. A document is shorter than
/// 4 GiB, see [`crate::MAX_LEN`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        let cut = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: cut(start), end: cut(end.max(start)) }
    }

    /// Nothing, at the start of a document.
    pub(crate) const START: Span = Span { start: 0, end: 0 };

    pub(crate) fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    pub(crate) fn bytes(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The text from the start of this span to the end of the other.
    pub(crate) fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.start) }
    }
}

/// A line and a column, both from 1; columns count Unicode scalar values.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// The positions of these offsets, which must ascend. The text is read once,
/// however many there are. A byte-order mark has no column.
pub(crate) fn positions(text: &[u8], ascending: &[u32]) -> Vec<Position> {
    let mut found = Vec::with_capacity(ascending.len());
    let mut at = match text.starts_with(BOM) {
        true => BOM.len(),
        false => 0,
    };
    let mut position = Position { line: 1, column: 1 };
    for &offset in ascending {
        let passed = text.get(at..offset as usize).unwrap_or_default();
        at += passed.len();
        for &byte in passed {
            if byte == b'\n' {
                position.line = position.line.saturating_add(1);
                position.column = 1;
            } else if byte & 0xc0 != 0x80 {
                position.column = position.column.saturating_add(1);
            }
        }
        found.push(position);
    }
    found
}

pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// The most characters of a document that a message repeats.
const QUOTED: usize = 80;

/// The text between backquotes, escaped, and shortened in its middle.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", excerpt(text))
}

/// The text escaped, and shortened in its middle.
pub(crate) fn excerpt(text: &str) -> String {
    const HALF: usize = QUOTED / 2 - 2;
    // Whatever is longer than this in bytes is longer in characters, too.
    if text.len() <= QUOTED || text.chars().nth(QUOTED).is_none() {
        return escape(text);
    }
    let head = text.chars().take(HALF).collect::<String>();
    let mut tail: Vec<char> = text.chars().rev().take(HALF).collect();
    tail.reverse();
    let tail: String = tail.into_iter().collect();
    format!("{}…{}", escape(&head), escape(&tail))
}

/// The text without characters that would not show, or that would change how
/// what follows is shown: control characters, and those that steer the direction
/// or the joining of text.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_hidden(c) => {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            _ => shown.push(c),
        }
    }
    shown
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_scalar_values() {
        let text = "\u{feff}a\r\nb\u{fc}\u{1f600}c\n".as_bytes();
        let at = |offset| positions(text, &[offset])[0];
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(3), Position { line: 1, column: 1 });
        assert_eq!(at(6), Position { line: 2, column: 1 });
        assert_eq!(at(13), Position { line: 2, column: 4 });
        assert_eq!(at(15), Position { line: 3, column: 1 });
    }

    #[test]
    fn shows_no_control_character() {
        assert_eq!(quote("a\n\u{0}\u{202e}b"), "`a\\n\\u{0}\\u{202e}b`");
        let long = excerpt(&"x".repeat(10_000));
        assert!(long.chars().count() < 81, "{long}");
        assert_eq!(excerpt(&"\u{fc}".repeat(80)), "\u{fc}".repeat(80));
    }
}
