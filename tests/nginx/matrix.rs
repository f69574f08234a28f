//! Whatever ends a request, in whichever phase, the policy of the location that
//! the request had reached answers: every way to end one, with every way to name
//! a policy, under every server level, with every kind of error page.

use std::{collections::BTreeMap, fmt::Write as _, io, time::Duration};

use libcors_testkit::{
    http::{self, Client, Reply},
    nginx::Installation,
    suite::Line,
};

/// Each policy gives other headers than the rest, to every kind of request.
const POLICIES: &str = r#"
[policy.api]
allow_origins = ["https://app.example.com"]
allow_methods = ["PUT"]
expose_headers = ["X-Api"]
allow_credentials = true

[policy.srv]
allow_origins = ["https://*.example.com"]
allow_methods = ["PUT", "DELETE"]
expose_headers = ["X-Srv"]

[policy.page]
allow_origins = ["https://app.example.com", "https://evil.example"]
allow_methods = ["PUT", "PATCH"]
expose_headers = ["X-Page"]

[policy.open]
allow_origins = ["*"]
allow_methods = ["PUT", "REPORT"]
expose_headers = ["X-Open"]
"#;

/// Variables that hold names of policies. `$by_uri` differs on an error page,
/// and `$by_host` does not.
const HTTP: &str = r#"
map $uri $by_uri { volatile; ~^/e[0-9] api; ~^/errors page; default srv; }
map $host $by_host { default srv; }
limit_req_zone $server_addr zone=one:1m rate=1r/m;
"#;

const APP: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";

/// What a browser sends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Ask {
    Allowed,
    Denied,
    WithoutOrigin,
    Preflight,
    DeniedPreflight,
}

impl Ask {
    const ALL: [Ask; 5] = [
        Ask::Allowed,
        Ask::Denied,
        Ask::WithoutOrigin,
        Ask::Preflight,
        Ask::DeniedPreflight,
    ];

    fn origin(self) -> Option<&'static str> {
        match self {
            Ask::WithoutOrigin => None,
            Ask::Allowed | Ask::Preflight => Some(APP),
            Ask::Denied | Ask::DeniedPreflight => Some(EVIL),
        }
    }

    fn is_preflight(self) -> bool {
        matches!(self, Ask::Preflight | Ask::DeniedPreflight)
    }
}

/// The policy that answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Policy {
    Api,
    Srv,
    Open,
    /// A name that is not known: denied.
    Unknown,
    /// `off`, or no `cors` at all.
    Nothing,
}

/// What one of the policies makes of a response, in one line.
fn expected_headers(policy: Policy, ask: Ask, proxied: bool) -> String {
    let origin = ask.origin();
    let listed = |origins: &[&str]| {
        origin.filter(|origin| origins.contains(origin)).unwrap_or_default()
    };
    let (acao, credentials, exposed, methods) = match policy {
        Policy::Nothing if proxied => ("wrong", "", "", ""),
        Policy::Nothing => return String::new(),
        Policy::Unknown => ("", "", "", ""),
        Policy::Api => (listed(&[APP]), "true", "x-api", "PUT"),
        Policy::Srv => (listed(&[APP]), "", "x-srv", "PUT, DELETE"),
        Policy::Open => ("*", "", "x-open", "PUT, REPORT"),
    };
    let mut text = String::new();
    let allowed = !acao.is_empty();
    let preflight = ask.is_preflight();
    for (name, value, is_set) in [
        ("acao", acao, allowed),
        ("acac", credentials, allowed && !credentials.is_empty()),
        ("aceh", exposed, allowed && !preflight && !exposed.is_empty()),
        ("acam", methods, allowed && preflight && !methods.is_empty()),
        ("vary", "Origin", !matches!(policy, Policy::Open | Policy::Nothing)),
    ] {
        if is_set {
            let _ = write!(text, "{name}={value} ");
        }
    }
    text
}

/// The same line, of a response.
fn seen_headers(reply: &Reply) -> String {
    let mut text = String::new();
    for (short, name) in [
        ("acao", "access-control-allow-origin"),
        ("acac", "access-control-allow-credentials"),
        ("aceh", "access-control-expose-headers"),
        ("acam", "access-control-allow-methods"),
        ("vary", "vary"),
    ] {
        for value in reply.values(name) {
            let value = String::from_utf8_lossy(value);
            let _ = write!(text, "{short}={value} ");
        }
    }
    text
}

/// How a location names its policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Naming {
    Plain,
    /// A variable that `set` fills in the location itself.
    Set,
    /// A variable that is another on the page of an error.
    Uri,
    /// A variable out of the request's header.
    Header,
    AnyOrigin,
    Off,
    OffByVariable,
    Inherited,
}

impl Naming {
    const ALL: [Naming; 8] = [
        Naming::Plain,
        Naming::Set,
        Naming::Uri,
        Naming::Header,
        Naming::AnyOrigin,
        Naming::Off,
        Naming::OffByVariable,
        Naming::Inherited,
    ];

    fn lines(self) -> &'static str {
        match self {
            Naming::Plain => "cors api;",
            Naming::Set => "set $p api; cors $p;",
            Naming::Uri => "cors $by_uri;",
            Naming::Header => "cors $http_x_policy;",
            Naming::AnyOrigin => "cors open;",
            Naming::Off => "cors off;",
            Naming::OffByVariable => "cors $http_x_off;",
            Naming::Inherited => "",
        }
    }
}

/// What the level of the server has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ServerLevel {
    Nothing,
    Other,
    OtherByVariable,
    Off,
}

impl ServerLevel {
    const ALL: [ServerLevel; 4] = [
        ServerLevel::Nothing,
        ServerLevel::Other,
        ServerLevel::OtherByVariable,
        ServerLevel::Off,
    ];

    fn line(self) -> &'static str {
        match self {
            ServerLevel::Nothing => "",
            ServerLevel::Other => "cors srv;",
            ServerLevel::OtherByVariable => "cors $by_host;",
            ServerLevel::Off => "cors off;",
        }
    }

    fn policy(self) -> Policy {
        match self {
            ServerLevel::Nothing | ServerLevel::Off => Policy::Nothing,
            ServerLevel::Other | ServerLevel::OtherByVariable => Policy::Srv,
        }
    }
}

/// What the configuration says about error pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pages {
    /// Nothing at all.
    Nowhere,
    /// Of another server alone.
    Elsewhere,
    /// By a path, whose location has a `cors` of its own.
    Path,
    /// By a path, as another status.
    PathAs200,
    /// By a named location, whose answer comes from an application.
    Named,
    /// The same, with the status of that answer.
    NamedWithItsStatus,
}

const CODES: &str = "301 302 303 307 308 400 401 403 404 405 410 413 416 418 \
                     500 502 503";

impl Pages {
    /// The lines of a server, with `$back` for the application.
    fn lines(self) -> String {
        let target = match self {
            Pages::Nowhere | Pages::Elsewhere => return String::new(),
            Pages::Path => "/errors/e.html",
            Pages::PathAs200 => "=200 /errors/e.html",
            Pages::Named => "@page",
            Pages::NamedWithItsStatus => "= @page",
        };
        format!(
            "error_page {CODES} {target};\n\
             location /errors/ {{ internal; cors page; }}\n\
             location @page {{ cors page; proxy_method GET;\n\
             \x20   proxy_pass http://127.0.0.1:$back; }}\n"
        )
    }

    /// The status of a response that was to have this one.
    fn status(self, status: u16) -> u16 {
        match self {
            _ if !CODES.contains(&status.to_string()) => status,
            Pages::Nowhere | Pages::Elsewhere => status,
            Pages::Path | Pages::Named => status,
            Pages::PathAs200 | Pages::NamedWithItsStatus => 200,
        }
    }
}

/// Where a request ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// Before the rewrite phase.
    Find,
    /// In the rewrite phase.
    Rewrite,
    /// At the level of the server, before any location.
    Server,
    /// After preflights are answered.
    Late,
}

/// A way to end a request.
struct Ending {
    /// What stands in the location, whose path is `$path`; `$cors` is its
    /// policy, which comes first where it is not named.
    lines: &'static str,
    status: u16,
    end: End,
    /// Whether an error page is asked for.
    has_page: bool,
    /// What follows the location's path in the request.
    path: &'static str,
    /// The method of requests that are no preflights.
    method: &'static str,
    header: &'static [(&'static str, &'static str)],
    /// Whether the application gives a response, with a header of its own.
    proxied: bool,
    /// Whether it is a static file, which answers nothing but GET.
    is_file: bool,
    /// Whether it is a block whose `set` is not run.
    skips_set: bool,
}

const PLAIN: Ending = Ending {
    lines: "",
    status: 200,
    end: End::Late,
    has_page: true,
    path: "",
    method: "GET",
    header: &[],
    proxied: false,
    is_file: false,
    skips_set: false,
};

const fn early(lines: &'static str, status: u16) -> Ending {
    Ending { lines, status, end: End::Rewrite, ..PLAIN }
}

const fn sent(lines: &'static str, status: u16) -> Ending {
    Ending { has_page: false, ..early(lines, status) }
}

const fn late(lines: &'static str, status: u16) -> Ending {
    Ending { lines, status, ..PLAIN }
}

const ENDINGS: &[Ending] = &[
    early("return 301 https://x.example/;", 301),
    early("return 302 https://x.example/;", 302),
    early("return 308 https://x.example/;", 308),
    early("return 401;", 401),
    early("return 404;", 404),
    early("return 410;", 410),
    early("return 418;", 418),
    early("return 503;", 503),
    sent("return 200 text;", 200),
    sent("return 204;", 204),
    sent("return 404 text;", 404),
    sent("return 503 text;", 503),
    early("rewrite ^ https://x.example/ permanent;", 301),
    early("rewrite ^ https://x.example/ redirect;", 302),
    Ending {
        is_file: true,
        ..late("rewrite ^ ${path}none break; return 500;", 404)
    },
    early("if ($http_authorization = '') { return 401; }", 401),
    early("if ($uri) { return 302 https://x.example/; }", 302),
    sent("if ($uri) { return 403 text; }", 403),
    early("if ($uri) { rewrite ^ https://x.example/ permanent; }", 301),
    // The `if` has the policy, and the location another.
    early("cors page; if ($uri) { $cors return 404; }", 404),
    sent("cors page; if ($uri) { $cors return 200 text; }", 200),
    // The final location has it.
    early(
        "cors page; rewrite ^ $path.final/ last; }\n\
         location $path.final/ { $cors return 403;",
        403,
    ),
    Ending {
        skips_set: true,
        ..early("$cors location $path { return 403; }", 403)
    },
    Ending {
        header: &[("Content-Length", "10")],
        end: End::Find,
        method: "POST",
        ..late("client_max_body_size 1;", 413)
    },
    Ending { end: End::Find, ..late("internal;", 404) },
    Ending {
        header: &[("Authorization", "x")],
        is_file: true,
        ..late("if ($http_authorization = '') { return 401; }", 404)
    },
    Ending { path: "a.html", is_file: true, ..late("alias html/;", 200) },
    Ending { path: "none.html", is_file: true, ..late("alias html/;", 404) },
    Ending { path: "dir", is_file: true, ..late("alias html/;", 301) },
    Ending { path: "dir/", is_file: true, ..late("alias html/;", 403) },
    Ending {
        path: "a.html",
        method: "POST",
        is_file: true,
        ..late("alias html/;", 405)
    },
    Ending {
        path: "a.html",
        header: &[("Range", "bytes=9999-")],
        has_page: false,
        is_file: true,
        ..late("alias html/;", 416)
    },
    late("deny all;", 403),
    late("auth_basic x; auth_basic_user_file users;", 401),
    late("auth_request /deny;", 403),
    late("limit_req zone=one;", 503),
    Ending { skips_set: true, ..late("limit_except POST { deny all; }", 403) },
    late("try_files /none =404;", 404),
    late("proxy_pass http://127.0.0.1:1;", 502),
    Ending {
        proxied: true,
        ..late("proxy_pass http://127.0.0.1:$back/up;", 200)
    },
    late(
        "proxy_intercept_errors on; proxy_pass http://127.0.0.1:$back/404;",
        404,
    ),
    // A request for the location without its slash, which nginx redirects.
    Ending {
        path: "<",
        end: End::Find,
        ..late("proxy_pass http://127.0.0.1:$back/;", 301)
    },
    // Before any location.
    Ending { path: "?teapot=1", end: End::Server, ..early("", 418) },
    Ending { path: "?moved=1", end: End::Server, ..early("", 302) },
];

/// A connection that serves for as many requests as the server lets it.
struct Connection {
    port: u16,
    client: Option<Client>,
}

impl Connection {
    fn ask(&mut self, request: &[u8]) -> io::Result<Reply> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(self.port)?,
        };
        client.set_timeout(Duration::from_secs(5))?;
        let reply = client.ask(request)?;
        if reply.value("connection") == "keep-alive" {
            self.client = Some(client);
        }
        Ok(reply)
    }
}

/// One request to one location.
struct Case<'c> {
    pages: Pages,
    level: ServerLevel,
    naming: Naming,
    ending: &'c Ending,
    ask: Ask,
}

impl Case<'_> {
    /// The path of the location.
    fn location(&self, number: usize) -> String {
        format!("/e{number}{:?}/", self.naming)
    }

    /// What came back, and what should have.
    fn compare(
        &self,
        connection: &mut Connection,
        number: usize,
    ) -> Result<(), String> {
        let request = self.request(number);
        let reply = connection.ask(&request);
        let seen = match reply {
            Ok(reply) => format!("{} {}", reply.status, seen_headers(&reply)),
            Err(error) => format!("{BROKEN}: {error}"),
        };
        let expected = self.expected();
        match seen == expected {
            true => Ok(()),
            false => Err(format!(
                "{}\n--> {}\n  seen      {seen}\n  expected  {expected}",
                self.configuration(number),
                String::from_utf8_lossy(&request)
                    .trim_end()
                    .replace("\r\n", "\n    "),
            )),
        }
    }

    fn request(&self, number: usize) -> Vec<u8> {
        let mut lines: Vec<(&str, &str)> = vec![
            ("Host", HOSTS[self.level as usize]),
            ("X-Policy", "api"),
            ("X-Off", "off"),
        ];
        lines.extend(self.ask.origin().map(|origin| ("Origin", origin)));
        let is_sent = |name| name != "Range" || !self.ask.is_preflight();
        let header = self.ending.header.iter().copied();
        lines.extend(header.filter(|(name, _)| is_sent(*name)));
        let mut method = self.ending.method;
        if self.ask.is_preflight() {
            method = "OPTIONS";
            lines.push(("Access-Control-Request-Method", "PUT"));
        }
        let lines: Vec<Line> = lines
            .iter()
            .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
            .collect();
        let location = self.location(number);
        let path = match self.ending.path {
            "<" => location.trim_end_matches('/').to_owned(),
            path => format!("{location}{path}"),
        };
        http::kept_request_bytes(method.as_bytes(), &path, &lines)
    }

    /// The policy that should answer.
    fn policy(&self) -> Policy {
        let has_page = self.ending.has_page
            && !matches!(self.pages, Pages::Nowhere | Pages::Elsewhere);
        let end = self.ending.end;
        // nginx forgets the location before any module runs.
        let is_forgotten = end == End::Find && has_page;
        match self.naming {
            _ if end == End::Server || is_forgotten => self.level.policy(),
            Naming::Inherited => self.level.policy(),
            Naming::Set if end == End::Find || self.ending.skips_set => {
                Policy::Unknown
            }
            Naming::Plain | Naming::Set | Naming::Uri | Naming::Header => {
                Policy::Api
            }
            Naming::AnyOrigin => Policy::Open,
            Naming::Off | Naming::OffByVariable => Policy::Nothing,
        }
    }

    fn expected(&self) -> String {
        let ending = self.ending;
        let policy = self.policy();
        let answers = self.ask.is_preflight()
            && !matches!(policy, Policy::Nothing | Policy::Unknown);
        let is_answered = answers && ending.end == End::Late;
        let (failed, has_page) = match self.ask.is_preflight() {
            true if ending.is_file => (405, true),
            _ => (ending.status, ending.has_page),
        };
        let status = match has_page {
            true => self.pages.status(failed),
            false => failed,
        };
        // What an error leads to may be the application itself.
        let leads_on =
            self.pages == Pages::NamedWithItsStatus && status != failed;
        let (status, proxied) = match is_answered || answers && leads_on {
            true => (204, false),
            false => (status, ending.proxied),
        };
        format!("{status} {}", expected_headers(policy, self.ask, proxied))
    }

    /// The lines that matter.
    fn configuration(&self, number: usize) -> String {
        let mut text = String::new();
        let naming = self.naming.lines();
        for line in HTTP.lines().filter(|line| line.starts_with("map")) {
            let variable = line.split(' ').nth(2).unwrap();
            if naming.contains(variable) || self.level.line().contains(variable)
            {
                let _ = writeln!(text, "{line}");
            }
        }
        if self.pages == Pages::Elsewhere {
            text += "server { error_page 404 /e.html; }\n";
        }
        text += "server {\n";
        let lines = [
            self.level.line(),
            &self.pages.lines(),
            SERVER_REWRITE,
            &self.block(number),
        ];
        for line in lines.iter().flat_map(|lines| lines.lines()) {
            let is_rewrite = SERVER_REWRITE.contains(line);
            if !line.is_empty()
                && is_rewrite == (self.ending.end == End::Server)
            {
                let _ = writeln!(text, "    {line}");
            }
        }
        text + "}"
    }

    /// The location.
    fn block(&self, number: usize) -> String {
        let path = self.location(number);
        let naming = self.naming.lines();
        let lines = match self.ending.lines.contains("$cors") {
            true => self.ending.lines.replace("$cors", naming),
            false => format!("{naming} {}", self.ending.lines),
        };
        format!(
            "location {path} {{ {} }}\n",
            lines.replace("${path}", &path).replace("$path", &path)
        )
    }
}

const BROKEN: &str = "a broken response";

const HOSTS: [&str; 4] =
    ["nothing.test", "other.test", "variable.test", "off.test"];

const SERVER_REWRITE: &str = "if ($arg_teapot) { return 418; }\n\
                              if ($arg_moved) { return 302 https://x.example/; }\n";

/// All cases of a kind of error pages, through one nginx.
fn run(pages: Pages) {
    let installation = Installation::find().unwrap();
    let folder = installation.prepare(&[("cors.toml", POLICIES)]).unwrap();
    for name in ["html/a.html", "html/dir/x", "html/errors/e.html"] {
        folder.write(name, "page\n").unwrap();
    }
    folder.write("users", "").unwrap();
    let (port, back) = (http::free_port().unwrap(), http::free_port().unwrap());
    let mut conf = format!(
        "{}http {{\ncors_policies cors.toml;\naccess_log off;\n\
         default_type text/plain;\nkeepalive_requests 100000;\nroot html;\nserver_names_hash_bucket_size 64;\n\
         {HTTP}\n\
         server {{ listen 127.0.0.1:{back};\n\
         location /up {{ add_header Access-Control-Allow-Origin wrong;\n\
         return 200 up; }}\nlocation /404 {{ return 404; }}\n\
         location / {{ return 200 page; }} }}\n",
        folder.preamble(""),
    );
    if pages == Pages::Elsewhere {
        conf += &format!(
            "server {{ listen 127.0.0.1:{port}; server_name elsewhere.test;\n\
             error_page 404 /e.html; }}\n"
        );
    }
    let mut cases = Vec::new();
    for level in ServerLevel::ALL {
        let host = HOSTS[level as usize];
        conf += &format!(
            "server {{ listen 127.0.0.1:{port}; server_name {host};\n{}\n{}\n{}\n\
             location = /deny {{ internal; return 403; }}\n",
            level.line(),
            pages.lines(),
            SERVER_REWRITE,
        );
        for (number, ending) in ENDINGS.iter().enumerate() {
            for naming in Naming::ALL {
                // It could not inherit from the server.
                if naming == Naming::Inherited
                    && ending.lines.starts_with("cors page")
                {
                    continue;
                }
                for ask in Ask::ALL {
                    let case = Case { pages, level, naming, ending, ask };
                    if ask == Ask::ALL[0] {
                        conf += &case.block(number);
                    }
                    cases.push((number, case));
                }
            }
        }
        conf += "}\n";
    }
    conf = conf.replace("$back", &back.to_string()) + "}\n";
    folder.write("nginx.conf", &conf).unwrap();
    let server = folder.start(port).unwrap();
    let workers = server.workers();

    // The limit is used up.
    let (limited, _) = ENDINGS
        .iter()
        .enumerate()
        .find(|(_, ending)| ending.lines.contains("limit_req"))
        .unwrap();
    let (level, ask) = (ServerLevel::Nothing, Ask::WithoutOrigin);
    let ending = &ENDINGS[limited];
    let first = Case { pages, level, naming: Naming::Off, ending, ask };
    let mut connection = Connection { port, client: None };
    drop(first.compare(&mut connection, limited));

    let mut failures = Vec::new();
    let mut broken = 0;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (number, case) in &cases {
        if let Err(text) = case.compare(&mut connection, *number) {
            broken += usize::from(text.contains(BROKEN));
            failures.push(text);
            *kinds.entry(case.ending.lines.to_owned()).or_default() += 1;
        }
        // Each of them takes the time that a client waits.
        if broken == 5 {
            break;
        }
    }
    assert_eq!(server.workers(), workers, "a worker died");
    drop(server);
    failures.sort_by_key(String::len);
    assert!(
        failures.is_empty(),
        "{} of {} cases are wrong; the shortest of them:\n\n{}\n\nby ending: \
         {kinds:#?}",
        failures.len(),
        cases.len(),
        failures[..failures.len().min(4)].join("\n\n"),
    );
}

#[test]
fn without_error_pages() {
    run(Pages::Nowhere);
}

#[test]
fn with_error_pages_of_another_server() {
    run(Pages::Elsewhere);
}

#[test]
fn with_error_pages_by_path() {
    run(Pages::Path);
}

#[test]
fn with_error_pages_of_another_status() {
    run(Pages::PathAs200);
}

#[test]
fn with_error_pages_by_name() {
    run(Pages::Named);
}

#[test]
fn with_error_pages_that_bring_their_status() {
    run(Pages::NamedWithItsStatus);
}
