//! `cors decide`

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use common::{Folder, Ran};
use libcors_testkit::{
    check,
    naive::{Answer, OWNED, OWNED_TIMING},
    suite::{Case, REASONS, SUITE},
};
use serde_json::{Value, json};

const DOCUMENT: &str = r#"[policy.api]
allow_origins = ["https://a.example"]
allow_methods = ["PUT"]

[policy.any]
allow_origins = ["*"]
"#;

const ARGS: [&str; 5] = ["decide", "--config", "cors.toml", "--policy", "api"];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("cors.toml", DOCUMENT);
    folder
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn writes_its_keys_in_order() {
    // The last line lacks its end.
    let input = r#"{"method": "OPTIONS", "headers": [["Origin", "https://a.example"], ["access-control-request-method", "PUT"]]}
{"headers": [], "method": "GET"}"#;
    let ran = folder().run_with(&ARGS, input);
    ran.exits(0);
    let remove = r#""remove":["access-control-allow-origin","access-control-allow-credentials","access-control-allow-methods","access-control-allow-headers","access-control-expose-headers","access-control-max-age","access-control-allow-private-network"]}"#;
    let preflight = r#"{"kind":"preflight","outcome":"allow","reason":"allowed","rule":0,"status":204,"headers":[["Access-Control-Allow-Origin","https://a.example"],["Access-Control-Allow-Methods","PUT"],["Vary","Origin"]],"#;
    let none = r#"{"kind":"none","outcome":"none","reason":"not_cors","rule":null,"status":null,"headers":[["Vary","Origin"]],"#;
    assert_eq!(ran.out, format!("{preflight}{remove}\n{none}{remove}\n"));
}

#[test]
fn answers_malformed_lines_in_their_place() {
    let good = r#"{"method": "GET", "headers": []}"#;
    let bad = [
        "",
        "  ",
        "x",
        r#""GET""#,
        r#"["GET", []]"#,
        r#"{"method": "GET"}"#,
        r#"{"headers": []}"#,
        r#"{"method": 1, "headers": []}"#,
        r#"{"method": "GET", "headers": {}}"#,
        r#"{"method": "GET", "headers": ["Origin"]}"#,
        r#"{"method": "GET", "headers": [["Origin"]]}"#,
        r#"{"method": "GET", "headers": [["Origin", "a", "b"]]}"#,
        r#"{"method": "GET", "headers": [["Origin", null]]}"#,
        r#"{"method": "GET", "headers": [["Origin", "\u0100"]]}"#,
        r#"{"method": "GET", "headers": [["X", "\ud800"]]}"#,
        r#"{"method": "GET", "headers": [], "body": ""}"#,
        r#"{"method": "GET", "headers": [], "headers": []}"#,
        r#"{"method": "GET", "headers": []} {}"#,
        r#"{"method": "GET", "headers": []"#,
    ];
    let mut input = Vec::new();
    for bad in bad {
        input.extend_from_slice(format!("{good}\r\n{bad}\n").as_bytes());
    }
    input.extend_from_slice(b"{\"method\": \"\xff\", \"headers\": []}\n");
    let ran = folder().run_with(&ARGS, input);
    ran.exits(1);
    let answers = lines(&ran);
    assert_eq!(answers.len(), 2 * bad.len() + 1);
    for (at, answer) in answers.iter().enumerate() {
        let is_good = at % 2 == 0 && at < 2 * bad.len();
        assert_eq!(answer.get("kind").is_some(), is_good, "{at}: {answer}");
        if !is_good {
            assert_eq!(answer["error"]["line"], at + 1);
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(!message.is_empty() && !message.contains("line 1"));
        }
    }
}

#[test]
fn header_values_are_bytes() {
    let input = concat!(
        r#"{"method": "GET", "headers": [["Origin", "https://\u00e9.example"]]}"#,
        "\n",
        "{\"method\": \"G\u{ff}\", \"headers\": [[\"Origin\", \"\u{80}\"]]}\n",
    );
    let ran = folder().run_with(&ARGS, input);
    ran.exits(0);
    for answer in lines(&ran) {
        assert_eq!(answer["reason"], "origin_malformed");
    }
}

#[test]
fn answers_before_the_next_line_comes() {
    let folder = folder();
    let mut child = folder
        .command(&ARGS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut answer = String::new();
    for round in 0..3 {
        let line = "{\"method\": \"GET\", \"headers\": []}\n";
        let (front, back) = line.split_at(10 * round);
        stdin.write_all(front.as_bytes()).unwrap();
        stdin.flush().unwrap();
        stdin.write_all(back.as_bytes()).unwrap();
        stdin.flush().unwrap();
        answer.clear();
        stdout.read_line(&mut answer).unwrap();
        assert!(answer.starts_with("{\"kind\":\"none\""), "{answer}");
    }
    // Two at once, and a half: two answers come.
    stdin.write_all(b"x\n{\"method\": \"GET\", \"headers\": []}\n{").unwrap();
    for expected in ["{\"error\":{\"line\":4,", "{\"kind\":"] {
        answer.clear();
        stdout.read_line(&mut answer).unwrap();
        assert!(answer.starts_with(expected), "{answer}");
    }
    drop(stdin);
    answer.clear();
    stdout.read_line(&mut answer).unwrap();
    assert!(answer.starts_with("{\"error\":{\"line\":6,"), "{answer}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn skips_lines_that_are_too_long() {
    let good = "{\"method\": \"GET\", \"headers\": []}\n";
    let just = |len: usize| {
        let shell = r#"{"method": "GET", "headers": [["X", ""]]}"#;
        let fill = "x".repeat(len - shell.len());
        format!("{{\"method\": \"GET\", \"headers\": [[\"X\", \"{fill}\"]]}}\n")
    };
    let input = format!(
        "{good}{}{good}{}{good}{}{}",
        just(8 << 20),
        just((8 << 20) + 1),
        "y".repeat(30 << 20) + "\n",
        good,
    );
    let ran = folder().run_with(&ARGS, input);
    ran.exits(1);
    let answers = lines(&ran);
    let errors: Vec<bool> =
        answers.iter().map(|answer| answer.get("error").is_some()).collect();
    assert_eq!(errors, [false, false, false, true, false, true, false]);
    assert_eq!(answers[5]["error"]["line"], 6);
}

#[test]
fn says_what_is_wrong() {
    let folder = folder();
    folder.file("bad.toml", "[policy.api]\nallow_origins = [\"x\"]\n");
    let ran =
        folder.run(&["decide", "--config", "cors.toml", "--policy", "web"]);
    ran.exits(2);
    assert_eq!(
        ran.err,
        "error: cors.toml has no policy `web`; it has `api`, `any`\n"
    );
    let ran =
        folder.run(&["decide", "--config", "bad.toml", "--policy", "api"]);
    ran.exits(1);
    assert!(ran.err.contains(" --> bad.toml:2:19\n"), "{}", ran.err);
    for args in [
        ["decide", "--config", "none.toml", "--policy", "api"],
        ["decide", "--config", "-", "--policy", "api"],
    ] {
        let ran = folder.run(&args);
        ran.exits(2);
        assert!(!ran.err.is_empty());
    }
    folder.run(&["decide", "--config", "cors.toml"]).exits(2);
}

#[test]
fn ends_quietly_if_nobody_reads() {
    let folder = folder();
    let mut child = folder
        .command(&ARGS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let line = "{\"method\": \"GET\", \"headers\": []}\n";
    // Whether this is still read is not known.
    drop(stdin.write_all(line.repeat(100_000).as_bytes()));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stderr, b"");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn every_case_of_the_suite() {
    let folder = Folder::new();
    let mut failures = Vec::new();
    let mut count = 0;
    for file in &SUITE.files {
        folder.file("cors.toml", &file.document);
        let mut groups: BTreeMap<Option<&str>, Vec<&Case>> = BTreeMap::new();
        for case in &file.cases {
            groups.entry(case.policy.as_deref()).or_default().push(case);
        }
        for (policy, cases) in groups {
            let mut args = vec!["decide", "--config", "cors.toml"];
            match policy {
                Some(policy) => args.extend(["--policy", policy]),
                None => args.push("--no-policy"),
            }
            let input: String = cases.iter().map(|case| line(case)).collect();
            let ran = folder.run_with(&args, input);
            ran.exits(0);
            let answers = lines(&ran);
            assert_eq!(answers.len(), cases.len());
            for (case, value) in cases.iter().zip(&answers) {
                let found = answer(value, case);
                failures.extend(check::verify(case, &found).err());
                count += 1;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count >= 250, "only {count} cases");
}

fn line(case: &Case) -> String {
    let text = |bytes: &[u8]| -> String {
        bytes.iter().copied().map(char::from).collect()
    };
    let headers: Vec<(String, String)> = case
        .lines
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    json!({ "method": text(&case.method), "headers": headers }).to_string()
        + "\n"
}

/// The answer in the suite's terms, which the output does not have in full.
fn answer(value: &Value, case: &Case) -> Answer {
    let word = |key: &str, known: &[&'static str]| {
        let found = value[key].as_str().unwrap();
        *known.iter().find(|word| **word == found).unwrap()
    };
    let number = |key: &str| value[key].as_u64();
    let mut headers = Vec::new();
    let mut vary = Vec::new();
    for header in value["headers"].as_array().unwrap() {
        let [name, text] = header.as_array().unwrap().as_slice() else {
            panic!("{header}");
        };
        assert!(vary.is_empty(), "Vary is not the last: {value}");
        let text = text.as_str().unwrap();
        match name.as_str().unwrap() {
            "Vary" => {
                let known = &case.answer.vary;
                for name in text.split(", ") {
                    let found = known.iter().find(|k| **k == name);
                    vary.push(*found.unwrap_or(&"another name"));
                }
            }
            name => {
                let bytes =
                    text.chars().map(|c| u8::try_from(c).unwrap()).collect();
                headers.push((name.to_owned(), bytes));
            }
        }
    }
    let owned = [&OWNED[..], &[OWNED_TIMING]].concat();
    Answer {
        kind: word("kind", &["none", "actual", "preflight", "websocket"]),
        outcome: word("outcome", &["allow", "deny", "none"]),
        reason: word("reason", &REASONS),
        rule: number("rule").map(|rule| u32::try_from(rule).unwrap()),
        status: number("status").map(|status| u16::try_from(status).unwrap()),
        enforced: case.answer.enforced,
        headers,
        vary,
        remove: value["remove"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| {
                let name = name.as_str().unwrap();
                *owned.iter().find(|owned| **owned == name).unwrap()
            })
            .collect(),
    }
}
