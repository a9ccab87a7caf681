//! Recovery at the start, before the executors: one thread a core, and lines of progress (SPEC "Loading").
//!
//! What is loaded in which order is the engine's ([`engine::durable::load`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use engine::durable::load::{Found, LoadOptions, LoadedCore};
use engine::durable::segments::SEGMENT_BYTES_DEFAULT;
use engine::memory::spared::Spared;
use engine::sync::budget::Budget;
use sd_notify::NotifyState;

use crate::durable::RealFiles;
use crate::progress::Shown;
use crate::settings::Settings;
use crate::systemd;

/// Time between two looks at how far it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two words to systemd.
const STATUS_INTERVAL: Duration = Duration::from_secs(3);
/// While there is progress, systemd is asked not to give up the start for so long.
const EXTEND_TIMEOUT_USEC: u32 = 60_000_000;

/// How far recovery is. Written by its threads, read by whoever is asked; only counted, so the order of other memory does not
/// matter.
#[derive(Debug)]
pub struct Loading {
    began: Instant,
    planned_bytes: AtomicU64,
    read_bytes: AtomicU64,
    samples: AtomicU64,
    took_ns: AtomicU64,
    is_over: AtomicBool,
}

impl Default for Loading {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            planned_bytes: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            took_ns: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }
}

impl Loading {
    /// Whether everything is loaded and the API takes requests.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// How much is read, from 0 to 1.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let planned_bytes = self.planned_bytes.load(Ordering::Relaxed);
        match planned_bytes {
            _ if self.is_over() => 1.0,
            0 => 0.0,
            _ => (self.read_bytes.load(Ordering::Relaxed) as f64 / planned_bytes as f64).min(1.0),
        }
    }

    /// The same in whole percent.
    #[must_use]
    pub fn percent(&self) -> u8 {
        (self.ratio() * 100.0) as u8
    }

    /// Samples loaded so far.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// How long it took, or has taken so far.
    #[must_use]
    pub fn took(&self) -> Duration {
        if self.is_over() {
            Duration::from_nanos(self.took_ns.load(Ordering::Relaxed))
        } else {
            self.began.elapsed()
        }
    }

    fn count(&self, bytes: u64, samples: u64) {
        self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }

    /// The first core takes requests.
    pub(crate) fn end(&self) {
        let took_ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.took_ns.store(took_ns, Ordering::Relaxed);
        self.is_over.store(true, Ordering::Release);
    }
}

/// Loads everything that `settings` point to, for so many cores, and of spared hosts whatever its age; returns what the files held, by core.
///
/// # Errors
/// Only if a directory that exists cannot be read: damaged files are set aside and reported.
pub fn load(
    settings: &Settings,
    cores: usize,
    now: i64,
    spared: Spared,
    loading: &Loading,
) -> Result<Vec<LoadedCore>, String> {
    let since = Instant::now();
    let store = &settings.metric_store;
    let options = LoadOptions {
        checkpoints: store.checkpoints.directory.clone(),
        log: store.wal.directory.clone(),
        segment_bytes: SEGMENT_BYTES_DEFAULT,
        metrics: Arc::clone(&settings.metrics),
        retention_seconds: store.retention_seconds(),
        now,
        cores,
        spared,
        series: Budget::new(store.series_max as usize),
    };
    let found = Found::find(&RealFiles, options)
        .map_err(|(path, error)| format!("cannot read {}: {error}", path.display()))?;
    loading.planned_bytes.store(found.bytes(), Ordering::Relaxed);
    let loaded = run_threads(&found, cores, loading);
    let samples: u64 = loaded.iter().map(|core| core.recovered.samples).sum();
    let unconfigured: u64 = loaded.iter().map(|core| core.recovered.unconfigured).sum();
    if samples > 0 {
        let megabytes = found.bytes() / 1_000_000;
        tracing::info!("loaded {samples} samples from {megabytes} MB in {:.1?}", since.elapsed());
    }
    if unconfigured > 0 {
        tracing::warn!("{unconfigured} samples of metrics that are not configured were not loaded");
    }
    Ok(loaded)
}

fn run_threads(found: &Found, cores: usize, loading: &Loading) -> Vec<LoadedCore> {
    let are_loaded = AtomicBool::new(false);
    let count = |bytes, samples| loading.count(bytes, samples);
    thread::scope(|scope| {
        let loaders: Vec<_> =
            (0..cores).map(|core| scope.spawn(move || found.load_core(&RealFiles, core, count))).collect();
        let progress = scope.spawn(|| show(loading, &are_loaded));
        // All of them before a panic goes on: the scope waits for the thread that shows progress.
        let loaded: Vec<_> = loaders.into_iter().map(thread::ScopedJoinHandle::join).collect();
        are_loaded.store(true, Ordering::Release);
        progress.thread().unpark();
        loaded.into_iter().map(|core| core.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Shows how far it is, and tells systemd, until everything is loaded.
fn show(loading: &Loading, are_loaded: &AtomicBool) {
    let mut shown = Shown::start("loading");
    shown.meter.planned_bytes = loading.planned_bytes.load(Ordering::Relaxed);
    let (mut told, mut told_bytes) = (Duration::ZERO, 0);
    while !are_loaded.load(Ordering::Acquire) {
        thread::park_timeout(LOOK_INTERVAL);
        shown.meter.done_bytes = loading.read_bytes.load(Ordering::Relaxed);
        shown.meter.items = loading.samples();
        shown.tick();
        let elapsed = shown.elapsed();
        if elapsed.saturating_sub(told) >= STATUS_INTERVAL {
            told = elapsed;
            let line = shown.meter.line(elapsed);
            systemd::notify(&[NotifyState::Status(&line)]);
            // Without progress its patience may end.
            if shown.meter.done_bytes > told_bytes {
                told_bytes = shown.meter.done_bytes;
                systemd::notify(&[NotifyState::ExtendTimeoutUsec(EXTEND_TIMEOUT_USEC)]);
            }
        }
    }
}
