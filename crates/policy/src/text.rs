use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ops::Deref};

/// Bytes that a policy owns, followed by a NUL.
///
/// They hold no CR, LF or NUL, so that a server can put them into a header as
/// they are, and C code can read them as a string.
#[derive(Clone, Eq, PartialEq)]
pub struct Text(Box<[u8]>);

impl Text {
    /// Copies `bytes`; `None` if there is a CR, LF or NUL among them.
    pub(crate) fn new(bytes: &[u8]) -> Option<Text> {
        if bytes.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return None;
        }
        let mut owned = Vec::with_capacity(bytes.len() + 1);
        owned.extend_from_slice(bytes);
        owned.push(0);
        Some(Text(owned.into_boxed_slice()))
    }

    /// The bytes, without the NUL.
    pub fn as_bytes(&self) -> &[u8] {
        match &*self.0 {
            [bytes @ .., _] => bytes,
            [] => &[],
        }
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// A static string without the NUL that C code finds behind it.
pub(crate) fn without_nul(text: &'static str) -> &'static str {
    text.strip_suffix('\0').unwrap_or(text)
}
