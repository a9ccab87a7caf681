//! The core's side of the NATS bridge: messages become samples, as request bodies do, and what is stored is reported back.
//!
//! Before it: [`super::dispatch`]. After it: [`Ingest`]. One task decodes message after message, in their order; another
//! waits for what the log says of them, so that several messages share a commit.

use std::cell::Cell;
use std::rc::Rc;

use async_nats::Subject;
use bytes::Bytes;
use engine::line::decode::BadLine;

use super::dispatch::Handed;
use crate::core::Core;
use crate::core::ingest::Ingest;
use crate::listen::deadline::StopDeadline;
use crate::runtime::{self, next_tick, now_ms};
use crate::telemetry::{RateLimit, WARN_INTERVAL};

/// Messages of one core that wait for the log.
const WAITING_MAX: usize = 64;
/// Bytes that are decoded without letting others have their turn.
const CHUNK_BYTES: usize = 64 * 1024;
/// When the broker may try again with what the log has refused: -NAK with a pause in nanoseconds.
const TRY_LATER: &[u8] = b"-NAK {\"delay\": 5000000000}";

/// What became of a message of JetStream.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Where to say so.
    pub(super) reply: Subject,
    is_stored: bool,
}

impl Outcome {
    /// What the broker is told.
    pub(super) fn answer(&self) -> Bytes {
        Bytes::from_static(if self.is_stored { b"+ACK" } else { TRY_LATER })
    }
}

/// What comes over NATS for one core, on the way to it.
#[derive(Debug)]
pub struct Feed {
    messages: flume::Receiver<Handed>,
    outcomes: flume::Sender<Outcome>,
}

impl Feed {
    pub(super) fn new(messages: flume::Receiver<Handed>, outcomes: flume::Sender<Outcome>) -> Self {
        Self { messages, outcomes }
    }
}

/// Whether everything the bridge handed to this core is stored, and nothing more comes.
#[derive(Clone, Debug)]
pub struct Fed {
    is_over: Rc<Cell<bool>>,
    /// The stop did not wait: nothing more is taken or acknowledged.
    is_cut_off: Rc<Cell<bool>>,
    deadline: Rc<StopDeadline>,
}

impl Fed {
    /// Waits for it, no longer than a stop may take. It comes soon after the bridge was asked to stop.
    pub async fn over(&self) {
        while !self.is_over.get() {
            if self.deadline.is_over() {
                self.is_cut_off.set(true);
                tracing::warn!(
                    "NATS: messages were not stored within main.stop-timeout; JetStream delivers them again"
                );
                return;
            }
            next_tick().await;
        }
    }
}

/// Starts this core's tasks for `feed`; without one, there is nothing to wait for.
#[must_use]
pub fn start(core: &Rc<Core>, feed: Option<Feed>, deadline: Rc<StopDeadline>) -> Fed {
    let fed = Fed { is_over: Rc::new(Cell::new(feed.is_none())), is_cut_off: Rc::default(), deadline };
    let Some(Feed { messages, outcomes }) = feed else { return fed };
    let (decoded, waiting) = flume::bounded(WAITING_MAX);
    let core = Rc::clone(core);
    runtime::spawn("nats decode", decode(core, messages, decoded, Rc::clone(&fed.is_cut_off)));
    let Fed { is_over, is_cut_off, .. } = fed.clone();
    runtime::spawn("nats store", async move {
        store(waiting, outcomes, &is_cut_off).await;
        is_over.set(true);
    });
    fed
}

/// A message whose samples are with their owners.
struct Decoded {
    ingest: Ingest,
    message: Handed,
}

async fn decode(
    core: Rc<Core>,
    messages: flume::Receiver<Handed>,
    decoded: flume::Sender<Decoded>,
    is_cut_off: Rc<Cell<bool>>,
) {
    let bad_line = RateLimit::new(WARN_INTERVAL);
    while let Ok(message) = messages.recv_async().await {
        if is_cut_off.get() {
            return;
        }
        // Nobody is told, and nothing comes again: a bad line costs only itself.
        let mut ingest = Ingest::new(&core, &message.cluster, BadLine::Skip);
        lines(&mut ingest, &message.payload).await;
        if let Some((lines, first)) = ingest.take_bad_lines()
            && let Some(more) = bad_line.allow(now_ms())
        {
            tracing::warn!(
                "NATS: message on {}: {lines} bad lines skipped, the first: {first} ({more} such warnings suppressed)",
                message.subject
            );
        }
        ingest.send().await;
        if decoded.send_async(Decoded { ingest, message }).await.is_err() {
            return;
        }
    }
}

async fn lines(ingest: &mut Ingest, payload: &Bytes) {
    for chunk in payload.chunks(CHUNK_BYTES) {
        let Ok(()) = ingest.push(chunk).await else { unreachable!("bad lines of a message are skipped") };
    }
    let Ok(()) = ingest.end_of_stream() else { unreachable!("bad lines of a message are skipped") };
}

async fn store(waiting: flume::Receiver<Decoded>, outcomes: flume::Sender<Outcome>, is_cut_off: &Cell<bool>) {
    let refused = RateLimit::new(WARN_INTERVAL);
    while let Ok(Decoded { mut ingest, message }) = waiting.recv_async().await {
        let stored = ingest.finish().await;
        if let Err(error) = &stored
            && let Some(more) = refused.allow(now_ms())
        {
            let fate = if message.reply.is_some() { "will be delivered again" } else { "is lost" };
            tracing::error!("NATS: {error}: a message {fate} ({more} such messages suppressed)");
        }
        // The last checkpoint may have been made without it.
        if is_cut_off.get() {
            return;
        }
        if let Some(reply) = message.reply {
            // The bridge is gone only when the daemon stops and the broker cannot be reached.
            let _ = outcomes.send_async(Outcome { reply, is_stored: stored.is_ok() }).await;
        }
    }
}
