//! Every case of the suite that HTTP/1.1 can carry, through a running nginx with
//! an application behind it that gets CORS wrong.

use std::{collections::BTreeMap, process::Command};

use libcors_testkit::{
    http::{self, Application, Reply, WRONG},
    naive::{OWNED, OWNED_TIMING},
    nginx::Installation,
    suite::{Case, File, SUITE},
};
use toml::{Table, Value};

/// The name of a policy among those of all files.
fn name(file: &File, policy: &str) -> String {
    format!("{}.{policy}", file.name)
}

/// All policies of the suite as one document.
fn document() -> String {
    let mut policies = Table::new();
    for file in &SUITE.files {
        for (policy, table) in &file.policies {
            policies.insert(name(file, policy), Value::Table(table.clone()));
        }
    }
    let document = Table::from_iter([("policy".into(), policies.into())]);
    toml::to_string(&document).unwrap()
}

fn locations(application: u16) -> String {
    let mut text = String::new();
    let names = SUITE.files.iter().flat_map(|file| {
        file.policies.keys().map(move |policy| name(file, policy))
    });
    for name in names.chain(["$no_such_policy".to_owned()]) {
        let path = name.trim_start_matches('$');
        text += &format!(
            "location = /{path} {{\n\
             cors {name};\n\
             add_header X-Cors \"$cors_kind $cors_outcome $cors_reason \
             $cors_rule\" always;\n\
             proxy_pass http://127.0.0.1:{application}/;\n}}\n"
        );
    }
    text
}

/// What a case asks of the response of nginx.
#[derive(Debug, Eq, PartialEq)]
struct Expected {
    status: u16,
    cors: Vec<(String, Vec<u8>)>,
    vary: Vec<String>,
    log: String,
}

fn is_owned(name: &str) -> bool {
    OWNED.contains(&name) || name == OWNED_TIMING
}

fn expected(case: &Case, policy: Option<&Table>) -> Expected {
    let answer = &case.answer;
    let mut cors: Vec<(String, Vec<u8>)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let mut vary: Vec<String> =
        answer.vary.iter().map(|name| (*name).to_owned()).collect();
    if answer.status.is_none() {
        let keep = policy.and_then(|table| table.get("upstream_headers"))
            == Some(&Value::from("keep"));
        if keep {
            cors.clear();
        }
        // What stays of the application's headers comes first.
        let mut all = Vec::new();
        for (name, value) in WRONG {
            let name = name.to_ascii_lowercase();
            let removed = answer.remove.contains(&name.as_str());
            if is_owned(&name) && (keep || !removed) {
                all.push((name, value.as_bytes().to_vec()));
            }
        }
        all.append(&mut cors);
        cors = all;
        vary.insert(0, "Accept-Language".to_owned());
    }
    let rule = answer.rule.map_or_else(String::new, |rule| rule.to_string());
    Expected {
        status: answer.status.unwrap_or(200),
        cors,
        vary,
        log: format!(
            "{} {} {} {rule}",
            answer.kind, answer.outcome, answer.reason
        )
        .trim_end()
        .to_owned(),
    }
}

fn seen(reply: &Reply) -> Expected {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let vary = reply.values("vary");
    assert!(vary.len() <= 1, "{} Vary lines", vary.len());
    Expected {
        status: reply.status,
        cors: reply
            .lines
            .iter()
            .map(|(name, value)| (text(name).to_lowercase(), value.clone()))
            .filter(|(name, _)| is_owned(name))
            .collect(),
        vary: vary
            .iter()
            .flat_map(|line| line.split(|&b| b == b','))
            .map(|name| text(name.trim_ascii()))
            .filter(|name| !name.is_empty())
            .collect(),
        log: text(reply.values("x-cors").first().unwrap_or(&&b""[..])),
    }
}

#[test]
fn every_case_of_the_suite() {
    let installation = Installation::find().unwrap();
    let application = Application::start().unwrap();
    let (plain, tls) = (http::free_port().unwrap(), http::free_port().unwrap());
    let folder = installation.prepare(&[("cors.toml", &document())]).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout", "key.pem", "-out"])
        .arg("cert.pem")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "openssl failed: {made:?}");
    let conf = format!(
        "{}http {{\n\
         cors_policies cors.toml;\n\
         access_log off;\n\
         large_client_header_buffers 8 64k;\n\
         server {{\n\
         listen 127.0.0.1:{plain};\n\
         listen 127.0.0.1:{tls} ssl;\n\
         ssl_certificate cert.pem;\n\
         ssl_certificate_key key.pem;\n\
         set $no_such_policy missing;\n\
         {}}}\n}}\n",
        folder.preamble(""),
        locations(application.port())
    );
    folder.write("nginx.conf", &conf).unwrap();
    let server = folder.start(plain).unwrap();
    let workers = server.workers();

    let mut failures = Vec::new();
    let mut left_out: BTreeMap<&str, u32> = BTreeMap::new();
    let mut cases = 0;
    for (file, case) in SUITE.cases() {
        if !case.fits_the_wire() {
            *left_out.entry("HTTP/1.1 cannot carry it").or_default() += 1;
            continue;
        }
        let path = match &case.policy {
            Some(policy) => format!("/{}", name(file, policy)),
            None => "/no_such_policy".to_owned(),
        };
        let scheme = case.request.scheme.as_deref().unwrap_or(b"http");
        let lines: Vec<_> = case
            .lines
            .iter()
            .filter(|(name, _)| name != b":scheme")
            .cloned()
            .collect();
        let request = http::request_bytes(&case.method, &path, &lines);
        let reply = match scheme {
            b"https" => http::exchange_tls(tls, &request),
            b"http" => http::exchange(plain, &request),
            _ => {
                *left_out.entry("nginx has no such scheme").or_default() += 1;
                continue;
            }
        };
        let reply = reply.unwrap();
        if reply.status == 400 || reply.status == 405 && case.method != b"GET" {
            // nginx refuses the request before any module sees it.
            let opened = reply.values("access-control-allow-origin");
            assert!(opened.is_empty(), "{}: {reply:?}", case.name);
            *left_out.entry("nginx refuses the request").or_default() += 1;
            continue;
        }
        cases += 1;
        let policy = case.policy.as_ref().and_then(|p| file.policies.get(p));
        let (expected, seen) = (expected(case, policy), seen(&reply));
        if expected != seen {
            failures.push(format!(
                "{}: {}\n  expected {expected:?}\n  seen     {seen:?}",
                file.name, case.name
            ));
        }
    }
    assert_eq!(server.workers(), workers, "a worker died");
    drop(server);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("{cases} cases through nginx; left out: {left_out:?}");
    assert!(cases >= 250, "only {cases} cases; left out: {left_out:?}");
}
