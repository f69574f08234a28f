//! The search for an origin that an expression should not admit.

use std::{cell::Cell, collections::HashSet};

use regex_automata::util::primitives::StateID;

use super::{
    TooComplex,
    automaton::Dfa,
    cover::{At, Cover},
    grammar::{Place, Rules, Start},
};

/// The most states that the searches for one expression may visit.
const MAX_STATES: usize = 1 << 16;

const MAX_HOST: u16 = 253;

/// The bytes of names, the most telling first.
const NAME_BYTES: &[u8] = b"evilaxnotbcdfghjkmpqrsuwyz0123456789-_";

const OTHER_BYTES: &[u8] = b".:[]";

/// A host that was found, and the port behind it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Host and port.
    pub(super) text: String,
    /// The state of the automaton before the host.
    pub(super) state: StateID,
}

struct Visit {
    state: StateID,
    at: At,
    place: Place,
    from: usize,
    byte: u8,
    len: u16,
}

/// Searches for a shortest host that is valid, not covered, and wanted: `wanted`
/// is asked with the state of the automaton before the host, and the place there.
/// `work` counts the states that were visited.
pub(super) fn search(
    dfa: &Dfa,
    rules: Rules,
    starts: &[Start],
    cover: &Cover,
    work: &Cell<usize>,
    wanted: &mut dyn FnMut(StateID, Place) -> bool,
) -> Result<Option<Found>, TooComplex> {
    let all = [NAME_BYTES, OTHER_BYTES].concat();
    let plain = [&dfa.distinct(NAME_BYTES)[..], OTHER_BYTES].concat();
    // Only whether a digit is zero matters to an IPv6 address.
    let hex = [b"0:[", &dfa.distinct(b"1ea23456789bcdf")[..]].concat();
    let mut seen = HashSet::new();
    let mut visits = Vec::new();
    for (i, start) in starts.iter().enumerate() {
        let (at, place) = (At::Node(0), Place::Start);
        if seen.insert((start.state, at, place)) {
            let state = start.state;
            visits.push(Visit { state, at, place, from: i, byte: 0, len: 0 });
        }
    }
    let mut next = 0;
    while let Some(&Visit { state, at, place, len, .. }) = visits.get(next) {
        work.set(work.get() + 1);
        if work.get() > MAX_STATES {
            return Err(TooComplex);
        }
        if rules.is_end(place) && !cover.is_end(at) && wanted(state, place) {
            return Ok(Some(Found {
                text: text(&visits, next, starts),
                state,
            }));
        }
        let bytes = match place {
            Place::Ipv6(_) if at == At::Off => &hex,
            _ if at == At::Off && place.is_plain() => &plain,
            _ => &all,
        };
        for &byte in bytes {
            let Some(state) = dfa.step(state, byte) else { continue };
            let Some(place) = rules.step(place, byte) else { continue };
            let at = match place {
                Place::EndDot => Some(at),
                _ => cover.step(at, byte),
            };
            let Some(at) = at else { continue };
            let new = !rules.exact || len < MAX_HOST;
            if new && seen.insert((state, at, place)) {
                let len = len.saturating_add(1);
                visits.push(Visit { state, at, place, from: next, byte, len });
            }
        }
        next += 1;
    }
    Ok(None)
}

/// The host of a visit, and its port.
fn text(visits: &[Visit], mut at: usize, starts: &[Start]) -> String {
    let mut text = String::new();
    while let Some(visit) = visits.get(at) {
        at = visit.from;
        if visit.len == 0 {
            let port = starts.get(at).map(|start| &start.port[..]);
            let port = port.unwrap_or_default();
            text.extend(port.iter().rev().map(|&b| char::from(b)));
            break;
        }
        text.push(char::from(visit.byte));
    }
    text
}
