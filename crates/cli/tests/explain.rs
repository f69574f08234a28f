//! `cors explain`

mod common;

use common::{Folder, Ran};

const DOCUMENT: &str = r#"[policy.api]
allow_origins = ["https://a.example"]
allow_methods = ["PUT"]
allow_headers = ["content-type"]

[policy.any]
allow_origins = ["*"]

[policy.closed]
allow_origins = []
websocket = "reject"
self_origins = ["https://self.example"]
"#;

fn explain(args: &[&str]) -> Ran {
    let folder = Folder::new();
    folder.file("cors.toml", DOCUMENT);
    folder.run(&[&["explain", "--config", "cors.toml"], args].concat())
}

const ALLOWED: &str = r#"1. the preflight
request             preflight: may PUT be sent with content-type?
origin      passed  https://a.example is covered by allow_origins[0], "https://a.example"
credentials         the page sends no credentials
method      passed  allow_methods covers PUT
headers     passed  allow_headers covers all of them
answer              204, without asking the application
                    Access-Control-Allow-Origin: https://a.example
                    Access-Control-Allow-Methods: PUT
                    Access-Control-Allow-Headers: content-type
                    Vary: Origin

2. the PUT request
request             PUT with an Origin
origin      passed  https://a.example is covered by allow_origins[0], "https://a.example"
credentials         the page sends no credentials
answer              the application's
                    Access-Control-Allow-Origin: https://a.example
                    Vary: Origin

not blocked
"#;

#[test]
fn tells_both_requests_in_the_browsers_order() {
    let page = [
        "--policy",
        "api",
        "--origin",
        "https://a.example",
        "--method",
        "put",
        "--header",
        "Content-Type: application/json",
        "--header",
        "Accept",
        "--credentials",
        "omit",
    ];
    let ran = explain(&page);
    ran.exits(0);
    assert_eq!(ran.out, ALLOWED);
    let ran = explain(&[&page[..], &["--color", "always"]].concat());
    assert!(ran.out.starts_with("\u{1b}[1m1. the preflight\u{1b}[0m\n"));
}

#[test]
fn tells_what_blocks_and_what_to_change() {
    let page = [
        "--policy",
        "api",
        "--origin",
        "https://a.example",
        "--header",
        "X-A",
        "--header",
        "x-b: 1",
        "--header",
        "Cookie",
    ];
    let ran = explain(&page);
    ran.exits(0);
    for part in [
        "preflight: may GET be sent with x-a,x-b?",
        "headers     FAILED  allow_headers does not list x-a, x-b",
        "Chromium says       Access to fetch at '<URL>' from origin \
         'https://a.example' has been blocked by CORS policy: Request header \
         field x-a is not allowed",
        "Firefox says        Cross-Origin Request Blocked:",
        "to allow it         add \"x-a\", \"x-b\" to allow_headers",
        "2. the GET request: not sent, as the preflight failed",
        "a page may not set Cookie",
        "\nblocked\n",
    ] {
        assert!(ran.out.contains(part), "{part}\n{}", ran.out);
    }
    explain(&[&page[..], &["--exit-code"]].concat()).exits(1);

    let ran = explain(&[
        "--policy",
        "any",
        "--origin",
        "https://x.example",
        "--credentials",
        "include",
        "--exit-code",
    ]);
    ran.exits(1);
    assert!(ran.out.contains("must not be the wildcard '*'"));
    assert!(!ran.out.contains("preflight"));
}

#[test]
fn writes_json() {
    let ran = explain(&[
        "--policy",
        "api",
        "--origin",
        "https://a.example",
        "--method",
        "DELETE",
        "--format",
        "json",
    ]);
    ran.exits(0);
    let report = ran.json();
    assert_eq!(report["blocked"], true);
    let requests = report["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request["method"], "OPTIONS");
    assert_eq!(request["kind"], "preflight");
    assert_eq!(request["reason"], "method_not_allowed");
    assert_eq!(request["rule"], 0);
    assert_eq!(request["rule_text"], "https://a.example");
    assert_eq!(request["status"], 204);
    assert_eq!(request["headers"][0][0], "Access-Control-Allow-Origin");
    let steps = request["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["step"] == "method").unwrap();
    assert_eq!(step["passed"], false);
    assert_eq!(step["text"], "allow_methods does not list DELETE");
    assert_eq!(request["advice"], "add \"DELETE\" to allow_methods");
    assert!(request["chromium"].as_str().unwrap().contains("Method DELETE"));
    assert!(request["firefox"].as_str().unwrap().contains("Reason:"));
}

#[test]
fn knows_websockets_the_sites_own_origin_and_no_policy() {
    let ran = explain(&[
        "--policy",
        "closed",
        "--origin",
        "https://x.example",
        "--websocket",
        "--exit-code",
    ]);
    ran.exits(1);
    assert!(ran.out.starts_with("1. the WebSocket\n"));
    assert!(ran.out.contains("403, without asking the application"));

    let own = explain(&[
        "--policy",
        "closed",
        "--origin",
        "https://self.example",
        "--method",
        "PUT",
        "--exit-code",
    ]);
    own.exits(0);
    assert!(own.out.starts_with("1. the PUT request\n"));

    let host = explain(&[
        "--policy",
        "api",
        "--origin",
        "https://api.example",
        "--scheme",
        "https",
        "--host",
        "api.example",
        "--exit-code",
    ]);
    host.exits(0);
    let site = explain(&[
        "--policy",
        "api",
        "--origin",
        "https://api.example",
        "--sec-fetch-site",
        "same-origin",
        "--exit-code",
    ]);
    site.exits(0);

    let none = explain(&[
        "--no-policy",
        "--origin",
        "https://a.example",
        "--exit-code",
    ]);
    none.exits(1);
    assert!(none.out.contains("there is no policy of the name"));
}

#[test]
fn refuses_what_no_page_can_send() {
    let origin = ["--policy", "api", "--origin", "https://a.example"];
    for (more, part) in [
        (["--method", "TRACE"], "browsers let no page send TRACE"),
        (["--method", "A B"], "is no method"),
        (["--header", "A B"], "is no header name"),
        (["--header", ""], "is no header name"),
        (["--credentials", "maybe"], "possible values"),
    ] {
        let ran = explain(&[&origin[..], &more[..]].concat());
        ran.exits(2);
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    let ran = explain(&["--policy", "web", "--origin", "null"]);
    ran.exits(2);
    assert!(ran.err.contains("it has `api`, `any`, `closed`"));
}
