//! Checkpoints of one core: the engine's, whose hosts are behind this core's pump.

use std::rc::Rc;
use std::time::Instant;

use engine::checkpoint::Kind;
use engine::durable::checkpoint::{self, HostSnapshots, Hosts};
use engine::memory::save::HostHandedOver;
use engine::series::tree::LevelId;

use super::Core;
use super::calls::Call;
use super::event::{Reply, Work};
use crate::durable::RealPlatform;

/// Makes a core's checkpoints.
pub type Checkpoints = checkpoint::Checkpoints<RealPlatform>;

/// Makes one checkpoint, the last one at a stop, and says in the log how it went; returns whether it is complete.
pub async fn run(core: &Rc<Core>, checkpoints: &mut Checkpoints, is_last: bool) -> bool {
    let (began, hosts) = (Instant::now(), PumpHosts(core));
    let result = if is_last { checkpoints.run_last(&hosts).await } else { checkpoints.run(&hosts).await };
    core.counters.checkpoints.count(result.is_ok(), began.elapsed());
    match result {
        Ok(complete) => {
            tracing::info!(
                "core {}: checkpoint of {} hosts in {} ms",
                core.index,
                complete.hosts,
                began.elapsed().as_millis()
            );
            true
        }
        Err(error) => {
            tracing::error!(
                "core {}: the checkpoint failed, the log is kept and the next one tries again: {error}",
                core.index
            );
            false
        }
    }
}

/// The hosts of a core, asked for with messages to its pump.
struct PumpHosts<'a>(&'a Rc<Core>);

impl PumpHosts<'_> {
    async fn ask(&self, work: Work) -> Option<Reply> {
        let call = Call::new(self.0);
        call.want(self.0.index, work).await;
        call.replies().await.pop().map(|(_, reply)| reply)
    }
}

impl Hosts for PumpHosts<'_> {
    async fn hosts(&self) -> Vec<LevelId> {
        match self.ask(Work::ListHosts).await {
            Some(Reply::Hosts(hosts)) => hosts,
            _ => Vec::new(),
        }
    }

    async fn hand_over(&self, host: LevelId, kind: Kind, from: i64, to: i64) -> Option<HostSnapshots> {
        match self.ask(Work::Snapshot { host, kind, from, to }).await {
            Some(Reply::Snapshots(snapshots)) => snapshots.map(|snapshots| *snapshots),
            _ => None,
        }
    }

    async fn take_back(&self, handed_over: HostHandedOver) {
        self.ask(Work::TakeBack(handed_over)).await;
    }
}
