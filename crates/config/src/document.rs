//! The tables of a document, and the policies that come out of them.

use libcors_policy::Policy;

use crate::{
    checks, codes,
    diagnostic::{Report, Sink},
    names::{self, SECTIONS},
    reader::TableKind,
    resolve::ResolvedPolicy,
    settings::{KEYS, PolicySpec, PolicyTable},
    source::{Span, excerpt, quote},
    tree::{Entry, Form, Kind, Table, Value},
};

/// The most entries that the lists of all policies may have together, those of
/// the defaults counted once for each policy that starts from them.
const MAX_ENTRIES: usize = 5_000_000;

/// Checks a document, and compiles its policies if there is no error.
pub(crate) fn check<P>(
    root: Value<'_>,
    text: &str,
    sink: &mut Sink,
    build: BuildFn<P>,
) -> Option<Vec<P>> {
    let Kind::Table(root_table) = root.kind else {
        if !matches!(root.kind, Kind::Broken) {
            let found = root.kind.name();
            sink.add(&codes::TYPE, root.span, || {
                let message =
                    format!("a policy file is an object, not {found}");
                Report::new(String::new(), message)
            });
        }
        return None;
    };
    let sections = Sections::read(&root_table, text, sink);
    // What was read holds no part of the tree, which may be large.
    drop(root_table);
    sections.compile(sink, build)
}

/// Makes something of a policy: its name, what decides, and what it says, of
/// which the origins are yet to be filled in.
pub(crate) type BuildFn<P> =
    fn(&str, Policy, PolicySpec, &ResolvedPolicy<'_>) -> P;

/// What the tables of a document say.
#[derive(Default)]
struct Sections<'t> {
    defaults: Option<PolicyTable<'t>>,
    policies: Vec<(String, PolicyTable<'t>)>,
}

impl<'t> Sections<'t> {
    fn read(root: &Table<'t>, text: &str, sink: &mut Sink) -> Sections<'t> {
        let mut sections = Sections::default();
        let mut missing = true;
        for entry in &root.entries {
            match &*entry.key {
                "policy" => {
                    missing = false;
                    sections.read_policies(entry, text, sink);
                }
                "defaults" => sections.read_defaults(entry, text, sink),
                key => {
                    unknown_section(entry, sink);
                    // Whoever wrote these meant to write a policy.
                    missing = missing
                        && !KEYS.contains(&key)
                        && names::suggest_section(key) != Some("policy");
                }
            }
        }
        if missing && !sink.has_errors() {
            no_policy(Span::START, sink);
        }
        sections
    }

    fn read_defaults(
        &mut self,
        entry: &Entry<'t>,
        text: &str,
        sink: &mut Sink,
    ) {
        let path = "defaults".to_owned();
        let Some(table) = table(entry, &path, sink) else { return };
        let (span, kind) = (entry.key_span, TableKind::Defaults);
        let table = PolicyTable::read(table, span, path, kind, text, sink);
        self.defaults.get_or_insert(table);
    }

    fn read_policies(
        &mut self,
        entry: &Entry<'t>,
        text: &str,
        sink: &mut Sink,
    ) {
        let Some(policies) = table(entry, "policy", sink) else { return };
        if policies.entries.is_empty() {
            no_policy(entry.key_span, sink);
        }
        let nameless = policies.entries.iter().any(|entry| {
            let table = matches!(entry.value.kind, Kind::Table(_));
            !table && KEYS.contains(&&*entry.key)
        });
        if nameless {
            sink.add(&codes::POLICY_NAME, entry.key_span, || {
                let message =
                    "`[policy]` has keys of a policy, but no policy name";
                Report::new("policy".to_owned(), message)
                    .hint(Some("write [policy.NAME]"))
            });
        }
        for entry in &policies.entries {
            let table_given = matches!(entry.value.kind, Kind::Table(_));
            if nameless && !table_given {
                continue;
            }
            match &entry.value.kind {
                Kind::Table(inner) if is_dotted_name(inner) => {
                    for inner in &inner.entries {
                        let name = format!("{}.{}", entry.key, inner.key);
                        unquoted_dot(&name, inner.key_span, sink);
                        self.read_policy(inner, name, text, sink);
                    }
                }
                _ => {
                    check_name(entry, sink);
                    let name = entry.key.to_string();
                    self.read_policy(entry, name, text, sink);
                }
            }
        }
    }

    fn read_policy(
        &mut self,
        entry: &Entry<'t>,
        name: String,
        text: &str,
        sink: &mut Sink,
    ) {
        let path = policy_path(&name);
        let Some(table) = table(entry, &path, sink) else { return };
        let (span, kind) = (entry.key_span, TableKind::Policy);
        let table = PolicyTable::read(table, span, path, kind, text, sink);
        self.policies.push((name, table));
    }

    /// Judges what only the defaults and a policy together say.
    fn compile<P>(self, sink: &mut Sink, build: BuildFn<P>) -> Option<Vec<P>> {
        let defaults = self.defaults.as_ref();
        let mut total = 0_usize;
        for (_, table) in &self.policies {
            let entries = ResolvedPolicy::new(table, defaults).entries();
            total = total.saturating_add(entries);
            if total > MAX_ENTRIES {
                sink.add(&codes::TOO_LARGE, table.span, || {
                    let message = format!(
                        "the policies up to this one have more than \
                         {MAX_ENTRIES} entries, those of the defaults counted \
                         for each of them"
                    );
                    Report::new(table.path.clone(), message)
                });
                return None;
            }
        }
        for (_, table) in &self.policies {
            checks::check(ResolvedPolicy::new(table, defaults), sink);
        }
        let mut list = Vec::with_capacity(self.policies.len());
        for (name, table) in &self.policies {
            if sink.has_errors() {
                return None;
            }
            let resolved = ResolvedPolicy::new(table, defaults);
            match resolved.compile() {
                Ok((policy, spec)) => {
                    list.push(build(name, policy, spec, &resolved));
                }
                // What the engine refuses was refused above, so this is about
                // sizes; and if it is not, a policy must not be used.
                Err(error) => {
                    sink.add(&codes::TOO_LARGE, table.span, || {
                        let message =
                            format!("the policy cannot be compiled: {error}");
                        Report::new(table.path.clone(), message)
                    });
                }
            }
        }
        (!list.is_empty()).then_some(list)
    }
}

/// Whether a table came to be because the name of a policy has a dot: through the
/// header of a table in it. That of an array of tables, such as
/// `[[policy.api.allow_origins]]`, is that of a list.
fn is_dotted_name(table: &Table<'_>) -> bool {
    let is_table =
        |entry: &Entry<'_>| matches!(entry.value.kind, Kind::Table(_));
    table.form == Form::Implicit && table.entries.iter().any(is_table)
}

/// The table that a key should hold.
fn table<'e, 't>(
    entry: &'e Entry<'t>,
    path: &str,
    sink: &mut Sink,
) -> Option<&'e Table<'t>> {
    match &entry.value.kind {
        Kind::Table(table) => Some(table),
        Kind::Broken => None,
        kind => {
            let found = kind.name();
            sink.add(&codes::TYPE, entry.value.span, || {
                let key = quote(&entry.key);
                let message = format!("{key} takes a table, not {found}");
                Report::new(path.to_owned(), message)
            });
            None
        }
    }
}

fn no_policy(span: Span, sink: &mut Sink) {
    sink.add(&codes::NO_POLICY, span, || {
        Report::new(String::new(), "the file has no policy")
            .hint(Some("add a table [policy.NAME]"))
    });
}

/// Reports a key beside `policy` and `defaults`.
fn unknown_section(entry: &Entry<'_>, sink: &mut Sink) {
    let key = &*entry.key;
    sink.add(&codes::UNKNOWN_KEY, entry.key_span, || {
        let message = format!("unknown key {}", quote(key));
        let section = names::suggest_section(key);
        let hint = match section.or_else(|| names::suggest_key(key)) {
            Some(meant) if section.is_some() => format!("write {meant}"),
            Some(meant) => format!("write {meant} in a table [policy.NAME]"),
            None => format!("the keys are {}", SECTIONS.join(" and ")),
        };
        Report::new(excerpt(key), message).hint(Some(hint))
    });
}

fn check_name(entry: &Entry<'_>, sink: &mut Sink) {
    let name = &*entry.key;
    if is_name(name) && name != "off" {
        return;
    }
    sink.add(&codes::POLICY_NAME, entry.key_span, || {
        let message = match name {
            "off" => "`off` is reserved and cannot name a policy".to_owned(),
            _ => format!(
                "invalid policy name {}, expected up to 64 letters, digits, \
                 `_`, `.` and `-`, starting with a letter or digit",
                quote(name)
            ),
        };
        Report::new(policy_path(name), message).hint(suggest_name(name))
    });
}

/// Reports a name with a dot, which TOML takes for two keys.
fn unquoted_dot(name: &str, span: Span, sink: &mut Sink) {
    sink.add(&codes::POLICY_NAME, span, || {
        let path = policy_path(name);
        let message = "a policy name with a dot requires quotes";
        let hint = format!("write [{path}]");
        Report::new(path, message).hint(Some(hint))
    });
}

/// Whether a policy may have this name, `off` aside.
fn is_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    name.len() <= 64
        && name.bytes().all(good)
        && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

fn suggest_name(name: &str) -> Option<String> {
    if name == "off" || name.len() > 256 {
        return None;
    }
    let mut suggested = String::new();
    for c in name.trim().chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-' => {
                suggested.push(c);
            }
            _ if suggested.ends_with('-') => {}
            _ => suggested.push('-'),
        }
    }
    let suggested = suggested.trim_start_matches(['_', '.', '-']);
    let suggested = suggested.trim_end_matches('-');
    let suggested = suggested.get(..64).unwrap_or(suggested);
    is_name(suggested).then(|| format!("write {}", key_form(suggested)))
}

/// The path of a policy, as TOML would write it.
fn policy_path(name: &str) -> String {
    format!("policy.{}", key_form(&excerpt(name)))
}

/// A key as TOML writes it: in quotes if it must be.
fn key_form(key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match !key.is_empty() && key.bytes().all(bare) {
        true => key.to_owned(),
        false => format!("\"{}\"", key.replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let long = "a".repeat(64);
        for name in ["a", "0", "api", "v1.api", "a_b-c.d", "A", &long] {
            assert!(is_name(name), "{name}");
        }
        let longer = "a".repeat(65);
        for name in ["", "_a", "-a", ".a", "a b", "a/b", "\u{fc}", &longer] {
            assert!(!is_name(name), "{name}");
        }
        assert_eq!(suggest_name("my api!").unwrap(), "write my-api");
        assert_eq!(suggest_name("_a"), Some("write a".to_owned()));
        assert_eq!(suggest_name(".v1.b"), Some("write \"v1.b\"".to_owned()));
        assert_eq!(suggest_name("!"), None);
    }
}
