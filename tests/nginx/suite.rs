//! Every case of the suite that HTTP/1.1 can carry, through a running nginx with
//! an application behind it that gets CORS wrong.

use std::collections::BTreeMap;

use libcors_testkit::{
    http::{self, Application, Reply},
    naive::Answer,
    nginx::Installation,
    suite::SUITE,
};
use libcors_tests::responses::{Response, document, policy_name, policy_names};

fn locations(application: u16) -> String {
    let mut text = String::new();
    for name in policy_names().chain(["$no_such_policy".to_owned()]) {
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

/// What the log of nginx says about an answer.
fn logged(answer: &Answer) -> String {
    let rule = answer.rule.map_or_else(String::new, |rule| rule.to_string());
    let text =
        format!("{} {} {} {rule}", answer.kind, answer.outcome, answer.reason);
    text.trim_end().to_owned()
}

fn log_of(reply: &Reply) -> String {
    let values = reply.values("x-cors");
    let value = values.first().copied().unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

#[test]
fn every_case_of_the_suite() {
    let installation = Installation::find().unwrap();
    let application = Application::start().unwrap();
    let (plain, tls) = (http::free_port().unwrap(), http::free_port().unwrap());
    let folder = installation.prepare(&[("cors.toml", &document())]).unwrap();
    folder.make_certificate().unwrap();
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
            Some(policy) => format!("/{}", policy_name(file, policy)),
            None => "/no_such_policy".to_owned(),
        };
        let scheme = case.pseudo(":scheme").unwrap_or(b"http");
        let lines = case.plain_lines();
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
        let answer = &case.answer;
        let expected = (Response::expected(file, case, answer), logged(answer));
        let seen = (Response::seen(&reply), log_of(&reply));
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
