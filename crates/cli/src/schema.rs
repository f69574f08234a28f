//! `cors schema`: a JSON Schema of policy documents, made from the types that hold
//! them.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::{Map, Value, json};

use crate::{Status, check::pretty};

pub(crate) fn run() -> Status {
    let text = pretty(&document())?;
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// What the types cannot say: how strings are written. What depends on several
/// keys is left to `cors check`.
const PATTERNS: [(&str, &str); 4] = [
    ("allow_methods", TOKEN),
    ("allow_headers", TOKEN),
    ("expose_headers", TOKEN),
    ("self_origins", EXACT_ORIGIN),
];

const TOKEN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

const EXACT_ORIGIN: &str = r"^(https?://(\[[0-9a-f:]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?)|(?!https?:)[a-z][a-z0-9+.-]{0,63}://[a-z0-9_.-]+)(:[1-9][0-9]{0,4})?$";

const ORIGIN: &str = r"^(\*|null|https?://(\[[0-9a-f:]+\]|[a-z0-9_*-]+(\.[a-z0-9_-]+)*\.?)(:([1-9][0-9]{0,4}|\*))?|(?!https?:)[a-z][a-z0-9+.-]{0,63}://[a-z0-9_*.-]+(:([1-9][0-9]{0,4}|\*))?)$";

const NETWORK: &str =
    r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-f:.]*:[0-9a-f:.]*)/[0-9]{1,3}$";

/// The schema of the types, with what helps an editor.
fn document() -> Value {
    let mut schema = libcors_config::schema();
    join_lines(&mut schema);
    // A policy lists its origins, unless it starts from defaults that do.
    schema["if"] = json!({
        "properties": { "defaults": { "required": ["allow_origins"] } },
        "required": ["defaults"],
    });
    schema["else"] = json!({
        "properties": {
            "policy": {
                "additionalProperties": { "required": ["allow_origins"] },
            },
        },
    });
    for table in ["Policy", "Defaults"] {
        if let Some(properties) =
            object(&mut schema["$defs"][table], "properties")
        {
            complete(properties);
        }
    }
    schema["$defs"]["Policy"]["description"] =
        "What is allowed. Every key but allow_origins may be left out.".into();
    schema["$defs"]["Defaults"]["description"] =
        "What every policy starts from. A key that a policy has replaces the \
         one here whole."
            .into();
    if let Some([plain, regex, network]) =
        schema["$defs"]["OriginEntry"]["anyOf"]
            .as_array_mut()
            .map(Vec::as_mut_slice)
    {
        plain["pattern"] = ORIGIN.into();
        plain["examples"] = json!([
            "https://app.example.com",
            "https://*.example.com",
            "https://pr-*.preview.example.com",
            "http://localhost:*",
        ]);
        regex["examples"] =
            json!([{ "regex": r"https://pr-[0-9]+\.example\.com" }]);
        network["properties"]["network"]["pattern"] = NETWORK.into();
        network["examples"] = json!([
            { "network": "192.168.0.0/16", "scheme": "http", "port": "*" },
        ]);
    }
    schema
}

/// Adds patterns and examples to the keys of a policy.
fn complete(properties: &mut Map<String, Value>) {
    for (key, property) in properties.iter_mut() {
        if let Some(property) = property.as_object_mut() {
            // No editor knows the formats of numbers.
            property.remove("format");
            // These have none: one must be written, the other sends no header.
            if matches!(key.as_str(), "allow_origins" | "max_age") {
                property.remove("default");
            }
        }
    }
    for (key, pattern) in PATTERNS {
        if let Some(property) = properties.get_mut(key) {
            property["items"]["pattern"] = pattern.into();
        }
    }
    if let Some(age) = properties.get_mut("max_age") {
        age["examples"] = json!([600, "10m", "2h"]);
    }
}

fn object<'v>(
    value: &'v mut Value,
    key: &str,
) -> Option<&'v mut Map<String, Value>> {
    value.get_mut(key).and_then(Value::as_object_mut)
}

/// Descriptions come as they are broken in the source.
fn join_lines(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(join_lines),
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "description" => {
                        *text = text.replace('\n', " ");
                    }
                    value => join_lines(value),
                }
            }
        }
        _ => {}
    }
}
