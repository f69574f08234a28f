//! Whatever ends a request: every way × the place of the policy × headers that
//! the configuration adds × the kind of request, over HTTP/1.1, over HTTP/2 and
//! behind a second Envoy.
//!
//! What is expected follows from the policy that applies and from a listener
//! without the filter (the control), which is asked the same.

use std::{collections::BTreeMap, fmt, net::TcpListener, thread};

use libcors_testkit::{
    envoy::{self, Folder, Installation, Server},
    http::{self, Application, Client, Reply},
    http2,
    naive::{OWNED, OWNED_TIMING},
    suite::Line,
};
use libcors_tests::front::{APP, EVIL, JWKS};
use serde_json::{Value, json};

/// Headers that an operator adds, which contradict every policy here.
const ADDED: [(&str, &str); 3] = [
    ("Access-Control-Allow-Origin", "https://added.example"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Vary", "X-Added"),
];

/// Where the configuration adds them; `Everywhere` has a format for the bodies of
/// local replies as well.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Added {
    Nowhere,
    Route,
    VirtualHost,
    RouteConfiguration,
    /// A filter behind ours. Envoy 1.39 and later do not let a filter see its
    /// own answers once they have passed such a filter.
    Filter,
    Everywhere,
}

impl Added {
    const ALL: [Added; 6] = [
        Added::Nowhere,
        Added::Route,
        Added::VirtualHost,
        Added::RouteConfiguration,
        Added::Filter,
        Added::Everywhere,
    ];

    fn at(self, level: Added) -> Value {
        match [level, Added::Everywhere].contains(&self) {
            true => json!({ "response_headers_to_add": added() }),
            false => json!({}),
        }
    }
}

fn added() -> Value {
    ADDED.map(|line| json!({ "header": header(line) })).to_vec().into()
}

fn header((key, value): (&str, &str)) -> Value {
    json!({ "key": key, "value": value })
}

/// Where the policy is named. The first two are of one virtual host: whether the
/// route configuration has a policy is the listener's matter.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    Filter,
    RouteConfiguration,
    VirtualHost,
    Route,
    /// A route with a policy file of its own.
    Own,
    Off,
    Disabled,
}

impl Place {
    fn policy(self) -> &'static str {
        match self {
            Place::Filter => "filter",
            Place::RouteConfiguration => "configuration",
            Place::VirtualHost => "host",
            Place::Route => "route",
            Place::Own => "own",
            Place::Off => "off",
            Place::Disabled => "disabled",
        }
    }

    fn domain(self) -> String {
        match self {
            Place::RouteConfiguration => Place::Filter.domain(),
            _ => format!("{}.example", self.policy()),
        }
    }

    fn of_listener(configured: bool) -> [Place; 6] {
        let first = match configured {
            false => Place::Filter,
            true => Place::RouteConfiguration,
        };
        [
            first,
            Place::VirtualHost,
            Place::Route,
            Place::Own,
            Place::Off,
            Place::Disabled,
        ]
    }

    /// What of a policy differs from place to place, so that a wrong one shows.
    fn max_age(self) -> u32 {
        self as u32 + 1
    }

    fn preflight_status(self) -> u16 {
        if self == Place::VirtualHost { 200 } else { 204 }
    }

    fn text(self, strict: bool) -> String {
        let name = self.policy();
        let refusals = "disallowed = \"reject\"\nwebsocket = \"reject\"\n\
                        self_origins = [\"https://self.example\"]\n";
        format!(
            "[policy.{name}]\nallow_origins = [\"{APP}\"]\n\
             allow_methods = [\"PUT\"]\nallow_headers = [\"X-A\"]\n\
             expose_headers = [\"X-{name}\"]\nallow_credentials = true\n\
             max_age = {}\npreflight_status = {}\n{}",
            self.max_age(),
            self.preflight_status(),
            if strict { refusals } else { "" },
        )
    }
}

/// How a request ends where no filter of ours answers it.
const WAYS: [&str; 15] = [
    "application",
    "not_modified",
    "direct_response",
    "redirect",
    "rbac",
    "jwt_authn",
    "ext_authz",
    "local_ratelimit",
    "fault",
    "timeout",
    "retries",
    "down",
    "reset",
    "no_upgrades",
    "no_route",
];

const NO_ROUTE: &str = "no_route";

/// Filters that answer where a route enables them.
fn answering_filters() -> Vec<Value> {
    let everybody = json!({
        "default_value": { "numerator": 100 },
        "runtime_key": "none",
    });
    let filters = [
        envoy::deny_all(),
        envoy::jwt_authn(JWKS),
        envoy::filter(
            "ext_authz",
            "ExtAuthz",
            json!({
                "http_service": {
                    "server_uri": {
                        "uri": "http://application.invalid",
                        "cluster": "application",
                        "timeout": "5s",
                    },
                    "path_prefix": "/status/403",
                    // What the service says about CORS comes too.
                    "authorization_response": {
                        "allowed_client_headers": {
                            "patterns": [
                                { "prefix": "access-control-" },
                                { "exact": "vary" },
                            ],
                        },
                    },
                },
            }),
        ),
        envoy::filter(
            "local_ratelimit",
            "LocalRateLimit",
            json!({
                "stat_prefix": "limit",
                "token_bucket": { "max_tokens": 1, "fill_interval": "86400s" },
                "filter_enabled": everybody,
                "filter_enforced": everybody,
            }),
        ),
        envoy::filter(
            "fault",
            "HTTPFault",
            json!({
                "abort": {
                    "http_status": 418,
                    "percentage": { "numerator": 100 },
                },
            }),
        ),
    ];
    let disabled = |filter| envoy::with(filter, json!({ "disabled": true }));
    filters.into_iter().map(disabled).collect()
}

fn route_of(way: &str) -> Value {
    let cluster = |name: &str, fields: Value| {
        let route = envoy::with(json!({ "cluster": name }), fields);
        json!({ "route": route })
    };
    let fields = match way {
        "direct_response" => {
            let body = json!({ "inline_string": "direct" });
            json!({ "direct_response": { "status": 200, "body": body } })
        }
        "redirect" => {
            json!({ "redirect": { "host_redirect": "elsewhere.example" } })
        }
        "not_modified" => {
            let rewrite = json!({ "prefix_rewrite": "/status/304" });
            cluster("application", rewrite)
        }
        "timeout" => cluster(
            "application",
            json!({ "timeout": "0.01s", "prefix_rewrite": "/slow/2000" }),
        ),
        "retries" => cluster(
            "application",
            json!({
                "prefix_rewrite": "/status/503",
                "retry_policy": { "retry_on": "5xx", "num_retries": 1 },
            }),
        ),
        "down" | "reset" => cluster(way, json!({})),
        // WebSockets are switched off here, and Envoy refuses them.
        "no_upgrades" => cluster(
            "application",
            json!({
                "upgrade_configs": [
                    { "upgrade_type": "websocket", "enabled": false },
                ],
            }),
        ),
        _ => json!({}),
    };
    envoy::route(&format!("/{way}"), fields)
}

/// What a route says about filters: `of_cors`, and the one that is to answer.
fn overrides(way: &str, of_cors: Value) -> Value {
    let enabled = json!({
        way: envoy::any(
            "envoy.config.route.v3.FilterConfig",
            json!({ "config": {} }),
        ),
    });
    let answers = answering_filters().iter().any(|f| f["name"] == way);
    let overrides =
        if answers { envoy::with(of_cors, enabled) } else { of_cors };
    json!({ "typed_per_filter_config": overrides })
}

fn virtual_host(place: Place, added: Added, strict: bool) -> Value {
    let of_route = match place {
        Place::Route => envoy::with_policy(place.policy(), None),
        Place::Own => {
            envoy::with_policy(place.policy(), Some(&place.text(strict)))
        }
        Place::Off => envoy::with_policy("off", None),
        Place::Disabled => envoy::without_cors(),
        _ => json!({}),
    };
    let of_host = match place {
        Place::VirtualHost => envoy::with_policy(place.policy(), None),
        _ => json!({}),
    };
    let routes: Vec<_> = WAYS
        .into_iter()
        .filter(|way| *way != NO_ROUTE)
        .map(|way| {
            let route = envoy::with(route_of(way), added.at(Added::Route));
            envoy::with(route, overrides(way, of_route.clone()))
        })
        .collect();
    let host = json!({
        "name": place.policy(),
        "domains": [place.domain()],
        "routes": routes,
        "typed_per_filter_config": of_host,
    });
    envoy::with(host, added.at(Added::VirtualHost))
}

/// A listener, by what its configuration has.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Setting {
    added: Added,
    /// The filter is there; without it this is a control.
    filter: bool,
    strict: bool,
    /// The route configuration has a policy.
    configured: bool,
}

impl Setting {
    fn all() -> Vec<Setting> {
        let mut all = Vec::new();
        for strict in [false, true] {
            for configured in [false, true] {
                for added in Added::ALL {
                    let few =
                        [Added::Nowhere, Added::Everywhere].contains(&added);
                    if !strict || few {
                        let filter = true;
                        all.push(Setting { added, filter, strict, configured });
                    }
                }
            }
        }
        all
    }

    fn control(added: Added) -> Setting {
        Setting { added, filter: false, strict: false, configured: false }
    }

    fn listener(self) -> String {
        format!("{self:?}").replace([' ', ':', '{', '}', ','], "")
    }

    fn configuration(self) -> Value {
        let places = Place::of_listener(self.configured);
        let mut filters = answering_filters();
        if self.added == Added::Filter {
            let lines: Vec<_> = ADDED
                .map(|line| json!({ "append": { "header": header(line) } }))
                .into();
            let mutations = json!({ "response_mutations": lines });
            filters.insert(
                0,
                envoy::filter(
                    "header_mutation",
                    "HeaderMutation",
                    json!({ "mutations": mutations }),
                ),
            );
        }
        if self.filter {
            let named = [
                Place::Filter,
                Place::RouteConfiguration,
                Place::VirtualHost,
                Place::Route,
            ];
            let document = named.map(|place| place.text(self.strict)).concat();
            filters.insert(0, envoy::cors("filter", &document));
        }
        filters.push(envoy::router());
        let hosts: Vec<_> = places
            .into_iter()
            .map(|place| match self.filter {
                true => virtual_host(place, self.added, self.strict),
                false => control_host(place, self.added),
            })
            .collect();
        let mut routes = json!({ "name": "routes", "virtual_hosts": hosts });
        routes = envoy::with(routes, self.added.at(Added::RouteConfiguration));
        if self.configured {
            let policy = Place::RouteConfiguration.policy();
            routes["typed_per_filter_config"] =
                envoy::with_policy(policy, None);
        }
        let mut fields =
            json!({ "http_filters": filters, "route_config": routes });
        if self.added == Added::Everywhere {
            fields["local_reply_config"] = json!({
                "mappers": [{
                    "filter": {
                        "status_code_filter": {
                            "comparison": {
                                "op": "GE",
                                "value": {
                                    "default_value": 100,
                                    "runtime_key": "none",
                                },
                            },
                        },
                    },
                    "headers_to_add": added(),
                }],
                "body_format": {
                    "text_format_source": {
                        "inline_string": "a local reply: %RESPONSE_CODE%\n",
                    },
                },
            });
        }
        envoy::listener(&self.listener(), &envoy::manager(fields))
    }
}

/// The same virtual host for a listener without our filter.
fn control_host(place: Place, added: Added) -> Value {
    let mut host = virtual_host(Place::Filter, added, false);
    host["name"] = place.policy().into();
    host["domains"] = json!([place.domain()]);
    host
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    None,
    ActualAllowed,
    ActualDenied,
    PreflightAllowed,
    PreflightDenied,
    WebSocketDenied,
    GrpcDenied,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::None,
        Kind::ActualAllowed,
        Kind::ActualDenied,
        Kind::PreflightAllowed,
        Kind::PreflightDenied,
        Kind::WebSocketDenied,
        Kind::GrpcDenied,
    ];

    fn is_preflight(self) -> bool {
        matches!(self, Kind::PreflightAllowed | Kind::PreflightDenied)
    }

    fn method(self) -> &'static str {
        match self {
            Kind::GrpcDenied => "POST",
            _ if self.is_preflight() => "OPTIONS",
            _ => "GET",
        }
    }

    fn lines(self) -> Vec<(&'static str, &'static str)> {
        let origin = match self {
            Kind::ActualAllowed | Kind::PreflightAllowed => APP,
            _ => EVIL,
        };
        let mut lines = match self {
            Kind::None => vec![],
            _ => vec![("Origin", origin)],
        };
        match self {
            Kind::WebSocketDenied => lines
                .extend([("Connection", "Upgrade"), ("Upgrade", "websocket")]),
            Kind::GrpcDenied => lines.extend([
                ("Content-Type", "application/grpc"),
                ("TE", "trailers"),
            ]),
            _ if self.is_preflight() => lines.extend([
                ("Access-Control-Request-Method", "PUT"),
                ("Access-Control-Request-Headers", "x-a"),
            ]),
            _ => {}
        }
        lines
    }
}

/// How requests come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Carrier {
    Http1,
    Http2,
    BehindEnvoy,
}

/// Connections to all listeners, by one carrier.
struct Asker<'s> {
    carrier: Carrier,
    server: &'s Server<'s>,
    http1: BTreeMap<Setting, Client>,
    http2: BTreeMap<Setting, http2::Client>,
    controls: BTreeMap<(Added, &'static str, Kind), Reply>,
}

impl Asker<'_> {
    fn ask(
        &mut self,
        setting: Setting,
        domain: &str,
        way: &str,
        kind: Kind,
    ) -> Reply {
        let port = self.server.port(&setting.listener());
        let mut lines = vec![(b"Host".to_vec(), domain.as_bytes().to_vec())];
        lines.extend(kind.lines().into_iter().map(|(name, value)| -> Line {
            (name.to_lowercase().into(), value.into())
        }));
        let path = format!("/{way}");
        if self.carrier == Carrier::Http2 {
            return self.ask_http2(setting, port, &path, kind, lines);
        }
        let method = kind.method().as_bytes();
        let request = http::kept_request_bytes(method, &path, &lines);
        // Envoy closes connections whose upgrade it refused.
        let client = self.http1.remove(&setting);
        let mut client =
            client.unwrap_or_else(|| Client::connect(port).unwrap());
        let reply = client.ask(&request).unwrap_or_else(|_| {
            client = Client::connect(port).unwrap();
            client.ask(&request).unwrap()
        });
        let closes = reply.value("connection") == "close";
        if !closes && kind != Kind::WebSocketDenied {
            self.http1.insert(setting, client);
        }
        reply
    }

    fn ask_http2(
        &mut self,
        setting: Setting,
        port: u16,
        path: &str,
        kind: Kind,
        mut lines: Vec<Line>,
    ) -> Reply {
        let socket = kind == Kind::WebSocketDenied;
        if socket {
            lines.retain(|(name, _)| {
                name != b"connection" && name != b"upgrade"
            });
        }
        let mut request = http2::Request {
            method: kind.method().as_bytes(),
            path,
            protocol: None,
            lines: &lines,
        };
        if socket {
            request.method = b"CONNECT";
            request.protocol = Some("websocket");
        }
        let ask = |client: &mut http2::Client| match socket {
            true => client.open(&request).map(|(reply, _)| reply),
            false => client.ask(&request),
        };
        let connect = || http2::Client::connect(port).unwrap();
        let client = self.http2.entry(setting).or_insert_with(connect);
        // Envoy may end a connection between two requests.
        ask(client).unwrap_or_else(|_| {
            *client = connect();
            ask(client).unwrap()
        })
    }

    /// What comes without our filter.
    fn control(
        &mut self,
        added: Added,
        way: &'static str,
        kind: Kind,
    ) -> Reply {
        let key = (added, way, kind);
        if let Some(reply) = self.controls.get(&key) {
            return reply.clone();
        }
        let domain = Place::Filter.domain();
        let reply = self.ask(Setting::control(added), &domain, way, kind);
        self.controls.insert(key, reply.clone());
        reply
    }
}

/// What a policy may own, and Vary.
fn names() -> impl Iterator<Item = &'static str> {
    OWNED.into_iter().chain([OWNED_TIMING, "vary"])
}

/// What else may be on an answer of the filter.
const ENVOYS: [&str; 6] = [
    "date",
    "server",
    "connection",
    "content-length",
    "x-envoy-upstream-service-time",
    "keep-alive",
];

/// A reply, as far as it is compared: a status, a value of each name, and the body.
#[derive(Clone, Eq, PartialEq)]
struct Shown(BTreeMap<String, String>);

impl Shown {
    /// All lines of a name count; Envoy may make one of them.
    fn of(reply: &Reply) -> Shown {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut shown = BTreeMap::new();
        shown.insert("status".to_owned(), reply.status.to_string());
        shown.insert("body".to_owned(), text(&reply.body));
        for name in names() {
            let values = reply.values(name);
            if !values.is_empty() {
                let lines: Vec<_> = values.iter().map(|v| text(v)).collect();
                shown.insert(name.to_owned(), lines.join(" | "));
            }
        }
        Shown(shown)
    }

    fn with(mut self, name: &str, value: &str) -> Shown {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Whether the filter answers by itself.
fn is_answered(strict: bool, way: &str, kind: Kind) -> bool {
    match kind {
        Kind::PreflightAllowed | Kind::PreflightDenied => true,
        Kind::ActualDenied | Kind::GrpcDenied => strict,
        // Envoy refuses these before any filter sees them.
        Kind::WebSocketDenied => strict && way != "no_upgrades",
        Kind::None | Kind::ActualAllowed => false,
    }
}

/// A response that is not the filter's own, as a policy changes it.
fn changed(place: Place, kind: Kind, control: &Reply) -> Shown {
    let mut shown = Shown::of(control);
    shown.0.retain(|name, _| !name.starts_with("access-control-"));
    let before = shown.0.remove("vary").unwrap_or_default();
    let mut vary = Vec::new();
    for name in before.split([',', '|']).chain(["Origin"]).map(str::trim) {
        if !name.is_empty() && !vary.contains(&name) {
            vary.push(name);
        }
    }
    let shown = shown.with("vary", &vary.join(", "));
    match kind {
        Kind::ActualAllowed => shown
            .with("access-control-allow-origin", APP)
            .with("access-control-allow-credentials", "true")
            .with(
                "access-control-expose-headers",
                &format!("x-{}", place.policy()),
            ),
        _ => shown,
    }
}

/// The filter's own answer.
fn own(place: Place, kind: Kind) -> Shown {
    let status = match kind.is_preflight() {
        true => place.preflight_status(),
        false => 403,
    };
    let shown = Shown(BTreeMap::new())
        .with("status", &status.to_string())
        .with("body", "")
        .with("vary", "Origin");
    match kind {
        Kind::PreflightAllowed => shown
            .with("access-control-allow-origin", APP)
            .with("access-control-allow-credentials", "true")
            .with("access-control-allow-methods", "PUT")
            .with("access-control-allow-headers", "x-a")
            .with("access-control-max-age", &place.max_age().to_string()),
        _ => shown,
    }
}

/// What else is wrong with an answer of the filter.
fn own_problems(reply: &Reply) -> Vec<String> {
    let mut wrong = Vec::new();
    let length = match reply.status {
        204 => "",
        _ => "0",
    };
    let seen = reply.value("content-length");
    if seen != length {
        wrong.push(format!("content-length: {length:?} expected, {seen:?}"));
    }
    for (name, value) in &reply.lines {
        let name = String::from_utf8_lossy(name).to_lowercase();
        if !names().any(|known| known == name) && !ENVOYS.contains(&&*name) {
            wrong.push(format!("{name}: {}", value.escape_ascii()));
        }
    }
    wrong
}

/// A case, in the fewest words.
#[derive(Clone, Copy)]
struct Case {
    carrier: Carrier,
    setting: Setting,
    place: Place,
    way: &'static str,
    kind: Kind,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { carrier, setting, place, way, kind } = self;
        write!(f, "{carrier:?}, {way}, policy by {place:?}, {kind:?}")?;
        if setting.strict {
            write!(f, ", rejecting")?;
        }
        if setting.configured {
            write!(f, ", another policy by RouteConfiguration")?;
        }
        if setting.added != Added::Nowhere {
            write!(f, ", headers added: {:?}", setting.added)?;
        }
        Ok(())
    }
}

fn check(asker: &mut Asker<'_>, case: Case) -> Vec<String> {
    let Case { setting, place, way, kind, .. } = case;
    let control = asker.control(setting.added, way, kind);
    let reply = asker.ask(setting, &place.domain(), way, kind);
    // Where no route matches, Envoy knows of no place but the filter.
    let applies = if way == NO_ROUTE { Place::Filter } else { place };
    let untouched = matches!(applies, Place::Off | Place::Disabled);
    let answered = !untouched && is_answered(setting.strict, way, kind);
    if answered && setting.added == Added::Filter {
        return Vec::new();
    }
    let expected = match (untouched, answered) {
        (true, _) => Shown::of(&control),
        (_, true) => own(applies, kind),
        _ => changed(applies, kind, &control),
    };
    let seen = Shown::of(&reply);
    let names = expected.0.keys().chain(seen.0.keys());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.dedup();
    let mut wrong: Vec<_> = names
        .into_iter()
        .filter(|name| expected.0.get(*name) != seen.0.get(*name))
        .map(|name| {
            format!(
                "{name}: {:?} expected, {:?}",
                expected.0.get(name),
                seen.0.get(name)
            )
        })
        .collect();
    if answered {
        wrong.extend(own_problems(&reply));
    }
    wrong
}

/// All cases by one carrier, the simplest first; returns how many there were, how
/// many of them are wrong, and for each thing that is wrong the first case and the
/// number of cases.
fn run(
    carrier: Carrier,
    server: &Server<'_>,
) -> ([usize; 2], BTreeMap<String, (Case, usize)>) {
    let mut asker = Asker {
        carrier,
        server,
        http1: BTreeMap::new(),
        http2: BTreeMap::new(),
        controls: BTreeMap::new(),
    };
    let mut counts = [0; 2];
    let mut wrong = BTreeMap::new();
    for setting in Setting::all() {
        for place in Place::of_listener(setting.configured) {
            for way in WAYS {
                for kind in Kind::ALL {
                    let guarded = [Kind::WebSocketDenied, Kind::GrpcDenied]
                        .contains(&kind);
                    let open = !setting.strict
                        || matches!(place, Place::Off | Place::Disabled);
                    if guarded && open {
                        continue;
                    }
                    let case = Case { carrier, setting, place, way, kind };
                    let problems = check(&mut asker, case);
                    counts[0] += 1;
                    counts[1] += usize::from(!problems.is_empty());
                    for problem in problems {
                        wrong.entry(problem).or_insert((case, 0)).1 += 1;
                    }
                }
            }
        }
    }
    (counts, wrong)
}

/// Takes connections and ends them at once; returns the port.
fn resetting() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().for_each(drop));
    port
}

/// Uses the only token of each listener.
fn use_up_tokens(server: &Server<'_>, settings: &[Setting]) {
    for setting in settings {
        let line = (b"Host".to_vec(), Place::Off.domain().into_bytes());
        let request = http::request_bytes(b"GET", "/local_ratelimit", &[line]);
        let port = server.port(&setting.listener());
        Client::connect(port).unwrap().ask(&request).unwrap();
    }
}

/// A second Envoy that passes everything on, listener by listener.
fn second(server: &Server<'_>, settings: &[Setting]) -> Value {
    let (listeners, clusters) = settings
        .iter()
        .map(|setting| {
            let name = setting.listener();
            let action = json!({ "route": { "cluster": name } });
            let fields = json!({
                "http_filters": [envoy::router()],
                "route_config": envoy::routes(vec![envoy::route("/", action)]),
            });
            let cluster = envoy::cluster(&name, server.port(&name));
            (envoy::listener(&name, &envoy::manager(fields)), cluster)
        })
        .unzip();
    envoy::bootstrap(listeners, clusters)
}

#[test]
fn the_policy_of_the_place_answers() {
    let installation = Installation::find().unwrap();
    let application = Application::start().unwrap();
    let mut settings = Setting::all();
    settings.extend(Added::ALL.map(Setting::control));
    let listeners = settings.iter().map(|setting| setting.configuration());
    let config = envoy::bootstrap(
        listeners.collect(),
        vec![
            envoy::application(application.port()),
            envoy::cluster("down", 1),
            envoy::cluster("reset", resetting()),
        ],
    );
    let folders: [Folder; 2] =
        std::array::from_fn(|_| installation.prepare(&[]).unwrap());
    let mut server = folders[0].start(&config, 2).unwrap();
    let mut front = folders[1].start(&second(&server, &settings), 1).unwrap();
    use_up_tokens(&server, &settings);

    let results = thread::scope(|scope| {
        let carriers = [
            (Carrier::Http1, &server),
            (Carrier::Http2, &server),
            (Carrier::BehindEnvoy, &front),
        ];
        let threads = carriers
            .map(|(carrier, server)| scope.spawn(move || run(carrier, server)));
        threads.map(|thread| thread.join().unwrap())
    });
    let mut count = 0;
    let mut wrong_count = 0;
    let mut failures = Vec::new();
    for ([cases, wrong_cases], wrong) in results {
        count += cases;
        wrong_count += wrong_cases;
        for (problem, (case, times)) in wrong {
            failures.push(format!("{case}\n    {problem} ({times} cases)"));
        }
    }
    assert!(
        failures.is_empty(),
        "{wrong_count} of {count} cases are wrong\n{}",
        failures.join("\n")
    );
    println!("{count} cases");
    assert!(count > 10_000, "{count}");
    for server in [&mut server, &mut front] {
        assert_eq!(server.ended().unwrap(), None, "{}", server.log());
    }
}
