//! Recovery at the start: the files of checkpoints and logs into the shards of all cores (SPEC "Loading",
//! DESIGN decision 6).
//!
//! Before the cores run, one thread a core: each loads the hosts it owns, and from every log segment the
//! records of its hosts, whichever core wrote them. Nothing is written but the names of damaged snapshots; damaged logs
//! keep theirs until a checkpoint has made what could be read of them durable elsewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::{LogFileName, SegmentName};
use super::segments::{InheritedSegment, LogFate};
use crate::checkpoint::file_name::{CORRUPT_SUFFIX, REFERENCE_LOG, select, with_suffix};
use crate::config::Metrics;
use crate::limits;
use crate::line::key::is_path_safe;
use crate::memory::shard::Shard;
use crate::memory::spared::Spared;
use crate::platform::{DirectoryEntry, Files};
use crate::recovery::{Recovered, Recovery};
use crate::reference_log;
use crate::series::route::core_of;
use crate::sync::budget::Budget;
use crate::wal::replay::End;
use crate::wal::segment::HeaderError;

/// What to load, and how much of it.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Root of the snapshots.
    pub checkpoints: PathBuf,
    /// Directory of our log.
    pub log: PathBuf,
    /// Length of every segment: a file that is shorter was cut.
    pub segment_bytes: u64,
    /// The configured metrics; others are left out.
    pub metrics: Arc<Metrics>,
    /// Samples of snapshots that are older than this are left out; seconds. Those of logs are loaded whatever their age: they
    /// may be nowhere else.
    pub retention_seconds: i64,
    /// The clock, in seconds.
    pub now: i64,
    /// How many cores there are.
    pub cores: usize,
    /// Of these hosts everything is loaded, however old.
    pub spared: Spared,
    /// The series that all cores together may take once they run. What is loaded counts, but is not refused.
    pub series: Budget,
}

/// The files that were found.
#[derive(Debug)]
pub struct Found {
    options: LoadOptions,
    /// By core.
    hosts: Vec<Vec<HostFiles>>,
    segments: Vec<Segment>,
}

/// What the files held for one core.
#[derive(Debug)]
pub struct LoadedCore {
    /// Its hosts.
    pub shard: Shard,
    /// Reference logs that were replayed: superfluous once the core has made a checkpoint.
    pub reference_logs: Vec<ReferenceLogFile>,
    /// The segments, and what becomes of them as far as this core can tell; see [`inherited`].
    pub segments: Vec<InheritedSegment>,
    /// Whether anything was read of logs: until it is gone, it is loaded on top of snapshots.
    pub has_records: bool,
    /// What was found.
    pub recovered: Recovered,
}

/// A `current.wal` that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceLogFile {
    /// The host's directory.
    pub directory: PathBuf,
    /// What becomes of it once the core has made a checkpoint.
    pub fate: LogFate,
}

/// The segments of earlier runs, and what becomes of them once all cores have made a checkpoint: every core reads every segment, so one
/// is superfluous only if all of them could.
#[must_use]
pub fn inherited(loaded: &[LoadedCore]) -> Vec<InheritedSegment> {
    let mut all: Vec<InheritedSegment> = loaded.first().map(|core| core.segments.clone()).unwrap_or_default();
    for core in loaded {
        for (segment, other) in all.iter_mut().zip(&core.segments) {
            assert_eq!(segment.name, other.name, "all cores were told of the same segments");
            segment.fate = segment.fate.max(other.fate);
        }
    }
    all
}

/// The files of one host.
#[derive(Debug)]
struct HostFiles {
    cluster: String,
    host: String,
    directory: PathBuf,
    names: Vec<String>,
    bytes: u64,
}

impl HostFiles {
    /// Its `current.wal`, if there is one.
    fn reference_log(&self) -> Option<PathBuf> {
        let is_there = self.names.iter().any(|name| name == REFERENCE_LOG);
        is_there.then(|| self.directory.join(REFERENCE_LOG))
    }
}

#[derive(Debug)]
struct Segment {
    name: SegmentName,
    path: PathBuf,
    bytes: u64,
    /// Anything else is never opened: a FIFO would block.
    is_file: bool,
}

impl Segment {
    /// How much of it is read at most.
    fn readable_bytes(&self) -> u64 {
        if self.is_file { self.bytes.min(limits::LOG_SEGMENT_BYTES) } else { 0 }
    }
}

impl Found {
    /// Looks for files, and makes the logs among them durable: a process that was killed may have left them in the page cache
    /// alone. Snapshots will be made of all they hold, and a power loss must not bring an older part of a log back on top of
    /// these.
    ///
    /// # Errors
    /// A directory that exists cannot be read, or a log not be synced: path and error.
    pub fn find(files: &impl Files, options: LoadOptions) -> Result<Self, (PathBuf, io::Error)> {
        let mut hosts: Vec<Vec<HostFiles>> = (0..options.cores).map(|_| Vec::new()).collect();
        let root = &options.checkpoints;
        for host in find_hosts(files, root).map_err(|error| (root.clone(), error))? {
            hosts[core_of(&host.cluster, &host.host, options.cores)].push(host);
        }
        let segments = find_segments(files, &options.log).map_err(|error| (options.log.clone(), error))?;
        let reference_logs = hosts.iter().flatten().filter_map(HostFiles::reference_log);
        let segment_paths =
            segments.iter().filter(|segment| segment.is_file).map(|segment| segment.path.clone());
        for path in segment_paths.chain(reference_logs) {
            files.sync(&path).map_err(|error| (path, error))?;
        }
        Ok(Self { hosts, segments, options })
    }

    /// Bytes that all cores together will read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.hosts.iter().flatten().map(|host| host.bytes).sum::<u64>()
            + self.segments.iter().map(Segment::readable_bytes).sum::<u64>() * self.options.cores as u64
    }

    /// Loads one core's shard; `progress` is told of bytes read and samples loaded since its last call.
    ///
    /// Damaged files are reported through `tracing`, snapshots among them set aside.
    pub fn load_core(
        &self,
        files: &impl Files,
        core: usize,
        mut progress: impl FnMut(u64, u64),
    ) -> LoadedCore {
        let LoadOptions { metrics, retention_seconds, now, cores, series, spared, .. } = &self.options;
        let mut shard = Shard::new(Arc::clone(metrics), *cores, *retention_seconds);
        shard.limit_series(series.clone());
        let oldest = now.saturating_sub(*retention_seconds);
        let mut recovery = Recovery::new(&mut shard, core, *cores, oldest).sparing(spared);
        let mut counted = 0;
        let mut count = |recovered: Recovered, bytes: u64| {
            progress(bytes, recovered.samples - counted);
            counted = recovered.samples;
        };
        let mut reference_logs = Vec::new();
        for host in &self.hosts[core] {
            let is_spared = spared.contains(&host.cluster, &host.host);
            let retention_seconds = if is_spared { i64::MAX } else { *retention_seconds };
            reference_logs.extend(load_host(files, &mut recovery, host, *now, retention_seconds));
            count(recovery.recovered(), host.bytes);
        }
        let mut segments = Vec::new();
        let mut has_records = !reference_logs.is_empty();
        for segment in &self.segments {
            let (fate, blocks) =
                load_segment(files, &mut recovery, segment, self.options.segment_bytes, core == 0);
            has_records |= blocks > 0;
            segments.push(InheritedSegment { name: segment.name, fate });
            count(recovery.recovered(), segment.readable_bytes());
        }
        let recovered = recovery.recovered();
        if recovered.late > 0 {
            tracing::warn!(
                "core {core}: the log holds {} samples older than retention-in-memory, as after a long downtime; they go into snapshots, and out of retention from there",
                recovered.late
            );
        }
        LoadedCore { shard, reference_logs, segments, has_records, recovered }
    }
}

/// Loads a host's files; returns its reference log, if that was read.
fn load_host(
    files: &impl Files,
    recovery: &mut Recovery<'_>,
    host: &HostFiles,
    now: i64,
    retention_seconds: i64,
) -> Option<ReferenceLogFile> {
    for snapshot in select(host.names.iter().map(String::as_str), now, retention_seconds) {
        let path = host.directory.join(snapshot.name);
        let Some(bytes) = read(files, &path) else { continue };
        if let Err(error) = recovery.snapshot(&host.cluster, &host.host, snapshot.kind, &bytes) {
            set_aside(files, &path, &error);
        }
    }
    recovery.snapshots_loaded(&host.cluster, &host.host);
    let path = host.reference_log()?;
    let directory = host.directory.clone();
    let bytes = match files.read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(
                "{} was not loaded: {error}; it will be set aside as .unreadable",
                path.display()
            );
            return Some(ReferenceLogFile { directory, fate: LogFate::Unreadable });
        }
    };
    let end = recovery.reference_log(&host.cluster, &host.host, &bytes).end;
    match end {
        reference_log::End::Clean => {}
        reference_log::End::Torn { at } => {
            tracing::info!("{} ends within a record at byte {at}, as a kill leaves it", path.display());
        }
        reference_log::End::Corrupt { at, why } => tracing::error!(
            "{} is damaged at byte {at}: {why}; what stands before was loaded, the file will be set aside as .corrupt",
            path.display()
        ),
    }
    let is_damaged = matches!(end, reference_log::End::Corrupt { .. });
    Some(ReferenceLogFile {
        directory,
        fate: if is_damaged { LogFate::Damaged } else { LogFate::Superfluous },
    })
}

/// Replays a segment; also the number of its blocks that were read. Every core reads every segment; one of them tells what is wrong with it, and each what it could not read.
fn load_segment(
    files: &impl Files,
    recovery: &mut Recovery<'_>,
    segment: &Segment,
    segment_bytes: u64,
    tells: bool,
) -> (LogFate, u64) {
    let path = segment.path.display();
    if !segment.is_file {
        if tells {
            tracing::error!("{path} is no file and was not loaded; it will be set aside as .unreadable");
        }
        return (LogFate::Unreadable, 0);
    }
    let mut load = recovery.begin_segment(segment.name.id);
    let read = files.read_pieces(&segment.path, segment.readable_bytes(), &mut |piece| load.feed(piece));
    if let Err(error) = read {
        tracing::error!("{path} was not loaded as a whole: {error}; it will be set aside as .unreadable");
        return (LogFate::Unreadable, 0);
    }
    let header = load.header();
    if let Err(error @ HeaderError::Version { .. }) = header {
        if tells {
            tracing::error!("{path} was not loaded: {error}; it will be set aside as .unreadable");
        }
        return (LogFate::Unreadable, 0);
    }
    let outcome = load.finish();
    // One that was never begun has no header; one with blocks must have it.
    let has_header = header.is_ok() || outcome.counts.blocks == 0;
    // A segment has its length before it has its name.
    let has_length = (segment_bytes..=limits::LOG_SEGMENT_BYTES).contains(&segment.bytes);
    if tells {
        match (outcome.end, header) {
            (end @ End::Corrupt { .. }, _) => {
                tracing::error!("{path}: {end}; it will be set aside as .corrupt");
            }
            _ if !has_length => tracing::error!(
                "{path} has {} bytes, and a segment of the log has {segment_bytes}: it was cut or lengthened, whole blocks were loaded, it will be set aside as .corrupt",
                segment.bytes
            ),
            (End::Clean, Err(error)) if !has_header => {
                tracing::error!("{path}: {error}; its blocks were loaded, it will be set aside as .corrupt");
            }
            (End::Clean, _) => {}
            (end @ End::Torn { .. }, _) => tracing::warn!("{path}: {end}"),
        }
    }
    let is_corrupt = matches!(outcome.end, End::Corrupt { .. });
    let fate = if is_corrupt || !has_header || !has_length { LogFate::Damaged } else { LogFate::Superfluous };
    (fate, outcome.counts.blocks)
}

/// The bytes of a file; what cannot be read is reported and left alone.
fn read(files: &impl Files, path: &Path) -> Option<Vec<u8>> {
    match files.read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::error!("{} was not loaded: {error}", path.display());
            None
        }
    }
}

/// The name that a damaged file gets.
pub(super) fn corrupt_name(path: &Path) -> PathBuf {
    with_suffix(path, CORRUPT_SUFFIX)
}

/// Gives a damaged snapshot a name under which nobody reads it.
fn set_aside(files: &impl Files, path: &Path, error: &impl std::fmt::Display) {
    let outcome = match files.rename(path, &corrupt_name(path)) {
        Ok(()) => "set aside as .corrupt".to_owned(),
        Err(error) => format!("it could not be renamed: {error}"),
    };
    tracing::error!("{} is damaged and was not loaded: {error}; {outcome}", path.display());
}

/// All hosts below the root of the checkpoints. Stray files, names that are no paths of ours and directories that we may not
/// read, such as the `lost+found` of a file system, are passed over.
fn find_hosts(files: &impl Files, root: &Path) -> io::Result<Vec<HostFiles>> {
    let mut hosts = Vec::new();
    for (cluster, cluster_path) in directories(entries(files, root)?, root) {
        let found = passed_over_if_foreign(files, &cluster_path)?;
        for (host, directory) in directories(found, &cluster_path) {
            let mut found =
                HostFiles { cluster: cluster.clone(), host, directory, names: Vec::new(), bytes: 0 };
            for entry in passed_over_if_foreign(files, &found.directory)? {
                let Ok(name) = entry.name.into_string() else { continue };
                if !entry.is_file {
                    continue;
                }
                if entry.bytes > limits::SNAPSHOT_BYTES_MAX && name != REFERENCE_LOG {
                    let path = found.directory.join(&name);
                    tracing::error!(
                        "{} was not loaded: it has {} bytes, more than any snapshot",
                        path.display(),
                        entry.bytes
                    );
                    continue;
                }
                found.bytes += entry.bytes;
                found.names.push(name);
            }
            hosts.push(found);
        }
    }
    Ok(hosts)
}

/// What is in a directory; nothing, and a warning, if we may not read it. Other errors are those of a disk, on which the next attempt
/// may find what a start without it would miss.
fn passed_over_if_foreign(files: &impl Files, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
    match entries(files, path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!("{} cannot be read and is passed over: {error}", path.display());
            Ok(Vec::new())
        }
        result => result,
    }
}

/// Those of the entries of a directory that are directories whose names may be clusters and hosts.
fn directories(entries: Vec<DirectoryEntry>, path: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for entry in entries {
        if let (true, Ok(name)) = (entry.is_directory, entry.name.into_string())
            && is_path_safe(&name)
        {
            let directory = path.join(&name);
            found.push((name, directory));
        }
    }
    found.sort();
    found
}

/// All segments of our log, oldest first.
fn find_segments(files: &impl Files, directory: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in entries(files, directory)? {
        if let Some(LogFileName::Log(name)) = LogFileName::parse(&entry.name) {
            let DirectoryEntry { is_file, bytes, .. } = entry;
            found.push(Segment { name, path: name.log_path(directory), bytes, is_file });
        }
    }
    found.sort_by_key(|segment| segment.name);
    Ok(found)
}

/// Everything in a directory; nothing if it does not exist.
fn entries(files: &impl Files, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
    match files.read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result,
    }
}
