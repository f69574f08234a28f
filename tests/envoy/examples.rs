//! The configurations in `examples/envoy`, as they are but for ports and folders:
//! Envoy takes each, and each does what its comments say.

use std::{collections::BTreeSet, fs, path::Path};

use libcors_testkit::{
    envoy::{Folder, Installation, Server},
    http::{self, Application, Client, Reply},
    http2,
    suite::Line,
};
use libcors_tests::front::{
    APP, EVIL, Front, JWKS, TOKEN, assert_allowed, assert_denied, cors_lines,
};

struct Example {
    folder: Folder,
    application: Application,
}

impl Example {
    fn new() -> Example {
        let folder = Installation::find().unwrap().prepare(&[]).unwrap();
        let application = Application::start().unwrap();
        let example = Example { folder, application };
        let examples =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/envoy");
        for file in fs::read_dir(examples).unwrap() {
            let file = file.unwrap();
            if file.file_name() == "README.md" {
                continue;
            }
            let text = fs::read_to_string(file.path()).unwrap();
            let name = file.file_name().into_string().unwrap();
            example.folder.write(&name, &example.adapt(&text)).unwrap();
        }
        example.folder.write("jwks.json", JWKS).unwrap();
        example
    }

    fn adapt(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let application = format!("port_value: {} ", self.application.port());
        text.replace("/etc/envoy", &folder)
            .replace("port_value: 9000 ", &application)
            .replace("port_value: 8080 ", "port_value: 0 ")
            .replace("port_value: 9901 ", "port_value: 0 ")
    }

    fn start(&self, name: &str) -> (Server<'_>, Front) {
        let (good, text) = self.folder.check(name).unwrap();
        assert!(good, "{text}");
        assert!(!text.contains("eprecated"), "{text}");
        let server = self.folder.start_file(name, 1, &[]).unwrap();
        let port = server.port("front");
        (server, Front { port })
    }
}

/// The answer to a preflight for `PUT`.
fn preflight(front: Front, path: &str, origin: &str) -> Reply {
    let lines = [("Origin", origin), ("Access-Control-Request-Method", "PUT")];
    front.ask("OPTIONS", path, &lines)
}

#[track_caller]
fn assert_may_put(reply: &Reply) {
    assert_eq!(reply.status, 204, "{reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
    assert!(
        reply.value("access-control-allow-methods").contains("PUT"),
        "{reply:?}"
    );
}

#[test]
fn all_are_tested_here() {
    let example = Example::new();
    let names: BTreeSet<_> = fs::read_dir(example.folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let tested = [
        "cors-filter.yaml",
        "cors.toml",
        "custom-methods.yaml",
        "ecds.yaml",
        "jwks.json",
        "jwt_authn.yaml",
        "per-route.yaml",
        "rbac.yaml",
        "static.yaml",
    ];
    assert_eq!(names, tested.map(String::from).into());
}

#[test]
fn one_policy() {
    let example = Example::new();
    let (_server, front) = example.start("static.yaml");
    assert_may_put(&preflight(front, "/", APP));
    assert_denied(&preflight(front, "/", EVIL), 204);
    assert_allowed(&front.get("/", APP), 200, APP);
    assert_denied(&front.get("/", EVIL), 200);
}

#[test]
fn a_policy_for_each_route() {
    let example = Example::new();
    let (_server, front) = example.start("per-route.yaml");
    assert_may_put(&preflight(front, "/", APP));
    assert_allowed(&front.get("/", APP), 200, APP);
    let partner = "https://partner.example";
    let reply = front.get("/partners", partner);
    assert_eq!(reply.value("access-control-allow-origin"), partner);
    assert_denied(&front.get("/partners", APP), 200);
    let lines = [("Host", "assets.example.com"), ("Origin", EVIL)];
    let reply = front.ask("GET", "/", &lines);
    assert_eq!(reply.value("access-control-allow-origin"), "*");
    let reply = front.get("/legacy", APP);
    assert_eq!(reply.value("vary"), "Accept-Language");
    assert_ne!(cors_lines(&reply), 0);

    let socket = |origin: &str| {
        let lines: Vec<Line> = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Origin", origin),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        let request = http::kept_request_bytes(b"GET", "/live", &lines);
        Client::connect(front.port).unwrap().ask(&request).unwrap().status
    };
    assert_eq!((socket(APP), socket(EVIL)), (200, 403));
}

#[test]
fn a_policy_that_changes() {
    let example = Example::new();
    let (server, front) = example.start("ecds.yaml");
    assert_may_put(&preflight(front, "/", APP));
    let text = example.folder.read("cors-filter.yaml");
    example
        .folder
        .replace("cors-filter.yaml", &text.replace(APP, EVIL))
        .unwrap();
    let changed = || {
        let reply = front.get("/", EVIL);
        reply.value("access-control-allow-origin") == EVIL
    };
    server.wait_for("the new policy", changed).unwrap();
    assert_denied(&front.get("/", APP), 200);
}

#[test]
fn preflights_need_no_token() {
    let example = Example::new();
    let (_server, front) = example.start("jwt_authn.yaml");
    assert_may_put(&preflight(front, "/", APP));
    assert_allowed(&front.get("/", APP), 401, APP);
    let lines = [("Origin", APP), ("Authorization", TOKEN)];
    assert_allowed(&front.ask("GET", "/", &lines), 200, APP);
}

#[test]
fn preflights_need_no_access() {
    let example = Example::new();
    let (_server, front) = example.start("rbac.yaml");
    assert_may_put(&preflight(front, "/", APP));
    assert_allowed(&front.get("/", APP), 403, APP);
    let lines = [("Origin", APP), ("X-Key", "secret")];
    assert_allowed(&front.ask("GET", "/", &lines), 200, APP);
    assert_allowed(&front.ask("POST", "/", &lines), 403, APP);
}

#[test]
fn methods_that_envoy_does_not_know() {
    const SETTING: &str = "allow_custom_methods: true";
    let example = Example::new();
    let name = "custom-methods.yaml";
    let sync = |front: Front| front.ask("SYNC", "/", &[("Origin", APP)]);
    let lines = [("Origin", APP), ("Access-Control-Request-Method", "SYNC")];
    let (server, front) = example.start(name);
    let reply = front.ask("OPTIONS", "/", &lines);
    assert_eq!(reply.status, 204);
    assert_eq!(reply.value("access-control-allow-methods"), "SYNC");
    let reply = sync(front);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
    assert_denied(&front.ask("SYNC", "/", &[("Origin", EVIL)]), 200);
    drop(server);

    // Without the setting the preflight is as right, and of no use.
    let text = example.folder.read(name);
    assert!(text.contains(SETTING));
    let text = text.replace(SETTING, "allow_custom_methods: false");
    example.folder.write(name, &text).unwrap();
    let (_server, front) = example.start(name);
    assert_eq!(front.ask("OPTIONS", "/", &lines).status, 204);
    let reply = sync(front);
    assert_eq!((reply.status, cors_lines(&reply)), (400, 0), "{reply:?}");
    // HTTP/2 needs no setting.
    let lines: [Line; 1] = [(b"Origin".to_vec(), APP.into())];
    let reply = http2::Client::connect(front.port)
        .unwrap()
        .ask(&http2::Request {
            method: b"SYNC",
            path: "/",
            protocol: None,
            lines: &lines,
        })
        .unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.value("access-control-allow-origin"), APP);
}
