//! `cors check`

mod common;

use common::Folder;

const BAD: &str = r#"[defaults]
allow_credentials = true

[policy.api]
allow_origins = ["https://app.example.com/"]
	max_age = 90000
expose_headers = ["*"]
allow_methods = ["GET"]
"#;

const GOOD: &str = "[policy.api]\nallow_origins = [\"https://a.example\"]\n";

const WARNS: &str = "[policy.api]\nallow_origins = []\nmax_age = 7201\n";

const REPORT: &str = r#"error[E0209]: invalid origin `https://app.example.com/`: an origin has no slash at its end
 --> cors.toml:5:42
  |
5 | allow_origins = ["https://app.example.com/"]
  |                                          ^
  |
  = help: write "https://app.example.com"

error[E0402]: `max_age` is at least 0 and at most 86400 seconds, a day
 --> cors.toml:6:12
  |
6 |     max_age = 90000
  |               ^^^^^
  |
  = help: write 7200, the most that Chromium keeps

error[E0310]: `*` exposes nothing with credentials: browsers treat it as a header name
 --> cors.toml:7:19
  |
7 | expose_headers = ["*"]
  |                   ^^^
  |
  = help: write out the names of the headers
note: credentials are allowed here
 --> cors.toml:2:1
  |
2 | allow_credentials = true
  | ^^^^^^^^^^^^^^^^^^^^^^^^

warning[W0301]: GET is always allowed
 --> cors.toml:8:18
  |
8 | allow_methods = ["GET"]
  |                  ^^^^^
  |
  = help: remove it

3 errors, 1 warning in cors.toml
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder
        .file("cors.toml", BAD)
        .file("good.toml", GOOD)
        .file("warns.toml", WARNS);
    folder
}

#[test]
fn shows_problems_like_a_compiler() {
    let ran = folder().run(&["check", "cors.toml"]);
    ran.exits(1);
    assert_eq!(ran.out, REPORT);
    assert_eq!(ran.err, "");
}

#[test]
fn has_colours_if_asked_to() {
    let folder = folder();
    let ran = folder.run(&["--color", "always", "check", "cors.toml"]);
    ran.exits(1);
    assert!(ran.out.starts_with("\u{1b}[1m\u{1b}[91merror[E0209]"));
    assert_eq!(without_colours(&ran.out), REPORT);

    let never = ["check", "cors.toml", "--color=never"];
    let mut command = folder.command(&never);
    let forced = command.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert_eq!(String::from_utf8(forced.stdout).unwrap(), REPORT);

    let mut command = folder.command(&["check", "cors.toml"]);
    let forced = command.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(forced.stdout.contains(&0x1b));
    command.env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE");
    assert!(!command.output().unwrap().stdout.contains(&0x1b));
}

fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split('\u{1b}');
    plain += parts.next().unwrap();
    for part in parts {
        plain += part.split_once('m').unwrap().1;
    }
    plain
}

#[test]
fn exits_with_what_it_found() {
    let folder = folder();
    let good = folder.run(&["check", "good.toml"]);
    good.exits(0);
    assert_eq!(good.out, "no problems in good.toml\n");

    let warns = folder.run(&["check", "warns.toml"]);
    warns.exits(0);
    assert!(warns.out.ends_with("\n1 warning in warns.toml\n"));
    let denied = folder.run(&["check", "--deny-warnings", "warns.toml"]);
    denied.exits(1);
    assert!(denied.out.contains("--deny-warnings"));
    folder.run(&["check", "--deny-warnings", "good.toml"]).exits(0);

    let files = ["check", "good.toml", "cors.toml", "warns.toml"];
    let several = folder.run(&files);
    several.exits(1);
    assert!(several.out.ends_with("3 errors, 2 warnings in 3 files\n"));

    let missing = folder.run(&["check", "cors.toml", "none.toml"]);
    missing.exits(2);
    assert!(missing.out.contains("error[E0101]: `none.toml` cannot be read"));
    folder.run(&["check", "."]).exits(2);
    folder.run(&["check"]).exits(2);
    folder.run(&["check", "--wrong", "good.toml"]).exits(2);
}

#[test]
fn reads_standard_input() {
    let folder = folder();
    let args = ["check", "-", "--stdin-name", "cors.toml"];
    let ran = folder.run_with(&args, BAD);
    ran.exits(1);
    assert_eq!(ran.out, REPORT);

    let ran = folder.run_with(&["check", "-"], GOOD);
    ran.exits(0);
    assert_eq!(ran.out, "no problems in <stdin>\n");
    let ran = folder.run_with(&["check", "-", "-"], GOOD);
    ran.exits(2);
    assert!(ran.err.contains("stands twice"));
}

#[test]
fn writes_json() {
    let folder = folder();
    let ran =
        folder.run(&["check", "good.toml", "cors.toml", "--format", "json"]);
    ran.exits(1);
    let report = ran.json();
    assert_eq!(report["files"], serde_json::json!(["good.toml", "cors.toml"]));
    assert_eq!(report["errors"], 3);
    assert_eq!(report["warnings"], 1);
    let diagnostics = report["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 4);
    assert_eq!(
        diagnostics[0],
        serde_json::json!({
            "severity": "error",
            "code": "E0209",
            "file": "cors.toml",
            "line": 5,
            "column": 42,
            "offset": 91,
            "length": 1,
            "key_path": "policy.api.allow_origins[0]",
            "message": "invalid origin `https://app.example.com/`: an origin \
                        has no slash at its end",
            "hint": "write \"https://app.example.com\"",
            "related": [],
        })
    );
    assert_eq!(&BAD[91..92], "/");
    let related = &diagnostics[2]["related"][0];
    assert_eq!(related["line"], 2);
    assert_eq!(related["key_path"], "defaults.allow_credentials");
}

#[test]
fn writes_sarif() {
    let folder = folder();
    folder.file("long name.toml", BAD);
    let ran = folder.run(&["check", "long name.toml", "--format", "sarif"]);
    ran.exits(1);
    let log = ran.json();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["version"], env!("CARGO_PKG_VERSION"));
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    for result in results {
        let rule =
            &driver["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(!rule["help"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "long%20name.toml");
    }
    let region = &results[1]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        *region,
        serde_json::json!({
            "startLine": 6, "startColumn": 12, "endLine": 6, "endColumn": 17,
        })
    );
    let related = &results[2]["relatedLocations"][0];
    assert_eq!(related["physicalLocation"]["region"]["startLine"], 2);

    let ran = folder.run(&["check", "none.toml", "--format", "sarif"]);
    ran.exits(2);
    let run = &ran.json()["runs"][0];
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    assert_eq!(run["results"][0]["ruleId"], "E0101");
}

#[test]
fn shortens_lines_and_shows_no_control_character() {
    let folder = Folder::new();
    let origins: Vec<String> =
        (0..50_000).map(|i| format!("\"https://a{i}.example\"")).collect();
    let origins = origins.join(", ");
    let huge = format!(
        "[policy.p]\nallow_origins = [{origins}, \"https://X.example\", \
         {origins}]"
    );
    folder.file("huge.toml", &huge);
    let ran = folder.run(&["check", "huge.toml"]);
    ran.exits(1);
    let column = huge.find("X.example").unwrap() - huge.find('\n').unwrap();
    assert!(ran.out.contains(&format!(" --> huge.toml:2:{column}\n")));
    assert!(ran.out.lines().all(|line| line.len() < 250));
    assert!(ran.out.contains("…"));

    let odd = b"\xef\xbb\xbf[policy.p]\r\nallow_origins = []\r\n\
        max_age = \"x\xff\x1b[31m\xe2\x80\xae\"\r\n";
    folder.file("odd.toml", odd);
    let ran = folder.run(&["check", "odd.toml"]);
    ran.exits(1);
    assert!(ran.out.contains(" --> odd.toml:3:13\n"), "{}", ran.out);
    let hidden = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!ran.out.contains(hidden), "{:?}", ran.out);
}
