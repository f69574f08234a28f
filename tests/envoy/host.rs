//! What Envoy does around a decision: the order of filters, replies of its own,
//! overrides, WebSockets, HTTP/2, bad configurations, what is logged and counted.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    ops::Deref,
    process::Command,
    thread,
    time::Duration,
};

use libcors_testkit::{
    envoy::{self, Folder, Installation, Server},
    http::{self, Application, Client, Reply},
    http2,
    suite::Line,
};
use libcors_tests::front::{
    APP, EVIL, Front, JWKS, OTHER, POLICIES, TOKEN, assert_allowed,
    assert_denied, assert_preflight, cors_lines,
};
use serde_json::{Value, json};

/// A folder for an Envoy, and the application behind it.
struct Host {
    folder: Folder,
    application: Application,
}

/// An Envoy that runs, and its listener `front`.
struct Running<'h> {
    server: Server<'h>,
    front: Front,
}

impl Deref for Running<'_> {
    type Target = Front;

    fn deref(&self) -> &Front {
        &self.front
    }
}

impl Running<'_> {
    /// Another listener.
    fn at(&self, listener: &str) -> Front {
        Front { port: self.server.port(listener) }
    }

    #[track_caller]
    fn assert_runs(&mut self) {
        assert_eq!(self.server.ended().unwrap(), None, "{}", self.server.log());
    }
}

const LOG: &str = "%REQ(:METHOD)% %PATH% %RESPONSE_CODE% \
                   %RESPONSE_CODE_DETAILS% %DYNAMIC_METADATA(cors:kind)% \
                   %DYNAMIC_METADATA(cors:outcome)% \
                   %DYNAMIC_METADATA(cors:reason)% \
                   %DYNAMIC_METADATA(cors:policy)%";

impl Host {
    fn new() -> Host {
        Host::with(&Installation::find().unwrap())
    }

    fn with(installation: &Installation) -> Host {
        let application = Application::start().unwrap();
        Host { folder: installation.prepare(&[]).unwrap(), application }
    }

    /// A connection manager with these filters in front of the router.
    fn manager(&self, mut filters: Vec<Value>, fields: Value) -> Value {
        filters.push(envoy::router());
        let log = envoy::access_log(&self.folder.file("access.log"), LOG);
        let own = json!({ "http_filters": filters, "access_log": log });
        envoy::manager(envoy::with(own, fields))
    }

    fn bootstrap(&self, listeners: Vec<Value>) -> Value {
        let clusters = vec![
            envoy::application(self.application.port()),
            envoy::cluster("down", 1),
        ];
        envoy::bootstrap(listeners, clusters)
    }

    /// One listener with `api` of [`POLICIES`] and these routes.
    fn front(&self, routes: Vec<Value>) -> Value {
        let fields = json!({ "route_config": envoy::routes(routes) });
        let filters = vec![envoy::cors("api", POLICIES)];
        let manager = self.manager(filters, fields);
        self.bootstrap(vec![envoy::listener("front", &manager)])
    }

    fn start(&self, config: &Value) -> Running<'_> {
        let server = self.folder.start(config, 2).unwrap();
        let front = Front { port: server.port("front") };
        Running { server, front }
    }

    /// Whether Envoy takes a configuration, and what it prints.
    fn check(&self, config: &Value) -> (bool, String) {
        self.folder.write("check.json", &config.to_string()).unwrap();
        self.folder.check("check.json").unwrap()
    }
}

/// The typed configuration of the first filter.
fn filter_of(config: &mut Value) -> &mut Value {
    &mut manager_of(config)["http_filters"][0]["typed_config"]
}

/// The connection manager of the only listener.
fn manager_of(config: &mut Value) -> &mut Value {
    let listener = &mut config["static_resources"]["listeners"][0];
    &mut listener["filter_chains"][0]["filters"][0]["typed_config"]
}

fn line(name: &str, value: &str) -> Line {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

fn answered(prefix: &str, status: u16) -> Value {
    let body = json!({ "inline_string": "direct" });
    let response = json!({ "status": status, "body": body });
    envoy::route(prefix, json!({ "direct_response": response }))
}

/// A route to the application with a policy of its own.
fn ruled(prefix: &str, policy: &str) -> Value {
    let overrides = envoy::with_policy(policy, None);
    envoy::route(prefix, json!({ "typed_per_filter_config": overrides }))
}

#[test]
fn preflights_are_answered_before_authentication() {
    let host = Host::new();
    let routes = json!({
        "route_config": envoy::routes(vec![
            ruled("/status", "status"),
            ruled("/forward", "forward"),
            envoy::route("/down", json!({ "route": { "cluster": "down" } })),
            envoy::route("/", json!({})),
        ]),
    });
    let listeners = [
        ("front", vec![]),
        ("rbac", vec![envoy::deny_all()]),
        ("jwt", vec![envoy::jwt_authn(JWKS)]),
    ];
    let listeners = listeners.map(|(name, others)| {
        let filters = [vec![envoy::cors("api", POLICIES)], others].concat();
        envoy::listener(name, &host.manager(filters, routes.clone()))
    });
    let config = host.bootstrap(listeners.to_vec());
    let mut running = host.start(&config);
    for listener in ["front", "rbac", "jwt"] {
        let front = running.at(listener);
        for path in ["/", "/down", "/no/such/thing"] {
            assert_preflight(&front.preflight(path, APP));
            assert_denied(&front.preflight(path, EVIL), 204);
        }
        // Another status has a body of length 0.
        let reply = front.preflight("/status", APP);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.value("content-length"), "0");
        // A body does not disturb.
        let lines = [
            ("Origin", APP),
            ("Access-Control-Request-Method", "PUT"),
            ("Content-Length", "0"),
        ];
        assert_eq!(front.ask("OPTIONS", "/", &lines).status, 204);
    }
    // What is refused says so to the page.
    let (rbac, jwt) = (running.at("rbac"), running.at("jwt"));
    assert_allowed(&rbac.get("/", APP), 403, APP);
    assert_denied(&rbac.get("/", EVIL), 403);
    assert_allowed(&jwt.get("/", APP), 401, APP);
    let token = [("Origin", APP), ("Authorization", TOKEN)];
    assert_allowed(&jwt.ask("GET", "/", &token), 200, APP);
    // An OPTIONS that is no preflight is refused too.
    let reply = rbac.ask("OPTIONS", "/", &[("Origin", APP)]);
    assert_allowed(&reply, 403, APP);

    // The application answers where the policy says so; the headers stay ours.
    let reply = running.preflight("/forward", APP);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.value("x-application"), "yes");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
    assert_denied(&running.preflight("/forward", EVIL), 204);
    // What stands between refuses it then.
    assert_eq!(rbac.preflight("/forward", APP).status, 403);
    running.assert_runs();
}

#[test]
fn headers_stand_once_on_every_response() {
    let host = Host::new();
    let buffer = json!({ "max_request_bytes": 4 });
    let fault = json!({
        "abort": {
            "http_status": 429,
            "percentage": { "numerator": 100 },
        },
        "headers": [{ "name": "x-fault", "present_match": true }],
    });
    let routes = envoy::routes(vec![
        envoy::route("/app", json!({})),
        envoy::route("/status/", json!({})),
        envoy::route("/vary/", json!({})),
        envoy::route("/down", json!({ "route": { "cluster": "down" } })),
        envoy::route(
            "/late",
            json!({
                "route": {
                    "cluster": "application",
                    "timeout": "0.05s",
                    "prefix_rewrite": "/slow/2000",
                },
            }),
        ),
        envoy::route(
            "/moved",
            json!({ "redirect": { "host_redirect": "elsewhere.example" } }),
        ),
        answered("/direct", 200),
        answered("/teapot", 418),
        envoy::route(
            "/added",
            json!({
                "response_headers_to_add": [
                    {
                        "header": {
                            "key": "Access-Control-Allow-Origin",
                            "value": "https://added.example",
                        },
                    },
                    { "header": { "key": "Vary", "value": "X-Added" } },
                ],
            }),
        ),
    ]);
    let filters = vec![
        envoy::cors("api", POLICIES),
        envoy::filter("fault", "HTTPFault", fault),
        envoy::filter("buffer", "Buffer", buffer),
    ];
    let manager = host.manager(filters, json!({ "route_config": routes }));
    let config = host.bootstrap(vec![envoy::listener("front", &manager)]);
    let mut running = host.start(&config);

    for (path, status) in [
        ("/app", 200),
        ("/missing", 404),
        ("/down", 503),
        ("/late", 504),
        ("/moved", 301),
        ("/direct", 200),
        ("/teapot", 418),
        ("/added", 200),
        ("/status/201", 201),
        ("/status/204", 204),
        ("/status/302", 302),
        ("/status/304", 304),
        ("/status/400", 400),
        ("/status/404", 404),
        ("/status/500", 500),
        ("/status/503", 503),
    ] {
        assert_allowed(&running.get(path, APP), status, APP);
        assert_allowed(&running.get(path, OTHER), status, OTHER);
        assert_denied(&running.get(path, EVIL), status);
        assert_denied(&running.ask("GET", path, &[]), status);
    }
    // Where there is no route, the filter's policy rules.
    assert_preflight(&running.preflight("/missing", APP));
    let head = running.ask("HEAD", "/app", &[("Origin", APP)]);
    assert_allowed(&head, 200, APP);
    // Other filters refuse.
    let lines = [("Origin", APP), ("X-Fault", "1")];
    assert_allowed(&running.ask("GET", "/app", &lines), 429, APP);
    let request = http::kept_request_bytes(
        b"POST",
        "/app",
        &[line("Origin", APP), line("Content-Length", "9")],
    );
    let request = [&request[..], b"123456789"].concat();
    let reply = Client::connect(running.port).unwrap().ask(&request).unwrap();
    assert_allowed(&reply, 413, APP);
    // Envoy refuses before any filter: a page may not read that.
    let bad = [("Origin", APP), ("Content-Length", "x")];
    let reply = running.ask("POST", "/app", &bad);
    assert_eq!((reply.status, cors_lines(&reply)), (400, 0), "{reply:?}");

    // What the application says about CORS is replaced, and the rest stays.
    let reply = running.get("/app", APP);
    assert_eq!(reply.value("vary"), "Accept-Language, Origin");
    assert_eq!(reply.value("x-application"), "yes");
    assert_eq!(reply.values("timing-allow-origin").len(), 1);
    let reply = running.get("/vary/A/B/a", EVIL);
    assert_eq!(reply.value("vary"), "A, B, Origin");
    // So is what the route adds.
    let reply = running.get("/added", APP);
    assert_eq!(reply.value("vary"), "Accept-Language, X-Added, Origin");
    running.assert_runs();
}

#[test]
fn a_long_vary_is_merged_whole() {
    let host = Host::new();
    let added = |prefix: &str, count| {
        let names: Vec<_> = (0..count).map(|i| format!("X-{i}")).collect();
        let header = json!({ "key": "Vary", "value": names.join(",") });
        let config = json!({
            "direct_response": { "status": 200 },
            "response_headers_to_add": [{ "header": header }],
        });
        (envoy::route(prefix, config), names)
    };
    let ((long, names), (huge, _)) = (added("/long", 200), added("/huge", 300));
    let running = host.start(&host.front(vec![long, huge]));
    let expected = format!("{}, Origin", names.join(", "));
    assert_eq!(running.get("/long", APP).value("vary"), expected);
    // No cache could keep so many apart.
    assert_eq!(running.get("/huge", APP).value("vary"), "*");
}

#[test]
fn http2_gets_the_same() {
    let host = Host::new();
    let running = host.start(&host.front(vec![envoy::route("/", json!({}))]));
    let mut client = http2::Client::connect(running.port).unwrap();
    let mut ask = |method: &[u8], lines: &[Line]| {
        let request =
            http2::Request { method, path: "/vary/A/B", protocol: None, lines };
        client.ask(&request).unwrap()
    };
    let reply = ask(b"GET", &[line("Origin", APP)]);
    assert_allowed(&reply, 200, APP);
    assert_eq!(reply.value("vary"), "A, B, Origin");
    assert_denied(&ask(b"GET", &[line("Origin", EVIL)]), 200);
    let mut lines = vec![
        line("Origin", APP),
        line("Access-Control-Request-Method", "PUT"),
        line("Access-Control-Request-Headers", "x-a"),
    ];
    assert_preflight(&ask(b"OPTIONS", &lines));
    lines[0].1 = EVIL.into();
    assert_denied(&ask(b"OPTIONS", &lines), 204);
    // Two lines of Origin are none.
    let lines = [line("Origin", APP), line("Origin", APP)];
    assert_denied(&ask(b"GET", &lines), 200);
}

#[test]
fn two_origins_are_none() {
    let host = Host::new();
    let running = host.start(&host.front(vec![envoy::route("/", json!({}))]));
    for other in [APP, EVIL] {
        let lines = [("Origin", APP), ("Origin", other)];
        assert_denied(&running.ask("GET", "/", &lines), 200);
        let lines =
            [lines[0], lines[1], ("Access-Control-Request-Method", "PUT")];
        assert_denied(&running.ask("OPTIONS", "/", &lines), 204);
    }
}

#[test]
fn the_origin_counts_as_it_came() {
    let host = Host::new();
    let changed = |prefix: &str, fields: Value| {
        envoy::with(ruled(prefix, "wild"), fields)
    };
    // Of the same length, so that it may come to stand in the same place.
    let other = APP.replace("app", "xyz");
    let replaced = json!({
        "header": { "key": "origin", "value": other },
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    });
    let running = host.start(&host.front(vec![
        changed("/replaced", json!({ "request_headers_to_add": [replaced] })),
        changed("/removed", json!({ "request_headers_to_remove": ["origin"] })),
    ]));
    for path in ["/replaced", "/removed"] {
        let reply = running.get(path, APP);
        let origin = reply.value("access-control-allow-origin");
        assert_eq!(origin, APP, "{path}");
    }
}

/// What comes of the request for a WebSocket: the reply, and what the
/// application sends back where the reply is 101.
fn socket(running: &Running<'_>, origin: &str) -> (Reply, Option<Vec<u8>>) {
    let request = http::kept_request_bytes(
        b"GET",
        "/socket",
        &[
            line("Connection", "Upgrade"),
            line("Upgrade", "websocket"),
            line("Origin", origin),
        ],
    );
    let mut client = Client::connect(running.port).unwrap();
    let reply = client.ask(&request).unwrap();
    let came = (reply.status == 101).then(|| {
        client.send(b"a frame").unwrap();
        client.receive(b"a frame".len()).unwrap()
    });
    (reply, came)
}

/// The same by extended `CONNECT`, where the status is 200.
fn socket2(running: &Running<'_>, origin: &str) -> (Reply, Option<Vec<u8>>) {
    let mut client = http2::Client::connect(running.port).unwrap();
    let lines = [line("Origin", origin)];
    let (reply, mut tunnel) = client
        .open(&http2::Request {
            method: b"CONNECT",
            path: "/socket",
            protocol: Some("websocket"),
            lines: &lines,
        })
        .unwrap();
    let came = (reply.status == 200).then(|| tunnel.ask(b"a frame").unwrap());
    (reply, came)
}

#[test]
fn websockets_are_guarded() {
    let host = Host::new();
    let running = host.start(&host.front(vec![ruled("/", "sockets")]));
    let frame = Some(b"a frame".to_vec());
    let (reply, came) = socket(&running, APP);
    assert_eq!((reply.status, came), (101, frame.clone()), "{reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
    let (reply, came) = socket(&running, EVIL);
    assert_eq!(came, None);
    assert_denied(&reply, 403);

    let (reply, came) = socket2(&running, APP);
    assert_eq!((reply.status, came), (200, frame.clone()), "{reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
    let (reply, came) = socket2(&running, EVIL);
    assert_eq!(came, None);
    assert_denied(&reply, 403);
    drop(running);

    // A policy that does not refuse leaves them to the application.
    let running = host.start(&host.front(vec![ruled("/", "api")]));
    for (status, (reply, came)) in
        [(101, socket(&running, EVIL)), (200, socket2(&running, EVIL))]
    {
        assert_eq!((reply.status, came), (status, frame.clone()), "{reply:?}");
    }
}

#[test]
fn the_most_specific_policy_rules() {
    let host = Host::new();
    let own = "[policy.mine]\nallow_origins = [\"https://evil.example\"]\n";
    let of_route = |prefix: &str, overrides: Value| {
        envoy::route(prefix, json!({ "typed_per_filter_config": overrides }))
    };
    let routes = json!({
        "name": "routes",
        "typed_per_filter_config": envoy::with_policy("status", None),
        "virtual_hosts": [
            {
                "name": "shop",
                "domains": ["shop.example.com"],
                "typed_per_filter_config": envoy::with_policy("open", None),
                "routes": [
                    of_route("/api", envoy::with_policy("api", None)),
                    of_route("/off", envoy::with_policy("off", None)),
                    of_route("/disabled", envoy::without_cors()),
                    of_route("/own", envoy::with_policy("mine", Some(own))),
                    of_route("/missing", envoy::with_policy("nobody", None)),
                    of_route("/strict", envoy::with_policy("strict", None)),
                    of_route("/report", envoy::with_policy("report", None)),
                    envoy::route("/", json!({})),
                ],
            },
            {
                "name": "legacy",
                "domains": ["legacy.example.com"],
                "typed_per_filter_config": envoy::without_cors(),
                "routes": [
                    of_route("/api", envoy::with_policy("api", None)),
                    envoy::route("/", json!({})),
                ],
            },
            {
                "name": "others",
                "domains": ["*"],
                "routes": [envoy::route("/", json!({}))],
            },
        ],
    });
    let manager = host.manager(
        vec![envoy::cors("api?metadata=on", POLICIES)],
        json!({ "route_config": routes }),
    );
    let config = host.bootstrap(vec![envoy::listener("front", &manager)]);
    let mut running = host.start(&config);
    let ask = |domain: &str, path: &str, origin: &str| {
        let lines = [("Host", domain), ("Origin", origin)];
        running.ask("GET", path, &lines)
    };
    let shop = |path: &str, origin: &str| ask("shop.example.com", path, origin);
    let acao = |reply: &Reply| reply.value("access-control-allow-origin");

    // The whole configuration of routes, a host, a route.
    let preflight = |domain: &str| {
        let lines = [
            ("Host", domain),
            ("Origin", APP),
            ("Access-Control-Request-Method", "GET"),
        ];
        running.ask("OPTIONS", "/", &lines)
    };
    assert_eq!(preflight("other.example").status, 200);
    assert_eq!(preflight("shop.example.com").status, 204);
    assert_eq!(acao(&shop("/", EVIL)), "*");
    assert_denied(&shop("/api", EVIL), 200);
    assert_allowed(&shop("/api", APP), 200, APP);
    // A document of its own.
    assert_eq!(acao(&shop("/own", EVIL)), EVIL);
    assert_denied(&shop("/own", APP), 200);
    // Untouched: the application's headers, merged by Envoy.
    for reply in [
        shop("/off", APP),
        shop("/disabled", APP),
        ask("legacy.example.com", "/", APP),
    ] {
        assert_eq!(acao(&reply), "*,https://wrong.example");
        assert_eq!(reply.value("vary"), "Accept-Language");
    }
    assert_allowed(&ask("legacy.example.com", "/api", APP), 200, APP);
    // A policy that does not exist closes.
    assert_denied(&shop("/missing", APP), 200);
    running.server.wait_for_log("nobody").unwrap();

    // Refusals, and what is only reported.
    assert_denied(&shop("/strict", EVIL), 403);
    assert_eq!(shop("/strict", "https://www.example.com").status, 200);
    let reply = shop("/report", EVIL);
    assert_eq!(acao(&reply), "*,https://wrong.example");
    let lines = [
        ("Host", "shop.example.com"),
        ("Origin", EVIL),
        ("Access-Control-Request-Method", "PUT"),
    ];
    assert_eq!(running.ask("OPTIONS", "/report", &lines).status, 200);
    running.assert_runs();
}

#[test]
fn decisions_are_logged_and_counted() {
    let host = Host::new();
    let routes = json!({
        "route_config": envoy::routes(vec![
            ruled("/loud", "strict?metadata=on"),
            ruled("/quiet", "strict?metadata=off"),
            ruled("/default", "strict"),
            ruled("/report", "report?metadata=on"),
            envoy::route("/", json!({})),
        ]),
    });
    let listeners = [("front", "api"), ("loud", "api?metadata=on")];
    let listeners = listeners.map(|(name, policy)| {
        let filters = vec![envoy::cors(policy, POLICIES)];
        envoy::listener(name, &host.manager(filters, routes.clone()))
    });
    let mut bootstrap = host.bootstrap(listeners.to_vec());
    // As docs/envoy.md has it.
    let tag = |name, regex| json!({ "tag_name": name, "regex": regex });
    bootstrap["stats_config"]["stats_tags"] = json!([
        tag("kind", r"^cors\.decisions(\.(\w+))\.\w+\.\w+$"),
        tag("outcome", r"^cors\.decisions\.\w+(\.(\w+))\.\w+$"),
        tag("reason", r"^cors\.decisions\.\w+\.\w+(\.(\w+))$"),
    ]);
    let running = host.start(&bootstrap);
    let loud = running.at("loud");
    running.preflight("/", APP);
    running.preflight("/", EVIL);
    running.preflight("/", EVIL);
    running.get("/", APP);
    running.get("/", EVIL);
    running.ask("GET", "/", &[]);
    running.get("/loud", EVIL);
    running.get("/quiet", EVIL);
    running.get("/report", EVIL);
    running.get("/missing/nothing", APP);
    running.get("/default", EVIL);
    loud.preflight("/all", EVIL);
    loud.get("/all", APP);

    let metrics = running.server.admin("/stats/prometheus").unwrap();
    let stats = running.server.admin("/stats").unwrap();
    let ours = |text: &str, name: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| line.starts_with(name) && !line.ends_with(" 0"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(
        ours(&stats, "cors."),
        [
            "cors.decisions.actual.allow.allowed: 3",
            "cors.decisions.actual.deny.origin_not_allowed: 5",
            "cors.decisions.none.none.not_cors: 1",
            "cors.decisions.preflight.allow.allowed: 1",
            "cors.decisions.preflight.deny.origin_not_allowed: 3",
        ]
    );
    assert_eq!(
        ours(&metrics, "envoy_cors_decisions"),
        [
            ("actual", "allow", "allowed", 3),
            ("actual", "deny", "origin_not_allowed", 5),
            ("none", "none", "not_cors", 1),
            ("preflight", "allow", "allowed", 1),
            ("preflight", "deny", "origin_not_allowed", 3),
        ]
        .map(|(kind, outcome, reason, count)| format!(
            "envoy_cors_decisions{{kind=\"{kind}\",outcome=\"{outcome}\",\
             reason=\"{reason}\"}} {count}"
        ))
    );
    drop(running);
    let log = host.folder.read("access.log");
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(
        lines,
        [
            "OPTIONS / 204  - - - -",
            "OPTIONS / 204  - - - -",
            "OPTIONS / 204  - - - -",
            "GET / 200 via_upstream - - - -",
            "GET / 200 via_upstream - - - -",
            "GET / 200 via_upstream - - - -",
            "GET /loud 403  actual deny origin_not_allowed strict",
            "GET /quiet 403  - - - -",
            "GET /report 200 via_upstream actual deny origin_not_allowed \
             report",
            "GET /missing/nothing 200 via_upstream - - - -",
            // Whoever finds a 403 has to find the reason as well.
            "GET /default 403  actual deny origin_not_allowed strict",
            "OPTIONS /all 204  preflight deny origin_not_allowed api",
            "GET /all 200 via_upstream actual allow allowed api",
        ]
    );
}

#[test]
fn bad_configurations_are_refused_with_every_problem() {
    let host = Host::new();
    let bad = "[policy.a]\nallow_origins = [\n  \"https://a.example/\",\n  \
               \"HTTPS://b.example\",\n]\nallow_orgins = []\n";
    let good = "[policy.a]\nallow_origins = [\"https://a.example\"]\n";
    host.folder.write("bad.toml", bad).unwrap();
    host.folder.write("good.toml", good).unwrap();
    let two = format!("{good}[policy.b]\nallow_origins = []\n");
    let nul = "a\0b";
    let struct_ = |fields: Value| envoy::any("google.protobuf.Struct", fields);
    let wrong_type = [
        struct_(json!({ "value": { "allow_origins": [] } })),
        envoy::any(
            "google.protobuf.ListValue",
            json!({ "value": [good, good] }),
        ),
        envoy::any("google.protobuf.BoolValue", json!({ "value": true })),
        envoy::any("google.protobuf.Int64Value", json!({ "value": "1" })),
        envoy::any(
            "envoy.config.core.v3.DataSource",
            json!({ "inline_string": good }),
        ),
    ];
    let missing = format!("file:{}", host.folder.file("missing.toml"));
    let from_bad = format!("file:{}", host.folder.file("bad.toml"));
    let from_good = format!("file:{}", host.folder.file("good.toml"));

    let of_filter = |policy: &str, document: &str| {
        let fields =
            json!({ "route_config": envoy::routes(vec![answered("/", 200)]) });
        let filters = vec![envoy::cors(policy, document)];
        let manager = host.manager(filters, fields);
        host.bootstrap(vec![envoy::listener("front", &manager)])
    };
    let of_route = |policy: &str, document: Option<&str>| {
        let overrides = envoy::with_policy(policy, document);
        host.front(vec![envoy::route(
            "/",
            json!({ "typed_per_filter_config": overrides }),
        )])
    };
    let problems =
        [":3:", "https://a.example", ":4:", ":6:1:", "allow_origins"];
    for (config, expected) in [
        (of_filter("a", bad), &problems[..]),
        (
            of_filter("a", &from_bad),
            &[&problems[..], &["bad.toml:3:"]].concat(),
        ),
        (of_filter("a", &missing), &["missing.toml", "No such file"]),
        (of_filter("a", ""), &["cors: "]),
        (of_filter("nobody", good), &["\"nobody\""]),
        (of_filter("a", " \n"), &["cors: "]),
        (of_filter("a", "\"\""), &["cors: "]),
        (of_filter("", &two), &["filter_name", "\"a\" or \"b\"", "\"off\""]),
        (of_filter("c", &two), &["filter_name", "\"a\" or \"b\"", "\"off\""]),
        (of_filter(nul, good), &["NUL in its filter_name"]),
        (of_filter("a\0", good), &["NUL in its filter_name"]),
        (of_filter("a?loud=on", good), &["\"loud=on\"", "metadata=on"]),
        (of_filter("a?metadata=maybe", good), &["maybe", "metadata=on"]),
        (of_filter("a?metadata", good), &["\"metadata\"", "metadata=on"]),
        (of_filter("a?", good), &["\"\"", "metadata=on"]),
        (of_route("a", Some(bad)), &problems),
        (of_route("nobody", Some(good)), &["\"nobody\""]),
        (of_route("", None), &["filter_name is empty"]),
        (of_route("", Some("")), &["filter_name is empty"]),
        (of_route("", Some(&two)), &["filter_name", "\"a\" or \"b\""]),
        (of_route(nul, None), &["NUL in its filter_name"]),
        (of_route("a?loud=on", None), &["loud"]),
    ] {
        let (taken, text) = host.check(&config);
        assert!(!taken, "{config:#}\n{text}");
        for part in expected {
            let ours = text.lines().filter(|line| line.contains("cors: "));
            let lines: Vec<_> = ours.collect();
            let found = lines.iter().any(|line| line.contains(part));
            assert!(found, "{part}\n{}\n{text}", lines.join("\n"));
        }
        // It does not start either.
        let error = host.folder.start(&config, 1).unwrap_err().to_string();
        assert!(error.contains(expected[0]), "{error}");
    }
    for value in wrong_type {
        let mut config = of_filter("a", good);
        filter_of(&mut config)["filter_config"] = value.clone();
        let (taken, text) = host.check(&config);
        assert!(!taken, "{value}\n{text}");
        assert!(
            text.contains("must be a google.protobuf.StringValue"),
            "{text}"
        );
    }
    // A mistake in a text is no reason to speak of types.
    for document in [bad, &from_bad, &missing] {
        let (_, text) = host.check(&of_filter("a", document));
        assert!(!text.contains("StringValue"), "{text}");
    }

    let quoted = json!(good).to_string();
    for config in [
        of_filter("a", good),
        of_filter("a?metadata=on", good),
        of_filter("a?metadata=off", &from_good),
        of_filter("", good),
        of_filter("?metadata=on", &from_good),
        // A YAML block ends in a line break.
        of_filter("a", &format!("{from_good}\n")),
        of_filter(
            "a",
            &format!(" file: {}  \r\n", host.folder.file("good.toml")),
        ),
        of_filter("a", &format!("\n{good}\n\n")),
        // JSON in place of its text: Envoy Gateway's `config`.
        of_filter("a", &quoted),
        of_filter("a", &format!("{quoted}\n")),
        of_filter("", &json!(from_good).to_string()),
        of_filter("a", &json!(format!("{from_good}\n")).to_string()),
        of_filter("a", r#"{"policy": {"a": {"allow_origins": []}}}"#),
        of_filter(
            "a",
            r#""\u005bpolicy.a]\nallow_origins = [] # \ud83d\ude00\u00e9\u20ac""#,
        ),
        // TOML may begin with a quote.
        of_filter("a", "\"policy\".a.allow_origins = []"),
        of_filter(
            "a",
            "\"policy\".a.allow_origins = [\n  \"http://a.example\"\n] # \"a\"",
        ),
        of_route("", Some(good)),
        of_route("a", Some(&quoted)),
        // Relative to the folder that Envoy is started in.
        of_filter("a", "file:good.toml"),
        of_filter("off", good),
        of_route("a", Some(good)),
        of_route("a", Some(&from_good)),
    ] {
        let (taken, text) = host.check(&config);
        assert!(taken, "{text}");
    }
}

#[test]
fn a_filter_that_routes_switch_on() {
    // As Envoy Gateway configures it: JSON for text, and no name of a policy.
    let host = Host::new();
    let document = "[policy.only]\nallow_origins = [\"https://a.example\"]\n";
    let filter = envoy::cors("", &json!(document).to_string());
    let filter = envoy::with(filter, json!({ "disabled": true }));
    let on = envoy::any(
        "envoy.config.route.v3.FilterConfig",
        json!({ "config": {} }),
    );
    let fields = json!({
        "route_config": envoy::routes(vec![
            envoy::route(
                "/on",
                json!({ "typed_per_filter_config": { envoy::FILTER: on } }),
            ),
            envoy::route("/", json!({})),
        ]),
    });
    let manager = host.manager(vec![filter], fields);
    let config = host.bootstrap(vec![envoy::listener("front", &manager)]);
    let mut running = host.start(&config);
    let origin = "https://a.example";
    let lines = [("Origin", origin), ("Access-Control-Request-Method", "GET")];
    let reply = running.ask("OPTIONS", "/on", &lines);
    assert_eq!((reply.status, cors_lines(&reply)), (204, 1), "{reply:?}");
    let reply = running.get("/on", origin);
    assert_eq!(reply.value("access-control-allow-origin"), origin);
    assert_denied(&running.get("/on", APP), 200);
    let reply = running.get("/", origin);
    assert_eq!(reply.value("vary"), "Accept-Language");
    running.assert_runs();
}

#[test]
fn routes_name_a_file_from_1_39_on() {
    let host = Host::new();
    let installation = Installation::find().unwrap();
    let module = installation.module.unwrap().display().to_string();
    let by_file = json!({
        "module": { "local": { "filename": module } },
        "do_not_close": true,
    });
    let overrides = |config: &Value| {
        let mut overrides = envoy::with_policy("open", None);
        overrides[envoy::FILTER]["dynamic_module_config"] = config.clone();
        host.front(vec![envoy::route(
            "/",
            json!({ "typed_per_filter_config": overrides }),
        )])
    };
    let version = Command::new(installation.envoy).arg("--version").output();
    let version = String::from_utf8(version.unwrap().stdout).unwrap();
    let (taken, text) = host.check(&overrides(&by_file));
    assert_eq!(taken, !version.contains("/1.38."), "{version}: {text}");
    // The filter may, everywhere.
    let mut config = host.front(vec![envoy::route("/", json!({}))]);
    filter_of(&mut config)["dynamic_module_config"] = by_file;
    let (taken, text) = host.check(&config);
    assert!(taken, "{text}");
}

#[test]
fn a_panic_of_the_library_costs_the_headers_alone() {
    let host = Host::with(&Installation::find_with_panics().unwrap());
    let config = host.front(vec![
        ruled("/sockets", "sockets"),
        envoy::route("/", json!({})),
    ]);
    let mut running = host.start(&config);
    for _ in 0..3 {
        assert_denied(&running.get("/", "https://panic.example"), 200);
        assert_allowed(&running.get("/", APP), 200, APP);
        let (reply, _) = socket(&running, "https://panic.example");
        assert_denied(&reply, 403);
    }
    running.server.wait_for_log("cors: a decision failed").unwrap();
    running.assert_runs();
}

/// The lines of the log that say something like this.
fn logged(running: &Running<'_>, text: &str) -> Vec<String> {
    let log = running.server.log();
    let lines = log.lines().filter(|line| line.contains(text));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_fails_closed_is_logged_once_a_minute() {
    let host = Host::new();
    let config = host.front(vec![
        ruled("/nobody", "nobody"),
        ruled("/somebody", "somebody"),
        envoy::route("/", json!({})),
    ]);
    let mut running = host.start(&config);
    for _ in 0..5 {
        assert_denied(&running.get("/nobody", APP), 200);
        assert_denied(&running.get("/somebody", APP), 200);
        assert_allowed(&running.get("/", APP), 200, APP);
    }
    running.server.wait_for_log("somebody").unwrap();
    for name in ["\"nobody\"", "\"somebody\""] {
        let lines = logged(&running, name);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("[error]"), "{lines:?}");
        // The names that exist.
        for known in ["\"api\"", "\"open\"", "\"sockets\""] {
            assert!(lines[0].contains(known), "{lines:?}");
        }
    }
    assert_eq!(logged(&running, "cors: ").len(), 2);
    running.assert_runs();
    drop(running);

    // In the build for tests a minute has two seconds.
    let host = Host::with(&Installation::find_with_panics().unwrap());
    let config = host.front(vec![envoy::route("/", json!({}))]);
    let running = host.start(&config);
    for times in 1..=2 {
        for _ in 0..3 {
            assert_denied(&running.get("/", "https://panic.example"), 200);
        }
        let count = || logged(&running, "cors: a decision failed").len();
        running.server.wait_for("a line", || count() == times).unwrap();
        thread::sleep(Duration::from_millis(2100));
    }
}

#[test]
fn the_first_of_two_filters_has_the_last_word() {
    let host = Host::new();
    let inner = |policy: &str| {
        let filter = envoy::cors(policy, POLICIES);
        envoy::with(filter, json!({ "name": "inner" }))
    };
    let routes = json!({
        "route_config": envoy::routes(vec![
            ruled("/off", "off"),
            ruled("/forward", "forward"),
            envoy::route("/", json!({})),
        ]),
    });
    let listeners =
        [("front", "open"), ("strict", "strict")].map(|(name, policy)| {
            let filters = vec![envoy::cors("api", POLICIES), inner(policy)];
            envoy::listener(name, &host.manager(filters, routes.clone()))
        });
    let mut running = host.start(&host.bootstrap(listeners.to_vec()));
    assert_preflight(&running.preflight("/", APP));
    assert_denied(&running.preflight("/", EVIL), 204);
    assert_allowed(&running.get("/", APP), 200, APP);
    assert_denied(&running.get("/", EVIL), 200);
    // Where it does nothing the other one does.
    let reply = running.preflight("/off", EVIL);
    assert_eq!((reply.status, reply.value("vary")), (204, String::new()));
    assert_eq!(reply.value("access-control-allow-origin"), "*");
    assert_eq!(
        running.get("/off", EVIL).value("access-control-allow-origin"),
        "*"
    );
    // What it passes on may be answered behind it.
    let reply = running.preflight("/forward", APP);
    assert_eq!((reply.status, cors_lines(&reply)), (204, 3), "{reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
    let strict = running.at("strict");
    assert_allowed(&strict.get("/", OTHER), 403, OTHER);
    assert_denied(&strict.get("/", EVIL), 403);
    running.assert_runs();
}

/// A script of Lua as a filter.
fn lua(name: &str, script: &str) -> Value {
    let source = json!({ "inline_string": script });
    let filter =
        envoy::filter("lua", "Lua", json!({ "default_source_code": source }));
    envoy::with(filter, json!({ "name": name }))
}

#[test]
fn answers_pass_the_filters_around() {
    let host = Host::new();
    let adds = |name: &str| {
        let script = format!(
            "function envoy_on_response(handle)\n\
               local headers = handle:headers()\n\
               headers:add('{name}', headers:get(':status'))\n\
             end"
        );
        lua(name, &script)
    };
    let filters =
        vec![adds("before"), envoy::cors("strict", POLICIES), adds("behind")];
    let fields = json!({
        "route_config": envoy::routes(vec![envoy::route("/", json!({}))]),
    });
    let manager = host.manager(filters, fields);
    let config = host.bootstrap(vec![envoy::listener("front", &manager)]);
    let mut running = host.start(&config);
    for (reply, status) in [
        (running.preflight("/", EVIL), 204),
        (running.get("/", EVIL), 403),
        (running.get("/", APP), 200),
    ] {
        assert_eq!(reply.status, status);
        assert!(reply.value("vary").ends_with("Origin"), "{reply:?}");
        assert_eq!(reply.value("before"), status.to_string());
        assert_eq!(reply.value("behind"), status.to_string());
    }
    running.assert_runs();
}

#[test]
fn the_rest_of_an_answered_request_does_no_harm() {
    let host = Host::new();
    // The answer waits for another server.
    let slow = "function envoy_on_response(handle)\n\
                  handle:httpCall('side', {\n\
                    [':method'] = 'GET', [':path'] = '/slow/200',\n\
                    [':authority'] = 'side'}, '', 5000)\n\
                end";
    let routes = json!({
        "route_config": envoy::routes(vec![envoy::route("/", json!({}))]),
        "http_protocol_options": { "enable_trailers": true },
    });
    let listeners = [("front", vec![]), ("slow", vec![lua("slow", slow)])].map(
        |(name, others)| {
            let filters = [vec![envoy::cors("strict", POLICIES)], others];
            let fields = routes.clone();
            envoy::listener(name, &host.manager(filters.concat(), fields))
        },
    );
    let mut config = host.bootstrap(listeners.to_vec());
    let clusters = &mut config["static_resources"]["clusters"];
    let side = envoy::cluster("side", host.application.port());
    clusters.as_array_mut().unwrap().push(side);
    let mut running = host.start(&config);

    let chunked = line("Transfer-Encoding", "chunked");
    let length = line("Content-Length", "100000");
    let parts: [&[u8]; 3] =
        [b"5\r\nhello\r\n", b"5\r\nworld\r\n", b"0\r\nX-A: b\r\n\r\n"];
    let half: &[u8] = &[b'a'; 50_000];
    let method = line("Access-Control-Request-Method", "PUT");
    let origin = line("Origin", EVIL);
    for listener in ["front", "slow"] {
        let port = running.server.port(listener);
        let requests = [
            ("POST", vec![origin.clone(), chunked.clone()], &parts[..]),
            ("POST", vec![origin.clone(), length.clone()], &[half, half]),
            // A body that never comes.
            ("POST", vec![origin.clone(), length.clone()], &[]),
            (
                "OPTIONS",
                vec![origin.clone(), method.clone(), chunked.clone()],
                &parts,
            ),
        ];
        for (verb, lines, parts) in requests {
            let status = if verb == "POST" { 403 } else { 204 };
            let mut client = Client::connect(port).unwrap();
            let head = http::kept_request_bytes(verb.as_bytes(), "/", &lines);
            client.send(&head).unwrap();
            for part in parts {
                thread::sleep(Duration::from_millis(10));
                // Envoy may have ended the connection by now.
                drop(client.send(part));
            }
            assert_denied(&client.reply(true).unwrap(), status);
        }
        // Over HTTP/2 the connection lives on.
        let mut client = http2::Client::connect(port).unwrap();
        let lines = [origin.clone()];
        let (reply, _) = client
            .open(&http2::Request {
                method: b"POST",
                path: "/",
                protocol: None,
                lines: &lines,
            })
            .unwrap();
        assert_denied(&reply, 403);
    }
    let upstream = "cluster.application.upstream_rq_total";
    assert_eq!(running.server.stat(upstream).unwrap(), 0);
    // On a connection that stays, too.
    let mut client = Client::connect(running.port).unwrap();
    let lines = [line("Origin", APP), method, line("Content-Length", "5")];
    let preflight = http::kept_request_bytes(b"OPTIONS", "/", &lines);
    let get = http::kept_request_bytes(b"GET", "/", &lines[..1]);
    client.send(&[&preflight[..], b"hello", &get].concat()).unwrap();
    assert_eq!(client.reply(true).unwrap().status, 204);
    if let Ok(reply) = client.reply(true) {
        assert_eq!(reply.value("access-control-allow-origin"), APP);
        assert_eq!(reply.status, 200);
    }
    running.assert_runs();
}

#[test]
fn hostile_requests_do_no_harm() {
    let host = Host::new();
    let mut config = host.front(vec![
        ruled("/open", "open"),
        ruled("/sockets", "sockets"),
        envoy::route("/", json!({})),
    ]);
    let manager = &mut config["static_resources"]["listeners"][0]["filter_chains"]
        [0]["filters"][0]["typed_config"];
    manager["max_request_headers_kb"] = json!(256);
    let mut running = host.start(&config);
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
            for path in ["/", "/open", "/sockets"] {
                for method in ["GET", "OPTIONS"] {
                    let lines = [
                        ("Origin", APP),
                        ("Access-Control-Request-Method", "PUT"),
                        (name, value),
                    ];
                    let reply = running.ask(method, path, &lines);
                    let origin = reply.value("access-control-allow-origin");
                    assert!(["", "*", APP].contains(&&*origin), "{reply:?}");
                }
            }
        }
    }
    // A line that a client smuggles in is nowhere in the reply.
    let smuggled = "https://app.example.com\r\nSet-Cookie: a=b";
    for break_ in ["\r\n", "\n", "\r", "\r\n ", "\0", "%0d%0a"] {
        let value = smuggled.replace("\r\n", break_);
        for name in ["Origin", "Access-Control-Request-Headers"] {
            let lines = [
                ("Origin", APP),
                ("Access-Control-Request-Method", "PUT"),
                (name, &*value),
            ];
            for path in ["/", "/open"] {
                let reply = running.ask("OPTIONS", path, &lines);
                let shown = format!("{reply:?}").to_ascii_lowercase();
                assert!(!shown.contains("set-cookie"), "{shown}");
            }
        }
    }
    for bytes in [
        b"GET /\r\n\r\n".as_slice(),
        b"GET / HTTP/1.1\r\nOrigin: https://app.example.com\r\n\r\n",
        b"\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\nOrigin: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: a\x00b\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all",
    ] {
        // Whether Envoy answers these at all does not matter.
        let address = ("127.0.0.1", running.port);
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        drop(stream.read_to_end(&mut Vec::new()));
    }
    assert_allowed(&running.get("/", APP), 200, APP);
    running.assert_runs();
    let log = running.server.log();
    for line in log.lines().filter(|line| line.contains("cors: ")) {
        assert!(line.bytes().all(|b| (b' '..0x7f).contains(&b)), "{line:?}");
        assert!(line.len() < 1000, "{line}");
    }
}

#[test]
fn requests_that_break_off_do_no_harm() {
    let host = Host::new();
    let mut running =
        host.start(&host.front(vec![envoy::route("/", json!({}))]));
    let lines = [line("Origin", APP), line("Content-Length", "100")];
    let unfinished = [
        http::kept_request_bytes(b"GET", "/slow/300", &lines[..1]),
        http::kept_request_bytes(b"POST", "/slow/300", &lines),
        b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://app".to_vec(),
        http::kept_request_bytes(
            b"GET",
            "/socket",
            &[
                line("Connection", "Upgrade"),
                line("Upgrade", "websocket"),
                line("Origin", APP),
            ],
        ),
    ];
    for _ in 0..25 {
        for bytes in &unfinished {
            let mut stream =
                TcpStream::connect(("127.0.0.1", running.port)).unwrap();
            stream.write_all(bytes).unwrap();
        }
        // Over HTTP/2 a connection that ends resets its streams.
        let mut client = http2::Client::connect(running.port).unwrap();
        client
            .send_and_forget(&http2::Request {
                method: b"GET",
                path: "/slow/300",
                protocol: None,
                lines: &lines[..1],
            })
            .unwrap();
    }
    let cancelled = || {
        running.server.stat("http.front.downstream_rq_rx_reset").unwrap()
            + running
                .server
                .stat("http.front.downstream_cx_destroy_remote_active_rq")
                .unwrap()
    };
    running
        .server
        .wait_for("requests that broke off", || cancelled() >= 75)
        .unwrap();
    assert_allowed(&running.get("/", APP), 200, APP);
    running.assert_runs();
}

#[test]
fn what_stands_before_the_filter_refuses_preflights() {
    let host = Host::new();
    let routes =
        json!({ "route_config": envoy::routes(vec![answered("/", 200)]) });
    let filters = vec![envoy::deny_all(), envoy::cors("api", POLICIES)];
    let manager = host.manager(filters, routes);
    let config = host.bootstrap(vec![envoy::listener("front", &manager)]);
    let mut running = host.start(&config);
    // Browsers take no preflight that is not 2xx.
    assert_eq!(running.preflight("/", APP).status, 403);
    assert_denied(&running.preflight("/", EVIL), 403);
    // Other requests get their headers on the way out all the same.
    assert_allowed(&running.get("/", APP), 403, APP);
    assert_denied(&running.get("/", EVIL), 403);
    running.assert_runs();
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// The header lines of a `GET` as HPACK has them if nothing is compressed.
fn hpack(lines: &[(&[u8], &[u8])]) -> Vec<u8> {
    let own: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":path", b"/"),
        (b":authority", b"host.invalid"),
    ];
    let mut block = Vec::new();
    for (name, value) in own.iter().chain(lines) {
        block.push(0);
        for part in [name, value] {
            block.push(u8::try_from(part.len()).unwrap());
            block.extend_from_slice(part);
        }
    }
    block
}

/// The types of the frames that come of a request, up to the one that ends it.
fn frames(running: &Running<'_>, lines: &[(&[u8], &[u8])]) -> Vec<u8> {
    const END_HEADERS_AND_STREAM: u8 = 5;
    let bytes = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, &[]),
        frame(HEADERS, END_HEADERS_AND_STREAM, 1, &hpack(lines)),
    ];
    let mut client = Client::connect(running.port).unwrap();
    client.send(&bytes.concat()).unwrap();
    let mut kinds = Vec::new();
    loop {
        let head = client.receive(9).unwrap();
        let [high, middle, low, kind, ..] = head[..] else {
            return kinds;
        };
        let length = u32::from_be_bytes([0, high, middle, low]);
        client.receive(length as usize).unwrap();
        kinds.push(kind);
        if [HEADERS, RST_STREAM, GOAWAY].contains(&kind) {
            return kinds;
        }
    }
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

#[test]
fn http2_smuggles_no_lines_in() {
    let host = Host::new();
    let mut config = host.front(vec![ruled("/", "open")]);
    manager_of(&mut config)["delayed_close_timeout"] = json!("0.05s");
    let mut running = host.start(&config);
    let origin = frames(&running, &[(b"origin", b"https://a.example")]);
    assert_eq!(origin.last(), Some(&HEADERS), "{origin:?}");
    for value in [
        b"https://a.example\r\nset-cookie: a=b".as_slice(),
        b"https://a.example\nset-cookie: a=b",
        b"https://a.example\rset-cookie: a=b",
        b"https://a.example\0",
    ] {
        for name in [b"origin".as_slice(), b"access-control-request-method"] {
            let kinds = frames(&running, &[(name, value)]);
            // Envoy resets the stream, or ends the connection.
            assert!(
                !kinds.contains(&HEADERS),
                "{}: {kinds:?}",
                value.escape_ascii()
            );
        }
    }
    let reply = running.get("/", APP);
    assert_eq!(reply.value("access-control-allow-origin"), "*");
    running.assert_runs();
}
