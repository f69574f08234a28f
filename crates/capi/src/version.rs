//! Versions.

use core::ffi::c_char;

/// The version of the ABI that this header describes.
///
/// It changes only when something breaks. Compare it with cors_abi_version()
/// when the program starts or reads its configuration, and refuse to go on, with
/// both numbers in the message, if they differ.
pub const CORS_ABI_VERSION: u32 = 1;

/// cors_abi_version returns the ABI version of the library that is loaded.
#[unsafe(no_mangle)]
pub extern "C" fn cors_abi_version() -> u32 {
    CORS_ABI_VERSION
}

/// cors_version returns the version of the library, such as "0.1.0".
///
/// It is for people; nothing should depend on it. The string is static.
#[unsafe(no_mangle)]
pub extern "C" fn cors_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
