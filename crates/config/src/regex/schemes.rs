//! The schemes that an expression admits.

use std::collections::{BTreeSet, HashMap, HashSet};

use regex_automata::util::primitives::StateID;

use super::{TooComplex, automaton::Dfa};

/// The most schemes that an expression may admit.
pub(super) const MAX_SCHEMES: usize = 64;

const MAX_LEN: usize = 64;

/// The most steps of the search for them.
const MAX_STEPS: usize = 1 << 16;

/// The bytes of schemes, the most telling first.
const BYTES: &[u8] = b"evilaxbcdfghjkmnopqrstuwyz0123456789+-.";

/// Whether a scheme may stand in front of a host, before which the automaton is in
/// this state.
pub(super) fn admits(dfa: &Dfa, state: StateID, scheme: &str) -> bool {
    let bytes = b"//:".iter().copied().chain(scheme.bytes().rev());
    dfa.walk(state, bytes).is_some_and(|state| dfa.is_end(state))
}

/// All schemes but http and https that may stand in front of hosts, before which
/// the automaton is in one of these states, unless there are too many: then some
/// of them.
pub(super) fn others(
    dfa: &Dfa,
    states: &HashSet<StateID>,
) -> Result<BTreeSet<String>, TooComplex> {
    let starts: BTreeSet<StateID> =
        states.iter().filter_map(|&state| dfa.walk(state, *b"//:")).collect();
    let left = distances(dfa, &starts);
    let mut found = BTreeSet::new();
    let mut steps = 0;
    for start in starts {
        // Every state that is pushed leads to a scheme.
        let mut queue = vec![(start, String::new())];
        while let Some((state, scheme)) = queue.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return Err(TooComplex);
            }
            for &byte in BYTES.iter().rev() {
                let Some(next) = dfa.step(state, byte) else { continue };
                let scheme = format!("{}{scheme}", char::from(byte));
                if byte.is_ascii_lowercase()
                    && dfa.is_end(next)
                    && !matches!(scheme.as_str(), "http" | "https")
                {
                    found.insert(scheme.clone());
                    if found.len() > MAX_SCHEMES {
                        return Ok(found);
                    }
                }
                let Some(&left) = left.get(&next) else { continue };
                if scheme.len() + left <= MAX_LEN {
                    queue.push((next, scheme));
                }
            }
        }
    }
    Ok(found)
}

/// How many bytes are left at least to complete a scheme.
fn distances(dfa: &Dfa, starts: &BTreeSet<StateID>) -> HashMap<StateID, usize> {
    let mut before: HashMap<StateID, Vec<StateID>> = HashMap::new();
    let mut distances = HashMap::new();
    let mut level = Vec::new();
    let mut seen: HashSet<StateID> = starts.iter().copied().collect();
    let mut queue: Vec<StateID> = starts.iter().copied().collect();
    while let Some(state) = queue.pop() {
        let mut last = false;
        for &byte in BYTES {
            let Some(next) = dfa.step(state, byte) else { continue };
            last |= byte.is_ascii_lowercase() && dfa.is_end(next);
            before.entry(next).or_default().push(state);
            if seen.insert(next) {
                queue.push(next);
            }
        }
        if last {
            distances.insert(state, 1);
            level.push(state);
        }
    }
    for distance in 2..=MAX_LEN {
        let mut next = Vec::new();
        for state in level {
            for &state in before.get(&state).into_iter().flatten() {
                distances.entry(state).or_insert_with(|| {
                    next.push(state);
                    distance
                });
            }
        }
        level = next;
    }
    distances
}
