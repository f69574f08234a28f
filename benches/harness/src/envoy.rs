//! `cargo bench-libcors envoy`: requests through Envoy, without CORS, with the
//! filter that Envoy brings, and with the module.
//!
//! callgrind counts the instructions of each thread of one Envoy. It is told to
//! begin anew before the requests that count, so that what Envoy does when it
//! starts is not in the numbers. A second Envoy, which is not counted, is the
//! application.

use std::fs;

use libcors_testkit::{
    envoy::{self, Folder, Installation, Server},
    http::{self, Client, Reply},
    suite::Line,
};
use serde_json::{Value, json};

use super::{
    load::{self, Target},
    results,
    shops::{EXPRESSION, Origins, origin},
};
use libcors_tools::{
    fail,
    packages::{self, Need},
    run::{self, Context as _, Error, Result},
};
use xtask::{envoy as envoy_module, library::Variant};

/// What `cargo bench-libcors envoy` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Throughput and latency too; they mean something on a quiet machine
    #[arg(long)]
    load: bool,
    /// Requests a second for which the latency is measured
    #[arg(long, default_value_t = 1000)]
    rate: u64,
}

impl Default for Arguments {
    fn default() -> Self {
        Arguments { load: true, rate: 1000 }
    }
}

/// What is measured, each on a listener of its own.
const CONTENDERS: [(&str, Cors); 11] = [
    ("no CORS", Cors::None),
    ("Envoy's cors, 1 origin", Cors::Envoy(Origins::Exact(1))),
    ("Envoy's cors, 100 origins", Cors::Envoy(Origins::Exact(100))),
    ("Envoy's cors, 1000 origins", Cors::Envoy(Origins::Exact(1000))),
    ("Envoy's cors, expression", Cors::Envoy(Origins::Expression)),
    ("module, 1 origin", Cors::Module(Origins::Exact(1), "")),
    ("module, 100 origins", Cors::Module(Origins::Exact(100), "")),
    ("module, 1000 origins", Cors::Module(Origins::Exact(1000), "")),
    ("module, expression", Cors::Module(Origins::Expression, "")),
    ("module, policy of the route", Cors::Route(Origins::Exact(1))),
    ("module, metadata=on", Cors::Module(Origins::Exact(1), "?metadata=on")),
];

#[derive(Clone, Copy, Debug)]
enum Cors {
    None,
    /// The filter that Envoy brings.
    Envoy(Origins),
    /// The module, with these options.
    Module(Origins, &'static str),
    /// The module, where the route has the policy.
    Route(Origins),
}

/// The kinds of requests.
const KINDS: [&str; 3] = ["actual", "preflight", "no Origin"];

/// How many requests are counted at a time.
const REQUESTS: u64 = 300;

/// How many requests come before, so that all is warm.
const BEFORE: u64 = 50;

/// Each measurement is made so often, and the least counts: what disturbs only
/// adds.
const ROUNDS: usize = 3;

/// Runs `cargo bench-libcors envoy`.
pub(super) fn command(arguments: &Arguments) -> Result {
    packages::ensure(&[Need::Program("valgrind", "valgrind")])?;
    let version = envoy_module::VERSIONS[0];
    let installation = Installation {
        envoy: envoy_module::server(version)?,
        module: Some(envoy_module::build(&Variant::default())?),
    };
    let behind = installation.prepare(&[]).context("a folder")?;
    let application =
        behind.start(&application(), 1).context("the application")?;
    let folder = installation.prepare(&[]).context("a folder")?;
    let config = configuration(application.port("application"));
    folder.write("envoy.json", &config.to_string()).context("envoy.json")?;
    let mut written = json!({ "envoy": version });
    written["instructions"] = instructions(&folder, version)?;
    if arguments.load {
        let server = folder.start_file("envoy.json", 1, &[]);
        let server = server.context("Envoy")?;
        let targets: Vec<Target<'_>> = CONTENDERS
            .iter()
            .map(|(name, cors)| Target {
                name,
                port: server.port(name),
                request: request(*cors, "actual"),
            })
            .collect();
        let measured = load::measure(&targets, arguments.rate)?;
        for key in ["noise", "rate", "load"] {
            written[key] = measured[key].clone();
        }
    }
    results::write("envoy", written)
}

/// Instructions per request.
fn instructions(folder: &Folder, version: &str) -> Result<Value> {
    run::say("starting Envoy under callgrind, which takes a minute or two");
    let file = format!("--callgrind-out-file={}", folder.file("callgrind"));
    let server = folder
        .start_file(
            "envoy.json",
            1,
            &["valgrind", "--tool=callgrind", "--separate-threads=yes", &file],
        )
        .context("Envoy under callgrind")?;

    println!(
        "instructions per request of Envoy {version}, HTTP/1.1, keep-alive, \
         200 bytes, least of {ROUNDS}\n"
    );
    print!("{:<28}", "");
    for kind in KINDS {
        print!("{kind:>12}{:>8}", "ratio");
    }
    println!();
    let mut base: [Option<u64>; KINDS.len()] = [None; KINDS.len()];
    let mut rows = Vec::new();
    for (name, cors) in CONTENDERS {
        print!("{name:<28}");
        let mut row = json!({ "contender": name });
        for (kind, base) in KINDS.into_iter().zip(&mut base) {
            let mut least = u64::MAX;
            for _ in 0..ROUNDS {
                let count = measure(&server, folder, name, cors, kind)?;
                least = least.min(count);
            }
            let base = *base.get_or_insert(least);
            let ratio = least as f64 / base as f64;
            print!("{least:>12}{ratio:>8.3}");
            row[kind] = json!({ "all": least, "ratio": ratio });
        }
        rows.push(row);
        println!();
    }
    println!(
        "\nA preflight without CORS, or by Envoy's cors from an origin that is \
         not listed, goes to the application."
    );
    Ok(rows.into())
}

/// The Envoy that is the application.
fn application() -> Value {
    let response = json!({
        "status": 200,
        "body": { "inline_string": "x".repeat(200) },
    });
    let route = envoy::route("/", json!({ "direct_response": response }));
    let manager = envoy::manager(json!({
        "http_filters": [envoy::router()],
        "route_config": envoy::routes(vec![route]),
    }));
    let listener = envoy::listener("application", &manager);
    envoy::bootstrap(vec![listener], vec![])
}

fn configuration(application: u16) -> Value {
    let listeners = CONTENDERS.map(|(name, cors)| {
        let mut filters = Vec::new();
        let mut route = json!({});
        match cors {
            Cors::None => {}
            Cors::Envoy(origins) => {
                let policy = envoys_own(origins);
                filters.push(envoy::filter("cors", "Cors", json!({})));
                route =
                    json!({ "typed_per_filter_config": { "cors": policy } });
            }
            Cors::Module(origins, options) => {
                let policy = format!("shop{options}");
                filters.push(envoy::cors(&policy, &origins.document()));
            }
            Cors::Route(origins) => {
                let document = origins.document();
                filters.push(envoy::cors("off", &document));
                let policy = envoy::with_policy("shop", Some(&document));
                route = json!({ "typed_per_filter_config": policy });
            }
        }
        filters.push(envoy::router());
        let manager = envoy::manager(json!({
            "http_filters": filters,
            "route_config": envoy::routes(vec![envoy::route("/", route)]),
        }));
        envoy::listener(name, &manager)
    });
    envoy::bootstrap(listeners.to_vec(), vec![envoy::application(application)])
}

/// The same policy, for Envoy's own filter.
fn envoys_own(origins: Origins) -> Value {
    let list: Vec<_> = match origins {
        Origins::Exact(count) => {
            (0..count).map(|i| json!({ "exact": origin(i) })).collect()
        }
        Origins::Expression => {
            vec![json!({ "safe_regex": { "regex": EXPRESSION } })]
        }
    };
    envoy::any(
        "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        json!({
            "allow_origin_string_match": list,
            "allow_methods": "PUT, DELETE",
            "allow_headers": "content-type, x-token",
            "expose_headers": "x-request-id",
            "allow_credentials": true,
            "max_age": "600",
        }),
    )
}

/// The request of a kind that a contender is asked, from the last origin of its
/// list.
fn request(cors: Cors, kind: &str) -> Vec<u8> {
    let last = match cors {
        Cors::Envoy(Origins::Exact(count))
        | Cors::Module(Origins::Exact(count), _)
        | Cors::Route(Origins::Exact(count)) => count - 1,
        _ => 0,
    };
    let asked = origin(last);
    let mut lines: Vec<(&str, &str)> = vec![
        // What a browser sends.
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "en-US,en;q=0.9"),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
    ];
    if kind != "no Origin" {
        lines.push(("Origin", &asked));
    }
    let mut method = "GET";
    if kind == "preflight" {
        method = "OPTIONS";
        lines.push(("Access-Control-Request-Method", "PUT"));
        lines.push(("Access-Control-Request-Headers", "content-type"));
    }
    let lines: Vec<Line> = lines
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    http::kept_request_bytes(method.as_bytes(), "/", &lines)
}

/// The instructions of one request, on the thread that serves it.
fn measure(
    server: &Server<'_>,
    folder: &Folder,
    name: &str,
    cors: Cors,
    kind: &str,
) -> Result<u64> {
    let request = request(cors, kind);
    let mut client = Client::connect(server.port(name)).context(name)?;
    let mut ask = |count| -> Result {
        for _ in 0..count {
            let reply = client.ask(&request).context(name)?;
            check(&reply, cors, kind)?;
        }
        Ok(())
    };
    ask(BEFORE)?;
    control(server, "--zero")?;
    ask(REQUESTS)?;
    control(server, "--dump")?;
    Ok(most_of_a_thread(folder)? / REQUESTS)
}

/// A wrong fast answer is worth nothing.
fn check(reply: &Reply, cors: Cors, kind: &str) -> Result {
    let allowed = !reply.values("access-control-allow-origin").is_empty();
    let asked = kind != "no Origin" && !matches!(cors, Cors::None);
    let answered = kind == "preflight" && asked;
    if allowed != asked || answered != reply.body.is_empty() {
        fail!("Envoy answered {reply:?}");
    }
    Ok(())
}

fn control(server: &Server<'_>, what: &str) -> Result {
    let mut command = run::command("callgrind_control");
    run::read(command.arg(what).arg(server.id().to_string())).map(drop)
}

/// The instructions of the thread that did the most since the counts began anew.
/// What was written is removed.
fn most_of_a_thread(folder: &Folder) -> Result<u64> {
    let mut most = 0;
    let path = folder.path();
    for file in fs::read_dir(path).context(path.display())? {
        let file = file.context(path.display())?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("callgrind.") {
            continue;
        }
        let text = fs::read_to_string(&file).context(file.display())?;
        let total = text
            .lines()
            .find_map(|line| line.strip_prefix("totals: "))
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0);
        most = most.max(total);
        fs::remove_file(&file).context(file.display())?;
    }
    match most {
        0 => Err(Error::new("callgrind counted nothing")),
        most => Ok(most),
    }
}
