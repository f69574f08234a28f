//! Where C pointers become Rust references and back: all conversions of the
//! crate, and the barrier that no panic passes.

use core::{ffi::c_char, mem, ptr, slice};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libcors_policy::{Lines, Request};

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
            mem::forget(payload);
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
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || isize::try_from(len).is_err() {
        return Err(CORS_ERR_ARGUMENT);
    }
    // SAFETY: the caller promises `len` bytes at `data`.
    Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
}

/// # Safety
///
/// As for [`bytes`].
#[inline]
pub(crate) unsafe fn str_bytes<'a>(string: cors_str) -> Result<&'a [u8], i32> {
    // SAFETY: the caller promises it.
    unsafe { bytes(string.data, string.len) }
}

/// A slice as C sees it.
#[inline]
pub(crate) fn to_str(bytes: &[u8]) -> cors_str {
    cors_str { data: bytes.as_ptr().cast(), len: bytes.len() }
}

/// Lines of a request, each of which was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CLines<'a>(&'a [cors_str]);

impl<'a> Lines<'a> for CLines<'a> {
    #[inline]
    fn count(self) -> usize {
        self.0.len()
    }

    #[inline]
    fn line(self, index: usize) -> &'a [u8] {
        let line = self.0.get(index).copied();
        // SAFETY: `lines` checked this string, which the caller keeps unchanged.
        line.and_then(|line| unsafe { str_bytes(line) }.ok())
            .unwrap_or_default()
    }
}

impl<'a> CLines<'a> {
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
    if count == 0 {
        return Ok(CLines(&[]));
    }
    if data.is_null() || count > isize::MAX as usize / size_of::<cors_str>() {
        return Err(CORS_ERR_ARGUMENT);
    }
    // SAFETY: the caller promises `count` strings at `data`.
    let lines: &'a [cors_str] = unsafe { slice::from_raw_parts(data, count) };
    for line in lines {
        // SAFETY: the caller promises that each is a string.
        unsafe { str_bytes(*line) }?;
    }
    Ok(CLines(lines))
}

/// # Safety
///
/// As for [`lines`].
#[inline]
unsafe fn field<'a>(field: cors_lines) -> Result<CLines<'a>, i32> {
    // SAFETY: the caller promises it.
    unsafe { lines(field.lines, field.count) }
}

/// A request, converted.
///
/// # Safety
///
/// `request` must be NULL or point to a request of the size that it says, whose
/// strings live and stay unchanged for `'a`.
#[inline]
pub(crate) unsafe fn request<'a>(
    request: *const cors_request,
) -> Result<Request<'a, CLines<'a>>, i32> {
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
    // SAFETY: the caller promises that all strings and lines are valid.
    unsafe {
        Ok(Request {
            method: str_bytes(raw.method)?,
            origin: field(raw.origin)?,
            request_method: field(raw.request_method)?,
            request_headers: field(raw.request_headers)?,
            request_private_network: field(raw.request_private_network)?,
            upgrade: field(raw.upgrade)?,
            protocol: str_bytes(raw.protocol)?,
            scheme: str_bytes(raw.scheme)?,
            host: str_bytes(raw.host)?,
            sec_fetch_site: str_bytes(raw.sec_fetch_site)?,
        })
    }
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
