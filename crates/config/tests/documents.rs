//! Documents, the problems found in them, and where.

use libcors_config::{
    Diagnostic, Format, OriginEntry, Outcome, Preflight, open_compiled, parse,
};
use libcors_policy::{Request, Source};

fn run(text: &str) -> Outcome {
    parse(text.as_bytes(), "cors.toml", Format::Auto)
}

fn problems(text: &str) -> Vec<Diagnostic> {
    run(text).diagnostics.iter().cloned().collect()
}

/// Code, line, column, and the text that is meant, of each problem.
fn places(text: &str) -> Vec<(&'static str, u32, u32, String)> {
    problems(text)
        .iter()
        .map(|d| {
            let meant = &text[d.offset..d.offset + d.len];
            (d.code, d.line, d.column, meant.to_owned())
        })
        .collect()
}

fn only(text: &str) -> Diagnostic {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().unwrap()
}

fn hint(text: &str) -> String {
    only(text).hint.unwrap_or_default()
}

#[test]
fn points_at_what_is_wrong() {
    let text = "\
[defaults]
max_age = \"2 days\"

[policy.api]
# \u{fc}\u{1f600}
allow_origins = [\"https://\u{fc}.example\", 'https://a.example/x',
    \"https://B.example\", 7]
allow_methods = [\"put\"]
preflight = \"forwrd\"
max_ages = 600
";
    let found = places(text);
    let expected = [
        ("E0401", 2, 11, "\"2 days\""),
        ("E0211", 6, 27, "\u{fc}.example"),
        ("E0209", 6, 57, "/x"),
        ("E0205", 7, 14, "B.example"),
        ("E0109", 7, 26, "7"),
        ("E0303", 8, 18, "\"put\""),
        ("E0404", 9, 13, "\"forwrd\""),
        ("E0108", 10, 1, "max_ages"),
    ];
    let expected: Vec<_> = expected
        .map(|(code, line, column, meant)| {
            (code, line, column, meant.to_owned())
        })
        .into();
    assert_eq!(found, expected);
    let paths: Vec<String> =
        problems(text).into_iter().map(|d| d.key_path).collect();
    assert_eq!(
        paths,
        [
            "defaults.max_age",
            "policy.api.allow_origins[0]",
            "policy.api.allow_origins[1]",
            "policy.api.allow_origins[2]",
            "policy.api.allow_origins[3]",
            "policy.api.allow_methods[0]",
            "policy.api.preflight",
            "policy.api.max_ages",
        ]
    );
}

#[test]
fn a_wrong_entry_still_stands_beside_the_wildcard() {
    let text = "[policy.a]\nallow_origins = [\"https://a.example/\", \"*\"]\n";
    let codes: Vec<_> = problems(text).iter().map(|d| d.code).collect();
    assert_eq!(codes, ["E0209", "E0217"]);
}

#[test]
fn an_empty_key_is_a_key() {
    let good = "[policy.a]\nallow_origins = []\n";
    for (bad, code) in [
        ("[policy.\"\"]\nallow_origins = []\n", "E0111"),
        ("\"\".disallowed = \"reject\"\n", "E0108"),
        ("[policy.a.\"\"]\nx = 1\n", "E0108"),
        ("[\"\"]\n", "E0108"),
        ("[[\"\"]]\n", "E0108"),
        ("[policy.\"\".b]\n", "E0111"),
    ] {
        let text = format!("{good}{bad}");
        let codes: Vec<_> = problems(&text).iter().map(|d| d.code).collect();
        assert!(codes.contains(&code), "{bad}: {codes:?}");
    }
}

#[test]
fn json_gets_the_same_treatment() {
    let text = "\u{feff}\n{\"policy\": {\"api\": {\n  \"allow_origins\": \
                [\"https://A.example\", \"\\u0068ttps://b.example/\"],\n  \
                \"allow_orgins\": [], \"max_age\": null\n}}}";
    let found = places(text);
    let expected: Vec<_> = [
        ("E0205", 3, 30, "A.example"),
        // A string with an escape sequence is meant as a whole.
        ("E0209", 3, 42, "\"\\u0068ttps://b.example/\""),
        ("E0108", 4, 3, "\"allow_orgins\""),
        ("E0109", 4, 34, "null"),
    ]
    .map(|(c, l, k, t)| (c, l, k, t.to_owned()))
    .into();
    assert_eq!(found, expected);
    let good = run("{\"policy\": {\"a\": {\"allow_origins\": [\"*\"]}}}");
    assert!(good.policies.is_some(), "{:#?}", good.diagnostics);
}

#[test]
fn syntax_errors_do_not_hide_others() {
    let toml = "\
[policy.a]
allow_origins = [\"https://A.example\",,]
max_age = 10 minutes
[policy.b
allow_origins = [\"https://b.example/\"]
";
    let codes: Vec<&str> = problems(toml).iter().map(|d| d.code).collect();
    assert_eq!(codes, ["E0205", "E0104", "E0104", "E0104", "E0209"]);
    let json = "{\"policy\": {\"a\": {\"allow_origins\": \
                [\"https://A.example\",], 'max_age': 1,}, // x\n \
                \"b\": {\"allow_origins\" [\"https://b.example/\"] \
                \"mode\": \"x\"}}";
    let codes: Vec<&str> = problems(json).iter().map(|d| d.code).collect();
    assert_eq!(
        codes,
        [
            "E0105", "E0205", "E0105", "E0105", "E0105", "E0105", "E0105",
            "E0209", "E0105", "E0404",
        ]
    );
}

#[test]
fn hints_can_be_pasted() {
    for (entry, hinted) in [
        ("https://App.Example.com/", "https://app.example.com"),
        ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
        ("wss://app.example.com", "https://app.example.com"),
        ("app.example.com", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://[0:0::1]", "http://[::1]"),
        ("http://127.1", "http://127.0.0.1"),
        ("https://app. example.com", "https://app.example.com"),
    ] {
        let text = format!("[policy.a]\nallow_origins = [\"{entry}\"]\n");
        assert_eq!(hint(&text), format!("write \"{hinted}\""), "{entry}");
    }
    for (line, hinted) in [
        ("allow_orgins = []", "write allow_origins"),
        ("Access-Control-Max-Age = 1", "write max_age"),
        ("max_age = \"10 min\"", "write \"10m\""),
        ("allow_credentials = \"yes\"", "write true"),
        ("mode = \"reprot\"", "write \"report\""),
        ("dangerously_allow = [\"nul_origin\"]", "write \"null_origin\""),
        ("self_origins = \"A.example\"", "write [\"https://a.example\"]"),
        ("allow_methods = \"PUT, PATCH\"", "write [\"PUT\", \"PATCH\"]"),
        ("allow_methods = [\"PUT, PATCH\"]", "write \"PUT\", \"PATCH\""),
    ] {
        let text = format!("[policy.a]\nallow_origins = []\n{line}\n");
        assert_eq!(hint(&text), hinted, "{line}");
    }
    assert_eq!(hint("[polices.a]\nallow_origins = []\n"), "write policy");
    assert_eq!(hint("[policy]\nallow_origins = []\n"), "write [policy.NAME]");
    assert_eq!(
        hint("allow_origins = []\n"),
        "write allow_origins in a table [policy.NAME]"
    );
    assert_eq!(
        hint(
            "[policy.a]\nallow_origins = [\"http://a.example:8080\"]\n\
             allow_credentials = true\n"
        ),
        "write \"https://a.example:8080\", or add \"insecure_origins\" to \
         dangerously_allow"
    );
}

#[test]
fn a_problem_of_the_defaults_is_reported_once() {
    let text = "\
[defaults]
allow_origins = [\"https://A.example\", \"null\"]
max_age = 10000
[policy.a]
[policy.b]
[policy.c]
allow_origins = [\"null\"]
dangerously_allow = [\"null_origin\"]
";
    let found = problems(text);
    let codes: Vec<&str> = found.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["E0205", "E0501", "W0401"]);
    assert_eq!(found[1].key_path, "defaults.allow_origins[1]");
    let related: Vec<(&str, u32)> = found[1]
        .related
        .iter()
        .map(|r| (r.key_path.as_str(), r.line))
        .collect();
    assert_eq!(related, [("policy.a", 4), ("policy.b", 5)]);
}

#[test]
fn a_default_and_a_policy_that_clash_are_both_shown() {
    let found = only(
        "[defaults]\nallow_credentials = true\n[policy.a]\n\
         allow_origins = [\"*\"]\n",
    );
    assert_eq!((found.code, found.line, found.column), ("E0502", 4, 18));
    assert_eq!(found.related.len(), 1);
    let related = &found.related[0];
    assert_eq!((related.line, related.column), (2, 1));
    assert_eq!(related.len, "allow_credentials = true".len());
    assert_eq!(related.key_path, "defaults.allow_credentials");
    assert!(
        found.hint.unwrap().contains(
            "add \"any_origin_with_credentials\" to dangerously_allow"
        )
    );
}

#[test]
fn a_key_of_a_policy_replaces_the_default() {
    let outcome = run("\
[defaults]
allow_origins = [\"https://a.example\", \"https://b.example\"]
allow_headers = [\"X-A\"]
allow_credentials = true
max_age = \"10m\"

[policy.one]

[policy.two]
allow_origins = [\"https://c.example\"]
allow_headers = []
allow_credentials = false
max_age = 0
preflight = \"forward\"
");
    let policies = outcome.policies.unwrap();
    assert_eq!(policies.len(), 2);
    let names: Vec<&str> = policies.iter().map(|p| p.name()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(policies.nth(1).unwrap().name(), "two");
    assert!(policies.get("three").is_none());
    let one = policies.get("one").unwrap().spec();
    assert_eq!(one.allow_origins.len(), 2);
    assert_eq!(one.allow_headers, ["x-a"]);
    assert_eq!((one.allow_credentials, one.max_age), (true, Some(600)));
    let two = policies.get("two").unwrap().spec();
    let origin = OriginEntry::Plain("https://c.example".to_owned());
    assert_eq!(two.allow_origins, [origin]);
    assert!(two.allow_headers.is_empty());
    assert_eq!((two.allow_credentials, two.max_age), (false, Some(0)));
    assert_eq!(two.preflight, Preflight::Forward);
}

#[test]
fn what_is_compiled_decides() {
    let outcome = run("\
[policy.a]
allow_origins = [\"https://a.example\", \"https://*.b.example\"]
allow_methods = [\"PATCH\"]
allow_headers = [\"X-Id\", \"Authorization\"]
allow_credentials = true
max_age = \"2h\"
preflight_status = 200
");
    let policies = outcome.policies.unwrap();
    let policy = policies.get("a").unwrap().policy();
    let mut request = Request::new(b"OPTIONS");
    request.origin = &[b"https://x.b.example"];
    request.request_method = &[b"PATCH"];
    request.request_headers = &[b"authorization,x-id"];
    let decision = policy.decide(&request);
    assert_eq!(decision.rule(), Some(1));
    assert_eq!(decision.status(), Some(200));
    let fixed: Vec<(&str, &str)> = decision
        .headers()
        .filter(|h| h.source() == Source::Fixed)
        .map(|h| (h.name().as_str(), str::from_utf8(h.value()).unwrap()))
        .collect();
    assert_eq!(
        fixed,
        [
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Methods", "PATCH"),
            ("Access-Control-Allow-Headers", "x-id, authorization"),
            ("Access-Control-Max-Age", "7200"),
        ]
    );
}

#[test]
fn specs_print_as_documents_that_say_the_same() {
    let text = "\
[policy.a]
allow_origins = [\"https://a.example\", \"https://*.b.example:*\", \"null\"]
allow_methods = [\"PATCH\", \"PATCH\"]
allow_headers = [\"*\", \"Authorization\"]
expose_headers = [\"X-A\"]
max_age = \"1h\"
timing_allow_origin = true
allow_private_network = true
disallowed = \"reject\"
websocket = \"reject\"
self_origins = [\"https://own.example\"]
upstream_headers = \"keep\"
mode = \"report\"
dangerously_allow = [\"null_origin\", \"upstream_cors\"]
";
    let policies = run(text).policies.unwrap();
    let spec = policies.get("a").unwrap().spec();
    let toml = format!("[policy.a]\n{}", toml::to_string(spec).unwrap());
    let again = run(&toml);
    let found = again.diagnostics;
    assert!(!found.has_errors(), "{toml}\n{found:#?}");
    assert_eq!(again.policies.unwrap().get("a").unwrap().spec(), spec);
    let json = serde_json::json!({ "policy": { "a": spec } }).to_string();
    let again = run(&json).policies.unwrap();
    assert_eq!(again.get("a").unwrap().spec(), spec);
}

#[test]
fn flags_let_through_what_they_name() {
    for (flag, keys) in [
        ("null_origin", "allow_origins = [\"null\"]"),
        ("null_origin", "allow_origins = [\"null\"]\nallow_credentials = true"),
        (
            "any_origin_with_credentials",
            "allow_origins = [\"*\"]\nallow_credentials = true",
        ),
        (
            "insecure_origins",
            "allow_origins = [\"http://a.example\"]\nallow_credentials = true",
        ),
        (
            "insecure_origins",
            "allow_origins = [\"http://*.a.example:*\"]\n\
             allow_credentials = true",
        ),
        ("public_suffix", "allow_origins = [\"https://*.com\"]"),
        ("public_suffix", "allow_origins = [\"https://pr-*\"]"),
        ("upstream_cors", "allow_origins = []\nupstream_headers = \"keep\""),
    ] {
        let text = format!("[policy.a]\n{keys}\n");
        let found = only(&text);
        assert!(found.code.starts_with("E05"), "{found:?}");
        let hint = found.hint.unwrap();
        let add = format!("add \"{flag}\" to dangerously_allow");
        assert!(hint.contains(&add), "{hint}");
        let flagged = format!("{text}dangerously_allow = [\"{flag}\"]\n");
        assert_eq!(problems(&flagged), []);
    }
    // With any origin and credentials `null` is reflected on demand.
    let both = "[policy.a]\nallow_origins = [\"*\"]\nallow_credentials = true\n\
                dangerously_allow = [\"any_origin_with_credentials\", \
                \"null_origin\"]\n";
    assert_eq!(problems(both), []);
    for keys in [
        "allow_origins = [\"http://localhost:*\", \"http://127.0.0.1\"]\n\
         allow_credentials = true",
        "allow_origins = [\"capacitor://localhost\", \"app://x\"]\n\
         allow_credentials = true",
        "allow_origins = [\"https://*.localhost\"]",
        "allow_origins = [\"*\"]",
    ] {
        assert_eq!(problems(&format!("[policy.a]\n{keys}\n")), []);
    }
}

#[test]
fn names_of_policies() {
    for (name, hinted) in [
        ("off", ""),
        ("\"my api\"", "write my-api"),
        ("_x", "write x"),
        ("\"\"", ""),
    ] {
        let text = format!("[policy.{name}]\nallow_origins = []\n");
        let found = problems(&text);
        if name == "\"\"" {
            assert!(!found.is_empty());
            continue;
        }
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].code, "E0111");
        assert_eq!(found[0].hint.as_deref().unwrap_or_default(), hinted);
    }
    let good = run("[policy.\"v1.api\"]\nallow_origins = []\n");
    assert!(good.policies.unwrap().get("v1.api").is_some());
    let dotted = problems(
        "[policy.v1.api]\nallow_origins = [1]\n[policy.a]\n\
         allow_origins = []\n",
    );
    let codes: Vec<&str> = dotted.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["E0111", "E0109"]);
    let hint = dotted[0].hint.as_deref();
    assert_eq!(hint, Some("write [policy.\"v1.api\"]"));
    assert_eq!(dotted[1].key_path, "policy.\"v1.api\".allow_origins[0]");
}

#[test]
fn nothing_that_is_shown_holds_a_control_character() {
    let text = "\
[policy.\"a\\u0000\\u001b[31m\"]
\"allow\\norigins\" = 1
allow_origins = [\"https://a\\r\\n.example\", \"\\u202ehttps://b\"]
preflight = \"\\u0007\"
allow_methods = [\"\\t\"]
";
    let outcome = parse(text.as_bytes(), "a\nb\u{0}", Format::Toml).diagnostics;
    assert!(outcome.len() >= 6, "{outcome:#?}");
    for d in &outcome {
        let texts = [&d.source, &d.key_path, &d.message];
        for text in texts.into_iter().chain(&d.hint) {
            let hidden = |c: char| c.is_control() || c == '\u{202e}';
            assert!(!text.contains(hidden), "{text:?}");
        }
    }
}

#[test]
fn repeated_tables_are_checked_too() {
    let text = "\
[policy.a]
allow_origins = []
[policy.a]
allow_origins = [\"https://A.example\"]
[[policy.b]]
allow_origins = []
[policy.c]
allow_origins = []
policy.c = 1
allow_origins.x = 2
";
    let found: Vec<(&str, u32)> =
        problems(text).iter().map(|d| (d.code, d.line)).collect();
    assert_eq!(
        found,
        [("E0107", 3), ("E0205", 4), ("E0109", 5), ("E0108", 9), ("E0107", 10),]
    );
}

#[test]
fn entries_may_be_an_array_of_tables() {
    let text = "\
[[policy.lan.allow_origins]]
network = \"10.0.0.0/8\"
scheme = \"http\"

[[policy.lan.allow_origins]]
regex = 'https://app\\.example\\.com'
";
    let outcome = parse(text.as_bytes(), "t", Format::Auto);
    assert!(outcome.diagnostics.is_empty(), "{:#?}", outcome.diagnostics);
    let policies = outcome.policies.unwrap();
    assert_eq!(policies.get("lan").unwrap().spec().allow_origins.len(), 2);
}

#[test]
fn opens_texts_strings_and_paths() {
    let text =
        r#" "[policy.a]\nallow_origins = [\"https://\u0061.example/\"]\n" "#;
    let (source, outcome) = open_compiled(text.as_bytes(), "t");
    let error = outcome.diagnostics.errors().next().unwrap();
    assert_eq!(source, "t");
    assert_eq!((error.code, error.line, error.column), ("E0209", 2, 36));
    let text = text.replace("e/", "e");
    for text in [&text, "\n[policy.a]\nallow_origins = []", "\"policy\".a = {}"]
    {
        let (_, outcome) = open_compiled(text.as_bytes(), "t");
        let broken = outcome.diagnostics.errors().any(|e| e.code == "E0104");
        assert!(!broken, "{:#?}", outcome.diagnostics);
    }
    for text in ["\"", "\"\"", "\"a\"b\"", "\"[policy.a]\\q\"", "'x'", ""] {
        let (_, outcome) = open_compiled(text.as_bytes(), "t");
        assert!(outcome.policies.is_none(), "{text}");
    }
    for text in ["file:no.toml", " file: no.toml \n", "\"file:no.toml\\n\""] {
        let (source, outcome) = open_compiled(text.as_bytes(), "t");
        assert_eq!(source, "no.toml");
        assert!(outcome.unreadable, "{text}");
    }
}
