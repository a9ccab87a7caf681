//! A scratch `nats-server` beside the daemon under test.
//!
//! `data/` holds certificates and identities that are good for nothing but these tests; `data/make.py` has made them.

#![allow(dead_code, reason = "every test file uses another part of the harness")]

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tools::nats::broker::Broker;
use tools::nats::client::Client;

use super::daemon::{Daemon, eventually, free_port};

/// How long what the daemon says may take.
const SOON: Duration = Duration::from_secs(20);

/// A port and a directory for a broker.
pub(crate) struct Place {
    directory: TempDir,
    port: u16,
    broker: Option<Broker>,
}

impl Place {
    /// A running broker, with this at the end of its configuration.
    #[track_caller]
    pub(crate) fn new(extra: &str) -> Self {
        let mut place = Self::without_broker();
        place.start_broker(extra);
        place
    }

    /// A running broker with JetStream.
    #[track_caller]
    pub(crate) fn with_jet_stream() -> Self {
        let mut place = Self::without_broker();
        place.start_broker(&place.jet_stream());
        place
    }

    /// What a broker with JetStream is started with.
    pub(crate) fn jet_stream(&self) -> String {
        Broker::jet_stream(self.directory.path())
    }

    /// Only the place.
    #[track_caller]
    pub(crate) fn without_broker() -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        Self { directory, port: free_port(), broker: None }
    }

    /// Starts the broker, again if it runs.
    #[track_caller]
    pub(crate) fn start_broker(&mut self, extra: &str) {
        self.kill_broker();
        self.broker = Some(
            Broker::start(self.directory.path(), self.port, extra).unwrap_or_else(|error| panic!("{error}")),
        );
    }

    /// Ends the broker at once.
    pub(crate) fn kill_broker(&mut self) {
        self.broker = None;
    }

    /// Where the broker listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A daemon that subscribes to this broker.
    #[track_caller]
    pub(crate) fn daemon(&self, subscriptions: Value) -> Daemon {
        self.daemon_with(subscriptions, json!({}))
    }

    /// The same, with more in its section `nats`.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!")]
    pub(crate) fn daemon_with(&self, subscriptions: Value, nats: Value) -> Daemon {
        let address = format!("nats://127.0.0.1:{}", self.port);
        Daemon::start_with(|config| {
            config["metric-store"]["retention-in-memory"] = json!("87600h");
            config["metric-store"]["nats-subscriptions"] = subscriptions.clone();
            config["nats"] = json!({"address": address});
            let section = config["nats"].as_object_mut().expect("it was just made");
            section.extend(nats.as_object().expect("an object").clone());
        })
    }

    /// A client of the broker.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port).expect("the broker takes connections")
    }

    /// A client, when the broker delivers messages of these subjects to somebody.
    #[track_caller]
    pub(crate) fn heard_client(&self, subjects: &[&str]) -> Client {
        let mut client = self.client();
        let is_heard = eventually(SOON, || {
            subjects.iter().all(|subject| client.is_heard(subject).expect("the broker answers"))
        });
        assert!(is_heard, "the daemon subscribes to {subjects:?}");
        client
    }

    /// A client that says who it is.
    #[track_caller]
    pub(crate) fn client_as(&self, options: &str) -> Client {
        Client::connect_as(self.port, options).expect("the broker takes connections")
    }
}

/// Waits until the daemon has logged this.
pub(crate) fn log_says(daemon: &Daemon, text: &str) -> bool {
    eventually(SOON, || daemon.log().contains(text))
}
