//! Checkpoints of one core: what its log holds goes into snapshots, then the log is cut (DESIGN decision 5).
//!
//! A new segment begins; the pump hands over host after host in slices between which ingest runs; each host's
//! snapshots are written atomically. Only when all of them are durable, the segments before are discarded. What could not be
//! saved is unsaved again; if that is no more than a segment holds, it is [kept in one](super::rescue), and the others
//! are discarded all the same. Otherwise all are kept.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::commit::{CommitError, CommitQueue, is_out_of_space};
use super::load::ReferenceLogFile;
use super::rescue::{RescueError, RescueSegment};
use super::segments::InheritedSegment;
use crate::checkpoint::Kind;
use crate::checkpoint::file_name::{REFERENCE_LOG, next_from, snapshot_name};
use crate::limits;
use crate::memory::save::HostHandedOver;
pub use crate::memory::snapshot::HostSnapshots;
use crate::platform::{Platform, create_directory_durably, write_atomically};
use crate::series::tree::LevelId;
use crate::sync::countdown::Countdown;
use crate::sync::flag::Flag;
use crate::wal::segment::SegmentHeader;

/// Segments of earlier runs, which the first checkpoints of all cores make superfluous.
///
/// Until they are gone no core discards a segment of its own: an earlier run's are loaded on top of snapshots, and with the
/// newer ones missing their older values would win.
#[derive(Debug)]
pub struct Inherited {
    /// Cores whose first checkpoint is still to come. The core that is last removes the segments.
    missing: Countdown,
    /// Cores whose last one is.
    missing_last: Countdown,
    segments: Vec<InheritedSegment>,
    gone: Flag,
}

impl Inherited {
    /// Segments replayed at the start, for so many cores.
    #[must_use]
    pub fn new(cores: usize, segments: Vec<InheritedSegment>) -> Arc<Self> {
        let gone = Flag::default();
        if segments.is_empty() {
            gone.raise();
        }
        let (missing, missing_last) = (Countdown::new(cores), Countdown::new(cores));
        Arc::new(Self { missing, missing_last, segments, gone })
    }
}

/// A checkpoint by which the clock has moved on so far has seen it set forward. Half of what samples may be ahead of the clock.
const CLOCK_STEP_SECONDS: i64 = limits::FUTURE_SECONDS_MAX / 2;
/// Between two looks at whether the other cores have made their last checkpoints.
const LAST_LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The hosts of a core, behind its pump.
pub trait Hosts {
    /// Those that hold data.
    fn hosts(&self) -> impl Future<Output = Vec<LevelId>>;
    /// Hands the unsaved data of a host over; none if there is none. The first snapshot's span begins at `from`, that
    /// of each further one a second later, and all end at `to`; seconds.
    fn hand_over(
        &self,
        host: LevelId,
        kind: Kind,
        from: i64,
        to: i64,
    ) -> impl Future<Output = Option<HostSnapshots>>;
    /// What was handed over was not written.
    fn take_back(&self, handed_over: HostHandedOver) -> impl Future<Output = ()>;
}

/// After a host, the disk is left to the log for so many times as long as the host's snapshots took to be written and synced.
/// Without, every write of the log waited behind the syncs of many hosts.
const REST_FACTOR: u32 = 3;
/// Longest rest of one checkpoint in all: a stop waits for a checkpoint under way.
const REST_MAX: Duration = Duration::from_secs(10);

/// Why a checkpoint is not complete. Nothing is lost by it: the log is kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The log cannot be cut.
    #[error(transparent)]
    Log(#[from] CommitError),
    /// Snapshots could not be written, or the log's files not be removed.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// Snapshots could not be written, and the log cannot be cut without them.
    #[error("{hosts} hosts could not be saved: {first}; {why}")]
    NotSaved {
        /// How many.
        hosts: usize,
        /// What became of the first.
        first: io::Error,
        /// Why not even in the log.
        why: RescueError,
    },
}

/// A checkpoint that is complete.
#[derive(Debug, Default)]
pub struct Complete {
    /// How many hosts had something new.
    pub hosts: usize,
    /// Hosts that could not be saved: they are kept in a segment of the log, and the next checkpoint tries again.
    pub kept_in_log: usize,
}

/// Time from a checkpoint to the next one that is made because the log needs room.
const ROOM_INTERVAL: Duration = Duration::from_secs(5);

/// Makes a core's checkpoints.
#[derive(Debug)]
pub struct Checkpoints<P: Platform> {
    platform: P,
    queue: CommitQueue<P>,
    root: PathBuf,
    kind: Kind,
    /// When the last one began: the next one's snapshots begin there.
    since: i64,
    inherited: Arc<Inherited>,
    is_first: bool,
    /// All cores have made their first one, this core as the last.
    removes_inherited: bool,
    /// Segments below this number are in snapshots; they are discarded when those of earlier runs are gone.
    covered: u64,
    /// The last one could not cut the log.
    has_failed: bool,
    /// When the last one began.
    began_ns: Option<u64>,
    /// Directories whose names are durable, whoever made them.
    durable_directories: BTreeSet<PathBuf>,
    /// Reference logs that were replayed at the start.
    reference_logs: Vec<ReferenceLogFile>,
}

impl<P: Platform> Checkpoints<P> {
    /// Checkpoints of the core whose log is `queue`, as files of this kind below `root`.
    #[must_use]
    pub fn new(
        platform: P,
        queue: CommitQueue<P>,
        root: PathBuf,
        kind: Kind,
        inherited: Arc<Inherited>,
        reference_logs: Vec<ReferenceLogFile>,
    ) -> Self {
        let since = platform.now_seconds();
        Self {
            platform,
            queue,
            root,
            kind,
            since,
            inherited,
            is_first: true,
            removes_inherited: false,
            covered: 0,
            has_failed: false,
            began_ns: None,
            durable_directories: BTreeSet::new(),
            reference_logs,
        }
    }

    /// Whether a checkpoint is due before its time: one that could discard finished segments, because these have so many bytes, or
    /// because the log has no room to go on, or soon will have none.
    #[must_use]
    pub fn is_log_full(&self, bytes_max: Option<u64>) -> bool {
        if !self.is_first && !self.inherited.gone.is_raised() {
            return false;
        }
        let segments = self.queue.segments();
        let count = segments.discardable() as u64;
        let bytes = count * segments.segment_bytes();
        let is_long = bytes_max.is_some_and(|bytes_max| bytes > 0 && bytes >= bytes_max);
        is_long || (count > 0 && self.queue.needs_checkpoint() && self.was_long_ago())
    }

    /// Whether the last checkpoint is so long ago that one for the sake of room may follow.
    fn was_long_ago(&self) -> bool {
        let interval_ns = ROOM_INTERVAL.as_nanos() as u64;
        self.began_ns.is_none_or(|began_ns| self.platform.now_ns().saturating_sub(began_ns) >= interval_ns)
    }

    /// Makes one checkpoint; returns how many hosts had something new.
    ///
    /// The disk is left to the log between two hosts: for so many times as long as a host took.
    ///
    /// # Errors
    /// [`CheckpointError`]; what could be written was.
    pub async fn run(&mut self, hosts: &impl Hosts) -> Result<Complete, CheckpointError> {
        // Where the last one could not cut the log, the next one is behind it by minutes, and must not end a segment each time.
        let segment = if self.has_failed { self.queue.line()? } else { self.queue.cut().await? };
        let mut result = self.save(hosts, segment, REST_MAX).await;
        if let Err(CheckpointError::Disk(error)) = &result
            && is_out_of_space(error)
        {
            // A snapshot is small beside the segments that the log keeps ahead.
            self.queue.release_spares().await;
            result = self.save(hosts, segment, REST_MAX).await;
        }
        self.has_failed = result.is_err();
        // Segments were discarded, perhaps.
        self.queue.retry();
        result
    }

    /// Saves all hosts and cuts the log before `segment`, resting for so long in all.
    async fn save(
        &mut self,
        hosts: &impl Hosts,
        segment: u64,
        mut rest_left: Duration,
    ) -> Result<Complete, CheckpointError> {
        self.began_ns = Some(self.platform.now_ns());
        let (from, to) = (self.since, self.platform.now_seconds());
        let mut complete = Complete::default();
        let mut failed = Vec::new();
        for host in hosts.hosts().await {
            let Some(snapshots) = hosts.hand_over(host, self.kind, from, to).await else { continue };
            let HostSnapshots { cluster, host: name, files, handed_over } = snapshots;
            // The log must not be behind the snapshot: after a power loss an older segment would be replayed on top of it,
            // and the newer one be missing.
            self.queue.synced().await;
            let began_ns = self.platform.now_ns();
            let directory = self.root.join(&cluster).join(&name);
            match self.write_host(&directory, files, from).await {
                // Until here it counted as being saved.
                Ok(()) => drop(handed_over),
                Err(error) => {
                    hosts.take_back(handed_over).await;
                    failed.push((host, error));
                }
            }
            complete.hosts += 1;
            if !rest_left.is_zero() {
                let busy = Duration::from_nanos(self.platform.now_ns().saturating_sub(began_ns));
                let rest = busy.saturating_mul(REST_FACTOR).min(rest_left);
                rest_left -= rest;
                self.platform.sleep(rest).await;
            }
        }
        complete.hosts -= failed.len();
        complete.kept_in_log = failed.len();
        self.queue.sealed_before(segment).await;
        self.keep_in_log(hosts, failed, segment, (from, to)).await?;
        // A clock that was set forward meanwhile: what came then is in these snapshots, and a load looks for it before the next.
        let now = self.platform.now_seconds();
        self.since = if now.saturating_sub(to) > CLOCK_STEP_SECONDS { now } else { to }.max(from);
        self.covered = segment;
        self.discard().await?;
        Ok(complete)
    }

    /// Keeps what could not be saved in a segment of its own, before the others are discarded.
    async fn keep_in_log(
        &self,
        hosts: &impl Hosts,
        failed: Vec<(LevelId, io::Error)>,
        segment: u64,
        (from, to): (i64, i64),
    ) -> Result<(), CheckpointError> {
        let segments = self.queue.segments();
        let count = failed.len();
        let (ids, mut errors): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
        let Some(first) = (!errors.is_empty()).then(|| errors.swap_remove(0)) else {
            segments.forget_rescued();
            return Ok(());
        };
        // Without a log what is newer than the kept would not come after it.
        if self.queue.is_off() || errors.iter().chain([&first]).any(is_of_the_whole_disk) {
            return Err(first.into());
        }
        let Some(id) = segments.rescue_id(segment) else {
            // No segment is to be discarded: what could not be saved is where it was, and that may be a log of the reference.
            return if self.reference_logs.is_empty() { Ok(()) } else { Err(first.into()) };
        };
        let header = SegmentHeader { id, created_seconds: to, ..segments.header() };
        let mut kept = RescueSegment::new(header, segments.segment_bytes());
        for host in ids {
            let Some(snapshots) = hosts.hand_over(host, self.kind, from, to).await else { continue };
            let HostSnapshots { cluster, host, files, handed_over } = snapshots;
            let added = kept.add([&cluster, &host], self.kind, &files);
            hosts.take_back(handed_over).await;
            if let Err(why) = added {
                return Err(CheckpointError::NotSaved { hosts: count, first, why });
            }
        }
        self.queue.synced().await;
        if let Some(bytes) = kept.finish() {
            segments.rescue(id, &bytes).await?;
        } else {
            segments.forget_rescued();
        }
        tracing::error!(
            "core {}: {count} hosts could not be saved: {first}; what they have received is kept in the log and in memory, the next checkpoint tries again",
            segments.core()
        );
        Ok(())
    }

    /// Makes the last checkpoint before the log is closed, and waits for those of the other cores, so that the log is empty
    /// if all of them succeed. Nothing may be written any more.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_last(&mut self, hosts: &impl Hosts) -> Result<Complete, CheckpointError> {
        let result = match self.queue.cut().await {
            Ok(segment) => self.save(hosts, segment, Duration::ZERO).await,
            Err(error) => Err(error.into()),
        };
        self.inherited.missing_last.arrive();
        while !self.inherited.gone.is_raised() && !self.inherited.missing_last.is_over() {
            self.platform.sleep(LAST_LOOK_INTERVAL).await;
        }
        let complete = result?;
        self.discard().await?;
        Ok(complete)
    }

    /// Removes what the snapshots cover, oldest first: what earlier runs left, then finished segments. What is loaded
    /// later wins, so an older file must never outlive a newer one.
    async fn discard(&mut self) -> io::Result<()> {
        while let Some(ReferenceLogFile { directory, fate }) = self.reference_logs.last() {
            fate.apply(&self.platform, &directory.join(REFERENCE_LOG)).await?;
            self.platform.sync_directory(directory).await?;
            self.reference_logs.pop();
        }
        if std::mem::take(&mut self.is_first) {
            self.removes_inherited = self.inherited.missing.arrive();
        }
        let segments = self.queue.segments();
        if self.removes_inherited {
            // After an error the next checkpoint tries again.
            segments.remove_inherited(&self.inherited.segments).await?;
            self.removes_inherited = false;
            self.inherited.gone.raise();
        }
        if self.inherited.gone.is_raised() {
            segments.discard_before(self.covered).await?;
        }
        Ok(())
    }

    async fn write_host(&mut self, directory: &Path, files: Vec<Vec<u8>>, from: i64) -> io::Result<()> {
        self.create_directory(directory).await?;
        let mut names: Vec<String> = self
            .platform
            .read_dir(directory)
            .await?
            .into_iter()
            .filter_map(|entry| entry.name.into_string().ok())
            .collect();
        for bytes in files {
            let name = snapshot_name(next_from(names.iter().map(String::as_str), from), self.kind);
            write_atomically(&self.platform, directory, &name, bytes).await?;
            names.push(name);
        }
        Ok(())
    }

    /// Makes a host's directory, durable with those above it up to the root, which may be those of another core that has
    /// not synced them yet, or of an earlier run that was killed before it did.
    async fn create_directory(&mut self, directory: &Path) -> io::Result<()> {
        if self.durable_directories.contains(&self.root) {
            // Also one that was removed since: it is durable then.
            self.platform.create_directory(directory).await?;
        } else {
            create_directory_durably(&self.platform, directory).await?;
            self.durable_directories.insert(self.root.clone());
        }
        for path in directory.ancestors().take_while(|path| *path != self.root) {
            if let (false, Some(parent)) = (self.durable_directories.contains(path), path.parent()) {
                self.platform.sync_directory(parent).await?;
                self.durable_directories.insert(path.to_owned());
            }
        }
        Ok(())
    }
}

/// Whether an error says nothing about the host in particular: then the log, which may be on the same disk, is better left as it is.
fn is_of_the_whole_disk(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}
