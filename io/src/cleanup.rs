//! Rounds of cleanup (SPEC section 6): beside the cores while the daemon runs, or one with `-cleanup-checkpoints`.
//!
//! What is removed is the engine's ([`engine::durable::cleanup`]); here is who does it, and what the log says of it.

use std::sync::{Arc, Mutex, PoisonError};

use engine::durable::cleanup::{CleanupOptions, Outcome, round};

use crate::durable::RealPlatform;
use crate::runtime;
use crate::settings::{Cleanup, MetricStore};

/// One round over all hosts in a process that serves nothing; the caller holds the lock on the data.
///
/// # Errors
/// The mode is not built yet. No core can be started. Something could not be removed.
pub fn once(store: &MetricStore) -> Result<(), String> {
    if let Cleanup::Archive { .. } = store.cleanup {
        return Err(ARCHIVE_NOT_BUILT.to_owned());
    }
    let cpu = runtime::usable_cpus().map_err(|error| error.to_string())?.first().copied().unwrap_or(0);
    let (options, outcome) = (options(store), Arc::new(Mutex::new(Outcome::default())));
    let main = {
        let outcome = Arc::clone(&outcome);
        move || async move {
            let done = round(&RealPlatform, &options, |_, _| true).await;
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

/// What the mode `archive` gets until it is built.
pub const ARCHIVE_NOT_BUILT: &str = "metric-store.cleanup.mode is \"archive\", which this version cannot do yet: \
    nothing is archived or deleted; set it to \"delete\", or remove old snapshots by hand";

/// What of the settings a round needs.
#[must_use]
pub fn options(store: &MetricStore) -> CleanupOptions {
    CleanupOptions {
        checkpoints: store.checkpoints.directory.clone(),
        retention_seconds: store.retention_seconds(),
        checkpoint_interval_seconds: i64::try_from(store.checkpoint_interval.as_secs()).unwrap_or(i64::MAX),
    }
}

/// Says in the log what a round did; failures in one line, however many.
pub fn report(who: &str, outcome: &Outcome) {
    let Outcome { files, directories, failures, first_failure } = outcome;
    if *files > 0 || *directories > 0 {
        tracing::info!(
            "{who}: {files} snapshots out of retention deleted, {directories} empty directories removed"
        );
    }
    if let Some(error) = first_failure {
        tracing::error!(
            "{who}: cleanup failed {failures} times, the next round tries again; the first: {error}"
        );
    }
}
