//! Documents made to do harm, and documents made by chance.

use libcors_config::{Format, MAX_DIAGNOSTICS, parse};
use proptest::prelude::*;

fn refused(text: &[u8]) -> Vec<String> {
    let outcome = parse(text, "t", Format::Auto);
    assert!(outcome.policies.is_none());
    let found = outcome.diagnostics;
    assert!(found.has_errors());
    assert!(found.len() <= 2 * (MAX_DIAGNOSTICS + 1));
    for d in &found {
        assert!(d.message.len() < 2000, "{}", d.message.len());
        assert!(d.key_path.len() < 2000, "{}", d.key_path.len());
        assert!(d.hint.as_ref().is_none_or(|hint| hint.len() < 4000));
        assert!(d.offset + d.len <= text.len());
    }
    found.iter().map(|d| d.code.to_owned()).collect()
}

#[test]
fn deep_nesting() {
    let deep = 200_000;
    for text in [
        format!("x = {}", "[".repeat(deep)),
        format!("x = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("x = {}", "{a=".repeat(deep)),
        "[".repeat(deep),
        format!("[{}a]", "a.".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("x = {{ {}a = 1 }}", "a.".repeat(deep)),
        format!("{{\"a\":{}", "[".repeat(deep)),
        "{\"a\":".repeat(deep),
        format!("{{\"a\":{}{}}}", "[".repeat(deep), "]".repeat(deep)),
    ] {
        let codes = refused(text.as_bytes());
        assert!(codes.contains(&"E0106".to_owned()), "{codes:?}");
    }
    // Unclosed headers nest nothing.
    let codes = refused("[policy.a\n".repeat(500).as_bytes());
    assert!(!codes.contains(&"E0106".to_owned()), "{codes:?}");
}

#[test]
fn long_strings_and_keys() {
    let long = "a".repeat(1_000_000);
    for text in [
        format!("[policy.a]\nallow_origins = [\"{long}\"]"),
        format!("[policy.a]\nallow_origins = [\"https://{long}\"]"),
        format!("[policy.a]\nallow_origins = [\"https://{long}/\"]"),
        format!("[policy.a]\nallow_origins = []\n{long} = 1"),
        format!("[policy.{long}]\nallow_origins = []"),
        format!("{long} = 1"),
        long.clone(),
        format!("[policy.a]\nallow_origins = []\nmax_age = \"{long}\""),
        format!("[policy.a]\nallow_origins = []\nmode = \"{long}\""),
        format!("[policy.a]\nallow_origins = \"{long}\""),
        format!(
            "[policy.a]\nallow_origins = []\nallow_methods = [\"{long} \"]"
        ),
        format!("[policy.a]\nallow_origins = [{{ {long} = 1 }}]"),
        format!("{{\"policy\": {{\"a\": {{\"{long}\": 1}}}}}}"),
        format!("{{\"policy\": \"{long}"),
    ] {
        refused(text.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text() {
    let good = b"[policy.a]\nallow_origins = [\"https://a.example\"] # x\n";
    for byte in [0, 1, 0x7f, 0x80, 0xc0, 0xf5, 0xff] {
        for at in 0..=good.len() {
            let mut text = good.to_vec();
            text.insert(at, byte);
            refused(&text);
        }
    }
    refused(&[0; 100_000]);
    refused(&[0xff; 100_000]);
    refused(b"\xff\xfe[\0p\0");
    assert_eq!(refused(b""), ["E0110"]);
    assert_eq!(refused(b"\xef\xbb\xbf"), ["E0110"]);
}

#[test]
fn many_problems_are_cut_off() {
    let mut text = String::from("[policy.a]\nallow_origins = [\n");
    text.push_str(&"\"https://A.example/\",\n".repeat(100_000));
    text.push_str("]\n");
    let outcome = parse(text.as_bytes(), "t", Format::Auto);
    assert_eq!(outcome.diagnostics.len(), MAX_DIAGNOSTICS + 1);
    let last = outcome.diagnostics.iter().last().unwrap();
    assert_eq!(last.code, "E0114");
    assert!(last.message.starts_with("99000 more"), "{}", last.message);
    refused("x\n".repeat(100_000).as_bytes());
    refused("[".repeat(2000).as_bytes());
    refused("=\n".repeat(100_000).as_bytes());
    let keys: String = (0..100_000).map(|i| format!("k{i} = 1\n")).collect();
    refused(keys.as_bytes());
    refused(format!("{{{}", "1 ".repeat(100_000)).as_bytes());
}

#[test]
fn defaults_are_not_multiplied_without_bound() {
    let origins: String =
        (0..3000).map(|i| format!("\"https://h{i}.example\",")).collect();
    let policies: String =
        (0..2000).map(|i| format!("[policy.p{i}]\n")).collect();
    let text = format!("[defaults]\nallow_origins = [{origins}]\n{policies}");
    assert_eq!(refused(text.as_bytes()), ["E0102"]);
}

#[test]
fn many_origins_are_loaded() {
    let mut text = String::from("[policy.a]\nallow_origins = [\n");
    for i in 0..20_000 {
        let line = match i % 4 {
            0 => format!("\"https://*.d{i}.example.com\",\n"),
            1 => format!("\"https://pr{i}-*.example.org:*\",\n"),
            _ => format!("\"https://h{i}.example.net\",\n"),
        };
        text.push_str(&line);
    }
    text.push_str("]\n");
    let outcome = parse(text.as_bytes(), "t", Format::Auto);
    assert!(outcome.diagnostics.is_empty(), "{:#?}", outcome.diagnostics);
    let policies = outcome.policies.unwrap();
    assert_eq!(policies.nth(0).unwrap().spec().allow_origins.len(), 20_000);
}

/// Pieces that documents are made of, and slips. There are no dates among them:
/// no key takes one, so their form is not looked at.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "[policy.a]\n",
        "[policy.b]\n",
        "[defaults]\n",
        "[policy",
        "[[",
        "]",
        "allow_origins = ",
        "allow_origins",
        "= ",
        "[",
        "{",
        "}",
        "\n",
        ",",
        "\"https://a.example\"",
        "\"https://*.com\"",
        "'null'",
        "\"*\"",
        "{ regex = '.*' }",
        "max_age = \"10m\"\n",
        "max_age = 1\n",
        ":",
        "allow_credentials = true\n",
        "dangerously_allow = [\"null_origin\"]\n",
        "\"\"\"",
        "'''",
        "\\",
        "\"",
        "'",
        "#",
        "# x\n",
        "a.b.c = 1\n",
        "\u{0}",
        "\u{feff}",
        "\u{fc}",
        "true",
        "{\"policy\": {\"a\": {",
        "\"allow_origins\": [",
        "}}}",
        "null",
        "\\u12",
        "\\ud800",
        "0x1f",
        " ",
        "\r",
        "\r\n",
        "\t",
        "mode = \"report\"\n",
        "1e9",
        "-",
        "policy.a.b = 2\n",
    ];
    prop_oneof![
        8 => proptest::sample::select(pieces.to_vec()).prop_map(String::from),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn never_panics(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        for format in [Format::Auto, Format::Toml, Format::Json] {
            let outcome = parse(text.as_bytes(), "t", format);
            let failed = outcome.diagnostics.has_errors();
            prop_assert_eq!(outcome.policies.is_none(), failed);
            let mut last = 0;
            for d in &outcome.diagnostics {
                prop_assert!(d.offset >= last);
                last = d.offset;
                prop_assert!(d.line > 0 && d.column > 0);
                prop_assert!(d.offset + d.len <= text.len());
                prop_assert!(!d.message.contains(char::is_control));
            }
        }
    }

    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Auto, Format::Toml, Format::Json] {
            parse(&bytes, "t", format);
        }
    }

    /// Whether a text is TOML is for the crate `toml` to say.
    #[test]
    fn reads_what_toml_is(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        let outcome = parse(text.as_bytes(), "t", Format::Toml);
        let syntax = outcome.diagnostics.iter().any(|d| {
            matches!(d.code, "E0104" | "E0106" | "E0107")
        });
        prop_assert_eq!(text.parse::<toml::Table>().is_err(), syntax);
    }

    /// Whether a text is JSON is for the crate `serde_json` to say.
    #[test]
    fn reads_what_json_is(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        let outcome = parse(text.as_bytes(), "t", Format::Json);
        let syntax = outcome.diagnostics.iter().any(|d| d.code == "E0105");
        let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let value: Result<serde_json::Value, _> = serde_json::from_str(body);
        prop_assert_eq!(value.is_err(), syntax);
    }
}
