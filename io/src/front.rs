//! The listeners of one core, put together: accepted sockets, TLS, tokens, and the two protocols behind them.
//!
//! Before it: [`boot`](crate::boot), which binds the ports. After it: `listen` and `api`.

use std::rc::Rc;
use std::time::Duration;

use crate::access::Access;
use crate::core::Core;
use crate::listen::connections::{ConnectionLimits, ConnectionTable};
use crate::listen::http::{self, HttpLimits, Service};
use crate::listen::tcp;
use crate::listen::tls::{self, HandshakeError, Handshakes, Inner, Tls};
use crate::metrics::core_metrics::CoreMetrics;
use crate::runtime::{self, AcceptLoop, Listener, StopFlag, Stream};
use crate::settings::Settings;

/// From the first to the last byte of a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long connections may take to end once the daemon stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(1000);

/// What all connections of a core share.
#[derive(Clone, Debug)]
pub struct Front {
    /// The open connections.
    pub connections: Rc<ConnectionTable>,
    /// Who may call; none: everybody.
    pub access: Option<Rc<Access>>,
    /// TLS; none: plain connections.
    pub handshakes: Option<Rc<Handshakes>>,
}

impl Front {
    /// That of one core, with its share of the connections.
    ///
    /// # Panics
    /// On a thread without executor.
    #[must_use]
    pub fn new(settings: &Settings, cores: usize, tls: Option<Tls>, stop: &StopFlag) -> Self {
        let limits = ConnectionLimits {
            connections_max: connections_max(settings, cores),
            idle_timeout: settings.main.idle_timeout,
            stop_timeout: STOP_TIMEOUT,
        };
        let access = settings.main.jwt_public_key.as_ref();
        Self {
            connections: ConnectionTable::start(limits, stop.clone()),
            access: access.map(|key| Rc::new(Access::new(key, settings.main.jwt_require_exp))),
            handshakes: tls.map(Handshakes::new),
        }
    }

    /// Serves HTTP until `stop_accepting` is raised; connections that are open then end with `stop`.
    pub fn serve_http<S: Service>(
        &self,
        listener: Listener,
        service: Rc<S>,
        settings: &Settings,
        stop_accepting: &StopFlag,
        stop: &StopFlag,
    ) -> AcceptLoop {
        let limits = Rc::new(HttpLimits {
            header_bytes_max: settings.main.header_bytes_max as usize,
            idle_timeout: settings.main.idle_timeout,
            header_timeout: HEADER_TIMEOUT,
            body_bytes_per_second_min: settings.main.body_bytes_per_second_min,
        });
        let (connections, handshakes) = (Rc::clone(&self.connections), self.handshakes.clone());
        let stop = stop.clone();
        let on_connection = move |stream: Stream, _| {
            let Some(connection) = connections.register(&stream) else { return };
            let (service, limits, stop) = (Rc::clone(&service), Rc::clone(&limits), stop.clone());
            let Some(handshakes) = handshakes.clone() else {
                return runtime::spawn("http connection", async move {
                    http::serve(stream, service, &limits, connection, stop).await;
                });
            };
            runtime::spawn("https connection", async move {
                match handshakes.shake(stream, Inner::Http, &connection).await {
                    Ok(stream) => http::serve(stream, service, &limits, connection, stop).await,
                    Err((socket, HandshakeError::PlainText)) => tls::answer_plain_text(socket).await,
                    Err(_) => {}
                }
            });
        };
        listener.accept_loop(on_connection, stop_accepting.clone())
    }

    /// Serves raw line protocol until `stop` is raised.
    pub fn serve_tcp(&self, listener: Listener, core: &Rc<Core>, settings: &Settings, stop: &StopFlag) {
        let cluster: Rc<str> = settings.main.tcp_cluster.as_deref().unwrap_or_default().into();
        let (front, core) = (self.clone(), Rc::clone(core));
        let on_connection = move |stream: Stream, _| {
            let Some(connection) = front.connections.register(&stream) else {
                return tcp::reset(&stream, "too many connections");
            };
            let (core, cluster, access) = (Rc::clone(&core), Rc::clone(&cluster), front.access.clone());
            let Some(handshakes) = front.handshakes.clone() else {
                return runtime::spawn(
                    "tcp connection",
                    tcp::serve(stream, core, cluster, access, connection),
                );
            };
            runtime::spawn("tcp connection over TLS", async move {
                match handshakes.shake(stream, Inner::Lines, &connection).await {
                    Ok(stream) => tcp::serve(stream, core, cluster, access, connection).await,
                    Err((socket, error)) => tcp::reset(&socket, error),
                }
            });
        };
        listener.accept_loop(on_connection, stop.clone());
    }

    /// Fills in what `/metrics` shows of connections.
    pub fn measure(&self, metrics: &mut CoreMetrics) {
        let counts = &mut metrics.connections;
        counts.open = self.connections.open() as u64;
        counts.refused = self.connections.refused();
        counts.swept = self.connections.swept();
        counts.slow_heads = self.connections.slow_heads();
        counts.slow_bodies = self.connections.slow_bodies();
        counts.oversized_heads = self.connections.oversized_heads();
        counts.unauthorized = self.access.as_ref().map_or(0, |access| access.refused());
        if let Some(handshakes) = &self.handshakes {
            counts.handshakes_failed = handshakes.failed();
            counts.handshakes_refused = handshakes.refused();
        }
    }
}

/// One core's share of `main.max-connections`.
#[must_use]
pub fn connections_max(settings: &Settings, cores: usize) -> usize {
    (settings.main.connections_max as usize).div_ceil(cores)
}
