//! Snapshots out of retention become Parquet files and are deleted then (SPEC section 6, `docs/format/archive.md`).
//!
//! Before: [`cleanup`](super::cleanup) tells which. A round goes from cluster to cluster: first it ends what an
//! interrupted round began ([`resume`]), then it [writes](write) a file and deletes what is in it. After: nobody here
//! reads the files again. One round at a time, and nothing else deletes snapshots meanwhile.
//!
//! The order, so that at no moment a sample is in neither place and no crash archives one twice:
//!
//! 1. `<n>.parquet.tmp` is written host by host and synced.
//! 2. `<n>.parquet.sources` is written, durably: the snapshots it holds.
//! 3. The file gets its name `<n>.parquet`; the directory is synced.
//! 4. The snapshots are deleted, durably, then the list of sources.
//!
//! A list of sources without its archive file is void; one beside it means that step 4 is to be repeated.

mod resume;
mod write;

use std::path::PathBuf;

use super::cleanup::{CleanupOptions, ExpiredHost, Outcome, directories, expired};
use crate::limits;
use crate::platform::{Archiving, Clock};

/// Behind the time in the name of an archive file.
pub const ARCHIVE_SUFFIX: &str = ".parquet";

/// What to archive, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveOptions {
    /// Which snapshots.
    pub cleanup: CleanupOptions,
    /// The files are `<directory>/<cluster>/<time>.parquet`.
    pub directory: PathBuf,
}

/// Who watches a round.
pub trait Progress {
    /// So many bytes of snapshots are out of retention.
    fn planned(&self, bytes: u64);
    /// A host's snapshots, of so many bytes, are in the archive, as so many rows.
    fn archived(&self, bytes: u64, rows: u64);
    /// Whether the round is to end before its time. What is not in an archive file by then stays where it is.
    fn is_cancelled(&self) -> bool;
}

/// One round over all clusters, of the hosts (cluster, host) that are wanted. A cluster's failure does not stop the others.
///
/// Directories left empty are not removed here: that is for [`cleanup::round`](super::cleanup::round), beside the checkpoints.
pub async fn round<P: Clock + Archiving>(
    platform: &P,
    options: &ArchiveOptions,
    is_wanted: impl Fn(&str, &str) -> bool,
    progress: &impl Progress,
) -> Outcome {
    let mut outcome = Outcome::default();
    let archived = directories(platform, &options.directory, &mut outcome).await;
    if outcome.failures > 0 {
        // What is archived already cannot be told.
        return outcome;
    }
    let oldest = platform.now_seconds().saturating_sub(options.cleanup.retention_seconds);
    let mut failed = Vec::new();
    for cluster in archived {
        if progress.is_cancelled() {
            return outcome;
        }
        if resume::resume(platform, options, &cluster, &is_wanted, &mut outcome).await.is_none() {
            failed.push(cluster);
        }
    }
    let mut plan = Vec::new();
    for cluster in directories(platform, &options.cleanup.checkpoints, &mut outcome).await {
        // Some of its snapshots may be in the archive already.
        if !failed.contains(&cluster) {
            let mut hosts = expired(platform, &options.cleanup, &cluster, &is_wanted, &mut outcome).await;
            hosts.retain(|host| !host.files.is_empty());
            plan.push((cluster, hosts));
        }
    }
    let bytes = |host: &ExpiredHost| host.files.iter().map(|file| file.bytes).sum::<u64>();
    progress.planned(plan.iter().flat_map(|(_, hosts)| hosts).map(bytes).sum());
    for (cluster, mut hosts) in plan {
        while let Some(batch) = next_batch(&mut hosts) {
            let file = write::ArchiveFile { platform, options, cluster: &cluster, oldest, progress };
            let written = file.write(&batch, &mut outcome).await;
            if progress.is_cancelled() {
                return outcome;
            }
            // The next file of this cluster would have the same fault.
            if outcome.take(written).is_none() {
                break;
            }
        }
    }
    outcome
}

/// Takes out the oldest snapshots of each host, so many that their values can be held; none if nothing is left.
fn next_batch(hosts: &mut Vec<ExpiredHost>) -> Option<Vec<ExpiredHost>> {
    let mut batch = Vec::new();
    for host in hosts.iter_mut() {
        let mut left_bytes = limits::ARCHIVE_HOST_BYTES_MAX;
        let fits = host.files.iter().take_while(|file| {
            let fits = file.bytes <= left_bytes;
            left_bytes = left_bytes.saturating_sub(file.bytes);
            fits
        });
        let count = fits.count().max(1);
        let files = host.files.drain(..count).collect();
        batch.push(ExpiredHost { files, is_last: false, ..host.clone_without_files() });
    }
    hosts.retain(|host| !host.files.is_empty());
    (!batch.is_empty()).then_some(batch)
}

#[cfg(test)]
mod tests;
