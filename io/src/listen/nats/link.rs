//! What is told about the connection to the broker, and about losses: one line per change, not one per attempt.
//!
//! Written to by the client's events and by the subscriptions; read by whoever waits for a connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_nats::{ClientError, Event};
use tokio::sync::watch;

use crate::metrics::daemon::Source;
use crate::metrics::text::{Kind, Text};
use crate::runtime::now_ms;
use crate::telemetry::{RateLimit, WARN_INTERVAL};

/// The connection as its users see it.
#[derive(Debug)]
pub(super) struct Link {
    /// Where it leads, for messages.
    shown: String,
    /// How often it was made so far, and whether it is there now.
    connected: watch::Sender<(u64, bool)>,
    /// Messages of plain subscriptions that were lost on our side, since the start. Only counted.
    lost: AtomicU64,
    /// Messages that were handed to the cores, since the start. Only counted.
    handed: AtomicU64,
    said: Mutex<Said>,
}

/// What was logged, so that it is not again. On the bridge's thread alone, but for the compiler.
#[derive(Debug)]
struct Said {
    /// Why the broker could not be reached, as last logged.
    failure: String,
    lost: RateLimit,
    refused: RateLimit,
}

impl Link {
    /// Not connected yet.
    pub(super) fn new(shown: String) -> Self {
        let said = Said {
            failure: String::new(),
            lost: RateLimit::new(WARN_INTERVAL),
            refused: RateLimit::new(WARN_INTERVAL),
        };
        Self {
            shown,
            connected: watch::Sender::new((0, false)),
            lost: AtomicU64::new(0),
            handed: AtomicU64::new(0),
            said: Mutex::new(said),
        }
    }

    /// The client has something to say.
    pub(super) fn see(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.said().failure.clear();
                self.connected
                    .send_modify(|(times, is_connected)| (*times, *is_connected) = (*times + 1, true));
                tracing::info!("NATS: connected to {}", self.shown);
            }
            Event::Disconnected => {
                self.connected.send_modify(|(_, is_connected)| *is_connected = false);
                tracing::warn!(
                    "NATS: the connection to {} is lost; trying again for ever. What is published meanwhile comes only with JetStream",
                    self.shown
                );
            }
            Event::ClientError(error) => self.cannot_connect(error),
            Event::SlowConsumer(_) => self.lose(1),
            Event::ServerError(error) => {
                if let Some(more) = self.said().refused.allow(now_ms()) {
                    tracing::error!("NATS: the server says: {error} ({more} such messages suppressed)");
                }
            }
            Event::LameDuckMode => tracing::info!("NATS: the server is about to stop"),
            Event::Draining | Event::Closed => {}
        }
    }

    fn cannot_connect(&self, error: &ClientError) {
        let error = error.to_string();
        let mut said = self.said();
        if said.failure != error {
            tracing::error!("NATS: no connection to {}: {error}; trying again for ever", self.shown);
            said.failure = error;
        }
    }

    /// Messages that came, for which there was no room.
    pub(super) fn lose(&self, messages: u64) {
        let lost = self.lost.fetch_add(messages, Ordering::Relaxed) + messages;
        if self.said().lost.allow(now_ms()).is_some() {
            tracing::warn!(
                "NATS: slow consumer: messages come faster than they can be stored, {lost} lost since the start"
            );
        }
    }

    /// A message was handed to a core.
    pub(super) fn hand(&self) {
        self.handed.fetch_add(1, Ordering::Relaxed);
    }

    /// Says at the end what came and what was lost.
    pub(super) fn sum_up(&self) {
        let (handed, lost) = (self.handed.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed));
        tracing::info!("NATS: {handed} messages received, {lost} lost for want of room");
    }

    /// Follows the connection: how often it was made, and whether it is there.
    pub(super) fn connected(&self) -> watch::Receiver<(u64, bool)> {
        self.connected.subscribe()
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Link {
    fn write(&self, text: &mut Text) {
        let (times, is_connected) = *self.connected.borrow();
        let help = "1 while the broker is connected.";
        text.single("cc_metric_store_nats_connected", Kind::Gauge, help, u8::from(is_connected));
        let counters = [
            ("cc_metric_store_nats_connections_total", "How often the broker was connected.", times),
            (
                "cc_metric_store_nats_messages_total",
                "Messages handed to the cores.",
                self.handed.load(Ordering::Relaxed),
            ),
            (
                "cc_metric_store_nats_messages_lost_total",
                "Messages of plain subscriptions lost for want of room.",
                self.lost.load(Ordering::Relaxed),
            ),
        ];
        for (name, help, value) in counters {
            text.single(name, Kind::Counter, help, value);
        }
    }
}
