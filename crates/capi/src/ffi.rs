//! Where C pointers become Rust references and back: all conversions of the
//! crate, and the barrier that no panic passes.

use core::{ffi::c_char, hint, marker::PhantomData, mem, ptr, slice};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libcors_policy::{Ask, Lines};

use crate::{
    status::{CORS_ERR_ABI, CORS_ERR_ARGUMENT},
    types::{cors_lines, cors_request, cors_str},
};

/// Runs `body`; a panic in it becomes `or_else()`.
#[inline]
pub(crate) fn guard<R>(
    or_else: impl FnOnce() -> R,
    body: impl FnOnce() -> R,
) -> R {
    // What a panic leaves behind is either immutable or the caller's buffer, which
    // `or_else` fills.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => {
            // A payload may panic in its turn when it is dropped.
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            mem::forget(dropped);
            or_else()
        }
    }
}

/// The bytes at a pointer.
///
/// # Safety
///
/// `data` must point to `len` readable bytes that live and stay unchanged for
/// `'a`, or be NULL with a `len` of 0.
#[inline]
pub(crate) unsafe fn bytes<'a>(
    data: *const c_char,
    len: usize,
) -> Result<&'a [u8], i32> {
    match is_bad(data, len) {
        true => Err(CORS_ERR_ARGUMENT),
        // SAFETY: the caller promises `len` bytes at `data`.
        false => Ok(unsafe { good_bytes(cors_str { data, len }) }),
    }
}

/// Lines of a request, each of which was checked. They are no slice, so that none
/// has to be made up for fields that are not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CLines<'a> {
    field: cors_lines,
    of: PhantomData<&'a [cors_str]>,
}

impl<'a> Lines<'a> for CLines<'a> {
    #[inline]
    fn count(self) -> usize {
        self.field.count
    }

    #[inline]
    fn line(self, index: usize) -> &'a [u8] {
        match index < self.field.count {
            // SAFETY: there are `count` strings; this one was checked, and the
            // caller keeps it unchanged.
            true => unsafe { good_bytes(*self.field.lines.add(index)) },
            false => &[],
        }
    }
}

impl<'a> CLines<'a> {
    /// # Safety
    ///
    /// There must be `count` strings that are as [`bytes`] asks.
    #[inline]
    unsafe fn new(field: cors_lines) -> CLines<'a> {
        CLines { field, of: PhantomData }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        (0..self.count()).map(move |i| self.line(i))
    }
}

/// The lines at a pointer.
///
/// # Safety
///
/// `data` must point to `count` strings that are as [`bytes`] asks, or be NULL
/// with a `count` of 0.
#[inline]
pub(crate) unsafe fn lines<'a>(
    data: *const cors_str,
    count: usize,
) -> Result<CLines<'a>, i32> {
    let field = cors_lines { lines: data, count };
    match is_bad_field(field) {
        true => Err(CORS_ERR_ARGUMENT),
        // SAFETY: the caller promises `count` strings at `data`.
        false => Ok(unsafe { CLines::new(field) }),
    }
}

/// Whether a pointer and its count cannot be a slice.
#[inline(always)]
pub(crate) fn is_bad<T>(data: *const T, count: usize) -> bool {
    // Most strings and fields of a request are empty.
    count != 0
        && (data.is_null() || count > isize::MAX as usize / size_of::<T>())
}

/// The bytes of a string that is not bad.
///
/// # Safety
///
/// As for [`bytes`], and [`is_bad`] must have said that it is not.
#[inline]
pub(crate) unsafe fn good_bytes<'a>(string: cors_str) -> &'a [u8] {
    let data = match string.data.is_null() {
        true => ptr::NonNull::dangling().as_ptr(),
        false => string.data.cast(),
    };
    // SAFETY: the caller promises it.
    unsafe { slice::from_raw_parts(data, string.len) }
}

/// Whether the lines of a field, or any of them, are bad.
#[inline]
fn is_bad_field(field: cors_lines) -> bool {
    match field.count {
        0 => false,
        // Nearly all fields have one line.
        1 => {
            field.lines.is_null() || {
                // SAFETY: the caller of whatever function we are in promises
                // `count` strings.
                let line = unsafe { *field.lines };
                is_bad(line.data, line.len)
            }
        }
        _ => is_bad(field.lines, field.count) || are_bad_lines(field),
    }
}

#[inline(never)]
fn are_bad_lines(field: cors_lines) -> bool {
    (0..field.count).any(|i| {
        // SAFETY: as for `is_bad_field`.
        let line = unsafe { *field.lines.add(i) };
        is_bad(line.data, line.len)
    })
}

/// A request whose strings and lines are not bad. It is read where it lies, so
/// that nothing is copied that a decision does not ask for.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct CRequest<'a>(&'a cors_request);

macro_rules! fields {
    ($($lines:ident)* ; $($strings:ident)*) => {
        impl<'a> Ask<'a> for CRequest<'a> {
            type Lines = CLines<'a>;
            $(
                #[inline]
                fn $lines(self) -> CLines<'a> {
                    // SAFETY: `request` checked this field, which the caller
                    // keeps unchanged.
                    unsafe { CLines::new(self.0.$lines) }
                }
            )*
            $(
                #[inline]
                fn $strings(self) -> &'a [u8] {
                    // SAFETY: as above.
                    unsafe { good_bytes(self.0.$strings) }
                }
            )*
        }

        /// What is left of a request without what is bad.
        fn without_bad(raw: cors_request) -> cors_request {
            let mut good = NOTHING.0;
            $(
                if !is_bad_field(raw.$lines) {
                    good.$lines = raw.$lines;
                }
            )*
            $(
                if !is_bad(raw.$strings.data, raw.$strings.len) {
                    good.$strings = raw.$strings;
                }
            )*
            good
        }

        /// Whether any string or field is bad.
        #[inline]
        fn is_bad_request(raw: &cors_request) -> bool {
            false
                $( || is_bad_field(raw.$lines) )*
                $( || is_bad(raw.$strings.data, raw.$strings.len) )*
        }
    };
}

fields!(
    origin request_method request_headers request_private_network upgrade;
    method protocol scheme host sec_fetch_site
);

/// The empty string.
pub(crate) const NO_STR: cors_str = cors_str { data: ptr::null(), len: 0 };

/// A request of nothing.
pub(crate) const EMPTY_REQUEST: cors_request = {
    const LINES: cors_lines = cors_lines { lines: ptr::null(), count: 0 };
    cors_request {
        size: size_of::<cors_request>(),
        method: NO_STR,
        origin: LINES,
        request_method: LINES,
        request_headers: LINES,
        request_private_network: LINES,
        upgrade: LINES,
        protocol: NO_STR,
        scheme: NO_STR,
        host: NO_STR,
        sec_fetch_site: NO_STR,
    }
};

static NOTHING: Nothing = Nothing(EMPTY_REQUEST);

struct Nothing(cors_request);

// SAFETY: there is nothing behind its pointers.
unsafe impl Sync for Nothing {}

/// What can be read of a request that was refused; `None` if that is nothing.
///
/// # Safety
///
/// `request` must be NULL or point to a request of the size that it says.
pub(crate) unsafe fn salvage(
    request: *const cors_request,
) -> Option<cors_request> {
    if request.is_null() {
        return None;
    }
    // SAFETY: every version of the struct starts with its size.
    let size = unsafe { *request.cast::<usize>() };
    if size < size_of::<cors_request>() {
        return None;
    }
    // SAFETY: the struct is at least as large as ours.
    Some(without_bad(unsafe { *request }))
}

impl<'a> CRequest<'a> {
    /// A request that [`salvage`] returned.
    pub(crate) fn salvaged(good: &'a cors_request) -> CRequest<'a> {
        CRequest(good)
    }
}

impl CRequest<'static> {
    /// A request of nothing, in place of one that cannot be read.
    pub(crate) fn nothing() -> CRequest<'static> {
        CRequest(&NOTHING.0)
    }
}

/// A request, checked.
///
/// # Safety
///
/// `request` must be NULL or point to a request of the size that it says, whose
/// strings live and stay unchanged for `'a`.
#[inline(always)]
pub(crate) unsafe fn request<'a>(
    request: *const cors_request,
) -> Result<CRequest<'a>, i32> {
    if request.is_null() {
        return Err(CORS_ERR_ARGUMENT);
    }
    // SAFETY: every version of the struct starts with its size.
    let size = unsafe { *request.cast::<usize>() };
    if size != size_of::<cors_request>() {
        // SAFETY: as above.
        unsafe { check_larger(request.cast(), size) }?;
    }
    // SAFETY: the struct is at least as large as ours.
    let raw = unsafe { &*request };
    match is_bad_request(raw) {
        true => Err(CORS_ERR_ARGUMENT),
        false => Ok(CRequest(raw)),
    }
}

/// Whether a struct is there, and of the size that it has in this version.
///
/// # Safety
///
/// `object` must be NULL or point to a struct whose first member is its size.
#[inline(always)]
pub(crate) unsafe fn is_of_this_version<T>(object: *const T) -> bool {
    // SAFETY: the caller promises it.
    !object.is_null() && unsafe { *object.cast::<usize>() } == size_of::<T>()
}

/// The request, if it is one of this version, has no more fields than most have,
/// and is not bad; `None` for all others, which [`request`] tells apart. One with an
/// `Origin` may be left to that too.
///
/// # Safety
///
/// As for [`request`].
#[inline(always)]
pub(crate) unsafe fn plain_request<'a>(
    request: *const cors_request,
    with_origin: bool,
) -> Option<CRequest<'a>> {
    // SAFETY: the caller promises it.
    if !unsafe { is_of_this_version(request) } {
        return None;
    }
    // SAFETY: as above.
    let raw = unsafe { &*request };
    if raw.request_method.count != 0 || raw.origin.count > 1 {
        return None;
    }
    if raw.origin.count == 1 {
        if !with_origin || raw.origin.lines.is_null() {
            return None;
        }
        // SAFETY: the caller promises one string there.
        let line = unsafe { *raw.origin.lines };
        if line.len == 0 || is_bad(line.data, line.len) {
            return None;
        }
        // SAFETY: it was found so just now. The compiler need not ask again.
        unsafe { hint::assert_unchecked(!line.data.is_null()) };
    }
    let others = raw.request_headers.count
        | raw.request_private_network.count
        | raw.upgrade.count
        | raw.protocol.len;
    let bad = |string: cors_str| is_bad(string.data, string.len);
    if others != 0
        || bad(raw.method)
        || bad(raw.scheme)
        || bad(raw.host)
        || bad(raw.sec_fetch_site)
    {
        return None;
    }
    // SAFETY: as above, of what was found to be 0 together.
    unsafe {
        hint::assert_unchecked(raw.upgrade.count == 0);
        hint::assert_unchecked(raw.protocol.len == 0);
    }
    Some(CRequest(raw))
}

/// A request of a later version is fine if it asks for nothing that is not known
/// here: if its tail is zero.
///
/// # Safety
///
/// `request` must point to `size` readable bytes.
#[cold]
unsafe fn check_larger(request: *const u8, size: usize) -> Result<(), i32> {
    let own = size_of::<cors_request>();
    if size < own || isize::try_from(size).is_err() {
        return Err(CORS_ERR_ABI);
    }
    // SAFETY: the tail lies within the `size` bytes that the caller promises.
    let tail = unsafe { slice::from_raw_parts(request.add(own), size - own) };
    match tail.iter().all(|&byte| byte == 0) {
        true => Ok(()),
        false => Err(CORS_ERR_ABI),
    }
}

/// Checks the size of a struct that is written to, and zeroes the tail that this
/// library does not know.
///
/// # Safety
///
/// `out` must be NULL or point to a struct whose first member is its size in
/// bytes, all of which may be written.
#[inline]
pub(crate) unsafe fn prepare_output<T>(out: *mut T) -> Result<(), i32> {
    if out.is_null() {
        return Err(CORS_ERR_ARGUMENT);
    }
    // SAFETY: every version of the struct starts with its size.
    let size = unsafe { *out.cast::<usize>() };
    let own = size_of::<T>();
    if size == own {
        return Ok(());
    }
    if size < own || isize::try_from(size).is_err() {
        return Err(CORS_ERR_ABI);
    }
    // SAFETY: the tail lies within the `size` bytes that the caller promises.
    unsafe { ptr::write_bytes(out.cast::<u8>().add(own), 0, size - own) };
    Ok(())
}

/// Writes to an out-parameter that may be NULL.
///
/// # Safety
///
/// `out` must be NULL or writable.
pub(crate) unsafe fn write<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: the caller promises it.
        unsafe { out.write(value) };
    }
}

/// A caller's buffer that is filled in pieces, like that of `snprintf`: what does
/// not fit is counted, and dropped.
pub(crate) struct Buffer {
    data: *mut u8,
    size: usize,
    len: usize,
}

impl Buffer {
    /// # Safety
    ///
    /// `data` must point to `size` writable bytes, or be NULL, for as long as the
    /// buffer is used.
    pub(crate) unsafe fn new(data: *mut c_char, size: usize) -> Buffer {
        let size = if data.is_null() { 0 } else { size };
        Buffer { data: data.cast(), size, len: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // One byte stays free for the NUL.
        let room = self.size.saturating_sub(1).saturating_sub(self.len);
        let count = bytes.len().min(room);
        if count != 0 {
            // SAFETY: `len + count` is below `size`, the bytes that `new` was
            // promised; a caller's buffer does not overlap what is borrowed.
            unsafe {
                let end = self.data.add(self.len);
                ptr::copy_nonoverlapping(bytes.as_ptr(), end, count);
            }
        }
        self.len = self.len.saturating_add(bytes.len());
    }

    /// Ends the string with a NUL; returns how long it is, or would be.
    pub(crate) fn finish(self) -> usize {
        if self.size != 0 {
            let end = self.len.min(self.size - 1);
            // SAFETY: `end` is below `size`.
            unsafe { self.data.add(end).write(0) };
        }
        self.len
    }
}
