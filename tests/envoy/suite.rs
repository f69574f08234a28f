//! Every case of the suite that HTTP can carry, through a running Envoy with an
//! application behind it that gets CORS wrong.

use std::{collections::BTreeMap, io};

use libcors_testkit::{
    envoy::{self, Folder, Installation},
    http::{self, Application, Client, Reply},
    http2,
    naive::{self, Answer},
    suite::{Case, File, Line, SUITE},
};
use libcors_tests::responses::{Response, document, policy_name, policy_names};
use serde_json::{Value, json};

/// A route for each policy, and one for a policy that does not exist.
fn routes() -> Value {
    let missing = "missing".to_owned();
    let routes = policy_names().chain([missing]).map(|name| {
        let options = format!("{name}?metadata=on");
        envoy::route(
            "",
            json!({
                "match": { "path": format!("/{name}") },
                "typed_per_filter_config": envoy::with_policy(&options, None),
            }),
        )
    });
    envoy::routes(routes.collect())
}

/// Requests are told apart in the access log by their number.
const LOG: &str = "%REQ(X-CASE)% %DYNAMIC_METADATA(cors:kind)% \
                   %DYNAMIC_METADATA(cors:outcome)% \
                   %DYNAMIC_METADATA(cors:reason)%";

fn configuration(folder: &Folder, application: u16) -> Value {
    let base = policy_names().next().expect("the suite has policies");
    let options = format!("{base}?metadata=on");
    let manager = envoy::manager(json!({
        "http_filters": [
            envoy::cors(&options, &document()),
            envoy::router(),
        ],
        "route_config": routes(),
        "access_log": envoy::access_log(&folder.file("access.log"), LOG),
        // As much as Envoy can be told to read.
        "max_request_headers_kb": 8192,
        "common_http_protocol_options": { "max_headers_count": 1000 },
    }));
    envoy::bootstrap(
        vec![
            envoy::listener("plain", &manager),
            envoy::tls_listener("tls", &manager, folder),
        ],
        vec![envoy::application(application)],
    )
}

/// How a case comes to Envoy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Carrier {
    Http1,
    Tls,
    Http2,
}

/// Or why it does not.
fn carrier(case: &Case) -> Result<Carrier, &'static str> {
    if !case.is_clean() {
        return Err("HTTP cannot carry it");
    }
    let kind = case.answer.kind;
    if case.request.protocol.is_some() && case.method != b"CONNECT" {
        return Err("only CONNECT has a protocol in HTTP/2");
    }
    if kind == "actual" && !case.request.upgrade.is_empty()
        || kind != "websocket" && case.request.protocol.is_some()
    {
        return Err("Envoy refuses upgrades that it was not told of");
    }
    match (case.pseudo(":protocol"), case.pseudo(":scheme")) {
        (Some(_), _) => Ok(Carrier::Http2),
        (None, Some(b"https")) => Ok(Carrier::Tls),
        (None, Some(b"http") | None) => Ok(Carrier::Http1),
        _ => Err("Envoy has no such scheme"),
    }
}

/// Envoy makes one line of all lines of these fields, and leaves empty ones out.
/// The answer is then that to the one line, and the naive engine knows it.
fn answer(file: &File, case: &Case) -> (Answer, bool) {
    let mut request = case.request.clone();
    for lines in [
        &mut request.origin,
        &mut request.request_method,
        &mut request.request_headers,
    ] {
        if lines.len() > 1 {
            lines.retain(|line| !line.is_empty());
            *lines = vec![lines.join(&b","[..])];
        }
    }
    let policy = case.policy.as_ref().and_then(|name| file.policies.get(name));
    let answer = match request == case.request {
        true => case.answer.clone(),
        false => naive::answer(policy, &request).unwrap(),
    };
    let differs = answer != case.answer;
    (answer, differs)
}

/// The case's lines, and what Envoy needs to take them for what they are.
fn lines(case: &Case, number: usize) -> Vec<Line> {
    let mut lines = case.plain_lines();
    let has = |lines: &[Line], name: &[u8]| {
        lines.iter().any(|line| line.0.eq_ignore_ascii_case(name))
    };
    // Else Envoy drops Upgrade, as a proxy must.
    if has(&lines, b"upgrade") && !has(&lines, b"connection") {
        lines.push((b"Connection".to_vec(), b"Upgrade".to_vec()));
    }
    lines.push((b"X-Case".to_vec(), number.to_string().into_bytes()));
    lines
}

fn ask(
    (plain, tls): (u16, u16),
    carrier: Carrier,
    case: &Case,
    path: &str,
    lines: &[Line],
) -> io::Result<Reply> {
    match carrier {
        Carrier::Http1 => {
            let bytes = http::kept_request_bytes(&case.method, path, lines);
            Client::connect(plain)?.ask(&bytes)
        }
        Carrier::Tls => {
            let bytes = http::request_bytes(&case.method, path, lines);
            http::exchange_tls(tls, &bytes)
        }
        Carrier::Http2 => {
            let protocol =
                case.pseudo(":protocol").map(String::from_utf8_lossy);
            http2::Client::connect(plain)?.ask(&http2::Request {
                method: &case.method,
                path,
                protocol: protocol.as_deref(),
                lines,
            })
        }
    }
}

#[test]
fn every_case_of_the_suite() {
    let installation = Installation::find().unwrap();
    let application = Application::start().unwrap();
    let folder = installation.prepare(&[]).unwrap();
    folder.make_certificate().unwrap();
    let config = configuration(&folder, application.port());
    let mut server = folder.start(&config, 2).unwrap();
    let ports = (server.port("plain"), server.port("tls"));

    let mut failures = Vec::new();
    let mut carried: BTreeMap<Carrier, usize> = BTreeMap::new();
    let mut left_out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut merged = Vec::new();
    let mut logged = BTreeMap::new();
    for (number, (file, case)) in SUITE.cases().enumerate() {
        let carrier = match carrier(case) {
            Ok(carrier) => carrier,
            Err(why) => {
                left_out.entry(why).or_default().push(&case.name);
                continue;
            }
        };
        let path = match &case.policy {
            Some(policy) => format!("/{}", policy_name(file, policy)),
            None => "/missing".to_owned(),
        };
        let reply = ask(ports, carrier, case, &path, &lines(case, number))
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        if reply.status == 400 {
            // Envoy refuses the request before any filter sees it.
            let opened = reply.values("access-control-allow-origin");
            assert!(opened.is_empty(), "{}: {reply:?}", case.name);
            left_out.entry("Envoy refuses it").or_default().push(&case.name);
            continue;
        }
        *carried.entry(carrier).or_default() += 1;
        let (answer, differs) = answer(file, case);
        if differs {
            merged.push(case.name.as_str());
        }
        let log =
            format!("{} {} {}", answer.kind, answer.outcome, answer.reason);
        logged.insert(number.to_string(), (case, log));
        let expected = Response::expected(file, case, &answer).combined();
        let seen = Response::seen(&reply).combined();
        if expected != seen {
            failures.push(format!(
                "{}: {}\n  expected {expected:?}\n  seen     {seen:?}",
                file.name, case.name
            ));
        }
    }
    assert_eq!(server.ended().unwrap(), None, "{}", server.log());
    drop(server);

    // All that was logged is in the file when Envoy has ended.
    let log = folder.read("access.log");
    for line in log.lines() {
        let (number, found) = line.split_once(' ').unwrap();
        if let Some((case, expected)) = logged.remove(number)
            && found != expected
        {
            failures.push(format!(
                "{}: {}\n  expected in the log {expected}\n  \
                 seen                {found}",
                case.file, case.name
            ));
        }
    }
    assert!(logged.is_empty(), "not in the log: {:?}", logged.keys());
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
    println!(
        "carried: {carried:?}; of these with another answer, as Envoy makes \
         one line of several: {merged:?}; left out: {left_out:?}"
    );
    // Every other case is carried, so none can be lost in silence. Who adds a case
    // that cannot be carried counts it here.
    let left_out = left_out.iter().map(|(why, cases)| (*why, cases.len()));
    assert_eq!(
        left_out.collect::<Vec<_>>(),
        [
            ("Envoy has no such scheme", 2),
            ("Envoy refuses it", 2),
            ("Envoy refuses upgrades that it was not told of", 18),
            ("HTTP cannot carry it", 45),
            ("only CONNECT has a protocol in HTTP/2", 2),
        ]
    );
    assert_eq!(merged.len(), 8);
    assert_eq!(carried[&Carrier::Http2], 19);
}
