//! Checkpoints of one core, whose hosts are behind its pump.

use std::rc::Rc;
use std::time::Duration;

use super::call::Call;
use super::core::{Additions, Core};
use super::event::{Reply, Work};
use crate::checkpoint::Kind;
use crate::durable::checkpoint::{Checkpoints, Complete, HostSnapshots, Hosts};
use crate::memory::save::HostHandedOver;
use crate::platform::Clock;
use crate::series::tree::LevelId;

/// Makes one checkpoint, the last one at a stop, and says in the log how it went; returns whether it is complete.
pub(super) async fn run<A: Additions>(
    core: &Rc<Core<A>>,
    clock: &impl Clock,
    checkpoints: &mut Checkpoints<A::Platform>,
    is_last: bool,
) -> bool {
    let (began_ns, hosts) = (clock.now_ns(), PumpHosts(core));
    core.checkpoint_begins();
    let result = if is_last { checkpoints.run_last(&hosts).await } else { checkpoints.run(&hosts).await };
    let took = Duration::from_nanos(clock.now_ns().saturating_sub(began_ns));
    core.checkpoint_over(&result, took);
    match result {
        Ok(Complete { hosts, .. }) => {
            tracing::info!("core {}: checkpoint of {hosts} hosts in {} ms", core.index, took.as_millis());
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
struct PumpHosts<'a, A: Additions>(&'a Rc<Core<A>>);

impl<A: Additions> PumpHosts<'_, A> {
    async fn ask(&self, work: Work) -> Option<Reply<A>> {
        let call = Call::new(self.0);
        call.want(self.0.index, work).await;
        call.replies().await.pop().map(|(_, reply)| reply)
    }
}

impl<A: Additions> Hosts for PumpHosts<'_, A> {
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
