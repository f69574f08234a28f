//! What answers after nginx has gone on to another location: the pages of
//! errors, `try_files` and other internal redirects.

use std::time::Duration;

use libcors_testkit::{
    http::{self, Client, Reply},
    http2,
    nginx::Installation,
    suite::Line,
};
use libcors_tests::{
    front::{
        APP, EVIL, OTHER, assert_allowed, assert_denied, assert_preflight,
        cors_lines,
    },
    nginx::Host,
};

fn lines(lines: &[(&str, &str)]) -> Vec<Line> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    lines.iter().map(|(n, v)| (bytes(n), bytes(v))).collect()
}

const PREFLIGHT: [(&str, &str); 2] =
    [("Origin", APP), ("Access-Control-Request-Method", "PUT")];

/// The bytes of a preflight behind which the connection stays open.
fn kept_preflight(path: &str) -> Vec<u8> {
    http::kept_request_bytes(b"OPTIONS", path, &lines(&PREFLIGHT))
}

/// Error pages of every kind, and the status of a response that they give.
const PAGES: [(&str, u16); 8] = [
    ("/static", 503),
    // A named location does not make GET of the method, and a file knows no other.
    ("/named", 405),
    ("/proxied", 503),
    ("/as-ok", 200),
    ("/as-moved", 301),
    ("/elsewhere", 302),
    ("/plain", 503),
    ("/hidden/.x", 404),
];

const ERRORS: &str = r#"
    cors api;
    location /static { error_page 503 /errors/e.html; return 503; }
    location /named { error_page 503 @named; if ($uri) { return 503; } }
    location @named { rewrite ^ /errors/e.html break; }
    location /proxied { error_page 503 @proxied; return 503; }
    location @proxied { proxy_pass http://127.0.0.1:$app; }
    location /as-ok { error_page 503 =200 /errors/e.html; return 503; }
    location /as-moved { error_page 503 =301 /errors/e.html; return 503; }
    location /elsewhere { error_page 503 https://x.example/; return 503; }
    location /plain { return 503; }
    location /hidden { error_page 404 /errors/e.html;
                       location ~ /\. { return 404; } }
"#;

/// A whole response, whose headers say how long it is.
#[track_caller]
fn assert_whole(reply: &Reply, path: &str, status: u16) {
    assert_eq!(reply.status, status, "{path}: {reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), APP, "{path}");
    assert_eq!(reply.value("access-control-allow-methods"), "PUT", "{path}");
    assert!(!reply.body.is_empty(), "{path}: {reply:?}");
}

#[test]
fn the_page_of_an_error_answers_a_preflight() {
    let host = Host::new("", ERRORS);
    let server = host.start();

    // One connection for all, and all at once.
    let mut client = Client::connect(host.port).unwrap();
    client.set_timeout(Duration::from_secs(10)).unwrap();
    for (path, status) in PAGES {
        let reply = client.ask(&kept_preflight(path)).unwrap();
        assert_whole(&reply, path, status);
    }
    let all: Vec<u8> =
        PAGES.iter().flat_map(|(path, _)| kept_preflight(path)).collect();
    client.send(&all).unwrap();
    for (path, status) in PAGES {
        assert_whole(&client.reply(true).unwrap(), path, status);
    }
    // The next response stands alone.
    let reply = client.ask(&kept_preflight("/page.txt")).unwrap();
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    drop(server);
}

#[test]
fn the_page_of_an_error_answers_a_preflight_over_http2() {
    let host = Host::new("", ERRORS);
    let port = http::free_port().unwrap();
    let conf = host.folder.read("nginx.conf").replace(
        "root html;",
        &format!("listen 127.0.0.1:{port} http2;\nroot html;"),
    );
    host.folder.write("nginx.conf", &conf).unwrap();
    let server = host.start();
    let mut client = http2::Client::connect(port).unwrap();
    for (path, status) in PAGES {
        let reply = client
            .ask(&http2::Request {
                method: b"OPTIONS",
                path,
                protocol: None,
                lines: &lines(&PREFLIGHT),
            })
            .unwrap();
        assert_whole(&reply, path, status);
    }
    drop(server);
}

#[test]
fn the_page_of_an_error_answers_a_preflight_behind_another_nginx() {
    let host = Host::new("", ERRORS);
    let server = host.start();
    let installation = Installation::find().unwrap();
    let folder = installation.prepare(&[]).unwrap();
    let port = http::free_port().unwrap();
    let conf = format!(
        "{}http {{\nupstream back {{ server 127.0.0.1:{}; keepalive 4; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{\n\
         proxy_http_version 1.1; proxy_set_header Connection '';\n\
         proxy_pass http://back; }} }} }}\n",
        folder.preamble(""),
        host.port
    );
    folder.write("nginx.conf", &conf).unwrap();
    let front = folder.start(port).unwrap();
    let mut client = Client::connect(port).unwrap();
    for _ in 0..2 {
        for (path, status) in PAGES {
            let reply = client.ask(&kept_preflight(path)).unwrap();
            assert_whole(&reply, path, status);
        }
    }
    drop(front);
    let log = folder.read("logs/error.log");
    assert!(!log.contains("[error]"), "{log}");
    drop(server);
}

#[test]
fn a_preflight_with_a_body() {
    let host = Host::new(
        "",
        r#"
        cors api;
        location /basic { auth_basic x; auth_basic_user_file users; }
        location /small { client_max_body_size 1; }
        location /small-page { client_max_body_size 1;
                               error_page 413 /errors/e.html; }
        location /bad { error_page 400 /errors/e.html; }
        "#,
    );
    let server = host.start();
    let ask = |path, more: (&str, &str), body: &str| {
        let header = [&PREFLIGHT[..], &[more]].concat();
        let mut bytes =
            http::kept_request_bytes(b"OPTIONS", path, &lines(&header));
        bytes.extend_from_slice(body.as_bytes());
        // Another one follows, where the connection is kept.
        bytes.extend_from_slice(&kept_preflight("/page.txt"));
        let mut client = Client::connect(host.port).unwrap();
        client.set_timeout(Duration::from_secs(10)).unwrap();
        client.send(&bytes).unwrap();
        let reply = client.reply(true).unwrap();
        (reply, client.reply(true).ok())
    };
    let chunked = ("Transfer-Encoding", "chunked");
    for (more, body) in [
        (("Content-Length", "10"), "0123456789"),
        (chunked, "a\r\n0123456789\r\n0\r\n\r\n"),
    ] {
        let (reply, next) = ask("/basic", more, body);
        assert_eq!((reply.status, reply.body.len()), (204, 0));
        assert_eq!(next.map(|next| next.status), Some(204));
    }
    // A body that is none, or is too large, is an error like any other.
    for path in ["/basic", "/bad"] {
        let (reply, next) = ask(path, chunked, "no length\r\n\r\n");
        assert_whole(&reply, path, 400);
        assert!(next.is_none(), "{next:?}");
    }
    for path in ["/small", "/small-page"] {
        let (reply, _) = ask(path, ("Content-Length", "10"), "0123456789");
        assert_whole(&reply, path, 413);
    }
    drop(server);
}

#[test]
fn the_location_that_a_redirect_leads_to() {
    let host = Host::new(
        "",
        r#"
        cors api;
        location /kept/ { cors open; try_files /none /index.txt; }
        location = /index.txt { return 200 index; }
        location /a/ { try_files /none /pub/f.json; }
        location /b/ { try_files /none /pub/f.txt; }
        location /c/ { try_files /none @named; }
        location /d/ { try_files /none /off/x; }
        location /e/ { cors off; try_files /none /pub/f.txt; }
        location = /f/x { proxy_pass http://127.0.0.1:$app/accel/pub/f.json; }
        location /pub/ { cors open; if ($arg_x) { set $y 1; }
                         location ~ \.json$ { } }
        location /off/ { cors off; }
        location @named { cors open; return 200 named; }
        location /last { cors off; rewrite ^ /pub/f.json last; }
        "#,
    );
    host.folder.write("html/pub/f.json", "{}").unwrap();
    host.folder.write("html/pub/f.txt", "f").unwrap();
    let server = host.start();
    for path in [
        "/pub/f.json",
        "/pub/f.txt",
        "/a/x",
        "/a/x?x=1",
        "/b/x",
        // A location made by an `if` has the policy of the one around it.
        "/b/x?x=1",
        "/c/x",
        "/e/x",
        "/f/x",
        "/last",
        // A location that only has what the server has changes nothing.
        "/kept/x",
    ] {
        let reply = host.get(path, EVIL);
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.value("access-control-allow-origin"), "*", "{path}");
    }
    assert_allowed(&host.get("/index.txt", APP), 200, APP);
    assert_eq!(cors_lines(&host.get("/d/x", APP)), 0);
    assert_preflight(&host.preflight("/a/x", APP));
    drop(server);
}

#[test]
fn the_method_is_that_of_the_request_line() {
    // On the page of an error nginx has made GET of it.
    let host = Host::new(
        "log_format kind '$request_method $cors_kind $cors_outcome';",
        r#"
        access_log logs/kind.log kind;
        cors forward;
        error_page 404 502 /errors/e.html;
        location /return { return 404; }
        location /dead { proxy_pass http://127.0.0.1:1; }
        "#,
    );
    let server = host.start();
    for path in ["/return", "/dead"] {
        let reply = host.preflight(path, APP);
        assert_eq!(reply.value("access-control-allow-methods"), "PUT");
        let reply = host.get(path, APP);
        assert_eq!(reply.value("access-control-allow-origin"), APP);
        assert_eq!(reply.values("access-control-allow-methods").len(), 0);
    }
    drop(server);
    let log = host.folder.read("logs/kind.log");
    let mut kinds: Vec<&str> = log.lines().collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["GET actual allow", "GET preflight allow"], "{log}");
}

#[test]
fn refusals_and_error_pages() {
    let host = Host::new(
        "",
        r#"
        location /late { cors strict; return 200 secret; error_page 403 @up; }
        location /early { cors strict; cors_preflight_phase rewrite;
                          return 200 secret; error_page 403 @up; }
        location /file { cors strict; error_page 403 @up; }
        location @up { proxy_pass http://127.0.0.1:$app; }
        location /trick { cors strict; error_page 418 = @up; return 418; }
        "#,
    );
    let port = http::free_port().unwrap();
    let conf = host.folder.read("nginx.conf").replace(
        "root html;",
        &format!("listen 127.0.0.1:{port} http2;\nroot html;"),
    );
    host.folder.write("nginx.conf", &conf).unwrap();
    let server = host.start();
    let mut second = http2::Client::connect(port).unwrap();
    for (path, has_page) in
        [("/late", false), ("/early", true), ("/file", true), ("/trick", false)]
    {
        let header = lines(&[("Origin", EVIL)]);
        let request = http::kept_request_bytes(b"GET", path, &header);
        let mut client = Client::connect(host.port).unwrap();
        client.set_timeout(Duration::from_secs(10)).unwrap();
        let reply = client.ask(&request).unwrap();
        let request = http2::Request {
            method: b"GET",
            path,
            protocol: None,
            lines: &header,
        };
        let other = second.ask(&request).unwrap();
        for reply in [&reply, &other] {
            assert_eq!(reply.status, 403, "{path}: {reply:?}");
            assert_eq!(cors_lines(reply), 0, "{path}: {reply:?}");
            let body = String::from_utf8_lossy(&reply.body);
            assert_eq!(
                body.contains("application"),
                has_page,
                "{path}: {body}"
            );
            assert!(!body.contains("secret"), "{path}: {body}");
        }
        // What the header says about the connection is true.
        let is_kept = client.ask(&request_of("/file")).is_ok();
        let says = reply.value("connection") == "keep-alive";
        assert_eq!(is_kept, says, "{path}: {reply:?}");
    }
    drop(server);
}

fn request_of(path: &str) -> Vec<u8> {
    http::kept_request_bytes(b"GET", path, &lines(&[("Origin", EVIL)]))
}

#[test]
fn an_error_page_never_brings_a_policy() {
    let host = Host::new(
        "map $uri $by_uri { default api; ~^/open open; }",
        r#"
        cors wild;
        error_page 413 /open/413.html;
        error_page 400 /open/400.html;
        error_page 418 /open/418.html;
        error_page 404 /open/e.html;
        location /big { cors api; client_max_body_size 1; }
        location /refused/ { cors api; limit_except GET { deny all; }
                             error_page 403 =204 /open/none; }
        location /mapped { cors $by_uri; return 404; }
        location /guarded { cors api; return 404; }
        location /if { cors api; if ($arg_off) { cors off; return 404; } }
        location /off { cors off; return 404; }
        location = /open/none { cors open; return 204; }
        location /open/ { internal; cors open; }
        if ($uri = /tea) { return 418; }
        "#,
    );
    for name in ["400.html", "413.html", "418.html", "e.html"] {
        host.folder.write(&format!("html/open/{name}"), "page").unwrap();
    }
    let server = host.start();
    let post = |origin| {
        let lines = [("Origin", origin), ("Content-Length", "9")];
        host.ask("POST", "/big", &lines)
    };
    let bad = |origin| {
        host.ask("GET", "/page.txt", &[("Origin", origin), ("Bad Name", "x")])
    };
    // Too early for a location: the server's answers, without credentials.
    for (allowed, denied, status) in [
        (post(APP), post(EVIL), 413),
        (bad(APP), bad(EVIL), 400),
        (host.get("/tea", APP), host.get("/tea", EVIL), 418),
    ] {
        assert_denied(&denied, status);
        assert_eq!(allowed.status, status);
        assert_eq!(allowed.value("access-control-allow-origin"), APP);
        assert_eq!(cors_lines(&allowed), 1, "{allowed:?}");
    }
    for path in ["/mapped", "/guarded", "/if"] {
        assert_allowed(&host.get(path, APP), 404, APP);
        assert_denied(&host.get(path, EVIL), 404);
    }
    for path in ["/off", "/if?off=1"] {
        let reply = host.get(path, APP);
        assert_eq!((reply.status, cors_lines(&reply)), (404, 0), "{path}");
        assert_eq!(reply.values("vary").len(), 0, "{path}");
    }
    assert_preflight(&host.preflight("/refused/x", APP));
    assert_denied(&host.preflight("/refused/x", EVIL), 204);
    let reply = host.ask("POST", "/refused/x", &[("Origin", OTHER)]);
    assert_allowed(&reply, 204, OTHER);
    drop(server);
}

/// The one kind of error page that nginx does not tell from other redirects.
#[test]
fn a_page_of_recursive_error_pages_without_a_status() {
    let host = Host::new(
        "",
        r#"
        recursive_error_pages on;
        error_page 404 = @page;
        cors api;
        location @page { cors open; return 200 page; }
        location /early { return 404; }
        location /strict { cors strict; error_page 403 = @page; }
        location /status { error_page 404 @page; }
        "#,
    );
    let server = host.start();
    let reply = host.get("/missing", EVIL);
    assert_eq!(reply.value("access-control-allow-origin"), "*");
    // What ends in the rewrite phase has been seen to fail.
    assert_denied(&host.get("/early", EVIL), 200);
    assert_denied(&host.get("/strict", EVIL), 200);
    assert_denied(&host.get("/status", EVIL), 404);
    assert_allowed(&host.get("/early", APP), 200, APP);
    drop(server);
}
