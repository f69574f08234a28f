//! The grammar of valid hosts and ports, read from the right.

use std::collections::{HashSet, VecDeque};

use regex_automata::util::primitives::StateID;

use super::automaton::Dfa;

const MAX_LABEL: u8 = 63;

/// Which hosts are valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether the scheme is http or https, whose hosts are names or addresses;
    /// under any other scheme they are opaque.
    pub(super) web: bool,
    /// Whether the length of labels counts. Without it there are fewer places to
    /// tell apart, and more hosts are taken for valid.
    pub(super) exact: bool,
}

/// What was read of a host, from its right end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Place {
    /// Nothing.
    Start,
    /// The dot at the end.
    EndDot,
    /// Some of the last label, under the rules of http and https.
    Last { form: Form, len: u8, dotted: bool },
    /// Some of a label.
    Label { len: u8 },
    /// The dot between two labels.
    Dot,
    /// Some of an octet of an IPv4 address; the rightmost is 1.
    Octet { at: u8, octet: Octet },
    /// Some of an IPv6 address.
    Ipv6(Ipv6),
    /// All of an IPv6 address.
    Bracket,
    /// Some of an opaque host, under any scheme but http and https.
    Opaque,
}

/// What the last label may still become.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Form {
    /// All digits.
    Octet(Octet),
    /// Digits and letters up to `f`.
    Hex,
    /// An `x`, and `Hex` or nothing behind it.
    X,
    /// `0x`, and `Hex` or nothing behind it.
    Numeric,
    /// A name.
    Name,
}

/// Digits read from the right.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Octet {
    digits: u8,
    zero: bool,
    /// Whether these digits are more than as many of 255.
    over: bool,
    /// Whether these digits are not those of 127.
    other: bool,
}

impl Octet {
    fn push(self, digit: u8) -> Octet {
        let (limit, loopback) = match self.digits {
            0 => (b'5', b'7'),
            1 => (b'5', b'2'),
            2 => (b'2', b'1'),
            // Too long; no more is known of it.
            _ => return Octet { digits: 4, ..Octet::default() },
        };
        Octet {
            digits: self.digits + 1,
            zero: digit == b'0',
            over: digit > limit || digit == limit && self.over,
            other: self.other || digit != loopback,
        }
    }

    fn is_valid(self) -> bool {
        match self.digits {
            1 => true,
            2 => !self.zero,
            3 => !self.zero && !self.over,
            _ => false,
        }
    }
}

/// Pieces read from the right.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Ipv6 {
    /// The digits of the piece that is being read.
    digits: u8,
    /// Whether the last digit read is zero.
    zero: bool,
    /// Whether a colon was read last.
    colon: bool,
    /// How many pieces were read.
    pieces: u8,
    /// How many zero pieces were read just before.
    run: u8,
    /// The most zero pieces in a row, left and right of the gap.
    left: u8,
    right: u8,
    /// Whether there is a gap, that is two colons.
    gap: bool,
    /// Whether the gap was read last, but for the piece being read.
    at_gap: bool,
}

impl Ipv6 {
    /// Ends the piece that is being read.
    fn end_piece(mut self) -> Option<Ipv6> {
        let zero = self.digits == 1 && self.zero;
        if self.digits == 0
            || self.zero && !zero
            || zero && self.at_gap
            || self.pieces == 8
        {
            return None;
        }
        self.pieces += 1;
        self.run = if zero { self.run + 1 } else { 0 };
        match self.gap {
            true => self.left = self.left.max(self.run),
            false => self.right = self.right.max(self.run),
        }
        self.digits = 0;
        self.zero = false;
        self.at_gap = false;
        Some(self)
    }

    fn step(mut self, byte: u8) -> Option<Place> {
        match byte {
            b'0'..=b'9' | b'a'..=b'f' if self.digits < 4 => {
                if self.colon && self.pieces == 0 && !self.gap {
                    return None;
                }
                self.digits += 1;
                self.zero = byte == b'0';
                self.colon = false;
            }
            b':' if self.colon => {
                if self.gap || self.run > 0 {
                    return None;
                }
                self.colon = false;
                self.gap = true;
                self.at_gap = true;
            }
            b':' => {
                if self.digits > 0 {
                    self = self.end_piece()?;
                } else if self.pieces > 0 || self.gap {
                    return None;
                }
                self.colon = true;
            }
            b'[' if !self.colon => {
                if self.digits > 0 {
                    self = self.end_piece()?;
                }
                let valid = match self.gap {
                    true => {
                        let gap = 8_u8.saturating_sub(self.pieces);
                        gap >= 2 && self.right <= gap && self.left < gap
                    }
                    false => self.pieces == 8 && self.right < 2,
                };
                return valid.then_some(Place::Bracket);
            }
            _ => return None,
        }
        Some(Place::Ipv6(self))
    }
}

impl Rules {
    /// The place after one more byte, if a valid host may have it there.
    pub(super) fn step(self, place: Place, byte: u8) -> Option<Place> {
        let label = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if !self.web {
            return (label || byte == b'.').then_some(Place::Opaque);
        }
        match place {
            Place::Start if byte == b'.' => Some(Place::EndDot),
            Place::Start if byte == b']' => Some(Place::Ipv6(Ipv6::default())),
            Place::Start | Place::EndDot if label => {
                let form = match byte {
                    b'0'..=b'9' => Form::Octet(Octet::default().push(byte)),
                    b'a'..=b'f' => Form::Hex,
                    b'x' => Form::X,
                    _ => Form::Name,
                };
                let dotted = place == Place::EndDot;
                Some(Place::Last { form, len: 1, dotted })
            }
            Place::Last { form, len, dotted } if label => {
                let form = match (form, byte) {
                    (Form::Octet(octet), b'0'..=b'9') => {
                        Form::Octet(octet.push(byte))
                    }
                    (Form::Octet(_) | Form::Hex, b'0'..=b'9' | b'a'..=b'f') => {
                        Form::Hex
                    }
                    (Form::Octet(_) | Form::Hex, b'x') => Form::X,
                    (Form::X, b'0') => Form::Numeric,
                    _ => Form::Name,
                };
                let len = self.longer(len)?;
                Some(Place::Last { form, len, dotted })
            }
            Place::Last { form, dotted, .. } if byte == b'.' => match form {
                Form::Numeric => None,
                Form::Octet(octet) => {
                    let octet = octet.is_valid() && !dotted;
                    let next = Place::Octet { at: 2, octet: Octet::default() };
                    octet.then_some(next)
                }
                _ => Some(Place::Dot),
            },
            Place::Label { len } if label => {
                Some(Place::Label { len: self.longer(len)? })
            }
            Place::Dot if label => Some(Place::Label { len: 1 }),
            Place::Label { .. } if byte == b'.' => Some(Place::Dot),
            Place::Octet { at, octet } => match byte {
                b'0'..=b'9' if octet.digits < 3 => {
                    Some(Place::Octet { at, octet: octet.push(byte) })
                }
                b'.' if octet.is_valid() && at < 4 => {
                    Some(Place::Octet { at: at + 1, octet: Octet::default() })
                }
                _ => None,
            },
            Place::Ipv6(address) => address.step(byte),
            _ => None,
        }
    }

    /// The length of a label with one more byte.
    fn longer(self, len: u8) -> Option<u8> {
        match self.exact {
            true => (len < MAX_LABEL).then_some(len + 1),
            false => Some(len),
        }
    }

    /// Whether the host may begin here, so that all of it was read.
    pub(super) fn is_end(self, place: Place) -> bool {
        match place {
            Place::Start | Place::EndDot | Place::Dot | Place::Ipv6(_) => false,
            Place::Last { form, .. } => {
                !matches!(form, Form::Octet(_) | Form::Numeric)
            }
            Place::Label { .. } | Place::Bracket | Place::Opaque => true,
            Place::Octet { at, octet } => at == 4 && octet.is_valid(),
        }
    }
}

impl Place {
    /// Whether the host is an IPv4 address of the user's own machine.
    pub(super) fn is_loopback(self) -> bool {
        matches!(
            self,
            Place::Octet { at: 4, octet } if octet.digits == 3 && !octet.other
        )
    }

    /// Whether what follows depends on the byte's class alone, not on the byte.
    pub(super) fn is_plain(self) -> bool {
        matches!(
            self,
            Place::Label { .. }
                | Place::Dot
                | Place::Opaque
                | Place::Last { form: Form::Name, .. }
        )
    }
}

/// A state of the automaton before the host, and the port that leads there.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) state: StateID,
    /// The port with its colon, read from the right; empty if there is none.
    pub(super) port: Vec<u8>,
}

/// What was read of a port, from its right end.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
struct Port {
    digits: usize,
    zero: bool,
    /// Whether these digits are more than as many of 65535.
    over: bool,
    /// Whether these digits are not those of the default port.
    other: bool,
}

/// The states that valid ports lead to, and that of none.
pub(super) fn ports(dfa: &Dfa, default: &[u8]) -> Vec<Start> {
    let start = Start { state: dfa.start(), port: Vec::new() };
    let mut found = vec![start.clone()];
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([(start, Port::default())]);
    while let Some((at, port)) = queue.pop_front() {
        let valid = port.digits > 0
            && !port.zero
            && !(port.digits == 5 && port.over)
            && (port.other || port.digits != default.len());
        if let Some(state) = dfa.step(at.state, b':')
            && valid
            && found.iter().all(|other| other.state != state)
        {
            let port = [&at.port[..], b":"].concat();
            found.push(Start { state, port });
        }
        let Some(&limit) = b"53556".get(port.digits) else { continue };
        for digit in b'0'..=b'9' {
            let Some(state) = dfa.step(at.state, digit) else { continue };
            let known = default.iter().rev().nth(port.digits);
            let port = Port {
                digits: port.digits + 1,
                zero: digit == b'0',
                over: digit > limit || digit == limit && port.over,
                other: port.other || known != Some(&digit),
            };
            if seen.insert((state, port)) {
                let text = [&at.port[..], &[digit]].concat();
                queue.push_back((Start { state, port: text }, port));
            }
        }
    }
    found
}
