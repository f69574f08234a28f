//! What was found wrong in a document.

use core::ffi::CStr;
use std::ffi::CString;

use libcors_config::{Diagnostic, Diagnostics, Related, Severity};

use crate::{
    ffi::{self, guard},
    status::{CORS_ERR_ARGUMENT, CORS_ERR_INTERNAL, CORS_OK},
    types::{cors_diagnostics, cors_str},
};

/// The document cannot be used.
pub const CORS_SEVERITY_ERROR: u32 = 1;
/// The document can be used, and probably does not say what was meant.
pub const CORS_SEVERITY_WARNING: u32 = 2;
/// A second place that the problem before this one is about.
pub const CORS_SEVERITY_NOTE: u32 = 3;

/// One thing that was found wrong in a document.
///
/// The caller owns the struct, and need set nothing but size. The strings belong
/// to the cors_diagnostics, are followed by a NUL, and hold no control
/// characters.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct cors_diagnostic {
    /// sizeof(cors_diagnostic), set by the caller.
    pub size: usize,
    /// CORS_SEVERITY_... Treat an unknown one as CORS_SEVERITY_NOTE.
    pub severity: u32,
    /// The line, counted from 1. What concerns no line in particular, such as a
    /// file that cannot be read, is at line 1 and column 1.
    pub line: u32,
    /// The column in Unicode scalar values, counted from 1.
    pub column: u32,
    /// 0 in this version.
    pub reserved: u32,
    /// Where the text starts, in bytes from the start of the document.
    pub offset: usize,
    /// How long the text is, in bytes.
    pub length: usize,
    /// The stable code, such as "E0201"; docs/diagnostics.md explains each. That
    /// of a note is that of the problem before it.
    pub code: cors_str,
    /// The name of the document.
    pub source: cors_str,
    /// The key, such as "policy.api.allow_origins[2]"; may be empty.
    pub key_path: cors_str,
    /// What is wrong, in one sentence.
    pub message: cors_str,
    /// What to do about it; may be empty.
    pub hint: cors_str,
}

/// The code of a key or policy that is there twice; see docs/diagnostics.md.
const DUPLICATE: &str = "E0107";

/// A policy in a file.
pub(crate) struct Place<'p> {
    pub(crate) source: &'p str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) name: &'p CStr,
}

/// What a `cors_diagnostics` points to.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

#[derive(Debug)]
struct Problem {
    severity: u32,
    line: u32,
    column: u32,
    offset: usize,
    length: usize,
    code: CString,
    source: CString,
    key_path: CString,
    message: CString,
    hint: CString,
    /// All of it, as a line of a log.
    text: CString,
    /// The severity, but of a note that of the problem that it belongs to.
    level: u32,
}

impl Problems {
    pub(crate) fn new(diagnostics: &Diagnostics) -> Problems {
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let mut problems = Vec::new();
        for diagnostic in diagnostics.iter() {
            let Diagnostic { source, line, column, code, message, .. } =
                diagnostic;
            let hint = diagnostic.hint.as_deref().unwrap_or_default();
            let level = match diagnostic.severity {
                Severity::Error => CORS_SEVERITY_ERROR,
                Severity::Warning => CORS_SEVERITY_WARNING,
            };
            let parted = if hint.is_empty() { "" } else { "; " };
            problems.push(Problem {
                severity: level,
                line: *line,
                column: *column,
                offset: diagnostic.offset,
                length: diagnostic.len,
                code: text(code),
                source: text(source),
                key_path: text(&diagnostic.key_path),
                message: text(message),
                hint: text(hint),
                text: text(&format!(
                    "{source}:{line}:{column}: {code}: {message}{parted}{hint}"
                )),
                level,
            });
            for related in &diagnostic.related {
                let Related { source, line, column, message, .. } = related;
                problems.push(Problem {
                    severity: CORS_SEVERITY_NOTE,
                    line: *line,
                    column: *column,
                    offset: related.offset,
                    length: related.len,
                    code: text(code),
                    source: text(source),
                    key_path: text(&related.key_path),
                    message: text(message),
                    hint: CString::default(),
                    text: text(&format!(
                        "{source}:{line}:{column}: note: {message}"
                    )),
                    level,
                });
            }
        }
        Problems(problems)
    }

    /// Adds that a file has a policy of a name that another file has.
    pub(crate) fn push_duplicate(
        &mut self,
        own: &Place<'_>,
        first: &Place<'_>,
    ) {
        let name = own.name.to_string_lossy();
        let message = format!("duplicate policy `{name}`");
        let hint = "give each policy a name of its own";
        for (severity, place, message, hint) in [
            (CORS_SEVERITY_ERROR, own, message.as_str(), hint),
            (CORS_SEVERITY_NOTE, first, "first defined here", ""),
        ] {
            let Place { source, line, column, .. } = place;
            let text = |text: &str| CString::new(text).unwrap_or_default();
            let line_text = match severity {
                CORS_SEVERITY_ERROR => format!(
                    "{source}:{line}:{column}: {DUPLICATE}: {message}; {hint}"
                ),
                _ => format!("{source}:{line}:{column}: note: {message}"),
            };
            self.0.push(Problem {
                severity,
                line: *line,
                column: *column,
                offset: 0,
                length: 0,
                code: text(DUPLICATE),
                source: text(source),
                key_path: text(&format!("policy.{name}")),
                message: text(message),
                hint: text(hint),
                text: text(&line_text),
                level: CORS_SEVERITY_ERROR,
            });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_raw(self) -> *mut cors_diagnostics {
        Box::into_raw(Box::new(self)).cast()
    }
}

fn text(text: &CStr) -> cors_str {
    cors_str { data: text.as_ptr(), len: text.count_bytes() }
}

/// cors_diagnostics_count returns how many there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_diagnostics_count(
    diagnostics: *const cors_diagnostics,
) -> usize {
    // SAFETY: the header asks for NULL or diagnostics that are alive.
    let problems = unsafe { diagnostics.cast::<Problems>().as_ref() };
    problems.map_or(0, |problems| problems.0.len())
}

/// cors_diagnostics_get reads one, by its place, counted from 0.
///
/// They are in the order of the document. diagnostic must have its size set. An
/// index beyond the last gives CORS_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_diagnostics_get(
    diagnostics: *const cors_diagnostics,
    index: usize,
    diagnostic: *mut cors_diagnostic,
) -> i32 {
    let get = || {
        // SAFETY: the header asks for NULL or diagnostics that are alive.
        let problems = unsafe { diagnostics.cast::<Problems>().as_ref() };
        let problem = problems.and_then(|problems| problems.0.get(index));
        let problem = problem.ok_or(CORS_ERR_ARGUMENT)?;
        // SAFETY: the header asks for a struct of the size that it says.
        unsafe { ffi::prepare_output(diagnostic) }?;
        // SAFETY: `prepare_output` found it large enough, and its size is known.
        unsafe {
            let size = *diagnostic.cast::<usize>();
            diagnostic.write(cors_diagnostic {
                size,
                severity: problem.severity,
                line: problem.line,
                column: problem.column,
                reserved: 0,
                offset: problem.offset,
                length: problem.length,
                code: text(&problem.code),
                source: text(&problem.source),
                key_path: text(&problem.key_path),
                message: text(&problem.message),
                hint: text(&problem.hint),
            });
        }
        Ok(CORS_OK)
    };
    guard(|| Err(CORS_ERR_INTERNAL), get).unwrap_or_else(|status| status)
}

/// cors_diagnostics_text returns one, by its place, as a line for a log.
///
/// That is "SOURCE:LINE:COLUMN: CODE: MESSAGE", and "; HINT" if there is one; a
/// note has "note" for its code. It belongs to the cors_diagnostics, is followed by
/// a NUL, and holds no control characters. level, unless it is NULL, is set to
/// CORS_SEVERITY_ERROR or CORS_SEVERITY_WARNING: a note has that of the problem that
/// it belongs to. An index beyond the last gives an empty string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_diagnostics_text(
    diagnostics: *const cors_diagnostics,
    index: usize,
    level: *mut u32,
) -> cors_str {
    // SAFETY: the header asks for NULL or diagnostics that are alive.
    let problems = unsafe { diagnostics.cast::<Problems>().as_ref() };
    match problems.and_then(|problems| problems.0.get(index)) {
        None => text(c""),
        Some(problem) => {
            // SAFETY: the header asks for NULL or a place to write to.
            unsafe { ffi::write(level, problem.level) };
            text(&problem.text)
        }
    }
}

/// cors_diagnostics_free frees them and all their strings.
///
/// NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_diagnostics_free(
    diagnostics: *mut cors_diagnostics,
) {
    if diagnostics.is_null() {
        return;
    }
    // SAFETY: the header asks for diagnostics that are alive, which `into_raw`
    // made from a Box.
    guard(
        || (),
        || drop(unsafe { Box::from_raw(diagnostics.cast::<Problems>()) }),
    );
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<cors_diagnostic>() == 120);
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<cors_diagnostic>() == 68);
