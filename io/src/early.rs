//! What the first core answers while everything is loaded, on the HTTP sockets of all cores.
//!
//! Before it: [`boot`](crate::boot), which starts it once the ports are bound. After it:
//! [`start`](crate::start), on the same executor. `/ready`, `/health`, `/ping` and `/metrics` are answered at
//! once. A write waits until it can be stored: a collector drops what is answered with 503, but sends again
//! what times out. Everything else waits for a moment, for most starts are short, and is answered with 503
//! then. A connection that was accepted here stays on the first core, which hands its lines over to their
//! owners as every core does: decoding them is a small part of what a core can do. Only if more have stayed
//! than are this core's share are some closed, each with an answer, so that new ones find room and the
//! clients spread over the cores again. No connection is lost, for what is not accepted yet waits in the
//! sockets for the cores. Raw TCP waits there from the beginning.
//!
//! The cores accept nothing before this has stopped to: who was answered by the API once comes to a core from then on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_lite::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};

use crate::access::Access;
use crate::access::browsers::Browsers;
use crate::api::{Api, ApiResponse, EarlyCall, early_call};
use crate::front::{Front, HttpDoor, connections_max};
use crate::listen::connections::ConnectionTable;
use crate::listen::http::Service;
use crate::listen::tls::Tls;
use crate::metrics::daemon::DaemonMetrics;
use crate::recover::Loading;
use crate::runtime::{AcceptLoop, Listener, StopFlag, next_tick, sleep};
use crate::settings::Settings;
use crate::start::CoreStart;

/// How long a call other than a write waits for the end of recovery.
const HOLD_MAX: Duration = Duration::from_secs(5);

/// What the first core is given before anything is loaded.
pub(crate) struct EarlyStart {
    pub(crate) settings: Arc<Settings>,
    pub(crate) cores: usize,
    pub(crate) tls: Option<Tls>,
    pub(crate) stop: StopFlag,
    /// Duplicates of all cores' HTTP listeners.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) metrics: Arc<DaemonMetrics>,
    /// What was loaded comes here.
    pub(crate) start: Receiver<CoreStart>,
}

/// What the first core goes on with.
pub(crate) struct Early {
    pub(crate) front: Front,
    opening: Rc<Opening>,
    stop_accepting: StopFlag,
    accepting: Vec<AcceptLoop>,
}

impl EarlyStart {
    /// Serves until everything is loaded; none if that failed.
    pub(crate) async fn run(self) -> Option<(CoreStart, Early)> {
        let Self { settings, cores, tls, stop, listeners, metrics, start } = self;
        let front = Front::new(&settings, cores, tls, &stop);
        // Nobody else takes any.
        front.connections.set_connections_max(connections_max(&settings, 1));
        let opening = Rc::new(Opening::default());
        let service = Rc::new(EarlyService {
            browsers: Rc::clone(&front.browsers),
            access: front.access.clone(),
            connections: Rc::clone(&front.connections),
            metrics,
            opening: Rc::clone(&opening),
        });
        let stop_accepting = StopFlag::new();
        let door = HttpDoor::new(&front, service, None, &settings, &stop);
        let accepting =
            listeners.into_iter().map(|listener| door.accept(listener, &stop_accepting)).collect();
        loop {
            match start.try_recv() {
                Ok(start) => {
                    front.connections.set_connections_max(connections_max(&settings, cores));
                    return Some((start, Early { front, opening, stop_accepting, accepting }));
                }
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => next_tick().await,
            }
        }
    }
}

impl Early {
    /// The core runs: the sockets are left to the cores, recovery is over, and `api` answers what waited.
    pub(crate) async fn hand_over(self, api: Rc<Api>, loading: &Loading) {
        self.stop_accepting.set();
        for accepting in &self.accepting {
            accepting.ended().await;
        }
        loading.end();
        self.opening.open(api);
    }
}

/// The API, once there is one, and who waits for it.
#[derive(Default)]
struct Opening {
    api: RefCell<Option<Rc<Api>>>,
    /// By number, so that who waits no longer is forgotten: recovery may take long.
    waiting: RefCell<BTreeMap<u64, Waker>>,
    next_number: Cell<u64>,
}

impl Opening {
    fn open(&self, api: Rc<Api>) {
        *self.api.borrow_mut() = Some(api);
        std::mem::take(&mut *self.waiting.borrow_mut()).into_values().for_each(Waker::wake);
    }

    async fn opened(&self) -> Rc<Api> {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        let place = Place { opening: self, number };
        poll_fn(|context| {
            if let Some(api) = &*self.api.borrow() {
                return Poll::Ready(Rc::clone(api));
            }
            self.waiting.borrow_mut().insert(place.number, context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// One who waits.
struct Place<'a> {
    opening: &'a Opening,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.opening.waiting.borrow_mut().remove(&self.number);
    }
}

struct EarlyService {
    browsers: Rc<Browsers>,
    access: Option<Rc<Access>>,
    connections: Rc<ConnectionTable>,
    metrics: Arc<DaemonMetrics>,
    opening: Rc<Opening>,
}

impl Service for EarlyService {
    type Body = crate::api::body::ApiBody;

    fn is_question(&self, _: &Request<Incoming>) -> bool {
        false
    }

    async fn call(self: Rc<Self>, request: Request<Incoming>) -> ApiResponse {
        let opened = self.opening.api.borrow().clone();
        let early = match opened {
            // A connection that was accepted early goes on here.
            Some(_) => EarlyCall::Wait,
            None => early_call(&self.browsers, self.access.as_deref(), &self.metrics, &request),
        };
        let mut answer = match early {
            EarlyCall::Answer(answer) => answer,
            EarlyCall::Wait => self.opening.opened().await.call(request).await,
            EarlyCall::WaitOr(refusal) => {
                let opened = async { Some(self.opening.opened().await) };
                let too_long = async {
                    sleep(HOLD_MAX).await;
                    None
                };
                match opened.or(too_long).await {
                    Some(api) => api.call(request).await,
                    None => refusal,
                }
            }
        };
        if self.connections.is_beyond_max() {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}
