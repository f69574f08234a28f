//! Problems as SARIF 2.1.0 (OASIS), which code scanners read.

use libcors_config::{Severity, codes};
use serde_json::{Value, json};

use crate::document::Document;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// One run over these documents.
pub(crate) fn log(documents: &[&Document], status: u8) -> Value {
    let rules: Vec<Value> =
        codes::all().iter().map(|code| rule(code)).collect();
    let results: Vec<Value> =
        documents.iter().flat_map(|document| results(document)).collect();
    let artifacts: Vec<Value> = documents
        .iter()
        .map(|d| json!({ "location": { "uri": uri(&d.name) } }))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "cors",
                    "version": env!("CARGO_PKG_VERSION"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                },
            },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": status != 2,
                "exitCode": status,
            }],
            "artifacts": artifacts,
            "results": results,
        }],
    })
}

fn rule(code: &codes::Code) -> Value {
    json!({
        "id": code.id,
        "shortDescription": { "text": code.title },
        "fullDescription": { "text": code.explanation },
        "help": { "text": code.explanation },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn level(severity: Severity) -> &'static str {
    severity.as_str()
}

fn results(document: &Document) -> Vec<Value> {
    let uri = uri(&document.name);
    let location = |line, column, offset, len| {
        let region = region(&document.text, line, column, offset, len);
        json!({ "artifactLocation": { "uri": uri }, "region": region })
    };
    document
        .outcome
        .diagnostics
        .iter()
        .map(|d| {
            let text = match &d.hint {
                Some(hint) => format!("{}. Help: {hint}", d.message),
                None => d.message.clone(),
            };
            let related: Vec<Value> = d
                .related
                .iter()
                .enumerate()
                .map(|(id, note)| {
                    json!({
                        "id": id,
                        "message": { "text": note.message },
                        "physicalLocation": location(
                            note.line, note.column, note.offset, note.len,
                        ),
                    })
                })
                .collect();
            let mut place = json!({
                "physicalLocation":
                    location(d.line, d.column, d.offset, d.len),
            });
            if !d.key_path.is_empty() {
                place["logicalLocations"] =
                    json!([{ "fullyQualifiedName": d.key_path }]);
            }
            let mut result = json!({
                "ruleId": d.code,
                "level": level(d.severity),
                "message": { "text": text },
                "locations": [place],
            });
            let codes = codes::all();
            if let Some(at) = codes.iter().position(|c| c.id == d.code) {
                result["ruleIndex"] = at.into();
            }
            if !related.is_empty() {
                result["relatedLocations"] = related.into();
            }
            result
        })
        .collect()
}

/// The lines and columns of some bytes; the end is that of the last character,
/// plus one.
fn region(
    text: &[u8],
    line: u32,
    column: u32,
    offset: usize,
    len: usize,
) -> Value {
    let end = offset.saturating_add(len).min(text.len());
    let bytes = text.get(offset..end).unwrap_or_default();
    let (mut end_line, mut end_column) = (line, column);
    for &byte in bytes {
        if byte == b'\n' {
            end_line += 1;
            end_column = 1;
        } else if byte & 0xc0 != 0x80 {
            end_column += 1;
        }
    }
    json!({
        "startLine": line,
        "startColumn": column,
        "endLine": end_line,
        "endColumn": end_column,
    })
}

/// A file's name as a URI reference (RFC 3986).
fn uri(name: &str) -> String {
    let mut uri = match name.starts_with('/') {
        true => "file://".to_owned(),
        false => String::new(),
    };
    for &byte in name.as_bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        match plain {
            true => uri.push(char::from(byte)),
            false => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_uris() {
        assert_eq!(uri("conf/a b.toml"), "conf/a%20b.toml");
        assert_eq!(uri("/etc/cors.toml"), "file:///etc/cors.toml");
        assert_eq!(uri("<stdin>"), "%3Cstdin%3E");
        assert_eq!(uri("c:x"), "c%3Ax");
    }

    #[test]
    fn regions_count_characters() {
        let at = region("a\n\u{1f600}b\nc".as_bytes(), 2, 1, 2, 7);
        assert_eq!(at["endLine"], 3);
        assert_eq!(at["endColumn"], 2);
        let at = region(b"", 1, 1, 0, 0);
        assert_eq!(at["endColumn"], 1);
    }
}
