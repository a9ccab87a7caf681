//! What a pump does in steps: anything but storing samples.

use std::sync::Arc;

use super::event::{ExtraMessages, Reply, Work};
use crate::durable::journal::Free;
use crate::inspect::debug::{CoreDump, DumpWork};
use crate::inspect::{health, listing};
use crate::limits::HEALTH_NODES_PER_STEP;
use crate::memory::retention::FreeWork;
use crate::memory::shard::Shard;
use crate::memory::snapshot::SnapshotWork;
use crate::memory::work::ShardWork;
use crate::promql::PromError;
use crate::promql::scan::{PromAnswer, PromScan};
use crate::query::request::HealthRequest;
use crate::query::scatter::{CoreAnswer, CoreQuery, TooLarge};
use crate::series::tree::ROOT;

/// Work under way, whose answer is a reply.
pub(super) type Job<X> = Box<dyn ShardWork<Answer = Reply<X>>>;

/// Begins what is wanted.
pub(super) fn begin<X: ExtraMessages>(wanted: Work, shard: &Shard) -> Job<X> {
    match wanted {
        Work::Query(question) => job(CoreQuery::new(question), Reply::Answered),
        Work::Prometheus(question) => {
            job(PromScan::new(question), |answer| Reply::Prometheus(answer.map(Box::new)))
        }
        Work::Free(Free { selectors, mine, to }) => {
            let found = mine
                .into_iter()
                .filter_map(|index| shard.tree().find(selectors[index as usize].iter().map(String::as_str)));
            job(FreeWork::new(found.collect(), to), freed)
        }
        Work::Retain { to, spared } => job(FreeWork::sparing(shard, to, &spared), freed),
        Work::Relieve(to) => job(FreeWork::saved(vec![ROOT], to), freed),
        Work::Snapshot { host, kind, from, to } => {
            job(SnapshotWork::new(host, kind, from, to), |snapshots| {
                Reply::Snapshots(snapshots.map(Box::new))
            })
        }
        Work::Dump(selector) => job(DumpWork::new(shard, &selector), Reply::Dumped),
        Work::Health { request, mine, now } => {
            job(HealthWork { request, nodes: mine, now, judged: Vec::new() }, Reply::Judged)
        }
        Work::ListHosts => once(|shard| Reply::Hosts(shard.hosts())),
        Work::ListSeries { cluster, host } => once(move |shard| {
            let mut json = Vec::new();
            listing::push_host(shard, &cluster, &host, &mut json);
            Reply::Series(json)
        }),
        Work::Held => once(|shard| Reply::Held(shard.held_bytes())),
        Work::TakeBack(handed_over) => once(move |shard| {
            shard.take_back(&handed_over);
            Reply::TakenBack
        }),
    }
}

fn freed<X: ExtraMessages>(buffers: usize) -> Reply<X> {
    Reply::Freed(buffers as u64)
}

/// Work with the reply that its answer becomes.
struct Replying<W, F> {
    work: W,
    reply: F,
}

fn job<X: ExtraMessages, W: ShardWork + 'static>(
    work: W,
    reply: impl FnMut(W::Answer) -> Reply<X> + 'static,
) -> Job<X> {
    Box::new(Replying { work, reply })
}

impl<X: ExtraMessages, W: ShardWork, F: FnMut(W::Answer) -> Reply<X>> ShardWork for Replying<W, F> {
    type Answer = Reply<X>;

    fn step(&mut self, shard: &mut Shard) -> Option<Reply<X>> {
        self.work.step(shard).map(&mut self.reply)
    }
}

impl ShardWork for CoreQuery {
    type Answer = Result<CoreAnswer, TooLarge>;

    fn step(&mut self, shard: &mut Shard) -> Option<Self::Answer> {
        // It reads only.
        self.step(shard)
    }
}

impl ShardWork for PromScan {
    type Answer = Result<PromAnswer, PromError>;

    fn step(&mut self, shard: &mut Shard) -> Option<Self::Answer> {
        self.step(shard)
    }
}

impl ShardWork for DumpWork {
    type Answer = CoreDump;

    fn step(&mut self, shard: &mut Shard) -> Option<Self::Answer> {
        self.step(shard)
    }
}

/// Something that is done in one step.
struct Once<F>(Option<F>);

fn once<X: ExtraMessages>(work: impl FnOnce(&mut Shard) -> Reply<X> + 'static) -> Job<X> {
    Box::new(Once(Some(work)))
}

impl<X: ExtraMessages, F: FnOnce(&mut Shard) -> Reply<X>> ShardWork for Once<F> {
    type Answer = Reply<X>;

    fn step(&mut self, shard: &mut Shard) -> Option<Reply<X>> {
        self.0.take().map(|work| work(shard))
    }
}

/// A health check.
struct HealthWork {
    request: Arc<HealthRequest>,
    /// Indices of nodes not judged yet.
    nodes: Vec<u32>,
    /// The clock when it was asked for, in seconds.
    now: i64,
    /// By node index: its entry in the answer, as JSON.
    judged: Vec<(u32, Vec<u8>)>,
}

impl ShardWork for HealthWork {
    type Answer = Vec<(u32, Vec<u8>)>;

    fn step(&mut self, shard: &mut Shard) -> Option<Self::Answer> {
        let Self { request, nodes, now, judged } = self;
        for index in nodes.drain(nodes.len().saturating_sub(HEALTH_NODES_PER_STEP)..) {
            let mut entry = Vec::new();
            let node = &request.nodes[index as usize];
            health::push_node(shard, &request.cluster, node, &request.metric_names, *now, &mut entry);
            judged.push((index, entry));
        }
        nodes.is_empty().then(|| std::mem::take(judged))
    }
}
