//! The checks of a policy as a whole: errors and warnings about values that are
//! valid by themselves.

use foldhash::{HashSet, HashSetExt};
use libcors_policy::{
    Disallowed, HostPattern, INSECURE_SCHEMES, MAX_TIMING_LIST, OriginPattern,
    Timing, TuplePattern, Upstream,
};

use crate::{
    codes::{self, Id},
    diagnostic::{Report, Sink},
    origins::{Origin, secure_form},
    reader::Item,
    regex::Unbounded,
    resolve::{ResolvedPolicy, Setting},
    settings::{Flag, PolicyTable},
    source::{Span, quote},
    suffix::{self, SuffixKind},
};

/// The checks of one policy.
struct Check<'l, 's> {
    resolved: ResolvedPolicy<'l>,
    /// The flags that something in the policy needs.
    needed: HashSet<Flag>,
    sink: &'s mut Sink,
}

type Origins<'l> = Setting<'l, Vec<Item<Origin<'l>>>>;
type Credentials<'l> = Setting<'l, Option<bool>>;

/// Reports what is wrong with the values of a policy together.
pub(crate) fn check(resolved: ResolvedPolicy<'_>, sink: &mut Sink) {
    Check { resolved, needed: HashSet::new(), sink }.run();
}

impl<'l> Check<'l, '_> {
    fn run(&mut self) {
        let Some(origins) = self.resolved.find(|t| &t.allow_origins) else {
            let PolicyTable { span, path, .. } = self.resolved.policy;
            self.sink.add(&codes::NO_ORIGINS, *span, || {
                let message = "missing key `allow_origins`";
                Report::new(path.clone(), message)
                    .hint(Some("add allow_origins = [\"https://…\"]"))
            });
            return;
        };
        let credentials =
            self.resolved.find_value(|t| &t.allow_credentials, true);
        self.origins(&origins, credentials.as_ref());
        if let Some(credentials) = &credentials {
            self.exposed(credentials);
        }
        self.upstream();
        self.private_network();
        self.reject();
        self.constant_origin(&origins);
        self.timing(&origins, credentials.is_some());
        self.flags(origins.field.is_complete);
    }

    fn origins(
        &mut self,
        origins: &Origins<'l>,
        credentials: Option<&Credentials<'l>>,
    ) {
        let items = origins.items();
        let https = items.iter().find(|item| item.value.has_scheme("https"));
        let insecure = |check: &mut Self, item| match credentials {
            Some(credentials) => {
                check.insecure(origins, item, None, credentials);
            }
            None => check.plain_http(origins, item, https),
        };
        let mut unknown = None;
        for item in items {
            match &item.value {
                Origin::Pattern(OriginPattern::Any) => {
                    self.any(origins, item, credentials);
                }
                Origin::Pattern(OriginPattern::Null) => {
                    self.null(origins, item, credentials.is_some());
                }
                Origin::Pattern(OriginPattern::Tuple(tuple)) => {
                    match suffix::under(tuple) {
                        SuffixKind::Owned => {}
                        SuffixKind::Public(name) => {
                            self.suffix(origins, item, tuple, name);
                        }
                        SuffixKind::Unknown(name) => {
                            unknown.get_or_insert((item, name));
                        }
                    }
                    if tuple.host() == HostPattern::Any
                        && let Some(credentials) = credentials
                    {
                        self.any_app(origins, item, tuple, credentials);
                    }
                    if tuple.is_insecure() {
                        insecure(self, item);
                    }
                }
                Origin::Exact(_) => {
                    if INSECURE_SCHEMES.iter().any(|s| item.value.has_scheme(s))
                        && item.value.tuple().is_some_and(|t| t.is_insecure())
                    {
                        insecure(self, item);
                    }
                }
                Origin::Network { network, .. } => {
                    if let Some(credentials) = credentials
                        && network.is_insecure()
                    {
                        self.insecure(origins, item, None, credentials);
                    }
                }
                Origin::Expression { text, compiled } => {
                    if let Some(unbounded) = compiled.unbounded() {
                        self.unbounded(origins, item, text, unbounded);
                    }
                    if let (Some(example), Some(credentials)) =
                        (compiled.insecure(), credentials)
                    {
                        let example = Some(example);
                        self.insecure(origins, item, example, credentials);
                    }
                }
            }
        }
        if let Some((item, name)) = unknown {
            self.unknown_suffix(origins, item, name);
        }
    }

    /// Reports a danger, unless the policy accepts it.
    fn danger(
        &mut self,
        flag: Flag,
        code: &'static Id,
        span: Span,
        table: &PolicyTable<'_>,
        report: impl FnOnce() -> Report,
    ) {
        self.needed.insert(flag);
        if self.resolved.has_flag(flag) {
            return;
        }
        let policy = self.resolved.policy;
        self.sink.add_shared(code, span, || {
            let report = report();
            // The defaults cannot accept it, so the policies must.
            match std::ptr::eq(table, policy) {
                true => report,
                false => report.related(
                    policy.span,
                    policy.path.clone(),
                    format!("{} starts from it", quote(&policy.path)),
                ),
            }
        });
    }

    fn any(
        &mut self,
        origins: &Origins<'l>,
        item: &Item<Origin<'l>>,
        credentials: Option<&Credentials<'l>>,
    ) {
        let Some(credentials) = credentials else { return };
        // With credentials `null` is one more origin that is reflected, or not.
        self.needed.insert(Flag::NullOrigin);
        let flag = Flag::AnyOriginWithCredentials;
        let path = origins.table.at("allow_origins", Some(item.index));
        let code = &codes::ANY_WITH_CREDENTIALS;
        self.danger(flag, code, item.span, origins.table, || {
            let message = "any origin is allowed with credentials: every site \
                           could act as the signed-in user";
            Report::new(path, message)
                .hint(Some(format!(
                    "list the origins that need it, or write \
                     allow_credentials = false; else {}",
                    add_flag(flag)
                )))
                .related(
                    credentials.field.key.to(credentials.field.span),
                    credentials.table.at("allow_credentials", None),
                    "credentials are allowed here",
                )
        });
    }

    fn null(
        &mut self,
        origins: &Origins<'l>,
        item: &Item<Origin<'l>>,
        credentials: bool,
    ) {
        if credentials {
            // Whoever thinks of `null` as insecure is not wrong.
            self.needed.insert(Flag::InsecureOrigins);
        }
        let flag = Flag::NullOrigin;
        let path = origins.table.at("allow_origins", Some(item.index));
        let code = &codes::NULL_ORIGIN;
        self.danger(flag, code, item.span, origins.table, || {
            let message = "`null` is sent by sandboxed frames of any site";
            let hint = format!("remove it, or {}", add_flag(flag));
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn suffix(
        &mut self,
        origins: &Origins<'l>,
        item: &Item<Origin<'l>>,
        tuple: &TuplePattern,
        name: &str,
    ) {
        let flag = Flag::PublicSuffix;
        let path = origins.table.at("allow_origins", Some(item.index));
        let code = &codes::PUBLIC_SUFFIX;
        self.danger(flag, code, item.span, origins.table, || {
            let message = match name {
                "" => format!(
                    "the wildcard of {} is part of a top-level domain",
                    quote(tuple.as_str())
                ),
                _ => format!(
                    "the wildcard of {} is right under the public suffix {}, \
                     where anyone can register a name",
                    quote(tuple.as_str()),
                    quote(name)
                ),
            };
            let hint = match tuple.host() {
                HostPattern::Subdomains(name) => format!(
                    "write \"{}://*.NAME.{name}{}\" with a name of yours, or \
                     {}",
                    tuple.scheme(),
                    tuple.port_str(),
                    add_flag(flag)
                ),
                _ => format!("write the hosts out, or {}", add_flag(flag)),
            };
            Report::new(path, message).hint(Some(hint))
        });
    }

    /// Warns that nothing is known of the name that a wildcard stands under.
    fn unknown_suffix(
        &mut self,
        origins: &Origins<'l>,
        item: &Item<Origin<'l>>,
        name: &str,
    ) {
        let flag = Flag::PublicSuffix;
        let path = origins.table.at("allow_origins", Some(item.index));
        let code = &codes::SUFFIX_UNKNOWN;
        self.danger(flag, code, item.span, origins.table, || {
            let message = format!(
                "{} matches sites of anyone if {} is a public suffix, and this \
                 library was built without the list of them",
                quote(item.value.as_str()),
                quote(name)
            );
            let hint =
                format!("let `cors check` look at it, or {}", add_flag(flag));
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn insecure(
        &mut self,
        origins: &Origins<'l>,
        item: &Item<Origin<'l>>,
        example: Option<&str>,
        credentials: &Credentials<'l>,
    ) {
        let flag = Flag::InsecureOrigins;
        let path = origins.table.at("allow_origins", Some(item.index));
        let code = &codes::INSECURE_ORIGIN;
        self.danger(flag, code, item.span, origins.table, || {
            let text = item.value.as_str();
            let secure = item.value.tuple().and_then(|t| secure_form(&t));
            let which = match example {
                Some(example) => {
                    format!("{} matches {}", quote(text), quote(example))
                }
                None => format!("{} is allowed", quote(text)),
            };
            let message = format!(
                "{which} with credentials: a network attacker could act as the \
                 signed-in user"
            );
            let hint = match secure {
                Some(secure) => {
                    format!("write \"{secure}\", or {}", add_flag(flag))
                }
                None => add_flag(flag),
            };
            Report::new(path, message).hint(Some(hint)).related(
                credentials.field.key.to(credentials.field.span),
                credentials.table.at("allow_credentials", None),
                "credentials are allowed here",
            )
        });
    }

    fn unbounded(
        &mut self,
        origins: &Origins<'l>,
        item: &Item<Origin<'l>>,
        text: &str,
        unbounded: &Unbounded,
    ) {
        let flag = Flag::UnboundedRegex;
        let path = origins.table.at("allow_origins", Some(item.index));
        let code = &codes::UNBOUNDED_REGEX;
        self.danger(flag, code, item.span, origins.table, || {
            let message = format!(
                "{} matches {}, {}",
                quote(text),
                quote(unbounded.origin()),
                unbounded.why()
            );
            let hint = format!(
                "write out the domains, with `\\.` for each dot (for IP \
                 addresses write {{ network = \"…\", scheme = \"…\" }}), or {}",
                add_flag(flag)
            );
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn plain_http(
        &mut self,
        origins: &Origins<'l>,
        item: &Item<Origin<'l>>,
        https: Option<&Item<Origin<'l>>>,
    ) {
        let Some(https) = https else { return };
        let path = origins.table.at("allow_origins", Some(item.index));
        let https_path = origins.table.at("allow_origins", Some(https.index));
        self.sink.add_shared(&codes::ORIGIN_HTTP, item.span, || {
            let message = format!(
                "{} is a plain-http origin in a list with https origins: its \
                 pages can be altered in transit",
                quote(item.value.as_str())
            );
            let secure = item.value.tuple().and_then(|t| secure_form(&t));
            Report::new(path, message)
                .hint(secure.map(|secure| format!("write \"{secure}\"")))
                .related(https.span, https_path, "this is https")
        });
    }

    fn exposed(&mut self, credentials: &Credentials<'l>) {
        let Some(exposed) = self.resolved.find(|t| &t.expose_headers) else {
            return;
        };
        let star = exposed.items().iter().find(|item| item.value == "*");
        let Some(star) = star else { return };
        let path = exposed.table.at("expose_headers", Some(star.index));
        self.sink.add_shared(&codes::EXPOSE_ANY, star.span, || {
            let message = "`*` exposes nothing with credentials: browsers treat \
                           it as a header name";
            Report::new(path, message)
                .hint(Some("write out the names of the headers"))
                .related(
                    credentials.field.key.to(credentials.field.span),
                    credentials.table.at("allow_credentials", None),
                    "credentials are allowed here",
                )
        });
    }

    fn upstream(&mut self) {
        let Some(upstream) =
            self.resolved.find_value(|t| &t.upstream_headers, Upstream::Keep)
        else {
            return;
        };
        let flag = Flag::UpstreamCors;
        let path = upstream.table.at("upstream_headers", None);
        let span = upstream.field.span;
        let code = &codes::UPSTREAM_CORS;
        self.danger(flag, code, span, upstream.table, || {
            let message = "an application that sends CORS headers of its own \
                           overrides the policy";
            let hint = format!("write \"replace\", or {}", add_flag(flag));
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn private_network(&mut self) {
        let Some(given) =
            self.resolved.find_value(|t| &t.allow_private_network, true)
        else {
            return;
        };
        let path = given.table.at("allow_private_network", None);
        let span = given.field.span;
        self.sink.add_shared(&codes::PRIVATE_NETWORK, span, || {
            let message = "browsers have replaced private-network preflights \
                           by a permission prompt";
            Report::new(path, message)
                .hint(Some("remove it, unless old browsers need it"))
        });
    }

    /// Warns of requests that are rejected where the site's own origins are not
    /// known.
    fn reject(&mut self) {
        let own = self.resolved.find(|t| &t.self_origins);
        let known = own.is_some_and(|own| {
            !own.items().is_empty() || !own.field.is_complete
        });
        if known {
            return;
        }
        let reject = Disallowed::Reject;
        for (key, what, found) in [
            (
                "disallowed",
                "requests",
                self.resolved.find_value(|t| &t.disallowed, reject),
            ),
            (
                "websocket",
                "WebSockets",
                self.resolved.find_value(|t| &t.websocket, reject),
            ),
        ] {
            let Some(given) = found else { continue };
            let path = given.table.at(key, None);
            let span = given.field.span;
            self.sink.add_shared(&codes::REJECT_WITHOUT_SELF, span, || {
                let message = format!(
                    "{what} are rejected without `self_origins`: behind TLS \
                     termination the site's own may be rejected, and those of \
                     a page that rebinds its name to this server are not"
                );
                let hint = "add self_origins = [\"https://…\"] with the \
                            origins of the site itself";
                Report::new(path, message).hint(Some(hint))
            });
        }
    }

    /// Reports a constant origin where there is not exactly one.
    fn constant_origin(&mut self, origins: &Origins<'l>) {
        let Some(constant) =
            self.resolved.find_value(|t| &t.constant_origin, true)
        else {
            return;
        };
        let one_exact =
            matches!(origins.items(), [Item { value: Origin::Exact(_), .. }]);
        if one_exact || !origins.field.is_complete {
            return;
        }
        let path = constant.table.at("constant_origin", None);
        let span = constant.field.span;
        self.sink.add_shared(&codes::CONSTANT_ORIGIN, span, || {
            let message = match origins.items() {
                [_] => "`constant_origin` requires an exact origin in \
                        `allow_origins`"
                    .to_owned(),
                items => format!(
                    "`constant_origin` requires exactly one entry in \
                     `allow_origins`, which has {}",
                    items.len()
                ),
            };
            Report::new(path, message)
                .hint(Some(
                    "write one origin, or remove constant_origin and let \
                     caches honour Vary",
                ))
                .related(
                    origins.field.key.to(origins.field.span),
                    origins.table.at("allow_origins", None),
                    "the origins are listed here",
                )
        });
    }

    /// Warns where `Timing-Allow-Origin` cannot list the origins, so that what is
    /// fetched without an `Origin` stays hidden.
    fn timing(&mut self, origins: &Origins<'l>, credentials: bool) {
        let Some(timing) = self
            .resolved
            .find_value(|t| &t.timing_allow_origin, Timing::AllowedOrigins)
        else {
            return;
        };
        let mut len = 0;
        let mut pattern = None;
        for item in origins.items() {
            match &item.value {
                Origin::Exact(origin) => len += origin.as_str().len() + 2,
                Origin::Pattern(OriginPattern::Any) if !credentials => return,
                _ => {
                    pattern.get_or_insert(item);
                }
            }
        }
        if pattern.is_none() && len <= MAX_TIMING_LIST + 2 {
            return;
        }
        let path = timing.table.at("timing_allow_origin", None);
        let span = timing.field.span;
        self.sink.add_shared(&codes::TIMING_HIDDEN, span, || {
            let message = match pattern {
                Some(item) => format!(
                    "the timing of images, scripts and styles stays hidden, \
                     as {} is not an exact origin: they send no Origin, and a \
                     list in Timing-Allow-Origin takes exact ones",
                    quote(item.value.as_str())
                ),
                None => format!(
                    "the timing of images, scripts and styles stays hidden: \
                     they send no Origin, and the list of origins is longer \
                     than {MAX_TIMING_LIST} bytes"
                ),
            };
            Report::new(path, message).hint(Some(
                "write \"*\" if every site may see how long they take, or \
                 list fewer origins, each written out",
            ))
        });
    }

    /// Reports every host of an app's scheme with credentials.
    fn any_app(
        &mut self,
        origins: &Origins<'l>,
        item: &Item<Origin<'l>>,
        tuple: &TuplePattern,
        credentials: &Credentials<'l>,
    ) {
        let flag = Flag::AnyAppOrigin;
        let path = origins.table.at("allow_origins", Some(item.index));
        let code = &codes::ANY_APP_ORIGIN;
        self.danger(flag, code, item.span, origins.table, || {
            let message = format!(
                "{} is allowed with credentials: every app or extension of \
                 this scheme could act as the signed-in user",
                quote(tuple.as_str())
            );
            let hint = format!(
                "list the origins that need it, such as \"{}://ID\", or {}",
                tuple.scheme(),
                add_flag(flag)
            );
            Report::new(path, message).hint(Some(hint)).related(
                credentials.field.key.to(credentials.field.span),
                credentials.table.at("allow_credentials", None),
                "credentials are allowed here",
            )
        });
    }

    /// Reports the flags that nothing needs; not if some of the origins could
    /// not be read, which may need them.
    fn flags(&mut self, is_complete: bool) {
        if !is_complete {
            return;
        }
        for item in self.resolved.list(|t| &t.dangerously_allow) {
            if self.needed.contains(&item.value) {
                continue;
            }
            let path =
                self.resolved.policy.at("dangerously_allow", Some(item.index));
            self.sink.add(&codes::FLAG_UNUSED, item.span, || {
                let message = format!(
                    "nothing in the policy needs the flag {}",
                    quote(item.value.as_str())
                );
                Report::new(path, message).hint(Some("remove it"))
            });
        }
    }
}

fn add_flag(flag: Flag) -> String {
    format!("add \"{}\" to dangerously_allow", flag.as_str())
}
