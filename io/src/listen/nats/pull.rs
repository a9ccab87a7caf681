//! A JetStream subscription: a durable consumer on the broker remembers what was stored, so a restart resumes there.
//!
//! Before it: the stream, pulled from in batches, the next one only when the last is handed over. After it:
//! [`Dispatch`]; the acknowledgement comes from the core that has stored the message ([`feed`](super::feed)).
//! A message that was stored, but not acknowledged before a crash, comes again and changes nothing: its samples take the
//! slots they have.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, Context};
use futures_lite::StreamExt;

use super::connect::RETRY_INTERVAL_MAX;
use super::dispatch::{Dispatch, NoRoom};
use super::link::Link;
use super::{Stopped, sleep_or_stop, stop_asked};
use crate::settings::JetStream;

/// Messages asked for at a time.
const BATCH_MESSAGES_MAX: usize = 256;
/// What counts for the broker beside a message's payload.
const HEADERS_BYTES_MAX: usize = 64 * 1024;
/// How long the broker waits for messages before it answers that there are none.
const BATCH_WAIT: Duration = Duration::from_secs(30);
/// Unacknowledged messages the broker lets be under way.
const UNACKNOWLEDGED_MAX: i64 = 4096;
/// After this time without an acknowledgement the broker delivers again: also how long what a killed daemon was given stays away.
const ACKNOWLEDGE_WAIT: Duration = Duration::from_secs(10);

/// What to pull.
#[derive(Debug)]
pub(super) struct Source {
    /// Stream and consumer.
    pub(super) place: JetStream,
    /// Which of the stream's subjects.
    pub(super) subject: String,
    /// Cluster of lines that name none.
    pub(super) cluster: Arc<str>,
    /// Bytes of one batch, unless a single message is larger.
    pub(super) bytes_max: usize,
}

/// Pulls until the bridge stops.
pub(super) async fn run(
    client: Client,
    source: Source,
    dispatch: Dispatch,
    link: Arc<Link>,
    mut stopped: Stopped,
) {
    let context = jetstream::new(client.clone());
    let mut said = String::new();
    let JetStream { stream, durable } = &source.place;
    loop {
        let mut connected = link.connected();
        tokio::select! {
            () = stop_asked(&mut stopped) => return,
            _ = connected.wait_for(|(_, is_connected)| *is_connected) => {}
        }
        let failure = tokio::select! {
            () = stop_asked(&mut stopped) => return,
            failure = pull(&client, &context, &source, &dispatch, &link, &mut said) => failure,
        };
        if let Some(failure) = failure {
            if failure != said {
                tracing::error!(
                    "NATS: cannot pull from stream {stream} as {durable}: {failure}; trying again"
                );
                said = failure;
            }
            if !sleep_or_stop(RETRY_INTERVAL_MAX, &mut stopped).await {
                return;
            }
        }
    }
}

/// Pulls over one connection; returns what went wrong, or nothing if a new connection was made or the cores have ended.
async fn pull(
    client: &Client,
    context: &Context,
    source: &Source,
    dispatch: &Dispatch,
    link: &Link,
    said: &mut String,
) -> Option<String> {
    let mut connected = link.connected();
    let times = connected.borrow().0;
    let consumer = match open(context, source).await {
        Ok(consumer) => consumer,
        Err(error) => return Some(error),
    };
    let JetStream { stream, durable } = &source.place;
    said.clear();
    tracing::info!("NATS: pulling {} from stream {stream} as {durable}", source.subject);
    // What is asked for fits in memory, but the largest message must fit in it.
    let message_bytes_max = client.server_info().max_payload + HEADERS_BYTES_MAX;
    let bytes_max = source.bytes_max.max(message_bytes_max);
    let mut is_stuck = false;
    loop {
        let batch = consumer.batch().expires(BATCH_WAIT);
        let batch = if is_stuck {
            // A message that is larger than the broker takes by now: by itself, whatever its size.
            batch.max_messages(1).messages().await
        } else {
            batch.max_messages(BATCH_MESSAGES_MAX).max_bytes(bytes_max).messages().await
        };
        is_stuck = false;
        let mut messages = 0;
        let mut batch = match batch {
            Ok(batch) => batch,
            Err(error) => return Some(error.to_string()),
        };
        loop {
            let message = tokio::select! {
                message = batch.next() => message,
                // A request that was sent over the last connection is not answered over this one.
                _ = connected.wait_for(|(now, _)| *now != times) => return None,
            };
            match message {
                None => break,
                Some(Err(error)) if is_full(&error.to_string()) => {
                    is_stuck = messages == 0;
                    break;
                }
                Some(Err(error)) => return Some(error.to_string()),
                Some(Ok(message)) => {
                    messages += 1;
                    match dispatch.hand_over_pulled(message.message, &source.cluster).await {
                        Ok(()) => link.hand(),
                        // The broker delivers it again.
                        Err(NoRoom::Now) => break,
                        Err(NoRoom::Ever) => return None,
                    }
                }
            }
        }
    }
}

/// Whether the broker says that the next message does not fit into the bytes that were asked for.
fn is_full(error: &str) -> bool {
    // The client has no type for it.
    error.contains("MaxBytes") || error.contains("Batch Completed")
}

/// The consumer, made if there is none.
async fn open(context: &Context, source: &Source) -> Result<PullConsumer, String> {
    let JetStream { stream, durable } = &source.place;
    let wanted = pull::Config {
        durable_name: Some(durable.clone()),
        filter_subject: source.subject.clone(),
        // What is too old is refused by the retention anyway.
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACKNOWLEDGE_WAIT,
        max_ack_pending: UNACKNOWLEDGED_MAX,
        ..pull::Config::default()
    };
    let stream = context.get_stream(stream).await.map_err(|error| error.to_string())?;
    let consumer: PullConsumer =
        stream.get_or_create_consumer(durable, wanted).await.map_err(|error| error.to_string())?;
    let config = &consumer.cached_info().config;
    if config.ack_policy != AckPolicy::Explicit {
        return Err(
            "this consumer exists, and does not wait for acknowledgements; name another one".to_owned()
        );
    }
    if config.filter_subject != source.subject {
        let other = &config.filter_subject;
        return Err(format!(
            "this consumer exists, for {other:?} instead of {:?}; name another one",
            source.subject
        ));
    }
    Ok(consumer)
}
