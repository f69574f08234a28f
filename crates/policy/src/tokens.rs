//! Sets of tokens: methods, which compare by case, and header names, which do not.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::table::{Index, equal, hash};

/// The most tokens that are looked at one after the other.
const FEW: usize = 8;

/// A fixed set of tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenSet {
    /// In ascending order.
    names: Box<[Name]>,
    index: Index,
    longest: usize,
}

/// A token, with words to compare it by if it is of usual length.
#[derive(Clone, Debug)]
struct Name {
    first: u64,
    last: u64,
    /// The last word with the comma that follows.
    last_comma: u64,
    bytes: Box<[u8]>,
}

/// How a list goes on after a token.
enum After<'l> {
    /// It does not start with that token.
    Other,
    End,
    Comma(&'l [u8]),
}

impl Name {
    fn new(token: &str) -> Name {
        let word = |word: Option<&[u8; 8]>| word.map_or(0, as_word);
        let with_comma = [token.as_bytes(), b","].concat();
        Name {
            first: word(token.as_bytes().first_chunk()),
            last: word(token.as_bytes().last_chunk()),
            last_comma: word(with_comma.last_chunk()),
            bytes: token.as_bytes().into(),
        }
    }

    /// Takes this token off a list.
    #[inline(always)]
    fn take_from<'l>(&self, list: &'l [u8]) -> After<'l> {
        let len = self.bytes.len();
        // Of these lengths the words leave nothing out, with a comma or without.
        if !(8..=15).contains(&len) {
            return self.take_other_from(list);
        }
        let same = |bytes: &[u8], word: u64| {
            bytes.last_chunk().map(as_word) == Some(word)
        };
        if list.first_chunk().map(as_word) != Some(self.first) {
            return After::Other;
        }
        match list.split_at_checked(len + 1) {
            Some((start, rest)) if same(start, self.last_comma) => {
                After::Comma(rest)
            }
            None if list.len() == len && same(list, self.last) => After::End,
            _ => After::Other,
        }
    }

    #[inline(never)]
    fn take_other_from<'l>(&self, list: &'l [u8]) -> After<'l> {
        match list.split_at_checked(self.bytes.len()) {
            Some((start, rest)) if equal(start, &self.bytes) => match rest {
                [] => After::End,
                [b',', rest @ ..] => After::Comma(rest),
                _ => After::Other,
            },
            _ => After::Other,
        }
    }
}

#[inline(always)]
fn as_word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

impl TokenSet {
    pub(crate) fn new(names: &[String]) -> TokenSet {
        let mut names: Vec<&String> = names.iter().collect();
        names.sort_unstable();
        let hashes = || names.iter().map(|name| hash(name.as_bytes())).zip(0..);
        TokenSet {
            index: Index::new(names.len(), hashes, |_, _| false),
            longest: names.iter().map(|name| name.len()).max().unwrap_or(0),
            names: names.iter().map(|name| Name::new(name)).collect(),
        }
    }

    /// Whether the set has exactly this token.
    #[inline]
    pub(crate) fn contains(&self, token: &[u8]) -> bool {
        match self.names.len() <= FEW {
            true => self.names.iter().any(|name| equal(&name.bytes, token)),
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
            return names.any(|name| name.bytes.eq_ignore_ascii_case(token));
        };
        lower.copy_from_slice(token);
        lower.make_ascii_lowercase();
        self.contains(lower)
    }

    /// Takes tokens of this set off a list, as long as they stand there in ascending
    /// order, each at most once, with nothing but a comma between them: as browsers
    /// write it. Returns how many were taken with their comma, and what follows;
    /// nothing does if the last token was the end.
    #[inline(always)]
    pub(crate) fn take_sorted<'l>(
        &self,
        list: &'l [u8],
    ) -> (usize, Option<&'l [u8]>) {
        let (mut count, mut rest) = (0, list);
        for name in &self.names {
            match name.take_from(rest) {
                After::End => return (count, None),
                After::Comma(next) => (count, rest) = (count + 1, next),
                After::Other => {}
            }
        }
        (count, Some(rest))
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
                .any(|name| *name.bytes == *token)
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
    fn takes_names_of_all_lengths_off_a_list() {
        let names: Vec<String> = (1..30)
            .map(|len| "abcdefghijklmnopqrstuvwxyzabcd"[..len].to_string())
            .collect();
        let set = TokenSet::new(&names);
        let taken = |list: &str| {
            let (count, rest) = set.take_sorted(list.as_bytes());
            (count, rest.map(|rest| str::from_utf8(rest).unwrap().to_string()))
        };
        let all = names.join(",");
        assert_eq!(taken(&all), (28, None));
        assert_eq!(taken(""), (0, Some(String::new())));
        for name in &names {
            assert_eq!(taken(name), (0, None), "{name}");
            let rest = |text: &str| Some(text.to_string());
            assert_eq!(taken(&format!("{name},")), (1, rest("")));
            assert_eq!(taken(&format!("{name},-")), (1, rest("-")));
            assert_eq!(taken(&format!("{name},{name}")), (1, rest(name)));
            for end in [" ", ".", "-,"] {
                let list = format!("{name}{end}");
                assert_eq!(taken(&list), (0, rest(&list)), "{list}");
            }
            for at in 0..name.len() {
                let mut other = name.clone().into_bytes();
                other[at] = b'.';
                let other = String::from_utf8(other).unwrap();
                assert_eq!(taken(&other), (0, rest(&other)));
                let list = format!("{other},x");
                assert_eq!(taken(&list), (0, rest(&list)));
            }
        }
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
