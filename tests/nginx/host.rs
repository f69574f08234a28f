//! What nginx does around a decision: phases, errors, redirects, caches, error
//! pages, configuration, reloads.

use std::{env, fs, path::Path, process::Command, thread, time::Duration};

use libcors_testkit::{http, nginx::Installation};
use libcors_tests::{
    front::{
        APP, EVIL, OTHER, POLICIES, assert_allowed, assert_denied,
        assert_preflight, cors_lines,
    },
    nginx::Host,
};

#[test]
fn preflights_come_before_everything_that_refuses() {
    let host = Host::new(
        "limit_req_zone $server_addr zone=one:1m rate=1r/m;\n\
         proxy_cache_path cache keys_zone=c:1m;",
        r#"
        cors api;
        location /basic { auth_basic x; auth_basic_user_file users; }
        location /request { auth_request /auth; }
        location = /auth { internal; return 403; }
        location /deny { deny all; }
        location /any { satisfy any; deny all; auth_basic x;
                        auth_basic_user_file users; }
        location /limit { limit_req zone=one; }
        location /except { limit_except GET { deny all; } }
        location /dead { proxy_pass http://127.0.0.1:1; }
        location /app { proxy_pass http://127.0.0.1:$app; }
        location /try { try_files $uri @app; }
        location @app { proxy_pass http://127.0.0.1:$app; }
        location /old { rewrite ^/old(.*) /open$1 last; }
        location /open { cors open; }
        location /status { cors status; }
        location /small { client_max_body_size 1; }
        location /if { if ($http_x_a) { cors off; } }
        "#,
    );
    let server = host.start();
    for path in [
        "/basic",
        "/request",
        "/deny",
        "/any",
        "/limit",
        "/limit",
        "/limit",
        "/except",
        "/dead",
        "/app",
        "/try",
        "/missing",
        "/page.txt",
        "/small",
        "/if",
    ] {
        assert_preflight(&host.preflight(path, APP));
        assert_denied(&host.preflight(path, EVIL), 204);
    }
    // The final location decides.
    let reply = host.preflight("/old", APP);
    assert_eq!(reply.value("access-control-allow-origin"), "*");
    // Another status has a body of length 0.
    let reply = host.preflight("/status", APP);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.value("content-length"), "0");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
    // What is no preflight is refused, with headers that let the page see it.
    assert_allowed(&host.get("/basic", APP), 401, APP);
    assert_allowed(&host.get("/request", APP), 403, APP);
    assert_allowed(&host.get("/deny", APP), 403, APP);
    let reply = host.ask("OPTIONS", "/deny", &[("Origin", APP)]);
    assert_allowed(&reply, 403, APP);
    assert_allowed(&host.get("/limit", APP), 404, APP);
    assert_allowed(&host.get("/limit", APP), 503, APP);
    drop(server);
}

#[test]
fn headers_stand_once_on_every_response() {
    let host = Host::new(
        "proxy_cache_path cache keys_zone=c:1m;\n\
         gzip on; gzip_types text/plain; gzip_vary on; gzip_proxied any;",
        r#"
        cors api;
        location /app { proxy_pass http://127.0.0.1:$app/; }
        location /vary { proxy_pass http://127.0.0.1:$app/vary/A/B/a; }
        location /dead { proxy_pass http://127.0.0.1:1; }
        location /status/ { proxy_pass http://127.0.0.1:$app; }
        location /small { client_max_body_size 1;
                          proxy_pass http://127.0.0.1:$app/; }
        location /add { add_header Access-Control-Allow-Origin wrong always;
                        add_header Vary X-Own always; return 200 x; }
        location /moved { return 301 https://elsewhere.example/; }
        location /teapot { return 418; }
        location /cached { proxy_cache c; proxy_cache_valid 200 1m;
                           proxy_ignore_headers Vary;
                           add_header X-Cache $upstream_cache_status;
                           proxy_pass http://127.0.0.1:$app/; }
        location /off { cors off; proxy_pass http://127.0.0.1:$app/; }
        location /pages/ { error_page 404 /errors/e.html; }
        location /return { error_page 404 /errors/e.html; return 404; }
        location /named/ { error_page 404 = @fallback; }
        location @fallback { proxy_pass http://127.0.0.1:$app; }
        location /offpage/ { cors off; error_page 404 /errors/e.html; }
        location /offreturn { cors off; error_page 404 /errors/e.html;
                              return 404; }
        location /errors/ { internal; cors open; }
        location /dir { }
        "#,
    );
    host.folder.write("html/dir/x", "x").unwrap();
    let server = host.start();

    assert_allowed(&host.get("/page.txt", APP), 200, APP);
    let etag = host.get("/page.txt", APP).value("etag");
    let conditional = |name, value| {
        host.ask("GET", "/page.txt", &[("Origin", APP), (name, value)])
    };
    assert_allowed(&conditional("If-None-Match", &etag), 304, APP);
    assert_allowed(&conditional("Range", "bytes=0-9"), 206, APP);
    assert_allowed(&conditional("Range", "bytes=999999-"), 416, APP);
    let gzipped = conditional("Accept-Encoding", "gzip");
    assert_allowed(&gzipped, 200, APP);
    assert_eq!(gzipped.value("content-encoding"), "gzip");
    assert_eq!(gzipped.value("vary"), "Accept-Encoding, Origin");

    assert_allowed(&host.get("/missing", APP), 404, APP);
    assert_allowed(&host.get("/dead", APP), 502, APP);
    assert_allowed(&host.get("/moved", APP), 301, APP);
    assert_allowed(&host.get("/dir", APP), 301, APP);
    assert_allowed(&host.get("/teapot", APP), 418, APP);
    for status in [201, 302, 400, 404, 500, 503] {
        let path = format!("/status/{status}");
        assert_allowed(&host.get(&path, APP), status, APP);
        assert_denied(&host.get(&path, EVIL), status);
        assert_denied(&host.ask("GET", &path, &[]), status);
    }
    let post = |path, length: &str| {
        let lines = [("Origin", APP), ("Content-Length", length)];
        host.ask("POST", path, &lines)
    };
    assert_allowed(&post("/small", "9"), 413, APP);
    assert_allowed(&post("/page.txt", "0"), 405, APP);

    // What the application and add_header say about CORS is replaced.
    let reply = host.get("/app", APP);
    assert_allowed(&reply, 200, APP);
    assert_eq!(reply.value("vary"), "Accept-Language, Origin");
    assert_eq!(reply.value("x-application"), "yes");
    let reply = host.get("/add", APP);
    assert_allowed(&reply, 200, APP);
    assert_eq!(reply.value("vary"), "X-Own, Origin");
    assert_eq!(host.get("/vary", APP).value("vary"), "A, B, Origin");
    assert_denied(&host.get("/app", EVIL), 200);

    // A cached response gets the headers of each request anew.
    for (origin, cache) in [(APP, "MISS"), (OTHER, "HIT"), (APP, "HIT")] {
        let reply = host.get("/cached", origin);
        assert_allowed(&reply, 200, origin);
        assert_eq!(reply.value("x-cache"), cache);
    }
    let reply = host.get("/cached", EVIL);
    assert_denied(&reply, 200);
    assert_eq!(reply.value("x-cache"), "HIT");

    // `off` leaves everything as it is, on its error pages too.
    let reply = host.get("/off", APP);
    assert_eq!(reply.values("access-control-allow-origin").len(), 2);
    assert_eq!(reply.value("vary"), "Accept-Language");
    for path in ["/offpage/x", "/offreturn"] {
        let reply = host.get(path, APP);
        assert_eq!((reply.status, cors_lines(&reply)), (404, 0), "{path}");
    }
    // An error page answers for the location that failed.
    assert_allowed(&host.get("/pages/x", APP), 404, APP);
    assert_allowed(&host.get("/return", APP), 404, APP);
    assert_allowed(&host.get("/named/x", APP), 200, APP);
    drop(server);
}

#[test]
fn a_long_vary_is_merged_whole() {
    let names: Vec<String> = (0..100).map(|i| format!("X-{i}")).collect();
    let host = Host::new(
        "",
        &format!(
            "cors api; add_header Vary \"{}\" always;\n\
         location /huge {{ add_header Vary \"{}\" always; }}",
            names.join(","),
            (0..300).map(|i| format!("X{i}")).collect::<Vec<_>>().join(","),
        ),
    );
    let server = host.start();
    let expected = format!("{}, Origin", names.join(", "));
    assert_eq!(host.get("/page.txt", APP).value("vary"), expected);
    assert_eq!(host.preflight("/x", APP).value("vary"), expected);
    // No cache could keep so many apart.
    assert_eq!(host.get("/huge", APP).value("vary"), "*");
    drop(server);
}

#[test]
fn any_number_of_vary_lines_is_merged() {
    let names = |count: usize| (1..=count).map(|i| format!("X-{i}"));
    let mut locations = String::new();
    for count in 1..=40 {
        let lines: Vec<String> = names(count)
            .map(|name| format!("add_header Vary {name};"))
            .collect();
        locations += &format!(
            "location /{count}/ {{ alias html/; {} }}\n",
            lines.join(" ")
        );
    }
    let host = Host::new(
        "gzip on; gzip_types text/plain; gzip_vary on; gzip_min_length 1;",
        &format!("cors api;\n{locations}"),
    );
    let server = host.start();
    for count in 1..=40 {
        let names = names(count).collect::<Vec<_>>().join(", ");
        let path = format!("/{count}/page.txt");
        let expected = format!("{names}, Accept-Encoding, Origin");
        for (coding, seen) in [("gzip", "gzip"), ("identity", "")] {
            let lines = [("Origin", APP), ("Accept-Encoding", coding)];
            let reply = host.ask("GET", &path, &lines);
            assert_allowed(&reply, 200, APP);
            assert_eq!(reply.value("content-encoding"), seen);
            assert_eq!(reply.value("vary"), expected);
        }
        let reply = host.preflight(&path, APP);
        assert_eq!(reply.value("vary"), format!("{names}, Origin"));
    }
    drop(server);
}

#[test]
fn http2_gets_the_same() {
    let host = Host::new(
        "",
        "cors api; location /app { proxy_pass http://127.0.0.1:$app/; }",
    );
    // One listener for both protocols, as nginx 1.22 has it, speaks HTTP/2 alone
    // in clear text.
    let port = http::free_port().unwrap();
    let conf = host.folder.read("nginx.conf");
    let conf = conf.replace(
        "root html;",
        &format!("listen 127.0.0.1:{port} http2;\nroot html;"),
    );
    host.folder.write("nginx.conf", &conf).unwrap();
    let server = host.start();
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl")
            .args(["-s", "--http2-prior-knowledge", "-D", "-", "-o"])
            .arg(host.folder.path().join("body"))
            .args(arguments)
            .arg(format!("http://127.0.0.1:{port}/app"))
            .output()
            .expect("curl is installed");
        String::from_utf8(output.stdout).unwrap()
    };
    let origin = format!("Origin: {APP}");
    let text = curl(&["-H", &origin]);
    assert!(text.starts_with("HTTP/2 200"), "{text}");
    let acao = format!("access-control-allow-origin: {APP}\r\n");
    assert_eq!(text.matches("access-control-allow-origin").count(), 1);
    assert!(text.contains(&acao), "{text}");
    assert!(text.contains("vary: Accept-Language, Origin\r\n"), "{text}");
    let text = curl(&[
        "-X",
        "OPTIONS",
        "-H",
        &origin,
        "-H",
        "Access-Control-Request-Method: PUT",
    ]);
    assert!(text.starts_with("HTTP/2 204"), "{text}");
    assert!(text.contains("access-control-allow-methods: PUT\r\n"), "{text}");
    drop(server);
}

#[test]
fn policies_are_inherited_whole_and_chosen_by_variables() {
    let host = Host::new(
        "map $http_x_tenant $tenant { a api; b open; off off; default ''; }\n\
         map $cors_outcome $loud { deny loud; default quiet; }\n\
         log_format cors '$uri $cors_kind $cors_outcome $cors_reason \
         $cors_policy $cors_rule $loud';\n\
         cors api;",
        r#"
        access_log logs/cors.log cors;
        location /sub { add_header X-Frame-Options DENY; }
        location /open { cors open; location /open/sub { } }
        location /off { cors off; }
        location /if { if ($http_x_off) { cors off; } }
        location /tenant { cors $tenant; }
        location /client { cors $http_x_policy; }
        location /set { set $p open; cors $p; }
        location /strict { cors strict; }
        location /sockets { cors sockets; }
        location /report { cors report; proxy_pass http://127.0.0.1:$app/; }
        location /ssi { ssi on; ssi_types text/plain; }
        error_page 403 /refused;
        location = /refused { internal; return 403 refused; }
        "#,
    );
    host.folder
        .write("html/ssi.txt", "<!--# include virtual=\"/open/x\" -->")
        .unwrap();
    let server = host.start();
    assert_allowed(&host.get("/sub", APP), 404, APP);
    for path in ["/open", "/open/sub", "/set"] {
        let reply = host.get(path, APP);
        assert_eq!(reply.value("access-control-allow-origin"), "*", "{path}");
        assert_eq!(reply.values("vary").len(), 0);
    }
    assert_eq!(cors_lines(&host.get("/off", APP)), 0);
    assert_allowed(&host.get("/if", APP), 404, APP);
    let reply = host.ask("GET", "/if", &[("Origin", APP), ("X-Off", "1")]);
    assert_eq!(cors_lines(&reply), 0);
    assert_allowed(&host.get("/ssi.txt", APP), 200, APP);

    let tenant = |name| {
        host.ask("GET", "/tenant", &[("Origin", APP), ("X-Tenant", name)])
    };
    assert_allowed(&tenant("a"), 404, APP);
    assert_eq!(tenant("b").value("access-control-allow-origin"), "*");
    let reply = tenant("off");
    assert_eq!((cors_lines(&reply), reply.values("vary").len()), (0, 0));
    assert_denied(&tenant("nobody"), 404);

    // A name that a client chose is not logged raw.
    let lines = [("Origin", APP), ("X-Policy", "a\u{1b}[31m")];
    assert_denied(&host.ask("GET", "/client", &lines), 404);
    let log = host.folder.read("logs/error.log");
    assert!(log.contains(r#"unknown policy "a\x1b[31m", expected"#), "{log}");
    let clean = |b: u8| b == b'\n' || b == b'\t' || (b' '..0x7f).contains(&b);
    assert!(log.bytes().all(clean), "{log:?}");

    // Refusals.
    let reply = host.get("/strict", EVIL);
    assert_denied(&reply, 403);
    assert_eq!(reply.body, b"refused");
    assert_eq!(host.get("/strict", "https://www.example.com").status, 404);
    let socket = |origin| {
        let lines = [("Origin", origin), ("Upgrade", "websocket")];
        host.ask("GET", "/sockets", &lines).status
    };
    assert_eq!((socket(APP), socket(EVIL)), (404, 403));
    let reply = host.get("/report", EVIL);
    assert_eq!(reply.values("access-control-allow-origin").len(), 2);
    assert_eq!(host.preflight("/report", EVIL).status, 200);

    drop(server);
    let log = host.folder.read("logs/cors.log");
    for line in [
        "/sub actual allow allowed api 0 quiet",
        "/open actual allow allowed open 0 quiet",
        "/off - - - - - quiet",
        "/tenant actual deny no_policy - - loud",
        "/refused actual deny origin_not_allowed strict - loud",
        "/strict actual none same_origin strict - quiet",
        "/refused websocket deny origin_not_allowed sockets - loud",
        "/report preflight deny origin_not_allowed report - loud",
    ] {
        assert!(log.lines().any(|other| other == line), "{line}\n{log}");
    }
}

#[test]
fn locations_made_of_return() {
    let host = Host::new(
        "",
        r#"
        cors api;
        location /early { cors_preflight_phase rewrite; return 200 early; }
        location /late { return 200 late; }
        location /login { return 302 /elsewhere; }
        location /reject { cors strict; cors_preflight_phase rewrite;
                           return 200 x; }
        location /refuse { cors strict; return 200 secret; }
        location /moved { cors strict; return 301 /; }
        location /on/ { cors_preflight_phase rewrite;
                        location /on/off { cors_preflight_phase preaccess;
                                           return 401; }
                        location /on/on { return 401; } }
        # The location before the `rewrite` answers preflights.
        location /first { cors open; cors_preflight_phase rewrite;
                          rewrite ^ /second last; }
        location /second { cors api; return 401; }
        "#,
    );
    let server = host.start();
    assert_preflight(&host.preflight("/on/on", APP));
    assert_eq!(host.preflight("/on/off", APP).status, 401);
    let reply = host.preflight("/first", APP);
    assert_eq!(reply.status, 204);
    assert_eq!(reply.value("access-control-allow-origin"), "*");
    assert_allowed(&host.get("/first", APP), 401, APP);
    assert_preflight(&host.preflight("/early", APP));
    assert_allowed(&host.get("/early", APP), 200, APP);
    // `return` comes first, and the filter still sets the headers.
    let reply = host.preflight("/late", APP);
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"late"[..]));
    assert_eq!(reply.value("access-control-allow-methods"), "PUT");
    assert_eq!(host.preflight("/login", APP).status, 302);
    assert_eq!(host.get("/reject", EVIL).status, 403);
    // What is refused is refused, even if `return` comes first.
    for path in ["/refuse", "/reject"] {
        let reply = host.get(path, EVIL);
        assert_denied(&reply, 403);
        assert!(!reply.body.ends_with(b"secret"), "{reply:?}");
        assert_eq!(host.get(path, APP).status, 200);
    }
    assert_eq!(host.get("/moved", EVIL).status, 301);
    drop(server);
}

#[test]
fn a_return_of_the_server_comes_before_any_location() {
    let host = Host::new("", "cors api; return 200 server;");
    let server = host.start();
    assert_allowed(&host.get("/", APP), 200, APP);
    let reply = host.preflight("/", APP);
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"server"[..]));
    assert_eq!(reply.value("access-control-allow-methods"), "PUT");
    drop(server);
}

#[test]
fn bad_configurations_are_refused_with_every_problem() {
    let host = Host::new("", "");
    let check = |http: &str, server: &str, expected: &[&str]| {
        host.configure(http, server);
        let (good, text) = host.folder.check().unwrap();
        assert!(!good, "{text}");
        for line in expected {
            assert!(text.contains(line), "{line}\n{text}");
        }
    };
    let bad = "[policy.a]\nallow_origins = [\n  \"https://a.example/\",\n  \
               \"HTTPS://b.example\",\n]\nallow_orgins = []\n";
    host.folder.write("bad.toml", bad).unwrap();
    check(
        "cors_policies bad.toml;",
        "cors a;",
        &[
            "/bad.toml:3:",
            "https://a.example",
            "/bad.toml:4:",
            "https://b.example",
            "/bad.toml:6:1:",
            "allow_origins",
            "nginx.conf:",
        ],
    );
    check("cors_policies missing.toml;", "", &["missing.toml", "No such file"]);
    check(
        "cors_policies cors.toml;",
        "",
        &[
            "duplicate policy `api`",
            "duplicate policy `sockets`",
            "note: first defined here",
        ],
    );
    check(
        "",
        "cors apii;",
        &["unknown policy \"apii\", expected \"api\"", ".conf:"],
    );
    check("", "cors api; cors open;", &["\"cors\" directive is duplicate"]);
    check("", "cors '';", &["has an empty policy name"]);

    check("", "cors_preflight_phase access;", &["invalid value \"access\""]);
    let conf = "events {} http { server { cors api; } }";
    let conf = format!("{}{conf}", host.folder.preamble(""));
    let conf = conf.replacen("events {}", "", 1);
    host.folder.write("nginx.conf", &conf).unwrap();
    let (good, text) = host.folder.check().unwrap();
    assert!(!good && text.contains("needs a \"cors_policies\""), "{text}");

    // A warning is printed, and does no harm.
    let warned = "[policy.warned]\nallow_origins = [\"https://a.example\"]\n\
                  max_age = 86400\n";
    host.folder.write("warned.toml", warned).unwrap();
    host.configure("cors_policies warned.toml;", "cors warned;");
    let (good, text) = host.folder.check().unwrap();
    assert!(good && text.contains("[warn]"), "{text}");
    assert!(text.contains("/warned.toml:3:"), "{text}");
    assert_eq!(text.matches("[warn]").count(), 1, "{text}");

    // A relative name is relative to the folder of nginx.conf, wherever the
    // directive is.
    host.configure("include conf.d/more.conf;", "cors warned;");
    host.folder
        .write("conf.d/more.conf", "cors_policies policies/w.toml;")
        .unwrap();
    host.folder.write("policies/w.toml", warned).unwrap();
    for name in ["nginx.conf", "conf.d/more.conf", "cors.toml"] {
        let text = host.folder.read(name);
        host.folder.write(&format!("sub/{name}"), &text).unwrap();
    }
    host.folder.write("sub/policies/w.toml", warned).unwrap();
    for (arguments, seen) in [
        (&["-t"][..], "/policies/w.toml:3:"),
        (&["-t", "-c", "sub/nginx.conf"], "/sub/policies/w.toml:3:"),
    ] {
        let output = host.folder.command(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        assert!(text.contains(seen), "{text}");
    }

    // A file may come after the policies that are named.
    host.configure("cors more;\ncors_policies more.toml;", "");
    let more = "[policy.more]\nallow_origins = [\"https://a.example\"]\n";
    host.folder.write("more.toml", more).unwrap();
    assert!(host.folder.check().unwrap().0);
}

#[test]
fn a_reload_keeps_the_old_policy_until_the_new_one_is_good() {
    let host = Host::new("", "cors api;");
    let server = host.start();
    assert_allowed(&host.get("/page.txt", APP), 200, APP);
    host.folder.write("cors.toml", "[policy.api]\nx = 1\n").unwrap();
    server.signal("HUP").unwrap();
    for _ in 0..500 {
        if host.folder.read("logs/error.log").contains("cors.toml:2:1") {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let log = host.folder.read("logs/error.log");
    assert!(log.contains("cors.toml:2:1"), "{log}");
    assert_allowed(&host.get("/page.txt", APP), 200, APP);
    let new = POLICIES.replace(APP, EVIL);
    host.folder.write("cors.toml", &new).unwrap();
    server.reload().unwrap();
    assert_allowed(&host.get("/page.txt", EVIL), 200, EVIL);
    assert_denied(&host.get("/page.txt", APP), 200);

    // `nginx -s` reads the configuration before it sends anything.
    host.folder.write("cors.toml", "[policy.api]\nx = 1\n").unwrap();
    let output = host.folder.command(&["-s", "stop"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("cors.toml:2:1"), "{text}");
    assert_allowed(&host.get("/page.txt", EVIL), 200, EVIL);
    host.folder.write("cors.toml", &new).unwrap();
    let output = host.folder.command(&["-s", "stop"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for _ in 0..500 {
        if server.workers().is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(server.workers().is_empty());
    drop(server);
}

#[test]
fn hostile_requests_do_no_harm() {
    let host = Host::new(
        "large_client_header_buffers 8 64k; cors $http_x_policy;",
        "access_log logs/cors.log combined;",
    );
    let server = host.start();
    let workers = server.workers();
    let long = "a".repeat(60_000);
    let commas = ",".repeat(60_000);
    for value in [long.as_str(), &commas, "\u{1}\u{2}", "é", "%00", ""] {
        for name in [
            "Origin",
            "Access-Control-Request-Method",
            "Access-Control-Request-Headers",
            "Upgrade",
            "Sec-Fetch-Site",
            "Host",
        ] {
            for policy in ["api", "open", value] {
                for method in ["GET", "OPTIONS"] {
                    let reply = host.ask(
                        method,
                        "/page.txt",
                        &[
                            ("Origin", APP),
                            ("Access-Control-Request-Method", "PUT"),
                            ("X-Policy", policy),
                            (name, value),
                        ],
                    );
                    let count =
                        reply.values("access-control-allow-origin").len();
                    assert!(count <= 1, "{reply:?}");
                }
            }
        }
    }
    for bytes in [
        b"GET /\r\n\r\n".as_slice(),
        b"GET / HTTP/1.1\r\nOrigin: https://app.example.com\r\n\r\n",
        b"\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\nOrigin: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: a\x00b\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ] {
        // Whether nginx answers these at all does not matter.
        drop(http::exchange(host.port, bytes));
    }
    assert_eq!(server.workers(), workers, "a worker died");
    drop(server);
    let log = host.folder.read("logs/error.log");
    let ours = log.lines().filter(|line| line.contains("cors:"));
    for line in ours {
        // What follows is nginx's own, and holds what the client sent.
        let line = line.split(", client:").next().unwrap();
        assert!(line.bytes().all(|b| (b' '..0x7f).contains(&b)), "{line:?}");
        assert!(line.len() < 1000, "{line}");
    }
}

#[test]
fn a_panic_of_the_library_costs_the_headers_alone() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/nginx-test-panic/ngx_http_cors_module.so");
    let module =
        env::var_os("CORS_NGINX_PANIC_MODULE").map_or(built, Into::into);
    assert!(
        module.exists(),
        "{} is missing: run `cargo xtask nginx --features test-panic`",
        module.display()
    );
    let host = Host::new("", "cors api;");
    let own = Installation::find().unwrap().module.unwrap();
    let conf = host.folder.read("nginx.conf");
    let conf = conf.replace(
        &own.display().to_string(),
        &fs::canonicalize(module).unwrap().display().to_string(),
    );
    host.folder.write("nginx.conf", &conf).unwrap();
    let server = host.start();
    let workers = server.workers();
    for _ in 0..3 {
        assert_denied(&host.get("/page.txt", "https://panic.example"), 200);
        assert_allowed(&host.get("/page.txt", APP), 200, APP);
    }
    assert_eq!(server.workers(), workers, "a worker died");
    drop(server);
    let log = host.folder.read("logs/error.log");
    let text = "cors: decision failed: internal error; requests fail closed";
    assert_eq!(log.matches(text).count(), 1, "{log}");
}
