//! A compiled policy, and how it decides.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    builder::PolicyBuilder,
    bytes::{is_space, is_token, is_token_byte},
    decision::{Decision, Kind, Outcome, Owned, Reason, Upstream},
    header::{HeaderName, Source},
    origin::default_port,
    origins::{Found, OriginSet},
    request::{Ask, Lines},
    table::ByteMap,
    text::{Text, without_nul},
    tokens::{TokenSet, pack},
    vary::Vary,
};

/// The most bytes of `Access-Control-Request-Headers` that are looked at.
pub const MAX_REQUEST_HEADERS_LEN: usize = 8192;
/// The most elements of `Access-Control-Request-Headers`, empty ones included.
pub const MAX_REQUEST_HEADERS_ELEMENTS: usize = 128;
/// The most empty elements of `Access-Control-Request-Headers`.
pub const MAX_REQUEST_HEADERS_EMPTY: usize = 16;
/// The most bytes of white space around one element of
/// `Access-Control-Request-Headers`.
pub const MAX_REQUEST_HEADERS_SPACE: usize = 4;
/// The most lines of `Access-Control-Request-Headers` that are echoed, where
/// they are: a decision has room for 16 headers.
pub const MAX_ECHO_LINES: usize = 8;

/// Who answers a preflight that is allowed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Preflight {
    /// The engine does, with this status; 204 is usual.
    #[default]
    Answer,
    /// The application does; the engine puts its headers on that answer. One that
    /// is denied is answered by the engine all the same.
    Forward,
}

/// What becomes of a request from an origin that is not allowed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Disallowed {
    /// It is passed on, without CORS headers on the response.
    #[default]
    Pass,
    /// It is answered with 403.
    Reject,
}

/// Whether decisions are carried out.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are made and reported, and change no response.
    Report,
}

/// The answer to every `Origin`, known when the policy is compiled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AnyOrigin {
    /// The list decides.
    Listed {
        /// The entry `null`.
        null: Option<u32>,
    },
    /// `*`, whatever the origin.
    Star,
    /// With credentials: every valid origin is reflected; `null` on demand.
    Reflected { null: bool },
}

/// Which methods and headers a policy allows beyond what the protocol does.
#[derive(Debug)]
pub(crate) struct Names {
    /// `*` is listed.
    pub(crate) any: bool,
    /// `*` is listed, and means nothing to a browser, so the request is echoed.
    pub(crate) echo: bool,
    pub(crate) listed: TokenSet,
}

/// A header of a list that a policy can produce.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TemplateHeader {
    pub(crate) name: HeaderName,
    pub(crate) source: Source,
    pub(crate) value: Text,
}

impl TemplateHeader {
    /// The name.
    pub fn name(&self) -> HeaderName {
        self.name
    }

    /// Where the value comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The value, if it is [`Source::Fixed`]; else empty.
    pub fn value(&self) -> &[u8] {
        self.value.as_bytes()
    }
}

/// Which preflight list a request gets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PreflightParts {
    pub(crate) private_network: bool,
    pub(crate) methods: bool,
    pub(crate) headers: bool,
}

impl PreflightParts {
    pub(crate) fn all() -> impl Iterator<Item = PreflightParts> {
        (0..8).map(|bits| PreflightParts {
            private_network: bits & 1 != 0,
            methods: bits & 2 != 0,
            headers: bits & 4 != 0,
        })
    }

    pub(crate) fn number(self) -> usize {
        usize::from(self.private_network)
            | usize::from(self.methods) << 1
            | usize::from(self.headers) << 2
    }
}

/// A compiled policy.
///
/// It is immutable; any number of threads may use it at the same time.
#[derive(Debug)]
pub struct Policy {
    pub(crate) origins: OriginSet,
    pub(crate) any_origin: AnyOrigin,
    pub(crate) credentials: bool,
    pub(crate) self_origins: ByteMap,
    pub(crate) methods: Names,
    /// All methods that are allowed and fit into a word.
    pub(crate) short_methods: Box<[u64]>,
    pub(crate) headers: Names,
    pub(crate) private_network: bool,
    pub(crate) preflight: Preflight,
    pub(crate) preflight_status: Option<u16>,
    pub(crate) disallowed: Disallowed,
    pub(crate) websocket: Disallowed,
    pub(crate) upstream: Upstream,
    pub(crate) enforced: bool,
    pub(crate) owned: Owned,
    /// What every answer varies on, and what one to a preflight does as well.
    pub(crate) vary: Vary,
    pub(crate) vary_preflight: Vary,
    /// Every header list that a decision can have; the first is empty.
    pub(crate) variants: Box<[Box<[TemplateHeader]>]>,
    pub(crate) variant_none: u8,
    pub(crate) variant_actual: u8,
    pub(crate) variant_preflight: [u8; 8],
}

/// A request of the most usual kinds; see [`Policy::find_usual`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Usual<'p> {
    /// It has no `Origin`.
    NoOrigin,
    /// It is allowed, and no upgrade.
    Listed {
        /// Whether it is a preflight.
        preflight: bool,
        /// The entry that covers the origin.
        rule: u32,
        /// The origin.
        origin: &'p [u8],
        /// Whose bytes it is.
        source: Source,
    },
}

/// What was found out about an origin.
enum Verdict<'a> {
    Allowed { rule: u32, origin: &'a [u8], source: Source },
    Refused(Reason),
}

/// What was found out about a list of request headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ListVerdict {
    Allowed {
        names: bool,
    },
    /// A name is not listed; a browser will find out, and name it.
    NotAllowed {
        names: bool,
    },
    /// No browser may find the answer good, so it gets no list.
    Withheld(Reason),
}

impl Policy {
    /// A builder, to compile a policy with.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::new()
    }

    /// How many header lists the policy can produce.
    pub fn variant_count(&self) -> usize {
        self.variants.len()
    }

    /// A header list that the policy can produce. Only values that are not
    /// [`Source::Fixed`] differ from one decision to the other; one of
    /// [`Source::HeaderList`] may stand for several headers of that name, one for
    /// each line of the request that names anything.
    pub fn variant(&self, number: usize) -> Option<&[TemplateHeader]> {
        self.variants.get(number).map(|list| &**list)
    }

    /// Whether requests may carry credentials.
    pub fn allows_credentials(&self) -> bool {
        self.credentials
    }

    /// Whether decisions are carried out.
    pub fn mode(&self) -> Mode {
        match self.enforced {
            true => Mode::Enforce,
            false => Mode::Report,
        }
    }

    /// Decides a request.
    ///
    /// Allocates nothing, takes no lock, and costs time linear in the request's
    /// bytes up to the limits of each field.
    #[inline]
    pub fn decide<'a, R: Ask<'a>>(
        &'a self,
        request: R,
    ) -> Decision<'a, R::Lines> {
        match self.find_usual(request) {
            Some(usual) => self.decide_usual(usual),
            None => self.decide_unusual(request),
        }
    }

    /// Tells the most usual requests from all others: those without `Origin`, and
    /// those, preflights too, that come from an origin of the list and are allowed
    /// all that they ask for. A caller who has their answers ready need not ask for
    /// a decision.
    #[inline(always)]
    pub fn find_usual<'a, R: Ask<'a>>(
        &'a self,
        request: R,
    ) -> Option<Usual<'a>> {
        let lines = request.origin();
        let plain = match lines.count() {
            0 => return Some(Usual::NoOrigin),
            1 => matches!(self.any_origin, AnyOrigin::Listed { .. }),
            _ => false,
        };
        let preflight = request.request_method().count() != 0;
        if !plain || !self.is_usual(request, preflight) {
            return None;
        }
        let line = lines.line(0);
        let (rule, origin, source) = match self.origins.find_usual(line)? {
            Found::Exact { rule, own } => (rule, own, Source::Fixed),
            Found::Covered { rule } => (rule, line, Source::Origin),
            Found::Valid | Found::Malformed => return None,
        };
        Some(Usual::Listed { preflight, rule, origin, source })
    }

    /// Whether nothing but the origin is in doubt about a request.
    #[inline(always)]
    fn is_usual<'a, R: Ask<'a>>(&self, request: R, preflight: bool) -> bool {
        if !preflight {
            return request.upgrade().count() == 0
                && request.protocol().is_empty();
        }
        let methods = request.request_method();
        let headers = request.request_headers();
        request.method() == b"OPTIONS"
            && methods.count() == 1
            && self.lists_method(methods.line(0))
            && !self.methods.echo
            && !self.headers.echo
            && request.request_private_network().count() == 0
            && match headers.count() {
                0 => true,
                1 => self.lists_headers(headers.line(0)),
                _ => false,
            }
    }

    /// [`Policy::find_usual`] where that takes a handful of instructions: without
    /// `Origin`, and for lists of one origin. It does not see all usual requests,
    /// and no preflight.
    #[inline(always)]
    pub fn find_at_once<'a, R: Ask<'a>>(
        &'a self,
        request: R,
    ) -> Option<Usual<'a>> {
        let lines = request.origin();
        if lines.count() == 0 {
            return Some(Usual::NoOrigin);
        }
        let plain = lines.count() == 1
            && request.request_method().count() == 0
            && request.upgrade().count() == 0
            && request.protocol().is_empty()
            && matches!(self.any_origin, AnyOrigin::Listed { .. });
        if !plain {
            return None;
        }
        let (rule, origin) = self.origins.find_at_once(lines.line(0))?;
        let source = Source::Fixed;
        Some(Usual::Listed { preflight: false, rule, origin, source })
    }

    /// The decision on a usual request.
    pub fn decide_usual<'a, L: Lines<'a>>(
        &'a self,
        usual: Usual<'a>,
    ) -> Decision<'a, L> {
        match usual {
            Usual::NoOrigin => self.decision(Kind::None, self.variant_none),
            Usual::Listed { preflight: false, rule, origin, source } => {
                self.allow(Kind::Actual, rule, origin, source)
            }
            Usual::Listed { preflight: true, rule, origin, source } => {
                let parts = PreflightParts {
                    private_network: false,
                    methods: true,
                    headers: true,
                };
                Decision {
                    status: match self.preflight {
                        Preflight::Answer => self.preflight_status,
                        Preflight::Forward => None,
                    },
                    vary: self.vary_preflight,
                    ..self.allow_as(
                        Kind::Preflight,
                        self.preflight_variant(parts),
                        rule,
                        origin,
                        source,
                    )
                }
            }
        }
    }

    /// The decision on any request; usual ones have a shorter way.
    #[inline(never)]
    pub fn decide_unusual<'a, R: Ask<'a>>(
        &'a self,
        request: R,
    ) -> Decision<'a, R::Lines> {
        let origins = request.origin().count();
        if origins == 0 {
            return self.decision(Kind::None, self.variant_none);
        }
        if is_preflight(request) {
            return self.decide_preflight(request);
        }
        let kind = kind_with_origin(request);
        match self.judge_origin(request.origin(), origins) {
            Verdict::Allowed { rule, origin, source } => {
                self.allow(kind, rule, origin, source)
            }
            Verdict::Refused(reason) => self.refuse(kind, reason, request),
        }
    }

    /// The origin of a request that is no preflight is allowed.
    #[inline]
    fn allow<'a, L: Lines<'a>>(
        &'a self,
        kind: Kind,
        rule: u32,
        origin: &'a [u8],
        source: Source,
    ) -> Decision<'a, L> {
        self.allow_as(kind, self.variant_actual, rule, origin, source)
    }

    #[inline]
    fn allow_as<'a, L: Lines<'a>>(
        &'a self,
        kind: Kind,
        variant: u8,
        rule: u32,
        origin: &'a [u8],
        origin_source: Source,
    ) -> Decision<'a, L> {
        Decision {
            outcome: Outcome::Allow,
            reason: Reason::Allowed,
            rule: Some(rule),
            origin,
            origin_source,
            ..self.decision(kind, variant)
        }
    }

    fn preflight_variant(&self, parts: PreflightParts) -> u8 {
        self.variant_preflight.get(parts.number()).copied().unwrap_or_default()
    }

    /// What a request gets whose policy is not known: every header of the CORS
    /// protocol is removed, the answer varies on `Origin`, and a WebSocket that
    /// has an `Origin` is refused.
    pub fn decide_without_policy<'a, R: Ask<'a>>(
        request: R,
    ) -> Decision<'a, R::Lines> {
        let kind = if request.origin().count() == 0 {
            Kind::None
        } else if is_preflight(request) {
            Kind::Preflight
        } else {
            kind_with_origin(request)
        };
        Decision {
            outcome: match kind {
                Kind::None => Outcome::None,
                _ => Outcome::Deny,
            },
            status: (kind == Kind::WebSocket).then_some(403),
            vary: Vary::ORIGIN,
            ..closed(kind)
        }
    }

    fn decide_preflight<'a, R: Ask<'a>>(
        &'a self,
        request: R,
    ) -> Decision<'a, R::Lines> {
        let verdict =
            self.judge_origin(request.origin(), request.origin().count());
        let mut decision = match verdict {
            Verdict::Refused(reason) => {
                self.refuse(Kind::Preflight, reason, request)
            }
            Verdict::Allowed { rule, origin, source } => {
                self.answer_preflight(request, rule, origin, source)
            }
        };
        let forward = self.preflight == Preflight::Forward;
        if !forward || decision.outcome == Outcome::Deny {
            decision.status = self.preflight_status;
        }
        decision
    }

    /// The answer to a preflight whose origin is allowed.
    fn answer_preflight<'a, R: Ask<'a>>(
        &'a self,
        request: R,
        rule: u32,
        origin: &'a [u8],
        origin_source: Source,
    ) -> Decision<'a, R::Lines> {
        let method = self.judge_method(request);
        let list = self.judge_headers(request.request_headers());
        let reason = match (method, list) {
            (Some(reason), _) => reason,
            (None, ListVerdict::Withheld(reason)) => reason,
            (None, ListVerdict::NotAllowed { .. }) => Reason::HeaderNotAllowed,
            (None, ListVerdict::Allowed { .. }) => Reason::Allowed,
        };
        let mut parts = PreflightParts {
            private_network: self.private_network
                && request.request_private_network().count() == 1
                && request.request_private_network().line(0) == b"true",
            ..PreflightParts::default()
        };
        if let ListVerdict::Allowed { names }
        | ListVerdict::NotAllowed { names } = list
        {
            // Only what was found well formed is echoed.
            parts.methods =
                !self.methods.echo || method != Some(Reason::MethodMalformed);
            parts.headers = !self.headers.echo || names;
        }
        Decision {
            outcome: match reason {
                Reason::Allowed => Outcome::Allow,
                _ => Outcome::Deny,
            },
            reason,
            rule: Some(rule),
            vary: self.vary_preflight,
            origin,
            origin_source,
            // These are read only by templates that echo them.
            method: Some(request.request_method().line(0)),
            list: Some(request.request_headers()),
            ..self.decision(Kind::Preflight, self.preflight_variant(parts))
        }
    }

    /// A decision that found nothing out yet, with this list of headers.
    #[inline]
    fn decision<'a, L: Lines<'a>>(
        &'a self,
        kind: Kind,
        variant: u8,
    ) -> Decision<'a, L> {
        Decision {
            reason: Reason::NotCors,
            enforced: self.enforced,
            upstream: self.upstream,
            owned: self.owned,
            vary: self.vary,
            variant,
            template: self.variant(variant.into()).unwrap_or_default(),
            ..closed(kind)
        }
    }

    /// The origin is not listed: it is refused, unless it is the server's own.
    #[inline(never)]
    fn refuse<'a, R: Ask<'a>>(
        &'a self,
        kind: Kind,
        reason: Reason,
        request: R,
    ) -> Decision<'a, R::Lines> {
        let decision = self.decision(kind, 0);
        if reason != Reason::OriginMalformed && self.is_same_origin(request) {
            return Decision { reason: Reason::SameOrigin, ..decision };
        }
        let reject = self.disallowed == Disallowed::Reject
            || kind == Kind::WebSocket && self.websocket == Disallowed::Reject;
        Decision {
            outcome: Outcome::Deny,
            reason,
            status: reject.then_some(403),
            ..decision
        }
    }

    #[inline(always)]
    fn judge_origin<'a, L: Lines<'a>>(
        &'a self,
        lines: L,
        count: usize,
    ) -> Verdict<'a> {
        let AnyOrigin::Listed { null } = self.any_origin else {
            return self.judge_any_origin(lines, count);
        };
        if count != 1 {
            return Verdict::Refused(Reason::OriginMalformed);
        }
        let line = lines.line(0);
        match self.origins.find(line) {
            Found::Exact { rule, own } => {
                Verdict::Allowed { rule, origin: own, source: Source::Fixed }
            }
            Found::Covered { rule } => {
                Verdict::Allowed { rule, origin: line, source: Source::Origin }
            }
            Found::Valid => Verdict::Refused(Reason::OriginNotAllowed),
            Found::Malformed if line == b"null" => match null {
                Some(rule) => Verdict::Allowed {
                    rule,
                    origin: without_nul("null\0").as_bytes(),
                    source: Source::Fixed,
                },
                None => Verdict::Refused(Reason::NullOriginNotAllowed),
            },
            Found::Malformed => Verdict::Refused(Reason::OriginMalformed),
        }
    }

    #[inline(never)]
    fn judge_any_origin<'a, L: Lines<'a>>(
        &'a self,
        lines: L,
        count: usize,
    ) -> Verdict<'a> {
        let AnyOrigin::Reflected { null } = self.any_origin else {
            // The header says `*`, so nobody reads what the origin is.
            return Verdict::Allowed {
                rule: 0,
                origin: without_nul("*\0").as_bytes(),
                source: Source::Fixed,
            };
        };
        if count != 1 {
            return Verdict::Refused(Reason::OriginMalformed);
        }
        let line = lines.line(0);
        match self.origins.find(line) {
            Found::Malformed if line != b"null" => {
                Verdict::Refused(Reason::OriginMalformed)
            }
            Found::Malformed if !null => {
                Verdict::Refused(Reason::NullOriginNotAllowed)
            }
            _ => Verdict::Allowed {
                rule: 0,
                origin: line,
                source: Source::Origin,
            },
        }
    }

    /// What is wrong with the method that is asked for.
    fn judge_method<'a, R: Ask<'a>>(&self, request: R) -> Option<Reason> {
        let method = request.request_method().line(0);
        if request.request_method().count() != 1 {
            return Some(Reason::MethodMalformed);
        }
        if self.lists_method(method) {
            return None;
        }
        match is_token(method) {
            false => Some(Reason::MethodMalformed),
            true => (!self.methods.any).then_some(Reason::MethodNotAllowed),
        }
    }

    /// Whether this is a method that every policy allows, or that this one lists;
    /// it is a token then.
    #[inline(always)]
    fn lists_method(&self, method: &[u8]) -> bool {
        match pack(method) {
            Some(packed) => self.short_methods.contains(&packed),
            None => self.methods.listed.contains(method),
        }
    }

    /// Whether this is a list of headers as browsers send it, all of them listed.
    #[inline(always)]
    fn lists_headers(&self, line: &[u8]) -> bool {
        self.headers.listed.len() <= MAX_REQUEST_HEADERS_ELEMENTS
            && self.headers.listed.has_sorted_list(line)
    }

    /// Judges the list of headers that are asked for.
    pub(crate) fn judge_headers<'a, L: Lines<'a>>(
        &self,
        lines: L,
    ) -> ListVerdict {
        let count = lines.count();
        if count == 1 && self.lists_headers(lines.line(0)) {
            return ListVerdict::Allowed { names: true };
        }
        self.scan_headers(lines)
    }

    #[inline(never)]
    fn scan_headers<'a, L: Lines<'a>>(&self, lines: L) -> ListVerdict {
        let count = lines.count();
        // Even an empty line is an element, so no more lines than this count.
        let most = MAX_REQUEST_HEADERS_ELEMENTS + 1;
        let bytes: usize =
            (0..count.min(most)).map(|i| lines.line(i).len()).sum();
        if bytes > MAX_REQUEST_HEADERS_LEN {
            return ListVerdict::Withheld(Reason::HeadersTooLarge);
        }
        let mut scan = Scan::default();
        for i in 0..count {
            if let Err(reason) = scan.line(self, lines.line(i)) {
                return ListVerdict::Withheld(reason);
            }
        }
        let names = scan.elements > scan.empty;
        if scan.authorization {
            ListVerdict::Withheld(Reason::HeaderNotAllowed)
        } else if scan.unlisted {
            ListVerdict::NotAllowed { names }
        } else {
            ListVerdict::Allowed { names }
        }
    }

    /// Whether the policy allows this header, in any case, to be asked for.
    pub(crate) fn allows_header(&self, name: &[u8]) -> bool {
        self.headers.any && !name.eq_ignore_ascii_case(b"authorization")
            || self.headers.listed.contains_folded(name)
    }

    pub(crate) fn is_same_origin<'a, R: Ask<'a>>(&self, request: R) -> bool {
        let origin = request.origin().line(0);
        if !self.self_origins.is_empty() {
            return self.self_origins.get(origin).is_some();
        }
        if !request.sec_fetch_site().is_empty() {
            return request.sec_fetch_site() == b"same-origin";
        }
        is_own(origin, request.scheme(), request.host())
    }
}

/// Whether an origin is that of a server of this scheme and host.
fn is_own(origin: &[u8], scheme: &[u8], host: &[u8]) -> bool {
    if scheme.is_empty() || host.is_empty() {
        return false;
    }
    let Some((own_scheme, rest)) = origin.split_at_checked(scheme.len()) else {
        return false;
    };
    let default = match default_port(own_scheme) {
        Some(80) => host.strip_suffix(b":80"),
        Some(443) => host.strip_suffix(b":443"),
        _ => None,
    };
    let host = default.unwrap_or(host);
    rest.len() == host.len() + 3
        && own_scheme.eq_ignore_ascii_case(scheme)
        && rest
            .strip_prefix(b"://")
            .is_some_and(|own| own.eq_ignore_ascii_case(host))
}

fn is_preflight<'a, R: Ask<'a>>(request: R) -> bool {
    request.method() == b"OPTIONS" && request.request_method().count() != 0
}

/// The kind of a request that has an `Origin` and is no preflight.
#[inline]
fn kind_with_origin<'a, R: Ask<'a>>(request: R) -> Kind {
    match request.upgrade().count() == 0 && request.protocol().is_empty() {
        true => Kind::Actual,
        false => kind_with_upgrade(request),
    }
}

#[inline(never)]
fn kind_with_upgrade<'a, R: Ask<'a>>(request: R) -> Kind {
    let upgrades = request.upgrade().count();
    let asked = is_websocket(request.protocol())
        || (0..upgrades).any(|i| {
            crate::bytes::members(request.upgrade().line(i)).any(is_websocket)
        });
    if asked { Kind::WebSocket } else { Kind::Actual }
}

/// Whether a protocol, with or without a version, is WebSocket.
fn is_websocket(protocol: &[u8]) -> bool {
    let name = protocol.split(|&b| b == b'/').next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"websocket")
}

/// A decision that gives nothing, and removes all that CORS has.
#[inline]
fn closed<'a, L: Lines<'a>>(kind: Kind) -> Decision<'a, L> {
    Decision {
        kind,
        outcome: Outcome::None,
        reason: Reason::NoPolicy,
        rule: None,
        status: None,
        enforced: true,
        upstream: Upstream::Replace,
        owned: Owned::CORS,
        vary: Vary::NONE,
        variant: 0,
        template: &[],
        origin: b"",
        origin_source: Source::Fixed,
        method: None,
        list: None,
    }
}

/// The state of a scan over the lines of `Access-Control-Request-Headers`.
#[derive(Default)]
struct Scan {
    elements: usize,
    empty: usize,
    /// How many lines named anything, and whether the present one did.
    named_lines: usize,
    named: bool,
    /// A name is not listed.
    unlisted: bool,
    /// `authorization` is not listed, and `*` would let it through.
    authorization: bool,
}

impl Scan {
    fn line(&mut self, policy: &Policy, line: &[u8]) -> Result<(), Reason> {
        let mut rest = Some(line);
        self.named = false;
        while let Some(bytes) = rest {
            rest = self.element(policy, bytes)?;
        }
        Ok(())
    }

    /// Takes one element, and returns what follows its comma, if it has one.
    #[inline]
    fn element<'l>(
        &mut self,
        policy: &Policy,
        bytes: &'l [u8],
    ) -> Result<Option<&'l [u8]>, Reason> {
        self.elements += 1;
        if self.elements > MAX_REQUEST_HEADERS_ELEMENTS {
            return Err(Reason::HeadersTooLarge);
        }
        let (leading, bytes) = skip_spaces(bytes, 0)?;
        let len = bytes.iter().take_while(|&&b| is_token_byte(b)).count();
        let Some((name, bytes)) = bytes.split_at_checked(len) else {
            return Ok(None);
        };
        let (_, bytes) = skip_spaces(bytes, leading)?;
        let rest = match bytes {
            [] => None,
            [b',', rest @ ..] => Some(rest),
            _ => return Err(Reason::HeadersMalformed),
        };
        if name.is_empty() {
            self.empty += 1;
            return match self.empty > MAX_REQUEST_HEADERS_EMPTY {
                true => Err(Reason::HeadersTooLarge),
                false => Ok(rest),
            };
        }
        if !self.named {
            self.named = true;
            self.named_lines += 1;
            if policy.headers.echo && self.named_lines > MAX_ECHO_LINES {
                return Err(Reason::HeadersTooLarge);
            }
        }
        if !policy.allows_header(name) {
            self.unlisted = true;
            self.authorization |= policy.headers.any;
        }
        Ok(rest)
    }
}

/// Skips white space, of which `before` bytes were found around the element.
#[inline]
fn skip_spaces(
    mut bytes: &[u8],
    before: usize,
) -> Result<(usize, &[u8]), Reason> {
    let mut count = before;
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        count += 1;
        bytes = rest;
        if count > MAX_REQUEST_HEADERS_SPACE {
            return Err(Reason::HeadersTooLarge);
        }
    }
    Ok((count, bytes))
}

/// Joins names as a header value.
pub(crate) fn join<'n>(names: impl Iterator<Item = &'n [u8]>) -> Vec<u8> {
    let mut value = Vec::new();
    for name in names {
        if !value.is_empty() {
            value.extend_from_slice(b", ");
        }
        value.extend_from_slice(name);
    }
    value
}
