//! The loader of the suite: cases as data, one file per topic, in `tests/suite`.
//!
//! A file opens with a comment that says what its topic is, then holds a document of policies as a
//! user would write it (`[defaults]`, `[policy.NAME]`), then `[[case]]` tables:
//!
//! | key | meaning | absent |
//! | --- | --- | --- |
//! | `name` | `a-z`, `0-9` and `-`; unique over the suite | an error |
//! | `why` | what is tricky | |
//! | `policy` | a policy of this file | no policy at all |
//! | `request` | the method, then lines `Name: value`; `:scheme: https` and `:protocol: websocket` are lines too | an error |
//! | `kind`, `outcome`, `reason` | as the contract names them | an error |
//! | `rule` | the entry of `allow_origins` that matched | none |
//! | `status` | what to answer with | the application answers |
//! | `enforced` | whether the decision is acted upon | true |
//! | `headers` | exactly the lines to set, in order | none |
//! | `vary` | the decision's own names | none |
//! | `remove` | the application's headers to remove | [`OWNED`]; none if not enforced |
//! | `browser` | the credentials modes (`omit`, `include`) in which a browser goes on | none |
//!
//! Strings of a request or of a header value are bytes: U+0080 to U+00FF stand for one byte each,
//! and `{repeat:TEXT:COUNT}` in a value for a text as often as it says. One space behind the colon
//! of a line belongs to neither side; what follows is the value, white space and all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use once_cell::sync::Lazy;
use serde::Deserialize;
use toml::{Table, Value};

use crate::naive::{self, Answer, OWNED, OWNED_TIMING, Request};

/// A header line, name and value.
pub type Line = (Vec<u8>, Vec<u8>);

/// All files of the suite.
#[derive(Clone, Debug)]
pub struct Suite {
    /// In the order of their names.
    pub files: Vec<File>,
}

/// One file of the suite.
#[derive(Clone, Debug)]
pub struct File {
    /// The file's name without its ending.
    pub name: String,
    /// The defaults and policies alone, for a host to parse.
    pub document: String,
    /// The same policies with the defaults filled in, by name.
    pub policies: BTreeMap<String, Table>,
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// One case: a policy, a request and the exact answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name without its ending.
    pub file: String,
    /// Unique over the suite.
    pub name: String,
    /// What is tricky about it.
    pub why: Option<String>,
    /// The policy's name; without one there is no policy.
    pub policy: Option<String>,
    /// The request's method.
    pub method: Vec<u8>,
    /// The request's lines as written; names with a colon in front are pseudo headers.
    pub lines: Vec<Line>,
    /// The same request, as the engine sees it.
    pub request: Request,
    /// The answer.
    pub answer: Answer,
    /// The credentials modes in which a browser lets the page through.
    pub browser: Vec<&'static str>,
}

impl Case {
    /// Whether HTTP can carry the request so that servers take it as it is: no byte that ends a
    /// line, no white space at the ends of a value.
    pub fn is_clean(&self) -> bool {
        let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        let clean = |value: &[u8]| {
            !space(value.first())
                && !space(value.last())
                && !value
                    .iter()
                    .any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f)
        };
        crate::browser::is_token(&self.method)
            && self.lines.iter().all(|(_, value)| clean(value))
    }

    /// The value of a pseudo header, `:scheme` or `:protocol`.
    pub fn pseudo(&self, name: &str) -> Option<&[u8]> {
        let line = self.lines.iter().find(|line| line.0 == name.as_bytes());
        line.map(|(_, value)| value.as_slice())
    }

    /// The lines without pseudo headers.
    pub fn plain_lines(&self) -> Vec<Line> {
        let plain = |line: &&Line| !line.0.starts_with(b":");
        self.lines.iter().filter(plain).cloned().collect()
    }

    /// Whether a client can put the request on an HTTP/1.1 connection so that servers take it as
    /// it is: [clean](Case::is_clean), without `:protocol`, and no more than servers read.
    /// `:scheme` is no line either, but says which server to ask.
    pub fn fits_the_wire(&self) -> bool {
        let total: usize =
            self.lines.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.is_clean()
            && self.pseudo(":protocol").is_none()
            && total <= 7000
            && self.lines.len() <= 32
    }
}

/// The suite of this workspace.
pub static SUITE: Lazy<Suite> = Lazy::new(|| match load(&folder()) {
    Ok(suite) => suite,
    Err(problem) => panic!("the suite cannot be loaded: {problem}"),
});

/// Where the suite of this workspace lies.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/suite")
}

impl Suite {
    /// Every case with the file it stands in.
    pub fn cases(&self) -> impl Iterator<Item = (&File, &Case)> {
        self.files
            .iter()
            .flat_map(|file| file.cases.iter().map(move |case| (file, case)))
    }
}

/// Loads every `.toml` file of a folder.
pub fn load(folder: &Path) -> Result<Suite, String> {
    let says = |path: &Path, problem: &dyn std::fmt::Display| {
        format!("{}: {problem}", path.display())
    };
    let mut paths = Vec::new();
    for item in fs::read_dir(folder).map_err(|e| says(folder, &e))? {
        let path = item.map_err(|e| says(folder, &e))?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|e| says(&path, &e))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let file = parse(&stem, &text).map_err(|e| says(&path, &e))?;
        for case in &file.cases {
            if !names.insert(case.name.clone()) {
                return Err(says(
                    &path,
                    &format!("a second case {:?}", case.name),
                ));
            }
        }
        files.push(file);
    }
    Ok(Suite { files })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    defaults: Option<Table>,
    policy: Table,
    case: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: String,
    why: Option<String>,
    policy: Option<String>,
    request: Vec<String>,
    kind: String,
    outcome: String,
    reason: String,
    rule: Option<u32>,
    status: Option<u16>,
    #[serde(default = "yes")]
    enforced: bool,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    vary: Vec<String>,
    remove: Option<Vec<String>>,
    #[serde(default)]
    browser: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Parses one file.
pub fn parse(name: &str, text: &str) -> Result<File, String> {
    let raw: RawFile = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut document = Table::new();
    if let Some(defaults) = raw.defaults {
        document.insert("defaults".to_owned(), Value::Table(defaults));
    }
    document.insert("policy".to_owned(), Value::Table(raw.policy.clone()));
    let mut policies = BTreeMap::new();
    for policy in raw.policy.keys() {
        let table = naive::effective(&document, policy)
            .ok_or_else(|| format!("policy {policy:?} is no table"))?;
        policies.insert(policy.clone(), table);
    }
    let mut unused: BTreeSet<String> = policies.keys().cloned().collect();
    let mut cases = Vec::new();
    for case in raw.case {
        let title = case.name.clone();
        if let Some(policy) = &case.policy {
            if !policies.contains_key(policy) {
                return Err(format!("case {title:?}: no policy {policy:?}"));
            }
            unused.remove(policy);
        }
        cases.push(
            build(name, case).map_err(|e| format!("case {title:?}: {e}"))?,
        );
    }
    if let Some(policy) = unused.first() {
        return Err(format!("no case uses the policy {policy:?}"));
    }
    Ok(File {
        name: name.to_owned(),
        document: toml::to_string(&document).map_err(|e| e.to_string())?,
        policies,
        cases,
    })
}

fn build(file: &str, raw: RawCase) -> Result<Case, String> {
    let good_name =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if raw.name.is_empty() || !raw.name.chars().all(good_name) {
        return Err("a name is made of a-z, 0-9 and -".to_owned());
    }
    let (method, lines) =
        raw.request.split_first().ok_or("an empty request")?;
    let method = bytes(method)?;
    let lines = lines.iter().map(|l| line(l)).collect::<Result<Vec<_>, _>>()?;
    let mut headers = Vec::new();
    for header in &raw.headers {
        let (name, value) = line(header)?;
        headers.push((String::from_utf8_lossy(&name).into_owned(), value));
    }
    let remove = match raw.remove {
        Some(names) => words(&names, &[&OWNED[..], &[OWNED_TIMING]].concat())?,
        None if raw.enforced => OWNED.to_vec(),
        None => Vec::new(),
    };
    let answer = Answer {
        kind: word(&raw.kind, &["none", "preflight", "websocket", "actual"])?,
        outcome: word(&raw.outcome, &["allow", "deny", "none"])?,
        reason: word(&raw.reason, &REASONS)?,
        rule: raw.rule,
        status: raw.status,
        enforced: raw.enforced,
        headers,
        vary: words(&raw.vary, &VARY)?,
        remove,
    };
    Ok(Case {
        file: file.to_owned(),
        name: raw.name,
        why: raw.why,
        policy: raw.policy,
        request: Request::new(&method, &lines),
        method,
        lines,
        answer,
        browser: words(&raw.browser, &["omit", "include"])?,
    })
}

/// The reasons that a decision can have.
pub const REASONS: [&str; 12] = [
    "allowed",
    "not_cors",
    "same_origin",
    "origin_malformed",
    "origin_not_allowed",
    "null_origin_not_allowed",
    "method_malformed",
    "method_not_allowed",
    "headers_malformed",
    "header_not_allowed",
    "headers_too_large",
    "no_policy",
];

const VARY: [&str; 3] = [
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
];

fn word(text: &str, known: &[&'static str]) -> Result<&'static str, String> {
    known
        .iter()
        .find(|word| **word == text)
        .copied()
        .ok_or_else(|| format!("{text:?} is none of {known:?}"))
}

fn words(
    texts: &[String],
    known: &[&'static str],
) -> Result<Vec<&'static str>, String> {
    texts.iter().map(|text| word(text, known)).collect()
}

/// `Name: value`; one space behind the colon belongs to neither.
fn line(text: &str) -> Result<Line, String> {
    let colon = text
        .char_indices()
        .skip(1)
        .find(|(_, c)| *c == ':')
        .map(|(index, _)| index)
        .ok_or_else(|| format!("{text:?} has no colon"))?;
    let value = &text[colon + 1..];
    let value = value.strip_prefix(' ').unwrap_or(value);
    Ok((bytes(&text[..colon])?, bytes(&expand(value)?)?))
}

fn expand(text: &str) -> Result<String, String> {
    const MARK: &str = "{repeat:";
    let mut rest = text;
    let mut whole = String::new();
    while let Some(start) = rest.find(MARK) {
        whole.push_str(&rest[..start]);
        let inner = &rest[start + MARK.len()..];
        let wrong =
            || format!("{text:?}: a repetition is {{repeat:TEXT:COUNT}}");
        let end = inner.find('}').ok_or_else(wrong)?;
        let (unit, count) = inner[..end].rsplit_once(':').ok_or_else(wrong)?;
        let count: usize = count.parse().map_err(|_| wrong())?;
        whole.push_str(&unit.repeat(count));
        rest = &inner[end + 1..];
    }
    whole.push_str(rest);
    Ok(whole)
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    text.chars()
        .map(|c| {
            u8::try_from(u32::from(c)).map_err(|_| format!("{c:?} is no byte"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "[policy.p]\nallow_origins = ['https://a.example']\n";

    fn case(body: &str) -> Result<Case, String> {
        let text = format!(
            "{POLICY}[[case]]\nname = 'n'\npolicy = 'p'\nkind = 'none'\noutcome = 'none'\n\
             reason = 'not_cors'\n{body}"
        );
        parse("f", &text).map(|file| file.cases[0].clone())
    }

    #[test]
    fn bytes_and_repetitions() {
        let case = case(
            "request = ['GET', 'Origin:  \u{e9}{repeat:ab:3}', ':scheme: https']",
        );
        let case = case.unwrap();
        assert_eq!(case.request.origin, [b" \xe9ababab".to_vec()]);
        assert_eq!(case.request.scheme.as_deref(), Some(b"https".as_slice()));
        assert_eq!(case.answer.remove, OWNED);
    }

    #[test]
    fn what_is_refused() {
        for (body, part) in [
            ("request = ['GET', 'Origin: \u{100}']", "no byte"),
            ("request = ['GET', 'Origin']", "no colon"),
            ("request = []", "empty"),
            ("request = ['GET', 'Origin: {repeat:a}']", "repetition"),
            ("request = ['GET']\nextra = 1", "extra"),
            ("request = ['GET']\nvary = ['Accept']", "Accept"),
            ("request = ['GET']\nbrowser = ['same-origin']", "same-origin"),
        ] {
            let problem = case(body).unwrap_err();
            assert!(problem.contains(part), "{body}: {problem}");
        }
        let unused = format!(
            "{POLICY}[policy.q]\nallow_origins = []\n[[case]]\nname = 'n'\n"
        );
        assert!(parse("f", &unused).is_err());
    }

    #[test]
    fn the_document_has_no_cases() {
        let text = format!(
            "[defaults]\nmax_age = 5\n{POLICY}[[case]]\nname = 'n'\npolicy = 'p'\nrequest = ['GET']\n\
             kind = 'none'\noutcome = 'none'\nreason = 'not_cors'\n"
        );
        let file = parse("f", &text).unwrap();
        let document: Table = toml::from_str(&file.document).unwrap();
        assert_eq!(document.keys().collect::<Vec<_>>(), ["defaults", "policy"]);
        assert_eq!(file.policies["p"]["max_age"].as_integer(), Some(5));
    }
}
