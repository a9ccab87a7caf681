//! Checkpoints of one core: what its log holds goes into snapshots, then the log is cut (DESIGN decision 5).
//!
//! A new segment begins; the pump hands over host after host in slices between which ingest runs; each host's
//! snapshots are written atomically. Only when all of them are durable, the segments before are discarded. A
//! failure keeps the segments, and what was handed over is unsaved again.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use engine::checkpoint::Kind;
use engine::checkpoint::file_name::{REFERENCE_LOG, snapshot_name, unused_from};
use engine::memory::save::HostHandedOver;
use engine::series::tree::LevelId;

use super::calls::Call;
use super::event::{Reply, Work};
use super::{Core, clock_seconds};
use crate::durable::commit::CommitQueue;
use crate::durable::names::SegmentName;
use crate::durable::segments::SEGMENT_BYTES_DEFAULT;
use crate::runtime;
use crate::settings::{FileFormat, MetricStore};

/// Files of earlier runs that the first checkpoint of all cores makes superfluous.
#[derive(Debug)]
pub struct Inherited {
    /// Cores whose first checkpoint is still to come.
    missing: AtomicUsize,
    segments: Mutex<Vec<SegmentName>>,
}

impl Inherited {
    /// Segments replayed at the start, for so many cores.
    #[must_use]
    pub fn new(cores: usize, segments: Vec<SegmentName>) -> Arc<Self> {
        Arc::new(Self { missing: cores.into(), segments: segments.into() })
    }

    /// One more core has made its first checkpoint: the segments, if it was the last.
    fn one_done(&self) -> Option<Vec<SegmentName>> {
        let last = self.missing.fetch_sub(1, Ordering::AcqRel) == 1;
        // Locked once in a process's life, by one core.
        last.then(|| std::mem::take(&mut *self.segments.lock().expect("nobody panics with it")))
    }
}

/// A host's unsaved data as files, encoded by its pump.
#[derive(Debug)]
pub struct HostSnapshots {
    /// The cluster.
    pub cluster: String,
    /// The host.
    pub host: String,
    /// The bytes of each snapshot.
    pub files: Vec<Vec<u8>>,
    /// To be taken back if they cannot be written.
    pub handed_over: HostHandedOver,
}

/// Makes this core's checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    core: Rc<Core>,
    queue: CommitQueue,
    root: PathBuf,
    kind: Kind,
    /// When the last one began: the next one's snapshots begin there.
    since: i64,
    inherited: Arc<Inherited>,
    is_first: bool,
    /// Hosts with a reference log that was replayed at the start.
    reference_logs: Vec<PathBuf>,
}

impl Checkpoints {
    /// Checkpoints of `core`, whose log is `queue`.
    #[must_use]
    pub fn new(
        core: &Rc<Core>,
        queue: CommitQueue,
        settings: &MetricStore,
        inherited: Arc<Inherited>,
        reference_logs: Vec<PathBuf>,
    ) -> Self {
        let kind = match settings.checkpoints.file_format {
            FileFormat::Wal => Kind::Binary,
            FileFormat::Json => Kind::Json,
        };
        Self {
            core: Rc::clone(core),
            queue,
            root: settings.checkpoints.directory.clone(),
            kind,
            since: clock_seconds(),
            inherited,
            is_first: true,
            reference_logs,
        }
    }

    /// Whether the finished segments have so many bytes that a checkpoint is due before its time.
    #[must_use]
    pub fn is_log_full(&self, bytes_max: Option<u64>) -> bool {
        let bytes = self.queue.segments().sealed().len() as u64 * SEGMENT_BYTES_DEFAULT;
        bytes_max.is_some_and(|bytes_max| bytes > 0 && bytes >= bytes_max)
    }

    /// Makes one checkpoint; errors are logged, and nothing is lost by them.
    pub async fn run(&mut self) {
        let began = Instant::now();
        match self.try_run().await {
            Ok(hosts) => tracing::info!(
                "core {}: checkpoint of {hosts} hosts in {} ms",
                self.core.index,
                began.elapsed().as_millis()
            ),
            Err(error) => tracing::error!(
                "core {}: the checkpoint failed, the log is kept and the next one tries again: {error}",
                self.core.index
            ),
        }
    }

    async fn try_run(&mut self) -> Result<usize, String> {
        let segment = self.queue.next_segment().await.map_err(|error| error.to_string())?;
        let (from, to) = (self.since, clock_seconds());
        let mut written = 0;
        let mut failure = None;
        for host in self.hosts().await {
            let Some(snapshots) = self.snapshots(host, from, to).await else { continue };
            let directory = self.root.join(&snapshots.cluster).join(&snapshots.host);
            match self.write_host(&directory, snapshots.files, from).await {
                Ok(()) => written += 1,
                Err(error) => {
                    failure.get_or_insert(error.to_string());
                    self.ask(Work::TakeBack(snapshots.handed_over)).await;
                }
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        self.since = to.max(from + 1);
        self.discard(segment).await.map_err(|error| error.to_string())?;
        Ok(written)
    }

    /// Removes what the snapshots cover: finished segments, and what earlier runs left.
    async fn discard(&mut self, segment: u64) -> io::Result<()> {
        let segments = self.queue.segments();
        segments.discard_before(segment).await?;
        for directory in std::mem::take(&mut self.reference_logs) {
            remove_if_there(&directory.join(REFERENCE_LOG)).await?;
            runtime::sync_directory(&directory).await?;
        }
        if std::mem::take(&mut self.is_first)
            && let Some(inherited) = self.inherited.one_done()
        {
            segments.remove_inherited(&inherited).await?;
        }
        Ok(())
    }

    async fn hosts(&self) -> Vec<LevelId> {
        match self.ask(Work::ListHosts).await {
            Some(Reply::Hosts(hosts)) => hosts,
            _ => Vec::new(),
        }
    }

    /// A host's unsaved data; none if there is none.
    async fn snapshots(&self, host: LevelId, from: i64, to: i64) -> Option<HostSnapshots> {
        match self.ask(Work::Snapshot { host, kind: self.kind, from, to }).await {
            Some(Reply::Snapshots(snapshots)) => snapshots.map(|snapshots| *snapshots),
            _ => None,
        }
    }

    async fn ask(&self, work: Work) -> Option<Reply> {
        let call = Call::new(&self.core);
        call.want(self.core.index, work).await;
        call.replies().await.pop().map(|(_, reply)| reply)
    }

    async fn write_host(&self, directory: &Path, files: Vec<Vec<u8>>, from: i64) -> io::Result<()> {
        runtime::create_directory(directory).await?;
        let mut names: Vec<String> = runtime::read_dir(directory)
            .await?
            .into_iter()
            .filter_map(|entry| entry.name.into_string().ok())
            .collect();
        for bytes in files {
            let name = snapshot_name(unused_from(names.iter().map(String::as_str), from), self.kind);
            runtime::write_file_atomically(&directory.join(&name), bytes).await?;
            names.push(name);
        }
        Ok(())
    }
}

async fn remove_if_there(path: &Path) -> io::Result<()> {
    match runtime::remove(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
