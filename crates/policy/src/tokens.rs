//! Sets of tokens: methods, which compare by case, and header names, which do not.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::table::{Index, equal, hash};

/// The most tokens that are looked at one after the other.
const FEW: usize = 8;

/// A fixed set of tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenSet {
    /// In ascending order.
    names: Box<[Box<[u8]>]>,
    index: Index,
    longest: usize,
}

impl TokenSet {
    pub(crate) fn new(names: &[String]) -> TokenSet {
        let mut names: Vec<Box<[u8]>> =
            names.iter().map(|name| name.as_bytes().into()).collect();
        names.sort_unstable();
        let hashes = || names.iter().map(|name| hash(name)).zip(0..);
        TokenSet {
            index: Index::new(names.len(), hashes, |_, _| false),
            longest: names.iter().map(|name| name.len()).max().unwrap_or(0),
            names: names.into_boxed_slice(),
        }
    }

    /// Whether the set has exactly this token.
    #[inline]
    pub(crate) fn contains(&self, token: &[u8]) -> bool {
        match self.names.len() <= FEW {
            true => self.names.iter().any(|name| equal(name, token)),
            false => self.find(token),
        }
    }

    /// Whether the set, all of it in lower case, has this token in any case.
    pub(crate) fn contains_folded(&self, token: &[u8]) -> bool {
        if token.len() > self.longest || self.contains(token) {
            return token.len() <= self.longest;
        }
        // Browsers send names in lower case.
        if !token.iter().any(u8::is_ascii_uppercase) {
            return false;
        }
        let mut buffer = [0; 64];
        let Some(lower) = buffer.get_mut(..token.len()) else {
            // No browser sends such a name.
            let mut names = self.names.iter();
            return names.any(|name| name.eq_ignore_ascii_case(token));
        };
        lower.copy_from_slice(token);
        lower.make_ascii_lowercase();
        self.contains(lower)
    }

    /// Whether a list is made of tokens of this set in ascending order, each at
    /// most once, parted by nothing but commas: what browsers send. All else is
    /// for others to judge.
    #[inline(always)]
    pub(crate) fn has_sorted_list(&self, list: &[u8]) -> bool {
        let mut rest = list;
        for name in &self.names {
            if let Some((start, after)) = rest.split_at_checked(name.len())
                && equal(start, name)
            {
                match after {
                    [] => return true,
                    [b',', next @ ..] => rest = next,
                    _ => {}
                }
            }
        }
        false
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    fn find(&self, token: &[u8]) -> bool {
        token.len() <= self.longest
            && self
                .index
                .candidates(hash(token))
                .filter_map(|number| self.names.get(number as usize))
                .any(|name| **name == *token)
    }
}

/// A token of up to eight bytes as a word of its own, to be compared at once.
#[inline(always)]
pub(crate) fn pack(token: &[u8]) -> Option<u64> {
    // What is left of the word tells lengths apart, unless there is a NUL at the
    // end, which no token has.
    if token.last() == Some(&0) {
        return None;
    }
    let word = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    match *token {
        [a] => Some(a.into()),
        [a, b] => Some(u16::from_le_bytes([a, b]).into()),
        [a, b, c] => Some(u32::from_le_bytes([a, b, c, 0]).into()),
        // The words overlap, and what stands in both is the same.
        [_, _, _, _, ..] if token.len() <= 8 => {
            let shift = 8 * (token.len() - 4);
            Some(
                word(token.first_chunk()?) | word(token.last_chunk()?) << shift,
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};

    #[test]
    fn packs_each_token_differently() {
        let mut seen = Vec::new();
        let text = b"ABCDEFGHIJ";
        for len in 1..=8 {
            for start in 0..3 {
                let token = text.get(start..(start + len).min(10)).unwrap();
                let mut word = [0; 8];
                word[..token.len()].copy_from_slice(token);
                assert_eq!(pack(token), Some(u64::from_le_bytes(word)));
                seen.push(token);
            }
        }
        seen.sort();
        seen.dedup();
        assert!(seen.len() > 20);
        assert_eq!(pack(b""), None);
        assert_eq!(pack(b"PUT\0"), None);
        assert_eq!(pack(b"ABCDEFGHI"), None);
    }

    #[test]
    fn compares_by_case_or_not() {
        let set = TokenSet::new(&["PUT".to_string(), "x-a".to_string()]);
        assert!(set.contains(b"PUT"));
        assert!(!set.contains(b"put"));
        assert!(!set.contains(b"PU"));
        let folded = |name: &[u8]| set.contains_folded(name);
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
