//! The demo with Envoy.

use libcors_testkit::envoy::{Folder, Installation};

use super::{
    Arguments, POLICY, Show, building, check_port, hold_signals, short, try_it,
    without_server,
};
use libcors_tools::{
    fail,
    run::{Context as _, Result},
};
use xtask::{envoy, library::Variant};

/// Runs Envoy and asks it.
pub(super) fn show(show: &Show<'_>, arguments: &Arguments) -> Result {
    let version = envoy::VERSIONS[0];
    let program = envoy::server(version).map_err(without_server)?;
    let module = building(
        || envoy::build(&Variant::default()),
        |module| format!("Envoy {version} and {}", short(module)),
    )?;

    let signals = hold_signals()?;
    if let Some(port) = arguments.port {
        check_port(port)?;
    }
    let installation = Installation { envoy: program, module: Some(module) };
    let name = "quickstart.toml";
    let folder = installation
        .prepare(&[(name, &show.document)])
        .context("the folder of Envoy")?;
    let port = arguments.port.unwrap_or(0);
    let config = configuration(&folder, name, port, show.application.port());
    folder.write("envoy.yaml", &config).context("envoy.yaml")?;
    let (good, text) = folder.check("envoy.yaml").context("envoy")?;
    if !good {
        fail!("Envoy does not take its configuration\n{text}");
    }
    let server = folder.start_file("envoy.yaml", 1, &[]).context("Envoy")?;
    println!(
        "its filter says: filter_name: {POLICY}, filter_config: file:{name}"
    );
    let port = server.port("front");
    let serve = || serve(&folder, port, server.admin_port());
    show.server(port, signals, arguments.serve.then_some(&serve))
}

/// The demo's `envoy.yaml`.
fn configuration(
    folder: &Folder,
    policies: &str,
    port: u16,
    application: u16,
) -> String {
    let (policies, log) = (folder.file(policies), folder.file("access.log"));
    let types = "type.googleapis.com/envoy.extensions";
    // The password is demo.
    let user = "demo:{SHA}ieSV55Qc+eQOaYDRSha/AjzNTJE=";
    format!(
        r#"admin:
  address:
    socket_address: {{ address: 127.0.0.1, port_value: 0 }}
static_resources:
  listeners:
  - name: front
    address:
      socket_address: {{ address: 127.0.0.1, port_value: {port} }}
    enable_reuse_port: false
    filter_chains:
    - filters:
      - name: manager
        typed_config:
          "@type": {types}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          access_log:
          - name: file
            typed_config:
              "@type": {types}.access_loggers.file.v3.FileAccessLog
              path: {log}
              log_format:
                text_format_source:
                  inline_string: >
                    %RESPONSE_CODE% "%REQ(:METHOD)% %PATH%"
                    %DYNAMIC_METADATA(cors:kind)%
                    %DYNAMIC_METADATA(cors:outcome)%
                    %DYNAMIC_METADATA(cors:reason)% "%REQ(ORIGIN)%"
          http_filters:
          # First: before what asks for a password.
          - name: cors
            typed_config:
              "@type": {types}.filters.http.dynamic_modules.v3.DynamicModuleFilter
              dynamic_module_config:
                name: cors_envoy
                do_not_close: true
                metrics_namespace: cors
              filter_name: {POLICY}?metadata=on
              filter_config:
                "@type": type.googleapis.com/google.protobuf.StringValue
                value: file:{policies}
          - name: password
            disabled: true
            typed_config:
              "@type": {types}.filters.http.basic_auth.v3.BasicAuth
              users: {{ inline_string: "{user}" }}
          - name: router
            typed_config:
              "@type": {types}.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: /items }}
                route: {{ cluster: application }}
              - match: {{ prefix: /account }}
                route: {{ cluster: application }}
                typed_per_filter_config:
                  password:
                    "@type": {types}.filters.http.basic_auth.v3.BasicAuthPerRoute
                    users: {{ inline_string: "{user}" }}
              # Nobody listens there.
              - match: {{ prefix: /down }}
                route: {{ cluster: down }}
  clusters:
{}{}"#,
        cluster("application", application),
        cluster("down", 1),
    )
}

fn cluster(name: &str, port: u16) -> String {
    format!(
        r#"  - name: {name}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint:
            address:
              socket_address: {{ address: 127.0.0.1, port_value: {port} }}
"#
    )
}

fn serve(folder: &Folder, port: u16, admin: u16) {
    let url = format!("http://127.0.0.1:{port}");
    let folder = folder.path().display();
    println!(
        "\nEnvoy runs until Ctrl-C: {url}/items, /account (demo:demo), \
         /down\n\n\
         {}\n\n\
         what was decided:    tail -f {folder}/access.log\n\
         how often:           curl -s http://127.0.0.1:{admin}/stats | grep ^cors\n\
         the configuration:   {folder}/envoy.yaml\n\
         the policy file:     {folder}/quickstart.toml",
        try_it(&url)
    );
}
