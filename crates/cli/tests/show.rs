//! `cors show`

mod common;

use common::Folder;
use libcors_testkit::suite::SUITE;

const DOCUMENT: &str = r#"[defaults]
max_age = "10m"

[policy.api]
allow_origins = [
  "https://app.example.com",
  "https://*.example.org:*",
  "https://pr-*.preview.example.com",
  "http://127.0.0.1:3000",
  "null",
]
allow_headers = ["Content-Type", "content-type"]
allow_credentials = true
dangerously_allow = ["null_origin"]

[policy."public.v1"]
allow_origins = ["*"]
"#;

#[test]
fn tells_what_rules_cover() {
    let folder = Folder::new();
    folder.file("cors.toml", DOCUMENT);
    let ran = folder.run(&["show", "cors.toml", "--policy", "api"]);
    ran.exits(0);
    for part in [
        "[policy.api]\n",
        "# [0] this origin alone\n  #     not    http://app.example.com, \
         https://app.example.com:8443, https://www.app.example.com\n",
        "# [1] https, all hosts under example.org, at any depth, not \
         example.org itself, on any port\n  #     covers \
         https://a.example.org, https://a.example.org:8443, ",
        "#     not    https://example.org, https://evilexample.org, ",
        "#     not    https://pr-.preview.example.com, \
         https://pr-a.b.preview.example.com, ",
        "\n  \"http://127.0.0.1:3000\",\n",
        "allow_headers = [\"content-type\"]\n",
        "max_age = 600\n",
        "# null_origin: ",
        "#   allow_origins[4]: `null` is sent by sandboxed frames of any site",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
    assert!(!ran.out.contains("public.v1"));
}

#[test]
fn what_is_shown_means_the_same() {
    let folder = Folder::new();
    folder.file("own.toml", DOCUMENT);
    let mut names = vec!["own.toml".to_owned()];
    for file in &SUITE.files {
        let name = format!("{}.toml", file.name);
        folder.file(&name, &file.document);
        names.push(name);
    }
    for name in names {
        let json = |file: &str| {
            let ran = folder.run(&["show", file, "--format", "json"]);
            ran.exits(0);
            ran.out
        };
        let first = folder.run(&["show", &name]);
        first.exits(0);
        let original = json(&name);
        folder.file("shown.toml", &first.out).file("shown.json", &original);
        assert_eq!(json("shown.toml"), original, "{name}");
        assert_eq!(json("shown.json"), original, "{name}");
        let second = folder.run(&["show", "shown.toml"]);
        assert_eq!(second.out, first.out, "{name}");
    }
}

#[test]
fn says_what_is_wrong() {
    let folder = Folder::new();
    folder
        .file("cors.toml", DOCUMENT)
        .file("bad.toml", "[policy.a]\nallow_origins = [\"x\"]\n");
    let ran = folder.run(&["show", "cors.toml", "--policy", "web"]);
    ran.exits(2);
    assert_eq!(
        ran.err,
        "error: cors.toml has no policy `web`; it has `api`, `public.v1`\n"
    );
    let ran = folder.run(&["show", "bad.toml"]);
    ran.exits(1);
    assert_eq!(ran.out, "");
    assert!(ran.err.contains(" --> bad.toml:2:19\n"), "{}", ran.err);
    folder.run(&["show", "none.toml"]).exits(2);
    let ran = folder.run_with(&["show", "-"], DOCUMENT);
    ran.exits(0);
}
