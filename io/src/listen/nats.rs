//! The NATS bridge: a thread of its own with the broker's client, and one task on every core that stores what it hands over.
//!
//! Before it: the broker (SPEC section 8). After it: [`Ingest`](crate::core::ingest::Ingest), as for a request. The client
//! needs tokio, so it has a thread with tokio's single-threaded runtime; a message crosses to a core once, as a whole,
//! through a flume channel, whose wakes reach both worlds (DESIGN, known traps).
//!
//! - [`address`]: where the broker is; [`connect`]: how to reach the broker, and again; [`link`]: what is
//!   told about the connection.
//! - [`receive`]: plain subscriptions; [`pull`]: JetStream; both hand over through [`dispatch`].
//! - [`feed`]: the core's side, and what it reports back: only what is stored is acknowledged.
//!
//! Memory is bounded in bytes: a message takes a share of a budget when it comes and gives it back when it is stored. A
//! plain subscription that finds the budget empty loses the message, which is counted and warned of: NATS has no way to
//! ask the broker to wait. JetStream has: nothing is pulled until there is room.

mod address;
pub mod configuration;
pub mod connect;
mod dispatch;
pub mod feed;
mod link;
mod pull;
mod receive;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::configuration::ConfigurationError;
use self::connect::Broker;
use self::dispatch::Dispatch;
use self::feed::{Feed, Outcome};
use self::link::Link;
use crate::metrics::daemon::Source;
use crate::settings::{Settings, Subscription};
use crate::telemetry::{self, critical};

/// What a message costs beside its payload: subjects, headers, places in queues.
const MESSAGE_OVERHEAD_BYTES: usize = 1024;
/// How long the broker has at a stop to send what it has sent already, and to take the last acknowledgements.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the cores have at a stop to store what was handed over, before acknowledgements are given up.
const OUTCOMES_TIMEOUT: Duration = Duration::from_secs(5);

/// A bridge that is configured, and not started.
#[derive(Debug)]
pub struct Bridge {
    broker: Broker,
    subscriptions: Vec<Subscription>,
    dispatch: Dispatch,
    outcomes: flume::Receiver<Outcome>,
    link: Arc<Link>,
}

impl Bridge {
    /// The bridge of this configuration with the feeds of so many cores; none if there is nothing to receive.
    ///
    /// # Errors
    /// The section `nats` cannot work: an address that is none, a file that cannot be read.
    pub fn new(
        settings: &Settings,
        cores: usize,
    ) -> Result<(Option<Self>, Vec<Option<Feed>>), ConfigurationError> {
        let no_feeds = || (0..cores).map(|_| None).collect();
        let Some(nats) = &settings.nats else { return Ok((None, no_feeds())) };
        let subscriptions = settings.metric_store.nats_subscriptions.clone();
        let broker = Broker::new(nats)?;
        if subscriptions.is_empty() {
            tracing::warn!(
                "nats is configured, but metric-store.nats-subscriptions is empty: nothing is received"
            );
            return Ok((None, no_feeds()));
        }
        let held_bytes_max = nats.held_bytes_max as usize;
        let (dispatch, receivers) = Dispatch::new(cores, held_bytes_max);
        let (outcomes_sender, outcomes) = flume::bounded(dispatch.messages_max());
        let feeds = receivers
            .into_iter()
            .map(|messages| Some(Feed::new(messages, outcomes_sender.clone())))
            .collect();
        let link = Arc::new(Link::new(broker.shown.clone()));
        Ok((Some(Self { broker, subscriptions, dispatch, outcomes, link }), feeds))
    }

    /// What `/metrics` shows of it.
    #[must_use]
    pub fn metrics(&self) -> Arc<dyn Source> {
        Arc::<Link>::clone(&self.link)
    }

    /// Starts the thread. It connects, for ever if need be; there need not be a broker yet.
    ///
    /// # Errors
    /// The system refuses a thread or what tokio needs.
    pub fn start(self) -> io::Result<BridgeThread> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let main = move || {
            let run = AssertUnwindSafe(|| runtime.block_on(self.run(stopped)));
            if catch_unwind(run).is_err() {
                critical!("the NATS bridge panicked, aborting");
                telemetry::abort();
            }
        };
        let thread = thread::Builder::new().name("nats".to_owned()).spawn(main)?;
        Ok(BridgeThread { stop, thread })
    }

    async fn run(self, mut stopped: Stopped) {
        let Self { broker, subscriptions, dispatch, outcomes, link } = self;
        // Only a broken promise of the client ends a session before the stop; it begins again.
        let mut acknowledgements = None;
        while !*stopped.borrow() {
            let connected = tokio::select! {
                connected = broker.connect(&link) => connected,
                () = stop_asked(&mut stopped) => break,
            };
            let client = match connected {
                Ok(client) => client,
                Err(error) => {
                    tracing::error!("NATS: {error}; trying again");
                    sleep_or_stop(connect::RETRY_INTERVAL_MAX, &mut stopped).await;
                    continue;
                }
            };
            let mut tasks = JoinSet::new();
            for subscription in &subscriptions {
                let cluster: Arc<str> = subscription.cluster.as_deref().unwrap_or_default().into();
                let subject = subscription.subject.clone();
                let (client, dispatch, link) = (client.clone(), dispatch.clone(), Arc::clone(&link));
                let stopped = stopped.clone();
                match subscription.jet_stream.clone() {
                    None => tasks.spawn(receive::run(client, subject, cluster, dispatch, link, stopped)),
                    Some(place) => {
                        let share = subscriptions.iter().filter(|other| other.jet_stream.is_some()).count();
                        let source = pull::Source {
                            place,
                            subject,
                            cluster,
                            bytes_max: dispatch.bytes_max() / 2 / share,
                        };
                        tasks.spawn(pull::run(client, source, dispatch, link, stopped))
                    }
                };
            }
            acknowledgements = Some((client.clone(), tokio::spawn(acknowledge(client, outcomes.clone()))));
            while let Some(ended) = tasks.join_next().await {
                ended.expect("tasks of the bridge do not panic");
                if !*stopped.borrow() {
                    tracing::error!("NATS: a subscription ended by itself; connecting anew");
                    break;
                }
            }
            if !*stopped.borrow() {
                if let Some((_, task)) = acknowledgements.take() {
                    task.abort();
                }
                sleep_or_stop(connect::RETRY_INTERVAL_MAX, &mut stopped).await;
            }
        }
        // The cores see that nothing more comes; when they are through, there are no more outcomes.
        drop(dispatch);
        drop(outcomes);
        link.sum_up();
        if let Some((client, task)) = acknowledgements {
            if timeout(OUTCOMES_TIMEOUT, task).await.is_err() {
                tracing::warn!("NATS: stored messages could not be acknowledged and will be delivered again");
            }
            // Without a broker there is nothing to wait for.
            let _ = timeout(DRAIN_TIMEOUT, client.flush()).await;
        }
    }
}

/// Goes from false to true once.
type Stopped = watch::Receiver<bool>;

/// Waits; false if the stop came first.
async fn sleep_or_stop(duration: Duration, stopped: &mut Stopped) -> bool {
    timeout(duration, stop_asked(stopped)).await.is_err()
}

/// Resolves when the bridge is asked to stop, or nobody is left to ask.
async fn stop_asked(stopped: &mut Stopped) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Tells the broker what became of JetStream messages, until no core is left to say so.
async fn acknowledge(client: async_nats::Client, outcomes: flume::Receiver<Outcome>) {
    while let Ok(outcome) = outcomes.recv_async().await {
        let answer = outcome.answer();
        // It fails only when the client has ended; then the broker delivers again.
        if let Err(error) = client.publish(outcome.reply, answer).await {
            tracing::debug!("NATS: no acknowledgement: {error}");
        }
    }
}

/// The running bridge.
#[derive(Debug)]
pub struct BridgeThread {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl BridgeThread {
    /// Asks it to end: no more messages are taken, those the broker has sent are handed over.
    pub fn stop(&self) {
        // It fails only if the thread has ended.
        let _ = self.stop.send(true);
    }

    /// Waits for its end, which comes when the cores have stored what they were handed.
    pub fn join(self) {
        if self.thread.join().is_err() {
            critical!("the NATS bridge ended by a panic");
        }
    }
}
