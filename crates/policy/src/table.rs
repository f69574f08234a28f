//! Hash tables of a fixed set of keys, for look-ups of bounded cost.
//!
//! The keys come from the policy, whose author is trusted; a request only asks.
//! So no secret is needed to bound a look-up: the longest run of occupied slots
//! is known when the table is built, and the table grows until it is short.

use alloc::{boxed::Box, vec, vec::Vec};

/// The longest run of slots that a look-up may have to visit.
const MAX_RUN: usize = 16;

/// Slots per key. A sparse table costs 24 bytes a key and has short runs.
const SPARSE: usize = 3;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The upper half of the key's hash.
    tag: u32,
    /// One more than what the key stands for; 0 is an empty slot.
    value: u32,
}

/// Maps hashes to numbers. Different keys may share a hash, so the caller compares
/// the key of each number that a look-up yields.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    slots: Box<[Slot]>,
}

impl Index {
    /// An index of `hashes`, the number of each being its position.
    pub(crate) fn new(hashes: &[u64]) -> Index {
        let mut len = (hashes.len() * SPARSE).next_power_of_two().max(1);
        // Runs that doubling does not shorten are keys of one hash, which no
        // size of table can part.
        let largest = len.saturating_mul(16);
        loop {
            let (slots, longest) = fill(hashes, len);
            if longest <= MAX_RUN || len >= largest {
                return Index { slots };
            }
            len *= 2;
        }
    }

    /// The numbers that may belong to `hash`, the lowest first.
    #[inline]
    pub(crate) fn candidates(&self, hash: u64) -> Candidates<'_> {
        let mask = self.slots.len().wrapping_sub(1);
        Candidates {
            slots: &self.slots,
            at: hash as usize & mask,
            mask,
            tag: (hash >> 32) as u32,
        }
    }
}

/// The slots for `hashes`, and the longest run among them.
fn fill(hashes: &[u64], len: usize) -> (Box<[Slot]>, usize) {
    let mask = len - 1;
    let mut slots = vec![Slot::default(); len];
    let mut longest = 0;
    for (number, hash) in hashes.iter().enumerate() {
        let mut at = *hash as usize & mask;
        let mut run = 1;
        while slots.get(at).is_some_and(|slot| slot.value != 0) {
            at = (at + 1) & mask;
            run += 1;
        }
        if let Some(slot) = slots.get_mut(at) {
            // The builders refuse a policy of more than u32::MAX keys.
            let value = number as u32 + 1;
            *slot = Slot { tag: (hash >> 32) as u32, value };
        }
        longest = longest.max(run);
    }
    (slots.into_boxed_slice(), longest)
}

pub(crate) struct Candidates<'t> {
    slots: &'t [Slot],
    at: usize,
    mask: usize,
    tag: u32,
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        // At least two thirds of the slots are empty, so this ends.
        loop {
            let slot = self.slots.get(self.at)?;
            if slot.value == 0 {
                return None;
            }
            self.at = (self.at + 1) & self.mask;
            if slot.tag == self.tag {
                return Some(slot.value as usize - 1);
            }
        }
    }
}

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xbf58_476d_1ce4_e5b9;
const K2: u64 = 0x94d0_49bb_1331_11eb;

/// Multiplies to 128 bits and folds the halves, so that every bit of either
/// factor reaches every bit of the result.
#[inline]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of a whole key, eight bytes at a time.
#[inline]
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut state = K0 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), K1);
    }
    // The last word may overlap the one before it; the length is in the state.
    let tail = match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0, |tail, &byte| tail << 8 | u64::from(byte)),
    };
    fold(fold(state ^ tail, K1), K2)
}

/// A hash that is fed byte by byte, for keys that are found while scanning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rolling(u64);

impl Rolling {
    pub(crate) const START: Rolling = Rolling(K0);

    #[inline]
    pub(crate) fn push(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    #[inline]
    pub(crate) fn finish(self) -> u64 {
        fold(self.0, K1)
    }
}

/// A set of byte strings, each standing for the number it was given.
#[derive(Clone, Debug)]
pub(crate) struct ByteMap {
    /// The key, if there is but one: it needs no hash.
    only: Option<Only>,
    index: Index,
    entries: Box<[Entry]>,
    /// All keys, each followed by a NUL.
    arena: Box<[u8]>,
    longest: usize,
}

#[derive(Clone, Debug)]
struct Only {
    number: u32,
    len: usize,
    with_nul: Box<[u8]>,
}

impl Only {
    #[inline(always)]
    fn key(&self) -> &[u8] {
        self.with_nul.get(..self.len).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    len: u32,
    number: u32,
}

impl ByteMap {
    /// A map of these keys. Of equal keys the first counts. `None` if they are
    /// too many, or too long, to be numbered with 32 bits.
    pub(crate) fn new<'k>(
        keys: impl Iterator<Item = (u32, &'k [u8])>,
    ) -> Option<ByteMap> {
        let mut all: Vec<(u64, Entry)> = Vec::new();
        let mut arena: Vec<u8> = Vec::new();
        let mut longest = 0;
        for (number, key) in keys {
            let start = u32::try_from(arena.len()).ok()?;
            let len = u32::try_from(key.len()).ok()?;
            longest = longest.max(key.len());
            all.push((hash(key), Entry { start, len, number }));
            arena.extend_from_slice(key);
            arena.push(0);
        }
        // Equal keys would lie in one run, which no table can shorten.
        let mut order: Vec<usize> = (0..all.len()).collect();
        let key = |entry: &Entry| slice(&arena, *entry);
        order.sort_by(|&a, &b| match (all.get(a), all.get(b)) {
            (Some((x, p)), Some((y, q))) => {
                x.cmp(y).then_with(|| key(p).cmp(key(q))).then(a.cmp(&b))
            }
            _ => a.cmp(&b),
        });
        order.dedup_by(|later, first| {
            match (all.get(*later), all.get(*first)) {
                (Some((x, p)), Some((y, q))) => x == y && key(p) == key(q),
                _ => false,
            }
        });
        order.sort_unstable();
        let kept: Vec<(u64, Entry)> =
            order.iter().filter_map(|&i| all.get(i).copied()).collect();
        let hashes: Vec<u64> = kept.iter().map(|(hash, _)| *hash).collect();
        let only = match &*kept {
            [(_, entry)] => {
                let end = (entry.start + entry.len) as usize + 1;
                let with_nul = arena.get(entry.start as usize..end);
                Some(Only {
                    number: entry.number,
                    len: entry.len as usize,
                    with_nul: with_nul.unwrap_or_default().into(),
                })
            }
            _ => None,
        };
        Some(ByteMap {
            only,
            index: Index::new(&hashes),
            entries: kept.iter().map(|(_, entry)| *entry).collect(),
            arena: arena.into_boxed_slice(),
            longest,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The key of this number; looks at all of them.
    pub(crate) fn key_of(&self, number: u32) -> Option<&[u8]> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.number == number)?;
        Some(slice(&self.arena, *entry))
    }

    /// [`ByteMap::get`] where that takes a handful of instructions: where there
    /// is but one key, of a usual length.
    #[inline(always)]
    pub(crate) fn get_at_once(&self, key: &[u8]) -> Option<(u32, &[u8])> {
        let only = self.only.as_ref()?;
        let own = only.key();
        equal_at_once(own, key).then_some((only.number, own))
    }

    /// The number of this key, and the map's own copy of it.
    #[inline(always)]
    pub(crate) fn get(&self, key: &[u8]) -> Option<(u32, &[u8])> {
        match &self.only {
            Some(only) => {
                let own = only.key();
                equal(own, key).then_some((only.number, own))
            }
            None => self.get_hashed(key),
        }
    }

    #[inline(never)]
    fn get_hashed(&self, key: &[u8]) -> Option<(u32, &[u8])> {
        if key.len() > self.longest {
            return None;
        }
        for candidate in self.index.candidates(hash(key)) {
            if let Some(entry) = self.entries.get(candidate) {
                let own = slice(&self.arena, *entry);
                if equal(own, key) {
                    return Some((entry.number, own));
                }
            }
        }
        None
    }
}

/// Whether two strings are equal. Calling `memcmp` costs more than comparing an
/// origin.
#[inline(always)]
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    match a.len() {
        8..=64 => equal_at_once(a, b),
        _ => a == b,
    }
}

/// Whether two strings of 8 to 64 bytes are equal; false for all others.
#[inline(always)]
fn equal_at_once(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && match a.len() {
            8..16 => ends_equal::<8>(a, b),
            16..32 => ends_equal::<16>(a, b),
            32..=64 => ends_equal::<32>(a, b),
            _ => false,
        }
}

/// Whether the first and the last bytes are equal; they may overlap.
#[inline(always)]
fn ends_equal<const N: usize>(a: &[u8], b: &[u8]) -> bool {
    a.first_chunk::<N>() == b.first_chunk::<N>()
        && a.last_chunk::<N>() == b.last_chunk::<N>()
}

#[inline]
fn slice(arena: &[u8], entry: Entry) -> &[u8] {
    let start = entry.start as usize;
    arena.get(start..start + entry.len as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    fn map(keys: &[String]) -> ByteMap {
        let keys = keys.iter().enumerate();
        ByteMap::new(keys.map(|(i, key)| (i as u32, key.as_bytes()))).unwrap()
    }

    #[test]
    fn finds_every_key_and_no_other() {
        for count in [0, 1, 2, 3, 10, 1000] {
            let keys: Vec<String> =
                (0..count).map(|i| format!("key-{i}")).collect();
            let map = map(&keys);
            for (i, key) in keys.iter().enumerate() {
                let found = map.get(key.as_bytes());
                assert_eq!(found, Some((i as u32, key.as_bytes())));
            }
            assert_eq!(map.get(b""), None);
            assert_eq!(map.get(b"key-"), None);
            assert_eq!(map.get(format!("key-{count}").as_bytes()), None);
        }
    }

    #[test]
    fn the_first_of_equal_keys_counts() {
        let keys = ["a", "b", "a", "b", "c"].map(String::from);
        let map = map(&keys);
        assert_eq!(map.get(b"a").unwrap().0, 0);
        assert_eq!(map.get(b"b").unwrap().0, 1);
        assert_eq!(map.get(b"c").unwrap().0, 4);
    }

    #[test]
    fn runs_stay_short() {
        for family in ["https://shop-", "https://a.b.c.", ""] {
            let keys: Vec<String> = (0..20_000)
                .map(|i| format!("{family}{i:05}.example.org"))
                .collect();
            let map = map(&keys);
            let hashes: Vec<u64> =
                keys.iter().map(|key| hash(key.as_bytes())).collect();
            let (_, longest) = fill(&hashes, map.index.slots.len());
            assert!(longest <= MAX_RUN, "{family}: {longest}");
        }
    }
}
