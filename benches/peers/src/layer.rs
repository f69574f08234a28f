//! libcors as a layer of tower, for the benches alone: it is measured beside
//! tower-http's, which writes into the same `HeaderMap`.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response, StatusCode, header};
use libcors_config::Policies;
use libcors_policy::{
    Ask, Decision, HeaderName, Lines, Policy, Source, Upstream, Vary,
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

/// A policy with its header lists as `http` has them.
pub struct Prepared {
    policies: Policies,
    /// For each variant: names, and values where they are fixed.
    lists: Vec<Vec<Entry>>,
    /// By the engine's number.
    names: Vec<header::HeaderName>,
    /// For each set of names, by its bits.
    vary: Vec<header::HeaderValue>,
}

struct Entry {
    name: HeaderName,
    value: Option<header::HeaderValue>,
}

impl Prepared {
    /// Takes the first policy of a document.
    pub fn new(policies: Policies) -> Prepared {
        let policy = first(&policies);
        let list = |number| {
            let list = policy.variant(number).unwrap_or_default();
            let entry = |header: &libcors_policy::TemplateHeader| Entry {
                name: header.name(),
                value: (header.source() == Source::Fixed)
                    .then(|| value(header.value())),
            };
            list.iter().map(entry).collect()
        };
        let lists = (0..policy.variant_count()).map(list).collect();
        let vary = (0..8).map(|bits| {
            let names: Vec<_> = Vary::from_bits(bits).names().collect();
            value(names.join(", ").as_bytes())
        });
        let mut names = vec![header::ORIGIN; 16];
        for name in HeaderName::ALL {
            names[name as usize] =
                header::HeaderName::from_static(name.as_lower_str());
        }
        Prepared { lists, names, vary: vary.collect(), policies }
    }

    fn policy(&self) -> &Policy {
        first(&self.policies)
    }
}

fn first(policies: &Policies) -> &Policy {
    policies.nth(0).expect("a policy").policy()
}

fn value(bytes: &[u8]) -> header::HeaderValue {
    header::HeaderValue::from_bytes(bytes).expect("a value of the engine")
}

#[derive(Clone)]
pub struct Cors {
    prepared: Arc<Prepared>,
}

impl Cors {
    pub fn new(policies: Policies) -> Cors {
        Cors { prepared: Arc::new(Prepared::new(policies)) }
    }
}

impl<S> Layer<S> for Cors {
    type Service = CorsService<S>;

    fn layer(&self, inner: S) -> CorsService<S> {
        CorsService { inner, prepared: Arc::clone(&self.prepared) }
    }
}

pub struct CorsService<S> {
    inner: S,
    prepared: Arc<Prepared>,
}

// Constants are copied where they are used; these have a place.
static ORIGIN: header::HeaderName = header::ORIGIN;
static REQUEST_METHOD: header::HeaderName =
    header::ACCESS_CONTROL_REQUEST_METHOD;
static REQUEST_HEADERS: header::HeaderName =
    header::ACCESS_CONTROL_REQUEST_HEADERS;
static UPGRADE: header::HeaderName = header::UPGRADE;
static PRIVATE_NETWORK: header::HeaderName =
    header::HeaderName::from_static("access-control-request-private-network");
static SEC_FETCH_SITE: header::HeaderName =
    header::HeaderName::from_static("sec-fetch-site");

/// The lines of a field; a second one is rare.
#[derive(Clone, Copy)]
struct MapLines<'r> {
    first: Option<&'r header::HeaderValue>,
    more: Option<(&'r HeaderMap, &'static header::HeaderName)>,
}

impl<'r> MapLines<'r> {
    fn new(
        map: &'r HeaderMap,
        name: &'static header::HeaderName,
    ) -> MapLines<'r> {
        let mut values = map.get_all(name).iter();
        let first = values.next();
        let more = values.next().map(|_| (map, name));
        MapLines { first, more }
    }
}

impl<'r> Lines<'r> for MapLines<'r> {
    fn count(self) -> usize {
        match self.more {
            Some((map, name)) => map.get_all(name).iter().count(),
            None => usize::from(self.first.is_some()),
        }
    }

    fn line(self, index: usize) -> &'r [u8] {
        let line = match (index, self.more) {
            (0, _) => self.first,
            (_, Some((map, name))) => map.get_all(name).iter().nth(index),
            (_, None) => None,
        };
        line.map_or(b"", |value| value.as_bytes())
    }
}

/// A request as the engine asks for it.
struct Asked<'r> {
    method: &'r http::Method,
    uri: &'r http::Uri,
    headers: &'r HeaderMap,
    origin: MapLines<'r>,
}

impl<'r> Asked<'r> {
    fn first(&self, name: &header::HeaderName) -> &'r [u8] {
        self.headers.get(name).map_or(b"", |value| value.as_bytes())
    }
}

impl<'r> Ask<'r> for &'r Asked<'r> {
    type Lines = MapLines<'r>;

    fn method(self) -> &'r [u8] {
        self.method.as_str().as_bytes()
    }

    fn origin(self) -> MapLines<'r> {
        self.origin
    }

    fn request_method(self) -> MapLines<'r> {
        MapLines::new(self.headers, &REQUEST_METHOD)
    }

    fn request_headers(self) -> MapLines<'r> {
        MapLines::new(self.headers, &REQUEST_HEADERS)
    }

    fn request_private_network(self) -> MapLines<'r> {
        MapLines::new(self.headers, &PRIVATE_NETWORK)
    }

    fn upgrade(self) -> MapLines<'r> {
        MapLines::new(self.headers, &UPGRADE)
    }

    fn protocol(self) -> &'r [u8] {
        b""
    }

    fn scheme(self) -> &'r [u8] {
        self.uri.scheme_str().unwrap_or_default().as_bytes()
    }

    fn host(self) -> &'r [u8] {
        match self.uri.authority() {
            Some(authority) => authority.as_str().as_bytes(),
            None => self.first(&header::HOST),
        }
    }

    fn sec_fetch_site(self) -> &'r [u8] {
        self.first(&SEC_FETCH_SITE)
    }
}

/// What is left to do when the application has answered.
struct Pending {
    prepared: Arc<Prepared>,
    variant: usize,
    origin: Option<header::HeaderValue>,
    owned: u16,
    keep: bool,
    vary: Vary,
}

impl Pending {
    /// Removes, sets and merges, as `cors.h` says in its four steps.
    fn carry_out(&self, headers: &mut HeaderMap) {
        let allow_origin = header::ACCESS_CONTROL_ALLOW_ORIGIN;
        if !(self.keep && headers.contains_key(allow_origin)) {
            if !headers.is_empty() {
                self.remove(headers);
            }
            for Entry { name, value } in &self.prepared.lists[self.variant] {
                if let Some(value) = value.as_ref().or(self.origin.as_ref()) {
                    let name = &self.prepared.names[*name as usize];
                    headers.append(name.clone(), value.clone());
                }
            }
        }
        if self.vary.is_empty() {
            return;
        }
        let value = match headers.contains_key(header::VARY) {
            false => self.prepared.vary[usize::from(self.vary.bits())].clone(),
            true => {
                let lines = headers.get_all(header::VARY);
                let lines: Vec<_> =
                    lines.iter().map(|value| value.as_bytes()).collect();
                value(&self.vary.merge(lines.iter().copied()))
            }
        };
        headers.insert(header::VARY, value);
    }

    fn remove(&self, headers: &mut HeaderMap) {
        for name in HeaderName::ALL {
            if self.owned & (1 << name as u16) != 0 {
                headers.remove(&self.prepared.names[name as usize]);
            }
        }
    }
}

/// The answer of the engine itself, which may echo the request.
fn answer<'a, R: Default>(
    prepared: &Prepared,
    status: u16,
    decision: &Decision<'a, MapLines<'a>>,
    origin: Option<&header::HeaderValue>,
) -> Response<R> {
    let mut response = Response::new(R::default());
    if let Ok(status) = StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    let headers = response.headers_mut();
    headers.reserve(8);
    let list = &prepared.lists[decision.variant()];
    decision.visit_headers(|header| {
        let entry = list.iter().find(|entry| entry.name == header.name());
        let fixed = entry.and_then(|entry| entry.value.as_ref());
        let value = match (fixed, header.name()) {
            (Some(value), _) => Some(value.clone()),
            (None, HeaderName::AllowOrigin) => origin.cloned(),
            _ => header::HeaderValue::from_bytes(header.value()).ok(),
        };
        if let Some(value) = value {
            let name = &prepared.names[header.name() as usize];
            headers.append(name.clone(), value);
        }
    });
    if !decision.vary().is_empty() {
        let value = &prepared.vary[usize::from(decision.vary().bits())];
        headers.insert(header::VARY, value.clone());
    }
    response
}

impl<S, B, R> Service<Request<B>> for CorsService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asked = Asked {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            origin: MapLines::new(request.headers(), &ORIGIN),
        };
        let decision = self.prepared.policy().decide(&asked);
        if !decision.enforced() {
            let inner = self.inner.call(request);
            return ResponseFuture::Inner { inner, pending: None };
        }
        if let Some(status) = decision.status() {
            let response =
                answer(&self.prepared, status, &decision, asked.origin.first);
            return ResponseFuture::Answered { response: Some(response) };
        }
        let pending = Pending {
            variant: decision.variant(),
            origin: asked.origin.first.cloned(),
            owned: decision.owned_bits(),
            keep: decision.upstream() == Upstream::Keep,
            vary: decision.vary(),
            prepared: Arc::clone(&self.prepared),
        };
        ResponseFuture::Inner {
            inner: self.inner.call(request),
            pending: Some(pending),
        }
    }
}

pin_project! {
    #[project = Projected]
    pub enum ResponseFuture<F, R> {
        Answered { response: Option<Response<R>> },
        Inner { #[pin] inner: F, pending: Option<Pending> },
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        match self.project() {
            Projected::Answered { response } => {
                Poll::Ready(Ok(response.take().expect("polled once")))
            }
            Projected::Inner { inner, pending } => {
                let mut response = ready!(inner.poll(context))?;
                if let Some(pending) = pending {
                    pending.carry_out(response.headers_mut());
                }
                Poll::Ready(Ok(response))
            }
        }
    }
}
