//! What a pump does in slices: anything but storing samples.

use std::sync::Arc;

use engine::durable::journal::Free;
use engine::inspect::debug::DumpWork;
use engine::inspect::{health, listing};
use engine::limits::HEALTH_NODES_PER_STEP;
use engine::memory::retention::FreeWork;
use engine::memory::shard::Shard;
use engine::memory::snapshot::SnapshotWork;
use engine::promql::scan::PromScan;
use engine::query::request::HealthRequest;
use engine::query::scatter::{CoreQuery, Step};
use engine::series::tree::ROOT;

use super::event::{Reply, Work};

/// Work under way.
#[derive(Debug)]
pub enum Job {
    /// A query.
    Query(Box<CoreQuery>),
    /// A question in PromQL.
    Prometheus(Box<PromScan>),
    /// A free.
    Free(FreeWork),
    /// The snapshots of a host; none once they are made.
    Snapshot(Option<SnapshotWork>),
    /// A dump.
    Dump(DumpWork),
    /// Something that is done in one step.
    Once(Option<Work>),
    /// A health check.
    Health {
        /// The request.
        request: Arc<HealthRequest>,
        /// Indices of nodes not judged yet.
        nodes: Vec<u32>,
        /// The clock when it was asked for, in seconds.
        now: i64,
        /// Entries so far.
        judged: Vec<(u32, Vec<u8>)>,
    },
}

impl Job {
    /// Begins what is wanted.
    #[must_use]
    pub fn new(wanted: Work, shard: &Shard) -> Self {
        match wanted {
            Work::Query(question) => Self::Query(Box::new(CoreQuery::new(question))),
            Work::Prometheus(question) => Self::Prometheus(Box::new(PromScan::new(question))),
            Work::Free(Free { selectors, mine, to }) => {
                let found = mine.into_iter().filter_map(|index| {
                    shard.tree().find(selectors[index as usize].iter().map(String::as_str))
                });
                Self::Free(FreeWork::new(found.collect(), to))
            }
            Work::Retain { to, spared } => Self::Free(FreeWork::sparing(shard, to, &spared)),
            Work::Relieve(to) => Self::Free(FreeWork::saved(vec![ROOT], to)),
            Work::Snapshot { host, kind, from, to } => {
                Self::Snapshot(Some(SnapshotWork::new(host, kind, from, to)))
            }
            Work::ListHosts | Work::ListSeries { .. } | Work::Held | Work::TakeBack(_) => {
                Self::Once(Some(wanted))
            }
            Work::Dump(selector) => Self::Dump(DumpWork::new(shard, &selector)),
            Work::Health { request, mine, now } => {
                Self::Health { request, nodes: mine, now, judged: Vec::new() }
            }
        }
    }

    /// Does a small part; the reply when that was the last.
    pub fn step(&mut self, shard: &mut Shard) -> Option<Reply> {
        match self {
            Self::Query(query) => match query.step(shard) {
                Step::More => None,
                Step::Done(answer) => Some(Reply::Answered(answer)),
            },
            Self::Prometheus(scan) => scan.step(shard).map(|answer| Reply::Prometheus(answer.map(Box::new))),
            Self::Free(work) => work.step(shard).then(|| Reply::Freed(work.freed() as u64)),
            Self::Snapshot(work) => {
                if !work.as_mut().expect("made once").step(shard) {
                    return None;
                }
                let snapshots = work.take().and_then(|work| work.into_snapshots(shard));
                Some(Reply::Snapshots(snapshots.map(Box::new)))
            }
            Self::Once(work) => Some(once(work.take().expect("done once"), shard)),
            Self::Dump(work) => work.step(shard).map(Reply::Dumped),
            Self::Health { request, nodes, now, judged } => {
                for index in nodes.drain(nodes.len().saturating_sub(HEALTH_NODES_PER_STEP)..) {
                    let mut entry = Vec::new();
                    let node = &request.nodes[index as usize];
                    health::push_node(shard, &request.cluster, node, &request.metric_names, *now, &mut entry);
                    judged.push((index, entry));
                }
                nodes.is_empty().then(|| Reply::Judged(std::mem::take(judged)))
            }
        }
    }
}

fn once(work: Work, shard: &mut Shard) -> Reply {
    match work {
        Work::ListHosts => Reply::Hosts(shard.hosts()),
        Work::ListSeries { cluster, host } => {
            let mut json = Vec::new();
            listing::push_host(shard, &cluster, &host, &mut json);
            Reply::Series(json)
        }
        Work::Held => Reply::Held(shard.held_bytes()),
        Work::TakeBack(handed_over) => {
            shard.take_back(&handed_over);
            Reply::TakenBack
        }
        _ => unreachable!("done in several steps"),
    }
}
