//! Checkpoints of one core: what its log holds goes into snapshots, then the log is cut (DESIGN decision 5).
//!
//! A new segment begins; the pump hands over host after host in slices between which ingest runs; each host's
//! snapshots are written atomically. Only when all of them are durable, the segments before are discarded. A
//! failure keeps the segments, and what was handed over is unsaved again.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::commit::{CommitError, CommitQueue};
use super::load::ReferenceLogFile;
use super::segments::{InheritedSegment, set_aside};
use crate::checkpoint::Kind;
use crate::checkpoint::file_name::{REFERENCE_LOG, snapshot_name, unused_from};
use crate::memory::save::HostHandedOver;
pub use crate::memory::snapshot::HostSnapshots;
use crate::platform::{Platform, remove_if_there, write_atomically};
use crate::series::tree::LevelId;
use crate::sync::countdown::Countdown;

/// Files of earlier runs that the first checkpoint of all cores makes superfluous.
#[derive(Debug)]
pub struct Inherited {
    /// Cores whose first checkpoint is still to come.
    missing: Countdown,
    segments: Vec<InheritedSegment>,
}

impl Inherited {
    /// Segments replayed at the start, for so many cores.
    #[must_use]
    pub fn new(cores: usize, segments: Vec<InheritedSegment>) -> Arc<Self> {
        Arc::new(Self { missing: Countdown::new(cores), segments })
    }

    /// One more core has made its first checkpoint: the segments, if it was the last.
    fn one_done(&self) -> Option<&[InheritedSegment]> {
        self.missing.arrive().then_some(&self.segments)
    }
}

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

/// Why a checkpoint is not complete. Nothing is lost by it: the log is kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The log cannot be cut.
    #[error(transparent)]
    Log(#[from] CommitError),
    /// Snapshots could not be written, or the log's files not be removed.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

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
        Self { platform, queue, root, kind, since, inherited, is_first: true, reference_logs }
    }

    /// Whether the finished segments have so many bytes that a checkpoint is due before its time.
    #[must_use]
    pub fn is_log_full(&self, bytes_max: Option<u64>) -> bool {
        let segments = self.queue.segments();
        let bytes = segments.sealed().len() as u64 * segments.segment_bytes();
        bytes_max.is_some_and(|bytes_max| bytes > 0 && bytes >= bytes_max)
    }

    /// Makes one checkpoint; returns how many hosts had something new.
    ///
    /// # Errors
    /// [`CheckpointError`]; what could be written was.
    pub async fn run(&mut self, hosts: &impl Hosts) -> Result<usize, CheckpointError> {
        let segment = self.queue.cut().await?;
        let (from, to) = (self.since, self.platform.now_seconds());
        let mut written = 0;
        let mut failure = None;
        for host in hosts.hosts().await {
            let Some(snapshots) = hosts.hand_over(host, self.kind, from, to).await else { continue };
            let directory = self.root.join(&snapshots.cluster).join(&snapshots.host);
            match self.write_host(&directory, snapshots.files, from).await {
                Ok(()) => written += 1,
                Err(error) => {
                    failure.get_or_insert(error);
                    hosts.take_back(snapshots.handed_over).await;
                }
            }
        }
        if let Some(error) = failure {
            return Err(error.into());
        }
        self.since = to.max(from + 1);
        self.discard(segment).await?;
        Ok(written)
    }

    /// Removes what the snapshots cover: finished segments, and what earlier runs left.
    async fn discard(&mut self, segment: u64) -> io::Result<()> {
        let segments = self.queue.segments();
        segments.discard_before(segment).await?;
        while let Some(ReferenceLogFile { directory, is_damaged }) = self.reference_logs.last() {
            let path = directory.join(REFERENCE_LOG);
            if *is_damaged {
                set_aside(&self.platform, &path).await?;
            } else {
                remove_if_there(&self.platform, &path).await?;
            }
            self.platform.sync_directory(directory).await?;
            self.reference_logs.pop();
        }
        if std::mem::take(&mut self.is_first)
            && let Some(inherited) = self.inherited.one_done()
        {
            segments.remove_inherited(inherited).await?;
        }
        Ok(())
    }

    async fn write_host(&self, directory: &Path, files: Vec<Vec<u8>>, from: i64) -> io::Result<()> {
        self.platform.create_directory(directory).await?;
        let mut names: Vec<String> = self
            .platform
            .read_dir(directory)
            .await?
            .into_iter()
            .filter_map(|entry| entry.name.into_string().ok())
            .collect();
        for bytes in files {
            let name = snapshot_name(unused_from(names.iter().map(String::as_str), from), self.kind);
            write_atomically(&self.platform, directory, &name, bytes).await?;
            names.push(name);
        }
        Ok(())
    }
}
