//! Everything a pump can be told: a closed list (DESIGN decision 1), but for what surrounds the engine adds to it.

use std::fmt::Debug;
use std::sync::Arc;

use crate::checkpoint::Kind;
use crate::durable::checkpoint::HostSnapshots;
use crate::durable::journal::Free;
use crate::inspect::debug::CoreDump;
use crate::memory::save::HostHandedOver;
use crate::memory::shard::Applied;
use crate::memory::spared::Spared;
use crate::promql::PromError;
use crate::promql::scan::{PromAnswer, PromQuestion};
use crate::query::request::HealthRequest;
use crate::query::scatter::{CoreAnswer, Question, TooLarge};
use crate::series::route::{Batch, Sample};
use crate::series::tree::LevelId;
use crate::sync::flag::Flag;

/// What surrounds the engine adds to the messages between cores.
pub trait ExtraMessages: Debug + 'static {
    /// Sent to a core that replies nothing.
    type Notice: Debug + Send + 'static;
    /// What a core has counted.
    type Metrics: Debug + Send + 'static;
}

/// Number of a call on the core that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A message between cores, or of a core to itself.
#[derive(Debug)]
pub enum CoreEvent<X: ExtraMessages> {
    /// Something is wanted of the owner of some hosts.
    Request(CallId, Request),
    /// The owner's reply, to the core that asked.
    Reply(CallId, Reply<X>),
    /// What surrounds the engine sends: a connection whose lines belong here, say.
    Notice(X::Notice),
}

/// What can be wanted.
#[derive(Debug)]
pub enum Request {
    /// Store samples.
    Write(Batch),
    /// Do something that may take a while.
    Work(Work),
    /// The same, of what changes nothing: it ends when this flag goes up, as nobody waits for it any more.
    Question(Work, Arc<Flag>),
    /// Say what was counted.
    Metrics,
    /// Do something between two of the core's own checkpoints.
    Order(Order),
}

/// What is wanted of a core's [`upkeep`](super::upkeep). It is replied to when it was done.
#[derive(Debug)]
pub enum Order {
    /// Make a checkpoint now.
    Checkpoint,
    /// Remove snapshots out of retention, but of hosts that are spared.
    CleanUp(Arc<Spared>),
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
pub enum Reply<X: ExtraMessages> {
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
    Metrics(Box<X::Metrics>),
    /// A checkpoint was made, or tried.
    Saved,
    /// Nobody waited for it any more.
    GivenUp,
    /// A round of cleanup was made, in which so many calls of the disk failed.
    CleanedUp(u64),
}
