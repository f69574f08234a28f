//! `cargo xtask demo`: one policy file, a real nginx, real requests, and what a
//! browser makes of the answers.

mod scene;
mod table;

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    time::Instant,
};

use libcors_config::{Format, Policies};
use libcors_policy::Policy;
use libcors_testkit::{
    http::{self, Application, Reply},
    nginx::{Folder, Installation, Server},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use self::{
    scene::{SCENES, Scene},
    table::Table,
};
use crate::{
    fail,
    library::Variant,
    nginx::{self, Nginx},
    packages,
    run::{self, Context as _, Result},
};

/// Shows real requests through nginx, and what a browser makes of the answers.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Keep nginx running until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// The port of nginx, on 127.0.0.1; by default one that is free
    #[arg(long)]
    port: Option<u16>,
    /// Do without nginx: show what the engine answers
    #[arg(long, conflicts_with_all = ["serve", "port"])]
    engine: bool,
}

/// The policy file, from the root of the workspace.
const FILE: &str = "examples/policies/quickstart.toml";

/// The policy of it.
const POLICY: &str = "api";

/// Runs the demo.
pub fn command(arguments: &Arguments) -> Result {
    println!(
        "One policy file, a real nginx, real requests, and what a browser \
         makes of the answers.\n\n\
         This builds the library and the nginx module, starts nginx on \
         127.0.0.1 in a folder of its own\n\
         in front of a small application that gets CORS wrong, asks, and stops \
         it again. Debian packages\n\
         that are missing are installed. The nginx that may run here already \
         is left alone.\n"
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
    };
    let nginx = match arguments.engine {
        true => None,
        false => build()?,
    };
    match nginx {
        Some(nginx) => show.with_nginx(&nginx, &text, arguments),
        None if arguments.serve => fail!("--serve needs nginx"),
        None => show.without_nginx(),
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

/// Builds the module; `None` where nginx is not to be had.
fn build() -> Result<Option<Nginx>> {
    if let Err(error) = packages::ensure(&nginx::DEBIAN_NEEDS) {
        println!("nginx is not to be had here: {error}\n");
        return Ok(None);
    }
    println!("building; the first time this takes a few minutes ...");
    let start = Instant::now();
    let built = nginx::build(None, &Variant::default())?;
    let module = built.module.strip_prefix(run::root());
    println!(
        "nginx {} and {}, {:.0} s\n",
        built.version,
        module.unwrap_or(&built.module).display(),
        start.elapsed().as_secs_f64(),
    );
    Ok(Some(built))
}

/// What is shown.
struct Show<'p> {
    policy: &'p Policy,
    application: Application,
}

impl Show<'_> {
    fn with_nginx(
        &self,
        nginx: &Nginx,
        document: &str,
        arguments: &Arguments,
    ) -> Result {
        // Held back from here on: nginx and its folder must not stay behind.
        let mut signals =
            Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals")?;
        let port = match arguments.port {
            // Else whoever listens there would be asked.
            Some(port) => {
                match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                    Ok(_) => port,
                    Err(error) => fail!("port {port}: {error}"),
                }
            }
            None => http::free_port().context("a port")?,
        };
        let installation = Installation {
            nginx: nginx.nginx.clone(),
            module: Some(nginx.module.clone()),
        };
        let name = "quickstart.toml";
        let folder = installation
            .prepare(&[
                (name, document),
                ("users", "demo:{PLAIN}demo\n"),
                ("html/files/index.html", "a file\n"),
            ])
            .context("the folder of nginx")?;
        let conf = configuration(&folder, name, port, self.application.port());
        folder.write("nginx.conf", &conf).context("nginx.conf")?;
        let (good, text) = folder.check().context("nginx -t")?;
        if !good {
            fail!("nginx does not take its configuration\n{text}");
        }
        let server = folder.start(port).context("nginx")?;

        println!(
            "its configuration says: cors_policies {name}; cors {POLICY};\n\
             A-C stands for Access-Control.\n"
        );
        let mut table = Table::new();
        for scene in &SCENES {
            let reply = match scene.bare {
                true => self.application_alone(scene)?,
                false => scene.ask(port).context(scene.title)?,
            };
            table.row(scene, self.policy, &reply, &self.by_engine(scene)?);
            if signals.pending().next().is_some() {
                fail!("interrupted; nginx is stopped");
            }
        }
        let result = table.finish("nginx");
        if arguments.serve {
            serve(&server, &folder, port);
            signals.forever().next();
            // The terminal may be gone.
            drop(writeln!(io::stdout(), "\nstopping nginx"));
        }
        result
    }

    fn without_nginx(&self) -> Result {
        println!(
            "The same table from the engine, which the nginx module would ask. \
             A bare response stands for\n\
             those that nginx makes itself (401, 404, 502).\n\n\
             A-C stands for Access-Control.\n"
        );
        let mut table = Table::new();
        for scene in &SCENES {
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

    /// What the engine makes of the response of the application, or of nginx.
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

/// The demo's `nginx.conf`.
fn configuration(
    folder: &Folder,
    policies: &str,
    port: u16,
    application: u16,
) -> String {
    // Where Debian's nginx keeps its files only root may write.
    let temporary: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("    {name}_temp_path {name}_temp;\n"))
            .collect();
    format!(
        r#"{preamble}
http {{
    cors_policies {policies};

    log_format cors '$status "$request" $cors_kind $cors_outcome '
                    '$cors_reason rule=$cors_rule "$http_origin"';
    access_log logs/access.log cors;
    default_type text/plain;
    proxy_cache_path cache keys_zone=items:1m;
{temporary}
    server {{
        listen 127.0.0.1:{port};
        cors {POLICY};

        # For the table of the demo.
        add_header X-Cors-Reason $cors_reason always;
        add_header X-Cache $upstream_cache_status always;

        location /items {{
            proxy_pass http://127.0.0.1:{application};
            proxy_cache items;
            proxy_cache_valid 200 1m;
        }}

        location /account {{
            auth_basic account;
            auth_basic_user_file users;
            proxy_pass http://127.0.0.1:{application};
        }}

        location /files/ {{
            root html;
        }}

        # Nobody listens there.
        location /down {{
            proxy_pass http://127.0.0.1:1;
        }}
    }}
}}
"#,
        preamble = folder.preamble(""),
    )
}

fn serve(server: &Server<'_>, folder: &Folder, port: u16) {
    let url = format!("http://127.0.0.1:{port}");
    let folder = folder.path().display();
    let id = server.id();
    println!(
        "\nnginx runs until Ctrl-C: {url}/items, /account (demo:demo), \
         /files/, /down\n\n\
         curl -si -H 'Origin: https://app.example.com' {url}/items\n\
         curl -si -H 'Origin: https://evil.example' {url}/items\n\
         curl -si -X OPTIONS -H 'Origin: https://app.example.com' \\\n    \
         -H 'Access-Control-Request-Method: PUT' {url}/account\n\n\
         what was decided:    tail -f {folder}/logs/access.log\n\
         the configuration:   {folder}/nginx.conf\n\
         the policy file:     {folder}/quickstart.toml\n\
         after a change:      kill -HUP {id}; tail {folder}/logs/error.log"
    );
    drop(io::stdout().flush());
}
