//! The listeners of one core, put together: accepted sockets, TLS, tokens, and the two protocols behind them.
//!
//! Before it: [`boot`](crate::boot), which binds the ports. After it: `listen` and `api`.

use std::rc::Rc;
use std::time::Duration;

use crate::access::Access;
use crate::api::Api;
use crate::core::Core;
use crate::listen::connections::ConnectionTable;
use crate::listen::http::{self, HttpLimits};
use crate::listen::tcp;
use crate::listen::tls::{self, HandshakeError, Handshakes, Inner};
use crate::runtime::{self, Listener, StopFlag, Stream};
use crate::settings::Settings;

/// From the first to the last byte of a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// What all connections of a core share.
#[derive(Clone, Debug)]
pub struct Front {
    /// Where samples and questions go.
    pub core: Rc<Core>,
    /// The open connections.
    pub connections: Rc<ConnectionTable>,
    /// Who may call; none: everybody.
    pub access: Option<Rc<Access>>,
    /// TLS; none: plain connections.
    pub handshakes: Option<Rc<Handshakes>>,
}

impl Front {
    /// Serves HTTP until `stop` is raised.
    pub fn serve_http(&self, listener: Listener, settings: &Settings, stop: &StopFlag) {
        let api = Rc::new(Api::new(Rc::clone(&self.core), self.access.clone()));
        let limits = Rc::new(HttpLimits {
            header_bytes_max: settings.main.header_bytes_max as usize,
            idle_timeout: settings.main.idle_timeout,
            header_timeout: HEADER_TIMEOUT,
            body_bytes_per_second_min: settings.main.body_bytes_per_second_min,
        });
        let (connections, handshakes) = (Rc::clone(&self.connections), self.handshakes.clone());
        let stop_accepting = stop.clone();
        let stop = stop.clone();
        let on_connection = move |stream: Stream, _| {
            let Some(connection) = connections.register(&stream) else { return };
            let (api, limits, stop) = (Rc::clone(&api), Rc::clone(&limits), stop.clone());
            let Some(handshakes) = handshakes.clone() else {
                return runtime::spawn("http connection", async move {
                    http::serve(stream, api, &limits, connection, stop).await;
                });
            };
            runtime::spawn("https connection", async move {
                match handshakes.shake(stream, Inner::Http, &connection).await {
                    Ok(stream) => http::serve(stream, api, &limits, connection, stop).await,
                    Err((socket, HandshakeError::PlainText)) => tls::answer_plain_text(socket).await,
                    Err(_) => {}
                }
            });
        };
        listener.accept_loop(on_connection, stop_accepting);
    }

    /// Serves raw line protocol until `stop` is raised.
    pub fn serve_tcp(&self, listener: Listener, settings: &Settings, stop: &StopFlag) {
        let cluster: Rc<str> = settings.main.tcp_cluster.as_deref().unwrap_or_default().into();
        let front = self.clone();
        let on_connection = move |stream: Stream, _| {
            let Some(connection) = front.connections.register(&stream) else {
                return tcp::reset(&stream, "too many connections");
            };
            let (core, cluster, access) = (Rc::clone(&front.core), Rc::clone(&cluster), front.access.clone());
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
}
