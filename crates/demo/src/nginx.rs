//! The demo with nginx.

use libcors_testkit::{
    http,
    nginx::{Folder, Installation},
};

use super::{
    Arguments, POLICY, Show, building, check_port, hold_signals, short, try_it,
    without_server,
};
use libcors_tools::{
    fail, packages,
    run::{Context as _, Result},
};
use xtask::{library::Variant, nginx};

/// Runs nginx and asks it.
pub(super) fn show(show: &Show<'_>, arguments: &Arguments) -> Result {
    packages::ensure(&nginx::DEBIAN_NEEDS).map_err(without_server)?;
    let nginx = building(
        || nginx::build(None, &Variant::default()),
        |built| format!("nginx {} and {}", built.version, short(&built.module)),
    )?;

    let signals = hold_signals()?;
    let port = match arguments.port {
        Some(port) => port,
        None => http::free_port().context("a port")?,
    };
    check_port(port)?;
    let installation =
        Installation { nginx: nginx.nginx, module: Some(nginx.module) };
    let name = "quickstart.toml";
    let folder = installation
        .prepare(&[
            (name, &show.document),
            ("users", "demo:{PLAIN}demo\n"),
            ("html/files/index.html", "a file\n"),
        ])
        .context("the folder of nginx")?;
    let conf = configuration(&folder, name, port, show.application.port());
    folder.write("nginx.conf", &conf).context("nginx.conf")?;
    let (good, text) = folder.check().context("nginx -t")?;
    if !good {
        fail!("nginx does not take its configuration\n{text}");
    }
    let server = folder.start(port).context("nginx")?;
    println!("its configuration says: cors_policies {name}; cors {POLICY};");
    let serve = || serve(server.id(), &folder, port);
    show.server(port, signals, arguments.serve.then_some(&serve))
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

fn serve(id: u32, folder: &Folder, port: u16) {
    let url = format!("http://127.0.0.1:{port}");
    let folder = folder.path().display();
    println!(
        "\nnginx runs until Ctrl-C: {url}/items, /account (demo:demo), \
         /files/, /down\n\n\
         {}\n\n\
         what was decided:    tail -f {folder}/logs/access.log\n\
         the configuration:   {folder}/nginx.conf\n\
         the policy file:     {folder}/quickstart.toml\n\
         after a change:      kill -HUP {id}; tail {folder}/logs/error.log",
        try_it(&url)
    );
}
