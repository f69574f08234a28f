//! Middleware of actix-web: none, and actix-cors.

use std::{
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use actix_cors::Cors;
use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::{Method, header},
    test::TestRequest,
};
use libcors_benches::{
    Workload,
    runner::{Response, Subject},
};

use crate::origins::Origins;

struct Application;

impl Service<ServiceRequest> for Application {
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Ready<Result<ServiceResponse<BoxBody>, Error>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        ready(Ok(request.into_response(HttpResponse::Ok().finish())))
    }
}

struct Actix<S> {
    service: S,
    /// Goes in, and comes back with the response.
    request: Option<HttpRequest>,
}

impl<S, B> Actix<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    #[inline(never)]
    fn call(&mut self) -> HttpResponse<B> {
        let request = self.request.take().expect("the request");
        let request = ServiceRequest::from_request(request);
        let mut context = Context::from_waker(Waker::noop());
        match pin!(self.service.call(request)).poll(&mut context) {
            Poll::Ready(Ok(response)) => {
                let (request, response) = response.into_parts();
                self.request = Some(request);
                response
            }
            Poll::Ready(Err(error)) => unreachable!("{error}"),
            Poll::Pending => unreachable!("nothing waits"),
        }
    }
}

impl<S, B> Subject for Actix<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    fn response(&mut self) -> Response {
        let response = self.call();
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        });
        Response {
            status: response.status().as_u16(),
            headers: headers.collect(),
        }
    }

    fn run(&mut self, times: u64) {
        for _ in 0..times {
            black_box(self.call());
        }
    }
}

fn request(workload: &Workload) -> Option<HttpRequest> {
    let method = Method::from_bytes(&workload.case.method).ok()?;
    let mut request = TestRequest::default().method(method);
    for (name, value) in &workload.case.lines {
        let name = header::HeaderName::from_bytes(name).ok()?;
        let value = header::HeaderValue::from_bytes(value).ok()?;
        request = request.append_header((name, value));
    }
    Some(request.to_http_request())
}

pub fn none(workload: &Workload) -> Option<Box<dyn Subject>> {
    let request = Some(request(workload)?);
    Some(Box::new(Actix { service: Application, request }))
}

pub fn actix_cors(workload: &Workload) -> Option<Box<dyn Subject>> {
    let mut cors = Cors::default()
        .allowed_methods(workload.methods())
        .max_age(workload.max_age() as usize);
    match Origins::of(workload) {
        Origins::List(origins) => {
            for origin in origins {
                cors = cors.allowed_origin(&origin);
            }
        }
        Origins::Predicate(covers) => {
            cors = cors
                .allowed_origin_fn(move |origin, _| covers(origin.as_bytes()));
        }
    }
    let headers = workload.list("allow_headers");
    cors = match headers.contains(&"*") {
        true => cors.allow_any_header(),
        false => cors.allowed_headers(headers),
    };
    if workload.credentials() {
        cors = cors.supports_credentials();
    }
    let mut context = Context::from_waker(Waker::noop());
    let made = pin!(cors.new_transform(Application)).poll(&mut context);
    let Poll::Ready(Ok(service)) = made else {
        return None;
    };
    let request = Some(request(workload)?);
    Some(Box::new(Actix { service, request }))
}
