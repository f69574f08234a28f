//! Documents and their policies.

use core::{
    ffi::{CStr, c_char},
    ptr,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::CString,
    path::Path,
    sync::Arc,
};

use libcors_config::{CompiledPolicy, Format, Outcome};

use crate::{
    diagnostics::{Place, Problems},
    ffi::{self, Buffer, guard},
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

/// What a `cors_policies` points to: the policies of one file or of several.
struct PolicySet {
    files: Vec<Arc<PolicyFile>>,
    /// Each policy, by its file and its place there.
    places: Vec<(usize, usize)>,
    /// The place of each name in `places`.
    index: HashMap<Box<[u8]>, usize>,
}

/// The policies of a file.
struct PolicyFile {
    source: String,
    list: Box<[Named]>,
}

struct Named {
    name: CString,
    line: u32,
    column: u32,
    compiled: Compiled,
}

impl PolicyFile {
    fn new(source: String, policies: Vec<CompiledPolicy>) -> PolicyFile {
        let named = |policy: CompiledPolicy| Named {
            // No name has a NUL.
            name: CString::new(policy.name).unwrap_or_default(),
            line: policy.line,
            column: policy.column,
            compiled: Compiled::new(policy.policy),
        };
        PolicyFile { source, list: policies.into_iter().map(named).collect() }
    }
}

impl PolicySet {
    /// The set of these files, and the policies that more than one file has, each
    /// with the first of that name.
    fn new(
        files: Vec<Arc<PolicyFile>>,
    ) -> (PolicySet, Vec<[(usize, usize); 2]>) {
        let mut set =
            PolicySet { files, places: Vec::new(), index: HashMap::new() };
        let mut duplicates = Vec::new();
        for (file, policies) in set.files.iter().enumerate() {
            for (at, named) in policies.list.iter().enumerate() {
                let place = (file, at);
                let name: Box<[u8]> = named.name.to_bytes().into();
                match set.index.entry(name) {
                    Entry::Vacant(slot) => {
                        slot.insert(set.places.len());
                        set.places.push(place);
                    }
                    Entry::Occupied(first) => {
                        let first = set.places.get(*first.get()).copied();
                        duplicates.extend(first.map(|first| [place, first]));
                    }
                }
            }
        }
        (set, duplicates)
    }

    fn at(&self, (file, at): (usize, usize)) -> Option<(&str, &Named)> {
        let file = self.files.get(file)?;
        Some((&file.source, file.list.get(at)?))
    }

    fn nth(&self, index: usize) -> Option<&Named> {
        self.at(*self.places.get(index)?).map(|(_, named)| named)
    }

    fn get(&self, name: &[u8]) -> Option<&Compiled> {
        self.nth(*self.index.get(name)?).map(|named| &named.compiled)
    }

    fn into_raw(self) -> *const cors_policies {
        Arc::into_raw(Arc::new(self)).cast()
    }
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
        let format = to_format(format)?;
        let outcome = libcors_config::compile(text, &source, format);
        Ok((source.into_owned(), outcome))
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
        let outcome =
            libcors_config::load_compiled(Path::new(path), None, format);
        Ok((path.to_owned(), outcome))
    };
    // SAFETY: the header asks for places to write to.
    unsafe { compile(policies, diagnostics, load) }
}

/// cors_policies_open compiles what the configuration of a server holds: the text of
/// a policy file, or "file:" and the path of one.
///
/// White space around it is ignored, and so are the quotes of a JSON string, as
/// configurations that are JSON themselves pass it. source is the name of a text in
/// diagnostics; that of a file is its path. All else is as with
/// cors_policies_parse(), and for a path as with cors_policies_load().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_open(
    text: *const c_char,
    text_len: usize,
    source: *const c_char,
    source_len: usize,
    policies: *mut *const cors_policies,
    diagnostics: *mut *mut cors_diagnostics,
) -> i32 {
    let open = || {
        // SAFETY: the header asks for that many bytes at each.
        let (text, source) = unsafe {
            (ffi::bytes(text, text_len)?, ffi::bytes(source, source_len)?)
        };
        let source = String::from_utf8_lossy(source);
        Ok(libcors_config::open_compiled(text, &source))
    };
    // SAFETY: the header asks for places to write to.
    unsafe { compile(policies, diagnostics, open) }
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
    outcome: impl FnOnce() -> Result<(String, Outcome<Vec<CompiledPolicy>>), i32>,
) -> i32 {
    let compile = || {
        let (source, outcome) = outcome()?;
        let problems = Problems::new(&outcome.diagnostics);
        let set = outcome.policies.map(|list| {
            let file = PolicyFile::new(source, list);
            PolicySet::new(vec![Arc::new(file)]).0
        });
        let status = match (&set, outcome.unreadable) {
            (Some(_), _) => CORS_OK,
            (None, true) => CORS_ERR_IO,
            (None, false) => CORS_ERR_DOCUMENT,
        };
        Ok((set, problems, status))
    };
    // SAFETY: the caller promises it.
    unsafe { finish(policies, diagnostics, compile) }
}

/// Returns a set of policies and the problems of its files.
///
/// # Safety
///
/// As for [`compile`].
unsafe fn finish(
    policies: *mut *const cors_policies,
    diagnostics: *mut *mut cors_diagnostics,
    make: impl FnOnce() -> Result<(Option<PolicySet>, Problems, i32), i32>,
) -> i32 {
    // SAFETY: the caller promises it.
    unsafe {
        ffi::write(policies, ptr::null());
        ffi::write(diagnostics, ptr::null_mut());
    }
    if policies.is_null() {
        return CORS_ERR_ARGUMENT;
    }
    match guard(|| Err(CORS_ERR_INTERNAL), make) {
        Err(status) => status,
        Ok((set, problems, status)) => {
            // SAFETY: the caller promises that both may be written.
            unsafe {
                if !diagnostics.is_null() && !problems.is_empty() {
                    diagnostics.write(problems.into_raw());
                }
                policies.write(set.map_or(ptr::null(), PolicySet::into_raw));
            }
            status
        }
    }
}

/// cors_policies_join makes one set of the policies of several files.
///
/// list is an array of count sets, of which each may have several files itself.
/// The sets are not changed; what the new one needs of them it keeps alive.
///
/// On CORS_OK *policies is the new set, which the caller owns and releases with
/// cors_policies_unref(). If two files have a policy of the same name, the status
/// is CORS_ERR_DOCUMENT, *policies is NULL, and *diagnostics, unless diagnostics is
/// NULL, names both places; release it with cors_diagnostics_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_join(
    list: *const *const cors_policies,
    count: usize,
    policies: *mut *const cors_policies,
    diagnostics: *mut *mut cors_diagnostics,
) -> i32 {
    let join = || {
        if count != 0 && list.is_null() {
            return Err(CORS_ERR_ARGUMENT);
        }
        let mut files = Vec::new();
        for at in 0..count {
            // SAFETY: the header asks for an array of `count` sets that are alive.
            let set = unsafe { set_of(*list.add(at)) };
            let set = set.ok_or(CORS_ERR_ARGUMENT)?;
            files.extend(set.files.iter().cloned());
        }
        let (set, duplicates) = PolicySet::new(files);
        let mut problems = Problems::default();
        for places in &duplicates {
            let [own, first] = places.map(|place| {
                set.at(place).map(|(source, named)| Place {
                    source,
                    line: named.line,
                    column: named.column,
                    name: &named.name,
                })
            });
            if let (Some(own), Some(first)) = (own, first) {
                problems.push_duplicate(&own, &first);
            }
        }
        Ok(match duplicates.is_empty() {
            true => (Some(set), problems, CORS_OK),
            false => (None, problems, CORS_ERR_DOCUMENT),
        })
    };
    // SAFETY: the header asks for NULL or places to write to.
    unsafe { finish(policies, diagnostics, join) }
}

/// cors_policies_ref adds a reference to a document and returns it.
///
/// NULL gives NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_ref(
    policies: *const cors_policies,
) -> *const cors_policies {
    if !policies.is_null() {
        // SAFETY: the header asks for a document that is alive, which `finish`
        // made from an Arc.
        unsafe { Arc::increment_strong_count(policies.cast::<PolicySet>()) };
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
    // SAFETY: the header asks for a document that is alive, which `finish` made
    // from an Arc.
    guard(
        || (),
        || unsafe { Arc::decrement_strong_count(policies.cast::<PolicySet>()) },
    );
}

/// # Safety
///
/// `policies` must be NULL or alive for `'a`.
unsafe fn set_of<'a>(policies: *const cors_policies) -> Option<&'a PolicySet> {
    // SAFETY: a set that is alive was made by `finish`.
    unsafe { policies.cast::<PolicySet>().as_ref() }
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
/// It is borrowed: it is valid as long as the set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_get(
    policies: *const cors_policies,
    name: *const c_char,
    name_len: usize,
) -> *const cors_policy {
    let get = || {
        // SAFETY: the header asks for a set that is alive, and for that many
        // bytes.
        let (set, name) =
            unsafe { (set_of(policies)?, ffi::bytes(name, name_len).ok()?) };
        set.get(name)
    };
    guard(|| None, get)
        .map_or(ptr::null(), |own| ptr::from_ref::<Compiled>(own).cast())
}

/// The name is that of a policy.
pub const CORS_CHOICE_POLICY: i32 = 0;
/// The name is "off": leave the response as it is.
pub const CORS_CHOICE_OFF: i32 = 1;
/// There is no policy of this name: decide with a NULL policy, which fails closed.
pub const CORS_CHOICE_UNKNOWN: i32 = 2;

/// cors_policies_choose finds out what a server is to do where it chooses the policy
/// by a name, and returns CORS_CHOICE_...
///
/// *policy is the policy on CORS_CHOICE_POLICY, and else NULL. An empty name is that
/// of no policy. Any number of threads may choose from one set at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_choose(
    policies: *const cors_policies,
    name: *const c_char,
    name_len: usize,
    policy: *mut *const cors_policy,
) -> i32 {
    // SAFETY: the header asks for a set that is alive, and for that many bytes.
    let found = unsafe { cors_policies_get(policies, name, name_len) };
    // SAFETY: the header asks for NULL or a place to write to.
    unsafe { ffi::write(policy, found) };
    if !found.is_null() {
        return CORS_CHOICE_POLICY;
    }
    // SAFETY: the header asks for that many bytes.
    match unsafe { ffi::bytes(name, name_len) } {
        Ok(b"off") => CORS_CHOICE_OFF,
        _ => CORS_CHOICE_UNKNOWN,
    }
}

/// cors_policies_unknown writes a sentence for a log about a name that
/// cors_policies_choose() did not know: the name, and the names that exist.
///
/// The name may come from a client: it is shortened, and what would not show in a
/// log is escaped. Of many policies the first are named. Like snprintf(), the call
/// writes up to size bytes, the last of them a NUL, and returns the length of the
/// whole sentence without the NUL, which is below CORS_UNKNOWN_SIZE. buffer may be
/// NULL if size is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_unknown(
    policies: *const cors_policies,
    name: *const c_char,
    name_len: usize,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let write = || {
        // SAFETY: the header asks for a set that is alive, and for that many
        // bytes.
        let (set, name) =
            unsafe { (set_of(policies), ffi::bytes(name, name_len)) };
        let name = name.unwrap_or_default();
        // SAFETY: the header asks for `size` bytes at `buffer`.
        let mut buffer = unsafe { Buffer::new(buffer, size) };
        buffer.push(b"unknown policy \"");
        let shown = name.get(..MAX_NAME).unwrap_or(name);
        for byte in shown.escape_ascii() {
            buffer.push(&[byte]);
        }
        buffer.push(match name.len() > MAX_NAME {
            true => b"...\"",
            false => b"\"",
        });
        let count = set.map_or(0, |set| set.places.len());
        let names = || {
            let all = set.into_iter().flat_map(|set| {
                (0..set.places.len()).filter_map(|at| set.nth(at))
            });
            all.map(|named| named.name.to_bytes()).take(MAX_NAMES)
        };
        for (at, name) in names().enumerate() {
            buffer.push(match at {
                0 => b", expected \"",
                _ if at + 1 == count => b" or \"",
                _ => b", \"",
            });
            buffer.push(name);
            buffer.push(b"\"");
        }
        if count > MAX_NAMES {
            let more = format!(" or one of {} others", count - MAX_NAMES);
            buffer.push(more.as_bytes());
        }
        buffer.finish()
    };
    guard(|| 0, write)
}

/// Bytes that are enough for the sentence of cors_policies_unknown(), its NUL
/// included.
pub const CORS_UNKNOWN_SIZE: usize = 1024;

/// The most bytes of a name that a sentence repeats, before they are escaped.
const MAX_NAME: usize = 64;

/// The most names that a sentence lists. Each has at most 64 bytes.
const MAX_NAMES: usize = 8;

// The longest sentence: each byte of the name takes four, and each name that
// exists stands between six more.
const _: () =
    assert!(100 + 4 * MAX_NAME + MAX_NAMES * (64 + 6) < CORS_UNKNOWN_SIZE);

/// cors_policies_count returns the number of policies of a set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_count(
    policies: *const cors_policies,
) -> usize {
    // SAFETY: the header asks for a set that is alive.
    unsafe { set_of(policies) }.map_or(0, |set| set.places.len())
}

/// cors_policies_name returns the name of a policy by its place, counted from 0: in
/// the order of the files, and of the policies in each. NULL beyond the last.
///
/// The name is valid as long as the set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cors_policies_name(
    policies: *const cors_policies,
    index: usize,
) -> *const c_char {
    // SAFETY: the header asks for a set that is alive.
    let named = unsafe { set_of(policies) }.and_then(|set| set.nth(index));
    named.map_or(ptr::null(), |named| CStr::as_ptr(&named.name))
}

// A policy is returned as the thin pointer that it is.
const _: () =
    assert!(size_of::<*const Compiled>() == size_of::<*const cors_policy>());
