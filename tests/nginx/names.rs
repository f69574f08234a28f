//! Policies that are named by variables, and what the log says about them.

use libcors_testkit::http;
use libcors_tests::{
    front::{
        APP, EVIL, POLICIES, assert_allowed, assert_denied, assert_preflight,
    },
    nginx::Host,
};

/// The lines of the log that the module wrote.
fn logged(host: &Host) -> Vec<String> {
    let log = host.folder.read("logs/error.log");
    let ours = log.lines().filter(|line| line.contains(" cors: "));
    ours.map(str::to_owned).collect()
}

#[test]
fn a_name_is_evaluated_once_it_is_complete() {
    let host = Host::new(
        "map $request_method $by_method { PUT open; default api; }\n\
         map $seen $by_seen { '' open; default api; }",
        r#"
        location /set { cors_preflight_phase rewrite; set $p api; cors $p;
                        return 200 x; }
        location /socket { cors_preflight_phase rewrite; set $p api; cors $p;
                           if ($uri) { set $q 1; } }
        location /if { set $p api; cors $p; if ($arg_x) { set $p open; } }
        location /first { set $p api; cors $p;
                          rewrite ^/first(.*)$ /last$1 last; }
        location /last { set $p open; cors $p; }
        location /braces { set $p ap; cors ${p}i; }
        # The decision is asked for before the location is known.
        location /early { cors api; set $seen $cors_outcome;
                          rewrite ^ /other last; }
        location /other { cors open; add_header X-Seen "$seen $cors_policy"; }
        location /again { set $p api; set $seen $cors_policy; set $p open;
                          cors $p; add_header X-Seen "$seen $cors_policy"; }
        location /tried { cors api; try_files /none /again; }
        location /moved { cors $by_method; return 302 /; }
        location ~ ^/named/(?<tenant>[a-z]+)/ { cors $tenant;
                                                rewrite ^/(.)(.*)$ /$1 break; }
        "#,
    );
    for name in ["other", "again"] {
        host.folder.write(&format!("html/{name}"), "file").unwrap();
    }
    let server = host.start();
    // `return` comes before the name is known, and the filter after that.
    let reply = host.preflight("/set", APP);
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"x"[..]));
    assert_eq!(reply.value("access-control-allow-methods"), "PUT");
    assert_allowed(&host.get("/set", APP), 200, APP);
    assert_denied(&host.get("/set", EVIL), 200);
    // Nothing is refused before the name is known.
    let header = [("Origin", EVIL), ("Upgrade", "websocket")];
    assert_denied(&host.ask("GET", "/socket", &header), 404);
    for (path, allowed) in [
        ("/if", APP),
        ("/if?x=1", "*"),
        ("/first", "*"),
        ("/braces", APP),
        ("/moved", APP),
        ("/named/api/x", APP),
        ("/named/open/x", "*"),
    ] {
        let reply = host.get(path, APP);
        let seen = reply.value("access-control-allow-origin");
        assert_eq!(seen, allowed, "{path}");
    }
    let reply = host.get("/early", EVIL);
    assert_eq!(reply.value("access-control-allow-origin"), "*");
    assert_eq!(reply.value("x-seen"), "deny open");
    for path in ["/again", "/tried"] {
        let reply = host.get(path, EVIL);
        assert_eq!(reply.value("access-control-allow-origin"), "*", "{path}");
        assert_eq!(reply.value("x-seen"), "api open", "{path}");
    }
    drop(server);
    assert_eq!(logged(&host), [""; 0]);
}

#[test]
fn a_name_that_comes_too_late_fails_closed() {
    let host = Host::new(
        "",
        r#"
        location /access { auth_request /auth; auth_request_set $p $sent_http_x_p;
                           cors $p; }
        location = /auth { internal; add_header X-P api; return 204; }
        location /except { set $p api; cors $p;
                           limit_except POST { deny all; } }
        location ~ ^/(api) { cors $1; rewrite ^/(...)(.*)$ /x break; }
        location ~ ^/(open) { cors $1; rewrite ^/(.)(.*)$ /x break; }
        "#,
    );
    let server = host.start();
    assert_denied(&host.get("/access", APP), 404);
    assert_denied(&host.get("/except", APP), 403);
    assert_allowed(&host.get("/api", APP), 404, APP);
    assert_denied(&host.get("/open", APP), 404);
    drop(server);
    let lines = logged(&host);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("unknown policy \"\", expected"), "{lines:?}");
    assert!(lines[2].contains("unknown policy \"o\", expected"), "{lines:?}");
}

#[test]
fn names_of_variables_that_begin_like_ours() {
    let host = Host::new(
        "map $http_x_tenant $cors_tenant { a api; default open; }",
        "cors $cors_tenant;",
    );
    let server = host.start();
    let reply =
        host.ask("GET", "/page.txt", &[("Origin", APP), ("X-Tenant", "a")]);
    assert_allowed(&reply, 200, APP);
    let reply = host.get("/page.txt", APP);
    assert_eq!(reply.value("access-control-allow-origin"), "*");
    drop(server);
    assert_eq!(logged(&host), [""; 0]);
}

#[test]
fn a_name_that_depends_on_its_own_decision() {
    for (map, name) in [
        ("map $cors_kind $t { default api; }", "$t"),
        ("map $cors_kind $s { default a; } map $s $t { default api; }", "$t"),
        ("", "$cors_policy"),
    ] {
        let server = format!(
            "location /tried {{ try_files /none /plain; }}\n\
             location /plain {{ cors $http_x_policy; return 200; }}\n\
             cors {name}; add_header X-Seen \"$cors_reason$cors_policy\" always;"
        );
        let host = Host::new(map, &server);
        let server = host.start();
        for _ in 0..3 {
            let reply = host.get("/page.txt", APP);
            assert_denied(&reply, 200);
            assert_eq!(reply.value("x-seen"), "no_policy");
            assert_eq!(host.preflight("/page.txt", APP).status, 405);
            // The next location may have a name that does not.
            let lines = [("Origin", APP), ("X-Policy", "api")];
            assert_allowed(&host.ask("GET", "/tried", &lines), 200, APP);
        }
        drop(server);
        let lines = logged(&host);
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        let text = format!("\"cors {name}\" in ");
        assert!(lines[0].contains(&text), "{lines:?}");
        assert!(lines[0].contains("depends on its own decision"), "{lines:?}");
        let log = host.folder.read("logs/error.log");
        assert!(!log.contains("cycle while"), "{log}");
    }
}

#[test]
fn split_clients_choose() {
    let host = Host::new(
        "split_clients $http_x_key $half { 50% api; * open; }",
        "cors $half;",
    );
    let server = host.start();
    let (mut some, mut others) = (0, 0);
    for key in 0..100 {
        let key = key.to_string();
        let header = [("Origin", APP), ("X-Key", key.as_str())];
        let reply = host.ask("GET", "/page.txt", &header);
        match reply.value("access-control-allow-origin").as_str() {
            APP => some += 1,
            "*" => others += 1,
            value => panic!("{value}"),
        }
    }
    assert!(some > 10 && others > 10, "{some} and {others}");
    drop(server);
}

/// What a default installation logs: no level is written, and so it is `error`.
#[test]
fn what_fails_closed_is_logged_once_a_minute() {
    let host = Host::new(
        "",
        "location /one { cors $http_x_policy; }\n\
         location /two { cors $http_x_policy; }",
    );
    let conf =
        host.folder.read("nginx.conf").replace("error.log info", "error.log");
    host.folder.write("nginx.conf", &conf).unwrap();
    let server = host.start();
    for name in ["nobody", "nobody", "another", "api", "off"] {
        for path in ["/one", "/two"] {
            let header = [("Origin", APP), ("X-Policy", name)];
            let reply = host.ask("GET", path, &header);
            match name {
                "api" => assert_allowed(&reply, 404, APP),
                "off" => assert_eq!(reply.values("vary").len(), 0),
                _ => assert_denied(&reply, 404),
            }
        }
    }
    drop(server);
    let lines = logged(&host);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        assert!(line.contains(" [error] "), "{line}");
        assert!(line.contains("unknown policy \"nobody\""), "{line}");
        assert!(line.contains("\"cors $http_x_policy\" in "), "{line}");
        assert!(line.contains("nginx.conf:"), "{line}");
        assert!(line.contains("requests fail closed"), "{line}");
    }
}

#[test]
fn the_host_of_a_request() {
    // A site's own pages are told by the host and the port of the request.
    let policies = format!(
        "{POLICIES}\n[policy.own]\nallow_origins = []\ndisallowed = \"reject\"\n"
    );
    let host = Host::new("", "cors own;");
    host.folder.write("cors.toml", &policies).unwrap();
    let server = host.start();
    let ask = |head: &str, lines: &str| {
        let bytes = format!("GET {head}\r\n{lines}Connection: close\r\n\r\n");
        http::exchange(host.port, bytes.as_bytes()).unwrap().status
    };
    for (origin, host, status) in [
        ("http://a.example:8000", "a.example:8000", 200),
        ("http://a.example:8000", "A.Example:8000", 200),
        ("http://a.example", "a.example", 200),
        ("http://a.example", "a.example:80", 200),
        ("http://a.example", "a.example:8000", 403),
        ("http://a.example:8000", "a.example", 403),
        ("https://a.example", "a.example", 403),
    ] {
        let lines = format!("Host: {host}\r\nOrigin: {origin}\r\n");
        assert_eq!(ask("/page.txt HTTP/1.1", &lines), status, "{lines}");
    }
    // Two lines are no value, and the hosts are compared.
    let same = "Sec-Fetch-Site: same-origin\r\n";
    let cross = "Sec-Fetch-Site: cross-site\r\n";
    for (lines, status) in [
        (same.to_owned(), 200),
        (cross.to_owned(), 403),
        ([same, cross].concat(), 403),
        ([cross, same].concat(), 403),
    ] {
        let lines = format!("Host: a.example\r\nOrigin: {EVIL}\r\n{lines}");
        assert_eq!(ask("/page.txt HTTP/1.1", &lines), status, "{lines}");
    }
    // Without a Host line there is the host of the request line.
    for (origin, status) in [("http://a.example", 200), (EVIL, 403)] {
        let lines = format!("Origin: {origin}\r\n");
        let head = "http://a.example/page.txt HTTP/1.0";
        assert_eq!(ask(head, &lines), status, "{origin}");
        assert_eq!(ask("/page.txt HTTP/1.0", &lines), 403, "{origin}");
    }
    drop(server);
}

#[test]
fn realip_of_a_preflight() {
    let host = Host::new(
        "log_format ip '$request_method $remote_addr';",
        r#"
        cors api;
        access_log logs/ip.log ip;
        real_ip_header X-Real-IP;
        location /late { set_real_ip_from 127.0.0.1; }
        "#,
    );
    let header = [
        ("Origin", APP),
        ("Access-Control-Request-Method", "PUT"),
        ("X-Real-IP", "192.0.2.1"),
    ];
    let server = host.start();
    host.ask("OPTIONS", "/late", &header);
    host.ask("GET", "/late", &header);
    drop(server);
    let conf = host.folder.read("nginx.conf");
    let conf =
        conf.replace("root html;", "root html; set_real_ip_from 127.0.0.1;");
    host.folder.write("nginx.conf", &conf).unwrap();
    let server = host.start();
    assert_preflight(&host.preflight("/early", APP));
    host.ask("OPTIONS", "/early", &header);
    drop(server);
    let log = host.folder.read("logs/ip.log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(
        lines,
        [
            "OPTIONS 127.0.0.1",
            "GET 192.0.2.1",
            "OPTIONS 127.0.0.1",
            "OPTIONS 192.0.2.1"
        ]
    );
}

#[test]
fn subrequests_are_left_alone() {
    let host = Host::new(
        "log_format sub '$uri $cors_kind $cors_policy';",
        r#"
        access_log logs/main.log sub;
        log_subrequest on;
        location /ssi.txt { cors api; ssi on; ssi_types text/plain; }
        error_page 401 /errors/e.html;
        location /part { cors strict; }
        location /returned { cors strict; return 200 part; }
        location /page.txt { cors api; auth_request /part; mirror /off; }
        location /a.html { cors api; auth_request /returned; }
        location /login { cors api; auth_request /refused; }
        location /refused { cors open; if ($uri) { return 401; } }
        location /off { cors off; proxy_pass http://127.0.0.1:$app/; }
        "#,
    );
    let page = "<!--# include virtual=\"/part\" -->";
    host.folder.write("html/ssi.txt", page).unwrap();
    host.folder.write("html/part", "part").unwrap();
    let server = host.start();
    // `strict` would refuse what it is asked by the main request.
    assert_denied(&host.get("/part", EVIL), 403);
    assert_denied(&host.get("/returned", EVIL), 403);
    assert_allowed(&host.get("/login", APP), 401, APP);
    assert_denied(&host.get("/login", EVIL), 401);
    for path in ["/ssi.txt", "/page.txt", "/a.html"] {
        assert_allowed(&host.get(path, APP), 200, APP);
        assert_denied(&host.get(path, EVIL), 200);
    }
    assert_eq!(host.get("/ssi.txt", EVIL).body, b"part");
    drop(server);
    // Variables are those of the main request.
    let log = host.folder.read("logs/main.log");
    assert!(log.contains("/part actual api\n"), "{log}");
}
