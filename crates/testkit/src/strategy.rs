//! Random policies over a small alphabet, and requests that nearly fit them.
//!
//! Every policy here is one that a document may hold: whatever needs a danger flag has it. Danger
//! flags that nothing uses, duplicates and the like are there too; they are warnings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use toml::{Table, Value};

use crate::browser::{Credentials, Script, ScriptHeader};
use crate::naive::{Request, serialize_ipv6};

/// Entries of `allow_origins` that name one origin.
pub const EXACT: [&str; 13] = [
    "https://example.com",
    "https://app.example.com",
    "https://www.app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.",
    "https://example.org",
    "http://app.example.com",
    "http://localhost:3000",
    "http://127.0.0.1:8080",
    "https://[2001:db8::1]",
    "capacitor://localhost",
    "app://.",
    "app://localhost:80",
];

/// Entries of `allow_origins` other than those of [`EXACT`] and [`NETWORKS`], and the asterisk
/// alone.
pub const PATTERNS: [&str; 16] = [
    "https://*.example.com",
    "https://*.app.example.com",
    "https://*.example.com:8443",
    "https://*.example.com:*",
    "https://a*.example.com",
    "https://*p.example.com",
    "https://a*p.example.com",
    "https://pr-*.app.example.com:*",
    "http://localhost:*",
    "http://*.example.com",
    "app://*",
    "app://*.example.com",
    "app://a*.example.com",
    "app://localhost:*",
    "app+x://*",
    "null",
];

/// Entries of `allow_origins` that are networks: the network, the scheme, and the port, which is
/// empty where it is left out.
pub const NETWORKS: [(&str, &str, &str); 11] = [
    ("192.168.0.0/16", "http", "*"),
    ("192.168.1.0/24", "https", ""),
    ("10.0.0.0/8", "http", ""),
    ("127.0.0.1/32", "http", "8080"),
    ("172.16.0.0/12", "https", "8443"),
    ("0.0.0.0/0", "http", "*"),
    ("fd00::/8", "http", "*"),
    ("fe80::/10", "http", ""),
    ("2001:db8::/127", "https", "*"),
    ("::ffff:0:0/96", "http", "8080"),
    ("::/0", "https", ""),
];

/// Valid origins: some that entries cover, some that they nearly cover.
pub const ORIGINS: [&str; 45] = [
    "https://example.com",
    "https://app.example.com",
    "https://ap.example.com",
    "https://aap.example.com",
    "https://a-p.example.com",
    "https://a.p.example.com",
    "https://xapp.example.com",
    "https://www.app.example.com",
    "https://a.b.app.example.com",
    "https://app.example.com:8443",
    "https://www.app.example.com:8443",
    "https://app.example.com:1",
    "https://pr-1.app.example.com",
    "https://pr-.app.example.com:9000",
    "https://app.example.com.",
    "https://app.example.com.evil.org",
    "https://evilexample.com",
    "https://example.org",
    "http://app.example.com",
    "http://localhost",
    "http://localhost:3000",
    "http://127.0.0.1:8080",
    "https://[2001:db8::1]",
    "capacitor://localhost",
    "moz-extension://0b2f5d7e",
    "http://192.168.1.255",
    "http://192.169.0.0",
    "https://192.168.1.7",
    "http://[::ffff:c0a8:101]",
    "https://[fd00::1]:8443",
    "app://.",
    "app://..",
    "app://x.",
    "app://-._",
    "app://localhost",
    "app://localhost:80",
    "app://localhost:8080",
    "app://a.example.com",
    "app://.example.com",
    "app://a..example.com",
    "app://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com",
    "app+x://a",
    "app+x://a:1",
    "apps://a",
    "null",
];

/// Entries of `allow_methods`.
pub const METHODS: [&str; 7] =
    ["PUT", "DELETE", "PATCH", "patch", "QUERY", "GET", "OPTIONS"];

/// Entries of `allow_headers`.
pub const HEADERS: [&str; 7] = [
    "Authorization",
    "Content-Type",
    "X-Foo",
    "x-foo",
    "X-Bar",
    "x",
    "x!#$%&'+.^_`|~",
];

const EXPOSED: [&str; 5] = ["ETag", "X-Total", "x-total", "Link", "Location"];

const SELF_ORIGINS: [&str; 4] = [
    "https://api.example.com",
    "https://app.example.com:1",
    "http://localhost",
    "app://localhost",
];

/// Hosts that requests are sent to, near [`SELF_ORIGINS`].
const OWN_HOSTS: [&str; 10] = [
    "api.example.com",
    "API.example.com:443",
    "api.example.com:80",
    "app.example.com:1",
    "app.example.com",
    "localhost",
    "localhost:80",
    "localhost:443",
    "example.org",
    "",
];

fn names(list: &[&str]) -> Value {
    Value::Array(list.iter().map(|s| Value::from(*s)).collect())
}

fn list(
    of: &'static [&'static str],
    most: usize,
) -> impl Strategy<Value = Value> {
    prop::collection::vec(select(of), 0..=most).prop_map(|list| names(&list))
}

/// A key that is left out as often as not.
fn maybe<S: Strategy<Value = Value>>(
    key: &'static str,
    value: S,
) -> impl Strategy<Value = Option<(&'static str, Value)>> {
    prop::option::of(value.prop_map(move |value| (key, value)))
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    select(words).prop_map(Value::from)
}

/// An entry that is a network, as a document writes it.
fn network(of: (&str, &str, &str)) -> Value {
    let (network, scheme, port) = of;
    let mut table = Table::new();
    table.insert("network".to_owned(), Value::from(network));
    table.insert("scheme".to_owned(), Value::from(scheme));
    let port = match port.parse::<i64>() {
        Ok(number) => Some(Value::from(number)),
        Err(_) if port.is_empty() => None,
        Err(_) => Some(Value::from(port)),
    };
    if let Some(port) = port {
        table.insert("port".to_owned(), port);
    }
    Value::Table(table)
}

/// Exact entries that, joined, are about as long as a list in `Timing-Allow-Origin` may be.
fn long_list() -> impl Strategy<Value = Value> {
    let entry = |length: usize, filler: char| {
        let host = (0..length - "https://".len())
            .map(|index| if index % 50 == 25 { '.' } else { filler });
        format!("https://{}", host.collect::<String>())
    };
    (1023..1027usize, any::<bool>()).prop_map(move |(total, twice)| {
        let mut list: Vec<String> =
            "abcd".chars().map(|filler| entry(203, filler)).collect();
        list.push(entry(total - 4 * (203 + ", ".len()), 'e'));
        if twice {
            list.push(list[0].clone());
        }
        Value::Array(list.into_iter().map(Value::from).collect())
    })
}

/// `allow_origins`.
fn origins() -> impl Strategy<Value = Value> {
    let plain = EXACT.iter().chain(&PATTERNS).map(|text| Value::from(*text));
    let networks: Vec<Value> = NETWORKS.into_iter().map(network).collect();
    let entry = prop_oneof![
        3 => select(plain.collect::<Vec<_>>()),
        1 => select(networks),
    ];
    prop_oneof![
        4 => Just(names(&["*"])),
        16 => prop::collection::vec(entry, 0..6).prop_map(Value::Array),
        4 => select(&EXACT[..]).prop_map(|one| names(&[one])),
        3 => list(&EXACT, 4),
        1 => long_list(),
    ]
}

/// An effective policy, as [`crate::naive::Policy::parse`] takes it.
pub fn policy() -> impl Strategy<Value = Table> {
    let timing = prop_oneof![2 => any::<bool>().prop_map(Value::from), 1 => word(&["*"])];
    let methods = prop_oneof![2 => Just(names(&["*"])), 5 => list(&METHODS, 4)];
    let headers = prop_oneof![
        2 => Just(names(&["*"])),
        2 => Just(names(&["*", "Authorization"])),
        5 => list(&HEADERS, 4),
    ];
    let expose = prop_oneof![1 => Just(names(&["*"])), 3 => list(&EXPOSED, 3)];
    let max_age = prop_oneof![
        (0i64..=86400).prop_map(Value::from),
        word(&["0s", "90s", "5m", "2h", "1d"]),
    ];
    let flags = (
        maybe("allow_methods", methods),
        maybe("allow_headers", headers),
        maybe("expose_headers", expose),
        maybe("allow_credentials", any::<bool>().prop_map(Value::from)),
        maybe("max_age", max_age),
        maybe("allow_private_network", any::<bool>().prop_map(Value::from)),
        maybe("timing_allow_origin", timing),
        maybe("constant_origin", any::<bool>().prop_map(Value::from)),
    );
    let modes = (
        maybe("preflight", word(&["answer", "forward"])),
        maybe("preflight_status", (200i64..=299).prop_map(Value::from)),
        maybe("disallowed", word(&["pass", "reject"])),
        maybe("websocket", word(&["pass", "reject"])),
        maybe("self_origins", list(&SELF_ORIGINS, 2)),
        maybe("upstream_headers", word(&["replace", "keep"])),
        prop_oneof![
            9 => Just(None),
            1 => word(&["enforce", "report"]).prop_map(|v| Some(("mode", v))),
        ],
    );
    (origins(), flags, modes, any::<bool>()).prop_map(
        |(origins, f, m, null_origin)| {
            let mut table = Table::new();
            table.insert("allow_origins".to_owned(), origins);
            let keys = [
                f.0, f.1, f.2, f.3, f.4, f.5, f.6, f.7, m.0, m.1, m.2, m.3,
                m.4, m.5, m.6,
            ];
            for (key, value) in keys.into_iter().flatten() {
                table.insert(key.to_owned(), value);
            }
            permit(&mut table, null_origin);
            table
        },
    )
}

/// Fixes what a document may not say, and sets the danger flags that the rest needs.
fn permit(table: &mut Table, null_origin: bool) {
    let holds = |table: &Table, key: &str, what: &str| {
        let list = table.get(key).and_then(Value::as_array);
        list.is_some_and(|list| {
            list.iter().any(|item| item.as_str() == Some(what))
        })
    };
    let credentials =
        table.get("allow_credentials") == Some(&Value::Boolean(true));
    if credentials && holds(table, "expose_headers", "*") {
        table.insert("expose_headers".to_owned(), names(&["ETag"]));
    }
    let entries = table.get("allow_origins").and_then(Value::as_array);
    let one_exact = entries.is_some_and(|list| {
        let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        list.len() == 1
            && texts.len() == 1
            && texts[0] != "null"
            && !texts[0].contains('*')
    });
    if table.get("constant_origin") == Some(&Value::Boolean(true)) && !one_exact
    {
        table.insert("constant_origin".to_owned(), Value::Boolean(false));
    }
    let mut flags = vec!["insecure_origins", "public_suffix"];
    let app = ["app://*", "app+x://*"]
        .iter()
        .any(|entry| holds(table, "allow_origins", entry));
    if app && credentials {
        flags.push("any_app_origin");
    }
    let any = holds(table, "allow_origins", "*");
    if any && credentials {
        flags.push("any_origin_with_credentials");
    }
    if holds(table, "allow_origins", "null") || (any && null_origin) {
        flags.push("null_origin");
    }
    if table.get("upstream_headers") == Some(&Value::from("keep")) {
        flags.push("upstream_cors");
    }
    table.insert("dangerously_allow".to_owned(), names(&flags));
}

/// The document that holds this policy alone, by the name `p`.
pub fn document(policy: &Table) -> String {
    let mut policies = Table::new();
    policies.insert("p".to_owned(), Value::Table(policy.clone()));
    let mut document = Table::new();
    document.insert("policy".to_owned(), Value::Table(policies));
    toml::to_string(&document).unwrap_or_default()
}

/// One byte more, less or other, at some place.
fn mutated(value: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => select(&b"aA0.-_:/*%@[] ,\t\0\x7f"[..]),
        1 => any::<u8>(),
    ];
    (any::<prop::sample::Index>(), 0..4u8, byte).prop_map(
        move |(index, how, byte)| {
            let mut value = value.clone();
            let place = index.index(value.len() + 1);
            match how {
                0 => value.insert(place, byte),
                1 if place < value.len() => {
                    value.remove(place);
                }
                2 if place < value.len() => value[place] = byte,
                3 => value.truncate(place),
                _ => {}
            }
            value
        },
    )
}

fn or_mutated<S>(value: S) -> impl Strategy<Value = Vec<u8>>
where
    S: Strategy<Value = Vec<u8>> + Clone + 'static,
{
    prop_oneof![4 => value.clone(), 1 => value.prop_flat_map(mutated)]
}

/// Origins with the first and the last address of a network, and with their neighbours.
fn near_network(entry: &Table) -> Vec<Vec<u8>> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let (Some(scheme), Some((address, length))) =
        (text("scheme"), text("network").and_then(|n| n.split_once('/')))
    else {
        return Vec::new();
    };
    let (Ok(address), Ok(length)) =
        (address.parse::<IpAddr>(), length.parse::<u32>())
    else {
        return Vec::new();
    };
    let (width, first) = match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    let all = u128::MAX >> (128 - width);
    let last = first | all.checked_shr(length).unwrap_or(0);
    let ports = match entry.get("port") {
        None => vec![String::new(), ":8080".to_owned()],
        Some(Value::Integer(port)) => {
            vec![format!(":{port}"), String::new(), ":81".to_owned()]
        }
        Some(_) => vec![String::new(), ":8080".to_owned()],
    };
    let v6 = |number| format!("[{}]", serialize_ipv6(Ipv6Addr::from(number)));
    let mut hosts = Vec::new();
    for number in [
        first,
        last,
        first + (last - first) / 3,
        first.wrapping_sub(1) & all,
        last.wrapping_add(1) & all,
    ] {
        hosts.push(match u32::try_from(number) {
            Ok(number) if width == 32 => Ipv4Addr::from(number).to_string(),
            _ => v6(number),
        });
    }
    // The same bits as an address of the other family.
    let bits = first.to_be_bytes();
    hosts.push(if width == 32 {
        v6(first << 96)
    } else {
        format!("{}.{}.{}.{}", bits[0], bits[1], bits[2], bits[3])
    });
    let mut near = Vec::new();
    for host in hosts {
        for port in &ports {
            near.push(format!("{scheme}://{host}{port}").into_bytes());
        }
    }
    near
}

/// An origin near the entries of a policy, or any of [`ORIGINS`].
pub fn origin(policy: &Table) -> BoxedStrategy<Vec<u8>> {
    let mut near: Vec<Vec<u8>> = Vec::new();
    let entries = policy.get("allow_origins").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let entry = match entry {
            Value::Table(network) => {
                near.extend(near_network(network));
                continue;
            }
            Value::String(text) => text.as_str(),
            _ => continue,
        };
        if entry == "*" {
            continue;
        }
        let (rest, ports) = match entry.strip_suffix(":*") {
            Some(rest) => (rest, ["", ":8443", ":65535"].as_slice()),
            None => (entry, [""].as_slice()),
        };
        for port in ports {
            for front in ["a", "x-1", "a_b"] {
                near.push(
                    format!("{}{port}", rest.replace('*', front)).into_bytes(),
                );
            }
        }
        if entry.starts_with("app") {
            // Hosts without labels, which no asterisk but the one that is the whole host matches.
            let long = "a".repeat(64);
            for front in ["", ".", "a.", "a..b", "a:1", &long] {
                near.push(rest.replace('*', front).into_bytes());
            }
        }
        // Several labels, which `*.` covers and an asterisk beside other bytes does not.
        near.push(
            format!("{}{}", rest.replace('*', "a.b"), ports[0]).into_bytes(),
        );
    }
    let any =
        select(&ORIGINS[..]).prop_map(|origin| origin.as_bytes().to_vec());
    if near.is_empty() {
        any.boxed()
    } else {
        prop_oneof![4 => select(near), 1 => any].boxed()
    }
}

fn method_line() -> impl Strategy<Value = Vec<u8>> {
    or_mutated(
        select(vec![
            "GET", "GET", "GET", "POST", "PUT", "PUT", "DELETE", "PATCH",
            "patch", "QUERY", "OPTIONS", "*", "",
        ])
        .prop_map(|method| method.as_bytes().to_vec()),
    )
}

fn header_line() -> BoxedStrategy<Vec<u8>> {
    let name = select(vec![
        "authorization",
        "Authorization",
        "content-type",
        "x-foo",
        "X-FOO",
        "x-bar",
        "x",
        "x!#$%&'*+.^_`|~",
        "x-other",
        "*",
        "",
    ]);
    let space = || select(vec!["", "", "", "", " ", "\t", "  ", "   "]);
    let element = (space(), name, space())
        .prop_map(|(a, name, b)| format!("{a}{name}{b}"));
    let short = prop::collection::vec(element.clone(), 1..5)
        .prop_map(|list| list.join(","));
    let runs = (element, prop_oneof![1..20usize, 120..135usize])
        .prop_map(|(element, count)| vec![element; count].join(","));
    let long = (8180..8200usize).prop_map(|count| "x".repeat(count));
    let line = prop_oneof![20 => short, 3 => runs, 1 => long]
        .prop_map(String::into_bytes);
    or_mutated(line.boxed()).boxed()
}

/// A request near a policy: origins that it covers or nearly covers, methods and header lists that
/// are mostly well formed, and every kind.
pub fn request(policy: &Table) -> BoxedStrategy<Request> {
    let one_origin = or_mutated(origin(policy));
    let origins = prop_oneof![
        1 => Just(Vec::new()),
        12 => one_origin.prop_map(|origin| vec![origin]),
        1 => prop::collection::vec(origin(policy), 2..=2),
    ];
    let method =
        select(vec!["OPTIONS", "OPTIONS", "GET", "POST", "PUT", "options"])
            .prop_map(|method| method.as_bytes().to_vec());
    let request_method = prop_oneof![
        1 => Just(Vec::new()),
        8 => method_line().prop_map(|line| vec![line]),
        1 => prop::collection::vec(method_line(), 2..=2),
    ];
    let request_headers = prop_oneof![
        2 => Just(Vec::new()),
        6 => header_line().prop_map(|line| vec![line]),
        2 => prop::collection::vec(header_line(), 2..=4),
        1 => prop::collection::vec(select(vec![b"x-foo".to_vec(), b"".to_vec()]), 7..20),
    ];
    let private = select(vec![
        Vec::new(),
        Vec::new(),
        vec![b"true".to_vec()],
        vec![b"True".to_vec()],
        vec![b"true".to_vec(), b"true".to_vec()],
    ]);
    let upgrade = prop_oneof![
        6 => Just(Vec::new()),
        1 => select(vec![
            "websocket",
            "h2c, WebSocket",
            "websocket/13",
            "webtransport",
            "h2c",
            "",
        ])
        .prop_map(|line| vec![line.as_bytes().to_vec()]),
    ];
    let protocol = prop_oneof![
        9 => Just(None),
        1 => select(vec![
            "websocket",
            "webtransport",
            "WebTransport-H3",
            "webtransport-h3/1",
            "webtransport-h2",
            "connect-udp",
        ])
        .prop_map(|name| Some(name.as_bytes().to_vec())),
    ];
    let optional = |of: &'static [&'static str]| {
        prop::option::of(select(of).prop_map(|text| text.as_bytes().to_vec()))
    };
    (
        method,
        origins,
        request_method,
        request_headers,
        private,
        upgrade,
        protocol,
        optional(&["http", "https", "HTTPS", ""]),
        optional(&[
            "app.example.com",
            "APP.example.com:443",
            "localhost:3000",
            "localhost:80",
            "[2001:db8::1]",
            "example.org",
            "",
        ]),
        prop_oneof![
            3 => Just(None),
            1 => optional(&["same-origin", "same-site", "cross-site", "none"]),
        ],
        // The forms of a page that sends no referrer.
        prop::option::weighted(0.1, select(&OWN_HOSTS[..])),
    )
        .prop_map(|mut parts| {
            if let Some(host) = parts.10 {
                parts.1 = vec![b"null".to_vec()];
                parts.8 = Some(host.as_bytes().to_vec());
                parts.9 = Some(b"same-origin".to_vec());
            }
            parts
        })
        .prop_map(|parts| Request {
            method: parts.0,
            origin: parts.1,
            request_method: parts.2,
            request_headers: parts.3,
            request_private_network: parts.4,
            upgrade: parts.5,
            protocol: parts.6,
            scheme: parts.7,
            host: parts.8,
            sec_fetch_site: parts.9,
        })
        .boxed()
}

/// A policy, and a request near it.
pub fn policy_and_request() -> impl Strategy<Value = (Table, Request)> {
    policy().prop_flat_map(|policy| {
        let request = request(&policy);
        (Just(policy), request)
    })
}

/// What a script on a page with an origin near the policy might ask for.
pub fn script(policy: &Table) -> impl Strategy<Value = Script> + use<> {
    let method = select(vec![
        "get", "HEAD", "post", "put", "PUT", "delete", "PATCH", "patch",
        "QUERY", "OPTIONS", "*", "x",
    ]);
    let names = vec![
        "Authorization",
        "content-type",
        "Accept",
        "X-Foo",
        "x-foo",
        "x-bar",
        "x-other",
        "*",
        "x!#$%&'*+.^_`|~",
    ];
    let count = names.len();
    let headers = subsequence(names, 0..=count.min(5))
        .prop_flat_map(|names| {
            let values = prop::collection::vec(any::<bool>(), names.len());
            (Just(names).prop_shuffle(), values)
        })
        .prop_map(|(names, values)| {
            let both = names.into_iter().zip(values);
            both.map(|(name, unusual_value)| ScriptHeader {
                name: name.as_bytes().to_vec(),
                unusual_value,
            })
            .collect::<Vec<_>>()
        });
    // Only what a browser can have as an origin.
    let page = origin(policy).prop_filter("no origin", |origin| {
        origin == b"null" || crate::naive::split_origin(origin).is_some()
    });
    (page, method, headers, any::<bool>(), any::<bool>()).prop_map(
        |(origin, method, headers, include, forced)| Script {
            origin,
            method: method.as_bytes().to_vec(),
            headers,
            credentials: if include {
                Credentials::Include
            } else {
                Credentials::Omit
            },
            forced,
        },
    )
}

/// A policy, and a script near it.
pub fn policy_and_script() -> impl Strategy<Value = (Table, Script)> {
    policy().prop_flat_map(|policy| {
        let script = script(&policy);
        (Just(policy), script)
    })
}
