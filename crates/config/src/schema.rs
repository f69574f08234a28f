//! A JSON Schema of policy documents, for editors.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde_json::{Map, Value, json};

use crate::{
    reader::Scope,
    settings::{KEYS, PolicySpec, scope},
};

/// A JSON Schema (draft 2020-12) of policy documents, made from the types that
/// documents are read into.
///
/// It knows keys, types and words. What else a document may not say, the checks
/// of [`parse`](crate::parse) find.
pub fn schema() -> Value {
    let mut policy = Value::from(schema_for!(PolicySpec));
    let take = |schema: &mut Value, key: &str| {
        schema.as_object_mut().and_then(|object| object.remove(key))
    };
    let dialect = take(&mut policy, "$schema");
    take(&mut policy, "title");
    let mut definitions = match take(&mut policy, "$defs") {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    let mut defaults = policy.clone();
    if let Some(properties) = defaults.get_mut("properties") {
        for key in policy_only() {
            take(properties, key);
        }
    }
    if let Some(description) = defaults.get_mut("description") {
        *description = json!("The values that every policy starts from.");
    }
    definitions.insert("Policy".to_owned(), policy);
    definitions.insert("Defaults".to_owned(), defaults);
    json!({
        "$schema": dialect,
        "title": "CORS policies",
        "description": "A policy file of libcors: policies and their defaults.",
        "type": "object",
        "properties": {
            "defaults": { "$ref": "#/$defs/Defaults" },
            "policy": {
                "description": "The policies, by name.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {
                    "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
                    "not": { "const": "off" },
                },
                "additionalProperties": { "$ref": "#/$defs/Policy" },
            },
        },
        "required": ["policy"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// The keys that may not be in `[defaults]`.
fn policy_only() -> impl Iterator<Item = &'static str> {
    KEYS.iter().copied().filter(|key| scope(key) == Scope::Policy)
}

/// A port as a policy file writes it.
pub(crate) struct Port;

impl JsonSchema for Port {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                { "const": "*" },
            ],
        })
    }
}

/// A value of `timing_allow_origin` as a policy file writes it.
pub(crate) struct TimingWord;

impl JsonSchema for TimingWord {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TimingWord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "const": "*" }] })
    }
}

/// A duration as a policy file writes it.
pub(crate) struct MaxAge;

impl JsonSchema for MaxAge {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "MaxAge".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": 86400 },
                { "type": "string", "pattern": "^[0-9]+[smhd]$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn knows_the_keys_and_nothing_else() {
        let schema = schema();
        let keys = |name: &str| -> BTreeSet<String> {
            let table = &schema["$defs"][name];
            assert_eq!(table["additionalProperties"], json!(false));
            assert_eq!(table["required"], Value::Null);
            let properties = table["properties"].as_object().unwrap();
            properties.keys().cloned().collect()
        };
        let all: BTreeSet<String> =
            KEYS.iter().copied().map(String::from).collect();
        assert_eq!(keys("Policy"), all);
        let mut defaults = all;
        for key in policy_only() {
            assert!(defaults.remove(key), "{key}");
        }
        assert_eq!(keys("Defaults"), defaults);
    }
}
