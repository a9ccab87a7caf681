//! Recovery at the start: the files of checkpoints and logs into the shards of all cores (SPEC "Loading",
//! DESIGN decision 6).
//!
//! Runs before the executors, one thread a core: each loads the hosts it owns, and from every log segment the
//! records of its hosts, whichever core wrote them. Nothing is written but the names of damaged files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use engine::checkpoint::file_name::{CORRUPT_SUFFIX, REFERENCE_LOG, select};
use engine::line::key::is_path_safe;
use engine::memory::shard::Shard;
use engine::recovery::{Recovered, Recovery};
use engine::reference_log;
use engine::series::route::core_of;
use engine::wal::replay::End;

use crate::durable::names::{LogFileName, SegmentName};
use crate::settings::Settings;

/// Time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

/// What the files held.
#[derive(Debug)]
pub struct Loaded {
    /// By core.
    pub cores: Vec<LoadedCore>,
    /// Segments of our log that were replayed: superfluous once every core has made a checkpoint.
    pub segments: Vec<SegmentName>,
}

/// What the files held for one core.
#[derive(Debug)]
pub struct LoadedCore {
    /// Its hosts.
    pub shard: Shard,
    /// Directories of hosts whose reference log was replayed: superfluous once the core has made a checkpoint.
    pub reference_logs: Vec<PathBuf>,
    /// Whether a log was replayed, ours or the reference's.
    pub has_logs: bool,
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

/// What all threads share.
struct Work<'a> {
    settings: &'a Settings,
    /// By core.
    hosts: &'a [Vec<HostFiles>],
    segments: &'a [Segment],
    now: i64,
    done_bytes: AtomicU64,
    samples: AtomicU64,
}

#[derive(Debug)]
struct Segment {
    name: SegmentName,
    path: PathBuf,
    bytes: u64,
}

/// Loads everything that `settings` point to, for so many cores.
///
/// # Errors
/// Only if a directory that exists cannot be read: damaged files are set aside and reported.
pub fn load(settings: &Settings, cores: usize, now: i64) -> Result<Loaded, String> {
    let since = Instant::now();
    let root = &settings.metric_store.checkpoints.directory;
    let failed = |path: &Path, error: io::Error| format!("cannot read {}: {error}", path.display());
    let mut hosts: Vec<Vec<HostFiles>> = (0..cores).map(|_| Vec::new()).collect();
    for host in find_hosts(root).map_err(|error| failed(root, error))? {
        hosts[core_of(&host.cluster, &host.host, cores)].push(host);
    }
    let wal = &settings.metric_store.wal.directory;
    let segments = find_segments(wal).map_err(|error| failed(wal, error))?;
    let total_bytes = hosts.iter().flatten().map(|host| host.bytes).sum::<u64>()
        + segments.iter().map(|segment| segment.bytes).sum::<u64>() * cores as u64;
    let work = Work {
        settings,
        hosts: &hosts,
        segments: &segments,
        now,
        done_bytes: AtomicU64::new(0),
        samples: AtomicU64::new(0),
    };
    let shards = run_threads(&work, cores, total_bytes);
    let samples = work.samples.load(Ordering::Relaxed);
    if samples > 0 {
        tracing::info!(
            "loaded {samples} samples of {} MB in {:.1?}",
            total_bytes / 1_000_000,
            since.elapsed()
        );
    }
    let cores = shards.into_iter().zip(&hosts).map(|(shard, hosts)| {
        let with_log = hosts.iter().filter(|host| host.names.iter().any(|name| name == REFERENCE_LOG));
        let reference_logs: Vec<PathBuf> = with_log.map(|host| host.directory.clone()).collect();
        let has_logs = !segments.is_empty() || !reference_logs.is_empty();
        LoadedCore { shard, reference_logs, has_logs }
    });
    Ok(Loaded { cores: cores.collect(), segments: segments.iter().map(|segment| segment.name).collect() })
}

fn run_threads(work: &Work<'_>, cores: usize, total_bytes: u64) -> Vec<Shard> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let loaders: Vec<_> =
            (0..cores).map(|core| scope.spawn(move || load_core(work, core, cores))).collect();
        let progress = scope.spawn(|| {
            let mut shown = Instant::now();
            while !over.load(Ordering::Acquire) {
                thread::park_timeout(PROGRESS_INTERVAL);
                if shown.elapsed() >= PROGRESS_INTERVAL {
                    shown = Instant::now();
                    let done = work.done_bytes.load(Ordering::Relaxed);
                    let percent = done.saturating_mul(100).checked_div(total_bytes).unwrap_or(100);
                    tracing::info!("loading: {percent} %, {} samples", work.samples.load(Ordering::Relaxed));
                }
            }
        });
        let shards = loaders
            .into_iter()
            .map(|loader| loader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        over.store(true, Ordering::Release);
        progress.thread().unpark();
        shards
    })
}

/// Loads one core's shard.
fn load_core(work: &Work<'_>, core: usize, cores: usize) -> Shard {
    let store = &work.settings.metric_store;
    let retention_seconds = i64::try_from(store.retention_in_memory.as_secs()).unwrap_or(i64::MAX);
    let mut shard = Shard::new(work.settings.metrics.clone(), cores, retention_seconds);
    let oldest = work.now.saturating_sub(retention_seconds);
    let mut recovery = Recovery::new(&mut shard, core, cores, oldest);
    let mut counted = 0;
    let mut count = |recovered: Recovered, bytes: u64| {
        work.done_bytes.fetch_add(bytes, Ordering::Relaxed);
        work.samples.fetch_add(recovered.samples - counted, Ordering::Relaxed);
        counted = recovered.samples;
    };
    for host in &work.hosts[core] {
        load_host(&mut recovery, host, work.now, retention_seconds);
        count(recovery.recovered(), host.bytes);
    }
    for segment in work.segments {
        load_segment(&mut recovery, segment, core);
        count(recovery.recovered(), segment.bytes);
    }
    let recovered = recovery.recovered();
    if recovered.unconfigured > 0 {
        tracing::warn!(
            "{} samples of metrics that are not configured were not loaded",
            recovered.unconfigured
        );
    }
    shard
}

fn load_host(recovery: &mut Recovery<'_>, host: &HostFiles, now: i64, retention_seconds: i64) {
    for snapshot in select(host.names.iter().map(String::as_str), now, retention_seconds) {
        let path = host.directory.join(snapshot.name);
        let Some(bytes) = read(&path) else { continue };
        if let Err(error) = recovery.snapshot(&host.cluster, &host.host, snapshot.kind, &bytes) {
            set_aside(&path, &error);
        }
    }
    recovery.snapshots_loaded(&host.cluster, &host.host);
    if host.names.iter().any(|name| name == REFERENCE_LOG) {
        let path = host.directory.join(REFERENCE_LOG);
        let Some(bytes) = read(&path) else { return };
        match recovery.reference_log(&host.cluster, &host.host, &bytes).end {
            reference_log::End::Clean => {}
            reference_log::End::Torn { at } => {
                tracing::info!("{} ends within a record at byte {at}, as a kill leaves it", path.display());
            }
            reference_log::End::Corrupt { at, why } => {
                tracing::warn!(
                    "{} is damaged at byte {at}: {why}; what stands before was loaded",
                    path.display()
                );
            }
        }
    }
}

fn load_segment(recovery: &mut Recovery<'_>, segment: &Segment, core: usize) {
    let path = &segment.path;
    let Some(bytes) = read(path) else { return };
    let outcome = recovery.segment(segment.name.id, &bytes);
    // Every core reads every segment; one of them tells.
    if core > 0 {
        return;
    }
    match outcome.end {
        End::Clean => {}
        end => tracing::warn!("{}: {end}", path.display()),
    }
}

/// The bytes of a file; what cannot be read is reported and left alone.
fn read(path: &Path) -> Option<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::error!("{} was not loaded: {error}", path.display());
            None
        }
    }
}

/// Gives a damaged file a name under which nobody reads it.
fn set_aside(path: &Path, error: &impl std::fmt::Display) {
    let mut name = path.as_os_str().to_owned();
    name.push(CORRUPT_SUFFIX);
    let renamed = fs::rename(path, &name);
    let outcome = match renamed {
        Ok(()) => "set aside as .corrupt".to_owned(),
        Err(error) => format!("it could not be renamed: {error}"),
    };
    tracing::error!("{} is damaged and was not loaded: {error}; {outcome}", path.display());
}

/// All hosts below the root of the checkpoints. Stray files and names that are no paths of ours are passed over.
fn find_hosts(root: &Path) -> io::Result<Vec<HostFiles>> {
    let mut hosts = Vec::new();
    for (cluster, cluster_path) in directories(root)? {
        for (host, directory) in directories(&cluster_path)? {
            let mut files =
                HostFiles { cluster: cluster.clone(), host, directory, names: Vec::new(), bytes: 0 };
            for entry in fs::read_dir(&files.directory)? {
                let entry = entry?;
                if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                    files.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
                    files.names.push(name);
                }
            }
            hosts.push(files);
        }
    }
    Ok(hosts)
}

/// The directories in a directory whose names may be clusters and hosts; none if it does not exist.
fn directories(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let (true, Ok(name)) = (entry.path().is_dir(), entry.file_name().into_string())
            && is_path_safe(&name)
        {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// All segments of our log, oldest first.
fn find_segments(directory: &Path) -> io::Result<Vec<Segment>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(LogFileName::Log(name)) = LogFileName::parse(&entry.file_name()) {
            let bytes = entry.metadata()?.len();
            found.push(Segment { name, path: entry.path(), bytes });
        }
    }
    found.sort_by_key(|segment| segment.name);
    Ok(found)
}
