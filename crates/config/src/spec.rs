//! What a policy says, with its defaults filled in.

use libcors_policy::{self as engine, OriginPattern};
use serde::Serialize;

/// What a policy says, with its defaults filled in and its values brought into
/// their usual form: it serializes to the table of a document that says the same.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(rename = "Policy", deny_unknown_fields)
)]
#[serde(default)]
#[non_exhaustive]
pub struct PolicySpec {
    /// The origins that are allowed, in the order of the document: the rule of a
    /// decision is an index into this list.
    pub allow_origins: Vec<OriginEntry>,
    /// The methods that are allowed beside GET, HEAD and POST, each once; or `*`.
    pub allow_methods: Vec<String>,
    /// The request headers that are allowed, in lower case, each once; or `*`,
    /// perhaps with `authorization`.
    pub allow_headers: Vec<String>,
    /// The response headers that a page may read, in lower case, each once; or
    /// `*`.
    pub expose_headers: Vec<String>,
    /// Whether requests may carry credentials.
    pub allow_credentials: bool,
    /// For how many seconds a browser may keep a preflight's answer, at most
    /// 86,400; 0 switches that off, and without a value browsers keep it for 5
    /// seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::MaxAge"))]
    pub max_age: Option<u32>,
    /// Whether the older private-network preflight is granted.
    pub allow_private_network: bool,
    /// Whether allowed origins may read resource timing.
    pub timing_allow_origin: bool,
    /// Who answers preflights that are allowed.
    pub preflight: Preflight,
    /// The status of an answered preflight, 200 to 299.
    #[cfg_attr(feature = "schema", schemars(range(min = 200, max = 299)))]
    pub preflight_status: u16,
    /// What becomes of an actual request from an origin that is not allowed.
    pub disallowed: Disallowed,
    /// What becomes of a WebSocket that is asked for by an origin that is not
    /// allowed.
    pub websocket: Disallowed,
    /// The origins that this site itself is served from.
    pub self_origins: Vec<String>,
    /// What becomes of the application's own CORS headers.
    pub upstream_headers: UpstreamHeaders,
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// The dangers that are accepted.
    pub dangerously_allow: Vec<Flag>,
}

impl Default for PolicySpec {
    /// Nothing is allowed.
    fn default() -> PolicySpec {
        PolicySpec {
            allow_origins: Vec::new(),
            allow_methods: Vec::new(),
            allow_headers: Vec::new(),
            expose_headers: Vec::new(),
            allow_credentials: false,
            max_age: None,
            allow_private_network: false,
            timing_allow_origin: false,
            preflight: Preflight::Answer,
            preflight_status: 204,
            disallowed: Disallowed::Pass,
            websocket: Disallowed::Pass,
            self_origins: Vec::new(),
            upstream_headers: UpstreamHeaders::Replace,
            mode: Mode::Enforce,
            dangerously_allow: Vec::new(),
        }
    }
}

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
}

impl OriginEntry {
    /// The origin or the expression, as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            OriginEntry::Plain(text) | OriginEntry::Regex { regex: text } => {
                text
            }
        }
    }
}

impl From<&OriginPattern> for OriginEntry {
    fn from(pattern: &OriginPattern) -> OriginEntry {
        OriginEntry::Plain(pattern.as_str().to_owned())
    }
}

/// An enumeration whose values a document writes as strings.
pub(crate) trait Words: Copy + Sized + 'static {
    /// All values, with the word of each.
    const ALL: &'static [(&'static str, Self)];
}

/// Defines an enumeration and its words once, for documents and schemas alike.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$doc:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word that a document writes.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }

        impl Words for $name {
            const ALL: &'static [(&'static str, $name)] =
                &[$(($word, $name::$variant)),*];
        }
    };
}

words! {
    /// Who answers preflights that are allowed.
    Preflight {
        /// The engine does.
        Answer = "answer",
        /// The application does, and the engine puts its headers on that answer.
        Forward = "forward",
    }
}

words! {
    /// What becomes of a request from an origin that is not allowed.
    Disallowed {
        /// It is passed on, without CORS headers on the response.
        Pass = "pass",
        /// It is answered with 403.
        Reject = "reject",
    }
}

words! {
    /// What becomes of the application's own CORS headers.
    UpstreamHeaders {
        /// They are removed, and those of the decision are set.
        Replace = "replace",
        /// Where the application sent `Access-Control-Allow-Origin`, nothing but
        /// `Vary` is changed; otherwise as `replace`.
        Keep = "keep",
    }
}

words! {
    /// Whether decisions are carried out.
    Mode {
        /// They are.
        Enforce = "enforce",
        /// They are made and reported, and change no response.
        Report = "report",
    }
}

words! {
    /// A danger that a policy accepts.
    Flag {
        /// `null` among the origins: every sandboxed frame has it.
        NullOrigin = "null_origin",
        /// `*` with credentials: every site may act as the signed-in user.
        AnyOriginWithCredentials = "any_origin_with_credentials",
        /// With credentials, origins whose pages can be altered on the way.
        InsecureOrigins = "insecure_origins",
        /// A wildcard right under a public suffix, where anyone gets a name.
        PublicSuffix = "public_suffix",
        /// An expression that admits origins outside a finite set of domains.
        UnboundedRegex = "unbounded_regex",
        /// CORS headers of the application that override the policy.
        UpstreamCors = "upstream_cors",
    }
}

impl From<Preflight> for engine::Preflight {
    fn from(preflight: Preflight) -> engine::Preflight {
        match preflight {
            Preflight::Answer => engine::Preflight::Answer,
            Preflight::Forward => engine::Preflight::Forward,
        }
    }
}

impl From<Disallowed> for engine::Disallowed {
    fn from(disallowed: Disallowed) -> engine::Disallowed {
        match disallowed {
            Disallowed::Pass => engine::Disallowed::Pass,
            Disallowed::Reject => engine::Disallowed::Reject,
        }
    }
}

impl From<UpstreamHeaders> for engine::Upstream {
    fn from(upstream: UpstreamHeaders) -> engine::Upstream {
        match upstream {
            UpstreamHeaders::Replace => engine::Upstream::Replace,
            UpstreamHeaders::Keep => engine::Upstream::Keep,
        }
    }
}

impl From<Mode> for engine::Mode {
    fn from(mode: Mode) -> engine::Mode {
        match mode {
            Mode::Enforce => engine::Mode::Enforce,
            Mode::Report => engine::Mode::Report,
        }
    }
}
