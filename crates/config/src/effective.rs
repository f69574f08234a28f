//! A policy with its defaults: what only several values together make wrong, and
//! what the engine makes of it.

use foldhash::{HashSet, HashSetExt};
use libcors_policy::{
    BuildError, HostPattern, INSECURE_SCHEMES, OriginPattern, Policy,
    TuplePattern,
};

use crate::{
    codes::{self, Id},
    diagnostic::{Report, Sink},
    layer::{Field, Item, Layer, List},
    origins::{Origin, secure_form},
    regex::Unbounded,
    source::{Span, quote},
    spec::{
        Disallowed, Flag, Mode, OriginEntry, PolicySpec, Preflight,
        UpstreamHeaders,
    },
    suffix::{self, Under},
};

/// A policy, and the defaults that it starts from.
#[derive(Clone, Copy)]
pub(crate) struct Effective<'l> {
    policy: &'l Layer<'l>,
    defaults: Option<&'l Layer<'l>>,
}

/// The value of a key, and the table that it stands in.
struct Given<'l, T> {
    layer: &'l Layer<'l>,
    field: &'l Field<T>,
}

impl<'l, T> Given<'l, Vec<Item<T>>> {
    fn items(&self) -> &'l [Item<T>] {
        &self.field.value
    }
}

impl<'l> Effective<'l> {
    pub(crate) fn new(
        policy: &'l Layer<'l>,
        defaults: Option<&'l Layer<'l>>,
    ) -> Effective<'l> {
        Effective { policy, defaults }
    }

    /// The value of a key: the policy's, else that of the defaults.
    fn given<T>(
        &self,
        key: fn(&'l Layer<'l>) -> &'l Option<Field<T>>,
    ) -> Option<Given<'l, T>> {
        let layers = [Some(self.policy), self.defaults];
        layers.into_iter().flatten().find_map(|layer| {
            let field = key(layer).as_ref()?;
            Some(Given { layer, field })
        })
    }

    fn list<T>(&self, key: fn(&'l Layer<'l>) -> &'l List<T>) -> &'l [Item<T>] {
        self.given(key).map_or(&[], |given| given.items())
    }

    fn value<T: Copy>(
        &self,
        key: fn(&'l Layer<'l>) -> &'l Option<Field<Option<T>>>,
    ) -> Option<T> {
        self.given(key).and_then(|given| given.field.value)
    }

    fn yes(&self, key: fn(&'l Layer<'l>) -> &'l Option<Field<bool>>) -> bool {
        self.given(key).is_some_and(|given| given.field.value)
    }

    fn flag(&self, flag: Flag) -> bool {
        self.list(|l| &l.flags).iter().any(|item| item.value == flag)
    }

    /// How many entries the lists have together.
    pub(crate) fn entries(&self) -> usize {
        self.list(|l| &l.origins).len()
            + self.list(|l| &l.methods).len()
            + self.list(|l| &l.headers).len()
            + self.list(|l| &l.exposed).len()
            + self.list(|l| &l.self_origins).len()
    }

    /// Reports what is wrong with the values together.
    pub(crate) fn check(&self, sink: &mut Sink) {
        Check { effective: *self, needed: HashSet::new(), sink }.run();
    }

    /// The engine's policy, and what it says but for its origins.
    pub(crate) fn compile(&self) -> Result<(Policy, PolicySpec), BuildError> {
        let spec = self.settings();
        let mut builder = Policy::builder()
            .allow_credentials(spec.allow_credentials)
            .reflect_null(self.flag(Flag::NullOrigin))
            .max_age(spec.max_age)
            .allow_private_network(spec.allow_private_network)
            .timing_allow_origin(spec.timing_allow_origin)
            .preflight(spec.preflight.into())
            .preflight_status(spec.preflight_status)
            .disallowed(spec.disallowed.into())
            .websocket(spec.websocket.into())
            .upstream(spec.upstream_headers.into())
            .mode(spec.mode.into());
        for item in self.list(|l| &l.origins) {
            builder = match &item.value {
                Origin::Exact(origin) => builder.allow_exact_origin(origin),
                Origin::Pattern(pattern) => {
                    builder.allow_origin(pattern.clone())
                }
                Origin::Expression { compiled, .. } => {
                    builder.allow_expression(Box::new(compiled.clone()))
                }
            };
        }
        for method in &spec.allow_methods {
            builder = builder.allow_method(method);
        }
        for name in &spec.allow_headers {
            builder = builder.allow_header(name);
        }
        for name in &spec.expose_headers {
            builder = builder.expose_header(name);
        }
        for origin in &spec.self_origins {
            match OriginPattern::parse(origin) {
                Ok(origin) => builder = builder.self_origin(origin),
                Err(_) => return Err(BuildError::SelfOrigin(origin.clone())),
            }
        }
        Ok((builder.build()?, spec))
    }

    /// The list of allowed origins.
    pub(crate) fn origins(&self) -> Vec<OriginEntry> {
        let origins = self.list(|l| &l.origins).iter();
        origins
            .map(|item| match &item.value {
                Origin::Expression { text, .. } => {
                    OriginEntry::Regex { regex: text.clone() }
                }
                plain => OriginEntry::Plain(plain.as_str().to_owned()),
            })
            .collect()
    }

    /// What the policy says but for its origins.
    fn settings(&self) -> PolicySpec {
        let usual = PolicySpec::default();
        let names = |key| unique(self.list(key));
        PolicySpec {
            allow_origins: Vec::new(),
            allow_methods: names(|l| &l.methods),
            allow_headers: names(|l| &l.headers),
            expose_headers: names(|l| &l.exposed),
            allow_credentials: self.yes(|l| &l.credentials),
            max_age: self.value(|l| &l.max_age),
            allow_private_network: self.yes(|l| &l.private_network),
            timing_allow_origin: self.yes(|l| &l.timing),
            preflight: self
                .value::<Preflight>(|l| &l.preflight)
                .unwrap_or(usual.preflight),
            preflight_status: self
                .value(|l| &l.preflight_status)
                .unwrap_or(usual.preflight_status),
            disallowed: self
                .value::<Disallowed>(|l| &l.disallowed)
                .unwrap_or(usual.disallowed),
            websocket: self
                .value::<Disallowed>(|l| &l.websocket)
                .unwrap_or(usual.websocket),
            self_origins: names(|l| &l.self_origins),
            upstream_headers: self
                .value::<UpstreamHeaders>(|l| &l.upstream)
                .unwrap_or(usual.upstream_headers),
            mode: self.value::<Mode>(|l| &l.mode).unwrap_or(usual.mode),
            dangerously_allow: self
                .list(|l| &l.flags)
                .iter()
                .map(|item| item.value)
                .collect(),
        }
    }
}

/// The names, each once: the first one stays.
fn unique(items: &[Item<String>]) -> Vec<String> {
    let mut seen = HashSet::with_capacity(items.len());
    items
        .iter()
        .filter(|item| seen.insert(item.value.as_str()))
        .map(|item| item.value.clone())
        .collect()
}

/// The checks of one policy.
struct Check<'l, 's> {
    effective: Effective<'l>,
    /// The flags that something in the policy needs.
    needed: HashSet<Flag>,
    sink: &'s mut Sink,
}

impl<'l> Check<'l, '_> {
    fn run(&mut self) {
        let Some(origins) = self.effective.given(|l| &l.origins) else {
            let Layer { span, path, .. } = self.effective.policy;
            self.sink.add(&codes::NO_ORIGINS, *span, || {
                let message = "the policy has no list of allowed origins";
                Report::new(path.clone(), message)
                    .hint(Some("add allow_origins = [\"https://…\"]"))
            });
            return;
        };
        let credentials = self
            .effective
            .given(|l| &l.credentials)
            .filter(|given| given.field.value);
        self.origins(&origins, credentials.as_ref());
        if let Some(credentials) = &credentials {
            self.exposed(credentials);
        }
        self.upstream();
        self.private_network();
        self.reject();
        self.flags(origins.field.whole);
    }

    fn origins(
        &mut self,
        origins: &Given<'l, Vec<Item<Origin<'l>>>>,
        credentials: Option<&Given<'l, bool>>,
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
                        Under::Owned => {}
                        Under::Public(name) => {
                            self.suffix(origins, item, tuple, name);
                        }
                        Under::Unknown(name) => {
                            unknown.get_or_insert((item, name));
                        }
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
        layer: &Layer,
        report: impl FnOnce() -> Report,
    ) {
        self.needed.insert(flag);
        if self.effective.flag(flag) {
            return;
        }
        let policy = self.effective.policy;
        self.sink.add_shared(code, span, || {
            let report = report();
            // The defaults cannot accept it, so the policies must.
            match std::ptr::eq(layer, policy) {
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
        origins: &Given<'l, Vec<Item<Origin<'l>>>>,
        item: &Item<Origin<'l>>,
        credentials: Option<&Given<'l, bool>>,
    ) {
        let Some(credentials) = credentials else { return };
        // With credentials `null` is one more origin that is reflected, or not.
        self.needed.insert(Flag::NullOrigin);
        let flag = Flag::AnyOriginWithCredentials;
        let path = origins.layer.at("allow_origins", Some(item.index));
        let code = &codes::ANY_WITH_CREDENTIALS;
        self.danger(flag, code, item.span, origins.layer, || {
            let message = "any origin is allowed with credentials, so every \
                           site may act as the signed-in user";
            Report::new(path, message)
                .hint(Some(format!(
                    "list the origins that need it, or write \
                     allow_credentials = false; else {}",
                    add_flag(flag)
                )))
                .related(
                    credentials.field.key.to(credentials.field.span),
                    credentials.layer.at("allow_credentials", None),
                    "credentials are allowed here",
                )
        });
    }

    fn null(
        &mut self,
        origins: &Given<'l, Vec<Item<Origin<'l>>>>,
        item: &Item<Origin<'l>>,
        credentials: bool,
    ) {
        if credentials {
            // Whoever thinks of `null` as insecure is not wrong.
            self.needed.insert(Flag::InsecureOrigins);
        }
        let flag = Flag::NullOrigin;
        let path = origins.layer.at("allow_origins", Some(item.index));
        let code = &codes::NULL_ORIGIN;
        self.danger(flag, code, item.span, origins.layer, || {
            let message = "`null` is allowed, which anyone's page has in a \
                           sandboxed frame";
            let hint = format!("remove it, or {}", add_flag(flag));
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn suffix(
        &mut self,
        origins: &Given<'l, Vec<Item<Origin<'l>>>>,
        item: &Item<Origin<'l>>,
        tuple: &TuplePattern,
        name: &str,
    ) {
        let flag = Flag::PublicSuffix;
        let path = origins.layer.at("allow_origins", Some(item.index));
        let code = &codes::PUBLIC_SUFFIX;
        self.danger(flag, code, item.span, origins.layer, || {
            let message = match name {
                "" => format!(
                    "the wildcard of {} stands in a top-level domain",
                    quote(tuple.as_str())
                ),
                _ => format!(
                    "the wildcard of {} stands right under the public suffix \
                     {}, where anyone can get a name",
                    quote(tuple.as_str()),
                    quote(name)
                ),
            };
            let hint = match tuple.host() {
                HostPattern::Subdomains(name) => format!(
                    "write \"{}://*.NAME.{name}\" with a name of yours, or {}",
                    tuple.scheme(),
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
        origins: &Given<'l, Vec<Item<Origin<'l>>>>,
        item: &Item<Origin<'l>>,
        name: &str,
    ) {
        let flag = Flag::PublicSuffix;
        let path = origins.layer.at("allow_origins", Some(item.index));
        let code = &codes::SUFFIX_UNKNOWN;
        self.danger(flag, code, item.span, origins.layer, || {
            let message = format!(
                "{} lets in strangers if {} is a public suffix, and this \
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
        origins: &Given<'l, Vec<Item<Origin<'l>>>>,
        item: &Item<Origin<'l>>,
        example: Option<&str>,
        credentials: &Given<'l, bool>,
    ) {
        let flag = Flag::InsecureOrigins;
        let path = origins.layer.at("allow_origins", Some(item.index));
        let code = &codes::INSECURE_ORIGIN;
        self.danger(flag, code, item.span, origins.layer, || {
            let text = item.value.as_str();
            let secure = item.value.tuple().and_then(|t| secure_form(&t));
            let which = match example {
                Some(example) => {
                    format!("{} admits {}", quote(text), quote(example))
                }
                None => format!("{} is allowed", quote(text)),
            };
            let message = format!(
                "{which} with credentials, so whoever can alter its pages on \
                 their way may act as the signed-in user"
            );
            let hint = match secure {
                Some(secure) => {
                    format!("write \"{secure}\", or {}", add_flag(flag))
                }
                None => add_flag(flag),
            };
            Report::new(path, message).hint(Some(hint)).related(
                credentials.field.key.to(credentials.field.span),
                credentials.layer.at("allow_credentials", None),
                "credentials are allowed here",
            )
        });
    }

    fn unbounded(
        &mut self,
        origins: &Given<'l, Vec<Item<Origin<'l>>>>,
        item: &Item<Origin<'l>>,
        text: &str,
        unbounded: &Unbounded,
    ) {
        let flag = Flag::UnboundedRegex;
        let path = origins.layer.at("allow_origins", Some(item.index));
        let code = &codes::UNBOUNDED_REGEX;
        self.danger(flag, code, item.span, origins.layer, || {
            let message = format!(
                "{} lets in {}, {}",
                quote(text),
                quote(unbounded.origin()),
                unbounded.why()
            );
            let hint = format!(
                "write out the domains, with `\\.` for each dot, or {}",
                add_flag(flag)
            );
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn plain_http(
        &mut self,
        origins: &Given<'l, Vec<Item<Origin<'l>>>>,
        item: &Item<Origin<'l>>,
        https: Option<&Item<Origin<'l>>>,
    ) {
        let Some(https) = https else { return };
        let path = origins.layer.at("allow_origins", Some(item.index));
        let https_path = origins.layer.at("allow_origins", Some(https.index));
        self.sink.add_shared(&codes::ORIGIN_HTTP, item.span, || {
            let message = format!(
                "{} is plain http beside https origins: its pages can be \
                 altered on their way",
                quote(item.value.as_str())
            );
            let secure = item.value.tuple().and_then(|t| secure_form(&t));
            Report::new(path, message)
                .hint(secure.map(|secure| format!("write \"{secure}\"")))
                .related(https.span, https_path, "this is https")
        });
    }

    fn exposed(&mut self, credentials: &Given<'l, bool>) {
        let Some(exposed) = self.effective.given(|l| &l.exposed) else {
            return;
        };
        let star = exposed.items().iter().find(|item| item.value == "*");
        let Some(star) = star else { return };
        let path = exposed.layer.at("expose_headers", Some(star.index));
        self.sink.add_shared(&codes::EXPOSE_ANY, star.span, || {
            let message = "`*` exposes nothing with credentials: browsers take \
                           it for a header's name";
            Report::new(path, message)
                .hint(Some("write out the names of the headers"))
                .related(
                    credentials.field.key.to(credentials.field.span),
                    credentials.layer.at("allow_credentials", None),
                    "credentials are allowed here",
                )
        });
    }

    fn upstream(&mut self) {
        let Some(upstream) = self
            .effective
            .given(|l| &l.upstream)
            .filter(|given| given.field.value == Some(UpstreamHeaders::Keep))
        else {
            return;
        };
        let flag = Flag::UpstreamCors;
        let path = upstream.layer.at("upstream_headers", None);
        let span = upstream.field.span;
        let code = &codes::UPSTREAM_CORS;
        self.danger(flag, code, span, upstream.layer, || {
            let message = "an application that sends CORS headers of its own \
                           overrides the policy";
            let hint = format!("write \"replace\", or {}", add_flag(flag));
            Report::new(path, message).hint(Some(hint))
        });
    }

    fn private_network(&mut self) {
        let Some(given) = self
            .effective
            .given(|l| &l.private_network)
            .filter(|given| given.field.value)
        else {
            return;
        };
        let path = given.layer.at("allow_private_network", None);
        let span = given.field.span;
        self.sink.add_shared(&codes::PRIVATE_NETWORK, span, || {
            let message = "browsers have replaced private-network preflights \
                           by a question to the user";
            Report::new(path, message)
                .hint(Some("remove it, unless old browsers need it"))
        });
    }

    fn reject(&mut self) {
        let Some(given) = self
            .effective
            .given(|l| &l.disallowed)
            .filter(|given| given.field.value == Some(Disallowed::Reject))
        else {
            return;
        };
        let own = self.effective.given(|l| &l.self_origins);
        let known =
            own.is_some_and(|own| !own.items().is_empty() || !own.field.whole);
        if known {
            return;
        }
        let path = given.layer.at("disallowed", None);
        let span = given.field.span;
        self.sink.add_shared(&codes::REJECT_WITHOUT_SELF, span, || {
            let message = "requests are rejected, and without `self_origins` \
                           the site's own may be among them";
            let hint = "add self_origins = [\"https://…\"] with the origins \
                        of the site itself";
            Report::new(path, message).hint(Some(hint))
        });
    }

    /// Reports the flags that nothing needs; not if some of the origins could
    /// not be read, which may need them.
    fn flags(&mut self, whole: bool) {
        if !whole {
            return;
        }
        for item in self.effective.list(|l| &l.flags) {
            if self.needed.contains(&item.value) {
                continue;
            }
            let path =
                self.effective.policy.at("dangerously_allow", Some(item.index));
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
