//! Layers of tower: none, tower-http's, and ours.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use http::{HeaderName, HeaderValue, Method, Request, Response};
use libcors_benches::{
    Workload,
    runner::{self, Subject},
};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;

use crate::{layer::Cors, origins::Origins};

/// The application: an empty response.
#[derive(Clone, Copy)]
struct Application;

impl Service<Request<()>> for Application {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(())))
    }
}

struct Tower<S> {
    service: S,
    request: Request<()>,
}

impl<S> Subject for Tower<S>
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    fn response(&mut self) -> runner::Response {
        let response = call(&mut self.service, self.request.clone());
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        });
        runner::Response {
            status: response.status().as_u16(),
            headers: headers.collect(),
        }
    }

    fn run(&mut self, times: u64) {
        for _ in 0..times {
            // A service consumes its request; the copy is in the baseline too.
            let request = black_box(&self.request).clone();
            black_box(call(&mut self.service, request));
        }
    }
}

#[inline(never)]
fn call<S>(service: &mut S, request: Request<()>) -> Response<()>
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => unreachable!("nothing waits"),
    }
}

fn subject<L>(layer: &L, workload: &Workload) -> Option<Box<dyn Subject>>
where
    L: Layer<Application>,
    L::Service: Service<Request<()>, Response = Response<()>, Error = Infallible>
        + 'static,
{
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(&workload.case.method).ok()?;
    for (name, value) in &workload.case.lines {
        let name = HeaderName::from_bytes(name).ok()?;
        request
            .headers_mut()
            .append(name, HeaderValue::from_bytes(value).ok()?);
    }
    let service = layer.layer(Application);
    Some(Box::new(Tower { service, request }))
}

struct Bare;

impl<S> Layer<S> for Bare {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}

pub fn none(workload: &Workload) -> Option<Box<dyn Subject>> {
    subject(&Bare, workload)
}

pub fn libcors(workload: &Workload) -> Option<Box<dyn Subject>> {
    subject(&Cors::new(workload.compile()), workload)
}

pub fn tower_http(workload: &Workload) -> Option<Box<dyn Subject>> {
    let origins = match Origins::of(workload) {
        Origins::List(origins) => {
            let values = origins.iter().map(|o| HeaderValue::from_str(o));
            AllowOrigin::list(values.collect::<Result<Vec<_>, _>>().ok()?)
        }
        Origins::Predicate(covers) => {
            AllowOrigin::predicate(move |origin, _| covers(origin.as_bytes()))
        }
    };
    let methods = workload.methods();
    let methods = methods.iter().map(|m| Method::from_bytes(m.as_bytes()));
    let mut layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(methods.collect::<Result<Vec<_>, _>>().ok()?)
        .max_age(std::time::Duration::from_secs(workload.max_age()));
    let headers = workload.list("allow_headers");
    layer = match headers.contains(&"*") {
        true => layer.allow_headers(AllowHeaders::mirror_request()),
        false => {
            let names = headers
                .iter()
                .map(|name| HeaderName::from_bytes(name.as_bytes()));
            layer.allow_headers(names.collect::<Result<Vec<_>, _>>().ok()?)
        }
    };
    if workload.credentials() {
        layer = layer.allow_credentials(true);
    }
    subject(&layer, workload)
}
