//! Many expressions as one automaton, which is walked once for all of them.

use std::{collections::HashMap, fmt, sync::Arc};

use libcors_policy::ExpressionSet;

use super::{
    Compiled,
    automaton::{Table, is_origin_byte},
};

/// The most transitions of one automaton: 1 MiB. Expressions that together need more
/// are divided among several.
const MAX_TRANSITIONS: usize = 1 << 18;

/// Expressions, each of which is found by its place among them.
pub(crate) struct Union {
    /// In the order of the expressions, some for each.
    groups: Box<[Group]>,
}

/// The transitions of some expressions together, laid out as those of one are.
struct Group {
    /// For each byte its class plus one, or 0 if no origin has it.
    classes: [u8; 256],
    /// For each state a row with an entry for each class: the number of the next
    /// state plus one, or 0 if nothing can match any more.
    next: Box<[u32]>,
    stride: usize,
    /// For each state the place of the first expression that matches what was read,
    /// plus one; 0 if none does.
    first: Box<[u32]>,
}

/// The states of the expressions that can still match: the place of each, and its
/// state.
type Alive = Vec<(u32, u32)>;

/// One automaton for several expressions, or a few; `None` for fewer than two.
pub(crate) fn union(expressions: &[Arc<Compiled>]) -> Option<Union> {
    if expressions.len() < 2 {
        return None;
    }
    let tables: Vec<&Table> =
        expressions.iter().map(|compiled| &compiled.matcher.table).collect();
    let mut groups = Vec::new();
    let mut start = 0;
    let mut len = tables.len();
    while start < tables.len() {
        len = len.min(tables.len() - start);
        let some = tables.get(start..start + len).unwrap_or_default();
        match Group::new(some, start) {
            Some(group) => {
                groups.push(group);
                start += len;
            }
            // One alone is within the limit of its own.
            None if len == 1 => return None,
            None => len = len.div_ceil(2),
        }
    }
    Some(Union { groups: groups.into_boxed_slice() })
}

impl Group {
    /// `None` if there are too many transitions. `first` is the place of the first
    /// expression.
    fn new(tables: &[&Table], first: usize) -> Option<Group> {
        let limit = match tables {
            [_] => usize::MAX,
            _ => MAX_TRANSITIONS,
        };
        let (classes, distinct) = byte_classes(tables);
        let start: Alive = (0..tables.len() as u32).map(|at| (at, 0)).collect();
        let mut numbers = HashMap::from([(start.clone(), 1_u32)]);
        let mut states = vec![start];
        let (mut next, mut found) = (Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(alive) = states.get(at).cloned() {
            at += 1;
            let table = |place: u32| tables.get(place as usize);
            let matching = alive.iter().find(|(place, state)| {
                table(*place).is_some_and(|t| t.is_end(*state as usize))
            });
            found.push(
                matching.map_or(0, |(place, _)| first as u32 + place + 1),
            );
            for &byte in &distinct {
                let to: Alive = alive
                    .iter()
                    .filter_map(|&(place, state)| {
                        let to = table(place)?.step(state as usize, byte)?;
                        Some((place, to as u32))
                    })
                    .collect();
                if to.is_empty() {
                    next.push(0);
                    continue;
                }
                let number = match numbers.get(&to) {
                    Some(number) => *number,
                    None => {
                        states.push(to.clone());
                        let number = states.len() as u32;
                        numbers.insert(to, number);
                        number
                    }
                };
                next.push(number);
            }
            if states.len() * distinct.len() > limit {
                return None;
            }
        }
        Some(Group {
            classes,
            next: next.into_boxed_slice(),
            stride: distinct.len(),
            first: found.into_boxed_slice(),
        })
    }

    /// The place of the first expression that matches the whole of an origin.
    #[inline]
    fn find(&self, origin: &[u8]) -> Option<usize> {
        let mut state = 0;
        for &byte in origin {
            let class = self.classes.get(usize::from(byte)).copied();
            let class = usize::from(class.unwrap_or(0)).checked_sub(1)?;
            let next = self.next.get(state * self.stride + class).copied();
            state = (next.unwrap_or(0) as usize).checked_sub(1)?;
        }
        let first = self.first.get(state).copied().unwrap_or(0);
        (first as usize).checked_sub(1)
    }
}

/// For each byte its class plus one, where bytes that no table tells apart are of one
/// class, and a byte of each class.
fn byte_classes(tables: &[&Table]) -> ([u8; 256], Vec<u8>) {
    let mut classes = [0; 256];
    let mut distinct: Vec<u8> = Vec::new();
    for byte in (0..=255).filter(|&b| is_origin_byte(b)) {
        let same = |other: &u8| {
            tables.iter().all(|table| table.class(*other) == table.class(byte))
        };
        let class = distinct.iter().position(same).unwrap_or_else(|| {
            distinct.push(byte);
            distinct.len() - 1
        });
        if let Some(slot) = classes.get_mut(usize::from(byte)) {
            *slot = class as u8 + 1;
        }
    }
    (classes, distinct)
}

impl ExpressionSet for Union {
    fn find(&self, origin: &[u8]) -> Option<usize> {
        self.groups.iter().find_map(|group| group.find(origin))
    }
}

impl fmt::Debug for Union {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Union")
            .field("groups", &self.groups.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use libcors_policy::Expression;

    use super::*;
    use crate::regex::{Budget, compile};

    fn compiled(patterns: &[String]) -> Vec<Arc<Compiled>> {
        let mut budget = Budget::default();
        patterns
            .iter()
            .map(|pattern| Arc::new(compile(pattern, &mut budget).unwrap()))
            .collect()
    }

    #[test]
    fn finds_the_first_expression_that_matches() {
        let patterns: Vec<String> = (0..60)
            .map(|i| match i % 4 {
                0 => format!(r"https://[a-z]+\.t{}\.example", i % 20),
                1 => format!(r"https?://(a|b{{1,3}})[0-9]*\.u{i}\.example"),
                2 => format!(r"app://x{}.*", i % 7),
                _ => format!(r"https://[a-z0-9]+\.t{}\.example:\d+", i % 20),
            })
            .collect();
        let expressions = compiled(&patterns);
        let union = union(&expressions).unwrap();
        let mut found = 0;
        for i in 0..20 {
            for origin in [
                format!("https://shop.t{i}.example"),
                format!("https://shop.t{i}.example:81"),
                format!("https://9.t{i}.example"),
                format!("http://bbb7.u{i}.example"),
                format!("http://bbbb.u{i}.example"),
                format!("app://x{i}y"),
                format!("app://y{i}"),
                String::new(),
            ] {
                let origin = origin.as_bytes();
                let expected =
                    expressions.iter().position(|e| e.is_match(origin));
                assert_eq!(union.find(origin), expected);
                found += usize::from(expected.is_some());
            }
        }
        assert!(found > 20);
    }

    #[test]
    fn what_is_too_large_together_is_divided() {
        // Which of the last bytes was which, for each expression by itself.
        let patterns: Vec<String> = "abcdefghij"
            .chars()
            .map(|c| format!(r"https://[a-z]*{c}[a-z]{{6}}\.example\.com"))
            .collect();
        let expressions = compiled(&patterns);
        let union = union(&expressions).unwrap();
        assert!(union.groups.len() > 1, "{union:?}");
        for group in &union.groups {
            assert!(group.next.len() <= 2 * MAX_TRANSITIONS);
        }
        for (at, c) in "abcdefghij".chars().enumerate() {
            let origin = format!("https://zz{c}zzzzzz.example.com");
            assert_eq!(union.find(origin.as_bytes()), Some(at));
        }
        assert_eq!(union.find(b"https://zzzzzzzzz.example.com"), None);
    }
}
