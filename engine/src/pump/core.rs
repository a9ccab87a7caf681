//! What the tasks and the pump of one core share.

use std::cell::RefCell;
use std::fmt::Debug;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::calls::Calls;
use super::event::{CallId, CoreEvent, ExtraMessages, Order};
use super::mesh::{CoreEnds, Incoming, Outgoing};
use crate::durable::checkpoint::{CheckpointError, Complete};
use crate::durable::commit::CommitQueue;
use crate::durable::journal::Free;
use crate::memory::shard::{Applied, Shard};
use crate::memory::spared::Spared;
use crate::platform::Platform;
use crate::series::directory::Directory;
use crate::series::route::{Router, Sample};

/// Sample lists kept for the next request.
const SPARE_LISTS_MAX: usize = 64;

/// What surrounds the engine adds to a core: data of its own, and what it does when something happens. Every call comes
/// on the core's thread and must be short.
pub trait Additions: ExtraMessages + Sized {
    /// Disk and clock.
    type Platform: Platform;

    /// A message of [`ExtraMessages::Notice`] arrived.
    fn notice(&self, notice: Self::Notice);
    /// The core's metrics as they are now.
    fn metrics(
        core: &Core<Self>,
        shard: &Shard,
        log: &CommitQueue<Self::Platform>,
        pump: PumpState,
    ) -> Self::Metrics;
    /// The pump is about to do what an event of core `from` says.
    fn event(&self, _from: usize, _event: &CoreEvent<Self>) {}
    /// The pump has taken so many events of one core.
    fn events_taken(&self, _count: usize) {}
    /// A batch is stored, and about to be acknowledged.
    fn written(&self, _applied: &Applied) {}
    /// So many samples are refused, because the log does not work.
    fn not_written(&self, _samples: usize) {}
    /// Bytes that are held beside the cores' data, and count for the cap on memory.
    fn held_beside_bytes(&self) -> u64 {
        0
    }
    /// A checkpoint begins.
    fn checkpoint_begins(&self) {}
    /// A checkpoint is over.
    fn checkpoint_over(&self, _result: &Result<Complete, CheckpointError>, _took: Duration) {}
}

/// What a pump knows of itself, for metrics.
#[derive(Clone, Copy, Debug)]
pub struct PumpState {
    /// Messages that wait for it.
    pub mailbox_messages: usize,
    /// Jobs under way.
    pub jobs: usize,
}

/// What the connections and the pump of one core share. It stands for its additions as well.
#[derive(Debug)]
pub struct Core<A: Additions> {
    /// Which one it is.
    pub index: usize,
    /// The hosts of all cores.
    pub directory: Arc<Directory>,
    /// Where series go.
    pub router: RefCell<Router>,
    /// The way to all pumps.
    pub outgoing: Outgoing<A>,
    pub(super) calls: Calls<A>,
    /// Frees whose record is durable, for the pump to do: who asked, and the call.
    pub(super) recorded_frees: RefCell<Vec<(usize, CallId, Free)>>,
    /// For upkeep to do.
    pub(super) orders: RefCell<Orders>,
    spare: RefCell<Vec<Vec<Sample>>>,
    additions: A,
}

/// What upkeep has been ordered to do, and who is told when it is done.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) checkpoints: Vec<(usize, CallId)>,
    pub(super) clean_ups: Vec<(usize, CallId)>,
    /// Of the last order of cleanup: which hosts to spare.
    pub(super) spared: Arc<Spared>,
}

impl Orders {
    pub(super) fn add(&mut self, from: usize, call: CallId, order: Order) {
        match order {
            Order::Checkpoint => self.checkpoints.push((from, call)),
            Order::CleanUp(spared) => {
                self.clean_ups.push((from, call));
                self.spared = spared;
            }
        }
    }
}

impl<A: Additions> Deref for Core<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.additions
    }
}

impl<A: Additions> Core<A> {
    /// The shared part of a core, and the ends of its mailboxes for the pump.
    #[must_use]
    pub fn new(
        ends: CoreEnds<A>,
        directory: Arc<Directory>,
        router: Router,
        additions: A,
    ) -> (Rc<Self>, Incoming<A>) {
        let index = ends.index;
        let (outgoing, incoming) = ends.split();
        let core = Self {
            index,
            directory,
            router: router.into(),
            outgoing,
            calls: Calls::default(),
            recorded_frees: RefCell::default(),
            orders: RefCell::default(),
            spare: RefCell::default(),
            additions,
        };
        (Rc::new(core), incoming)
    }

    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.outgoing.cores()
    }

    /// An empty list with memory of an earlier one.
    #[must_use]
    pub fn spare_list(&self) -> Vec<Sample> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a list back whose samples were stored.
    pub fn put_spare_list(&self, mut list: Vec<Sample>) {
        let mut spare = self.spare.borrow_mut();
        if list.capacity() > 0 && spare.len() < SPARE_LISTS_MAX {
            list.clear();
            spare.push(list);
        }
    }
}
