//! The listeners of one core, put together: accepted sockets, TLS, tokens, and the two protocols behind them.
//!
//! Before it: [`boot`](crate::boot), which binds the ports. After it: `listen` and `api`.

use std::rc::Rc;
use std::time::Duration;

use crate::access::Access;
use crate::access::browsers::Browsers;
use crate::core::Core;
use crate::listen::connections::{ConnectionHandle, ConnectionLimits, ConnectionTable};
use crate::listen::http::{self, HttpLimits, Service};
use crate::listen::newcomer::{Protocol, settle};
use crate::listen::tls::{self, HandshakeError, Handshakes, Inner, Tls};
use crate::listen::transport::Transport;
use crate::listen::{placement, tcp};
use crate::metrics::core_metrics::CoreMetrics;
use crate::runtime::{self, AcceptLoop, Listener, StopFlag, Stream};
use crate::settings::Settings;

/// From the first to the last byte of a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long connections may be silent once the daemon stops.
const STOP_IDLE_TIMEOUT: Duration = Duration::from_millis(1000);

/// What all connections of a core share.
#[derive(Clone, Debug)]
pub struct Front {
    /// The open connections.
    pub connections: Rc<ConnectionTable>,
    /// Who may call; none: everybody.
    pub access: Option<Rc<Access>>,
    /// Which web pages may call.
    pub browsers: Rc<Browsers>,
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
            stop_idle_timeout: STOP_IDLE_TIMEOUT,
            stop_timeout: settings.main.stop_timeout,
        };
        let access = settings.main.jwt_public_key.as_ref();
        let main = &settings.main;
        let browsers = Browsers::new(&main.allowed_hosts, &main.addr, access.is_some(), tls.is_some());
        Self {
            connections: ConnectionTable::start(limits, stop.clone()),
            browsers: Rc::new(browsers),
            access: access.map(|key| Rc::new(Access::new(key, settings.main.jwt_require_exp))),
            handshakes: tls.map(Handshakes::new),
        }
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

/// Where HTTP comes in.
#[derive(Debug)]
pub struct HttpDoor<S> {
    front: Front,
    service: Rc<S>,
    limits: HttpLimits,
    /// Open connections end with it.
    stop: StopFlag,
    /// New connections go to the core their lines belong to, if this one has begun its work.
    core: Option<Rc<Core>>,
}

impl<S: Service> HttpDoor<S> {
    /// That of one core.
    #[must_use]
    pub fn new(
        front: &Front,
        service: Rc<S>,
        core: Option<&Rc<Core>>,
        settings: &Settings,
        stop: &StopFlag,
    ) -> Rc<Self> {
        let limits = HttpLimits {
            header_bytes_max: settings.main.header_bytes_max as usize,
            idle_timeout: settings.main.idle_timeout,
            header_timeout: HEADER_TIMEOUT,
            body_bytes_per_second_min: settings.main.body_bytes_per_second_min,
        };
        let (front, core) = (front.clone(), core.cloned());
        Rc::new(Self { front, service, limits, stop: stop.clone(), core })
    }

    /// Accepts until `stop_accepting` is raised.
    pub fn accept(self: &Rc<Self>, listener: Listener, stop_accepting: &StopFlag) -> AcceptLoop {
        let door = Rc::clone(self);
        listener.accept_loop(move |stream, _| door.take_in(stream, true), stop_accepting.clone())
    }

    fn take_in(self: &Rc<Self>, stream: Stream, may_move: bool) {
        let Some(connection) = self.front.connections.register(&stream) else { return };
        let door = Rc::clone(self);
        if let Some(handshakes) = self.front.handshakes.clone() {
            return runtime::spawn("https connection", async move {
                match handshakes.shake(stream, Inner::Http, &connection).await {
                    Ok(stream) => door.serve(stream, connection).await,
                    Err((socket, HandshakeError::PlainText)) => tls::answer_plain_text(socket).await,
                    Err(_) => {}
                }
            });
        }
        runtime::spawn("http connection", async move {
            let mut stream = Some(stream);
            if may_move
                && let Some(core) = &door.core
                && let Some(newcomer) = stream.take()
            {
                let place = |bytes: &[u8]| placement::of_request(bytes, core.cores());
                stream = settle(newcomer, core, Protocol::Http, &connection, place).await;
            }
            if let Some(stream) = stream {
                door.serve(stream, connection).await;
            }
        });
    }

    async fn serve(&self, stream: impl Transport, connection: ConnectionHandle) {
        http::serve(stream, Rc::clone(&self.service), &self.limits, connection, self.stop.clone()).await;
    }
}

/// Where raw line protocol comes in.
#[derive(Debug)]
pub struct LinesDoor {
    front: Front,
    core: Rc<Core>,
    cluster_default: Rc<str>,
}

impl LinesDoor {
    /// That of one core.
    #[must_use]
    pub fn new(front: &Front, core: &Rc<Core>, settings: &Settings) -> Rc<Self> {
        let cluster_default = settings.main.tcp_cluster.as_deref().unwrap_or_default().into();
        Rc::new(Self { front: front.clone(), core: Rc::clone(core), cluster_default })
    }

    /// Accepts until `stop` is raised.
    pub fn accept(self: &Rc<Self>, listener: Listener, stop: &StopFlag) {
        let door = Rc::clone(self);
        listener.accept_loop(move |stream, _| door.take_in(stream, true), stop.clone());
    }

    fn take_in(self: &Rc<Self>, stream: Stream, may_move: bool) {
        // Before anything is read: from here on only what is stored ends in order.
        if !tcp::guard(&stream) {
            return;
        }
        let Some(connection) = self.front.connections.register(&stream) else {
            return tcp::dropped("too many connections");
        };
        let door = Rc::clone(self);
        if let Some(handshakes) = self.front.handshakes.clone() {
            return runtime::spawn("tcp connection over TLS", async move {
                match handshakes.shake(stream, Inner::Lines, &connection).await {
                    Ok(stream) => door.serve(stream, connection).await,
                    Err((_, error)) => tcp::dropped(error),
                }
            });
        }
        runtime::spawn("tcp connection", async move {
            let mut stream = Some(stream);
            if may_move && let Some(newcomer) = stream.take() {
                let place =
                    |bytes: &[u8]| placement::of_lines(bytes, &door.cluster_default, door.core.cores());
                stream = settle(newcomer, &door.core, Protocol::Lines, &connection, place).await;
            }
            if let Some(stream) = stream {
                door.serve(stream, connection).await;
            }
        });
    }

    async fn serve(&self, stream: impl Transport, connection: ConnectionHandle) {
        let (core, cluster) = (Rc::clone(&self.core), Rc::clone(&self.cluster_default));
        tcp::serve(stream, core, cluster, self.front.access.clone(), connection).await;
    }
}

/// Takes in what other cores send here, for as long as the core runs.
pub fn welcome<S: Service>(core: &Rc<Core>, http: Rc<HttpDoor<S>>, lines: Rc<LinesDoor>) {
    let core = Rc::clone(core);
    runtime::spawn("newcomers", async move {
        loop {
            let newcomer = core.newcomers.next().await;
            let protocol = newcomer.protocol;
            let stream = match newcomer.into_stream() {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::debug!("connection lost on its way to its core: {error}");
                    continue;
                }
            };
            match protocol {
                Protocol::Http => http.take_in(stream, false),
                Protocol::Lines => lines.take_in(stream, false),
            }
        }
    });
}

/// One core's share of `main.max-connections`.
#[must_use]
pub fn connections_max(settings: &Settings, cores: usize) -> usize {
    (settings.main.connections_max as usize).div_ceil(cores)
}
