//! The names that hosts lie under.

use crate::suffix::{has, has_rule};

/// In the form of the rules of the module `suffix`, the names of two labels or more that are no public suffixes
/// themselves, but have rules for names below them; a test keeps them in step with
/// the list.
static PARENTS: &[u8] = include_bytes!("parents.bin");

/// What the list of public suffixes says about a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suffix {
    /// The bytes of the public suffix.
    pub(super) len: usize,
    /// Whether a rule of the list applies, so that anyone can get a name there.
    pub(super) known: bool,
    /// Whether the list has rules for names further down, if the name is no
    /// public suffix itself.
    pub(super) more: bool,
}

/// Looks up the public suffix of a name, which has no dot at its end.
pub(super) fn suffix(name: &[u8]) -> Suffix {
    let name = str::from_utf8(name).unwrap_or_default();
    let more = has(PARENTS, "", name);
    let mut rest = name;
    // The longest rule prevails, except for what is an exception to it.
    while let Some((_, parent)) = rest.split_once('.') {
        if has_rule("!", rest) {
            return Suffix { len: parent.len(), known: true, more };
        }
        if has_rule("", rest) || has_rule("*.", parent) {
            return Suffix { len: rest.len(), known: true, more };
        }
        rest = parent;
    }
    let known = has_rule("", rest) || has_rule("*.", rest);
    Suffix { len: rest.len(), known, more }
}

/// The name that a valid host lies under: whoever has it has the host.
///
/// For http and https it is the registrable domain, that is the public suffix
/// and one label more, or all of the host if it is no longer than its public
/// suffix, or is an address; `localhost` is one for all that is below. With other
/// schemes no one registers hosts, and each stands for itself.
pub(super) fn name(host: &[u8], web: bool) -> &[u8] {
    if !web {
        return host;
    }
    let host = host.strip_suffix(b".").unwrap_or(host);
    let last = host.rsplit(|&b| b == b'.').next().unwrap_or_default();
    if host.ends_with(b"]") || last.iter().all(u8::is_ascii_digit) {
        return host;
    }
    if last == b"localhost" {
        return last;
    }
    let above = host.len().saturating_sub(suffix(host).len + 1);
    let front = host.get(..above).unwrap_or_default();
    match front.iter().rposition(|&b| b == b'.') {
        Some(dot) => host.get(dot + 1..).unwrap_or(host),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeSet, HashSet},
        env, fs,
        path::{Path, PathBuf},
    };

    use psl::Psl;

    use super::*;

    /// The rules that the crate `psl` ships, in ASCII. Where the crate lies, a note
    /// says that the compiler has left beside this test.
    fn rules() -> Vec<String> {
        let test = env::current_exe().unwrap();
        let notes = fs::read_dir(test.parent().unwrap()).unwrap();
        let newest = notes
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with("psl-") && name.ends_with(".d")
            })
            .max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        let note = fs::read_to_string(newest.unwrap()).unwrap();
        let home = note
            .split_whitespace()
            .find_map(|word| word.strip_suffix("src/list.rs"));
        let list = PathBuf::from(home.unwrap()).join("data/rules.txt");
        let text = fs::read_to_string(list).unwrap();
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("//"));
        lines
            .map(|line| {
                let mut signs = ["*.", "!"].into_iter();
                let sign = signs.find(|s| line.starts_with(s));
                let (sign, name) = line.split_at(sign.map_or(0, str::len));
                format!("{sign}{}", idna::domain_to_ascii(name).unwrap())
            })
            .collect()
    }

    /// Run with `UPDATE_SUFFIXES=1` after an update of the crate `psl`.
    #[test]
    fn the_parents_are_those_of_the_crate() {
        let rules = rules();
        assert!(rules.len() > 9000);
        let known: HashSet<&str> = rules.iter().map(String::as_str).collect();
        let mut parents = BTreeSet::new();
        for rule in &rules {
            assert!(has_rule("", rule), "{rule}");
            let mut name = rule.trim_start_matches('!');
            while let Some((_, parent)) = name.split_once('.') {
                let Some((_, above)) = parent.split_once('.') else { break };
                let wild = format!("*.{above}");
                if !known.contains(parent) && !known.contains(&wild[..]) {
                    parents.insert(crate::suffix::hash(parent.bytes()));
                }
                name = parent;
            }
        }
        let table: Vec<u8> =
            parents.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        if env::var_os("UPDATE_SUFFIXES").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"));
            fs::write(path.join("src/regex/parents.bin"), &table).unwrap();
        }
        assert!(
            table == PARENTS,
            "src/regex/parents.bin is out of date; run the test with \
             UPDATE_SUFFIXES=1, and then again"
        );
    }

    #[test]
    fn suffixes_are_those_of_the_crate() {
        for rule in rules() {
            let base = rule.trim_start_matches(['*', '!', '.']);
            for front in ["", "a.", "b.a.", "c.b.a."] {
                let name = format!("{front}{base}");
                let expected = psl::List.suffix(name.as_bytes()).unwrap();
                let expected = expected.as_bytes().len();
                let found = suffix(name.as_bytes()).len;
                // The crate forgets a wildcard where a longer rule starts with
                // the same label.
                let longer = &name[name.len() - found..];
                let forgotten = found > expected
                    && longer
                        .split_once('.')
                        .is_some_and(|(_, parent)| has_rule("*.", parent));
                assert!(found == expected || forgotten, "{name}");
            }
        }
    }
}
