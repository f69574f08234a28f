//! `cors schema`

mod common;

use std::fs;

use common::{Folder, workspace};
use jsonschema::Validator;
use libcors_testkit::suite::SUITE;
use serde_json::Value;

fn validator() -> Validator {
    let ran = Folder::new().run(&["schema"]);
    ran.exits(0);
    let schema = ran.json();
    assert!(schema.get("$id").is_none());
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn read(toml: &str) -> Value {
    toml::from_str(toml).unwrap()
}

#[track_caller]
fn assert_valid(validator: &Validator, name: &str, document: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{name}: {}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn accepts_the_suite_and_the_examples() {
    let validator = validator();
    for file in &SUITE.files {
        assert_valid(&validator, &file.name, &read(&file.document));
    }
    let folder = workspace("examples/policies");
    let mut examples = 0;
    for item in fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        let document = match path.extension().and_then(|e| e.to_str()) {
            Some("toml") => read(&text),
            Some("json") => serde_json::from_str(&text).unwrap(),
            _ => continue,
        };
        assert_valid(&validator, &name, &document);
        examples += 1;
    }
    assert!(examples > 0);
}

#[test]
fn accepts_what_is_shown() {
    let validator = validator();
    let folder = Folder::new();
    for file in &SUITE.files {
        folder.file("cors.toml", &file.document);
        let ran = folder.run(&["show", "cors.toml", "--format", "json"]);
        assert_valid(&validator, &file.name, &ran.json());
    }
}

#[test]
fn accepts_what_just_is_right() {
    let validator = validator();
    for document in [
        "[policy.a]\nallow_origins = []",
        "[defaults]\nallow_origins = []\n[policy.a]",
        "[policy.a]\nallow_origins = ['https://[::1]:8443', 'null']",
        "[policy.a]\nallow_origins = ['capacitor://localhost']",
        "[policy.a]\nallow_origins = ['https://a.example.:*']",
        "[policy.a]\nallow_origins = [{ regex = 'https://a\\.example' }]",
        "[policy.a]\nallow_origins = []\nmax_age = '2h'",
        "[policy.a]\nallow_origins = []\nmax_age = 0",
    ] {
        assert_valid(&validator, document, &read(document));
    }
}

#[test]
fn refuses_broken_documents() {
    let validator = validator();
    for document in [
        "",
        "policy = {}",
        "[defaults]\nallow_origins = []",
        "[policy.a]",
        "[policy.off]\nallow_origins = []",
        "[policy.'-a']\nallow_origins = []",
        "[policy.a]\nallow_orgins = []",
        "[policies.a]\nallow_origins = []",
        "[policy.a]\nallow_origins = 'https://a.example'",
        "[policy.a]\nallow_origins = ['https://a.example/']",
        "[policy.a]\nallow_origins = ['https://A.example']",
        "[policy.a]\nallow_origins = ['a.example']",
        "[policy.a]\nallow_origins = ['https://a.*.example']",
        "[policy.a]\nallow_origins = [{ regexp = 'x' }]",
        "[policy.a]\nallow_origins = [{ regex = 'x', flags = 'i' }]",
        "[policy.a]\nallow_origins = []\nallow_methods = ['A B']",
        "[policy.a]\nallow_origins = []\nallow_credentials = 'yes'",
        "[policy.a]\nallow_origins = []\nmax_age = 86401",
        "[policy.a]\nallow_origins = []\nmax_age = '2 h'",
        "[policy.a]\nallow_origins = []\npreflight_status = 404",
        "[policy.a]\nallow_origins = []\nmode = 'off'",
        "[policy.a]\nallow_origins = []\nself_origins = ['https://*.a.example']",
        "[policy.a]\nallow_origins = []\ndangerously_allow = ['all']",
        "[defaults]\nmode = 'report'\n[policy.a]\nallow_origins = []",
        "[defaults]\nmax_age = 5\n[policy.a]",
    ] {
        assert!(!validator.is_valid(&read(document)), "{document}");
    }
}

#[test]
fn describes_every_key() {
    let schema = Folder::new().run(&["schema"]).json();
    let properties = schema["$defs"]["Policy"]["properties"].as_object();
    let properties = properties.unwrap();
    assert_eq!(properties.len(), 17);
    for (key, property) in properties {
        assert!(property["description"].is_string(), "{key}");
        let free = ["allow_origins", "max_age"].contains(&key.as_str());
        assert_eq!(property.get("default").is_none(), free, "{key}");
    }
}
