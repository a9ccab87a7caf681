//! Rounds of cleanup and archive (SPEC section 6): beside the cores while the daemon runs, or one with `-cleanup-checkpoints`.
//!
//! What is removed or archived is the engine's ([`engine::durable::cleanup`], [`engine::durable::archive`]); here is who
//! does it, and what the log says of it.

pub mod ask;
pub mod progress;

use std::sync::{Arc, Mutex, PoisonError};

use engine::durable::archive::{self, ArchiveOptions, Progress};
use engine::durable::cleanup::{CleanupOptions, Outcome, round};
use engine::memory::spared::Spared;

use crate::durable::RealPlatform;
use crate::runtime;
use crate::settings::{Cleanup, MetricStore};
use progress::ShownProgress;

/// One round over all hosts but those that are spared, in a process that serves nothing; the caller holds the lock on the data.
///
/// # Errors
/// No core can be started. Something could not be archived or removed.
pub fn once(store: &MetricStore, spared: Spared) -> Result<(), String> {
    let cpu = runtime::usable_cpus().map_err(|error| error.to_string())?.first().copied().unwrap_or(0);
    let (store, outcome) = (store.clone(), Arc::new(Mutex::new(Outcome::default())));
    let main = {
        let outcome = Arc::clone(&outcome);
        move || async move {
            let is_wanted = |cluster: &str, host: &str| !spared.contains(cluster, host);
            let mut done = archive(&store, is_wanted, &ShownProgress::start()).await;
            add(&mut done, round(&RealPlatform, &options(&store), is_wanted).await);
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = done;
        }
    };
    let thread = runtime::start_core(0, cpu, "cleanup", main).map_err(|error| error.to_string())?;
    thread.join().map_err(|error| error.to_string())?;
    let outcome = std::mem::take(&mut *outcome.lock().unwrap_or_else(PoisonError::into_inner));
    report("cleanup", &outcome);
    match outcome.first_failure {
        None => Ok(()),
        Some(error) => Err(format!("cleanup is not complete: {error}")),
    }
}

/// One round of the archive over the hosts (cluster, host) that are wanted; nothing if none is configured.
pub async fn archive(
    store: &MetricStore,
    is_wanted: impl Fn(&str, &str) -> bool,
    progress: &impl Progress,
) -> Outcome {
    let Cleanup::Archive { directory } = &store.cleanup else { return Outcome::default() };
    let options = ArchiveOptions { cleanup: options(store), directory: directory.clone() };
    archive::round(&RealPlatform, &options, is_wanted, progress).await
}

/// What of the settings a round needs.
#[must_use]
pub fn options(store: &MetricStore) -> CleanupOptions {
    CleanupOptions {
        checkpoints: store.checkpoints.directory.clone(),
        retention_seconds: store.retention_seconds(),
        checkpoint_interval_seconds: i64::try_from(store.checkpoint_interval.as_secs()).unwrap_or(i64::MAX),
        keeps_files: store.cleanup != Cleanup::Delete,
    }
}

fn add(sum: &mut Outcome, other: Outcome) {
    sum.files += other.files;
    sum.directories += other.directories;
    sum.archives += other.archives;
    sum.rows += other.rows;
    sum.set_aside += other.set_aside;
    sum.failures += other.failures;
    sum.first_failure = sum.first_failure.take().or(other.first_failure);
}

/// Says in the log what a round did; failures in one line, however many.
pub fn report(who: &str, outcome: &Outcome) {
    let Outcome { files, directories, archives, rows, set_aside, failures, first_failure } = outcome;
    if *archives > 0 {
        tracing::info!("{who}: {rows} samples archived in {archives} files");
    }
    if *files > 0 || *directories > 0 {
        tracing::info!(
            "{who}: {files} snapshots out of retention deleted, {directories} empty directories removed"
        );
    }
    if *set_aside > 0 {
        tracing::error!(
            "{who}: {set_aside} damaged snapshots were set aside as .corrupt, and are in no archive"
        );
    }
    if let Some(error) = first_failure {
        tracing::error!(
            "{who}: cleanup failed {failures} times, the next round tries again; the first: {error}"
        );
    }
}
