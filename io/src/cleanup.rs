//! Rounds of cleanup and archive (SPEC section 6): beside the cores while the daemon runs, or one with `-cleanup-checkpoints`.
//!
//! What is removed or archived is the engine's ([`engine::durable::cleanup`], [`engine::durable::archive`]); here is who
//! does it with `-cleanup-checkpoints`; beside the cores it is [`engine::pump::retention`].

pub mod ask;
pub mod progress;

use std::sync::{Arc, Mutex, PoisonError};

use engine::durable::archive::{self, ArchiveOptions};
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
            let mut done = match archive_options(&store) {
                Some(options) => {
                    archive::round(&RealPlatform, &options, is_wanted, &ShownProgress::start()).await
                }
                None => Outcome::default(),
            };
            add(&mut done, round(&RealPlatform, &options(&store), is_wanted).await);
            *outcome.lock().unwrap_or_else(PoisonError::into_inner) = done;
        }
    };
    let thread = runtime::start_core(0, cpu, "cleanup", main).map_err(|error| error.to_string())?;
    thread.join().map_err(|error| error.to_string())?;
    let outcome = std::mem::take(&mut *outcome.lock().unwrap_or_else(PoisonError::into_inner));
    outcome.report("cleanup");
    match outcome.first_failure {
        None => Ok(()),
        Some(error) => Err(format!("cleanup is not complete: {error}")),
    }
}

/// What is archived, and where; none if nothing is.
#[must_use]
pub fn archive_options(store: &MetricStore) -> Option<ArchiveOptions> {
    let Cleanup::Archive { directory } = &store.cleanup else { return None };
    Some(ArchiveOptions { cleanup: options(store), directory: directory.clone() })
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
