//! Texts that an expression may admit, such as a person would think of.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::automaton::{is_dot, members};

/// The most texts for a part of an expression.
const MAX_PART: usize = 40;

/// The most texts for all of it.
const MAX_ALL: usize = 1000;

const MAX_LEN: usize = 400;

/// The most parts that are put together.
const MAX_PARTS: usize = 64;

/// What may stand for a part that repeats, the most telling first.
const FRAGMENTS: [&str; 17] = [
    "evil",
    ".evil.net",
    "evil.net",
    "evil.",
    "evil-",
    "-evil",
    "https://evil",
    "https://evil.net",
    "https://evil.",
    "https://",
    "https",
    "evil://evil",
    "http://",
    "x",
    "1",
    "8080",
    ":8080",
];

/// Texts that the expression matches, the plainest first. Not all of them need be
/// origins.
pub(super) fn examples(hir: &Hir) -> Vec<String> {
    let parts = match hir.kind() {
        HirKind::Concat(parts) => &parts[..],
        _ => std::slice::from_ref(hir),
    };
    let parts: Vec<_> = parts.iter().map(texts).collect();
    combine(&parts, MAX_ALL)
}

fn texts(hir: &Hir) -> Vec<String> {
    let mut texts = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => {
            let bytes = literal.0.iter();
            vec![bytes.map(|&b| char::from(b)).collect()]
        }
        HirKind::Class(set) => letters(set),
        HirKind::Repetition(repetition) => {
            let (min, max) = (repetition.min, repetition.max);
            let mut texts = match class(&repetition.sub) {
                Some(set) => runs(set, min, max),
                None => repeated(&repetition.sub, min),
            };
            if min == 0 {
                texts.insert(texts.len().min(MAX_PART / 2), String::new());
            }
            texts
        }
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Concat(parts) => {
            let parts: Vec<_> = parts.iter().map(texts).collect();
            combine(&parts, MAX_PART)
        }
        HirKind::Alternation(parts) => {
            let parts: Vec<_> = parts.iter().map(texts).collect();
            (0..MAX_PART)
                .flat_map(|i| parts.iter().filter_map(move |p| p.get(i)))
                .take(MAX_PART)
                .cloned()
                .collect()
        }
    };
    texts.retain(|text| text.len() <= MAX_LEN);
    texts.truncate(MAX_PART);
    texts
}

/// The class that a part consists of.
fn class(hir: &Hir) -> Option<&Class> {
    match hir.kind() {
        HirKind::Class(set) => Some(set),
        HirKind::Capture(capture) => class(&capture.sub),
        _ => None,
    }
}

/// A few members of a class; a dot is first of all a dot.
fn letters(set: &Class) -> Vec<String> {
    let members = members(set);
    let mut letters: Vec<u8> = Vec::new();
    if is_dot(set) {
        letters.push(b'.');
    }
    let preferred = b"xea1-.:/".iter().filter(|b| members.contains(b));
    for &byte in preferred.chain(&members) {
        if !letters.contains(&byte) {
            letters.push(byte);
        }
    }
    letters.truncate(6);
    let mut letters: Vec<String> =
        letters.into_iter().map(|b| char::from(b).to_string()).collect();
    if letters.is_empty() {
        letters.extend(any(set).map(|c| c.to_string()));
    }
    letters
}

/// Any ASCII character of a class that has none of an origin.
fn any(set: &Class) -> Option<char> {
    let first = match set {
        Class::Bytes(set) => set.ranges().first().map(|r| r.start().into()),
        Class::Unicode(set) => set.ranges().first().map(|r| r.start()),
    };
    first.filter(char::is_ascii)
}

/// Runs of a class's members.
fn runs(set: &Class, min: u32, max: Option<u32>) -> Vec<String> {
    let members = members(set);
    let fits = |text: &&str| {
        text.len() >= min as usize
            && max.is_none_or(|max| text.len() <= max as usize)
            && text.bytes().all(|b| members.contains(&b))
    };
    let mut runs: Vec<String> =
        FRAGMENTS.into_iter().filter(fits).map(str::to_owned).collect();
    let fill = b"xeb1-.".iter().find(|b| members.contains(b));
    let fill = fill.or(members.first()).copied();
    let len = max.map_or(4, |max| max.min(4)).max(min).min(MAX_LEN as u32);
    if len > 0
        && let Some(fill) = fill.map_or_else(|| any(set), |b| Some(b.into()))
    {
        let word = "evil".chars().cycle().take(len as usize);
        let has =
            |c: &char| u8::try_from(*c).is_ok_and(|b| members.contains(&b));
        runs.push(word.map(|c| if has(&c) { c } else { fill }).collect());
    }
    runs
}

/// A group, as often as it must be there.
fn repeated(sub: &Hir, min: u32) -> Vec<String> {
    let times = min.clamp(1, MAX_LEN as u32) as usize;
    let texts = texts(sub);
    texts
        .into_iter()
        .filter(|text| text.len() * times <= MAX_LEN)
        .map(|text| text.repeat(times))
        .collect()
}

/// The parts one after the other: each as plain as can be, then one of them
/// different, then two.
fn combine(parts: &[Vec<String>], limit: usize) -> Vec<String> {
    let plain = parts.iter().map(|part| part.first().map_or(0, String::len));
    let none = parts.iter().any(Vec::is_empty);
    if none || parts.len() > MAX_PARTS || plain.sum::<usize>() > MAX_LEN {
        return Vec::new();
    }
    let none = (usize::MAX, 0);
    let others = |i: usize| {
        let len = parts.get(i).map_or(0, Vec::len);
        (1..len).map(move |at| (i, at))
    };
    let all = 0..parts.len();
    let one = all.clone().flat_map(others).map(|one| (one, none));
    let two = all.clone().flat_map(|i| {
        let rest = i + 1..parts.len();
        others(i).flat_map(move |one| {
            rest.clone().flat_map(others).map(move |two| (one, two))
        })
    });
    let choices = std::iter::once((none, none)).chain(one).chain(two);
    let text = |(one, two): ((usize, usize), (usize, usize))| {
        let chosen = parts.iter().enumerate().filter_map(|(i, part)| {
            let at = match i {
                i if i == one.0 => one.1,
                i if i == two.0 => two.1,
                _ => 0,
            };
            part.get(at).map(String::as_str)
        });
        chosen.collect::<String>()
    };
    let texts = choices.take(limit).map(text);
    texts.filter(|text| text.len() <= MAX_LEN).collect()
}
