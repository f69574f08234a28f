//! `cargo soak`: millions of hostile requests to a real server. It must
//! neither die nor grow, and nothing that a client sent may come back but an
//! origin that is allowed, or names that a policy echoes.

use std::{
    collections::BTreeMap,
    fs, io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use fastrand::Rng;
use libcors_testkit::{
    envoy,
    http::{self, Client, Reply},
    nginx,
    suite::Line,
};
use serde_json::json;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

use libcors_tools::{
    fail, packages,
    run::{self, Context as _, Result},
};
use xtask::{envoy as envoy_module, library::Variant, nginx as nginx_module};

/// Sends hostile requests to a server, for as long as one likes
#[derive(Clone, Debug, Parser)]
#[command(bin_name = "cargo soak")]
struct Arguments {
    /// The server
    server: ServerName,
    /// How many requests
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// How many threads, of 32 connections each
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// What the choice of requests starts from; printed, to repeat a run
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    install_deps: packages::InstallDeps,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum ServerName {
    Envoy,
    Nginx,
}

/// The policies; paths begin with their names.
const POLICIES: &str = r#"
[policy.list]
allow_origins = ["https://www.example.com", "https://*.example.com"]
allow_methods = ["PUT"]
allow_headers = ["X-A", "X-B"]
expose_headers = ["X-Exposed"]
allow_credentials = true
max_age = 600

[policy.echo]
allow_origins = ["https://www.example.com", "https://*.example.com"]
allow_methods = ["*"]
allow_headers = ["*"]
allow_credentials = true

[policy.expression]
allow_origins = [{ regex = 'https://[a-z0-9.-]+\.example\.com' }]
allow_methods = ["PUT"]
allow_headers = ["X-A", "X-B"]

[policy.open]
allow_origins = ["*"]
allow_methods = ["*"]
allow_headers = ["*"]

[policy.guard]
allow_origins = ["https://www.example.com", "https://*.example.com"]
disallowed = "reject"
websocket = "reject"
"#;

/// Their names. `/NAME/up` has an application behind it that gets CORS wrong.
const NAMES: [&str; 5] = ["list", "echo", "expression", "open", "guard"];

/// What stands in everything that a client makes up.
const MARK: &str = "c4n4ry";

/// Origins that no policy with a list allows; `{}` is a label made up by the
/// client.
const REFUSED: [&str; 62] = [
    "https://evil-{}.com",
    "https://www.example.com.{}.com",
    "https://{}example.com",
    "https://not{}example.com",
    "https://xample.com",
    "https://example.co",
    "https://wwwaexample.com",
    "https://www.exampleacom",
    "null",
    "NULL",
    "Null",
    "",
    "https://www.example.com!.{}.com",
    "https://www.example.com$.{}.com",
    "https://www.example.com&.{}.com",
    "https://www.example.com'.{}.com",
    "https://www.example.com(.{}.com",
    "https://www.example.com).{}.com",
    "https://www.example.com*.{}.com",
    "https://www.example.com+.{}.com",
    "https://www.example.com,.{}.com",
    "https://www.example.com;.{}.com",
    "https://www.example.com=.{}.com",
    "https://www.example.com^.{}.com",
    "https://www.example.com_.{}.com",
    "https://www.example.com`.{}.com",
    "https://www.example.com{.{}.com",
    "https://www.example.com|.{}.com",
    "https://www.example.com}.{}.com",
    "https://www.example.com~.{}.com",
    "https://www.example.com\".{}.com",
    "https://www.example.com<.{}.com",
    "https://www.example.com%60.{}.com",
    "https://www.example.com%00.{}.com",
    "http://www.example.com",
    "https://example.com",
    "https://.example.com",
    "https://..example.com",
    "https://www.example.com:443",
    "https://www.example.com:0",
    "https://www.example.com:65536",
    "https://www.example.com:",
    "https://WWW.example.com",
    "HTTPS://www.example.com",
    "https://www.example.com/",
    "https://www.example.com/{}",
    "https://www.example.com?{}",
    "https://www.example.com#{}",
    "https://{}@www.example.com",
    "https://www.example.com\\{}",
    "https://evil.com/.example.com",
    "https://evil.com@.example.com",
    "https://[www.example.com]",
    "https://www.example.com https://{}.com",
    "https://www.example.com,https://{}.com",
    "https://www.example.com|https://{}.com",
    "https://www.example.com.",
    "https://{}\u{e9}.example.com",
    "https://[::ffff:1.2.3.4]",
    "https://0x7f.1",
    "https://017700000001",
    "https://*.example.com",
];

const ALLOWED: [&str; 4] = [
    "https://www.example.com",
    "https://{}.example.com",
    "https://a.{}.c.example.com",
    "https://pr-{}.preview.example.com",
];

/// Bytes that no header may hold: whole servers refuse them.
const FORBIDDEN: [&[u8]; 6] =
    [b"\r\nSet-Cookie: ", b"\nSet-Cookie: ", b"\r", b"\0", b"\x7f", b"\x0b"];

/// A request, and what it may cause.
struct Request {
    bytes: Vec<u8>,
    /// False if servers may refuse it before CORS is looked at.
    readable: bool,
    origin: Vec<u8>,
    allowed: bool,
    policy: &'static str,
    preflight: bool,
    websocket: bool,
    method: String,
    names: Vec<u8>,
}

/// Makes requests.
struct Maker {
    random: Rng,
    count: u64,
    thread: usize,
}

impl Maker {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.usize(..from.len())]
    }

    fn fill(&mut self, text: &str) -> String {
        self.count += 1;
        let label = format!("{MARK}{}x{}", self.thread, self.count);
        text.replace("{}", &label)
    }

    /// One that servers read as it is.
    fn readable(&mut self) -> Request {
        let allowed = self.random.u8(..4) == 0;
        let template = match allowed {
            true => self.pick(&ALLOWED),
            false => self.pick(&REFUSED),
        };
        let origin = self.fill(template);
        let mut lines = vec![("Origin".to_owned(), origin.clone())];
        let twice = self.random.u8(..32) == 0;
        if twice {
            lines.push(("Origin".into(), origin.clone()));
        }
        self.request(lines, &origin, allowed && !twice)
    }

    fn request(
        &mut self,
        mut lines: Vec<(String, String)>,
        origin: &str,
        allowed: bool,
    ) -> Request {
        let policy = self.pick(&NAMES);
        let what = self.random.u8(..8);
        let (preflight, websocket) = (what < 4, what == 4);
        let mut method = "PUT".to_owned();
        let mut names = String::new();
        if preflight {
            let template = self.pick(&METHODS);
            method = self.fill(template);
            let name = "Access-Control-Request-Method".to_owned();
            lines.push((name, method.clone()));
            for line in self.header_lists() {
                names += &line;
                names.push(',');
                let name = "Access-Control-Request-Headers".to_owned();
                lines.push((name, line));
            }
        }
        if websocket {
            lines.push(("Connection".into(), "Upgrade".into()));
            lines.push(("Upgrade".into(), "websocket".into()));
        }
        // What a response varies by is never what a request says.
        let value = self.fill("{}");
        lines.push(("Vary".into(), value));
        let up = if self.random.bool() { "/up" } else { "" };
        let path = format!("/{policy}{up}");
        let lines: Vec<Line> = lines
            .into_iter()
            .map(|(name, value)| (name.into_bytes(), latin1(&value)))
            .collect();
        let verb = if preflight { "OPTIONS" } else { "GET" };
        Request {
            bytes: http::kept_request_bytes(verb.as_bytes(), &path, &lines),
            readable: true,
            origin: latin1(origin),
            allowed,
            policy,
            preflight,
            websocket,
            method,
            names: latin1(&names),
        }
    }

    /// The values of `Access-Control-Request-Headers`.
    fn header_lists(&mut self) -> Vec<String> {
        let many = self.random.usize(1..2000);
        match self.random.u8(..16) {
            0 => vec![",".repeat(many)],
            1 => vec!["x-a,".repeat(many)],
            2 => vec![format!("x-a,{}x-b", " ".repeat(many))],
            3 => vec![String::new(); many % 60],
            4 => vec!["x-b,x-a".into()],
            5 => vec!["x-a,x-a".into()],
            6 => vec!["X-A, X-b".into()],
            7 => vec!["x-a".into(), "x-b".into()],
            8 => vec![format!("x-a,{}", "y".repeat(many))],
            9 => vec![self.fill("x-a,{},x-b")],
            10 => vec![self.fill("x-{}")],
            11 => vec![self.fill("x {}")],
            12 => vec![self.fill("x-a;{}=\"1\"")],
            13 => vec![self.fill("x-a\u{e9}{}")],
            14 => vec![],
            _ => vec!["x-a,x-b".into()],
        }
    }

    /// One that a server should not read at all.
    fn unreadable(&mut self) -> Request {
        let bytes = self.pick(&FORBIDDEN);
        let template = self.pick(&ALLOWED);
        let origin = self.fill(template);
        let line = format!("{origin}@BREAK@{MARK}");
        // Where the byte ends the line, an allowed origin stands before it.
        let allowed = bytes.contains(&b'\n');
        let mut request =
            self.request(vec![("Origin".into(), line)], &origin, allowed);
        request.readable = false;
        let mark = b"@BREAK@";
        let place = request
            .bytes
            .windows(mark.len())
            .position(|window| window == mark)
            .unwrap_or_default();
        request.bytes.splice(place..place + mark.len(), bytes.iter().copied());
        if self.random.u8(..64) == 0 {
            let long = vec![b'a'; 1 << 20];
            request.bytes.splice(place..place, long);
        }
        request
    }
}

const METHODS: [&str; 8] =
    ["PUT", "GET", "put", "DELETE", "{}", "P UT", "PUT,GET", "\u{e9}"];

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

impl Request {
    /// What is wrong with the reply, if anything is.
    fn judge(&self, reply: &Reply) -> io::Result<()> {
        self.problem(reply).map_err(|problem| {
            let bytes = &self.bytes[..self.bytes.len().min(4000)];
            let bytes = bytes.escape_ascii();
            io::Error::other(format!("{problem}\n{bytes}\n{reply:?}"))
        })
    }

    fn problem(&self, reply: &Reply) -> std::result::Result<(), String> {
        let values = |name: &str| reply.values(name);
        let one = |name: &str| match values(name)[..] {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(format!("several lines of {name}")),
        };
        let open = self.policy == "open";
        let acao = one("access-control-allow-origin")?;
        one("access-control-allow-methods")?;
        let acac = one("access-control-allow-credentials")?;
        match acao {
            None => {}
            Some(b"*") if open => {}
            Some(value) if self.allowed && !open && value == self.origin => {}
            Some(_) => return Err("an origin that is not allowed".into()),
        }
        if acao == Some(b"*") && acac.is_some() {
            return Err("* with credentials".into());
        }
        let answered = self.readable;
        if answered
            && self.allowed
            && !self.preflight
            && !open
            && acao.is_none()
        {
            return Err("an allowed origin, and no header".into());
        }
        // The wildcard policy says the same to everyone.
        if answered && !open {
            let vary = one("vary")?.unwrap_or_default();
            if !vary.windows(6).any(|window| window == b"Origin") {
                return Err("no Vary: Origin".into());
            }
        }
        if answered && self.policy == "guard" && !self.allowed {
            let refused = self.preflight || reply.status == 403;
            if !refused {
                return Err(format!("status {}, not 403", reply.status));
            }
        }
        for (name, value) in &reply.lines {
            let echoed = match name.to_ascii_lowercase().as_slice() {
                b"access-control-allow-origin" => *value == self.origin,
                b"access-control-allow-methods" => {
                    self.policy == "echo" && value == self.method.as_bytes()
                }
                b"access-control-allow-headers" => {
                    self.policy == "echo" && self.names_all(value)
                }
                _ => false,
            };
            let mark = MARK.as_bytes();
            let marked = |bytes: &[u8]| {
                bytes.windows(mark.len()).any(|window| window == mark)
            };
            if marked(name) || marked(value) && !echoed {
                return Err("what the client sent comes back".into());
            }
            if name.eq_ignore_ascii_case(b"set-cookie") {
                return Err("a header that the client wrote".into());
            }
        }
        if reply.lines.iter().any(|(_, value)| value == b"WRONG") {
            return Err("a header of the application".into());
        }
        Ok(())
    }

    /// Whether all names of a list were asked for, and are names.
    fn names_all(&self, list: &[u8]) -> bool {
        let names = |list: &[u8]| -> Vec<Vec<u8>> {
            list.split(|&byte| byte == b',')
                .map(|name| name.trim_ascii().to_ascii_lowercase())
                .filter(|name| !name.is_empty())
                .collect()
        };
        let asked = names(&self.names);
        names(list).iter().all(|name| {
            asked.contains(name)
                && name.iter().all(|byte| {
                    byte.is_ascii_alphanumeric()
                        || b"!#$%&'*+-.^_`|~".contains(byte)
                })
        })
    }
}

/// What all threads share.
#[derive(Default)]
struct Shared {
    stop: Arc<AtomicBool>,
    sent: AtomicU64,
}

/// How many requests a thread sends before it reads the first answer.
const BATCH: usize = 32;

fn send(
    port: u16,
    mut maker: Maker,
    requests: u64,
    shared: &Shared,
) -> io::Result<BTreeMap<u16, u64>> {
    let mut statuses = BTreeMap::new();
    // Envoy ends a connection on which more than two requests wait, so each has a
    // connection of its own.
    let mut clients = Vec::new();
    for _ in 0..BATCH {
        clients.push(Client::connect(port)?);
    }
    while shared.sent.load(Ordering::Relaxed) < requests
        && !shared.stop.load(Ordering::Relaxed)
    {
        let mut batch: Vec<Request> =
            (0..BATCH).map(|_| maker.readable()).collect();
        // An upgrade ends what comes behind it.
        let alone = batch.extract_if(.., |request| request.websocket);
        let mut alone: Vec<_> = alone.take(1).collect();
        if maker.random.u8(..4) == 0 {
            alone.push(maker.unreadable());
        }
        for (client, request) in clients.iter_mut().zip(&batch) {
            client.send(&request.bytes)?;
        }
        for (client, request) in clients.iter_mut().zip(&batch) {
            let reply = client.reply(true).map_err(|error| {
                let bytes = request.bytes.escape_ascii();
                io::Error::other(format!("{error}, after {bytes}"))
            })?;
            *statuses.entry(reply.status).or_default() += 1;
            request.judge(&reply)?;
            if !reply.values("connection").is_empty() {
                *client = Client::connect(port)?;
            }
        }
        for request in &alone {
            match Client::connect(port)?.ask(&request.bytes) {
                Ok(reply) => {
                    *statuses.entry(reply.status).or_default() += 1;
                    request.judge(&reply)?;
                }
                // Whether what is refused gets an answer does not matter.
                Err(_) if !request.readable => {}
                Err(error) => return Err(error),
            }
        }
        let count = batch.len() + alone.len();
        shared.sent.fetch_add(count as u64, Ordering::Relaxed);
    }
    Ok(statuses)
}

/// Memory of processes, in KiB.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    resident: u64,
    private: u64,
}

fn memory(processes: &[u32]) -> Result<Memory> {
    let mut memory = Memory::default();
    for process in processes {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = fs::read_to_string(&path)
            .context(format_args!("the server has died: {path}"))?;
        let value = |name: &str| -> u64 {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| rest.split_whitespace().next())
                .and_then(|number| number.parse().ok())
                .unwrap_or(0)
        };
        memory.resident += value("Rss:");
        memory.private += value("Private_Dirty:");
    }
    Ok(memory)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.install_deps.apply("cargo soak");
    run::exit_code(match arguments.server {
        ServerName::Envoy => with_envoy(&arguments),
        ServerName::Nginx => with_nginx(&arguments),
    })
}

fn with_envoy(arguments: &Arguments) -> Result {
    let installation = envoy::Installation {
        envoy: envoy_module::server(envoy_module::VERSIONS[0])?,
        module: Some(envoy_module::build(&Variant::default())?),
    };
    let folder = installation.prepare(&[]).context("the folder of Envoy")?;
    let wrong: Vec<_> = http::WRONG
        .iter()
        .filter(|(name, _)| name.starts_with("Access"))
        .map(|(name, _)| json!({ "header": { "key": name, "value": "WRONG" } }))
        .collect();
    let direct = json!({ "direct_response": { "status": 200 } });
    let application = envoy::manager(json!({
        "http_filters": [envoy::router()],
        "route_config": envoy::with(
            envoy::routes(vec![envoy::route("/", direct.clone())]),
            json!({ "response_headers_to_add": wrong }),
        ),
    }));
    let port = http::free_port().context("a port")?;
    let mut application = envoy::listener("application", &application);
    application["address"]["socket_address"]["port_value"] = json!(port);
    application["enable_reuse_port"] = json!(false);
    let mut routes = Vec::new();
    for name in NAMES {
        let policy = envoy::with_policy(name, None);
        let policy = json!({ "typed_per_filter_config": policy });
        let up = format!("/{name}/up");
        routes.push(envoy::route(&up, policy.clone()));
        let path = format!("/{name}");
        routes.push(envoy::route(&path, envoy::with(policy, direct.clone())));
    }
    let front = envoy::manager(json!({
        "http_filters": [envoy::cors("list", POLICIES), envoy::router()],
        "route_config": envoy::routes(routes),
    }));
    let config = envoy::bootstrap(
        vec![envoy::listener("front", &front), application],
        vec![envoy::application(port)],
    );
    let mut server = folder.start(&config, 2).context("Envoy")?;
    let result = soak(arguments, server.port("front"), &[server.id()]);
    if let Some(status) = server.ended().context("Envoy")? {
        fail!("Envoy ended with {status}\n{}", server.log());
    }
    result
}

fn with_nginx(arguments: &Arguments) -> Result {
    let built = nginx_module::build(None, &Variant::default())?;
    let installation =
        nginx::Installation { nginx: built.nginx, module: Some(built.module) };
    let folder = installation
        .prepare(&[("cors.toml", POLICIES), ("html/file", "a file\n")])
        .context("the folder of nginx")?;
    let port = http::free_port().context("a port")?;
    let wrong: String = http::WRONG
        .iter()
        .filter(|(name, _)| name.starts_with("Access"))
        .map(|(name, _)| format!("add_header {name} WRONG always;\n"))
        .collect();
    let locations: String = NAMES
        .iter()
        .map(|name| {
            format!(
                "location = /{name} {{ cors {name}; try_files /file =404; }}\n\
                 location = /{name}/up {{ cors {name};\n\
                 proxy_pass http://127.0.0.1:{port}/application; }}\n"
            )
        })
        .collect();
    let conf = format!(
        "{}http {{\naccess_log off;\ncors_policies cors.toml;\n\
         keepalive_requests 1000000000;\n\
         large_client_header_buffers 64 16k;\n\
         server {{\nlisten 127.0.0.1:{port};\nroot html;\n{locations}\
         location = /application {{ {wrong} try_files /file =404; }}\n}}\n}}\n",
        folder.preamble("worker_processes 2;")
    );
    folder.write("nginx.conf", &conf).context("nginx.conf")?;
    let server = folder.start(port).context("nginx")?;
    let workers = server.workers();
    let processes = [&[server.id()], &workers[..]].concat();
    let result = soak(arguments, port, &processes);
    if server.workers() != workers {
        fail!("a worker died\n{}", folder.read("logs/error.log"));
    }
    result
}

/// How much the memory may grow between the first tenth of a run and the last.
const GROWTH: u64 = 2048;

fn soak(arguments: &Arguments, port: u16, processes: &[u32]) -> Result {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let requests = arguments.requests;
    run::say(format_args!("{requests} requests, --seed {seed}"));
    let shared = Arc::new(Shared::default());
    // The server must not stay behind.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&shared.stop)).context("signals")?;
    }
    let start = Instant::now();
    let threads: Vec<_> = (0..arguments.threads)
        .map(|thread| {
            let shared = Arc::clone(&shared);
            let random = Rng::with_seed(seed.wrapping_add(thread as u64));
            let maker = Maker { random, count: 0, thread };
            thread::spawn(move || {
                let result = send(port, maker, requests, &shared);
                if result.is_err() {
                    shared.stop.store(true, Ordering::Relaxed);
                }
                result
            })
        })
        .collect();

    let mut samples: Vec<(u64, Memory)> = Vec::new();
    let mut died = None;
    while !threads.iter().all(thread::JoinHandle::is_finished) {
        thread::sleep(Duration::from_millis(200));
        let sent = shared.sent.load(Ordering::Relaxed);
        let due = samples.len() as u64 * requests / 40;
        if sent < due {
            continue;
        }
        match memory(processes) {
            Ok(memory) => {
                let rate = sent as f64 / start.elapsed().as_secs_f64();
                run::say(format_args!(
                    "{sent:>12} requests, {rate:>8.0}/s, resident {:>7} KiB, \
                     private dirty {:>7} KiB",
                    memory.resident, memory.private
                ));
                samples.push((sent, memory));
            }
            Err(error) => {
                shared.stop.store(true, Ordering::Relaxed);
                died = Some(error);
            }
        }
    }
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    let mut problems = Vec::new();
    for thread in threads {
        match thread.join() {
            Ok(Ok(found)) => {
                for (status, count) in found {
                    *statuses.entry(status).or_default() += count;
                }
            }
            Ok(Err(error)) => problems.push(error.to_string()),
            Err(_) => problems.push("a thread of the soak panicked".into()),
        }
    }
    if let Some(error) = died {
        return Err(error);
    }
    if !problems.is_empty() {
        fail!("{}", problems.join("\n\n"));
    }
    run::say(format_args!("statuses: {statuses:?}"));
    if shared.stop.load(Ordering::Relaxed) {
        fail!("interrupted; the server is stopped");
    }
    let tenth = |from: u64, to: u64| {
        let mut values: Vec<_> = samples
            .iter()
            .filter(|(sent, _)| {
                (requests / 10 * from..=requests / 10 * to).contains(sent)
            })
            .map(|(_, memory)| memory.private)
            .collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    let (Some(first), Some(last)) = (tenth(1, 3), tenth(8, 11)) else {
        run::say("too few samples to tell whether the memory grows");
        return Ok(());
    };
    run::say(format_args!(
        "private dirty memory: {first} KiB early, {last} KiB late"
    ));
    if last > first + GROWTH {
        fail!("the memory grew by {} KiB", last - first);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    fn request(policy: &'static str, allowed: bool) -> Request {
        Request {
            bytes: vec![],
            readable: true,
            origin: format!("https://{MARK}.example.com").into_bytes(),
            allowed,
            policy,
            preflight: true,
            websocket: false,
            method: format!("{MARK}-method"),
            names: format!("x-a,{MARK}-name").into_bytes(),
        }
    }

    fn reply(lines: &[(&str, &str)]) -> Reply {
        let lines = [&[("vary", "Origin")], lines].concat();
        let line = |(name, value): (&str, &str)| (name.into(), value.into());
        let lines = lines.into_iter().map(line).collect();
        Reply { status: 204, lines, body: vec![] }
    }

    #[test]
    fn what_may_come_back() {
        let origin = format!("https://{MARK}.example.com");
        let method = format!("{MARK}-method");
        let names = format!("{MARK}-name, x-a");
        let all = reply(&[
            ("access-control-allow-origin", &origin),
            ("access-control-allow-methods", &method),
            ("access-control-allow-headers", &names),
        ]);
        assert!(request("echo", true).judge(&all).is_ok());
        // Another policy echoes the origin alone.
        assert!(request("list", true).judge(&all).is_err());
        let echoed = reply(&[("access-control-allow-origin", &origin)]);
        assert!(request("list", true).judge(&echoed).is_ok());
        assert!(request("list", false).judge(&echoed).is_err());
    }

    #[test]
    fn what_may_not() {
        let marked = format!("x{MARK}");
        let unasked = format!("{MARK}-other");
        for lines in [
            [("x-other", marked.as_str())],
            [(marked.as_str(), "x")],
            [("set-cookie", "a=b")],
            [("access-control-allow-origin", "WRONG")],
            [("access-control-allow-methods", "WRONG")],
            [("access-control-allow-headers", &unasked)],
            [("vary", &marked)],
        ] {
            let problem = request("echo", true).judge(&reply(&lines));
            assert!(problem.is_err(), "{lines:?}");
        }
        let no_vary = Reply { status: 204, lines: vec![], body: vec![] };
        assert!(request("list", false).judge(&no_vary).is_err());
    }
}
