//! `cargo bench-libcors preflights`: how many preflights a visit takes, counted at
//! the server, with real browsers.
//!
//! A browser keeps the answer to a preflight for the methods and headers that it
//! names. A policy that lists all is asked once for each URL; one that echoes what
//! was asked for is asked again for every other method or header.

use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use libcors_testkit::{
    http,
    nginx::{Folder, Installation},
    process::Process,
};
use serde_json::{Value, json};

use super::results;
use libcors_tools::{
    fail,
    packages::{self, Need},
    run::{self, Context as _, Result},
};
use xtask::{library::Variant, nginx};

/// The policies of the visit: the site may do the same under both.
const POLICIES: [(&str, &str); 2] = [
    (
        "listed",
        "allow_methods = [\"PUT\", \"PATCH\", \"DELETE\"]\n\
         allow_headers = [\"Authorization\", \"Content-Type\", \
         \"X-Request-Id\"]\n",
    ),
    (
        "echoed",
        "allow_methods = [\"*\"]\nallow_headers = [\"*\", \"Authorization\"]\n",
    ),
];

/// A visit: 30 calls, 6 to each of 5 URLs, one after the other.
const CALLS: usize = 30;
const PAGE: &str = r#"<!doctype html>
<title>a visit</title>
<script>
const api = location.hash.slice(1);
const json = { "Content-Type": "application/json" };
const id = { "X-Request-Id": "1" };
const calls = [
    ["GET", {}],
    ["GET", id],
    ["POST", json],
    ["PUT", json],
    ["PATCH", { ...json, ...id }],
    ["DELETE", {}],
];
async function visit() {
    let answered = 0;
    for (const [method, headers] of calls) {
        for (const path of ["cart", "items", "orders", "prices", "users"]) {
            const response = await fetch(`${api}/${path}`, {
                method,
                headers: { Authorization: "Bearer a", ...headers },
                credentials: "include",
            });
            answered += response.ok;
        }
    }
    return answered;
}
visit().then(
    (answered) => fetch(`/done/${answered}`),
    (error) => fetch(`/done/${encodeURIComponent(error)}`),
);
</script>
"#;

/// A browser: its name, its program, and the arguments before the address.
struct Browser {
    name: &'static str,
    program: &'static str,
    arguments: fn(&Path) -> Vec<String>,
}

const BROWSERS: [Browser; 2] = [
    Browser {
        name: "Chromium",
        program: "chromium",
        arguments: |profile| {
            vec![
                "--headless=new".into(),
                "--no-sandbox".into(),
                "--disable-gpu".into(),
                "--no-first-run".into(),
                "--disable-background-networking".into(),
                format!("--user-data-dir={}", profile.display()),
            ]
        },
    },
    Browser {
        name: "Firefox",
        program: "firefox-esr",
        arguments: |profile| {
            vec![
                "--headless".into(),
                "--no-remote".into(),
                "--profile".into(),
                profile.display().to_string(),
            ]
        },
    },
];

/// Runs `cargo bench-libcors preflights`.
pub(super) fn command() -> Result {
    let built = nginx::build(None, &Variant::default())?;
    let installation =
        Installation { nginx: built.nginx, module: Some(built.module) };
    run::say(format_args!(
        "preflights that arrive at the server in a visit of {CALLS} calls, 6 \
         to each of 5 URLs"
    ));
    let mut rows = Vec::new();
    for browser in &BROWSERS {
        let need = Need::Program(browser.program, browser.program);
        if !packages::offer(&[need]) {
            run::say(format_args!("left out: {}", browser.name));
            continue;
        }
        let version = version(browser)?;
        for (policy, _) in POLICIES {
            let preflights = visit(&installation, browser, policy)?;
            run::say(format_args!("{version:<42}{policy:<10}{preflights:>4}"));
            rows.push(json!({
                "browser": version,
                "policy": policy,
                "preflights": preflights,
                "calls": CALLS,
            }));
        }
    }
    if rows.is_empty() {
        fail!("there is no browser to ask");
    }
    results::write("preflights", json!({ "visits": Value::from(rows) }))
}

fn version(browser: &Browser) -> Result<String> {
    let text = run::read(run::command(browser.program).arg("--version"))?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = words
        .iter()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    Ok(format!("{} {}", browser.name, number.unwrap_or(&"?")))
}

/// One visit with a profile of its own; returns the number of preflights.
fn visit(
    installation: &Installation,
    browser: &Browser,
    policy: &str,
) -> Result<usize> {
    let page = http::free_port().context("a port")?;
    let api = http::free_port().context("a port")?;
    let folder = site(installation, page, api, policy)?;
    let server = folder.start(page).context("nginx")?;
    let profile = folder.path().join("profile");
    fs::create_dir_all(&profile).context(profile.display())?;
    let mut command = run::command(browser.program);
    command
        .args((browser.arguments)(&profile))
        .arg(format!("http://127.0.0.1:{page}/#http://127.0.0.1:{api}"))
        .env("HOME", &profile)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = Process::start(&mut command).context(browser.program)?;
    let log = wait(&folder, browser)?;
    drop(process);
    drop(server);
    let of_api = |method: &str| {
        let start = format!("{api} {method} ");
        log.lines().filter(|line| line.starts_with(&start)).count()
    };
    let preflights = of_api("OPTIONS");
    let calls: usize =
        ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().map(of_api).sum();
    if calls != CALLS {
        fail!("{} made {calls} calls, not {CALLS}:\n{log}", browser.name);
    }
    Ok(preflights)
}

/// An nginx with the page on one port, and the API on another.
fn site(
    installation: &Installation,
    page: u16,
    api: u16,
    policy: &str,
) -> Result<Folder> {
    let mut document = String::new();
    for (name, lists) in POLICIES {
        document.push_str(&format!(
            "[policy.{name}]\nallow_origins = [\"http://127.0.0.1:{page}\"]\n\
             {lists}allow_credentials = true\nmax_age = 600\n"
        ));
    }
    let folder = installation
        .prepare(&[("cors.toml", &document), ("html/index.html", PAGE)])
        .context("the folder of nginx")?;
    let conf = format!(
        "{}http {{\nlog_format visit '$server_port $request_method \
         $request_uri';\naccess_log logs/visit.log visit;\n\
         cors_policies cors.toml;\n\
         server {{\nlisten 127.0.0.1:{page};\nroot html;\n\
         location = /answer {{ access_log off; return 204; }}\n}}\n\
         server {{\nlisten 127.0.0.1:{api};\ncors {policy};\n\
         location / {{\nrewrite ^ /answer break;\n\
         proxy_pass http://127.0.0.1:{page};\n}}\n}}\n\
         types {{ text/html html; }}\n}}\n",
        folder.preamble("")
    );
    folder.write("nginx.conf", &conf).context("nginx.conf")?;
    Ok(folder)
}

/// Waits until the page says that it is done; returns the log.
fn wait(folder: &Folder, browser: &Browser) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let log = folder.read("logs/visit.log");
        let done = log.lines().find_map(|l| l.split(" /done/").nth(1));
        match done {
            Some(answered) if answered == CALLS.to_string() => return Ok(log),
            Some(problem) => {
                fail!("{}: the page says {problem}\n{log}", browser.name);
            }
            None if Instant::now() > deadline => {
                fail!("{} did not end its visit:\n{log}", browser.name);
            }
            None => thread::sleep(Duration::from_millis(100)),
        }
    }
}
