//! Byte classes of HTTP: tokens (RFC 9110, section 5.6.2) and white space.

/// Whether each byte may stand in a token.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 128 {
        let b = i as u8;
        let special = matches!(
            b,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        table[i] = special || b.is_ascii_alphanumeric();
        i += 1;
    }
    table
};

/// Whether this is a byte of a token.
#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    // The table has an entry for every u8; get() only spares the reader the
    // proof.
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether these bytes are a token of RFC 9110, section 5.6.2: a method, or the
/// name of a field.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_token_byte(b))
}

/// Whether this is white space inside a line: SP or HTAB.
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The bytes without white space at either end.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated list, trimmed, empty ones left out.
pub(crate) fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b',').map(trim).filter(|member| !member.is_empty())
}
