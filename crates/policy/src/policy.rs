//! A compiled policy, and how it decides.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    answers::{Answer, Answers, Decided, PreflightParts},
    builder::PolicyBuilder,
    bytes::{is_space, is_token, members, split_token},
    decision::{Decision, Kind, Outcome},
    header::{HeaderName, Source},
    origin::{default_port, split_scheme},
    origins::{Found, OriginSet},
    reason::Reason,
    request::{Ask, Lines},
    settings::{Mode, Upstream},
    table::ByteMap,
    text::{Text, without_nul},
    tokens::{TokenSet, pack},
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

/// The most methods that are looked at one after the other.
const FEW_METHODS: usize = 16;

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
    /// All methods that are allowed and fit into a word, in ascending order.
    pub(crate) short_methods: Box<[u64]>,
    pub(crate) headers: Names,
    pub(crate) private_network: bool,
    pub(crate) upstream: Upstream,
    pub(crate) enforced: bool,
    /// Every header list that a decision can have; the first is empty.
    pub(crate) variants: Box<[Box<[TemplateHeader]>]>,
    pub(crate) answers: Answers,
}

/// An answer that is found in a handful of instructions; see
/// [`Policy::judge_quickly`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quick<'p> {
    /// The request has no `Origin`.
    NoOrigin,
    /// It is allowed, and neither a preflight nor an upgrade.
    Allowed {
        /// The entry that is the origin.
        rule: u32,
        /// The policy's copy of the origin.
        origin: &'p [u8],
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
        self.decision(self.judge(request), request)
    }

    /// Which answer a request gets: [`Policy::decide`] for a caller who has those
    /// of the policy ready.
    #[inline(always)]
    pub fn judge<'a, R: Ask<'a>>(&'a self, request: R) -> Decided<'a> {
        let origins = request.origin();
        let count = origins.count();
        if count == 0 {
            return self.decided(self.answers.no_origin());
        }
        let preflight = is_preflight(request);
        let usual = match self.any_origin {
            AnyOrigin::Listed { .. } if count == 1 => {
                self.origins.find_usual(origins.line(0))
            }
            _ => None,
        };
        let (rule, origin, origin_source) = match usual {
            Some(found) => found,
            None => match self.judge_origin(origins) {
                Verdict::Allowed { rule, origin, source } => {
                    (rule, origin, source)
                }
                Verdict::Refused(reason) => {
                    return self.refuse(preflight, reason, request);
                }
            },
        };
        let answer = match preflight {
            true => self.judge_preflight(request),
            false => {
                let kind = kind_with_origin(request);
                self.answers.of_origin(kind, Reason::Allowed)
            }
        };
        Decided { answer, rule, origin, origin_source }
    }

    /// [`Policy::judge`] for most requests of most policies, in a handful of
    /// instructions: those without `Origin`, and those of the one origin that is
    /// listed. It sees no preflights.
    #[inline(always)]
    pub fn judge_quickly<'a, R: Ask<'a>>(
        &'a self,
        request: R,
    ) -> Option<Quick<'a>> {
        let lines = request.origin();
        if lines.count() == 0 {
            return Some(Quick::NoOrigin);
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
        Some(Quick::Allowed { rule, origin })
    }

    /// Whether [`Policy::judge_quickly`] finds any origin.
    #[inline(always)]
    pub fn has_quick_origin(&self) -> bool {
        self.origins.has_one()
    }

    /// What was found quickly, in full.
    pub fn decided_quickly<'a>(&'a self, quick: Quick<'a>) -> Decided<'a> {
        match quick {
            Quick::NoOrigin => self.decided(self.answers.no_origin()),
            Quick::Allowed { rule, origin } => Decided {
                answer: self.answers.of_origin(Kind::Actual, Reason::Allowed),
                rule,
                origin,
                origin_source: Source::Fixed,
            },
        }
    }

    /// The answers that the policy can give, by their numbers.
    pub fn answers(&self) -> &[Answer] {
        self.answers.all()
    }

    /// What was decided on a request, with all that it takes to carry it out.
    #[inline]
    pub fn decision<'a, R: Ask<'a>>(
        &'a self,
        decided: Decided<'a>,
        request: R,
    ) -> Decision<'a, R::Lines> {
        let answer = self.answers().get(usize::from(decided.answer));
        let answer = *answer.unwrap_or(&Answer::CLOSED);
        // Only preflights are echoed, and a host may have to search for a field.
        let preflight = answer.kind == Kind::Preflight;
        Decision {
            answer,
            rule: (decided.rule != Decided::NO_RULE).then_some(decided.rule),
            origin: decided.origin,
            origin_source: decided.origin_source,
            enforced: self.enforced,
            upstream: self.upstream,
            template: self.variant(answer.variant.into()).unwrap_or_default(),
            method: match preflight {
                true => request.request_method().line(0),
                false => b"",
            },
            list: preflight.then(|| request.request_headers()),
        }
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
            answer: Answer {
                kind,
                outcome: Reason::NoPolicy
                    .outcome(kind)
                    .unwrap_or(Outcome::Deny),
                status: (kind == Kind::WebSocket).then_some(403),
                ..Answer::CLOSED
            },
            rule: None,
            origin: b"",
            origin_source: Source::Fixed,
            enforced: true,
            upstream: Upstream::Replace,
            template: &[],
            method: b"",
            list: None,
        }
    }

    /// An answer that allows no origin.
    #[inline]
    fn decided(&self, answer: u8) -> Decided<'_> {
        let origin_source = Source::Fixed;
        let rule = Decided::NO_RULE;
        Decided { answer, rule, origin: b"", origin_source }
    }

    /// The answer to a preflight whose origin is allowed.
    #[inline(never)]
    fn judge_preflight<'a, R: Ask<'a>>(&self, request: R) -> u8 {
        let method = self.judge_method(request.request_method());
        let list = self.judge_headers(request.request_headers());
        let usual = list == ListVerdict::Allowed { names: true };
        match method {
            None if usual && !self.private_network => self.answers.preflight(),
            _ => self.answer_preflight(request, method, list),
        }
    }

    #[inline(never)]
    fn answer_preflight<'a, R: Ask<'a>>(
        &self,
        request: R,
        method: Option<Reason>,
        list: ListVerdict,
    ) -> u8 {
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
        self.answers.of_preflight(reason, parts)
    }

    /// The origin is not listed: it is refused, unless it is the server's own.
    #[inline(never)]
    fn refuse<'a, R: Ask<'a>>(
        &self,
        preflight: bool,
        reason: Reason,
        request: R,
    ) -> Decided<'_> {
        let own =
            reason != Reason::OriginMalformed && self.is_same_origin(request);
        let kind = match preflight {
            true => Kind::Preflight,
            false => kind_with_origin(request),
        };
        let reason = if own { Reason::SameOrigin } else { reason };
        self.decided(self.answers.of_origin(kind, reason))
    }

    #[inline(never)]
    fn judge_origin<'a, L: Lines<'a>>(&'a self, lines: L) -> Verdict<'a> {
        let AnyOrigin::Listed { null } = self.any_origin else {
            return self.judge_any_origin(lines);
        };
        if lines.count() != 1 {
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

    fn judge_any_origin<'a, L: Lines<'a>>(&'a self, lines: L) -> Verdict<'a> {
        let AnyOrigin::Reflected { null } = self.any_origin else {
            // The header says `*`, so nobody reads what the origin is.
            return Verdict::Allowed {
                rule: 0,
                origin: without_nul("*\0").as_bytes(),
                source: Source::Fixed,
            };
        };
        if lines.count() != 1 {
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
    #[inline(always)]
    fn judge_method<'a, L: Lines<'a>>(&self, lines: L) -> Option<Reason> {
        match lines.count() == 1 && self.lists_method(lines.line(0)) {
            true => None,
            false => self.judge_other_method(lines),
        }
    }

    #[inline(never)]
    fn judge_other_method<'a, L: Lines<'a>>(&self, lines: L) -> Option<Reason> {
        match lines.count() == 1 && is_token(lines.line(0)) {
            false => Some(Reason::MethodMalformed),
            true => (!self.methods.any).then_some(Reason::MethodNotAllowed),
        }
    }

    /// Whether this is a method that every policy allows, or that this one lists;
    /// it is a token then.
    #[inline(always)]
    fn lists_method(&self, method: &[u8]) -> bool {
        match pack(method) {
            Some(packed) if self.short_methods.len() <= FEW_METHODS => {
                // contains() calls a function.
                let mut own = self.short_methods.iter();
                own.any(|method| *method == packed)
            }
            Some(packed) => self.short_methods.binary_search(&packed).is_ok(),
            None => self.methods.listed.contains(method),
        }
    }

    /// Judges the list of headers that are asked for.
    #[inline(always)]
    fn judge_headers<'a, L: Lines<'a>>(&self, lines: L) -> ListVerdict {
        match lines.count() {
            0 => ListVerdict::Allowed { names: false },
            1 => self.judge_line(lines.line(0)),
            _ => self.scan_lines(lines),
        }
    }

    #[inline(always)]
    fn judge_line(&self, line: &[u8]) -> ListVerdict {
        if line.len() > MAX_REQUEST_HEADERS_LEN {
            return ListVerdict::Withheld(Reason::HeadersTooLarge);
        }
        // What is made to be slow is told at a glance.
        if line.starts_with(&[b','; MAX_REQUEST_HEADERS_EMPTY + 1]) {
            return ListVerdict::Withheld(Reason::HeadersTooLarge);
        }
        let listed = &self.headers.listed;
        // With more names than a list may have, to look each up costs less.
        let (names, rest) = match listed.len() <= MAX_REQUEST_HEADERS_ELEMENTS {
            true => listed.take_sorted(line),
            false => (0, Some(line)),
        };
        match rest {
            None => ListVerdict::Allowed { names: true },
            Some(rest) => self.scan_line(names, rest),
        }
    }

    /// Judges a line from which so many names have been taken, all of them listed.
    #[inline(never)]
    fn scan_line(&self, names: usize, rest: &[u8]) -> ListVerdict {
        let mut scan = Scan {
            elements: names,
            named_lines: (names > 0).into(),
            named: names > 0,
            ..Scan::default()
        };
        match scan.line(self, rest) {
            Err(reason) => ListVerdict::Withheld(reason),
            Ok(()) => scan.verdict(),
        }
    }

    #[inline(never)]
    fn scan_lines<'a, L: Lines<'a>>(&self, lines: L) -> ListVerdict {
        let count = lines.count();
        let mut bytes = 0_usize;
        for i in 0..count {
            bytes = bytes.saturating_add(lines.line(i).len());
            if bytes > MAX_REQUEST_HEADERS_LEN {
                return ListVerdict::Withheld(Reason::HeadersTooLarge);
            }
        }
        let mut scan = Scan::default();
        for i in 0..count {
            scan.named = false;
            if let Err(reason) = scan.line(self, lines.line(i)) {
                return ListVerdict::Withheld(reason);
            }
        }
        scan.verdict()
    }

    /// Whether the policy allows this header, in any case, to be asked for.
    pub(crate) fn allows_header(&self, name: &[u8]) -> bool {
        self.headers.any && !name.eq_ignore_ascii_case(b"authorization")
            || self.headers.listed.contains_folded(name)
    }

    /// Whether this is the host and port of one of the site's own origins.
    #[cold]
    fn is_own_host(&self, host: &[u8]) -> bool {
        self.self_origins.keys().any(|origin| {
            let parts = split_scheme(origin);
            parts.is_some_and(|(scheme, own)| {
                without_default_port(host, scheme).eq_ignore_ascii_case(own)
            })
        })
    }

    pub(crate) fn is_same_origin<'a, R: Ask<'a>>(&self, request: R) -> bool {
        let origin = request.origin().line(0);
        if !self.self_origins.is_empty() {
            return self.self_origins.get(origin).is_some()
                || origin == b"null"
                    && request.sec_fetch_site() == b"same-origin"
                    && self.is_own_host(request.host());
        }
        if !request.sec_fetch_site().is_empty() {
            return request.sec_fetch_site() == b"same-origin";
        }
        is_own(origin, request.scheme(), request.host())
    }
}

/// The host without the port that an origin of this scheme does not write.
fn without_default_port<'h>(host: &'h [u8], scheme: &[u8]) -> &'h [u8] {
    let default = match default_port(scheme) {
        Some(80) => host.strip_suffix(b":80"),
        Some(443) => host.strip_suffix(b":443"),
        _ => None,
    };
    default.unwrap_or(host)
}

/// Whether an origin is that of a server of this scheme and host.
fn is_own(origin: &[u8], scheme: &[u8], host: &[u8]) -> bool {
    if scheme.is_empty() || host.is_empty() {
        return false;
    }
    let Some((own_scheme, rest)) = origin.split_at_checked(scheme.len()) else {
        return false;
    };
    let host = without_default_port(host, own_scheme);
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
    let asked = is_session(request.protocol())
        || (0..upgrades).any(|i| names_websocket(request.upgrade().line(i)));
    if asked { Kind::WebSocket } else { Kind::Actual }
}

/// Whether a line of `Upgrade` asks for a WebSocket.
pub fn names_websocket(line: &[u8]) -> bool {
    members(line).any(is_websocket)
}

/// Whether an upgrade, with or without a version, is to WebSocket.
fn is_websocket(protocol: &[u8]) -> bool {
    names(protocol, &["websocket"])
}

/// Whether the `:protocol` of an extended CONNECT opens a session that browsers do
/// not apply CORS to: WebSocket (RFC 8441) or WebTransport.
fn is_session(protocol: &[u8]) -> bool {
    names(protocol, &["websocket", "webtransport", "webtransport-h3"])
}

/// Whether a protocol, with or without a version, is one of these.
fn names(protocol: &[u8], wanted: &[&str]) -> bool {
    let name = protocol.split(|&b| b == b'/').next().unwrap_or_default();
    wanted.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
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
    #[inline(always)]
    fn line(&mut self, policy: &Policy, line: &[u8]) -> Result<(), Reason> {
        let mut rest = Some(line);
        while let Some(bytes) = rest {
            let bytes = self.skip_empty(bytes)?;
            rest = self.element(policy, bytes)?;
        }
        Ok(())
    }

    /// What was found, if nothing was wrong with any line.
    fn verdict(&self) -> ListVerdict {
        let names = self.elements > self.empty;
        if self.authorization {
            ListVerdict::Withheld(Reason::HeaderNotAllowed)
        } else if self.unlisted {
            ListVerdict::NotAllowed { names }
        } else {
            ListVerdict::Allowed { names }
        }
    }

    /// Takes elements of nothing, each with its comma.
    #[inline(always)]
    fn skip_empty<'l>(
        &mut self,
        mut bytes: &'l [u8],
    ) -> Result<&'l [u8], Reason> {
        let mut left = MAX_REQUEST_HEADERS_EMPTY - self.empty;
        while let [b',', rest @ ..] | [b' ', b',', rest @ ..] = bytes {
            left = left.checked_sub(1).ok_or(Reason::HeadersTooLarge)?;
            bytes = rest;
        }
        let empty = MAX_REQUEST_HEADERS_EMPTY - left;
        self.elements += empty - self.empty;
        self.empty = empty;
        Ok(bytes)
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
        let (name, bytes) = split_token(bytes);
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
