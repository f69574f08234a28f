//! nginx with the module under valgrind, through requests of every kind and five
//! reloads: no error, and no byte lost that the module allocated.

use std::fs;

use libcors_testkit::{
    http::{self, Application},
    nginx::Installation,
    suite::Line,
};

const POLICIES: &str = r#"
[policy.api]
allow_origins = ["https://app.example.com", "https://*.example.org:*"]
allow_methods = ["PUT"]
allow_headers = ["X-A"]
allow_credentials = true
max_age = 600

[policy.echo]
allow_origins = ["https://app.example.com"]
allow_methods = ["*"]
allow_headers = ["*"]
allow_credentials = true
"#;

fn line(name: &str, value: &str) -> Line {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

/// The paragraphs of a log of valgrind.
fn records(log: &str) -> impl Iterator<Item = String> {
    let mut records = vec![String::new()];
    for line in log.lines() {
        let text = line.splitn(3, "==").nth(2).unwrap_or_default();
        match text.trim() {
            "" => records.push(String::new()),
            _ => {
                let last = records.last_mut().unwrap();
                *last += line;
                last.push('\n');
            }
        }
    }
    records.into_iter()
}

#[test]
fn five_reloads_lose_nothing() {
    let application = Application::start().unwrap();
    let port = http::free_port().unwrap();
    let installation = Installation::find().unwrap();
    let folder = installation.prepare(&[("cors.toml", POLICIES)]).unwrap();
    let conf = format!(
        "{}http {{\ncors_policies cors.toml;\naccess_log logs/access.log;\n\
         server {{\nlisten 127.0.0.1:{port};\ncors api;\n\
         error_page 404 /e;\n\
         location /app {{ proxy_pass http://127.0.0.1:{}/vary/A/B; }}\n\
         location /echo {{ cors echo; }}\n\
         location /variable {{ cors $http_x_policy; }}\n}}\n}}\n",
        folder.preamble(""),
        application.port()
    );
    folder.write("nginx.conf", &conf).unwrap();
    let logs = format!("--log-file={}/valgrind.%p", folder.path().display());
    let server = folder
        .start_under(
            &[
                "valgrind",
                "--leak-check=full",
                "--show-leak-kinds=definite,indirect",
                "--errors-for-leak-kinds=none",
                // Modules are unloaded before leaks are looked for.
                "--keep-debuginfo=yes",
                &logs,
            ],
            port,
        )
        .unwrap();
    let ask = || {
        for path in ["/app", "/missing", "/echo", "/variable"] {
            for origin in
                ["https://app.example.com", "https://a.example.org:1", "null"]
            {
                for (method, asked) in [("GET", false), ("OPTIONS", true)] {
                    let mut lines =
                        vec![line("Origin", origin), line("X-Policy", "api")];
                    if asked {
                        lines.extend([
                            line("Access-Control-Request-Method", "PUT"),
                            line("Access-Control-Request-Headers", "x-a"),
                            line("Access-Control-Request-Headers", "x-b, x-c"),
                        ]);
                    }
                    let bytes =
                        http::request_bytes(method.as_bytes(), path, &lines);
                    http::exchange(port, &bytes).unwrap();
                }
            }
        }
    };
    ask();
    for _ in 0..5 {
        server.reload().unwrap();
        ask();
    }
    // A policy file with errors takes other paths.
    folder.write("cors.toml", "[policy.api]\nallow_origins = [1]\n").unwrap();
    server.signal("HUP").unwrap();
    ask();
    folder.write("cors.toml", POLICIES).unwrap();
    server.reload().unwrap();
    drop(server);

    let mut processes = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("valgrind.") {
            continue;
        }
        processes += 1;
        let log = fs::read_to_string(&path).unwrap();
        assert!(log.contains("ERROR SUMMARY: 0 errors"), "{log}");
        // nginx itself does not free all that a process starts with. What is
        // lost must not have been allocated by the module, nor on its behalf.
        let lost = records(&log)
            .filter(|record| record.contains("lost in loss record"));
        for record in lost {
            assert!(!record.contains("cors"), "{record}");
        }
    }
    // The master, and a worker for each configuration that was good.
    assert!(processes >= 7, "only {processes} processes");
}
