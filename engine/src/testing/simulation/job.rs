//! What a core's pump does for a checkpoint, and how the checkpoint waits for it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::core::{Core, Event};
use crate::checkpoint::Kind;
use crate::durable::checkpoint::{HostSnapshots, Hosts};
use crate::memory::save::HostHandedOver;
use crate::memory::shard::Shard;
use crate::memory::snapshot::SnapshotWork;
use crate::series::tree::LevelId;

/// The hosts of a core, behind its pump.
pub(super) struct PumpHosts(pub(super) Rc<Core>);

/// An answer on its way.
struct Answer<T>(RefCell<(Option<T>, Option<Waker>)>);

impl PumpHosts {
    async fn ask<T: 'static>(&self, question: impl FnOnce(&mut Shard) -> T + 'static) -> T {
        let answer = Rc::new(Answer(RefCell::new((None, None))));
        let asked = Rc::clone(&answer);
        self.0.send(Event::Job(Box::new(move |shard| {
            let given = question(shard);
            let mut answer = asked.0.borrow_mut();
            answer.0 = Some(given);
            if let Some(waker) = answer.1.take() {
                waker.wake();
            }
        })));
        poll_fn(|context| {
            let mut answer = answer.0.borrow_mut();
            match answer.0.take() {
                Some(given) => Poll::Ready(given),
                None => {
                    answer.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Hosts for PumpHosts {
    async fn hosts(&self) -> Vec<LevelId> {
        self.ask(|shard| shard.hosts()).await
    }

    async fn hand_over(&self, host: LevelId, kind: Kind, from: i64, to: i64) -> Option<HostSnapshots> {
        // In slices, as the daemon's pump does it: other events come in between.
        let work = Rc::new(RefCell::new(SnapshotWork::new(host, kind, from, to)));
        loop {
            let slice = Rc::clone(&work);
            if self.ask(move |shard| slice.borrow_mut().step(shard)).await {
                break;
            }
        }
        self.ask(move |shard| Rc::into_inner(work)?.into_inner().into_snapshots(shard)).await
    }

    async fn take_back(&self, handed_over: HostHandedOver) {
        self.ask(move |shard| shard.take_back(&handed_over)).await;
    }
}
