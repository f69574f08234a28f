//! A real Envoy with the module, on loopback, in a folder of its own, and the
//! parts of its configuration that tests are made of.
//!
//! Ports are Envoy's to choose: a listener is asked for by its name.

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    http,
    process::{self, Process},
};

/// The version that is tested where none is named.
pub const VERSION: &str = "1.40.0";

/// The file that Envoy looks for.
pub const MODULE: &str = "libcors_envoy.so";

/// Which Envoy, and which module it loads.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The server's program.
    pub envoy: PathBuf,
    /// `libcors_envoy.so`; none to run without it.
    pub module: Option<PathBuf>,
}

impl Installation {
    /// The Envoy and the module that `cargo xtask envoy --server` made, or those
    /// that `CORS_ENVOY` and `CORS_ENVOY_MODULE` name.
    ///
    /// # Errors
    ///
    /// If either is not there; the message says what to do.
    pub fn find() -> Result<Installation, String> {
        let built = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/envoy")
            .join(VERSION)
            .join("envoy");
        let envoy = env::var_os("CORS_ENVOY").map_or(built, PathBuf::from);
        if !envoy.exists() {
            return Err(format!(
                "{} is missing: run `cargo xtask envoy --server`",
                envoy.display()
            ));
        }
        let module = module("CORS_ENVOY_MODULE", "envoy", "")?;
        Ok(Installation { envoy, module: Some(module) })
    }

    /// The same with the module that panics on demand, which `cargo xtask envoy
    /// --features test-panic` built, or `CORS_ENVOY_PANIC_MODULE` names.
    ///
    /// # Errors
    ///
    /// As [`Installation::find`].
    pub fn find_with_panics() -> Result<Installation, String> {
        let module = module(
            "CORS_ENVOY_PANIC_MODULE",
            "envoy-test-panic",
            " --features test-panic",
        )?;
        Ok(Installation { module: Some(module), ..Installation::find()? })
    }

    /// A folder for a configuration and its logs; `files` are put into it.
    pub fn prepare(&self, files: &[(&str, &str)]) -> io::Result<Folder> {
        let folder = Folder {
            files: process::Folder::new("envoy")?,
            installation: self.clone(),
        };
        for (name, text) in files {
            folder.write(name, text)?;
        }
        Ok(folder)
    }
}

fn module(
    variable: &str,
    folder: &str,
    features: &str,
) -> Result<PathBuf, String> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target")
        .join(folder)
        .join(MODULE);
    let module = env::var_os(variable).map_or(built, PathBuf::from);
    module.canonicalize().map_err(|_| {
        let module = module.display();
        format!("{module} is missing: run `cargo xtask envoy{features}`")
    })
}

/// The folder of one Envoy. It is removed when it is dropped.
#[derive(Debug)]
pub struct Folder {
    files: process::Folder,
    installation: Installation,
}

impl Deref for Folder {
    type Target = process::Folder;

    fn deref(&self) -> &process::Folder {
        &self.files
    }
}

impl Folder {
    /// The path of a file of the folder, for configurations.
    pub fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// Envoy in this folder, with the configuration of this name.
    pub fn command(&self, config: &str) -> Command {
        let mut command = Command::new(&self.installation.envoy);
        command
            .current_dir(self.path())
            .args(["--config-path", config])
            // Else it would end with the thread that started it.
            .arg("--disable-hot-restart")
            .args(["--log-level", "warning"]);
        if let Some(folder) =
            self.installation.module.as_ref().and_then(|file| file.parent())
        {
            command.env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", folder);
        }
        command
    }

    /// `--mode validate`: whether the configuration is fine, and what was
    /// printed.
    pub fn check(&self, config: &str) -> io::Result<(bool, String)> {
        let output =
            self.command(config).args(["--mode", "validate"]).output()?;
        let text = [output.stderr, output.stdout].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok((output.status.success(), text))
    }

    /// Writes `envoy.json` and starts Envoy with that many worker threads.
    pub fn start(
        &self,
        config: &Value,
        workers: u32,
    ) -> io::Result<Server<'_>> {
        self.write("envoy.json", &format!("{config:#}"))?;
        self.start_file("envoy.json", workers, &[])
    }

    /// Starts Envoy with a configuration of the folder, under another program,
    /// such as valgrind, if one is named.
    ///
    /// The configuration must have an `admin` with a port, or 0.
    pub fn start_file(
        &self,
        config: &str,
        workers: u32,
        wrapper: &[&str],
    ) -> io::Result<Server<'_>> {
        let mut plain = self.command(config);
        plain
            .args(["--concurrency", &workers.to_string()])
            .args(["--admin-address-path", "admin-address"])
            .args(["--file-flush-interval-msec", "20"])
            .args(["--drain-time-s", "1", "--parent-shutdown-time-s", "2"]);
        let mut command = match wrapper {
            [] => plain,
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).current_dir(self.path());
                command.envs(
                    plain
                        .get_envs()
                        .filter_map(|(name, value)| Some((name, value?))),
                );
                command.arg(plain.get_program()).args(plain.get_args());
                command
            }
        };
        drop(std::fs::remove_file(self.path().join("admin-address")));
        let log = File::create(self.path().join("envoy.log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        let mut process = Process::start(&mut command)?;
        let admin = process.wait_for(
            "envoy",
            || self.read("envoy.log"),
            || {
                let address = self.read("admin-address");
                let port = address.rsplit_once(':')?.1.trim().parse().ok()?;
                let ready = admin(port, "GET", "/ready").ok()?;
                (ready.trim() == "LIVE").then_some(port)
            },
        )?;
        let mut server =
            Server { process, folder: self, admin, ports: BTreeMap::new() };
        server.find_ports()?;
        Ok(server)
    }
}

/// A running Envoy. It is stopped when it is dropped.
#[derive(Debug)]
pub struct Server<'f> {
    process: Process,
    folder: &'f Folder,
    admin: u16,
    ports: BTreeMap<String, u16>,
}

impl Server<'_> {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The port of a listener.
    ///
    /// # Panics
    ///
    /// If there is no listener of this name.
    pub fn port(&self, listener: &str) -> u16 {
        match self.ports.get(listener) {
            Some(port) => *port,
            None => panic!("no listener {listener:?}: {:?}", self.ports),
        }
    }

    /// The port of the admin interface.
    pub fn admin_port(&self) -> u16 {
        self.admin
    }

    /// What the admin interface says at a path, such as `/stats`.
    pub fn admin(&self, path: &str) -> io::Result<String> {
        admin(self.admin, "GET", path)
    }

    /// The value of a counter or gauge; 0 if it is not there.
    ///
    /// # Errors
    ///
    /// If Envoy does not answer.
    pub fn stat(&self, name: &str) -> io::Result<u64> {
        let text = self.admin("/stats")?;
        Ok(text
            .lines()
            .filter_map(|line| line.rsplit_once(": "))
            .find(|(found, _)| *found == name)
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(0))
    }

    /// What Envoy has logged.
    pub fn log(&self) -> String {
        self.folder.read("envoy.log")
    }

    /// Waits until a line of the log holds a text.
    ///
    /// # Errors
    ///
    /// If none does after ten seconds; the error has the log.
    pub fn wait_for_log(&self, text: &str) -> io::Result<()> {
        self.wait_for(&format!("{text:?} in the log"), || {
            self.log().lines().any(|line| line.contains(text))
        })
    }

    /// Waits until something is so.
    ///
    /// # Errors
    ///
    /// If it is not after ten seconds; the error has the log.
    pub fn wait_for(
        &self,
        what: &str,
        mut ready: impl FnMut() -> bool,
    ) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if ready() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        let text = format!("waited in vain for {what}:\n{}", self.log());
        Err(io::Error::other(text))
    }

    /// How it ended, in words; nothing while it runs.
    pub fn ended(&mut self) -> io::Result<Option<String>> {
        self.process.ended()
    }

    fn find_ports(&mut self) -> io::Result<()> {
        let text = self.admin("/listeners?format=json")?;
        let listeners: Value = serde_json::from_str(&text)?;
        let listeners = listeners["listener_statuses"].as_array();
        for listener in listeners.into_iter().flatten() {
            let name = listener["name"].as_str().unwrap_or_default();
            let port =
                listener["local_address"]["socket_address"]["port_value"]
                    .as_u64()
                    .and_then(|port| u16::try_from(port).ok())
                    .ok_or_else(|| {
                        io::Error::other(format!("ports: {text}"))
                    })?;
            self.ports.insert(name.to_owned(), port);
        }
        Ok(())
    }
}

fn admin(port: u16, method: &str, path: &str) -> io::Result<String> {
    let request = http::request_bytes(method.as_bytes(), path, &[]);
    let reply = http::Client::connect(port)?.ask(&request)?;
    match reply.status {
        200 => Ok(String::from_utf8_lossy(&reply.body).into_owned()),
        status => Err(io::Error::other(format!("{path}: {status}"))),
    }
}

/// The name by which routes override the filter.
pub const FILTER: &str = "cors";

/// An object with more fields, which replace those that it has.
pub fn with(object: Value, fields: Value) -> Value {
    match (object, fields) {
        (Value::Object(mut object), Value::Object(fields)) => {
            object.extend(fields);
            Value::Object(object)
        }
        (object, fields) => panic!("no objects: {object} and {fields}"),
    }
}

/// A message of a type in an `Any`, as Envoy's configuration has it: `name`
/// without `type.googleapis.com/`.
pub fn any(name: &str, fields: Value) -> Value {
    with(json!({ "@type": format!("type.googleapis.com/{name}") }), fields)
}

fn module_config() -> Value {
    json!({
        "name": "cors_envoy",
        "do_not_close": true,
        "metrics_namespace": "cors",
    })
}

fn string(text: &str) -> Value {
    any("google.protobuf.StringValue", json!({ "value": text }))
}

const EXTENSION: &str = "envoy.extensions.filters.http";

/// The typed configuration of our filter: a policy, with options behind it, and
/// a document or `file:PATH`.
pub fn cors_config(policy: &str, document: &str) -> Value {
    any(
        &format!("{EXTENSION}.dynamic_modules.v3.DynamicModuleFilter"),
        json!({
            "dynamic_module_config": module_config(),
            "filter_name": policy,
            "filter_config": string(document),
        }),
    )
}

/// Our filter.
pub fn cors(policy: &str, document: &str) -> Value {
    json!({ "name": FILTER, "typed_config": cors_config(policy, document) })
}

/// Our filter by ECDS, from a file that [`ecds`] made.
pub fn cors_by_ecds(path: &str) -> Value {
    let kind = format!(
        "type.googleapis.com/{EXTENSION}.dynamic_modules.v3.DynamicModuleFilter"
    );
    json!({
        "name": FILTER,
        "config_discovery": {
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": { "path": path },
            },
            "type_urls": [kind],
        },
    })
}

/// The file that [`cors_by_ecds`] reads.
pub fn ecds(policy: &str, document: &str) -> String {
    let resource = any(
        "envoy.config.core.v3.TypedExtensionConfig",
        json!({ "name": FILTER, "typed_config": cors_config(policy, document) }),
    );
    json!({ "resources": [resource] }).to_string()
}

/// `typed_per_filter_config` that picks another policy, of the filter's document
/// or of one of its own.
pub fn with_policy(policy: &str, document: Option<&str>) -> Value {
    let mut fields = json!({
        "dynamic_module_config": module_config(),
        "filter_name": policy,
    });
    if let Some(document) = document {
        fields["filter_config"] = string(document);
    }
    let name =
        format!("{EXTENSION}.dynamic_modules.v3.DynamicModuleFilterPerRoute");
    json!({ FILTER: any(&name, fields) })
}

/// `typed_per_filter_config` that switches our filter off.
pub fn without_cors() -> Value {
    let config =
        any("envoy.config.route.v3.FilterConfig", json!({ "disabled": true }));
    json!({ FILTER: config })
}

/// A filter of Envoy: `name` such as `router`, `message` such as `Router`.
pub fn filter(name: &str, message: &str, fields: Value) -> Value {
    let config = any(&format!("{EXTENSION}.{name}.v3.{message}"), fields);
    json!({ "name": name, "typed_config": config })
}

/// A filter that refuses everything.
pub fn deny_all() -> Value {
    let any = json!({
        "permissions": [{ "any": true }],
        "principals": [{ "any": true }],
    });
    let rules = json!({ "action": "DENY", "policies": { "all": any } });
    filter("rbac", "RBAC", json!({ "rules": rules }))
}

/// A filter that requires a token of `https://login.example.com`, signed with one
/// of these keys.
pub fn jwt_authn(keys: &str) -> Value {
    let provider = json!({
        "issuer": "https://login.example.com",
        "local_jwks": { "inline_string": keys },
    });
    let rule = json!({
        "match": { "prefix": "/" },
        "requires": { "provider_name": "tests" },
    });
    let fields = json!({ "providers": { "tests": provider }, "rules": [rule] });
    filter("jwt_authn", "JwtAuthentication", fields)
}

/// What stands last in every chain of filters.
pub fn router() -> Value {
    filter("router", "Router", json!({}))
}

/// Routes of one virtual host for all domains.
pub fn routes(routes: Vec<Value>) -> Value {
    json!({
        "name": "routes",
        "virtual_hosts": [
            { "name": "all", "domains": ["*"], "routes": routes },
        ],
    })
}

/// A route of a prefix to [`application`], with other fields of a route.
pub fn route(prefix: &str, fields: Value) -> Value {
    let mut route = with(json!({ "match": { "prefix": prefix } }), fields);
    let answered =
        ["route", "redirect", "direct_response", "non_forwarding_action"];
    if !answered.iter().any(|action| route.get(action).is_some()) {
        route["route"] = json!({ "cluster": "application" });
    }
    route
}

/// The connection manager of a listener: HTTP/1.1 and HTTP/2, WebSockets over
/// both. `fields` has at least `http_filters`, and `route_config` or `rds`.
pub fn manager(fields: Value) -> Value {
    let config = json!({
        "stat_prefix": "front",
        "http2_protocol_options": { "allow_connect": true },
        "upgrade_configs": [
            { "upgrade_type": "websocket" },
            { "upgrade_type": "webtransport" },
            { "upgrade_type": "webtransport-h3" },
        ],
    });
    let name = "envoy.extensions.filters.network.http_connection_manager.v3.\
                HttpConnectionManager";
    json!({ "name": "manager", "typed_config": any(name, with(config, fields)) })
}

/// `access_log` of a [`manager`]: a line of this format for each request.
pub fn access_log(path: &str, format: &str) -> Value {
    let config = any(
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        json!({
            "path": path,
            "log_format": {
                "text_format_source": {
                    "inline_string": format!("{format}\n"),
                },
            },
        }),
    );
    json!([{ "name": "file", "typed_config": config }])
}

/// A listener on a free port of the loopback interface.
pub fn listener(name: &str, manager: &Value) -> Value {
    json!({
        "name": name,
        "address": loopback(0),
        "filter_chains": [{ "filters": [manager] }],
    })
}

/// A listener with TLS, by `cert.pem` and `key.pem` of the folder.
pub fn tls_listener(name: &str, manager: &Value, folder: &Folder) -> Value {
    let mut listener = listener(name, manager);
    listener["filter_chains"][0]["transport_socket"] = json!({
        "name": "tls",
        "typed_config": any(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            json!({
                "common_tls_context": {
                    "tls_certificates": [{
                        "certificate_chain": {
                            "filename": folder.file("cert.pem"),
                        },
                        "private_key": { "filename": folder.file("key.pem") },
                    }],
                },
            }),
        ),
    });
    listener
}

/// A cluster of one port of this machine.
pub fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{
                "lb_endpoints": [
                    { "endpoint": { "address": loopback(port) } },
                ],
            }],
        },
    })
}

/// The cluster that a [`route`] leads to.
pub fn application(port: u16) -> Value {
    cluster("application", port)
}

/// A whole configuration.
pub fn bootstrap(listeners: Vec<Value>, clusters: Vec<Value>) -> Value {
    json!({
        // What comes by xDS, be it from a file, needs a name to ask by.
        "node": { "id": "tests", "cluster": "tests" },
        "admin": { "address": loopback(0) },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

fn loopback(port: u16) -> Value {
    let address = json!({ "address": "127.0.0.1", "port_value": port });
    json!({ "socket_address": address })
}
