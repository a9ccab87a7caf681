//! The HTTP API (SPEC section 3): one file a verb.

pub mod body;
pub mod debug;
pub mod encoding;
pub mod free;
pub mod health;
pub mod influx;
pub mod listing;
pub mod metrics;
pub mod probe;
pub mod prometheus;
pub mod query;
pub mod reply;
pub mod request;
mod rest;
pub mod write;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::remote_write::lines::LabelNames;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use crate::access::browsers::Browsers;
use crate::access::{Access, Schemes, Unauthorized};
use crate::core::held::NoRoom;
use crate::core::{Core, clock_seconds};
use crate::listen::http::Service;
use crate::metrics::counters::Call;
use crate::metrics::daemon::DaemonMetrics;
use crate::recover::Loading;
use crate::runtime::now_ns;
use crate::ui::Pages;
use body::ApiBody;
use influx::InfluxOptions;
use influx::resources::Resource;
use prometheus::write::RemoteWrite;
use reply::Form;

/// What each call takes and answers, as OpenAPI; a test holds it against the calls there are.
pub const DESCRIPTION: &str = include_str!("openapi.json");

/// What every verb answers.
pub type ApiResponse = Response<ApiBody>;

/// The API of one core.
#[derive(Debug)]
pub struct Api {
    core: Rc<Core>,
    browsers: Rc<Browsers>,
    access: Option<Rc<Access>>,
    influx: InfluxOptions,
    /// `main.remote-write`.
    remote_write: Rc<RemoteWrite>,
    metrics: Arc<DaemonMetrics>,
    pages: Rc<Pages>,
}

impl Api {
    /// The API on top of a core, for pages that are `browsers`'; with `access`, for those it admits.
    #[must_use]
    pub fn new(
        core: Rc<Core>,
        browsers: Rc<Browsers>,
        access: Option<Rc<Access>>,
        influx: InfluxOptions,
        metrics: Arc<DaemonMetrics>,
    ) -> Self {
        let remote_write = Rc::new(RemoteWrite::new(LabelNames::default(), "", &core.metrics));
        Self { core, browsers, access, influx, remote_write, metrics, pages: Rc::default() }
    }

    /// The same, which takes Prometheus' labels for others.
    #[must_use]
    pub fn with_remote_write(self, labels: LabelNames, cluster_default: &str) -> Self {
        let remote_write = Rc::new(RemoteWrite::new(labels, cluster_default, &self.core.metrics));
        Self { remote_write, ..self }
    }

    /// The same, which also serves pages.
    #[must_use]
    pub fn with_pages(self, pages: Pages) -> Self {
        Self { pages: Rc::new(pages), ..self }
    }
}

/// Why the request may not be looked at, if so.
fn refusal(access: Option<&Access>, request: &Request<Incoming>) -> Option<Unauthorized> {
    let access = access?;
    // Clients of InfluxDB have another word for it.
    let schemes = if Verb::of(request.uri().path()).is_some_and(Verb::is_influx) {
        Schemes::BearerOrToken
    } else {
        Schemes::Bearer
    };
    let uri = request.uri();
    let why = access.check_request(request.headers(), uri.query(), schemes, clock_seconds()).err()?;
    access.refuse("a request", why);
    Some(why)
}

/// The calls there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Write,
    Query,
    Free,
    Debug,
    Health,
    InfluxWrite(influx::Version),
    InfluxQuery,
    InfluxResource(Resource),
    Prometheus(prometheus::Endpoint),
    RemoteWrite,
    Metrics,
    ListClusters,
    ListHosts,
    ListSeries,
    Describe,
    Probe(Probe),
}

/// The calls that are answered at once, whatever the cores do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    Ping,
    Health,
    Ready,
}

impl Verb {
    /// The call of a path, with or without a slash at its end.
    fn of(path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some(endpoint) = path.strip_prefix("/api/v1/").and_then(prometheus::Endpoint::of) {
            return Some(Self::Prometheus(endpoint));
        }
        Some(match path {
            "/api/write" => Self::Write,
            "/api/query" => Self::Query,
            "/api/free" => Self::Free,
            "/api/debug" => Self::Debug,
            "/api/healthcheck" => Self::Health,
            "/write" => Self::InfluxWrite(influx::Version::One),
            "/api/v2/write" => Self::InfluxWrite(influx::Version::Two),
            "/api/v3/write_lp" => Self::InfluxWrite(influx::Version::Three),
            "/query" => Self::InfluxQuery,
            "/api/v2/buckets" => Self::InfluxResource(Resource::Buckets),
            "/api/v2/orgs" => Self::InfluxResource(Resource::Organizations),
            "/api/v2/setup" => Self::InfluxResource(Resource::Setup),
            "/api/v1/write" | "/api/v1/push" => Self::RemoteWrite,
            "/metrics" => Self::Metrics,
            "/ping" => Self::Probe(Probe::Ping),
            "/health" => Self::Probe(Probe::Health),
            "/ready" => Self::Probe(Probe::Ready),
            "/api/ui/clusters" => Self::ListClusters,
            "/api/ui/hosts" => Self::ListHosts,
            "/api/ui/series" => Self::ListSeries,
            "/api/openapi.json" => Self::Describe,
            _ => return None,
        })
    }

    /// The methods it takes. Bodies with GET are what the reference's clients send.
    fn methods(self) -> &'static [Method] {
        match self {
            Self::Write | Self::Free | Self::InfluxWrite(_) | Self::RemoteWrite => &[Method::POST],
            Self::Prometheus(endpoint) => endpoint.methods(),
            Self::Query | Self::Health | Self::InfluxQuery | Self::InfluxResource(Resource::Buckets) => {
                &[Method::GET, Method::POST]
            }
            Self::InfluxResource(_)
            | Self::Debug
            | Self::ListClusters
            | Self::ListHosts
            | Self::ListSeries
            | Self::Describe => &[Method::GET],
            Self::Metrics | Self::Probe(_) => &[Method::GET, Method::HEAD],
        }
    }

    /// Whether it takes a method. Prometheus answers OPTIONS on every path, and its clients' probes send HEAD.
    fn takes(self, method: &Method) -> bool {
        let is_described = self.methods().contains(method);
        is_described
            || matches!(self, Self::Prometheus(_)) && (*method == Method::HEAD || *method == Method::OPTIONS)
    }

    /// Whether it takes JSON alone.
    fn takes_json(self) -> bool {
        matches!(self, Self::Query | Self::Free | Self::Health | Self::InfluxResource(Resource::Buckets))
    }

    /// Whether clients of InfluxDB call it.
    fn is_influx(self) -> bool {
        matches!(
            self,
            Self::InfluxWrite(_)
                | Self::InfluxQuery
                | Self::InfluxResource(_)
                | Self::Probe(Probe::Ping | Probe::Health)
        )
    }

    /// Who has to understand its errors.
    fn form(self) -> Form {
        match self {
            Self::InfluxWrite(influx::Version::One) | Self::InfluxQuery | Self::Probe(Probe::Ping) => {
                Form::InfluxOne
            }
            Self::InfluxWrite(influx::Version::Two)
            | Self::InfluxResource(_)
            | Self::Probe(Probe::Health) => Form::InfluxTwo,
            Self::InfluxWrite(influx::Version::Three) => Form::InfluxThree,
            Self::Prometheus(_) | Self::RemoteWrite => Form::Prometheus,
            _ => Form::Own,
        }
    }

    /// What it is counted as.
    fn counted_as(self) -> Call {
        match self {
            Self::Write | Self::InfluxWrite(_) | Self::RemoteWrite => Call::Write,
            Self::Query | Self::Prometheus(_) => Call::Query,
            Self::Free => Call::Free,
            Self::Debug => Call::Debug,
            Self::Health => Call::Healthcheck,
            Self::Metrics => Call::Metrics,
            Self::ListClusters
            | Self::ListHosts
            | Self::ListSeries
            | Self::Describe
            | Self::InfluxQuery
            | Self::InfluxResource(_) => Call::Other,
            Self::Probe(_) => Call::Probe,
        }
    }
}

impl Probe {
    fn answer(self, loading: &Loading) -> ApiResponse {
        match self {
            Self::Ping => probe::ping(),
            Self::Health => probe::health(),
            Self::Ready => probe::ready(loading),
        }
    }
}

/// What becomes of a request while everything is loaded.
#[derive(Debug)]
pub(crate) enum EarlyCall {
    /// It is answered.
    Answer(ApiResponse),
    /// It waits for the API.
    Wait,
    /// It waits for a while, and is answered so then.
    WaitOr(ApiResponse),
}

/// Looks at a request while there is no API yet.
pub(crate) fn early_call(
    browsers: &Browsers,
    access: Option<&Access>,
    metrics: &DaemonMetrics,
    request: &Request<Incoming>,
) -> EarlyCall {
    if let Err(why) = browsers.check(request) {
        return EarlyCall::Answer(reply::stranger(&why));
    }
    let verb = Verb::of(request.uri().path());
    if let Some(why) = refusal(access, request).filter(|why| !may_hold_password(verb, request, *why)) {
        return EarlyCall::Answer(reply::unauthorized(why, verb.is_some_and(Verb::is_influx)));
    }
    match verb.filter(|verb| verb.takes(request.method())) {
        Some(Verb::Probe(probe)) => EarlyCall::Answer(probe.answer(&metrics.loading)),
        Some(Verb::Metrics) => EarlyCall::Answer(metrics::early(metrics)),
        Some(Verb::Write | Verb::InfluxWrite(_) | Verb::RemoteWrite) => EarlyCall::Wait,
        _ => {
            let form = verb.map_or(Form::Own, Verb::form);
            EarlyCall::WaitOr(probe::still_loading(form, &metrics.loading))
        }
    }
}

impl Service for Api {
    type Body = ApiBody;

    fn is_question(&self, request: &Request<Incoming>) -> bool {
        Verb::of(request.uri().path())
            .is_some_and(|verb| !matches!(verb.counted_as(), Call::Write | Call::Free))
    }

    async fn call(self: Rc<Self>, mut request: Request<Incoming>) -> ApiResponse {
        let began_ns = now_ns();
        let (counted_as, mut answer) = self.answer(&mut request).await;
        rest::settle(&mut request, &mut answer).await;
        let took = Duration::from_nanos(now_ns() - began_ns);
        self.core.counters.request(counted_as, answer.status(), took);
        answer
    }
}

impl Api {
    /// The answer, and what the call is counted as.
    async fn answer(&self, request: &mut Request<Incoming>) -> (Call, ApiResponse) {
        if let Err(why) = self.browsers.check(request) {
            return (Call::Other, reply::stranger(&why));
        }
        // Files of the daemon itself, the same for everybody: they ask for the token that everything else needs.
        if let Some(page) = self.pages.answer(request) {
            return (Call::Other, page);
        }
        let verb = Verb::of(request.uri().path());
        // Before anything else, so that no call, present or future, can be without.
        let refused = refusal(self.access.as_deref(), request);
        if let Some(why) = refused.filter(|why| !may_hold_password(verb, request, *why)) {
            return (Call::Other, reply::unauthorized(why, verb.is_some_and(Verb::is_influx)));
        }
        let Some(verb) = verb else {
            let form = unknown_path_form(request.uri().path());
            return (
                Call::Other,
                reply::error_in(form, hyper::StatusCode::NOT_FOUND, "there is no such path"),
            );
        };
        let mut answer = self.answer_verb(verb, request, refused).await;
        if verb.is_influx() {
            probe::tell_version(&mut answer);
        }
        (verb.counted_as(), answer)
    }

    /// With `refused`, the call is one whose body may hold the password: only that is looked at before it is checked.
    async fn answer_verb(
        &self,
        verb: Verb,
        request: &mut Request<Incoming>,
        refused: Option<Unauthorized>,
    ) -> ApiResponse {
        if !verb.takes(request.method()) {
            return reply::method_not_allowed(verb.form(), verb.methods());
        }
        if request.method() == Method::OPTIONS {
            return reply::options(verb.methods());
        }
        if let Some(coding) = encoding::unknown_transfer_coding(request.headers()) {
            return reply::error_in(verb.form(), hyper::StatusCode::NOT_IMPLEMENTED, &coding);
        }
        if verb.takes_json() && !request::may_be_json(request) {
            let text = "the body must be JSON: send it as application/json, or without a Content-Type";
            return reply::error_in(verb.form(), hyper::StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        }
        let core = Rc::clone(&self.core);
        let answer = match verb {
            Verb::Write => write::write(core, request).await,
            Verb::Query => query::query(core, request).await,
            Verb::Free => free::free(core, request).await,
            Verb::Debug => debug::debug(core, request).await,
            Verb::Health => health::health(core, request).await,
            Verb::InfluxWrite(version) => influx::write(core, request, version, self.influx).await,
            Verb::InfluxQuery => match influx::query::read(&core, request).await {
                Ok(question) => match self.refusal_of_form(refused, question.password.as_deref()) {
                    Some(why) => return reply::unauthorized(why, true),
                    None => influx::query::answer(&core, &question, self.influx.retention_seconds),
                },
                Err(refusal) => Err(refusal),
            },
            Verb::InfluxResource(resource) => {
                influx::resources::answer(core, request, resource, self.influx.retention_seconds).await
            }
            Verb::Prometheus(endpoint) => {
                prometheus::prometheus(core, request, endpoint, &self.metrics).await
            }
            Verb::RemoteWrite => {
                let retention_seconds = self.influx.retention_seconds;
                prometheus::write::write(core, request, &self.remote_write, retention_seconds).await
            }
            Verb::Metrics => Ok(metrics::metrics(core, &self.metrics).await),
            Verb::Probe(probe) => Ok(probe.answer(&self.metrics.loading)),
            Verb::Describe => Ok(reply::json(ApiBody::full(Bytes::from_static(DESCRIPTION.as_bytes())))),
            Verb::ListClusters => Ok(listing::clusters(&core)),
            Verb::ListHosts => listing::hosts(&core, request),
            Verb::ListSeries => listing::series(core, request).await,
        };
        let mut answer = answer.unwrap_or_else(|refusal| {
            if refusal.status == hyper::StatusCode::PAYLOAD_TOO_LARGE {
                self.core.counters.bodies_too_large.increment();
            }
            reply::error_in(verb.form(), refusal.status, &refusal.message)
        });
        if verb != Verb::Describe {
            answer.body_mut().count_in(&self.core.held);
        }
        answer
    }
}

impl From<NoRoom> for Refusal {
    fn from(error: NoRoom) -> Self {
        Self { status: hyper::StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() }
    }
}

impl Api {
    /// Why a call with this password in its form may not be answered, if nothing else of it was a token.
    fn refusal_of_form(&self, refused: Option<Unauthorized>, password: Option<&str>) -> Option<Unauthorized> {
        let (access, mut why) = (self.access.as_deref()?, refused?);
        if let Some(password) = password {
            why = access.check(password.as_bytes(), clock_seconds()).err()?;
        }
        access.refuse("a request", why);
        Some(why)
    }
}

/// Whether a request without a token may bring it in its body: a form of InfluxDB 1.
fn may_hold_password(verb: Option<Verb>, request: &Request<Incoming>, why: Unauthorized) -> bool {
    why == Unauthorized::Missing && verb == Some(Verb::InfluxQuery) && request.method() == Method::POST
}

/// Who called a path that there is not.
fn unknown_path_form(path: &str) -> Form {
    match path {
        _ if path.starts_with("/api/v2/") => Form::InfluxTwo,
        _ if path.starts_with("/api/v3/") => Form::InfluxThree,
        _ => Form::Own,
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub struct Refusal {
    /// 4xx.
    pub status: hyper::StatusCode,
    /// What is wrong with it.
    pub message: String,
}

impl Refusal {
    /// 400.
    pub(crate) fn bad_request(error: impl std::fmt::Display) -> Self {
        Self { status: hyper::StatusCode::BAD_REQUEST, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
