//! From what a policy says to what it does.

use alloc::{
    borrow::ToOwned, boxed::Box, string::String, string::ToString, vec,
    vec::Vec,
};
use core::fmt;

use crate::{
    answers::{Answers, PreflightParts, Rules},
    bytes::is_token,
    decision::Owned,
    header::{HeaderName, Source},
    network::Network,
    origins::{Expression, ExpressionSet, OriginSet},
    pattern::{ExactOrigin, OriginPattern, TuplePattern},
    policy::{AnyOrigin, Names, Policy, TemplateHeader, join},
    settings::{Disallowed, Mode, Preflight, Timing, Upstream},
    table::{ByteMap, Records},
    text::Text,
    tokens::{TokenSet, pack},
    vary::Vary,
};

/// The most bytes of a list of origins in `Timing-Allow-Origin`: every response
/// carries it, so a longer one is not worth its bytes.
pub const MAX_TIMING_LIST: usize = 1024;

/// Collects what a policy says, and compiles it.
///
/// Everything is off, and every list empty, until it is set.
#[derive(Debug)]
pub struct PolicyBuilder {
    /// How many entries `allow_origins` has so far.
    entries: u32,
    /// Whether `*` is among them, and where `null` is.
    any: bool,
    null: Option<u32>,
    exact: Records,
    patterns: Vec<(u32, TuplePattern)>,
    networks: Vec<(u32, Network)>,
    expressions: Vec<(u32, Box<dyn Expression>)>,
    expression_set: Option<Box<dyn ExpressionSet>>,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed: Vec<String>,
    credentials: bool,
    reflect_null: bool,
    max_age: Option<u32>,
    private_network: bool,
    timing: Timing,
    constant_origin: bool,
    preflight: Preflight,
    preflight_status: u16,
    disallowed: Disallowed,
    websocket: Disallowed,
    self_origins: Vec<String>,
    upstream: Upstream,
    mode: Mode,
}

impl PolicyBuilder {
    pub(crate) fn new() -> PolicyBuilder {
        PolicyBuilder {
            entries: 0,
            any: false,
            null: None,
            exact: Records::default(),
            patterns: Vec::new(),
            networks: Vec::new(),
            expressions: Vec::new(),
            expression_set: None,
            methods: Vec::new(),
            headers: Vec::new(),
            exposed: Vec::new(),
            credentials: false,
            reflect_null: false,
            max_age: None,
            private_network: false,
            timing: Timing::Off,
            constant_origin: false,
            preflight: Preflight::Answer,
            preflight_status: 204,
            disallowed: Disallowed::Pass,
            websocket: Disallowed::Pass,
            self_origins: Vec::new(),
            upstream: Upstream::Replace,
            mode: Mode::Enforce,
        }
    }

    /// Adds an entry to the list of allowed origins. [`OriginPattern::Any`]
    /// stands alone.
    #[must_use]
    pub fn allow_origin(mut self, origin: OriginPattern) -> Self {
        let rule = self.next_rule();
        match origin {
            OriginPattern::Any => self.any = true,
            OriginPattern::Null => {
                self.null.get_or_insert(rule);
            }
            OriginPattern::Tuple(tuple) if tuple.is_exact() => {
                self.exact.push(rule, tuple.as_str().as_bytes());
            }
            OriginPattern::Tuple(tuple) => self.patterns.push((rule, tuple)),
        }
        self
    }

    /// Adds an entry to the list of allowed origins that is one origin.
    #[must_use]
    pub fn allow_exact_origin(mut self, origin: &ExactOrigin<'_>) -> Self {
        let rule = self.next_rule();
        self.exact.push(rule, origin.as_str().as_bytes());
        self
    }

    /// Sets a faster way to find which of the expressions matches first. It must know
    /// those that were added, in their order.
    #[must_use]
    pub fn expression_set(mut self, set: Box<dyn ExpressionSet>) -> Self {
        self.expression_set = Some(set);
        self
    }

    /// Adds an entry to the list of allowed origins that is a network.
    #[must_use]
    pub fn allow_network(mut self, network: Network) -> Self {
        let rule = self.next_rule();
        self.networks.push((rule, network));
        self
    }

    fn next_rule(&mut self) -> u32 {
        let rule = self.entries;
        self.entries = self.entries.saturating_add(1);
        rule
    }

    /// Adds an expression to the list of allowed origins.
    #[must_use]
    pub fn allow_expression(mut self, expression: Box<dyn Expression>) -> Self {
        let rule = self.next_rule();
        self.expressions.push((rule, expression));
        self
    }

    /// Adds a method that is allowed beside GET, HEAD and POST; `*` is any, and
    /// stands alone.
    #[must_use]
    pub fn allow_method(mut self, method: &str) -> Self {
        self.methods.push(method.to_owned());
        self
    }

    /// Adds a request header that is allowed; `*` is any but `Authorization`,
    /// which alone may stand beside it.
    #[must_use]
    pub fn allow_header(mut self, name: &str) -> Self {
        self.headers.push(name.to_owned());
        self
    }

    /// Adds a response header that pages may read; `*` is any, stands alone, and
    /// means nothing with credentials.
    #[must_use]
    pub fn expose_header(mut self, name: &str) -> Self {
        self.exposed.push(name.to_owned());
        self
    }

    /// Whether requests may carry credentials.
    #[must_use]
    pub fn allow_credentials(mut self, yes: bool) -> Self {
        self.credentials = yes;
        self
    }

    /// Whether `null` is reflected as well where any origin is allowed with
    /// credentials.
    #[must_use]
    pub fn reflect_null(mut self, yes: bool) -> Self {
        self.reflect_null = yes;
        self
    }

    /// For how many seconds a browser may keep a preflight's answer; `None` says
    /// nothing about it.
    #[must_use]
    pub fn max_age(mut self, seconds: Option<u32>) -> Self {
        self.max_age = seconds;
        self
    }

    /// Whether the older private-network preflight is granted.
    #[must_use]
    pub fn allow_private_network(mut self, yes: bool) -> Self {
        self.private_network = yes;
        self
    }

    /// Who may read resource timing.
    #[must_use]
    pub fn timing_allow_origin(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Whether every response names the one origin that is allowed, whoever asks,
    /// for caches that ignore `Vary`.
    #[must_use]
    pub fn constant_origin(mut self, yes: bool) -> Self {
        self.constant_origin = yes;
        self
    }

    /// Who answers allowed preflights.
    #[must_use]
    pub fn preflight(mut self, preflight: Preflight) -> Self {
        self.preflight = preflight;
        self
    }

    /// The status of an answered preflight, 200 to 299.
    #[must_use]
    pub fn preflight_status(mut self, status: u16) -> Self {
        self.preflight_status = status;
        self
    }

    /// How an actual request from an origin that is not allowed is handled.
    /// [`Disallowed::Reject`] holds for WebSockets too.
    #[must_use]
    pub fn disallowed(mut self, disallowed: Disallowed) -> Self {
        self.disallowed = disallowed;
        self
    }

    /// How a WebSocket or WebTransport session that an origin asks for which is not
    /// allowed is handled.
    #[must_use]
    pub fn websocket(mut self, disallowed: Disallowed) -> Self {
        self.websocket = disallowed;
        self
    }

    /// Adds an exact origin that this site itself is served from.
    #[must_use]
    pub fn self_origin(mut self, origin: &str) -> Self {
        self.self_origins.push(origin.to_owned());
        self
    }

    /// How the application's own CORS headers are handled.
    #[must_use]
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = upstream;
        self
    }

    /// Whether decisions are carried out.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The one entry of the list of allowed origins, if it is exact.
    fn only_origin(&self) -> Option<Vec<u8>> {
        let exact = self.entries == 1 && self.exact.len() == 1;
        let origin = self.exact.keys().next().filter(|_| exact);
        origin.map(<[u8]>::to_vec)
    }

    /// The list of allowed origins as a value of `Timing-Allow-Origin`, each origin
    /// once; `None` if it is too long, or does not consist of exact origins.
    fn origin_list(&self) -> Option<Vec<u8>> {
        if self.exact.len() != self.entries as usize {
            return None;
        }
        let mut seen: Vec<&[u8]> = Vec::new();
        let mut list = Vec::new();
        for origin in self.exact.keys() {
            // As many as fit are few.
            if seen.contains(&origin) {
                continue;
            }
            seen.push(origin);
            if !list.is_empty() {
                list.extend_from_slice(b", ");
            }
            list.extend_from_slice(origin);
            if list.len() > MAX_TIMING_LIST {
                return None;
            }
        }
        Some(list)
    }

    /// Compiles the policy.
    pub fn build(self) -> Result<Policy, BuildError> {
        if self.any && self.entries > 1 {
            return Err(BuildError::WildcardBesideOthers);
        }
        if !(200..300).contains(&self.preflight_status) {
            return Err(BuildError::PreflightStatus(self.preflight_status));
        }
        for method in &self.methods {
            if !is_token(method.as_bytes()) {
                return Err(BuildError::Method(method.clone()));
            }
        }
        for name in self.headers.iter().chain(&self.exposed) {
            if !is_token(name.as_bytes()) {
                return Err(BuildError::HeaderName(name.clone()));
            }
        }
        let methods = unique(self.methods.iter().cloned());
        let headers =
            unique(self.headers.iter().map(|name| name.to_ascii_lowercase()));
        let exposed =
            unique(self.exposed.iter().map(|name| name.to_ascii_lowercase()));
        let star = |names: &[String]| names.iter().any(|name| name == "*");
        let authorization = headers.iter().any(|name| name == "authorization");
        let beside_star = usize::from(authorization) + 1;
        if star(&methods) && methods.len() > 1
            || star(&headers) && headers.len() > beside_star
            || star(&exposed) && exposed.len() > 1
        {
            return Err(BuildError::WildcardBesideOthers);
        }
        if star(&exposed) && self.credentials {
            return Err(BuildError::ExposeAnyWithCredentials);
        }

        let any_origin = match (self.any, self.credentials) {
            (true, false) => AnyOrigin::Star,
            (true, true) => AnyOrigin::Reflected { null: self.reflect_null },
            (false, _) => AnyOrigin::Listed { null: self.null },
        };
        let names = |listed: &[String]| Names {
            any: star(listed),
            echo: star(listed) && self.credentials,
            listed: TokenSet::new(listed),
        };
        let constant = match self.constant_origin {
            true => Some(self.only_origin().ok_or(BuildError::ConstantOrigin)?),
            false => None,
        };
        let timing = match self.timing {
            Timing::Off => TimingHeader::None,
            Timing::Any => TimingHeader::Constant(b"*".to_vec()),
            Timing::AllowedOrigins if any_origin == AnyOrigin::Star => {
                TimingHeader::Constant(b"*".to_vec())
            }
            Timing::AllowedOrigins => match self.origin_list() {
                Some(list) => TimingHeader::Constant(list),
                None => TimingHeader::Allowed,
            },
        };
        let mut owned = Owned::CORS;
        let mut owned_none = owned;
        let timing_bit = HeaderName::TimingAllowOrigin;
        match timing {
            TimingHeader::None => {}
            // Images and scripts send no Origin, so that there the application
            // may know better.
            TimingHeader::Allowed => owned = owned.with(timing_bit),
            TimingHeader::Constant(_) => {
                owned = owned.with(timing_bit);
                owned_none = owned;
            }
        }
        let lists = Lists {
            any_origin,
            constant: constant.as_deref(),
            credentials: self.credentials,
            timing,
            methods: &methods,
            headers: &headers,
            exposed: &exposed,
            echo_methods: star(&methods) && self.credentials,
            echo_headers: star(&headers) && self.credentials,
            max_age: self.max_age,
        };
        let variants = Variants::new(&lists, self.private_network)?;

        let vary = match any_origin {
            AnyOrigin::Star => Vary::NONE,
            _ if constant.is_some() => Vary::NONE,
            _ => Vary::ORIGIN,
        };
        let mut vary_preflight = vary;
        if lists.echo_methods {
            vary_preflight = vary_preflight.with(Vary::REQUEST_METHOD);
        }
        // A list that asks for an unlisted `authorization` gets another answer.
        if lists.echo_headers || star(&headers) && !authorization {
            vary_preflight = vary_preflight.with(Vary::REQUEST_HEADERS);
        }
        let preflight_denied = Some(self.preflight_status);
        let answers = Answers::new(&Rules {
            preflight_denied,
            preflight_passed: match self.preflight {
                Preflight::Answer => preflight_denied,
                Preflight::Forward => None,
            },
            disallowed: self.disallowed,
            websocket: self.websocket,
            vary,
            vary_preflight,
            owned,
            owned_none,
            none: variants.none,
            allowed: variants.allowed,
            denied: variants.denied,
            preflight_origin: variants.preflight_origin,
            preflight: variants.preflight,
        });
        let mut own = Records::default();
        for origin in &self.self_origins {
            if ExactOrigin::parse(origin).is_none() {
                return Err(BuildError::SelfOrigin(origin.clone()));
            }
            own.push(0, origin.as_bytes());
        }
        let mut short_methods: Vec<u64> = ["GET", "HEAD", "POST"]
            .into_iter()
            .chain(methods.iter().map(String::as_str))
            .filter_map(|method| pack(method.as_bytes()))
            .collect();
        short_methods.sort_unstable();
        let policy = Policy {
            short_methods: short_methods.into_boxed_slice(),
            methods: names(&methods),
            headers: names(&headers),
            any_origin,
            credentials: self.credentials,
            self_origins: ByteMap::new(own).ok_or(BuildError::TooLarge)?,
            origins: OriginSet::new(
                self.exact,
                self.patterns,
                &self.networks,
                self.expressions,
                self.expression_set,
            )
            .ok_or(BuildError::TooLarge)?,
            private_network: self.private_network,
            upstream: self.upstream,
            enforced: true,
            variants: variants.lists.into_boxed_slice(),
            answers,
        };
        Ok(match self.mode {
            Mode::Enforce => policy,
            Mode::Report => report(policy),
        })
    }
}

/// The same policy, which finds out the same and does nothing.
fn report(policy: Policy) -> Policy {
    Policy {
        enforced: false,
        upstream: Upstream::Replace,
        variants: Box::new([Box::default()]),
        answers: Answers::new(&Rules::REPORT),
        ..policy
    }
}

/// The names, each once: the first one stays.
fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<(usize, String)> = names.enumerate().collect();
    all.sort_unstable_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
    all.dedup_by(|later, first| later.1 == first.1);
    all.sort_unstable_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, name)| name).collect()
}

/// What the header lists of a policy are made from.
struct Lists<'b> {
    any_origin: AnyOrigin,
    constant: Option<&'b [u8]>,
    credentials: bool,
    timing: TimingHeader,
    methods: &'b [String],
    headers: &'b [String],
    exposed: &'b [String],
    echo_methods: bool,
    echo_headers: bool,
    max_age: Option<u32>,
}

type List = Vec<TemplateHeader>;

/// What `Timing-Allow-Origin` says.
enum TimingHeader {
    /// Nothing.
    None,
    /// The allowed origin that has asked.
    Allowed,
    /// Always this; nothing if it is empty.
    Constant(Vec<u8>),
}

impl Lists<'_> {
    /// The headers of a response that is no answer to a preflight, to a request
    /// of an origin that is allowed, or not.
    fn response(&self, allowed: bool) -> Result<List, BuildError> {
        let mut list = List::new();
        // What never depends on the origin is the same for all.
        let constant =
            self.constant.is_some() || self.any_origin == AnyOrigin::Star;
        if allowed || constant {
            self.push_origin(&mut list, HeaderName::AllowOrigin)?;
            self.push_credentials(&mut list)?;
            push_names(&mut list, HeaderName::ExposeHeaders, self.exposed)?;
        }
        let name = HeaderName::TimingAllowOrigin;
        match &self.timing {
            TimingHeader::Constant(value) if !value.is_empty() => {
                push(&mut list, name, Source::Fixed, value)?;
            }
            TimingHeader::Allowed if allowed => {
                push(&mut list, name, Source::Origin, b"")?;
            }
            _ => {}
        }
        Ok(list)
    }

    /// The headers of the answer to a preflight of an origin that is not allowed.
    fn preflight_origin(&self) -> Result<List, BuildError> {
        let mut list = List::new();
        if self.constant.is_some() {
            self.push_origin(&mut list, HeaderName::AllowOrigin)?;
            self.push_credentials(&mut list)?;
        }
        Ok(list)
    }

    fn preflight(&self, parts: PreflightParts) -> Result<List, BuildError> {
        let mut list = List::new();
        self.push_origin(&mut list, HeaderName::AllowOrigin)?;
        self.push_credentials(&mut list)?;
        if parts.methods {
            let name = HeaderName::AllowMethods;
            if self.echo_methods {
                push(&mut list, name, Source::Method, b"")?;
            } else {
                push_names(&mut list, name, self.methods)?;
            }
        }
        if parts.headers {
            let name = HeaderName::AllowHeaders;
            if self.echo_headers {
                push(&mut list, name, Source::HeaderList, b"")?;
            } else if self.headers.iter().any(|name| name == "*") {
                let mut names = vec!["*".to_owned()];
                names.extend(
                    self.headers.iter().filter(|name| *name != "*").cloned(),
                );
                push_names(&mut list, name, &names)?;
            } else {
                push_names(&mut list, name, self.headers)?;
            }
        }
        if let Some(seconds) = self.max_age {
            let seconds = seconds.to_string();
            let name = HeaderName::MaxAge;
            push(&mut list, name, Source::Fixed, seconds.as_bytes())?;
        }
        if parts.private_network {
            let name = HeaderName::AllowPrivateNetwork;
            push(&mut list, name, Source::Fixed, b"true")?;
        }
        Ok(list)
    }

    fn push_origin(
        &self,
        list: &mut List,
        name: HeaderName,
    ) -> Result<(), BuildError> {
        match (self.any_origin, self.constant) {
            (AnyOrigin::Star, _) => push(list, name, Source::Fixed, b"*"),
            (_, Some(origin)) => push(list, name, Source::Fixed, origin),
            _ => push(list, name, Source::Origin, b""),
        }
    }

    fn push_credentials(&self, list: &mut List) -> Result<(), BuildError> {
        if self.credentials {
            let name = HeaderName::AllowCredentials;
            push(list, name, Source::Fixed, b"true")?;
        }
        Ok(())
    }
}

fn push_names(
    list: &mut List,
    name: HeaderName,
    names: &[String],
) -> Result<(), BuildError> {
    if names.is_empty() {
        return Ok(());
    }
    let value = join(names.iter().map(String::as_bytes));
    push(list, name, Source::Fixed, &value)
}

fn push(
    list: &mut List,
    name: HeaderName,
    source: Source,
    value: &[u8],
) -> Result<(), BuildError> {
    // Values are made of tokens, origins and numbers, so this cannot fail; if it
    // did, no server should see the value.
    let value = Text::new(value).ok_or(BuildError::TooLarge)?;
    list.push(TemplateHeader { name, source, value });
    Ok(())
}

/// All header lists that a policy can produce, each once.
struct Variants {
    lists: Vec<Box<[TemplateHeader]>>,
    none: u8,
    allowed: u8,
    denied: u8,
    preflight_origin: u8,
    preflight: [Option<u8>; PreflightParts::COUNT],
}

impl Variants {
    fn new(
        lists: &Lists<'_>,
        private_network: bool,
    ) -> Result<Variants, BuildError> {
        let mut variants = Variants {
            lists: vec![Box::default()],
            none: 0,
            allowed: 0,
            denied: 0,
            preflight_origin: 0,
            preflight: [None; _],
        };
        variants.none = variants.number(lists.response(false)?);
        variants.denied = variants.none;
        variants.allowed = variants.number(lists.response(true)?);
        variants.preflight_origin = variants.number(lists.preflight_origin()?);
        for parts in PreflightParts::all() {
            // Lists are left out together, or one by one where they are echoed.
            let reachable = (private_network || !parts.private_network)
                && (parts.methods == parts.headers
                    || parts.headers && lists.echo_methods
                    || parts.methods && lists.echo_headers);
            if !reachable {
                continue;
            }
            let number = variants.number(lists.preflight(parts)?);
            if let Some(slot) = variants.preflight.get_mut(parts.number()) {
                *slot = Some(number);
            }
        }
        Ok(variants)
    }

    /// The number of this list, which is added if it is new. There are at most
    /// twelve.
    fn number(&mut self, list: List) -> u8 {
        let known = self.lists.iter().position(|other| **other == *list);
        let number = known.unwrap_or_else(|| {
            self.lists.push(list.into_boxed_slice());
            self.lists.len() - 1
        });
        number as u8
    }
}

/// Why a policy cannot be compiled.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// Occurs when `*` stands beside other entries (but `Authorization`).
    WildcardBesideOthers,
    /// Occurs when every response header is exposed with credentials, where
    /// browsers take `*` for a name.
    ExposeAnyWithCredentials,
    /// Occurs when a method is no token.
    Method(String),
    /// Occurs when the name of a header is no token.
    HeaderName(String),
    /// Occurs when the status of preflights is outside 200 to 299.
    PreflightStatus(u16),
    /// Occurs when an origin of the server itself is not one exact origin.
    SelfOrigin(String),
    /// Occurs when a constant origin is asked for, and the list of allowed origins
    /// does not have exactly one entry, an exact one.
    ConstantOrigin,
    /// Occurs when there are more origins than 32 bits can number.
    TooLarge,
}

impl core::error::Error for BuildError {}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::WildcardBesideOthers => {
                f.write_str("`*` stands beside other entries")
            }
            BuildError::ExposeAnyWithCredentials => {
                f.write_str("`*` exposes nothing with credentials")
            }
            BuildError::Method(method) => {
                write!(f, "`{}` is no method", method.escape_debug())
            }
            BuildError::HeaderName(name) => {
                write!(f, "`{}` is no header name", name.escape_debug())
            }
            BuildError::PreflightStatus(status) => {
                write!(f, "{status} is not a status from 200 to 299")
            }
            BuildError::SelfOrigin(origin) => {
                write!(f, "`{}` is not one origin", origin.escape_debug())
            }
            BuildError::ConstantOrigin => {
                f.write_str("a constant origin takes one entry, an exact one")
            }
            BuildError::TooLarge => f.write_str("the policy is too large"),
        }
    }
}
