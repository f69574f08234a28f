//! The names that stand written out in an expression.

use std::collections::{HashMap, HashSet};

use super::{
    automaton::{Dfa, mark},
    grammar::{Place, Rules, Start},
    names,
};

/// The most names that an expression may write out.
pub(super) const MAX_NAMES: usize = 1000;

/// The most places in them.
pub(super) const MAX_NODES: usize = 20_000;

/// A set of hosts: names, read from the right, and all that is below them.
#[derive(Debug, Default)]
pub(super) struct Cover {
    nodes: Vec<Node>,
    children: HashMap<(u32, u8), u32>,
    names: HashSet<Vec<u8>>,
    /// Names of which the list of public suffixes has names further down, so
    /// that what is below them is not covered as a whole.
    shared: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Node {
    /// Whether the host that ends here is covered.
    host: bool,
    /// Whether all hosts below it are.
    below: bool,
}

/// The place of a host in a cover.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum At {
    /// What was read is the right end of something covered.
    Node(u32),
    /// Nothing that ends so is covered.
    Off,
}

impl Cover {
    /// A cover of nothing.
    pub(super) fn none() -> Cover {
        Cover { nodes: vec![Node::default()], ..Cover::default() }
    }

    /// The hosts of the user's own machine, except for IPv4 addresses.
    pub(super) fn local() -> Cover {
        let mut cover = Cover::none();
        for (host, below) in [("localhost", true), ("[::1]", false)] {
            let mut at = 0;
            for byte in host.bytes().rev() {
                at = cover.child(at, byte);
            }
            if let Some(node) = cover.nodes.get_mut(at as usize) {
                *node = Node { host: true, below };
            }
        }
        cover
    }

    /// The names that stand written out in an expression, which `dfa` reads
    /// from the right, with its [marked](mark) bytes. `None` if there are too
    /// many of them.
    pub(super) fn written(
        dfa: &Dfa,
        rules: Rules,
        starts: &[Start],
    ) -> Option<Cover> {
        let mut cover = Cover::none();
        let mut states: Vec<_> = starts
            .iter()
            .flat_map(|start| [Some(start.state), dfa.step(start.state, b'.')])
            .flatten()
            .collect();
        states.sort_unstable();
        states.dedup();
        let mut queue = vec![(0, Place::Start, states, Vec::new())];
        while let Some((at, place, states, text)) = queue.pop() {
            let goes_on = |byte| {
                states.iter().any(|&state| dfa.step(state, byte).is_some())
            };
            let is_host = rules.is_end(place) && goes_on(b'/');
            let is_label = matches!(rules.step(place, b'.'), Some(Place::Dot));
            let has_below = is_label && goes_on(b'.');
            let mut closed = false;
            if is_host || has_below {
                let host: Vec<u8> = text.iter().rev().copied().collect();
                let below =
                    rules.web && is_label && cover.owns_all_below(&host);
                if is_host || below {
                    let name = names::name(&host, rules.web).to_vec();
                    cover.names.insert(name);
                    if cover.names.len() > MAX_NAMES {
                        return None;
                    }
                    let node = cover.nodes.get_mut(at as usize)?;
                    *node = Node { host: true, below };
                }
                closed = below;
            }
            for byte in 0..0x80 {
                if closed && byte == b'.' {
                    continue;
                }
                let Some(place) = rules.step(place, byte) else { continue };
                let mut next: Vec<_> = states
                    .iter()
                    .filter_map(|&state| dfa.step(state, mark(byte)))
                    .collect();
                if next.is_empty() || place == Place::EndDot {
                    continue;
                }
                next.sort_unstable();
                next.dedup();
                let child = cover.child(at, byte);
                if cover.nodes.len() > MAX_NODES {
                    return None;
                }
                queue.push((child, place, next, [&text[..], &[byte]].concat()));
            }
        }
        Some(cover)
    }

    /// Whether all hosts below this one lie under the same name.
    fn owns_all_below(&mut self, host: &[u8]) -> bool {
        if host == b"localhost" {
            return true;
        }
        let suffix = names::suffix(host);
        let longer = host.len() > suffix.len;
        if longer && suffix.more {
            self.names.insert(names::name(host, true).to_vec());
            self.shared.push(host.to_vec());
        }
        longer && !suffix.more
    }

    fn child(&mut self, at: u32, byte: u8) -> u32 {
        let next = self.nodes.len() as u32;
        let child = *self.children.entry((at, byte)).or_insert(next);
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// The place after one more byte; `None` if all that follows is covered.
    pub(super) fn step(&self, at: At, byte: u8) -> Option<At> {
        let At::Node(at) = at else { return Some(At::Off) };
        let below = self.nodes.get(at as usize).is_some_and(|n| n.below);
        if below && byte == b'.' {
            return None;
        }
        let child = self.children.get(&(at, byte));
        Some(child.map_or(At::Off, |&child| At::Node(child)))
    }

    /// Whether the host that ends here is covered.
    pub(super) fn is_end(&self, at: At) -> bool {
        match at {
            At::Node(at) => self.nodes.get(at as usize).is_some_and(|n| n.host),
            At::Off => false,
        }
    }

    /// Whether a host is covered.
    pub(super) fn covers(&self, host: &[u8]) -> bool {
        let host = host.strip_suffix(b".").unwrap_or(host);
        let mut at = At::Node(0);
        for &byte in host.iter().rev() {
            match self.step(at, byte) {
                Some(next) => at = next,
                None => return true,
            }
        }
        self.is_end(at)
    }

    /// Whether this name stands written out.
    pub(super) fn has_name(&self, name: &[u8]) -> bool {
        self.names.contains(name)
    }

    /// How many places it has.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Names that have names of others below them.
    pub(super) fn shared(&self) -> &[Vec<u8>] {
        &self.shared
    }
}
