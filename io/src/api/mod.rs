//! The HTTP API (SPEC section 3): one file a verb.

pub mod body;
pub mod debug;
pub mod encoding;
pub mod free;
pub mod health;
pub mod query;
pub mod reply;
pub mod request;
pub mod write;

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use crate::access::{Access, Unauthorized};
use crate::core::{Core, clock_seconds};
use crate::listen::http::Service;
use body::ApiBody;

/// What every verb answers.
pub type ApiResponse = Response<ApiBody>;

/// The API of one core.
#[derive(Debug)]
pub struct Api {
    core: Rc<Core>,
    access: Option<Rc<Access>>,
}

impl Api {
    /// The API on top of a core; with `access`, for those it admits.
    #[must_use]
    pub fn new(core: Rc<Core>, access: Option<Rc<Access>>) -> Self {
        Self { core, access }
    }

    /// Why the request may not be looked at, if so.
    fn refusal(&self, request: &Request<Incoming>) -> Option<Unauthorized> {
        let access = self.access.as_ref()?;
        let why = access.check_headers(request.headers(), clock_seconds()).err()?;
        access.refuse("a request", why);
        Some(why)
    }
}

/// The calls there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Write,
    Query,
    Free,
    Debug,
    Health,
}

impl Verb {
    /// The call of a path, with or without a slash at its end.
    fn of(path: &str) -> Option<Self> {
        Some(match path.strip_suffix('/').unwrap_or(path) {
            "/api/write" => Self::Write,
            "/api/query" => Self::Query,
            "/api/free" => Self::Free,
            "/api/debug" => Self::Debug,
            "/api/healthcheck" => Self::Health,
            _ => return None,
        })
    }

    /// The methods it takes. Bodies with GET are what the reference's clients send.
    fn methods(self) -> &'static [Method] {
        match self {
            Self::Write | Self::Free => &[Method::POST],
            Self::Query | Self::Health => &[Method::GET, Method::POST],
            Self::Debug => &[Method::GET],
        }
    }
}

impl Service for Api {
    type Body = ApiBody;

    async fn call(self: Rc<Self>, request: Request<Incoming>) -> ApiResponse {
        // Before anything else, so that no call, present or future, can be without.
        if let Some(why) = self.refusal(&request) {
            return reply::unauthorized(why);
        }
        let Some(verb) = Verb::of(request.uri().path()) else {
            return reply::error(hyper::StatusCode::NOT_FOUND, "there is no such path");
        };
        if !verb.methods().contains(request.method()) {
            return reply::method_not_allowed(verb.methods());
        }
        let core = Rc::clone(&self.core);
        let answer = match verb {
            Verb::Write => write::write(core, request).await,
            Verb::Query => query::query(core, request).await,
            Verb::Free => free::free(core, request).await,
            Verb::Debug => debug::debug(core, &request).await,
            Verb::Health => health::health(core, request).await,
        };
        answer.unwrap_or_else(|refusal| {
            if refusal.status == hyper::StatusCode::PAYLOAD_TOO_LARGE {
                self.core.bodies_too_large.set(self.core.bodies_too_large.get() + 1);
            }
            reply::error(refusal.status, &refusal.message)
        })
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
