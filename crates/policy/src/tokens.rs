//! Sets of tokens: methods, which compare by case, and header names, which do not.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::{
    bytes::lower_token,
    table::{Index, Rolling},
};

/// A fixed set of tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenSet {
    names: Box<[Box<[u8]>]>,
    index: Index,
}

impl TokenSet {
    pub(crate) fn new(names: &[String]) -> TokenSet {
        let names: Box<[Box<[u8]>]> =
            names.iter().map(|name| name.as_bytes().into()).collect();
        let hashes: Vec<u64> =
            names.iter().map(|name| hash_folded(name)).collect();
        TokenSet { names, index: Index::new(&hashes) }
    }

    /// Whether the set has exactly this token.
    pub(crate) fn contains(&self, token: &[u8]) -> bool {
        self.find(hash_folded(token), |name| name == token)
    }

    /// Whether the set has this token in any case; `hash` is [`hash_folded`] of
    /// it.
    #[inline]
    pub(crate) fn contains_folded(&self, token: &[u8], hash: u64) -> bool {
        // Browsers send names in lower case, as they are kept here.
        self.find(hash, |name| {
            name == token || name.eq_ignore_ascii_case(token)
        })
    }

    #[inline]
    fn find(&self, hash: u64, mut equal: impl FnMut(&[u8]) -> bool) -> bool {
        self.index
            .candidates(hash)
            .any(|i| self.names.get(i).is_some_and(|name| equal(name)))
    }
}

/// The hash of a token, the same for all its spellings.
pub(crate) fn hash_folded(token: &[u8]) -> u64 {
    let mut hash = Rolling::START;
    for &byte in token {
        hash.push(lower_token(byte));
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};

    #[test]
    fn compares_by_case_or_not() {
        let set = TokenSet::new(&["PUT".to_string(), "x-a".to_string()]);
        assert!(set.contains(b"PUT"));
        assert!(!set.contains(b"put"));
        assert!(!set.contains(b"PU"));
        let folded = |name: &[u8]| set.contains_folded(name, hash_folded(name));
        assert!(folded(b"X-A"));
        assert!(!folded(b"x-b"));
        assert!(!folded(b""));
        assert!(!TokenSet::new(&[]).contains(b"GET"));
        let many: Vec<String> = (0..500).map(|i| format!("x-{i}")).collect();
        let set = TokenSet::new(&many);
        assert!(many.iter().all(|name| set.contains(name.as_bytes())));
        assert!(!set.contains(b"x-500"));
    }
}
