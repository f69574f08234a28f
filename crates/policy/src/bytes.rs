//! Byte classes of HTTP: tokens (RFC 9110, section 5.6.2) and white space.

/// For each byte of a token its lower-case form, and 0 for all others.
static LOWER_TOKEN: [u8; 256] = {
    let mut table = [0; 256];
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
        if special || b.is_ascii_alphanumeric() {
            table[i] = b.to_ascii_lowercase();
        }
        i += 1;
    }
    table
};

/// The lower-case form of a byte that may stand in a token, else 0.
#[inline]
pub(crate) fn lower_token(byte: u8) -> u8 {
    // The table has an entry for every u8; get() only spares the reader the
    // proof.
    LOWER_TOKEN.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Whether these bytes are a token of RFC 9110, section 5.6.2: a method, or the
/// name of a field.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| lower_token(b) != 0)
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
