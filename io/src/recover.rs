//! Recovery at the start, before the executors: one thread a core, and lines of progress (SPEC "Loading").
//!
//! What is loaded in which order is the engine's ([`engine::durable::load`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use engine::durable::load::{Found, LoadOptions, LoadedCore};
use engine::memory::spared::Spared;
use engine::sync::budget::Budget;

use crate::durable::RealFiles;
use crate::settings::Settings;

/// Time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

/// Loads everything that `settings` point to, for so many cores, and of spared hosts whatever its age; returns what the files held, by core.
///
/// # Errors
/// Only if a directory that exists cannot be read: damaged files are set aside and reported.
pub fn load(settings: &Settings, cores: usize, now: i64, spared: Spared) -> Result<Vec<LoadedCore>, String> {
    let since = Instant::now();
    let store = &settings.metric_store;
    let options = LoadOptions {
        checkpoints: store.checkpoints.directory.clone(),
        log: store.wal.directory.clone(),
        metrics: Arc::clone(&settings.metrics),
        retention_seconds: store.retention_seconds(),
        now,
        cores,
        spared,
        series: Budget::new(store.series_max as usize),
    };
    let found = Found::find(&RealFiles, options)
        .map_err(|(path, error)| format!("cannot read {}: {error}", path.display()))?;
    let loaded = run_threads(&found, cores);
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

fn run_threads(found: &Found, cores: usize) -> Vec<LoadedCore> {
    let over = AtomicBool::new(false);
    let (bytes, samples) = (AtomicU64::new(0), AtomicU64::new(0));
    let count = |more_bytes, more_samples| {
        bytes.fetch_add(more_bytes, Ordering::Relaxed);
        samples.fetch_add(more_samples, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        let loaders: Vec<_> =
            (0..cores).map(|core| scope.spawn(move || found.load_core(&RealFiles, core, count))).collect();
        let progress = scope.spawn(|| {
            let mut shown = Instant::now();
            while !over.load(Ordering::Acquire) {
                thread::park_timeout(PROGRESS_INTERVAL);
                if shown.elapsed() >= PROGRESS_INTERVAL {
                    shown = Instant::now();
                    let done = bytes.load(Ordering::Relaxed);
                    let percent = done.saturating_mul(100).checked_div(found.bytes()).unwrap_or(100);
                    tracing::info!("loading: {percent} %, {} samples", samples.load(Ordering::Relaxed));
                }
            }
        });
        let loaded = loaders
            .into_iter()
            .map(|loader| loader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        over.store(true, Ordering::Release);
        progress.thread().unpark();
        loaded
    })
}
