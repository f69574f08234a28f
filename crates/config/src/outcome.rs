//! From the bytes of a document to policies, or to what is wrong with them.

use std::{
    borrow::Cow, collections::HashMap, fs::File, io::Read, path::Path,
    sync::Arc,
};

use libcors_policy::Policy;

use crate::{
    codes,
    diagnostic::{Diagnostics, Report, Sink},
    document::{self, BuildFn},
    json,
    settings::PolicySpec,
    source::{Position, Span, positions, quote},
    toml,
};

/// The most bytes of a document: 256 MiB.
pub const MAX_LEN: usize = 256 << 20;

/// The format of a document.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Format {
    /// JSON if the first character that is not white space is `{`, else TOML. A
    /// byte-order mark is skipped.
    #[default]
    Auto,
    /// TOML 1.1.
    Toml,
    /// JSON, as RFC 8259 has it.
    Json,
}

/// What became of a document.
#[derive(Debug)]
pub struct Outcome<P = Policies> {
    /// The policies; `None` if, and only if, there is an error.
    pub policies: Option<P>,
    /// All problems, errors and warnings.
    pub diagnostics: Diagnostics,
    /// Whether the file could not be read at all.
    pub unreadable: bool,
}

/// Opens what a configuration of a server holds in place of a file: the text of a
/// policy file, or `file:` and the path of one. White space around it is ignored, and
/// so are the quotes of a JSON string. Returns the name of the source as well: that of
/// the file, or `source`.
pub fn open_compiled(
    text: &[u8],
    source: &str,
) -> (String, Outcome<Vec<CompiledPolicy>>) {
    let inner = json::unquote(text);
    let text = inner.as_deref().map_or(text, str::as_bytes);
    let path = str::from_utf8(text)
        .ok()
        .and_then(|text| text.trim().strip_prefix("file:"))
        .map(str::trim);
    match path {
        Some(path) => {
            let outcome = load_compiled(Path::new(path), None, Format::Auto);
            (path.to_owned(), outcome)
        }
        None => (source.to_owned(), compile(text, source, Format::Auto)),
    }
}

/// The policies of a document, in its order.
#[derive(Debug)]
pub struct Policies {
    list: Vec<NamedPolicy>,
    index: HashMap<Arc<str>, usize>,
}

impl Policies {
    pub(crate) fn new(list: Vec<NamedPolicy>) -> Policies {
        let index = list
            .iter()
            .enumerate()
            .map(|(at, policy)| (policy.name.clone(), at))
            .collect();
        Policies { list, index }
    }

    /// How many there are; at least one.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none, which never happens.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The policy of this name, by hash.
    pub fn get(&self, name: &str) -> Option<&NamedPolicy> {
        self.index.get(name).and_then(|&at| self.list.get(at))
    }

    /// The policy at this place of the document, from 0.
    pub fn nth(&self, index: usize) -> Option<&NamedPolicy> {
        self.list.get(index)
    }

    /// All policies, in the order of the document.
    pub fn iter(&self) -> std::slice::Iter<'_, NamedPolicy> {
        self.list.iter()
    }
}

impl IntoIterator for Policies {
    type Item = NamedPolicy;
    type IntoIter = std::vec::IntoIter<NamedPolicy>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'p> IntoIterator for &'p Policies {
    type Item = &'p NamedPolicy;
    type IntoIter = std::slice::Iter<'p, NamedPolicy>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A policy, and where the file has it.
#[derive(Debug)]
#[non_exhaustive]
pub struct CompiledPolicy {
    /// The name.
    pub name: String,
    /// The policy.
    pub policy: Policy,
    /// The line of the name, from 1.
    pub line: u32,
    /// The column of the name in Unicode scalar values, from 1.
    pub column: u32,
}

/// A policy of a document.
#[derive(Debug)]
pub struct NamedPolicy {
    name: Arc<str>,
    policy: Policy,
    spec: PolicySpec,
}

impl NamedPolicy {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What decides on requests.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the document says, with the defaults filled in.
    pub fn spec(&self) -> &PolicySpec {
        &self.spec
    }
}

/// Loads a file; see [`parse`]. Without a name for the source its path stands
/// for it. A file that cannot be read is an error of its own code.
pub fn load(path: &Path, source: Option<&str>, format: Format) -> Outcome {
    load_with(path, source, format, parse)
}

/// Loads a file, and yields what [`compile`] does.
pub fn load_compiled(
    path: &Path,
    source: Option<&str>,
    format: Format,
) -> Outcome<Vec<CompiledPolicy>> {
    load_with(path, source, format, compile)
}

fn load_with<P>(
    path: &Path,
    source: Option<&str>,
    format: Format,
    parse: fn(&[u8], &str, Format) -> Outcome<P>,
) -> Outcome<P> {
    let name = path.to_string_lossy();
    let source = source.unwrap_or(&name);
    match read(path) {
        Ok(text) => parse(&text, source, format),
        Err(error) => {
            let mut sink = Sink::default();
            sink.add(&codes::UNREADABLE, Span::START, || {
                let message =
                    format!("{} cannot be read: {error}", quote(&name));
                Report::new(String::new(), message)
            });
            let diagnostics = sink.finish(source, b"");
            Outcome { policies: None, diagnostics, unreadable: true }
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    // One byte more than is allowed, so that parse() sees that it is too much.
    let limit = MAX_LEN as u64 + 1;
    let mut text = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

/// Parses and checks a document, and compiles its policies. Diagnostics call the
/// document by the name `source`.
///
/// Never panics, whatever the text.
pub fn parse(text: &[u8], source: &str, format: Format) -> Outcome {
    let outcome = run(text, source, format, |name, policy, spec, resolved| {
        let allow_origins = resolved.origins();
        let spec = PolicySpec { allow_origins, ..spec };
        NamedPolicy { name: name.into(), policy, spec }
    });
    Outcome {
        policies: outcome.policies.map(Policies::new),
        diagnostics: outcome.diagnostics,
        unreadable: false,
    }
}

/// Does what [`parse`] does, and yields the policies with their names and nothing
/// else. Where there are a million origins that saves time and memory.
pub fn compile(
    text: &[u8],
    source: &str,
    format: Format,
) -> Outcome<Vec<CompiledPolicy>> {
    let outcome = run(text, source, format, |name, policy, _, resolved| {
        let offset = resolved.policy.span.start;
        (name.to_owned(), policy, offset)
    });
    let policies = outcome.policies.map(|list| {
        // In the order of the file, so that their places ascend.
        let offsets: Vec<u32> = list.iter().map(|(_, _, at)| *at).collect();
        let places = positions(text, &offsets);
        let place = |(policy, Position { line, column })| {
            let (name, policy, _) = policy;
            CompiledPolicy { name, policy, line, column }
        };
        list.into_iter().zip(places).map(place).collect()
    });
    let Outcome { diagnostics, unreadable, .. } = outcome;
    Outcome { policies, diagnostics, unreadable }
}

fn run<P>(
    text: &[u8],
    source: &str,
    format: Format,
    build: BuildFn<P>,
) -> Outcome<Vec<P>> {
    let mut sink = Sink::default();
    let policies = check(text, format, &mut sink, build);
    let policies = policies.filter(|_| !sink.has_errors());
    let diagnostics = sink.finish(source, text);
    Outcome { policies, diagnostics, unreadable: false }
}

fn check<P>(
    text: &[u8],
    format: Format,
    sink: &mut Sink,
    build: BuildFn<P>,
) -> Option<Vec<P>> {
    if text.len() > MAX_LEN {
        sink.add(&codes::TOO_LARGE, Span::START, || {
            let message =
                format!("the document has more than {MAX_LEN} bytes (256 MiB)");
            Report::new(String::new(), message)
        });
        return None;
    }
    let text = decode(text, sink)?;
    let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let json = match format {
        Format::Auto => body.trim_start().starts_with('{'),
        Format::Toml => false,
        Format::Json => true,
    };
    let root = match json {
        true => json::parse(body, text.len() - body.len(), sink),
        false => toml::parse(&text, sink),
    };
    document::check(root, &text, sink, build)
}

/// The text of a document. What is not UTF-8 is reported, and replaced byte by
/// byte with what may stand in comments, strings, keys and hosts alike, so that
/// the rest can be checked.
fn decode<'t>(text: &'t [u8], sink: &mut Sink) -> Option<Cow<'t, str>> {
    let error = match std::str::from_utf8(text) {
        Ok(text) => return Some(Cow::Borrowed(text)),
        Err(error) => error,
    };
    let at = error.valid_up_to();
    let utf16 =
        text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]);
    let byte = text.get(at).copied().unwrap_or_default();
    sink.add(&codes::ENCODING, Span::new(at, at + 1), || {
        let message = match utf16 {
            true => "the document is UTF-16, not UTF-8".to_owned(),
            false => format!(
                "the document is not UTF-8: the byte {byte:02X} stands here"
            ),
        };
        Report::new(String::new(), message)
            .hint(Some("save the document as UTF-8"))
    });
    if utf16 {
        return None;
    }
    let mut mended = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        mended.push_str(chunk.valid());
        mended.extend(chunk.invalid().iter().map(|_| '_'));
    }
    Some(Cow::Owned(mended))
}
