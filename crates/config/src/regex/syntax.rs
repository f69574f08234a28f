//! Expressions as they are written: parsed, and refused with a reason.

use std::ops::Range;

use regex_syntax::{
    ast::{
        AssertionKind, Ast, Error, ErrorKind, Group, GroupKind, RepetitionKind,
        Span, parse::ParserBuilder,
    },
    hir::{self, Hir, translate::TranslatorBuilder},
};

use super::RegexError;

/// The most bytes of an expression.
pub(super) const MAX_LEN: usize = 4096;

/// How deep groups and repetitions may be nested.
const MAX_DEPTH: u32 = 50;

const NOT_ASCII: &str = "an origin is ASCII, so nothing else can match";

const PUNYCODE: Option<&str> =
    Some("browsers send a Unicode host in its Punycode form");

/// Parses an expression. The result has no assertions: those at its ends are
/// left out, since the whole origin is matched anyway.
pub(super) fn parse(pattern: &str) -> Result<Hir, RegexError> {
    if pattern.len() > MAX_LEN {
        return Err(error(
            format!("a regular expression has at most {MAX_LEN} bytes"),
            None,
            Some("list the origins, or write several expressions"),
        ));
    }
    if let Some((at, c)) = pattern.char_indices().find(|(_, c)| !c.is_ascii()) {
        return Err(error(NOT_ASCII, Some(at..at + c.len_utf8()), PUNYCODE));
    }
    let mut parser = ParserBuilder::new().nest_limit(MAX_DEPTH).build();
    let mut ast = parser.parse(pattern).map_err(|error| refused(&error))?;
    mend(&mut ast, true, true)?;
    TranslatorBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .translate(pattern, &ast)
        .map_err(|error| untranslated(&error))
}

fn error(
    message: impl Into<String>,
    range: Option<Range<usize>>,
    hint: Option<&str>,
) -> RegexError {
    RegexError { message: message.into(), range, hint: hint.map(str::to_owned) }
}

/// The bytes of a span; the one behind it, if it has none.
fn range(span: &Span) -> Option<Range<usize>> {
    let (start, end) = (span.start.offset, span.end.offset);
    Some(start..end.max(start + 1))
}

fn refused(parse_error: &Error) -> RegexError {
    let (message, hint) = match parse_error.kind() {
        ErrorKind::UnsupportedLookAround => (
            "look-around is not supported, as an expression runs in linear \
             time",
            Some("write out what may stand here"),
        ),
        ErrorKind::UnsupportedBackreference => (
            "backreferences are not supported, as an expression runs in \
             linear time",
            Some("write out what may stand here"),
        ),
        ErrorKind::GroupUnclosed => (
            "this group is not closed",
            Some("add `)`, or write `\\(` for a parenthesis"),
        ),
        ErrorKind::GroupUnopened => (
            "this parenthesis closes no group",
            Some("remove it, or write `\\)` for a parenthesis"),
        ),
        ErrorKind::ClassUnclosed => (
            "this class of characters is not closed",
            Some("add `]`, or write `\\[` for a bracket"),
        ),
        ErrorKind::RepetitionMissing => (
            "nothing stands here that could be repeated",
            Some("write `.*` for any text, or `\\` before the sign itself"),
        ),
        ErrorKind::EscapeUnrecognized => (
            "this escape has no meaning",
            Some("a backslash makes a sign literal, as in `\\.`"),
        ),
        ErrorKind::EscapeUnexpectedEof => (
            "a backslash ends the expression",
            Some("remove it, or write what it escapes"),
        ),
        ErrorKind::NestLimitExceeded(_) => {
            ("the expression is nested too deep", None)
        }
        kind => {
            let message = format!("this is no regular expression: {kind}");
            return error(message, range(parse_error.span()), None);
        }
    };
    error(message, range(parse_error.span()), hint)
}

fn untranslated(translate_error: &hir::Error) -> RegexError {
    let (message, hint) = match translate_error.kind() {
        hir::ErrorKind::UnicodeNotAllowed
        | hir::ErrorKind::UnicodePropertyNotFound
        | hir::ErrorKind::UnicodePropertyValueNotFound
        | hir::ErrorKind::UnicodePerlClassNotFound
        | hir::ErrorKind::UnicodeCaseUnavailable => {
            (NOT_ASCII.to_owned(), PUNYCODE)
        }
        kind => (format!("this is no regular expression: {kind}"), None),
    };
    error(message, range(translate_error.span()), hint)
}

/// Leaves out the anchors that stand at the ends, refuses all other assertions,
/// and sees to it that `(a|b)` is told apart from `[ab]` later on.
///
/// `left` and `right` say whether the part stands at that end of the expression.
fn mend(ast: &mut Ast, left: bool, right: bool) -> Result<(), RegexError> {
    match ast {
        Ast::Assertion(assertion) => {
            let span = assertion.span;
            let (redundant, message, hint) = match assertion.kind {
                AssertionKind::StartLine | AssertionKind::StartText => (
                    left,
                    "an anchor of the start stands at the start alone, and \
                     an expression matches the whole origin anyway",
                    "remove it",
                ),
                AssertionKind::EndLine | AssertionKind::EndText => (
                    right,
                    "an anchor of the end stands at the end alone, and an \
                     expression matches the whole origin anyway",
                    "remove it",
                ),
                _ => (
                    false,
                    "assertions of word boundaries are not supported",
                    "write out what may stand here",
                ),
            };
            if !redundant {
                return Err(error(message, range(&span), Some(hint)));
            }
            *ast = Ast::empty(span);
        }
        Ast::Repetition(repetition) => {
            let once = repetition.op.kind == RepetitionKind::ZeroOrOne;
            mend(&mut repetition.ast, left && once, right && once)?;
        }
        Ast::Group(group) => mend(&mut group.ast, left, right)?,
        Ast::Alternation(alternation) => {
            for branch in &mut alternation.asts {
                mend(branch, left, right)?;
                let span = *branch.span();
                let inner = std::mem::replace(branch, Ast::empty(span));
                // Without the group, branches of one byte become a class.
                *branch = Ast::group(Group {
                    span,
                    kind: GroupKind::CaptureIndex(1),
                    ast: Box::new(inner),
                });
            }
        }
        Ast::Concat(concat) => {
            let empty = |ast: &Ast| {
                matches!(ast, Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_))
            };
            let len = concat.asts.len();
            let first = concat.asts.iter().position(|ast| !empty(ast));
            let last = concat.asts.iter().rposition(|ast| !empty(ast));
            let (first, last) = (first.unwrap_or(len), last.unwrap_or(0));
            for (i, part) in concat.asts.iter_mut().enumerate() {
                mend(part, left && i <= first, right && i >= last)?;
            }
        }
        Ast::Empty(_)
        | Ast::Flags(_)
        | Ast::Literal(_)
        | Ast::Dot(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_)
        | Ast::ClassBracketed(_) => {}
    }
    Ok(())
}
