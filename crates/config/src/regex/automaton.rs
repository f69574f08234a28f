//! Expressions as automata.

use std::collections::HashMap;

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    nfa::thompson::{self, WhichCaptures},
    util::primitives::StateID,
};
use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, Hir, HirKind, Repetition,
};

/// The most bytes of an automaton.
const MAX_DFA: usize = 1 << 20;

/// The most bytes of one that reads from the right, which is not kept.
const MAX_REVERSE: usize = 1 << 22;

/// The most bytes of what automata are built from.
const MAX_NFA: usize = 1 << 18;
const MAX_DETERMINIZE: usize = 1 << 18;

/// An automaton that matches whole texts.
pub(super) struct Dfa {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Dfa {
    /// An automaton that reads from the left, or from the right.
    pub(super) fn new(hir: &Hir, reverse: bool) -> Option<Dfa> {
        let thompson = thompson::Config::new()
            .reverse(reverse)
            .utf8(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(MAX_NFA));
        let nfa = thompson::Compiler::new()
            .configure(thompson)
            .build_from_hir(hir)
            .ok()?;
        let config = dense::Config::new()
            .accelerate(false)
            .start_kind(StartKind::Anchored)
            // All that may match goes on, until the whole text is read.
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(if reverse { MAX_REVERSE } else { MAX_DFA }))
            .determinize_size_limit(Some(MAX_DETERMINIZE));
        let dfa = dense::Builder::new()
            .configure(config)
            .build_from_nfa(&nfa)
            .ok()?;
        let start = dfa.universal_start_state(Anchored::Yes)?;
        Some(Dfa { dfa, start })
    }

    pub(super) fn start(&self) -> StateID {
        self.start
    }

    /// The state after one more byte, unless nothing can match any more.
    #[inline]
    pub(super) fn step(&self, state: StateID, byte: u8) -> Option<StateID> {
        let next = self.dfa.next_state(state, byte);
        (!self.dfa.is_dead_state(next)).then_some(next)
    }

    /// Whether what was read matches.
    #[inline]
    pub(super) fn is_end(&self, state: StateID) -> bool {
        self.dfa.is_match_state(self.dfa.next_eoi_state(state))
    }

    /// The state after several bytes.
    #[inline]
    pub(super) fn walk(
        &self,
        state: StateID,
        bytes: impl IntoIterator<Item = u8>,
    ) -> Option<StateID> {
        bytes.into_iter().try_fold(state, |state, byte| self.step(state, byte))
    }

    /// Whether the whole of a text matches.
    #[inline]
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        self.walk(self.start, text.iter().copied())
            .is_some_and(|state| self.is_end(state))
    }

    /// Of these bytes, the first of each class that the automaton tells apart.
    pub(super) fn distinct(&self, bytes: &[u8]) -> Vec<u8> {
        let classes = self.dfa.byte_classes();
        let mut seen = Vec::new();
        let mut distinct = Vec::new();
        for &byte in bytes {
            let class = classes.get(byte);
            if !seen.contains(&class) {
                seen.push(class);
                distinct.push(byte);
            }
        }
        distinct
    }

    pub(super) fn memory_usage(&self) -> usize {
        self.dfa.memory_usage()
    }
}

/// The transitions of an automaton over the bytes of origins, laid out so that no
/// step can fail: this is what requests run.
pub(super) struct Table {
    /// For each byte its class plus one, or 0 if no origin has it.
    classes: [u8; 256],
    /// For each state a row with an entry for each class: the number of the next
    /// state plus one, or 0 if nothing can match any more.
    next: Box<[u32]>,
    /// How many classes there are.
    stride: usize,
    /// Whether what was read when a state is reached matches.
    ends: Box<[bool]>,
}

impl Table {
    pub(super) fn new(dfa: &Dfa) -> Table {
        let bytes: Vec<u8> = (0..=255).filter(|&b| is_origin_byte(b)).collect();
        let distinct = dfa.distinct(&bytes);
        let known = dfa.dfa.byte_classes();
        let mut classes = [0; 256];
        for &byte in &bytes {
            let same = |&other: &u8| known.get(other) == known.get(byte);
            let class = distinct.iter().position(same).map_or(0, |at| at + 1);
            if let Some(slot) = classes.get_mut(usize::from(byte)) {
                *slot = class as u8;
            }
        }
        let mut numbers = HashMap::from([(dfa.start(), 1)]);
        let mut states = vec![dfa.start()];
        let (mut next, mut ends) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(&state) = states.get(at) {
            at += 1;
            ends.push(dfa.is_end(state));
            for &byte in &distinct {
                let number = dfa.step(state, byte).map_or(0, |to| {
                    *numbers.entry(to).or_insert_with(|| {
                        states.push(to);
                        states.len() as u32
                    })
                });
                next.push(number);
            }
        }
        Table {
            classes,
            next: next.into_boxed_slice(),
            stride: distinct.len(),
            ends: ends.into_boxed_slice(),
        }
    }

    /// The class of a byte plus one, or 0 if no origin has it.
    #[inline]
    pub(super) fn class(&self, byte: u8) -> u8 {
        self.classes.get(usize::from(byte)).copied().unwrap_or(0)
    }

    /// The state after one more byte, unless nothing can match any more.
    #[inline]
    pub(super) fn step(&self, state: usize, byte: u8) -> Option<usize> {
        let class = usize::from(self.class(byte)).checked_sub(1)?;
        let next = self.next.get(state * self.stride + class).copied();
        (next.unwrap_or(0) as usize).checked_sub(1)
    }

    /// Whether what was read when a state is reached matches.
    #[inline]
    pub(super) fn is_end(&self, state: usize) -> bool {
        self.ends.get(state).copied().unwrap_or(false)
    }

    /// Whether the whole of an origin matches.
    pub(super) fn is_match(&self, origin: &[u8]) -> bool {
        let mut state = 0;
        for &byte in origin {
            match self.step(state, byte) {
                Some(next) => state = next,
                None => return false,
            }
        }
        self.is_end(state)
    }
}

/// Marks a byte that stands written out. No origin has such a byte.
pub(super) fn mark(byte: u8) -> u8 {
    byte | 0x80
}

/// Whether a byte may stand in an origin.
pub(super) fn is_origin_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')
        || matches!(byte, b'.' | b':' | b'/' | b'[' | b']' | b'+')
}

/// Reduces an expression to the bytes of origins, and lets each byte that stands
/// written out match its [marked](mark) form as well.
pub(super) fn marked(hir: &Hir, written: bool) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Hir::empty(),
        HirKind::Literal(literal) => {
            let bytes = literal.0.iter();
            Hir::concat(bytes.map(|&b| class(&[b], false, written)).collect())
        }
        HirKind::Class(set) => {
            let bytes = members(set);
            class(&bytes, is_dot(set), written)
        }
        HirKind::Repetition(repetition) => {
            let once = repetition.max.is_some_and(|max| max <= 1);
            let sub = marked(&repetition.sub, written && once);
            Hir::repetition(Repetition {
                sub: Box::new(sub),
                ..repetition.clone()
            })
        }
        HirKind::Capture(capture) => marked(&capture.sub, written),
        HirKind::Concat(parts) => {
            Hir::concat(parts.iter().map(|p| marked(p, written)).collect())
        }
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.iter().map(|p| marked(p, written)).collect())
        }
    }
}

/// The bytes of origins that a class has.
pub(super) fn members(set: &Class) -> Vec<u8> {
    let has = |byte: u8| match set {
        Class::Bytes(set) => {
            set.iter().any(|r| (r.start()..=r.end()).contains(&byte))
        }
        Class::Unicode(set) => {
            let byte = char::from(byte);
            set.iter().any(|r| (r.start()..=r.end()).contains(&byte))
        }
    };
    (0..0x80).filter(|&b| is_origin_byte(b) && has(b)).collect()
}

/// Whether a class is that of an unescaped dot.
pub(super) fn is_dot(set: &Class) -> bool {
    (0..0x80).filter(|&b| is_origin_byte(b)).count() == members(set).len()
}

fn class(bytes: &[u8], dot: bool, written: bool) -> Hir {
    let mut set = ClassBytes::empty();
    for &byte in bytes.iter().filter(|&&b| is_origin_byte(b)) {
        set.push(ClassBytesRange::new(byte, byte));
        // A dot that means any character is still a dot that stands there.
        if written && (bytes.len() == 1 || dot && byte == b'.') {
            set.push(ClassBytesRange::new(mark(byte), mark(byte)));
        }
    }
    match set.ranges().is_empty() {
        true => Hir::fail(),
        false => Hir::class(Class::Bytes(set)),
    }
}
