//! A second engine, written from the text of the contract alone: slow, allocating, plain.
//!
//! It takes the one effective policy as a table, parsed but not validated: what a document may
//! not say is the business of the configuration. Entries of `allow_origins` in the form of a
//! regular expression are not here; [`Policy::parse`] fails on them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use toml::{Table, Value};

/// The response headers that a policy owns, as they are removed from the application's answer.
pub const OWNED: [&str; 7] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-allow-private-network",
];

/// The name that `timing_allow_origin` adds to [`OWNED`].
pub const OWNED_TIMING: &str = "timing-allow-origin";

/// A request as an adapter hands it over. An empty list of lines is an absent header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, byte for byte.
    pub method: Vec<u8>,
    /// The `Origin` lines.
    pub origin: Vec<Vec<u8>>,
    /// The `Access-Control-Request-Method` lines.
    pub request_method: Vec<Vec<u8>>,
    /// The `Access-Control-Request-Headers` lines.
    pub request_headers: Vec<Vec<u8>>,
    /// The `Access-Control-Request-Private-Network` lines.
    pub request_private_network: Vec<Vec<u8>>,
    /// The `Upgrade` lines.
    pub upgrade: Vec<Vec<u8>>,
    /// The pseudo header `:protocol` of an extended CONNECT.
    pub protocol: Option<Vec<u8>>,
    /// The scheme that the request came by.
    pub scheme: Option<Vec<u8>>,
    /// The host that the request was sent to, with its port if it was written.
    pub host: Option<Vec<u8>>,
    /// `Sec-Fetch-Site`.
    pub sec_fetch_site: Option<Vec<u8>>,
}

impl Request {
    /// Picks what the engine asks for out of a method and header lines, names in any case.
    /// `:scheme` and `:protocol` are lines like the others; of those that a request has once, the
    /// first counts.
    pub fn new<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        method: &[u8],
        lines: &[(N, V)],
    ) -> Self {
        let all = |name: &str| -> Vec<Vec<u8>> {
            lines
                .iter()
                .filter(|(n, _)| {
                    n.as_ref().eq_ignore_ascii_case(name.as_bytes())
                })
                .map(|(_, v)| v.as_ref().to_vec())
                .collect()
        };
        let first = |name: &str| all(name).into_iter().next();
        Request {
            method: method.to_vec(),
            origin: all("origin"),
            request_method: all("access-control-request-method"),
            request_headers: all("access-control-request-headers"),
            request_private_network: all(
                "access-control-request-private-network",
            ),
            upgrade: all("upgrade"),
            protocol: first(":protocol"),
            scheme: first(":scheme"),
            host: first("host"),
            sec_fetch_site: first("sec-fetch-site"),
        }
    }
}

/// Everything that a decision says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `none`, `preflight`, `websocket` or `actual`.
    pub kind: &'static str,
    /// `allow`, `deny` or `none`.
    pub outcome: &'static str,
    /// Why, by name.
    pub reason: &'static str,
    /// The entry of `allow_origins` that matched.
    pub rule: Option<u32>,
    /// The status to answer with; `None` leaves it to the application.
    pub status: Option<u16>,
    /// Whether the decision is acted upon.
    pub enforced: bool,
    /// The headers to set, in order, without `Vary`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The names that `Vary` must hold.
    pub vary: Vec<&'static str>,
    /// The headers of the application to remove, in lower case.
    pub remove: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Any,
    Null,
    Exact(String),
    Pattern {
        scheme: String,
        host: Host,
        port: Port,
    },
    /// Any host of an app's own scheme.
    App(String),
    Network {
        scheme: String,
        network: Network,
        port: Port,
    },
}

/// The addresses that begin with these bits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    v6: bool,
    bits: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Exact(String),
    /// Whatever stands before ends in a dot: `.example.com`.
    Below(String),
    /// The text before and behind the asterisk of the first label, and the rest behind it.
    Label(String, String, String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    Any,
    Exact(Option<String>),
}

/// What `timing_allow_origin` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Timing {
    Off,
    /// `*` on every response.
    Any,
    /// The entries on every response; no header where there are none.
    List(String),
    /// The allowed origin, where one is allowed.
    Allowed,
}

/// One effective policy.
#[derive(Clone, Debug)]
pub struct Policy {
    origins: Vec<Entry>,
    methods: Vec<String>,
    headers: Vec<String>,
    expose: Vec<String>,
    credentials: bool,
    max_age: Option<u64>,
    private_network: bool,
    timing: Timing,
    constant: Option<String>,
    forward: bool,
    preflight_status: u16,
    reject: bool,
    reject_websocket: bool,
    self_origins: Vec<String>,
    report: bool,
    danger: Vec<String>,
}

/// The policy `name` of a document: what it says itself, before what `[defaults]` says.
pub fn effective(document: &Table, name: &str) -> Option<Table> {
    let own = document.get("policy")?.as_table()?.get(name)?.as_table()?;
    let mut merged = match document.get("defaults") {
        Some(defaults) => defaults.as_table()?.clone(),
        None => Table::new(),
    };
    for (key, value) in own {
        merged.insert(key.clone(), value.clone());
    }
    Some(merged)
}

/// [`Policy::parse`] and [`decide`] in one step; no table is no policy.
pub fn answer(
    policy: Option<&Table>,
    request: &Request,
) -> Result<Answer, String> {
    match policy {
        None => Ok(decide(None, request)),
        Some(table) => Ok(decide(Some(&Policy::parse(table)?), request)),
    }
}

impl Policy {
    /// Reads an effective policy. Fails on what it does not understand, which is less than what a
    /// document may not say.
    pub fn parse(table: &Table) -> Result<Policy, String> {
        const KEYS: [&str; 17] = [
            "allow_origins",
            "allow_methods",
            "allow_headers",
            "expose_headers",
            "allow_credentials",
            "max_age",
            "allow_private_network",
            "timing_allow_origin",
            "constant_origin",
            "preflight",
            "preflight_status",
            "disallowed",
            "websocket",
            "self_origins",
            "upstream_headers",
            "mode",
            "dangerously_allow",
        ];
        for key in table.keys() {
            if !KEYS.contains(&key.as_str()) {
                return Err(format!("unknown key {key:?}"));
            }
        }
        let origins = match table.get("allow_origins") {
            None => return Err("allow_origins is missing".to_owned()),
            Some(Value::Array(list)) => {
                list.iter().map(entry).collect::<Result<Vec<_>, _>>()?
            }
            Some(_) => return Err("allow_origins is no list".to_owned()),
        };
        let preflight_status = match table.get("preflight_status") {
            None => 204,
            Some(value) => value
                .as_integer()
                .and_then(|n| u16::try_from(n).ok())
                .filter(|n| (200..=299).contains(n))
                .ok_or("preflight_status is not in 200-299")?,
        };
        let credentials = flag(table, "allow_credentials")?;
        let timing = timing(table, &origins, credentials)?;
        let constant = match (flag(table, "constant_origin")?, &origins[..]) {
            (false, _) => None,
            (true, [Entry::Exact(origin)]) => Some(origin.clone()),
            (true, _) => {
                return Err("constant_origin needs one exact entry".to_owned());
            }
        };
        Ok(Policy {
            origins,
            methods: strings(table, "allow_methods")?,
            headers: strings(table, "allow_headers")?,
            expose: strings(table, "expose_headers")?,
            credentials,
            max_age: table.get("max_age").map(seconds).transpose()?,
            private_network: flag(table, "allow_private_network")?,
            timing,
            constant,
            forward: choice(table, "preflight", "answer", "forward")?,
            preflight_status,
            reject: choice(table, "disallowed", "pass", "reject")?,
            reject_websocket: choice(table, "websocket", "pass", "reject")?,
            self_origins: strings(table, "self_origins")?,
            report: choice(table, "mode", "enforce", "report")?,
            danger: strings(table, "dangerously_allow")?,
        })
    }

    fn any_origin(&self) -> bool {
        self.origins.contains(&Entry::Any)
    }

    fn any_origin_without_credentials(&self) -> bool {
        self.any_origin() && !self.credentials
    }

    fn removes(&self, kind: &str) -> Vec<&'static str> {
        let mut names = OWNED.to_vec();
        let timing = match self.timing {
            Timing::Off => false,
            Timing::Any | Timing::List(_) => true,
            Timing::Allowed => kind != "none",
        };
        if timing {
            names.push(OWNED_TIMING);
        }
        names
    }
}

fn strings(table: &Table, key: &str) -> Result<Vec<String>, String> {
    match table.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|value| match value.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(format!("{key} holds something that is no string")),
            })
            .collect(),
        Some(_) => Err(format!("{key} is no list")),
    }
}

fn flag(table: &Table, key: &str) -> Result<bool, String> {
    match table.get(key) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or(format!("{key} is no bool")),
    }
}

/// Whether the second of two words was chosen; the first is the default.
fn choice(
    table: &Table,
    key: &str,
    default: &str,
    other: &str,
) -> Result<bool, String> {
    match table.get(key).map(|value| value.as_str()) {
        None => Ok(false),
        Some(Some(word)) if word == default => Ok(false),
        Some(Some(word)) if word == other => Ok(true),
        Some(_) => Err(format!("{key} is neither {default:?} nor {other:?}")),
    }
}

fn seconds(value: &Value) -> Result<u64, String> {
    let wrong = || format!("max_age cannot be {value}");
    if let Some(number) = value.as_integer() {
        return u64::try_from(number).map_err(|_| wrong());
    }
    let text = value.as_str().ok_or_else(wrong)?;
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

fn timing(
    table: &Table,
    origins: &[Entry],
    credentials: bool,
) -> Result<Timing, String> {
    const KEY: &str = "timing_allow_origin";
    if table.get(KEY).and_then(Value::as_str) == Some("*") {
        return Ok(Timing::Any);
    }
    if !flag(table, KEY)? {
        return Ok(Timing::Off);
    }
    if origins.contains(&Entry::Any) && !credentials {
        return Ok(Timing::Any);
    }
    let mut exact = Vec::new();
    for entry in origins {
        match entry {
            Entry::Exact(origin) => exact.push(origin.clone()),
            _ => return Ok(Timing::Allowed),
        }
    }
    let list = once(exact.into_iter()).join(", ");
    if list.len() > 1024 {
        return Ok(Timing::Allowed);
    }
    Ok(Timing::List(list))
}

fn entry(value: &Value) -> Result<Entry, String> {
    if let Some(table) = value.as_table()
        && table.contains_key("network")
    {
        return network_entry(table);
    }
    let Some(text) = value.as_str() else {
        return Err("regular expressions are not here".to_owned());
    };
    let wrong = || format!("{text:?} is no origin");
    match text {
        "*" => return Ok(Entry::Any),
        "null" => return Ok(Entry::Null),
        _ => {}
    }
    if !text.contains('*') {
        split_origin(text.as_bytes()).ok_or_else(wrong)?;
        return Ok(Entry::Exact(text.to_owned()));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    if rest == "*" {
        split_origin(format!("{scheme}://a").as_bytes()).ok_or_else(wrong)?;
        if ["http", "https", "ws", "wss", "file"].contains(&scheme) {
            return Err(wrong());
        }
        return Ok(Entry::App(scheme.to_owned()));
    }
    let (host, port) = if let Some(host) = rest.strip_suffix(":*") {
        (host, Port::Any)
    } else if rest.starts_with('[') {
        return Err(wrong());
    } else if let Some((host, port)) = rest.split_once(':') {
        (host, Port::Exact(Some(port.to_owned())))
    } else {
        (rest, Port::Exact(None))
    };
    let host = if let Some(below) = host.strip_prefix("*.") {
        Host::Below(format!(".{below}"))
    } else if let Some((before, behind)) = host.split_once('*') {
        let (behind, rest) = match behind.find('.') {
            Some(dot) => behind.split_at(dot),
            None => (behind, ""),
        };
        if before.contains('.') || (before.is_empty() && behind.is_empty()) {
            return Err(wrong());
        }
        Host::Label(before.to_owned(), behind.to_owned(), rest.to_owned())
    } else {
        Host::Exact(host.to_owned())
    };
    // The entry with its asterisks filled in is an origin, or the entry was none.
    let (filled, labels) = match &host {
        Host::Exact(host) => (host.clone(), false),
        Host::Below(rest) => (format!("a{rest}"), true),
        Host::Label(before, behind, rest) => {
            (format!("{before}a{behind}{rest}"), true)
        }
    };
    if labels && !good_labels(&filled) {
        return Err(wrong());
    }
    let filled = match &port {
        Port::Any | Port::Exact(None) => format!("{scheme}://{filled}"),
        Port::Exact(Some(port)) => format!("{scheme}://{filled}:{port}"),
    };
    split_origin(filled.as_bytes()).ok_or_else(wrong)?;
    Ok(Entry::Pattern { scheme: scheme.to_owned(), host, port })
}

fn network_entry(table: &Table) -> Result<Entry, String> {
    let wrong = || format!("{table:?} is not a network");
    for key in table.keys() {
        if !["network", "scheme", "port"].contains(&key.as_str()) {
            return Err(wrong());
        }
    }
    let text = |key: &str| table.get(key).and_then(Value::as_str);
    let scheme = match text("scheme") {
        Some(scheme @ ("http" | "https")) => scheme.to_owned(),
        _ => return Err(wrong()),
    };
    let port = match table.get("port") {
        None => Port::Exact(None),
        Some(Value::String(text)) if text == "*" => Port::Any,
        Some(Value::Integer(number @ 1..=65535)) => {
            let port = number.to_string();
            // An origin never has it written.
            if default_port(&scheme) == Some(&port) {
                return Err(wrong());
            }
            Port::Exact(Some(port))
        }
        Some(_) => return Err(wrong()),
    };
    let (address, length) =
        text("network").and_then(|n| n.split_once('/')).ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let all = address_bits(address);
    let count: usize = length.parse().map_err(|_| wrong())?;
    if count.to_string() != length || count > all.len() {
        return Err(wrong());
    }
    let (bits, rest) = all.split_at(count);
    if rest.contains('1') {
        return Err(wrong());
    }
    let network = Network { v6: address.is_ipv6(), bits: bits.to_owned() };
    Ok(Entry::Network { scheme, network, port })
}

/// The bits of an address, written out.
fn address_bits(address: IpAddr) -> String {
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    bytes.iter().map(|byte| format!("{byte:08b}")).collect()
}

/// Scheme, host and port of an origin that is none of the malformed ones. `null` has no parts, and
/// is not asked about here.
pub fn split_origin(value: &[u8]) -> Option<(String, String, Option<String>)> {
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, rest) = text.split_once("://")?;
    if scheme.is_empty() || scheme.len() > 64 {
        return None;
    }
    for (index, c) in scheme.chars().enumerate() {
        let good = match c {
            'a'..='z' => true,
            '0'..='9' | '+' | '.' | '-' => index > 0,
            _ => false,
        };
        if !good {
            return None;
        }
    }
    let (host, port) = if rest.starts_with('[') {
        let end = rest.find(']')? + 1;
        let (host, behind) = rest.split_at(end);
        match behind.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if behind.is_empty() => (host, None),
            None => return None,
        }
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        }
    };
    if let Some(port) = port {
        if port.is_empty()
            || port.len() > 5
            || !port.chars().all(|c| c.is_ascii_digit())
        {
            return None;
        }
        let number: u32 = port.parse().ok()?;
        if number == 0 || number > 65535 || number.to_string() != port {
            return None;
        }
        if default_port(scheme) == Some(port) {
            return None;
        }
    }
    if host.len() > 253 || !good_host(scheme, host) {
        return None;
    }
    Some((scheme.to_owned(), host.to_owned(), port.map(|port| port.to_owned())))
}

fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "http" => Some("80"),
        "https" => Some("443"),
        _ => None,
    }
}

fn good_host(scheme: &str, host: &str) -> bool {
    if scheme != "http" && scheme != "https" {
        return !host.is_empty() && host.chars().all(|c| c == '.' || good(c));
    }
    if let Some(address) = host.strip_prefix('[') {
        let Some(address) = address.strip_suffix(']') else {
            return false;
        };
        return match address.parse::<Ipv6Addr>() {
            Ok(parsed) => serialize_ipv6(parsed) == address,
            Err(_) => false,
        };
    }
    if !good_labels(host) {
        return false;
    }
    let without_dot = host.strip_suffix('.').unwrap_or(host);
    match without_dot.split('.').next_back() {
        Some(last) if is_number(last) => good_ipv4(host),
        _ => true,
    }
}

/// Whether a character may be in a label.
fn good(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')
}

/// Whether a host consists of labels, with at most one dot at its end.
fn good_labels(host: &str) -> bool {
    let without_dot = host.strip_suffix('.').unwrap_or(host);
    without_dot.split('.').all(good_label)
}

fn good_label(label: &str) -> bool {
    (1..=63).contains(&label.len()) && label.chars().all(good)
}

/// Whether a URL parser would take a last label for a number, and so the whole host for IPv4.
fn is_number(label: &str) -> bool {
    if label.chars().all(|c| c.is_ascii_digit()) {
        return true;
    }
    match label.strip_prefix("0x") {
        Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => false,
    }
}

fn good_ipv4(host: &str) -> bool {
    let parts: Vec<&str> = host.split('.').collect();
    parts.len() == 4
        && parts.iter().all(|part| match part.parse::<u8>() {
            Ok(number) => number.to_string() == *part,
            Err(_) => false,
        })
}

/// The URL standard's form: the first longest run of two or more zero pieces is left out.
pub fn serialize_ipv6(address: Ipv6Addr) -> String {
    let pieces = address.segments();
    let mut longest = 0..0;
    for start in 0..8 {
        let mut end = start;
        while end < 8 && pieces[end] == 0 {
            end += 1;
        }
        if end - start >= 2 && end - start > longest.len() {
            longest = start..end;
        }
    }
    let join = |pieces: &[u16]| -> String {
        let texts: Vec<String> =
            pieces.iter().map(|piece| format!("{piece:x}")).collect();
        texts.join(":")
    };
    if longest.is_empty() {
        return join(&pieces);
    }
    format!(
        "{}::{}",
        join(&pieces[..longest.start]),
        join(&pieces[longest.end..])
    )
}

impl Entry {
    fn covers(&self, value: &[u8]) -> bool {
        if value == b"null" {
            return *self == Entry::Null;
        }
        let Some((scheme, host, port)) = split_origin(value) else {
            return false;
        };
        match self {
            Entry::Any => true,
            Entry::Null => false,
            Entry::Exact(text) => text.as_bytes() == value,
            Entry::Pattern {
                scheme: wanted_scheme,
                host: wanted_host,
                port: wanted_port,
            } => {
                *wanted_scheme == scheme
                    && wanted_host.covers(&host)
                    && wanted_port.covers(&port)
            }
            Entry::App(wanted_scheme) => {
                *wanted_scheme == scheme && port.is_none()
            }
            Entry::Network {
                scheme: wanted_scheme,
                network,
                port: wanted_port,
            } => {
                *wanted_scheme == scheme
                    && network.covers(&host)
                    && wanted_port.covers(&port)
            }
        }
    }
}

impl Port {
    fn covers(&self, port: &Option<String>) -> bool {
        match self {
            Port::Any => true,
            Port::Exact(wanted) => wanted == port,
        }
    }
}

impl Network {
    fn covers(&self, host: &str) -> bool {
        let address = if self.v6 {
            let inside =
                host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            inside
                .and_then(|text| text.parse::<Ipv6Addr>().ok())
                .map(IpAddr::V6)
        } else {
            host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        };
        address.is_some_and(|address| {
            address_bits(address).starts_with(&self.bits)
        })
    }
}

impl Host {
    fn covers(&self, host: &str) -> bool {
        match self {
            Host::Exact(wanted) => wanted == host,
            Host::Below(rest) => match host.strip_suffix(rest.as_str()) {
                // Neither an address in brackets nor an opaque host consists of labels.
                Some(front) => front.split('.').all(good_label),
                None => false,
            },
            Host::Label(before, behind, rest) => {
                let (label, host_rest) = match host.find('.') {
                    Some(dot) => host.split_at(dot),
                    None => (host, ""),
                };
                host_rest == rest
                    && label.len() > before.len() + behind.len()
                    && label.starts_with(before.as_str())
                    && label.ends_with(behind.as_str())
                    && good_label(label)
            }
        }
    }
}

fn is_token(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
        })
}

fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn kind(request: &Request) -> &'static str {
    if request.origin.is_empty() {
        "none"
    } else if request.method == b"OPTIONS" && !request.request_method.is_empty()
    {
        "preflight"
    } else if asks_for_websocket(request) {
        "websocket"
    } else {
        "actual"
    }
}

fn asks_for_websocket(request: &Request) -> bool {
    let names = |line: &[u8], wanted: &[&str]| {
        line.split(|byte| *byte == b',').any(|member| {
            let name = trim(member).split(|byte| *byte == b'/').next();
            let name = name.unwrap_or_default().to_ascii_lowercase();
            wanted.iter().any(|wanted| wanted.as_bytes() == name)
        })
    };
    let protocols = ["websocket", "webtransport", "webtransport-h3"];
    request.upgrade.iter().any(|line| names(line, &["websocket"]))
        || request
            .protocol
            .as_ref()
            .is_some_and(|protocol| names(protocol, &protocols))
}

/// What became of the origin.
enum Origin {
    /// The value of ACAO, and the entry.
    Allowed(Vec<u8>, u32),
    Same,
    Denied(&'static str),
}

fn judge_origin(policy: &Policy, request: &Request) -> Origin {
    if policy.any_origin_without_credentials() {
        return Origin::Allowed(b"*".to_vec(), 0);
    }
    let [value] = request.origin.as_slice() else {
        return Origin::Denied("origin_malformed");
    };
    let is_null = value == b"null";
    if !is_null && split_origin(value).is_none() {
        return Origin::Denied("origin_malformed");
    }
    let null_by_flag =
        policy.any_origin() && policy.danger.iter().any(|f| f == "null_origin");
    for (index, entry) in policy.origins.iter().enumerate() {
        if entry.covers(value) || (is_null && null_by_flag) {
            return Origin::Allowed(value.clone(), index as u32);
        }
    }
    if same_origin(policy, request, value) {
        return Origin::Same;
    }
    if is_null {
        return Origin::Denied("null_origin_not_allowed");
    }
    Origin::Denied("origin_not_allowed")
}

fn same_origin(policy: &Policy, request: &Request, origin: &[u8]) -> bool {
    if !policy.self_origins.is_empty() {
        return policy.self_origins.iter().any(|own| {
            own.as_bytes() == origin
                || (origin == b"null" && sent_to(request, own))
        });
    }
    // Of the fields that a request has once, empty is as good as absent: a slice cannot tell.
    if let Some(site) = &request.sec_fetch_site
        && !site.is_empty()
    {
        return site == b"same-origin";
    }
    let (Some(scheme), Some(host)) = (&request.scheme, &request.host) else {
        return false;
    };
    if scheme.is_empty() || host.is_empty() {
        return false;
    }
    let scheme = scheme.to_ascii_lowercase();
    let mut host = host.to_ascii_lowercase();
    let default: &[u8] = match scheme.as_slice() {
        b"http" => b":80",
        b"https" => b":443",
        _ => b"",
    };
    if host.ends_with(default) {
        host.truncate(host.len() - default.len());
    }
    origin == [scheme.as_slice(), b"://", host.as_slice()].concat()
}

/// Whether a browser says that the request is of the same origin, and it was sent to the host and
/// port of `own`. By which scheme does not matter: TLS may end in front of the server.
fn sent_to(request: &Request, own: &str) -> bool {
    let (Some(site), Some(host), Some((scheme, authority))) =
        (&request.sec_fetch_site, &request.host, own.split_once("://"))
    else {
        return false;
    };
    let mut host = host.to_ascii_lowercase();
    if let Some(port) = default_port(scheme) {
        let written = format!(":{port}");
        if host.ends_with(written.as_bytes()) {
            host.truncate(host.len() - written.len());
        }
    }
    site == b"same-origin" && host == authority.as_bytes()
}

/// The decision of a policy, or of none, on a request.
pub fn decide(policy: Option<&Policy>, request: &Request) -> Answer {
    let kind = kind(request);
    let Some(policy) = policy else {
        return Answer {
            kind,
            outcome: if kind == "none" { "none" } else { "deny" },
            reason: "no_policy",
            rule: None,
            status: (kind == "websocket").then_some(403),
            enforced: true,
            headers: Vec::new(),
            vary: vec!["Origin"],
            remove: OWNED.to_vec(),
        };
    };
    let mut answer = Answer {
        kind,
        outcome: "none",
        reason: "not_cors",
        rule: None,
        status: None,
        enforced: true,
        headers: Vec::new(),
        vary: Vec::new(),
        remove: policy.removes(kind),
    };
    if !policy.any_origin_without_credentials() && policy.constant.is_none() {
        answer.vary.push("Origin");
    }
    let mut allowed = None;
    if kind != "none" {
        match judge_origin(policy, request) {
            Origin::Same => {
                answer.reason = "same_origin";
                if kind == "preflight" && !policy.forward {
                    answer.status = Some(policy.preflight_status);
                }
            }
            Origin::Denied(reason) => {
                answer.outcome = "deny";
                answer.reason = reason;
                answer.status = match kind {
                    "preflight" => Some(policy.preflight_status),
                    "websocket" if policy.reject || policy.reject_websocket => {
                        Some(403)
                    }
                    "actual" if policy.reject => Some(403),
                    _ => None,
                };
            }
            Origin::Allowed(value, rule) => {
                answer.outcome = "allow";
                answer.reason = "allowed";
                answer.rule = Some(rule);
                allowed = Some(value);
            }
        }
    }
    // Two policies name the same origin on every response: these look at nothing in the request.
    let acao = if policy.any_origin_without_credentials() {
        Some(b"*".to_vec())
    } else if let Some(constant) = &policy.constant {
        Some(constant.clone().into_bytes())
    } else {
        allowed.clone()
    };
    if let Some(acao) = &acao {
        set(&mut answer, "Access-Control-Allow-Origin", acao);
        if policy.credentials {
            set(&mut answer, "Access-Control-Allow-Credentials", b"true");
        }
    }
    if kind != "preflight" {
        let expose =
            once(policy.expose.iter().map(|name| name.to_ascii_lowercase()))
                .join(", ");
        if acao.is_some() && !expose.is_empty() {
            set(
                &mut answer,
                "Access-Control-Expose-Headers",
                expose.as_bytes(),
            );
        }
        let timing = match &policy.timing {
            Timing::Off => None,
            Timing::Any => Some(b"*".to_vec()),
            Timing::List(list) if list.is_empty() => None,
            Timing::List(list) => Some(list.clone().into_bytes()),
            Timing::Allowed => allowed,
        };
        if let Some(timing) = timing {
            set(&mut answer, "Timing-Allow-Origin", &timing);
        }
    } else if allowed.is_some() {
        preflight(policy, request, &mut answer);
    }
    if policy.report {
        answer.enforced = false;
        answer.status = None;
        answer.headers.clear();
        answer.vary.clear();
        answer.remove.clear();
    }
    answer
}

fn set(answer: &mut Answer, name: &str, value: &[u8]) {
    answer.headers.push((name.to_owned(), value.to_vec()));
}

fn once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

/// What is wrong with a list of header names, if anything is, or the names in lower case.
fn header_names(
    lines: &[Vec<u8>],
    echoed: bool,
) -> Result<Vec<String>, &'static str> {
    let total: usize = lines.iter().map(|line| line.len()).sum();
    if total > 8192 {
        return Err("headers_too_large");
    }
    let mut elements = 0;
    let mut empty = 0;
    let mut lines_with_names = 0;
    let mut names = Vec::new();
    for line in lines {
        let mut line_has_name = false;
        for element in line.split(|byte| *byte == b',') {
            elements += 1;
            if elements > 128 {
                return Err("headers_too_large");
            }
            let mut spaces = 0;
            let mut name: Vec<u8> = Vec::new();
            let mut ended = false;
            for byte in element {
                if *byte == b' ' || *byte == b'\t' {
                    spaces += 1;
                    ended = !name.is_empty();
                    if spaces > 4 {
                        return Err("headers_too_large");
                    }
                } else if is_token(&[*byte]) && !ended {
                    name.push(*byte);
                } else {
                    return Err("headers_malformed");
                }
            }
            if name.is_empty() {
                empty += 1;
                if empty > 16 {
                    return Err("headers_too_large");
                }
                continue;
            }
            if !line_has_name {
                line_has_name = true;
                lines_with_names += 1;
                if echoed && lines_with_names > 8 {
                    return Err("headers_too_large");
                }
            }
            names.push(String::from_utf8_lossy(&name).to_ascii_lowercase());
        }
    }
    Ok(names)
}

fn preflight(policy: &Policy, request: &Request, answer: &mut Answer) {
    let any_method = policy.methods.iter().any(|m| m == "*");
    let any_header = policy.headers.iter().any(|h| h == "*");
    let authorization =
        policy.headers.iter().any(|h| h.eq_ignore_ascii_case("authorization"));
    let echo_method = any_method && policy.credentials;
    let echo_headers = any_header && policy.credentials;

    let method = match request.request_method.as_slice() {
        [method] if is_token(method) => Some(method.clone()),
        _ => None,
    };
    let method_problem = match &method {
        None => Some("method_malformed"),
        Some(method) => {
            let safelisted = [b"GET".as_slice(), b"HEAD", b"POST"]
                .contains(&method.as_slice());
            let listed = policy.methods.iter().any(|m| m.as_bytes() == method);
            if safelisted || listed || any_method {
                None
            } else {
                Some("method_not_allowed")
            }
        }
    };

    // An unlisted `authorization` under the asterisk closes the answer like a list that is no
    // list, because browsers let the asterisk cover it.
    let mut closes = false;
    let headers_problem =
        match header_names(&request.request_headers, echo_headers) {
            Err(problem) => {
                closes = true;
                Some(problem)
            }
            Ok(names) => {
                let mut problem = None;
                for name in names {
                    let listed = policy
                        .headers
                        .iter()
                        .any(|h| h.eq_ignore_ascii_case(&name));
                    if name == "authorization" && any_header && !authorization {
                        closes = true;
                        problem = Some("header_not_allowed");
                    } else if !listed && !any_header {
                        problem = Some("header_not_allowed");
                    }
                }
                problem
            }
        };

    if let Some(problem) = method_problem.or(headers_problem) {
        answer.outcome = "deny";
        answer.reason = problem;
    }

    if !closes {
        if echo_method {
            if let Some(method) = method {
                set(answer, "Access-Control-Allow-Methods", &method);
            }
        } else if any_method {
            set(answer, "Access-Control-Allow-Methods", b"*");
        } else if !policy.methods.is_empty() {
            let list = once(policy.methods.iter().cloned()).join(", ");
            set(answer, "Access-Control-Allow-Methods", list.as_bytes());
        }
        if echo_headers {
            for line in &request.request_headers {
                let has_name = line
                    .split(|byte| *byte == b',')
                    .any(|element| !trim(element).is_empty());
                if has_name {
                    set(answer, "Access-Control-Allow-Headers", trim(line));
                }
            }
        } else if any_header && authorization {
            set(answer, "Access-Control-Allow-Headers", b"*, authorization");
        } else if any_header {
            set(answer, "Access-Control-Allow-Headers", b"*");
        } else if !policy.headers.is_empty() {
            let list =
                once(policy.headers.iter().map(|h| h.to_ascii_lowercase()))
                    .join(", ");
            set(answer, "Access-Control-Allow-Headers", list.as_bytes());
        }
    }
    if let Some(age) = policy.max_age {
        set(answer, "Access-Control-Max-Age", age.to_string().as_bytes());
    }
    if policy.private_network && request.request_private_network == [b"true"] {
        set(answer, "Access-Control-Allow-Private-Network", b"true");
    }
    if echo_method {
        answer.vary.push("Access-Control-Request-Method");
    }
    if echo_headers || (any_header && !authorization) {
        answer.vary.push("Access-Control-Request-Headers");
    }
    answer.status = if policy.forward && answer.outcome == "allow" {
        None
    } else {
        Some(policy.preflight_status)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for good in [
            "https://a",
            "https://a.",
            "https://a_b.-c-",
            "https://1.2.3.4:8080",
            "http://0.0.0.0",
            "http://[::1]:8080",
            "http://[2001:db8::1]",
            "http://[::ffff:102:304]",
            "http://[1:0:0:2::3]",
            "capacitor://localhost",
            "app://1.2.3",
            "app://x:80",
            "app://.",
            "app://..:65535",
            "app://.a..b.",
            "app://-_-",
            "http+x://.",
            "a+b.c-9://x",
            "http://a:443",
            "https://a:80",
            "https://0xg",
            "https://1.2.3.4a",
        ] {
            assert!(split_origin(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "",
            "null",
            "https://",
            "://a",
            "1a://a",
            "https://a..",
            "https://.",
            "https://.a",
            "https://a:",
            "https://a:0",
            "https://a:080",
            "https://a:443",
            "http://a:80",
            "https://a:65536",
            "https://a/",
            "https://u@a",
            "https://A",
            "https://1.2.3",
            "https://1.2.3.4.",
            "https://1.2.3.04",
            "https://1.2.3.256",
            "https://a.0x1f",
            "https://a.0x",
            "https://a.1.",
            "https://[::1",
            "https://[::1]x",
            "https://[0::1]",
            "https://[::FFFF:1]",
            "https://[::ffff:1.2.3.4]",
            "https://[1:0:2:3:4:5:6::]",
            "https://[1::2:0:0:3]:443",
            "https://[fe80::1%25eth0]",
            "app://",
            "app://:1",
            "app://[::1]",
            "app://a/",
            "app://A",
            "app://a:0",
            "app://a:65536",
            "app://u@a",
        ] {
            assert!(split_origin(bad.as_bytes()).is_none(), "{bad}");
        }
        let host = |labels: usize, last: usize| {
            format!("https://{}{}", "a.".repeat(labels), "b".repeat(last))
        };
        assert!(split_origin(host(95, 63).as_bytes()).is_some());
        assert!(split_origin(host(96, 63).as_bytes()).is_none());
        assert!(split_origin(host(95, 64).as_bytes()).is_none());
        let opaque = |length: usize| format!("app://{}", "a".repeat(length));
        assert!(split_origin(opaque(253).as_bytes()).is_some());
        assert!(split_origin(opaque(254).as_bytes()).is_none());
    }

    fn parse(text: &str) -> Result<Policy, String> {
        Policy::parse(&toml::from_str(text).unwrap())
    }

    #[test]
    fn entries() {
        for good in [
            "'*'",
            "'null'",
            "'app://.'",
            "'app://*'",
            "'app+x-1.y://*'",
            "'app://*.example.com'",
            "'app://pr-*.example.com.'",
            "'app://pr-*'",
            "'app://host:*'",
            "'https://*.example.com.:*'",
            "{ network = '0.0.0.0/0', scheme = 'http' }",
            "{ network = '10.0.0.1/32', scheme = 'https', port = 8443 }",
            "{ network = '::/0', scheme = 'https', port = 80 }",
            "{ network = 'fd00::/8', scheme = 'http', port = '*' }",
            "{ network = '::1/128', scheme = 'http', port = 65535 }",
        ] {
            let read = parse(&format!("allow_origins = [{good}]"));
            assert!(read.is_ok(), "{good}: {read:?}");
        }
        for bad in [
            "'http://*'",
            "'https://*'",
            "'https://*:*'",
            "'ws://*'",
            "'wss://*'",
            "'file://*'",
            "'App://*'",
            "'*://*'",
            "'://*'",
            "'app://*:*'",
            "'app://*:80'",
            "'app://**'",
            "'app://*/'",
            "'app://*..a'",
            "'app://*.a..b'",
            "'app://a.*.b'",
            "'app://pr-*..b'",
            "'https://*.1.2.3.4'",
            "'https://1.2.3.*'",
            "{ network = '10.0.0.0/8' }",
            "{ network = '10.0.0.0', scheme = 'http' }",
            "{ network = '10.0.0.0/', scheme = 'http' }",
            "{ network = '10.0.0.0/+8', scheme = 'http' }",
            "{ network = '10.0.0.0/08', scheme = 'http' }",
            "{ network = '10.0.0.0/33', scheme = 'http' }",
            "{ network = '10.0.0.1/8', scheme = 'http' }",
            "{ network = '10.0.0.0/7', scheme = 'ftp' }",
            "{ network = '10.0.0/8', scheme = 'http' }",
            "{ network = '10.0.0.0/255.0.0.0', scheme = 'http' }",
            "{ network = '::/129', scheme = 'http' }",
            "{ network = '::1/127', scheme = 'http' }",
            "{ network = '[::]/0', scheme = 'http' }",
            "{ network = 'fe80::%1/10', scheme = 'http' }",
            "{ network = '::/0', scheme = 'http', port = 0 }",
            "{ network = '::/0', scheme = 'http', port = 65536 }",
            "{ network = '::/0', scheme = 'http', port = 80 }",
            "{ network = '::/0', scheme = 'http', port = '80' }",
            "{ network = '::/0', scheme = 'http', port = true }",
            "{ network = '::/0', scheme = 'http', ports = 1 }",
            "{ network = 1, scheme = 'http' }",
        ] {
            let read = parse(&format!("allow_origins = [{bad}]"));
            assert!(read.is_err(), "{bad}: {read:?}");
        }
    }

    #[test]
    fn a_constant_origin_is_one_exact_entry() {
        for (entries, good) in [
            ("'https://a'", true),
            ("'app://.'", true),
            ("", false),
            ("'*'", false),
            ("'null'", false),
            ("'https://*.a'", false),
            ("'https://a:*'", false),
            ("'app://*'", false),
            ("'https://a', 'https://b'", false),
            ("'https://a', 'https://a'", false),
            ("{ network = '10.0.0.0/8', scheme = 'http' }", false),
        ] {
            let text =
                format!("allow_origins = [{entries}]\nconstant_origin = true");
            assert_eq!(parse(&text).is_ok(), good, "{entries}");
        }
    }

    #[test]
    fn ipv6() {
        for (address, text) in [
            ("::", "::"),
            ("::1", "::1"),
            ("1::", "1::"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("::ffff:1.2.3.4", "::ffff:102:304"),
        ] {
            assert_eq!(serialize_ipv6(address.parse().unwrap()), text);
        }
    }

    #[test]
    fn regular_expressions_are_not_here() {
        let table = toml::from_str("allow_origins = [{ regex = 'https://a' }]")
            .unwrap();
        assert!(Policy::parse(&table).is_err());
    }
}
