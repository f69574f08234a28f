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

/// A word whose bytes are 0 where these are lower-case letters or dashes, as in
/// nearly all names of fields. All eight are told at once.
#[inline]
fn others(bytes: &[u8; 8]) -> u64 {
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let all = |byte: u8| u64::from_le_bytes([byte; 8]);
    let word = u64::from_le_bytes(*bytes);
    // None of these sums carries into the next byte; the upper bit of each tells.
    let low = word & !HIGH;
    let from_a = low + all(0x80 - b'a');
    let after_z = low + all(0x7f - b'z');
    let no_dash = (low ^ all(b'-')) + all(0x7f);
    ((!from_a | after_z) & no_dash | word) & HIGH
}

/// The bytes of a token, as many as there are, and those after them.
#[inline]
pub(crate) fn split_token(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut len = 0;
    for word in bytes.as_chunks().0 {
        let others = others(word);
        if others != 0 {
            len += others.trailing_zeros() as usize / 8;
            break;
        }
        len += 8;
    }
    let rest = bytes.get(len..).unwrap_or_default();
    len += rest.iter().take_while(|&&byte| is_token_byte(byte)).count();
    bytes.split_at_checked(len).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_token_ends_where_its_first_other_byte_is() {
        for len in 0..40 {
            for at in 0..len {
                for byte in 0..=255 {
                    let mut bytes: Vec<u8> = b"x-requested-With_9"
                        .iter()
                        .copied()
                        .cycle()
                        .take(len)
                        .collect();
                    bytes[at] = byte;
                    let first = bytes.iter().position(|&b| !is_token_byte(b));
                    let expected = bytes.split_at(first.unwrap_or(len));
                    assert_eq!(split_token(&bytes), expected);
                }
            }
        }
    }
}
