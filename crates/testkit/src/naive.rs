//! A second engine, written from the text of the contract alone: slow, allocating, plain.
//!
//! It takes the one effective policy as a table, parsed but not validated: what a document may
//! not say is the business of the configuration. Entries of `allow_origins` in the form of a
//! regular expression are not here; [`Policy::parse`] fails on them.

use std::net::Ipv6Addr;

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
    Pattern { scheme: String, host: Host, port: Port },
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
    timing: bool,
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
        const KEYS: [&str; 16] = [
            "allow_origins",
            "allow_methods",
            "allow_headers",
            "expose_headers",
            "allow_credentials",
            "max_age",
            "allow_private_network",
            "timing_allow_origin",
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
        Ok(Policy {
            origins,
            methods: strings(table, "allow_methods")?,
            headers: strings(table, "allow_headers")?,
            expose: strings(table, "expose_headers")?,
            credentials: flag(table, "allow_credentials")?,
            max_age: table.get("max_age").map(seconds).transpose()?,
            private_network: flag(table, "allow_private_network")?,
            timing: flag(table, "timing_allow_origin")?,
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

    fn removes(&self) -> Vec<&'static str> {
        let mut names = OWNED.to_vec();
        if self.timing {
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

fn entry(value: &Value) -> Result<Entry, String> {
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
    let filled = match &host {
        Host::Exact(host) => host.clone(),
        Host::Below(rest) => format!("a{rest}"),
        Host::Label(before, behind, rest) => format!("{before}a{behind}{rest}"),
    };
    let filled = match &port {
        Port::Any | Port::Exact(None) => format!("{scheme}://{filled}"),
        Port::Exact(Some(port)) => format!("{scheme}://{filled}:{port}"),
    };
    split_origin(filled.as_bytes()).ok_or_else(wrong)?;
    Ok(Entry::Pattern { scheme: scheme.to_owned(), host, port })
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
    if let Some(address) = host.strip_prefix('[') {
        let Some(address) = address.strip_suffix(']') else {
            return false;
        };
        return match address.parse::<Ipv6Addr>() {
            Ok(parsed) => serialize_ipv6(parsed) == address,
            Err(_) => false,
        };
    }
    let without_dot = host.strip_suffix('.').unwrap_or(host);
    let labels: Vec<&str> = without_dot.split('.').collect();
    for label in &labels {
        if label.is_empty() || label.len() > 63 {
            return false;
        }
        if !label
            .chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'))
        {
            return false;
        }
    }
    let last = labels[labels.len() - 1];
    if (scheme == "http" || scheme == "https") && is_number(last) {
        return good_ipv4(host);
    }
    true
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
                let port_fits = match wanted_port {
                    Port::Any => true,
                    Port::Exact(wanted) => *wanted == port,
                };
                *wanted_scheme == scheme
                    && wanted_host.covers(&host)
                    && port_fits
            }
        }
    }
}

impl Host {
    fn covers(&self, host: &str) -> bool {
        match self {
            Host::Exact(wanted) => wanted == host,
            Host::Below(rest) => match host.strip_suffix(rest.as_str()) {
                // An address in brackets has no labels.
                Some(front) => !front.is_empty() && !front.starts_with('['),
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
                    && !label.starts_with('[')
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
    let mut lines = request.upgrade.clone();
    lines.extend(request.protocol.clone());
    for line in lines {
        for member in line.split(|byte| *byte == b',') {
            let name = trim(member).split(|byte| *byte == b'/').next();
            if name.is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"))
            {
                return true;
            }
        }
    }
    false
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
        return policy.self_origins.iter().any(|o| o.as_bytes() == origin);
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
        remove: policy.removes(),
    };
    if !policy.any_origin_without_credentials() {
        answer.vary.push("Origin");
    }
    if kind == "none" {
        if policy.any_origin_without_credentials() {
            set(&mut answer, "Access-Control-Allow-Origin", b"*");
            response_headers(policy, b"*", &mut answer);
        }
    } else {
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
            Origin::Allowed(acao, rule) => {
                answer.outcome = "allow";
                answer.reason = "allowed";
                answer.rule = Some(rule);
                set(&mut answer, "Access-Control-Allow-Origin", &acao);
                if policy.credentials {
                    set(
                        &mut answer,
                        "Access-Control-Allow-Credentials",
                        b"true",
                    );
                }
                if kind == "preflight" {
                    preflight(policy, request, &mut answer);
                } else {
                    response_headers(policy, &acao, &mut answer);
                }
            }
        }
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

/// What a response carries beside ACAO and ACAC, when it is not one to a preflight.
fn response_headers(policy: &Policy, acao: &[u8], answer: &mut Answer) {
    let expose =
        once(policy.expose.iter().map(|name| name.to_ascii_lowercase()));
    if !expose.is_empty() {
        set(
            answer,
            "Access-Control-Expose-Headers",
            expose.join(", ").as_bytes(),
        );
    }
    if policy.timing {
        set(answer, "Timing-Allow-Origin", acao);
    }
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
        ] {
            assert!(split_origin(bad.as_bytes()).is_none(), "{bad}");
        }
        let host = |labels: usize, last: usize| {
            format!("https://{}{}", "a.".repeat(labels), "b".repeat(last))
        };
        assert!(split_origin(host(95, 63).as_bytes()).is_some());
        assert!(split_origin(host(96, 63).as_bytes()).is_none());
        assert!(split_origin(host(95, 64).as_bytes()).is_none());
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
