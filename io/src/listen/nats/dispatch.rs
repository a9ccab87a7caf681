//! Which core gets a message, and whether there is room for it.
//!
//! Before it: the subscriptions, on the bridge's thread. After it: each core's [`feed`](super::feed).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_nats::{Message, Subject};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::MESSAGE_OVERHEAD_BYTES;

use crate::listen::placement::{self, Place};

/// Budgets count in units of so many bytes.
const UNIT_BYTES: usize = MESSAGE_OVERHEAD_BYTES;

/// A message on its way to a core.
#[derive(Debug)]
pub(super) struct Handed {
    /// The lines.
    pub(super) payload: Bytes,
    /// Cluster of lines that name none.
    pub(super) cluster: Arc<str>,
    /// Where it was published, for messages about it.
    pub(super) subject: Subject,
    /// Where JetStream wants to be told that it is stored; none: nobody waits for that.
    pub(super) reply: Option<Subject>,
    /// Its share of the budget, given back when this is dropped.
    pub(super) _share: OwnedSemaphorePermit,
}

/// Why a message was not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// The cores do not keep up: the message is lost.
    Now,
    /// The cores have ended.
    Ever,
}

/// The way to the cores. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Dispatch {
    cores: Arc<[flume::Sender<Handed>]>,
    /// Size of each of the budgets.
    bytes_max: usize,
    /// Of plain subscriptions.
    held: Arc<Semaphore>,
    /// Of JetStream, which could take all of a common one.
    pulled: Arc<Semaphore>,
    /// Where the next message goes of which no host is known.
    next: Arc<AtomicUsize>,
}

impl Dispatch {
    /// Ways to so many cores, and their ends; so many bytes of each kind of subscription may be under way.
    pub(super) fn new(cores: usize, bytes_max: usize) -> (Self, Vec<flume::Receiver<Handed>>) {
        let messages_max = messages_max(bytes_max);
        let (senders, receivers): (Vec<_>, _) = (0..cores).map(|_| flume::bounded(messages_max)).unzip();
        let dispatch = Self {
            cores: senders.into(),
            bytes_max,
            held: Arc::new(Semaphore::new(bytes_max / UNIT_BYTES)),
            pulled: Arc::new(Semaphore::new(bytes_max / UNIT_BYTES)),
            next: Arc::default(),
        };
        (dispatch, receivers)
    }

    /// Size of each budget.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// More messages cannot be under way.
    pub(super) fn messages_max(&self) -> usize {
        messages_max(self.bytes_max)
    }

    /// Hands over a message that came unasked.
    pub(super) fn hand_over(&self, message: Message, cluster: &Arc<str>) -> Result<(), NoRoom> {
        let units = units(&message, self.bytes_max);
        let share = Arc::clone(&self.held).try_acquire_many_owned(units).map_err(|_| NoRoom::Now)?;
        // What somebody wants to be answered is answered by nobody here.
        self.send(message, cluster, None, share)
    }

    /// Hands over a message of JetStream, when there is room.
    pub(super) async fn hand_over_pulled(
        &self,
        mut message: Message,
        cluster: &Arc<str>,
    ) -> Result<(), NoRoom> {
        let units = units(&message, self.bytes_max);
        let share = Arc::clone(&self.pulled).acquire_many_owned(units).await.map_err(|_| NoRoom::Ever)?;
        let reply = message.reply.take();
        self.send(message, cluster, reply, share)
    }

    fn send(
        &self,
        message: Message,
        cluster: &Arc<str>,
        reply: Option<Subject>,
        share: OwnedSemaphorePermit,
    ) -> Result<(), NoRoom> {
        let core = match placement::of_lines(&message.payload, cluster, self.cores.len()) {
            Place::Core(core) => core,
            Place::Anywhere | Place::Unknown => self.next.fetch_add(1, Ordering::Relaxed) % self.cores.len(),
        };
        let handed = Handed {
            payload: message.payload,
            cluster: Arc::clone(cluster),
            subject: message.subject,
            reply,
            _share: share,
        };
        self.cores[core].try_send(handed).map_err(|error| match error {
            flume::TrySendError::Full(_) => NoRoom::Now,
            flume::TrySendError::Disconnected(_) => NoRoom::Ever,
        })
    }
}

/// What the budgets allow: a channel of this size is never full.
fn messages_max(bytes_max: usize) -> usize {
    2 * bytes_max / UNIT_BYTES
}

/// A message's share of a budget; one that is larger than all of it takes it all.
fn units(message: &Message, bytes_max: usize) -> u32 {
    let bytes = message.length.saturating_add(MESSAGE_OVERHEAD_BYTES).min(bytes_max);
    u32::try_from(bytes / UNIT_BYTES).expect("budgets have less than 2³² units")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 64 << 20;

    fn message(payload: impl Into<Bytes>) -> Message {
        let payload = payload.into();
        let length = payload.len();
        let subject = Subject::from("s");
        Message { subject, reply: None, payload, headers: None, status: None, description: None, length }
    }

    #[test]
    fn no_more_bytes_are_held_than_the_budget_and_shares_come_back() {
        let (dispatch, cores) = Dispatch::new(2, BYTES);
        let cluster: Arc<str> = "c".into();
        let bytes = 1 << 20;
        let fill = || {
            (0..1000).take_while(|_| dispatch.hand_over(message(vec![b' '; bytes]), &cluster).is_ok()).count()
        };
        let held = fill();
        assert_eq!(held, BYTES / (bytes + MESSAGE_OVERHEAD_BYTES));
        assert_eq!(dispatch.hand_over(message(vec![b' '; bytes]), &cluster), Err(NoRoom::Now));
        // Without a host they go round.
        assert!(cores.iter().all(|core| core.len() >= held / 2));
        drop(cores[0].recv().unwrap());
        assert_eq!(fill(), 1);
        drop(cores);
        assert_eq!(dispatch.hand_over(message("x"), &cluster), Err(NoRoom::Ever));
    }

    #[test]
    fn a_message_larger_than_the_budget_takes_all_of_it() {
        let (dispatch, cores) = Dispatch::new(1, BYTES);
        let cluster: Arc<str> = "c".into();
        let mut huge = message("x");
        huge.length = usize::MAX / 2;
        assert_eq!(dispatch.hand_over(huge.clone(), &cluster), Ok(()));
        assert_eq!(dispatch.hand_over(message("x"), &cluster), Err(NoRoom::Now));
        drop(cores[0].recv().unwrap());
        assert_eq!(dispatch.hand_over(huge, &cluster), Ok(()));
    }
}
