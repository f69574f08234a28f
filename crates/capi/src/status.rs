//! Status codes.

use core::ffi::c_char;

/// The call did what was asked.
pub const CORS_OK: i32 = 0;

/// An argument is wrong: NULL where an object is needed, a string of a length
/// beyond PTRDIFF_MAX, a format or an index that does not exist.
pub const CORS_ERR_ARGUMENT: i32 = 1;

/// A struct has a size that this library cannot serve: it is smaller than in
/// version 1, or larger than this library knows with a tail that is not zero.
pub const CORS_ERR_ABI: i32 = 2;

/// The document has errors; the diagnostics say which.
pub const CORS_ERR_DOCUMENT: i32 = 3;

/// The file could not be read; the diagnostics say why.
pub const CORS_ERR_IO: i32 = 4;

/// The caller's buffer is too small; nothing was changed.
pub const CORS_ERR_BUFFER: i32 = 5;

/// The library has a bug, which it survived. Please report it.
pub const CORS_ERR_INTERNAL: i32 = 6;

/// cors_status_str returns a few words for a status code, in English.
///
/// The string is static. Unknown codes give "unknown status".
#[unsafe(no_mangle)]
pub extern "C" fn cors_status_str(status: i32) -> *const c_char {
    let text = match status {
        CORS_OK => c"ok",
        CORS_ERR_ARGUMENT => c"invalid argument",
        CORS_ERR_ABI => c"struct of an unsupported size",
        CORS_ERR_DOCUMENT => c"the document has errors",
        CORS_ERR_IO => c"the file could not be read",
        CORS_ERR_BUFFER => c"the buffer is too small",
        CORS_ERR_INTERNAL => c"internal error",
        _ => c"unknown status",
    };
    text.as_ptr()
}
