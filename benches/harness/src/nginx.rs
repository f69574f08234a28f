//! `cargo bench-libcors nginx`: requests through nginx, without CORS, with the
//! module, and written by hand.

use std::{
    fmt::Write as _,
    io::Read as _,
    net::{Ipv4Addr, TcpStream},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use libcors_testkit::{
    http::{self, Client, Reply},
    nginx::{Folder, Installation},
};
use serde_json::{Value, json};

use super::{
    VALGRIND, callgrind, chart, collected,
    load::{self, Target},
    results,
    shops::{EXPRESSION, Origins, origin},
    statistics::Samples,
};
use libcors_tools::{
    fail, packages,
    run::{self, Context as _, Result},
};
use xtask::{library::Variant, nginx};

/// What `cargo bench-libcors nginx` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Fail if the module costs more than docs/performance.md allows
    #[arg(long)]
    check: bool,
    /// Runs of each measurement, of which the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The lines of the module alone, without those to compare with
    #[arg(long)]
    module_only: bool,
    /// Throughput and latency too; they mean something on a quiet machine
    #[arg(long)]
    load: bool,
    /// Requests a second for which the latency is measured
    #[arg(long, default_value_t = 5000)]
    rate: u64,
}

impl Default for Arguments {
    fn default() -> Self {
        Arguments {
            check: false,
            rounds: 5,
            module_only: false,
            load: true,
            rate: 5000,
        }
    }
}

/// Fails if the nginx module costs more than it may.
pub(super) fn check() -> Result {
    command(&Arguments {
        check: true,
        module_only: true,
        // Enough: the limits are far above what runs differ by.
        rounds: 3,
        load: false,
        ..Arguments::default()
    })
}

/// A way to do CORS in nginx that is measured.
pub(super) struct Contender {
    pub(super) name: &'static str,
    /// Whether the module is loaded.
    pub(super) module: bool,
    http: String,
    location: String,
    /// The entries of its list of origins.
    origins: Origins,
}

impl Contender {
    fn none() -> Contender {
        Contender {
            name: "no CORS",
            module: false,
            http: String::new(),
            location: String::new(),
            origins: Origins::Exact(1),
        }
    }

    fn module(name: &'static str, origins: Origins) -> Contender {
        Contender {
            name,
            module: true,
            http: "cors_policies cors.toml;".into(),
            location: "cors shop;".into(),
            origins,
        }
    }

    /// With `map` and `add_header`, for the same headers.
    fn by_hand(name: &'static str, origins: Origins) -> Contender {
        let map = match origins {
            Origins::Exact(count) => (0..count)
                .map(|i| format!("\"{}\" $http_origin;\n", origin(i)))
                .collect(),
            Origins::Expression => {
                format!("\"~^{EXPRESSION}$\" $http_origin;\n")
                    .replace('\\', "\\\\")
            }
        };
        let headers = "
            add_header Access-Control-Allow-Origin $allow always;
            add_header Access-Control-Allow-Credentials $credentials always;
            add_header Vary Origin always;";
        Contender {
            name,
            module: false,
            http: format!(
                "map_hash_max_size 8192; map_hash_bucket_size 128;\n\
                 map $http_origin $allow {{ default ''; {map} }}\n\
                 map $allow $credentials {{ '' ''; default true; }}\n\
                 map $allow $expose {{ '' ''; default 'x-request-id'; }}\n\
                 map $allow $methods {{ '' ''; default 'PUT, DELETE'; }}\n\
                 map $allow $names {{ '' '';
                     default 'content-type, x-token'; }}\n\
                 map $allow $age {{ '' ''; default 600; }}"
            ),
            location: format!(
                "if ($request_method = OPTIONS) {{
                    {headers}
                    add_header Access-Control-Allow-Methods $methods always;
                    add_header Access-Control-Allow-Headers $names always;
                    add_header Access-Control-Max-Age $age always;
                    return 204;
                }}
                {headers}
                add_header Access-Control-Expose-Headers $expose always;"
            ),
            origins,
        }
    }

    /// The origin that requests come from: the mean case of a search.
    pub(super) fn asked(&self) -> String {
        match self.origins {
            Origins::Exact(count) => origin(count / 2),
            Origins::Expression => origin(0),
        }
    }

    /// How many origins its list has.
    pub(super) fn count(&self) -> usize {
        match self.origins {
            Origins::Exact(count) => count,
            Origins::Expression => 1,
        }
    }
}

/// Without CORS, and the module with the numbers of origins that have limits.
pub(super) fn contenders() -> Vec<Contender> {
    vec![
        Contender::none(),
        Contender::module("module, 1 origin", Origins::Exact(1)),
        Contender::module("module, 1000 origins", Origins::Exact(1000)),
    ]
}

fn more_contenders() -> Vec<Contender> {
    use Origins::{Exact, Expression};
    vec![
        Contender::module("module, 100 origins", Exact(100)),
        Contender::module("module, expression", Expression),
        Contender::by_hand("by hand, 1 origin", Exact(1)),
        Contender::by_hand("by hand, 100 origins", Exact(100)),
        Contender::by_hand("by hand, 1000 origins", Exact(1000)),
        Contender::by_hand("by hand, expression", Expression),
    ]
}

/// The most that the module may cost, in instructions more than nginx without
/// it: with an allowed Origin, and without any.
const LIMITS: [(&str, u64, u64); 2] =
    [("module, 1 origin", 1600, 900), ("module, 1000 origins", 1900, 1100)];

/// What is asked of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    Actual,
    Preflight,
    WithoutOrigin,
}

impl Ask {
    const ALL: [Ask; 3] = [Ask::Actual, Ask::WithoutOrigin, Ask::Preflight];

    fn name(self) -> &'static str {
        match self {
            Ask::Actual => "with Origin",
            Ask::Preflight => "preflight",
            Ask::WithoutOrigin => "without",
        }
    }

    /// The bytes that a browser sends.
    fn bytes(self, port: u16, origin: &str) -> Vec<u8> {
        let browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) \
            AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 \
            Safari/537.36\r\n";
        let head = match self {
            Ask::Preflight => format!(
                "OPTIONS /file.txt HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
                 Connection: keep-alive\r\nAccept: */*\r\n\
                 Access-Control-Request-Method: PUT\r\n\
                 Access-Control-Request-Headers: content-type,x-token\r\n\
                 Origin: {origin}\r\n{browser}"
            ),
            Ask::Actual | Ask::WithoutOrigin => {
                let origin = match self {
                    Ask::WithoutOrigin => String::new(),
                    _ => format!("Origin: {origin}\r\n"),
                };
                format!(
                    "GET /file.txt HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
                     Connection: keep-alive\r\n\
                     sec-ch-ua-platform: \"Linux\"\r\n{browser}\
                     sec-ch-ua: \"Chromium\";v=\"156\", \
                     \"Not.A/Brand\";v=\"8\"\r\n\
                     sec-ch-ua-mobile: ?0\r\nAccept: */*\r\n{origin}"
                )
            }
        };
        format!(
            "{head}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n\
             Sec-Fetch-Dest: empty\r\nReferer: https://shop.example.org/\r\n\
             Accept-Encoding: identity\r\nAccept-Language: en-US,en;q=0.9\r\n\
             \r\n"
        )
        .into_bytes()
    }

    /// A wrong fast answer is worth nothing.
    fn check(self, cors: bool, origin: &str, reply: &Reply) -> Result {
        let allowed = reply.values("access-control-allow-origin");
        let right = match (cors, self) {
            (false, Ask::Preflight) => reply.status == 405,
            (false, _) | (true, Ask::WithoutOrigin) => {
                reply.status == 200 && allowed.is_empty()
            }
            (true, Ask::Actual) => {
                reply.status == 200 && allowed == [origin.as_bytes()]
            }
            (true, Ask::Preflight) => {
                let methods = reply.value("access-control-allow-methods");
                reply.status == 204
                    && allowed == [origin.as_bytes()]
                    && methods == "PUT, DELETE"
            }
        };
        if !right {
            fail!("nginx answered {self:?} with {reply:?}");
        }
        Ok(())
    }
}

/// Instructions per request; throughput and latency on demand.
pub(super) fn command(arguments: &Arguments) -> Result {
    packages::ensure(&[VALGRIND])?;
    let built = nginx::build(None, &Variant::default())?;
    let mut contenders = contenders();
    if !arguments.module_only {
        contenders.extend(more_contenders());
    }
    let measurements = contenders
        .iter()
        .map(|contender| {
            let installation = Installation {
                nginx: built.nginx.clone(),
                module: contender.module.then(|| built.module.clone()),
            };
            Measurement::prepare(&installation, contender)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut results = json!({ "nginx": built.version });
    results["instructions"] =
        instructions(arguments, &built.version, &contenders, &measurements)?;
    if arguments.load {
        load(arguments.rate, &contenders, &measurements, &mut results)?;
    }
    // Part of the table is no result.
    if arguments.module_only {
        return Ok(());
    }
    results::write("nginx", results)?;
    chart::draw()
}

fn instructions(
    arguments: &Arguments,
    version: &str,
    contenders: &[Contender],
    measurements: &[Measurement],
) -> Result<Value> {
    run::say(format_args!(
        "instructions per request, nginx {version}, a static file of 200 \
         bytes, keep-alive, median of {}",
        arguments.rounds
    ));
    // There are no limits of preflights.
    let asks = match arguments.check {
        true => &Ask::ALL[..2],
        false => &Ask::ALL[..],
    };
    let mut heading = format!("{:<24}", "");
    for ask in asks {
        let _ = write!(heading, "{:>12}{:>8}", ask.name(), "more");
    }
    run::say(heading);
    let mut base = None;
    let mut exceeded = Vec::new();
    let mut rows = Vec::new();
    for (contender, measured) in contenders.iter().zip(measurements) {
        let counts = asks
            .iter()
            .map(|ask| measured.median(arguments.rounds, *ask))
            .collect::<Result<Vec<_>>>()?;
        let base = base.get_or_insert(counts.clone());
        let mut line = format!("{:<24}", contender.name);
        let mut row = json!({ "contender": contender.name });
        let mut more = Vec::new();
        for ((ask, count), base) in asks.iter().zip(&counts).zip(base) {
            let difference = *count as i64 - *base as i64;
            more.push(difference);
            let _ = write!(line, "{count:>12}{difference:>8}");
            row[ask.name()] = json!({ "all": count, "more": difference });
        }
        run::say(line);
        rows.push(row);
        for (name, most_with, most_without) in LIMITS {
            let over =
                more[0] > most_with as i64 || more[1] > most_without as i64;
            if name == contender.name && over {
                exceeded.push(format!(
                    "{name}: {} and {} more, at most {most_with} and \
                     {most_without} are allowed",
                    more[0], more[1]
                ));
            }
        }
    }
    if arguments.check && !exceeded.is_empty() {
        fail!("{}", exceeded.join("\n"));
    }
    Ok(rows.into())
}

/// Throughput, and how long requests wait at a constant rate.
fn load(
    rate: u64,
    contenders: &[Contender],
    measurements: &[Measurement],
    results: &mut Value,
) -> Result {
    let mut servers = Vec::new();
    let mut targets = Vec::new();
    for (contender, measured) in contenders.iter().zip(measurements) {
        measured.with_workers()?;
        servers.push(measured.folder.start(measured.port).context("nginx")?);
        targets.push(Target {
            name: contender.name,
            port: measured.port,
            request: Ask::Actual.bytes(measured.port, &measured.origin),
        });
    }
    let measured = load::measure(&targets, rate)?;
    for key in ["noise", "rate", "load"] {
        results[key] = measured[key].clone();
    }
    Ok(())
}

/// An nginx, and requests to it.
pub(super) struct Measurement {
    pub(super) folder: Folder,
    pub(super) port: u16,
    /// The origin of requests.
    origin: String,
    /// Whether there is CORS at all.
    cors: bool,
}

/// So many requests, and so many more.
const FEW: usize = 100;
const MANY: usize = 600;

const ONE_PROCESS: &str = "master_process off;\ndaemon off;";

impl Measurement {
    pub(super) fn prepare(
        installation: &Installation,
        contender: &Contender,
    ) -> Result<Measurement> {
        let port = http::free_port().context("a port")?;
        let file = "x".repeat(200);
        let policies = contender.origins.document();
        let folder = installation
            .prepare(&[("cors.toml", &policies), ("html/file.txt", &file)])
            .context("the folder of nginx")?;
        let conf = format!(
            "{}http {{\naccess_log off;\nkeepalive_requests 10000000;\n{}\n\
             server {{\nlisten 127.0.0.1:{port};\nroot html;\n\
             location / {{\n{}\n}}\n}}\n}}\n",
            folder.preamble(ONE_PROCESS),
            contender.http,
            contender.location,
        );
        folder.write("nginx.conf", &conf).context("nginx.conf")?;
        let cors = !contender.location.is_empty();
        Ok(Measurement { folder, port, origin: contender.asked(), cors })
    }

    /// Makes it an nginx with a master and a worker, as on servers.
    pub(super) fn with_workers(&self) -> Result {
        let conf = self.folder.read("nginx.conf").replace(ONE_PROCESS, "");
        self.folder.write("nginx.conf", &conf).context("nginx.conf")
    }

    fn median(&self, rounds: usize, ask: Ask) -> Result<u64> {
        let mut costs = Samples::default();
        for _ in 0..rounds {
            let few = self.count(FEW, ask)?;
            let many = self.count(MANY, ask)?;
            let cost = many.saturating_sub(few) / (MANY - FEW) as u64;
            costs.push(cost as f64);
        }
        Ok(costs.median() as u64)
    }

    /// The instructions of a whole run of nginx with so many requests.
    fn count(&self, requests: usize, ask: Ask) -> Result<u64> {
        let mut command = callgrind();
        let plain = self.folder.command(&[]);
        command.arg(plain.get_program()).args(plain.get_args());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("valgrind")?;
        let sent = self.send(requests, ask);
        stop(&child, self.port)?;
        let mut text = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut text).context("valgrind")?;
        }
        child.wait().context("valgrind")?;
        sent?;
        collected(&text)
    }

    /// Sends requests over one connection, each after the answer to the one
    /// before.
    pub(super) fn send(&self, requests: usize, ask: Ask) -> Result {
        let request = ask.bytes(self.port, &self.origin);
        let mut client = connect(self.port)?;
        for _ in 0..requests {
            let reply = client.ask(&request).context("a request to nginx")?;
            ask.check(self.cors, &self.origin, &reply)?;
        }
        Ok(())
    }
}

fn connect(port: u16) -> Result<Client> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match Client::connect(port) {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > deadline => {
                fail!("nginx does not listen: {error}");
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Ends an nginx of one process, which looks at signals only between events.
fn stop(child: &Child, port: u16) -> Result {
    let id = child.id().to_string();
    run::read(run::command("kill").args(["-TERM", &id]))?;
    thread::sleep(Duration::from_millis(50));
    drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
    Ok(())
}
