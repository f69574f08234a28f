//! What was found wrong in a document.

use core::ffi::CStr;
use std::ffi::CString;

use libcors_config::{Diagnostics, Severity};

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

/// What a `cors_diagnostics` points to.
#[derive(Debug)]
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
}

impl Problems {
    pub(crate) fn new(diagnostics: &Diagnostics) -> Problems {
        let text = |text: &str| CString::new(text).unwrap_or_default();
        let mut problems = Vec::new();
        for diagnostic in diagnostics.iter() {
            problems.push(Problem {
                severity: match diagnostic.severity {
                    Severity::Error => CORS_SEVERITY_ERROR,
                    Severity::Warning => CORS_SEVERITY_WARNING,
                },
                line: diagnostic.line,
                column: diagnostic.column,
                offset: diagnostic.offset,
                length: diagnostic.len,
                code: text(diagnostic.code),
                source: text(&diagnostic.source),
                key_path: text(&diagnostic.key_path),
                message: text(&diagnostic.message),
                hint: text(diagnostic.hint.as_deref().unwrap_or_default()),
            });
            for related in &diagnostic.related {
                problems.push(Problem {
                    severity: CORS_SEVERITY_NOTE,
                    line: related.line,
                    column: related.column,
                    offset: related.offset,
                    length: related.len,
                    code: text(diagnostic.code),
                    source: text(&related.source),
                    key_path: text(&related.key_path),
                    message: text(&related.message),
                    hint: CString::default(),
                });
            }
        }
        Problems(problems)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_raw(self) -> *mut cors_diagnostics {
        Box::into_raw(Box::new(self)).cast()
    }
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
        let text = |text: &CStr| cors_str {
            data: text.as_ptr(),
            len: text.count_bytes(),
        };
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
