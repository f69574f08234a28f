use alloc::vec::Vec;

use crate::bytes::members;

/// The names that a decision wants to see in the response's `Vary`
/// (RFC 9110, section 12.5.5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Vary(u8);

impl Vary {
    /// No name.
    pub const NONE: Vary = Vary(0);
    /// `Origin`.
    pub const ORIGIN: Vary = Vary(1);
    /// `Access-Control-Request-Method`.
    pub const REQUEST_METHOD: Vary = Vary(2);
    /// `Access-Control-Request-Headers`.
    pub const REQUEST_HEADERS: Vary = Vary(4);

    const NAMES: [(Vary, &'static str); 3] = [
        (Vary::ORIGIN, "Origin"),
        (Vary::REQUEST_METHOD, "Access-Control-Request-Method"),
        (Vary::REQUEST_HEADERS, "Access-Control-Request-Headers"),
    ];

    /// The names of both.
    #[must_use]
    pub const fn with(self, other: Vary) -> Vary {
        Vary(self.0 | other.0)
    }

    /// Whether all names of `other` are among these.
    pub const fn contains(self, other: Vary) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether `Origin` is among them.
    pub const fn origin(self) -> bool {
        self.contains(Vary::ORIGIN)
    }

    /// Whether there is no name.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in the order in which they are written.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Vary::NAMES
            .into_iter()
            .filter(move |(bit, _)| self.contains(*bit))
            .map(|(_, name)| name)
    }

    /// The names as the bits of the C ABI: 1, 2 and 4, in the order of the
    /// constants.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The names of these bits; unknown bits are dropped.
    pub const fn from_bits(bits: u8) -> Vary {
        Vary(bits & 7)
    }
}

/// The most names of a response's `Vary` that are compared with each other. Beyond
/// that the merged value is `*`: the response depends on everything.
pub const MAX_VARY_NAMES: usize = 256;

/// Merges the `Vary` lines that a response has with the names of a decision into
/// one value.
///
/// The existing names come first, in their order and spelling; no name stands
/// twice, in any case; a `*` says everything, and nothing is added to it. The
/// value is handed to `write` in pieces. It is empty if there is nothing to say.
pub fn merge_vary<'v, I>(existing: I, vary: Vary, mut write: impl FnMut(&[u8]))
where
    I: Iterator<Item = &'v [u8]> + Clone,
{
    let present = || existing.clone().flat_map(members).filter(printable);
    if present().take(MAX_VARY_NAMES + 1).count() > MAX_VARY_NAMES {
        return write(b"*");
    }
    let star = present().any(|name| name == b"*");
    let ours = if star { Vary::NONE } else { vary };
    let mut first = true;
    let mut push = |name: &[u8]| {
        if !first {
            write(b", ");
        }
        first = false;
        write(name);
    };
    for (i, name) in present().enumerate() {
        if !present().take(i).any(|other| other.eq_ignore_ascii_case(name)) {
            push(name);
        }
    }
    for name in ours.names() {
        let name = name.as_bytes();
        if !present().any(|other| other.eq_ignore_ascii_case(name)) {
            push(name);
        }
    }
}

/// What the library hands out holds no control character, whatever it was given.
fn printable(name: &&[u8]) -> bool {
    !name.iter().any(u8::is_ascii_control)
}

impl Vary {
    /// [`merge_vary`], into a vector.
    pub fn merge<'v, I>(self, existing: I) -> Vec<u8>
    where
        I: Iterator<Item = &'v [u8]> + Clone,
    {
        let mut value = Vec::new();
        merge_vary(existing, self, |piece| value.extend_from_slice(piece));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn merge(existing: &[&str], vary: Vary) -> String {
        let lines = existing.iter().map(|line| line.as_bytes());
        String::from_utf8(vary.merge(lines)).unwrap()
    }

    #[test]
    fn merges_into_one_line() {
        let all = Vary::from_bits(7);
        assert_eq!(merge(&[], Vary::NONE), "");
        assert_eq!(merge(&[], Vary::ORIGIN), "Origin");
        assert_eq!(
            merge(&[], all),
            "Origin, Access-Control-Request-Method, \
             Access-Control-Request-Headers"
        );
        assert_eq!(
            merge(&["Accept-Language", " Accept-Encoding,,"], Vary::ORIGIN),
            "Accept-Language, Accept-Encoding, Origin"
        );
        assert_eq!(
            merge(&["oRIGIN, accept", "Accept"], Vary::ORIGIN),
            "oRIGIN, accept"
        );
        assert_eq!(merge(&["*"], Vary::ORIGIN), "*");
        assert_eq!(merge(&["accept", "*"], Vary::ORIGIN), "accept, *");
        assert_eq!(merge(&["a\r\nb, c"], Vary::ORIGIN), "c, Origin");
        let many = "a,".repeat(MAX_VARY_NAMES);
        assert_eq!(merge(&[&many], Vary::ORIGIN), "a, Origin");
        assert_eq!(merge(&[&many, "b"], Vary::ORIGIN), "*");
    }
}
