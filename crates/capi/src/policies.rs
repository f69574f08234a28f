//! Documents and their policies.

use core::{
    ffi::{CStr, c_char},
    ptr,
};
use std::{collections::HashMap, ffi::CString, path::Path, sync::Arc};

use libcors_config::{Format, Outcome};
use libcors_policy::Policy;

use crate::{
    diagnostics::Problems,
    ffi::{self, guard},
    image::Compiled,
    status::{
        CORS_ERR_ARGUMENT, CORS_ERR_DOCUMENT, CORS_ERR_INTERNAL, CORS_ERR_IO,
        CORS_OK,
    },
    types::{cors_diagnostics, cors_policies, cors_policy},
};

/// The document is JSON if its first character is "{", and else TOML.
pub const CORS_FORMAT_AUTO: u32 = 0;
/// The document is TOML.
pub const CORS_FORMAT_TOML: u32 = 1;
/// The document is JSON.
pub const CORS_FORMAT_JSON: u32 = 2;

/// What a `cors_policies` points to.
struct Document {
    list: Box<[Compiled]>,
    names: Box<[CString]>,
    /// The place of each name.
    index: HashMap<Box<[u8]>, usize>,
}

/// cors_policies_parse compiles a document.
///
/// text is the document, in UTF-8; a byte order mark is skipped. source is its
/// name in diagnostics, such as "cors.toml" or "envoy route /api". format is
/// CORS_FORMAT_...
///
/// On CORS_OK *policies is the document, which the caller owns and gives back
/// with cors_policies_unref(); on any other status it is NULL. On CORS_OK and
/// CORS_ERR_DOCUMENT *diagnostics, unless diagnostics is NULL, is what was found,
/// warnings included; give it to cors_diagnostics_free(). It is NULL if nothing
/// was found.
///
/// The call allocates, and is not meant for the path of a request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_parse(
    text: *const c_char,
    text_len: usize,
    source: *const c_char,
    source_len: usize,
    format: u32,
    policies: *mut *const cors_policies,
    diagnostics: *mut *mut cors_diagnostics,
) -> i32 {
    let parse = || {
        // SAFETY: the header asks for that many bytes at each.
        let (text, source) = unsafe {
            (ffi::bytes(text, text_len)?, ffi::bytes(source, source_len)?)
        };
        let source = String::from_utf8_lossy(source);
        Ok(libcors_config::compile(text, &source, to_format(format)?))
    };
    // SAFETY: the header asks for places to write to.
    unsafe { compile(policies, diagnostics, parse) }
}

/// cors_policies_load reads a file and compiles it, as cors_policies_parse()
/// does.
///
/// path is the file's name, in UTF-8, and its name in diagnostics too. A file
/// that cannot be read gives CORS_ERR_IO, and a diagnostic that says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_load(
    path: *const c_char,
    path_len: usize,
    format: u32,
    policies: *mut *const cors_policies,
    diagnostics: *mut *mut cors_diagnostics,
) -> i32 {
    let load = || {
        // SAFETY: the header asks for that many bytes.
        let path = unsafe { ffi::bytes(path, path_len)? };
        let path = str::from_utf8(path).map_err(|_| CORS_ERR_ARGUMENT)?;
        let format = to_format(format)?;
        Ok(libcors_config::load_compiled(Path::new(path), None, format))
    };
    // SAFETY: the header asks for places to write to.
    unsafe { compile(policies, diagnostics, load) }
}

fn to_format(format: u32) -> Result<Format, i32> {
    match format {
        CORS_FORMAT_AUTO => Ok(Format::Auto),
        CORS_FORMAT_TOML => Ok(Format::Toml),
        CORS_FORMAT_JSON => Ok(Format::Json),
        _ => Err(CORS_ERR_ARGUMENT),
    }
}

/// # Safety
///
/// `policies` and `diagnostics` must each be NULL or writable.
unsafe fn compile(
    policies: *mut *const cors_policies,
    diagnostics: *mut *mut cors_diagnostics,
    outcome: impl FnOnce() -> Result<Outcome<Vec<(String, Policy)>>, i32>,
) -> i32 {
    // SAFETY: the caller promises it.
    unsafe {
        ffi::write(policies, ptr::null());
        ffi::write(diagnostics, ptr::null_mut());
    }
    if policies.is_null() {
        return CORS_ERR_ARGUMENT;
    }
    let compiled = guard(
        || Err(CORS_ERR_INTERNAL),
        || {
            let outcome = outcome()?;
            let problems = Problems::new(&outcome.diagnostics);
            let document = outcome.policies.map(Document::new);
            Ok((document, problems, outcome.unreadable))
        },
    );
    let (document, problems, unreadable) = match compiled {
        Ok(compiled) => compiled,
        Err(status) => return status,
    };
    // SAFETY: the caller promises that both may be written.
    unsafe {
        if !diagnostics.is_null() && !problems.is_empty() {
            diagnostics.write(problems.into_raw());
        }
        match document {
            Some(document) => {
                policies.write(Arc::into_raw(Arc::new(document)).cast());
                CORS_OK
            }
            None if unreadable => CORS_ERR_IO,
            None => CORS_ERR_DOCUMENT,
        }
    }
}

impl Document {
    fn new(policies: Vec<(String, Policy)>) -> Document {
        let (names, list): (Vec<CString>, Vec<Compiled>) = policies
            .into_iter()
            .map(|(name, policy)| {
                // No name has a NUL.
                let name = CString::new(name).unwrap_or_default();
                (name, Compiled::new(policy))
            })
            .unzip();
        Document {
            list: list.into_boxed_slice(),
            index: names
                .iter()
                .map(|name| name.to_bytes().into())
                .zip(0..)
                .collect(),
            names: names.into_boxed_slice(),
        }
    }
}

/// cors_policies_ref adds a reference to a document and returns it.
///
/// NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_ref(
    policies: *const cors_policies,
) -> *const cors_policies {
    if !policies.is_null() {
        // SAFETY: the header asks for a document that is alive, which `compile`
        // made from an Arc.
        unsafe { Arc::increment_strong_count(policies.cast::<Document>()) };
    }
    policies
}

/// cors_policies_unref gives a reference to a document back.
///
/// With the last one the document and its policies die. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_unref(policies: *const cors_policies) {
    if policies.is_null() {
        return;
    }
    // SAFETY: the header asks for a document that is alive, which `compile` made
    // from an Arc.
    guard(
        || (),
        || unsafe { Arc::decrement_strong_count(policies.cast::<Document>()) },
    );
}

/// # Safety
///
/// `policies` must be NULL or alive for `'a`.
unsafe fn document_of<'a>(
    policies: *const cors_policies,
) -> Option<&'a Document> {
    // SAFETY: a document that is alive was made by `compile`.
    unsafe { policies.cast::<Document>().as_ref() }
}

/// The policy behind a pointer.
///
/// # Safety
///
/// `policy` must be NULL or alive for `'a`.
#[inline]
pub(crate) unsafe fn policy_of<'a>(
    policy: *const cors_policy,
) -> Option<&'a Compiled> {
    // SAFETY: a policy that is alive was handed out by `cors_policies_get`.
    unsafe { policy.cast::<Compiled>().as_ref() }
}

/// cors_policies_get returns the policy of a name, or NULL if there is none.
///
/// It is borrowed: it lives as long as the document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_get(
    policies: *const cors_policies,
    name: *const c_char,
    name_len: usize,
) -> *const cors_policy {
    let get = || {
        // SAFETY: the header asks for a document that is alive, and for that many
        // bytes.
        let (document, name) = unsafe {
            (document_of(policies)?, ffi::bytes(name, name_len).ok()?)
        };
        document.list.get(*document.index.get(name)?)
    };
    guard(|| None, get)
        .map_or(ptr::null(), |own| ptr::from_ref::<Compiled>(own).cast())
}

/// cors_policies_count returns the number of policies of a document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_count(
    policies: *const cors_policies,
) -> usize {
    // SAFETY: the header asks for a document that is alive.
    unsafe { document_of(policies) }.map_or(0, |document| document.names.len())
}

/// cors_policies_name returns the name of a policy, by its place in the document,
/// counted from 0; NULL beyond the last.
///
/// The name lives as long as the document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_name(
    policies: *const cors_policies,
    index: usize,
) -> *const c_char {
    // SAFETY: the header asks for a document that is alive.
    let name = unsafe { document_of(policies) }
        .and_then(|document| document.names.get(index));
    name.map_or(ptr::null(), |name| CStr::as_ptr(name))
}

// A policy is handed out as the thin pointer that it is.
const _: () =
    assert!(size_of::<*const Compiled>() == size_of::<*const cors_policy>());
