//! `cargo xtask demo`: one policy file, a real server, real requests, and what a
//! browser does with the answers.

mod envoy;
mod nginx;
mod scene;
mod table;

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use libcors_config::{Format, Policies};
use libcors_policy::Policy;
use libcors_testkit::http::{Application, Reply};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use libcors_tools::{
    fail, packages,
    run::{self, Context as _, Error, Result},
};

use self::{scene::Scene, table::Table};

/// Real requests through a server, and what a browser does with the answers.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask demo")]
struct Arguments {
    /// The server
    #[arg(default_value = "nginx")]
    server: ServerName,
    /// Keep the server running until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// The port of the server, on 127.0.0.1; by default one that is free
    #[arg(long)]
    port: Option<u16>,
    /// Do without a server: show what the engine answers
    #[arg(long, conflicts_with_all = ["serve", "port"])]
    engine: bool,
    #[command(flatten)]
    install_deps: packages::InstallDeps,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum ServerName {
    Nginx,
    Envoy,
}

impl ServerName {
    fn as_str(self) -> &'static str {
        match self {
            ServerName::Nginx => "nginx",
            ServerName::Envoy => "Envoy",
        }
    }
}

/// The policy file, from the root of the workspace.
const FILE: &str = "examples/policies/quickstart.toml";

/// The policy of it.
const POLICY: &str = "api";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.install_deps.apply("cargo xtask demo");
    run::exit_code(demo(&arguments))
}

fn demo(arguments: &Arguments) -> Result {
    let name = arguments.server.as_str();
    println!(
        "One policy file, a real {name}, real requests, and what a browser \
         does with the answers.\n\n\
         This builds the library and the {name} module, starts {name} on \
         127.0.0.1 in a folder of its own\n\
         in front of a small application that gets CORS wrong, asks, and stops \
         it again. The {name} that\n\
         may run here already is left alone.\n"
    );
    let file = run::root().join(FILE);
    let text = std::fs::read_to_string(&file).context(FILE)?;
    let policies = load(&file)?;
    let Some(policy) = policies.get(POLICY) else {
        fail!("{FILE} has no policy \"{POLICY}\"");
    };
    println!("{FILE}:\n");
    for line in text.lines() {
        let line = line.trim_end();
        if !line.is_empty() && !line.trim_start().starts_with('#') {
            println!("    {line}");
        }
    }
    println!();

    let show = Show {
        policy: policy.policy(),
        application: Application::start().context("the application")?,
        scenes: scene::scenes(arguments.server),
        document: text.clone(),
        server: name,
    };
    match arguments.server {
        _ if arguments.engine => show.engine(),
        ServerName::Nginx => nginx::show(&show, arguments),
        ServerName::Envoy => envoy::show(&show, arguments),
    }
}

fn load(file: &Path) -> Result<Policies> {
    let outcome = libcors_config::load(file, Some(FILE), Format::Auto);
    match outcome.policies {
        Some(policies) => Ok(policies),
        None => {
            let errors: Vec<String> = outcome
                .diagnostics
                .errors()
                .map(|error| {
                    format!("{FILE}:{}: {}", error.line, error.message)
                })
                .collect();
            fail!("{}", errors.join("\n"))
        }
    }
}

/// Adds to an error what can be shown all the same.
fn without_server(error: Error) -> Error {
    Error::new(format!(
        "{error}\nwithout a server, `cargo xtask demo --engine` shows what the \
         engine answers"
    ))
}

/// Says that something is built, and how long it took.
fn building<T>(
    build: impl FnOnce() -> Result<T>,
    describe: impl FnOnce(&T) -> String,
) -> Result<T> {
    println!("building; the first time this takes a few minutes ...");
    let start = Instant::now();
    let built = build()?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{}, {seconds:.0} s\n", describe(&built));
    Ok(built)
}

/// A file, from the root of the workspace if it is below.
fn short(file: &Path) -> String {
    file.strip_prefix(run::root()).unwrap_or(file).display().to_string()
}

/// The port to use: one that is free.
fn check_port(port: u16) -> Result {
    // Else whoever listens there would be asked.
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) => fail!("port {port}: {error}"),
    }
}

/// Signals that end the demo. They are held back from here on: a server and its
/// folder must not stay behind.
fn hold_signals() -> Result<Signals> {
    Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals")
}

/// What is shown.
struct Show<'p> {
    policy: &'p Policy,
    application: Application,
    scenes: Vec<Scene>,
    document: String,
    server: &'static str,
}

impl Show<'_> {
    /// Asks a server, and prints the table. `serve` says how to go on if it is to
    /// run until Ctrl-C.
    fn server(
        &self,
        port: u16,
        mut signals: Signals,
        serve: Option<&dyn Fn()>,
    ) -> Result {
        let name = self.server;
        println!("A-C stands for Access-Control.\n");
        let mut table = Table::new();
        for scene in &self.scenes {
            let reply = match scene.bare {
                true => self.application_alone(scene)?,
                false => scene.ask(port).context(scene.title)?,
            };
            table.row(scene, self.policy, &reply, &self.by_engine(scene)?);
            if signals.pending().next().is_some() {
                fail!("interrupted; {name} is stopped");
            }
        }
        let result = table.finish(name);
        if let Some(serve) = serve {
            serve();
            drop(io::stdout().flush());
            signals.forever().next();
            // The terminal may be gone.
            drop(writeln!(io::stdout(), "\nstopping {name}"));
        }
        result
    }

    fn engine(&self) -> Result {
        let name = self.server;
        println!(
            "The same table from the engine, which the {name} module would \
             ask. A bare response stands for\n\
             those that {name} makes itself (401, 404, and the one for an \
             application that is down).\n\n\
             A-C stands for Access-Control.\n"
        );
        let mut table = Table::new();
        for scene in &self.scenes {
            let reply = match scene.bare {
                true => self.application_alone(scene)?,
                false => self.by_engine(scene)?,
            };
            table.row(scene, self.policy, &reply, &reply);
        }
        table.finish("the engine")
    }

    fn application_alone(&self, scene: &Scene) -> Result<Reply> {
        scene.ask(self.application.port()).context(scene.title)
    }

    /// What the engine makes of the response of the application, or of the server.
    fn by_engine(&self, scene: &Scene) -> Result<Reply> {
        let reply = match scene.own_status {
            Some(status) => Reply { status, lines: vec![], body: vec![] },
            None => self.application_alone(scene)?,
        };
        Ok(match scene.bare {
            true => reply,
            false => scene.decide(self.policy, reply),
        })
    }
}

/// Requests to send to a server that goes on.
fn try_it(url: &str) -> String {
    format!(
        "curl -si -H 'Origin: https://app.example.com' {url}/items\n\
         curl -si -H 'Origin: https://evil.example' {url}/items\n\
         curl -si -X OPTIONS -H 'Origin: https://app.example.com' \\\n    \
         -H 'Access-Control-Request-Method: PUT' {url}/account"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
