//! Everything a pump can be told: a closed list (DESIGN decision 1).

use std::sync::Arc;

use engine::checkpoint::Kind;
use engine::durable::checkpoint::HostSnapshots;
use engine::durable::journal::Free;
use engine::inspect::debug::CoreDump;
use engine::memory::save::HostHandedOver;
use engine::memory::shard::Applied;
use engine::memory::spared::Spared;
use engine::promql::PromError;
use engine::promql::scan::{PromAnswer, PromQuestion};
use engine::query::request::HealthRequest;
use engine::query::scatter::{CoreAnswer, Question, TooLarge};
use engine::series::route::{Batch, Sample};
use engine::series::tree::LevelId;

use crate::listen::newcomer::Newcomer;
use crate::metrics::core_metrics::CoreMetrics;

/// Number of a call on the core that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u64);

/// A message between cores, or of a core to itself.
#[derive(Debug)]
pub enum CoreEvent {
    /// Something is wanted of the owner of some hosts.
    Request(CallId, Request),
    /// The owner's reply, to the core that asked.
    Reply(CallId, Reply),
    /// A connection whose lines belong here.
    Newcomer(Newcomer),
}

/// What can be wanted.
#[derive(Debug)]
pub enum Request {
    /// Store samples.
    Write(Batch),
    /// Do something that may take a while.
    Work(Work),
    /// Say what was counted.
    Metrics,
}

/// What a pump does in slices.
#[derive(Debug)]
pub enum Work {
    /// Answer a query.
    Query(Question),
    /// Answer a question in PromQL.
    Prometheus(Arc<PromQuestion>),
    /// Free buffers, when that is recorded.
    Free(Free),
    /// Free whatever ends before a time, but of hosts that are spared.
    Retain {
        /// The time, in seconds.
        to: i64,
        /// The hosts.
        spared: Arc<Spared>,
    },
    /// Free whatever ends before this time, in seconds, and is in snapshots: memory is short.
    Relieve(i64),
    /// Say how much memory is held.
    Held,
    /// List the hosts that hold data.
    ListHosts,
    /// Hand the unsaved data of a host over to snapshots.
    Snapshot {
        /// Its level.
        host: LevelId,
        /// The format of the files.
        kind: Kind,
        /// Begin of the first snapshot's span, in seconds; that of each further one is a second later.
        from: i64,
        /// End of the span.
        to: i64,
    },
    /// What was handed over was not written.
    TakeBack(HostHandedOver),
    /// Dump the tree below a selector.
    Dump(Arc<Vec<String>>),
    /// List the series of a host.
    ListSeries {
        /// Its cluster.
        cluster: Arc<str>,
        /// Its name.
        host: Arc<str>,
    },
    /// Judge nodes.
    Health {
        /// The request.
        request: Arc<HealthRequest>,
        /// Indices of this core's nodes.
        mine: Vec<u32>,
        /// The clock, in seconds.
        now: i64,
    },
}

/// What can be replied.
#[derive(Debug)]
pub enum Reply {
    /// Samples are stored; their list comes back to be used again.
    Written(Applied, Vec<Sample>),
    /// The log does not work: nothing of the batch is acknowledged. The list comes back as well.
    NotWritten(Box<str>, Vec<Sample>),
    /// A part of a query's answer.
    Answered(Result<CoreAnswer, TooLarge>),
    /// A part of the answer to a question in PromQL.
    Prometheus(Result<Box<PromAnswer>, PromError>),
    /// So many buffers were freed.
    Freed(u64),
    /// The log does not work: nothing was freed.
    NotFreed(Box<str>),
    /// So many bytes are held.
    Held(u64),
    /// The hosts, as levels.
    Hosts(Vec<LevelId>),
    /// A host's unsaved data; none if there was none.
    Snapshots(Option<Box<HostSnapshots>>),
    /// Done.
    TakenBack,
    /// A part of a dump.
    Dumped(CoreDump),
    /// The series of a host, as JSON.
    Series(Vec<u8>),
    /// By node index: its entry in the answer, as JSON.
    Judged(Vec<(u32, Vec<u8>)>),
    /// What was counted.
    Metrics(Box<CoreMetrics>),
}
