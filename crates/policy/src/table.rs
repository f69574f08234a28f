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
    /// An index of `count` hashes, each with its number, which is below
    /// `u32::MAX`. Keys are the same if `same` says so of their numbers; of
    /// those the first counts.
    pub(crate) fn new<K: Iterator<Item = (u64, u32)>>(
        count: usize,
        keys: impl Fn() -> K,
        same: impl Fn(u32, u32) -> bool,
    ) -> Index {
        let mut len = (count * SPARSE).next_power_of_two().max(1);
        // Runs that doubling does not shorten are keys of one hash, which no
        // size of table can part.
        let largest = len.saturating_mul(16);
        loop {
            let limit = if len < largest { MAX_RUN } else { usize::MAX };
            if let Some(slots) = fill(keys(), len, limit, &same) {
                return Index { slots };
            }
            len *= 2;
        }
    }

    /// The numbers that may belong to `hash`, the first first.
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

/// The slots for these keys; `None` if there is a run longer than `limit`.
fn fill(
    keys: impl Iterator<Item = (u64, u32)>,
    len: usize,
    limit: usize,
    same: impl Fn(u32, u32) -> bool,
) -> Option<Box<[Slot]>> {
    let mask = len - 1;
    let mut slots = vec![Slot::default(); len];
    'keys: for (hash, number) in keys {
        let new = Slot { tag: (hash >> 32) as u32, value: number + 1 };
        let mut at = hash as usize & mask;
        let mut run = 1;
        while let Some(slot) = slots.get(at).filter(|slot| slot.value != 0) {
            // Equal keys would lie in one run, which no table can shorten.
            if slot.tag == new.tag && same(slot.value - 1, number) {
                continue 'keys;
            }
            at = (at + 1) & mask;
            run += 1;
        }
        if run > limit {
            return None;
        }
        if let Some(slot) = slots.get_mut(at) {
            *slot = new;
        }
    }
    Some(slots.into_boxed_slice())
}

pub(crate) struct Candidates<'t> {
    slots: &'t [Slot],
    at: usize,
    mask: usize,
    tag: u32,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        // At least two thirds of the slots are empty, so this ends.
        loop {
            let slot = self.slots.get(self.at)?;
            if slot.value == 0 {
                return None;
            }
            self.at = (self.at + 1) & self.mask;
            if slot.tag == self.tag {
                return Some(slot.value - 1);
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
    /// Where the record of each key starts.
    index: Index,
    records: Records,
    longest: usize,
}

/// Keys one after the other, each a record of its number and length, the key
/// itself and a NUL: a look-up that knows the place reads from there alone. A record
/// that fits into a cache line lies in one, so that it is one miss at most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    starts: Vec<u32>,
    /// Whether something did not fit.
    overflow: bool,
}

/// The bytes of a record before its key.
const HEAD: usize = 6;

/// The bytes of a cache line.
const LINE: usize = 64;

impl Records {
    /// Adds a key. One that is longer than any origin, or beyond 4 GiB of keys,
    /// makes the set too large.
    pub(crate) fn push(&mut self, number: u32, key: &[u8]) {
        let len = HEAD + key.len() + 1;
        let left = LINE - self.bytes.len() % LINE;
        let skipped = if left < len && len <= LINE { left } else { 0 };
        let start = self.bytes.len() + skipped;
        let (Ok(_), Ok(start), Ok(key_len)) = (
            u32::try_from(start + len + LINE),
            u32::try_from(start),
            u16::try_from(key.len()),
        ) else {
            self.overflow = true;
            return;
        };
        self.bytes.resize(self.bytes.len() + skipped, 0);
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.bytes.extend_from_slice(&key_len.to_le_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.push(0);
        self.starts.push(start);
    }

    /// Moves all records so that they lie in cache lines as was planned.
    fn align(&mut self) {
        let len = self.bytes.len();
        self.starts.shrink_to_fit();
        self.bytes.shrink_to_fit();
        self.bytes.reserve_exact(LINE);
        let offset = self.bytes.as_ptr().align_offset(LINE);
        // Not to know is no harm.
        let Some(offset) = Some(offset).filter(|offset| *offset < LINE) else {
            return;
        };
        self.bytes.resize(len + offset, 0);
        self.bytes.copy_within(..len, offset);
        for start in &mut self.starts {
            *start += offset as u32;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The keys, in the order in which they were added.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(|(_, _, key)| key)
    }

    /// The number and the key of the record that starts here.
    #[inline]
    fn get(&self, start: u32) -> Option<(u32, &[u8])> {
        let record = self.bytes.get(start as usize..)?;
        let (&[a, b, c, d, low, high], rest) = record.split_first_chunk()?;
        let len = usize::from(u16::from_le_bytes([low, high]));
        Some((u32::from_le_bytes([a, b, c, d]), rest.get(..len)?))
    }

    /// All records, each with its start.
    fn iter(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        self.starts.iter().filter_map(|&start| {
            let (number, key) = self.get(start)?;
            Some((start, number, key))
        })
    }
}

#[derive(Clone, Debug)]
struct Only {
    number: u32,
    with_nul: Box<[u8]>,
}

impl Only {
    #[inline(always)]
    fn key(&self) -> &[u8] {
        match &*self.with_nul {
            [key @ .., _] => key,
            [] => &[],
        }
    }
}

impl ByteMap {
    /// A map of these keys. Of equal keys the first counts. `None` if they are
    /// too many, or too long.
    pub(crate) fn new(mut records: Records) -> Option<ByteMap> {
        if records.overflow {
            return None;
        }
        records.align();
        let (mut longest, mut only) = (0, None);
        for (_, number, key) in records.iter() {
            longest = longest.max(key.len());
            only.get_or_insert((number, key));
        }
        let only = only.filter(|(_, first)| {
            records.iter().all(|(_, _, key)| key == *first)
        });
        let only = only.map(|(number, key)| Only {
            number,
            with_nul: [key, &[0]].concat().into_boxed_slice(),
        });
        let keys = || records.iter().map(|(start, _, key)| (hash(key), start));
        let key = |start| records.get(start).map(|(_, key)| key);
        let index = Index::new(records.len(), keys, |a, b| key(a) == key(b));
        Some(ByteMap { only, index, records, longest })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.len() == 0
    }

    /// The key of this number; looks at all of them.
    pub(crate) fn key_of(&self, number: u32) -> Option<&[u8]> {
        let mut records = self.records.iter();
        records.find(|record| record.1 == number).map(|(_, _, key)| key)
    }

    /// All keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.records.keys()
    }

    /// Whether there is but one key.
    #[inline(always)]
    pub(crate) fn has_one(&self) -> bool {
        self.only.is_some()
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
        for start in self.index.candidates(hash(key)) {
            if let Some((number, own)) = self.records.get(start)
                && equal(own, key)
            {
                return Some((number, own));
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    fn map(keys: &[String]) -> ByteMap {
        let mut records = Records::default();
        for (number, key) in keys.iter().enumerate() {
            records.push(number as u32, key.as_bytes());
        }
        ByteMap::new(records).unwrap()
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
    fn a_record_lies_in_one_cache_line() {
        let keys: Vec<String> =
            (0..100).map(|i| "k".repeat(i % 60 + 1)).collect();
        let map = map(&keys);
        let base = map.records.bytes.as_ptr().addr();
        for (start, _, key) in map.records.iter() {
            let first = base + start as usize;
            let last = first + HEAD + key.len();
            if HEAD + key.len() < LINE {
                assert_eq!(first / LINE, last / LINE, "{key:?}");
            }
        }
    }

    #[test]
    fn runs_stay_short() {
        for family in ["https://shop-", "https://a.b.c.", ""] {
            let keys: Vec<String> = (0..20_000)
                .map(|i| format!("{family}{i:05}.example.org"))
                .collect();
            let map = map(&keys);
            let hashes =
                || (0..).zip(&keys).map(|(i, key)| (hash(key.as_bytes()), i));
            let len = map.index.slots.len();
            let filled =
                |limit| fill(hashes(), len, limit, |_, _| false).is_some();
            assert!(filled(MAX_RUN), "{family}");
            // Otherwise this test would pass whatever the table.
            assert!(!filled(1), "{family}");
        }
    }

    #[test]
    fn equal_keys_take_one_slot() {
        let keys = vec!["a"; 1000];
        let twice = ["a", "b"].repeat(500);
        for (keys, used) in [(keys, 1), (twice, 2)] {
            let keys: Vec<String> =
                keys.into_iter().map(String::from).collect();
            let slots = &map(&keys).index.slots;
            assert_eq!(slots.iter().filter(|s| s.value != 0).count(), used);
        }
    }

    #[test]
    fn what_is_too_long_is_too_large() {
        let mut records = Records::default();
        records.push(0, &[b'a'; 65_535]);
        assert!(ByteMap::new(records.clone()).is_some());
        records.push(1, &[b'a'; 65_536]);
        assert!(ByteMap::new(records).is_none());
    }
}
