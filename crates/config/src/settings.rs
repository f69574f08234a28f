//! The keys of a policy, each in one place: its name, type, default, scope,
//! documentation, the names it has in other tools, how it is read from a policy
//! file, and how it is passed to the engine.
//!
//! The table at the end of this file is all that a key needs here. The JSON Schema,
//! `cors show` and the messages about unknown keys are made from it.

use libcors_policy::{
    BuildError, Disallowed, Mode, NetworkScheme, OriginPattern, Policy,
    PolicyBuilder, PortPattern, Preflight, Timing, Upstream,
};
use serde::{Serialize, Serializer};

use crate::{
    origins::Origin,
    reader::{Field, Item, Reader, Scope},
    resolve::ResolvedPolicy,
    source::Span,
    tree::Entry,
};

/// An entry of `allow_origins`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
#[serde(untagged)]
pub enum OriginEntry {
    /// An origin, a pattern, `*` or `null`.
    Plain(String),
    /// A regular expression that whole origins are matched against.
    Regex {
        /// The expression; the engine anchors it at both ends.
        regex: String,
    },
    /// The origins whose host is an IP address of a network.
    Network {
        /// The network in CIDR notation, such as `192.168.0.0/16`.
        network: String,
        /// `http` or `https`.
        #[serde(serialize_with = "keyword::serialize")]
        #[cfg_attr(
            feature = "schema",
            schemars(schema_with = "keyword::schema::<NetworkScheme>")
        )]
        scheme: NetworkScheme,
        /// A port, or `*` for any; without it the default port of the scheme.
        #[serde(
            skip_serializing_if = "is_default_port",
            serialize_with = "serialize_port"
        )]
        #[cfg_attr(
            feature = "schema",
            schemars(with = "crate::schema::Port", default)
        )]
        port: PortPattern,
    },
}

fn is_default_port(port: &PortPattern) -> bool {
    *port == PortPattern::Default
}

fn serialize_port<S: Serializer>(
    port: &PortPattern,
    to: S,
) -> Result<S::Ok, S::Error> {
    match port {
        PortPattern::Number(number) => to.serialize_u16(*number),
        PortPattern::Default => to.serialize_none(),
        PortPattern::Any => to.serialize_str("*"),
    }
}

impl From<&Origin<'_>> for OriginEntry {
    fn from(origin: &Origin<'_>) -> OriginEntry {
        match origin {
            Origin::Expression { text, .. } => {
                OriginEntry::Regex { regex: text.clone() }
            }
            Origin::Network { network, .. } => {
                let (address, prefix) = network.range();
                OriginEntry::Network {
                    network: format!("{address}/{prefix}"),
                    scheme: network.scheme(),
                    port: network.port(),
                }
            }
            plain => OriginEntry::Plain(plain.as_str().to_owned()),
        }
    }
}

/// A setting whose values a policy file writes as words.
pub(crate) trait Keyword: Copy + Eq + 'static {
    /// All values: the word of each, and what it means.
    const ALL: &'static [(Self, &'static str, &'static str)];

    /// The word that a policy file writes.
    fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(value, _, _)| *value == self);
        found.map_or("", |(_, word, _)| word)
    }
}

macro_rules! keywords {
    ($($name:ident)*) => {
        $(impl Keyword for $name {
            const ALL: &'static [(Self, &'static str, &'static str)] =
                $name::ALL;
        })*
    };
}

keywords!(Preflight Disallowed Upstream Mode Flag);

impl Keyword for NetworkScheme {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (NetworkScheme::Http, "http", "Plain http."),
        (NetworkScheme::Https, "https", "http over TLS."),
    ];
}

/// How keywords are written, and what the schema says of them.
pub(crate) mod keyword {
    use super::{Keyword, Serializer};

    pub(crate) fn serialize<K: Keyword, S: Serializer>(
        value: &K,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.word())
    }

    #[cfg(feature = "schema")]
    pub(crate) fn schema<K: Keyword>(
        _: &mut schemars::SchemaGenerator,
    ) -> schemars::Schema {
        let values: Vec<serde_json::Value> = K::ALL
            .iter()
            .map(|(_, word, about)| {
                serde_json::json!({
                    "const": word,
                    "type": "string",
                    "description": about.trim(),
                })
            })
            .collect();
        schemars::json_schema!({ "oneOf": values })
    }
}

fn serialize_timing<S: Serializer>(
    timing: &Timing,
    to: S,
) -> Result<S::Ok, S::Error> {
    match timing {
        Timing::Off => to.serialize_bool(false),
        Timing::AllowedOrigins => to.serialize_bool(true),
        Timing::Any => to.serialize_str("*"),
    }
}

/// Defines the danger flags: the word of each, and what it lets through.
macro_rules! flags {
    ($($(#[doc = $doc:literal])* $flag:ident = $word:literal,)*) => {
        /// A danger that a policy accepts.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Flag {
            $($(#[doc = $doc])* $flag,)*
        }

        impl Flag {
            /// All flags: the word of each, and what it lets through.
            pub const ALL: &'static [(Flag, &'static str, &'static str)] =
                &[$((Flag::$flag, $word, concat!($($doc),*)),)*];

            /// The word that a policy file writes.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Flag::$flag => $word,)*
                }
            }
        }
    };
}

flags! {
    /// `null` among the origins, which sandboxed frames of any site send.
    NullOrigin = "null_origin",
    /// `*` with credentials: every site may act as the signed-in user.
    AnyOriginWithCredentials = "any_origin_with_credentials",
    /// With credentials, origins whose pages can be altered in transit.
    InsecureOrigins = "insecure_origins",
    /// A wildcard right under a public suffix, where anyone can register a name.
    PublicSuffix = "public_suffix",
    /// An expression that matches origins outside a finite set of domains.
    UnboundedRegex = "unbounded_regex",
    /// CORS headers of the application that override the policy.
    UpstreamCors = "upstream_cors",
    /// With credentials, every app that uses a scheme of its own.
    AnyAppOrigin = "any_app_origin",
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        keyword::serialize(self, to)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Flag {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Flag".into()
    }

    fn json_schema(
        generator: &mut schemars::SchemaGenerator,
    ) -> schemars::Schema {
        keyword::schema::<Flag>(generator)
    }
}

/// Adds each of a list to a policy.
fn each(
    builder: PolicyBuilder,
    list: &[String],
    add: fn(PolicyBuilder, &str) -> PolicyBuilder,
) -> PolicyBuilder {
    list.iter().fold(builder, |builder, text| add(builder, text))
}

/// Defines everything that the keys of a policy need.
macro_rules! settings {
    ($(
        $(#[$meta:meta])*
        $key:ident: $type:ty = $default:expr;
        read $read:ident -> $stored:ty;
        resolve $resolve:ident;
        build |$builder:ident, $value:ident| $build:expr;
        scope $scope:ident;
        aka [$($aka:literal)*];
    )*) => {
        /// A policy with its defaults filled in and its values in their usual
        /// form. It serializes to the table of a policy file that says the same.
        #[derive(Clone, Debug, Eq, PartialEq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(
            feature = "schema",
            schemars(rename = "Policy", deny_unknown_fields)
        )]
        #[serde(default)]
        #[non_exhaustive]
        pub struct PolicySpec {
            $($(#[$meta])* pub $key: $type,)*
        }

        impl Default for PolicySpec {
            /// Returns the policy that allows nothing.
            fn default() -> PolicySpec {
                PolicySpec { $($key: $default,)* }
            }
        }

        /// A table of a policy file: a policy's own, or the defaults.
        #[derive(Debug, Default)]
        pub(crate) struct PolicyTable<'t> {
            /// The path of the table, such as `policy.api`.
            pub(crate) path: String,
            /// The name in the table's header.
            pub(crate) span: Span,
            $(pub(crate) $key: Option<Field<$stored>>,)*
        }

        /// The keys of a policy.
        pub(crate) const KEYS: &[&str] = &[$(stringify!($key)),*];

        /// What other tools call the keys of a policy, in the form that
        /// [`names::plain`](crate::names) brings names into.
        pub(crate) const FOREIGN: &[(&str, &[&str])] =
            &[$((stringify!($key), &[$($aka),*]),)*];

        /// Where a key may be used.
        pub(crate) fn scope(key: &str) -> Scope {
            match key {
                $(stringify!($key) => Scope::$scope,)*
                _ => Scope::Everywhere,
            }
        }

        impl<'t> PolicyTable<'t> {
            /// Reads the value of a key, and returns whether the key is known.
            pub(crate) fn read_known(
                &mut self,
                entry: &Entry<'t>,
                reader: &mut Reader<'_, 't>,
            ) -> bool {
                match &*entry.key {
                    $(stringify!($key) => {
                        let field = reader.$read();
                        // Of equal keys, which were reported, the first counts.
                        self.$key.get_or_insert(field);
                    })*
                    _ => return false,
                }
                true
            }
        }

        impl<'l> ResolvedPolicy<'l> {
            /// The settings, without the list of allowed origins, which may have
            /// a million entries.
            pub(crate) fn settings(&self) -> PolicySpec {
                let PolicySpec { $($key,)* } = PolicySpec::default();
                PolicySpec {
                    $($key: self.$resolve(|table| &table.$key, $key),)*
                }
            }

            /// The engine's policy, and its settings.
            pub(crate) fn compile(
                &self,
            ) -> Result<(Policy, PolicySpec), BuildError> {
                let spec = self.settings();
                let builder = self.build_origins(Policy::builder());
                $(
                    let add = |$builder: PolicyBuilder, $value: &$type| $build;
                    let builder = add(builder, &spec.$key);
                )*
                Ok((builder.build()?, spec))
            }
        }
    };
}

settings! {
    /// The origins that are allowed, in the order of the file: the rule of a
    /// decision is an index into this list.
    allow_origins: Vec<OriginEntry> = Vec::new();
    read origins -> Vec<Item<Origin<'t>>>;
    resolve omitted;
    build |builder, _entries| builder;
    scope Everywhere;
    aka [
        "allow_origin" "allow_origin_list" "allow_origin_patterns"
        "allow_origin_regex" "allow_origin_string_match"
        "allow_origins_by_regex" "allowed_origin" "allowed_origin_patterns"
        "allowed_origin_regexes" "allowed_origins" "domains" "hosts" "origin"
        "origin_list" "origin_patterns" "origin_regex" "origin_whitelist"
        "origins" "whitelist"
    ];

    /// The methods that are allowed besides GET, HEAD and POST, which every
    /// policy allows; or `*`.
    allow_methods: Vec<String> = Vec::new();
    read methods -> Vec<Item<String>>;
    resolve unique;
    build |builder, list| each(builder, list, PolicyBuilder::allow_method);
    scope Everywhere;
    aka ["allow_method" "allowed_method" "allowed_methods" "methods"];

    /// The request headers that are allowed, in any case; or `*`, with or without
    /// `Authorization`, which `*` does not include.
    allow_headers: Vec<String> = Vec::new();
    read request_headers -> Vec<Item<String>>;
    resolve unique;
    build |builder, list| each(builder, list, PolicyBuilder::allow_header);
    scope Everywhere;
    aka [
        "allow_header" "allowed_header" "allowed_headers" "headers"
        "request_headers"
    ];

    /// The response headers that a page may read, in any case; or `*`.
    expose_headers: Vec<String> = Vec::new();
    read response_headers -> Vec<Item<String>>;
    resolve unique;
    build |builder, list| each(builder, list, PolicyBuilder::expose_header);
    scope Everywhere;
    aka ["expose_header" "exposed" "exposed_headers" "response_headers"];

    /// Whether requests may carry credentials.
    allow_credentials: bool = false;
    read boolean -> Option<bool>;
    resolve value;
    build |builder, yes| builder.allow_credentials(*yes);
    scope Everywhere;
    aka [
        "allow_cookies" "allowed_credentials" "cookies" "credentialed"
        "credentials" "support_credentials" "supports_credentials"
        "with_credentials"
    ];

    /// For how many seconds a browser may keep a preflight's answer, at most
    /// 86,400; 0 switches that off, and without a value browsers keep it for 5
    /// seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::MaxAge"))]
    max_age: Option<u32> = None;
    read max_age -> Option<u32>;
    resolve optional;
    build |builder, seconds| builder.max_age(*seconds);
    scope Everywhere;
    aka [
        "max_age_in_seconds" "max_age_seconds" "maxage" "preflight_max_age"
        "preflight_maxage" "ttl"
    ];

    /// Whether the older private-network preflight is granted.
    allow_private_network: bool = false;
    read boolean -> Option<bool>;
    resolve value;
    build |builder, yes| builder.allow_private_network(*yes);
    scope Everywhere;
    aka [
        "allow_local_network" "allow_private_network_access"
        "private_network" "private_network_access"
    ];

    /// Who may read the resource timing of responses: true for the allowed
    /// origins, `*` for every origin.
    #[serde(serialize_with = "serialize_timing")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::TimingWord"))]
    timing_allow_origin: Timing = Timing::Off;
    read timing -> Option<Timing>;
    resolve value;
    build |builder, timing| builder.timing_allow_origin(*timing);
    scope Everywhere;
    aka ["allow_timing" "tao" "timing" "timing_allow_origins"];

    /// Whether every response names the one allowed origin, whoever asks, for
    /// caches that ignore `Vary`. Requires exactly one entry, an exact origin.
    constant_origin: bool = false;
    read boolean -> Option<bool>;
    resolve value;
    build |builder, yes| builder.constant_origin(*yes);
    scope Everywhere;
    aka ["constant_allow_origin" "fixed_origin" "static_origin"];

    /// Who answers preflights that are allowed.
    #[serde(serialize_with = "keyword::serialize")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "keyword::schema::<Preflight>")
    )]
    preflight: Preflight = Preflight::Answer;
    read keyword -> Option<Preflight>;
    resolve value;
    build |builder, preflight| builder.preflight(*preflight);
    scope Everywhere;
    aka [
        "forward_not_matching_preflights" "options_passthrough" "passthrough"
        "preflight_continue"
    ];

    /// The status of an answered preflight, 200 to 299.
    #[cfg_attr(feature = "schema", schemars(range(min = 200, max = 299)))]
    preflight_status: u16 = 204;
    read status -> Option<u16>;
    resolve value;
    build |builder, status| builder.preflight_status(*status);
    scope Everywhere;
    aka [
        "options_response_code" "options_success_status"
        "preflight_success_status" "success_status"
    ];

    /// How an actual request from an origin that is not allowed is handled.
    #[serde(serialize_with = "keyword::serialize")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "keyword::schema::<Disallowed>")
    )]
    disallowed: Disallowed = Disallowed::Pass;
    read keyword -> Option<Disallowed>;
    resolve value;
    build |builder, disallowed| builder.disallowed(*disallowed);
    scope Everywhere;
    aka [];

    /// How a WebSocket or WebTransport session is handled that an origin asks for
    /// which is not allowed.
    #[serde(serialize_with = "keyword::serialize")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "keyword::schema::<Disallowed>")
    )]
    websocket: Disallowed = Disallowed::Pass;
    read keyword -> Option<Disallowed>;
    resolve value;
    build |builder, disallowed| builder.websocket(*disallowed);
    scope Everywhere;
    aka [];

    /// The origins that this site itself is served from.
    self_origins: Vec<String> = Vec::new();
    read self_origins -> Vec<Item<String>>;
    resolve unique;
    build |builder, list| each(builder, list, PolicyBuilder::self_origin);
    scope Everywhere;
    aka ["own_origins" "same_origins" "self_origin" "site_origins"];

    /// How CORS headers of the application itself are handled.
    #[serde(serialize_with = "keyword::serialize")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "keyword::schema::<Upstream>")
    )]
    upstream_headers: Upstream = Upstream::Replace;
    read keyword -> Option<Upstream>;
    resolve value;
    build |builder, upstream| builder.upstream(*upstream);
    scope Everywhere;
    aka ["upstream" "upstream_header"];

    /// Whether decisions are carried out.
    #[serde(serialize_with = "keyword::serialize")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "keyword::schema::<Mode>")
    )]
    mode: Mode = Mode::Enforce;
    read keyword -> Option<Mode>;
    resolve value;
    build |builder, mode| builder.mode(*mode);
    scope Policy;
    aka ["dry_run" "report_only" "shadow" "shadow_enabled"];

    /// The dangers that are accepted.
    dangerously_allow: Vec<Flag> = Vec::new();
    read flags -> Vec<Item<Flag>>;
    resolve flags;
    build |builder, flags| {
        builder.reflect_null(flags.contains(&Flag::NullOrigin))
    };
    scope Policy;
    aka [
        "danger" "dangerous" "dangerously"
        "dangerously_tolerate_insecure_origins"
        "dangerously_tolerate_subdomains_of_public_suffixes"
    ];
}

impl OriginEntry {
    /// The entry as a message quotes it: an origin, an expression, or a network.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            OriginEntry::Plain(text) | OriginEntry::Regex { regex: text } => {
                text.into()
            }
            OriginEntry::Network { network, .. } => network.into(),
        }
    }
}

impl From<&OriginPattern> for OriginEntry {
    fn from(pattern: &OriginPattern) -> OriginEntry {
        OriginEntry::Plain(pattern.as_str().to_owned())
    }
}
