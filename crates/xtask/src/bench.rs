//! `cargo xtask bench`: what decisions and requests cost, in instructions.
//!
//! valgrind's callgrind counts the instructions that a process spends in user
//! space. Two runs that differ only in the number of requests differ by the cost
//! of those requests; the same binary gives nearly the same count on any machine,
//! whatever else it does.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::Subcommand;
use libcors_testkit::{
    http,
    nginx::{Folder, Installation},
};

use crate::{
    fail,
    library::Variant,
    nginx,
    packages::{self, Need},
    run::{self, Context as _, Error, Result},
};

/// Counts instructions.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Decisions of the engine
    Decide,
    /// Requests through nginx: without CORS, with the module, written by hand
    Nginx {
        /// Fail if the module costs more than docs/performance.md allows
        #[arg(long)]
        check: bool,
        /// Runs of each measurement, of which the median counts
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// The lines of the module alone, without those to compare with
        #[arg(long)]
        module_only: bool,
    },
    /// Memory of nginx workers, and whether reloads leave it as it is
    Memory {
        /// How often to reload
        #[arg(long, default_value_t = 1000)]
        reloads: usize,
    },
}

/// Runs a bench.
pub fn command(arguments: &Arguments) -> Result {
    match arguments.what {
        What::Decide => decide(),
        What::Nginx { check, rounds, module_only } => {
            bench_nginx(check, rounds, module_only)
        }
        What::Memory { reloads } => memory(reloads),
    }
}

/// Fails if the nginx module costs more than it may.
pub fn check_nginx() -> Result {
    bench_nginx(true, 5, true)
}

const VALGRIND: Need = Need::Program("valgrind", "valgrind");

/// What callgrind says in its last lines.
fn collected(text: &str) -> Result<u64> {
    text.lines()
        .filter_map(|line| line.split("Collected :").nth(1))
        .find_map(|count| count.trim().parse().ok())
        .ok_or_else(|| Error::new(format!("callgrind counted nothing: {text}")))
}

fn callgrind() -> std::process::Command {
    let mut command = run::command("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command
}

/// Decisions of the engine, workload by workload.
fn decide() -> Result {
    packages::ensure(&[VALGRIND])?;
    run::run(run::cargo().args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "libcors-benches",
        "--example",
        "instructions",
    ]))?;
    let program = run::target().join("release/examples/instructions");
    let names = run::read(&mut run::command(&program))?;
    println!("instructions per decision, its headers read:");
    for name in names.lines() {
        let count = |times: u64| {
            let mut command = callgrind();
            command.arg(&program).arg(name).arg(times.to_string());
            let output = run::output(&mut command)?;
            collected(&String::from_utf8_lossy(&output.stderr))
        };
        let cost = (count(2000)? - count(1000)?) / 1000;
        println!("{name:<24}{cost:>8}");
    }
    Ok(())
}

/// A way to do CORS in nginx that is measured.
struct Contender {
    name: &'static str,
    /// Whether the module is loaded.
    module: bool,
    http: String,
    location: String,
    /// How many origins the policy has.
    origins: usize,
}

fn origin(index: usize) -> String {
    format!("https://shop-{index:05}.example.org")
}

fn contenders(module_only: bool) -> Vec<Contender> {
    let none = Contender {
        name: "no CORS",
        module: false,
        http: String::new(),
        location: String::new(),
        origins: 1,
    };
    let module = |name, origins| Contender {
        name,
        module: true,
        http: "cors_policies cors.toml;".into(),
        location: "cors shop;".into(),
        origins,
    };
    let hand = |name, origins: usize| {
        let map: String = (0..origins)
            .map(|i| format!("\"{}\" $http_origin;\n", origin(i)))
            .collect();
        Contender {
            name,
            module: false,
            http: format!(
                "map_hash_max_size 8192; map_hash_bucket_size 128;\n\
                 map $http_origin $allow {{ default ''; {map} }}\n\
                 map $allow $credentials {{ '' ''; default true; }}\n\
                 map $allow $expose {{ '' ''; default 'x-request-id'; }}"
            ),
            location: "
                add_header Access-Control-Allow-Origin $allow always;
                add_header Access-Control-Allow-Credentials $credentials \
                    always;
                add_header Access-Control-Expose-Headers $expose always;
                add_header Vary Origin always;"
                .into(),
            origins,
        }
    };
    let mut all = vec![
        none,
        module("module, 1 origin", 1),
        module("module, 1000 origins", 1000),
    ];
    if !module_only {
        all.push(hand("by hand, 1 origin", 1));
        all.push(hand("by hand, 1000 origins", 1000));
    }
    all
}

/// A document of one policy.
fn document(origins: usize) -> String {
    let list: String =
        (0..origins).map(|i| format!("  \"{}\",\n", origin(i))).collect();
    format!(
        "[policy.shop]\nallow_origins = [\n{list}]\n\
         allow_methods = [\"PUT\", \"DELETE\"]\n\
         allow_headers = [\"Content-Type\", \"X-Token\"]\n\
         expose_headers = [\"X-Request-Id\"]\n\
         allow_credentials = true\nmax_age = 600\n"
    )
}

/// The most that the module may cost, in instructions more than nginx without
/// it: with an allowed Origin, and without any.
const LIMITS: [(&str, u64, u64); 2] =
    [("module, 1 origin", 1600, 900), ("module, 1000 origins", 1900, 1100)];

fn bench_nginx(check: bool, rounds: usize, module_only: bool) -> Result {
    packages::ensure(&[VALGRIND])?;
    let built = nginx::build(None, &Variant::default())?;
    println!(
        "instructions per request, nginx {}, a static file of 200 bytes, \
         keep-alive, median of {rounds}",
        built.version
    );
    println!(
        "{:<24}{:>12}{:>8}{:>12}{:>8}",
        "", "with Origin", "more", "without", "more"
    );
    let mut base = None;
    let mut exceeded = Vec::new();
    for contender in contenders(module_only) {
        let installation = Installation {
            nginx: built.nginx.clone(),
            module: contender.module.then(|| built.module.clone()),
        };
        let measured = Measurement::prepare(&installation, &contender)?;
        let asked = origin(contender.origins / 2);
        let with = measured.median(rounds, Some(&asked))?;
        let without = measured.median(rounds, None)?;
        let (base_with, base_without) = *base.get_or_insert((with, without));
        let more = (
            with.saturating_sub(base_with),
            without.saturating_sub(base_without),
        );
        println!(
            "{:<24}{with:>12}{:>8}{without:>12}{:>8}",
            contender.name, more.0, more.1
        );
        for (name, most_with, most_without) in LIMITS {
            let over = more.0 > most_with || more.1 > most_without;
            if name == contender.name && over {
                exceeded.push(format!(
                    "{name}: {} and {} more, at most {most_with} and \
                     {most_without} are allowed",
                    more.0, more.1
                ));
            }
        }
    }
    if check && !exceeded.is_empty() {
        fail!("{}", exceeded.join("\n"));
    }
    Ok(())
}

/// An nginx under callgrind, and requests to it.
struct Measurement {
    folder: Folder,
    port: u16,
    /// Whether there is CORS at all.
    cors: bool,
}

/// So many requests, and so many more.
const FEW: usize = 100;
const MANY: usize = 600;

impl Measurement {
    fn prepare(
        installation: &Installation,
        contender: &Contender,
    ) -> Result<Measurement> {
        let port = http::free_port().context("a port")?;
        let file = "x".repeat(200);
        let policies = document(contender.origins);
        let folder = installation
            .prepare(&[("cors.toml", &policies), ("html/file.txt", &file)])
            .context("the folder of nginx")?;
        let conf = format!(
            "{}http {{\naccess_log off;\nkeepalive_requests 100000;\n{}\n\
             server {{\nlisten 127.0.0.1:{port};\nroot html;\n\
             location / {{\n{}\n}}\n}}\n}}\n",
            folder.preamble("master_process off;\ndaemon off;"),
            contender.http,
            contender.location,
        );
        folder.write("nginx.conf", &conf).context("nginx.conf")?;
        let cors = !contender.location.is_empty();
        Ok(Measurement { folder, port, cors })
    }

    fn median(&self, rounds: usize, origin: Option<&str>) -> Result<u64> {
        let mut costs = Vec::new();
        for _ in 0..rounds {
            let few = self.count(FEW, origin)?;
            let many = self.count(MANY, origin)?;
            costs.push(many.saturating_sub(few) / (MANY - FEW) as u64);
        }
        costs.sort_unstable();
        Ok(costs.get(rounds / 2).copied().unwrap_or_default())
    }

    /// The instructions of a whole run of nginx with so many requests.
    fn count(&self, requests: usize, origin: Option<&str>) -> Result<u64> {
        let mut command = callgrind();
        let plain = self.folder.command(&[]);
        command.arg(plain.get_program()).args(plain.get_args());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("valgrind")?;
        let sent = self.send(requests, origin);
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
    fn send(&self, requests: usize, origin: Option<&str>) -> Result {
        let origin = match origin {
            Some(origin) => format!("Origin: {origin}\r\n"),
            None => String::new(),
        };
        // What a browser sends.
        let request = format!(
            "GET /file.txt HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\
             Connection: keep-alive\r\n\
             sec-ch-ua-platform: \"Linux\"\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) \
             AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 \
             Safari/537.36\r\n\
             sec-ch-ua: \"Chromium\";v=\"156\", \"Not.A/Brand\";v=\"8\"\r\n\
             sec-ch-ua-mobile: ?0\r\nAccept: */*\r\n{origin}\
             Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n\
             Sec-Fetch-Dest: empty\r\nReferer: https://shop.example.org/\r\n\
             Accept-Encoding: identity\r\nAccept-Language: en-US,en;q=0.9\r\n\
             \r\n",
            self.port
        );
        let mut stream = connect(self.port)?;
        let mut chunk = [0; 8192];
        let cors = self.cors;
        for _ in 0..requests {
            stream.write_all(request.as_bytes()).context("a request")?;
            let mut seen = Vec::new();
            while body_len(&seen) != Some(200) {
                let read = stream.read(&mut chunk).context("a response")?;
                if read == 0 {
                    fail!("nginx closed the connection");
                }
                seen.extend_from_slice(&chunk[..read]);
            }
            // A wrong fast answer is worth nothing.
            let allowed = b"Access-Control-Allow-Origin";
            let has = seen.windows(allowed.len()).any(|w| w == allowed);
            if has != (cors && !origin.is_empty()) {
                fail!("nginx answered {}", String::from_utf8_lossy(&seen));
            }
        }
        Ok(())
    }
}

fn body_len(response: &[u8]) -> Option<usize> {
    let end = response.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some(response.len() - end - 4)
}

fn connect(port: u16) -> Result<TcpStream> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => {
                let timeout = Some(Duration::from_secs(60));
                stream.set_read_timeout(timeout).context("a socket")?;
                stream.set_nodelay(true).context("a socket")?;
                return Ok(stream);
            }
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

/// Private memory of workers, and of reloads.
fn memory(reloads: usize) -> Result {
    let built = nginx::build(None, &Variant::default())?;
    let contenders = contenders(true);
    println!("private dirty memory of a worker, nginx {}:", built.version);
    let mut base = None;
    for contender in &contenders {
        let installation = Installation {
            nginx: built.nginx.clone(),
            module: contender.module.then(|| built.module.clone()),
        };
        let measured = Measurement::prepare(&installation, contender)?;
        let conf = measured
            .folder
            .read("nginx.conf")
            .replace("master_process off;\ndaemon off;", "");
        measured.folder.write("nginx.conf", &conf).context("nginx.conf")?;
        let server = measured.folder.start(measured.port).context("nginx")?;
        let asked = origin(contender.origins / 2);
        measured.send(1000, Some(&asked))?;
        let dirty = worker_dirty(&server.workers())?;
        let more = dirty.saturating_sub(*base.get_or_insert(dirty));
        println!("{:<24}{dirty:>8} kB{more:>8} kB more", contender.name);
        if more > 2048 {
            fail!("a worker may have 2048 kB more, not {more}");
        }
        if contender.origins != 1000 {
            continue;
        }
        let mut first = None;
        for round in 0..=reloads {
            let tenth = (reloads / 10).max(1);
            if round % tenth == 0 {
                let master = dirty_pages(server.id())?;
                let worker = worker_dirty(&server.workers())?;
                println!(
                    "after {round:>5} reloads: master {master} kB, worker \
                     {worker} kB"
                );
                // The first reload sets up what later ones find.
                if round > 0 {
                    let first = *first.get_or_insert(master);
                    if master > first + 1024 {
                        fail!("the master grew from {first} to {master} kB");
                    }
                }
            }
            server.reload().context("nginx")?;
        }
    }
    Ok(())
}

fn worker_dirty(workers: &[u32]) -> Result<u64> {
    match workers.first() {
        Some(id) => dirty_pages(*id),
        None => fail!("nginx has no worker"),
    }
}

/// The private dirty pages of a process, in kB.
fn dirty_pages(id: u32) -> Result<u64> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = fs::read_to_string(&path).context(&path)?;
    text.lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Error::new(format!("{path} has no Private_Dirty")))
}
