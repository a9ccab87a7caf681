//! Which core gets a message, and whether there is room for it.
//!
//! Before it: the subscriptions, on the bridge's thread. After it: each core's [`feed`](super::feed).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_nats::{Message, Subject};
use bytes::Bytes;
use engine::series::route::core_of;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::MESSAGE_OVERHEAD_BYTES;

/// Budgets count in units of so many bytes.
const UNIT_BYTES: usize = MESSAGE_OVERHEAD_BYTES;
/// How far into a message its first host is looked for.
const HEAD_BYTES_MAX: usize = 1024;

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
        let core = first_host(&message.payload, cluster).map_or_else(
            || self.next.fetch_add(1, Ordering::Relaxed) % self.cores.len(),
            |(cluster, host)| core_of(cluster, host, self.cores.len()),
        );
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

/// Cluster and host of a message's first line, as far as a glance shows them.
///
/// A collector's message is of one host: decoded on the core that owns it, its samples need not cross again, and messages of
/// one host are stored in the order in which they came. It is a guess; decoding is right on any core.
fn first_host<'a>(payload: &'a [u8], cluster_default: &'a str) -> Option<(&'a str, &'a str)> {
    let head = &payload[..payload.len().min(HEAD_BYTES_MAX)];
    let end = head.iter().position(|byte| matches!(byte, b' ' | b'\n'))?;
    let (mut cluster, mut host) = (cluster_default, None);
    for tag in std::str::from_utf8(&head[..end]).ok()?.split(',').skip(1) {
        match tag.split_once('=') {
            Some(("cluster", name)) => cluster = name,
            Some(("hostname" | "host", name)) => host = Some(name),
            _ => {}
        }
    }
    host.map(|host| (cluster, host))
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
    fn the_first_line_says_which_core() {
        for (payload, expected) in [
            ("a,cluster=c,hostname=h,type=node value=1", Some(("c", "h"))),
            ("a,type=node,host=h value=1\n", Some(("d", "h"))),
            ("a,hostname=h value=1\nb,hostname=i value=2\n", Some(("d", "h"))),
            ("a value=1,hostname=h", None),
            ("# a,hostname=h\n", None),
            ("a,hostname=h", None),
            ("", None),
        ] {
            assert_eq!(first_host(payload.as_bytes(), "d"), expected, "{payload}");
        }
        assert_eq!(first_host(b"a,hostname=\xff value=1", "d"), None);
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
