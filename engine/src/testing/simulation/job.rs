//! What a core's pump does for a checkpoint, and how the checkpoint waits for it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::core::{Core, Event};
use crate::checkpoint::{JsonSnapshotEncoder, Kind, SnapshotEncoder};
use crate::durable::checkpoint::{HostSnapshots, Hosts};
use crate::memory::save::HostHandedOver;
use crate::memory::shard::Shard;
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
        self.ask(move |shard| snapshots(shard, host, kind, from, to)).await
    }

    async fn take_back(&self, handed_over: HostHandedOver) {
        self.ask(move |shard| shard.take_back(&handed_over)).await;
    }
}

fn snapshots(shard: &mut Shard, host: LevelId, kind: Kind, from: i64, to: i64) -> Option<HostSnapshots> {
    let path: Vec<String> = shard.tree().path(host).into_iter().map(str::to_owned).collect();
    let files: Vec<Vec<u8>> = (0..shard.snapshots_needed(host))
        .map(|run| {
            let (from, mut bytes) = (from + run as i64, Vec::new());
            match kind {
                Kind::Binary => shard.write_snapshot(host, run, SnapshotEncoder::new(from, to, &mut bytes)),
                Kind::Json => shard.write_snapshot(host, run, JsonSnapshotEncoder::new(from, to, &mut bytes)),
            };
            bytes
        })
        .collect();
    if files.is_empty() {
        return None;
    }
    let handed_over = shard.hand_over(host);
    let [cluster, host] = path.try_into().expect("a host is two levels below the root");
    Some(HostSnapshots { cluster, host, files, handed_over })
}
