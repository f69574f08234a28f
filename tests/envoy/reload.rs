//! Policies that change while requests come: over RDS and ECDS from files, and
//! from a management server.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use libcors_testkit::{
    envoy::{self, Folder, Installation, Server},
    http::{self, Application, Client},
    suite::Line,
};
use libcors_tests::front::APP;
use serde_json::{Value, json};

/// Two policies that differ in all they say.
const A: &str = r#"
[policy.p]
allow_origins = ["https://app.example.com", "https://a.example.com"]
allow_methods = ["PUT"]
expose_headers = ["X-A"]
allow_credentials = true
max_age = 1
"#;

const B: &str = r#"
[policy.p]
allow_origins = ["https://app.example.com", "https://b.example.com"]
allow_methods = ["DELETE"]
expose_headers = ["X-B"]
timing_allow_origin = true
max_age = 2
"#;

const BAD: &str = "[policy.p]\nallow_origins = [\"https://a.example/\"]\n";

/// What is asked, again and again: the bytes of each request, and the CORS
/// headers of its reply under `A` and under `B`.
struct Question {
    request: Vec<u8>,
    answers: [Answer; 2],
}

/// A status, and all CORS headers.
type Answer = (u16, BTreeSet<Line>);

fn line(name: &str, value: &str) -> Line {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

fn questions(a: u16, b: u16) -> Vec<Question> {
    let mut requests = Vec::new();
    for origin in [APP, "https://a.example.com", "https://b.example.com"] {
        let origin = line("Origin", origin);
        for path in ["/direct", "/app"] {
            let lines = std::slice::from_ref(&origin);
            requests.push(http::kept_request_bytes(b"GET", path, lines));
        }
        for method in ["GET", "PUT", "DELETE"] {
            let method = line("Access-Control-Request-Method", method);
            let lines = [origin.clone(), method];
            requests.push(http::kept_request_bytes(b"OPTIONS", "/app", &lines));
        }
    }
    let questions: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let answers = [a, b].map(|port| {
                answer(&mut Client::connect(port).unwrap(), &request).unwrap()
            });
            assert_ne!(answers[0], answers[1], "{request:?}");
            Question { request, answers }
        })
        .collect();
    assert_eq!(questions.len(), 15);
    questions
}

fn answer(client: &mut Client, request: &[u8]) -> Result<Answer, String> {
    let reply = client.ask(request).map_err(|error| error.to_string())?;
    let is_ours = |name: &[u8]| {
        name.starts_with(b"access-control-")
            || name == b"timing-allow-origin"
            || name == b"vary"
    };
    let lines = reply.lines.into_iter().filter(|line| is_ours(&line.0));
    Ok((reply.status, lines.collect()))
}

/// How often each policy answered, and what went wrong.
#[derive(Debug, Default)]
struct Seen {
    by: [u64; 2],
    wrong: Vec<String>,
}

/// What the threads of the load share.
#[derive(Debug, Default)]
struct Load {
    stop: AtomicBool,
    answers: AtomicU64,
}

/// Asks all questions in turn on a connection that stays, until it is told to
/// stop.
fn load(port: u16, questions: &[Question], shared: &Load) -> Seen {
    let mut seen = Seen::default();
    let mut client = Client::connect(port).unwrap();
    for question in questions.iter().cycle() {
        if shared.stop.load(Ordering::Relaxed) || seen.wrong.len() > 10 {
            break;
        }
        let found = match answer(&mut client, &question.request) {
            Ok(found) => found,
            Err(error) => {
                seen.wrong.push(error);
                client = Client::connect(port).unwrap();
                continue;
            }
        };
        match question.answers.iter().position(|answer| *answer == found) {
            Some(index) => {
                seen.by[index] += 1;
                shared.answers.fetch_add(1, Ordering::Relaxed);
            }
            None => seen.wrong.push(format!(
                "{}\n{found:?}",
                question.request.escape_ascii()
            )),
        }
    }
    seen
}

/// The routes of all these tests, with overrides for all of them.
fn routes(overrides: Value) -> Value {
    let direct = json!({ "direct_response": { "status": 200 } });
    let routes =
        vec![envoy::route("/direct", direct), envoy::route("/", json!({}))];
    let fields = json!({ "typed_per_filter_config": overrides });
    envoy::with(envoy::routes(routes), fields)
}

const ROUTE: &str = "envoy.config.route.v3.RouteConfiguration";

/// A file for RDS, in which all routes have this document.
fn rds(document: &str) -> String {
    let routes = routes(envoy::with_policy("p", Some(document)));
    json!({ "resources": [envoy::any(ROUTE, routes)] }).to_string()
}

/// What makes a listener read `rds.json` of a folder.
fn by_rds(folder: &Folder) -> Value {
    json!({
        "rds": {
            "route_config_name": "routes",
            "config_source": {
                "path_config_source": { "path": folder.file("rds.json") },
            },
        },
    })
}

/// A listener whose routes and filters come from somewhere.
fn listener(name: &str, filter: Value, fields: Value) -> Value {
    let own = json!({
        "http_filters": [filter, envoy::router()],
        "stat_prefix": name,
    });
    let manager = envoy::manager(envoy::with(own, fields));
    envoy::listener(name, &manager)
}

/// A listener that has its document for good.
fn fixed(name: &str, document: &str) -> Value {
    let fields = json!({ "route_config": routes(json!({})) });
    listener(name, envoy::cors("p", document), fields)
}

/// Changes a file 200 times while requests come, and sees that each change came
/// into force.
fn change_under_load(
    folder: &Folder,
    config: &Value,
    file: &str,
    text: impl Fn(&str) -> String,
) {
    const CHANGES: usize = 200;
    let mut server = folder.start(config, 2).unwrap();
    let front = server.port("front");
    let questions = Arc::new(questions(server.port("a"), server.port("b")));
    let shared = Arc::new(Load::default());
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let questions = Arc::clone(&questions);
            let shared = Arc::clone(&shared);
            thread::spawn(move || load(front, &questions, &shared))
        })
        .collect();

    // One connection for all changes, beside those of the load.
    let mut client = Client::connect(front).unwrap();
    let question = &questions[0];
    for change in 0..CHANGES {
        let index = (change + 1) % 2;
        folder.replace(file, &text([A, B][index])).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while answer(&mut client, &question.request).unwrap()
            != question.answers[index]
        {
            let late = Instant::now() > deadline;
            assert!(!late, "change {change}:\n{}", server.log());
            thread::sleep(Duration::from_millis(2));
        }
        // However fast files change, each policy is to be met.
        let enough = shared.answers.load(Ordering::Relaxed) + 10;
        while shared.answers.load(Ordering::Relaxed) < enough
            && !threads.iter().any(thread::JoinHandle::is_finished)
        {
            thread::sleep(Duration::from_millis(1));
        }
    }
    shared.stop.store(true, Ordering::Relaxed);
    let mut all = [0; 2];
    for thread in threads {
        let seen = thread.join().unwrap();
        assert!(seen.wrong.is_empty(), "{}", seen.wrong.join("\n"));
        all = [all[0] + seen.by[0], all[1] + seen.by[1]];
    }
    println!("{CHANGES} changes; answers of each policy: {all:?}");
    assert!(all.iter().all(|&count| count > 500), "{all:?}");
    assert_eq!(server.ended().unwrap(), None, "{}", server.log());
}

#[test]
fn rds_changes_under_load() {
    let application = Application::start().unwrap();
    let folder = Installation::find().unwrap().prepare(&[]).unwrap();
    folder.write("rds.json", &rds(A)).unwrap();
    let config = envoy::bootstrap(
        vec![
            listener("front", envoy::cors("p", A), by_rds(&folder)),
            fixed("a", A),
            fixed("b", B),
        ],
        vec![envoy::application(application.port())],
    );
    change_under_load(&folder, &config, "rds.json", rds);
}

#[test]
fn ecds_changes_under_load() {
    let application = Application::start().unwrap();
    let folder = Installation::find().unwrap().prepare(&[]).unwrap();
    folder.write("ecds.json", &envoy::ecds("p", A)).unwrap();
    let filter = envoy::cors_by_ecds(&folder.file("ecds.json"));
    let fields = json!({ "route_config": routes(json!({})) });
    let config = envoy::bootstrap(
        vec![listener("front", filter, fields), fixed("a", A), fixed("b", B)],
        vec![envoy::application(application.port())],
    );
    let text = |document: &str| envoy::ecds("p", document);
    change_under_load(&folder, &config, "ecds.json", text);
}

#[test]
fn requests_end_under_the_policy_they_began_with() {
    let application = Application::start().unwrap();
    let folder = Installation::find().unwrap().prepare(&[]).unwrap();
    folder.write("ecds.json", &envoy::ecds("p", A)).unwrap();
    folder.write("rds.json", &rds(A)).unwrap();
    let by_ecds = envoy::cors_by_ecds(&folder.file("ecds.json"));
    let plain = json!({ "route_config": routes(json!({})) });
    let config = envoy::bootstrap(
        vec![
            listener("front", by_ecds, plain),
            listener("by_rds", envoy::cors("p", A), by_rds(&folder)),
        ],
        vec![envoy::application(application.port())],
    );
    let mut server = folder.start(&config, 1).unwrap();
    for (name, file, text) in [
        ("front", "ecds.json", envoy::ecds("p", B)),
        ("by_rds", "rds.json", rds(B)),
    ] {
        let port = server.port(name);
        let slow = thread::spawn(move || {
            let origin = [line("Origin", APP)];
            let request =
                http::kept_request_bytes(b"GET", "/slow/1500", &origin);
            let reply = Client::connect(port).unwrap().ask(&request).unwrap();
            reply.value("access-control-expose-headers")
        });
        // It has to be on its way.
        let active = format!("http.{name}.downstream_rq_active");
        let is_active = || server.stat(&active).unwrap() == 1;
        server.wait_for(&active, is_active).unwrap();
        folder.replace(file, &text).unwrap();
        server.wait_for("x-b", || exposed(port) == "x-b").unwrap();
        assert!(!slow.is_finished(), "it was over before the change");
        assert_eq!(slow.join().unwrap(), "x-a", "{name}");
    }
    assert_eq!(server.ended().unwrap(), None, "{}", server.log());
}

/// Whether the policy in force at a port is that of `A` or of `B`: by what it
/// exposes.
fn exposed(port: u16) -> String {
    let request =
        http::kept_request_bytes(b"GET", "/direct", &[line("Origin", APP)]);
    let reply = Client::connect(port).unwrap().ask(&request).unwrap();
    reply.value("access-control-expose-headers")
}

#[track_caller]
fn wait_for_exposed(server: &Server<'_>, name: &str) {
    let port = server.port("front");
    server.wait_for(name, || exposed(port) == name).unwrap();
}

#[test]
fn a_bad_file_leaves_the_old_policy_in_force() {
    let application = Application::start().unwrap();
    let folder = Installation::find().unwrap().prepare(&[]).unwrap();
    folder.write("ecds.json", &envoy::ecds("p", A)).unwrap();
    folder.write("rds.json", &rds(A)).unwrap();
    folder.write("policies.toml", A).unwrap();
    let filter = envoy::cors_by_ecds(&folder.file("ecds.json"));
    let fields = json!({ "route_config": routes(json!({})) });
    let config = envoy::bootstrap(
        vec![
            listener("front", filter, fields),
            listener("by_rds", envoy::cors("p", A), by_rds(&folder)),
        ],
        vec![envoy::application(application.port())],
    );
    let mut server = folder.start(&config, 2).unwrap();
    wait_for_exposed(&server, "x-a");

    // A bad document by ECDS, then a good one.
    folder.replace("ecds.json", &envoy::ecds("p", BAD)).unwrap();
    server.wait_for_log(":2:").unwrap();
    let refused = "extension_config_discovery.http_filter.cors.update_rejected";
    let is_refused = || server.stat(refused).unwrap() == 1;
    server.wait_for(refused, is_refused).unwrap();
    assert_eq!(exposed(server.port("front")), "x-a");
    folder.replace("ecds.json", &envoy::ecds("p", B)).unwrap();
    wait_for_exposed(&server, "x-b");

    // The same by RDS.
    assert_eq!(exposed(server.port("by_rds")), "x-a");
    folder.replace("rds.json", &rds(BAD)).unwrap();
    let refused = "http.by_rds.rds.routes.update_rejected";
    let is_refused = || server.stat(refused).unwrap() == 1;
    server.wait_for(refused, is_refused).unwrap();
    assert_eq!(exposed(server.port("by_rds")), "x-a");
    folder.replace("rds.json", &rds(B)).unwrap();
    let port = server.port("by_rds");
    server.wait_for("x-b", || exposed(port) == "x-b").unwrap();

    // A file is read again with each configuration that names it.
    let named = format!("file:{}", folder.file("policies.toml"));
    folder.replace("ecds.json", &envoy::ecds("p", &named)).unwrap();
    wait_for_exposed(&server, "x-a");
    folder.replace("policies.toml", B).unwrap();
    // Another text of the same meaning, as Envoy ignores what has not changed.
    let again = envoy::ecds("p?metadata=off", &named);
    folder.replace("ecds.json", &again).unwrap();
    wait_for_exposed(&server, "x-b");
    assert_eq!(server.ended().unwrap(), None, "{}", server.log());
}

#[test]
fn a_policy_that_ecds_removed_closes() {
    let application = Application::start().unwrap();
    let folder = Installation::find().unwrap().prepare(&[]).unwrap();
    let both = format!("{A}\n[policy.q]\nallow_origins = [\"*\"]\n");
    folder.write("ecds.json", &envoy::ecds("p", &both)).unwrap();
    let filter = envoy::cors_by_ecds(&folder.file("ecds.json"));
    let routes = routes(envoy::with_policy("q", None));
    let fields = json!({ "route_config": routes });
    let config = envoy::bootstrap(
        vec![listener("front", filter, fields)],
        vec![envoy::application(application.port())],
    );
    let mut server = folder.start(&config, 2).unwrap();
    let port = server.port("front");
    let allowed = || {
        let request =
            http::kept_request_bytes(b"GET", "/app", &[line("Origin", APP)]);
        let reply = Client::connect(port).unwrap().ask(&request).unwrap();
        reply.value("access-control-allow-origin")
    };
    assert_eq!(allowed(), "*");
    folder.replace("ecds.json", &envoy::ecds("p", A)).unwrap();
    server.wait_for("no policy", || allowed().is_empty()).unwrap();
    server.wait_for_log("\"q\"").unwrap();
    folder.replace("ecds.json", &envoy::ecds("p", &both)).unwrap();
    server.wait_for("the policy", || allowed() == "*").unwrap();
    assert_eq!(server.ended().unwrap(), None, "{}", server.log());
}

#[test]
fn lds_serves_new_connections_by_the_new_policy() {
    let application = Application::start().unwrap();
    let folder = Installation::find().unwrap().prepare(&[]).unwrap();
    let lds = |document: &str| {
        let mut front = fixed("front", document);
        front["@type"] =
            json!("type.googleapis.com/envoy.config.listener.v3.Listener");
        json!({ "resources": [front] }).to_string()
    };
    folder.write("lds.json", &lds(A)).unwrap();
    let source = json!({
        "resource_api_version": "V3",
        "path_config_source": { "path": folder.file("lds.json") },
    });
    let config = envoy::with(
        envoy::bootstrap(vec![], vec![envoy::application(application.port())]),
        json!({ "dynamic_resources": { "lds_config": source } }),
    );
    let mut server = folder.start(&config, 2).unwrap();
    let front = server.port("front");
    assert_eq!(exposed(front), "x-a");
    let refused = "listener_manager.lds.update_rejected";
    folder.replace("lds.json", &lds(BAD)).unwrap();
    let is_refused = || server.stat(refused).unwrap() == 1;
    server.wait_for(refused, is_refused).unwrap();
    assert_eq!(exposed(front), "x-a");
    folder.replace("lds.json", &lds(B)).unwrap();
    server.wait_for("x-b", || exposed(front) == "x-b").unwrap();
    assert_eq!(server.ended().unwrap(), None, "{}", server.log());
}

#[test]
fn new_code_comes_with_a_new_name() {
    let application = Application::start().unwrap();
    let shipped = Installation::find().unwrap();
    let folder = shipped.prepare(&[]).unwrap();
    // The build that panics on demand is told from the shipped one by that.
    let panics = Installation::find_with_panics().unwrap();
    for (installation, name) in [(&shipped, "v1.so"), (&panics, "v2.so")] {
        let module = installation.module.as_ref().unwrap();
        fs::copy(module, folder.path().join(name)).unwrap();
    }
    let ecds = |name: &str| {
        let mut config = envoy::cors_config("p", A);
        config["dynamic_module_config"] = json!({
            "module": { "local": { "filename": folder.file(name) } },
            "do_not_close": true,
            "metrics_namespace": "cors",
        });
        let fields = json!({ "name": envoy::FILTER, "typed_config": config });
        json!({ "resources": [envoy::any(EXTENSION, fields)] }).to_string()
    };
    folder.write("ecds.json", &ecds("v1.so")).unwrap();
    let filter = envoy::cors_by_ecds(&folder.file("ecds.json"));
    let fields = json!({ "route_config": routes(json!({})) });
    let config = envoy::bootstrap(
        vec![listener("front", filter, fields)],
        vec![envoy::application(application.port())],
    );
    let mut server = folder.start(&config, 1).unwrap();
    let port = server.port("front");
    let provoke = || {
        let lines = [line("Origin", "https://panic.example")];
        let request = http::kept_request_bytes(b"GET", "/direct", &lines);
        Client::connect(port).unwrap().ask(&request).unwrap();
        server.log().contains("cors: a decision failed")
    };
    assert_eq!(exposed(port), "x-a");
    assert!(!provoke());
    folder.replace("ecds.json", &ecds("v2.so")).unwrap();
    server.wait_for("the new code", provoke).unwrap();
    assert_eq!(exposed(port), "x-a");
    assert_eq!(server.ended().unwrap(), None, "{}", server.log());
}

/// A folder with the module, a copy of it, and the build for tests, which sees
/// other copies by another layout; and what of it each is named by.
fn copies(shipped: &Installation) -> Folder {
    let code = shipped.prepare(&[]).unwrap();
    let tests = Installation::find_with_panics().unwrap();
    for (installation, name) in
        [(shipped, OLD), (shipped, COPY), (&tests, OTHER_LAYOUT)]
    {
        let module = installation.module.as_ref().unwrap();
        let file = code.path().join(format!("lib{name}.so"));
        fs::copy(module, file).unwrap();
    }
    code
}

const OLD: &str = "cors_envoy";
const COPY: &str = "cors_envoy-copy";
const OTHER_LAYOUT: &str = "cors_envoy-other";

/// A configuration that names this code.
fn by_code(code: &str, mut config: Value) -> Value {
    config["dynamic_module_config"]["name"] = code.into();
    config
}

/// The filter, by ECDS.
fn ecds_of(code: &str) -> String {
    let document = "[policy.p]\n\
                    allow_origins = [\"https://app.example.com\"]\n\
                    allow_credentials = true\n\
                    [policy.guarded]\n\
                    allow_origins = [\"https://app.example.com\"]\n\
                    websocket = \"reject\"\n";
    let config = by_code(code, envoy::cors_config("p", document));
    let fields = json!({ "name": envoy::FILTER, "typed_config": config });
    json!({ "resources": [envoy::any(EXTENSION, fields)] }).to_string()
}

/// Routes with every kind of override, by RDS.
fn rds_of(code: &str) -> String {
    let partner = "[policy.partner]\n\
                   allow_origins = [\"https://partner.example\"]\n";
    let overridden = |prefix: &str, policy: &str, document: Option<&str>| {
        let mut overrides = envoy::with_policy(policy, document);
        overrides[envoy::FILTER] =
            by_code(code, overrides[envoy::FILTER].clone());
        envoy::route(prefix, json!({ "typed_per_filter_config": overrides }))
    };
    let routes = envoy::routes(vec![
        overridden("/partner", "partner", Some(partner)),
        overridden("/legacy", "off", None),
        overridden("/socket", "guarded", None),
        envoy::route("/", json!({})),
    ]);
    json!({ "resources": [envoy::any(ROUTE, routes)] }).to_string()
}

/// What each route says to pages of three origins: the status, and the origins
/// that it allows.
fn said(port: u16) -> Vec<(u16, String)> {
    let mut said = Vec::new();
    for path in ["/partner", "/legacy", "/socket", "/"] {
        for origin in [APP, "https://partner.example", "https://evil.example"] {
            let mut lines = vec![line("Origin", origin)];
            if path == "/socket" {
                lines.push(line("Connection", "Upgrade"));
                lines.push(line("Upgrade", "websocket"));
            }
            let request = http::kept_request_bytes(b"GET", path, &lines);
            let mut client = Client::connect(port).unwrap();
            let reply = client.ask(&request).unwrap();
            let allowed = reply.value("access-control-allow-origin");
            said.push((reply.status, allowed));
        }
    }
    said
}

#[test]
fn new_code_beside_old_code_fails_closed_until_both_are_named() {
    let application = Application::start().unwrap();
    let shipped = Installation::find().unwrap();
    let code = copies(&shipped);
    let module = code.path().join(envoy::MODULE);
    let installation = Installation { module: Some(module), ..shipped.clone() };
    let yes = |status, origin: &str| (status, origin.to_owned());
    let no = |status| (status, String::new());
    let wrong = "*,https://wrong.example";
    let plain = [yes(200, APP), no(200), no(200)];
    let right = [
        &[no(200), yes(200, "https://partner.example"), no(200)][..],
        &[yes(200, wrong), yes(200, wrong), yes(200, wrong)],
        &[yes(101, APP), no(403), no(403)],
        &plain,
    ]
    .concat();
    // Sockets of all origins are refused, and CORS headers removed.
    let closed = [
        &[no(200), no(200), no(200)][..],
        &[no(200), no(200), no(200)],
        &[no(403), no(403), no(403)],
        &plain,
    ]
    .concat();
    for new in [COPY, OTHER_LAYOUT] {
        let steps = [("ecds.json", ecds_of(new)), ("rds.json", rds_of(new))];
        for (first, second) in [(0, 1), (1, 0)] {
            let folder = installation.prepare(&[]).unwrap();
            folder.write("ecds.json", &ecds_of(OLD)).unwrap();
            folder.write("rds.json", &rds_of(OLD)).unwrap();
            let filter = envoy::cors_by_ecds(&folder.file("ecds.json"));
            let config = envoy::bootstrap(
                vec![listener("front", filter, by_rds(&folder))],
                vec![envoy::application(application.port())],
            );
            let mut server = folder.start(&config, 2).unwrap();
            let port = server.port("front");
            assert_eq!(said(port), right, "{new}");
            let step = |index: usize| {
                let (file, text): &(&str, String) = &steps[index];
                folder.replace(file, text).unwrap();
            };
            step(first);
            let changed = || said(port) != right;
            server.wait_for("the first step", changed).unwrap();
            assert_eq!(said(port), closed, "{new}, {}", steps[first].0);
            assert_eq!(said(port), closed, "{new}, {}", steps[first].0);
            let log = server.log();
            let lines: Vec<_> = log
                .lines()
                .filter(|line| line.contains("cors: ") && line.contains("copy"))
                .collect();
            // In the build for tests a minute has two seconds.
            assert!((1..4).contains(&lines.len()), "{lines:?}");
            assert!(lines[0].contains("[error]"), "{lines:?}");
            let counter = "cors.decisions.actual.deny.no_policy";
            assert!(server.stat(counter).unwrap() >= 12, "{new}");
            step(second);
            let whole = || said(port) == right;
            server.wait_for("the second step", whole).unwrap();
            assert_eq!(server.ended().unwrap(), None, "{}", server.log());
        }
    }
}

/// The management server in `xds/`.
struct Management {
    child: Child,
    input: Option<ChildStdin>,
    events: Receiver<Value>,
    port: u16,
}

impl Management {
    fn start() -> Management {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = tests.join("../target/envoy/xds/bin/python");
        let python = env::var_os("CORS_XDS_PYTHON").map_or(built, Into::into);
        assert!(
            python.exists(),
            "{} is missing: run `cargo xtask envoy --xds`",
            python.display()
        );
        let mut child = Command::new(python)
            .arg(tests.join("envoy/xds/server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = child.stdout.take().unwrap();
        let (send, events) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap();
                if send.send(event).is_err() {
                    return;
                }
            }
        });
        let mut management = Management { child, input, events, port: 0 };
        let event = management.wait_for("listening", 1).remove(0);
        let port = event["port"].as_u64().unwrap();
        management.port = port.try_into().unwrap();
        management
    }

    /// Tells all Envoys.
    fn tell(&mut self, kind: &str, version: &str, resource: Value) {
        let line = json!({
            "type": format!("type.googleapis.com/{kind}"),
            "version": version,
            "resources": [resource],
        });
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for so many events of a kind.
    fn wait_for(&self, kind: &str, count: usize) -> Vec<Value> {
        let mut found = Vec::new();
        while found.len() < count {
            let wait = Duration::from_secs(20);
            let event = self.events.recv_timeout(wait).unwrap_or_else(|_| {
                panic!("only {} {kind}: {found:?}", found.len())
            });
            if event["event"] == kind {
                found.push(event);
            }
        }
        found
    }

    /// Waits until both Envoys have said of a version that they took it, or
    /// refused it; gives what they said.
    fn wait_for_both(&self, kind: &str, version: &str) -> Vec<Value> {
        let mut nodes = BTreeSet::new();
        let mut events = Vec::new();
        while nodes.len() < 2 {
            let event = self.wait_for(kind, 1).remove(0);
            if event["version"] == version {
                nodes.insert(event["node"].to_string());
                events.push(event);
            }
        }
        assert_eq!(nodes, ["\"one\"", "\"two\""].map(String::from).into());
        events
    }
}

impl Drop for Management {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.input.take());
        for _ in 0..1000 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const EXTENSION: &str = "envoy.config.core.v3.TypedExtensionConfig";

/// An Envoy whose filter and routes come from a management server.
fn managed(node: &str, management: u16, application: u16) -> Value {
    let ads = json!({ "ads": {}, "resource_api_version": "V3" });
    let filter = json!({
        "name": envoy::FILTER,
        "config_discovery": {
            "config_source": ads,
            "type_urls": [
                "type.googleapis.com/envoy.extensions.filters.http.\
                 dynamic_modules.v3.DynamicModuleFilter",
            ],
        },
    });
    let fields = json!({
        "rds": { "route_config_name": "routes", "config_source": ads },
    });
    let mut xds = envoy::cluster("xds", management);
    xds["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": envoy::any(
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            json!({
                "explicit_http_config": { "http2_protocol_options": {} },
            }),
        ),
    });
    let config = envoy::bootstrap(
        vec![listener("front", filter, fields)],
        vec![envoy::application(application), xds],
    );
    let source = json!({
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds" } }],
    });
    envoy::with(
        config,
        json!({
            "node": { "id": node, "cluster": "tests" },
            "dynamic_resources": { "ads_config": source },
        }),
    )
}

#[test]
fn a_management_server_rolls_policies_out() {
    let application = Application::start().unwrap();
    let mut management = Management::start();
    let extension = |document: &str| {
        let config = envoy::cors_config("p", document);
        let fields = json!({ "name": envoy::FILTER, "typed_config": config });
        envoy::any(EXTENSION, fields)
    };
    let plain = envoy::any(ROUTE, routes(json!({})));
    let with_own = |document: &str| {
        let overrides = envoy::with_policy("p", Some(document));
        envoy::any(ROUTE, routes(overrides))
    };
    management.tell(EXTENSION, "first", extension(A));
    management.tell(ROUTE, "plain", plain.clone());

    let installation = Installation::find().unwrap();
    let folders = ["one", "two"].map(|node| {
        let folder = installation.prepare(&[]).unwrap();
        (managed(node, management.port, application.port()), folder)
    });
    let mut servers = Vec::new();
    for (config, folder) in &folders {
        servers.push(folder.start(config, 1).unwrap());
    }
    let all_expose = |servers: &[Server<'_>], name: &str| {
        for server in servers {
            wait_for_exposed(server, name);
        }
    };
    management.wait_for_both("ack", "first");
    all_expose(&servers, "x-a");
    management.tell(EXTENSION, "second", extension(B));
    management.wait_for_both("ack", "second");
    all_expose(&servers, "x-b");

    // Both refuse a bad one, and say so; the old one stays.
    management.tell(EXTENSION, "bad", extension(BAD));
    for event in management.wait_for_both("nack", "bad") {
        assert_ne!(event["error"], "", "{event}");
    }
    for server in &servers {
        server.wait_for_log(":2:").unwrap();
        assert_eq!(exposed(server.port("front")), "x-b");
    }
    management.tell(EXTENSION, "good", extension(A));
    management.wait_for_both("ack", "good");
    all_expose(&servers, "x-a");

    // The same with the routes.
    management.tell(ROUTE, "own", with_own(B));
    management.wait_for_both("ack", "own");
    all_expose(&servers, "x-b");
    management.tell(ROUTE, "bad routes", with_own(BAD));
    management.wait_for_both("nack", "bad routes");
    all_expose(&servers, "x-b");
    management.tell(ROUTE, "plain again", plain);
    management.wait_for_both("ack", "plain again");
    all_expose(&servers, "x-a");
    for server in &mut servers {
        assert_eq!(server.ended().unwrap(), None, "{}", server.log());
    }
}
